"""The shell, over real sockets of the loopback address."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import count

import pytest
import uvloop

from sip.aio.addresses import LocalAddresses, SipListen
from sip.aio.driver import Driver, DriverSettings, ListenError, _listen_error
from sip.aio.stream import MAX_UNSENT, StreamConnection
from sip.aio.udp import MAX_BATCH, MAX_QUEUED, UdpListener
from sip.effects import (
    ConnectionLost,
    Flow,
    RequestReceived,
    ResponseReceived,
    StackEvent,
    Target,
    TransactionFailed,
)
from sip.ids import Ids
from sip.message import Request, response_to
from sip.stack import Stack, StackSettings
from sip.timers import TimerConfig

LISTEN = (SipListen("udp", "127.0.0.1", 0), SipListen("tcp", "127.0.0.1", 0))


class Side:
    """A stack and its driver; every request is answered 200."""

    def __init__(self, listen: tuple[SipListen, ...], io: DriverSettings, settings: StackSettings) -> None:
        self.addresses = LocalAddresses(listen)
        self.stack = Stack(Ids(), self.addresses.sent_by, settings)
        self.driver = Driver(self.stack, self.addresses, self.on_events, io)
        self.events: list[StackEvent] = []
        self._calls = count()
        self._heard = asyncio.Event()

    def on_events(self, now: float) -> None:
        for event in self.stack.events[:]:
            self.events.append(event)
            if isinstance(event, RequestReceived):
                self.stack.respond(event.transaction, response_to(event.request, 200, to_tag="b"), now, "bob")
        self.stack.events.clear()
        self._heard.set()

    def target(self, transport: str) -> Target:
        listen = next(x for x in self.addresses.listen if x.transport == transport)
        return Target(transport, listen.host, listen.port)

    def send(self, destination: Target | Flow | None, method: str = "OPTIONS", uri: str = "sip:bob@x") -> None:
        headers = [("From", "<sip:a@b>;tag=1"), ("To", "<sip:b@c>"), ("CSeq", f"1 {method}")]
        request = Request(method, uri, [*headers, ("Call-ID", f"call{next(self._calls)}")])
        self.stack.send(request, self.driver.now(), destination, "alice")
        self.driver.drain()

    def statuses(self) -> list[int]:
        return [e.response.status for e in self.events if isinstance(e, ResponseReceived)]

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait for an event after which it is so; what makes no event is looked at now and then."""
        async with asyncio.timeout(5.0):
            while not done():
                self._heard.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._heard.wait(), 0.01)


Make = Callable[..., Awaitable[Side]]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    sides: list[Side] = []

    async def build(
        listen: tuple[SipListen, ...] = LISTEN,
        io: DriverSettings | None = None,
        settings: StackSettings | None = None,
    ) -> Side:
        side = Side(listen, io or DriverSettings(), settings or StackSettings())
        await side.driver.start()
        sides.append(side)
        return side

    yield build
    for side in sides:
        await side.driver.close()
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_request_and_its_answer(make: Make, transport: str, host: str) -> None:
    if host == "::1" and not _has_ipv6():
        host = "127.0.0.1"
    listen = (SipListen(transport, host, 0),)
    a, b = await make(listen), await make(listen)
    a.send(b.target(transport))
    await a.until(lambda: a.statuses() == [200])
    (event,) = (e for e in a.events if isinstance(e, ResponseReceived))
    port = b.target(transport).port
    uri = event.response.contacts[0].uri
    assert (uri.host, uri.port, uri.transport) == (host, port, "" if transport == "udp" else transport)
    (received,) = (e for e in b.events if isinstance(e, RequestReceived))
    assert received.flow.remote[0] == host
    assert received.flow.transport == transport


async def test_many_requests_share_one_connection(make: Make) -> None:
    a, b = await make(), await make()
    for _ in range(50):
        a.send(b.target("tcp"))
    await a.until(lambda: a.statuses() == [200] * 50)
    assert len(b.driver._streams) == 1
    assert b.driver.accepted == 1


async def test_a_connection_serves_requests_of_both_sides(make: Make) -> None:
    a, b = await make(), await make()
    a.send(b.target("tcp"))
    await a.until(lambda: a.statuses() == [200])
    (received,) = (e for e in b.events if isinstance(e, RequestReceived))
    b.send(received.flow)
    await b.until(lambda: b.statuses() == [200])
    assert len(a.driver._streams) == 1


async def test_a_burst_larger_than_one_wake_up_is_served(make: Make) -> None:
    a, b = await make(), await make()
    for _ in range(4 * MAX_BATCH):
        a.send(b.target("udp"))
    await a.until(lambda: len(a.statuses()) == 4 * MAX_BATCH)
    assert len([e for e in b.events if isinstance(e, RequestReceived)]) == 4 * MAX_BATCH


async def test_names_are_looked_up_without_a_nameserver_for_localhost(make: Make) -> None:
    a, b = await make(), await make()
    a.send(None, uri=f"sip:bob@localhost:{b.target('udp').port}")
    await a.until(lambda: a.statuses() == [200])
    (received,) = (e for e in b.events if isinstance(e, RequestReceived))
    assert received.request.uri.startswith("sip:bob@localhost:")
    assert received.flow.remote[0] == "127.0.0.1"


async def test_a_refused_connection_is_told(make: Make) -> None:
    a = await make()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    a.send(Target("tcp", "127.0.0.1", port))
    await a.until(lambda: bool(a.events))
    (failed,) = a.events
    assert isinstance(failed, TransactionFailed)
    assert (failed.cause, failed.detail) == ("transport", "no connection: Connection refused")


async def test_a_connection_that_does_not_open_in_time_is_told(make: Make) -> None:
    a = await make(io=DriverSettings(connect_time=0.05))
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        # Fill the queue of connections nobody accepts: the next one gets no answer.
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.connect(full.getsockname())
        a.send(Target("tcp", "127.0.0.1", full.getsockname()[1]))
        await a.until(lambda: bool(a.events))
        for sock in waiting:
            sock.close()
    (failed,) = a.events
    assert isinstance(failed, TransactionFailed)
    assert failed.detail == "no connection in time"


async def test_what_the_kernel_refuses_to_send_reaches_the_transaction(make: Make) -> None:
    a = await make((SipListen("udp", "127.0.0.1", 0),))
    a.send(Target("udp", "192.0.2.1", 5060))  # not from a loopback address
    a.send(Target("udp", "::1", 5060))  # no listener of that family
    await a.until(lambda: len(a.events) == 2)
    assert [e.cause for e in a.events if isinstance(e, TransactionFailed)] == ["transport", "transport"]
    assert a.stack.counters["send failed"] == 2


@pytest.mark.parametrize("policy", ["asyncio", "uvloop"])
def test_18_4_icmp_reaches_the_transaction_and_the_socket_goes_on(policy: str) -> None:
    """uvloop would stop listening after the first error."""

    async def scenario() -> None:
        a, b = (Side(LISTEN, DriverSettings(), StackSettings()) for _ in range(2))
        await a.driver.start()
        await b.driver.start()
        try:
            await exchange(a, b)
        finally:
            await a.driver.close()
            await b.driver.close()
            await asyncio.sleep(0.01)

    async def exchange(a: Side, b: Side) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            closed = Target("udp", "127.0.0.1", probe.getsockname()[1])
        for n in range(1, 4):
            a.send(closed)
            if n > 1:  # the error is seen by the loop; else by the next send, which must go out all the same
                await a.until(lambda n=n: len(a.events) == 2 * n - 1)  # type: ignore[misc]
            a.send(b.target("udp"))
            await a.until(lambda n=n: len(a.events) == 2 * n)  # type: ignore[misc]
            b.send(a.target("udp"))
            await b.until(lambda n=n: b.statuses() == [200] * n)  # type: ignore[misc]
            a.events[:] = [e for e in a.events if not isinstance(e, RequestReceived)]
        failures = [(e.cause, e.detail) for e in a.events if isinstance(e, TransactionFailed)]
        assert failures == [("transport", "Connection refused")] * 3
        assert a.statuses() == [200] * 3

    if policy == "uvloop":
        uvloop.run(scenario())
    else:
        asyncio.run(scenario())


async def test_who_comes_before_it_serves_is_heard_then(make: Make) -> None:
    """The layers above are not ready yet: they take back what a switch before them knew."""
    a = await make()
    late = Side(LISTEN, DriverSettings(), StackSettings())
    late.driver.drain()  # a layer above has something to say, and no listener is open yet
    try:
        await late.driver.open()
        for transport in ("udp", "tcp"):
            a.send(late.target(transport))
        await late.until(lambda: len(late.stack.events) == 2)
        late.driver.drain()
        assert late.events == []
        late.driver.serve()
        assert sum(isinstance(event, RequestReceived) for event in late.events) == 2
        await a.until(lambda: a.statuses() == [200, 200])
    finally:
        await late.driver.close()


async def test_timers_run_on_the_loops_clock(make: Make) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.setblocking(False)
        a = await make(settings=StackSettings(timers=TimerConfig(t1=0.002, t2=0.01)))
        a.send(Target("udp", "127.0.0.1", silent.getsockname()[1]))
        await a.until(lambda: bool(a.events))
        (failed,) = a.events
        assert isinstance(failed, TransactionFailed)
        assert failed.cause == "timeout"
        copies = 0
        with suppress(BlockingIOError):
            while silent.recv(4096):
                copies += 1
        assert copies > 5
    assert not any(a.stack.sizes().values())


async def test_a_timer_set_from_outside_is_armed_by_drain(make: Make) -> None:
    a = await make()
    fired: list[float] = []
    a.stack.timers.schedule(a.driver.now() + 30.0, fired.append)
    a.driver.drain()
    due = a.driver.now() + 0.005
    a.stack.timers.schedule(due, fired.append)
    a.driver.drain()
    await a.until(lambda: len(fired) == 1)
    assert due <= fired[0] < due + 5.0, "not with the later one"


async def test_garbage_harms_nobody(make: Make) -> None:
    a, b = await make(), await make()
    target = b.target("udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for data in (b"", b"\0" * 2000, b"\xff" * 65_000, b"INVITE", b"SIP/2.0 200 OK\r\n\r\n"):
            sock.sendto(data, (target.host, target.port))
    reader, writer = await asyncio.open_connection(target.host, b.target("tcp").port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 5.0) == b""
    writer.close()
    a.send(target)
    await a.until(lambda: a.statuses() == [200])


async def test_a_ping_over_a_connection_gets_its_pong(make: Make) -> None:
    b = await make()
    reader, writer = await asyncio.open_connection("127.0.0.1", b.target("tcp").port)
    writer.write(b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(2), 5.0) == b"\r\n"
    writer.close()
    await b.until(lambda: any(isinstance(e, ConnectionLost) for e in b.events))
    assert b.driver.accepted == 0
    assert not b.driver.sources


async def test_connections_are_counted_by_source_and_in_total(make: Make) -> None:
    for io, allowed in (
        (DriverSettings(max_connections_per_source=2), 2),
        (DriverSettings(max_connections=3), 3),
    ):
        b = await make(io=io)
        pairs = []
        for _ in range(allowed + 2):
            pairs.append(await asyncio.open_connection("127.0.0.1", b.target("tcp").port))
        await b.until(lambda b=b: b.driver.refused == 2)  # type: ignore[misc]
        assert b.driver.accepted == allowed
        pairs[0][1].close()
        await b.until(lambda b=b, n=allowed - 1: b.driver.accepted == n)  # type: ignore[misc]
        again = await asyncio.open_connection("127.0.0.1", b.target("tcp").port)
        await b.until(lambda b=b, n=allowed: b.driver.accepted == n)  # type: ignore[misc]
        for _, writer in [*pairs, again]:
            writer.close()


class StuckTransport(asyncio.Transport):
    """A connection whose peer does not read."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.9", 40_000), "sockname": ("192.0.2.1", 5060)})
        self.waiting = 0
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


async def test_a_peer_that_does_not_read_is_given_up(make: Make) -> None:
    b = await make()
    connection, io = StreamConnection(b.driver, "tcp"), StuckTransport()
    connection.connection_made(io)
    for number in range(MAX_UNSENT):
        connection.data_received(_options(number))
        assert io.waiting <= MAX_UNSENT
        if io.aborted:
            break
    connection.connection_lost(None)
    assert b.events[-1] == ConnectionLost(connection.flow)
    assert b.driver.accepted == 0
    assert not b.driver.sources


async def test_a_port_in_use_is_one_clear_line(make: Make) -> None:
    taken = await make()
    for transport in ("udp", "tcp"):
        listen = SipListen(transport, "127.0.0.1", taken.target(transport).port)
        with pytest.raises(ListenError) as error:
            await make((listen,))
        assert str(error.value) == f"cannot listen on {listen}: the port is in use by another program"
        assert isinstance(error.value, OSError)


async def test_an_address_of_another_machine_is_one_clear_line(make: Make) -> None:
    with pytest.raises(
        ListenError, match=r"^cannot listen on udp 192\.0\.2\.1:5060: this machine has no such address$"
    ):
        await make((SipListen("udp", "192.0.2.1", 5060),))


def test_a_missing_permission_is_one_clear_line() -> None:
    listen = SipListen("udp", "::1", 60)
    text = _listen_error(listen, PermissionError(errno.EACCES, "Permission denied"))
    assert text == "cannot listen on udp [::1]:60: no permission for this port"


async def test_listeners_are_opened_all_or_none(make: Make) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    with pytest.raises(ListenError):
        await make((SipListen("udp", "127.0.0.1", free), SipListen("udp", "192.0.2.1", 5060)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", free))


async def test_after_close_nothing_is_left(make: Make) -> None:
    a, b = await make(), await make()
    a.send(b.target("tcp"))
    await a.until(lambda: a.statuses() == [200])
    await a.driver.close()
    await b.until(lambda: any(isinstance(e, ConnectionLost) for e in b.events))
    assert not a.driver._tasks
    assert a.driver._timer is None
    b.send(a.target("tcp"))
    await b.until(lambda: any(isinstance(e, TransactionFailed) for e in b.events))


class FullSocket:
    """A socket that takes nothing until it is told to."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.full = True
        self.sent: list[bytes] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)

    def sendto(self, data: bytes, address: object) -> int:
        if self.full:
            raise BlockingIOError
        self.sent.append(data)
        return len(data)


async def test_a_full_socket_queues_in_order_and_loses_what_is_beyond() -> None:
    inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inner.bind(("127.0.0.1", 0))
    inner.setblocking(False)
    full, drained = FullSocket(inner), asyncio.Event()
    listener = UdpListener(
        asyncio.get_running_loop(),
        full,  # type: ignore[arg-type]
        lambda data, flow: None,
        drained.set,
        lambda flow, why: None,
    )
    flow = Flow("udp", ("127.0.0.1", 0), ("127.0.0.1", 9), 0)
    wanted = [str(n).encode() for n in range(MAX_QUEUED)]
    for data in wanted:
        listener.send(data, flow)
    listener.send(b"lost", flow)
    assert listener.lost == 1
    await asyncio.sleep(0)
    assert full.sent == []
    full.full = False
    await asyncio.wait_for(drained.wait(), 5.0)
    assert full.sent == wanted
    listener.close()


def _options(number: int) -> bytes:
    """Answered with much of what it holds."""
    return (
        f"OPTIONS sip:bob@x SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK{number}\r\n"
        f"From: <sip:{'a' * 8_000}@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\n"
        "Content-Length: 0\r\n\r\n"
    ).encode()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_a_peer_has_one_flow_and_those_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sip.aio.udp.MAX_FLOWS", 2)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    seen: list[Flow] = []
    heard = asyncio.Event()

    def receive(_: bytes, flow: Flow) -> None:
        seen.append(flow)
        heard.set()

    listener = UdpListener(asyncio.get_running_loop(), sock, receive, lambda: None, lambda flow, why: None)
    peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    try:
        for peer in (peers[0], peers[0], *peers, peers[2]):
            heard.clear()
            peer.sendto(b"hello", listener.local)
            await asyncio.wait_for(heard.wait(), 5.0)
        assert seen[0] is seen[1] is seen[2]
        assert seen[4] is seen[5]
        assert [flow.remote[1] for flow in seen[2:5]] == [peer.getsockname()[1] for peer in peers]
        assert len(listener._flows) == 1  # forgotten when the third came
    finally:
        listener.close()
        for peer in peers:
            peer.close()
