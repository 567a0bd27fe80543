"""Whatever is in a payload: it is decoded or refused, and the codec goes on."""

from __future__ import annotations

import contextlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from media.codecs import framed, table
from media.codecs.comfort_noise import NoiseSource, build, parse
from media.codecs.framed import CodecError, FramedCodec
from media.codecs.opus import has_redundancy
from media.codecs.opus_parameters import BITRATES, options

# One of each for all examples: what an example leaves behind is what the next one meets.
CODECS: list[FramedCodec] = [
    *(framed("G722", rate) for rate in (8000, 16000)),
    *(framed("opus", rate, "useinbandfec=1;usedtx=1") for rate in (8000, 16000, 48000)),
]
# Any octets, and packets of Opus that are right in their first ones.
payload = st.one_of(
    st.binary(max_size=1500),
    st.tuples(st.integers(0, 255), st.integers(0, 255), st.binary(max_size=200)).map(
        lambda parts: bytes(parts[:2]) + parts[2]
    ),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CODECS), st.lists(st.tuples(payload, st.sampled_from("dcr")), max_size=8))
def test_payloads_are_decoded_or_refused(codec: FramedCodec, packets: list[tuple[bytes, str]]) -> None:
    frame = codec.rate // 50
    for data, what in packets:
        samples = codec.samples(data)
        assert samples == -1 or 0 < samples <= codec.rate * 0.24
        with contextlib.suppress(CodecError):
            if what == "d":
                assert len(codec.decode(data)) == samples
            elif what == "c":
                concealed = codec.conceal(frame)
                assert concealed is None or len(concealed) == frame
            else:
                recovered = codec.recover(data, frame)
                assert recovered is None or len(recovered) == frame


@settings(max_examples=300, deadline=None)
@given(payload)
def test_a_look_for_redundancy_always_ends_in_an_answer(data: bytes) -> None:
    assert has_redundancy(data) in (True, False)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(CODECS), st.integers(0, 2**32 - 1), st.integers(0, 40000))
def test_any_samples_are_encoded_to_what_can_be_decoded(codec: FramedCodec, seed: int, loudness: int) -> None:
    random = np.random.default_rng(seed)
    frame = random.normal(0, loudness, codec.rate // 50).clip(-32768, 32767).astype(np.int16)
    encoded = codec.encode(frame)
    if encoded:
        assert len(codec.decode(encoded)) == codec.samples(encoded) == len(frame)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["PCMU", "PCMA", "L16"]), st.binary(max_size=400))
def test_table_codecs_take_any_octets(name: str, data: bytes) -> None:
    octets = np.frombuffer(data, np.uint8)[None, : len(data) // 2 * 2]
    frames = table.decode(name, octets)
    assert frames.shape == (1, octets.shape[1] // table.OCTETS[name])
    assert np.array_equal(table.decode(name, table.encode(name, frames)), frames)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_comfort_noise_of_any_payload_is_noise(data: bytes) -> None:
    try:
        noise = parse(data)
    except CodecError:
        assert not data
        return
    source = NoiseSource(np.random.default_rng(1))
    source.set(0, noise)
    frame = source.generate(np.array([0]), 160)
    assert frame.shape == (1, 160)
    assert parse(build(frame[0])).reflection == ()


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(
            st.tuples(
                st.sampled_from(["maxaveragebitrate", "maxplaybackrate", "useinbandfec", "cbr", "ptime"]),
                st.one_of(st.integers().map(str), st.text(max_size=6)),
            )
        ).map(lambda pairs: ";".join(f"{name}={value}" for name, value in pairs)),
    ),
    st.sampled_from(sorted(BITRATES)),
)
def test_any_parameters_make_an_encoder(fmtp: str, rate: int) -> None:
    asked = options(fmtp, rate)
    assert 6000 <= asked.bitrate <= 40000
    assert 8000 <= asked.bandwidth <= rate
    framed("opus", rate, fmtp).close()
