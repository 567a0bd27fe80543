"""`make bench`: every budget, one line each: NAME VALUE UNIT BUDGET REFERENCE.

The switch (or the engine alone) runs on one core and the load on the other; values are medians of three runs of CPU
time, kernel included, with a C or SIPp reference of the same minute beside them. `--quick` leaves out the 100,000
calls.
"""

from __future__ import annotations

import subprocess
import sys

PROGRAMS = [
    ["tests.bench.signalling", "register", "call"],
    ["tests.bench.relay_bench"],
    ["tests.bench.srtp_bench"],
    ["tests.bench.audio_bench"],
    ["tests.bench.schedule_bench"],
    ["tests.bench.memory"],
    ["tests.bench.signalling", "sustained"],
]


def main() -> int:
    quick = "--quick" in sys.argv[1:]
    print(f"{'NAME':28} {'VALUE':>10} {'UNIT':12} {'BUDGET':16} REFERENCE", flush=True)
    worst = 0
    for program in PROGRAMS:
        if quick and "sustained" in program:
            continue
        worst = max(worst, subprocess.run([sys.executable, "-m", *program], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
