"""What the media benchmarks share: an engine, or a reference in C, on one core, audio/load_generator.c on the other,
and what a run of both gave.

The load warms up, then says when the measured seconds begin and end; CPU time (rig.cpu_seconds) is read at both.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.audio import payloads
from tests.bench.audio.engine_process import CASES, GROUPS, SHARED_PORTS
from tests.bench.relay.secure import sealed
from tests.bench.rig import LOAD_CORE, SWITCH_CORE, cpu_seconds, free_ports, pinned

WARM_SECONDS = 1.0
MISSING = 0.01  # of the packets that should come back
TICK_US = 6000  # as media.driver.TICK_SECONDS
FLAT = 0.5  # of the packets may be pauses between sounds; more, and what was measured was no audio
HERE = Path(__file__).parent


class Second(NamedTuple):
    """One of the measured seconds of the engine."""

    busy: float
    """Fraction of the core that it used."""
    skipped: int
    lateness: tuple[int, ...]


class Run(NamedTuple):
    """Of the measured seconds, `loss` apart, which is that of the whole run."""

    cpu: float
    """Seconds of CPU time of the engine's process, all threads and the kernel's work for it."""
    seconds: float
    sent: int
    received: int
    loss: float
    """Fraction of what was sent that did not come back: of relays."""
    flat: float
    """Fraction of what came back that was no audio."""
    load: float
    """CPU time of the load as a fraction of its core."""
    lag_ms: float
    """How late the load was at worst."""
    delay_ms: tuple[float, float, float] | None
    """Median, 99.9 % and most of the delay, where packets were stamped."""
    lateness: tuple[int, ...]
    """Frames by the milliseconds after their moment that they left."""
    skipped: int
    each_second: tuple[Second, ...] = ()

    @property
    def us_per_packet(self) -> float:
        return self.cpu * 1e6 / max(1, self.received)

    def us_per_leg(self, legs: int) -> float:
        """Microseconds of CPU time in a second, for each of so many."""
        return self.cpu * 1e6 / self.seconds / legs

    def wrong(self, legs: int, lost: float = MISSING) -> str:
        """Why the figures are worth nothing, where so many legs should have been sent audio all the time; "": nothing
        is. `lost`: what may not have come back."""
        missing = 1 - self.received / (legs * payloads.FRAMES_PER_SECOND * self.seconds)
        if missing > lost:
            return f"{missing * 100:.1f} % of the packets did not come back"
        if self.flat > FLAT:
            return f"{self.flat * 100:.0f} % of the packets were no audio"
        return ""


class Rig:
    """Programs built, payloads written, ports found; `with` removes them."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="softswitch-media-")
        self.directory = Path(self._directory.name)
        self._programs: dict[str, Path] = {}
        self.payloads = self.directory / "payloads"

    def __enter__(self) -> Rig:
        payloads.write(self.payloads)
        self.first_port = free_ports(GROUPS)
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def program(self, source: str) -> Path:
        """A program in C (a path below this directory), built with gcc -O2."""
        if source not in self._programs:
            binary = self.directory / Path(source).stem
            subprocess.run(["gcc", "-O2", "-Wall", "-o", str(binary), str(HERE / source), "-lm"], check=True)
            self._programs[source] = binary
        return self._programs[source]

    def engine(self, case: str, units: int, seconds: float, stamped: bool = False, warm: float = WARM_SECONDS) -> Run:
        """The engine with so many units of a case (audio/engine_process.py), measured when so many seconds have passed
        since all began at once."""
        with tempfile.TemporaryDirectory(dir=self.directory) as where:
            arguments = [case, str(units), str(self.first_port), where]
            command = [sys.executable, "-m", "tests.bench.audio.engine_process", *arguments]
            said, suite = self.payloads, CASES[case].suite
            if suite:
                said = Path(where) / "sealed"
                streams = units * len(CASES[case].formats)
                rounds = round((warm + seconds) * payloads.FRAMES_PER_SECOND) + 1
                payloads.write(said, sealed(suite, streams, rounds))
            return self._run(command, seconds, stamped, mark=True, said=said, warm=warm)

    def relay_reference(self, calls: int, seconds: float, stamped: bool = False) -> Run:
        """The relay in C."""
        shape = [str(SHARED_PORTS), str(2 * calls), str(self.first_port), str(TICK_US)]
        return self._run([str(self.program("relay/relay_reference.c")), *shape], seconds, stamped)

    def mixing_reference(self, streams: int, room: int, seconds: float, silent: bool = False) -> Run:
        """Conferences of `room` in C; 0: hold music, to listeners that may be silent."""
        shape = [str(SHARED_PORTS), str(streams), str(self.first_port), str(room)]
        return self._run([str(self.program("audio/mixing_reference.c")), *shape], seconds, False, silent=silent)

    def ticker(self, tick_us: int, seconds: float, busy_us: int) -> tuple[tuple[int, ...], float]:
        """The lateness of a bare ticker on the engine's core, and the fraction of that which it used."""
        command = [str(self.program("audio/ticker.c")), str(tick_us), str(seconds), str(busy_us)]
        done = subprocess.run(pinned(SWITCH_CORE, command), capture_output=True, text=True, check=True)
        return _histogram(done.stdout), _expect(done.stdout, r"busy (\d+)")[0] / 1000

    # -- below

    def _run(
        self,
        command: list[str],
        seconds: float,
        stamped: bool,
        mark: bool = False,
        silent: bool = False,
        said: Path | None = None,
        warm: float = WARM_SECONDS,
    ) -> Run:
        """`mark`: it is told where the measured seconds begin and end; `said`: payloads other than the usual ones."""
        generator = self.program("audio/load_generator.c")
        shape = [str(self.first_port), str(seconds), str(warm), str(said or self.payloads), str(int(stamped))]
        with running(command) as (process, streams, told):
            load = subprocess.Popen(
                pinned(LOAD_CORE, [str(generator), *shape]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert load.stdin is not None
            assert load.stdout is not None
            load.stdin.write(streams.replace(" 0\n", f" {payloads.SILENT}\n") if silent else streams)
            load.stdin.close()
            _expect(load.stdout.readline(), "begin")
            before = cpu_seconds(process.pid)
            if mark:
                os.kill(process.pid, signal.SIGUSR1)
            end = _expect(load.stdout.readline(), r"end sent (\d+) received (\d+) cpu_us (\d+) lag_us (\d+)")
            cpu = cpu_seconds(process.pid) - before
            if mark:
                os.kill(process.pid, signal.SIGUSR1)
            rest = load.stdout.read()
            load.wait()
            if process.poll() is not None:
                raise RuntimeError(f"{' '.join(command)} ended in the middle of the run")
        sent, received, flat = _expect(rest, r"total sent (\d+) received (\d+) flat (\d+)")
        if not received:
            raise RuntimeError("nothing came back")
        delay = _expect(rest, r"delay_us median (\d+) p999 (\d+) max (\d+)") if stamped else None
        skipped = re.search(r"skipped (\d+)", "".join(told))
        return Run(
            cpu=cpu,
            seconds=seconds,
            sent=end[0],
            received=end[1],
            loss=(sent - received) / max(1, sent),
            flat=flat / received,
            load=end[2] / 1e6 / seconds,
            lag_ms=end[3] / 1000,
            delay_ms=None if delay is None else (delay[0] / 1000, delay[1] / 1000, delay[2] / 1000),
            lateness=_histogram("".join(told)) if mark else (),
            skipped=int(skipped[1]) if skipped else 0,
            each_second=_seconds("".join(told)),
        )


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """An engine on its core, the lines of its streams, and (afterwards) what else it said."""
    process = subprocess.Popen(pinned(SWITCH_CORE, command), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    streams: list[str] = []
    told: list[str] = []
    try:
        for line in process.stdout:
            if line.strip() == "ready":
                break
            streams.append(line)
        else:
            raise RuntimeError(f"{' '.join(command)} did not start")
        yield process, "".join(streams), told
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=30)
        told.append(rest)


def within(counts: Sequence[int], milliseconds: int) -> float:
    """The fraction of a histogram of milliseconds that lies below so many."""
    return sum(counts[:milliseconds]) / max(1, sum(counts))


def parts(counts: Sequence[int]) -> str:
    """The parts of a histogram that are worth a look."""
    shares = [f"<{bound} ms {within(counts, bound) * 100:.2f} %" for bound in (1, 2, 5, 10, 20)]
    return ", ".join(shares)


def _histogram(text: str) -> tuple[int, ...]:
    found = re.search(r"lateness((?: \d+)+)", text)
    if found is None:
        raise RuntimeError(f"no histogram in {text!r}")
    return tuple(int(each) for each in found[1].split())


def _seconds(text: str) -> tuple[Second, ...]:
    lines = re.findall(r"^second (\d+) (\d+)((?: \d+)+)$", text, re.MULTILINE)
    return tuple(
        Second(int(busy) / 1000, int(skipped), tuple(map(int, counts.split()))) for busy, skipped, counts in lines
    )


def _expect(text: str, pattern: str) -> tuple[int, ...]:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"the load said {text!r}")
    return tuple(int(group) for group in found.groups())
