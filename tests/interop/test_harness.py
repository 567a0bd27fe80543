"""What the other tests stand on."""

from __future__ import annotations

import pytest
from harness.ports import free_ports

pytestmark = pytest.mark.interop


def test_ports_are_not_given_twice_before_they_are_bound() -> None:
    given: set[int] = set()
    for count in [1, 202, 32, 4] * 15:
        first = free_ports(count, even=True)
        ports = set(range(first, first + count))
        assert first % 2 == 0
        assert not given & ports
        given |= ports
