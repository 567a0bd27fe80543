"""Our RTCP: when a report is due, and what it says (RFC 3550 6); VoIP metrics with it where wanted (RFC 3611). Pure.

Reports of one layout are written together, a column of each field.
"""

from __future__ import annotations

from random import Random

import numpy as np
import numpy.typing as npt

from media.quality import QualityWatch
from rtp import rtcp, rtcp_xr
from rtp.relay import Relay
from rtp.srtp import Srtp
from rtp.table import StreamTable

REPORT_SECONDS = 5.0  # RFC 3550 6.2: Tmin, the mean interval; each one is drawn from half to one and a half of it
REPORTS_PER_TICK = 32  # written at a time, less than half a millisecond of work; what is due beyond waits
REPORT_OCTETS = 192  # room for SR, one block, SDES with our CNAME (20 octets), VoIP metrics, and the trailer of SRTCP
MAX_DELAY = 65536.0  # seconds since the peer's report: what DLSR can tell

I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


class Reports:
    """RTCP packets to be sent: `count` rows of `data`, their lengths, the table row that each is for. Room for
    `most` of `octets` each."""

    __slots__ = ("count", "data", "lengths", "rows", "words")

    def __init__(self, most: int = REPORTS_PER_TICK, octets: int = REPORT_OCTETS) -> None:
        self.data = np.zeros((most, octets), np.uint8)
        self.words = self.data.view(">u4")
        self.lengths = np.zeros(most, np.int64)
        self.rows = np.zeros(most, np.int64)
        self.count = 0

    def put(self, packet: bytes, row: int) -> None:
        """Add one of a peer's, to be passed on."""
        self.data[self.count, : len(packet)] = np.frombuffer(packet, np.uint8)
        self.lengths[self.count] = len(packet)
        self.rows[self.count] = row
        self.count += 1

    def seal(self, srtp: Srtp) -> None:
        """Protect those to secure rows; one that can't be is left out."""
        rows, lengths = self.rows[: self.count], self.lengths[: self.count]
        lengths[:] = srtp.protect_reports(self.data, np.arange(self.count), lengths, rows)
        kept = np.flatnonzero(lengths)
        if len(kept) != self.count:
            self.count = len(kept)
            for column in (self.data, self.lengths, self.rows):
                column[: self.count] = column[kept]


class Reporter:
    """Writes reports for the rows of the table. `rng` gives our CNAME and the seed of the intervals; `wall`: Unix
    seconds of the monotonic second 0; `quality`: where VoIP metrics come from, None: none are told."""

    def __init__(
        self,
        table: StreamTable,
        relay: Relay,
        srtp: Srtp,
        rng: Random,
        wall: float,
        quality: QualityWatch | None,
    ) -> None:
        self.reports = Reports()
        self._relay = relay
        self._table = table
        self._srtp = srtp
        # When reports are due needs no secrecy, and is drawn often.
        self._draw = Random(rng.getrandbits(64)).random
        self._cname = rtcp.cname_words(f"{rng.getrandbits(80):020x}")
        self._wall = wall
        self._quality = quality

    def begin(self, row: int, now: float) -> None:
        """RFC 3550 6.2: "the delay before sending the first compound RTCP packet ... be half the minimum interval"."""
        self._table.report_at[row] = now + REPORT_SECONDS / 2 * (0.5 + self._draw())

    def tick(self, now: float) -> Reports:
        """What is due, protected where that was agreed."""
        table, reports = self._table, self.reports
        reports.count = 0
        due = np.flatnonzero(table.report_at <= now)[:REPORTS_PER_TICK]
        if due.size:
            # RFC 3550 6.2: the interval is "varied randomly over the range [0.5,1.5] times the calculated interval".
            table.report_at[due] = now + REPORT_SECONDS * (0.5 + np.array([self._draw() for _ in due]))
            self._report(due[table.control_length[due] != 0], now)
            if self._srtp.sends:
                reports.seal(self._srtp)
        return reports

    # -- below

    def _report(self, rows: I64, now: float) -> None:
        """Write a report for each row: by what it holds, as packets of one layout are written together."""
        table = self._table
        hears = table.ssrc[rows] >= 0
        layout = (table.sent[rows] != table.sent_reported[rows]) + 2 * hears
        if self._quality is not None:
            layout += 4 * (hears & self._quality.rated(rows))
        stamp = rtcp.ntp(now + self._wall)
        for each in np.unique(layout).tolist():
            self._write(rows[layout == each], stamp, bool(each & 1), bool(each & 2), bool(each & 4), now)
        table.reports_sent[rows] += 1

    def _write(self, rows: I64, timestamp: int, sending: bool, hearing: bool, extended: bool, now: float) -> None:
        table, reports = self._table, self.reports
        sender = None
        if sending:
            sent = table.sent[rows]
            sender = rtcp.SenderColumns(timestamp, self._relay.own_stamps(rows, now), sent, table.sent_octets[rows])
            table.sent_reported[rows] = sent
            table.our_report_before[rows] = table.our_report[rows]
            table.our_report[rows] = rtcp.middle(timestamp)
        at = slice(reports.count, reports.count + len(rows))
        block = self._blocks(rows, now) if hearing else None
        words, ssrc = reports.words[at], table.own_ssrc[rows]
        length = rtcp.write(words, ssrc, sender, block, self._cname)
        if extended and self._quality is not None:
            length = 4 * rtcp_xr.write(words, length // 4, ssrc, voip=self._quality.voip(rows))
        reports.lengths[at] = length
        reports.rows[at] = rows
        reports.count = at.stop

    def _blocks(self, rows: I64, now: float) -> rtcp.BlockColumns:
        """What was received of the current SSRC, whole and since the last block (RFC 3550 A.3)."""
        table = self._table
        expected, came = table.progress(rows, table.block_ssrc, table.block_top, table.block_received)
        # Where the last block stood is where the source stands now.
        top, received = table.block_top[rows], table.block_received[rows]
        since = now - table.their_report_at[rows]
        known = (table.their_report[rows] != 0) & (since < MAX_DELAY)
        return rtcp.BlockColumns(
            ssrc=table.ssrc[rows],
            fraction_lost=np.maximum(expected - came, 0) / np.maximum(expected, 1),
            lost=top - table.base[rows] + 1 - received,
            highest=top,
            jitter=table.jitter[rows],
            last_sr=np.where(known, table.their_report[rows], 0),
            delay=(np.where(known, since, 0.0) * 65536).astype(np.int64),
        )
