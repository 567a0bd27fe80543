"""What engine and load of srtp_bench.py agree on: every even stream is secure, and this is how."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from media.commands import StreamKey
from rtp.srtp import SUITES, TRAILER, Srtp
from rtp.table import StreamTable
from tests.bench.audio.payloads import SHIFT

HEADER = 12
PACKET = 172  # octets: 20 ms of G.711
ROOM = PACKET + TRAILER


def keys(suite: str, stream: int) -> tuple[StreamKey, StreamKey]:
    """(the phone's, the relay's) of a stream."""
    octets = SUITES[suite].octets
    made = [hashlib.sha512(f"{whose} {stream}".encode()).digest()[:octets] for whose in ("phone", "relay")]
    return StreamKey(suite, made[0]), StreamKey(suite, made[1])


def ssrc(stream: int) -> int:
    return 0x1000_0000 + stream * 7919


class Phones:
    """The packets of all phones: a round is one of each, sealed where the stream is secure."""

    def __init__(self, suite: str, streams: int) -> None:
        table = StreamTable(streams + 2)
        self.srtp = Srtp(table)
        self._rows = np.array([table.take() for _ in range(streams)])
        self._data = np.full((streams, ROOM), 0xD5, np.uint8)
        self._words = self._data.view(">u4")
        table.own_ssrc[self._rows] = [ssrc(stream) for stream in range(streams)]
        self._words[:, 2] = table.own_ssrc[self._rows]
        if suite:
            for stream in range(0, streams, 2):
                phone, _ = keys(suite, stream)
                self.srtp.send_with(int(self._rows[stream]), phone.suite, phone.key)

    def round(self, number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """Packets, one a row, and their lengths; valid until the next round."""
        streams = len(self._rows)
        self._data[:, 12:] = 0xD5
        self._words[:, 0] = 0x8000_0000 | number & 0xFFFF
        self._words[:, 1] = number * 160
        lengths = np.full(streams, PACKET, np.int64)
        return self._data, self.srtp.protect(self._data, np.arange(streams), lengths, self._rows)


def sealed(suite: str, streams: int, rounds: int) -> list[list[bytes]]:
    """What follows the headers of so many packets of every secure stream, placed so that audio/load_generator.c comes
    to the first one first."""
    phones = Phones(suite, streams)
    made = [[b""] * rounds for _ in range(0, streams, 2)]
    for number in range(rounds):
        data, lengths = phones.round(number)
        for stream in range(0, streams, 2):
            place = (number + stream * SHIFT) % rounds
            made[stream // 2][place] = data[stream, HEADER : lengths[stream]].tobytes()
    return made
