"""A leg that is a SIP dialog: the neutral vocabulary on one side, `sip.invite.InviteSession` on the other.

Events of its session become leg events (`translate`), effects of the call become session methods (`progress`, `accept`,
`offer`...). Descriptions are read and made by its media (`LegMedia`). What a peer gets wrong in them is answered here
and never reaches the call.
"""

from __future__ import annotations

from typing import assert_never

from media.negotiate import AudioOffer
from media.sdp import INCOMPATIBLE_FORMAT, MISCELLANEOUS, NO_COMMON_CODEC, PayloadType, SdpError
from media.video import Video
from sip.errors import SipError
from sip.invite import InviteSession, State
from sip.ua_events import (
    AnswerReceived,
    Cancelled,
    InfoReceived,
    Offered,
    OfferFailed,
    OfferWithdrawn,
    ReferAnswered,
    ReferProgress,
    SessionAnswered,
    SessionConfirmed,
    SessionEnded,
    SessionFailed,
    SessionProgress,
)
from softswitch import info_digits
from softswitch.causes import Cause, cause_of_reason, cause_of_status
from softswitch.leg_media import LegMedia
from softswitch.sip_reasons import (
    ELSEWHERE,
    cause_of_cancel,
    delta_seconds,
    first_contact,
    reason_header,
    warning,
    warning_header,
)
from softswitch.vocabulary import (
    Answered,
    AnyLegEvent,
    Confirmed,
    DigitDialled,
    Progressed,
    Reanswered,
    Redirected,
    Released,
    Reoffered,
    ReofferRefused,
    TransferAnswered,
)
from softswitch.vocabulary import OfferWithdrawn as TakenBack

SessionEvent = (
    SessionProgress
    | SessionAnswered
    | SessionFailed
    | SessionConfirmed
    | Cancelled
    | Offered
    | AnswerReceived
    | OfferFailed
    | OfferWithdrawn
    | InfoReceived
    | ReferAnswered
    | ReferProgress
    | SessionEnded
)

_END_CAUSES: dict[str, int] = {
    "bye": Cause.NORMAL_CLEARING,
    "local": Cause.NORMAL_CLEARING,
    "rejected": Cause.NORMAL_CLEARING,
    "no-ack": Cause.TIMER_EXPIRED,
    "no-prack": Cause.TIMER_EXPIRED,
    "session-expired": Cause.TIMER_EXPIRED,
    "timeout": Cause.TIMER_EXPIRED,
    "gone": Cause.TEMPORARY_FAILURE,
    "transport": Cause.NETWORK_OUT_OF_ORDER,
    "bad-sdp": Cause.INCOMPATIBLE_DESTINATION,
}

MAX_UNHEARD_PROGRESS = 4
"""Reliable provisional responses that a caller may leave unacknowledged; news beyond them is left out: it does not
listen, and what it hears at last would be stale."""


class SipLeg:
    """One SIP endpoint's part in a call."""

    __slots__ = (
        "_offers_in_200",
        "_reliable",
        "call",
        "displaced",
        "endpoint",
        "id",
        "inbound",
        "kind",
        "media",
        "over",
        "session",
    )

    def __init__(
        self, leg: int, inbound: bool, kind: str, endpoint: str, media: LegMedia, reliable: bool | None = None
    ) -> None:
        self.id = leg
        self.inbound = inbound
        self.kind = kind
        self.endpoint = endpoint
        self.media = media
        self._reliable = reliable
        self.session: InviteSession | None = None
        self.call = ""
        """Id of the contact this leg belongs to."""
        self.displaced = False
        """The stream lies elsewhere than where the far end was asked to send, which can't be told before it answers."""
        self.over = False
        self._offers_in_200 = False  # our offer that waits is in our 200: the first ACK answers it

    @property
    def established(self) -> bool:
        """Answered, and acknowledged: the far end can be offered something else."""
        return self.session is not None and self.session.state is State.CONFIRMED

    @property
    def told(self) -> bool:
        """The far end knows an address of ours."""
        return not self.inbound or self.media.agreed is not None

    @property
    def _far_end(self) -> str:
        """The tag of whom the dialog is with: branches of a forked INVITE are told apart by it."""
        return self.session.remote_tag if self.session is not None else ""

    # ---- from the peer ----------------------------------------------------------------------------------

    def arrived(self, sdp: bytes | None) -> AudioOffer | None:
        """The offer of an inbound leg's first request. Raises SdpError."""
        return self.media.offered(sdp)

    def translate(self, event: SessionEvent, now: float) -> AnyLegEvent | None:
        """What a session event means to the call; None when it is not the call's business."""
        try:
            return self._translate(event, now)
        except SdpError as error:
            return self._bad_media(event, error, now)

    def _translate(self, event: SessionEvent, now: float) -> AnyLegEvent | None:
        match event:
            case SessionProgress():
                agreed = self.media.early_answer(event.sdp, event.branch, self._far_end, now)
                return Progressed(self.id, event.status, agreed, event.branch)
            case SessionAnswered():
                return Answered(self.id, self.media.final_answer(event.sdp, self._far_end, now))
            case SessionConfirmed():
                late, self._offers_in_200 = self._offers_in_200, False
                return Confirmed(self.id, self.media.agreed if late else None)
            case Offered():
                return Reoffered(self.id, self.media.reoffered(event.sdp))
            case AnswerReceived():
                agreed = self.media.answered(event.sdp, self._far_end, now)
                if self._offers_in_200:
                    return None  # the answer in the first ACK: Confirmed follows and brings it
                return Reanswered(self.id, agreed)
            case OfferFailed():
                self.media.refused()
                return ReofferRefused(self.id, event.status)
            case OfferWithdrawn():
                self.media.withdrawn()
                return TakenBack(self.id)
            case InfoReceived():
                dialled = info_digits.read(event.content_type, event.body)
                return None if dialled is None else DigitDialled(self.id, *dialled, "info")
            case ReferAnswered(status=status):
                assert self.session is not None
                if self.session.over:
                    return None  # 481, or no answer at all: that was the end of the dialog, too
                # RFC 3515 2.4.2: a 202 says that it is at work; how that ends its NOTIFYs tell.
                return TransferAnswered(self.id, 100 if status < 300 else status)
            case ReferProgress(status=status, over=over):
                # A last NOTIFY that tells no end, or none in time: it is not to be known any more.
                return TransferAnswered(self.id, 408 if over and status < 200 else status or 100)
            case SessionFailed():
                return self._failed(event)
            case Cancelled():
                self.over = True
                return Released(self.id, cause_of_cancel(event.reason), 487)
            case SessionEnded():
                return self._ended(event)
            case _:
                assert_never(event)

    def _failed(self, event: SessionFailed) -> AnyLegEvent:
        self.over = True
        headers = dict(event.headers)
        if 300 <= event.status < 400:
            return Redirected(self.id, first_contact(event.headers), Cause.NORMAL_UNSPECIFIED)
        cause = cause_of_reason(headers.get("Reason")) or cause_of_status(event.status)
        return Released(self.id, cause, event.status, retry_after=delta_seconds(headers.get("Retry-After")))

    def _ended(self, event: SessionEnded) -> AnyLegEvent:
        self.over = True
        cause = cause_of_reason(event.reason) or _END_CAUSES[event.cause]
        return Released(self.id, cause, event.status, by_peer=event.cause not in ("local", "rejected"))

    def _bad_media(self, event: SessionEvent, error: SdpError, now: float) -> AnyLegEvent | None:
        """The peer's description can't be used: refuse it where it can be refused, else end the leg."""
        session = self.session
        assert session is not None
        if isinstance(event, Offered) and event.where in ("INVITE", "UPDATE"):
            session.reject_offer(error.status, now, warning(error, self.media.origin.host))
            return None
        if isinstance(event, SessionProgress):
            return Progressed(self.id, event.status)
        self.over = True
        session.hangup(now, reason_header(Cause.INCOMPATIBLE_DESTINATION, error.reason), 488)
        return Released(self.id, Cause.INCOMPATIBLE_DESTINATION, 488, by_peer=False, text=error.reason)

    # ---- to the peer ------------------------------------------------------------------------------------

    def progress(
        self,
        status: int,
        codecs: tuple[PayloadType, ...] | None,
        direction: str,
        now: float,
        video: Video | None = None,
    ) -> None:
        """Send 18x, with the answer when `codecs` is given."""
        assert self.session is not None
        if codecs is None and self.session.unheard_progress >= MAX_UNHEARD_PROGRESS:
            return
        sdp = self._answer(codecs, direction, video, now) if codecs is not None else None
        self.session.progress(status, sdp, now, self._reliable)

    def accept(
        self, codecs: tuple[PayloadType, ...] | None, direction: str, now: float, video: Video | None = None
    ) -> None:
        """Send 200 with the answer, or with our offer when the INVITE had none."""
        assert self.session is not None
        self.media.talk()
        if codecs is None:
            sdp = None  # the session repeats what it sent unreliably (RFC 3261 13.3.1.4)
            self.media.configure(now)
        elif self.media.pending:
            sdp = self._answer(codecs, direction, video, now)
        else:
            sdp = self.media.offer(codecs, direction, video)
            self._offers_in_200 = True
        self.session.accept(sdp, now)

    def offer(self, codecs: tuple[PayloadType, ...], direction: str, now: float, video: Video | None = None) -> bool:
        """Offer new media; False when the session can't take an offer now."""
        session = self.session
        if session is None or not session.can_offer:
            return False
        session.offer(self.media.offer(codecs, direction, video), now)
        return True

    def answer(self, codecs: tuple[PayloadType, ...], direction: str, now: float, video: Video | None = None) -> None:
        """Answer the pending offer, or make ours where the peer asked for one."""
        assert self.session is not None
        if not self.session.offer_pending:
            return  # taken back in the meantime
        if self.media.pending:
            sdp = self._answer(codecs, direction, video, now)
        else:
            sdp = self.media.offer(codecs, direction, video)
        self.session.answer(sdp, now)

    def _answer(self, codecs: tuple[PayloadType, ...], direction: str, video: Video | None, now: float) -> bytes:
        return self.media.answer(codecs, direction, video, self._far_end, now)

    def send_digit(self, digit: str, duration_ms: int, now: float) -> bool:
        """Send a digit by INFO; False where the dialog is not established."""
        session = self.session
        if session is None or session.state is not State.CONFIRMED:
            return False
        session.send_info(*info_digits.write(digit, duration_ms), now)
        return True

    def ask_transfer(self, target: str, by: str, now: float) -> bool:
        """Ask the peer by REFER to call `target` itself; False where it has said that it takes none, or no request of
        ours can go."""
        session = self.session
        if session is None or session.state is not State.CONFIRMED or not session.dialog.peer_refers:
            return False
        try:
            session.refer(target, by or None, now)
        except SipError:
            return False
        return True

    def refuse_offer(self, status: int, now: float) -> None:
        """Refuse the pending offer."""
        assert self.session is not None
        self.media.withdrawn()
        if self.session.offer_pending:
            self.session.reject_offer(status, now)

    def release(self, cause: int, status: int, text: str, retry_after: int | None, now: float) -> None:
        """End the leg, whatever its state."""
        session = self.session
        if session is None or self.over:
            return
        if cause == Cause.ANSWERED_ELSEWHERE and session.role == "uac":
            session.hangup(now, ELSEWHERE)
            return
        if session.role == "uas" and session.state in (State.CALLING, State.EARLY):
            headers = [] if retry_after is None else [("Retry-After", str(retry_after))]
            if cause != Cause.NORMAL_CLEARING:
                headers.append(("Reason", reason_header(cause, text)))
            if status == 488 and text:
                code = INCOMPATIBLE_FORMAT if text == NO_COMMON_CODEC else MISCELLANEOUS
                headers.append(warning_header(code, text, self.media.origin.host))
            session.reject(status or 480, None, headers, now)
            return
        session.hangup(now, reason_header(cause, text))
