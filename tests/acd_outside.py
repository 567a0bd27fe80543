"""The test double of docs/acd-contract.md: telephones, callers and customers, as a switch keeps them for the engine.

    outside.hear(what, outcome, state)      an input as it was told, or None for a tick, and what came of it

It carries out the effects, and asserts that the engine keeps its part: whatever it asks for makes sense to who does it,
and after each input the world outside is what `acd.resume` says that it has to be.
"""

from __future__ import annotations

from typing import Any

import msgspec

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.contact import ContactState
from acd.engine import Outcome
from acd.resume import resume
from acd.state import State

_NOBODY = ContactState("")


class Outside:
    """`lines`: contacts of which somebody is on the line; `dialled`: those for which an agent is only kept."""

    def __init__(self) -> None:
        self.lines: set[str] = set()
        self.dialled: set[str] = set()
        self.ringing: dict[int, e.Offer] = {}
        """Telephones that ring, and agents who are kept."""
        self.attempts: dict[str, e.CallCustomer] = {}
        """By callback: customers who are being called."""
        self.together: dict[str, list[str]] = {}
        """By contact: the agents who are on the line for it."""
        self.playing: set[str] = set()
        """Contacts to which something may be playing."""
        self._answered: e.Offer | None = None
        self._crossing = 0
        self._reached = ""

    def hear(self, what: i.AnyInput | None, outcome: Outcome, state: State) -> None:
        """What has happened outside is so before the effects, but that a caller is gone: an effect may cross that."""
        refused = any(isinstance(record.what, f.Refused) for record in outcome.records)
        self._answered, self._crossing, self._reached = None, 0, ""
        if isinstance(what, i.Accept | i.Reject | i.Unreachable):
            self._crossing = what.offer
        if not refused:
            self._happens(what)
        for effect in outcome.effects:
            self._do(effect, what, state.now)
        if not refused:
            self._is_over(what, state)
        self._check(state, what, outcome)

    # ---- what happens outside

    def _happens(self, what: i.AnyInput | None) -> None:
        match what:
            case i.Enqueue(contact=contact, kind=kind):
                assert not self.together.get(contact)
                (self.lines if kind == "call" else self.dialled).add(contact)
            case i.Take(contact=contact, agent=agent):
                self.lines.add(contact)
                self.dialled.discard(contact)
                self.together.setdefault(contact, []).append(agent)
            case i.HangUp(contact=contact):
                self.together.pop(contact, None)
            case i.Finish(contact=contact, agent=agent):
                self.together[contact].remove(agent)
            case i.Answered(contact=contact):
                self._reached = contact
                self.dialled.remove(contact)
                self.lines.add(contact)
            case i.Accept(offer=offer):
                self._answered = self.ringing.pop(offer)
                assert self._answered.kind != "reservation", "nothing rings there"
            case i.Reject(offer=offer) | i.Unreachable(offer=offer):
                del self.ringing[offer]
            case i.CustomerCalled(callback=callback, outcome="answered"):
                self._reached = self.attempts.pop(callback).contact
                self.lines.add(self._reached)
            case i.CustomerCalled(callback=callback):
                self._give_up(callback)
            case _:
                pass

    def _is_over(self, what: i.AnyInput | None, state: State) -> None:
        """Callers who have hung up, and attempts that were given up with them."""
        match what:
            case i.HangUp(contact=contact):
                self._gone(contact)
            case i.AskCallback(contact=contact) if contact:
                self._gone(contact)
            case i.Finish(contact=contact, how="hangup") if not self.together.get(contact):
                self._gone(contact)
            case _:
                pass

    def _gone(self, contact: str) -> None:
        self.lines.discard(contact)
        self.dialled.discard(contact)
        self.playing.discard(contact)
        self.together.pop(contact, None)

    def _give_up(self, callback: str) -> None:
        """A customer was not reached; an agent on the line hears that."""
        self.together.pop(self.attempts.pop(callback).contact, None)

    # ---- effects, carried out

    def _do(self, effect: e.AnyEffect, what: i.AnyInput | None, now: float) -> None:
        match effect:
            case e.Offer():
                self._ring(effect, now)
            case e.Withdraw(offer=offer, contact=contact, agent=agent):
                rings = self.ringing.pop(offer, None)
                assert rings is not None or offer == self._crossing, f"{effect}: it does not ring"
                assert rings is None or (rings.contact, rings.agent) == (contact, agent)
            case e.Connect():
                self._connect(effect)
            case e.TooLate(offer=offer):
                assert isinstance(what, i.Accept), "nobody has answered"
                assert what.offer == offer
                assert offer not in self.ringing
            case e.Announce(contact=contact):
                assert contact in self.lines, f"{effect}: nobody is on the line"
                assert not self.together.get(contact), f"{effect}: an agent has it"
                self.playing.add(contact)
            case e.StopAnnouncing(contact=contact):
                self.playing.discard(contact)  # whether anything plays or not
            case e.SendTo(contact=contact):
                assert contact in self.lines | self.dialled, f"{effect}: it is gone"
                assert not self.together.get(contact), f"{effect}: an agent has it"
                self._gone(contact)
            case e.CallCustomer():
                self._call(effect)
            case e.StopCalling(callback=callback, contact=contact):
                assert self.attempts[callback].contact == contact, f"{effect}: that is not called"
                self._give_up(callback)

    def _ring(self, offer: e.Offer, now: float) -> None:
        """A telephone; also of who was kept for a customer who has answered."""
        kept = self.ringing.pop(offer.offer, None)
        if kept is not None:
            assert kept.kind == "reservation", f"{offer}: it rings already"
            assert offer.contact == self._reached, f"{offer}: its customer has not answered"
            assert msgspec.structs.replace(kept, kind="call", deadline=offer.deadline) == offer
        for each in self.ringing.values():
            assert offer.agent != each.agent, f"{offer}: the agent is being offered {each.contact}"
            assert offer.address != each.address, f"{offer}: the telephone rings for {each.contact}"
        assert all(offer.agent not in agents for agents in self.together.values()), f"{offer}: it has a contact"
        assert not self.together.get(offer.contact), f"{offer}: an agent has it"
        assert offer.deadline > now
        assert offer.address
        if offer.kind == "call":
            assert offer.contact in self.lines, f"{offer}: the caller is gone"
        self.ringing[offer.offer] = offer

    def _connect(self, effect: e.Connect) -> None:
        """Who has answered; offer 0: who waits for the customer on the line."""
        contact, agent = effect.contact, effect.agent
        assert contact in self.lines, f"{effect}: the caller is gone"
        assert contact not in self.playing, f"{effect}: something is playing"
        if not effect.offer:
            assert self.together[contact] == [agent]
            return
        offer = self._answered
        assert offer is not None, f"{effect}: nobody has answered that"
        assert (offer.offer, offer.contact, offer.agent) == (effect.offer, contact, agent)
        assert not self.together.get(contact), f"{effect}: another agent has it"
        self.together[contact] = [agent]

    def _call(self, effect: e.CallCustomer) -> None:
        assert effect.callback not in self.attempts, f"{effect}: it is being called"
        assert effect.ring_seconds > 0.0
        if effect.agent:
            assert self._answered is not None
            assert (self._answered.agent, self._answered.contact) == (effect.agent, effect.contact)
            self.together[effect.contact] = [effect.agent]
        else:
            kept = [each.kind for each in self.ringing.values() if each.contact == effect.contact]
            assert kept == ["reservation"], f"{effect}: no agent is kept"
        self.attempts[effect.callback] = effect

    # ---- both sides agree

    def _check(self, state: State, what: i.AnyInput | None, outcome: Outcome) -> None:
        kinds = {type(each) for each in outcome.effects}
        if isinstance(what, i.Accept):
            led = {e.Connect, e.CallCustomer} if self._answered is not None else {e.TooLate}
            assert kinds & led or what.offer in self.ringing, "a telephone was answered, and nothing follows"
        if self._reached and not state.contacts.get(self._reached, _NOBODY).queue:
            assert kinds & {e.Connect, e.SendTo}, "a customer has answered, and nothing follows"
        kept = [each for each in self.ringing.values() if each.contact == self._reached]
        assert all(each.kind == "call" for each in kept), "a customer has answered, and who was kept is not rung"
        asked: list[Any] = resume(state, state.now)
        offers = {each.offer: each for each in asked if isinstance(each, e.Offer)}
        assert offers == self.ringing
        calls = {each.callback: (each.contact, each.agent) for each in asked if isinstance(each, e.CallCustomer)}
        assert calls == {name: (each.contact, self._agent(each)) for name, each in self.attempts.items()}
        talks = [(each.contact, each.agent) for each in asked if isinstance(each, e.Connect)]
        talks += [(contact, agent) for contact, agent in calls.values() if agent]
        assert sorted(talks) == sorted((name, agent) for name, there in self.together.items() for agent in there)
        there = {each.id for each in state.contacts.values() if each.kind != "callback"}
        assert there == (self.lines | self.dialled), (there, self.lines, self.dialled)

    def _agent(self, attempt: e.CallCustomer) -> str:
        return next(iter(self.together.get(attempt.contact, ())), "")
