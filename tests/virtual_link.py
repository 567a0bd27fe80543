"""User agents back to back over a virtual network in virtual time: no socket, no sleep.

    link = Link()
    alice, bob = link.node("192.0.2.1"), link.node("192.0.2.2")
    session = alice.call(bob)
    link.run(1.0)                       # one second of virtual time
    assert bob.kinds() == ["SessionArrived"]

`Link.fate(seen)` decides what becomes of a datagram: the delays of its copies, none for a loss. Connections lose
nothing, until `Link.cut` breaks them.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from functools import partial

from sip.digest import Credentials
from sip.effects import Close, Connect, Effect, Flow, Resolve, Send, Target
from sip.ids import Ids
from sip.invite import InviteSession
from sip.message import Request, Response, response_to
from sip.parser import parse
from sip.stack import Stack, StackSettings
from sip.timers import TimerConfig
from sip.ua import UaSettings, UserAgent
from sip.ua_events import UaEvent

DELAY = 0.01  # seconds on the way, unless `fate` says otherwise
CONNECT_TIME = 5.0  # seconds until a connection to somebody who is not there has failed

OFFER = b"v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = b"v=0\r\no=b 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"


def sdp(who: str, version: int) -> bytes:
    """A description that can be told from every other."""
    return ANSWER.replace(b"o=b 1 1", f"o={who} 1 {version}".encode())


class Seen:
    """A message on the wire, parsed."""

    def __init__(self, at: float, sender: str, receiver: str, data: bytes) -> None:
        self.at = at
        self.sender = sender
        self.receiver = receiver
        self.data = data
        self.message: Request | Response = parse(data)

    @property
    def what(self) -> str:
        """ "INVITE", "200 INVITE" ..."""
        message = self.message
        if isinstance(message, Request):
            return message.method
        return f"{message.status} {message.cseq.method}"

    def __repr__(self) -> str:
        return f"{self.at:.3f} {self.sender}->{self.receiver} {self.what}"


class Node:
    """One stack and user agent at an address."""

    def __init__(self, link: Link, host: str, settings: UaSettings, timers: TimerConfig) -> None:
        self.link = link
        self.host = host
        seed = sum(host.encode())
        self.stack = Stack(Ids(seed), lambda transport, remote: (host, 5060), StackSettings(timers=timers))
        self.ua = UserAgent(self.stack, settings, Ids(seed + 1_000))
        self.events: list[UaEvent] = []
        self.on_event: Callable[[UaEvent, float], None] | None = None

    # --- acting as the application ------------------------------------------------------------------------

    def call(
        self,
        other: Node,
        offer: bytes = OFFER,
        headers: tuple[tuple[str, str], ...] = (),
        credentials: Credentials | None = None,
        expires: float | None = None,
    ) -> InviteSession:
        request = Request(
            "INVITE",
            f"sip:bob@{other.host}",
            [("From", f"<sip:alice@{self.host}>"), ("To", f"<sip:bob@{other.host}>"), *headers],
            offer,
        )
        session = self.ua.invite(request, self.link.now, Target("udp", other.host, 5060), "alice", credentials, expires)
        self.link.settle()
        return session

    def do(self, action: Callable[..., None], *args: object, **kwargs: object) -> None:
        """Call a session method now and let what follows at once happen."""
        action(*args, **kwargs, now=self.link.now)
        self.link.settle()

    def session(self) -> InviteSession:
        """The only session."""
        (session,) = self.ua.sessions.values()
        return session

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def take(self) -> list[UaEvent]:
        """The events so far; they are forgotten."""
        events, self.events = self.events, []
        return events

    def of(self, kind: type) -> list[UaEvent]:
        return [event for event in self.events if isinstance(event, kind)]

    # --- acting as the network ----------------------------------------------------------------------------

    def inject(self, text: str | bytes, sender: str = "192.0.2.99", port: int = 5060) -> None:
        """A datagram from somewhere."""
        data = text.encode() if isinstance(text, str) else text
        self.stack.receive(data, Flow("udp", (self.host, 5060), (sender, port), 0), self.link.now)
        self.link.settle()

    def pump(self, now: float) -> bool:
        """Events up, effects out; whether there was any."""
        moved = False
        while self.stack.events or self.ua.events or self.stack.effects:
            moved = True
            events, self.stack.events[:] = list(self.stack.events), []
            for event in events:
                self.ua.handle(event, now)
            told, self.ua.events[:] = list(self.ua.events), []
            for each in told:
                self.events.append(each)
                if self.on_event is not None:
                    self.on_event(each, now)
            effects, self.stack.effects[:] = list(self.stack.effects), []
            for effect in effects:
                self.carry_out(effect, now)
        return moved

    def carry_out(self, effect: Effect, now: float) -> None:
        match effect:
            case Send():
                self.link.transmit(self, effect, now)
            case Resolve():
                self.stack.resolved(effect.query, ("no such name",) * len(effect.questions), now)
            case Connect():
                self.link.connect(self, effect.target, now)
            case Close():
                self.link.close(effect.flow, now)

    def assert_idle(self) -> None:
        """Nothing is left of any call: no session, dialog, transaction or timer."""
        assert not self.ua.sessions, self.ua.sessions
        assert not self.ua.dialogs
        assert not self.ua.usages.dialogs
        assert not len(self.ua.usages)
        sizes = self.stack.sizes()
        assert not any(sizes.values()), sizes


class Link:
    """The network and the clock."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 1000.0
        self.random = random.Random(seed)
        self.nodes: dict[str, Node] = {}
        self.wire: list[Seen] = []  # as sent, lost ones included
        self.fate: Callable[[Seen], list[float]] = lambda seen: [DELAY]
        self.mangle: Callable[[bytes], bytes] = lambda data: data  # what a copy has become on its way
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._ends: dict[int, tuple[Node, Flow, int]] = {}  # of connections: whose, its flow, number of the other end

    def node(self, host: str, settings: UaSettings | None = None, timers: TimerConfig | None = None) -> Node:
        node = Node(self, host, settings or UaSettings(), timers or TimerConfig())
        self.nodes[host] = node
        return node

    def transmit(self, sender: Node, effect: Send, now: float) -> None:
        flow = effect.flow
        if flow.connection:
            if flow.connection in self._ends and effect.data.strip():
                self.wire.append(Seen(now, sender.host, flow.remote[0], effect.data))
            self._later(now + DELAY, partial(self._stream_arrives, effect.data, flow.connection))
            return
        seen = Seen(now, sender.host, flow.remote[0], effect.data)
        self.wire.append(seen)
        for delay in self.fate(seen):
            self._later(now + delay, partial(self._arrives, seen))

    def _later(self, at: float, what: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (at, self._sequence, what))

    def _arrives(self, seen: Seen) -> None:
        node = self.nodes.get(seen.receiver)
        if node is not None:
            flow = Flow("udp", (seen.receiver, 5060), (seen.sender, 5060), 0)
            node.stack.receive(self.mangle(seen.data), flow, self.now)

    # --- connections ----------------------------------------------------------------------------------------

    def connect(self, node: Node, target: Target, now: float) -> None:
        there = target.host in self.nodes
        self._later(now + (DELAY if there else CONNECT_TIME), partial(self._connected, node, target))

    def _connected(self, node: Node, target: Target) -> None:
        other = self.nodes.get(target.host)
        if other is None:
            node.stack.send_failed(target, self.now, "no route to host")
            return
        self._sequence += 2
        mine, theirs = self._sequence, self._sequence - 1
        here, there = (node.host, 32_768 + mine % 28_000), (target.host, target.port)
        self._ends[mine] = (node, Flow(target.transport, here, there, mine), theirs)
        self._ends[theirs] = (other, Flow(target.transport, there, here, theirs), mine)
        for number in (theirs, mine):
            owner, flow, _ = self._ends[number]
            owner.stack.connected(flow, self.now)

    def _stream_arrives(self, data: bytes, sent_by: int) -> None:
        end = self._ends.get(sent_by)
        if end is None:
            return  # cut while it was on its way
        node, flow, _ = self._ends[end[2]]
        if node.host in self.nodes:
            node.stack.receive_stream(data, flow, self.now)

    def close(self, flow: Flow, now: float) -> None:
        self._break(flow.connection)

    def cut(self, host: str) -> None:
        """Break all connections of that host, on both ends."""
        for number in [number for number, (node, _, _) in self._ends.items() if node.host == host]:
            self._break(number)
        self.settle()

    def _break(self, number: int) -> None:
        end = self._ends.get(number)
        for each in (number, end[2] if end is not None else 0):
            gone = self._ends.pop(each, None)
            if gone is not None:
                gone[0].stack.disconnected(gone[1], self.now)

    def settle(self) -> None:
        """All that happens without time passing."""
        moved = True
        while moved:
            moved = False
            for node in self.nodes.values():
                moved = node.pump(self.now) or moved

    def _next(self) -> float | None:
        moments = [self._queue[0][0]] if self._queue else []
        for node in self.nodes.values():
            deadline = node.stack.timers.next_deadline()
            if deadline is not None:
                moments.append(deadline)
        return min(moments) if moments else None

    def run(self, seconds: float) -> None:
        """Let that much virtual time pass."""
        end = self.now + seconds
        self.settle()
        while (moment := self._next()) is not None and moment <= end:
            self.now = max(self.now, moment)
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
                self.settle()
            for node in self.nodes.values():
                node.stack.timers.fire_due(self.now)
            self.settle()
        self.now = end

    def said(self, sender: Node | None = None) -> list[str]:
        """What went over the wire, 100 left out."""
        return [
            seen.what
            for seen in self.wire
            if (sender is None or seen.sender == sender.host) and not seen.what.startswith("100 ")
        ]

    def seen(self, what: str) -> list[Seen]:
        return [seen for seen in self.wire if seen.what == what]

    def lose(self, *whats: str, times: int = 1_000_000) -> None:
        """Lose the next `times` messages of these kinds."""
        left = dict.fromkeys(whats, times)

        def fate(seen: Seen) -> list[float]:
            if left.get(seen.what, 0) > 0:
                left[seen.what] -= 1
                return []
            return [DELAY]

        self.fate = fate


def answer_by_hand(
    node: Node,
    request: Seen,
    status: int,
    tag: str,
    body: bytes = b"",
    headers: tuple[tuple[str, str], ...] = (),
    contact: str = "",
) -> None:
    """Give `node` a response to a request it sent, as a peer that is no Node of ours would."""
    assert isinstance(request.message, Request)
    response = response_to(request.message, status, None, tag)
    response.headers.append(("Contact", contact or f"<sip:{tag}@192.0.2.77>"))
    response.headers += headers
    if body:
        response.headers.append(("Content-Type", "application/sdp"))
        response.body = body
    node.inject(response.encode(), sender=request.receiver)
