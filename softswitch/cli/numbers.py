"""Numbers on the command line, and what is said of wrong ones: the range, and what was given instead."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import typer

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def whole(name: str, least: int, most: int | None = None) -> Callable[[str | int], int]:
    """Reads the whole numbers of an option or argument; raises BadParameter."""

    def read(given: str | int) -> int:
        text = str(given).strip()
        if not _WHOLE.fullmatch(text) or int(text) < least or (most is not None and int(text) > most):
            raise _wrong(name, "a whole number", least, most, text)
        return int(text)

    return read


def real(name: str, least: float, most: float | None = None) -> Callable[[str | float], float]:
    """Reads the numbers of an option; raises BadParameter."""

    def read(given: str | float) -> float:
        text = str(given).strip()
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < least or (most is not None and value > most):
            raise _wrong(name, "a number", least, most, text)
        return value

    return read


def _wrong(name: str, what: str, least: float, most: float | None, text: str) -> typer.BadParameter:
    within = f"of at least {least:g}" if most is None else f"from {least:g} to {most:.15g}"
    return typer.BadParameter(f"expected {what} {within} instead of {text[:40]!r}", param_hint=f"'{name}'")
