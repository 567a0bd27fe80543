"""Our own changes to a running session: re-INVITE and UPDATE with an offer, their retries, and session refreshes
(RFC 4028).

start --> in flight --2xx--> done          AnswerReceived, or Offered when we sent no offer
              ^  \\--491, 500 with Retry-After--> back-off (RFC 3261 14.1) --+
              |---------------------------------------------------------------+
                 |--401, 407 (sip/outgoing.py), 422: sent again
                 |--other final--> OfferFailed; what was agreed before stands
                 |--1xx, then nothing--> CANCEL (sip/outgoing.py) --487--> OfferFailed
                 \\--no final response, to the CANCEL neither--> SessionEnded (timeout), BYE
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from sip import session_timer
from sip.errors import SipError
from sip.offer_answer import Exchange
from sip.outgoing import Kind, credentials_of
from sip.session_timer import Settled, header, settle_as_uac
from sip.ua_events import AnswerReceived, OfferFailed
from sip.uas import SDP, sdp_in

if TYPE_CHECKING:
    from sip.dialog import Dialog
    from sip.invite import InviteSession
    from sip.message import Response
    from sip.outgoing import InDialog
    from sip.timers import Timer

# Sendings of one offer that meet 491 or "500, try later": more is a peer that never will.
MAX_TRIES = 6
# The longest Retry-After that is worth waiting for inside; longer is the application's to know.
MAX_RETRY_AFTER = 10
# Seconds until a refresh that met another exchange, or a passing failure, is tried again.
REFRESH_AGAIN = 5.0
# Seconds until an offer whose back-off ended while the peer's offer waits for its answer is tried again.
OFFER_AGAIN = 1.0


class Reoffer:
    """One offer of ours from offer() to its outcome."""

    __slots__ = ("dialog", "in_flight", "method", "offered_early", "refresh", "sdp", "timer", "tries")

    def __init__(self, dialog: Dialog, method: str, sdp: bytes | None, refresh: bool) -> None:
        self.dialog = dialog
        self.method = method
        self.sdp = sdp
        self.refresh = refresh  # ours alone (RFC 4028): the application asked for nothing
        self.offered_early = False  # no offer of ours, and theirs came in a reliable 18x
        self.tries = 0
        self.in_flight: InDialog | None = None
        self.timer: Timer | None = None  # the back-off

    def abandon(self, session: InviteSession, now: float) -> None:
        """The session is over. A re-INVITE still in flight is cancelled; its 2xx, should one cross, is ACKed."""
        if self.timer is not None:
            self.timer.cancel()
        inside = self.in_flight
        if inside is not None and self.method == "INVITE":
            inside.cancel(now)
        self.in_flight = None


def start(session: InviteSession, method: str, sdp: bytes | None, now: float, refresh: bool = False) -> None:
    """Send an offer, or an offerless re-INVITE (`sdp` None). The caller has checked that it may be sent."""
    session._reoffer = Reoffer(session.dialog, method, sdp, refresh)
    _send(session, session._reoffer, now)


def _send(session: InviteSession, offer: Reoffer, now: float) -> None:
    dialog = offer.dialog
    headers = list(session.ua.ability_headers)
    headers += _session_expires(session)
    if offer.sdp is not None:
        dialog.exchange.offer_sent(offer.sdp)
        headers.append(("Content-Type", SDP))
    if offer.method == "INVITE":
        dialog.rseq = 0  # RFC 3262 4: RSeq counts within one INVITE transaction
    offer.in_flight = session._send_inside(Kind.OFFER, dialog, offer.method, now, headers, offer.sdp or b"")


def answered(session: InviteSession, inside: InDialog, response: Response, now: float) -> None:
    """The final response to our re-INVITE or UPDATE with an offer."""
    offer = session._reoffer
    if offer is None or offer.in_flight is not inside:
        return
    offer.in_flight = None
    status = response.status
    if status < 300:
        _accepted(session, offer, inside, response, now)
        return
    if offer.sdp is not None and offer.dialog.exchange.state is Exchange.LOCAL:
        # RFC 3261 14.1: "If a UA receives a non-2xx final response to a re-INVITE, the session parameters MUST remain
        # unchanged, as if no re-INVITE had been issued."
        offer.dialog.exchange.withdraw()
    may_go_again = offer.tries < MAX_TRIES and not inside.cancelled
    if status == 422 and _raise_interval(session, response) and may_go_again:
        offer.tries += 1
        _send(session, offer, now)
        return
    delay = _back_off(session, response)
    if delay is not None and may_go_again:
        offer.tries += 1
        offer.timer = session.ua.timers.schedule(now + delay, partial(_again, session))
        return
    session._reoffer = None
    if not offer.refresh:
        session.ua.events.append(OfferFailed(session, status))
    session._exchange_done(now)


def provisional(session: InviteSession, inside: InDialog, response: Response, now: float) -> None:
    """A reliable 18x to our re-INVITE: it wants a PRACK, and may bring the answer or the offer (RFC 3262 5)."""
    offer = session._reoffer
    if offer is None or offer.in_flight is not inside:
        return
    exchange = inside.dialog.exchange
    offerless = offer.sdp is None and not offer.offered_early
    waiting = exchange.state is Exchange.LOCAL
    if not session._reliable_provisional(inside.dialog, response, now, offerless, waiting):
        return
    answer = sdp_in(response)
    if answer is None:
        return
    if offerless:
        offer.offered_early = True
    elif waiting:
        session.ua.events.append(AnswerReceived(session, answer))


def _accepted(session: InviteSession, offer: Reoffer, inside: InDialog, response: Response, now: float) -> None:
    session._reoffer = None
    _settle(session, response, now)
    sdp = sdp_in(response)
    dialog = inside.dialog
    exchange = dialog.exchange
    cseq = response.cseq.number
    is_invite = offer.method == "INVITE"
    if is_invite and offer.sdp is None and not offer.offered_early and sdp is not None:
        # RFC 3261 14.1 with 13.2.1: no offer of ours, so theirs is in the 2xx; our ACK carries the answer.
        session._offered_in_2xx(dialog, cseq, credentials_of(inside.request), sdp, now)
        return
    if is_invite:
        session._send_ack(cseq, None, now, credentials_of(inside.request))
    owed = exchange.state is Exchange.LOCAL or (is_invite and offer.sdp is None and not offer.offered_early)
    if not owed:
        session._exchange_done(now)
        return
    if sdp is None:
        # RFC 3261 13.2.1, RFC 3311 5.1: the 2xx had to hold the answer (or the offer we asked for).
        session._break_off("bad-sdp", now)
        return
    repeated = exchange.repeats(sdp)
    exchange.answer_received(sdp)
    if not (offer.refresh and repeated):
        session.ua.events.append(AnswerReceived(session, sdp))
    session._exchange_done(now)


def _back_off(session: InviteSession, response: Response) -> float | None:
    """Seconds until the offer may go again; None: not at all."""
    random = session.ua.ids.random
    if response.status == 491:
        # RFC 3261 14.1: "1. If the UAC is the owner of the Call-ID of the dialog ID (meaning it generated the
        # value), T has a randomly chosen value between 2.1 and 4 seconds in units of 10 ms. 2. If the UAC is not
        # the owner ..., T has a randomly chosen value of between 0 and 2 seconds in units of 10 ms."
        return (210 + int(random() * 191) if session.role == "uac" else int(random() * 201)) / 100
    if response.status == 500:
        after = (response.get("Retry-After") or "").partition(";")[0].partition("(")[0].strip()
        if after.isascii() and after.isdigit() and len(after) < 4 and int(after) <= MAX_RETRY_AFTER:
            return int(after) + random()
    return None


def _again(session: InviteSession, now: float) -> None:
    """The back-off is over. RFC 3261 14.1: "the UAC SHOULD attempt the re-INVITE once more, if it still desires"."""
    offer = session._reoffer
    if offer is None or session.over:
        return
    offer.timer = None
    if session._pending is not None or session._unacked is not None or not offer.dialog.exchange.quiet:
        offer.timer = session.ua.timers.schedule(now + OFFER_AGAIN, partial(_again, session))
        return
    _send(session, offer, now)


# --- session timer ------------------------------------------------------------------------------------------


def settle(session: InviteSession, response: Response, sent: int, now: float) -> None:
    """A 2xx to an INVITE or UPDATE of ours that asked for an interval of `sent` seconds (0: for none)."""
    settled = settle_as_uac(response, sent)
    if settled is not None:
        session._arm(settled, now)


def _settle(session: InviteSession, response: Response, now: float) -> None:
    """A 2xx to a request inside: target refresh, Allow, session timer."""
    dialog = session.dialog
    with suppress(SipError):
        # A Contact that can't be read: the target that worked so far stays (the request has succeeded, nothing can
        # refuse it).
        dialog.refresh_target(response)
    dialog.note_allow(response)
    settle(session, response, session._settled.interval if session._settled is not None else 0, now)


def due(session: InviteSession, now: float) -> None:
    settled = session._settled
    session._timer = None
    if session.over or settled is None:
        return
    if now >= session._expires_at:
        # RFC 4028 10: no refresh came in time (or ours failed): "it SHOULD send a BYE"
        session._end("session-expired", now)
        session._send_bye(now, 'SIP;cause=408;text="Session expired"')
        return
    again_at = session._expires_at
    if settled.ours and not _refresh(session, now):
        again_at = min(now + REFRESH_AGAIN, again_at)
    # A refresh that is answered sets the timer anew.
    if session._timer is None:
        session._timer = session.ua.timers.schedule(again_at, session._timer_due)


def _refresh(session: InviteSession, now: float) -> bool:
    """Send a refresh; False when another exchange is under way, which may itself refresh the session."""
    if not session.can_offer:
        return False
    dialog = session.dialog
    if dialog.peer_updates:
        # RFC 4028 7.4: "If a UA knows that its peer supports the UPDATE method, it is RECOMMENDED that UPDATE be
        # used instead of a re-INVITE"; it carries no offer.
        headers = [*session.ua.ability_headers, *_session_expires(session)]
        session._send_inside(Kind.REFRESH, dialog, "UPDATE", now, headers)
        return True
    # A re-INVITE carries an offer "even if the details of the session have not changed. In that case, the offer MUST
    # indicate that it has not changed": the same o= version (RFC 3264 8).
    start(session, "INVITE", dialog.exchange.local, now, refresh=True)
    return True


def refreshed(session: InviteSession, inside: InDialog, response: Response, now: float) -> None:
    """The final response to a refreshing UPDATE."""
    status = response.status
    if status < 300:
        _settle(session, response, now)
        return
    if status == 422 and _raise_interval(session, response):
        again_at = now
    elif status in (405, 501):
        # It listed UPDATE in Allow and does not take it: re-INVITE from now on.
        inside.dialog.peer_updates = False
        again_at = now
    elif status in (491, 500, 503):
        again_at = now + REFRESH_AGAIN
    else:
        return  # nothing better to try: the session ends when it expires
    if session._timer is not None:
        session._timer.cancel()
    at = min(max(again_at, now), session._expires_at)
    session._timer = session.ua.timers.schedule(at, session._timer_due)


def _session_expires(session: InviteSession) -> list[tuple[str, str]]:
    """Session-Expires and Min-SE of a request inside, if the timer runs: a refresh names who refreshes (RFC 4028
    7.4).
    """
    settled = session._settled
    if settled is None:
        return []
    headers = [("Session-Expires", header(settled, "uac"))]
    if settled.interval > session_timer.FLOOR and session._min_se > session_timer.FLOOR:
        headers.append(("Min-SE", str(session._min_se)))
    return headers


def _raise_interval(session: InviteSession, response: Response) -> bool:
    """RFC 4028 7.3: after a 422 the request goes again with an interval of at least its Min-SE."""
    try:
        wanted = session_timer.min_se(response)
    except SipError:
        return False
    settled = session._settled
    if settled is None or wanted <= settled.interval:
        return False
    session._settled = Settled(wanted, settled.ours)
    session._min_se = wanted
    return True
