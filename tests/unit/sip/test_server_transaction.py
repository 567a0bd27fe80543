"""Server transactions alone: RFC 3261 17.2 and RFC 6026, in virtual time, without a stack."""

from __future__ import annotations

import pytest

from sip.effects import FailureCause, Flow
from sip.message import Request
from sip.server_transaction import (
    InviteServerTransaction,
    NonInviteServerTransaction,
    ServerState,
    ServerTransaction,
)
from sip.timers import TimerConfig, TimerHeap

FLOW = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.9", 5060), 0)


class Surroundings:
    """Records what a machine asks for."""

    def __init__(self) -> None:
        self.timers = TimerHeap()
        self.timer_config = TimerConfig()
        self.sent: list[tuple[float, bytes]] = []
        self.failures: list[tuple[FailureCause, str]] = []
        self.ended = 0
        self.now = 0.0

    def transmit_response(self, transaction: ServerTransaction) -> None:
        self.sent.append((self.now, transaction.sent))

    def server_failed(self, transaction: ServerTransaction, cause: FailureCause, detail: str) -> None:
        self.failures.append((cause, detail))

    def server_started(self, transaction: ServerTransaction, now: float) -> None:
        self.timers.linger(self.timer_config.b, transaction, now)

    def server_completed(self, transaction: ServerTransaction, now: float) -> None:
        self.timers.linger(self.timer_config.b, transaction, now)

    def server_terminated(self, transaction: ServerTransaction) -> None:
        self.ended += 1

    def run(self, until: float) -> None:
        while (deadline := self.timers.next_deadline()) is not None and deadline <= until:
            self.now = deadline
            self.timers.fire_due(deadline)
        self.now = until


def make(method: str, reliable: bool = False) -> tuple[Surroundings, ServerTransaction]:
    around = Surroundings()
    kind = InviteServerTransaction if method == "INVITE" else NonInviteServerTransaction
    transaction = kind(around, 1, "key", Request(method, "sip:a@b"), FLOW, FLOW, reliable)
    transaction.start(0.0)
    return around, transaction


# --- INVITE ---------------------------------------------------------------------------------------------------------


def test_17_2_1_a_repeated_invite_brings_the_last_provisional_again() -> None:
    around, transaction = make("INVITE")
    assert transaction.state is ServerState.PROCEEDING
    transaction.receive_again(0.1)
    assert around.sent == []  # nothing said yet
    transaction.respond(100, b"100", 0.0)
    transaction.receive_again(0.5)
    transaction.respond(180, b"180", 1.0)
    transaction.receive_again(1.5)
    assert [data for _, data in around.sent] == [b"100", b"100", b"180", b"180"]
    assert len(around.timers) == 0  # ringing has no end of its own


def test_17_2_1_a_refusal_is_repeated_by_timer_g_until_timer_h() -> None:
    around, transaction = make("INVITE")
    transaction.respond(486, b"486", 0.0)
    assert transaction.state is ServerState.COMPLETED
    around.run(31.9)
    # T1, then doubling up to T2
    assert [at for at, _ in around.sent] == [0.0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert transaction.state is ServerState.COMPLETED
    around.run(32.0)
    assert around.failures == [("timeout", "no ACK to the 486")]
    assert transaction.state is ServerState.TERMINATED
    assert around.ended == 1
    assert len(around.timers) == 0


def test_17_2_1_timer_g_is_not_set_over_reliable_transports_but_h_is() -> None:
    around, transaction = make("INVITE", reliable=True)
    transaction.respond(486, b"486", 0.0)
    around.run(31.9)
    assert len(around.sent) == 1
    around.run(32.0)
    assert around.failures == [("timeout", "no ACK to the 486")]
    assert transaction.state is ServerState.TERMINATED


def test_17_2_1_ack_ends_the_repeating_and_timer_i_the_transaction() -> None:
    around, transaction = make("INVITE")
    transaction.respond(486, b"486", 0.0)
    around.run(1.0)
    assert transaction.receive_ack(1.0)
    assert transaction.state is ServerState.CONFIRMED
    sent = len(around.sent)
    around.run(5.9)
    assert transaction.receive_ack(5.9)  # again: absorbed
    transaction.receive_again(5.9)
    assert len(around.sent) == sent
    assert transaction.state is ServerState.CONFIRMED
    around.run(6.0)  # T4 after the ACK
    assert transaction.state is ServerState.TERMINATED
    assert around.failures == []
    assert len(around.timers) == 0


def test_17_2_1_timer_i_is_zero_over_reliable_transports() -> None:
    around, transaction = make("INVITE", reliable=True)
    transaction.respond(486, b"486", 0.0)
    assert transaction.receive_ack(1.0)
    assert transaction.state is ServerState.TERMINATED
    assert around.ended == 1
    assert len(around.timers) == 0


@pytest.mark.parametrize("reliable", [False, True])
def test_rfc_6026_a_2xx_leads_to_accepted_until_timer_l(reliable: bool) -> None:
    around, transaction = make("INVITE", reliable)
    transaction.respond(200, b"200", 0.0)
    assert transaction.state is ServerState.ACCEPTED
    # Retransmissions of the INVITE are absorbed without an answer.
    transaction.receive_again(0.5)
    assert len(around.sent) == 1
    # ACKs are for the user.
    assert not transaction.receive_ack(0.6)
    # The user's own retransmissions of the 2xx go out; nothing else does.
    assert transaction.respond(200, b"200", 1.0)
    assert not transaction.respond(486, b"486", 1.0)
    assert [data for _, data in around.sent] == [b"200", b"200"]
    around.run(31.9)
    assert transaction.state is ServerState.ACCEPTED
    around.run(32.0)
    assert transaction.state is ServerState.TERMINATED
    assert around.failures == []
    assert len(around.timers) == 0


def test_rfc_6026_a_transport_error_is_told_and_changes_no_state() -> None:
    around, transaction = make("INVITE")
    transaction.respond(200, b"200", 0.0)
    transaction.transport_failed("unreachable")
    assert transaction.state is ServerState.ACCEPTED
    assert around.failures == [("transport", "unreachable")]


def test_17_2_1_other_final_responses_are_discarded_in_completed() -> None:
    around, transaction = make("INVITE")
    assert transaction.respond(486, b"486", 0.0)
    assert not transaction.respond(200, b"200", 0.1)
    assert not transaction.respond(180, b"180", 0.1)
    assert [data for _, data in around.sent] == [b"486"]
    transaction.receive_again(0.2)
    assert [data for _, data in around.sent] == [b"486", b"486"]


# --- others ---------------------------------------------------------------------------------------------------------


def test_17_2_2_nothing_is_sent_again_before_a_response() -> None:
    around, transaction = make("OPTIONS")
    assert transaction.state is ServerState.TRYING
    transaction.receive_again(0.1)
    assert around.sent == []
    transaction.respond(100, b"100", 0.2)
    assert transaction.state is ServerState.PROCEEDING
    transaction.receive_again(0.3)
    transaction.respond(200, b"200", 0.4)
    assert transaction.state is ServerState.COMPLETED
    transaction.receive_again(0.5)
    assert not transaction.respond(500, b"500", 0.6)
    assert [data for _, data in around.sent] == [b"100", b"100", b"200", b"200"]


@pytest.mark.parametrize("answered", [0.0, 0.4])
def test_17_2_2_timer_j_is_64_t1_after_the_final_response(answered: float) -> None:
    around, transaction = make("OPTIONS")
    transaction.respond(200, b"200", answered)
    around.run(answered + 31.9)
    assert transaction.state is ServerState.COMPLETED
    around.run(answered + 32.0)
    assert transaction.state is ServerState.TERMINATED
    assert around.ended == 1
    assert len(around.timers) == 0


def test_17_2_2_timer_j_is_zero_over_reliable_transports() -> None:
    around, transaction = make("OPTIONS", reliable=True)
    transaction.respond(200, b"200", 0.1)
    assert transaction.state is ServerState.TERMINATED
    around.run(40.0)
    assert around.ended == 1
    assert len(around.timers) == 0


def test_17_2_2_a_transport_error_ends_it() -> None:
    around, transaction = make("OPTIONS")
    transaction.respond(200, b"200", 0.1)
    transaction.transport_failed("unreachable")
    assert transaction.state is ServerState.TERMINATED
    around.run(40.0)
    assert around.failures == [("transport", "unreachable")]
    assert around.ended == 1
    assert len(around.timers) == 0


def test_rfc_4320_a_request_that_nobody_answers_is_forgotten_in_silence() -> None:
    around, transaction = make("OPTIONS")
    around.run(32.0)
    assert transaction.state is ServerState.TERMINATED
    assert around.sent == []
    assert around.failures == []
    assert not transaction.respond(200, b"200", 33.0)


def test_the_parsed_request_is_dropped_with_the_final_response() -> None:
    for method in ("INVITE", "OPTIONS"):
        _, transaction = make(method)
        transaction.respond(180 if method == "INVITE" else 100, b"1xx", 0.0)
        assert transaction.request is not None
        transaction.respond(404, b"404", 0.0)
        assert transaction.request is None
