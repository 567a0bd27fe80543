"""The signalling path alone, without sockets: CPU microseconds of Python per call or registration, and where they go.

    python -m tests.bench.pipeline [call|register] [COUNT] [--profile]

Everything of a running switch is there but the kernel: the messages of a call, or the two REGISTERs, are fed to the
driver by hand and what it would send is caught. The value is the least over batches, since a shared machine only ever
adds; `yard` is what `sum(range(1000))` takes at that moment, to tell a slow machine from slow code. `--trend` prints
every tenth batch.
"""

from __future__ import annotations

import asyncio
import collections
import cProfile
import logging
import pstats
import re
import subprocess
import sys
import tempfile
import time
import timeit
from pathlib import Path

import structlog
import uvloop

from sip.digest import Credentials, DigestClient
from sip.effects import Flow, Send
from sip.ids import Ids
from softswitch.app import App
from tests.bench.rig import SOFTSWITCH, free_port

BATCH = 100
_SDP = (
    "v=0\r\no=c 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0 101\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
)


class Pipeline:
    """A switch whose driver is fed and read by hand."""

    def __init__(self, app: App, port: int, called_port: int, users: list[tuple[str, str]]) -> None:
        """`users`: extensions and their passwords."""
        self._users = users
        self._driver = app._driver
        self._stack = app._switch.stack
        self._sent: list[bytes] = []
        local = ("127.0.0.1", port)
        self._caller = Flow("udp", local, ("127.0.0.1", 5091), 0)
        self._called = Flow("udp", local, ("127.0.0.1", called_port), 0)
        self._uri = f"sip:9123@127.0.0.1:{port}"
        self.spent = 0.0
        self._driver._settle = self._settle  # type: ignore[method-assign]

    def _settle(self, now: float) -> None:
        stack = self._stack
        self._driver._on_events(now)
        while stack.events or stack.effects:
            if stack.events:
                self._driver._on_events(now)
            effects = stack.effects[:]
            stack.effects.clear()
            self._sent += [effect.data for effect in effects if type(effect) is Send]

    def _feed(self, data: bytes, flow: Flow, expected: bytes) -> bytes:
        """Hand a datagram in; the first message sent that begins with `expected`."""
        began = time.perf_counter()
        self._driver._received(data, flow)
        self.spent += time.perf_counter() - began
        sent, self._sent = self._sent, []
        return next((message for message in sent if message.startswith(expected)), b"")

    def register(self, number: int) -> None:
        """One registration: REGISTER, 401, REGISTER with credentials, 200."""
        user, password = self._users[number % len(self._users)]
        uri = self._uri.partition("@")[2]
        flow = self._caller._replace(remote=("127.0.0.1", 30000 + number % len(self._users)))
        via = f"Via: SIP/2.0/UDP 127.0.0.1:{flow.remote[1]};branch=z9hG4bK-r{number}"
        head = f"Max-Forwards: 70\r\nFrom: <sip:{user}@127.0.0.1>;tag=r{number}\r\nTo: <sip:{user}@127.0.0.1>\r\n"
        head += f"Call-ID: {number}-r@127.0.0.1\r\n"
        rest = f"Contact: <sip:{user}@127.0.0.1:{flow.remote[1]}>\r\nExpires: 3600\r\n"
        first = f"REGISTER sip:{uri} SIP/2.0\r\n{via}-0\r\n{head}CSeq: 1 REGISTER\r\n{rest}Content-Length: 0\r\n\r\n"
        challenge = self._feed(first.encode(), flow, b"SIP/2.0 401").decode()
        found = re.search(r"^WWW-Authenticate: (.*?)\r$", challenge, re.MULTILINE)
        assert found is not None
        client, credentials = DigestClient(Ids()), Credentials(user, password)
        answer = client.answer([("WWW-Authenticate", found[1])], "REGISTER", f"sip:{uri}", credentials)
        assert answer is not None
        second = f"REGISTER sip:{uri} SIP/2.0\r\n{via}-1\r\n{head}CSeq: 2 REGISTER\r\n{rest}"
        second += f"{answer[0]}: {answer[1]}\r\nContent-Length: 0\r\n\r\n"
        assert self._feed(second.encode(), flow, b"SIP/2.0 200")

    def call(self, number: int) -> None:
        """One call, INVITE to the answer of BYE."""
        port = 30000 + 2 * (number % 5000)
        names = f"From: <sip:caller@127.0.0.1:5091>;tag=c{number}\r\n", f"Call-ID: {number}-x@127.0.0.1\r\n"
        sdp = _SDP.format(port)
        invite = (
            f"INVITE {self._uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5091;branch=z9hG4bK-{number}-0\r\n"
            f"Max-Forwards: 70\r\n{names[0]}To: <{self._uri}>\r\n{names[1]}CSeq: 1 INVITE\r\n"
            f"Contact: <sip:caller@127.0.0.1:5091>\r\nContent-Type: application/sdp\r\n"
            f"Content-Length: {len(sdp)}\r\n\r\n{sdp}"
        )
        invited = self._feed(invite.encode(), self._caller, b"INVITE")
        self._feed(_response(invited, "180 Ringing", f";tag=s{number}", ""), self._called, b"SIP/2.0 180")
        answer = _response(invited, "200 OK", f";tag=s{number}", _SDP.format(port + 10001))
        accepted = self._feed(answer, self._called, b"SIP/2.0 200").decode()
        contact = re.search(r"Contact: <(.*?)>", accepted)
        to = re.search(r"^To: (.*?)\r$", accepted, re.MULTILINE)
        assert contact is not None
        assert to is not None
        rest = f"Max-Forwards: 70\r\n{names[0]}To: {to[1]}\r\n{names[1]}"
        via = f"Via: SIP/2.0/UDP 127.0.0.1:5091;branch=z9hG4bK-{number}"
        ack = f"ACK {contact[1]} SIP/2.0\r\n{via}-1\r\n{rest}CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
        self._feed(ack.encode(), self._caller, b"")
        bye = f"BYE {contact[1]} SIP/2.0\r\n{via}-2\r\n{rest}CSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n"
        ended = self._feed(bye.encode(), self._caller, b"BYE")
        self._feed(_response(ended, "200 OK", "", ""), self._called, b"")


def _response(request: bytes, status: str, tag: str, sdp: str) -> bytes:
    found = {
        name: re.search(rf"^{name}: (.*?)\r$", request.decode(), re.MULTILINE)[1]  # type: ignore[index]
        for name in ("Via", "From", "To", "Call-ID", "CSeq")
    }
    kind = "Content-Type: application/sdp\r\n" if sdp else ""
    return (
        f"SIP/2.0 {status}\r\nVia: {found['Via']}\r\nFrom: {found['From']}\r\nTo: {found['To']}{tag}\r\n"
        f"Call-ID: {found['Call-ID']}\r\nCSeq: {found['CSeq']}\r\nContact: <sip:called@127.0.0.1>\r\n{kind}"
        f"Content-Length: {len(sdp)}\r\n\r\n{sdp}"
    ).encode()


async def _run(config: Path, port: int, called_port: int, what: str, calls: int, profiled: bool) -> None:
    app = App(config)
    await app.start()
    rows = [line.split(";") for line in (config / "sipp-users.csv").read_text().splitlines()[1:]]
    users = [(row[0], row[1].rpartition("password=")[2].strip("]")) for row in rows]
    pipeline = Pipeline(app, port, called_port, users)
    work = pipeline.register if what == "register" else pipeline.call
    for number in range(3 * BATCH):
        work(number)
    await asyncio.sleep(0.5)
    profile = cProfile.Profile()
    batches = []
    for first in range(3 * BATCH, 3 * BATCH + calls, BATCH):
        pipeline.spent = 0.0
        if profiled:
            profile.enable()
        for number in range(first, first + BATCH):
            work(number)
        profile.disable()
        batches.append(pipeline.spent / BATCH * 1e6)
        await asyncio.sleep(0)
    if "--trend" in sys.argv:
        print([round(b) for b in batches[::10]])
    yard = min(timeit.repeat("sum(range(1000))", number=100, repeat=10)) / 100 * 1e6
    print(f"least {min(batches):.0f} us   median {sorted(batches)[len(batches) // 2]:.0f} us   yard {yard:.1f} us")
    if app._switch.runtime.calls:
        print(f"{len(app._switch.runtime.calls)} calls left: the figure is not that of whole calls")
    if profiled:
        _table(profile, calls)
    app.stop()
    await app.run()


def _table(profile: cProfile.Profile, calls: int) -> None:
    stats = pstats.Stats(profile)
    by_file: dict[str, list[float]] = collections.defaultdict(lambda: [0, 0.0])
    for (file, _line, _name), (_, count, own, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        by_file[file][0] += count
        by_file[file][1] += own
    for file, (count, own) in sorted(by_file.items(), key=lambda item: -item[1][1])[:40]:
        print(f"{file[-45:]:46} {count / calls:8.1f} functions each {own / calls * 1e6:8.1f} us (profiled)")
    stats.sort_stats("tottime").print_stats(60)


def main() -> None:
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with tempfile.TemporaryDirectory() as name:
        config, port, called_port = Path(name) / "config", free_port(), free_port()
        init = ["init", str(config), "--extensions", "100", "--sip", f"127.0.0.1:{port}", "--trunk", "127.0.0.1/32"]
        init += ["--rtp-ports", "20000-20127", "--route", f"_9X.=127.0.0.1:{called_port}"]
        subprocess.run([str(SOFTSWITCH), *init], check=True, stdout=subprocess.DEVNULL)
        what = "register" if "register" in words else "call"
        calls = next((int(word) for word in words if word.isdigit()), 3000)
        uvloop.run(_run(config, port, called_port, what, calls, "--profile" in sys.argv))


if __name__ == "__main__":
    main()
