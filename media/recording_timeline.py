"""Who is on which channel of a recording, from which second of the file to which. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from media.audio_commands import Label, StreamLabels, TimelineEntry

MAX_ENTRIES: Final = 4096  # of a timeline, stretches, pauses: a contact that changes more often is not believed
OFF: Final = -1  # TimelineEntry.channel of a stream that is no longer recorded

Channels = tuple[tuple[int, int], ...]


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """Stream `stream` is on `channel` from second `begin` to `end`, None while that lasts. `label`: who that is."""

    channel: int
    stream: int
    begin: float
    end: float | None
    label: Label


class Timeline:
    """`places` is how many channels there are, 1 or 2."""

    __slots__ = ("_ended", "_labels", "_on", "_open", "_places", "entries")

    def __init__(self, places: int) -> None:
        self._places = places
        self._on: dict[int, tuple[int, ...]] = {}
        self._labels: dict[int, Label] = {}
        self._open: dict[tuple[int, int], Stretch] = {}
        self._ended: list[Stretch] = []
        self.entries: list[TimelineEntry] = []

    def place(self, channels: Channels, labels: StreamLabels, at: float) -> bool:
        """Who is on which channel from second `at` on; whether that is another than before. A stream without a label
        keeps the one that it has."""
        now: dict[int, tuple[int, ...]] = {}
        for stream, channel in channels:
            now[stream] = tuple(sorted({*now.get(stream, ()), channel & (self._places - 1)}))
        told = {**self._labels, **dict(labels)}
        named = {stream: told.get(stream, ()) for stream in now}
        if now == self._on and named == self._labels:
            return False
        self._note_changes(now, at)
        self._on, self._labels = now, named
        self._note_stretches(at)
        return True

    def stretches(self, end: float | None) -> tuple[Stretch, ...]:
        """All of them, in the order of their beginnings; those that last end at `end`."""
        lasting = [msgspec.structs.replace(each, end=end) for each in self._open.values()]
        return tuple(sorted([*self._ended, *lasting], key=lambda each: (each.begin, each.channel)))

    def _note_changes(self, now: dict[int, tuple[int, ...]], at: float) -> None:
        changes = [TimelineEntry(at, stream, OFF) for stream in self._on if stream not in now]
        changes += [
            TimelineEntry(at, stream, channel)
            for stream, places in now.items()
            if self._on.get(stream) != places
            for channel in places
        ]
        self.entries += changes[: MAX_ENTRIES - len(self.entries)]

    def _note_stretches(self, at: float) -> None:
        wanted = {(channel, stream): self._labels[stream] for stream, places in self._on.items() for channel in places}
        for place, stretch in list(self._open.items()):
            if wanted.get(place) != stretch.label:
                del self._open[place]
                # What lasted for no time was said and taken back in one frame.
                if stretch.begin < at and len(self._ended) < MAX_ENTRIES:
                    self._ended.append(msgspec.structs.replace(stretch, end=at))
        for place, label in wanted.items():
            if place not in self._open:
                self._open[place] = Stretch(*place, at, None, label)
