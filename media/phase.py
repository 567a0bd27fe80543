"""An eighth of all rooms, worked on together every 20 ms: play out, listen, mix, encode. Pure.

Eight phases share the 20 ms, 2.5 ms apart, so that no frame waits for all the others. A phase's rooms are compiled into
one plan a bus rate when something changes; a tick then is a fixed row of numpy operations for all of its voices:

    jitter buffers -> frames -> sources (silence | voices | players | music | totals) -> signals -> packets
                                   \\-> detectors, recordings
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from media.codecs import framed, table
from media.commands import StreamSettings
from media.mixture import Mixture, Sum
from media.outbound import Encoder, FramedSender, Listener, PacedSender, Packets, Sender, TableSender
from media.player import Player
from media.resample import Halver
from media.room import Room
from media.voice import Part, Voice, is_table, preferred

if TYPE_CHECKING:
    from media.mixer import Mixer

FRAMES_PER_SECOND = 50
FRAME_MS = 20
G722_OCTETS = 8000  # a second: the only codec with memory whose payload can be cut anywhere
OPUS_FRAMES = (1, 2, 3)  # of 20 ms, in a packet (RFC 7587 4.2 allows more; none is heard with pleasure)

F32 = npt.NDArray[np.float32]
I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]


class Playing:
    """A player's row among the sources; `music`: the class it plays, whose row it shares with all who hear it."""

    __slots__ = ("gain", "over", "player", "source")

    def __init__(self, player: Player, source: int) -> None:
        self.player = player
        self.source = source
        self.over = player.over
        self.gain = np.float32(player.gain)


class Plan:
    """Everything that one bus rate of a phase does in a tick."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.samples = rate // FRAMES_PER_SECOND
        self.voices: list[Voice] = []
        self.parts: list[Part] = []
        self.playing: list[Playing] = []
        self.music: list[tuple[str, int]] = []  # class, row among the sources
        self.senders: list[Sender] = []
        self.halved: list[TableSender | PacedSender] = []  # those of narrow-band codecs on a wide bus
        self.halved_places: I64 = np.zeros(0, np.int64)
        self.halved_numbers: I64 = np.zeros(0, np.int64)
        self.mixture: Mixture | None = None
        self.gains: F32 | None = None
        self.controlled: I64 = np.zeros(0, np.int64)  # sources with automatic gain, and their numbers
        self.controlled_numbers: I64 = np.zeros(0, np.int64)
        self.detected: I64 = np.zeros(0, np.int64)
        self.detected_numbers: I64 = np.zeros(0, np.int64)
        self.recorded: I64 = np.zeros(0, np.int64)
        self.recorded_numbers: I64 = np.zeros(0, np.int64)
        self.recordings: I64 = np.zeros(0, np.int64)
        self.channels: I64 = np.zeros(0, np.int64)
        self.sources: F32 = np.zeros((1, self.samples), np.float32)


class Phase:
    """Voices and rooms that are worked on at the same moment."""

    def __init__(self, mixer: Mixer) -> None:
        self.voices: dict[int, Voice] = {}
        self.rooms: dict[int, Room] = {}
        self.recordings: dict[int, int] = {}  # recording -> its row; those that move on with this phase
        self.dirty = False
        self.weight = 0  # of its voices together
        self._mixer = mixer
        self._plans: list[Plan] = []
        self._advancing: I64 = np.zeros(0, np.int64)
        self._halver = Halver()
        self._running: frozenset[int] = frozenset()
        self._paced: dict[int, PacedSender] = {}

    # -- every tick

    def tick(self, index: int, now: float) -> list[Packets]:
        """Frame number `index` of this phase."""
        if self.dirty:
            self._compile(now)
        packets: list[Packets] = []
        for plan in self._plans:
            self._run(plan, index, now, packets)
        if self._advancing.size:
            self._mixer.recordings.advance(self._advancing)
        return packets

    def _run(self, plan: Plan, index: int, now: float, packets: list[Packets]) -> None:
        mixer, sources = self._mixer, plan.sources
        for part in plan.parts:
            mixer.reception.play(part, sources[part.begin : part.end], now)
        if plan.detected.size:
            mixer.listening.process(plan.detected_numbers, sources[plan.detected], plan.rate, now)
        if plan.controlled.size:
            sources[plan.controlled] = mixer.gain.apply(plan.controlled_numbers, sources[plan.controlled])
        if plan.gains is not None:
            sources[1 : 1 + len(plan.gains)] *= plan.gains
        if plan.recorded.size:
            mixer.record(plan.recordings, plan.channels, plan.recorded_numbers, sources[plan.recorded], plan.rate)
        for each in plan.playing:
            self._read(each, plan, sources)
        for name, source in plan.music:
            sources[source] = mixer.studio.music.frame(name, plan.rate, index)
        if plan.mixture is None:
            return
        signals = plan.mixture.mix(sources)
        overrides = mixer.overrides(plan.voices)
        for sender in plan.senders:
            packets += sender.packets(signals, overrides, now)
        if plan.halved:
            picked = signals[plan.halved_places].astype(np.float32)
            narrow = self._halver.down(plan.halved_numbers, picked)
            np.clip(narrow, -32767, 32767, out=narrow)
            halves = narrow.astype(np.int16)
            for sender in plan.halved:
                packets += sender.packets(halves, overrides, now)

    def _read(self, each: Playing, plan: Plan, sources: F32) -> None:
        player = each.player
        frame = player.read(plan.samples)
        if each.source:
            if frame is None:
                sources[each.source] = 0.0
            else:
                sources[each.source] = frame
                if each.gain != 1.0:
                    sources[each.source] *= each.gain
        if player.changed():
            self._mixer.player_changed(player)

    def skip(self, frames: int) -> None:
        """So many frames were not made."""
        table = self._mixer.table
        rows: I64 = np.array(sorted(self._running), np.int64)
        gone = (table.clock[rows] * (frames / FRAMES_PER_SECOND)).astype(np.int64)
        table.own_stamp[rows] = table.own_stamp[rows] + gone & 0xFFFFFFFF

    # -- compiled when something changed

    def _compile(self, now: float) -> None:
        self.dirty = False
        by_rate: dict[int, list[Voice]] = {}
        for voice in self.voices.values():
            by_rate.setdefault(voice.rate, []).append(voice)
        paced: dict[int, PacedSender] = {}
        self._plans = []
        for rate, voices in by_rate.items():
            self._plans.append(self._plan(rate, voices, paced))
        self._paced = paced
        senders = [sender for plan in self._plans for sender in (*plan.senders, *plan.halved)]
        for sender in senders:
            sender.begin(now, self._running)
        self._running = frozenset(row for sender in senders for row in sender.rows.tolist())
        self._advancing = np.array(list(self.recordings.values()), np.int64)

    def _plan(self, rate: int, voices: list[Voice], paced: dict[int, PacedSender]) -> Plan:
        plan = Plan(rate)
        plan.voices = voices
        self._rest(plan, voices)
        size = self._place_voices(plan, voices)
        size = self._place_players(plan, voices, size)
        sums, totals, size = self._sums(plan, voices, size)
        self._columns(plan, voices)
        hearing = {voice.stream: voice for voice in voices if voice.mixed and voice.listens}
        signals: dict[Sum, int] = {}
        listeners: list[tuple[Voice, int]] = []
        for stream, voice in hearing.items():
            sum_ = sums.get(stream, ())
            listeners.append((voice, signals.setdefault(sum_, len(signals))))
        mixture = None
        if listeners:
            mixture = plan.mixture = Mixture(size, totals, list(signals), plan.samples)
            size = mixture.rows
        plan.sources = np.zeros((size, plan.samples), np.float32)
        if mixture is not None:
            self._make_senders(plan, listeners, paced)
        return plan

    def _rest(self, plan: Plan, voices: list[Voice]) -> None:
        """Take in no audio of voices that nobody hears: callers in a queue, listeners of an announcement."""
        heard = self._heard(plan, voices)
        for voice in voices:
            audible = voice.stream in heard or voice.detects or voice.watched or bool(voice.channels)
            if audible == voice.resting:
                if audible:
                    self._mixer.reception.wake(voice)
                else:
                    self._mixer.reception.rest(voice)
        self.dirty = False  # which bank a voice has is what comes next

    def _heard(self, plan: Plan, voices: list[Voice]) -> set[int]:
        """Voices that somebody hears, as the rooms stand."""
        plain = [
            voice.room is not None
            and voice.room.plain
            and len(voice.room.members) > 1
            and voice.listens
            and not voice.deaf
            and not (voice.player is not None and len(voice.player))
            for voice in voices
        ]
        if all(plain):
            return {voice.stream for voice in voices}
        for source, voice in enumerate(voices, 1):
            voice.source = source
        size = self._place_players(Plan(plan.rate), voices, len(voices) + 1)
        sums, totals, _ = self._sums(plan, voices, size)
        used = {row for voice in voices if voice.listens for row, _ in sums.get(voice.stream, ())}
        for number, total in enumerate(totals):
            if size + number in used:
                used |= {row for row, _ in total}
        return {voice.stream for voice in voices if voice.source in used}

    @staticmethod
    def _place_voices(plan: Plan, voices: list[Voice]) -> int:
        """Rows of the sources: 0 is silence, then voices by their bank."""
        for voice in voices:
            voice.source = 0
        size = 1
        for narrow in (True, False):
            of = [v for v in voices if v.bank is not None and (v.bank.rate != plan.rate) == narrow]
            if of:
                plan.parts.append(Part(of, size))
                for voice in of:
                    voice.source = size
                    size += 1
        return size

    def _place_players(self, plan: Plan, voices: list[Voice], size: int) -> int:
        music: dict[str, int] = {}
        players: list[Player] = [voice.player for voice in voices if voice.player is not None]
        rooms = {voice.room.id: voice.room for voice in voices if voice.room is not None}
        players += [room.player for room in rooms.values() if room.player is not None]
        for player in players:
            player.changed()
            player.place = None
            if not len(player):
                continue
            name = player.music
            if name is not None and player.gain == 1.0:
                if name not in music:
                    music[name] = size
                    plan.music.append((name, size))
                    size += 1
                player.place = Playing(player, music[name])
                continue
            player.place = Playing(player, size)
            plan.playing.append(player.place)
            size += 1
        return size

    def _sums(self, plan: Plan, voices: list[Voice], size: int) -> tuple[dict[int, Sum], list[Sum], int]:
        """What each voice hears, and the totals of large rooms, whose rows come behind the sources."""
        members = {voice.stream: voice for voice in voices}
        sums: dict[int, Sum] = {}
        totals: list[Sum] = []

        def total(sum_: Sum) -> int:
            totals.append(sum_)
            return size + len(totals) - 1

        playing = {voice.stream: voice.player.place for voice in voices if voice.player is not None}

        def plays_to(stream: int) -> Playing | None:
            return playing.get(stream)

        done: set[int] = set()
        for voice in voices:
            room = voice.room
            if room is None:
                place = None if voice.player is None else voice.player.place
                sums[voice.stream] = ((place.source, voice.hears),) if place is not None and place.source else ()
            elif room.id not in done:
                done.add(room.id)
                all_hear = None if room.player is None else room.player.place
                sums.update(room.sums(members, plays_to, all_hear, total))
        return sums, totals, size

    def _columns(self, plan: Plan, voices: list[Voice]) -> None:
        count = sum(part.end - part.begin for part in plan.parts)
        gains = np.ones((count, 1), np.float32)
        for voice in voices:
            if voice.source:
                gains[voice.source - 1] = voice.heard
        if np.count_nonzero(gains != 1.0):
            plan.gains = gains
        controlled = [voice for voice in voices if voice.agc and voice.source]
        plan.controlled = np.array([voice.source for voice in controlled], np.int64)
        plan.controlled_numbers = np.array([voice.number for voice in controlled], np.int64)
        detected = [voice for voice in voices if (voice.detects or voice.watched) and voice.source]
        plan.detected = np.array([voice.source for voice in detected], np.int64)
        plan.detected_numbers = np.array([voice.number for voice in detected], np.int64)
        taken = [
            (voice, row, channel)
            for voice in voices
            if voice.source and not voice.silent
            for row, channel in voice.channels
        ]
        plan.recorded = np.array([voice.source for voice, _, _ in taken], np.int64)
        plan.recorded_numbers = np.array([voice.number for voice, _, _ in taken], np.int64)
        plan.recordings = np.array([row for _, row, _ in taken], np.int64)
        plan.channels = np.array([channel for _, _, channel in taken], np.int64)

    # -- senders

    def _make_senders(self, plan: Plan, listeners: list[tuple[Voice, int]], paced: dict[int, PacedSender]) -> None:
        tables: dict[str, list[Listener]] = {}
        encoded: dict[tuple[object, ...], list[tuple[Voice, Listener]]] = {}
        halves: dict[int, int] = {}  # signal -> place among the halved ones
        numbers: list[int] = []
        single: list[tuple[Voice, Listener, str, int]] = []
        wide = plan.rate > 8000
        for voice, signal in listeners:
            wanted = preferred(voice.settings)
            assert wanted is not None
            payload_type, name, clock = wanted
            if is_table(wanted):
                if wide and signal not in halves:
                    halves[signal] = len(halves)
                    numbers.append(voice.number)
                place = halves[signal] if wide else signal
                listener = Listener(voice.peer.row, payload_type, place)
                if voice.settings.ptime == FRAME_MS:
                    tables.setdefault(name.upper(), []).append(listener)
                else:
                    single.append((voice, listener, name.upper(), clock))
            else:
                listener = Listener(voice.peer.row, payload_type, signal)
                if name.lower() != "opus" and voice.settings.ptime != FRAME_MS:
                    single.append((voice, listener, name, clock))
                else:
                    frames = _frames(voice.settings)
                    key = (signal, name, clock, parameters(voice.settings, payload_type), frames)
                    encoded.setdefault(key, []).append((voice, listener))
        senders: list[TableSender | PacedSender] = [
            TableSender(self._mixer.table, name, of) for name, of in tables.items()
        ]
        for voice, listener, name, clock in single:
            own = self._paced_sender(voice, listener, name, clock, plan.rate)
            paced[listener.row] = own
            if is_table((0, name, clock)):
                senders.append(own)
            else:
                plan.senders.append(own)
        if wide:
            plan.halved = senders
            plan.halved_places = np.array(list(halves), np.int64)
            plan.halved_numbers = np.array(numbers, np.int64)
        else:
            plan.senders += senders
        self._framed_senders(plan, encoded)

    def _paced_sender(self, voice: Voice, listener: Listener, name: str, clock: int, rate: int) -> PacedSender:
        """The one that the row had, with what it has collected, or a new one."""
        before = self._paced.get(listener.row)
        if is_table((0, name, clock)):
            key: tuple[object, ...] = (name, voice.settings.ptime, listener.payload_type)
            octets = table.OCTETS[name] * 8000

            def encode(frame: I16) -> bytes:
                return table.encode(name, frame[None, :]).tobytes()
        else:
            key = (name, rate, voice.settings.ptime, listener.payload_type)
            codec = self._encoder(voice, (name, rate, clock), name, clock, rate, "", 1).codec
            octets = G722_OCTETS
            encode = codec.encode
        if before is not None and before.key == key:
            before.signal = listener.signal
            return before
        return PacedSender(self._mixer.table, encode, octets, voice.settings.ptime, listener, key)

    def _framed_senders(self, plan: Plan, encoded: dict[tuple[object, ...], list[tuple[Voice, Listener]]]) -> None:
        by_clock: dict[int, list[tuple[tuple[object, ...], list[tuple[Voice, Listener]]]]] = {}
        for key, of in encoded.items():
            clock = key[2]
            assert isinstance(clock, int)
            by_clock.setdefault(clock, []).append((key, of))
        for clock, groups in by_clock.items():
            listeners: list[Listener] = []
            encoders: list[tuple[Encoder, range]] = []
            for (signal, name, _, fmtp, frames), of in groups:
                assert isinstance(signal, int)
                voice = of[0][0]
                which = (name, plan.rate, clock, fmtp, frames)
                encoder = self._encoder(voice, which, str(name), clock, plan.rate, str(fmtp), int(str(frames)))
                encoder.signal = signal
                encoders.append((encoder, range(len(listeners), len(listeners) + len(of))))
                listeners += [listener for _, listener in of]
            plan.senders.append(FramedSender(self._mixer.table, clock, listeners, encoders))

    @staticmethod
    def _encoder(
        voice: Voice, key: tuple[object, ...], name: str, clock: int, rate: int, fmtp: str, frames: int
    ) -> Encoder:
        if voice.encoder is None or voice.encoder_key != key:
            voice.forget_encoder()
            voice.encoder = Encoder(framed(name, rate, fmtp), frames)
            voice.encoder_key = key
        return voice.encoder


def parameters(settings: StreamSettings, payload_type: int) -> str:
    """What the peer wants to receive under this payload type (a=fmtp)."""
    for number, fmtp in settings.fmtps:
        if number == payload_type:
            return fmtp
    return ""


def _frames(settings: StreamSettings) -> int:
    """Opus frames of 20 ms in a packet: the agreed packet time as far as that can be had."""
    return min(max(settings.ptime // FRAME_MS, 1), OPUS_FRAMES[-1])
