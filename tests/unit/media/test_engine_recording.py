"""Recordings through the engine, into real files: who is on which channel, how long, and what is silent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
import soundfile
from audio_world import G722, LEVEL, OPUS, PCMA, PCMU, World, studio, tone_level

from media.audio_commands import (
    CloseRoom,
    Music,
    PauseRecording,
    Play,
    RecordingEnded,
    RecordingStarted,
    SetRecordingChannels,
    SetRoom,
    SetVolume,
    StartRecording,
    StopRecording,
)
from media.commands import Format
from media.record_files import RecordingFiles, RecordingSettings

CONTACT = "0192f3c4-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
DEADLINE = 20.0  # seconds that a test waits for the thread, at most
TONES = (500.0, 700.0, 900.0, 1100.0)


class Desk:
    """A world that records. Phones say TONES, in order."""

    def __init__(self, directory: Path, *formats: Format) -> None:
        self.posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
        settings = RecordingSettings.model_validate({"directory": directory, "minimum_free_mb": 0})
        self.files = RecordingFiles(settings, self.posted.put)
        self.world = World(studio(self.files))
        self.phones = [self.world.phone(format_, hertz) for format_, hertz in zip(formats, TONES, strict=False)]

    def start(self, *channels: tuple[int, int], rate: int = 8000, stereo: bool = True) -> None:
        self.world.do(StartRecording(1, CONTACT, channels, stereo=stereo, rate=rate))

    def finish(self) -> tuple[np.ndarray, int]:
        """Stop; the file (channels, samples) and its rate."""
        self.world.do(StopRecording(1))
        assert self.files.close(DEADLINE)
        while not self.posted.empty():
            self.posted.get()()
        self.world.run(0.1)
        self.ended = next(each for each in self.world.engine.events if isinstance(each, RecordingEnded))
        started = next(each for each in self.world.engine.events if isinstance(each, RecordingStarted))
        assert started.path == self.ended.path
        samples, rate = soundfile.read(self.ended.path, dtype="int16", always_2d=True)
        assert len(samples) / rate == pytest.approx(self.ended.seconds, abs=0.001)
        return samples.T, rate


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(*formats: Format) -> Desk:
        made.append(Desk(tmp_path, *formats))
        return made[-1]

    yield make
    for each in made:
        each.files.close(DEADLINE)


def spoken(sound: np.ndarray, rate: int, begin: float, end: float) -> set[float]:
    """Which tones are in these seconds of a channel, at their level."""
    part = sound[round(begin * rate) : round(end * rate)]
    levels = {hertz: tone_level(part, rate, hertz) for hertz in (*TONES, 2300.0)}
    loud = {hertz for hertz, level in levels.items() if level > 0.4 * LEVEL}
    assert all(level < 0.05 * LEVEL for hertz, level in levels.items() if hertz not in loud), levels
    return loud


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("formats", [(PCMU, PCMU), (PCMU, PCMA), (OPUS, OPUS), (G722, PCMU), (OPUS, G722)], ids=str)
def test_a_pair_is_recorded_on_two_channels(
    desk: Callable[..., Desk], formats: tuple[Format, Format], rate: int
) -> None:
    at = desk(*formats)
    world = at.world
    world.engine.bridge(1, 2)
    world.run(0.5)
    at.start((1, 0), (2, 1), rate=rate)
    # The same again changes nothing.
    at.start((1, 0), (2, 1), rate=rate)
    world.run(3.0)
    (left, right), found = at.finish()
    assert found == rate
    assert at.ended.seconds == pytest.approx(3.0, abs=0.021)
    assert spoken(left, rate, 0.3, 2.9) == {500.0}
    assert spoken(right, rate, 0.3, 2.9) == {700.0}
    for sound, hertz in ((left, 500.0), (right, 700.0)):
        steady = sound[rate // 2 : 5 * rate // 2]
        level = tone_level(steady, rate, hertz)
        assert level == pytest.approx(LEVEL, rel=0.1)
        # Nothing is missing or doubled in it.
        assert np.sqrt(2) * np.std(steady.astype(float)) == pytest.approx(level, rel=0.05)
    # What was relayed is relayed again when nobody records.
    relayed = formats[0] == formats[1]
    assert bool(world.engine.mixer.voices) != relayed
    for phone in at.phones:
        assert not phone.gaps()


def test_a_mixed_room_on_one_channel_and_two(desk: Callable[..., Desk]) -> None:
    at = desk(PCMU, PCMA, OPUS)
    world = at.world
    for stream in (1, 2, 3):
        world.do(SetVolume(stream, heard=0.5))
    world.do(SetRoom(7, (1, 2, 3)))
    at.start((1, 0), (2, 1), (3, 1))
    world.run(2.0)
    (left, right), _ = at.finish()
    assert spoken(left, 8000, 0.3, 1.9) == {500.0}
    assert spoken(right, 8000, 0.3, 1.9) == {700.0, 900.0}


def test_mono_has_all_in_one(desk: Callable[..., Desk]) -> None:
    at = desk(PCMU, PCMU)
    at.world.engine.bridge(1, 2)
    at.start((1, 0), (2, 1), stereo=False)
    at.world.run(2.0)
    (sound,), _ = at.finish()
    assert spoken(sound, 8000, 0.3, 1.9) == {500.0, 700.0}


def test_hold_transfer_and_pause_keep_channels_and_length(desk: Callable[..., Desk]) -> None:
    """customer - agent; the customer is held; the agent hands over to another; card data is told in a pause."""
    at = desk(PCMU, PCMU, OPUS)
    world = at.world
    world.do(SetRoom(7, (1, 2)))
    world.run(0.3)
    at.start((1, 0), (2, 1))
    world.run(2.0)
    world.do(SetRoom(7, (1, 2), gain=0.0), Play(1, (Music(),), stream=1))
    world.configure(at.phones[0], receive=False)
    world.run(2.0)
    world.configure(at.phones[0], receive=True)
    world.do(SetRoom(8, (1, 3)), CloseRoom(7), SetRecordingChannels(1, ((1, 0), (3, 1))))
    world.run(2.0)
    world.do(PauseRecording(1, True))
    world.run(1.0)
    world.do(PauseRecording(1, False))
    world.run(1.0)
    world.engine.close(3)
    world.run(1.0)
    (left, right), _ = at.finish()
    assert at.ended.seconds == pytest.approx(9.0, abs=0.041)
    assert spoken(left, 8000, 0.3, 1.9) == {500.0}
    assert spoken(right, 8000, 0.3, 1.9) == {700.0}
    assert spoken(left, 8000, 2.3, 3.9) == set()
    assert spoken(right, 8000, 2.3, 3.9) == {700.0}
    assert spoken(left, 8000, 4.5, 5.9) == {500.0}
    assert spoken(right, 8000, 4.5, 5.9) == {900.0}
    assert not np.any(left[8000 * 6 + 400 : 8000 * 7 - 400])
    assert not np.any(right[8000 * 6 + 400 : 8000 * 7 - 400])
    assert spoken(right, 8000, 7.3, 7.9) == {900.0}
    assert spoken(left, 8000, 8.3, 8.9) == {500.0}
    assert spoken(right, 8000, 8.3, 8.9) == set()
    ((begin, end),) = at.ended.pauses
    assert (begin, end) == (pytest.approx(6.0, abs=0.041), pytest.approx(7.0, abs=0.041))
    first = [(entry.stream, entry.channel) for entry in at.ended.timeline]
    assert first == [(1, 0), (2, 1), (2, -1), (3, 1)]
    assert at.ended.timeline[-1].at == pytest.approx(4.0, abs=0.041)
    beside = json.loads(Path(at.ended.path).with_suffix(".json").read_text())
    assert beside["contact"] == CONTACT


def test_a_contact_that_waits_alone_is_recorded_and_its_prompts_are_not(desk: Callable[..., Desk]) -> None:
    at = desk(PCMU)
    at.world.do(Play(1, (Music(),), stream=1))
    at.start((1, 0))
    at.world.run(2.0)
    (left, right), _ = at.finish()
    assert spoken(left, 8000, 0.3, 1.9) == {500.0}
    assert not np.any(right)


def test_the_muted_are_not_recorded(desk: Callable[..., Desk]) -> None:
    at = desk(PCMU, PCMU)
    at.world.engine.bridge(1, 2)
    at.start((1, 0), (2, 1))
    at.world.do(SetVolume(2, muted=True))
    at.world.run(1.0)
    (left, right), _ = at.finish()
    assert spoken(left, 8000, 0.3, 0.9) == {500.0}
    assert not np.any(right[800:])


def test_a_recording_goes_on_without_any_stream(desk: Callable[..., Desk]) -> None:
    at = desk(PCMU, PCMU)
    world = at.world
    world.engine.bridge(1, 2)
    at.start((1, 0), (2, 1))
    world.run(1.0)
    world.engine.close(1)
    world.engine.close(2)
    world.run(1.0)
    (left, right), _ = at.finish()
    assert at.ended.seconds == pytest.approx(2.0, abs=0.021)
    assert spoken(left, 8000, 0.3, 0.9) == {500.0}
    assert spoken(left, 8000, 1.1, 1.9) == set()
    assert spoken(right, 8000, 1.1, 1.9) == set()
    world.run(0.1)
    assert world.engine.mixer.idle
