"""CPU time per relayed G.711 packet where one leg of each call is SRTP.

    python -m tests.bench.srtp_bench [--calls N] [--seconds S]

Twice: the engine's own part, batches put into it in this process (half of the packets to be opened, half to be
sealed), a line per suite; and the relay as a process, kernel included, with packets sealed beforehand by the load,
beside the same run of plain RTP.
"""

from __future__ import annotations

import argparse
import time
from random import Random

import numpy as np

from media.commands import MediaAddress, StreamSettings
from media.engine import MediaEngine
from rtp.address import FAMILY_V4, sockaddr
from rtp.columns import Slots
from rtp.srtp import SUITES
from tests.bench.media_rig import Rig
from tests.bench.relay.secure import Phones, keys
from tests.bench.relay_bench import line
from tests.bench.rig import RUNS, median

CALLS = 200
SECONDS = 4.0
ROUNDS = 60
BATCH = 256
BUDGET_US = 15.0
FORMATS = ((0, "PCMU", 8000),)


def engine_cost(suite: str, calls: int) -> float:
    """Microseconds of CPU time per packet in the engine alone; `suite` "": plain RTP."""
    streams = 2 * calls
    engine = MediaEngine(Random(1), 0.0, 1.7e9)
    for stream in range(streams):
        engine.open(stream, 1, 2, FAMILY_V4)
        theirs, ours = keys(suite, stream) if suite and stream % 2 == 0 else (None, None)
        remote = MediaAddress("127.0.0.1", 10_000 + stream, 9)
        settings = StreamSettings(remote=remote, formats=FORMATS, crypto_in=theirs, crypto_out=ours)
        engine.configure(stream, settings, 0.0)
        if stream % 2:
            engine.bridge(stream - 1, stream)
    names = [np.frombuffer(sockaddr("127.0.0.1", 10_000 + stream), np.uint8) for stream in range(streams)]
    sources = np.array(names)
    phones, slots = Phones(suite, streams), Slots()
    used, now, passed = [], 1.0, 0
    for number in range(ROUNDS):
        data, lengths = phones.round(number)
        spent = 0.0
        for start in range(0, streams, BATCH):
            at = slice(start, min(start + BATCH, streams))
            count = at.stop - start
            slots.data[:count, : data.shape[1]] = data[at]
            slots.names[:count], slots.lengths[:count] = sources[at], lengths[at]
            slots.sockets[:count], slots.control[:count] = 1, False
            slots.count = slots.count_v4 = count
            before = time.process_time()
            outgoing = engine.packets(slots, now)
            spent += time.process_time() - before
            passed += outgoing.slots.size
            now += 0.006
        used.append(spent * 1e6 / streams)
    if passed != ROUNDS * streams:
        raise RuntimeError(f"{suite or 'plain'}: {passed} of {ROUNDS * streams} packets were passed on")
    return median(used[5:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    plain = engine_cost("", options.calls)
    for suite in SUITES:
        line(f"srtp_engine {suite}", engine_cost(suite, options.calls), "us", "", f"plain {plain:.2f} us")
    unsealed, secure = [], []
    with Rig() as rig:
        for _ in range(RUNS):
            unsealed.append(rig.engine("relay", options.calls, options.seconds))
            secure.append(rig.engine("srtp_relay", options.calls, options.seconds))
    beside, cost = (median([run.us_per_packet for run in runs]) for runs in (unsealed, secure))
    loss, load = max(run.loss for run in secure), median([run.load for run in secure])
    line("srtp_relay_packet", cost, "us", f"<={BUDGET_US:g}", f"plain {beside:.2f} us")
    calls = f"{options.calls} two-way calls, one leg secure, load {load * 100:.0f} % of its core"
    line("srtp_relay_loss", loss * 100, "%", "<=0.1", calls)
    return 0 if cost <= BUDGET_US and loss <= 0.001 else 1


if __name__ == "__main__":
    raise SystemExit(main())
