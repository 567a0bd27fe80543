"""Tones are what the tables say: frequencies by Goertzel, cadences by their envelope, levels, no clicks."""

from __future__ import annotations

import numpy as np
import pytest

from media import tones
from media.playable import I16, SourceError
from media.tone_table import COMMON, COUNTRIES
from tests.sounds import everything, level, power_at

# Written out by hand from ITU-T E.180 supplement 2 and BT SIN 350, not read from the module's table:
# (country, tone, frequencies, [on, off, on, off...] in ms); no cadence: it lasts.
KNOWN = [
    ("us", "dial", (350, 440), []),
    ("us", "ringback", (440, 480), [2000, 4000]),
    ("us", "busy", (480, 620), [500, 500]),
    ("us", "congestion", (480, 620), [250, 250]),
    ("uk", "dial", (350, 440), []),
    ("uk", "ringback", (400, 450), [400, 200, 400, 2000]),
    ("uk", "busy", (400,), [375, 375]),
    ("gb", "congestion", (400,), [400, 350, 225, 525]),
    ("de", "dial", (425,), []),
    ("de", "ringback", (425,), [1000, 4000]),
    ("de", "busy", (425,), [480, 480]),
    ("de", "congestion", (425,), [240, 240]),
    ("fr", "dial", (440,), []),
    ("fr", "ringback", (440,), [1500, 3500]),
    ("fr", "busy", (440,), [500, 500]),
    ("it", "dial", (425,), [200, 200, 600, 1000]),
    ("it", "congestion", (425,), [200, 200]),
    ("es", "ringback", (425,), [1500, 3000]),
    ("es", "busy", (425,), [200, 200]),
    ("es", "congestion", (425,), [200, 200, 200, 200, 200, 600]),
    ("nl", "ringback", (425,), [1000, 4000]),
    ("nl", "congestion", (425,), [250, 250]),
    ("ch", "busy", (425,), [500, 500]),
    ("ch", "congestion", (425,), [200, 200]),
    ("at", "ringback", (420,), [1000, 5000]),
    ("at", "busy", (420,), [400, 400]),
    ("se", "ringback", (425,), [1000, 5000]),
    ("se", "busy", (425,), [250, 250]),
    ("pl", "ringback", (425,), [1000, 4000]),
    ("au", "busy", (425,), [375, 375]),
    ("au", "ringback", (413, 438), [400, 200, 400, 2000]),
    ("jp", "dial", (400,), []),
    ("jp", "busy", (400,), [500, 500]),
    ("br", "busy", (425,), [250, 250]),
    ("br", "congestion", (425,), [250, 250, 750, 250]),
    ("in", "busy", (400,), [750, 750]),
    ("za", "busy", (400,), [500, 500]),
    ("il", "ringback", (400,), [1000, 3000]),
    ("ru", "busy", (425,), [350, 350]),
    ("ru", "congestion", (425,), [175, 175]),
    ("us", "howler", (1400, 2060, 2450, 2600), [100, 100]),
    ("de", "record", (1400,), [500, 14500]),
]


def sounding(samples: I16, rate: int) -> list[int]:
    """Milliseconds of sound and of silence in turn, from the energy of 1 ms blocks (edges are 5 ms ramps)."""
    blocks = np.abs(samples[: len(samples) // (rate // 1000) * (rate // 1000)].astype(np.int32))
    loud = blocks.reshape(-1, rate // 1000).max(axis=1) > 0
    # A frequency pair may cancel for some ms within a burst.
    runs: list[int] = []
    last = None
    for here in loud:
        if here == last:
            runs[-1] += 1
        else:
            runs.append(1)
            last = here
    return runs


@pytest.mark.parametrize(("country", "name", "frequencies", "cadence"), KNOWN)
@pytest.mark.parametrize("rate", [8000, 16000])
def test_frequencies_and_cadence(
    country: str, name: str, frequencies: tuple[int, ...], cadence: list[int], rate: int
) -> None:
    samples = tones.tone_samples(name, country, rate)
    if not cadence:
        assert len(samples.loop) == rate
        burst = samples.loop
    else:
        assert len(samples.loop) == sum(cadence) * rate // 1000
        measured = sounding(samples.loop, rate)
        assert len(measured) == len(cadence)
        assert np.allclose(measured, cadence, atol=2)
        burst = samples.loop[: cadence[0] * rate // 1000]
        # Silence is silence.
        assert not samples.loop[cadence[0] * rate // 1000 : (cadence[0] + cadence[1]) * rate // 1000].any()
    inner = burst[rate // 100 : -(rate // 100)]
    wanted = -16.0 if name == "record" else -10.0
    assert level(inner) == pytest.approx(wanted, abs=0.8)
    each = wanted - 10 * np.log10(len(frequencies))
    for frequency in frequencies:
        assert power_at(inner, frequency, rate) == pytest.approx(each, abs=1.5)
    for other in (300, 700, 1100, 1900, 3000):
        assert power_at(inner, other, rate) < -30


def test_special_information_tone() -> None:
    """E.180: "three successive tones of 950, 1400 and 1800 Hz, 330 ms each, silence of 1 s"."""
    loop = tones.tone_samples("special-information", "de", 8000).loop
    assert len(loop) == 8 * 1990
    for place, frequency in enumerate((950, 1400, 1800)):
        burst = loop[place * 2640 + 80 : (place + 1) * 2640 - 80]
        assert power_at(burst, frequency, 8000) == pytest.approx(-10, abs=0.2)
        others = [other for other in (950, 1400, 1800) if other != frequency]
        assert all(power_at(burst, other, 8000) < -35 for other in others)
    assert not loop[3 * 2640 :].any()
    once = tones.tone_samples("sit", "us", 8000)
    assert (len(once.intro), len(once.loop)) == (3 * 2640, 0)


def test_modulated_tone_has_its_side_bands() -> None:
    loop = tones.tone_samples("dial", "in", 8000).loop
    carrier = power_at(loop, 400, 8000)
    for side in (375, 425):
        assert power_at(loop, side, 8000) == pytest.approx(carrier + 20 * np.log10(0.45), abs=0.1)
    assert level(loop) == pytest.approx(-10, abs=0.1)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("country", sorted(COUNTRIES))
def test_every_tone_of_every_country_loops_without_a_click(country: str, rate: int) -> None:
    for name in COMMON:
        samples = tones.tone_samples(name, country, rate)
        cadence = tones.cadence(name, country)
        bursts = cadence.once + cadence.repeated
        fastest = max(sum(burst.frequencies) for burst in bursts)
        # A sine of amplitude a moves at most a * 2 pi f / rate in a sample; ramps add the amplitude over 5 ms.
        step = 16000 * (2 * np.pi * fastest / rate + np.pi / 2 / (0.005 * rate)) + 2
        heard = np.concatenate(([0], samples.intro, samples.loop, samples.loop[:rate]))
        assert np.abs(np.diff(heard.astype(np.int32))).max() <= step
        assert len(samples.intro) + len(samples.loop) > 0
        # Each begins and ends softly.
        assert abs(int((samples.intro if len(samples.intro) else samples.loop)[0])) < 200
        if cadence.repeated and cadence.repeated[0].ms is None:
            # What lasts joins itself: the next sample of the sine is the first one.
            wave = samples.loop.astype(np.float64)
            bend = np.abs(np.diff(np.concatenate((wave, wave[:2])), 2))
            assert bend[-2:].max() <= bend[:-2].max() + 2


@pytest.mark.parametrize("rate", [8000, 48000])
@pytest.mark.parametrize("digit", list("0123456789*#ABCD"))
def test_dtmf(digit: str, rate: int) -> None:
    rows = {"1": 697, "2": 697, "3": 697, "A": 697, "4": 770, "5": 770, "6": 770, "B": 770}
    rows |= {"7": 852, "8": 852, "9": 852, "C": 852, "*": 941, "0": 941, "#": 941, "D": 941}
    columns = {"1": 1209, "4": 1209, "7": 1209, "*": 1209, "2": 1336, "5": 1336, "8": 1336, "0": 1336}
    columns |= {"3": 1477, "6": 1477, "9": 1477, "#": 1477, "A": 1633, "B": 1633, "C": 1633, "D": 1633}
    samples = tones.dtmf(digit, 100, rate)
    assert len(samples) == rate // 10
    inner = samples[rate // 100 : -(rate // 100)]
    assert power_at(inner, rows[digit], rate) == pytest.approx(-11, abs=0.5)
    assert power_at(inner, columns[digit], rate) == pytest.approx(-9, abs=0.5)
    wrong = [f for f in (697, 770, 852, 941, 1209, 1336, 1477, 1633) if f not in (rows[digit], columns[digit])]
    assert all(power_at(inner, frequency, rate) < -25 for frequency in wrong)


def test_dtmf_as_a_tone() -> None:
    samples = tones.tone_samples("dtmf:12", "us", 8000)
    assert len(samples.loop) == 0
    assert len(samples.intro) == 8 * (100 + 60 + 100)
    assert not samples.intro[800:1280].any()
    assert np.array_equal(samples.intro[1280:], tones.dtmf("2", 100, 8000))


@pytest.mark.parametrize("name", ["dtmf:", "dtmf:12x", "dtmf:" + "1" * 65, "nothing", ""])
def test_unknown_tones_say_what_there_is(name: str) -> None:
    with pytest.raises(SourceError, match=r"dtmf|DTMF"):
        tones.tone_samples(name, "us", 8000)


def test_unknown_country_says_what_there_is() -> None:
    with pytest.raises(SourceError, match=r"'xx'.*\bus\b"):
        tones.cadence("dial", "xx")


@pytest.mark.parametrize("name", ["Ringing", "ring", "call_waiting", "Call Waiting", "SIT", "reorder"])
def test_other_names(name: str) -> None:
    assert tones.cadence(name, "DE").repeated


@pytest.mark.parametrize("text", ["", "|", "440:", "abc", "440 440", "440 | 440", "440:100 440", "1+:20"])
def test_broken_cadences_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        tones.parse(text)


def test_all_cadences_parse() -> None:
    texts = [*COMMON.values(), *(text for table in COUNTRIES.values() for text in table.values())]
    for text in texts:
        cadence = tones.parse(text)
        assert all(burst.ms is None or burst.ms > 0 for burst in cadence.once + cadence.repeated)
    for table in COUNTRIES.values():
        assert set(table) <= set(COMMON)


def test_limited_tone_is_cut_softly() -> None:
    samples = tones.tone_samples("dial", "us", 8000)
    tone = tones.tone(samples, 8000, seconds=1.23)
    heard = everything(tone, 160)
    assert len(heard) == 9840
    assert abs(int(heard[-1])) < 300
    assert np.array_equal(heard[:8000], samples.intro)
    assert tone.ended
    # One that is over before is not drawn out.
    beep = tones.tone_samples("beep", "us", 8000)
    assert len(everything(tones.tone(beep, 8000, seconds=10.0))) == 2000


def test_endless_tone_goes_on() -> None:
    samples = tones.tone_samples("busy", "uk", 8000)
    tone = tones.tone(samples, 8000)
    heard = np.concatenate([tone.read(160) for _ in range(200)])
    assert np.array_equal(heard, np.resize(samples.loop, 32000))
    assert not tone.ended
    assert tone.at_seconds == pytest.approx(4.0)
    later = tones.tone(samples, 8000, start=0.5)
    assert np.array_equal(later.read(1000), heard[4000:5000])
