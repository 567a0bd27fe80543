"""The engine mixing, transcoding and playing: packets in, packets out, tones measured in what comes out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from audio_world import G722, OPUS, PCMA, PCMU, World

from media.audio_commands import SetRoom, SetVolume
from media.commands import Format


@pytest.mark.parametrize("a", [PCMU, PCMA, G722, OPUS], ids=lambda each: each[1])
@pytest.mark.parametrize("b", [PCMU, PCMA, G722, OPUS], ids=lambda each: each[1])
def test_a_tone_crosses_any_two_codecs(a: Format, b: Format) -> None:
    world = World()
    ann, ben = world.phone(a, 1000.0), world.phone(b, 600.0)
    world.engine.bridge(1, 2)
    world.run(2.0)
    assert ann.level(600.0) == pytest.approx(8000, rel=0.12)
    assert ben.level(1000.0) == pytest.approx(8000, rel=0.12)
    assert ann.level(1000.0) < 100
    for phone in (ann, ben):
        assert not phone.gaps()
        step = phone.format[2] // 50
        assert {(b.stamp - a.stamp) & 0xFFFFFFFF for a, b in pairwise(phone.packets)} == {step}
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
