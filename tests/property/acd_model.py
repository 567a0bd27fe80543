"""Everything that can happen to the ACD engine, and what it promises of it.

After each step a model that knows nothing of classes and columns looks at who could have whom, and before each offer at
whom it should have been made to; a double of the switch looks at whether what it is asked for makes sense. At the end
of a run the journal is folded and replayed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.agent import AT_WORK, WORK, AgentState
from acd.config import (
    Config,
)
from acd.contact import ContactState
from acd.engine import Engine
from acd.explain import explain
from acd.expression import parse
from acd.fold import apply
from acd.journal import decode, encode, fold, replay
from acd.state import Snapshot, State
from tests.acd_outside import Outside
from tests.property.acd_configs import AGENTS, NEEDS, QUEUES, agents, configs, needs, numbers, seconds

NONSENSE: list[i.AnyInput] = [
    i.SignIn("nobody"),
    i.SignOut("nobody"),
    i.Ready("a1", by="a5"),
    i.Pause("a1", "x" * 100),
    i.Enqueue("new", "nowhere"),
    i.Enqueue("", "sales"),
    i.Enqueue("new", "sales", needs="es >"),
    i.Enqueue("new", "sales", priority=float("nan")),
    i.Enqueue("new", "sales", waited=-1.0),
    i.HangUp("nobody"),
    i.PressKey("nobody", "1"),
    i.Accept(0),
    i.Answered("c1"),
    i.Answered("nobody"),
    i.Reject(10**9),
    i.Hold("c1", "nobody", True),
    i.Finish("nobody", "a1"),
    i.Take("new", "nobody"),
    i.AskCallback("", "1", "sales"),
    i.AskCallback("b", "1", "nowhere"),
    i.CancelCallback("nobody"),
    i.CustomerCalled("nobody", "busy"),
    i.SurveyAnswer("", "csat", 5),
    i.SurveyAnswer("c1", "csat", 0),
    i.SurveyAnswer("c1", "nps", 11),
    i.CallAttempt("", "busy"),
    i.DialledCall("", "busy"),
    i.DialledCall("spring", "busy", waited=1.0),
    i.DialledCall("spring", "answered", waited=float("nan")),
]


def known(state: State) -> Snapshot:
    """All of a state but its clock and count."""
    kept = msgspec.msgpack.decode(state.snapshot(), type=Snapshot)
    return msgspec.structs.replace(kept, last_id=0, now=0.0)


class Acd(RuleBasedStateMachine):
    """The engine, and what there must be outside of it: calls that are waiting, ringing, or with agents."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()
        self.journal: list[bytes] = []
        self.now = 1_000.0
        self.count = 0
        self.mirror = State()
        """The fold of the journal, one record after the other."""
        self.gone: set[str] = set()
        """Telephones that can't be called."""
        self.living: set[str] = set()
        self.ringing: dict[int, e.Offer] = {}
        self.calling: dict[str, e.CallCustomer] = {}
        self.outside = Outside()

    # ---- the switch, such as it is

    def tell(self, what: i.AnyInput) -> list[f.Record]:
        before = self.engine.state.last_id
        outcome = self.engine.handle(what, self.now)
        self.outside.hear(what, outcome, self.engine.state)
        assert [record.id for record in outcome.records] == list(range(before + 1, self.engine.state.last_id + 1))
        self.carry_out(outcome.records, outcome.effects)
        return outcome.records

    def carry_out(self, records: list[f.Record], effects: list[Any]) -> None:
        self.journal += map(encode, records)
        for record in records:
            if isinstance(record.what, f.Offered):
                self.look_at_choice(record.what, record.cause)
            apply(self.mirror, record)
        for record in records:
            if isinstance(record.what, f.OfferEnded) and record.what.how in ("rejected", "unreachable", "accepted"):
                del self.ringing[record.what.offer]
            if isinstance(record.what, f.Queued | f.Taken):
                self.living.add(record.what.contact)
            if isinstance(record.what, f.Ended):
                self.living.remove(record.what.contact)
            if isinstance(record.what, f.CallbackTried | f.CallbackEnded):
                self.calling.pop(record.what.callback, None)
        for effect in effects:
            if isinstance(effect, e.Offer):
                self.ringing[effect.offer] = effect
            elif isinstance(effect, e.Withdraw):
                del self.ringing[effect.offer]
            elif isinstance(effect, e.CallCustomer):
                self.calling[effect.callback] = effect
        self.ringing = {number: each for number, each in self.ringing.items() if number in self.engine.state.offers}

    # ---- what happens

    @initialize(config=configs(), there=st.lists(st.sampled_from(AGENTS), min_size=3, unique=True))
    def begin(self, config: Config, there: list[str]) -> None:
        self.tell(i.Configure(config))
        for agent in there:
            self.tell(i.SignIn(agent))

    @rule(config=configs())
    def reload(self, config: Config) -> None:
        self.tell(i.Configure(config))

    @rule(by=seconds)
    def time_passes(self, by: float) -> None:
        self.now += by
        self.time_passes_to(self.now)

    def time_passes_to(self, now: float) -> None:
        outcome = self.engine.tick(now)
        self.outside.hear(None, outcome, self.engine.state)
        self.carry_out(outcome.records, outcome.effects)

    @rule(by=seconds)
    def time_passes_unnoticed(self, by: float) -> None:
        """What is due is done with the next input."""
        self.now += by

    @rule()
    def the_engine_dies_and_another_goes_on(self) -> None:
        refused = self.engine.refused
        self.engine = Engine(State.restore(self.engine.state.snapshot()))
        self.engine.refused = refused

    @rule()
    def clock_jumps_back(self) -> None:
        self.now -= 7.0

    def pick(self, names: Iterable[Any], which: int, otherwise: Any) -> Any:
        """One of them, if there are any."""
        found = list(names)
        return found[which % len(found)] if found else otherwise

    def agents_in(self, *states: str) -> list[str]:
        return [agent.id for agent in self.engine.state.agents.values() if agent.state in states]

    @rule(which=numbers, mode=st.sampled_from(["", "", "", "inbound", "both"]), by=st.sampled_from(["", "", "a0"]))
    def sign_in(self, which: int, mode: Any, by: str) -> None:
        self.tell(i.SignIn(self.pick(self.agents_in("signed_out"), which, "nobody"), mode=mode, by=by))

    @rule(which=numbers)
    def sign_out(self, which: int) -> None:
        self.tell(i.SignOut(AGENTS[which % len(AGENTS)]))

    @rule(which=numbers, by=st.sampled_from(["", "", "a0", "a1"]))
    def ready(self, which: int, by: str) -> None:
        self.tell(i.Ready(self.pick(self.agents_in("paused", "not_responding", "wrap_up"), which, "a0"), by))

    @rule(agent=agents, planned=st.sampled_from([0.0, 5.0, -1.0]))
    def pause(self, agent: str, planned: float) -> None:
        self.tell(i.Pause(agent, "lunch", planned))

    @rule(agent=agents, mode=st.sampled_from(["inbound", "outbound", "both"]))
    def set_mode(self, agent: str, mode: Any) -> None:
        self.tell(i.SetMode(agent, mode))

    @rule(which=numbers, by=st.sampled_from([1.0, 100.0, 400.0]))
    def extend(self, which: int, by: float) -> None:
        self.tell(i.ExtendWrapUp(self.pick(self.agents_in("wrap_up"), which, "a0"), by))

    @rule(agent=agents, there=st.booleans())
    def telephone(self, agent: str, there: bool) -> None:
        (self.gone.discard if there else self.gone.add)(f"ext:{agent}")
        self.tell(i.Reachable(f"ext:{agent}", there))

    @rule(agent=agents)
    def direct_call(self, agent: str) -> None:
        known = self.engine.state.agents.get(agent)
        self.tell(i.DirectCall(agent, not (known is not None and known.direct)))

    @rule(
        queue=st.sampled_from([*QUEUES, "sales", "sales"]),
        number=st.sampled_from(["", "7", "8"]),
        wants=needs,
        priority=st.sampled_from([0.0, 0.0, 1.0, -2.0]),
        last=st.sampled_from(["", "", *AGENTS]),
        kind=st.sampled_from(["call", "call", "call", "reservation"]),
    )
    def arrive(self, queue: str, number: str, wants: str, priority: float, last: str, kind: Any) -> None:
        self.count += 1
        self.tell(i.Enqueue(f"c{self.count}", queue, number, wants, priority, last, kind))

    @rule(queue=st.sampled_from(["sales", "sales", "support"]), which=numbers)
    def arrive_plainly(self, queue: str, which: int) -> None:
        """Where nobody is there, somebody comes for it."""
        if not self.agents_in("ready"):
            self.ready(which, "")
        if not self.agents_in("ready"):
            self.sign_in(which, "", "")
        self.count += 1
        self.tell(i.Enqueue(f"c{self.count}", queue))

    @rule(which=numbers, queue=st.sampled_from(QUEUES))
    def arrive_again(self, which: int, queue: str) -> None:
        """A contact that no agent has after a transfer, or one that is somewhere already. Nobody says so of one that
        is just being sent elsewhere."""
        self.time_passes_to(self.now)
        idle = [each.id for each in self.engine.state.contacts.values() if not each.queue and not each.agents]
        self.tell(i.Enqueue(self.pick(idle or self.living, which, "c1"), queue))

    @rule(which=numbers)
    def hang_up(self, which: int) -> None:
        self.tell(i.HangUp(self.pick(sorted(self.living), which, "c0")))

    def in_queues(self) -> list[str]:
        return [each.id for each in self.engine.state.contacts.values() if each.queue]

    @rule(which=numbers, key=st.sampled_from(["1", "1", "2"]))
    def press(self, which: int, key: str) -> None:
        self.tell(i.PressKey(self.pick(self.in_queues(), which, "c0"), key))

    @precondition(lambda self: self.ringing)
    @rule(which=numbers)
    def accept(self, which: int) -> None:
        self.tell(i.Accept(self.pick(sorted(self.ringing), which, 0)))

    def dialled(self) -> list[str]:
        return [name for name in self.in_queues() if self.engine.state.contacts[name].kind == "reservation"]

    @precondition(lambda self: self.dialled())
    @rule(which=numbers)
    def answered(self, which: int) -> None:
        self.tell(i.Answered(self.pick(self.dialled(), which, "")))

    @precondition(lambda self: self.ringing)
    @rule(which=numbers, how=st.sampled_from([i.Reject, i.Unreachable]))
    def decline(self, which: int, how: Any) -> None:
        self.tell(how(self.pick(sorted(self.ringing), which, 0)))

    @rule(offer=st.integers(0, 60), how=st.sampled_from([i.Accept, i.Reject]))
    def answer_something(self, offer: int, how: Any) -> None:
        """Nobody answers an offer that is just being made."""
        self.time_passes_to(self.now)
        self.tell(how(offer))

    def at_work(self) -> list[tuple[str, str]]:
        return [(contact.id, agent) for contact in self.engine.state.contacts.values() for agent in contact.agents]

    @precondition(lambda self: self.at_work())
    @rule(which=numbers, how=st.sampled_from(["hangup", "hangup", "blind_transfer", "queue_transfer"]))
    def finish(self, which: int, how: Any) -> None:
        contact, agent = self.pick(self.at_work(), which, None)
        self.tell(i.Finish(contact, agent, how))

    @precondition(lambda self: self.at_work())
    @rule(which=numbers, what=st.sampled_from([i.Hold, i.Consult]), on=st.booleans())
    def hold_or_consult(self, which: int, what: Any, on: bool) -> None:
        contact, agent = self.pick(self.at_work(), which, None)
        self.tell(what(contact, agent, on))

    @rule(which=numbers, agent=agents)
    def take(self, which: int, agent: str) -> None:
        idle = [each.id for each in self.engine.state.contacts.values() if not each.queue]
        self.count += 1
        contact = self.pick([*idle, f"c{self.count}"], which, "")
        self.tell(i.Take(contact, agent))

    @precondition(lambda self: self.in_queues())
    @rule(which=numbers, agent=agents)
    def pick_up(self, which: int, agent: str) -> None:
        self.tell(i.PickUp(self.pick(self.in_queues(), which, ""), agent))

    @precondition(lambda self: self.in_queues() or self.engine.state.asking)
    @rule(which=numbers, number=st.sampled_from(["7", "9"]), at=st.sampled_from([0.0, 0.0, 1_200.0]))
    def wants_to_be_called(self, which: int, number: str, at: float) -> None:
        self.count += 1
        who = self.pick([*self.engine.state.asking, *self.in_queues()], which, "")
        self.tell(i.AskCallback(f"b{self.count}", number, contact=who, at=at))

    @precondition(lambda self: self.engine.state.asking)
    @rule(which=numbers, queue=st.sampled_from(QUEUES))
    def would_rather_wait(self, which: int, queue: str) -> None:
        self.tell(i.Enqueue(self.pick(list(self.engine.state.asking), which, ""), queue, "9"))

    @rule(queue=st.sampled_from(QUEUES), agent=st.sampled_from(["", "", *AGENTS]), number=st.integers(0, 99))
    def wants_to_be_called_by(self, queue: str, agent: str, number: int) -> None:
        self.count += 1
        self.tell(i.AskCallback(f"b{self.count}", str(number), queue, agent=agent))

    @precondition(lambda self: self.engine.state.callbacks)
    @rule(which=numbers)
    def wants_it_no_more(self, which: int) -> None:
        self.tell(i.CancelCallback(self.pick(sorted(self.engine.state.callbacks), which, "")))

    @precondition(lambda self: self.calling)
    @rule(which=numbers, outcome=st.sampled_from(["answered", "answered", "busy", "no_answer", "machine"]))
    def customer(self, which: int, outcome: Any) -> None:
        self.tell(i.CustomerCalled(self.pick(sorted(self.calling), which, ""), outcome))

    @rule(which=numbers, what=st.sampled_from(["csat", "nps", "attempt", "dialled"]))
    def told_for_the_figures(self, which: int, what: str) -> None:
        """Whatever contact it is of: nothing changes but the clock and the count."""
        self.time_passes_to(self.now)
        before = known(self.engine.state)
        told: dict[str, i.AnyInput] = {
            "csat": i.SurveyAnswer(f"c{which % 50}", "csat", which % 5 + 1),
            "nps": i.SurveyAnswer(f"c{which % 50}", "nps", which % 12 - 1),
            "attempt": i.CallAttempt("main", "no_channel" if which % 4 == 0 else "connected"),
            "dialled": i.DialledCall("spring", "answered", which % 4 - 1.0),
        }
        [_, fact] = self.tell(told[what])
        assert isinstance(fact.what, f.Surveyed | f.Attempted | f.Dialled)
        assert known(self.engine.state) == before

    @rule(what=st.sampled_from(NONSENSE))
    def nonsense(self, what: i.AnyInput) -> None:
        """It is refused, and nothing changes but the clock and the count."""
        outcome = self.engine.tick(self.now)  # what is due is due all the same
        self.outside.hear(None, outcome, self.engine.state)
        self.carry_out(outcome.records, outcome.effects)
        before = known(self.engine.state)
        [_, refused] = self.tell(what)
        assert isinstance(refused.what, f.Refused)
        assert known(self.engine.state) == before

    # ---- what is so

    def eligible(self, state: State, agent: str, contact: str) -> bool:
        """Whether an agent may have a contact, by the settings as they are written."""
        who, what = state.config.agents.get(agent), state.contacts[contact]
        if who is None or agent in what.skipped or (what.only and what.only != agent):
            return False
        queue = state.config.queues[what.queue]
        groups = {*queue.groups, *(group for step in queue.widen[: what.widened] for group in step.groups)}
        asked = queue.relax[what.relaxed - 1].needs if what.relaxed else queue.needs
        mode = state.agents[agent].mode
        return (
            who.team == queue.team
            and (not queue.groups or bool(groups & set(who.groups)))
            and NEEDS[asked](who.skills)
            and (NEEDS[what.needs](who.skills) or bool(what.relaxed and not queue.relax[what.relaxed - 1].own))
            and mode in ("both", queue.direction)
        )

    def open(self, state: State) -> list[str]:
        """The contacts that want an agent, or one more."""
        found = []
        for what in state.contacts.values():
            if what.queue:
                queue = state.config.queues[what.queue]
                most = {"ring_all": 99, "ring_some": queue.ring_count}.get(queue.strategy, 1)
                found += [what.id] if len(what.offers) < most else []
        return found

    def look_at_choice(self, made: f.Offered, cause: int) -> None:
        """Of all that could have been offered, or been offered it, just before: it was the first by its own key. Who
        gets a contact by becoming ready goes past nobody who was ready before. Who picks one up needs only be free."""
        state = self.mirror
        if made.by == "pick_up":
            who, what = state.agents[made.agent], state.contacts[made.contact]
            assert who.signed_in
            assert who.state == "wrap_up" or not who.contact
            assert (what.queue, what.kind) == (made.queue, "call")
            return
        assert state.agents[made.agent].state == "ready"
        ready = [agent.id for agent in state.agents.values() if agent.state == "ready"]
        able = [agent for agent in ready if self.eligible(state, agent, made.contact)]
        if made.by == "agent":
            assert made.contact == min(
                (each for each in self.open(state) if self.eligible(state, made.agent, each)),
                key=lambda each: self.turn_of(state, made.agent, each),
            )
            assert all(state.agents[agent].ready_seq > cause for agent in able if agent != made.agent)
            return
        assert made.agent in able
        mine, place = state.contacts[made.contact].waiter, self.turn_of(state, made.agent, made.contact)
        for each in self.open(state):
            sooner = state.contacts[each].waiter < mine and self.turn_of(state, made.agent, each) < place
            assert not (sooner and self.eligible(state, made.agent, each)), (each, made)
        keys = {agent: self.rank_of(state, agent, made) for agent in able}
        best = sorted(able, key=lambda agent: (keys[agent], state.agents[agent].ready_seq))
        if made.strategy != "weighted_random":
            assert keys[made.agent] <= keys[best[0]] + 1e-9
        if made.strategy in ("longest_idle", "ring_all", "ring_some", "fixed_order", "round_robin"):
            assert made.agent == best[0]

    @staticmethod
    def turn_of(state: State, agent: str, contact: str) -> tuple[float, int]:
        what = state.contacts[contact]
        who = state.config.agents[agent]
        points = who.weights.get(what.queue, 0.0) * state.config.teams[who.team].ageing
        return what.place - points, what.seq

    @staticmethod
    def rank_of(state: State, agent: str, made: f.Offered) -> float:
        who, what = state.agents[agent], state.contacts[made.contact]
        order = [*state.config.agents, *state.carried]
        left = math.exp((who.loaded - state.now) / state.config.teams[state.config.agents[agent].team].window)
        asked = parse(what.asks).proficiency(
            lambda skill: np.array([state.config.agents[agent].skills.get(skill, 0)]), 1
        )
        latest = state.latest.get(made.queue, "")
        after = order.index(latest) if latest in order else -1
        ranks = {
            "least_calls": who.calls * left,
            "least_talk_time": who.talk * left,
            "most_skilled": -float(asked[0]),
            "least_skilled": float(asked[0]),
            "fixed_order": float(order.index(agent)),
            "round_robin": float((order.index(agent) - after - 1) % len(order)),
        }
        return ranks.get(made.strategy, float(who.ready_seq))

    @invariant()
    def nobody_waits_beside_an_agent_who_could_take_the_contact(self) -> None:
        state = self.engine.state
        ready = [agent.id for agent in state.agents.values() if agent.state == "ready"]
        waiting = self.open(state)
        for agent in ready:
            assert not [contact for contact in waiting if self.eligible(state, agent, contact)], (agent, waiting)

    def might(self, state: State, agent: AgentState, what: ContactState) -> bool:
        """Whether an agent who is signed in could have a contact some time, however long that waits."""
        who, queue = state.settings(agent.id), state.config.queues[what.queue]
        groups = {*queue.groups, *(group for step in queue.widen for group in step.groups)}
        return (
            who.team == queue.team
            and (not queue.groups or bool(groups & set(who.groups)))
            and any(
                NEEDS[asked](who.skills) and (not own or NEEDS[what.needs](who.skills))
                for asked, own in ((queue.needs, True), *((step.needs, step.own) for step in queue.relax))
            )
            and agent.mode in ("both", queue.direction)
        )

    @invariant()
    def nobody_waits_whom_a_limit_lets_go_as_there_is_no_agent(self) -> None:
        state = self.engine.state
        for what in state.contacts.values():
            for limit in state.config.queues[what.queue].limits if what.queue and what.kind == "call" else ():
                if limit.waiting and limit.of in ("no_agents", "none_ready"):
                    there = [agent for agent in state.agents.values() if agent.signed_in]
                    if limit.of == "none_ready":
                        there = [agent for agent in there if agent.state in AT_WORK]
                    assert any(self.might(state, agent, what) for agent in there), (what.id, limit)

    @invariant()
    def offers_are_leases_of_one_agent_and_one_contact(self) -> None:
        state = self.engine.state
        offered = Counter(offer.agent for offer in state.offers.values())
        assert all(count == 1 for count in offered.values())
        assert {agent.id for agent in state.agents.values() if agent.state == "offered"} == set(offered)
        assert all(offer.deadline > state.now for offer in state.offers.values())
        by_contact = Counter(offer.contact for offer in state.offers.values())
        assert by_contact == {each.id: len(each.offers) for each in state.contacts.values() if each.offers}
        assert set(self.ringing) == set(state.offers)
        for offer in state.offers.values():
            assert state.contacts[offer.contact].queue == offer.queue

    @invariant()
    def no_contact_is_lost_or_doubled(self) -> None:
        state = self.engine.state
        assert set(state.contacts) == self.living
        held = Counter(agent for contact in state.contacts.values() for agent in contact.agents)
        assert all(count == 1 for count in held.values())
        assert set(held) == {agent.id for agent in state.agents.values() if agent.state in WORK and agent.contact}
        for contact in state.contacts.values():
            assert not (contact.queue and contact.agents)
        for name in state.config.queues:
            there = sorted((each.place, each.seq, each.id) for each in state.contacts.values() if each.queue == name)
            assert [tuple(each) for each in state.classes.everybody(name)] == there
            for rank, (_, _, contact_id) in enumerate(there):
                assert state.position(state.contacts[contact_id]) == rank + 1

    @invariant()
    def columns_say_what_agents_are(self) -> None:
        state = self.engine.state
        for agent in state.agents.values():
            row = state.roster.row[agent.id]
            assert state.roster.free_inbound[row] == (agent.state == "ready" and agent.mode != "outbound")
            assert state.roster.free_outbound[row] == (agent.state == "ready" and agent.mode != "inbound")
            assert state.addresses.get(agent.address) == (agent.id if agent.signed_in else None)
            assert not (agent.state == "ready" and agent.address in self.gone)
        assert state.kept == Counter((each.queue, each.number) for each in state.callbacks.values())
        wanted: dict[str, Counter[str]] = {}
        for what in state.contacts.values():
            if what.queue:
                wanted.setdefault(what.queue, Counter())[what.needs] += 1
        assert {queue: needs for queue, needs in state.wanted.items() if needs} == wanted

    def check_invariants_now(self) -> None:
        """For who runs rules without hypothesis."""
        self.nobody_waits_beside_an_agent_who_could_take_the_contact()
        self.nobody_waits_whom_a_limit_lets_go_as_there_is_no_agent()
        self.offers_are_leases_of_one_agent_and_one_contact()
        self.no_contact_is_lost_or_doubled()
        self.columns_say_what_agents_are()

    def teardown(self) -> None:
        records = [decode(line) for line in self.journal]
        assert self.mirror.snapshot() == self.engine.state.snapshot()
        half = fold(records[: len(records) // 2]).snapshot()
        assert fold(records, State.restore(half)).snapshot() == self.engine.state.snapshot()
        assert [encode(record) for record in replay(records)] == self.journal
        queued = [record.what.contact for record in records if isinstance(record.what, f.Queued)]
        if queued:
            assert list(explain(records, queued[len(queued) // 2], str))
        assert sum(isinstance(record.what, f.Refused) for record in records) == self.engine.refused.total()
