"""What a conference is told, and what it wants done.

Members are named by their streams, which are never 0; 0 is the operator where a command says who gave it. Plays,
recordings and dials are named by ids that `new_id` of the conference gave. Every effect says which room it is of, and
what answers an effect (`Outcome`) says so too.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from media.audio_commands import Source

Role = Literal["guest", "host"]
Why = Literal["pin", "no-pin", "full", "locked", "refused", "kicked", "ended", "left"]
Stand = Literal["pin", "name", "lobby", "waiting", "in", "leaving"]
"""What a member is kicked for; left: it chose to leave by the menu."""

OPERATOR = 0


# ---- events: members


class MemberEvent(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Something about the member with this stream."""

    member: int


class Join(MemberEvent, frozen=True, gc=False, tag=True):
    """A caller came by the dialplan; it is answered and can hear. `name`, `number`: who that is, as far as known.
    `holds`: as `Holds` says."""

    name: str = ""
    number: str = ""
    holds: bool = False


class Place(MemberEvent, frozen=True, gc=False, tag=True):
    """The operator, or a call that the room dialled (`dial`), puts somebody in: nothing is asked."""

    role: Role = "guest"
    name: str = ""
    number: str = ""
    dial: int = 0
    holds: bool = False


class Barred(MemberEvent, frozen=True, gc=False, tag=True):
    """A caller who comes or is there, and is not to guess at PINs any more: it is turned away as after its last try."""

    name: str = ""
    number: str = ""


class Leave(MemberEvent, frozen=True, gc=False, tag=True):
    """It hung up or vanished: its stream is gone, or about to be."""


class Digit(MemberEvent, frozen=True, gc=False, tag=True):
    """It pressed a digit, 0-9 * #. The text of this never shows which: it may be of a PIN."""

    digit: str

    def __repr__(self) -> str:
        return f"Digit({self.member})"


class Talking(MemberEvent, frozen=True, gc=False, tag=True):
    talking: bool


class Holds(MemberEvent, frozen=True, gc=False, tag=True):
    """Its telephone holds, and may send its own music, which nobody is to hear; or is back."""

    holds: bool


class Lost(MemberEvent, frozen=True, gc=False, tag=True):
    """Its stream was lost with a media process. `Reopened` or `Leave` follows."""


class Reopened(MemberEvent, frozen=True, gc=False, tag=True):
    """Its stream was lost with a media process and is open anew, without anything of what it was told."""


class Replaced(MemberEvent, frozen=True, gc=False, tag=True):
    """Somebody else, on another stream, takes its place (attended transfer): role, and what hosts have set for it, go
    over; whatever it was asked is asked again. The stream that it had is in the room no more."""

    stream: int
    name: str = ""
    number: str = ""
    holds: bool = False


AnyMemberEvent = Join | Place | Barred | Leave | Digit | Talking | Holds | Lost | Reopened | Replaced


# ---- events: what came of effects


class Outcome(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What came of an effect of this room."""

    room: int


class PlayEnded(Outcome, frozen=True, gc=False, tag=True):
    """`failed`: nothing, or not all of it, was heard."""

    play: int
    failed: bool = False


class NameRecorded(Outcome, frozen=True, gc=False, tag=True):
    """The file of a `RecordName` is whole; `path` as `media.audio_commands.File` takes it."""

    recording: int
    path: str


class NameFailed(Outcome, frozen=True, gc=False, tag=True):
    recording: int


class RecordingFailed(Outcome, frozen=True, gc=False, tag=True):
    """`lost`: with the media process that wrote it; it goes on in another file with those whose streams are there."""

    recording: int
    why: str = ""
    lost: bool = False


class DialFailed(Outcome, frozen=True, gc=False, tag=True):
    """Nobody answered; else `Place` follows with the id of the dial."""

    dial: int
    why: str = ""


AnyOutcome = PlayEnded | NameRecorded | NameFailed | RecordingFailed | DialFailed


# ---- commands


class Command(msgspec.Struct, frozen=True, gc=False, tag=True, kw_only=True):
    """What a host or the operator wants. `by`: the member, or `OPERATOR`. Of others: `Refused`."""

    by: int = OPERATOR


class Mute(Command, frozen=True, gc=False, tag=True, kw_only=True):
    """Mute or unmute a member. Whoever muted itself stays so."""

    member: int
    muted: bool


class MuteGuests(Command, frozen=True, gc=False, tag=True, kw_only=True):
    """All guests that are there, and those who come."""

    muted: bool


class Deafen(Command, frozen=True, gc=False, tag=True, kw_only=True):
    member: int
    deaf: bool


class SetVolume(Command, frozen=True, gc=False, tag=True, kw_only=True):
    """Steps of 3 dB; None: as it is."""

    member: int
    heard: int | None = None
    hears: int | None = None


class Remove(Command, frozen=True, gc=False, tag=True, kw_only=True):
    """Kick one."""

    member: int


class RemoveAll(Command, frozen=True, gc=False, tag=True, kw_only=True):
    """Kick all but who says so."""


class Lock(Command, frozen=True, gc=False, tag=True, kw_only=True):
    locked: bool


class Admit(Command, frozen=True, gc=False, tag=True, kw_only=True):
    """Let one in from the lobby; 0: the first."""

    member: int = 0


class Refuse(Command, frozen=True, gc=False, tag=True, kw_only=True):
    """Turn one in the lobby away; 0: the first."""

    member: int = 0


class Record(Command, frozen=True, gc=False, tag=True, kw_only=True):
    what: Literal["start", "pause", "resume", "stop"]


class RollCall(Command, frozen=True, gc=False, tag=True, kw_only=True):
    """Tell the host who gives it who is there."""


class Dial(Command, frozen=True, gc=False, tag=True, kw_only=True):
    """Call a number into the room. `rights`: the extension whose rights count, and whose number is shown, where the
    operator asks; "": the one that the room's settings name."""

    number: str
    role: Role = "guest"
    rights: str = ""


class End(Command, frozen=True, gc=False, tag=True, kw_only=True):
    """For all."""


AnyCommand = (
    Mute | MuteGuests | Deafen | SetVolume | Remove | RemoveAll | Lock | Admit | Refuse | Record | RollCall | Dial | End
)


class Tick(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The conference's `deadline` has come."""


AnyEvent = AnyMemberEvent | AnyOutcome | AnyCommand | Tick


# ---- effects


class Effect(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Something that this room wants done."""

    room: int


class Matrix(Effect, frozen=True, gc=False, tag=True):
    """Each of these hears every other one, and nobody else. `talkers`: tell who talks."""

    members: tuple[int, ...]
    talkers: bool = False


class Level(Effect, frozen=True, gc=False, tag=True):
    """How a member is heard and hears (linear)."""

    member: int
    heard: float = 1.0
    hears: float = 1.0
    muted: bool = False
    deaf: bool = False


class PlayTo(Effect, frozen=True, gc=False, tag=True):
    """Play to one member alone. `PlayEnded` answers it."""

    play: int
    member: int
    sources: tuple[Source, ...]


class PlayAll(Effect, frozen=True, gc=False, tag=True):
    """Play to everybody of the matrix, over what they hear. `PlayEnded` answers it."""

    play: int
    sources: tuple[Source, ...]


class StopPlay(Effect, frozen=True, gc=False, tag=True):
    play: int


class RecordName(Effect, frozen=True, gc=False, tag=True):
    """Record this member alone into a file of its own, until `StopName`; `NameRecorded` or `NameFailed` answers."""

    recording: int
    member: int


class StopName(Effect, frozen=True, gc=False, tag=True):
    recording: int


class ForgetName(Effect, frozen=True, gc=False, tag=True):
    """Nobody needs the file of a name any more: delete it."""

    path: str


class RecordRoom(Effect, frozen=True, gc=False, tag=True):
    """Record these, mixed, until `StopRecording`."""

    recording: int
    members: tuple[int, ...]


class RecordingMembers(Effect, frozen=True, gc=False, tag=True):
    """Who is recorded from now on."""

    recording: int
    members: tuple[int, ...]


class PauseRecording(Effect, frozen=True, gc=False, tag=True):
    recording: int
    paused: bool


class StopRecording(Effect, frozen=True, gc=False, tag=True):
    recording: int


class DialOut(Effect, frozen=True, gc=False, tag=True):
    """Call `number` as `by` may, or (0: the operator) the extension `rights`; `Place` with this dial, or `DialFailed`,
    answers."""

    dial: int
    number: str
    by: int
    role: Role
    rights: str = ""


class CancelDial(Effect, frozen=True, gc=False, tag=True):
    """Nobody waits for that call any more: nothing answers this."""

    dial: int


class Kick(Effect, frozen=True, gc=False, tag=True):
    """End this member's call, of which the conference knows nothing any more."""

    member: int
    why: Why


What = Literal[
    "arrived",
    "pin-failed",
    "no-pin",
    "full",
    "shut-out",
    "lobby",
    "waiting",
    "joined",
    "left",
    "kicked",
    "refused",
    "muted",
    "unmuted",
    "deaf",
    "undeaf",
    "holds",
    "is back",
    "guests-muted",
    "guests-unmuted",
    "volume",
    "locked",
    "unlocked",
    "recording",
    "paused",
    "resumed",
    "recording-stopped",
    "recording-failed",
    "dialling",
    "dial-failed",
    "talking",
    "quiet",
    "ended",
]


class Told(Effect, frozen=True, gc=False, tag=True):
    """For whoever shows or logs what goes on. `member`: whom it is about, 0 for the room; never a PIN."""

    what: What
    member: int = 0
    by: int = OPERATOR
    text: str = ""


class Stands(Effect, frozen=True, gc=False, tag=True):
    """How a member stands in the room has changed, or another one stands in its place; `softswitch.conference.member`
    says what each means."""

    member: int
    stand: Stand


class Refused(Effect, frozen=True, gc=False, tag=True):
    """A command could not be carried out; `why` is for whoever gave it."""

    by: int
    why: str


class Closed(Effect, frozen=True, gc=False, tag=True):
    """Nobody is there, and nobody is awaited: the room is forgotten."""


AnyEffect = (
    Matrix
    | Level
    | PlayTo
    | PlayAll
    | StopPlay
    | RecordName
    | StopName
    | ForgetName
    | RecordRoom
    | RecordingMembers
    | PauseRecording
    | StopRecording
    | DialOut
    | CancelDial
    | Kick
    | Told
    | Stands
    | Refused
    | Closed
)


# ---- views


class MemberView(msgspec.Struct, frozen=True, gc=False):
    """One member as it is now, for whoever shows it."""

    member: int
    role: Role
    state: Stand
    name: str
    number: str
    muted: bool
    deaf: bool
    talking: bool
    heard: int
    hears: int
    holding: bool = False
    """Its telephone has put the room on hold: nobody hears it."""


class RoomView(msgspec.Struct, frozen=True, gc=False):
    """A room as it is now, its members in order of arrival."""

    name: str
    room: int
    locked: bool
    recording: Literal["no", "yes", "paused"]
    guests_muted: bool
    members: tuple[MemberView, ...]
