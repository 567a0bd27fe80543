"""Intercom and paging with telephones not of ours: who hears whom by the spectrum, and what stands in the INVITE."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from harness.audio import RATE, Tone, level_at, read_wave
from harness.baresip import Phone
from harness.cases import CALLED
from harness.evidence import Traces, kinds, legs
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

TONES = {"101": Tone(400.0, -18.0), "102": Tone(700.0, -18.0), "103": Tone(1300.0, -18.0)}
BEEP = 1000.0
OFFICE = """
paging: {{office: {{members: ["101", "102", "103", "104"], mode: {mode}}}}}
feature_codes: {{intercom: "*80"}}
defaults: {{extension: {{groups: office, record: always}}}}
media: {{workers: {workers}}}
"""
PAGE = '{to: "500", page: office}'


def office(directory: Path, mode: str = "one-way", workers: int = 0) -> Switch:
    return Switch(directory, routes_of_own=[PAGE], extra=FOR_SIPP + OFFICE.format(mode=mode, workers=workers))


def phones(stack: ExitStack, directory: Path, switch: Switch, *users: str) -> dict[str, Phone]:
    """Telephones that answer by themselves, as those do that are set to obey."""
    return {
        user: stack.enter_context(Phone(directory, user, switch.password(user), switch.address, TONES[user]))
        for user in users
    }


def heard(phone: Phone) -> dict[str, float]:
    """Levels of all tones in the second before the last half second, and of the beep in the first two seconds."""
    samples = read_wave(phone.heard())
    last = samples[-RATE - RATE // 2 : -RATE // 2]
    levels = {user: level_at(last, tone.frequency) for user, tone in TONES.items()}
    first = samples[: 2 * RATE]
    windows = [first[at : at + RATE // 10] for at in range(0, len(first) - RATE // 10, RATE // 50)]
    levels["beep"] = max(level_at(each, BEEP) for each in windows)
    print(phone.user, {name: round(level, 1) for name, level in levels.items()})
    return levels


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("mode", ["one-way", "two-way"])
def test_a_page_is_heard_by_all(tmp_path: Path, mode: str, workers: int) -> None:
    """One-way: both hear the pager, the pager hears nobody. Two-way: all hear each other."""
    with office(tmp_path, mode, workers) as switch, ExitStack() as stack:
        there = phones(stack, tmp_path, switch, "101", "102", "103")
        there["101"].call("500")
        for phone in there.values():
            phone.wait_event("CALL_ESTABLISHED")
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 4.0, "four seconds of talk")
        there["101"].hang_up()
        for phone in there.values():
            phone.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        wait_for(lambda: switch.status().media.rows == 0, "no streams left")
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
    assert (record["dialled"], record["destination"], record["cause"]) == ("500", "office", "16")
    assert record["ended_by"] == "caller"
    traces = Traces.of(switch, record, TONES)
    assert traces[:3] == ("ring page", "101 102 103", "101")
    # Nobody is recorded whom nobody hears; one of them may have come in a little later.
    assert traces.others.split()[-1:] == (["102+103"] if mode == "two-way" else [])
    for user, phone in there.items():
        levels = heard(phone)
        for other, tone in TONES.items():
            if other != user and (other == "101" or mode == "two-way"):
                assert levels[other] == pytest.approx(tone.level, abs=1.0), (user, levels)
            else:
                assert levels[other] < tone.level - 40, (user, levels)
        assert levels["beep"] > -30, (user, levels)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_intercom_call(tmp_path: Path, workers: int) -> None:
    with office(tmp_path, workers=workers) as switch, ExitStack() as stack:
        there = phones(stack, tmp_path, switch, "101", "102")
        there["101"].call("*80102")
        for phone in there.values():
            phone.wait_event("CALL_ESTABLISHED")
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 4.0, "four seconds of talk")
        there["102"].hang_up()
        for phone in there.values():
            phone.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
    assert (record["dialled"], record["destination"], record["ended_by"]) == ("*80102", "102", "callee")
    assert Traces.of(switch, record, TONES) == Traces("ring talk", "101 102", "101", "102")
    for user, other in (("101", "102"), ("102", "101")):
        levels = heard(there[user])
        assert levels[other] == pytest.approx(TONES[other].level, abs=1.0)
        assert levels["beep"] > -30, (user, levels)


@pytest.mark.parametrize("number", ["*80104", "500"])
def test_what_a_telephone_is_asked_by(tmp_path: Path, number: str) -> None:
    """SIPp reads the headers: all three ways of saying it, nothing required."""
    with office(tmp_path) as switch, ExitStack() as stack:
        place = (CALLED, free_ports(1, CALLED))
        Sipp(tmp_path, "register_keep", place, switch.address, users=switch.users_file("104")).finish()
        called = Sipp(tmp_path, "uas_answers_itself", place)
        [anna] = phones(stack, tmp_path, switch, "101").values()
        anna.call(number)
        anna.wait_event("CALL_ESTABLISHED")
        anna.hang_up()
        called.finish()
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
    paged = number == "500"
    assert (" ".join(kinds(record)), record["destination"]) == (
        ("ring page", "office") if paged else ("ring talk", "104")
    )
    assert legs(switch, record) == ["101", "104"], "the other members have no telephone"
