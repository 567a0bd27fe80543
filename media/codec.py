"""Audio codecs by name: what an RTP payload type number stands for (RFC 3551 table 4, RFC 4566 `a=rtpmap`).

A codec here is an identity and not an implementation: two legs understand each other, and their payloads are relayed
without a look inside, when `codec_key` of what they name is equal. Where they differ, the engine transcodes between the
codecs of `TRANSCODABLE`.
"""

from functools import lru_cache
from typing import Final

import msgspec

TELEPHONE_EVENT: Final = "telephone-event"
COMFORT_NOISE: Final = "CN"

# "the dynamic range 96-127" (RFC 3551 section 3), then the unassigned 35-63 that RFC 5761 section 4
# recommends "if more payload types are needed". 64-95 would look like RTCP on a multiplexed port and is never
# given out.
DYNAMIC_NUMBERS: Final = (*range(96, 128), *range(35, 64))

# "reserved" in RFC 3551 table 5: 72-76 are RTCP's 200-204 without the marker bit, so such a packet is not
# told from RTCP.
RTCP_LOOKALIKES: Final = frozenset(range(72, 77))

# Payloads that hold the payload type numbers of others (RFC 2198, RFC 5109, RFC 4588): a relay that renumbers
# the outside would break the inside, so they are not offered onwards even where the policy says "*".
UNRELAYABLE: Final = frozenset({"red", "ulpfec", "parityfec", "flexfec", "flexfec-03", "rtx"})


class Codec(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """`name` as its registration writes it where we know it ("PCMU", "opus"), `clock` the RTP clock in Hz
    (8000 for G722, RFC 3551 section 4.5.2), `fmtp` the parameters as the peer wrote them, without the payload
    type number."""

    name: str
    clock: int = 8000
    channels: int = 1
    fmtp: str = ""


class PayloadType(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """A codec under the number (0-127) that one side gave it."""

    number: int
    codec: Codec


# RFC 3551 table 4, audio.
STATIC: Final[dict[int, Codec]] = {
    0: Codec("PCMU"),
    3: Codec("GSM"),
    4: Codec("G723"),
    5: Codec("DVI4"),
    6: Codec("DVI4", 16000),
    7: Codec("LPC"),
    8: Codec("PCMA"),
    9: Codec("G722"),
    10: Codec("L16", 44100, 2),
    11: Codec("L16", 44100),
    12: Codec("QCELP"),
    13: Codec(COMFORT_NOISE),
    14: Codec("MPA", 90000),
    15: Codec("G728"),
    16: Codec("DVI4", 11025),
    17: Codec("DVI4", 22050),
    18: Codec("G729"),
}
STATIC_NUMBERS: Final[dict[tuple[str, int, int], int]] = {
    (codec.name.lower(), codec.clock, codec.channels): number for number, codec in STATIC.items()
}

# What we put into an offer of our own when the policy names a codec that has no static number.
DYNAMIC: Final[dict[str, Codec]] = {
    "opus": Codec("opus", 48000, 2, "useinbandfec=1"),
    "ilbc": Codec("iLBC", 8000, 1, "mode=30"),
    "speex": Codec("speex", 8000),
    "g726-32": Codec("G726-32", 8000),
    "amr": Codec("AMR", 8000, 1, "octet-align=1"),
    "amr-wb": Codec("AMR-WB", 16000, 1, "octet-align=1"),
    "l16": Codec("L16", 16000),
}

# How each name is spelt in its registration; SDP compares them without case (RFC 4566 section 6, `rtpmap`).
SPELLING: Final[dict[str, str]] = {
    **{codec.name.lower(): codec.name for codec in STATIC.values()},
    **{name: codec.name for name, codec in DYNAMIC.items()},
    TELEPHONE_EVENT: TELEPHONE_EVENT,
}

# Parameters that change the bits on the wire and that an answer must repeat ("MUST be symmetric"), with the
# value that absence means: RFC 4867 section 8.1 (AMR), RFC 5577 section 4.1 (G7221). Every other parameter
# says what its writer wants to receive (opus: RFC 7587 section 7; G729 annexb: RFC 4856) or may be changed by
# the answer (iLBC mode: RFC 3952 section 5), and is only carried across.
SYMMETRIC: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "amr": (("octet-align", "0"), ("crc", "0"), ("robust-sorting", "0"), ("interleaving", "")),
    "amr-wb": (("octet-align", "0"), ("crc", "0"), ("robust-sorting", "0"), ("interleaving", "")),
    "g7221": (("bitrate", ""),),
}

Key = tuple[str, int, int, tuple[str, ...]]


def parameters(fmtp: str) -> dict[str, str]:
    """ "a=1; B=2;c" -> {"a": "1", "b": "2", "c": ""}; the first of a repeated name counts."""
    found: dict[str, str] = {}
    for part in fmtp.split(";"):
        name, _, value = part.partition("=")
        name = name.strip().lower()
        if name:
            found.setdefault(name, value.strip())
    return found


@lru_cache(maxsize=1024)
def codec_key(codec: Codec) -> Key:
    """What two legs must have equal for one to understand the other's payload: name, clock, channels and the
    parameters of `SYMMETRIC`."""
    name = codec.name.lower()
    symmetric = SYMMETRIC.get(name)
    if symmetric is None:
        return (name, codec.clock, codec.channels, ())
    given = parameters(codec.fmtp)
    return (name, codec.clock, codec.channels, tuple(given.get(key, absent) for key, absent in symmetric))


def is_audio(codec: Codec) -> bool:
    """Carries the voice itself: neither events nor comfort noise."""
    return codec.name not in (TELEPHONE_EVENT, COMFORT_NOISE)


# What the engine decodes and encodes, with the parameters that we write of ourselves. The order is that in which they
# are offered where a policy leaves it open.
TRANSCODABLE: Final = (
    DYNAMIC["opus"],
    Codec("G722"),
    Codec("PCMA"),
    Codec("PCMU"),
    Codec("L16", 16000),
    Codec("L16"),
)
_TRANSCODABLE: Final[dict[Key, Codec]] = {codec_key(codec): codec for codec in TRANSCODABLE}


def transcodable(codec: Codec) -> bool:
    """The engine can decode and encode it."""
    return codec_key(codec) in _TRANSCODABLE


def own_codec(codec: Codec) -> Codec:
    """`codec`, one of `TRANSCODABLE`, with what we want to receive in place of the peer's parameters: those of opus say
    what their writer wants to receive (RFC 7587 section 6.1), and the others have none."""
    return _TRANSCODABLE[codec_key(codec)]


def static_number(codec: Codec) -> int | None:
    """The number RFC 3551 gives `codec`, None for a dynamic one."""
    return STATIC_NUMBERS.get((codec.name.lower(), codec.clock, codec.channels))
