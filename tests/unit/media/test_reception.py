"""Packets of voices on their way into jitter buffers."""

from __future__ import annotations

import random
import struct

import numpy as np

from media.audio_commands import SetVolume
from media.codecs import framed
from media.commands import MediaAddress, StreamSettings
from media.engine import MediaEngine
from rtp.address import FAMILY_V4, sockaddr
from rtp.columns import Slots


def test_payloads_that_wait_are_forgotten_when_a_jump_empties_the_row() -> None:
    engine = MediaEngine(random.Random(1), 100.0, 1_700_000_000.0)
    engine.open(1, 1, 2, FAMILY_V4)
    remote = MediaAddress("192.0.2.1", 4000, 4001)
    engine.configure(1, StreamSettings(remote=remote, formats=((9, "G722", 8000),)), 100.0)
    engine.audio(SetVolume(1, heard=0.5), 100.0)
    voice = engine.mixer.voices[1]
    payload = framed("G722", 16000).encode(np.zeros(320, np.int16))
    slots = Slots(64)

    def send(*packets: tuple[int, int], now: float) -> None:
        slots.clear()
        for seq, stamp in packets:
            slots.put(struct.pack("!BBHII", 0x80, 9, seq, stamp, 77) + payload, sockaddr("192.0.2.1", 4000), 1)
        engine.packets(slots, now)

    send(*[(seq, seq * 160) for seq in range(14)], now=100.0)
    assert len(voice.pending) == 14
    # Two that agree that the timestamps have jumped, with more waiting than the largest delay.
    send((14, 900000), (15, 900160), now=100.01)
    assert voice.bank is not None
    assert voice.bank.columns.emptied[voice.bank_row] == 1
    assert list(voice.pending) == [int(voice.bank.columns.top[voice.bank_row]) - 320]
