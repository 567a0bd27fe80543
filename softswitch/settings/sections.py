"""Files -> one tree: sections of all files merged, ranges and defaults of extensions and trunks filled in,
secrets put in their places. Nodes keep their marks throughout, so that a wrong value is found where it is
written, be it in `defaults`, in a range, or in the extension itself.

What can't be made sense of is left out, and its section noted in `unread`: then nothing is said about what
such a section lacks, because it may well be there.
"""

from __future__ import annotations

from softswitch.settings.ranges import EMPTY, body_of, expand, filled, overlay, section
from softswitch.settings.validation import WANTED_MAPPING, instead, unknown_key
from softswitch.settings.yaml_tree import Entry, Mapping, Mark, Node, Problem, Scalar
from softswitch.spelling import meant

SECTIONS = (
    "server",
    "sip",
    "media",
    "barring",
    "classes",
    "extensions",
    "trunks",
    "ring_groups",
    "conferences",
    "feature_codes",
    "paging",
    "parking",
    "transfers",
    "dialplan",
    "skills",
    "teams",
    "agent_groups",
    "agents",
    "queues",
    "hours",
    "defaults",
    "secrets",
)
CLASS_KEYS = (
    "context",
    "call_limit",
    "call_waiting",
    "record",
    "may_call",
    "pin_for",
    "codes",
    "calls_per_minute",
    "minutes_per_day",
    "watch",
    "watch_parties",
    "pick_up",
    "may_intercom",
    "supervises",
    "click_to_dial",
)
"""What a class of service gives its extensions."""

_NUMBER_PLACEHOLDER = "{number}"
_AGENT_PLACEHOLDER = "{agent}"


def merge_files(roots: list[Mapping], problems: list[Problem], unread: set[str]) -> Mapping:
    """One mapping of sections. A key that two files write is an error that names both places.

    Keys beginning with `x-` are the operator's own, for anchors.
    """
    merged: dict[str, Entry] = {}
    for root in roots:
        for name, entry in root.entries.items():
            if name.startswith("x-"):
                continue
            if name not in SECTIONS:
                problems.append(Problem(entry.mark, name, _unknown_section(name)))
                unread.update(meant(name, list(SECTIONS)))
            elif isinstance(entry.node, Scalar) and entry.node.null:
                continue  # a section whose entries are all commented out
            elif not isinstance(entry.node, Mapping):
                problems.append(Problem(entry.node.mark, name, f"{WANTED_MAPPING}{instead(entry.node)}"))
                unread.add(name)
            elif name not in merged:
                merged[name] = entry
            else:
                # `secrets` and `defaults` hold the same few keys in every file: they are merged one level
                # deeper.
                deep = name in ("secrets", "defaults")
                merged[name] = Entry(merged[name].mark, _merge(merged[name].node, entry.node, deep, problems))
    return Mapping(Mark(roots[0].mark.file, 1, 1), "", merged)


def _unknown_section(name: str) -> str:
    message = unknown_key(name, list(SECTIONS))
    return message if meant(name, list(SECTIONS)) else f"{message}, or this one indented below its section"


def _merge(first: Node, second: Node, deep: bool, problems: list[Problem]) -> Node:
    assert isinstance(first, Mapping)
    assert isinstance(second, Mapping)
    entries = dict(first.entries)
    for name, entry in second.entries.items():
        known = entries.get(name)
        if known is None:
            entries[name] = entry
        elif deep and isinstance(known.node, Mapping) and isinstance(entry.node, Mapping):
            entries[name] = Entry(known.mark, _merge(known.node, entry.node, False, problems))
        else:
            at = known.mark
            message = f"duplicate key, first at {at.file}:{at.line}:{at.column}"
            problems.append(Problem(entry.mark, entry.node.key, message))
    return Mapping(first.mark, first.key, entries)


def fill_in(root: Mapping, problems: list[Problem], unread: set[str]) -> Mapping:
    """Expand ranges, apply `defaults` and `secrets`; the result has only the sections that `Settings`
    knows."""
    sections = dict(root.entries)
    defaults = section(sections.pop("defaults", None))
    secrets = section(sections.pop("secrets", None))
    told = len(problems)
    _check_keys(defaults, ("extension", "trunk", "agent", "queue"), problems)
    if len(problems) > told:
        unread.add("defaults")
    _check_keys(secrets, ("extensions", "trunks", "pins", "conferences"), problems)
    if "extensions" in sections:
        entry = sections["extensions"]
        base = section(defaults.entries.get("extension"))
        told = len(problems)
        extensions = _expand(section(entry), base, _classes(sections.get("classes")), problems)
        if len(problems) > told:
            unread.add("extensions")
        _give_secrets("password", extensions, section(secrets.entries.get("extensions")), problems)
        _give_secrets("pin", extensions, section(secrets.entries.get("pins")), problems)
        sections["extensions"] = Entry(entry.mark, Mapping(entry.mark, entry.node.key, extensions))
    if "conferences" in sections:
        entry = sections["conferences"]
        rooms = dict(section(entry).entries)
        if isinstance(entry.node, Mapping):
            _give_conference_pins(rooms, section(secrets.entries.get("conferences")), problems)
            sections["conferences"] = Entry(entry.mark, Mapping(entry.node.mark, entry.node.key, rooms))
    if "trunks" in sections:
        entry = sections["trunks"]
        told = len(problems)
        trunks = _named(section(entry), section(defaults.entries.get("trunk")), problems)
        if len(problems) > told:
            unread.add("trunks")
        _give_trunk_passwords(trunks, section(secrets.entries.get("trunks")), problems, "defaults" in unread)
        sections["trunks"] = Entry(entry.mark, Mapping(entry.mark, entry.node.key, trunks))
    for name, kind, fill in (("agents", "agent", _agents), ("queues", "queue", _named)):
        if name in sections:
            entry = sections[name]
            told = len(problems)
            filled_in = fill(section(entry), section(defaults.entries.get(kind)), problems)
            if len(problems) > told:
                unread.add(name)
            sections[name] = Entry(entry.mark, Mapping(entry.mark, entry.node.key, filled_in))
    return Mapping(root.mark, "", sections)


def _check_keys(mapping: Mapping, known: tuple[str, ...], problems: list[Problem]) -> None:
    for name, entry in mapping.entries.items():
        if name not in known:
            problems.append(Problem(entry.mark, entry.node.key, unknown_key(name, list(known))))
        elif not isinstance(entry.node, Mapping) and not (isinstance(entry.node, Scalar) and entry.node.null):
            problems.append(Problem(entry.node.mark, entry.node.key, f"{WANTED_MAPPING}{instead(entry.node)}"))


def _classes(written: Entry | None) -> dict[str, Mapping]:
    """Classes of service, with what is known in them; the model of the section tells what is not."""
    return {
        name: Mapping(
            entry.mark,
            entry.node.key,
            {key: each for key, each in section(entry).entries.items() if key in CLASS_KEYS},
        )
        for name, entry in section(written).entries.items()
    }


def _expand(written: Mapping, base: Mapping, classes: dict[str, Mapping], problems: list[Problem]) -> dict[str, Entry]:
    """Extensions by number. A single number may repeat one of a range: what it says wins over the range."""
    return {
        number: _extension(number, each.written, base, classes, *each.layers)
        for number, each in expand(written, "number", "extensions", problems).items()
    }


def _extension(number: str, written: Entry, base: Mapping, classes: dict[str, Mapping], *layers: Mapping) -> Entry:
    named = overlay(base, *layers).get("class")
    chosen = named.node.text if named is not None and isinstance(named.node, Scalar) else ""
    layered = overlay(base, classes.get(chosen, EMPTY), *layers)
    entries = {
        name: Entry(entry.mark, filled(entry.node, _NUMBER_PLACEHOLDER, number)) for name, entry in layered.items()
    }
    mark, key = written.mark, written.node.key
    entries["number"] = Entry(mark, Scalar(mark, key, number))
    return Entry(mark, Mapping(mark, key, entries))


def _agents(written: Mapping, base: Mapping, problems: list[Problem]) -> dict[str, Entry]:
    """By id, in the order in which they are written."""
    agents: dict[str, Entry] = {}
    for agent, each in expand(written, "id", "agents", problems).items():
        mark, key = each.written.mark, each.written.node.key
        entries = {
            name: Entry(entry.mark, filled(entry.node, _AGENT_PLACEHOLDER, agent))
            for name, entry in overlay(base, *each.layers).items()
        }
        entries["id"] = Entry(mark, Scalar(mark, key, agent))
        agents[agent] = Entry(mark, Mapping(mark, key, entries))
    return agents


def _named(written: Mapping, base: Mapping, problems: list[Problem]) -> dict[str, Entry]:
    """Trunks, or queues, by name."""
    found: dict[str, Entry] = {}
    for name, entry in written.entries.items():
        body = body_of(name, entry, "name", problems)
        if body is not None:
            entries = overlay(base, body)
            entries["name"] = Entry(entry.mark, Scalar(entry.mark, entry.node.key, name))
            found[name] = Entry(entry.mark, Mapping(entry.mark, entry.node.key, entries))
    return found


def _give_secrets(key: str, extensions: dict[str, Entry], secrets: Mapping, problems: list[Problem]) -> None:
    name = "PIN" if key == "pin" else key
    for number, secret in secrets.entries.items():
        extension = extensions.get(number)
        if not isinstance(secret.node, Scalar) or secret.node.null:
            problems.append(Problem(secret.node.mark, secret.node.key, f"expected a {name}"))
        elif extension is not None:  # a leftover of an extension that is gone does no harm
            assert isinstance(extension.node, Mapping)
            _put_secret(key, extension.node, secret, problems)


def _give_conference_pins(rooms: dict[str, Entry], secrets: Mapping, problems: list[Problem]) -> None:
    """`NAME: PIN` is that of guests; `NAME: {pin: ..., host_pin: ...}` names both."""
    for name, secret in secrets.entries.items():
        given = {"pin": secret} if isinstance(secret.node, Scalar) else {}
        if isinstance(secret.node, Mapping):
            _check_secret_keys(secret.node, ("pin", "host_pin"), "PIN", problems)
            pins = secret.node.entries
            given = {key: pins[key] for key in ("pin", "host_pin") if key in pins and _is_text(pins[key])}
        elif not isinstance(secret.node, Scalar) or secret.node.null:
            problems.append(Problem(secret.node.mark, secret.node.key, "expected a PIN, or pin and host_pin"))
            continue
        known = rooms.get(name)
        if known is None or not (
            isinstance(known.node, Mapping) or (isinstance(known.node, Scalar) and known.node.null)
        ):
            continue  # a leftover of a room that is gone does no harm
        written = known.node.entries if isinstance(known.node, Mapping) else {}
        copy = Mapping(known.node.mark, known.node.key, dict(written))
        for key, each in given.items():
            _put_secret(key, copy, each, problems)
        rooms[name] = Entry(known.mark, copy)


def _put_secret(key: str, account: Mapping, secret: Entry, problems: list[Problem]) -> None:
    known = account.entries.get(key)
    if known is not None and not (isinstance(known.node, Scalar) and known.node.null):
        at = known.mark
        name = {"pin": "PIN", "host_pin": "PIN of hosts"}.get(key, key)
        message = f"a second {name}, the first is at {at.file}:{at.line}:{at.column}"
        problems.append(Problem(secret.mark, secret.node.key, message))
        return
    account.entries[key] = secret


def _give_trunk_passwords(
    trunks: dict[str, Entry], secrets: Mapping, problems: list[Problem], defaults_unread: bool
) -> None:
    """`NAME: PASSWORD` is that of `account`; `NAME: {account: ..., inbound: ...}` names both."""
    for name, secret in secrets.entries.items():
        given = {"account": secret} if isinstance(secret.node, Scalar) else {}
        if isinstance(secret.node, Mapping):
            _check_secret_keys(secret.node, ("account", "inbound"), "password", problems)
            given = secret.node.entries
        trunk = trunks.get(name)
        for owner in ("account", "inbound"):
            if owner not in given or trunk is None:
                continue
            assert isinstance(trunk.node, Mapping)
            account = trunk.node.entries.get(owner)
            if account is None or not isinstance(account.node, Mapping):
                if account is None and defaults_unread:
                    continue
                message = f"the trunk has no {owner!r} that a password could belong to"
                problems.append(Problem(given[owner].mark, given[owner].node.key, message))
                continue
            copy = Mapping(account.node.mark, account.node.key, dict(account.node.entries))  # `defaults` may be shared
            _put_secret("password", copy, given[owner], problems)
            trunk.node.entries[owner] = Entry(account.mark, copy)


def _is_text(entry: Entry) -> bool:
    return isinstance(entry.node, Scalar) and not entry.node.null


def _check_secret_keys(secret: Mapping, keys: tuple[str, ...], what: str, problems: list[Problem]) -> None:
    for key, entry in secret.entries.items():
        if key not in keys:
            problems.append(Problem(entry.mark, entry.node.key, unknown_key(key, list(keys))))
        elif not _is_text(entry):
            problems.append(Problem(entry.node.mark, entry.node.key, f"expected a {what}"))
