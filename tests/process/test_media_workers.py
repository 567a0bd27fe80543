"""Media workers as real processes with real sockets: found, watched, refused, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from media import workers as workers_module
from media.commands import StreamClosed, StreamLost, StreamSettings
from media.unix import connection_to, listener_at, process_of
from media.worker_view import Adoption, WorkerTerms
from media.workers import LocalWorkers, MediaWorkers, RemoteWorker, end_workers
from tests.unit.media.test_client import PCMU, Phone, free_ports, rtp

COMMAND = (sys.executable, "-P", "-m", "softswitch", "media-worker", "--log-level", "error")


def local(directory: Path, count: int = 1, **more: object) -> LocalWorkers:
    settings: dict[str, object] = {
        "terms": tuple(WorkerTerms(name=f"media-{n}", rtp_ports=free_ports(16), shared_ports=2) for n in range(count)),
        "command": COMMAND,
        "directory": directory,
        "hosts": ("127.0.0.1",),
        "orphan_time": 5.0,
    }
    return LocalWorkers(**(settings | more))  # type: ignore[arg-type]


@asynccontextmanager
async def running(settings: LocalWorkers, *remote: RemoteWorker) -> AsyncIterator[MediaWorkers]:
    media = MediaWorkers(settings, remote, Adoption(), lambda: None)
    try:
        await media.start()
        yield media
    finally:
        await media.stop()


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        await asyncio.sleep(0.02)


def talk(media: MediaWorkers, stream: int, phone: Phone) -> None:
    phone.to = media.open(stream, "127.0.0.1", phone.address, False, "127.0.0.1", 0.0, "call")
    media.configure(stream, StreamSettings(remote=phone.address, formats=PCMU), 0.0)


async def test_two_phones_hear_each_other_through_a_process(tmp_path: Path) -> None:
    first, second = Phone(), Phone()
    async with running(local(tmp_path)) as media:
        talk(media, 1, first)
        talk(media, 2, second)
        media.bridge(1, 2, 0.0)
        await until(lambda: media.workers[0].settled)
        first.send(rtp(1, 160, 7))
        assert (await second.receive())[12:] == b"x" * 160
        media.close(1, 0.0)
        await until(lambda: bool(media.events))
        [event] = media.events
        assert isinstance(event, StreamClosed)
        assert event.stats.packets_received == 1
        await until(lambda: media.report()[0].packets_in == 1)
        assert media.ports == 2
    first.close()
    second.close()


async def test_the_socket_is_for_its_owner_alone_and_gone_at_the_end(tmp_path: Path) -> None:
    async with running(local(tmp_path)) as media:
        path = tmp_path / "media-0.sock"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        pid = media.report()[0].process
        assert os.getsid(pid) == pid  # the terminal's Ctrl-C does not reach it
    assert not path.exists()


async def test_a_path_longer_than_the_kernel_takes(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    async with running(local(deep)) as media:
        assert media.workers[0].linked


async def test_a_worker_that_hangs_is_ended_and_another_one_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_module, "LINK_SILENCE", 1.5)
    monkeypatch.setattr(workers_module, "HUNG_SECONDS", 2.5)
    phone = Phone()
    async with running(local(tmp_path)) as media:
        talk(media, 1, phone)
        pid = media.report()[0].process
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: bool(media.events))
        [event] = media.events
        assert isinstance(event, StreamLost)
        await until(lambda: media.workers[0].settled)
        assert media.report()[0].process != pid
        assert media.report()[0].restarts == 1
        talk(media, 1, phone)
    phone.close()


async def test_a_command_that_can_not_be_run_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="media-0 did not start"):
        async with running(local(tmp_path, command=(sys.executable, "-c", "raise SystemExit(3)"))):
            pass


async def test_hosts_that_are_none_of_ours_are_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no pair of RTP ports"):
        async with running(local(tmp_path, hosts=("192.0.2.1",))):
            pass


async def abandoned(settings: LocalWorkers) -> MediaWorkers:
    """A signalling process that is gone without a word, its workers alive."""
    media = MediaWorkers(settings, (), Adoption(), lambda: None)
    await media.start()
    for watch in media._watches:
        watch.stopping = True
        assert watch._task is not None
        watch._task.cancel()
        await asyncio.gather(watch._task, return_exceptions=True)
        watch.hang_up()
    return media


def reap(media: MediaWorkers) -> None:
    """Wait for its children, which are really those of the test."""
    for watch in media._watches:
        watch._kill()  # type: ignore[attr-defined]
        watch._forget()  # type: ignore[attr-defined]
    assert media._minder is not None
    media._minder.cancel()


async def test_workers_of_a_process_that_died_are_found_and_their_streams_adopted(tmp_path: Path) -> None:
    first, second = Phone(), Phone()
    settings = local(tmp_path)
    before = MediaWorkers(settings, (), Adoption(), lambda: None)
    await before.start()
    talk(before, 1, first)
    talk(before, 2, second)
    before.bridge(1, 2, 0.0)
    await until(lambda: before.workers[0].settled)
    for watch in before._watches:
        watch.stopping = True
        assert watch._task is not None
        watch._task.cancel()
        watch.hang_up()
    first.send(rtp(1, 160, 7))
    assert (await second.receive())[12:] == b"x" * 160
    async with running(settings) as media:
        assert media.adopted == media.streams == 2
        assert media.report()[0].process == before.report()[0].process
        second.send(rtp(1, 160, 8))
        assert (await first.receive())[12:] == b"x" * 160
    await until(lambda: all(watch._descriptor < 0 for watch in before._watches))  # type: ignore[attr-defined]
    assert before._minder is not None
    before._minder.cancel()
    first.close()
    second.close()


async def test_a_worker_with_other_hosts_is_replaced(tmp_path: Path) -> None:
    before = await abandoned(local(tmp_path))
    old = before.report()[0].process
    async with running(local(tmp_path, hosts=("127.0.0.2",))) as media:
        await until(lambda: media.workers[0].settled and media.report()[0].process != old)
    reap(before) if before._watches[0]._descriptor >= 0 else None  # type: ignore[attr-defined]
    assert before._minder is not None
    before._minder.cancel()


async def test_workers_beyond_the_configured_number_are_ended(tmp_path: Path) -> None:
    before = await abandoned(local(tmp_path, 2))
    (tmp_path / "media-7.sock").touch()  # left by one that was killed
    end_workers(tmp_path, keep=1)
    await until(lambda: before._watches[1]._descriptor < 0)  # type: ignore[attr-defined]
    assert os.listdir(tmp_path) == ["media-0.sock"]
    end_workers(tmp_path)
    await until(lambda: before._watches[0]._descriptor < 0)  # type: ignore[attr-defined]
    assert before._minder is not None
    before._minder.cancel()


async def test_a_second_signalling_process_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    async with running(local(tmp_path)) as media:
        other = MediaWorkers(local(tmp_path), (), Adoption(), lambda: None)
        started = asyncio.ensure_future(other.start())
        await until(lambda: bool(other._watches) and "another signalling process" in other._watches[0].problem)
        assert media.workers[0].linked
        started.cancel()
        await asyncio.gather(started, return_exceptions=True)
        await other.stop()
        await asyncio.sleep(0.2)
        assert media.workers[0].linked  # not ended by the one that it did not serve
        assert media.workers[0].restarts == 0


def test_only_a_dead_worker_s_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    listener = listener_at(path)
    with pytest.raises(OSError, match="another media worker listens there"):
        listener_at(path)
    with connection_to(path) as connection:
        assert process_of(connection) == os.getpid()
    listener.close()
    listener_at(path).close()
