"""Which codecs a leg gets, in which order and under which payload type numbers.

Lists are tuples of `PayloadType`: audio in order of preference, then comfort noise, then telephone-events.
The same few lists come back in every call, so what was worked out is remembered, KEPT results of each
function.
"""

from functools import lru_cache
from typing import Final

import msgspec

from media.codec import (
    COMFORT_NOISE,
    DYNAMIC,
    DYNAMIC_NUMBERS,
    STATIC,
    TELEPHONE_EVENT,
    TRANSCODABLE,
    UNRELAYABLE,
    Codec,
    Key,
    PayloadType,
    codec_key,
    is_audio,
    own_codec,
    static_number,
    transcodable,
)

DEFAULT_PTIME: Final = 20
"""RFC 3551 section 4.2: "the default packetization interval SHOULD have a duration of 20 ms"."""
KEPT: Final = 512


class AudioPolicy(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """What one endpoint may use.

    `codecs`: names in order of preference, without case, "name", "name/clock" or "name/clock/channels"; "*"
    stands for every other codec that can be relayed. `prefer`: whose order ranks the codecs of an offer that
    we answer and of one that we pass on to this endpoint, "ours" (of `codecs`) or "theirs" (of the offer).
    `dtmf`: telephone-events. `ptime`: milliseconds per packet that we ask for, 0 to ask for nothing.
    `rtcp_mux`: offer and accept RTP and RTCP on one port (RFC 5761). `comfort_noise`: RFC 3389. `srtp`: "never",
    "optional" or "required" (media.sdes); `sdes`: SRTP keys may stand in its descriptions.
    `transcode`: its audio may be decoded and encoded anew, where it has no codec in common with the other leg.
    `digits`: how its digits come and go: "auto" (telephone-events where agreed, else tones), "rfc4733" (never as
    tones), "info" (SIP INFO), "inband" (tones); the last two agree on no telephone-events (`dtmf` False).
    `video`: a video line may be agreed on beside the audio (media.video).
    """

    codecs: tuple[str, ...] = ("opus", "G722", "PCMA", "PCMU", "G729", "GSM", "iLBC")
    dtmf: bool = True
    ptime: int = DEFAULT_PTIME
    rtcp_mux: bool = False
    prefer: str = "ours"
    comfort_noise: bool = True
    srtp: str = "never"
    sdes: bool = False
    transcode: bool = True
    digits: str = "auto"
    video: bool = False

    @property
    def converts_digits(self) -> bool:
        """Its digits come otherwise than as telephone-events, and can be made into some for the other leg."""
        return self.digits in ("info", "inband")


# --- choosing -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=KEPT)
def _ranks(names: tuple[str, ...]) -> dict[str, int]:
    ranks: dict[str, int] = {}
    for rank, name in enumerate(names):
        ranks.setdefault(name.lower(), rank)
    return ranks


@lru_cache(maxsize=4 * KEPT)
def _rank(codec: Codec, names: tuple[str, ...]) -> int | None:
    """The place of `codec` in a policy, None where it is not allowed."""
    ranks = _ranks(names)
    name = codec.name.lower()
    clocked = f"{name}/{codec.clock}"
    for key in (f"{clocked}/{codec.channels}", clocked, name):
        if (rank := ranks.get(key)) is not None:
            return rank
    return None if name in UNRELAYABLE else ranks.get("*")


def ranked(payloads: tuple[PayloadType, ...], policy: AudioPolicy) -> tuple[PayloadType, ...]:
    """What of `payloads` the policy takes, in the order it prefers, comfort noise last; () without audio."""
    names = policy.codecs
    voice = [(rank, p) for p in payloads if is_audio(p.codec) and (rank := _rank(p.codec, names)) is not None]
    if not voice:
        return ()
    if len(voice) > 1 and policy.prefer == "ours":
        voice.sort(key=_by_rank)
    chosen = [p for _, p in voice]
    if policy.comfort_noise:
        noise = [p for p in payloads if p.codec.name == COMFORT_NOISE]
        if noise:
            # RFC 3389 section 3: comfort noise is at the clock of the audio that it stands in for.
            clocks = {p.codec.clock for p in chosen}
            chosen += [p for p in noise if p.codec.clock in clocks]
    return tuple(chosen)


def _by_rank(ranked_payload: tuple[int, PayloadType]) -> int:
    return ranked_payload[0]


@lru_cache(maxsize=KEPT)
def relayed(
    codecs: tuple[PayloadType, ...], dtmf: tuple[PayloadType, ...], policy: AudioPolicy
) -> tuple[PayloadType, ...]:
    """What of one leg's list to offer to a leg with this policy; () where it takes none of the audio."""
    voice = ranked(codecs, policy)
    return voice + dtmf if voice and policy.dtmf else voice


_OWN: Final = tuple([PayloadType(-1, codec) for codec in TRANSCODABLE])


@lru_cache(maxsize=KEPT)
def transcoded_offer(
    codecs: tuple[PayloadType, ...],
    dtmf: tuple[PayloadType, ...],
    policy: AudioPolicy,
    digits: bool,
    standing: tuple[PayloadType, ...],
) -> tuple[PayloadType, ...]:
    """`relayed`, then what else the policy takes and the engine can make of one of `codecs`; () where there is nothing.

    Of the latter, what the leg uses already (`standing`) comes first. Telephone-events are at the clock of every codec
    (RFC 4733 2.1), where the first leg has some, or has digits that are made into some (`digits`).
    """
    voice = [p for p in ranked(codecs, policy) if is_audio(p.codec)]
    if any(transcodable(p.codec) for p in codecs):
        common = {codec_key(p.codec) for p in voice}
        used = {codec_key(p.codec) for p in standing}
        beyond = [p for p in _by_policy(policy.codecs) if codec_key(p.codec) not in common]
        voice += sorted(beyond, key=lambda p: codec_key(p.codec) not in used)
    if not voice:
        return ()
    clocks = sorted({p.codec.clock for p in voice}, key=_telephony_first)
    noise = [p for p in codecs if p.codec.name == COMFORT_NOISE and p.codec.clock in clocks and policy.comfort_noise]
    events: list[PayloadType] = []
    if policy.dtmf and (dtmf or digits):
        theirs = {p.codec.clock: p for p in reversed(dtmf)}
        # Some telephones have opus with events at 8000 only.
        clocks = sorted({*clocks, *theirs}, key=_telephony_first)
        events = [theirs.get(clock) or own_event(clock) for clock in clocks]
    return (*voice, *noise, *events)


@lru_cache(maxsize=KEPT)
def _by_policy(names: tuple[str, ...]) -> tuple[PayloadType, ...]:
    """What the engine can transcode and a policy takes, in its order."""
    return ranked(_OWN, AudioPolicy(names))


@lru_cache(maxsize=KEPT)
def transcoded_answer(
    codecs: tuple[PayloadType, ...],
    dtmf: tuple[PayloadType, ...],
    theirs: tuple[PayloadType, ...],
    their_dtmf: tuple[PayloadType, ...],
    digits: bool,
) -> tuple[PayloadType, ...]:
    """`answered` where the other leg's first codec is among `codecs`; else one that the engine can make of it: one in
    common, or the most wanted one. () where there is none.

    Telephone-events are those of the offer at the clock of its codec: with a relay where the other leg has any, or
    takes digits otherwise (`digits`: as tones, by INFO), since many telephones send none as tones themselves; with
    transcoding wherever offered.
    """
    chosen = answered(codecs, (), theirs, ())
    if chosen and codec_key(chosen[0].codec) == codec_key(theirs[0].codec):
        if not (their_dtmf or digits):
            return chosen
    else:
        if not all(transcodable(p.codec) for p in theirs if is_audio(p.codec)):
            return ()
        chosen = _made(codecs, {codec_key(p.codec) for p in chosen})
        if not chosen:
            return ()
    clocks = {p.codec.clock for p in chosen}
    # Of one that is offered under two numbers the first counts, as for any codec.
    once = {codec_key(p.codec): p for p in reversed(dtmf)}
    named = [p for p in dtmf if once[codec_key(p.codec)] is p]
    events = [p for p in named if p.codec.clock in clocks] or named
    written = {codec_key(p.codec): p.codec for p in their_dtmf}
    events = [PayloadType(p.number, written.get(codec_key(p.codec), p.codec)) for p in events]
    return (*chosen, *on_clock(tuple(events), chosen[0].codec.clock))


def _made(codecs: tuple[PayloadType, ...], common: set[Key]) -> tuple[PayloadType, ...]:
    """The codec of an offer to encode to, one in common with the other leg before others, and its comfort noise."""
    able = [p for p in codecs if transcodable(p.codec)]
    first = next((p for p in able if codec_key(p.codec) in common), able[0] if able else None)
    if first is None:
        return ()
    noise = [p for p in codecs if p.codec.name == COMFORT_NOISE and p.codec.clock == first.codec.clock]
    return (PayloadType(first.number, own_codec(first.codec)), *noise[:1])


@lru_cache(maxsize=KEPT)
def can_transcode(codecs: tuple[PayloadType, ...]) -> bool:
    """Whatever arrives of this list can be decoded, and its first codec encoded."""
    return all(transcodable(p.codec) for p in codecs if is_audio(p.codec))


@lru_cache(maxsize=KEPT)
def answered(
    codecs: tuple[PayloadType, ...],
    dtmf: tuple[PayloadType, ...],
    theirs: tuple[PayloadType, ...],
    their_dtmf: tuple[PayloadType, ...],
) -> tuple[PayloadType, ...]:
    """What one leg offered (`codecs`, `dtmf`) and the other agreed to (`theirs`), in the offer's numbers with
    the other's parameters and order; () where they have no audio in common."""
    numbers: dict[Key, int] = {}
    for p in codecs + dtmf:
        numbers.setdefault(codec_key(p.codec), p.number)
    common = [PayloadType(numbers[key], p.codec) for p in theirs if (key := codec_key(p.codec)) in numbers]
    if not common or not is_audio(common[0].codec):
        return ()
    events = [PayloadType(numbers[key], p.codec) for p in their_dtmf if (key := codec_key(p.codec)) in numbers]
    return (*common, *on_clock(tuple(events), common[0].codec.clock))


@lru_cache(maxsize=KEPT)
def mapped(source: tuple[PayloadType, ...], sink: tuple[PayloadType, ...]) -> tuple[tuple[int, int], ...]:
    """Pairs (number in `source`, number in `sink`) of the codecs that both have."""
    numbers: dict[Key, int] = {}
    for p in sink:
        numbers.setdefault(codec_key(p.codec), p.number)
    return tuple([(p.number, numbers[key]) for p in source if (key := codec_key(p.codec)) in numbers])


def on_clock(events: tuple[PayloadType, ...], clock: int) -> tuple[PayloadType, ...]:
    """Telephone-events on the clock of the audio first: RFC 4733 section 2.1 has them share the stream's
    timestamps."""
    return tuple(sorted(events, key=lambda p: p.codec.clock != clock))


@lru_cache(maxsize=KEPT)
def parted(codecs: tuple[PayloadType, ...]) -> tuple[tuple[PayloadType, ...], tuple[PayloadType, ...]]:
    """A list as (audio and comfort noise, telephone-events)."""
    return (
        tuple([p for p in codecs if p.codec.name != TELEPHONE_EVENT]),
        tuple([p for p in codecs if p.codec.name == TELEPHONE_EVENT]),
    )


@lru_cache(maxsize=KEPT)
def codecs_of(payloads: tuple[PayloadType, ...]) -> tuple[Codec, ...]:
    """A list without its numbers."""
    return tuple([p.codec for p in payloads])


# --- numbers ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=KEPT)
def merged(new: tuple[PayloadType, ...], old: tuple[PayloadType, ...]) -> tuple[PayloadType, ...]:
    """Every number with its meaning, what came later winning."""
    return tuple({p.number: p for p in old + new}.values())


@lru_cache(maxsize=KEPT)
def numbered(wanted: tuple[PayloadType, ...], used: tuple[PayloadType, ...]) -> tuple[PayloadType, ...]:
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


def _telephony_first(clock: int) -> tuple[bool, int]:
    return (clock != 8000, clock)


def own_event(clock: int) -> PayloadType:
    """Telephone-events at this clock under the number that they mostly have, or (-1) any."""
    return PayloadType(101 if clock == 8000 else -1, event_codec(clock))


def event_codec(clock: int) -> Codec:
    """Telephone-events at this clock: the 16 keys and flash (RFC 4733 section 3.2)."""
    return Codec(TELEPHONE_EVENT, clock, 1, "0-16")


@lru_cache(maxsize=KEPT)
def known(names: tuple[str, ...]) -> tuple[Codec, ...]:
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
