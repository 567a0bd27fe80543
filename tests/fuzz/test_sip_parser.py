"""Whatever comes, a message or a documented error comes out, in bounded time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial

import pytest
from torture_files import MESSAGES, needs_torture

from sip.digest import ALGORITHMS, DigestServer, Refusal, ha1
from sip.errors import ParseError, SipError
from sip.framing import KeepAlive, StreamError, StreamFramer
from sip.message import Message, Request, Response, response_to
from sip.parser import check_request, check_response, parse
from sip.uri import Uri

ROUNDS = 40  # mutations of each message: a second or two in all
LONGEST = 0.010  # seconds of CPU for one input

PIECES = (
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b";", b",", b'"', b"\\", b"<", b">", b"@", b"%", b"%00", b"\x00", b"\xff",
    b"=", b"/", b"?", b"[", b"]", b"SIP/2.0", b"sip:", b"Via: SIP/2.0/UDP a;branch=z9hG4bK", b"\r\nl: 5\r\n", b"-1",
    b"*", b"99999999999999999999", b"tag=", b"\r\n\r\n", b"\r\n ", b"\xe2\x80\xa8", b"\xc2\x85", b"\x1b[2J", b"a" * 300,
    b";;" * 90,
)  # fmt: skip


def torture() -> list[bytes]:
    return [file.read_bytes() for file in sorted(MESSAGES.glob("*.dat"))]


def mutated(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.choice((0, 1, 1, 2, 8, 40)))
        match chance.randrange(4):
            case 0:
                changed[at:end] = chance.choice(PIECES)
            case 1:
                del changed[at:end]
            case 2:
                changed[at:at] = changed[at:end] * chance.choice((1, 2, 50))
            case _:
                changed[at:end] = chance.randbytes(end - at)
    return bytes(changed)


TYPED = (
    "via", "vias", "from_", "to", "from_tag", "to_tag", "call_id", "cseq", "contacts", "contact", "contact_is_star",
    "max_forwards", "expires", "content_type", "routes", "record_routes", "paths", "supported", "required", "allow",
)  # fmt: skip


def refused(read: Callable[[], object]) -> SipError | None:
    """Nothing but the documented error may come out."""
    try:
        read()
    except SipError as error:
        return error
    return None


def use(message: Message) -> None:
    """Everything the layers above do with a message from outside."""
    reads: list[Callable[[], object]] = [partial(getattr, message, name) for name in TYPED]
    if isinstance(message, Request):
        reads += [lambda: str(message.request_uri), lambda: (message.request_uri.aor(), message.request_uri.username)]
    for read in reads:
        error = refused(read)
        if error is not None:
            assert 400 <= error.status < 700
            assert error.reason.isascii()
            assert error.reason.isprintable()
    data = message.encode()
    assert parse(data) == message
    assert parse(data).encode() == data


def check(data: bytes) -> Message:
    message = parse(data)
    use(message)
    if isinstance(message, Request):
        check_request(message)
    else:
        check_response(message)
    return message


def judge(data: bytes) -> Message | None:
    """The message when it is taken; None when it is refused, and then the refusal can be sent."""
    message: Message | None = None
    error: ParseError | None = None
    try:
        message = check(data)
    except ParseError as caught:
        error = caught
    if error is None:
        if isinstance(message, Request):
            message.mark_source("192.0.2.1", 5060)
            check_response(response_to(message, 200, to_tag="tag"))
        return message
    assert error.status in (400, 413, 414, 505)
    request = error.request
    if request is not None:
        assert request.method != "ACK"
        request.mark_source("192.0.2.1", 5060)
        answer = parse(response_to(request, error.status, error.reason, "tag").encode())
        assert isinstance(answer, Response)
        assert (answer.via.transport, answer.via.host) == (request.via.transport, request.via.host)
    return None


def timed(data: bytes) -> Message | None:
    """Judge in bounded time; a second try tells a slow input from a moment's distraction of the machine."""
    for _ in range(4):
        began = time.process_time()
        message = judge(data)
        if time.process_time() - began < LONGEST:
            return message
    pytest.fail(f"slow on {data!r}")


@needs_torture
def test_mutated_torture_messages() -> None:
    chance = random.Random(4475)
    taken = 0
    for data in torture():
        for _ in range(ROUNDS):
            taken += timed(mutated(data, chance)) is not None
    # Some mutations hurt nothing, most do: neither all nor none may pass.
    assert 0 < taken < ROUNDS * 49


def test_random_bytes() -> None:
    chance = random.Random(3261)
    for _ in range(300):
        assert timed(chance.randbytes(chance.randrange(600))) is None
        head = b"".join(chance.choice(PIECES) for _ in range(chance.randrange(60)))
        timed(b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z\r\n" + head + b"\r\n\r\n")


@needs_torture
def test_streams_of_mutated_messages_end_in_messages_or_one_error() -> None:
    chance = random.Random(5626)
    originals = torture()
    ended = 0
    for _ in range(600):
        stream = b"".join(mutated(chance.choice(originals), chance) for _ in range(3))
        whole, error = framed(stream, [len(stream)])
        cuts = sorted(chance.randrange(len(stream) + 1) for _ in range(6))
        split, other = framed(stream, [*cuts, len(stream)])
        assert whole == split
        assert (error is None) == (other is None)
        if error is not None and other is not None:
            assert (error.status, error.reason) == (other.status, other.reason)
            ended += 1
        for item in whole:
            if isinstance(item, bytes):
                timed(item)
    assert ended


def framed(stream: bytes, cuts: list[int]) -> tuple[list[bytes | KeepAlive], StreamError | None]:
    framer = StreamFramer()
    items: list[bytes | KeepAlive] = []
    at = 0
    for cut in cuts:
        try:
            items += framer.feed(stream[at:cut])
        except StreamError as error:
            return items + error.items, error
        at = cut
    return items, None


def test_digest_credentials() -> None:
    digest = DigestServer("realm", b"0123456789abcdef")
    users = {"alice": {name: ha1("alice", "realm", "password", name) for name in ALGORITHMS}}
    chance = random.Random(7616)
    good = (
        b'Digest username="alice", realm="realm", nonce="'
        + digest.challenge(1.0)[0][30:70].encode()
        + b'", uri="sip:a", '
        b'response="0123456789abcdef0123456789abcdef", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"'
    )
    for _ in range(2_000):
        text = mutated(good, chance).decode("utf-8", "surrogateescape")
        began = time.process_time()
        verdict = digest.verify(text, "REGISTER", "sip:a", users.get, 2.0)
        assert time.process_time() - began < 0.05
        assert verdict in (Refusal.FAILED, Refusal.STALE)


def test_uris() -> None:
    chance = random.Random(1914)
    for _ in range(3_000):
        text = mutated(b"sip:alice:pw@[2001:db8::1]:5060;lr;x=%41?a=b&c=d", chance).decode("utf-8", "surrogateescape")
        if refused(partial(Uri.parse, text)) is not None:
            continue
        uri = Uri.parse(text)
        again = Uri.parse(str(uri))
        assert again.equals(uri)
        assert str(again) == str(uri)
        assert again.aor() == uri.aor()
