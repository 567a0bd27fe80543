"""What holds for every offer and policy: answers are subsets, legs agree, bytes are stable."""

from hypothesis import given
from hypothesis import strategies as st

from media.audio import DIRECTIONS
from media.codec import Codec, PayloadType, codec_key, is_audio
from media.commands import MediaAddress
from media.negotiate import (
    AudioPolicy,
    answer_direction,
    flipped,
    make_answer,
    make_offer,
    needs_peer,
    payload_map,
    read_answer,
    read_offer,
    relay_answer,
    relay_offer,
    relayed_direction,
)
from media.sdp import NoCommonCodec, Origin, SdpError, parse

LOCAL = MediaAddress("192.0.2.99", 20000, 20001)

CODECS = st.sampled_from(
    [
        Codec("PCMU"),
        Codec("PCMA"),
        Codec("G722"),
        Codec("G729", 8000, 1, "annexb=no"),
        Codec("opus", 48000, 2, "useinbandfec=1"),
        Codec("iLBC", 8000, 1, "mode=20"),
        Codec("L16", 16000),
        Codec("L16", 44100, 2),
        Codec("AMR", 8000, 1, "octet-align=1"),
        Codec("X-Own", 32000),
        Codec("CN"),
        Codec("telephone-event", 8000, 1, "0-16"),
        Codec("telephone-event", 48000, 1, "0-16"),
    ]
)
NUMBERS = st.one_of(st.sampled_from([0, 3, 8, 9, 13, 18]), st.integers(96, 127))
PAYLOADS = st.lists(st.builds(PayloadType, NUMBERS, CODECS), min_size=1, max_size=10, unique_by=lambda p: p.number).map(
    tuple
)
POLICIES = st.builds(
    AudioPolicy,
    codecs=st.lists(st.sampled_from(["PCMU", "PCMA", "opus", "G729", "iLBC", "L16", "amr", "*"]), max_size=5).map(
        tuple
    ),
    dtmf=st.booleans(),
    prefer=st.sampled_from(["ours", "theirs"]),
    rtcp_mux=st.booleans(),
    comfort_noise=st.booleans(),
    transcode=st.just(False),  # what transcoding adds: test_transcoding.py
)
DIRECTION = st.sampled_from(sorted(DIRECTIONS))


def written(payloads: tuple[PayloadType, ...], direction: str, others: int = 0) -> bytes:
    lines = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"]
    lines += ["m=video 5000 RTP/AVP 31"] * others
    lines.append("m=audio 4000 RTP/AVP " + " ".join(str(p.number) for p in payloads))
    for p in payloads:
        lines.append(f"a=rtpmap:{p.number} {p.codec.name}/{p.codec.clock}/{p.codec.channels}")
        if p.codec.fmtp:
            lines.append(f"a=fmtp:{p.number} {p.codec.fmtp}")
    return "".join(f"{line}\r\n" for line in [*lines, f"a={direction}"]).encode()


@given(PAYLOADS, POLICIES, POLICIES, PAYLOADS, DIRECTION, DIRECTION, st.integers(0, 3))
def test_two_legs_agree(
    a_has: tuple[PayloadType, ...],
    policy_a: AudioPolicy,
    policy_b: AudioPolicy,
    b_has: tuple[PayloadType, ...],
    direction: str,
    b_direction: str,
    others: int,
) -> None:
    origin_a, origin_b = Origin(1, 1, "-", "192.0.2.99"), Origin(2, 1, "-", "192.0.2.99")
    try:
        offer = read_offer(written(a_has, direction, others), policy_a)
        passed = relay_offer(offer, policy_b)
    except NoCommonCodec:
        return
    assert len({p.number for p in passed}) == len(passed)
    assert {codec_key(p.codec) for p in passed} <= {codec_key(p.codec) for p in a_has}
    assert is_audio(passed[0].codec)
    to_b, offered = make_offer(LOCAL, passed, policy_b, direction, origin_b)
    # B answers with what it has of it, under the numbers it was offered.
    has = {codec_key(p.codec) for p in b_has}
    taken = tuple(p for p in passed if codec_key(p.codec) in has)
    try:
        b = read_answer(written(taken, answer_direction(direction, b_direction)), offered)
    except SdpError:
        assert not any(is_audio(p.codec) for p in taken)
        return
    codecs = relay_answer(offer, b)
    to_a, a = make_answer(offer, LOCAL, codecs, relayed_direction(offer, b), origin_a)

    # RFC 3264 section 6.1: the answer holds nothing that was not offered, under the offerer's numbers.
    assert {(p.number, codec_key(p.codec)) for p in codecs} <= {(p.number, codec_key(p.codec)) for p in a_has}
    # What A may send, B understands, and the other way round.
    assert {source for source, _ in payload_map(a, b)} == {p.number for p in a.receive}
    assert {source for source, _ in payload_map(b, a)} == {p.number for p in b.receive}
    assert payload_map(a, b)[0][1] == b.codecs[0].number
    # Nobody sends to one who does not listen.
    assert flipped(a.direction) in (answer_direction(a.direction, "sendrecv"), flipped(direction), "inactive")
    assert DIRECTIONS[a.direction] & ~DIRECTIONS[flipped(direction)] == 0
    assert b.direction == flipped(a.direction)
    # Every media line is answered in its place.
    assert [m.kind for m in parse(to_a).media] == ["video"] * others + ["audio"]
    assert [bool(m.port) for m in parse(to_a).media] == [False] * others + [True]
    # The same again changes nothing.
    assert make_answer(offer, LOCAL, codecs, relayed_direction(offer, b), origin_a, a)[0] == to_a
    assert make_offer(LOCAL, passed, policy_b, direction, origin_b, b)[0] == to_b
    assert not needs_peer(a, offer)
    # A new offer of A's keeps every number of B's leg.
    for p in relay_offer(offer, policy_b, b):
        assert [q.codec for q in b.used if q.number == p.number] in ([], [p.codec])


@given(PAYLOADS, DIRECTION)
def test_what_we_write_is_what_we_read(payloads: tuple[PayloadType, ...], direction: str) -> None:
    policy = AudioPolicy(codecs=("*",), prefer="theirs")
    try:
        offer = read_offer(written(payloads, direction), policy)
    except NoCommonCodec:
        return
    body, _ = make_offer(LOCAL, offer.codecs + offer.dtmf, policy, direction, Origin(1, 1, "-", "192.0.2.99"))
    again = read_offer(body, policy)
    assert (again.codecs, again.dtmf, again.direction) == (offer.codecs, offer.dtmf, offer.direction)
    assert again.remote == LOCAL
