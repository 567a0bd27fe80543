"""Callers and called phones of the soak test: SIP written out by hand, RTP by `media.c`; nothing of the switch's own.

Each call: INVITE from the caller's socket, 200 by the called socket, ACK, audio both ways for `hold` seconds, BYE by
the caller. Every call has UDP ports of its own for media.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

from tests.bench.rig import free_ports

STREAMS = 2000
"""Streams at most: two a call."""
RETRANSMIT = 0.5
ANSWER_SECONDS = 10.0

_SDP = (
    "v=0\r\no=phone 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
_AUDIO = re.compile(r"^c=IN IP4 (\S+).*?^m=audio (\d+)", re.MULTILINE | re.DOTALL)
_CONTACT = re.compile(r"^Contact:\s*.*?<([^>]+)>", re.MULTILINE | re.IGNORECASE)


def header(message: str, name: str) -> str:
    """The first value of a header."""
    found = re.search(rf"^{name}:\s*(.*?)\r$", message, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


class Media:
    """The `media.c` process."""

    def __init__(self, process: asyncio.subprocess.Process, first_port: int) -> None:
        self._process = process
        self._first_port = first_port
        self.sent = self.received = self.lost = self.streams = 0
        self._free = list(range(STREAMS))

    @classmethod
    async def start(cls, binary: Path) -> Media:
        process = await asyncio.create_subprocess_exec(
            str(binary), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        return cls(process, free_ports(2 * STREAMS))

    def take(self) -> int:
        return self._free.pop()

    def sdp(self, stream: int) -> str:
        return _SDP.format(port=self._port(stream))

    def add(self, stream: int, host: str, port: int) -> None:
        self._say(f"add {stream} {self._port(stream)} {host} {port}")

    def remove(self, stream: int) -> None:
        self._say(f"del {stream}")

    async def read(self) -> None:
        """Collect what ended streams counted, until the process ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            _, stream, sent, received, lost = line.split()
            self.sent += int(sent)
            self.received += int(received)
            self.lost += int(lost)
            self.streams += 1
            self._free.insert(0, int(stream))

    async def end(self) -> None:
        self._say("end")
        await self._process.wait()

    def _port(self, stream: int) -> int:
        return self._first_port + 2 * stream

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")


class Socket(asyncio.DatagramProtocol):
    """One UDP socket; messages go to `handle`."""

    def __init__(self, handle: object) -> None:
        self._handle = handle
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._handle(data.decode(), addr)  # type: ignore[operator]


class Called:
    """Answers every INVITE at once."""

    def __init__(self, media: Media) -> None:
        self._media = media
        self._streams: dict[str, int] = {}
        self.socket = Socket(self._receive)

    def _receive(self, message: str, source: tuple[str, int]) -> None:
        method = message.split(" ", 1)[0]
        call = header(message, "Call-ID")
        if method == "INVITE":
            if call not in self._streams:
                stream = self._streams[call] = self._media.take()
                found = _AUDIO.search(message)
                assert found is not None
                self._media.add(stream, found[1], int(found[2]))
            self._reply(message, source, "180 Ringing", "")
            self._reply(message, source, "200 OK", self._media.sdp(self._streams[call]))
        elif method == "BYE":
            stream = self._streams.pop(call, -1)
            if stream >= 0:
                self._media.remove(stream)
            self._reply(message, source, "200 OK", "")
        elif method == "OPTIONS":
            self._reply(message, source, "200 OK", "")

    def _reply(self, message: str, source: tuple[str, int], status: str, sdp: str) -> None:
        assert self.socket.transport is not None
        port = self.socket.transport.get_extra_info("sockname")[1]
        vias = re.findall(r"^Via:.*?\r\n", message, re.MULTILINE | re.IGNORECASE)
        to = header(message, "To")
        if ";tag=" not in to:
            to += ";tag=called"
        kind = "Content-Type: application/sdp\r\n" if sdp else ""
        self.socket.transport.sendto(
            (
                f"SIP/2.0 {status}\r\n{''.join(vias)}From: {header(message, 'From')}\r\nTo: {to}\r\n"
                f"Call-ID: {header(message, 'Call-ID')}\r\nCSeq: {header(message, 'CSeq')}\r\n"
                f"Contact: <sip:called@127.0.0.1:{port}>\r\n{kind}Content-Length: {len(sdp)}\r\n\r\n{sdp}"
            ).encode(),
            source,
        )


class Caller:
    """Makes calls from one socket."""

    def __init__(self, switch: tuple[str, int], media: Media) -> None:
        self._switch = switch
        self._media = media
        self._waiting: dict[tuple[str, str], asyncio.Future[str]] = {}
        self.socket = Socket(self._receive)
        self.results: Counter[str] = Counter()

    async def call(self, number: int, dialled: str, hold: float) -> None:
        """One call from beginning to end; how it went is counted in `results`."""
        stream = self._media.take()
        call = f"soak-{id(self):x}-{number}"
        sdp = self._media.sdp(stream)
        answer = await self._request("INVITE", call, 1, f"sip:{dialled}@127.0.0.1:{self._switch[1]}", "", dialled, sdp)
        status = answer.split(" ", 2)[1] if answer else "no answer"
        found = _AUDIO.search(answer)
        contact = _CONTACT.search(answer)
        if status != "200" or found is None or contact is None:
            self.results[status] += 1
            return
        to = header(answer, "To")
        self._send("ACK", call, 1, contact[1], to, dialled, "")
        self._media.add(stream, found[1], int(found[2]))
        await asyncio.sleep(hold)
        self._media.remove(stream)
        answer = await self._request("BYE", call, 2, contact[1], to, dialled, "")
        self.results["completed" if answer.startswith("SIP/2.0 200") else "BYE not answered"] += 1

    async def _request(self, method: str, call: str, cseq: int, uri: str, to: str, dialled: str, sdp: str) -> str:
        key = (call, method)
        future = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            wait = RETRANSMIT
            for _ in range(5):
                self._send(method, call, cseq, uri, to, dialled, sdp)
                done, _pending = await asyncio.wait({future}, timeout=wait)
                if done:
                    return future.result()
                wait *= 2
            return ""
        finally:
            del self._waiting[key]

    def _send(self, method: str, call: str, cseq: int, uri: str, to: str, dialled: str, sdp: str) -> None:
        assert self.socket.transport is not None
        port = self.socket.transport.get_extra_info("sockname")[1]
        kind = "Content-Type: application/sdp\r\n" if sdp else ""
        self.socket.transport.sendto(
            (
                f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};rport;branch=z9hG4bK{call}-{method}\r\n"
                f"Max-Forwards: 70\r\nFrom: <sip:soak@127.0.0.1>;tag={call}\r\n"
                f"To: {to or f'<sip:{dialled}@127.0.0.1>'}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\n"
                f"Contact: <sip:soak@127.0.0.1:{port}>\r\n{kind}Content-Length: {len(sdp)}\r\n\r\n{sdp}"
            ).encode(),
            self._switch,
        )

    def _receive(self, message: str, source: tuple[str, int]) -> None:
        if not message.startswith("SIP/2.0 ") or message[8] == "1":
            return
        call, cseq = header(message, "Call-ID"), header(message, "CSeq")
        future = self._waiting.get((call, cseq.split(" ")[1]))
        if future is not None and not future.done():
            future.set_result(message)
