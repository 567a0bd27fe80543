"""A tone is as loud after each codec as before, at every rate the codec runs at."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from media.codecs import framed, table


def tone(rate: int, seconds: float = 1.0, hertz: float = 1000.0, amplitude: float = 8000.0) -> npt.NDArray[np.int16]:
    return np.rint(amplitude * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def level(samples: npt.NDArray[np.int16], rate: int, hertz: float = 1000.0) -> float:
    """dB of the part of `samples` that is at `hertz`; whole periods of it."""
    turns = np.exp(-2j * np.pi * hertz * np.arange(len(samples)) / rate)
    return float(20 * np.log10(2 * abs(np.mean(samples * turns)) + 1e-9))


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "L16"])
@pytest.mark.parametrize("amplitude", [30000.0, 8000.0, 500.0])
def test_a_tone_through_a_table_codec(name: str, amplitude: float) -> None:
    sent = tone(8000, amplitude=amplitude)
    heard = table.decode(name, table.encode(name, sent[None]))[0]
    assert level(heard, 8000) == pytest.approx(level(sent, 8000), abs=0.3)


@pytest.mark.parametrize(
    ("name", "rate"), [("G722", 8000), ("G722", 16000), ("opus", 8000), ("opus", 16000), ("opus", 48000)]
)
@pytest.mark.parametrize("fmtp", ["", "useinbandfec=1"])
def test_a_tone_through_a_framed_codec(name: str, rate: int, fmtp: str) -> None:
    codec = framed(name, rate, fmtp)
    assert codec.rate == rate
    sent = tone(rate, seconds=2.0)
    heard = []
    for frame in sent.reshape(100, rate // 50):
        payload = codec.encode(frame)
        assert codec.samples(payload) == rate // 50
        decoded = codec.decode(payload)
        assert decoded.shape == (rate // 50,)
        assert decoded.dtype == np.int16
        heard.append(decoded.copy())
    codec.close()
    settled = np.concatenate(heard)[rate:]
    assert level(settled, rate) == pytest.approx(level(sent, rate), abs=0.5)


@pytest.mark.parametrize(("name", "hertz"), [("G722", 6000.0), ("opus", 6000.0)])
def test_wideband_is_more_than_a_telephones_band(name: str, hertz: float) -> None:
    codec = framed(name, 16000)
    sent = tone(16000, hertz=hertz)
    heard = np.concatenate([codec.decode(codec.encode(frame)).copy() for frame in sent.reshape(50, 320)])
    assert level(heard[8000:], 16000, hertz) == pytest.approx(level(sent, 16000, hertz), abs=1.5)


@pytest.mark.parametrize("name", ["G722", "opus"])
@pytest.mark.parametrize(("sending", "receiving"), [(8000, 16000), (16000, 8000)])
def test_ends_at_different_rates_understand_each_other(name: str, sending: int, receiving: int) -> None:
    encoder, decoder = framed(name, sending), framed(name, receiving)
    heard = [decoder.decode(encoder.encode(f)).copy() for f in tone(sending).reshape(50, sending // 50)]
    settled = np.concatenate(heard)[receiving // 2 :]
    assert level(settled, receiving) == pytest.approx(20 * np.log10(8000), abs=0.5)
