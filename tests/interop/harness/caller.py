"""A caller that keeps time: SIPp says whether a call went as written, this one when each answer came."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass, field
from types import TracebackType
from uuid import uuid4

OFFER = """v=0
o=caller 1 1 IN IP4 {host}
s=-
c=IN IP4 {host}
t=0 0
m=audio {media} RTP/AVP 8
"""


@dataclass
class Attempt:
    """One call: the answers to its INVITE, each with the seconds since it was sent."""

    number: str
    call_id: str
    sent: float
    answers: list[tuple[float, int]] = field(default_factory=list)
    target: str = ""  # of ACK and BYE: the Contact of the 2xx
    to: str = ""
    reason: str = ""  # phrase of the final answer

    @property
    def status(self) -> int:
        """Of the final answer; 0 while there is none."""
        return next((status for _, status in self.answers if status >= 200), 0)

    @property
    def seconds(self) -> float:
        """Until the final answer."""
        return next(seconds for seconds, status in self.answers if status >= 200)


class Caller:
    """Calls from a trunk that is known by its address, over UDP; nothing is sent twice, the loopback loses nothing."""

    def __init__(self, host: str, switch: tuple[str, int]) -> None:
        self._host = host
        self._switch = switch
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._attempts: dict[str, Attempt] = {}

    def __enter__(self) -> Caller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def call(self, number: str) -> Attempt:
        """Sends the INVITE."""
        attempt = Attempt(number, uuid4().hex, time.monotonic())
        self._attempts[attempt.call_id] = attempt
        body = OFFER.format(host=self._host, media=20000 + 2 * len(self._attempts)).replace("\n", "\r\n")
        self._send(attempt, "INVITE", self._uri(number), 1, body)
        return attempt

    def cancel(self, attempt: Attempt) -> None:
        self._send(attempt, "CANCEL", self._uri(attempt.number), 1)

    def hang_up(self, attempt: Attempt) -> None:
        self._send(attempt, "BYE", attempt.target, 2)

    def finish(self, attempt: Attempt, seconds: float = 10.0) -> Attempt:
        """Waits for the final answer, which is acknowledged."""
        end = time.monotonic() + seconds
        while not attempt.status:
            self._socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                raise AssertionError(f"no final answer to {attempt} within {seconds:g} s") from None
            self._take(data.decode())
        return attempt

    # ---- messages ----------------------------------------------------------------------------------

    def _take(self, message: str) -> None:
        now = time.monotonic()
        first, _, rest = message.partition("\r\n")
        headers = dict(re.findall(r"^([A-Za-z-]+): (.*?)\r$", rest, re.M))
        attempt = self._attempts.get(headers.get("Call-ID", ""))
        if attempt is None or not first.startswith("SIP/2.0 ") or headers["CSeq"] != "1 INVITE" or attempt.status:
            return
        status = int(first.split()[1])
        attempt.answers.append((now - attempt.sent, status))
        attempt.to = headers["To"]
        if status >= 200:
            attempt.reason = first.split(maxsplit=2)[2]
            attempt.target = headers["Contact"].partition("<")[2].partition(">")[0] if status < 300 else ""
            self._send(attempt, "ACK", attempt.target or self._uri(attempt.number), 1)

    def _send(self, attempt: Attempt, method: str, uri: str, cseq: int, body: str = "") -> None:
        host, port = self._socket.getsockname()
        # RFC 3261 17.1.1.3 and 9.1: CANCEL, and ACK to a failure, have the branch of the INVITE.
        branch = f"{attempt.call_id}-{'ok' if method == 'ACK' and attempt.target else cseq}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK-{branch}",
            "Max-Forwards: 70",
            f"From: <sip:caller@{host}>;tag={attempt.call_id[:8]}",
            f"To: {attempt.to or f'<{self._uri(attempt.number)}>'}",
            f"Call-ID: {attempt.call_id}",
            f"CSeq: {cseq} {method}",
            *([f"Contact: <sip:caller@{host}:{port}>"] if method == "INVITE" else []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self._socket.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), self._switch)

    def _uri(self, number: str) -> str:
        return f"sip:{number}@{self._switch[0]}:{self._switch[1]}"
