"""Who waits how: priority, important callers, places kept, steps of relaxation and widening, the last agent."""

import pytest
from acd_world import MONDAY, World, agent, queue

import acd.fold
from acd import facts as f
from acd import inputs as i
from acd.config import STRICT, Announcement, Relax, Team, Widen


def order(world: World, name: str) -> list[str]:
    return [waiter.contact for waiter in world.state.classes.everybody(name)]


# ---- places


def test_important_callers_go_before_the_others_by_their_number() -> None:
    world = World([queue("sales", vip=("+491", "+492"), vip_priority=2.0)], [agent("ann")])
    world.call("plain", "sales", number="+490")
    world.wait(119.0)
    world.call("important", "sales", number="+491")
    world.call("nobody", "sales")
    assert order(world, "sales") == ["important", "plain", "nobody"]
    world.wait(60.0)
    world.call("late", "sales", number="+492")
    assert order(world, "sales") == ["important", "plain", "late", "nobody"]


def test_priority_of_queues_and_contacts_adds_up_where_an_agent_serves_several() -> None:
    world = World([queue("high", priority=2.0), queue("low", priority=1.0)], [agent("ann")])
    world.call("low+2", "low", priority=2.0)
    world.call("high", "high")
    world.call("high-2", "high", priority=-2.0)
    world.call("low", "low")
    served = []
    world.sign_in("ann")
    for _ in range(4):
        served.append(world.rings()["ann"])
        world.serve("ann", 1.0)
    assert served == ["low+2", "high", "low", "high-2"]


def test_strict_priority_never_ages() -> None:
    world = World([queue("sales")], [agent("ann")], teams=[Team(name="t", ageing=STRICT)])
    world.call("plain", "sales")
    world.wait(30 * 86_400.0)
    world.call("important", "sales", priority=1.0)
    assert order(world, "sales") == ["important", "plain"]


def test_who_hung_up_and_calls_again_in_time_has_its_place_back() -> None:
    world = World([queue("sales", return_within=60.0)], [agent("ann")])
    world.call("c1", "sales", number="+491")
    world.wait(10.0)
    world.call("c2", "sales", number="+492")
    world.tell(i.HangUp("c1"))
    world.wait(59.0)
    world.call("c3", "sales", number="+491")
    assert order(world, "sales") == ["c3", "c2"]
    assert [each.back for each in world.of(f.Queued)] == [True]
    world.call("c4", "sales", number="+491")
    assert order(world, "sales") == ["c3", "c2", "c4"], "once"
    world.check()


def test_who_calls_again_too_late_or_without_a_number_or_elsewhere_does_not() -> None:
    world = World([queue("sales", return_within=60.0), queue("help", return_within=60.0)], [agent("ann")])
    world.call("c1", "sales", number="+491")
    world.call("c2", "sales")
    world.wait(10.0)
    world.call("c3", "sales", number="+493")
    world.tell(i.HangUp("c1"))
    world.tell(i.HangUp("c2"))
    world.call("c4", "help", number="+491")
    world.call("c5", "sales")
    world.wait(60.0)
    world.call("c6", "sales", number="+491")
    assert not [each for each in world.all(f.Queued) if each.back]
    assert order(world, "sales") == ["c3", "c5", "c6"]


def test_of_too_many_places_that_are_kept_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acd.fold, "MAX_RETURNING", 2)
    world = World([queue("sales", return_within=60.0)], [agent("ann")])
    for number in range(3):
        world.call(f"c{number}", "sales", number=f"+49{number}")
        world.wait(1.0)
        world.tell(i.HangUp(f"c{number}"))
    for number in range(3):
        world.call(f"d{number}", "sales", number=f"+49{number}")
    assert [each.back for each in world.all(f.Queued)[3:]] == [False, True, True]
    world.check()


def test_who_was_served_has_no_place_to_come_back_to() -> None:
    world = World([queue("sales", return_within=60.0)], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales", number="+491")
    world.serve("ann", 10.0)
    world.call("c2", "sales", number="+491")
    assert not world.of(f.Queued)[0].back


# ---- steps


def relaxing() -> World:
    sales = queue(
        "sales",
        needs="es>=60 and billing",
        relax=(Relax(after=30.0, needs="es>=30"), Relax(after=90.0, needs="")),
    )
    agents = [
        agent("expert", skills={"es": 80, "billing": 5}),
        agent("speaker", skills={"es": 30}),
        agent("anybody"),
    ]
    world = World([sales], agents)
    world.sign_in("speaker", "anybody")
    return world


def test_needs_relax_to_the_second() -> None:
    world = relaxing()
    world.call("c1", "sales")
    world.wait(29.9)
    assert world.rings() == {}
    world.wait(0.1)
    assert world.rings() == {"speaker": "c1"}
    assert (world.contact("c1").asks, world.contact("c1").relaxed) == ("es>=30", 1)
    world.reject("speaker")
    world.wait(59.9)
    assert "anybody" not in world.ringing
    world.wait(0.1)
    assert world.contact("c1").asks == ""
    world.check()


def test_what_a_contact_needs_itself_counts_no_more_where_a_step_says_so() -> None:
    world = World(
        [queue("sales", needs="es", relax=(Relax(after=30.0, needs="es", own=False),))],
        [agent("ann", skills={"es": 50})],
    )
    world.sign_in("ann")
    world.call("c1", "sales", needs="billing")
    world.wait(29.9)
    assert world.rings() == {}
    world.wait(0.1)
    assert world.contact("c1").asks == "es"
    assert world.rings() == {"ann": "c1"}
    world.check()


def test_what_a_contact_needs_itself_is_not_relaxed_with_the_queue() -> None:
    world = relaxing()
    world.call("c1", "sales", needs="es")
    world.tell(i.Pause("speaker"))
    world.wait(200.0)
    assert world.rings() == {}
    assert world.contact("c1").asks == "es"
    world.tell(i.Ready("speaker"))
    assert world.rings() == {"speaker": "c1"}


def test_who_has_waited_elsewhere_is_as_far_as_that_at_once() -> None:
    world = relaxing()
    world.call("c1", "sales", waited=30.0)
    assert world.rings() == {"speaker": "c1"}


def test_steps_go_on_while_it_rings() -> None:
    world = relaxing()
    world.wait(5.0)
    world.sign_in("expert")
    world.call("c1", "sales", waited=20.0)
    assert world.rings() == {"expert": "c1"}
    world.wait(10.0)
    assert (world.rings(), world.contact("c1").relaxed) == ({"expert": "c1"}, 1)
    world.reject("expert")
    assert world.rings() == {"speaker": "c1"}


def test_groups_widen_own_then_mixed_then_outbound() -> None:
    sales = queue(
        "sales",
        groups=("own",),
        widen=(Widen(after=20.0, groups=("mixed",)), Widen(after=40.0, groups=("outbound",))),
    )
    agents = [
        agent("out", groups=("outbound",), mode="both"),
        agent("mix", groups=("mixed",)),
        agent("own", groups=("own",)),
    ]
    world = World([sales], agents)
    world.sign_in("out", "mix")
    world.call("c1", "sales")
    world.wait(19.9)
    assert world.rings() == {}
    world.wait(0.1)
    assert world.rings() == {"mix": "c1"}
    world.tell(i.SignOut("mix"))
    world.wait(19.9)
    assert world.rings() == {}
    world.wait(0.1)
    assert world.rings() == {"out": "c1"}
    world.check()


def test_a_contact_keeps_its_place_through_steps() -> None:
    world = relaxing()
    for contact in ("c1", "c2", "c3"):
        world.call(contact, "sales")
        world.wait(10.0)
    assert world.rings() == {"speaker": "c1"}
    world.serve("speaker", 1.0)
    world.wait(9.0)
    assert world.rings() == {"speaker": "c2"}


# ---- the last agent


def familiar(**settings: object) -> World:
    world = World([queue("sales", affinity=30.0, **settings)], [agent("ann"), agent("bob")])
    world.sign_in("bob", "ann")
    return world


def test_a_caller_gets_the_agent_that_it_talked_to_last() -> None:
    world = familiar()
    world.call("c1", "sales", last_agent="ann")
    assert world.rings() == {"ann": "c1"}


def test_a_caller_waits_for_it_and_no_longer_than_its_patience() -> None:
    world = familiar()
    world.busy("ann")
    world.call("c1", "sales", last_agent="ann")
    world.wait(29.9)
    assert world.rings() == {}
    world.wait(0.1)
    assert world.rings() == {"bob": "c1"}
    world.check()


def test_it_has_it_when_it_is_free_in_time_before_others_who_wait() -> None:
    world = familiar()
    world.busy("ann")
    world.busy("bob")
    world.call("c1", "sales", last_agent="ann")
    world.call("c2", "sales")
    world.free("bob")
    assert world.rings() == {"bob": "c2"}
    world.free("ann")
    assert world.rings()["ann"] == "c1"


def test_nobody_waits_for_an_agent_who_is_away_or_of_another_team() -> None:
    world = World(
        [queue("sales", affinity=30.0)],
        [agent("ann"), agent("bob"), agent("eve", team="u")],
        teams=[Team(name="u")],
    )
    world.sign_in("ann", "bob", "eve")
    world.tell(i.Pause("ann"))
    for number, last in enumerate(("ann", "eve", "nobody")):
        world.call(f"c{number}", "sales", last_agent=last)
        assert list(world.ringing) == ["bob"]
        world.serve("bob", 1.0)


def test_nobody_waits_for_an_agent_who_may_not_have_the_contact_or_works_in_the_other_direction() -> None:
    people = [agent("ann"), agent("out", mode="outbound", skills={"es": 5}), agent("bob", skills={"es": 5})]
    world = World([queue("sales", affinity=30.0, needs="es")], people)
    world.sign_in("ann", "out", "bob")
    for number, last in enumerate(("ann", "out")):
        world.call(f"c{number}", "sales", last_agent=last)
        assert world.rings() == {"bob": f"c{number}"}
        world.serve("bob", 1.0)


def test_who_is_skilled_enough_by_the_time_that_the_contact_has_waited_is_waited_for() -> None:
    relaxed = queue("sales", affinity=30.0, needs="es", relax=(Relax(after=60.0, needs=""),))
    world = World([relaxed], [agent("ann"), agent("bob")])
    world.sign_in("ann", "bob")
    world.busy("ann")
    world.call("c1", "sales", last_agent="ann", waited=60.0)
    assert world.rings() == {}
    world.free("ann")
    assert world.rings() == {"ann": "c1"}


@pytest.mark.parametrize("leave", [i.SignOut("ann"), i.Pause("ann"), i.SetMode("ann", "outbound")])
def test_when_that_agent_leaves_the_caller_waits_for_it_no_longer(leave: i.AnyInput) -> None:
    world = World([queue("sales", affinity=300.0)], [agent("ann", mode="self"), agent("bob")])
    world.sign_in("ann", "bob")
    world.call("c0", "sales", last_agent="ann")
    world.answer("ann")
    world.call("c1", "sales", last_agent="ann")
    assert world.rings() == {}
    world.tell(leave)
    if world.at("ann") == "talking":
        world.finish("ann")
    assert world.rings() == {"bob": "c1"}
    world.check()


def test_nobody_waits_for_an_agent_who_goes_after_its_contact() -> None:
    world = familiar()
    world.call("c0", "sales", last_agent="ann")
    world.answer("ann")
    world.tell(i.Pause("ann"))
    world.call("c1", "sales", last_agent="ann")
    assert world.rings() == {"bob": "c1"}


@pytest.mark.parametrize("skip", [0.0, 10.0])
def test_when_that_agent_does_not_take_it_others_may(skip: float) -> None:
    world = familiar(skip=skip)
    world.call("c1", "sales", last_agent="ann")
    world.reject("ann")
    assert world.rings() == {"bob": "c1"}
    world.check()


def test_queues_without_affinity_pay_no_heed_to_it() -> None:
    world = World([queue("sales")], [agent("ann"), agent("bob")])
    world.sign_in("bob", "ann")
    world.call("c1", "sales", last_agent="ann")
    assert world.rings() == {"bob": "c1"}


def test_teams_never_see_each_other() -> None:
    world = World([queue("sales")], [agent("eve", team="u")], teams=[Team(name="u")])
    world.sign_in("eve")
    world.call("c1", "sales", last_agent="eve")
    world.wait(1_000.0)
    assert world.rings() == {}
    assert world.contact("c1").since == MONDAY


def test_a_snapshot_hangs_on_what_has_happened_alone_and_on_nothing_that_was_looked_at() -> None:
    said = Announcement(what="expected_wait", first=1.0)
    world = World([queue("sales", affinity=30.0, announcements=(said,))], [agent("ann", skills={"es": 1})])
    world.sign_in("ann")
    world.busy("ann")
    world.call("c1", "sales", last_agent="ann")
    world.wait(1.0)
    world.call("c2", "sales", needs="es")
    world.check()


def test_of_those_whose_step_comes_at_one_moment_the_first_in_line_goes_first() -> None:
    world = World([queue("sales", needs="es", relax=(Relax(after=10.0, needs=""),))], [agent("ann")])
    world.sign_in("ann")
    world.call("a-plain", "sales")
    world.call("b-important", "sales", priority=1.0)
    world.wait(10.0)
    assert world.rings() == {"ann": "b-important"}
    world.check()
