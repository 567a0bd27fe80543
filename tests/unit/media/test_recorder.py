"""The recorder's columns: length, channels, sums, pauses, timeline, failures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from kept_recordings import KeptFile, KeptFiles

from media.audio_commands import (
    LABEL_PAIRS,
    LABEL_TEXT,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    StartRecording,
    TimelineEntry,
    label,
)
from media.recorder import INITIAL_ROWS, STALL_SECONDS, TICKS, Recordings
from media.recording_timeline import MAX_ENTRIES, OFF

RATE = 8000
N = RATE // TICKS
CUSTOMER, AGENT, SECOND = 11, 12, 13
Samples = npt.NDArray[np.int16]


def tone(hertz: float, ticks: int, rate: int = RATE, level: int = 8000) -> Samples:
    """(ticks, n) frames of one tone."""
    n = rate // TICKS
    return (np.sin(2 * np.pi * hertz * np.arange(ticks * n) / rate) * level).astype(np.int16).reshape(ticks, n)


def strength(samples: Samples, hertz: float, rate: int = RATE) -> float:
    """The amplitude of a tone, by FFT; its period must fit."""
    spectrum = np.abs(np.fft.rfft(samples)) * 2 / len(samples)
    return float(spectrum[round(hertz * len(samples) / rate)])


class Bank:
    """A bank of recordings whose files are kept in memory; frames are added by (recording, channel)."""

    def __init__(self, rate: int = RATE) -> None:
        self.files = KeptFiles()
        self.recordings = Recordings(rate, self.files)
        self.now = 100.0

    def start(self, recording: int = 1, stereo: bool = True, contact: str = "c0ffee") -> KeptFile:
        channels = ((CUSTOMER, 0), (AGENT, 1))
        command = StartRecording(recording, contact, channels, stereo=stereo, rate=self.recordings.rate)
        self.recordings.start(recording, command, self.now, 1_790_000_000.0)
        return self.files.files[-1]

    def tick(self, *frames: tuple[int, int, Samples], only: tuple[int, ...] | None = None) -> None:
        """One tick of all recordings, or of some."""
        self.add(*frames)
        rows = [self.recordings.row(r) for r in only or tuple(self.recordings._live)]
        self.recordings.advance(np.array(rows, np.int64))

    def add(self, *frames: tuple[int, int, Samples]) -> None:
        if frames:
            self.recordings.add(
                np.array([self.recordings.row(recording) for recording, _, _ in frames]),
                np.array([channel for _, channel, _ in frames]),
                np.array([samples for _, _, samples in frames], np.int16),
            )

    def stop(self, recording: int = 1) -> None:
        self.recordings.stop(recording, self.now)


def test_a_file_is_as_long_as_the_recording_lasted() -> None:
    bank = Bank()
    file = bank.start()
    for _ in range(173):
        bank.tick()
    assert bank.recordings.seconds(1) == 3.46
    bank.stop()
    assert file.samples.shape == (2, 173 * N)
    assert not np.any(file.samples)
    file.told("started", "")
    file.told("ended", "")
    started, ended = bank.recordings.events
    assert started == RecordingStarted(1, file.path)
    assert isinstance(ended, RecordingEnded)
    assert ended.seconds == 3.46
    assert ended.path == file.path


def test_no_more_than_a_second_waits_in_the_bank() -> None:
    bank = Bank()
    files = [bank.start(recording) for recording in range(60)]
    for tick in range(1, 131):
        bank.tick()
        for file in files:
            written = sum(block.shape[1] for block in file.blocks)
            assert tick * N - written < RATE
    # Not all at once: rows hand their blocks over in different ticks.
    assert len({file.blocks[0].shape[1] for file in files}) == TICKS


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_the_customer_is_left_and_the_agent_right(rate: int) -> None:
    bank = Bank(rate)
    file = bank.start()
    left, right = tone(400, 100, rate), tone(1000, 100, rate)
    for tick in range(100):
        bank.tick((1, 1, right[tick]), (1, 0, left[tick]))
    bank.stop()
    assert np.array_equal(file.samples, [left.reshape(-1), right.reshape(-1)])
    assert strength(file.samples[0], 400, rate) == pytest.approx(8000, rel=0.01)
    assert strength(file.samples[0], 1000, rate) < 10
    assert strength(file.samples[1], 1000, rate) == pytest.approx(8000, rel=0.01)
    assert strength(file.samples[1], 400, rate) < 10


def test_mono_is_the_sum_of_both() -> None:
    bank = Bank()
    file = bank.start(stereo=False)
    left, right = tone(400, 100), tone(1000, 100)
    for tick in range(100):
        bank.tick((1, 0, left[tick]), (1, 1, right[tick]))
    bank.stop()
    assert file.samples.shape == (1, 100 * N)
    assert strength(file.samples[0], 400) == pytest.approx(8000, rel=0.01)
    assert strength(file.samples[0], 1000) == pytest.approx(8000, rel=0.01)
    assert file.descriptions[0].channels == 1
    assert {each.channel for each in file.descriptions[0].stretches} == {0}


def test_a_sum_is_saturated_once_whatever_the_order() -> None:
    """30000 + 30000 - 30000 is 30000, not what is left of 32767."""
    bank = Bank()
    file = bank.start()
    loud, low = np.full(N, 30000, np.int16), np.full(N, -30000, np.int16)
    bank.tick((1, 1, loud), (1, 1, loud), (1, 1, low), (1, 0, low), (1, 0, low))
    bank.tick((1, 1, low), (1, 0, np.full(N, -32768, np.int16)), (1, 1, loud), (1, 1, loud))
    bank.tick((1, 1, loud), (1, 1, loud))
    bank.stop()
    samples = file.samples.reshape(2, 3, N)
    assert np.all(samples[1] == np.array([[30000], [30000], [32767]]))
    assert np.all(samples[0] == np.array([[-32768], [-32768], [0]]))


def test_frames_of_several_calls_in_a_tick_are_summed() -> None:
    """Streams of one recording may be in rooms of different phases."""
    bank = Bank()
    file, other = bank.start(1), bank.start(2)
    bank.add((1, 0, np.full(N, 100, np.int16)), (2, 0, np.full(N, 1, np.int16)))
    bank.add((2, 1, np.full(N, 2, np.int16)), (1, 0, np.full(N, 20, np.int16)))
    bank.add((1, 0, np.full(N, 32767, np.int16)))
    bank.tick()
    bank.tick()
    bank.stop(1)
    bank.stop(2)
    assert np.array_equal(file.samples[:, ::N], [[32767, 0], [0, 0]])
    assert np.array_equal(other.samples[:, ::N], [[1, 0], [2, 0]])


def test_recordings_advance_apart() -> None:
    bank = Bank()
    one, two = bank.start(1), bank.start(2)
    for tick in range(70):
        bank.tick((1, 0, np.full(N, tick, np.int16)), only=(1,))
        if tick % 2:
            bank.tick((2, 1, np.full(N, tick, np.int16)), only=(2,))
    bank.stop(1)
    bank.stop(2)
    assert one.samples[0, ::N].tolist() == list(range(70))
    assert two.samples[1, ::N].tolist() == list(range(1, 70, 2))


def test_hold_and_transfer_leave_one_file() -> None:
    """The customer is held, then transferred to another agent."""
    bank = Bank()
    file = bank.start()
    first, second = tone(500, 50), tone(1500, 50)
    for tick in range(50):
        bank.tick((1, 1, first[tick]))
    for _ in range(50):
        bank.tick()  # hold: nobody is heard
    bank.recordings.channels(1, ((CUSTOMER, 0), (SECOND, 1)))
    for tick in range(50):
        bank.tick((1, 1, second[tick]))
    bank.stop()
    file.told("ended", "")
    right = file.samples[1].reshape(3, RATE)
    assert np.array_equal(right[0], first.reshape(-1))
    assert not np.any(right[1])
    assert strength(right[2], 1500) == pytest.approx(8000, rel=0.01)
    assert strength(right[2], 500) < 10
    (ended,) = bank.recordings.events
    assert isinstance(ended, RecordingEnded)
    assert ended.timeline == (
        TimelineEntry(0.0, CUSTOMER, 0),
        TimelineEntry(0.0, AGENT, 1),
        TimelineEntry(2.0, AGENT, OFF),
        TimelineEntry(2.0, SECOND, 1),
    )
    assert [(s.channel, s.stream, s.begin, s.end) for s in file.descriptions[-1].stretches] == [
        (0, CUSTOMER, 0.0, 3.0),
        (1, AGENT, 0.0, 2.0),
        (1, SECOND, 2.0, 3.0),
    ]


def test_the_timeline_tells_changes_alone() -> None:
    bank = Bank()
    file = bank.start()
    bank.recordings.channels(1, ((AGENT, 1), (CUSTOMER, 0)))
    assert len(file.descriptions) == 1
    bank.tick()
    bank.recordings.channels(1, ((AGENT, 0), (CUSTOMER, 0), (AGENT, 1)))
    assert [(s.channel, s.stream, s.begin, s.end) for s in file.descriptions[-1].stretches] == [
        (0, CUSTOMER, 0.0, None),
        (1, AGENT, 0.0, None),
        (0, AGENT, 0.02, None),
    ]
    assert file.descriptions[-1].state == "recording"
    bank.stop()
    file.told("ended", "")
    (ended,) = bank.recordings.events
    assert isinstance(ended, RecordingEnded)
    assert ended.timeline[2:] == (TimelineEntry(0.02, AGENT, 0), TimelineEntry(0.02, AGENT, 1))


def test_labels_say_who_is_on_a_channel() -> None:
    """A stream without a label keeps the one that it has; another label is another stretch."""
    bank = Bank()
    ann, ben, cem = label(number="101"), label(number="102", name="Ben"), label(number="103")
    channels = ((CUSTOMER, 0), (AGENT, 1))
    call = label(dialled="102")
    command = StartRecording(1, "c0ffee", channels, label=call, labels=((CUSTOMER, ann), (AGENT, ben)))
    bank.recordings.start(1, command, bank.now, 0.0)
    [file] = bank.files.files
    for labels in ((), ((AGENT, ben),), ((AGENT, cem),)):
        bank.recordings.channels(1, channels, labels)
        for _ in range(50):
            bank.tick()
    bank.stop()
    assert len(file.descriptions) == 3, "begin, another label, end"
    assert file.descriptions[-1].label == call
    assert [(s.stream, s.begin, s.end, s.label) for s in file.descriptions[-1].stretches] == [
        (CUSTOMER, 0.0, 3.0, ann),
        (AGENT, 0.0, 2.0, ben),
        (AGENT, 2.0, 3.0, cem),
    ]


def test_a_label_is_bounded_and_text() -> None:
    long = label(name="x" * 1000, number="\udc80\ud800ok", empty="")
    assert long == (("name", "x" * LABEL_TEXT), ("number", "??ok"))
    assert len(label(**{f"n{n}": "x" for n in range(100)})) == LABEL_PAIRS


def test_the_timeline_is_bounded() -> None:
    bank = Bank()
    file = bank.start()
    for change in range(MAX_ENTRIES):
        bank.recordings.channels(1, ((CUSTOMER, change & 1), (change, 0)))
        bank.tick()
        del file.descriptions[:-1]
    bank.stop()
    file.told("ended", "")
    (ended,) = bank.recordings.events
    assert isinstance(ended, RecordingEnded)
    assert len(ended.timeline) == MAX_ENTRIES
    assert MAX_ENTRIES <= len(file.descriptions[-1].stretches) <= MAX_ENTRIES + 2


def test_a_pause_is_exactly_silent_and_nothing_of_it_is_kept() -> None:
    bank = Bank()
    file, other = bank.start(1), bank.start(2)
    said, card = np.full(N, 111, np.int16), np.full(N, 4929, np.int16)
    for _ in range(60):
        bank.tick((1, 0, said), (1, 1, said), (2, 0, said))
    bank.recordings.pause(1, True)
    bank.recordings.pause(1, True)
    for _ in range(30):
        bank.tick((1, 0, card), (2, 0, said), (1, 1, card), (1, 1, card))
        assert 4929 not in bank.recordings._blocks
        assert 2 * 4929 not in bank.recordings._blocks
    assert file.descriptions[-1].pauses == ((1.2, None),)
    bank.recordings.pause(1, False)
    for _ in range(10):
        bank.tick((1, 0, said), (2, 0, said))
    bank.stop(1)
    bank.stop(2)
    file.told("ended", "")
    assert set(file.samples[0, : 60 * N].tolist()) == {111}
    assert not np.any(file.samples[:, 60 * N : 90 * N])
    assert set(file.samples[0, 90 * N :].tolist()) == {111}
    assert set(other.samples[0].tolist()) == {111}
    (ended,) = bank.recordings.events
    assert isinstance(ended, RecordingEnded)
    assert ended.pauses == ((1.2, 1.8),)


def test_a_pause_holds_from_the_tick_it_comes_in() -> None:
    """Also of what was added in this tick before."""
    bank = Bank()
    file = bank.start()
    bank.tick((1, 0, np.full(N, 5, np.int16)))
    bank.add((1, 0, np.full(N, 4929, np.int16)))
    bank.recordings.pause(1, True)
    assert 4929 not in bank.recordings._blocks
    bank.tick()
    bank.stop()
    file.told("ended", "")
    assert file.samples[0, ::N].tolist() == [5, 0]
    (ended,) = bank.recordings.events
    assert isinstance(ended, RecordingEnded)
    assert ended.pauses == ((0.02, 0.04),)  # ended with the recording


def test_nothing_of_an_ended_recording_is_left_in_its_row() -> None:
    bank = Bank()
    bank.start(1)
    bank.tick((1, 0, np.full(N, 4929, np.int16)))
    bank.stop(1)
    assert not np.any(bank.recordings._blocks)
    file = bank.start(2)
    bank.tick()
    bank.stop(2)
    assert not np.any(file.samples)


def test_rows_grow_and_keep_what_they_hold() -> None:
    bank = Bank()
    files = []
    for recording in range(3 * INITIAL_ROWS):
        files.append(bank.start(recording))
        bank.tick((recording, 1, np.full(N, recording + 1, np.int16)))
    for recording in range(3 * INITIAL_ROWS):
        bank.stop(recording)
    for recording, file in enumerate(files):
        assert file.samples.shape[1] == (3 * INITIAL_ROWS - recording) * N
        assert set(file.samples[1, :N].tolist()) == {recording + 1}
        assert not np.any(file.samples[1, N:])


def test_commands_may_come_twice_or_too_late() -> None:
    bank = Bank()
    bank.start()
    command = StartRecording(1, "c0ffee", ())
    assert bank.recordings.start(1, command, bank.now, 0.0) == bank.recordings.row(1)
    assert len(bank.files.files) == 1
    bank.stop()
    bank.stop()
    bank.recordings.pause(1, True)
    bank.recordings.channels(1, ())
    assert bank.recordings.row(1) is None
    assert bank.recordings.seconds(1) == 0.0
    assert len(bank.recordings) == 0
    assert bank.recordings.events == []
    assert bank.files.files[0].ended == "close"


def test_a_file_that_fails_is_told_once_and_the_rest_goes_on() -> None:
    bank = Bank()
    file, other = bank.start(1), bank.start(2)
    said = np.full(N, 111, np.int16)
    bank.tick((1, 0, said), (2, 0, said))
    file.told("failed", "No space left on device: /recordings/1")
    for _ in range(120):
        bank.tick((1, 0, said), (2, 0, said))
    bank.recordings.pause(1, True)
    bank.recordings.channels(1, ())
    bank.stop(1)
    bank.stop(2)
    file.told("ended", "")
    file.told("failed", "again")
    assert bank.recordings.events == [RecordingFailed(1, file.path, "No space left on device: /recordings/1")]
    assert file.blocks == []
    assert set(other.samples[0].tolist()) == {111}
    assert other.samples.shape[1] == 121 * N


def test_a_file_that_takes_no_more_fails_its_recording() -> None:
    """The disk hangs: the file says so when its buffer is full."""
    bank = Bank()
    file = bank.start()
    said = np.full(N, 111, np.int16)
    file.refuses = "the disk is too slow"
    for _ in range(3 * TICKS):
        bank.tick((1, 0, said))
    assert bank.recordings.events == [RecordingFailed(1, file.path, "the disk is too slow")]
    assert file.ended == "abandon"
    assert file.descriptions[-1].state == "failed"
    assert 111 not in bank.recordings._blocks
    row = bank.recordings.row(1)
    bank.stop()
    assert len(bank.recordings.events) == 1
    # The row is as good as new.
    file = bank.start(2)
    assert bank.recordings.row(2) == row
    bank.tick((2, 0, said))
    bank.stop(2)
    assert set(file.samples[0].tolist()) == {111}


def test_a_last_block_that_is_not_taken() -> None:
    bank = Bank()
    file = bank.start()
    bank.tick((1, 0, np.full(N, 111, np.int16)))
    file.refuses = "the disk is too slow"
    bank.stop()
    assert bank.recordings.events == [RecordingFailed(1, file.path, "the disk is too slow")]
    assert file.ended == "abandon"


def test_a_recording_that_does_not_end_fails_in_time() -> None:
    bank = Bank()
    file, other = bank.start(1), bank.start(2)
    bank.tick()
    bank.tick(only=(1,))
    bank.stop(1)
    bank.stop(2)
    other.told("ended", "")
    bank.recordings.events.clear()
    bank.recordings.tend(bank.now + STALL_SECONDS - 0.1)
    assert bank.recordings.events == []
    bank.start(3)  # in one of their rows
    bank.recordings.tend(bank.now + STALL_SECONDS)
    bank.recordings.tend(bank.now + 2 * STALL_SECONDS)
    file.told("ended", "")
    assert bank.recordings.events == [RecordingFailed(1, file.path, "the disk has not answered for 10 seconds")]
    assert file.ended == "closeabandon"
    assert file.descriptions[-1].seconds == 0.04


def test_no_file_can_be_begun() -> None:
    bank = Bank()
    bank.files.full = "the writer was closed"
    bank.recordings.start(1, StartRecording(1, "c0ffee", ()), bank.now, 0.0)
    for _ in range(TICKS + 1):
        bank.tick((1, 0, np.full(N, 111, np.int16)))
    bank.stop()
    assert bank.recordings.events == [RecordingFailed(1, "", "the writer was closed")]
    assert bank.files.files == []


def test_everything_is_stopped() -> None:
    bank = Bank()
    files = [bank.start(recording) for recording in range(3)]
    bank.recordings.stop_all(bank.now)
    assert [file.ended for file in files] == ["close"] * 3


def test_channels_that_are_none_are_taken_for_one() -> None:
    """They come over the line, and index columns."""
    bank = Bank()
    file = bank.start()
    bank.tick((1, -1, np.full(N, 1, np.int16)), (1, 6, np.full(N, 2, np.int16)))
    bank.stop()
    assert file.samples[:, 0].tolist() == [2, 1]


def test_no_frames_at_all() -> None:
    bank = Bank()
    nothing = np.zeros(0, np.int64)
    bank.recordings.add(nothing, nothing, np.zeros((0, N), np.int16))
    bank.recordings.advance(nothing)
    assert bank.recordings.events == []


def test_a_rate_that_no_bank_has() -> None:
    with pytest.raises(ValueError, match="44100"):
        Recordings(44100, KeptFiles())
