"""Invariants of messages: what is written is read again, however it is folded, shortened or split."""

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from sip.framing import KeepAlive, StreamFramer
from sip.headers import CSeq, NameAddr, Via, canonical, split_list
from sip.message import Message, Request, Response
from sip.parser import check_request, check_response, parse
from sip.uri import Uri, escape_user

TOKENS = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=20)
# Anything a header may hold; blanks at its ends are not part of it.
VALUES = st.text(
    st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff"), max_size=60
).map(lambda text: text.strip(" \t"))
# Bytes that are no UTF-8 stand for themselves, so two halves of a character must not meet.
VALUES = VALUES.filter(lambda text: text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == text)
NAMES = TOKENS.map(canonical).filter(lambda name: name != "Content-Length")
BODIES = st.binary(max_size=200)

HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9\-]{0,8}[a-z0-9])?(\.[a-z]{1,5}){0,2}", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
PORTS = st.none() | st.integers(0, 65_535)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
URI_PARAMS = st.dictionaries(TEXTS.filter(bool).map(str.lower), st.none() | TEXTS.filter(bool), max_size=3)
URIS = st.builds(
    Uri,
    st.sampled_from(["sip", "sips"]),
    TEXTS.map(escape_user),
    st.just(""),
    HOSTS,
    PORTS,
    URI_PARAMS,
    st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=2),
)
PLAIN_URIS = st.builds(Uri, st.just("sip"), TEXTS.map(escape_user), st.just(""), HOSTS, PORTS, URI_PARAMS)
PARAMS = st.dictionaries(TOKENS.map(str.lower), st.none() | TOKENS, max_size=3)
# CR and LF can't be in a quoted-string.
DISPLAYS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
ADDRESSES = st.builds(NameAddr, DISPLAYS, URIS, PARAMS)
VIAS = st.builds(Via, st.sampled_from(["UDP", "TCP", "TLS", "X-9"]), HOSTS, PORTS, PARAMS)
METHODS = st.sampled_from(["INVITE", "ACK", "BYE", "OPTIONS", "NEWMETHOD"]) | TOKENS


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Anything that can be written: not necessarily what a peer would make of it."""
    headers = draw(st.lists(st.tuples(NAMES, VALUES), max_size=12))
    if draw(st.booleans()):
        uri = draw(st.text(string.ascii_letters + string.punctuation, min_size=1, max_size=40))
        return Request(draw(METHODS), uri, headers, draw(BODIES))
    return Response(draw(st.integers(100, 699)), draw(VALUES), headers, draw(BODIES))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Requests that keep every rule."""
    method = draw(METHODS)
    headers = [
        ("Via", ", ".join(map(str, draw(st.lists(VIAS, min_size=1, max_size=3))))),
        ("From", str(draw(ADDRESSES))),
        ("To", str(draw(ADDRESSES))),
        ("Call-ID", draw(TOKENS)),
        ("CSeq", str(CSeq(draw(st.integers(0, 2**31 - 1)), method))),
        ("Max-Forwards", str(draw(st.integers(0, 255)))),
        ("Contact", ", ".join(map(str, draw(st.lists(ADDRESSES, min_size=1, max_size=3))))),
        ("Supported", ", ".join(draw(st.lists(TOKENS, max_size=3)))),
        ("Subject", draw(VALUES)),
    ]
    return Request(method, str(draw(PLAIN_URIS)), draw(st.permutations(headers)), draw(BODIES))


@given(messages())
def test_what_is_written_is_read_again(message: Message) -> None:
    assert parse(message.encode()) == message
    assert parse(message.encode()).encode() == message.encode()


@given(requests())
def test_what_keeps_the_rules_is_taken(request: Request) -> None:
    again = parse(request.encode())
    assert isinstance(again, Request)
    check_request(again)
    assert again == request
    response = Response(200, None, [h for h in request.headers if h[0] in ("Via", "From", "To", "Call-ID", "CSeq")])
    check_response(response)
    assert (again.via, again.from_, again.to, again.cseq) == (request.via, request.from_, request.to, request.cseq)


@given(URIS)
def test_uris_are_read_as_written(uri: Uri) -> None:
    assert Uri.parse(str(uri)) == uri
    assert uri.equals(Uri.parse(str(uri)))


@given(URIS, URIS)
def test_equality_of_uris_is_symmetric(one: Uri, other: Uri) -> None:
    assert one.equals(other) == other.equals(one)


@given(st.lists(ADDRESSES, max_size=4))
def test_lists_of_addresses_are_split_where_they_were_joined(addresses: list[NameAddr]) -> None:
    joined = ", ".join(map(str, addresses))
    assert [NameAddr.parse(part) for part in split_list(joined)] == addresses


@given(VIAS)
def test_vias_are_read_as_written(via: Via) -> None:
    assert Via.parse(str(via)) == via


COMPACT = {"Via": "v", "From": "f", "To": "t", "Call-ID": "i", "Contact": "m", "Supported": "k", "Subject": "s"}


@given(requests(), st.randoms(use_true_random=False))
def test_compact_folded_and_respelt_forms_are_the_same(request: Request, random: st.randoms) -> None:  # type: ignore[valid-type]
    lines = [f"{request.method} {request.uri} SIP/2.0"]
    for name, value in request.headers:
        spelling = random.choice([name, name.lower(), name.upper(), COMPACT.get(name, name)])  # type: ignore[attr-defined]
        before = random.choice(["", " ", "\t "])  # type: ignore[attr-defined]
        after = random.choice(["", " ", "\r\n ", " \r\n\t "])  # type: ignore[attr-defined]
        end = random.choice(["", " ", "\t"])  # type: ignore[attr-defined]
        if name == "CSeq":
            value = value.replace(" ", "\r\n  ")
        lines.append(f"{spelling}{before}:{after}{value}{end}")
    head = "\r\n".join(lines) + f"\r\nl:{len(request.body)}\r\n\r\n"
    again = parse(head.encode("utf-8", "surrogateescape") + request.body)
    assert isinstance(again, Request)
    check_request(again)
    assert again.body == request.body
    assert again.vias == request.vias
    assert (again.from_, again.to, again.contacts) == (request.from_, request.to, request.contacts)
    assert (again.call_id, again.cseq, again.max_forwards) == (request.call_id, request.cseq, request.max_forwards)
    assert (again.get("Subject"), again.supported) == (request.get("Subject"), request.supported)


@given(st.lists(messages() | st.just(None), max_size=4), st.lists(st.integers(0, 4_000), max_size=8))
@settings(max_examples=60)
def test_every_split_of_a_stream_gives_the_same(parts: list[Message | None], cuts: list[int]) -> None:
    # A name or method may begin as no SIP does in a stream ("%" and "'" are tokens, and they are taken).
    stream = b"".join(b"\r\n\r\n" if part is None else part.encode() for part in parts)
    expected = [KeepAlive.PING if part is None else part.encode() for part in parts]
    framer = StreamFramer()
    items: list[bytes | KeepAlive] = []
    at = 0
    for cut in [*sorted(cut for cut in cuts if cut < len(stream)), len(stream)]:
        items += framer.feed(stream[at:cut])
        at = cut
    assert items == expected
    assert framer.pending == 0
