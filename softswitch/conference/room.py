"""One conference: every event goes in here, and its effects come out.

    handle(event, now) -> effects          deadline: when `Tick` is wanted

The parts are one object in layers, each of which knows those below: `floor` (who hears whom, plays, recording),
`reception` (coming and going), `chair` (commands), and here the menus on the telephone, and time.
"""

from __future__ import annotations

from typing import assert_never

from softswitch.conference.chair import Chair
from softswitch.conference.member import MAX_STEPS, Member, State, bounded
from softswitch.conference.phrases import Line
from softswitch.conference.settings import Action
from softswitch.conference.vocabulary import (
    Admit,
    AnyCommand,
    AnyEffect,
    AnyEvent,
    Barred,
    Command,
    DialFailed,
    Digit,
    End,
    Holds,
    Join,
    Kick,
    Leave,
    Lock,
    Lost,
    MuteGuests,
    NameFailed,
    NameRecorded,
    Place,
    PlayEnded,
    Record,
    RecordingFailed,
    Refuse,
    Refused,
    Remove,
    Reopened,
    Replaced,
    RoomView,
    Talking,
    Tick,
)

MENU_SECONDS = 5.0
"""From `*` to the digit."""


class Conference(Chair):
    """A conference room while somebody is in it. After `Closed` it is to be forgotten."""

    __slots__ = ()

    # ---- receive

    def handle(self, event: AnyEvent, now: float) -> list[AnyEffect]:
        """What an event means. Events about members and ids that are gone mean nothing."""
        match event:
            case Join() | Place() | Barred() if self.ended and event.member not in self._members:
                self._effects.append(Kick(self.id, event.member, "ended"))
            case Join():
                self._joined(event, now)
            case Place():
                self._placed(event, now)
            case Barred():
                self._barred(event, now)
            case Leave():
                self._left(event, now)
            case Digit():
                self._digit(event, now)
            case Talking():
                self._talking(event)
            case Holds():
                self._holds(event)
            case Lost(member=stream):
                if stream in self._members:
                    self._members[stream].lost = True
            case Reopened():
                self._reopened(event, now)
            case Replaced():
                self._replaced(event, now)
            case PlayEnded():
                self._play_ended(event, now)
            case NameRecorded() | NameFailed():
                self._name_came(event, now)
            case RecordingFailed():
                self._recording_failed(event)
            case DialFailed():
                self._dial_failed(event)
            case Tick():
                self._tick(now)
            case Command():
                self._commanded(event, now)
            case _:
                assert_never(event)
        return self._settled()

    # ---- next deadline

    @property
    def deadline(self) -> float | None:
        """When something is to be told `Tick`, None: never."""
        return min((each.deadline for each in self._members.values() if each.deadline is not None), default=None)

    # ---- view

    @property
    def is_empty(self) -> bool:
        return not self._members and not self._dials

    def gone(self) -> list[int]:
        """Those who are in it no more, each told once."""
        gone, self._gone = self._gone, []
        return gone

    def awaits(self, dial: int) -> bool:
        """Whether that call is one of this room's."""
        return dial in self._dials

    def view(self) -> RoomView:
        return RoomView(
            self.name,
            self.id,
            self._locked,
            "no" if not self._recording else "paused" if self._recording_paused else "yes",
            self._guests_muted,
            tuple(member.view() for member in self._members.values()),
        )

    # ---- private

    def _commanded(self, command: AnyCommand, now: float) -> None:
        why = self._command(command, now)
        if why:
            self._effects.append(Refused(self.id, command.by, why))

    def _talking(self, event: Talking) -> None:
        member = self._members.get(event.member)
        if member is None or member.talking == event.talking or not self.settings.talkers:
            return
        if event.talking and (member.state is not State.IN or member.unheard):
            return
        member.talking = event.talking
        self._tell("talking" if event.talking else "quiet", member.stream)

    def _holds(self, event: Holds) -> None:
        member = self._members.get(event.member)
        if member is not None and member.holding != event.holds:
            member.holding = event.holds
            self._tell("holds" if event.holds else "is back", member.stream)

    def _tick(self, now: float) -> None:
        for member in list(self._members.values()):
            if member.deadline is not None and member.deadline <= now and member.stream in self._members:
                self._overdue(member, now)

    def _overdue(self, member: Member, now: float) -> None:
        match member.state:
            case State.PIN:
                self._pin_overdue(member, now)
            case State.NAME:
                self._name_overdue(member, now)
            case State.IN | State.LOBBY | State.WAITING:
                member.menu = False
                member.deadline = None
            case State.LEAVING:
                self._kicked(member, now)
            case _:
                assert_never(member.state)

    # ---- digits

    def _digit(self, event: Digit, now: float) -> None:
        member = self._members.get(event.member)
        if member is None:
            return
        match member.state:
            case State.PIN:
                self._pin_digit(member, event.digit, now)
            case State.NAME:
                self._name_digit(member, now)
            case State.IN:
                self._menu_digit(member, event.digit, now)
            case State.LOBBY | State.WAITING | State.LEAVING:
                pass  # nothing is asked
            case _:
                assert_never(member.state)

    def _menu_digit(self, member: Member, digit: str, now: float) -> None:
        """`*` opens the menu, the next digit closes it."""
        if digit == "*":
            self._hush(member)
            member.menu = True
            member.deadline = now + MENU_SECONDS
            return
        if not member.menu:
            return
        member.menu = False
        member.deadline = None
        if digit == "#":
            return
        action = self._menu(member).get(digit)
        if action is None:
            self._say(member, self._voice.prompt("not-possible"))
        else:
            self._chosen(member, action, now)

    def _menu(self, member: Member) -> dict[str, Action]:
        menu = self.settings.host_menu if member.is_host else self.settings.guest_menu
        return {str(digit): action for digit, action in menu.items()}

    def _chosen(self, member: Member, action: Action, now: float) -> None:
        by = member.stream
        match action:
            case "mute":
                self._mute_self(member)
            case "quieter" | "louder":
                member.hears = bounded(member.hears + (1 if action == "louder" else -1))
                # Steps are told from 1 on: nobody thinks of its volume as minus three.
                self._say(member, self._voice.prompt("volume").then(self._voice.number(member.hears + MAX_STEPS + 1)))
            case "lock":
                locked = not self._locked
                self._do(member, Lock(locked=locked, by=by), now, "now-locked" if locked else "now-unlocked")
            case "mute-guests":
                muted = not self._guests_muted
                self._do(member, MuteGuests(muted=muted, by=by), now, "guests-muted" if muted else "guests-unmuted")
            case "record":
                self._do(member, Record(what="stop" if self._recording_wanted else "start", by=by), now)
            case "roll-call":
                self._say_who_is_here(member)
            case "kick-last":
                guest = self._last_guest()
                if guest is None:
                    self._say(member, self._voice.prompt("nobody-to-remove"))
                else:
                    self._do(member, Remove(member=guest.stream, by=by), now, "removed")
            case "admit":
                self._do(member, Admit(by=by), now, "admitted", otherwise="nobody-waits")
            case "refuse":
                self._do(member, Refuse(by=by), now, "turned-away", otherwise="nobody-waits")
            case "end":
                self._do(member, End(by=by), now)
            case "leave":
                self._turn_away(member, "left", self._voice.prompt("goodbye"), now)
                self._off_the_floor(member, now)
            case "help":
                self._say_help(member)
            case _:
                assert_never(action)

    def _do(
        self, member: Member, command: AnyCommand, now: float, words: str = "", *, otherwise: str = "not-possible"
    ) -> None:
        """Carry out a host's command and tell it, alone, what came of it."""
        why = self._command(command, now)
        if why:
            words = otherwise
        if words and member.state is State.IN:
            self._say(member, self._voice.prompt(words))

    def _mute_self(self, member: Member) -> None:
        """Whom a host has muted can't undo that."""
        if member.silenced:
            self._say(member, self._voice.prompt("muted-by-host"))
            return
        member.muted = not member.muted
        self._tell("muted" if member.muted else "unmuted", member.stream, member.stream)
        self._say(member, self._voice.prompt("you-are-muted" if member.muted else "you-are-unmuted"))

    def _say_help(self, member: Member) -> None:
        lines = [
            self._voice.prompt("press-star").then(self._voice.digits(digit), self._voice.prompt(f"to-{action}"))
            for digit, action in self._menu(member).items()
        ]
        self._say(member, Line().then(*lines, self._voice.prompt("leave-menu")))
