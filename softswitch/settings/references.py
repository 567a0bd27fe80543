"""Names that must exist: contexts, extensions, trunks, classes of numbers and of hold music that other places speak
of, includes without circles.

Works on the tree rather than on the models, so that a wrong reference is told together with wrong values
elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain
from typing import NamedTuple

from media.music import DEFAULT as DEFAULT_MUSIC
from softswitch.settings.barring_models import DEFAULT_CLASSES
from softswitch.settings.fields import AddressRule, read_address_rule
from softswitch.settings.validation import unknown_name
from softswitch.settings.watch_models import EVERYBODY
from softswitch.settings.yaml_tree import Entry, Mapping, Mark, Node, Problem, Scalar, Sequence
from softswitch.spelling import meant

DEFAULT_CONTEXT = "internal"  # of extensions, as in the model
_SECTIONS = {
    "context": "dialplan",
    "extension": "extensions",
    "trunk": "trunks",
    "ring group": "ring_groups",
    "paging group": "paging",
    "parking lot": "parking",
    "class": "barring",
    "class of service": "classes",
    "class of hold music": "media",
    "extension, group, parking lot or conference": "extensions",  # and other sections, see _WATCHED
}
_WATCHED = frozenset({"ring_groups", "parking", "conferences"})
_FALLBACKS = ("on_busy", "on_no_answer", "on_unavailable")


class _Reference(NamedTuple):
    """A name written somewhere, and what it names: one of the kinds in `_SECTIONS`."""

    kind: str
    name: str
    node: Node


def check_references(root: Mapping, unread: Collection[str] = ()) -> list[Problem]:
    """Every reference that leads nowhere, every circle of includes, every address that two trunks claim.

    `unread`: sections of which something could not be read; a name that is not known may stand there.
    """
    contexts, extensions, trunks, groups, services, lots, rooms = (
        _entries(root.get(name))
        for name in ("dialplan", "extensions", "trunks", "ring_groups", "classes", "parking", "conferences")
    )
    paging = _entries(root.get("paging"))
    barring = root.get("barring")
    classes = _entries(barring.get("classes") if isinstance(barring, Mapping) else None)
    media = root.get("media")
    sounds = media.get("sounds") if isinstance(media, Mapping) else None
    music = _entries(sounds.get("music") if isinstance(sounds, Mapping) else None)
    known = {
        "context": list(contexts),
        "extension": list(extensions),
        "trunk": list(trunks),
        "ring group": list(groups),
        "paging group": list(paging),
        "parking lot": list(lots),
        "class of service": list(services),
        "class": [*DEFAULT_CLASSES, *classes],
        "class of hold music": list(dict.fromkeys((DEFAULT_MUSIC, *music))),
        "extension, group, parking lot or conference": [
            *(EVERYBODY, *extensions, *groups, *lots, *rooms),
            *_groups_of(extensions),
        ],
    }
    sets = {kind: frozenset(names) for kind, names in known.items()}
    # A range repeats its reference for each of its extensions, and all that name no context lack the same one.
    told: set[tuple[Mark | None, str]] = set()
    problems = []
    found = chain(
        _references(contexts, extensions, trunks, groups, services),
        _in_lots(lots),
        _in_rooms(rooms),
        _in_pages(paging),
        _in_codes(_entries(root.get("feature_codes"))),
    )
    for kind, name, node in found:
        what = (node.mark if isinstance(node, Scalar) else None, name)
        missing = _SECTIONS[kind] in unread or (kind.startswith("extension,") and not _WATCHED.isdisjoint(unread))
        if name in sets[kind] or missing or what in told:
            continue
        told.add(what)
        problems.append(Problem(node.mark, node.key, _unknown(kind, name, node, known)))
    return problems + _circles(contexts) + _claimed_twice(trunks)


def _unknown(kind: str, name: str, node: Node, known: dict[str, list[str]]) -> str:
    if kind == "context" and not isinstance(node, Scalar):
        return (
            f"no context {name!r}, where extensions are that name none: expected one in 'dialplan', or 'context: NAME'"
        )
    if kind == "extension" and name in known["trunk"]:
        return f"{name!r} is a trunk: expected {{trunk: {name}}}"
    if kind == "trunk" and name in known["extension"]:
        return f"{name!r} is an extension: expected {{extension: {name}}}"
    if kind == "class of hold music":
        near = meant(name, known[kind])
        there = ", ".join(known[kind])
        return f"unknown {kind} {name!r}: {f'did you mean {near[0]!r}? ' if near else ''}expected one of {there}"
    return unknown_name(kind, name, known[kind])


def _entries(node: Node | None) -> dict[str, Entry]:
    return node.entries if isinstance(node, Mapping) else {}


def _references(
    contexts: dict[str, Entry],
    extensions: dict[str, Entry],
    trunks: dict[str, Entry],
    groups: dict[str, Entry],
    services: dict[str, Entry],
) -> Iterator[_Reference]:
    for entry in extensions.values():
        context = _entries(entry.node).get("context")
        if context is None:
            yield _Reference("context", DEFAULT_CONTEXT, entry.node)
        else:
            yield from _named("context", context.node)
        service = _entries(entry.node).get("class")
        if service is not None:
            yield from _named("class of service", service.node)
    for entry in (*trunks.values(), *services.values()):
        context = _entries(entry.node).get("context")
        if context is not None:
            yield from _named("context", context.node)
    for entry in (*extensions.values(), *trunks.values(), *services.values()):
        music = _entries(entry.node).get("music_on_hold")
        if music is not None:
            yield from _named("class of hold music", music.node)
        for key in ("may_call", "pin_for"):
            classes = _entries(entry.node).get(key)
            if classes is not None:
                yield from _named("class", classes.node)
        watched = _entries(entry.node).get("watch")
        if watched is not None:
            yield from _named("extension, group, parking lot or conference", watched.node)
    for entry in contexts.values():
        body = _entries(entry.node)
        if "include" in body:
            yield from _named("context", body["include"].node)
        routes = body.get("routes")
        if routes is not None and isinstance(routes.node, Sequence):
            for route in routes.node.items:
                yield from _in_action(route)

    for entry in groups.values():
        members = _entries(entry.node).get("members")
        if members is not None:
            yield from _in_targets(members.node)
        yield from _in_fallbacks(_entries(entry.node))


def _in_rooms(rooms: dict[str, Entry]) -> Iterator[_Reference]:
    for entry in rooms.values():
        room = _entries(entry.node)
        if "music" in room:
            yield from _named("class of hold music", room["music"].node)
        if "dial_as" in room:
            yield from _named("extension", room["dial_as"].node)


def _in_lots(lots: dict[str, Entry]) -> Iterator[_Reference]:
    for entry in lots.values():
        music = _entries(entry.node).get("music")
        if music is not None:
            yield from _named("class of hold music", music.node)


def _in_pages(paging: dict[str, Entry]) -> Iterator[_Reference]:
    for entry in paging.values():
        members = _entries(entry.node).get("members")
        if members is not None:
            yield from _named("extension", members.node)


def _in_codes(codes: dict[str, Entry]) -> Iterator[_Reference]:
    in_call = _entries(codes["in_call"].node) if "in_call" in codes else {}
    if "park_lot" in in_call:
        yield from _named("parking lot", in_call["park_lot"].node)


def _groups_of(extensions: dict[str, Entry]) -> list[str]:
    """Names of the groups that extensions say they belong to."""
    found: dict[str, None] = {}
    for entry in extensions.values():
        groups = _entries(entry.node).get("groups")
        for name in _named("group", groups.node) if groups is not None else ():
            found[name.name] = None
    return list(found)


def _named(kind: str, node: Node) -> Iterator[_Reference]:
    """A name, or each of a list of names. Names with variables in them are known only when a call comes."""
    if isinstance(node, Scalar) and not node.null and "{" not in node.text:
        yield _Reference(kind, node.text, node)
    elif isinstance(node, Sequence):
        for item in node.items:
            if isinstance(item, Scalar):
                yield from _named(kind, item)


def _in_action(node: Node) -> Iterator[_Reference]:
    action = _entries(node)
    if "dial" in action:
        yield from _in_targets(action["dial"].node)
    if "goto" in action:
        goto = action["goto"].node
        context = goto.get("context") if isinstance(goto, Mapping) else goto
        if context is not None:
            yield from _named("context", context)
    if "allow" in action:
        yield from _named("class", action["allow"].node)
    if "answer_and_music" in action:
        yield from _named("class of hold music", action["answer_and_music"].node)
    if "ring_group" in action:
        yield from _named("ring group", action["ring_group"].node)
    if "page" in action:
        yield from _named("paging group", action["page"].node)
    if "park" in action:
        yield from _named("parking lot", action["park"].node)
    yield from _in_fallbacks(action)


def _in_fallbacks(action: dict[str, Entry]) -> Iterator[_Reference]:
    for name in _FALLBACKS:
        if name in action:
            yield from _in_action(action[name].node)


def _in_targets(node: Node) -> Iterator[_Reference]:
    if isinstance(node, Sequence):
        for item in node.items:
            if not isinstance(item, Sequence):
                yield from _in_targets(item)
    elif isinstance(node, Scalar):
        yield from _named("extension", node)
    else:
        for kind in ("extension", "trunk"):
            target = node.get(kind)
            if target is not None:
                yield from _named(kind, target)


def _circles(contexts: dict[str, Entry]) -> list[Problem]:
    """Includes that lead back to their own context, each circle told once, where it closes."""
    problems: list[Problem] = []
    done: set[str] = set()
    for start in contexts:
        # Depth first without recursion: `path` holds the contexts from `start` to here, each with what is
        # left of it.
        path = [(start, _includes(contexts, start))]
        if start in done:
            continue
        while path:
            name, left = path[-1]
            following = next(left, None)
            if following is None:
                done.add(name)
                path.pop()
                continue
            names = [entered for entered, _ in path]
            if following.name in names:
                circle = " -> ".join([*names[names.index(following.name) :], following.name])
                problems.append(Problem(following.node.mark, following.node.key, f"includes go in a circle: {circle}"))
            elif following.name not in done:
                path.append((following.name, _includes(contexts, following.name)))
    return problems


def _includes(contexts: dict[str, Entry], name: str) -> Iterator[_Reference]:
    body = _entries(contexts[name].node) if name in contexts else {}
    if "include" in body:
        yield from _named("context", body["include"].node)


def _claimed_twice(trunks: dict[str, Entry]) -> list[Problem]:
    """An address from which calls would belong to two trunks at once. A network inside another's is no
    conflict."""
    claimed: dict[AddressRule, tuple[str, Mark]] = {}
    problems = []
    for name, entry in trunks.items():
        inbound = _entries(_entries(entry.node)["inbound"].node) if "inbound" in _entries(entry.node) else {}
        if "addresses" not in inbound or "username" in inbound:
            continue  # with a user name, credentials tell the trunks apart
        addresses = inbound["addresses"].node
        for item in addresses.items if isinstance(addresses, Sequence) else [addresses]:
            try:
                rule = read_address_rule(item.text if isinstance(item, Scalar) else "")
            except ValueError:
                continue  # told by the model
            other, mark = claimed.setdefault(rule, (name, item.mark))
            if mark != item.mark:
                message = (
                    f"{rule} belongs to trunk {other!r} already, at {mark.file}:{mark.line}:{mark.column}: expected "
                    "each address at one trunk, or an inbound 'username' to tell them apart"
                )
                problems.append(Problem(item.mark, item.key, message))
    return problems
