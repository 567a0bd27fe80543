"""Patterns of dialled numbers and of callers, and the variables of targets. All are read once, at load.

A pattern is one of

- a bare string: that number and no other (`101`, `*43`, `echo`);
- `_` and a pattern in Asterisk's manner: `X` is 0-9, `Z` 1-9, `N` 2-9, `[1-5*]` a class, `.` one or more
  and `!` zero or more of anything (both only at the end), `-` is for the eye and matches nothing; all else
  is literal. Letters are matched as written: unlike Asterisk, `x`, `z` and `n` in small letters are
  letters, and refused beside digits and classes alone;
- `regex:` and a regular expression that must match the whole number.

Numbers are bounded (`MAX_NUMBER`) before they come here, and regular expressions whose matching could still
take long are refused (`read_regex`), so that no caller can buy much processor time with one INVITE.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from re import _constants, _parser  # type: ignore[attr-defined]  # a regex is judged by its parse tree
from typing import Any

# Longer dialled numbers are answered 484 unlooked at. E.164 has 15 digits, names of people rarely 40
# characters.
MAX_NUMBER = 64
MAX_PATTERN = 256  # characters of one pattern
MAX_REGEX_STEPS = 100_000  # about two milliseconds at most for a number of MAX_NUMBER characters

_DIGITS = "0123456789"
_CLASSES = {"X": frozenset(_DIGITS), "Z": frozenset(_DIGITS[1:]), "N": frozenset(_DIGITS[2:])}
# Characters of numbers only: a bare string of these with one of XZN.![ was meant to be a pattern.
_LOOKS_LIKE_PATTERN = re.compile(r"(?=.*[XZN.!\[])(?=.*[0-9XZN])[0-9XZN.!\[\]*#+-]+")
# The same after `_`, with small letters for classes, as Asterisk takes them.
_SMALL_CLASSES = re.compile(r"_(?=.*[xzn])(?=.*[0-9XZN.!\[])[0-9XZNxzn.!\[\]*#+-]+")
# No dialled number has these unescaped (RFC 3261 25.1, user): they are of a regular expression.
_LOOKS_LIKE_REGEX = re.compile(r"\^.*|.*\\.*", re.DOTALL)

VARIABLES = ("number", "dialled", "caller", "did")
REFER_TO_VARIABLES = ("number", "host")
REFERRED_BY_VARIABLES = ("extension", "host")
"""Of a trunk's `transfer_by_refer`."""
_VARIABLE = re.compile(r"\{([^{}]*)\}")


class Pattern:
    """A pattern, read.

    `elements` are the sets of characters position by position and `tail` is "", "." or "!"; both are empty
    for a regular expression, which has `regex` instead. `literal` is the one number matched, where there is
    one.
    """

    __slots__ = ("elements", "literal", "regex", "tail", "text")

    def __init__(
        self,
        text: str,
        elements: tuple[frozenset[str], ...] = (),
        tail: str = "",
        literal: str | None = None,
        regex: re.Pattern[str] | None = None,
    ) -> None:
        self.text = text
        self.elements = elements
        self.tail = tail
        self.literal = literal
        self.regex = regex

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    def matches(self, number: str) -> bool:
        if self.regex is not None:
            return self.regex.fullmatch(number) is not None
        if self.literal is not None:
            return number == self.literal
        beyond = len(number) - len(self.elements)
        if beyond < (self.tail == ".") or (beyond and not self.tail):
            return False
        return all(character in allowed for character, allowed in zip(number, self.elements, strict=False))

    def covers(self, other: Pattern) -> bool:
        """True where all that `other` matches is matched here too; False also where that can't be told."""
        if self.text == other.text:
            return True
        if other.literal is not None:
            return self.matches(other.literal)
        if self.regex is not None or (other.regex is not None and (self.elements or self.tail != "!")):
            return False
        if len(other.elements) < len(self.elements):
            return False  # `other` matches something shorter, or starts with anything at all
        if not self.tail and (other.tail or len(other.elements) != len(self.elements)):
            return False
        if self.tail == "." and len(other.elements) == len(self.elements) and other.tail != ".":
            return False
        pairs = zip(other.elements, self.elements, strict=False)
        return all(theirs <= ours for theirs, ours in pairs)


def read_pattern(text: str) -> Pattern:
    """Read one pattern; ValueError says what is wrong with it."""
    if not text:
        raise ValueError("empty pattern: expected a number, a pattern such as _1XX, or regex:EXPRESSION")
    if len(text) > MAX_PATTERN:
        raise ValueError(f"pattern of {len(text)} characters: expected at most {MAX_PATTERN}")
    if text.startswith("regex:"):
        return Pattern(text, regex=read_regex(text[6:].strip()))
    if _SMALL_CLASSES.fullmatch(text):
        better = text.replace("x", "X").replace("z", "Z").replace("n", "N")
        raise ValueError(f"{text!r}: small letters stand for themselves: expected {better!r}")
    if text.startswith("_"):
        return _read_asterisk(text)
    if _LOOKS_LIKE_REGEX.fullmatch(text):
        raise ValueError(f"{text!r} is taken literally: expected 'regex:{text}' if it is a regular expression")
    if _LOOKS_LIKE_PATTERN.fullmatch(text):
        raise ValueError(f"{text!r} is taken literally: expected '_{text}' if it is meant as a pattern")
    return Pattern(text, elements=tuple(frozenset(character) for character in text), literal=text)


def _read_asterisk(text: str) -> Pattern:
    elements: list[frozenset[str]] = []
    tail = ""
    at = 1
    while at < len(text):
        character = text[at]
        if tail:
            raise ValueError(f"bad pattern {text!r}: expected nothing after {tail!r}")
        if character in ".!":
            tail = character
        elif character == "[":
            end = text.find("]", at + 1)
            if end < 0:
                raise ValueError(f"bad pattern {text!r}: expected a ']' for the '[' at character {at + 1}")
            elements.append(_read_class(text, text[at + 1 : end]))
            at = end
        elif character != "-":
            elements.append(_CLASSES.get(character) or frozenset(character))
        at += 1
    if not elements and not tail:
        raise ValueError(f"bad pattern {text!r}: expected something after '_'")
    literal = None
    if not tail and all(len(allowed) == 1 for allowed in elements):
        literal = "".join(next(iter(allowed)) for allowed in elements)
    return Pattern(text, elements=tuple(elements), tail=tail, literal=literal)


def _read_class(text: str, inside: str) -> frozenset[str]:
    """The characters of `[...]`: single ones and ranges such as 1-5."""
    characters: set[str] = set()
    at = 0
    while at < len(inside):
        if at + 2 < len(inside) and inside[at + 1] == "-":
            first, last = inside[at], inside[at + 2]
            if not (first.isascii() and last.isascii() and first <= last):
                raise ValueError(f"bad pattern {text!r}: expected a rising range instead of {first}-{last}")
            characters.update(map(chr, range(ord(first), ord(last) + 1)))
            at += 3
        else:
            characters.add(inside[at])
            at += 1
    if not characters:
        raise ValueError(f"bad pattern {text!r}: expected characters between '[' and ']'")
    return frozenset(characters)


def read_regex(text: str) -> re.Pattern[str]:
    """Compile a regular expression that is safe to run on a number of MAX_NUMBER characters."""
    if len(text) > MAX_PATTERN:
        raise ValueError(f"regular expression of {len(text)} characters: expected at most {MAX_PATTERN}")
    try:
        tree = _parser.parse(text)
        compiled = re.compile(text)
    except (re.error, RecursionError, OverflowError) as problem:
        raise ValueError(f"bad regular expression '{text}': {problem}") from None
    if _ways(tree) > MAX_REGEX_STEPS:
        raise ValueError(
            f"regular expression '{text}' could take very long: expected no repetition of something "
            "that itself repeats or has alternatives, and few repetitions in all"
        )
    return compiled


def check_replacement(regex: str, template: str) -> None:
    """ValueError where `template` names a group that `regex` lacks: to be found now, not in a call."""
    try:
        _parser.parse_template(template, re.compile(regex))
    except (re.error, ValueError, IndexError) as problem:
        raise ValueError(f"bad replacement '{template}': {problem}") from None


def _ways(tree: Any) -> float:
    """Upper bound of the ways `tree` can match some part of a number: what backtracking may have to try."""
    ways = 1.0
    for operator, argument in tree:
        ways *= _ways_of(operator, argument)
    return ways


def _ways_of(operator: Any, argument: Any) -> float:
    if operator in (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT):
        low, high, body = argument
        low, high = min(low, MAX_NUMBER), min(high, MAX_NUMBER)
        inner = _ways(body)
        if inner > 1:
            # n repetitions of a body that can match in c ways: c ** n, whatever n up to `high`.
            return float(min(inner ** min(high, 64), 1e300)) if high > 1 else inner + 1
        return float(high - low + 1)
    if operator is _constants.SUBPATTERN:
        return _ways(argument[3])
    if operator is _constants.BRANCH:
        return float(sum(_ways(branch) for branch in argument[1]))
    if operator in (_constants.ASSERT, _constants.ASSERT_NOT):
        return _ways(argument[1])
    if operator is _constants.ATOMIC_GROUP:
        return _ways(argument)
    if operator is _constants.GROUPREF_EXISTS:
        return _ways(argument[1]) + (_ways(argument[2]) if argument[2] else 1.0)
    return 1.0


class Template:
    """Text with variables, such as `0049{number}`; what a variable brings in is never looked at again."""

    __slots__ = ("_example", "parts", "text")

    def __init__(self, text: str, variables: Sequence[str] = VARIABLES) -> None:
        """ValueError names a variable that does not exist, or a brace that belongs to none."""
        self.text = text
        self._example = variables[0]
        self.parts: list[tuple[bool, str]] = []  # (is a variable, its name or the literal text)
        at = 0
        for match in _VARIABLE.finditer(text):
            self._literal(text[at : match.start()])
            if match[1] not in variables:
                known = ", ".join(f"{{{name}}}" for name in variables)
                raise ValueError(f"unknown variable {match[0]!r}: expected one of {known}")
            self.parts.append((True, match[1]))
            at = match.end()
        self._literal(text[at:])

    def _literal(self, text: str) -> None:
        if "{" in text or "}" in text:
            raise ValueError(f"stray brace in {self.text!r}: expected variables such as {{{self._example}}}")
        if text:
            self.parts.append((False, text))

    @property
    def constant(self) -> str | None:
        """The text, where there is no variable in it."""
        return None if any(variable for variable, _ in self.parts) else self.text

    def expand(self, values: Mapping[str, str]) -> str:
        return "".join(values[text] if variable else text for variable, text in self.parts)
