"""Groups of extensions and parking lots, held against the rest of the settings: what is allowed but hardly meant, as
warnings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from softswitch.dialplan.models import Action, Route
from softswitch.dialplan.patterns import Pattern, Template, read_pattern
from softswitch.settings.models import Settings
from softswitch.settings.yaml_tree import Mapping, Mark, Problem, place
from softswitch.spelling import meant, suggestion

_DIGITS = re.compile(r"[0-9]+")


def service_warnings(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """Groups that nobody is in, groups that are nearly another's name, parking slots that nobody can dial."""
    yield from _empty_groups(settings, root)
    yield from _lone_groups(settings, root)
    yield from _unreached_slots(settings, root)


def _empty_groups(settings: Settings, root: Mapping) -> Iterator[Problem]:
    groups = {name: None for extension in settings.extensions.values() for name in extension.groups}
    told: set[Mark] = set()
    naming = [("extensions", number, extension.supervises) for number, extension in settings.extensions.items()]
    naming += [("classes", name, service.supervises or ()) for name, service in settings.classes.items()]
    for section, owner, supervised in naming:
        for index, name in enumerate(supervised):
            mark, node = place(root, (section, owner, "supervises", index))
            if name not in groups and mark not in told:
                # A range or a class says it for many extensions at one place.
                told.add(mark)
                otherwise = "expected a name that extensions have in their 'groups'"
                yield Problem(mark, node.key, f"no extension is in group {name!r}{suggestion(name, groups, otherwise)}")


def _lone_groups(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """A group of one, whose calls nobody else may pick up, where another one is written almost so."""
    members = Counter(name for extension in settings.extensions.values() for name in set(extension.groups))
    supervised = {name for extension in settings.extensions.values() for name in extension.supervises}
    watched = {name for extension in settings.extensions.values() for name in extension.watch or ()}
    shared = [name for name, count in members.items() if count > 1]
    for number, extension in settings.extensions.items():
        for index, name in enumerate(extension.groups):
            if members[name] > 1 or name in supervised | watched:
                continue
            near = [each for each in meant(name, shared) if _DIGITS.sub("", each) != _DIGITS.sub("", name)]
            if near:
                mark, node = place(root, ("extensions", number, "groups", index))
                yield Problem(mark, node.key, f"no other extension is in group {name!r}: did you mean {near[0]!r}?")


def _unreached_slots(settings: Settings, root: Mapping) -> Iterator[Problem]:
    retrieving = [
        _Retrieval(route, template)
        for context in settings.dialplan.values()
        for route in context.routes
        for template in _retrieved(route)
    ]
    retrieving += [
        _Retrieval(None, template)
        for group in settings.ring_groups.values()
        for fallback in group.fallbacks
        if fallback is not None
        for template in _retrieved(fallback)
    ]
    for name, lot in settings.parking.items():
        missed = [slot for slot in lot.slots if not any(each.may_reach(slot) for each in retrieving)]
        if not missed:
            continue
        mark, node = place(root, ("parking", name, "slots"))
        others = f" and {len(missed) - 1} more" if len(missed) > 1 else ""
        which = "its slots" if len(missed) == len(lot.slots) else f"slot {missed[0]!r}{others}"
        yield Problem(
            mark, node.key, f"no route leads to {which}, so nobody can take a call from there: expected 'retrieve'"
        )


def _retrieved(action: Action) -> Iterator[Template]:
    """The slots that an action leads to, itself or by its fallbacks."""
    if action.retrieve is not None:
        yield Template(action.retrieve)
    for fallback in action.fallbacks:
        if fallback is not None:
            yield from _retrieved(fallback)


class _Retrieval:
    """One `retrieve`, and what is known of the numbers that come there."""

    __slots__ = ("_constant", "_patterns")

    def __init__(self, route: Route | None, template: Template) -> None:
        self._constant = template.constant
        self._patterns: tuple[Pattern, ...] | None = None
        # A number that the route makes anew may be any.
        if route is None or route.to is None or template.text != "{number}":
            return
        if route.replace is None and not route.strip and not route.prepend:
            self._patterns = tuple([read_pattern(text) for text in route.to])

    def may_reach(self, slot: str) -> bool:
        """Whether it can lead to a slot; True where that can't be told."""
        if self._constant is not None:
            return self._constant == slot
        return self._patterns is None or any(pattern.matches(slot) for pattern in self._patterns)
