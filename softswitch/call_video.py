"""Video between a call's two legs: it goes along with what the legs are told of their audio.

    Originate, Offer, MoveMedia      what the other leg's end has just asked for, else what stands there
    Progress, Accept, Answer         what is agreed with the other leg
    nobody on the other leg, music on hold, a service of the switch
                                     no video, and while music plays video that flows neither way

So there is no state of video beside that of the audio: what a leg is told is a function of what stands on the other. An
offer that changes video alone is carried to the other leg like a change of direction (`media.negotiate.changes_video`);
where that one refuses the offer, the audio goes on as it was and the video is refused.
"""

from __future__ import annotations

import msgspec

from media.video import Video
from softswitch.call_floor import State
from softswitch.call_page import PagingCall
from softswitch.vocabulary import Accept, Answer, AnyEffect, MoveMedia, Offer, Originate, Progress


class VideoCall(PagingCall):
    """The part of a `Call` that adds the video to what its legs are told."""

    __slots__ = ()

    def _with_video(self, effects: list[AnyEffect]) -> list[AnyEffect]:
        """These effects, those about media with their video."""
        for effect in effects:
            match effect:
                case Originate(endpoint=endpoint):
                    effect.video = (
                        self._named_by(self.a) if endpoint.policy.video and self.state is State.HUNTING else None
                    )
                case Progress(codecs=None) | Accept(codecs=None):
                    pass  # it was agreed before
                case Offer(leg=leg) | MoveMedia(leg=leg):
                    effect.video = self._seen_by(leg, asked=True)
                case Progress(leg=leg) | Accept(leg=leg) | Answer(leg=leg):
                    effect.video = self._seen_by(leg, asked=False)
                case _:
                    pass
        return effects

    @property
    def showing(self) -> tuple[int, int]:
        """The two legs that see each other: those who talk to each other and to nobody else."""
        other = self.partner(self.a)
        if other is None or self._alone or self._supervisors or self._holders.intersection(self.talkers):
            return (0, 0)
        return (self.a, other)

    def _named_by(self, leg: int) -> Video | None:
        """All that a leg's end has said of its video, for a leg that is to be called for it."""
        session = self._session_of(leg)
        if session is not None:
            return session.video.theirs if session.video is not None else None
        offer = self._offer.video if self._offer is not None else None
        return offer.video if offer is not None else None

    def _seen_by(self, leg: int, asked: bool) -> Video | None:
        """The video that a leg is told of; `asked`: with what the other one has asked for and has no answer to yet."""
        other = self.partner(leg)
        if other is None or self._alone or self.state is State.ENDING or not self._policy_of(leg).video:
            return None
        carried = self._carried
        if asked and carried is not None and carried.leg == other and carried.offer is not None:
            seen = carried.offer.video.video if carried.offer.video is not None else None
        else:
            session = self._session_of(other)
            seen = session.video.told() if session is not None and session.video is not None else None
        if seen is not None and (leg in self._music or other in self._music):
            return msgspec.structs.replace(seen, direction="inactive")
        return seen
