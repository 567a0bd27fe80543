"""SIPps of ring groups, and of extensions that forward: who rings, who hears whom, the record and the recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.cases import CALLERS
from harness.evidence import Traces
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.sipp_phones import Phones, finish, phones_of
from harness.switch import FOR_SIPP, Switch

pytestmark = pytest.mark.interop

CONFIGURED = (
    FOR_SIPP
    + """
ring_groups:
  together: {members: ["102", "103"]}
  in_turn: {members: ["102", "103"], strategy: sequential, ring_time: 1s}
  nobody: {members: ["102"], ring_time: 1s, on_no_answer: {goto: {context: internal, number: "103"}}}
extensions:
  "104": {forward: {busy: "103", no_answer: "103", no_answer_after: 1}}
  "105": {forward: {always: "103"}}
defaults: {extension: {record: always}}
"""
)
ROUTES = (
    '{to: "801", ring_group: together}',
    '{to: "802", ring_group: in_turn}',
    '{to: "803", ring_group: nobody}',
)


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    made = Switch(tmp_path_factory.mktemp("hunting"), trunks=[CALLERS], extra=CONFIGURED, routes_of_own=ROUTES)
    with made:
        yield made


@pytest.fixture
def phones(switch: Switch, tmp_path: Path) -> Iterator[Phones]:
    with phones_of(switch, tmp_path, ears=True) as made:
        yield made


@pytest.mark.parametrize(
    ("number", "first", "answers", "diverted"),
    [
        ("801", ("102", "uas_cancelled_elsewhere"), "uas_call_slow", ""),
        ("802", ("102", "uas_cancelled"), "uas_talk", ""),
        ("802", ("102", "uas_busy"), "uas_talk", ""),
        ("803", ("102", "uas_cancelled"), "uas_talk", ""),
        ("104", ("104", "uas_busy"), "uas_talk", "104 user-busy"),
        ("104", ("104", "uas_cancelled"), "uas_talk", "104 no-answer"),
        ("105", None, "uas_talk", "105 unconditional"),
    ],
    ids=["together", "in turn", "in turn, busy", "no answer", "busy forward", "no-answer forward", "always forward"],
)
def test_a_call_comes_to_103(
    phones: Phones, number: str, first: tuple[str, str] | None, answers: str, diverted: str
) -> None:
    """Whoever rang before, or besides, hears nothing, and is on no channel."""
    let_go = [phones.called(*first)] if first is not None else []
    answering = phones.called("103", answers)
    caller = phones.calls("101", number, "uac_call_auth", "-d", "1000")
    finish(caller, answering, *let_go)
    [record] = phones.over(1)
    assert (record["dialled"], record["destination"], record["diverted"]) == (number, "103", diverted)
    assert (record["ended_by"], record["cause"]) == ("caller", "16")
    assert [phones.heard(each) for each in (caller, answering)] == [[{"103"}], [{"101"}]]
    assert [phones.heard(each) for each in let_go] == [[]] * len(let_go)
    legs = " ".join(["101", *([first[0]] if first is not None else []), "103"])
    assert phones.traces(record) == Traces("ring talk", legs, "101", "103")


def test_nobody_of_a_group_answers(phones: Phones) -> None:
    """The caller, by a trunk, is refused as they all say; nobody talks, and nothing is recorded."""
    busy = [phones.called(extension, "uas_busy") for extension in ("102", "103")]
    place = (CALLERS, free_ports(1, CALLERS))
    caller = Sipp(phones.directory, "uac_busy", place, phones.switch.address, service="802")
    finish(caller, *busy)
    [record] = phones.over(1)
    assert (record["ended_by"], record["cause"], record["recording"]) == ("switch", "17", "")
    assert [phones.heard(each) for each in busy] == [[], []]
