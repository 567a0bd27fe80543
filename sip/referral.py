"""A REFER of ours inside a session's dialog, and what the peer's NOTIFYs say of it (RFC 3515 2.4; RFC 4488).

    sent --2xx--> subscribed --NOTIFY*--> NOTIFY terminated, or silence --> gone
      \\-- other answers, none, Refer-Sub: false --> gone

The subscription begins with the REFER: a NOTIFY may come before the 2xx (RFC 6665 4.1.2.4). It goes on after the BYE of
the session (RFC 5057 3), and is given up when the peer does not say within 64*T1 that it has begun (RFC 6665 4.1.2.4,
Timer N), or lets it expire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sip.event_headers import SIPFRAG_TYPE, read_sipfrag, subscription_state_of
from sip.message import Request, Response
from sip.outgoing import InDialog, Kind
from sip.transfer_headers import wants_subscription
from sip.ua_events import ReferAnswered, ReferProgress
from sip.uas import Refused
from sip.usage import Header, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip.effects import FailureCause
    from sip.invite import InviteSession
    from sip.server_transaction import ServerTransaction
    from sip.timers import Timer
    from sip.ua import UserAgent
    from sip.usages import DialogUsages

DEFAULT_EXPIRES: Final = 180  # seconds, where the peer names none
MAX_EXPIRES: Final = 3600


class Referral(Usage):
    """The subscriber's side. `token`: what the application knows it by; `number`: the id of its NOTIFYs."""

    __slots__ = ("_answered", "_inside", "_number", "_over", "_said", "_session", "_timer", "token")

    def __init__(self, ua: UserAgent, here: DialogUsages, session: InviteSession, token: int) -> None:
        super().__init__(ua, here)
        self.token = token
        self._session = session
        self._inside: InDialog | None = None  # until it is answered
        self._number = ""
        self._answered = False
        self._over = False
        self._said = (0, "")  # status and reason of the last NOTIFY
        self._timer: Timer | None = None

    @property
    def number(self) -> str:
        """The CSeq number of the REFER: another one once it went again with credentials."""
        return self._number if self._inside is None else str(self._inside.request.cseq.number)

    # --- send -----------------------------------------------------------------------------------------------

    def start(self, headers: Sequence[Header], now: float) -> None:
        dialog = self._here.dialog
        request = dialog.request("REFER", headers)
        request.headers += self.ua.ability_headers
        request.headers += self.ua.request_headers
        self._inside = InDialog(self, dialog, Kind.REFER, request)
        self._inside.send(now)

    # --- receive --------------------------------------------------------------------------------------------

    def notified(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        """A NOTIFY of this usage. What is wrong with it is raised as SipError."""
        state = subscription_state_of(request)
        said = None
        if request.body:
            if request.content_type != SIPFRAG_TYPE:
                raise Refused(415, "Unsupported Media Type", ("Accept", SIPFRAG_TYPE))
            said = read_sipfrag(request.body)
            if said is None and not state.over:
                raise Refused(400, "Bad message/sipfrag: no status line")
        self._here.dialog.refresh_target(request)
        self.ua.reply(transaction, 200, None, (), now)
        if self._over:
            return
        if said is not None:
            self._said = said
        if state.over:
            self._end()
            return
        expires = DEFAULT_EXPIRES if state.expires is None else min(state.expires, MAX_EXPIRES)
        self._wait(max(expires, 64 * self.ua.timer_config.t1), now)
        if said is not None:
            self.ua.events.append(ReferProgress(self._session, self.token, *said, over=False))

    def _answered_inside(self, inside: InDialog, response: Response, now: float) -> None:
        accepted = response.status < 300
        subscribed = accepted and not self._over and wants_subscription(response)
        self._settle(inside)
        self.ua.events.append(ReferAnswered(self._session, self.token, response.status, response.reason, subscribed))
        if not subscribed:
            self._leave()
        elif self._timer is None:
            self._wait(64 * self.ua.timer_config.t1, now)
        if response.status == 481:
            # RFC 5057 5.1: the peer does not know the dialog, so none of its usages
            self._session._answered_inside(inside, response, now)

    def _failed_inside(self, inside: InDialog, cause: FailureCause, now: float) -> None:
        self._settle(inside)
        timed_out = cause == "timeout"
        status, reason = (408, "Request Timeout") if timed_out else (503, "Service Unavailable")
        self.ua.events.append(ReferAnswered(self._session, self.token, status, reason, False))
        self._leave()
        if not timed_out:
            self._session._failed_inside(inside, cause, now)
        # RFC 3261 12.2.1.2 would have the dialog ended where no answer comes (SHOULD). But some peers drop a REFER in
        # silence and talk on, and RFC 5057 5.1 has a 408 end no more than the usage that the request is of.

    # --- private --------------------------------------------------------------------------------------------

    def _settle(self, inside: InDialog) -> None:
        self._number = str(inside.request.cseq.number)
        self._inside = None
        self._answered = True

    def _wait(self, seconds: float, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.ua.timers.schedule(now + seconds, self._silent)

    def _silent(self, now: float) -> None:
        self._timer = None
        self._end()

    def _end(self) -> None:
        self._over = True
        self.ua.events.append(ReferProgress(self._session, self.token, *self._said, over=True))
        if self._answered:
            self._leave()

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.ua.usages.drop(self._here, self)
