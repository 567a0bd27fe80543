"""Comfort noise (RFC 3389): what is heard while the peer sends nothing.

A payload is the level of the noise, and reflection coefficients that shape its spectrum if the sender cares. White
noise of all rows is cut from one long recording of noise; a shaped row's noise is that, convolved with the impulse
response of the all-pole lattice filter that the coefficients are of.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from media.codecs.framed import I16, CodecError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

OVERLOAD: Final = 32767.0
"""The root mean square of 0 dBov, which is a square wave at the overload point (RFC 3389 section 3.1)."""
QUIETEST: Final = 127
"""-dBov: the level has seven bits; below half of the smallest step of 16 bits anyway."""
MAX_ORDER: Final = 12
"""Coefficients that are looked at: the RFC names no greatest order, and lets a receiver use fewer."""
_RESERVED: Final = 255

_TAPS: Final = 256  # of an impulse response: 32 ms at 8000 Hz
# 1/z at 1024 points, a little outside of the unit circle: there an impulse response dies away before it comes round.
_RADIUS: Final = 0.99
_DELAYS: Final = _RADIUS * np.exp(-2j * np.pi * np.arange(513) / 1024)
_DAMPING: Final = _RADIUS ** np.arange(_TAPS)
_LOOP: Final = 1 << 16  # samples of noise, 8 s at 8000 Hz
_LONGEST: Final = 1 << 12  # samples of a frame at most
_SPECTRA_KEPT: Final = 256


class Noise(msgspec.Struct, frozen=True, gc=False):
    """`level` in -dBov (0 loudest, 127), `reflection` coefficients between -1 and 1, () for a flat spectrum."""

    level: int
    reflection: tuple[float, ...] = ()


def parse(payload: bytes) -> Noise:
    """`CodecError` if it is empty. The bit above the level means nothing."""
    if not payload:
        raise CodecError("comfort noise payload without an octet")
    reflection = []
    for octet in payload[1 : 1 + MAX_ORDER]:
        if octet == _RESERVED:
            break
        # Section 3.2: k_i(N_i) = 258*(N_i-127) for N_i = 0...254, in units of 1/32768.
        reflection.append(258 * (octet - 127) / 32768)
    return Noise(payload[0] & 0x7F, tuple(reflection))


def build(frame: I16) -> bytes:
    """The payload for background noise as loud as `frame` (n,), with a flat spectrum (order 0)."""
    samples = frame.astype(np.float32)
    power = float(np.dot(samples, samples)) / max(len(samples), 1)
    if power <= 0.0:
        return bytes((QUIETEST,))
    level = round(-10.0 * np.log10(power / OVERLOAD**2))
    return bytes((min(max(level, 0), QUIETEST),))


class NoiseSource:
    """Noise of any number of rows, which are numbered by the caller; a row that was never set has none.

    `random` makes the recording of noise, and where in it a row begins. Columns grow with the highest row.
    """

    __slots__ = ("_at", "_gain", "_loop", "_random", "_shapes", "_windows")

    def __init__(self, random: np.random.Generator, rows: int = 64) -> None:
        self._random = random
        noise = random.standard_normal(_LOOP, np.float32)
        # Its beginning once more at its end, so that a frame may begin anywhere; and history for the filters before it.
        self._loop: F32 = np.concatenate((noise[-(_TAPS - 1) :], noise, noise[:_LONGEST]))
        self._windows: dict[int, F32] = {}
        self._gain: F32 = np.zeros(rows, np.float32)
        self._at: I64 = np.zeros(rows, np.int64)
        self._shapes: dict[int, F32] = {}

    def set(self, row: int, noise: Noise) -> None:
        """What `row` sounds like from now on."""
        if row >= len(self._gain):
            self._grow(row + 1)
        if not self._gain[row]:
            self._at[row] = self._random.integers(_LOOP)
        self._gain[row] = OVERLOAD * 10.0 ** (-noise.level / 20.0)
        if noise.reflection:
            self._shapes[row] = impulse_response(noise.reflection)
        else:
            self._shapes.pop(row, None)

    def reset(self, row: int) -> None:
        """The row is quiet."""
        if row < len(self._gain):
            self._gain[row] = 0.0
            self._shapes.pop(row, None)

    def generate(self, rows: I64, samples: int) -> I16:
        """(k, samples) of noise, which goes on from where each row was; `rows` (k,), each set or reset before."""
        at = self._at[rows]
        frames = self._view(samples)[at]
        self._at[rows] = (at + samples) % _LOOP
        if self._shapes:
            for index, row in enumerate(rows.tolist()):
                shape = self._shapes.get(row)
                if shape is not None:
                    begin = int(at[index])
                    frames[index] = np.convolve(self._loop[begin : begin + samples + _TAPS - 1], shape, "valid")
        frames *= self._gain[rows, None]
        np.rint(frames, out=frames)
        np.clip(frames, -OVERLOAD, OVERLOAD, out=frames)
        return frames.astype(np.int16)

    def _view(self, samples: int) -> F32:
        view = self._windows.get(samples)
        if view is None:
            if not 0 < samples <= _LONGEST:
                raise ValueError(f"comfort noise in frames of 1 to {_LONGEST} samples, not of {samples}")
            view = np.lib.stride_tricks.sliding_window_view(self._loop[_TAPS - 1 :], samples)
            self._windows[samples] = view
        return view

    def _grow(self, rows: int) -> None:
        more = max(rows, 2 * len(self._gain)) - len(self._gain)
        self._gain = np.concatenate((self._gain, np.zeros(more, np.float32)))
        self._at = np.concatenate((self._at, np.zeros(more, np.int64)))


@lru_cache(maxsize=_SPECTRA_KEPT)
def impulse_response(reflection: tuple[float, ...]) -> F32:
    """(256,) what the all-pole lattice filter of these coefficients answers to an impulse, scaled so that noise has
    the same power before and after.

    The lattice is worked out for all frequencies at once: A_m = A_{m-1} + k_m B_{m-1}/z, B_m = k_m A_{m-1} + B_{m-1}/z.
    The filter is 1/A; on the unit circle and outside of it A is at least the product of all 1 - |k|, never 0. A
    negative k_1 makes low-pass noise.
    """
    forward = np.ones(len(_DELAYS), np.complex128)
    backward = forward
    for k in reflection:
        delayed = _DELAYS * backward
        forward, backward = forward + k * delayed, k * forward + delayed
    response = np.fft.irfft(1.0 / forward)[:_TAPS] / _DAMPING
    scaled: F32 = (response / np.sqrt(np.dot(response, response))).astype(np.float32)
    return scaled
