"""What each of those in a call does there, in the words that `softswitch status` has for it."""

from __future__ import annotations

from softswitch.call_floor import State
from softswitch.call_hunting import HuntingCall
from softswitch.holding import HOLDS
from softswitch.vocabulary import Endpoint

_ALONE = {
    State.ROUTING: "calls",
    State.HUNTING: "calls",
    State.OFFERING: "calls",
    State.TALKING: "talks",
    State.PAGING: "pages",
    State.PARKED: "is parked",
    State.ECHO: "hears itself",
    State.ANNOUNCING: "listens",
    State.ASKING: "is asked",
    State.ENDING: "leaves",
}
"""What A does, unless more is known."""

_HEARD = frozenset(
    ("talks", "talks aside", "consults", "waits", "is held", "is parked", "hears itself", "listens", "pages")
)
"""Who may be heard, and hears something: others, music, an announcement."""

_IN_ROOM = {
    "": "comes",
    "pin": "is asked",
    "name": "is asked",
    "lobby": "waits",
    "waiting": "waits",
    "in": "talks",
    "leaving": "leaves",
}
"""What A does in a conference room."""

_SUPERVISES = {"listen": "listens to", "whisper": "whispers to", "barge": "barges in on"}


class RolesCall(HuntingCall):
    """The part of a `Call` that says what its legs do."""

    __slots__ = ()

    def roles(self) -> list[tuple[int, str]]:
        """Each leg that is not gone, and what it does: those who talk first, then who waits, then all others."""
        order = [leg for leg in (*self.talkers, *self._aside) if leg]
        order += [leg for leg in self.legs() if leg not in order]
        return [(leg, self._role(leg)) for leg in order]

    def sounds(self, leg: int, does: str) -> bool:
        """Whether audio is to come from a leg with this role, and to go there: it is answered, and holds nobody."""
        session = self._session_of(leg)
        if self.state is State.CONFERRING and self._stand != "in":
            return False
        return does in _HEARD and session is not None and session.direction == "sendrecv"

    def end(self, leg: int) -> Endpoint:
        """The extension or trunk that a leg is of."""
        return self._endpoint_of(leg)

    @property
    def transfers(self) -> bool:
        """Others are called for one who has been sent on, or who comes back from where it was."""
        return self._transfer is not None

    def _role(self, leg: int) -> str:
        supervision = self._supervisors.get(leg)
        if self.state is State.ENDING:
            return "leaves"
        if supervision is not None:
            return f"{_SUPERVISES[supervision.mode]} {self._endpoint_of(supervision.target).name}"
        if self._transfer is not None and leg == self._transfer.transferor:
            return "transfers"
        if leg in self._aside:
            return "waits" if len(self._aside) == 1 else "talks aside"
        if leg in self.talkers:
            return self._talks(leg)
        if leg == self._goodbye[1]:
            return "parks"
        if leg in self._confirming:
            return "is asked"
        if self.rings(leg) or leg in self._inviting or self.state is State.PAGING:
            return "rings"
        return "comes" if leg in self._arriving else "leaves"

    def _talks(self, leg: int) -> str:
        """Of a talker; of A, also where there is nobody else."""
        if leg == self._consulter:
            return "consults"
        if self._page is not None and self.state is State.TALKING:
            return "pages" if leg == self.a else "hears the page" if leg in self._listeners else "talks"
        if self.state is State.HUNTING and self._transfer is not None:
            return "talks" if self._others else "waits"
        if self.state is State.CONFERRING:
            holds = self._stand == "in" and self._holds_others(leg)
            return "holds" if holds else _IN_ROOM[self._stand]
        others = [other for other in self.talkers if other != leg]
        if self.state is State.TALKING and self._holds_others(leg):
            return "holds"
        if self.state is State.TALKING and len(others) == 1 and self._holds_others(others[0]):
            return "is held"
        return _ALONE[self.state] if leg == self.a else "talks"

    def _holds_others(self, leg: int) -> bool:
        """By command, or as its telephone has asked, and not because another one's hold was carried to it."""
        return self.holds(leg) or (leg not in self._along and self._asked(leg, 0, "") in HOLDS)
