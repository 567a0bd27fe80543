"""SIPps of ring groups, and of extensions that send calls on, are found elsewhere, or busy: who rings and what they are
told, who hears whom, the record and the recording."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.evidence import Traces
from harness.sipp import Sipp
from harness.sipp_phones import PEERS, Phones, Refusal, finish, invitation, phones_of, refusal, values
from harness.switch import FOR_SIPP, Switch

pytestmark = pytest.mark.interop

CONFIGURED = (
    FOR_SIPP
    + """
ring_groups:
  together: {members: ["102", "103"]}
  in_turn: {members: ["102", "103"], strategy: sequential, ring_time: 1s}
  nobody: {members: ["102"], ring_time: 1s, on_no_answer: {goto: {context: internal, number: "103"}}}
  hunted:
    members: ["102", "103"]
    strategy: memory_hunt
    ring_time: 1500ms
    cid_prefix: "Sales: "
    alert_info: "<http://localhost>;info=sales"
  drawn: {members: [{extension: "102", weight: 3}, "103"], strategy: weighted_random}
  free: {members: ["104", "103"], skip_busy: true}
extensions:
  "102": {call_waiting: off}
  "103": {call_limit: 1, diversion: both}
  "104": {forward: {busy: "103", no_answer: "103", no_answer_after: 1s}}
  "105": {forward: {always: "103"}}
  "107": {forward: {unavailable: "103"}}
  "108": {do_not_disturb: true, forward: {busy: "103"}}
  "109": {obey_redirects: internal}
  "110": {ring_timeout: 1s, find_me: {strategy: sequential, numbers: [{number: "102", ring_time: 1s}, "103"]}}
  "111": {find_me: ["102", {number: "103", delay: 500ms}]}
  "112": {do_not_disturb: true}
  "113": {obey_redirects: never}
defaults: {extension: {record: always}}
"""
)
ROUTES = (
    '{to: "801", ring_group: together}',
    '{to: "802", ring_group: in_turn}',
    '{to: "803", ring_group: nobody}',
    '{to: "804", ring_group: hunted}',
    '{to: "805", ring_group: drawn}',
    '{to: "806", ring_group: free}',
)

BUSY = "Q.850;cause=17"


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    made = Switch(
        tmp_path_factory.mktemp("hunting"),
        extensions=20,
        trunks=[PEERS],
        routes=["_03X.=127.0.0.31:9"],
        extra=CONFIGURED,
        routes_of_own=ROUTES,
    )
    with made:
        yield made


@pytest.fixture
def phones(switch: Switch, tmp_path: Path) -> Iterator[Phones]:
    with phones_of(switch, tmp_path, ears=True) as made:
        yield made


@pytest.mark.parametrize(
    ("number", "first", "answers", "diverted"),
    [
        ("801", [("102", "uas_cancelled_elsewhere")], "uas_call_slow", ""),
        ("802", [("102", "uas_cancelled")], "uas_talk", ""),
        ("802", [("102", "uas_busy")], "uas_talk", ""),
        ("803", [("102", "uas_cancelled")], "uas_talk", ""),
        ("104", [("104", "uas_busy")], "uas_talk", "104 user-busy"),
        ("104", [("104", "uas_cancelled")], "uas_talk", "104 no-answer"),
        ("105", [], "uas_talk", "105 unconditional"),
        ("107", [], "uas_talk", "107 unavailable"),
        ("108", [], "uas_talk", "108 user-busy"),
        ("109", [("109", "uas_moved")], "uas_talk", "109 deflection"),
        ("110", [("110", "uas_cancelled"), ("102", "uas_cancelled")], "uas_talk", "110 follow-me"),
        ("111", [("111", "uas_cancelled_elsewhere"), ("102", "uas_busy")], "uas_call_slow", "111 follow-me"),
    ],
    ids=[
        "together",
        "in turn",
        "in turn, busy",
        "no answer",
        "busy forward",
        "no-answer forward",
        "always forward",
        "unavailable forward",
        "do not disturb",
        "302",
        "find-me, in turn",
        "find-me, with a delay",
    ],
)
def test_a_call_comes_to_103(
    phones: Phones, number: str, first: list[tuple[str, str]], answers: str, diverted: str
) -> None:
    """Whoever rang before, or besides, hears nothing, and is on no channel. 103 is told who has sent the call on."""
    let_go = [phones.called(*each, moved_to="103") for each in first]
    answering = phones.called("103", answers)
    caller = phones.calls("101", number, "uac_call_auth", "-d", "800")
    finish(caller, answering, *let_go)
    [record] = phones.over(1)
    assert (record["dialled"], record["destination"]) == (number, "103")
    assert record["diverted"] == ("" if "follow-me" in diverted else diverted)
    assert (record["ended_by"], record["cause"]) == ("caller", "16")
    assert [phones.heard(each) for each in (caller, answering)] == [[{"103"}], [{"101"}]]
    assert [phones.heard(each) for each in let_go] == [[]] * len(let_go)
    dialogs = " ".join(["101", *[each[0] for each in first], "103"])
    assert phones.traces(record) == Traces("ring talk", dialogs, "101", "103")
    check_told(invitation(answering), *diverted.split())


def check_told(invite: str, by: str = "", reason: str = "") -> None:
    """RFC 5806 and RFC 7044: who has sent the call on, why, and to whom; nothing of a call that came straight."""
    diversions, history = values(invite, "Diversion"), ", ".join(values(invite, "History-Info"))
    if not by:
        assert (diversions, history) == ([], "")
        return
    [diversion] = diversions
    assert f"<sip:{by}@" in diversion
    assert f";reason={reason};counter=1" in diversion
    sent_on, target = history.split(", ")
    assert f"<sip:{by}@" in sent_on
    assert "Reason=SIP%3Bcause%3D" in sent_on
    assert sent_on.endswith(";index=1")
    assert "<sip:103@" in target
    assert target.endswith(";index=1.1;mp=1")


def test_a_memory_hunt_rings_with_a_ring_of_its_own(phones: Phones) -> None:
    """The second joins the first, who rings on; both see that the call is for sales."""
    first, second = phones.called("102", "uas_cancelled_elsewhere"), phones.called("103", "uas_call_slow")
    caller = phones.calls("101", "804", "uac_call_auth", "-d", "800")
    finish(caller, second, first)
    begun = [moment(each, "INVITE") for each in (first, second)]
    assert 1.3 < begun[1] - begun[0] < 2.5
    assert moment(first, "CANCEL") - begun[1] > 0.8
    for each in (first, second):
        invite = invitation(each)
        assert values(invite, "Alert-Info") == ["<http://localhost>;info=sales"]
        assert '"Sales: ' in values(invite, "From")[0]
    [record] = phones.over(1)
    assert [phones.heard(each) for each in (caller, first, second)] == [[{"103"}], [], [{"101"}]]
    assert phones.traces(record) == Traces("ring talk", "101 102 103", "101", "103")


def moment(sipp: Sipp, method: str) -> float:
    """When the first request of this method came, in seconds."""
    found = re.search(rf"^-+ \S+ (\d+):(\d+):([\d.]+)\s[^-]*?received[^-]*?^{method} sip:", sipp.messages(), re.M)
    assert found is not None, sipp.messages()
    hours, minutes, seconds = found.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_one_is_drawn(phones: Phones) -> None:
    """One member rings, and nobody else, be it a member or not: there is an answer before the next one's turn."""
    idle = {number: phones.called(number, "uas_talk") for number in ("102", "103", "104")}
    caller = phones.calls("101", "805", "uac_call_auth", "-d", "800")
    finish(caller)
    [drawn] = [number for number, sipp in idle.items() if invitation(sipp)]
    finish(idle.pop(drawn))
    assert drawn != "104"
    [record] = phones.over(1)
    assert record["destination"] == drawn
    assert phones.heard(caller) == [{drawn}]
    assert [phones.heard(each) for each in idle.values()] == [[], []]
    assert phones.traces(record) == Traces("ring talk", f"101 {drawn}", "101", drawn)


def test_who_is_in_a_call_is_passed_over(phones: Phones) -> None:
    partner, free = phones.called("104", "uas_talk"), phones.called("103", "uas_talk")
    first = phones.calls("101", "104", "uac_left")
    phones.talking(seconds=0.6)
    second = phones.calls("102", "806", "uac_call_auth", "-d", "800")
    finish(second, free)
    assert partner.messages().count("INVITE sip:") == 1
    phones.hang_up("101")
    finish(first, partner)
    later, earlier = phones.over(2)
    assert [phones.heard(each) for each in (second, free)] == [[{"103"}], [{"102"}]]
    assert [phones.heard(each) for each in (first, partner)] == [[{"104"}], [{"101"}]]
    assert phones.traces(later) == Traces("ring talk", "102 103", "102", "103")
    assert phones.traces(earlier) == Traces("ring talk", "101 104", "101", "104")


@pytest.mark.parametrize("called", ["102", "103"], ids=["without call waiting", "at its limit"])
def test_a_second_call_finds_it_busy(phones: Phones, called: str) -> None:
    """It rings nowhere, and nobody in the first call hears of it."""
    partner = phones.called(called, "uas_talk")
    first = phones.calls("101", called, "uac_left")
    phones.talking(seconds=0.6)
    second = phones.calls("104", called, "uac_turned_away")
    finish(second)
    assert refusal(second) == Refusal(486, [BUSY], [])
    assert partner.messages().count("INVITE sip:") == 1
    phones.hang_up("101")
    finish(first, partner)
    kept, refused = sorted(phones.over(2), key=lambda record: record["caller_number"])
    assert [phones.heard(each) for each in (first, partner)] == [[{called}], [{"101"}]]
    assert phones.traces(kept) == Traces("ring talk", f"101 {called}", "101", called)
    phones.check_refused(refused, 486, 17, "104")


def test_do_not_disturb(phones: Phones) -> None:
    """The telephone does not ring."""
    quiet = phones.called("112", "uas_talk")
    caller = phones.calls("101", "112", "uac_turned_away")
    finish(caller)
    assert refusal(caller) == Refusal(486, [BUSY], [])
    assert invitation(quiet) == ""
    [record] = phones.over(1)
    phones.check_refused(record, 486, 17, "101")


@pytest.mark.parametrize(
    ("extension", "moved_to"), [("113", "103"), ("109", "0301234")], ids=["never", "internal, to a trunk"]
)
def test_a_302_is_not_obeyed(phones: Phones, extension: str, moved_to: str) -> None:
    """Whoever sends a caller where its rule does not let it is not reachable."""
    moves, untouched = phones.called(extension, "uas_moved", moved_to=moved_to), phones.called("103", "uas_talk")
    caller = phones.calls("101", extension, "uac_turned_away")
    finish(caller, moves)
    assert refusal(caller) == Refusal(480, ["Q.850;cause=20"], [])
    assert invitation(untouched) == ""
    [record] = phones.over(1)
    phones.check_refused(record, 480, 20, f"101 {extension}")


def test_nobody_of_a_group_answers(phones: Phones) -> None:
    """The caller, by a trunk, is refused as they all say; nobody talks, and nothing is recorded."""
    busy = [phones.called(extension, "uas_busy") for extension in ("102", "103")]
    finish(phones.comes("802", "uac_busy"), *busy)
    [record] = phones.over(1)
    phones.check_refused(record, 486, 17, "peers 102 103")
    assert [phones.heard(each) for each in busy] == [[], []]
