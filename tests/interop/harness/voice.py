"""Audio for SIPp's telephones: each says a tone of its own, and what it hears is kept.

SIPp binds the port of its SDP and is silent there. A voice sends from a port beside it, as a telephone behind a router
would: the switch finds it there (symmetric RTP) and answers to it.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType

import numpy as np
import numpy.typing as npt
from harness.audio import FRAME, RATE, Tone, decode_alaw, level_at
from harness.ears import NEAR
from harness.sipp import Sipp

F64 = npt.NDArray[np.float64]

WINDOW = 2 * 800  # samples: 200 ms
HOP = WINDOW // 2


def decode_ulaw(payload: bytes) -> F64:
    """G.711 mu-law, table 2a: sign, three bits of segment, four of step; all bits inverted."""
    code = np.frombuffer(payload, np.uint8) ^ 0xFF
    segment, step = (code >> 4 & 7).astype(np.int64), (code & 15).astype(np.int64)
    magnitude = ((2 * step + 33) << segment) - 33
    return np.where(code & 0x80, -magnitude, magnitude) / 8159


DECODERS = {0: decode_ulaw, 8: decode_alaw}


def _encode(samples: F64, payload_type: int) -> bytes:
    """The codes whose values are nearest."""
    values = DECODERS[payload_type](bytes(range(256)))
    order = np.argsort(values)
    edges = (values[order][1:] + values[order][:-1]) / 2
    return bytes(order[np.searchsorted(edges, samples)].astype(np.uint8))


class Voice:
    """One telephone's, from the first SDP of the switch to `close`. `host`: SIPp's."""

    def __init__(self, sipp: Sipp, host: str, tone: Tone) -> None:
        self._sipp = sipp
        self._tone = tone
        self._ssrc = os.urandom(4)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.setblocking(False)
        self._heard: list[tuple[int, F64]] = []  # (its 20 ms since the beginning, samples)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()

    def __enter__(self) -> Voice:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def heard(self) -> F64:
        """All that came, silence where nothing did."""
        if not self._heard:
            return np.zeros(0)
        samples = np.zeros((self._heard[-1][0] + 1) * FRAME)
        for at, frame in self._heard:
            samples[at * FRAME : at * FRAME + len(frame)] = frame[: len(samples) - at * FRAME]
        return samples

    def _speak(self) -> None:
        begun = time.monotonic()
        where: tuple[str, int] | None = None
        payload_type, frame = 0, b""
        for number in itertools.count():
            if self._over.wait(max(0.0, begun + number * FRAME / RATE - time.monotonic())):
                return
            if number % 2 == 0:
                told = _media_of(self._sipp.messages())
                if told is not None and told != (where, payload_type):
                    where, payload_type = told
            if where is not None:
                at = np.arange(number * FRAME, (number + 1) * FRAME) / RATE
                wave = 10 ** (self._tone.level / 20) * np.sin(2 * np.pi * self._tone.frequency * at)
                frame = _encode(wave, payload_type)
                head = bytes((0x80, payload_type)) + (number & 0xFFFF).to_bytes(2, "big")
                self._socket.sendto(head + (number * FRAME).to_bytes(4, "big") + self._ssrc + frame, where)
            self._hear(number)

    def _hear(self, number: int) -> None:
        while True:
            try:
                packet = self._socket.recv(2000)
            except BlockingIOError:
                return
            decode = DECODERS.get(packet[1] & 0x7F)
            if decode is not None and len(packet) > 12:
                last = self._heard[-1][0] if self._heard else -1
                self._heard.append((max(number, last + 1), decode(packet[12:])))


def _media_of(messages: str) -> tuple[tuple[str, int], int] | None:
    """Where the switch listens, and the codec it has chosen, by the last SDP that came from it."""
    parts = re.split(r"-{40,}", messages.replace("\r", ""))
    for part in reversed(parts):
        if "message received" not in part:
            continue
        address = re.search(r"^c=IN IP4 (\S+)$", part, re.M)
        media = re.search(r"^m=audio (\d+) \S+ (\d+)", part, re.M)
        if address is not None and media is not None and int(media[2]) in DECODERS:
            return (address[1], int(media[1])), int(media[2])
    return None


def present(samples: F64, tones: Mapping[str, Tone]) -> frozenset[str]:
    """Whose tones are in it."""
    return frozenset(who for who, tone in tones.items() if abs(level_at(samples, tone.frequency) - tone.level) < NEAR)


def story(samples: F64, tones: Mapping[str, Tone]) -> list[set[str]]:
    """Whom one hears, one after the other: each that is there for 300 ms and more. Silence, music and ringing are
    nobody."""
    windows = [samples[at : at + WINDOW] for at in range(0, len(samples) - WINDOW + 1, HOP)]
    told: list[set[str]] = []
    for one, other in itertools.pairwise([present(window, tones) for window in windows]):
        if one and one == other and (not told or told[-1] != one):
            told.append(set(one))
    return told


def silence(samples: F64) -> float:
    """Seconds in which nothing comes, between what comes first and last: frames of 20 ms without a sound."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    sound = np.flatnonzero(np.abs(frames).max(axis=1) > 0) if len(frames) else np.zeros(0, np.int64)
    return float(sound[-1] - sound[0] + 1 - len(sound)) * FRAME / RATE if len(sound) else 0.0
