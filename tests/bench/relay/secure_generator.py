"""The load of srtp_bench.py, sealed before the clock starts: usage and output as load_generator.c, with the suite as a
third argument.

It is paced by 5 ms steps, a quarter of the streams in each.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from rtp.address import FAMILY_V4, LENGTH, SOCKADDR, sockaddr
from rtp.batch import BatchSockets, allow_sockets
from rtp.columns import Slots
from tests.bench.relay.secure import PACKET, ROOM, Phones

STEPS = 4
ROUND_SECONDS = 0.02


def main() -> None:
    first, seconds, suite = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    ports = [int(line) for line in sys.stdin]
    streams, rounds = len(ports), int(seconds / ROUND_SECONDS)
    phones = Phones(suite, streams)
    data = np.zeros((rounds * streams, ROOM), np.uint8)
    lengths = np.zeros(rounds * streams, np.int64)
    for number in range(rounds):
        at = slice(number * streams, (number + 1) * streams)
        data[at], lengths[at] = phones.round(number)
    allow_sockets(streams)
    slots = Slots()
    sockets = BatchSockets(slots)
    indexes = np.array([sockets.open("127.0.0.1", first + stream, control=False) for stream in range(streams)])
    names = np.frombuffer(b"".join(sockaddr("127.0.0.1", port) for port in ports), np.uint8).reshape(-1, SOCKADDR)
    name_lengths = np.full(streams, LENGTH[FAMILY_V4])
    sent = received = 0
    worst = 0.0
    begin = time.monotonic()
    for step in range(rounds * STEPS):
        due = begin + step * ROUND_SECONDS / STEPS
        late = time.monotonic() - due
        if late < 0:
            time.sleep(-late)
        worst = max(worst, late)
        chosen = np.arange(step % STEPS, streams, STEPS)
        at = step // STEPS * streams + chosen
        sent += sockets.send(data, at, lengths[at], indexes[chosen], names.ctypes.data, chosen, name_lengths[chosen])
        received += drained(sockets, slots)
    time.sleep(0.1)
    received += drained(sockets, slots)
    print(f"sent {sent} received {received} lost {sent - received} worst_lag_us {worst * 1e6:.0f}")


def drained(sockets: BatchSockets, slots: Slots) -> int:
    """Packets that are audio, sealed or not."""
    count = 0
    while (got := sockets.receive()) > 0:
        count += int(np.count_nonzero(slots.lengths[:got] >= PACKET))
    return count


if __name__ == "__main__":
    main()
