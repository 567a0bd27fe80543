"""Skill expressions: what a contact needs of whoever takes it.

    lang.es>=60 and (billing or sales>=30) and not trainee

    either  = both *("or" both)
    both    = single *("and" single)
    single  = "not" single / "(" either ")" / skill [compare level]
    skill   = letter *(letter / digit / "." / "_" / "-")         not "and", "or", "not"
    compare = ">=" / ">" / "<=" / "<" / "=" / "==" / "!="
    level   = 0 to 100

A skill alone means a level of at least 1; who lacks a skill has level 0 in it. The empty expression asks for nothing.

Expressions come from operators and, by dialplan variables, from outside: the reader is this grammar and nothing else,
bounded in length, depth and terms, and the same text is read once (`parse` keeps it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_LENGTH = 500
MAX_DEPTH = 16
MAX_TERMS = 50
OWN = 4
"""How much more of each an expression may have that was read before: its own text has other brackets, and that of a
queue and that of a contact make one."""
KEPT = 4096
"""Expressions that are kept read."""

Bools = NDArray[np.bool_]
Levels = NDArray[np.uint8]
Column = Callable[[str], Levels]
"""The level of each agent in a skill, as a row of shape (agents,)."""

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<word>[A-Za-z_][A-Za-z0-9._-]*)|(?P<number>[0-9]+)|(?P<compare>>=|<=|==|!=|>|<|=)|(?P<bracket>[()])"
)
_WORDS = frozenset(("and", "or", "not"))

_COMPARE: dict[str, Callable[[Levels, int], Bools]] = {
    ">=": lambda levels, level: levels >= level,
    ">": lambda levels, level: levels > level,
    "<=": lambda levels, level: levels <= level,
    "<": lambda levels, level: levels < level,
    "=": lambda levels, level: levels == level,
    "!=": lambda levels, level: levels != level,
}


class ExpressionError(ValueError):
    """What is wrong and what is expected; `column` counts from 1."""

    def __init__(self, text: str, column: int) -> None:
        super().__init__(text)
        self.column = column


class Term(NamedTuple):
    """A skill held against a level. `column`: where the skill stands in the text."""

    skill: str
    compare: str
    level: int
    column: int

    def mask(self, column: Column) -> Bools:
        return _COMPARE[self.compare](column(self.skill), self.level)

    def __str__(self) -> str:
        return self.skill if (self.compare, self.level) == (">=", 1) else f"{self.skill}{self.compare}{self.level}"


class Not(NamedTuple):
    of: Node

    def mask(self, column: Column) -> Bools:
        return ~self.of.mask(column)

    def __str__(self) -> str:
        return f"not {_bracketed(self.of)}"


class All(NamedTuple):
    of: tuple[Node, ...]

    def mask(self, column: Column) -> Bools:
        return np.asarray(np.logical_and.reduce([each.mask(column) for each in self.of]))

    def __str__(self) -> str:
        return " and ".join(map(_bracketed, self.of))


class Any(NamedTuple):
    of: tuple[Node, ...]

    def mask(self, column: Column) -> Bools:
        return np.asarray(np.logical_or.reduce([each.mask(column) for each in self.of]))

    def __str__(self) -> str:
        return " or ".join(map(_bracketed, self.of))


Node = Term | Not | All | Any


class Expression:
    """What was read. Two that differ in blanks and brackets alone are equal."""

    __slots__ = ("_node", "_text")

    def __init__(self, node: Node | None) -> None:
        self._node = node
        self._text = "" if node is None else str(node)

    def __str__(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def skills(self) -> dict[str, int]:
        """Those that it names, and the column at which each stands first."""
        found: dict[str, int] = {}
        for term, _ in _terms(self._node):
            found.setdefault(term.skill, term.column)
        return found

    def mask(self, column: Column, agents: int) -> Bools:
        """Who has what is needed: booleans, shape (agents,)."""
        return np.ones(agents, np.bool_) if self._node is None else self._node.mask(column)

    def proficiency(self, column: Column, agents: int) -> NDArray[np.int32]:
        """The sum of the levels in the skills that are asked for, each once; those that must be lacking are not."""
        total = np.zeros(agents, np.int32)
        for skill in dict.fromkeys(term.skill for term, asked in _terms(self._node) if asked):
            total += column(skill)
        return total


@lru_cache(KEPT)
def parse(text: str) -> Expression:
    """Read an expression. Raises `ExpressionError`."""
    return _read(text, 1)


@lru_cache(KEPT)
def reread(text: str) -> Expression:
    """Read what is made of expressions that were read before: their text, or `(one) and (other)`."""
    return _read(text, OWN)


def _read(text: str, times: int) -> Expression:
    if len(text) > MAX_LENGTH * times:
        raise ExpressionError(f"longer than {MAX_LENGTH * times} characters", MAX_LENGTH * times + 1)
    if not text.strip():
        return Expression(None)
    return Expression(_Reader(text, times).read())


class _Token(NamedTuple):
    kind: str
    text: str
    column: int


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExpressionError(
                f"unexpected {text[at]!r}: expected a skill, a level, a comparison or a bracket", at + 1
            )
        kind = found.lastgroup or ""
        if kind != "space":
            yield _Token("keyword" if kind == "word" and found[0] in _WORDS else kind, found[0], at + 1)
        at = found.end()
    yield _Token("end", "", len(text) + 1)


class _Reader:
    """One reading: the tokens, and where it is. `times`: how often the bounds on depth and terms."""

    def __init__(self, text: str, times: int) -> None:
        self._tokens = list(_tokens(text))
        self._depth, self._most = MAX_DEPTH * times, MAX_TERMS * times
        self._at = 0
        self._terms = 0

    def read(self) -> Node:
        node = self._either(0)
        if self._next.kind != "end":
            raise self._unexpected("'and', 'or' or the end")
        return node

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, text: str) -> bool:
        found = self._next.text == text and self._next.kind != "end"
        self._at += found
        return found

    def _either(self, depth: int) -> Node:
        nodes = [self._both(depth)]
        while self._take("or"):
            nodes.append(self._both(depth))
        return nodes[0] if len(nodes) == 1 else Any(tuple(nodes))

    def _both(self, depth: int) -> Node:
        nodes = [self._single(depth)]
        while self._take("and"):
            nodes.append(self._single(depth))
        return nodes[0] if len(nodes) == 1 else All(tuple(nodes))

    def _single(self, depth: int) -> Node:
        if depth > self._depth:
            raise ExpressionError(f"more than {self._depth} levels of brackets and 'not'", self._next.column)
        if self._take("not"):
            return Not(self._single(depth + 1))
        if self._take("("):
            node = self._either(depth + 1)
            if not self._take(")"):
                raise self._unexpected("')'")
            return node
        return self._term()

    def _term(self) -> Term:
        skill = self._next
        if skill.kind != "word":
            raise self._unexpected("a skill, 'not' or '('")
        self._terms += 1
        if self._terms > self._most:
            raise ExpressionError(f"more than {self._most} skills", skill.column)
        self._at += 1
        if self._next.kind != "compare":
            return Term(skill.text, ">=", 1, skill.column)
        compare = self._next.text
        self._at += 1
        level = self._next
        if level.kind != "number" or len(level.text) > 3 or int(level.text) > 100:
            raise self._unexpected("a level from 0 to 100")
        self._at += 1
        return Term(skill.text, "=" if compare == "==" else compare, int(level.text), skill.column)

    def _unexpected(self, expected: str) -> ExpressionError:
        token = self._next
        what = "it ends" if token.kind == "end" else f"unexpected {token.text!r}"
        return ExpressionError(f"{what}: expected {expected}", token.column)


def _bracketed(node: Node) -> str:
    return f"({node})" if isinstance(node, All | Any) else str(node)


def _terms(node: Node | None, asked: bool = True) -> Iterator[tuple[Term, bool]]:
    """Each term, and whether more of the skill is what is asked for."""
    match node:
        case None:
            return
        case Term():
            yield node, asked == (node.compare in (">=", ">", "="))
        case Not(of=inner):
            yield from _terms(inner, not asked)
        case All(of=nodes) | Any(of=nodes):
            for each in nodes:
                yield from _terms(each, asked)
