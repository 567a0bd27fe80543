"""Calls of every kind against a model: random sequences of all that telephones and commands can do to calls, over six
parties, on the whole switch in virtual time.

After each step, when all is quiet: every party hears whom the model says and is played what the model says, nobody
who talks is left on a hold of somebody who has gone, no leg is without a contact nor a contact without a leg; at the
end everything is back to zero.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from media.audio_commands import Music, Tone
from sip.invite import InviteSession, State
from sip.ua import UaSettings
from sip.ua_events import Offered, SessionArrived
from softswitch import call_commands as commands
from softswitch.call_inviting import INVITE_SECONDS
from softswitch.call_transfer import TransferRefused
from tests.virtual.network import Phone, World
from tests.virtual.network import settings as configured

NUMBERS = tuple(str(number) for number in range(101, 107))
NOBODY = "999"
LOT = "700"
SLOTS = ("701", "702")
SHARDS = 4
EXAMPLES = 50  # of STEPS each, in each shard: 20,000 steps
STEPS = 100
LOTS = 250  # steps of each sequence drawn by lot
QUIET = 0.6  # seconds after which nothing is under way any more

_ANSWERS = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


class Party:
    """A telephone's part in a call. `held`: it holds; `rings`: it has told that it rings."""

    def __init__(self, phone: Phone, session: InviteSession) -> None:
        self.phone = phone
        self.session = session
        self.held = False
        self.rings = False
        self.until = 0.0

    @property
    def number(self) -> str:
        return self.phone.number

    def __repr__(self) -> str:
        return f"{self.number}/{self.session.call_id[:6]}"


class Talk:
    """What the model knows of one call.

    floor: who talks; while others ring, who they ring for. ringing: who rings for it. aside, consulter: as in a
    consultation. waiting: who waits for how its transfer ends; by: its extension, again: whether that is rung yet.
    """

    def __init__(self, born: int, *floor: Party) -> None:
        self.born = born
        self.state = "ringing"
        self.floor = list(floor)
        self.ringing: list[Party] = []
        self.answered = False  # the first of the floor is
        self.aside: list[Party] = []
        self.consulter: Party | None = None
        self.left: list[Party] = []
        self.transfer = False
        self.waiting: Party | None = None
        self.by = ""
        self.again = False
        self.holders: set[Party] = set()
        self.supervisors: dict[Party, tuple[Party, str]] = {}
        self.called_in: dict[Party, tuple[Party, str]] = {}
        self.slot = ""

    def parties(self) -> list[Party]:
        waiting = [self.waiting] if self.waiting is not None else []
        return [*self.floor, *self.aside, *waiting, *self.ringing, *self.supervisors, *self.called_in]


class Calls(RuleBasedStateMachine):
    """The switch, six telephones, and the model."""

    def __init__(self) -> None:
        super().__init__()
        everybody = {"groups": ["all"], "supervises": ["all"], "supervision": "silent", "ring_timeout": 600}
        self.world = World(
            configured(
                extensions={number: dict(everybody) for number in NUMBERS},
                parking={"main": {"slots": list(SLOTS), "timeout": 86400, "announce": False}},
                routes=[{"to": LOT, "park": "main"}, {"to": "_70X", "retrieve": "{number}"}],
            )
        )
        self.phones = {number: self.world.phone(number, agent=UaSettings(refer=True)) for number in NUMBERS}
        self.talks: list[Talk] = []
        self.records = 0
        self.crowd = 0
        self.born = itertools.count()

    # ---- the hands --------------------------------------------------------------------------------------

    def quiet(self) -> None:
        """Let everything come to rest; telephones answer what they are offered. Who is called in rings for a while."""
        self._rest()
        for talk in self.talks:
            for party in [party for party in talk.called_in if self.world.now >= party.until]:
                del talk.called_in[party]

    def _rest(self) -> None:
        for _ in range(12):
            self.world.run(QUIET)
            answered = [self._answer_offers(phone) for phone in self.phones.values()]
            if not any(answered):
                return
        raise AssertionError("offers without an end")

    def _answer_offers(self, phone: Phone) -> bool:
        offers = [event for event in phone.events if isinstance(event, Offered)]
        phone.events[:] = [event for event in phone.events if not isinstance(event, Offered)]
        for offer in offers:
            party = self.party_of(phone, offer.session)
            if offer.session.over or not offer.session.offer_pending:
                continue
            asked = "sendrecv" if offer.sdp is None else direction_of(offer.sdp)
            mine = _ANSWERS[asked]
            if party is not None and party.held:
                mine = {"sendrecv": "sendonly", "recvonly": "inactive"}.get(mine, mine)
            phone.do(offer.session.answer, phone.sdp(direction=mine))
        return bool(offers)

    def party_of(self, phone: Phone, session: InviteSession) -> Party | None:
        for talk in self.talks:
            for party in talk.parties():
                if party.phone is phone and party.session is session:
                    return party
        return None

    def arrived(self, number: str) -> Party:
        phone = self.phones[number]
        session = [event for event in phone.events if isinstance(event, SessionArrived)][-1].session
        return Party(phone, session)

    def of(self, number: str) -> list[Party]:
        return [party for talk in self.talks for party in talk.parties() if party.number == number]

    def talk_of(self, party: Party) -> Talk:
        return next(talk for talk in self.talks if party in talk.parties())

    def contact_of(self, talk: Talk) -> str:
        party = next(iter(talk.parties()))
        legs = self.world.runtime.legs.values()
        return next(
            leg.call for leg in legs if leg.session is not None and leg.session.call_id == party.session.call_id
        )

    def command(self, made: Callable[[str], commands.AnyCallCommand], talk: Talk, allowed: bool) -> bool:
        """Do it, or see it refused where the model says so."""
        command = made(self.contact_of(talk))
        if not allowed:
            with pytest.raises(TransferRefused):
                self.world.runtime.command(command, self.world.now)
            return False
        self.world.runtime.command(command, self.world.now)
        self.world.link.settle()
        self.quiet()
        return True

    # ---- the model's moves ------------------------------------------------------------------------------

    def gone(self, talk: Talk) -> None:
        self.talks.remove(talk)

    def let_talk(self, talk: Talk, floor: list[Party]) -> None:
        talk.state, talk.floor, talk.ringing = "talking", floor, []
        talk.transfer, talk.waiting, talk.again = False, None, False
        talk.holders &= set(floor)
        there = {*floor, *talk.aside}
        for pending in (talk.supervisors,):
            for party in [party for party, (target, _) in pending.items() if target not in there]:
                del pending[party]

    def leaves(self, talk: Talk, party: Party) -> None:
        """A party is gone, by whatever way: what becomes of the others."""
        if party in talk.supervisors or party in talk.called_in:
            talk.supervisors.pop(party, None)
            talk.called_in.pop(party, None)
            return
        if party in talk.ringing:
            talk.ringing.remove(party)
            if not talk.ringing:
                self.nobody_answers(talk)
            return
        if party is talk.waiting:
            talk.waiting = None
            return
        talk.holders.discard(party)
        if party in talk.aside:
            talk.aside.remove(party)
            for each in [each for each, (target, _) in talk.supervisors.items() if target is party]:
                del talk.supervisors[each]
            if not talk.aside and talk.state == "talking":
                talk.consulter = None
            return
        assert party in talk.floor
        rest = [each for each in talk.floor if each is not party]
        if talk.state == "ringing" and talk.transfer and rest:
            talk.floor = rest
            talk.supervisors = {s: how for s, how in talk.supervisors.items() if how[0] is not party}
            return
        if talk.consulter is party and talk.aside:
            self.left_to_others(talk, rest)
        elif talk.state != "talking":
            self.gone(talk)
        elif talk.aside and rest == [talk.consulter]:
            self.returned(talk)
        elif len(rest) < 2:
            self.gone(talk)
        else:
            self.let_talk(talk, rest)

    def left_to_others(self, talk: Talk, rest: list[Party]) -> None:
        consulter, aside, talk.consulter, talk.aside = talk.consulter, talk.aside, None, []
        assert consulter is not None
        if talk.state == "talking":
            self.let_talk(talk, [*aside, *rest])
        else:
            talk.floor, talk.transfer, talk.by, talk.again = aside, True, consulter.number, False
            talk.supervisors = {s: how for s, how in talk.supervisors.items() if how[0] in talk.floor}

    def returned(self, talk: Talk) -> None:
        assert talk.consulter is not None
        floor, talk.aside = [talk.consulter, *talk.aside], []
        talk.consulter = None
        self.let_talk(talk, floor)

    def nobody_answers(self, talk: Talk) -> None:
        """Nobody has taken a call."""
        if talk.consulter is not None:
            if talk.aside:
                self.returned(talk)
            else:
                self.gone(talk)
        elif not talk.transfer:
            self.gone(talk)
        elif talk.waiting is not None:
            self.let_talk(talk, [*talk.floor, talk.waiting])
        elif len(talk.floor) > 1:
            self.let_talk(talk, talk.floor)
        elif not talk.again:
            talk.again = True
            talk.ringing = [self.arrived(talk.by)]
        else:
            self.gone(talk)

    def taken(self, talk: Talk, party: Party) -> None:
        """Somebody has taken a call."""
        if talk.consulter is None:
            self.let_talk(talk, [*talk.floor, party])
        else:
            consulter = talk.consulter
            self.let_talk(talk, [consulter, party])
            talk.consulter = consulter if talk.aside else None
        talk.answered = True

    # ---- telephones -------------------------------------------------------------------------------------

    @initialize(crowd=st.integers(0, 7), first=st.permutations(NUMBERS), talks=st.integers(1, 2))
    def begin(self, crowd: int, first: list[str], talks: int) -> None:
        """Some talk already; `crowd`: how many there have to be for one of them to hang up."""
        self.crowd = crowd
        for caller, called in zip(first[:talks], first[talks:], strict=False):
            self._dial(caller, called)
            self._answer(self.ringing()[0])

    @precondition(lambda self: len(self.talks) < 3)
    @rule(caller=st.integers(0, 99), called=st.integers(0, 99))
    def dial(self, caller: int, called: int) -> None:
        callers = [number for number in NUMBERS if len(self.of(number)) < 2]
        if callers:
            by = chosen(callers, caller)
            there = [number for number in NUMBERS if number != by and len(self.of(number)) < 3]
            self._dial(by, chosen([*there, NOBODY], called))

    def _dial(self, caller: str, called: str) -> None:
        session = self.phones[caller].dial(called)
        self.quiet()
        if called == NOBODY:
            assert session.over
            self.records += 1
            return
        talk = Talk(next(self.born), Party(self.phones[caller], session))
        talk.ringing = [self.arrived(called)]
        self.talks.append(talk)

    def ringing(self) -> list[Party]:
        return [party for talk in self.talks for party in (*talk.ringing, *talk.called_in)]

    @precondition(lambda self: self.ringing())
    @rule(pick=st.integers(0, 99))
    def ring(self, pick: int) -> None:
        party = chosen(self.ringing(), pick)
        if not party.rings:
            party.phone.do(party.session.progress, 180, None)
            party.rings = True
        self.quiet()

    @precondition(lambda self: self.ringing())
    @rule(pick=st.integers(0, 99))
    def answer(self, pick: int) -> None:
        self._answer(chosen(self.ringing(), pick))

    def _answer(self, party: Party) -> None:
        talk = self.talk_of(party)
        party.phone.do(party.session.accept, party.phone.sdp())
        self.quiet()
        if party in talk.called_in:
            target, mode = talk.called_in.pop(party)
            if talk.state == "talking" and target in (*talk.floor, *talk.aside):
                talk.supervisors[party] = (target, mode)
        else:
            talk.ringing.remove(party)
            self.taken(talk, party)

    @precondition(lambda self: self.ringing() and len(self.parties()) > self.crowd)
    @rule(pick=st.integers(0, 99), status=st.sampled_from([486, 480, 603]))
    def refuse(self, pick: int, status: int) -> None:
        party = chosen(self.ringing(), pick)
        party.phone.do(party.session.reject, status, None, ())
        self.quiet()
        self.leaves(self.talk_of(party), party)

    def established(self) -> list[Party]:
        return [p for talk in self.talks for p in talk.parties() if p not in talk.ringing and p not in talk.called_in]

    def parties(self) -> list[Party]:
        return [party for talk in self.talks for party in talk.parties()]

    @precondition(lambda self: self.established() and len(self.parties()) > self.crowd)
    @rule(pick=st.integers(0, 99))
    def hang_up(self, pick: int) -> None:
        party = chosen(self.established(), pick)
        party.phone.do(party.session.hangup)
        self.quiet()
        self.leaves(self.talk_of(party), party)

    @precondition(lambda self: self.established() and len(self.parties()) > self.crowd)
    @rule(pick=st.integers(0, 99))
    def falls_silent(self, pick: int) -> None:
        """Nothing comes any more from one of a call; where two talk, or one waits alone, that ends it."""
        party = chosen(self.established(), pick)
        talk = self.talk_of(party)
        stream = self.streams().get(party)
        if stream is None or (talk.state == "ringing" and not talk.answered):
            return
        self.world.silence(stream, 60.0)
        self.quiet()
        alone = party in talk.aside or party in talk.supervisors or party is talk.waiting or len(talk.floor) > 2
        # In a consultation the others are left to each other, or to who called them.
        alone = alone or bool(talk.aside) or (talk.state == "ringing" and len(talk.floor) > 1)
        if alone:
            self.leaves(talk, party)
        else:
            self.gone(talk)

    @precondition(lambda self: self.established())
    @rule(pick=st.integers(0, 99))
    def hold_by_telephone(self, pick: int) -> None:
        party = chosen(self.established(), pick)
        talk = self.talk_of(party)
        if talk.state != "talking" or party not in talk.floor or not party.session.can_offer:
            return
        party.held = not party.held
        party.phone.do(party.session.offer, party.phone.sdp(direction="sendonly" if party.held else "sendrecv"))
        self.quiet()

    def two(self) -> list[Party]:
        """Those of two who talk, with nobody aside."""
        return [p for t in self.talks for p in t.floor if t.state == "talking" and len(t.floor) == 2 and not t.aside]

    def leavers(self) -> list[Party]:
        """Those who may leave the others to somebody else."""
        return [party for party in self.talking() if not self.talk_of(party).aside]

    @precondition(lambda self: self.leavers())
    @rule(pick=st.integers(0, 99), to=st.sampled_from((*NUMBERS, NOBODY, LOT)), command=st.booleans())
    def blind_transfer(self, pick: int, to: str, command: bool) -> None:
        party = chosen(self.leavers(), pick)
        talk = self.talk_of(party)
        stay = [each for each in talk.floor if each is not party]
        if to != LOT and len(self.of(to)) > 2:
            return
        if command:
            may = self.may(talk, party, to) and to != NOBODY
            if not self.command(lambda c: commands.Transfer(c, party.number, to), talk, may):
                return
        else:
            party.phone.do(party.session.refer, f"<sip:{to}@192.0.2.1>", None)
            self.quiet()
            if to == party.number:
                return
        talk.holders &= set(stay) if len(stay) > 1 else set()
        if to == NOBODY or (to == LOT and len(stay) > 1):
            return  # back at once
        if to == LOT:
            self.parks(talk, party, stay[0])
            return
        talk.state, talk.transfer, talk.waiting, talk.by, talk.again = "ringing", True, party, party.number, False
        talk.floor = stay
        talk.ringing = [self.arrived(to)]

    def may(self, talk: Talk, party: Party, to: str) -> bool:
        return to != party.number and self.named_once(talk, party)

    @staticmethod
    def named_once(talk: Talk, party: Party) -> bool:
        """Commands name a party by its extension: that must be in the call once."""
        return [each.number for each in talk.parties()].count(party.number) == 1

    def parks(self, talk: Talk, party: Party, stays: Party) -> None:
        slot = next((each for each in SLOTS if each not in [t.slot for t in self.talks]), "")
        if not slot:
            return  # back at once
        talk.state, talk.floor, talk.slot, talk.holders = "parked", [stays], slot, set()
        talk.supervisors = {s: how for s, how in talk.supervisors.items() if how[0] is stays}

    def pairs(self) -> list[tuple[Party, Party]]:
        """Those whose telephone is in two calls that it may leave to each other: (the one it refers, the other one)."""
        found = []
        for one in self.talking():
            for other in self.of(one.number):
                here, there = self.talk_of(one), self.talk_of(other)
                if here is there or here.aside or there.aside:
                    continue
                if there.state == "talking" and other in there.floor and len(here.floor) + len(there.floor) < 6:
                    found += [(one, other)] if min(len(here.floor), len(there.floor)) == 2 else []
                elif there.floor == [other] and not there.answered and any(each.rings for each in there.ringing):
                    found.append((one, other))
        return found

    @precondition(lambda self: self.pairs())
    @rule(pick=st.integers(0, 99))
    def attended_transfer(self, pick: int) -> None:
        one, other = chosen(self.pairs(), pick)
        here, there = self.talk_of(one), self.talk_of(other)
        call_id, local_tag, remote_tag = other.session.dialog.id
        replaces = f"{call_id}%3Bto-tag%3D{remote_tag}%3Bfrom-tag%3D{local_tag}".replace("@", "%40")
        one.phone.do(one.session.refer, f"<sip:x@192.0.2.1?Replaces={replaces}>", None)
        self.quiet()
        stay = [each for each in here.floor if each is not one]
        self.records += 1
        if there.state == "ringing":
            here.state, here.transfer, here.waiting, here.by, here.again = "ringing", True, one, one.number, False
            here.floor, here.ringing = stay, there.ringing
            here.holders &= set(stay) if len(stay) > 1 else set()
            self.gone(there)
            return
        come = [each for each in there.floor if each is not other]
        # Of two calls of two the older one goes on: that decides who is supervised on.
        if len(there.floor) == 2 and (len(here.floor) > 2 or here.born < there.born):
            self.gone(there)
            self.let_talk(here, [come[0] if each is one else each for each in here.floor])
        else:
            self.gone(here)
            self.let_talk(there, [stay[0] if each is other else each for each in there.floor])

    def to_be_picked_up(self) -> list[Party]:
        return [each for talk in self.talks for each in talk.ringing if each.rings]

    @precondition(lambda self: self.to_be_picked_up())
    @rule(pick=st.integers(0, 99), caller=st.integers(0, 99))
    def pick_up(self, pick: int, caller: int) -> None:
        """A telephone takes a call that rings at another, by its dialog (as after a look at its busy lamp field)."""
        party = chosen(self.to_be_picked_up(), pick)
        callers = [number for number in NUMBERS if len(self.of(number)) < 2]
        if not callers:
            return
        by = chosen(callers, caller)
        talk = self.talk_of(party)
        call_id, local_tag, remote_tag = party.session.dialog.id
        value = f"{call_id};to-tag={remote_tag};from-tag={local_tag}"
        session = self.phones[by].dial(party.number, headers=(("Replaces", value),))
        self.quiet()
        self.taken(talk, Party(self.phones[by], session))

    @precondition(lambda self: len(self.talks) > 2 or any(talk.slot for talk in self.talks))
    @rule(caller=st.integers(0, 99), slot=st.sampled_from(SLOTS))
    def retrieve(self, caller: int, slot: str) -> None:
        callers = [number for number in NUMBERS if len(self.of(number)) < 2]
        if not callers:
            return
        by = chosen(callers, caller)
        session = self.phones[by].dial(slot)
        self.quiet()
        talk = next((talk for talk in self.talks if talk.slot == slot), None)
        if talk is None:
            assert session.over
            self.records += 1
            return
        talk.slot = ""
        self.let_talk(talk, [talk.floor[0], Party(self.phones[by], session)])

    # ---- commands ---------------------------------------------------------------------------------------

    def talking(self) -> list[Party]:
        """Those who talk."""
        return [party for talk in self.talks for party in talk.floor if talk.state == "talking"]

    @precondition(lambda self: self.talking())
    @rule(pick=st.integers(0, 99), to=st.sampled_from(NUMBERS))
    def consult(self, pick: int, to: str) -> None:
        party = chosen(self.talking(), pick)
        talk = self.talk_of(party)
        if len(self.of(to)) > 2:
            return
        allowed = not talk.aside and to != party.number and self.named_once(talk, party)
        if self.command(lambda c: commands.Consult(c, party.number, to), talk, allowed):
            talk.state, talk.consulter = "ringing", party
            talk.aside, talk.floor = [each for each in talk.floor if each is not party], [party]
            talk.left = list(talk.aside)
            talk.holders = set()
            talk.ringing = [self.arrived(to)]

    def consulters(self) -> list[Party]:
        """Those who consult, and, to be refused, others who talk."""
        return [talk.consulter for talk in self.talks if talk.consulter is not None] or self.talking()

    def consults(self, party: Party, ringing: bool) -> bool:
        talk = self.talk_of(party)
        if party is not talk.consulter or not talk.aside or not self.named_once(talk, party):
            return False
        return ringing or talk.state == "talking"

    @precondition(lambda self: self.consulters())
    @rule(pick=st.integers(0, 99))
    def complete(self, pick: int) -> None:
        party = chosen(self.consulters(), pick)
        talk = self.talk_of(party)
        if self.command(lambda c: commands.Complete(c, party.number), talk, self.consults(party, ringing=True)):
            self.left_to_others(talk, [each for each in talk.floor if each is not party])

    @precondition(lambda self: self.consulters())
    @rule(pick=st.integers(0, 99))
    def return_(self, pick: int) -> None:
        party = chosen(self.consulters(), pick)
        talk = self.talk_of(party)
        if self.command(lambda c: commands.Return(c, party.number), talk, self.consults(party, ringing=True)):
            there = [each for each in (*talk.floor, *talk.aside) if each is not party]
            talk.aside = [each for each in there if each in talk.left] or talk.aside
            self.returned(talk)

    @precondition(lambda self: self.consulters())
    @rule(pick=st.integers(0, 99))
    def swap(self, pick: int) -> None:
        party = chosen(self.consulters(), pick)
        talk = self.talk_of(party)
        if self.command(lambda c: commands.Swap(c, party.number), talk, self.consults(party, ringing=False)):
            aside, talk.aside = talk.aside, [each for each in talk.floor if each is not party]
            self.let_talk(talk, [party, *aside])

    @precondition(lambda self: self.consulters())
    @rule(pick=st.integers(0, 99))
    def conference(self, pick: int) -> None:
        party = chosen(self.consulters(), pick)
        talk = self.talk_of(party)
        if self.command(lambda c: commands.Conference(c, party.number), talk, self.consults(party, ringing=False)):
            floor, talk.aside, talk.consulter = [*talk.floor, *talk.aside], [], None
            self.let_talk(talk, floor)

    @precondition(lambda self: self.talking())
    @rule(pick=st.integers(0, 99), who=st.integers(0, 99))
    def drop(self, pick: int, who: int) -> None:
        party = chosen(self.talking(), pick)
        talk = self.talk_of(party)
        dropped = chosen([*talk.floor, *talk.aside, *talk.supervisors], who)
        allowed = self.named_once(talk, party) and self.named_once(talk, dropped)
        if self.command(lambda c: commands.Drop(c, party.number, dropped.number), talk, allowed):
            self.leaves(talk, dropped)

    @precondition(lambda self: self.talking())
    @rule(pick=st.integers(0, 99))
    def hold(self, pick: int) -> None:
        party = chosen(self.talking(), pick)
        talk = self.talk_of(party)
        allowed = party not in talk.holders and self.named_once(talk, party)
        if self.command(lambda c: commands.Hold(c, party.number), talk, allowed):
            talk.holders.add(party)

    @precondition(lambda self: self.talking())
    @rule(pick=st.integers(0, 99))
    def resume(self, pick: int) -> None:
        party = chosen(self.talking(), pick)
        talk = self.talk_of(party)
        allowed = party in talk.holders and self.named_once(talk, party)
        if self.command(lambda c: commands.Resume(c, party.number), talk, allowed):
            talk.holders.discard(party)

    @precondition(lambda self: self.two())
    @rule(pick=st.integers(0, 99))
    def park(self, pick: int) -> None:
        party = chosen(self.two(), pick)
        talk = self.talk_of(party)
        [stays] = [each for each in talk.floor if each is not party]
        free = len([each for each in self.talks if each.slot]) < len(SLOTS)
        if self.command(lambda c: commands.Park(c, party.number), talk, free and self.named_once(talk, party)):
            self.parks(talk, party, stays)

    @precondition(lambda self: self.talking())
    @rule(pick=st.integers(0, 99), by=st.sampled_from(NUMBERS), mode=st.sampled_from(["listen", "whisper", "barge"]))
    def supervise(self, pick: int, by: str, mode: str) -> None:
        party = chosen(self.talking(), pick)
        talk = self.talk_of(party)
        inside = [each for each in talk.parties() if each.number == by]
        supervises = [each for each in inside if each in talk.supervisors]
        if not inside:
            named = [each.number for each in talk.floor].count(party.number) == 1
            room = len(talk.supervisors) < 4
            allowed = named and room and len(self.of(by)) < 3
            if not allowed and named and room:
                return
        else:
            allowed = inside == supervises and len(inside) == 1
        made = commands.Supervise("", by, mode, party.number)  # type: ignore[arg-type]

        def command(contact: str) -> commands.AnyCallCommand:
            made.call = contact
            return made

        if len(inside) > 1 or (inside and inside[0] in (*talk.called_in, *talk.ringing)):
            return  # which of them is meant is nobody's guess
        asked = self.world.now
        if self.command(command, talk, allowed):
            if supervises:
                talk.supervisors[supervises[0]] = (talk.supervisors[supervises[0]][0], mode)
            else:
                called = self.arrived(by)
                called.until = asked + INVITE_SECONDS
                talk.called_in[called] = (party, mode)

    # ---- what has to be true ----------------------------------------------------------------------------

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        self.no_leg_without_a_contact_and_no_contact_without_a_leg()
        self.everybody_hears_whom_they_are_to_hear()
        self.everybody_is_played_what_they_are_to_hear()
        self.nobody_who_talks_is_left_on_a_hold()

    def streams(self) -> dict[Party, int]:
        ids = {leg.session.call_id: leg.id for leg in self.world.runtime.legs.values() if leg.session is not None}
        return {p: ids[p.session.call_id] for t in self.talks for p in t.parties() if p.session.call_id in ids}

    def everybody_hears_whom_they_are_to_hear(self) -> None:
        streams = self.streams()
        names = {stream: party for party, stream in streams.items()}
        heard = {names[s]: {names[o] for o in others} for s, others in self.world.media.hearing().items() if others}
        expected: dict[Party, set[Party]] = {}
        for talk in self.talks:
            for party, others in hearing(talk).items():
                if others:
                    expected[party] = others
        assert heard == expected

    def everybody_is_played_what_they_are_to_hear(self) -> None:
        names = {stream: party for party, stream in self.streams().items()}
        playing = {names[stream]: sources for stream, sources in self.world.media.playing().items()}
        expected: dict[Party, list[object]] = {}
        for talk in self.talks:
            expected |= {party: [source] for party, source in played(talk).items()}
        assert playing == expected

    def nobody_who_talks_is_left_on_a_hold(self) -> None:
        """Never one-way audio: who does not hold, and whose partners do not, sends and receives."""
        streams = self.streams()
        for talk in self.talks:
            if talk.state != "talking":
                continue
            for party in talk.floor:
                others_hold = len(talk.floor) == 2 and any(each.held for each in talk.floor)
                if party.held or others_hold:
                    continue
                agreed = self.world.runtime.legs[streams[party]].media.agreed
                assert agreed is not None
                assert (agreed.direction, agreed.peer_direction) == ("sendrecv", "sendrecv"), party

    def no_leg_without_a_contact_and_no_contact_without_a_leg(self) -> None:
        runtime = self.world.runtime
        streams = self.streams()
        assert set(runtime.legs) == set(streams.values())
        assert len(runtime.calls) == len(self.talks)
        for talk in self.talks:
            contacts = {runtime.legs[streams[party]].call for party in talk.parties()}
            assert len(contacts) == 1
            active = runtime.calls[contacts.pop()]
            assert sorted(active.call.legs()) == sorted(streams[party] for party in talk.parties())
        sessions = {id(session) for phone in self.phones.values() for session in phone.ua.sessions.values()}
        assert sessions == {id(party.session) for talk in self.talks for party in talk.parties()}

    def teardown(self) -> None:
        for phone in self.phones.values():
            for session in list(phone.ua.sessions.values()):
                if session.role == "uas" and session.state is not State.CONFIRMED:
                    phone.do(session.reject, 480, None, ())
                else:
                    phone.do(session.hangup)
        self.world.run(700.0)
        assert self.world.node.leftovers() == {}
        super().teardown()


def hearing(talk: Talk) -> dict[Party, set[Party]]:
    """Whom each party of a call is to hear."""
    talkers = talk.floor if talk.state == "talking" or talk.answered else []
    members = [*talkers, *talk.supervisors]
    mixed = len(members) > 2 or talk.state != "talking"
    several = len(talkers) > (2 if talk.state == "talking" else 1)  # who holds is heard by nobody
    deaf = talk.holders
    mute = set(talk.holders) | ({each for each in talkers if each.held} if several else set())
    heard: dict[Party, set[Party]] = {party: set() for party in talk.parties()}
    if len(members) == 2 and not mixed:
        one, other = members
        if not deaf:
            heard[one], heard[other] = {other}, {one}
    else:
        for ear in members:
            for mouth in members:
                if ear is mouth or ear in deaf or mouth in mute:
                    continue
                target, mode = talk.supervisors.get(mouth, (None, "barge"))
                if mode == "barge" or (mode == "whisper" and ear is target):
                    heard[ear].add(mouth)
    if len(talk.aside) > 1:
        for party in talk.aside:
            heard[party] = {each for each in talk.aside if each is not party}
    return heard


def played(talk: Talk) -> dict[Party, object]:
    """What each party of a call is to be played."""
    music: object = Music("default")
    plays: dict[Party, object] = {}
    if len(talk.aside) == 1:
        plays[talk.aside[0]] = music
    rings = any(each.rings for each in talk.ringing)
    if talk.state == "parked":
        plays[talk.floor[0]] = music
    elif talk.state == "ringing" and talk.transfer and len(talk.floor) == 1:
        plays[talk.floor[0]] = Tone("ringback") if rings else music
    elif talk.state == "ringing" and talk.consulter is not None and rings:
        plays[talk.floor[0]] = Tone("ringback")
    elif talk.state == "talking" and len(talk.floor) == 2:
        for party, other in (talk.floor, talk.floor[::-1]):
            if other in talk.holders and party not in talk.holders and not party.held:
                plays[party] = music
    return plays


def chosen(those: list[Any], pick: int) -> Any:
    return those[pick % len(those)]


def direction_of(sdp: bytes) -> str:
    return next((each for each in _ANSWERS if f"a={each}".encode() in sdp), "sendrecv")


@pytest.mark.parametrize("shard", range(SHARDS))
def test_calls_are_what_the_model_says(shard: int) -> None:
    run_state_machine_as_test(
        Calls,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


MODES = ("listen", "whisper", "barge")


def makers(random: Random) -> dict[str, Callable[[], tuple[Any, ...]]]:
    """The rules, and what makes arguments for each."""

    def number() -> int:
        return random.randrange(100)

    alone = "ring answer hang_up falls_silent hold_by_telephone attended_transfer complete return_ swap conference hold"
    return {
        **dict.fromkeys([*alone.split(), "resume", "park"], lambda: (number(),)),
        **dict.fromkeys(["dial", "pick_up", "drop"], lambda: (number(), number())),
        "refuse": lambda: (number(), random.choice([486, 480, 603])),
        "blind_transfer": lambda: (number(), random.choice((*NUMBERS, NOBODY, LOT)), random.random() < 0.5),
        "retrieve": lambda: (number(), random.choice(SLOTS)),
        "consult": lambda: (number(), random.choice(NUMBERS)),
        "supervise": lambda: (number(), random.choice(NUMBERS), random.choice(MODES)),
    }


@pytest.mark.parametrize("seed", range(40))
def test_by_lot(seed: int) -> None:
    """Each rule that may be used as often as any other: hypothesis has favourites."""
    random = Random(seed)
    rules = makers(random)
    calls = Calls()
    begin = Calls.begin.hypothesis_stateful_initialize_rule  # type: ignore[attr-defined]
    begin.function(calls, random.randrange(8), random.sample(NUMBERS, 6), random.choice((1, 2)))
    done = []
    for _ in range(LOTS):
        may = [name for name in rules if all(ok(calls) for ok in rule_of(name).preconditions)]
        name = random.choice(may)
        arguments = rules[name]()
        done.append((name, arguments))
        try:
            rule_of(name).function(calls, *arguments)
            calls.all_is_as_the_model_says()
        except BaseException:
            print(*done, sep="\n")
            raise
    calls.teardown()


def rule_of(name: str) -> Any:
    return getattr(Calls, name).hypothesis_stateful_rule
