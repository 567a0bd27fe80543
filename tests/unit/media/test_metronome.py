"""The timer of the mixer's ticks: real time, since it is what the kernel makes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from media.metronome import Metronome


class Beats:
    def __init__(self) -> None:
        self.at: list[float] = []
        self.came = asyncio.Event()
        self.metronome = Metronome(asyncio.get_running_loop(), self.beat)
        self.then: float | None = None

    def beat(self) -> None:
        self.at.append(time.monotonic())
        if self.then is None:
            self.metronome.rest()
        else:
            self.metronome.arm(self.then)
            self.then = None
        self.came.set()


@pytest.fixture
async def beats() -> AsyncIterator[Beats]:
    made = Beats()
    yield made
    made.metronome.close()


async def test_each_arm_is_one_beat_at_its_moment(beats: Beats) -> None:
    first = time.monotonic() + 0.02
    beats.then = first + 0.01
    beats.metronome.arm(first)
    while len(beats.at) < 2:
        beats.came.clear()
        await asyncio.wait_for(beats.came.wait(), 2)
    assert [at >= due for at, due in zip(beats.at, (first, first + 0.01), strict=True)] == [True, True]
    beats.came.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(beats.came.wait(), 0.05)


async def test_a_moment_that_is_past_is_now(beats: Beats) -> None:
    begun = time.monotonic()
    beats.metronome.arm(begun - 5)
    await asyncio.wait_for(beats.came.wait(), 2)
    assert beats.at[0] - begun < 1


async def test_what_is_armed_anew_or_at_rest_does_not_beat(beats: Beats) -> None:
    now = time.monotonic()
    beats.metronome.arm(now + 0.01)
    beats.metronome.arm(now + 3600)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(beats.came.wait(), 0.05)
    beats.metronome.arm(time.monotonic() + 0.01)
    beats.metronome.rest()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(beats.came.wait(), 0.05)
    assert not beats.at
