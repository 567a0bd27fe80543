"""Telephones on real sockets, many in one event loop: our user agent for SIP, and RTP that tells who sent it.

    async with Office(switch_address) as office:
        ann, ben = await office.add("101", password), await office.add("102", password)
        line = ann.dial("102")                  # ben rings, and takes it by himself
        await office.until(lambda: line.talks, 2.0, "an answer")

Every call of a telephone is a `Line` with a number and a port of its own. Its number is in each of its packets, so that
a line knows whom it hears: other lines by their number, and anything else (music, ringing) as strange. Packets are sent
and read every 20 ms, so that moments are exact to that.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import select
import socket
import struct
from collections.abc import Callable
from types import TracebackType

from sip.aio.addresses import LocalAddresses, SipListen
from sip.aio.driver import Driver
from sip.digest import Credentials
from sip.effects import Target
from sip.ids import Ids
from sip.invite import InviteSession
from sip.message import Request
from sip.stack import Stack, StackSettings
from sip.ua import UaSettings, UserAgent
from sip.ua_events import (
    AnswerReceived,
    Cancelled,
    Offered,
    OfferFailed,
    ReferAnswered,
    ReferProgress,
    RequestAnswered,
    SessionAnswered,
    SessionArrived,
    SessionConfirmed,
    SessionEnded,
    SessionFailed,
    SessionProgress,
    UaEvent,
)

FRAME = 0.02
"""Seconds of a packet."""

MARK = b"TALK"
"""What the payload of every packet of ours begins with."""

SPEECH = struct.Struct("!4sI")
RTP = struct.Struct("!BBHII")
PCMA, PAYLOAD_OCTETS = 8, 160
FLIPPED = {"sendonly": "recvonly", "recvonly": "sendonly"}


class Missed(AssertionError):
    """Something did not happen in time."""


class Line:
    """One call of a telephone: its session and its audio."""

    def __init__(self, telephone: Telephone, number: int) -> None:
        self.telephone = telephone
        self.number = number
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((telephone.host, 0))
        self.rtp.setblocking(False)
        self.session: InviteSession | None = None
        self.to: tuple[str, int] | None = None
        """Where the switch wants to hear us; None where it does not."""
        self.rings = False
        self.talks = False
        """Answered, and not over."""
        self.answered_at = 0.0
        self.over = ""
        """How it ended."""
        self.holding = False
        self.exchanges = 0
        """Offers of ours that were answered."""
        self.refer_status = 0
        self.told: list[tuple[int, bool]] = []
        """What NOTIFYs said of our REFER, and whether it was the last word."""
        self.first: dict[int, float] = {}
        self.last: dict[int, float] = {}
        """When packets of a line came, by its number: the first one and the latest."""
        self.gaps: dict[int, float] = {}
        """The longest pause between two packets of a line."""
        self.strange = 0.0
        """When a packet came that no telephone has sent."""
        self._version = 0
        self._sent = 0

    def __repr__(self) -> str:
        return f"{self.telephone.number}/{self.number}"

    # ---- signalling ----------------------------------------------------------------------------------

    def sdp(self, direction: str = "sendrecv") -> bytes:
        self._version += 1
        host, port = self.rtp.getsockname()
        return (
            f"v=0\r\no=- {self.number} {self._version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP {PCMA}\r\na=rtpmap:{PCMA} PCMA/8000\r\na={direction}\r\n"
        ).encode()

    def heeds(self, sdp: bytes | None) -> str:
        """Take a description of the switch; the direction it says."""
        text = (sdp or b"").decode()
        host, port = re.search(r"^c=IN IP4 (\S+)", text, re.M), re.search(r"^m=audio (\d+)", text, re.M)
        said = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)", text, re.M)
        direction = said[1] if said is not None else "sendrecv"
        if host is not None and port is not None:
            self.to = (host[1], int(port[1])) if direction in ("sendrecv", "recvonly") else None
        return direction

    def hold(self) -> None:
        """The other one is put on hold: `exchanges` counts the answer."""
        self.holding = True
        self._do(self._session.offer, self.sdp("sendonly"))

    def hang_up(self) -> None:
        if not self.over:
            self._do(self._session.hangup)

    def refer(self, number: str, replaces: Line | None = None) -> None:
        """Send whom we talk to to a number, or to whom we talk to on another line (RFC 5589 7.1)."""
        uri = f"sip:{number}@{self.telephone.office.switch[0]}"
        if replaces is not None:
            call_id, local_tag, remote_tag = replaces._session.dialog.id
            named = f"{call_id};to-tag={remote_tag};from-tag={local_tag}"
            uri += "?Replaces=" + named.replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        self._do(self._session.refer, f"<{uri}>", None)

    @property
    def _session(self) -> InviteSession:
        assert self.session is not None
        return self.session

    def _do(self, action: Callable[..., object], *args: object) -> None:
        self.telephone.do(action, *args)

    # ---- audio ---------------------------------------------------------------------------------------

    def speak(self) -> None:
        """Send a packet, if anybody is to hear it."""
        if self.to is None or not self.talks or self.holding:
            return
        header = RTP.pack(0x80, PCMA, self._sent & 0xFFFF, self._sent * PAYLOAD_OCTETS, 0x10000 + self.number)
        self._sent += 1
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            self.rtp.sendto(header + SPEECH.pack(MARK, self.number).ljust(PAYLOAD_OCTETS, b"\xd5"), self.to)

    def listen(self, now: float) -> None:
        """Read what has come."""
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                data = self.rtp.recv(2048)
                if len(data) < RTP.size + SPEECH.size:
                    continue
                mark, number = SPEECH.unpack_from(data, RTP.size)
                if mark != MARK:
                    self.strange = now
                    continue
                self.first.setdefault(number, now)
                self.gaps[number] = max(self.gaps.get(number, 0.0), now - self.last.get(number, now))
                self.last[number] = now

    def hears(self, other: Line) -> bool:
        return other.number in self.first

    def hears_lately(self, since: float) -> set[int]:
        """The lines heard since then; 0 for what is strange."""
        heard = {number for number, at in self.last.items() if at >= since}
        return heard | {0} if self.strange >= since else heard


class Telephone:
    """An extension: rings and takes every call after `answer_after` seconds."""

    def __init__(self, office: Office, number: str, password: str, host: str) -> None:
        self.office = office
        self.number = number
        self.host = host
        self.answer_after = 0.05
        self.lines: list[Line] = []
        """Those that are not over."""
        self.arrived: list[Line] = []
        """Calls that came in, latest last: whoever waits for one takes it out."""
        self.registered = False
        self._credentials = Credentials(number, password)
        self._addresses = LocalAddresses((SipListen("udp", host, 0),))
        self._stack = Stack(Ids(), self._addresses.sent_by, StackSettings())
        self._ua = UserAgent(self._stack, UaSettings(refer=True, user_agent="telephone"), Ids())
        self._driver = Driver(self._stack, self._addresses, self._on_events)
        self._by_session: dict[int, Line] = {}

    async def start(self) -> None:
        await self._driver.start()
        address = f"<sip:{self.number}@{self.office.switch[0]}>"
        request = Request(
            "REGISTER",
            f"sip:{self.office.switch[0]}",
            [("From", address), ("To", address), ("Expires", "3600")],
        )
        self._ua.request(request, self._driver.now(), self._switch, self.number, self._credentials)
        self._driver.drain()

    async def close(self) -> None:
        await self._driver.close()
        for line in list(self.lines):
            self._ended(line, "closed")

    def left(self) -> dict[str, int]:
        """What the user agent has not done with."""
        sizes = {"sessions": len(self._ua.sessions), "dialogs": len(self._ua.dialogs), "lines": len(self.lines)}
        return {what: count for what, count in sizes.items() if count}

    def dial(self, number: str) -> Line:
        line = self.office.line(self)
        host = self.office.switch[0]
        request = Request(
            "INVITE",
            f"sip:{number}@{host}",
            [("From", f"<sip:{self.number}@{host}>"), ("To", f"<sip:{number}@{host}>")],
            line.sdp(),
        )
        now = self._driver.now()
        self._take(line, self._ua.invite(request, now, self._switch, self.number, self._credentials))
        self._driver.drain()
        return line

    def do(self, action: Callable[..., object], *args: object) -> None:
        """Call a method of a session, and have carried out what follows."""
        action(*args, now=self._driver.now())
        self._driver.drain()

    @property
    def _switch(self) -> Target:
        return Target("udp", *self.office.switch)

    def _take(self, line: Line, session: InviteSession) -> None:
        line.session = session
        self.lines.append(line)
        self._by_session[session.id] = line

    # ---- what comes ----------------------------------------------------------------------------------

    def _on_events(self, now: float) -> None:
        stack, ua = self._stack, self._ua
        while stack.events or ua.events:
            events, stack.events[:] = list(stack.events), []
            for event in events:
                ua.handle(event, now)
            told, ua.events[:] = list(ua.events), []
            for each in told:
                self._event(each, now)

    def _event(self, event: UaEvent, now: float) -> None:
        if isinstance(event, RequestAnswered):
            self.registered = event.response.status == 200
            return
        if isinstance(event, SessionArrived):
            self._rings(event, now)
            return
        session = getattr(event, "session", None)
        line = self._by_session.get(session.id) if session is not None else None
        if line is not None and session is not None:
            self._line_event(line, session, event, now)

    def _rings(self, event: SessionArrived, now: float) -> None:
        line = self.office.line(self)
        line.heeds(event.session.remote_offer)
        self._take(line, event.session)
        event.session.progress(180, None, now)
        asyncio.get_running_loop().call_later(self.answer_after, self._answer, line)

    def _answer(self, line: Line) -> None:
        if line.over or line.session is None:
            return
        line.talks = True
        line.answered_at = self._driver.now()
        self.arrived.append(line)
        self.do(line.session.accept, line.sdp())

    def _line_event(self, line: Line, session: InviteSession, event: UaEvent, now: float) -> None:
        match event:
            case SessionProgress(status=status, sdp=sdp):
                line.heeds(sdp)
                line.rings = status == 180
            case SessionAnswered(sdp=sdp):
                line.heeds(sdp)
                line.talks = True
                line.answered_at = now
            case Offered(sdp=None):
                session.answer(line.sdp("sendonly" if line.holding else "sendrecv"), now)
            case Offered(sdp=sdp):
                direction = line.heeds(sdp)
                session.answer(line.sdp(FLIPPED.get(direction, direction)), now)
            case AnswerReceived(sdp=sdp):
                line.heeds(sdp)
                line.exchanges += 1
            case OfferFailed(status=status):
                self.office.problems.append(f"{line}: an offer was refused with {status}")
            case ReferAnswered(status=status):
                line.refer_status = status
            case ReferProgress(status=status, over=over):
                line.told.append((status, over))
            case SessionFailed(status=status):
                self._ended(line, f"failed {status}")
            case SessionEnded(cause=cause):
                self._ended(line, cause)
            case Cancelled():
                self._ended(line, "cancelled")
            case SessionConfirmed():
                pass
            case _:
                self.office.problems.append(f"{line}: {type(event).__name__}")

    def _ended(self, line: Line, how: str) -> None:
        # By session it is found still: NOTIFYs of its REFER may follow.
        line.over = how
        line.talks = False
        self.lines.remove(line)
        self.office.closed(line)


class Office:
    """All telephones, their audio, and whoever waits for something. An asynchronous context manager."""

    def __init__(self, switch: tuple[str, int]) -> None:
        self.switch = switch
        self.telephones: list[Telephone] = []
        self.problems: list[str] = []
        self.latest = 0.0
        """Seconds that the audio was late at worst: what is measured is no better."""
        self.longest_silence = 0.0
        """Seconds in which nothing came for anybody, while calls were talked on."""
        self._heard_at = 0.0
        self._numbers = itertools.count(1)
        self._lines: dict[int, Line] = {}  # by file descriptor
        self._poll = select.epoll()
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[bool], float]] = []
        self._audio: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Office:
        self._audio = asyncio.create_task(self._run())
        self._audio.add_done_callback(self._failed)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._audio is not None
        self._audio.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._audio
        for telephone in self.telephones:
            await telephone.close()
        self._poll.close()

    async def add(self, number: str, password: str, host: str) -> Telephone:
        """A telephone at an address of its own."""
        telephone = Telephone(self, number, password, host)
        self.telephones.append(telephone)
        await telephone.start()
        return telephone

    def line(self, telephone: Telephone) -> Line:
        line = Line(telephone, next(self._numbers))
        self._lines[line.rtp.fileno()] = line
        self._poll.register(line.rtp.fileno(), select.EPOLLIN)
        return line

    def closed(self, line: Line) -> None:
        del self._lines[line.rtp.fileno()]
        self._poll.unregister(line.rtp.fileno())
        line.rtp.close()

    async def until(
        self, condition: Callable[[], bool], seconds: float, what: str, kind: type[Missed] = Missed
    ) -> None:
        """Raises `Missed`, or what is said of its kind, where the condition is not true in time."""
        if condition():
            return
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((condition, future, loop.time() + seconds))
        if not await future:
            raise kind(f"no {what} within {seconds:g} s")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            now = loop.time()
            self.latest = max(self.latest, now - due)
            readable = self._poll.poll(0)
            for descriptor, _ in readable:
                self._lines[descriptor].listen(now)
            if not readable and self._heard_at:
                self.longest_silence = max(self.longest_silence, now - self._heard_at)
            self._heard_at = now if readable or not any(line.talks for line in self._lines.values()) else self._heard_at
            for line in self._lines.values():
                line.speak()
            self._look(now)
            due += FRAME
            due = max(due, loop.time())  # what was not said is not said later
            await asyncio.sleep(due - loop.time())

    def _failed(self, audio: asyncio.Task[None]) -> None:
        error = None if audio.cancelled() else audio.exception()
        for _, future, _ in self._waiting:
            if error is not None and not future.done():
                future.set_exception(error)

    def _look(self, now: float) -> None:
        waiting, self._waiting = self._waiting, []
        for condition, future, deadline in waiting:
            if future.done():
                continue
            if condition():
                future.set_result(True)
            elif now >= deadline:
                future.set_result(False)
            else:
                self._waiting.append((condition, future, deadline))
