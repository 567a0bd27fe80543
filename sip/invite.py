"""INVITE sessions: what the application holds in its hand for one leg."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sip.effects import Destination
    from sip.ua import UserAgent

Headers = Sequence[tuple[str, str]]


class State(Enum):
    """Where a session stands; read-only for the application."""

    CALLING = auto()  # UAC: INVITE sent. UAS: INVITE came, nothing said but 100
    EARLY = auto()  # a provisional response with a tag was received (UAC) or sent (UAS)
    ACCEPTED = (
        auto()
    )  # UAC: 2xx came and our ACK waits for answer(). UAS: 2xx sent (or held back by PRACK), ACK not yet here
    CONFIRMED = auto()  # ACK sent (UAC) or received (UAS)
    ENDING = auto()  # over for the application; BYE, CANCEL or late responses still on the wire
    ENDED = auto()  # nothing left


class InviteSession:
    """One INVITE dialog usage, from the first INVITE to the last BYE.

    Made by `UserAgent.invite` (role "uac") or by an arriving INVITE (role "uas"). A method called in a state where it means
    nothing (answer() without an offer, progress() after accept()) raises `WrongState`: our own mistake, not the peer's.
    `hangup` and `cancel` are always allowed and do nothing once the session is over.
    """

    __slots__ = ("destination", "id", "remote_offer", "state", "ua", "user")

    id: int
    role: Literal["uac", "uas"]
    state: State
    user: object  # the application's own mark (its leg id); never read here
    remote_offer: bytes | None  # the peer's offer while it waits for our answer
    # Where requests inside the dialog and the ACK go. None: RFC 3263 from route set and remote target. The application sets the
    # Flow here when the peer is behind a NAT (its Contact can't be reached).
    destination: Destination

    # --- identity, for logs and records -------------------------------------------------------------------------------
    @property
    def call_id(self) -> str:
        raise NotImplementedError

    @property
    def local_tag(self) -> str:
        raise NotImplementedError

    @property
    def remote_tag(self) -> str:
        """The peer's tag; "" until the first response that has one."""
        raise NotImplementedError

    # --- UAS: answering the INVITE --------------------------------------------------------------------------------------
    def progress(
        self, status: int, sdp: bytes | None, now: float, reliable: bool | None = None, headers: Headers = ()
    ) -> None:
        """Send 101-199. `reliable` None: where the peer requires 100rel, and for responses with SDP where it supports it (by settings).

        `sdp` answers the INVITE's offer, or is our offer when the INVITE had none (then only reliably).
        """
        raise NotImplementedError

    def accept(self, sdp: bytes | None, now: float, headers: Headers = ()) -> None:
        """Send 200. `sdp`: the answer, or our offer for an offerless INVITE; None when a reliable 18x carried it already."""
        raise NotImplementedError

    def reject(self, status: int, reason: str | None, headers: Headers, now: float) -> None:
        """Send a final 3xx-6xx to the INVITE; `SessionEnded(cause="rejected")` follows."""
        raise NotImplementedError

    # --- UAC ---------------------------------------------------------------------------------------------------------------
    def cancel(self, now: float, reason: str | None = None) -> None:
        """CANCEL the INVITE (now, or after its first 1xx). `reason`: a Reason header value.

        `SessionFailed` follows: with 487, or with what the peer answered first. A 2xx that crosses is ACKed and BYEd inside.
        """
        raise NotImplementedError

    # --- both --------------------------------------------------------------------------------------------------------------
    def offer(self, sdp: bytes | None, now: float, method: Literal["INVITE", "UPDATE"] | None = None) -> None:
        """Offer a new description: `AnswerReceived` or `OfferFailed` follows.

        By re-INVITE when the dialog is confirmed, by UPDATE where asked for or in an early dialog (the peer must allow it).
        `sdp` None: an offerless re-INVITE, the peer's offer comes as `Offered`. One at a time: a second offer while one is under way,
        either side's, raises `WrongState`; `can_offer` tells.
        """
        raise NotImplementedError

    @property
    def can_offer(self) -> bool:
        """Whether offer() is allowed now: no offer of either side is waiting for its answer, and a way to send one exists."""
        raise NotImplementedError

    def answer(self, sdp: bytes, now: float) -> None:
        """Answer the pending `Offered`, wherever it came (re-INVITE, UPDATE, PRACK, 2xx: in our ACK, reliable 18x: in our PRACK)."""
        raise NotImplementedError

    def reject_offer(self, status: int, now: float, headers: Headers = ()) -> None:
        """Refuse the pending `Offered` with 488, 491...; what was agreed before stands. An offer in a 2xx or 18x: ends the session."""
        raise NotImplementedError

    def hangup(self, now: float, reason: str | None = None, status: int = 487) -> None:
        """End the session in whatever state: CANCEL (UAC early), final `status` (UAS early), BYE. `reason`: a Reason header value."""
        raise NotImplementedError

    def send_info(self, content_type: str, body: bytes, now: float) -> None:
        """Send INFO inside the confirmed dialog (RFC 6086 legacy usage); its answer matters only when it ends the dialog."""
        raise NotImplementedError

    ua: UserAgent


class WrongState(RuntimeError):
    """A session method was called in a state where it has no meaning."""
