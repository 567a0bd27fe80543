"""SIPp's telephones that refer, replace, join, hold and park: what the switch answers, to the letter, who hears whom,
and what is left of it: the record and the recording.

A scenario of SIPp is one dialog. Where a telephone needs two (attended transfer, Replaces of a call that it has) they
are two SIPps of one extension, and the second is told the dialog of the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.evidence import Traces, kinds
from harness.sipp import Sipp
from harness.sipp_phones import Phones, dialog_of, finish, notified, phones_of
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

CONFIGURED = (
    FOR_SIPP
    + """
parking: {main: {slots: 701-702, timeout: 30}}
extensions:
  "102": {groups: [sales]}
  "103": {groups: [sales]}
defaults: {extension: {record: always}}
"""
)
ROUTES = ('{to: "700", park: main}', '{to: _70X, retrieve: "{number}"}')


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    made = Switch(tmp_path_factory.mktemp("transfers"), extra=CONFIGURED, routes_of_own=ROUTES)
    with made:
        yield made


@pytest.fixture
def phones(switch: Switch, tmp_path: Path) -> Iterator[Phones]:
    with phones_of(switch, tmp_path) as made:
        yield made


def check_sent_on(phones: Phones, record: dict[str, str], referrer: Sipp, partner: Sipp, target: Sipp) -> None:
    """102 has talked to 101, then to 103, and is the customer since."""
    assert [phones.heard(each) for each in (referrer, partner, target)] == ["102", "101 103", "102"]
    assert phones.traces(record) == Traces("ring talk ring talk", "101 102 103", "101 102", "102 103")


def test_blind_transfer(phones: Phones) -> None:
    """101 sends 102 to 103, which rings, answers and hangs up."""
    partner, target = phones.called("102", "uas_talk"), phones.called("103", "uas_bye")
    referrer = phones.calls("101", "102", "uac_refer", refer_to=phones.uri("103"))
    finish(referrer, partner, target)
    assert notified(referrer) == [100, 180, 200]
    [record] = phones.over(1)
    assert (record["cause"], record["destination"]) == ("16", "103")
    check_sent_on(phones, record, referrer, partner, target)


def test_blind_transfer_to_nobody(phones: Phones) -> None:
    """The two talk again."""
    partner = phones.called("102", "uas_talk")
    referrer = phones.calls("101", "102", "uac_refer_failed", refer_to=phones.uri("77777"))
    finish(referrer, partner)
    assert notified(referrer) == [100, 404]
    [record] = phones.over(1)
    assert record["ended_by"] == "caller"
    check_talked_on(phones, record, referrer, partner)


def check_talked_on(phones: Phones, record: dict[str, str], referrer: Sipp, partner: Sipp) -> None:
    """As if nothing had been asked: nobody was rung."""
    assert [phones.heard(each) for each in (referrer, partner)] == ["102", "101"]
    assert float(record["billsec"]) > 0.9, "half a second before it, and as much after it"
    assert phones.traces(record) == Traces("ring talk", "101 102", "101", "102")


def test_rfc4488_without_a_subscription(phones: Phones) -> None:
    partner, target = phones.called("102", "uas_talk"), phones.called("103", "uas_bye")
    referrer = phones.calls("101", "102", "uac_refer_nosub", refer_to=phones.uri("103"))
    finish(referrer, partner, target)
    assert notified(referrer) == []
    [record] = phones.over(1)
    check_sent_on(phones, record, referrer, partner, target)


def test_a_refer_outside_any_call(phones: Phones) -> None:
    finish(phones.calls("101", "102", "uac_refer_outside", refer_to=phones.uri("103")))
    assert {each["contact"] for each in phones.switch.cdrs()} == phones.known, "it makes no call"


def test_attended_transfer(phones: Phones) -> None:
    """101 talks to 103, calls 102, and leaves the two to each other."""
    first, second = phones.called("102", "uas_talk"), phones.called("103", "uas_talk")
    left = phones.calls("101", "103", "uac_left")
    phones.talking()
    referrer = phones.calls("101'", "102", "uac_refer", refer_to=phones.uri("103", dialog_of(left)))
    finish(referrer, left)
    assert notified(referrer) == [100, 200]
    wait_for(lambda: len(phones.switch.status().calls) == 1, "one call is left")
    phones.a_while()
    phones.hang_up()
    finish(first, second)
    records = phones.over(2)
    [gone] = [record for record in records if record["ended_by"] == "transfer"]
    [kept] = [record for record in records if record["ended_by"] != "transfer"]
    assert (gone["joined"], kept["joined"], kept["ended_by"]) == (kept["contact"], "", "switch")
    assert [phones.heard(each) for each in (left, referrer)] == ["103", "102"]
    assert [phones.heard(each) for each in (first, second)] == ["101' 103", "101 102"]
    assert phones.traces(gone) == Traces("ring talk", "101 102", "101'", "102")
    assert phones.traces(kept) == Traces("ring talk", "101 103 102", "101 102", "103")


def test_semi_attended_transfer(phones: Phones) -> None:
    """It rings at 103 when 101 leaves it to 102: 487 there, and 180 and 200 are told."""
    partner, slow = phones.called("102", "uas_talk"), phones.called("103", "uas_call_slow")
    referrer_waits = phones.calls("101", "103", "uac_left_ringing")
    dialog = dialog_of(referrer_waits, 180)
    referrer = phones.calls("101'", "102", "uac_refer", refer_to=phones.uri("103", dialog))
    finish(referrer, referrer_waits)
    assert notified(referrer) == [100, 180, 200]
    phones.a_while()
    phones.hang_up()
    finish(partner, slow)
    records = phones.over(2)
    [rang] = [record for record in records if record["ended_by"] == "transfer"]
    [kept] = [record for record in records if record["ended_by"] != "transfer"]
    assert (rang["joined"], kinds(rang), rang["recording"]) == (kept["contact"], ["ring"], "")
    assert [phones.heard(each) for each in (referrer, partner, slow)] == ["102", "101' ringback 103", "102"]
    assert phones.traces(kept) == Traces("ring talk ring talk", "101 102 103", "101' 102", "102 103")


def test_attended_transfer_to_no_dialog(phones: Phones) -> None:
    partner = phones.called("102", "uas_talk")
    nowhere = phones.uri("103", "nobody@nowhere;to-tag=a;from-tag=b")
    referrer = phones.calls("101", "102", "uac_refer_failed", refer_to=nowhere)
    finish(referrer, partner)
    assert notified(referrer) == [100, 481]
    [record] = phones.over(1)
    check_talked_on(phones, record, referrer, partner)


def test_rfc3891_a_second_telephone_takes_the_call_over(phones: Phones) -> None:
    partner = phones.called("102", "uas_talk")
    first = phones.calls("101", "102", "uac_left")
    phones.talking()
    phones.a_while()
    second = phones.calls("101'", "102", "uac_replaces", "-d", "1000", header="Replaces", dialog=dialog_of(first))
    finish(first, second, partner)
    [record] = phones.over(1)
    assert record["ended_by"] == "caller"
    assert [phones.heard(each) for each in (first, second, partner)] == ["102", "102", "101 101'"]
    assert phones.traces(record) == Traces("ring talk", "101 102 101", "101 101'", "102")


@pytest.mark.parametrize(("by", "status", "more"), [("101", 481, ""), ("101", 486, ";early-only"), ("104", 403, "")])
def test_rfc3891_3_what_can_not_be_replaced(phones: Phones, by: str, status: int, more: str) -> None:
    """Another's dialog, one that is answered where it should ring, one that there is not."""
    partner = phones.called("102", "uas_talk")
    first = phones.calls("101", "102", "uac_left")
    phones.talking()
    dialog = dialog_of(first) + more if status != 481 else "nobody@nowhere;to-tag=a;from-tag=b"
    comes = phones.calls(by, "102", "uac_replaces_refused", header="Replaces", dialog=dialog)
    finish(comes)
    assert f"SIP/2.0 {status} " in comes.messages()
    phones.talking()
    phones.a_while()
    phones.switch.run_here("call", "hangup", "102", "--config", str(phones.switch.config))
    finish(first, partner)
    [talked] = [record for record in phones.over(1 if status == 486 else 2) if record["answered"]]
    assert [phones.heard(each) for each in (first, partner)] == ["102", "101"]
    assert phones.traces(talked) == Traces("ring talk", "101 102", "101", "102")


def test_rfc3911_a_second_telephone_joins(phones: Phones) -> None:
    partner = phones.called("102", "uas_talk")
    first = phones.calls("101", "102", "uac_left")
    phones.talking()
    phones.a_while()
    second = phones.calls("101'", "102", "uac_replaces", "-d", "1000", header="Join", dialog=dialog_of(first))
    finish(second)
    phones.talking()
    phones.a_while()
    phones.switch.run_here("call", "hangup", "102", "--config", str(phones.switch.config))
    finish(first, partner)
    [record] = phones.over(1)
    assert phones.heard(first) == "102 101'+102 102"
    assert phones.heard(partner) == "101 101+101' 101"
    assert phones.heard(second) == "101+102"
    assert phones.traces(record) == Traces("ring talk conference talk", "101 102 101", "101", "102 101'+102 102")


def test_rfc3891_a_ringing_call_is_picked_up(phones: Phones) -> None:
    """103 takes the call that rings at 102, by the dialog that 102 has: what a busy lamp is told of."""
    ringing = phones.called("102", "uas_cancelled_elsewhere")
    caller = phones.calls("101", "102", "uac_left")

    def invited() -> str | None:
        found = re.findall(r"INVITE sip:.*?\n\n", ringing.messages().replace("\r", ""), re.S)
        return found[0] if found and "180 Ringing" in ringing.messages() else None

    text = wait_for(invited, "an INVITE to 102")
    call_id, ours = (re.findall(pattern, text)[0] for pattern in (r"Call-ID: (\S+)", r"From: .*;tag=(\S+)"))
    theirs = re.findall(r"To: .*;tag=(\S+)", ringing.messages())[0]
    dialog = f"{call_id};to-tag={ours};from-tag={theirs};early-only"
    taker = phones.calls("103", "102", "uac_replaces", "-d", "1000", header="Replaces", dialog=dialog)
    finish(ringing, taker, caller)
    [record] = phones.over(1)
    assert (record["destination"], record["ended_by"], record["legs"]) == ("103", "callee", "3")
    assert [phones.heard(each) for each in (caller, ringing, taker)] == ["103", "", "101"]
    assert phones.traces(record) == Traces("ring talk", "101 102 103", "101", "103")


@pytest.mark.parametrize("scenario", ["uac_hold_ways", "uac_hold_update"])
def test_hold_in_three_ways(phones: Phones, scenario: str) -> None:
    partner = phones.called("102", "uas_held_ways")
    holder = phones.calls("101", "102", scenario)
    finish(holder, partner)
    [record] = phones.over(1)
    # Who holds with sendonly or 0.0.0.0 may send on, with inactive it may not; it hears nothing. So it is recorded.
    heard = "101 101", "102 102 102 102"
    assert (phones.heard(partner), phones.heard(holder)) == heard
    assert phones.traces(record) == Traces(" ".join(["ring", *["talk", "hold"] * 3, "talk"]), "101 102", *heard)


def test_a_caller_is_parked_and_fetched(phones: Phones) -> None:
    """101 parks 102 by REFER to the lot, hears the slot, is told 200 and goes; 103 dials the slot."""
    partner = phones.called("102", "uas_talk")
    parker = phones.calls("101", "102", "uac_refer", refer_to=phones.uri("700"))
    finish(parker)
    assert notified(parker) == [100, 200]
    assert [call.state for call in phones.switch.status().calls] == ["parked"]
    fetcher = phones.calls("103", "701", "uac_call_auth", "-d", "1000")
    finish(fetcher, partner)
    [record] = phones.over(1)
    assert phones.heard(parker) == "102 music", "a voice says the slot"
    assert [phones.heard(each) for each in (partner, fetcher)] == ["101 music 103", "102"]
    assert phones.traces(record) == Traces("ring talk park talk", "101 102 103", "101 102", "102 103")
