"""A stream whose audio is worked on here: mixed, played to, recorded or listened to. What is known of it beside its
columns."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from media.codecs import traits
from media.codecs.framed import FramedCodec
from media.commands import Format, StreamSettings
from media.outbound import Encoder, Override
from rtp.latch import Peer
from rtp.playout import PlayoutBank

if TYPE_CHECKING:
    from media.phase import Phase
    from media.player import Player
    from media.room import Room

MAX_OVERRIDES = 16  # events that wait for their packet: a burst of end packets, no more
WEIGHTS = {"g722": 4, "opus": 10}  # what a voice costs, in voices of table codecs
MAX_PENDING = 50  # payloads of a stateful codec that wait for their moment: a second


class Voice:
    """`number` is its row of the stream table, and its place in all columns of voices; `source` its row among the
    sources of its phase's bus, 0: none."""

    __slots__ = (
        "agc",
        "bank",
        "bank_row",
        "channels",
        "clock",
        "deaf",
        "decoded",
        "decoders",
        "detects",
        "emptied",
        "encoder",
        "encoder_key",
        "heard",
        "heard_until",
        "hears",
        "muted",
        "number",
        "overrides",
        "partner",
        "payload_type",
        "peer",
        "pending",
        "phase",
        "player",
        "rate",
        "resting",
        "room",
        "sends_digits",
        "settings",
        "source",
        "stream",
        "watched",
        "weighed",
    )

    def __init__(self, stream: int, peer: Peer, settings: StreamSettings) -> None:
        self.stream = stream
        self.number = peer.row
        self.peer = peer
        self.settings = settings
        # In the room.
        self.room: Room | None = None
        self.phase: Phase | None = None
        self.partner: Voice | None = None  # the other one in a room of two
        self.weighed = 0  # its weight when it came into the phase
        self.rate = 0  # of the bus, Hz
        self.source = 0
        self.heard = 1.0
        self.hears = 1.0
        self.muted = False
        self.deaf = False
        self.agc = False
        self.player: Player | None = None
        # Received.
        self.bank: PlayoutBank | None = None
        self.bank_row = 0
        self.resting = False  # nobody hears it: its packets are left to the relay's counters
        self.clock = 0
        self.payload_type = -1  # of what came last
        self.decoders: dict[int, FramedCodec] = {}
        self.pending: dict[int, tuple[int, bytes]] = {}  # position -> payload type, payload
        self.decoded = 0  # position up to which payloads have been decoded; 0: nothing is being decoded
        self.emptied = 0  # times that its row was emptied (`PlayoutColumns`) when `pending` was last looked at
        self.heard_until = 0  # position up to which they were really there
        # Sent.
        self.encoder: Encoder | None = None
        self.encoder_key: tuple[object, ...] = ()
        self.sends_digits = False
        self.overrides: deque[Override] = deque(maxlen=MAX_OVERRIDES)
        # Listened to.
        self.detects = False
        self.watched = False  # as a talker of its room
        self.channels: tuple[tuple[int, int], ...] = ()  # (row of a recording, channel)

    @property
    def listens(self) -> bool:
        """Whether packets may be made for it."""
        return self.settings.send and preferred(self.settings) is not None

    @property
    def event_format(self) -> Format | None:
        """What digits are sent to it as: the telephone-event on the clock of its audio, or any; None: as tones."""
        events = [each for each in self.settings.formats if each[1].lower() == "telephone-event"]
        audio = preferred(self.settings)
        same = [each for each in events if audio is not None and each[2] == audio[2]]
        return next(iter(same or events), None)

    @property
    def decodes(self) -> bool:
        """Whether some of its formats are decoded one by one, in order."""
        return any(is_framed(each) for each in audio_formats(self.settings))

    @property
    def weight(self) -> int:
        """What it costs, in voices of table codecs."""
        wanted = preferred(self.settings)
        return 1 if wanted is None else WEIGHTS.get(wanted[1].lower(), 1)

    @property
    def busy(self) -> bool:
        """Whether it needs what a relay can't do."""
        plays = self.player is not None and len(self.player) > 0
        plain = self.heard == 1.0 and self.hears == 1.0 and not (self.muted or self.deaf or self.agc)
        return plays or not plain or self.sends_digits

    @property
    def silent(self) -> bool:
        """Nobody hears it: muted, or on hold."""
        return self.muted or not self.settings.receive

    @property
    def mixed(self) -> bool:
        """Whether its audio is made here, not relayed."""
        return self.room is not None or self.player is not None or self.sends_digits

    def forget_decoders(self) -> None:
        """What comes next is decoded anew; native memory is given back."""
        for decoder in self.decoders.values():
            decoder.close()
        self.decoders.clear()
        self.pending.clear()
        self.decoded = 0

    def forget_encoder(self) -> None:
        if self.encoder is not None:
            self.encoder.codec.close()
            self.encoder = None
        self.encoder_key = ()


class Part:
    """Voices of one phase whose audio comes out of one bank, as columns. `framed`: payloads wait to be decoded.
    `frames` (k, n) is what came out last, where that is not the bus itself; `near`, `read`, `states` and `holes` are
    for notes of whoever plays."""

    __slots__ = (
        "bank_rate",
        "begin",
        "end",
        "framed",
        "frames",
        "holes",
        "near",
        "numbers",
        "read",
        "rows",
        "states",
        "voices",
    )

    def __init__(self, voices: list[Voice], begin: int) -> None:
        bank = voices[0].bank
        assert bank is not None
        self.bank_rate = bank.rate
        self.voices = voices
        self.framed = any(voice.decodes for voice in voices)
        self.rows = np.array([voice.bank_row for voice in voices], np.int64)
        self.numbers = np.array([voice.number for voice in voices], np.int64)
        self.begin, self.end = begin, begin + len(voices)
        self.frames = np.zeros((len(voices), bank.n), np.float32)
        self.near = np.zeros(len(voices), np.int64)
        self.read = np.zeros((len(voices), bank.n), np.int16)
        self.states = np.zeros(len(voices), np.int64)
        self.holes = np.zeros((len(voices), bank.n), np.bool_)


def is_table(format_: Format) -> bool:
    """A codec without memory at 8000 Hz, decoded for all rows at once."""
    found = traits(format_[1], format_[2])
    return found is not None and found.kind == "table" and found.clock == 8000


def is_framed(format_: Format) -> bool:
    """A codec with memory, an object for each row."""
    found = traits(format_[1], format_[2])
    return found is not None and found.kind == "framed"


def _highest_rate(format_: Format) -> int:
    found = traits(format_[1], format_[2])
    return 8000 if found is None else found.rate


def preferred(settings: StreamSettings) -> Format | None:
    """The first agreed format that we can encode."""
    for each in settings.formats:
        if is_table(each) or is_framed(each):
            return each
    return None


def audio_formats(settings: StreamSettings) -> list[Format]:
    """The formats that a peer may send audio in, ours first."""
    found: dict[int, Format] = {}
    for each in settings.receives + settings.formats:
        if is_table(each) or is_framed(each):
            found.setdefault(each[0], each)
    return list(found.values())


def bus_rate(all_settings: list[StreamSettings]) -> int:
    """The rate that a mix of these streams is worth, in Hz: 48000 where all can nothing but Opus, 16000 where two (or
    the only one) are wide band, else 8000."""
    wide = 0
    full = True
    for settings in all_settings:
        formats = audio_formats(settings)
        first = preferred(settings)
        if first is None:
            continue
        if _highest_rate(first) > 8000:
            wide += 1
        full = full and all(_highest_rate(each) >= 48000 for each in formats)
    if not wide:
        return 8000
    if full:
        return 48000
    return 16000 if wide > 1 or len(all_settings) == 1 else 8000
