"""Streams as rows of numpy columns, and the index from a packet's source to its row.

Row 0 is nobody's: what is looked up in vain finds it, and its columns hold values that no packet matches.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from rtp.address import SOCKADDR

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]

PAYLOAD_TYPES = 128
DROP = 0xFFFF  # in a payload map: not agreed, the packet is dropped
UNTIMED = 0x100  # in a payload map: no part of the audio clock (telephone-event), left out of jitter
NOBODY = 0
NO_EVENT = -1  # in place of an event's timestamp
NOT_BEGUN = -1  # in place of what is added to its timestamp
EARS_AUDIO, EARS_EVENTS = 1, 2  # all packets of agreed types; those of telephone-events alone
NEVER = -1.0e12  # a time before every other, in seconds; finite, so that what is reckoned from it fits 64 bits

INITIAL_ROWS = 64  # doubled whenever all are taken
_LAST_KEY = 0xFFFFFFFFFFFFFFFF


class KeyTable:
    """Sorted 64-bit keys with a value each: scalar insert and delete, look-up of whole columns.

    Sorted rather than hashed: a column of 300 is found in 1600 keys in about 7 us either way, and without
    probing loops. Arrays of the standard library hold them, as they move what lies behind an insert in a
    fraction of numpy's time; numpy reads them where they lie.
    """

    __slots__ = ("_columns", "_keys", "_values")

    def __init__(self) -> None:
        self._columns: tuple[U64, I64] | None = None
        # The sentinel is what a search beyond the last key finds; no source has it for a key.
        self._keys = array("Q", [_LAST_KEY])
        self._values = array("q", [0])

    def __len__(self) -> int:
        return len(self._keys) - 1

    def columns(self) -> tuple[U64, I64]:
        """The keys, sorted, the last one beyond all that are there, and their values: nobody may hold them over an
        insert or a delete."""
        if self._columns is None:
            self._columns = np.frombuffer(self._keys, np.uint64), np.frombuffer(self._values, np.int64)
        return self._columns

    def lookup(self, keys: U64) -> I64:
        """The value of each key, 0 for those that are not there."""
        column, values = self.columns()
        at = column.searchsorted(keys)
        found: I64 = values.take(at)
        found *= column.take(at) == keys
        return found

    def get(self, key: int) -> int:
        at = bisect_left(self._keys, key)
        return self._values[at] if self._keys[at] == key else 0

    def insert(self, key: int, value: int) -> None:
        """Add a key that is not there; the caller has looked."""
        self._columns = None  # an array that is looked at can't grow
        at = bisect_left(self._keys, key)
        self._keys.insert(at, key)
        self._values.insert(at, value)

    def delete(self, key: int) -> None:
        """Remove a key if it is there."""
        self._columns = None
        at = bisect_left(self._keys, key)
        if self._keys[at] == key != _LAST_KEY:
            del self._keys[at]
            del self._values[at]


class StreamTable:
    """Columns of all streams. About 800 octets a row. `whole` and `real` hold those of whole and of real numbers,
    a line each (WHOLE, REAL).

    Received, one source at a time (RFC 3550 A.1)
        ssrc, expect        locked SSRC of the peer, -1: none yet; the same, -1: look at the next packet closely
        top, base           highest and first extended sequence number of this SSRC
        received, octets    packets; octets without the fixed header. base_received: packets before this SSRC
        late, unknown, foreign, bad
                            not above `top` when they came; dropped: payload type not agreed, other SSRC, no valid RTP
        auth_failed, replayed
                            dropped: not authentic; authentic once and come again, or from before the replay window
        secure_in           1: packets are believed only when they authenticate (rtp.srtp)
        heard               when the last one came
        clock, transit, jitter
                            Hz; arrival less timestamp of the last one and RFC 3550 A.8, both in clock units
        payload             payload type map (128)
        limit, since, told  seconds of silence to tell of, inf: none; when listening began; when silence was told
        event, event_to, event_shift
                            timestamp of the latest telephone-event, NO_EVENT: none; the row that its first packet was
                            for, and that alone has it passed on; what is added to the timestamp there, however the two
                            are joined, NOT_BEGUN: nothing has gone there yet
        ears                who wants this row's packets besides its target, by bits: EARS_AUDIO, EARS_EVENTS; 0: nobody
    Sent
        target              row its packets go to; fed_by: row whose packets come here; NOBODY: none
        own_ssrc            our SSRC
        seq_shift, time_shift
                            added to sequence number and timestamp of what is passed to this row
        own_top, own_stamp, own_at
                            sequence number, timestamp and time of the last packet while nobody feeds this row
        sent, sent_octets   packets; octets without the fixed header
        secure_out          1: packets are sealed before they are sent (rtp.srtp)
        as_is               1: SSRC, sequence numbers and timestamps stay those of whoever feeds this row
        address, address_length, socket
                            sockaddr, its length (0: send nothing), index of the socket it is sent by
    Reports
        control_address, control_length, control_socket
                            the same for RTCP
        report_at, reports_sent, sent_reported
                            when the next is due; how many went; packets sent until the last one
        block_ssrc, block_top, block_received
                            where the last report block stood
        their_report, their_report_at, our_report, our_report_before
                            middle of the NTP timestamp of the peer's last SR and of our last two; 0: none
        round_trip          seconds, by the peer's last report block; negative: not known
    """

    ssrc: I64
    expect: I64
    top: I64
    received: I64
    octets: I64
    late: I64
    heard: F64
    transit: I64
    jitter: F64
    clock: F64
    unknown: I64
    foreign: I64
    bad: I64
    auth_failed: I64
    replayed: I64
    secure_in: I64
    secure_out: I64
    as_is: I64
    base: I64
    base_received: I64
    ears: I64
    target: I64
    event: I64
    event_to: I64
    event_shift: I64
    own_ssrc: I64
    seq_shift: I64
    time_shift: I64
    sent: I64
    sent_octets: I64
    address_length: I64
    socket: I64
    control_length: I64
    control_socket: I64
    fed_by: I64
    own_top: I64
    own_stamp: I64
    own_at: F64
    reports_sent: I64
    sent_reported: I64
    block_ssrc: I64
    block_top: I64
    block_received: I64
    their_report: I64
    their_report_at: F64
    round_trip: F64
    our_report: I64
    our_report_before: I64
    report_at: F64
    limit: F64
    since: F64
    told: F64
    payload: U16
    address: U8
    control_address: U8

    def __init__(self, capacity: int = INITIAL_ROWS) -> None:
        self.keys = KeyTable()
        self.capacity = 0
        self._free: list[int] = []
        self.whole = np.zeros((len(_WHOLE), 0), np.int64)
        self.real = np.zeros((len(_REAL), 0))
        self.payload = np.zeros((0, PAYLOAD_TYPES), np.uint16)
        self.address = self.control_address = np.zeros((0, SOCKADDR), np.uint8)
        self._grow(capacity)
        self._free.remove(NOBODY)

    @property
    def rows(self) -> int:
        """Rows in use."""
        return self.capacity - 1 - len(self._free)

    def take(self) -> int:
        """A row with every column as new."""
        if not self._free:
            self._grow(self.capacity)
        return self._free.pop()

    def free(self, row: int) -> None:
        """Give a row back, as new; its keys have been deleted."""
        self.whole[:, row] = _FRESH_WHOLE
        self.real[:, row] = _FRESH_REAL
        self.payload[row] = DROP
        self.event_to[self.event_to == row] = NOBODY  # whose row it is next has not heard it begin
        self._free.append(row)

    def counts(self, row: int) -> list[int]:
        """The first COUNTS columns of whole numbers of one row, in order: cheaper than one by one."""
        counts: list[int] = self.whole[:COUNTS, row].tolist()
        return counts

    def progress(self, rows: I64, ssrc: I64, top: I64, received: I64) -> tuple[I64, I64]:
        """How many packets were expected and received (RFC 3550 A.3) since three columns of the caller's noted where
        these rows stood; they do so now. Only the current source of a row counts: one that began anew, under its old
        SSRC or another, from its first packet on."""
        source, highest, base = self.ssrc[rows], self.top[rows], self.base[rows]
        total = self.received[rows] - self.base_received[rows]
        same = (ssrc[rows] == source) & (received[rows] <= total)
        same &= top[rows] >= base - 1
        expected: I64 = highest - np.where(same, top[rows], base - 1)
        came: I64 = total - np.where(same, received[rows], 0)
        ssrc[rows], top[rows], received[rows] = source, highest, total
        return expected, came

    def put_address(self, row: int, address: bytes) -> None:
        """Write a sockaddr. Bytes go in by a memory view, at a tenth of what an array from them costs."""
        self._address_view[row * SOCKADDR : row * SOCKADDR + SOCKADDR] = address

    def put_control_address(self, row: int, address: bytes) -> None:
        self._control_view[row * SOCKADDR : row * SOCKADDR + SOCKADDR] = address

    def _grow(self, more: int) -> None:
        old = self.capacity
        self.capacity = old + more
        # One block for all columns of a type: a row is made new with one assignment.
        self.whole = np.concatenate((self.whole, np.tile(_FRESH_WHOLE[:, None], more)), axis=1)
        self.real = np.concatenate((self.real, np.tile(_FRESH_REAL[:, None], more)), axis=1)
        for name, whole in zip(_WHOLE, self.whole, strict=True):
            setattr(self, name, whole)
        for name, real in zip(_REAL, self.real, strict=True):
            setattr(self, name, real)
        self.payload = np.concatenate((self.payload, np.full((more, PAYLOAD_TYPES), DROP, np.uint16)))
        self.payload_flat = self.payload.reshape(-1)
        addresses = np.zeros((more, SOCKADDR), np.uint8)
        self.address = np.concatenate((self.address, addresses))
        self.address_words = self.address.view(np.uint64)
        self.control_address = np.concatenate((self.control_address, addresses))
        # Lowest first, so that the rows in use stay close together.
        self._free.extend(range(self.capacity - 1, old - 1, -1))
        self._address_view = self.address.reshape(-1).data
        self._control_view = self.control_address.reshape(-1).data
        # Where the kernel finds the addresses: valid until the next growth.
        self.address_at = self.address.ctypes.data
        self.control_address_at = self.control_address.ctypes.data


# Columns and what they hold when nothing has happened.
_WHOLE = {
    "ssrc": -1,
    "top": 0,
    "base": 0,
    "received": 0,
    "octets": 0,
    "late": 0,
    "unknown": 0,
    "foreign": 0,
    "bad": 0,
    "sent": 0,
    "sent_octets": 0,
    "reports_sent": 0,
    "own_ssrc": 0,
    "auth_failed": 0,
    "replayed": 0,
    # Up to here: what the statistics of a stream are made of (`counts`).
    "expect": -1,
    "transit": 0,
    "base_received": 0,
    "ears": 0,
    "target": NOBODY,
    "fed_by": NOBODY,
    "seq_shift": 0,
    "time_shift": 0,
    "own_top": 0,
    "own_stamp": 0,
    "address_length": 0,
    "socket": 0,
    "control_length": 0,
    "control_socket": 0,
    "sent_reported": 0,
    "block_ssrc": -1,
    "block_top": 0,
    "block_received": 0,
    "their_report": 0,
    "our_report": 0,
    "our_report_before": 0,
    "secure_in": 0,
    "secure_out": 0,
    "as_is": 0,
    "event": NO_EVENT,
    "event_to": NOBODY,
    "event_shift": NOT_BEGUN,
}
COUNTS = 15
_REAL = {
    "heard": NEVER,
    "jitter": 0.0,
    "clock": 8000.0,
    "report_at": np.inf,
    "limit": np.inf,
    "since": NEVER,
    "told": NEVER,
    "own_at": NEVER,
    "their_report_at": NEVER,
    "round_trip": -1.0,
}
WHOLE = {name: number for number, name in enumerate(_WHOLE)}
"""Which line of `StreamTable.whole` a column is."""
REAL = {name: number for number, name in enumerate(_REAL)}
_FRESH_WHOLE: I64 = np.array(list(_WHOLE.values()), np.int64)
_FRESH_REAL: F64 = np.array(list(_REAL.values()))
