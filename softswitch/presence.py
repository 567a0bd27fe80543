"""Presence: how everything stands that can be watched, and who watches it.

    calls       --follow-->  lines of extensions    \\
    park, rooms --set----->  state of what is no extension  --> state(resource): idle, ringing, talking, held...
    Whereabouts <--asked---  reachable, do not disturb      /
    whatever changed --touch--> watchers to be told, once for each input however much happened in it

A *resource* is named by its number, as it stands in the user part of a URI; a conference, which many numbers may lead
to, by `conference_resource`. Lines hang on the contact that told of
them, so that nothing is left of a contact that is gone; one that moves to another contact is the other's from then on.
Whether an extension can be reached is asked when its state is, not kept here: nothing could drift from it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from softswitch.vocabulary import Party

Phase = Literal["trying", "early", "confirmed"]
"""Of RFC 4235 3.7.1: called and not yet rung, ringing, answered. What is over is not there any more."""

Watcher = TypeVar("Watcher", bound=Hashable)

_CONFERENCE = "conference:"


def conference_resource(name: str) -> str:
    """What a conference is watched as."""
    return _CONFERENCE + name


def is_conference(resource: str) -> bool:
    """Whether a resource is a conference, not a number."""
    return resource.startswith(_CONFERENCE)


class Line(msgspec.Struct, frozen=True, gc=False):
    """One dialog of a resource, seen from its side: `local_tag` is its own, `remote_tag` ours."""

    id: str
    phase: Phase
    direction: Literal["initiator", "recipient"]
    remote: Party
    """Whom it talks to, calls, or is called by."""
    call_id: str = ""
    local_tag: str = ""
    remote_tag: str = ""
    held: bool = False
    """It has put its partner on hold."""


class ResourceState(msgspec.Struct, frozen=True, gc=False):
    """How a resource stands."""

    lines: tuple[Line, ...] = ()
    reachable: bool = True
    do_not_disturb: bool = False

    @property
    def talking(self) -> bool:
        """Somebody is spoken to, or held."""
        return any(line.phase == "confirmed" for line in self.lines)

    @property
    def summary(self) -> str:
        """One word for people."""
        if self.talking:
            held = all(line.held for line in self.lines if line.phase == "confirmed")
            return "held" if held else "talking"
        if self.lines:
            called = any(line.direction == "recipient" for line in self.lines)
            return "ringing" if called else "calling"
        if not self.reachable:
            return "unreachable"
        return "do not disturb" if self.do_not_disturb else "idle"


class Whereabouts(Protocol):
    """What else is to know of an extension."""

    def reachable(self, extension: str, now: float) -> bool: ...

    def do_not_disturb(self, extension: str) -> bool: ...


class Presence(Generic[Watcher]):
    """The states, and the watchers, of all resources."""

    __slots__ = ("_contacts", "_lines", "_owners", "_placed", "_touched", "_watchers", "_whereabouts")

    def __init__(self, whereabouts: Whereabouts) -> None:
        self._whereabouts = whereabouts
        self._lines: dict[str, dict[str, Line]] = {}  # by resource, by line id
        self._owners: dict[str, str] = {}  # contact by line id
        self._contacts: dict[str, dict[str, str]] = {}  # by contact: resource by line id
        self._placed: dict[str, ResourceState] = {}  # set from outside
        self._watchers: dict[str, dict[Watcher, None]] = {}
        self._touched: set[str] = set()

    # ---- what happens ----------------------------------------------------------------------------------------

    def follow(self, contact: str, lines: Iterable[tuple[str, Line]]) -> None:
        """All lines of a contact, each with its resource, as they are now; none when it is over."""
        before = self._contacts.get(contact, {})
        after = {}
        for resource, line in lines:
            after[line.id] = resource
            self._owners[line.id] = contact
            known = self._lines.setdefault(resource, {})
            if known.get(line.id) != line:
                known[line.id] = line
                self._touched.add(resource)
        for line_id, resource in before.items():
            if after.get(line_id) != resource:
                self._forget(contact, resource, line_id, gone=line_id not in after)
        if after:
            self._contacts[contact] = after
        else:
            self._contacts.pop(contact, None)

    def set(self, resource: str, state: ResourceState | None) -> None:
        """The whole state of what is no extension: a park slot, a room. None: there is no such thing any more."""
        if self._placed.get(resource) == state:
            return
        if state is None:
            del self._placed[resource]
        else:
            self._placed[resource] = state
        self._touched.add(resource)

    def touch(self, resource: str) -> None:
        """Something that is asked for elsewhere may have changed."""
        self._touched.add(resource)

    # ---- what is asked ---------------------------------------------------------------------------------------

    def state(self, resource: str, now: float) -> ResourceState:
        """How a resource stands; one that nobody knows is idle."""
        placed = self._placed.get(resource)
        if placed is not None:
            return placed
        lines = self._lines.get(resource)
        return ResourceState(
            tuple(lines.values()) if lines else (),
            self._whereabouts.reachable(resource, now),
            self._whereabouts.do_not_disturb(resource),
        )

    def is_set(self, resource: str) -> bool:
        """Whether that is something that `set` has told of."""
        return resource in self._placed

    # ---- watchers --------------------------------------------------------------------------------------------

    def watch(self, resource: str, watcher: Watcher) -> None:
        """Be named by `changed` whenever the resource was touched."""
        self._watchers.setdefault(resource, {})[watcher] = None

    def leave(self, resource: str, watcher: Watcher) -> None:
        """Be named no more; nothing where it does not watch."""
        watchers = self._watchers.get(resource)
        if watchers is not None:
            watchers.pop(watcher, None)
            if not watchers:
                del self._watchers[resource]

    def watchers(self, resource: str) -> list[Watcher]:
        """Who watches a resource, the first first."""
        return list(self._watchers.get(resource, ()))

    def changed(self) -> list[Watcher]:
        """Watchers of all that was touched since this was last asked."""
        if not self._touched:
            return []
        touched, self._touched = self._touched, set()
        return [watcher for resource in sorted(touched) for watcher in self._watchers.get(resource, ())]

    def __len__(self) -> int:
        """Lines there are."""
        return len(self._owners)

    # ---- private ---------------------------------------------------------------------------------------------

    def _forget(self, contact: str, resource: str, line_id: str, gone: bool) -> None:
        """A line is not that resource's any more, or (`gone`) not this contact's."""
        if self._owners.get(line_id) != contact:
            return  # another contact has it now
        if gone:
            del self._owners[line_id]
        known = self._lines.get(resource)
        if known is not None and known.pop(line_id, None) is not None:
            self._touched.add(resource)
            if not known:
                del self._lines[resource]
