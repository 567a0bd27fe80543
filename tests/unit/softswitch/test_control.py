"""The control socket: a real socket in a temporary directory, client in a thread, server on the loop."""

import asyncio
import os
import resource
import socket
import stat
from pathlib import Path
from typing import Any

import pytest
import uvloop

from softswitch import control
from softswitch.control import (
    AlreadyRunning,
    CallRow,
    ControlError,
    ControlRefused,
    ControlServer,
    GatewayRow,
    MediaReport,
    NotRunning,
    RegistrationRow,
    StatusReport,
    TrunkRow,
    ask,
    ask_status,
    switch_pid,
)

REPORT = StatusReport(
    version="0.1.0",
    pid=1,
    uptime=12.5,
    registrations=[RegistrationRow(aor="101@pbx", contact="sip:101@10.0.0.1:5062", expires_in=59.0, rtt_ms=1.5)],
    trunks=[TrunkRow(name="north", kind="address", gateways=[GatewayRow("10.0.0.2:5060", "up", 2.0)], calls=1)],
    calls=[CallRow(contact="c1", state="talking", caller="101", called="102", talking=3.0)],
    counters={"bad": 2},
    media=MediaReport(rows=2, ports=16, packets_in=10, packets_out=9, dropped={"unknown source": 1}),
)


async def serve(path: Path, **handlers: Any) -> ControlServer:
    server = ControlServer(path, handlers)
    await server.start()
    return server


async def asked(path: Path, command: str, **args: Any) -> Any:
    return await asyncio.to_thread(ask, path, command, **args)


def raw(path: Path, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while more := connection.recv(65536):
            received += more
        return received


async def test_a_command_reaches_its_handler_with_its_arguments(tmp_path: Path) -> None:
    async def later(args: dict[str, Any]) -> str:
        await asyncio.sleep(0)
        return "later " + args["word"]

    server = await serve(tmp_path / "control.sock", now=lambda args: {"got": args}, later=later)
    assert await asked(server.path, "now", number=7) == {"got": {"number": 7}}
    assert await asked(server.path, "later", word="is fine") == "later is fine"
    assert await asked(server.path, "ping") == {"pid": os.getpid()}
    assert await asyncio.to_thread(switch_pid, server.path) == os.getpid()
    await server.stop()


async def test_the_status_report_arrives_as_it_was_made(tmp_path: Path) -> None:
    server = await serve(tmp_path / "control.sock", status=lambda _args: REPORT)
    assert await asyncio.to_thread(ask_status, server.path) == REPORT
    await server.stop()


async def test_a_report_of_another_version_is_one_clear_line(tmp_path: Path) -> None:
    server = await serve(tmp_path / "control.sock", status=lambda _args: {"version": 3})
    with pytest.raises(ControlError, match="another version"):
        await asyncio.to_thread(ask_status, server.path)
    await server.stop()


async def test_only_the_owner_may_open_the_socket(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        server = await serve(tmp_path / "control.sock")
    finally:
        os.umask(before)
    assert stat.S_IMODE(server.path.stat().st_mode) == 0o600
    await server.stop()
    assert not server.path.exists()


def test_no_switch_running_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no switch is running here"):
        ask(tmp_path / "control.sock", "status")


async def test_a_socket_left_by_a_killed_switch_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with pytest.raises(NotRunning):
        await asked(path, "ping")
    server = await serve(path)
    assert (await asked(path, "ping"))["pid"] == os.getpid()
    await server.stop()


async def test_a_second_switch_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    first = await serve(tmp_path / "control.sock")
    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
        await serve(tmp_path / "control.sock")
    assert (await asked(first.path, "ping"))["pid"] == os.getpid()
    await first.stop()


async def test_a_file_in_the_way_is_kept_and_named(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.write_text("mine")
    with pytest.raises(ControlError, match="not a socket"):
        await serve(path)
    assert path.read_text() == "mine"


async def test_a_missing_directory_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ControlError, match="No such file or directory"):
        await serve(tmp_path / "nowhere" / "control.sock")


async def test_a_path_longer_than_sun_path_works(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    server = await serve(deep / "control.sock")
    assert (await asked(server.path, "ping"))["pid"] == os.getpid()
    await server.stop()
    assert not server.path.exists()


async def test_a_refusal_carries_its_details(tmp_path: Path) -> None:
    def reload(_args: dict[str, Any]) -> None:
        raise ControlRefused("2 errors", ("routes.yaml:7:3: unknown key", "routes.yaml:9:1: missing"))

    server = await serve(tmp_path / "control.sock", reload=reload)
    with pytest.raises(ControlRefused, match="2 errors") as refused:
        await asked(server.path, "reload")
    assert refused.value.details == ("routes.yaml:7:3: unknown key", "routes.yaml:9:1: missing")
    await server.stop()


async def test_a_fault_in_a_handler_stays_inside(tmp_path: Path) -> None:
    def broken(_args: dict[str, Any]) -> None:
        raise KeyError("password of 101")

    server = await serve(tmp_path / "control.sock", broken=broken)
    with pytest.raises(ControlRefused, match="broken failed inside the switch") as refused:
        await asked(server.path, "broken")
    assert "password" not in str(refused.value)
    assert (await asked(server.path, "ping"))["pid"] == os.getpid()
    await server.stop()


async def test_an_unknown_command_names_those_there_are(tmp_path: Path) -> None:
    server = await serve(tmp_path / "control.sock", reload=lambda _args: None)
    with pytest.raises(ControlRefused, match="no command 'sratus'; there is ping, reload"):
        await asked(server.path, "sratus")
    await server.stop()


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b"[1]\n", b'{"command": 1}\n', b'{"command":"ping","x":1}\n', b"\xff\n"]
)
async def test_what_is_no_request_is_answered_and_survived(tmp_path: Path, line: bytes) -> None:
    server = await serve(tmp_path / "control.sock")
    assert b'"ok":false,"error":"not a request' in await asyncio.to_thread(raw, server.path, line)
    assert (await asked(server.path, "ping"))["pid"] == os.getpid()
    await server.stop()


async def test_half_a_request_is_dropped(tmp_path: Path) -> None:
    server = await serve(tmp_path / "control.sock")
    assert await asyncio.to_thread(raw, server.path, b'{"command":"ping"}') == b""
    await server.stop()


async def test_several_requests_on_one_connection(tmp_path: Path) -> None:
    server = await serve(tmp_path / "control.sock")
    answers = await asyncio.to_thread(raw, server.path, b'{"command":"ping"}\n' * 3)
    assert answers.count(b'"ok":true') == 3
    await server.stop()


async def test_a_request_too_long_is_refused(tmp_path: Path) -> None:
    server = await serve(tmp_path / "control.sock")
    long = b"x" * (control.MAX_REQUEST_BYTES + 2)
    reader, writer = await asyncio.open_unix_connection(server.path)
    writer.write(long)
    assert b"at most 65536 bytes" in await reader.readline()
    assert await reader.read() == b""
    writer.close()
    await server.stop()


async def test_a_silent_client_loses_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "CLIENT_SECONDS", 0.05)
    server = await serve(tmp_path / "control.sock")
    reader, writer = await asyncio.open_unix_connection(server.path)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await server.stop()


async def test_clients_are_bounded(tmp_path: Path) -> None:
    server = await serve(tmp_path / "control.sock")
    waiting = [await asyncio.open_unix_connection(server.path) for _ in range(control.MAX_CLIENTS)]
    with pytest.raises(ControlRefused, match="too many"):
        await asked(server.path, "ping")
    for _reader, writer in waiting:
        writer.close()
        await writer.wait_closed()
    await asyncio.sleep(0.05)
    assert (await asked(server.path, "ping"))["pid"] == os.getpid()
    await server.stop()


async def test_an_answer_too_long_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_ANSWER_BYTES", 1000)
    server = await serve(tmp_path / "control.sock", long=lambda _args: "x" * 2000)
    with pytest.raises(ControlRefused, match="ask with a limit"):
        await asked(server.path, "long")
    await server.stop()


async def test_a_switch_that_hangs_is_one_clear_line(tmp_path: Path) -> None:
    server = await serve(tmp_path / "control.sock", slow=lambda _args: asyncio.sleep(60))
    with pytest.raises(ControlError, match=r"did not answer within 0\.1 s"):
        await asyncio.to_thread(ask, server.path, "slow", 0.1)
    await server.stop()


async def test_stopping_twice_and_with_a_client_connected(tmp_path: Path) -> None:
    server = await serve(tmp_path / "control.sock")
    reader, writer = await asyncio.open_unix_connection(server.path)
    await asyncio.sleep(0.01)
    await server.stop()
    await server.stop()
    assert await reader.read() == b""
    writer.close()


async def test_no_descriptor_left_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ACCEPT_PAUSE", 0.01)
    server = await serve(tmp_path / "control.sock")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as client:
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
        try:
            client.connect(str(server.path))
            await asyncio.sleep(0.05)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        client.sendall(b'{"command":"ping"}\n')
        client.settimeout(5)
        assert b'"ok":true' in await asyncio.to_thread(client.recv, 1000)
    await server.stop()


def test_it_serves_on_uvloop_too(tmp_path: Path) -> None:
    async def exchange() -> None:
        server = await serve(tmp_path / "control.sock")
        assert (await asked(server.path, "ping"))["pid"] == os.getpid()
        await server.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(exchange())


async def test_a_socket_of_a_newer_switch_is_left_alone(tmp_path: Path) -> None:
    server = await serve(tmp_path / "control.sock")
    server.path.unlink()
    newer = await serve(tmp_path / "control.sock")
    await server.stop()
    assert (await asked(newer.path, "ping"))["pid"] == os.getpid()
    await newer.stop()
