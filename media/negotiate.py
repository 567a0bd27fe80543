"""Offer and answer for one audio stream (RFC 3264), and what a relay between two legs needs of them.

On one leg:

    their offer   read_offer -> AudioOffer   --choose codecs-->  make_answer -> bytes, AudioSession
    our offer     make_offer -> bytes, Offered  --their answer--> read_answer -> AudioSession

Between two legs, A having offered and B being called; no payload is decoded, so codecs pass by identity:

    relay_offer(offer of A, policy of B)  -> what to offer B
    relay_answer(offer of A, session of B) -> what to answer A
    payload_map(session of A, session of B) -> numbers of A's packets as B knows them

Wherever a function takes or gives a plain tuple of `PayloadType` (offers and answers to be written), it holds
the audio codecs in order of preference, then comfort noise (RFC 3389), then telephone-events (RFC 4733).
`direction` is always one of `DIRECTIONS`, from the side of whoever's description or session it belongs to.
"""

import re
from functools import lru_cache
from typing import Final

import msgspec

from media.codec import (
    COMFORT_NOISE,
    DYNAMIC,
    DYNAMIC_NUMBERS,
    RTCP_LOOKALIKES,
    SPELLING,
    STATIC,
    TELEPHONE_EVENT,
    UNRELAYABLE,
    Codec,
    Key,
    PayloadType,
    codec_key,
    is_audio,
    static_number,
)
from media.commands import MediaAddress
from media.sdp import (
    HELD_HOSTS,
    MAX_FORMATS,
    SECTION_REMEMBERED,
    MediaDescription,
    NoCommonCodec,
    Origin,
    SdpError,
    SessionDescription,
    connection,
    parse,
    refused_line,
    section,
)

# RFC 3264 section 5.1: who sends and who receives, as bits: 1 the writer sends, 2 the writer receives.
DIRECTIONS: Final[dict[str, int]] = {"inactive": 0, "sendonly": 1, "recvonly": 2, "sendrecv": 3}
_BY_BITS: Final = ("inactive", "sendonly", "recvonly", "sendrecv")
_FLIPPED: Final[dict[str, str]] = {
    "inactive": "inactive",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "sendrecv": "sendrecv",
}

PROFILE: Final = "RTP/AVP"
DEFAULT_PTIME: Final = 20
"""RFC 3551 section 4.2: "the default packetization interval SHOULD have a duration of 20 ms"."""
MAX_PTIME: Final = 240
AUDIO_ONLY: Final[tuple[str, ...]] = ("",)

# Audio sections and codec lists remembered, and what bounds them: keys are shorter than SECTION_REMEMBERED.
KEPT: Final = 512

_RTPMAP = re.compile(
    r"rtpmap:([0-9]{1,3}) +([!#$%&'*+\-.^_`{|}~0-9A-Za-z]{1,64})/([1-9][0-9]{0,5})(?:/([1-9][0-9]?))? *"
)
_FMTP = re.compile(r"fmtp:([0-9]{1,3}) +([\x20-\x7e]{1,512})")
_RTCP = re.compile(r"rtcp:([0-9]{1,5})(?: IN (IP[46]) ([0-9A-Fa-f.:]{2,45}))? *")


class AudioPolicy(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What one endpoint may use.

    `codecs`: names in order of preference, without case, "name", "name/clock" or "name/clock/channels"; "*"
    stands for every other codec that can be relayed. `prefer`: whose order ranks the codecs of an offer that
    we answer and of one that we pass on to this endpoint, "ours" (of `codecs`) or "theirs" (of the offer).
    `dtmf`: telephone-events. `ptime`: milliseconds per packet that we ask for, 0 to ask for nothing.
    `rtcp_mux`: offer and accept RTP and RTCP on one port (RFC 5761). `comfort_noise`: RFC 3389.
    """

    codecs: tuple[str, ...] = ("opus", "G722", "PCMA", "PCMU", "G729", "GSM", "iLBC")
    dtmf: bool = True
    ptime: int = DEFAULT_PTIME
    rtcp_mux: bool = False
    prefer: str = "ours"
    comfort_noise: bool = True


class AudioOffer(msgspec.Struct, gc=False):
    """The audio of an offer that came, as far as the policy takes it.

    `codecs` (audio in order of preference, then comfort noise) and `dtmf` in the offerer's numbers;
    `direction` the offerer's, an old hold (c=0.0.0.0) folded in; `ptime`, `maxptime` in ms, 0 when not said;
    `rtcp_mux` offered and allowed; `layout` one entry per m= line, "" for the audio taken and the refusing
    line for each other.
    """

    remote: MediaAddress
    codecs: tuple[PayloadType, ...]
    dtmf: tuple[PayloadType, ...]
    direction: str
    ptime: int = 0
    maxptime: int = 0
    rtcp_mux: bool = False
    timing: str = "0 0"
    layout: tuple[str, ...] = AUDIO_ONLY


class Offered(msgspec.Struct, gc=False):
    """What `make_offer` offered: needed to read the answer."""

    codecs: tuple[PayloadType, ...]
    direction: str
    rtcp_mux: bool
    layout: tuple[str, ...]
    used: tuple[PayloadType, ...]


class AudioSession(msgspec.Struct, gc=False):
    """What is agreed on one leg.

    `remote`: where the peer wants media; its host is 0.0.0.0 or :: in an old hold, and then `direction` sends
    nothing. `codecs` (the first is the one to send; comfort noise last) and `dtmf` carry the numbers we send
    with, `receive` all of them with the numbers the peer sends with: equal but where an answerer chose its
    own (RFC 3264 section 6.1). `direction`: ours. `ptime`: what the peer wants, ms.

    For what comes later on this leg: `peer_direction` and `named` are what the peer last wrote, `layout` the
    m= lines that any new offer must repeat, `used` every number that has had a meaning.
    """

    remote: MediaAddress
    codecs: tuple[PayloadType, ...]
    dtmf: tuple[PayloadType, ...]
    direction: str
    ptime: int = DEFAULT_PTIME
    rtcp_mux: bool = False
    receive: tuple[PayloadType, ...] = ()
    peer_direction: str = "sendrecv"
    named: tuple[Codec, ...] = ()
    layout: tuple[str, ...] = AUDIO_ONLY
    used: tuple[PayloadType, ...] = ()


# --- one leg: their offer, our answer -----------------------------------------------------------------------


def read_offer(sdp: bytes, policy: AudioPolicy) -> AudioOffer:
    """Choose the audio line of an offer and what of it the policy takes.

    Raises `SdpError`: 400 malformed, 488 without an audio line that we can use; `NoCommonCodec` (488).
    """
    description = parse(sdp)
    problem: SdpError | None = None
    for index, media in enumerate(description.media):
        # "A port number of zero in the offer indicates that the stream is offered but MUST NOT be used" (RFC
        # 3264 5.1). RFC 3264 section 6.1 and RFC 5939: another profile (RTP/AVPF, RTP/SAVP,
        # UDP/TLS/RTP/SAVPF) is not this one.
        if media.kind != "audio" or media.proto != PROFILE or not media.port:
            continue
        audio = _offered_audio(media, policy)
        if not audio.codecs:
            problem = problem or NoCommonCodec()
            continue
        remote, direction = _address(description, media, audio)
        layout = AUDIO_ONLY
        if len(description.media) > 1:
            layout = tuple(["" if i == index else refused_line(m) for i, m in enumerate(description.media)])
        return AudioOffer(
            remote,
            audio.codecs,
            audio.dtmf,
            direction,
            audio.ptime,
            audio.maxptime,
            audio.rtcp_mux and policy.rtcp_mux,
            description.timing,
            layout,
        )
    raise problem or SdpError(488, "No usable audio in the offer")


def own_answer(offer: AudioOffer) -> tuple[PayloadType, ...]:
    """What to answer when the media ends here: the first codec, with the events and comfort noise on its
    clock."""
    first = offer.codecs[0]
    clock = first.codec.clock
    noise = [p for p in offer.codecs[1:] if p.codec.name == COMFORT_NOISE and p.codec.clock == clock]
    return (first, *noise[:1], *_on_clock(offer.dtmf, clock))


def make_answer(
    offer: AudioOffer,
    local: MediaAddress,
    codecs: tuple[PayloadType, ...],
    direction: str,
    origin: Origin,
    session: AudioSession | None = None,
    ptime: int | None = None,
) -> tuple[bytes, AudioSession]:
    """Answer `offer` with `codecs` (in its numbers). `direction` is what we wish, narrowed to what the offer
    permits; `session` what stood before on this leg; `ptime` ms, None to keep the offerer's. Raises
    `NoCommonCodec`."""
    if not codecs or not is_audio(codecs[0].codec):
        raise NoCommonCodec
    direction = answer_direction(offer.direction, direction)
    if ptime is None:
        ptime = offer.ptime
    body = _describe(local, codecs, direction, ptime, offer.rtcp_mux, offer.timing, offer.layout)
    voice, events = _parted(codecs)
    remote = offer.remote
    if offer.rtcp_mux:
        remote = MediaAddress(remote.host, remote.port, remote.port)
    named = offer.codecs + offer.dtmf
    return origin.describe(body), AudioSession(
        remote,
        voice,
        events,
        direction,
        _ptime(offer.ptime, offer.maxptime),
        offer.rtcp_mux,
        codecs,
        offer.direction,
        _codecs_of(named),
        offer.layout,
        _merged(named, session.used) if session is not None else named,
    )


# --- one leg: our offer, their answer -----------------------------------------------------------------------


def own_offer(policy: AudioPolicy, session: AudioSession | None = None) -> tuple[PayloadType, ...]:
    """What to offer when nobody's offer is passed on: every codec that the policy names and we know."""
    wanted = [PayloadType(-1, codec) for codec in _known(policy.codecs)]
    if policy.dtmf:
        clocks = sorted({p.codec.clock for p in wanted}, key=lambda clock: clock != 8000)
        wanted += [PayloadType(101 if clock == 8000 else -1, _event(clock)) for clock in clocks]
    return _numbered(tuple(wanted), session.used if session is not None else ())


def make_offer(
    local: MediaAddress,
    codecs: tuple[PayloadType, ...],
    policy: AudioPolicy,
    direction: str,
    origin: Origin,
    session: AudioSession | None = None,
    ptime: int | None = None,
) -> tuple[bytes, Offered]:
    """Offer `codecs`. `session` is what stands on this leg, for a re-offer: its m= lines are repeated, since
    RFC 3264 section 8 has it that "the i-th media stream in the new SDP matches the i-th in the old".
    `ptime`: ms, None for the policy's. Raises `NoCommonCodec` where `codecs` has no audio."""
    if not codecs or not is_audio(codecs[0].codec):
        raise NoCommonCodec
    layout = AUDIO_ONLY
    used = codecs
    if session is not None:
        layout = session.layout
        used = _merged(codecs, session.used)
    if ptime is None:
        ptime = policy.ptime
    body = _describe(local, codecs, direction, ptime, policy.rtcp_mux, "0 0", layout)
    return origin.describe(body), Offered(codecs, direction, policy.rtcp_mux, layout, used)


def read_answer(sdp: bytes, offered: Offered) -> AudioSession:
    """Read the answer to what we offered.

    Raises `SdpError`: 400 malformed, 488 where our audio is refused; `NoCommonCodec` where it names nothing
    we offered.
    """
    description = parse(sdp)
    index = offered.layout.index("")
    # RFC 3264 section 6: "The answer MUST contain exactly the same number of m= lines as the offer". Lenient:
    # lines past ours don't matter, and one answered too few is only fatal when it is the audio.
    if index >= len(description.media) or description.media[index].kind != "audio":
        raise SdpError(488, "No audio in the answer")
    media = description.media[index]
    if not media.port:
        raise SdpError(488, "Audio refused in the answer")
    if media.proto != PROFILE:
        raise SdpError(488, "Answer changes the transport profile")
    audio = _answered_audio(media, offered.codecs)
    if not audio.codecs:
        raise NoCommonCodec("Answer names no codec that was offered")
    remote, peer_direction = _address(description, media, audio)
    # RFC 5761 section 5.1.1: "the answer MUST NOT contain a=rtcp-mux" unless it was offered.
    mux = audio.rtcp_mux and offered.rtcp_mux
    if mux:
        remote = MediaAddress(remote.host, remote.port, remote.port)
    answered = audio.codecs + audio.dtmf
    return AudioSession(
        remote,
        audio.codecs,
        audio.dtmf,
        answer_direction(peer_direction, offered.direction),
        _ptime(audio.ptime, audio.maxptime),
        mux,
        audio.receive,
        peer_direction,
        _codecs_of(answered),
        offered.layout,
        _merged(answered, offered.used),
    )


# --- two legs -----------------------------------------------------------------------------------------------


def relay_offer(
    offer: AudioOffer, policy: AudioPolicy, session: AudioSession | None = None
) -> tuple[PayloadType, ...]:
    """What of A's offer to offer to B: what B's policy takes, in its order, under A's numbers where they are
    free on B's leg. `session`: what stands on B's leg already. Raises `NoCommonCodec`."""
    chosen = _relayed(offer.codecs, offer.dtmf, policy)
    if not chosen:
        raise NoCommonCodec
    return _numbered(chosen, session.used if session is not None else ())


def relay_answer(offer: AudioOffer, session: AudioSession) -> tuple[PayloadType, ...]:
    """What to answer A once B's session is agreed, in A's numbers with B's parameters: every codec that both
    have, the one that B sends with first; comfort noise and telephone-events where both have them. Raises
    `NoCommonCodec`."""
    return _answered(offer.codecs, offer.dtmf, session.codecs, session.dtmf)


def payload_map(source: AudioSession, sink: AudioSession) -> tuple[tuple[int, int], ...]:
    """(number that `source`'s peer sends with, number to send on to `sink`'s peer) for each codec that both
    legs have. What is not in it can't be understood on the other side, and is not to be relayed."""
    return _mapped(source.receive, sink.codecs + sink.dtmf)


def needs_peer(session: AudioSession, offer: AudioOffer) -> bool:
    """Whether a re-offer concerns the other leg: it changes the direction or the codecs that this peer last
    named. One that only moves the address, changes numbers or refreshes the session is answered on the
    spot."""
    if offer.direction != session.peer_direction:
        return True
    named = session.named
    now = offer.codecs + offer.dtmf
    return len(now) != len(named) or any(p.codec != codec for p, codec in zip(now, named, strict=True))


def flipped(direction: str) -> str:
    """The same flow seen from the other end."""
    return _FLIPPED[direction]


def answer_direction(offered: str, wish: str) -> str:
    """What of `wish` the answer to `offered` may say.

    RFC 3264 section 6.1: a stream offered sendonly "MUST be marked as recvonly or inactive in the answer",
    recvonly "MUST be marked as sendonly or inactive", inactive "MUST be marked as inactive".
    """
    return _BY_BITS[DIRECTIONS[_FLIPPED[offered]] & DIRECTIONS[wish]]


def peer_direction(offer: AudioOffer) -> str:
    """What to offer B when A offers this: A's own direction, so that a hold (also an old one) arrives as a
    hold, and sendrecv asks B to resume, whatever B itself holds (its answer says that)."""
    return offer.direction


def relayed_direction(offer: AudioOffer, session: AudioSession) -> str:
    """What to answer A once B has answered: B's direction, which may be narrower than asked (B holds too)."""
    return answer_direction(offer.direction, _FLIPPED[session.direction])


# --- reading ------------------------------------------------------------------------------------------------


class _Audio(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What an audio m= line and its attributes say, address aside. `direction` "" when not said here."""

    codecs: tuple[PayloadType, ...]
    dtmf: tuple[PayloadType, ...]
    receive: tuple[PayloadType, ...]
    direction: str
    ptime: int
    maxptime: int
    rtcp_mux: bool
    rtcp_port: int
    rtcp_host: str


def _offered_audio(media: MediaDescription, policy: AudioPolicy) -> _Audio:
    if len(media.text) + len(media.formats) > SECTION_REMEMBERED:
        return _audio_of_offer.__wrapped__(media.formats, media.text, policy)
    return _audio_of_offer(media.formats, media.text, policy)


@lru_cache(maxsize=KEPT)
def _audio_of_offer(formats: str, text: str, policy: AudioPolicy) -> _Audio:
    audio = _audio(formats, text, {})
    voice = _ranked(tuple(p for p in audio.codecs if is_audio(p.codec)), policy)
    clocks = {p.codec.clock for p in voice}
    noise = tuple(p for p in audio.codecs if p.codec.name == COMFORT_NOISE and p.codec.clock in clocks)
    if voice and policy.comfort_noise:
        voice += noise
    return msgspec.structs.replace(audio, codecs=voice, dtmf=audio.dtmf if policy.dtmf else ())


def _answered_audio(media: MediaDescription, offered: tuple[PayloadType, ...]) -> _Audio:
    if len(media.text) + len(media.formats) > SECTION_REMEMBERED:
        return _audio_of_answer.__wrapped__(media.formats, media.text, offered)
    return _audio_of_answer(media.formats, media.text, offered)


@lru_cache(maxsize=KEPT)
def _audio_of_answer(formats: str, text: str, offered: tuple[PayloadType, ...]) -> _Audio:
    # Lenient: a dynamic number that the answer does not map means what it meant in the offer.
    audio = _audio(formats, text, {p.number: p.codec for p in offered})
    numbers = {codec_key(p.codec): p.number for p in reversed(offered)}
    voice = tuple(p for p in audio.codecs if is_audio(p.codec) and codec_key(p.codec) in numbers)
    noise = tuple(p for p in audio.codecs if not is_audio(p.codec) and codec_key(p.codec) in numbers)
    events = tuple(p for p in audio.dtmf if codec_key(p.codec) in numbers)
    codecs = voice + noise if voice else ()
    receive = tuple(PayloadType(numbers[codec_key(p.codec)], p.codec) for p in codecs + events)
    return msgspec.structs.replace(audio, codecs=codecs, dtmf=events, receive=receive)


def _audio(formats: str, text: str, default: dict[int, Codec]) -> _Audio:
    """Read an audio line and its attributes; payload types that make no sense are left out. Raises
    `SdpError`."""
    mapped: dict[int, Codec] = {}
    fmtp: dict[int, str] = {}
    direction = rtcp_host = ""
    ptime = maxptime = rtcp_port = 0
    mux = False
    for value in section(text).attributes:
        if match := _RTPMAP.fullmatch(value):
            # "the first" of two mappings of a number: later ones may not change what a number means.
            mapped.setdefault(int(match[1]), _codec(match[2], int(match[3]), int(match[4] or 1)))
        elif match := _FMTP.fullmatch(value):
            fmtp.setdefault(int(match[1]), match[2].strip())
        elif value in DIRECTIONS:
            direction = value
        elif value.startswith("ptime:"):
            ptime = _milliseconds(value[6:])
        elif value.startswith("maxptime:"):
            maxptime = _milliseconds(value[9:])
        elif value == "rtcp-mux":
            mux = True
        elif match := _RTCP.fullmatch(value):
            rtcp_port, rtcp_host = int(match[1]), match[3] or ""
    numbers = formats.split()
    if len(numbers) > MAX_FORMATS:
        raise SdpError(488, "SDP has too many payload types")
    voice: dict[int, PayloadType] = {}
    events: dict[int, PayloadType] = {}
    for text_number in numbers:
        if not (text_number.isascii() and text_number.isdigit() and len(text_number) <= 3):
            raise SdpError(400, "Bad SDP: payload type is not a number")
        number = int(text_number)
        codec = mapped.get(number) or default.get(number) or STATIC.get(number)
        if codec is None or number > 127 or number in RTCP_LOOKALIKES:
            continue
        if number in fmtp:
            codec = Codec(codec.name, codec.clock, codec.channels, fmtp[number])
        elif codec.fmtp:
            codec = Codec(codec.name, codec.clock, codec.channels)
        (events if codec.name == TELEPHONE_EVENT else voice).setdefault(number, PayloadType(number, codec))
    codecs, dtmf = tuple(voice.values()), tuple(events.values())
    return _Audio(codecs, dtmf, codecs + dtmf, direction, ptime, maxptime, mux, rtcp_port, rtcp_host)


def _codec(name: str, clock: int, channels: int) -> Codec:
    lower = name.lower()
    if lower == "g722":
        # RFC 3551 section 4.5.2: "the RTP clock rate for the G722 payload format is 8,000 Hz"; some write
        # 16000.
        clock = 8000
    elif lower == "opus":
        # RFC 7587 section 7: "the RTP clock rate in a=rtpmap MUST be 48000, and the number of channels MUST
        # be 2".
        clock, channels = 48000, 2
    return Codec(SPELLING.get(lower, name), clock, channels)


def _milliseconds(text: str) -> int:
    """A packet time within reason; 0 (not said) for anything else."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_PTIME:
        return int(text)
    return 0


def _address(
    description: SessionDescription, media: MediaDescription, audio: _Audio
) -> tuple[MediaAddress, str]:
    """Where the writer of this description wants media, and its direction with an old hold folded in."""
    host = media.section.host or description.host
    if not host:
        raise SdpError(400, "Bad SDP: no c= for the audio")
    direction = audio.direction
    if not direction:
        direction = "sendrecv"
        for value in description.attributes:
            if value in DIRECTIONS:
                direction = value
    if host in HELD_HOSTS:
        # RFC 3264 section 8.4: "RFC 2543 specified that placing a user on hold was accomplished by setting
        # the connection address to 0.0.0.0": nothing may be sent to it, it may go on sending.
        direction = _BY_BITS[DIRECTIONS[direction] & 1]
    rtcp = audio.rtcp_port
    # RFC 3605: without the attribute RTCP is on the next port. RTCP on another host than RTP is not
    # supported, and is then sent where a peer that doesn't know the attribute would send it.
    if not 0 < rtcp <= 65535 or (audio.rtcp_host and audio.rtcp_host != host):
        rtcp = min(media.port + 1, 65535)
    return MediaAddress(host, media.port, rtcp), direction


def _ptime(ptime: int, maxptime: int) -> int:
    ptime = ptime or DEFAULT_PTIME
    return min(ptime, maxptime) if maxptime else ptime


# --- writing ------------------------------------------------------------------------------------------------


def _describe(
    local: MediaAddress,
    codecs: tuple[PayloadType, ...],
    direction: str,
    ptime: int,
    mux: bool,
    timing: str,
    layout: tuple[str, ...],
) -> str:
    """The lines of a description below its o=."""
    host, port, rtcp_port = local
    formats, maps = _codec_lines(codecs)
    interval = f"a=ptime:{ptime}\r\n" if ptime else ""
    # RFC 5761 section 5.1.1: an offerer of rtcp-mux may be answered without it, so the other port is named as
    # well.
    rtcp = f"a=rtcp:{rtcp_port}\r\n" if rtcp_port not in (port + 1, port) else ""
    if mux:
        rtcp += "a=rtcp-mux\r\n"
    audio = f"m=audio {port} {PROFILE} {formats}\r\n{maps}{interval}a={direction}\r\n{rtcp}"
    if len(layout) > 1:
        audio = "".join([line or audio for line in layout])
    return f"s=-\r\nc={connection(host)}\r\nt={timing}\r\n{audio}"


@lru_cache(maxsize=KEPT)
def _codec_lines(codecs: tuple[PayloadType, ...]) -> tuple[str, str]:
    lines = []
    for number, codec in ((p.number, p.codec) for p in codecs):
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        lines.append(f"a=rtpmap:{number} {codec.name}/{codec.clock}{channels}\r\n")
        if codec.fmtp:
            lines.append(f"a=fmtp:{number} {codec.fmtp}\r\n")
    return " ".join([str(p.number) for p in codecs]), "".join(lines)


# --- choosing -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=KEPT)
def _ranks(names: tuple[str, ...]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for rank, name in enumerate(names):
        ranks.setdefault(name.lower(), rank)
    return ranks


def _rank(codec: Codec, ranks: dict[str, int]) -> int | None:
    """The place of `codec` in a policy, None where it is not allowed."""
    name = codec.name.lower()
    clocked = f"{name}/{codec.clock}"
    for key in (f"{clocked}/{codec.channels}", clocked, name):
        if (rank := ranks.get(key)) is not None:
            return rank
    return None if name in UNRELAYABLE else ranks.get("*")


def _ranked(voice: tuple[PayloadType, ...], policy: AudioPolicy) -> tuple[PayloadType, ...]:
    ranks = _ranks(policy.codecs)
    allowed = [(rank, p) for p in voice if (rank := _rank(p.codec, ranks)) is not None]
    if policy.prefer == "ours":
        allowed.sort(key=lambda pair: pair[0])
    return tuple([p for _, p in allowed])


@lru_cache(maxsize=KEPT)
def _relayed(
    codecs: tuple[PayloadType, ...], dtmf: tuple[PayloadType, ...], policy: AudioPolicy
) -> tuple[PayloadType, ...]:
    voice = _ranked(tuple(p for p in codecs if is_audio(p.codec)), policy)
    if not voice:
        return ()
    clocks = {p.codec.clock for p in voice}
    noise = tuple(p for p in codecs if p.codec.name == COMFORT_NOISE and p.codec.clock in clocks)
    return voice + (noise if policy.comfort_noise else ()) + (dtmf if policy.dtmf else ())


@lru_cache(maxsize=KEPT)
def _answered(
    codecs: tuple[PayloadType, ...],
    dtmf: tuple[PayloadType, ...],
    theirs: tuple[PayloadType, ...],
    their_dtmf: tuple[PayloadType, ...],
) -> tuple[PayloadType, ...]:
    numbers: dict[Key, int] = {}
    for p in codecs + dtmf:
        numbers.setdefault(codec_key(p.codec), p.number)
    common = [PayloadType(numbers[key], p.codec) for p in theirs if (key := codec_key(p.codec)) in numbers]
    if not common or not is_audio(common[0].codec):
        raise NoCommonCodec
    events = tuple(
        [PayloadType(numbers[key], p.codec) for p in their_dtmf if (key := codec_key(p.codec)) in numbers]
    )
    return (*common, *_on_clock(events, common[0].codec.clock))


@lru_cache(maxsize=KEPT)
def _mapped(source: tuple[PayloadType, ...], sink: tuple[PayloadType, ...]) -> tuple[tuple[int, int], ...]:
    numbers: dict[Key, int] = {}
    for p in sink:
        numbers.setdefault(codec_key(p.codec), p.number)
    return tuple([(p.number, numbers[key]) for p in source if (key := codec_key(p.codec)) in numbers])


def _on_clock(events: tuple[PayloadType, ...], clock: int) -> tuple[PayloadType, ...]:
    """Telephone-events on the clock of the audio first: RFC 4733 section 2.1 has them share the stream's
    timestamps."""
    return tuple(sorted(events, key=lambda p: p.codec.clock != clock))


@lru_cache(maxsize=KEPT)
def _parted(codecs: tuple[PayloadType, ...]) -> tuple[tuple[PayloadType, ...], tuple[PayloadType, ...]]:
    return (
        tuple([p for p in codecs if p.codec.name != TELEPHONE_EVENT]),
        tuple([p for p in codecs if p.codec.name == TELEPHONE_EVENT]),
    )


@lru_cache(maxsize=KEPT)
def _codecs_of(payloads: tuple[PayloadType, ...]) -> tuple[Codec, ...]:
    return tuple([p.codec for p in payloads])


# --- numbers ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=KEPT)
def _merged(new: tuple[PayloadType, ...], old: tuple[PayloadType, ...]) -> tuple[PayloadType, ...]:
    """Every number with its meaning, what came later winning."""
    return tuple({p.number: p for p in old + new}.values())


@lru_cache(maxsize=KEPT)
def _numbered(wanted: tuple[PayloadType, ...], used: tuple[PayloadType, ...]) -> tuple[PayloadType, ...]:
    """Give each codec its number on a leg where `used` has been agreed.

    RFC 3264 section 8.3.2: "the mapping from a particular dynamic payload type number to a particular codec
    within that media stream MUST NOT change for the duration of a session". So: the number it has had on this
    leg; else its static one; else the one wished (-1: none); else a free one. Beyond the free numbers the
    least wanted are left out.
    """
    had: dict[Key, int] = {}
    taken: dict[int, Key] = {}
    for p in used:
        had.setdefault(codec_key(p.codec), p.number)
        taken[p.number] = codec_key(p.codec)
    wished = {p.number for p in wanted}
    chosen: list[PayloadType] = []
    given: set[int] = set()
    for p in wanted:
        key = codec_key(p.codec)
        free = (n for n in DYNAMIC_NUMBERS if n not in taken and n not in given and n not in wished)
        for number in (had.get(key), static_number(p.codec), p.number, *free):
            if number is None or number < 0 or number in given or taken.get(number, key) != key:
                continue
            given.add(number)
            chosen.append(PayloadType(number, p.codec))
            break
    return tuple(chosen)


def _event(clock: int) -> Codec:
    return Codec(TELEPHONE_EVENT, clock, 1, "0-16")


@lru_cache(maxsize=KEPT)
def _known(names: tuple[str, ...]) -> tuple[Codec, ...]:
    """The codecs that a policy names and that can be described without a peer's word for it."""
    known: dict[Key, Codec] = {}
    for text in names:
        name, *numbers = text.lower().split("/")
        codec = DYNAMIC.get(name) or next((c for c in STATIC.values() if c.name.lower() == name), None)
        if codec is None or not is_audio(codec):
            continue
        if numbers and all(n.isdigit() for n in numbers):
            channels = int(numbers[1]) if len(numbers) > 1 else 1
            codec = Codec(codec.name, int(numbers[0]), channels, codec.fmtp)
        known.setdefault(codec_key(codec), codec)
    return tuple(known.values())
