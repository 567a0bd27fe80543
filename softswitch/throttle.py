"""How many requests one source may send: those beyond are refused at once, and far beyond not even answered.

    in a dialog of ours, ACK, CANCEL     never counted: calls in progress go on, and end
    from a trunk known by its address    its own `calls_per_second` (INVITE only), none where it has none
    REGISTER, and everything else        `requests_per_source` of one IPv4 address, or one IPv6 /64

    within the allowance                 served
    beyond                               503 with Retry-After, and nothing is kept of the request
    beyond ANSWERED times as much again  dropped in silence: answering would help whoever forges his address

It comes before everything that costs: digest, sessions, the dialplan. What is refused takes nothing from the allowance,
so that an office behind one NAT is served at its rate however long its phones go on asking.
"""

from __future__ import annotations

import msgspec

from sip.effects import RequestReceived, Send
from sip.ids import Ids
from sip.message import response_to
from sip.server_transaction import ServerTransaction
from sip.stack import Stack
from sip.ua import UserAgent
from softswitch.admission import Admission
from softswitch.pace import Pace
from softswitch.security_log import SecurityLog
from softswitch.sources import network_of

ANSWERED = 4.0
"""Refusals that are answered, as a multiple of the allowance."""

RETRY_AFTER = 10
RETRY_SPREAD = 20
"""Seconds told with a refusal: the least, and how many different ones, so that an office does not come back at once."""


class ThrottleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed."""

    per_source: float | None
    """Requests a second of one source; None: as many as they like."""
    burst: float
    """Requests at once of one source."""
    trunks: dict[str, float]
    """Calls a second of trunks that are known by their address and have a limit."""


class _Allowance:
    """What may be served, and what may be answered beyond."""

    __slots__ = ("answered", "served")

    def __init__(self, per_second: float, burst: float) -> None:
        self.served = Pace(per_second, burst)
        self.answered = Pace(per_second * ANSWERED, burst * ANSWERED)

    def configure(self, per_second: float, burst: float) -> None:
        self.served.configure(per_second, burst)
        self.answered.configure(per_second * ANSWERED, burst * ANSWERED)


class Throttle:
    """Stands between the stack and the user agent."""

    __slots__ = ("_admission", "_ids", "_security", "_sources", "_stack", "_trunks", "_ua", "counters")

    def __init__(
        self,
        settings: ThrottleSettings,
        stack: Stack,
        ua: UserAgent,
        admission: Admission,
        security: SecurityLog,
        ids: Ids,
    ) -> None:
        self._stack = stack
        self._ua = ua
        self._admission = admission
        self._security = security
        self._ids = ids
        self._sources: _Allowance | None = None
        self._trunks: dict[str, _Allowance] = {}
        self.counters = {"throttled": 0, "throttled_in_silence": 0}
        self.configure(settings)

    def configure(self, settings: ThrottleSettings) -> None:
        """Apply other limits; who has used up what is not forgotten."""
        if settings.per_source is None:
            self._sources = None
        else:
            self._sources = _renewed(self._sources, settings.per_source, settings.burst)
        self._trunks = {
            # One second's calls may come at once: that is what a rate of calls means to a carrier.
            name: _renewed(self._trunks.get(name), rate, max(rate, 1.0))
            for name, rate in settings.trunks.items()
        }

    def refuses(self, event: RequestReceived, now: float) -> bool:
        """Whether the request is refused, and nobody has to look at it any more."""
        request, flow = event.request, event.flow
        method = request.method
        tag = request.to_tag
        if tag and method != "REGISTER" and (request.call_id, tag, request.from_tag) in self._ua.dialogs:
            return False
        trunk = None if method == "REGISTER" else self._admission.accounts.trunk_at(flow)
        if trunk is not None:
            key = trunk.name
            allowance = self._trunks.get(key) if method == "INVITE" else None
        else:
            allowance = self._sources
            key = network_of(flow.remote[0]) if allowance is not None else ""
        if allowance is None or allowance.served.take(key, now):
            return False
        self._refuse(event, allowance.answered.take(key, now), now)
        self._security.throttled(flow, method, "" if trunk is None else key, now)
        return True

    def __len__(self) -> int:
        """Sources and trunks remembered."""
        allowances = list(self._trunks.values())
        if self._sources is not None:
            allowances.append(self._sources)
        return sum(len(each.served) + len(each.answered) for each in allowances)

    # Inside

    def _refuse(self, event: RequestReceived, answer: bool, now: float) -> None:
        transaction = event.transaction
        self.counters["throttled"] += 1
        if answer:
            # RFC 3261 21.5.4: "The server MAY indicate when the client should retry the request in a Retry-After header
            # field."
            response = response_to(event.request, 503, None, self._ids.tag())
            wait = RETRY_AFTER + self.counters["throttled"] % RETRY_SPREAD
            response.headers += [("Retry-After", str(wait)), *self._ua.response_headers]
            self._stack.respond(transaction, response, now)
        else:
            self.counters["throttled_in_silence"] += 1
            self._take_back(transaction)
        # As RFC 3261 8.2.7 has it for a stateless UAS: a repetition is judged anew.
        transaction.terminate()

    def _take_back(self, transaction: ServerTransaction) -> None:
        """Unsend the 100 that the stack has given an INVITE, among what this wake-up is to send."""
        effects = self._stack.effects
        for at in range(len(effects) - 1, -1, -1) if transaction.sent else ():
            effect = effects[at]
            if type(effect) is Send and effect.data is transaction.sent:
                del effects[at]
                return


def _renewed(before: _Allowance | None, per_second: float, burst: float) -> _Allowance:
    if before is None:
        return _Allowance(per_second, burst)
    before.configure(per_second, burst)
    return before
