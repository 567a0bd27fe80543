"""Client transactions alone: RFC 3261 17.1 and RFC 6026, in virtual time, without a stack."""

from __future__ import annotations

import pytest

from sip.client_transaction import (
    ClientState,
    ClientTransaction,
    InviteClientTransaction,
    NonInviteClientTransaction,
    ack_bytes,
    cancel_bytes,
    via_line,
)
from sip.effects import Flow
from sip.message import Request, Response
from sip.parser import parse
from sip.timers import TimerConfig, TimerHeap

UDP = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060), 0)
TCP = Flow("tcp", ("192.0.2.1", 5060), ("192.0.2.9", 5060), 1)


class Surroundings:
    """Records what a machine asks for."""

    def __init__(self) -> None:
        self.timers = TimerHeap()
        self.timer_config = TimerConfig()
        self.sent: list[tuple[float, bytes]] = []
        self.delivered: list[int] = []
        self.timed_out = 0
        self.cancels = 0
        self.ended = 0
        self.now = 0.0

    def transmit_request(self, transaction: ClientTransaction, data: bytes, now: float) -> None:
        self.sent.append((self.now, data))

    def deliver(self, transaction: ClientTransaction, response: Response, flow: Flow, now: float) -> None:
        self.delivered.append(response.status)

    def client_timed_out(self, transaction: ClientTransaction, now: float) -> None:
        self.timed_out += 1
        transaction.terminate()

    def send_cancel(self, transaction: ClientTransaction, now: float) -> None:
        self.cancels += 1
        transaction.cancel_sent = True

    def client_terminated(self, transaction: ClientTransaction) -> None:
        self.ended += 1

    def run(self, until: float) -> None:
        while (deadline := self.timers.next_deadline()) is not None and deadline <= until:
            self.now = deadline
            self.timers.fire_due(deadline)
        self.now = until

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.sent]


def request(method: str) -> Request:
    return Request(
        method,
        "sip:bob@biloxi.example",
        [
            ("Route", "<sip:p1.example;lr>"),
            ("Route", "<sip:p2.example;lr>, <sip:p3.example;lr>"),
            ("Max-Forwards", "70"),
            ("From", "Alice <sip:alice@atlanta.example>;tag=88sja8x"),
            ("To", "Bob <sip:bob@biloxi.example>"),
            ("Call-ID", "987asjd97y7atg"),
            ("CSeq", f"986759 {method}"),
        ],
    )


def make(method: str, flow: Flow = UDP) -> tuple[Surroundings, InviteClientTransaction | NonInviteClientTransaction]:
    around = Surroundings()
    kind = InviteClientTransaction if method == "INVITE" else NonInviteClientTransaction
    transaction = kind(around, 1, method, request(method))
    transaction.aim(flow, "z9hG4bK1", ("192.0.2.1", 5060))
    transaction.start(b"request", around.timer_config.b, 0.0)
    return around, transaction


def response(status: int) -> Response:
    return Response(status, None, [("To", "Bob <sip:bob@biloxi.example>;tag=x")])


# --- INVITE ---------------------------------------------------------------------------------------------------------


def test_17_1_1_2_timer_a_doubles_until_timer_b() -> None:
    around, transaction = make("INVITE")
    assert transaction.state is ClientState.CALLING
    around.run(31.9)
    assert around.times == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert around.timed_out == 0
    around.run(32.0)
    assert around.timed_out == 1
    assert transaction.state is ClientState.TERMINATED
    assert len(around.timers) == 0


def test_17_1_1_2_timer_a_is_not_started_over_reliable_transports() -> None:
    around, _ = make("INVITE", TCP)
    around.run(32.0)
    assert around.times == [0.0]
    assert around.timed_out == 1


def test_17_1_1_2_a_provisional_response_ends_retransmission_and_timer_b() -> None:
    around, transaction = make("INVITE")
    around.run(1.0)
    transaction.receive(response(180), UDP, 1.0)
    assert transaction.state is ClientState.PROCEEDING
    around.run(1000.0)
    assert len(around.sent) == 2
    transaction.receive(response(183), UDP, 1000.0)
    assert around.delivered == [180, 183]
    assert len(around.timers) == 0


@pytest.mark.parametrize("ringing", [False, True])
def test_17_1_1_2_a_refusal_is_acknowledged_each_time_and_told_once(ringing: bool) -> None:
    around, transaction = make("INVITE")
    if ringing:
        transaction.receive(response(180), UDP, 0.0)
    transaction.receive(response(486), UDP, 0.0)
    assert transaction.state is ClientState.COMPLETED
    assert transaction.receive(response(486), UDP, 1.0)
    assert not transaction.receive(response(200), UDP, 1.0)
    assert not transaction.receive(response(180), UDP, 1.0)
    assert around.delivered.count(486) == 1
    assert [data[:3] for _, data in around.sent] == [b"req", b"ACK", b"ACK"]
    around.run(31.9)
    assert transaction.state is ClientState.COMPLETED
    around.run(32.0)  # Timer D
    assert transaction.state is ClientState.TERMINATED
    assert len(around.timers) == 0


def test_17_1_1_2_timer_d_is_zero_over_reliable_transports() -> None:
    around, transaction = make("INVITE", TCP)
    transaction.receive(response(486), TCP, 0.0)
    assert [data[:3] for _, data in around.sent] == [b"req", b"ACK"]
    assert transaction.state is ClientState.TERMINATED
    assert around.ended == 1
    assert len(around.timers) == 0


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_rfc_6026_every_2xx_is_passed_up_until_timer_m(flow: Flow) -> None:
    around, transaction = make("INVITE", flow)
    transaction.receive(response(200), flow, 0.0)
    assert transaction.state is ClientState.ACCEPTED
    assert transaction.receive(response(200), flow, 1.0)
    assert not transaction.receive(response(486), flow, 1.0)
    assert around.delivered == [200, 200]
    assert len(around.sent) == 1  # the ACK is the user's
    around.run(31.9)
    assert transaction.state is ClientState.ACCEPTED
    around.run(32.0)
    assert transaction.state is ClientState.TERMINATED
    assert len(around.timers) == 0


def test_9_1_the_cancel_waits_for_a_provisional_response() -> None:
    around, transaction = make("INVITE")
    transaction.cancel_wanted = True
    around.run(0.6)
    assert around.cancels == 0
    transaction.receive(response(100), UDP, 0.6)
    transaction.receive(response(180), UDP, 0.7)
    assert around.cancels == 1


def test_9_1_after_the_cancel_the_wait_is_64_t1() -> None:
    around, transaction = make("INVITE")
    assert isinstance(transaction, InviteClientTransaction)
    transaction.receive(response(180), UDP, 0.0)
    transaction.limit_wait(10.0)
    around.run(41.9)
    assert around.timed_out == 0
    around.run(42.0)
    assert around.timed_out == 1
    assert len(around.timers) == 0


def test_a_remnant_acknowledges_a_refusal_that_comes_again() -> None:
    around, transaction = make("INVITE")
    assert isinstance(transaction, InviteClientTransaction)
    transaction.receive(response(503), UDP, 0.0)
    left = transaction.remnant(2, 0.0)
    transaction.rewind()
    assert transaction.state is ClientState.UNSENT
    assert left.silent
    left.receive(response(503), UDP, 1.0)
    assert [data[:3] for _, data in around.sent] == [b"req", b"ACK", b"ACK"]
    around.run(32.0)
    assert left.state is ClientState.TERMINATED
    assert len(around.timers) == 0


def test_a_remnant_cancels_an_invite_that_is_answered_late() -> None:
    around, transaction = make("INVITE")
    assert isinstance(transaction, InviteClientTransaction)
    around.run(4.0)
    left = transaction.remnant(2, 4.0)
    transaction.rewind()
    sent = len(around.sent)
    around.run(20.0)
    assert len(around.sent) == sent  # not sent again
    left.receive(response(180), UDP, 20.0)
    assert around.cancels == 1


# --- others ---------------------------------------------------------------------------------------------------------


def test_17_1_2_2_timer_e_doubles_up_to_t2_until_timer_f() -> None:
    around, _ = make("OPTIONS")
    around.run(31.9)
    assert around.times == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    around.run(32.0)
    assert around.timed_out == 1
    assert len(around.timers) == 0


def test_17_1_2_2_in_proceeding_timer_e_is_t2() -> None:
    around, transaction = make("OPTIONS")
    around.run(0.6)
    transaction.receive(response(100), UDP, 0.6)
    assert transaction.state is ClientState.PROCEEDING
    around.run(31.9)
    # What was armed goes off at 1.5, then every 4 s.
    assert around.times == [0.0, 0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]
    around.run(32.0)
    assert around.timed_out == 1


def test_17_1_2_2_timer_k_buffers_repeated_responses() -> None:
    around, transaction = make("OPTIONS")
    transaction.receive(response(200), UDP, 0.2)
    assert transaction.state is ClientState.COMPLETED
    assert not transaction.receive(response(200), UDP, 0.3)
    assert around.delivered == [200]
    around.run(5.1)
    assert transaction.state is ClientState.COMPLETED
    around.run(5.2)
    assert transaction.state is ClientState.TERMINATED
    assert len(around.timers) == 0


def test_17_1_2_2_timer_k_is_zero_and_e_is_not_set_over_reliable_transports() -> None:
    around, transaction = make("OPTIONS", TCP)
    around.run(20.0)
    assert around.times == [0.0]
    transaction.receive(response(200), TCP, 20.0)
    assert transaction.state is ClientState.TERMINATED
    assert len(around.timers) == 0


# --- what the transaction layer writes itself -----------------------------------------------------------------------


def test_17_1_1_3_the_ack_to_a_refusal() -> None:
    via = via_line("udp", ("192.0.2.1", 5060), "z9hG4bKkjshdyff")
    ack = parse(ack_bytes(request("INVITE"), response(486), via))
    assert isinstance(ack, Request)
    assert (ack.method, ack.uri) == ("ACK", "sip:bob@biloxi.example")
    assert ack.values("Via") == ["SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKkjshdyff;rport"]
    assert ack.get("To") == "Bob <sip:bob@biloxi.example>;tag=x"
    assert ack.get("From") == "Alice <sip:alice@atlanta.example>;tag=88sja8x"
    assert ack.get("Call-ID") == "987asjd97y7atg"
    assert ack.get("CSeq") == "986759 ACK"
    assert ack.values("Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>", "<sip:p3.example;lr>"]
    assert ack.body == b""


def test_9_1_the_cancel() -> None:
    via = via_line("tcp", ("2001:db8::1", 5060), "z9hG4bKkjshdyff")
    cancel = parse(cancel_bytes(request("INVITE"), via, 'SIP;cause=200;text="Call completed elsewhere"'))
    assert isinstance(cancel, Request)
    assert (cancel.method, cancel.uri) == ("CANCEL", "sip:bob@biloxi.example")
    assert cancel.values("Via") == ["SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKkjshdyff"]
    assert cancel.get("To") == "Bob <sip:bob@biloxi.example>"
    assert cancel.get("CSeq") == "986759 CANCEL"
    assert len(cancel.values("Route")) == 3
    # RFC 3326
    assert cancel.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'


def test_a_reason_can_smuggle_nothing() -> None:
    with pytest.raises(ValueError, match="CR or LF"):
        cancel_bytes(request("INVITE"), "", "SIP;cause=200\r\nX-Evil: 1")
