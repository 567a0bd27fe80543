"""What is heard: packets of voices to samples in jitter buffers, and out of them a frame for each. Pure.

Table codecs are decoded as they come, all packets of a kind at once, into rings of samples. Payloads of stateful codecs
wait, by position, for their moment, since they must be decoded in order. Which payload types a voice takes is a column
of its own: everything else is counted and dropped by the relay before.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from media.codecs import comfort_noise, framed, table
from media.codecs.comfort_noise import NoiseSource
from media.codecs.framed import CodecError, FramedCodec
from media.codecs.table_loop import L16, PCMA, PCMU, TABLE_KINDS
from media.commands import StreamSettings
from media.conceal import Concealer
from media.quality import impairment
from media.reception_loop import EVENT, FRAMED, NOISE, NONE, heard, play
from media.resample import Doubler
from media.voice import MAX_PENDING, Part, Voice, audio_formats, is_framed
from rtp.columns import Slots
from rtp.playout import PlayoutBank
from rtp.playout_frame import HOLED, WHOLE_FRAME
from rtp.quality import StreamQuality
from rtp.relay import Heard
from rtp.relay_loop import HEADER
from rtp.table import EARS_AUDIO, EARS_EVENTS, PAYLOAD_TYPES, StreamTable

RATES = (8000, 16000, 48000)
CONCEAL_FRAMES = 5  # lost in a row: what a codec makes up beyond is no use to anybody
MAX_SAMPLES = 0.12  # seconds in a packet: more is none of a telephone's

_TABLES = {PCMU: "PCMU", PCMA: "PCMA", L16: "L16"}
_OCTETS_PER_SAMPLE = {PCMU: 1, PCMA: 1, L16: 2}

Framed = tuple[Voice, int, bytes, int, int, int]
"""A packet of a stateful codec: its voice, payload type, payload, samples, first word, timestamp."""

F32 = npt.NDArray[np.float32]
I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]


class Reception:
    """Jitter buffers and decoders of all voices.

    `event(row, payload, first word, stamp, now)` is told of each packet of a telephone-event.
    counters: payloads that could not be decoded.
    """

    def __init__(self, streams: StreamTable, event: Callable[[int, bytes, int, int, float], None]) -> None:
        self.banks = {rate: PlayoutBank(rate) for rate in RATES}
        self.concealers = {rate: Concealer(rate) for rate in RATES}
        self.qualities = {rate: StreamQuality(bank) for rate, bank in self.banks.items()}
        self.counters = {"bad_payload": 0}
        self.voices: dict[int, Voice] = {}
        """By row of the stream table."""
        self.rebanked: Callable[[Voice], None] = lambda _voice: None
        """Told when a voice's audio comes out of another bank from now on."""
        self.renewed: Callable[[int], None] = lambda _row: None
        """Told when a row is heard from another source than before."""
        self._event = event
        self._streams = streams
        self._kinds = np.zeros((0, PAYLOAD_TYPES), np.uint8)
        self._ssrc: I64 = np.zeros(0, np.int64)
        self._bank_row: I64 = np.zeros(0, np.int64)
        self._types: I64 = np.zeros(0, np.int64)  # payload type of the latest packet
        self._noisy: U8 = np.zeros(0, np.uint8)  # 1: in `_noises`
        self._odd: I64 = np.zeros(0, np.int64)
        self._grow()
        self._doubler = Doubler()
        self._noise = NoiseSource(np.random.default_rng())
        self._noises: dict[int, int] = {}  # rows with comfort noise: sequence number of it, -1: audio has come since

    # -- voices

    def events_of(self, row: int, settings: StreamSettings) -> int:
        """Tell of the telephone-events of a stream from now on, whether it has a voice or not; their clock in Hz."""
        if row >= len(self._kinds):
            self._grow()
        kinds, clock = self._kinds[row], 0
        kinds[kinds == EVENT] = NONE
        known: set[int] = set()
        for number, name, hertz in settings.receives + settings.formats:
            # Of two meanings of a number the first counts.
            if name.lower() == "telephone-event" and 0 <= number < PAYLOAD_TYPES and number not in known:
                kinds[number] = EVENT
                clock = clock or hertz
            known.add(number)
        ears = int(self._streams.ears[row]) & ~EARS_EVENTS
        self._streams.ears[row] = ears | EARS_EVENTS if clock else ears
        return clock or 8000

    def open(self, voice: Voice) -> None:
        """Listen to a voice whose `rate` is set."""
        if voice.number >= len(self._kinds):
            self._grow()
        self.voices[voice.number] = voice
        self._ssrc[voice.number] = self._streams.ssrc[voice.number]
        self.configure(voice)

    def configure(self, voice: Voice) -> None:
        """Its formats or its rate have changed."""
        kinds = self._kinds[voice.number]
        kinds[kinds != EVENT] = NONE
        formats = audio_formats(voice.settings)
        for number, name, clock in formats:
            if 0 <= number < PAYLOAD_TYPES and kinds[number] != EVENT:
                kinds[number] = FRAMED if is_framed((number, name, clock)) else TABLE_KINDS[name.upper()]
        for number, name, _ in voice.settings.receives + voice.settings.formats:
            if name.upper() == "CN" and 0 <= number < PAYLOAD_TYPES and kinds[number] == NONE:
                kinds[number] = NOISE
        voice.forget_decoders()
        first = formats[0] if formats else (0, "PCMU", 8000)
        self._choose_bank(voice, first[0])

    def close(self, voice: Voice) -> None:
        """The voice is gone."""
        self._leave_bank(voice)
        voice.forget_decoders()
        self._quiet(voice.number)
        kinds = self._kinds[voice.number]
        kinds[kinds != EVENT] = NONE
        del self.voices[voice.number]

    def _grow(self) -> None:
        more = self._streams.capacity - len(self._kinds)
        self._kinds = np.concatenate((self._kinds, np.zeros((more, PAYLOAD_TYPES), np.uint8)))
        self._ssrc = np.concatenate((self._ssrc, np.full(more, -1, np.int64)))
        self._bank_row = np.concatenate((self._bank_row, np.zeros(more, np.int64)))
        self._types = np.concatenate((self._types, np.full(more, -1, np.int64)))
        self._noisy = np.concatenate((self._noisy, np.zeros(more, np.uint8)))

    # -- packets

    def heard(self, slots: Slots, packets: Heard, now: float) -> None:
        """Take packets of voices; those of rows without one are left out."""
        if self._streams.capacity > len(self._kinds):
            self._grow()
        if packets.size > len(self._odd):
            self._odd = np.zeros(slots.capacity, np.int64)
        columns = self.banks[8000].columns
        left = heard(
            *packets,
            slots.data,
            self._streams.whole,
            self._kinds,
            self._ssrc,
            self._types,
            self._bank_row,
            self._noisy,
            columns.whole,
            columns.lows,
            columns.delay,
            columns.due,
            columns.frames,
            columns.samples,
            columns.bucket,
            self.banks[8000].max_delay,
            now,
            self._odd,
        )
        if left:
            self._look_at(slots, packets.lanes[:, self._odd[:left]], now)

    def _look_at(self, slots: Slots, packets: I64, now: float) -> None:
        """Packets of other codecs, of another source or type than those before; columns as `Heard` has them."""
        at, rows, heads, stamps, lengths = packets
        numbers = rows
        types = heads >> 16 & 0x7F
        kinds = self._kinds[numbers, types]
        starts = None
        if np.count_nonzero(heads >> 24 != 0x80):
            starts, ends = _payloads(slots, at, heads, lengths)
            lengths = ends - starts + HEADER
        fresh = self._ssrc[rows] != self._streams.ssrc[rows]
        if np.count_nonzero(fresh):
            self._new_sources(rows[fresh])
        if self._noises:
            self._end_noise(numbers, kinds, heads)
        for kind in np.unique(kinds).tolist():
            which = (kinds == kind).nonzero()[0]
            begins = np.full(len(which), HEADER) if starts is None else starts[which]
            octets = lengths[which] - HEADER
            if kind in _TABLES:
                self._table_packets(
                    kind,
                    slots,
                    at[which],
                    begins,
                    octets,
                    numbers[which],
                    types[which],
                    heads[which],
                    stamps[which],
                    now,
                )
            else:
                self._single_packets(
                    kind, slots, at[which], begins, octets, numbers[which], heads[which], stamps[which], now
                )

    def _end_noise(self, numbers: I64, kinds: npt.NDArray[np.uint8], heads: I64) -> None:
        """Audio that follows comfort noise ends it, once it is played."""
        audio = (kinds != NONE) & (kinds != EVENT) & (kinds != NOISE)
        for number, head in zip(numbers[audio].tolist(), heads[audio].tolist(), strict=True):
            since = self._noises.get(number, -1)
            if since >= 0 and 0 < (head - since & 0xFFFF) < 0x8000:
                self._noises[number] = -1

    def _new_sources(self, rows: I64) -> None:
        for row in set(rows.tolist()):
            self._ssrc[row] = self._streams.ssrc[row]
            self.renewed(row)
            voice = self.voices.get(row)
            if voice is not None and voice.bank is not None:
                voice.bank.reset(voice.bank_row)
                voice.pending.clear()
                voice.decoded = 0

    def _table_packets(
        self,
        kind: int,
        slots: Slots,
        at: I64,
        begins: I64,
        octets: I64,
        numbers: I64,
        types: I64,
        heads: I64,
        stamps: I64,
        now: float,
    ) -> None:
        bank = self.banks[8000]
        per_sample = _OCTETS_PER_SAMPLE[kind]
        self._check_banks(numbers, types)
        taken = self._types[numbers] == types
        if not taken.all():
            # Of voices that rest, or are no more.
            at, begins, octets = at[taken], begins[taken], octets[taken]
            numbers, types, heads, stamps = numbers[taken], types[taken], heads[taken], stamps[taken]
            if not at.size:
                return
        size, begin = int(octets[0]), int(begins[0])
        if np.count_nonzero(octets != size) or np.count_nonzero(begins != begin):
            # Packets of several lengths: those of one at a time.
            shapes = octets << 16 | begins
            for shape in np.unique(shapes).tolist():
                of = (shapes == shape).nonzero()[0]
                self._table_packets(
                    kind, slots, at[of], begins[of], octets[of], numbers[of], types[of], heads[of], stamps[of], now
                )
            return
        samples = size // per_sample
        if not 0 < samples <= MAX_SAMPLES * 8000:
            self.counters["bad_payload"] += len(at)
            return
        payloads = slots.data[at, begin : begin + samples * per_sample]
        rows = self._bank_row[numbers]
        counts = np.full(len(rows), samples, np.int64)
        places = bank.arrived(rows, stamps, heads & 0xFFFF, heads & 0x800000 != 0, counts, now)
        good = places >= 0
        decoded = table.decode(_TABLES[kind], payloads)
        if np.count_nonzero(good) == len(rows):
            bank.write(rows, places, decoded)
        elif good.any():
            bank.write(rows[good], places[good], decoded[good])

    def _check_banks(self, numbers: I64, types: I64) -> None:
        """Voices that change to a codec of another bank do so now."""
        changed = self._types.take(numbers) != types
        if np.count_nonzero(changed):
            for number, payload_type in zip(numbers[changed].tolist(), types[changed].tolist(), strict=True):
                voice = self.voices.get(number)
                if voice is not None and voice.payload_type != payload_type:
                    self._choose_bank(voice, payload_type)

    def _single_packets(
        self,
        kind: int,
        slots: Slots,
        at: I64,
        begins: I64,
        octets: I64,
        numbers: I64,
        heads: I64,
        stamps: I64,
        now: float,
    ) -> None:
        framed_packets: dict[int, list[Framed]] = {}
        columns = (at, begins, octets, numbers, heads, stamps)
        for slot, begin, size, number, head, stamp in zip(*(each.tolist() for each in columns), strict=True):
            voice = self.voices.get(number)
            payload = slots.data[slot, begin : begin + max(0, size)].tobytes()
            payload_type = head >> 16 & 0x7F
            if kind in (EVENT, NOISE) and voice is not None and voice.bank is not None:
                # Without samples: it keeps the sequence whole.
                self._arrived(voice, head, stamp, 0, now)
            if kind == EVENT:
                self._event(number, payload, head, stamp, now)
            elif voice is None:
                continue
            elif kind == NOISE:
                try:
                    self._noise.set(voice.number, comfort_noise.parse(payload))
                    self._noises[voice.number] = head & 0xFFFF
                    self._noisy[voice.number] = 1
                except CodecError:
                    self.counters["bad_payload"] += 1
            elif samples := self._fits(voice, payload_type, payload):
                bank = voice.bank
                assert bank is not None
                framed_packets.setdefault(bank.rate, []).append((voice, payload_type, payload, samples, head, stamp))
        for rate, packets in framed_packets.items():
            self._framed_arrived(self.banks[rate], packets, now)

    def _fits(self, voice: Voice, payload_type: int, payload: bytes) -> int:
        """The samples in a sound payload of a stateful codec, for which the voice then has the bank; else 0."""
        if voice.payload_type != payload_type or voice.bank is None:
            self._choose_bank(voice, payload_type)
        if voice.bank is None:
            return 0
        samples = self._decoder(voice, payload_type).samples(payload)
        if not 0 < samples <= MAX_SAMPLES * voice.bank.rate:
            self.counters["bad_payload"] += 1
            return 0
        return samples

    def _framed_arrived(self, bank: PlayoutBank, packets: list[Framed], now: float) -> None:
        """Packets of stateful codecs for one bank: they wait, by position, to be decoded."""
        told = [(voice.bank_row, samples, head, stamp) for voice, _, _, samples, head, stamp in packets]
        rows, samples, heads, stamps = np.array(told).T
        places = bank.arrived(rows, stamps, heads & 0xFFFF, heads & 0x800000 != 0, samples, now)
        emptied = bank.columns.emptied[rows].tolist()
        for place, times, (voice, payload_type, payload, *_) in zip(places.tolist(), emptied, packets, strict=True):
            if times != voice.emptied:
                # What waits was of a timeline that is gone, as what was in the ring.
                voice.emptied = times
                voice.pending.clear()
            if place >= 0 and place >= voice.decoded and len(voice.pending) < MAX_PENDING:
                voice.pending[place] = (payload_type, payload)

    @staticmethod
    def _arrived(voice: Voice, head: int, stamp: int, samples: int, now: float) -> int:
        bank = voice.bank
        assert bank is not None
        one = np.array([voice.bank_row]), np.array([stamp]), np.array([head & 0xFFFF])
        return int(bank.arrived(*one, np.array([head & 0x800000 != 0]), np.array([samples]), now)[0])

    # -- banks

    def _choose_bank(self, voice: Voice, payload_type: int) -> None:
        """Take the voice's audio into the bank that this payload type is decoded for."""
        voice.payload_type = payload_type
        if voice.resting:
            return
        known = (each for each in audio_formats(voice.settings) if each[0] == payload_type)
        chosen = next(known, (0, "PCMU", 8000))
        clock = chosen[2]
        rate = voice.rate if is_framed(chosen) else 8000
        bank = self.banks[rate]
        quality, codec = self.qualities[rate], impairment(chosen)
        if voice.bank is bank and voice.clock == clock:
            self._types[voice.number] = payload_type
            quality.recode(voice.bank_row, codec)
            return
        self._leave_bank(voice)
        self._types[voice.number] = payload_type
        voice.bank, voice.clock = bank, clock
        voice.bank_row = bank.take()
        bank.open(voice.bank_row, clock)
        quality.open(voice.bank_row, codec)
        voice.emptied = 0
        self.concealers[rate].reset(voice.bank_row)
        self._bank_row[voice.number] = voice.bank_row
        self._doubler.reset(voice.number)
        self.rebanked(voice)

    def rest(self, voice: Voice) -> None:
        """Nobody hears the voice: its audio is not taken any more."""
        voice.resting = True
        self._leave_bank(voice)
        self._streams.ears[voice.number] &= ~EARS_AUDIO

    def wake(self, voice: Voice) -> None:
        """It is heard again."""
        voice.resting = False
        self._streams.ears[voice.number] |= EARS_AUDIO
        self._choose_bank(voice, voice.payload_type)

    def _leave_bank(self, voice: Voice) -> None:
        if voice.bank is not None:
            voice.bank.free(voice.bank_row)
            voice.bank = None
        self._types[voice.number] = -1  # what comes is looked at: the row may be another's
        voice.pending.clear()
        voice.decoded = 0

    def _decoder(self, voice: Voice, payload_type: int) -> FramedCodec:
        codec = voice.decoders.get(payload_type)
        if codec is None:
            name = next(each[1] for each in audio_formats(voice.settings) if each[0] == payload_type)
            codec = voice.decoders[payload_type] = framed(name, voice.rate)
        return codec

    # -- every tick

    def play(self, part: Part, out: F32, now: float) -> None:
        """The next frame of a part's voices, at the rate of the bus that `out` (k, n) has."""
        bank = self.banks[part.bank_rate]
        if part.framed:
            ends = bank.wanted(part.rows).tolist()
            written: dict[int, list[tuple[int, int, bytes]]] = {}
            for voice, end in zip(part.voices, ends, strict=True):
                if voice.pending or voice.decoded:
                    self._decode(voice, bank, end, written)
            for size, of in written.items():
                rows, places, blocks = zip(*of, strict=True)
                samples = np.frombuffer(b"".join(blocks), np.int16).reshape(-1, size)
                bank.write(np.array(rows), np.array(places), samples)
        bank.begin(now)
        columns, concealer = bank.columns, self.concealers[part.bank_rate]
        narrow = out.shape[1] != bank.n
        target = part.frames if narrow else out
        left = play(
            part.rows,
            part.numbers,
            self._noisy,
            columns.whole,
            columns.lows,
            columns.delay,
            columns.due,
            columns.frames,
            columns.bucket,
            columns.tick,
            bank.max_delay,
            concealer.ages,
            concealer.frames,
            concealer.oldest,
            target,
            part.near,
            part.read,
            part.states,
            part.holes,
            now,
        )
        if left:
            self._play_closely(part, left, target)
        if narrow:
            out[:] = self._doubler.up(part.numbers, target)

    def _play_closely(self, part: Part, count: int, out: F32) -> None:
        """The frames of the voices that `near` lists: something is to be concealed, or to be filled."""
        near, frames = part.near[:count], part.read[:count]
        rows, states = part.rows[near], part.states[:count]
        missing = states == HOLED
        concealer = self.concealers[part.bank_rate]
        concealer.conceal(rows, frames, missing, part.holes[:count][missing])
        concealer.heard(rows, frames)
        if self._noises:
            self._fill_with_noise(part.numbers[near], frames, states != WHOLE_FRAME)
        out[near] = frames

    def _decode(
        self, voice: Voice, bank: PlayoutBank, end: int, written: dict[int, list[tuple[int, int, bytes]]]
    ) -> None:
        """Decode what is due until position `end`, in order; what is missing before something that is there is
        recovered out of it, or concealed. `written`: (bank row, position, samples) by number of samples, to which what
        is to be played is added."""
        pending = voice.pending
        head = end - bank.n
        at = max(voice.decoded, head - bank.n) if voice.decoded else min(pending)
        if at not in pending or len(pending) > 1:
            for place in [place for place in pending if place < at]:
                del pending[place]
        while at < end:
            found = pending.pop(at, None)
            if found is not None:
                samples = self._decoded(voice, *found)
                if samples is None:
                    at += bank.n
                    continue
            else:
                for place in [place for place in pending if place < at]:
                    del pending[place]  # it overlaps what was before it: no sender does that
                following = min(pending, default=-1)
                if following < 0:
                    # Nothing is known yet of what comes: a codec that conceals does so, for as long as is useful.
                    if not voice.decoded or at - voice.heard_until >= CONCEAL_FRAMES * bank.n:
                        voice.decoded = 0
                        return
                    if bank.columns.pending[voice.bank_row]:
                        # The delay is to grow: this is the moment, as long as nothing stands here. What comes is in
                        # time then, and no loss to the decoder.
                        break
                    following = at + bank.n
                samples = self._missing(voice, at, min(following - at, bank.n), pending.get(following))
                if samples is None:
                    at = min(following, at + bank.n)
                    continue
                bank.columns.concealed[voice.bank_row] += len(samples)
            # A codec's array is its own until it is called again.
            written.setdefault(len(samples), []).append((voice.bank_row, at, samples.tobytes()))
            at += len(samples)
            if found is not None:
                voice.heard_until = at
        voice.decoded = at

    def _decoded(self, voice: Voice, payload_type: int, payload: bytes) -> I16 | None:
        try:
            return self._decoder(voice, payload_type).decode(payload)
        except CodecError:
            self.counters["bad_payload"] += 1
            return None

    def _missing(self, voice: Voice, at: int, size: int, following: tuple[int, bytes] | None) -> I16 | None:
        codec = voice.decoders.get(voice.payload_type)
        if codec is not None:
            size -= size % (codec.rate // 400)  # codecs count in 2.5 ms
        if codec is None or not size:
            return None
        if following is not None and following[0] == voice.payload_type:
            try:
                recovered = codec.recover(following[1], size)
            except CodecError:
                recovered = None
            if recovered is not None:
                return recovered
        return codec.conceal(size)

    def _fill_with_noise(self, numbers: I64, frames: I16, empty: Bool) -> None:
        """RFC 3389: comfort noise stands for what the peer does not send; the audio that follows ends it."""
        for place, number in enumerate(numbers.tolist()):
            since = self._noises.get(number)
            if since is None:
                continue
            if empty[place]:
                frames[place] = self._noise.generate(np.array([number]), frames.shape[1])[0]
            elif since < 0:
                self._quiet(number)

    def _quiet(self, number: int) -> None:
        """No comfort noise stands for this row any more."""
        if self._noises.pop(number, None) is not None:
            self._noisy[number] = 0


def _payloads(slots: Slots, at: I64, heads: I64, lengths: I64) -> tuple[I64, I64]:
    """Where the payloads of packets with contributing sources, extension or padding begin and end; they are sound
    (`rtp.relay`)."""
    starts = HEADER + 4 * (heads >> 24 & 15)
    extended = np.flatnonzero(heads & 0x10000000)
    if extended.size:
        # RFC 3550 5.3.1: the extension's length counts 32-bit words after its own first one.
        words = slots.words[at[extended], starts[extended] >> 2].astype(np.int64) & 0xFFFF
        starts[extended] += 4 + 4 * words
    ends = lengths.copy()
    padded = np.flatnonzero(heads & 0x20000000)
    if padded.size:
        ends[padded] -= slots.data[at[padded], lengths[padded] - 1]
    return starts, ends
