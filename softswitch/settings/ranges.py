"""Keys that stand for many: `101-110` below `extensions`, `201-240` below `agents`. And the layers of what is said of
one of them: in its range, of itself."""

from __future__ import annotations

import re
from typing import NamedTuple

from softswitch.settings.validation import WANTED_MAPPING, instead
from softswitch.settings.yaml_tree import Entry, Mapping, Mark, Node, Problem, Scalar, Sequence

MAX_EXPANDED = 20_000
"""Extensions, or agents; also the bound of what a single range may mean."""

EMPTY = Mapping(Mark("", 1, 1), "", {})

_RANGE = re.compile(r"([0-9]{1,12})-([0-9]{1,12})")


class Written(NamedTuple):
    """One of many: where it is written (of a range, the range), and what is said of it, the most special last."""

    written: Entry
    layers: tuple[Mapping, ...]


def section(entry: Entry | None) -> Mapping:
    """What is below a key; empty where that is no mapping."""
    if entry is None or not isinstance(entry.node, Mapping):
        return EMPTY
    return entry.node


def body_of(key: str, entry: Entry, own: str, problems: list[Problem]) -> Mapping | None:
    """The mapping under a number or name; an empty value stands for an empty mapping."""
    if isinstance(entry.node, Scalar) and entry.node.null:
        return Mapping(entry.mark, entry.node.key, {})
    if not isinstance(entry.node, Mapping):
        problems.append(Problem(entry.node.mark, entry.node.key, f"{WANTED_MAPPING}{instead(entry.node)}"))
        return None
    if own in entry.node.entries:
        written = entry.node.entries[own]
        problems.append(Problem(written.mark, written.node.key, f"the {own} is the key {key!r} itself"))
        return None
    return entry.node


def overlay(*layers: Mapping) -> dict[str, Entry]:
    """Later layers win; mappings inside (forward, caller_id...) are overlaid key by key too."""
    entries: dict[str, Entry] = {}
    for layer in layers:
        for name, entry in layer.entries.items():
            known = entries.get(name)
            if known is not None and isinstance(known.node, Mapping) and isinstance(entry.node, Mapping):
                entry = Entry(entry.mark, Mapping(entry.node.mark, entry.node.key, overlay(known.node, entry.node)))
            entries[name] = entry
    return entries


def expand(written: Mapping, own: str, noun: str, problems: list[Problem]) -> dict[str, Written]:
    """By key, in the order in which each is written first. A single one may repeat one of a range. `own`: the key that
    is not written below; `noun`: what they are."""
    ranges: dict[str, tuple[str, Entry]] = {}  # one key -> the range it stands in
    singles: dict[str, Entry] = {}
    order: dict[str, None] = {}
    for key, entry in written.entries.items():
        numbers = _numbers(key, entry, problems)
        if numbers is None:
            singles[key] = entry
            order[key] = None
        elif body_of(key, entry, own, problems) is not None:
            taken = next((number for number in numbers if number in ranges), None)
            if taken is not None:
                message = f"overlaps the range {ranges[taken][0]!r}: expected each number in one range only"
                problems.append(Problem(entry.mark, entry.node.key, message))
            elif len(ranges) + len(numbers) > MAX_EXPANDED:
                problems.append(Problem(entry.mark, entry.node.key, f"more than {MAX_EXPANDED} {noun}"))
            else:
                ranges.update((number, (key, entry)) for number in numbers)
                order.update(dict.fromkeys(numbers))
    expanded: dict[str, Written] = {}
    for key in order:
        ranged = ranges.get(key)
        below = () if ranged is None else (section(ranged[1]),)
        if key not in singles:
            assert ranged is not None, "it came from a range"
            expanded[key] = Written(ranged[1], below)
        elif (body := body_of(key, singles[key], own, problems)) is not None:
            expanded[key] = Written(singles[key], (*below, body))
    return expanded


def _numbers(key: str, entry: Entry, problems: list[Problem]) -> list[str] | None:
    """The numbers of a range such as `101-110` (leading zeros are kept); None where `key` is no range."""
    match = _RANGE.fullmatch(key)
    if match is None:
        return None
    low, high = int(match[1]), int(match[2])
    if len(match[1]) != len(match[2]) or high < low or high - low >= MAX_EXPANDED:
        message = f"bad range: expected 'FIRST-LAST' with as many digits each, rising, at most {MAX_EXPANDED} numbers"
        problems.append(Problem(entry.mark, entry.node.key, message))
        return []
    return [str(number).zfill(len(match[1])) for number in range(low, high + 1)]


def filled(node: Node, placeholder: str, value: str) -> Node:
    """`node` with `value` for `{number}` or the like; the same node where there is none in it."""
    if isinstance(node, Scalar):
        if placeholder not in node.text:
            return node
        return Scalar(node.mark, node.key, node.text.replace(placeholder, value))
    if isinstance(node, Sequence):
        items = [filled(item, placeholder, value) for item in node.items]
        same = all(new is old for new, old in zip(items, node.items, strict=True))
        return node if same else Sequence(node.mark, node.key, items)
    entries = {name: Entry(entry.mark, filled(entry.node, placeholder, value)) for name, entry in node.entries.items()}
    same = all(entries[name].node is entry.node for name, entry in node.entries.items())
    return node if same else Mapping(node.mark, node.key, entries)
