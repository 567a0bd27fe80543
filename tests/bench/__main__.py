"""`make bench`: every budget, one line each: NAME VALUE UNIT BUDGET REFERENCE.

The switch (or the engine alone) runs on one core and the load on the other; values are medians of three runs of CPU
time, kernel included, with a C or SIPp reference of the same minute beside them. `--quick` leaves out the 100,000
calls.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys

PROGRAMS = [
    ["tests.bench.signalling", "register", "call"],
    ["tests.bench.relay_bench"],
    ["tests.bench.srtp_bench"],
    ["tests.bench.audio_bench"],
    ["tests.bench.schedule_bench"],
    ["tests.bench.memory"],
    ["tests.bench.acd_bench"],
    ["tests.bench.transfers"],
    ["tests.bench.signalling", "sustained"],
]


ONE = "--program"  # then a module and its arguments: what we start ourselves with for each of PROGRAMS
STOP_SECONDS = 20.0
"""For a program to stop what it has started; then it is killed with all that."""
INTERRUPTED = 130  # as shells have it: 128 and SIGINT


def main() -> int:
    if sys.argv[1:2] == [ONE]:
        return run_here(sys.argv[2:])
    quick = "--quick" in sys.argv[1:]
    programs = [program for program in PROGRAMS if not (quick and "sustained" in program)]
    print(f"{'NAME':28} {'VALUE':>10} {'UNIT':12} {'BUDGET':16} REFERENCE", flush=True)
    return run_all(programs)


def run_all(programs: list[list[str]]) -> int:
    """Each program in turn; the worst exit code."""
    worst = 0
    for number, program in enumerate(programs, 1):
        if sys.stderr.isatty():  # values come after minutes
            print(
                f"-- {number} of {len(programs)}: {' '.join(program)}, minutes as a rule", file=sys.stderr, flush=True
            )
        code = run(program)
        if code == INTERRUPTED:
            return code
        worst = max(worst, code)
    return worst


def run(program: list[str]) -> int:
    """In a session of its own: Ctrl-C is for us alone, and the program stops what it has started in its own order."""
    process = subprocess.Popen([sys.executable, "-m", "tests.bench", ONE, *program], start_new_session=True)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return INTERRUPTED


def run_here(program: list[str]) -> int:
    sys.argv = program
    try:
        runpy.run_module(program[0], run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
