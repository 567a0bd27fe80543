"""Two legs without a codec in common: what is offered and answered so that the engine can transcode between them."""

from __future__ import annotations

import itertools

import pytest

from media.codec import TRANSCODABLE, Codec, PayloadType, codec_key, own_codec, transcodable
from media.commands import MediaAddress
from media.negotiate import (
    AudioOffer,
    AudioPolicy,
    AudioSession,
    as_offer,
    make_answer,
    make_offer,
    own_answer,
    own_offer,
    read_answer,
    read_offer,
    relay_answer,
    relay_offer,
    relays,
    shares_codec,
    transcodes,
)
from media.sdp import NoCommonCodec, Origin

LOCAL = MediaAddress("192.0.2.99", 20000, 20001)
NAMES = ("opus", "G722", "PCMA", "PCMU", "L16/16000", "L16/8000")
OPUS = "111 opus/48000/2"
EVENTS = "101 telephone-event/8000"
WIDE_EVENTS = "110 telephone-event/48000"


def sdp(*formats: str, parameters: tuple[str, ...] = (), **lines: str) -> bytes:
    """A telephone's description; each format as `number name/clock`."""
    numbers = " ".join(each.split()[0] for each in formats)
    text = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", f"m=audio 4000 RTP/AVP {numbers}"]
    text += [f"a=rtpmap:{each}" for each in formats]
    text += [f"a=fmtp:{each}" for each in parameters]
    text += [f"a={name}:{value}" for name, value in lines.items()]
    return "".join(line + "\r\n" for line in text).encode()


def described(codec: Codec) -> str:
    number = {"PCMU": 0, "PCMA": 8, "G722": 9, "opus": 111}.get(codec.name, 120 + codec.clock // 8000)
    return f"{number} {codec.name}/{codec.clock}/{codec.channels}"


def policy(*codecs: str, transcode: bool = True, digits: str = "auto", comfort_noise: bool = True) -> AudioPolicy:
    dtmf = digits in ("auto", "rfc4733")
    return AudioPolicy(codecs=codecs, transcode=transcode, digits=digits, dtmf=dtmf, comfort_noise=comfort_noise)


def names(payloads: tuple[PayloadType, ...]) -> list[str]:
    return [p.codec.name for p in payloads]


def clocks(payloads: tuple[PayloadType, ...]) -> list[int]:
    return [p.codec.clock for p in payloads if p.codec.name == "telephone-event"]


def b_answers(offer: AudioOffer, b: AudioPolicy, reply: bytes) -> AudioSession:
    origin = Origin(1, 1, "-", "192.0.2.99")
    return read_answer(reply, make_offer(LOCAL, relay_offer(offer, b), b, "sendrecv", origin)[1])


@pytest.mark.parametrize(("a", "b"), list(itertools.product(TRANSCODABLE, repeat=2)))
def test_every_pair_of_codecs_gets_a_call(a: Codec, b: Codec) -> None:
    """A has only one codec, B's policy another: each leg agrees on its own."""
    ours, theirs = (f"{each.name}/{each.clock}" for each in (a, b))
    offer = read_offer(sdp(described(a), EVENTS), policy(ours))
    passed = relay_offer(offer, policy(theirs))
    assert codec_key(passed[0].codec) == codec_key(b)
    session = b_answers(offer, policy(theirs), sdp(described(b), EVENTS))
    codecs = relay_answer(offer, session, policy(theirs))
    assert codec_key(codecs[0].codec) == codec_key(a)
    assert clocks(codecs) == [8000]
    assert relays(codecs, session) == (a == b)
    assert transcodes(codecs, session.codecs)


def test_what_both_have_is_offered_first_then_what_can_be_made_of_it() -> None:
    offer = read_offer(sdp("0 PCMU/8000", "18 G729/8000", EVENTS), policy("PCMU", "G729"))
    passed = relay_offer(offer, policy("G722", "G729", "opus", "PCMU", "iLBC"))
    assert names(passed) == ["G729", "PCMU", "G722", "opus", "telephone-event", "telephone-event"]
    assert [p.number for p in passed[:3]] == [18, 0, 9]
    assert passed[3].codec.fmtp == "useinbandfec=1"


def test_a_star_stands_for_all_that_can_be_transcoded() -> None:
    offer = read_offer(sdp("0 PCMU/8000"), policy("*"))
    assert names(relay_offer(offer, policy("G722", "*"))) == ["PCMU", "G722", "opus", "PCMA", "L16", "L16"]


def test_rfc4733_2_1_events_are_offered_at_the_clock_of_each_codec() -> None:
    """RFC 7587 leaves opus at 48000: events beside it are at that clock, those beside G.711 at 8000."""
    offer = read_offer(sdp("0 PCMU/8000", EVENTS), policy("PCMU"))
    assert clocks(relay_offer(offer, policy("opus", "PCMU"))) == [8000, 48000]
    offer = read_offer(sdp(OPUS, WIDE_EVENTS), policy("opus"))
    passed = relay_offer(offer, policy("PCMU", "opus"))
    assert [(p.number, p.codec.clock) for p in passed[-2:]] == [(101, 8000), (110, 48000)]
    assert clocks(relay_offer(offer, policy("PCMU", digits="inband"))) == []


def test_events_are_agreed_on_each_leg_by_itself() -> None:
    """A has opus with events at 8000 only, B answers at 48000: each leg has its own, the engine converts."""
    offer = read_offer(sdp(OPUS, EVENTS), policy("opus"))
    session = b_answers(offer, policy("opus"), sdp(OPUS, WIDE_EVENTS))
    assert clocks(session.dtmf) == [48000]
    assert clocks(relay_answer(offer, session, policy("opus"))) == [8000]


def test_a_caller_keeps_its_events_where_the_called_end_has_none_but_takes_tones() -> None:
    both = policy("PCMU")
    offer = read_offer(sdp("0 PCMU/8000", EVENTS), both)
    session = b_answers(offer, both, sdp("0 PCMU/8000"))
    assert names(relay_answer(offer, session, both)) == ["PCMU", "telephone-event"]
    assert names(relay_answer(offer, session, policy("PCMU", digits="rfc4733"))) == ["PCMU"]
    # B is not offered events when A has none.
    assert names(relay_offer(read_offer(sdp("0 PCMU/8000"), both), both)) == ["PCMU"]


def test_a_leg_with_info_or_tones_still_lets_the_other_have_events() -> None:
    other = policy("PCMU")
    for digits in ("info", "inband"):
        offer = read_offer(sdp("0 PCMU/8000", EVENTS), policy("PCMU", digits=digits))
        assert offer.dtmf == ()
        assert clocks(relay_offer(offer, other)) == [8000]
    by_info = policy("PCMU", digits="info")
    offer = read_offer(sdp("0 PCMU/8000", EVENTS), other)
    session = b_answers(offer, by_info, sdp("0 PCMU/8000", EVENTS))
    assert session.dtmf == ()
    assert clocks(relay_answer(offer, session, by_info)) == [8000]


def test_the_callers_most_wanted_codec_is_the_one_to_transcode() -> None:
    """B has none of A's: A is answered with one codec, events where it offered them, noise of its own."""
    a = policy("G729", "opus", "PCMU")
    formats = ("0 PCMU/8000", OPUS, "18 G729/8000", "13 CN/8000", EVENTS, WIDE_EVENTS)
    offer = read_offer(sdp(*formats, parameters=("111 stereo=1;maxaveragebitrate=20000",)), a)
    session = b_answers(offer, policy("G722"), sdp("9 G722/8000"))
    codecs = relay_answer(offer, session, policy("G722"))
    assert names(codecs) == ["opus", "telephone-event"]
    assert clocks(codecs) == [48000]
    assert codecs[0].codec.fmtp == "useinbandfec=1", "what we want to receive, not what A wants"
    narrow = policy("PCMU")
    offer = read_offer(sdp(*formats), narrow)
    assert names(relay_answer(offer, session, policy("G722"))) == ["PCMU", "CN", "telephone-event"]


def test_a_callee_that_prefers_what_the_caller_lacks_is_transcoded() -> None:
    both = policy("PCMU", "G722")
    offer = read_offer(sdp("0 PCMU/8000", "18 G729/8000"), policy("G729", "PCMU"))
    session = b_answers(offer, both, sdp("9 G722/8000", "0 PCMU/8000"))
    codecs = relay_answer(offer, session, both)
    assert names(codecs) == ["PCMU"]
    assert not relays(codecs, session)
    assert transcodes(codecs, session.codecs)


@pytest.mark.parametrize(("ours", "theirs"), [(False, True), (True, False), (False, False)])
def test_either_end_may_forbid_transcoding(ours: bool, theirs: bool) -> None:
    offer = read_offer(sdp("0 PCMU/8000", "8 PCMA/8000"), policy("PCMU", "PCMA", transcode=ours))
    with pytest.raises(NoCommonCodec):
        relay_offer(offer, policy("G722", transcode=theirs))
    assert names(relay_offer(offer, policy("G722", "PCMA", transcode=theirs))) == ["PCMA"]
    session = b_answers(offer, policy("PCMA"), sdp("8 PCMA/8000"))
    other = policy("PCMA", transcode=theirs)
    assert names(relay_answer(offer, session, other)) == ["PCMA"]
    only_u = read_offer(sdp("0 PCMU/8000"), policy("PCMU", transcode=ours))
    with pytest.raises(NoCommonCodec):
        relay_answer(only_u, session, other)


def test_what_can_not_be_decoded_is_488() -> None:
    offer = read_offer(sdp("18 G729/8000"), policy("G729"))
    with pytest.raises(NoCommonCodec):
        relay_offer(offer, policy("PCMU"))
    session = b_answers(read_offer(sdp("18 G729/8000"), policy("*")), policy("G729"), sdp("18 G729/8000"))
    with pytest.raises(NoCommonCodec):
        relay_answer(read_offer(sdp("0 PCMU/8000"), policy("PCMU")), session, policy("G729"))


def test_a_new_offer_begins_with_what_the_leg_uses() -> None:
    """So that a hold does not also change the codec."""
    b = policy("PCMA", "G722")
    offer = read_offer(sdp("0 PCMU/8000"), policy("PCMU"))
    session = b_answers(offer, b, sdp("9 G722/8000"))
    assert names(relay_offer(offer, b, session)) == ["G722", "PCMA"]


def test_what_stands_on_a_leg_is_offered_to_the_other() -> None:
    b = policy("G722")
    session = b_answers(read_offer(sdp("0 PCMU/8000", EVENTS), policy("PCMU")), b, sdp("9 G722/8000", EVENTS))
    assert names(relay_offer(as_offer(session, b), policy("PCMU"))) == ["PCMU", "telephone-event"]
    assert shares_codec(as_offer(session, b), policy("G722"))
    assert not shares_codec(as_offer(session, b), policy("PCMU"))


def test_rfc7587_6_1_the_peers_parameters_are_kept_for_the_encoder() -> None:
    origin = Origin(1, 1, "-", "192.0.2.99")
    wishes = "111 maxplaybackrate=16000;useinbandfec=1"
    offer = read_offer(sdp(OPUS, EVENTS, parameters=(wishes, "101 0-15")), policy("opus"))
    codecs = (PayloadType(111, own_codec(offer.codecs[0].codec)), *offer.dtmf)
    _, session = make_answer(offer, LOCAL, codecs, "sendrecv", origin)
    assert session.fmtps == ((111, "maxplaybackrate=16000;useinbandfec=1"), (101, "0-15"))
    _, offered = make_offer(LOCAL, own_offer(policy("opus", "PCMU")), policy("opus"), "sendrecv", origin)
    answered = read_answer(sdp("120 opus/48000/2", parameters=("120 stereo=1",)), offered)
    assert answered.fmtps == ((120, "stereo=1"),)


def test_each_leg_keeps_the_packet_time_its_peer_wants() -> None:
    offer = read_offer(sdp("0 PCMU/8000", ptime="30"), policy("PCMU"))
    session = b_answers(offer, policy("G722"), sdp("9 G722/8000", ptime="20", maxptime="10"))
    assert session.ptime == 10
    codecs = relay_answer(offer, session, policy("G722"))
    assert make_answer(offer, LOCAL, codecs, "sendrecv", Origin(1, 1, "-", "192.0.2.99"))[1].ptime == 30


def test_what_is_to_be_heard_here_must_be_decodable() -> None:
    offer = read_offer(sdp("18 G729/8000", "0 PCMU/8000", EVENTS), policy("G729", "PCMU"))
    assert names(own_answer(offer)) == ["G729", "telephone-event"]
    assert names(own_answer(offer, heard=True)) == ["PCMU", "telephone-event"]
    with pytest.raises(NoCommonCodec):
        own_answer(read_offer(sdp("18 G729/8000"), policy("G729")), heard=True)
    assert names(own_offer(policy("G729", "PCMU"), heard=True)) == ["PCMU", "telephone-event"]


def test_every_name_of_the_engine_is_known_by_its_clock() -> None:
    assert [f"{each.name}/{each.clock}" for each in TRANSCODABLE][-2:] == list(NAMES[-2:])
    assert not transcodable(Codec("L16", 44100, 2))
    assert not transcodable(Codec("opus", 48000, 1))
