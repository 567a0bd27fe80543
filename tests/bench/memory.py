"""Resident memory per established two-leg call: CALLS calls up, held until their set-up transactions are gone.

python -m tests.bench.memory
"""

from __future__ import annotations

import subprocess
import time

from tests.bench.rig import LOAD_CORE, RUNS, SCENARIOS, called, free_port, line, median, pinned, resident_kib, switch

CALLS = 1000
RATE = 50
# After the last call is up: 64*T1 = 32 s of the slowest transaction, and some.
SETTLE_SECONDS = 38
WARM_CALLS = 200


def run() -> float:
    """KiB of the switch per call."""
    with switch() as target, called(target):
        _calls(target.port, WARM_CALLS, 0).wait()
        time.sleep(SETTLE_SECONDS)
        before = resident_kib(target.pid)
        hold = CALLS / RATE + SETTLE_SECONDS + 10
        load = _calls(target.port, CALLS, int(hold * 1000))
        time.sleep(CALLS / RATE + SETTLE_SECONDS)
        value = (resident_kib(target.pid) - before) / CALLS
        load.terminate()
        load.wait()
    return value


def _calls(port: int, count: int, hold_ms: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        pinned(
            LOAD_CORE,
            [
                *("sipp", "-sf", str(SCENARIOS / "caller.xml"), "-s", "9123", "-d", str(hold_ms), "-i", "127.0.0.1"),
                *("-p", str(free_port()), "-m", str(count), "-r", str(RATE), "-l", str(count + 1), "-nostdin"),
                f"127.0.0.1:{port}",
            ],
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    line("memory_per_call", median([run() for _ in range(RUNS)]), "KiB", "<=40", f"{CALLS} calls, one process")


if __name__ == "__main__":
    main()
