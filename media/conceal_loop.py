"""Lost samples made up out of what was heard before, row by row, compiled. `media.conceal` says what is done and why.

An `age` counts samples from the beginning of an erasure. A `tail` is what was heard before it: 60 ms, three of the
longest periods and what overlaps them. A `tenth` is 10 ms in samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rtp.compiled import compiled

SEARCH_RATE = 4000  # Hz at which the pitch is sought first, then refined
SHORTEST = SEARCH_RATE // 200  # lags at that rate: 200 Hz
LONGEST = SEARCH_RATE * 3 // 200  # 66 Hz
WINDOW = SEARCH_RATE // 50  # 20 ms
MOST_SEARCHES = 64  # of the pitch, in a call: a quarter of a millisecond of work
FADES_PER_SECOND = 100  # 10 ms: level and number of periods change by it

_LOUDEST = 32767.0  # -32768 stands for "nothing there" elsewhere
_LEVELS = 5  # steps from full level to silence
_PERIODS = 3  # repeated at most


# -- pitch


@compiled("i8(i4[::1], i8, i8, i8, i8)")
def _likest(signal: Any, window: int, shortest: int, longest: int, floor: int) -> int:
    """The lag, `shortest` to `longest`, at which the last `window` samples are most like those before them: highest
    normalised correlation. Next to silence everything is like everything: the energy `floor` keeps that from
    mattering."""
    behind = len(signal) - window
    last = signal[behind:]
    first = signal[behind - shortest : behind - shortest + window]
    energy: Any = 0
    for sample in range(len(first)):
        energy += np.int64(first[sample]) * np.int64(first[sample])
    best, highest = shortest, -np.inf
    for lag in range(shortest, longest + 1):
        earlier = signal[behind - lag : behind - lag + window]
        likeness: Any = 0
        for sample in range(min(len(last), len(earlier))):
            likeness += np.int64(last[sample]) * np.int64(earlier[sample])
        if lag > shortest:
            comes, goes = np.int64(earlier[0]), np.int64(signal[behind - lag + window])
            energy += comes * comes - goes * goes
        score = likeness / np.sqrt(float(energy + floor))
        if score > highest:
            best, highest = lag, score
    return best


@compiled("i8(i2[::1], i4[::1], i4[::1])")
def _pitch(tail: Any, coarse: Any, fine: Any) -> int:
    """The lag in samples. `coarse` (WINDOW + LONGEST) and `fine`, as long at the rate of the tail, are for notes."""
    recent = tail[len(tail) - len(fine) :]
    for sample in range(min(len(fine), len(recent))):
        fine[sample] = recent[sample]
    factor = len(fine) // len(coarse)
    at = 0
    for place in range(len(coarse)):
        total = 0
        for sample in range(at, at + factor):
            total += fine[sample]
        coarse[place] = total
        at += factor
    # Sums, not means: everything is `factor` times as large.
    best = factor * _likest(coarse, WINDOW, SHORTEST, LONGEST, WINDOW * factor * factor)
    shortest = max(best - factor, SHORTEST * factor)
    longest = min(best + factor, LONGEST * factor)
    return int(_likest(fine, WINDOW * factor, shortest, longest, WINDOW * factor))


# -- what is heard instead


@compiled("void(i2[::1], i8, i8, i8, i8, f8[::1])")
def _repeat(tail: Any, lag: int, periods: int, age: int, tenth: int, made: Any) -> None:
    """Add the last periods again and again, from `age` on; the end of each round overlaps what led to its beginning.
    They take over from fewer, and give way to more, within a quarter of a period."""
    quarter = lag // 4
    part = 1.0 / quarter
    cycle = periods * lag
    behind = len(tail) - cycle
    joins = cycle - quarter
    begins = (periods - 1) * tenth
    ends = age + len(made) if periods == _PERIODS else periods * tenth
    skipped = max(begins - age, 0)
    phase = (age + skipped) % cycle
    for sample in range(skipped, min(len(made), ends + quarter - age)):
        index = age + sample
        value = float(tail[behind + phase])
        if phase >= joins:
            value += (float(tail[behind + phase - cycle]) - value) * ((phase + 1 - joins) * part)
        weight = 1.0
        if periods > 1:
            weight = min((index - begins) * part, 1.0)
        if index > ends:
            weight -= (index - ends) * part
        made[sample] += value * weight
        phase = phase + 1 if phase + 1 < cycle else 0


@compiled("void(i2[::1], i8, i8, i8, f8[::1])")
def _make(tail: Any, lag: int, age: int, tenth: int, made: Any) -> None:
    """What is heard from `age` on, as long as `made`."""
    for sample in range(len(made)):
        made[sample] = 0.0
    lasts = (_LEVELS + 1) * tenth
    if age >= lasts:
        return
    for periods in range(1, _PERIODS + 1):
        if age < periods * tenth + lag // 4 or periods == _PERIODS:
            _repeat(tail, lag, periods, age, tenth, made)
    step = float(tail[len(tail) - 1]) - float(tail[len(tail) - 1 - lag])
    part = 1.0 / (lag // 4)
    for sample in range(min(len(made), lag // 4 - 1 - age)):
        made[sample] += step * (1.0 - (age + sample + 1) * part)
    less = 1.0 / (_LEVELS * tenth)
    for sample in range(len(made)):
        made[sample] *= min(max(1.0 - (age + sample - tenth) * less, 0.0), 1.0)


@compiled("i8(i8, i8, i8)")
def _fading(lag: int, erased: int, tenth: int) -> int:
    """How many samples real ones fade in over, after so many erased ones."""
    return min(lag // 4 + erased * 2 // 5, tenth)


@compiled("i2(i2, f8, f8)")
def _mixed(real: int, made: float, weight: float) -> np.int16:
    """A real sample and one made up, at its weight."""
    value = real + (made - real) * weight
    return np.int16(np.rint(min(max(value, -_LOUDEST), _LOUDEST)))


# -- a frame


@compiled("void(i2[::1], i8, i2[::1], i2[::1])")
def _remember(past: Any, oldest: int, frame: Any, tail: Any) -> None:
    """Make a tail of what was heard last, up to and with the samples `frame`; of `past`, a ring, the sample `oldest`
    comes first."""
    size = len(tail)
    at = (oldest + len(frame)) % size
    kept = size - len(frame)
    for sample in range(kept):
        tail[sample] = past[at]
        at = at + 1 if at + 1 < size else 0
    for sample in range(len(frame)):
        tail[kept + sample] = frame[sample]


@compiled("void(i8, i2[::1], i8, i8[::1], i8[::1], i8[::1], i8[::1], i2[::1], f8[::1])")
def _go_on(row: int, frame: Any, lead: int, ages: Any, since: Any, lags: Any, fades: Any, tail: Any, made: Any) -> None:
    """A frame whose first `lead` samples are missing, or at whose start an erasure still fades out."""
    n = len(frame)
    tenth = n // 2
    age, lag, fade = ages[row], lags[row], fades[row]
    faded = since[row] if lead == 0 else 0
    if lead < n and (lead > 0 or faded == 0):
        fade = _fading(lag, age + lead, tenth)
    # All that is not real yet, or not fully.
    mixed = made[: min(max(lead + fade - 1 - faded, lead), n)]
    _make(tail, lag, age, tenth, mixed)
    for sample in range(min(len(mixed), len(frame))):
        weight = 1.0
        if sample >= lead:
            weight = 1.0 - (sample - lead + faded + 1) / fade
        frame[sample] = _mixed(frame[sample], mixed[sample], weight)
    faded += n - lead
    over = lead < n and faded >= fade
    fades[row] = fade
    since[row] = 0 if over or lead == n else faded
    # What is older than the level lasts is silence, however old.
    ages[row] = 0 if over else min(age + n, FADES_PER_SECOND * tenth)


@compiled("void(i8, i2[::1], b1[::1], i8, i8[::1], i8[::1], i8[::1], i8[::1], i2[::1], f8[::1])")
def _within(
    row: int,
    frame: Any,
    hole: Any,
    first: int,
    ages: Any,
    since: Any,
    lags: Any,
    fades: Any,
    tail: Any,
    made: Any,
) -> None:
    """A frame in whose midst samples are missing, from `first` on."""
    n = len(frame)
    tenth = n // 2
    _make(tail, lags[row], 0, tenth, made[: n - first])
    lacking = 0
    for sample in range(first, n):
        lacking += hole[sample]
    fade = _fading(lags[row], lacking, tenth)
    last = first
    for sample in range(first, n):
        if hole[sample]:
            last = sample
        weight = 1.0 - (sample - last) / (fade + 1)
        if weight > 0.0:
            frame[sample] = _mixed(frame[sample], made[sample - first], weight)
    fades[row] = fade
    since[row] = n - 1 - last
    ages[row] = n - first if n - 1 - last < fade else 0


@compiled(
    "void(i8[::1], i2[:, ::1], b1[::1], b1[:, ::1], i8[::1], i8[::1], i8[::1], i8[::1], i2[:, ::1], i2[:, ::1],"
    " i8[::1], f8[::1], i4[::1], i4[::1])"
)
def conceal(
    rows: Any,
    frames: Any,
    missing: Any,
    holes: Any,
    ages: Any,
    since: Any,
    lags: Any,
    fades: Any,
    tails: Any,
    history: Any,
    oldest: Any,
    made: Any,
    coarse: Any,
    fine: Any,
) -> None:
    """Fill the missing samples of `frames` (k, n), and blend real ones in after them; `holes` has a line for each that
    is `missing` some. The pitch of MOST_SEARCHES rows is sought, the others go by what theirs was the last time: when a
    network drops out for everybody at once, that must not make everybody late as well.

    Columns of the `Concealer`, by row: samples since an erasure began (`ages`) and since it ended, the pitch lag, how
    long it fades out; `tails` (rows, 3 * n), what is repeated; `history` likewise, in which a row begins with its
    `oldest` frame, and goes round. For notes: `made` (n), `coarse` and `fine` (`_pitch`).
    """
    n = frames.shape[1]
    line = searches = 0
    for index in range(len(rows)):
        row = rows[index]
        if not missing[index] and ages[row] == 0:
            continue
        frame, tail, past = frames[index], tails[row], history[row]
        begin = oldest[row] * n
        lead = first = 0
        if missing[index]:
            hole = holes[line]
            line += 1
            while lead < n and hole[lead]:
                lead += 1
            first = lead
            while first < n and not hole[first]:
                first += 1
        if lead > 0 and ages[row] == 0:
            _remember(past, begin, frame[:0], tail)
            if searches < MOST_SEARCHES:
                lags[row] = _pitch(tail, coarse, fine)
                searches += 1
            since[row] = 0
        if lead > 0 or ages[row] > 0:
            _go_on(row, frame, lead, ages, since, lags, fades, tail, made)
        if missing[index] and first < n:
            _remember(past, begin, frame[:first], tail)
            if searches < MOST_SEARCHES:
                lags[row] = _pitch(tail, coarse, fine)
                searches += 1
            _within(row, frame, hole, first, ages, since, lags, fades, tail, made)
