"""Two ends of one call with video, step by step: raw SIP, RTP and RTCP over UDP.

A trunk calls, another trunk's gateway is called. Every packet is compared with what was sent.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from types import TracebackType

from harness.ports import free_ports

TIMEOUT = 5.0
H264 = "profile-level-id=42e01f;packetization-mode=1"


class Watcher:
    """One end: its dialog, its audio, its video."""

    def __init__(self, host: str, port: int, switch: tuple[str, int], number: int, ssrc: int) -> None:
        """`number`: its payload type of H.264."""
        self.host, self.port, self.switch = host, port, switch
        self.number, self.ssrc = number, ssrc
        self.sip, self.audio = _bound(host, port), _bound(host, free_ports(2, host, even=True))
        first = free_ports(2, host, even=True)
        self.video, self.control = _bound(host, first), _bound(host, first + 1)
        self.audio_to = self.video_to = ("", 0)
        self.heard = ""  # the latest description of the switch
        self._version = 0
        self._cseq = 0
        self._seq = 65_500  # so that it wraps
        self._stamp = 0xFFFF_0000
        self._asked = ""  # the request that waits for our answer
        self._target = f"sip:900@{switch[0]}:{switch[1]}"
        self._local, self._remote = f"<sip:caller@{host}:{port}>;tag=w{ssrc}", f"<sip:900@{switch[0]}>"

    def close(self) -> None:
        for each in (self.sip, self.audio, self.video, self.control):
            each.close()

    # ---- signalling ----------------------------------------------------------------------------------

    def sdp(self, video: str = "sendrecv", direction: str = "sendrecv") -> str:
        """`video`: its direction; "" refuses it, "none" has no such line."""
        self._version += 1
        port = self.video.getsockname()[1] if video else 0
        lines = [
            "v=0",
            f"o=- {self.ssrc} {self._version} IN IP4 {self.host}",
            "s=-",
            f"c=IN IP4 {self.host}",
            "t=0 0",
            f"m=audio {self.audio.getsockname()[1]} RTP/AVP 8",
            f"a={direction}",
            f"m=video {port} RTP/AVPF {self.number}",
            "b=AS:2000",
            f"a=rtpmap:{self.number} H264/90000",
            f"a=fmtp:{self.number} {H264}",
            f"a=rtcp-fb:{self.number} nack pli",
            f"a={video or 'inactive'}",
        ]
        return "".join(f"{line}\r\n" for line in (lines[:7] if video == "none" else lines))

    def invite(self, body: str) -> None:
        self._cseq += 1
        self._request("INVITE", body)

    def accepted(self) -> str:
        """The answer to `invite`, with its ACK sent."""
        while True:
            text = self._read()
            if not text.startswith("SIP/2.0") or _header(text, "CSeq") != f"{self._cseq} INVITE":
                continue
            status = int(text.split()[1])
            assert status < 300, text
            if status >= 200:
                self._remote = _header(text, "To")
                self._target = re.findall(r"<([^>]+)>", _header(text, "Contact"))[0]
                self._request("ACK", "")
                return self._told(text)

    def asked(self) -> str:
        """The description of the next INVITE of the switch."""
        while True:
            text = self._read()
            if text.startswith("INVITE"):
                self._asked = text
                return self._told(text)

    def asked_nothing(self) -> bool:
        """Whether no INVITE has come."""
        self.sip.settimeout(0.3)
        try:
            return not self._read().startswith("INVITE")
        except TimeoutError:
            return True
        finally:
            self.sip.settimeout(TIMEOUT)

    def answer(self, body: str) -> None:
        to = _header(self._asked, "To")
        if ";tag=" not in to:
            to += f";tag=w{self.ssrc}"
        self._remote, self._local = _header(self._asked, "From"), to
        self._target = re.findall(r"<([^>]+)>", _header(self._asked, "Contact"))[0]
        lines = ["SIP/2.0 200 OK", *re.findall(r"^Via:.*?(?=\r\n)", self._asked, re.M), f"To: {to}"]
        lines += [f"{name}: {_header(self._asked, name)}" for name in ("From", "Call-ID", "CSeq")]
        self._call_id = _header(self._asked, "Call-ID")
        self._send(lines, body)

    def hang_up(self) -> None:
        self._cseq += 1
        self._request("BYE", "")

    _call_id = ""

    def _request(self, method: str, body: str) -> None:
        self._call_id = self._call_id or f"watch-{self.ssrc}@{self.host}"
        lines = [
            f"{method} {self._target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{self.ssrc}-{method}-{self._cseq}",
            "Max-Forwards: 70",
            f"From: {self._local}",
            f"To: {self._remote}",
            f"Call-ID: {self._call_id}",
            f"CSeq: {self._cseq} {method}",
        ]
        self._send(lines, body)

    def _send(self, lines: list[str], body: str) -> None:
        lines = [*lines, f"Contact: <sip:{self.host}:{self.port}>"]
        lines += [*(["Content-Type: application/sdp"] if body else []), f"Content-Length: {len(body)}"]
        self.sip.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), self.switch)

    def _read(self) -> str:
        return self.sip.recv(65_536).decode()

    def _told(self, text: str) -> str:
        self.heard = text.partition("\r\n\r\n")[2]
        host = re.findall(r"^c=IN IP4 (\S+)\r$", self.heard, re.M)[0]
        ports = dict(re.findall(r"^m=(\w+) (\d+)", self.heard, re.M))
        self.audio_to, self.video_to = (host, int(ports["audio"])), (host, int(ports.get("video", 0)))
        return self.heard

    # ---- media ---------------------------------------------------------------------------------------

    def picture(self, packets: int) -> Iterator[bytes]:
        """The packets of the next picture, sent as they are taken: FU-A of RFC 6184, the last one with the marker."""
        self._stamp = self._stamp + 3000 & 0xFFFF_FFFF
        for part in range(packets):
            last = part == packets - 1
            head = struct.pack(
                "!BBHII", 0x80, last << 7 | self.number, self._seq & 0xFFFF, self._stamp, 0x20000 + self.ssrc
            )
            fragment = bytes((0x7C, (part == 0) << 7 | last << 6 | 5))
            data = head + fragment + struct.pack("!I", self._seq) * (100 + self._seq % 150)
            self._seq += 1
            self.video.sendto(data, self.video_to)
            yield data

    def seen(self) -> bytes:
        return self.video.recv(2048)

    def nothing_seen(self, seconds: float = 0.3) -> bool:
        """Whether no video has come for a while."""
        self.video.settimeout(seconds)
        try:
            return not self.video.recv(2048)
        except TimeoutError:
            return True
        finally:
            self.video.settimeout(TIMEOUT)

    def ask_picture(self, media: int) -> bytes:
        """Send a PLI (RFC 4585 6.3.1) in a compound packet."""
        own = 0x20000 + self.ssrc
        data = struct.pack("!BBHI", 0x80, 201, 1, own) + struct.pack("!BBHII", 0x81, 206, 2, own, media)
        self.control.sendto(data, (self.video_to[0], self.video_to[1] + 1))
        return data

    def reported(self) -> bytes:
        return self.control.recv(2048)

    def hear(self, other: Watcher) -> None:
        """Audio passes beside."""
        data = struct.pack("!BBHII", 0x80, 8, self._version, 160, self.ssrc) + b"\xd5" * 160
        self.audio.sendto(data, self.audio_to)
        assert other.audio.recv(2048)[12:] == data[12:]


class Watching:
    """A call of `caller` and `called` (places of SIP) that both have video in; left, everything is closed."""

    def __init__(self, switch: tuple[str, int], caller: tuple[str, int], called: tuple[str, int]) -> None:
        self.caller, self.called = Watcher(*caller, switch, 97, 1), Watcher(*called, switch, 112, 2)

    def __enter__(self) -> Watching:
        self.caller.invite(self.caller.sdp())
        self.called.asked()
        self.called.answer(self.called.sdp())
        self.caller.accepted()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.caller.close()
        self.called.close()


def _bound(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, port))
    made.settimeout(TIMEOUT)
    return made


def _header(text: str, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*?)\r\n", text, re.M | re.I)
    assert found is not None, f"no {name} in {text}"
    return found[1]
