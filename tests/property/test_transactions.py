"""Client and server stacks back to back over a virtual link, in virtual time.

The link loses, doubles, delays and so reorders datagrams; as a stream it cuts bytes anywhere, refuses connections and
breaks them. Whatever it does: every transaction goes only the ways of RFC 3261 section 17 and RFC 6026, stays in
each state exactly as long as its timers say, tells its user exactly one end, and leaves no table entry and no timer.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sip.client_transaction import ClientState, ClientTransaction, InviteClientTransaction
from sip.effects import (
    AckReceived,
    CancelReceived,
    Close,
    Connect,
    ConnectionLost,
    Flow,
    RequestReceived,
    Resolve,
    ResponseReceived,
    Send,
    Target,
    TransactionFailed,
)
from sip.ids import Ids
from sip.message import Request, response_to
from sip.server_transaction import InviteServerTransaction, ServerState, ServerTransaction
from sip.stack import Stack

T1, T2, T4 = 0.5, 4.0, 5.0
B = 64 * T1
# When the caller gives up a call that rings without end.
RINGING = 60.0
# Nothing may last longer: a ring, a CANCEL's wait, and what lingers after it, with room for delays.
END = RINGING + 3 * B + 20.0
# Longest delay for which the timers of RFC 3261 promise that a repetition is never taken for a new request.
SHORT = 0.4

Host = str


@dataclass(frozen=True)
class Plan:
    """One run. Probabilities, seconds, and what the two users do."""

    transport: str
    method: str
    provisionals: tuple[int, ...]
    final: int
    answer_after: float
    cancel_after: float | None
    loss: float
    double: float
    delay: float
    dead_after: float | None = None  # datagrams: from then on all are lost
    refuse: bool = False  # streams: the first connection is refused
    break_after: float | None = None  # streams: the connection breaks then
    seed: int = 0


plans = st.builds(
    Plan,
    transport=st.sampled_from(["udp", "udp", "tcp"]),
    method=st.sampled_from(["INVITE", "INVITE", "OPTIONS"]),
    provisionals=st.lists(st.sampled_from([180, 183]), max_size=2).map(tuple),
    final=st.sampled_from([200, 202, 302, 404, 486, 503, 600]),
    answer_after=st.sampled_from([0.0, 0.3, 3.0, 20.0]),
    cancel_after=st.sampled_from([None, None, 0.0, 0.1, 0.6, 2.9, 3.1, 25.0]),
    loss=st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.0]),
    double=st.sampled_from([0.0, 0.2, 1.0]),
    delay=st.sampled_from([0.0, 0.05, SHORT, 3.0]),
    dead_after=st.sampled_from([None, None, 0.2, 2.0, 10.0]),
    refuse=st.booleans(),
    break_after=st.sampled_from([None, 0.0, 0.2, 1.0, 10.0]),
    seed=st.integers(0, 2**32 - 1),
)


@dataclass
class Track:
    """The states that one transaction was seen in, with the moment of entering each."""

    transaction: ClientTransaction | ServerTransaction
    stack: Stack
    states: list[tuple[str, float]] = field(default_factory=list)

    def look(self, now: float) -> None:
        name = self._state()
        if not self.states or self.states[-1][0] not in (name, "TERMINATED"):
            self.states.append((name, now))

    def _state(self) -> str:
        """The machine's; where the stack keeps only its answer, the state it left the machine in until that is gone."""
        transaction, stack = self.transaction, self.stack
        if isinstance(transaction, ServerTransaction) and stack._servers.get(transaction.key) is not transaction:
            return transaction.state.name if transaction.key in stack._answered else "TERMINATED"
        return transaction.state.name


class Network:
    """Two stacks, the link between them, and the two users."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = random.Random(plan.seed)
        self.now = 0.0
        self.stacks = {host: Stack(Ids(n), _own_address(host)) for n, host in enumerate(("10.0.0.1", "10.0.0.2"))}
        self.client, self.server = self.stacks.values()
        self._due: list[tuple[float, int, tuple[object, ...]]] = []
        self._order = count()
        self._connections = count(1)
        self._ends: dict[tuple[Host, int], tuple[Host, Flow, Flow]] = {}  # (host, number) -> peer, its flow, own flow
        self._stream_at: dict[tuple[Host, int], float] = {}
        self._to_refuse = plan.refuse
        self.tracks: dict[int, Track] = {}
        self.told: dict[int, list[str]] = {}  # client transaction -> what its user was told of its end
        self.arrived: list[ServerTransaction] = []
        self.cancelled = 0
        self.acknowledged = False

    # --- running ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        plan = self.plan
        request = Request(
            plan.method,
            "sip:bob@10.0.0.2",
            [
                ("Max-Forwards", "70"),
                ("From", "<sip:alice@10.0.0.1>;tag=a"),
                ("To", "<sip:bob@10.0.0.2>"),
                ("Call-ID", "call"),
                ("CSeq", f"1 {plan.method}"),
            ],
        )
        transaction = self.client.send(request, 0.0, Target(plan.transport, "10.0.0.2", 5060), "alice")
        self.told[transaction.id] = []
        if plan.method == "INVITE":
            give_up = RINGING if plan.cancel_after is None else plan.cancel_after
            self.client.timers.schedule(give_up, lambda now: self.client.cancel(transaction, now))
        self._settle()
        while (at := self._next()) is not None:
            assert at <= END, "something lasts too long"
            self.now = max(self.now, at)
            while self._due and self._due[0][0] <= self.now:
                self._deliver(*heappop(self._due)[2])
                self._settle()
            for stack in self.stacks.values():
                stack.timers.fire_due(self.now)
                self._settle()
            if not any(stack.sizes()[table] for stack in self.stacks.values() for table in TABLES):
                self._close_all()

    def _next(self) -> float | None:
        times = [stack.timers.next_deadline() for stack in self.stacks.values()]
        times.append(self._due[0][0] if self._due else None)
        return min((at for at in times if at is not None), default=None)

    def _settle(self) -> None:
        while any(stack.events or stack.effects for stack in self.stacks.values()):
            for host, stack in self.stacks.items():
                self._look()
                events = stack.events[:]
                stack.events.clear()
                for event in events:
                    self._user(stack, event)
                effects = stack.effects[:]
                stack.effects.clear()
                for effect in effects:
                    self._execute(host, effect)
        self._look()

    def _look(self) -> None:
        for stack in self.stacks.values():
            for transaction in [*stack._servers.values(), *stack._outbound.transactions.values()]:
                self.tracks.setdefault(id(transaction), Track(transaction, stack))
        for track in self.tracks.values():
            track.look(self.now)

    # --- the users --------------------------------------------------------------------------------------------------

    def _user(self, stack: Stack, event: object) -> None:
        match event:
            case RequestReceived(transaction=transaction, request=request):
                self.arrived.append(transaction)
                self._answer(stack, transaction, request)
            case CancelReceived(transaction=transaction):
                self.cancelled += 1
                assert transaction.request is not None
                self._respond(stack, transaction, transaction.request, 487)
            case AckReceived():
                self.acknowledged = True
            case ResponseReceived(transaction=client, response=response):
                if response.status >= 200:
                    self.told[client.id].append(str(response.status))
                if client.method == "INVITE" and 200 <= response.status < 300:
                    ack = Request("ACK", "sip:bob@10.0.0.2", list(response.headers)[1:])
                    ack.remove("Via")
                    ack.set("CSeq", "1 ACK")
                    stack.send_ack(ack, self.now, Target(self.plan.transport, "10.0.0.2", 5060))
            case TransactionFailed(transaction=failed, cause=cause):
                if isinstance(failed, ClientTransaction):
                    self.told[failed.id].append(cause)
            case ConnectionLost():
                pass
            case _:
                raise AssertionError(event)

    def _answer(self, stack: Stack, transaction: ServerTransaction, request: Request) -> None:
        plan = self.plan
        if plan.method == "INVITE":
            for status in plan.provisionals:
                self._respond(stack, transaction, request, status)
        if plan.answer_after:
            stack.timers.schedule(
                self.now + plan.answer_after, lambda _: self._respond(stack, transaction, request, plan.final)
            )
        else:
            self._respond(stack, transaction, request, plan.final)

    def _respond(self, stack: Stack, transaction: ServerTransaction, request: Request, status: int) -> None:
        if transaction.status < 200:
            stack.respond(transaction, response_to(request, status, to_tag="b"), self.now, "bob")
            if transaction.state is ServerState.ACCEPTED:
                self._repeat(stack, transaction, T1, self.now + B)

    def _repeat(self, stack: Stack, transaction: ServerTransaction, interval: float, until: float) -> None:
        """13.3.1.4: the 2xx is sent again until its ACK comes, at most for 64*T1."""

        def again(now: float) -> None:
            if not self.acknowledged and now < until:
                stack.retransmit(transaction, now)
                self._repeat(stack, transaction, min(2 * interval, T2), until)

        stack.timers.schedule(self.now + interval, again)

    # --- the link ---------------------------------------------------------------------------------------------------

    def _execute(self, host: Host, effect: object) -> None:
        match effect:
            case Send(data=data, flow=flow) if flow.connection:
                self._stream(host, data, flow)
            case Send(data=data, flow=flow):
                self._datagram(host, data, flow)
            case Connect(target=target):
                self._later(self._delay(), "connect", host, target)
            case Close(flow=flow):
                self._later(0.0, "break", host, flow.connection)
            case _:
                assert not isinstance(effect, Resolve)
                raise AssertionError(effect)

    def _delay(self) -> float:
        return self.random.random() * self.plan.delay

    def _later(self, delay: float, *what: object) -> None:
        heappush(self._due, (self.now + delay, next(self._order), what))

    def _datagram(self, host: Host, data: bytes, flow: Flow) -> None:
        if self.plan.dead_after is not None and self.now >= self.plan.dead_after:
            return
        copies = 2 if self.random.random() < self.plan.double else 1
        for _ in range(copies):
            if self.random.random() >= self.plan.loss:
                self._later(self._delay(), "datagram", host, data, flow.remote)

    def _stream(self, host: Host, data: bytes, flow: Flow) -> None:
        """In order and whole, but cut anywhere."""
        key = (host, flow.connection)
        at = max(self._stream_at.get(key, 0.0), self.now + self._delay())
        self._stream_at[key] = at
        cut = self.random.randrange(len(data) + 1)
        for part in (data[:cut], data[cut:]):
            if part:
                heappush(self._due, (at, next(self._order), ("bytes", host, part, flow.connection)))

    def _deliver(self, kind: object, host: Host, *rest: object) -> None:
        match (kind, *rest):
            case ("datagram", bytes(data), (str(to), int())):
                flow = Flow("udp", (to, 5060), (host, 5060), 0)
                self.stacks[to].receive(data, flow, self.now)
            case ("connect", Target() as target):
                self._connect(host, target)
            case ("bytes", bytes(data), int(number)):
                end = self._ends.get((host, number))
                if end is not None:
                    self.stacks[end[0]].receive_stream(data, end[1], self.now)
            case ("break", int(number)):
                self._break(host, number)
            case _:
                raise AssertionError(kind)

    def _connect(self, host: Host, target: Target) -> None:
        if self._to_refuse:
            self._to_refuse = False
            self.stacks[host].send_failed(target, self.now, "refused")
            return
        ours, theirs = next(self._connections), next(self._connections)
        mine = Flow("tcp", (host, 40_000 + ours), (target.host, target.port), ours)
        other = Flow("tcp", (target.host, target.port), mine.local, theirs)
        self._ends[host, ours] = (target.host, other, mine)
        self._ends[target.host, theirs] = (host, mine, other)
        self.stacks[target.host].connected(other, self.now)
        self.stacks[host].connected(mine, self.now)
        if self.plan.break_after is not None and ours == 1:
            self._later(self.plan.break_after, "break", host, ours)

    def _break(self, host: Host, number: int) -> None:
        end = self._ends.pop((host, number), None)
        if end is not None:
            peer, theirs, mine = end
            del self._ends[peer, theirs.connection]
            self.stacks[host].disconnected(mine, self.now)
            self.stacks[peer].disconnected(theirs, self.now)

    def _close_all(self) -> None:
        for host, number in list(self._ends):
            self._break(host, number)
        self._settle()


TABLES = ("client transactions", "server transactions", "answered requests")

# How long each state lasts, seconds: RFC 3261 Table 4 and RFC 6026. (least, most) over UDP, then over TCP.
Bounds = tuple[float, float]
ANY: Bounds = (0.0, RINGING + B)
LASTS: dict[tuple[str, str], tuple[Bounds, Bounds]] = {
    ("ict", "CALLING"): ((0.0, B), (0.0, B)),
    ("ict", "PROCEEDING"): (ANY, ANY),  # until the user cancels, then 64*T1
    ("ict", "COMPLETED"): ((B, B), (0.0, 0.0)),  # D
    ("ict", "ACCEPTED"): ((B, B), (B, B)),  # M
    ("nict", "TRYING"): ((0.0, B), (0.0, B)),
    ("nict", "PROCEEDING"): ((0.0, B), (0.0, B)),
    ("nict", "COMPLETED"): ((T4, T4), (0.0, 0.0)),  # K
    ("ist", "PROCEEDING"): (ANY, ANY),
    ("ist", "COMPLETED"): ((0.0, B), (0.0, B)),  # H, ended by the ACK
    ("ist", "CONFIRMED"): ((T4, T4), (0.0, 0.0)),  # I
    ("ist", "ACCEPTED"): ((B, B), (B, B)),  # L
    ("nist", "TRYING"): ((0.0, B), (0.0, B)),
    ("nist", "PROCEEDING"): ((0.0, B), (0.0, B)),
    ("nist", "COMPLETED"): ((B, B), (0.0, 0.0)),  # J
}
# Figures 5 and 6 (with 6026's Accepted), 7 and 8. States that last no time over TCP are passed through unseen.
NEXT: dict[tuple[str, str], set[str]] = {
    ("ict", "CALLING"): {"PROCEEDING", "COMPLETED", "ACCEPTED", "TERMINATED"},
    ("ict", "PROCEEDING"): {"COMPLETED", "ACCEPTED", "TERMINATED"},
    ("ict", "COMPLETED"): {"TERMINATED"},
    ("ict", "ACCEPTED"): {"TERMINATED"},
    ("nict", "TRYING"): {"PROCEEDING", "COMPLETED", "TERMINATED"},
    ("nict", "PROCEEDING"): {"COMPLETED", "TERMINATED"},
    ("nict", "COMPLETED"): {"TERMINATED"},
    ("ist", "PROCEEDING"): {"COMPLETED", "ACCEPTED", "TERMINATED"},
    ("ist", "COMPLETED"): {"CONFIRMED", "TERMINATED"},
    ("ist", "CONFIRMED"): {"TERMINATED"},
    ("ist", "ACCEPTED"): {"TERMINATED"},
    ("nist", "TRYING"): {"PROCEEDING", "COMPLETED", "TERMINATED"},
    ("nist", "PROCEEDING"): {"COMPLETED", "TERMINATED"},
    ("nist", "COMPLETED"): {"TERMINATED"},
}


def kind_of(transaction: ClientTransaction | ServerTransaction) -> str:
    if isinstance(transaction, ClientTransaction):
        return "ict" if isinstance(transaction, InviteClientTransaction) else "nict"
    return "ist" if isinstance(transaction, InviteServerTransaction) else "nist"


def check_track(track: Track, reliable: bool) -> None:
    kind = kind_of(track.transaction)
    assert track.states[-1][0] == "TERMINATED", track
    for (state, since), (following, until) in zip(track.states, track.states[1:], strict=False):
        assert following in NEXT[kind, state], track
        least, most = LASTS[kind, state][reliable]
        assert least - 1e-6 <= until - since <= most + 1e-6, (kind, state, until - since, track)


@settings(max_examples=300, deadline=None)
@given(plans)
@example(Plan("udp", "INVITE", (180,), 200, 3.0, 2.9, 0.0, 1.0, 0.4, seed=1))
@example(Plan("udp", "INVITE", (), 486, 0.0, None, 1.0, 0.0, 0.0, seed=1))
@example(Plan("udp", "OPTIONS", (), 200, 0.3, None, 0.7, 1.0, 3.0, seed=1))
@example(Plan("udp", "INVITE", (180,), 486, 20.0, 3.1, 0.0, 0.0, 0.05, dead_after=2.0, seed=1))
@example(Plan("tcp", "INVITE", (180,), 486, 3.0, None, 0.0, 0.0, 0.05, break_after=1.0, seed=1))
@example(Plan("tcp", "INVITE", (180,), 200, 3.0, 0.1, 0.0, 0.0, 0.05, refuse=True, seed=1))
def test_every_transaction_ends_as_the_rfc_says(plan: Plan) -> None:
    net = Network(plan)
    net.run()
    reliable = plan.transport == "tcp"

    # No table entry, no timer, no connection left.
    for stack in net.stacks.values():
        assert not any(stack.sizes().values()), stack.sizes()
        assert stack.timers.next_deadline() is None

    # Every transaction went the RFC's ways in the RFC's times.
    for track in net.tracks.values():
        check_track(track, reliable)

    # The user heard exactly one end; a 2xx to INVITE may be told again, once for each time it came.
    (told,) = net.told.values()
    accepted = [end for end in told if end[0] == "2"]
    assert len(set(told)) == 1, told
    if not (plan.method == "INVITE" and accepted):
        assert len(told) == 1, told

    # A repetition is never taken for a new request.
    if plan.delay <= SHORT:
        assert len(net.arrived) <= 1
        assert net.cancelled <= 1

    # What is lost entirely fails in Timer B or F, and nobody heard of it.
    if plan.loss == 1.0 and not reliable:
        assert told == ["timeout"]
        assert net.arrived == []
    # A link without loss carries what the server said.
    if not disturbed(plan):
        expected = "487" if net.cancelled else str(plan.final)
        assert told[0] == expected


def disturbed(plan: Plan) -> bool:
    if plan.transport == "tcp":
        return plan.refuse or plan.break_after is not None
    return plan.loss > 0.0 or plan.delay > SHORT or plan.dead_after is not None


def test_both_client_states_and_server_states_are_reached() -> None:
    """The property would prove nothing if its runs never got anywhere."""
    seen: set[str] = set()
    rng = random.Random(5)
    for seed in range(60):
        plan = Plan(
            rng.choice(["udp", "tcp"]),
            rng.choice(["INVITE", "OPTIONS"]),
            (180,),
            rng.choice([200, 486]),
            rng.choice([0.0, 0.3, 3.0]),
            rng.choice([None, 0.1]),
            rng.choice([0.0, 0.3]),
            0.2,
            0.05,
            seed=seed,
        )
        net = Network(plan)
        net.run()
        seen |= {f"{kind_of(t.transaction)} {state}" for t in net.tracks.values() for state, _ in t.states}
    wanted = {f"{kind} {state}" for kind, state in LASTS} | {
        f"{kind} TERMINATED" for kind in ("ict", "nict", "ist", "nist")
    }
    # Nobody sends a provisional response to what is not INVITE (RFC 4320).
    assert wanted - seen == {"nict PROCEEDING", "nist PROCEEDING"}
    assert {ClientState.UNSENT.name} & {s.split()[1] for s in seen} == set()


def _own_address(host: Host):  # type: ignore[no-untyped-def]
    return lambda transport, remote: (host, 5060)
