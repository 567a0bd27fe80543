"""Inputs that make no sense, come twice, or out of time: refused in words, counted, and without any trace."""

import math

import pytest
from acd_world import MONDAY, World, agent, queue

from acd import facts as f
from acd import inputs as i
from acd.config import Config
from acd.turn import MAX_TEXT


def world() -> World:
    """Ann talks to c1, Bob is being offered c2, c3 waits, Cid is not signed in."""
    made = World([queue("sales"), queue("help", callback=None)], [agent("ann"), agent("bob"), agent("cid")])
    made.sign_in("ann", "bob")
    made.call("c1", "sales")
    made.answer("ann")
    for contact in ("c2", "c3"):
        made.call(contact, "sales")
    return made


REFUSALS = [
    (i.SignIn("nobody"), "there is no agent 'nobody'"),
    (i.SignIn("ann"), "agent ann is signed in already"),
    (i.SignOut("nobody"), "there is no agent 'nobody'"),
    (i.SignOut("cid"), "agent cid is not signed in"),
    (i.Ready("ann"), "agent ann is talking: expected one who is paused or in wrap-up"),
    (i.Pause("cid"), "agent cid is not signed in"),
    (i.Pause("ann", "x" * 65), f"bad reason '{'x' * 64}': expected at most 64 characters"),
    (i.Pause("ann", planned=math.nan), "bad time nan: expected seconds, at most a day"),
    (i.Pause("ann", planned=-1.0), "bad time -1.0: expected seconds, at most a day"),
    (i.Pause("ann", planned=86_401.0), "bad time 86401.0: expected seconds, at most a day"),
    (i.SetMode("ann", "both"), "agent ann works inbound: expected one of work mode self"),
    (i.ExtendWrapUp("ann", 10.0), "agent ann is in no wrap-up that ends by time"),
    (i.DirectCall("cid", True), "agent cid is not signed in"),
    (i.DirectCall("ann", False), "agent ann is not in a direct call"),
    (i.Enqueue("c9", "nowhere"), "there is no queue 'nowhere'"),
    (i.Enqueue("c1", "sales"), "contact c1 is with agent ann"),
    (i.Enqueue("c2", "help"), "contact c2 waits in queue sales"),
    (i.Enqueue("", "sales"), "bad contact '': expected an id, texts of at most 128 characters"),
    (i.Enqueue("c9", "sales", needs="es and"), "bad needs, column 7: it ends: expected a skill, 'not' or '('"),
    (
        i.Enqueue("c9", "sales", priority=math.nan),
        "bad priority or time waited: expected points up to a million, and seconds",
    ),
    (
        i.Enqueue("c9", "sales", waited=-1.0),
        "bad priority or time waited: expected points up to a million, and seconds",
    ),
    (i.HangUp("c9"), "there is no contact 'c9', or it is over"),
    (i.PressKey("c1", "1"), "contact c1 waits in no queue"),
    (i.PressKey("c3", "1"), "queue sales has no way out by key '1'"),
    (i.Hold("c3", "ann", True), "agent ann does not have contact c3"),
    (i.Hold("c1", "ann", False), "agent ann does not hold contact c1"),
    (i.Consult("c1", "bob", True), "agent bob does not have contact c1"),
    (i.Consult("c9", "bob", True), "there is no contact 'c9', or it is over"),
    (i.Finish("c1", "bob"), "agent bob does not have contact c1"),
    (i.Take("c3", "cid"), "agent cid is not signed in"),
    (i.Take("c9", "bob"), "agent bob has contact c2, or is being offered it"),
    (i.Accept(1), "offer 1 is over, or there was none"),
    (i.Reject(-5), "offer -5 is over, or there was none"),
    (i.Unreachable(10**15), f"offer {10**15} is over, or there was none"),
    (i.AskCallback("b1", "+491", "sales"), "queue 'sales' has no callbacks"),
    (i.CancelCallback("b1"), "there is no callback 'b1', or it is over"),
    (i.CustomerCalled("b1", "answered"), "callback 'b1' calls nobody now"),
]


@pytest.mark.parametrize(("what", "why"), REFUSALS, ids=lambda value: type(value).__name__)
def test_what_makes_no_sense_is_refused_in_words_counted_and_changes_nothing(what: i.AnyInput, why: str) -> None:
    here = world()
    assert here.refused(what) == why
    assert here.engine.refused == {type(what).__name__: 1}
    assert [type(each) for each in here.facts] == [type(what), f.Refused]
    here.check()


def test_a_take_of_nothing_is_refused() -> None:
    here = world()
    here.sign_in("cid")
    assert here.rings()["cid"] == "c3"
    here.reject("cid")
    for name in ("", "x" * (MAX_TEXT + 1)):
        assert here.refused(i.Take(name, "cid")).startswith("bad contact")


def test_the_address_of_a_telephone_is_bounded() -> None:
    here = World([queue("sales")], [agent("dan", address="")])
    assert len(here.refused(i.SignIn("dan", "x" * (MAX_TEXT + 1)))) < 250


def test_texts_are_bounded() -> None:
    here = world()
    long = "x" * (MAX_TEXT + 1)
    for what in (
        i.Enqueue(long, "sales"),
        i.Enqueue("c9", long),
        i.Enqueue("c9", "sales", number=long),
        i.Enqueue("c9", "sales", last_agent=long),
        i.AskCallback(long, "1", "sales"),
        i.AskCallback("b1", long, "sales"),
        i.SignIn(long),
        i.HangUp(long),
        i.PressKey("c3", long),
    ):
        assert len(here.refused(what)) < 200


@pytest.mark.parametrize(
    "what",
    [
        i.Pause("cid", "lunch"),
        i.SignOut("ann"),
        i.HangUp("c3"),
        i.Finish("c1", "ann"),
        i.Hold("c1", "ann", True),
        i.DirectCall("ann", True),
        i.Reachable("sip:ann", False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_told_twice_has_the_effects_of_once(what: i.AnyInput) -> None:
    once, twice = world(), world()
    for here in (once, twice):
        here.sign_in("cid")
    once.engine.handle(what, once.now)
    twice.engine.handle(what, twice.now)
    effects = twice.engine.handle(what, twice.now).effects
    assert effects == []
    for contact in once.state.contacts.values():
        assert twice.contact(contact.id).agents == contact.agents
        assert twice.contact(contact.id).queue == contact.queue
    for one in once.state.agents.values():
        assert (twice.at(one.id), twice.agent(one.id).contact) == (one.state, one.contact)


def test_a_clock_that_jumps_back_stands_still_until_it_has_caught_up() -> None:
    here = world()
    here.now -= 3_600.0
    here.call("c4", "sales")
    assert here.contact("c4").since == MONDAY
    assert here.engine.tick(here.now).records == []
    times = [record.time for record in here.journal]
    assert times == sorted(times)
    here.now = MONDAY + 20.0
    here.wait(0.0)
    assert here.at("bob") == "not_responding", "deadlines are still what they were"
    here.check()


@pytest.mark.parametrize("now", [math.nan, -1.0, -math.inf, math.inf, 1e12])
def test_a_time_that_is_none_counts_as_the_latest_one(now: float) -> None:
    here = world()
    here.now = now
    here.call("c4", "sales")
    assert here.state.now == MONDAY
    assert here.contact("c4").place == MONDAY


def test_nothing_makes_sense_before_there_is_a_configuration() -> None:
    here = World()
    here.tell(i.Configure(Config()))
    assert here.refused(i.Enqueue("c1", "sales")) == "there is no queue 'sales'"
    assert here.refused(i.SignIn("ann")) == "there is no agent 'ann'"


def test_when_nothing_is_due_a_tick_leaves_no_record() -> None:
    here = world()
    before = here.state.last_id
    assert here.engine.tick(here.now + 5.0) == ([], [])
    assert here.engine.handle(i.Tick(), here.now + 6.0) == ([], []), "the same, said otherwise"
    assert here.state.last_id == before


@pytest.mark.parametrize(
    "what",
    [
        i.Enqueue("c\udcff", "lots"),
        i.Enqueue("c9", "lots", number="\udcff"),
        i.HangUp("\udcff"),
        i.Enqueue("c9", "lots", kind="letter"),  # type: ignore[arg-type]
        i.Enqueue("c9", "lots", priority=None),  # type: ignore[arg-type]
        i.SurveyAnswer("c1", "taste"),  # type: ignore[arg-type]
        i.Accept(10**30),
    ],
    ids=repr,
)
def test_what_the_journal_could_not_give_back_is_counted_and_not_even_written_down(what: i.AnyInput) -> None:
    here = World([queue("lots", strategy="weighted_random")], [agent("ann")])
    here.sign_in("ann")
    outcome = here.engine.handle(what, here.now)
    assert (outcome.records, outcome.effects) == ([], [])
    assert here.engine.refused == {type(what).__name__: 1}
    here.check()


def test_numbers_of_another_type_than_the_journal_has_are_replayed_as_they_were() -> None:
    here = World([queue("sales")], [agent("ann")], now=1_000)
    here.call("c1", "sales", priority=1, waited=2)
    here.now += 1
    here.call("c2", "sales")
    here.check()
