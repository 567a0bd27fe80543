"""Rooms and their sums, against a plain matrix of gains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.mixture import Mixture, Sum
from media.room import TOTAL_FROM, Room

SAMPLES = 4


@dataclass
class Someone:
    stream: int
    source: int
    hears: float = 1.0
    deaf: bool = False
    silent: bool = False


@dataclass
class Plays:
    source: int
    over: bool = False


def mixed(
    room: Room, members: dict[int, Someone], own: dict[int, Plays], all_hear: Plays | None, sources: np.ndarray
) -> dict[int, np.ndarray]:
    """What each member hears, by way of sums and a mixture."""
    totals: list[Sum] = []

    def total(sum_: Sum) -> int:
        totals.append(sum_)
        return len(sources) + len(totals) - 1

    sums = dict(room.sums(members, own.get, all_hear, total))
    shared = list(dict.fromkeys(sums.values()))
    if not shared:
        return {}
    mixture = Mixture(len(sources), totals, shared, SAMPLES)
    full = np.zeros((mixture.rows, SAMPLES), np.float32)
    full[: len(sources)] = sources
    signals = mixture.mix(full)
    return {stream: signals[shared.index(sum_)].copy() for stream, sum_ in sums.items()}


def plain(
    room: Room, members: dict[int, Someone], own: dict[int, Plays], all_hear: Plays | None, sources: np.ndarray
) -> dict[int, np.ndarray]:
    """The same as the command's documentation says it."""
    result = {}
    present = [members[stream] for stream in room.members if stream in members]
    for listener in present:
        played = [each for each in (own.get(listener.stream), all_hear) if each is not None]
        heard = np.zeros(SAMPLES)
        if not listener.deaf and all(each.over for each in played):
            for talker in present:
                if talker.source and not talker.silent:
                    default = 0.0 if talker is listener else room.gain
                    gain = room.gains.get((listener.stream, talker.stream), default)
                    heard += gain * sources[talker.source]
        for each in played:
            heard += sources[each.source]
            if not each.over:
                break
        result[listener.stream] = np.clip(heard * listener.hears, -32767, 32767)
    return result


gains = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])
flags = st.booleans()


@st.composite
def rooms(draw: st.DrawFn) -> tuple[Room, dict[int, Someone], dict[int, Plays], Plays | None, np.ndarray]:
    size = draw(st.integers(1, 9))
    streams = list(range(1, size + 3))  # two more than are in the room
    sources = np.zeros((2 * size + 8, SAMPLES), np.float32)
    sources[1:] = np.random.default_rng(draw(st.integers(0, 99))).integers(-900, 900, (2 * size + 7, SAMPLES))
    members = {
        stream: Someone(stream, stream * draw(flags), draw(gains), draw(flags) and draw(flags), draw(flags))
        for stream in streams
        if draw(st.integers(0, 5))
    }
    room = Room(1)
    pairs = st.tuples(st.sampled_from(streams), st.sampled_from(streams), gains)
    room.set(tuple(range(1, size + 1)), draw(gains), draw(st.lists(pairs, max_size=6)))
    behind = size + 3
    own = {stream: Plays(behind + stream, draw(flags)) for stream in range(1, size + 1) if not draw(st.integers(0, 3))}
    all_hear = draw(st.sampled_from([None, Plays(behind, True), Plays(behind, False)]))
    return room, members, own, all_hear, sources


@given(rooms())
def test_what_is_heard_is_what_a_plain_matrix_says(
    given_room: tuple[Room, dict[int, Someone], dict[int, Plays], Plays | None, np.ndarray],
) -> None:
    found, expected = mixed(*given_room), plain(*given_room)
    assert found.keys() == expected.keys()
    for stream, sound in expected.items():
        assert np.abs(found[stream] - sound).max() <= 1.01, (stream, found[stream], sound)


def sums_of(room: Room, members: dict[int, Someone]) -> tuple[dict[int, Sum], list[Sum]]:
    totals: list[Sum] = []

    def total(sum_: Sum) -> int:
        totals.append(sum_)
        return 100

    return dict(room.sums(members, {}.get, None, total)), totals


def test_those_who_say_nothing_share_one_signal() -> None:
    room = Room(1)
    room.set(tuple(range(1, 51)), 1.0, ())
    members = {stream: Someone(stream, stream, silent=stream > 2) for stream in range(1, 51)}
    sums, totals = sums_of(room, members)
    assert len(set(sums.values())) == 3
    assert not totals


@pytest.mark.parametrize("talkers", [TOTAL_FROM - 1, TOTAL_FROM, 60])
def test_a_large_room_is_summed_up_once(talkers: int) -> None:
    room = Room(1)
    room.set(tuple(range(1, talkers + 1)), 1.0, ())
    sums, totals = sums_of(room, {stream: Someone(stream, stream) for stream in range(1, talkers + 1)})
    assert len(totals) == (talkers >= TOTAL_FROM)
    if totals:
        assert sums[1] == ((100, 1.0), (1, -1.0))


def test_a_pair_named_twice_in_gains_counts_as_the_last() -> None:
    room = Room(1)
    room.set((1, 2, 2), 1.0, ((1, 2, 0.0), (1, 2, 0.5), (1, 1, 0.25)))
    assert room.members == (1, 2)
    assert room.between(1, 2) == 0.5
    assert room.between(2, 1) == 1.0
    assert room.between(1, 1) == 0.25
    assert room.between(2, 2) == 0.0
    sums, _ = sums_of(room, {stream: Someone(stream, stream) for stream in (1, 2)})
    assert sums == {1: ((1, 0.25), (2, 0.5)), 2: ((1, 1.0),)}


def test_those_who_left_are_no_members() -> None:
    room = Room(1)
    room.set((1, 2, 3), 1.0, ())
    room.without([2, 9])
    assert room.members == (1, 3)
