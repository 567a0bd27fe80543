"""Streams that have just closed: what is known of them, and for how long."""

from __future__ import annotations

import random

import numpy as np

from rtp.address import Keys, sockaddr
from rtp.ended import LINGER, MOST, Ended

KEYS = Keys(random.Random(1).getrandbits(192))
PEER = sockaddr("192.0.2.1", 4000)


def keys(*values: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(values, np.uint64)


def test_a_source_is_known_for_a_while() -> None:
    ended = Ended()
    ended.tick(1000.0)
    key = KEYS.source(PEER, 1)
    ended.add(key, PEER, (0xA, 0xB))
    assert ended.sent(keys(key, key + 1)).tolist() == [True, False]
    ended.tick(1000.0 + LINGER)
    assert ended.sent(keys(key)).tolist() == [True]
    assert ended.reported({0xB}, PEER)
    ended.tick(1000.0 + 1.9 * LINGER)
    assert ended.sent(keys(key)).tolist() == [True]
    ended.tick(1000.0 + 2 * LINGER)
    assert ended.sent(keys(key)).tolist() == [False]
    assert not ended.reported({0xA, 0xB}, PEER)


def test_reports_are_known_by_either_ssrc_from_that_host_alone() -> None:
    ended = Ended()
    ended.add(0, PEER, (0xA, 0xB))
    ended.add(0, sockaddr("2001:db8::1", 4000), (-1, 0xC))
    assert ended.reported({0xA, 0xF}, sockaddr("192.0.2.1", 4001))
    assert ended.reported({0xB}, sockaddr("192.0.2.1", 9))
    assert ended.reported({0xC}, sockaddr("2001:db8::1", 1))
    assert not ended.reported({0xA}, sockaddr("192.0.2.2", 4001))
    assert not ended.reported({0xF, -1}, sockaddr("2001:db8::1", 1))


def test_a_stream_that_was_never_placed_leaves_nothing() -> None:
    ended = Ended()
    ended.add(0, b"", (-1, 0xC))
    assert not ended.reported({0xC, -1}, PEER)
    assert ended.sent(keys(0)).tolist() == [False]


def test_what_is_kept_is_bounded() -> None:
    ended = Ended()
    for number in range(1, MOST + 10):
        ended.add(number, PEER, (number, 1_000_000 + number))
    assert np.count_nonzero(ended.sent(np.arange(1, MOST + 10, dtype=np.uint64))) == MOST
    assert not ended.reported({MOST + 9}, PEER)
