"""SIPps that watch, and what they were told: the NOTIFYs one after the other, in words."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import Switch

HOST = "127.0.0.66"
DIALOG_INFO = "{urn:ietf:params:xml:ns:dialog-info}"
PIDF = "{urn:ietf:params:xml:ns:pidf}"
RPID = "{urn:ietf:params:xml:ns:pidf:rpid}"
ACCEPT = {
    "dialog": "application/dialog-info+xml",
    "presence": "application/pidf+xml",
    "message-summary": "application/simple-message-summary",
}


class Told(NamedTuple):
    """One NOTIFY."""

    state: str
    """Of the subscription: "active", "terminated;reason=timeout"."""
    body: str


class Lamp:
    """A subscription of an extension, until the switch ends it."""

    def __init__(
        self, directory: Path, switch: Switch, watcher: str, number: str, package: str = "dialog", expires: int = 600
    ) -> None:
        keys = {"event": package, "accept": ACCEPT[package], "expires": str(expires)}
        self.package = package
        self._sipp = Sipp(
            directory,
            "watch",
            (HOST, free_ports(1, HOST)),
            switch.address,
            service=number,
            users=switch.users_file(watcher),
            receive_timeout=60.0,
            options=(
                *("-auth_uri", f"{number}@{switch.address}"),
                *(word for key, value in keys.items() for word in ("-key", key, value)),
            ),
        )

    def finish(self) -> None:
        self._sipp.finish()

    def told(self) -> list[Told]:
        found = {}
        for message in re.split(r"-{20,} .*\n", self._sipp.messages()):
            if re.search(r"^NOTIFY sip:", message, re.M):
                head, _, body = message.replace("\r\n", "\n").partition("NOTIFY sip:")[2].partition("\n\n")
                [cseq], [state] = (
                    re.findall(pattern, head) for pattern in (r"CSeq: (\d+)", r"Subscription-State: (\S+)")
                )
                found[int(cseq)] = Told(re.sub(r";expires=\d+", "", state), body.strip())
        return [found[cseq] for cseq in sorted(found)]

    def words(self) -> list[str]:
        """What was told, one after the other."""
        told = self.told()
        assert {each.state for each in told[:-1]} <= {"active"}
        if self.package == "dialog":
            # RFC 4235 4.1.1: from 0, each one more than the one before
            versions = [int(ElementTree.fromstring(each.body).attrib["version"]) for each in told]
            assert versions == list(range(len(told)))
        read = {"dialog": _of_dialogs, "presence": _of_presence, "message-summary": _of_messages}[self.package]
        return [read(each.body) for each in told]

    def steps(self) -> list[str]:
        """The same without what is told twice in other words, and without "trying", which is told where a telephone
        takes a fifth of a second and more to ring."""
        return [word for word, _ in groupby(self.words()) if not word.startswith("trying")]

    def ended(self) -> str:
        """What the last NOTIFY said of the subscription."""
        return self.told()[-1].state


def _of_dialogs(body: str) -> str:
    """Of each dialog its state, "held" where it is, and who is at the other end: "confirmed held 101"."""
    words = []
    for dialog in ElementTree.fromstring(body).findall(f"{DIALOG_INFO}dialog"):
        word = dialog.findtext(f"{DIALOG_INFO}state", "")
        if dialog.find(f".//{DIALOG_INFO}param[@pname='+sip.rendering']") is not None:
            word += " held"
        other = dialog.findtext(f"{DIALOG_INFO}remote/{DIALOG_INFO}identity")
        words.append(word if other is None else f"{word} {other.removeprefix('sip:').partition('@')[0]}")
    return ", ".join(words)


def _of_presence(body: str) -> str:
    """ "open", and what it does."""
    document = ElementTree.fromstring(body)
    activities = document.find(f".//{RPID}activities")
    doing = [] if activities is None else [each.tag.removeprefix(RPID) for each in activities]
    return " ".join([document.findtext(f"{PIDF}tuple/{PIDF}status/{PIDF}basic", ""), *doing])


def _of_messages(body: str) -> str:
    """Whether messages wait, and how many."""
    told = dict(line.split(": ", 1) for line in body.splitlines())
    return f"{told['Messages-Waiting']} {told['Voice-Message']}"
