"""The mixer's commands: twice, too late, for what is gone; phases and their time."""

from __future__ import annotations

import pytest
from audio_world import G722, LEVEL, OPUS, PCMA, PCMU, TICK, World, studio

from media.audio_commands import (
    CloseRoom,
    Detect,
    Music,
    PauseRecording,
    Play,
    RecordingFailed,
    SendDigits,
    SetRecordingChannels,
    SetRoom,
    SetVolume,
    StartRecording,
    StopPlay,
    StopRecording,
    Tone,
)
from media.commands import Format
from media.mixer import PHASE_FILL


def test_commands_on_what_is_not_there_do_nothing() -> None:
    world = World(studio())
    world.phone(PCMU)
    commands = (
        SetRoom(7, (8, 9)),
        SetRoom(8, (8, 9, 10)),
        CloseRoom(70),
        SetVolume(9, muted=True),
        StopPlay(4),
        SendDigits(9, "1"),
        SetRecordingChannels(3, ((9, 0),)),
        PauseRecording(3, True),
        StopRecording(3),
        Detect(9, dtmf=True),
    )
    for _ in range(2):
        world.do(*commands)
        world.run(0.1)
    assert not world.engine.events
    world.do(CloseRoom(7), CloseRoom(8))
    world.run(0.1)
    mixer = world.engine.mixer
    assert mixer.idle
    assert not mixer.rooms
    assert not mixer.voices


def test_the_same_command_twice_changes_nothing() -> None:
    world = World(studio())
    ann, ben, cem = (world.phone(PCMU, hertz) for hertz in (500.0, 700.0, 900.0))
    commands = (
        SetRoom(7, (1, 2, 3), gains=((1, 3, 0.0),)),
        SetVolume(2, heard=0.5),
        Play(5, (Tone("1500", seconds=0.4),), stream=3),
    )
    world.do(*commands)
    world.run(0.2)
    world.do(*commands)
    world.run(0.8)
    assert world.ended == [(5, "done")]
    assert ann.level(700.0) == pytest.approx(LEVEL / 2, rel=0.1)
    assert ann.level(900.0) < 100
    for phone in (ann, ben, cem):
        assert not phone.gaps()


def test_a_recording_without_a_directory_fails_and_the_call_goes_on() -> None:
    world = World(studio())
    ann, _ = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    world.engine.bridge(1, 2)
    world.do(StartRecording(1, "c", ((1, 0), (2, 1))))
    world.run(0.5)
    assert [type(each) for each in world.engine.events] == [RecordingFailed]
    assert not world.engine.mixer.voices
    assert ann.level(700.0, 0.2) > 0.9 * LEVEL


def test_phases_are_filled_one_after_another_and_each_room_stays_in_one() -> None:
    world = World()
    for index in range(PHASE_FILL + 12):
        world.phone(PCMU, 300.0 + 10 * index)
    world.run(0.05)
    for index in range(0, PHASE_FILL + 12, 4):
        world.do(SetRoom(100 + index, tuple(range(index + 1, index + 5))))
    world.run(0.1)
    sizes = sorted((len(phase.voices) for phase in world.engine.mixer.phases), reverse=True)
    assert sum(sizes[:2]) == PHASE_FILL + 12
    assert PHASE_FILL - 4 <= sizes[0] <= PHASE_FILL
    for room in world.engine.mixer.rooms.values():
        assert {world.engine.mixer.voices[stream].phase for stream in room.members} == {room.phase}
    # Between phases packets go on.
    first = world.phones[1]
    world.do(SetRoom(999, tuple(range(PHASE_FILL + 1, PHASE_FILL + 13))), CloseRoom(100))
    world.do(SetRoom(999, (1, *range(PHASE_FILL + 1, PHASE_FILL + 13))))
    world.run(0.5)
    assert not first.gaps()
    assert max(map(abs, first.stamp_errors())) <= 0.021


@pytest.mark.parametrize("format_", [PCMU, PCMA, G722, OPUS], ids=lambda each: each[1])
def test_frames_that_were_not_made_are_in_the_timestamps(format_) -> None:
    world = World(studio())
    ann = world.phone(format_)
    world.do(Play(1, (Music(),), stream=1))
    world.run(1.0)
    world.engine.mixer.skip(15)
    world.now += 15 * 0.02
    world.run(1.0)
    assert not ann.gaps()
    assert max(map(abs, ann.stamp_errors())) <= 0.021


def test_music_is_heard_by_all_at_the_same_moment_and_read_once() -> None:
    world = World(studio())
    phones = [world.phone(PCMU) for _ in range(3)]
    world.do(*(Play(index, (Music(),), stream=index) for index in (1, 2, 3)))
    world.run(1.0)
    payloads = [[each.payload for each in phone.packets[5:40]] for phone in phones]
    assert payloads[0] == payloads[1] == payloads[2]
    world.do(StopPlay(1), StopPlay(2), StopPlay(3))
    world.run(8 * TICK)
    assert sorted(world.ended) == [(1, "stopped"), (2, "stopped"), (3, "stopped")]
    assert world.engine.mixer.idle


@pytest.mark.parametrize("format_", [PCMU, OPUS], ids=lambda each: each[1])
def test_a_voice_that_nobody_hears_takes_no_audio_until_somebody_does(format_: Format) -> None:
    """A caller who is played music to and talks: 8 kHz or Opus is decoded for nobody."""
    world = World(studio())
    world.phone(format_, 700.0)
    listener = world.phone(PCMU, 500.0)
    banks = world.engine.mixer.reception.banks.values()
    world.do(Play(1, (Music(),), stream=1))
    world.run(0.5)
    assert sum(bank.rows for bank in banks) == 0
    # Listened to, then heard in a room, then alone again.
    world.do(Detect(1, speech=True))
    world.run(0.2)
    assert sum(bank.rows for bank in banks) == 1
    world.do(Detect(1), StopPlay(1), SetRoom(7, (1, 2), talkers=True))
    world.run(1.0)
    assert listener.level(700.0) == pytest.approx(LEVEL, rel=0.12)
    world.do(CloseRoom(7), Play(2, (Music(),), stream=1))
    world.run(0.5)
    assert sum(bank.rows for bank in banks) == 0


def test_an_interrupting_play_ends_all_before_it() -> None:
    world = World(studio())
    ann = world.phone(PCMU)
    world.do(Play(1, (Tone("700"),), stream=1), Play(2, (Tone("900"),), stream=1))
    world.run(0.5)
    world.do(Play(3, (Tone("1500", seconds=1.0),), stream=1, interrupt=True, gain=0.5))
    world.run(0.9)
    assert ann.level(1500.0) == pytest.approx(LEVEL / 2, rel=0.1)
    assert ann.level(700.0) < 100
    world.run(0.5)
    assert world.ended == [(1, "stopped"), (2, "stopped"), (3, "done")]


def test_a_queue_is_heard_in_order_each_with_its_own_gain() -> None:
    world = World(studio())
    ann, _ = world.phone(PCMU), world.phone(PCMA, 500.0)
    world.engine.bridge(1, 2)
    world.run(0.3)
    world.do(Play(1, (Tone("700", seconds=1.0),), stream=1, gain=0.5))
    world.do(Play(2, (Tone("900", seconds=1.0),), stream=1, over=True))
    world.run(0.9)
    assert ann.level(700.0) == pytest.approx(LEVEL / 2, rel=0.1)
    assert ann.level(500.0) < 100
    world.run(1.0)
    assert ann.level(900.0) == pytest.approx(LEVEL, rel=0.1)
    assert ann.level(500.0) == pytest.approx(LEVEL, rel=0.1)
    assert ann.level(700.0) < 100
    world.run(0.6)
    assert world.ended == [(1, "done"), (2, "done")]
    assert not ann.gaps()


def test_who_is_listened_to_no_more_is_relayed_only() -> None:
    world = World(studio())
    world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    world.engine.bridge(1, 2)
    world.do(Detect(1, dtmf=True, fax=True, speech=True))
    world.run(0.5)
    assert set(world.engine.mixer.voices) == {1}
    world.do(Detect(1))
    world.run(0.1)
    assert not world.engine.mixer.voices
