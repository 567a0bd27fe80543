"""In-band DTMF (ITU-T Q.23, Q.24) of all rows at once.

Windows of 20 ms, one every 10 ms, are correlated with the eight frequencies under a Hann window: one matrix product for
all rows. What is left over by a screen on level and purity (the share that one low and one high tone have of the whole
energy, harmonics, speech and noise included) is looked at closely, and that is next to nothing unless digits are sent:

    share      of the two tones, put right for what a window loses of a tone beside its frequency
    frequency  from how the phase moves between the window's first and last 100 samples: 2.5 % off is none
    twist      the high tone up to 6 dB above, up to 10 dB below the low one

A tone that covers c of a window has about (c - sin(2 pi c)/(2 pi))^2/c of the share, more than WEAK from c = 0.5 on. So
a tone of 40 ms, wherever it begins, gives three hits in a row of which two are STRONG, and one of 20 ms two at most;
10 ms of silence within a tone cost two hits at most, 40 ms three at least:

    none -- three hits in a row of one digit, two of them strong --> digit
    digit -- three windows without it, or another digit --> none

Levels are dBm0 of G.711 A-law: a sine of full scale has 3.14 dBm0.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from media.detect.columns import F32, FRAME, I8, I64, RATE, Bool, Columns, Frames, correlate

DIGITS = "123A456B789C*0#D"  # low frequency by rows of four, high one within
LOW = (697, 770, 852, 941)
HIGH = (1209, 1336, 1477, 1633)
FULL_SCALE_DBM0 = 3.14

MIN_LEVEL = -27.5  # dBm0 of each tone: -25 must be accepted (Q.24 annex), -29 ignored
MAX_OFFSET = 0.025  # of the frequency: 1.5 % must be accepted, 3.5 % not
TWIST_HIGH = 10 ** (6 / 10)  # high group above the low one, power
TWIST_LOW = 10 ** (10 / 10)  # below
WEAK = 0.5  # share of the energy
STRONG = 0.8
HITS = 3
STRONG_HITS = 2
MISSES = 3
WINDOW_MS = 10  # between windows

_HOP = FRAME // 2
_BINS = np.array(LOW + HIGH)
_HALF = 100  # samples of the windows whose phases are compared
_APART = FRAME - _HALF


def _basis(length: int) -> F32:
    """(16, length): cosines, then sines of the eight frequencies under a Hann window."""
    n = np.arange(length)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (n + 0.5) / length)
    angle = 2 * np.pi / RATE * _BINS[:, None] * n
    return np.concatenate((np.cos(angle) * window, np.sin(angle) * -window)).astype(np.float32)


def _losses() -> F32:
    """By Hz beside a frequency: what the power of a correlation is to be multiplied by."""
    n = np.arange(FRAME)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (n + 0.5) / FRAME)
    hz = np.arange(_MAX_HZ + 1)
    kept = np.abs((window * np.exp(2j * np.pi / RATE * hz[:, None] * n)).sum(axis=1)) / window.sum()
    losses: F32 = (kept**-2).astype(np.float32)
    return losses


def _component(dbm0: float) -> float:
    """Power of the correlation of a tone of this level: (amplitude * sum of the window / 2)^2."""
    amplitude = 32768 * 10 ** ((dbm0 - FULL_SCALE_DBM0) / 20)
    return float((amplitude * FRAME / 4) ** 2)


_MAX_HZ = RATE // (2 * _APART)  # beyond that the phase is ambiguous
_WHOLE = _basis(FRAME)
_PART = _basis(_HALF)
_LOSSES = _losses()
# What the phase moves by from one part to the next, at the frequency itself.
_TURN = np.exp(-2j * np.pi / RATE * _BINS * _APART).astype(np.complex64)
_TO_HZ = np.float32(RATE / (2 * np.pi * _APART))
_ALLOWED = (_BINS * MAX_OFFSET).astype(np.float32)
# Energy of samples to the power of two correlations: A^2 N/2 to (A N/4)^2.
_SHARE = np.float32(FRAME / 8)
# The screen knows no offset yet: a tone 1.5 % beside 1633 Hz, 4 dB above the low one, keeps 0.78 of its share.
_SCREEN = np.array(WEAK * 0.7 * FRAME / 8, np.float32)
_FLOOR = np.array(_component(MIN_LEVEL - 3), np.float32)
_LEAST = np.float32(_component(MIN_LEVEL))
_NONE = np.int8(-1)


class DtmfDetector(Columns):
    """Columns
    history         the last 10 ms
    pending, hits, strong_hits
                    a digit that is not sure yet, and its windows so far; -1: none
    digit           the digit that is heard now, index into DIGITS; -1: none
    length, misses  windows that it lasted until its last hit; since then
    """

    history: F32
    pending: I8
    hits: I8
    strong_hits: I8
    digit: I8
    length: I64
    misses: I8

    FRESH: ClassVar = {
        "history": (np.float32, 0, (_HOP,)),
        "pending": (np.int8, -1, ()),
        "hits": (np.int8, 0, ()),
        "strong_hits": (np.int8, 0, ()),
        "digit": (np.int8, -1, ()),
        "length": (np.int64, 0, ()),
        "misses": (np.int8, 0, ()),
    }

    def __init__(self) -> None:
        super().__init__()
        self._samples: F32 = np.zeros((0, _HOP + FRAME), np.float32)

    def process(self, rows: I64, frames: Frames) -> list[tuple[int, str, int]]:
        """One frame of each of these rows, none twice. Returns (row, digit, milliseconds) of digits that ended; the
        length is right to 10 ms. `heard` tells who is in a digit now."""
        count = len(rows)
        if not count:
            return []
        self.hold(rows)
        if len(self._samples) < count:
            self._samples = np.zeros((count, _HOP + FRAME), np.float32)
        samples = self._samples[:count]
        samples[:, :_HOP] = self.history.take(rows, axis=0)
        samples[:, _HOP:] = frames
        self.history[rows] = samples[:, FRAME:]
        parts = samples.reshape(count, 3, _HOP)
        energy = np.einsum("kpn,kpn->pk", parts, parts)
        concerned = (self.digit.take(rows) >= 0) | (self.hits.take(rows) > 0)
        windows = []
        for window in range(2):
            seen = samples[:, window * _HOP : window * _HOP + FRAME]
            whole = energy[window] + energy[window + 1]
            candidates, power = _screen(seen, whole)
            concerned[candidates] = True
            windows.append((seen, candidates, power, whole))
        at = np.flatnonzero(concerned)
        if not at.size:
            return []
        ended: list[tuple[int, str, int]] = []
        codes = np.empty(count, np.int8)
        strong = np.empty(count, np.bool_)
        for seen, candidates, power, whole in windows:
            codes.fill(_NONE)
            strong.fill(False)
            if candidates.size:
                codes[candidates], strong[candidates] = _look(seen[candidates], power, whole[candidates])
            self._advance(rows[at], codes[at], strong[at], ended)
        return ended

    def heard(self, rows: I64) -> Bool:
        """Which of these rows are in a digit now."""
        self.hold(rows)
        heard: Bool = self.digit[rows] >= 0
        return heard

    def _advance(self, rows: I64, codes: I8, strong: Bool, ended: list[tuple[int, str, int]]) -> None:
        """One window of rows that have a hit, or had one. `codes`: the digit of a hit, -1: a miss."""
        digit = self.digit[rows]
        hit = codes >= 0
        goes_on = hit & (codes == digit)
        new = hit & ~goes_on
        same = new & (codes == self.pending[rows])
        hits = np.where(same, self.hits[rows] + 1, new).astype(np.int8)
        strong_hits = np.where(same, self.strong_hits[rows] + strong, new & strong).astype(np.int8)
        begins = (hits >= HITS) & (strong_hits >= STRONG_HITS)
        misses = np.where(goes_on, 0, self.misses[rows] + 1).astype(np.int8)
        length = self.length[rows] + np.where(goes_on, self.misses[rows] + 1, 0)
        over = (digit >= 0) & ((misses >= MISSES) | begins)
        for at in np.flatnonzero(over).tolist():
            ended.append((int(rows[at]), DIGITS[digit[at]], int(length[at]) * WINDOW_MS))
        self.pending[rows] = np.where(begins, _NONE, np.where(new, codes, _NONE))
        self.digit[rows] = np.where(begins, codes, np.where(over, _NONE, digit))
        self.length[rows] = np.where(begins, hits, length)
        self.misses[rows] = np.where(begins | (digit < 0) | over, 0, misses)
        self.hits[rows] = np.where(begins, 0, hits)
        self.strong_hits[rows] = np.where(begins, 0, strong_hits)


def _screen(samples: F32, energy: F32) -> tuple[I64, F32]:
    """Which windows, (k, 160), may hold a digit; and how strong the eight frequencies are in those."""
    found = correlate(_WHOLE, samples)
    np.square(found, out=found)
    power = found[:8]
    power += found[8:]
    low = np.maximum.reduce(power[:4])
    high = np.maximum.reduce(power[4:])
    passed = np.minimum(low, high) > _FLOOR
    low += high
    passed &= low > energy * _SCREEN
    candidates = np.flatnonzero(passed)
    return candidates, power.take(candidates, axis=1)


def _look(samples: F32, power: F32, energy: F32) -> tuple[I8, Bool]:
    """The digit in each window, -1: none; and whether it is a strong hit."""
    index = np.arange(len(samples))
    first = correlate(_PART, samples[:, :_HALF])
    last = correlate(_PART, samples[:, _APART:])
    good = np.ones(len(samples), np.bool_)
    bins, powers = [], []
    for group in (0, 4):
        bin_ = power[group : group + 4].argmax(axis=0) + group
        before = first[bin_, index] + 1j * first[bin_ + 8, index]
        after = last[bin_, index] + 1j * last[bin_ + 8, index]
        offset = np.abs(np.angle(after * np.conj(before) * _TURN[bin_])) * _TO_HZ
        good &= offset <= _ALLOWED[bin_]
        bins.append(bin_ - group)
        powers.append(power[bin_, index] * _LOSSES.take(offset.astype(np.int64), mode="clip"))
    low, high = powers
    good &= (low >= _LEAST) & (high >= _LEAST) & (high <= low * TWIST_HIGH) & (low <= high * TWIST_LOW)
    share = (low + high) / (energy * _SHARE)
    good &= share >= WEAK
    codes = np.where(good, bins[0] * 4 + bins[1], _NONE).astype(np.int8)
    return codes, good & (share >= STRONG)
