"""INVITE with Replaces or Join: which session is meant, and what is refused inside (RFC 3891 3, RFC 3911 4)."""

from __future__ import annotations

import pytest
from virtual_link import ANSWER, Link, Node

from sip.invite import InviteSession
from sip.transfer_headers import Join, Replaces
from sip.ua import UaSettings
from sip.ua_events import SessionArrived, SessionFailed

KNOWING = UaSettings(replaces=True, join=True)


def ringing() -> tuple[Link, Node, Node, Node, InviteSession]:
    """Alice calls Bob, who rings; Carol is there."""
    link = Link()
    alice, bob, carol = (link.node(f"192.0.2.{n}", KNOWING) for n in (1, 2, 3))
    caller = alice.call(bob)
    link.run(0.05)
    bob.do(bob.session().progress, 180, None)
    link.run(0.05)
    bob.take()
    return link, alice, bob, carol, caller


def talking() -> tuple[Link, Node, Node, Node, InviteSession]:
    link, alice, bob, carol, caller = ringing()
    bob.do(bob.session().accept, ANSWER)
    link.run(0.1)
    bob.take()
    alice.take()
    return link, alice, bob, carol, caller


def name(session: InviteSession, more: str = "") -> str:
    """A dialog as its own side's peer would be told of it: to-tag is ours."""
    return f"{session.call_id};to-tag={session.local_tag};from-tag={session.remote_tag}{more}"


def call(link: Link, carol: Node, other: Node, *headers: tuple[str, str]) -> list[int]:
    """Carol calls; the statuses of failures."""
    carol.call(other, headers=headers)
    link.run(0.1)
    return [event.status for event in carol.of(SessionFailed)]


@pytest.mark.parametrize("header", ["Replaces", "Join"])
def test_matches_a_confirmed_dialog(header: str) -> None:
    """RFC 3891 3: to-tag against the local tag, from-tag against the remote one; on either side."""
    link, alice, bob, carol, caller = talking()
    callee = bob.session()
    for node, session in ((bob, callee), (alice, caller)):
        assert call(link, carol, node, (header, name(session))) == []
        (arrived,) = node.of(SessionArrived)
        assert arrived.matched is session
        found = arrived.replaces if header == "Replaces" else arrived.join
        kind = Replaces if header == "Replaces" else Join
        assert found == kind(session.call_id, session.local_tag, session.remote_tag)
        assert (arrived.join is None) == (header == "Replaces")


def test_no_match_is_for_the_application() -> None:
    link, _, bob, carol, _ = talking()
    callee = bob.session()
    swapped = f"{callee.call_id};to-tag={callee.remote_tag};from-tag={callee.local_tag}"
    assert call(link, carol, bob, ("Replaces", swapped)) == []
    (arrived,) = bob.of(SessionArrived)
    assert arrived.replaces is not None
    assert arrived.matched is None


def test_early_only() -> None:
    """RFC 3891 3: 486 when the dialog is confirmed; taken when it is early and ours."""
    link, alice, bob, carol, _ = talking()
    assert call(link, carol, bob, ("Replaces", name(bob.session(), ";early-only"))) == [486]
    assert bob.events == []
    link, alice, bob, carol, caller = ringing()
    assert call(link, carol, alice, ("Replaces", name(caller, ";early-only"))) == []
    (arrived,) = alice.of(SessionArrived)
    assert arrived.matched is caller


@pytest.mark.parametrize("header", ["Replaces", "Join"])
def test_early_dialog_of_the_peer(header: str) -> None:
    """RFC 3891 3, RFC 3911 4: an early dialog that the other side began: 481."""
    link, _, bob, carol, _ = ringing()
    assert call(link, carol, bob, (header, name(bob.session()))) == [481]
    assert bob.events == []


def test_terminated() -> None:
    """RFC 3891 3: 603 while anything of the ended dialog is left; then there is none."""
    link, alice, bob, carol, _ = talking()
    link.lose("200 BYE")
    callee = bob.session()
    bob.do(callee.hangup)
    named = name(callee)
    assert call(link, carol, bob, ("Replaces", named)) == [603]
    assert not bob.of(SessionArrived)
    assert alice.kinds() == ["SessionEnded"]


@pytest.mark.parametrize(
    "headers",
    [
        (("Replaces", "a;to-tag=1"),),
        (("Join", "a"),),
        (("Replaces", "a;to-tag=1;from-tag=2"), ("Join", "a;to-tag=1;from-tag=2")),
        (("Replaces", "a;to-tag=1;from-tag=2"), ("Replaces", "a;to-tag=1;from-tag=2")),
        (("Replaces", "a;to-tag=1;from-tag=2, a;to-tag=1;from-tag=2"),),
        (("Join", "a;to-tag=1;from-tag=2"), ("Join", "a;to-tag=1;from-tag=2")),
    ],
)
def test_malformed(headers: tuple[tuple[str, str], ...]) -> None:
    """RFC 3891 3, RFC 3911 4: 400 for malformed, both, several."""
    link, _, bob, carol, _ = talking()
    assert call(link, carol, bob, *headers) == [400]
    assert bob.events == []
    assert len(bob.ua.sessions) == 1


def test_option_tags() -> None:
    """RFC 3891 6.2, RFC 3911 7.2: understood in Require, and named in Supported, by the settings."""
    link, _, bob, carol, _ = talking()
    assert call(link, carol, bob, ("Require", "replaces, join")) == []
    assert {"replaces", "join"} <= link.seen("INVITE")[0].message.supported
    plain = link.node("192.0.2.4")
    assert call(link, carol, plain, ("Require", "replaces")) == [420]
    assert call(link, carol, plain, ("Replaces", "nonsense")) == [420]
    (arrived,) = plain.of(SessionArrived)
    assert arrived.replaces is arrived.matched is None


def test_null_tag() -> None:
    """RFC 3891 6.1: a tag of "0" means that there was none (a peer of RFC 2543)."""
    link, _, bob, carol, _ = talking()
    callee = bob.session()
    bob.ua.dialogs.pop(callee.dialog.id)
    callee.dialog.remote_tag = ""
    bob.ua.keep(callee.dialog, callee)
    assert call(link, carol, bob, ("Replaces", f"{callee.call_id};to-tag={callee.local_tag};from-tag=0")) == []
    assert bob.of(SessionArrived)[0].matched is callee


def test_attended_transfer() -> None:
    """RFC 5589 7: Carol's INVITE takes Bob's place with Alice; the old dialog ends by Alice's BYE. Nothing is left."""
    link, alice, bob, carol, caller = talking()
    replacing = carol.call(alice, headers=(("Replaces", name(caller)), ("Require", "replaces")))
    link.run(0.05)
    (arrived,) = alice.of(SessionArrived)
    alice.do(arrived.session.accept, ANSWER)
    assert arrived.matched is caller
    alice.do(arrived.matched.hangup)
    link.run(0.1)
    assert bob.kinds() == ["SessionEnded"]
    assert list(alice.ua.sessions.values()) == [arrived.session]
    carol.do(replacing.hangup)
    link.run(64)
    for node in (alice, bob, carol):
        node.assert_idle()
