"""Customers who are called back: agent or customer first, attempts, times, by whom."""

import msgspec
import pytest
from acd_world import MONDAY, World, agent, config, queue

import acd.asking
import acd.fold
from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import CallbackRules, Hours, Limit, Span, WayOut, WrapUp
from acd.state import State
from tests.unit.acd.callback_world import ask, sales, world

HOUR = 3600.0


# ---- agent first


def test_nobody_transfers_a_callback_before_the_customer_is_there() -> None:
    here = world()
    here.sign_in("ann")
    here.tell(ask())
    here.answer("ann")
    why = here.refused(i.Finish("b1.1", "ann", "queue_transfer"))
    assert why == "the customer of callback b1 is being called: expected no transfer before that"
    here.sign_in("bob")
    why = here.refused(i.Take("b1.1", "bob"))
    assert why == "the customer of callback b1 is being called: expected nobody to take it yet"
    here.tell(i.CustomerCalled("b1", "answered"))
    here.finish("ann", "queue_transfer")


def test_agent_first_the_customer_is_called_when_an_agent_is_on_the_line() -> None:
    here = world()
    here.sign_in("ann")
    here.tell(ask())
    assert here.of(e.CallCustomer) == []
    here.answer("ann")
    (call,) = here.of(e.CallCustomer)
    assert (call.number, call.agent, call.contact, call.ring_seconds) == ("+491", "ann", "b1.1", 30.0)
    here.wait(5.0)
    here.tell(i.CustomerCalled("b1", "answered"))
    assert [(each.contact, each.agent) for each in here.of(e.Connect)] == [("b1.1", "ann")]
    assert here.state.callbacks == {}
    here.finish("ann")
    assert here.state.contacts == {}
    here.check()


def test_when_the_customer_is_not_reached_the_agent_is_free_and_the_next_attempt_has_its_time() -> None:
    here = world(sales(attempts=2))
    here.sign_in("ann")
    here.tell(ask())
    here.answer("ann")
    here.tell(i.CustomerCalled("b1", "busy"))
    assert (here.at("ann"), here.state.contacts) == ("ready", {})
    assert here.state.callbacks["b1"].due == here.now + 300.0
    here.wait(299.9)
    assert here.rings() == {}
    here.wait(0.1)
    assert here.rings() == {"ann": "b1.2"}
    here.answer("ann")
    here.tell(i.CustomerCalled("b1", "busy"))
    assert [each.how for each in here.of(f.CallbackEnded)] == ["given_up"], "two attempts"
    here.check()


@pytest.mark.parametrize(("outcome", "seconds"), [("busy", 300.0), ("no_answer", 1800.0), ("machine", 0.0)])
def test_each_cause_has_a_time_of_its_own_or_ends_it(outcome: i.CallOutcome, seconds: float) -> None:
    here = world(sales(retry={"busy": 300.0, "no_answer": 1800.0}))
    here.sign_in("ann")
    here.tell(ask())
    here.answer("ann")
    here.tell(i.CustomerCalled("b1", outcome))
    assert [each.outcome for each in here.of(f.CallbackTried)] == [outcome]
    if seconds:
        assert here.state.callbacks["b1"].due == here.now + seconds
    else:
        assert here.state.callbacks == {}


def test_a_customer_who_does_not_answer_in_time_is_not_reached() -> None:
    here = world(sales(ring_seconds=25.0, retry={"no_answer": 60.0}))
    here.sign_in("ann")
    here.tell(ask())
    here.answer("ann")
    here.wait(25.0)
    assert here.of(e.StopCalling) == [e.StopCalling("b1", "b1.1")]
    assert [each.outcome for each in here.of(f.CallbackTried)] == ["no_answer"]
    assert here.at("ann") == "ready"
    assert here.refused(i.CustomerCalled("b1", "answered")) == "callback 'b1' calls nobody now"


def test_an_agent_who_hangs_up_while_the_customer_is_called_has_failed_it() -> None:
    here = world(sales(retry={"failed": 60.0}))
    here.sign_in("ann")
    here.tell(ask())
    here.answer("ann")
    here.finish("ann")
    assert here.of(e.StopCalling) == [e.StopCalling("b1", "b1.1")]
    assert [each.outcome for each in here.of(f.CallbackTried)] == ["failed"]
    assert (here.at("ann"), here.state.contacts) == ("ready", {})
    assert here.state.callbacks["b1"].due == here.now + 60.0
    here.check()


def test_an_agent_wraps_up_no_callback_that_reached_nobody() -> None:
    here = world(queue("sales", wrap_up=WrapUp(), callback=CallbackRules()))
    here.sign_in("ann")
    here.tell(ask())
    here.answer("ann")
    here.tell(i.CustomerCalled("b1", "busy"))
    assert here.at("ann") == "ready"


def test_nor_one_that_it_has_hung_up_itself_nor_one_whose_contact_is_ended() -> None:
    for end in (i.Finish("b1.1", "ann"), i.HangUp("b1.1")):
        here = world(queue("sales", wrap_up=WrapUp(), callback=CallbackRules()))
        here.sign_in("ann")
        here.tell(ask())
        here.answer("ann")
        here.tell(end)
        assert here.at("ann") == "ready"
        assert [each.outcome for each in here.of(f.CallbackTried)] == ["failed"]
        here.check()


# ---- customer first


def kept(**rules: object) -> World:
    """Ann is kept for the customer, whose telephone rings."""
    here = world(sales(first="customer", **rules))
    here.sign_in("ann")
    here.tell(ask())
    return here


def test_customer_first_an_agent_is_kept_while_the_customer_is_called() -> None:
    here = kept()
    (call,) = here.of(e.CallCustomer)
    assert (call.number, call.agent) == ("+491", "")
    assert [each.kind for each in here.of(e.Offer)] == ["reservation"]
    assert here.at("ann") == "offered"
    here.wait(10.0)
    here.tell(i.CustomerCalled("b1", "answered"))
    assert here.of(e.Offer) == [here.ringing["ann"]]
    assert (here.ringing["ann"].kind, here.ringing["ann"].deadline) == ("call", here.now + 20.0)
    assert (here.at("ann"), here.state.callbacks) == ("offered", {})
    here.answer("ann")
    assert [(each.contact, each.agent) for each in here.of(e.Connect)] == [("b1.1", "ann")]
    assert (here.at("ann"), here.state.offers) == ("talking", {})
    here.check()


def test_customer_first_who_misses_the_customer_is_skipped_and_the_customer_waits_in_its_place() -> None:
    """It was not answered, and nobody calls it again: it is on the line."""
    here = kept()
    here.tell(i.CustomerCalled("b1", "answered"))
    here.call("c1", "sales")
    here.wait(20.0)
    assert [each.why for each in here.of(e.Withdraw)] == ["missed"]
    assert (here.agent("ann").misses, here.at("ann")) == (1, "not_responding")
    assert here.state.callbacks == {}
    here.sign_in("bob")
    assert here.rings() == {"bob": "b1.1"}
    here.answer("bob")
    assert [(each.contact, each.agent) for each in here.of(e.Connect)] == [("b1.1", "bob")]
    assert here.all(f.CustomerCalling) == [f.CustomerCalling("b1", 1, MONDAY + 30.0)]
    here.check()


def test_customer_first_a_customer_who_hangs_up_before_the_agent_answers_is_not_called_again() -> None:
    here = kept()
    here.tell(i.CustomerCalled("b1", "answered"))
    here.tell(i.HangUp("b1.1"))
    assert [each.why for each in here.of(e.Withdraw)] == ["caller_left"]
    assert (here.at("ann"), here.agent("ann").misses) == ("ready", 0)
    assert (here.state.contacts, here.state.callbacks) == ({}, {})
    here.check()


def test_customer_first_nobody_is_rung_for_a_customer_whom_a_limit_lets_go() -> None:
    """By new rules who is kept may not have it, and nobody else is there."""
    limit = Limit(of="none_ready", to=WayOut(kind="voicemail", name="v"), waiting=True)
    here = world(queue("sales", callback=CallbackRules(first="customer"), limits=(limit,)))
    here.sign_in("ann")
    here.tell(ask())
    rules = here.state.config
    stricter = msgspec.structs.replace(rules.queues["sales"], needs="es")
    here.tell(i.Configure(msgspec.structs.replace(rules, queues={"sales": stricter})))
    assert here.rings() == {"ann": "b1.1"}, "the customer is being called"
    here.tell(i.CustomerCalled("b1", "answered"))
    assert [each.contact for each in here.of(e.SendTo)] == ["b1.1"]
    assert (here.of(e.Offer), here.rings(), here.at("ann")) == ([], {}, "ready")
    here.check()


def test_customer_first_a_wait_on_the_line_is_not_the_one_before() -> None:
    """Who has waited for an hour to be called is not let go as one who has waited too long."""
    limit = Limit(of="waited", value=600.0, to=WayOut(kind="voicemail", name="sales"))
    here = world(queue("sales", callback=CallbackRules(first="customer"), limits=(limit,), skip=5.0))
    here.tell(ask())
    here.wait(3_600.0)
    here.sign_in("ann")
    here.tell(i.CustomerCalled("b1", "answered"))
    here.reject("ann")
    here.wait(599.0)
    assert here.contact("b1.1").queue == "sales"
    here.wait(1.0)
    assert [each.why for each in here.all(f.LeftQueue)] == ["waited"]
    here.check()


def test_customer_first_an_agent_who_is_kept_in_vain_has_missed_nothing() -> None:
    here = kept()
    here.wait(7.0)
    here.tell(i.CustomerCalled("b1", "busy"))
    assert [(each.how, each.waited) for each in here.of(f.LeftQueue)] == [("removed", 7.0)]
    assert (here.at("ann"), here.agent("ann").misses) == ("ready", 0)
    assert here.state.callbacks["b1"].due == here.now + 300.0
    here.check()


def test_customer_first_when_the_agent_leaves_another_is_kept_and_the_customer_not_called_twice() -> None:
    here = kept()
    here.sign_in("bob")
    here.tell(i.SignOut("ann"))
    assert here.rings() == {"bob": "b1.1"}
    assert here.of(e.CallCustomer) == []
    here.tell(i.CustomerCalled("b1", "answered"))
    here.answer("bob")
    assert here.at("bob") == "talking"
    assert here.all(f.CustomerCalling) == [f.CustomerCalling("b1", 1, MONDAY + 30.0)]
    here.check()


def test_customer_first_when_nobody_is_left_who_was_kept_the_customer_waits_for_the_next() -> None:
    here = kept()
    here.tell(i.SignOut("ann"))
    here.tell(i.CustomerCalled("b1", "answered"))
    assert here.state.callbacks == {}
    assert here.contact("b1.1").queue == "sales"
    here.sign_in("bob")
    assert here.rings() == {"bob": "b1.1"}
    assert here.of(e.CallCustomer) == []
    here.answer("bob")
    assert [(each.contact, each.agent) for each in here.of(e.Connect)] == [("b1.1", "bob")]
    here.check()


def test_customer_first_when_several_are_kept_the_first_has_the_customer_and_the_others_are_free() -> None:
    here = world(queue("sales", strategy="ring_all", callback=CallbackRules(first="customer")))
    here.sign_in("ann", "bob")
    here.tell(ask())
    assert len(here.of(e.CallCustomer)) == 1
    here.tell(i.CustomerCalled("b1", "answered"))
    here.answer("bob")
    assert (here.at("ann"), here.at("bob"), here.state.offers) == ("ready", "talking", {})
    here.check()


def test_customer_first_an_answer_of_the_agent_who_is_only_kept_calls_nobody_again() -> None:
    here = kept()
    here.refused(i.Accept(here.ringing["ann"].offer))
    here.tell(i.CustomerCalled("b1", "answered"))
    here.answer("ann")
    assert here.at("ann") == "talking"


# ---- when, by whom, how often


def test_a_scheduled_callback_waits_for_its_time() -> None:
    here = world()
    here.sign_in("ann")
    here.tell(ask(at=MONDAY + 7_200.0))
    assert here.state.contacts == {}
    here.wait(7_199.0)
    assert here.rings() == {}
    here.wait(1.0)
    assert here.rings() == {"ann": "b1.1"}


def test_a_callback_for_an_agent_waits_for_that_one() -> None:
    here = world()
    here.sign_in("ann")
    here.tell(ask(agent="bob"))
    here.wait(86_399.0)
    assert here.rings() == {}
    here.sign_in("bob")
    assert here.rings() == {"bob": "b1.1"}
    here.reject("bob")
    here.wait(30.0)
    assert here.rings() == {"bob": "b1.1"}


def without(world: World, name: str) -> None:
    """An agent is in the configuration no more."""
    config = world.state.config
    rest = {each.id: each for each in config.agents.values() if each.id != name}
    world.tell(i.Configure(msgspec.structs.replace(config, agents=rest)))


def test_when_the_agent_that_it_waits_for_is_gone_anybody_may_have_it() -> None:
    here = world()
    here.sign_in("ann")
    here.tell(ask(agent="bob"))
    without(here, "bob")
    assert here.rings() == {"ann": "b1.1"}
    here.check()


def test_when_that_agent_is_gone_before_its_time_anybody_may_have_it() -> None:
    here = world()
    here.sign_in("ann")
    here.tell(ask(agent="bob", at=MONDAY + 60.0))
    without(here, "bob")
    here.wait(60.0)
    assert here.rings() == {"ann": "b1.1"}


def test_when_that_agent_may_have_it_no_more_anybody_may() -> None:
    skilled = {"bob": agent("bob", skills={"es": 5}), "ann": agent("ann", skills={"es": 5})}
    here = World([queue("sales", needs="es", callback=CallbackRules())], skilled.values())
    here.sign_in("ann")
    here.tell(ask(agent="bob"))
    here.tell(i.Configure(msgspec.structs.replace(here.state.config, agents={**skilled, "bob": agent("bob")})))
    assert here.rings() == {"ann": "b1.1"}
    here.check()


def test_an_agent_is_not_asked_for_who_takes_no_contacts_of_the_queue() -> None:
    people = [agent("ann"), agent("bob", skills={"es": 5}), agent("out", skills={"es": 5}, mode="outbound")]
    here = World([queue("sales", needs="es", callback=CallbackRules())], people)
    for name in ("ann", "out"):
        assert here.refused(ask(agent=name)) == (
            f"agent {name} takes no such contacts of queue sales: expected one who does"
        )
    here.refused(ask(agent="bob", needs="de"))
    here.tell(ask(agent="bob"))


def test_customers_are_called_in_their_hours() -> None:
    day = {"day": Hours(spans=(Span(days=(0, 1), start=9 * HOUR, end=12 * HOUR),))}
    here = world(sales(hours="day", retry={"busy": 3 * HOUR}), hours=day)
    here.sign_in("ann")
    here.tell(ask())
    here.answer("ann")
    here.tell(i.CustomerCalled("b1", "busy"))
    tomorrow_at_nine = MONDAY + 23 * HOUR
    assert here.state.callbacks["b1"].due == tomorrow_at_nine, "13:00 is too late"
    here.wait(24 * HOUR)
    assert [each.contact for each in here.all(f.CallbackQueued)] == ["b1.1", "b1.2"]


def test_the_hours_of_the_queue_hold_where_callbacks_have_none() -> None:
    night = {"night": Hours(spans=(Span(days=(0,), start=20 * HOUR, end=22 * HOUR),))}
    here = world(queue("sales", hours="night", callback=CallbackRules()), hours=night)
    here.tell(ask())
    assert here.state.callbacks["b1"].due == MONDAY + 10 * HOUR


def test_a_number_is_called_back_once_at_a_time() -> None:
    here = world()
    here.tell(ask("b1"))
    assert here.refused(ask("b2")) == "+491 is to be called back already"
    here.tell(ask("b3", number="+492"))
    here.tell(i.CancelCallback("b1"))
    here.tell(ask("b4"))
    twice = world(sales(per_number=2))
    twice.tell(ask("b1"))
    twice.tell(ask("b2"))
    twice.refused(ask("b3"))
    assert twice.state.kept == State.restore(twice.state.snapshot()).kept == {("sales", "+491"): 2}
    twice.tell(i.CancelCallback("b1"))
    twice.tell(i.CancelCallback("b2"))
    assert not twice.state.kept, "numbers are not kept for ever"


def test_who_wants_a_certain_agent_waits_for_that_one_for_a_time_and_then_for_anybody() -> None:
    here = world(sales(patience=600.0))
    here.tell(ask(agent="ann", at=MONDAY + 100.0))
    here.sign_in("bob")
    here.wait(699.9)
    assert here.rings() == {}
    here.wait(0.1)
    assert here.rings() == {"bob": "b1.1"}
    here.check()


def test_there_are_only_so_many_callbacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acd.asking, "MAX_CALLBACKS", 2)
    here = world()
    here.tell(ask("b1", "+491"))
    here.tell(ask("b2", "+492"))
    assert here.refused(ask("b3", "+493")) == "too many callbacks"


def test_a_customer_who_is_called_first_is_called_no_more_when_the_queue_is_gone() -> None:
    here = world(sales(first="customer"))
    here.sign_in("ann")
    here.tell(ask())
    here.tell(i.Configure(config([queue("other")], [agent("ann")])))
    assert here.of(e.StopCalling) == [e.StopCalling("b1", "b1.1")]
    here.refused(i.CustomerCalled("b1", "answered"))
    here.check()


def test_of_the_callbacks_that_wait_for_an_agent_its_weights_bring_one_forward() -> None:
    rules = CallbackRules()
    here = World(
        [queue("sales", callback=rules), queue("gold", callback=rules)],
        [agent("ann", weights={"gold": 2.0, "sales": 1.0})],
    )
    for callback, name in (("b1", "sales"), ("b2", "sales"), ("b3", "gold")):
        here.tell(ask(callback, f"+49{callback}", name, agent="ann"))
        here.wait(20.0)
    here.sign_in("ann")
    assert here.rings() == {"ann": "b3.1"}, "a point is a minute"
    here.check()
