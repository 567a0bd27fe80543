"""Locating SIP servers (RFC 3263): the choice, pure, over answers given by the driver.

    uri ──> numeric host ───────────────────────────────────────────────> targets
            port given ────────────────────────────────> A, AAAA ───────> targets
            transport given ──────────> SRV ─ found ──> A, AAAA of each ─> targets
                                            └ none ───> A, AAAA ────────> targets, default port
            neither ────────> NAPTR ─ found ─> SRV of each, as above
                                    └ none ──> SRV of each transport we have, as above

A `Lookup` is asked for its `questions`, given the answers to all of them at once with `answer`, until `done`.
What it makes of a domain is at most MAX_TARGETS targets, in the order in which they are to be tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from sip.effects import TRANSPORTS, Target

if TYPE_CHECKING:
    from sip.uri import Uri


class Question(NamedTuple):
    """One DNS question; `name` without a final dot."""

    name: str
    kind: str  # "NAPTR" | "SRV" | "A" | "AAAA"


class Naptr(NamedTuple):
    """The fields of RFC 3403 section 4.1 that matter here."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


class Srv(NamedTuple):
    """RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str


# The records of one answer, host addresses as literals: empty when the name has none. A str says why there is
# no answer at all (time out, SERVFAIL); the look-up then goes on as if there were no record.
Answer = tuple[Naptr, ...] | tuple[Srv, ...] | tuple[str, ...] | str

# A poisoned or careless zone must not make us try a hundred hosts, nor ask a hundred questions.
MAX_SERVICES: Final = 4
MAX_HOSTS: Final = 8
MAX_TARGETS: Final = 16

# RFC 3263 4.1, and RFC 7118 section 9 for WebSocket.
NAPTR_SERVICES: Final = {
    "SIP+D2U": "udp",
    "SIP+D2T": "tcp",
    "SIPS+D2T": "tls",
    "SIP+D2W": "ws",
    "SIPS+D2W": "wss",
}
# RFC 3263 4.1: "_sip" for sip over udp and tcp, "_sips" for TLS.
SRV_PREFIXES: Final = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}


class LocateError(Exception):
    """A URI that can't be located with the transports we have; the text says why."""


@lru_cache(maxsize=4096)
def is_numeric(host: str) -> bool:
    """Whether `host` (no brackets) is an IPv4 or IPv6 literal."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def numeric_target(uri: Uri, transports: Sequence[str]) -> Target | None:
    """The target of the usual URI of a peer by address: sip, no parameter, numeric. None: it takes a `Lookup`."""
    if uri.scheme != "sip" or uri.params or "udp" not in transports or not is_numeric(uri.host):
        return None
    # 4.1: "If no transport protocol is specified, but the TARGET is a numeric IP address, the client SHOULD use UDP
    # for a SIP URI"
    return Target("udp", uri.host.lower(), uri.port or TRANSPORTS["udp"].default_port)


class Lookup:
    """The way of one URI to its targets. Raises LocateError when made for a URI that we can't serve.

    transports: those we can send by, in order of preference. families: "A" and "AAAA", in order of
    preference. random: numbers in [0, 1), for the weights of RFC 2782.
    """

    __slots__ = (
        "_families",
        "_host",
        "_random",
        "_services",
        "_transports",
        "_wanted",
        "explicit",
        "problems",
        "questions",
        "targets",
    )

    def __init__(
        self,
        uri: Uri,
        transports: Sequence[str],
        random: Callable[[], float],
        families: Sequence[str] = ("A", "AAAA"),
    ) -> None:
        self._transports = transports
        self._families = families
        self._random = random
        # What is being asked for: (transport, host, port) by service, in order.
        self._services: list[tuple[str, str, int]] = []
        self.questions: tuple[Question, ...] = ()
        self.targets: tuple[Target, ...] = ()
        self.problems: list[str] = []

        if uri.scheme == "sips":
            raise LocateError("sips URIs need TLS, which is not served")
        if uri.scheme != "sip":
            raise LocateError(f"no way to locate a {uri.scheme} URI")
        # "TARGET is the value of the maddr parameter of the URI, if present, otherwise the host value" (4).
        host = (uri.params.get("maddr") or uri.host).strip("[]").rstrip(".").lower()
        if not host:
            raise LocateError("the URI has no host")
        self._host = host
        wanted = uri.params.get("transport")
        transport = self._wanted = wanted.lower() if wanted else ""
        self.explicit = bool(transport)
        if transport and transport not in transports:
            raise LocateError(f"transport {transport[:20]} is not served")
        if not transports:
            raise LocateError("no transport is served")
        self._start(host, uri.port, transport)

    @property
    def done(self) -> bool:
        return not self.questions

    def answer(self, answers: Sequence[Answer]) -> None:
        """Take the answers to `questions`, in their order; new questions or the targets follow."""
        questions, self.questions = self.questions, ()
        for question, answer in zip(questions, answers, strict=True):
            if isinstance(answer, str):
                self.problems.append(f"{question.kind} {question.name}: {answer}")
        kind = questions[0].kind
        if kind == "NAPTR":
            self._take_services(answers)
        elif kind == "SRV":
            self._take_hosts(questions, answers)
        else:
            self._take_addresses(questions, answers)

    # --- first question -------------------------------------------------------------------------------------

    def _start(self, host: str, port: int | None, transport: str) -> None:
        default = self._default_transport()
        if is_numeric(host):
            # 4.1: "If no transport protocol is specified, but the TARGET is a numeric IP address, the client
            # SHOULD use UDP for a SIP URI"
            chosen = transport or default
            self.targets = (Target(chosen, host, port or TRANSPORTS[chosen].default_port),)
        elif port is not None:
            # 4.1: "Similarly, if no transport protocol is specified, and the TARGET is not numeric, but an
            # explicit port is provided, the client SHOULD use UDP for a SIP URI". 4.2: "If the TARGET was not
            # a numeric IP address, but a port is present in the URI, the client performs an A or AAAA record
            # lookup".
            self._ask_addresses([(transport or default, host, port)])
        elif transport:
            self._ask_services([(transport, SRV_PREFIXES[transport] + host)] if transport in SRV_PREFIXES else [])
        else:
            # 4.1: "Otherwise, if no transport protocol or port is specified, and the target is not a numeric
            # IP address, the client SHOULD perform a NAPTR query for the domain in the URI."
            self.questions = (Question(host, "NAPTR"),)

    def _default_transport(self) -> str:
        return "udp" if "udp" in self._transports else self._transports[0]

    # --- NAPTR ----------------------------------------------------------------------------------------------

    def _take_services(self, answers: Sequence[Answer]) -> None:
        records = [r for answer in answers if not isinstance(answer, str) for r in answer if isinstance(r, Naptr)]
        records.sort(key=lambda r: (r.order, r.preference))
        services: list[tuple[str, str]] = []
        for record in records:
            # 4.1: "First, a client resolving a SIP URI MUST discard any services that do not contain "SIP"
            # ..."; those for transports that we do not have are of no use either.
            transport = NAPTR_SERVICES.get(record.service.upper(), "")
            name = record.replacement.rstrip(".").lower()
            if record.flags.lower() == "s" and transport in self._transports and name:
                services.append((transport, name))
        if not services:
            # 4.1: "If no NAPTR records are found, the client constructs SRV queries for those transport
            # protocols it supports, and does a query for each."
            services = [
                (transport, SRV_PREFIXES[transport] + self._host)
                for transport in self._transports
                if transport in SRV_PREFIXES and not TRANSPORTS[transport].secure
            ]
        self._ask_services(services)

    # --- SRV ------------------------------------------------------------------------------------------------

    def _ask_services(self, services: Sequence[tuple[str, str]]) -> None:
        if not services:
            self._ask_default()
            return
        self._services = [(transport, name, 0) for transport, name in services[:MAX_SERVICES]]
        self.questions = tuple(Question(name, "SRV") for _, name, _ in self._services)

    def _take_hosts(self, questions: Sequence[Question], answers: Sequence[Answer]) -> None:
        hosts: list[tuple[str, str, int]] = []
        refused = False
        for (transport, _, _), answer in zip(self._services, answers, strict=True):
            records = [] if isinstance(answer, str) else [r for r in answer if isinstance(r, Srv)]
            for record in weighted_order(records, self._random):
                name = record.target.rstrip(".").lower()
                if not name:
                    # RFC 2782: 'A Target of "." means that the service is decidedly not available at this
                    # domain.'
                    refused = True
                elif 0 < record.port < 65536:
                    hosts.append((transport, name, record.port))
        if hosts:
            self._ask_addresses(hosts[:MAX_HOSTS])
        elif refused:
            self.problems.append(f"{questions[0].name} says that the service is not available")
        else:
            # 4.2: "If no SRV records were found, the client performs an A or AAAA record lookup of the domain
            # name."
            self._ask_default()

    # --- A, AAAA --------------------------------------------------------------------------------------------

    def _ask_default(self) -> None:
        transport = self._wanted or self._default_transport()
        self._ask_addresses([(transport, self._host, TRANSPORTS[transport].default_port)])

    def _ask_addresses(self, hosts: list[tuple[str, str, int]]) -> None:
        self._services = hosts
        names = dict.fromkeys(host for _, host, _ in hosts if not is_numeric(host))
        self.questions = tuple(Question(name, kind) for name in names for kind in self._families)
        if not self.questions:
            self._take_addresses((), ())

    def _take_addresses(self, questions: Sequence[Question], answers: Sequence[Answer]) -> None:
        addresses: dict[str, list[str]] = {}
        for question, answer in zip(questions, answers, strict=True):
            if not isinstance(answer, str):
                addresses.setdefault(question.name, []).extend(a for a in answer if isinstance(a, str))
        targets: dict[Target, None] = {}
        for transport, host, port in self._services:
            for address in addresses.get(host, [host] if is_numeric(host) else []):
                targets[Target(transport, address, port)] = None
        self.targets = tuple(targets)[:MAX_TARGETS]
        if not targets:
            self.problems.append(f"{self._host} has no address")


def weighted_order(records: Sequence[Srv], random: Callable[[], float]) -> list[Srv]:
    """RFC 2782: by priority; within one, each drawn with a probability in proportion to its weight."""
    ordered: list[Srv] = []
    for priority in sorted({record.priority for record in records}):
        # "To select a target to be contacted next, arrange all SRV RRs (that have not been ordered yet) in
        # any order, except that all those with weight 0 are placed at the beginning of the list."
        waiting = sorted((r for r in records if r.priority == priority), key=lambda r: r.weight > 0)
        while waiting:
            # "choose a uniform random number between 0 and the sum computed (inclusive), and select the RR
            # whose running sum value is the first in the selected order which is greater than or equal to the
            # random number"
            drawn = int(random() * (sum(r.weight for r in waiting) + 1))
            running = 0
            for index, record in enumerate(waiting):
                running += record.weight
                if running >= drawn:
                    ordered.append(waiting.pop(index))
                    break
    return ordered
