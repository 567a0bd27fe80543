"""What is so now, and lately. Times are seconds after nine."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from acd import inputs as i
from acd.kpi.live import MINUTES_KEPT, SLOTS_KEPT, AgentsNow, Live, LiveSnapshot, QueueNow
from acd.kpi.queue_kpis import USUAL, Policy, QueueKpis
from acd.shape import shape
from tests.unit.acd.kpi.floor import NINE, CallbackRules, Floor

HOUR = 3600


def live_of(floor: Floor) -> Live:
    live = Live()
    for record in floor.records:
        live.add(record)
    return live


def contacts(live: Live, span: str, until: float, policy: Policy = USUAL) -> QueueKpis | None:
    rows = live.rows("queue", span, NINE + until, policy)  # type: ignore[arg-type]
    return rows[0].contacts if rows else None


def test_who_waits_and_what_agents_do_now() -> None:
    """
    ann has c1 from 10 on; bob pauses at 20 (tea); c2 waits from 30, c3 from 40; c4 wants a callback at 55, and waits
    for it; cid is of another team. Looked at 60.
    """
    floor = Floor(help={"callback": CallbackRules()}, buy={"team": "shop"})
    floor.at(0, i.SignIn("ann"), i.SignIn("cid"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(20, i.SignIn("bob"), i.Pause("bob", "tea"))
    floor.at(30, i.Enqueue("c2", "help"))
    floor.at(40, i.Enqueue("c3", "help"))
    floor.at(50, i.Enqueue("c4", "help", "555"))
    floor.at(55, i.AskCallback("b1", "555", contact="c4"))
    live = live_of(floor)

    care = AgentsNow(signed_in=2, busy=1, paused=1)
    assert live.queue("help", NINE + 60) == QueueNow(waiting=2, longest_wait=30, callbacks=1, agents=care)
    assert live.team("care", NINE + 60) == QueueNow(waiting=2, longest_wait=30, callbacks=1, agents=care)
    shop = AgentsNow(signed_in=1, ready=1)
    assert live.queue("buy", NINE + 60) == QueueNow(waiting=0, longest_wait=None, callbacks=0, agents=shop)
    assert live.queue("nowhere", NINE + 60) is None
    bob = live.agent("bob", NINE + 60)
    assert bob is not None
    assert (bob.team, bob.activity, bob.reason, bob.seconds) == ("care", "paused", "tea", 40)
    ann = live.agent("ann", NINE + 60)
    assert ann is not None
    assert (ann.activity, ann.contact, ann.seconds) == ("talking", "c1", 50)
    assert live.agent("nobody", NINE + 60) is None


def test_the_longest_wait_now_is_that_in_this_queue() -> None:
    floor = Floor()
    floor.at(0, i.Enqueue("c1", "help", waited=100.0))
    found = live_of(floor).queue("help", NINE + 30)
    assert found is not None
    assert found.longest_wait == 30


def test_a_queue_counts_the_agents_that_its_needs_and_groups_reach() -> None:
    floor = Floor(help={"needs": "billing"})
    floor.at(0, i.SignIn("ann"))
    found = live_of(floor).queue("help", NINE)
    assert found is not None
    assert found.agents == AgentsNow()


def test_the_last_quarter_of_an_hour_the_last_hour_and_today() -> None:
    """
    c1 comes at 09:00:00, is answered after 10 s
    c2 comes at 09:50:00, hangs up after 30 s
    c3 comes at 10:05:00, is answered after 40 s, and talks until 10:06:40
    at 10:05:59 the last 15 minutes begin at 09:50: c2, c3
    at 10:06:00 they begin at 09:51: c3 alone; the last hour begins at 09:06: c2, c3
    at 10:00:59 the last hour begins at 09:00: c1, c2; today begins at midnight: all
    """
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(60, i.Finish("c1", "ann"))
    floor.at(3000, i.Enqueue("c2", "help"))
    floor.at(3030, i.HangUp("c2"))
    early = live_of(floor)
    floor.at(3890, i.Ready("ann"))
    floor.at(3900, i.Enqueue("c3", "help"))
    floor.answer(3940, "ann")
    live = live_of(floor)

    hour = contacts(early, "60m", 3659)
    assert hour is not None
    assert (hour.offered, hour.answered, hour.abandoned) == (2, 1, 1)
    quarter = contacts(live, "15m", 3959)
    assert quarter is not None
    assert (quarter.offered, quarter.answered, quarter.abandoned, quarter.asa) == (2, 1, 1, 40)
    quarter = contacts(live, "15m", 3960)
    assert quarter is not None
    assert (quarter.offered, quarter.answered, quarter.service_level) == (1, 1, 0)
    hour = contacts(live, "60m", 3960)
    assert hour is not None
    assert (hour.offered, hour.answered, hour.abandoned) == (2, 1, 1)
    today = contacts(live, "today", 3960)
    assert today is not None
    assert (today.offered, today.answered, today.service_level) == (3, 2, 1 / 3)
    today = contacts(live, "today", 3960, Policy("A_T/A", threshold=40.0))
    assert today is not None
    assert today.service_level == 1


def test_what_goes_on_counts_up_to_now() -> None:
    """ann is ready from 0 to 10, in c1 since 10; c2 waits since 30. At 60: idle 10, handling 50; c2 has waited 30."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(30, i.Enqueue("c2", "help"))
    live = live_of(floor)
    (row,) = live.rows("agent", "15m", NINE + 60)
    assert row.time is not None
    assert (row.time.idle, row.time.handling, row.time.occupancy) == (10, 50, 50 / 60)
    kpis = contacts(live, "15m", 60)
    assert kpis is not None
    assert (kpis.waiting, kpis.longest_wait, kpis.awt) == (1, 30, (10 + 30) / 2)


def test_a_state_that_has_lasted_longer_than_the_span_counts_for_the_span_alone() -> None:
    """ann is ready since 09:00; at 12:00:30 the last 15 minutes are 15 and a half."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    (row,) = live_of(floor).rows("agent", "15m", NINE + 3 * HOUR + 30)
    assert row.time is not None
    assert row.time.idle == 15.5 * 60


def test_today_begins_at_midnight_of_the_wall() -> None:
    """The call came at 09:00 UTC, which is midnight where the wall is 15 hours ahead; half an hour behind that it is
    09:30 UTC."""
    floor = Floor()
    floor.at(0, i.Enqueue("c1", "help"))
    floor.at(10, i.HangUp("c1"))
    live = live_of(floor)
    assert live.rows("queue", "today", NINE + 1860, offset=lambda time: 14.5 * HOUR) == []
    (row,) = live.rows("queue", "today", NINE + 1860, offset=lambda time: 15.0 * HOUR)
    assert row.contacts is not None
    assert row.contacts.abandoned == 1


def test_what_is_kept_is_bounded_in_time() -> None:
    floor = Floor()
    for n in range(300):
        floor.at(n * 600, i.Enqueue(f"c{n}", "help"))
        floor.at(n * 600 + 5, i.HangUp(f"c{n}"))
    live = live_of(floor)
    assert len(live.minutes.slots) == 7  # a call every ten minutes
    assert len(live.slots.slots) == SLOTS_KEPT
    assert min(live.minutes.slots) > live.minutes.latest - MINUTES_KEPT
    assert not live.fold.contacts
    assert not live.fold.waiting


def test_today_goes_on_after_a_restart() -> None:
    """c1 was answered before it, c2 waits since before it and is answered after it, 40 s after it came."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(30, i.Enqueue("c2", "help"))
    live = Live.restore(live_of(floor).snapshot())
    now = live.queue("help", NINE + 40)
    assert now is not None
    assert (now.waiting, now.longest_wait, now.agents.busy) == (1, 10, 1)
    floor.at(60, i.Finish("c1", "ann"), i.Ready("ann"))
    floor.answer(70, "ann")
    for record in floor.records:
        live.add(record)
    kpis = contacts(live, "today", 80)
    assert kpis is not None
    assert (kpis.answered, kpis.asa, kpis.waiting) == (2, (10 + 40) / 2, 0)


def test_a_snapshot_of_another_version_is_refused() -> None:
    kept = msgspec.msgpack.decode(live_of(Floor()).snapshot())
    assert len(kept) == len(LiveSnapshot.__struct_fields__)
    assert Live.restore(msgspec.msgpack.encode(kept)).snapshot() == live_of(Floor()).snapshot()
    for other in ([kept[0] + 1, *kept[1:]], kept[:-1], [*kept, 1], {}, []):
        with pytest.raises(msgspec.ValidationError):
            Live.restore(msgspec.msgpack.encode(other))


def test_what_is_kept_says_by_itself_which_version_it_is() -> None:
    """A field more, anywhere in it, is another shape: the fields of maps have defaults, and would be read as empty."""
    before = msgspec.defstruct("Kept", [("agents", dict[str, msgspec.defstruct("Agent", [("team", str, "")])])])
    after = msgspec.defstruct(
        "Kept", [("agents", dict[str, msgspec.defstruct("Agent", [("team", str, ""), ("since", float, 0.0)])])]
    )
    assert shape(before) != shape(after)


def test_another_process_can_read_a_snapshot() -> None:
    told = "from acd.kpi.live import LiveSnapshot; from acd.shape import shape; print(shape(LiveSnapshot))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert int(done.stdout) == shape(LiveSnapshot)
