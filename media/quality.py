"""How every stream sounds: whose jitter buffer is here by that, whoever is only relayed by what the relay counts. Pure.

The figures of a codec are those of `media.codecs` where it is one of ours, else those of G.113 (`rtp.emodel`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from media.audio_commands import AudioEvent, Quality
from media.codecs import traits
from media.commands import Format, StreamSettings
from rtp import emodel, rtcp_xr
from rtp.latch import Peer
from rtp.playout import PlayoutBank
from rtp.playout_arrival import MAX_DELAY_SECONDS
from rtp.playout_bursts import GMIN, bursts
from rtp.quality import INTERVAL_SECONDS, Interval, RelayQuality, Scores, Summary
from rtp.table import StreamTable

if TYPE_CHECKING:
    from media.reception import Reception
    from media.voice import Voice

I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

MOST_AT_ONCE = 96  # streams rated at a time, less than half a millisecond of work
_G113 = {name.lower(): codec for name, codec in emodel.CODECS.items()}


def impairment(format_: Format) -> emodel.Codec:
    """What a codec costs; of one that nobody knows figures of, as much as G.711."""
    name, clock = format_[1:]
    known = _G113.get(name.lower(), emodel.CODECS["PCMU"])
    ours = traits(name, clock)
    return known if ours is None else emodel.Codec(ours.ie, ours.bpl, known.look_ahead_ms)


class QualityWatch:
    """Measures every `INTERVAL_SECONDS`. `events`: the engine's list; `peers`: of the stream table's rows."""

    def __init__(
        self, table: StreamTable, reception: Reception, peers: Mapping[int, Peer], events: list[AudioEvent], now: float
    ) -> None:
        self.scores = Scores(table.capacity)
        self._relayed = RelayQuality(table)
        self._table = table
        self._reception = reception
        self._peers = peers
        self._events = events
        self._measured = now
        self._due: list[int] = []  # rows that are still to be rated in this round

    def open(self, row: int) -> None:
        """A new stream."""
        self.scores.open(row)
        self._relayed.open(row)

    def configure(self, row: int, settings: StreamSettings) -> None:
        """What a stream's peer sends from now on, and how much in a packet."""
        audio = (each for each in settings.formats if each[1].lower() not in ("telephone-event", "cn"))
        self._relayed.recode(row, impairment(next(audio, (0, "PCMU", 8000))), float(settings.ptime))

    def tick(self, now: float) -> bool:
        """To be called some times a second; whether some of what is due was left for the next call. A round over all
        streams begins every INTERVAL_SECONDS; a call rates MOST_AT_ONCE of them."""
        if not self._due:
            if now - self._measured < INTERVAL_SECONDS:
                return False
            self._measured = now
            # How video looks is no matter of the E-model.
            self._due = ((self._table.ssrc >= 0) & (self._table.as_is == 0)).nonzero()[0].tolist()
        rows, self._due = self._due[:MOST_AT_ONCE], self._due[MOST_AT_ONCE:]
        self._add(*self._relayed.measure(np.array(rows, np.int64)))
        by_rate: dict[int, list[Voice]] = {}
        for row in rows:
            voice = self._reception.voices.get(row)
            if voice is not None and voice.bank is not None:
                by_rate.setdefault(voice.bank.rate, []).append(voice)
        for rate, voices in by_rate.items():
            self._add(*self._measure_voices(rate, voices))
        return bool(self._due)

    def finish(self, row: int) -> None:
        """A stream is about to be closed, or to go somewhere else: what was heard since the last interval counts."""
        voice = self._reception.voices.get(row)
        if self._table.ssrc[row] < 0 or self._table.as_is[row]:
            return
        if voice is None:
            self._add(*self._relayed.measure(np.array([row])))
        elif voice.bank is not None:
            self._add(*self._measure_voices(voice.bank.rate, [voice]))

    def summary(self, row: int) -> Summary:
        return self.scores.summary(row)

    def rated(self, rows: I64) -> Bool:
        """Of which of these there is a score."""
        rated: Bool = self.scores.last[rows] >= 0
        return rated

    def voip(self, rows: I64) -> rtcp_xr.VoipColumns:
        """RFC 3611 4.7 of these rows, since reception began; the scores are those of the last interval."""
        table, zeros, scores = self._table, np.zeros(len(rows)), self.scores
        expected = table.top[rows] - table.base[rows] + 1
        missing = expected - (table.received[rows] - table.base_received[rows])
        loss = np.clip(missing / np.maximum(expected, 1), 0.0, 1.0)
        found = rtcp_xr.VoipColumns(
            ssrc=table.ssrc[rows],
            loss=loss,
            discard=zeros.copy(),
            burst_density=zeros.copy(),
            # How losses cluster is not known of what is only relayed: as if each was alone.
            gap_density=loss.copy(),
            burst_ms=zeros.copy(),
            gap_ms=expected * self._relayed.packet_ms[rows],
            round_trip_ms=table.round_trip[rows].clip(0) * 1000,
            end_system_ms=zeros.copy(),
            gmin=GMIN,
            r_factor=scores.rating[rows],
            mos_lq=scores.listening[rows],
            mos_cq=scores.last[rows],
            buffer_ms=zeros.copy(),
            buffer_max_ms=zeros.copy(),
            buffer_limit_ms=zeros.copy(),
            plays=np.zeros(len(rows), np.bool_),
        )
        voices = [(index, self._reception.voices.get(row)) for index, row in enumerate(rows.tolist())]
        for bank in self._reception.banks.values():
            of = [(index, voice.bank_row) for index, voice in voices if voice is not None and voice.bank is bank]
            if of:
                _of_bank(bank, found, np.array([index for index, _ in of]), np.array([row for _, row in of]))
        return found

    # -- below

    def _measure_voices(self, rate: int, voices: list[Voice]) -> tuple[I64, Interval]:
        """Of voices in one bank: rows of the stream table, and their interval."""
        numbers = np.array([voice.number for voice in voices])
        trips = self._table.round_trip[numbers].clip(0) * 1000
        rows = np.array([voice.bank_row for voice in voices])
        return numbers, self._reception.qualities[rate].measure(rows, trips)

    def _add(self, rows: I64, interval: Interval) -> None:
        table = self._table
        for index in self.scores.add(rows, interval).tolist():
            row = int(rows[index])
            self._events.append(
                Quality(
                    stream=self._peers[row].stream,
                    mos=float(interval.mos[index]),
                    mos_min=float(self.scores.least[row]),
                    loss=float(interval.loss[index]),
                    delay_ms=float(interval.delay_ms[index]),
                    jitter_ms=float(table.jitter[row] / table.clock[row] * 1000),
                )
            )


def _of_bank(bank: PlayoutBank, found: rtcp_xr.VoipColumns, at: I64, rows: I64) -> None:
    """What a jitter buffer knows better than the relay; `rows` of it are the entries `at` of `found`."""
    c, expected = bank.columns, bank.expected(rows)
    total = np.maximum(expected, 1)
    found.loss[at] = bank.lost(rows) / total
    found.discard[at] = (c.late[rows] + c.strange[rows]) / total
    clusters = bursts(c, rows, expected)
    found.burst_density[at], found.gap_density[at] = clusters.burst_density, clusters.gap_density
    found.burst_ms[at], found.gap_ms[at] = clusters.burst_ms, clusters.gap_ms
    delay = bank.delay_ms(rows)
    found.buffer_ms[at] = delay
    # 4.7.4: what it takes from the network to the ear, and from the mouth to the network: a packet.
    found.end_system_ms[at] = delay + c.packet[rows] * (1000 / bank.rate)
    found.buffer_max_ms[at] = found.buffer_limit_ms[at] = MAX_DELAY_SECONDS * 1000
    found.plays[at] = True
