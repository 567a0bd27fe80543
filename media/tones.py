"""Call progress tones and DTMF, synthesised. Pure.

A burst begins at phase 0 and runs on without a break; its first and last 5 ms rise and fall as a raised cosine, so that
it does not click. What lasts is one second that joins itself: whole cycles, as frequencies are whole Hz.

Levels (ITU-T E.180/Q.35: -10 dBm0, 5 dB either way) are of a whole burst, however many frequencies are in it; a
full-scale sine is +3.14 dBm0 (ITU-T G.711). What is mixed with a talk is softer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from media.playable import EMPTY, I16, LoopedSound, SourceError, frozen
from media.tone_table import ALIASES, COMMON, COUNTRIES

FULL_SCALE_DBM0 = 3.14
LEVEL_DBM0 = -10.0
SOFT_DBM0 = -16.0
SOFT = {"call-waiting", "record"}
MODULATION = 0.9  # depth of `f*m`
RAMP_SECONDS = 0.005

DTMF_MS = 100
DTMF_GAP_MS = 60
MAX_DTMF = 64  # digits of one tone
# ITU-T Q.23: a row's frequency (low group) and a column's. Q.24: the high group is sent somewhat louder, as lines lose
# more of it.
DTMF_ROWS = (697, 770, 852, 941)
DTMF_COLUMNS = (1209, 1336, 1477, 1633)
DTMF_KEYS = "123A456B789C*0#D"
DTMF_LOW_DBM0 = -11.0
DTMF_HIGH_DBM0 = -9.0

_BURST = re.compile(r"(?P<frequencies>\d+(?:[+*]\d+)*)(?::(?P<ms>\d+))?")
_F64 = npt.NDArray[np.float64]


class Burst(NamedTuple):
    """Frequencies in Hz that sound together ((): silence), modulated by `modulated` Hz (0: not), for `ms` (None: for
    ever)."""

    frequencies: tuple[int, ...]
    ms: int | None
    modulated: int = 0


class Cadence(NamedTuple):
    once: tuple[Burst, ...]
    repeated: tuple[Burst, ...]


class ToneSamples(NamedTuple):
    """`intro` is heard once, then `loop` for ever; an empty loop ends it."""

    intro: I16
    loop: I16


def parse(text: str) -> Cadence:
    """A cadence as `media.tone_table` writes it. ValueError."""
    once, _, repeated = text.rpartition("|")
    cadence = Cadence(_bursts(once), _bursts(repeated))
    bursts = cadence.once + cadence.repeated
    lasting = sum(burst.ms is None for burst in bursts)
    if not bursts or lasting > (len(cadence.repeated) == 1 and cadence.repeated[0].ms is None):
        raise ValueError(f"{text!r}: expected bursts with milliseconds, or one lasting burst at the end")
    return cadence


def _bursts(text: str) -> tuple[Burst, ...]:
    return tuple(_burst(word) for word in text.split())


def _burst(word: str) -> Burst:
    match = _BURST.fullmatch(word)
    if match is None:
        raise ValueError(f"{word!r}: expected frequencies:milliseconds, as 350+440:500")
    ms = None if match["ms"] is None else int(match["ms"])
    carrier, _, modulated = match["frequencies"].partition("*")
    frequencies = tuple(int(frequency) for frequency in carrier.split("+"))
    return Burst(() if frequencies == (0,) else frequencies, ms, int(modulated or 0))


def names() -> list[str]:
    return sorted(COMMON)


def countries() -> list[str]:
    return sorted([*COUNTRIES, "uk"])


def is_country(code: str) -> bool:
    return code == "uk" or code in COUNTRIES


def tone_name(name: str) -> str:
    """The name in the table. SourceError when there is no such tone."""
    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    plain = ALIASES.get(plain, plain)
    if plain not in COMMON:
        raise SourceError(f"tone {name!r} is not known: one of {', '.join(names())}, or dtmf: and digits")
    return plain


def cadence(name: str, country: str) -> Cadence:
    """The cadence of a tone in a country (ISO 3166, any case). SourceError."""
    code = country.strip().lower()
    if not is_country(code):
        raise SourceError(f"tones of {country!r} are not known: one of {', '.join(countries())}")
    plain = tone_name(name)
    return parse(COUNTRIES["gb" if code == "uk" else code].get(plain, COMMON[plain]))


# ---- synthesis


def amplitude(dbm0: float) -> float:
    """Peak of a sine at this level, int16 units."""
    return float(32768.0 * 10.0 ** ((dbm0 - FULL_SCALE_DBM0) / 20.0))


def synthesise(cadence: Cadence, rate: int, dbm0: float = LEVEL_DBM0) -> ToneSamples:
    """What is repeated must be made of whole samples, as with milliseconds it is at 8, 16 and 48 kHz."""
    intro = [_sound(burst, rate, dbm0) for burst in cadence.once]
    if not cadence.repeated:
        return ToneSamples(frozen(_joined(intro)), EMPTY)
    if cadence.repeated[0].ms is None:
        second = _wave(cadence.repeated[0], rate, rate, dbm0)
        risen = second.copy()
        risen[: _ramp(rate).size] *= _ramp(rate)
        return ToneSamples(frozen(_joined([*intro, _rounded(risen)])), frozen(_rounded(second)))
    return ToneSamples(
        frozen(_joined(intro)), frozen(_joined([_sound(burst, rate, dbm0) for burst in cadence.repeated]))
    )


def _joined(parts: list[I16]) -> I16:
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def _sound(burst: Burst, rate: int, dbm0: float) -> I16:
    assert burst.ms is not None
    size = burst.ms * rate // 1000
    return _shaped(_wave(burst, size, rate, dbm0), rate)


def _wave(burst: Burst, size: int, rate: int, dbm0: float) -> _F64:
    """(size,) without edges."""
    if not burst.frequencies:
        return np.zeros(size)
    turns = np.arange(size) * (2 * np.pi / rate)
    wave: _F64 = np.sum([np.sin(turns * frequency) for frequency in burst.frequencies], axis=0)
    power = float(len(burst.frequencies))
    if burst.modulated:
        wave *= 1.0 + MODULATION * np.cos(turns * burst.modulated)
        power *= 1.0 + MODULATION**2 / 2
    wave *= amplitude(dbm0) / np.sqrt(power)
    return wave


def _ramp(rate: int) -> _F64:
    size = round(RAMP_SECONDS * rate)
    ramp: _F64 = 0.5 - 0.5 * np.cos((np.arange(size) + 0.5) * (np.pi / size))
    return ramp


def _shaped(wave: _F64, rate: int) -> I16:
    ramp = _ramp(rate)[: len(wave) // 2]
    if len(ramp):
        wave[: len(ramp)] *= ramp
        wave[-len(ramp) :] *= ramp[::-1]
    return _rounded(wave)


def _rounded(wave: _F64) -> I16:
    return np.clip(np.rint(wave), -32768, 32767).astype(np.int16)


def dtmf(digit: str, ms: int, rate: int) -> I16:
    """One DTMF digit (0-9, *, #, A-D) of `ms` milliseconds. SourceError."""
    place = DTMF_KEYS.find(digit.upper()) if len(digit) == 1 else -1
    if place < 0:
        raise SourceError(f"{digit!r} is no DTMF digit: one of 0-9, *, #, A-D")
    size = ms * rate // 1000
    low = _wave(Burst((DTMF_ROWS[place // 4],), ms), size, rate, DTMF_LOW_DBM0)
    high = _wave(Burst((DTMF_COLUMNS[place % 4],), ms), size, rate, DTMF_HIGH_DBM0)
    return _shaped(low + high, rate)


def dtmf_digits(digits: str, rate: int, ms: int = DTMF_MS, gap_ms: int = DTMF_GAP_MS) -> I16:
    """Digits after each other; no gap behind the last one. SourceError."""
    if not 1 <= len(digits) <= MAX_DTMF:
        raise SourceError(f"tone dtmf: expected 1 to {MAX_DTMF} digits, as dtmf:5")
    gap = np.zeros(gap_ms * rate // 1000, np.int16)
    parts: list[I16] = []
    for digit in digits:
        parts += [dtmf(digit, ms, rate), gap]
    return np.concatenate(parts[:-1])


def tone_samples(name: str, country: str, rate: int) -> ToneSamples:
    """What a `Tone` of this name sounds like; `dtmf:` and digits is one, too. Milliseconds of work. SourceError."""
    if name.startswith("dtmf:"):
        return ToneSamples(frozen(dtmf_digits(name[len("dtmf:") :], rate)), EMPTY)
    level = SOFT_DBM0 if tone_name(name) in SOFT else LEVEL_DBM0
    return synthesise(cadence(name, country), rate, level)


def tone(samples: ToneSamples, rate: int, seconds: float | None = None, start: float = 0.0) -> LoopedSound:
    """The tone as something to play: to its own end, `seconds` at most."""
    return LoopedSound(samples.intro, samples.loop, rate, seconds, start)
