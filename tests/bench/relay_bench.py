"""CPU time per relayed G.711 packet, beside a C relay that batches the same way, in the same minutes.

    python -m tests.bench.relay_bench [--calls N] [--seconds S]

800 two-way calls are 1600 streams of 50 packets a second, each from a port of its own. The relay, the media engine in
a process with uvloop, has one core; the load, in C, the other. The two relays take turns; medians of three runs.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bench.rig import LOAD_CORE, RUNS, SWITCH_CORE, cpu_seconds, free_ports, pinned

CALLS = 800
SECONDS = 8.0
SHARED_PORTS = 16
BUDGET_US = 7.0
BUDGET_RATIO = 1.3
TICK_US = 6000  # as media.client.TICK_SECONDS
HERE = Path(__file__).parent / "relay"


def compiled(name: str, directory: Path) -> Path:
    """A program of `relay/`, built with gcc -O2."""
    binary = directory / name
    subprocess.run(["gcc", "-O2", "-Wall", "-o", str(binary), str(HERE / f"{name}.c")], check=True)
    return binary


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A relay on its core, and the lines of its streams' ports."""
    process = subprocess.Popen(
        pinned(SWITCH_CORE, command),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ports = []
    try:
        for line in process.stdout:
            if line.strip() == "ready":
                break
            ports.append(line)
        else:
            raise RuntimeError(f"{command[0]} did not start")
        yield process, "".join(ports)
    finally:
        process.terminate()
        process.wait(10)


def measure(command: list[str], generator: Path, first_source: int, seconds: float) -> tuple[float, float]:
    """Microseconds of CPU time per relayed packet, and the fraction of packets lost."""
    with running(command) as (process, ports):
        time.sleep(0.3)
        before = cpu_seconds(process.pid)
        load = subprocess.run(
            pinned(LOAD_CORE, [str(generator), str(first_source), str(seconds)]),
            input=ports,
            capture_output=True,
            text=True,
            check=True,
        )
        used = cpu_seconds(process.pid) - before
    found = re.match(r"sent (\d+) received (\d+) lost (-?\d+) worst_lag_us (\d+)", load.stdout)
    if found is None:
        raise RuntimeError(f"load generator: {load.stdout!r}")
    sent, received = int(found[1]), int(found[2])
    if not received:
        raise RuntimeError("nothing was relayed")
    return used * 1e6 / received, (sent - received) / sent


def line(name: str, value: float, unit: str, budget: str, reference: str) -> None:
    """One budget, as `make bench` prints it, with the decimals that a ratio needs."""
    print(f"{name:28} {value:10.2f} {unit:12} {budget:16} {reference}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    streams = 2 * options.calls
    ours, reference, losses = [], [], []
    with tempfile.TemporaryDirectory(prefix="softswitch-relay-") as name:
        generator = compiled("load_generator", Path(name))
        relay = compiled("relay_reference", Path(name))
        first_source = free_ports(streams)
        shape = [str(SHARED_PORTS), str(streams), str(first_source)]
        for _ in range(RUNS):
            cost, _ = measure([str(relay), *shape, str(TICK_US)], generator, first_source, options.seconds)
            reference.append(cost)
            cost, loss = measure(
                [sys.executable, "-m", "tests.bench.relay.engine_process", *shape],
                generator,
                first_source,
                options.seconds,
            )
            ours.append(cost)
            losses.append(loss)
    packet, beside = statistics.median(ours), statistics.median(reference)
    line("relay_packet", packet, "us", f"<={BUDGET_US:g}", f"c_relay {beside:.2f} us")
    line("relay_packet_ratio", packet / beside, "x c_relay", f"<={BUDGET_RATIO:g}", "1")
    line("relay_loss", max(losses) * 100, "%", "<=0.1", f"{options.calls} two-way calls")
    return 0 if packet <= BUDGET_US and packet <= BUDGET_RATIO * beside else 1


if __name__ == "__main__":
    raise SystemExit(main())
