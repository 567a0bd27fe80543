"""Codecs without memory (`media.codecs.table`) for compiled loops: the same answers, worked out many at a time.

Looked up, a sample is a load of its own, out of a table of 64 KiB that the rest of the machine has pushed out of the
cache since the last tick; worked out, sixteen samples are one row of machine instructions. A float32 does the search
for the segment: its exponent is the number of the highest bit, and the four bits behind that one are the step.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtp.compiled import compiled

PCMU, PCMA, L16 = 1, 2, 3
TABLE_KINDS = {"PCMU": PCMU, "PCMA": PCMA, "L16": L16}
"""By name, what kernels call a codec."""

_LOUDEST = -32767  # of L16: -32768 stands for "nothing there" in a jitter buffer
_LOW = np.int32(15)
_THREE, _FOUR, _SEVEN, _EIGHT = np.int32(3), np.int32(4), np.int32(7), np.int32(8)
_ALL, _EVEN, _SIGN = np.int32(0xFF), np.int32(0x55), np.int32(0x80)
_MU_BIAS, _MU_TOP = np.int32(132), np.int32(32635)
_A_SECOND = np.int32(256)  # a level of the second segment above the same one of the first
_MANTISSA = np.int32(19)  # bits of a float32 behind the four highest of its mantissa
_MU_FIRST = np.int32((127 + 7) << 4)  # exponents of the first segment that has a highest bit
_A_FIRST = np.int32((127 + 3) << 4)
_A_TOP = np.int32(32767)
_ONE, _ZERO, _NONE = np.int32(1), np.int32(0), np.int32(16)


@compiled("void(u1[::1], i2[::1])")
def _from_mu(octets: Any, samples: Any) -> None:
    for at in range(min(len(octets), len(samples))):
        code = np.int32(octets[at]) ^ _ALL
        magnitude = ((((code & _LOW) << _THREE) + _MU_BIAS) << (code >> _FOUR & _SEVEN)) - _MU_BIAS
        samples[at] = -magnitude if code & _SIGN else magnitude


@compiled("void(u1[::1], i2[::1])")
def _from_a(octets: Any, samples: Any) -> None:
    for at in range(min(len(octets), len(samples))):
        code = np.int32(octets[at]) ^ _EVEN
        segment = code >> _FOUR & _SEVEN
        linear = ((code & _LOW) << _FOUR) + _EIGHT
        magnitude = linear + (_A_SECOND if segment else _ZERO) << max(segment - _ONE, _ZERO)
        samples[at] = magnitude if code & _SIGN else -magnitude


@compiled("void(i2[::1], u1[::1])")
def _to_mu(samples: Any, octets: Any) -> None:
    for at in range(min(len(samples), len(octets))):
        sample = np.int32(samples[at])
        biased = np.float32(min(abs(sample), _MU_TOP) + _MU_BIAS)
        code = (biased.view(np.int32) >> _MANTISSA) - _MU_FIRST
        octets[at] = (code | (_SIGN if sample < 0 else _ZERO)) ^ _ALL


@compiled("void(i2[::1], u1[::1])")
def _to_a(samples: Any, octets: Any) -> None:
    for at in range(min(len(samples), len(octets))):
        sample = np.int32(samples[at])
        magnitude = min(abs(sample), _A_TOP) >> _FOUR
        # The two lowest segments have the same step: the lowest is the number itself.
        found = (np.float32(max(magnitude, _ONE)).view(np.int32) >> _MANTISSA) - _A_FIRST
        code = magnitude if magnitude < _NONE else found
        octets[at] = (code | (_ZERO if sample < 0 else _SIGN)) ^ _EVEN


@compiled("void(u1[::1], i8, i2[::1])")
def decode(payload: Any, kind: int, samples: Any) -> None:
    """A payload, or a part of it, into samples: as many as there are of both."""
    if kind == PCMU:
        _from_mu(payload, samples)
    elif kind == PCMA:
        _from_a(payload, samples)
    else:
        for at in range(min(len(payload) // 2, len(samples))):
            value = np.int16(np.int32(payload[2 * at]) << 8 | np.int32(payload[2 * at + 1]))
            samples[at] = max(value, np.int16(_LOUDEST))


@compiled("void(i2[::1], i8, u1[::1])")
def encode(samples: Any, kind: int, payload: Any) -> None:
    """Samples into a payload: as many as there is room for."""
    if kind == PCMU:
        _to_mu(samples, payload)
    elif kind == PCMA:
        _to_a(samples, payload)
    else:
        for at in range(min(len(samples), len(payload) // 2)):
            payload[2 * at] = np.int32(samples[at]) >> 8 & 0xFF
            payload[2 * at + 1] = np.int32(samples[at]) & 0xFF
