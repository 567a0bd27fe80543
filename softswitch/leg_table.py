"""The legs that there are, by id and by whose they are."""

from __future__ import annotations

from softswitch.sip_leg import SipLeg


class LegTable(dict[int, SipLeg]):
    """Legs by id. `of` finds those of an extension or trunk without looking at all the others. It is changed by setting
    and deleting items alone."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[tuple[str, str], dict[int, SipLeg]] = {}

    def __setitem__(self, leg: int, made: SipLeg) -> None:
        super().__setitem__(leg, made)
        self._of.setdefault((made.kind, made.endpoint), {})[leg] = made

    def __delitem__(self, leg: int) -> None:
        gone = self[leg]
        super().__delitem__(leg)
        whose = (gone.kind, gone.endpoint)
        del self._of[whose][leg]
        if not self._of[whose]:
            del self._of[whose]

    def of(self, kind: str, endpoint: str) -> list[SipLeg]:
        """The legs of an extension or trunk, the oldest first."""
        return list(self._of.get((kind, endpoint), {}).values())
