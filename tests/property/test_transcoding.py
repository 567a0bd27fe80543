"""What holds for every two policies and telephones where transcoding may be allowed."""

from hypothesis import given
from hypothesis import strategies as st

from media.choice import ranked
from media.codec import TRANSCODABLE, PayloadType, codec_key, is_audio, transcodable
from media.commands import MediaAddress
from media.negotiate import (
    AudioPolicy,
    make_answer,
    make_offer,
    needs_peer,
    read_answer,
    read_offer,
    relay_answer,
    relay_offer,
    relays,
    shares_codec,
    transcodes,
)
from media.sdp import NoCommonCodec, Origin, SdpError
from tests.property.test_sdp import PAYLOADS, written

LOCAL = MediaAddress("192.0.2.99", 20000, 20001)
DIGITS = st.sampled_from(["auto", "rfc4733", "info", "inband"])


@st.composite
def policies(draw: st.DrawFn) -> AudioPolicy:
    names = ["PCMU", "PCMA", "G722", "opus", "G729", "iLBC", "L16", "amr", "*"]
    digits = draw(DIGITS)
    return AudioPolicy(
        codecs=tuple(draw(st.lists(st.sampled_from(names), max_size=5))),
        dtmf=digits in ("auto", "rfc4733"),
        digits=digits,
        prefer=draw(st.sampled_from(["ours", "theirs"])),
        comfort_noise=draw(st.booleans()),
        transcode=draw(st.booleans()),
    )


def takes(policy: AudioPolicy) -> bool:
    """Whether a policy takes something that the engine can encode."""
    return bool(ranked(tuple(PayloadType(n, codec) for n, codec in enumerate(TRANSCODABLE)), policy))


@given(PAYLOADS, policies(), policies(), PAYLOADS)
def test_a_call_is_refused_only_where_nothing_is_common_and_nothing_can_be_transcoded(
    a_has: tuple[PayloadType, ...], policy_a: AudioPolicy, policy_b: AudioPolicy, b_has: tuple[PayloadType, ...]
) -> None:
    try:
        offer = read_offer(written(a_has, "sendrecv"), policy_a)
    except NoCommonCodec:
        return
    allowed = policy_a.transcode and policy_b.transcode
    able = allowed and takes(policy_b) and any(transcodable(p.codec) for p in offer.codecs)
    try:
        passed = relay_offer(offer, policy_b)
    except NoCommonCodec:
        assert not able
        assert not shares_codec(offer, policy_b)
        return
    assert able or shares_codec(offer, policy_b)
    assert is_audio(passed[0].codec)
    assert len({p.number for p in passed}) == len(passed)
    assert all(0 <= p.number <= 127 for p in passed)
    # Everything offered to B its policy takes, and comes of what A offered or can be made of it.
    ours = {codec_key(p.codec) for p in offer.codecs}
    voice = tuple(p for p in passed if is_audio(p.codec))
    assert {codec_key(p.codec) for p in ranked(voice, policy_b)} == {codec_key(p.codec) for p in voice}
    common = [codec_key(p.codec) in ours for p in voice]
    assert sorted(common, reverse=True) == common, "what A has comes first"
    assert all(codec_key(p.codec) in ours or (allowed and transcodable(p.codec)) for p in voice)
    # Telephone-events are at clocks of the audio offered, each once.
    if allowed:
        clocks = [p.codec.clock for p in passed if p.codec.name == "telephone-event"]
        assert len(set(clocks)) == len(clocks)
        assert set(clocks) <= {p.codec.clock for p in (*voice, *offer.dtmf)}
        assert not clocks or policy_b.dtmf

    _, offered = make_offer(LOCAL, passed, policy_b, "sendrecv", Origin(1, 1, "-", "192.0.2.99"))
    has = {codec_key(p.codec) for p in b_has}
    taken = tuple(p for p in passed if codec_key(p.codec) in has)
    try:
        b = read_answer(written(taken, "sendrecv"), offered)
    except SdpError:
        return
    codecs = relay_answer(offer, b, policy_b)

    # RFC 3264 6.1: the answer names only what was offered, under the offerer's numbers.
    assert {(p.number, codec_key(p.codec)) for p in codecs} <= {(p.number, codec_key(p.codec)) for p in a_has}
    assert is_audio(codecs[0].codec)
    assert relays(codecs, b) or transcodes(codecs, b.codecs)
    _, a = make_answer(offer, LOCAL, codecs, "sendrecv", Origin(2, 1, "-", "192.0.2.99"))
    assert not needs_peer(a, offer)
    # A repeated offer is answered from the leg's own session, with the same.
    assert {p.number for p in relay_answer(offer, a)} == {p.number for p in codecs}
    # Any new offer to B keeps every number that has had a meaning there.
    for p in relay_offer(offer, policy_b, b):
        assert [codec_key(q.codec) for q in b.used if q.number == p.number] in ([], [codec_key(p.codec)])
