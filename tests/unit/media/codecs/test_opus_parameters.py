"""Opus in SDP: RFC 7587 section 6.1, from `a=fmtp` to an encoder, and ours."""

from __future__ import annotations

import pytest

from media.codecs.opus_parameters import BITRATES, COMPLEXITY, OpusOptions, fmtp, options


def test_without_parameters_the_defaults_of_the_rate_hold() -> None:
    for rate, (plain, redundant) in BITRATES.items():
        assert options("", rate) == OpusOptions(plain, bandwidth=rate)
        assert options("useinbandfec=1", rate) == OpusOptions(redundant, bandwidth=rate, fec=True)


def test_every_parameter_of_the_rfc() -> None:
    """RFC 7587 section 7.1 has examples alike."""
    asked = options(
        "maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000; stereo=1; useinbandfec=1; "
        "usedtx=1; cbr=1; ptime=40; minptime=10",
        48000,
    )
    assert asked == OpusOptions(
        20000, bandwidth=16000, fec=True, dtx=True, cbr=True, stereo=True, ptime=40, minptime=10
    )


def test_the_peers_limits_only_ever_lower() -> None:
    assert options("maxaveragebitrate=510000;maxplaybackrate=48000", 8000) == OpusOptions(
        BITRATES[8000][0], bandwidth=8000
    )
    assert options("maxaveragebitrate=20000", 16000, bitrate=30000).bitrate == 20000
    assert options("maxaveragebitrate=40000", 16000, bitrate=30000).bitrate == 30000
    assert options("", 16000, complexity=9).complexity == 9 != COMPLEXITY


@pytest.mark.parametrize(
    "text",
    [
        "maxaveragebitrate=5999",
        "maxaveragebitrate=510001",
        "maxaveragebitrate=-1",
        "maxaveragebitrate=\u0661\u0666\u0660\u0660\u0660",
        "maxaveragebitrate=99999999999999999999",
        "maxplaybackrate=7999",
        "maxplaybackrate=many",
        "ptime=0",
        "ptime=121;minptime=2",
        "useinbandfec;usedtx=yes;stereo=;cbr=0",
        ";;=;==1",
    ],
)
def test_values_that_make_no_sense_count_as_not_written(text: str) -> None:
    assert options(text, 16000) == options("", 16000)


def test_ours_says_what_differs_from_the_defaults() -> None:
    assert fmtp(48000) == "useinbandfec=1"
    assert fmtp(48000, fec=False) == ""
    assert fmtp(16000) == "maxplaybackrate=16000;sprop-maxcapturerate=16000;useinbandfec=1"
    assert (
        fmtp(8000, dtx=True, bitrate=12000)
        == "maxplaybackrate=8000;sprop-maxcapturerate=8000;maxaveragebitrate=12000;useinbandfec=1;usedtx=1"
    )


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_ours_reads_as_it_was_meant(rate: int) -> None:
    assert options(fmtp(rate, dtx=True, bitrate=14000), 48000) == OpusOptions(14000, bandwidth=rate, fec=True, dtx=True)
