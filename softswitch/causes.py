"""Why a call ended: ITU-T Q.850 cause values, and their mapping to SIP status codes both ways.

The neutral vocabulary of the call model speaks Q.850, as every switch does; SIP legs translate at their edge with the
tables of RFC 3398 (ISUP to SIP, sections 7.2.4.1 and 8.2.6.1), extended by common practice where the RFC is silent. A
`Reason: Q.850;cause=N` header (RFC 3326, RFC 6432) beats the status code it travels with.
"""

from __future__ import annotations

import re
from enum import IntEnum


class Cause(IntEnum):
    """ITU-T Q.850 cause values this switch gives; a peer may send any from 1 to 127."""

    UNALLOCATED_NUMBER = 1
    NO_ROUTE_TO_DESTINATION = 3
    NORMAL_CLEARING = 16
    USER_BUSY = 17
    NO_USER_RESPONDING = 18
    NO_ANSWER = 19
    SUBSCRIBER_ABSENT = 20
    CALL_REJECTED = 21
    NUMBER_CHANGED = 22
    EXCHANGE_ROUTING_ERROR = 25
    ANSWERED_ELSEWHERE = 26
    DESTINATION_OUT_OF_ORDER = 27
    INVALID_NUMBER_FORMAT = 28
    FACILITY_REJECTED = 29
    NORMAL_UNSPECIFIED = 31
    NO_CIRCUIT = 34
    NETWORK_OUT_OF_ORDER = 38
    TEMPORARY_FAILURE = 41
    CONGESTION = 42
    RESOURCE_UNAVAILABLE = 47
    OUTGOING_CALLS_BARRED = 52
    INCOMING_CALLS_BARRED = 55
    BEARER_NOT_AUTHORISED = 57
    BEARER_NOT_AVAILABLE = 58
    BEARER_NOT_IMPLEMENTED = 65
    SERVICE_NOT_IMPLEMENTED = 79
    INCOMPATIBLE_DESTINATION = 88
    INVALID_MESSAGE = 95
    TIMER_EXPIRED = 102
    PROTOCOL_ERROR = 111
    INTERWORKING = 127


# RFC 3398 section 8.2.6.1: SIP status to ISUP cause.
_STATUS_TO_CAUSE: dict[int, int] = {
    400: Cause.TEMPORARY_FAILURE,
    401: Cause.CALL_REJECTED,
    402: Cause.CALL_REJECTED,
    403: Cause.CALL_REJECTED,
    404: Cause.UNALLOCATED_NUMBER,
    405: Cause.SERVICE_NOT_IMPLEMENTED,
    406: Cause.SERVICE_NOT_IMPLEMENTED,
    407: Cause.CALL_REJECTED,
    408: Cause.TIMER_EXPIRED,
    410: Cause.NUMBER_CHANGED,
    413: Cause.INTERWORKING,
    414: Cause.INTERWORKING,
    415: Cause.SERVICE_NOT_IMPLEMENTED,
    416: Cause.INTERWORKING,
    420: Cause.INTERWORKING,
    421: Cause.INTERWORKING,
    423: Cause.INTERWORKING,
    480: Cause.NO_USER_RESPONDING,
    481: Cause.TEMPORARY_FAILURE,
    482: Cause.EXCHANGE_ROUTING_ERROR,
    483: Cause.EXCHANGE_ROUTING_ERROR,
    484: Cause.INVALID_NUMBER_FORMAT,
    485: Cause.UNALLOCATED_NUMBER,
    486: Cause.USER_BUSY,
    487: Cause.NORMAL_CLEARING,
    488: Cause.INCOMPATIBLE_DESTINATION,
    491: Cause.TEMPORARY_FAILURE,
    500: Cause.TEMPORARY_FAILURE,
    501: Cause.SERVICE_NOT_IMPLEMENTED,
    502: Cause.NETWORK_OUT_OF_ORDER,
    503: Cause.TEMPORARY_FAILURE,
    504: Cause.TIMER_EXPIRED,
    505: Cause.INTERWORKING,
    513: Cause.INTERWORKING,
    600: Cause.USER_BUSY,
    603: Cause.CALL_REJECTED,
    604: Cause.UNALLOCATED_NUMBER,
    606: Cause.INCOMPATIBLE_DESTINATION,
}

# RFC 3398 section 7.2.4.1: ISUP cause to SIP status.
_CAUSE_TO_STATUS: dict[int, int] = {
    1: 404,
    2: 404,
    3: 404,
    16: 480,  # normal clearing before an answer: nobody took the call
    17: 486,
    18: 408,
    19: 480,
    20: 480,
    21: 403,
    22: 410,
    23: 410,
    25: 483,
    26: 404,
    27: 502,
    28: 484,
    29: 501,
    31: 480,
    34: 503,
    38: 503,
    41: 503,
    42: 503,
    47: 503,
    52: 403,
    53: 403,
    55: 403,
    57: 403,
    58: 503,
    65: 488,
    70: 488,
    79: 501,
    87: 403,
    88: 488,
    95: 400,
    102: 504,
    111: 500,
    127: 500,
}

# Failures that speak of the request of one hop and mean nothing to another: most must carry a header that tells what is
# wrong with it (RFC 3261 21.4: WWW-Authenticate with 401, Allow with 405, Unsupported with 420, Min-SE with 422...).
_OF_ONE_HOP = frozenset(
    {401, 405, 406, 407, 411, 412, 415, 416, 417, 420, 421, 422, 423, 424, 428, 429, 436, 437, 438, 439, 440, 469, 470}
    | {481, 489, 491, 493, 494, 505, 580}
)

_Q850_CAUSE = re.compile(r"Q\.850\s*;(?:[^,]*;)?\s*cause\s*=\s*(\d{1,3})", re.IGNORECASE)


def cause_of_status(status: int) -> int:
    """The Q.850 cause for a SIP failure status; the class decides for codes the RFC does not list."""
    cause = _STATUS_TO_CAUSE.get(status)
    if cause is not None:
        return cause
    if status < 500:
        return Cause.INTERWORKING
    return Cause.TEMPORARY_FAILURE if status < 600 else Cause.CALL_REJECTED


def status_of_cause(cause: int) -> int:
    """The SIP failure status for a Q.850 cause; 480 where nothing fits (RFC 3398: class default)."""
    return _CAUSE_TO_STATUS.get(cause, 480)


def status_for_caller(status: int, cause: int) -> int:
    """The status that a caller gets when the called leg failed with `status` (0: with none) and `cause`."""
    return status if status and status not in _OF_ONE_HOP else status_of_cause(cause)


def cause_of_reason(reason: str | None) -> int | None:
    """The Q.850 cause in a Reason header (RFC 3326), or None."""
    if not reason:
        return None
    match = _Q850_CAUSE.search(reason)
    if match is None:
        return None
    cause = int(match[1])
    return cause if 1 <= cause <= 127 else None


def name_of_cause(cause: int) -> str:
    """`NORMAL_CLEARING`; `CAUSE_77` for a value without a name here."""
    try:
        return Cause(cause).name
    except ValueError:
        return f"CAUSE_{cause}"
