"""What peers do wrong. Every error here is the peer's and carries the status that answers it.

Our own mistakes are ordinary exceptions (ValueError, AssertionError) and never of these classes.
Reason phrases are written by us and hold no byte of the peer's message, so they are safe to send and to log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sip.message import Request


class SipError(Exception):
    """A mistake of the peer, to be answered with `status` and `reason` where it came in a request."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


class ParseError(SipError):
    """A message that cannot be read, or a request that breaks a rule every request must keep.

    `request` is what could be read of it when it can be answered: a request other than ACK with a top Via that
    parses. None otherwise, and then the message is dropped in silence.
    """

    def __init__(self, status: int, reason: str, request: Request | None = None) -> None:
        super().__init__(status, reason)
        self.request = request
