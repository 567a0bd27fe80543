"""Limits of queues, at entry and while contacts wait, each with a way out of its own; overflow, keys, circles."""

import pytest
from acd_world import MONDAY, World, agent, queue

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.classes import Classes
from acd.config import Hours, Limit, Relax, Span, WayOut, Widen
from acd.queueing import MAX_MOVES, TOO_OFTEN

MAILBOX = WayOut(kind="voicemail", name="100")
ELSEWHERE = WayOut(kind="number", name="+4930")
HOUR = 3600.0
OFFICE = {"office": Hours(spans=(Span(days=(0,), start=9 * HOUR, end=11 * HOUR),))}


def sent(world: World) -> list[tuple[str, WayOut, str]]:
    return [(each.contact, each.to, each.why) for each in world.of(e.SendTo)]


def left(world: World) -> list[tuple[str, str, str]]:
    return [(each.contact, each.how, each.why) for each in world.of(f.LeftQueue)]


# ---- at entry


def test_a_full_queue_takes_nobody_more() -> None:
    world = World([queue("sales", limits=(Limit(of="length", value=2.0, to=MAILBOX),))], [agent("ann")])
    world.call("c1", "sales")
    world.call("c2", "sales")
    assert sent(world) == []
    world.call("c3", "sales")
    assert sent(world) == [("c3", MAILBOX, "length")]
    assert left(world) == [("c3", "refused", "length")]
    assert set(world.state.contacts) == {"c1", "c2"}
    world.check()


def test_who_is_being_offered_counts_as_waiting_and_who_has_an_agent_does_not() -> None:
    world = World([queue("sales", limits=(Limit(of="length", value=1.0, to=MAILBOX),))], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.call("c2", "sales")
    assert len(sent(world)) == 1
    world.answer("ann")
    world.call("c3", "sales")
    assert sent(world) == []


def test_a_closed_queue_takes_nobody() -> None:
    limit = Limit(of="closed", to=MAILBOX)
    world = World([queue("sales", hours="office", limits=(limit,))], [agent("ann")], hours=OFFICE)
    world.call("c1", "sales")
    assert sent(world) == [], "it is 10:00"
    world.wait(HOUR)
    world.call("c2", "sales")
    assert sent(world) == [("c2", MAILBOX, "closed")]
    assert "c1" in world.state.contacts, "this limit is one at entry"


def test_no_agents_means_nobody_signed_in_who_could_ever_have_it() -> None:
    limit = Limit(of="no_agents", to=MAILBOX)
    sales = queue(
        "sales",
        needs="es>=50",
        relax=(Relax(after=60.0, needs="es"),),
        groups=("one",),
        widen=(Widen(after=60.0, groups=("two",)),),
        limits=(limit,),
    )
    agents = [
        agent("ann", groups=("one",)),
        agent("bob", groups=("three",), skills={"es": 90}),
        agent("cid", groups=("two",), skills={"es": 5}),
    ]
    world = World([sales], agents)
    world.sign_in("ann", "bob")
    world.call("c1", "sales")
    assert sent(world) == [("c1", MAILBOX, "no_agents")]
    world.sign_in("cid")
    world.tell(i.Pause("cid"))
    world.call("c2", "sales")
    assert sent(world) == []


def test_none_ready_means_nobody_at_work() -> None:
    world = World([queue("sales", limits=(Limit(of="none_ready", to=MAILBOX),))], [agent("ann")])
    world.sign_in("ann")
    world.busy("ann")
    world.call("c1", "sales")
    assert sent(world) == [], "she will be free"
    world.free("ann")
    world.tell(i.HangUp("c1"))
    world.tell(i.Pause("ann"))
    world.call("c2", "sales")
    assert sent(world) == [("c2", MAILBOX, "none_ready")]


def test_the_first_limit_that_is_reached_decides() -> None:
    limits = (
        Limit(of="length", value=1.0, to=ELSEWHERE),
        Limit(of="none_ready", to=MAILBOX),
        Limit(of="no_agents", to=ELSEWHERE),
    )
    world = World([queue("sales", limits=limits)], [agent("ann")])
    world.call("c1", "sales")
    assert sent(world) == [("c1", MAILBOX, "none_ready")]


def served_often(world: World, seconds: float) -> None:
    for number in range(6):
        world.call(f"s{number}", "sales")
        world.serve("ann", seconds)


def test_an_expected_wait_that_is_too_long_takes_nobody() -> None:
    limits = (Limit(of="expected_wait", value=60.0, to=MAILBOX),)
    world = World([queue("sales", limits=limits)], [agent("ann")])
    world.sign_in("ann")
    served_often(world, 100.0)
    world.call("c1", "sales")
    world.answer("ann")
    world.call("c2", "sales")
    assert sent(world) == [], "at least nothing"
    for number in range(3, 9):
        world.call(f"c{number}", "sales")
        if sent(world):
            break
    assert sent(world) == [("c4", MAILBOX, "expected_wait")], "three before it, of 100 s each, less the spread"


def test_a_wait_of_which_nothing_is_known_keeps_nobody_out() -> None:
    world = World([queue("sales", limits=(Limit(of="expected_wait", value=0.0, to=MAILBOX),))], [agent("ann")])
    world.call("c1", "sales")
    assert sent(world) == []


# ---- while waiting


def test_who_has_waited_too_long_goes_at_that_second() -> None:
    world = World([queue("sales", limits=(Limit(of="waited", value=60.0, to=MAILBOX),))], [agent("ann")])
    world.call("c1", "sales")
    world.wait(59.9)
    assert sent(world) == []
    world.wait(0.1)
    assert sent(world) == [("c1", MAILBOX, "waited")]
    assert left(world) == [("c1", "overflow", "waited")]
    assert world.state.contacts == {}
    world.check()


def test_time_waited_elsewhere_counts() -> None:
    world = World([queue("sales", limits=(Limit(of="waited", value=60.0, to=MAILBOX),))], [agent("ann")])
    world.call("c1", "sales", waited=50.0)
    world.wait(10.0)
    assert sent(world) == [("c1", MAILBOX, "waited")]


def test_who_is_being_offered_when_the_time_is_over_goes_and_the_offer_is_taken_back() -> None:
    world = World([queue("sales", limits=(Limit(of="waited", value=10.0, to=MAILBOX),))], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.wait(10.0)
    assert [each.why for each in world.of(e.Withdraw)] == ["caller_left"]
    assert (world.at("ann"), sent(world)) == ("ready", [("c1", MAILBOX, "waited")])


@pytest.mark.parametrize("leave", [i.SignOut, i.Pause])
def test_when_the_last_agent_goes_those_who_wait_go_too(leave: type[i.SignOut | i.Pause]) -> None:
    limit = Limit(of="none_ready", to=MAILBOX, waiting=True)
    world = World([queue("sales", limits=(limit,))], [agent("ann"), agent("bob")])
    world.sign_in("ann", "bob")
    world.busy("ann")
    world.busy("bob")
    world.call("c1", "sales")
    world.call("c2", "sales")
    world.tell(i.SignOut("bob"))
    assert sent(world) == []
    world.tell(leave("ann"))
    if leave is i.Pause:
        world.free("ann")
    assert sent(world) == [("c1", MAILBOX, "none_ready"), ("c2", MAILBOX, "none_ready")]
    world.check()


def test_who_needs_nobody_of_those_who_left_stays() -> None:
    limit = Limit(of="no_agents", to=MAILBOX, waiting=True)
    agents = [agent("ann", skills={"es": 1}), agent("bob", skills={"de": 1})]
    world = World([queue("sales", limits=(limit,))], agents)
    world.sign_in("ann", "bob")
    world.busy("ann")
    world.busy("bob")
    world.call("c1", "sales", needs="es")
    world.call("c2", "sales", needs="de")
    world.tell(i.SignOut("ann"))
    assert sent(world) == [("c1", MAILBOX, "no_agents")]


def test_when_the_last_agent_does_not_respond_those_who_wait_go() -> None:
    limit = Limit(of="none_ready", to=MAILBOX, waiting=True)
    world = World([queue("sales", ring_seconds=20.0, limits=(limit,))], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.wait(20.0)
    assert (world.at("ann"), sent(world)) == ("not_responding", [("c1", MAILBOX, "none_ready")])


def test_when_the_last_agent_works_in_the_other_direction_those_who_wait_go() -> None:
    limit = Limit(of="no_agents", to=MAILBOX, waiting=True)
    world = World([queue("sales", limits=(limit,))], [agent("ann", mode="self"), agent("bob", mode="outbound")])
    world.sign_in("bob")
    world.call("c1", "sales")
    assert sent(world) == [("c1", MAILBOX, "no_agents")]
    world.sign_in("ann")
    world.busy("ann")
    world.call("c2", "sales")
    assert sent(world) == []
    world.tell(i.SetMode("ann", "outbound"))
    assert sent(world) == [("c2", MAILBOX, "no_agents")]
    world.check()


def test_who_leaves_costs_no_look_at_those_who_wait_on(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Limit(of="none_ready", to=MAILBOX, waiting=True)
    world = World([queue("sales", limits=(limit,))], [agent("ann"), agent("bob")])
    world.sign_in("ann", "bob")
    world.busy("ann")
    world.busy("bob")
    for number in range(5):
        world.call(f"c{number}", "sales")
    monkeypatch.setattr(Classes, "everybody", None)
    world.tell(i.SignOut("ann"))
    assert len(world.state.contacts) == 5


def test_at_closing_time_those_who_wait_go() -> None:
    limit = Limit(of="closed", to=MAILBOX, waiting=True)
    world = World([queue("sales", hours="office", limits=(limit,))], [agent("ann")], hours=OFFICE)
    world.call("c1", "sales")
    world.wait(HOUR - 0.1)
    assert sent(world) == []
    world.wait(0.1)
    assert sent(world) == [("c1", MAILBOX, "closed")]
    assert world.now == MONDAY + HOUR


def test_an_expected_wait_that_grows_too_long_is_seen_within_half_a_minute() -> None:
    limit = Limit(of="expected_wait", value=150.0, to=MAILBOX, waiting=True)
    world = World([queue("sales", limits=(limit,))], [agent("ann"), agent("bob"), agent("cid")])
    world.sign_in("ann")
    served_often(world, 100.0)
    world.sign_in("bob", "cid")
    for name in ("ann", "bob", "cid"):
        world.busy(name)
    for number in range(5):
        world.call(f"c{number}", "sales")
    world.wait(30.0)
    assert sent(world) == []
    world.tell(i.Pause("bob"))
    world.tell(i.SignOut("cid"))
    world.tell(i.SignOut("bob"))
    world.wait(30.0)
    assert sent(world)
    assert {why for _, _, why in sent(world)} == {"expected_wait"}
    assert "c0" in world.state.contacts


# ---- overflow


def overflowing(keep_wait: bool) -> World:
    way = WayOut(kind="queue", name="all", keep_wait=keep_wait)
    world = World(
        [queue("sales", limits=(Limit(of="waited", value=60.0, to=way),)), queue("all")],
        [agent("ann", skills={"x": 1})],
    )
    world.call("c1", "sales", needs="x")
    world.wait(30.0)
    world.call("c2", "all", needs="x")
    world.wait(30.0)
    assert world.contact("c1").queue == "all"
    return world


def test_overflow_into_another_queue_may_keep_the_wait() -> None:
    world = overflowing(keep_wait=True)
    assert [world.state.position(world.contact(name)) for name in ("c1", "c2")] == [1, 2]
    assert world.contact("c1").since == MONDAY
    assert world.contact("c1").needs == "x"
    world.sign_in("ann")
    world.answer("ann")
    assert [each.waited for each in world.of(f.Connected)] == [60.0]
    world.check()


def test_overflow_into_another_queue_may_lose_the_wait() -> None:
    world = overflowing(keep_wait=False)
    assert [world.state.position(world.contact(name)) for name in ("c1", "c2")] == [2, 1]
    assert world.contact("c1").since == world.now


def test_in_the_next_queue_a_contact_is_what_it_was_when_it_came() -> None:
    way = WayOut(kind="queue", name="all")
    sales = queue(
        "sales",
        skip=500.0,
        affinity=500.0,
        relax=(Relax(after=10.0, needs=""),),
        limits=(Limit(of="waited", value=60.0, to=way),),
    )
    world = World(
        [sales, queue("all", needs="es", relax=(Relax(after=900.0, needs=""),))], [agent("ann", skills={"es": 1})]
    )
    world.sign_in("ann")
    world.call("c1", "sales", last_agent="ann")
    world.reject("ann")
    world.wait(60.0)
    found = world.contact("c1")
    assert (found.queue, found.only, found.skipped, found.relaxed, found.asks) == ("all", "", {}, 0, "es")
    assert world.rings() == {"ann": "c1"}
    world.check()


def test_overflow_is_no_effect_and_the_limits_of_the_other_queue_hold() -> None:
    way = WayOut(kind="queue", name="all")
    queues = [
        queue("sales", limits=(Limit(of="length", value=0.0, to=way),)),
        queue("all", limits=(Limit(of="length", value=1.0, to=MAILBOX),)),
    ]
    world = World(queues, [agent("ann")])
    world.call("c1", "sales")
    assert world.effects == []
    assert world.contact("c1").queue == "all"
    world.call("c2", "sales")
    assert sent(world) == [("c2", MAILBOX, "length")]
    assert left(world) == [("c2", "refused", "length"), ("c2", "overflow", "length")]


def test_circles_of_overflow_end() -> None:
    def full(name: str, to: str) -> object:
        return queue(name, limits=(Limit(of="no_agents", to=WayOut(kind="queue", name=to)),))

    world = World([full("a", "b"), full("b", "a")], [agent("ann")])
    world.call("c1", "a")
    assert sent(world) == [("c1", WayOut(kind="hangup"), TOO_OFTEN)]
    assert len(world.of(f.Queued)) == MAX_MOVES + 1
    assert world.state.contacts == {}
    world.check()


def test_a_way_into_a_queue_that_is_not_there_ends_the_call() -> None:
    limit = Limit(of="no_agents", to=WayOut(kind="queue", name="gone"))
    world = World([queue("sales", limits=(limit,))], [agent("ann")])
    world.call("c1", "sales")
    assert sent(world) == [("c1", WayOut(kind="hangup"), "no_agents")]


# ---- keys


def test_a_caller_leaves_by_a_key() -> None:
    exits = {"1": MAILBOX, "2": WayOut(kind="queue", name="all"), "3": WayOut(kind="callback")}
    world = World([queue("sales", exits=exits), queue("all")], [agent("ann")])
    for contact in ("c1", "c2", "c3"):
        world.call(contact, "sales")
    world.tell(i.PressKey("c1", "1"))
    assert sent(world) == [("c1", MAILBOX, "1")]
    assert left(world) == [("c1", "exit", "1")]
    assert world.of(e.StopAnnouncing) == [e.StopAnnouncing("c1")]
    world.tell(i.PressKey("c2", "2"))
    assert (sent(world), world.contact("c2").queue) == ([], "all")
    world.tell(i.PressKey("c3", "3"))
    assert sent(world) == [("c3", WayOut(kind="callback"), "3")]
    assert world.refused(i.PressKey("c2", "1")) == "queue all has no way out by key '1'"


def test_a_key_while_it_rings_takes_the_offer_back_and_one_after_the_answer_does_nothing() -> None:
    world = World([queue("sales", exits={"1": MAILBOX})], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.tell(i.PressKey("c1", "1"))
    assert (world.at("ann"), sent(world)) == ("ready", [("c1", MAILBOX, "1")])
    world.call("c2", "sales")
    world.answer("ann")
    assert world.refused(i.PressKey("c2", "1")) == "contact c2 waits in no queue"
