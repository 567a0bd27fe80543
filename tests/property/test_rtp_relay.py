"""The vectorised pass against a scalar model of the RFCs, over a network that loses, doubles and reorders."""

from __future__ import annotations

import itertools
import random
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from media.commands import MediaAddress, StreamSettings
from media.engine import MediaEngine
from rtp.address import FAMILY_V4, sockaddr
from rtp.columns import Slots

FORMATS = ((0, "PCMU", 8000), (101, "telephone-event", 8000))
STREAMS = 4
FRAME = 160


class Model:
    """One stream's reception, packet by packet (RFC 3550 A.1, A.3, A.8)."""

    def __init__(self) -> None:
        self.top: int | None = None
        self.base = 0
        self.received = self.late = 0
        self.transit = 0
        self.jitter = 0.0

    def receive(self, seq: int, stamp: int, now: float, timed: bool) -> None:
        transit = int(now * 8000.0) - stamp
        if self.top is None:
            self.top = self.base = seq
            self.transit = transit
        else:
            ahead = (seq - self.top + 0x8000 & 0xFFFF) - 0x8000
            self.top += max(ahead, 0)
            self.late += ahead <= 0
        self.received += 1
        if timed:
            drift = (transit - self.transit + 0x80000000 & 0xFFFFFFFF) - 0x80000000
            self.transit = transit
            self.jitter += (abs(drift) - self.jitter) / 16


def packet(seq: int, stamp: int, ssrc: int, event: bool) -> bytes:
    return struct.pack("!BBHII", 0x80, 101 if event else 0, seq & 0xFFFF, stamp & 0xFFFFFFFF, ssrc) + bytes(20)


def made(seed: int, nat: bool) -> MediaEngine:
    engine = MediaEngine(random.Random(seed), 0.0, 1e9)
    for n in range(STREAMS):
        engine.open(n, 1 + n % 2, 11 + n % 2, FAMILY_V4)
        remote = MediaAddress(f"192.0.2.{n + 1}", 4000, 4001)
        engine.configure(n, StreamSettings(remote=remote, nat=nat, signalled_host=remote.host, formats=FORMATS), 0.0)
    for n in range(0, STREAMS, 2):
        engine.bridge(n, n + 1)
    return engine


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 0.4), st.floats(0, 0.3), st.floats(0, 0.3), st.booleans())
def test_the_pass_counts_as_the_scalar_model(seed: int, loss: float, doubles: float, swaps: float, nat: bool) -> None:
    rng = random.Random(seed)
    engine = made(seed, nat)
    models = [Model() for _ in range(STREAMS)]
    network: list[tuple[int, int, int, bool]] = []
    starts = [(rng.randrange(65536), rng.randrange(2**32)) for _ in range(STREAMS)]
    for step in range(60):
        for n in range(STREAMS):
            event = 20 <= step < 26 and n == 1
            stamp = starts[n][1] + FRAME * (20 if event else step)
            for _ in range(0 if step and rng.random() < loss else 2 if rng.random() < doubles else 1):
                network.append((n, starts[n][0] + step, stamp & 0xFFFFFFFF, event))
    for at in range(STREAMS, len(network) - STREAMS):
        if rng.random() < swaps:
            other = at + rng.randrange(STREAMS)
            network[at], network[other] = network[other], network[at]
    slots = Slots(64)
    now = 100.0
    forwarded: dict[int, list[tuple[int, int, int]]] = {n: [] for n in range(STREAMS)}
    while network:
        count = rng.randrange(1, 30)
        batch, network = network[:count], network[count:]
        now += rng.random() * 0.05
        slots.clear()
        for n, seq, stamp, event in batch:
            slots.put(packet(seq, stamp, 0x100 + n, event), sockaddr(f"192.0.2.{n + 1}", 4000), 1 + n % 2)
            models[n].receive(seq & 0xFFFF, stamp, now, not event)
        came = [(n, seq, stamp) for n, seq, stamp, _ in batch]
        outgoing = engine.packets(slots, now)
        assert len(outgoing.slots) == len(batch)
        for slot, target in zip(outgoing.slots.tolist(), outgoing.targets.tolist(), strict=True):
            to = engine.latch.peers[target].stream
            n, seq, stamp = came[slot]
            assert to == n ^ 1
            head = slots.packet(slot)
            assert int.from_bytes(head[8:12], "big") == engine.stats(to).local_ssrc
            forwarded[to].append(
                (int.from_bytes(head[2:4], "big") - seq, int.from_bytes(head[4:8], "big") - stamp, slot)
            )
    for n, model in enumerate(models):
        row = next(row for row, peer in engine.latch.peers.items() if peer.stream == n)
        table = engine.table
        assert model.top is not None
        got = (int(table.received[row]), int(table.late[row]), int(table.top[row]), int(table.base[row]))
        assert got == (model.received, model.late, model.top, model.base)
        assert abs(float(table.jitter[row]) - model.jitter) < 1e-6
        stats = engine.stats(n)
        assert stats.lost == max(0, model.top - model.base + 1 - model.received)
        # One source: whatever the order, sequence and timestamp are shifted by one constant each.
        shifts = {(seq & 0xFFFF, stamp & 0xFFFFFFFF) for seq, stamp, _ in forwarded[n]}
        assert len(shifts) == 1
        assert engine.stats(n).packets_sent == models[n ^ 1].received


change = st.sampled_from(["packet", "new ssrc", "hold", "unhold", "rebridge", "reinvite", "leap"])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.lists(change, max_size=40))
def test_what_is_sent_is_one_unbroken_stream(seed: int, changes: list[str]) -> None:
    """Whatever happens on the other leg, a peer hears one SSRC whose sequence goes on by one and whose time never
    runs backwards."""
    rng = random.Random(seed)
    engine = made(seed, False)
    slots = Slots(8)
    now, port, held = 100.0, 4000, False
    seq, stamp, ssrc = rng.randrange(65536), rng.randrange(2**32), 0x500
    heard: list[tuple[int, int, int]] = []
    for what in ["packet", *changes, "packet"]:
        settings_of = StreamSettings(
            remote=MediaAddress("192.0.2.1", port, port + 1), signalled_host="192.0.2.1", formats=FORMATS
        )
        if what == "new ssrc":
            seq, stamp, ssrc = rng.randrange(65536), rng.randrange(2**32), ssrc + 1
            now += 0.1
        elif what in ("hold", "unhold"):
            held = what == "hold"
        elif what == "rebridge":
            engine.unbridge(0)
            now += 0.06
            engine.bridge(0, 1)
        elif what == "reinvite":
            port += 2
            settings_of = StreamSettings(
                remote=MediaAddress("192.0.2.1", port, port + 1), signalled_host="192.0.2.1", formats=FORMATS
            )
            seq, stamp, ssrc = rng.randrange(65536), rng.randrange(2**32), ssrc + 1
        elif what == "leap":
            seq += 5000
        engine.configure(
            0,
            StreamSettings(remote=settings_of.remote, signalled_host="192.0.2.1", formats=FORMATS, receive=not held),
            now,
        )
        for _ in range(3):
            seq, stamp, now = seq + 1 & 0xFFFF, stamp + FRAME & 0xFFFFFFFF, now + 0.02
            slots.clear()
            slots.put(packet(seq, stamp, ssrc, False), sockaddr("192.0.2.1", port), 1)
            outgoing = engine.packets(slots, now)
            assert len(outgoing.slots) <= (0 if held else 1)
            for slot in outgoing.slots.tolist():
                head = slots.packet(slot)
                heard.append(
                    (
                        int.from_bytes(head[8:12], "big"),
                        int.from_bytes(head[2:4], "big"),
                        int.from_bytes(head[4:8], "big"),
                    )
                )
    assert len(heard) >= (3 if not changes else 0)
    assert len({each[0] for each in heard}) <= 1
    for (_, seq_one, stamp_one), (_, seq_two, stamp_two) in itertools.pairwise(heard):
        assert seq_two - seq_one & 0xFFFF == 1
        assert 0 < (stamp_two - stamp_one & 0xFFFFFFFF) < 8000 * 60
