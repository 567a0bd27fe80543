"""One task that writes what has been handed over, in groups, off the call path, and goes on trying while the database
is away.

    told() ---seconds, or as many as make a group---> write() --waiting()?--> once more, or idle
                                                        |
                                                   UNAVAILABLE: a pause, and once more
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

import structlog

from softswitch.store.database import UNAVAILABLE, reason

log = structlog.get_logger("softswitch.store")

WRITE_SECONDS = 30.0
"""A transaction that takes longer is given up and tried again: the network may have swallowed it."""

RETRY_SECONDS = (0.5, 1.0, 2.0, 5.0)
"""Pauses between tries while the database is away; the last one repeats."""

CLOSE_SECONDS = 10.0
"""How long close() goes on trying."""


class GroupWriter:
    """Belongs to one event loop.

    `write` writes the next group in one transaction, or raises UNAVAILABLE with nothing of it lost; `waiting`: how many
    there are to write. A group is written after `seconds`, or as soon as there are `records`; `retry`: seconds of pause
    after each failure in a row, the last one repeats. `counters["failures"]` counts failures.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[], Awaitable[None]],
        waiting: Callable[[], int],
        counters: dict[str, int],
        *,
        seconds: float,
        records: int,
        retry: Sequence[float],
    ) -> None:
        self._name = name
        self._write = write
        self._waiting = waiting
        self._counters = counters
        self._seconds, self._records, self._retry = seconds, records, tuple(retry)
        self._awake = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name=self._name)
        self._task.add_done_callback(self._tell_death)

    def told(self) -> None:
        """Something more waits."""
        if not self._awake.is_set():
            self._idle.clear()
            self._awake.set()
        elif self._waiting() >= self._records:
            self._full.set()

    async def flush(self) -> None:
        """Wait until nothing waits any more, however long the database is away."""
        await self._idle.wait()

    async def close(self, seconds: float) -> bool:
        """Write what waits, for so long at most, and end. False: something was not written."""
        self._closing.set()
        self._awake.set()
        self._full.set()
        task, self._task = self._task, None
        try:
            if task is not None:
                await asyncio.wait_for(task, seconds)
        except TimeoutError:
            return False
        return True

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._awake.wait()
            if failures:
                await _pause(self._closing, self._retry[min(failures, len(self._retry)) - 1])
            elif self._waiting() < self._records:
                await _pause(self._full, self._seconds)
            self._awake.clear()
            if not self._closing.is_set():
                self._full.clear()
            try:
                await self._write()
            except UNAVAILABLE as error:
                failures += 1
                self._counters["failures"] += 1
                if failures == 1:
                    log.error(
                        "database away: all is kept back", of=self._name, why=reason(error), waiting=self._waiting()
                    )
                if self._closing.is_set():
                    await asyncio.sleep(self._retry[0])
            else:
                if failures:
                    log.info("database is back", of=self._name, waiting=self._waiting())
                failures = 0
            if self._waiting():
                self._awake.set()
                continue
            self._idle.set()
            if self._closing.is_set():
                return

    def _tell_death(self, task: asyncio.Task[None]) -> None:
        """A mistake of ours has ended the writer: say so at once, not at close()."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("a writer has died: records pile up unwritten", of=self._name, why=repr(error))


async def _pause(until: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await until.wait()
