"""Packets made here: signals encoded, once for all who hear the same, and laid out for the sockets. Pure.

    TableSender     rows that get one table codec (G.711, L16) in packets of 20 ms: everything in columns
    FramedSender    rows that get a stateful codec: one encoder a signal, then columns
    PacedSender     rows that get packets of another length: octets are collected, one row at a time

Sequence numbers and timestamps go on where the row stands (`rtp.table` own_top, own_stamp, own_at), whoever fed it
last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from media.codecs.framed import FramedCodec
from media.codecs.table import OCTETS
from media.codecs.table_loop import TABLE_KINDS
from media.mixing_loop import headers, table_packets
from rtp.relay_loop import HEADER
from rtp.table import NEVER, StreamTable

FRAME_SECONDS = 0.02
SRTP_ROOM = 32  # octets that protection may add behind a packet
FRAMED_OCTETS = 1276  # RFC 6716 3.2.1: the largest Opus frame is 1275 octets
MARKER = 0x800000
VERSION = 0x80000000

F32 = npt.NDArray[np.float32]
I16 = npt.NDArray[np.int16]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]

TABLE_CLOCK = 8000  # Hz
FRAME_SAMPLES = 160  # of 20 ms


class Listener(NamedTuple):
    """Who gets packets: row of the table, payload type, index of its signal."""

    row: int
    payload_type: int
    signal: int


class Packets(NamedTuple):
    """What is to be sent: `data[at]`, so many octets of it, to the addresses of these rows of the table."""

    data: U8
    at: I64
    lengths: I64
    rows: I64


class Override(NamedTuple):
    """Something else in the place of a row's audio: an event of RFC 4733."""

    payload: bytes
    payload_type: int
    marker: bool
    behind: int = 0
    """Timestamp units since the event began."""
    stamp: int = -1
    """The timestamp itself, where that is known."""

    def stamped(self, audio: int) -> int:
        """The timestamp, where audio would have had that one."""
        return self.stamp if self.stamp >= 0 else audio - self.behind & 0xFFFFFFFF


class _Buffer:
    """Packets of a fixed set of rows, written again each tick."""

    __slots__ = ("_table", "at", "data", "heads", "index", "lengths", "marks", "native", "rows", "step", "words")

    def __init__(self, table: StreamTable, listeners: Sequence[Listener], octets: int, clock: int) -> None:
        count = len(listeners)
        stride = -(-(HEADER + octets + SRTP_ROOM) // 4) * 4
        self.data: U8 = np.zeros((count, stride), np.uint8)
        self.words = self.data.view(">u4")
        self.native = self.data.view(np.uint32)
        self.rows: I64 = np.array([each.row for each in listeners], np.int64)
        self.index = {each.row: place for place, each in enumerate(listeners)}
        self.at: I64 = np.arange(count)
        self.lengths: I64 = np.full(count, HEADER + octets, np.int64)
        self.heads: I64 = VERSION | np.array([each.payload_type << 16 for each in listeners], np.int64)
        self.marks: I64 = np.full(count, MARKER, np.int64)
        self.step = round(clock * FRAME_SECONDS)
        self._table = table

    def begin(self, now: float, running: frozenset[int]) -> None:
        """Take over the rows: the timestamp of one that was not `running` covers the time gone, and its first packet
        has the marker."""
        table, step = self._table, self.step
        for place, row in enumerate(self.rows.tolist()):
            if row in running:
                self.marks[place] = 0
                continue
            at = float(table.own_at[row])
            if at != NEVER:
                gone = int((now - at) * float(table.clock[row]))
                table.own_stamp[row] += max(0, gone - step)

    def headers(self, octets: I64, now: float) -> None:
        """Sequence, timestamp and statistics of one packet for each row, with so many octets of payload."""
        table = self._table
        headers(self.native, self.rows, self.heads, self.marks, octets, self.step, now, table.whole, table.real)

    def mark(self, places: I64 | list[int]) -> None:
        """The next packets of these begin a talkspurt (RFC 3551 4.1)."""
        self.marks[places] = MARKER

    def without(self, places: I64) -> None:
        """These got a header, but nothing is sent: their sequence goes on as if they had had none."""
        table, rows = self._table, self.rows[places]
        table.own_top[rows] = (table.own_top[rows] - 1) & 0xFFFF
        table.sent[rows] -= 1

    def override(self, row: int, instead: Override) -> None:
        """Replace the packet of a row, header and payload; its sequence number stays."""
        place, table = self.index[row], self._table
        stamp = instead.stamped(int(table.own_stamp[row]))
        head = VERSION | instead.marker * MARKER | instead.payload_type << 16 | int(table.own_top[row])
        self.words[place, 0] = head
        self.words[place, 1] = stamp
        size = len(instead.payload)
        self.data[place, HEADER : HEADER + size] = np.frombuffer(instead.payload, np.uint8)
        table.sent_octets[row] += size - int(self.lengths[place]) + HEADER
        self.lengths[place] = HEADER + size


class TableSender:
    """Rows of one phase that get one table codec of 8000 Hz in packets of 20 ms."""

    __slots__ = ("_all", "_buffer", "_kind", "_made", "_table", "_which")

    def __init__(self, table: StreamTable, name: str, listeners: Sequence[Listener]) -> None:
        """`name`: PCMU, PCMA or L16."""
        self._table = table
        self._kind = TABLE_KINDS[name]
        self._buffer = _Buffer(table, listeners, OCTETS[name] * FRAME_SAMPLES, TABLE_CLOCK)
        self._which: I64 = np.array([each.signal for each in listeners], np.int64)
        self._made: I64 = np.zeros(max(each.signal for each in listeners) + 1, np.int64)
        self._all: I64 = self._buffer.lengths.copy()

    @property
    def rows(self) -> I64:
        return self._buffer.rows

    def begin(self, now: float, running: frozenset[int]) -> None:
        self._buffer.begin(now, running)

    def packets(self, signals: I16, overrides: dict[int, Override], now: float) -> list[Packets]:
        """One packet for each row. `overrides` by row; those of other rows are left alone."""
        buffer, table = self._buffer, self._table
        table_packets(
            signals,
            self._which,
            self._kind,
            buffer.data,
            buffer.native,
            buffer.rows,
            buffer.heads,
            buffer.marks,
            self._made,
            buffer.step,
            now,
            table.whole,
            table.real,
        )
        if overrides:
            buffer.lengths[:] = self._all
            for row, instead in overrides.items():
                if row in buffer.index:
                    buffer.override(row, instead)
            lengths = buffer.lengths.copy()
            return [Packets(buffer.data, buffer.at, lengths, buffer.rows)]
        return [Packets(buffer.data, buffer.at, self._all, buffer.rows)]


class Encoder:
    """One signal through one stateful codec, for all listeners that hear it. `frames`: of 20 ms, in a packet."""

    __slots__ = ("_collected", "codec", "frames", "quiet", "signal")

    def __init__(self, codec: FramedCodec, frames: int = 1) -> None:
        self.codec = codec
        self.frames = frames
        self.signal = 0
        self.quiet = False  # what came last was not sent (DTX)
        self._collected: list[I16] = []

    def encode(self, frame: I16) -> bytes | None:
        """The payload; b"": nothing is to be sent (DTX); None: not enough yet."""
        if self.frames == 1:
            return self.codec.encode(frame)
        self._collected.append(frame.copy())
        if len(self._collected) < self.frames:
            return None
        whole = np.concatenate(self._collected)
        self._collected.clear()
        return self.codec.encode(whole)


class FramedSender:
    """Rows of one phase that get a stateful codec with one RTP clock."""

    __slots__ = ("_buffer", "_encoders", "_fresh", "_octets", "_table")

    def __init__(
        self,
        table: StreamTable,
        clock: int,
        listeners: Sequence[Listener],
        encoders: Sequence[tuple[Encoder, Sequence[int]]],
    ) -> None:
        """`encoders`: each with the indexes of its listeners; its `signal` is a row of the mixed signals."""
        self._table = table
        self._buffer = _Buffer(table, listeners, FRAMED_OCTETS, clock)
        self._encoders = [(encoder, list(whose)) for encoder, whose in encoders]
        self._octets = self._buffer.data.reshape(-1).data
        self._fresh: I64 = np.zeros(0, np.int64)  # places that nothing has been sent for

    @property
    def rows(self) -> I64:
        return self._buffer.rows

    def begin(self, now: float, running: frozenset[int]) -> None:
        buffer = self._buffer
        buffer.begin(now, running)
        self._fresh = np.array([place for row, place in buffer.index.items() if row not in running], np.int64)

    def packets(self, signals: I16, overrides: dict[int, Override], now: float) -> list[Packets]:
        buffer = self._buffer
        stride = buffer.data.shape[1]
        lengths = np.zeros(len(buffer.rows), np.int64)
        for encoder, whose in self._encoders:
            payload = encoder.encode(signals[encoder.signal])
            if not payload:
                # What is not complete yet is no silence.
                encoder.quiet |= payload is not None
                continue
            if encoder.quiet:
                # RFC 3551 4.1: the first packet after a silence has the marker.
                encoder.quiet = False
                buffer.mark(whose)
            size = len(payload)
            for place in whose:
                # Bytes go in by a memory view, at a tenth of what an array from them costs.
                begin = place * stride + HEADER
                self._octets[begin : begin + size] = payload
                lengths[place] = size
        silent = lengths == 0
        if overrides:
            silent &= ~np.isin(buffer.rows, list(overrides))
        buffer.headers(lengths, now)
        np.add(lengths, HEADER, out=buffer.lengths)
        for row, instead in overrides.items():
            if row in buffer.index:
                buffer.override(row, instead)
        at = buffer.at
        if silent.any():
            buffer.without(np.flatnonzero(silent))
            at = np.flatnonzero(~silent)
        if self._fresh.size:
            # The marker waits for the first packet that is really sent.
            self._fresh = self._fresh[silent[self._fresh]]
            buffer.mark(self._fresh)
        return [Packets(buffer.data, at, buffer.lengths[at], buffer.rows[at])]


class PacedSender:
    """One row that gets packets of another length than 20 ms: octets of its codec, cut anew."""

    __slots__ = (
        "_ahead",
        "_clock",
        "_collected",
        "_encode",
        "_marked",
        "_octets",
        "_step",
        "_table",
        "_type",
        "key",
        "rows",
        "signal",
    )

    def __init__(
        self,
        table: StreamTable,
        encode: Callable[[I16], bytes],
        octets_per_second: int,
        ptime: int,
        listener: Listener,
        key: tuple[object, ...] = (),
    ) -> None:
        """`encode`: one frame to octets. `ptime` in ms; `key`: all else that it depends on."""
        self._table = table
        self._encode = encode
        self._octets = octets_per_second * ptime // 1000
        self._type = listener.payload_type
        self.signal = listener.signal
        self.key = key
        self._collected = bytearray()
        self._marked = False
        self._clock = int(table.clock[listener.row])
        self._step = self._clock * ptime // 1000
        self._ahead = self._step  # timestamp units from the last packet to the first sample collected
        self.rows: I64 = np.array([listener.row], np.int64)

    def begin(self, now: float, running: frozenset[int]) -> None:
        table, row = self._table, int(self.rows[0])
        self._marked = row in running
        at = float(table.own_at[row])
        if not self._marked and at != NEVER:
            table.own_stamp[row] += max(0, int((now - at) * self._clock) - self._step)

    def packets(self, signals: I16, overrides: dict[int, Override], now: float) -> list[Packets]:
        row = int(self.rows[0])
        collected = len(self._collected)
        self._collected += self._encode(signals[self.signal])
        instead = overrides.get(row)
        if instead is not None:
            # Events keep their own pace of 20 ms; the audio that they stand for is dropped, but its time is gone.
            self._collected.clear()
            self._ahead += collected * self._step // self._octets
            return [self._event(row, instead, now)]
        found = []
        while len(self._collected) >= self._octets:
            payload = bytes(self._collected[: self._octets])
            del self._collected[: self._octets]
            found.append(self._packet(row, payload, now))
        return found

    def _packet(self, row: int, payload: bytes, now: float) -> Packets:
        table = self._table
        table.own_stamp[row] = int(table.own_stamp[row]) + self._ahead & 0xFFFFFFFF
        self._ahead = self._step
        head = VERSION | (0 if self._marked else MARKER) | self._type << 16
        self._marked = True
        return self._laid_out(row, head, int(table.own_stamp[row]), payload, now)

    def _event(self, row: int, instead: Override, now: float) -> Packets:
        table = self._table
        table.own_stamp[row] = int(table.own_stamp[row]) + self._ahead & 0xFFFFFFFF
        self._ahead = round(self._clock * FRAME_SECONDS)
        head = VERSION | instead.marker * MARKER | instead.payload_type << 16
        return self._laid_out(row, head, instead.stamped(int(table.own_stamp[row])), instead.payload, now)

    def _laid_out(self, row: int, head: int, stamp: int, payload: bytes, now: float) -> Packets:
        table = self._table
        seq = int(table.own_top[row]) + 1 & 0xFFFF
        table.own_top[row] = seq
        table.own_at[row] = now
        table.sent[row] += 1
        table.sent_octets[row] += len(payload)
        ssrc = int(table.own_ssrc[row])
        packet = (head | seq).to_bytes(4, "big") + stamp.to_bytes(4, "big") + ssrc.to_bytes(4, "big") + payload
        data = np.zeros((1, -(-(len(packet) + SRTP_ROOM) // 4) * 4), np.uint8)
        data[0, : len(packet)] = np.frombuffer(packet, np.uint8)
        return Packets(data, np.zeros(1, np.int64), np.array([len(packet)], np.int64), self.rows)


Sender = TableSender | FramedSender | PacedSender
