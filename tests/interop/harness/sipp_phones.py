"""SIPps that are extensions of a switch, each with its tone, and what is left of their calls.

They speak and hear in one of two ways. A `Voice` sends from a port of its own as soon as it is told where: the settings
have to say `nat: "yes"`, and no telephone may ring that does not answer, since it would speak all the same. Or SIPp
sends itself, from its ACK on, and `Ears` read what the switch sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from harness.audio import Tone
from harness.evidence import Ears, Traces
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import Switch
from harness.voice import Voice, story
from harness.waiting import wait_for

HOST = "127.0.0.51"

TONES = {
    "101": Tone(500.0, -18.0),
    "101/2": Tone(700.0, -18.0),
    "102": Tone(900.0, -18.0),
    "103": Tone(1200.0, -18.0),
    "104": Tone(1600.0, -18.0),
}
"""What each telephone says; 101 has two."""


# They never talk.
SILENT = ("uas_busy",)


class Phones:
    """One switch for all, and SIPps that are its extensions. `ears`: they have those, and no voices."""

    def __init__(self, switch: Switch, directory: Path, ears: Ears | None = None) -> None:
        self._ears = ears
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
        tone = TONES[extension] if self._ears is not None and scenario not in SILENT else None
        return self._speaks(Sipp(self.directory, scenario, place, receive_timeout=25, tone=tone), extension)

    def _speaks(self, sipp: Sipp, voice: str) -> Sipp:
        if self._ears is None:
            self.voices[sipp] = Voice(sipp, HOST, TONES[voice])
        return sipp

    def heard(self, sipp: Sipp) -> list[set[str]]:
        """Whom a telephone has heard, one after the other; it hears nobody any more. Ears hear music, too."""
        if self._ears is not None:
            return [set(each.split("+")) for each in self._ears.heard(sipp).split()]
        voice = self.voices[sipp]
        voice.close()
        return story(voice.heard(), TONES)

    def traces(self, record: dict[str, str]) -> Traces:
        return Traces.of(self.switch, record, TONES)

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
            tone=TONES[voice] if self._ears is not None and scenario not in SILENT else None,
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


@contextmanager
def phones_of(switch: Switch, directory: Path, ears: bool = False) -> Iterator[Phones]:
    """For one test. After one that failed its calls are ended: the next one is to find none."""
    with ExitStack() as stack:
        made = Phones(switch, directory, stack.enter_context(Ears(directory, switch, TONES)) if ears else None)
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


def finish(*sipps: Sipp) -> None:
    for each in sipps:
        each.finish(30)
