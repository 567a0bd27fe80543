"""Opus of one row: frames of every length, loss and redundancy, stereo, silence unsent, memory."""

from __future__ import annotations

import ctypes
import gc
import weakref

import numpy as np
import numpy.typing as npt
import pytest

from media.codecs import libopus
from media.codecs.framed import CodecError
from media.codecs.opus import RATES, OpusCodec, has_redundancy
from media.codecs.opus_parameters import OpusOptions, options

I16 = npt.NDArray[np.int16]


def voice(rate: int, seconds: float = 4.0, seed: int = 1) -> I16:
    """Something like a voice: pulses of a wandering pitch through two resonances, in syllables, with breath. (n, 20 ms
    frames)."""
    random = np.random.default_rng(seed)
    count = int(rate * seconds)
    time = np.arange(count) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * time) + 10 * np.sin(2 * np.pi * 2.3 * time)
    cycle = np.cumsum(pitch / rate)
    source = np.diff(np.floor(cycle), prepend=0.0) + random.normal(0, 0.01, count)
    spectrum = np.fft.rfft(source)
    hertz = np.fft.rfftfreq(count, 1 / rate)
    shape = sum(1 / (1 + ((hertz - middle) / width) ** 2) for middle, width in ((500, 120), (1500, 200), (2500, 300)))
    samples = np.fft.irfft(spectrum * shape, count)
    samples *= 0.3 + np.abs(np.sin(2 * np.pi * 1.5 * time))
    return np.rint(samples * 12000 / np.abs(samples).max()).astype(np.int16).reshape(-1, rate // 50)


def codec(rate: int, fmtp: str = "", bitrate: int = 0) -> OpusCodec:
    return OpusCodec(rate, options(fmtp, rate, bitrate))


# -- received and sent


@pytest.mark.parametrize("rate", RATES)
def test_frames_of_every_length_that_telephones_use(rate: int) -> None:
    opus = codec(rate)
    assert (opus.rate, opus.clock) == (rate, 48000)
    for milliseconds in (10, 20, 40, 60):
        frame = voice(rate).reshape(-1)[: rate * milliseconds // 1000]
        payload = opus.encode(frame)
        assert opus.samples(payload) == len(frame)
        assert len(opus.decode(payload)) == len(frame)


@pytest.mark.parametrize("rate", RATES)
def test_the_bit_rate_is_at_most_what_was_asked_for_and_constant_if_so_asked(rate: int) -> None:
    frames = voice(rate)
    spent = []
    for wanted in (10000, 16000, 32000):
        opus = codec(rate, "", wanted)
        spent.append(sum(len(opus.encode(frame)) for frame in frames) * 8 / (len(frames) * 0.02))
        assert 0.4 * wanted < spent[-1] < 1.05 * wanted
    assert spent == sorted(spent)
    opus = codec(rate, "cbr=1", 24000)
    assert {len(opus.encode(frame)) for frame in frames} == {60}


def test_stereo_comes_out_as_mono() -> None:
    library = libopus.library()
    failed = ctypes.c_int()
    encoder = library.opus_encoder_create(48000, 2, libopus.APPLICATION_VOIP, ctypes.addressof(failed))
    time = np.arange(960 * 50) / 48000
    left = (8000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16)
    both = np.stack((left, left), axis=1)
    opus = codec(16000)
    heard = []
    packet = np.zeros(1275, np.uint8)
    for at in range(0, len(both), 960):
        block = both[at : at + 960].copy()
        length = library.opus_encode(encoder, block.ctypes.data, 960, packet.ctypes.data, 1275)
        payload = packet[:length].tobytes()
        assert opus.samples(payload) == 320
        heard.append(opus.decode(payload).copy())
    library.opus_encoder_destroy(encoder)
    settled = np.concatenate(heard)[8000:].astype(float)
    assert np.sqrt(np.mean(settled**2)) == pytest.approx(8000 / np.sqrt(2), rel=0.06)


def test_frames_may_be_slices_of_a_larger_array_and_of_other_types() -> None:
    frame = voice(8000)[20]
    expected = codec(8000).encode(frame)
    assert codec(8000).encode(np.stack((frame, frame), axis=1)[:, 0]) == expected
    assert codec(8000).encode(frame.astype(np.int32)) == expected
    assert codec(8000).encode(voice(8000)[20:21][0]) == expected


def test_bandwidth_that_the_peer_cannot_play_is_not_sent() -> None:
    random = np.random.default_rng(1)
    opus, decoder = codec(48000, "maxplaybackrate=16000", 64000), codec(48000)
    noise = random.normal(0, 3000, (50, 960)).astype(np.int16)
    heard = np.concatenate([decoder.decode(opus.encode(frame)).copy() for frame in noise])[24000:]
    power = np.abs(np.fft.rfft(heard.astype(float))) ** 2
    hertz = np.fft.rfftfreq(len(heard), 1 / 48000)
    assert power[hertz > 9000].sum() < 0.001 * power.sum()


def test_silence_is_not_sent_when_the_peer_allows_it() -> None:
    opus = codec(8000, "usedtx=1")
    quiet = np.zeros(160, np.int16)
    sent = [opus.encode(quiet) for _ in range(100)]
    assert sent[0]
    assert sum(not payload for payload in sent) > 70
    assert all(opus.encode(frame) for frame in voice(8000)[5:8])
    steady = codec(8000)
    assert all(steady.encode(quiet) for _ in range(100))


# -- losses


def spectrum(samples: I16) -> npt.NDArray[np.float64]:
    """What an ear compares: magnitudes, not phases, which concealment guesses."""
    return np.abs(np.fft.rfft(samples * np.hanning(len(samples))))


@pytest.mark.parametrize("rate", RATES)
def test_with_every_10th_packet_lost_redundancy_beats_concealment_beats_silence(rate: int) -> None:
    frames = voice(rate)
    samples = rate // 50
    encoder = codec(rate, "useinbandfec=1")
    packets = [encoder.encode(frame) for frame in frames]
    whole, concealed, recovered = codec(rate), codec(rate), codec(rate)
    errors = np.zeros(3)
    for index, payload in enumerate(packets[:-1]):
        truth = spectrum(whole.decode(payload))
        if index % 10 != 9:
            concealed.decode(payload)
            recovered.decode(payload)
            continue
        again = recovered.recover(packets[index + 1], samples)
        heard = (concealed.conceal(samples), recovered.conceal(samples) if again is None else again)
        errors += [np.sum(truth**2), *(np.sum((truth - spectrum(frame)) ** 2) for frame in heard)]
    silence, concealment, redundancy = errors
    assert redundancy < 0.8 * concealment
    assert concealment < 0.8 * silence


@pytest.mark.parametrize("rate", RATES)
def test_redundancy_is_there_only_where_it_was_asked_for(rate: int) -> None:
    frames = voice(rate)
    plain, redundant = codec(rate), codec(rate, "useinbandfec=1")
    receiver = codec(rate)
    samples = rate // 50
    assert not any(has_redundancy(plain.encode(frame)) for frame in frames)
    packets = [redundant.encode(frame) for frame in frames]
    assert sum(map(has_redundancy, packets)) > len(packets) / 2
    for payload in packets:
        again = receiver.recover(payload, samples)
        assert (again is not None) == has_redundancy(payload)
        assert again is None or len(again) == samples
        receiver.decode(payload)


def test_redundancy_is_found_as_libopus_finds_it() -> None:
    library = libopus.library()
    library.opus_packet_has_lbrr.argtypes = [ctypes.c_char_p, ctypes.c_int32]
    seen = set()
    for rate in RATES:
        for milliseconds in (10, 20, 40, 60):
            opus = codec(rate, "useinbandfec=1", 40000)
            for frame in voice(rate).reshape(-1)[: rate * 3].reshape(-1, rate * milliseconds // 1000):
                payload = opus.encode(frame)
                assert has_redundancy(payload) == bool(library.opus_packet_has_lbrr(payload, len(payload)))
                seen.add((rate, milliseconds, has_redundancy(payload)))
    assert {(rate, milliseconds) for rate, milliseconds, there in seen if there} >= {(r, 20) for r in RATES}


@pytest.mark.parametrize(
    ("payload", "there"),
    [
        ("", False),
        ("48", False),  # no frame
        ("48c0", True),  # SILK wideband 20 ms: VAD bit, LBRR bit
        ("4880", False),
        ("4c90", True),  # stereo: VAD and LBRR of the middle, of the side
        ("4c80", False),
        ("50e0", True),  # 40 ms: two VAD bits
        ("50c0", False),
        ("58f0", True),  # 60 ms: three
        ("49c0c0", True),  # code 1: two frames of one size
        ("4a01c0c0", True),  # code 2: the first one's size
        ("4a00c0", False),  # the first is empty
        ("4afc00" + "c0" * 252, True),  # a size of two octets
        ("4b02c0c0", True),  # code 3: two frames, of one size
        ("4b8201c0c0", True),  # of sizes that vary
        ("4b4203c0c0000000", True),  # three octets of padding
        ("4b42ff01c0c0" + "00" * 255, True),  # 255 of them
        ("4b42ff", False),  # no end of the padding's size
        ("4b", False),
        ("4b00", False),  # no frames
        ("4a", False),
        ("80ff", False),  # CELT
    ],
)
def test_redundancy_in_packets_of_each_form(payload: str, there: bool) -> None:
    """RFC 6716 sections 3.2 and 4.2.3."""
    assert has_redundancy(bytes.fromhex(payload)) is there


def test_more_expected_loss_gives_more_to_redundancy() -> None:
    frames = voice(16000)
    opus = codec(16000, "useinbandfec=1", 24000)
    opus.expect_loss(0)
    assert not any(has_redundancy(opus.encode(frame)) for frame in frames)
    opus.expect_loss(200)
    assert any(has_redundancy(opus.encode(frame)) for frame in frames)


# -- refused


@pytest.mark.parametrize("payload", ["", "ff", "4b00", "4a", "ffff", "4bff" + "00" * 20])
def test_malformed_payloads_are_refused(payload: str) -> None:
    opus = codec(8000)
    data = bytes.fromhex(payload)
    with pytest.raises(CodecError, match="Opus payload"):
        opus.decode(data)
    assert len(opus.decode(opus.encode(voice(8000)[9]))) == 160


@pytest.mark.parametrize("payload", ["", "4b00", "4bff"])
def test_a_malformed_payload_has_no_samples(payload: str) -> None:
    assert codec(8000).samples(bytes.fromhex(payload)) == -1


def test_our_own_mistakes_are_told_as_such() -> None:
    with pytest.raises(ValueError, match="8000, 16000 or 48000"):
        OpusCodec(11025, OpusOptions(16000))
    opus = codec(8000)
    with pytest.raises(ValueError, match="no frame of 161"):
        opus.encode(np.zeros(161, np.int16))
    for samples in (0, -160, 161, 961):
        with pytest.raises(ValueError, match="no packet of"):
            opus.conceal(samples)
    with pytest.raises(ValueError, match="takes no 11"):
        OpusCodec(8000, OpusOptions(16000, complexity=11))


# -- memory


def test_close_may_come_twice_and_nothing_works_afterwards() -> None:
    opus = codec(8000)
    payload = opus.encode(voice(8000)[9])
    opus.close()
    opus.close()
    for call in (
        lambda: opus.decode(payload),
        lambda: opus.encode(voice(8000)[9]),
        lambda: opus.conceal(160),
        lambda: opus.expect_loss(3),
    ):
        with pytest.raises(CodecError, match="closed"):
            call()


def test_native_memory_goes_with_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    library = libopus.library()
    freed = []
    for name in ("opus_encoder_destroy", "opus_decoder_destroy"):
        destroy = getattr(library, name)
        monkeypatch.setattr(library, name, lambda state, destroy=destroy: freed.append(state) or destroy(state))
    opus = codec(8000)
    states = [opus._encoder, opus._decoder]
    alive = weakref.ref(opus)
    del opus
    gc.collect()
    assert alive() is None
    assert [state for state in freed if state in states] == states
    freed.clear()
    opus = codec(8000)
    states = [opus._encoder, opus._decoder]
    opus.close()
    del opus
    gc.collect()
    assert [state for state in freed if state in states] == states


def test_libopus_is_one_that_has_been_seen_to_work() -> None:
    assert libopus.available()
    assert libopus.version().startswith("libopus 1.")


def test_a_missing_library_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    libopus.library.cache_clear()
    monkeypatch.setattr(libopus, "_bundled", list)
    monkeypatch.setattr(libopus, "SYSTEM", ("libopus-that-is-not-there.so",))
    try:
        assert not libopus.available()
        with pytest.raises(CodecError, match="install"):
            codec(8000)
    finally:
        libopus.library.cache_clear()
