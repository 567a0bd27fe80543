"""The runtime: user-agent and media events in, call effects out, and the tables that join them.

One owner: each event is handled to completion before the next is looked at, so no contact needs a lock. The runtime
holds no rule of telephony. It finds the leg and call that an event belongs to, lets the leg translate it, lets the call
decide, and carries out what the call wants.

    ua.events    --leg.translate-->  call.handle  --effects-->  leg methods (SIP), media commands, timers
    media.events ------------------>
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, assert_never

import msgspec
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
from media.commands import (
    MediaEvent,
    NoMediaPorts,
    StreamClosed,
    StreamFailed,
    StreamLatched,
    StreamLost,
    StreamSilent,
    StreamStats,
)
from media.negotiate import AudioOffer, AudioPolicy
from media.sdes import KEYS_IN_CLEAR
from media.sdp import Origin, SdpError
from media.video import Video
from sip.effects import TRANSPORTS, Destination, Flow, Target
from sip.errors import SipError
from sip.ids import Ids
from sip.message import Request
from sip.replacing import find_dialog
from sip.timers import TimerHeap
from sip.transfer_headers import Replaces
from sip.ua import UserAgent
from sip.ua_events import ReferReceived, SessionArrived, SessionFailed
from softswitch import call_commands
from softswitch.active_call import Active
from softswitch.admission import Admission, Challenge, Known, Refuse
from softswitch.audio_line import AudioLine, RecordingForm
from softswitch.call import Call
from softswitch.call_commands import AnyCallCommand
from softswitch.call_control import carry_out
from softswitch.call_limits import CallLimits
from softswitch.call_mover import CallMover
from softswitch.call_moves import Place
from softswitch.call_recording import RecordingEvent
from softswitch.call_transfer import TransferRefused
from softswitch.causes import Cause
from softswitch.contact import Contact, LegRecord
from softswitch.directory import DialAddress, PhoneBook, TrunkEntry, behind_nat
from softswitch.leg_table import LegTable
from softswitch.originate import ClickedCall, OriginatedCall, OriginateRefused, Origination
from softswitch.recording_labels import call_label
from softswitch.referrals import Referrals, number_of
from softswitch.room_calls import RuntimeRoomCalls, conference_group
from softswitch.rooms import Rooms
from softswitch.sip_leg import SessionEvent, SipLeg, warning
from softswitch.toll import TollGuard
from softswitch.video_streams import VideoStreams
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
    MediaFailed,
    MediaLost,
    MediaSilent,
    MoveMedia,
    NotMoved,
    Offer,
    Originate,
    OriginationEnded,
    Progress,
    Record,
    RefuseOffer,
    Release,
    Released,
    ReofferRefused,
    Seek,
    SeekFailed,
    SendDigit,
    SetTimer,
    Setup,
    TransferAnswered,
    TransferTold,
    Unbridge,
)

log = structlog.get_logger("calls")

RETRY_AFTER = 10
"""Seconds told with a 503 for want of room: load that passes."""

DRAIN_RETRY_AFTER = 60
"""Seconds told with a 503 while draining: about the time of a restart."""

RECORDING_GRACE = 5.0
"""Seconds that a contact which has ended waits for the last word about its recording before it is written down."""

ELSEWHERE = "its call goes on at another media worker"

MAX_EVENTS_AT_ONCE = 10_000
"""Leg events that one input may set off before the runtime declares a loop of its own making."""


class NoSuchCall(ValueError):
    """What was named is no call in progress, or more than one: `args[0]` says what was expected."""


class RuntimeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the runtime itself needs of the settings."""

    max_calls: int
    """Contacts at once; an INVITE beyond gets 503."""
    max_forwards: int
    silence_hangup: float | None
    """Seconds without RTP from an end that should send; None never hangs up."""
    hold_silence: float | None = None
    """The same for an end that is on hold, or holds."""
    pass_headers: tuple[str, ...] = ()
    """Header names (canonical) that go from the caller's INVITE to the called legs; all others stay where they are."""
    recordings: RecordingForm = RecordingForm()
    policy: AudioPolicy = AudioPolicy(codecs=("PCMA", "PCMU"))
    """What is offered to whom the switch itself calls."""


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
        self.calls: dict[str, Active] = {}
        self.legs = LegTable()
        self.counters: Counter[str] = Counter()
        self.touched: set[str] = set()
        """Contacts that something has happened to; whoever has looked at them clears it."""
        self._ua = ua
        self._media = media
        self._timers = timers
        self._admission = admission
        self._book = phone_book
        self._limits = limits
        self._toll = toll
        toll.end_call = self.end_call
        self._ids = ids
        self._announce = announce
        self._wall = wall
        self._record = record
        # Media workers outlive us: what they carry of before must not share an id with what we open. JSON readers
        # take 53 bits for granted.
        self._leg_ids = itertools.count(1 + ids.number(52))
        self._queue: deque[tuple[str, AnyLegEvent]] = deque()
        self._streams: dict[int, str] = {}  # open stream -> contact
        self._lost: set[int] = set()  # streams that went with their media worker and are not open again
        self.referrals = Referrals()
        self.audio = AudioLine(media)
        self.rooms = Rooms(media, timers, self._next_leg, RuntimeRoomCalls(self), lambda: self.settings.recordings)
        self.video = VideoStreams(media, self._next_leg)
        self.mover = CallMover(self, phone_book, limits, toll)

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
                self._admitted(event, known, flow, now)

    def session_event(self, event: SessionEvent, now: float) -> None:
        """Something happened in a session that belongs to a leg."""
        leg = self.legs.get(event.session.user) if isinstance(event.session.user, int) else None
        if leg is None:
            return
        if isinstance(event, SessionFailed) and self._invited_again(leg, event.status, now):
            return
        heard = leg.translate(event, now)
        if leg.over:
            self._leg_over(leg, now)
        if heard is not None:
            self._queue.append((leg.call, heard))
            if leg.displaced and leg.established:
                leg.displaced = False
                self._queue.append((leg.call, MediaLost(leg.id, ELSEWHERE)))
            self._work(now)

    def media_event(self, event: MediaEvent, now: float) -> None:
        """Something happened to a stream, or was heard on it."""
        match event:
            case StreamClosed(stream=stream, stats=stats):
                self._stream_closed(stream, stats, now)
            case StreamSilent(stream=stream, seconds=seconds):
                self._media_says(stream, MediaSilent(stream, seconds), now)
            case StreamFailed(stream=stream, why=why):
                log.warning("stream failed", stream=stream, why=why)
                self._media_says(stream, MediaFailed(stream, why), now)
            case StreamLatched(stream=stream, host=host, port=port):
                log.debug("stream latched", stream=stream, host=host, port=port)
            case StreamLost(stream=stream, why=why):
                self._stream_lost(stream, why, now)
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

    def record(self, call: str, action: str, now: float) -> tuple[str, int]:
        """`start`, `pause`, `resume` or `stop` the recording of a call, named by its contact's id or by the name of one
        of its ends. The contact's id and, of a `start`, the recording's, of which the engine's word is still to come
        (`audio.await_word`), else 0. Raises `RecordingRefused`, `NoSuchCall`."""
        active = self._find(call)
        effects = active.call.record(action)
        self._execute(active, effects, now)
        self._work(now)
        begun = next((effect.recording for effect in effects if isinstance(effect, Record)), 0)
        return active.call.contact.id, begun

    def command(self, command: AnyCallCommand, now: float) -> str:
        """Have something done to a call. The contact's id; raises `TransferRefused`, `NoSuchCall`."""
        active = self._find(command.call)
        by = command.by or command.call
        if isinstance(command, call_commands.Supervise):
            effects = self._supervise(active, by, command, now)
        elif isinstance(command, call_commands.PickUp):
            effects = self._pick_up(active, by, now)
        else:
            leg = active.call.leg_of(by) if not isinstance(command, call_commands.HangUp) else 0
            if leg is None:
                raise TransferRefused(f"{by!r} is not one of those in that call: expected one of its extensions")
            effects = carry_out(active.call, leg, command, now)
        self.carry_out(active, effects, now)
        return active.call.contact.id

    def _supervise(self, active: Active, by: str, command: call_commands.Supervise, now: float) -> list[AnyEffect]:
        call = active.call
        leg = call.leg_of(by)
        if leg is not None:
            return call.set_mode(leg, command.mode)
        there = self._extensions_in(call)
        to = command.to or (command.call if command.call in [each.endpoint for each in there] else "")
        there = [each for each in there if not to or each.endpoint == to]
        if len(there) != 1:
            named = ", ".join(each.endpoint for each in self._extensions_in(call)) or "none"
            raise TransferRefused(f"which extension of that call is to be supervised? there: {named}")
        if not self._book.may_supervise(by, there[0].endpoint):
            raise TransferRefused(f"{by} may not supervise {there[0].endpoint!r}: see 'supervises' and 'groups'")
        return call.invite(by, Place("supervise", there[0].id, command.mode), now)

    def _pick_up(self, active: Active, by: str, now: float) -> list[AnyEffect]:
        ringing = [self.legs[leg] for leg in active.call.legs() if leg in self.legs and active.call.rings(leg)]
        if not any(each.kind == "extension" and self._book.may_pick_up(by, each.endpoint) for each in ringing):
            raise TransferRefused(f"{by} may not pick up that call: see 'pick_up' and 'groups'")
        return active.call.invite(by, Place("answer"), now)

    def _extensions_in(self, call: Call) -> list[SipLeg]:
        legs = (self.legs.get(leg) for leg in call.talkers)
        return [leg for leg in legs if leg is not None and leg.kind == "extension"]

    def refer_received(self, event: ReferReceived, now: float) -> None:
        """A telephone sends the one it talks to elsewhere (RFC 3515), or to whom it talks to by another dialog (RFC
        5589): a transfer, done by us."""
        user, refer = event.session.user, event.refer
        leg = self.legs.get(user) if isinstance(user, int) else None
        active = self.calls.get(leg.call) if leg is not None else None
        number, replaces = number_of(event), event.refer_to.replaces
        if leg is None or active is None:
            refer.reject(481, now)
        elif replaces is not None:
            self._refer_to_dialog(leg, replaces, event, now)
        elif number:
            self._refer_to_number(active, leg, number, event, now)
        else:
            refer.reject(501, now)

    def _refer_to_number(self, active: Active, leg: SipLeg, number: str, event: ReferReceived, now: float) -> None:
        try:
            effects = active.call.transfer(leg.id, number, now)
        except TransferRefused as refused:
            log.info("transfer refused", contact=leg.call, why=str(refused))
            event.refer.reject(refused.status, now)
            return
        self.referrals.begin(leg.id, event, now)
        self.carry_out(active, effects, now)

    def _refer_to_dialog(self, leg: SipLeg, replaces: Replaces, event: ReferReceived, now: float) -> None:
        session = find_dialog(self._ua.dialogs, replaces)
        other = session.user if session is not None else None
        contact = leg.call
        if self.referrals.waits(leg.id):
            event.refer.reject(491, now)  # whoever asked before is still to be told how that ends
            return
        self.referrals.begin(leg.id, event, now)
        try:
            if not isinstance(other, int) or session is None or session.over:
                raise TransferRefused("there is no such dialog", 481)
            self.mover.attended(leg.id, other, lambda status: self._told(leg.id, status, now), now)
        except TransferRefused as refused:
            # The REFER itself was fine: what is wrong is told as an INVITE with that Replaces would be answered.
            log.info("transfer refused", contact=contact, why=str(refused))
            self._told(leg.id, refused.status, now)

    def _told(self, leg: int, status: int, now: float) -> None:
        if status >= 200:
            self.counters["transfers" if status == 200 else "transfers failed"] += 1
        self.referrals.told(leg, status, now)

    def _find(self, call: str) -> Active:
        active = self.calls.get(call)
        if active is not None:
            return active
        legs = [*self.legs.of("extension", call), *self.legs.of("trunk", call)]
        there = dict.fromkeys(leg.call for leg in legs)
        found = [self.calls[contact] for contact in there if contact in self.calls]
        if not found:
            raise NoSuchCall(f"no call {call!r}: expected an id out of 'softswitch status', or an extension")
        if len(found) > 1:
            ids = ", ".join(each.call.contact.id for each in found)
            raise NoSuchCall(f"{call!r} is in more than one call: expected one of {ids}")
        return found[0]

    def hang_up_all(self, cause: int, now: float, text: str) -> None:
        """End every call: the drain's deadline has come."""
        for active in list(self.calls.values()):
            self._execute(active, active.call.hang_up(cause, now, "switch", text), now)
            self._work(now)

    def originate(self, wanted: Origination, now: float, begun: Callable[[str], None] | None = None) -> str:
        """Call somebody with an extension's rights. The contact's id, which `begun` is told before all else. Raises
        `OriginateRefused`; what happens later, `wanted.told` is told."""
        if self.draining or len(self.calls) >= self.settings.max_calls:
            raise OriginateRefused("the switch is shutting down" if self.draining else "too many calls")
        setup = self._book.setup_of(wanted.extension, wanted.number)
        if setup is None:
            raise OriginateRefused(f"no extension {wanted.extension!r} with whose rights to call")
        contact = Contact(self._contact_id(), now, self._wall(), setup.caller, setup.dialled)
        contact.context, contact.kind, contact.endpoint = setup.context, setup.kind, setup.endpoint
        kind = ClickedCall if wanted.clicked else OriginatedCall
        call = kind(contact, setup, self.settings.policy, self._book, self._next_leg, wanted.then)
        active = Active(call, {}, group=wanted.group or contact.id, told=wanted.told)
        self.calls[contact.id] = active
        self.counters["calls"] += 1
        if begun is not None:
            begun(contact.id)
        self._execute(active, call.begin(now), now)
        self._work(now)
        return contact.id

    def end_call(self, contact: str, why: str, now: float, cause: int = Cause.OUTGOING_CALLS_BARRED) -> None:
        """End one call, as a rule one that has cost what it may; nothing where it is gone."""
        active = self.calls.get(contact)
        if active is not None:
            self._execute(active, active.call.hang_up(cause, now, "switch", why), now)
            self._work(now)

    # ---- arrival --------------------------------------------------------------------------------------

    def _admitted(self, event: SessionArrived, known: Known, flow: Flow, now: float) -> None:
        session, request = event.session, event.request
        leg_id = next(self._leg_ids)
        host = flow.remote[0]
        contact_id = self._contact_id()
        try:
            terms = self._book.terms(known)
            nat = behind_nat(terms, request, flow)
            setup = self._book.setup(known, request, flow, self._passed(request))
            policy = keyed(terms.policy, flow)
            leg = self._make_leg(leg_id, True, setup.kind, setup.endpoint, policy, nat, host, terms.reliable)
            group = self._group(setup, contact_id)
            offer = leg.arrived(session.remote_offer)
            limit = terms.channels if isinstance(terms, TrunkEntry) else terms.call_limit
            if not self._limits.acquire(f"{setup.kind}:{setup.endpoint}", limit, contact_id):
                self.counters["calls refused: call limit"] += 1
                session.reject(486 if setup.kind == "extension" else 503, "Call limit reached", [], now)
                return
            remote = offer.remote if offer is not None else None
            leg.local = self._media.open(leg_id, host, remote, nat, leg.origin.host, now, group)
        except (SdpError, SipError) as error:
            headers = warning(error, self._announce(host)) if isinstance(error, SdpError) else []
            if error.status == 488:
                log.warning("call refused", contact=contact_id, source=host, why=error.reason)
            session.reject(error.status, error.reason, headers, now)
            return
        except NoMediaPorts:
            self._limits.release(contact_id)
            self.counters["calls refused: no media ports"] += 1
            session.reject(503, "No media ports", [("Retry-After", str(RETRY_AFTER))], now)
            return
        leg.session = session
        session.user = leg_id
        if nat or flow.connection:
            session.destination = flow
        contact = Contact(contact_id, now, self._wall(), setup.caller, setup.dialled)
        self._begin(event, contact, leg, setup, offer, now, group)

    def _group(self, setup: Setup, contact: str) -> str:
        """Whose streams must be where this call's are: those of the conference that it leads to, or only its own."""
        conference = self._book.conference(setup)
        return conference_group(conference) if conference else contact

    def _begin(
        self,
        event: SessionArrived,
        contact: Contact,
        leg: SipLeg,
        setup: Setup,
        offer: AudioOffer | None,
        now: float,
        group: str,
    ) -> None:
        call_id = event.session.call_id
        contact.context = setup.context
        contact.kind = setup.kind
        contact.endpoint = setup.endpoint
        contact.direction = "inbound" if setup.kind == "trunk" else "internal"
        contact.add_leg(
            LegRecord(leg.id, "in", setup.kind, setup.endpoint, setup.caller.number, now, setup.address, call_id)
        )
        call = Call(contact, leg.id, setup, offer, leg.policy, self._book, self._next_leg)
        leg.call = contact.id
        self.legs[leg.id] = leg
        active = self.calls[contact.id] = Active(call, {}, 1, group=group)
        self._streams[leg.id] = contact.id
        self.counters["calls"] += 1
        if event.replaces is not None or event.join is not None:
            self._come_into(active, leg, event, now)
        else:
            self._execute(active, call.begin(now), now)
        self._work(now)

    def _come_into(self, active: Active, leg: SipLeg, event: SessionArrived, now: float) -> None:
        """The INVITE names a dialog of ours, to take its place (RFC 3891) or to talk along (RFC 3911)."""
        other = event.matched.user if event.matched is not None else None
        active.call.contact.enter("route", now)
        try:
            if not isinstance(other, int):
                raise TransferRefused("there is no such dialog", 481)
            self.mover.replacing(active, leg.id, other, event.join is not None, now)
        except TransferRefused as refused:
            log.info("call not joined", contact=leg.call, why=str(refused))
            self._tell(active, SeekFailed(leg.id, refused.status, str(refused)))

    def _make_leg(
        self,
        leg: int,
        inbound: bool,
        kind: str,
        endpoint: str,
        policy: AudioPolicy,
        nat: bool,
        host: str,
        reliable: bool | None = None,
    ) -> SipLeg:
        # RFC 3264 section 5: session id and version are 64-bit numbers of which the top bit stays clear.
        origin = Origin(self._ids.number(62), 1, "-", self._announce(host))
        silence = (self.settings.silence_hangup, self.settings.hold_silence)
        made = SipLeg(leg, inbound, kind, endpoint, policy, nat, host, origin, self._media, silence, reliable)
        made.random = self._octets
        return made

    def _octets(self, count: int) -> bytes:
        return self._ids.number(8 * count).to_bytes(count, "big")

    def _next_leg(self) -> int:
        return next(self._leg_ids)

    def _contact_id(self) -> str:
        """Unique across restarts and machines, and in the order of time: milliseconds, then 64 random bits."""
        return f"{int(self._wall() * 1000):011x}-{self._ids.number(64):016x}"

    def _passed(self, request: Request) -> tuple[tuple[str, str], ...]:
        wanted = self.settings.pass_headers
        if not wanted:
            return ()
        return tuple([(name, value) for name, value in request.headers if name in wanted])

    # ---- events to effects -----------------------------------------------------------------------------

    def _work(self, now: float) -> None:
        """Let calls handle the events that are waiting, until there are none."""
        queue = self._queue
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
            _DO[type(effect)](self, active, effect, now)
        if active.shown:
            legs = (self.legs.get(leg) for leg in active.call.legs())
            self.video.settle([leg for leg in legs if leg is not None], active.call.showing, now)

    def _ready(self, active: Active, leg: SipLeg, video: Video | None, now: float) -> None:
        """Have a stream for the video that a leg is about to be told of."""
        if video is None or leg.video is not None:
            return
        stream = self.video.open(leg, active.group, now)
        if not stream:
            self.counters["video left out: no media ports"] += 1
            return
        active.shown = True
        active.streams += 1
        self._streams[stream] = active.call.contact.id

    def carry_out(self, active: Active, effects: list[AnyEffect], now: float) -> None:
        """Carry out what a call wants, and what that sets off."""
        self._execute(active, effects, now)
        self._work(now)

    def stream_moved(self, leg: int, there: Active, here: Active, now: float) -> None:
        """The stream of a leg belongs to the call `here` from now on, and no more to the one that was `there`."""
        if self._streams.get(leg) == there.call.contact.id:
            self._streams[leg] = here.call.contact.id
            there.streams -= 1
            here.streams += 1
        originated = there.originated.pop(leg, None)
        if originated is not None:
            here.originated[leg] = originated
        if leg in there.bridged:
            there.bridged = (0, 0)
        self.rooms.leave(leg, now)
        mine = self.legs[leg]
        stays = self._in_group(here, mine, here.group, now)
        self._video_moved(leg, there, here, now)
        if stays:
            return
        # At once, so that whatever its far end is told next says where it is to send.
        if self._open_again(here, mine, now) and not mine.established:
            mine.displaced = mine.told
        else:
            self._tell(here, MediaLost(leg, ELSEWHERE))

    def gather(self, active: Active, group: str, now: float) -> None:
        """The streams of a call that talks go to where those of a group are."""
        active.group = group
        for leg in active.call.legs():
            found = self.legs.get(leg)
            if found is None:
                continue
            if not self._in_group(active, found, group, now):
                self._tell(active, MediaLost(leg, ELSEWHERE))
            if found.video is not None and not self._media.regroup(found.video[0], group, now):
                self.video.lost(found, now)
        self._work(now)

    def _in_group(self, active: Active, leg: SipLeg, group: str, now: float) -> bool:
        """Have a stream be where those of a group are; False where it is lost for it, and has to be opened there."""
        if self._media.regroup(leg.id, group, now):
            return True
        self._lost.add(leg.id)
        active.bridged = (0, 0)
        return False

    def _video_moved(self, leg: int, there: Active, here: Active, now: float) -> None:
        """The stream of a leg's video goes with it."""
        moving = self.legs[leg]
        if moving.video is None:
            return
        stream = moving.video[0]
        self._streams[stream] = here.call.contact.id
        there.streams -= 1
        here.streams += 1
        here.shown = True
        self.video.part(moving, now)
        if not self._media.regroup(stream, here.group, now):
            self.video.lost(moving, now)

    def takes_place(self, old: int, new: int, now: float) -> None:
        """Another leg has the place of one that is in a conference, if it is in one."""
        name, leg = self.rooms.conference(old), self.legs.get(new)
        active = self.calls.get(leg.call) if leg is not None else None
        if not name or leg is None or active is None:
            return
        active.group = conference_group(name)
        there = self._in_group(active, leg, active.group, now)
        self.rooms.replace(old, new, now)
        if not there:
            self.rooms.lost(new, now)
            self._tell(active, MediaLost(new, ELSEWHERE))

    def _tell(self, active: Active, event: AnyLegEvent) -> None:
        self._queue.append((active.call.contact.id, event))

    def _originate(self, active: Active, effect: Originate, now: float) -> None:
        endpoint = effect.endpoint
        address = endpoint.address
        assert isinstance(address, DialAddress)
        policy = keyed(endpoint.policy, address.destination)
        why = _in_the_clear(policy, address)
        if why:
            self.counters["legs failed: signalling in the clear"] += 1
            log.warning("not called", **{endpoint.kind: endpoint.name}, why=why)
            self._tell(active, Released(effect.leg, Cause.INCOMPATIBLE_DESTINATION, 488, by_peer=False, text=why))
            return
        leg = self._make_leg(effect.leg, False, endpoint.kind, endpoint.name, policy, address.nat, address.host)
        try:
            leg.local = self._media.open(
                effect.leg, address.host, None, address.nat, leg.origin.host, now, active.group
            )
        except NoMediaPorts:
            self.counters["legs failed: no media ports"] += 1
            self._tell(active, Released(effect.leg, Cause.RESOURCE_UNAVAILABLE, 503, by_peer=False))
            return
        active.streams += 1
        self._streams[effect.leg] = active.call.contact.id
        # The directory has seen that there is room. Counted by leg, so that failover to another gateway keeps the
        # channel that the failed leg has given back a moment ago.
        self._limits.acquire(f"{endpoint.kind}:{endpoint.name}", 0, active.call.contact.id)
        leg.call = active.call.contact.id
        self.legs[effect.leg] = leg
        active.originated[effect.leg] = effect
        self._ready(active, leg, effect.video, now)
        self._invite(active, leg, effect, now)

    def _invite(self, active: Active, leg: SipLeg, effect: Originate, now: float) -> None:
        """Send the INVITE of an outbound leg."""
        endpoint = effect.endpoint
        address = endpoint.address
        assert isinstance(address, DialAddress)
        sdp = leg.first_offer(effect.codecs, effect.direction, effect.video)
        diversions = self._book.diversions(endpoint, effect.diverted, leg.origin.host)
        told = [*diversions, *self._book.referred_by(endpoint, effect.referred_by, leg.origin.host)]
        written = {name for name, _ in told}
        request = Request(
            "INVITE",
            address.uri,
            [
                *self._book.identity(address, effect.caller, leg.origin.host),
                ("Max-Forwards", str(effect.hops)),
                *[each for each in effect.headers if each[0] not in written],
                *told,
                ("Content-Type", "application/sdp"),
            ],
            sdp,
        )
        session = self._ua.invite(request, now, address.destination, endpoint.name, address.credentials)
        session.user = effect.leg
        if address.nat:
            session.destination = address.destination
        leg.session = session
        record = active.call.contact.leg(effect.leg)
        if record is not None:
            record.call_id = session.call_id
            record.address = address.uri

    def _invited_again(self, leg: SipLeg, status: int, now: float) -> bool:
        """The far end does not take SRTP that is not required, or no video: call it once more without."""
        active = self.calls.get(leg.call)
        effect = active.originated.get(leg.id) if active is not None else None
        if active is None or effect is None:
            return False
        if not leg.offers_plain(status):
            if not leg.offers_audio(status):
                return False
            effect.video = None
        self._invite(active, leg, effect, now)
        return True

    def _progress(self, active: Active, effect: Progress, now: float) -> None:
        leg = self.legs.get(effect.leg)
        if leg is not None:
            self._ready(active, leg, effect.video, now)
            leg.progress(effect.status, effect.codecs, effect.direction, now, effect.video)
            self._agreed(active, leg)

    def _accept(self, active: Active, effect: Accept, now: float) -> None:
        leg = self.legs.get(effect.leg)
        if leg is not None:
            self._ready(active, leg, effect.video, now)
            leg.accept(effect.codecs, effect.direction, now, effect.video)
            self._agreed(active, leg)

    def _offer(self, active: Active, effect: Offer, now: float) -> None:
        leg = self.legs.get(effect.leg)
        if leg is not None:
            self._ready(active, leg, effect.video, now)
        if leg is None or not leg.offer(effect.codecs, effect.direction, now, effect.video):
            self._tell(active, ReofferRefused(effect.leg, 491))

    def _move_media(self, active: Active, effect: MoveMedia, now: float) -> None:
        leg = self.legs.get(effect.leg)
        if leg is None:
            return
        if leg.id in self._lost and not self._open_again(active, leg, now):
            self._tell(active, NotMoved(leg.id))
            return
        self._ready(active, leg, effect.video, now)
        if not leg.offer(effect.codecs, effect.direction, now, effect.video):
            self._tell(active, NotMoved(leg.id))

    def _open_again(self, active: Active, leg: SipLeg, now: float) -> bool:
        """A stream that is lost lies where its call is, its far end has yet to be told; False: there is no place."""
        remote = leg.agreed.remote if leg.agreed is not None else leg.asked_audio
        # Whoever was in its conference meets there again: the first one's place is everybody's.
        conference = self.rooms.conference(leg.id)
        group = conference_group(conference) if conference else active.group
        try:
            leg.local = self._media.open(leg.id, leg.signalled_host, remote, leg.nat, leg.origin.host, now, group)
        except NoMediaPorts as full:
            contact = active.call.contact.id
            log.debug("no place for a lost stream yet", contact=contact, stream=leg.id, why=str(full))
            return False
        self._lost.discard(leg.id)
        self.counters["streams moved to another media worker"] += 1
        active.bridged = (0, 0)
        self.video.lost(leg, now)
        leg.moved(now)
        return True

    def _answer(self, active: Active, effect: Answer, now: float) -> None:
        leg = self.legs.get(effect.leg)
        if leg is not None:
            self._ready(active, leg, effect.video, now)
            leg.answer(effect.codecs, effect.direction, now, effect.video)
            self._agreed(active, leg)

    def _refuse_offer(self, active: Active, effect: RefuseOffer, now: float) -> None:
        leg = self.legs.get(effect.leg)
        if leg is not None:
            leg.refuse_offer(effect.status, now)

    def _release(self, active: Active, effect: Release, now: float) -> None:
        leg = self.legs.get(effect.leg)
        if leg is not None:
            if leg.inbound and effect.status == 488 and effect.text:
                contact = active.call.contact
                log.warning("call refused", contact=contact.id, **{contact.kind: contact.endpoint}, why=effect.text)
            leg.release(effect.cause, effect.status, effect.text, effect.retry_after, now)

    def _bridge(self, active: Active, effect: Bridge, now: float) -> None:
        pair = (effect.a, effect.b)
        if active.bridged != pair:
            active.bridged = pair
            self._media.bridge(effect.a, effect.b, now)

    def _unbridge(self, active: Active, effect: Unbridge, now: float) -> None:
        active.bridged = (0, 0)
        self._media.unbridge(effect.leg, now)

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
        if leg is None or leg.id in self._lost:
            return
        # Who was sent there in the middle of a call may be at another media worker than those who are there.
        active.group = conference_group(effect.name)
        if self._in_group(active, leg, active.group, now):
            self.rooms.enter(effect.name, leg.id, now)
        else:
            self._tell(active, MediaLost(leg.id, ELSEWHERE))

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

    def _transfer_told(self, active: Active, effect: TransferTold, now: float) -> None:
        if isinstance(active.call, ClickedCall) and effect.leg == active.call.asked_by:
            self.referrals.told(effect.leg, effect.status, now)
        else:
            self._told(effect.leg, effect.status, now)

    def _ask_transfer(self, active: Active, effect: AskTransfer, now: float) -> None:
        leg = self.legs.get(effect.leg)
        if leg is None:
            return
        host = leg.origin.host
        by = effect.by.replace("{host}", f"[{host}]" if ":" in host else host)
        if not leg.ask_transfer(effect.target, by, now):
            self._tell(active, TransferAnswered(effect.leg, 405))

    def _seek(self, active: Active, effect: Seek, now: float) -> None:
        try:
            self.mover.seek(active, effect.leg, effect.what, now)
        except TransferRefused as refused:
            log.info("call not joined", contact=active.call.contact.id, why=str(refused))
            self._tell(active, SeekFailed(effect.leg, refused.status, str(refused)))

    def _origination_ended(self, active: Active, effect: OriginationEnded, now: float) -> None:
        told, active.told = active.told, None
        if told is not None:
            told(effect.leg, effect.why, now)

    def _timer_fired(self, contact: str, name: str, now: float) -> None:
        active = self.calls.get(contact)
        if active is not None:
            active.timers.pop(name, None)
            self._execute(active, active.call.timer_fired(name, now), now)
            self._work(now)

    # ---- ends --------------------------------------------------------------------------------------------

    def _leg_over(self, leg: SipLeg, now: float) -> None:
        """The dialog has ended: give the stream back."""
        del self.legs[leg.id]
        self.touched.add(leg.call)
        active = self.calls.get(leg.call)
        if active is None:
            return
        self.rooms.leave(leg.id, now)
        self.video.leave(leg, now)
        self._media.close(leg.id, now)
        self._lost.discard(leg.id)
        active.originated.pop(leg.id, None)
        if leg.id in active.bridged:
            active.bridged = (0, 0)
        holder = (leg.kind, leg.endpoint)
        others = (self.legs.get(other) for other in active.call.legs())
        if not any(o is not None and (o.kind, o.endpoint) == holder for o in others):
            self._limits.release(leg.call, f"{leg.kind}:{leg.endpoint}")

    def _agreed(self, active: Active, leg: SipLeg) -> None:
        if leg.agreed is not None:
            active.call.session_agreed(leg.id, leg.agreed)

    def _media_says(self, stream: int, event: AnyLegEvent, now: float) -> None:
        leg = self.legs.get(stream)
        if leg is not None:
            self._queue.append((leg.call, event))
            self._work(now)

    def _stream_lost(self, stream: int, why: str, now: float) -> None:
        seen = self.legs.get(self.video.leg_of(stream))
        if seen is not None and seen.video is not None and seen.video[0] == stream:
            self.video.lost(seen, now)
            return
        leg = self.legs.get(stream)
        active = self.calls.get(leg.call) if leg is not None else None
        if active is None:
            self._media.close(stream, now)
            return
        log.warning("stream lost", contact=active.call.contact.id, stream=stream, why=why)
        self._lost.add(stream)
        active.bridged = (0, 0)
        self.rooms.lost(stream, now)
        self._media_says(stream, MediaLost(stream, why), now)

    def _audio_event(self, event: PlayEnded | RecordingEvent, now: float) -> None:
        if self.rooms.heard(event, now):
            self._work(now)
            return
        if isinstance(event, RecordingFailed):
            self.counters["recordings failed"] += 1
        active = self.calls.get(self.audio.owner(event))
        if active is not None:
            self._execute(active, active.call.audio_event(event, now), now)
            self._work(now)
            self._write_down(active, now)

    def _stream_closed(self, stream: int, stats: StreamStats, now: float) -> None:
        active = self.calls.get(self._streams.pop(stream, ""))
        seen = self.video.closed(stream)
        if active is None:
            return
        active.streams -= 1
        record = active.call.contact.leg(seen or stream)
        if record is not None and seen:
            record.add_video(stats)
        elif record is not None:
            record.stats = stats
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


def secure(way: Destination) -> bool:
    """Whether signalling that goes this way can be read by nobody else: TLS to the next hop."""
    hops = way if isinstance(way, tuple) and not isinstance(way, Flow | Target) else (way,)
    return bool(hops) and all(hop is not None and TRANSPORTS[hop.transport].secure for hop in hops)


def keyed(policy: AudioPolicy, way: Destination) -> AudioPolicy:
    """The policy of a leg whose signalling goes this way: over TLS, SRTP keys may stand in its descriptions."""
    if policy.srtp == "never" or policy.sdes or not secure(way):
        return policy
    return msgspec.structs.replace(policy, sdes=True)


def _in_the_clear(policy: AudioPolicy, address: DialAddress) -> str:
    """Why an endpoint must not be called without TLS; "" where it may be."""
    if policy.srtp == "required" and not policy.sdes:
        return KEYS_IN_CLEAR
    # RFC 3261 26.2.2, RFC 5630 3.1.1: a sips resource is reached over TLS or not at all.
    if address.uri[:5].lower() == "sips:" and address.destination is not None and not secure(address.destination):
        return "its address is a sips one, which needs TLS"
    return ""


_DO: dict[type, Callable[[Runtime, Active, Any, float], None]] = {
    Originate: Runtime._originate,
    Progress: Runtime._progress,
    Accept: Runtime._accept,
    Offer: Runtime._offer,
    MoveMedia: Runtime._move_media,
    Answer: Runtime._answer,
    RefuseOffer: Runtime._refuse_offer,
    Release: Runtime._release,
    Bridge: Runtime._bridge,
    Unbridge: Runtime._unbridge,
    Echo: Runtime._echo,
    SendDigit: Runtime._send_digit,
    EnterRoom: Runtime._enter_room,
    Record: Runtime._record_streams,
    Audio: Runtime._audio,
    SetTimer: Runtime._set_timer,
    CancelTimer: Runtime._cancel_timer,
    Seek: Runtime._seek,
    TransferTold: Runtime._transfer_told,
    AskTransfer: Runtime._ask_transfer,
    OriginationEnded: Runtime._origination_ended,
    Finished: Runtime._finished,
}
"""What carries each effect out: one entry per member of `AnyEffect`, which a test holds it to."""
