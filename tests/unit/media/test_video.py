"""The video line of descriptions (RFC 3264, RFC 4585, RFC 6184), on one leg and between two."""

from __future__ import annotations

import msgspec
import pytest

from media.commands import MediaAddress
from media.negotiate import (
    AudioOffer,
    AudioPolicy,
    AudioSession,
    Offered,
    Pictures,
    changes_video,
    lopsided,
    make_answer,
    make_offer,
    own_answer,
    own_offer,
    read_answer,
    read_offer,
)
from media.sdp import MediaDescription, Origin, parse
from media.video import Video, VideoFormat, flow, h264_profile, identity, narrowed, numbered
from rtp.payload import payload_map
from rtp.table import DROP

POLICY = AudioPolicy(codecs=("PCMA", "PCMU"), video=True)
AUDIO_ONLY = AudioPolicy(codecs=("PCMA", "PCMU"))
SECURE = AudioPolicy(codecs=("PCMA",), video=True, srtp="required", sdes=True)
LOCAL, SEEN = MediaAddress("192.0.2.99", 20000, 20001), MediaAddress("192.0.2.99", 20002, 20003)
HEAD = ("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0")
AUDIO = ("m=audio 4000 RTP/AVP 8", "a=rtpmap:8 PCMA/8000")
H264 = "profile-level-id=42e01f;packetization-mode=1"
BOTH = (
    "m=video 4002 RTP/AVP 97 98",
    "b=AS:768",
    "b=TIAS:700000",
    "a=rtpmap:97 H264/90000",
    f"a=fmtp:97 {H264}",
    "a=rtpmap:98 VP8/90000",
    "a=rtcp-fb:* nack",
    "a=rtcp-fb:97 nack pli",
    "a=rtcp-fb:98 ccm fir",
    "a=rtcp-fb:98 transport-cc",
    "a=imageattr:97 send [x=640,y=480] recv *",
    "a=sendrecv",
)


def sdp(*lines: str, head: tuple[str, ...] = HEAD) -> bytes:
    return "".join(f"{line}\r\n" for line in (*head, *lines)).encode()


def origin() -> Origin:
    return Origin(1, 1, "-", "192.0.2.99")


def video_line(body: bytes, index: int = 1) -> MediaDescription:
    return parse(body).media[index]


def asked(*lines: str, policy: AudioPolicy = POLICY) -> AudioOffer:
    return read_offer(sdp(*lines), policy)


def offered(
    video: Video | None, policy: AudioPolicy = POLICY, session: AudioSession | None = None, by: Origin | None = None
) -> tuple[bytes, Offered]:
    pictures = Pictures(video, SEEN) if video is not None else None
    return make_offer(LOCAL, own_offer(policy), policy, "sendrecv", by or origin(), session, pictures=pictures)


def answered(offer: AudioOffer, video: Video | None, session: AudioSession | None = None) -> tuple[bytes, AudioSession]:
    pictures = Pictures(video, SEEN) if video is not None else None
    return make_answer(offer, LOCAL, own_answer(offer), "sendrecv", origin(), session, pictures=pictures)


def named(offer: AudioOffer) -> Video:
    assert offer.video is not None
    return offer.video.video


def told(session: AudioSession) -> Video:
    assert session.video is not None
    return session.video.told()


# --- both legs ------------------------------------------------------------------------------------------------


def test_what_one_end_says_is_offered_to_the_other_and_its_answer_comes_back() -> None:
    offer = asked(*AUDIO, *BOTH)
    assert offer.video is not None
    assert offer.video.remote == MediaAddress("192.0.2.1", 4002, 4003)
    body, sent = offered(named(offer))
    line = video_line(body)
    assert line.line() == "m=video 20002 RTP/AVP 97 98"
    assert line.text.split("\n")[:2] == ["b=AS:768", "b=TIAS:700000"]
    assert line.section.attributes == (
        "rtpmap:97 H264/90000",
        f"fmtp:97 {H264}",
        "rtcp-fb:97 nack",
        "rtcp-fb:97 nack pli",
        "imageattr:97 send [x=640,y=480] recv *",
        "rtpmap:98 VP8/90000",
        "rtcp-fb:98 nack",
        "rtcp-fb:98 ccm fir",
        "sendrecv",
    )
    # B takes H.264 alone, at a lower level, and has no generic NACK.
    answer = sdp(
        "m=audio 5000 RTP/AVP 8",
        "m=video 5002 RTP/AVP 97",
        "b=AS:512",
        "a=rtpmap:97 H264/90000",
        "a=fmtp:97 profile-level-id=42e00d;packetization-mode=1",
        "a=rtcp-fb:97 nack pli",
        "a=imageattr:97 send * recv [x=640,y=480]",
    )
    theirs = read_answer(answer, sent)
    back, mine = answered(offer, told(theirs))
    line = video_line(back)
    assert line.line() == "m=video 20002 RTP/AVP 97"
    assert line.text.split("\n")[0] == "b=AS:512"
    assert line.section.attributes == (
        "rtpmap:97 H264/90000",
        "fmtp:97 profile-level-id=42e00d;packetization-mode=1",
        "rtcp-fb:97 nack pli",
        "imageattr:97 send * recv [x=640,y=480]",
        "sendrecv",
    )
    assert not lopsided(mine, theirs)
    assert mine.video is not None
    assert mine.video.theirs == named(offer)  # all of it, for whoever is called next


@pytest.mark.parametrize(
    ("lines", "policy"),
    [
        (AUDIO, POLICY),
        ((*AUDIO, *BOTH), AUDIO_ONLY),
        ((*AUDIO, "m=video 0 RTP/AVP 97", *BOTH[1:]), POLICY),
        ((*AUDIO, "m=video 4002 UDP/TLS/RTP/SAVPF 97", *BOTH[1:]), POLICY),
        ((*AUDIO, "m=video 4002 RTP/SAVP 97", *BOTH[1:]), POLICY),
        ((*AUDIO, "m=video 4002 RTP/AVP 34", "a=rtpmap:34 H263/90000"), POLICY),
        ((*AUDIO, "m=video 4002 RTP/AVP 99", "a=rtpmap:99 rtx/90000", "a=fmtp:99 apt=97"), POLICY),
        ((*AUDIO, "m=video 4002 RTP/AVP 97", "a=rtpmap:97 H264/48000"), POLICY),
        ((*AUDIO, "m=video 4002 RTP/AVP 300 x", *BOTH[1:]), POLICY),
        ((*AUDIO, "m=application 4002 UDP/BFCP *"), POLICY),
    ],
)
def test_without_video_that_can_be_relayed_there_is_audio_alone(lines: tuple[str, ...], policy: AudioPolicy) -> None:
    offer = read_offer(sdp(*lines), policy)
    assert offer.video is None
    body, session = answered(offer, named(asked(*AUDIO, *BOTH)))
    assert [media.port for media in parse(body).media] == ([20000] if lines == AUDIO else [20000, 0])
    assert session.video is None


@pytest.mark.parametrize(
    ("line", "usable"),
    [
        ("m=video 5002 RTP/AVP 97", True),
        ("m=video 0 RTP/AVP 97", False),
        ("m=video 5002 RTP/AVPF 97", True),  # more than was offered, and harmless
        ("m=video 5002 RTP/SAVP 97", False),
        ("m=video 5002 RTP/AVP 110", False),
        ("m=application 5002 RTP/AVP 97", False),
        (None, False),
    ],
)
def test_an_answer_that_refuses_video_keeps_the_audio_and_the_line(line: str | None, usable: bool) -> None:
    _, sent = offered(named(asked(*AUDIO, *BOTH)))
    session = read_answer(sdp("m=audio 5000 RTP/AVP 8", *([line] if line else [])), sent)
    assert (session.video is not None) is usable
    assert session.codecs[0].codec.name == "PCMA"
    body, again = offered(None, session=session)
    assert video_line(body).line() == "m=video 0 RTP/AVP 97"
    assert again.video is None


def test_what_the_other_leg_has_not_got_is_refused_in_its_place() -> None:
    offer = asked("m=application 4008 UDP/BFCP *", *BOTH, *AUDIO)
    vp9 = Video((VideoFormat(100, "VP9", "vp9;0"),))
    for nothing in (None, vp9):
        body, session = answered(offer, nothing)
        assert [media.line() for media in parse(body).media] == [
            "m=application 0 UDP/BFCP *",
            "m=video 0 RTP/AVP 97",
            "m=audio 20000 RTP/AVP 8",
        ]
        assert session.video is None


# --- payload types --------------------------------------------------------------------------------------------


def test_numbers_are_each_legs_own() -> None:
    """B answers with a number of its own, and has used ours for something else before: each way is mapped."""
    offer = asked(*AUDIO, *BOTH)
    before = AudioSession(LOCAL, (), (), "sendrecv", video_used=((97, "vp8"),))
    _, sent = offered(named(offer), session=msgspec.structs.replace(before, layout=("",)))
    assert sent.video is not None
    assert [(f.number, f.key) for f in sent.video.video.formats] == [
        (96, "h264;1;constrained-baseline"),
        (97, "vp8"),
    ]
    answer = ("m=video 5002 RTP/AVP 120", "a=rtpmap:120 H264/90000", f"a=fmtp:120 {H264}")
    theirs = read_answer(sdp("m=audio 5000 RTP/AVP 8", *answer), sent)
    _, mine = answered(offer, told(theirs))
    assert theirs.video is not None
    assert mine.video is not None
    (a, from_a), (b, from_b) = mine.video.engine_formats(), theirs.video.engine_formats()
    assert from_a == ()
    to_b, to_a = payload_map(a, b), payload_map(from_b, a)
    assert (to_b[97], to_b[98]) == (120, DROP)
    assert (to_a[96], to_a[120], to_a[97]) == (97, 97, DROP)


def test_two_profiles_of_h264_stay_apart() -> None:
    """RFC 6184 8.2.2: packetization mode and profile are part of what a payload type is."""
    lines = (
        "m=video 4002 RTP/AVP 97 98 99",
        "a=rtpmap:97 H264/90000",
        "a=fmtp:97 profile-level-id=640028; packetization-mode=1",
        "a=rtpmap:98 H264/90000",
        "a=fmtp:98 packetization-mode=1;profile-level-id=42e01f",
        "a=rtpmap:99 H264/90000",
        "a=fmtp:99 profile-level-id=42E01F",
    )
    offer = asked(*AUDIO, *lines)
    keys = [f.key for f in named(offer).formats]
    assert keys == ["h264;1;6400", "h264;1;constrained-baseline", "h264;0;constrained-baseline"]
    _, sent = offered(named(offer))
    # The answerer writes 42c0..., the same profile; and 4d..., another one, under an offered number.
    for number, fmtp, key in ((98, "profile-level-id=42c00d;packetization-mode=1", keys[1]), (99, "", keys[2])):
        answer = (f"m=video 5002 RTP/AVP {number}", f"a=rtpmap:{number} H264/90000", f"a=fmtp:{number} {fmtp}")
        session = read_answer(sdp("m=audio 5000 RTP/AVP 8", *answer), sent)
        assert session.video is not None
        assert session.video.formats == ((number, key),)


@pytest.mark.parametrize(
    ("profile_level", "profile"),
    [
        ("42e01f", "constrained-baseline"),
        ("42C00D", "constrained-baseline"),
        ("4d8015", "constrained-baseline"),
        ("58c00a", "constrained-baseline"),
        ("42801f", "baseline"),
        ("420010", "baseline"),
        ("", "baseline"),
        ("nonsense", "baseline"),
        ("58800a", "baseline"),
        ("4d001f", "main"),
        ("4d401f", "main"),
        ("640028", "6400"),
        ("640c1f", "640c"),
    ],
)
def test_rfc_6184_table_5(profile_level: str, profile: str) -> None:
    assert h264_profile(profile_level) == profile


def test_identities_of_other_codecs() -> None:
    assert identity("vp8", "max-fr=30") == "vp8"
    assert identity("vp9", "") == identity("vp9", "profile-id=0") != identity("vp9", "profile-id=2")
    assert identity("h265", "") == identity("h265", "profile-id=1;level-id=93") != identity("h265", "profile-id=2")


def test_numbers_run_out_for_the_least_wanted() -> None:
    formats = tuple([VideoFormat(97, "VP9", f"vp9;{i}") for i in range(3)])
    used = tuple([(number, f"old;{number}") for number in range(96, 126)])
    assert [(f.number, f.key) for f in numbered(formats, used)] == [(126, "vp9;0"), (127, "vp9;1")]


# --- directions, profiles, lines ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sendrecv", "sendonly", "recvonly", "inactive"])
def test_directions_pass_and_are_narrowed(way: str) -> None:
    offer = asked(*AUDIO, *BOTH[:-1], f"a={way}")
    body, sent = offered(named(offer))
    assert video_line(body).section.attributes[-1] == way
    theirs = read_answer(sdp("m=audio 5000 RTP/AVP 8", "m=video 5002 RTP/AVP 97", f"a={flow(way)}"), sent)
    assert theirs.video is not None
    assert theirs.video.direction == way
    back, mine = answered(offer, told(theirs))
    assert video_line(back).section.attributes[-1] == flow(way)
    held, _ = answered(offer, msgspec.structs.replace(told(theirs), direction="inactive"))
    assert video_line(held).section.attributes[-1] == "inactive"
    assert mine.direction == "sendrecv"


def test_rfc_3264_6_1_narrowing() -> None:
    assert narrowed("sendonly", "sendrecv") == "recvonly"
    assert narrowed("sendrecv", "sendonly") == "sendonly"
    assert narrowed("recvonly", "recvonly") == "inactive"


def test_early_feedback_profiles_are_kept() -> None:
    offer = asked(*AUDIO, "m=video 4002 RTP/AVPF 97", *BOTH[1:])
    body, sent = offered(named(offer))
    assert video_line(body).proto == "RTP/AVPF"
    theirs = read_answer(sdp("m=audio 5000 RTP/AVP 8", "m=video 5002 RTP/AVPF 97"), sent)
    assert video_line(answered(offer, told(theirs))[0]).proto == "RTP/AVPF"


def test_rfc_3264_8_lines_stay_in_order_and_number_through_reoffers() -> None:
    """Audio alone, then video is added, dropped, and comes back, from either side."""
    us = origin()
    _, session = answered(asked(*AUDIO), None)
    video = named(asked(*AUDIO, *BOTH))
    ports = []
    for wanted in (video, None, video):
        body, sent = offered(wanted, session=session, by=us)
        ports.append([(media.kind, media.port) for media in parse(body).media])
        answer = "m=video 5002 RTP/AVP 97" if wanted else "m=video 0 RTP/AVP 97"
        session = read_answer(sdp("m=audio 5000 RTP/AVP 8", answer), sent)
    on, off = [("audio", 20000), ("video", 20002)], [("audio", 20000), ("video", 0)]
    assert ports == [on, off, on]
    # They drop it and bring it back with another line before it.
    gone = asked(*AUDIO, "m=video 0 RTP/AVP 97")
    body, session = answered(gone, video, session)
    assert video_line(body).port == 0
    body, sent = offered(video, session=session, by=us)
    assert [(media.kind, media.port) for media in parse(body).media] == on
    assert sent.layout == ("", "video")


def test_an_offered_line_that_was_none_of_ours_is_not_used_for_video() -> None:
    _, session = answered(asked(*AUDIO, "m=application 4008 UDP/BFCP *"), None)
    body, _ = offered(named(asked(*AUDIO, *BOTH)), session=session)
    assert [(media.kind, media.port) for media in parse(body).media] == [
        ("audio", 20000),
        ("application", 0),
        ("video", 20002),
    ]


def test_video_on_another_host_says_so() -> None:
    video = named(asked(*AUDIO, *BOTH))
    away = Pictures(video, MediaAddress("192.0.2.98", 30000, 30001))
    body, _ = make_offer(LOCAL, own_offer(POLICY), POLICY, "sendrecv", origin(), pictures=away)
    assert [media.section.host for media in parse(body).media] == ["", "192.0.2.98"]


# --- SRTP -----------------------------------------------------------------------------------------------------

KEY = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40


def test_srtp_has_keys_by_line() -> None:
    audio = ("m=audio 4000 RTP/SAVP 8", KEY)
    offer = asked(*audio, "m=video 4002 RTP/SAVPF 97", KEY.replace("AAAA", "BBBB"), *BOTH[1:], policy=SECURE)
    body, session = answered(offer, named(offer))
    lines = parse(body).media
    assert [line.proto for line in lines] == ["RTP/SAVP", "RTP/SAVPF"]
    assert lines[0].crypto != lines[1].crypto
    assert session.crypto is not None
    assert session.video is not None
    assert session.video.crypto is not None
    assert session.video.crypto.theirs != session.crypto.theirs
    # An offer of ours repeats our keys, and offers new ones where the video is new.
    again, _ = offered(named(offer), SECURE, session)
    assert parse(again).media[1].crypto[0] == lines[1].crypto[0]
    fresh, sent = offered(named(offer), SECURE, msgspec.structs.replace(session, video=None, layout=("",)))
    assert parse(fresh).media[1].proto == "RTP/SAVPF"
    assert sent.video is not None
    assert sent.video.crypto
    assert parse(fresh).media[1].crypto[0] != lines[1].crypto[0]


def test_video_that_is_added_to_sealed_audio_is_sealed() -> None:
    """Also where the audio is RTP/AVP with keys, and whatever a new offer would begin with."""
    optional = msgspec.structs.replace(SECURE, srtp="optional")
    _, session = answered(asked(*AUDIO, KEY, policy=optional), None)
    assert session.crypto is not None
    for policy in (optional, msgspec.structs.replace(optional, srtp="never")):
        body, _ = offered(named(asked(*AUDIO, *BOTH)), policy, session)
        assert [line.proto for line in parse(body).media] == ["RTP/AVP", "RTP/SAVP"]
        assert all(line.crypto for line in parse(body).media)


def test_video_in_the_clear_is_refused_beside_audio_that_must_be_sealed() -> None:
    offer = asked("m=audio 4000 RTP/SAVP 8", KEY, *BOTH, policy=SECURE)
    assert offer.video is None
    assert answered(offer, named(asked(*AUDIO, *BOTH)))[1].crypto is not None


def test_video_that_was_sealed_does_not_go_on_in_the_clear() -> None:
    optional = msgspec.structs.replace(SECURE, srtp="optional")
    offer = asked("m=audio 4000 RTP/SAVP 8", KEY, "m=video 4002 RTP/SAVP 97", KEY, *BOTH[1:], policy=optional)
    _, session = answered(offer, named(offer))
    clear = asked("m=audio 4000 RTP/SAVP 8", KEY, *BOTH, policy=optional)
    assert clear.video is not None
    assert answered(clear, named(clear), session)[1].video is None


# --- what concerns the other leg ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "changes"),
    [
        (BOTH, False),
        ((*BOTH[:-1], "a=fmtp:98 max-fr=15", "a=sendrecv"), False),
        (("m=video 4010 RTP/AVP 97 98", *BOTH[1:]), False),
        (("m=video 4002 RTP/AVP 98 97", *BOTH[1:]), True),
        ((*BOTH[:-1], "a=recvonly"), True),
        (("m=video 0 RTP/AVP 97",), True),
    ],
)
def test_which_reoffers_concern_the_other_leg(lines: tuple[str, ...], changes: bool) -> None:
    offer = asked(*AUDIO, *BOTH)
    _, session = answered(offer, named(offer))
    assert changes_video(session, asked(*AUDIO, *lines), POLICY) is changes
    assert not changes_video(session, asked(*AUDIO, *lines), AUDIO_ONLY)
    _, alone = answered(asked(*AUDIO), None)
    assert changes_video(alone, asked(*AUDIO, *BOTH), POLICY)
    assert lopsided(alone, session)
    assert not lopsided(alone, alone)
