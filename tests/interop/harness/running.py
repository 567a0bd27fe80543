"""What is kept in a database, for as long as a test writes to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol, TypeVar


class Kept(Protocol):
    """The store, or the ACD's journal."""

    async def start(self) -> None: ...
    async def flush(self) -> None: ...
    async def close(self) -> None: ...


AnyKept = TypeVar("AnyKept", bound=Kept)


@asynccontextmanager
async def running(kept: AnyKept) -> AsyncIterator[AnyKept]:
    await kept.start()
    try:
        yield kept
    finally:
        await kept.close()


async def written(kept: Kept, seconds: float = 20.0) -> None:
    """Until nothing waits any more; bounded, so that what never gets written fails the test."""
    async with asyncio.timeout(seconds):
        await kept.flush()
