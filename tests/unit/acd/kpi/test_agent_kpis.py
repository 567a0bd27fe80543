"""Journals counted by hand: what agents did. Times are seconds after nine."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from acd import inputs as i
from acd.kpi.agent_kpis import CAP, AgentKpis, Weight, scores
from acd.kpi.fold import Fold
from acd.kpi.handle_kpis import HandleKpis
from tests.unit.acd.kpi.floor import NINE, CallbackRules, Floor, WrapUp, config, two_calls


class Figures(NamedTuple):
    handles: HandleKpis
    time: AgentKpis


def agent(floor: Floor, name: str, until: float = 0.0) -> Figures:
    row = floor.row("agent", name, until=until)
    assert row.handles is not None
    assert row.time is not None
    return Figures(row.handles, row.time)


def queue(floor: Floor, name: str, fold: Fold | None = None) -> HandleKpis:
    row = floor.row("queue", name, fold=fold)
    assert row.handles is not None
    return row.handles


def test_handling_times_and_occupancy_of_one_agent() -> None:
    """
    ann is ready at 0
    c1 rings 10 to 14, talk 14 to 74 (60), wrap-up 74 to 84 (10)
    c2 rings 84 to 90, talk 90 to 100, hold 100 to 120, consults 120 to 125, talk 125 to 150, no wrap-up
    looked at 200

    talk 60 + (10 + 25) = 95, hold 20 + 5 = 25, ACW 10 + 0 = 10, handled 2
    handling 70 + 60 = 130, idle 200 - 130 = 70, of it ringing 4 + 6 = 10
    """
    floor = two_calls()

    handles, time = agent(floor, "ann", until=200)
    assert (handles.handled, handles.handled_answers, handles.handled_outbound) == (2, 2, 0)
    assert (handles.talk, handles.hold, handles.consult, handles.acw) == (95 / 2, 25 / 2, 5 / 2, 10 / 2)
    assert handles.aht == (95 + 25 + 10) / 2
    assert (time.signed_in, time.handling, time.idle, time.ringing, time.wrapping_up) == (200, 130, 70, 10, 10)
    assert (time.occupancy, time.utilisation) == (130 / 200, 1)
    assert (time.offers, time.accepted) == (2, 2)
    assert queue(floor, "help").aht == handles.aht


def test_each_agent_of_a_transfer_has_a_handle_and_the_queues_choice_an_answer() -> None:
    """
    c1: ann answers at 10, consults 40 to 50, transfers to bob at 50 (consult); wrap-up until 55
        bob takes it at 50, transfers it away at 80 (blind), wrap-up until 90; the customer leaves the switch at 80
    c2: ann answers at 110, puts it into second at 130 (to queue), ready at once
        bob answers there at 140, hangs up at 160, ready at once

    ann: 2 handles, 2 answers; talk 30 + 20, consult 10, ACW 5 + 0; transferred 2: consult 1, to queue 1
    bob: 2 handles, 1 answer;  talk 30 + 20, ACW 10 + 0;            transferred 1: blind 1
    help: ann's two and bob's first; second: bob's second
    help: N = 2, A = 2; second: N = 1, A = 1; calls 2, connected 2
    """
    floor = Floor(help={}, second={})
    floor.at(0, i.SignIn("ann"), i.SignIn("bob"), i.Pause("bob"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(40, i.Consult("c1", "ann", True))
    floor.at(50, i.Finish("c1", "ann", "attended_transfer"), i.Take("c1", "bob"))
    floor.at(55, i.Ready("ann"))
    floor.at(80, i.Finish("c1", "bob", "blind_transfer"), i.HangUp("c1"))
    floor.at(90, i.Pause("bob"))
    floor.at(100, i.Enqueue("c2", "help"))
    floor.answer(110, "ann")
    floor.at(120, i.Ready("bob"))
    floor.at(130, i.Finish("c2", "ann", "queue_transfer"), i.Enqueue("c2", "second"), i.Ready("ann"))
    floor.answer(140, "bob")
    floor.at(160, i.Finish("c2", "bob"), i.Ready("bob"))

    ann, bob = agent(floor, "ann").handles, agent(floor, "bob").handles
    assert (ann.handled, ann.handled_answers, bob.handled, bob.handled_answers) == (2, 2, 2, 1)
    assert (ann.talk, ann.consult, ann.hold, ann.acw, ann.aht) == (50 / 2, 10 / 2, 10 / 2, 5 / 2, 65 / 2)
    assert (bob.talk, bob.acw, bob.aht) == (50 / 2, 10 / 2, 60 / 2)
    assert (ann.transferred, ann.transfer_rate, ann.blind_rate) == (2, 1, 0)
    assert (ann.consult_rate, ann.to_queue_rate) == (1 / 2, 1 / 2)
    assert (bob.transferred, bob.transfer_rate, bob.blind_rate, bob.consult_rate) == (1, 1 / 2, 1 / 2, 0)
    first, second = queue(floor, "help"), queue(floor, "second")
    assert (first.handled, first.handled_answers, first.transfer_rate) == (3, 2, 1)
    assert (second.handled, second.handled_answers, second.transferred) == (1, 1, 0)
    team = floor.row("team", "care")
    assert team.handles is not None
    assert team.contacts is not None
    assert (team.handles.handled, team.handles.handled_answers, team.handles.transfer_rate) == (4, 3, 3 / 4)
    assert (team.contacts.offered, team.contacts.answered, team.contacts.calls, team.contacts.connected) == (3, 3, 2, 2)


def test_aht_is_booked_where_wrap_up_ends_and_time_where_it_passes() -> None:
    """
    ann: ready at 0; c1 rings at 800 and is answered at once, talk 800 to 880, wrap-up 880 to 920; looked at 1800

    09:00 no handle; handling 100 (800 to 900), idle 800; occupancy 100/900
    09:15 1 handle, AHT 80 + 40 = 120, ACW 40; handling 20 (900 to 920), idle 880
    """
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    floor.at(800, i.Enqueue("c1", "help"))
    floor.answer(800, "ann")
    floor.at(880, i.Finish("c1", "ann"))
    floor.at(920, i.Ready("ann"))
    first, second = floor.rows("agent", "15m", until=1800)
    assert first.handles is not None
    assert first.time is not None
    assert second.handles is not None
    assert second.time is not None
    assert (first.handles.handled, first.handles.aht) == (0, None)
    assert (second.handles.handled, second.handles.aht, second.handles.acw) == (1, 120, 40)
    assert (first.time.handling, first.time.idle, first.time.occupancy) == (100, 800, 100 / 900)
    assert (second.time.handling, second.time.idle, second.time.occupancy) == (20, 880, 20 / 900)


def test_pauses_by_reason_and_what_is_neither_handling_nor_idle() -> None:
    """
    ann: ready 0 to 100, paused lunch 100 to 400, paused without a reason 400 to 450, ready 450 to 500,
         direct call 500 to 560, ready 560 to 600, telephone gone 600 to 700, signed out at 700

    idle 100 + 50 + 40 = 190, paused 350, direct 60, offline 100, signed in 700
    """
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    floor.at(100, i.Pause("ann", "lunch"))
    floor.at(400, i.Pause("ann"))
    floor.at(450, i.Ready("ann"))
    floor.at(500, i.DirectCall("ann", True))
    floor.at(560, i.DirectCall("ann", False))
    floor.at(600, i.Reachable("ext:ann", False))
    floor.at(700, i.SignOut("ann"))
    time = agent(floor, "ann", until=900).time
    assert (time.signed_in, time.handling, time.idle) == (700, 0, 190)
    assert (time.paused, time.pauses) == (350, {"": 50, "lunch": 300})
    assert (time.direct, time.offline, time.not_responding) == (60, 100, 0)
    assert (time.occupancy, time.utilisation) == (0, 190 / 700)


def test_offers_that_came_to_nothing_and_the_wrap_up_after_them() -> None:
    """
    ring mode, 10 s: ann wraps up after each offer, taken or not
    c1 rings 0 to 8, rejected: wrap-up 8 to 18;  ready 18 to 20
    c2 rings 20 to 50, missed: wrap-up 50 to 60
    c3 rings 60 to 65, the caller is gone: wrap-up 65 to 75 (c3: abandoned after 5 s)
    looked at 80

    no handle, so no AHT; offers 3; handling 30 (all of it wrap-up), ringing 8 + 30 + 5 = 43, idle 43 + 2 + 5 = 50
    """
    floor = Floor(help={"wrap_up": WrapUp(after="ring", seconds=10.0), "ring_seconds": 30.0})
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help"))
    floor.reject(8, "ann")
    floor.at(15, i.HangUp("c1"))
    floor.at(20, i.Enqueue("c2", "help"))
    floor.at(55, i.HangUp("c2"))
    floor.at(60, i.Enqueue("c3", "help"))
    floor.at(65, i.HangUp("c3"))
    floor.at(75)
    handles, time = agent(floor, "ann", until=80)
    assert (handles.handled, handles.aht, handles.acw) == (0, None, None)
    assert (time.offers, time.accepted, time.rejected, time.missed, time.withdrawn) == (3, 0, 1, 1, 1)
    assert (time.handling, time.wrapping_up, time.ringing, time.idle) == (30, 30, 43, 50)
    assert time.occupancy == 30 / 80


def test_dialling_is_in_the_aht_of_a_callback_and_nobody_reached_is_no_handle() -> None:
    """
    b1: offered at 0, ann answers at 5, customer busy at 15: dialling 10, no handle
    again due at 315: ann answers at 320, customer answers at 330 (dialling 10), talk 330 to 390, wrap-up until 400
    ann was ready 15 to 315

    handled 1, outbound 1, an answer (the queue has brought it); AHT 10 + 60 + 10 = 80
    unreached 1, dialling 10; handling 10 + 80 = 90; idle 5 + 300 + 5 = 310
    """
    floor = Floor(help={"callback": CallbackRules(retry={"busy": 300.0})})
    floor.at(0, i.SignIn("ann"), i.AskCallback("b1", "555", "help"))
    floor.answer(5, "ann")
    floor.at(15, i.CustomerCalled("b1", "busy"))
    floor.at(315)
    floor.answer(320, "ann")
    floor.at(330, i.CustomerCalled("b1", "answered"))
    floor.at(390, i.Finish("b1.2", "ann"))
    floor.at(400, i.Ready("ann"))
    handles, time = agent(floor, "ann")
    assert (handles.handled, handles.handled_answers, handles.handled_outbound) == (1, 1, 1)
    assert (handles.talk, handles.dialling, handles.acw, handles.aht) == (60, 10, 10, 80)
    assert (handles.unreached, handles.unreached_dialling) == (1, 10)
    assert (time.handling, time.idle, time.occupancy) == (90, 310, 90 / 400)


def test_a_callback_whose_customer_is_called_first_has_no_dialling() -> None:
    """ann is kept from 0, the customer answers at 14, ann is rung and answers at 20, talk until 50, ready at once."""
    floor = Floor(help={"callback": CallbackRules(first="customer")})
    floor.at(0, i.SignIn("ann"), i.AskCallback("b1", "555", "help"))
    floor.at(14, i.CustomerCalled("b1", "answered"))
    floor.answer(20, "ann")
    floor.at(50, i.Finish("b1.1", "ann"), i.Ready("ann"))
    handles, time = agent(floor, "ann")
    assert (handles.handled, handles.dialling, handles.talk, handles.aht, handles.unreached) == (1, 0, 30, 30, 0)
    assert (time.ringing, time.handling) == (20, 30)


DAY = 86_400


def first_contact_floor() -> Floor:
    """
    c1 of 555: ann, over on day 0
    c2 of 666: ann, over on day 0
    c3 of 555: ann, over on day 2: c1 was not enough
    c4 of nobody: counts in nothing
    c5 of 666: abandoned on day 7 and an hour: more than 7 days after c2
    c6 of 555: abandoned on day 8: c3 was not enough
    """
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    for second, name, number in (
        (10, "c1", "555"),
        (100, "c2", "666"),
        (2 * DAY, "c3", "555"),
        (3 * DAY, "c4", ""),
    ):
        floor.at(second, i.Enqueue(name, "help", number))
        floor.answer(second, "ann")
        floor.at(second + 20, i.Finish(name, "ann"), i.Ready("ann"))
    floor.at(4 * DAY, i.Pause("ann"))
    for second, name, number in ((7 * DAY + 3600, "c5", "666"), (8 * DAY, "c6", "555")):
        floor.at(second, i.Enqueue(name, "help", number))
        floor.at(second + 30, i.HangUp(name))
    return floor


@pytest.mark.parametrize(("window", "first_day"), [(7 * DAY, 1 / 2), (8 * DAY, 0 / 2), (1 * DAY, 2 / 2)])
def test_first_contact_resolution_is_of_numbers_that_come_again(window: float, first_day: float) -> None:
    """Day 0 has c1 and c2: in 7 days 555 comes again, in 8 days 666, too, in a day nobody."""
    floor = first_contact_floor()
    days = [row.handles for row in floor.rows("queue", fold=Fold(fcr_window=window)) if row.handles is not None]
    assert (days[0].fcr_contacts, days[0].fcr) == (2, first_day)


def test_first_contact_resolution_is_booked_where_the_contact_ended() -> None:
    """c3 on day 2, after which 555 came again; c4 has no number; on the last days nobody was handled."""
    handles = [row.handles for row in first_contact_floor().rows("queue")]
    assert [(each.handled, each.fcr_contacts, each.fcr) for each in handles if each is not None] == [
        (2, 2, 1 / 2),
        (1, 1, 0),
        (1, 0, None),
        (0, 0, None),
        (0, 0, None),
    ]


def test_a_transferred_contact_is_one_contact_of_who_had_it_last() -> None:
    """c1 of 555 goes from ann to bob, who ends it; 555 comes again: one contact, bob's, not solved."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help", "555"))
    floor.answer(10, "ann")
    floor.at(15, i.SignIn("bob"))
    floor.at(30, i.Finish("c1", "ann", "attended_transfer"), i.Take("c1", "bob"))
    floor.at(60, i.Finish("c1", "bob"))
    floor.at(90, i.Enqueue("c2", "help", "555"))
    ann, bob = agent(floor, "ann").handles, agent(floor, "bob").handles
    assert (ann.handled, ann.fcr_contacts, ann.fcr) == (0, 0, None)  # still in wrap-up
    assert (bob.fcr_contacts, bob.fcr) == (1, 0)


def test_who_had_a_contact_last_had_it_in_the_queue_that_brought_it() -> None:
    """ann has c1 of help and puts it into second, where the customer hangs up: one contact of help, none of second."""
    floor = Floor(help={}, second={})
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help", "555"))
    floor.answer(10, "ann")
    floor.at(30, i.Finish("c1", "ann", "queue_transfer"), i.Enqueue("c1", "second"))
    floor.at(40, i.HangUp("c1"), i.Ready("ann"))
    assert (queue(floor, "help").fcr_contacts, queue(floor, "second").fcr_contacts) == (1, 0)
    contacts = floor.row("queue", "help").contacts
    assert contacts is not None
    assert (contacts.calls, contacts.connected) == (1, 1)


def test_teams_see_nothing_of_each_other() -> None:
    """
    care: c1 of 555, ann, wait 10; shop: c2 of 555 later, cid, wait 20: for shop the first contact, for care no further
    """
    floor = Floor(help={}, buy={"team": "shop"})
    floor.at(0, i.SignIn("ann"), i.SignIn("cid"), i.Enqueue("c1", "help", "555"))
    floor.answer(10, "ann")
    floor.at(30, i.Finish("c1", "ann"), i.Ready("ann"))
    floor.at(40, i.Enqueue("c2", "buy", "555"))
    floor.answer(60, "cid")
    floor.at(100, i.Finish("c2", "cid"), i.Ready("cid"))
    care, shop = floor.rows("team")
    assert care.contacts is not None
    assert shop.contacts is not None
    assert care.handles is not None
    assert shop.handles is not None
    assert (care.name, care.contacts.offered, care.contacts.asa, care.handles.talk) == ("care", 1, 10, 20)
    assert (shop.name, shop.contacts.offered, shop.contacts.asa, shop.handles.talk) == ("shop", 1, 20, 40)
    assert (care.handles.fcr, shop.handles.fcr) == (1, 1)
    assert [(row.team, row.name) for row in floor.rows("agent")] == [("care", "ann"), ("shop", "cid")]
    assert [(row.team, row.name) for row in floor.rows("queue")] == [("care", "help"), ("shop", "buy")]


# ---- the score


def test_a_score_of_100_is_the_mean_of_the_group() -> None:
    """handled 30 and 10, mean 20: 1.5 and 0.5; aht 100 and 300, mean 200: 2 and 2/3; equal weights."""
    weights = {"handled": Weight(1.0), "aht": Weight(1.0, lower=True)}
    found = scores({"ann": {"handled": 30, "aht": 100.0}, "bob": {"handled": 10, "aht": 300.0}}, weights)
    assert found == {"ann": 100 * (1.5 + 2) / 2, "bob": pytest.approx(100 * (0.5 + 2 / 3) / 2)}


def test_scores_are_of_one_team_in_one_interval() -> None:
    """
    care: ann handles 2, bob none, both with what offers they had taken. Mean of handled 1: ann 2, bob 0
    ann's aht is the mean: 1; nobody missed any: 1; bob had no offer. cid is alone in shop: the mean of itself.
    ann: (2 + 1 + 1) / 3, bob: 0, cid: handled 0 of a mean of 0: 1
    """
    floor = Floor(help={}, buy={"team": "shop"})
    floor.at(0, i.SignIn("ann"), i.SignIn("cid"))
    for start in (10, 50):
        floor.at(start, i.Enqueue(f"c{start}", "help"))
        floor.answer(start, "ann")
        floor.at(start + 20, i.Finish(f"c{start}", "ann"), i.Ready("ann"))
    floor.at(80, i.SignIn("bob"))
    rows = floor.rows("agent", until=100)
    assert [(row.name, row.score) for row in rows] == [("ann", 100 * (2 + 1 + 1) / 3), ("bob", 0), ("cid", 100)]
    assert all(row.score is None for row in floor.rows("team"))


def test_a_score_is_of_the_share_of_offers_that_were_missed() -> None:
    """
    ann handles 3 and misses 1 of 4 offers, bob misses his only one. Mean of handled 1.5: ann 2, bob 0; of aht: ann's;
    of the shares 1/4 and 1: 5/8, that by ann's is more than 2, by bob's 5/8
    """
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    for start in (10, 50, 90):
        floor.at(start, i.Enqueue(f"c{start}", "help"))
        floor.answer(start, "ann")
        floor.at(start + 20, i.Finish(f"c{start}", "ann"), i.Ready("ann"))
    floor.at(200, i.Enqueue("c200", "help"))
    floor.at(510, i.SignIn("bob"))
    floor.at(815, i.HangUp("c200"))
    rows = floor.rows("agent", until=850)
    assert [(row.name, row.score) for row in rows] == [("ann", 100 * (2 + 1 + 2) / 3), ("bob", 100 * (0 + 5 / 8) / 2)]


def test_a_score_leaves_out_what_an_agent_has_no_figure_for_and_caps_the_rest() -> None:
    """missed 0 of a mean of 5: the cap; aht None: left out. All alike: 100."""
    weights = {"missed": Weight(3.0, lower=True), "aht": Weight(1.0, lower=True)}
    assert scores({"ann": {"missed": 0, "aht": None}, "bob": {"missed": 10, "aht": 50.0}}, weights) == {
        "ann": 100 * CAP,
        "bob": 100 * (3 * 0.5 + 1) / 4,
    }
    assert scores({"ann": {"missed": 0}, "bob": {"missed": 0}}, weights) == {"ann": 100, "bob": 100}
    assert scores({"ann": {}}, weights) == {"ann": None}


# ---- what is rare


def test_a_picked_up_call_is_a_handle_of_no_queue() -> None:
    """ann takes c1 at 10, which no queue has brought, talks until 40, wraps up 30 s, as is usual."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    floor.at(10, i.Take("c1", "ann"))
    floor.at(40, i.Finish("c1", "ann"))
    floor.at(70)
    handles = agent(floor, "ann", until=100).handles
    assert (handles.handled, handles.handled_answers, handles.talk, handles.acw, handles.unreached) == (1, 0, 30, 30, 0)
    fold = Fold()
    assert queue(floor, "", fold).handled == 1
    assert fold.unknown == 0
    contacts = floor.row("queue", "").contacts
    assert contacts is not None
    assert (contacts.offered, contacts.calls) == (0, 0)


def test_a_call_that_is_picked_up_out_of_its_queue_is_an_answer_of_it() -> None:
    """ann's telephone rings for c1 from 0 on; bob, who has a break, picks it up at 12, talks to 40, wraps up to 50."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.SignIn("bob"), i.Pause("bob"), i.Enqueue("c1", "help"))
    floor.at(12, i.PickUp("c1", "bob"))
    floor.answer(12, "bob")
    floor.at(40, i.Finish("c1", "bob"))
    floor.at(50, i.Ready("bob"))
    handles = agent(floor, "bob", until=100).handles
    assert (handles.handled, handles.handled_answers, handles.talk, handles.acw) == (1, 1, 28, 10)
    contacts = floor.row("queue", "help").contacts
    assert contacts is not None
    assert (contacts.offered, contacts.answered, contacts.asa, contacts.abandoned) == (1, 1, 12, 0)


def test_a_callback_that_is_transferred_is_a_handle_of_both() -> None:
    """ann dials 5 to 15, talks 15 to 35, transfers; bob has it 35 to 65, and no dialling: the customer was there."""
    floor = Floor(help={"callback": CallbackRules()})
    floor.at(0, i.SignIn("ann"), i.AskCallback("b1", "555", "help"))
    floor.answer(5, "ann")
    floor.at(15, i.CustomerCalled("b1", "answered"), i.SignIn("bob"))
    floor.at(35, i.Finish("b1.1", "ann", "attended_transfer"), i.Ready("ann"), i.Take("b1.1", "bob"))
    floor.at(65, i.Finish("b1.1", "bob"), i.Ready("bob"))
    ann, bob = agent(floor, "ann").handles, agent(floor, "bob").handles
    assert (ann.handled, ann.dialling, ann.talk, ann.consult_rate) == (1, 10, 20, 1)
    assert (bob.handled, bob.dialling, bob.talk, bob.unreached, bob.handled_answers) == (1, 0, 30, 0, 0)


def test_holding_and_consulting_before_the_customer_answers_is_dialling() -> None:
    """ann dials 0 to 20, on hold 5 to 10 and consulting 10 to 17 of it, talks 20 to 50."""
    floor = Floor(help={"callback": CallbackRules()})
    floor.at(0, i.SignIn("ann"), i.AskCallback("b1", "555", "help"))
    floor.answer(0, "ann")
    floor.at(5, i.Hold("b1.1", "ann", True))
    floor.at(10, i.Consult("b1.1", "ann", True))
    floor.at(17, i.Consult("b1.1", "ann", False))
    floor.at(20, i.CustomerCalled("b1", "answered"))
    floor.at(50, i.Finish("b1.1", "ann"), i.Ready("ann"))
    handles = agent(floor, "ann").handles
    assert (handles.dialling, handles.talk, handles.hold, handles.consult, handles.aht) == (20, 30, 0, 0, 50)


def test_a_contact_that_comes_back_is_another_handle() -> None:
    """c1 goes from ann (talk 10 to 30) to bob (30 to 40) and back to ann, in her wrap-up (10 s), until 70."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(15, i.SignIn("bob"))
    floor.at(30, i.Finish("c1", "ann", "blind_transfer"), i.Take("c1", "bob"))
    floor.at(40, i.Finish("c1", "bob", "blind_transfer"), i.Take("c1", "ann"))
    floor.at(70, i.Finish("c1", "ann"), i.Ready("ann"), i.Ready("bob"))
    ann = agent(floor, "ann").handles
    assert (ann.handled, ann.handled_answers, ann.talk, ann.acw) == (2, 1, (20 + 30) / 2, 10 / 2)
    assert (ann.transferred, agent(floor, "bob").handles.transferred) == (1, 1)
    assert agent(floor, "ann").time.accepted == 1


def test_a_reservation_is_outbound_and_offered_to_no_queue() -> None:
    """ann is kept from 0, rung from 15 on, has the call from 20 to 50."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help", "555", kind="reservation"))
    floor.at(15, i.Answered("c1"))
    floor.answer(20, "ann")
    floor.at(50, i.Finish("c1", "ann"), i.Ready("ann"))
    handles = agent(floor, "ann").handles
    assert (handles.handled, handles.handled_outbound, handles.talk, handles.dialling) == (1, 1, 30, 0)
    contacts = floor.row("queue", "help").contacts
    assert contacts is not None
    assert (contacts.offered, contacts.answered, contacts.calls) == (0, 0, 0)


def test_a_contact_taken_in_wrap_up_ends_it() -> None:
    """ann is taken out of her wrap-up at 50 by a transfer of bob's: c1 has talk 20, ACW 20; c2 has talk 30."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.SignIn("bob"), i.Enqueue("c1", "help"), i.Enqueue("c2", "help"))
    floor.answer(10, "ann")
    floor.answer(10, "bob")
    floor.at(30, i.Finish("c1", "ann"))
    floor.at(50, i.Finish("c2", "bob", "attended_transfer"), i.Take("c2", "ann"))
    floor.at(80, i.Finish("c2", "ann"), i.Ready("ann"))
    handles = agent(floor, "ann").handles
    assert (handles.handled, handles.talk, handles.acw) == (2, (20 + 30) / 2, 20 / 2)


def test_an_agent_who_changes_teams_takes_none_of_its_past_along() -> None:
    """ann is ready 0 to 100 in care, from then until 160 in shop."""
    floor = Floor(help={}, buy={"team": "shop"})
    floor.at(0, i.SignIn("ann"))
    rules = config(help={}, buy={"team": "shop"})
    moved = msgspec.structs.replace(rules.agents["ann"], team="shop")
    floor.at(100, i.Configure(msgspec.structs.replace(rules, agents=rules.agents | {"ann": moved})))
    rows = floor.rows("agent", until=160)
    assert [(row.team, row.name, row.time.idle) for row in rows if row.time] == [
        ("care", "ann", 100),
        ("shop", "ann", 60),
    ]


def test_no_more_customers_are_watched_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for two: with the third contact the first is forgotten, and 555 may come again."""
    monkeypatch.setattr("acd.kpi.fold.MAX_CUSTOMERS", 2)
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    for n, number in enumerate(("555", "666", "777", "666", "555")):
        floor.at(100 * n, i.Enqueue(f"c{n}", "help", number))
        floor.answer(100 * n, "ann")
        floor.at(100 * n + 50, i.Finish(f"c{n}", "ann"), i.Ready("ann"))
    fold = Fold()
    handles = queue(floor, "help", fold)
    assert (handles.fcr_contacts, handles.fcr) == (5, 4 / 5)
    assert len(fold.watched) == len(fold.customers) == 2


def test_customers_are_forgotten_when_their_window_is_over() -> None:
    """On day 2 the window of c2 (666) is over, and c3 (555) is watched instead of c1."""
    fold = Fold(fcr_window=1.5 * DAY)
    for record in first_contact_floor().records:
        if record.time < NINE + 3 * DAY:
            fold.apply(record)
    assert [seen.number for seen in fold.watched.values()] == ["555"]
    assert list(fold.customers) == [("care", "555")]
