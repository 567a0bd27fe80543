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

Regular packets, nearly all, are handled for all rows at once. One that needs a decision (the first one, a new
SSRC, a leap in sequence, a new bridge) is admitted by `_admit`, which brings its row's columns to where the
packet is a regular one, and then joins a second, vectorised round. A row's packets stay in order in either.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtp.address import Keys
from rtp.columns import SLOT, Slots
from rtp.latch import Latch, Peer
from rtp.secure import SecureRows, hosts_of
from rtp.table import DROP, EARS_AUDIO, EARS_EVENTS, NEVER, NOBODY, UNTIMED, StreamTable

HEADER = 12  # octets of the fixed RTP header (RFC 3550 5.1)
MAX_DROPOUT = 3000  # RFC 3550 A.1: a larger gap is a leap
MAX_MISORDER = 100  # RFC 3550 A.1: later than that is a leap, too
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

# Constants of the pass over a whole batch, as arrays of no dimension: numpy takes a Python number for one at the price
# of half an operation on some hundreds of packets. For the same reason what is true of all is counted, not asked `all`.
_SEQUENCE = np.array(0xFFFF)
_STAMP = np.array(0xFFFFFFFF)
_MARK = np.array(0xFF800000)
_PLAIN = np.array(0x80)
_TYPE = np.array(0x7F)
_TYPE_BITS = np.array(7)
_WORD_BITS = np.array(16)
_HEAD_BITS = np.array(24)
_HEADER = np.array(HEADER)
_ROOM = np.array(SLOT - HEADER, np.uint64)
_BEHIND = np.array(MAX_MISORDER - 1)
_REACH = np.array(MAX_DROPOUT + MAX_MISORDER, np.uint64)
_UNTIMED = np.array(UNTIMED, np.uint16)
_DROP = np.array(DROP, np.uint16)
_NOBODY = np.array(NOBODY)
_EARS_AUDIO = np.array(EARS_AUDIO)
_EARS_EVENTS = np.array(EARS_EVENTS)
_ONE = np.array(1)
_ZERO = np.array(0)
_SIXTEENTH = np.array(0.0625)
_count = np.count_nonzero


class Heard(NamedTuple):
    """Packets of rows that have ears, a column each, those of a row in the order of their arrival."""

    slots: I64
    rows: I64
    heads: I64
    """First word as it came: marker, payload type, sequence number."""
    stamps: I64
    lengths: I64


class Outgoing:
    """What is to be sent: slots of the batch, the row each goes to, its length; and what is heard here."""

    __slots__ = ("heard", "lengths", "reports", "slots", "targets", "unmapped")

    def __init__(self) -> None:
        self.slots: I64 = _NONE
        self.targets: I64 = _NONE
        self.lengths: I64 = _NONE
        self.reports: list[int] = []  # slots that hold RTCP
        self.heard: list[Heard] = []
        self.unmapped: list[tuple[int, int]] = []  # rows and payload types that nobody is to get, some of a batch

    def sealed(self, lengths: I64) -> None:
        """The lengths after protection (rtp.srtp); what has none is not sent."""
        kept = lengths > 0
        if _count(kept) != len(kept):
            self.slots, self.targets, lengths = self.slots[kept], self.targets[kept], lengths[kept]
        self.lengths = lengths

    def add(self, slots: I64, targets: I64, lengths: I64) -> None:
        if len(self.slots):
            slots = np.concatenate((self.slots, slots))
            targets = np.concatenate((self.targets, targets))
            lengths = np.concatenate((self.lengths, lengths))
        self.slots, self.targets, self.lengths = slots, targets, lengths


class Relay:
    """The pass, and the continuity of what each row is sent.

    counters: packets dropped that are no row's, by cause.
    """

    def __init__(self, table: StreamTable, latch: Latch, keys: Keys) -> None:
        self.counters = {"wrong_source": 0, "overload": 0}
        self.relayed = 0
        """Rows whose packets go to another."""
        self.listening = False
        """Some row has EARS_AUDIO: only then is every packet's row asked."""
        self._table = table
        self._latch = latch
        self._keys = keys
        self.secure = SecureRows(table, latch, keys)
        self._mark: I64 = np.zeros(table.capacity, np.int64)
        self._index: I64 = np.arange(4096)

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
        table = self._table
        first, stamp, ssrc = slots.words[:count, :3].T.astype(np.int64, order="C")
        lengths = slots.lengths[:count]
        keys = self._source_keys(slots)
        rows = table.keys.lookup(keys)
        if slots.count_v4 < count:
            self._verify_v6(slots, rows)
        dead = self.secure.screen(slots, keys, rows, first, ssrc) if self.secure.srtp.receives else None
        seq = first & _SEQUENCE
        ahead = _distance(seq, table.top[rows])
        regular = ssrc == table.expect[rows]
        regular &= first >> _HEAD_BITS == _PLAIN
        regular &= (lengths - _HEADER).view(np.uint64) < _ROOM
        regular &= _near(ahead)
        if dead is not None:
            regular &= ~dead
        if _count(regular) == count:
            self._relay(slots, None, rows, first, seq, stamp, lengths, ahead, now, outgoing)
            return outgoing
        odd = np.flatnonzero(~regular if dead is None else ~(regular | dead))
        odd = self._sieve(slots, odd, first, rows, outgoing)
        odd = self._strangers(slots, odd, keys, rows, ssrc, now)
        # Padding, extension and contributing sources are sound by now; such packets can be regular, too.
        regular[odd] = (ssrc[odd] == table.expect[rows[odd]]) & _near(ahead[odd])
        at = np.flatnonzero(regular)
        if at.size:
            self._relay(slots, at, rows[at], first[at], seq[at], stamp[at], lengths[at], ahead[at], now, outgoing)
        at = self._admissions(slots, odd[~regular[odd]], rows, seq, stamp, ssrc, now)
        if at.size:
            whose = rows[at]
            ahead = _distance(seq[at], table.top[whose])
            # `_sync` may have set markers.
            heads = slots.words[at, 0].astype(np.int64)
            self._relay(slots, at, whose, heads, seq[at], stamp[at], lengths[at], ahead, now, outgoing)
        return outgoing

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

    def _verify_v6(self, slots: Slots, rows: I64) -> None:
        """Keys of IPv6 sources are hashes: take back the rows whose address is another."""
        v4, count = slots.count_v4, slots.count
        own = self._table.address.view("<u8")[rows[v4:]]
        came = slots.sources[v4:count]
        port = np.uint64(0xFFFF0000)
        same = (own[:, 0] & port == came[:, 0] & port) & (own[:, 1] == came[:, 1]) & (own[:, 2] == came[:, 2])
        rows[v4:] *= same

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

    def _strangers(self, slots: Slots, odd: I64, keys: U64, rows: I64, ssrc: I64, now: float) -> I64:
        """Give packets from unknown sources to waiting rows (`rows` is completed); drop and count the
        others."""
        unknown = rows[odd] == NOBODY
        if not unknown.any():
            return odd
        at = odd[unknown]
        hosts = hosts_of(self._keys, slots, at, keys)
        candidates = np.flatnonzero(self._latch.hosts.lookup(hosts)).tolist()
        self.counters["wrong_source"] += len(at) - len(candidates)
        self.counters["overload"] += max(0, len(candidates) - MAX_STRANGERS)
        verdicts: dict[int, tuple[int, Peer | None]] = {}
        for index in candidates[:MAX_STRANGERS]:
            slot = int(at[index])
            key = int(keys[slot])
            verdict = verdicts.get(key)
            if verdict is None:
                verdict = self._latch.stranger(int(hosts[index]), slots.source(slot), int(ssrc[slot]), now)
                verdicts[key] = verdict
            rows[slot], strayed_from = verdict
            if strayed_from is not None:
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
            self._sync(slots, slot, peer, seq, stamp, now)
            self._begin(peer, seq, stamp, ssrc, now)
        elif not -MAX_MISORDER < (seq - int(table.top[row]) + 0x8000 & 0xFFFF) - 0x8000 <= MAX_DROPOUT:
            # RFC 3550 A.1: "Two sequential packets -- assume that the other side restarted without telling
            # us".
            if seq != peer.leap:
                peer.leap = seq + 1 & 0xFFFF
                table.bad[row] += 1
                return False
            self._sync(slots, slot, peer, seq, stamp, now)
            self._begin(peer, seq, stamp, ssrc, now)
        elif table.expect[row] < 0:
            self._sync(slots, slot, peer, seq, stamp, now)
        table.expect[row] = ssrc
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

    def _sync(self, slots: Slots, slot: int, peer: Peer, seq: int, stamp: int, now: float) -> None:
        """Fit the target's shifts to this packet: its sequence goes on by one, its timestamp by the time
        gone."""
        table = self._table
        to = int(table.target[peer.row])
        if not to:
            return
        self._detach(to)
        own_at = float(table.own_at[to])
        gone = 0
        if own_at != NEVER:
            gone = max(self._latch.peers[to].frame, int((now - own_at) * float(table.clock[to])))
        table.own_at[to] = now
        table.fed_by[to] = peer.row
        table.seq_shift[to] = int(table.own_top[to]) + 1 - seq & 0xFFFF
        table.time_shift[to] = int(table.own_stamp[to]) + gone - stamp & 0xFFFFFFFF
        # RFC 3551 4.1: the marker tells the receiver that a talkspurt begins, and to place its playout anew.
        slots.data[slot, 1] |= 0x80

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

    # -- all at once

    def _relay(
        self,
        slots: Slots,
        at: I64 | None,
        rows: I64,
        first: I64,
        seq: I64,
        stamp: I64,
        lengths: I64,
        ahead: I64,
        now: float,
        outgoing: Outgoing,
    ) -> None:
        """Count packets and rewrite those that somebody is to get. `at`: their slots, None: all of the
        batch."""
        table = self._table
        count = len(rows)
        mapped = table.payload_flat.take((rows << _TYPE_BITS) | (first >> _WORD_BITS & _TYPE))
        octets = lengths - _HEADER
        transit = (table.clock[rows] * now).astype(np.int64) - stamp
        timed = mapped < _UNTIMED
        if len(self._mark) < table.capacity:
            self._mark = np.zeros(table.capacity, np.int64)
        index = self._index[:count]
        self._mark[rows] = index
        alone = _count(self._mark[rows] == index) == count
        if alone:
            self._count_alone(rows, octets, ahead, transit, timed)
        else:
            self._count_together(rows, octets, ahead, transit, timed)
        table.heard[rows] = now
        if self.listening or _count(timed) != count:
            self._hear(at, rows, first, stamp, lengths, timed, outgoing)
        to = table.target[rows]
        passed = (to != _NOBODY) & (mapped != _DROP)
        if _count(passed) != count:
            unmapped = mapped == _DROP
            dropped = rows[unmapped]
            if dropped.size:
                np.add.at(table.unknown, dropped, 1)
                types = first[unmapped][:MAX_UNMAPPED] >> _WORD_BITS & _TYPE
                outgoing.unmapped += zip(dropped[:MAX_UNMAPPED].tolist(), types.tolist(), strict=True)
            at = (index if at is None else at)[passed]
            to, mapped, octets = to[passed], mapped[passed], octets[passed]
            first, seq, stamp, lengths = first[passed], seq[passed], stamp[passed], lengths[passed]
            if not at.size:
                return
        # The usual batch is passed on whole: a slice is written at a third of what picked slots cost.
        words = slots.words[:count] if at is None else slots.words
        where = slice(None) if at is None else at
        kind = (mapped & _TYPE).astype(np.int64) << _WORD_BITS
        words[where, 0] = (first & _MARK) | kind | ((seq + table.seq_shift[to]) & _SEQUENCE)
        words[where, 1] = (stamp + table.time_shift[to]) & _STAMP
        words[where, 2] = table.own_ssrc[to]
        if alone:
            table.sent[to] += _ONE
            table.sent_octets[to] += octets
        else:
            np.add.at(table.sent, to, 1)
            np.add.at(table.sent_octets, to, octets)
        outgoing.add(index if at is None else at, to, lengths)

    def _hear(
        self, at: I64 | None, rows: I64, first: I64, stamp: I64, lengths: I64, timed: Bool, outgoing: Outgoing
    ) -> None:
        """Note what is heard here, before it is rewritten for somebody else."""
        ears = self._table.ears[rows]
        chosen = (ears & _EARS_AUDIO != _ZERO) | ((ears & _EARS_EVENTS != _ZERO) & ~timed)
        which = chosen.nonzero()[0]
        if len(which) == len(rows):
            slots = self._index[: len(rows)] if at is None else at
            outgoing.heard.append(Heard(slots, rows, first, stamp, lengths))
        elif which.size:
            slots = which if at is None else at[which]
            outgoing.heard.append(Heard(slots, rows[which], first[which], stamp[which], lengths[which]))

    def _count_alone(self, rows: I64, octets: I64, ahead: I64, transit: I64, timed: Bool) -> None:
        """Reception of packets that are each their row's only one: the usual batch."""
        table = self._table
        table.received[rows] += _ONE
        table.octets[rows] += octets
        late = ahead <= _ZERO
        if _count(late):
            table.late[rows[late]] += 1
            table.top[rows] += np.maximum(ahead, _ZERO)
        else:
            table.top[rows] += ahead
        if _count(timed) != len(rows):
            rows, transit = rows[timed], transit[timed]
        drift = _wrapped(transit - table.transit[rows])
        table.transit[rows] = transit
        # RFC 3550 A.8: J(i) = J(i-1) + (|D(i-1,i)| - J(i-1))/16
        jitter = table.jitter[rows]
        table.jitter[rows] = jitter + (np.abs(drift) - jitter) * _SIXTEENTH

    def _count_together(self, rows: I64, octets: I64, ahead: I64, transit: I64, timed: Bool) -> None:
        """The same for rows with several packets in the batch, as if they had been counted one after
        another."""
        table = self._table
        np.add.at(table.received, rows, 1)
        np.add.at(table.octets, rows, octets)
        order = rows.argsort(kind="stable")
        whose, reached = rows[order], ahead[order]
        begins = np.flatnonzero(np.concatenate(([True], whose[1:] != whose[:-1])))
        sizes = np.diff(np.concatenate((begins, [len(whose)])))
        # The highest distance reached before each packet, its row's own `top` being 0. Rows are kept apart
        # by an offset that grows from one to the next and is larger than any distance.
        offset = np.repeat(np.arange(len(begins), dtype=np.int64) << 20, sizes)
        highest = np.maximum.accumulate(np.maximum(reached, 0) + offset)
        before = np.concatenate(([0], highest[:-1]))
        before[begins] = offset[begins]
        late = reached + offset <= before
        np.add.at(table.late, whose, late.astype(np.int64))
        ends = begins + sizes - 1
        table.top[whose[ends]] += highest[ends] - offset[ends]
        keep = timed[order]
        if not keep.all():
            order = order[keep]
            if not order.size:
                return
            whose = rows[order]
            begins = np.flatnonzero(np.concatenate(([True], whose[1:] != whose[:-1])))
            sizes = np.diff(np.concatenate((begins, [len(whose)])))
            ends = begins + sizes - 1
        self._jitter_together(whose, transit[order], begins, sizes, ends)

    def _jitter_together(self, whose: I64, transit: I64, begins: I64, sizes: I64, ends: I64) -> None:
        """RFC 3550 A.8 over runs of packets of one row: n steps of J += (|D| - J)/16 are
        J * (15/16)^n + sum of |D(i)|/16 * (15/16)^(n-1-i)."""
        table = self._table
        previous = np.concatenate(([0], transit[:-1]))
        owners = whose[begins]
        previous[begins] = table.transit[owners]
        drift = np.abs(_wrapped(transit - previous))
        steps = np.repeat(ends, sizes) - self._index[: len(whose)]
        added = np.add.reduceat(drift * 0.0625 * 0.9375**steps, begins)
        table.jitter[owners] = table.jitter[owners] * 0.9375**sizes + added
        table.transit[owners] = transit[ends]


def _distance(seq: I64, top: I64) -> I64:
    """How far ahead of `top` each sequence number is, within half the circle (RFC 3550 A.1)."""
    # The lower 16 bits as a signed number: what ((d + 0x8000) & 0xFFFF) - 0x8000 comes to.
    distance: I64 = (seq - top).astype(np.int16).astype(np.int64)
    return distance


def _near(ahead: I64) -> Bool:
    near: Bool = (ahead + _BEHIND).view(np.uint64) < _REACH
    return near


def _wrapped(difference: I64) -> I64:
    """A difference of timestamps, which are 32 bits that wrap, as the nearest signed one."""
    wrapped: I64 = difference.astype(np.int32).astype(np.int64)
    return wrapped


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
