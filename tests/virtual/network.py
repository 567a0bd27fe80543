"""The whole switch on a virtual network in virtual time: no socket, no sleep.

    world = World()                                  # the switch at 192.0.2.1, settings as given
    ann, ben = world.phone("101"), world.phone("102")
    call = ann.dial("102")
    world.run(1.0)                                   # one second of virtual time
    ben.ring(); ben.answer(); world.run(1.0)
    world.assert_over(1)                             # one CDR, and nothing left of the call anywhere

Phones and gateways are user agents of `tests.virtual_link`; the switch is everything that `softswitch.switch` joins,
with a media client that keeps accounts instead of sockets.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import msgspec
import numpy as np

from media.audio_commands import AudioCommand, CloseRoom, Play, PlayEnded, SetRoom, StopPlay
from media.client import MediaAddress
from media.commands import (
    MediaEvent,
    NoMediaPorts,
    StreamClosed,
    StreamSettings,
    StreamSilent,
    StreamStats,
)
from media.engine import SILENCE_CHECK_SECONDS, MediaEngine
from rtp.address import FAMILY_V4
from rtp.ports import PortPool
from sip.digest import Credentials
from sip.effects import Target
from sip.ids import Ids
from sip.invite import InviteSession
from sip.message import Request
from sip.timers import TimerConfig
from sip.ua import UaSettings
from sip.ua_events import RequestAnswered, SessionArrived
from softswitch.contact import Contact
from softswitch.report import cdr_of
from softswitch.settings.models import Settings
from softswitch.store.records import CdrRecord
from softswitch.switch import Switch
from tests.virtual.line_media import AccountEngine, NumberedEngine, VirtualWorker, VirtualWorkers, account_worker
from tests.virtual_link import Link, Node

WORKERS = int(os.environ.get("SOFTSWITCH_TEST_WORKERS", "0"))
"""How many media workers the virtual switch has; 0: the engine is its own, as by default."""

SWITCH = "192.0.2.1"
WALL = 1_700_000_000.0  # Unix seconds at link time 0
PASSWORD = "no secret"

PCMA = "8 PCMA/8000"
PCMU = "0 PCMU/8000"
G722 = "9 G722/8000"
EVENTS = "101 telephone-event/8000"


def sdp(
    host: str,
    port: int = 4000,
    formats: tuple[str, ...] = (PCMA, PCMU, EVENTS),
    direction: str = "sendrecv",
    version: int = 1,
    media_host: str = "",
) -> bytes:
    """A telephone's description."""
    numbers = " ".join(each.split()[0] for each in formats)
    lines = [
        "v=0",
        f"o=phone 1 {version} IN IP4 {host}",
        "s=-",
        f"c=IN IP4 {media_host or host}",
        "t=0 0",
        f"m=audio {port} RTP/AVP {numbers}",
        *[f"a=rtpmap:{each}" for each in formats],
        f"a={direction}",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def settings(**sections: Any) -> Settings:
    """A switch with phones 101 to 104 and two trunks, and what `sections` say else.

    `north` has two gateways in order, `south` calls in from 192.0.2.60.
    """
    extensions = {
        number: {"number": number, "password": PASSWORD, "name": f"Phone {number}"}
        for number in ("101", "102", "103", "104")
    }
    for number, more in sections.pop("extensions", {}).items():
        extensions.setdefault(number, {"number": number, "password": PASSWORD}).update(more)
    trunks: dict[str, Any] = {
        "north": {
            "name": "north",
            "gateways": [
                {"host": "192.0.2.51", "priority": 1},
                {"host": "192.0.2.52", "priority": 2},
            ],
            "options_interval": "none",
        },
        "south": {
            "name": "south",
            "inbound": {"addresses": ["192.0.2.60"]},
            "context": "internal",
            "gateways": ["192.0.2.60"],
            "options_interval": "none",
        },
    }
    for name, more in sections.pop("trunks", {}).items():
        trunks.setdefault(name, {"name": name}).update(more)
    routes = [
        *sections.pop("routes", ()),
        {"to": "*43", "answer_and_echo": True},
        {"to": "_1XX", "dial": "{number}"},
        {"to": "_0.", "dial": {"trunk": "north"}, "strip": 1},
    ]
    sip = {"qualify": {"interval": "none"}, "session_timer": {"mode": "accept"}}
    sip.update(sections.pop("sip", {}))
    return Settings.model_validate(
        {"extensions": extensions, "trunks": trunks, "dialplan": {"internal": {"routes": routes}}, "sip": sip}
        | sections
    )


Asked = TypeVar("Asked", bound=AudioCommand)


class Heard:
    """What was asked for of audio, and who hears what by it."""

    events: list[MediaEvent]
    streams: Any
    bridges: Any

    def begin(self) -> None:
        self.rooms: dict[int, SetRoom] = {}
        self.ended_plays: set[int] = set()
        self.commands: list[AudioCommand] = []

    def note(self, command: AudioCommand) -> None:
        self.commands.append(command)
        if isinstance(command, SetRoom):
            self._out_of_rooms(*command.members)
            self.rooms[command.room] = command
        elif isinstance(command, CloseRoom):
            self.rooms.pop(command.room, None)

    def _out_of_rooms(self, *streams: int) -> None:
        """A stream is in one room at most: the latest that names it."""
        for number, room in list(self.rooms.items()):
            members = tuple(each for each in room.members if each not in streams)
            self.rooms[number] = msgspec.structs.replace(room, members=members)

    def hearing(self) -> dict[int, set[int]]:
        """Whom each open stream hears, by bridges and rooms; not what is played to it."""
        heard: dict[int, set[int]] = {stream: set() for stream in self.streams}
        for listener, talker in self.bridges.items():
            heard[listener].add(talker)
        for room in self.rooms.values():
            gains = {(ear, mouth): gain for ear, mouth, gain in room.gains}
            for ear in room.members:
                heard[ear] |= {m for m in room.members if m != ear and gains.get((ear, m), room.gain)}
        return heard

    def playing(self) -> dict[int, list[object]]:
        """What is played to each open stream, without what is only mixed with what it hears."""
        stopped = {command.play for command in self.asked(StopPlay)} | self.ended_plays
        playing: dict[int, list[object]] = {}
        for command in self.asked(Play):
            if command.play not in stopped and command.stream in self.streams and not command.over:
                playing.setdefault(command.stream, []).append(command.sources[0])
        return playing

    def play_ends(self, play: int) -> None:
        """The engine has played it to its end."""
        self.ended_plays.add(play)
        self.events.append(PlayEnded(play, "done"))

    def asked(self, kind: type[Asked]) -> list[Asked]:
        """The commands of that kind, oldest first."""
        return [command for command in self.commands if isinstance(command, kind)]


class FakeMedia(Heard):
    """A media client that keeps accounts: what is open, how it is configured, who is bridged."""

    def __init__(self, ports: int = 1_000) -> None:
        self.events: list[MediaEvent] = []
        self.ports = ports
        self.opened = 0
        self.streams: dict[int, StreamSettings | None] = {}
        self.bridges: dict[int, int] = {}
        self.groups: dict[int, str] = {}
        self.begin()

    def open(
        self,
        stream: int,
        peer_host: str,
        remote: MediaAddress | None,
        nat: bool,
        local_host: str,
        now: float,
        group: str = "",
        beside: int | None = None,
    ) -> MediaAddress:
        assert stream not in self.streams, "opened twice"
        if len(self.streams) >= self.ports:
            raise NoMediaPorts("none left")
        self.streams[stream] = None
        self.groups[stream] = group
        self.opened += 1
        port = 10_000 + 2 * stream % 50_000
        return MediaAddress(local_host, port, port + 1)

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        if stream in self.streams:
            self.streams[stream] = settings

    def bridge(self, a: int, b: int, now: float) -> None:
        assert a in self.streams and b in self.streams, "bridged without a stream"  # noqa: PT018
        self._part(a)
        self._part(b)
        self._out_of_rooms(a, b)
        self.bridges[a] = b
        self.bridges[b] = a

    def echo(self, stream: int, now: float) -> None:
        assert stream in self.streams
        self._part(stream)
        self._out_of_rooms(stream)
        self.bridges[stream] = stream

    def unbridge(self, stream: int, now: float) -> None:
        self._part(stream)

    def close(self, stream: int, now: float) -> None:
        assert stream in self.streams, "closed without being open"
        self._part(stream)
        self._out_of_rooms(stream)
        del self.streams[stream]
        self.events.append(StreamClosed(stream, StreamStats()))

    def regroup(self, stream: int, group: str, now: float) -> bool:
        self.groups[stream] = group
        return True

    def audio(self, command: AudioCommand, now: float) -> None:
        self.note(command)
        if isinstance(command, SetRoom):
            for stream in command.members:
                self._part(stream)

    def leftovers(self) -> dict[str, int]:
        return {"streams open": len(self.streams), "bridges": len(self.bridges)}

    def hear(self, stream: int) -> str:
        """Where the stream's peer hears from: the address its bridge partner sends to us from, "" for nobody."""
        partner = self.bridges.get(stream)
        found = self.streams[partner] if partner is not None else None
        return "" if found is None else found.remote.host

    def _part(self, stream: int) -> None:
        other = self.bridges.pop(stream, None)
        if other is not None:
            self.bridges.pop(other, None)


class WorkersMedia(Heard, VirtualWorkers):
    """The same accounts, kept by engines behind the real line."""

    def __init__(self, count: int, now: Callable[[], float], ports: int = 1_000) -> None:
        self.ports = ports
        self.opened = 0
        self.begin()
        VirtualWorkers.__init__(self, count, account_worker, now)

    def open(self, stream: int, *args: Any, **more: Any) -> MediaAddress:
        if len(self.streams) >= self.ports:
            raise NoMediaPorts("none left")
        self.opened += 1
        return super().open(stream, *args, **more)

    def bridge(self, a: int, b: int, now: float) -> None:
        self._out_of_rooms(a, b)
        super().bridge(a, b, now)

    def echo(self, stream: int, now: float) -> None:
        self._out_of_rooms(stream)
        super().echo(stream, now)

    def close(self, stream: int, now: float) -> None:
        self._out_of_rooms(stream)
        super().close(stream, now)

    def audio(self, command: AudioCommand, now: float) -> None:
        self.note(command)
        super().audio(command, now)

    @property
    def engines(self) -> list[AccountEngine]:
        return [each.engine for each in self.virtual if each is not None and isinstance(each.engine, AccountEngine)]

    @property
    def streams(self) -> dict[int, StreamSettings | None]:
        return {stream: settings for engine in self.engines for stream, settings in engine.streams.items()}

    @property
    def bridges(self) -> dict[int, int]:
        return {a: b for engine in self.engines for a, b in engine.bridges.items()}

    def hear(self, stream: int) -> str:
        partner = self.bridges.get(stream)
        found = self.streams[partner] if partner is not None else None
        return "" if found is None else found.remote.host

    def leftovers(self) -> dict[str, int]:
        return {
            "streams open": len(self.streams) + len(self),
            "bridges": len(self.bridges),
            "groups": len(self._groups),
            "lost streams": len(self._lost),
            "held by the ports": sum(sum(worker.pool.held()) for worker in self.workers),  # type: ignore[call-overload]
        }


class EngineMedia:
    """The real engine and the real choice of ports, on sockets that are numbers."""

    def __init__(self, pairs: int, now: float) -> None:
        self.events: list[MediaEvent] = []
        self._pool = PortPool(10_000, 10_000 + 2 * pairs - 1, min(4, pairs))
        self._engine = MediaEngine(Random(7), now, WALL + now)
        self._engine.events = self.events

    def open(
        self,
        stream: int,
        peer_host: str,
        remote: MediaAddress | None,
        nat: bool,
        local_host: str,
        now: float,
        group: str = "",
        beside: int | None = None,
    ) -> MediaAddress:
        address = None if remote is None or not _placeable(remote) else (remote.host, remote.port)
        port = self._pool.open(stream, peer_host, address, nat, beside)
        self._engine.open(stream, port, port + 1, FAMILY_V4)
        return MediaAddress(local_host, port, port + 1)

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        if not self._engine.has(stream):
            return
        remote = settings.remote
        if _placeable(remote):
            self._pool.remote_changed(stream, (remote.host, remote.port), settings.nat, settings.signalled_host)
        self._engine.configure(stream, settings, now)

    def bridge(self, a: int, b: int, now: float) -> None:
        self._engine.bridge(a, b)

    def echo(self, stream: int, now: float) -> None:
        self._engine.echo(stream)

    def unbridge(self, stream: int, now: float) -> None:
        self._engine.unbridge(stream)

    def close(self, stream: int, now: float) -> None:
        self._engine.close(stream)
        self._pool.close(stream, now)

    def regroup(self, stream: int, group: str, now: float) -> bool:
        return True

    def audio(self, command: AudioCommand, now: float) -> None:
        self._engine.audio(command, now)

    def tick(self, now: float) -> None:
        """What time brings: silences, and extra ports that nobody needs."""
        self._engine.tick(now)
        self._pool.shrink(now)

    def leftovers(self) -> dict[str, int]:
        table = self._engine.table
        held = self._pool.held()
        assert isinstance(held, tuple)
        return {
            "streams": len(self._engine),
            "rows with a limit or a report due": int(np.isfinite(table.report_at).sum()),
            "held by the ports": sum(held),
            "extra ports open": len(self._pool.opened) - self._pool.shared,
        }


class EngineWorkersMedia(VirtualWorkers):
    """The real engine, in workers."""

    def __init__(self, count: int, pairs: int, now: Callable[[], float]) -> None:
        made: list[MediaEngine] = []

        def make() -> VirtualWorker:
            made.append(MediaEngine(Random(7), now(), WALL + now()))
            return VirtualWorker(NumberedEngine(made[-1]), made[-1].events)

        super().__init__(count, make, now, ports=(10_000, 10_000 + 2 * pairs - 1), shared=min(4, pairs // count))
        self._engines = made

    def tick(self, now: float) -> None:
        for engine in self._engines:
            engine.tick(now)
        for virtual in self.virtual:
            if virtual is not None:
                virtual.tell()
        self.mind(now)

    def leftovers(self) -> dict[str, int]:
        tables = [engine.table for engine in self._engines]
        return {
            "streams": sum(map(len, self._engines)) + len(self),
            "rows with a limit or a report due": sum(int(np.isfinite(table.report_at).sum()) for table in tables),
            "held by the ports": sum(sum(worker.pool.held()) for worker in self.workers),  # type: ignore[call-overload]
            "extra ports open": sum(len(worker.pool.opened) - worker.pool.shared for worker in self.workers),
        }


def _placeable(remote: MediaAddress) -> bool:
    return remote.port != 0 and remote.host != "0.0.0.0"


AnyMedia = FakeMedia | WorkersMedia | EngineMedia | EngineWorkersMedia


class SwitchNode(Node):
    """The switch as a node of the link."""

    def __init__(self, world: World, link: Link, configured: Settings, media: AnyMedia) -> None:
        self.link = link
        self.host = SWITCH
        self.events = []
        self.on_event = None
        self.records: list[CdrRecord] = []
        self.contacts: list[Contact] = []
        self.media = media
        self.wall_jump = 0.0
        self.switch = Switch(
            configured,
            Ids(77),
            self.media,
            lambda transport, remote: (SWITCH, 5060),
            lambda host: SWITCH,
            lambda: WALL + link.now + self.wall_jump,
            self._record,
            lambda change: None,
        )
        self.stack = self.switch.stack
        self.ua = self.switch.ua
        self.runtime = self.switch.runtime
        self.switch.start(configured, (), link.now)

    def _record(self, contact: Contact) -> None:
        self.contacts.append(contact)
        self.records.append(cdr_of(contact))

    def pump(self, now: float) -> bool:
        moved = False
        stack = self.stack
        # As the driver does: a timer may have changed something in a layer that no event of the stack tells of.
        self.switch.pump(now)
        while stack.events or self.ua.events or stack.effects or self.media.events:
            moved = True
            self.switch.pump(now)
            effects, stack.effects[:] = list(stack.effects), []
            for effect in effects:
                self.carry_out(effect, now)
        return moved

    def leftovers(self) -> dict[str, int]:
        """Everything that a call may leave behind, where there is any of it."""
        runtime = self.runtime
        sizes = dict(self.stack.sizes())
        # One timer is the keep-alive's: bindings expire.
        sizes["timers"] = max(0, sizes.get("timers", 0) - 1)
        sizes |= {
            "calls": len(runtime.calls),
            "legs": len(runtime.legs),
            "streams known": len(runtime.streams),
            "leg events": len(runtime.tables.waiting),
            "plays, recordings": len(runtime.audio),
            "conferences": len(runtime.rooms),
            "limits": len(self.switch.limits),
            "toll": len(self.switch.toll),
            "parked": len(self.switch.book.parking),
            **self.media.leftovers(),
            "sessions": len(self.ua.sessions),
            "dialogs": len(self.ua.dialogs),
        }
        return {what: count for what, count in sizes.items() if count}


class Phone(Node):
    """A telephone, or a gateway where it has no number: a user agent with a hand on it."""

    def __init__(self, world: World, host: str, number: str, agent: UaSettings, transport: str = "udp") -> None:
        super().__init__(world.link, host, agent, world.timers)
        world.link.nodes[host] = self
        self.world = world
        self.number = number
        self.switch = Target(transport, SWITCH, 5060)
        self.port = 4000 + 10 * len(world.link.nodes)
        self._version = 0

    # --- what it does -------------------------------------------------------------------------------------

    def sdp(self, formats: tuple[str, ...] = (PCMA, PCMU, EVENTS), direction: str = "sendrecv", **more: Any) -> bytes:
        self._version += 1
        return sdp(self.host, self.port, formats, direction, self._version, **more)

    def register(self) -> None:
        request = Request(
            "REGISTER",
            f"sip:{SWITCH}",
            [("From", f"<sip:{self.number}@{SWITCH}>"), ("To", f"<sip:{self.number}@{SWITCH}>"), ("Expires", "7200")],
        )
        self.ua.request(request, self.link.now, self.switch, self.number, Credentials(self.number, PASSWORD))
        self.world.run(0.5)
        [answer] = [event for event in self.take() if isinstance(event, RequestAnswered)]
        assert answer.response.status == 200, answer.response

    def dial(
        self,
        number: str,
        offer: bytes | None = b"?",
        headers: tuple[tuple[str, str], ...] = (),
        caller: str = "",
        expires: float | None = None,
    ) -> InviteSession:
        """Call a number; with an offer of its own unless one is given, or None for none at all."""
        body = self.sdp() if offer == b"?" else offer
        given = {name for name, _ in headers}
        names = [("From", caller or f"<sip:{self.number or 'gateway'}@{SWITCH}>"), ("To", f"<sip:{number}@{SWITCH}>")]
        request = Request(
            "INVITE",
            f"sip:{number}@{SWITCH}",
            [each for each in names if each[0] not in given] + list(headers),
            body or b"",
        )
        credentials = Credentials(self.number, PASSWORD) if self.number else None
        session = self.ua.invite(request, self.link.now, self.switch, self.number or "gateway", credentials, expires)
        self.link.settle()
        return session

    def called(self) -> InviteSession:
        """The session of the call that arrived last."""
        return [event for event in self.events if isinstance(event, SessionArrived)][-1].session

    def called_session(self) -> InviteSession:
        """The one session that this phone is in."""
        (session,) = self.ua.sessions.values()
        return session

    def invited(self) -> Request:
        """The INVITE that arrived last."""
        return [event for event in self.events if isinstance(event, SessionArrived)][-1].request

    def ring(self, status: int = 180, body: bytes | None = None, reliable: bool | None = None) -> None:
        self.do(self.called().progress, status, body, reliable=reliable)

    def answer(self, body: bytes | None = None) -> None:
        self.do(self.called().accept, body or self.sdp())

    def refuse(self, status: int, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.do(self.called().reject, status, None, headers)

    # --- what it has heard --------------------------------------------------------------------------------

    def last(self, kind: type) -> Any:
        """The latest event of that kind."""
        found = self.of(kind)
        assert found, f"{self.host} heard only {self.kinds()}"
        return found[-1]

    def got(self, what: str) -> list[Any]:
        """Messages to this phone that are `what` ("CANCEL", "200 INVITE")."""
        return [seen.message for seen in self.link.wire if seen.receiver == self.host and seen.what == what]


class World:
    """The switch, the network, whoever is on it."""

    def __init__(self, configured: Settings | None = None, ports: int = 1_000, seed: int = 1) -> None:
        self.link = Link(seed)
        self.timers = TimerConfig()
        self.media = WorkersMedia(WORKERS, lambda: self.link.now, ports) if WORKERS else FakeMedia(ports)
        self._build(configured or settings(), self.media)

    def _build(self, configured: Settings, media: AnyMedia) -> None:
        self.node = SwitchNode(self, self.link, configured, media)
        self.link.nodes[SWITCH] = self.node
        self.switch = self.node.switch
        self.runtime = self.node.runtime

    @property
    def now(self) -> float:
        return self.link.now

    @property
    def records(self) -> list[CdrRecord]:
        return self.node.records

    def phone(self, number: str, host: str = "", agent: UaSettings | None = None, transport: str = "udp") -> Phone:
        """A phone, registered."""
        phone = Phone(self, host or f"192.0.2.{int(number)}", number, agent or UaSettings(), transport)
        phone.register()
        return phone

    def gateway(self, host: str, agent: UaSettings | None = None) -> Phone:
        """A peer that never registers."""
        return Phone(self, host, "", agent or UaSettings())

    def run(self, seconds: float) -> None:
        self.link.run(seconds)

    def establish(self, caller: Phone, called: Phone, number: str = "", offer: bytes | None = b"?") -> InviteSession:
        """A call that is talked on, with both sides' ACKs in. `offer`: as of `Phone.dial`."""
        session = caller.dial(number or called.number, offer)
        self.run(0.2)
        called.ring()
        self.run(0.2)
        called.answer()
        self.run(0.5)
        return session

    def legs(self) -> list[int]:
        return sorted(self.media.streams)

    def silence(self, stream: int, seconds: float) -> None:
        self.media.events.append(StreamSilent(stream, seconds))
        self.link.settle()

    def assert_over(self, calls: int = 1, after: float = 40.0) -> list[CdrRecord]:
        """After `after` seconds nothing is left of any call but `calls` records, whose times are in order."""
        self.run(after)
        assert self.node.leftovers() == {}
        assert len(self.records) == calls
        for record in self.records:
            assert_in_order(record)
        return self.records


class EngineWorld(World):
    """A world whose media engine is the real one, without packets: who is not on hold is silent, and hung up."""

    def __init__(self, configured: Settings | None = None, ports: int = 1_000, seed: int = 1) -> None:
        self.link = Link(seed)
        self.timers = TimerConfig()
        self.engine = (
            EngineWorkersMedia(WORKERS, ports, lambda: self.link.now) if WORKERS else EngineMedia(ports, self.link.now)
        )
        self._build(configured or settings(), self.engine)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.link.run(min(SILENCE_CHECK_SECONDS, end - self.now))
            self.engine.tick(self.now)
            self.link.settle()


def assert_in_order(record: CdrRecord) -> None:
    """Started, rang, answered, ended: each not before the one before, in the contact and in each leg. A caller that
    was not answered has in its leg what it was refused with."""
    moments = [record.started, record.answered, record.ended]
    assert moments[-1] is not None
    assert sorted(each for each in moments if each is not None) == [each for each in moments if each is not None]
    assert record.duration >= record.billsec >= 0
    assert record.cause > 0
    assert record.ended_by
    assert record.legs
    caller = record.legs[0]
    if caller.direction == "in" and caller.answered is None and not record.joined:
        assert caller.cause == record.cause, (record, caller)
    for leg in record.legs:
        moments = [record.started, leg.started, leg.rang, leg.answered, leg.ended]
        assert leg.ended is not None, leg
        known = [each for each in moments if each is not None]
        assert sorted(known) == known
        assert leg.cause > 0
