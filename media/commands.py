"""What crosses the line between signalling and media: addresses, settings of a stream, statistics, events.

Only plain values: no socket, no SDP class, nothing of the engine. Everything here can be written by msgspec
as it stands, so that the engine may run in the process of the signalling or in one of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel, ConfigDict, Field, model_validator

from media.audio_commands import AudioEvent
from rtp.ports import NoMediaPorts

__all__ = [
    "Format",
    "MediaAddress",
    "MediaEvent",
    "MediaSettings",
    "NoMediaPorts",
    "Quiet",
    "StreamClosed",
    "StreamFailed",
    "StreamKey",
    "StreamLatched",
    "StreamLost",
    "StreamSettings",
    "StreamSilent",
    "StreamStats",
]


class MediaAddress(NamedTuple):
    """Where audio goes or comes from: an IP literal, the port of RTP, the port of RTCP (the same one when
    muxed)."""

    host: str
    port: int
    rtcp_port: int


# A payload type agreed on a leg: (number, encoding name, clock rate in Hz), as in a=rtpmap. Telephone-event
# and comfort noise are formats like any other.
Format = tuple[int, str, int]


class StreamKey(msgspec.Struct, frozen=True, gc=False):
    """Keys of one direction of an SRTP stream, wherever they were agreed. No text made of it shows them."""

    suite: str
    """A name of `rtp.srtp.SUITES`."""
    key: bytes
    """Master key and master salt, one after the other."""

    def __repr__(self) -> str:
        return f"StreamKey({self.suite!r}, ...)"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What tracebacks with local variables show."""
        return [("suite", self.suite)]


class StreamSettings(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """All that was agreed about one stream; `MediaClient.configure` may be given the same value again."""

    remote: MediaAddress
    """The address in the peer's SDP. Port 0 or an unspecified host (0.0.0.0, ::) sends nothing."""
    nat: bool = False
    """The peer may be behind NAT: its real address is learned from its first packet, and answered."""
    signalled_host: str = ""
    """The address the peer's signalling came from: the only other host a NATed stream may be learned from."""
    formats: tuple[Format, ...] = ()
    """Agreed formats, the preferred one first. Packets of any other payload type are dropped and counted. Between
    bridged streams the payload type is translated by name and clock; what the other leg lacks is dropped."""
    receives: tuple[Format, ...] = ()
    """The same with the numbers that the peer sends with, where an answerer chose its own to receive (RFC 3264 6.1);
    of two meanings of a number the first counts. Empty: as `formats`."""
    send: bool = True
    """Packets may be sent to this peer."""
    receive: bool = True
    """Packets are expected from this peer, and passed on."""
    fmtps: tuple[tuple[int, str], ...] = ()
    """(payload type of `formats`, the peer's `a=fmtp` for it): what the peer wants to receive."""
    tones: bool = True
    """Digits for a peer without telephone-event are put into its audio as tones. False: they are left out (they go by
    the signalling, or this peer never takes tones)."""
    ptime: int = 20
    """Milliseconds of audio in a packet that we send where it is not relayed as it comes."""
    rtcp_mux: bool = False
    """RTCP shares the RTP port (RFC 5761)."""
    silence_after: float | None = None
    """Seconds without a packet, while `receive`, before `StreamSilent` is told. None: never."""
    crypto_in: StreamKey | None = None
    """The peer's keys: only packets that authenticate with them are believed, or latched to. None: plain RTP."""
    crypto_out: StreamKey | None = None
    """Our keys, that packets to the peer are protected with. None: plain RTP. The same key keeps its context: it must
    not come back after another one."""
    as_is: bool = False
    """Packets to this peer keep SSRC, sequence number, timestamp and marker, and reports (RTCP) of either peer go to
    the other instead of ours: for video, which is relayed or goes nowhere. From the first settings of a stream on."""


class StreamStats(msgspec.Struct, gc=False, kw_only=True):
    """One stream's whole life, both directions. Times are monotonic seconds; None where nothing was heard."""

    packets_received: int = 0
    octets_received: int = 0
    """Payload and header extension, without the fixed RTP header."""
    packets_sent: int = 0
    octets_sent: int = 0
    lost: int = 0
    """Expected less received (RFC 3550 A.3), never below 0."""
    misordered: int = 0
    """Packets that came late or twice: a sequence number not above the highest one seen."""
    wrong_source: int = 0
    """Dropped: from the signalled host, but not from the source this stream is locked to."""
    wrong_ssrc: int = 0
    """Dropped: a foreign SSRC while the locked one was still talking."""
    unknown_payload: int = 0
    """Dropped: a payload type that was not agreed, or that the other leg has no number for."""
    bad_packets: int = 0
    """Dropped: no valid RTP, or a leap in sequence that nothing confirmed."""
    auth_failed: int = 0
    """Dropped: SRTP or SRTCP that does not authenticate, plain packets among them."""
    replayed: int = 0
    """Dropped: SRTP packets that had come before, or are older than the replay window."""
    secure: bool = False
    """SRTP in both directions at the end."""
    jitter_ms: float = 0.0
    """Interarrival jitter (RFC 3550 A.8) of what we received."""
    round_trip_ms: float | None = None
    """From LSR and DLSR of the peer's last report (RFC 3550 6.4.1)."""
    remote_lost: int | None = None
    remote_loss_fraction: float | None = None
    """What the peer's last report says of our packets; a fraction of 1."""
    remote_jitter_ms: float | None = None
    remote_mos: float | None = None
    """What the peer's last extended report (RFC 3611) says of how our packets sound: MOS-LQ, listening."""
    remote_mos_cq: float | None = None
    """MOS-CQ, conversing: delay and echo count, too."""
    remote_burst_loss: float | None = None
    """Fraction lost or late within bursts of loss."""
    mos: float | None = None
    """Mean opinion score of what we received, estimated by the E-model (ITU-T G.107) every five seconds: the mean, and
    the worst. None: too little was heard, or by nobody."""
    mos_min: float | None = None
    rtcp_received: int = 0
    rtcp_sent: int = 0
    first_packet_at: float | None = None
    last_packet_at: float | None = None
    remote: tuple[str, int] | None = None
    """The source it was locked to at the end: signalled, or latched behind NAT."""
    latched: bool = False
    """The source was learned from a packet."""
    ssrcs: tuple[int, ...] = ()
    """SSRCs heard, oldest first; the latest eight."""
    local_ssrc: int = 0


class Quiet(msgspec.Struct, frozen=True, gc=False):
    """A stream, and the seconds for which nothing has come from its peer or gone to it; 0.0: that is not so, or nothing
    is to come or go."""

    stream: int
    unheard: float = 0.0
    unsent: float = 0.0


class StreamClosed(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The answer to `close`: port and row are free."""

    stream: int
    stats: StreamStats


class StreamSilent(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Nothing came for `seconds` although it should; told once, and again only after packets came back."""

    stream: int
    seconds: float


class StreamLatched(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A NATed stream was locked to its source, or moved to a new one."""

    stream: int
    host: str
    port: int


class StreamFailed(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The stream can't carry audio as configured (its address can't be told from another's, or is no IP
    literal). It stays open until it is closed."""

    stream: int
    why: str


class StreamLost(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The process that carried the stream is gone, and the stream with it. It may be opened again, and is to be closed
    like any other."""

    stream: int
    why: str


MediaEvent = StreamClosed | StreamSilent | StreamLatched | StreamFailed | StreamLost | AudioEvent


class MediaSettings(BaseModel):
    """Sockets of the media engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rtp_ports: tuple[int, int] = Field((10000, 19999), description="First and last UDP port for RTP and RTCP.")
    shared_ports: int = Field(
        16, ge=1, le=1024, description="Pairs of ports that are always open and shared by all streams."
    )
    hosts: tuple[str, ...] = Field(
        ("0.0.0.0",), min_length=1, max_length=16, description="Local addresses to bind: IP literals."
    )
    rtcp_xr: bool = Field(False, description="Reports tell how the peer sounds (RFC 3611).")

    @model_validator(mode="after")
    def _a_pair_fits(self) -> MediaSettings:
        low, high = self.rtp_ports
        if not 1024 <= low < high <= 65535:
            raise ValueError("rtp_ports: expected 1024 <= first < last <= 65535")
        if high - (low + low % 2) < 1:
            raise ValueError("rtp_ports: expected room for one even port and the odd one after it")
        return self
