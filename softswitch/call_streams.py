"""The streams of calls' legs at the media engine: opened, joined, moved to another media worker, counted when closed.

    open --> (regroup, or lost --> open_again)* --> leave --StreamClosed--> closed

A leg's stream has the leg's id. Streams of one group are on one media worker; one that can't be where it has to be, or
that went with its worker, is lost until it is open again and its far end has been told (`MediaLost` to the call, which
answers with `MoveMedia`).
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from media.client import MediaClient
from media.commands import MediaAddress, NoMediaPorts, StreamStats
from media.video import Video
from softswitch.active_call import Active
from softswitch.call_tables import CallTables
from softswitch.room_calls import conference_group
from softswitch.rooms import Rooms
from softswitch.sip_leg import SipLeg
from softswitch.video_streams import VideoStreams
from softswitch.vocabulary import MediaLost

log = structlog.get_logger("calls")

ELSEWHERE = "its call goes on at another media worker"


class CallStreams:
    """Streams of all calls. `new_stream` gives ids."""

    __slots__ = ("_lost", "_media", "_owner", "_rooms", "_tables", "video")

    def __init__(self, media: MediaClient, tables: CallTables, rooms: Rooms, new_stream: Callable[[], int]) -> None:
        self._media = media
        self._tables = tables
        self._rooms = rooms
        self._owner: dict[int, str] = {}  # open stream -> contact
        self._lost: set[int] = set()  # streams that went with their media worker and are not open again
        self.video = VideoStreams(media, new_stream)

    def __len__(self) -> int:
        """Those that have not told their statistics yet."""
        return len(self._owner)

    # ---- open -------------------------------------------------------------------------------------------

    def open(self, leg: SipLeg, group: str, remote: MediaAddress | None, now: float) -> None:
        """Let a leg have its stream, with those of a group. Raises `NoMediaPorts`."""
        media = leg.media
        host = media.origin.host
        media.local = self._media.open(leg.id, media.signalled_host, remote, media.nat, host, now, group)

    def belongs(self, stream: int, active: Active) -> None:
        """A stream that is open now is that call's."""
        active.streams += 1
        self._owner[stream] = active.call.contact.id

    def open_video(self, active: Active, leg: SipLeg, video: Video | None, now: float) -> None:
        """Have a stream for the video that a leg is about to be told of."""
        if video is None or leg.media.video is not None:
            return
        stream = self.video.open(leg.media, active.group, now)
        if not stream:
            self._tables.counters["video left out: no media ports"] += 1
            return
        active.shown = True
        self.belongs(stream, active)

    def open_again(self, active: Active, leg: SipLeg, now: float) -> bool:
        """A stream that is lost lies where its call is, its far end has yet to be told; False: there is no place."""
        agreed = leg.media.agreed
        remote = agreed.remote if agreed is not None else leg.media.asked_audio
        # Whoever was in its conference meets there again: the first one's place is everybody's.
        conference = self._rooms.conference(leg.id)
        group = conference_group(conference) if conference else active.group
        try:
            self.open(leg, group, remote, now)
        except NoMediaPorts as full:
            contact = active.call.contact.id
            log.debug("no place for a lost stream yet", contact=contact, stream=leg.id, why=str(full))
            return False
        self._lost.discard(leg.id)
        self._tables.counters["streams moved to another media worker"] += 1
        active.bridged = (0, 0)
        self.video.lost(leg.media, now)
        leg.media.configure(now)
        return True

    def is_lost(self, leg: SipLeg) -> bool:
        """Whether its stream is at no media worker now."""
        return leg.id in self._lost

    # ---- who is with whom -------------------------------------------------------------------------------

    def bridge(self, active: Active, a: int, b: int, now: float) -> None:
        """Join two legs of a call, if they are not joined already."""
        if active.bridged != (a, b):
            active.bridged = (a, b)
            self._media.bridge(a, b, now)

    def unbridge(self, active: Active, leg: int, now: float) -> None:
        """Part a leg from the other."""
        active.bridged = (0, 0)
        self._media.unbridge(leg, now)

    def show(self, active: Active, now: float) -> None:
        """Have those see each other whom their call wants to."""
        if active.shown:
            media = [leg.media for leg in self._tables.legs_of(active)]
            self.video.settle(media, active.call.showing, now)

    def enter_room(self, active: Active, leg: SipLeg, conference: str, now: float) -> None:
        """A leg comes into a conference."""
        if leg.id in self._lost:
            return
        # Who was sent there in the middle of a call may be at another media worker than those who are there.
        active.group = conference_group(conference)
        if self._in_group(active, leg, active.group, now):
            self._rooms.enter(conference, leg.id, now)
        else:
            self._tables.tell(active, MediaLost(leg.id, ELSEWHERE))

    def takes_place(self, old: int, new: int, now: float) -> None:
        """Another leg has the place of one that is in a conference, if it is in one."""
        name, leg = self._rooms.conference(old), self._tables.legs.get(new)
        active = self._tables.call_of(new)
        if not name or leg is None or active is None:
            return
        active.group = conference_group(name)
        there = self._in_group(active, leg, active.group, now)
        self._rooms.replace(old, new, now)
        if not there:
            self._rooms.lost(new, now)
            self._tables.tell(active, MediaLost(new, ELSEWHERE))

    # ---- moves ------------------------------------------------------------------------------------------

    def moved(self, leg: int, there: Active, here: Active, now: float) -> None:
        """The stream of a leg belongs to the call `here` from now on, and no more to the one that was `there`."""
        if self._owner.get(leg) == there.call.contact.id:
            self._handed_on(leg, there, here)
        if leg in there.bridged:
            there.bridged = (0, 0)
        self._rooms.leave(leg, now)
        mine = self._tables.legs[leg]
        stays = self._in_group(here, mine, here.group, now)
        self._video_moved(mine, there, here, now)
        if stays:
            return
        # At once, so that whatever its far end is told next says where it is to send.
        if self.open_again(here, mine, now) and not mine.established:
            mine.displaced = mine.told
        else:
            self._tables.tell(here, MediaLost(leg, ELSEWHERE))

    def gather(self, active: Active, group: str, now: float) -> None:
        """The streams of a call that talks go to where those of a group are."""
        active.group = group
        for leg in self._tables.legs_of(active):
            if not self._in_group(active, leg, group, now):
                self._tables.tell(active, MediaLost(leg.id, ELSEWHERE))
            if leg.media.video is not None and not self._media.regroup(leg.media.video[0], group, now):
                self.video.lost(leg.media, now)

    def _handed_on(self, stream: int, there: Active, here: Active) -> None:
        there.streams -= 1
        self.belongs(stream, here)

    def _in_group(self, active: Active, leg: SipLeg, group: str, now: float) -> bool:
        """Have a stream be where those of a group are; False where it is lost for it, and has to be opened there."""
        if self._media.regroup(leg.id, group, now):
            return True
        self._lost.add(leg.id)
        active.bridged = (0, 0)
        return False

    def _video_moved(self, leg: SipLeg, there: Active, here: Active, now: float) -> None:
        """The stream of a leg's video goes with it."""
        if leg.media.video is None:
            return
        stream = leg.media.video[0]
        self._handed_on(stream, there, here)
        here.shown = True
        self.video.part(leg.media, now)
        if not self._media.regroup(stream, here.group, now):
            self.video.lost(leg.media, now)

    # ---- ends -------------------------------------------------------------------------------------------

    def lost(self, stream: int, why: str, now: float) -> Active | None:
        """A stream went with its media worker; the call that has to be told, if it is one's audio."""
        seen = self._tables.legs.get(self.video.leg_of(stream))
        if seen is not None and seen.media.video is not None and seen.media.video[0] == stream:
            self.video.lost(seen.media, now)
            return None
        active = self._tables.call_of(stream)
        if active is None:
            self._media.close(stream, now)
            return None
        log.warning("stream lost", contact=active.call.contact.id, stream=stream, why=why)
        self._lost.add(stream)
        active.bridged = (0, 0)
        self._rooms.lost(stream, now)
        return active

    def leave(self, active: Active, leg: SipLeg, now: float) -> None:
        """A leg's dialog has ended: give its streams back."""
        self._rooms.leave(leg.id, now)
        self.video.leave(leg.media, now)
        self._media.close(leg.id, now)
        self._lost.discard(leg.id)
        if leg.id in active.bridged:
            active.bridged = (0, 0)

    def closed(self, stream: int, stats: StreamStats) -> Active | None:
        """A stream has told its statistics, the last that is heard of it: its call, with them on record."""
        active = self._tables.calls.get(self._owner.pop(stream, ""))
        seen = self.video.closed(stream)
        if active is None:
            return None
        active.streams -= 1
        record = active.call.contact.leg(seen or stream)
        if record is not None and seen:
            record.add_video(stats)
        elif record is not None:
            record.stats = stats
        return active
