"""The recording of a call: who is on which channel of it, and when it begins, follows the talkers, or is begun anew."""

from __future__ import annotations

from media.audio_commands import StreamLabels
from media.negotiate import AudioSession
from softswitch.call_coded import CodedCall
from softswitch.call_floor import State
from softswitch.call_moves import Place
from softswitch.call_recording import CallRecorder, Channels, RecordingRefused, rule_of
from softswitch.call_transfer import NOT_ANSWERED
from softswitch.dialplan.decision import Dial
from softswitch.recording_labels import leg_label
from softswitch.vocabulary import AnyEffect


class RecordedCall(CodedCall):
    """The part of a `Call` that has itself recorded."""

    __slots__ = ("_channels", "_plan", "_recorder")

    _channels: dict[int, int]  # of the legs that have talked and are still there
    _plan: Dial | None
    _recorder: CallRecorder

    def record(self, action: str) -> list[AnyEffect]:
        """`start`, `pause`, `resume` or `stop` the recording of a call in progress. Raises `RecordingRefused`."""
        self._command_recorder(action)
        return self._take()

    def _command_recorder(self, action: str) -> None:
        if self.state is not State.TALKING:
            raise RecordingRefused("nobody talks to another in this call" if self.contact.answered else NOT_ANSWERED)
        self._effects += self._recorder.command(action, *self._recorded())

    def _toggle_recording(self) -> bool:
        """See `CodedCall`. What must be recorded, whoever is in the call, nobody in it ends; what somebody has begun by
        code or by command is ended by code, whatever the rule is."""
        if self._recorder.recording and self._recorder.by_rule:
            raise RecordingRefused("this call is recorded always: 'softswitch record' may end that")
        self._command_recorder("stop" if self._recorder.recording else "start")
        return bool(self._recorder.recording)

    @property
    def recording(self) -> str:
        """Whether the call is being recorded: "on", "paused", or ""."""
        if not self._recorder.recording:
            return ""
        return "paused" if self._recorder.paused else "on"

    def _arrived(self, leg: int, place: Place, now: float) -> None:
        super()._arrived(leg, place, now)
        self._recording_begins(leg)

    def _recording_begins(self, leg: int) -> None:
        """A leg that talks from now on may have to be recorded, or may not be."""
        if self.state is State.TALKING and leg in self.talkers and not self._recorder.recording:
            self._effects += self._begin_recording()

    def _begin_recording(self) -> list[AnyEffect]:
        plan = self._plan
        ends = [(end.kind, self._directory.record(end.kind, end.name)) for end in map(self._endpoint_of, self.talkers)]
        rule = rule_of(plan.record if plan is not None else "", ends)
        return self._recorder.begin(rule, *self._recorded(), asked=plan is not None and plan.asks_recording)

    def _record_page(self) -> None:
        end = self._a_endpoint
        rule = rule_of("", [(end.kind, self._directory.record(end.kind, end.name))])
        self._effects += self._recorder.begin(rule, *self._recorded())

    def _recorded(self) -> tuple[Channels, StreamLabels]:
        """Who is on which channel. A supervisor whom all of them hear is on the agents'; who listens or whispers is on
        none, nor is who only hears a page: nobody is recorded whom nobody hears."""
        ends = {leg: self._endpoint_of(leg) for leg in self.talkers if leg not in self._listeners}
        self._place_on_channels(list(ends))
        customers = [leg for leg in ends if self._channels[leg] == 0]
        labels = []
        for leg, end in ends.items():
            party, role = self._party(leg), "caller" if leg == self._caller_leg else "called"
            labels.append((leg, leg_label(role, end.kind, end.name, party.number, party.name)))
        barging = [leg for leg, how in self._supervisors.items() if how.mode == "barge"]
        for leg in barging:
            end, party = self._endpoint_of(leg), self._party(leg)
            labels.append((leg, leg_label("supervisor", end.kind, end.name, party.number, party.name)))
        order = [*customers, *[leg for leg in ends if leg not in customers], *barging]
        return tuple([(leg, 0 if leg in customers else 1) for leg in order]), tuple(labels)

    def _place_on_channels(self, talkers: list[int]) -> None:
        """The customer, who is at the trunk's side or else has called, is on the first channel, all others are on the
        second: also those whom an agent consults, while the customer waits. Everybody stays where it was; where the
        customer is gone, its channel is for whoever comes next."""
        there = (*talkers, *self._aside)
        known = self._channels = {leg: channel for leg, channel in self._channels.items() if leg in there}
        new = [leg for leg in talkers if leg not in known]
        if known:
            free = 1 if 0 in known.values() else 0
            known.update(dict.fromkeys(new, free))
            return
        trunks = [leg for leg in new if self._endpoint_of(leg).kind == "trunk"]
        callers = [leg for leg in new if leg == self._caller_leg]
        customers = trunks if 0 < len(trunks) < len(new) else callers or [self.a]
        known.update({leg: 0 if leg in customers else 1 for leg in new})

    def _replace(self, old: int, new: int, now: float) -> None:
        if old in self._channels:
            self._channels[new] = self._channels[old]
        super()._replace(old, new, now)

    def _recording_follows(self) -> None:
        if self.a and (self.state in (State.TALKING, State.PARKED) or (self._again and self.state is State.HUNTING)):
            self._effects += self._recorder.follow(*self._recorded())
            if self.state is State.TALKING and not self._moving:
                self._effects += self._recorder.again(*self._recorded())

    def _join(self, leg: int) -> None:
        super()._join(leg)
        if leg == self.b:
            self._recording_follows()

    def _moved(self, leg: int, session: AudioSession, now: float) -> None:
        super()._moved(leg, session, now)
        if not self._moving and self.state is State.TALKING:
            self._effects += self._recorder.again(*self._recorded())
