"""Recordings of one sample rate as rows of numpy columns: frames in, blocks of a second out to files. Pure.

    frames of this tick -> add: summed into the row's block -> advance: position moves by one frame
                                                                  |  a second is full, or the recording ends
    events <- RecordingStarted, Ended, Failed <- told by the file <- AudioFile.write

A recording is a contact's, not a leg's: streams come and go, the file goes on. What nobody filled is silence. In a
pause nothing is taken: no sample of it is ever in a block. `media.record_files` is the other side of `AudioFile`.

A bank has the rate of its files; a recording keeps the rate it began with. Whoever calls converts first where a
stream's room has another rate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from media.audio_commands import (
    AudioEvent,
    Label,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    StartRecording,
    StreamLabels,
)
from media.recording_timeline import MAX_ENTRIES, Channels, Stretch, Timeline

I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]
U8 = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.int16]

RATES: Final = (8000, 16000, 48000)
TICKS: Final = 50  # frames of 20 ms in a block: a second, what a crash costs
STALL_SECONDS: Final = 10.0  # a disk that hangs for so long fails its recordings
INITIAL_ROWS: Final = 16  # doubled whenever all are taken; 32 kB each at 8000 Hz

LEAST: Final = -32768
MOST: Final = 32767

# Constants as arrays of no dimension: numpy takes a Python number for one at the price of half an operation.
_CHANNELS = np.array(2)
_TICKS = np.array(TICKS)
_ONE = np.array(1)
_BOTH = np.array(0x0101, np.uint16)


State = Literal["recording", "ended", "failed"]


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What lies beside a recording as JSON. `wall`: Unix time of its first sample. Times are seconds of the file; a
    pause or stretch that has not ended yet ends at None."""

    contact: str
    recording: int
    wall: float
    rate: int
    channels: int
    format: Literal["wav", "opus"]
    state: State = "recording"
    seconds: float = 0.0
    label: Label = ()
    stretches: tuple[Stretch, ...] = ()
    pauses: tuple[tuple[float, float | None], ...] = ()
    why: str = ""


News = Literal["started", "ended", "failed"]
Told = Callable[[News, str], None]


class AudioFile(Protocol):
    """A file that is written elsewhere. `started` is told once it exists, then `ended` or `failed` (with why), each
    once, from the loop and never from inside one of these methods. None of them raises."""

    path: str

    def write(self, block: Samples) -> str:
        """Take (channels, frames), which the caller leaves alone from now on. Why it was not taken; "": it was."""

    def describe(self, description: Description) -> None:
        """Renew what lies beside it."""

    def close(self, description: Description) -> None:
        """Write what was taken, and end."""

    def abandon(self, description: Description) -> None:
        """End with what is written; forget what was taken beyond."""


class AudioFiles(Protocol):
    def refuses(self) -> str:
        """Why no file can be begun now; "": one can."""

    def open(self, description: Description, told: Told) -> AudioFile: ...


class _Recording:
    """What of a recording is no column."""

    __slots__ = (
        "channels",
        "command",
        "due",
        "failed",
        "file",
        "paused_at",
        "pauses",
        "row",
        "seconds",
        "timeline",
        "wall",
    )

    def __init__(self, command: StartRecording, row: int, wall: float) -> None:
        self.command = command
        self.row = row
        self.wall = wall
        self.channels = 2 if command.stereo else 1
        self.file: AudioFile | None = None
        self.failed = False
        self.timeline = Timeline(self.channels)
        self.pauses: list[tuple[float, float | None]] = []
        self.paused_at: float | None = None
        self.seconds: float | None = None  # how long it became, once it is stopped
        self.due = 0.0  # when it must have ended, once it is stopped

    def pause(self, paused: bool, at: float) -> None:
        if paused:
            self.paused_at = at
        elif self.paused_at is not None:
            begin, self.paused_at = self.paused_at, None
            if begin < at and len(self.pauses) < MAX_ENTRIES:
                self.pauses.append((begin, at))

    def description(self, rate: int, at: float, state: State, why: str = "") -> Description:
        pauses = tuple(self.pauses)
        if self.paused_at is not None:
            pauses += ((self.paused_at, None if state == "recording" else at),)
        return Description(
            contact=self.command.contact,
            recording=self.command.recording,
            wall=self.wall,
            rate=rate,
            channels=self.channels,
            format=self.command.format,
            state=state,
            seconds=at,
            label=self.command.label,
            stretches=self.timeline.stretches(None if state == "recording" else at),
            pauses=pauses,
            why=why,
        )


class Recordings:
    """The recordings of one rate. `events` is for the layer above, which empties it.

    A row is a recording's from `start` to `stop`, also after RecordingFailed, so that no late frame meets another
    recording in it: whoever passes a RecordingFailed on calls `stop`, which tells nothing more.

    _blocks    (rows, 2, TICKS, n) int16   the second being filled; mono uses channel 0
    _frames    the same as (rows * 2 * TICKS, n)
    _tick      the frame of the block that is filled in this tick
    _begin     the first frame of the block: rows begin at different ones, so that not all are full in one tick
    _position  samples since the start
    _stereo    1, or 0: every channel is channel 0
    _deaf      takes no frames: paused, failed, or no recording
    _filled    (rows, 2) a frame was added in this tick; _idle: what it is before any was (channel 1 of mono needs none)
    """

    def __init__(self, rate: int, files: AudioFiles) -> None:
        if rate not in RATES:
            raise ValueError(f"rate: expected one of {RATES}, not {rate}")
        self.rate = rate
        self.frame = rate // TICKS
        self.events: list[AudioEvent] = []
        self._files = files
        self._live: dict[int, _Recording] = {}
        self._ending: list[_Recording] = []
        self._by_row: list[_Recording | None] = []
        self._free: list[int] = []
        self._silenced = 0  # rows of recordings that are deaf
        self._size = 0
        self._blocks: Samples = np.zeros((0, 2, TICKS, self.frame), np.int16)
        self._tick: I64 = np.zeros(0, np.int64)
        self._begin: I64 = np.zeros(0, np.int64)
        self._position: I64 = np.zeros(0, np.int64)
        self._stereo: I64 = np.zeros(0, np.int64)
        self._deaf: Bool = np.zeros(0, np.bool_)
        self._filled: U8 = np.zeros((0, 2), np.uint8)
        self._idle: U8 = np.zeros((0, 2), np.uint8)
        self._turn: I64 = np.arange(64)
        self._grow(INITIAL_ROWS)

    def __len__(self) -> int:
        return len(self._live)

    def row(self, recording: int) -> int | None:
        state = self._live.get(recording)
        return None if state is None else state.row

    def seconds(self, recording: int) -> float:
        """How long its file is by now; 0.0 when there is none."""
        state = self._live.get(recording)
        return 0.0 if state is None else self._at(state.row)

    # -- commands

    def start(self, recording: int, command: StartRecording, now: float, wall: float) -> int:
        """Begin a file of this bank's rate; tells the row. The same again changes nothing. RecordingStarted follows,
        or RecordingFailed."""
        state = self._live.get(recording)
        if state is not None:
            return state.row
        if not self._free:
            self._grow(self._size * 2)
        row = self._free.pop()
        state = self._live[recording] = self._by_row[row] = _Recording(command, row, wall)
        self._tick[row] = self._begin[row] = row % TICKS
        self._position[row] = 0
        self._stereo[row] = command.stereo
        self._idle[row] = self._filled[row] = (0, not command.stereo)
        self._deaf[row] = False
        state.timeline.place(command.channels, command.labels, 0.0)
        why = self._files.refuses()
        if why:
            self._fail(state, why)
        else:
            description = state.description(self.rate, 0.0, "recording")
            state.file = self._files.open(description, partial(self._told, state))
        return row

    def channels(self, recording: int, channels: Channels, labels: StreamLabels = ()) -> None:
        """Who is on which channel from now on: for the timeline; `add` is told by its columns."""
        state = self._live.get(recording)
        if state is not None and state.timeline.place(channels, labels, self._at(state.row)):
            self._describe(state)

    def pause(self, recording: int, paused: bool) -> None:
        """Take nothing, write silence, from this tick on: also what was added in it already."""
        state = self._live.get(recording)
        if state is None or paused == (state.paused_at is not None):
            return
        row = state.row
        state.pause(paused, self._at(row))
        if not state.failed:
            self._silence(row, paused)
            if paused:
                self._blocks[row, :, self._tick[row]] = 0
            self._describe(state)

    def stop(self, recording: int, now: float) -> None:
        """End the file and free the row. RecordingEnded follows, or RecordingFailed, unless that was told before."""
        state = self._live.pop(recording, None)
        if state is None:
            return
        row, at = state.row, self._at(state.row)
        if not state.failed:
            self._hand_over(row)
        if self._deaf[row]:
            self._silenced -= 1
        self._deaf[row] = True
        self._blocks[row] = 0
        self._by_row[row] = None
        self._free.append(row)
        if state.failed or state.file is None:
            return
        state.pause(False, at)
        state.seconds = at
        state.due = now + STALL_SECONDS
        self._ending.append(state)
        state.file.close(state.description(self.rate, at, "ended"))

    def stop_all(self, now: float) -> None:
        for recording in list(self._live):
            self.stop(recording, now)

    def tend(self, now: float) -> None:
        """To be called once a second or so: fails what was stopped and whose file does not come to its end."""
        for state in [state for state in self._ending if state.due <= now]:
            self._ending.remove(state)
            self._fail(state, f"the disk has not answered for {STALL_SECONDS:.0f} seconds")

    # -- frames

    def add(self, rows: I64, channels: I64, frames: Samples) -> None:
        """Frames (k, n) of this tick for `channels` of `rows`. Several for one channel of one row are summed and the
        sum saturated; so is each call's with that of earlier calls in the tick."""
        if self._silenced:
            heard = ~self._deaf.take(rows)
            if np.count_nonzero(heard) != len(rows):
                rows, channels, frames = rows[heard], channels[heard], frames[heard]
        slots: I64 = channels & self._stereo.take(rows)
        slots += rows * _CHANNELS
        turn = self._turns(len(rows))
        self._owner[slots] = turn
        again = self._owner.take(slots) != turn
        if np.count_nonzero(again):
            several = self._shared
            shared = slots[again]
            several[shared] = True
            among = several.take(slots)
            several[shared] = False
            self._store(*_summed(slots[among], frames[among]))
            alone = ~among
            slots, frames = slots[alone], frames[alone]
        self._store(slots, frames)

    def advance(self, rows: I64) -> None:
        """This tick is over for these rows, each named once: what was not filled is silence."""
        ticks: I64 = self._tick.take(rows)
        gaps = self._filled_pairs.take(rows) != _BOTH
        if np.count_nonzero(gaps):
            quiet = rows[gaps]
            for channel in (0, 1):
                empty = quiet[self._filled[quiet, channel] == 0]
                self._blocks[empty, channel, self._tick.take(empty)] = 0
        self._filled_pairs[rows] = self._idle_pairs.take(rows)
        ticks += _ONE
        self._tick[rows] = ticks
        self._position[rows] += self.frame
        full = ticks == _TICKS
        if np.count_nonzero(full):
            for row in rows[full].tolist():
                self._hand_over(row)

    def _store(self, slots: I64, frames: Samples | I32) -> None:
        """Into the blocks, no slot twice; with what is there already where this tick brought something before."""
        where = slots * _TICKS
        where += self._tick.take(slots >> _ONE)
        taken = self._filled_slots.take(slots)
        if np.count_nonzero(taken):
            before = taken != 0
            there = where[before]
            sums = self._frames[there].astype(np.int32)
            sums += frames[before]
            self._frames[there] = _saturated(sums)
            fresh = ~before
            slots, where, frames = slots[fresh], where[fresh], frames[fresh]
        self._frames[where] = frames
        self._filled_slots[slots] = 1

    def _hand_over(self, row: int) -> None:
        """The block goes to the file; the row begins another."""
        state = self._by_row[row]
        begin, end = int(self._begin[row]), int(self._tick[row])
        self._begin[row] = self._tick[row] = 0
        if state is None or state.file is None or state.failed or begin == end:
            return
        block = self._blocks[row, : state.channels, begin:end].copy()
        why = state.file.write(block.reshape(state.channels, -1))
        if why:
            self._fail(state, why)

    # -- files

    def _told(self, state: _Recording, what: News, why: str) -> None:
        """What comes back of a file, except what comes too late: its failure was told."""
        if state.failed or state.file is None:
            return
        recording, path = state.command.recording, state.file.path
        if what == "started":
            self.events.append(RecordingStarted(recording, path))
        elif what == "failed":
            if state in self._ending:
                self._ending.remove(state)
            self._fail(state, why)
        else:
            self._ending.remove(state)
            seconds = self._seconds(state)
            pauses = tuple((begin, end) for begin, end in state.pauses if end is not None)
            self.events.append(RecordingEnded(recording, path, seconds, tuple(state.timeline.entries), pauses))

    def _fail(self, state: _Recording, why: str) -> None:
        state.failed = True
        path = "" if state.file is None else state.file.path
        self.events.append(RecordingFailed(state.command.recording, path, why))
        if self._by_row[state.row] is state:
            self._silence(state.row, True)
            self._blocks[state.row] = 0
        if state.file is not None:
            state.file.abandon(state.description(self.rate, self._seconds(state), "failed", why))

    def _describe(self, state: _Recording) -> None:
        if state.file is not None and not state.failed:
            state.file.describe(state.description(self.rate, self._at(state.row), "recording"))

    # -- columns

    def _at(self, row: int) -> float:
        return int(self._position[row]) / self.rate

    def _seconds(self, state: _Recording) -> float:
        return self._at(state.row) if state.seconds is None else state.seconds

    def _silence(self, row: int, deaf: bool) -> None:
        self._silenced += deaf - int(self._deaf[row])
        self._deaf[row] = deaf

    def _turns(self, count: int) -> I64:
        """0, 1, 2... `count` of them."""
        if count > len(self._turn):
            self._turn = np.arange(2 * count)
        return self._turn[:count]

    def _grow(self, size: int) -> None:
        more, self._size = size - self._size, size
        self._blocks = _longer(self._blocks, more)
        self._tick = _longer(self._tick, more)
        self._begin = _longer(self._begin, more)
        self._position = _longer(self._position, more)
        self._stereo = _longer(self._stereo, more)
        self._deaf = _longer(self._deaf, more)
        self._deaf[size - more :] = True
        self._filled = _longer(self._filled, more)
        self._idle = _longer(self._idle, more)
        self._frames = self._blocks.reshape(-1, self.frame)
        self._filled_slots = self._filled.reshape(-1)
        self._filled_pairs = self._filled.view(np.uint16).reshape(-1)
        self._idle_pairs = self._idle.view(np.uint16).reshape(-1)
        self._owner = np.zeros(size * 2, np.int64)
        self._shared = np.zeros(size * 2, np.bool_)
        self._by_row += [None] * more
        self._free += range(size - 1, size - more - 1, -1)


def _longer(column: npt.NDArray[Any], more: int) -> npt.NDArray[Any]:
    return np.concatenate((column, np.zeros((more, *column.shape[1:]), column.dtype)))


def _saturated(sums: I32) -> I32:
    """In place."""
    return np.clip(sums, LEAST, MOST, out=sums)


def _summed(slots: I64, frames: Samples) -> tuple[I64, I32]:
    """Each slot once, and the saturated sum of its frames, whatever their order.

    Every slot's first frame, then all second ones, then all third: `add.reduceat` along this axis takes ten times as
    long, and two streams are the rule."""
    order = slots.argsort(kind="stable")
    slots = slots.take(order)
    begins = np.flatnonzero(np.diff(slots, prepend=-1))
    counts = np.diff(begins, append=len(slots))
    sums = frames.take(order.take(begins), axis=0).astype(np.int32)
    for depth in range(1, int(counts.max())):
        deep = counts > depth
        if np.count_nonzero(deep) == len(begins):
            sums += frames.take(order.take(begins + depth), axis=0)
        else:
            sums[deep] += frames.take(order.take(begins[deep] + depth), axis=0)
    return slots.take(begins), _saturated(sums)
