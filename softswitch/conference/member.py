"""One member of a conference, from its arrival on.

    PIN -> NAME -> LOBBY -> WAITING -> IN -> LEAVING
            any state may be skipped; IN goes back to WAITING when the last host leaves; any -> LEAVING -> kicked

Only who is IN hears anybody, or is heard.
"""

from __future__ import annotations

from enum import Enum

from softswitch.conference.vocabulary import Level, MemberView, Role, Why

STEP_DB = 3.0
MAX_STEPS = 4
"""Volume goes from -12 to +12 dB."""


class State(Enum):
    PIN = "pin"
    """It is asked for the PIN."""
    NAME = "name"
    """It is asked for its name."""
    LOBBY = "lobby"
    """It waits to be admitted."""
    WAITING = "waiting"
    """It waits for a host."""
    IN = "in"
    LEAVING = "leaving"
    """It is told why, and then kicked."""


HOLDS_A_PLACE = frozenset((State.NAME, State.LOBBY, State.WAITING, State.IN))


class Member:
    """What a conference knows of one member."""

    __slots__ = (
        "admitted",
        "deadline",
        "deaf",
        "digits",
        "heard",
        "hears",
        "holding",
        "level",
        "lost",
        "menu",
        "muted",
        "name",
        "name_path",
        "number",
        "placed",
        "plays",
        "recording",
        "role",
        "silenced",
        "state",
        "stream",
        "talking",
        "tries",
        "unanswered",
        "why",
    )

    def __init__(self, stream: int, name: str, number: str) -> None:
        self.stream = stream
        self.name = name
        self.number = number
        self.role: Role = "guest"
        self.state = State.PIN
        self.placed = False  # by the operator or a host: never waits
        self.admitted = False  # from the lobby: never goes there again
        self.deadline: float | None = None  # monotonic: of what is asked, of the menu, of the last words
        self.digits = ""  # entered so far, while it is asked for the PIN
        self.tries = 0
        self.unanswered = 0  # times that nothing was entered
        self.menu = False  # `*` was pressed
        self.recording = 0  # of its name, while that is under way
        self.name_path = ""  # where its name is
        self.plays: set[int] = set()  # those to it alone that have not ended
        self.muted = False  # by itself
        self.silenced = False  # by a host
        self.deaf = False
        self.holding = False  # its telephone has put the room on hold
        self.heard = 0  # steps
        self.hears = 0
        self.talking = False
        self.lost = False  # its stream is
        self.level: Level | None = None  # as told; None: as it is at first
        self.why: Why = "left"  # it is LEAVING

    @property
    def is_host(self) -> bool:
        return self.role == "host"

    @property
    def unheard(self) -> bool:
        """Nobody on the floor hears it, whoever wants it so."""
        return self.muted or self.silenced or self.holding

    def level_in(self, room: int) -> Level:
        """How it shall be heard and hear."""
        if self.state is not State.IN:
            return Level(room, self.stream)
        return Level(room, self.stream, _gain(self.heard), _gain(self.hears), self.unheard, self.deaf)

    def view(self) -> MemberView:
        return MemberView(
            self.stream,
            self.role,
            self.state.value,
            self.name,
            self.number,
            self.muted or self.silenced,
            self.deaf,
            self.talking,
            self.heard,
            self.hears,
            self.holding,
        )


def bounded(steps: int) -> int:
    return max(-MAX_STEPS, min(MAX_STEPS, steps))


def _gain(steps: int) -> float:
    return float(round(10.0 ** (steps * STEP_DB / 20.0), 4))
