"""The loop that drives an engine: its sockets, the mixer's ticks, and what is due now and then."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from random import SystemRandom

import numpy as np
import numpy.typing as npt

from media.audio_commands import AudioCommand
from media.commands import MediaEvent, Quiet, StreamLatched, StreamSettings, StreamStats
from media.engine import MediaEngine
from media.metronome import Metronome
from media.mixer import PHASES
from media.reports import Reports
from media.shell import OpenStudio, StudioSettings
from media.studio import NO_STUDIO
from rtp.address import canonical, family_of
from rtp.batch import BatchSockets
from rtp.columns import SLOTS, Slots

MIXER_TICK_SECONDS = 0.0025  # one of the mixer's phases
HELD_UP_SECONDS = 0.04  # ticks that are later are left out: nobody wants to hear them any more
LATENESS_MS = 64
LATE_MS = 5  # a frame that leaves so long after its moment is counted as late
PIECE_PACKETS = 400  # taken at a time while somebody waits for the next tick: a millisecond of work
COLLECT_SECONDS = 0.0032  # after a tick's moment: the next one begins a millisecond late at worst
ROOM_SECONDS, AGAIN_SECONDS, PATIENCE = 0.001, 0.001, 20  # what housekeeping wants, tries, and how often
MAX_BATCHES = 4  # taken in a tick: whatever floods in, the next tick and everything else in the loop has its turn
FEW_PACKETS = 128  # in a batch: below, what a batch costs is mostly its own
TICK_SECONDS = 0.006  # packets are collected for so long under load: the delay it adds at most
MIN_TICK_SECONDS = 0.001  # for everything else in the loop
BUSY_SECONDS = 0.006  # batches closer together than this are load
PIECE_SECONDS = 0.02  # between pieces of what could not be done at once
MIND_SECONDS = 0.25  # reports, silences and idle ports are looked after so often


I64 = npt.NDArray[np.int64]


class EngineDriver:
    """An engine, its sockets and its ticks, driven by the running loop. Which ports are bound, and which stream is on
    which, is the user's choice.

    `start()` inside a running loop begins, `stop()` closes everything.

    Packets are handled as they come while there are few. When batches follow each other closely, the loop stops
    watching the sockets and a timer collects what came in `TICK_SECONDS`, so that the cost of a wake-up is shared by
    many packets; the first empty tick ends that. A batch is bounded (`rtp.columns.SLOTS`), so signalling in the same
    loop waits a few milliseconds at most.
    """

    def __init__(
        self,
        hosts: tuple[str, ...],
        on_events: Callable[[], None],
        studio: StudioSettings | None = None,
        rtcp_xr: bool = False,
    ) -> None:
        """Without `studio` nothing can be played or recorded. `rtcp_xr`: `MediaSettings`."""
        self._on_events = on_events
        self._hosts = [canonical(host) for host in hosts]
        self._families = [family_of(host) for host in self._hosts]
        self._slots = Slots()
        self._sockets = BatchSockets(self._slots)
        # Threads of the studio speak before there is a loop to hear them, and while the rest of this is made.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._early: deque[Callable[[], None]] = deque()
        self._stopped = False
        self._studio = None if studio is None else OpenStudio(studio, self._post)
        opened = NO_STUDIO if self._studio is None else self._studio.studio
        self._engine = MediaEngine(SystemRandom(), time.monotonic(), time.time(), opened, rtcp_xr)
        self.events: list[MediaEvent] = self._engine.events
        # Indexes of the RTP and RTCP sockets of each host, by RTP port.
        self._bound: dict[int, list[tuple[int, int]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._minder: asyncio.TimerHandle | None = None
        self._told = False
        self.packets_in = 0
        """RTP and RTCP packets that came, whosever they were."""
        self.packets_out = 0
        """RTP packets passed on."""
        self._last_batch = 0.0
        self._metronome: Metronome | None = None
        self._ticking = False
        self._due = 0.0  # when the next tick of the mixer is
        self._tick = 0
        self._minded_late = 0
        self._put_off = False  # the latest tick has collected nothing
        self._collected = 0  # packets of the last batch
        self.lateness = [0] * LATENESS_MS
        """Packets that the mixer made, by the milliseconds after their moment that they had left; the last: or more."""
        self.skipped = 0
        """Ticks of the mixer that were left out, the process having been held up for too long."""

    # -- life

    def start(self) -> None:
        """Begin to handle packets and to tick."""
        self._loop = asyncio.get_running_loop()
        self._metronome = Metronome(self._loop, self._on_tick)
        self._loop.add_reader(self._sockets.fileno(), self._ready)
        self._minder = self._loop.call_later(MIND_SECONDS, self._mind)
        while self._early:
            self._loop.call_soon(self._posted, self._early.popleft())

    def stop(self) -> None:
        """Close all sockets; streams that are open are forgotten."""
        if self._loop is None:
            return
        self._loop.remove_reader(self._sockets.fileno())
        for timer in (self._timer, self._minder):
            if timer is not None:
                timer.cancel()
        if self._metronome is not None:
            self._metronome.close()
        self._timer = self._minder = self._metronome = self._loop = None
        self._ticking = False
        self._stopped = True
        self._sockets.close_all()
        self._bound.clear()
        self._engine.mixer.stop_recordings(time.monotonic())
        if self._studio is not None:
            self._studio.close()

    @property
    def counters(self) -> dict[str, int]:
        """Packets dropped that were no stream's, by cause; what the mixer could not decode, and was too late with."""
        mixer = {
            **self._engine.mixer.reception.counters,
            "frames_late": sum(self.lateness[LATE_MS:]),
            "ticks_skipped": self.skipped,
        }
        return self._engine.counters | self._engine.srtp.counters | self._sockets.counters | mixer

    @property
    def streams(self) -> int:
        return len(self._engine)

    @property
    def ports(self) -> int:
        """Pairs of ports that are open."""
        return len(self._bound)

    @property
    def quiet(self) -> tuple[Quiet, ...]:
        """Streams that nothing comes from, or goes to, although it should."""
        return self._engine.quiet.found

    def stats(self, stream: int) -> StreamStats:
        """Where a live stream stands; KeyError when there is none."""
        return self._engine.stats(stream)

    # -- commands

    def open_at(self, stream: int, port: int, host: int) -> None:
        """A new stream on a port, bound before or now, of the host with this index. OSError when it can't be bound."""
        if port not in self._bound:
            self.bind(port)
        rtp, rtcp = self._bound[port][host]
        self._engine.open(stream, rtp, rtcp, self._families[host])

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        self._engine.configure(stream, settings, now)
        self._wake(now)
        self._tell()

    def bridge(self, a: int, b: int, now: float) -> None:
        self._engine.bridge(a, b)
        self._wake(now)

    def unbridge(self, stream: int, now: float) -> None:
        self._engine.unbridge(stream)

    def echo(self, stream: int, now: float) -> None:
        self._engine.echo(stream)

    def close(self, stream: int, now: float) -> None:
        self._engine.close(stream)
        self._tell()

    def audio(self, command: AudioCommand, now: float) -> None:
        self._engine.audio(command, now)
        self._wake(now)
        self._tell()

    # -- packets

    def _ready(self) -> None:
        """A socket is readable, and the loop watches them."""
        loop = self._loop
        assert loop is not None
        now = time.monotonic()
        if not self._ticking and now - self._last_batch < BUSY_SECONDS:
            loop.remove_reader(self._sockets.fileno())
            self._timer = loop.call_later(TICK_SECONDS, self._collect)
        self._last_batch = now
        self._drain(now)

    def _collect(self) -> None:
        """The timer of a busy time."""
        loop = self._loop
        assert loop is not None
        self._last_batch = now = time.monotonic()
        self._timer = None
        count = 1
        # Whatever goes wrong in a batch, the next one is collected.
        try:
            count = self._drain(now)
        finally:
            if self._ticking:
                pass  # the mixer's ticks collect
            elif count == 0:
                loop.add_reader(self._sockets.fileno(), self._ready)
            else:
                # A full batch left some behind: go on as soon as everybody else had a turn.
                spent = time.monotonic() - now
                delay = 0 if count == self._slots.capacity else max(MIN_TICK_SECONDS, TICK_SECONDS - spent)
                self._timer = loop.call_later(delay, self._collect)

    def _drain(self, now: float, limit: int = SLOTS) -> int:
        count = self._sockets.receive(limit)
        if count:
            told = len(self.events)
            outgoing = self._engine.packets(self._slots, now)
            self.packets_in += count
            self.packets_out += outgoing.slots.size
            if outgoing.slots.size:
                self._send(self._slots.data, outgoing.slots, outgoing.lengths, outgoing.targets)
            if outgoing.reports:
                self._send_reports(self._engine.passed)
            for event in self.events[told:]:
                if isinstance(event, StreamLatched):
                    self._latched(event)
            self._tell()
        return count

    def _send(self, data: npt.NDArray[np.uint8], at: I64, lengths: I64, rows: I64) -> None:
        """Send RTP packets to rows of the table."""
        table = self._engine.table
        self._sockets.send(data, at, lengths, rows, table.socket, table.address_at, table.address_length)

    def _send_reports(self, reports: Reports) -> None:
        """Send RTCP packets, ours or passed on."""
        if reports.count:
            table = self._engine.table
            self._sockets.send(
                reports.data,
                np.arange(reports.count),
                reports.lengths[: reports.count],
                reports.rows[: reports.count],
                table.control_socket,
                table.control_address_at,
                table.control_length,
            )

    # -- the mixer's ticks

    def _wake(self, now: float) -> None:
        """Begin to tick, when there is something to mix. While there is, ticks collect what comes."""
        loop = self._loop
        metronome = self._metronome
        if self._ticking or loop is None or metronome is None or self._engine.mixer.idle:
            return
        if self._timer is None:
            loop.remove_reader(self._sockets.fileno())
        else:
            self._timer.cancel()
            self._timer = None
        self._due = now
        self._ticking = True
        metronome.arm(now)

    def _on_tick(self) -> None:
        """Every 2.5 ms, by an absolute schedule."""
        loop, metronome = self._loop, self._metronome
        assert loop is not None
        assert metronome is not None
        mixer = self._engine.mixer
        now = time.monotonic()
        due = self._due
        if now - due > HELD_UP_SECONDS:
            gone = int((now - due) / MIXER_TICK_SECONDS) // PHASES * PHASES
            mixer.skip(gone // PHASES)
            self._tick += gone
            self.skipped += gone
            due += gone * MIXER_TICK_SECONDS
        crowded = self._crowded
        try:
            if not crowded:
                # Few packets, each of which can wait for its mix: what a batch costs is mostly its own.
                self._collect_all(now)
            made = 0
            for batch in self._engine.mix(self._tick, now):
                self._send(*batch)
                made += len(batch.at)
            if made:
                self.packets_out += made
                late = int((time.monotonic() - due) * 1000)
                self.lateness[min(max(late, 0), LATENESS_MS - 1)] += made
            if crowded:
                # What is made leaves first, at its moment; what has come by now is for the mix after.
                self._collect_between(due)
        finally:
            # Whatever goes wrong in a tick, the next one comes. Waking up is dear: what has nothing to do is left out.
            steps = mixer.next_step(self._tick)
            idle = not steps
            if crowded or idle:
                steps = 1
            self._tick += steps
            self._due = due + steps * MIXER_TICK_SECONDS
            if idle:
                self._ticking = False
                metronome.rest()
                loop.add_reader(self._sockets.fileno(), self._ready)
            else:
                metronome.arm(self._due)
        self._tell()

    def _collect_all(self, now: float) -> None:
        """Take what has come; how much that was decides how the next tick is gone about."""
        self._last_batch = now
        self._collected = count = self._drain(now)
        for _ in range(MAX_BATCHES - 1):
            if count < self._slots.capacity:
                return
            count = self._drain(time.monotonic())

    def _collect_between(self, due: float) -> None:
        """Behind every second tick take what has come, in pieces, until the next one can wait no longer; what is left
        is taken after that. Who is late already takes nothing, but not twice in a row: a stumble is made up for, not
        handed on."""
        if self._tick % 2 and not self._put_off and not self._sockets.more:
            return
        now = time.monotonic()
        moment = due + COLLECT_SECONDS
        self._put_off = now >= moment and not self._put_off
        if self._put_off:
            return
        self._last_batch = now
        self._collected = 0
        for _ in range(MAX_BATCHES * self._slots.capacity // PIECE_PACKETS):
            self._collected += self._drain(now, PIECE_PACKETS)
            now = time.monotonic()
            if now >= moment or not self._sockets.more:
                return

    @property
    def _crowded(self) -> bool:
        """Packets are many, or somebody waits for them: then every tick collects."""
        return self._collected >= FEW_PACKETS or self._engine.relay.relayed > 0

    def _mind(self) -> None:
        """Reports, silences, idle ports: between ticks, where one is left enough room."""
        loop = self._loop
        assert loop is not None
        now = time.monotonic()
        if self._ticking and self._due - now < ROOM_SECONDS and self._minded_late < PATIENCE:
            self._minded_late += 1
            self._minder = loop.call_later(AGAIN_SECONDS, self._mind)
            return
        self._minded_late = 0
        self._minder = loop.call_later(MIND_SECONDS, self._mind)
        reports = self._engine.tick(now)
        if self._engine.behind:
            self._minder.cancel()
            self._minder = loop.call_later(PIECE_SECONDS, self._mind)
        self._send_reports(reports)
        if not self._ticking:
            self._engine.mixer.expire(now)
        if self._studio is not None and self._studio.music.events:
            self.events += self._studio.music.events
            self._studio.music.events.clear()
        self._minded(now)
        self._tell()

    # -- below

    def _post(self, call: Callable[[], None]) -> None:
        """From a thread of the studio: to be run on the loop, once there is one."""
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(self._posted, call)
        elif not self._stopped:
            self._early.append(call)

    def _posted(self, call: Callable[[], None]) -> None:
        call()
        self._wake(time.monotonic())
        self._tell()

    def _tell(self) -> None:
        if self.events and not self._told and self._loop is not None:
            self._told = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._told = False
        if self.events:
            self._on_events()

    def _latched(self, event: StreamLatched) -> None:
        """A stream has found its source."""

    def _minded(self, now: float) -> None:
        """Some time has passed."""

    def bind(self, port: int) -> None:
        """Open the pair that begins with this port, on every host. Raises OSError, and has opened none then."""
        opened: list[int] = []
        try:
            for host in self._hosts:
                opened.append(self._sockets.open(host, port, control=False))
                opened.append(self._sockets.open(host, port + 1, control=True))
        except OSError:
            for index in opened:
                self._sockets.close(index)
            raise
        self._bound[port] = list(zip(opened[::2], opened[1::2], strict=True))

    def unbind(self, port: int) -> None:
        """Close a pair; nothing when it is not open."""
        for pair in self._bound.pop(port, ()):
            for index in pair:
                self._sockets.close(index)
