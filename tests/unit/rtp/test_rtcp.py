"""RTCP compound packets (RFC 3550 section 6)."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from rtp import rtcp
from rtp.rtcp import BlockColumns, RtcpError, SenderColumns


def written(sender: SenderColumns | None, block: BlockColumns | None, rows: int = 1, cname: str = "abc") -> list[bytes]:
    data = np.zeros((rows, 128), np.uint8)
    length = rtcp.write(data.view(">u4"), np.arange(rows) + 0x1000, sender, block, rtcp.cname_words(cname))
    return [data[row, :length].tobytes() for row in range(rows)]


def column(*values: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(values, np.int64)


SENDER = SenderColumns(0x1234567890ABCDEF, column(160), column(50), column(8000))
BLOCK = BlockColumns(
    column(0xB), np.array([0.25]), column(-3), column(70000), np.array([12.7]), column(0x55667788), column(65536)
)


def test_rfc3550_6_4_1_sender_report_layout() -> None:
    [packet] = written(SENDER, BLOCK)
    assert struct.unpack_from("!BBHIQIII", packet) == (0x81, 200, 12, 0x1000, 0x1234567890ABCDEF, 160, 50, 8000)
    assert struct.unpack_from("!IIIIII", packet, 28) == (0xB, 64 << 24 | 0xFFFFFD, 70000, 12, 0x55667788, 65536)


def test_rfc3550_6_4_2_receiver_report_layout() -> None:
    [packet] = written(None, BLOCK)
    assert struct.unpack_from("!BBHI", packet) == (0x81, 201, 7, 0x1000)
    [packet] = written(None, None)
    assert struct.unpack_from("!BBHI", packet) == (0x80, 201, 1, 0x1000)


@pytest.mark.parametrize("cname", ["", "a", "ab", "abc", "abcd", "0123456789abcdef0123", "x" * 60])
def test_rfc3550_6_5_every_compound_packet_has_a_cname(cname: str) -> None:
    [packet] = written(None, None, cname=cname)
    assert len(packet) % 4 == 0
    # 6.5: each chunk ends with one or more null octets, up to the next 32-bit boundary.
    assert packet[-1] == 0
    assert rtcp.parse(packet).cname == cname


@pytest.mark.parametrize("sender", [None, SENDER])
@pytest.mark.parametrize("block", [None, BLOCK])
def test_what_is_written_is_read(sender: SenderColumns | None, block: BlockColumns | None) -> None:
    [packet] = written(sender, block)
    report = rtcp.parse(packet)
    assert report.ssrc == 0x1000
    assert report.sender_ntp == (sender.ntp if sender else None)
    assert report.cname == "abc"
    if block:
        assert report.blocks == (rtcp.Block(0xB, 0.25, -3, 70000, 12, 0x55667788, 65536),)
    else:
        assert report.blocks == ()


def test_many_rows_at_once() -> None:
    packets = written(None, None, rows=3)
    assert [rtcp.parse(packet).ssrc for packet in packets] == [0x1000, 0x1001, 0x1002]


def test_fractions_and_counts_are_bounded_by_their_fields() -> None:
    block = BLOCK._replace(
        fraction_lost=np.array([1.0]), lost=column(1 << 30), highest=column(1 << 40), jitter=np.array([1e12])
    )
    [packet] = written(SENDER._replace(packets=column(1 << 40)), block)
    [read] = rtcp.parse(packet).blocks
    assert (read.fraction_lost, read.lost, read.highest, read.jitter) == (255 / 256, 0x7FFFFF, 0, 0xFFFFFFFF)


def test_several_packets_of_one_datagram() -> None:
    second = struct.pack("!BBHI", 0x81, 201, 7, 9) + struct.pack("!IIIIII", 1, 2, 3, 4, 5, 6)
    application = struct.pack("!BBHI4sI", 0x80, 204, 3, 9, b"test", 0)
    bye = struct.pack("!BBHII", 0x82, 203, 2, 9, 10)
    report = rtcp.parse(written(None, BLOCK)[0] + second + application + bye)
    assert [block.ssrc for block in report.blocks] == [0xB, 1]
    assert report.bye == (9, 10)


def test_rfc3550_a2_padding_of_the_last_packet() -> None:
    padded = struct.pack("!BBHI", 0xA0, 201, 2, 9) + b"\0\0\0\x04"
    assert rtcp.parse(padded).ssrc == 9


GOOD = written(SENDER, BLOCK)[0]


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (b"", "empty"),
        (GOOD[:3], "cut off in a header"),
        (GOOD[:20], "longer than"),
        (b"\x41" + GOOD[1:], "no RTCP"),
        (b"\x80\x00" + GOOD[2:], "no RTCP"),
        (b"\x9f" + GOOD[1:], "report blocks cut off"),
        (struct.pack("!BBHI", 0x80, 200, 1, 9), "sender report cut off"),
        (struct.pack("!BBH", 0x80, 201, 0), "no room for an SSRC"),
        (struct.pack("!BBHI", 0x9F, 203, 1, 9), "BYE cut off"),
        (struct.pack("!BBHI", 0xA0, 201, 2, 9) + b"\0\0\0\0", "bad padding"),
        (struct.pack("!BBHI", 0xA0, 201, 2, 9) + b"\0\0\0\x0c", "bad padding"),
        (struct.pack("!BBHI", 0xA0, 201, 2, 9) + b"\0\0\0\x04" + GOOD, "bad padding"),
        (struct.pack("!BBHI", 0x81, 202, 2, 9) + b"\x01\x09ab", "SDES item cut off"),
        (struct.pack("!BBHI", 0x81, 202, 2, 9) + b"\x02\x02ab", "without an end"),
        (struct.pack("!BBHI", 0x80, 201, 1, 9) * 17, "more than 16"),
    ],
)
def test_malformed_packets_are_refused(packet: bytes, why: str) -> None:
    with pytest.raises(RtcpError, match=why):
        rtcp.parse(packet)


def test_rfc3550_4_ntp_timestamps() -> None:
    assert rtcp.ntp(0.0) >> 32 == 2208988800
    assert rtcp.ntp(0.5) & 0xFFFFFFFF == 0x80000000
    assert rtcp.middle(0x1122334455667788) == 0x33445566
    # The era of 1900 ends in 2036; the number wraps.
    assert rtcp.ntp(2208988800.0) >> 32 == 2 * 2208988800 - (1 << 32)
