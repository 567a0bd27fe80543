"""Journals counted by hand: what became of attempts on trunks, and of calls of campaigns. Times are seconds after
nine."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest

from acd import inputs as i
from acd.kpi.campaign_kpis import AGENT_WITHIN, CampaignKpis
from acd.kpi.cells import MAX_NAMES, OTHERS
from acd.kpi.live import Live
from acd.kpi.trunk_kpis import TrunkKpis
from tests.unit.acd.kpi.floor import NINE, Floor

HOUR = 3_600.0
DAY = 86_400.0


def trunk(floor: Floor, name: str) -> TrunkKpis:
    found = floor.row("trunk", name).attempts
    assert found is not None
    return found


def campaign(floor: Floor, name: str) -> CampaignKpis:
    found = floor.row("campaign", name).dialled
    assert found is not None
    return found


def abandonment(floor: Floor) -> list[tuple[float | None, float | None, float | None]]:
    """Of each row of a campaign: in the interval, in 24 hours, in 30 days."""
    rows = (row.dialled for row in floor.rows("campaign"))
    return [(each.abandonment, each.abandonment_24h, each.abandonment_30d) for each in rows if each is not None]


# ---- trunks


def test_calls_are_lost_to_lack_of_channels_ports_or_network_alone() -> None:
    """
    through main: 12 connected, 3 busy, 2 without an answer, 1 refused, 2 whose caller left, 5 to bad numbers;
    2 found no channel, 1 no port, 2 a broken network: lost 5
    attempts 12 + 3 + 2 + 1 + 2 + 5 + 5 = 30, valid 30 - 5 = 25; loss 5 / 25 = 20 %
    of those that were lost or connected: 5 / 17
    """
    fates: Counter[i.AttemptOutcome] = Counter(
        connected=12, busy=3, no_answer=2, rejected=1, caller_left=2, invalid=5, no_channel=2, no_port=1, network=2
    )
    assert set(fates) == set(get_args(i.AttemptOutcome))
    floor = Floor()
    floor.at(0, *(i.CallAttempt("main", fate) for fate in fates.elements()))
    kpis = trunk(floor, "main")
    assert (kpis.attempts, kpis.attempts_outbound, kpis.attempts_inbound) == (30, 30, 0)
    assert (kpis.valid, kpis.invalid, kpis.lost) == (25, 5, 5)
    assert (kpis.connected, kpis.busy, kpis.no_answer, kpis.rejected, kpis.caller_left) == (12, 3, 2, 1, 2)
    assert (kpis.no_channel, kpis.no_port, kpis.network) == (2, 1, 2)
    assert kpis.call_loss == 5 / 25
    assert kpis.lost_or_connected_loss == 5 / 17
    assert (kpis.call_loss_outbound, kpis.call_loss_inbound) == (5 / 25, None)


def test_trunks_and_directions_are_counted_apart() -> None:
    """main: 1 of 2 in is lost, 0 of 2 out: 1 of 4. spare: a bad number alone is nothing that could be lost."""
    floor = Floor()
    floor.at(0, i.CallAttempt("main", "no_channel", "inbound"), i.CallAttempt("main", "connected", "inbound"))
    floor.at(1, i.CallAttempt("main", "connected"), i.CallAttempt("main", "busy"), i.CallAttempt("spare", "invalid"))
    main, spare = trunk(floor, "main"), trunk(floor, "spare")
    assert (main.call_loss, main.call_loss_inbound, main.call_loss_outbound) == (1 / 4, 1 / 2, 0)
    assert (main.attempts_inbound, main.attempts_outbound) == (2, 2)
    assert (spare.attempts, spare.valid, spare.call_loss, spare.lost_or_connected_loss) == (1, 0, None, None)
    assert [(row.team, row.name, row.contacts, row.handles, row.time) for row in floor.rows("trunk")] == [
        ("", "main", None, None, None),
        ("", "spare", None, None, None),
    ]


def test_attempts_count_in_the_interval_in_which_they_are_over() -> None:
    floor = Floor()
    floor.at(899, i.CallAttempt("main", "network"))
    floor.at(900, i.CallAttempt("main", "connected"))
    rows = floor.rows("trunk", "15m")
    assert [(row.start - NINE, row.attempts.call_loss) for row in rows if row.attempts] == [(0, 1), (900, 0)]


def test_attempts_and_dialled_calls_make_no_rows_of_queues_agents_or_teams() -> None:
    floor = Floor()
    floor.at(0, i.CallAttempt("main", "busy"), i.DialledCall("spring", "busy"))
    assert [floor.rows(by) for by in ("queue", "agent", "team")] == [[], [], []]  # type: ignore[arg-type]


# ---- campaigns


def test_a_live_answer_without_an_agent_within_two_seconds_is_abandoned() -> None:
    """
    spring dials 14: 3 machines, 2 busy, 1 without an answer, 1 failed; 7 live answers:
    agent after 0 s, 1 s, 2 s, 2 s: 4 connects; after 2.5 s: abandoned, late; never, twice: abandoned
    abandoned 3 of 7 answers
    """
    floor = Floor()
    floor.at(0, *(i.DialledCall("spring", fate) for fate in ("machine", "machine", "machine", "busy", "busy")))
    floor.at(1, i.DialledCall("spring", "no_answer"), i.DialledCall("spring", "failed"))
    floor.at(2, *(i.DialledCall("spring", "answered", waited) for waited in (0.0, 1.0, 2.0, AGENT_WITHIN, 2.5)))
    floor.at(3, i.DialledCall("spring", "answered"), i.DialledCall("spring", "answered", -1.0))
    kpis = campaign(floor, "spring")
    assert (kpis.dialled, kpis.answers, kpis.connects, kpis.abandoned, kpis.abandoned_late) == (14, 7, 4, 3, 1)
    assert (kpis.machine, kpis.busy, kpis.no_answer, kpis.failed) == (3, 2, 1, 1)
    assert kpis.abandonment == 3 / 7


def test_the_abandon_rate_of_a_campaign_is_of_live_answers_alone() -> None:
    floor = Floor()
    floor.at(0, i.DialledCall("spring", "machine"), i.DialledCall("summer", "answered"))
    assert campaign(floor, "spring").abandonment is None
    assert campaign(floor, "summer").abandonment == 1


def live_answers(floor: Floor, second: float, connects: int, abandoned: int) -> None:
    floor.at(second, *[i.DialledCall("spring", "answered", 1.0)] * connects)
    floor.at(second, *[i.DialledCall("spring", "answered")] * abandoned)


def test_abandonment_rolls_over_24_hours_and_30_days() -> None:
    """
    day 0, 09:00: 1 of 2; day 1: 1 of 8; day 29, 23:45: 1 of 4; day 30, 09:00: 0 of 2
    rows end at midnight: 24 hours are the day, 30 days the thirty before
    day  1: 24 h 1/8;  30 days (1 + 1) / (2 + 8)
    day 29: 24 h 1/4;  30 days 3 / 14, day 0 is the first of them
    day 30, looked at 09:00: 24 h from 09:00 the day before: (1 + 0) / (4 + 2); 30 days from 09:00 of day 0: 3 / 16
    """
    floor = Floor()
    live_answers(floor, 0, 1, 1)
    live_answers(floor, DAY, 7, 1)
    live_answers(floor, 29 * DAY + 14.75 * HOUR, 3, 1)
    live_answers(floor, 30 * DAY, 2, 0)
    assert abandonment(floor) == [
        (1 / 2, 1 / 2, 1 / 2),
        (1 / 8, 1 / 8, 2 / 10),
        (1 / 4, 1 / 4, 3 / 14),
        (0, 1 / 6, 3 / 16),
    ]


def test_what_is_older_than_the_window_rolls_out_of_it_by_quarters_of_an_hour() -> None:
    """1 of 1 at 09:00; a day later at 09:14 it is in, at 09:15 not: the last 24 hours are the whole quarters of an hour
    before now and the one under way."""
    for second, rolled in ((DAY + 899, 1 / 2), (DAY + 900, 0)):
        floor = Floor()
        live_answers(floor, 0, 0, 1)
        live_answers(floor, second, 1, 0)
        assert abandonment(floor)[-1][:2] == (0, rolled)


def test_a_row_begins_where_it_is_asked_for_and_its_windows_before() -> None:
    """In the report of the second day alone."""
    from acd.kpi.report import report
    from tests.unit.acd.kpi.floor import tally_of

    floor = Floor()
    live_answers(floor, 14 * HOUR, 0, 1)  # 23:00
    live_answers(floor, 16 * HOUR, 1, 0)
    [row] = report(tally_of(floor.records), "campaign", "day", start=NINE + 15 * HOUR)
    assert row.dialled is not None
    assert (row.dialled.abandonment, row.dialled.abandonment_24h) == (0, 1 / 2)


def test_live_figures_of_campaigns_and_trunks_are_those_of_the_report() -> None:
    """What is older than 30 days is forgotten: 2 of 2 on day 0; 1 of 4 on day 2; then nothing until day 31, 1 of 2.
    On day 31, 09:00: 30 days (1 + 1) / (4 + 2), 24 hours 1 / 2."""
    floor = Floor()
    live_answers(floor, 0, 0, 2)
    live_answers(floor, 2 * DAY, 3, 1)
    live_answers(floor, 31 * DAY, 1, 1)
    floor.at(31 * DAY, i.CallAttempt("main", "no_port"))
    live = Live()
    for record in floor.records:
        live.add(record)
    [row] = live.rows("campaign", "15m", NINE + 31 * DAY + 60)
    assert row.dialled is not None
    assert (row.dialled.abandonment, row.dialled.abandonment_24h, row.dialled.abandonment_30d) == (1 / 2, 1 / 2, 2 / 6)
    assert row.dialled == floor.rows("campaign")[-1].dialled
    [row] = live.rows("trunk", "today", NINE + 31 * DAY + 60)
    assert row.attempts is not None
    assert row.attempts.call_loss == 1
    assert len(live.campaigns.slots) == 2


def test_live_keeps_all_of_thirty_days() -> None:
    """1 abandoned at 09:14:59 of day 0, 1 connect on day 30, at 09:14 and at 09:15: half, then none."""
    for second, rolled in ((30 * DAY + 840, 1 / 2), (30 * DAY + 900, 0)):
        floor = Floor()
        live_answers(floor, 899, 0, 1)
        live_answers(floor, second, 1, 0)
        live = Live()
        for record in floor.records:
            live.add(record)
        [row] = live.rows("campaign", "15m", NINE + second)
        assert row.dialled is not None
        assert row.dialled.abandonment_30d == abandonment(floor)[-1][2] == rolled


def test_a_call_at_the_very_end_of_a_quarter_of_an_hour_is_in_the_next_one_and_in_what_is_so_now() -> None:
    """1 connect at 09:00, 1 abandoned at 10:00:00: of the row up to 10:00 none, of the one from 10:00 on half."""
    floor = Floor()
    live_answers(floor, 0, 1, 0)
    live_answers(floor, HOUR, 0, 1)
    rows = [row.dialled for row in floor.rows("campaign", "60m")]
    assert [row.abandonment_24h for row in rows if row is not None] == [0, 1 / 2]
    live = Live()
    for record in floor.records:
        live.add(record)
    [row] = live.rows("campaign", "60m", NINE + HOUR)
    assert row.dialled is not None
    assert (row.dialled.abandonment, row.dialled.abandonment_24h) == (1 / 2, 1 / 2)


@pytest.mark.parametrize("span", ["15m", "30m", "60m", "today"])
def test_live_rows_of_each_span_have_campaigns(span: str) -> None:
    floor = Floor()
    live_answers(floor, 0, 1, 0)
    live = Live()
    for record in floor.records:
        live.add(record)
    [row] = live.rows("campaign", span, NINE + 10)  # type: ignore[arg-type]
    assert row.dialled is not None
    assert row.dialled.connects == 1


# ---- bounds


def test_more_names_than_are_told_apart_are_counted_together() -> None:
    """In an interval: a day later there is room for others."""
    floor = Floor()
    for number in range(MAX_NAMES + 3):
        floor.at(0, i.CallAttempt(f"t{number}", "busy"), i.DialledCall(f"w{number}", "busy"))
    floor.at(1, i.CallAttempt("t0", "busy"), i.DialledCall("w0", "busy"))
    assert (trunk(floor, "t0").attempts, trunk(floor, OTHERS).attempts) == (2, 3)
    assert (campaign(floor, "w0").dialled, campaign(floor, OTHERS).dialled) == (2, 3)
    assert (len(floor.rows("trunk")), len(floor.rows("campaign"))) == (MAX_NAMES + 1, MAX_NAMES + 1)
    late = f"t{MAX_NAMES}"
    floor.at(DAY, i.CallAttempt(late, "busy"))
    assert trunk(floor, late).attempts == 1
