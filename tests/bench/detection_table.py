"""How well in-band digits are detected: `python -m tests.bench.detection_table`, a line for each condition.

Each condition is tried with every digit at random phases and places in the frame, a trial a row of one detector.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from media.detect.columns import FRAME
from media.detect.dtmf import DIGITS, FULL_SCALE_DBM0, HIGH, LOW, DtmfDetector

F32 = npt.NDArray[np.float32]
RATE = 8000
LEAD_MS, TAIL_MS = 100, 100
TIMES = 20  # of each of the sixteen digits


@dataclass(frozen=True)
class Condition:
    """Two bursts of one digit with a pause between them, or one (`pause_ms` None)."""

    level: float = -10.0  # dBm0 of the stronger tone
    twist: float = 0.0  # dB, the high tone above the low one
    low_offset: float = 0.0  # of the frequency, 0.015: 1.5 %
    high_offset: float = 0.0
    duration_ms: float = 50.0
    pause_ms: float | None = None
    snr: float | None = None  # dB, both tones over white noise

    def expected(self) -> int:
        return 1 if self.pause_ms is None else 2


def signals(condition: Condition, rng: np.random.Generator, times: int = TIMES) -> tuple[F32, list[str]]:
    """(trials, samples), and the digit of each trial."""
    digits = list(DIGITS) * times
    count = len(digits)
    index = np.arange(count) % 16
    pause = condition.pause_ms or 0.0
    length = LEAD_MS + TAIL_MS + 20 + int(2 * condition.duration_ms + pause)
    n = np.arange(-(-length * 8 // FRAME) * FRAME)
    begin = rng.integers(0, FRAME, (count, 1)) + LEAD_MS * 8
    burst = int(condition.duration_ms * 8)
    since = n - begin
    on = (since >= 0) & (since < burst)
    if condition.pause_ms is not None:
        second = since - burst - int(pause * 8)
        on |= (second >= 0) & (second < burst)
    mixed = np.zeros((count, len(n)), np.float64)
    power = 0.0
    groups = ((LOW, index // 4, condition.low_offset, max(condition.twist, 0)),)
    groups += ((HIGH, index % 4, condition.high_offset, max(-condition.twist, 0)),)
    for tones, which, offset, below in groups:
        amplitude = 32768 * 10 ** ((condition.level - below - FULL_SCALE_DBM0) / 20)
        frequency = np.array(tones)[which][:, None] * (1 + offset)
        mixed += amplitude * np.sin(2 * np.pi * frequency * n / RATE + rng.uniform(0, 2 * np.pi, (count, 1)))
        power += amplitude**2 / 2
    mixed *= on
    if condition.snr is not None:
        mixed += rng.normal(0, np.sqrt(power / 10 ** (condition.snr / 10)), mixed.shape)
    return np.clip(np.rint(mixed), -32768, 32767).astype(np.float32), digits


def heard(samples: F32) -> list[list[tuple[str, int]]]:
    """(digit, milliseconds) that a detector hears in each row."""
    detector = DtmfDetector()
    rows = np.arange(len(samples), dtype=np.int64)
    found: list[list[tuple[str, int]]] = [[] for _ in rows]
    for at in range(0, samples.shape[1], FRAME):
        for row, digit, duration in detector.process(rows, samples[:, at : at + FRAME]):
            found[row].append((digit, duration))
    return found


def detected(condition: Condition, seed: int = 1, times: int = TIMES) -> float:
    """Share of trials in which exactly what was sent was heard."""
    samples, digits = signals(condition, np.random.default_rng(seed), times)
    want = condition.expected()
    right = [[d for d, _ in row] == [digit] * want for row, digit in zip(heard(samples), digits, strict=True)]
    return sum(right) / len(right)


def any_heard(condition: Condition, seed: int = 1, times: int = TIMES) -> float:
    """Share of trials in which anything was heard."""
    samples, _ = signals(condition, np.random.default_rng(seed), times)
    return sum(bool(row) for row in heard(samples)) / len(samples)


PLAIN = Condition()
# What must be accepted, at its limits together.
CORNERS = {
    "-17/-25 dBm0, +1.5 %, 40/40 ms": Condition(-17.0, -8.0, 0.015, 0.015, 40.0, 40.0),
    "-17/-25 dBm0, -1.5 %, 40/40 ms": Condition(-17.0, -8.0, -0.015, -0.015, 40.0, 40.0),
    "-25/-21 dBm0, +-1.5 %, 40/40 ms": Condition(-21.0, 4.0, 0.015, -0.015, 40.0, 40.0),
    "-7/-3 dBm0, +-1.5 %, 40/40 ms, 15 dB": Condition(-3.0, 4.0, -0.015, 0.015, 40.0, 40.0, 15.0),
    "-3/-11 dBm0, +1.5 %, 40/40 ms, 15 dB": Condition(-3.0, -8.0, 0.015, 0.015, 40.0, 40.0, 15.0),
}


def table() -> list[tuple[str, str, Condition]]:
    rows = [("level", f"{v} dBm0", replace(PLAIN, level=v)) for v in (-3, -10, -20, -25, -26, -27, -28, -29, -35)]
    rows += [("twist", f"{v:+} dB", replace(PLAIN, twist=v)) for v in (-12, -10, -9, -8, -4, 0, 4, 5, 6, 8)]
    for v in (0.0, 1.0, 1.5, 1.8, 2.0, 2.5, 3.0, 3.5, 5.0):
        for sign in (1, -1):
            both = replace(PLAIN, low_offset=sign * v / 100, high_offset=sign * v / 100)
            rows.append(("frequency, both", f"{sign * v:+} %", both))
        rows.append(("frequency, low", f"{v:+} %", replace(PLAIN, low_offset=v / 100)))
        rows.append(("frequency, high", f"{v:+} %", replace(PLAIN, high_offset=v / 100)))
    rows += [("duration", f"{v} ms", replace(PLAIN, duration_ms=v)) for v in (15, 20, 23, 26, 30, 35, 40, 50, 500)]
    rows += [("pause", f"{v} ms", replace(PLAIN, pause_ms=v)) for v in (5, 10, 15, 20, 30, 35, 40, 50)]
    rows += [("noise", f"{v} dB", replace(PLAIN, snr=v)) for v in (25, 20, 15, 12, 10, 8, 5, 0)]
    rows += [("corner", name, condition) for name, condition in CORNERS.items()]
    return rows


def cost(rows: int = 512, frames: int = 200) -> tuple[float, float]:
    """CPU microseconds a row and frame: of noise, and where every row sends digits."""
    rng = np.random.default_rng(1)
    numbers = np.arange(rows, dtype=np.int64)
    noise = rng.normal(0, 1000, (rows, FRAME)).astype(np.float32)
    digits = np.resize(signals(replace(PLAIN, duration_ms=80, pause_ms=60), rng, 1)[0][:, 800:1760], (rows, 6 * FRAME))
    spent = []
    for blocks in ([noise], [np.ascontiguousarray(digits[:, n * FRAME : (n + 1) * FRAME]) for n in range(6)]):
        detector = DtmfDetector()
        begin = time.process_time()
        for n in range(frames):
            detector.process(numbers, blocks[n % len(blocks)])
        spent.append((time.process_time() - begin) / rows / frames * 1e6)
    return spent[0], spent[1]


def main() -> int:
    print(f"{'CONDITION':18} {'VALUE':38} {'AS SENT':>8} {'ANYTHING':>9}")
    for what, value, condition in table():
        print(f"{what:18} {value:38} {detected(condition):8.1%} {any_heard(condition):9.1%}")
    quiet, busy = cost()
    print(f"cost a row and frame of 20 ms: {quiet:.2f} us; with digits on every row {busy:.2f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
