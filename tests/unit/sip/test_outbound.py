"""The stack as a client: Via and Contact, targets and failover, look-ups, CANCEL, ACK, connections."""

from __future__ import annotations

import gc

import pytest

from sip.client_transaction import ClientState, ClientTransaction
from sip.connections import MAX_OPENING, MAX_WAITING
from sip.effects import (
    ANY_LOCAL,
    Connect,
    ConnectionLost,
    Flow,
    Resolve,
    ResponseReceived,
    Send,
    Target,
    TransactionFailed,
)
from sip.ids import Ids
from sip.locate import Question, Srv
from sip.message import Request, Response, response_to
from sip.outbound import MAX_AVOIDED
from sip.parser import parse
from sip.stack import Stack, StackSettings

A = Target("udp", "192.0.2.11", 5060)
B = Target("udp", "192.0.2.12", 5060)
C = Target("udp", "192.0.2.13", 5060)
T = Target("tcp", "192.0.2.11", 5060)


def sent_by(transport: str, host: str) -> tuple[str, int]:
    return ("2001:db8::1", 5060) if ":" in host else ("192.0.2.1", 5060 if transport == "udp" else 5062)


def make(**settings: object) -> Stack:
    return Stack(Ids(1), sent_by, StackSettings(**settings))  # type: ignore[arg-type]


def request(method: str = "OPTIONS", uri: str = "sip:bob@biloxi.example", body: bytes = b"") -> Request:
    return Request(
        method,
        uri,
        [
            ("Max-Forwards", "70"),
            ("From", "<sip:alice@atlanta.example>;tag=a"),
            ("To", "<sip:bob@biloxi.example>"),
            ("Call-ID", "call"),
            ("CSeq", f"1 {method}"),
        ],
        body,
    )


def sent(stack: Stack) -> list[tuple[Request, Flow]]:
    """The requests among the effects, which are all taken."""
    out = []
    for effect in stack.effects:
        assert isinstance(effect, Send), effect
        message = parse(effect.data)
        assert isinstance(message, Request)
        out.append((message, effect.flow))
    stack.effects.clear()
    return out


def reply(stack: Stack, to: tuple[Request, Flow], status: int, now: float = 0.0, extra: str = "") -> None:
    message, flow = to
    response = response_to(message, status, to_tag="b")
    if extra:
        response.add(*extra.split(": "))
    stack.receive(response.encode(), flow, now)


def told(stack: Stack) -> list[object]:
    """What the user heard: statuses and (cause, detail)."""
    out: list[object] = []
    for event in stack.events:
        match event:
            case ResponseReceived(response=response):
                out.append(response.status)
            case TransactionFailed(cause=cause, detail=detail):
                out.append((cause, detail))
            case _:
                out.append(event)
    stack.events.clear()
    return out


def run(stack: Stack, until: float) -> None:
    while (at := stack.timers.next_deadline()) is not None and at <= until:
        stack.timers.fire_due(at)


# --- what is written ------------------------------------------------------------------------------------------------


def test_via_and_contact_are_written_on_the_wire_only() -> None:
    stack = make()
    original = request("INVITE", body=b"sdp")
    before = original.encode()
    stack.send(original, 0.0, A, contact_user="alice")
    ((message, flow),) = sent(stack)
    assert original.encode() == before
    via = message.via
    assert (via.transport, via.host, via.port) == ("UDP", "192.0.2.1", 5060)
    # 8.1.1.7: the magic cookie; RFC 3581 3: rport without value
    assert via.branch.startswith("z9hG4bK")
    assert via.params["rport"] is None
    assert message.values("Contact") == ["<sip:alice@192.0.2.1:5060>"]
    assert message.body == b"sdp"
    assert flow == Flow("udp", ANY_LOCAL, (A.host, A.port), 0)


def test_contact_names_the_transport_and_hosts_are_bracketed() -> None:
    stack = make()
    stack.send(request("INVITE"), 0.0, Target("tcp", "2001:db8::9", 5060), contact_user="alice")
    assert stack.effects == [Connect(Target("tcp", "2001:db8::9", 5060))]
    stack.effects.clear()
    stack.connected(Flow("tcp", ("2001:db8::1", 40_000), ("2001:db8::9", 5060), 1), 0.1)
    ((message, _),) = sent(stack)
    assert (
        message.get(
            "Via",
        )
        is not None
    )
    assert str(message.via).startswith("SIP/2.0/TCP [2001:db8::1]:5060;branch=")
    assert message.values("Contact") == ["<sip:alice@[2001:db8::1]:5060;transport=tcp>"]


def test_a_contact_user_can_smuggle_nothing() -> None:
    stack = make()
    stack.send(request("INVITE"), 0.0, A, contact_user="a\r\nX-Evil: 1>;x=<sip:b")
    ((message, _),) = sent(stack)
    assert message.get("X-Evil") is None
    assert len(message.contacts) == 1


def test_branches_differ() -> None:
    stack = make()
    for _ in range(100):
        stack.send(request(), 0.0, A)
    assert len({message.via.branch for message, _ in sent(stack)}) == 100


def test_a_flow_is_answered_where_it_came_from() -> None:
    stack = make()
    flow = Flow("udp", ("192.0.2.1", 5060), ("203.0.113.5", 61_000), 0)
    stack.send(request(), 0.0, flow)
    assert [f for _, f in sent(stack)] == [flow]


# --- responses ------------------------------------------------------------------------------------------------------


def test_17_1_3_responses_find_their_transaction_and_others_are_dropped() -> None:
    stack = make()
    transaction = stack.send(request(), 0.0, A)
    ((message, flow),) = sent(stack)

    def altered(**change: str) -> bytes:
        response = response_to(message, 200, to_tag="b")
        for name, value in change.items():
            response.set(name, value)
        return response.encode()

    via = message.get("Via") or ""
    stack.receive(altered(Via=via.replace("z9hG4bK", "z9hG4bKx")), flow, 0.1)
    stack.receive(altered(CSeq="1 INVITE"), flow, 0.1)
    stack.receive(altered(Via=via.replace("192.0.2.1:5060", "192.0.2.99:5060")), flow, 0.1)
    stack.receive(altered(Via=via.replace("192.0.2.1:5060", "192.0.2.1:5061")), flow, 0.1)
    stack.receive(altered(Via=f"{via}, SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKother"), flow, 0.1)
    stack.receive(altered(From="nonsense<"), flow, 0.1)
    assert stack.events == []
    assert stack.counters == {
        "stray response": 2,
        "response not for us": 2,  # 18.1.2
        "response of several Via": 1,  # 8.1.3.3
        "malformed, dropped": 1,
    }
    stack.receive(altered(), flow, 0.2)
    assert told(stack) == [200]
    assert transaction.state is ClientState.COMPLETED
    stack.receive(altered(), flow, 0.3)
    assert stack.counters["repeated response"] == 1
    run(stack, 99.0)
    assert not any(stack.sizes().values())


def test_rfc_3581_what_the_server_wrote_into_our_via_does_not_matter() -> None:
    stack = make()
    stack.send(request(), 0.0, A)
    ((message, flow),) = sent(stack)
    message.mark_source("203.0.113.5", 1234)
    reply(stack, (message, flow), 200)
    assert told(stack) == [200]


@pytest.mark.parametrize(
    ("after", "taken"),
    [
        ("", True),
        (";rport", True),
        (";rport=5060;received=192.0.2.1", True),
        (";received=[2001:db8::1];rport", True),
        (";x=y", True),
        (";rport=5060, SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKother", False),  # 8.1.3.3
        (", SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKother", False),
        (";received=<", False),
        (";;", False),
    ],
)
def test_our_own_via_is_known_however_the_peer_has_added_to_it(after: str, taken: bool) -> None:
    stack = make()
    stack.send(request(), 0.0, A)
    ((message, flow),) = sent(stack)
    response = response_to(message, 200, to_tag="b")
    response.set("Via", f"SIP/2.0/UDP 192.0.2.1:5060;branch={message.via.branch}{after}")
    stack.receive(response.encode(), flow, 0.0)
    assert told(stack) == ([200] if taken else [])


def test_a_second_via_field_is_seen_beside_our_own() -> None:
    """8.1.3.3: "If more than one Via header field value is present in a response, the UAC SHOULD discard"."""
    stack = make()
    stack.send(request(), 0.0, A)
    ((message, flow),) = sent(stack)
    response = response_to(message, 200, to_tag="b")
    response.add("Via", "SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKother")
    stack.receive(response.encode(), flow, 0.0)
    assert told(stack) == []


def test_rfc_3263_4_1_a_numeric_host_is_a_target_without_any_question() -> None:
    """4.1: "If no transport protocol is specified, but the TARGET is a numeric IP address, the client SHOULD use UDP
    for a SIP URI"."""
    stack = make()
    for uri in ("sip:bob@192.0.2.11", "sip:192.0.2.11:5070", "sip:bob@[2001:DB8::9]"):
        stack.send(request(uri=uri), 0.0)
    stack.send_ack(request("ACK", "sip:192.0.2.11:5080"), 0.0)
    assert [flow for _, flow in sent(stack)] == [
        Flow("udp", ANY_LOCAL, remote, 0)
        for remote in (("192.0.2.11", 5060), ("192.0.2.11", 5070), ("2001:db8::9", 5060), ("192.0.2.11", 5080))
    ]
    only_tcp = make(transports=("tcp",))
    only_tcp.send(request(uri="sip:bob@192.0.2.11"), 0.0)
    assert only_tcp.effects == [Connect(T)]


def test_every_2xx_to_invite_is_told() -> None:
    stack = make()
    stack.send(request("INVITE"), 0.0, A)
    (invite,) = sent(stack)
    for _ in range(3):
        reply(stack, invite, 200)
    assert told(stack) == [200, 200, 200]
    assert stack.effects == []


# --- failover -------------------------------------------------------------------------------------------------------


def test_rfc_3263_4_3_the_next_target_after_a_time_out() -> None:
    stack = make(try_time=4.0)
    transaction = stack.send(request(), 0.0, (A, B))
    run(stack, 3.9)
    first = sent(stack)
    assert {flow.remote[0] for _, flow in first} == {A.host}
    run(stack, 4.0)
    ((second, flow),) = sent(stack)
    assert flow.remote[0] == B.host
    # "a new transaction": a new branch
    assert second.via.branch != first[0][0].via.branch
    assert transaction.flow == flow
    reply(stack, (second, flow), 200, 4.5)
    assert told(stack) == [200]


def test_the_last_target_has_all_the_time_of_timer_f() -> None:
    stack = make(try_time=4.0)
    stack.send(request(), 0.0, (A, B))
    run(stack, 35.9)
    assert told(stack) == []
    run(stack, 36.0)
    assert told(stack) == [("timeout", "no answer from udp:192.0.2.12:5060")]
    assert not any(stack.sizes().values())


def test_rfc_3263_4_3_the_next_target_after_a_transport_error() -> None:
    stack = make()
    stack.send(request(), 0.0, (A, B))
    ((_, flow),) = sent(stack)
    stack.send_failed(flow, 0.1, "connection refused")
    ((_, flow),) = sent(stack)
    assert flow.remote[0] == B.host
    assert told(stack) == []
    stack.send_failed(flow, 0.2, "connection refused")
    assert told(stack) == [("transport", "connection refused")]
    assert not any(stack.sizes().values())


def test_a_transport_error_after_a_response_changes_nothing() -> None:
    stack = make()
    stack.send(request("INVITE"), 0.0, (A, B))
    (invite,) = sent(stack)
    reply(stack, invite, 100)
    stack.send_failed(invite[1], 0.1, "connection refused")
    assert stack.effects == []
    assert told(stack) == [100]


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_rfc_3263_4_3_the_next_target_after_a_503(method: str) -> None:
    stack = make()
    stack.send(request(method), 0.0, (A, B))
    (first,) = sent(stack)
    reply(stack, first, 503)
    messages = sent(stack)
    assert [m.method for m, _ in messages] == (["ACK", method] if method == "INVITE" else [method])
    assert messages[-1][1].remote[0] == B.host
    assert told(stack) == []
    # The 503 comes again: of INVITE it is acknowledged, nothing more.
    reply(stack, first, 503, 0.5)
    assert [m.method for m, _ in sent(stack)] == (["ACK"] if method == "INVITE" else [])
    reply(stack, messages[-1], 200, 0.6)
    assert told(stack) == [200]
    run(stack, 99.0)
    assert not any(stack.sizes().values())


def test_the_503_of_the_last_target_is_told() -> None:
    stack = make()
    stack.send(request(), 0.0, (A, B))
    for _ in range(2):
        (latest,) = sent(stack)
        reply(stack, latest, 503)
    assert told(stack) == [503]


def test_other_refusals_are_told_and_nobody_else_is_asked() -> None:
    stack = make()
    stack.send(request(), 0.0, (A, B))
    (first,) = sent(stack)
    reply(stack, first, 486)
    assert told(stack) == [486]
    assert stack.effects == []


def test_once_it_has_rung_a_503_is_the_calls_own() -> None:
    stack = make()
    stack.send(request("INVITE"), 0.0, (A, B))
    (first,) = sent(stack)
    reply(stack, first, 183)
    reply(stack, first, 503)
    assert told(stack) == [183, 503]
    assert [m.method for m, _ in sent(stack)] == ["ACK"]


def test_21_5_4_retry_after_is_kept_in_mind() -> None:
    stack = make()
    stack.send(request(), 0.0, (A, B))
    (first,) = sent(stack)
    reply(stack, first, 503, 0.0, "Retry-After: 60 (busy);duration=3600")
    sent(stack)
    for now, host in ((1.0, B.host), (59.0, B.host), (61.0, A.host)):
        stack.send(request(), now, (A, B))
        assert [flow.remote[0] for _, flow in sent(stack)] == [host]
    # Where the user names one target only, it is asked.
    stack.send(request(), 2.0, A)
    assert [flow.remote[0] for _, flow in sent(stack)] == [A.host]


def test_a_target_that_failed_is_tried_last_for_a_while() -> None:
    stack = make(avoid_failed=30.0)
    stack.send(request(), 0.0, A)
    stack.send_failed(sent(stack)[0][1], 0.0, "unreachable")
    for now, hosts in ((1.0, [B.host, A.host]), (31.0, [A.host, B.host])):
        stack.send(request(), now, (A, B))
        seen = []
        while stack.effects:
            ((_, flow),) = sent(stack)
            seen.append(flow.remote[0])
            if len(seen) < 2:
                stack.send_failed(flow, now, "unreachable")
        assert seen == hosts
        stack._outbound._avoided.clear()


def test_what_is_remembered_of_targets_is_bounded() -> None:
    stack = make()
    for n in range(MAX_AVOIDED + 50):
        stack.send(request(), 0.0, Target("udp", f"10.0.{n // 250}.{n % 250}", 5060))
        (effect,) = stack.effects
        stack.effects.clear()
        assert isinstance(effect, Send)
        stack.send_failed(effect.flow, 0.0, "unreachable")
    assert len(stack._outbound._avoided) == MAX_AVOIDED


def test_an_invite_answered_after_its_target_was_left_is_cancelled() -> None:
    stack = make(try_time=4.0)
    stack.send(request("INVITE"), 0.0, (A, B))
    first = sent(stack)[0]
    run(stack, 4.0)
    second = sent(stack)[-1]
    assert second[1].remote[0] == B.host
    reply(stack, first, 180, 4.1)
    ((cancel, flow),) = sent(stack)
    assert (cancel.method, flow.remote[0], cancel.via.branch) == ("CANCEL", A.host, first[0].via.branch)
    reply(stack, (cancel, flow), 200, 4.2)
    reply(stack, first, 487, 4.2)
    assert [m.method for m, _ in sent(stack)] == ["ACK"]
    reply(stack, second, 200, 4.3)
    assert told(stack) == [200]
    run(stack, 99.0)
    assert not any(stack.sizes().values())


# --- CANCEL ---------------------------------------------------------------------------------------------------------


def test_9_1_a_cancel_after_a_provisional_response() -> None:
    stack = make()
    transaction = stack.send(request("INVITE"), 0.0, A)
    (invite,) = sent(stack)
    reply(stack, invite, 180)
    stack.cancel(transaction, 1.0, "SIP;cause=200")
    stack.cancel(transaction, 1.0)
    ((cancel, flow),) = sent(stack)
    assert (cancel.method, flow) == ("CANCEL", invite[1])
    assert cancel.get("Via") == invite[0].get("Via")
    assert cancel.get("CSeq") == "1 CANCEL"
    assert cancel.get("Reason") == "SIP;cause=200"
    reply(stack, (cancel, flow), 200, 1.1)
    reply(stack, invite, 487, 1.2)
    assert told(stack) == [180, 487]
    assert [m.method for m, _ in sent(stack)] == ["ACK"]


def test_9_1_a_cancel_before_any_response_waits_and_stops_failover() -> None:
    stack = make()
    transaction = stack.send(request("INVITE"), 0.0, (A, B))
    (invite,) = sent(stack)
    stack.cancel(transaction, 0.1)
    assert stack.effects == []
    reply(stack, invite, 100, 0.2)
    assert [m.method for m, _ in sent(stack)] == ["CANCEL"]
    reply(stack, invite, 503, 0.3)
    assert told(stack) == [100, 503]


def test_9_1_without_any_final_response_it_ends_64_t1_after_the_cancel() -> None:
    stack = make()
    transaction = stack.send(request("INVITE"), 0.0, A)
    (invite,) = sent(stack)
    reply(stack, invite, 180)
    told(stack)
    stack.cancel(transaction, 10.0)
    run(stack, 41.9)
    assert told(stack) == []
    run(stack, 42.0)
    assert told(stack) == [("timeout", "no answer from udp:192.0.2.11:5060")]
    assert not any(stack.sizes().values())


def test_a_cancel_before_the_request_was_sent_ends_it() -> None:
    stack = make()
    transaction = stack.send(request("INVITE", "sip:bob@biloxi.example"), 0.0)
    stack.effects.clear()
    stack.cancel(transaction, 0.1)
    assert told(stack) == [("unresolved", "cancelled before it was sent")]
    assert not any(stack.sizes().values())
    stack.resolved(transaction.id, [()], 0.2)
    assert stack.effects == []


def test_a_cancel_of_what_is_answered_does_nothing() -> None:
    stack = make()
    transaction = stack.send(request("INVITE"), 0.0, A)
    (invite,) = sent(stack)
    reply(stack, invite, 200)
    stack.cancel(transaction, 1.0)
    assert stack.effects == []


# --- ACK to a 2xx ---------------------------------------------------------------------------------------------------


def test_13_2_2_4_the_ack_to_a_2xx_has_its_own_branch_and_no_transaction() -> None:
    stack = make()
    stack.send_ack(request("ACK"), 0.0, A)
    second, third = request("ACK"), request("ACK", "sip:bob@192.0.2.13")
    second.set("CSeq", "2 ACK")
    third.set("CSeq", "3 ACK")
    stack.send_ack(second, 0.0, (B, C), "alice")
    stack.send_ack(third, 0.0, None)
    messages = sent(stack)
    assert [flow.remote[0] for _, flow in messages] == [A.host, B.host, C.host]
    assert len({m.via.branch for m, _ in messages}) == 3
    assert [len(m.contacts) for m, _ in messages] == [0, 1, 0]
    assert not any(stack.sizes().values())


def test_13_2_2_4_the_ack_of_a_repeated_2xx_is_the_same_to_the_last_byte() -> None:
    stack = make()
    stack.send_ack(request("ACK"), 0.0, A)
    stack.send_ack(request("ACK"), 0.5, A)
    first, again = [effect.data for effect in stack.effects if isinstance(effect, Send)]
    assert first == again


def test_an_ack_is_looked_up_too() -> None:
    stack = make()
    stack.send_ack(request("ACK", "sip:bob@biloxi.example:5060"), 0.0)
    (resolve,) = stack.effects
    assert isinstance(resolve, Resolve)
    stack.effects.clear()
    stack.resolved(resolve.query, [("192.0.2.11",), ()], 0.1)
    assert [flow.remote for _, flow in sent(stack)] == [("192.0.2.11", 5060)]
    stack.send_ack(request("ACK", "tel:+43123"), 0.0)
    assert stack.effects == []
    assert not any(stack.sizes().values())


# --- look-ups -------------------------------------------------------------------------------------------------------


def test_rfc_3263_without_destination_the_request_uri_is_located() -> None:
    stack = make()
    stack.send(request(), 0.0)
    rounds = []
    answers: list[list[object]] = [
        [()],
        [(Srv(0, 0, 5071, "h.biloxi.example"),), ()],
        [("192.0.2.11",), ()],
    ]
    for answer in answers:
        (resolve,) = stack.effects
        assert isinstance(resolve, Resolve)
        rounds.append([q.kind for q in resolve.questions])
        stack.effects.clear()
        stack.resolved(resolve.query, answer, 0.1)  # type: ignore[arg-type]
    assert rounds == [["NAPTR"], ["SRV", "SRV"], ["A", "AAAA"]]
    ((_, flow),) = sent(stack)
    assert flow.remote == ("192.0.2.11", 5071)


def test_8_1_2_the_topmost_route_is_located_first() -> None:
    stack = make()
    message = request()
    message.add("Route", "<sip:192.0.2.12;lr>, <sip:192.0.2.13;lr>")
    stack.send(message, 0.0)
    ((_, flow),) = sent(stack)
    assert flow.remote[0] == "192.0.2.12"


@pytest.mark.parametrize("uri", ["sips:bob@biloxi.example", "tel:+43123", "sip:bob@x.example;transport=sctp"])
def test_what_cannot_be_located_fails_at_once(uri: str) -> None:
    stack = make()
    transaction = stack.send(request(uri=uri), 0.0)
    (failure,) = told(stack)
    assert isinstance(failure, tuple)
    assert failure[0] == "unresolved"
    assert transaction.state is ClientState.TERMINATED
    assert not any(stack.sizes().values())


def test_a_name_without_address_fails_with_the_reason() -> None:
    stack = make()
    stack.send(request(uri="sip:bob@nowhere.example:5060"), 0.0)
    (resolve,) = stack.effects
    assert isinstance(resolve, Resolve)
    assert resolve.questions == (Question("nowhere.example", "A"), Question("nowhere.example", "AAAA"))
    stack.resolved(resolve.query, ["no answer in time", ()], 3.0)
    ((cause, detail),) = told(stack)  # type: ignore[misc]
    assert cause == "unresolved"
    assert "no answer in time" in detail
    assert not any(stack.sizes().values())


def test_an_answer_that_never_comes_ends_it_too() -> None:
    stack = make()
    stack.send(request(), 0.0)
    run(stack, 32.0)
    assert told(stack) == [("unresolved", "no answer from the DNS")]
    assert not any(stack.sizes().values())


def test_a_target_is_an_address_and_never_a_name() -> None:
    stack = make()
    stack.send(request(), 0.0, Target("udp", "gateway.example", 5060))
    assert told(stack) == [("unresolved", "gateway.example is no address")]
    stack.send_ack(request("ACK"), 0.0, Target("udp", "gateway.example", 5060))
    assert stack.effects == []
    assert not any(stack.sizes().values())


def test_no_target_at_all_fails() -> None:
    stack = make()
    stack.send(request(), 0.0, ())
    assert told(stack) == [("unresolved", "no target")]


# --- 18.1.1: large requests -----------------------------------------------------------------------------------------

LARGE = b"x" * 1300


def test_18_1_1_a_large_request_goes_over_tcp_and_back_to_udp_where_that_is_refused() -> None:
    stack = make()
    stack.send(request("MESSAGE", "sip:bob@192.0.2.11", LARGE), 0.0)
    assert stack.effects == [Connect(T)]
    stack.effects.clear()
    stack.send_failed(T, 0.1, "refused")
    ((message, flow),) = sent(stack)
    assert flow.transport == "udp"
    # "If this causes a change in the transport protocol from the one indicated in the top Via, the value in the top
    # Via MUST be changed."
    assert message.via.transport == "UDP"
    # The refusal is remembered.
    stack.send(request("MESSAGE", "sip:bob@192.0.2.11", LARGE), 1.0)
    assert [f.transport for _, f in sent(stack)] == ["udp"]
    run(stack, 99.0)
    assert told(stack) == [("timeout", "no answer from udp:192.0.2.11:5060")] * 2


def test_18_1_1_silence_over_tcp_leads_back_to_udp_as_well() -> None:
    stack = make(try_time=4.0)
    stack.send(request("MESSAGE", "sip:bob@192.0.2.11", LARGE), 0.0)
    stack.effects.clear()
    run(stack, 4.0)
    assert [f.transport for _, f in sent(stack)] == ["udp"]


def test_18_1_1_a_transport_that_was_asked_for_stays() -> None:
    flow = Flow("udp", ("192.0.2.1", 5060), ("192.0.2.11", 5060), 0)
    for stack, uri, destination in (
        (make(), "sip:bob@192.0.2.11;transport=udp", None),
        (make(), "sip:bob@192.0.2.11", A),
        (make(), "sip:bob@192.0.2.11", flow),
        (make(large_over_tcp=False), "sip:bob@192.0.2.11", None),
        (make(transports=("udp",)), "sip:bob@192.0.2.11", None),
    ):
        stack.send(request("MESSAGE", uri, LARGE), 0.0, destination)  # type: ignore[arg-type]
        assert [f.transport for _, f in sent(stack)] == ["udp"]


# --- connections ----------------------------------------------------------------------------------------------------

OPEN = Flow("tcp", ("192.0.2.1", 40_001), ("192.0.2.11", 5060), 3)


def test_requests_wait_for_one_connection_and_share_it() -> None:
    stack = make()
    stack.send(request(), 0.0, T)
    stack.send(request(), 0.0, T)
    assert stack.effects == [Connect(T)]
    stack.effects.clear()
    stack.connected(OPEN, 0.1)
    assert [flow for _, flow in sent(stack)] == [OPEN, OPEN]
    third = stack.send(request(), 0.2, T)
    assert [flow for _, flow in sent(stack)] == [OPEN]
    assert third.flow == OPEN


def test_a_connection_of_the_peers_is_used_for_its_own_address() -> None:
    stack = make()
    theirs = Flow("tcp", ("192.0.2.1", 5060), ("203.0.113.7", 49_152), 9)
    stack.connected(theirs, 0.0)
    stack.send(request(), 0.0, Target("tcp", "203.0.113.7", 49_152))
    assert [flow for _, flow in sent(stack)] == [theirs]


@pytest.mark.parametrize("targets", [(T, B), (T,)])
def test_what_was_given_up_is_not_sent_when_its_connection_opens_late(targets: tuple[Target, ...]) -> None:
    stack = make(try_time=4.0)
    stack.send(request("INVITE"), 0.0, targets)
    stack.send_ack(request("ACK"), 0.0, T)
    run(stack, 40.0)
    stack.effects.clear()
    stack.connected(OPEN, 40.0)
    assert [m.method for m, _ in sent(stack)] == ["ACK"]


def test_a_refused_connection_fails_what_waited() -> None:
    stack = make()
    stack.send(request("INVITE"), 0.0, T)
    stack.send(request(), 0.0, T)
    stack.effects.clear()
    stack.send_failed(T, 0.1, "refused")
    assert told(stack) == [("transport", "refused")] * 2
    assert not any(stack.sizes().values())


def test_a_lost_connection_fails_what_has_no_answer_and_spares_the_rest() -> None:
    stack = make()
    stack.connected(OPEN, 0.0)
    waiting = stack.send(request(), 0.0, OPEN)
    ringing = stack.send(request("INVITE"), 0.0, OPEN)
    invite = sent(stack)[1]
    stack.receive_stream(response_to(invite[0], 180, to_tag="b").encode(), OPEN, 0.1)
    stack.disconnected(OPEN, 1.0, "reset")
    assert told(stack) == [180, ("transport", "reset"), ConnectionLost(OPEN)]
    assert waiting.state is ClientState.TERMINATED
    # 18.2.2: the server opens a new one for its response.
    back = Flow("tcp", ("192.0.2.1", 5062), ("192.0.2.11", 44_444), 4)
    stack.connected(back, 2.0)
    stack.receive_stream(response_to(invite[0], 200, to_tag="b").encode(), back, 2.1)
    assert told(stack) == [200]
    assert ringing.state is ClientState.ACCEPTED


def test_a_flow_that_is_gone_fails_at_once() -> None:
    stack = make()
    stack.send(request(), 0.0, OPEN)
    assert told(stack) == [("transport", "the connection is gone")]
    assert stack.effects == []
    assert not any(stack.sizes().values())


def test_the_ack_to_a_refusal_reopens_a_connection_that_is_gone() -> None:
    stack = make()
    stack.connected(OPEN, 0.0)
    stack.send(request("INVITE"), 0.0, OPEN)
    (invite,) = sent(stack)
    stack.receive_stream(response_to(invite[0], 180, to_tag="b").encode(), OPEN, 0.1)
    stack.disconnected(OPEN, 1.0)
    back = Flow("tcp", ("192.0.2.1", 5062), ("192.0.2.11", 44_444), 4)
    stack.connected(back, 2.0)
    stack.receive_stream(response_to(invite[0], 486, to_tag="b").encode(), back, 2.1)
    assert stack.effects == [Connect(T)]


def test_what_waits_for_connections_is_bounded() -> None:
    stack = make()
    for _ in range(MAX_WAITING + 10):
        stack.send(request(), 0.0, T)
    assert told(stack) == [("transport", "too much waits for connections")] * 10
    for n in range(MAX_OPENING + 10):
        stack.send(request(), 0.0, Target("tcp", f"10.0.{n // 250}.{n % 250}", 5060))
    assert len([e for e in stack.effects if isinstance(e, Connect)]) == MAX_OPENING
    assert len(stack.events) == 11


def alive() -> int:
    return sum(isinstance(thing, ClientTransaction) for thing in gc.get_objects())


def test_a_finished_client_transaction_is_freed_by_reference_counts() -> None:
    stack = make()
    before = alive()
    gc.disable()
    try:
        stack.send(request("INVITE"), 0.0, (A, B))
        (first,) = sent(stack)
        reply(stack, first, 503)
        second = sent(stack)[-1]
        reply(stack, second, 180)
        for event in stack.events:
            assert isinstance(event, ResponseReceived)
            stack.cancel(event.transaction, 0.0)
        del event
        reply(stack, second, 487)
        stack.events.clear()
        run(stack, 99.0)
        stack.effects.clear()
        assert alive() == before
    finally:
        gc.enable()


def test_responses_are_responses() -> None:
    """A request that names our own branch is no response."""
    stack = make()
    stack.send(request(), 0.0, A)
    ((message, flow),) = sent(stack)
    assert isinstance(parse(response_to(message, 200).encode()), Response)
    stack.receive(message.encode(), flow, 0.0)
    assert stack.counters == {}
    assert len(stack.events) == 1
