"""RTCP extended reports (RFC 3611): receiver reference time (4.4), DLRR (4.5), VoIP metrics (4.7); others are skipped.

With the first two a receiver that sends nothing learns the round trip, too: it tells its time, the sender answers how
long ago that came.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from rtp.rtcp import MAX_PACKETS, XR, RtcpError

REFERENCE_TIME, DLRR, VOIP_METRICS = 4, 5, 7
MAX_BLOCKS = 64  # in one packet; more is refused
UNKNOWN = 127  # of levels, R factors and MOS (4.7.3 to 4.7.5)
# 4.7.6 receiver configuration
STANDARD_PLC, ENHANCED_PLC, NO_PLC = 3, 2, 1
ADAPTIVE, FIXED = 3, 2
_UNIT = 256  # of fractions

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

_VOIP = struct.Struct("!I4B4H2b2B4B2B3H")
_DLRR = struct.Struct("!III")


class Delay(msgspec.Struct, frozen=True, gc=False):
    """A sub-block of DLRR: what its sender knows of `ssrc`'s reference time."""

    ssrc: int
    last: int
    """The middle 32 bits of the last reference time, 0: none came."""
    delay: int
    """1/65536 seconds since that came."""


class VoipMetrics(msgspec.Struct, frozen=True, gc=False):
    """4.7, as its sender hears `ssrc`. Fractions 0 to 1, times in ms, levels in dBm0; None: not known."""

    ssrc: int
    loss: float
    discard: float
    burst_density: float
    gap_density: float
    burst_ms: int
    gap_ms: int
    round_trip_ms: int
    end_system_ms: int
    signal: int | None
    noise: int | None
    echo_loss: int | None
    gmin: int
    r_factor: int | None
    external_r_factor: int | None
    mos_lq: float | None
    mos_cq: float | None
    plc: int
    adaptive: int
    adjustment: int
    buffer_ms: int
    buffer_max_ms: int
    buffer_limit_ms: int


class Extended(msgspec.Struct, gc=False):
    """What the extended reports of one compound packet said."""

    ssrc: int | None = None
    """Their sender; None: there were none."""
    reference_time: int | None = None
    """64-bit NTP timestamp."""
    delays: tuple[Delay, ...] = ()
    voip: tuple[VoipMetrics, ...] = ()


def parse(packet: bytes) -> Extended:
    """Read the XR packets of a compound packet. Raises RtcpError."""
    extended = Extended()
    at, end = 0, len(packet)
    for _ in range(MAX_PACKETS):
        if at == end:
            return extended
        if end - at < 4:
            raise RtcpError("cut off in a header")
        head, kind, words = packet[at], packet[at + 1], packet[at + 2] << 8 | packet[at + 3]
        stop = at + 4 + 4 * words
        if head >> 6 != 2 or stop > end:
            raise RtcpError("no RTCP" if stop <= end else "longer than the datagram")
        if kind == XR:
            body = stop
            if head & 0x20:
                padding = packet[stop - 1]
                if stop != end or not 0 < padding <= stop - at - 4:
                    raise RtcpError("bad padding")
                body -= padding
            _read(packet, at + 4, body, extended)
        at = stop
    if at == end:
        return extended
    raise RtcpError(f"more than {MAX_PACKETS} packets")


def _read(packet: bytes, at: int, end: int, extended: Extended) -> None:
    """The blocks of one XR packet."""
    if end - at < 4:
        raise RtcpError("no room for an SSRC")
    extended.ssrc = int.from_bytes(packet[at : at + 4], "big")
    at += 4
    for _ in range(MAX_BLOCKS):
        if at == end:
            return
        if end - at < 4:
            raise RtcpError("extended report cut off")
        kind, size = packet[at], 4 * (packet[at + 2] << 8 | packet[at + 3])
        at += 4
        if size > end - at:
            raise RtcpError("extended report block longer than its packet")
        # Section 3: a block whose length does not fit its type is discarded.
        if kind == REFERENCE_TIME and size == 8:
            extended.reference_time = int.from_bytes(packet[at : at + 8], "big")
        elif kind == DLRR and size % _DLRR.size == 0:
            extended.delays += tuple(Delay(*_DLRR.unpack_from(packet, sub)) for sub in range(at, at + size, _DLRR.size))
        elif kind == VOIP_METRICS and size == _VOIP.size:
            extended.voip += (_voip(packet, at),)
        at += size
    raise RtcpError(f"more than {MAX_BLOCKS} extended report blocks")


def _voip(packet: bytes, at: int) -> VoipMetrics:
    values = _VOIP.unpack_from(packet, at)
    ssrc, loss, discard, burst, gap, burst_ms, gap_ms, round_trip_ms, end_system_ms = values[:9]
    signal, noise, echo, gmin, r_factor, external, listening, conversation, config, _ = values[9:19]
    nominal, largest, limit = values[19:]
    return VoipMetrics(
        ssrc,
        loss / _UNIT,
        discard / _UNIT,
        burst / _UNIT,
        gap / _UNIT,
        burst_ms,
        gap_ms,
        round_trip_ms,
        end_system_ms,
        _known(signal),
        _known(noise),
        _known(echo),
        gmin,
        _known(r_factor),
        _known(external),
        None if listening == UNKNOWN else listening / 10,
        None if conversation == UNKNOWN else conversation / 10,
        config >> 6,
        config >> 4 & 3,
        config & 15,
        nominal,
        largest,
        limit,
    )


def _known(value: int) -> int | None:
    return None if value == UNKNOWN else value


class VoipColumns(NamedTuple):
    """VoIP metrics of many streams, a column each; units as in `VoipMetrics`. Levels and echo are told as unknown."""

    ssrc: I64
    loss: F64
    discard: F64
    burst_density: F64
    gap_density: F64
    burst_ms: F64
    gap_ms: F64
    round_trip_ms: F64
    end_system_ms: F64
    gmin: int
    r_factor: F64
    """Negative: unknown; so are the scores below."""
    mos_lq: F64
    mos_cq: F64
    buffer_ms: F64
    buffer_max_ms: F64
    buffer_limit_ms: F64
    plays: Bool
    """False: a relay, that has no jitter buffer and conceals nothing."""


class DelayColumns(NamedTuple):
    """One DLRR sub-block of many reports, a column each."""

    ssrc: I64
    last: I64
    delay: I64


def write(
    words: npt.NDArray[np.uint32],
    at: int,
    ssrc: I64,
    reference_time: int | None = None,
    delays: DelayColumns | None = None,
    voip: VoipColumns | None = None,
) -> int:
    """Write an XR packet into each row of `words` (big-endian) from word `at` on: behind what `rtcp.write` wrote.
    The word after it."""
    words[:, at + 1] = ssrc
    end = at + 2
    if reference_time is not None:
        words[:, end] = REFERENCE_TIME << 24 | 2
        words[:, end + 1] = reference_time >> 32
        words[:, end + 2] = reference_time & 0xFFFFFFFF
        end += 3
    if delays is not None:
        words[:, end] = DLRR << 24 | 3
        words[:, end + 1] = delays.ssrc
        words[:, end + 2] = delays.last
        words[:, end + 3] = delays.delay
        end += 4
    if voip is not None:
        _write_voip(words[:, end : end + 9], voip)
        end += 9
    words[:, at] = 0x80 << 24 | XR << 16 | end - at - 1
    return end


def _write_voip(words: npt.NDArray[np.uint32], voip: VoipColumns) -> None:
    words[:, 0] = VOIP_METRICS << 24 | 8
    words[:, 1] = voip.ssrc
    fractions = [_octets(part * _UNIT, 255) for part in voip[1:5]]
    words[:, 2] = fractions[0] << 24 | fractions[1] << 16 | fractions[2] << 8 | fractions[3]
    words[:, 3] = _octets(voip.burst_ms, 0xFFFF) << 16 | _octets(voip.gap_ms, 0xFFFF)
    words[:, 4] = _octets(voip.round_trip_ms, 0xFFFF) << 16 | _octets(voip.end_system_ms, 0xFFFF)
    words[:, 5] = UNKNOWN << 24 | UNKNOWN << 16 | UNKNOWN << 8 | voip.gmin
    # 4.7.5: R 0 to 100; MOS 10 to 50, in tenths.
    rating = np.where(voip.r_factor < 0, UNKNOWN, _octets(np.rint(voip.r_factor), 100))
    scores = [np.where(score < 0, UNKNOWN, _octets(np.rint(score * 10), 50).clip(10)) for score in voip[11:13]]
    words[:, 6] = rating << 24 | UNKNOWN << 16 | scores[0] << 8 | scores[1]
    # 4.7.6: the buffer follows a step in jitter within about "2*J*frame size", here with J = 1.
    config = np.where(voip.plays, STANDARD_PLC << 6 | ADAPTIVE << 4 | 1, 0)
    words[:, 7] = config << 24 | _octets(voip.buffer_ms, 0xFFFF)
    words[:, 8] = _octets(voip.buffer_max_ms, 0xFFFF) << 16 | _octets(voip.buffer_limit_ms, 0xFFFF)


def _octets(values: F64, largest: int) -> I64:
    return np.clip(values, 0, largest).astype(np.int64)


def round_trip(now: int, delay: Delay) -> float:
    """Seconds, of a DLRR sub-block about us that came at `now` (middle 32 bits of our NTP time); RFC 3611 4.5. Negative
    or absurd when the peer lies."""
    ticks = (now - delay.last - delay.delay) & 0xFFFFFFFF
    return (ticks - (ticks >> 31 << 32)) / 65536
