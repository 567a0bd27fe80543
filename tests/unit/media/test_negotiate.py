"""Offer and answer (RFC 3264) on one leg, and between two whose media is relayed."""

from dataclasses import dataclass

import pytest

from media.choice import transcoded_answer
from media.codec import Codec, PayloadType, codec_key
from media.commands import MediaAddress
from media.negotiate import (
    AudioOffer,
    AudioPolicy,
    AudioSession,
    answer_direction,
    flipped,
    make_answer,
    make_offer,
    needs_peer,
    own_answer,
    own_offer,
    payload_map,
    peer_direction,
    read_answer,
    read_offer,
    relay_answer,
    relay_offer,
    relayed_direction,
)
from media.sdp import NoCommonCodec, Origin, SdpError, parse

G711 = AudioPolicy(codecs=("PCMU", "PCMA"))
ANY = AudioPolicy(codecs=("*",), prefer="theirs", transcode=False)
LOCAL = MediaAddress("192.0.2.99", 20000, 20001)
HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"


def sdp(*lines: str, head: str = HEAD) -> bytes:
    return (head + "".join(line + "\r\n" for line in lines)).encode()


def origin() -> Origin:
    return Origin(1, 1, "-", "192.0.2.99")


def names(payloads: tuple[PayloadType, ...]) -> list[tuple[int, str]]:
    return [(p.number, p.codec.name) for p in payloads]


def answer(offer: AudioOffer, direction: str = "sendrecv") -> tuple[str, AudioSession]:
    body, session = make_answer(offer, LOCAL, own_answer(offer), direction, origin())
    return body.decode(), session


PHONE = sdp(
    "m=audio 4000 RTP/AVP 0 8 101",
    "a=rtpmap:0 PCMU/8000",
    "a=rtpmap:8 PCMA/8000",
    "a=rtpmap:101 telephone-event/8000",
    "a=fmtp:101 0-15",
    "a=ptime:20",
    "a=sendrecv",
)


# --- their offer --------------------------------------------------------------------------------------------


def test_a_telephones_offer_is_read() -> None:
    offer = read_offer(PHONE, G711)
    assert offer.remote == MediaAddress("192.0.2.1", 4000, 4001)
    assert names(offer.codecs) == [(0, "PCMU"), (8, "PCMA")]
    assert offer.dtmf == (PayloadType(101, Codec("telephone-event", 8000, 1, "0-15")),)
    assert (offer.direction, offer.ptime, offer.rtcp_mux) == ("sendrecv", 20, False)


def test_rfc_3551_static_payload_types_need_no_rtpmap() -> None:
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 18 9 3 8 0 10 11"), ANY)
    assert [(p.number, p.codec) for p in offer.codecs] == [
        (18, Codec("G729")),
        (9, Codec("G722")),
        (3, Codec("GSM")),
        (8, Codec("PCMA")),
        (0, Codec("PCMU")),
        (10, Codec("L16", 44100, 2)),
        (11, Codec("L16", 44100)),
    ]


def test_rfc_3551_section_4_5_2_the_clock_of_g722_is_8000_even_where_16000_is_written() -> None:
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 9", "a=rtpmap:9 G722/16000"), ANY)
    assert offer.codecs[0].codec == Codec("G722", 8000)


def test_rfc_7587_section_7_opus_has_two_channels_even_where_they_are_left_out() -> None:
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 OPUS/48000", "a=fmtp:96 useinbandfec=1"), ANY)
    assert offer.codecs[0].codec == Codec("opus", 48000, 2, "useinbandfec=1")


def test_rfc_4566_section_6_encoding_names_have_no_case() -> None:
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 0 97", "a=rtpmap:0 pcmu/8000", "a=rtpmap:97 ilbc/8000"), ANY)
    assert names(offer.codecs) == [(0, "PCMU"), (97, "iLBC")]


def test_policy_orders_and_filters() -> None:
    policy = AudioPolicy(codecs=("pcma", "PCMU"))
    assert names(read_offer(sdp("m=audio 4000 RTP/AVP 18 0 8"), policy).codecs) == [(8, "PCMA"), (0, "PCMU")]
    theirs = AudioPolicy(codecs=("pcma", "PCMU"), prefer="theirs")
    assert names(read_offer(sdp("m=audio 4000 RTP/AVP 18 0 8"), theirs).codecs) == [(0, "PCMU"), (8, "PCMA")]


def test_a_policy_may_name_clock_and_channels() -> None:
    lines = ("m=audio 4000 RTP/AVP 10 11 96", "a=rtpmap:96 L16/16000")
    for name, numbers in (("L16", [10, 11, 96]), ("L16/44100", [10, 11]), ("L16/44100/1", [11]), ("l16/16000", [96])):
        assert [p.number for p in read_offer(sdp(*lines), AudioPolicy(codecs=(name,))).codecs] == numbers


def test_a_star_admits_unknown_codecs_after_the_named_ones() -> None:
    policy = AudioPolicy(codecs=("PCMA", "*"))
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 100 8", "a=rtpmap:100 EVS/16000", "a=fmtp:100 br=5.9-24.4"), policy)
    assert names(offer.codecs) == [(8, "PCMA"), (100, "EVS")]
    assert offer.codecs[1].codec.fmtp == "br=5.9-24.4"


def test_payloads_that_hold_payload_type_numbers_are_not_relayed_even_by_a_star() -> None:
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 100 0", "a=rtpmap:100 red/8000", "a=fmtp:100 0/0"), ANY)
    assert names(offer.codecs) == [(0, "PCMU")]


def test_dynamic_types_without_a_mapping_and_those_that_look_like_rtcp_are_unknown() -> None:
    # RFC 3551 table 5: 72-76 are reserved, being RTCP's packet types 200-204 with the marker bit.
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 72 99 0", "a=rtpmap:72 opus/48000/2"), ANY)
    assert names(offer.codecs) == [(0, "PCMU")]


@pytest.mark.parametrize(
    "line",
    [
        "a=rtpmap:97",
        "a=rtpmap:97 iLBC",
        "a=rtpmap:97 iLBC/0",
        "a=rtpmap:97 iL BC/8000",
        "a=rtpmap:x iLBC/8000",
        "a=rtpmap:97 iLBC/99999999",
        "a=fmtp:97",
        "a=fmtp:0 \x01\x02",
        "a=ptime:soon",
        "a=ptime:100000",
        "a=rtcp:port",
        "a=rtcp:99999",
    ],
)
def test_a_malformed_attribute_is_ignored(line: str) -> None:
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 97 0", line), ANY)
    assert offer.codecs == (PayloadType(0, Codec("PCMU")),)
    assert (offer.ptime, offer.remote.rtcp_port) == (0, 4001)


def test_the_first_of_two_mappings_counts_and_a_repeated_number_is_one() -> None:
    lines = ("m=audio 4000 RTP/AVP 97 97", "a=rtpmap:97 iLBC/8000", "a=rtpmap:97 speex/8000")
    assert names(read_offer(sdp(*lines), ANY).codecs) == [(97, "iLBC")]


@pytest.mark.parametrize("formats", ["0 x", "128", "-1", "0 1000", "٣"])
def test_a_payload_type_that_is_no_number_is_400(formats: str) -> None:
    with pytest.raises(SdpError) as caught:
        read_offer(sdp(f"m=audio 4000 RTP/AVP {formats}"), ANY)
    assert caught.value.status == 400


def test_payload_types_are_bounded() -> None:
    with pytest.raises(SdpError) as caught:
        read_offer(sdp("m=audio 4000 RTP/AVP " + "0 " * 65), ANY)
    assert caught.value.status == 488


def test_no_common_codec_is_488() -> None:
    with pytest.raises(NoCommonCodec) as caught:
        read_offer(sdp("m=audio 4000 RTP/AVP 18 4"), G711)
    assert caught.value.status == 488


def test_telephone_events_alone_are_no_audio() -> None:
    with pytest.raises(NoCommonCodec):
        read_offer(sdp("m=audio 4000 RTP/AVP 101 13", "a=rtpmap:101 telephone-event/8000"), ANY)


def test_no_address_at_all_is_400() -> None:
    with pytest.raises(SdpError) as caught:
        read_offer(sdp("m=audio 4000 RTP/AVP 0", head=HEAD.replace("c=IN IP4 192.0.2.1\r\n", "")), ANY)
    assert (caught.value.status, caught.value.reason) == (400, "Bad SDP: no c= for the audio")


def test_rfc_4566_section_5_7_the_mediums_own_address_overrides_the_sessions() -> None:
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::7"), ANY)
    assert offer.remote == MediaAddress("2001:db8::7", 4000, 4001)


def test_rfc_3605_the_port_of_rtcp_may_be_told() -> None:
    def port(line: str) -> int:
        return read_offer(sdp("m=audio 4000 RTP/AVP 0", line), ANY).remote.rtcp_port

    assert port("a=rtcp:53020") == 53020
    assert port("a=rtcp:53020 IN IP4 192.0.2.1") == 53020
    # Another host for RTCP is not supported: as by one who does not know the attribute.
    assert port("a=rtcp:53020 IN IP4 126.16.64.4") == 4001


def test_the_port_after_the_last_is_not_invented() -> None:
    assert read_offer(sdp("m=audio 65535 RTP/AVP 0"), ANY).remote.rtcp_port == 65535


def test_long_sections_are_read_the_same_uncached() -> None:
    noise = [f"a=candidate:{n} 1 UDP 2130706431 192.0.2.1 8998 typ host" for n in range(30)]
    offer = read_offer(PHONE + "".join(f"{line}\r\n" for line in noise).encode(), G711)
    assert offer == read_offer(PHONE, G711)
    body, offered = make_offer(LOCAL, offer.codecs, G711, "sendrecv", origin())
    session = read_answer(PHONE + "".join(f"{line}\r\n" for line in noise).encode(), offered)
    assert names(session.codecs) == [(0, "PCMU"), (8, "PCMA")]
    assert body


# --- several media ------------------------------------------------------------------------------------------

MANY = sdp(
    "m=video 5000 RTP/AVP 31 32",
    "m=audio 0 RTP/AVP 0",
    "m=audio 4002 RTP/SAVP 0",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secret",
    "m=audio 4004 RTP/AVPF 0",
    "m=audio 4006 RTP/AVP 18",
    "m=audio 4008 RTP/AVP 0 8",
    "m=audio 4010 RTP/AVP 0",
    "m=image 4012 udptl t38",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "m=message 7394 TCP/MSRP *",
)


def test_rfc_3264_section_6_the_first_usable_audio_is_answered_and_every_other_medium_refused_in_its_place() -> None:
    offer = read_offer(MANY, G711)
    assert offer.remote.port == 4008
    body, session = answer(offer)
    # "The answer to an offer is based on the offer [...] there MUST be a media line for each in the offer, in
    # the same order", each of the same kind and transport.
    media = [line for line in body.split("\r\n") if line.startswith("m=")]
    assert media == [
        "m=video 0 RTP/AVP 31",
        "m=audio 0 RTP/AVP 0",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 0 RTP/AVPF 0",
        "m=audio 0 RTP/AVP 18",
        "m=audio 20000 RTP/AVP 0",
        "m=audio 0 RTP/AVP 0",
        "m=image 0 udptl t38",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
        "m=message 0 TCP/MSRP *",
    ]
    assert "secret" not in body
    assert session.remote.port == 4008


def test_rfc_3264_section_8_a_new_offer_of_ours_keeps_the_media_lines_of_the_session() -> None:
    _, session = answer(read_offer(MANY, G711))
    body, offered = make_offer(LOCAL, session.codecs, G711, "sendonly", origin(), session)
    assert [m.kind for m in parse(body).media] == [m.kind for m in parse(MANY).media]
    assert [m.port for m in parse(body).media] == [0, 0, 0, 0, 0, 20000, 0, 0, 0, 0]
    reply = MANY.replace(b"5000 RTP/AVP 31 32", b"0 RTP/AVP 31").replace(b"4008 RTP/AVP 0 8", b"4100 RTP/AVP 0")
    assert read_answer(reply, offered).remote.port == 4100


@pytest.mark.parametrize(
    "media",
    [
        "m=audio 0 RTP/AVP 0",
        "m=audio 4000 RTP/SAVPF 0",
        "m=audio 4000 UDP/TLS/RTP/SAVP 0",
        "m=audio 4000 RTP/AVPF 0",
        "m=audio 4000 UDP/TLS/RTP/SAVPF 0",
        "m=video 4000 RTP/AVP 31",
        "m=image 4000 udptl t38",
    ],
)
def test_an_offer_without_plain_audio_is_488(media: str) -> None:
    with pytest.raises(SdpError) as caught:
        read_offer(sdp(media), ANY)
    assert (caught.value.status, caught.value.reason) == (488, "No usable audio in the offer")


# --- directions and hold ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "wish", "answered"),
    [
        ("sendrecv", "sendrecv", "sendrecv"),
        ("sendrecv", "recvonly", "recvonly"),
        ("sendonly", "sendrecv", "recvonly"),
        ("sendonly", "sendonly", "inactive"),
        ("recvonly", "sendrecv", "sendonly"),
        ("recvonly", "recvonly", "inactive"),
        ("inactive", "sendrecv", "inactive"),
    ],
)
def test_rfc_3264_section_6_1_the_answer_is_no_wider_than_the_offer(offered: str, wish: str, answered: str) -> None:
    # "If a stream is offered as sendonly, the corresponding stream MUST be marked as recvonly or inactive in
    # the answer."
    assert answer_direction(offered, wish) == answered
    body, session = answer(read_offer(sdp("m=audio 4000 RTP/AVP 0", f"a={offered}"), ANY), wish)
    assert f"a={answered}\r\n" in body
    assert session.direction == answered
    assert session.peer_direction == offered


def test_a_direction_at_session_level_holds_unless_the_medium_says_another() -> None:
    head = HEAD + "a=sendonly\r\n"
    assert read_offer(sdp("m=audio 4000 RTP/AVP 0", head=head), ANY).direction == "sendonly"
    assert read_offer(sdp("m=audio 4000 RTP/AVP 0", "a=recvonly", head=head), ANY).direction == "recvonly"


@pytest.mark.parametrize("address", ["IP4 0.0.0.0", "IP6 ::"])
@pytest.mark.parametrize(
    ("written", "meant"),
    [("sendrecv", "sendonly"), ("sendonly", "sendonly"), ("recvonly", "inactive"), ("inactive", "inactive")],
)
def test_rfc_3264_section_8_4_an_old_hold_is_one_who_does_not_receive(address: str, written: str, meant: str) -> None:
    # "RFC 2543 specified that placing a user on hold was accomplished by setting the connection address to
    # 0.0.0.0."
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 0", f"c=IN {address}", f"a={written}"), ANY)
    assert offer.direction == meant
    _, session = answer(offer)
    assert session.direction in ("recvonly", "inactive")


def test_directions_seen_from_the_other_end() -> None:
    assert [flipped(d) for d in ("sendrecv", "sendonly", "recvonly", "inactive")] == [
        "sendrecv",
        "recvonly",
        "sendonly",
        "inactive",
    ]


# --- our answer ---------------------------------------------------------------------------------------------


def test_an_answer_is_written_in_the_order_of_the_grammar() -> None:
    body, _ = answer(read_offer(PHONE, G711))
    assert body == (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.99\r\ns=-\r\nc=IN IP4 192.0.2.99\r\nt=0 0\r\n"
        "m=audio 20000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
        "a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def test_rfc_3264_section_6_1_the_answer_uses_the_offerers_numbers() -> None:
    offer = read_offer(
        sdp("m=audio 4000 RTP/AVP 122 98", "a=rtpmap:122 PCMU/8000", "a=rtpmap:98 telephone-event/8000"), G711
    )
    body, session = answer(offer)
    assert "m=audio 20000 RTP/AVP 122 98\r\n" in body
    assert names(session.codecs) == [(122, "PCMU")]
    assert names(session.dtmf) == [(98, "telephone-event")]


def test_rfc_3264_section_6_the_answer_repeats_the_time_of_the_offer() -> None:
    # "the 't=' line in the answer MUST equal that of the offer."
    offer = read_offer(PHONE.replace(b"t=0 0", b"t=2873397496 2873404696"), G711)
    assert "t=2873397496 2873404696\r\n" in answer(offer)[0]


def test_the_packet_time_is_kept() -> None:
    offer = read_offer(PHONE.replace(b"ptime:20", b"ptime:30"), G711)
    body, session = answer(offer)
    assert "a=ptime:30\r\n" in body
    assert session.ptime == 30
    body_40, _ = make_answer(offer, LOCAL, offer.codecs, "sendrecv", origin(), ptime=40)
    assert b"a=ptime:40\r\n" in body_40
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 0", "a=maxptime:10"), G711)
    body, session = answer(offer)
    assert "ptime" not in body
    assert session.ptime == 10


def test_rfc_4733_section_2_1_events_are_on_the_clock_of_the_audio() -> None:
    lines = (
        "m=audio 4000 RTP/AVP 96 0 101 110",
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:101 telephone-event/8000",
        "a=rtpmap:110 telephone-event/48000",
    )
    _, session = answer(read_offer(sdp(*lines), AudioPolicy(codecs=("opus",))))
    assert [p.number for p in session.dtmf] == [110, 101]
    _, session = answer(read_offer(sdp(*lines), AudioPolicy(codecs=("PCMU",))))
    assert [p.number for p in session.dtmf] == [101, 110]


def test_an_event_offered_under_two_numbers_is_agreed_to_under_the_first() -> None:
    voice = PayloadType(0, Codec("PCMU", 8000))
    events = tuple(PayloadType(number, Codec("telephone-event", 8000, 1, "0-16")) for number in (101, 96))
    assert transcoded_answer((voice,), events, (voice,), events[:1], digits=False) == (voice, events[0])
    assert transcoded_answer((voice,), events, (voice,), (), digits=True) == (voice, events[0])


def test_events_and_comfort_noise_are_left_out_by_policy() -> None:
    lines = ("m=audio 4000 RTP/AVP 0 13 101", "a=rtpmap:101 telephone-event/8000")
    assert answer(read_offer(sdp(*lines), G711))[1].codecs[1].codec.name == "CN"
    offer = read_offer(sdp(*lines), AudioPolicy(codecs=("PCMU",), dtmf=False, comfort_noise=False))
    assert (names(offer.codecs), offer.dtmf) == ([(0, "PCMU")], ())


def test_rfc_3389_comfort_noise_is_on_the_clock_of_the_audio() -> None:
    lines = ("m=audio 4000 RTP/AVP 96 13 98", "a=rtpmap:96 L16/16000", "a=rtpmap:98 CN/16000")
    offer = read_offer(sdp(*lines), ANY)
    assert names(offer.codecs) == [(96, "L16"), (98, "CN")]


def test_an_answer_without_audio_is_not_made() -> None:
    offer = read_offer(PHONE, G711)
    for codecs in ((), offer.dtmf):
        with pytest.raises(NoCommonCodec):
            make_answer(offer, LOCAL, codecs, "sendrecv", origin())
        with pytest.raises(NoCommonCodec):
            make_offer(LOCAL, codecs, G711, "sendrecv", origin())


@pytest.mark.parametrize(("theirs", "ours", "agreed"), [(1, 1, 1), (1, 0, 0), (0, 1, 0)])
def test_rfc_5761_section_5_1_1_rtcp_mux_needs_both(theirs: int, ours: int, agreed: int) -> None:
    policy = AudioPolicy(codecs=("PCMU",), rtcp_mux=bool(ours))
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 0", *(["a=rtcp-mux"] * theirs)), policy)
    body, session = answer(offer)
    assert ("a=rtcp-mux\r\n" in body) == bool(agreed)
    assert session.rtcp_mux == bool(agreed)
    assert session.remote.rtcp_port == (4000 if agreed else 4001)
    body_b, offered = make_offer(LOCAL, offer.codecs, policy, "sendrecv", origin())
    assert (b"a=rtcp-mux\r\n" in body_b) == bool(ours)
    session = read_answer(sdp("m=audio 4000 RTP/AVP 0", *(["a=rtcp-mux"] * theirs)), offered)
    assert session.rtcp_mux == bool(agreed)


def test_rfc_3605_our_rtcp_port_is_told_where_it_is_not_the_next() -> None:
    offer = read_offer(PHONE, G711)
    body, _ = make_answer(offer, MediaAddress("192.0.2.99", 20000, 30000), offer.codecs, "sendrecv", origin())
    assert b"a=rtcp:30000\r\n" in body
    assert "a=rtcp" not in answer(offer)[0]


def test_ipv6_is_written_as_such() -> None:
    offer = read_offer(PHONE, G711)
    body, _ = make_answer(offer, MediaAddress("2001:db8::9", 20000, 20001), offer.codecs, "sendrecv", origin())
    assert b"c=IN IP6 2001:db8::9\r\n" in body


def test_rfc_3264_section_8_the_same_description_goes_out_as_the_same_bytes() -> None:
    offer = read_offer(PHONE, G711)
    line = origin()
    first, _ = make_answer(offer, LOCAL, offer.codecs, "sendrecv", line)
    again, _ = make_answer(offer, LOCAL, offer.codecs, "sendrecv", line)
    held, _ = make_answer(offer, LOCAL, offer.codecs, "recvonly", line)
    assert first == again
    assert b"o=- 1 1 IN" in first
    assert b"o=- 1 2 IN" in held


# --- our offer ----------------------------------------------------------------------------------------------


def test_an_offer_of_our_own_names_every_codec_of_the_policy() -> None:
    policy = AudioPolicy(codecs=("opus", "G722", "pcma", "G729", "iLBC", "L16/16000", "EVS", "*"))
    body, _ = make_offer(LOCAL, own_offer(policy), policy, "sendrecv", origin())
    offer = read_offer(body, ANY)
    assert names(offer.codecs) == [(96, "opus"), (9, "G722"), (8, "PCMA"), (18, "G729"), (97, "iLBC"), (98, "L16")]
    assert [(p.number, p.codec.clock) for p in offer.dtmf] == [(101, 8000), (99, 16000), (100, 48000)]
    assert own_offer(AudioPolicy(codecs=("PCMU",), dtmf=False)) == (PayloadType(0, Codec("PCMU")),)


def test_ptime_zero_asks_for_nothing() -> None:
    body, _ = make_offer(LOCAL, own_offer(G711), AudioPolicy(ptime=0), "sendrecv", origin())
    assert b"ptime" not in body
    body, _ = make_offer(LOCAL, own_offer(G711), AudioPolicy(ptime=0), "sendrecv", origin(), ptime=30)
    assert b"a=ptime:30" in body


def test_an_answer_is_read() -> None:
    _, offered = make_offer(LOCAL, own_offer(G711), G711, "sendrecv", origin())
    session = read_answer(PHONE, offered)
    assert session.remote == MediaAddress("192.0.2.1", 4000, 4001)
    assert names(session.codecs) == [(0, "PCMU"), (8, "PCMA")]
    assert names(session.receive) == [(0, "PCMU"), (8, "PCMA"), (101, "telephone-event")]
    assert (session.direction, session.ptime) == ("sendrecv", 20)


def test_rfc_3264_section_6_1_an_answerer_may_have_other_numbers_for_what_it_receives() -> None:
    policy = AudioPolicy(codecs=("opus",))
    _, offered = make_offer(LOCAL, own_offer(policy), policy, "sendrecv", origin())
    session = read_answer(
        sdp("m=audio 4000 RTP/AVP 120 121", "a=rtpmap:120 opus/48000/2", "a=rtpmap:121 telephone-event/48000"), offered
    )
    assert names(session.codecs + session.dtmf) == [(120, "opus"), (121, "telephone-event")]
    assert names(session.receive) == [(96, "opus"), (97, "telephone-event")]


def test_what_was_not_offered_is_left_out_of_the_answer() -> None:
    _, offered = make_offer(LOCAL, own_offer(G711), G711, "sendrecv", origin())
    session = read_answer(sdp("m=audio 4000 RTP/AVP 18 13 8"), offered)
    assert names(session.codecs) == [(8, "PCMA")]
    with pytest.raises(NoCommonCodec):
        read_answer(sdp("m=audio 4000 RTP/AVP 18"), offered)


def test_an_answer_that_does_not_map_a_dynamic_number_means_the_offers() -> None:
    policy = AudioPolicy(codecs=("iLBC",))
    _, offered = make_offer(LOCAL, own_offer(policy), policy, "sendrecv", origin())
    session = read_answer(sdp("m=audio 4000 RTP/AVP 96 101"), offered)
    assert names(session.codecs + session.dtmf) == [(96, "iLBC"), (101, "telephone-event")]
    assert session.codecs[0].codec.fmtp == ""


@pytest.mark.parametrize(
    "reply",
    ["m=audio 0 RTP/AVP 0", "m=video 4000 RTP/AVP 0", "m=audio 4000 RTP/SAVP 0", ""],
)
def test_an_answer_without_our_audio_is_488(reply: str) -> None:
    _, offered = make_offer(LOCAL, own_offer(G711), G711, "sendrecv", origin())
    with pytest.raises(SdpError) as caught:
        read_answer(sdp(*([reply] if reply else [])), offered)
    assert caught.value.status == 488


def test_an_answer_wider_than_the_offer_is_narrowed() -> None:
    _, offered = make_offer(LOCAL, own_offer(G711), G711, "sendonly", origin())
    assert read_answer(PHONE, offered).direction == "sendonly"
    _, offered = make_offer(LOCAL, own_offer(G711), G711, "inactive", origin())
    assert read_answer(PHONE, offered).direction == "inactive"


# --- two legs -----------------------------------------------------------------------------------------------


@dataclass
class Call:
    """A calls through us to B."""

    a: AudioSession
    b: AudioSession
    offer: AudioOffer


def call(a_says: bytes, b_says: bytes, policy_a: AudioPolicy = ANY, policy_b: AudioPolicy = ANY) -> Call:
    offer = read_offer(a_says, policy_a)
    _, offered = make_offer(LOCAL, relay_offer(offer, policy_b), policy_b, peer_direction(offer), origin())
    b = read_answer(b_says, offered)
    _, a = make_answer(offer, LOCAL, relay_answer(offer, b), relayed_direction(offer, b), origin())
    return Call(a, b, offer)


def test_an_offer_is_passed_on_in_the_other_legs_order_under_the_offerers_numbers() -> None:
    offer = read_offer(
        sdp(
            "m=audio 4000 RTP/AVP 0 8 111 9 101",
            "a=rtpmap:111 opus/48000/2",
            "a=fmtp:111 useinbandfec=1;stereo=0",
            "a=rtpmap:101 telephone-event/8000",
        ),
        ANY,
    )
    passed = relay_offer(offer, AudioPolicy(codecs=("opus", "PCMA", "PCMU")))
    assert names(passed) == [(111, "opus"), (8, "PCMA"), (0, "PCMU"), (101, "telephone-event")]
    assert passed[0].codec.fmtp == "useinbandfec=1;stereo=0"
    theirs = relay_offer(offer, AudioPolicy(codecs=("opus", "PCMA", "PCMU"), prefer="theirs", dtmf=False))
    assert names(theirs) == [(0, "PCMU"), (8, "PCMA"), (111, "opus")]


def test_nothing_the_other_leg_takes_is_488() -> None:
    with pytest.raises(NoCommonCodec):
        relay_offer(read_offer(PHONE, G711), AudioPolicy(codecs=("G729",)))


def test_a_static_codec_gets_its_static_number_on_the_other_leg() -> None:
    offer = read_offer(sdp("m=audio 4000 RTP/AVP 105", "a=rtpmap:105 PCMA/8000"), ANY)
    assert names(relay_offer(offer, ANY)) == [(8, "PCMA")]


def test_rfc_3264_section_8_3_2_a_number_never_changes_its_meaning_on_a_leg() -> None:
    # "the mapping from a particular dynamic payload type number to a particular codec within that media
    # stream MUST NOT change for the duration of a session"
    first = call(
        sdp("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"),
        sdp("m=audio 5000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"),
    )
    again = read_offer(sdp("m=audio 4000 RTP/AVP 96 97", "a=rtpmap:96 iLBC/8000", "a=rtpmap:97 opus/48000/2"), ANY)
    passed = relay_offer(again, ANY, first.b)
    assert ("opus", 96) in [(p.codec.name, p.number) for p in passed]
    assert len({p.number for p in passed}) == 2
    assert [p.number for p in passed if p.codec.name == "iLBC"] == [98]


def test_numbers_once_given_are_remembered_through_later_offers() -> None:
    first = call(sdp("m=audio 4000 RTP/AVP 96 0", "a=rtpmap:96 opus/48000/2"), sdp("m=audio 5000 RTP/AVP 0"))
    _, offered = make_offer(LOCAL, (PayloadType(0, Codec("PCMU")),), ANY, "sendrecv", origin(), first.b)
    b = read_answer(sdp("m=audio 5000 RTP/AVP 0"), offered)
    again = read_offer(sdp("m=audio 4000 RTP/AVP 96", "a=rtpmap:96 iLBC/8000"), ANY)
    assert names(relay_offer(again, ANY, b)) == [(97, "iLBC")]
    own = own_offer(AudioPolicy(codecs=("iLBC", "opus"), dtmf=False), b)
    assert names(own) == [(97, "iLBC"), (96, "opus")]


def test_the_offerer_is_answered_with_what_the_other_sends_first() -> None:
    c = call(PHONE, PHONE.replace(b"AVP 0 8 101", b"AVP 8 0 101"))
    assert names(c.a.codecs) == [(8, "PCMA"), (0, "PCMU")]
    assert names(c.a.dtmf) == [(101, "telephone-event")]


def test_events_and_noise_only_where_both_have_them() -> None:
    a = sdp("m=audio 4000 RTP/AVP 0 13 101", "a=rtpmap:101 telephone-event/8000")
    c = call(a, sdp("m=audio 5000 RTP/AVP 0"))
    assert names(c.a.codecs + c.a.dtmf) == [(0, "PCMU")]
    c = call(a, sdp("m=audio 5000 RTP/AVP 0 101 13", "a=rtpmap:101 telephone-event/8000"))
    assert names(c.a.codecs + c.a.dtmf) == [(0, "PCMU"), (13, "CN"), (101, "telephone-event")]


def test_the_answerers_parameters_reach_the_offerer_under_the_offerers_number() -> None:
    c = call(
        sdp("m=audio 4000 RTP/AVP 97", "a=rtpmap:97 iLBC/8000", "a=fmtp:97 mode=20"),
        sdp("m=audio 5000 RTP/AVP 107", "a=rtpmap:107 iLBC/8000", "a=fmtp:107 mode=30"),
    )
    assert c.a.codecs == (PayloadType(97, Codec("iLBC", 8000, 1, "mode=30")),)


def test_rfc_4867_section_8_a_format_must_be_symmetric_where_its_bits_depend_on_it() -> None:
    aligned = "a=rtpmap:97 AMR/8000", "a=fmtp:97 octet-align=1"
    both = sdp("m=audio 4000 RTP/AVP 96 97", "a=rtpmap:96 AMR/8000", *aligned)
    c = call(both, sdp("m=audio 5000 RTP/AVP 97", *aligned))
    assert [p.number for p in c.a.codecs] == [97]
    with pytest.raises(NoCommonCodec):
        call(sdp("m=audio 4000 RTP/AVP 97", *aligned), sdp("m=audio 5000 RTP/AVP 97", "a=rtpmap:97 AMR/8000"))
    assert codec_key(Codec("AMR")) == codec_key(Codec("amr", 8000, 1, "octet-align=0; mode-set=7"))


def test_payload_types_are_translated_by_codec() -> None:
    c = call(
        sdp(
            "m=audio 4000 RTP/AVP 111 0 101",
            "a=rtpmap:111 opus/48000/2",
            "a=rtpmap:101 telephone-event/8000",
        ),
        sdp(
            "m=audio 5000 RTP/AVP 120 0 96",
            "a=rtpmap:120 opus/48000/2",
            "a=rtpmap:96 telephone-event/8000",
        ),
    )
    # A sends with the numbers of its own offer, B wants those of its answer.
    assert payload_map(c.a, c.b) == ((111, 120), (0, 0), (101, 96))
    # B sends with the numbers that were offered to it.
    assert payload_map(c.b, c.a) == ((111, 111), (0, 0), (101, 101))


def test_what_the_sink_lacks_is_not_mapped() -> None:
    a = answer(read_offer(PHONE, G711))[1]
    b = answer(read_offer(sdp("m=audio 5000 RTP/AVP 8 0"), AudioPolicy(codecs=("PCMA",))))[1]
    assert payload_map(a, b) == ()


def test_hold_passes_from_leg_to_leg() -> None:
    held = call(PHONE.replace(b"sendrecv", b"sendonly"), PHONE.replace(b"sendrecv", b"recvonly"))
    assert (held.b.direction, held.a.direction) == ("sendonly", "recvonly")
    dead = call(PHONE.replace(b"sendrecv", b"inactive"), PHONE.replace(b"sendrecv", b"inactive"))
    assert (dead.b.direction, dead.a.direction) == ("inactive", "inactive")
    old = call(PHONE.replace(b"c=IN IP4 192.0.2.1", b"c=IN IP4 0.0.0.0"), PHONE.replace(b"sendrecv", b"recvonly"))
    assert (old.b.direction, old.a.direction) == ("sendonly", "recvonly")


def test_resuming_does_not_override_the_hold_of_the_other_side() -> None:
    resumed = call(PHONE, PHONE.replace(b"sendrecv", b"sendonly"))
    assert peer_direction(resumed.offer) == "sendrecv"
    assert resumed.a.direction == "sendonly"


@pytest.mark.parametrize(
    ("change", "concerns"),
    [
        ((b"192.0.2.1", b"192.0.2.2"), False),
        ((b"audio 4000", b"audio 4444"), False),
        ((b"101", b"96"), False),
        ((b"o=- 1 1", b"o=- 1 2"), False),
        ((b"ptime:20", b"ptime:30"), False),
        ((b"a=sendrecv", b"a=sendonly"), True),
        ((b"c=IN IP4 192.0.2.1", b"c=IN IP4 0.0.0.0"), True),
        ((b"AVP 0 8 101", b"AVP 8 101"), True),
        ((b"AVP 0 8 101", b"AVP 8 0 101"), True),
        ((b"AVP 0 8 101", b"AVP 0 8"), True),
        ((b"AVP 0 8 101", b"AVP 0 8 3 101"), True),
        ((b"0-15", b"0-11"), True),
    ],
)
def test_a_reoffer_concerns_the_other_leg_when_codecs_or_direction_change(
    change: tuple[bytes, bytes], concerns: bool
) -> None:
    again = read_offer(PHONE.replace(*change), ANY)
    assert needs_peer(call(PHONE, PHONE).a, again) == concerns
    # The same for one whose last word was an answer.
    assert needs_peer(call(PHONE, PHONE).b, again) == concerns


def test_a_local_reoffer_is_answered_from_the_legs_own_session() -> None:
    c = call(PHONE, sdp("m=audio 5000 RTP/AVP 8"))
    moved = read_offer(PHONE.replace(b"4000", b"4444"), ANY)
    assert names(relay_answer(moved, c.a)) == [(8, "PCMA")]


def test_a_session_may_not_hold_what_the_offer_lacks() -> None:
    c = call(PHONE, PHONE)
    with pytest.raises(NoCommonCodec):
        relay_answer(read_offer(sdp("m=audio 4000 RTP/AVP 18"), ANY), c.b)
