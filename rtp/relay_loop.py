"""The relay's loop over the packets of a batch, compiled (`rtp.relay` says what it is a part of).

row by source -> regular? -- no --> left to `rtp.relay`, by its slot
   |
counted (RFC 3550 A.1, A.3, A.8) -> heard here? noted -> mapped, its header rewritten for the target -> sent
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rtp.address import FAMILY_V4, SOCKET_MASK
from rtp.columns import SLOT
from rtp.compiled import compiled
from rtp.octets import put_word, word
from rtp.table import DROP, EARS_AUDIO, EARS_EVENTS, NOBODY, NOT_BEGUN, REAL, UNTIMED, WHOLE

HEADER = 12  # octets of the fixed RTP header (RFC 3550 5.1)
MAX_DROPOUT = 3000  # RFC 3550 A.1: a larger gap is a leap
MAX_MISORDER = 100  # RFC 3550 A.1: later than that is a leap, too
DEAD = -1  # for a row: a packet that nobody is to look at any more

NEAR, ALL = 0, 1
"""What a packet is asked for before it is taken: its SSRC and sequence number; the form of its header, too. See `take`.
"""
TAKEN = 2

ROW, ODD, SLOT_OUT, TARGET, LENGTH, HEARD_SLOT, HEARD_ROW, HEARD_HEAD, HEARD_STAMP, HEARD_LENGTH = range(10)
UNMAPPED_ROW, UNMAPPED_TYPE = 10, 11
LANES = 12
AT_SLOT, AT_ROW, AT_HEAD, AT_STAMP, AT_LENGTH = range(5)
"""Lines of what is heard, which are those of HEARD_SLOT... HEARD_LENGTH among all lanes."""

N_ODD, N_OUT, N_HEARD, N_UNMAPPED = range(4)
COUNTS = 4

_SSRC, _EXPECT, _TOP, _RECEIVED, _OCTETS = (
    WHOLE["ssrc"],
    WHOLE["expect"],
    WHOLE["top"],
    WHOLE["received"],
    WHOLE["octets"],
)
_LATE, _UNKNOWN, _TRANSIT, _EARS, _TARGET = (
    WHOLE["late"],
    WHOLE["unknown"],
    WHOLE["transit"],
    WHOLE["ears"],
    WHOLE["target"],
)
_SEQ_SHIFT, _TIME_SHIFT, _OWN_SSRC = WHOLE["seq_shift"], WHOLE["time_shift"], WHOLE["own_ssrc"]
_EVENT, _EVENT_TO, _EVENT_SHIFT = WHOLE["event"], WHOLE["event_to"], WHOLE["event_shift"]
_SENT, _SENT_OCTETS = WHOLE["sent"], WHOLE["sent_octets"]
_HEARD, _CLOCK, _JITTER = REAL["heard"], REAL["clock"], REAL["jitter"]

_V4 = np.uint64(FAMILY_V4)
_FAMILY = np.uint64(0xFFFF)
_BY_SOCKET = np.uint64(0xFFFFFFFFFFFFFFFF ^ SOCKET_MASK)
_PORT = np.uint64(0xFFFF0000)
_PORT_BITS = np.uint64(16)
_HALF_BITS = np.uint64(32)

I64 = npt.NDArray[np.int64]


@compiled("i8(u8[::1], i8[::1], u8)")
def _search(keys: Any, values: Any, key: Any) -> int:
    """The value of a key in a sorted column whose last one is beyond every key, 0: it is not there."""
    low, high = 0, len(keys) - 1
    while low < high:
        middle = (low + high) >> 1
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return int(values[low]) if keys[low] == key else 0


@compiled("i8(i8, u8[:, ::1], u8[::1], u8[::1], i8[::1], u8[::1], u8[:, ::1])")
def _row_of(slot: int, names: Any, sockets: Any, keys: Any, values: Any, secrets: Any, addresses: Any) -> int:
    """The row that a packet's source has (`rtp.address.Keys`), NOBODY: none."""
    if names[slot, 0] & _FAMILY == _V4:
        return _search(keys, values, names[slot, 0] & _BY_SOCKET | sockets[slot])
    mixed = names[slot, 1] * secrets[0] + names[slot, 2] * secrets[1]
    mixed += (names[slot, 0] >> _PORT_BITS & _FAMILY) * secrets[2]
    mixed ^= mixed >> _HALF_BITS
    row = _search(keys, values, mixed & _BY_SOCKET | sockets[slot])
    # Keys of IPv6 sources are hashes: only the address itself is believed.
    if addresses[row, 0] & _PORT != names[slot, 0] & _PORT:
        return NOBODY
    if addresses[row, 1] != names[slot, 1] or addresses[row, 2] != names[slot, 2]:
        return NOBODY
    return row


@compiled("void(i8, i8[:, ::1], u8[:, ::1], u8[::1], u8[::1], i8[::1], u8[::1], u8[:, ::1])")
def find(
    count: int, lanes: Any, names: Any, sockets: Any, keys: Any, values: Any, secrets: Any, addresses: Any
) -> None:
    """The rows of the first `count` slots, into their lane."""
    for slot in range(count):
        lanes[ROW, slot] = _row_of(slot, names, sockets, keys, values, secrets, addresses)


@compiled("i8(i8)")
def nearest16(value: int) -> int:
    """A difference of 16-bit numbers that wrap, as the nearest signed one."""
    return ((value + 0x8000) & 0xFFFF) - 0x8000


@compiled("i8(i8)")
def nearest32(value: int) -> int:
    """A difference of 32-bit numbers that wrap, as the nearest signed one."""
    return ((value + 0x80000000) & 0xFFFFFFFF) - 0x80000000


_NOT_PASSED = -2  # in place of what is added to a timestamp


@compiled("i8(i8, i8, i8, i8, i8[:, ::1])")
def _event_shift(row: int, to: int, stamp: int, ahead: int, whole: Any) -> int:
    """What is added to the timestamp of a packet of an event on its way to a row; _NOT_PASSED: it does not go there.
    RFC 4733 2.5.1.2: all packets of an event bear one timestamp. With another it would be one more digit, and so would
    its end alone be for whoever did not hear it begin."""
    shift = whole[_TIME_SHIFT, to]
    if stamp != whole[_EVENT, row]:
        if ahead > 0:
            whole[_EVENT, row], whole[_EVENT_TO, row], whole[_EVENT_SHIFT, row] = stamp, to, shift
        return int(shift)
    if whole[_EVENT_TO, row] != to:
        return _NOT_PASSED
    if whole[_EVENT_SHIFT, row] == NOT_BEGUN:
        whole[_EVENT_SHIFT, row] = shift
    return int(whole[_EVENT_SHIFT, row])


@compiled("void(i8, i8, i8, u4[:, ::1], i8[::1], f8, i8[:, ::1], i8[::1], i8[:, ::1], f8[:, ::1], u2[:, ::1])")
def _relay(
    slot: int,
    row: int,
    ahead: int,
    words: Any,
    lengths: Any,
    now: float,
    lanes: Any,
    counts: Any,
    whole: Any,
    real: Any,
    payload: Any,
) -> None:
    """Count a packet that is `ahead` of the highest sequence number, and pass it on."""
    first, stamp = word(words, slot, 0), word(words, slot, 1)
    octets = lengths[slot] - HEADER
    kind = first >> 16 & 0x7F
    mapped = np.int64(payload[row, kind])
    timed = mapped < UNTIMED
    whole[_RECEIVED, row] += 1
    whole[_OCTETS, row] += octets
    if ahead > 0:
        whole[_TOP, row] += ahead
    else:
        whole[_LATE, row] += 1
    if timed:
        # RFC 3550 A.8: J(i) = J(i-1) + (|D(i-1,i)| - J(i-1))/16
        transit = np.int64(real[_CLOCK, row] * now) - stamp
        drift = abs(nearest32(transit - whole[_TRANSIT, row]))
        whole[_TRANSIT, row] = transit
        real[_JITTER, row] += (drift - real[_JITTER, row]) * 0.0625
    real[_HEARD, row] = now
    ears = whole[_EARS, row]
    if ears & EARS_AUDIO or (ears & EARS_EVENTS and not timed):
        at = counts[N_HEARD]
        counts[N_HEARD] = at + 1
        lanes[HEARD_SLOT, at] = slot
        lanes[HEARD_ROW, at] = row
        lanes[HEARD_HEAD, at] = first
        lanes[HEARD_STAMP, at] = stamp
        lanes[HEARD_LENGTH, at] = lengths[slot]
    if mapped == DROP:
        whole[_UNKNOWN, row] += 1
        at = counts[N_UNMAPPED]
        counts[N_UNMAPPED] = at + 1
        lanes[UNMAPPED_ROW, at] = row
        lanes[UNMAPPED_TYPE, at] = kind
        return
    to = whole[_TARGET, row]
    if to == NOBODY:
        return
    shift = whole[_TIME_SHIFT, to] if timed else _event_shift(row, to, stamp, ahead, whole)
    if shift == _NOT_PASSED:
        return
    put_word(words, slot, 0, first & 0xFF800000 | (mapped & 0x7F) << 16 | (first + whole[_SEQ_SHIFT, to]) & 0xFFFF)
    put_word(words, slot, 1, stamp + shift)
    put_word(words, slot, 2, whole[_OWN_SSRC, to])
    whole[_SENT, to] += 1
    whole[_SENT_OCTETS, to] += octets
    at = counts[N_OUT]
    counts[N_OUT] = at + 1
    lanes[SLOT_OUT, at] = slot
    lanes[TARGET, at] = to
    lanes[LENGTH, at] = lengths[slot]


@compiled("void(i8, i8, u4[:, ::1], i8[:, ::1], i8[::1], i8[::1], i8)")
def _leave(slot: int, row: int, words: Any, lanes: Any, counts: Any, held: Any, batch: int) -> None:
    """Leave a packet to `rtp.relay`, and with it what follows of its row in this batch: nothing overtakes it."""
    lanes[ODD, counts[N_ODD]] = slot
    counts[N_ODD] += 1
    # RFC 5761 4: payload types 64-95 with the marker bit are the RTCP packet types 192-223. No audio waits for those.
    if word(words, slot, 0) & 0xC0E00000 != 0x80C00000:
        held[row] = batch


@compiled(
    "void(i8[::1], i8, u4[:, ::1], i8[::1], f8, i8[:, ::1], i8[::1], i8[::1], i8, i8[:, ::1], f8[:, ::1], u2[:, ::1])"
)
def take(
    at: Any,
    asked: int,
    words: Any,
    lengths: Any,
    now: float,
    lanes: Any,
    counts: Any,
    held: Any,
    batch: int,
    whole: Any,
    real: Any,
    payload: Any,
) -> None:
    """Relay the packets at these slots, whose rows are in their lane, in order; those that are not what is `asked` for
    (ALL, NEAR, or TAKEN: nothing is asked) go to the lane of the odd ones. `held` by row: the latest batch in which a
    packet of its was odd."""
    for slot in at:
        row = lanes[ROW, slot]
        if row == DEAD:
            continue
        if asked == ALL and held[row] == batch and row != NOBODY:
            _leave(slot, row, words, lanes, counts, held, batch)
            continue
        ahead = nearest16(word(words, slot, 0) - whole[_TOP, row])
        regular = True
        if asked != TAKEN:
            regular = word(words, slot, 2) == whole[_EXPECT, row] and -MAX_MISORDER < ahead <= MAX_DROPOUT
        if asked == ALL:
            regular = regular and words[slot, 0] & 0xFF == 0x80 and HEADER <= lengths[slot] < SLOT
        if regular:
            _relay(slot, row, ahead, words, lengths, now, lanes, counts, whole, real, payload)
        else:
            _leave(slot, row, words, lanes, counts, held, batch)


@compiled(
    "void(i8[::1], i8, u4[:, ::1], i8[::1], f8, i8[:, ::1], i8[::1], i8[::1], i8, i8[:, ::1], f8[:, ::1], u2[:, ::1],"
    " u8[:, ::1], u8[::1], u8[::1], i8[::1], u8[::1], u8[:, ::1])"
)
def sweep(
    at: Any,
    count: int,
    words: Any,
    lengths: Any,
    now: float,
    lanes: Any,
    counts: Any,
    held: Any,
    batch: int,
    whole: Any,
    real: Any,
    payload: Any,
    names: Any,
    sockets: Any,
    keys: Any,
    values: Any,
    secrets: Any,
    addresses: Any,
) -> None:
    """Find the rows of `count` slots, the first ones in order, and relay what is regular."""
    find(count, lanes, names, sockets, keys, values, secrets, addresses)
    take(at[:count], ALL, words, lengths, now, lanes, counts, held, batch, whole, real, payload)


class Lanes:
    """What the loop leaves for a batch of up to `capacity` packets: a line of `table` for each column, by ROW...
    UNMAPPED_TYPE, and how many are filled of what is listed, by N_ODD..."""

    __slots__ = ("_lanes", "batch", "capacity", "counts", "heard", "held", "index", "rows", "table")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.table: I64 = np.zeros((LANES, capacity), np.int64)
        self.counts: I64 = np.zeros(COUNTS, np.int64)
        self.index: I64 = np.arange(capacity)
        self._lanes: list[I64] = list(self.table)
        self.heard: I64 = self.table[HEARD_SLOT : HEARD_LENGTH + 1]
        self.rows = self._lanes[ROW]
        """By slot."""
        self.held: I64 = np.zeros(0, np.int64)
        self.batch = 0

    def begin(self, rows: int) -> None:
        """Another batch, for a stream table of so many rows."""
        self.counts[:] = 0
        self.batch += 1
        if len(self.held) < rows:
            self.held = np.zeros(rows, np.int64)

    def first(self, lane: int, count: int) -> I64:
        """The first of a list; the next batch writes over them."""
        return self._lanes[lane][:count]
