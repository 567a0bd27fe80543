"""The engine behind a bad network, in virtual time: 5 % of the packets lost, 30 ms of jitter that reorders them.

PESQ of what comes out beside what the E-model expects of the loss. The text is said twice and the second time is
judged: the first is what the jitter buffer learns the network from.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest
from audio_world import G722, OPUS, PCMA, PCMU, Phone, World
from harness.quality import COMMANDS, F32, at_rate, score, speak

from media.codecs import framed
from media.commands import Format
from rtp import emodel

LOSS = 0.05
JITTER = 0.03  # seconds; a packet follows the one before by 20 ms
APART = 0.7  # PESQ and the E-model's score


class BadNetwork:
    """Loses and delays what phones send."""

    def __init__(self, seed: int, loss: float, jitter: float) -> None:
        self._random = random.Random(seed)
        self.loss = loss
        self.jitter = jitter
        self.sent = self.lost = self.overtaken = 0
        self._latest = 0.0

    def __call__(self, phone: Phone, packet: bytes, now: float) -> Iterable[tuple[float, bytes]]:
        self.sent += 1
        if self._random.random() < self.loss:
            self.lost += 1
            return []
        at = now + self._random.uniform(0.0, 2 * self.jitter)
        self.overtaken += at < self._latest
        self._latest = max(self._latest, at)
        return [(at, packet)]


@pytest.fixture(scope="module")
def speeches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, F32]:
    folder = tmp_path_factory.mktemp("speech")
    return {talker: speak(talker, folder) for talker in COMMANDS}


def through(speech: F32, format_: Format, network: BadNetwork, fmtp: str = "") -> tuple[float, World]:
    """PESQ of speech that a phone with this codec sends, at a phone with PCMA."""
    world = World()
    world.network = lambda phone, packet, now: network(phone, packet, now) if phone is ann else [(now, packet)]
    ann, ben = world.phone(format_), world.phone(PCMA, 500.0)
    if fmtp:
        ann.codec = framed(format_[1], ann.rate, fmtp)
    once = at_rate(speech, ann.rate)
    ann.sound = np.concatenate((once, once))
    world.engine.bridge(1, 2)
    seconds = len(once) / ann.rate
    world.run(seconds)
    begin = len(ben.packets)
    world.run(seconds + 0.6)
    assert not ben.gaps()
    return score(speech, ben.heard(begin), ben.rate), world


@pytest.mark.parametrize(
    ("format_", "fmtp", "least"),
    [(PCMU, "", 2.7), (G722, "", 2.5), (OPUS, "useinbandfec=1", 3.0)],
    ids=["PCMU", "G722", "Opus with FEC"],
)
def test_loss_and_jitter(speeches: dict[str, F32], format_: Format, fmtp: str, least: float) -> None:
    heard, clean = [], []
    for talker, speech in speeches.items():
        clean.append(through(speech, format_, BadNetwork(1, 0.0, 0.0), fmtp)[0])
        for seed in (2, 3, 4):
            network = BadNetwork(seed, LOSS, JITTER)
            reached, world = through(speech, format_, network, fmtp)
            heard.append(reached)
            assert network.overtaken > 0.1 * network.sent
            assert world.engine.stats(1).lost == pytest.approx(network.lost, abs=3), talker
    expected = float(emodel.mos(emodel.rating(loss=LOSS)))
    print(
        f"{format_[1]} {fmtp}: PESQ {np.mean(heard):.2f} ({min(heard):.2f} to {max(heard):.2f}), "
        f"without loss {np.mean(clean):.2f}; E-model of G.711 at this loss {expected:.2f}"
    )
    assert np.mean(heard) >= least
    if format_ == PCMU:
        assert np.mean(clean) >= 4.0
        assert abs(np.mean(heard) - expected) <= APART


def test_jitter_alone_costs_little(speeches: dict[str, F32]) -> None:
    reached = [through(speech, PCMU, BadNetwork(5, 0.0, JITTER))[0] for speech in speeches.values()]
    print(f"PCMU, jitter alone: {reached}")
    assert min(reached) >= 3.6
