"""Callbacks that are asked for: places kept meanwhile, their ends, and what makes no sense."""

import pytest
from acd_world import MONDAY, World, agent, config, queue

import acd.asking
import acd.fold
from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import CallbackRules, Limit, LimitName, Queue, Team, WayOut
from acd.state import State
from acd.wait_estimate import estimate
from tests.unit.acd.callback_world import ask, sales, world

HOUR = 3600.0


# ---- asked for


def test_who_waits_and_asks_for_it_hangs_up_and_keeps_its_place() -> None:
    here = world()
    here.call("c1", "sales", number="+491")
    here.wait(60.0)
    here.call("c2", "sales")
    here.wait(60.0)
    here.tell(i.AskCallback("b1", "+491", contact="c1"))
    assert [(each.contact, each.how, each.name, each.waited) for each in here.of(f.LeftQueue)] == [
        ("c1", "callback", "b1", 120.0)
    ]
    assert here.of(e.StopAnnouncing) == [e.StopAnnouncing("c1")]
    assert "c1" not in here.state.contacts
    assert here.state.position(here.contact("b1.1")) == 1
    assert here.contact("b1.1").since == MONDAY
    here.sign_in("ann")
    assert here.rings() == {"ann": "b1.1"}
    assert here.ringing["ann"].kind == "callback"
    here.check()


def test_who_is_being_offered_and_asks_for_it_takes_the_offer_back() -> None:
    here = world()
    here.sign_in("ann")
    here.call("c1", "sales")
    here.tell(i.AskCallback("b1", "+491", contact="c1"))
    assert [each.contact for each in here.of(e.Withdraw)] == ["c1"]
    assert here.rings() == {"ann": "b1.1"}


def test_who_does_not_wait_has_the_place_of_that_moment_and_its_priority() -> None:
    here = world()
    here.call("c1", "sales")
    here.wait(30.0)
    here.tell(ask(priority=1.0))
    assert here.state.position(here.contact("b1.1")) == 1


# ---- sent to a callback: by a key, a limit, at entry


def asks_back(**settings: object) -> Queue:
    out = WayOut(kind="callback")
    closed = Limit(of="length", value=3.0, to=out)
    return queue("sales", exits={"1": out}, limits=(closed,), callback=CallbackRules(), **settings)


def test_who_is_sent_to_a_callback_keeps_its_place_while_it_is_asked_for_its_number() -> None:
    here = world(asks_back(needs="de"))
    here.call("c1", "sales", number="+491", needs="en", priority=2.0)
    before = here.contact("c1").place
    here.wait(60.0)
    here.call("c2", "sales")
    here.tell(i.PressKey("c1", "1"))
    assert [(each.contact, each.to.kind) for each in here.of(e.SendTo)] == [("c1", "callback")]
    here.wait(60.0)
    here.tell(i.AskCallback("b1", "+499", contact="c1"))
    assert here.of(f.LeftQueue) == [], "it left when it was sent"
    kept = here.contact("b1.1")
    assert (kept.place, kept.since, kept.needs, kept.priority) == (before, MONDAY, "en", 2.0)
    assert kept.number == "+499"
    assert here.state.asking == {}
    assert here.refused(i.AskCallback("b2", "+498", contact="c1")) == "there is no contact 'c1', or it is over"
    here.check()


def test_who_is_sent_to_a_callback_at_entry_keeps_its_place_too() -> None:
    here = world(asks_back())
    for name in ("c1", "c2", "c3", "c4"):
        here.call(name, "sales")
    sent = here.of(e.SendTo)
    here.wait(1.0)
    assert [(each.contact, each.why) for each in sent] == [("c4", "length")]
    here.call("c5", "sales")
    here.tell(i.AskCallback("b5", "+495", contact="c5"))
    here.tell(i.AskCallback("b4", "+494", contact="c4"))
    assert [here.state.position(here.contact(name)) for name in ("b4.1", "b5.1")] == [4, 5]
    here.check()


def test_who_would_rather_wait_than_be_called_back_has_its_place_again() -> None:
    here = world(asks_back(), queue("other"))
    here.call("c1", "sales")
    here.wait(60.0)
    here.call("c2", "sales")
    here.tell(i.PressKey("c1", "1"))
    here.wait(20.0)
    here.call("c1", "sales")
    assert here.state.position(here.contact("c1")) == 1
    assert here.contact("c1").since == MONDAY
    assert here.of(f.Queued)[0].back
    here.tell(i.PressKey("c1", "1"))
    here.call("c1", "other")
    assert here.contact("c1").since == here.now, "the place was one of another queue"
    here.check()


def test_the_place_of_who_was_sent_to_a_callback_is_kept_for_a_while() -> None:
    here = world(asks_back())
    here.call("c1", "sales")
    here.tell(i.PressKey("c1", "1"))
    here.wait(acd.fold.ASKING_SECONDS)
    assert here.refused(i.AskCallback("b1", "+491", contact="c1")) == "there is no contact 'c1', or it is over"
    here.call("c2", "sales")
    here.tell(i.PressKey("c2", "1"))
    assert list(here.state.asking) == ["c2"], "who is too late is forgotten"
    here.check()


def test_only_so_many_who_were_sent_to_a_callback_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acd.fold, "MAX_ASKING", 2)
    here = world(asks_back())
    for name in ("c1", "c2", "c1", "c3"):
        here.call(name, "sales")
        here.tell(i.PressKey(name, "1"))
    assert list(here.state.asking) == ["c1", "c3"]


def test_a_place_is_kept_over_a_restart_and_new_rules() -> None:
    here = world(asks_back())
    here.call("c1", "sales")
    here.tell(i.PressKey("c1", "1"))
    here.wait(10.0)
    assert State.restore(here.state.snapshot()).asking == here.state.asking
    here.tell(i.Configure(config([queue("other")], [agent("ann")])))
    assert here.refused(i.AskCallback("b1", "+491", contact="c1")) == "there is no queue 'sales'"


# ---- no more


def test_a_callback_is_cancelled_before_its_time_and_while_it_waits_and_while_it_rings() -> None:
    here = world()
    here.tell(ask(at=MONDAY + 100.0))
    here.tell(i.CancelCallback("b1"))
    here.wait(200.0)
    assert here.state.contacts == {}
    here.tell(ask())
    here.tell(i.CancelCallback("b1"))
    assert here.state.contacts == {}
    here.sign_in("ann")
    here.tell(ask())
    here.tell(i.CancelCallback("b1"))
    assert [each.why for each in here.of(e.Withdraw)] == ["caller_left"]
    assert (here.at("ann"), here.state.contacts, here.state.callbacks) == ("ready", {}, {})
    assert here.refused(i.CancelCallback("b1")) == "there is no callback 'b1', or it is over"
    here.check()


def test_a_callback_is_not_cancelled_while_the_customer_is_called() -> None:
    here = world()
    here.sign_in("ann")
    here.tell(ask())
    here.answer("ann")
    assert here.refused(i.CancelCallback("b1")) == "callback b1 is calling the customer now"


def test_a_callback_whose_queue_is_gone_is_given_up() -> None:
    here = world(sales(), queue("help"))
    here.tell(ask(at=MONDAY + 100.0))
    config = here.state.config
    here.tell(i.Configure(type(config)(teams=config.teams, agents=config.agents)))
    here.wait(100.0)
    assert [each.how for each in here.of(f.CallbackEnded)] == ["given_up"]
    here.check()


def test_a_callback_that_a_limit_sends_out_is_tried_again() -> None:
    limit = Limit(of="none_ready", to=WayOut(kind="hangup"), waiting=True)
    here = world(queue("sales", limits=(limit,), callback=CallbackRules(retry={"failed": 60.0})))
    here.sign_in("ann")
    here.busy("ann")
    here.tell(ask())
    assert "b1.1" in here.state.contacts
    here.tell(i.SignOut("ann"))
    assert (here.state.contacts, here.of(e.SendTo)) == ({}, [])
    for attempt in range(2, 9):
        assert here.state.callbacks["b1"].due == here.now + 60.0
        here.wait(59.9)
        here.tell(i.SignIn("ann"))
        here.busy("ann")
        here.wait(0.1)
        assert list(here.state.contacts) == [f"b1.{attempt}"], "the customer was never called: it is no attempt of it"
        here.tell(i.SignOut("ann"))
    here.check()


@pytest.mark.parametrize("of", ["waited", "expected_wait"])
def test_limits_that_spare_callers_a_long_wait_take_no_place_from_a_callback(of: LimitName) -> None:
    limit = Limit(of=of, value=800.0, to=WayOut(kind="voicemail", name="1"), waiting=True)
    here = world(queue("sales", limits=(limit,), callback=CallbackRules()))
    here.sign_in("ann")
    for number in range(5):
        here.call(f"s{number}", "sales")
        here.serve("ann", 300.0)
    here.busy("ann")
    for number in range(5):
        here.call(f"c{number}", "sales")
    here.tell(ask())
    before = estimate(here.state, here.contact("b1.1"))
    assert before is not None
    assert before.low > 800.0
    here.wait(900.0)
    assert here.state.position(here.contact("b1.1")) == (1 if of == "waited" else 6)
    here.check()


def test_a_callback_flows_over_into_another_queue_as_a_caller_would() -> None:
    limit = Limit(of="waited", value=60.0, to=WayOut(kind="queue", name="all"))
    here = world(queue("sales", limits=(limit,), callback=CallbackRules()), queue("all"))
    here.tell(ask())
    here.wait(60.0)
    assert here.contact("b1.1").queue == "all"
    here.sign_in("ann")
    here.answer("ann")
    here.tell(i.CustomerCalled("b1", "answered"))
    assert here.of(e.Connect) == [e.Connect(0, "b1.1", "ann")]


@pytest.mark.parametrize("of", ["waited", "none_ready"])
def test_no_limit_ends_a_callback_while_the_customer_is_called(of: LimitName) -> None:
    limit = Limit(of=of, value=10.0, to=WayOut(kind="queue", name="all"), waiting=True)
    here = world(queue("sales", limits=(limit,), callback=CallbackRules(first="customer")), queue("all"))
    here.sign_in("ann")
    here.tell(ask())
    if of == "none_ready":
        here.tell(i.SignOut("ann"))
    here.wait(10.0)
    assert here.contact("b1.1").queue == "sales"
    here.tell(i.CustomerCalled("b1", "answered"))
    if of == "waited":  # on the line, that is
        assert here.contact("b1.1").queue == "sales"
        here.wait(10.0)
    assert here.contact("b1.1").queue == "all"
    here.check()


def test_a_customer_who_waits_on_the_line_waits_for_the_agent_of_its_choice_no_longer_than_others_do() -> None:
    here = world(queue("sales", affinity=20.0, callback=CallbackRules(first="customer")))
    here.sign_in("bob", "ann")
    here.tell(ask(agent="ann"))
    here.tell(i.Pause("ann"))
    here.tell(i.SignOut("ann"))
    assert here.rings() == {}, "of the customer it is not known whether it will answer"
    here.tell(i.CustomerCalled("b1", "answered"))
    assert here.rings() == {"bob": "b1.1"}
    here.check()


# ---- what makes no sense


def test_nobody_presses_keys_where_nobody_is_on_the_line() -> None:
    here = world(queue("sales", callback=CallbackRules(), exits={"1": WayOut(kind="voicemail")}))
    here.tell(ask())
    here.call("o1", "sales", kind="reservation")
    assert here.refused(i.PressKey("b1.1", "1")) == "contact b1.1 is a callback: expected a caller who waits"
    assert here.refused(i.PressKey("o1", "1")) == "contact o1 is a reservation: expected a caller who waits"


def test_callbacks_that_make_no_sense_are_refused() -> None:
    here = World([sales(), queue("help")], [agent("ann"), agent("eve", team="u")], teams=[Team(name="u")])
    assert here.refused(ask(queue="help")) == "queue 'help' has no callbacks"
    assert here.refused(ask(queue="nowhere")) == "there is no queue 'nowhere'"
    assert here.refused(ask(agent="nobody")) == "there is no agent 'nobody'"
    assert here.refused(ask(agent="eve")) == "there is no agent 'eve' in team t"
    assert here.refused(ask(number="")) == "expected the number to call back"
    assert here.refused(ask("")) == "bad callback '': expected an id that is not in use"
    assert here.refused(ask(needs="es>=")).startswith("bad needs, column 5: it ends")
    assert here.refused(ask(contact="c9")) == "there is no contact 'c9', or it is over"
    assert here.refused(i.CustomerCalled("b9", "busy")) == "callback 'b9' calls nobody now"
    for priority in (float("nan"), float("inf"), 1e9):
        assert here.refused(ask(priority=priority)).startswith("bad priority")
    for at in (float("nan"), float("inf"), -1.0):
        assert here.refused(ask(at=at)).startswith("bad time")
    here.tell(ask())
    assert here.refused(ask(number="+492")) == "bad callback 'b1': expected an id that is not in use"


def test_what_is_a_callback_already_is_not_made_one() -> None:
    here = world()
    here.tell(ask())
    assert (
        here.refused(i.AskCallback("b2", "+492", contact="b1.1"))
        == "contact b1.1 is a callback: expected a caller who waits"
    )


def test_contacts_of_callbacks_come_from_callbacks_alone() -> None:
    here = world()
    here.sign_in("ann")
    assert (
        here.refused(i.Enqueue("c1", "sales", kind="callback"))
        == "callbacks are asked for: expected no contact of that kind"
    )


def test_a_contact_that_has_the_name_of_a_callback_s_is_left_alone() -> None:
    here = world()
    here.call("b1.1", "sales")
    here.sign_in("ann")
    here.answer("ann")
    here.call("b1.2", "sales")
    here.tell(ask())
    assert here.state.callbacks["b1"].contact == "b1.3"
    assert here.contact("b1.1").agents == ["ann"]
    here.tell(i.HangUp("b1.2"))
    here.sign_in("bob")
    here.answer("bob")
    here.tell(i.CustomerCalled("b1", "busy"))
    here.wait(300.0)
    assert here.rings() == {"bob": "b1.4"}, "a name is used once"
    here.check()


def test_a_callback_whose_id_was_used_before_is_no_second_contact_of_that_name() -> None:
    here = world()
    here.sign_in("ann")
    here.tell(ask())
    here.answer("ann")
    here.tell(i.CustomerCalled("b1", "answered"))
    here.tell(ask())
    assert here.contact("b1.1").agents == ["ann"]
    assert here.contact("b1.2").callback == "b1"
    here.check()


def test_a_limit_by_time_holds_for_who_was_called_and_waits_on_the_line() -> None:
    limit = Limit(of="waited", to=WayOut(kind="voicemail", name="v"), value=60.0)
    here = world(queue("sales", callback=CallbackRules(first="customer"), limits=(limit,)))
    here.sign_in("ann", "bob")
    here.busy("ann")
    here.tell(ask())
    here.tell(i.SignOut("bob"))
    here.wait(10.0)
    here.tell(i.CustomerCalled("b1", "answered"))
    assert here.contact("b1.1").queue == "sales"
    here.wait(59.0)
    assert here.contact("b1.1").queue == "sales"
    assert [each.contact for each in here.wait(1.0) if isinstance(each, e.SendTo)] == ["b1.1"]
    here.check()


def test_who_was_sent_to_a_callback_by_a_queue_that_is_gone_may_be_called_back_by_another() -> None:
    away = queue("away", callback=CallbackRules(), emptied_to=WayOut(kind="callback"))
    here = world(sales(), away)
    here.call("c1", "away")
    here.tell(i.Configure(config([sales()], [agent("ann"), agent("bob")])))
    assert [each.contact for each in here.of(e.SendTo)] == ["c1"]
    assert here.refused(i.AskCallback("b1", "+491", contact="c1")) == "there is no queue 'away'"
    here.tell(ask(contact="c1"))
    assert here.contact("b1.1").since == MONDAY
    here.check()


def test_who_came_back_and_asks_for_a_callback_after_all_leaves_the_place_that_it_has_now() -> None:
    sent = queue("sales", callback=CallbackRules(), exits={"1": WayOut(kind="callback")})
    here = world(sent, queue("help", callback=CallbackRules()))
    here.call("c1", "sales")
    here.tell(i.PressKey("c1", "1"))
    here.wait(10.0)
    here.call("c1", "help")
    here.tell(i.AskCallback("b1", "+491", contact="c1"))
    assert list(here.state.contacts) == ["b1.1"]
    assert here.contact("b1.1").queue == "help"
    here.check()
