"""What codecs there are."""

from __future__ import annotations

import pytest

from media.codecs import CodecError, can_transcode, framed, libopus, table, traits


@pytest.mark.parametrize(
    ("name", "clock", "kind", "rate"),
    [
        ("PCMU", 8000, "table", 8000),
        ("pcma", 8000, "table", 8000),
        ("L16", 8000, "table", 8000),
        ("L16", 16000, "framed", 16000),
        ("G722", 8000, "framed", 16000),
        ("opus", 48000, "framed", 48000),
        ("OPUS", 48000, "framed", 48000),
    ],
)
def test_codecs_that_can_be_transcoded(name: str, clock: int, kind: str, rate: int) -> None:
    assert can_transcode(name, clock)
    found = traits(name, clock)
    assert found is not None
    assert (found.kind, found.rate, found.clock) == (kind, rate, clock)
    if kind == "table":
        assert found.name in table.OCTETS
    else:
        codec = framed(name, 8000)
        assert codec.clock == clock
        codec.close()


@pytest.mark.parametrize(
    ("name", "clock"), [("G729", 8000), ("PCMU", 16000), ("G722", 16000), ("opus", 8000), ("L16", 44100), ("", 0)]
)
def test_others_can_not(name: str, clock: int) -> None:
    assert traits(name, clock) is None
    assert not can_transcode(name, clock)


def test_comfort_noise_is_known_and_carries_no_voice() -> None:
    found = traits("CN", 8000)
    assert found is not None
    assert found.kind == "noise"
    assert not can_transcode("CN", 8000)


def test_without_libopus_only_opus_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    libopus.library.cache_clear()
    monkeypatch.setattr(libopus, "_bundled", list)
    monkeypatch.setattr(libopus, "SYSTEM", ())
    try:
        assert not can_transcode("opus", 48000)
        assert can_transcode("G722", 8000)
        with pytest.raises(CodecError, match="libopus is not found"):
            framed("opus", 8000)
    finally:
        libopus.library.cache_clear()


@pytest.mark.parametrize(
    ("name", "rate", "why"),
    [("PCMU", 8000, "no codec with memory"), ("opus", 44100, "44100"), ("G722", 48000, "48000")],
)
def test_what_cannot_be_made_is_our_mistake(name: str, rate: int, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        framed(name, rate)


def test_parameters_of_the_peer_reach_the_encoder() -> None:
    codec = framed("opus", 16000, "useinbandfec=1;maxaveragebitrate=20000")
    assert (codec.options.fec, codec.options.bitrate) == (True, 20000)


def test_impairments_are_those_of_the_sources() -> None:
    """ITU-T G.113 Appendix I for G.711; the rest brought to the scale of G.107 (media/codecs/__init__.py)."""

    def narrow(wide_ie: float, wide_bpl: float, perfect: float) -> tuple[float, float]:
        scale = perfect / 100
        ie = 93.2 - (perfect - wide_ie) / scale
        return round(ie, 1), round(wide_bpl * scale * (95 - ie) / (95 - wide_ie), 1)

    figures = {name: (codec.ie, codec.bpl) for name, clock in NAMES if (codec := traits(name, clock))}
    assert figures["PCMU"] == figures["PCMA"] == figures["L16"] == (0.0, 25.1)
    assert figures["G722"] == narrow(13, 4.9, 129)
    assert figures["opus"] == narrow(20.2, 11.28, 148)


NAMES = (("PCMU", 8000), ("PCMA", 8000), ("L16", 16000), ("G722", 8000), ("opus", 48000))
