"""The streams of legs' video at the media engine: opened when video is first offered or answered on a leg, joined while
their audio is, closed when none is agreed any more.

A stream of video has an id and a port of its own, and is on its leg's media worker. It is never heard, mixed, played to
or recorded: whenever two legs are not joined with each other, their video goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from media.client import MediaClient
from media.commands import NoMediaPorts
from softswitch.leg_media import LegMedia


class VideoStreams:
    """Video streams of all calls. `new_stream` gives ids."""

    __slots__ = ("_joined", "_legs", "_media", "_new_stream")

    def __init__(self, media: MediaClient, new_stream: Callable[[], int]) -> None:
        self._media = media
        self._new_stream = new_stream
        self._legs: dict[int, int] = {}  # stream that has not told its statistics yet -> its leg
        self._joined: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._legs)

    def open(self, media: LegMedia, group: str, now: float) -> int:
        """Let a leg have a stream for its video: its id, 0 where no port is left, and the leg goes without."""
        stream = self._new_stream()
        try:
            address = self._media.open(
                stream,
                media.signalled_host,
                media.asked_video,
                media.nat,
                media.origin.host,
                now,
                group,
                beside=media.id,
            )
        except NoMediaPorts:
            return 0
        media.video = (stream, address)
        self._legs[stream] = media.id
        return stream

    def settle(self, legs: Iterable[LegMedia], pair: tuple[int, int], now: float) -> None:
        """Bring streams to where a call's legs stand, of which those of `pair` see each other."""
        showing = {}
        for media in legs:
            if media.video is not None and not media.has_video:
                self.leave(media, now)
            elif media.video is not None and media.agreed is not None and media.agreed.video is not None:
                showing[media.id] = media.video[0]
        a, b = pair
        wanted = {}
        if a in showing and b in showing:
            wanted = {showing[a]: showing[b], showing[b]: showing[a]}
        for stream in showing.values():
            before, other = self._joined.get(stream), wanted.get(stream)
            if before == other:
                continue
            if other is None:
                self._forget(stream)
                self._media.unbridge(stream, now)
            else:
                self._forget(stream)
                self._forget(other)
                self._joined[stream], self._joined[other] = other, stream
                self._media.bridge(stream, other, now)

    def leave(self, media: LegMedia, now: float) -> None:
        """A leg has no video any more."""
        if media.video is not None:
            stream, media.video = media.video[0], None
            self._forget(stream)
            self._media.close(stream, now)

    def part(self, media: LegMedia, now: float) -> None:
        """A leg that is about to leave for another call is seen by nobody in this one."""
        if media.video is not None and media.video[0] in self._joined:
            self._forget(media.video[0])
            self._media.unbridge(media.video[0], now)

    def leg_of(self, stream: int) -> int:
        """The leg that a stream is of; 0 where it is no video."""
        return self._legs.get(stream, 0)

    def lost(self, media: LegMedia, now: float) -> None:
        """A leg's stream went with its media worker."""
        if media.video is not None:
            stream = media.video[0]
            media.lose_video()
            self._forget(stream)
            self._media.close(stream, now)

    def closed(self, stream: int) -> int:
        """A stream has told its statistics; its leg, 0 where it is no video."""
        return self._legs.pop(stream, 0)

    def _forget(self, stream: int) -> None:
        other = self._joined.pop(stream, None)
        if other is not None:
            self._joined.pop(other, None)
