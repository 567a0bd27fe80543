"""Every scenario of `sipp_scenarios/` against the switch."""

from __future__ import annotations

import pytest
from harness.cases import CASES, CaseRuns
from harness.switch import RTP_PORTS
from harness.waiting import wait_for

from softswitch.load import SCENARIOS

pytestmark = pytest.mark.interop

# Scenarios that other tests of this directory run.
ELSEWHERE = {
    "register_keep",  # test_forking.py
    "uas_call_slow",
    "uas_cancelled_elsewhere",
    "watch_lamp",  # test_watching.py
    "uas_options",  # test_trunks.py
    "uac_refused",  # test_drain.py
    "uac_turned_away",  # test_hunting_scenarios.py, test_permission_scenarios.py
    "uac_digits",
    "uas_moved",
    "watch_call",  # test_hold_scenarios.py, test_transfer_scenarios.py
    "uac_holds",  # test_hold_scenarios.py
    "uas_holds",
    "uac_hold_update",  # test_transfer_scenarios.py
    "uac_hold_ways",
    "uac_left",
    "uac_left_ringing",
    "uac_refer",
    "uac_refer_failed",
    "uac_refer_nosub",
    "uac_refer_outside",
    "uac_replaces",
    "uac_replaces_refused",
    "uas_held_ways",
    "refer_click",  # test_referrals.py
    "uac_referred",
    "uas_refer",
}


@pytest.mark.parametrize("index", range(len(CASES)), ids=[f"{i}-{case}" for i, case in enumerate(CASES)])
def test_scenario(case_runs: CaseRuns, index: int) -> None:
    """SIPp's exit code on both sides: every message came, in order, with what the scenario asks of it."""
    case_runs.result(index)


def test_no_scenario_is_left_out() -> None:
    used = {case.uac for case in CASES} | {name for case in CASES for name in (*case.uas, *case.untouched)}
    assert {path.stem for path in SCENARIOS.glob("*.xml")} == (used - {"dead"}) | ELSEWHERE


def test_a_wrong_password_and_an_unknown_user_are_answered_alike(case_runs: CaseRuns) -> None:
    """Same status and same headers, so that user names can't be guessed."""
    wrong, unknown = case_runs.last_answer("register_wrong")
    assert wrong == unknown
    assert wrong[0] == "SIP/2.0 401 Unauthorized"


def test_every_call_has_its_record(case_runs: CaseRuns) -> None:
    """One row for each call, with the Q.850 cause it ended with and who ended it."""
    case_runs.join()
    case_runs.switch.wait_calls(0, 40)
    expected = case_runs.expected_records()
    records = wait_for(
        lambda: (found := case_runs.switch.cdrs()) and len(found) >= len(expected) and found, "all records"
    )
    assert sorted((r["dialled"], r["cause"], r["ended_by"]) for r in records) == expected


def test_nothing_is_left_behind(case_runs: CaseRuns) -> None:
    """After all scenarios: no call, no stream, and not one error in the log."""
    case_runs.join()
    report = case_runs.switch.wait_calls(0, 40)
    assert report.media.rows == 0
    case_runs.switch.check_log()


def test_every_message_dissects(case_runs: CaseRuns) -> None:
    """Wireshark finds nothing malformed in what went over the wire in all scenarios."""
    case_runs.join()
    case_runs.capture.stop()
    switch = case_runs.switch
    counts = case_runs.capture.check(switch.port, (switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS - 1))
    assert counts["sip"] > 10 * len(CASES)
