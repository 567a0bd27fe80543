"""Why a contact went to this agent and not to another, in plain words, out of the journal.

The journal is folded up to each record that the contact has a part in; what is told is the record, and what the state
was at that moment: who could have had the contact, who was ready, and what the others were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from acd import facts as f
from acd.contact import ContactState
from acd.explain_words import RANKS, REACHED, clipped, plural, seconds, standing
from acd.fold import apply
from acd.journal import JournalError, is_input
from acd.matching import able
from acd.offering import offered_kind
from acd.state import APART, State

Clock = Callable[[float], str]
"""Unix seconds as a time of the day."""

AHEAD_SHOWN = 20
"""Contacts that agents got before this one are told one by one, up to so many of each wait."""
DAY = 86_400.0
"""Who waits for one agent for longer does so until that one comes."""


class Line(msgspec.Struct, frozen=True):
    """Something that happened; `more` says what there was to it."""

    time: float
    text: str
    more: tuple[str, ...] = ()


class Explainer:
    """One contact, or callback, followed through a journal."""

    def __init__(self, contact: str, clock: Clock, state: State | None = None) -> None:
        self.ids = {contact}
        """The contact, the callback that it became, and the contacts that wait for that."""
        self._clock = clock
        self._state = State() if state is None else state
        for each in self._state.contacts.values():
            if each.callback == contact:
                self.ids.add(each.id)
        self._before: ContactState | None = None
        self._stood = False  # it was in line before
        self._told_by = 0  # the input by whose offers the standing was told
        self._ahead = 0
        self._input: object = None
        self._standing: tuple[str, ...] = ()
        self._standing_of = 0  # the input that led to it, as long as it is not told

    def read(self, record: f.Record) -> Iterator[Line]:
        """What a record says of the contact. The records have to be told in order, from the first one after `state`."""
        if is_input(record.what):
            self._input = record.what
        elif isinstance(record.what, f.Queued) and _callback_of(record.what) in self.ids:
            self.ids.add(record.what.contact)
        yield from self._flush(record)
        found = next((name for name in self.ids if name in self._state.contacts), "")
        self._before = msgspec.structs.replace(self._state.contacts[found]) if found else None
        self._stood = found in self._state.rows
        if isinstance(record.what, f.Offered):
            lines = list(self._offered(record.what, record))
            apply(self._state, record)
        else:
            offer = self._offer_of(record.what)
            apply(self._state, record)
            lines = list(self._fact(record.what, record, offer))
        yield from lines

    def end(self) -> Iterator[Line]:
        """What is left to say when there are no more records."""
        cause, self._standing_of, more = self._standing_of, 0, self._standing
        if cause:
            yield Line(self._state.now, "nobody who may have it is ready: it waits", more)

    def _flush(self, record: f.Record) -> Iterator[Line]:
        """Who stood how, after a step that led to no offer."""
        if isinstance(record.what, f.Offered) and record.what.contact in self.ids:
            self._standing_of = 0
        elif record.cause != self._standing_of:
            yield from self.end()

    def _offer_of(self, what: object) -> tuple[str, str]:
        """Contact and agent of the offer that ends."""
        offer = self._state.offers.get(what.offer) if isinstance(what, f.OfferEnded) else None
        if offer is None:
            return "", ""
        return offer.contact, offer.agent

    # ---- facts

    def _fact(self, what: object, record: f.Record, offer: tuple[str, str]) -> Iterator[Line]:
        match what:
            case f.OfferEnded() if offer[0] in self.ids:
                yield Line(record.time, self._offer_ended(what, offer[1]))
            case f.Refused(why=why) if getattr(self._input, "contact", None) in self.ids:
                yield Line(record.time, f"{type(self._input).__name__} is refused: {why}")
            case f.CallbackKept() if what.callback in self.ids or what.contact in self.ids:
                self.ids.add(what.callback)
                yield Line(record.time, self._callback_kept(what))
            case f.CallbackQueued() if what.callback in self.ids:
                self.ids.add(what.contact)
                yield self._callback_queued(what, record)
            case f.CustomerCalling() if what.callback in self.ids:
                until = self._at(what.deadline)
                yield Line(record.time, f"the customer is called until {until}, attempt {what.attempt}")
            case f.CallbackTried() if what.callback in self.ids:
                again = f"again at {self._at(what.due)}" if what.due else "not again"
                yield Line(record.time, f"the customer was not reached, {_plain(what.outcome)}: {again}")
            case f.CallbackEnded() if what.callback in self.ids:
                yield Line(record.time, f"callback {what.callback} is over: {_plain(what.how)}")
            case _ if getattr(what, "contact", None) in self.ids:
                yield from self._of_contact(what, record)
            case _:
                return

    def _of_contact(self, what: object, record: f.Record) -> Iterator[Line]:
        time = record.time
        match what:
            case f.Queued():
                self._ahead = 0
                yield self._queued(what, record)
            case f.Classed():
                yield from self._classed(what, record)
            case f.Connected():
                yield Line(time, f"{what.agent} answers: it has waited {seconds(what.waited)}")
            case f.CustomerAnswered(deadline=deadline):
                offers = self._state.contacts[what.contact].offers
                kept = [f"{self._state.offers[number].agent} is rung until {self._at(deadline)}" for number in offers]
                yield Line(time, f"the customer is on the line: {', '.join(kept) or 'it waits'}")
            case f.Taken():
                yield Line(time, f"{what.agent} takes it, which no queue has brought")
            case f.HandleEnded():
                yield Line(time, f"{what.agent} is through with it: {_plain(what.how)}")
            case f.LeftQueue():
                yield from self._more_ahead(time)
                yield Line(time, _left(what))
            case f.Announced():
                yield Line(time, self._announced(what))
            case f.Ended():
                yield Line(time, "it is over")
            case f.Surveyed(question=question, score=score):
                answered = "answers the survey" if score >= 0 else "is asked by the survey"
                yield Line(time, f"the customer {answered}, {question}: {score if score >= 0 else 'no answer'}")
            case _:
                return

    def _queued(self, what: f.Queued, record: f.Record) -> Line:
        state = self._state
        before = state.classes.ahead(what.queue, state.contacts[what.contact].waiter)
        text = f"comes into queue {what.queue}" + (f" from {what.number}" if what.number else "")
        if what.moves:
            text = f"flows over into queue {what.queue}, number {what.moves + 1} that it waits in"
        points = (what.since - what.place) / (state.config.teams[state.queue(what.queue).team].ageing or 1.0)
        more = [f"{plural(before, 'contact')} of the queue {'is' if before == 1 else 'are'} before it"]
        if what.since < what.entered:
            more.append(f"{seconds(what.entered - what.since)} that it has waited before count")
        if what.back:
            more.append("it has been here before: it has its place again")
        elif abs(points) >= 0.01:
            shift = what.since - what.place
            when = f"{seconds(abs(shift))} {'earlier' if shift > 0.0 else 'later'}"
            more.append(f"{points:g} {'point' if points == 1.0 else 'points'} of priority, as if it had come {when}")
        return Line(record.time, text, tuple(more))

    def _classed(self, what: f.Classed, record: f.Record) -> Iterator[Line]:
        """A step, or the first look at who may have it."""
        before, contact = self._before, self._state.contacts[what.contact]
        queue = self._state.queue(contact.queue)
        first = before is None or before.queue != contact.queue or not self._stood
        steps: list[str] = []
        if first and contact.asks:
            steps.append(f"it asks for {contact.asks}")
        if before is not None and not first:
            if contact.relaxed > before.relaxed:
                asked = contact.asks or "no skills"
                steps.append(f"relaxed, step {contact.relaxed} of {len(queue.relax)}: it asks for {asked} now")
            for step in queue.widen[before.widened : contact.widened]:
                steps.append(f"widened: groups {', '.join(step.groups)} may have it, too")
            if before.only and not contact.only:
                steps.append(f"it waits for {before.only} alone no longer")
            for agent in sorted(set(before.skipped) - set(contact.skipped)):
                steps.append(f"{agent} is skipped no longer")
        if contact.only and (before is None or before.only != contact.only):
            steps.append(f"it waits for {contact.only} alone until {self._at(contact.patience)}")
        for agent in sorted(set(contact.skipped) - set(() if before is None else before.skipped)):
            steps.append(f"{agent} is skipped until {self._at(contact.skipped[agent])}")
        for step_ in steps:
            yield Line(record.time, step_)
        if (steps or first) and not contact.offers:
            self._standing_of, self._standing = record.cause, tuple(standing(self._state, contact, self._at))

    def _announced(self, what: f.Announced) -> str:
        queue = self._state.queue(self._state.contacts[what.contact].queue)
        kind = queue.announcements[what.index].what
        if kind == "position":
            return f"it is told: position {what.position}"
        if kind != "expected_wait":
            return f"it is told: {_plain(kind)}"
        if what.high < 0.0:
            return "it is told nothing of its wait: nothing is known"
        return f"it is told: {seconds(what.low)} to {seconds(what.high)} of waiting"

    def _callback_kept(self, what: f.CallbackKept) -> str:
        by = f" by {what.agent}" if what.agent else ""
        at = f", not before {self._at(what.due)}" if what.due > self._state.now else ""
        return f"a callback, {what.callback}, is asked for{by} at {what.number} through queue {what.queue}{at}"

    def _callback_queued(self, what: f.CallbackQueued, record: f.Record) -> Line:
        contact = self._state.contacts[what.contact]
        place = self._state.position(contact)
        return Line(
            record.time, f"its time has come: it waits as {what.contact} in queue {contact.queue}, as number {place}"
        )

    def _at(self, time: float) -> str:
        """A time of the day, and of which where that is not the next one."""
        days = int((time - self._state.now) // DAY)
        return f"{self._clock(time)}, {days} {'day' if days == 1 else 'days'} later" if days > 0 else self._clock(time)

    # ---- offers

    def _offered(self, what: f.Offered, record: f.Record) -> Iterator[Line]:
        if what.contact not in self.ids:
            yield from self._before_it(what, record)
            return
        contact = self._state.contacts[what.contact]
        rules = f" (rules {what.version})" if what.version else ""
        until = self._at(what.deadline)
        kept = offered_kind(self._state, contact) == "reservation"
        if what.by == "pick_up":
            yield Line(record.time, f"{what.agent} picks it up out of the queue, and is rung until {until}{rules}")
            return
        if what.by == "agent":
            text = f"{what.agent} is ready, and is {'kept for' if kept else 'offered'} it until {until}{rules}"
            more = self._rivals(what, record.time)
        else:
            text = f"{what.agent} is {'kept for' if kept else 'offered'} it until {until}, by {what.strategy}{rules}"
            more = self._candidates(what, record.time)
        if record.cause == self._told_by:
            more = []
        else:
            more += standing(self._state, contact, self._at, but=what.agent)
        self._told_by = record.cause
        yield Line(record.time, text, tuple(more))

    def _candidates(self, what: f.Offered, now: float) -> list[str]:
        told = [
            f"of {plural(what.eligible, 'agent')} signed in who may have it {what.ready} "
            f"{'is' if what.ready == 1 else 'are'} ready:"
        ]
        for rank, each in enumerate(what.candidates, 1):
            told.append(f"{rank}. {each.agent}: {RANKS[what.strategy](each.key, now)}")
        if what.ready > len(what.candidates):
            told.append(f"and {what.ready - len(what.candidates)} more after these")
        return told

    def _rivals(self, what: f.Offered, now: float) -> list[str]:
        if what.ready == 1:
            return [f"nothing else waits that {what.agent} may have before it"]
        told = [f"of {what.ready} lines that {what.agent} serves, these have the first contacts:"]
        for rank, each in enumerate(what.rivals, 1):
            this = ", this one," if each.agent in self.ids else ""
            told.append(f"{rank}. {each.agent}{this} counts as {seconds(now - each.key)} of waiting")
        return told

    def _before_it(self, what: f.Offered, record: f.Record) -> Iterator[Line]:
        """An agent who might have had this contact gets another."""
        mine = self._before
        state, other = self._state, self._state.contacts[what.contact]
        if mine is None or what.by != "agent" or state.rows.get(mine.id, APART) == APART:
            return
        row = state.roster.row[what.agent]
        if not able(state, mine)[row] or not state.roster.free(state.queue(mine.queue))[row]:
            return
        self._ahead += 1
        if self._ahead > AHEAD_SHOWN:
            return
        its, own = (seconds(record.time - self._place(each, what.agent)) for each in (other, mine))
        why = f"which counts as {its} of waiting with it, this one as {own}"
        yield Line(record.time, f"{what.agent} is ready, and gets {what.contact}, {why}")

    def _place(self, contact: ContactState, agent: str) -> float:
        """Of a contact, as the agent's weights have it."""
        settings = self._state.settings(agent)
        return contact.place - settings.weights.get(contact.queue, 0.0) * self._state.team(agent).ageing

    def _more_ahead(self, time: float) -> Iterator[Line]:
        if self._ahead > AHEAD_SHOWN:
            yield Line(time, f"{plural(self._ahead - AHEAD_SHOWN, 'more contact')} went to agents before it")

    def _offer_ended(self, what: f.OfferEnded, agent: str) -> str:
        why = f" ({clipped(what.why)})" if what.why and what.how == "unreachable" else ""
        match what.how:
            case "accepted":
                return f"{agent} takes the offer"
            case "rejected":
                return f"{agent} rejects it"
            case "missed":
                return f"{agent} does not answer in time"
            case "unreachable":
                return f"the telephone of {agent} can't be called{why}"
            case _:
                return f"the offer to {agent} is taken back: {_plain(what.why)}"


def explain(records: Iterable[f.Record], contact: str, clock: Clock, state: State | None = None) -> Iterator[Line]:
    """What became of a contact or callback, and why; nothing where the journal does not know it. `state`: what was
    before the first record, of a journal whose older part is gone. Raises `JournalError` for a journal that does not
    begin with the record after that, or with record 1, or that leaves out one."""
    explainer = Explainer(contact, clock, state)
    for expected, record in enumerate(records, 1 if state is None else state.last_id + 1):
        if record.id != expected:
            raise JournalError(f"record {record.id} where {expected} was expected: what was before it is not known")
        yield from explainer.read(record)
    yield from explainer.end()


def _callback_of(what: f.Queued) -> str:
    """Its callback, after which such contacts are named."""
    return what.contact.rpartition(".")[0] if what.kind == "callback" else ""


def _left(what: f.LeftQueue) -> str:
    waited = f"after {seconds(what.waited)}"
    to = f" to {_plain(what.to)} {what.name}".rstrip() if what.to else ""
    reached = REACHED.get(what.why, what.why)
    match what.how:
        case "abandoned":
            return f"the caller hangs up {waited}"
        case "refused":
            return f"queue {what.queue} does not take it, {reached}: it goes{to}"
        case "overflow":
            return f"it leaves queue {what.queue} {waited}, {reached}: it goes{to}"
        case "exit":
            return f"the caller presses {what.why} {waited}: it goes{to}"
        case "callback":
            return f"the caller wants to be called back {waited}"
        case _:
            return f"it is taken out of queue {what.queue} {waited}: {_plain(what.why)}" + (
                f", it goes{to}" if to else ""
            )


def _plain(word: str) -> str:
    return word.replace("_", " ")
