"""One pass over a batch: whose packets these are, what they count for, and their headers rewritten for the
peer.

    source -> row (table.keys) -- unknown --> latch.stranger, or dropped and counted
       |
    of a secure row: opened where authentic (rtp.secure) -- not --> counted, and nothing more
       |
    regular: version 2, whole header, locked SSRC, sequence near the highest -- not --> admitted one by one,
    or dropped
       |
    counted: received, highest sequence, misordered, jitter (RFC 3550 A.1, A.3, A.8)
       |
    payload type mapped; own SSRC, sequence and timestamp shifted so that they never break; target row

Regular packets, nearly all, are one compiled loop (rtp.relay_loop). One that needs a decision (the first one, a new
SSRC, a leap in sequence, a new bridge) is admitted by `_admit`, which brings its row's columns to where the
packet is a regular one, and then joins a second round of the loop. A row's packets stay in order in either.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtp.address import Keys
from rtp.columns import SLOT, Slots
from rtp.latch import Latch, Peer
from rtp.relay_loop import (
    ALL,
    DEAD,
    HEADER,
    LENGTH,
    MAX_DROPOUT,
    MAX_MISORDER,
    N_ODD,
    NEAR,
    ODD,
    SLOT_OUT,
    TAKEN,
    TARGET,
    UNMAPPED_ROW,
    UNMAPPED_TYPE,
    Lanes,
    find,
    sweep,
    take,
)
from rtp.secure import SecureRows, hosts_of
from rtp.table import NEVER, NOBODY, NOT_BEGUN, UNTIMED, StreamTable

# Seconds the locked SSRC must be quiet (two packets missing) before another may follow it.
SSRC_SILENCE = 0.06
# Decisions one by one in a batch, 5 ms of work; what is beyond is dropped and counted.
MAX_ADMISSIONS = 1024
MAX_STRANGERS = 128  # packets from unknown ports of known hosts that are looked at in a batch
MAX_REPORTS = 64  # RTCP packets read from a batch, 1 ms of work; a thousand calls send two
SSRCS_KEPT = 8
MAX_UNMAPPED = 16  # packets of payload types without a meaning at the other side that are told of in a batch

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Bool = npt.NDArray[np.bool_]
_NONE: I64 = np.zeros(0, np.int64)


class Heard(NamedTuple):
    """Packets of rows that have ears, those of a row in the order of their arrival."""

    lanes: I64
    """Slot, row of the stream table, first word as it came (marker, payload type, sequence number), timestamp and
    length, a line each (`rtp.relay_loop` AT_SLOT... AT_LENGTH), one column for each packet and more behind them."""
    size: int


class Outgoing:
    """What is to be sent: slots of the batch, the row each goes to, its length; and what is heard here. Columns are
    written over by the next batch."""

    __slots__ = ("heard", "lengths", "reports", "slots", "targets", "unmapped")

    def __init__(self) -> None:
        self.slots: I64 = _NONE
        self.targets: I64 = _NONE
        self.lengths: I64 = _NONE
        self.reports: list[int] = []  # slots that hold RTCP
        self.heard: Heard | None = None
        self.unmapped: list[tuple[int, int]] = []  # rows and payload types that nobody is to get, some of a batch

    def sealed(self, lengths: I64) -> None:
        """The lengths after protection (rtp.srtp); what has none is not sent."""
        kept = lengths > 0
        if np.count_nonzero(kept) != len(kept):
            self.slots, self.targets, lengths = self.slots[kept], self.targets[kept], lengths[kept]
        self.lengths = lengths


class Relay:
    """The pass, and the continuity of what each row is sent.

    counters: packets dropped that are no row's, by cause.
    """

    def __init__(self, table: StreamTable, latch: Latch, keys: Keys) -> None:
        self.counters = {"wrong_source": 0, "ended": 0, "overload": 0}
        self.relayed = 0
        """Rows whose packets go to another."""
        self._table = table
        self._latch = latch
        self._keys = keys
        self.secure = SecureRows(table, latch, keys)
        self._lanes = Lanes(0)

    # -- commands

    def direct(self, source: Peer, target: int) -> None:
        """Packets from `source` go to row `target` from now on, NOBODY: to nobody. Nobody else feeds
        `target`."""
        table = self._table
        old = int(table.target[source.row])
        if old == target:
            return
        if old:
            self._detach(old)
        table.target[source.row] = target
        self.relayed += (target != NOBODY) - (old != NOBODY)
        # Whatever comes next is admitted, which fits the target's sequence and timestamp to it.
        table.expect[source.row] = -1

    def unlock_ssrc(self, peer: Peer) -> None:
        """The next packet of the row's source may have any SSRC: its signalling announced a change."""
        table, row = self._table, peer.row
        if table.ssrc[row] >= 0:
            peer.expected_before += int(table.top[row] - table.base[row]) + 1
            table.ssrc[row] = -1
        table.expect[row] = -1

    def own_stamps(self, rows: I64, now: float) -> I64:
        """The RTP timestamps that packets sent to these rows now would bear (for sender reports)."""
        table = self._table
        feeders = table.fed_by[rows]
        fed = feeders != NOBODY
        arrival = (table.heard[feeders] * table.clock[feeders]).astype(np.int64)
        stamps = np.where(fed, arrival - table.transit[feeders] + table.time_shift[rows], table.own_stamp[rows])
        since = np.where(fed, table.heard[feeders], table.own_at[rows])
        gone = np.where(since == NEVER, 0.0, (now - since) * table.clock[rows])
        current: I64 = (stamps + gone.astype(np.int64)) & 0xFFFFFFFF
        return current

    # -- packets

    def process(self, slots: Slots, now: float) -> Outgoing:
        """Handle the batch; headers of what is to be sent are rewritten in the slots themselves."""
        outgoing = Outgoing()
        count = slots.count
        if not count:
            return outgoing
        if self._lanes.capacity < slots.capacity:
            self._lanes = Lanes(slots.capacity)
        table, lanes = self._table, self._lanes
        counts = lanes.counts
        lanes.begin(table.capacity)
        if self.secure.srtp.receives:
            self._screen(slots)
            self._take(slots, lanes.index[:count], ALL, now)
        else:
            sweep(
                lanes.index,
                count,
                slots.native,
                slots.lengths,
                now,
                lanes.table,
                counts,
                lanes.held,
                lanes.batch,
                table.whole,
                table.real,
                table.payload,
                slots.sources,
                slots.sockets,
                *table.keys.columns(),
                self._keys.secrets,
                table.address_words,
            )
        if counts[N_ODD]:
            self._look_at(slots, lanes.first(ODD, int(counts[N_ODD])).copy(), now, outgoing)
        _, sent, heard, unmapped = counts.tolist()
        if sent:
            outgoing.slots = lanes.first(SLOT_OUT, sent)
            outgoing.targets = lanes.first(TARGET, sent)
            outgoing.lengths = lanes.first(LENGTH, sent)
        if heard:
            outgoing.heard = Heard(lanes.heard, heard)
        if unmapped:
            told = min(unmapped, MAX_UNMAPPED)
            rows, types = lanes.first(UNMAPPED_ROW, told), lanes.first(UNMAPPED_TYPE, told)
            outgoing.unmapped = list(zip(rows.tolist(), types.tolist(), strict=True))
        return outgoing

    def _take(self, slots: Slots, at: I64, asked: int, now: float) -> None:
        """One round of the loop."""
        lanes, table = self._lanes, self._table
        take(
            at,
            asked,
            slots.native,
            slots.lengths,
            now,
            lanes.table,
            lanes.counts,
            lanes.held,
            lanes.batch,
            table.whole,
            table.real,
            table.payload,
        )

    def _screen(self, slots: Slots) -> None:
        """Find rows, and open what is authentic of secure ones; the rest of them is dead."""
        lanes, count = self._lanes, slots.count
        secrets, addresses = self._keys.secrets, self._table.address_words
        find(count, lanes.table, slots.sources, slots.sockets, *self._table.keys.columns(), secrets, addresses)
        rows = lanes.rows[:count]
        first, _, ssrc = _words(slots)
        dead = self.secure.screen(slots, self._source_keys(slots), rows, first, ssrc)
        rows[dead] = DEAD

    def _look_at(self, slots: Slots, odd: I64, now: float, outgoing: Outgoing) -> None:
        """Packets that are not regular: RTCP, those with more than the plain header, strangers, beginnings."""
        lanes = self._lanes
        rows = lanes.rows
        first, stamp, ssrc = _words(slots)
        odd = self._sieve(slots, odd, first, rows, outgoing)
        odd = self._strangers(slots, odd, self._source_keys(slots), rows, first, ssrc, now)
        # Padding, extension and contributing sources are sound by now; such packets can be regular, too.
        lanes.counts[N_ODD] = 0
        self._take(slots, odd, NEAR, now)
        odd = lanes.first(ODD, int(lanes.counts[N_ODD])).copy()
        admitted = self._admissions(slots, odd, rows, first & 0xFFFF, stamp, ssrc, now)
        if admitted.size:
            self._take(slots, admitted, TAKEN, now)

    # -- whose

    def _source_keys(self, slots: Slots) -> U64:
        count, v4 = slots.count, slots.count_v4
        if v4 == count:
            return self._keys.sources(slots.sources[:count], slots.sockets[:count])
        return np.concatenate(
            (
                self._keys.sources(slots.sources[:v4], slots.sockets[:v4]),
                self._keys.sources_v6(slots.sources[v4:count], slots.sockets[v4:count]),
            )
        )

    def _sieve(self, slots: Slots, odd: I64, first: I64, rows: I64, outgoing: Outgoing) -> I64:
        """Of the irregular packets, those that are sound RTP; RTCP goes to `outgoing.reports`."""
        heads = first[odd]
        # RFC 5761 4: payload types 64-95 with the marker bit are the RTCP packet types 192-223.
        control = slots.control[odd] | (heads & 0xC0E00000 == 0x80C00000)
        if control.any():
            reports = odd[control].tolist()
            outgoing.reports = reports[:MAX_REPORTS]
            self.counters["overload"] += len(reports) - len(outgoing.reports)
            odd, heads = odd[~control], heads[~control]
        sound = _sound(slots, odd, heads)
        if not sound.all():
            np.add.at(self._table.bad, rows[odd[~sound]], 1)
            odd = odd[sound]
        return odd

    def _strangers(self, slots: Slots, odd: I64, keys: U64, rows: I64, first: I64, ssrc: I64, now: float) -> I64:
        """Give packets from unknown sources to waiting rows (`rows` is completed); drop and count the
        others."""
        unknown = rows[odd] == NOBODY
        if not unknown.any():
            return odd
        at = odd[unknown]
        hosts = hosts_of(self._keys, slots, at, keys)
        known = self._latch.hosts.lookup(hosts) > 0
        candidates = np.flatnonzero(known).tolist()
        late = self._latch.ended.sent(keys[at])
        ended = int(np.count_nonzero(late & ~known))
        self.counters["ended"] += ended
        self.counters["wrong_source"] += len(at) - len(candidates) - ended
        self.counters["overload"] += max(0, len(candidates) - MAX_STRANGERS)
        verdicts: dict[int, tuple[int, Peer | None]] = {}
        for index in candidates[:MAX_STRANGERS]:
            slot = int(at[index])
            key = int(keys[slot])
            verdict = verdicts.get(key)
            if verdict is None:
                # Of a source that has just ended a call: whether it is still that call.
                seq = int(first[slot]) & 0xFFFF if late[index] else -1
                verdict = self._latch.stranger(int(hosts[index]), slots.source(slot), int(ssrc[slot]), seq, now)
                verdicts[key] = verdict
            rows[slot], strayed_from = verdict
            if not verdict[0] and late[index]:
                self.counters["ended"] += 1
            elif strayed_from is not None:
                strayed_from.strayed += 1
            elif not verdict[0]:
                self.counters["wrong_source"] += 1
        kept: I64 = odd[rows[odd] != NOBODY]
        return kept

    # -- decisions, one by one

    def _admissions(self, slots: Slots, odd: I64, rows: I64, seq: I64, stamp: I64, ssrc: I64, now: float) -> I64:
        """Slots of those irregular packets that are taken; their rows' columns are brought up to them."""
        if not odd.size:
            return odd
        table = self._table
        whose = rows[odd]
        locked = table.ssrc[whose]
        foreign = (locked >= 0) & (ssrc[odd] != locked) & (now - table.heard[whose] < SSRC_SILENCE)
        if foreign.any():
            np.add.at(table.foreign, whose[foreign], 1)
            odd = odd[~foreign]
        if odd.size > MAX_ADMISSIONS:
            self.counters["overload"] += odd.size - MAX_ADMISSIONS
            odd = odd[:MAX_ADMISSIONS]
        taken = []
        for slot in odd.tolist():
            peer = self._latch.peers[int(rows[slot])]
            if peer.waiting:
                self._latch.first_packet(peer, slots.source(slot))
            if self._admit(slots, slot, peer, int(seq[slot]), int(stamp[slot]), int(ssrc[slot]), now):
                taken.append(slot)
        return np.array(taken, np.int64)

    def _admit(self, slots: Slots, slot: int, peer: Peer, seq: int, stamp: int, ssrc: int, now: float) -> bool:
        table, row = self._table, peer.row
        locked = int(table.ssrc[row])
        if ssrc != locked:
            if locked >= 0 and now - table.heard[row] < SSRC_SILENCE:
                table.foreign[row] += 1
                return False
            synced = self._sync(slots, slot, peer, seq, stamp, ssrc, now)
            self._begin(peer, seq, stamp, ssrc, now)
        elif not -MAX_MISORDER < (seq - int(table.top[row]) + 0x8000 & 0xFFFF) - 0x8000 <= MAX_DROPOUT:
            # RFC 3550 A.1: "Two sequential packets -- assume that the other side restarted without telling
            # us".
            if seq != peer.leap:
                peer.leap = seq + 1 & 0xFFFF
                table.bad[row] += 1
                return False
            synced = self._sync(slots, slot, peer, seq, stamp, ssrc, now)
            self._begin(peer, seq, stamp, ssrc, now)
        else:
            synced = table.expect[row] >= 0 or self._sync(slots, slot, peer, seq, stamp, ssrc, now)
        table.expect[row] = ssrc if synced else -1
        table.heard[row] = now
        return True

    def _begin(self, peer: Peer, seq: int, stamp: int, ssrc: int, now: float) -> None:
        """Count a source from its first packet on (RFC 3550 A.1, init_seq)."""
        table, row = self._table, peer.row
        if table.ssrc[row] >= 0:
            peer.expected_before += int(table.top[row] - table.base[row]) + 1
        if peer.first_at is None:
            peer.first_at = now
        if not peer.ssrcs or peer.ssrcs[-1] != ssrc:
            peer.ssrcs = (*peer.ssrcs, ssrc)[-SSRCS_KEPT:]
        table.base[row] = seq
        table.base_received[row] = table.received[row]
        peer.leap = -1
        table.ssrc[row] = ssrc
        table.top[row] = seq - 1
        table.transit[row] = int(now * float(table.clock[row])) - stamp
        table.jitter[row] = 0.0

    def _sync(self, slots: Slots, slot: int, peer: Peer, seq: int, stamp: int, ssrc: int, now: float) -> bool:
        """Fit the target's shifts to this packet: its sequence goes on by one, its timestamp by the time
        gone. A target that is fed as it comes takes the source's own. False, and nothing done: the target is not to
        have this packet."""
        table = self._table
        to = int(table.target[peer.row])
        if not to:
            return True
        kind = int(slots.data[slot, 1]) & 0x7F
        goes_on = stamp == table.event[peer.row] and bool(table.payload[peer.row, kind] >= UNTIMED)
        if goes_on and table.event_to[peer.row] != to:
            return False
        if table.as_is[to]:
            # What reports say of lost packets and of sources (RFC 4585) holds on the other side, too; the marker is the
            # end of a picture there (RFC 6184 5.1), and nobody's to set.
            table.seq_shift[to] = table.time_shift[to] = 0
            table.own_ssrc[to] = ssrc
            table.fed_by[to] = peer.row
            self.secure.srtp.seals_for(to, ssrc)
            return True
        self._detach(to)
        own_at = float(table.own_at[to])
        gone = 0
        if own_at != NEVER:
            gone = max(self._latch.peers[to].frame, int((now - own_at) * float(table.clock[to])))
        table.own_at[to] = now
        table.fed_by[to] = peer.row
        table.seq_shift[to] = int(table.own_top[to]) + 1 - seq & 0xFFFF
        if goes_on and table.event_shift[peer.row] != NOT_BEGUN:
            # Its timestamp is when it began: nothing that the time gone could be added to.
            table.time_shift[to] = table.event_shift[peer.row]
            return True
        table.time_shift[to] = int(table.own_stamp[to]) + gone - stamp & 0xFFFFFFFF
        # RFC 3551 4.1: the marker tells the receiver that a talkspurt begins, and to place its playout anew.
        slots.data[slot, 1] |= 0x80
        return True

    def _detach(self, to: int) -> None:
        """Note where a row's own sequence and timestamp stand, before its feeder's columns change."""
        table = self._table
        feeder = int(table.fed_by[to])
        if not feeder:
            return
        heard = float(table.heard[feeder])
        arrival = int(heard * float(table.clock[feeder]))
        table.own_stamp[to] = arrival - int(table.transit[feeder]) + int(table.time_shift[to]) & 0xFFFFFFFF
        table.own_top[to] = int(table.top[feeder]) + int(table.seq_shift[to]) & 0xFFFF
        table.own_at[to] = heard
        table.fed_by[to] = NOBODY


def _words(slots: Slots) -> tuple[I64, I64, I64]:
    """First word, timestamp and SSRC of every packet."""
    first, stamp, ssrc = slots.words[: slots.count, :3].T.astype(np.int64, order="C")
    return first, stamp, ssrc


def _sound(slots: Slots, at: I64, heads: I64) -> Bool:
    """RFC 3550 A.1: version 2, and what the header announces (contributing sources, extension, padding) fits
    in the packet. A packet that fills its slot may have been cut off, and is none."""
    lengths = slots.lengths[at]
    sound: Bool = (heads >> 30 == 2) & (lengths >= HEADER) & (lengths < SLOT)
    flagged = np.flatnonzero(sound & (heads & 0x3F000000 != 0))
    if flagged.size:
        at, heads, lengths = at[flagged], heads[flagged], lengths[flagged]
        need = HEADER + 4 * (heads >> 24 & 15)
        # 5.3.1: the extension's second half-word counts the 32-bit words after its own first one.
        words = slots.words[at, need >> 2].astype(np.int64) & 0xFFFF
        need += np.where(heads & 0x10000000, 4 + 4 * words, 0)
        # 5.1: "The last octet of the padding contains a count of how many padding octets should be ignored,
        # including itself."
        last = slots.data[at, lengths - 1].astype(np.int64)
        padded = heads & 0x20000000 != 0
        need += np.where(padded, last, 0)
        sound[flagged] = (need <= lengths) & ~(padded & (last == 0))
    return sound
