"""Forty blind and forty attended transfers of telephones, several at once, while ten calls a second come and go."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from harness.switch import Switch
from harness.telephones import Office
from harness.transfer_load import Kind, LeftOver, TransferLoad

pytestmark = pytest.mark.interop

AT_ONCE, TALKERS = 12, 16
TRANSFERS: dict[Kind, int] = {"blind": 40, "attended": 40, "ringing": 8}

# Transactions are forgotten after 64 * T1 (RFC 3261 17): 6.4 s, and not 32.
EXTRA = """
sip:
  qualify: {interval: none}
  timers: {t1: 100ms, t2: 2s}
media: {workers: %d}
"""


@pytest.mark.parametrize("workers", [0, 1])
def test_all_are_heard_by_whom_they_are_left_to(tmp_path: Path, workers: int) -> None:
    with Switch(tmp_path, extensions=3 * AT_ONCE + TALKERS, extra=EXTRA % workers) as switch:
        asyncio.run(transfer(switch))


async def transfer(switch: Switch) -> None:
    async with Office((switch.host, switch.port)) as office:
        load = TransferLoad(office, AT_ONCE)
        await load.register(switch.passwords(), TALKERS)
        left = LeftOver(switch, office)
        for kind, count in TRANSFERS.items():
            await load.run(kind, count)
        assert await left.after(20.0) == {}
    for kind, tally in load.tallies.items():
        assert tally.done == TRANSFERS[kind]
        assert tally.failed == []
        assert tally.one_way == []
        # A stall of the machine may delay some of them.
        assert tally.part(0.5) <= 0.25
        assert tally.part(0.9) <= 1.0
    assert load.background["calls"] > 20
    assert load.problems == office.problems == []
    counters = switch.status().counters
    assert counters["transfers"] == sum(TRANSFERS.values())
    assert counters.get("transfers failed", 0) == 0
