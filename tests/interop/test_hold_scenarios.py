"""SIPps that hold, and are held: what each of the two hears, the segments, and what is recorded meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.audio import write_tone
from harness.evidence import Traces
from harness.sipp_phones import HOST, PEERS, TONES, Phones, finish, lamp, phones_of
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

CONFIGURED = """
media: {{sounds: {{music: {{bells: {{directory: {music}/bells}}, horns: {{directory: {music}/horns}}}}}}}}
extensions:
  "101": {{music_on_hold: horns}}
  "102": {{music_on_hold: bells}}
defaults: {{extension: {{record: always}}}}
"""


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    directory = tmp_path_factory.mktemp("hold")
    for name in ("bells", "horns"):
        (directory / name).mkdir()
        write_tone(directory / name / "tone.wav", TONES[name], 10.0)
    with Switch(directory, trunks=[PEERS], extra=FOR_SIPP + CONFIGURED.format(music=directory)) as made:
        yield made


@pytest.fixture
def phones(switch: Switch, tmp_path: Path) -> Iterator[Phones]:
    with phones_of(switch, tmp_path, ears=True) as made:
        yield made


@pytest.mark.parametrize(("way", "held_at"), [("sendonly", HOST), ("inactive", HOST), ("sendrecv", "0.0.0.0")])
def test_the_caller_holds(phones: Phones, way: str, held_at: str) -> None:
    """102 hears the music of its own class, and is offered nothing. RFC 2543: c=0.0.0.0 is a hold, too."""
    partner = phones.called("102", "uas_call")
    watcher = phones.watches("103", "101")
    holder = phones.calls("101", "102", "uac_holds", "-d", "600", talk="600", hold="600", way=way, held_at=held_at)
    finish(holder, partner, watcher)
    assert lamp(watcher) == ["idle", "confirmed", "confirmed held", "confirmed", "idle"]
    [record] = phones.over(1)
    assert phones.heard(partner) == [{"101"}, {"bells"}, {"101"}]
    assert phones.heard(holder) == [{"102"}, {"102"}]
    assert phones.traces(record) == Traces("ring talk hold talk", "101 102", "101 101", "102")


def test_a_hold_that_is_carried(phones: Phones) -> None:
    """104 has no music: it is offered the hold, and the resumption, and hears nothing between them."""
    partner = phones.called("104", "uas_talk")
    holder = phones.calls("101", "104", "uac_holds", "-d", "600", talk="600", hold="600", way="inactive", held_at=HOST)
    finish(holder, partner)
    assert re.findall(r"^a=(sendrecv|inactive)", partner.messages(), re.M)[1:] == ["inactive"] * 2 + ["sendrecv"] * 2
    [record] = phones.over(1)
    assert phones.heard(partner) == [{"101"}, {"101"}]
    assert phones.heard(holder) == [{"104"}, {"104"}]
    assert phones.traces(record) == Traces("ring talk hold talk", "101 104", "101 101", "104 104")


def test_both_hold_at_once(phones: Phones) -> None:
    """While both do, neither hears anything; then each hears its own class until the other one is back."""
    partner = phones.called("102", "uas_holds", talk="1200", hold="1200", way="sendonly", held_at=HOST)
    caller = phones.calls(
        "101", "102", "uac_holds", "-d", "1200", talk="600", hold="1200", way="sendonly", held_at=HOST
    )
    finish(caller, partner)
    [record] = phones.over(1)
    assert phones.heard(partner) == [{"101"}, {"bells"}, {"101"}]
    assert phones.heard(caller) == [{"102"}, {"horns"}, {"102"}]
    assert phones.traces(record) == Traces("ring talk hold talk", "101 102", "101 101", "102 102")


def test_holds_that_cross(phones: Phones) -> None:
    """RFC 3261 14.2: 104 holds, and while the caller is offered that it offers its own hold: 491, and it takes the
    other's. Without music the hold is carried, and SIPp goes on sending, as whoever holds may."""
    partner = phones.called("104", "uas_reinvite")
    caller = phones.comes("104", "uac_glare")
    finish(caller, partner)
    assert "SIP/2.0 491 " in caller.messages()
    [record] = phones.over(1)
    assert phones.heard(caller) == [{"104"}]
    assert phones.heard(partner) == [{"peers"}]
    assert phones.traces(record) == Traces("ring talk hold", "peers 104", "peers", "104")


def test_a_hold_that_crosses_one_of_the_other_side(phones: Phones) -> None:
    """104 answers the hold that is carried to it with 491, and is asked again; until then the two talk on."""
    partner = phones.called("104", "uas_glare")
    caller = phones.comes("104", "uac_reinvite")
    finish(caller, partner)
    [record] = phones.over(1)
    assert phones.heard(caller) == [{"104"}]
    assert phones.heard(partner) == [{"peers"}]
    assert phones.traces(record) == Traces("ring talk hold", "peers 104", "peers", "104")


def test_hold_by_command(phones: Phones) -> None:
    """101 is held: it hears music, and neither of the two is offered anything."""
    partner = phones.called("102", "uas_call")
    caller = phones.calls("101", "102", "uac_left")
    phones.talking(seconds=0.6)

    def stays(seconds: float) -> None:
        begun = phones.switch.status().calls[0].age
        wait_for(lambda: phones.switch.status().calls[0].age >= begun + seconds, f"{seconds} s of it")

    for words in (("hold", "102"), ("resume", "102")):
        phones.switch.run_here("call", *words, "--config", str(phones.switch.config))
        stays(0.6)
    phones.hang_up("101")
    finish(caller, partner)
    [record] = phones.over(1)
    assert phones.heard(caller) == [{"102"}, {"horns"}, {"102"}]
    assert phones.heard(partner) == [{"101"}, {"101"}]
    assert phones.traces(record) == Traces("ring talk hold talk", "101 102", "101", "102")
