"""What a player reads samples from, and the kinds of it that live in memory. Pure.

A `Playable` gives mono int16 samples at the rate it was opened for. It is read on the engine's loop and so never waits:
files come as arrays that a thread decoded, or as a stream that a thread fills ahead of the reader
(`media.prompt_files.FileStream`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from media.audio_commands import Source

I16 = npt.NDArray[np.int16]
F32 = npt.NDArray[np.float32]

RATES = (8000, 16000, 48000)  # of the engine's buses, Hz
FADE_SECONDS = 0.005  # how long what is cut takes to fall silent; a cut without it clicks
EMPTY: I16 = np.zeros(0, np.int16)
EMPTY.setflags(write=False)


class SourceError(Exception):
    """A source can't be played: which one, what is wrong, what to do about it. Also passed as a value."""


class Playable(Protocol):
    """Samples of one source, once through.

    ended: all was read. starved: the last read gave less because the thread is behind; more will come.
    why: with `ended`, what broke it off, "" for its proper end. at_seconds: of the source, what is read next.
    """

    ended: bool
    starved: bool
    why: str

    @property
    def at_seconds(self) -> float: ...

    def read(self, count: int) -> I16:
        """Up to `count` samples; fewer only at the end, or when starved. Not to be written to."""
        ...

    def close(self) -> None: ...


Ready = Callable[[Playable | SourceError], None]


class Opener(Protocol):
    """Begins to open a source; `ready` is called once, from inside the call or later on the same loop."""

    def __call__(self, source: Source, rate: int, ready: Ready, start: float, language: str) -> None: ...


def frozen(samples: I16) -> I16:
    """The same array, which nobody writes to any more: players of the same sound share it."""
    samples.setflags(write=False)
    return samples


def to_int16(samples: F32) -> I16:
    """Full scale 1.0 -> int16, rounded and clipped. Writes to `samples`."""
    samples *= np.float32(32768.0)
    np.rint(samples, out=samples)
    np.clip(samples, -32768.0, 32767.0, out=samples)
    return samples.astype(np.int16)


class MemorySound:
    """All of a sound as one array (samples,)."""

    __slots__ = ("_at", "_rate", "_samples", "_size", "ended", "starved", "why")

    def __init__(self, samples: I16, rate: int, start: float = 0.0) -> None:
        self._samples = samples
        self._size = len(samples)
        self._rate = rate
        self._at = min(max(0, round(start * rate)), self._size)
        self.ended = self._at >= self._size
        self.starved = False
        self.why = ""

    @property
    def at_seconds(self) -> float:
        return min(self._at, self._size) / self._rate

    def read(self, count: int) -> I16:
        at = self._at
        end = at + count
        self._at = end
        if end >= self._size:
            self.ended = True
        return self._samples[at:end]

    def close(self) -> None:
        self.ended = True


class LoopedSound:
    """`intro` once, then `loop` again and again (an empty one: nothing); at most `seconds` of it, faded at the cut.

    Silence and tones: silence is a loop of zeros.
    """

    __slots__ = ("_at", "_end", "_fade", "_intro", "_loop", "_rate", "ended", "starved", "why")

    def __init__(self, intro: I16, loop: I16, rate: int, seconds: float | None = None, start: float = 0.0) -> None:
        self._intro = intro
        self._loop = loop
        self._rate = rate
        whole = len(intro) if not len(loop) else None
        cut = None if seconds is None else round(seconds * rate)
        self._fade = 0
        if cut is not None and (whole is None or cut < whole):
            self._fade = min(round(FADE_SECONDS * rate), cut)
            whole = cut
        self._end = whole
        self._at = max(0, round(start * rate))
        if whole is not None:
            self._at = min(self._at, whole)
        self.ended = self._at == whole
        self.starved = False
        self.why = ""

    @property
    def at_seconds(self) -> float:
        return self._at / self._rate

    def read(self, count: int) -> I16:
        at = self._at
        end = self._end
        if end is not None and at + count >= end:
            count = max(0, end - at)
            self.ended = True
        self._at = at + count
        samples = self._take(at, count)
        if end is not None and self._at > end - self._fade:
            samples = self._faded(samples, at, end)
        return samples

    def _take(self, at: int, count: int) -> I16:
        intro, loop = self._intro, self._loop
        if at + count <= len(intro):
            return intro[at : at + count]
        if at >= len(intro):
            place = (at - len(intro)) % len(loop)
            if place + count <= len(loop):
                return loop[place : place + count]
        parts = [intro[at:]]
        missing = count - len(parts[0])
        place = max(0, at - len(intro)) % len(loop)
        while missing:
            part = loop[place : place + missing]
            parts.append(part)
            missing -= len(part)
            place = 0
        return np.concatenate(parts)

    def _faded(self, samples: I16, at: int, end: int) -> I16:
        left = np.arange(end - at, end - at - len(samples), -1, dtype=np.float32)
        gain = np.minimum(left / np.float32(self._fade + 1), np.float32(1.0))
        faded: I16 = np.rint(samples * gain).astype(np.int16)
        return faded

    def close(self) -> None:
        self.ended = True


class RateCrossing:
    """Goes on with a source at a new rate without a gap.

    The old playable is read on and converted crudely (it is for some hundredths of a second) until `successor`, opened
    at the new rate, has come and reached the same moment; then `handed_over` is called with it. Without a successor
    the old one is played to its end. Both rates are whole multiples of 8000 Hz and one divides the other.
    """

    __slots__ = ("_handed_over", "_held", "_left", "ended", "old", "old_rate", "rate", "starved", "successor", "why")

    def __init__(self, old: Playable, old_rate: int, rate: int, handed_over: Callable[[Playable], None]) -> None:
        self.old = old
        self.old_rate = old_rate
        self.rate = rate
        self.successor: Playable | None = None
        self._handed_over = handed_over
        self._left = EMPTY
        self._held = EMPTY
        self.ended = old.ended
        self.starved = False
        self.why = old.why

    @property
    def at_seconds(self) -> float:
        return self.old.at_seconds - len(self._held) / self.old_rate - len(self._left) / self.rate

    def read(self, count: int) -> I16:
        if self.successor is not None and self._caught_up(self.successor):
            samples = self.successor.read(count)
            self.ended, self.starved, self.why = self.successor.ended, self.successor.starved, self.successor.why
            self._handed_over(self.successor)
            self.old.close()
            return samples
        parts = [self._left]
        missing = count - len(self._left)
        if missing > 0:
            parts.append(self._converted(missing))
        samples = np.concatenate(parts)
        self._left = samples[count:]
        self.starved = self.old.starved
        self.why = self.old.why
        self.ended = self.old.ended and not len(self._left)
        return samples[:count]

    def _caught_up(self, successor: Playable) -> bool:
        """Whether it stands where the old one does, after leaving out what the old one has played meanwhile."""
        behind = round((self.at_seconds - successor.at_seconds) * self.rate)
        if behind > 0 and not successor.ended:
            behind -= len(successor.read(behind))
        return behind == 0 and not successor.ended

    def _converted(self, count: int) -> I16:
        if self.rate % self.old_rate == 0:
            factor = self.rate // self.old_rate
            return self._raised(-(-count // factor), factor)
        factor = self.old_rate // self.rate
        samples = self.old.read(count * factor).astype(np.float32)
        whole = len(samples) // factor
        means: I16 = np.rint(samples[: whole * factor].reshape(whole, factor).mean(axis=1)).astype(np.int16)
        return means

    def _raised(self, count: int, factor: int) -> I16:
        """`count` old samples as straight lines to the next one, for which one more is read and held."""
        points = np.concatenate((self._held, self.old.read(count + 1 - len(self._held)))).astype(np.float32)
        if self.old.ended:
            points = np.append(points, points[-1:])
            self._held = EMPTY
        else:
            self._held = points[-1:].astype(np.int16)
        steps = np.arange(factor, dtype=np.float32) / np.float32(factor)
        lines = points[:-1, None] + np.diff(points)[:, None] * steps
        raised: I16 = np.rint(lines.reshape(-1)).astype(np.int16)
        return raised

    def close(self) -> None:
        self.old.close()
        if self.successor is not None:
            self.successor.close()
        self.ended = True
