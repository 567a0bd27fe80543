"""SIPp's telephones that refer, replace, join, hold and park: what the switch answers, to the letter.

A scenario of SIPp is one dialog. Where a telephone needs two (attended transfer, Replaces of a call that it has) they
are two SIPps of one extension, and the second is told the dialog of the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.audio import Tone
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import FOR_SIPP, Switch
from harness.voice import Voice, check_recording, silence, story
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

HOST = "127.0.0.51"

TONES = {
    "101": Tone(500.0, -18.0),
    "101/2": Tone(700.0, -18.0),
    "102": Tone(900.0, -18.0),
    "103": Tone(1200.0, -18.0),
    "104": Tone(1600.0, -18.0),
}
"""What each telephone says; 101 has two."""
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


class Phones:
    """One switch for all, and SIPps that are its extensions."""

    def __init__(self, switch: Switch, directory: Path) -> None:
        self.switch = switch
        self.directory = directory
        self.known = {record["contact"] for record in switch.cdrs()}
        self.voices: dict[Sipp, Voice] = {}

    def called(self, extension: str, scenario: str) -> Sipp:
        """An extension that is registered, and takes a call so; it says its tone."""
        users = self.switch.users_file(extension)
        place = (HOST, free_ports(1, HOST))
        Sipp(self.directory, "register_star", place, self.switch.address, users=users).finish()
        Sipp(self.directory, "register_keep", place, self.switch.address, users=users).finish()
        return self._speaks(Sipp(self.directory, scenario, place, receive_timeout=25), extension)

    def _speaks(self, sipp: Sipp, voice: str) -> Sipp:
        self.voices[sipp] = Voice(sipp, HOST, TONES[voice])
        return sipp

    def heard(self, sipp: Sipp) -> list[set[str]]:
        """Whom a telephone has heard, one after the other; it hears nobody any more."""
        voice = self.voices[sipp]
        voice.close()
        return story(voice.heard(), TONES)

    def wait_heard(self, sipp: Sipp, expected: list[set[str]]) -> None:
        """Until a telephone has heard them."""
        samples = self.voices[sipp].heard
        wait_for(lambda: story(samples(), TONES) == expected, lambda: f"{expected}: {story(samples(), TONES)}")

    def close(self) -> None:
        for voice in self.voices.values():
            voice.close()

    def calls(self, extension: str, number: str, scenario: str, *options: str, **keys: str) -> Sipp:
        """An extension that calls a number; `keys`: words of the scenario, and `voice` where it is not the first
        telephone of that extension."""
        voice = keys.pop("voice", extension)
        options = options or ("-d", "1000")  # where the scenario has a pause of no fixed length
        words = [word for key, value in keys.items() for word in ("-key", key, value)]
        sipp = Sipp(
            self.directory,
            scenario,
            (HOST, free_ports(1, HOST)),
            self.switch.address,
            service=number,
            users=self.switch.users_file(extension),
            receive_timeout=25,
            options=("-auth_uri", f"{number}@{self.switch.address}", *options, *words),
        )
        return self._speaks(sipp, voice)

    def hang_up(self, call: str) -> None:
        self.switch.run_here("call", "hangup", call, "--config", str(self.switch.config))

    def uri(self, number: str, dialog: str = "") -> str:
        header = dialog.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        return f"sip:{number}@{self.switch.address}" + (f"?Replaces={header}" if dialog else "")

    def talking(self, calls: int = 1) -> None:
        wait_for(lambda: [call.state for call in self.switch.status().calls].count("talking") == calls, "talking")

    def over(self, calls: int) -> list[dict[str, str]]:
        """The records of the calls of one test, latest first."""
        self.switch.wait_calls(0, 15)

        def found() -> list[dict[str, str]]:
            new = [record for record in self.switch.cdrs() if record["contact"] not in self.known]
            return new if len(new) == calls else []

        return wait_for(found, f"{calls} records")


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    made = Switch(tmp_path_factory.mktemp("transfers"), extra=CONFIGURED, routes_of_own=ROUTES)
    with made:
        yield made


@pytest.fixture
def phones(switch: Switch, tmp_path: Path) -> Iterator[Phones]:
    """After a test that failed its calls are ended: the next one is to find none."""
    made = Phones(switch, tmp_path)
    yield made
    made.close()
    for call in switch.status().calls:
        made.hang_up(call.contact)
    switch.wait_calls(0)


def dialog_of(sipp: Sipp, status: int = 200) -> str:
    """The dialog of a caller, as the switch sees it: its own tag is in the To of the answer."""

    def answer() -> str | None:
        for message in re.split(r"-{20,}", sipp.messages()):
            if re.search(rf"^SIP/2.0 {status} ", message, re.M) and "CSeq: 2 INVITE" in message:
                return message
        return None

    text = wait_for(answer, f"an answer {status} to {sipp.scenario}")
    call_id, to, caller = (
        re.findall(pattern, text)[0] for pattern in (r"Call-ID: (\S+)", r"To: .*;tag=(\S+)", r"From: .*;tag=(\S+)")
    )
    return f"{call_id};to-tag={to};from-tag={caller}"


def notified(sipp: Sipp) -> list[int]:
    """The statuses that NOTIFYs have told of, each once."""
    told = {}
    for message in re.split(r"-{20,}", sipp.messages()):
        if re.search(r"^NOTIFY sip:", message, re.M):
            cseq = int(re.findall(r"CSeq: (\d+)", message)[0])
            told[cseq] = int(re.findall(r"^SIP/2.0 (\d{3})", message, re.M)[0])
            over = "Subscription-State: terminated" in message
            assert over == (told[cseq] >= 200), message
    return [told[cseq] for cseq in sorted(told)]


def kinds(record: dict[str, str]) -> list[str]:
    """Of its segments, in order, without the choice of a route."""
    told = [each.split(" ")[0] for each in record["segments"].split(", ")]
    return [kind for kind in told if kind != "route"]


def finish(*sipps: Sipp) -> None:
    for each in sipps:
        each.finish(30)


def test_blind_transfer(phones: Phones) -> None:
    """101 sends 102 to 103, which rings, answers and hangs up."""
    partner, target = phones.called("102", "uas_talk"), phones.called("103", "uas_bye")
    referrer = phones.calls("101", "102", "uac_refer", refer_to=phones.uri("103"))
    finish(referrer, partner, target)
    assert notified(referrer) == [100, 180, 200]
    [record] = phones.over(1)
    assert (record["cause"], record["destination"]) == ("16", "103")
    assert kinds(record) == ["ring", "talk", "ring", "talk"]
    assert phones.heard(partner) == [{"101"}, {"103"}]
    assert phones.heard(referrer) == [{"102"}]
    assert phones.heard(target) == [{"102"}]
    check_recording(record, TONES, {"101", "102", "103"})


def test_blind_transfer_to_nobody(phones: Phones) -> None:
    """The two talk again."""
    partner = phones.called("102", "uas_talk")
    referrer = phones.calls("101", "102", "uac_refer_failed", refer_to=phones.uri("77777"))
    finish(referrer, partner)
    assert notified(referrer) == [100, 404]
    [record] = phones.over(1)
    assert (record["ended_by"], kinds(record)) == ("caller", ["ring", "talk"])
    assert (phones.heard(partner), phones.heard(referrer)) == ([{"101"}], [{"102"}])
    check_recording(record, TONES, {"101", "102"})


def test_rfc4488_without_a_subscription(phones: Phones) -> None:
    partner, target = phones.called("102", "uas_talk"), phones.called("103", "uas_bye")
    referrer = phones.calls("101", "102", "uac_refer_nosub", refer_to=phones.uri("103"))
    finish(referrer, partner, target)
    assert notified(referrer) == []
    [record] = phones.over(1)
    assert kinds(record) == ["ring", "talk", "ring", "talk"]
    assert (phones.heard(partner), phones.heard(target)) == ([{"101"}, {"103"}], [{"102"}])
    check_recording(record, TONES, {"101", "102", "103"})


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
    assert (kinds(gone), kinds(kept)) == (["ring", "talk"], ["ring", "talk"])
    assert {each.who for each in check_recording(kept, TONES, {"101", "102", "103"})} == {"101", "102", "103"}
    check_recording(gone, TONES, {"101", "102"} if gone["dialled"] == "102" else {"101", "103"})


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
    kept = next(record for record in phones.over(2) if not record["joined"])
    assert kinds(kept) == ["ring", "talk", "ring", "talk"]
    check_recording(kept, TONES, {"101", "102", "103"})


def test_attended_transfer_to_no_dialog(phones: Phones) -> None:
    partner = phones.called("102", "uas_talk")
    nowhere = phones.uri("103", "nobody@nowhere;to-tag=a;from-tag=b")
    referrer = phones.calls("101", "102", "uac_refer_failed", refer_to=nowhere)
    finish(referrer, partner)
    assert notified(referrer) == [100, 481]
    [record] = phones.over(1)
    assert kinds(record) == ["ring", "talk"]
    assert (phones.heard(partner), phones.heard(referrer)) == ([{"101"}], [{"102"}])
    check_recording(record, TONES, {"101", "102"})


def test_rfc3891_a_second_telephone_takes_the_call_over(phones: Phones) -> None:
    partner = phones.called("102", "uas_talk")
    first = phones.calls("101", "102", "uac_left")
    phones.wait_heard(partner, [{"101"}])
    dialog = dialog_of(first)
    second = phones.calls("101", "102", "uac_replaces", "-d", "1000", header="Replaces", dialog=dialog, voice="101/2")
    finish(first, second, partner)
    [record] = phones.over(1)
    assert (record["ended_by"], kinds(record)) == ("caller", ["ring", "talk"])
    assert phones.heard(partner) == [{"101"}, {"101/2"}]
    assert (phones.heard(first), phones.heard(second)) == ([{"102"}], [{"102"}])
    check_recording(record, TONES, {"101", "102"})


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
    phones.wait_heard(partner, [{"101"}])
    phones.hang_up("102")
    finish(first, partner)
    record = phones.over(1 if status == 486 else 2)[-1]
    assert phones.heard(first) == [{"102"}]
    assert kinds(record) == ["ring", "talk"]
    check_recording(record, TONES, {"101", "102"})


def test_rfc3911_a_second_telephone_joins(phones: Phones) -> None:
    partner = phones.called("102", "uas_talk")
    first = phones.calls("101", "102", "uac_left")
    phones.talking()
    phones.wait_heard(partner, [{"101"}])
    dialog = dialog_of(first)
    second = phones.calls("101", "102", "uac_replaces", "-d", "1000", header="Join", dialog=dialog, voice="101/2")
    finish(second)
    phones.wait_heard(partner, [{"101"}, {"101", "101/2"}, {"101"}])
    phones.hang_up("102")
    finish(first, partner)
    [record] = phones.over(1)
    assert kinds(record) == ["ring", "talk", "conference", "talk"]
    assert phones.heard(second) == [{"101", "102"}]
    assert phones.heard(first) == [{"102"}, {"101/2", "102"}, {"102"}]
    check_recording(record, TONES, {"101", "102"})


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
    assert kinds(record) == ["ring", "talk"]
    assert (phones.heard(caller), phones.heard(taker), phones.heard(ringing)) == ([{"103"}], [{"101"}], [])
    check_recording(record, TONES, {"101", "103"})


@pytest.mark.parametrize("scenario", ["uac_hold_ways", "uac_hold_update"])
def test_hold_in_three_ways(phones: Phones, scenario: str) -> None:
    partner = phones.called("102", "uas_held_ways")
    holder = phones.calls("101", "102", scenario)
    finish(holder, partner)
    [record] = phones.over(1)
    assert kinds(record) == ["ring", *["talk", "hold"] * 3, "talk"]
    assert (phones.heard(partner), phones.heard(holder)) == ([{"101"}], [{"102"}])
    # Three holds of 300 ms: the holder hears nothing meanwhile; the held one does not while it is `inactive`, since
    # without music a telephone that holds by `sendonly` or 0.0.0.0 may go on sending.
    assert 0.7 < silence(phones.voices[holder].heard()) < 1.3
    assert 0.2 < silence(phones.voices[partner].heard()) < 0.5
    check_recording(record, TONES, {"101", "102"})


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
    assert kinds(record) == ["ring", "talk", "park", "talk"]
    assert (phones.heard(partner), phones.heard(parker)) == ([{"101"}, {"103"}], [{"102"}])
    assert phones.heard(fetcher) == [{"102"}]
    check_recording(record, TONES, {"101", "102", "103"})
