"""Requests without credentials at a steady rate, from one address of 127.0.0.0/8 or from many, and their answers."""

from __future__ import annotations

import re
import select
import socket
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

_STATUS = re.compile(rb"SIP/2\.0 (\d{3})")
_BRANCH = re.compile(rb"z9hG4bK-flood-\d+")
PAUSE = 0.01
"""Seconds between two handfuls of requests."""


class Answered(NamedTuple):
    """What came back: the final status of each request that got one; `unhelpful` 503s had no Retry-After."""

    sent: int
    statuses: Counter[int]
    unhelpful: int


def flood(method: str, target: tuple[str, int], hosts: Sequence[str], per_second: float, seconds: float) -> Answered:
    """Send for that long from these hosts in turn; answers are read as they come."""
    sockets = [_socket(host) for host in hosts]
    statuses: dict[bytes, int] = {}  # by branch: a 401 that nobody acknowledges comes again
    unhelpful = sent = 0
    began = time.monotonic()
    try:
        while (elapsed := time.monotonic() - began) < seconds:
            while sent < elapsed * per_second:
                turn = sent % len(hosts)
                sockets[turn].sendto(_request(method, sent, hosts[turn], target), target)
                sent += 1
            time.sleep(PAUSE)
            unhelpful += _read(sockets, statuses, 0.0)
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            unhelpful += _read(sockets, statuses, 0.1)
    finally:
        for each in sockets:
            each.close()
    return Answered(sent, Counter(statuses.values()), unhelpful)


def _socket(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.setblocking(False)
    return made


def _read(sockets: Sequence[socket.socket], statuses: dict[bytes, int], wait: float) -> int:
    unhelpful = 0
    for each in select.select(sockets, [], [], wait)[0]:
        while True:
            try:
                data = each.recv(65535)
            except BlockingIOError:
                break
            status = int(_STATUS.match(data)[1])  # type: ignore[index]
            if status >= 200:
                statuses[_BRANCH.search(data)[0]] = status  # type: ignore[index]
                unhelpful += status == 503 and b"\r\nRetry-After:" not in data
    return unhelpful


def _request(method: str, number: int, host: str, target: tuple[str, int]) -> bytes:
    domain = f"{target[0]}:{target[1]}"
    uri = f"sip:{domain}" if method == "REGISTER" else f"sip:102@{domain}"
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host};rport;branch=z9hG4bK-flood-{number}\r\n"
        f"From: <sip:101@{domain}>;tag=f{number}\r\nTo: <sip:101@{domain}>\r\nMax-Forwards: 70\r\n"
        f"Call-ID: flood-{number}@{host}\r\nCSeq: 1 {method}\r\nContact: <sip:101@{host}>\r\nContent-Length: 0\r\n\r\n"
    ).encode()
