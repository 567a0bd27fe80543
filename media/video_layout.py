"""Where the video line stands among the m= lines of a leg, from its first description to its last (RFC 3264 8).

A layout has an entry for each m= line: "" for the audio, VIDEO_LINE for the video that is agreed or offered, and for
each other the line that refuses it.
"""

from __future__ import annotations

import msgspec

from media import sdes
from media.choice import AudioPolicy
from media.commands import MediaAddress
from media.video import VIDEO_LINE, Video, VideoOffered, VideoSession, offer_video


class Pictures(msgspec.Struct, frozen=True, gc=False):
    """The video to speak of to a leg: what the other leg's end says of it, and where this leg's is to be sent."""

    video: Video
    local: MediaAddress


def with_video(
    host: str,
    layout: tuple[str, ...],
    policy: AudioPolicy,
    before: VideoSession | None,
    used: tuple[tuple[int, str], ...],
    secure: bool,
    pictures: Pictures | None,
    random: sdes.Random,
) -> tuple[tuple[str, ...], tuple[str, ...], VideoOffered | None]:
    """The m= lines of an offer with its video, the layout of it, and what is offered. `before`, `used`: what stands on
    the leg, and every number that has had a meaning; the rest as for `offer_video`.

    RFC 3264 8: a line stays where it is; 8.1: a new stream takes the place of one that was refused, or a line of its
    own at the end; 8.2: one that is removed stays as a line with port 0.
    """
    taken = None
    if pictures is not None:
        taken = offer_video(pictures.video, pictures.local, host, policy, before, used, secure, random)
    if taken is None:
        if before is None:
            return layout, layout, None
        gone = placed(layout, layout.index(VIDEO_LINE), before.refusal)
        return gone, gone, None
    text, offered = taken
    places = [i for i, line in enumerate(layout) if line == VIDEO_LINE or line.startswith("m=video ")]
    place = layout.index(VIDEO_LINE) if before is not None else places[0] if places else len(layout)
    return placed(layout, place, text), placed(layout, place, VIDEO_LINE), offered


def placed(layout: tuple[str, ...], index: int, line: str) -> tuple[str, ...]:
    """The layout with this line at that place, which may be behind its end."""
    return (*layout[:index], line, *layout[index + 1 :])


def numbers_used(
    seen: VideoOffered | VideoSession | None, used: tuple[tuple[int, str], ...]
) -> tuple[tuple[int, str], ...]:
    """Every number of the video that has had a meaning, what came later winning."""
    if seen is None:
        return used
    said = seen.theirs if isinstance(seen, VideoSession) else seen.video
    return tuple({**dict(used), **{f.number: f.key for f in said.formats}}.items())
