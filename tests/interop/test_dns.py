"""Trunks by name (RFC 3263): the running switch asks a name server of the test's, and calls whom the records name.

pbx.test  NAPTR  _sip._udp.pbx.test  SRV  a.pbx.test:port  A  127.0.0.31
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from harness.caller import Caller
from harness.cases import CALLED, CALLERS
from harness.nameserver import NEVER, Asked, NameServer
from harness.ports import free_ports
from harness.sipp import Sipp
from harness.switch import Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

OTHER = "127.0.0.32"
# Seconds for each round of a look-up (NAPTR, SRV, addresses), where the server never answers.
DNS_TIMEOUT = 2.0
ROUNDS = 3
# A call that needs no DNS, on a machine with better things to do; it takes a few milliseconds.
AT_ONCE = 1.0

SETTINGS = """
sip:
  qualify: {{interval: none}}
  dns_timeout: {dns_timeout:g}s
trunks:
  callers:
    inbound: {{addresses: [{callers}]}}
    context: out
  named:
    gateways: [{gateways}]
    options_interval: none
  other:
    gateways: [other.test]
    options_interval: none
dialplan:
  out:
    routes:
      - {{to: "900", dial: {{trunk: named}}}}
      - {{to: "901", dial: {{trunk: other}}}}
      - {{to: "800", answer_and_echo: true}}
"""

Records = dict[str, list[tuple[str, str]]]


def switch_asking(directory: Path, server: NameServer, gateways: str = "pbx.test", dns_timeout: float = 5.0) -> Switch:
    extra = SETTINGS.format(callers=CALLERS, gateways=gateways, dns_timeout=dns_timeout)
    return Switch(directory, extra=extra, nameserver=server.address)


def caller_of(switch: Switch) -> Caller:
    return Caller(CALLERS, (switch.host, switch.port))


def call_900(switch: Switch, directory: Path, receive_timeout: float = 10.0) -> Sipp:
    place = (CALLERS, free_ports(1, CALLERS))
    words = ("-d", "300")
    return Sipp(
        directory, "uac_call", place, switch.address, service="900", receive_timeout=receive_timeout, options=words
    )


def services(transport: str, *hosts: tuple[int, int, int, str], domain: str = "pbx.test") -> Records:
    """NAPTR and SRV of a domain with hosts (priority, weight, port, host address), each with a name and an A of its
    own."""
    service = {"udp": "SIP+D2U", "tcp": "SIP+D2T"}[transport]
    records: Records = {
        domain: [("NAPTR", f'10 10 "s" "{service}" "" _sip._{transport}.{domain}.')],
        f"_sip._{transport}.{domain}": [],
    }
    for number, (priority, weight, port, address) in enumerate(hosts):
        name = f"host{number}.{domain}"
        records[f"_sip._{transport}.{domain}"].append(("SRV", f"{priority} {weight} {port} {name}."))
        records[name] = [("A", address)]
    return records


def calls_taken(gateway: Sipp) -> int:
    """How many different calls a SIPp was sent."""
    return len(set(re.findall(r"^INVITE .*?^Call-ID: (\S+)", gateway.messages(), re.M | re.S)))


def test_naptr_chooses_the_transport_srv_the_port_and_a_the_address(tmp_path: Path) -> None:
    """RFC 3263 4.1, 4.2: TCP comes first by NAPTR order, though UDP is what a name without records would get. The
    answers hold for a second call."""
    port = free_ports(1, OTHER)
    naptr = [
        ("NAPTR", '20 10 "s" "SIP+D2U" "" _sip._udp.pbx.test.'),
        ("NAPTR", '10 10 "s" "SIP+D2T" "" _sip._tcp.pbx.test.'),
        ("NAPTR", '5 10 "s" "E2U+email" "" mail.test.'),
    ]
    srv = [("SRV", f"10 10 {port} gw.elsewhere.test.")]
    records = {"pbx.test": naptr, "_sip._tcp.pbx.test": srv, "gw.elsewhere.test": [("A", OTHER)]}
    with NameServer(records) as server, switch_asking(tmp_path, server) as switch:
        called = Sipp(tmp_path, "uas_call", (OTHER, port), transport="tcp", calls=2)
        call_900(switch, tmp_path).finish()
        asked = server.asked()
        assert asked[0] == Asked("pbx.test", "NAPTR")
        assert {Asked("_sip._tcp.pbx.test", "SRV"), Asked("gw.elsewhere.test", "A")} <= set(asked)
        assert "mail.test" not in {each.name for each in asked}
        call_900(switch, tmp_path).finish()
        called.finish()
        assert server.asked() == asked


def test_a_name_with_an_address_alone_is_called_on_the_port_that_is_written(tmp_path: Path) -> None:
    """RFC 3263 4.2: with a port there is nothing to ask but the address."""
    port = free_ports(1, CALLED)
    with (
        NameServer({"pbx.test": [("A", CALLED)]}) as server,
        switch_asking(tmp_path, server, f"pbx.test:{port}") as switch,
    ):
        called = Sipp(tmp_path, "uas_call", (CALLED, port))
        call_900(switch, tmp_path).finish()
        called.finish()
        assert {each.kind for each in server.asked()} <= {"A", "AAAA"}


@pytest.mark.parametrize(("transport", "silent"), [("udp", False), ("tcp", False), ("udp", True)])
def test_where_the_first_host_is_dead_the_second_is_called(tmp_path: Path, transport: str, silent: bool) -> None:
    """RFC 3263 4.3: the host of priority 10 refuses (ICMP, RST), or says nothing for the 4 s that a target has while
    there are others; the next call goes to the second at once."""
    first, second = free_ports(1, CALLED), free_ports(1, OTHER)
    records = services(transport, (20, 0, second, OTHER), (10, 0, first, CALLED))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as never_read,
        NameServer(records) as server,
        switch_asking(tmp_path, server) as switch,
        caller_of(switch) as caller,
    ):
        if silent:
            never_read.bind((CALLED, first))
        called = Sipp(tmp_path, "uas_call", (OTHER, second), transport=transport, calls=2)
        attempts = [caller.finish(caller.call("900")), caller.finish(caller.call("900"))]
        assert [attempt.status for attempt in attempts] == [200, 200]
        assert (attempts[0].seconds > 3.9) == silent
        assert attempts[0].seconds < 4 + AT_ONCE
        assert attempts[1].seconds < AT_ONCE
        for attempt in attempts:
            caller.hang_up(attempt)
        called.finish()


def test_where_the_first_host_answers_503_the_second_is_called(tmp_path: Path) -> None:
    """RFC 3263 4.3 names 503 beside the failures of the transport."""
    first, second = free_ports(1, CALLED), free_ports(1, OTHER)
    records = services("udp", (20, 0, second, OTHER), (10, 0, first, CALLED))
    with NameServer(records) as server, switch_asking(tmp_path, server) as switch:
        refusing = Sipp(tmp_path, "uas_503", (CALLED, first))
        called = Sipp(tmp_path, "uas_call", (OTHER, second))
        call_900(switch, tmp_path).finish()
        refusing.finish()
        called.finish()


def test_hosts_of_one_priority_share_the_calls_by_weight(tmp_path: Path) -> None:
    """RFC 2782: 60 calls over weights 80 and 20 of one priority, and none for the priority behind. Fewer than 31 of the
    60 for the first, or none for the second, come once in 100,000 runs."""
    ports = [free_ports(1, CALLED) for _ in range(3)]
    records = services("udp", (5, 20, ports[0], CALLED), (5, 80, ports[1], CALLED), (6, 100, ports[2], CALLED))
    with NameServer(records) as server, switch_asking(tmp_path, server) as switch:
        fifth, most, none = [Sipp(tmp_path, "uas_call", (CALLED, port), calls=1000) for port in ports]
        with caller_of(switch) as caller:
            for _ in range(60):
                attempt = caller.finish(caller.call("900"))
                assert attempt.status == 200
                caller.hang_up(attempt)
        switch.wait_calls(0)
        wait_for(lambda: calls_taken(fifth) + calls_taken(most) == 60, "60 calls in the logs")
        assert calls_taken(none) == 0
        assert calls_taken(most) > calls_taken(fifth) > 0
        assert len(server.asked("_sip._udp.pbx.test")) == 1


def test_a_name_that_does_not_exist_fails_the_call_at_once(tmp_path: Path) -> None:
    """503 and, in the record, the cause "network out of order"; a gateway behind it is called instead."""
    port = free_ports(1, CALLED)
    with NameServer({}) as server, switch_asking(tmp_path, server) as switch:
        with caller_of(switch) as caller:
            attempt = caller.finish(caller.call("900"))
        assert (attempt.status, attempt.reason) == (503, "Service Unavailable")
        assert attempt.seconds < AT_ONCE
        (record,) = wait_for(switch.cdrs, "a record")
        assert (record["status"], record["ended_by"]) == ("503", "switch")
        gateways = f"{{host: pbx.test, priority: 0}}, {{host: {CALLED}, port: {port}, priority: 1}}"
        switch.write("interop.yaml", SETTINGS.format(callers=CALLERS, gateways=gateways, dns_timeout=5))
        switch.run_here("reload", "--config", str(switch.config))
        called = Sipp(tmp_path, "uas_call", (CALLED, port))
        call_900(switch, tmp_path).finish()
        called.finish()


@pytest.mark.parametrize(
    ("slow_name", "delay", "dns_timeout"),
    [("host0.pbx.test", 3.0, 5.0), ("pbx.test", NEVER, DNS_TIMEOUT)],
    ids=["after 3 s", "never"],
)
def test_a_slow_name_server_delays_nobody_else(
    tmp_path: Path, slow_name: str, delay: float, dns_timeout: float
) -> None:
    """While a trunk's name is looked up, calls that need no DNS and calls to a name that is answered are set up as fast
    as ever, and a caller can give up. The slow call itself is connected once the answers are there, refused with 503
    when none came."""
    slow, quick = free_ports(1, CALLED), free_ports(1, OTHER)
    records = {
        **services("udp", (10, 0, slow, CALLED)),
        **services("udp", (10, 0, quick, OTHER), domain="other.test"),
    }
    with (
        NameServer(records, {slow_name: delay}) as server,
        switch_asking(tmp_path, server, dns_timeout=dns_timeout) as switch,
        caller_of(switch) as caller,
    ):
        called = Sipp(tmp_path, "uas_call", (CALLED, slow), calls=1000)
        other = Sipp(tmp_path, "uas_call", (OTHER, quick), calls=1000)
        waiting, given_up = caller.call("900"), caller.call("900")
        wait_for(lambda: server.asked(slow_name), "the question")
        for number in ("800", "901") * 10:
            attempt = caller.finish(caller.call(number))
            assert (attempt.status, attempt.seconds < AT_ONCE) == (200, True), attempt
            caller.hang_up(attempt)
        assert (waiting.status, given_up.status) == (0, 0)
        caller.cancel(given_up)
        assert caller.finish(given_up).status == 487
        caller.finish(waiting, ROUNDS * dns_timeout + 5)
        assert waiting.answers[0][1] == 100
        assert waiting.answers[0][0] < AT_ONCE
        if delay is NEVER:
            assert (waiting.status, waiting.reason) == (503, "Service Unavailable")
            assert waiting.seconds < ROUNDS * dns_timeout + AT_ONCE
        else:
            assert waiting.status == 200
            assert delay - 0.1 < waiting.seconds < delay + AT_ONCE
            caller.hang_up(waiting)
        switch.wait_calls(0)
        wait_for(lambda: calls_taken(other) == 10, "ten calls at the other trunk")
        assert calls_taken(called) == (0 if delay is NEVER else 1)
