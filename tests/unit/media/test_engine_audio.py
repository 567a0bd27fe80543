"""The engine mixing, transcoding and playing: packets in, packets out, tones measured in what comes out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from audio_world import (
    EVENTS,
    G722,
    HOST,
    L16,
    LEVEL,
    MUSIC_HERTZ,
    OPUS,
    PCMA,
    PCMU,
    TICK,
    WIDE_L16,
    Phone,
    World,
    sine,
    studio,
    tone_level,
)

from media.audio_commands import CloseRoom, File, Music, Play, SetRoom, SetVolume, StopPlay, Tone
from media.commands import Format, MediaAddress, StreamSettings
from rtp.address import FAMILY_V4

CODECS = [PCMU, PCMA, G722, OPUS, L16, WIDE_L16]


@pytest.mark.parametrize("a", CODECS, ids=lambda each: f"{each[1]}/{each[2]}")
@pytest.mark.parametrize("b", CODECS, ids=lambda each: f"{each[1]}/{each[2]}")
def test_a_tone_crosses_any_two_codecs(a: Format, b: Format) -> None:
    world = World()
    ann, ben = world.phone(a, 1000.0), world.phone(b, 600.0)
    world.engine.bridge(1, 2)
    world.run(2.0)
    assert ann.level(600.0) == pytest.approx(8000, rel=0.12)
    assert ben.level(1000.0) == pytest.approx(8000, rel=0.12)
    assert ann.level(1000.0) < 100
    for phone in (ann, ben):
        assert not phone.gaps()
        step = phone.format[2] // 50
        assert {(b.stamp - a.stamp) & 0xFFFFFFFF for a, b in pairwise(phone.packets)} == {step}
    assert bool(world.engine.mixer.voices) == (a != b)


@pytest.mark.parametrize("size", [3, 20])
def test_each_of_a_conference_hears_all_others_and_never_itself(size: int) -> None:
    world = World()
    tones = [300.0 + 100 * index for index in range(size)]
    phones = [world.phone((PCMU, PCMA)[index % 2], tone) for index, tone in enumerate(tones)]
    for stream in range(1, size + 1):
        world.engine.audio(SetVolume(stream, heard=0.15), world.now)
    world.engine.audio(SetRoom(7, tuple(range(1, size + 1))), world.now)
    world.run(2.0)
    for index, phone in enumerate(phones):
        for other, tone in enumerate(tones):
            level = phone.level(tone, 1.0)
            assert level < 60 if other == index else level == pytest.approx(1200, rel=0.1)


def test_closed_streams_leave_nothing_behind() -> None:
    world = World()
    for format_ in (PCMU, G722, OPUS):
        world.phone(format_, 500.0)
    world.engine.audio(SetRoom(7, (1, 2, 3)), world.now)
    world.run(0.5)
    for stream in (1, 2, 3):
        world.engine.close(stream)
    world.run(0.1)
    mixer = world.engine.mixer
    assert not mixer.voices
    assert all(bank.rows == 0 for bank in mixer.reception.banks.values())
    assert mixer.idle


# ---- rooms


def hears(phone: Phone, *others: Phone, level: float = LEVEL, among: Iterable[Phone] = ()) -> None:
    """In the last half second the phone heard exactly these of `among`, at this level."""
    for other in among:
        found = phone.level(other.hertz)
        if other in others:
            assert found == pytest.approx(level, rel=0.12), f"{phone.stream} hears {other.stream} at {found:.0f}"
        else:
            assert found < 0.03 * LEVEL, f"{phone.stream} hears {other.stream} at {found:.0f}"


def unbroken(*phones: Phone, slack: float = 0.021) -> None:
    """No gap in sequence numbers; timestamps go on by time, give or take a frame."""
    for phone in phones:
        assert not phone.gaps(), f"{phone.stream} has gaps {phone.gaps()[:5]}"
        errors = phone.stamp_errors()
        assert max(map(abs, errors)) <= slack, f"{phone.stream}: {min(errors):.3f} to {max(errors):.3f} s off"


def trio(world: World, *formats: Format) -> list[Phone]:
    return [world.phone(format_, 500.0 + 200 * place) for place, format_ in enumerate(formats or (PCMU, PCMA, PCMU))]


@pytest.mark.parametrize("formats", [(PCMU, PCMU, PCMU), (PCMU, OPUS, G722), (OPUS, OPUS, OPUS)], ids=str)
def test_listen_whisper_and_barge_are_switched_live(formats: tuple[Format, ...]) -> None:
    world = World()
    phones = customer, agent, coach = trio(world, *formats)
    for stream in (1, 2, 3):
        world.do(SetVolume(stream, heard=0.5))
    world.do(SetRoom(7, (1, 2, 3), gains=((1, 3, 0.0), (2, 3, 0.0))))
    world.run(1.0)
    half = LEVEL / 2
    hears(customer, agent, level=half, among=phones)
    hears(agent, customer, level=half, among=phones)
    hears(coach, customer, agent, level=half, among=phones)
    world.do(SetRoom(7, (1, 2, 3), gains=((1, 3, 0.0),)))
    world.run(1.0)
    hears(customer, agent, level=half, among=phones)
    hears(agent, customer, coach, level=half, among=phones)
    world.do(SetRoom(7, (1, 2, 3)))
    world.run(1.0)
    for phone in phones:
        hears(phone, *(each for each in phones if each is not phone), level=half, among=phones)
    world.do(SetRoom(7, (1, 2)))
    world.run(1.0)
    hears(customer, agent, level=half, among=phones)
    hears(agent, customer, level=half, among=phones)
    heard = len(coach.packets)
    world.run(0.2)
    assert len(coach.packets) == heard
    unbroken(*phones)


def test_a_pair_that_becomes_three_and_two_again_is_relayed_again() -> None:
    world = World()
    phones = ann, ben, cem = trio(world, PCMU, PCMU, PCMU)
    world.do(SetRoom(7, (1, 2)))
    world.run(0.5)
    assert not world.engine.mixer.voices
    world.do(*(SetVolume(stream, heard=0.5) for stream in (1, 2, 3)))
    world.do(SetRoom(7, (1, 2, 3)))
    world.run(1.0)
    hears(ann, ben, cem, level=LEVEL / 2, among=phones)
    world.do(*(SetVolume(stream) for stream in (1, 2, 3)))
    world.do(SetRoom(7, (1, 2)))
    world.run(1.0)
    hears(ann, ben, among=phones)
    hears(ben, ann, among=phones)
    assert not world.engine.mixer.voices
    unbroken(ann, ben)


def test_one_side_on_hold_hears_music_and_the_other_nothing() -> None:
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    world.do(SetRoom(7, (1, 2)))
    world.run(1.0)
    world.do(SetRoom(7, (1, 2), gain=0.0), Play(1, (Music(),), stream=1))
    world.run(1.0)
    assert ann.level(MUSIC_HERTZ) == pytest.approx(LEVEL, rel=0.1)
    hears(ann, among=(ann, ben))
    hears(ben, among=(ann, ben))
    assert ben.level(MUSIC_HERTZ) < 50
    world.do(StopPlay(1), SetRoom(7, (1, 2)))
    world.run(1.0)
    hears(ann, ben, among=(ann, ben))
    hears(ben, ann, among=(ann, ben))
    assert ann.level(MUSIC_HERTZ) < 50
    assert world.ended == [(1, "stopped")]
    assert not world.engine.mixer.voices
    unbroken(ann, ben)


def test_hold_by_settings_silences_both_ways() -> None:
    """RFC 3264 8.4: a=inactive, and what a=sendonly of the peer leaves."""
    world = World()
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMA, 700.0)
    world.engine.bridge(1, 2)
    world.run(1.0)
    world.configure(ben, send=False)
    count = len(ben.packets)
    world.run(0.5)
    hears(ann, ben, among=(ann, ben))
    assert len(ben.packets) == count
    world.configure(ben, send=True, receive=False)
    world.run(1.0)
    hears(ann, among=(ann, ben))
    hears(ben, ann, among=(ann, ben))
    world.configure(ben, receive=True)
    world.run(1.0)
    hears(ann, ben, among=(ann, ben))
    unbroken(ann, ben)


@pytest.mark.parametrize("agent", [PCMU, PCMA, OPUS], ids=lambda each: each[1])
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_consultation_moves_a_stream_to_another_room_and_back(agent: Format, order: tuple[int, int]) -> None:
    world = World(studio())
    phones = ann, ben, cem = trio(world, PCMU, agent, PCMU)
    world.do(SetRoom(7, order))
    world.run(1.0)
    hears(ann, ben, among=phones)
    world.do(SetRoom(8, (2, 3)), Play(1, (Music(),), stream=1))
    world.run(1.0)
    hears(ben, cem, among=phones)
    hears(cem, ben, among=phones)
    hears(ann, among=phones)
    assert ann.level(MUSIC_HERTZ) == pytest.approx(LEVEL, rel=0.1)
    world.do(StopPlay(1), SetRoom(7, order))
    world.run(1.0)
    hears(ann, ben, among=phones)
    hears(ben, ann, among=phones)
    world.do(CloseRoom(8))
    world.run(0.5)
    hears(ben, ann, among=phones)
    # The consulted one takes over; the room that is left is closed afterwards.
    world.do(SetRoom(9, (1, 3)), CloseRoom(7))
    world.run(1.0)
    hears(ann, cem, among=phones)
    hears(cem, ann, among=phones)
    unbroken(ann, ben, slack=0.04)


def test_a_stream_is_in_the_latest_room_that_names_it_only() -> None:
    world = World()
    phones = [world.phone(PCMU, 400.0 + 150 * index) for index in range(5)]
    world.do(*(SetVolume(stream, heard=0.25) for stream in range(1, 6)))
    world.do(SetRoom(7, (1, 2, 3)))
    world.run(0.6)
    world.do(SetRoom(8, (3, 4, 5)))
    world.run(1.0)
    quarter = LEVEL / 4
    ann, ben, cem, dan, eve = phones
    hears(ann, ben, level=quarter, among=phones)
    hears(ben, ann, level=quarter, among=phones)
    hears(cem, dan, eve, level=quarter, among=phones)
    world.do(CloseRoom(7))
    world.run(0.6)
    hears(cem, dan, eve, level=quarter, among=phones)
    assert len(world.engine.mixer.rooms) == 1


def test_those_who_stay_get_the_best_rate_again_when_one_leaves() -> None:
    world = World()
    ann, ben = world.phone(OPUS, 5000.0), world.phone(OPUS, 700.0)
    world.phone(PCMU, 900.0)
    world.do(*(SetVolume(stream, heard=0.5) for stream in (1, 2)))
    world.do(SetRoom(7, (1, 2, 3)))
    world.run(1.0)
    assert {voice.rate for voice in world.engine.mixer.voices.values()} == {16000}
    assert ben.level(5000.0) > 0.35 * LEVEL
    world.engine.close(3)
    world.run(1.0)
    assert {voice.rate for voice in world.engine.mixer.voices.values()} == {48000}
    assert ben.level(5000.0) == pytest.approx(LEVEL / 2, rel=0.15)
    world.phone(PCMU, 1100.0)
    world.phone(PCMU, 1300.0)
    world.do(SetRoom(7, (1, 4, 5)))
    world.run(1.0)
    assert {voice.rate for voice in world.engine.mixer.voices.values() if voice.room} == {8000}
    unbroken(ann, ben, slack=0.04)


def test_muted_deaf_and_louder() -> None:
    world = World(studio())
    phones = ann, ben, cem = trio(world)
    everybody = [SetVolume(stream, heard=0.5) for stream in (1, 2, 3)]
    world.do(*everybody, SetRoom(7, (1, 2, 3)))
    world.do(SetVolume(1, heard=0.5, muted=True), SetVolume(2, heard=0.5, deaf=True))
    world.run(1.0)
    half = LEVEL / 2
    hears(ann, ben, cem, level=half, among=phones)
    hears(ben, among=phones)
    hears(cem, ben, level=half, among=phones)
    world.do(Play(1, (Tone("2000"),), stream=2))
    world.run(1.0)
    assert ben.level(2000.0) == pytest.approx(LEVEL, rel=0.1)
    world.do(StopPlay(1), *everybody, SetVolume(2, heard=0.25, hears=0.5))
    world.run(1.0)
    hears(ann, ben, level=LEVEL / 4, among=(ann, ben))
    hears(ann, cem, level=half, among=(ann, cem))
    hears(ben, ann, cem, level=LEVEL / 4, among=phones)


def test_mute_of_a_relayed_pair_is_heard_at_once_and_given_up_again() -> None:
    world = World()
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5)
    world.do(SetVolume(1, muted=True))
    world.run(1.0)
    hears(ben, among=(ann, ben))
    hears(ann, ben, among=(ann, ben))
    world.do(SetVolume(1))
    world.run(1.0)
    hears(ben, ann, among=(ann, ben))
    assert not world.engine.mixer.voices
    unbroken(ann, ben)


def test_automatic_gain_brings_voices_to_one_level() -> None:
    world = World()
    ann, ben, cem = trio(world)
    ann.sound = sine(500.0, 8000, 8000 * 10, level=1500)
    ben.sound = sine(700.0, 8000, 8000 * 10, level=9000)
    world.do(SetVolume(1, agc=True), SetVolume(2, agc=True), SetRoom(7, (1, 2, 3)))
    world.run(8.0)
    soft, loud = cem.level(500.0), cem.level(700.0)
    assert abs(20 * np.log10(soft / loud)) < 1.5
    assert soft > 3000


def test_a_stream_configured_after_its_room_was_set_joins_it() -> None:
    world = World()
    ann, ben, cem = trio(world)
    world.engine.open(4, 1, 2, FAMILY_V4)
    dan = world.phones[4] = Phone(4, PCMU, 1500.0)
    world.do(SetRoom(7, (1, 2, 4)))
    world.run(0.2)
    settings = StreamSettings(remote=MediaAddress(HOST, 4008, 4009), formats=(PCMU, EVENTS))
    world.engine.configure(4, settings, world.now)
    world.run(1.0)
    assert ann.level(1500.0) == pytest.approx(LEVEL, rel=0.1)
    assert dan.level(ben.hertz) == pytest.approx(LEVEL, rel=0.1)
    assert not cem.packets


# ---- players


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("formats", [(PCMU, PCMU), (OPUS, OPUS), (PCMU, PCMA)], ids=str)
def test_a_relayed_bridge_is_mixed_while_something_plays_and_relayed_again(
    formats: tuple[Format, Format], at: int
) -> None:
    world = World(studio())
    ann, ben = world.phone(formats[0], 500.0), world.phone(formats[1], 700.0)
    world.engine.bridge(1, 2)
    world.run(1.0 + at * 2 * TICK)
    relayed = formats[0] == formats[1]
    assert bool(world.engine.mixer.voices) != relayed
    world.do(Play(1, (Tone("1500", seconds=2.0),), stream=1))
    # A decoder of Opus takes up to a second to forget a pure tone that another encoder made.
    world.run(1.9)
    assert ann.level(1500.0) == pytest.approx(LEVEL, rel=0.1)
    hears(ann, among=(ann, ben))
    hears(ben, ann, among=(ann, ben))
    world.run(2.0)
    hears(ann, ben, among=(ann, ben))
    hears(ben, ann, among=(ann, ben))
    assert world.ended == [(1, "done")]
    assert bool(world.engine.mixer.voices) != relayed
    unbroken(ann, ben)


@pytest.mark.parametrize("at", range(4))
def test_a_call_waiting_tone_is_heard_over_the_call(at: int) -> None:
    world = World(studio())
    ann, ben = world.phone(PCMU, 500.0), world.phone(PCMU, 700.0)
    world.engine.bridge(1, 2)
    world.run(0.5 + at * 2 * TICK)
    world.do(Play(1, (Tone("1500", seconds=0.8),), stream=1, over=True, gain=0.25))
    world.run(0.8)
    hears(ann, ben, among=(ann, ben))
    assert ann.level(1500.0) == pytest.approx(LEVEL / 4, rel=0.1)
    assert ben.level(1500.0) < 50
    world.run(1.0)
    assert ann.level(1500.0) < 50
    assert world.ended == [(1, "done")]
    unbroken(ann, ben)


@pytest.mark.parametrize("formats", [(PCMU, PCMU), (PCMU, OPUS, G722)], ids=str)
def test_announcements_to_one_and_to_all(formats: tuple[Format, ...]) -> None:
    world = World(studio())
    phones = [world.phone(format_, 500.0 + 200 * place) for place, format_ in enumerate(formats)]
    everybody = tuple(world.phones)
    world.do(SetRoom(7, everybody))
    world.run(0.5)
    world.do(Play(1, (Tone("1500", seconds=1.0),), room=7), Play(2, (Tone("1900", seconds=1.0),), stream=1))
    world.run(0.8)
    for phone in phones[1:]:
        assert phone.level(1500.0) == pytest.approx(LEVEL, rel=0.1)
        hears(phone, among=phones)
    assert phones[0].level(1900.0) == pytest.approx(LEVEL, rel=0.1)
    assert phones[0].level(1500.0) < 100
    world.run(1.0)
    hears(phones[1], phones[0], among=phones[:2])
    assert sorted(world.ended) == [(1, "done"), (2, "done")]
    unbroken(*phones)


def test_plays_end_when_their_stream_or_room_does() -> None:
    world = World(studio())
    trio(world)
    world.do(SetRoom(7, (1, 2, 3)), Play(1, (Music(),), stream=1), Play(2, (Tone("900"),), room=7))
    world.do(Play(3, (Tone("700", seconds=0.2),), room=8), Play(4, (File("x"),), stream=2))
    world.run(0.1)
    world.engine.close(1)
    world.do(CloseRoom(7))
    world.run(0.1)
    assert sorted(world.ended) == [(1, "stopped"), (2, "stopped"), (3, "failed"), (4, "failed")]


def test_a_play_to_a_stream_alone_begins_and_ends_its_packets() -> None:
    world = World(studio())
    ann = world.phone(PCMU, 500.0)
    world.run(0.2)
    world.do(Play(1, (Tone("900", seconds=0.5), Tone("1100", seconds=0.5)), stream=1))
    world.run(1.5)
    assert len(ann.packets) in (50, 51)
    sound = ann.heard()
    assert tone_level(sound[800:3200], 8000, 900.0) == pytest.approx(LEVEL, rel=0.1)
    assert tone_level(sound[4800:7200], 8000, 1100.0) == pytest.approx(LEVEL, rel=0.1)
    assert [each.marker for each in ann.packets].count(True) == 1
    world.run(1.0)
    world.do(Play(2, (Tone("900", seconds=0.1),), stream=1))
    world.run(0.5)
    # RFC 3551 4.1: the first packet after a silence has the marker, and its timestamp tells how long that was.
    assert [index for index, each in enumerate(ann.packets) if each.marker] == [0, len(ann.packets) - 5]
    assert not world.engine.mixer.voices
    unbroken(ann)


@pytest.mark.parametrize("late", [0.04, 0.06, 0.08])
@pytest.mark.parametrize("format_", [PCMA, G722, OPUS, WIDE_L16], ids=lambda each: f"{each[1]}/{each[2]}")
def test_packets_that_are_all_late_from_now_on_are_heard_again_at_once(format_: Format, late: float) -> None:
    """As after a hold-up: the sender, or the ticks, are off by some frames. The delay grows by as much where nothing is
    heard anyway, also for a codec that conceals what is missing itself."""
    world = World()
    ann, ben = world.phone(format_, 1000.0), world.phone(PCMU, 600.0)
    world.engine.bridge(1, 2)
    world.run(1.0)
    ann.talks = False
    world.run(late)
    ann.talks = True
    before = len(ben.packets)
    world.run(0.8)
    frames = ben.heard().reshape(-1, 160)[before - 3 :].astype(float)
    levels = 2 * np.abs(frames @ np.exp(-2j * np.pi * 1000 / 8000 * np.arange(160))) / 160
    damaged = np.count_nonzero(levels < 8000 * 0.7)
    print(f"{format_[1]} {late} s: {damaged} frames", np.round(levels[:24] / 80).astype(int))
    assert damaged <= round(late / 0.02) + 3
