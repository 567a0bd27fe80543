"""Blind transfer of real telephones by the switch: who hears whom, one record, one recording."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from harness.audio import RATE, Tone, level_at, read_wave
from harness.baresip import Phone
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

F64 = npt.NDArray[np.float64]

ANNA, BEN, CYD = Tone(440.0, -12.0), Tone(1000.0, -18.0), Tone(700.0, -15.0)


def loudest(samples: F64, begin: float, seconds: float) -> Tone | None:
    """Whose tone is heard in that part."""
    part = samples[int(begin * RATE) : int((begin + seconds) * RATE)]
    levels = {tone: level_at(part, tone.frequency) - tone.level for tone in (ANNA, BEN, CYD)}
    best = max(levels, key=levels.__getitem__)
    return best if abs(levels[best]) < 1.0 else None


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("by", ["101", "102"])
def test_one_is_sent_on_by_the_other(tmp_path: Path, workers: int, by: str) -> None:
    extra = f"media: {{workers: {workers}}}\ndefaults: {{extension: {{record: always}}}}\n"
    switch = Switch(tmp_path, extra=FOR_SIPP + extra)
    with (
        switch,
        Phone(tmp_path, "101", switch.password("101"), switch.address, ANNA) as anna,
        Phone(tmp_path, "102", switch.password("102"), switch.address, BEN) as ben,
        Phone(tmp_path, "103", switch.password("103"), switch.address, CYD) as cyd,
    ):
        anna.call("102")
        anna.wait_event("CALL_ESTABLISHED")
        ben.wait_event("CALL_ESTABLISHED")
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= 2.0, "two seconds of talk")
        leaves, stays, stayed = (anna, ben, BEN) if by == "101" else (ben, anna, ANNA)
        assert "transferring" in switch.run_here("call", "transfer", by, "103", "--config", str(switch.config))
        leaves.wait_event("CALL_CLOSED")
        cyd.wait_event("CALL_ESTABLISHED")
        [call] = switch.status().calls
        begun = call.age
        wait_for(lambda: switch.status().calls[0].age >= begun + 3.0, "three seconds with the third")
        stays.hang_up()
        cyd.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        [record] = wait_for(lambda: switch.cdrs() or None, "the record")
        heard = {phone: read_wave(phone.heard()) for phone in (stays, cyd)}
    seconds = {phone: len(samples) / RATE for phone, samples in heard.items()}
    first = BEN if stays is anna else ANNA
    assert loudest(heard[stays], 0.5, 1.0) is first
    assert loudest(heard[stays], seconds[stays] - 1.5, 1.0) is CYD
    assert loudest(heard[cyd], seconds[cyd] - 1.5, 1.0) is stayed
    assert record["cause"] == "16"
    path = Path(record["recording"])
    told = json.loads(path.with_suffix(".json").read_text())
    assert {stretch["who"]["extension"] for stretch in told["stretches"]} == {"101", "102", "103"}
