"""Whatever comes as a description: it is read, or `SdpError` says 400 or 488; nothing else is raised, and no line of
the peer's gets into ours."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from media import sdes
from media.commands import MediaAddress
from media.negotiate import AudioPolicy, make_answer, make_offer, own_answer, own_offer, read_answer, read_offer
from media.sdp import Origin, SdpError, parse
from media.video import Video, VideoFormat
from media.video_layout import Pictures

POLICY = AudioPolicy(codecs=("*",), rtcp_mux=True)
SECURE = AudioPolicy(codecs=("*",), rtcp_mux=True, srtp="optional", sdes=True)
LOCAL = MediaAddress("192.0.2.99", 20000, 20001)
LINE = re.compile(r"[vosctbma]=[\x20-\x7e]*")

SEED = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 96 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 stereo=1\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=rtcp:4001\r\na=sendrecv\r\n"
    b"m=video 5000 RTP/AVP 31\r\n"
)
SECURE_SEED = SEED.replace(b"RTP/AVP 0", b"RTP/SAVP 0").replace(
    b"a=ptime",
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^31 WSH=64\r\n"
    b"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\na=ptime",
)
VIDEO = AudioPolicy(codecs=("*",), rtcp_mux=True, video=True)
VIDEO_SEED = SEED.replace(
    b"m=video 5000 RTP/AVP 31\r\n",
    b"m=video 5000 RTP/AVPF 97 98\r\nb=AS:500\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42e01f\r\n"
    b"a=rtpmap:98 VP8/90000\r\na=rtcp-fb:* nack pli\r\na=imageattr:97 send * recv *\r\na=rtcp-mux\r\na=sendonly\r\n",
)
SEEN = Pictures(
    Video((VideoFormat(97, "H264", "h264;0;constrained-baseline"), VideoFormat(98, "VP8", "vp8"))),
    MediaAddress("192.0.2.98", 20002, 20003),
)
PIECES = [
    b"m=video 1 RTP/AVP 97",
    b"a=rtcp-fb:97 ",
    b"a=rtpmap:97 VP8/90000",
    b"H264",
    b"b=AS:",
    b"a=crypto:1 ",
    b"inline:",
    b"|2^",
    b"|1:4",
    b" KDR=0",
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff\xfe",
    b" ",
    b"m=audio 1 RTP/AVP 8",
    b"m=",
    b"a=",
    b"c=IN IP4 0.0.0.0",
    b"c=IN IP6 ::1",
    b"a=fmtp:0 \r\na=evil",
    b"a=rtpmap:0 x/8000",
    b"999999999999999999999",
    b"-1",
    "٤".encode(),
    b"/",
    b":",
    b"=",
]


@st.composite
def damaged(draw: st.DrawFn, data: bytes = SEED) -> bytes:
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 12))
        data = data[:at] + draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=6))) + data[at + cut :]
    return data


def answered(data: bytes, policy: AudioPolicy = POLICY) -> bytes:
    """Our answer to an offer, with all of its video; "" when it was refused as it should be."""
    try:
        parse(data)
        offer = read_offer(data, policy)
        seen = Pictures(offer.video.video, SEEN.local) if offer.video is not None else None
        body, session = make_answer(
            offer, LOCAL, own_answer(offer), "sendrecv", Origin(1, 1, "-", "192.0.2.99"), pictures=seen
        )
    except SdpError as error:
        check(error)
        return b""
    assert session.codecs
    return body


def check(error: SdpError) -> None:
    assert error.status in (400, 488)
    assert re.fullmatch(r"[\x20-\x7e]{1,80}", error.reason)


def exercise(data: bytes, policy: AudioPolicy = POLICY) -> None:
    """As an offer and as an answer."""
    body = answered(data, policy)
    if body:
        # Strict when generating: every line of ours is a line of the grammar, and is read again.
        for line in body.decode("ascii").removesuffix("\r\n").split("\r\n"):
            assert LINE.fullmatch(line), line
        assert len(parse(body).media) == len(parse(data).media)
    us, seen = Origin(1, 1, "-", "192.0.2.99"), SEEN if policy.video else None
    _, offered = make_offer(LOCAL, own_offer(AudioPolicy()), policy, "sendrecv", us, pictures=seen)
    try:
        session = read_answer(data, offered)
    except SdpError as error:
        check(error)
        return
    assert len(session.receive) == len(session.codecs + session.dtmf)
    again, _ = make_offer(LOCAL, session.codecs, policy, "sendrecv", us, session, pictures=seen)
    assert len(parse(again).media) >= len(offered.layout)


@settings(max_examples=500, deadline=None)
@given(damaged())
def test_damaged_descriptions(data: bytes) -> None:
    exercise(data)


@settings(max_examples=500, deadline=None)
@given(damaged(SECURE_SEED))
def test_damaged_descriptions_with_keys(data: bytes) -> None:
    exercise(data, SECURE)


@settings(max_examples=500, deadline=None)
@given(damaged(VIDEO_SEED))
def test_damaged_descriptions_with_video(data: bytes) -> None:
    exercise(data, VIDEO)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120) | st.from_regex(r"[0-9]{1,3} AES_CM_128_HMAC_SHA1_80 inline:[!-~]{20,60}( [!-~]{1,20})?"))
def test_crypto_lines(value: str) -> None:
    """Used or not; what is used is written again as it was meant."""
    line = sdes.parse(value)
    if line is not None:
        assert sdes.parse(line.text()) == line
    exercise(SECURE_SEED.replace(b"a=ptime", f"a=crypto:{value}\r\na=ptime".encode()), SECURE)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes(data: bytes) -> None:
    exercise(data)
    exercise(SEED + data)
