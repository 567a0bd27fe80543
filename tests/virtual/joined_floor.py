"""Telephones that join and leave calls by themselves, and who of them hears whom."""

from __future__ import annotations

from typing import Any

from sip.invite import InviteSession
from sip.ua import UaSettings
from sip.ua_events import ReferAnswered, ReferProgress, SessionFailed
from softswitch.call_commands import Supervise
from tests.virtual import network
from tests.virtual.network import Phone, World, settings
from tests.virtual.test_changes import obliging

LOT = {
    "parking": {"main": {"slots": "701-702", "timeout": 60}},
    "routes": [
        {"to": "700", "park": "main"},
        {"to": "_70X", "retrieve": "{number}"},
        {"to": "8001", "answer_and_conference": "sales"},
    ],
}


class Floor:
    """Telephones 101 to 105 that know REFER and Replaces, and who of them hears whom."""

    def __init__(self, **configured: Any) -> None:
        configured.setdefault("extensions", {}).setdefault("105", {})
        self.world = World(settings(**configured))
        agent = UaSettings(refer=True)
        self.phones = {str(n): self.world.phone(str(n), agent=agent) for n in range(101, 106)}
        self.legs: dict[int, str] = {}
        if network.WORKERS:
            for phone in self.phones.values():
                obliging(phone)

    def __getitem__(self, number: str) -> Phone:
        return self.phones[number]

    def call(self, caller: str, called: str) -> InviteSession:
        """They talk."""
        before = set(self.world.legs())
        session = self.world.establish(self[caller], self[called])
        self.name(before, caller, called)
        return session

    def name(self, before: set[int], *numbers: str) -> None:
        """The legs that are new belong to these numbers, in this order."""
        new = sorted(set(self.world.legs()) - before)
        self.legs.update(zip(new, numbers, strict=True))

    def dial(self, caller: str, number: str) -> InviteSession:
        before = set(self.world.legs())
        session = self[caller].dial(number)
        self.world.run(0.3)
        self.name(before, *[caller, number][: len(set(self.world.legs()) - before)])
        return session

    def hearing(self) -> dict[str, set[str]]:
        heard = self.world.media.hearing()
        return {self.legs[leg]: {self.legs[each] for each in others} for leg, others in heard.items() if others}

    def music(self) -> dict[str, object]:
        playing = self.world.media.playing()
        assert all(len(sources) == 1 for sources in playing.values()), playing
        return {self.legs[leg]: sources[0] for leg, sources in playing.items()}

    def hang_up(self, session: InviteSession) -> None:
        phone = next(phone for phone in self.phones.values() if session in phone.ua.sessions.values())
        phone.do(session.hangup)
        self.world.run(0.5)

    def transfer(self, by: str, session: InviteSession, other: InviteSession) -> list[int]:
        """A telephone that is in two calls leaves them to each other (RFC 5589 7.1); what it is told."""
        phone = self[by]
        call_id, local_tag, remote_tag = other.dialog.id
        replaces = f"{call_id};to-tag={remote_tag};from-tag={local_tag}"
        escaped = replaces.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        phone.do(session.refer, f"<sip:anybody@192.0.2.1?Replaces={escaped}>", None)
        self.world.run(0.5)
        return self.told(by)

    def told(self, by: str) -> list[int]:
        events = self[by].events
        told = [event.status for event in events if isinstance(event, ReferAnswered)]
        return told + [event.status for event in events if isinstance(event, ReferProgress) and event.status > 100]

    def replace(self, by: str, of: str, session: InviteSession, header: str = "Replaces", more: str = "") -> None:
        """A telephone invites itself into the dialog that `of` has (RFC 3891, RFC 3911)."""
        call_id, local_tag, remote_tag = session.dialog.id
        value = f"{call_id};to-tag={remote_tag};from-tag={local_tag}{more}"
        before = set(self.world.legs())
        self[by].dial(of, headers=((header, value),))
        self.world.run(0.5)
        new = set(self.world.legs()) - before
        if new:
            self.name(before, by)

    def outcome(self, by: str) -> int:
        return int(self[by].last(SessionFailed).status)

    def sessions(self, number: str) -> list[InviteSession]:
        return list(self[number].ua.sessions.values())

    def over(self, *ended_by: str) -> None:
        records = self.world.assert_over(len(ended_by))
        assert sorted(record.ended_by for record in records) == sorted(ended_by)
        for phone in self.phones.values():
            assert not phone.ua.sessions


def pair(one: str, other: str) -> dict[str, set[str]]:
    return {one: {other}, other: {one}}


def all_of(*numbers: str) -> dict[str, set[str]]:
    return {number: set(numbers) - {number} for number in numbers}


# ---- a supervisor listens

TEAM = {"102": {"groups": ["sales"]}, "104": {"supervises": ["sales"]}}
HEARS_BOTH = {"104": {"101", "102"}}


def supervised(mode: str = "listen", **more: Any) -> Floor:
    """Dan listens to Ben's call."""
    floor = Floor(**{"extensions": TEAM, **more})
    floor.call("101", "102")
    before = set(floor.world.legs())
    floor.world.runtime.command(Supervise("102", "104", mode), floor.world.now)  # type: ignore[arg-type]
    floor.world.run(0.3)
    assert floor.hearing() == pair("101", "102")
    floor["104"].answer()
    floor.world.run(0.5)
    floor.name(before, "104")
    return floor
