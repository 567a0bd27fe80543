"""Whatever four telephones do with each other, each watcher has been told in the end how things stand, in documents
whose versions rise by one and of which no two are too close to each other."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from sip.invite import State
from softswitch import dialog_info, message_summary, presence_document
from softswitch.call_commands import (
    AnyCallCommand,
    Complete,
    Conference,
    Consult,
    Drop,
    Hold,
    Park,
    Resume,
    Return,
    Supervise,
    Swap,
    Transfer,
)
from softswitch.subscriptions import PACE
from tests.virtual.network import SWITCH, Phone, World
from tests.virtual.network import settings as configured
from tests.virtual.watchers import Lamp, Watcher, replaces
from tests.virtual_link import DELAY

NUMBERS = ("101", "102", "103", "104")
ACTIONS = (
    "dial", "dial", "dial", "dial group", "ring", "ring", "answer", "answer", "answer", "refuse", "hang up",
    "hold", "resume", "answer offer", "answer offer", *("command",) * 5, "pick up", "retrieve", "dnd", "mailbox",
    "register", "refresh", "stop", "wait",
)  # fmt: skip
COMMANDS: tuple[Callable[[str, str, str], AnyCallCommand], ...] = (
    Transfer,
    Consult,
    Consult,
    Consult,
    lambda call, by, _to: Park(call, by),
    lambda call, by, _to: Park(call, by),
    lambda call, by, _to: Complete(call, by),
    lambda call, by, _to: Conference(call, by),
    lambda call, by, _to: Swap(call, by),
    lambda call, by, _to: Return(call, by),
    lambda call, by, _to: Hold(call, by),
    lambda call, by, _to: Resume(call, by),
    lambda call, by, to: Supervise(call, by, "listen", to),
    Drop,
)
LIVE = (State.CALLING, State.EARLY, State.ACCEPTED, State.CONFIRMED)


FLOOR = configured(
    routes=[{"to": "200", "dial": ["102", "103"]}, {"to": "_70X", "retrieve": "{number}"}],
    parking={"lot": {"slots": ["701", "702"]}},
    extensions={number: {"groups": "all", "supervises": "all", "pick_up": "all"} for number in NUMBERS},
)


class Floor:
    """Four telephones that watch each other, and do as they are told, if they can."""

    def __init__(self, seed: int) -> None:
        self.world = World(FLOOR, seed=seed)
        self.dice = random.Random(seed)
        self.phones = [Watcher(self.world, number) for number in NUMBERS]
        packages = ("dialog", "dialog", "presence")
        self.lamps = [
            phone.watch(number, self.dice.choice(packages), 3600)
            for phone in self.phones
            for number in NUMBERS
            if self.dice.random() < 0.7
        ]
        self.lamps += [phone.watch("701", "dialog", 3600) for phone in self.phones[:2]]
        self.lamps.append(self.phones[0].watch("101", "message-summary", 3600))

    def session(self, *states: State, role: str = "") -> tuple[Phone, object] | None:
        found = [
            (phone, session)
            for phone in self.phones
            for session in phone.ua.sessions.values()
            if session.state in states and role in ("", session.role)
        ]
        return self.dice.choice(found) if found else None

    def act(self, action: str) -> None:
        dice, world = self.dice, self.world
        match action:
            case "dial" | "dial group":
                number = "200" if action == "dial group" else dice.choice(NUMBERS)
                privacy = (("Privacy", "id"),) if dice.random() < 0.2 else ()
                dice.choice(self.phones).dial(number, headers=privacy)
            case "dnd":
                world.switch.set_feature(dice.choice(NUMBERS), "dnd", dice.choice(("on", "off", None)))
            case "mailbox":
                world.switch.set_mailbox("101", dice.randrange(3), dice.randrange(3))
            case "register":
                world.switch.registrations.health(self._place(), dice.random() < 0.5)
            case "refresh":
                dice.choice(self.lamps).subscribe(3600)
            case "stop":
                lamp = dice.choice(self.lamps)
                if not lamp.last.state.over:
                    lamp.subscribe(0)
                self.lamps.remove(lamp)
                self.lamps.append(lamp.phone.watch(lamp.resource, lamp.package, 3600))
            case "command":
                talking = [each.call for each in world.runtime.calls.values() if each.call.talkers]
                if talking:
                    call = dice.choice(talking)
                    leg = world.runtime.legs.get(dice.choice(call.talkers))
                    by = leg.endpoint if leg is not None else "101"
                    self._command(dice.choice(COMMANDS)(call.contact.id, by, dice.choice(NUMBERS)))
            case "pick up" | "retrieve":
                self._take(action, dice.choice(self.phones))
            case "wait":
                world.run(dice.choice((0.3, 1.0, 35.0)))
            case _:
                self._on_session(action)

    def _place(self) -> tuple[str, str]:
        number = self.dice.choice(NUMBERS)
        [status] = [each for each in self.world.switch.registrations.status(self.world.now) if each.extension == number]
        return number, status.contact

    def _command(self, command: AnyCallCommand) -> None:
        try:
            self.world.runtime.command(command, self.world.now)
        except ValueError as refused:
            note(f"{command}: {refused}")
        self.world.link.settle()

    def _take(self, action: str, phone: Watcher) -> None:
        """By what its lamps say: what is parked is retrieved, what rings is picked up."""
        if action == "retrieve":
            phone.dial("701")
            return
        ringing = [
            dialog
            for lamp in phone.lamps.values()
            if lamp.package == "dialog"
            for dialog in lamp.last.dialogs
            if dialog.get("remote-tag") and dialog.get("local-tag")
        ]
        if ringing:
            phone.dial("101", headers=(("Replaces", replaces(self.dice.choice(ringing))),))

    def _on_session(self, action: str) -> None:
        waiting = self.session(State.CALLING, State.EARLY, role="uas")
        live = self.session(*LIVE)
        match action:
            case "ring" if waiting:
                waiting[0].do(waiting[1].progress, 180, None)  # type: ignore[attr-defined]
            case "answer" if waiting:
                waiting[0].do(waiting[1].accept, waiting[0].sdp())  # type: ignore[attr-defined]
            case "refuse" if waiting:
                waiting[0].do(waiting[1].reject, 486, None, ())  # type: ignore[attr-defined]
            case "hang up" if live:
                live[0].do(live[1].hangup)  # type: ignore[attr-defined]
            case "hold" | "resume" if live and live[1].can_offer:  # type: ignore[attr-defined]
                direction = "sendonly" if action == "hold" else "sendrecv"
                live[0].do(live[1].offer, live[0].sdp(direction=direction))  # type: ignore[attr-defined]
            case "answer offer" if live and live[1].offer_pending:  # type: ignore[attr-defined]
                live[0].do(live[1].answer, live[0].sdp())  # type: ignore[attr-defined]
            case _:
                note(f"nothing to {action}")

    # --- what holds --------------------------------------------------------------------------------------------

    def check(self, lamp: Lamp) -> None:
        """The document of its last NOTIFY is that of the state as it is."""
        switch, now = self.world.switch, self.world.now
        last = lamp.last
        assert lamp.response.status == 200
        assert not last.state.over
        state = switch.presence.state(lamp.resource, now)
        if lamp.package == "message-summary":
            expected = message_summary.write(lamp.resource, SWITCH, switch.mailboxes.counts(lamp.resource))
        elif lamp.package == "presence":
            expected = presence_document.write(lamp.resource, SWITCH, state)
        else:
            expected = dialog_info.write(lamp.resource, SWITCH, last.version, state, parties=True)
            assert [each.version for each in lamp.told] == list(range(len(lamp.told)))
        assert last.request.body == expected

    def check_lines(self) -> None:
        """What is told is what the telephones themselves have: their own dialogs, with their own tags."""
        for phone in self.phones:
            lines = self.world.switch.presence.state(phone.number, self.world.now).lines
            theirs = {
                session.call_id: session.local_tag for session in phone.ua.sessions.values() if session.state in LIVE
            }
            assert {line.call_id for line in lines} == set(theirs)
            # The tag of a telephone that has not rung yet is not known.
            assert all(line.local_tag in ("", theirs[line.call_id]) for line in lines)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(5, 40))
def test_the_last_word_to_each_watcher_is_the_state(seed: int, count: int) -> None:
    floor = Floor(seed)
    actions = [floor.dice.choice(ACTIONS) for _ in range(count)]
    note(str(actions))
    for action in actions:
        floor.act(action)
        floor.world.run(floor.dice.choice((0.0, 0.05, 0.3)))
    floor.world.run(2.0)
    floor.check_lines()
    for lamp in floor.lamps:
        floor.check(lamp)
    for phone in floor.phones:
        for session in list(phone.ua.sessions.values()):
            if not session.over:
                phone.do(session.hangup)
    floor.world.run(60.0)
    floor.world.runtime.hang_up_all(38, floor.world.now, "end")
    floor.world.run(60.0)
    assert len(floor.world.switch.presence) == 0
    for lamp in floor.lamps:
        floor.check(lamp)
        if lamp.package == "dialog":
            assert lamp.phases == ["terminated"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(5, 30))
def test_no_watcher_is_told_too_often_and_none_twice_the_same(seed: int, count: int) -> None:
    floor = Floor(seed)
    for _ in range(count):
        action = floor.dice.choice([each for each in ACTIONS if each not in ("refresh", "stop", "wait")])
        floor.act(action)
        floor.world.run(floor.dice.choice((0.0, 0.02, 0.1)))
    floor.world.run(2.0)
    for lamp in floor.lamps:
        moments = [each.at for each in lamp.told]
        # One that is too long for a datagram (RFC 3261 18.1.1) makes a connection first.
        assert all(later - earlier >= PACE - 2 * DELAY for earlier, later in pairwise(moments))
        if lamp.package == "dialog":
            bodies = [ElementTree.tostring(each.xml).replace(b'version="%d"' % each.version, b"") for each in lamp.told]
            assert all(before != after for before, after in pairwise(bodies))
