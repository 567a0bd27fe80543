"""SIPp's telephones that refer, replace, join, hold and park: what the switch answers, to the letter.

A scenario of SIPp is one dialog. Where a telephone needs two (attended transfer, Replaces of a call that it has) they
are two SIPps of one extension, and the second is told the dialog of the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.evidence import Traces, kinds
from harness.sipp_phones import Phones, dialog_of, finish, lamp, notified, phones_of
from harness.switch import FOR_SIPP, Switch
from harness.voice import silence
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

CONFIGURED = (
    FOR_SIPP
    + """
parking: {main: {slots: 701-702, timeout: 30}}
defaults: {extension: {record: always, nat: "yes"}}
extensions:
  "102": {groups: [sales]}
  "103": {groups: [sales]}
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


def test_blind_transfer(phones: Phones) -> None:
    """101 sends 102 to 103, which rings, answers and hangs up."""
    partner, target = phones.called("102", "uas_talk"), phones.called("103", "uas_bye")
    referrer = phones.calls("101", "102", "uac_refer", refer_to=phones.uri("103"))
    finish(referrer, partner, target)
    assert notified(referrer) == [100, 180, 200]
    [record] = phones.over(1)
    assert (record["cause"], record["destination"]) == ("16", "103")
    assert phones.heard(partner) == [{"101"}, {"103"}]
    assert phones.heard(referrer) == [{"102"}]
    assert phones.heard(target) == [{"102"}]
    assert phones.traces(record) == Traces("ring talk ring talk", "101 102 103", "101 103", "102")


def test_blind_transfer_to_nobody(phones: Phones) -> None:
    """The two talk again."""
    partner = phones.called("102", "uas_talk")
    referrer = phones.calls("101", "102", "uac_refer_failed", refer_to=phones.uri("77777"))
    finish(referrer, partner)
    assert notified(referrer) == [100, 404]
    [record] = phones.over(1)
    assert record["ended_by"] == "caller"
    assert (phones.heard(partner), phones.heard(referrer)) == ([{"101"}], [{"102"}])
    assert phones.traces(record) == Traces("ring talk", "101 102", "101", "102")


def test_rfc4488_without_a_subscription(phones: Phones) -> None:
    partner, target = phones.called("102", "uas_talk"), phones.called("103", "uas_bye")
    referrer = phones.calls("101", "102", "uac_refer_nosub", refer_to=phones.uri("103"))
    finish(referrer, partner, target)
    assert notified(referrer) == []
    [record] = phones.over(1)
    assert (phones.heard(partner), phones.heard(target)) == ([{"101"}, {"103"}], [{"102"}])
    assert phones.traces(record) == Traces("ring talk ring talk", "101 102 103", "101 103", "102")


def test_a_refer_outside_any_call(phones: Phones) -> None:
    finish(phones.calls("101", "102", "uac_refer_outside", refer_to=phones.uri("103")))
    assert {each["contact"] for each in phones.switch.cdrs()} == phones.known, "it makes no call"


def test_attended_transfer(phones: Phones) -> None:
    """101 talks to 103, calls 102, and leaves the two to each other."""
    first, second = phones.called("102", "uas_talk"), phones.called("103", "uas_talk")
    left = phones.calls("101", "103", "uac_left")
    phones.talking()
    referrer = phones.calls("101", "102", "uac_refer", refer_to=phones.uri("103", dialog_of(left)))
    finish(referrer, left)
    assert notified(referrer) == [100, 200]
    wait_for(lambda: len(phones.switch.status().calls) == 1, "one call is left")
    phones.wait_heard(first, [{"101"}, {"103"}])
    phones.wait_heard(second, [{"101"}, {"102"}])
    phones.hang_up(phones.switch.status().calls[0].contact)
    finish(first, second)
    assert (phones.heard(left), phones.heard(referrer)) == ([{"103"}], [{"102"}])
    records = phones.over(2)
    [gone] = [record for record in records if record["ended_by"] == "transfer"]
    [kept] = [record for record in records if record["ended_by"] != "transfer"]
    assert (gone["joined"], kept["joined"], kept["ended_by"]) == (kept["contact"], "", "switch")
    assert phones.traces(kept) == Traces("ring talk", "101 103 102", "101 102", "103")
    assert phones.traces(gone) == Traces("ring talk", "101 102", "101", "102")


def test_semi_attended_transfer(phones: Phones) -> None:
    """It rings at 103 when 101 leaves it to 102: 487 there, and 180 and 200 are told."""
    partner, slow = phones.called("102", "uas_talk"), phones.called("103", "uas_call_slow")
    referrer_waits = phones.calls("101", "103", "uac_left_ringing")
    dialog = dialog_of(referrer_waits, 180)
    referrer = phones.calls("101", "102", "uac_refer", "-d", "400", refer_to=phones.uri("103", dialog))
    finish(referrer, referrer_waits)
    assert notified(referrer) == [100, 180, 200]
    phones.wait_heard(partner, [{"101"}, {"103"}])
    phones.wait_heard(slow, [{"102"}])
    phones.hang_up(phones.switch.status().calls[0].contact)
    finish(partner, slow)
    records = phones.over(2)
    [rang] = [record for record in records if record["ended_by"] == "transfer"]
    [kept] = [record for record in records if record["ended_by"] != "transfer"]
    assert (rang["joined"], kinds(rang), rang["recording"]) == (kept["contact"], ["ring"], "")
    assert phones.traces(kept) == Traces("ring talk ring talk", "101 102 103", "101 103", "102")


def test_attended_transfer_to_no_dialog(phones: Phones) -> None:
    partner = phones.called("102", "uas_talk")
    nowhere = phones.uri("103", "nobody@nowhere;to-tag=a;from-tag=b")
    referrer = phones.calls("101", "102", "uac_refer_failed", refer_to=nowhere)
    finish(referrer, partner)
    assert notified(referrer) == [100, 481]
    [record] = phones.over(1)
    assert (phones.heard(partner), phones.heard(referrer)) == ([{"101"}], [{"102"}])
    assert phones.traces(record) == Traces("ring talk", "101 102", "101", "102")


def test_rfc3891_a_second_telephone_takes_the_call_over(phones: Phones) -> None:
    partner = phones.called("102", "uas_talk")
    watcher = phones.watches("104", "101")
    first = phones.calls("101", "102", "uac_left")
    phones.wait_heard(partner, [{"101"}])
    phones.wait_heard(first, [{"102"}])
    dialog = dialog_of(first)
    second = phones.calls("101", "102", "uac_replaces", "-d", "1000", header="Replaces", dialog=dialog, voice="101/2")
    finish(first, second, partner, watcher)
    # Who comes has its answer before the other one is let go.
    assert lamp(watcher) == ["idle", "confirmed", "confirmed+confirmed", "confirmed", "idle"]
    [record] = phones.over(1)
    assert record["ended_by"] == "caller"
    assert phones.heard(partner) == [{"101"}, {"101/2"}]
    assert (phones.heard(first), phones.heard(second)) == ([{"102"}], [{"102"}])
    assert phones.traces(record) == Traces("ring talk", "101 102 101", "101 101/2", "102")


@pytest.mark.parametrize(
    ("header", "by", "status", "more"),
    [
        ("Replaces", "101", 481, ""),
        ("Replaces", "101", 486, ";early-only"),
        ("Replaces", "104", 403, ""),
        ("Join", "101", 481, ""),
        ("Join", "104", 403, ""),
    ],
)
def test_rfc3891_3_rfc3911_4_what_can_not_be_replaced_or_joined(
    phones: Phones, header: str, by: str, status: int, more: str
) -> None:
    """Another's dialog, one that is answered where it should ring, one that there is not: the two talk on."""
    partner = phones.called("102", "uas_talk")
    first = phones.calls("101", "102", "uac_left")
    phones.talking()
    dialog = dialog_of(first) + more if status != 481 else "nobody@nowhere;to-tag=a;from-tag=b"
    comes = phones.calls(by, "102", "uac_replaces_refused", header=header, dialog=dialog)
    finish(comes)
    assert f"SIP/2.0 {status} " in comes.messages()
    phones.wait_heard(partner, [{"101"}])
    phones.wait_heard(first, [{"102"}])
    phones.hang_up("102")
    finish(first, partner)
    record = phones.over(1 if status == 486 else 2)[-1]
    assert phones.heard(first) == [{"102"}]
    assert phones.traces(record) == Traces("ring talk", "101 102", "101", "102")


def test_rfc3911_a_second_telephone_joins(phones: Phones) -> None:
    partner = phones.called("102", "uas_talk")
    watcher = phones.watches("104", "101")
    first = phones.calls("101", "102", "uac_left")
    phones.talking()
    phones.wait_heard(partner, [{"101"}])
    phones.wait_heard(first, [{"102"}])
    dialog = dialog_of(first)
    second = phones.calls("101", "102", "uac_replaces", "-d", "1000", header="Join", dialog=dialog, voice="101/2")
    finish(second)
    phones.wait_heard(partner, [{"101"}, {"101", "101/2"}, {"101"}])
    phones.hang_up("102")
    finish(first, partner, watcher)
    assert lamp(watcher) == ["idle", "confirmed", "confirmed+confirmed", "confirmed", "idle"]
    [record] = phones.over(1)
    assert phones.heard(second) == [{"101", "102"}]
    assert phones.heard(first) == [{"102"}, {"101/2", "102"}, {"102"}]
    assert phones.traces(record) == Traces("ring talk conference talk", "101 102 101", "101", "102 101/2+102 102")


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
    assert (phones.heard(caller), phones.heard(taker), phones.heard(ringing)) == ([{"103"}], [{"101"}], [])
    assert phones.traces(record) == Traces("ring talk", "101 102 103", "101", "103")


@pytest.mark.parametrize("scenario", ["uac_hold_ways", "uac_hold_update"])
def test_hold_in_three_ways(phones: Phones, scenario: str) -> None:
    partner = phones.called("102", "uas_held_ways")
    holder = phones.calls("101", "102", scenario)
    finish(holder, partner)
    [record] = phones.over(1)
    assert (phones.heard(partner), phones.heard(holder)) == ([{"101"}], [{"102"}])
    # Three holds of 300 ms: the holder hears nothing meanwhile; the held one does not while it is `inactive`, since
    # without music a telephone that holds by `sendonly` or 0.0.0.0 may go on sending. So it is recorded.
    assert 0.7 < silence(phones.voices[holder].heard()) < 1.3
    assert 0.2 < silence(phones.voices[partner].heard()) < 0.5
    segments = " ".join(["ring", *["talk", "hold"] * 3, "talk"])
    assert phones.traces(record) == Traces(segments, "101 102", "101 101", "102 102 102 102")


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
    assert (phones.heard(partner), phones.heard(parker)) == ([{"101"}, {"103"}], [{"102"}])
    assert phones.heard(fetcher) == [{"102"}]
    assert phones.traces(record) == Traces("ring talk park talk", "101 102 103", "101 103", "102")
