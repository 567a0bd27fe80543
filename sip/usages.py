"""Event usages of dialogs: what REFER and SUBSCRIBE leave behind (RFC 3515, RFC 6665), and who gets their requests.

    UserAgent --REFER, SUBSCRIBE, NOTIFY--> Usages --by dialog id--> DialogUsages --by Event--> ReceivedRefer
                                                                                                Subscription
                                                                                                Referral
RFC 5057 3: several usages share a dialog, and the dialog is there as long as one of them is. So a transfer's NOTIFYs go
on after the BYE of the session: the `Dialog` itself (sequence numbers, remote target, route set) is shared, and this
table finds it when the session is in no table any more. Every usage ends by itself after a bounded time, and there are
never more than `UaSettings.max_subscriptions` of them, `MAX_PER_DIALOG` in one dialog.

A SUBSCRIBE makes a dialog of its own: one inside another dialog is taken as a refresh only (RFC 6665 4.5.2 has new
usages in existing dialogs as a thing of the past).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sip.dialog import Dialog, DialogId
from sip.errors import SipError
from sip.event_headers import EventType, event_of
from sip.notifier import Notifier, ReceivedRefer, Subscription
from sip.referral import Referral
from sip.transfer_headers import refer_to_of, referred_by_of, wants_subscription
from sip.ua_events import ReferArrived, ReferReceived, SubscriptionArrived
from sip.uas import Refused
from sip.usage import REFER, RETRY_AFTER, asked_expires

if TYPE_CHECKING:
    from sip.effects import Destination, Flow
    from sip.invite import InviteSession
    from sip.message import Request
    from sip.server_transaction import ServerTransaction
    from sip.ua import UserAgent

MAX_PER_DIALOG: Final = 8
"""Usages of one dialog: a phone has one or two references under way."""

EVENT_METHODS: Final = frozenset({"REFER", "SUBSCRIBE", "NOTIFY"})


class DialogUsages:
    """One dialog with its event usages; the INVITE session that it is shared with, or None."""

    __slots__ = ("_contact_user", "_destination", "dialog", "notifiers", "referrals", "session")

    def __init__(self, dialog: Dialog, session: InviteSession | None, contact_user: str) -> None:
        self.dialog = dialog
        self.session = session
        self.notifiers: list[Notifier] = []
        self.referrals: list[Referral] = []
        self._contact_user = contact_user
        self._destination: Destination = None

    @property
    def contact_user(self) -> str:
        return self._contact_user if self.session is None else self.session.contact_user

    @property
    def destination(self) -> Destination:
        """Where requests go: with a session, where its own go."""
        return self._destination if self.session is None else self.session.destination

    @destination.setter
    def destination(self, destination: Destination) -> None:
        if self.session is None:
            self._destination = destination
        else:
            self.session.destination = destination


class Usages:
    """The dialogs of a user agent that have event usages."""

    __slots__ = ("_count", "_ua", "dialogs")

    def __init__(self, ua: UserAgent) -> None:
        self._ua = ua
        self._count = 0
        self.dialogs: dict[DialogId, DialogUsages] = {}

    def __len__(self) -> int:
        """How many usages there are, in all dialogs."""
        return self._count

    # --- receive --------------------------------------------------------------------------------------------

    def arrive(self, transaction: ServerTransaction, request: Request, flow: Flow, now: float) -> None:
        """A REFER, SUBSCRIBE or NOTIFY outside any dialog. What is wrong with it is raised as SipError."""
        method = request.method
        if method == "NOTIFY":
            # RFC 6665 4.1.3: a NOTIFY that matches no subscription gets 481
            raise SipError(481, "Subscription does not exist")
        if self._ua.draining:
            raise Refused(503, "Service Unavailable", RETRY_AFTER)
        if method == "REFER":
            self._refer_arrives(transaction, request, flow, now)
        else:
            self._subscribe_arrives(transaction, request, flow, now)

    def receive(
        self, session: InviteSession | None, transaction: ServerTransaction, request: Request, now: float
    ) -> None:
        """A REFER, SUBSCRIBE or NOTIFY inside a dialog; `session`: the one that the dialog is of."""
        here = self.dialogs.get((request.call_id, request.to_tag, request.from_tag))
        if here is not None:
            dialog = here.dialog
        elif session is not None:
            dialog = session._dialog_of(request.from_tag)
        else:
            raise SipError(481, "Call/Transaction Does Not Exist")
        if not dialog.in_order(request.cseq.number):
            raise SipError(500, "CSeq out of order")
        method = request.method
        if method == "REFER":
            if session is None or session.over:
                raise SipError(481, "Call/Transaction Does Not Exist")
            self._refer_inside(session, dialog, transaction, request, now)
        elif method == "NOTIFY":
            self._referral(here, event_of(request)).notified(transaction, request, now)
        else:
            self._notifier(here, event_of(request)).refreshed(transaction, request, now)

    def _referral(self, here: DialogUsages | None, event: EventType) -> Referral:
        """RFC 3515 2.4.6: the id is the CSeq number of our REFER; the NOTIFYs of the first one may go without."""
        if here is not None and event.package == REFER:
            for referral in here.referrals:
                if not event.id or referral.number == event.id:
                    return referral
        raise SipError(481, "Subscription does not exist")

    def _notifier(self, here: DialogUsages | None, event: EventType) -> Notifier:
        """RFC 6665 4.5.1: a refresh has the Event, id included, of the subscription."""
        for notifier in here.notifiers if here is not None else ():
            same = notifier.event.package == event.package
            if same and (notifier.event.id == event.id or (not event.id and event.package == REFER)):
                return notifier
        if event.package != REFER:
            self._known(event)
        raise SipError(481, "Subscription does not exist")

    def _known(self, event: EventType) -> None:
        """RFC 6665 4.2.1.1: 489 for an event package that we do not know."""
        if event.package == REFER and self._ua.settings.refer:
            # RFC 3515 3: a package whose subscriptions REFER alone makes
            raise SipError(403, "Only REFER begins a refer subscription")
        if event.package not in self._ua.settings.event_packages:
            raise SipError(489, "Bad Event")

    def _refer_inside(
        self, session: InviteSession, dialog: Dialog, transaction: ServerTransaction, request: Request, now: float
    ) -> None:
        refer_to = refer_to_of(request)
        dialog.refresh_target(request)
        here = self.of(session, dialog)
        refer = ReceivedRefer(self._ua, here, transaction, request, now)
        self._add(here, refer)
        self._ua.events.append(
            ReferReceived(session, refer, refer_to, referred_by_of(request), wants_subscription(request), request)
        )

    def _refer_arrives(self, transaction: ServerTransaction, request: Request, flow: Flow, now: float) -> None:
        refer_to = refer_to_of(request)
        here = self._own_dialog(request)
        refer = ReceivedRefer(self._ua, here, transaction, request, now)
        self._add(here, refer)
        self._ua.events.append(
            ReferArrived(refer, refer_to, referred_by_of(request), wants_subscription(request), request, flow)
        )

    def _subscribe_arrives(self, transaction: ServerTransaction, request: Request, flow: Flow, now: float) -> None:
        event = event_of(request)
        self._known(event)
        expires = asked_expires(self._ua, request)
        accept = request.values("Accept")
        here = self._own_dialog(request)
        subscription = Subscription(self._ua, here, transaction, event, expires, now)
        self._add(here, subscription)
        self._ua.events.append(
            SubscriptionArrived(subscription, event.package, event.id, accept, expires, request, flow)
        )

    # --- the table ------------------------------------------------------------------------------------------

    def of(self, session: InviteSession, dialog: Dialog) -> DialogUsages:
        """The usages of a session's dialog; SipError(503) where no more fit in."""
        self._check_room()
        here = self.dialogs.get(dialog.id)
        if here is None:
            return DialogUsages(dialog, session, session.contact_user)
        if len(here.notifiers) + len(here.referrals) >= MAX_PER_DIALOG:
            raise Refused(503, "Service Unavailable", RETRY_AFTER)
        return here

    def _own_dialog(self, request: Request) -> DialogUsages:
        self._check_room()
        uri = request.request_uri
        dialog = Dialog.of_uas(request, self._ua.ids.tag(), secure=uri.scheme == "sips")
        return DialogUsages(dialog, None, uri.username)

    def _check_room(self) -> None:
        if self._count >= self._ua.settings.max_subscriptions:
            raise Refused(503, "Service Unavailable", RETRY_AFTER)

    def _add(self, here: DialogUsages, notifier: Notifier) -> None:
        here.notifiers.append(notifier)
        self._enter(here)

    def add_referral(self, here: DialogUsages, referral: Referral) -> None:
        here.referrals.append(referral)
        self._enter(here)

    def _enter(self, here: DialogUsages) -> None:
        self._count += 1
        self.dialogs[here.dialog.id] = here

    def drop(self, here: DialogUsages, usage: Notifier | Referral) -> None:
        """That usage has ended; so has the dialog with its last one, unless a session is in it."""
        if isinstance(usage, Notifier):
            here.notifiers.remove(usage)
        else:
            here.referrals.remove(usage)
        self._count -= 1
        if not here.notifiers and not here.referrals:
            self.dialogs.pop(here.dialog.id, None)

    def session_over(self, session: InviteSession, now: float) -> None:
        """RFC 3261 15.1.2: what the session's peer asked and nobody answered gets 487; what was accepted goes on."""
        if not self.dialogs:
            return
        for dialog in session.dialogs():
            here = self.dialogs.get(dialog.id)
            for notifier in tuple(here.notifiers) if here is not None else ():
                notifier.session_over(now)
