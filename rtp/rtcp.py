"""RTCP compound packets (RFC 3550 section 6): what is read of the peer's, and ours.

Read: sender and receiver reports, CNAME, BYE; every other type is skipped. Written: SR or RR, then SDES with a
CNAME, as 6.1 demands of every compound packet.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

SR, RR, SDES, BYE, XR = 200, 201, 202, 203, 207
MAX_PACKETS = 16  # in one compound packet; a datagram of more is refused
MAX_BLOCKS = 31  # the count's five bits
NTP_UNIX = 2208988800  # seconds from 1900, NTP's epoch, to 1970
_CNAME = 1

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

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
    extended: bool = False
    """There are extended reports (RFC 3611) in it: `rtp.rtcp_xr` reads them."""


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
    elif kind == XR:
        report.extended = True
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


class SenderColumns(NamedTuple):
    """Sender information (6.4.1) of many reports, a column each."""

    ntp: int
    """64 bits; one moment for all."""
    stamp: I64
    packets: I64
    octets: I64


class BlockColumns(NamedTuple):
    """One report block (6.4.1) of many reports, a column each."""

    ssrc: I64
    fraction_lost: F64
    lost: I64
    highest: I64
    jitter: F64
    last_sr: I64
    delay: I64


def cname_words(cname: str) -> I64:
    """An SDES item CNAME (6.5.1), at most 255 octets of it, and the null octets after it."""
    name = cname.encode()[:255]
    item = bytes((_CNAME, len(name))) + name
    item += bytes(4 - len(item) % 4)
    return np.frombuffer(item, ">u4").astype(np.int64)


def write(
    words: npt.NDArray[np.uint32],
    ssrc: I64,
    sender: SenderColumns | None,
    block: BlockColumns | None,
    cname: I64,
) -> int:
    """Write compound packets into the rows of `words` (big-endian): SR where `sender` is given ("if a site has sent any
    data packets during the interval since issuing the last report", 6.4), else RR, then SDES. Octets of each.
    """
    at = 2 if sender is None else 7
    if sender is not None:
        words[:, 2] = sender.ntp >> 32
        words[:, 3] = sender.ntp & 0xFFFFFFFF
        words[:, 4] = sender.stamp & 0xFFFFFFFF
        words[:, 5] = sender.packets & 0xFFFFFFFF
        words[:, 6] = sender.octets & 0xFFFFFFFF
    if block is not None:
        fraction = np.minimum((block.fraction_lost * 256).astype(np.int64), 255)
        words[:, at] = block.ssrc
        words[:, at + 1] = fraction << 24 | np.clip(block.lost, -0x800000, 0x7FFFFF) & 0xFFFFFF
        words[:, at + 2] = block.highest & 0xFFFFFFFF
        words[:, at + 3] = np.minimum(block.jitter, 0xFFFFFFFF).astype(np.int64)
        words[:, at + 4] = block.last_sr
        words[:, at + 5] = block.delay
        at += 6
    kind = RR if sender is None else SR
    words[:, 0] = (0x80 | (block is not None)) << 24 | kind << 16 | at - 1
    words[:, 1] = ssrc
    end = at + 2 + len(cname)
    words[:, at] = 0x81 << 24 | SDES << 16 | end - at - 1
    words[:, at + 1] = ssrc
    words[:, at + 2 : end] = cname
    return 4 * end


def ntp(unix: float) -> int:
    """A 64-bit NTP timestamp (section 4) of Unix seconds."""
    return (int(unix) + NTP_UNIX & 0xFFFFFFFF) << 32 | int(unix % 1.0 * 0x100000000) & 0xFFFFFFFF


def middle(timestamp: int) -> int:
    """The middle 32 bits, in which LSR, DLSR and round trips are counted (1/65536 s)."""
    return timestamp >> 16 & 0xFFFFFFFF
