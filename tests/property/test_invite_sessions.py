"""Two user agents under any sequence of application actions, over a network that loses, doubles and reorders.

What must hold, whatever happens:
- offers never overlap and answers never lack an offer: `OfferAnswer` raises where one would (RFC 3264 4);
- when both sides stand confirmed and nothing is under way, both have agreed on the same pair of descriptions;
- every session ends with exactly one last event, and nothing follows it;
- after the end no session, dialog, transaction or timer is left on either side.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from virtual_link import Link, Node, Seen, sdp

from sip.invite import InviteSession, State
from sip.ua import UaSettings
from sip.ua_events import (
    Cancelled,
    Offered,
    SessionArrived,
    SessionEnded,
    SessionFailed,
    UaEvent,
)

LAST = (SessionEnded, SessionFailed, Cancelled)
ALLOW_NO_UPDATE = ("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "INFO", "OPTIONS")


class Application:
    """Acts on the sessions of one node, and keeps the rules an application must keep."""

    def __init__(self, node: Node, name: str) -> None:
        self.node = node
        self.name = name
        self.version = 0
        self.session: InviteSession | None = None
        self.lasts: dict[int, UaEvent] = {}
        self.said_sdp = False
        node.on_event = self.told

    def told(self, event: UaEvent, now: float) -> None:
        session = getattr(event, "session", None)
        assert session is not None
        assert session.id not in self.lasts, f"{event} after {self.lasts[session.id]}"
        if isinstance(event, SessionArrived):
            self.session = session
            self.said_sdp = False
        elif isinstance(event, LAST):
            self.lasts[session.id] = event
        elif isinstance(event, Offered):
            assert session.offer_pending

    def description(self) -> bytes:
        self.version += 1
        return sdp(self.name, self.version)

    def act(self, action: str, now: float) -> None:
        """Do it where an application may; nothing otherwise."""
        session = self.session
        if session is None or session.over:
            return
        getattr(self, "do_" + action)(session, now)

    # --- actions --------------------------------------------------------------------------------------------

    def do_ring(self, session: InviteSession, now: float) -> None:
        if session.role == "uas" and session.state in (State.CALLING, State.EARLY):
            session.progress(180, None, now)

    def do_early_media(self, session: InviteSession, now: float) -> None:
        if session.role == "uas" and session.state in (State.CALLING, State.EARLY):
            session.progress(183, self.description(), now)

    def do_reliable(self, session: InviteSession, now: float) -> None:
        if session.role == "uas" and session.state in (State.CALLING, State.EARLY):
            session.progress(183, self.description(), now, reliable=True)

    def do_reliable_ring(self, session: InviteSession, now: float) -> None:
        if session.role == "uas" and session.state in (State.CALLING, State.EARLY):
            session.progress(180, None, now, reliable=True)

    def do_accept(self, session: InviteSession, now: float) -> None:
        if session.role == "uas" and session.state in (State.CALLING, State.EARLY):
            session.accept(self.description(), now)

    def do_reject(self, session: InviteSession, now: float) -> None:
        if session.role == "uas" and session.state in (State.CALLING, State.EARLY):
            session.reject(486, None, (), now)

    def do_cancel(self, session: InviteSession, now: float) -> None:
        if session.role == "uac" and session.state in (State.CALLING, State.EARLY):
            session.cancel(now)

    def do_hangup(self, session: InviteSession, now: float) -> None:
        session.hangup(now)

    def do_offer(self, session: InviteSession, now: float) -> None:
        if session.can_offer:
            session.offer(self.description(), now)

    def do_update(self, session: InviteSession, now: float) -> None:
        if session.can_offer:
            session.offer(self.description(), now, "UPDATE")

    def do_offerless(self, session: InviteSession, now: float) -> None:
        if session.can_offer and session.state is State.CONFIRMED:
            session.offer(None, now)

    def do_answer(self, session: InviteSession, now: float) -> None:
        if session.offer_pending:
            session.answer(self.description(), now)

    def do_refuse(self, session: InviteSession, now: float) -> None:
        if session.offer_pending:
            session.reject_offer(488, now)

    def do_info(self, session: InviteSession, now: float) -> None:
        if session.state is State.CONFIRMED:
            session.send_info("text/plain", b"x", now)

    def do_nothing(self, session: InviteSession, now: float) -> None:
        """Time passes."""


ACTIONS = [name[3:] for name in vars(Application) if name.startswith("do_")]
# Likelier actions, so that calls get far enough to be interesting.
WEIGHTED = ACTIONS + ["answer"] * 5 + ["accept"] * 2 + ["offer", "update", "reliable", "nothing"]

steps = st.lists(
    st.tuples(st.booleans(), st.sampled_from(WEIGHTED), st.sampled_from([0.0, 0.005, 0.03, 0.2, 0.7, 3.0, 35.0])),
    max_size=25,
)


def unreliable(seed: int, loss: float) -> Callable[[Seen], list[float]]:
    """Loses `loss` of the datagrams, doubles a tenth, and delays each copy by its own time: so they overtake."""
    chance = random.Random(seed)

    def fate(seen: Seen) -> list[float]:
        if chance.random() < loss:
            return []
        copies = 2 if chance.random() < 0.1 else 1
        return [chance.choice((0.002, 0.01, 0.05, 0.3)) for _ in range(copies)]

    return fate


def agreed(caller: InviteSession, callee: InviteSession) -> None:
    """Both stand, nothing is under way: each knows what the other said last."""
    ours, theirs = caller.dialog.exchange, callee.dialog.exchange
    assert ours.local is not None
    assert theirs.local is not None
    assert ours.repeats(theirs.local)
    assert theirs.repeats(ours.local)


def calm(session: InviteSession) -> bool:
    return session.state is State.CONFIRMED and session.can_offer


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=steps,
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.0, 0.1, 0.3]),
    offerless=st.booleans(),
    require=st.booleans(),
    updates=st.booleans(),
    interval=st.sampled_from([0, 90]),
)
def test_sessions_end_and_agree(
    steps: list[tuple[bool, str, float]],
    seed: int,
    loss: float,
    offerless: bool,
    require: bool,
    updates: bool,
    interval: int,
) -> None:
    """RFC 3261 12 to 15, 3262, 3264, 3311, 4028 together."""
    configured = (
        UaSettings(session_expires=interval) if updates else UaSettings(session_expires=interval, allow=ALLOW_NO_UPDATE)
    )
    link = Link(seed)
    link.fate = unreliable(seed, loss)
    nodes = link.node("192.0.2.1", configured), link.node("192.0.2.2", configured)
    caller, callee = Application(nodes[0], "a"), Application(nodes[1], "b")
    headers = (("Require", "100rel"),) if require else ()
    caller.session = nodes[0].call(nodes[1], b"" if offerless else caller.description(), headers)
    for by_caller, action, wait in steps:
        (caller if by_caller else callee).act(action, link.now)
        link.settle()
        link.run(wait)
    finish(link, caller, callee)


def finish(link: Link, caller: Application, callee: Application) -> None:
    """Answer what is owed, look at the agreement, hang up, and see that nothing is left."""
    for _ in range(30):
        for each in (caller, callee):
            each.act("answer", link.now)
            link.settle()
        link.run(3.0)
    one, two = caller.session, callee.session
    assert one is not None
    if two is not None and calm(one) and calm(two) and one.remote_tag == two.local_tag:
        agreed(one, two)
    for each in (caller, callee):
        each.act("hangup", link.now)
        link.settle()
        link.run(1.0)
    link.run(200.0)
    for each in (caller, callee):
        assert each.session is None or each.session.id in each.lasts
        each.node.assert_idle()


def corrupting(seed: int) -> Callable[[bytes], bytes]:
    """Now and then a byte changed, a header doubled, cut or moved: a peer that is broken, or means harm."""
    chance = random.Random(seed)

    def mangle(data: bytes) -> bytes:
        if chance.random() > 0.25:
            return data
        head, blank, body = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        at = chance.randrange(1, len(lines))
        match chance.randrange(5):
            case 0:
                lines.insert(chance.randrange(1, len(lines)), lines[at])
            case 1:
                lines.pop(at)
            case 2:
                where = chance.randrange(len(lines[at]))
                lines[at] = lines[at][:where] + bytes([chance.randrange(256)]) + lines[at][where + 1 :]
            case 3:
                name = lines[at].partition(b":")[0]
                lines[at] = name + b": " + chance.choice((b"", b'"', b"<", b"0", b"99999999999", b",,;;==", b"<sip:>"))
            case _:
                body = body[: chance.randrange(len(body) + 1)]
        return b"\r\n".join(lines) + blank + body

    return mangle


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps, seed=st.integers(0, 2**32), offerless=st.booleans(), require=st.booleans())
def test_nothing_a_peer_sends_breaks_a_session(
    steps: list[tuple[bool, str, float]], seed: int, offerless: bool, require: bool
) -> None:
    """Mangled messages raise nothing but what is answered, and leave nothing behind once both sides have hung up."""
    link = Link(seed)
    link.mangle = corrupting(seed)
    nodes = link.node("192.0.2.1"), link.node("192.0.2.2")
    caller, callee = Application(nodes[0], "a"), Application(nodes[1], "b")
    headers = (("Require", "100rel"),) if require else ()
    caller.session = nodes[0].call(nodes[1], b"" if offerless else caller.description(), headers)
    for by_caller, action, wait in steps:
        (caller if by_caller else callee).act(action, link.now)
        link.settle()
        link.run(wait)
    for node in nodes:
        for session in list(node.ua.sessions.values()):
            session.hangup(link.now)
        link.settle()
    link.run(300.0)
    for node in nodes:
        for session in list(node.ua.sessions.values()):
            session.hangup(link.now)
        link.settle()
    link.run(300.0)
    for node in nodes:
        node.assert_idle()
