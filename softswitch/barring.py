"""Classes of numbers that cost: international, premium, whatever the operator adds. Default deny, through trunks only.

A number is judged in every form it takes on its way out: as the dialplan sends it to the trunk, as the gateway will see
it, and, where the dialplan took away what shows its kind (`00` off the front), as it was dialled. Visual separators
(RFC 3966: "-", ".", "(", ")") mean nothing to a gateway and mean nothing here; nor do digits of other scripts, or a
service code in front ("*31#", calling line restricted). Each form is judged as it would be written in E.164, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence

from softswitch.dialplan.patterns import Pattern, read_pattern
from softswitch.settings.barring_models import INTERNATIONAL

ACCESS_CODES = ("+", "00", "011")
"""What stands before a country code: E.164's own sign, the ITU's 00 (E.164 Supplement 3), North America's 011."""

ANYTHING = "*"
"""Stands for every class among those that are allowed: the operator himself wrote the number."""

_SERVICE_CODES = re.compile(r"(?:[*#]{1,2}[0-9]{2,3}[*#]|\*[0-9]{2}(?=[0-9+]{7}))+")
_TRUNK_ZERO = re.compile(r"(?<=[0-9])\s*\(0\)")
"""What is not dialled from abroad: +49 (0) 30."""


class Barring:
    """The classes, compiled. Immutable."""

    __slots__ = ("_any", "_classes", "_codes", "_emergency", "_home")

    def __init__(
        self, classes: Mapping[str, Collection[str]], home: Iterable[str] = (), emergency: Iterable[str] = ()
    ) -> None:
        """`home`: country codes with their "+". ValueError where a pattern can't be read."""
        self._classes = {name: _Matcher(patterns) for name, patterns in classes.items() if patterns}
        # Most numbers are in no class: one look tells.
        self._any = _Matcher([pattern for patterns in classes.values() for pattern in patterns])
        # Where an access code is not in the class, the operator has taken it out: Turin's numbers begin with 011.
        abroad = self._classes.get(INTERNATIONAL)
        self._codes = tuple([code for code in ACCESS_CODES if abroad is None or abroad.matches(f"{code}1234567")])
        self._home = tuple(access + code.lstrip("+") for code in home for access in ACCESS_CODES)
        self._emergency = frozenset(emergency)

    def is_emergency(self, number: str) -> bool:
        """Whether nothing may keep this number from being called."""
        return number in self._emergency

    def classes_of(self, number: str) -> list[str]:
        """The classes that a number is in."""
        found: dict[str, None] = {}
        for form in _forms(number, self._codes):
            if self._any.matches(form):
                at_home = bool(self._home) and form.startswith(self._home)
                for name, matcher in self._classes.items():
                    if matcher.matches(form) and not (at_home and name == INTERNATIONAL):
                        found[name] = None
        return list(found)

    def barred(self, numbers: Iterable[str], allowed: Collection[str]) -> str:
        """The first class of one of `numbers` that is not among those `allowed`; "" where all are."""
        if ANYTHING in allowed:
            return ""
        for number in numbers:
            for name in self.classes_of(number):
                if name not in allowed:
                    return name
        return ""


def _forms(number: str, codes: Sequence[str] = ACCESS_CODES) -> tuple[str, ...]:
    """A number as a gateway may take it: its letters, digits and signs alone, and the same as in E.164. `codes`: what
    stands before a country code here."""
    text = unicodedata.normalize("NFKC", number)
    if text[:1] == "+" or text[:2] == "00":
        text = _TRUNK_ZERO.sub("", text)
    text = "".join([char for char in text if char.isascii() and (char.isalnum() or char in "+*#")])
    bare = _SERVICE_CODES.sub("", text, count=1).replace("*", "").replace("#", "")
    access = next((code for code in codes if bare.startswith(code)), "")
    world = f"+{bare[len(access) :]}" if access else bare
    return tuple(dict.fromkeys((text, bare, world)))


class _Matcher:
    """Many patterns as one regular expression; those that are regular expressions themselves stay apart."""

    __slots__ = ("_others", "_together")

    def __init__(self, patterns: Iterable[str]) -> None:
        read = [read_pattern(text) for text in dict.fromkeys(patterns)]
        plain = [_expression(pattern) for pattern in read if pattern.regex is None]
        self._together = re.compile("|".join(plain), re.DOTALL) if plain else None
        self._others = [pattern.regex for pattern in read if pattern.regex is not None]

    def matches(self, number: str) -> bool:
        if self._together is not None and self._together.fullmatch(number):
            return True
        return any(each.fullmatch(number) for each in self._others)


def _expression(pattern: Pattern) -> str:
    parts = ["[" + "".join(map(re.escape, sorted(allowed))) + "]" for allowed in pattern.elements]
    return "".join(parts) + {"": "", ".": ".+", "!": ".*"}[pattern.tail]
