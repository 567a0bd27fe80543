"""How a member comes onto the floor: PIN, room for one more, name, lobby, waiting for the host; and how it goes.

    Join --PIN--> role --locked? full?--> NAME --> LOBBY --> WAITING --> IN
                   | three tries,            (entry: names)  (guests)   (guests)
                   | three times nothing
                   v
                 LEAVING

Every step calls the next one, which passes on at once where the room's settings ask for nothing.
"""

from __future__ import annotations

import hmac

from pydantic import SecretStr

from softswitch.conference.floor import ENTRY_TONE, EXIT_TONE, Floor
from softswitch.conference.member import Member, State
from softswitch.conference.phrases import Line
from softswitch.conference.vocabulary import (
    Barred,
    Join,
    Leave,
    NameFailed,
    NameRecorded,
    Place,
    RecordName,
    Reopened,
    Replaced,
    StopName,
)

PIN_TRIES = 3
PIN_FIRST_SECONDS = 20.0
"""From the beginning of the question to the first digit: the question itself takes up to ten."""
PIN_NEXT_SECONDS = 7.0
"""From one digit to the next."""
PIN_KEPT = 32
"""Digits kept of what is entered: more than a PIN has, so that a right one with more behind it is wrong."""
NAME_PROMPT_SECONDS = 20.0
NAME_SECONDS = 5.0
"""Longest name."""
NAME_FILE_SECONDS = 5.0
"""From the end of the recording to its file: after this the member has no name."""


class Reception(Floor):
    """Those who come, and those who go."""

    __slots__ = ()

    # ---- coming

    def _joined(self, event: Join, now: float) -> None:
        if event.member in self._members:
            return
        member = self._members[event.member] = Member(event.member, event.name, event.number)
        member.holding = event.holds
        self._tell("arrived", member.stream)
        if self.settings.pin is None and self.settings.host_pin is None:
            self._seek_place(member, now)
        else:
            self._ask_pin(member, now)

    def _placed(self, event: Place, now: float) -> None:
        """Nothing is asked: neither lock nor limit keep it out."""
        self._dials.pop(event.dial, None)
        if event.member in self._members:
            return
        member = self._members[event.member] = Member(event.member, event.name, event.number)
        member.role = event.role
        member.placed = True
        member.holding = event.holds
        self._tell("arrived", member.stream)
        self._enter(member, now)

    # ---- PIN

    def _ask_pin(self, member: Member, now: float, before: Line | None = None) -> None:
        line = self._voice.prompt("enter-pin" if self.settings.pin is not None else "enter-pin-or-hash")
        self._stands(member, State.PIN)
        member.digits = ""
        member.deadline = now + PIN_FIRST_SECONDS
        self._say(member, line if before is None else before.then(line))

    def _pin_digit(self, member: Member, digit: str, now: float) -> None:
        self._hush(member)
        if digit == "#":
            self._pin_entered(member, now)
            return
        member.deadline = now + PIN_NEXT_SECONDS
        if digit == "*":
            member.digits = ""  # begin again
        elif len(member.digits) < PIN_KEPT:
            member.digits += digit

    def _pin_entered(self, member: Member, now: float) -> None:
        """`#`, or nothing more for a while."""
        entered, member.digits = member.digits, ""
        # Both are compared whatever the first one says: how long it takes tells nothing.
        is_host = _same(entered, self.settings.host_pin)
        is_guest = _same(entered, self.settings.pin)
        if is_host:
            member.role = "host"
        elif not (is_guest or (self.settings.pin is None and not entered)):
            self._wrong_pin(member, now)
            return
        member.deadline = None
        self._seek_place(member, now)

    def _pin_overdue(self, member: Member, now: float) -> None:
        """Silence is no guess: many a caller does not hear the question, or has no keys. Where guests need no PIN it is
        their answer."""
        if member.digits or self.settings.pin is None:
            self._pin_entered(member, now)
            return
        member.unanswered += 1
        if member.unanswered < PIN_TRIES:
            self._ask_pin(member, now)
        else:
            self._tell("no-pin", member.stream)
            self._turn_away(member, "no-pin", self._voice.prompt("no-pin", "goodbye"), now)

    def _barred(self, event: Barred, now: float) -> None:
        member = self._members.get(event.member)
        if member is None:
            member = self._members[event.member] = Member(event.member, event.name, event.number)
            self._tell("arrived", member.stream)
        elif member.state is not State.PIN:
            return
        self._turn_away(member, "pin", self._last_try(), now)

    def _last_try(self) -> Line:
        return self._voice.prompt("wrong-pin", "goodbye")

    def _wrong_pin(self, member: Member, now: float) -> None:
        member.tries += 1
        self._tell("pin-failed", member.stream)
        if member.tries < PIN_TRIES:
            self._ask_pin(member, now, self._voice.prompt("wrong-pin"))
        else:
            self._turn_away(member, "pin", self._last_try(), now)

    # ---- a place

    def _seek_place(self, member: Member, now: float) -> None:
        """Hosts come in whatever there is; the member itself, in state PIN, holds no place yet."""
        if not member.is_host and self._locked:
            self._tell("shut-out", member.stream)
            self._turn_away(member, "locked", self._voice.prompt("is-locked", "goodbye"), now)
        elif not member.is_host and 0 < self.settings.limit <= self._places_taken():
            self._tell("full", member.stream)
            self._turn_away(member, "full", self._voice.prompt("full", "goodbye"), now)
        elif self.settings.entry == "names":
            self._ask_name(member, now)
        else:
            self._seek_entry(member, now)

    # ---- name

    def _ask_name(self, member: Member, now: float) -> None:
        self._stands(member, State.NAME)
        member.deadline = now + NAME_PROMPT_SECONDS
        self._say(member, self._voice.prompt("say-name").then(ENTRY_TONE), self._record_name)

    def _record_name(self, member: Member, now: float) -> None:
        if member.state is not State.NAME or member.recording:
            return
        member.recording = self._new_id()
        member.deadline = now + NAME_SECONDS
        self._effects.append(RecordName(self.id, member.recording, member.stream))

    def _name_digit(self, member: Member, now: float) -> None:
        """Any digit goes on: from the question to the recording, from the recording to what follows."""
        if not member.recording:
            self._hush(member)
            self._record_name(member, now)
        elif not member.digits:
            self._end_name(member, now)

    def _end_name(self, member: Member, now: float) -> None:
        member.digits = "#"  # it ended: the file is awaited
        member.deadline = now + NAME_FILE_SECONDS
        self._effects.append(StopName(self.id, member.recording))

    def _name_overdue(self, member: Member, now: float) -> None:
        if not member.recording:
            self._hush(member)
            self._record_name(member, now)
        elif not member.digits:
            self._end_name(member, now)
        else:
            self._named(member, now)

    def _name_came(self, event: NameRecorded | NameFailed, now: float) -> None:
        """A name that nobody waits for any more is deleted."""
        path = event.path if isinstance(event, NameRecorded) else ""
        for member in self._members.values():
            if member.recording == event.recording and member.state is State.NAME:
                member.name_path = path
                self._named(member, now)
                return
        self._forget_name(path)

    def _named(self, member: Member, now: float) -> None:
        member.recording = 0
        member.digits = ""
        member.deadline = None
        self._seek_entry(member, now)

    # ---- lobby, waiting, floor

    def _who(self, member: Member) -> Line:
        return self._voice.who(member.name_path, member.name, member.number)

    def _seek_entry(self, member: Member, now: float) -> None:
        if not member.is_host and not member.placed:
            if self.settings.lobby and not member.admitted:
                self._wait_in_lobby(member)
                return
            if self.settings.wait_for_host and not self._hosts():
                self._wait_for_host(member, self._voice.prompt("wait-for-host"))
                return
        self._enter(member, now)

    def _wait_in_lobby(self, member: Member) -> None:
        self._stands(member, State.LOBBY)
        self._tell("lobby", member.stream)
        self._say(member, self._voice.prompt("wait-in-lobby"), self._music)
        for host in self._hosts():
            self._say_who_waits(host, member)

    def _say_who_waits(self, host: Member, member: Member) -> None:
        self._say(host, self._who(member).then(self._voice.prompt("waits")), hush=False)

    def _wait_for_host(self, member: Member, line: Line) -> None:
        self._stands(member, State.WAITING)
        member.menu = False
        member.deadline = None
        self._tell("waiting", member.stream)
        self._say(member, line, self._music)

    def _admitted(self, member: Member, now: float) -> None:
        member.admitted = True
        self._seek_entry(member, now)

    def _enter(self, member: Member, now: float) -> None:
        others = len(self._on_floor())
        self._stands(member, State.IN)
        member.deadline = None
        member.silenced = member.silenced or (self._guests_muted and not member.is_host)
        self._tell("joined", member.stream)
        self._say(member, self._greeting(member, others))
        if self.settings.entry == "tones":
            self._say_to_all(ENTRY_TONE)
        elif self.settings.entry == "names" and others:
            self._say_to_all(self._who(member).then(self._voice.prompt("has-joined")))
        if member.is_host:
            for guest in self._in_state(State.WAITING):
                self._enter(guest, now)
            for guest in self._in_state(State.LOBBY):
                self._say_who_waits(member, guest)

    def _greeting(self, member: Member, others: int) -> Line:
        lines = []
        if self.settings.announce_count:
            lines.append(self._count(others))
        if self._recording_wanted:
            lines.append(self._voice.prompt("is-recorded"))
        if member.silenced:
            lines.append(self._voice.prompt("you-are-muted"))
        return Line().then(*lines)

    def _count(self, others: int) -> Line:
        if others < 2:
            return self._voice.prompt("one-other" if others else "alone")
        return self._voice.prompt("there-are").then(self._voice.number(others), self._voice.prompt("others"))

    # ---- going

    def _left(self, event: Leave, now: float) -> None:
        member = self._members.get(event.member)
        if member is None:
            return
        state = member.state
        self._stop_name(member)
        self._reset(member)
        self._remove(member)
        if state is State.IN:
            self._off_the_floor(member, now)
        else:
            self._forget_name(member.name_path)

    def _off_the_floor(self, member: Member, now: float) -> None:
        """What hangs on the last host goes with it; whoever stays on the floor hears who left."""
        if member.is_host and not self._hosts():
            self._without_host(now)
        if self.settings.entry == "tones":
            self._say_to_all(EXIT_TONE)
        if self.settings.entry == "names":
            self._say_to_all(self._who(member).then(self._voice.prompt("has-left")), member.name_path)
        else:
            self._forget_name(member.name_path)
        member.name_path = ""

    def _without_host(self, now: float) -> None:
        if self.settings.end_with_host:
            self._end(now)
        elif self.settings.wait_for_host:
            for guest in self._on_floor():
                if not guest.placed:
                    self._wait_for_host(guest, self._voice.prompt("host-left", "wait-for-host"))

    def _end(self, now: float) -> None:
        """For all: nobody is heard any more but these last words."""
        if self.ended:
            return
        self.ended = True
        self._tell("ended")
        self._cancel_dials()
        for member in list(self._members.values()):
            if member.state is not State.LEAVING:
                self._without_name(member)
                self._turn_away(member, "ended", self._voice.prompt("ended", "goodbye"), now)

    def _without_name(self, member: Member) -> None:
        self._stop_name(member)
        self._forget_name(member.name_path)
        member.name_path = ""

    def _stop_name(self, member: Member) -> None:
        """Of a recording under way; its file is deleted when it comes."""
        if member.recording and not member.digits:
            self._effects.append(StopName(self.id, member.recording))
        member.recording = 0
        member.digits = ""

    # ---- another one in its place

    def _replaced(self, event: Replaced, now: float) -> None:
        """What it did itself, and how it is called, goes with it; what hosts decided about it stays."""
        member = self._members.get(event.member)
        if member is None or event.stream in self._members:
            return
        self._without_name(member)
        self._reset(member)
        if member.talking:
            self._tell("quiet", member.stream)
        self._tell("left", member.stream)
        member.stream, member.name, member.number = event.stream, event.name, event.number
        member.muted = member.talking = member.menu = member.lost = False
        member.holding = event.holds
        member.hears = 0
        self._members = {each.stream: each for each in self._members.values()}
        self._dials = {dial: event.stream if by == event.member else by for dial, by in self._dials.items()}
        self._gone.append(event.member)
        self._tell("arrived", member.stream)
        self._stands(member, member.state)
        if member.state is State.IN:
            member.deadline = None
            self._tell("joined", member.stream)
        else:
            self._ask_again(member, now)

    # ---- its stream was lost, and is back

    def _reopened(self, event: Reopened, now: float) -> None:
        """All is stated anew, and what was asked is asked again."""
        member = self._members.get(event.member)
        if member is None:
            return
        self._hush(member)  # where it has just taken another's place they go on
        member.level = None
        member.lost = False
        self._recorded = ()  # what is recorded is stated anew, too
        self._ask_again(member, now)

    def _ask_again(self, member: Member, now: float) -> None:
        match member.state:
            case State.PIN:
                self._ask_pin(member, now)
            case State.NAME:
                self._stop_name(member)
                self._ask_name(member, now)
            case State.LOBBY | State.WAITING:
                self._music(member, now)
            case State.IN:
                self._stated = ()
            case State.LEAVING:
                self._kicked(member, now)


def _same(entered: str, pin: SecretStr | None) -> bool:
    wanted = "" if pin is None else pin.get_secret_value()
    equal = hmac.compare_digest(entered.encode(), wanted.encode())
    return equal and pin is not None
