"""What calls come to, as a model has it: who is in them, whom each of them hears, and what each is played."""

from __future__ import annotations

from typing import Any

from media.audio_commands import Music, Tone
from sip.invite import InviteSession
from tests.virtual.network import Phone


class Party:
    """A telephone's part in a call. `held`: it holds; `rings`: it has told that it rings."""

    def __init__(self, phone: Phone, session: InviteSession) -> None:
        self.phone = phone
        self.session = session
        self.held = False
        self.rings = False
        self.until = 0.0

    @property
    def number(self) -> str:
        return self.phone.number

    def __repr__(self) -> str:
        return f"{self.number}/{self.session.call_id[:6]}"


class Talk:
    """What the model knows of one call.

    floor: who talks; while others ring, who they ring for. ringing: who rings for it. aside, consulter: as in a
    consultation. waiting: who waits for how its transfer ends; by: its extension, again: whether that is rung yet.
    """

    def __init__(self, born: int, *floor: Party) -> None:
        self.born = born
        self.state = "ringing"
        self.floor = list(floor)
        self.ringing: list[Party] = []
        self.answered = False  # the first of the floor is
        self.aside: list[Party] = []
        self.consulter: Party | None = None
        self.left: list[Party] = []
        self.transfer = False
        self.waiting: Party | None = None
        self.by = ""
        self.again = False
        self.holders: set[Party] = set()
        self.supervisors: dict[Party, tuple[Party, str]] = {}
        self.called_in: dict[Party, tuple[Party, str]] = {}
        self.slot = ""

    def parties(self) -> list[Party]:
        waiting = [self.waiting] if self.waiting is not None else []
        return [*self.floor, *self.aside, *waiting, *self.ringing, *self.supervisors, *self.called_in]


def hearing(talk: Talk) -> dict[Party, set[Party]]:
    """Whom each party of a call is to hear."""
    talkers = talk.floor if talk.state == "talking" or talk.answered else []
    members = [*talkers, *talk.supervisors]
    mixed = len(members) > 2 or talk.state != "talking"
    several = len(talkers) > (2 if talk.state == "talking" else 1)  # who holds is heard by nobody
    deaf = talk.holders
    mute = set(talk.holders) | ({each for each in talkers if each.held} if several else set())
    heard: dict[Party, set[Party]] = {party: set() for party in talk.parties()}
    if len(members) == 2 and not mixed:
        one, other = members
        if not deaf:
            heard[one], heard[other] = {other}, {one}
    else:
        for ear in members:
            for mouth in members:
                if ear is mouth or ear in deaf or mouth in mute:
                    continue
                target, mode = talk.supervisors.get(mouth, (None, "barge"))
                if mode == "barge" or (mode == "whisper" and ear is target):
                    heard[ear].add(mouth)
    if len(talk.aside) > 1:
        for party in talk.aside:
            heard[party] = {each for each in talk.aside if each is not party}
    return heard


def played(talk: Talk) -> dict[Party, object]:
    """What each party of a call is to be played."""
    music: object = Music("default")
    plays: dict[Party, object] = {}
    if len(talk.aside) == 1:
        plays[talk.aside[0]] = music
    rings = any(each.rings for each in talk.ringing)
    if talk.state == "parked":
        plays[talk.floor[0]] = music
    elif talk.state == "ringing" and talk.transfer and len(talk.floor) == 1:
        plays[talk.floor[0]] = Tone("ringback") if rings else music
    elif talk.state == "ringing" and talk.consulter is not None and rings:
        plays[talk.floor[0]] = Tone("ringback")
    elif talk.state == "talking" and len(talk.floor) == 2:
        for party, other in (talk.floor, talk.floor[::-1]):
            if other in talk.holders and party not in talk.holders and not party.held:
                plays[party] = music
    return plays


def chosen(those: list[Any], pick: int) -> Any:
    return those[pick % len(those)]
