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
from typing import NamedTuple

from harness.audio import Tone
from harness.evidence import Ears, Traces, kinds, legs
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
    "105": Tone(2000.0, -18.0),
    "peers": Tone(2400.0, -18.0),
    "outside": Tone(2800.0, -18.0),
    "bells": Tone(3200.0, -18.0),
    "horns": Tone(3600.0, -18.0),
}
"""What each telephone says; 101 has two. Then the far ends of two trunks, and two classes of hold music."""


# They never talk.
SILENT = ("uas_busy", "uas_moved", "uac_busy", "uac_forbidden", "uac_turned_away")

PEERS, OUTSIDE = "127.0.0.21", "127.0.0.31"
"""The hosts of the trunks."""


class Phones:
    """One switch for all, and SIPps that are its extensions. `ears`: they have those, and no voices."""

    def __init__(self, switch: Switch, directory: Path, ears: Ears | None = None) -> None:
        self._ears = ears
        self.switch = switch
        self.directory = directory
        self.known = {record["contact"] for record in switch.cdrs()}
        self.voices: dict[Sipp, Voice] = {}

    def called(self, extension: str, scenario: str, **keys: str) -> Sipp:
        """An extension that is registered, and takes a call so; it says its tone. `keys`: words of the scenario."""
        users = self.switch.users_file(extension)
        place = (HOST, free_ports(1, HOST))
        Sipp(self.directory, "register_star", place, self.switch.address, users=users).finish()
        Sipp(self.directory, "register_keep", place, self.switch.address, users=users).finish()
        tone = self._tone(extension, scenario)
        sipp = Sipp(self.directory, scenario, place, receive_timeout=25, options=_words(keys), tone=tone)
        return self._speaks(sipp, extension)

    def gateway(self, port: int, scenario: str) -> Sipp:
        """The far end of the trunk `outside`, which takes a call so. It has no voice but its tone for `Ears`."""
        tone = self._tone("outside", scenario)
        return Sipp(self.directory, scenario, (OUTSIDE, port), receive_timeout=25, tone=tone)

    def comes(self, number: str, scenario: str, *options: str) -> Sipp:
        """A caller by the trunk `peers`, the same way."""
        place, tone = (PEERS, free_ports(1, PEERS)), self._tone("peers", scenario)
        return Sipp(self.directory, scenario, place, self.switch.address, service=number, options=options, tone=tone)

    def _tone(self, who: str, scenario: str) -> Tone | None:
        """What SIPp itself is to send."""
        return TONES.get(who) if self._ears is not None and scenario not in SILENT else None

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

    def check_refused(self, record: dict[str, str], status: int, cause: int, dialogs: str) -> None:
        """Nobody talked: the record says why, and there is no recording."""
        assert (record["status"], record["cause"], record["ended_by"]) == (str(status), str(cause), "switch")
        assert (record["answered"], record["billsec"], record["recording"]) == ("", "0.000", "")
        assert " ".join(legs(self.switch, record)) == dialogs
        assert "talk" not in kinds(record)

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
        sipp = Sipp(
            self.directory,
            scenario,
            (HOST, free_ports(1, HOST)),
            self.switch.address,
            service=number,
            users=self.switch.users_file(extension),
            receive_timeout=25,
            options=("-auth_uri", f"{number}@{self.switch.address}", *options, *_words(keys)),
            tone=self._tone(voice, scenario),
        )
        return self._speaks(sipp, voice)

    def watches(self, extension: str, number: str) -> Sipp:
        """An extension with a lamp for another, through one call of that one; it is lit for nobody yet."""
        sipp = Sipp(
            self.directory,
            "watch_call",
            (HOST, free_ports(1, HOST)),
            self.switch.address,
            service=number,
            users=self.switch.users_file(extension),
            receive_timeout=25,
            options=("-auth_uri", f"{number}@{self.switch.address}"),
        )
        wait_for(lambda: lamp(sipp) == ["idle"], lambda: f"the first NOTIFY: {sipp.messages()}")
        return sipp

    def hang_up(self, call: str) -> None:
        self.switch.run_here("call", "hangup", call, "--config", str(self.switch.config))

    def uri(self, number: str, dialog: str = "") -> str:
        header = dialog.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        return f"sip:{number}@{self.switch.address}" + (f"?Replaces={header}" if dialog else "")

    def talking(self, calls: int = 1, seconds: float = 0.0) -> None:
        """Until so many talk, for so long."""

        def found() -> bool:
            rows = [row for row in self.switch.status().calls if row.state == "talking"]
            return len(rows) == calls and all((row.talking or 0.0) >= seconds for row in rows)

        wait_for(found, f"{calls} talking")

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


def invitation(sipp: Sipp) -> str:
    """The first INVITE that has come to a telephone; "" where none has."""
    found = re.search(r"^INVITE sip:.*?\n\n", sipp.messages().replace("\r", ""), re.M | re.S)
    return found[0] if found is not None else ""


def values(message: str, name: str) -> list[str]:
    """Of each header field of this name."""
    return re.findall(rf"^{name}: (.*)$", message, re.M)


class Refusal(NamedTuple):
    """What a caller was refused with."""

    status: int
    reason: list[str]
    warning: list[str]


def refusal(sipp: Sipp) -> Refusal:
    """The final answer to its INVITE with credentials."""
    for message in re.split(r"-{20,}", sipp.messages().replace("\r", "")):
        status = re.search(r"^SIP/2.0 ([4-6]\d\d) ", message, re.M)
        if status is not None and "CSeq: 2 INVITE" in message:
            return Refusal(int(status[1]), values(message, "Reason"), values(message, "Warning"))
    raise AssertionError(f"{sipp.scenario} was not refused: {sipp.messages()[-3000:]}")


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


def lamp(sipp: Sipp) -> list[str]:
    """What each NOTIFY of a call's watcher has told: the states of the dialogs of the one who is watched (RFC 4235),
    "held" behind it where it is on hold; "idle" is none. Without what comes before an answer: SIPp answers at once,
    and whether NOTIFYs, which are paced, tell of the ringing depends on how long after the last one that is."""
    told: dict[int, str] = {}
    for message in re.split(r"-{20,}", sipp.messages().replace("\r", "")):
        whole = "</dialog-info>" in message  # it is read while it is written
        if re.search(r"^NOTIFY sip:", message, re.M) and "Subscription-State: active" in message and whole:
            [version] = re.findall(r'<dialog-info[^>]* version="(\d+)"', message)
            dialogs = re.findall(r"<dialog .*?</dialog>", message, re.S)
            states = [
                re.findall(r"<state>(\w+)", each)[0] + (" held" if "sip.rendering" in each else "") for each in dialogs
            ]
            told[int(version)] = "+".join(sorted(states)).replace("terminated", "idle")
    assert list(told) == list(range(len(told))), "versions rise by one"
    return [state for state in told.values() if not re.search(r"trying|early", state)]


def _words(keys: dict[str, str]) -> list[str]:
    return [word for key, value in keys.items() for word in ("-key", key, value)]


def finish(*sipps: Sipp) -> None:
    for each in sipps:
        each.finish(30)
