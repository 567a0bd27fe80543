"""CPU time of conferences, hold music, transcoding and recording, in the whole engine's process, kernel included.

    python -m tests.bench.audio_bench [CASE...] [--seconds S] [--units N]

The engine has one core, the load in C the other (media_rig). Every leg sends 50 packets a second of speech-like sound
in its codec, silent listeners apart, and every packet that should come back is counted: with some of them missing, or
without a sound, the figure is worth nothing, which its line says. What stands beside: a C program that does the same
the plain way (audio/mixing_reference.c), the relay in C, or the codec's own work, called in a loop. It takes turns with
the engine; medians of three runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from media.codecs import framed
from media.commands import Format
from tests.bench.audio.engine_process import CASES
from tests.bench.audio.payloads import G722, OPUS, payloads
from tests.bench.media_rig import Rig
from tests.bench.relay_bench import line
from tests.bench.rig import RUNS

SECONDS = 6.0
TELEPHONE_RATE = 8000  # Hz, of the bus that a call between G.711 and a wide codec is on

Reference = Callable[[Rig, int, float], float]
"""Microseconds, in the budget's unit, of as many legs in as many seconds."""


class Budget(NamedTuple):
    """`case` of audio/engine_process.py. `packets`: counted by the packet, else by leg and second."""

    case: str
    units: int
    us: float
    packets: bool
    beside: str
    reference: Reference


def _mixing(room: int, silent: bool = False) -> Reference:
    def reference(rig: Rig, legs: int, seconds: float) -> float:
        return rig.mixing_reference(legs, room, seconds, silent).us_per_leg(legs)

    return reference


def _relay(rig: Rig, legs: int, seconds: float) -> float:
    return rig.relay_reference(legs // 2, seconds).us_per_packet


def _codec(format_: Format) -> Reference:
    """Of the two packets of a call and 20 ms one is decoded and one is encoded."""
    packets = payloads(format_)

    def reference(rig: Rig, legs: int, seconds: float) -> float:
        codec = framed(format_[1], TELEPHONE_RATE)
        begun = time.process_time()
        for each in packets:
            codec.encode(codec.decode(each))
        used = time.process_time() - begun
        codec.close()
        return used * 1e6 / (2 * len(packets))

    return reference


BUDGETS = (
    Budget("conf3", 100, 600.0, False, "c_mixer", _mixing(3)),
    Budget("conf100", 1, 500.0, False, "c_mixer", _mixing(100)),
    Budget("moh_silent", 300, 200.0, False, "c_mixer", _mixing(0, silent=True)),
    Budget("moh_sending", 300, 400.0, False, "c_mixer", _mixing(0)),
    Budget("transcode_g722", 100, 30.0, True, "codec alone", _codec(G722)),
    Budget("transcode_opus", 100, 120.0, True, "codec alone", _codec(OPUS)),
    Budget("recorded_relay", 200, 15.0, True, "c_relay without", _relay),
)


def measure(rig: Rig, budget: Budget, units: int, seconds: float) -> bool:
    """Print the line of one budget; whether it is kept."""
    case = CASES[budget.case]
    legs = units * len(case.formats)
    ours, beside, loads, wrong = [], [], [], ""
    for _ in range(RUNS):
        beside.append(budget.reference(rig, legs, seconds))
        run = rig.engine(budget.case, units, seconds)
        wrong = wrong or run.wrong(legs)
        ours.append(run.us_per_packet if budget.packets else run.us_per_leg(legs))
        loads.append(run.load)
    value = statistics.median(ours)
    reference = f"{budget.beside} {statistics.median(beside):.1f} us; {legs} legs, load {max(loads) * 100:.0f} %"
    if wrong:
        reference += f"; NOT VALID: {wrong}"
    line(budget.case, value, "us/packet" if budget.packets else "us/leg/s", f"<={budget.us:g}", reference)
    return not wrong and value <= budget.us


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(budget.case for budget in BUDGETS))
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--units", type=int, help="calls, conferences or listeners; else as the budget has them")
    options = parser.parse_args()
    unknown = set(options.cases) - {budget.case for budget in BUDGETS}
    if unknown:
        parser.error(f"there is no case {', '.join(sorted(unknown))}")
    good = True
    with Rig() as rig:
        for budget in BUDGETS:
            if not options.cases or budget.case in options.cases:
                good = measure(rig, budget, options.units or budget.units, options.seconds) and good
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
