"""KPIs of random journals: however a journal is cut the counters are the same, intervals add up to the whole, and a
plain recount of the records agrees."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.agent import BEGINS
from acd.config import CallbackRules, Limit, WayOut, WrapUp
from acd.engine import Engine
from acd.kpi.cells import Cell
from acd.kpi.intervals import interval_of
from acd.kpi.live import Live, Span
from acd.kpi.report import By, Tally, report
from tests.unit.acd.kpi.floor import NINE, config, whole

AGENTS = ["ann", "bob", "cid"]
QUEUES = ["help", "more", "buy"]
CONFIG = config(
    help={
        "limits": (Limit(of="waited", to=WayOut(kind="queue", name="more"), value=60.0),),
        "exits": {"1": WayOut(kind="voicemail", name="box")},
        "callback": CallbackRules(retry={"busy": 60.0}),
        "wrap_up": WrapUp(after="ring", seconds=30.0),
    },
    more={"strategy": "ring_all", "return_within": 300.0, "callback": CallbackRules(first="customer")},
    buy={"team": "shop", "limits": (Limit(of="no_agents", to=WayOut(kind="hangup")),)},
)


@dataclass
class Afternoon:
    """The engine, in what order however; whatever makes no sense it refuses. Whole seconds, so that sums are exact."""

    engine: Engine = field(default_factory=Engine)
    records: list[f.Record] = field(default_factory=list)
    offers: list[int] = field(default_factory=list)
    now: float = NINE

    def tell(self, what: i.AnyInput) -> None:
        outcome = self.engine.handle(what, self.now)
        self.records += outcome.records
        self.offers += [effect.offer for effect in outcome.effects if isinstance(effect, e.Offer)]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        while (due := self.engine.next_deadline) is not None and due <= self.now:
            outcome = self.engine.tick(due)
            self.records += outcome.records
            self.offers += [effect.offer for effect in outcome.effects if isinstance(effect, e.Offer)]

    def talking(self) -> list[tuple[str, str]]:
        return [(each.id, agent) for each in self.engine.state.contacts.values() for agent in each.agents]


agents = st.sampled_from(AGENTS)
queues = st.sampled_from(QUEUES)
numbers = st.sampled_from(["", "555", "666"])
STEPS: list[st.SearchStrategy[Any]] = [
    st.tuples(st.just("wait"), st.sampled_from([1, 3, 20, 61, 400, 1000])),
    st.tuples(st.just("call"), queues, numbers),
    st.tuples(st.just("call"), queues, numbers),
    st.tuples(st.just("answer")),
    st.tuples(st.just("answer")),
    st.tuples(st.just("reject")),
    st.tuples(st.just("leave"), st.integers(0, 5)),
    st.tuples(st.just("finish"), st.sampled_from(["hangup", "hangup", "blind_transfer", "queue_transfer"])),
    st.tuples(st.just("hold"), st.booleans()),
    st.tuples(st.just("key")),
    st.tuples(st.just("callback"), numbers),
    st.tuples(st.just("customer"), st.sampled_from(["answered", "busy", "failed"])),
    st.tuples(st.just("agent"), st.sampled_from(["ready", "pause", "out", "in", "direct", "no_direct"]), agents),
    st.tuples(st.just("take"), agents),
    st.tuples(st.just("reload")),
    st.tuples(st.just("survey"), st.integers(0, 60), st.sampled_from(["csat", "nps"]), st.integers(-1, 10)),
    st.tuples(st.just("attempt"), st.sampled_from(["main", "spare"]), st.sampled_from(get_args(i.AttemptOutcome))),
    st.tuples(st.just("dialled"), st.sampled_from(["answered", "machine"]), st.sampled_from([-1, 1, 3])),
]


def happen(afternoon: Afternoon, step: tuple[Any, ...], number: int) -> None:
    there = afternoon.engine.state.contacts.values()
    waiting = [each.id for each in there if each.queue and each.kind == "call" and not each.callback]
    match step:
        case ("wait", seconds):
            afternoon.wait(seconds)
        case ("call", queue, caller):
            afternoon.tell(i.Enqueue(f"c{number}", queue, caller))
        case ("answer" | "reject" as how,) if afternoon.offers:
            offer = afternoon.offers.pop()
            afternoon.tell(i.Accept(offer) if how == "answer" else i.Reject(offer))
        case ("leave", which) if afternoon.engine.state.contacts:
            names = list(afternoon.engine.state.contacts)
            afternoon.tell(i.HangUp(names[which % len(names)]))
        case ("finish", how) if afternoon.talking():
            contact, agent = afternoon.talking()[0]
            afternoon.tell(i.Finish(contact, agent, how))
            if how == "queue_transfer":
                afternoon.tell(i.Enqueue(contact, "more"))
            elif how == "blind_transfer":
                afternoon.tell(i.HangUp(contact))
        case ("hold", held) if afternoon.talking():
            afternoon.tell(i.Hold(*afternoon.talking()[0], held))
        case ("key",) if waiting:
            afternoon.tell(i.PressKey(waiting[0], "1"))
        case ("callback", caller) if waiting:
            afternoon.tell(i.AskCallback(f"b{number}", caller or "777", contact=waiting[0]))
        case ("customer", outcome):
            for callback in list(afternoon.engine.state.callbacks):
                afternoon.tell(i.CustomerCalled(callback, outcome))
        case ("agent", what, agent):
            orders = {"ready": i.Ready(agent), "pause": i.Pause(agent, "tea"), "out": i.SignOut(agent)}
            orders |= {"in": i.SignIn(agent), "direct": i.DirectCall(agent, True)}
            afternoon.tell(orders.get(what, i.DirectCall(agent, False)))
        case ("take", agent) if afternoon.talking():
            afternoon.tell(i.Take(afternoon.talking()[0][0], agent))
        case ("survey", which, question, score):
            afternoon.tell(i.SurveyAnswer(f"c{which % (number + 1)}", question, score))
        case ("attempt", trunk, outcome):
            afternoon.tell(i.CallAttempt(trunk, outcome, "inbound" if number % 2 else "outbound"))
        case ("dialled", outcome, waited):
            afternoon.tell(i.DialledCall("spring", outcome, waited if outcome == "answered" else -1.0))
        case ("reload",):
            afternoon.tell(i.Configure(CONFIG))
        case _:
            pass


@st.composite
def journals(draw: st.DrawFn) -> list[f.Record]:
    afternoon = Afternoon()
    afternoon.tell(i.Configure(CONFIG))
    for agent in draw(st.lists(agents, unique=True, min_size=1)):
        afternoon.tell(i.SignIn(agent))
    for number, step in enumerate(draw(st.lists(st.one_of(STEPS), min_size=25, max_size=60))):
        happen(afternoon, step, number)
    return afternoon.records


def tally_of(records: list[f.Record]) -> Tally:
    tally = Tally()
    for record in records:
        tally.add(record)
    return tally


@given(journals(), st.data())
def test_counters_are_the_same_however_the_journal_is_cut(records: list[f.Record], data: st.DataObject) -> None:
    """Each part is read from the snapshot of the one before, and begins with records that it has had."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(records)), max_size=3)))
    tally = Tally()
    for start, end in zip([0, *cuts], [*cuts, len(records)], strict=True):
        tally = Tally.restore(tally.snapshot())
        for record in records[max(start - 2, 0) : end]:
            tally.add(record)
    assert tally.snapshot() == tally_of(records).snapshot()


@given(journals(), st.data())
def test_live_figures_survive_a_restart_at_any_record(records: list[f.Record], data: st.DataObject) -> None:
    """The snapshot of a part, and what comes after it, are the whole, to the last octet and in each figure; records
    that the snapshot has had do nothing."""
    cut = data.draw(st.integers(0, len(records)))
    again = data.draw(st.integers(0, cut))
    whole_day, before = Live(), Live()
    for record in records:
        whole_day.add(record)
    for record in records[:cut]:
        before.add(record)
    after = Live.restore(before.snapshot())
    assert figures(after, records[cut - 1].time) == figures(before, records[cut - 1].time)
    for record in records[again:]:
        after.add(record)
    assert after.snapshot() == whole_day.snapshot()
    assert figures(after, records[-1].time + 100.0) == figures(whole_day, records[-1].time + 100.0)


def figures(live: Live, now: float) -> list[Any]:
    """All that is asked of it."""
    return [
        [live.rows(by, span, now) for by in get_args(By) for span in get_args(Span)],
        [live.queue(queue, now) for queue in QUEUES],
        [live.team(team, now) for team in ("care", "shop")],
        [live.agent(agent, now) for agent in AGENTS],
    ]


@given(journals())
def test_every_answer_counts_once_or_is_left_out(records: list[f.Record]) -> None:
    """The latest of each contact and question, where it has had an agent; contacts are of the same id but once here."""
    tally = tally_of(records)
    had: set[str] = set()
    over: set[str] = set()
    for record in records:
        if isinstance(record.what, f.HandleEnded):
            had.add(record.what.contact)
        elif isinstance(record.what, f.Ended):
            over.add(record.what.contact)
    answered = {
        (fact.contact, fact.question) for fact in (record.what for record in records) if isinstance(fact, f.Surveyed)
    }
    everything = whole(tally)
    counted = sum(sum(cell.surveys.values()) for cell in everything.handles.values())
    assert counted == sum(contact in had & over for contact, _ in answered)
    attempts = sum(isinstance(record.what, f.Attempted) for record in records)
    assert sum(sum(counts.values()) for counts in everything.trunks.values()) == attempts
    dialled = sum(isinstance(record.what, f.Dialled) for record in records)
    assert sum(sum(counts.values()) for counts in everything.campaigns.values()) == dialled


@given(journals())
def test_intervals_add_up_to_the_whole(records: list[f.Record]) -> None:
    """Quarters of an hour, grouped as longer intervals are, and all in one."""
    tally = tally_of(records)
    now = records[-1].time + 100.0
    open_too = tally.so_far(now)
    everything = whole(Tally(tally.fold, open_too))
    for interval in ("15m", "30m", "60m", "day"):
        grouped: dict[float, Cell] = {}
        for slot, cell in sorted(open_too.slots.items()):
            start = interval_of(slot * 900.0, interval)[0]  # type: ignore[arg-type]
            grouped.setdefault(start, Cell()).merge(cell)
        total = Cell()
        for cell in grouped.values():
            total.merge(cell)
        assert total == everything
        rows = report(tally, "team", interval, now=now)  # type: ignore[arg-type]
        of_teams = {start for start, cell in grouped.items() if cell.queues or cell.handles or cell.agents}
        assert {row.start for row in rows} == of_teams  # there may be calls of trunks and campaigns alone
        contacts = [row.contacts for row in rows if row.contacts is not None]
        time = [row.time for row in rows if row.time is not None]
        assert sum(each.offered for each in contacts) == sum(
            len(queue.answered.entry) + len(queue.abandoned.entry) + len(queue.out.entry)
            for queue in everything.queues.values()
        )
        assert sum(each.signed_in for each in time) == sum(
            sum(agent.seconds.values()) for agent in everything.agents.values()
        )


@given(journals())
def test_counters_are_those_of_a_plain_recount(records: list[f.Record]) -> None:
    """Over the records alone, with no fold: who came, was answered, hung up, left; who has handled how many."""
    facts = [record.what for record in records]
    everything = whole(tally_of(records))
    queues = everything.queues.values()
    calls = [fact for fact in facts if isinstance(fact, f.Queued) and fact.kind == "call"]
    kinds = {fact.contact: fact.kind for fact in facts if isinstance(fact, f.Queued)}
    last: dict[str, str] = {}
    left: Counter[str] = Counter()
    for fact in facts:
        if isinstance(fact, f.Queued):
            last[fact.contact] = fact.kind
        elif isinstance(fact, f.LeftQueue) and last[fact.contact] == "call":
            left["abandoned" if fact.how == "abandoned" else "out"] += 1
        elif isinstance(fact, f.Connected) and last[fact.contact] == "call":
            left["answered"] += 1
    assert sum(len(queue.answered.entry) for queue in queues) == left["answered"]
    assert sum(len(queue.abandoned.entry) for queue in queues) == left["abandoned"]
    assert sum(len(queue.out.entry) for queue in queues) == left["out"]
    waiting = len(list(tally_of(records).fold.open_stays()))
    assert left.total() + waiting == len(calls)

    handles = everything.handles.values()
    begun = sum(isinstance(fact, f.AgentChanged) and fact.why in BEGINS for fact in facts)
    under_way = sum(agent.handle is not None for agent in tally_of(records).fold.agents.values())
    assert sum(cell.handled + cell.unreached for cell in handles) + under_way == begun
    assert sum(cell.answered for cell in handles) <= sum(isinstance(fact, f.Connected) for fact in facts)
    offers = sum(sum(agent.offers.values()) for agent in everything.agents.values())
    assert offers == sum(isinstance(fact, f.OfferEnded) for fact in facts)
    assert sum(queue.calls for queue in queues) <= len(kinds)


@given(journals())
def test_time_is_neither_lost_nor_doubled(records: list[f.Record]) -> None:
    """The seconds of each agent are those from its sign-ins to its sign-outs."""
    tally = tally_of(records)
    now = records[-1].time
    since: dict[str, float] = {}
    signed_in: Counter[str] = Counter()
    for record in records:
        if isinstance(record.what, f.AgentChanged):
            agent, state = record.what.agent, record.what.state
            if state == "signed_out":
                signed_in[agent] += int(record.time - since.pop(agent))
            else:
                since.setdefault(agent, record.time)
    for agent, start in since.items():
        signed_in[agent] += int(now - start)
    everything = whole(Tally(tally.fold, tally.so_far(now)))
    counted = {name: sum(agent.seconds.values()) for (_, name), agent in everything.agents.items()}
    assert {name: seconds for name, seconds in counted.items() if seconds} == +signed_in
    assert tally.fold.unknown == 0
