"""SIPps of extensions that may not call whom they like, or as often as they like: what they are refused with, what the
record says of it, and what is recorded of those who may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.evidence import Traces, kinds, legs
from harness.ports import free_ports
from harness.sipp_phones import OUTSIDE, PEERS, Phones, Refusal, finish, invitation, phones_of, refusal
from harness.switch import FOR_SIPP, Switch

pytestmark = pytest.mark.interop

ABROAD = "0044123"
NEAR = "0301234"
CONFIGURED = (
    FOR_SIPP
    + """
classes:
  lobby: {context: lobby, call_limit: 1, record: never}
dialplan:
  lobby:
    routes: [{to: _1XX, dial: "{number}"}]
extensions:
  "101": {record: always}
  "103": {record: always, may_call: international, calls_per_minute: 1}
  "104": {class: lobby}
  "105": {record: always, pin: "25801", pin_for: international}
"""
)
PORT = free_ports(1, OUTSIDE)
BARRED = "Q.850;cause=52"


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    made = Switch(
        tmp_path_factory.mktemp("permissions"),
        trunks=[PEERS],
        routes=[f"_0X.={OUTSIDE}:{PORT}"],
        extra=CONFIGURED,
    )
    # What a range says itself would win over a class.
    made.replace("extensions.yaml", "    context: internal\n", "")
    with made:
        yield made


@pytest.fixture
def phones(switch: Switch, tmp_path: Path) -> Iterator[Phones]:
    with phones_of(switch, tmp_path, ears=True) as made:
        yield made


@pytest.mark.parametrize(
    ("caller", "number", "expected"),
    [
        ("104", NEAR, Refusal(404, ["Q.850;cause=3"], [])),
        ("101", ABROAD, Refusal(403, [BARRED], [])),
        ("101", "0900123456", Refusal(403, [BARRED], [])),
    ],
    ids=["no such route", "international", "premium"],
)
def test_who_may_not_call_there(phones: Phones, caller: str, number: str, expected: Refusal) -> None:
    """The trunk hears nothing of it."""
    gateway = phones.gateway(PORT, "uas_talk")
    refused = phones.calls(caller, number, "uac_turned_away")
    finish(refused)
    assert refusal(refused) == expected
    assert invitation(gateway) == ""
    [record] = phones.over(1)
    phones.check_refused(record, expected.status, int(expected.reason[0].partition("=")[2]), caller)


def test_a_caller_from_a_trunk_may_not_call_abroad_by_another(phones: Phones) -> None:
    gateway = phones.gateway(PORT, "uas_talk")
    finish(phones.comes(ABROAD, "uac_forbidden"))
    assert invitation(gateway) == ""
    [record] = phones.over(1)
    phones.check_refused(record, 403, 52, "peers")


def test_who_may_call_abroad_once_a_minute(phones: Phones) -> None:
    gateway = phones.gateway(PORT, "uas_talk")
    caller = phones.calls("103", ABROAD, "uac_call_auth", "-d", "800")
    finish(caller, gateway)
    second_gateway = phones.gateway(PORT, "uas_talk")
    again = phones.calls("103", ABROAD, "uac_turned_away")
    finish(again)
    assert refusal(again) == Refusal(403, [BARRED], [])
    assert invitation(second_gateway) == ""
    refused, talked = phones.over(2)
    phones.check_refused(refused, 403, 52, "103")
    assert [phones.heard(each) for each in (caller, gateway)] == [[{"outside"}], [{"103"}]]
    assert phones.traces(talked) == Traces("ring talk", "103 outside", "outside", "103")


def test_a_class_with_one_call_that_is_never_recorded(phones: Phones) -> None:
    """A second one is busy, from here, which is refused at the door and no contact, and to here; the first goes on."""
    called = phones.called("104", "uas_talk")
    caller = phones.calls("102", "104", "uac_left")
    phones.talking(seconds=0.6)
    second, to_it = phones.calls("104", "103", "uac_turned_away"), phones.calls("101", "104", "uac_turned_away")
    finish(second, to_it)
    assert refusal(second) == Refusal(486, [], [])
    assert refusal(to_it) == Refusal(486, ["Q.850;cause=17"], [])
    phones.hang_up("102")
    finish(caller, called)
    assert [phones.heard(each) for each in (caller, called)] == [[{"104"}], [{"102"}]]
    refused, talked = sorted(phones.over(2), key=lambda record: record["caller_number"])
    phones.check_refused(refused, 486, 17, "101")
    assert (kinds(talked), legs(phones.switch, talked)) == (["ring", "talk"], ["102", "104"])
    assert (talked["cause"], talked["recording"]) == ("16", "")


def digits(text: str) -> dict[str, str]:
    return {f"d{place}": digit for place, digit in enumerate(text, 1)}


def test_the_right_pin(phones: Phones) -> None:
    """The gateway is called behind it; what asks for it is not recorded."""
    gateway = phones.gateway(PORT, "uas_bye")
    caller = phones.calls("105", ABROAD, "uac_digits", **digits("25801#"))
    finish(caller, gateway)
    [record] = phones.over(1)
    assert (record["ended_by"], record["cause"]) == ("callee", "16")
    assert phones.heard(gateway) == [{"105"}]
    *asked, last = phones.heard(caller)
    assert last == {"outside"}
    assert {"outside"} not in asked
    assert phones.traces(record) == Traces("pin ring talk", "105 outside", "outside", "105")


def test_three_wrong_pins(phones: Phones) -> None:
    """The call is over, and has cost nothing."""
    gateway = phones.gateway(PORT, "uas_bye")
    caller = phones.calls("105", ABROAD, "uac_digits", **digits("1#1#1#"))
    finish(caller)
    assert invitation(gateway) == ""
    assert {"outside"} not in phones.heard(caller)
    [record] = phones.over(1)
    phones.check_refused(record, 403, 52, "105")
    assert kinds(record) == ["pin"]
