"""A contact centre for tests: the engine, a clock, telephones that ring, the journal. Nothing is real but the engine.

world = World(queues=[queue("sales")], agents=[agent("ann")])
world.sign_in("ann")
world.call("c1", "sales")
world.answer("ann")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from acd_outside import Outside

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.agent import AgentState
from acd.config import Agent, Config, Group, Hours, Queue, Team, WrapUp
from acd.contact import ContactState
from acd.engine import Engine, Outcome
from acd.journal import decode, encode, fold, replay
from acd.state import State

MONDAY = 1_767_607_200.0
"""5 January 2026, 10:00 UTC."""

NO_WRAP_UP = WrapUp(after="never")

Kind = TypeVar("Kind")


def agent(name: str, team: str = "t", **settings: Any) -> Agent:
    return Agent(**{"id": name, "team": team, "address": f"sip:{name}", **settings})


def queue(name: str, team: str = "t", **settings: Any) -> Queue:
    """Without wrap-up, unless one is given."""
    return Queue(**{"name": name, "team": team, "wrap_up": NO_WRAP_UP, **settings})


def config(
    queues: Iterable[Queue],
    agents: Iterable[Agent],
    teams: Iterable[Team] = (),
    groups: Iterable[Group] = (),
    hours: dict[str, Hours] | None = None,
    **settings: Any,
) -> Config:
    """A configuration; the team `t` is there."""
    return Config(
        teams={each.name: each for each in (Team(name="t"), *teams)},
        groups={each.name: each for each in groups},
        agents={each.id: each for each in agents},
        queues={each.name: each for each in queues},
        hours=hours or {},
        **settings,
    )


class World:
    """All that happens goes through `tell` and `wait`; `effects` and `facts` have what came of the latest of it."""

    def __init__(
        self, queues: Iterable[Queue] = (), agents: Iterable[Agent] = (), now: float = MONDAY, **more: Any
    ) -> None:
        self.engine = Engine()
        self.now = now
        self.journal: list[f.Record] = []
        self.effects: list[Any] = []
        self.facts: list[Any] = []
        self.ringing: dict[str, e.Offer] = {}
        """By agent."""
        self.calling: dict[str, e.CallCustomer] = {}
        """By callback."""
        self.outside = Outside()
        """It asserts that what the engine asks for makes sense."""
        self.tell(i.Configure(config(queues, agents, **more)))

    @property
    def state(self) -> State:
        return self.engine.state

    # ---- what happens

    def tell(self, what: i.AnyInput) -> list[Any]:
        """The effects of an input that makes sense."""
        self._carry_out(self.engine.handle(what, self.now), what)
        refused = self.of(f.Refused)
        assert not refused, refused[0].why
        return self.effects

    def refused(self, what: i.AnyInput) -> str:
        """Why an input is refused, which has changed nothing but the count."""
        before, count = self._all(), self.engine.refused[type(what).__name__]
        self._carry_out(self.engine.handle(what, self.now), what)
        assert self._all() == before, "a refused input has changed the state"
        assert self.engine.refused[type(what).__name__] == count + 1
        (why,) = [fact.why for fact in self.of(f.Refused)]
        return str(why)

    def wait(self, seconds: float) -> list[Any]:
        """Time passes, deadline by deadline: all effects of it."""
        end, effects, facts = self.now + seconds, [], []
        while (due := self.engine.next_deadline) is not None and due <= end:
            self.now = max(due, self.now)
            self._carry_out(self.engine.tick(self.now))
            effects += self.effects
            facts += self.facts
        self.now, self.effects, self.facts = end, effects, facts
        return effects

    def sign_in(self, *agents: str) -> None:
        for name in agents:
            self.tell(i.SignIn(name))

    def call(self, contact: str, to: str, **more: Any) -> list[Any]:
        return self.tell(i.Enqueue(contact, to, **more))

    def answer(self, name: str) -> list[Any]:
        return self.tell(i.Accept(self.ringing[name].offer))

    def reject(self, name: str) -> list[Any]:
        return self.tell(i.Reject(self.ringing[name].offer))

    def finish(self, name: str, how: i.Parting = "hangup") -> list[Any]:
        return self.tell(i.Finish(self.agent(name).contact, name, how))

    def serve(self, name: str, seconds: float) -> None:
        """An agent who is being offered something, or kept for who answers at once, answers, talks, and is through with
        it."""
        if self.ringing[name].kind == "reservation":
            self.tell(i.Answered(self.ringing[name].contact))
        self.answer(name)
        self.wait(seconds)
        self.finish(name)

    def busy(self, name: str) -> None:
        """An agent is in a direct call."""
        self.tell(i.DirectCall(name, True))

    def free(self, name: str) -> list[Any]:
        return self.tell(i.DirectCall(name, False))

    # ---- what is so

    def agent(self, name: str) -> AgentState:
        return self.state.agents[name]

    def at(self, name: str) -> str:
        """An agent's state."""
        return self.state.agents[name].state

    def contact(self, name: str) -> ContactState:
        return self.state.contacts[name]

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Of the latest effects and facts those of a kind."""
        return [each for each in (*self.effects, *self.facts) if isinstance(each, kind)]

    def all(self, kind: type[Kind]) -> list[Kind]:
        """Of all the facts and inputs there were."""
        return [each.what for each in self.journal if isinstance(each.what, kind)]

    def rings(self) -> dict[str, str]:
        """Which agents are being offered which contacts."""
        return {name: each.contact for name, each in self.ringing.items()}

    def check(self) -> None:
        """The journal folds and replays to what is."""
        lines = [encode(record) for record in self.journal]
        assert fold(map(decode, lines)).snapshot() == self.state.snapshot()
        assert [encode(record) for record in replay(map(decode, lines))] == lines
        assert State.restore(self.state.snapshot()).snapshot() == self.state.snapshot()

    # ---- inside

    def _carry_out(self, outcome: Outcome, what: i.AnyInput | None = None) -> None:
        self.outside.hear(what, outcome, self.state)
        self.journal += outcome.records
        self.effects = list(outcome.effects)
        self.facts = [record.what for record in outcome.records]
        for effect in self.effects:
            if isinstance(effect, e.Offer):
                self.ringing[effect.agent] = effect
            elif isinstance(effect, e.CallCustomer):
                self.calling[effect.callback] = effect
        self.ringing = {name: each for name, each in self.ringing.items() if each.offer in self.state.offers}
        self.calling = {name: each for name, each in self.calling.items() if self._calls(name)}

    def _calls(self, name: str) -> bool:
        callback = self.state.callbacks.get(name)
        return callback is not None and callback.calling > 0.0

    def _all(self) -> bytes:
        """The state but for the count of records and the clock."""
        state = self.state
        kept = state.last_id, state.now
        state.last_id, state.now = 0, 0.0
        try:
            return state.snapshot()
        finally:
            state.last_id, state.now = kept


def offered(effects: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Which contact to which agent."""
    return ((each.contact, each.agent) for each in effects if isinstance(each, e.Offer))
