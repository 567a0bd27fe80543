"""Extended reports made of anything are read, or refused with RtcpError."""

from __future__ import annotations

import contextlib
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from rtp import rtcp_xr
from rtp.rtcp import RtcpError

BLOCKS = st.lists(st.tuples(st.sampled_from([1, 4, 5, 7, 200]), st.integers(0, 10), st.binary(max_size=40)), max_size=6)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_any_octets(octets: bytes) -> None:
    with contextlib.suppress(RtcpError):
        assert isinstance(rtcp_xr.parse(octets), rtcp_xr.Extended)


@settings(max_examples=400, deadline=None)
@given(BLOCKS, st.integers(-2, 2), st.booleans())
def test_blocks_whose_lengths_lie(blocks: list[tuple[int, int, bytes]], off: int, padded: bool) -> None:
    body = bytes(4) + b"".join(struct.pack("!BBH", kind, 0, size) + octets for kind, size, octets in blocks)
    body += bytes(-len(body) % 4)
    packet = struct.pack("!BBH", 0x80 | 0x20 * padded, 207, max(len(body) // 4 + off, 0)) + body
    with contextlib.suppress(RtcpError):
        extended = rtcp_xr.parse(packet)
        assert len(extended.voip) <= len(blocks)
        assert all(0 <= metrics.loss < 1 for metrics in extended.voip)
