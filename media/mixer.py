"""The mixer: voices, rooms, players, recordings and detectors, and the phases that work on them. Pure.

`media.engine` says which streams need it (they are in a room, something plays to them, their codecs differ, they are
recorded or listened to); all others are relayed and cost nothing here. Commands are media/audio_commands.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from media.audio_commands import (
    AudioEvent,
    Detect,
    Digit,
    PauseRecording,
    Play,
    PlayEnded,
    SendDigits,
    SetRecordingChannels,
    SetRoom,
    SetVolume,
    Silence,
    Source,
    StartRecording,
    StopPlay,
    StopRecording,
    Tone,
)
from media.automatic_gain import AutomaticGain
from media.commands import StreamSettings
from media.listening import Listening
from media.outbound import Override, Packets
from media.phase import Phase
from media.player import Player
from media.reception import Reception
from media.recording_desk import RecordingDesk
from media.room import Room
from media.studio import Studio
from media.voice import Voice, bus_rate
from rtp.columns import Slots
from rtp.latch import Peer
from rtp.relay import Heard
from rtp.table import EARS_AUDIO, NOT_BEGUN, StreamTable
from rtp.telephone_event import EventReceiver, EventSender

PHASES = 8
FRAME_SECONDS = 0.02
EXPIRE_FRAMES = 5  # lost ends of digits, and files, are looked after so often
PAUSE_SECONDS = 0.5  # of a "," among digits
MIN_TONE_MS = 80  # an in-band digit that stands for an event lasts so long at least: detectors want 40 to 70
PHASE_FILL = 320
"""Voices in a phase before the next one is begun: a phase costs the process a wake-up, for one or for many. So many are
2 ms of work; one whose codec is dear counts for several (`Voice.weight`)."""
FILL_ORDER = (0, 4, 2, 6, 1, 5, 3, 7)  # as far apart as can be

F32 = npt.NDArray[np.float32]
I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]


_NOTHING: dict[int, Override] = {}


class Mixer:
    """`busy_changed(stream)` is told when a stream that could be relayed must not be, or may be again. `events` is the
    engine's list. `wall`: Unix seconds of the monotonic second 0."""

    def __init__(
        self,
        table: StreamTable,
        events: list[AudioEvent],
        studio: Studio,
        busy_changed: Callable[[int], None],
        wall: float,
    ) -> None:
        self.voices: dict[int, Voice] = {}
        self.rooms: dict[int, Room] = {}
        self.phases = [Phase(self) for _ in range(PHASES)]
        self.reception = Reception(table, self._event_packet)
        self.reception.rebanked = self._dirty
        self._streams: dict[int, tuple[int, int]] = {}  # row -> stream, clock of its events
        self._awaited: set[int] = set()  # streams that a room names, but that had not been configured then
        self._over: list[int] = []  # streams that may be relayed again
        self._frame = -1  # the 20 ms that ticks are in
        self._own_play = 0  # plays of our own making count downwards
        self.studio = studio
        self.recordings = RecordingDesk(studio.files, events)
        self.listening = Listening(self.reception.voices, events)
        self.gain = AutomaticGain()
        self.table = table
        self.events = events
        self._wall = wall
        self._busy_changed = busy_changed
        self._players: dict[int, Player] = {}  # play -> who has it
        self._owner: dict[Player, Voice | Room] = {}
        self._ended: list[PlayEnded] = []
        self._received = EventReceiver()
        self.reception.renewed = self._received.reset
        self._sender = EventSender()
        self._instead: set[Voice] = set()  # those that send events in the place of audio

    # -- what the engine asks and tells

    def __len__(self) -> int:
        return len(self.voices)

    def busy(self, stream: int) -> bool:
        """Whether something is done to this stream that a relay can't do."""
        voice = self.voices.get(stream)
        return voice is not None and voice.busy

    def in_room(self, stream: int) -> bool:
        voice = self.voices.get(stream)
        return voice is not None and voice.room is not None

    def members(self, room: int) -> set[int]:
        found = self.rooms.get(room)
        return set() if found is None else set(found.members)

    def plays_to_all(self, room: int) -> bool:
        found = self.rooms.get(room)
        return found is not None and found.player is not None and len(found.player) > 0

    def awaits(self, stream: int) -> bool:
        """Whether a room names a stream that had not been configured."""
        return stream in self._awaited

    def joins(self, stream: int) -> None:
        """Its voice has been made: take it into the room that names it."""
        voice = self.voices[stream]
        self._awaited.discard(stream)
        for room in list(self.rooms.values()):
            if stream in room.members and voice.room is None:
                self._enter(voice, room)
                self._room_changed(room)

    def voice(self, stream: int, peer: Peer, settings: StreamSettings) -> Voice:
        """The voice of a stream, made if there is none."""
        voice = self.voices.get(stream)
        if voice is None:
            voice = Voice(stream, peer, settings)
            self.voices[stream] = voice
            self._settle(voice)
            self.table.ears[peer.row] |= EARS_AUDIO
        return voice

    def configure(self, stream: int, row: int, settings: StreamSettings) -> None:
        """A stream's settings have changed, whether it has a voice or not: digits are heard of all."""
        self._streams[row] = (stream, self.reception.events_of(row, settings))
        voice = self.voices.get(stream)
        if voice is None:
            return
        voice.settings = settings
        rate = voice.rate
        self._set_rates(voice)
        if voice.rate == rate:
            self.reception.configure(voice)
        self._dirty(voice)

    def let_go(self, stream: int) -> None:
        """The stream is relayed or alone: forget its voice, unless something else needs it."""
        voice = self.voices.get(stream)
        if voice is None:
            return
        if voice.room is not None:
            self._leave(voice)
        if not (voice.busy or voice.channels or voice.detects or voice.player is not None):
            self._forget(voice)

    def close(self, stream: int, row: int) -> None:
        """The stream is gone."""
        self._streams.pop(row, None)
        self._awaited.discard(stream)
        self._received.reset(row)
        voice = self.voices.get(stream)
        if voice is None:
            return
        if voice.player is not None:
            voice.player.stop_all("its stream is closed")
            self._plays_ended()
        if voice.room is not None:
            self._leave(voice)
        self._forget(voice)

    def heard(self, slots: Slots, heard: Heard, now: float) -> None:
        """Packets of voices, before they are rewritten for others."""
        self.reception.heard(slots, heard, now)

    @property
    def idle(self) -> bool:
        """Whether ticks have nothing to do."""
        return not self.next_step(0)

    def next_step(self, index: int) -> int:
        """How many ticks after tick number `index` there is something to do, PHASES at most; 0: never."""
        phases = self.phases
        for step in range(1, PHASES + 1):
            phase = phases[(index + step) % PHASES]
            if phase.voices or phase.recordings:
                return step
        return 0

    def tick(self, index: int, now: float) -> list[Packets]:
        """Tick number `index`, 2.5 ms after the one before: the phase whose turn it is. What comes back lies in buffers
        that the phase's next tick writes again."""
        frame = index // PHASES
        begins, self._frame = frame != self._frame, frame
        if begins:
            self.studio.music.tick(index // PHASES)
        packets = self.phases[index % PHASES].tick(index // PHASES, now)
        if begins and frame % EXPIRE_FRAMES == 0:
            self.expire(now)
        if self._ended:
            self._plays_ended()
        for stream in self._over:
            self._busy_changed(stream)
        self._over.clear()
        return packets

    def skip(self, frames: int) -> None:
        """So many frames of every phase were not made: the timestamps of what follows tell."""
        for phase in self.phases:
            phase.skip(frames)

    def expire(self, now: float) -> None:
        """Digits whose end was lost, recordings whose disk hangs: to be called a few times a second."""
        for row, digit, duration, _ in self._received.expire(now):
            stream, clock = self._streams[row]
            self._digit_over(stream, digit, duration * 1000 // clock, int(self.table.event_to[row]))
        for recording in self.recordings.tend(now):
            self.stop_recording(StopRecording(recording), now)

    # -- rooms

    def set_room(self, command: SetRoom) -> None:
        """The voices of its members have been made."""
        room = self.rooms.get(command.room)
        if room is None:
            room = self.rooms[command.room] = Room(command.room)
            members = [self.voices.get(stream) for stream in command.members]
            room.phase = self._phase(sum(1 if voice is None else voice.weight for voice in members))
            room.phase.rooms[room.id] = room
        before = room.members
        room.set(command.members, command.gain, command.gains)
        room.talkers = command.talkers
        for stream in before:
            voice = self.voices.get(stream)
            if voice is not None and voice.room is room and stream not in room.members:
                self._leave(voice)
        for stream in room.members:
            voice = self.voices.get(stream)
            if voice is None:
                continue
            self._enter(voice, room)
        awaited = [stream for stream in room.members if stream not in self.voices]
        for other in self.rooms.values() if awaited else ():
            # Also streams that have no voice yet are in the latest room that names them.
            if other is not room:
                other.without(awaited)
        self._awaited.update(awaited)
        self._room_changed(room)

    def close_room(self, room_id: int) -> None:
        room = self.rooms.pop(room_id, None)
        if room is None:
            return
        if room.player is not None:
            room.player.stop_all("its room is closed")
            self._owner.pop(room.player, None)
            self._plays_ended()
        members, room.members = room.members, ()
        for stream in members:
            voice = self.voices.get(stream)
            if voice is not None and voice.room is room:
                self._leave(voice)
        if room.phase is not None:
            del room.phase.rooms[room.id]
            room.phase.dirty = True

    def set_volume(self, command: SetVolume) -> None:
        voice = self.voices[command.stream]
        voice.heard, voice.hears = command.heard, command.hears
        if command.agc and not voice.agc:
            self.gain.reset(voice.number)
        voice.muted, voice.deaf, voice.agc = command.muted, command.deaf, command.agc
        self._dirty(voice)
        self._busy_changed(voice.stream)

    # -- players

    def play(self, command: Play) -> None:
        """To a stream whose voice has been made, or to a room."""
        if command.play in self._players:
            return
        owner: Voice | Room | None = self.rooms.get(command.room) if command.room else self.voices.get(command.stream)
        if owner is None:
            where = f"room {command.room}" if command.room else f"stream {command.stream}"
            self.events.append(PlayEnded(command.play, "failed", f"{where} is not open"))
            return
        self._play_to(owner, command)

    def stop_play(self, command: StopPlay) -> None:
        player = self._players.get(command.play)
        if player is not None:
            player.stop(command.play)
            self.player_changed(player)
            self._plays_ended()

    def player_changed(self, player: Player) -> None:
        """Something else plays now, or nothing."""
        owner = self._owner.get(player)
        if owner is None:
            return
        if owner.phase is not None:
            owner.phase.dirty = True
        if isinstance(owner, Voice):
            if not len(player):
                owner.player = None
                del self._owner[player]
                self._plays_ended()
            self._over.append(owner.stream)

    def _plays_ended(self) -> None:
        for event in self._ended:
            self._players.pop(event.play, None)
            if event.play > 0:
                self.events.append(event)
        self._ended.clear()

    # -- recordings

    def stop_recordings(self, now: float) -> None:
        """The engine ends: files are closed."""
        for recording in self.recordings.live():
            self.stop_recording(StopRecording(recording), now)

    def start_recording(self, command: StartRecording, now: float) -> None:
        if command.recording in self.recordings.live():
            return
        row = self.recordings.start(command, now, self._wall + now)
        voices = [self.voices[stream] for stream, _ in command.channels if stream in self.voices]
        phase = next((voice.phase for voice in voices if voice.phase is not None), None) or self._phase(1)
        phase.recordings[command.recording] = row
        phase.dirty = True
        self._place_channels()

    def set_channels(self, command: SetRecordingChannels) -> None:
        self.recordings.channels(command)
        self._place_channels()

    def pause_recording(self, command: PauseRecording) -> None:
        self.recordings.pause(command)

    def stop_recording(self, command: StopRecording, now: float) -> None:
        self.recordings.stop(command.recording, now)
        for phase in self.phases:
            if phase.recordings.pop(command.recording, None) is not None:
                phase.dirty = True
        self._place_channels()

    def record(self, rows: I64, channels: I64, numbers: I64, frames: F32, rate: int) -> None:
        self.recordings.add(rows, channels, numbers, frames, rate)

    def _place_channels(self) -> None:
        """Tell every voice which channels it is on."""
        by_stream = self.recordings.by_stream()
        for voice in list(self.voices.values()):
            channels = by_stream.get(voice.stream, ())
            if voice.channels != channels:
                voice.channels = channels
                self._dirty(voice)
                if not channels:
                    self._over.append(voice.stream)

    # -- digits and detection

    def detect(self, command: Detect, now: float) -> None:
        voice = self.voices[command.stream]
        voice.detects = command.dtmf or command.fax or command.speech or command.machine
        self.listening.listen(voice.number, command, now)
        self._dirty(voice)
        if not voice.detects:
            self._over.append(voice.stream)

    def send_digits(self, command: SendDigits) -> None:
        """As events where the peer takes them, else as tones. What is no digit is left out."""
        voice = self.voices[command.stream]
        digits = "".join(each for each in command.digits.upper() if each in "0123456789*#ABCD,")
        events = voice.event_format
        if events is None:
            self._tones(voice, digits, command.duration_ms, command.gap_ms)
            return
        self._sender.queue(
            voice.number, digits, clock=events[2], duration_ms=command.duration_ms, gap_ms=command.gap_ms
        )
        voice.sends_digits = True
        self._instead.add(voice)
        self._dirty(voice)
        self._busy_changed(voice.stream)

    def overrides(self, voices: list[Voice]) -> dict[int, Override]:
        """What is sent in the place of audio in this tick, by row of the table."""
        if not self._instead:
            return _NOTHING
        found: dict[int, Override] = {}
        for voice in voices:
            if voice not in self._instead:
                continue
            if voice.overrides:
                found[voice.number] = voice.overrides.popleft()
            elif voice.sends_digits:
                packet, events = self._sender.packet(voice.number), voice.event_format
                if packet is not None and events is not None:
                    payload, marker, offset = packet
                    # Where the peer takes events on another clock only, their timestamps are still the audio's.
                    behind = -offset * int(self.table.clock[voice.number]) // events[2]
                    found[voice.number] = Override(payload, events[0], marker, behind)
                elif voice.number not in self._sender.rows:
                    voice.sends_digits = False
                    self._dirty(voice)
                    self._over.append(voice.stream)
            else:
                self._instead.discard(voice)
        return found

    def _tones(self, voice: Voice, digits: str, duration_ms: int, gap_ms: int) -> None:
        """In-band digits, in the place of what is heard."""
        tones: list[Source] = []
        for digit in digits:
            if digit == ",":
                tones.append(Silence(PAUSE_SECONDS))
            else:
                tones += [Tone(f"dtmf:{digit}", seconds=duration_ms / 1000), Silence(gap_ms / 1000)]
        if tones and voice.settings.tones:
            self._own_play -= 1
            self._play_to(voice, Play(self._own_play, tuple(tones), stream=voice.stream))
            self._busy_changed(voice.stream)

    def _event_packet(self, row: int, payload: bytes, head: int, stamp: int, now: float) -> None:
        """A packet of a telephone-event, of any stream."""
        stream, clock = self._streams[row]
        voice, table = self.voices.get(stream), self.table
        partner = None if voice is None else voice.partner
        before = int(table.event_to[row])
        if stamp != table.event[row] and not self._received.knows(row, stamp):
            # It begins, and the relay has not passed it on: for nobody, or for one that it has no number for.
            table.event[row], table.event_shift[row] = stamp, NOT_BEGUN
            table.event_to[row] = table.target[row] if partner is None else partner.number
        told = self._received.receive(row, head & 0xFFFF, stamp, head & 0x800000 != 0, payload, now)
        for left, (digit, duration, over) in zip(range(len(told) - 1, -1, -1), told, strict=True):
            if over:
                # What is told last is of this packet's event, what is told before it of those before.
                self._digit_over(stream, digit, duration * 1000 // clock, before if left else int(table.event_to[row]))
        if partner is not None and len(payload) >= 4:
            self._pass_on(row, partner, payload[:4], stamp, clock)

    def _digit_over(self, stream: int, digit: str, duration_ms: int, to: int) -> None:
        """`to`: the row that it was for when it began."""
        self.events.append(Digit(stream, digit, duration_ms, "rfc4733"))
        if digit == "!":
            return
        voice = self.voices.get(stream)
        partner = None if voice is None else voice.partner
        if partner is not None and partner.number == to and partner.event_format is None:
            self._tones(partner, digit, max(duration_ms, MIN_TONE_MS), 0)

    def _pass_on(self, row: int, partner: Voice, payload: bytes, stamp: int, clock: int) -> None:
        """A digit goes through a mix of two as the packets it came in, on the other side's clock; not to one that was
        not there when it began."""
        events, table, to = partner.event_format, self.table, partner.number
        if events is None or stamp != table.event[row] or table.event_to[row] != to:
            return
        begins = bool(table.event_shift[row] == NOT_BEGUN)
        if begins:
            # It begins with the frame that is sent next.
            ours = int(table.own_stamp[to]) + int(table.clock[to] * FRAME_SECONDS)
            table.event_shift[row] = ours - stamp & 0xFFFFFFFF
        duration = min(int.from_bytes(payload[2:], "big") * events[2] // clock, 0xFFFF)
        changed = payload[:2] + duration.to_bytes(2, "big")
        self._instead.add(partner)
        ours = stamp + int(table.event_shift[row]) & 0xFFFFFFFF
        partner.overrides.append(Override(changed, events[0], begins, stamp=ours))

    # -- below

    def _play_to(self, owner: Voice | Room, command: Play) -> None:
        if owner.player is None:
            rate = owner.rate if isinstance(owner, Voice) else self._rate_of(owner)
            owner.player = Player(self.studio.open, rate, self._ended)
            self._owner[owner.player] = owner
        player = owner.player
        self._players[command.play] = player
        player.play(command)
        self.player_changed(player)
        self._plays_ended()

    def _rate_of(self, room: Room) -> int:
        return bus_rate([self.voices[stream].settings for stream in room.members if stream in self.voices])

    def _set_rates(self, voice: Voice) -> None:
        """The rate of the bus that a voice is on, after a change of it or of its room."""
        if voice.room is not None:
            self._room_rates(voice.room)
        else:
            self._set_rate(voice, _rate_alone(voice.settings))

    def _room_rates(self, room: Room) -> None:
        rate = self._rate_of(room)
        if room.player is not None:
            room.player.rate_changed(rate)
        present = [self.voices[stream] for stream in room.members if stream in self.voices]
        for voice in present:
            self._set_rate(voice, rate)
            voice.partner = None
        if len(present) == 2:
            present[0].partner, present[1].partner = present[1], present[0]

    def _set_rate(self, voice: Voice, rate: int) -> None:
        if voice.rate == rate:
            return
        voice.rate = rate
        if voice.player is not None:
            voice.player.rate_changed(rate)
        self.reception.configure(voice)
        self._dirty(voice)

    def _enter(self, voice: Voice, room: Room) -> None:
        if voice.room is not None and voice.room is not room:
            self._leave(voice)
        voice.room = room
        self._move(voice, room.phase)

    def _leave(self, voice: Voice) -> None:
        """Out of its room, which may be worth another rate without it, and may be one of two now."""
        room, voice.room = voice.room, None
        if voice.partner is not None:
            voice.partner.partner = None
            voice.partner = None
        voice.overrides.clear()
        voice.watched = False
        self.listening.talker(voice.number, 0)
        self._set_rates(voice)
        self._dirty(voice)
        if room is not None and voice.stream in room.members:
            room.without((voice.stream,))
            self._room_changed(room)

    def _room_changed(self, room: Room) -> None:
        """Others are in it now."""
        self._room_rates(room)
        self._watch_talkers(room)
        if room.phase is not None:
            room.phase.dirty = True

    def _settle(self, voice: Voice) -> None:
        """A place for a voice without a room."""
        voice.rate = _rate_alone(voice.settings)
        self.reception.open(voice)
        self._move(voice, self._phase(voice.weight))

    def _move(self, voice: Voice, phase: Phase | None) -> None:
        if voice.phase is phase:
            return
        if voice.phase is not None:
            voice.phase.voices.pop(voice.stream, None)
            voice.phase.weight -= voice.weighed
            voice.phase.dirty = True
        voice.phase = phase
        if phase is not None:
            voice.weighed = voice.weight
            phase.weight += voice.weighed
            phase.voices[voice.stream] = voice
            phase.dirty = True

    def _phase(self, more: int) -> Phase:
        """The phase for so many more voices."""
        for index in FILL_ORDER:
            if self.phases[index].weight + more <= PHASE_FILL:
                return self.phases[index]
        return min(self.phases, key=lambda phase: phase.weight)

    def _dirty(self, voice: Voice) -> None:
        if voice.phase is not None:
            voice.phase.dirty = True

    def _forget(self, voice: Voice) -> None:
        self._move(voice, None)
        self.reception.close(voice)
        voice.forget_encoder()
        self._sender.cancel(voice.number)
        self._instead.discard(voice)
        self.listening.forget(voice.number)
        if voice.player is not None:
            self._owner.pop(voice.player, None)
            voice.player = None
        del self.voices[voice.stream]
        self.table.ears[voice.number] &= ~EARS_AUDIO

    def _watch_talkers(self, room: Room) -> None:
        for stream in room.members:
            voice = self.voices.get(stream)
            if voice is not None:
                self.listening.talker(voice.number, room.id if room.talkers and voice.room is room else 0)
                voice.watched = room.talkers and voice.room is room


def _rate_alone(settings: StreamSettings) -> int:
    """The bus of a voice without a room: whoever only is played to or recorded needs no full band."""
    return min(bus_rate([settings]), 16000)
