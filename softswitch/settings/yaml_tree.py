"""YAML text -> a tree of nodes that know where they stand.

Built from the parser's events rather than by a constructor, for three reasons: every node keeps its line
and column, depth and size are bounded while reading (aliases count as what they expand to, so that an alias
bomb is refused before it goes off), and scalars stay the text that is written: `0101` stays a telephone
number and `no` a word. The models turn text into numbers and booleans where they want them. Merge keys
(`<<`) work; tags, several documents and keys that are not scalars are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from softswitch.settings.syntax import slip_of

MAX_FILE_BYTES = 2 * 1024 * 1024  # ten thousand extensions written out one by one are about 1 MB
MAX_DEPTH = 32  # the deepest a valid file goes is about a dozen
MAX_NODES = 200_000  # of one file, aliases counted as what they stand for

_NULLS = ("", "~", "null", "Null", "NULL")


class Mark(NamedTuple):
    """A place: file as named to us, line and column from 1."""

    file: str
    line: int
    column: int


class Problem(NamedTuple):
    """Something wrong in the configuration. `key` is the path of the key, `extensions.101.codecs[0]`; may
    be empty."""

    mark: Mark
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.mark.file}:{self.mark.line}:{self.mark.column}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class Scalar:
    """Text as written; `null` for a plain empty value, `~` or `null`. `key` is the path of keys it is
    written under; `source` what stands in the file, with quotes and line breaks, where that differs from the text."""

    __slots__ = ("key", "mark", "null", "source", "text", "weight")

    def __init__(self, mark: Mark, key: str, text: str, null: bool = False, source: str = "") -> None:
        self.mark = mark
        self.key = key
        self.text = text
        self.null = null
        self.source = source
        self.weight: int = 1


class Sequence:
    """A list."""

    __slots__ = ("items", "key", "mark", "weight")

    def __init__(self, mark: Mark, key: str, items: list[Node]) -> None:
        self.mark = mark
        self.key = key
        self.items = items
        self.weight: int = 1 + sum(item.weight for item in items)


class Entry(NamedTuple):
    """A value of a mapping, and where its key stands."""

    mark: Mark
    node: Node


class Mapping:
    """Keys in order of appearance."""

    __slots__ = ("entries", "key", "mark", "weight")

    def __init__(self, mark: Mark, key: str, entries: dict[str, Entry]) -> None:
        self.mark = mark
        self.key = key
        self.entries = entries
        self.weight: int = 1 + sum(1 + entry.node.weight for entry in entries.values())

    def get(self, key: str) -> Node | None:
        entry = self.entries.get(key)
        return None if entry is None else entry.node


Node = Scalar | Sequence | Mapping


class _Refused(Exception):
    """Reading this file ends here."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(mark, "", message)


def read_yaml(data: bytes, file: str, problems: list[Problem]) -> Mapping | None:
    """The root mapping of a file, or None where it can't be read at all. What is wrong is appended to
    `problems`."""
    if len(data) > MAX_FILE_BYTES:
        problems.append(Problem(Mark(file, 1, 1), "", f"{len(data)} bytes: expected at most {MAX_FILE_BYTES}"))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        before = data[: problem.start]
        mark = Mark(file, before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
        problems.append(Problem(mark, "", f"byte 0x{data[problem.start]:02x} is not UTF-8: expected UTF-8 text"))
        return None
    try:
        return _Reader(file, problems).read(text)
    except _Refused as refused:
        problems.append(refused.problem)
    except ReaderError as problem:
        before_text = text[: problem.position]
        mark = Mark(file, before_text.count("\n") + 1, len(before_text) - before_text.rfind("\n"))
        problems.append(Problem(mark, "", f"character #x{_code(problem.character):04x} is not allowed in YAML"))
    except MarkedYAMLError as problem:
        slip = slip_of(problem, text)
        problems.append(Problem(Mark(file, slip.line, slip.column), "", slip.message))
    except (YAMLError, ValueError, RecursionError) as problem:
        problems.append(Problem(Mark(file, 1, 1), "", f"not YAML: {problem}"))
    return None


def _code(character: str | int) -> int:
    return character if isinstance(character, int) else ord(character)


class _Reader:
    """Builds the tree of one file from the parser's events."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems
        self._anchors: dict[str, Node] = {}
        self._events: Iterator[Any] = iter(())
        self._nodes = 0
        self._text = ""

    def read(self, text: str) -> Mapping:
        self._text = text
        self._events = iter(YAML(typ="safe", pure=True).parse(text))
        root: Node | None = None
        documents = 0
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(self._mark(event), "a second document begins: expected one in each file")
            elif isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent | AliasEvent):
                root = self._node(event, "", 1)
        if root is None or (isinstance(root, Scalar) and root.null):
            return Mapping(Mark(self._file, 1, 1), "", {})
        if not isinstance(root, Mapping):
            raise _Refused(root.mark, "expected sections such as 'extensions:', each with a colon")
        return root

    def _mark(self, event: Any) -> Mark:
        at = event.start_mark
        return Mark(self._file, at.line + 1, at.column + 1)

    def _node(self, event: Any, key: str, depth: int) -> Node:
        mark = self._mark(event)
        if depth > MAX_DEPTH:
            raise _Refused(mark, f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, AliasEvent):
            return self._alias(event, mark)
        self._count(mark, 1)
        if event.tag is not None:
            raise _Refused(mark, f"tag {event.tag!s}: expected none, tags are not allowed")
        node: Node
        if isinstance(event, ScalarEvent):
            written = self._text[event.start_mark.index : event.end_mark.index]
            source = "" if written == event.value else written
            node = Scalar(mark, key, event.value, event.style is None and event.value in _NULLS, source)
        elif isinstance(event, SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(inner := next(self._events), SequenceEndEvent):
                items.append(self._node(inner, f"{key}[{len(items)}]", depth + 1))
            node = Sequence(mark, key, items)
        else:
            node = self._mapping(mark, key, depth)
        if event.anchor is not None:
            # Registered only now: an alias inside its own anchor finds nothing, so the tree has no circles.
            self._anchors[event.anchor] = node
        return node

    def _count(self, mark: Mark, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _Refused(mark, f"more than {MAX_NODES} values, aliases expanded")

    def _alias(self, event: Any, mark: Mark) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            name = event.anchor
            quotes = "" if name.isalpha() else f", or quotes around a number: '*{name}'"
            raise _Refused(mark, f"alias *{name}: expected an anchor &{name} before it{quotes}")
        self._count(mark, node.weight)
        return node

    def _mapping(self, mark: Mark, path: str, depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        merged: list[Mapping] = []
        while not isinstance(event := next(self._events), MappingEndEvent):
            key_mark = self._mark(event)
            key = self._node(event, path, depth + 1)
            if not isinstance(key, Scalar):
                raise _Refused(key_mark, "expected a plain key")
            inner = f"{path}.{key.text}" if path else key.text
            value = self._node(next(self._events), inner, depth + 1)
            if key.text == "<<" and isinstance(event, ScalarEvent) and event.style is None:
                merged += self._merged(key_mark, value)
            elif key.text in entries:
                first = entries[key.text].mark
                self._problems.append(
                    Problem(key_mark, inner, f"duplicate key, first at {first.file}:{first.line}:{first.column}")
                )
            else:
                entries[key.text] = Entry(key_mark, value)
        # What is written in the mapping itself wins, then the earlier of the merged ones.
        for mapping in merged:
            for name, entry in mapping.entries.items():
                entries.setdefault(name, entry)
        return Mapping(mark, path, entries)

    def _merged(self, mark: Mark, value: Node) -> list[Mapping]:
        nodes = value.items if isinstance(value, Sequence) else [value]
        mappings = [node for node in nodes if isinstance(node, Mapping)]
        if len(mappings) != len(nodes):
            raise _Refused(mark, "expected a mapping, or a list of mappings, after '<<'")
        return mappings


def plain(node: Node, memo: dict[int, Any]) -> Any:
    """Dicts, lists, strings and None for pydantic. Nodes that occur several times become one object,
    through `memo`."""
    if isinstance(node, Scalar):
        return None if node.null else node.text
    known = memo.get(id(node))
    if known is None:
        if isinstance(node, Sequence):
            known = [plain(item, memo) for item in node.items]
        else:
            known = {name: plain(entry.node, memo) for name, entry in node.entries.items()}
        memo[id(node)] = known
    return known


def place(root: Mapping, path: tuple[str | int, ...]) -> tuple[Mark, Node]:
    """Where `path` stands, and what is there.

    Parts that lead nowhere (a key that is missing, a value that stands for a list of one) are passed over:
    the place is that of the nearest thing that is written. Scalars are found at their value, collections at
    their key.
    """
    node: Node = root
    mark = root.mark
    for part in path:
        if isinstance(node, Mapping) and isinstance(part, str) and part in node.entries:
            entry = node.entries[part]
            node = entry.node
            mark = node.mark if isinstance(node, Scalar) and not node.null else entry.mark
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            mark = node.mark
    return mark, node


def place_of_key(root: Mapping, path: tuple[str | int, ...]) -> tuple[Mark, str]:
    """As `place`, but at the key itself where the last part of `path` is one; with its path as it is
    written."""
    mark, node = place(root, path)
    _, owner = place(root, path[:-1])
    last = str(path[-1])
    if isinstance(owner, Mapping) and last in owner.entries:
        mark = owner.entries[last].mark
    return mark, node.key


class Told:
    """What was told already: through an anchor, a range or `defaults` one thing stands at several paths."""

    def __init__(self, root: Mapping) -> None:
        self._root = root
        self._told: set[tuple[Mark, str]] = set()

    def once(self, path: tuple[str | int, ...], message: str) -> Iterator[Problem]:
        """Nothing where `message` is empty."""
        mark, node = place(self._root, path)
        if message and (mark, message) not in self._told:
            self._told.add((mark, message))
            yield Problem(mark, node.key, message)
