"""Click to dial: a REFER outside any call (RFC 3515 2.4.2), as programs send it that dial for somebody at a desk.

    REFER, admitted as an INVITE would be --202, NOTIFY 100--> the extension's own telephones ring
        one answers    the number in Refer-To is dialled with the extension's rights --> NOTIFY 180, 200 or its failure
        none does      NOTIFY 486, 480...

Nobody may have another one's telephones called: the address that is asked has to be the extension's own, or that of the
switch.
"""

from __future__ import annotations

import structlog

from sip.ua_events import ReferArrived
from softswitch.admission import Admission, Challenge, Known, Refuse
from softswitch.arrivals import RETRY_AFTER
from softswitch.call_transfer import TransferRefused
from softswitch.causes import status_of_cause
from softswitch.dialplan.decision import Dial, ExtensionTarget, Reject
from softswitch.directory import PhoneBook
from softswitch.directory_entries import behind_nat
from softswitch.originate import ClickedCall, OriginateRefused, Origination
from softswitch.referrals import number_of
from softswitch.runtime import Runtime

log = structlog.get_logger("calls")


class ClickToDial:
    """Makes calls of REFERs that belong to none."""

    __slots__ = ("_admission", "_book", "_runtime")

    def __init__(self, runtime: Runtime, admission: Admission, book: PhoneBook) -> None:
        self._runtime = runtime
        self._admission = admission
        self._book = book

    def arrived(self, event: ReferArrived, now: float) -> None:
        """A REFER without a call: a stranger is challenged as for anything, and whoever may not call so gets 403."""
        match self._admission.identify(event.request, event.flow, now):
            case Challenge(headers=headers, status=status):
                event.refer.reject(status, now, headers)
            case Refuse(status=status):
                event.refer.reject(status, now)
            case Known() as known:
                try:
                    self._call(event, known, now)
                except TransferRefused as refused:
                    log.info("call not begun", **{known.kind: known.name}, why=str(refused))
                    event.refer.reject(refused.status, now)
                except OriginateRefused as refused:
                    log.warning("call not begun", **{known.kind: known.name}, why=str(refused))
                    event.refer.reject(503, now, [("Retry-After", str(RETRY_AFTER))])

    def _call(self, event: ReferArrived, known: Known, now: float) -> None:
        """Raises `TransferRefused`, `OriginateRefused`."""
        extension, request, flow = known.name, event.request, event.flow
        if known.kind != "extension" or not self._book.may_click(extension):
            raise TransferRefused("it may not begin calls by REFER: see 'click_to_dial'")
        if request.request_uri.username not in ("", extension):
            raise TransferRefused("it may not have others' telephones called")
        if request.has("Target-Dialog"):
            raise TransferRefused("calls in progress are transferred inside their dialog only")
        number = number_of(event)
        if not number:
            raise TransferRefused("it refers to no number", 501)
        setup = self._book.setup_of(extension, number)
        assert setup is not None
        then = self._book.route(setup.context, number, setup.caller, "")
        if isinstance(then, Dial) and then.targets == (ExtensionTarget(extension),):
            raise TransferRefused(f"{number} is the extension itself")
        if flow.connection or behind_nat(self._book.terms(known), request, flow):
            event.refer.destination = flow
        if isinstance(then, Reject):
            status = then.status or status_of_cause(then.cause)
            if not event.wants_sub:
                raise TransferRefused(f"{number} leads nowhere", status)
            event.refer.accept(now)
            event.refer.notify(status, None, now)
            return
        self._runtime.originate(
            Origination(number=number, extension=extension, then=then, told=_told, clicked=True),
            now,
            lambda contact: self._begun(contact, event, now),
        )

    def _begun(self, contact: str, event: ReferArrived, now: float) -> None:
        """Its call is there, and nobody has been called yet."""
        call = self._runtime.calls[contact].call
        assert isinstance(call, ClickedCall)
        self._runtime.referrals.begin(call.asked_by, event, now)
        self._runtime.counters["calls clicked"] += 1


def _told(leg: int, why: str, now: float) -> None:
    """The REFER is told of the number's call; that its own telephones have answered the extension knows."""
