"""The contact: one customer's interaction from first ring to the end of the last leg, its segments and its legs.

A contact outlives its legs; CDRs hang on it. Durations are monotonic; the wall-clock times that a record shows are the
wall-clock time of the start plus a monotonic duration, so that a clock that jumps in mid-call bends no record.
"""

from __future__ import annotations

import msgspec

from media.commands import StreamStats
from softswitch.vocabulary import Diverted, Party

MAX_LEGS_KEPT = 64
"""Legs written down per contact; a hunt through more keeps the first ones and counts the rest."""


MAX_SEGMENTS_KEPT = 100
"""Segments written down per contact: a telephone that holds and resumes for hours must not fill memory. Past it the
last one gives way to what comes next, which leaves a gap before it."""


ATTEMPTS = frozenset({"route", "ring", "consult"})
"""Segments that are written down even where they have taken no time: somebody was looked for."""


class Segment(msgspec.Struct, gc=False):
    """A stretch of the contact of one kind; docs/call-records.md has them all. Times are monotonic seconds."""

    kind: str
    started: float
    ended: float = 0.0


class LegRecord(msgspec.Struct, gc=False):
    """What is written of one leg. Times are monotonic seconds, 0 where it never happened."""

    leg: int
    direction: str  # "in" | "out"
    kind: str  # "extension" | "trunk"
    endpoint: str
    number: str
    started: float
    address: str = ""
    call_id: str = ""
    rang: float = 0.0
    answered: float = 0.0
    ended: float = 0.0
    cause: int = 0
    status: int = 0
    codec: str = ""
    stats: StreamStats | None = None
    video_packets_in: int = 0
    video_packets_out: int = 0
    video_lost: int = 0
    joined: str = ""  # the contact that the leg went on in, which has its statistics

    def add_video(self, stats: StreamStats) -> None:
        """A stream of the leg's video has ended; it may have had several, one after the other."""
        self.video_packets_in += stats.packets_received
        self.video_packets_out += stats.packets_sent
        self.video_lost += stats.lost


class RecordingNote(msgspec.Struct, gc=False):
    """What is written of one recording. `started`: monotonic seconds, 0 while the engine has not told; `failed`: why
    nothing more was written, "" where nothing went wrong."""

    recording: int
    path: str = ""
    started: float = 0.0
    over: bool = False
    failed: str = ""


class Contact:
    """One customer's interaction; owned by one call, written down when it ends."""

    __slots__ = (
        "answered",
        "caller",
        "cause",
        "context",
        "destination",
        "dialled",
        "direction",
        "diverted",
        "ended",
        "ended_by",
        "endpoint",
        "id",
        "joined",
        "kind",
        "legs",
        "recordings",
        "segments",
        "started",
        "status",
        "uncounted_legs",
        "wall",
    )

    def __init__(self, contact_id: str, now: float, wall: float, caller: Party, dialled: str) -> None:
        self.id = contact_id
        self.started = now
        self.wall = wall
        self.caller = caller
        self.dialled = dialled
        self.context = ""
        self.kind = ""
        self.endpoint = ""
        self.direction = "internal"
        self.diverted: tuple[Diverted, ...] = ()
        """Who has sent it on, newest first."""
        self.destination = ""
        self.answered = 0.0
        self.ended = 0.0
        self.ended_by = ""
        self.joined = ""
        """The contact in which it went on, "" where it ended."""
        self.cause = 0
        self.status = 0
        self.segments: list[Segment] = []
        self.legs: list[LegRecord] = []
        self.uncounted_legs = 0
        self.recordings: list[RecordingNote] = []

    def add_leg(self, record: LegRecord) -> None:
        """Write down a new leg, within the bound."""
        if len(self.legs) < MAX_LEGS_KEPT:
            self.legs.append(record)
        else:
            self.uncounted_legs += 1

    def leg(self, leg: int) -> LegRecord | None:
        """The record of a leg, or None for one past the bound."""
        for record in self.legs:
            if record.leg == leg:
                return record
        return None

    def enter(self, kind: str, now: float) -> None:
        """End the running segment, if any, and begin one of this kind; the same kind again goes on. One that has taken
        no time was only on the way to another, unless it tells of an attempt."""
        if self.segments and not self.segments[-1].ended:
            last = self.segments[-1]
            if last.kind != kind and last.started == now and last.kind not in ATTEMPTS:
                self.segments.pop()
                if self.segments and (self.segments[-1].kind, self.segments[-1].ended) == (kind, now):
                    self.segments[-1].ended = 0.0
            elif last.kind != kind:
                last.ended = now
        if self.segments and self.segments[-1].kind == kind and not self.segments[-1].ended:
            return
        if len(self.segments) >= MAX_SEGMENTS_KEPT:
            self.segments.pop()
        self.segments.append(Segment(kind, now))

    def end(self, cause: int, status: int, by: str, now: float) -> None:
        """It is over, for all who were in it; the first end counts."""
        if self.ended:
            return
        self.ended = now
        self.cause = cause
        self.status = status
        self.ended_by = by
        if self.segments and not self.segments[-1].ended:
            self.segments[-1].ended = now

    def wall_of(self, moment: float) -> float | None:
        """The wall-clock time (Unix seconds) of a monotonic moment of this contact; None for 0 (never)."""
        return self.wall + (moment - self.started) if moment else None
