"""Streams cut into messages (RFC 3261 18.3) and keep-alives (RFC 5626)."""

from __future__ import annotations

import time

import pytest

from sip.framing import PING, PONG, KeepAlive, StreamError, StreamFramer
from sip.message import Request
from sip.parser import Limits, parse

HEAD = (
    b"OPTIONS sip:bob@biloxi.com SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP pc33.atlanta.com;branch=z9hG4bK776asdhds\r\n"
    b"To: Bob <sip:bob@biloxi.com>\r\n"
    b"From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n"
    b"Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n"
    b"CSeq: 314159 OPTIONS\r\n"
)
EMPTY = HEAD + b"Content-Length: 0\r\n\r\n"
FULL = HEAD + b"l : 12\r\nSubject: x\r\n\r\nhello\r\n\r\n\r\nx"
FOLDED = HEAD + b"Content-Length:\r\n \t 3\r\n\r\nabc"
RESPONSE = b"SIP/2.0 200 OK\r\ncontent-LENGTH:2\r\n\r\nok"
PINGED = KeepAlive.PING


def failure(data: bytes, limits: Limits | None = None) -> StreamError:
    framer = StreamFramer() if limits is None else StreamFramer(limits)
    with pytest.raises(StreamError) as caught:
        framer.feed(data)
    assert framer.feed(EMPTY) == []
    assert framer.pending == 0
    return caught.value


def test_rfc_3261_18_3_messages_end_where_content_length_says() -> None:
    assert StreamFramer().feed(EMPTY + FULL + FOLDED + RESPONSE + EMPTY) == [EMPTY, FULL, FOLDED, RESPONSE, EMPTY]


def test_every_split_gives_the_same() -> None:
    stream = EMPTY + PING + FULL + b"\r\n" + FOLDED + RESPONSE + PING
    whole = [EMPTY, PINGED, FULL, FOLDED, RESPONSE, PINGED]
    for at in range(len(stream) + 1):
        framer = StreamFramer()
        assert framer.feed(stream[:at]) + framer.feed(stream[at:]) == whole
    framer = StreamFramer()
    assert [item for i in range(len(stream)) for item in framer.feed(stream[i : i + 1])] == whole
    assert framer.pending == 0


def test_rfc_5626_4_4_1_two_crlf_are_a_ping_and_one_is_ignored() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n") == []
    assert framer.feed(b"\r") == []
    assert framer.feed(b"\n") == [PINGED]
    assert framer.feed(PING + PING) == [PINGED, PINGED]
    assert framer.feed(PONG + EMPTY + PONG) == [EMPTY]
    # The lone CRLF before a message and the one after it are not a ping together...
    assert framer.feed(EMPTY) == [EMPTY]
    assert framer.feed(PONG) == []


def test_pending_tells_whether_a_message_is_unfinished() -> None:
    framer = StreamFramer()
    assert framer.pending == 0
    framer.feed(FULL[:-1])
    assert framer.pending == len(FULL) - 1
    framer.feed(FULL[-1:])
    assert framer.pending == 0


def test_a_message_that_never_ends_can_be_answered_once_its_head_is_there() -> None:
    framer = StreamFramer()
    framer.feed(FULL[:30])
    assert framer.unfinished().request is None
    framer.feed(FULL[30:-1])
    error = framer.unfinished()
    assert error.status == 400
    assert error.request is not None
    assert error.request.cseq.number == 314159


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (b"", "Missing Content-Length"),
        (b"Content-Length: -999\r\n", "Bad Content-Length"),
        (b"Content-Length: +5\r\n", "Bad Content-Length"),
        (b"Content-Length: 5 5\r\n", "Bad Content-Length"),
        (b"Content-Length: 5\r\n 0\r\n", "Bad Content-Length"),
        (b"Content-Length:\r\n", "Bad Content-Length"),
        (b"Content-Length: 0x10\r\n", "Bad Content-Length"),
        (b"Content-Length: " + b"9" * 3_000 + b"\r\n", "Bad Content-Length"),
        (b"Content-Length: 5\r\nl: 7\r\n", "Content-Length twice"),
        (b"l: 0\r\nCONTENT-length : 0\r\n", "Content-Length twice"),
        (b"X: a\nContent-Length: 0\r\n", "Bare CR or LF"),
        (b"Content-Length: 0\rX: a\r\n", "Bare CR or LF"),
    ],
)
def test_threat_14_lengths_that_cannot_be_trusted_end_the_stream(length: bytes, reason: str) -> None:
    smuggled = b"BYE sip:x SIP/2.0\r\nContent-Length: 0\r\n\r\n"
    error = failure(EMPTY + HEAD + length + b"\r\n" + smuggled)
    assert (error.status, error.reason) == (400, reason)
    assert error.items == [EMPTY]
    assert error.request is not None
    assert error.request.call_id == "a84b4c76e66710@pc33.atlanta.com"


def test_a_length_hidden_in_a_fold_is_none() -> None:
    data = HEAD + b"Subject: x\r\n Content-Length: 99\r\nContent-Length: 2\r\n\r\nok"
    assert StreamFramer().feed(data) == [data]
    message = parse(data)
    assert message.body == b"ok"


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00",
        b"\x00",
        b" OPTIONS",
        b"\rX",
        b"GET / HTTP/1.1\r\n",
        b"hello\r\n",
        b"OPTIONS sip:a\n",
        b"\x80\x81",
        b"(",
    ],
)
def test_threat_15_garbage_is_refused_as_soon_as_it_is_seen(garbage: bytes) -> None:
    error = failure(EMPTY + garbage)
    assert (error.status, error.items, error.request) == (400, [EMPTY], None)


def test_other_versions_are_framed_for_who_answers_them() -> None:
    data = EMPTY.replace(b"SIP/2.0\r", b"sip/7.0\r")
    assert StreamFramer().feed(data) == [data]


def test_what_is_too_large_is_413_before_it_is_kept() -> None:
    error = failure(HEAD + b"Content-Length: 70000\r\n\r\n")
    assert (error.status, error.reason) == (413, "Message too large")
    assert isinstance(error.request, Request)
    endless = failure(HEAD + b"X: y\r\n" * 20_000)
    assert endless.status == 413
    assert endless.request is not None
    assert failure(b"A" * 9_000).reason == "Start line too long"
    few = Limits(message=1_000)
    assert failure(HEAD + b"Content-Length: 900\r\n\r\n", few).status == 413
    StreamFramer(few).feed(HEAD + b"Content-Length: 100\r\n\r\n")


def test_the_buffer_is_bounded() -> None:
    framer = StreamFramer()
    framer.feed(HEAD)
    most = 0
    for _ in range(65):
        framer.feed(b"X: " + b"y" * 997)
        most = max(most, framer.pending)
    with pytest.raises(StreamError):
        framer.feed(b"X: " + b"y" * 997)
    assert most <= 66_000


@pytest.mark.parametrize("filling", [b"X: y\r\n", b"x", b"\r\n ", b"X:"])
def test_bytes_that_come_one_by_one_are_not_searched_again_and_again(filling: bytes) -> None:
    data = HEAD + b"X: " + filling * (60_000 // len(filling))
    framer = StreamFramer()
    began = time.process_time()
    for i in range(len(data)):
        framer.feed(data[i : i + 1])
    assert framer.pending == len(data)
    # 60,000 calls of a few microseconds; searching all of it each time takes a hundred times as long
    assert time.process_time() - began < 1.5
