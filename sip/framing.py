"""Cutting a stream into messages (RFC 3261 18.3) and keep-alives (RFC 5626 4.4.1). Theory of operation:

    BETWEEN --CRLF CRLF--> BETWEEN, a KeepAlive.PING
       |
       | a character that can begin a start line
       v
     HEAD --empty line, one good Content-Length--> BODY --all bytes there--> BETWEEN, one message
       |                                              |
       +------ anything else: StreamError, CLOSED ----+

RFC 3261 18.3: "In the case of stream-oriented transports such as TCP, the Content-Length header field indicates the
size of the body. The Content-Length header field MUST be used with stream oriented transports." Without one, or with
two, nobody can say where the next message begins, so the stream ends there: what follows is never read as a request.

What is searched once is not searched again, so a stream may come byte by byte.
"""

from __future__ import annotations

import enum
import re
from typing import Final, NoReturn

from sip.errors import ParseError
from sip.message import Request
from sip.parser import LIMITS, Limits, salvage


class KeepAlive(enum.Enum):
    """What is not a message. PING: the peer sent CRLF CRLF and waits for `PONG`."""

    PING = enum.auto()


PONG: Final = b"\r\n"
"""RFC 5626 4.4.1: "When a server receives a double CRLF sequence between SIP messages ... it MUST immediately respond
with a single CRLF over the same connection." """

PING: Final = b"\r\n\r\n"


class StreamError(ParseError):
    """The stream can't be read on: answer `request` when there is one, then close.

    `items`: what was cut out of the same bytes before the error.
    """

    def __init__(self, status: int, reason: str, request: Request | None = None) -> None:
        super().__init__(status, reason, request)
        self.items: list[bytes | KeepAlive] = []


# Method or SIP-Version: a token. What begins otherwise (TLS, control characters) is no SIP.
_STARTS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~")
_LENGTH: Final = re.compile(
    rb"\r\n(?:[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[Ll][Ee][Nn][Gg][Tt][Hh]|[Ll])[ \t]*:((?:[^\r\n]|\r\n[ \t])*+)"
)
_MAX_DIGITS: Final = 10


class StreamFramer:
    """One connection's bytes. `feed` what arrives; it holds at most one unfinished message."""

    __slots__ = ("_buffer", "_closed", "_crlf", "_limits", "_searched", "_size", "_started")

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer where no empty line begins
        self._size = 0  # of the message being read, head and body, once its head is there
        self._crlf = False  # one CRLF came since the last message: with another it is a ping
        self._started = False  # its start line is there and can be one
        self._closed = False

    def feed(self, data: bytes) -> list[bytes | KeepAlive]:
        """What is whole by now, in order. StreamError, with those before it, when the rest can't be read.

        After an error nothing more is taken: every call returns [].
        """
        items: list[bytes | KeepAlive] = []
        if self._closed:
            return items
        self._buffer += data
        try:
            while self._cut(items):
                pass
        except StreamError as error:
            error.items = items
            raise
        return items

    @property
    def pending(self) -> int:
        """Bytes of an unfinished message: while it is not 0, the connection's deadline for a message runs."""
        return len(self._buffer)

    def unfinished(self) -> ParseError:
        """What to say of the message that never became whole, when its deadline has passed: 400 where its head came."""
        request = salvage(bytes(self._buffer), self._limits) if self._size else None
        return ParseError(400, "Content-Length longer than the body", request)

    def _cut(self, items: list[bytes | KeepAlive]) -> bool:
        """Take one item off the front of the buffer; False when it holds no whole one."""
        buffer = self._buffer
        if not buffer:
            return False
        if not self._size:
            if buffer[0] == 13:
                return self._cut_line(items)
            if not self._started:
                self._check_start()
            if not self._find_head():
                return False
        size = self._size
        if len(buffer) < size:
            return False
        items.append(bytes(buffer[:size]))
        del buffer[:size]
        self._searched = self._size = 0
        self._crlf = self._started = False
        return True

    def _cut_line(self, items: list[bytes | KeepAlive]) -> bool:
        """A CRLF between messages. RFC 3261 7.5: one alone is ignored (it may be the pong to a ping of ours)."""
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        if buffer[1] != 10:
            self._fail(400, "Bare CR")
        del buffer[:2]
        if self._crlf:
            items.append(KeepAlive.PING)
        self._crlf = not self._crlf
        return True

    def _check_start(self) -> None:
        """Refuse at once what can't become a message, before a peer fills the buffer with it."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._searched)
        # Any version will do here: 505 is for who parses the message.
        if buffer[0] not in _STARTS or (end >= 0 and b"SIP/" not in buffer[:end].upper()):
            self._fail(400, "Not SIP")
        if end < 0 and len(buffer) > self._limits.line:
            self._fail(400, "Start line too long")
        self._started = end >= 0

    def _find_head(self) -> bool:
        """Look for the empty line; set the size of the message. False when the head is not whole yet."""
        buffer, limits = self._buffer, self._limits
        end = buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._searched = max(len(buffer) - 3, 0)
            if len(buffer) > limits.message:
                self._fail(413, "Message too large")
            return False
        head = end + 4
        length = self._content_length(bytes(buffer[: end + 2]))
        if head + length > limits.message:
            self._fail(413, "Message too large")
        self._size = head + length
        return True

    def _content_length(self, head: bytes) -> int:
        lines = head.count(b"\r\n")
        if head.count(b"\n") != lines or head.count(b"\r") != lines:
            # A bare CR or LF is the end of a line to some and not to others: the way to smuggle a request.
            self._fail(400, "Bare CR or LF")
        found = _LENGTH.findall(head)
        if not found:
            self._fail(400, "Missing Content-Length")
        if len(found) > 1:
            self._fail(400, "Content-Length twice")
        text: bytes = found[0].strip()
        # bytes.isdigit takes ASCII digits only
        if not text.isdigit() or len(text) > _MAX_DIGITS:
            self._fail(400, "Bad Content-Length")
        return int(text)

    def _fail(self, status: int, reason: str) -> NoReturn:
        request = salvage(bytes(self._buffer), self._limits)
        self._closed = True
        self._buffer = bytearray()
        raise StreamError(status, reason, request)
