"""Media workers as processes: calls through them, their death, the death of the signalling process, remote ones."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from harness.cases import CALLED, CALLERS
from harness.ports import free_ports
from harness.switch import COMMAND, ROOT, Switch
from harness.talkers import Talkers
from harness.waiting import wait_for

from softswitch.control import WorkerRow

pytestmark = pytest.mark.interop

WORKERS = """
media: {{workers: {workers}, orphan_time: {orphan}, silence_hangup: {silence}}}
sip: {{qualify: {{interval: none}}}}
"""
LOST = ("media worker lost",)


class WorkersSwitch(Switch):
    """A switch with media workers, a trunk of callers and a gateway for all they call."""

    def __init__(
        self,
        directory: Path,
        workers: int = 1,
        *,
        orphan: str = "60s",
        silence: str = "60s",
        expected_errors: tuple[str, ...] = (),
        extra: str = "",
    ) -> None:
        self.called_port = free_ports(1, CALLED)
        super().__init__(
            directory,
            trunks=[CALLERS],
            routes=[f"_9X.={CALLED}:{self.called_port}"],
            extra=extra or WORKERS.format(workers=workers, orphan=orphan, silence=silence),
            expected_errors=expected_errors,
        )

    def talkers(self, calls: int, rate: float = 10.0) -> Talkers:
        callers = (CALLERS, free_ports(1, CALLERS))
        return Talkers((self.host, self.port), callers, (CALLED, self.called_port), calls, rate)

    def workers(self) -> list[WorkerRow]:
        return self.status().media.workers

    def busy(self) -> WorkerRow:
        """The worker with the most streams."""
        return max(self.workers(), key=lambda row: row.streams)


def wait_talking(talkers: Talkers, ends: int, seconds: float = 30.0) -> None:
    def words() -> str:
        return f"{ends} ends that hear each other; there are {talkers.talking()}; {talkers.problems[:3]}"

    wait_for(lambda: talkers.talking() == ends, words, seconds)


def alive(pid: int) -> bool:
    """Whether the process lives; who is dead and not waited for (by the machine's first process) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def end(talkers: Talkers, switch: WorkersSwitch) -> None:
    """Hang up, and see that nothing is left."""
    talkers.hang_up()
    wait_for(lambda: talkers.over() == len(talkers.ends()), lambda: f"all over: {talkers.over()}")
    switch.wait_calls(0)
    wait_for(lambda: sum(row.streams for row in switch.workers()) == 0, "no stream left in a worker")
    assert switch.status().media.rows == 0


def test_calls_are_relayed_by_workers(tmp_path: Path) -> None:
    with WorkersSwitch(tmp_path, 2) as switch, switch.talkers(20, 50.0) as talkers:
        wait_talking(talkers, 40)
        talkers.forget()
        time.sleep(2.0)
        lost, sent = talkers.lost()
        assert sent > 2000
        assert lost == 0
        rows = switch.workers()
        assert [row.streams for row in rows] == [20, 20]
        assert all(row.linked and row.packets_out > 500 for row in rows)
        assert "media-1" in switch.run("status", "--config", str(switch.config)).stdout
        # Ctrl-C in the terminal, and the end of the switch, are none of the workers' business.
        assert all(os.getsid(row.process) == row.process for row in rows)
        end(talkers, switch)
        pids = [row.process for row in rows]
        switch.stop()
        assert not any(alive(pid) for pid in pids)
        assert list((switch.config / "var").glob("media-*")) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_s_calls_go_on_after_a_moment(tmp_path: Path, workers: int) -> None:
    """kill -9 in mid-call: re-INVITE of both ends, audio again. With another worker at once, without one as soon as it
    is started anew."""
    switch = WorkersSwitch(tmp_path, workers, expected_errors=LOST)
    with switch, switch.talkers(20, 50.0) as talkers:
        wait_talking(talkers, 40)
        talkers.forget()
        time.sleep(0.5)
        victim = switch.busy()
        os.kill(victim.process, signal.SIGKILL)
        wait_for(lambda: sum(each.offers for each in talkers.ends()) >= victim.streams, "a re-INVITE of every end", 15)
        wait_talking(talkers, 40)
        time.sleep(1.0)
        gaps = [each.longest_gap for each in talkers.ends() if each.offers]
        print(f"{workers} workers: audio gap of {max(gaps):.2f} s at worst, {min(gaps):.2f} s at best")
        assert len(gaps) == victim.streams
        assert max(gaps) < (1.5 if workers == 2 else 6.0)
        assert len(switch.status().calls) == 20
        wait_for(lambda: all(row.linked for row in switch.workers()), "all workers again")
        assert sum(row.restarts for row in switch.workers()) == 1
        end(talkers, switch)
    assert {record["cause"] for record in switch.cdrs()} == {"16"}


def test_audio_goes_on_while_the_signalling_process_is_dead(tmp_path: Path) -> None:
    """kill -9 of the signalling process under 200 calls: no packet is lost, the next one takes the streams over, and
    when they end nothing is left."""
    switch = WorkersSwitch(tmp_path, 1, silence="5s")
    with switch, switch.talkers(200, 5.0) as talkers:
        wait_talking(talkers, 400)
        [worker] = switch.workers()
        talkers.forget()
        time.sleep(1.0)
        switch.kill()
        time.sleep(3.0)
        assert talkers.talking() == 400
        switch.start()
        report = switch.status().media
        assert (report.adopted, report.rows) == (400, 400)
        assert report.workers[0].process == worker.process
        assert "400 adopted" in switch.run("status", "--config", str(switch.config)).stdout
        time.sleep(2.0)
        lost, sent = talkers.lost()
        print(f"{lost} of {sent} packets lost over the death and restart of the signalling process")
        assert sent > 8000
        assert lost == 0
        assert max(each.longest_gap for each in talkers.ends()) < 1.0

        # New calls are made beside the adopted ones, by the same ends, on addresses of their own.
        talkers.calls = 203
        wait_talking(talkers, 406)
        # Nobody ends them: silence does.
        talkers.sending = False
        wait_for(lambda: switch.status().media.rows == 0, lambda: f"all closed: {switch.status().media}", 20)
        assert switch.status().media.adopted == 0
        wait_for(lambda: switch.workers()[0].streams == 0, "no stream left in the worker")


def test_a_worker_without_a_signalling_process_ends(tmp_path: Path) -> None:
    switch = WorkersSwitch(tmp_path, 2, orphan="2s")
    with switch, switch.talkers(4, 20.0) as talkers:
        wait_talking(talkers, 8)
        pids = [row.process for row in switch.workers()]
        switch.kill()
        killed = time.monotonic()
        wait_for(lambda: not any(alive(pid) for pid in pids), "no worker any more", 10)
        took = time.monotonic() - killed
        print(f"workers gone {took:.1f} s after their signalling process")
        assert 1.5 < took < 6.0
        wait_for(lambda: talkers.talking() == 0, "silence")
        assert list((switch.config / "var").glob("media-*")) == []
        switch.start()
        report = switch.status().media
        assert (report.adopted, len(report.workers)) == (0, 2)
        assert not {row.process for row in report.workers} & set(pids)


REMOTE = """
media:
  remote_workers:
    - {{address: "127.0.0.1:{port}", secret: {secret}, hosts: [127.0.0.1], rtp_ports: {first}-{last}}}
sip: {{qualify: {{interval: none}}}}
"""
SECRET = "a long enough secret"


def remote_worker(tmp_path: Path, port: int, secret: str = SECRET) -> subprocess.Popen[bytes]:
    file = tmp_path / "worker.secret"
    file.write_text(secret + "\n")
    words = [*COMMAND, "media-worker", "--listen", f"127.0.0.1:{port}", "--secret-file", str(file), "--log-json"]
    with (tmp_path / "worker.log").open("ab") as log:
        return subprocess.Popen([*words, "--orphan-time", "30"], cwd=ROOT, stderr=log)


def remote_switch(tmp_path: Path, port: int, **more: tuple[str, ...]) -> WorkersSwitch:
    first = free_ports(32, even=True)
    text = REMOTE.format(port=port, secret=SECRET, first=first, last=first + 31)
    return WorkersSwitch(tmp_path, extra=text, **more)  # type: ignore[arg-type]


def test_a_worker_of_another_machine(tmp_path: Path) -> None:
    """Over TCP, with a secret: calls, a death of the signalling process, an orderly end that leaves the worker."""
    port = free_ports()
    worker = remote_worker(tmp_path, port)
    try:
        switch = remote_switch(tmp_path, port)
        with switch, switch.talkers(5, 20.0) as talkers:
            [row] = switch.workers()
            assert (row.name, row.process, row.linked) == (f"127.0.0.1:{port}", worker.pid, True)
            wait_talking(talkers, 10)
            switch.kill()
            time.sleep(1.0)
            assert talkers.talking() == 10
            switch.start()
            assert switch.status().media.adopted == 10
            switch.stop()
            wait_for(lambda: talkers.talking() == 0, "closed by an orderly end")
        assert worker.poll() is None
    finally:
        worker.terminate()
        assert worker.wait(10) == 0


def test_a_worker_outlives_whoever_reads_its_log(tmp_path: Path) -> None:
    """`softswitch serve 2>&1 | less`, and both are gone."""
    words = [*COMMAND, "media-worker", "--socket", str(tmp_path / "w.sock"), "--orphan-time", "1"]
    worker = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE)
    assert worker.stderr is not None
    worker.stderr.readline()  # "ready"
    worker.stderr.close()
    time.sleep(1.5)
    assert worker.poll() is None
    worker.terminate()
    assert worker.wait(10) == 0


def test_a_remote_worker_with_another_secret_takes_no_calls(tmp_path: Path) -> None:
    port = free_ports()
    worker = remote_worker(tmp_path, port, "a quite different one")
    try:
        switch = remote_switch(tmp_path, port, expected_errors=("media worker not reached",))
        with switch, switch.talkers(1) as talkers:
            [row] = switch.workers()
            assert not row.linked
            wait_for(lambda: talkers.problems, "a refusal")
            assert "503" in talkers.problems[0]
            assert "wrong secret" in switch.log()
    finally:
        worker.terminate()
        assert worker.wait(10) == 0


def test_a_remote_worker_that_dies_and_comes_back(tmp_path: Path) -> None:
    port = free_ports()
    worker = remote_worker(tmp_path, port)
    try:
        switch = remote_switch(tmp_path, port, expected_errors=LOST)
        with switch, switch.talkers(2, 20.0) as talkers:
            wait_talking(talkers, 4)
            worker.kill()
            worker.wait()
            worker = remote_worker(tmp_path, port)
            wait_for(lambda: sum(each.offers for each in talkers.ends()) >= 4, "a re-INVITE of every end", 15)
            wait_talking(talkers, 4)
            assert len(switch.status().calls) == 2
            end(talkers, switch)
    finally:
        worker.terminate()
        worker.wait(10)
