"""Phones with codecs against a `MediaEngine` in virtual time: what they say and are sent, and a network between.

world = World()
ann, ben = world.phone(PCMU, 1000.0), world.phone(OPUS, 600.0)
world.engine.bridge(1, 2)
world.run(2.0)
assert ben.level(1000.0) == pytest.approx(8000, rel=0.1)
"""

from __future__ import annotations

import heapq
import random
import struct
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from media import tones
from media.audio_commands import AudioCommand, Digit, Music, PlayEnded, Silence, Source, Tone
from media.codecs import framed, table
from media.commands import Format, MediaAddress, StreamSettings
from media.engine import MediaEngine
from media.playable import LoopedSound, MemorySound, Ready, SourceError
from media.recorder import AudioFiles
from media.studio import NO_STUDIO, Studio
from rtp.address import FAMILY_V4, sockaddr
from rtp.columns import Slots

PCMU: Format = (0, "PCMU", 8000)
PCMA: Format = (8, "PCMA", 8000)
L16: Format = (97, "L16", 8000)
WIDE_L16: Format = (98, "L16", 16000)
G722: Format = (9, "G722", 8000)
OPUS: Format = (96, "opus", 48000)
EVENTS: Format = (101, "telephone-event", 8000)
EVENTS_48: Format = (110, "telephone-event", 48000)
HOST = "192.0.2.1"
TICK = 0.0025
LEVEL = 8000  # of what phones say, peak
MUSIC_HERTZ = 2300.0
CODEC_RATES = {"G722": 16000, "opus": 48000}

I16 = npt.NDArray[np.int16]
F64 = npt.NDArray[np.float64]


def rate_of(format_: Format) -> int:
    """Samples per second that a phone with this codec works at."""
    return CODEC_RATES.get(format_[1], format_[2])


def sine(hertz: float, rate: int, count: int, begin: int = 0, level: float = LEVEL) -> I16:
    t = (np.arange(count) + begin) / rate
    return (level * np.sin(2 * np.pi * hertz * t)).astype(np.int16)


def tone_level(sound: npt.NDArray[np.generic], rate: int, hertz: float) -> float:
    """Amplitude of a tone in a sound."""
    samples = sound.astype(float)
    t = np.arange(len(samples)) / rate
    return float(2 * abs(np.mean(samples * np.exp(-2j * np.pi * hertz * t))))


class Packet(NamedTuple):
    """What a phone was sent."""

    type: int
    seq: int
    stamp: int
    payload: bytes
    marker: bool
    at: float


class Phone:
    """A peer that sends a tone, or `sound`, and keeps what it is sent."""

    def __init__(self, stream: int, format_: Format, hertz: float, ptime: int = 20) -> None:
        self.stream = stream
        self.hertz = hertz
        self.ptime = ptime
        self.address = sockaddr(HOST, 4000 + 2 * stream)
        self.packets: list[Packet] = []
        self.talks = True
        self.sound: I16 | None = None  # said instead of a tone, then silence
        self.ssrc = stream
        self.seq = 0
        self.stamp = 0
        self.sent = 0  # samples
        self.event: list[tuple[int, bytes, bool]] = []  # events to be sent: type, payload, first of its event
        self._event_stamp = 0
        self.speak(format_)

    def speak(self, format_: Format) -> None:
        """Use another codec from now on."""
        self.format = format_
        self.rate = rate_of(format_)
        stateful = self.rate > 8000
        self.codec = framed(format_[1], self.rate, "") if stateful else None
        self.ear = framed(format_[1], self.rate, "") if stateful else None

    # -- sent

    def packet(self) -> bytes:
        """The next packet."""
        count = self.rate * self.ptime // 1000
        units = self.format[2] * self.ptime // 1000
        stamp, self.stamp = self.stamp, self.stamp + units & 0xFFFFFFFF
        frame = self._frame(count)
        self.sent += count
        if self.event:
            kind, payload, begins = self.event.pop(0)
            if begins:
                self._event_stamp = stamp
            return self._headed(kind, payload, self._event_stamp, begins)
        payload = table.encode(self.format[1], frame[None, :]).tobytes() if self.codec is None else self._encode(frame)
        return self._headed(self.format[0], payload, stamp)

    def audio(self) -> bytes:
        """A packet of audio, whatever event is on its way."""
        event, self.event = self.event, []
        packet = self.packet()
        self.event = event
        return packet

    def _encode(self, frame: I16) -> bytes:
        assert self.codec is not None
        return self.codec.encode(frame)

    def _frame(self, count: int) -> I16:
        if self.sound is None:
            return sine(self.hertz, self.rate, count, self.sent)
        part = self.sound[self.sent : self.sent + count]
        return np.concatenate((part, np.zeros(count - len(part), np.int16)))

    def _headed(self, kind: int, payload: bytes, stamp: int, marker: bool = False) -> bytes:
        head = struct.pack("!BBHII", 0x80, marker << 7 | kind, self.seq, stamp, self.ssrc)
        self.seq = self.seq + 1 & 0xFFFF
        return head + payload

    def press(self, digit: str, format_: Format = EVENTS, packets: int = 5) -> None:
        """Send a digit as RFC 4733 has it, in the place of the next packets; its end three times."""
        code = tones_code(digit)
        step = format_[2] * self.ptime // 1000
        blocks = [(code, 10, step * (n + 1)) for n in range(packets)]
        blocks += [(code, 0x80 | 10, step * packets)] * 3
        self.event += [(format_[0], struct.pack("!BBH", *block), not n) for n, block in enumerate(blocks)]

    # -- heard

    def heard(self, since: int = 0) -> I16:
        """The audio in what it was sent, from its packet number `since` on."""
        frames = []
        for each in self.packets[since:]:
            if each.type != self.format[0]:
                continue
            if self.ear is not None:
                frames.append(self.ear.decode(each.payload).copy())
            else:
                frames.append(table.decode(self.format[1], np.frombuffer(each.payload, np.uint8)[None, :])[0])
        return np.concatenate(frames) if frames else np.zeros(0, np.int16)

    def level(self, hertz: float, seconds: float = 0.5) -> float:
        """Amplitude of a tone in the end of what was heard."""
        return tone_level(self.heard()[-int(seconds * self.rate) :], self.rate, hertz)

    def digits(self, format_: Format = EVENTS) -> list[tuple[int, int, int]]:
        """(event code, timestamp, longest duration) of the events it was sent, in order."""
        found: dict[tuple[int, int], int] = {}
        for each in self.packets:
            if each.type == format_[0]:
                code, _, duration = struct.unpack_from("!BBH", each.payload)
                key = (code, each.stamp)
                found[key] = max(found.get(key, 0), duration)
        return [(code, stamp, duration) for (code, stamp), duration in found.items()]

    # -- continuity

    def gaps(self) -> list[int]:
        """Steps of the sequence numbers that are not 1."""
        return [step for a, b in pairwise(self.packets) if (step := b.seq - a.seq & 0xFFFF) != 1]

    def stamp_errors(self) -> list[float]:
        """By how many seconds the timestamps of its audio went on faster than time did, between every packet and the
        first of its codec."""
        audio = [each for each in self.packets if each.type == self.format[0]]
        clock = self.format[2]
        first = audio[0]
        return [
            (((each.stamp - first.stamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000) / clock) - (each.at - first.at)
            for each in audio
        ]


def tones_code(digit: str) -> int:
    return "0123456789*#ABCD!".index(digit)


class _Music:
    """A tone as hold music."""

    def tick(self, index: int) -> None:
        pass

    def frame(self, name: str, rate: int, index: int) -> I16:
        return sine(MUSIC_HERTZ, rate, rate // 50, index * (rate // 50))


def open_tone(source: Source, rate: int, ready: Ready, start: float = 0.0, language: str = "") -> None:
    """`Tone("440")` is a sine of 440 Hz, ready at once; `dtmf:` digits as the table has them, one each."""
    second = rate
    nothing = np.zeros(0, np.int16)
    match source:
        case Tone(name=name, seconds=seconds) if name.startswith("dtmf:"):
            sound = tones.dtmf(name[5:], round((seconds or 0.1) * 1000), rate)
            ready(MemorySound(sound, rate, start))
        case Tone(name=name, seconds=seconds):
            ready(LoopedSound(nothing, sine(float(name), rate, second), rate, seconds, start))
        case Silence(seconds=seconds):
            ready(LoopedSound(nothing, np.zeros(second, np.int16), rate, seconds, start))
        case Music():
            ready(LoopedSound(nothing, sine(MUSIC_HERTZ, rate, second), rate, None, start))
        case _:
            ready(SourceError(f"{source}: no such sound here"))


def studio(files: AudioFiles = NO_STUDIO.files) -> Studio:
    return Studio(open_tone, _Music(), files)


Network = Callable[[Phone, bytes, float], Iterable[tuple[float, bytes]]]
"""When a phone's packets come to the engine: (time, packet), none for one that is lost."""


class World:
    """An engine and its phones. Stream n is the n-th phone, from 1 on."""

    def __init__(self, studio: Studio = NO_STUDIO) -> None:
        self.now = 1000.0
        self.engine = MediaEngine(random.Random(5), self.now, 1_700_000_000.0, studio)
        self.phones: dict[int, Phone] = {}
        self.settings: dict[int, StreamSettings] = {}
        self.slots = Slots(256)
        self.tick = 0
        self.network: Network | None = None
        self._due: dict[int, int] = {}
        self._way: list[tuple[float, int, Phone, bytes]] = []
        self._put = 0

    def phone(self, format_: Format, hertz: float = 0.0, ptime: int = 20, **changes: object) -> Phone:
        """Another phone, whose stream is open and configured. `changes`: of its settings. `ptime`: of both ways."""
        stream = len(self.phones) + 1
        phone = self.phones[stream] = Phone(stream, format_, hertz, ptime)
        settings: dict[str, object] = {
            "remote": MediaAddress(HOST, 4000 + 2 * stream, 4001 + 2 * stream),
            "formats": (format_, EVENTS),
            "ptime": ptime,
        }
        self.engine.open(stream, 1, 2, FAMILY_V4)
        self.settings[stream] = StreamSettings(**{**settings, **changes})  # type: ignore[arg-type]
        self.engine.configure(stream, self.settings[stream], self.now)
        return phone

    def configure(self, phone: Phone, **changes: object) -> None:
        """What a re-INVITE brings."""
        settings = msgspec.structs.replace(self.settings[phone.stream], **changes)
        self.settings[phone.stream] = settings
        self.engine.configure(phone.stream, settings, self.now)

    def do(self, *commands: AudioCommand) -> None:
        for command in commands:
            self.engine.audio(command, self.now)

    def events(self, kind: type) -> list[object]:
        """All of a kind so far."""
        return [event for event in self.engine.events if isinstance(event, kind)]

    @property
    def digits(self) -> list[tuple[int, str, str]]:
        """(stream, digit, source) of all that were told."""
        return [(each.stream, each.digit, each.source) for each in self.engine.events if isinstance(each, Digit)]

    @property
    def ended(self) -> list[tuple[int, str]]:
        """(play, how) of all plays that have ended."""
        return [(each.play, each.how) for each in self.engine.events if isinstance(each, PlayEnded)]

    # -- time

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self._receive()
            rows = {peer.row: self.phones[peer.stream] for peer in self.engine.latch.peers.values()}
            for batch in self.engine.mixer.tick(self.tick, self.now):
                for at, length, row in zip(batch.at.tolist(), batch.lengths.tolist(), batch.rows.tolist(), strict=True):
                    self._deliver(rows[row], batch.data[at, :length].tobytes())
            self.tick += 1
            self.now += TICK

    def send(self, phone: Phone, packet: bytes) -> None:
        """A packet from a phone comes with the next ones."""
        heapq.heappush(self._way, (self.now, self._put, phone, packet))
        self._put += 1

    def _receive(self) -> None:
        """The packets of this tick through the network, and what is relayed of them."""
        for phone in self.phones.values():
            due = self._due.get(phone.stream, 1)
            if self.tick < due:
                continue
            self._due[phone.stream] = self.tick + round(phone.ptime / 1000 / TICK)
            if phone.talks and self.engine.has(phone.stream):
                packet = phone.packet()
                whole = len(packet) > 12
                arrivals = [(self.now, packet)] if self.network is None else self.network(phone, packet, self.now)
                for at, each in arrivals if whole else ():
                    heapq.heappush(self._way, (at, self._put, phone, each))
                    self._put += 1
        slots = self.slots
        slots.clear()
        while self._way and self._way[0][0] <= self.now and slots.count < slots.capacity:
            _, _, phone, packet = heapq.heappop(self._way)
            slots.put(packet, phone.address, 1)
        if not slots.count:
            return
        outgoing = self.engine.packets(slots, self.now)
        rows = {peer.row: self.phones[peer.stream] for peer in self.engine.latch.peers.values()}
        for slot, target in zip(outgoing.slots.tolist(), outgoing.targets.tolist(), strict=True):
            self._deliver(rows[target], slots.packet(slot))

    def _deliver(self, phone: Phone, packet: bytes) -> None:
        _, kind, seq, stamp, _ = struct.unpack_from("!BBHII", packet)
        phone.packets.append(Packet(kind & 0x7F, seq, stamp, packet[12:], kind >= 0x80, self.now))
