"""Reliable provisional responses, the sending side (RFC 3262 3): one at a time, retransmitted until PRACKed.

    progress(reliable) --> [queue] --> on the wire: at once, T1, 2*T1, 4*T1 ... --PRACK--> next of the queue
                                                    \\--64*T1 without PRACK--> the INVITE is rejected with a 5xx

The receiving side keeps one number per early dialog, `Dialog.rseq`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from sip.errors import SipError

if TYPE_CHECKING:
    from sip.message import Request, Response
    from sip.timers import Timer

# RFC 3262 3: RSeq starts in 1 .. 2**31-1; a start well below leaves room to count.
FIRST_RSEQ_BITS = 20

# RFC 3261 13.3.1.1: "To prevent cancellation, the UAS MUST send a non-100 provisional response at every minute";
# RFC 3262 3 allows two and a half where they are reliable.
REPEAT_PROGRESS = 60.0
REPEAT_RELIABLE = 150.0

# Provisional responses waiting for their turn; more than these are the application's mistake.
MAX_QUEUED = 16


class Reliable:
    """One reliable provisional response: in the queue, or on the wire and not PRACKed."""

    __slots__ = ("response", "sdp")

    def __init__(self, response: Response, sdp: bytes | None) -> None:
        self.response = response
        self.sdp = sdp


class ReliableQueue:
    """The reliable provisional responses of one INVITE."""

    __slots__ = ("_next_rseq", "_waiting", "deadline", "interval", "rseq", "timer", "unacked")

    def __init__(self, first_rseq: int) -> None:
        self._next_rseq = first_rseq
        self._waiting: deque[Reliable] = deque()
        self.unacked: Reliable | None = None
        self.rseq = 0  # of `unacked`
        self.interval = 0.0  # until the next retransmission, seconds
        self.deadline = 0.0  # 64*T1 after the first sending
        self.timer: Timer | None = None

    def add(self, reliable: Reliable) -> bool:
        """Queue it; False when the queue is full."""
        if len(self._waiting) >= MAX_QUEUED:
            return False
        self._waiting.append(reliable)
        return True

    def next(self, now: float, t1: float) -> Reliable | None:
        """The response to send now, numbered; None while one is unacknowledged or nothing waits.

        RFC 3262 3: "The UAS MUST NOT send a second reliable provisional response until the first is acknowledged."
        The RSeq of each is greater by exactly one than that of the one before.
        """
        if self.unacked is not None or not self._waiting:
            return None
        reliable = self.unacked = self._waiting.popleft()
        self.rseq = self._next_rseq
        self._next_rseq += 1
        reliable.response.add("RSeq", str(self.rseq))
        self.interval = t1
        self.deadline = now + 64 * t1
        return reliable

    def acknowledge(self, rseq: int) -> Reliable | None:
        """The response that a PRACK with this RSeq acknowledges; None: it matches nothing unacknowledged (481)."""
        reliable = self.unacked
        if reliable is None or rseq != self.rseq:
            return None
        self.unacked = None
        self.stop()
        return reliable

    def stop(self) -> None:
        """Retransmit no more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def drop_waiting(self) -> None:
        """RFC 3262 3: no new reliable provisional response after the final one."""
        self._waiting.clear()

    @property
    def unheard(self) -> int:
        """Responses that no PRACK has acknowledged, sent or not."""
        return len(self._waiting) + (self.unacked is not None)

    @property
    def withholds_2xx(self) -> bool:
        """RFC 3262 3: the final response waits "unless the final response is 2xx and any of the unacknowledged
        reliable
        provisional responses contained a session description. In that case, it MUST NOT send a final response until
        those provisional responses are acknowledged." """
        if self.unacked is not None and self.unacked.sdp is not None:
            return True
        return any(each.sdp is not None for each in self._waiting)


def is_reliable(response: Response) -> bool:
    """Whether a provisional response wants a PRACK (RFC 3262 4); one whose Require can't be read gets none."""
    if not response.has("RSeq"):
        return False
    try:
        return "100rel" in response.required
    except SipError:
        return False


def rack(request: Request) -> tuple[int, int, str]:
    """RFC 3262 7.2: RAck = response-num LWS CSeq-num LWS Method. SipError(400) when absent or malformed."""
    fields = (request.get("RAck") or "").split()
    if len(fields) != 3:
        raise SipError(400, "Bad RAck")
    return _number(fields[0], "RAck"), _number(fields[1], "RAck"), fields[2]


def rseq(response: Response) -> int | None:
    """The RSeq of a reliable provisional response; None when it is absent or no number (then it is not reliable)."""
    value = response.get("RSeq")
    if value is None:
        return None
    try:
        return _number(value.strip(), "RSeq")
    except SipError:
        return None


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise SipError(400, f"Bad {name}: not a number")
    return int(text)
