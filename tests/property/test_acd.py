"""The ACD engine against all that it promises, in random sequences of everything that can happen to it.

After each step a model that knows nothing of classes, columns and places looks at who could have whom. At the end of a
run the journal is folded and replayed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.agent import WORK
from acd.config import (
    STRICT,
    Agent,
    Announcement,
    CallbackRules,
    Config,
    Group,
    Limit,
    Queue,
    Relax,
    Team,
    WayOut,
    Widen,
    WrapUp,
)
from acd.engine import Engine
from acd.explain import explain
from acd.journal import decode, encode, fold, replay
from acd.state import State

AGENTS = [f"a{n}" for n in range(6)]
QUEUES = ["sales", "support", "night", "out"]
NEEDS: dict[str, Callable[[dict[str, int]], bool]] = {
    "": lambda has: True,
    "es": lambda has: has.get("es", 0) >= 1,
    "es>=50 and not sales": lambda has: has.get("es", 0) >= 50 and not has.get("sales", 0),
    "sales or es>=80": lambda has: has.get("sales", 0) >= 1 or has.get("es", 0) >= 80,
}
STRATEGIES = [
    "longest_idle",
    "round_robin",
    "least_calls",
    "least_talk_time",
    "most_skilled",
    "least_skilled",
    "fixed_order",
    "weighted_random",
    "ring_all",
    "ring_some",
]

needs = st.sampled_from(list(NEEDS))
seconds = st.sampled_from([1.0, 5.0, 20.0, 60.0])
ways = st.builds(
    WayOut,
    kind=st.sampled_from(["queue", "number", "voicemail", "hangup"]),
    name=st.sampled_from(QUEUES),
    keep_wait=st.booleans(),
)
limits = st.builds(
    Limit,
    of=st.sampled_from(["no_agents", "none_ready", "length", "waited"]),
    to=ways,
    value=st.sampled_from([1.0, 3.0, 30.0]),
    waiting=st.booleans(),
)
wrap_ups = st.builds(
    WrapUp,
    after=st.sampled_from(["answered", "ring", "never"]),
    ends=st.sampled_from(["manual", "timeboxed", "timeboxed_strict"]),
    seconds=st.sampled_from([0.0, 10.0]),
)


@st.composite
def queues(draw: st.DrawFn, name: str) -> Queue:
    outbound = name == "out"
    return Queue(
        name=name,
        team="one" if name != "night" else draw(st.sampled_from(["one", "two"])),
        needs=draw(needs),
        relax=tuple(Relax(after=10.0 * n, needs=draw(needs)) for n in range(1, draw(st.integers(1, 3)))),
        groups=draw(st.sampled_from([(), ("g0",), ("g0", "g1")])),
        widen=tuple(Widen(after=15.0 * n, groups=("g1",)) for n in range(1, draw(st.integers(1, 2)) + 1)),
        strategy=draw(st.sampled_from(STRATEGIES)),  # type: ignore[arg-type]
        ring_count=draw(st.integers(1, 3)),
        ring_seconds=draw(seconds),
        priority=draw(st.sampled_from([0.0, 1.0, 5.0])),
        vip=("7",),
        direction="outbound" if outbound else "inbound",
        wrap_up=draw(wrap_ups),
        affinity=draw(st.sampled_from([0.0, 20.0])),
        skip=draw(st.sampled_from([0.0, 10.0])),
        on_reject=draw(st.sampled_from(["ready", "not_responding"])),
        limits=tuple(draw(st.lists(limits, max_size=2))),
        exits={"1": draw(ways)},
        emptied_to=draw(ways),
        return_within=draw(st.sampled_from([0.0, 60.0])),
        announcements=tuple(
            Announcement(what=what, first=3.0, every=every)
            for what, every in draw(
                st.sampled_from([(), (("position", 10.0),), (("welcome", 0.0), ("expected_wait", 7.0))])
            )
        ),
        callback=draw(
            st.sampled_from([CallbackRules(), CallbackRules(first="customer", attempts=2, retry={"busy": 5.0})])
        ),
    )


@st.composite
def configs(draw: st.DrawFn) -> Config:
    kept = [name for name in AGENTS if name == "a0" or draw(st.integers(0, 9))]
    there = [name for name in QUEUES if name == "sales" or draw(st.integers(0, 9))]
    return Config(
        version=str(draw(st.integers(0, 99))),
        seed=draw(st.integers(0, 9)),
        teams={
            "one": Team(
                name="one",
                ageing=draw(st.sampled_from([0.0, 10.0, STRICT])),
                window=100.0,
                misses=draw(st.integers(0, 2)),
            ),
            "two": Team(name="two", sign_in_as="paused"),
        },
        groups={"g0": Group(name="g0", team="one", administrators=("a0",))},
        agents={
            name: Agent(
                id=name,
                team="one" if name != "a5" else "two",
                groups=tuple(draw(st.sampled_from([("g0",), ("g1",), ("g0", "g1")]))),
                skills=draw(st.dictionaries(st.sampled_from(["es", "sales"]), st.integers(0, 100))),
                weights=draw(st.dictionaries(st.sampled_from(QUEUES), st.sampled_from([1.0, 3.0, 0.0]), max_size=2)),
                mode=draw(st.sampled_from(["inbound", "both", "outbound", "self"])),
                wrap_up=draw(st.none() | wrap_ups),
                address=f"ext:{name}",
                direct_calls=draw(st.sampled_from(["busy", "free"])),
            )
            for name in kept
        },
        queues={name: draw(queues(name)) for name in there},
    )


class Acd(RuleBasedStateMachine):
    """The engine, and what there must be outside of it: calls that are waiting, ringing, or with agents."""

    contacts = Bundle("contacts")

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine()
        self.journal: list[bytes] = []
        self.now = 1_000.0
        self.count = 0
        self.living: set[str] = set()
        self.ringing: dict[int, e.Offer] = {}
        self.calling: dict[str, e.CallCustomer] = {}

    # ---- the switch, such as it is

    def tell(self, what: i.AnyInput) -> list[f.Record]:
        before = self.engine.state.last_id
        outcome = self.engine.handle(what, self.now)
        assert [record.id for record in outcome.records] == list(range(before + 1, self.engine.state.last_id + 1))
        self.carry_out(outcome.records, outcome.effects)
        return outcome.records

    def carry_out(self, records: list[f.Record], effects: list[Any]) -> None:
        self.journal += map(encode, records)
        self.look_at_choices(records)
        for record in records:
            if isinstance(record.what, f.OfferEnded) and record.what.how in ("rejected", "unreachable", "accepted"):
                del self.ringing[record.what.offer]
            if isinstance(record.what, f.Queued):
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

    @initialize(config=configs())
    def begin(self, config: Config) -> None:
        self.tell(i.Configure(config))

    @rule(config=configs())
    def reload(self, config: Config) -> None:
        self.tell(i.Configure(config))

    @rule(by=seconds)
    def time_passes(self, by: float) -> None:
        self.now += by
        outcome = self.engine.tick(self.now)
        self.carry_out(outcome.records, outcome.effects)

    @rule()
    def clock_jumps_back(self) -> None:
        self.now -= 7.0

    @rule()
    def the_engine_dies_and_another_goes_on(self) -> None:
        refused = self.engine.refused
        self.engine = Engine(State.restore(self.engine.state.snapshot()))
        self.engine.refused = refused

    @rule(
        agent=st.sampled_from([*AGENTS, "nobody"]),
        mode=st.sampled_from(["", "inbound", "outbound", "both"]),
        by=st.sampled_from(["", "a0"]),
    )
    def sign_in(self, agent: str, mode: Any, by: str) -> None:
        self.tell(i.SignIn(agent, mode=mode, by=by))

    @rule(agent=st.sampled_from(AGENTS))
    def sign_in_plainly(self, agent: str) -> None:
        self.tell(i.SignIn(agent))

    @rule(agent=st.sampled_from(AGENTS))
    def sign_out(self, agent: str) -> None:
        self.tell(i.SignOut(agent))

    @rule(agent=st.sampled_from(AGENTS), by=st.sampled_from(["", "a0", "a1"]))
    def ready(self, agent: str, by: str) -> None:
        self.tell(i.Ready(agent, by))

    @rule(agent=st.sampled_from(AGENTS), planned=st.sampled_from([0.0, 5.0, -1.0]))
    def pause(self, agent: str, planned: float) -> None:
        self.tell(i.Pause(agent, "lunch", planned))

    @rule(agent=st.sampled_from(AGENTS), mode=st.sampled_from(["inbound", "outbound", "both"]))
    def set_mode(self, agent: str, mode: Any) -> None:
        self.tell(i.SetMode(agent, mode))

    @rule(agent=st.sampled_from(AGENTS), by=st.sampled_from([1.0, 100.0, 400.0]))
    def extend(self, agent: str, by: float) -> None:
        self.tell(i.ExtendWrapUp(agent, by))

    @rule(agent=st.sampled_from(AGENTS), there=st.booleans())
    def telephone(self, agent: str, there: bool) -> None:
        self.tell(i.Reachable(f"ext:{agent}", there))

    @rule(agent=st.sampled_from(AGENTS), active=st.booleans())
    def direct_call(self, agent: str, active: bool) -> None:
        self.tell(i.DirectCall(agent, active))

    @rule(
        target=contacts,
        queue=st.sampled_from([*QUEUES, "sales", "nowhere"]),
        number=st.sampled_from(["", "7", "8"]),
        wants=needs,
        priority=st.sampled_from([0.0, 1.0, -2.0]),
        last=st.sampled_from(["", *AGENTS]),
        kind=st.sampled_from(["call", "call", "reservation"]),
    )
    def arrive(self, queue: str, number: str, wants: str, priority: float, last: str, kind: Any) -> Any:
        self.count += 1
        name = f"c{self.count}"
        self.tell(i.Enqueue(name, queue, number, wants, priority, last, kind))
        return name if name in self.living else multiple()

    @rule(contact=contacts, queue=st.sampled_from(QUEUES))
    def arrive_again(self, contact: str, queue: str) -> None:
        self.tell(i.Enqueue(contact, queue))

    @rule(contact=consumes(contacts))
    def hang_up(self, contact: str) -> None:
        self.tell(i.HangUp(contact))

    @rule(contact=contacts, key=st.sampled_from(["1", "2"]))
    def press(self, contact: str, key: str) -> None:
        self.tell(i.PressKey(contact, key))

    @rule(data=st.data(), how=st.sampled_from([i.Accept, i.Accept, i.Accept, i.Reject, i.Unreachable]))
    def answer(self, data: st.DataObject, how: Any) -> None:
        offers = sorted(self.ringing) or [1]
        self.tell(how(data.draw(st.sampled_from(offers))))

    @rule(offer=st.integers(0, 60), how=st.sampled_from([i.Accept, i.Reject]))
    def answer_something(self, offer: int, how: Any) -> None:
        self.tell(how(offer))

    def at_work(self) -> list[tuple[str, str]]:
        return [(contact.id, agent) for contact in self.engine.state.contacts.values() for agent in contact.agents]

    @rule(data=st.data(), how=st.sampled_from(["hangup", "hangup", "blind_transfer", "queue_transfer"]))
    def finish(self, data: st.DataObject, how: Any) -> None:
        contact, agent = data.draw(st.sampled_from(self.at_work() or [("c1", "a1")]))
        self.tell(i.Finish(contact, agent, how))

    @rule(data=st.data(), what=st.sampled_from([i.Hold, i.Consult]), on=st.booleans())
    def hold_or_consult(self, data: st.DataObject, what: Any, on: bool) -> None:
        contact, agent = data.draw(st.sampled_from(self.at_work() or [("c1", "a1")]))
        self.tell(what(contact, agent, on))

    @rule(contact=contacts, agent=st.sampled_from(AGENTS))
    def take(self, contact: str, agent: str) -> None:
        self.tell(i.Take(contact, agent))
        if self.engine.state.contacts.get(contact):
            self.living.add(contact)

    @rule(contact=contacts, number=st.sampled_from(["7", "9"]), at=st.sampled_from([0.0, 1_200.0]))
    def wants_to_be_called(self, contact: str, number: str, at: float) -> None:
        self.count += 1
        self.tell(i.AskCallback(f"b{self.count}", number, contact=contact, at=at))

    @rule(queue=st.sampled_from(QUEUES), agent=st.sampled_from(["", *AGENTS]), number=st.integers(0, 99))
    def wants_to_be_called_by(self, queue: str, agent: str, number: int) -> None:
        self.count += 1
        self.tell(i.AskCallback(f"b{self.count}", str(number), queue, agent=agent))

    @rule(data=st.data())
    def wants_it_no_more(self, data: st.DataObject) -> None:
        self.tell(i.CancelCallback(data.draw(st.sampled_from(sorted(self.engine.state.callbacks) or ["b0"]))))

    @rule(data=st.data(), outcome=st.sampled_from(["answered", "busy", "no_answer", "machine"]))
    def customer(self, data: st.DataObject, outcome: Any) -> None:
        self.tell(i.CustomerCalled(data.draw(st.sampled_from(sorted(self.calling) or ["b0"])), outcome))

    # ---- what is so

    def eligible(self, agent: str, contact: str) -> bool:
        """Whether an agent may have a contact, by the settings as they are written."""
        state = self.engine.state
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
            and NEEDS[what.needs](who.skills)
            and mode in ("both", queue.direction)
        )

    def wants_more(self, contact: str) -> bool:
        what = self.engine.state.contacts[contact]
        queue = self.engine.state.config.queues[what.queue]
        most = {"ring_all": 99, "ring_some": queue.ring_count}.get(queue.strategy, 1)
        return len(what.offers) < most

    def look_at_choices(self, records: list[f.Record]) -> None:
        """Who is offered what was a candidate, and the first of them."""
        for record in records:
            if isinstance(record.what, f.Offered):
                made = record.what
                listed = made.candidates if made.by == "contact" else made.rivals
                assert [each.key for each in listed] == sorted(each.key for each in listed)
                if made.by == "agent":
                    assert listed[0].agent == made.contact
                elif made.strategy not in ("ring_all", "ring_some"):
                    assert listed[0].agent == made.agent

    @invariant()
    def nobody_waits_beside_an_agent_who_could_take_the_contact(self) -> None:
        state = self.engine.state
        ready = [agent.id for agent in state.agents.values() if agent.state == "ready"]
        waiting = [contact.id for contact in state.contacts.values() if contact.queue and self.wants_more(contact.id)]
        for agent in ready:
            assert not [contact for contact in waiting if self.eligible(agent, contact)], (agent, waiting)

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

    def teardown(self) -> None:
        records = [decode(line) for line in self.journal]
        assert fold(records).snapshot() == self.engine.state.snapshot()
        assert [encode(record) for record in replay(records)] == self.journal
        queued = [record.what.contact for record in records if isinstance(record.what, f.Queued)]
        if queued:
            assert list(explain(records, queued[len(queued) // 2], str))
        assert sum(isinstance(record.what, f.Refused) for record in records) == self.engine.refused.total()


Acd.TestCase.settings = settings(
    max_examples=50, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAcd = Acd.TestCase
