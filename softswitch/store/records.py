"""What is stored: call detail records, the registrar's bindings (`sip.binding.BindingRecord`), and what people set at
their phones (`softswitch.features.FeatureChange`).

Times are Unix seconds, None where it never happened. Text may come from strangers: it is made printable and cut when it
is written down (`softswitch.store.rows`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sip.binding import BindingChange as BindingChange
from sip.binding import BindingRecord as BindingRecord
from softswitch.features import FeatureChange as FeatureChange


class Quality(msgspec.Struct, frozen=True, gc=False):
    """What was heard from one side: lost packets as a fraction of those expected, jitter and round trip in ms; mean
    opinion score by the E-model, of the whole call and at its worst."""

    loss: float | None = None
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    mos: float | None = None
    mos_min: float | None = None


class LegRecord(msgspec.Struct, gc=False):
    """One leg of a contact: one endpoint's dialog.

    `kind`: "extension" | "trunk"; `direction`: "in", they called us, | "out"; `endpoint` the extension's number or the
    trunk's name, `number` as dialled to it or given by it; `address` where its signalling was; `cause` Q.850, `status`
    the SIP status it ended with before an answer, 0 otherwise. Packets are RTP, `lost` of those coming in; `codec` the
    one sent; `mos` and `mos_min` how it sounded (`Quality`). `joined`: the contact that it went on in, "" where it
    ended; all its packets are counted there, and none here.
    """

    kind: str
    endpoint: str
    started: float
    direction: str = "out"
    number: str = ""
    address: str = ""
    call_id: str = ""
    rang: float | None = None
    answered: float | None = None
    ended: float | None = None
    cause: int = 0
    status: int = 0
    packets_in: int = 0
    packets_out: int = 0
    lost: int = 0
    jitter_ms: float | None = None
    rtt_ms: float | None = None
    codec: str = ""
    mos: float | None = None
    mos_min: float | None = None
    joined: str = ""

    @property
    def silent(self) -> bool:
        """Whether it was answered, and nothing ever came from it."""
        return self.answered is not None and not self.joined and not self.packets_in

    def quality(self) -> Quality | None:
        """None where nothing came."""
        expected = self.packets_in + self.lost
        if not self.packets_in:
            return None
        return Quality(self.lost / expected, self.jitter_ms, self.rtt_ms, self.mos, self.mos_min)


def sides(legs: Sequence[LegRecord]) -> tuple[LegRecord | None, LegRecord | None]:
    """The caller's leg and that of the first other one who answered, whichever way their dialogs were begun: somebody
    who picks a call up has called us, and a contact that began here has called its caller."""
    there = [leg for n, leg in enumerate(legs) if leg.answered is not None or (not n and leg.direction == "in")]
    caller, callee, *_ = (*there, None, None)
    return caller, callee


class SegmentRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stretch of a contact in which one thing happened: somebody rang, two talked, one waited."""

    kind: str
    started: float
    ended: float


class CdrRecord(msgspec.Struct, gc=False):
    """One contact, from its first ring to its last second, with its legs in the order they began.

    `contact` is unique for ever: a record written twice is stored once. `direction`: "inbound", "outbound", "internal";
    `dialled` the number asked for, `destination` who it ended with; `trunk` the trunk it came or went through, "" for
    none; `ended_by` who hung up; `duration` seconds from start to end, `billsec` from answer to end, 0 without one.
    `recording`: the path of its recording, several joined by ", ", "" without one; `recording_started` when the (first)
    one began; `recording_failed` why one is not whole, "" where nothing went wrong.
    `diverted`: who has sent the call on and why, newest first ("102 no-answer, 030123 user-busy"), "" where nobody has.
    `segments`: what the contact was made of, in order; `joined`: the contact in which it went on, "" where it ended.
    `caller` and `callee`: None to have them taken from the legs (`sides`).
    """

    contact: str
    started: float
    ended: float
    answered: float | None = None
    direction: str = "internal"
    caller_number: str = ""
    caller_name: str = ""
    dialled: str = ""
    destination: str = ""
    context: str = ""
    trunk: str = ""
    cause: int = 0
    status: int = 0
    ended_by: str = ""
    duration: float = 0.0
    billsec: float = 0.0
    caller: Quality | None = None
    callee: Quality | None = None
    legs: tuple[LegRecord, ...] = ()
    recording: str = ""
    recording_started: float | None = None
    recording_failed: str = ""
    diverted: str = ""
    segments: tuple[SegmentRecord, ...] = ()
    joined: str = ""


class CdrFilter(msgspec.Struct, frozen=True, gc=False):
    """Which records: started at or after `since`, before `until` (Unix seconds), with `number` as caller, dialled or
    destination. None: no matter."""

    since: float | None = None
    until: float | None = None
    number: str | None = None
