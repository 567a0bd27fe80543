"""The stack as a server: what arrives, what is answered by itself, where responses go."""

from __future__ import annotations

import gc

import pytest

from sip.effects import (
    AckReceived,
    CancelReceived,
    Close,
    Connect,
    ConnectionLost,
    Flow,
    RequestReceived,
    Send,
    Target,
    TransactionFailed,
)
from sip.ids import Ids
from sip.message import Request, Response, response_to
from sip.parser import parse
from sip.server_transaction import ServerState, ServerTransaction
from sip.stack import Stack, StackSettings

OURS = ("192.0.2.1", 5060)
PEER = ("192.0.2.9", 5070)
UDP = Flow("udp", OURS, PEER, 0)
TCP = Flow("tcp", OURS, ("192.0.2.9", 40_000), 7)


def make(**settings: object) -> Stack:
    return Stack(Ids(1), lambda transport, host: OURS, StackSettings(**settings))  # type: ignore[arg-type]


def message(
    method: str = "INVITE",
    branch: str = "z9hG4bKabc",
    *,
    via: str = "",
    to_tag: str = "",
    cseq: int = 1,
    call_id: str = "call",
    from_tag: str = "1",
    extra: str = "",
    body: str = "",
) -> bytes:
    via = via or f"SIP/2.0/UDP 192.0.2.9:5070;branch={branch};rport"
    tag = f";tag={to_tag}" if to_tag else ""
    return (
        f"{method} sip:bob@192.0.2.1 SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:alice@192.0.2.9>;tag={from_tag}\r\nTo: <sip:bob@192.0.2.1>{tag}\r\nCall-ID: {call_id}\r\n"
        f"CSeq: {cseq} {method}\r\n{extra}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def sent(stack: Stack) -> list[tuple[Response, Flow]]:
    """The responses among the effects, which are all taken."""
    taken = stack.effects[:]
    stack.effects.clear()
    out = []
    for effect in taken:
        assert isinstance(effect, Send), effect
        response = parse(effect.data)
        assert isinstance(response, Response)
        out.append((response, effect.flow))
    return out


def statuses(stack: Stack) -> list[int]:
    return [response.status for response, _ in sent(stack)]


def arrived(stack: Stack) -> RequestReceived:
    event = stack.events.pop(0)
    assert isinstance(event, RequestReceived)
    return event


def answer(stack: Stack, event: RequestReceived, status: int, now: float = 0.0, tag: str = "b") -> None:
    stack.respond(event.transaction, response_to(event.request, status, to_tag=tag), now)


# --- requests and responses -----------------------------------------------------------------------------------------


def test_17_2_1_an_invite_is_answered_100_at_once_and_passed_up() -> None:
    stack = make()
    stack.receive(message(extra="Timestamp: 54\r\n"), UDP, 0.0)
    ((trying, flow),) = sent(stack)
    assert (trying.status, flow) == (100, UDP)
    assert trying.to_tag == ""
    assert trying.get("Timestamp") == "54"  # 8.2.6.1
    event = arrived(stack)
    assert event.request.method == "INVITE"
    assert event.flow == UDP
    answer(stack, event, 180)
    answer(stack, event, 200)
    assert statuses(stack) == [180, 200]
    assert event.transaction.state is ServerState.ACCEPTED


def test_other_requests_are_passed_up_without_a_word() -> None:
    stack = make()
    stack.receive(message("OPTIONS"), UDP, 0.0)
    assert sent(stack) == []
    answer(stack, arrived(stack), 200)
    assert statuses(stack) == [200]


def test_17_2_3_a_repeated_request_is_absorbed() -> None:
    stack = make()
    for _ in range(3):
        stack.receive(message(), UDP, 0.0)
    event = arrived(stack)
    assert stack.events == []
    assert statuses(stack) == [100, 100, 100]
    answer(stack, event, 486)
    stack.receive(message(), UDP, 0.1)
    assert statuses(stack) == [486, 486]
    assert stack.counters["repeated request"] == 3


def test_rfc_3581_the_response_goes_to_the_source_and_says_it() -> None:
    stack = make()
    source = Flow("udp", OURS, ("203.0.113.5", 61_000), 0)
    stack.receive(message("OPTIONS", via="SIP/2.0/UDP 10.0.0.5;branch=z9hG4bK1;rport"), source, 0.0)
    answer(stack, arrived(stack), 200)
    ((response, flow),) = sent(stack)
    assert flow == source
    assert (response.via.received, response.via.rport) == ("203.0.113.5", 61_000)


def test_18_2_2_without_rport_the_port_is_that_of_sent_by() -> None:
    stack = make()
    source = Flow("udp", OURS, ("203.0.113.5", 61_000), 0)
    for via, port in (
        ("SIP/2.0/UDP 10.0.0.5:5099;branch=z9hG4bK1", 5099),
        ("SIP/2.0/UDP pc.example.com;branch=z9hG4bK2", 5060),
    ):
        stack.receive(message("OPTIONS", via=via, call_id=via[-1]), source, 0.0)
        answer(stack, arrived(stack), 200)
        ((response, flow),) = sent(stack)
        # 18.2.1: "received" is added where the host differs from the source
        assert response.via.received == "203.0.113.5"
        assert flow == Flow("udp", OURS, ("203.0.113.5", port), 0)


def test_a_received_parameter_of_the_peer_is_not_believed() -> None:
    stack = make()
    stack.receive(message("OPTIONS", via="SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1;received=10.9.9.9"), UDP, 0.0)
    answer(stack, arrived(stack), 200)
    ((response, flow),) = sent(stack)
    assert flow.remote == ("192.0.2.9", 5060)
    assert response.via.received == "192.0.2.9"


def test_18_2_2_maddr_is_obeyed_only_where_the_operator_wants_it() -> None:
    via = "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK1;maddr=198.51.100.7"
    for obey, host in ((False, "192.0.2.9"), (True, "198.51.100.7")):
        stack = make(obey_maddr=obey)
        stack.receive(message("OPTIONS", via=via), UDP, 0.0)
        answer(stack, arrived(stack), 200)
        ((_, flow),) = sent(stack)
        assert flow.remote == (host, 5070)


def test_contact_user_becomes_a_contact_with_our_address() -> None:
    stack = make()
    stack.receive(message(), UDP, 0.0)
    event = arrived(stack)
    stack.effects.clear()
    stack.respond(event.transaction, response_to(event.request, 200, to_tag="b"), 0.0, contact_user="b b")
    ((response, _),) = sent(stack)
    assert response.values("Contact") == ["<sip:b%20b@192.0.2.1:5060>"]


def test_rfc_6026_the_users_2xx_is_sent_again_and_forgotten_when_acknowledged() -> None:
    stack = make()
    stack.receive(message(), UDP, 0.0)
    event = arrived(stack)
    answer(stack, event, 200)
    stack.effects.clear()
    stack.retransmit(event.transaction, 0.5)
    assert statuses(stack) == [200]
    stack.release(event.transaction)
    stack.retransmit(event.transaction, 1.0)
    assert stack.effects == []
    stack.timers.fire_due(32.0)
    assert not any(stack.sizes().values())


def test_a_response_too_late_is_dropped_and_counted() -> None:
    stack = make()
    stack.receive(message(), UDP, 0.0)
    event = arrived(stack)
    answer(stack, event, 486)
    answer(stack, event, 200)
    assert statuses(stack) == [100, 486]
    assert stack.counters["late response"] == 1


# --- ACK ------------------------------------------------------------------------------------------------------------


def test_17_2_1_the_ack_to_a_refusal_ends_here() -> None:
    stack = make()
    stack.receive(message(), UDP, 0.0)
    event = arrived(stack)
    answer(stack, event, 486)
    stack.receive(message("ACK", to_tag="b"), UDP, 0.1)
    assert stack.events == []
    assert event.transaction.state is ServerState.CONFIRMED
    stack.timers.fire_due(5.1)
    assert not any(stack.sizes().values())


@pytest.mark.parametrize("branch", ["z9hG4bKother", "z9hG4bKabc"])
def test_13_3_1_4_the_ack_to_a_2xx_is_passed_up(branch: str) -> None:
    """Also of a peer that gives it the branch of the INVITE (RFC 6026)."""
    stack = make()
    stack.receive(message(), UDP, 0.0)
    answer(stack, arrived(stack), 200)
    stack.receive(message("ACK", branch, to_tag="b"), UDP, 0.1)
    (event,) = stack.events
    assert isinstance(event, AckReceived)
    assert event.request.method == "ACK"


def test_17_an_ack_is_never_answered() -> None:
    stack = make()
    stack.receive(message("ACK", cseq=2**31), UDP, 0.0)
    stack.receive(message("ACK").replace(b"Call-ID", b"X-Call"), UDP, 0.0)
    stack.receive(message("ACK").replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"), UDP, 0.0)
    assert stack.effects == []
    assert stack.events == []
    assert stack.counters == {"malformed, dropped": 3}


def test_no_ack_in_time_is_told() -> None:
    stack = make()
    stack.receive(message(), UDP, 0.0)
    event = arrived(stack)
    answer(stack, event, 486)
    now = 0.0
    while (at := stack.timers.next_deadline()) is not None:
        now = at
        stack.timers.fire_due(now)
    assert now == 32.0
    (failed,) = stack.events
    assert isinstance(failed, TransactionFailed)
    assert (failed.transaction, failed.cause) == (event.transaction, "timeout")
    assert not any(stack.sizes().values())


# --- CANCEL ---------------------------------------------------------------------------------------------------------


def test_9_2_a_cancel_is_answered_and_told() -> None:
    stack = make()
    stack.receive(message(), UDP, 0.0)
    event = arrived(stack)
    answer(stack, event, 180, tag="ours")
    stack.effects.clear()
    stack.receive(message("CANCEL", extra="Reason: SIP;cause=200\r\n"), UDP, 1.0)
    ((ok, flow),) = sent(stack)
    assert (ok.status, ok.cseq.method, flow) == (200, "CANCEL", UDP)
    assert ok.to_tag == "ours"
    (cancel,) = stack.events
    assert isinstance(cancel, CancelReceived)
    assert cancel.transaction is event.transaction
    assert cancel.request.get("Reason") == "SIP;cause=200"
    stack.receive(message("CANCEL"), UDP, 1.5)
    assert statuses(stack) == [200]
    assert len(stack.events) == 1


def test_9_2_a_cancel_after_the_final_response_has_no_effect() -> None:
    for status in (200, 486):
        stack = make()
        stack.receive(message(), UDP, 0.0)
        answer(stack, arrived(stack), status)
        stack.effects.clear()
        stack.receive(message("CANCEL"), UDP, 1.0)
        assert statuses(stack) == [200]
        assert stack.events == []


def test_9_2_a_cancel_of_nothing_is_481_and_keeps_nothing() -> None:
    stack = make()
    stack.receive(message("CANCEL"), UDP, 0.0)
    assert statuses(stack) == [481]
    stack.receive(message("CANCEL", "z9hG4bKother"), UDP, 0.0)
    assert statuses(stack) == [481]
    assert not any(stack.sizes().values())


# --- RFC 2543 peers -------------------------------------------------------------------------------------------------

OLD_VIA = "SIP/2.0/UDP 192.0.2.9:5070"


def test_17_2_3_rfc_2543_peers_are_served() -> None:
    """RFC 4475 3.4.1 (inv2543): no branch, no Max-Forwards, no From tag."""
    stack = make()

    def old(method: str, to_tag: str = "") -> bytes:
        data = message(method, via=OLD_VIA, to_tag=to_tag).replace(b"Max-Forwards: 70\r\n", b"")
        return data.replace(b">;tag=1", b">")

    stack.receive(old("INVITE"), UDP, 0.0)
    stack.receive(old("INVITE"), UDP, 0.5)
    event = arrived(stack)
    assert stack.events == []
    assert statuses(stack) == [100, 100]
    stack.receive(old("CANCEL"), UDP, 0.6)
    assert statuses(stack) == [200]
    assert isinstance(stack.events.pop(), CancelReceived)
    answer(stack, event, 487, tag="ours")
    assert statuses(stack) == [487]
    # An ACK with another's tag is not for this transaction.
    stack.receive(old("ACK", "other"), UDP, 0.7)
    assert event.transaction.state is ServerState.COMPLETED
    stack.events.clear()
    stack.receive(old("ACK", "ours"), UDP, 0.7)
    assert event.transaction.state is ServerState.CONFIRMED
    assert stack.events == []


def test_rfc_4475_3_1_2_17_a_bare_cookie_does_not_confuse_two_requests() -> None:
    stack = make()
    stack.receive(message("OPTIONS", "z9hG4bK", call_id="a"), UDP, 0.0)
    stack.receive(message("OPTIONS", "z9hG4bK", call_id="b"), UDP, 0.0)
    assert [event.request.call_id for event in stack.events if isinstance(event, RequestReceived)] == ["a", "b"]


# --- merged requests, overload --------------------------------------------------------------------------------------


def test_8_2_2_2_a_request_that_came_by_another_way_is_482() -> None:
    stack = make()
    stack.receive(message(branch="z9hG4bKone"), UDP, 0.0)
    event = arrived(stack)
    stack.effects.clear()
    stack.receive(message(branch="z9hG4bKtwo"), UDP, 0.1)
    assert statuses(stack) == [482]
    assert stack.events == []
    # Not when it is inside a dialog, nor once the first is over.
    stack.receive(message("OPTIONS", "z9hG4bKthree", to_tag="x"), UDP, 0.1)
    stack.receive(message("OPTIONS", "z9hG4bKfour", to_tag="x"), UDP, 0.1)
    assert len(stack.events) == 2
    stack.events.clear()
    answer(stack, event, 486)
    stack.receive(message("ACK", "z9hG4bKone", to_tag="b"), UDP, 0.2)
    stack.receive(message("ACK", "z9hG4bKtwo", to_tag="b"), UDP, 0.2)
    while (at := stack.timers.next_deadline()) is not None:
        stack.timers.fire_due(at)
    stack.effects.clear()
    stack.receive(message(branch="z9hG4bKfive"), UDP, 99.0)
    assert statuses(stack) == [100]


def test_8_2_2_2_an_answered_request_is_not_ongoing() -> None:
    stack = make()
    stack.receive(message("OPTIONS", "z9hG4bKone"), UDP, 0.0)
    answer(stack, arrived(stack), 200)
    stack.events.clear()
    stack.receive(message("OPTIONS", "z9hG4bKtwo"), UDP, 0.1)
    assert len(stack.events) == 1


def test_17_2_3_the_same_bytes_by_another_transport_are_another_request() -> None:
    stack = make()
    stack.connected(TCP, 0.0)
    data = message("OPTIONS", via="SIP/2.0/TCP 192.0.2.9:5070;branch=z9hG4bKone")
    stack.receive(data, UDP, 0.0)
    answer(stack, arrived(stack), 200)
    stack.events.clear()
    stack.effects.clear()
    stack.receive_stream(data, TCP, 0.1)
    answer(stack, arrived(stack), 200)
    assert [flow for _, flow in sent(stack)] == [TCP]


def test_17_2_3_the_same_branch_from_another_address_is_another_request() -> None:
    stack = make()
    stack.receive(message("OPTIONS", via="SIP/2.0/UDP host.example;branch=z9hG4bKone"), UDP, 0.0)
    answer(stack, arrived(stack), 200)
    stack.events.clear()
    stack.effects.clear()
    other = UDP._replace(remote=("192.0.2.77", 5070))
    stack.receive(message("OPTIONS", via="SIP/2.0/UDP host.example;branch=z9hG4bKone", call_id="2"), other, 0.1)
    answer(stack, arrived(stack), 404)
    assert [(response.status, flow.remote[0]) for response, flow in sent(stack)] == [(404, "192.0.2.77")]


def test_8_2_7_a_challenge_leaves_nothing_behind_when_the_table_fills() -> None:
    stack = make(max_server_transactions=4)
    for n in range(10):
        stack.receive(message("REGISTER", f"z9hG4bK{n}", call_id=str(n)), UDP, 0.0)
        event = arrived(stack)
        stack.challenge(event.transaction, response_to(event.request, 401, to_tag="t"), 0.0)
    assert statuses(stack) == [401] * 10
    assert stack.sizes()["server transactions"] == 0
    assert stack.sizes()["answered requests"] == 2


def test_17_2_2_a_repeated_request_gets_the_same_challenge_in_quiet_times() -> None:
    stack = make()
    stack.receive(message("REGISTER"), UDP, 0.0)
    event = arrived(stack)
    stack.challenge(event.transaction, response_to(event.request, 401, to_tag="t"), 0.0)
    stack.receive(message("REGISTER"), UDP, 0.5)
    assert stack.events == []
    assert statuses(stack) == [401, 401]


def test_17_2_2_what_was_answered_is_kept_small_and_answered_again() -> None:
    # "Timer J": nothing but the answer is left of the transaction, and that for 64*T1.
    stack = make()
    stack.receive(message("OPTIONS"), UDP, 0.0)
    event = arrived(stack)
    stack.respond(event.transaction, response_to(event.request, 200, to_tag="t"), 1.0)
    assert (stack.sizes()["server transactions"], stack.sizes()["answered requests"]) == (0, 1)
    stack.receive(message("OPTIONS"), UDP, 32.9)
    assert (stack.events, statuses(stack)) == ([], [200, 200])
    stack.timers.fire_due(33.0)
    assert not any(stack.sizes().values())
    stack.receive(message("OPTIONS"), UDP, 33.1)
    assert len(stack.events) == 1


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_threat_9_a_flood_of_challenged_requests_leaves_no_timers(flow: Flow) -> None:
    stack = make(max_server_transactions=4)
    if flow is TCP:
        stack.connected(flow, 0.0)
    before = stack.sizes()["timers"]
    for n in range(1000):
        receive = stack.receive if flow is UDP else stack.receive_stream
        receive(message("REGISTER", f"z9hG4bK{n}", call_id=str(n)), flow, 0.0)
        event = arrived(stack)
        stack.challenge(event.transaction, response_to(event.request, 401, to_tag="t"), 0.0)
        stack.effects.clear()
    sizes = stack.sizes()
    assert sizes["server transactions"] == sizes["merged requests"] == 0
    assert sizes["answered requests"] <= 2
    assert sizes["timers"] - before <= 3  # the answers' and the sweep's


def test_a_cancel_of_nothing_passes_the_gate_or_is_not_answered() -> None:
    stack = make()
    stack.gate = lambda request, flow, now: 0
    stack.receive(message("CANCEL"), UDP, 0.0)
    assert stack.effects == []


def test_a_request_that_nobody_answers_is_given_up_in_64_t1() -> None:
    stack = make()
    stack.receive(message("OPTIONS"), UDP, 0.0)
    stack.receive(message("OPTIONS", "z9hG4bKlater", call_id="later"), UDP, 5.0)
    stack.events.clear()
    ends = []
    while (at := stack.timers.next_deadline()) is not None:
        stack.timers.fire_due(at)
        ends.append((at, stack.sizes()["server transactions"]))
    assert ends == [(32.0, 1), (37.0, 0)]
    assert not any(stack.sizes().values())


def test_answers_are_kept_for_no_more_than_the_table_holds() -> None:
    stack = make(max_server_transactions=4)
    for n in range(10):
        stack.receive(message("OPTIONS", f"z9hG4bK{n}", call_id=str(n)), UDP, 0.0)
        event = arrived(stack)
        stack.respond(event.transaction, response_to(event.request, 200, to_tag="t"), 0.0)
    assert statuses(stack) == [200] * 10
    assert (stack.sizes()["answered requests"], stack.sizes()["merged requests"]) == (4, 0)
    stack.timers.fire_due(32.0)
    assert not any(stack.sizes().values())


def test_rfc6026_7_1_of_an_accepted_invite_only_what_absorbs_its_repetitions_is_left() -> None:
    stack = make()
    stack.receive(message("INVITE"), UDP, 0.0)
    event = arrived(stack)
    stack.respond(event.transaction, response_to(event.request, 200, to_tag="t"), 1.0)
    assert stack.sizes()["server transactions"] == 1  # its user may have to send the 2xx again
    stack.release(event.transaction)
    assert (stack.sizes()["server transactions"], stack.sizes()["answered requests"]) == (0, 1)
    stack.effects.clear()
    stack.receive(message("INVITE"), UDP, 2.0)
    assert (stack.events, stack.effects) == ([], [])
    # 9.2: a CANCEL that comes too late is answered, with the To tag of the 2xx, and has no effect.
    stack.receive(message("CANCEL"), UDP, 3.0)
    (cancelled,) = [response for response, _ in sent(stack)]
    assert (cancelled.status, cancelled.to_tag, stack.events) == (200, "t", [])
    # 8.2.2.2: by another way it is the same request still.
    stack.receive(message("INVITE", "z9hG4bKother"), UDP, 4.0)
    assert statuses(stack)[-1] == 482
    stack.timers.fire_due(33.0)
    assert stack.sizes()["merged requests"] == 0


def test_a_full_table_answers_503_with_retry_after_and_grows_no_further() -> None:
    stack = make(max_server_transactions=4, retry_after=7)
    for n in range(20):
        stack.receive(message("OPTIONS", f"z9hG4bK{n}", call_id=str(n)), UDP, 0.0)
    assert len(stack.events) == 4
    refused = sent(stack)
    assert [r.status for r, _ in refused] == [503] * 16
    assert refused[0][0].get("Retry-After") == "7"
    assert stack.sizes()["server transactions"] == 4
    assert stack.counters["overload"] == 16
    # Calls must end under overload too.
    stack.receive(message("BYE", "z9hG4bKbye", to_tag="x"), UDP, 0.0)
    assert stack.effects == []
    assert len(stack.events) == 5
    stack.receive(message("BYE", "z9hG4bKbye2", to_tag="x"), UDP, 0.0)
    assert statuses(stack) == [503]
    # A repetition of what is being served is no new request.
    stack.receive(message("OPTIONS", "z9hG4bK0", call_id="0"), UDP, 0.0)
    assert stack.effects == []


# --- malformed ------------------------------------------------------------------------------------------------------


def test_malformed_requests_are_answered_with_what_is_wrong_and_keep_nothing() -> None:
    stack = make()
    bad = message("OPTIONS").replace(b"CSeq: 1", b"CSeq: 4294967297")
    stack.receive(bad, UDP, 0.0)
    stack.receive(bad, UDP, 0.5)
    (first, flow), (second, _) = sent(stack)
    assert (first.status, first.reason) == (400, "Bad CSeq: number out of range")
    assert flow == UDP
    # 8.2.7: the same tag for the same request
    assert first.to_tag == second.to_tag != ""
    assert not any(stack.sizes().values())
    assert stack.counters == {"malformed, answered": 2}


def test_what_cannot_be_answered_is_dropped_in_silence() -> None:
    stack = make()
    for data in (
        b"\x00\x01garbage",
        b"OPTIONS sip:bob@192.0.2.1 SIP/2.0\r\nTo: <sip:b@c>\r\n\r\n",
        message("OPTIONS").replace(b"Via: SIP/2.0", b"Via: nonsense"),
        b"SIP/2.0 700 Huge\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"",
    ):
        stack.receive(data, UDP, 0.0)
    assert stack.effects == []
    assert stack.events == []
    assert stack.counters == {"malformed, dropped": 5, "keep-alive": 1}


def test_keep_alives_of_datagrams_are_ignored() -> None:
    stack = make()
    for data in (b"\r\n\r\n", b"\r\n", b"\0", b"\0\0\0\0"):
        stack.receive(data, UDP, 0.0)
    assert stack.counters == {"keep-alive": 4}
    assert stack.effects == []


# --- streams --------------------------------------------------------------------------------------------------------

TCP_VIA = "SIP/2.0/TCP 192.0.2.9:5070;branch=z9hG4bKabc"


def test_18_3_bytes_may_come_cut_anywhere() -> None:
    stack = make()
    stack.connected(TCP, 0.0)
    data = message("OPTIONS", via=TCP_VIA, body="xyz") + message("OPTIONS", via=TCP_VIA + "2", call_id="2")
    for at in range(len(data)):
        stack.receive_stream(data[at : at + 1], TCP, 0.0)
    bodies = [event.request.body for event in stack.events if isinstance(event, RequestReceived)]
    assert bodies == [b"xyz", b""]


def test_18_2_2_responses_go_over_the_same_connection() -> None:
    stack = make()
    stack.connected(TCP, 0.0)
    stack.receive_stream(message(via=TCP_VIA), TCP, 0.0)
    answer(stack, arrived(stack), 486)
    assert [flow for _, flow in sent(stack)] == [TCP, TCP]


def test_18_2_2_or_over_a_new_one_to_the_port_of_sent_by() -> None:
    stack = make()
    stack.connected(TCP, 0.0)
    stack.receive_stream(message(via=TCP_VIA), TCP, 0.0)
    event = arrived(stack)
    stack.effects.clear()
    stack.disconnected(TCP, 1.0)
    assert stack.events == [ConnectionLost(TCP)]
    answer(stack, event, 486, 2.0)
    target = Target("tcp", "192.0.2.9", 5070)
    assert stack.effects == [Connect(target)]
    stack.effects.clear()
    fresh = Flow("tcp", ("192.0.2.1", 33_333), ("192.0.2.9", 5070), 8)
    stack.connected(fresh, 2.1)
    assert [(r.status, flow) for r, flow in sent(stack)] == [(486, fresh)]


def test_18_4_when_that_fails_too_the_user_is_told() -> None:
    stack = make()
    stack.connected(TCP, 0.0)
    stack.receive_stream(message(via=TCP_VIA), TCP, 0.0)
    event = arrived(stack)
    stack.disconnected(TCP, 1.0)
    stack.events.clear()
    answer(stack, event, 486, 2.0)
    stack.send_failed(Target("tcp", "192.0.2.9", 5070), 3.0, "refused")
    assert stack.events == [TransactionFailed(event.transaction, "transport", "refused")]
    assert event.transaction.state is ServerState.COMPLETED  # RFC 6026
    stack.timers.fire_due(40.0)
    assert not any(stack.sizes().values())


def test_rfc_5626_4_4_1_a_ping_gets_its_pong() -> None:
    stack = make()
    stack.connected(TCP, 0.0)
    stack.receive_stream(b"\r\n\r\n", TCP, 0.0)
    assert stack.effects == [Send(b"\r\n", TCP)]
    stack.effects.clear()
    stack.receive_stream(b"\r\n\r\n" * 1_000, TCP, 0.1)
    assert stack.effects == [Send(b"\r\n", TCP)]


def test_a_stream_that_cannot_be_read_on_is_answered_and_closed() -> None:
    stack = make()
    stack.connected(TCP, 0.0)
    smuggled = message("BYE", via=TCP_VIA + "2")
    bad = message("OPTIONS", via=TCP_VIA).replace(b"Content-Length: 0", b"Content-Length: -1")
    stack.receive_stream(bad + smuggled, TCP, 0.0)
    stack.receive_stream(smuggled, TCP, 0.0)
    response, close = stack.effects
    assert isinstance(response, Send)
    assert response.data.startswith(b"SIP/2.0 400 ")
    assert close == Close(TCP)
    assert stack.events == []


def test_what_came_before_the_error_is_still_answered() -> None:
    stack = make()
    stack.connected(TCP, 0.0)
    stack.receive_stream(message("OPTIONS", via=TCP_VIA) + b"\0garbage", TCP, 0.0)
    assert stack.effects == []
    answer(stack, arrived(stack), 200)
    assert statuses(stack) == [200]
    stack.timers.fire_due(0.9)
    assert stack.effects == [Close(TCP)]


def test_a_connection_without_a_first_message_is_closed() -> None:
    stack = make(first_message_time=10.0)
    stack.connected(TCP, 0.0)
    while not stack.effects:
        at = stack.timers.next_deadline()
        assert at is not None
        stack.timers.fire_due(at)
    assert 10.0 <= at <= 12.0
    assert stack.effects == [Close(TCP)]
    assert stack.events == [ConnectionLost(TCP)]
    assert not any(stack.sizes().values())


def test_slowloris_a_message_has_a_deadline_however_busy_it_drips() -> None:
    stack = make(message_time=3.0)
    stack.connected(TCP, 0.0)
    stack.receive_stream(message("OPTIONS", via=TCP_VIA), TCP, 0.0)
    stack.events.clear()
    data = message("OPTIONS", via=TCP_VIA + "2", body="x" * 400)
    now = 0.0
    for byte in data:
        stack.receive_stream(bytes([byte]), TCP, now)
        now += 0.05
        stack.timers.fire_due(now)
        if stack.effects:
            break
    assert 3.0 <= now <= 5.0
    assert Close(TCP) in stack.effects
    assert stack.counters["connection too slow"] == 1


def test_a_body_that_never_comes_is_400_then_closed() -> None:
    """18.3: "If the transport packet ends before the end of the message body, this is considered an error"."""
    stack = make(message_time=3.0)
    stack.connected(TCP, 0.0)
    stack.receive_stream(message("OPTIONS", via=TCP_VIA, body="x" * 40)[:-5], TCP, 0.0)
    for second in range(1, 7):
        stack.timers.fire_due(float(second))
    response, close = stack.effects
    assert isinstance(response, Send)
    assert response.data.startswith(b"SIP/2.0 400 ")
    assert close == Close(TCP)


def test_a_long_idle_registered_phone_stays_connected() -> None:
    stack = make()
    stack.connected(TCP, 0.0)
    stack.receive_stream(message("OPTIONS", via=TCP_VIA), TCP, 0.0)
    stack.events.clear()
    for second in range(3_600):
        stack.timers.fire_due(float(second))
    assert stack.effects == []
    for second in range(3_600, 3_910):
        stack.timers.fire_due(float(second))
    assert stack.effects == [Close(TCP)]


def test_bytes_of_a_closed_connection_are_ignored() -> None:
    stack = make()
    stack.receive_stream(message("OPTIONS", via=TCP_VIA), TCP, 0.0)
    assert stack.events == []
    assert stack.counters == {"connection is closed": 1}
    stack.disconnected(TCP, 0.0)
    assert stack.events == []


# --- memory ---------------------------------------------------------------------------------------------------------


def alive() -> int:
    return sum(isinstance(thing, ServerTransaction) for thing in gc.get_objects())


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_a_finished_transaction_is_freed_by_reference_counts(method: str) -> None:
    stack = make()
    before = alive()
    gc.disable()
    try:
        stack.receive(message(method), UDP, 0.0)
        event = arrived(stack)
        answer(stack, event, 486)
        if method == "INVITE":
            stack.receive(message("ACK", to_tag="b"), UDP, 0.0)
        stack.timers.fire_due(99.0)
        stack.effects.clear()
        del event
        assert alive() == before
    finally:
        gc.enable()


def test_request_flood_without_answers_ends_by_itself() -> None:
    stack = make()
    for n in range(500):
        stack.receive(message("OPTIONS", f"z9hG4bK{n}", call_id=str(n)), UDP, 0.0)
    stack.events.clear()
    stack.timers.fire_due(32.0)
    assert not any(stack.sizes().values())


def test_send_to_ourselves_keeps_client_and_server_apart() -> None:
    stack = make()
    request = Request(
        "OPTIONS",
        "sip:bob@192.0.2.1",
        [("From", "<sip:a@b>;tag=1"), ("To", "<sip:b@c>"), ("Call-ID", "x"), ("CSeq", "1 OPTIONS")],
    )
    stack.send(request, 0.0, Target("udp", *OURS))
    (effect,) = stack.effects
    assert isinstance(effect, Send)
    stack.effects.clear()
    stack.receive(effect.data, Flow("udp", OURS, OURS, 0), 0.0)
    answer(stack, arrived(stack), 200)
    ((response, _),) = sent(stack)
    stack.receive(response.encode(), Flow("udp", OURS, OURS, 0), 0.0)
    assert len(stack.events) == 1
