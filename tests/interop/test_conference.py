"""Conferences of real phones: who hears whom, by the spectrum."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness.audio import RATE, Tone, level_at, read_wave
from harness.baresip import Phone
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

TONES = {"101": Tone(400.0, -18.0), "102": Tone(700.0, -18.0), "103": Tone(1100.0, -18.0)}
ECHO = "answer_and_echo: true\n"


@pytest.mark.parametrize("workers", [0, 1])
def test_each_of_three_hears_the_two_others_and_not_itself(tmp_path: Path, workers: int) -> None:
    """Three codecs, one conference; then one leaves, and the two others hear each other alone."""
    codecs = {"101": "PCMA", "102": "G722", "103": "opus"}
    with (
        Switch(
            tmp_path,
            routes_of_own=['{to: _8XX, answer_and_conference: "{number}"}'],
            extra=FOR_SIPP + f"media: {{workers: {workers}}}\n",
        ) as switch,
        ExitStack() as stack,
    ):
        phones = {
            user: stack.enter_context(
                Phone(
                    tmp_path,
                    user,
                    switch.password(user),
                    switch.address,
                    TONES[user],
                    codecs=(codec,),
                )
            )
            for user, codec in codecs.items()
        }
        for phone in phones.values():
            phone.call("800")
            phone.wait_event("CALL_ESTABLISHED")
        report = switch.wait_calls(3)
        assert {call.state for call in report.calls} == {"conference"}
        joined = time.monotonic()
        wait_for(lambda: time.monotonic() - joined > 3.5, "three seconds together")
        phones["103"].hang_up()
        switch.wait_calls(2)
        left = time.monotonic()
        wait_for(lambda: time.monotonic() - left > 2.5, "two seconds of two")
        for user in ("101", "102"):
            phones[user].hang_up()
        switch.wait_calls(0)
        wait_for(lambda: switch.status().media.rows == 0, "no streams left")
        records = wait_for(lambda: len(found := switch.cdrs()) == 3 and found, "three records")
        assert [record["destination"] for record in records] == ["conference"] * 3
    for user, phone in phones.items():
        samples = read_wave(phone.heard())
        # All three, the beeps of joining and leaving aside; then two.
        together = samples[-2 * RATE - RATE // 2 :] if user == "103" else samples[-5 * RATE - RATE // 2 : -3 * RATE]
        levels = {other: level_at(together, tone.frequency) for other, tone in TONES.items()}
        print(user, codecs[user], levels)
        for other, level in levels.items():
            if other == user:
                assert level < TONES[user].level - 40, (user, levels)
            else:
                assert level == pytest.approx(TONES[other].level, abs=1.0), (user, levels)
        if user != "103":
            last = samples[-RATE - RATE // 2 : -RATE // 4]
            levels = {other: level_at(last, tone.frequency) for other, tone in TONES.items()}
            for other, level in levels.items():
                there = other not in (user, "103")
                assert (abs(level - TONES[other].level) < 1.0) if there else (level < TONES[other].level - 40)


ROOM = 'conferences: {board: {pin: "4711", host_pin: "0815", wait_for_host: true, record: true, dial_as: "104"}}\n'
TO_ROOM = ['{to: "800", answer_and_conference: board}']


def states(switch: Switch) -> dict[str, str]:
    """Of the members of the room, by number."""
    asked = switch.ask("conference")["conferences"]
    return {member["number"]: member["state"] for room in asked for member in room["members"]}


def command(switch: Switch, *words: str) -> str:
    return switch.run_here("conference", "board", *words, "--config", str(switch.config))


@pytest.mark.parametrize("workers", [0, 1])
def test_guests_wait_for_the_host_and_who_is_kicked_hears_nothing_more(tmp_path: Path, workers: int) -> None:
    with (
        Switch(tmp_path, routes_of_own=TO_ROOM, extra=FOR_SIPP + ROOM + f"media: {{workers: {workers}}}\n") as switch,
        ExitStack() as stack,
    ):
        phones = {
            user: stack.enter_context(Phone(tmp_path, user, switch.password(user), switch.address, tone))
            for user, tone in TONES.items()
        }
        for user, pin in (("101", "4711#"), ("102", "4711#")):
            phones[user].call("800")
            phones[user].wait_event("CALL_ESTABLISHED")
            wait_for(lambda user=user: states(switch).get(user) == "pin", "asked for the PIN")
            phones[user].press("sndcode", pin)
            wait_for(lambda user=user: states(switch).get(user) == "waiting", f"{user} waits for the host")
        waiting = time.monotonic()
        wait_for(lambda: time.monotonic() - waiting > 12.0, "the text, and music", 20.0)
        phones["103"].call("800")
        phones["103"].wait_event("CALL_ESTABLISHED")
        wait_for(lambda: states(switch).get("103") == "pin", "asked for the PIN")
        phones["103"].press("sndcode", "0815#")
        wait_for(lambda: list(states(switch).values()) == ["in"] * 3, "all are in")
        begun = time.monotonic()
        wait_for(lambda: time.monotonic() - begun > 9.0, "the greeting, and three seconds together", 15.0)
        assert "102" in command(switch, "list")
        command(switch, "kick", "102")
        phones["102"].wait_event("CALL_CLOSED", 20.0)
        left = time.monotonic()
        wait_for(lambda: time.monotonic() - left > 2.5, "two seconds of two")
        phones["103"].hang_up()
        wait_for(lambda: states(switch) == {"101": "waiting"}, "the guest waits again")
        command(switch, "end")
        phones["101"].wait_event("CALL_CLOSED", 20.0)
        switch.wait_calls(0)
        records = wait_for(lambda: len(found := switch.cdrs()) == 3 and found, "three records")
    assert {record["cause"] for record in records} == {"16"}
    assert {record["recording"] for record in records if record["caller_number"] == "102"} != {""}
    heard = {user: read_wave(phone.heard()) for user, phone in phones.items()}
    # The kicked one: nobody's tone in its last second, in which it was told why.
    last = heard["102"][-RATE:]
    for tone in TONES.values():
        assert level_at(last, tone.frequency) < tone.level - 20
    # The host: first both, in the end the one who stayed.
    end = heard["103"][-RATE - RATE // 2 : -RATE // 2]
    assert level_at(end, TONES["101"].frequency) == pytest.approx(TONES["101"].level, abs=1.0)
    assert level_at(end, TONES["102"].frequency) < TONES["102"].level - 40
    steps = [heard["103"][at : at + RATE // 2] for at in range(0, len(heard["103"]) - RATE // 2, RATE // 4)]
    both = [
        all(abs(level_at(step, TONES[user].frequency) - TONES[user].level) < 1.0 for user in ("101", "102"))
        for step in steps
    ]
    assert sum(both) >= 8
    # While they waited the guests heard music, and not each other.
    for user, other in (("101", "102"), ("102", "101")):
        music = heard[user][9 * RATE : 10 * RATE]
        assert float((music**2).mean()) > 1e-4
        assert level_at(music, TONES[other].frequency) < TONES[other].level - 20


def test_a_wrong_pin_three_times(tmp_path: Path) -> None:
    with (
        Switch(tmp_path, routes_of_own=TO_ROOM, extra=FOR_SIPP + ROOM) as switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, TONES["101"]) as phone,
    ):
        phone.call("800")
        phone.wait_event("CALL_ESTABLISHED")
        for _ in range(3):
            wait_for(lambda: states(switch).get("101") == "pin", "asked for the PIN")
            phone.press("sndcode", "1234#")
        phone.wait_event("CALL_CLOSED", 25.0)
        switch.wait_calls(0)
        assert switch.status().counters["conference PINs refused"] == 3
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
    assert (record["cause"], record["destination"]) == ("16", "conference")


def test_names_are_said_and_somebody_is_called_in(tmp_path: Path) -> None:
    """Two who say their names (their tones); the third is called by the operator, and hears the second one leave: its
    name, played back from its recording, which is deleted then."""
    names = 'conferences: {board: {entry: names, dial_as: "104"}}\n'
    with (
        Switch(tmp_path, routes_of_own=TO_ROOM, extra=FOR_SIPP + names) as switch,
        ExitStack() as stack,
    ):
        phones = {
            user: stack.enter_context(Phone(tmp_path, user, switch.password(user), switch.address, tone))
            for user, tone in TONES.items()
        }
        recordings = switch.config / "var" / "recordings"
        for user in ("101", "102"):
            phones[user].call("800")
            phones[user].wait_event("CALL_ESTABLISHED")
            wait_for(lambda user=user: states(switch).get(user) == "in", f"{user} has said its name", 30.0)
        wait_for(lambda: len(list(recordings.rglob("*.wav"))) == 2, "two names on disk")
        assert "102" in command(switch, "dial", "103", "--host")
        phones["103"].wait_event("CALL_ESTABLISHED")
        wait_for(lambda: states(switch).get("103") == "in", "the third is in")
        begun = time.monotonic()
        wait_for(lambda: time.monotonic() - begun > 4.0, "some seconds together")
        phones["102"].hang_up()
        wait_for(lambda: len(list(recordings.rglob("*.wav"))) == 1, "its name was played and deleted", 20.0)
        assert len(list(recordings.rglob("*.json"))) == 1
        phones["101"].hang_up()
        wait_for(lambda: set(states(switch)) == {"103"}, "the third alone")
        phones["103"].hang_up()
        switch.wait_calls(0)
        wait_for(lambda: not list(recordings.rglob("*.wav")), "no name is left")
        records = wait_for(lambda: len(found := switch.cdrs()) == 3 and found, "three records")
    called = next(record for record in records if record["dialled"] == "103")
    assert (called["caller_number"], called["destination"]) == ("104", "conference")
    heard = read_wave(phones["103"].heard())
    # After 102 has left its tone is heard once more, for the seconds of its name.
    steps = [heard[at : at + RATE // 2] for at in range(0, len(heard) - RATE // 2, RATE // 4)]
    levels = [level_at(step, TONES["102"].frequency) for step in steps]
    loud = [level > TONES["102"].level - 6 for level in levels]
    gone = next(index for index in range(4, len(loud)) if loud[index - 1] and not loud[index])
    assert sum(loud[gone:]) >= 8, levels
