"""RTCP compound packets (RFC 3550 section 6): what is read of the peer's, and ours.

Read: sender and receiver reports, CNAME, BYE; every other type is skipped. Written: SR or RR, then SDES with a
CNAME, as 6.1 demands of every compound packet.
"""

from __future__ import annotations

import struct

import msgspec

SR, RR, SDES, BYE = 200, 201, 202, 203
MAX_PACKETS = 16  # in one compound packet; a datagram of more is refused
MAX_BLOCKS = 31  # the count's five bits
NTP_UNIX = 2208988800  # seconds from 1900, NTP's epoch, to 1970
_CNAME = 1

_BLOCK = struct.Struct("!IIIIII")
_SENDER = struct.Struct("!IIIII")


class RtcpError(Exception):
    """The peer's packet is no RTCP; the text says why."""


class Block(msgspec.Struct, frozen=True, gc=False):
    """A report block (6.4.1): what its sender received from `ssrc`."""

    ssrc: int
    fraction_lost: float
    """Since the report before, 0 to 1."""
    lost: int
    """Cumulative; negative when duplicates outnumber losses."""
    highest: int
    jitter: int
    """Timestamp units."""
    last_sr: int
    """The middle 32 bits of the NTP timestamp of our last SR, 0: none came."""
    delay: int
    """1/65536 seconds since that came."""


class Report(msgspec.Struct, gc=False):
    """What one compound packet said."""

    ssrc: int
    """Its sender."""
    sender_ntp: int | None = None
    """64-bit NTP timestamp of a sender report."""
    blocks: tuple[Block, ...] = ()
    cname: str = ""
    bye: tuple[int, ...] = ()


def parse(packet: bytes) -> Report:
    """Read a compound packet. Raises RtcpError.

    Lenient in one thing: a reduced-size packet (RFC 5506) that begins with another type than SR or RR is read.
    """
    end = len(packet)
    at = 0
    report: Report | None = None
    count = 0
    while at < end:
        count += 1
        if count > MAX_PACKETS:
            raise RtcpError(f"more than {MAX_PACKETS} packets")
        if end - at < 4:
            raise RtcpError("cut off in a header")
        head, kind, words = packet[at], packet[at + 1], packet[at + 2] << 8 | packet[at + 3]
        # A.2: "RTP version field must equal 2"; "the payload type field of the first RTCP packet must be SR or RR".
        if head >> 6 != 2 or not 192 <= kind <= 223:
            raise RtcpError("no RTCP")
        stop = at + 4 + 4 * words
        # A.2: "The length fields of the individual RTCP packets must add up to the overall length".
        if stop > end:
            raise RtcpError("longer than the datagram")
        body_end = stop
        if head & 0x20:
            # A.2: "The padding bit (P) should be zero for the first packet ... padding should only be applied, if
            # it is needed, to the last packet."
            padding = packet[stop - 1]
            if stop != end or not 0 < padding <= stop - at - 4:
                raise RtcpError("bad padding")
            body_end -= padding
        report = _read(packet, at + 4, body_end, head & 31, kind, report)
        at = stop
    if report is None:
        raise RtcpError("empty")
    return report


def _read(packet: bytes, at: int, end: int, count: int, kind: int, report: Report | None) -> Report:
    """One packet of a compound one, its body from `at` to `end`."""
    if end - at < 4:
        if kind in (BYE, SDES) and count == 0 and report is not None:
            return report
        raise RtcpError("no room for an SSRC")
    ssrc = int.from_bytes(packet[at : at + 4], "big")
    if report is None:
        report = Report(ssrc)
    if kind == SR:
        if end - at < 24:
            raise RtcpError("sender report cut off")
        high, low, _stamp, _packets, _octets = _SENDER.unpack_from(packet, at + 4)
        report.sender_ntp = high << 32 | low
        report.blocks += _blocks(packet, at + 24, end, count)
    elif kind == RR:
        report.blocks += _blocks(packet, at + 4, end, count)
    elif kind == SDES:
        report.cname = _cname(packet, at, end, count) or report.cname
    elif kind == BYE:
        if end - at < 4 * count:
            raise RtcpError("BYE cut off")
        report.bye += struct.unpack_from(f"!{count}I", packet, at)
    return report


def _blocks(packet: bytes, at: int, end: int, count: int) -> tuple[Block, ...]:
    if end - at < _BLOCK.size * count:
        raise RtcpError("report blocks cut off")
    blocks = []
    for index in range(count):
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(packet, at + _BLOCK.size * index)
        lost = loss & 0xFFFFFF
        # 6.4.1: cumulative number of packets lost is a 24-bit signed number.
        lost -= (lost & 0x800000) << 1
        blocks.append(Block(ssrc, (loss >> 24) / 256, lost, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _cname(packet: bytes, at: int, end: int, chunks: int) -> str:
    """The first CNAME of the SDES chunks (6.5)."""
    for _ in range(chunks):
        at += 4
        while at < end and packet[at]:
            if at + 2 > end or at + 2 + packet[at + 1] > end:
                raise RtcpError("SDES item cut off")
            item, size = packet[at], packet[at + 1]
            if item == _CNAME:
                return packet[at + 2 : at + 2 + size].decode("utf-8", "replace")
            at += 2 + size
        if at >= end:
            raise RtcpError("SDES chunk without an end")
        # 6.5: items end with null octets up to the next 32-bit boundary.
        at = (at & ~3) + 4
    return ""


class Sender(msgspec.Struct, frozen=True, gc=False):
    """The sender information of our SR (6.4.1)."""

    ntp: int
    stamp: int
    packets: int
    octets: int


def describe(ssrc: int, cname: str) -> bytes:
    """An SDES packet with one CNAME (6.5.1), at most 255 octets of it."""
    name = cname.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, _CNAME, len(name)) + name
    chunk += bytes(4 - len(chunk) % 4)
    return struct.pack("!BBH", 0x81, SDES, len(chunk) // 4) + chunk


def build(ssrc: int, sender: Sender | None, block: Block | None, description: bytes) -> bytes:
    """A compound packet: SR where we sent since the last report, else RR (6.4), then the description."""
    count = 0 if block is None else 1
    body = b""
    if block is not None:
        loss = min(255, int(block.fraction_lost * 256)) << 24 | min(max(block.lost, -0x800000), 0x7FFFFF) & 0xFFFFFF
        body = _BLOCK.pack(
            block.ssrc, loss, block.highest & 0xFFFFFFFF, block.jitter & 0xFFFFFFFF, block.last_sr, block.delay
        )
    if sender is None:
        return struct.pack("!BBHI", 0x80 | count, RR, 1 + 6 * count, ssrc) + body + description
    head = struct.pack(
        "!BBHIQIII",
        0x80 | count,
        SR,
        6 + 6 * count,
        ssrc,
        sender.ntp,
        sender.stamp & 0xFFFFFFFF,
        sender.packets & 0xFFFFFFFF,
        sender.octets & 0xFFFFFFFF,
    )
    return head + body + description


def ntp(unix: float) -> int:
    """A 64-bit NTP timestamp (section 4) of Unix seconds."""
    return (int(unix) + NTP_UNIX & 0xFFFFFFFF) << 32 | int(unix % 1.0 * 0x100000000) & 0xFFFFFFFF


def middle(timestamp: int) -> int:
    """The middle 32 bits, in which LSR, DLSR and round trips are counted (1/65536 s)."""
    return timestamp >> 16 & 0xFFFFFFFF
