"""Plays and recordings under way: what the engine is told, and whom its answers are for."""

from __future__ import annotations

import structlog

from media.audio_commands import (
    File,
    Play,
    PlayEnded,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    StartRecording,
    label,
)
from softswitch.audio_line import AudioLine, RecordingForm
from softswitch.contact import Contact
from softswitch.vocabulary import Party, Record
from tests.virtual.network import FakeMedia


def line() -> tuple[AudioLine, FakeMedia]:
    media = FakeMedia()
    return AudioLine(media), media


def test_the_end_of_a_play_is_its_contacts() -> None:
    audio, media = line()
    play = Play(1, (File("x"),), stream=5)
    audio.command(play, "c1", 0.0)
    assert media.commands == [play]
    assert audio.owner(PlayEnded(2, "done")) == ""
    assert audio.owner(PlayEnded(1, "done")) == "c1"
    assert audio.owner(PlayEnded(1, "done")) == ""
    assert len(audio) == 0


def record(audio: AudioLine, recording: int, form: RecordingForm, contact: str = "c1") -> None:
    who = Contact(contact, 0.0, 1000.0, Party("101"), "102")
    effect = Record(recording, ((5, 0),), ((5, label(number="101")),))
    audio.record(effect, form, who, label(dialled="102"), 0.0)


def test_a_recordings_last_word_is_waited_for() -> None:
    audio, media = line()
    record(audio, 1, RecordingForm(format="opus", rate=16000, stereo=False))
    labels = ((5, (("number", "101"),)),)
    assert media.commands == [
        StartRecording(1, "c1", ((5, 0),), False, "opus", 16000, (("dialled", "102"),), labels),
    ]
    assert audio.owner(RecordingStarted(1, "p")) == "c1"
    assert audio.recording("c1")
    assert not audio.recording("c2")
    assert audio.owner(RecordingEnded(1, "p", 1.0)) == "c1"
    assert not audio.recording("c1")
    assert audio.owner(RecordingEnded(1, "p", 1.0)) == ""


def test_the_first_word_is_told_to_whoever_waits_for_it() -> None:
    audio, _ = line()
    told: list[object] = []
    for recording in (1, 2, 3):
        record(audio, recording, RecordingForm())
        audio.await_word(recording, told.append)
    begun, failed = RecordingStarted(1, "p"), RecordingFailed(2, "", "disk full")
    audio.await_no_more(3)
    for event in (begun, failed, RecordingStarted(3, "p"), RecordingEnded(1, "p", 1.0)):
        audio.owner(event)
    assert told == [begun, failed]


def test_failures_are_logged_and_what_is_over_is_forgotten() -> None:
    audio, _ = line()
    with structlog.testing.capture_logs() as logs:
        record(audio, 1, RecordingForm())
        record(audio, 2, RecordingForm())
        audio.command(Play(3, (File("x"),), stream=5), "c1", 0.0)
        audio.command(Play(4, (File("x"),), stream=5), "c1", 0.0)
        audio.command(Play(5, (File("x"),), stream=5), "c1", 0.0)
        audio.owner(RecordingFailed(1, "p", "disk full"))
        audio.owner(PlayEnded(3, "failed", "no such file"))
        audio.owner(PlayEnded(5, "lost", "media worker lost"))
        audio.forget("c1")
    assert logs == [
        {"event": "recording failed", "log_level": "error", "contact": "c1", "path": "p", "why": "disk full"},
        {"event": "nothing played", "log_level": "error", "contact": "c1", "why": "no such file"},
        {"event": "play lost", "log_level": "info", "contact": "c1", "why": "media worker lost"},
        {"event": "recording never ended", "log_level": "error", "contact": "c1", "recording": 2},
    ]
    assert len(audio) == 0


def test_nothing_empty_is_logged() -> None:
    """A play of a call that is over is nobody's; a recording may fail before it has a path."""
    audio, _ = line()
    with structlog.testing.capture_logs() as logs:
        audio.owner(PlayEnded(9, "failed", "its stream or room is on no media worker"))
        record(audio, 1, RecordingForm())
        audio.owner(RecordingFailed(1, "", "disk full"))
        audio.owner(RecordingFailed(99, "/r/of-a-process-before.wav", "disk full"))
        audio.owner(RecordingEnded(98, "/r/of-it-too.wav", 61.0))
    assert [each for each in logs if each["log_level"] != "debug"] == [
        {"event": "recording failed", "log_level": "error", "contact": "c1", "why": "disk full"},
        {"event": "recording failed", "log_level": "error", "path": "/r/of-a-process-before.wav", "why": "disk full"},
        {
            "event": "recording of no call here ended",
            "log_level": "warning",
            "path": "/r/of-it-too.wav",
            "seconds": 61.0,
        },
    ]
