"""G.722 in payloads of RTP (RFC 3551 section 4.5.2)."""

from __future__ import annotations

import numpy as np
import pytest

from media.codecs.framed import CodecError
from media.codecs.g722 import MAX_OCTETS, G722Codec


@pytest.mark.parametrize(("rate", "per_octet"), [(8000, 1), (16000, 2)])
def test_an_octet_is_8000th_of_a_second(rate: int, per_octet: int) -> None:
    codec = G722Codec(rate)
    assert (codec.rate, codec.clock) == (rate, 8000)
    payload = codec.encode(np.zeros(rate // 50, np.int16))
    assert len(payload) == 160
    assert codec.samples(payload) == len(codec.decode(payload)) == 160 * per_octet


def test_there_is_no_concealment_and_no_redundancy() -> None:
    codec = G722Codec(8000)
    assert codec.conceal(160) is None
    assert codec.recover(bytes(160), 160) is None


@pytest.mark.parametrize("payload", [b"", bytes(MAX_OCTETS + 1)])
def test_payloads_that_are_none_are_refused(payload: bytes) -> None:
    codec = G722Codec(16000)
    assert codec.samples(payload) == -1
    with pytest.raises(CodecError, match=r"G\.722 payload of"):
        codec.decode(payload)


def test_our_own_mistakes_are_told_as_such() -> None:
    with pytest.raises(ValueError, match="8000 or 16000"):
        G722Codec(48000)
    with pytest.raises(ValueError, match="pairs of samples"):
        G722Codec(16000).encode(np.zeros(319, np.int16))


def test_frames_may_be_slices_of_a_larger_array() -> None:
    block = np.random.default_rng(1).integers(-8000, 8000, (160, 2)).astype(np.int16)
    assert G722Codec(8000).encode(block[:, 0]) == G722Codec(8000).encode(block[:, 0].copy())


def test_close_may_come_twice() -> None:
    codec = G722Codec(8000)
    codec.close()
    codec.close()
    assert codec.samples(bytes(160)) == 160
