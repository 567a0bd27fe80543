"""The DNS client against a server of ours on the loopback address."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
import pytest

from sip.aio import dns as client
from sip.aio.dns import DnsClient, DnsSettings, read_hosts
from sip.locate import Naptr, Question, Srv

Zone = dict[tuple[str, str], list[str]]


class Server(asyncio.DatagramProtocol):
    """Answers from `zone`; names under "silent." not at all, those under "broken." with SERVFAIL."""

    def __init__(self) -> None:
        self.zone: Zone = {}
        self.ttl = 300
        self.asked: list[tuple[str, str]] = []
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((kind, name))
        if name.endswith("silent.test"):
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        records = self.zone.get((kind, name))
        if name.endswith("broken.test"):
            response.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            response.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", kind, *records))
        elif not any(known == name for _, known in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        assert self.transport is not None
        self.transport.sendto(response.to_wire(max_size=65_535), addr)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    yield protocol
    transport.close()


Make = Callable[..., DnsClient]


@pytest.fixture
async def make(server: Server) -> AsyncIterator[Make]:
    made: list[DnsClient] = []

    def build(clock: Callable[[], float] = time.monotonic, **settings: object) -> DnsClient:
        assert server.transport is not None
        port = server.transport.get_extra_info("sockname")[1]
        chosen = DnsSettings(nameservers=("127.0.0.1",), port=port, **{"lifetime": 1.0, **settings})  # type: ignore[arg-type]
        made.append(DnsClient(clock, chosen, hosts={"phone.local": ("192.0.2.5", "2001:db8::5")}))
        return made[-1]

    yield build
    for each in made:
        await each.close()


async def test_every_kind_of_record_comes_as_locate_takes_it(server: Server, make: Make) -> None:
    server.zone = {
        ("NAPTR", "example.test"): ['50 10 "s" "SIP+D2U" "" _sip._udp.example.test.'],
        ("SRV", "_sip._udp.example.test"): ["10 20 5071 h.example.test."],
        ("A", "h.example.test"): ["192.0.2.1", "192.0.2.2"],
        ("AAAA", "h.example.test"): ["2001:db8::1"],
    }
    answers = await make().ask(
        [
            Question("example.test", "NAPTR"),
            Question("_sip._udp.example.test", "SRV"),
            Question("h.example.test", "A"),
            Question("h.example.test", "AAAA"),
            Question("nothing.test", "A"),
            Question("example.test", "A"),
        ]
    )
    assert answers[0] == (Naptr(50, 10, "s", "SIP+D2U", "_sip._udp.example.test"),)
    assert answers[1] == (Srv(10, 20, 5071, "h.example.test"),)
    assert set(answers[2]) == {"192.0.2.1", "192.0.2.2"}
    assert answers[3] == ("2001:db8::1",)
    assert answers[4:] == ((), ())


async def test_answers_are_kept_for_their_time(server: Server, make: Make) -> None:
    now = [0.0]
    server.zone = {("A", "h.test"): ["192.0.2.1"]}
    server.ttl = 60
    dns_client = make(lambda: now[0])
    question = [Question("h.test", "A")]
    assert dns_client.known(question) is None
    assert await dns_client.ask(question) == (("192.0.2.1",),)
    now[0] = 59.0
    assert dns_client.known(question) == (("192.0.2.1",),)
    now[0] = 61.0
    assert dns_client.known(question) is None
    assert len(server.asked) == 1


async def test_no_record_and_failures_are_kept_shortly(server: Server, make: Make) -> None:
    now = [0.0]
    dns_client = make(lambda: now[0], no_record_ttl=30.0, failure_ttl=5.0)
    nothing, broken = [Question("nothing.test", "A")], [Question("x.broken.test", "A")]
    assert await dns_client.ask(nothing) == ((),)
    (failure,) = await dns_client.ask(broken)
    assert isinstance(failure, str)
    assert failure
    now[0] = 4.0
    assert dns_client.known(nothing) == ((),)
    assert dns_client.known(broken) == (failure,)
    now[0] = 6.0
    assert dns_client.known(broken) is None
    now[0] = 31.0
    assert dns_client.known(nothing) is None


async def test_a_silent_server_costs_no_more_than_the_lifetime(make: Make) -> None:
    dns_client = make(lifetime=0.2)
    began = time.monotonic()
    answers = await dns_client.ask([Question("a.silent.test", "A"), Question("b.silent.test", "A")])
    assert time.monotonic() - began < 1.0
    assert answers == ("no answer in time", "no answer in time")


async def test_the_same_question_is_asked_once(server: Server, make: Make) -> None:
    server.zone = {("A", "h.test"): ["192.0.2.1"]}
    dns_client = make()
    question = [Question("h.test", "A")]
    answers = await asyncio.gather(*[dns_client.ask(question) for _ in range(20)])
    assert answers == [(("192.0.2.1",),)] * 20
    assert len(server.asked) == 1


async def test_a_poisoned_answer_is_bounded(server: Server, make: Make) -> None:
    server.zone = {("A", "many.test"): [f"192.0.{n // 250}.{n % 250}" for n in range(2_000)]}
    (answer,) = await make().ask([Question("many.test", "A")])
    assert len(answer) == client.MAX_RECORDS


async def test_the_cache_and_questions_on_the_way_are_bounded(make: Make) -> None:
    dns_client = make(max_cached=10, max_asking=4, lifetime=0.2)
    await dns_client.ask([Question(f"n{n}.test", "A") for n in range(4)])
    for n in range(30):
        await dns_client.ask([Question(f"m{n}.test", "A")])
    assert len(dns_client._cache) == 10
    answers = await dns_client.ask([Question(f"s{n}.silent.test", "A") for n in range(6)])
    assert answers[:4] == ("no answer in time",) * 4
    assert answers[4:] == ("too many look-ups at once",) * 2


async def test_the_hosts_file_answers_without_asking(server: Server, make: Make) -> None:
    dns_client = make()
    assert dns_client.known(
        [
            Question("phone.local", "A"),
            Question("phone.local", "AAAA"),
            Question("phone.local", "NAPTR"),
            Question("_sip._udp.phone.local", "SRV"),
        ]
    ) == (("192.0.2.5",), ("2001:db8::5",), (), ())
    assert server.asked == []


async def test_names_that_are_none_are_failures_not_exceptions(make: Make) -> None:
    answers = await make().ask([Question("a" * 70 + ".test", "A"), Question("x..y", "A")])
    assert all(isinstance(answer, str) for answer in answers)


def test_the_hosts_file_is_read_leniently(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("# comment\n192.0.2.1 Alpha beta # more\nnonsense\n2001:db8::1\talpha\n192.0.2.1 alpha\n\n")
    hosts = read_hosts(path)
    assert hosts["alpha"] == ("192.0.2.1", "2001:db8::1")
    assert hosts["beta"] == ("192.0.2.1",)
    # RFC 6761 6.3
    assert hosts["localhost"] == ("127.0.0.1", "::1")
    assert read_hosts(tmp_path / "missing") == {"localhost": ("127.0.0.1", "::1")}


async def test_without_resolv_conf_there_is_a_nameserver_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: object, path: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", missing)
    dns_client = DnsClient(time.monotonic)
    assert [str(s) for s in dns_client._resolver.nameservers] == [client.DEFAULT_NAMESERVER]
