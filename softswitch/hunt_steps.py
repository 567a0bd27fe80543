"""Who rings when: the strategies of ring groups and find-me lists, as steps for `softswitch.hunt`.

    members in their order ---strategy---> steps: who joins, how long until the next step, who rings through to which

A step begins when the one before has rung its time, or at once when nobody of it rings any more: no caller waits for
phones that are busy. Whoever rings through several steps is not called anew in them.

    simultaneous     a b c                 all at once
    sequential       a | b | c             each alone
    memory_hunt      a | a b | a b c       each joins those that ring already. The usual meaning in PBXs; nothing is
                                           remembered from one call to the next.
    weighted_random  b | a | c             each alone; the heavier, the more often early
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Generic, Literal, TypeVar

import msgspec

Strategy = Literal["simultaneous", "sequential", "memory_hunt", "weighted_random"]

Dialled = TypeVar("Dialled")
Item = TypeVar("Item")

CONFIRM_SECONDS = 15.0
"""How long whoever answers has to press a key: a voicemail's greeting is no longer before its beep."""


class Member(msgspec.Struct, Generic[Dialled], frozen=True, gc=False):
    """One who may be rung."""

    target: Dialled
    weight: float = 1.0
    """How often early by `weighted_random`: 2 is first twice as often as 1. Above 0."""
    after: float = 0.0
    """Seconds from the beginning until it rings (`scheduled`)."""
    lasts: float = 20.0
    """Seconds it rings (`scheduled`)."""
    confirm: float = 0.0
    """Seconds in which it must press a key once it has answered; 0: the answer counts by itself."""


class Joining(msgspec.Struct, Generic[Dialled], frozen=True, gc=False):
    """One who begins to ring with a step. `through`: the last step it rings in, by its position."""

    target: Dialled
    through: int
    confirm: float = 0.0


class Step(msgspec.Struct, Generic[Dialled], frozen=True, gc=False):
    """From one change to the next. `lasts` in seconds; None: as long as those who join it ring of themselves."""

    joining: tuple[Joining[Dialled], ...]
    lasts: float | None


def steps_of(
    strategy: Strategy, members: Sequence[Member[Dialled]], ring_time: float | None, random: Callable[[], float]
) -> tuple[Step[Dialled], ...]:
    """The steps of a ring group, each `ring_time` seconds long. `random` gives numbers from 0 to below 1."""
    match strategy:
        case "simultaneous":
            return (Step(tuple([_join(each, 0) for each in members]), ring_time),)
        case "sequential":
            return _one_by_one(members, ring_time)
        case "weighted_random":
            return _one_by_one(shuffled(members, [each.weight for each in members], random), ring_time)
        case "memory_hunt":
            last = len(members) - 1
            return tuple([Step((_join(each, last),), ring_time) for each in members])


def shuffled(items: Sequence[Item], weights: Sequence[float], random: Callable[[], float]) -> list[Item]:
    """All items in random order, drawn one after another without putting back, each by its weight among those left."""
    waiting = list(zip(items, weights, strict=True))
    order = []
    while waiting:
        point = random() * sum(weight for _, weight in waiting)
        chosen = 0
        for chosen, (_, weight) in enumerate(waiting):  # noqa: B007
            point -= weight
            if point < 0:
                break
        order.append(waiting.pop(chosen)[0])
    return order


def scheduled(members: Sequence[Member[Dialled]]) -> tuple[Step[Dialled], ...]:
    """The steps of a find-me list: each member rings `lasts` seconds from `after` on, whoever else rings then.

    A step in which nobody rings is passed over by the hunt: nobody listens to silence.
    """
    edges = sorted({edge for each in members for edge in (each.after, each.after + each.lasts)})
    position = {edge: index for index, edge in enumerate(edges)}
    steps = []
    for begin, end in pairwise(edges):
        joining = [_join(each, position[each.after + each.lasts] - 1) for each in members if each.after == begin]
        steps.append(Step(tuple(joining), end - begin))
    return tuple(steps)


def _one_by_one(members: Sequence[Member[Dialled]], ring_time: float | None) -> tuple[Step[Dialled], ...]:
    return tuple([Step((_join(each, index),), ring_time) for index, each in enumerate(members)])


def _join(member: Member[Dialled], through: int) -> Joining[Dialled]:
    return Joining(member.target, through, member.confirm)
