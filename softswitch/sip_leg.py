"""A leg that is a SIP dialog: the neutral vocabulary on one side, `sip.invite.InviteSession` and SDP on the other.

A leg owns its stream of the media engine (same id), its o= line and what was agreed on it. Events of its session
become leg events (`translate`), effects of the call become session methods (`progress`, `accept`, `offer`...). What a
peer gets wrong in its SDP is answered here and never reaches the call.
"""

from __future__ import annotations

import re
from secrets import token_bytes
from typing import assert_never

import msgspec

from media.client import MediaClient
from media.commands import Format, MediaAddress, StreamSettings
from media.negotiate import (
    AudioOffer,
    AudioPolicy,
    AudioSession,
    Pictures,
    make_answer,
    make_offer,
    read_answer,
    read_offer,
)
from media.negotiate import (
    Offered as OfferSent,
)
from media.sdes import REFUSED_PROFILE, Random, SrtpRefused, keys_allowed
from media.sdp import INCOMPATIBLE_FORMAT, MISCELLANEOUS, NO_COMMON_CODEC, Origin, PayloadType, SdpError
from media.video import VIDEO_LINE, Video, VideoSession
from sip.errors import SipError
from sip.headers import NameAddr
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

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
"""RFC 3326 section 3.1: the Reason of a CANCEL to the legs that lost."""

MAX_UNHEARD_PROGRESS = 4
"""Reliable provisional responses that a caller may leave unacknowledged; news beyond them is left out: it does not
listen, and what it hears at last would be stale."""

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

_ELSEWHERE = re.compile(r"(?:^|,)\s*SIP\s*;(?:[^,]*;)?\s*cause\s*=\s*200\b", re.IGNORECASE)

_PRINTABLE = re.compile(r"[^ !#-\[\]-~]")

_SENDS = frozenset({"sendrecv", "sendonly"})
_RECEIVES = frozenset({"sendrecv", "recvonly"})


def reason_header(cause: int, text: str = "") -> str:
    """`Q.850;cause=16;text="..."` (RFC 3326); characters that need quoting are left out of the text."""
    if not text:
        return f"Q.850;cause={cause}"
    return f'Q.850;cause={cause};text="{_PRINTABLE.sub("", text)}"'


def warning(error: SdpError, host: str) -> list[tuple[str, str]]:
    """The Warning header (RFC 3261 20.43) that tells why a description is refused; `host` is ours."""
    return [warning_header(error.warning, error.reason, host)]


def warning_header(code: int, text: str, host: str) -> tuple[str, str]:
    agent = f"[{host}]" if ":" in host else host
    return "Warning", f'{code} {agent} "{_PRINTABLE.sub("", text)}"'


class SipLeg:
    """One SIP endpoint's part in a call."""

    __slots__ = (
        "_branches",
        "_media",
        "_offered",
        "_offers_in_200",
        "_pending",
        "_reliable",
        "_silence",
        "_talking",
        "agreed",
        "call",
        "displaced",
        "endpoint",
        "id",
        "inbound",
        "kind",
        "local",
        "nat",
        "origin",
        "over",
        "policy",
        "random",
        "session",
        "signalled_host",
        "video",
    )

    def __init__(
        self,
        leg: int,
        inbound: bool,
        kind: str,
        endpoint: str,
        policy: AudioPolicy,
        nat: bool,
        signalled_host: str,
        origin: Origin,
        media: MediaClient,
        silence: tuple[float | None, float | None],
        reliable: bool | None = None,
    ) -> None:
        self.id = leg
        self.inbound = inbound
        self.kind = kind
        self.endpoint = endpoint
        self.policy = policy
        self.nat = nat
        self.signalled_host = signalled_host
        self.origin = origin
        self.local = MediaAddress(origin.host, 0, 0)
        """Where our SDP asks for media: the stream's address, once it is open."""
        self._reliable = reliable
        self.session: InviteSession | None = None
        self.call = ""
        """Id of the contact this leg belongs to."""
        self.agreed: AudioSession | None = None
        self.displaced = False
        """The stream lies elsewhere than where the far end was asked to send, which can't be told before it answers."""
        self.over = False
        self.video: tuple[int, MediaAddress] | None = None
        """The stream of the leg's video and its address, while there is one (softswitch/video_streams.py)."""
        self.random: Random = token_bytes
        """Where SRTP keys of ours come from."""
        self._talking = False  # the call is answered: who should send has no reason to be silent
        self._branches: dict[str, AudioSession] | None = None  # early media by far end, of a forked INVITE
        self._media = media
        self._silence = silence  # seconds without RTP: in talk, on hold
        self._offered: OfferSent | None = None  # our offer that waits for its answer
        self._offers_in_200 = False  # that offer is in our 200: the first ACK answers it
        self._pending: AudioOffer | None = None  # the peer's offer that waits for our answer

    @property
    def established(self) -> bool:
        """Answered, and acknowledged: the far end can be offered something else."""
        return self.session is not None and self.session.state is State.CONFIRMED

    @property
    def told(self) -> bool:
        """The far end knows an address of ours."""
        return not self.inbound or self.agreed is not None

    # ---- from the peer ----------------------------------------------------------------------------------

    def arrived(self, sdp: bytes | None) -> AudioOffer | None:
        """The offer of an inbound leg's first request. Raises SdpError."""
        keys_allowed(self.policy)
        if sdp is None:
            return None
        self._pending = read_offer(sdp, self.policy)
        return self._pending

    def translate(self, event: SessionEvent, now: float) -> AnyLegEvent | None:
        """What a session event means to the call; None when it is not the call's business."""
        try:
            return self._translate(event, now)
        except SdpError as error:
            return self._bad_media(event, error, now)

    def _translate(self, event: SessionEvent, now: float) -> AnyLegEvent | None:
        match event:
            case SessionProgress():
                agreed = self._early_answer(event.sdp, event.branch, now)
                return Progressed(self.id, event.status, agreed, event.branch)
            case SessionAnswered():
                return Answered(self.id, self._answered(event.sdp, now))
            case SessionConfirmed():
                late, self._offers_in_200 = self._offers_in_200, False
                return Confirmed(self.id, self.agreed if late else None)
            case Offered():
                return self._reoffered(event.sdp)
            case AnswerReceived():
                self._agree(read_answer(event.sdp, self._offer_sent()), now)
                assert self.agreed is not None
                self._offered = None
                if self._offers_in_200:
                    return None  # the answer in the first ACK: Confirmed follows and brings it
                return Reanswered(self.id, self.agreed)
            case OfferFailed():
                self._offered = None
                return ReofferRefused(self.id, event.status)
            case OfferWithdrawn():
                self._pending = None
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
                return Released(self.id, _cause_of_cancel(event.reason), 487)
            case SessionEnded():
                return self._ended(event)
            case _:
                assert_never(event)

    def _offer_sent(self) -> OfferSent:
        if self._offered is None:
            raise SdpError(400, "Answer without an offer")
        return self._offered

    def _early_answer(self, sdp: bytes | None, branch: str, now: float) -> AudioSession | None:
        if sdp is None or self._offered is None:
            return None
        agreed = read_answer(sdp, self._offered)
        branches = self._branches
        if branches is None:
            branches = self._branches = {}
        self._agree(agreed, now)
        branches[branch] = agreed
        return agreed

    def _answered(self, sdp: bytes | None, now: float) -> AudioSession:
        """What was agreed with the far end that took the call: in its 200, or before it on its own branch."""
        self._talking = True
        early, branches, self._branches = self.agreed, self._branches, None
        if sdp is not None:
            agreed = read_answer(sdp, self._offer_sent())
        elif branches is not None and self.session is not None and self.session.remote_tag in branches:
            # A forked INVITE: the far end heard last need not be the one that answers.
            agreed = branches[self.session.remote_tag]
        elif early is not None:
            agreed = early
        else:
            raise SdpError(488, "No answer to our offer")
        self._offered = None
        self._agree(agreed, now)
        if agreed == early:
            self._configure(agreed, now)
        return agreed

    def _reoffered(self, sdp: bytes | None) -> AnyLegEvent:
        if sdp is None:
            self._pending = None
            return Reoffered(self.id, None)
        offer = read_offer(sdp, self.policy)
        if self.agreed is not None and self.agreed.crypto is not None and not offer.crypto:
            raise SrtpRefused("A call with SRTP does not go on without")
        self._pending = offer
        return Reoffered(self.id, self._pending)

    def _failed(self, event: SessionFailed) -> AnyLegEvent:
        self.over = True
        headers = dict(event.headers)
        if 300 <= event.status < 400:
            return Redirected(self.id, _first_contact(event.headers), Cause.NORMAL_UNSPECIFIED)
        cause = cause_of_reason(headers.get("Reason")) or cause_of_status(event.status)
        return Released(self.id, cause, event.status, retry_after=_seconds(headers.get("Retry-After")))

    def _ended(self, event: SessionEnded) -> AnyLegEvent:
        self.over = True
        cause = cause_of_reason(event.reason) or _END_CAUSES[event.cause]
        return Released(self.id, cause, event.status, by_peer=event.cause not in ("local", "rejected"))

    def _bad_media(self, event: SessionEvent, error: SdpError, now: float) -> AnyLegEvent | None:
        """The peer's description can't be used: refuse it where it can be refused, else end the leg."""
        session = self.session
        assert session is not None
        if isinstance(event, Offered) and event.where in ("INVITE", "UPDATE"):
            session.reject_offer(error.status, now, warning(error, self.origin.host))
            return None
        if isinstance(event, SessionProgress):
            return Progressed(self.id, event.status)
        self.over = True
        session.hangup(now, reason_header(Cause.INCOMPATIBLE_DESTINATION, error.reason), 488)
        return Released(self.id, Cause.INCOMPATIBLE_DESTINATION, 488, by_peer=False, text=error.reason)

    # ---- to the peer ------------------------------------------------------------------------------------

    def first_offer(self, codecs: tuple[PayloadType, ...], direction: str, video: Video | None = None) -> bytes:
        """The SDP of an outbound leg's INVITE, or of any offer. Raises SrtpRefused where it needs keys that it may not
        show."""
        policy = self.policy
        if self.inbound and policy.srtp == "optional":
            # In a 200 there is no second try: what every phone takes.
            policy = msgspec.structs.replace(policy, srtp="never")
        sdp, self._offered = make_offer(
            self.local,
            codecs,
            policy,
            direction,
            self.origin,
            self.agreed,
            random=self.random,
            pictures=self._pictures(video),
        )
        return sdp

    def _pictures(self, video: Video | None) -> Pictures | None:
        return Pictures(video, self.video[1]) if video is not None and self.video is not None else None

    @property
    def asked_audio(self) -> MediaAddress | None:
        """Where the peer wants the audio of an offer that has no answer yet."""
        return self._pending.remote if self._pending is not None else None

    @property
    def asked_video(self) -> MediaAddress | None:
        """Where the peer wants the video that it has asked for and has no answer to."""
        pending = self._pending
        return pending.video.remote if pending is not None and pending.video is not None else None

    @property
    def has_video(self) -> bool:
        """Whether video is agreed, or an offer of ours that has some waits for its answer."""
        offered, agreed = self._offered, self.agreed
        return (offered is not None and offered.video is not None) or (agreed is not None and agreed.video is not None)

    def lose_video(self) -> None:
        """Its stream is gone: what is offered next has keys of its own, since those of before were used with numbers
        that a new stream would use again (RFC 3711 9.1)."""
        self.video = None
        agreed = self.agreed
        if agreed is not None and agreed.video is not None:
            layout = tuple([agreed.video.refusal if line == VIDEO_LINE else line for line in agreed.layout])
            self.agreed = msgspec.structs.replace(agreed, video=None, layout=layout)

    def offers_plain(self, status: int) -> bool:
        """Whether a far end that answered the first INVITE with this status may take plain RTP, where SRTP was offered
        it and is not required; the next `first_offer` is of that."""
        sent = self._offered
        if self.inbound or self.policy.srtp != "optional" or status not in REFUSED_PROFILE:
            return False
        if self.agreed is not None or sent is None or not sent.crypto:
            return False
        self.policy = msgspec.structs.replace(self.policy, srtp="never")
        return True

    def offers_audio(self, status: int) -> bool:
        """Whether a far end that answered the first INVITE with this status may take audio alone, where video was
        offered it."""
        sent = self._offered
        if self.inbound or status not in REFUSED_PROFILE or self.agreed is not None:
            return False
        return sent is not None and sent.video is not None

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
        sdp = self._make_answer(codecs, direction, now, video) if codecs is not None else None
        self.session.progress(status, sdp, now, self._reliable)

    def accept(
        self, codecs: tuple[PayloadType, ...] | None, direction: str, now: float, video: Video | None = None
    ) -> None:
        """Send 200 with the answer, or with our offer when the INVITE had none."""
        assert self.session is not None
        self._talking = True
        if codecs is None:
            sdp = None  # the session repeats what it sent unreliably (RFC 3261 13.3.1.4)
            if self.agreed is not None:
                self._configure(self.agreed, now)
        elif self._pending is not None:
            sdp = self._make_answer(codecs, direction, now, video)
        else:
            sdp = self.first_offer(codecs, direction, video)
            self._offers_in_200 = True
        self.session.accept(sdp, now)

    def offer(self, codecs: tuple[PayloadType, ...], direction: str, now: float, video: Video | None = None) -> bool:
        """Offer new media; False when the session can't take an offer now."""
        session = self.session
        if session is None or not session.can_offer:
            return False
        session.offer(self.first_offer(codecs, direction, video), now)
        return True

    def moved(self, now: float) -> None:
        """The stream was lost and is open anew, at `local`: it carries what was agreed."""
        if self.agreed is not None:
            self._configure(self.agreed, now)

    def answer(self, codecs: tuple[PayloadType, ...], direction: str, now: float, video: Video | None = None) -> None:
        """Answer the pending offer, or make ours where the peer asked for one."""
        assert self.session is not None
        if not self.session.offer_pending:
            return  # taken back in the meantime
        if self._pending is not None:
            sdp = self._make_answer(codecs, direction, now, video)
        else:
            sdp = self.first_offer(codecs, direction, video)
        self.session.answer(sdp, now)

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
        self._pending = None
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
                headers.append(warning_header(code, text, self.origin.host))
            session.reject(status or 480, None, headers, now)
            return
        session.hangup(now, reason_header(cause, text))

    def _make_answer(self, codecs: tuple[PayloadType, ...], direction: str, now: float, video: Video | None) -> bytes:
        assert self._pending is not None
        sdp, agreed = make_answer(
            self._pending,
            self.local,
            codecs,
            direction,
            self.origin,
            self.agreed,
            random=self.random,
            pictures=self._pictures(video),
        )
        self._pending = None
        self._agree(agreed, now)
        return sdp

    # ---- media ------------------------------------------------------------------------------------------

    def _agree(self, session: AudioSession, now: float) -> None:
        """Keep what was agreed and tell the engine."""
        if session == self.agreed:
            return
        self.agreed = session
        if self._branches is not None and self.session is not None:
            self._branches[self.session.remote_tag] = session  # an UPDATE of that far end
        self._configure(session, now)

    def _configure(self, session: AudioSession, now: float) -> None:
        if session.video is not None and self.video is not None:
            self._configure_video(self.video[0], session.video, now)
        agreed = session.codecs + session.dtmf
        formats = _formats(agreed)
        crypto = session.crypto
        self._media.configure(
            self.id,
            StreamSettings(
                remote=session.remote,
                nat=self.nat,
                signalled_host=self.signalled_host,
                formats=formats,
                # RFC 3264 6.1: an answerer that chose its own numbers sends with those of the offer. Some do not.
                receives=() if session.receive in (agreed, ()) else _formats(session.receive) + formats,
                send=session.direction in _SENDS,
                receive=session.direction in _RECEIVES,
                fmtps=session.fmtps,
                tones=self.policy.digits in ("auto", "inband"),
                ptime=session.ptime,
                rtcp_mux=session.rtcp_mux,
                # Few telephones send anything before the answer, early media or not.
                silence_after=self._silence[session.direction != "sendrecv"] if self._talking else None,
                crypto_in=crypto.theirs if crypto is not None else None,
                crypto_out=crypto.ours if crypto is not None else None,
            ),
            now,
        )

    def _configure_video(self, stream: int, video: VideoSession, now: float) -> None:
        formats, receives = video.engine_formats()
        crypto = video.crypto
        self._media.configure(
            stream,
            StreamSettings(
                remote=video.remote,
                nat=self.nat,
                signalled_host=self.signalled_host,
                formats=formats,
                receives=receives,
                send=video.direction in _SENDS,
                receive=video.direction in _RECEIVES,
                tones=False,
                rtcp_mux=video.rtcp_mux,
                crypto_in=crypto.theirs if crypto is not None else None,
                crypto_out=crypto.ours if crypto is not None else None,
                as_is=True,
            ),
            now,
        )


def _formats(payloads: tuple[PayloadType, ...]) -> tuple[Format, ...]:
    return tuple([(p.number, p.codec.name, p.codec.clock) for p in payloads])


def _cause_of_cancel(reason: str) -> int:
    """Why the caller gave up. RFC 3326 3.1: `SIP;cause=200` says that another took the call, which the phones that
    rang for this leg must learn too, or they count it as missed.
    """
    if _ELSEWHERE.search(reason) is not None:
        return Cause.ANSWERED_ELSEWHERE
    return cause_of_reason(reason) or Cause.NORMAL_CLEARING


def _first_contact(headers: list[tuple[str, str]]) -> str:
    """The user part of the first Contact of a 3xx; "" when there is none that can be used."""
    for name, value in headers:
        if name == "Contact":
            try:
                # RFC 3261 19.1.2: escapes stand for characters; 19.1.1: a telephone-subscriber may bring parameters.
                return NameAddr.parse(value).uri.username.partition(";")[0]
            except SipError:
                return ""
    return ""


def _seconds(retry_after: str | None) -> float | None:
    """The delta-seconds of a Retry-After header (RFC 3261 20.33)."""
    if retry_after is None:
        return None
    digits = re.match(r"\s*(\d{1,9})", retry_after)
    return float(digits[1]) if digits else None
