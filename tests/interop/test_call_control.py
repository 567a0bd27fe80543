"""Calls with real telephones that are consulted, left to each other, parked, supervised: who hears whom at each step,
one record with its segments, one recording of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from harness.audio import Tone
from harness.baresip import Phone
from harness.ears import MUSIC, RINGBACK, listen, told_apart, wait_hears
from harness.evidence import Traces
from harness.linphone import Linphone
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

TONES = {
    "101": Tone(600.0, -18.0),
    "102": Tone(900.0, -18.0),
    "103": Tone(1300.0, -18.0),
    "104": Tone(1700.0, -18.0),
}
ROUTES = ('{to: "700", park: main}', '{to: _70X, retrieve: "{number}"}')
FLOOR = (
    FOR_SIPP
    + """
parking: {main: {slots: 701-702, timeout: 6}}
extensions:
  "102": {groups: [sales]}
  "103": {groups: [sales]}
  "104": {supervises: [sales]}
defaults: {extension: {record: always, music_on_hold: default}}
feature_codes: {pick_up: "**", pick_up_group: "*8"}
"""
)


class Floor:
    """A switch and its telephones, 101 and up."""

    def __init__(self, switch: Switch, phones: dict[str, Phone]) -> None:
        self.switch = switch
        self.phones = phones

    def __getitem__(self, number: str) -> Phone:
        return self.phones[number]

    def talk(self, caller: str, called: str) -> None:
        """They are connected, and hear each other."""
        self[caller].call(called)
        for number in (caller, called):
            self[number].wait_event("CALL_ESTABLISHED")
        self.hear({caller: {called}, called: {caller}})

    def do(self, *words: str) -> str:
        return self.switch.run_here("call", *words, "--config", str(self.switch.config))

    def hear(self, who: dict[str, set[str]]) -> None:
        for number, heard in who.items():
            wait_hears(self[number], heard, TONES)

    def gone(self, *numbers: str) -> None:
        for number in numbers:
            self[number].wait_event("CALL_CLOSED")

    def records(self, count: int = 1) -> list[dict[str, str]]:
        """After the last call, latest first."""
        self.switch.wait_calls(0)
        return wait_for(lambda: len(found := self.switch.cdrs()) == count and found, f"{count} records")

    def traces(self, record: dict[str, str]) -> Traces:
        return Traces.of(self.switch, record, TONES)


@contextmanager
def floor(
    tmp_path: Path, phones: int, workers: int = 0, silent: tuple[str, ...] = (), without: tuple[str, ...] = ()
) -> Iterator[Floor]:
    """`silent`: telephones that do not answer by themselves; `without`: those that the test itself brings."""
    switch = Switch(tmp_path, routes_of_own=ROUTES, extra=FLOOR + f"media: {{workers: {workers}}}\n")
    with switch, ExitStack() as stack:
        numbers = [number for number in map(str, range(101, 101 + phones)) if number not in without]
        made = {
            number: stack.enter_context(
                Phone(
                    tmp_path,
                    number,
                    switch.password(number),
                    switch.address,
                    TONES[number],
                    answers=number not in silent,
                )
            )
            for number in numbers
        }
        yield Floor(switch, made)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_consultation_is_completed(tmp_path: Path, workers: int) -> None:
    """Anna hears music while Ben hears ringing, then talks to Cyd, then leaves the two to each other."""
    with floor(tmp_path, 3, workers, silent=("103",)) as desk:
        desk.talk("101", "102")
        desk.do("consult", "102", "103")
        desk["103"].wait_event("CALL_INCOMING")
        wait_for(lambda: told_apart(listen(desk["102"]), TONES) == {RINGBACK}, "ringing is heard")
        desk.hear({"101": {MUSIC}})
        desk["103"].press("accept")
        desk.hear({"102": {"103"}, "103": {"102"}, "101": {MUSIC}})
        desk.do("complete", "102")
        desk.gone("102")
        desk.hear({"101": {"103"}, "103": {"101"}})
        desk["101"].hang_up()
        desk.gone("103")
        [record] = desk.records()
    assert (record["ended_by"], record["cause"], record["destination"]) == ("caller", "16", "103")
    # While it waits the customer's channel is silent.
    assert desk.traces(record) == Traces("ring talk consult talk", "101 102 103", "101 101", "102 102+103 103")


def test_swapped_joined_dropped_held_and_returned(tmp_path: Path) -> None:
    with floor(tmp_path, 3) as desk:
        desk.talk("101", "102")
        desk.do("consult", "102", "103")
        desk.hear({"102": {"103"}, "103": {"102"}, "101": {MUSIC}})
        desk.do("swap", "102")
        desk.hear({"102": {"101"}, "101": {"102"}, "103": {MUSIC}})
        desk.do("conference", "102")
        desk.hear({"101": {"102", "103"}, "102": {"101", "103"}, "103": {"101", "102"}})
        desk.do("drop", "102", "103")
        desk.gone("103")
        desk.hear({"101": {"102"}, "102": {"101"}})
        desk.do("hold", "102")
        desk.hear({"101": {MUSIC}})
        assert told_apart(listen(desk["102"]), TONES) == set()
        desk.do("resume", "102")
        desk.hear({"101": {"102"}, "102": {"101"}})
        desk.do("consult", "102", "103")
        desk.hear({"102": {"103"}, "101": {MUSIC}})
        desk.do("return", "102")
        desk.hear({"101": {"102"}, "102": {"101"}})
        wait_for(lambda: len(desk["103"].all_events("CALL_CLOSED")) == 2, "the end of the second consultation")
        # Its own hold comes last: this baresip records nothing of what it is sent after it.
        desk["101"].press("hold")
        desk.hear({"102": {MUSIC}})
        desk["101"].press("resume")
        desk.hear({"102": {"101"}})
        desk["102"].hang_up()
        desk.gone("101")
        [record] = desk.records()
    assert record["ended_by"] == "callee"
    # A telephone that holds sends nothing, and so is silent on its channel.
    assert desk.traces(record) == Traces(
        "ring talk consult conference talk hold talk consult talk hold talk",
        "101 102 103 103",
        "101 101 101 101",
        "102 102+103 102 102+103 102 102+103 102",
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_a_caller_is_parked_and_fetched(tmp_path: Path, workers: int) -> None:
    """Ben hears the slot and is gone; whoever dials it talks to Anna. Of two workers Cyd's call is at the other."""
    with floor(tmp_path, 3, workers) as desk:
        desk.talk("101", "102")
        assert desk.do("park", "102").startswith("parked in slot 701: call ")
        spoken = listen(desk["102"], 1.0)
        assert told_apart(spoken, TONES) == {MUSIC}, "a voice says the number: sound that is nobody's tone"
        desk.gone("102")
        desk.hear({"101": {MUSIC}})
        desk["103"].call("701")
        desk.hear({"101": {"103"}, "103": {"101"}})
        desk["103"].hang_up()
        desk.gone("101")
        [record] = desk.records()
    assert desk.traces(record) == Traces("ring talk park talk", "101 102 103", "101", "102 103")


def test_a_caller_whom_nobody_fetches_comes_back(tmp_path: Path) -> None:
    with floor(tmp_path, 2) as desk:
        desk.talk("101", "102")
        desk.do("park", "102")
        desk.gone("102")
        desk.hear({"101": {MUSIC}})
        wait_for(lambda: len(desk["102"].all_events("CALL_ESTABLISHED")) == 2, "Ben is rung again", 12)
        desk.hear({"101": {"102"}, "102": {"101"}})
        desk["101"].hang_up()
        [record] = desk.records()
    assert desk.traces(record) == Traces("ring talk park ring talk", "101 102 102", "101", "102 102")
    parked = next(each for each in record["segments"].split(", ") if each.startswith("park"))
    assert float(parked.split()[1]) == pytest.approx(6.0, abs=0.5)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_supervisor_listens_whispers_and_barges_in_by_digits(tmp_path: Path, workers: int) -> None:
    with floor(tmp_path, 4, workers) as desk:
        desk.talk("101", "102")
        desk.do("listen", "102", "--by", "104")
        desk["104"].wait_event("CALL_ESTABLISHED")
        listening = {"101": {"102"}, "102": {"101"}, "104": {"101", "102"}}
        desk.hear(listening)
        desk["104"].press("sndcode", "5")
        desk.hear({"101": {"102"}, "102": {"101", "104"}, "104": {"101", "102"}})
        desk["104"].press("sndcode", "6")
        desk.hear({"101": {"102", "104"}, "102": {"101", "104"}, "104": {"101", "102"}})
        desk["104"].press("sndcode", "4")
        desk.hear(listening)
        desk["104"].hang_up()
        desk.hear({"101": {"102"}, "102": {"101"}})
        desk["101"].hang_up()
        [record] = desk.records()
    assert record["ended_by"] == "caller"
    assert desk.traces(record) == Traces("ring talk", "101 102 104", "101", "102 102+104 102"), "barging in alone"


def test_calls_that_ring_are_picked_up_by_codes(tmp_path: Path) -> None:
    """One by the number at which it rings, one by the group."""
    with floor(tmp_path, 3, silent=("102",)) as desk:
        for code in ("**102", "*8"):
            since = {number: len(desk[number].events()) for number in ("101", "102", "103")}
            desk["101"].call("102")
            desk["102"].wait_event("CALL_INCOMING", since=since["102"])
            desk["103"].call(code)
            desk["102"].wait_event("CALL_CLOSED", since=since["102"])
            desk.hear({"101": {"103"}, "103": {"101"}})
            desk["103"].hang_up()
            desk["101"].wait_event("CALL_CLOSED", since=since["101"])
            desk.switch.wait_calls(0)
        records = desk.records(2)
    for record in records:
        assert (record["ended_by"], record["dialled"], record["destination"]) == ("callee", "102", "103")
        assert desk.traces(record) == Traces("ring talk", "101 102 103", "101", "103")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_telephone_leaves_its_two_calls_to_each_other(tmp_path: Path, workers: int) -> None:
    """Linphone's attended transfer: hold, call, REFER with Replaces. baresip has none. With two workers the second call
    is at the other one: who moves is offered the new address."""
    with floor(tmp_path, 3, workers, without=("102",)) as desk:
        switch = desk.switch
        password = switch.password("102")
        with Linphone(tmp_path, "102", password, switch.address, TONES["102"]) as ben:
            ben.listen()
            ben.call("101")
            desk.hear({"101": {"102"}})
            ben.pause(1)
            desk.hear({"101": {MUSIC}})
            ben.call("103")
            desk.hear({"103": {"102"}, "101": {MUSIC}})
            ben.transfer(1, 2)
            desk.hear({"101": {"103"}, "103": {"101"}})
            ben.wait_end(2)
            assert ben.notified() == [100, 200]
            desk["101"].hang_up()
            desk.gone("103")
            records = desk.records(2)
    [gone] = [record for record in records if record["ended_by"] == "transfer"]
    [kept] = [record for record in records if record["ended_by"] != "transfer"]
    assert gone["joined"] == kept["contact"]
    assert desk.traces(gone) == Traces("ring talk", "102 103", "102", "103")
    assert desk.traces(kept) == Traces("ring talk hold talk", "102 101 103", "102 103", "101")
