"""The video line of a description (RFC 3264, RFC 6184, RFC 7741): read, and written for another leg.

Video is relayed and nothing else: what one end says of it goes to the other, under the numbers of that leg.

    their offer  read_video -> VideoOffer  --answer_video(the other leg's Video)--> lines, VideoSession
    our offer    offer_video(the other leg's Video) -> lines, VideoOffered  --answered_video--> VideoSession

What passes: `a=rtpmap` and `a=fmtp` of codecs that one SSRC carries (RELAYED), `a=rtcp-fb` (RFC 4585, RFC 5104),
`a=imageattr` (RFC 6236) and `b=` (RFC 3890). Codecs are told apart by `key`: name and what an answer may not change.
Retransmission and redundancy formats name the numbers of others, or come under an SSRC of their own: they are left out,
and losses are made good by NACK, PLI and FIR, which the engine relays.

Header extensions (`a=extmap`) and `transport-cc`, which needs one, are not passed on.
"""

from __future__ import annotations

import re
from secrets import token_bytes
from typing import Final

import msgspec

from media import sdes
from media.audio import BY_BITS, DIRECTIONS, Audio, address
from media.choice import AudioPolicy
from media.commands import Format, MediaAddress
from media.sdp import (
    MAX_FORMATS,
    MediaDescription,
    SdpError,
    SessionDescription,
    connection,
)

VIDEO_LINE: Final = "video"
"""Stands for the video line in a layout (media.negotiate), where others have the line that refuses them."""

RELAYED: Final[dict[str, tuple[str, str, str]]] = {
    "h264": ("H264", "packetization-mode", "0"),
    "h265": ("H265", "profile-id", "1"),
    "vp8": ("VP8", "", ""),
    "vp9": ("VP9", "profile-id", "0"),
    "av1": ("AV1", "profile", "0"),
}
"""By name in lower case: its spelling, and the parameter that is part of its identity with its default (RFC 6184 8.1,
RFC 7798 7.1, RFC 9628 6, the AV1 payload format 7.2.1)."""

CLOCK: Final = 90000  # Hz, of all of them
FEEDBACK: Final = "F"  # RTP/AVPF, RTP/SAVPF (RFC 4585, RFC 5124)
NUMBERS: Final = range(96, 128)
EVERY: Final = -1  # "*" for a payload type
MAX_ATTRIBUTES: Final = 256  # lines looked at below an m=video
MAX_FEEDBACK: Final = 16  # a=rtcp-fb of one format
MAX_BANDWIDTH: Final = 4

_TOKEN: Final = r"[!#$%&'*+\-.^_`{|}~0-9A-Za-z]"
_RTPMAP = re.compile(rf"([0-9]{{1,3}}) +({_TOKEN}{{1,64}})/90000(?:/1)? *")
_NUMBERED = re.compile(r"([0-9]{1,3}|\*) +([\x20-\x7e]{1,2000})")
_FEEDBACK = re.compile(r"nack(?: (?:pli|sli|rpsi))?|ccm (?:fir|tmmbr|tstr)(?: [\x21-\x7e]{1,32})*|trr-int [0-9]{1,6}")
_BANDWIDTH = re.compile(r"(?:AS|CT|TIAS|RR|RS):[0-9]{1,10}")
_RTCP = re.compile(r"([0-9]{1,5})(?: IN IP[46] ([0-9A-Fa-f.:]{2,45}))? *")
_PROFILE_LEVEL = re.compile(r"[0-9A-Fa-f]{6}")


class VideoFormat(msgspec.Struct, frozen=True, gc=False):
    """A codec under one side's number. `key` is its identity on both legs; `fmtp`, `feedback` (values of `a=rtcp-fb`)
    and `imageattr` as one end wrote them, without the number."""

    number: int
    name: str
    key: str
    fmtp: str = ""
    feedback: tuple[str, ...] = ()
    imageattr: str = ""


class Video(msgspec.Struct, frozen=True, gc=False):
    """What one end says of its video, whatever leg it is told on. `direction` is that end's, `bandwidth` its b= values,
    `feedback`: it writes a profile with early feedback (RFC 4585)."""

    formats: tuple[VideoFormat, ...]
    direction: str = "sendrecv"
    bandwidth: tuple[str, ...] = ()
    feedback: bool = False


class VideoOffer(msgspec.Struct, frozen=True, gc=False):
    """The video line of an offer that came; numbers are the offerer's. `index`: its place among the m= lines."""

    video: Video
    remote: MediaAddress
    rtcp_mux: bool
    profile: str
    crypto: tuple[sdes.CryptoLine, ...]
    index: int


class VideoOffered(msgspec.Struct, frozen=True, gc=False):
    """What we offered: needed to read the answer. `profile` is the one written."""

    video: Video
    rtcp_mux: bool
    profile: str
    crypto: tuple[sdes.CryptoLine, ...]


class VideoSession(msgspec.Struct, frozen=True, gc=False):
    """What is agreed on one leg. `theirs`: what the peer last wrote, whole; `formats` of that are agreed, in the
    numbers that we send with, and `receive` those that the peer sends with: (number, key), the preferred one first.
    `direction`: ours. `refusal`: the m= line that ends it."""

    theirs: Video
    remote: MediaAddress
    formats: tuple[tuple[int, str], ...]
    receive: tuple[tuple[int, str], ...]
    direction: str
    rtcp_mux: bool
    crypto: sdes.Crypto | None
    refusal: str

    def told(self) -> Video:
        """What the other leg is answered with: what is agreed here, seen from this leg's far end."""
        keys = {key for _, key in self.formats}
        direction = flow(self.direction)
        return msgspec.structs.replace(
            self.theirs, formats=tuple([f for f in self.theirs.formats if f.key in keys]), direction=direction
        )

    def engine_formats(self) -> tuple[tuple[Format, ...], tuple[Format, ...]]:
        """For the engine, to which a key is a name: formats to send with, and to receive with where those differ."""
        sent = tuple([(number, key, CLOCK) for number, key in self.formats])
        if self.receive == self.formats:
            return sent, ()
        return sent, tuple([(number, key, CLOCK) for number, key in self.receive]) + sent


def flow(direction: str) -> str:
    """The same flow seen from the other end."""
    bits = DIRECTIONS[direction]
    return BY_BITS[bits >> 1 | (bits & 1) << 1]


def narrowed(offered: str, wish: str) -> str:
    """What of `wish` the answer to `offered` may say (RFC 3264 6.1)."""
    return BY_BITS[DIRECTIONS[flow(offered)] & DIRECTIONS[wish]]


# --- reading --------------------------------------------------------------------------------------------------


def read_video(description: SessionDescription, policy: AudioPolicy) -> VideoOffer | None:
    """The first video line of an offer that can be relayed, if there is one. What is wrong with a line is no reason to
    refuse the audio beside it: the line is refused."""
    if not policy.video:
        return None
    for index, media in enumerate(description.media):
        base = _base(media)
        if media.kind != "video" or not media.port or base is None:
            continue
        try:
            crypto = sdes.offered(msgspec.structs.replace(media, proto=base), policy)
            found = _read(description, media, {})
        except SdpError:
            continue
        if found is not None:
            video, remote, mux = found
            mux = mux and policy.rtcp_mux
            return VideoOffer(video, remote, mux, media.proto, crypto, index)
    return None


def answered_video(description: SessionDescription, index: int, offered: VideoOffered) -> VideoSession | None:
    """What the answer says to the video that we offered as line `index`; None where it is refused, or answered with
    what can't be used."""
    if index >= len(description.media):
        return None
    media = description.media[index]
    base, written = _base(media), offered.profile.removesuffix(FEEDBACK)
    if media.kind != "video" or not media.port or base is None:
        return None
    by_number = {f.number: f for f in offered.video.formats}
    try:
        crypto = sdes.agreed(msgspec.structs.replace(media, proto=base), written, offered.crypto)
        found = _read(description, media, by_number)
    except SdpError:
        return None
    if found is None:
        return None
    video, remote, mux = found
    numbers = {f.key: f.number for f in offered.video.formats}
    formats = tuple([f for f in video.formats if f.key in numbers])
    if not formats:
        return None
    mux = mux and offered.rtcp_mux
    if mux:
        remote = MediaAddress(remote.host, remote.port, remote.port)
    video = msgspec.structs.replace(video, formats=formats)
    return VideoSession(
        theirs=video,
        remote=remote,
        formats=tuple([(f.number, f.key) for f in formats]),
        receive=tuple([(numbers[f.key], f.key) for f in formats]),
        direction=narrowed(video.direction, offered.video.direction),
        rtcp_mux=mux,
        crypto=crypto,
        refusal=refusal(offered),
    )


def _base(media: MediaDescription) -> str | None:
    """The profile of a line without feedback; None for one that we don't do."""
    base = media.proto.removesuffix(FEEDBACK)
    return base if base in (sdes.PLAIN, sdes.SECURE) else None


def _read(
    description: SessionDescription, media: MediaDescription, offered: dict[int, VideoFormat]
) -> tuple[Video, MediaAddress, bool] | None:
    """(what it says, where to, rtcp-mux) of a line; None without a codec that can be relayed. `offered`: what numbers
    meant in an offer that it answers. Raises SdpError."""
    lines = _Lines()
    for value in media.section.attributes[:MAX_ATTRIBUTES]:
        lines.take(value)
    formats = lines.formats(media.formats, offered)
    if not formats:
        return None
    said = Audio((), (), (), lines.direction, 0, 0, lines.mux, *lines.rtcp)
    remote, direction = address(description, media, said)
    bandwidth = [line[2:] for line in media.text.split("\n") if line.startswith("b=")]
    kept = tuple([each for each in bandwidth if _BANDWIDTH.fullmatch(each)][:MAX_BANDWIDTH])
    return Video(formats, direction, kept, media.proto.endswith(FEEDBACK)), remote, lines.mux


class _Lines:
    """The attributes of a video line."""

    __slots__ = ("_feedback", "_fmtp", "_imageattr", "_names", "direction", "mux", "rtcp")

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._fmtp: dict[int, str] = {}
        self._imageattr: dict[int, str] = {}
        self._feedback: list[tuple[int, str]] = []
        self.direction = ""
        self.mux = False
        self.rtcp = (0, "")

    def take(self, value: str) -> None:
        """One attribute; what makes no sense is taken as not written."""
        name, _, rest = value.partition(":")
        if name == "rtpmap":
            if match := _RTPMAP.fullmatch(rest):
                self._names.setdefault(int(match[1]), match[2].lower())
        elif name in ("fmtp", "imageattr", "rtcp-fb"):
            if match := _NUMBERED.fullmatch(rest):
                number, text = EVERY if match[1] == "*" else int(match[1]), match[2].strip()
                if name == "rtcp-fb":
                    if _FEEDBACK.fullmatch(text):
                        self._feedback.append((number, text))
                else:
                    (self._fmtp if name == "fmtp" else self._imageattr).setdefault(number, text)
        elif name == "rtcp":
            if match := _RTCP.fullmatch(rest):
                self.rtcp = (int(match[1]), match[2] or "")
        elif value in DIRECTIONS:
            self.direction = value
        elif value == "rtcp-mux":
            self.mux = True

    def formats(self, written: str, offered: dict[int, VideoFormat]) -> tuple[VideoFormat, ...]:
        """Those of an `m=` that can be relayed, each identity once. Raises SdpError."""
        numbers = written.split()
        if len(numbers) > MAX_FORMATS:
            raise SdpError(488, "SDP has too many payload types")
        found: dict[str, VideoFormat] = {}
        for text in numbers:
            number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else -1
            before = offered.get(number)
            # Lenient: a number that the answer does not map means what it meant in the offer.
            name = self._names.get(number) or (before.name.lower() if before is not None else "")
            if number not in NUMBERS or name not in RELAYED:
                continue
            fmtp = self._fmtp.get(number, "")
            key = identity(name, fmtp)
            if before is not None and before.name.lower() == name and not self._named_elsewhere(key, offered):
                # RFC 6184 8.2.2 has an answer repeat the profile; telephones write their own under the offer's number.
                key = before.key
            image = self._imageattr.get(number) or self._imageattr.get(EVERY, "")
            found.setdefault(key, VideoFormat(number, RELAYED[name][0], key, fmtp, self._wanted(number), image))
        return tuple(found.values())

    def _named_elsewhere(self, key: str, offered: dict[int, VideoFormat]) -> bool:
        return any(each.key == key for each in offered.values())

    def _wanted(self, number: int) -> tuple[str, ...]:
        wanted = dict.fromkeys([text for of, text in self._feedback if of in (number, EVERY)])
        return tuple(wanted)[:MAX_FEEDBACK]


def identity(name: str, fmtp: str) -> str:
    """What both ends must mean alike of a codec (`name` in lower case): the level may differ, the profile may not."""
    _, parameter, default = RELAYED[name]
    if not parameter:
        return name
    given: dict[str, str] = {}
    for each in fmtp.split(";"):
        key, _, value = each.partition("=")
        given.setdefault(key.strip().lower(), value.strip())
    key = f"{name};{given.get(parameter) or default}"
    return f"{key};{h264_profile(given.get('profile-level-id', ''))}" if name == "h264" else key


def h264_profile(profile_level: str) -> str:
    """The profile of a `profile-level-id`, however it is written (RFC 6184 table 5); "" is Baseline at level 1."""
    if _PROFILE_LEVEL.fullmatch(profile_level) is None:
        profile_level = "420010"
    idc, iop = int(profile_level[:2], 16), int(profile_level[2:4], 16)
    # Constrained Baseline is what these three have in common: written as one of them, with the others' bits set.
    if (
        (idc == 0x42 and iop & 0x4F == 0x40)
        or (idc == 0x4D and iop & 0x8F == 0x80)
        or (idc, iop & 0xCF) == (0x58, 0xC0)
    ):
        return "constrained-baseline"
    if (idc, iop & 0x4F) == (0x42, 0) or (idc, iop & 0xCF) == (0x58, 0x80):
        return "baseline"
    if (idc, iop & 0xAF) == (0x4D, 0):
        return "main"
    return f"{idc:02x}{iop:02x}"


# --- writing --------------------------------------------------------------------------------------------------


def numbered(formats: tuple[VideoFormat, ...], used: tuple[tuple[int, str], ...]) -> tuple[VideoFormat, ...]:
    """Formats under the numbers of a leg where `used` has been: the one it had (RFC 3264 8.3.2: a number does not
    change its meaning in a session), else the one that it comes with, else a free one; beyond those, none."""
    had = {key: number for number, key in reversed(used)}
    taken = {number for number, _ in used}
    wished = {f.number for f in formats}
    chosen: list[VideoFormat] = []
    for each in formats:
        number = had.get(each.key, each.number)
        if each.key not in had and (number in taken or number not in NUMBERS):
            number = next((n for n in NUMBERS if n not in taken and n not in wished), -1)
        if number >= 0:
            taken.add(number)
            chosen.append(msgspec.structs.replace(each, number=number))
    return tuple(chosen)


def offer_video(
    video: Video,
    local: MediaAddress,
    session_host: str,
    policy: AudioPolicy,
    before: VideoSession | None,
    used: tuple[tuple[int, str], ...],
    secure: bool,
    random: sdes.Random = token_bytes,
) -> tuple[str, VideoOffered] | None:
    """Offer what another leg's end says of its video. `session_host`: of the description's own c=; `before`: what
    stands on this leg; `secure`: with keys of its own, as the audio beside it. None where no number is left."""
    formats = numbered(video.formats, used)
    if not formats:
        return None
    kept = before.crypto if before is not None else None
    asked = msgspec.structs.replace(policy, srtp="required" if secure else "never")
    base, crypto = sdes.to_offer(asked, kept, before is None, random)
    profile = base + (FEEDBACK if video.feedback else "")
    offered = VideoOffered(msgspec.structs.replace(video, formats=formats), policy.rtcp_mux, profile, crypto)
    return _lines(offered.video, local, session_host, profile, sdes.written(crypto), policy.rtcp_mux), offered


def answer_video(
    asked: VideoOffer,
    video: Video | None,
    local: MediaAddress,
    session_host: str,
    before: VideoSession | None,
    random: sdes.Random = token_bytes,
) -> tuple[str, VideoSession] | None:
    """Answer with what the other leg's end has, in the offer's numbers; None where that is nothing, or would lay open
    what was sealed: the line is refused."""
    theirs = {f.key: f for f in asked.video.formats}
    common = [(theirs[f.key], f) for f in video.formats if f.key in theirs] if video is not None else []
    if video is None or not common:
        return None
    if before is not None and before.crypto is not None and not asked.crypto:
        return None
    formats = tuple(
        [
            VideoFormat(
                mine.number,
                mine.name,
                mine.key,
                other.fmtp,
                tuple([each for each in other.feedback if each in mine.feedback]),
                other.imageattr if mine.imageattr else "",
            )
            for mine, other in common
        ]
    )
    base = asked.profile.removesuffix(FEEDBACK)
    crypto = sdes.answered(asked.crypto, base, before.crypto if before is not None else None, random)
    keys = sdes.written((sdes.CryptoLine(crypto.tag, crypto.ours),)) if crypto is not None else ""
    direction = narrowed(asked.video.direction, video.direction)
    said = Video(formats, direction, video.bandwidth)
    remote = asked.remote
    if asked.rtcp_mux:
        remote = MediaAddress(remote.host, remote.port, remote.port)
    numbers = tuple([(f.number, f.key) for f in formats])
    session = VideoSession(
        theirs=asked.video,
        remote=remote,
        formats=numbers,
        receive=numbers,
        direction=direction,
        rtcp_mux=asked.rtcp_mux,
        crypto=crypto,
        refusal=_refusal(asked.profile, formats[0].number),
    )
    return _lines(said, local, session_host, asked.profile, keys, asked.rtcp_mux), session


def refusal(offered: VideoOffered) -> str:
    """The m= line that an offer of ours leaves behind where it is refused, or at an end."""
    return _refusal(offered.profile, offered.video.formats[0].number)


def _refusal(profile: str, number: int) -> str:
    return f"m=video 0 {profile} {number}\r\n"


def _lines(video: Video, local: MediaAddress, session_host: str, profile: str, keys: str, mux: bool) -> str:
    """The m=video with its lines, in the order of the grammar."""
    host, port, rtcp_port = local
    lines = [f"m=video {port} {profile} {' '.join([str(f.number) for f in video.formats])}"]
    if host != session_host:
        lines.append(f"c={connection(host)}")
    lines += [f"b={each}" for each in video.bandwidth]
    for each in video.formats:
        lines.append(f"a=rtpmap:{each.number} {each.name}/{CLOCK}")
        if each.fmtp:
            lines.append(f"a=fmtp:{each.number} {each.fmtp}")
        lines += [f"a=rtcp-fb:{each.number} {wanted}" for wanted in each.feedback]
        if each.imageattr:
            lines.append(f"a=imageattr:{each.number} {each.imageattr}")
    lines.append(f"a={video.direction}")
    if rtcp_port not in (port + 1, port):
        lines.append(f"a=rtcp:{rtcp_port}")
    if mux:
        lines.append("a=rtcp-mux")
    return "\r\n".join(lines) + "\r\n" + keys
