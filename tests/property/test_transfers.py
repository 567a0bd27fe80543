"""Transfers at random over a lossy network: whatever happens when, every end is told and nothing is left."""

from __future__ import annotations

import random
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from virtual_link import ANSWER, DELAY, Link, Node, Seen

from sip.errors import SipError
from sip.invite import InviteSession
from sip.notifier import ReceivedRefer, Stage
from sip.ua import UaSettings
from sip.ua_events import ReferAnswered, ReferProgress, ReferReceived, SessionEnded

SETTINGS = UaSettings(refer=True, session_expires=0)
ACTIONS = ("refer", "quiet", "accept", "reject", "notify", "over", "bye", "wait")


def act(chance: random.Random, node: Node, session: InviteSession, tokens: list[int]) -> None:
    """One thing an application may do at any time."""
    now = node.link.now
    refers: list[ReceivedRefer] = [event.refer for event in node.of(ReferReceived)]
    refer = chance.choice(refers) if refers else None
    action = chance.choice(ACTIONS)
    if action in ("refer", "quiet") and not session.over:
        with suppress(SipError):  # so many at once
            tokens.append(session.refer("<sip:carol@192.0.2.3>", None, now, sub=action == "refer"))
    elif action == "bye" and chance.random() < 0.2:
        session.hangup(now)
    elif refer is not None and refer.stage is Stage.ASKED and action in ("accept", "reject"):
        if action == "accept":
            refer.accept(now)
        else:
            refer.reject(603, now)
    elif refer is not None and refer.stage is not Stage.ASKED and action in ("notify", "over"):
        refer.notify(180 if action == "notify" else 200, None, now)
    node.link.settle()


@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.2, 0.5]))
def test_every_end_is_told_and_nothing_is_left(seed: int, loss: float) -> None:
    chance = random.Random(seed)
    link = Link(seed)
    alice, bob = link.node("192.0.2.1", SETTINGS), link.node("192.0.2.2", SETTINGS)
    caller = alice.call(bob)
    link.run(0.05)
    callee = bob.session()
    bob.do(callee.accept, ANSWER)
    link.run(0.1)

    def fate(_: Seen) -> list[float]:
        return [DELAY * chance.uniform(0.5, 20) for _ in range(2) if chance.random() >= loss]

    link.fate = fate
    tokens: dict[Node, list[int]] = {alice: [], bob: []}
    for _ in range(chance.randint(1, 25)):
        node, session = chance.choice(((alice, caller), (bob, callee)))
        act(chance, node, session, tokens[node])
        link.run(chance.choice((0.0, 0.01, 0.1, 1.0, 20.0)))
    for node, session in ((alice, caller), (bob, callee)):
        node.do(session.hangup)
    link.run(600)
    for node in (alice, bob):
        node.assert_idle()
        assert len(node.of(SessionEnded)) == 1
        told = [event.token for event in node.of(ReferAnswered)]
        assert sorted(told) == tokens[node]
        over = [event.token for event in node.of(ReferProgress) if event.over]
        subscribed = {event.token for event in node.of(ReferAnswered) if event.subscribed}
        assert len(over) == len(set(over))
        assert subscribed <= set(over)
        for token in over:
            last = [event for event in node.of(ReferProgress) if event.token == token][-1]
            assert last.over
