"""Telephones in an office with conference rooms, and what those who are in them hear."""

from __future__ import annotations

from typing import Any, TypeVar

from media.audio_commands import (
    AudioCommand,
    CloseRoom,
    Digit,
    File,
    Music,
    Play,
    PlayEnded,
    SetRoom,
    SetVolume,
    Source,
    Speech,
)
from sip.invite import InviteSession
from sip.ua_events import SessionAnswered, SessionEnded
from softswitch.conference.commands import carry_out, read_request
from tests.virtual.network import FakeMedia, Phone, World, settings

ROUTES = [{"to": "800", "answer_and_conference": "board"}, {"to": "801", "answer_and_conference": "plain"}]
PIN, HOST_PIN = "4711", "0815"
Asked = TypeVar("Asked", bound=AudioCommand)


class Office:
    """Phones 101 to 104 and the room `board`, which is as said."""

    def __init__(self, more: dict[str, Any] | None = None, **board: Any) -> None:
        self.world = World(settings(routes=ROUTES, conferences={"board": board}, **(more or {})))
        assert isinstance(self.world.media, FakeMedia), "these tests speak for the engine"
        self.media = self.world.media
        self.rooms = self.world.runtime.rooms
        self.phones: dict[str, Phone] = {}
        self.sessions: dict[str, InviteSession] = {}
        self.leg: dict[str, int] = {}

    def phone(self, number: str) -> Phone:
        if number not in self.phones:
            self.phones[number] = self.world.phone(number)
        return self.phones[number]

    def call(self, number: str, digits: str = "", dialled: str = "800", **more: Any) -> int:
        """A phone calls the room, and presses these. Its leg."""
        phone = self.phone(number)
        before = set(self.world.legs())
        self.sessions[number] = phone.dial(dialled, **more)
        self.world.run(0.3)
        assert phone.last(SessionAnswered)
        [leg] = set(self.world.legs()) - before
        self.leg[number] = leg
        self.press(number, digits)
        return leg

    def press(self, number: str, digits: str) -> None:
        for digit in digits:
            self.tell(Digit(self.leg[number], digit, 100, "rfc4733"))

    def tell(self, event: Any) -> None:
        """What the engine says."""
        self.media.events.append(event)
        self.world.link.settle()

    def direct(self, number: str, direction: str) -> None:
        """Its telephone asks for this direction by re-INVITE: it holds, or is back."""
        phone = self.phones[number]
        phone.do(self.sessions[number].offer, phone.sdp(direction=direction))
        self.world.run(0.3)

    def hang_up(self, *numbers: str) -> None:
        for number in numbers:
            self.phones[number].do(self.sessions[number].hangup)
            self.world.run(0.3)

    def ended(self, number: str) -> bool:
        return bool(self.phones[number].of(SessionEnded))

    # ---- what the engine was told

    def talk(self) -> set[str]:
        """Who is with others on the floor, as the engine was told last."""
        rooms: dict[int, tuple[int, ...]] = {}
        for command in self.media.commands:
            if isinstance(command, SetRoom):
                rooms[command.room] = command.members
            elif isinstance(command, CloseRoom):
                rooms.pop(command.room, None)
        number_of = {leg: number for number, leg in self.leg.items()}
        return {number_of[leg] for members in rooms.values() for leg in members}

    def plays(self, number: str) -> list[Play]:
        return [play for play in self.media.asked(Play) if play.stream == self.leg[number]]

    def heard(self, number: str) -> list[str]:
        """All that was played to it alone."""
        return [word for play in self.plays(number) for word in map(words, play.sources)]

    def played(self, number: str, how: str = "done") -> None:
        """What it heard last has ended."""
        self.tell(PlayEnded(self.plays(number)[-1].play, how))  # type: ignore[arg-type]

    def volume(self, number: str) -> SetVolume:
        return [each for each in self.media.asked(SetVolume) if each.stream == self.leg[number]][-1]

    def do(self, action: str, member: str = "", **more: Any) -> Any:
        request = read_request({"conference": "board", "action": action, "member": member, **more})
        try:
            return carry_out(self.rooms, request, self.world.now)
        finally:
            self.world.link.settle()

    def over(self, calls: int) -> list[Any]:
        return self.world.assert_over(calls)


def segments(record: Any) -> str:
    return " ".join(segment.kind for segment in record.segments)


def words(source: Source) -> str:
    match source:
        case File(name=name):
            return name.removeprefix("conference/")
        case Music(name=name):
            return f"music {name}"
        case Speech(text=text):
            return text
        case _:
            return type(source).__name__
