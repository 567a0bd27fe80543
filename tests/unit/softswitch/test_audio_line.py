"""Conferences, plays and recordings under way: what the engine is told, and whom its answers are for."""

from __future__ import annotations

import itertools

import structlog

from media.audio_commands import (
    AudioCommand,
    CloseRoom,
    File,
    Play,
    PlayEnded,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    SetRoom,
    StartRecording,
)
from softswitch.audio_line import AudioLine, RecordingForm
from softswitch.rooms import Rooms
from tests.virtual.network import FakeMedia


def line() -> tuple[AudioLine, FakeMedia]:
    media, ids = FakeMedia(), itertools.count(100)
    return AudioLine(media, lambda: next(ids)), media


def kinds(commands: list[AudioCommand]) -> list[str]:
    return [type(command).__name__ for command in commands]


def test_a_room_is_made_with_its_first_member_and_closed_with_its_last() -> None:
    ids = itertools.count(1)
    rooms = Rooms(lambda: next(ids))
    first = rooms.enter("a", 7)
    assert kinds(first) == ["SetRoom", "Play"]
    assert first[0] == SetRoom(1, (7,))
    assert rooms.enter("a", 8)[0] == SetRoom(1, (7, 8))
    assert rooms.leave(7)[0] == SetRoom(1, (8,))
    assert rooms.leave(7) == []
    assert rooms.leave(8) == [CloseRoom(1)]
    assert len(rooms) == 0
    assert rooms.members("a") == ()


def test_who_is_in_a_room_already_comes_back_without_a_beep() -> None:
    ids = itertools.count(1)
    rooms = Rooms(lambda: next(ids))
    rooms.enter("a", 7)
    rooms.enter("a", 8)
    assert rooms.enter("a", 7) == [SetRoom(1, (7, 8))]
    assert rooms.conference(7) == "a"
    rooms.leave(7)
    assert rooms.conference(7) == ""
    assert kinds(rooms.enter("a", 7)) == ["SetRoom", "Play"]


def test_the_end_of_a_play_is_its_contacts() -> None:
    audio, media = line()
    play = Play(1, (File("x"),), stream=5)
    audio.command(play, "c1", 0.0)
    assert media.commands == [play]
    assert audio.owner(PlayEnded(2, "done")) == ""
    assert audio.owner(PlayEnded(1, "done")) == "c1"
    assert audio.owner(PlayEnded(1, "done")) == ""
    assert len(audio) == 0


def test_a_recordings_last_word_is_waited_for() -> None:
    audio, media = line()
    form = RecordingForm(format="opus", rate=16000, stereo=False)
    audio.record(1, ((5, 0),), form, "c1", 0.0)
    assert media.commands == [StartRecording(1, "c1", ((5, 0),), False, "opus", 16000)]
    assert audio.owner(RecordingStarted(1, "p")) == "c1"
    assert audio.recording("c1")
    assert not audio.recording("c2")
    assert audio.owner(RecordingEnded(1, "p", 1.0)) == "c1"
    assert not audio.recording("c1")
    assert audio.owner(RecordingEnded(1, "p", 1.0)) == ""


def test_failures_are_logged_and_what_is_over_is_forgotten() -> None:
    audio, _ = line()
    with structlog.testing.capture_logs() as logs:
        audio.record(1, (), RecordingForm(), "c1", 0.0)
        audio.record(2, (), RecordingForm(), "c1", 0.0)
        audio.command(Play(3, (File("x"),), stream=5), "c1", 0.0)
        audio.command(Play(4, (File("x"),), stream=5), "c1", 0.0)
        audio.owner(RecordingFailed(1, "p", "disk full"))
        audio.owner(PlayEnded(3, "failed", "no such file"))
        audio.owner(PlayEnded(5, "lost", "media worker lost"))
        audio.forget("c1")
    assert [(each["event"], each["log_level"]) for each in logs] == [
        ("recording failed", "error"),
        ("nothing played", "error"),
        ("play lost", "info"),
        ("recording never ended", "error"),
    ]
    assert len(audio) == 0
