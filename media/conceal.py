"""Packet loss concealment for decoded samples, in the manner of ITU-T G.711 Appendix I, for all rows at once.

What was heard last is repeated in whole pitch periods:

    history ............|--- period ---|  erasure: period period period ... fading to silence   | real samples
                             lag        ^ joined without a step                                 ^ cross-faded

- The pitch lag is where the last 20 ms correlate best with what came 5 to 15 ms before them (200 to 66 Hz).
- One period is repeated for 10 ms, two for the next 10 ms, three from then on: a single one would sound like a tone.
  Periods overlap their successors by a quarter.
- Full level for 10 ms, then 20 % less every 10 ms: silence after 60 ms.
- Real samples fade in over a quarter of a period and 4 ms for every 10 ms of erasure, 10 ms at most.

Appendix I delays everything by 3.75 ms, to overlap the start of an erasure with what came before it. Nothing is delayed
here: the step between the last sample and the repeated period is taken out over a quarter of a period instead.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

HISTORY = 3  # frames kept: three of the longest periods, and a quarter to overlap with
SEARCH_RATE = 4000  # Hz at which the pitch is sought first, then refined
FADES_PER_SECOND = 100  # 10 ms: level and number of periods change by it
INITIAL_ROWS = 16


class Concealer:
    """Rows of one sampling rate (8000, 16000 or 48000 Hz), named by the numbers of their playout rows.

    Every tick: `conceal` fills what is missing in the frames, `heard` remembers them. By row, for who does the same for
    frames that are whole: `ages`, samples since an erasure began, 0: there is none; `history` (rows, HISTORY, n), or
    `frames` (rows * HISTORY, n), in which the `oldest` of a row is written next.
    """

    __slots__ = (
        "_capacity",
        "_fade",
        "_lag",
        "_since",
        "_steps",
        "_tail",
        "ages",
        "frames",
        "history",
        "n",
        "oldest",
        "rate",
    )

    def __init__(self, rate: int) -> None:
        if rate % SEARCH_RATE:
            raise ValueError(f"sampling rate {rate}: a multiple of {SEARCH_RATE} is needed")
        self.rate = rate
        self.n = n = rate // 50
        self._capacity = 0
        self._steps: I64 = np.arange(n)
        self.history = np.zeros((0, HISTORY, n), np.int16)
        self.oldest = np.zeros(0, np.int64)  # where the next frame goes: the oldest
        self.ages = np.zeros(0, np.int64)  # samples since the erasure began, 0: there is none
        self._since = np.zeros(0, np.int64)  # samples since it ended, while it fades out
        self._lag = np.ones(0, np.int64)
        self._fade = np.ones(0, np.int64)  # how long it fades out
        self._tail = np.zeros((0, HISTORY * n), np.float32)  # what is repeated
        self._grow(INITIAL_ROWS)

    def reset(self, row: int) -> None:
        """A new voice: nothing was heard."""
        if row >= self._capacity:
            self._grow(max(self._capacity, row + 1 - self._capacity))
        self.history[row] = 0
        self.ages[row] = self._since[row] = 0

    def heard(self, rows: I64, frames: I16) -> None:
        """The frames (k, n) that were played, concealment among them."""
        slot = self.oldest.take(rows)
        self.frames[rows * HISTORY + slot] = frames
        self.oldest[rows] = (slot + 1) % HISTORY

    def conceal(self, rows: I64, frames: I16, missing: Bool, holes: Bool) -> None:
        """Fill missing samples, and blend real ones in after them, in `frames` (k, n). `holes`: a line for each row
        that is `missing` some. Rows that lack nothing and lacked nothing cost nothing."""
        at = np.flatnonzero(missing | (self.ages.take(rows) != 0))
        if not at.size:
            return
        lacking = np.zeros((len(at), self.n), np.bool_)
        lacking[missing[at]] = holes
        voices = rows[at]
        sound = frames[at].astype(np.float32)
        # Samples missing from the start of the frame: an erasure that began before it goes on, or one begins with it.
        lead = np.where(lacking.all(axis=1), self.n, lacking.argmin(axis=1))
        history = self._ordered(voices)
        begins = (lead > 0) & (self.ages[voices] == 0)
        if np.count_nonzero(begins):
            self._begin(voices[begins], history[begins])
        going = np.flatnonzero(self.ages[voices] + lead > 0)
        sound[going] = self._go_on(voices[going], sound[going], lead[going])
        rest = lacking & (self._steps >= lead[:, None])
        holed = np.flatnonzero(rest.any(axis=1))
        if holed.size:
            sound[holed] = self._within(voices[holed], sound[holed], rest[holed], history[holed])
        frames[at] = np.rint(sound).clip(-32767, 32767).astype(np.int16)

    # -- an erasure

    def _begin(self, rows: I64, tail: F32) -> None:
        self._tail[rows] = tail
        self._lag[rows] = self._pitch(tail)
        self._since[rows] = 0

    def _go_on(self, rows: I64, sound: F32, lead: I64) -> F32:
        """Frames whose first `lead` samples are missing, or at whose start an erasure still fades out."""
        n = self.n
        age, since = self.ages[rows], self._since[rows]
        ends = (lead < n) & ((lead > 0) | (since == 0))
        fade = np.where(ends, self._fading(rows, age + lead), self._fade[rows])
        since = np.where(lead > 0, 0, since)
        made = self._made(rows, age[:, None] + self._steps)
        past = self._steps - lead[:, None] + since[:, None] + 1
        weight = (1 - past / fade[:, None]).clip(0, 1).astype(np.float32)
        weight[self._steps < lead[:, None]] = 1
        since += n - lead
        over = (lead < n) & (since >= fade)
        self._fade[rows] = fade
        self._since[rows] = np.where(over | (lead == n), 0, since)
        # What is older than the level lasts is silence, however old.
        self.ages[rows] = np.where(over, 0, np.minimum(age + n, self.rate))
        mixed: F32 = sound + (made - sound) * weight
        return mixed

    def _within(self, rows: I64, sound: F32, lacking: Bool, history: F32) -> F32:
        """Frames in whose midst samples are missing."""
        n, steps = self.n, self._steps
        first = lacking.argmax(axis=1)
        before = np.concatenate((history, sound), axis=1)
        self._begin(rows, np.take_along_axis(before, first[:, None] + np.arange(HISTORY * n), axis=1))
        made = self._made(rows, (steps - first[:, None]).clip(0))
        last = np.maximum.accumulate(np.where(lacking, steps, -n), axis=1)
        fade = self._fading(rows, lacking.sum(axis=1))
        weight = (1 - (steps - last) / (fade + 1)[:, None]).clip(0, 1).astype(np.float32)
        since = n - 1 - last[:, -1]
        self._fade[rows] = fade
        self._since[rows] = since
        self.ages[rows] = np.where(since < fade, n - first, 0)
        mixed: F32 = sound + (made - sound) * weight
        return mixed

    def _made(self, rows: I64, index: I64) -> F32:
        """Samples (k, n) at `index` samples from the beginning of the erasure."""
        tenth = self.rate // FADES_PER_SECOND
        made = np.zeros(index.shape, np.float32)
        gain = (1 - (index - tenth) / (5 * tenth)).clip(0, 1).astype(np.float32)
        live = np.flatnonzero(gain[:, 0] > 0)
        if not live.size:
            return made
        rows, index = rows[live], index[live]
        tail = self._tail[rows]
        lag = self._lag[rows][:, None]
        quarter = lag // 4
        sound = np.zeros(index.shape, np.float32)
        # How far two and three periods have taken over.
        two = ((index - tenth) / quarter).clip(0, 1).astype(np.float32)
        three = ((index - 2 * tenth) / quarter).clip(0, 1).astype(np.float32)
        for periods, weight in ((1, 1 - two), (2, two - three), (3, three)):
            if weight.any():
                sound += weight * _repeated(tail, index, periods * lag, quarter)
        step = tail[:, -1:] - np.take_along_axis(tail, HISTORY * self.n - 1 - lag, axis=1)
        sound += step * (1 - (index + 1) / quarter).clip(0, 1).astype(np.float32)
        made[live] = sound * gain[live]
        return made

    def _fading(self, rows: I64, erased: I64) -> I64:
        """How many samples real ones fade in over, after so many erased ones."""
        fading: I64 = np.minimum(self._lag[rows] // 4 + erased * 2 // 5, self.rate // FADES_PER_SECOND)
        return fading

    # -- history

    def _ordered(self, rows: I64) -> F32:
        """(k, HISTORY * n), the oldest first."""
        slots = (self.oldest[rows][:, None] + np.arange(HISTORY)) % HISTORY
        history: F32 = self.history[rows[:, None], slots].reshape(len(rows), -1).astype(np.float32)
        return history

    def _pitch(self, tail: F32) -> I64:
        """The lag of each row, in samples."""
        factor = self.rate // SEARCH_RATE
        coarse = tail.reshape(len(tail), -1, factor).mean(axis=2)
        shortest, longest = SEARCH_RATE // 200, SEARCH_RATE * 3 // 200
        window = SEARCH_RATE // 50
        # Every stretch that ends where a lag begins, the shortest lag first.
        size = coarse.shape[1]
        stretches = np.lib.stride_tricks.sliding_window_view(coarse, window, axis=1)
        earlier = stretches[:, size - window - longest : size - window - shortest + 1][:, ::-1]
        best = (shortest + _likest(earlier, coarse[:, size - window :])) * factor
        lags = (best[:, None] + np.arange(-factor, factor + 1)).clip(shortest * factor, longest * factor)
        stretches = np.lib.stride_tricks.sliding_window_view(tail, self.n, axis=1)
        size = tail.shape[1]
        near = stretches[np.arange(len(tail))[:, None], size - self.n - lags]
        chosen: I64 = np.take_along_axis(lags, _likest(near, tail[:, size - self.n :])[:, None], axis=1)[:, 0]
        return chosen

    def _grow(self, more: int) -> None:
        self._capacity += more
        n = self.n
        self.history = np.concatenate((self.history, np.zeros((more, HISTORY, n), np.int16)))
        self.frames = self.history.reshape(-1, n)
        self._tail = np.concatenate((self._tail, np.zeros((more, HISTORY * n), np.float32)))
        none: I64 = np.zeros(more, np.int64)
        self.oldest = np.concatenate((self.oldest, none))
        self.ages = np.concatenate((self.ages, none))
        self._since = np.concatenate((self._since, none))
        self._lag = np.concatenate((self._lag, none + self.rate // 200))
        self._fade = np.concatenate((self._fade, none + 1))


def _likest(earlier: F32, last: F32) -> I64:
    """Which of the stretches `earlier` (k, l, w) is most like `last` (k, w): highest normalised correlation."""
    likeness = np.einsum("klw,kw->kl", earlier, last)
    energy = np.einsum("klw,klw->kl", earlier, earlier)
    # Next to silence everything is like everything: one unit a sample keeps that from mattering.
    best: I64 = (likeness / np.sqrt(energy + last.shape[1])).argmax(axis=1)
    return best


def _repeated(tail: F32, index: I64, cycle: I64, quarter: I64) -> F32:
    """The last `cycle` samples again and again; the end of each overlaps what led to its beginning."""
    phase = index % cycle
    at = phase + (tail.shape[1] - cycle)
    sound: F32 = np.take_along_axis(tail, at, axis=1)
    into = phase + 1 - (cycle - quarter)
    row, column = np.nonzero(into > 0)
    weight = (into[row, column] / quarter[row, 0]).astype(np.float32)
    sound[row, column] += (tail[row, at[row, column] - cycle[row, 0]] - sound[row, column]) * weight
    return sound
