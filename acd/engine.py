"""The engine: an input in, facts and effects out. `docs/acd.md` has the whole.

    outcome = engine.handle(Enqueue("c1", "sales"), now)
    journal.append(outcome.records); for effect in outcome.effects: carry out
    at engine.next_deadline: engine.tick(now)

Whatever is due is done before an input is looked at, and after each of them everybody who can be matched is.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, assert_never

import msgspec

from acd import agents, announce, asking, offering, outcomes, queueing
from acd import facts as f
from acd import inputs as i
from acd.deadlines import Due
from acd.effects import AnyEffect
from acd.reconfigure import configure
from acd.state import State
from acd.turn import Refusal, Turn

_encode = msgspec.msgpack.Encoder().encode
_inputs: msgspec.msgpack.Decoder[i.AnyInput] = msgspec.msgpack.Decoder(i.AnyInput)


class Outcome(NamedTuple):
    """What came of an input: for the journal, and for the switch."""

    records: list[f.Record]
    effects: list[AnyEffect]


class Engine:
    """One ACD: all teams, agents, queues and contacts, with one writer."""

    __slots__ = ("refused", "state")

    def __init__(self, state: State | None = None) -> None:
        """`state`: as it was after an input or a tick, from a snapshot or a journal; nobody can be matched then."""
        self.state = State() if state is None else state
        self.state.opened.clear()
        self.state.freed.clear()
        self.refused: Counter[str] = Counter()
        """Inputs that made no sense, by their kind."""

    # ---- in

    def handle(self, what: i.AnyInput, now: float) -> Outcome:
        """Something has happened at `now`, Unix seconds; a time before the latest one counts as that."""
        read = _as_read(what)
        if read is None:
            self.refused[type(what).__name__] += 1
        if read is None or isinstance(read, i.Tick):
            return self.tick(now)
        what = read
        turn = Turn(self.state, now)
        self._due(turn)
        turn.begin(what)
        try:
            self._dispatch(turn, what)
        except Refusal as refusal:
            self.refused[type(what).__name__] += 1
            turn.fact(f.Refused(str(refusal)))
        self._settle(turn)
        return Outcome(turn.records, turn.effects)

    def tick(self, now: float) -> Outcome:
        """Time has passed."""
        turn = Turn(self.state, now)
        self._due(turn)
        return Outcome(turn.records, turn.effects)

    # ---- next deadline

    @property
    def next_deadline(self) -> float | None:
        """When `tick` has something to do; None: never. It may turn out to be nothing."""
        return self.state.deadlines.next

    # ---- inside

    def _due(self, turn: Turn) -> None:
        """All that is due, moment by moment; the record of the tick is there where anything comes of it. Who can meet
        does when everything of one moment is done, so that the first in line goes first."""
        deadlines = self.state.deadlines
        if deadlines.too_many:
            deadlines.renew(self.state.due())
        while (due := deadlines.take(turn.now)) is not None:
            if not self._counts(due):
                continue
            turn.begin(i.Tick())
            self._fire(turn, due)
            while (same := deadlines.take(due.at)) is not None:
                if self._counts(same):
                    self._fire(turn, same)
            self._settle(turn)

    def _counts(self, due: Due) -> bool:
        """Whether a deadline is still one."""
        state = self.state
        match due.kind:
            case "agent":
                agent = state.agents.get(str(due.key))
                return agent is not None and agent.state == "wrap_up" and agent.until == due.at
            case "offer":
                offer = state.offers.get(int(due.key))
                return offer is not None and offer.deadline == due.at
            case "contact":
                contact = state.contacts.get(str(due.key))
                return contact is not None and bool(contact.queue) and contact.until == due.at
            case "announce":
                contact = state.contacts.get(str(due.key))
                return contact is not None and bool(contact.queue) and due.at in contact.announced
            case "callback":
                callback = state.callbacks.get(str(due.key))
                if callback is None:
                    return False
                return (
                    callback.calling == due.at if callback.calling else not callback.contact and callback.due == due.at
                )
            case _:
                assert_never(due.kind)

    def _fire(self, turn: Turn, due: Due) -> None:
        match due.kind:
            case "agent":
                agents.wrap_up_over(turn, str(due.key))
            case "offer":
                offering.missed(turn, int(due.key))
            case "contact":
                queueing.step(turn, str(due.key))
            case "announce":
                announce.due(turn, str(due.key), due.at)
            case "callback":
                asking.come(turn, str(due.key))
            case _:
                assert_never(due.kind)

    def _settle(self, turn: Turn) -> None:
        """Those who wait for nobody go; those who can meet do."""
        while turn.left:
            left = list(turn.left)
            turn.left.clear()
            queueing.without_agents(turn, left)
        offering.match(turn)

    def _dispatch(self, turn: Turn, what: i.AnyInput) -> None:
        """Raises `Refusal`."""
        match what:
            case i.Enqueue():
                queueing.enqueue(turn, what)
            case i.Accept():
                offering.accept(turn, what)
            case i.Finish():
                queueing.finish(turn, what)
            case i.HangUp():
                queueing.hang_up(turn, what)
            case i.Reject():
                offering.reject(turn, what)
            case i.Unreachable():
                offering.unreachable(turn, what)
            case i.Answered():
                asking.answered(turn, what)
            case i.PressKey():
                queueing.press_key(turn, what)
            case i.Hold():
                queueing.hold(turn, what)
            case i.Consult():
                queueing.consult(turn, what)
            case i.PickUp():
                offering.pick_up(turn, what)
            case i.Take():
                queueing.take(turn, what)
            case i.AskCallback():
                asking.ask(turn, what)
            case i.CancelCallback():
                asking.cancel(turn, what)
            case i.CustomerCalled():
                asking.customer_called(turn, what)
            case i.SurveyAnswer() | i.CallAttempt() | i.DialledCall():
                outcomes.note(turn, what)
            case i.Configure(config=config):
                configure(turn, config)
            case i.Tick():
                pass  # what was due is done
            case _:
                self._order(turn, what)

    def _order(self, turn: Turn, what: i.AgentInput) -> None:
        """Of agents. Raises `Refusal`."""
        match what:
            case i.SignIn():
                agents.sign_in(turn, what)
            case i.SignOut():
                agents.sign_out(turn, what)
            case i.Ready():
                agents.ready(turn, what)
            case i.Pause():
                agents.pause(turn, what)
            case i.SetMode():
                agents.set_mode(turn, what)
            case i.ExtendWrapUp():
                agents.extend(turn, what)
            case i.Reachable():
                agents.reachable(turn, what)
            case i.DirectCall():
                agents.direct_call(turn, what)
            case _:
                assert_never(what)


def _as_read(what: i.AnyInput) -> i.AnyInput | None:
    """An input as the journal will give it back, so that a replay is told the very same; None where it can't: a text
    that is not Unicode, as SIP headers may have, or a word or type that its field does not know."""
    if isinstance(what, i.Configure):
        return what  # large, and checked by who has read it
    try:
        return _inputs.decode(_encode(what))
    except (msgspec.MsgspecError, UnicodeError, OverflowError, TypeError):
        return None
