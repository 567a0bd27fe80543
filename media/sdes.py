"""SRTP keys in SDP: `a=crypto` (RFC 4568), and what an endpoint's policy makes of them.

    a=crypto:<tag> <crypto-suite> inline:<base64 of key and salt>[|lifetime][|MKI:length] [session parameters]

Policy (`srtp`) of an endpoint, whose signalling brought or takes the description:

                 their offer                                       our offer
    never        RTP/AVP; RTP/SAVP alone is refused (488)          RTP/AVP
    optional     as they offer: RTP/SAVP, RTP/AVP with a=crypto    RTP/SAVP; refused with 488, 415 or 606, the call is
                 (both secure) or RTP/AVP                          tried once more with RTP/AVP
    required     RTP/SAVP; all else is refused (488)               RTP/SAVP

RTP/SAVP first, since whoever knows SDES knows that profile, while RTP/AVP with a=crypto in it, the other way to offer
both, is refused by phones that are strict, and taken for plain RTP by some that could do better. RTP/SAVPF and the
profiles of DTLS are not served: a line of theirs is refused as any other unknown one.

Keys last as long as the leg. We repeat ours in each later offer and answer while the suite stays (phones take a new key
for a new stream, and lose audio over it); the peer's are taken anew wherever it sends others. A leg that is secure
stays so: an offer to go on in the clear is refused.

Keys that anybody on the way can read protect nothing: without TLS they are neither sent nor taken, unless the endpoint
is set to allow it (`sdes` in its policy: both come to that). Lines with an MKI, or with session parameters that we do
not do, are not used.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

import msgspec

from media.choice import AudioPolicy
from media.commands import StreamKey
from media.sdp import INCOMPATIBLE_TRANSPORT, MISCELLANEOUS, MediaDescription, SdpError
from rtp.srtp import SUITES

PLAIN: Final = "RTP/AVP"
SECURE: Final = "RTP/SAVP"

OFFERED: Final = tuple(
    [name for name in ("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM", "AEAD_AES_128_GCM") if name in SUITES]
)
"""Suites that we offer, in this order; accepted are all of SUITES. AES_CM_128_HMAC_SHA1_80 is what every phone has, and
some look at the first line alone. ..._32 is not offered: its tag of four octets is for links that are starved."""

REFUSED_PROFILE: Final = frozenset({415, 488, 606})
"""Statuses to an INVITE that may mean: no RTP/SAVP here."""

MAX_LINES: Final = 16  # a=crypto lines looked at in a description

_TAG = re.compile(r"[1-9][0-9]{0,8}|0")
# RFC 4568 9.2: key-info is base64, then a lifetime, then an MKI; 6.1: a lifetime may be a power of two.
_INLINE = re.compile(
    r"inline:([A-Za-z0-9+/]{1,128}={0,2})(?:\|((?:2\^)?[1-9][0-9]{0,14}))?(?:\|([0-9]{1,20}:[0-9]{1,3}))?"
)
_WINDOW = re.compile(r"WSH=([0-9]{2,5})")
_MAX_LIFETIME: Final = 1 << 48  # RFC 3711 9.2: packets of one master key

Random = Callable[[int], bytes]
"""Gives as many octets from a secure source."""


class CryptoLine(msgspec.Struct, frozen=True, gc=False):
    """A crypto attribute that can be used. Not shown in any text: its key."""

    tag: int
    key: StreamKey

    def text(self) -> str:
        """The attribute's value, keys and all: for a description, and nothing else."""
        return f"{self.tag} {self.key.suite} inline:{base64.b64encode(self.key.key).decode('ascii')}"


class Crypto(msgspec.Struct, frozen=True, gc=False):
    """What is agreed on one leg: their keys, ours, and in which form both were written."""

    theirs: StreamKey
    ours: StreamKey
    tag: int
    """Of the line that was chosen."""
    profile: str = SECURE


class SrtpRefused(SdpError):
    """An endpoint's policy does not take what its description asks for."""

    def __init__(self, reason: str, warning: int = INCOMPATIBLE_TRANSPORT) -> None:
        super().__init__(488, reason)
        self.warning = warning


KEYS_IN_CLEAR: Final = "SRTP keys need TLS, or srtp_over_insecure_signalling for this endpoint"


def random_key(suite: str, random: Random) -> StreamKey:
    """A master key and salt of our own."""
    return StreamKey(suite, random(SUITES[suite].octets))


# --- lines ----------------------------------------------------------------------------------------------------


def parse(value: str) -> CryptoLine | None:
    """Read the value of an `a=crypto:`; None for a line that is malformed, or not for us to use (RFC 4568 5.1.2: an
    answerer skips those)."""
    tag, _, rest = value.partition(" ")
    suite, _, rest = rest.strip(" ").partition(" ")
    inline, _, parameters = rest.strip(" ").partition(" ")
    known = SUITES.get(suite)
    # Several keys for one line (";") go with MKIs.
    match = _INLINE.fullmatch(inline)
    if known is None or match is None or _TAG.fullmatch(tag) is None:
        return None
    key, lifetime, mki = match.groups()
    if mki is not None or not _lasts(lifetime) or not all(map(_harmless, parameters.split())):
        return None
    try:
        octets = base64.b64decode(key, validate=True)
    except binascii.Error:
        return None
    return CryptoLine(int(tag), StreamKey(suite, octets)) if len(octets) == known.octets else None


def _lasts(lifetime: str | None) -> bool:
    """Whether a lifetime makes sense (6.1: it may not be more than the suite's). We keep no count: a call at 50 packets
    a second is below 2^20 of them for six hours, which is the least that phones write."""
    if lifetime is None:
        return True
    if lifetime.startswith("2^"):
        return len(lifetime) <= 4 and 16 <= int(lifetime[2:]) <= 48
    return 1 << 16 <= int(lifetime) <= _MAX_LIFETIME


def _harmless(parameter: str) -> bool:
    """Whether a session parameter (6.3) may stand without our doing anything about it."""
    if parameter.startswith("-"):
        return True  # 6.3.8: what is unknown may be ignored where it begins with a hyphen, else the line is not valid
    # 6.3.7: a window size is a hint; ours is fixed. Our offers have none, and KDR=0 is what is done without one.
    window = _WINDOW.fullmatch(parameter)
    return parameter == "KDR=0" or (window is not None and int(window[1]) >= 64)


def usable(media: MediaDescription) -> tuple[CryptoLine, ...]:
    """The lines of a description that can be used, in its order, each tag once."""
    found: dict[int, CryptoLine] = {}
    for value in media.crypto[:MAX_LINES]:
        line = parse(value)
        if line is not None:
            found.setdefault(line.tag, line)
    return tuple(found.values())


def written(lines: tuple[CryptoLine, ...]) -> str:
    """Attribute lines for a description."""
    return "".join([f"a=crypto:{line.text()}\r\n" for line in lines])


def keys_allowed(policy: AudioPolicy) -> None:
    """Raises SrtpRefused where the policy wants keys that may not stand in a description."""
    if policy.srtp == "required" and not policy.sdes:
        raise SrtpRefused(KEYS_IN_CLEAR, MISCELLANEOUS)


# --- their offer ------------------------------------------------------------------------------------------------


def by_preference(media: tuple[MediaDescription, ...], srtp: str) -> list[tuple[int, MediaDescription]]:
    """The m= lines with their places: secure ones before plain ones, where both may be had. Some phones offer the same
    audio twice, in either profile."""
    lines = list(enumerate(media))
    if srtp != "never" and len(lines) > 1:
        lines.sort(key=lambda line: line[1].proto != SECURE)
    return lines


def offered(media: MediaDescription, policy: AudioPolicy) -> tuple[CryptoLine, ...]:
    """The crypto lines of an offered audio line that may be answered; () for plain RTP. Raises SrtpRefused where the
    policy (`srtp`, `sdes`) does not take the line's profile."""
    srtp = policy.srtp
    if media.proto == PLAIN:
        if srtp == "required":
            raise SrtpRefused("SRTP (RTP/SAVP) is required here")
        return usable(media) if srtp == "optional" and policy.sdes else ()
    if srtp == "never":
        raise SrtpRefused("No SRTP here: RTP/AVP only")
    if not policy.sdes:
        raise SrtpRefused(KEYS_IN_CLEAR, MISCELLANEOUS)
    lines = usable(media)
    if not lines:
        raise SrtpRefused("No usable a=crypto line for RTP/SAVP")
    return lines


def answered(lines: tuple[CryptoLine, ...], profile: str, before: Crypto | None, random: Random) -> Crypto | None:
    """What to answer to these lines of an offer: the first (RFC 4568 5.1.2: the offer's order is its preference), with
    the key that we had on this leg, if it was for the same suite."""
    if not lines:
        return None
    line = lines[0]
    suite = line.key.suite
    ours = before.ours if before is not None and before.ours.suite == suite else random_key(suite, random)
    return Crypto(line.key, ours, line.tag, profile)


# --- our offer --------------------------------------------------------------------------------------------------


def to_offer(
    policy: AudioPolicy, before: Crypto | None, fresh: bool, random: Random
) -> tuple[str, tuple[CryptoLine, ...]]:
    """Profile and crypto lines of an offer of ours: what stands on the leg, on a `fresh` one what the policy says.
    Raises SrtpRefused where the keys that it demands may not be sent."""
    if before is not None:
        return before.profile, (CryptoLine(before.tag, before.ours),)
    keys_allowed(policy)
    if not fresh or policy.srtp == "never" or not policy.sdes:
        return PLAIN, ()
    lines = [CryptoLine(tag, random_key(suite, random)) for tag, suite in enumerate(OFFERED, 1)]
    return SECURE, tuple(lines)


def agreed(media: MediaDescription, profile: str, lines: tuple[CryptoLine, ...]) -> Crypto | None:
    """What the answer to an offer of ours says. Raises SdpError (488).

    RFC 4568 5.1.3: the answer has exactly one line, and the offerer makes sure that it echoes tag and suite of one that
    was offered.
    """
    if media.proto != profile:
        raise SdpError(488, "Answer changes the transport profile")
    if not lines:
        return None
    answers = usable(media)
    if len(media.crypto) != 1 or not answers:
        raise SdpError(488, "Answer has not one usable a=crypto line")
    theirs = answers[0]
    for line in lines:
        if line.tag == theirs.tag and line.key.suite == theirs.key.suite:
            return Crypto(theirs.key, line.key, line.tag, profile)
    raise SdpError(488, "Answer has a crypto-suite that was not offered")
