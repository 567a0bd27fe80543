"""a=crypto (RFC 4568), and what policies make of offers and answers with and without it."""

from __future__ import annotations

import base64

import msgspec
import pytest

from media.commands import MediaAddress, StreamKey
from media.negotiate import (
    AudioPolicy,
    AudioSession,
    Offered,
    make_answer,
    make_offer,
    own_answer,
    read_answer,
    read_offer,
)
from media.sdes import KEYS_IN_CLEAR, OFFERED, SrtpRefused, parse
from media.sdp import Origin, SdpError
from media.sdp import parse as parse_sdp
from rtp.srtp import SUITES

SUITE = "AES_CM_128_HMAC_SHA1_80"
# The key of RFC 4568's own examples.
EXAMPLE = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
INLINE = f"inline:{EXAMPLE}"
KEY = base64.b64decode(EXAMPLE)
LOCAL = MediaAddress("192.0.2.99", 20000, 20001)

NEVER = AudioPolicy(codecs=("PCMA", "PCMU"))
OPTIONAL = AudioPolicy(codecs=("PCMA", "PCMU"), srtp="optional", sdes=True)
REQUIRED = AudioPolicy(codecs=("PCMA", "PCMU"), srtp="required", sdes=True)


def sdp(*media: str) -> bytes:
    lines = ("v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", *media)
    return "".join(f"{line}\r\n" for line in lines).encode()


def plain(*crypto: str) -> bytes:
    return sdp("m=audio 4000 RTP/AVP 8", *[f"a=crypto:{value}" for value in crypto])


def secure(*crypto: str) -> bytes:
    return sdp("m=audio 4000 RTP/SAVP 8", *[f"a=crypto:{value}" for value in crypto or (f"1 {SUITE} {INLINE}",)])


def origin() -> Origin:
    return Origin(1, 1, "-", "192.0.2.99")


class Keys:
    """A source whose octets tell how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, count: int) -> bytes:
        self.asked += 1
        return bytes([self.asked]) * count


def crypto_lines(body: bytes) -> list[str]:
    return [line[9:] for line in body.decode().splitlines() if line.startswith("a=crypto:")]


def profile(body: bytes) -> str:
    return parse_sdp(body).media[0].proto


# --- lines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        f"1 {SUITE} {INLINE}",
        f"999999999 {SUITE} {INLINE}",
        f"1 {SUITE} {INLINE}|2^20",
        f"1 {SUITE} {INLINE}|2^31",
        f"1 {SUITE} {INLINE}|2^48",
        f"1 {SUITE} {INLINE}|1048576",
        f"1 {SUITE} {INLINE} KDR=0",
        f"1 {SUITE} {INLINE} WSH=64",
        f"1 {SUITE} {INLINE} WSH=1024 -X-SOMETHING=3",
        f"1 AES_CM_128_HMAC_SHA1_32 {INLINE}",
    ],
)
def test_lines_that_can_be_used(value: str) -> None:
    line = parse(value)
    assert line is not None
    assert line.key == StreamKey(value.split()[1], KEY)
    assert line.tag == int(value.split()[0])


@pytest.mark.parametrize(
    "value",
    [
        "",
        "1",
        f"1 {SUITE}",
        f"x {SUITE} {INLINE}",
        f"01 {SUITE} {INLINE}",
        f"-1 {SUITE} {INLINE}",
        f"1234567890 {SUITE} {INLINE}",
        f"1 NULL {INLINE}",
        f"1 {SUITE.lower()} {INLINE}",
        f"1 {SUITE} {EXAMPLE}",
        f"1 {SUITE} uri:{EXAMPLE}",
        f"1 {SUITE} inline:",
        f"1 {SUITE} {INLINE[:-4]}",
        f"1 {SUITE} {INLINE}AAAA",
        f"1 {SUITE} {INLINE[:-1]}",
        f"1 {SUITE} {INLINE[:-1]}!",
        f"1 {SUITE} {INLINE}|2^49",
        f"1 {SUITE} {INLINE}|2^0",
        f"1 {SUITE} {INLINE}|0",
        f"1 {SUITE} {INLINE}|100",
        f"1 {SUITE} {INLINE}|2^20|1:4",  # an MKI
        f"1 {SUITE} {INLINE}|1:4",
        f"1 {SUITE} {INLINE};{INLINE}|2^20|2:4",
        f"1 {SUITE} {INLINE} KDR=1",
        f"1 {SUITE} {INLINE} WSH=63",
        f"1 {SUITE} {INLINE} UNENCRYPTED_SRTP",
        f"1 {SUITE} {INLINE} UNENCRYPTED_SRTCP",
        f"1 {SUITE} {INLINE} UNAUTHENTICATED_SRTP",
        f"1 {SUITE} {INLINE} FEC_ORDER=FEC_SRTP",
        f"1 {SUITE} {INLINE} X-UNKNOWN",
        f"1 AEAD_AES_256_GCM {INLINE}",  # a key of another suite's length
    ],
)
def test_lines_that_can_not_be_used(value: str) -> None:
    assert parse(value) is None
    with pytest.raises(SrtpRefused, match="No usable a=crypto"):
        read_offer(secure(value), OPTIONAL)


def test_a_line_that_can_not_be_used_leaves_the_next_one() -> None:
    offer = read_offer(
        secure(f"1 F8_128_HMAC_SHA1_80 {INLINE}", f"2 {SUITE} {INLINE}|2^20|1:4", f"3 {SUITE} {INLINE}"), OPTIONAL
    )
    assert [line.tag for line in offer.crypto] == [3]


def test_nothing_but_a_description_shows_a_key() -> None:
    offer = read_offer(secure(), OPTIONAL)
    body, session = make_answer(offer, LOCAL, own_answer(offer), "sendrecv", origin())
    _, offered = make_offer(LOCAL, own_answer(offer), OPTIONAL, "sendrecv", origin())
    assert session.crypto is not None
    ours = base64.b64encode(session.crypto.ours.key).decode()
    assert ours in body.decode()
    for shown in (offer, session, offered, parse_sdp(secure()), parse_sdp(secure()).media):
        text = repr(shown)
        assert "inline" not in text
        assert EXAMPLE not in text
        assert ours not in text
        assert repr(KEY)[2:-1] not in text
    assert EXAMPLE in str(parse_sdp(secure()))


def test_descriptions_with_keys_are_not_remembered() -> None:
    """The caches of sections hold what calls have in common; keys must neither live there nor push that out."""
    lines = parse_sdp(secure()).media[0]
    assert "crypto" not in lines.text
    assert lines.crypto == (f"1 {SUITE} {INLINE}",)
    assert str(parse_sdp(secure())) == str(parse_sdp(str(parse_sdp(secure())).encode()))
    above = secure().replace(b"t=0 0\r\n", f"t=0 0\r\na=crypto:1 {SUITE} {INLINE}\r\n".encode())
    assert parse_sdp(above).attributes == ()


# --- their offer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "offer", "outcome"),
    [
        (NEVER, plain(), "plain"),
        (NEVER, plain(f"1 {SUITE} {INLINE}"), "plain"),
        (NEVER, secure(), "RTP/AVP only"),
        (OPTIONAL, plain(), "plain"),
        (OPTIONAL, plain(f"1 {SUITE} {INLINE}"), "secure"),
        (OPTIONAL, plain("1 NULL inline:x"), "plain"),
        (OPTIONAL, secure(), "secure"),
        (OPTIONAL, sdp("m=audio 4000 RTP/SAVP 8"), "No usable a=crypto"),
        (REQUIRED, plain(), "required"),
        (REQUIRED, plain(f"1 {SUITE} {INLINE}"), "required"),
        (REQUIRED, secure(), "secure"),
    ],
)
def test_policy_decides_on_an_offer(policy: AudioPolicy, offer: bytes, outcome: str) -> None:
    if outcome not in ("plain", "secure"):
        with pytest.raises(SrtpRefused, match=outcome) as refused:
            read_offer(offer, policy)
        assert refused.value.status == 488
        return
    read = read_offer(offer, policy)
    body, session = make_answer(read, LOCAL, own_answer(read), "sendrecv", origin())
    assert profile(body) == profile(offer)
    assert (session.crypto is not None) == (len(crypto_lines(body)) == 1) == (outcome == "secure")


@pytest.mark.parametrize("policy", [OPTIONAL, REQUIRED])
def test_threats_29_keys_in_the_clear_are_refused_by_policy(policy: AudioPolicy) -> None:
    """Of an offer of both, `optional` takes the plain line."""
    policy = msgspec.structs.replace(policy, sdes=False)
    with pytest.raises(SrtpRefused) as refused:
        read_offer(secure(), policy)
    assert (refused.value.reason, refused.value.warning) == (KEYS_IN_CLEAR, 399)
    if policy.srtp == "optional":
        assert read_offer(plain(f"1 {SUITE} {INLINE}"), policy).crypto == ()
        both = secure() + b"m=audio 4010 RTP/AVP 8\r\n"
        assert read_offer(both, policy).remote.port == 4010
    else:
        with pytest.raises(SrtpRefused):
            make_offer(LOCAL, own_answer(read_offer(plain(), NEVER)), policy, "sendrecv", origin())


def test_an_offer_of_both_profiles_is_answered_with_srtp_where_it_may_be() -> None:
    both = plain() + f"m=audio 4010 RTP/SAVP 8\r\na=crypto:1 {SUITE} {INLINE}\r\n".encode()
    for policy, port in ((NEVER, 4000), (OPTIONAL, 4010), (REQUIRED, 4010)):
        offer = read_offer(both, policy)
        assert offer.remote.port == port
        body, _ = make_answer(offer, LOCAL, own_answer(offer), "sendrecv", origin())
        assert [(m.proto, m.port) for m in parse_sdp(body).media] == [
            ("RTP/AVP", 20000 if port == 4000 else 0),
            ("RTP/SAVP", 20000 if port == 4010 else 0),
        ]


def test_rfc4568_the_offers_first_usable_line_is_answered_with_its_tag_and_our_key() -> None:
    offer = read_offer(
        secure(f"4 NULL {INLINE}", f"7 AES_CM_128_HMAC_SHA1_32 {INLINE}", f"8 {SUITE} {INLINE}"), OPTIONAL
    )
    body, session = make_answer(offer, LOCAL, own_answer(offer), "sendrecv", origin(), random=Keys())
    ours = base64.b64encode(bytes([1]) * 30).decode()
    assert crypto_lines(body) == [f"7 AES_CM_128_HMAC_SHA1_32 inline:{ours}"]
    assert session.crypto is not None
    assert session.crypto.theirs == StreamKey("AES_CM_128_HMAC_SHA1_32", KEY)
    assert session.crypto.ours.key == bytes([1]) * 30


def test_a_reoffer_keeps_our_key_and_takes_theirs() -> None:
    keys = Keys()
    first = read_offer(secure(), OPTIONAL)
    _, session = make_answer(first, LOCAL, own_answer(first), "sendrecv", origin(), random=keys)
    _, same = make_answer(first, LOCAL, own_answer(first), "sendrecv", origin(), session, random=keys)
    assert same.crypto == session.crypto
    renewed = base64.b64encode(b"n" * 30).decode()
    again = read_offer(secure(f"1 {SUITE} inline:{renewed}"), OPTIONAL)
    _, later = make_answer(again, LOCAL, own_answer(again), "sendrecv", origin(), same, random=keys)
    assert session.crypto is not None
    assert later.crypto is not None
    assert (later.crypto.ours, later.crypto.theirs.key) == (session.crypto.ours, b"n" * 30)
    assert keys.asked == 1
    other = read_offer(secure(f"1 AES_CM_128_HMAC_SHA1_32 {INLINE}"), OPTIONAL)
    _, changed = make_answer(other, LOCAL, own_answer(other), "sendrecv", origin(), later, random=keys)
    assert changed.crypto is not None
    assert changed.crypto.ours.suite == "AES_CM_128_HMAC_SHA1_32"
    assert keys.asked == 2


# --- our offer --------------------------------------------------------------------------------------------------


def offered(policy: AudioPolicy, session: AudioSession | None = None) -> tuple[bytes, Offered]:
    return make_offer(
        LOCAL, own_answer(read_offer(plain(), NEVER)), policy, "sendrecv", origin(), session, random=Keys()
    )


@pytest.mark.parametrize("policy", [OPTIONAL, REQUIRED])
def test_our_offer_of_srtp_has_a_key_for_each_suite(policy: AudioPolicy) -> None:
    body, _ = offered(policy)
    assert profile(body) == "RTP/SAVP"
    lines = [line.split() for line in crypto_lines(body)]
    assert [(int(tag), suite) for tag, suite, _ in lines] == list(enumerate(OFFERED, 1))
    assert OFFERED[0] == SUITE
    keys = [base64.b64decode(inline.removeprefix("inline:")) for _, _, inline in lines]
    assert [len(key) for key in keys] == [SUITES[suite].octets for suite in OFFERED]
    assert len(set(keys)) == len(keys)


def test_our_offer_without_srtp_has_none() -> None:
    for policy in (NEVER, msgspec.structs.replace(OPTIONAL, sdes=False)):
        body, _ = offered(policy)
        assert (profile(body), crypto_lines(body)) == ("RTP/AVP", [])


def test_an_answer_agrees_and_a_later_offer_repeats_our_key() -> None:
    body, sent = make_offer(
        LOCAL, own_answer(read_offer(plain(), NEVER)), REQUIRED, "sendrecv", origin(), random=Keys()
    )
    session = read_answer(secure(), sent)
    assert session.crypto is not None
    assert session.crypto.theirs.key == KEY
    again, sent_again = offered(REQUIRED, session)
    assert crypto_lines(again) == crypto_lines(body)[:1]
    assert profile(again) == "RTP/SAVP"
    assert read_answer(secure(), sent_again).crypto == session.crypto


def test_a_later_offer_on_a_plain_leg_is_plain() -> None:
    offer = read_offer(plain(), OPTIONAL)
    _, session = make_answer(offer, LOCAL, own_answer(offer), "sendrecv", origin())
    assert profile(offered(OPTIONAL, session)[0]) == "RTP/AVP"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (plain(), "profile"),
        (plain(f"1 {SUITE} {INLINE}"), "profile"),
        (sdp("m=audio 4000 RTP/SAVP 8"), "not one usable"),
        (secure(f"2 {SUITE} {INLINE}"), "not offered"),
        (secure(f"1 AES_CM_128_HMAC_SHA1_32 {INLINE}"), "not offered"),
        (secure(f"1 {SUITE} {INLINE}", f"1 {SUITE} {INLINE}"), "not one usable"),
        (secure(f"1 {SUITE} {INLINE} UNENCRYPTED_SRTP"), "not one usable"),
        (secure(f"1 {SUITE} {INLINE}|2^31|1:1"), "not one usable"),
    ],
)
def test_answers_that_agree_to_nothing_that_was_offered_are_488(answer: bytes, why: str) -> None:
    _, sent = offered(OPTIONAL)
    with pytest.raises(SdpError, match=why) as refused:
        read_answer(answer, sent)
    assert refused.value.status == 488


def test_an_answer_with_srtp_to_a_plain_offer_is_488() -> None:
    _, sent = offered(NEVER)
    with pytest.raises(SdpError, match="profile"):
        read_answer(secure(), sent)
    assert read_answer(plain(f"1 {SUITE} {INLINE}"), sent).crypto is None
