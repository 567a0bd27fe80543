"""The DNS for `locate`: dnspython's asyncio resolver, with a cache, a time limit and bounds on what is believed.

Nothing here blocks the loop, and nothing raises for what a server says: an answer that is no good is a str that says
why. Names of the hosts file are answered from it, also where there is no network at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
import msgspec

from sip.locate import Answer, Naptr, Question, Srv, is_numeric

# Records of one answer that are used: a zone with thousands is an attack or a mistake.
MAX_RECORDS: Final = 16
# Seconds an answer may be kept, whatever its TTL says.
MIN_TTL: Final = 1.0
MAX_TTL: Final = 3_600.0
# Used without a resolv.conf, as the C library does.
DEFAULT_NAMESERVER: Final = "127.0.0.1"
HOSTS_FILE: Final = Path("/etc/hosts")
# A hosts file longer than this is not one; bytes.
MAX_HOSTS_FILE: Final = 1 << 20


class DnsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of look-ups."""

    nameservers: tuple[str, ...] = ()  # addresses; empty: those of resolv.conf
    port: int = 53
    lifetime: float = 3.0  # seconds for the questions of one round: NAPTR, SRV, addresses
    no_record_ttl: float = 30.0  # seconds for which a name without records is remembered
    failure_ttl: float = 5.0  # seconds for which a failure is: a dead server must not be asked for every call
    max_cached: int = 4_096  # answers
    max_asking: int = 256  # questions on the way at once; more are answered as failed


class DnsClient:
    """Answers questions. `clock`: monotonic seconds, for the cache."""

    def __init__(
        self,
        clock: Callable[[], float],
        settings: DnsSettings | None = None,
        hosts: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._clock = clock
        self._settings = settings or DnsSettings()
        self._hosts = read_hosts() if hosts is None else hosts
        self._cache: dict[Question, tuple[float, Answer]] = {}
        self._asking: dict[Question, asyncio.Task[Answer]] = {}
        self._resolver = _make_resolver(self._settings)

    def known(self, questions: Sequence[Question]) -> tuple[Answer, ...] | None:
        """The answers, if all are known without asking anyone."""
        answers: list[Answer] = []
        for question in questions:
            answer = self._known(question)
            if answer is None:
                return None
            answers.append(answer)
        return tuple(answers)

    async def ask(self, questions: Sequence[Question]) -> tuple[Answer, ...]:
        """The answers in the order of the questions, after `lifetime` seconds at the latest."""
        tasks: dict[Question, asyncio.Task[Answer]] = {}
        answers: dict[Question, Answer] = {}
        for question in questions:
            known = self._known(question)
            if known is not None:
                answers[question] = known
            elif question in self._asking:
                tasks[question] = self._asking[question]
            elif len(self._asking) >= self._settings.max_asking:
                answers[question] = "too many look-ups at once"
            else:
                tasks[question] = self._begin(question)
        if tasks:
            # Not gather: a look-up that is given up must not cancel what others wait for.
            await asyncio.wait(tasks.values(), timeout=self._settings.lifetime)
        for question, task in tasks.items():
            answers[question] = task.result() if task.done() and not task.cancelled() else "no answer in time"
        return tuple(answers[question] for question in questions)

    async def close(self) -> None:
        """Give up what is on its way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- private ------------------------------------------------------------------------------------------------

    def _known(self, question: Question) -> Answer | None:
        local = self._from_hosts(question)
        if local is not None:
            return local
        cached = self._cache.get(question)
        if cached is None:
            return None
        if cached[0] <= self._clock():
            del self._cache[question]
            return None
        return cached[1]

    def _from_hosts(self, question: Question) -> Answer | None:
        # A name of the hosts file has no services; asking for them would take the network it is to do without.
        name = question.name
        for prefix in ("_sip._udp.", "_sip._tcp.", "_sips._tcp."):
            name = name.removeprefix(prefix)
        addresses = self._hosts.get(name)
        if addresses is None:
            return None
        if question.kind == "A":
            return tuple([a for a in addresses if ":" not in a])
        if question.kind == "AAAA":
            return tuple([a for a in addresses if ":" in a])
        return ()

    def _begin(self, question: Question) -> asyncio.Task[Answer]:
        task = asyncio.get_running_loop().create_task(self._ask(question))
        self._asking[question] = task
        task.add_done_callback(lambda _: self._asking.pop(question, None))
        return task

    async def _ask(self, question: Question) -> Answer:
        settings = self._settings
        answer: Answer
        try:
            result = await self._resolver.resolve(
                question.name,
                question.kind,
                lifetime=settings.lifetime,
                raise_on_no_answer=False,
                search=False,
            )
            answer, ttl = _read(result, question.kind)
            if not answer:
                ttl = settings.no_record_ttl
        except dns.resolver.NXDOMAIN:
            answer, ttl = (), settings.no_record_ttl
        except dns.exception.Timeout:
            answer, ttl = "no answer in time", settings.failure_ttl
        except (dns.exception.DNSException, OSError, ValueError) as error:
            # ValueError: a name that IDNA can't write. The text of dnspython's errors names servers, not secrets.
            answer, ttl = (str(error) or type(error).__name__)[:200], settings.failure_ttl
        self._keep(question, answer, ttl)
        return answer

    def _keep(self, question: Question, answer: Answer, ttl: float) -> None:
        cache = self._cache
        cache.pop(question, None)
        while len(cache) >= self._settings.max_cached:
            del cache[next(iter(cache))]
        cache[question] = (self._clock() + min(max(ttl, MIN_TTL), MAX_TTL), answer)


def read_hosts(path: Path = HOSTS_FILE) -> dict[str, tuple[str, ...]]:
    """Names, in lower case, and their addresses. localhost is always there (RFC 6761 6.3). Read once, at start."""
    names: dict[str, list[str]] = {}
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_HOSTS_FILE)
    except OSError:
        text = ""  # there need not be one
    for line in text.splitlines():
        address, *aliases = line.partition("#")[0].split() or [""]
        if is_numeric(address):
            for alias in aliases:
                known = names.setdefault(alias.lower().rstrip("."), [])
                if address not in known:
                    known.append(address)
    names.setdefault("localhost", ["127.0.0.1", "::1"])
    return {name: tuple(addresses[:MAX_RECORDS]) for name, addresses in names.items()}


def _make_resolver(settings: DnsSettings) -> dns.asyncresolver.Resolver:
    nameservers = list(settings.nameservers)
    if nameservers:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = nameservers
        resolver.port = settings.port
    else:
        try:
            resolver = dns.asyncresolver.Resolver()
        except (dns.resolver.NoResolverConfiguration, OSError):
            resolver = dns.asyncresolver.Resolver(configure=False)
            resolver.nameservers = [DEFAULT_NAMESERVER]
    # Half of the time for one server, so that there is some left for the next.
    resolver.timeout = settings.lifetime / 2
    resolver.lifetime = settings.lifetime
    return resolver


def _read(result: dns.resolver.Answer, kind: str) -> tuple[Answer, float]:
    """The records as `locate` takes them, and how long they hold."""
    rrset = result.rrset
    if rrset is None:
        return (), 0.0
    records: list[Any] = list(rrset)[:MAX_RECORDS]
    ttl = float(rrset.ttl)
    if kind == "NAPTR":
        return tuple([_naptr(record) for record in records]), ttl
    if kind == "SRV":
        return tuple([Srv(r.priority, r.weight, r.port, _name(r.target)) for r in records]), ttl
    return tuple([str(record.address) for record in records]), ttl


def _naptr(record: Any) -> Naptr:
    return Naptr(
        record.order,
        record.preference,
        record.flags.decode("ascii", "replace"),
        record.service.decode("ascii", "replace"),
        _name(record.replacement),
    )


def _name(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True) if name != dns.name.root else ""
