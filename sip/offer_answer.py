"""The offer/answer exchange of one dialog (RFC 3264; when which message may carry what: RFC 3261 13.2.1, 3262 5,
3311, 6337).

    NONE ----our offer----> LOCAL  --their answer--> STABLE --our offer--> LOCAL ...
      \\---their offer----> REMOTE --our answer----> STABLE --their offer--> REMOTE ...
                            LOCAL, REMOTE --withdrawn or refused--> STABLE, or NONE when nothing was ever agreed

RFC 3264 4: "At any time, either agent MAY generate a new offer that updates the session. However, it MUST NOT
generate a new offer if it has received an offer which it has not yet answered or rejected. Furthermore, it MUST NOT
generate a new offer if it has generated a prior offer for which it has not yet received an answer or a rejection."
"""

from __future__ import annotations

from enum import Enum, auto


class WrongState(RuntimeError):
    """A session method was called in a state where it has no meaning: a mistake of the application."""


class Exchange(Enum):
    """Who owes whom."""

    NONE = auto()  # nothing offered yet
    LOCAL = auto()  # our offer waits for their answer
    REMOTE = auto()  # their offer waits for our answer
    STABLE = auto()  # agreed


_NONE, _LOCAL, _REMOTE, _STABLE = Exchange.NONE, Exchange.LOCAL, Exchange.REMOTE, Exchange.STABLE


class OfferAnswer:
    """Descriptions are bytes of SDP, never read here. Of the peer's agreed one only a hash is kept, to know a
    repetition.
    """

    __slots__ = ("_agreed", "_proposed", "_remote_hash", "local", "state")

    def __init__(self) -> None:
        self.state = _NONE
        self.local: bytes | None = None  # ours, as agreed last: sent again by a refreshing re-INVITE (RFC 4028 7.4)
        self._agreed = False
        self._proposed: bytes | None = None
        self._remote_hash = 0

    def copy(self) -> OfferAnswer:
        """For another early dialog of a forked INVITE: each has its own exchange."""
        other = OfferAnswer()
        other.state = self.state
        other.local = self.local
        other._agreed = self._agreed
        other._proposed = self._proposed
        other._remote_hash = self._remote_hash
        return other

    @property
    def quiet(self) -> bool:
        """Whether no offer waits for its answer: either side may offer."""
        return self.state is _STABLE or self.state is _NONE

    def offer_sent(self, sdp: bytes) -> None:
        if not self.quiet:
            raise WrongState(f"an offer is under way ({self.state.name})")
        self.state = _LOCAL
        self._proposed = sdp

    def answer_received(self, sdp: bytes) -> None:
        if self.state is not _LOCAL:
            raise WrongState(f"no offer of ours to answer ({self.state.name})")
        self.local = self._proposed
        self._settle(sdp)

    def offer_received(self, sdp: bytes) -> None:
        if not self.quiet:
            raise WrongState(f"an offer is under way ({self.state.name})")
        self.state = _REMOTE
        self._proposed = sdp

    def answer_sent(self, sdp: bytes) -> None:
        offer = self._proposed
        if self.state is not _REMOTE or offer is None:
            raise WrongState(f"no offer of theirs to answer ({self.state.name})")
        self.local = sdp
        self._settle(offer)

    def withdraw(self) -> None:
        """The offer under way, of either side, came to nothing: what was agreed before stands (RFC 3261 14.1)."""
        self._proposed = None
        self.state = _STABLE if self._agreed else _NONE

    def repeats(self, sdp: bytes) -> bool:
        """Whether the peer's `sdp` is, byte for byte, what it said last (RFC 3264 8: same version, same
        description).
        """
        return self._agreed and hash(sdp) == self._remote_hash

    def _settle(self, remote: bytes) -> None:
        self.state = _STABLE
        self._agreed = True
        self._proposed = None
        self._remote_hash = hash(remote)
