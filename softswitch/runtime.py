"""The runtime: user-agent and media events in, call effects out.

One owner: each event is handled to completion before the next is looked at, so no contact needs a lock. The runtime
holds no rule of telephony. It finds the leg and call that an event belongs to, lets the leg translate it, lets the call
decide, and has carried out what the call wants, by the part that it is for:

    ua.events    --leg.translate-->  call.handle  --effects-->  call_legs (SIP), call_streams (media), timers
    media.events ------------------>      ^
    arrivals, call_control, refers -------+   new INVITEs, commands, REFERs

All parts share the tables (`call_tables`): calls, legs, and the leg events that wait for their calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import structlog

from media.audio_commands import (
    Digit,
    Heard,
    MusicFailed,
    PlayEnded,
    Quality,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    SendDigits,
    SetRoom,
    Talking,
)
from media.client import MediaClient
from media.commands import MediaEvent, StreamClosed, StreamFailed, StreamLatched, StreamLost, StreamSilent
from sip.ids import Ids
from sip.timers import TimerHeap
from sip.ua import UserAgent
from sip.ua_events import ReferReceived, SessionArrived, SessionFailed
from softswitch.active_call import Active
from softswitch.admission import Admission, Challenge, Known, Refuse
from softswitch.arrivals import RETRY_AFTER, Arrivals
from softswitch.audio_line import AudioLine
from softswitch.call_commands import AnyCallCommand
from softswitch.call_control import CallControl
from softswitch.call_legs import CallLegs
from softswitch.call_limits import CallLimits
from softswitch.call_mover import CallMover
from softswitch.call_recording import RecordingEvent
from softswitch.call_streams import ELSEWHERE, CallStreams
from softswitch.call_tables import CallTables
from softswitch.call_transfer import TransferRefused
from softswitch.causes import Cause
from softswitch.contact import Contact
from softswitch.directory import PhoneBook
from softswitch.leg_maker import LegMaker
from softswitch.originate import ClickedCall, OriginatedCall, OriginateRefused, Origination
from softswitch.recording_labels import call_label
from softswitch.refers import Refers
from softswitch.room_calls import RuntimeRoomCalls
from softswitch.rooms import Rooms
from softswitch.runtime_settings import RuntimeSettings
from softswitch.sip_leg import SessionEvent
from softswitch.toll import TollGuard
from softswitch.vocabulary import (
    Accept,
    Answer,
    AnyEffect,
    AnyLegEvent,
    AskTransfer,
    Audio,
    Bridge,
    CancelTimer,
    DigitDialled,
    Echo,
    EnterRoom,
    Finished,
    HoldRoom,
    MediaFailed,
    MediaLost,
    MediaSilent,
    MoveMedia,
    Offer,
    Originate,
    OriginationEnded,
    Progress,
    Record,
    RefuseOffer,
    Release,
    Seek,
    SeekFailed,
    SendDigit,
    SetTimer,
    TransferTold,
    Unbridge,
)

log = structlog.get_logger("calls")

DRAIN_RETRY_AFTER = 60
"""Seconds told with a 503 while draining: about the time of a restart."""

RECORDING_GRACE = 5.0
"""Seconds that a contact which has ended waits for the last word about its recording before it is written down."""

MAX_EVENTS_AT_ONCE = 10_000
"""Leg events that one input may set off before the runtime declares a loop of its own making."""


class Runtime:
    """All calls of the switch."""

    def __init__(
        self,
        settings: RuntimeSettings,
        ua: UserAgent,
        media: MediaClient,
        timers: TimerHeap,
        admission: Admission,
        phone_book: PhoneBook,
        limits: CallLimits,
        toll: TollGuard,
        ids: Ids,
        announce: Callable[[str], str],
        wall: Callable[[], float],
        record: Callable[[Contact], None],
    ) -> None:
        self.settings = settings
        self.draining = False
        self.tables = CallTables()
        self.calls = self.tables.calls
        self.legs = self.tables.legs
        self.counters = self.tables.counters
        self.touched: set[str] = set()
        """Contacts that something has happened to; whoever has looked at them clears it."""
        self._media = media
        self._timers = timers
        self._admission = admission
        self._book = phone_book
        self._limits = limits
        self._toll = toll
        toll.end_call = self.end_call
        self._record = record
        self._maker = LegMaker(media, ids, announce, wall, lambda: self.settings)
        new_id = self._maker.next_leg
        self.audio = AudioLine(media)
        self.rooms = Rooms(media, timers, new_id, RuntimeRoomCalls(self), lambda: self.settings.recordings)
        self.streams = CallStreams(media, self.tables, self.rooms, new_id)
        self._legs = CallLegs(self.tables, self.streams, self._maker, ua, phone_book, limits)
        self._mover = CallMover(self, self.tables, self.streams, phone_book, limits, toll)
        self._arrivals = Arrivals(self, self.tables, self.streams, self._maker, self._mover, phone_book, limits)
        self._control = CallControl(self, self.tables, phone_book)
        self._refers = Refers(self, self.tables, self._mover, ua)
        self.referrals = self._refers.waiting
        self._does: dict[type, Callable[[Active, Any, float], None]] = {
            Originate: self._legs.originate,
            Progress: self._legs.progress,
            Accept: self._legs.accept,
            Offer: self._legs.offer,
            MoveMedia: self._legs.move_media,
            Answer: self._legs.answer,
            RefuseOffer: self._legs.refuse_offer,
            Release: self._legs.release,
            Bridge: self._bridge,
            Unbridge: self._unbridge,
            Echo: self._echo,
            SendDigit: self._send_digit,
            EnterRoom: self._enter_room,
            HoldRoom: self._hold_room,
            Record: self._record_streams,
            Audio: self._audio,
            SetTimer: self._set_timer,
            CancelTimer: self._cancel_timer,
            Seek: self._seek,
            TransferTold: self._refers.told,
            AskTransfer: self._legs.ask_transfer,
            OriginationEnded: self._origination_ended,
            Finished: self._finished,
        }
        """What carries each effect out: one entry per member of `AnyEffect`, which a test holds it to."""

    # ---- inputs --------------------------------------------------------------------------------------

    def session_arrived(self, event: SessionArrived, now: float) -> None:
        """A new INVITE: whose is it, and what does it want?"""
        session, request, flow = event.session, event.request, event.flow
        if self.draining or len(self.calls) >= self.settings.max_calls:
            wait = DRAIN_RETRY_AFTER if self.draining else RETRY_AFTER
            self.counters["calls refused: draining" if self.draining else "calls refused: too many"] += 1
            session.reject(503, None, [("Retry-After", str(wait))], now)
            return
        match self._admission.identify(request, flow, now):
            case Challenge(headers=headers):
                session.reject(401, None, headers, now)
            case Refuse(status=status, reason=reason):
                self.counters["calls refused: not admitted"] += 1
                session.reject(status, reason, [], now)
            case Known() as known:
                self._arrivals.admitted(event, known, self.settings.pass_headers, now)

    def session_event(self, event: SessionEvent, now: float) -> None:
        """Something happened in a session that belongs to a leg."""
        leg = self.legs.get(event.session.user) if isinstance(event.session.user, int) else None
        if leg is None:
            return
        if isinstance(event, SessionFailed) and self._legs.invited_again(leg, event.status, now):
            return
        heard = leg.translate(event, now)
        if leg.over:
            self.touched.add(leg.call)
            self._legs.over(leg, now)
        if heard is not None:
            self.tables.waiting.append((leg.call, heard))
            if leg.displaced and leg.established:
                leg.displaced = False
                self.tables.waiting.append((leg.call, MediaLost(leg.id, ELSEWHERE)))
            self.work(now)

    def media_event(self, event: MediaEvent, now: float) -> None:
        """Something happened to a stream, or was heard on it."""
        match event:
            case StreamClosed(stream=stream, stats=stats):
                active = self.streams.closed(stream, stats)
                if active is not None:
                    self._write_down(active, now)
            case StreamSilent(stream=stream, seconds=seconds):
                self._media_says(stream, MediaSilent(stream, seconds), now)
            case StreamFailed(stream=stream, why=why):
                log.warning("stream failed", stream=stream, why=why)
                self._media_says(stream, MediaFailed(stream, why), now)
            case StreamLatched(stream=stream, host=host, port=port):
                log.debug("stream latched", stream=stream, host=host, port=port)
            case StreamLost(stream=stream, why=why):
                active = self.streams.lost(stream, why, now)
                if active is not None:
                    self._media_says(stream, MediaLost(stream, why), now)
            case Digit(stream=stream, digit=digit, duration_ms=duration, source=source):
                self._media_says(stream, DigitDialled(stream, digit, duration, source), now)
            case PlayEnded() | RecordingStarted() | RecordingEnded() | RecordingFailed():
                self._audio_event(event, now)
            case MusicFailed(name=name, why=why):
                log.error("hold music", name=name, why=why)
            case Talking(stream=stream, talking=talking):
                self.rooms.talking(stream, talking, now)
            case Heard() | Quality():
                log.debug("heard", what=event)
            case _:
                assert_never(event)

    def refer_received(self, event: ReferReceived, now: float) -> None:
        """A telephone asks for a transfer by REFER inside its call."""
        self._refers.received(event, now)

    def record(self, call: str, action: str, now: float) -> tuple[str, int]:
        """See `CallControl.record`."""
        return self._control.record(call, action, now)

    def command(self, command: AnyCallCommand, now: float) -> str:
        """See `CallControl.command`."""
        return self._control.command(command, now)

    def hang_up_all(self, cause: int, now: float, text: str) -> None:
        """End every call: the drain's deadline has come."""
        for active in list(self.calls.values()):
            self.carry_out(active, active.call.hang_up(cause, now, "switch", text), now)

    def originate(self, wanted: Origination, now: float, begun: Callable[[str], None] | None = None) -> str:
        """Call somebody with an extension's rights. The contact's id, which `begun` is told before all else. Raises
        `OriginateRefused`; what happens later, `wanted.told` is told."""
        if self.draining or len(self.calls) >= self.settings.max_calls:
            raise OriginateRefused("the switch is shutting down" if self.draining else "too many calls")
        setup = self._book.setup_of(wanted.extension, wanted.number)
        if setup is None:
            raise OriginateRefused(f"no extension {wanted.extension!r} with whose rights to call")
        contact = Contact(self._maker.contact_id(), now, self._maker.wall(), setup.caller, setup.dialled)
        contact.context, contact.kind, contact.endpoint = setup.context, setup.kind, setup.endpoint
        kind = ClickedCall if wanted.clicked else OriginatedCall
        call = kind(contact, setup, self.settings.policy, self._book, self._maker.next_leg, wanted.then)
        active = Active(call, {}, group=wanted.group or contact.id, told=wanted.told)
        self.calls[contact.id] = active
        self.counters["calls"] += 1
        if begun is not None:
            begun(contact.id)
        self.carry_out(active, call.begin(now), now)
        return contact.id

    def end_call(self, contact: str, why: str, now: float, cause: int = Cause.OUTGOING_CALLS_BARRED) -> None:
        """End one call, as a rule one that has cost what it may; nothing where it is gone."""
        active = self.calls.get(contact)
        if active is not None:
            self.carry_out(active, active.call.hang_up(cause, now, "switch", why), now)

    # ---- events to effects -----------------------------------------------------------------------------

    def work(self, now: float) -> None:
        """Let calls handle the events that are waiting, until there are none."""
        queue = self.tables.waiting
        for _ in range(MAX_EVENTS_AT_ONCE):
            if not queue:
                return
            contact, event = queue.popleft()
            active = self.calls.get(contact)
            if isinstance(event, DigitDialled) and self.rooms.pressed(event.leg, event.digit, now):
                continue
            if active is not None:
                self._execute(active, active.call.handle(event, now), now)
        queue.clear()
        raise RuntimeError(f"one input set off more than {MAX_EVENTS_AT_ONCE} leg events")

    def _execute(self, active: Active, effects: list[AnyEffect], now: float) -> None:
        self.touched.add(active.call.contact.id)
        for effect in effects:
            self._does[type(effect)](active, effect, now)
        self.streams.show(active, now)

    def carry_out(self, active: Active, effects: list[AnyEffect], now: float) -> None:
        """Carry out what a call wants, and what that sets off."""
        self._execute(active, effects, now)
        self.work(now)

    # ---- effects ---------------------------------------------------------------------------------------

    def _bridge(self, active: Active, effect: Bridge, now: float) -> None:
        self.streams.bridge(active, effect.a, effect.b, now)

    def _unbridge(self, active: Active, effect: Unbridge, now: float) -> None:
        self.streams.unbridge(active, effect.leg, now)

    def _echo(self, active: Active, effect: Echo, now: float) -> None:
        self._media.echo(effect.leg, now)

    def _send_digit(self, active: Active, effect: SendDigit, now: float) -> None:
        leg = self.legs.get(effect.leg)
        if leg is None:
            return
        if not effect.signalled:
            self._media.audio(SendDigits(effect.leg, effect.digit, effect.duration_ms), now)
        elif not leg.send_digit(effect.digit, effect.duration_ms, now):
            # Before the answer there is no dialog that takes an INFO.
            self.counters["digits not passed on"] += 1

    def _enter_room(self, active: Active, effect: EnterRoom, now: float) -> None:
        leg = self.legs.get(effect.leg)
        if leg is not None:
            self.streams.enter_room(active, leg, effect.name, now)

    def _hold_room(self, active: Active, effect: HoldRoom, now: float) -> None:
        self.rooms.holds(effect.leg, effect.holds, now)

    def _record_streams(self, active: Active, effect: Record, now: float) -> None:
        contact = active.call.contact
        self.audio.record(effect, self.settings.recordings, contact, call_label(contact), now)

    def _audio(self, active: Active, effect: Audio, now: float) -> None:
        if isinstance(effect.command, SetRoom):
            active.bridged = (0, 0)
        self.audio.command(effect.command, active.call.contact.id, now)

    def _set_timer(self, active: Active, effect: SetTimer, now: float) -> None:
        contact, name = active.call.contact.id, effect.name
        before = active.timers.get(name)
        if before is not None:
            before.cancel()
        active.timers[name] = self._timers.schedule(effect.at, lambda at: self._timer_fired(contact, name, at))

    def _cancel_timer(self, active: Active, effect: CancelTimer, now: float) -> None:
        timer = active.timers.pop(effect.name, None)
        if timer is not None:
            timer.cancel()

    def _seek(self, active: Active, effect: Seek, now: float) -> None:
        try:
            self._mover.seek(active, effect.leg, effect.what, now)
        except TransferRefused as refused:
            log.info("call not joined", contact=active.call.contact.id, why=str(refused))
            self.tables.tell(active, SeekFailed(effect.leg, refused.status, str(refused)))

    def _origination_ended(self, active: Active, effect: OriginationEnded, now: float) -> None:
        told, active.told = active.told, None
        if told is not None:
            told(effect.leg, effect.why, now)

    def _timer_fired(self, contact: str, name: str, now: float) -> None:
        active = self.calls.get(contact)
        if active is not None:
            active.timers.pop(name, None)
            self.carry_out(active, active.call.timer_fired(name, now), now)

    # ---- ends --------------------------------------------------------------------------------------------

    def _media_says(self, stream: int, event: AnyLegEvent, now: float) -> None:
        leg = self.legs.get(stream)
        if leg is not None:
            self.tables.waiting.append((leg.call, event))
            self.work(now)

    def _audio_event(self, event: PlayEnded | RecordingEvent, now: float) -> None:
        if self.rooms.heard(event, now):
            self.work(now)
            return
        if isinstance(event, RecordingFailed):
            self.counters["recordings failed"] += 1
        active = self.calls.get(self.audio.owner(event))
        if active is not None:
            self.carry_out(active, active.call.audio_event(event, now), now)
            self._write_down(active, now)

    def _finished(self, active: Active, effect: Finished, now: float) -> None:
        active.finished = True
        contact = active.call.contact
        self._toll.over(contact.id, contact.ended or now, now)
        for timer in active.timers.values():
            timer.cancel()
        active.timers.clear()
        self._write_down(active, now)

    def _write_down(self, active: Active, now: float, at_last: bool = False) -> None:
        """Once all is over and counted, the contact becomes a record and is forgotten here."""
        if not active.finished or active.streams:
            return
        contact = active.call.contact
        if self.audio.recording(contact.id) and not at_last:
            if active.waiting is None:
                active.waiting = self._timers.schedule(
                    now + RECORDING_GRACE, lambda at: self._write_down(active, at, at_last=True)
                )
            return
        if self.calls.pop(contact.id, None) is None:
            return
        if active.waiting is not None:
            active.waiting.cancel()
            active.waiting = None
        self.audio.forget(contact.id)
        self._limits.release(contact.id)
        if not active.call.moved:
            self._record(contact)
