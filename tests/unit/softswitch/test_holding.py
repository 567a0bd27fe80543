"""Every pair of directions that two legs can have asked for."""

from __future__ import annotations

import pytest

from softswitch.holding import Hearing, hearing

P, M, N = Hearing.PEER, Hearing.MUSIC, Hearing.NOTHING
WAYS = ("sendrecv", "sendonly", "recvonly", "inactive")
# What a leg hears that asked for the way on the left, its partner having asked for the one above: with music, without.
TABLE = {
    #             sendrecv sendonly recvonly inactive
    "sendrecv": ((P, P), (M, P), (N, N), (M, N)),
    "sendonly": ((N, N), (N, N), (N, N), (N, N)),
    "recvonly": ((P, P), (M, P), (N, N), (M, N)),
    "inactive": ((N, N), (N, N), (N, N), (N, N)),
}


@pytest.mark.parametrize("own", WAYS)
@pytest.mark.parametrize("other", WAYS)
def test_what_is_heard(own: str, other: str) -> None:
    with_music, without = TABLE[own][WAYS.index(other)]
    assert hearing(own, other, True) is with_music
    assert hearing(own, other, False) is without
