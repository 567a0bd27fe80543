"""Calls of every kind against a model: random sequences of all that telephones and commands can do to calls, over six
parties, on the whole switch in virtual time.

After each step, when all is quiet: every party hears whom the model says and is played what the model says, nobody
who talks is left on a hold of somebody who has gone, no leg is without a contact nor a contact without a leg; at the
end everything is back to zero.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from softswitch import call_commands as commands
from softswitch.call_inviting import INVITE_SECONDS
from softswitch.call_moves import MAX_SUPERVISORS
from tests.property.call_model import Party, Talk, chosen
from tests.property.call_table import LOT, NUMBERS, SLOTS, CallTable
from tests.searches import shard_of

NOBODY = "999"
SHARDS = 4
EXAMPLES = 50  # of STEPS each, in each shard: 20,000 steps
STEPS = 100
LOTS = 250  # steps of each sequence drawn by lot


class Calls(CallTable):
    """All that telephones and commands can do to calls."""

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
            room = len(talk.supervisors) + len({each.number for each in talk.called_in}) < MAX_SUPERVISORS
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


@pytest.mark.parametrize("shard", range(SHARDS))
def test_calls_are_what_the_model_says(shard: int) -> None:
    run_state_machine_as_test(
        shard_of(Calls, shard),
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
    done: list[tuple[str, tuple[Any, ...]]] = []
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
    assert len({name for name, _ in done}) > len(rules) / 2, "the model was led into few states"
    calls.teardown()


def rule_of(name: str) -> Any:
    return getattr(Calls, name).hypothesis_stateful_rule
