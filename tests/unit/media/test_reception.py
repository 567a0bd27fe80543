"""What peers send, in all its variety, and what is heard of it."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from audio_world import EVENTS, G722, LEVEL, OPUS, PCMA, PCMU, Phone, World, sine, studio, tone_level

from media.audio_commands import SetRoom, SetVolume
from media.codecs import framed, table
from media.codecs.comfort_noise import QUIETEST
from media.commands import Format, MediaAddress, StreamSettings
from media.engine import MediaEngine
from rtp.address import FAMILY_V4, sockaddr
from rtp.columns import Slots

L16_TYPE: Format = (97, "L16", 8000)
NOISE: Format = (13, "CN", 8000)
ALL = (PCMU, PCMA, L16_TYPE, G722, OPUS, NOISE, EVENTS)


def bridged(talker: Format, listener: Format, ptime: int = 20, **changes: object) -> tuple[World, Phone, Phone]:
    world = World(studio())
    ann = world.phone(talker, 700.0, ptime, **changes)
    ben = world.phone(listener, 500.0)
    world.engine.bridge(1, 2)
    return world, ann, ben


@pytest.mark.parametrize("ptime", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("talker", [PCMA, L16_TYPE, G722, OPUS], ids=lambda each: each[1])
def test_packets_of_any_length_are_heard_and_sent(talker: Format, ptime: int) -> None:
    if talker == OPUS and ptime == 30:
        ptime = 60
    world, ann, ben = bridged(talker, PCMU, ptime)
    world.run(3.0)
    for phone, hertz in ((ben, 700.0), (ann, 500.0)):
        sound = phone.heard()[-2 * phone.rate :]
        level = tone_level(sound[: phone.rate // 10 * 10], phone.rate, hertz)
        assert level == pytest.approx(LEVEL, rel=0.12)
        # Nothing but the tone: a frame lost or out of place would be there.
        rest = np.sqrt(2) * np.std(sound.astype(float))
        assert rest == pytest.approx(level, rel=0.06)
        assert not phone.gaps()
        assert max(map(abs, phone.stamp_errors())) <= 0.021
    sent = len(ann.packets) * (20 if talker == OPUS and ptime == 10 else ptime)
    assert sent == pytest.approx(3000, abs=150)


@pytest.mark.parametrize("steps", [(PCMU, OPUS, PCMA), (G722, PCMU, G722), (L16_TYPE, OPUS, G722), (OPUS, PCMA, OPUS)])
@pytest.mark.parametrize("listener", [PCMU, OPUS], ids=lambda each: each[1])
def test_a_talker_may_change_its_payload_type_in_mid_stream(steps: tuple[Format, ...], listener: Format) -> None:
    world, ann, ben = bridged(steps[0], listener, formats=ALL)
    others = [each for each in ALL if each not in (PCMU, OPUS)]
    world.configure(ben, formats=(listener, *others))
    world.do(SetRoom(7, (1, 2), gains=((1, 1, 0.0),)))
    for format_ in steps:
        ann.speak(format_)
        world.run(1.2)
        assert ben.level(700.0) == pytest.approx(LEVEL, rel=0.15), format_
    assert not ben.gaps()
    assert max(map(abs, ben.stamp_errors())) <= 0.021


def test_the_bus_follows_what_its_members_can() -> None:
    world, ann, ben = bridged(OPUS, OPUS)
    world.do(SetRoom(7, (1, 2), talkers=True))
    rates = []
    for formats in ((OPUS, EVENTS), (PCMU, OPUS, EVENTS), (G722, EVENTS), (OPUS, EVENTS)):
        for phone in (ann, ben):
            phone.speak(formats[0])
            world.configure(phone, formats=formats)
        world.run(1.5)
        rates.append({voice.rate for voice in world.engine.mixer.voices.values()})
        assert ann.level(500.0) == pytest.approx(LEVEL, rel=0.15)
        assert ben.level(700.0) == pytest.approx(LEVEL, rel=0.15)
    assert rates == [{48000}, {8000}, {16000}, {48000}]
    assert not ben.gaps()


def dressed(payload: bytes, kind: int, seq: int, stamp: int, ssrc: int, csrcs: int, words: int, padding: int) -> bytes:
    """A packet with contributing sources, a header extension of so many words (-1: none) and padding."""
    first = 0x80 | (0x20 if padding else 0) | (0x10 if words >= 0 else 0) | csrcs
    packet = struct.pack("!BBHII", first, kind, seq & 0xFFFF, stamp & 0xFFFFFFFF, ssrc) + bytes(4 * csrcs)
    if words >= 0:
        packet += struct.pack("!HH", 0xBEDE, words) + b"\x55" * (4 * words)
    return packet + payload + (b"\xaa" * (padding - 1) + bytes((padding,)) if padding else b"")


@pytest.mark.parametrize("talker", [PCMU, L16_TYPE, OPUS], ids=lambda each: each[1])
def test_what_surrounds_a_payload_is_not_heard(talker: Format) -> None:
    world, ann, ben = bridged(talker, PCMA)
    rng = random.Random(2)
    plain = ann.packet

    def packet() -> bytes:
        whole = plain()
        _, kind, seq, stamp, ssrc = struct.unpack_from("!BBHII", whole)
        csrcs, words, padding = rng.choice([0, 0, 3, 15]), rng.choice([-1, 0, 1, 5]), rng.choice([0, 1, 4, 200])
        return dressed(whole[12:], kind, seq, stamp, ssrc, csrcs, words, padding)

    ann.packet = packet  # type: ignore[method-assign]
    world.run(2.0)
    sound = ben.heard()[-8000:]
    assert tone_level(sound, 8000, 700.0) == pytest.approx(LEVEL, rel=0.1)
    assert np.sqrt(2) * np.std(sound.astype(float)) == pytest.approx(LEVEL, rel=0.1)


def test_a_silent_peer_is_silence_and_comes_back() -> None:
    world, ann, ben = bridged(PCMU, PCMA)
    world.run(1.0)
    for _ in range(3):
        ann.talks = False
        world.run(1.0)
        assert np.abs(ben.heard()[-4000:]).max() < 20
        ann.talks = True
        ann.stamp += 8000
        world.run(1.0)
        assert ben.level(700.0) == pytest.approx(LEVEL, rel=0.05)
    assert not ben.gaps()
    assert max(map(abs, ben.stamp_errors())) <= 0.021


@pytest.mark.parametrize("talker", [PCMU, OPUS], ids=lambda each: each[1])
def test_comfort_noise_fills_the_silence_of_a_peer(talker: Format) -> None:
    world, ann, ben = bridged(talker, PCMA, formats=(talker, NOISE, EVENTS))
    world.run(0.5)
    ann.talks = False
    head = struct.pack("!BBHII", 0x80, 13, ann.seq, ann.stamp, ann.ssrc)
    world.send(ann, head + bytes((40,)))
    ann.seq += 1
    world.run(1.0)
    noise = ben.heard()[-4000:].astype(float)
    assert 20 * np.log10(np.sqrt(np.mean(noise**2)) / 32768) == pytest.approx(-40, abs=1.5)
    ann.talks = True
    ann.stamp += talker[2]
    world.run(1.0)
    assert ben.level(700.0) == pytest.approx(LEVEL, rel=0.12)
    world.send(ann, head[:12])
    world.send(ann, head + bytes((QUIETEST,)))
    world.run(0.2)


def test_discontinuous_opus_is_sent_with_markers_and_time_going_on() -> None:
    """RFC 7587 3.1.3: during DTX timestamps go on; RFC 3551 4.1: the marker tells of the first packet after it."""
    world = World(studio())
    ann = world.phone(PCMU)
    ben = world.phone(OPUS, 500.0, formats=(OPUS, EVENTS), fmtps=((96, "usedtx=1"),))
    speech = np.random.default_rng(1).normal(0, 4000, 8000).astype(np.int16)
    ann.sound = np.concatenate((speech, np.zeros(16000, np.int16), speech))
    world.engine.bridge(1, 2)
    world.run(4.0)
    assert 60 < len(ben.packets) < 190
    markers = [index for index, each in enumerate(ben.packets) if each.marker]
    assert markers[0] == 0
    assert len(markers) >= 2
    for index in markers[1:]:
        assert ben.packets[index].at - ben.packets[index - 1].at > 0.03
    assert not ben.gaps()
    assert max(map(abs, ben.stamp_errors())) <= 0.021


@pytest.mark.parametrize("octets", [0, 1, 7, 159, 161, 400, 959, 961, 1500])
@pytest.mark.parametrize("kind", [0, 97, 9, 96])
def test_payloads_of_odd_lengths_harm_nobody(octets: int, kind: int) -> None:
    world, ann, ben = bridged(PCMU, PCMA, formats=ALL)
    world.run(0.3)
    stamp = ann.stamp + 8000
    for seq in range(5):
        payload = random.Random(seq).randbytes(octets)
        world.send(ann, struct.pack("!BBHII", 0x80, kind, ann.seq + seq, stamp, ann.ssrc) + payload)
        stamp += max(octets, 1)
    ann.seq += 5
    ann.stamp = stamp
    world.run(2.0)
    assert ben.level(700.0) == pytest.approx(LEVEL, rel=0.1)


@pytest.mark.parametrize("seed", range(12))
def test_random_packets_of_a_locked_source_raise_nothing(seed: int) -> None:
    rng = random.Random(seed)
    world = World(studio())
    ann = world.phone(rng.choice([PCMU, OPUS, G722]), 700.0, formats=ALL, fmtps=((96, "useinbandfec=1"),))
    for other in (PCMA, OPUS, G722, L16_TYPE)[: 1 + seed % 4]:
        world.phone(other, 500.0)
    if seed % 3:
        world.do(SetRoom(7, tuple(world.phones), gains=((1, 1, 0.0),), talkers=bool(seed % 2)))
    else:
        world.engine.bridge(1, 2)
    encoder = framed("opus", 48000, "useinbandfec=1")
    real = {
        0: table.encode("PCMU", sine(700, 8000, 160)[None]).tobytes(),
        96: encoder.encode(sine(700, 48000, 960)),
        101: struct.pack("!BBH", 5, 0x8A, 800),
    }
    stats = world.engine.stats(1)
    world.run(0.2)
    seq = ann.seq
    for _ in range(150):
        for _ in range(rng.randrange(4)):
            kind = rng.choice([0, 8, 9, 13, 96, 97, 101, rng.randrange(128)])
            payload = real.get(kind, b"") if rng.random() < 0.5 else rng.randbytes(rng.choice([0, 1, 4, 80, 160, 900]))
            seq += rng.choice([1, 1, 1, 0, 2, -3, 50, rng.randrange(65536)])
            stamp = ann.stamp + rng.choice([0, 1, 100, 120, 160, 960, -500, 8000, rng.randrange(1 << 32)])
            marker = rng.choice([0, 0, 0x80])
            ssrc = ann.ssrc if rng.random() < 0.95 else rng.randrange(1 << 32)
            packet = dressed(
                payload, kind | marker, seq, stamp, ssrc, rng.choice([0, 0, 15]), rng.choice([-1, 0, 2]), 0
            )
            if rng.random() < 0.1:
                packet = bytes((rng.randrange(256),)) + packet[1 : rng.randrange(1, len(packet) + 1)]
            world.send(ann, packet)
        ann.talks = rng.random() < 0.8
        world.run(0.02)
    assert world.engine.stats(1).packets_received > stats.packets_received
    ann.talks = True
    ann.seq = seq + 1 & 0xFFFF
    ann.ssrc = 4711
    ann.speak(PCMU)
    ann.stamp = 0
    world.run(0.1)
    world.run(3.0)
    # It is heard as well as ever afterwards.
    ben = world.phones[2]
    assert ben.level(700.0) == pytest.approx(LEVEL, rel=0.15)
    assert not ben.gaps()


def test_a_number_that_changes_its_meaning_means_the_new_one() -> None:
    world, ann, _ = bridged(OPUS, PCMA)
    world.run(0.3)
    ann.speak((98, "opus", 48000))
    world.configure(ann, formats=((98, "opus", 48000), (96, "telephone-event", 48000)))
    world.run(0.3)
    ann.press("7", (96, "telephone-event", 48000))
    world.run(0.5)
    assert [digit for _, digit, _ in world.digits] == ["7"]
    ann.speak(PCMU)
    world.configure(ann, formats=(PCMU, (98, "telephone-event", 8000)))
    world.run(0.3)
    ann.press("8", (98, "telephone-event", 8000))
    world.run(0.5)
    assert [digit for _, digit, _ in world.digits] == ["7", "8"]


def test_many_voices_grow_all_columns() -> None:
    world = World(studio())
    phones = [world.phone((PCMU, PCMA, G722)[index % 3], 300.0 + 40 * index) for index in range(80)]
    for place in range(0, 80, 2):
        world.do(SetRoom(100 + place, (place + 1, place + 2), gains=((place + 1, place + 1, 0.0),)))
    world.run(1.0)
    for place in range(0, 80, 2):
        a, b = phones[place], phones[place + 1]
        assert a.level(b.hertz) == pytest.approx(LEVEL, rel=0.15)
        assert b.level(a.hertz) == pytest.approx(LEVEL, rel=0.15)


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
