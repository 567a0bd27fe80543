"""Outbound registration: RFC 3261 10.2, back-off by RFC 5626 4.5."""

from __future__ import annotations

import msgspec
import pytest

from sip.ids import Ids
from sip.message import Response
from softswitch.trunk_registration import (
    MAX_EXPIRES,
    MAX_RETRY_AFTER,
    RegistrationState,
    SendRegister,
    TrunkRegistrationConfig,
    TrunkRegistrations,
)

CONFIG = TrunkRegistrationConfig(
    trunk="carrier",
    registrar="sip:provider.example",
    aor="sip:4930555@provider.example",
    username="u4930555",
    password="secret",
    contact_user="4930555",
)


def response(send: SendRegister, status: int, *headers: tuple[str, str], cseq: int | None = None) -> Response:
    sent = int(dict(send.headers)["CSeq"].split()[0])
    return Response(status, None, [("CSeq", f"{cseq or sent} REGISTER"), *headers])


class Bench:
    """Machines of trunks, one of them under test, and the time."""

    def __init__(self, config: TrunkRegistrationConfig = CONFIG) -> None:
        self.trunks = TrunkRegistrations(Ids(7))
        self.now = 0.0
        self.trunks.configure([config], self.now)

    def next(self) -> SendRegister:
        """The next REGISTER; the time moves there."""
        deadline = self.trunks.next_deadline()
        assert deadline is not None
        self.now = max(self.now, deadline)
        (send,) = self.trunks.due(self.now)
        return send

    def answer(self, send: SendRegister, status: int, *headers: tuple[str, str], cseq: int | None = None) -> None:
        self.trunks.answered(send, response(send, status, *headers, cseq=cseq), self.now)

    @property
    def state(self) -> RegistrationState:
        (line,) = self.trunks.status(self.now)
        return line.state

    @property
    def wait(self) -> float:
        deadline = self.trunks.next_deadline()
        assert deadline is not None
        return deadline - self.now


def header(send: SendRegister, name: str) -> str | None:
    return dict(send.headers).get(name)


def test_the_register_that_goes_out() -> None:
    """RFC 3261 10.2: To and From the address of record, Request-URI the registrar; lifetime in Expires."""
    send = Bench().next()
    assert (send.trunk, send.registrar, send.contact_user) == ("carrier", "sip:provider.example", "4930555")
    assert header(send, "To") == header(send, "From") == "<sip:4930555@provider.example>"
    assert (header(send, "CSeq"), header(send, "Expires"), header(send, "Route")) == ("1 REGISTER", "3600", None)
    assert (send.credentials.username, send.credentials.password) == ("u4930555", "secret")


def test_an_outbound_proxy_is_a_loose_route() -> None:
    send = Bench(msgspec.structs.replace(CONFIG, outbound_proxy="sip:proxy.example:5070")).next()
    assert header(send, "Route") == "<sip:proxy.example:5070;lr>"


def test_registered_and_refreshed_before_it_ends() -> None:
    bench = Bench()
    bench.answer(bench.next(), 200, ("Contact", "<sip:4930555@192.0.2.1:5060>;expires=600"))
    assert bench.state is RegistrationState.REGISTERED
    assert 600.0 - 90.0 <= bench.wait <= 600.0 - 60.0
    (line,) = bench.trunks.status(bench.now)
    assert line.expires_in == 600.0


def test_rfc3261_10_2_one_call_id_and_cseq_counts_up() -> None:
    """10.2: same Call-ID for all registrations to one registrar, CSeq incremented."""
    bench = Bench()
    first = bench.next()
    # the user agent's own retry with credentials took a number
    bench.answer(first, 200, ("Expires", "120"), cseq=2)
    second = bench.next()
    assert header(second, "Call-ID") == header(first, "Call-ID")
    assert header(second, "CSeq") == "3 REGISTER"
    bench.trunks.failed(second, "timeout", bench.now)
    third = header(bench.next(), "CSeq")
    assert third is not None
    assert int(third.split()[0]) > 5


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ((("Contact", "<sip:4930555@192.0.2.1>;expires=100, <sip:other@192.0.2.2>;expires=9000"),), 100.0),
        ((("Contact", "<sip:4930555@10.0.0.1>;expires=50, <sip:4930555@192.0.2.1>;expires=300"),), 300.0),
        ((("Expires", "200"),), 200.0),
        ((("Contact", "<sip:4930555@192.0.2.1>"), ("Expires", "150")), 150.0),
        ((), 3600.0),
        ((("Expires", "1"),), 10.0),
        ((("Expires", "999999999"),), float(MAX_EXPIRES)),
        ((("Expires", "soon"),), 3600.0),
    ],
)
def test_the_lifetime_that_was_granted(headers: tuple[tuple[str, str], ...], granted: float) -> None:
    bench = Bench()
    bench.answer(bench.next(), 200, *headers)
    (line,) = bench.trunks.status(bench.now)
    assert line.expires_in == granted
    assert 0.0 < bench.wait < granted


def test_a_200_that_cannot_be_read_is_still_a_grant() -> None:
    bench = Bench()
    bench.answer(bench.next(), 200, ("Contact", "<<<"), ("Expires", "300"))
    assert bench.state is RegistrationState.REGISTERED


def test_rfc3261_10_2_8_423_asks_again_at_once_with_min_expires() -> None:
    bench = Bench(msgspec.structs.replace(CONFIG, expires=60))
    bench.answer(bench.next(), 423, ("Min-Expires", "1800"))
    assert bench.wait == 0.0
    again = bench.next()
    assert header(again, "Expires") == "1800"
    bench.answer(again, 200)
    assert bench.state is RegistrationState.REGISTERED


def test_423_without_sense_backs_off() -> None:
    for headers in ((), (("Min-Expires", "10"),), (("Min-Expires", "99999999"),), (("Min-Expires", "x"),)):
        bench = Bench()
        bench.answer(bench.next(), 423, *headers)
        assert bench.state is RegistrationState.RETRYING
    bench = Bench(msgspec.structs.replace(CONFIG, expires=60))
    for step in range(2):
        bench.answer(bench.next(), 423, ("Min-Expires", str(100 + step)))
        assert bench.wait == 0.0
    bench.answer(bench.next(), 423, ("Min-Expires", "1000"))
    assert bench.wait >= 15.0


def test_rfc5626_4_5_back_off_doubles_is_jittered_and_capped() -> None:
    """4.5: a random time between 50 and 100% of min(max-time, base-time * 2^failures)."""
    bench = Bench()
    waits = []
    for failure in range(12):
        bench.trunks.failed(bench.next(), "timeout", bench.now)
        bound = min(1800.0, 30.0 * 2.0**failure)
        assert bound / 2 <= bench.wait <= bound
        waits.append(bench.wait / bound)
    assert len({round(share, 6) for share in waits}) > 6
    assert bench.state is RegistrationState.RETRYING
    # a run of failures is told once
    assert [change.state for change in bench.trunks.changes] == [
        RegistrationState.REGISTERING,
        RegistrationState.RETRYING,
    ]
    bench.answer(bench.next(), 200)
    bench.now += 1.0
    bench.trunks.failed(bench.next(), "timeout", bench.now)
    assert bench.wait <= 30.0


def test_retry_after_is_obeyed_within_bounds() -> None:
    """RFC 3261 20.33."""
    for value, least, most in (
        ("600", 600.0, 600.0),
        ("600 (busy);duration=9", 600.0, 600.0),
        ("99999999", 0, MAX_RETRY_AFTER),
    ):
        bench = Bench()
        bench.answer(bench.next(), 503, ("Retry-After", value))
        assert least <= bench.wait <= most


@pytest.mark.parametrize("status", [401, 403, 404, 407])
def test_refused_credentials_stop_the_hammering(status: int) -> None:
    bench = Bench()
    bench.answer(bench.next(), status)
    assert bench.state is RegistrationState.REJECTED
    for _ in range(3):
        assert 3240.0 <= bench.wait <= 3960.0
        bench.answer(bench.next(), status)
    told = [change for change in bench.trunks.changes if change.state is RegistrationState.REJECTED]
    assert [change.status for change in told] == [status]


def test_an_answer_that_never_comes_is_a_failure() -> None:
    bench = Bench()
    bench.next()
    assert bench.wait == 40.0
    assert bench.trunks.due(bench.now + 40.0) == []
    assert bench.state is RegistrationState.RETRYING


def test_late_answers_are_ignored() -> None:
    bench = Bench()
    first = bench.next()
    bench.trunks.failed(first, "timeout", bench.now)
    bench.answer(first, 200)
    bench.trunks.failed(first, "timeout", bench.now)
    assert bench.state is RegistrationState.RETRYING
    second = bench.next()
    bench.answer(first, 403)
    bench.answer(second, 200)
    assert bench.state is RegistrationState.REGISTERED


def test_rfc3261_10_2_2_unregister_at_shutdown() -> None:
    """10.2.2: a binding is removed by an expiration interval of zero."""
    bench = Bench()
    bench.answer(bench.next(), 200)
    bench.trunks.stop(bench.now)
    assert not bench.trunks.stopped()
    send = bench.next()
    assert header(send, "Expires") == "0"
    bench.answer(send, 200)
    assert bench.trunks.stopped()
    assert (bench.trunks.next_deadline(), bench.trunks.due(1e9)) == (None, [])


def test_shutdown_does_not_wait_for_a_registrar_that_is_silent() -> None:
    bench = Bench()
    bench.answer(bench.next(), 200)
    bench.trunks.stop(bench.now)
    bench.trunks.failed(bench.next(), "timeout", bench.now)
    assert bench.trunks.stopped()


def test_rfc3261_10_2_no_second_register_before_the_first_is_answered() -> None:
    """10.2: "UAs MUST NOT send a new registration ... until they have received a final response"."""
    bench = Bench()
    send = bench.next()
    bench.trunks.stop(bench.now)
    assert bench.trunks.due(bench.now) == []
    bench.answer(send, 200)
    assert header(bench.next(), "Expires") == "0"


def test_stopping_what_never_registered_is_instant() -> None:
    bench = Bench()
    bench.trunks.stop(bench.now)
    assert bench.trunks.stopped()
    bench = Bench()
    bench.answer(bench.next(), 403)
    bench.trunks.stop(bench.now)
    assert bench.trunks.stopped()


def test_reload_leaves_the_unchanged_alone_and_moves_the_changed() -> None:
    bench = Bench()
    bench.answer(bench.next(), 200)
    bench.trunks.configure([msgspec.structs.replace(CONFIG)], bench.now)
    assert bench.state is RegistrationState.REGISTERED
    changed = msgspec.structs.replace(CONFIG, password="other")
    bench.trunks.configure([changed], bench.now)
    bench.now += 2.0
    sends = bench.trunks.due(bench.now)
    assert {(header(send, "Expires"), send.credentials.password) for send in sends} == {
        ("0", "secret"),
        ("3600", "other"),
    }
    for send in sends:
        bench.answer(send, 200)
    assert bench.state is RegistrationState.REGISTERED
    bench.trunks.configure([], bench.now)
    bench.answer(bench.next(), 200)
    assert bench.trunks.stopped()


def test_a_broken_flow_registers_again_soon() -> None:
    bench = Bench()
    bench.answer(bench.next(), 200)
    bench.trunks.retry_now("carrier", bench.now)
    bench.trunks.retry_now("unknown", bench.now)
    assert bench.wait <= 1.0


def test_secrets_are_not_printed() -> None:
    send = Bench().next()
    for value in (CONFIG, send, send.credentials):
        assert "secret" not in repr(value)
