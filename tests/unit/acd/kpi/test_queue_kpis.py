"""Journals counted by hand: what became of the contacts of a queue. Times are seconds after nine."""

from __future__ import annotations

import pytest

from acd import facts as f
from acd import inputs as i
from acd.kpi.fold import Fold
from acd.kpi.policy import POLICIES, read
from acd.kpi.queue_kpis import USUAL, Policy, QueueKpis
from acd.kpi.report import Tally, report
from tests.unit.acd.kpi.floor import NINE, CallbackRules, Floor, Limit, WayOut, config, journal, tally_of


def of(floor: Floor, queue: str, policy: Policy = USUAL, until: float = 0.0) -> QueueKpis:
    found = floor.row("queue", queue, policy=policy, until=until).contacts
    assert found is not None
    return found


# ---- the worked example of the definitions


def worked_example() -> Tally:
    """A hundred calls, one a second, T = 20 s:

    70 answered after 20 s     A_T = 70     (20 s are within 20 s)
    12 answered after 25 s     A = 82
    10 abandoned after 15 s    B_T = 10, S = 0
     5 abandoned after 40 s    B = 15
     3 to voicemail after 60 s O = 3        N = 82 + 15 + 3 = 100
    """
    fates = [("answered", 20.0)] * 70 + [("answered", 25.0)] * 12 + [("abandoned", 15.0)] * 10
    fates += [("abandoned", 40.0)] * 5 + [("overflow", 60.0)] * 3
    facts: list[tuple[float, f.AnyFact]] = [(0.0, f.Configured(config(help={})))]
    for n, (how, wait) in enumerate(fates):
        came, name = float(n), f"c{n}"
        facts.append((came, f.Queued(name, "help", "call", "", NINE + came, NINE + came, NINE + came)))
        if how == "answered":
            facts.append((came + wait, f.Connected(name, "ann", 1, wait)))
        elif how == "abandoned":
            facts.append((came + wait, f.LeftQueue(name, "help", "abandoned", wait)))
        else:
            facts.append((came + wait, f.LeftQueue(name, "help", "overflow", wait, "voicemail", "box")))
        facts.append((came + wait, f.Ended(name)))
    return tally_of(journal(*sorted(facts, key=lambda each: each[0])))


@pytest.mark.parametrize(
    ("policy", "share", "shown"),
    [
        ("A_T/(N-S)", 70 / 100, "70.0 %"),
        ("(A_T+B_T)/N", 80 / 100, "80.0 %"),
        ("A_T/(N-B_T)", 70 / 90, "77.8 %"),
        ("A_T/A", 70 / 82, "85.4 %"),
        ("A_T/N", 70 / 100, "70.0 %"),
    ],
)
def test_the_worked_example_has_each_service_level_exactly(policy: str, share: float, shown: str) -> None:
    (row,) = report(worked_example(), "queue", "day", Policy(read(policy)))
    assert row.contacts is not None
    assert row.contacts.service_level == share
    assert f"{row.contacts.service_level:.1%}".replace("%", " %") == shown


def test_the_worked_example_has_its_counts_whatever_the_policy() -> None:
    for policy in POLICIES:
        (row,) = report(worked_example(), "queue", "day", Policy(policy))
        kpis = row.contacts
        assert kpis is not None
        assert (kpis.offered, kpis.answered, kpis.answered_within) == (100, 82, 70)
        assert (kpis.abandoned, kpis.abandoned_within, kpis.short_abandoned, kpis.out) == (15, 10, 0, 3)
        assert kpis.abandonment == 15 / 100
        assert kpis.asa == (70 * 20 + 12 * 25) / 82
        assert kpis.awt == (70 * 20 + 12 * 25 + 10 * 15 + 5 * 40 + 3 * 60) / 100
        assert kpis.longest_wait == 60
        assert kpis.connection_rate == 82 / 100


def test_another_threshold_is_applied_to_the_same_tally() -> None:
    tally = worked_example()
    for threshold, in_time in ((19.9, 0), (20.0, 70), (24.0, 70), (25.0, 82)):
        (row,) = report(tally, "queue", "day", Policy(threshold=threshold))
        assert row.contacts is not None
        assert (row.threshold, row.contacts.answered_within) == (threshold, in_time)


# ---- journals from the engine


def test_one_agent_three_callers() -> None:
    """
    c1 comes at 10, is answered at 14    wait  4   A, A_T
    c2 comes at 20, hangs up at 23       wait  3   B, S (less than 5)
    c3 comes at 30, is answered at 90    wait 60   A
    """
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    floor.at(10, i.Enqueue("c1", "help"))
    floor.answer(14, "ann")
    floor.at(20, i.Enqueue("c2", "help"))
    floor.at(23, i.HangUp("c2"))
    floor.at(30, i.Enqueue("c3", "help"))
    floor.at(74, i.Finish("c1", "ann"))
    floor.at(84, i.Ready("ann"))
    floor.answer(90, "ann")
    floor.at(150, i.Finish("c3", "ann"))

    kpis = of(floor, "help")
    assert (kpis.offered, kpis.answered, kpis.answered_within) == (3, 2, 1)
    assert (kpis.abandoned, kpis.abandoned_within, kpis.short_abandoned, kpis.out) == (1, 1, 1, 0)
    assert kpis.service_level == 1 / (3 - 1)
    assert of(floor, "help", Policy("A_T/A")).service_level == 1 / 2
    assert of(floor, "help", Policy("(A_T+B_T)/N")).service_level == (1 + 1) / 3
    assert of(floor, "help", Policy("A_T/(N-B_T)")).service_level == 1 / (3 - 1)
    assert of(floor, "help", Policy("A_T/N")).service_level == 1 / 3
    assert kpis.abandonment == 1 / 3
    assert kpis.abandonment_without_short == (1 - 1) / (3 - 1)
    assert kpis.asa == (4 + 60) / 2
    assert kpis.awt == (4 + 3 + 60) / 3
    assert kpis.longest_wait == 60
    assert (kpis.calls, kpis.connected, kpis.connection_rate) == (3, 2, 2 / 3)


def test_an_abandon_of_exactly_the_short_time_is_not_short() -> None:
    """Short is less than 5 s: c1 hangs up after 4.5 (short), c2 after 5 (not)."""
    floor = Floor()
    floor.at(0, i.Enqueue("c1", "help"), i.Enqueue("c2", "help"))
    floor.at(4.5, i.HangUp("c1"))
    floor.at(5, i.HangUp("c2"))
    kpis = of(floor, "help")
    assert (kpis.abandoned, kpis.short_abandoned) == (2, 1)
    assert kpis.abandonment_without_short == (2 - 1) / (2 - 1)


def test_overflow_into_another_queue_that_keeps_the_wait() -> None:
    """
    c1 comes into first at 10, flows over into second at 40, is answered there at 60.

    first:  N = 1, O = 1, wait 30
    second: N = 1, A = 1, wait 20 in this queue, 50 in all; within 20 s is the first, not the second
    call:   1, connected, counted for the queue that it came to
    """
    floor = Floor(
        first={"limits": (Limit(of="waited", to=WayOut(kind="queue", name="second"), value=30.0),)}, second={}
    )
    floor.at(10, i.Enqueue("c1", "first"))
    floor.at(55, i.SignIn("ann"))
    floor.answer(60, "ann")
    floor.at(90, i.Finish("c1", "ann"))

    first, second = of(floor, "first"), of(floor, "second")
    assert (first.offered, first.answered, first.abandoned, first.out) == (1, 0, 0, 1)
    assert first.out_by == {"overflow to queue": 1}
    assert (first.asa, first.awt) == (None, 30)
    assert (first.calls, first.connected, first.connection_rate) == (1, 1, 1)
    assert (second.offered, second.answered, second.out) == (1, 1, 0)
    assert (second.asa, second.service_level) == (20, 1)
    assert (second.calls, second.connected, second.connection_rate) == (0, 0, None)
    in_all = of(floor, "second", Policy(wait_from="total"))
    assert (in_all.asa, in_all.service_level, in_all.longest_wait) == (50, 0, 50)

    team = floor.row("team", "care").contacts
    assert team is not None
    assert (team.offered, team.answered, team.out, team.calls, team.connected) == (2, 1, 1, 1, 1)


def test_overflow_that_loses_the_wait() -> None:
    """The same, but the wait begins anew at 40: 20 s in all."""
    over = WayOut(kind="queue", name="second", keep_wait=False)
    floor = Floor(first={"limits": (Limit(of="waited", to=over, value=30.0),)}, second={})
    floor.at(10, i.Enqueue("c1", "first"))
    floor.at(55, i.SignIn("ann"))
    floor.answer(60, "ann")
    assert of(floor, "second", Policy(wait_from="total")).asa == 20


def test_every_way_out_of_a_queue_is_no_abandon() -> None:
    """
    c1 comes at  0: nobody is signed in, to voicemail   O, wait  0
    c2 comes at 10: presses 1 at 18                     O, wait  8
    c3 comes at 20: wants to be called back at 50       O, wait 30; the callback is cancelled at 60
    c4 comes at 70: the queue is removed at 100         O, wait 30
    """
    help_queue = {
        "limits": (Limit(of="no_agents", to=WayOut(kind="voicemail", name="box")),),
        "exits": {"1": WayOut(kind="number", name="100")},
        "callback": CallbackRules(),
    }
    floor = Floor(help=help_queue)
    floor.at(0, i.Enqueue("c1", "help"))
    floor.at(5, i.SignIn("ann"), i.Pause("ann"))
    floor.at(10, i.Enqueue("c2", "help"))
    floor.at(18, i.PressKey("c2", "1"))
    floor.at(20, i.Enqueue("c3", "help"))
    floor.at(50, i.AskCallback("b1", "555", contact="c3"))
    floor.at(60, i.CancelCallback("b1"))
    floor.at(70, i.Enqueue("c4", "help"))
    floor.at(100, i.Configure(config(other={})))

    kpis = of(floor, "help")
    assert (kpis.offered, kpis.answered, kpis.abandoned, kpis.out) == (4, 0, 0, 4)
    assert kpis.out_by == {
        "callback to callback": 1,
        "exit to number": 1,
        "refused to voicemail": 1,
        "removed to hangup": 1,
    }
    assert (kpis.service_level, kpis.abandonment, kpis.asa) == (0, 0, None)
    assert kpis.awt == (0 + 8 + 30 + 30) / 4
    assert (kpis.callbacks_asked, kpis.callbacks_cancelled, kpis.callback_attempts) == (1, 1, 0)
    assert (kpis.calls, kpis.connected) == (4, 0)


def test_callbacks_are_counted_apart_and_never_offered_again() -> None:
    """
    c1 comes at 0, wants to be called at 30             O
    ann signs in at 60; the callback is offered, she answers at 65; the customer is busy at 75
    again due 300 s later: offered at 375, answered at 380; the customer answers at 390
    b2 is asked for without a call at 500: ann answers at 510, number not in service at 520, given up
    """
    floor = Floor(help={"callback": CallbackRules(retry={"busy": 300.0})})
    floor.at(0, i.Enqueue("c1", "help", "555"))
    floor.at(30, i.AskCallback("b1", "555", contact="c1"))
    floor.at(60, i.SignIn("ann"))
    floor.answer(65, "ann")
    floor.at(75, i.CustomerCalled("b1", "busy"))
    floor.at(375)
    floor.answer(380, "ann")
    floor.at(390, i.CustomerCalled("b1", "answered"))
    floor.at(450, i.Finish("b1.2", "ann"), i.Ready("ann"))
    floor.at(500, i.AskCallback("b2", "666", "help"))
    floor.answer(510, "ann")
    floor.at(520, i.CustomerCalled("b2", "failed"))

    kpis = of(floor, "help")
    assert (kpis.offered, kpis.answered, kpis.abandoned, kpis.out) == (1, 0, 0, 1)
    assert (kpis.calls, kpis.connected) == (1, 0)
    assert (kpis.callbacks_asked, kpis.callback_attempts, kpis.callbacks_reached) == (2, 3, 1)
    assert kpis.callback_outcomes == {"busy": 1, "failed": 1}
    assert (kpis.callbacks_given_up, kpis.callbacks_cancelled) == (1, 0)


def test_who_still_waits_is_in_no_count_but_in_the_waits() -> None:
    """
    c1 comes at  0, is answered at 10     wait 10
    c2 comes at 20, waits until 80        wait 60 so far
    """
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(20, i.Enqueue("c2", "help"))
    kpis = of(floor, "help", until=80)
    assert (kpis.offered, kpis.answered, kpis.waiting) == (1, 1, 1)
    assert (kpis.asa, kpis.awt, kpis.longest_wait) == (10, (10 + 60) / 2, 60)


def test_what_a_contact_has_waited_elsewhere_counts_in_the_total_alone() -> None:
    """
    All come at 09:15:00 and bring 100 s along: c1 hangs up after 4 s, c2 presses 1 after 10, c3 waits still after 20

    of the interval at 09:15, not of that in which the wait began; entry 4, 10, 20; total 104, 110, 120
    c1 is short by its wait in this queue, not by the total
    """
    floor = Floor(help={"exits": {"1": WayOut(kind="number", name="100")}})
    floor.at(900, *(i.Enqueue(f"c{n}", "help", waited=100.0) for n in (1, 2, 3)))
    floor.at(904, i.HangUp("c1"))
    floor.at(910, i.PressKey("c2", "1"))
    (row,) = floor.rows("queue", "15m", until=920)
    assert row.start == NINE + 900
    kpis = row.contacts
    assert kpis is not None
    assert (kpis.awt, kpis.longest_wait, kpis.short_abandoned, kpis.abandoned_within) == (34 / 3, 20, 1, 1)
    (row,) = floor.rows("queue", "15m", Policy(wait_from="total"), until=920)
    kpis = row.contacts
    assert kpis is not None
    assert (kpis.awt, kpis.longest_wait, kpis.short_abandoned, kpis.abandoned_within) == (334 / 3, 120, 0, 0)
    assert kpis.calls == 2


def test_contacts_count_in_the_interval_in_which_they_came() -> None:
    """
    c1 comes at 09:14:50, is answered at 09:15:20: wait 30, of the interval at 09:00
    c2 comes at 09:15:00, hangs up at 09:15:12:    wait 12, of that at 09:15
    """
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    floor.at(890, i.Enqueue("c1", "help"))
    floor.at(900, i.Enqueue("c2", "help"))
    floor.at(912, i.HangUp("c2"))
    floor.answer(920, "ann")
    first, second = (row for row in floor.rows("queue", "15m"))
    assert (first.start - NINE, first.end - NINE, second.start - NINE) == (0, 900, 900)
    assert first.contacts is not None
    assert second.contacts is not None
    assert (first.contacts.offered, first.contacts.answered, first.contacts.asa) == (1, 1, 30)
    assert (second.contacts.offered, second.contacts.abandoned, second.contacts.longest_wait) == (1, 1, 12)
    (hour,) = floor.rows("queue", "60m")
    assert hour.contacts is not None
    assert (hour.contacts.offered, hour.contacts.awt) == (2, (30 + 12) / 2)


def test_each_queue_of_a_team_has_its_own_threshold() -> None:
    """
    Both answer after 15 s: slow asks for 20 (in time), fast for 10 (late). Team: 1 of 2. With --threshold 15: 2 of 2.
    """
    floor = Floor(slow={}, fast={"target_seconds": 10.0})
    floor.at(0, i.SignIn("ann"), i.SignIn("bob"), i.Enqueue("c1", "slow"), i.Enqueue("c2", "fast"))
    floor.answer(15, "ann")
    floor.answer(15, "bob")
    row = floor.row("team", "care")
    assert row.contacts is not None
    assert (row.threshold, row.contacts.service_level) == (None, 1 / 2)
    row = floor.row("team", "care", policy=Policy(threshold=15.0))
    assert row.contacts is not None
    assert (row.threshold, row.contacts.service_level) == (15, 1)


def test_a_journal_without_its_beginning_leaves_out_what_it_does_not_know() -> None:
    """c1 came before the cut: it is not offered, nor does it do any harm. c2 came after: N = 1, A = 1, wait 10."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.SignIn("bob"), i.Enqueue("c1", "help"))
    cut = len(floor.records)
    floor.at(20, i.Enqueue("c2", "help"))
    floor.answer(25, "ann")
    floor.answer(30, "bob")
    floor.at(60, i.Finish("c1", "ann"), i.Finish("c2", "bob"))
    tally = Tally(Fold())
    for record in floor.records[cut:]:
        tally.add(record)
    (row,) = [row for row in report(tally, "queue", "day") if row.name == "help"]
    assert row.contacts is not None
    assert (row.contacts.offered, row.contacts.answered, row.contacts.asa) == (1, 1, 10)
    assert tally.fold.unknown > 0
