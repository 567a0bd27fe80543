"""The engine in process: real sockets on loopback addresses, packets by hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from media.audio_commands import MusicFailed, SetRoom
from media.client import MediaClient
from media.commands import (
    MediaAddress,
    MediaSettings,
    NoMediaPorts,
    StreamClosed,
    StreamFailed,
    StreamLatched,
    StreamSettings,
    StreamSilent,
)
from media.in_process import InProcessMedia
from media.record_files import RecordingSettings
from media.shell import OpenStudio, StudioSettings
from media.sound_settings import SoundSettings
from rtp import rtcp

FLOOD = 3000  # packets: more than a tick takes
PCMU = ((0, "PCMU", 8000), (101, "telephone-event", 8000))


def rtp(
    seq: int, stamp: int, ssrc: int, payload_type: int = 0, marker: bool = False, payload: bytes = b"x" * 160
) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type | marker << 7, seq & 0xFFFF, stamp, ssrc) + payload


class Phone:
    """An endpoint: a socket for RTP, one for RTCP beside it."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.rtp = socket.socket(family, socket.SOCK_DGRAM)
        self.rtcp = socket.socket(family, socket.SOCK_DGRAM)
        for each in (self.rtp, self.rtcp):
            each.setblocking(False)
            each.bind((host, 0))
        self.address = MediaAddress(host, self.rtp.getsockname()[1], self.rtcp.getsockname()[1])
        self.to = MediaAddress("", 0, 0)

    def send(self, packet: bytes, port: int | None = None) -> None:
        self.rtp.sendto(packet, (self.to.host, port or self.to.port))

    async def receive(self, seconds: float = 1.0) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.rtp, 2048), seconds)

    async def receive_rtcp(self, seconds: float = 1.0) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.rtcp, 2048), seconds)

    async def hears_nothing(self) -> bool:
        await asyncio.sleep(0.05)
        try:
            self.rtp.recv(2048)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


@pytest.fixture
def phones() -> Iterator[list[Phone]]:
    made: list[Phone] = []
    yield made
    for phone in made:
        phone.close()


def free_ports(count: int) -> tuple[int, int]:
    """First and last of `count` UDP ports that nobody uses now, the first one even."""
    for _ in range(200):
        first = random.randrange(10_000, 30_000, 2)
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + count):
                    probe = held.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
                    probe.bind(("::", port))
            except OSError:
                continue
            return first, first + count - 1
    raise RuntimeError("no range of ports is free")


def settings_of(
    count: int = 100, shared_ports: int = 2, hosts: tuple[str, ...] = ("127.0.0.1", "::1")
) -> MediaSettings:
    return MediaSettings(rtp_ports=free_ports(count), shared_ports=shared_ports, hosts=hosts)


@pytest.fixture
async def media() -> AsyncIterator[InProcessMedia]:
    engine = InProcessMedia(settings_of(), lambda: None)
    engine.start()
    yield engine
    engine.stop()


def connect(
    media: MediaClient, stream: int, phone: Phone, nat: bool = False, sdp: MediaAddress | None = None, mux: bool = False
) -> None:
    """Open and configure a stream for a phone, whose SDP says `sdp`, its own address by default."""
    now = time.monotonic()
    host = phone.address.host
    phone.to = media.open(stream, host, sdp or phone.address, nat, host, now)
    settings = StreamSettings(
        remote=sdp or phone.address, nat=nat, signalled_host=host, formats=PCMU, rtcp_mux=mux, silence_after=60.0
    )
    media.configure(stream, settings, now)


async def test_two_phones_hear_each_other(media: InProcessMedia, phones: list[Phone]) -> None:
    a, b = Phone(), Phone()
    phones += [a, b]
    connect(media, 1, a)
    connect(media, 2, b)
    media.bridge(1, 2, time.monotonic())
    for n in range(5):
        a.send(rtp(100 + n, 160 * n, 0xAAAA))
        b.send(rtp(700 + n, 160 * n, 0xBBBB, payload=b"y" * 160))
        heard_b, heard_a = await b.receive(), await a.receive()
        assert heard_b[12:] == b"x" * 160
        assert heard_a[12:] == b"y" * 160
    now = time.monotonic()
    media.close(1, now)
    media.close(2, now)
    stats = {event.stream: event.stats for event in media.events if isinstance(event, StreamClosed)}
    assert (stats[1].packets_received, stats[1].packets_sent, stats[1].lost) == (5, 5, 0)
    assert stats[1].ssrcs == (0xAAAA,)
    assert stats[2].octets_received == 5 * 160
    assert media.streams == 0


async def test_a_flood_is_taken_in_pieces_and_a_conference_goes_on(media: InProcessMedia, phones: list[Phone]) -> None:
    phones += [Phone() for _ in range(5)]
    for stream, phone in enumerate(phones, 1):
        connect(media, stream, phone)
    begun = time.monotonic()
    media.bridge(1, 2, begun)
    media.audio(SetRoom(9, (3, 4, 5)), begun)
    for n in range(FLOOD):
        phones[0].send(rtp(n, 160 * n, 0xAAAA))
    frames = 0
    while media.stats(1).packets_received < FLOOD:
        assert time.monotonic() - begun < 10
        await phones[2].receive()
        frames += 1
    elapsed = time.monotonic() - begun
    assert frames == pytest.approx(elapsed / 0.02, abs=5)
    assert media.stats(2).packets_sent == FLOOD
    # A busy machine may take a moment from us; the flood takes none.
    assert media.skipped * 0.005 <= 0.25


async def test_ipv4_and_ipv6_hear_each_other(media: InProcessMedia, phones: list[Phone]) -> None:
    a, b = Phone(), Phone("::1")
    phones += [a, b]
    connect(media, 1, a)
    connect(media, 2, b)
    assert (a.to.host, b.to.host) == ("127.0.0.1", "::1")
    media.bridge(1, 2, time.monotonic())
    a.send(rtp(1, 160, 0xA))
    b.send(rtp(1, 160, 0xB, payload=b"six"))
    assert (await b.receive())[12:] == b"x" * 160
    assert (await a.receive())[12:] == b"six"


async def test_packets_leave_by_the_port_that_was_announced(media: InProcessMedia, phones: list[Phone]) -> None:
    a = Phone()
    phones.append(a)
    connect(media, 1, a)
    media.echo(1, time.monotonic())
    a.send(rtp(1, 160, 0xA))
    _, source = await asyncio.get_running_loop().sock_recvfrom(a.rtp, 2048)
    assert source == ("127.0.0.1", a.to.port)


async def test_behind_nat_the_source_is_learned_and_then_kept(phones: list[Phone]) -> None:
    told = asyncio.Event()
    media = InProcessMedia(settings_of(), told.set)
    media.start()
    a, thief = Phone(), Phone("127.0.0.2")
    neighbour = Phone()
    phones += [a, thief, neighbour]
    # Its SDP names a private address that is none of ours.
    connect(media, 1, a, nat=True, sdp=MediaAddress("127.9.9.9", 4000, 4001))
    media.echo(1, time.monotonic())
    thief.to = neighbour.to = a.to
    thief.send(rtp(1, 160, 0xBAD))
    assert await thief.hears_nothing()
    a.send(rtp(1, 160, 0xA))
    await a.receive()
    await asyncio.wait_for(told.wait(), 1)
    assert media.events == [StreamLatched(1, "127.0.0.1", a.address.port)]
    for n in range(2, 5):
        neighbour.send(rtp(n, 160 * n, 0xA))
        thief.send(rtp(n, 160 * n, 0xA))
    assert await neighbour.hears_nothing()
    assert await thief.hears_nothing()
    assert await a.hears_nothing()
    stats = media.stats(1)
    assert (stats.packets_received, stats.wrong_source) == (1, 3)
    assert media.counters["wrong_source"] == 4
    media.stop()


async def test_rfc3550_reports_are_sent_and_read(phones: list[Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.reports.REPORT_SECONDS", 0.1)
    monkeypatch.setattr("media.driver.MIND_SECONDS", 0.02)
    media = InProcessMedia(settings_of(), lambda: None)
    media.start()
    a = Phone()
    phones.append(a)
    connect(media, 1, a)
    media.echo(1, time.monotonic())
    a.send(rtp(1, 160, 0xA))
    await a.receive()
    while True:
        report = rtcp.parse(await a.receive_rtcp())
        if report.blocks and report.sender_ntp is not None:
            break
    assert report.ssrc == media.stats(1).local_ssrc
    assert report.blocks[0].ssrc == 0xA
    answer = struct.pack("!BBHI", 0x81, 201, 7, 0xA)
    answer += struct.pack("!IIIIII", report.ssrc, 0, 1, 80, rtcp.middle(report.sender_ntp), 0)
    a.rtcp.sendto(answer, (a.to.host, a.to.rtcp_port))
    await until(lambda: media.stats(1).rtcp_received == 1)
    trip = media.stats(1).round_trip_ms
    assert trip is not None
    assert 0 <= trip < 1000
    media.stop()


async def until(condition: Callable[[], bool], seconds: float = 2.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


async def test_silence_is_told(phones: list[Phone], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.engine.SILENCE_CHECK_SECONDS", 0.02)
    monkeypatch.setattr("media.driver.MIND_SECONDS", 0.02)
    told = asyncio.Event()
    media = InProcessMedia(settings_of(), told.set)
    media.start()
    now = time.monotonic()
    remote = MediaAddress("127.0.0.1", 4000, 4001)
    media.open(1, "127.0.0.1", remote, False, "127.0.0.1", now)
    media.configure(1, StreamSettings(remote=remote, formats=PCMU, silence_after=0.1), now)
    await asyncio.wait_for(told.wait(), 2)
    [silent] = media.events
    assert isinstance(silent, StreamSilent)
    media.stop()


async def test_many_streams_under_load_lose_nothing(media: InProcessMedia, phones: list[Phone]) -> None:
    """Batches, and the timer that collects them when they come thick."""
    count = 40
    for n in range(count):
        phone = Phone()
        phones.append(phone)
        connect(media, n, phone)
        if n % 2:
            media.bridge(n - 1, n, time.monotonic())
    for packet in range(50):
        for n, phone in enumerate(phones):
            phone.send(rtp(packet, 160 * packet, 0x1000 + n))
        await asyncio.sleep(0.002)
    await until(lambda: all(media.stats(n).packets_sent == 50 for n in range(count)))
    for phone in phones:
        seqs = [int.from_bytes(phone.rtp.recv(2048)[2:4], "big") for _ in range(50)]
        assert [(seq - seqs[0]) & 0xFFFF for seq in seqs] == list(range(50))
        assert has_nothing(phone)
    assert sum(media.counters.values()) == 0
    # Quiet again: the sockets are watched, and one packet is answered.
    await asyncio.sleep(0.05)
    phones[0].send(rtp(50, 8000, 0x1000))
    assert len(await phones[1].receive()) == 172


def has_nothing(phone: Phone) -> bool:
    try:
        phone.rtp.recv(2048)
    except BlockingIOError:
        return True
    return False


async def test_one_address_for_many_calls_opens_more_ports(media: InProcessMedia, phones: list[Phone]) -> None:
    """As SIPp does with its one media port."""
    phone = Phone()
    phones.append(phone)
    for n in range(6):
        connect(media, n, phone)
        media.echo(n, time.monotonic())
    assert media.ports == 6
    ports = {media.open(10 + n, "127.0.0.1", None, False, "127.0.0.1", 0.0).port for n in range(2)}
    assert len(ports) == 2
    assert not [event for event in media.events if isinstance(event, StreamFailed)]


async def test_no_media_ports(phones: list[Phone]) -> None:
    media = InProcessMedia(settings_of(4, 1, ("127.0.0.1",)), lambda: None)
    media.start()
    remote = MediaAddress("127.0.0.1", 4000, 4001)
    for n in range(2):
        media.open(n, "127.0.0.1", remote, False, "127.0.0.1", 0.0)
    with pytest.raises(NoMediaPorts):
        media.open(2, "127.0.0.1", remote, False, "127.0.0.1", 0.0)
    assert media.streams == 2
    media.close(0, 0.0)
    media.open(2, "127.0.0.1", remote, False, "127.0.0.1", 0.0)
    with pytest.raises(NoMediaPorts, match="address family"):
        media.open(3, "::1", MediaAddress("::1", 4000, 4001), False, "::1", 0.0)
    media.stop()


async def test_a_taken_port_is_passed_over() -> None:
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    settings = settings_of(6, 1, ("127.0.0.1",))
    first = settings.rtp_ports[0]
    taken.bind(("127.0.0.1", first + 1))
    media = InProcessMedia(settings, lambda: None)
    media.start()
    remote = MediaAddress("127.0.0.1", 4000, 4001)
    assert media.open(1, "127.0.0.1", remote, False, "127.0.0.1", 0.0) == MediaAddress(
        "127.0.0.1", first + 2, first + 3
    )
    other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    other.bind(("127.0.0.1", first + 4))
    with pytest.raises(NoMediaPorts):
        media.open(2, "127.0.0.1", remote, False, "127.0.0.1", 0.0)
    media.stop()
    taken.close()
    other.close()


async def test_no_port_at_all_is_one_error() -> None:
    taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    settings = settings_of(2, 1, ("127.0.0.1",))
    first, last = settings.rtp_ports
    taken.bind(("127.0.0.1", first))
    media = InProcessMedia(settings, lambda: None)
    with pytest.raises(OSError, match=f"no pair of RTP ports is free in {first}-{last}"):
        media.start()
    media.stop()
    taken.close()


async def test_a_host_that_is_not_ours_is_an_error() -> None:
    media = InProcessMedia(settings_of(2, 1, ("192.0.2.1",)), lambda: None)
    with pytest.raises(OSError):
        media.start()
    media.stop()


async def test_wildcards_announce_what_they_are_told(phones: list[Phone]) -> None:
    settings = settings_of(4, 1, ("0.0.0.0", "::"))
    media = InProcessMedia(settings, lambda: None)
    media.start()
    a = Phone()
    phones.append(a)
    remote = a.address
    local = media.open(1, "127.0.0.1", remote, False, "198.51.100.7", 0.0)
    first = settings.rtp_ports[0]
    assert local == MediaAddress("198.51.100.7", first, first + 1)
    media.configure(1, StreamSettings(remote=remote, formats=PCMU), 0.0)
    media.echo(1, 0.0)
    a.to = local._replace(host="127.0.0.1")
    a.send(rtp(1, 160, 0xA))
    assert len(await a.receive()) == 172
    media.stop()


async def test_an_answer_that_collides_fails_that_stream_only(phones: list[Phone]) -> None:
    media = InProcessMedia(settings_of(2, 1, ("127.0.0.1",)), lambda: None)
    media.start()
    remote = MediaAddress("127.0.0.1", 4000, 4001)
    for n in (1, 2):
        media.open(n, "127.0.0.1", None, False, "127.0.0.1", 0.0)
    for n in (1, 2):
        media.configure(n, StreamSettings(remote=remote, formats=PCMU), 0.0)
    [failed] = media.events
    assert isinstance(failed, StreamFailed)
    assert failed.stream == 2
    media.stop()


async def test_ten_thousand_aborted_opens_leak_nothing(media: InProcessMedia) -> None:
    """THREATS: RTP ports or rows exhausted, none leaked after 10,000 aborted calls."""
    descriptors = len(os.listdir("/proc/self/fd"))
    for n in range(10_000):
        remote = MediaAddress("127.0.0.1", 4000 + n % 7, 4001) if n % 3 else None
        media.open(n, "127.0.0.1", remote, n % 2 == 0, "127.0.0.1", 0.0)
        if n % 5 == 0 and remote is not None:
            media.configure(
                n, StreamSettings(remote=remote, nat=n % 2 == 0, signalled_host="127.0.0.1", formats=PCMU), 0.0
            )
        if n % 4 == 0:
            media.echo(n, 0.0)
        if n >= 20:
            media.close(n - 20, 0.0)
    for n in range(9_980, 10_000):
        media.close(n, 0.0)
    assert media.streams == 0
    closed = [event.stream for event in media.events if isinstance(event, StreamClosed)]
    assert closed == list(range(10_000))
    assert len(os.listdir("/proc/self/fd")) - descriptors == 4 * (media.ports - 2)


async def test_idle_extra_ports_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtp.ports.IDLE_PORT_SECONDS", 0.0)
    monkeypatch.setattr("media.driver.MIND_SECONDS", 0.01)
    monkeypatch.setattr("media.in_process.SHRINK_SECONDS", 0.01)
    media = InProcessMedia(settings_of(), lambda: None)
    media.start()
    remote = MediaAddress("127.0.0.1", 4000, 4001)
    for n in range(5):
        media.open(n, "127.0.0.1", remote, False, "127.0.0.1", time.monotonic())
    assert media.ports == 5
    for n in range(5):
        media.close(n, time.monotonic())
    await until(lambda: media.ports == 2)
    media.stop()


def test_the_engine_runs_under_uvloop() -> None:
    async def call() -> bytes:
        media = InProcessMedia(settings_of(), lambda: None)
        media.start()
        phone = Phone()
        connect(media, 1, phone)
        media.echo(1, time.monotonic())
        for n in range(3):
            phone.send(rtp(n, 160 * n, 0xA))
            heard = await phone.receive()
        media.stop()
        phone.close()
        return heard

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert len(runner.run(call())) == 172


async def test_what_threads_say_before_all_is_made_is_heard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A directory of music may be read before the engine stands."""
    said: list[str] = []

    class Hasty(OpenStudio):
        def __init__(self, settings: StudioSettings, post: Callable[[Callable[[], None]], object]) -> None:
            post(lambda: said.append("early"))
            super().__init__(settings, post)
            self.music.events.append(MusicFailed("sales", "no file"))

    monkeypatch.setattr("media.driver.OpenStudio", Hasty)
    monkeypatch.setattr("media.driver.MIND_SECONDS", 0.01)
    studio = StudioSettings(sounds=SoundSettings(), recordings=RecordingSettings(directory=tmp_path))
    told = asyncio.Event()
    media = InProcessMedia(settings_of(), told.set, studio)
    assert said == []
    media.start()
    await asyncio.wait_for(told.wait(), 5)
    assert said == ["early"]
    assert media.events == [MusicFailed("sales", "no file")]
    media.stop()


async def test_events_are_delivered_after_the_command(phones: list[Phone]) -> None:
    delivered: list[int] = []
    media = InProcessMedia(settings_of(), lambda: delivered.append(len(media.events)))
    media.start()
    media.open(1, "127.0.0.1", None, False, "127.0.0.1", 0.0)
    media.close(1, 0.0)
    assert delivered == []
    await asyncio.sleep(0)
    assert delivered == [1]
    media.stop()
