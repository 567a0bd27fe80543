"""The examples of docs/kpis.md: of each KPI in its table a journal is made and folded, and the figure held against what
is written there. Times are seconds after nine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from acd import facts as f
from acd import inputs as i
from acd.config import Announcement
from acd.kpi.agent_kpis import AgentKpis, Weight, scores
from acd.kpi.campaign_kpis import CampaignKpis
from acd.kpi.handle_kpis import HandleKpis
from acd.kpi.policy import read
from acd.kpi.queue_kpis import USUAL, Policy, QueueKpis
from acd.kpi.report import report
from acd.kpi.trunk_kpis import TrunkKpis
from tests.unit.acd.kpi.floor import Floor, two_calls
from tests.unit.acd.kpi.test_queue_kpis import worked_example

PAGE = (Path(__file__).parents[4] / "docs" / "kpis.md").read_text("utf-8")
DAY = 86_400.0


def written(section: str) -> dict[str, str]:
    """The first and the last column of the first table of a section."""
    lines = PAGE.split(f"\n{section}\n")[1].splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("| ---"))
    found: dict[str, str] = {}
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found[cells[0].strip("`")] = cells[-1]
    return found


def share(value: float | None) -> str:
    assert value is not None
    return f"{100 * value:.1f} %"


def seconds(value: float | None) -> str:
    assert value is not None
    return f"{value:.1f} s"


# ---- journals


def hundred_calls(policy: Policy = USUAL) -> QueueKpis:
    [row] = report(worked_example(), "queue", "day", policy)
    assert row.contacts is not None
    return row.contacts


def three_callers() -> QueueKpis:
    """c1 is answered after 4 s, c2 hangs up after 3 s, c3 is answered after 60 s."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    floor.at(10, i.Enqueue("c1", "help"))
    floor.answer(14, "ann")
    floor.at(20, i.Enqueue("c2", "help"))
    floor.at(23, i.HangUp("c2"))
    floor.at(30, i.Enqueue("c3", "help"))
    floor.at(80, i.Finish("c1", "ann"), i.Ready("ann"))
    floor.answer(90, "ann")
    found = floor.row("queue", "help").contacts
    assert found is not None
    return found


def two_calls_of_ann() -> tuple[HandleKpis, AgentKpis]:
    """c1: talk 14 to 74, wrap-up to 84; c2: talk 90 to 100, hold to 120, consultation to 125, talk to 150, ready at
    once; looked at 200 s after she signed in."""
    floor = two_calls()
    row = floor.row("agent", "ann", until=200)
    assert row.handles is not None
    assert row.time is not None
    return row.handles, row.time


def seven_hundred_seconds() -> AgentKpis:
    """Idle 190: 100, 50 and 40; pauses 350, direct call 60, telephone gone 100."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    floor.at(100, i.Pause("ann", "lunch"))
    floor.at(450, i.Ready("ann"))
    floor.at(500, i.DirectCall("ann", True))
    floor.at(560, i.DirectCall("ann", False))
    floor.at(600, i.Reachable("ext:ann", False))
    floor.at(700, i.SignOut("ann"))
    found = floor.row("agent", "ann").time
    assert found is not None
    return found


def transfers() -> HandleKpis:
    """ann transfers c1 to bob, who transfers it away, and puts c2 into second, where bob has it to its end."""
    floor = Floor(help={}, second={})
    floor.at(0, i.SignIn("ann"), i.SignIn("bob"), i.Pause("bob"), i.Enqueue("c1", "help"))
    floor.answer(10, "ann")
    floor.at(50, i.Finish("c1", "ann", "attended_transfer"), i.Take("c1", "bob"), i.Ready("ann"))
    floor.at(80, i.Finish("c1", "bob", "blind_transfer"), i.HangUp("c1"), i.Pause("bob"))
    floor.at(100, i.Enqueue("c2", "help"))
    floor.answer(110, "ann")
    floor.at(130, i.Finish("c2", "ann", "queue_transfer"), i.Enqueue("c2", "second"), i.Pause("ann"), i.Ready("bob"))
    floor.answer(140, "bob")
    floor.at(160, i.Finish("c2", "bob"), i.Ready("bob"))
    found = floor.row("team", "care").handles
    assert found is not None
    return found


def served(floor: Floor, second: float, contact: str, number: str = "", seconds: float = 50.0) -> None:
    floor.at(second, i.Enqueue(contact, "help", number))
    floor.answer(second, "ann")
    floor.at(second + seconds, i.Finish(contact, "ann"), i.Ready("ann"))


def further_contacts() -> HandleKpis:
    """555 and 666 are served on day 0; 555 calls again on day 2, 666 an hour after seven days."""
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    served(floor, 10, "c1", "555")
    served(floor, 100, "c2", "666")
    floor.at(2 * DAY, i.Enqueue("c3", "help", "555"), i.HangUp("c3"))
    floor.at(7 * DAY + 3750, i.Enqueue("c4", "help", "666"), i.HangUp("c4"))
    found = floor.rows("agent")[0].handles
    assert found is not None
    return found


def five_surveys() -> HandleKpis:
    floor = Floor()
    floor.at(0, i.SignIn("ann"))
    for n, (csat, nps) in enumerate([(5, 10), (4, 9), (3, 8), (1, 6), (-1, -1)]):
        served(floor, 100 * n, f"c{n}")
        floor.at(100 * n + 60, i.SurveyAnswer(f"c{n}", "csat", csat), i.SurveyAnswer(f"c{n}", "nps", nps))
    found = floor.row("queue", "help").handles
    assert found is not None
    return found


def told_wait() -> str:
    """Five contacts took 100 s each; then both agents have one and four wait: what the fourth is told."""
    floor = Floor(help={"announcements": (Announcement(what="expected_wait"),)})
    floor.at(0, i.SignIn("ann"))
    for n in range(5):
        served(floor, 100 * n, f"c{n}", seconds=100)
    floor.at(500, i.SignIn("bob"), *(i.Enqueue(f"w{n}", "help") for n in range(2)))
    floor.answer(500, "ann")
    floor.answer(500, "bob")
    floor.at(510, *(i.Enqueue(f"x{n}", "help") for n in range(4)))
    floor.at(511)
    told = [each.what for each in floor.records if isinstance(each.what, f.Announced) and each.what.contact == "x3"]
    return f"{told[-1].low:.0f} to {told[-1].high:.0f} s"


def thirty_attempts() -> TrunkKpis:
    fates: list[i.AttemptOutcome] = ["connected"] * 12 + ["busy"] * 3 + ["no_answer"] * 2 + ["rejected"]  # type: ignore[list-item]
    fates += ["caller_left"] * 2 + ["invalid"] * 5 + ["no_channel"] * 2 + ["no_port"] + ["network"] * 2  # type: ignore[list-item]
    floor = Floor()
    floor.at(0, *(i.CallAttempt("main", fate) for fate in fates))
    found = floor.row("trunk", "main").attempts
    assert found is not None
    return found


def seven_live_answers() -> CampaignKpis:
    floor = Floor()
    floor.at(0, *(i.DialledCall("spring", "answered", waited) for waited in (0.0, 1.0, 2.0, 2.0, 2.5, -1.0, -1.0)))
    floor.at(1, i.DialledCall("spring", "machine"), i.DialledCall("spring", "busy"))
    found = floor.row("campaign", "spring").dialled
    assert found is not None
    return found


def thirty_days() -> CampaignKpis:
    """Thirty days ago at 09:00 1 of 2, a day later 1 of 8, yesterday 1 of 4, today at 09:00 0 of 2; looked at then."""
    floor = Floor()
    for second, connects, abandoned in ((0, 1, 1), (DAY, 7, 1), (29.5 * DAY, 3, 1), (30 * DAY, 2, 0)):
        floor.at(second, *[i.DialledCall("spring", "answered", 1.0)] * connects)
        floor.at(second, *[i.DialledCall("spring", "answered")] * abandoned)
    found = floor.rows("campaign")[-1].dialled
    assert found is not None
    return found


def score_of_ann() -> str:
    weights = {"handled": Weight(1.0), "aht": Weight(1.0, lower=True)}
    found = scores({"ann": {"handled": 30, "aht": 100.0}, "bob": {"handled": 10, "aht": 300.0}}, weights)
    return f"{found['ann']:.0f}"


EXAMPLES: dict[str, Callable[[], str]] = {
    "service level": lambda: share(hundred_calls().service_level),
    "abandonment": lambda: share(three_callers().abandonment),
    "abandonment without short ones": lambda: share(three_callers().abandonment_without_short),
    "connection rate": lambda: share(three_callers().connection_rate),
    "call loss": lambda: share(thirty_attempts().call_loss),
    "ASA": lambda: seconds(three_callers().asa),
    "AWT": lambda: seconds(three_callers().awt),
    "longest wait": lambda: seconds(three_callers().longest_wait),
    "AHT": lambda: seconds(two_calls_of_ann()[0].aht),
    "ACW": lambda: seconds(two_calls_of_ann()[0].acw),
    "occupancy": lambda: share(two_calls_of_ann()[1].occupancy),
    "utilisation (availability)": lambda: share(seven_hundred_seconds().utilisation),
    "transfer rate": lambda: share(transfers().transfer_rate),
    "FCR (proxy)": lambda: share(further_contacts().fcr),
    "CSAT": lambda: share(five_surveys().csat),
    "CSAT response": lambda: share(five_surveys().csat_response),
    "NPS": lambda: f"{five_surveys().nps:.0f}",
    "NPS response": lambda: share(five_surveys().nps_response),
    "EWT": told_wait,
    "connects of a campaign": lambda: str(seven_live_answers().connects),
    "abandoned of a campaign": lambda: share(seven_live_answers().abandonment),
    "abandoned in 24 hours": lambda: share(thirty_days().abandonment_24h),
    "abandoned in 30 days": lambda: share(thirty_days().abandonment_30d),
    "agent score": score_of_ann,
}


def test_every_kpi_of_the_page_has_an_example() -> None:
    assert list(written("## All KPIs, each with an example")) == list(EXAMPLES)


@pytest.mark.parametrize("kpi", EXAMPLES)
def test_the_example_comes_to_what_the_page_says(kpi: str) -> None:
    assert EXAMPLES[kpi]() == written("## All KPIs, each with an example")[kpi]


def test_the_service_levels_of_the_hundred_calls_are_those_of_the_page() -> None:
    told = written("### Service level")
    assert {policy: share(hundred_calls(Policy(read(policy))).service_level) for policy in told} == told


def test_call_loss_without_those_whom_the_other_end_refused_is_that_of_the_page() -> None:
    assert f"5 of 17, {share(thirty_attempts().lost_or_connected_loss)}" in PAGE


def words(lines: Iterable[str]) -> set[str]:
    return {word.strip("`|") for line in lines for word in line.split()}


def test_every_fact_that_the_page_names_is_one() -> None:
    rows = PAGE.split("\n## All KPIs, each with an example\n")[1].split("\n## ")[0].splitlines()
    facts = words(row.split("|")[3] for row in rows if row.startswith("|") and "`" in row.split("|")[3])
    known = {fact.__name__ for fact in f.AnyFact.__args__}  # type: ignore[attr-defined]
    assert facts <= known | {"the", "same"}
    assert {"Surveyed", "Attempted", "Dialled", "Queued", "AgentChanged"} <= facts


def test_the_page_says_of_every_outcome_of_an_attempt_whether_it_is_lost() -> None:
    from acd.kpi.trunk_kpis import LOST, OUTCOMES

    told = {name: lost for names, lost in written("## Trunks").items() for name in names.replace("`", "").split()}
    assert {name for name, lost in told.items() if lost == "yes"} == set(LOST)
    assert set(told) == set(OUTCOMES)
