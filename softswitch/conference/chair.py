"""What hosts and the operator may want of a conference.

Each command is carried out at once, or the reason why not comes back as text: for the API it becomes `Refused`, for the
menu a spoken word.
"""

from __future__ import annotations

from typing import assert_never

from softswitch.conference.member import Member, State, bounded
from softswitch.conference.reception import Reception
from softswitch.conference.vocabulary import (
    OPERATOR,
    Admit,
    AnyCommand,
    Deafen,
    Dial,
    DialFailed,
    DialOut,
    End,
    Lock,
    Mute,
    MuteGuests,
    PauseRecording,
    Record,
    RecordingFailed,
    Refuse,
    Remove,
    RemoveAll,
    RollCall,
    SetVolume,
    What,
)

DIALS = 32
"""Calls that a room makes at one time."""

ROLL_CALL = 30
"""Names that a roll call says: more nobody waits for."""


NO_RIGHTS = (
    "a call is made with the rights of an extension, whose dialplan says what the number is and whose limits count: "
    "expected one named (--by), or 'dial_as' in the conference's settings"
)


class Chair(Reception):
    """Commands."""

    __slots__ = ()

    def _command(self, command: AnyCommand, now: float) -> str:
        """Why it was not carried out, or ""."""
        if command.by != OPERATOR:
            giver = self._members.get(command.by)
            if giver is None or giver.state is not State.IN or not giver.is_host:
                return "only a host in the conference, or the operator, may do that"
        if self.ended:
            return "the conference has ended"
        match command:
            case Mute() | Deafen() | SetVolume() | Remove():
                return self._of_one(command, now)
            case MuteGuests():
                self._mute_guests(command)
            case RemoveAll():
                self._remove_all(command, now)
            case Lock():
                self._lock(command)
            case Admit() | Refuse():
                return self._lobby(command, now)
            case Record():
                return self._record(command)
            case RollCall():
                return self._roll_call(command)
            case Dial():
                return self._dial(command)
            case End():
                self._end(now)
            case _:
                assert_never(command)
        return ""

    # ---- one member

    def _of_one(self, command: Mute | Deafen | SetVolume | Remove, now: float) -> str:
        member = self._members.get(command.member)
        if member is None or member.state is State.LEAVING:
            return f"no member {command.member} in conference {self.name}"
        match command:
            case Mute():
                self._mute(member, command)
            case Deafen():
                if member.deaf != command.deaf:
                    member.deaf = command.deaf
                    self._tell("deaf" if command.deaf else "undeaf", member.stream, command.by)
            case SetVolume():
                member.heard = bounded(member.heard if command.heard is None else command.heard)
                member.hears = bounded(member.hears if command.hears is None else command.hears)
                self._tell("volume", member.stream, command.by)
            case Remove():
                self._kick(member, command.by, now)
            case _:
                assert_never(command)
        return ""

    def _mute(self, member: Member, command: Mute) -> None:
        if member.silenced == command.muted:
            return
        member.silenced = command.muted
        self._tell("muted" if command.muted else "unmuted", member.stream, command.by)
        self._say_whether_muted(member)

    def _say_whether_muted(self, member: Member) -> None:
        """To a member on the floor, after a host changed it."""
        if member.state is State.IN:
            words = "muted-by-host" if member.silenced else "you-are-muted" if member.muted else "you-are-unmuted"
            self._say(member, self._voice.prompt(words))

    def _kick(self, member: Member, by: int, now: float) -> None:
        was_in = member.state is State.IN
        self._tell("kicked", member.stream, by)
        if not was_in:
            self._without_name(member)
        self._turn_away(member, "kicked", self._voice.prompt("kicked", "goodbye"), now)
        if was_in:
            self._off_the_floor(member, now)

    # ---- all

    def _mute_guests(self, command: MuteGuests) -> None:
        self._guests_muted = command.muted
        self._tell("guests-muted" if command.muted else "guests-unmuted", 0, command.by)
        for member in self._members.values():
            if not member.is_host and member.state is not State.LEAVING and member.silenced != command.muted:
                member.silenced = command.muted
                self._say_whether_muted(member)

    def _remove_all(self, command: RemoveAll, now: float) -> None:
        # Guests first: the end that goes with the last host is not what they are told.
        for member in sorted(self._members.values(), key=lambda member: member.is_host):
            if member.stream != command.by and member.state is not State.LEAVING:
                self._kick(member, command.by, now)

    def _lock(self, command: Lock) -> None:
        if self._locked != command.locked:
            self._locked = command.locked
            self._tell("locked" if command.locked else "unlocked", 0, command.by)

    # ---- lobby

    def _lobby(self, command: Admit | Refuse, now: float) -> str:
        waiting = {member.stream: member for member in self._in_state(State.LOBBY)}
        member = waiting.get(command.member or next(iter(waiting), 0))
        if member is None:
            return "nobody waits to be admitted" if not command.member else f"{command.member} is not in the lobby"
        if isinstance(command, Admit):
            self._admitted(member, now)
        else:
            self._tell("refused", member.stream, command.by)
            self._without_name(member)
            self._turn_away(member, "refused", self._voice.prompt("refused", "goodbye"), now)
        return ""

    # ---- recording

    def _record(self, command: Record) -> str:
        """The recording itself begins and ends in `_settled`; everybody hears of it."""
        match command.what:
            case "start":
                if self._recording_wanted:
                    return "it is recorded already"
                self._recording_wanted = True
                self._said_of_recording("recording", "recording-began", command.by)
            case "stop":
                if not self._recording_wanted:
                    return "it is not recorded"
                self._recording_wanted = False
                self._said_of_recording("recording-stopped", "recording-ended", command.by)
            case "pause":
                if not self._recording or self._recording_paused:
                    return "there is no recording to pause"
                self._pause(True)
                self._said_of_recording("paused", "recording-paused", command.by)
            case "resume":
                if not self._recording or not self._recording_paused:
                    return "there is no paused recording"
                self._pause(False)
                self._said_of_recording("resumed", "recording-began", command.by)
            case _:
                assert_never(command.what)
        return ""

    def _said_of_recording(self, what: What, words: str, by: int) -> None:
        self._tell(what, 0, by)
        self._say_to_all(self._voice.prompt(words))

    def _pause(self, paused: bool) -> None:
        self._recording_paused = paused
        self._effects.append(PauseRecording(self.id, self._recording, paused))

    def _recording_failed(self, event: RecordingFailed) -> None:
        """It is not begun again by itself: what failed once fails again. But another media process may record."""
        if event.recording != self._recording:
            return
        self._recording = 0
        if event.lost:
            return
        self._recording_paused = False
        self._recording_wanted = False
        self._tell("recording-failed", text=event.why)
        for host in self._hosts():
            self._say(host, self._voice.prompt("recording-failed"), hush=False)

    # ---- roll call, dialling out

    def _roll_call(self, command: RollCall) -> str:
        giver = self._members.get(command.by)
        if giver is None:
            return "a roll call is for a member to hear"
        self._say_who_is_here(giver)
        return ""

    def _say_who_is_here(self, member: Member) -> None:
        """By name or number; of many, how many more there are."""
        there = self._on_floor()
        lines = [self._who(each) for each in there[:ROLL_CALL]]
        if len(there) > ROLL_CALL:
            lines += [self._voice.number(len(there) - ROLL_CALL), self._voice.prompt("others")]
        self._say(member, self._voice.prompt("roll-call").then(*lines))

    def _dial(self, command: Dial) -> str:
        if len(self._dials) >= DIALS:
            return f"{DIALS} calls are being made already"
        rights = command.rights or self.settings.dial_as or ""
        if not rights and command.by == OPERATOR:
            return NO_RIGHTS
        dial = self._new_id()
        self._dials[dial] = command.by
        self._effects.append(DialOut(self.id, dial, command.number, command.by, command.role, rights))
        self._tell("dialling", 0, command.by, command.number)
        return ""

    def _dial_failed(self, event: DialFailed) -> None:
        by = self._dials.pop(event.dial, None)
        if by is None:
            return
        self._tell("dial-failed", 0, by, event.why)
        member = self._members.get(by)
        if member is not None and member.state is State.IN:
            self._say(member, self._voice.prompt("call-failed"), hush=False)

    def _last_guest(self) -> Member | None:
        """The one that came onto the floor last."""
        return next((member for member in reversed(self._on_floor()) if not member.is_host), None)
