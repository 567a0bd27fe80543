"""Whatever the network brings: RTP is relayed or dropped and counted, RTCP is read or refused; nothing else happens."""

from __future__ import annotations

import contextlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from media.commands import MediaAddress, StreamSettings
from media.engine import MediaEngine
from rtp import rtcp
from rtp.address import sockaddr
from rtp.columns import SLOT, Slots

FORMATS = ((0, "PCMU", 8000), (101, "telephone-event", 8000))
ADDRESSES = [
    ("192.0.2.1", 4000),
    ("192.0.2.1", 4001),
    ("192.0.2.2", 5000),
    ("203.0.113.9", 4000),
    ("2001:db8::1", 4000),
]
header = st.tuples(
    st.sampled_from([0x80, 0x90, 0xA0, 0x8F, 0xBF, 0x00, 0xC0]),
    st.sampled_from([0, 0x80, 101, 18, 200, 201, 203, 255]),
    st.sampled_from([0, 1, 2, 99, 3200, 65535]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 2, 2**32 - 1]),
).map(lambda f: bytes((f[0], f[1])) + f[2].to_bytes(2, "big") + f[3].to_bytes(4, "big") + f[4].to_bytes(4, "big"))
packet = st.one_of(
    st.binary(max_size=64),
    st.tuples(header, st.binary(max_size=60)).map(b"".join),
    st.tuples(header, st.just(bytes(SLOT))).map(b"".join),
)
batch = st.lists(st.tuples(packet, st.integers(0, 4), st.integers(1, 3), st.booleans()), max_size=12)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_rtcp_is_read_or_refused(data: bytes) -> None:
    try:
        report = rtcp.parse(data)
    except rtcp.RtcpError:
        return
    assert len(report.blocks) <= rtcp.MAX_PACKETS * rtcp.MAX_BLOCKS


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0x80, 0xBF), st.integers(200, 204), st.integers(0, 8), st.binary(max_size=40)), max_size=5
    )
)
def test_rtcp_of_plausible_headers_is_read_or_refused(parts: list[tuple[int, int, int, bytes]]) -> None:
    data = b"".join(bytes((head, kind)) + words.to_bytes(2, "big") + body for head, kind, words, body in parts)
    with contextlib.suppress(rtcp.RtcpError):
        assert rtcp.parse(data).ssrc >= 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(batch, st.sampled_from([0.0, 0.02, 0.1, 3.0])), max_size=6))
def test_the_engine_takes_any_batch(batches: list[tuple[list[tuple[bytes, int, int, bool]], float]]) -> None:
    engine = MediaEngine(random.Random(5), 0.0, 1e9)
    engine.open(1, 1, 2, 2)
    engine.open(2, 1, 2, 2)
    engine.open(3, 1, 2, 10)
    one = StreamSettings(
        remote=MediaAddress("192.0.2.1", 4000, 4001),
        nat=True,
        signalled_host="192.0.2.1",
        formats=FORMATS,
        rtcp_mux=True,
    )
    engine.configure(1, one, 0.0)
    engine.configure(2, StreamSettings(remote=MediaAddress("192.0.2.2", 5000, 5001), formats=FORMATS), 0.0)
    engine.configure(3, StreamSettings(remote=MediaAddress("2001:db8::1", 4000, 4001), formats=FORMATS), 0.0)
    engine.bridge(1, 2)
    engine.echo(3)
    slots = Slots(16)
    now, came = 1.0, 0
    for packets, later in batches:
        now += later
        slots.clear()
        for data, source, socket, control in sorted(packets, key=lambda each: each[1] == 4):
            slots.put(data, sockaddr(*ADDRESSES[source]), socket, control)
        came += slots.count
        outgoing = engine.packets(slots, now)
        for slot, target in zip(outgoing.slots.tolist(), outgoing.targets.tolist(), strict=True):
            assert target in (1, 2, 3)
            # Only from the sources that the rules allow, and under our own SSRC.
            assert slots.source(slot)[4:8] in (sockaddr("192.0.2.1", 0)[4:8], sockaddr("192.0.2.2", 0)[4:8], bytes(4))
            assert int.from_bytes(slots.packet(slot)[8:12], "big") == int(engine.table.own_ssrc[target])
        engine.tick(now)
    table = engine.table
    assert int(table.sent.sum()) <= int(table.received.sum()) <= came
    for stream in (1, 2, 3):
        engine.close(stream)
    assert table.rows == len(table.keys) == len(engine.latch.hosts) == 0
