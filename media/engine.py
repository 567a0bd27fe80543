"""The media engine: streams, what passes between them, their reports and their silences. Pure.

Packets are handled in columns by `rtp.relay`; here is what happens once per command, per report, per second.
Whoever runs it (`media.client`) owns the sockets: it hands over batches and sends what comes back.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import assert_never, cast

import numpy as np
import numpy.typing as npt

from media.audio_commands import (
    AudioCommand,
    AudioEvent,
    CloseRoom,
    Detect,
    PauseRecording,
    Play,
    PlayEnded,
    SendDigits,
    SetRecordingChannels,
    SetRoom,
    SetVolume,
    StartRecording,
    StopPlay,
    StopRecording,
)
from media.commands import (
    Format,
    MediaEvent,
    StreamClosed,
    StreamFailed,
    StreamLatched,
    StreamSettings,
    StreamSilent,
    StreamStats,
)
from media.mixer import Mixer
from media.outbound import Packets
from media.quality import QualityWatch
from media.quiet import QuietWatch
from media.reports import REPORTS_PER_TICK, Reporter, Reports
from media.studio import NO_STUDIO, Studio
from media.voice import is_framed, is_table, preferred
from rtp import rtcp, rtcp_xr
from rtp.address import LENGTH, Keys, family, host_and_port, host_octets, sendable, sockaddr
from rtp.columns import SLOT, Slots
from rtp.latch import Latch, Peer
from rtp.payload import audio_clock, payload_map
from rtp.relay import MAX_REPORTS, Outgoing, Relay
from rtp.srtp import SrtpError
from rtp.table import NOBODY, StreamTable

SILENCE_CHECK_SECONDS = 1.0
MAX_ROUND_TRIP = 30.0  # seconds; more is a clock that jumped, or a lie
FOREVER = float("inf")

I64 = npt.NDArray[np.int64]


class _Stream:
    """A stream beside its `Peer`: settings, partner, and what the peer reports."""

    __slots__ = (
        "decoded",
        "family",
        "key_problem",
        "partner",
        "peer",
        "problem",
        "remote_burst_loss",
        "remote_jitter",
        "remote_loss_fraction",
        "remote_lost",
        "remote_mos",
        "remote_mos_cq",
        "reports_received",
        "rtcp_socket",
        "settings",
    )

    def __init__(self, peer: Peer, rtcp_socket: int, family: int) -> None:
        self.peer = peer
        self.rtcp_socket = rtcp_socket
        self.family = family
        self.settings: StreamSettings | None = None
        self.decoded = False  # it sends what its partner has no number for
        self.partner: int | None = None  # the stream its packets go to; itself: echo
        self.problem = ""
        self.key_problem = ""  # why SRTP can't be done with the keys given
        self.reports_received = 0
        self.remote_lost: int | None = None
        self.remote_loss_fraction: float | None = None
        self.remote_jitter: float | None = None
        self.remote_mos: float | None = None
        self.remote_mos_cq: float | None = None
        self.remote_burst_loss: float | None = None


class MediaEngine:
    """`rng` gives SSRCs, first sequence numbers and keys, so it is a secure one outside of tests. `wall` is the Unix
    time at monotonic `now`; the NTP clock of reports runs on from there without ever jumping. `extended`: our reports
    tell how the peer sounds (RFC 3611).

    counters: packets dropped that are no stream's, by cause. events: for the layer above, which empties it.
    """

    def __init__(
        self, rng: Random, now: float, wall: float, studio: Studio = NO_STUDIO, extended: bool = False
    ) -> None:
        self.table = StreamTable()
        keys = Keys(rng.getrandbits(192))
        self.latch = Latch(self.table, keys)
        self.relay = Relay(self.table, self.latch, keys)
        self._secure = self.relay.secure
        self.srtp = self._secure.srtp
        self.events: list[MediaEvent] = []
        heard = cast("list[AudioEvent]", self.events)
        self.mixer = Mixer(self.table, heard, studio, self._needs_changed, wall - now)
        self.mixer.listening.inband = self._inband
        self.behind = False
        """The latest `tick` has left something to do."""
        self.quality = QualityWatch(self.table, self.mixer.reception, self.latch.peers, heard, now)
        self.quiet = QuietWatch(self.table, self.latch.peers)
        self.counters = self.relay.counters
        self.counters.update(bad_rtcp=0, stray_rtcp=0, ended_rtcp=0)
        self._rng = rng
        self._wall = wall - now
        told = self.quality if extended else None
        self.passed = Reports(MAX_REPORTS, SLOT)
        """Reports of the latest batch that go from peer to peer, beside what is relayed as it comes."""
        self._reports = Reporter(self.table, self.relay, self.srtp, rng, self._wall, told)
        self._streams: dict[int, _Stream] = {}
        self._by_ssrc: dict[int, _Stream] = {}
        self._pairs: dict[int, tuple[int, int]] = {}  # rooms that are bridges
        self._paired: dict[int, int] = {}  # stream -> such a room that it is in
        self._silence_checked = now

    def __len__(self) -> int:
        return len(self._streams)

    def settings(self, stream: int) -> StreamSettings | None:
        """What a stream was configured with; None before that, and for a stream that is not open."""
        state = self._streams.get(stream)
        return None if state is None else state.settings

    def has(self, stream: int) -> bool:
        return stream in self._streams

    # -- commands

    def open(self, stream: int, rtp_socket: int, rtcp_socket: int, family: int) -> None:
        """A row for a new stream that lives on these sockets. ValueError when it is open already."""
        if stream in self._streams:
            raise ValueError(f"stream {stream} is open")
        # RFC 3550 5.1: SSRC "chosen randomly, with the intent that no two synchronization sources ... have the same";
        # "the initial value of the sequence number SHOULD be random", of the timestamp, too.
        bits = self._rng.getrandbits(80)
        ssrc = bits & 0xFFFFFFFF
        while ssrc in self._by_ssrc:
            ssrc = self._rng.getrandbits(32)
        table = self.table
        row = table.take()
        peer = Peer(stream, row, rtp_socket)
        self.latch.peers[row] = peer
        table.own_ssrc[row] = ssrc
        table.own_stamp[row] = bits >> 32 & 0xFFFFFFFF
        # Of 15 bits: with SRTP the roll-over counter is guessed wrong where the first packets are lost and the sequence
        # number wraps just then (RFC 3711 3.3.1).
        table.own_top[row] = bits >> 65
        table.socket[row] = rtp_socket
        self.quality.open(row)
        self._streams[stream] = self._by_ssrc[ssrc] = _Stream(peer, rtcp_socket, family)

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        """Apply settings. StreamFailed follows when the stream can't be carried with them."""
        state = self._streams.get(stream)
        if state is None or state.settings == settings:
            return
        before, state.settings = state.settings, settings
        table, row = self.table, state.peer.row
        if settings.as_is and before is None:
            table.as_is[row] = 1
            # Blocks about this SSRC are none of ours: packets to the peer have the one of their source.
            del self._by_ssrc[int(table.own_ssrc[row])]
        keyed = self._take_keys(state, settings)
        if before is None or keyed or _source(before) != _source(settings):
            self._place(stream, state, settings)
        elif (before.rtcp_mux, before.remote) != (settings.rtcp_mux, settings.remote) and state.peer.address:
            self._place_control(state, settings)
        if before is None or _numbers(before) != _numbers(settings):
            state.decoded = False
            clock = audio_clock(settings.formats)
            table.clock[row] = clock
            state.peer.frame = clock * settings.ptime // 1000
            self.quality.configure(row, settings)
        listening = settings.receive and settings.silence_after is not None
        table.limit[row] = settings.silence_after if listening else FOREVER
        if before is None or (before.receive, before.silence_after) != (settings.receive, settings.silence_after):
            table.since[row] = now
        self.quiet.configure(row, settings, before, now)
        if before is None and not settings.as_is:
            self._reports.begin(row, now)
        self.mixer.configure(stream, row, settings)
        self._arrange(stream, state)
        if before is None and self.mixer.awaits(stream):
            self._voices([stream])
            self.mixer.joins(stream)

    def bridge(self, a: int, b: int) -> None:
        """Pass packets between two streams, in both directions as far as their settings let them."""
        self._expect(self._apart((a, b)))
        self._bridge(a, b)

    def _bridge(self, a: int, b: int) -> None:
        for stream in (a, b):
            self._drop_pair(stream)
        first, second = self._streams.get(a), self._streams.get(b)
        if first is None or second is None or first is second or first.partner == b:
            return
        self._part(a, first)
        self._part(b, second)
        self.mixer.let_go(a)
        self.mixer.let_go(b)
        first.partner, second.partner = b, a
        self._arrange(a, first)

    def echo(self, stream: int) -> None:
        """Pass a stream's packets back to it."""
        state = self._streams.get(stream)
        if state is None or state.partner == stream:
            return
        self._part(stream, state)
        self.mixer.let_go(stream)
        state.partner = stream
        self._arrange(stream, state)

    def unbridge(self, stream: int) -> None:
        """Pass nothing from and to a stream."""
        state = self._streams.get(stream)
        self._drop_pair(stream)
        if state is None or state.partner is None:
            return
        other = state.partner
        self._part(stream, state)
        self._needs_changed(stream)
        self._needs_changed(other)

    def audio(self, command: AudioCommand, now: float) -> None:
        """Carry out a command about rooms, players, recordings, detectors. On what is not open it does nothing, or
        says in an event that it failed."""
        mixer = self.mixer
        match command:
            case SetRoom():
                self._set_room(command)
            case CloseRoom(room=room):
                self._close_room(room)
            case SetVolume(stream=stream):
                if self._voices([stream]):
                    mixer.set_volume(command)
            case Play(stream=stream):
                if not command.room:
                    if self._deaf_to(stream):
                        why = f"stream {stream} agreed on no codec that can be encoded here"
                        self.events.append(PlayEnded(command.play, "failed", why))
                        return
                    self._voices([stream])
                elif command.room in self._pairs:
                    self._unpair(command.room)
                mixer.play(command)
                if not command.room:
                    # At once: until it is mixed, the relay and the player would both number its packets.
                    self._needs_changed(stream)
            case StopPlay():
                mixer.stop_play(command)
            case SendDigits(stream=stream):
                if self._voices([stream]):
                    mixer.send_digits(command)
            case StartRecording():
                self._voices(stream for stream, _ in command.channels)
                mixer.start_recording(command, now)
            case SetRecordingChannels():
                self._voices(stream for stream, _ in command.channels)
                mixer.set_channels(command)
            case PauseRecording():
                mixer.pause_recording(command)
            case StopRecording():
                mixer.stop_recording(command, now)
            case Detect(stream=stream):
                if self._voices([stream]):
                    mixer.detect(command, now)
            case _:
                assert_never(command)

    def _deaf_to(self, stream: int) -> bool:
        """Whether what is made here can't be sent to a stream: its codecs are relayed only."""
        state = self._streams.get(stream)
        return state is not None and state.settings is not None and preferred(state.settings) is None

    def _unpair(self, room: int) -> None:
        """Make a real room of one that is a bridge: something plays to all of it."""
        a, b = self._pairs[room]
        for stream in (a, b):
            self._drop_pair(stream)
            state = self._streams.get(stream)
            if state is not None:
                self._part(stream, state)
        self._voices((a, b))
        self.mixer.set_room(SetRoom(room, (a, b)))

    def close(self, stream: int) -> None:
        """Free the row; StreamClosed follows."""
        state = self._streams.pop(stream, None)
        if state is None:
            return
        self._part(stream, state)
        row = state.peer.row
        self.quality.finish(row)
        self.mixer.close(stream, row)
        self.events.append(StreamClosed(stream, self._stats(state)))
        if not self.table.as_is[row]:
            del self._by_ssrc[int(self.table.own_ssrc[row])]
        self.latch.release(state.peer)
        self.srtp.release(row)
        self.quiet.release(row)
        self.table.free(row)

    def stats(self, stream: int) -> StreamStats:
        """Where a live stream stands; KeyError when there is none."""
        return self._stats(self._streams[stream])

    # -- packets

    def packets(self, slots: Slots, now: float) -> Outgoing:
        """Handle a batch. What is to be sent comes back; it lies in the slots, rewritten. Reports to be sent are in
        `passed`."""
        outgoing = self.relay.process(slots, now)
        if outgoing.heard is not None:
            self.mixer.heard(slots, outgoing.heard, now)
        if outgoing.unmapped:
            self._unmapped(outgoing.unmapped)
        if outgoing.reports:
            self.passed.count = 0
            for slot in outgoing.reports:
                self._report_came(slots.packet(slot), slots.source(slot), int(slots.sockets[slot]), now)
            if self.passed.count and self.srtp.sends:
                self.passed.seal(self.srtp)
        if self.latch.moved:
            for peer in self.latch.moved:
                state = self._streams[peer.stream]
                if state.settings is not None:
                    self._place_control(state, state.settings)
                self.events.append(StreamLatched(peer.stream, *host_and_port(peer.address)))
            self.latch.moved.clear()
        if self.srtp.sends:
            outgoing.sealed(self.srtp.protect(slots.data, outgoing.slots, outgoing.lengths, outgoing.targets))
        return outgoing

    def mix(self, index: int, now: float) -> list[Packets]:
        """Tick number `index` of the mixer (`Mixer.tick`): what is to be sent, protected where that was agreed."""
        packets = self.mixer.tick(index, now)
        if self.srtp.sends:
            packets = [self._protected(batch) for batch in packets]
        return packets

    def _protected(self, batch: Packets) -> Packets:
        lengths = self.srtp.protect(batch.data, batch.at, batch.lengths, batch.rows)
        kept = lengths > 0
        if np.count_nonzero(kept) == len(kept):
            return batch._replace(lengths=lengths)
        return Packets(batch.data, batch.at[kept], lengths[kept], batch.rows[kept])

    # -- deadlines

    def tick(self, now: float) -> Reports:
        """What time brings: silences in `events`, RTCP that is due in the reports returned. A few times a second, and
        soon again where it is `behind`: everything is done in pieces, so that no packet waits for long."""
        if now - self._silence_checked >= SILENCE_CHECK_SECONDS:
            self._silence_checked = now
            self._find_silent(now)
            self.quiet.look(now)
            self.latch.ended.tick(now)
        unrated = self.quality.tick(now)
        reports = self._reports.tick(now)
        self.behind = unrated or reports.count == REPORTS_PER_TICK
        return reports

    # -- below: commands

    def _take_keys(self, state: _Stream, settings: StreamSettings) -> bool:
        """Take the keys; whether the stream is to be placed anew: it can't be, or could not be before, for its keys."""
        row, keys_in, keys_out = state.peer.row, settings.crypto_in, settings.crypto_out
        failed, state.key_problem = state.key_problem, ""
        try:
            if keys_in is None:
                self.srtp.receive_plain(row)
            else:
                self.srtp.receive_with(row, keys_in.suite, keys_in.key)
            if keys_out is None:
                self.srtp.send_plain(row)
            else:
                self.srtp.send_with(row, keys_out.suite, keys_out.key)
        except SrtpError as problem:
            state.key_problem = str(problem)
        return bool(failed or state.key_problem)

    def _place(self, stream: int, state: _Stream, settings: StreamSettings) -> None:
        """Find out who may be heard, and where packets go."""
        host, port, _ = settings.remote
        table, peer = self.table, state.peer
        table.address_length[peer.row] = 0
        state.problem = ""
        if state.key_problem:
            self._fail(stream, state, state.key_problem)
            return
        try:
            # RFC 3264 8.4: 0.0.0.0 puts a stream on hold: whoever was heard may still be.
            if not port or not sendable(host):
                return
            address = sockaddr(host, port)
            signalled = b""
            if settings.nat and settings.signalled_host:
                signalled = sockaddr(settings.signalled_host, 0)
        except ValueError as problem:
            self._fail(stream, state, str(problem))
            return
        if family(address) != state.family:
            self._fail(stream, state, f"no media socket for {host}: it is of another address family")
            return
        if signalled[:2] != address[:2]:
            signalled = b""
        if settings.nat:
            owned = self.latch.wait(peer, address, signalled)
        else:
            owned = self.latch.fix(peer, address)
        if not owned:
            self._fail(stream, state, f"{host}:{port} can't be told apart from another stream on its port")
            return
        self.relay.unlock_ssrc(peer)
        table.address_length[peer.row] = LENGTH[state.family]
        self._place_control(state, settings)

    def _place_control(self, state: _Stream, settings: StreamSettings) -> None:
        """Where our reports go (RFC 5761; RFC 3605; behind NAT the port after the latched one, until one comes)."""
        table, peer = self.table, state.peer
        row = peer.row
        control = peer.address
        if not settings.rtcp_mux:
            port = settings.remote.rtcp_port
            if peer.latched:
                port = int.from_bytes(control[2:4], "big") + 1
            control = control[:2] + (min(port, 65535) or 65535).to_bytes(2, "big") + control[4:]
        table.put_control_address(row, control)
        table.control_length[row] = LENGTH[state.family]
        table.control_socket[row] = peer.socket if settings.rtcp_mux else state.rtcp_socket

    def _fail(self, stream: int, state: _Stream, why: str) -> None:
        state.problem = why
        self.events.append(StreamFailed(stream, why))

    def _drop_pair(self, stream: int) -> None:
        """A stream is in one room at most: the one that was a bridge of it is none any more."""
        room = self._paired.get(stream)
        if room is not None:
            for each in self._pairs.pop(room):
                del self._paired[each]

    def _part(self, stream: int, state: _Stream) -> None:
        self._drop_pair(stream)
        if state.partner is None:
            return
        other = self._streams.get(state.partner, state)
        for side in (state, other):
            self.quality.finish(side.peer.row)
        self.mixer.close_room(_pair_room(stream, state.partner))
        for side in (state, other):
            side.partner = None
            side.decoded = False
            self.relay.direct(side.peer, NOBODY)
            self._map(side, side)

    def _arrange(self, stream: int, state: _Stream) -> None:
        """Let packets through as the settings of both sides say: relayed where they can be, else mixed."""
        if state.partner is None:
            self._map(state, state)
            return
        other = self._streams[state.partner]
        mixed = other is not state and self._mixes(stream, state, other)
        room = _pair_room(stream, state.partner)
        if mixed:
            for one, side in ((stream, state), (state.partner, other)):
                self.relay.direct(side.peer, NOBODY)
                self._map(side, side)
                assert side.settings is not None
                self.mixer.voice(one, side.peer, side.settings)
            self.mixer.set_room(SetRoom(room, (stream, state.partner)))
            return
        self.mixer.close_room(room)
        for one, side, to in ((stream, state, other), (state.partner, other, state)):
            self.mixer.let_go(one)
            self._map(side, to)
            self._direct(side, to)

    def _mixes(self, stream: int, state: _Stream, other: _Stream) -> bool:
        """Whether a bridge needs more than a relay."""
        if state.settings is None or other.settings is None or state.partner is None:
            return False
        if preferred(state.settings) is None or preferred(other.settings) is None:
            # A codec that nobody here can encode goes through as it is, whatever is wanted.
            return False
        if self.mixer.busy(stream) or self.mixer.busy(state.partner) or state.decoded or other.decoded:
            return True
        return not _understand(state.settings, other.settings)

    def _direct(self, state: _Stream, other: _Stream) -> None:
        """Relay packets of one to another, as far as their settings let them."""
        target = NOBODY
        settings = state.settings
        if settings is not None and settings.receive and not state.problem:
            row = other.peer.row
            sends = other.settings is not None and other.settings.send and not other.problem
            if sends and self.table.address_length[row]:
                target = row
        self.relay.direct(state.peer, target)

    def _map(self, state: _Stream, other: _Stream) -> None:
        """Which payload types of one are taken, and what they are called at the other."""
        if state.settings is None:
            return
        # Nothing passes to a side without settings; until it has some, its partner's own formats are what is known.
        theirs = state.settings if other.settings is None else other.settings
        ours = state.settings.receives or state.settings.formats
        self.table.payload[state.peer.row] = payload_map(ours, ours if other is state else theirs.formats)

    def _unmapped(self, packets: list[tuple[int, int]]) -> None:
        """Packets of a relayed stream whose partner has no number for them. What was agreed with their sender is
        decoded from now on: a codec of its own, events on another clock or for a peer without any."""
        for row, payload_type in packets:
            peer = self.latch.peers.get(row)
            state = None if peer is None else self._streams[peer.stream]
            if state is None or state.settings is None or state.decoded or state.partner is None:
                continue
            agreed = (state.settings.receives or state.settings.formats) + state.settings.formats
            known = next((each for each in agreed if each[0] == payload_type), None)
            other = self._streams[state.partner]
            if known is None or other is state or other.settings is None:
                continue
            events = known[1].lower() == "telephone-event"
            passed = events and (_has_events(other.settings) or other.settings.tones)
            if is_table(known) or is_framed(known) or passed:
                state.decoded = True
                self._arrange(state.peer.stream, state)

    def _inband(self, stream: int, digit: str) -> None:
        """A digit was heard as a tone: a partner that takes events gets one."""
        state = self._streams.get(stream)
        if state is None or state.partner in (None, stream):
            return
        assert state.partner is not None
        other = self._streams[state.partner]
        if other.settings is None or not _has_events(other.settings):
            return
        if self._voices([state.partner]):
            self.mixer.send_digits(SendDigits(state.partner, digit))

    def _needs_changed(self, stream: int) -> None:
        """The mixer does something to a stream, or does no more."""
        state = self._streams.get(stream)
        if state is None:
            return
        if state.partner is not None:
            self._arrange(stream, state)
        elif not self.mixer.in_room(stream):
            self.mixer.let_go(stream)

    # -- below: audio

    def _voices(self, streams: Iterable[int]) -> bool:
        """Have voices for those that are open and configured; whether all of them are."""
        found = True
        for stream in streams:
            state = self._streams.get(stream)
            if state is None or state.settings is None:
                found = False
            else:
                self.mixer.voice(stream, state.peer, state.settings)
        return found

    def _set_room(self, command: SetRoom) -> None:
        self._expect(self._apart(command.members))
        plain = command.gain == 1.0 and not command.gains and not command.talkers
        if plain and len(set(command.members)) == 2 and self._can_pair(command.room, command.members):
            self._pair(command.room, *command.members)
            return
        if command.room in self._pairs:
            self.unbridge(self._pairs[command.room][0])
        for stream in command.members:
            state = self._streams.get(stream)
            if state is not None:
                self._part(stream, state)
        self._voices(command.members)
        left = self.mixer.members(command.room) - set(command.members)
        self.mixer.set_room(command)
        for stream in left:
            self._needs_changed(stream)

    def _apart(self, streams: Iterable[int]) -> list[_Stream]:
        """Those that were with nobody: who waited, or held by command."""
        found = [state for stream in streams if (state := self._streams.get(stream)) is not None]
        return [state for state in found if state.partner is None and not self.mixer.in_room(state.peer.stream)]

    def _expect(self, states: list[_Stream]) -> None:
        for state in states:
            self.quiet.begin(state.peer.row)

    def _can_pair(self, room: int, members: tuple[int, ...]) -> bool:
        """Whether a room of two is a bridge: unless it is mixed already, and has to be."""
        if room not in self.mixer.rooms:
            return True
        if self.mixer.plays_to_all(room) or any(self.mixer.busy(stream) for stream in members):
            return False
        settings = [self.settings(stream) for stream in members]
        a, b = settings
        return a is not None and b is not None and _understand(a, b)

    def _pair(self, room: int, a: int, b: int) -> None:
        if self._pairs.get(room) not in ((a, b), (b, a)):
            if room in self._pairs:
                self.unbridge(self._pairs[room][0])
            self._close_room(room)
            for stream in (a, b):
                self._drop_pair(stream)
        self._bridge(a, b)
        self._pairs[room] = (a, b)
        self._paired[a] = self._paired[b] = room

    def _close_room(self, room: int) -> None:
        pair = self._pairs.get(room)
        if pair is not None:
            self.unbridge(pair[0])
            return
        left = self.mixer.members(room)
        self.mixer.close_room(room)
        for stream in left:
            self._needs_changed(stream)

    # -- below: deadlines

    def _find_silent(self, now: float) -> None:
        table = self.table
        last = np.maximum(table.heard, table.since)
        silent = (now - last >= table.limit) & (table.told <= last)
        for row in np.flatnonzero(silent).tolist():
            table.told[row] = now
            self.events.append(StreamSilent(self.latch.peers[row].stream, now - float(last[row])))

    # -- below: reports

    def _report_came(self, packet: bytes, source: bytes, socket: int, now: float) -> None:
        """A peer's report: believed from the host its stream is locked to, on that stream's socket; of a secure stream,
        where it authenticates, from anywhere."""
        owner = NOBODY
        if self.srtp.receives:
            owner, packet = self._secure.report(packet, source, socket)
        try:
            report = rtcp.parse(packet)
        except rtcp.RtcpError:
            # What was sealed can't be opened any more, but for the SSRC in front.
            ended = not owner and self.latch.ended.reported({int.from_bytes(packet[4:8], "big")}, source)
            self.counters["ended_rtcp" if ended else "bad_rtcp"] += 1
            return
        state = self._streams[self.latch.peers[owner].stream] if owner else self._reporter(report, source, socket)
        if state is None or (self.table.secure_in[state.peer.row] and not owner):
            about = {report.ssrc, *[block.ssrc for block in report.blocks]}
            ended = self.latch.ended.reported(about, source)
            self.counters["ended_rtcp" if ended else "stray_rtcp"] += 1
            return
        row = state.peer.row
        state.reports_received += 1
        if report.sender_ntp is not None:
            self.table.their_report[row] = rtcp.middle(report.sender_ntp)
            self.table.their_report_at[row] = now
        if state.peer.nat and socket == state.rtcp_socket:
            self.table.put_control_address(row, source)
        own = int(self.table.own_ssrc[row])
        for block in report.blocks:
            if block.ssrc == own:
                self._block_came(state, block, now)
        if report.extended:
            self._extended_came(state, packet, own)
        if self.table.as_is[row]:
            self._pass_report(state, report.ssrc, packet)

    def _pass_report(self, state: _Stream, ssrc: int, packet: bytes) -> None:
        """Let a report reach the peer that it is about, where packets pass in either direction: what it asks for (RFC
        4585: a whole picture, lost packets again) only that one can do."""
        other = self._streams.get(state.partner) if state.partner is not None else None
        if other is None or other is state:
            return
        table, row, to = self.table, state.peer.row, other.peer.row
        joined = table.target[row] == to or table.target[to] == row
        if joined and table.as_is[to] and table.control_length[to]:
            self.srtp.seals_for(to, ssrc)
            self.passed.put(packet, to)

    def _reporter(self, report: rtcp.Report, source: bytes, socket: int) -> _Stream | None:
        """By our SSRC in a block, else by the peer's own, else, before its first packet, by where its RTCP is to come
        from."""
        table = self.table
        found = [self._by_ssrc[block.ssrc] for block in report.blocks if block.ssrc in self._by_ssrc]
        if not found:
            # A telephone may have one SSRC for its audio and its video, and report under a third: where a report comes
            # from decides first where there is video.
            rows = self._expecting(table.as_is != 0, source, socket)
            rows = rows or np.flatnonzero(table.ssrc == report.ssrc).tolist()
            rows = rows or self._expecting(table.ssrc < 0, source, socket)
            found = [self._streams[self.latch.peers[row].stream] for row in rows]
        for state in found:
            peer = state.peer
            here = socket == state.rtcp_socket or socket == peer.socket
            if here and peer.key and not peer.waiting and host_octets(peer.address) == host_octets(source):
                return state
        return None

    def _expecting(self, among: npt.NDArray[np.bool_], source: bytes, socket: int) -> list[int]:
        """Rows of these that reports from there are to come to. All at once: strange reports must not cost more the
        more calls wait for their first packet."""
        table = self.table
        at = np.flatnonzero(among & (table.control_socket == socket) & (table.control_length > 0))
        if not at.size:
            return []
        same = (table.control_address[at] == np.frombuffer(source, np.uint8)).all(axis=1)
        rows: list[int] = at[same].tolist()
        return rows

    def _extended_came(self, state: _Stream, packet: bytes, own: int) -> None:
        """RFC 3611: how our packets sound at the peer."""
        try:
            extended = rtcp_xr.parse(packet)
        except rtcp.RtcpError:
            self.counters["bad_rtcp"] += 1
            return
        for metrics in extended.voip:
            if metrics.ssrc == own:
                state.remote_mos, state.remote_mos_cq = metrics.mos_lq, metrics.mos_cq
                state.remote_burst_loss = metrics.burst_density

    def _block_came(self, state: _Stream, block: rtcp.Block, now: float) -> None:
        state.remote_lost = block.lost
        state.remote_loss_fraction = block.fraction_lost
        state.remote_jitter = block.jitter / float(self.table.clock[state.peer.row])
        # RFC 3550 6.4.1: round trip = A - LSR - DLSR. An LSR that we did not send proves nothing.
        table, row = self.table, state.peer.row
        if block.last_sr and block.last_sr in (table.our_report[row], table.our_report_before[row]):
            arrival = rtcp.middle(rtcp.ntp(now + self._wall))
            gone = (arrival - block.last_sr - block.delay & 0xFFFFFFFF) / 65536
            if gone < MAX_ROUND_TRIP:
                table.round_trip[row] = gone

    def _stats(self, state: _Stream) -> StreamStats:
        table, peer = self.table, state.peer
        row = peer.row
        # In the order of the columns (rtp.table).
        ssrc, top, base, received, octets, late, unknown, foreign, bad, sent, sent_octets, reports, own, *refused = (
            table.counts(row)
        )
        expected = peer.expected_before + (top - base + 1 if ssrc >= 0 else 0)
        stats = StreamStats(
            packets_received=received,
            octets_received=octets,
            packets_sent=sent,
            octets_sent=sent_octets,
            lost=max(0, expected - received),
            misordered=late,
            wrong_source=peer.strayed,
            wrong_ssrc=foreign,
            unknown_payload=unknown,
            bad_packets=bad,
            auth_failed=refused[0],
            replayed=refused[1],
            secure=bool(table.secure_in[row] and table.secure_out[row]),
            rtcp_received=state.reports_received,
            rtcp_sent=reports,
            latched=peer.latched,
            ssrcs=peer.ssrcs,
            local_ssrc=own,
        )
        heard = self.quality.summary(row)
        if heard.intervals:
            stats.mos, stats.mos_min = heard.mean, heard.least
        if peer.address:
            stats.remote = host_and_port(peer.address)
        if peer.first_at is not None:
            stats.jitter_ms = float(table.jitter[row]) / float(table.clock[row]) * 1000
            stats.first_packet_at = peer.first_at
            stats.last_packet_at = float(table.heard[row])
        if state.reports_received:
            trip = float(table.round_trip[row])
            stats.round_trip_ms = trip * 1000 if trip >= 0 else None
            stats.remote_lost = state.remote_lost
            stats.remote_loss_fraction = state.remote_loss_fraction
            stats.remote_mos, stats.remote_mos_cq = state.remote_mos, state.remote_mos_cq
            stats.remote_burst_loss = state.remote_burst_loss
            stats.remote_jitter_ms = None if state.remote_jitter is None else state.remote_jitter * 1000
        return stats


def _pair_room(a: int, b: int) -> int:
    """The room of a bridge that is mixed: no room of the signalling's has a number below 0."""
    return -1 - min(a, b)


def _understand(a: StreamSettings, b: StreamSettings) -> bool:
    """Whether each side takes what the other is sent: then nothing need be decoded. Codecs that we have none for are
    relayed and hoped for."""
    for one, other in ((a, b), (b, a)):
        wanted = preferred(one)
        if wanted is None:
            return True
        if all(not same(wanted, each) for each in other.formats):
            return False
    return True


def _has_events(settings: StreamSettings) -> bool:
    return any(each[1].lower() == "telephone-event" for each in settings.formats)


def same(one: Format, other: Format) -> bool:
    """Whether two formats are the same codec, whatever their numbers."""
    return one[1].lower() == other[1].lower() and one[2] == other[2]


def _numbers(settings: StreamSettings) -> tuple[object, ...]:
    """What payload types and timestamps are read and written by."""
    return settings.formats, settings.receives, settings.ptime


def _source(settings: StreamSettings) -> tuple[object, ...]:
    """What the source of a stream depends on."""
    return settings.remote[:2], settings.nat, settings.signalled_host
