"""The user agent core: requests outside dialogs, look-ups, strays (RFC 3261 8.1, 22)."""

from __future__ import annotations

import gc
import sys

import pytest
from virtual_link import ANSWER, OFFER, Link, Node, answer_by_hand

from sip.digest import Credentials
from sip.effects import Target
from sip.message import Request, response_to
from sip.ua_events import RequestAnswered, RequestArrived, RequestFailed, SessionArrived

CHALLENGE = ("WWW-Authenticate", 'Digest realm="pbx", nonce="n1", algorithm=SHA-256, qop="auth"')


def pair() -> tuple[Link, Node, Node]:
    link = Link()
    return link, link.node("192.0.2.1"), link.node("192.0.2.2")


def ask(node: Node, other: Node, method: str, credentials: Credentials | None = None) -> int:
    request = Request(
        method, f"sip:{other.host}", [("From", f"<sip:alice@{node.host}>"), ("To", f"<sip:alice@{other.host}>")]
    )
    token = node.ua.request(request, node.link.now, Target("udp", other.host, 5060), "alice", credentials)
    node.link.settle()
    return token


def test_request_outside_a_dialog() -> None:
    """RFC 3261 8.1: what a request must have is added; the answer comes with its round-trip time."""
    link, alice, bob = pair()
    token = ask(alice, bob, "REGISTER")
    link.run(0.05)
    (arrived,) = bob.of(RequestArrived)
    request = arrived.request
    assert request.max_forwards == 70
    assert request.from_tag
    assert request.cseq.method == "REGISTER"
    assert request.contact is not None
    bob.ua.respond(arrived.transaction, response_to(request, 200, to_tag="t"), link.now)
    link.run(0.05)
    (answered,) = alice.of(RequestAnswered)
    assert (answered.token, answered.response.status) == (token, 200)
    assert answered.rtt == pytest.approx(0.06, abs=0.001)
    link.run(64)
    alice.assert_idle()
    bob.assert_idle()


def test_challenge_is_answered_inside_twice_at_most() -> None:
    """RFC 3261 22.2: the request goes again with credentials, CSeq one higher; THREATS 8."""
    link, alice, bob = pair()
    link.nodes.pop(bob.host)
    token = ask(alice, bob, "REGISTER", Credentials("alice", "secret", ""))
    for n in range(5):
        sent = link.seen("REGISTER")
        if len(sent) <= n:
            break
        stale = CHALLENGE[1].replace("n1", f"n{n}") + ", stale=true"
        answer_by_hand(alice, sent[n], 401, "t", headers=(("WWW-Authenticate", stale),))
    sent = link.seen("REGISTER")
    assert len(sent) == 3
    first = sent[0].message
    assert [s.message.cseq.number - first.cseq.number for s in sent] == [0, 1, 2]
    assert len({s.message.call_id for s in sent}) == 1
    assert 'nonce="n1"' in (sent[2].message.get("Authorization") or "")
    assert len(sent[2].message.values("Authorization")) == 1
    (answered,) = alice.of(RequestAnswered)
    assert (answered.token, answered.response.status) == (token, 401)


def test_challenge_without_credentials_is_the_answer() -> None:
    link, alice, bob = pair()
    link.nodes.pop(bob.host)
    ask(alice, bob, "OPTIONS")
    answer_by_hand(alice, link.seen("OPTIONS")[0], 401, "t", headers=(CHALLENGE,))
    assert alice.of(RequestAnswered)[0].response.status == 401


def test_no_answer() -> None:
    """RFC 3261 8.1.3.1: timeout."""
    link, alice, bob = pair()
    link.nodes.pop(bob.host)
    token = ask(alice, bob, "OPTIONS")
    link.run(33)
    assert [(event.token, event.cause) for event in alice.of(RequestFailed)] == [(token, "timeout")]
    alice.assert_idle()


def test_options_between_user_agents() -> None:
    """Qualify: OPTIONS answered inside, the round trip measured."""
    link, alice, bob = pair()
    ask(alice, bob, "OPTIONS")
    link.run(0.1)
    (answered,) = alice.of(RequestAnswered)
    assert answered.response.status == 200
    assert answered.rtt == pytest.approx(0.02, abs=0.001)
    assert bob.events == []


def test_look_up_and_user_slot() -> None:
    link, alice, bob = pair()
    caller = alice.call(bob)
    caller.user = 4711
    link.run(0.05)
    (arrived,) = bob.of(SessionArrived)
    assert alice.ua.session(caller.id) is caller
    assert bob.ua.session(arrived.session.id) is arrived.session
    assert alice.ua.session(999) is None
    assert caller.role == "uac"
    assert arrived.session.role == "uas"
    assert arrived.session.user is None


def test_strays_do_nothing() -> None:
    """An ACK of no dialog, a response to nothing of ours."""
    link, _, bob = pair()
    bob.inject(
        "ACK sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:b@192.0.2.2>;tag=2\r\nCall-ID: c\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    assert link.wire == []
    assert bob.events == []


def test_late_2xx_after_the_session_is_gone_is_acked_and_byed() -> None:
    """RFC 3261 13.2.2.4: a branch that answers after all is over is still acknowledged, and ended."""
    link, alice, bob = pair()
    link.nodes.pop(bob.host)
    session = alice.call(bob)
    (invite,) = link.seen("INVITE")
    answer_by_hand(alice, invite, 200, "one", ANSWER)
    alice.do(session.hangup)
    answer_by_hand(alice, link.seen("BYE")[0], 200, "one")
    assert not alice.ua.sessions
    answer_by_hand(alice, invite, 200, "two", ANSWER)
    assert [seen.message.to_tag for seen in link.seen("ACK")] == ["one", "two"]
    assert [seen.message.to_tag for seen in link.seen("BYE")] == ["one", "two"]


def test_a_session_that_has_ended_is_freed_by_reference_counting() -> None:
    """Rules everywhere: no cycle is left per call, so that memory needs no collector."""
    link, alice, bob = pair()
    caller = alice.call(bob)
    link.run(0.05)
    callee = bob.session()
    bob.do(callee.progress, 183, ANSWER)
    link.run(0.05)
    bob.do(callee.accept, None)
    link.run(0.05)
    alice.do(caller.offer, OFFER + b"a=1\r\n")
    link.run(0.05)
    bob.do(callee.answer, ANSWER + b"a=1\r\n")
    link.run(0.05)
    bob.do(callee.hangup)
    link.run(100)
    alice.assert_idle()
    bob.assert_idle()
    alice.take()
    bob.take()
    gc.collect()
    assert len(gc.get_referrers(caller)) <= 1
    assert sys.getrefcount(caller) == 2
    assert sys.getrefcount(callee) == 2


def test_memory_of_an_established_session() -> None:
    """At most 5 kB per session, dialog and kept strings included."""
    link, alice, bob = pair()
    sessions = []
    for _ in range(20):
        sessions.append(alice.call(bob))
        link.run(0.05)
        for each in list(bob.ua.sessions.values()):
            if each.remote_offer is not None:
                bob.do(each.accept, ANSWER)
        link.run(0.05)
    link.run(40)
    alice.take()
    bob.take()
    link.wire.clear()
    for node in (alice, bob):
        shared = {id(x) for x in (node.ua, node.stack, node.ua.settings, node.ua.ids, link)}
        for session in node.ua.sessions.values():
            assert _size(session, shared) < 5_000


def _size(thing: object, seen: set[int]) -> int:
    """Bytes of everything reachable that is not shared."""
    if id(thing) in seen or isinstance(thing, type | type(gc)) or callable(thing):
        return 0
    seen.add(id(thing))
    return sys.getsizeof(thing) + sum(_size(each, seen) for each in _parts(thing))


def _parts(thing: object) -> list[object]:
    if isinstance(thing, dict):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, list | tuple | set | frozenset):
        return list(thing)
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    return [getattr(thing, name, None) for name in slots if name != "_heap"]
