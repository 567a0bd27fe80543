"""Telephone events (RFC 4733): digits out of the packets that came, and the packets of digits to be sent.

An event is told by many packets that bear one timestamp, the moment it began, and a duration that grows:

    stamp      T      T      T      T      T      T      T                        T'
    duration   160    320    480    640    800 E  800 E  800 E   (gap: audio)     160 ...
    marker     1      0      0      0      0      0      0                        1

2.5.1.4: the final packet is sent three times. So any packet tells of its event, and what came before or after it may be
lost: an event is known by its timestamp, never by its first or its last packet.

    new -- first packet heard --> open -- end bit | next event | silence --> ended, told once; remembered

Told is (digit, duration, False) when an event opens and (digit, duration, True) when it has ended; only the latter
where the first packet heard is one with the end bit. Each event is told as ended exactly once, in the order of
timestamps as long as no event's first packet is overtaken by the end of the event after it.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import NamedTuple

DIGITS = "0123456789*#ABCD!"  # by event code (RFC 4733 3.2); 16 is a flash of the hook
FLASH = "!"
PAUSE = ","

SILENCE = 0.25  # seconds without a packet after which an open event has ended: five updates of 50 ms (2.5.1.2)
MEMORY = 5.0  # seconds without any packet after which nothing of a stream is late any more
REMEMBERED = 8  # timestamps of latest events that are known; one before all of them comes too late
MAX_PACKED = 16  # events in one packet (2.5.1.5); more is absurd: together they would last longer than any delay allows
MAX_DURATION = 0xFFFF  # of one segment, in clock units (2.5.1.3)
# A new segment begins where the last one ended, after MAX_DURATION; some senders split at whole packets near it.
_SEGMENT_FROM = MAX_DURATION - 0x1000
_SEGMENT_TO = MAX_DURATION + 0x1000
_BLOCK = struct.Struct("!BBH")
_END = 0x80
_VOLUME = 10  # the level sent, -dBm0 (2.3.4)
MIN_DURATION_MS = 40  # ITU-T Q.24: what every receiver must accept
REPEATS = 2  # times the final packet is sent again

Told = tuple[str, int, bool]  # digit, duration in clock units, has ended


class _Stream:
    """What is known of one stream's events. `code` -1: none is open. `base`: duration of the segments before."""

    __slots__ = ("base", "code", "duration", "ended", "floor", "heard", "known", "last", "stamp", "top")

    def __init__(self) -> None:
        self.forget()
        self.heard = 0.0
        self.top = 0

    def forget(self) -> None:
        self.known: deque[tuple[int, int]] = deque()  # (timestamp, code) of latest segments, oldest first
        self.floor: int | None = None  # highest timestamp that is forgotten
        self.code = -1  # of the open event
        self.last = -1  # of the latest event, open or ended
        self.stamp = 0  # of its latest segment
        self.base = 0
        self.duration = 0
        self.ended = True  # by its end bit

    def remember(self, stamp: int, code: int) -> None:
        self.known.append((stamp, code))
        if len(self.known) > REMEMBERED:
            gone = self.known.popleft()[0]
            if self.floor is None or _ahead(gone, self.floor) > 0:
                self.floor = gone

    def end(self) -> Told:
        told = (DIGITS[self.code], self.base + self.duration, True)
        self.code = -1
        return told


class EventReceiver:
    """Events of all streams; a row has an entry once an event came on it.

    counters: `malformed` packets (no whole blocks, too many, no room in time); `other` packets of events that are no
    digits (left); `late` ones of events that began before those remembered.
    """

    __slots__ = ("_open", "_streams", "counters")

    def __init__(self) -> None:
        self.counters = {"malformed": 0, "other": 0, "late": 0}
        self._streams: dict[int, _Stream] = {}
        self._open: dict[int, _Stream] = {}

    # -- receive

    def receive(self, row: int, seq: int, stamp: int, marker: bool, payload: bytes, now: float) -> list[Told]:
        """One packet's payload. `seq` may be extended or of 16 bits, `stamp` is the RTP timestamp."""
        size = len(payload)
        if not 4 <= size <= 4 * MAX_PACKED or size % 4:
            self.counters["malformed"] += 1
            return []
        stream = self._streams.get(row)
        if stream is None:
            stream = self._streams[row] = _Stream()
            stream.top = seq
        newer = (seq - stream.top & 0xFFFF) < 0x8000
        if now - stream.heard > MEMORY:
            # The sender may have begun its timestamps anew since; an event that is open ended long ago.
            told = [stream.end()] if stream.code >= 0 else []
            stream.forget()
            newer = True
        else:
            told = []
        if newer:
            stream.top = seq
        for at in range(0, size, 4):
            code, flags, duration = _BLOCK.unpack_from(payload, at)
            packed = at + 4 < size
            if code >= len(DIGITS):
                self.counters["other"] += 1
            else:
                stream.heard = now
                # 2.5.1.5: events in one packet are consecutive and contiguous; what another event follows has ended.
                over = flags & _END != 0 or (packed and payload[at + 4] != code)
                self._hear(stream, code, over, duration, stamp, marker and not at, newer, told)
            if packed and not duration:
                self.counters["malformed"] += 1
                break
            stamp = stamp + duration & 0xFFFFFFFF
        if stream.code >= 0:
            self._open[row] = stream
        else:
            self._open.pop(row, None)
        return told

    def expire(self, now: float) -> list[tuple[int, str, int, bool]]:
        """Events that were silent for SILENCE seconds have ended: (row, digit, duration, True). Once a tick."""
        if not self._open:
            return []
        silent = [row for row, stream in self._open.items() if now - stream.heard >= SILENCE]
        return [(row, *self._open.pop(row).end()) for row in silent]

    # -- what was heard

    def knows(self, row: int, stamp: int) -> bool:
        """Whether a packet of the event of this timestamp has been heard before."""
        stream = self._streams.get(row)
        return stream is not None and any(stamp == known for known, _ in stream.known)

    def reset(self, row: int) -> None:
        """The row's source is another from now on (new SSRC, new call). An open event is dropped."""
        self._streams.pop(row, None)
        self._open.pop(row, None)

    # -- one event of a packet

    def _hear(
        self,
        stream: _Stream,
        code: int,
        over: bool,
        duration: int,
        stamp: int,
        marker: bool,
        newer: bool,
        told: list[Told],
    ) -> None:
        if (stamp, code) in stream.known:
            if stream.last == code and stream.stamp == stamp:
                self._update(stream, over, duration, told)
            return
        if stream.floor is not None and _ahead(stamp, stream.floor) <= 0:
            if not newer:
                self.counters["late"] += 1
                return
            # A later packet with an earlier timestamp: the sender began anew.
            if stream.code >= 0:
                told.append(stream.end())
            stream.forget()
        ahead = _ahead(stamp, stream.stamp) if stream.last >= 0 else 1
        stream.remember(stamp, code)
        if ahead < 0 and not newer:
            # All of its packets so far were lost, and a later event has begun: this one is over. The later one is
            # told as ended after it, if it is still open.
            told.append((DIGITS[code], duration, True))
            return
        if code == stream.last and not stream.ended and not marker and _continues(ahead, stream.duration):
            # 2.5.1.3: "The sender then MUST begin reporting a new segment with the RTP timestamp set to the time at
            # which the previous segment ended"; the same digit goes on, or was told as ended already.
            stream.base += ahead
            stream.stamp = stamp
            stream.duration = 0
        else:
            if stream.code >= 0:
                told.append(stream.end())
            stream.code = stream.last = code
            stream.stamp = stamp
            stream.base = 0
            stream.duration = duration
            stream.ended = False
            if not over:
                told.append((DIGITS[code], duration, False))
        self._update(stream, over, duration, told)

    @staticmethod
    def _update(stream: _Stream, over: bool, duration: int, told: list[Told]) -> None:
        stream.duration = max(stream.duration, duration)
        if over:
            stream.ended = True
            if stream.code >= 0:
                told.append(stream.end())


def _ahead(stamp: int, other: int) -> int:
    """How far a timestamp is after another, within half the circle of 32 bits."""
    return (stamp - other + 0x80000000 & 0xFFFFFFFF) - 0x80000000


def _continues(ahead: int, duration: int) -> bool:
    """Whether a segment of `duration` so far may have lasted until one that begins `ahead` of it. Half of it may be
    lost."""
    return _SEGMENT_FROM <= ahead <= _SEGMENT_TO and 2 * duration >= ahead


Packet = tuple[bytes, bool, int]  # payload, marker, what to add to the timestamp that audio would bear in this tick


class _Digit(NamedTuple):
    """One digit or pause (`code` -1) to be sent; lengths in clock units, `step`: of one packet."""

    code: int
    duration: int
    gap: int
    step: int


class EventSender:
    """Digits to be sent, packet by packet, for all rows.

    In each tick of a row `packet` gives what to send in place of the audio, or None: audio is sent as usual. The final
    packet is repeated twice, one a tick (2.5.1.4: "at the interval used by the source for updates"): a burst that
    loses one seldom loses all. They fill the first two ticks of the gap, which is never shorter.
    """

    __slots__ = ("_queues", "_ticks")

    def __init__(self) -> None:
        self._queues: dict[int, deque[_Digit]] = {}
        self._ticks: dict[int, Iterator[Packet | None]] = {}

    # -- what to send

    def queue(
        self,
        row: int,
        digits: str,
        *,
        clock: int = 8000,
        ptime_ms: int = 20,
        duration_ms: int = 100,
        gap_ms: int = 60,
        pause_ms: int = 500,
    ) -> None:
        """Put digits (`0-9*#A-D`, `!` flash, `,` a pause) behind what the row still sends. A digit lasts 40 ms at
        least (ITU-T Q.24), a gap two packets.

        Raises ValueError for other characters; nothing is sent then.
        """
        wrong = sorted({digit for digit in digits if digit not in DIGITS and digit != PAUSE})
        if wrong:
            raise ValueError(f"cannot send {''.join(wrong)!r} as DTMF: use 0-9, *, #, A-D, ! (flash) and , (pause)")
        if not digits:
            return
        step = clock * ptime_ms // 1000
        event = _Digit(0, max(duration_ms, MIN_DURATION_MS) * clock // 1000, gap_ms * clock // 1000, step)
        pause = _Digit(-1, pause_ms * clock // 1000, 0, step)
        queue = self._queues.get(row)
        if queue is None:
            queue = self._queues[row] = deque()
            self._ticks[row] = _packets(queue)
        queue.extend(pause if digit == PAUSE else event._replace(code=DIGITS.index(digit)) for digit in digits)

    def cancel(self, row: int) -> None:
        """Send nothing more. An event that has begun is left to the receiver's time-out."""
        self._queues.pop(row, None)
        self._ticks.pop(row, None)

    @property
    def rows(self) -> list[int]:
        """Rows that have digits to send, or are in the gap after the last one."""
        return list(self._ticks)

    # -- each tick

    def next(self, rows: Iterable[int]) -> list[tuple[int, Packet]]:
        """The packets of this tick, of those rows that send one in place of audio. Every row must come once a tick."""
        if not self._ticks:
            return []
        due = ((row, self.packet(row)) for row in rows if row in self._ticks)
        return [(row, packet) for row, packet in due if packet is not None]

    def packet(self, row: int) -> Packet | None:
        """What the row sends in this tick in place of audio."""
        ticks = self._ticks.get(row)
        if ticks is None:
            return None
        try:
            return next(ticks)
        except StopIteration:
            self.cancel(row)
            return None


def _packets(queue: deque[_Digit]) -> Iterator[Packet | None]:
    """One a tick, until the queue is empty."""
    while queue:
        digit = queue.popleft()
        if digit.code >= 0:
            yield from _event(digit)
        else:
            yield from repeat(None, -(-digit.duration // digit.step))


def _event(digit: _Digit) -> Iterator[Packet | None]:
    """The packets of one event, and its gap. Timestamps count from the event's begin."""
    code, duration, gap, step = digit
    tick = segment = 0  # begin of this tick, and of the present segment
    marker = True
    while True:
        reached = min(tick + step, duration) - segment
        if reached <= MAX_DURATION:
            final = tick + step >= duration
            payload = _BLOCK.pack(code, _VOLUME | (_END if final else 0), reached)
            yield payload, marker, segment - tick
            if final:
                break
        else:
            # 2.5.1.3: the full segment "without the E bit", then a new one, whose first packet has no marker. It is
            # not repeated: the new segment's timestamp says the same.
            yield _BLOCK.pack(code, _VOLUME, MAX_DURATION), marker, segment - tick
            segment += MAX_DURATION
        marker = False
        tick += step
    for _ in range(REPEATS):
        tick += step
        yield payload, False, segment - tick
    yield from repeat(None, -(-gap // step) - REPEATS)
