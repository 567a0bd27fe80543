"""Codecs without memory, for all rows at once: G.711 by tables (ITU-T G.711), L16 by swapping octets (RFC 3551 4.5.11).

A table holds every answer there is: 256 samples to decode, one octet for each of 65536 samples to encode. Octets are
decoded two at a time, since what a look-up costs is widening its indices, not reading the table: 0.1 us for a row of
160 in a batch of 64; encoding takes 0.17 us.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
I16 = npt.NDArray[np.int16]

OCTETS: Final[dict[str, int]] = {"PCMU": 1, "PCMA": 1, "L16": 2}
"""Octets per sample of each codec here."""

# G.711 quantizes 14 bits by the mu-law and 13 bits by the A-law; samples here have 16, so that its levels stand two and
# three bits higher. The mu-law's bias of 33 makes the segments of its table 2 powers of two.
_MU_BIAS: Final = 33 << 2
_MU_TOP: Final = (8159 << 2) - 1  # below the virtual decision value x129; what is above is coded as the last level
# Table 1a, note 2: "the character signals are obtained by inverting the even bits of the signals of column 6".
_A_EVEN_BITS: Final = 0x55
_SIGN: Final = 0x80


def _mu_decoded() -> I16:
    """(256,) the sample of each octet: tables 2a and 2b, whose character signals have all bits inverted."""
    code = np.arange(256) ^ 0xFF
    segment, step = (code >> 4) & 7, code & 15
    magnitude = (((step << 3) + _MU_BIAS) << segment) - _MU_BIAS
    return np.where(code & _SIGN, -magnitude, magnitude).astype(np.int16)


def _a_decoded() -> I16:
    """(256,) the sample of each octet: tables 1a and 1b. A level lies in the middle of its interval."""
    code = np.arange(256) ^ _A_EVEN_BITS
    segment, step = (code >> 4) & 7, code & 15
    linear = (step << 4) + 8
    magnitude = np.where(segment, (linear + 256) << np.maximum(segment - 1, 0), linear)
    return np.where(code & _SIGN, magnitude, -magnitude).astype(np.int16)


def _samples() -> npt.NDArray[np.int64]:
    """(65536,) the sample whose bits as uint16 are the index."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int64)


def _mu_encoded() -> U8:
    """(65536,) the octet of each sample. G.711 leaves open what a sample at a decision value becomes: here the level
    further from zero, for either sign."""
    sample = _samples()
    biased = np.minimum(np.abs(sample), _MU_TOP) + _MU_BIAS
    segment = np.floor(np.log2(biased)).astype(np.int64) - 7
    step = (biased >> (segment + 3)) & 15
    octets: U8 = ((np.where(sample < 0, _SIGN, 0) | segment << 4 | step) ^ 0xFF).astype(np.uint8)
    return octets


def _a_encoded() -> U8:
    """(65536,) the octet of each sample; at a decision value as for the mu-law."""
    sample = _samples()
    magnitude = np.minimum(np.abs(sample), 32767) >> 4
    # The two lowest segments have the same step.
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 3, 0)
    step = (magnitude >> np.maximum(segment - 1, 0)) & 15
    octets: U8 = ((np.where(sample < 0, 0, _SIGN) | segment << 4 | step) ^ _A_EVEN_BITS).astype(np.uint8)
    return octets


def _pairs(decoded: I16) -> npt.NDArray[np.uint32]:
    """(65536,) two samples for two octets: the index is both octets as a uint16 as they lie in memory."""
    octets = np.arange(65536, dtype=np.uint16).view(np.uint8)
    return decoded[octets].view(np.uint32)


DECODE: Final[dict[str, I16]] = {"PCMU": _mu_decoded(), "PCMA": _a_decoded()}
"""Samples by octet, (256,) each."""
ENCODE: Final[dict[str, U8]] = {"PCMU": _mu_encoded(), "PCMA": _a_encoded()}
"""Octets by sample, (65536,) each, the index being the bits of the sample as uint16."""
SILENCE: Final[dict[str, int]] = {"PCMU": 0xFF, "PCMA": 0xD5, "L16": 0}
"""The octet that silence consists of."""

_PAIRS: Final = {name: _pairs(table) for name, table in DECODE.items()}


def decode(name: str, data: U8, out: I16 | None = None) -> I16:
    """The samples (k, n) of payloads (k, n), of L16 (k, 2n). `data` and `out` are contiguous along rows.

    An L16 payload of an odd number of octets is the caller's mistake: `ValueError`, by numpy.
    """
    if name == "L16":
        frames = data.view(">i2")
        if out is None:
            return frames.astype(np.int16)
        np.copyto(out, frames)
        return out
    if out is None:
        out = np.empty(data.shape, np.int16)
    if data.shape[-1] & 1:
        return np.take(DECODE[name], data, out=out, mode="clip")
    np.take(_PAIRS[name], data.view(np.uint16), out=out.view(np.uint32), mode="clip")
    return out


def encode(name: str, frames: I16, out: U8 | None = None) -> U8:
    """The payloads (k, n) of samples (k, n), of L16 (k, 2n). `frames` and `out` are contiguous along rows."""
    if name == "L16":
        if out is None:
            return frames.astype(">i2").view(np.uint8)
        np.copyto(out.view(">i2"), frames)
        return out
    if out is None:
        out = np.empty(frames.shape, np.uint8)
    return np.take(ENCODE[name], frames.view(np.uint16), out=out, mode="clip")
