"""Many calls with audio through the switch, both ends of each: raw SIP and RTP over UDP in a thread.

Callers are a trunk, and the called ones another's gateway. Both answer re-INVITEs and send to wherever the switch's
latest description says. Each packet tells in its payload who sent it and as which one, so that every loss is counted.
"""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import struct
import threading
import time
from types import TracebackType

PAYLOAD_OCTETS = 160
SETUP_PER_SECOND = 60
_TAG = re.compile(r"^To:.*;tag=", re.M | re.I)


class End:
    """One end of a call: its dialog and its audio."""

    def __init__(self, number: int, host: str, call_id: str) -> None:
        self.number = number
        self.call_id = call_id
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((host, 0))
        self.rtp.setblocking(False)
        self.to: tuple[str, int] | None = None
        self.tag = f"t{number}"
        self.remote = ""  # the To or From of the switch, with its tag
        self.local = ""
        self.target = ""
        self.sent = 0
        self.heard: set[int] = set()  # which packets of the other end
        self.last = 0.0
        self.longest_gap = 0.0
        self.offers = 0
        self.over = False
        self.version = 1

    def sdp(self) -> str:
        host, port = self.rtp.getsockname()
        return (
            f"v=0\r\no=- {self.number} {self.version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=sendrecv\r\n"
        )

    def told(self, body: str) -> None:
        """A description of the switch."""
        host, port = re.search(r"^c=IN IP4 (\S+)", body, re.M), re.search(r"^m=audio (\d+)", body, re.M)
        if host is not None and port is not None:
            self.to = (host[1], int(port[1]))

    def packet(self) -> bytes:
        header = struct.pack("!BBHII", 0x80, 8, self.sent & 0xFFFF, self.sent * 160, 0x10000 + self.number)
        data = header + struct.pack("!II", self.number, self.sent).ljust(PAYLOAD_OCTETS, b"\xd5")
        self.sent += 1
        return data

    def take(self, now: float) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                data = self.rtp.recv(2048)
                self.heard.add(struct.unpack("!II", data[12:20])[1])
                if self.last:
                    self.longest_gap = max(self.longest_gap, now - self.last)
                self.last = now


class Talkers:
    """Calls between `caller` and `called` (places of SIP), as many as `calls`, `rate` packets a second each way.

    A context manager: entered, the calls are being set up; `talking` counts those that hear each other.
    """

    def __init__(
        self, switch: tuple[str, int], caller: tuple[str, int], called: tuple[str, int], calls: int, rate: float = 10.0
    ) -> None:
        self.switch = switch
        self.calls = calls
        self.rate = rate
        self.callers: list[End] = []
        self.called: list[End] = []
        self.problems: list[str] = []
        self.sending = True
        """Whether audio is sent."""
        self._by_id: dict[str, End] = {}
        self._caller_host, self._called_host = caller[0], called[0]
        self._sockets = []
        for place in (caller, called):
            sip = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sip.bind(place)
            sip.setblocking(False)
            self._sockets.append(sip)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._to_hang_up: list[End] = []
        self._thread = threading.Thread(target=self._run, name="talkers")

    def __enter__(self) -> Talkers:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        for each in [*self._sockets, *(end.rtp for end in self.ends())]:
            each.close()

    def ends(self) -> list[End]:
        return [*self.callers, *self.called]

    def talking(self) -> int:
        """Ends that have heard something in the last second."""
        now = time.monotonic()
        return sum(now - end.last < 1.0 for end in self.ends())

    def forget(self) -> None:
        """Count losses and gaps from now on."""
        with self._lock:
            for end in self.ends():
                end.heard.clear()
                end.longest_gap = 0.0
                end.last = 0.0
                end.sent = 0

    def lost(self) -> tuple[int, int]:
        """Packets that came to nobody, and packets sent, since `forget`: those of the last half second don't count."""
        with self._lock:
            spare = max(1, round(self.rate / 2))
            sent = sum(max(0, end.sent - spare) for end in self.ends())
            heard = sum(sum(number < end.sent - spare for number in end.heard) for end in self.ends())
            return max(0, sent - heard), sent

    def hang_up(self) -> None:
        """The callers send BYE."""
        with self._lock:
            self._to_hang_up = list(self.callers)

    def over(self) -> int:
        """Ends whose dialog has ended, or whose BYE was answered."""
        return sum(end.over for end in self.ends())

    # ---- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        for sip in self._sockets:
            selector.register(sip, selectors.EVENT_READ, None)
        interval = 0.02
        slots = max(1, round(1 / (self.rate * interval)))  # ends are spread over so many intervals
        turn = 0
        due = time.monotonic()
        start = due
        while not self._stop.is_set():
            now = time.monotonic()
            while len(self.callers) < self.calls and len(self.callers) < (now - start) * SETUP_PER_SECOND:
                self._invite(selector)
            for key, _ in selector.select(max(0.0, due - time.monotonic())):
                with self._lock:
                    if key.data is None:
                        self._sip(key.fileobj, selector)  # type: ignore[arg-type]
                    else:
                        key.data.take(time.monotonic())
            if time.monotonic() >= due:
                due += interval
                turn += 1
                with self._lock:
                    self._tick(turn % slots, slots)
        selector.close()

    def _tick(self, turn: int, slots: int) -> None:
        while self._to_hang_up:
            self._bye(self._to_hang_up.pop())
        if self.sending:
            for end in self.ends():
                if end.number % slots == turn and end.to is not None and not end.over:
                    with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                        end.rtp.sendto(end.packet(), end.to)

    def _invite(self, selector: selectors.BaseSelector) -> None:
        number = 2 * len(self.callers)
        end = End(number, self._caller_host, f"call-{number}@{self._caller_host}")
        selector.register(end.rtp, selectors.EVENT_READ, end)
        with self._lock:
            self.callers.append(end)
            self._by_id[end.call_id] = end
        host, port = self._sockets[0].getsockname()
        end.local = f"<sip:caller@{host}:{port}>;tag={end.tag}"
        end.remote = f"<sip:900@{self.switch[0]}>"
        self._request(self._sockets[0], end, "INVITE", f"sip:900@{self.switch[0]}:{self.switch[1]}", 1, end.sdp())

    def _bye(self, end: End) -> None:
        self._request(self._sockets[0], end, "BYE", end.target, 2, "")

    def _request(self, sip: socket.socket, end: End, method: str, uri: str, cseq: int, body: str) -> None:
        host, port = sip.getsockname()
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{end.number}-{method}-{cseq}",
            "Max-Forwards: 70",
            f"From: {end.local}",
            f"To: {end.remote}",
            f"Call-ID: {end.call_id}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{host}:{port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        sip.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), self.switch)

    def _sip(self, sip: socket.socket, selector: selectors.BaseSelector) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                text = sip.recv(65536).decode()
                if text.startswith("SIP/2.0"):
                    self._response(sip, text)
                elif text.strip():
                    self._asked(sip, text, selector)

    def _response(self, sip: socket.socket, text: str) -> None:
        status = int(text.split()[1])
        end = self._by_id[_header(text, "Call-ID")]
        method = _header(text, "CSeq").split()[1]
        if method == "BYE" and status >= 200:
            end.over = True
        if method != "INVITE" or status < 200:
            return
        end.remote = _header(text, "To")
        if status >= 300:
            self.problems.append(text.splitlines()[0])
            end.over = True
            return
        contact = re.search(r"<([^>]+)>", _header(text, "Contact"))
        assert contact is not None
        end.target = contact[1]
        end.told(text)
        self._request(sip, end, "ACK", end.target, 1, "")

    def _asked(self, sip: socket.socket, text: str, selector: selectors.BaseSelector) -> None:
        method, call_id = text.split()[0], _header(text, "Call-ID")
        if method == "ACK":
            return
        end = self._by_id.get(call_id)
        if end is None and method == "INVITE":
            number = 2 * len(self.called) + 1
            end = self._by_id[call_id] = End(number, self._called_host, call_id)
            self.called.append(end)
            selector.register(end.rtp, selectors.EVENT_READ, end)
        body = ""
        if method == "INVITE" and end is not None:
            if _TAG.search(text):
                end.offers += 1
                end.version += 1
            end.told(text)
            body = end.sdp()
        elif method == "BYE" and end is not None:
            end.over = True
        self._answer(sip, text, end, body)

    def _answer(self, sip: socket.socket, text: str, end: End | None, body: str) -> None:
        host, port = sip.getsockname()
        to = _header(text, "To")
        if ";tag=" not in to and end is not None:
            to += f";tag={end.tag}"
        lines = ["SIP/2.0 200 OK", *re.findall(r"^Via:.*?(?=\r\n)", text, re.M), f"To: {to}"]
        lines += [f"{name}: {_header(text, name)}" for name in ("From", "Call-ID", "CSeq")]
        lines += [f"Contact: <sip:{host}:{port}>", *(["Content-Type: application/sdp"] if body else [])]
        lines += [f"Content-Length: {len(body)}"]
        sip.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), self.switch)


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*?)\r\n", text, re.M | re.I)
    assert found is not None, f"no {name} in {text}"
    return found[1]
