"""What agents want, and what becomes of their telephones: sign-in and out, pauses, direct calls, transfers, modes."""

import msgspec
import pytest
from acd_world import MONDAY, World, agent, queue

import acd.agents
from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import CallbackRules, Group, Team, WrapUp


def one(**settings: object) -> World:
    world = World([queue("sales")], [agent("ann", **settings), agent("bob")])
    world.sign_in("ann")
    return world


def talking(**settings: object) -> World:
    world = one(**settings)
    world.call("c1", "sales")
    world.answer("ann")
    return world


# ---- sign-in and sign-out


def test_a_team_may_sign_in_paused() -> None:
    world = World([queue("sales")], [agent("ann")], teams=[Team(name="t", sign_in_as="paused")])
    world.sign_in("ann")
    assert world.at("ann") == "paused"


def test_an_agent_without_a_telephone_of_its_own_chooses_one() -> None:
    world = World([queue("sales")], [agent("ann", address=""), agent("bob", address="")])
    assert world.refused(i.SignIn("ann")) == "agent ann has no telephone of its own: expected an address"
    world.tell(i.SignIn("ann", address="tel:+49301"))
    assert world.refused(i.SignIn("bob", address="tel:+49301")) == (
        "tel:+49301 is the telephone of agent ann, who is signed in"
    )
    world.call("c1", "sales")
    assert world.of(e.Offer)[0].address == "tel:+49301"
    world.tell(i.SignOut("ann"))
    world.tell(i.SignIn("bob", address="tel:+49301"))


def test_a_telephone_that_is_set_is_no_other() -> None:
    world = World([queue("sales")], [agent("ann")])
    assert world.refused(i.SignIn("ann", address="sip:x")) == "the telephone of agent ann is sip:ann: expected no other"
    world.tell(i.SignIn("ann", address="sip:ann"))


def test_an_order_twice_is_refused_the_second_time() -> None:
    world = one()
    assert world.refused(i.SignIn("ann")) == "agent ann is signed in already"
    world.tell(i.SignOut("ann"))
    assert world.refused(i.SignOut("ann")) == "agent ann is not signed in"


def test_who_signs_out_while_it_rings_leaves_the_contact_to_others() -> None:
    world = one()
    world.sign_in("bob")
    world.call("c1", "sales")
    world.tell(i.SignOut("ann"))
    assert [(each.agent, each.why) for each in world.of(e.Withdraw)] == [("ann", "agent_left")]
    assert (world.at("ann"), world.rings()) == ("signed_out", {"bob": "c1"})


def test_who_signs_out_during_a_contact_is_gone_after_it_without_wrap_up_being_waited_for() -> None:
    world = talking()
    world.tell(i.SignOut("ann"))
    assert world.at("ann") == "talking"
    world.finish("ann")
    assert world.at("ann") == "signed_out"
    world.check()


def test_who_signs_out_during_a_contact_still_wraps_it_up() -> None:
    world = World([queue("sales", wrap_up=WrapUp(seconds=30.0))], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.answer("ann")
    world.tell(i.SignOut("ann"))
    world.finish("ann")
    assert world.at("ann") == "wrap_up"
    world.wait(30.0)
    assert world.at("ann") == "signed_out"


# ---- pauses


def test_a_pause_begins_at_once_and_says_why_and_until_when() -> None:
    world = one()
    world.tell(i.Pause("ann", "lunch", 1_800.0))
    paused = world.agent("ann")
    assert (paused.state, paused.reason, paused.until) == ("paused", "lunch", MONDAY + 1_800.0)
    world.call("c1", "sales")
    world.wait(4_000.0)
    assert (world.at("ann"), world.rings()) == ("paused", {}), "what is planned ends nothing"
    world.tell(i.Ready("ann"))
    assert world.rings() == {"ann": "c1"}


def test_a_pause_may_be_given_another_reason() -> None:
    world = one()
    world.tell(i.Pause("ann", "lunch"))
    world.tell(i.Pause("ann", "training"))
    assert world.agent("ann").reason == "training"


def test_a_pause_that_is_asked_for_during_a_contact_begins_after_it() -> None:
    world = talking()
    world.tell(i.Pause("ann", "lunch", 60.0))
    assert world.at("ann") == "talking"
    world.wait(100.0)
    world.finish("ann")
    paused = world.agent("ann")
    assert (paused.state, paused.reason, paused.until) == ("paused", "lunch", world.now + 60.0)
    world.tell(i.Ready("ann"))
    assert world.at("ann") == "ready"


def test_a_pause_that_is_asked_for_while_it_rings_comes_after_that_offer_and_its_contact() -> None:
    world = one()
    world.call("c1", "sales")
    world.tell(i.Pause("ann"))
    assert world.rings() == {"ann": "c1"}
    world.reject("ann")
    assert world.at("ann") == "paused"


def test_who_is_ready_again_before_the_contact_is_over_takes_no_pause() -> None:
    world = talking()
    world.tell(i.Pause("ann"))
    world.tell(i.Ready("ann"))
    world.finish("ann")
    assert world.at("ann") == "ready"


def test_reasons_are_those_of_the_team() -> None:
    world = World([queue("sales")], [agent("ann")], teams=[Team(name="t", pause_reasons=("lunch", "training"))])
    world.sign_in("ann")
    assert world.refused(i.Pause("ann", "golf")) == "bad reason 'golf': expected one of lunch, training"
    assert world.refused(i.Pause("ann")) == "bad reason '': expected one of lunch, training"
    world.tell(i.Pause("ann", "lunch"))


# ---- telephones


def test_an_agent_whose_telephone_is_gone_is_offline_until_it_is_back() -> None:
    world = one()
    world.tell(i.Reachable("sip:ann", False))
    assert world.at("ann") == "offline"
    world.call("c1", "sales")
    assert world.rings() == {}
    world.tell(i.Reachable("sip:ann", True))
    assert world.rings() == {"ann": "c1"}
    world.check()


def test_a_telephone_that_goes_during_a_contact_is_missed_after_it() -> None:
    world = talking()
    world.tell(i.Reachable("sip:ann", False))
    assert world.at("ann") == "talking"
    world.finish("ann")
    assert world.at("ann") == "offline"


def test_a_telephone_that_was_gone_before_the_sign_in_is_gone_at_it() -> None:
    world = World([queue("sales")], [agent("ann")])
    world.tell(i.Reachable("sip:ann", False))
    world.sign_in("ann")
    assert world.at("ann") == "offline"


def test_a_telephone_that_comes_and_goes_leaves_alone_who_is_paused_or_in_a_call() -> None:
    for there in (one, talking):
        world = there()
        if there is one:
            world.tell(i.Pause("ann"))
        before = world.at("ann")
        for reachable in (False, True):
            world.tell(i.Reachable("sip:ann", reachable))
            assert world.at("ann") == before


def test_what_is_said_twice_of_a_telephone_changes_nothing() -> None:
    world = one()
    world.tell(i.Reachable("sip:ann", True))
    assert world.facts == [i.Reachable("sip:ann", True)]


def test_only_so_many_telephones_are_known_to_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acd.agents, "MAX_UNREACHABLE", 2)
    world = one()
    for address in ("sip:x", "sip:y", "sip:y"):
        world.tell(i.Reachable(address, False))
    told = "'sip:ann' can't be reached, besides 2 more: expected telephones of agents alone"
    assert world.refused(i.Reachable("sip:ann", False)) == told
    world.tell(i.Reachable("sip:x", True))
    world.tell(i.Reachable("sip:ann", False))
    assert world.at("ann") == "offline"
    world.refused(i.Reachable("x" * 129, False))


# ---- direct calls


def test_an_agent_in_a_direct_call_is_offered_nothing() -> None:
    world = one()
    world.busy("ann")
    assert (world.at("ann"), world.agent("ann").contact) == ("talking", "")
    world.call("c1", "sales")
    assert world.rings() == {}
    world.free("ann")
    assert world.rings() == {"ann": "c1"}


def test_direct_calls_count_only_where_the_agents_settings_say_so() -> None:
    world = one(direct_calls="free")
    world.busy("ann")
    assert world.at("ann") == "ready"
    world.call("c1", "sales")
    assert world.rings() == {"ann": "c1"}


def test_a_direct_call_that_began_in_a_pause_counts_after_it() -> None:
    world = one()
    world.tell(i.Pause("ann"))
    world.busy("ann")
    assert world.at("ann") == "paused"
    world.tell(i.Ready("ann"))
    assert world.at("ann") == "talking"
    world.free("ann")
    assert world.at("ann") == "ready"
    world.check()


def test_a_direct_call_does_not_end_with_the_contact() -> None:
    world = talking()
    world.busy("ann")
    world.finish("ann")
    assert (world.at("ann"), world.agent("ann").contact) == ("talking", "")
    world.free("ann")
    assert world.at("ann") == "ready"


def test_a_direct_call_that_counted_ends_also_where_the_rules_have_changed_meanwhile() -> None:
    world = one()
    world.busy("ann")
    config = world.state.config
    world.tell(i.Configure(msgspec.structs.replace(config, agents={"ann": agent("ann", direct_calls="free")})))
    assert world.at("ann") == "talking"
    world.free("ann")
    assert world.at("ann") == "ready"
    world.check()


def test_an_order_about_direct_calls_twice_is_refused() -> None:
    world = one()
    world.busy("ann")
    assert world.refused(i.DirectCall("ann", True)) == "agent ann is in a direct call already"
    world.free("ann")
    assert world.refused(i.DirectCall("ann", False)) == "agent ann is not in a direct call"


# ---- hold, consultation, transfers


def test_a_call_is_held_consulted_about_and_taken_up_again() -> None:
    world = talking()
    world.tell(i.Hold("c1", "ann", True))
    assert world.at("ann") == "hold"
    assert world.refused(i.Hold("c1", "ann", True)) == "agent ann holds contact c1"
    world.tell(i.Consult("c1", "ann", True))
    assert world.at("ann") == "consulting"
    assert world.refused(i.Consult("c1", "ann", True)) == "agent ann consults already"
    assert world.refused(i.Hold("c1", "ann", False)) == "agent ann does not hold contact c1"
    world.tell(i.Consult("c1", "ann", False))
    assert world.at("ann") == "talking"
    assert world.refused(i.Consult("c1", "ann", False)) == "agent ann does not consult"
    assert world.refused(i.Hold("c1", "bob", True)) == "agent bob is not signed in"


def test_a_transferred_contact_is_taken_by_the_other_and_ends_with_the_last_of_them() -> None:
    world = talking()
    world.sign_in("bob")
    world.tell(i.Consult("c1", "ann", True))
    world.tell(i.Take("c1", "bob"))
    assert world.contact("c1").agents == ["ann", "bob"]
    world.finish("ann", "attended_transfer")
    assert (world.at("ann"), world.at("bob"), world.contact("c1").agents) == ("ready", "talking", ["bob"])
    world.finish("bob")
    assert world.state.contacts == {}
    world.check()


def test_who_takes_a_contact_in_a_pause_is_paused_again_after_it() -> None:
    world = one()
    world.tell(i.Pause("ann", "lunch"))
    world.tell(i.Take("elsewhere", "ann"))
    assert world.at("ann") == "talking"
    world.finish("ann")
    world.wait(30.0)
    assert (world.at("ann"), world.agent("ann").reason) == ("paused", "lunch")


def test_nobody_takes_a_second_contact_or_one_that_waits() -> None:
    world = talking()
    world.call("c2", "sales")
    assert world.refused(i.Take("x", "ann")) == "agent ann has contact c1, or is being offered it"
    world.sign_in("bob")
    world.tell(i.Pause("bob"))
    world.reject("bob")
    assert world.at("bob") == "paused"
    assert world.refused(i.Take("c2", "bob")) == "contact c2 waits in queue sales: expected PickUp"


# ---- contacts that are picked up out of the queue


def test_an_agent_picks_up_who_waits_whatever_it_needs_and_whose_turn_it_is() -> None:
    world = World([queue("sales", needs="es")], [agent("ann", skills={"es": 50}), agent("bob")])
    world.call("c1", "sales", number="+491")
    world.wait(30.0)
    world.call("c2", "sales")
    world.wait(5.0)
    world.sign_in("bob")
    [offer] = world.tell(i.PickUp("c2", "bob"))
    assert (offer.contact, offer.agent, offer.kind, offer.deadline) == ("c2", "bob", "call", world.now + 20.0)
    assert (world.at("bob"), world.contact("c2").queue) == ("offered", "sales")
    assert world.tell(i.Accept(offer.offer)) == [e.StopAnnouncing("c2"), e.Connect(offer.offer, "c2", "bob")]
    assert world.of(f.Connected) == [f.Connected("c2", "bob", offer.offer, 5.0)]
    assert (world.at("bob"), world.contact("c2").queue) == ("talking", "")
    world.finish("bob")
    assert world.at("bob") == "ready"
    assert world.state.position(world.contact("c1")) == 1
    world.check()


def test_who_is_picked_up_is_offered_to_nobody_any_more() -> None:
    world = World([queue("sales", strategy="ring_all")], [agent("ann"), agent("bob"), agent("eve")])
    world.sign_in("ann", "bob", "eve")
    world.tell(i.Pause("eve", "lunch"))
    world.call("c1", "sales")
    assert set(world.rings()) == {"ann", "bob"}
    world.tell(i.PickUp("c1", "eve"))
    assert set(world.rings()) == {"ann", "bob", "eve"}, "the first to answer has it"
    world.answer("eve")
    assert [(each.agent, each.why) for each in world.of(e.Withdraw)] == [
        ("ann", "answered_elsewhere"),
        ("bob", "answered_elsewhere"),
    ]
    assert (world.at("ann"), world.at("bob")) == ("ready", "ready")
    world.finish("eve")
    assert (world.at("eve"), world.agent("eve").reason) == ("paused", "lunch"), "as before"
    world.check()


@pytest.mark.parametrize("how", ["missed", "rejected", "unreachable", "caller left", "answered elsewhere"])
def test_who_does_not_get_what_it_picks_up_is_where_it_was(how: str) -> None:
    """eve, who has a break; the caller keeps its place, and ann is rung for it all the time."""
    world = World([queue("sales")], [agent("ann"), agent("eve")])
    world.sign_in("ann", "eve")
    world.tell(i.Pause("eve", "lunch", planned=600.0))
    world.call("c1", "sales")
    world.wait(5.0)
    world.tell(i.PickUp("c1", "eve"))
    assert set(world.rings()) == {"ann", "eve"}
    world.wait(5.0)
    match how:
        case "missed":
            world.wait(15.0)
            assert [(each.agent, each.why) for each in world.of(e.Withdraw)] == [("ann", "missed"), ("eve", "missed")]
        case "rejected":
            world.reject("eve")
        case "unreachable":
            world.tell(i.Unreachable(world.ringing["eve"].offer))
        case "caller left":
            world.tell(i.HangUp("c1"))
        case _:
            world.answer("ann")
    assert (world.at("eve"), world.agent("eve").reason) == ("paused", "lunch")
    assert world.agent("eve").until == world.now + 600.0 - 5.0
    world.check()


def test_who_misses_what_it_picks_up_is_asked_no_more_often_than_others() -> None:
    """Not responding after one: picked up out of that state, it is there again after the next."""
    world = World([queue("sales")], [agent("ann")], teams=[Team(name="t", misses=1)])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.wait(20.0)
    assert world.at("ann") == "not_responding"
    world.tell(i.PickUp("c1", "ann"))
    assert world.rings() == {"ann": "c1"}
    world.wait(20.0)
    assert world.at("ann") == "not_responding"
    world.tell(i.PickUp("c1", "ann"))
    world.serve("ann", 10.0)
    assert world.at("ann") == "ready"
    world.check()


def test_a_pick_up_is_no_turn_of_round_robin() -> None:
    names = ("ann", "bob", "eve")
    world = World([queue("sales", strategy="round_robin")], [agent(name) for name in names])
    world.sign_in("ann", "bob", "eve")
    world.call("c1", "sales")
    world.serve("ann", 10.0)
    world.tell(i.Pause("bob"))
    world.tell(i.Pause("eve"))
    world.tell(i.Pause("ann"))
    world.call("c2", "sales")
    world.tell(i.PickUp("c2", "eve"))
    world.serve("eve", 10.0)
    for name in names:
        world.tell(i.Ready(name))
    world.call("c3", "sales")
    assert world.rings() == {"bob": "c3"}
    world.check()


def test_who_interrupts_a_planned_pause_has_the_rest_of_it_afterwards() -> None:
    world = World([queue("sales")], [agent("ann")])
    world.sign_in("ann")
    world.tell(i.Pause("ann", "lunch", planned=600.0))
    world.call("c1", "sales")
    world.wait(200.0)
    world.tell(i.PickUp("c1", "ann"))
    world.answer("ann")
    world.wait(50.0)
    world.finish("ann")
    assert (world.at("ann"), world.agent("ann").until) == ("paused", world.now + 400.0)
    world.check()


def test_nobody_picks_up_what_is_no_caller_that_waits() -> None:
    world = World(
        [queue("sales", callback=CallbackRules()), queue("theirs", team="u")],
        [agent("ann"), agent("bob"), agent("eve", team="u")],
        teams=[Team(name="u")],
    )
    world.sign_in("ann")
    world.call("c1", "sales")
    told = "agent ann has contact c1, or is being offered it"
    assert world.refused(i.PickUp("c1", "ann")) == told, "it is to answer"
    world.answer("ann")
    world.call("c2", "sales")
    assert world.refused(i.PickUp("c2", "ann")) == told
    assert world.refused(i.PickUp("c2", "bob")) == "agent bob is not signed in"
    world.sign_in("eve")
    assert world.refused(i.PickUp("c2", "eve")) == "contact c2 is of team t, and agent eve is not"
    assert world.refused(i.PickUp("c1", "eve")) == "contact c1 waits in no queue"
    assert world.refused(i.PickUp("none", "eve")) == "there is no contact 'none', or it is over"
    world.tell(i.AskCallback("b1", "+491", "sales"))
    assert world.refused(i.PickUp("b1.1", "eve")) == "contact b1.1 is a callback: expected a caller who waits"
    world.check()


# ---- modes


def test_agents_of_mode_self_say_what_they_work_in() -> None:
    world = World(
        [queue("sales"), queue("out", direction="outbound")], [agent("ann", mode="self"), agent("bob", mode="both")]
    )
    world.sign_in("ann")
    world.call("c1", "out", kind="reservation")
    assert world.rings() == {}
    world.tell(i.SetMode("ann", "outbound"))
    assert world.rings() == {"ann": "c1"}
    world.sign_in("bob")
    assert world.refused(i.SetMode("bob", "inbound")) == "agent bob works both: expected one of work mode self"
    assert world.refused(i.SignIn("nobody", mode="both")) == "there is no agent 'nobody'"
    world.check()


def test_a_mode_at_sign_in_is_that_of_the_settings() -> None:
    world = World([queue("sales")], [agent("ann"), agent("bob", mode="self")])
    assert world.refused(i.SignIn("ann", mode="outbound")) == "agent ann works inbound: expected no other mode"
    world.tell(i.SignIn("bob", mode="outbound"))
    world.call("c1", "sales")
    assert world.rings() == {}


# ---- who may give orders


def test_administrators_give_orders_for_the_agents_of_their_groups() -> None:
    agents = [agent("ann", groups=("one",)), agent("bob"), agent("chief")]
    world = World([queue("sales")], agents, groups=[Group(name="one", team="t", administrators=("chief",))])
    world.tell(i.SignIn("ann", by="chief"))
    world.tell(i.Pause("ann", by="chief"))
    world.tell(i.Ready("ann", by="ann"))
    expected = "may not do that for agent {}: expected one of its administrators"
    assert world.refused(i.SignIn("bob", by="chief")) == f"'chief' {expected.format('bob')}"
    for order in (i.SignOut("ann", by="bob"), i.Pause("ann", by="bob"), i.SetMode("ann", "both", by="bob")):
        assert world.refused(order) == f"'bob' {expected.format('ann')}"
    world.tell(i.SignIn("bob"))
    assert [each.agent for each in world.of(f.SignedIn)] == ["bob"]


def test_nobody_takes_a_contact_of_another_team() -> None:
    world = World([queue("sales")], [agent("ann"), agent("eve", team="u")], teams=[Team(name="u")])
    world.sign_in("ann", "eve")
    world.call("c1", "sales")
    world.answer("ann")
    world.finish("ann", "blind_transfer")
    assert world.refused(i.Take("c1", "eve")) == "contact c1 is of team t, and agent eve is not"
