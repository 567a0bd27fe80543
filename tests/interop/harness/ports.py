"""Free ports, found by binding them."""

from __future__ import annotations

import contextlib
import os
import random
import socket

# Below the range that the kernel takes ports of outgoing connections from (32768 on). Tests that run beside each other
# (pytest-xdist) have a part of it each.
_PARTS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_PART = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WIDTH = (32000 - 15000) // _PARTS
LOWEST = 15000 + _PART * _WIDTH
HIGHEST = LOWEST + _WIDTH

_next = random.randrange(LOWEST, HIGHEST)


def free_ports(count: int = 1, host: str = "127.0.0.1", even: bool = False) -> int:
    """The first of `count` consecutive ports of `host` that are free for UDP and TCP just now.

    They are given one after the other, round and round: what was given and isn't bound yet is not given again soon.
    """
    global _next
    for _ in range(2 * _WIDTH // count):
        first = _next + (_next % 2 if even else 0)
        if first + count > HIGHEST:
            _next = LOWEST
            continue
        _next = first + count
        if all(_free(host, port) for port in range(first, first + count)):
            return first
    raise AssertionError(f"no {count} free ports on {host}")


def _free(host: str, port: int) -> bool:
    with contextlib.ExitStack() as stack:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            probe = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind))
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
