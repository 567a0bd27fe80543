"""The switch with six telephones, and the model of their calls: what the model makes of what is done, and whether both
are alike."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant

from sip.invite import InviteSession, State
from sip.ua import UaSettings
from sip.ua_events import Offered, SessionArrived
from softswitch import call_commands as commands
from softswitch.call_transfer import TransferRefused
from tests.property.call_model import Party, Talk, hearing, played
from tests.virtual.network import Phone, World
from tests.virtual.network import settings as configured

NUMBERS = tuple(str(number) for number in range(101, 107))
LOT = "700"
SLOTS = ("701", "702")
QUIET = 0.6  # seconds after which nothing is under way any more
_ANSWERS = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


class CallTable(RuleBasedStateMachine):
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


def direction_of(sdp: bytes) -> str:
    return next((each for each in _ANSWERS if f"a={each}".encode() in sdp), "sendrecv")
