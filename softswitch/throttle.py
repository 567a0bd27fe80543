"""How many requests one source may send: those beyond are refused at once, and far beyond not even answered.

    in a dialog of ours, ACK, CANCEL     never counted: calls in progress go on, and end
    from a trunk known by its address    its own `calls_per_second` (INVITE only), none where it has none
    REGISTER, and everything else        `requests_per_source` of one IPv4 address, or one IPv6 /64

    within the allowance                 served
    beyond                               503 with Retry-After, and nothing is kept of the request
    beyond ANSWERED times as much again  dropped in silence: answering would help whoever forges his address

The stack asks before it keeps anything of a request, and so before all that costs: digest, sessions, the dialplan. What
is refused takes nothing from the allowance, so that an office behind one NAT is served at its rate however long its
phones go on asking.
"""

from __future__ import annotations

import msgspec

from sip.effects import Flow
from sip.message import Request
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
    """Says of every new request whether it is served."""

    __slots__ = ("_admission", "_security", "_sources", "_trunks", "_ua", "counters")

    def __init__(self, settings: ThrottleSettings, ua: UserAgent, admission: Admission, security: SecurityLog) -> None:
        self._ua = ua
        self._admission = admission
        self._security = security
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

    def judge(self, request: Request, flow: Flow, now: float) -> int | None:
        """`sip.stack.Gate`: None where the request is served, the seconds of a Retry-After or 0 where it is not."""
        method = request.method
        tag = request.to_tag
        if tag and method != "REGISTER" and (request.call_id, tag, request.from_tag) in self._ua.dialogs:
            return None
        trunk = None if method == "REGISTER" else self._admission.accounts.trunk_at(flow)
        if trunk is not None:
            key = trunk.name
            allowance = self._trunks.get(key) if method == "INVITE" else None
        else:
            allowance = self._sources
            key = network_of(flow.remote[0]) if allowance is not None else ""
        if allowance is None or allowance.served.take(key, now):
            return None
        self._security.throttled(flow, method, "" if trunk is None else key, now)
        self.counters["throttled"] += 1
        if allowance.answered.take(key, now):
            return RETRY_AFTER + self.counters["throttled"] % RETRY_SPREAD
        self.counters["throttled_in_silence"] += 1
        return 0

    def __len__(self) -> int:
        """Sources and trunks remembered."""
        allowances = list(self._trunks.values())
        if self._sources is not None:
            allowances.append(self._sources)
        return sum(len(each.served) + len(each.answered) for each in allowances)


def _renewed(before: _Allowance | None, per_second: float, burst: float) -> _Allowance:
    if before is None:
        return _Allowance(per_second, burst)
    before.configure(per_second, burst)
    return before
