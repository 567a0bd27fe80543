"""L16 at 16000 Hz (RFC 3551 section 4.5.11) on a bus of 8000 or 16000 Hz: samples in network order, halved and doubled
where the bus is narrower. L16 at 8000 Hz is a table codec.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from media.codecs.framed import I16, CodecError
from media.resample import Doubler, Halver

CLOCK: Final = 16000
MAX_OCTETS: Final = 7680  # 240 ms
_FRAME: Final = 320  # samples of 20 ms
_ROW: Final = np.zeros(1, np.int64)


class L16Codec:
    """`rate` 8000 or 16000 Hz. Concealment is left to the engine."""

    __slots__ = ("_doubler", "_halver", "clock", "rate")

    def __init__(self, rate: int) -> None:
        if rate not in (8000, 16000):
            raise ValueError(f"L16 of 16000 Hz runs on a bus of 8000 or 16000 Hz, not of {rate}")
        self.rate = rate
        self.clock = CLOCK
        self._doubler = Doubler(1)
        self._halver = Halver(1)

    def decode(self, payload: bytes) -> I16:
        if self.samples(payload) < 0:
            raise CodecError(f"L16 payload of {len(payload)} octets")
        wide = np.frombuffer(payload, ">i2").astype(np.int16)
        if self.rate == CLOCK:
            return wide
        frames = [self._halver.down(_ROW, wide[at : at + _FRAME][None].astype(np.float32))[0] for at in _starts(wide)]
        return _rounded(np.concatenate(frames))

    def conceal(self, samples: int) -> None:
        return None

    def recover(self, following: bytes, samples: int) -> None:
        return None

    def encode(self, frame: I16) -> bytes:
        if self.rate != CLOCK:
            frame = _rounded(self._doubler.up(_ROW, frame[None].astype(np.float32))[0])
        return frame.astype(">i2").tobytes()

    def samples(self, payload: bytes) -> int:
        count, odd = divmod(len(payload), 2)
        if odd or not 0 < count <= MAX_OCTETS // 2:
            return -1
        if self.rate == CLOCK:
            return count
        # The filter works in frames of 20 ms.
        return count // 2 if count % _FRAME == 0 else -1

    def close(self) -> None:
        pass


def _starts(wide: I16) -> range:
    return range(0, len(wide), _FRAME)


def _rounded(samples: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> I16:
    return np.rint(samples).clip(-32767, 32767).astype(np.int16)
