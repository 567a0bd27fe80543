"""The audio section of a description: payload types and attributes read, and ours written.

Lines that make no sense (a mapping without a clock, a packet time that is no number) are taken as not
written; the payload type they describe is then unknown and not used. Telephones write the same lines in every
call: what sections and lines mean is remembered, within bounds.
"""

import re
from functools import lru_cache
from typing import Final

import msgspec

from media.choice import DEFAULT_PTIME, KEPT, AudioPolicy, ranked
from media.codec import (
    RTCP_LOOKALIKES,
    SPELLING,
    STATIC,
    TELEPHONE_EVENT,
    Codec,
    PayloadType,
    codec_key,
    is_audio,
)
from media.commands import MediaAddress
from media.sdp import (
    HELD_HOSTS,
    MAX_FORMATS,
    SECTION_REMEMBERED,
    MediaDescription,
    SdpError,
    SessionDescription,
    connection,
    section,
)

# RFC 3264 section 5.1: who sends and who receives, as bits: 1 the writer sends, 2 the writer receives.
DIRECTIONS: Final[dict[str, int]] = {"inactive": 0, "sendonly": 1, "recvonly": 2, "sendrecv": 3}
BY_BITS: Final = ("inactive", "sendonly", "recvonly", "sendrecv")

PROFILE: Final = "RTP/AVP"
MAX_PTIME: Final = 240

ATTRIBUTES_KEPT: Final = 2048
ATTRIBUTE_REMEMBERED: Final = 300

_TOKEN: Final = r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]"
_RTPMAP = re.compile(rf"([0-9]{{1,3}}) +({_TOKEN}{{1,64}})/([1-9][0-9]{{0,5}})(?:/([1-9][0-9]?))? *")
_FMTP = re.compile(r"([0-9]{1,3}) +([\x20-\x7e]{1,256})")
_RTCP = re.compile(r"([0-9]{1,5})(?: IN IP[46] ([0-9A-Fa-f.:]{2,45}))? *")


class Audio(msgspec.Struct, frozen=True, gc=False):
    """What an audio `m=` and its attributes say, address aside.

    `codecs` (then comfort noise) and `dtmf` in the writer's numbers; `receive`, of an answer, the numbers of
    the offer for the same. `direction` "" and times 0 where not said; `rtcp_port`, `rtcp_host` of `a=rtcp`.
    """

    codecs: tuple[PayloadType, ...]
    dtmf: tuple[PayloadType, ...]
    receive: tuple[PayloadType, ...]
    direction: str
    ptime: int
    maxptime: int
    rtcp_mux: bool
    rtcp_port: int
    rtcp_host: str


class _Line(msgspec.Struct, frozen=True, gc=False):
    """One attribute that matters: its name, and what stands in it."""

    name: str
    number: int = 0
    text: str = ""
    codec: Codec | None = None


def offered_audio(media: MediaDescription, policy: AudioPolicy) -> Audio:
    """The audio of an offer, what `policy` does not take left out; no `codecs` when it takes none of them.
    Raises `SdpError`."""
    if len(media.text) + len(media.formats) > SECTION_REMEMBERED:
        return _audio_of_offer.__wrapped__(media.formats, media.text, policy)
    return _audio_of_offer(media.formats, media.text, policy)


@lru_cache(maxsize=KEPT)
def _audio_of_offer(formats: str, text: str, policy: AudioPolicy) -> Audio:
    audio = _audio(formats, text, {})
    codecs = ranked(audio.codecs, policy)
    return _with(audio, codecs, audio.dtmf if policy.dtmf else (), ())


def answered_audio(media: MediaDescription, offered: tuple[PayloadType, ...]) -> Audio:
    """The audio of an answer, what was not offered left out; no `codecs` when nothing of it was. Raises
    `SdpError`."""
    if len(media.text) + len(media.formats) > SECTION_REMEMBERED:
        return _audio_of_answer.__wrapped__(media.formats, media.text, offered)
    return _audio_of_answer(media.formats, media.text, offered)


@lru_cache(maxsize=KEPT)
def _audio_of_answer(formats: str, text: str, offered: tuple[PayloadType, ...]) -> Audio:
    # Lenient: a dynamic number that the answer does not map means what it meant in the offer.
    audio = _audio(formats, text, {p.number: p.codec for p in offered})
    numbers = {codec_key(p.codec): p.number for p in reversed(offered)}
    known = [p for p in audio.codecs if codec_key(p.codec) in numbers]
    voice = tuple([p for p in known if is_audio(p.codec)])
    codecs = voice and voice + tuple([p for p in known if not is_audio(p.codec)])
    events = tuple([p for p in audio.dtmf if codec_key(p.codec) in numbers])
    receive = tuple([PayloadType(numbers[codec_key(p.codec)], p.codec) for p in codecs + events])
    return _with(audio, codecs, events, receive)


def _with(
    audio: Audio,
    codecs: tuple[PayloadType, ...],
    dtmf: tuple[PayloadType, ...],
    receive: tuple[PayloadType, ...],
) -> Audio:
    return Audio(
        codecs,
        dtmf,
        receive,
        audio.direction,
        audio.ptime,
        audio.maxptime,
        audio.rtcp_mux,
        audio.rtcp_port,
        audio.rtcp_host,
    )


def _audio(formats: str, text: str, default: dict[int, Codec]) -> Audio:
    """Read formats and attributes; `default` is what numbers mean that are not mapped. Raises `SdpError`."""
    mapped: dict[int, Codec] = {}
    fmtp: dict[int, str] = {}
    direction = rtcp_host = ""
    ptime = maxptime = rtcp_port = 0
    mux = False
    for value in section(text).attributes:
        line = _attribute(value) if len(value) <= ATTRIBUTE_REMEMBERED else None
        if line is None:
            continue
        name = line.name
        if name == "rtpmap":
            # The first mapping counts: a later one may not change what a number means.
            assert line.codec is not None
            mapped.setdefault(line.number, line.codec)
        elif name == "fmtp":
            fmtp.setdefault(line.number, line.text)
        elif name == "ptime":
            ptime = line.number
        elif name == "maxptime":
            maxptime = line.number
        elif name == "rtcp-mux":
            mux = True
        elif name == "rtcp":
            rtcp_port, rtcp_host = line.number, line.text
        else:
            direction = name
    payloads = _payloads(formats, mapped, fmtp, default)
    codecs = tuple([p for p in payloads if p.codec.name != TELEPHONE_EVENT])
    dtmf = tuple([p for p in payloads if p.codec.name == TELEPHONE_EVENT])
    return Audio(codecs, dtmf, (), direction, ptime, maxptime, mux, rtcp_port, rtcp_host)


def _payloads(
    formats: str, mapped: dict[int, Codec], fmtp: dict[int, str], default: dict[int, Codec]
) -> list[PayloadType]:
    """The payload types of an `m=` that we can name, in its order, each once. Raises `SdpError`."""
    numbers = formats.split()
    if len(numbers) > MAX_FORMATS:
        raise SdpError(488, "SDP has too many payload types")
    payloads: dict[int, PayloadType] = {}
    for text in numbers:
        if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 127):
            raise SdpError(400, "Bad SDP: payload type is not a number up to 127")
        number = int(text)
        codec = mapped.get(number) or default.get(number) or STATIC.get(number)
        if codec is None or number in RTCP_LOOKALIKES or number in payloads:
            continue
        parameters = fmtp.get(number, "")
        if parameters != codec.fmtp:
            codec = Codec(codec.name, codec.clock, codec.channels, parameters)
        payloads[number] = PayloadType(number, codec)
    return list(payloads.values())


@lru_cache(maxsize=ATTRIBUTES_KEPT)
def _attribute(value: str) -> _Line | None:
    """What an attribute says, None for one that says nothing to us or is malformed."""
    name, _, rest = value.partition(":")
    if name == "rtpmap":
        if match := _RTPMAP.fullmatch(rest):
            return _Line(name, int(match[1]), codec=_codec(match[2], int(match[3]), int(match[4] or 1)))
    elif name == "fmtp":
        if match := _FMTP.fullmatch(rest):
            return _Line(name, int(match[1]), match[2].strip())
    elif name == "ptime" or name == "maxptime":
        rest = rest.strip()
        if rest.isascii() and rest.isdigit() and len(rest) <= 4 and 1 <= int(rest) <= MAX_PTIME:
            return _Line(name, int(rest))
    elif name == "rtcp":
        if match := _RTCP.fullmatch(rest):
            return _Line(name, int(match[1]), match[2] or "")
    elif value in DIRECTIONS or value == "rtcp-mux":
        return _Line(value)
    return None


def _codec(name: str, clock: int, channels: int) -> Codec:
    lower = name.lower()
    if lower == "g722":
        # RFC 3551 section 4.5.2: "the RTP clock rate for the G722 payload format is 8,000 Hz"; some write
        # 16000.
        clock = 8000
    elif lower == "opus":
        # RFC 7587 section 7: "the RTP clock rate in a=rtpmap MUST be 48000, and the number of channels MUST
        # be 2"; some leave the channels out.
        clock, channels = 48000, 2
    return Codec(SPELLING.get(lower, name), clock, channels)


def address(description: SessionDescription, media: MediaDescription, audio: Audio) -> tuple[MediaAddress, str]:
    """Where the writer of a description wants its audio, and its direction with an old hold folded in. Raises
    `SdpError` (400) where there is no `c=`."""
    host = section(media.text).host or description.host
    if not host:
        raise SdpError(400, "Bad SDP: no c= for the audio")
    direction = audio.direction
    if not direction:
        direction = "sendrecv"
        for value in description.attributes:
            if value in DIRECTIONS:
                direction = value
    if host in HELD_HOSTS:
        # RFC 3264 section 8.4: "RFC 2543 [10] specified that placing a user on hold was accomplished by
        # setting the connection address to 0.0.0.0": nothing may be sent to it, it may go on sending.
        direction = BY_BITS[DIRECTIONS[direction] & 1]
    port = media.port
    rtcp = audio.rtcp_port
    # RFC 3605: without the attribute RTCP is on the next port. RTCP on another host than RTP is not
    # supported, and is then sent where a peer that doesn't know the attribute would send it.
    if not 0 < rtcp <= 65535 or (audio.rtcp_host and audio.rtcp_host != host):
        rtcp = port + 1 if port < 65535 else port
    return MediaAddress(host, port, rtcp), direction


def packet_time(ptime: int, maxptime: int) -> int:
    """Milliseconds per packet that the writer of `a=ptime` and `a=maxptime` (0: not said) wants."""
    return min(ptime or DEFAULT_PTIME, maxptime or MAX_PTIME)


def describe(
    local: MediaAddress,
    codecs: tuple[PayloadType, ...],
    direction: str,
    ptime: int,
    mux: bool,
    timing: str,
    layout: tuple[str, ...],
    profile: str = PROFILE,
    keys: str = "",
) -> str:
    """The lines of a description below its `o=`. `layout`: one entry per `m=`, "" for the audio and the lines
    with their CRLF for each other. `keys`: `a=crypto` lines (media.sdes)."""
    host, port, rtcp_port = local
    formats, maps = _codec_lines(codecs)
    interval = f"a=ptime:{ptime}\r\n" if ptime else ""
    # RFC 5761 section 5.1.1: an offerer of rtcp-mux may be answered without it, so a port of its own for RTCP
    # is named where RFC 3605 asks for that.
    rtcp = f"a=rtcp:{rtcp_port}\r\n" if rtcp_port not in (port + 1, port) else ""
    if mux:
        rtcp += "a=rtcp-mux\r\n"
    audio = f"m=audio {port} {profile} {formats}\r\n{keys}{maps}{interval}a={direction}\r\n{rtcp}"
    if len(layout) > 1:
        audio = "".join([line or audio for line in layout])
    return f"s=-\r\nc={connection(host)}\r\nt={timing}\r\n{audio}"


@lru_cache(maxsize=KEPT)
def _codec_lines(codecs: tuple[PayloadType, ...]) -> tuple[str, str]:
    """The formats of an `m=`, and the `a=rtpmap` and `a=fmtp` of them."""
    lines = []
    for payload in codecs:
        number, codec = payload.number, payload.codec
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        lines.append(f"a=rtpmap:{number} {codec.name}/{codec.clock}{channels}\r\n")
        if codec.fmtp:
            lines.append(f"a=fmtp:{number} {codec.fmtp}\r\n")
    return " ".join([str(p.number) for p in codecs]), "".join(lines)
