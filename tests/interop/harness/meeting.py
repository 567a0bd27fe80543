"""Telephones in conference rooms: baresips that say their tones, and prompts that are tones, too, so that what is heard
one after the other tells every word that was said to whom."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from harness.audio import RATE, Tone, write_tone
from harness.baresip import Phone
from harness.ears import MUSIC, heard_by_all
from harness.evidence import PART, Ears, Recorded, kinds, legs
from harness.switch import Switch
from harness.waiting import wait_for

TONES = {
    "101": Tone(400.0, -18.0),
    "102": Tone(500.0, -18.0),
    "103": Tone(600.0, -18.0),
    "104": Tone(700.0, -18.0),
}
"""What each telephone says."""

BEEP = {"beep": Tone(1000.0, -13.1)}

FIRST, APART = 1100.0, 45.0  # Hz: of the first prompt, and from one to the next


def prompts_as_tones(directory: Path, names: Iterable[str]) -> dict[str, Tone]:
    """Prompts of conferences, and the digits that numbers are spoken with, as files in a directory for prompts; the
    tone of each. Digits are "d0" to "d9"."""
    files = {name: (f"conference/{name}.wav", 0.5) for name in names}
    files |= {f"d{digit}": (f"en/digits/{digit}.wav", 0.4) for digit in range(10)}
    made = {}
    for number, (name, (file, seconds)) in enumerate(files.items()):
        made[name] = Tone(FIRST + APART * number, -18.0)
        path = directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tone(path, made[name], seconds)
    return made


CLICK = 0.35  # seconds: what is nobody's tone and not longer is where one sound is cut off and another one begins
WINDOW = 0.2  # seconds that are listened to at once
HEARD_WITHIN = 8.0  # seconds


def one_after_the_other(line: Iterable[str]) -> str:
    """What is the same before and after a silence once. Two beeps are one, and what was heard just before a beep
    together with it is told with it."""
    heard = " ".join(what for what, _ in groupby(line))
    heard = re.sub(r"(?<!\S)(\S+\+)?beep (\S+ )?\1beep(?!\S)", r"\1beep", heard)
    return re.sub(r"(?<!\S)(\S+) \1\+beep(?!\S)", r"\1+beep", heard)


class Meeting:
    """Telephones, and one conference room after the other. What they hear is captured where the switch sends it."""

    def __init__(self, switch: Switch, phones: Mapping[str, Phone], ears: Ears, tones: Mapping[str, Tone]) -> None:
        self.switch = switch
        self.phones = phones
        self.room = ""
        self._ears = ears
        self._tones = tones
        self._known = {record["contact"] for record in switch.cdrs()}
        self._since = {number: len(phone.events()) for number, phone in phones.items()}

    # ---- done

    def call(self, number: str, dialled: str) -> None:
        self._mark(number)
        self.phones[number].call(dialled)
        self.there(number)

    def press(self, number: str, digits: str) -> None:
        self.phones[number].press("sndcode", digits)

    def hang_up(self, *numbers: str) -> None:
        for number in numbers:
            self.phones[number].hang_up()
            self.gone(number)

    def do(self, *words: str) -> str:
        """What the operator wants of the room."""
        return self.switch.run_here("conference", self.room, *words, "--config", str(self.switch.config))

    # ---- awaited

    def there(self, number: str) -> None:
        self.phones[number].wait_event("CALL_ESTABLISHED", since=self._since[number])

    def gone(self, *numbers: str) -> None:
        for number in numbers:
            self.phones[number].wait_event("CALL_CLOSED", 20.0, since=self._since[number])
            self._mark(number)

    def _mark(self, number: str) -> None:
        self._since[number] = len(self.phones[number].events())

    def states(self) -> dict[str, str]:
        """Of those who are in the room, in the order in which they came."""
        asked = self.switch.ask("conference")["conferences"]
        return {
            each["number"]: each["state"] for room in asked if room["name"] == self.room for each in room["members"]
        }

    def is_in(self, number: str, state: str) -> None:
        wait_for(lambda: self.states().get(number) == state, lambda: f"{number} {state}: {self.states()}")

    def hear(self, who: Mapping[str, str]) -> None:
        """Until each hears just that, twice in a row: "101+102", "music", "" for silence."""
        self._wait_heard(who, 2)

    def _wait_heard(self, who: Mapping[str, str], times: int) -> None:
        phones = {number: self.phones[number] for number in who}
        had: list[Mapping[str, str]] = []
        end = time.monotonic() + HEARD_WITHIN
        while time.monotonic() < end:
            had.append(heard_by_all(phones, self._tones, WINDOW))
            if had[-times:] == [who] * times:
                return
        raise AssertionError(f"expected {who}, heard {had}; in the room: {self.states()}")

    def told(self, number: str, *prompts: str) -> None:
        """Until it has heard them, one after the other. Of each there is half a second, and it is not heard again."""
        for prompt in prompts:
            self._wait_heard({number: prompt}, 1)

    # ---- left behind

    def over(self, calls: int) -> dict[str, list[dict[str, str]]]:
        """The records of the calls, by who called, in the order in which they ended."""
        self.switch.wait_calls(0, 15.0)

        def found() -> list[dict[str, str]]:
            new = [record for record in self.switch.cdrs() if record["contact"] not in self._known]
            return new if len(new) == calls else []

        by_caller: dict[str, list[dict[str, str]]] = {}
        for record in reversed(wait_for(found, f"{calls} records")):
            by_caller.setdefault(record["caller_number"], []).append(record)
        return by_caller

    def heard(self, number: str) -> str:
        """All that a telephone has heard, one after the other; what is the same before and after a silence once."""
        found = self._ears.heard_at(self.phones[number].rtp_ports)
        line = [each.what for each in found if each.what != MUSIC or each.end - each.begin > CLICK]
        return one_after_the_other(line)

    def parts(self, record: Mapping[str, str]) -> tuple[str, str]:
        """Segments and legs of a record."""
        return " ".join(kinds(record)), " ".join(legs(self.switch, record))


class RoomRecording(Recorded):
    """A recording of a room: all on one channel."""

    def __init__(self, path: str, tones: Mapping[str, Tone], room: str, muted: Iterable[str] = ()) -> None:
        super().__init__(Path(path), tones, 1, tuple(muted))
        assert self.content["call"] == {"conference": room}
        [line] = self.channels
        self.line = one_after_the_other(line.split())

    def who(self) -> list[str]:
        """Who was on it, in the order in which they came onto it."""
        return [each["who"]["extension"] for each in sorted(self.stretches, key=lambda each: each["from"])]

    def silences(self) -> list[tuple[float, float]]:
        """From which second to which nobody is heard, where that is for half a second and more."""
        found, begin = [], None
        for number, what in enumerate([*self.parts[0], "end"]):
            if not what:
                begin = number if begin is None else begin
            elif begin is not None:
                found.append((begin * PART / RATE, number * PART / RATE))
                begin = None
        return [(begin, end) for begin, end in found if end - begin >= 0.5]
