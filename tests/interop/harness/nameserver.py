"""An authoritative DNS server on a loopback address of its own, which can be slow or silent."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

PORT = 53  # resolv.conf names no other
TTL = 300  # seconds
NEVER = math.inf


class Asked(NamedTuple):
    """A question as it came; each repetition is one more."""

    name: str
    kind: str


class NameServer:
    """Answers UDP questions from `records`: {name: [(type, rdata as in a zone file), ...]}, all names absolute.

    `delays` holds the seconds until a name's questions are answered, by name or parent domain; NEVER answers none.
    As a recursive server does that is still asking others, it counts them from the first time it is asked the
    question: one that is repeated is answered when the first is. A name without records here does not exist.
    """

    def __init__(self, records: Mapping[str, list[tuple[str, str]]], delays: Mapping[str, float] | None = None) -> None:
        self._records = {dns.name.from_text(name): found for name, found in records.items()}
        self._delays = {dns.name.from_text(name): seconds for name, seconds in (delays or {}).items()}
        self._asked: list[Asked] = []
        self._first: dict[tuple[dns.name.Name, int], float] = {}
        self._waiting: list[tuple[float, int, bytes, tuple[str, int]]] = []
        self._order = itertools.count()
        self._ended = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = self._bind()
        self._thread = threading.Thread(target=self._serve, name="name server")

    def __enter__(self) -> NameServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def asked(self, name: str = "") -> list[Asked]:
        """The questions so far, oldest first; of one name if it is given."""
        return [each for each in list(self._asked) if not name or each.name == name]

    # ---- its thread --------------------------------------------------------------------------------

    def _bind(self) -> str:
        """A free address of 127/8: the port must be 53, and other tests may run beside this one."""
        for _ in range(50):
            address = f"127.{random.randrange(64, 128)}.{random.randrange(256)}.{random.randrange(1, 255)}"
            try:
                self._socket.bind((address, PORT))
            except OSError:
                continue
            return address
        raise AssertionError("port 53 is taken on all addresses of 127/8")

    def _serve(self) -> None:
        while not self._ended.is_set():
            until = self._waiting[0][0] - time.monotonic() if self._waiting else 0.05
            self._socket.settimeout(min(max(until, 0.001), 0.05))
            try:
                data, source = self._socket.recvfrom(4096)
            except TimeoutError:
                pass  # time for the answers that wait
            else:
                self._take(data, source)
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, answer, source = heapq.heappop(self._waiting)
                self._socket.sendto(answer, source)

    def _take(self, data: bytes, source: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name, question.rdtype
        self._asked.append(Asked(name.to_text(omit_final_dot=True), dns.rdatatype.to_text(kind)))
        first = self._first.setdefault((name, kind), time.monotonic())
        delay = max((s for domain, s in self._delays.items() if name.is_subdomain(domain)), default=0.0)
        if delay != NEVER:
            answer = self._answer(query).to_wire()
            heapq.heappush(self._waiting, (first + delay, next(self._order), answer, source))

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        name, kind = query.question[0].name, query.question[0].rdtype
        answer = dns.message.make_response(query, recursion_available=True)
        answer.flags |= dns.flags.AA
        if name not in self._records:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        found = [rdata for written, rdata in self._records.get(name, ()) if written == dns.rdatatype.to_text(kind)]
        if found:
            answer.answer.append(dns.rrset.from_text(name, TTL, "IN", kind, *found))
        return answer
