"""Skeleton."""

from __future__ import annotations

from typing import NamedTuple


class Question(NamedTuple):
    name: str
    kind: str  # "NAPTR" | "SRV" | "A" | "AAAA"


class Naptr(NamedTuple):
    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    priority: int
    weight: int
    port: int
    target: str


# The records of one answer (host addresses as literals), or the error's text when there was none to be had.
Answer = tuple[Naptr, ...] | tuple[Srv, ...] | tuple[str, ...] | str
