"""RTCP extended reports (RFC 3611)."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from rtp import rtcp, rtcp_xr
from rtp.rtcp import RtcpError
from rtp.rtcp_xr import DelayColumns, VoipColumns

VOIP = VoipColumns(
    ssrc=np.array([0xAB]),
    loss=np.array([0.05]),
    discard=np.array([0.01]),
    burst_density=np.array([0.5]),
    gap_density=np.array([0.0]),
    burst_ms=np.array([120.0]),
    gap_ms=np.array([99999.0]),
    round_trip_ms=np.array([80.0]),
    end_system_ms=np.array([65.0]),
    gmin=16,
    r_factor=np.array([87.4]),
    mos_lq=np.array([4.26]),
    mos_cq=np.array([-1.0]),
    buffer_ms=np.array([40.0]),
    buffer_max_ms=np.array([60.0]),
    buffer_limit_ms=np.array([200.0]),
    plays=np.array([True]),
)
DELAYS = DelayColumns(np.array([7]), np.array([0x11223344]), np.array([65536]))


def written(**blocks: object) -> bytes:
    """After a receiver report, as in every compound packet."""
    data = np.zeros((1, 256), np.uint8)
    words = data.view(">u4")
    ssrc = np.array([0x1000])
    at = rtcp.write(words, ssrc, None, None, rtcp.cname_words("abc")) // 4
    end = rtcp_xr.write(words, at, ssrc, **blocks)  # type: ignore[arg-type]
    return data[0, : 4 * end].tobytes()


def xr(packet: bytes) -> bytes:
    """The XR packet within a compound one."""
    at = 0
    while packet[at + 1] != rtcp_xr.XR:
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    return packet[at:]


def test_rfc3611_4_4_receiver_reference_time_layout() -> None:
    packet = xr(written(reference_time=0x0102030405060708))
    assert struct.unpack("!BBHIBBHQ", packet) == (0x80, 207, 4, 0x1000, 4, 0, 2, 0x0102030405060708)


def test_rfc3611_4_7_6_a_relay_says_nothing_of_concealment() -> None:
    (voip,) = rtcp_xr.parse(written(voip=VOIP._replace(plays=np.array([False])))).voip
    assert (voip.plc, voip.adaptive, voip.adjustment) == (0, 0, 0)


def test_rtcp_tells_that_there_are_extended_reports() -> None:
    assert rtcp.parse(written(voip=VOIP)).extended
    assert not rtcp.parse(written(voip=VOIP)[: -len(xr(written(voip=VOIP)))]).extended


def test_rfc3611_4_5_dlrr_layout() -> None:
    packet = xr(written(delays=DELAYS))
    assert struct.unpack("!BBHIBBHIII", packet) == (0x80, 207, 5, 0x1000, 5, 0, 3, 7, 0x11223344, 65536)


def test_rfc3611_4_7_voip_metrics_layout() -> None:
    packet = xr(written(voip=VOIP))
    assert packet[8:12] == bytes((7, 0, 0, 8))
    assert packet[16:20] == bytes((12, 2, 128, 0))
    assert struct.unpack_from("!HHHH", packet, 20) == (120, 0xFFFF, 80, 65)
    assert packet[28:36] == bytes((127, 127, 127, 16, 87, 127, 43, 127))
    assert packet[36] >> 6 == rtcp_xr.STANDARD_PLC
    assert packet[36] >> 4 & 3 == rtcp_xr.ADAPTIVE
    assert struct.unpack_from("!HHH", packet, 38) == (40, 60, 200)


def test_what_is_written_is_read_beside_the_report_before_it() -> None:
    packet = written(reference_time=5 << 32, delays=DELAYS, voip=VOIP)
    extended = rtcp_xr.parse(packet)
    assert (extended.ssrc, extended.reference_time) == (0x1000, 5 << 32)
    assert extended.delays == (rtcp_xr.Delay(7, 0x11223344, 65536),)
    [voip] = extended.voip
    assert (voip.ssrc, voip.loss, voip.burst_ms, voip.r_factor) == (0xAB, 12 / 256, 120, 87)
    assert (voip.mos_lq, voip.mos_cq, voip.signal, voip.external_r_factor) == (4.3, None, None, None)
    assert (voip.buffer_ms, voip.buffer_max_ms, voip.buffer_limit_ms, voip.gmin) == (40, 60, 200, 16)
    assert rtcp.parse(packet).cname == "abc"


def test_a_compound_packet_without_extended_reports_says_nothing() -> None:
    data = np.zeros((1, 64), np.uint8)
    length = rtcp.write(data.view(">u4"), np.array([1]), None, None, rtcp.cname_words("abc"))
    assert rtcp_xr.parse(data[0, :length].tobytes()) == rtcp_xr.Extended()


def test_blocks_of_other_types_and_of_other_lengths_are_passed_over() -> None:
    other = bytes((1, 0, 0, 1)) + bytes(4)
    short = bytes((7, 0, 0, 1)) + bytes(4)
    body = struct.pack("!I", 9) + other + short + bytes((4, 0, 0, 2)) + bytes(7) + b"\x01"
    extended = rtcp_xr.parse(struct.pack("!BBH", 0x80, 207, len(body) // 4) + body)
    assert (extended.ssrc, extended.reference_time, extended.voip) == (9, 1, ())


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"\x80", "cut off"),
        (bytes((0x80, 207, 0, 9)), "longer than the datagram"),
        (bytes((0x40, 207, 0, 0)), "no RTCP"),
        (bytes((0x80, 207, 0, 0)), "SSRC"),
        (bytes((0x80, 207, 0, 2)) + bytes(4) + bytes((7, 0, 0, 8)), "longer than its packet"),
        (bytes((0x80, 207, 0, 101)) + bytes(4) + bytes((1, 0, 0, 0)) * 100, "more than 64"),
        (bytes((0x80, 201, 0, 0)) * 17, "more than 16"),
        (bytes((0xA0, 207, 0, 1)) + bytes(4), "padding"),
    ],
)
def test_what_is_no_rtcp_is_refused_with_the_reason(packet: bytes, why: str) -> None:
    with pytest.raises(RtcpError, match=why):
        rtcp_xr.parse(packet)


def test_rfc3611_4_5_round_trip_of_a_receiver_that_sends_nothing() -> None:
    sent, held, trip = 0xFFFFF000, 65536, 6554
    now = (sent + held + trip) & 0xFFFFFFFF
    assert rtcp_xr.round_trip(now, rtcp_xr.Delay(1, sent, held)) == pytest.approx(0.1, abs=1e-4)
    assert rtcp_xr.round_trip(sent, rtcp_xr.Delay(1, sent, held)) < 0
