"""The engine mixing, transcoding and playing: packets in, packets out, tones measured in what comes out."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

import numpy as np
import pytest

from media.audio_commands import SetRoom, SetVolume
from media.codecs import framed, table
from media.commands import Format, MediaAddress, StreamSettings
from media.engine import MediaEngine
from rtp.address import FAMILY_V4, sockaddr
from rtp.columns import Slots

PCMU: Format = (0, "PCMU", 8000)
PCMA: Format = (8, "PCMA", 8000)
G722: Format = (9, "G722", 8000)
OPUS: Format = (96, "opus", 48000)
L16: Format = (97, "L16", 8000)
WIDE_L16: Format = (98, "L16", 16000)
CODECS = [PCMU, PCMA, G722, OPUS, L16, WIDE_L16]
EVENTS: Format = (101, "telephone-event", 8000)
HOST = "192.0.2.1"
TICK = 0.005


class Phone:
    """A peer that sends a tone and keeps what it is sent."""

    def __init__(self, stream: int, format_: Format, hertz: float) -> None:
        self.stream = stream
        self.format = format_
        self.rate = 16000 if format_[1] == "G722" else format_[2]
        self.codec = framed(format_[1], self.rate) if self.rate > 8000 else None
        self.ear = framed(format_[1], self.rate) if self.rate > 8000 else None
        self.hertz = hertz
        self.sent = 0
        self.address = sockaddr(HOST, 4000 + 2 * stream)
        self.packets: list[tuple[int, int, int, bytes]] = []  # type, seq, stamp, payload
        self.talks = True

    def packet(self) -> bytes:
        n = self.rate // 50
        t = (np.arange(n) + self.sent * n) / self.rate
        frame = (8000 * np.sin(2 * np.pi * self.hertz * t)).astype(np.int16)
        if self.codec is None:
            payload = table.encode(self.format[1], frame[None, :]).tobytes()
        else:
            payload = self.codec.encode(frame)
        step = self.format[2] // 50
        head = struct.pack("!BBHII", 0x80, self.format[0], self.sent & 0xFFFF, self.sent * step, self.stream)
        self.sent += 1
        return head + payload

    def heard(self) -> np.ndarray:
        frames = []
        for kind, _, _, payload in self.packets:
            if kind != self.format[0]:
                continue
            if self.ear is not None:
                frames.append(self.ear.decode(payload).copy())
            else:
                frames.append(table.decode(self.format[1], np.frombuffer(payload, np.uint8)[None, :])[0])
        return np.concatenate(frames) if frames else np.zeros(0, np.int16)

    def level(self, hertz: float, seconds: float = 0.5) -> float:
        """Amplitude of a tone in the end of what was heard."""
        sound = self.heard()[-int(seconds * self.rate) :].astype(float)
        t = np.arange(len(sound)) / self.rate
        return 2 * abs(np.mean(sound * np.exp(-2j * np.pi * hertz * t)))


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.engine = MediaEngine(random.Random(5), self.now, 1_700_000_000.0)
        self.phones: dict[int, Phone] = {}
        self.slots = Slots(256)
        self.tick = 0
        self.by_row: dict[int, Phone] = {}

    def phone(self, format_: Format, hertz: float, **changes: object) -> Phone:
        stream = len(self.phones) + 1
        phone = self.phones[stream] = Phone(stream, format_, hertz)
        formats = changes.pop("formats", (format_, EVENTS))
        settings = StreamSettings(
            remote=MediaAddress(HOST, 4000 + 2 * stream, 4001 + 2 * stream), formats=formats, **changes
        )
        self.engine.open(stream, 1, 2, FAMILY_V4)
        self.engine.configure(stream, settings, self.now)
        self.by_row[self.engine.latch.peers and max(self.engine.latch.peers)] = phone
        return phone

    def run(self, seconds: float) -> None:
        rows = {peer.row: self.phones[peer.stream] for peer in self.engine.latch.peers.values()}
        for _ in range(round(seconds / TICK)):
            if self.tick % 4 == 1:
                self.slots.clear()
                for phone in self.phones.values():
                    if phone.talks and self.engine.has(phone.stream):
                        self.slots.put(phone.packet(), phone.address, 1)
                if self.slots.count:
                    outgoing = self.engine.packets(self.slots, self.now)
                    for slot, target in zip(outgoing.slots.tolist(), outgoing.targets.tolist(), strict=True):
                        self._deliver(rows[target], self.slots.packet(slot))
            for batch in self.engine.mixer.tick(self.tick, self.now):
                for at, length, row in zip(batch.at.tolist(), batch.lengths.tolist(), batch.rows.tolist(), strict=True):
                    self._deliver(rows[row], batch.data[at, :length].tobytes())
            self.tick += 1
            self.now += TICK

    def _deliver(self, phone: Phone, packet: bytes) -> None:
        _, kind, seq, stamp, _ = struct.unpack_from("!BBHII", packet)
        phone.packets.append((kind & 0x7F, seq, stamp, packet[12:]))


@pytest.mark.parametrize("a", CODECS, ids=lambda each: f"{each[1]}/{each[2]}")
@pytest.mark.parametrize("b", CODECS, ids=lambda each: f"{each[1]}/{each[2]}")
def test_a_tone_crosses_any_two_codecs(a: Format, b: Format) -> None:
    world = World()
    ann, ben = world.phone(a, 1000.0), world.phone(b, 600.0)
    world.engine.bridge(1, 2)
    world.run(2.0)
    assert ann.level(600.0) == pytest.approx(8000, rel=0.12)
    assert ben.level(1000.0) == pytest.approx(8000, rel=0.12)
    assert ann.level(1000.0) < 100
    for phone in (ann, ben):
        seqs = [seq for _, seq, _, _ in phone.packets]
        assert [(b - a) & 0xFFFF for a, b in pairwise(seqs)] == [1] * (len(seqs) - 1)
        stamps = [stamp for _, _, stamp, _ in phone.packets]
        step = phone.format[2] // 50
        assert {(b - a) & 0xFFFFFFFF for a, b in pairwise(stamps)} == {step}
    assert bool(world.engine.mixer.voices) == (a != b)


@pytest.mark.parametrize("size", [3, 20])
def test_each_of_a_conference_hears_all_others_and_never_itself(size: int) -> None:
    world = World()
    tones = [300.0 + 100 * index for index in range(size)]
    phones = [world.phone((PCMU, PCMA)[index % 2], tone) for index, tone in enumerate(tones)]
    for stream in range(1, size + 1):
        world.engine.audio(SetVolume(stream, heard=0.15), world.now)
    world.engine.audio(SetRoom(7, tuple(range(1, size + 1))), world.now)
    world.run(2.0)
    for index, phone in enumerate(phones):
        for other, tone in enumerate(tones):
            level = phone.level(tone, 1.0)
            assert level < 60 if other == index else level == pytest.approx(1200, rel=0.1)


def test_closed_streams_leave_nothing_behind() -> None:
    world = World()
    for format_ in (PCMU, G722, OPUS):
        world.phone(format_, 500.0)
    world.engine.audio(SetRoom(7, (1, 2, 3)), world.now)
    world.run(0.5)
    for stream in (1, 2, 3):
        world.engine.close(stream)
    world.run(0.1)
    mixer = world.engine.mixer
    assert not mixer.voices
    assert all(bank.rows == 0 for bank in mixer.reception.banks.values())
    assert mixer.idle


@pytest.mark.parametrize("late", [0.04, 0.06, 0.08])
@pytest.mark.parametrize("format_", [PCMA, G722, OPUS, WIDE_L16], ids=lambda each: f"{each[1]}/{each[2]}")
def test_packets_that_are_all_late_from_now_on_are_heard_again_at_once(format_: Format, late: float) -> None:
    """As after a hold-up: the sender, or the ticks, are off by some frames. The delay grows by as much where nothing is
    heard anyway, also for a codec that conceals what is missing itself."""
    world = World()
    ann, ben = world.phone(format_, 1000.0), world.phone(PCMU, 600.0)
    world.engine.bridge(1, 2)
    world.run(1.0)
    ann.talks = False
    world.run(late)
    ann.talks = True
    before = len(ben.packets)
    world.run(0.8)
    frames = ben.heard().reshape(-1, 160)[before - 3 :].astype(float)
    levels = 2 * np.abs(frames @ np.exp(-2j * np.pi * 1000 / 8000 * np.arange(160))) / 160
    damaged = np.count_nonzero(levels < 8000 * 0.7)
    print(f"{format_[1]} {late} s: {damaged} frames", np.round(levels[:24] / 80).astype(int))
    assert damaged <= round(late / 0.02) + 3
