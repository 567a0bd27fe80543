"""Makes legs, and gives legs and contacts their ids."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from media.client import MediaClient
from media.negotiate import AudioPolicy
from media.sdp import Origin
from sip.ids import Ids
from softswitch.leg_media import LegMedia
from softswitch.runtime_settings import RuntimeSettings
from softswitch.sip_leg import SipLeg


class LegMaker:
    """`announce`: our address for media towards a host. `wall`: Unix seconds."""

    __slots__ = ("_ids", "_leg_ids", "_media", "_settings", "announce", "wall")

    def __init__(
        self,
        media: MediaClient,
        ids: Ids,
        announce: Callable[[str], str],
        wall: Callable[[], float],
        settings: Callable[[], RuntimeSettings],
    ) -> None:
        self._media = media
        self._ids = ids
        self.announce = announce
        self.wall = wall
        self._settings = settings
        # Media workers outlive us: what they carry of before must not share an id with what we open. JSON readers
        # take 53 bits for granted.
        self._leg_ids = itertools.count(1 + ids.number(52))

    def next_leg(self) -> int:
        """An id that no leg, and nothing else at the media engine, has."""
        return next(self._leg_ids)

    def contact_id(self) -> str:
        """Unique across restarts and machines, and in the order of time: milliseconds, then 64 random bits."""
        return f"{int(self.wall() * 1000):011x}-{self._ids.number(64):016x}"

    def make(
        self,
        leg: int,
        inbound: bool,
        kind: str,
        endpoint: str,
        policy: AudioPolicy,
        nat: bool,
        host: str,
        reliable: bool | None = None,
    ) -> SipLeg:
        """A leg without a session and a stream."""
        # RFC 3264 section 5: session id and version are 64-bit numbers of which the top bit stays clear.
        origin = Origin(self._ids.number(62), 1, "-", self.announce(host))
        settings = self._settings()
        silence = (settings.silence_hangup, settings.hold_silence)
        media = LegMedia(leg, inbound, policy, nat, host, origin, self._media, silence, self._octets)
        return SipLeg(leg, inbound, kind, endpoint, media, reliable)

    def _octets(self, count: int) -> bytes:
        return self._ids.number(8 * count).to_bytes(count, "big")
