"""Codecs with memory: one object for each row, both directions.

The engine runs them at the rate of the row's bus, whatever the peer's bandwidth is. What a codec cannot do it says by
None, and the engine does something of its own.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

I16 = npt.NDArray[np.int16]


class CodecError(Exception):
    """What the peer sent can't be decoded, or the codec isn't there. The message says which."""


class FramedCodec(Protocol):
    """Arrays that come out belong to the codec: they hold until the next call of the same object."""

    rate: int
    """Samples per second of what is decoded and encoded."""
    clock: int
    """Units of the RTP timestamp per second."""

    def decode(self, payload: bytes) -> I16:
        """The samples (n,) of a payload; `CodecError` if it is malformed."""
        ...

    def conceal(self, samples: int) -> I16 | None:
        """What may have been in a lost packet of so many samples. None: the codec has no concealment."""
        ...

    def recover(self, following: bytes, samples: int) -> I16 | None:
        """A lost packet of so many samples out of the redundancy in the payload after it, which is decoded as usual
        afterwards. None: it holds none."""
        ...

    def encode(self, frame: I16) -> bytes:
        """The payload of one frame (n,); b"" where discontinuous transmission sends nothing."""
        ...

    def samples(self, payload: bytes) -> int:
        """How many samples are in a payload, without decoding it; -1: it is malformed."""
        ...

    def close(self) -> None:
        """Free what lies outside of Python; may come twice. Nothing else is called afterwards."""
        ...
