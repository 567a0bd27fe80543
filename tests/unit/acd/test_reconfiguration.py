"""New rules while callers wait and agents talk."""

import msgspec
import pytest
from acd_world import World, agent, config, queue

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.classes import Waiter
from acd.config import Announcement, CallbackRules, Config, Hours, Limit, Relax, Span, Team, WayOut, Widen, WrapUp
from acd.contact import ContactState
from acd.reconfigure import GONE
from acd.wait_estimate import ENOUGH

MAILBOX = WayOut(kind="voicemail", name="100")


def swap(world: World, **settings: object) -> None:
    """The configuration with other values of some fields."""
    old = world.state.config
    fields = {name: getattr(old, name) for name in old.__struct_fields__}
    world.tell(i.Configure(Config(**{**fields, **settings})))  # type: ignore[arg-type]


def two() -> World:
    world = World([queue("sales"), queue("help")], [agent("ann"), agent("bob")])
    world.sign_in("ann", "bob")
    return world


def queues(*made: object) -> dict[str, object]:
    return {each.name: each for each in made}  # type: ignore[attr-defined]


def agents(*made: object) -> dict[str, object]:
    return {each.id: each for each in made}  # type: ignore[attr-defined]


def test_who_waits_and_who_works_is_carried_over() -> None:
    world = two()
    world.call("c1", "sales")
    world.answer("ann")
    world.call("c2", "sales")
    world.tell(i.Pause("bob"))
    for name in ("c3", "c4"):
        world.call(name, "sales")
    offer = world.ringing["bob"].offer
    swap(world, version="2")
    assert world.effects == []
    assert (world.at("ann"), world.at("bob"), world.ringing["bob"].offer) == ("talking", "offered", offer)
    assert [world.state.position(world.contact(name)) for name in ("c2", "c3", "c4")] == [1, 2, 3]
    world.answer("bob")
    world.finish("ann")
    assert world.rings() == {"ann": "c3"}
    assert world.of(f.Offered)[0].version == "2"
    world.check()


def test_who_waits_in_a_queue_that_is_gone_leaves_it_by_its_way_out() -> None:
    world = World([queue("sales", emptied_to=MAILBOX), queue("help")], [agent("ann")])
    world.call("c1", "sales")
    world.call("c2", "help")
    swap(world, queues=queues(queue("help")))
    assert [(each.contact, each.to, each.why) for each in world.of(e.SendTo)] == [("c1", MAILBOX, GONE)]
    assert [(each.contact, each.how) for each in world.of(f.LeftQueue)] == [("c1", "removed")]
    assert set(world.state.contacts) == {"c2"}
    world.check()


def test_the_way_out_of_a_queue_that_is_gone_may_be_a_new_queue() -> None:
    world = World([queue("sales", emptied_to=WayOut(kind="queue", name="new"))], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    swap(world, queues=queues(queue("new")))
    assert [each.why for each in world.of(e.Withdraw)] == ["configured"]
    assert (world.contact("c1").queue, world.rings()) == ("new", {"ann": "c1"})
    world.check()


def test_an_agent_who_is_gone_signs_out_and_its_offer_goes_to_another() -> None:
    world = two()
    world.call("c1", "sales")
    swap(world, agents=agents(agent("bob")))
    assert [(each.agent, each.why) for each in world.of(e.Withdraw)] == [("ann", "configured")]
    assert "ann" not in world.state.agents
    assert world.rings() == {"bob": "c1"}
    assert world.refused(i.SignIn("ann")) == "there is no agent 'ann'"
    world.check()


def test_an_agent_who_is_gone_finishes_its_contact_first_and_is_offered_nothing() -> None:
    world = two()
    world.call("c1", "sales")
    world.answer("ann")
    swap(world, agents=agents(agent("bob")))
    assert world.at("ann") == "talking"
    world.tell(i.Hold("c1", "ann", True))
    world.busy("bob")
    world.call("c2", "sales")
    world.finish("ann")
    assert world.at("ann") == "signed_out"
    assert world.rings() == {}
    assert world.refused(i.SignIn("ann")) == "there is no agent 'ann'"
    world.check()


def test_an_agent_who_is_gone_and_back_is_an_agent_as_before() -> None:
    world = two()
    world.call("c1", "sales")
    world.answer("ann")
    swap(world, agents=agents(agent("bob")))
    swap(world, agents=agents(agent("ann"), agent("bob")))
    world.finish("ann")
    if world.at("ann") == "signed_out":
        world.sign_in("ann")
    world.busy("bob")
    world.call("c2", "sales")
    assert world.rings() == {"ann": "c2"}
    world.check()


def test_who_may_have_a_contact_now_is_offered_it_at_once() -> None:
    world = World([queue("sales", needs="es")], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    assert world.rings() == {}
    swap(world, agents=agents(agent("ann", skills={"es": 5})))
    assert world.rings() == {"ann": "c1"}
    world.check()


def test_an_offer_that_the_new_rules_would_not_make_goes_on_but_for_another_team() -> None:
    world = two()
    world.call("c1", "sales")
    swap(world, queues=queues(queue("sales", needs="es"), queue("help")))
    assert world.rings() == {"ann": "c1"}
    swap(
        world,
        teams={"t": Team(name="t"), "u": Team(name="u")},
        agents=agents(agent("ann", team="u"), agent("bob")),
    )
    assert world.rings() == {}
    assert world.at("ann") == "ready"
    world.check()


def test_steps_and_announcements_that_are_gone_are_not_due_and_new_ones_are() -> None:
    old = queue(
        "sales",
        needs="es>=90",
        groups=("g",),
        relax=(Relax(after=10.0, needs="es>=50"), Relax(after=20.0, needs="es")),
        widen=(Widen(after=10.0, groups=("h",)),),
        announcements=(Announcement(what="position", first=5.0, every=5.0), Announcement(what="message", first=50.0)),
    )
    world = World([old], [agent("ann", skills={"es": 5}, groups=("g",))])
    world.call("c1", "sales")
    world.wait(25.0)
    swap(world, queues=queues(queue("sales", needs="es>=90", relax=(Relax(after=100.0, needs="es"),))))
    world.wait(60.0)
    assert world.of(e.Announce) == []
    world.check()


def test_a_limit_that_is_new_holds_for_those_who_wait_already() -> None:
    world = World([queue("sales")], [agent("ann")])
    world.call("c1", "sales")
    world.wait(10.0)
    swap(world, queues=queues(queue("sales", limits=(Limit(of="waited", value=60.0, to=MAILBOX),))))
    world.wait(49.9)
    assert world.of(e.SendTo) == []
    world.wait(0.1)
    assert [each.to for each in world.of(e.SendTo)] == [MAILBOX]


def test_who_is_beyond_a_new_limit_already_goes_at_once() -> None:
    world = World([queue("sales")], [agent("ann")])
    world.call("c1", "sales")
    world.wait(100.0)
    swap(world, queues=queues(queue("sales", limits=(Limit(of="waited", value=60.0, to=MAILBOX),))))
    assert [each.to for each in world.of(e.SendTo)] == [MAILBOX]
    world.check()


def test_who_waits_for_nobody_by_the_new_skills_goes_at_once() -> None:
    limit = Limit(of="no_agents", to=MAILBOX, waiting=True)
    world = World([queue("sales", needs="es", limits=(limit,))], [agent("ann", skills={"es": 5})])
    world.sign_in("ann")
    world.busy("ann")
    world.call("c1", "sales")
    swap(world, agents=agents(agent("ann")))
    assert [(each.contact, each.to, each.why) for each in world.of(e.SendTo)] == [("c1", MAILBOX, "no_agents")]
    world.check()


def test_a_step_that_is_new_holds_for_those_who_wait_already() -> None:
    world = World([queue("sales", needs="es")], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.wait(10.0)
    swap(world, queues=queues(queue("sales", needs="es", relax=(Relax(after=30.0, needs=""),))))
    world.wait(30.0)
    assert world.rings() == {"ann": "c1"}


def test_wrap_up_under_way_keeps_its_end() -> None:
    world = World([queue("sales", wrap_up=WrapUp(seconds=30.0))], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.serve("ann", 10.0)
    swap(world, queues=queues(queue("sales", wrap_up=WrapUp(seconds=300.0))))
    world.wait(30.0)
    assert world.at("ann") == "ready"


def test_the_same_configuration_again_changes_nothing() -> None:
    world = two()
    world.call("c1", "sales")
    before = world.state.contacts["c1"].place, world.rings()
    swap(world)
    assert (world.contact("c1").place, world.rings()) == before
    assert config([], []) != world.state.config


def test_who_may_have_contacts_now_is_chosen_by_the_strategy_of_their_queue() -> None:
    world = World([queue("sales", needs="es")], [agent("ann"), agent("bob"), agent("cid")])
    for name in ("bob", "cid", "ann"):
        world.sign_in(name)
        world.wait(1.0)
    world.call("c1", "sales")
    world.call("c2", "sales")
    swap(world, queues=queues(queue("sales")))
    assert world.rings() == {"bob": "c1", "cid": "c2"}
    assert {each.by for each in world.of(f.Offered)} == {"contact"}
    world.check()


def test_a_swap_costs_a_look_at_each_who_waits_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World([queue("sales")], [agent("ann")])
    for number in range(100):
        world.call(f"c{number}", "sales")
    looks = 0

    def counted(contact: ContactState) -> Waiter:
        nonlocal looks
        looks += 1
        return Waiter(contact.place, contact.seq, contact.id)

    monkeypatch.setattr(ContactState, "waiter", property(counted))
    swap(world)
    assert looks < 5 * 100


def test_other_hours_hold_for_those_who_wait_already() -> None:
    def until(hour: float) -> dict[str, Hours]:
        return {"office": Hours(spans=(Span(days=(0,), start=9 * 3600.0, end=hour * 3600.0),))}

    sales = queue("sales", hours="office", limits=(Limit(of="closed", to=MAILBOX, waiting=True),))
    world = World([sales], [agent("ann")], hours=until(18.0))
    world.call("c1", "sales")
    swap(world, hours=until(11.0))
    world.wait(3_600.0)
    assert [each.to for each in world.of(e.SendTo)] == [MAILBOX]
    world.check()


def test_what_is_due_is_still_due_after_a_swap() -> None:
    sales = queue(
        "sales",
        needs="es",
        ring_seconds=20.0,
        relax=(Relax(after=30.0, needs=""),),
        wrap_up=WrapUp(seconds=40.0),
        announcements=(Announcement(what="position", first=10.0),),
        callback=CallbackRules(),
    )
    world = World([sales], [agent("ann"), agent("bob", skills={"es": 1})])
    world.sign_in("bob")
    world.call("c0", "sales")
    world.serve("bob", 1.0)
    world.sign_in("ann")
    world.call("c1", "sales")
    world.tell(i.AskCallback("b1", "+491", "sales", at=world.now + 25.0))
    swap(world, version="2")
    world.wait(10.0)
    assert [each.contact for each in world.of(e.Announce)] == ["c1"]
    world.wait(15.0)
    assert [each.callback for each in world.of(f.CallbackQueued)] == ["b1"]
    world.wait(5.0)
    assert world.rings() == {"ann": "c1"}
    swap(world, version="3")
    world.wait(10.0)
    assert world.at("bob") == "offered", "its wrap-up is over"
    world.wait(10.0)
    assert world.at("ann") == "not_responding"
    world.check()


# ---- callbacks


def callbacks(first: str, **settings: object) -> dict[str, object]:
    rules = CallbackRules(first=first)  # type: ignore[arg-type]
    return queues(queue("sales", callback=rules, **settings))


def test_who_is_rung_for_a_callback_is_kept_where_the_customer_is_called_first_from_now_on() -> None:
    world = World([callbacks("agent", strategy="ring_some", ring_count=2)["sales"]], [agent("ann"), agent("bob")])  # type: ignore[list-item]
    world.sign_in("ann")
    world.tell(i.AskCallback("b1", "+491", "sales"))
    assert world.ringing["ann"].kind == "callback"
    swap(world, queues=callbacks("customer", strategy="ring_some", ring_count=2))
    assert [(each.agent, each.why) for each in world.of(e.Withdraw)] == [("ann", "configured")]
    assert world.ringing["ann"].kind == "reservation"
    assert [each.agent for each in world.of(e.CallCustomer)] == [""]
    world.check()


def test_who_comes_while_a_customer_is_called_first_is_kept_also_where_agents_are_rung_first_from_now_on() -> None:
    world = World([callbacks("customer")["sales"]], [agent("ann"), agent("bob")])  # type: ignore[list-item]
    world.sign_in("ann", "bob")
    world.tell(i.AskCallback("b1", "+491", "sales"))
    swap(world, queues=callbacks("agent"))
    assert world.rings() == {"ann": "b1.1"}
    world.tell(i.SignOut("ann"))
    assert world.ringing["bob"].kind == "reservation"
    world.tell(i.CustomerCalled("b1", "answered"))
    world.answer("bob")
    assert [(each.contact, each.agent) for each in world.of(e.Connect)] == [("b1.1", "bob")]
    world.check()


def test_who_waits_for_an_agent_who_is_gone_is_no_trouble_where_waits_are_estimated() -> None:
    limit = Limit(of="expected_wait", to=WayOut(kind="voicemail", name="v"), value=5_000.0, waiting=True)
    sales = queue("sales", callback=CallbackRules(), limits=(limit,))
    here = World([sales], [agent("ann"), agent("bob")])
    here.sign_in("ann")
    for number in range(ENOUGH):
        here.call(f"c{number}", "sales")
        here.serve("ann", 30.0)
    here.call("c8", "sales")
    here.answer("ann")
    here.tell(i.AskCallback("b1", "+491", "sales", agent="bob"))
    here.call("c9", "sales")
    swap(here, agents=agents(agent("ann")), queues=queues(msgspec.structs.replace(sales, ring_seconds=21.0)))
    assert here.contact("b1.1").only == ""
    here.check()
