"""REFER in a session's dialog, both ways (RFC 3515): what the application calls on the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip.notifier import ReceivedRefer, Stage
from sip.offer_answer import WrongState
from sip.referral import Referral
from sip.session_core import Header, Headers, SessionCore, State

if TYPE_CHECKING:
    from sip.headers import NameAddr
    from sip.transfer_headers import ReferTo


class ReferringSession(SessionCore):
    """A session whose peer may ask us to refer to something, and may be asked."""

    __slots__ = ()

    def refer(
        self,
        refer_to: ReferTo | str,
        referred_by: NameAddr | str | None,
        now: float,
        sub: bool = True,
        headers: Headers = (),
    ) -> int:
        """Send REFER in the confirmed dialog; `ReferAnswered` and `ReferProgress` with the returned token follow.

        `sub` False asks the peer for no NOTIFY (RFC 4488). On a session that is over: 0, and nothing follows. SipError
        where `max_subscriptions` or the dialog's own limit is reached.
        """
        if self.over:
            return 0
        if self.state is not State.CONFIRMED:
            raise WrongState(f"refer() on {self}")
        usages = self.ua.usages
        here = usages.of(self.ua.sessions[self.id], self.dialog)
        lines: list[Header] = [("Refer-To", str(refer_to))]
        if referred_by is not None:
            lines.append(("Referred-By", str(referred_by)))
        if not sub:
            lines.append(("Refer-Sub", "false"))
        lines += headers
        referral = Referral(self.ua, here, self.ua.sessions[self.id], self.ua.next_id())
        usages.add_referral(here, referral)
        referral.start(lines, now)
        return referral.token

    def accept_refer(self, now: float, token: int | None = None) -> None:
        """Answer the peer's REFER with 202; see `ReceivedRefer.accept`. `token` None: the oldest that waits."""
        refer = self._received_refer(token, Stage.ASKED)
        if refer is not None:
            refer.accept(now)

    def reject_refer(self, status: int, now: float, token: int | None = None) -> None:
        """Answer the peer's REFER with a final status; see `ReceivedRefer.reject`."""
        refer = self._received_refer(token, Stage.ASKED)
        if refer is not None:
            refer.reject(status, now)

    def notify_refer(
        self, token: int | None, status: int, reason: str | None, now: float, over: bool | None = None
    ) -> None:
        """Tell the peer what becomes of its REFER; see `ReceivedRefer.notify`. Also after the session's end."""
        refer = self._received_refer(token, Stage.ACTIVE)
        if refer is not None:
            refer.notify(status, reason, now, over)

    def _received_refer(self, token: int | None, stage: Stage) -> ReceivedRefer | None:
        """None when it is over already, as it may be without the application knowing yet."""
        here = self.ua.usages.dialogs.get(self.dialog.id)
        for notifier in here.notifiers if here is not None else ():
            if isinstance(notifier, ReceivedRefer) and (
                notifier.token == token or (token is None and notifier.stage is stage)
            ):
                return notifier
        return None
