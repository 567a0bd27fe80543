"""A day by lot: callers and agents who do whatever people do on a floor, against whatever configuration.

It knows nothing of the simulator. What happens is told to the engine at times of which no two are the same, whether or
not that makes sense then, unless the day is `polite`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import Config
from acd.engine import Engine, Outcome
from acd.state import State
from tests.property.acd_configs import NEEDS

MONDAY = 1_767_607_200.0
NUMBERS = ("", "7", "8", "9")
KEYS = ("1", "2")


class Day:
    """`records`: its journal."""

    def __init__(self, config: Config, seed: int, seconds: float, polite: bool = False) -> None:
        self.records: list[f.Record] = []
        self._lot = Random(seed)
        self._engine = Engine()
        self._polite = polite
        self._heap: list[tuple[float, int, Callable[[], Any]]] = []
        self._seq = 0
        self._now = MONDAY
        self._config = config
        self._count = 0
        self._tell(i.Configure(config))
        for name in config.agents:
            if self._lot.random() < 0.9:
                self._in(self._lot.uniform(0.0, 30.0), self._tell, i.SignIn(name))
        self._in(self._lot.expovariate(1 / 12.0), self._arrive)
        self._in(self._lot.expovariate(1 / 15.0), self._agent_acts)
        self._run(MONDAY + seconds)

    def _run(self, end: float) -> None:
        while True:
            due = self._engine.next_deadline
            at = self._heap[0][0]
            if min(at, at if due is None else due) > end:
                return
            if due is not None and due <= at:
                self._now = max(due, self._now)
                self._note(self._engine.tick(self._now))
            else:
                self._now, _, act = heapq.heappop(self._heap)
                act()

    def _in(self, seconds: float, act: Callable[..., Any], *arguments: Any) -> None:
        self._seq += 1
        heapq.heappush(self._heap, (self._now + seconds, self._seq, lambda: act(*arguments)))

    def _tell(self, what: i.AnyInput) -> None:
        if self._polite and self._is_refused(what):
            return
        self._note(self._engine.handle(what, self._now))

    def _is_refused(self, what: i.AnyInput) -> bool:
        other = Engine(State.restore(self._engine.state.snapshot()))
        return any(isinstance(each.what, f.Refused) for each in other.handle(what, self._now).records)

    # ---- callers

    def _arrive(self) -> None:
        lot = self._lot
        self._in(lot.expovariate(1 / 12.0), self._arrive)
        self._count += 1
        name = f"c{self._count}"
        wanted = i.Enqueue(
            name,
            lot.choice(list(self._config.queues)),
            number=lot.choice(NUMBERS),
            needs=lot.choice(list(NEEDS)),
            priority=lot.choice([0.0, 0.0, 1.0, -2.0]),
            last_agent=lot.choice(["", "", *self._config.agents]),
            waited=lot.choice([0.0, 0.0, 0.0, 25.5]),
        )
        self._in(lot.expovariate(1 / 90.0), self._tell, i.HangUp(name))
        if lot.random() < 0.4:
            self._in(lot.expovariate(1 / 30.0), self._tell, i.PressKey(name, lot.choice(KEYS)))
        if lot.random() < 0.3:
            at = self._now + lot.choice([0.0, 0.0, 100.0])
            asked = i.AskCallback(
                f"b{self._count}", lot.choice(NUMBERS[1:]), contact=name, at=at if at > self._now else 0.0
            )
            self._in(lot.expovariate(1 / 25.0), self._tell, asked)
        self._tell(wanted)
        if lot.random() < 0.1:
            self._in(lot.expovariate(1 / 10.0), self._ask)

    def _ask(self) -> None:
        """Somebody who does not wait wants to be called."""
        lot = self._lot
        self._count += 1
        name, queue = f"w{self._count}", lot.choice(list(self._config.queues))
        by, needs = lot.choice(["", *self._config.agents]), lot.choice(list(NEEDS))
        self._tell(i.AskCallback(name, str(self._count), queue, agent=by, needs=needs))
        if lot.random() < 0.2:
            self._in(lot.expovariate(1 / 60.0), self._tell, i.CancelCallback(name))

    # ---- agents

    def _agent_acts(self) -> None:
        lot = self._lot
        self._in(lot.expovariate(1 / 15.0), self._agent_acts)
        name = lot.choice(list(self._config.agents))
        agent = self._engine.state.agents[name]
        if not agent.signed_in:
            self._tell(i.SignIn(name, mode=lot.choice(["", "", "both"])))
            return
        act = lot.choice(["pause", "pause", "sign_out", "telephone", "direct", "direct", "mode", "ready", "pick up"])
        if act == "pause":
            self._tell(i.Pause(name, "tea", lot.choice([0.0, 60.0])))
        elif act == "sign_out":
            self._tell(i.SignOut(name))
        elif act == "telephone":
            there = self._engine.state.is_reachable(agent.address)
            self._tell(i.Reachable(agent.address, not there))
            if there:
                self._in(lot.expovariate(1 / 30.0), self._tell, i.Reachable(agent.address, True))
        elif act == "direct":
            self._tell(i.DirectCall(name, not agent.direct))
            if not agent.direct:
                return
            self._in(lot.expovariate(1 / 30.0), self._tell, i.DirectCall(name, False))
        elif act == "pick up":
            waiting = [each.id for each in self._engine.state.contacts.values() if each.queue]
            if waiting:
                self._tell(i.PickUp(lot.choice(waiting), name))
        elif act == "mode":
            self._tell(i.SetMode(name, lot.choice(["inbound", "outbound", "both"])))
        else:
            self._tell(i.Ready(name))

    # ---- what comes of it

    def _note(self, outcome: Outcome) -> None:
        self.records += outcome.records
        for record in outcome.records:
            match record.what:
                case f.AgentChanged():
                    self._changed(record.what)
                case f.Connected(contact=contact, agent=agent):
                    self._talk(contact, agent)
        for effect in outcome.effects:
            if isinstance(effect, e.Offer):
                self._ring(effect)
            elif isinstance(effect, e.CallCustomer):
                self._call(effect)

    def _ring(self, offer: e.Offer) -> None:
        accepts = 0 if offer.kind == "reservation" else 8
        answers = [i.Accept(offer.offer)] * accepts + [i.Reject(offer.offer), i.Unreachable(offer.offer, "busy")]
        if self._lot.random() < (0.9 if accepts else 0.1):
            self._in(self._lot.expovariate(1 / 6.0), self._tell, self._lot.choice(answers))

    def _call(self, call: e.CallCustomer) -> None:
        """A customer, for whom an agent is kept, or waits on the line."""
        outcomes: list[i.CallOutcome] = ["answered", "answered", "answered", "busy", "no_answer", "machine"]
        if self._lot.random() < 0.8:
            called = i.CustomerCalled(call.callback, self._lot.choice(outcomes))
            after = self._lot.expovariate(1 / 8.0)
            self._in(after, self._tell, called)
            if called.outcome == "answered" and self._lot.random() < 0.4:
                self._in(after + self._lot.expovariate(1 / 30.0), self._tell, i.HangUp(call.contact))

    def _talk(self, contact: str, agent: str) -> None:
        lot = self._lot
        talk = lot.expovariate(1 / 40.0)
        if lot.random() < 0.3:
            kind = lot.choice([i.Hold, i.Consult])
            self._in(talk * 0.3, self._tell, kind(contact, agent, True))
            if lot.random() < 0.8:
                self._in(talk * 0.6, self._tell, kind(contact, agent, False))
        if not self._polite and lot.random() < 0.15:
            self._in(talk, self._tell, i.Finish(contact, agent, "queue_transfer"))
            again = i.Enqueue(contact, lot.choice(list(self._config.queues)), waited=lot.choice([0.0, 10.0]))
            self._in(talk + 0.1, self._tell, again)
        else:
            self._in(talk, self._tell, i.Finish(contact, agent))

    def _changed(self, fact: f.AgentChanged) -> None:
        lot = self._lot
        match fact.state:
            case "wrap_up":
                if not fact.until or lot.random() < 0.4:
                    self._in(lot.expovariate(1 / 10.0), self._tell, i.Ready(fact.agent))
                elif lot.random() < 0.4:
                    self._in(lot.expovariate(1 / 5.0), self._tell, i.ExtendWrapUp(fact.agent, lot.choice([5.0, 20.0])))
            case "paused":
                self._in(lot.expovariate(1 / 40.0), self._tell, i.Ready(fact.agent))
            case "not_responding":
                self._in(lot.expovariate(1 / 25.0), self._tell, i.Ready(fact.agent))
            case _:
                pass
