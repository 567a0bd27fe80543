"""Offer and answer for one audio stream (RFC 3264), with a video stream beside it where both ends have one
(media.video), and what a relay between two legs needs of them.

On one leg:

    their offer   read_offer -> AudioOffer   --choose codecs-->  make_answer -> bytes, AudioSession
    our offer     make_offer -> bytes, Offered  --their answer--> read_answer -> AudioSession

Between two legs, A having offered and B being called. Codecs pass by identity, and the engine relays them undecoded,
wherever both sides can agree; where the policies of both allow it, the engine transcodes else:

    relay_offer(offer of A, policy of B)  -> what to offer B: what A has, then what can be made of it
    relay_answer(offer of A, session of B, policy of B) -> what to answer A: what B has, else what can be made of it
    payload_map(session of A, session of B) -> numbers of A's packets as B knows them

Wherever a function takes or gives a plain tuple of `PayloadType` (offers and answers to be written), it holds
the audio codecs in order of preference, then comfort noise (RFC 3389), then telephone-events (RFC 4733).
`direction` is always one of `DIRECTIONS`, from the side of whoever's description or session it belongs to.
"""

from secrets import token_bytes
from typing import Final

import msgspec

from media import sdes
from media.audio import (
    BY_BITS,
    DIRECTIONS,
    PROFILE,
    address,
    answered_audio,
    describe,
    offered_audio,
    packet_time,
)
from media.choice import DEFAULT_PTIME as DEFAULT_PTIME
from media.choice import AudioPolicy as AudioPolicy
from media.choice import (
    answered,
    can_transcode,
    codecs_of,
    event_codec,
    known,
    mapped,
    merged,
    numbered,
    on_clock,
    parted,
    ranked,
    relayed,
    transcoded_answer,
    transcoded_offer,
)
from media.codec import COMFORT_NOISE, Codec, PayloadType, codec_key, is_audio, own_codec, transcodable
from media.commands import MediaAddress
from media.sdp import NoCommonCodec, Origin, SdpError, parse, refused_line
from media.video import (
    VIDEO_LINE,
    VideoOffer,
    VideoOffered,
    VideoSession,
    answer_video,
    answered_video,
    read_video,
    refusal,
)
from media.video_layout import Pictures as Pictures
from media.video_layout import numbers_used, placed, with_video

_FLIPPED: Final[dict[str, str]] = {
    "inactive": "inactive",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "sendrecv": "sendrecv",
}

AUDIO_ONLY: Final[tuple[str, ...]] = ("",)


class AudioOffer(msgspec.Struct, gc=False):
    """The audio of an offer that came, as far as the policy takes it.

    `codecs` (audio in order of preference, then comfort noise) and `dtmf` in the offerer's numbers;
    `direction` the offerer's, an old hold (c=0.0.0.0) folded in; `ptime`, `maxptime` in ms, 0 when not said;
    `rtcp_mux` offered and allowed; `layout` one entry per m= line, "" for the audio taken and the refusing
    line for each other, that of `video` among them.
    `transcode` and `digits` are the offerer's policy's: its audio may be made into other codecs,
    and its digits, which do not come as telephone-events, into some.
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
    profile: str = PROFILE
    crypto: tuple[sdes.CryptoLine, ...] = ()
    """SRTP keys that may be answered; (): plain RTP."""
    transcode: bool = False
    digits: bool = False
    video: VideoOffer | None = None


class Offered(msgspec.Struct, gc=False):
    """What `make_offer` offered: needed to read the answer."""

    codecs: tuple[PayloadType, ...]
    direction: str
    rtcp_mux: bool
    layout: tuple[str, ...]
    used: tuple[PayloadType, ...]
    profile: str = PROFILE
    crypto: tuple[sdes.CryptoLine, ...] = ()
    video: VideoOffered | None = None
    """Its line is the one that `layout` has VIDEO_LINE for."""
    video_used: tuple[tuple[int, str], ...] = ()


class AudioSession(msgspec.Struct, gc=False):
    """What is agreed on one leg.

    `remote`: where the peer wants media; its host is 0.0.0.0 or :: in an old hold, and then `direction` sends
    nothing. `codecs` (the first is the one to send; comfort noise last) and `dtmf` carry the numbers we send
    with, `receive` all of them with the numbers the peer sends with: equal but where an answerer chose its
    own (RFC 3264 section 6.1). `direction`: ours. `ptime`: what the peer wants, ms. `fmtps`: (number that we send with,
    the peer's parameters for it), where it wrote any.

    For what comes later on this leg: `peer_direction` and `named` are what the peer last wrote, `layout` the
    m= lines that any new offer must repeat (VIDEO_LINE for that of `video`), `used` and `video_used` every number that
    has had a meaning. `crypto`: SRTP keys of both directions, None for plain RTP.
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
    crypto: sdes.Crypto | None = None
    fmtps: tuple[tuple[int, str], ...] = ()
    video: VideoSession | None = None
    video_used: tuple[tuple[int, str], ...] = ()


# --- one leg: their offer, our answer -----------------------------------------------------------------------


def read_offer(sdp: bytes, policy: AudioPolicy) -> AudioOffer:
    """Choose the audio line of an offer and what of it the policy takes.

    Raises `SdpError`: 400 malformed, 488 without an audio line that we can use; `NoCommonCodec` (488).
    """
    description = parse(sdp)
    problem: SdpError | None = None
    for index, media in sdes.by_preference(description.media, policy.srtp):
        # "A port number of zero in the offer indicates that the stream is offered but MUST NOT be used" (RFC
        # 3264 5.1). RFC 3264 section 6.1 and RFC 5939: another profile (RTP/AVPF, RTP/SAVPF, UDP/TLS/RTP/SAVPF) is
        # none of ours.
        if media.kind != "audio" or media.proto not in (PROFILE, sdes.SECURE) or not media.port:
            continue
        try:
            crypto = sdes.offered(media, policy)
        except sdes.SrtpRefused as refused:
            problem = problem or refused
            continue
        audio = offered_audio(media, policy)
        if not audio.codecs:
            problem = problem or NoCommonCodec()
            continue
        remote, direction = address(description, media, audio)
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
            media.proto,
            crypto,
            policy.transcode,
            policy.converts_digits,
            read_video(description, policy) if len(layout) > 1 else None,
        )
    raise problem or SdpError(488, "No usable audio in the offer")


def own_answer(offer: AudioOffer, heard: bool = False) -> tuple[PayloadType, ...]:
    """What to answer when the media ends here: the first codec, with the events and comfort noise on its clock.

    `heard`: the engine shall decode and encode it. Raises `NoCommonCodec` where it can't.
    """
    first = offer.codecs[0]
    if heard:
        able = [p for p in offer.codecs if transcodable(p.codec)]
        if not able:
            raise NoCommonCodec("No codec that can be played")
        first = PayloadType(able[0].number, own_codec(able[0].codec))
    clock = first.codec.clock
    noise = [p for p in offer.codecs[1:] if p.codec.name == COMFORT_NOISE and p.codec.clock == clock]
    return (first, *noise[:1], *on_clock(offer.dtmf, clock))


def make_answer(
    offer: AudioOffer,
    local: MediaAddress,
    codecs: tuple[PayloadType, ...],
    direction: str,
    origin: Origin,
    session: AudioSession | None = None,
    ptime: int | None = None,
    random: sdes.Random = token_bytes,
    pictures: Pictures | None = None,
) -> tuple[bytes, AudioSession]:
    """Answer `offer` with `codecs` (in its numbers). `direction` is what we wish, narrowed to what the offer
    permits; `session` what stood before on this leg; `ptime` ms, None to keep the offerer's; `random` gives SRTP
    keys; `pictures` what to answer to its video, None: refused. Raises `NoCommonCodec`."""
    if not codecs or not is_audio(codecs[0].codec):
        raise NoCommonCodec
    direction = answer_direction(offer.direction, direction)
    if ptime is None:
        ptime = offer.ptime
    crypto = sdes.answered(offer.crypto, offer.profile, session.crypto if session is not None else None, random)
    keys = sdes.written((sdes.CryptoLine(crypto.tag, crypto.ours),)) if crypto is not None else ""
    lines = layout = offer.layout
    seen = None
    if offer.video is not None and pictures is not None:
        before = session.video if session is not None else None
        taken = answer_video(offer.video, pictures.video, pictures.local, local.host, before, random)
        if taken is not None:
            text, seen = taken
            lines, layout = placed(layout, offer.video.index, text), placed(layout, offer.video.index, VIDEO_LINE)
    body = describe(local, codecs, direction, ptime, offer.rtcp_mux, offer.timing, lines, offer.profile, keys)
    voice, events = parted(codecs)
    remote = offer.remote
    if offer.rtcp_mux:
        remote = MediaAddress(remote.host, remote.port, remote.port)
    named = offer.codecs + offer.dtmf
    return origin.describe(body), AudioSession(
        remote,
        voice,
        events,
        direction,
        packet_time(offer.ptime, offer.maxptime),
        offer.rtcp_mux,
        codecs,
        offer.direction,
        codecs_of(named),
        layout,
        merged(named, session.used) if session is not None else named,
        crypto,
        _parameters(named, codecs),
        seen,
        numbers_used(seen, session.video_used if session is not None else ()),
    )


# --- one leg: our offer, their answer -----------------------------------------------------------------------


def own_offer(policy: AudioPolicy, session: AudioSession | None = None, heard: bool = False) -> tuple[PayloadType, ...]:
    """What to offer when nobody's offer is passed on: every codec that the policy names and we know (`heard`: and that
    the engine can decode and encode)."""
    wanted = [PayloadType(-1, codec) for codec in known(policy.codecs) if not heard or transcodable(codec)]
    if policy.dtmf:
        clocks = sorted({p.codec.clock for p in wanted}, key=lambda clock: (clock != 8000, clock))
        wanted += [PayloadType(101 if clock == 8000 else -1, event_codec(clock)) for clock in clocks]
    return numbered(tuple(wanted), session.used if session is not None else ())


def make_offer(
    local: MediaAddress,
    codecs: tuple[PayloadType, ...],
    policy: AudioPolicy,
    direction: str,
    origin: Origin,
    session: AudioSession | None = None,
    ptime: int | None = None,
    random: sdes.Random = token_bytes,
    pictures: Pictures | None = None,
) -> tuple[bytes, Offered]:
    """Offer `codecs`. `session` is what stands on this leg, for a re-offer: its m= lines are repeated, since
    RFC 3264 section 8 has it that "the i-th media stream in the new SDP matches the i-th in the old".
    `ptime`: ms, None for the policy's; `random` gives SRTP keys. Raises `NoCommonCodec` where `codecs` has no audio,
    `SrtpRefused` where the policy wants SRTP and its keys may not be sent."""
    if not codecs or not is_audio(codecs[0].codec):
        raise NoCommonCodec
    layout = AUDIO_ONLY
    used = codecs
    if session is not None:
        layout = session.layout
        used = merged(codecs, session.used)
    if ptime is None:
        ptime = policy.ptime
    before = session.crypto if session is not None else None
    profile, crypto = sdes.to_offer(policy, before, session is None, random)
    keys = sdes.written(crypto)
    standing, shown = (session.video, session.video_used) if session is not None else (None, ())
    lines, layout, seen = with_video(local.host, layout, policy, standing, shown, bool(crypto), pictures, random)
    body = describe(local, codecs, direction, ptime, policy.rtcp_mux, "0 0", lines, profile, keys)
    return origin.describe(body), Offered(
        codecs, direction, policy.rtcp_mux, layout, used, profile, crypto, seen, numbers_used(seen, shown)
    )


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
    crypto = sdes.agreed(media, offered.profile, offered.crypto)
    audio = answered_audio(media, offered.codecs)
    if not audio.codecs:
        raise NoCommonCodec("Answer names no codec that was offered")
    remote, peer_direction = address(description, media, audio)
    # RFC 5761 section 5.1.1: "the answer MUST NOT contain a=rtcp-mux" unless it was offered.
    mux = audio.rtcp_mux and offered.rtcp_mux
    if mux:
        remote = MediaAddress(remote.host, remote.port, remote.port)
    answered = audio.codecs + audio.dtmf
    layout, seen = offered.layout, None
    if offered.video is not None:
        place = layout.index(VIDEO_LINE)
        seen = answered_video(description, place, offered.video)
        if seen is None:
            layout = placed(layout, place, refusal(offered.video))
    return AudioSession(
        remote,
        audio.codecs,
        audio.dtmf,
        answer_direction(peer_direction, offered.direction),
        packet_time(audio.ptime, audio.maxptime),
        mux,
        audio.receive,
        peer_direction,
        codecs_of(answered),
        layout,
        merged(answered, offered.used),
        crypto,
        _parameters(answered, answered),
        seen,
        numbers_used(seen, offered.video_used),
    )


def _parameters(written: tuple[PayloadType, ...], agreed: tuple[PayloadType, ...]) -> tuple[tuple[int, str], ...]:
    """The parameters that a peer wrote for the numbers that were agreed."""
    numbers = {p.number for p in agreed}
    return tuple([(p.number, p.codec.fmtp) for p in written if p.codec.fmtp and p.number in numbers])


# --- two legs -----------------------------------------------------------------------------------------------


def relay_offer(offer: AudioOffer, policy: AudioPolicy, session: AudioSession | None = None) -> tuple[PayloadType, ...]:
    """What to offer to B when A offers this: what B's policy takes of it, in its order, then, where both allow
    transcoding, what else B's policy takes and the engine can make of it; under A's numbers where they are free on B's
    leg. `session`: what stands on B's leg already. Raises `NoCommonCodec`."""
    if offer.transcode and policy.transcode:
        standing = session.codecs if session is not None else ()
        chosen = transcoded_offer(offer.codecs, offer.dtmf, policy, offer.digits, standing)
    else:
        chosen = relayed(offer.codecs, offer.dtmf, policy)
    if not chosen:
        raise NoCommonCodec
    return numbered(chosen, session.used if session is not None else ())


def relay_answer(
    offer: AudioOffer, session: AudioSession, policy: AudioPolicy | None = None
) -> tuple[PayloadType, ...]:
    """What to answer A once B's session is agreed, in A's numbers with B's parameters: every codec that both
    have, the one that B sends with first; comfort noise and telephone-events where both have them.

    `policy`: B's. Where it and A's allow transcoding, and B's first codec is none of A's, A is answered with what the
    engine can make of it, in our own parameters. None: a re-offer that is answered on the spot (`needs_peer` False)
    from its own leg's session. Raises `NoCommonCodec`.
    """
    if policy is not None and offer.transcode and policy.transcode:
        # An end set to "rfc4733" is sent no tones: then events are of no use to the other one.
        digits = policy.digits != "rfc4733"
        common = transcoded_answer(offer.codecs, offer.dtmf, session.codecs, session.dtmf, digits)
    else:
        common = answered(offer.codecs, offer.dtmf, session.codecs, session.dtmf)
    if not common:
        raise NoCommonCodec
    return common


def as_offer(session: AudioSession, policy: AudioPolicy) -> AudioOffer:
    """What a leg has agreed on, as if it offered that: for an offer to the other leg that it did not ask for."""
    return AudioOffer(
        session.remote,
        session.codecs,
        session.dtmf,
        session.peer_direction,
        transcode=policy.transcode,
        digits=policy.converts_digits,
    )


def shares_codec(offer: AudioOffer, policy: AudioPolicy) -> bool:
    """Whether an endpoint takes something of an offer as it is, so that it could be relayed."""
    return bool(ranked(offer.codecs, policy))


def relays(codecs: tuple[PayloadType, ...], session: AudioSession) -> bool:
    """Whether what a leg prefers to send can be passed on undecoded to one that has `codecs`."""
    return codec_key(session.codecs[0].codec) in {codec_key(p.codec) for p in codecs}


def transcodes(one: tuple[PayloadType, ...], other: tuple[PayloadType, ...]) -> bool:
    """Whether the engine can make whatever arrives of one leg's agreed codecs into the other's first, both ways."""
    return can_transcode(one) and can_transcode(other)


def payload_map(source: AudioSession, sink: AudioSession) -> tuple[tuple[int, int], ...]:
    """(number that `source`'s peer sends with, number to send on to `sink`'s peer) for each codec that both
    legs have. What is not in it can't be understood on the other side, and is not to be relayed."""
    return mapped(source.receive, sink.codecs + sink.dtmf)


def needs_peer(session: AudioSession, offer: AudioOffer) -> bool:
    """Whether a re-offer concerns the other leg: it changes the direction or the codecs that this peer last
    named. One that only moves the address, changes numbers or refreshes the session is answered on the
    spot."""
    return offer.direction != session.peer_direction or renames(session, offer)


def renames(session: AudioSession, offer: AudioOffer) -> bool:
    """Whether a re-offer names other codecs than this peer did last."""
    named = session.named
    now = offer.codecs + offer.dtmf
    return len(now) != len(named) or any(p.codec != codec for p, codec in zip(now, named, strict=True))


def changes_video(session: AudioSession, offer: AudioOffer, other: AudioPolicy) -> bool:
    """Whether a re-offer adds video or takes it away, holds it, or names other codecs for it than this peer did last;
    `other`: of the other leg, to which it is nothing where that has no video."""
    if not other.video:
        return False
    now = offer.video.video if offer.video is not None else None
    before = session.video.theirs if session.video is not None else None
    if now is None or before is None:
        return now is not before
    keys = [tuple([f.key for f in each.formats]) for each in (now, before)]
    return keys[0] != keys[1] or now.direction != before.direction


def lopsided(session: AudioSession, other: AudioSession) -> bool:
    """Whether two legs have agreed on video that does not fit: one has it alone, or each has other codecs."""
    mine, theirs = session.video, other.video
    if mine is None or theirs is None:
        return mine is not theirs
    return not {key for _, key in mine.formats} & {key for _, key in theirs.formats}


def flipped(direction: str) -> str:
    """The same flow seen from the other end."""
    return _FLIPPED[direction]


def answer_direction(offered: str, wish: str) -> str:
    """What of `wish` the answer to `offered` may say.

    RFC 3264 section 6.1: a stream offered sendonly "MUST be marked as recvonly or inactive in the answer",
    recvonly "MUST be marked as sendonly or inactive", inactive "MUST be marked as inactive".
    """
    return BY_BITS[DIRECTIONS[_FLIPPED[offered]] & DIRECTIONS[wish]]


def peer_direction(offer: AudioOffer) -> str:
    """What to offer B when A offers this: A's own direction, so that a hold (also an old one) arrives as a
    hold, and sendrecv asks B to resume, whatever B itself holds (its answer says that)."""
    return offer.direction


def relayed_direction(offer: AudioOffer, session: AudioSession) -> str:
    """What to answer A once B has answered: B's direction, which may be narrower than asked (B holds too)."""
    return answer_direction(offer.direction, _FLIPPED[session.direction])
