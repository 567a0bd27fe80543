"""Whether a call is recorded, who is on which channel, and what becomes of the recording.

The rule is the dialplan route's where that says one; else that of the extensions in the call; else that of the trunks;
else `never`. Where two ends of one kind differ, `always` beats `on-demand`, which beats `never`: whoever must be
recorded is, whoever else is in the call. `always` begins with the answer, `on-demand` by command (`softswitch record`);
`never` refuses that.

Channel 0 (left) is the customer, 1 (right) the agent: the trunk's side is the customer, and the caller is between two
extensions, or two trunks. All who come later are beside the agent, supervisors who barge in, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

from media.audio_commands import (
    PauseRecording,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    SetRecordingChannels,
    StopRecording,
    StreamLabels,
)
from softswitch.contact import Contact, RecordingNote
from softswitch.vocabulary import AnyEffect, Audio, Record

NEVER, ON_DEMAND, ALWAYS = "never", "on-demand", "always"
_WEIGHT = {NEVER: 0, ON_DEMAND: 1, ALWAYS: 2}

ACTIONS = ("start", "pause", "resume", "stop")

Channels = tuple[tuple[int, int], ...]
"""(stream, channel) of everybody who is recorded."""

RecordingEvent = RecordingStarted | RecordingEnded | RecordingFailed


class RecordingRefused(Exception):
    """A command that makes no sense now: one line for the operator."""


def rule_of(route: str, ends: Iterable[tuple[str, str]]) -> str:
    """The rule of a call: the route's setting, and (kind, setting) of each end; "" says nothing."""
    if route:
        return route
    said = list(ends)
    for kind in ("extension", "trunk"):
        rules = [rule for end, rule in said if end == kind and rule]
        if rules:
            return max(rules, key=_WEIGHT.__getitem__)
    return NEVER


class CallRecorder:
    """One call's recordings, one at a time. Methods return what to do. `labels`: who the streams of `channels` are."""

    __slots__ = ("_broken", "_channels", "_contact", "_new_id", "by_rule", "paused", "recording", "rule")

    def __init__(self, contact: Contact, new_id: Callable[[], int]) -> None:
        self._contact = contact
        self._new_id = new_id
        self._channels: Channels = ()
        self._broken = False  # the last one failed, and nobody has said that it was to end
        self.rule = NEVER
        self.recording = 0
        """The one that runs; 0: none."""
        self.by_rule = False
        """The rule has begun it, not somebody's wish."""
        self.paused = False

    def begin(
        self, rule: str, channels: Channels, labels: StreamLabels = (), *, asked: bool = False
    ) -> list[AnyEffect]:
        """The call is answered. `asked`: whoever has called wants it recorded, and may, whatever the rule is."""
        self.rule = ON_DEMAND if asked and rule == NEVER else rule
        if rule == ALWAYS:
            self.by_rule = True
            return self._start(channels, labels)
        if asked and not self._contact.recordings:
            return self._start(channels, labels)
        return []

    def follow(self, channels: Channels, labels: StreamLabels = ()) -> list[AnyEffect]:
        """Legs may have changed."""
        if not self.recording or channels == self._channels:
            return []
        self._channels = channels
        return [Audio(SetRecordingChannels(self.recording, channels, labels))]

    def again(self, channels: Channels, labels: StreamLabels = ()) -> list[AnyEffect]:
        """The streams are at another media process: a recording that failed with the first goes on in another file, and
        one that was paused is paused."""
        if not self._broken:
            return []
        paused = self.paused
        effects = self._start(channels, labels)
        if paused:
            self.paused = True
            effects.append(Audio(PauseRecording(self.recording, True)))
        return effects

    def end(self) -> list[AnyEffect]:
        """The call is over."""
        self.rule = NEVER
        self._broken = False
        return self._stop() if self.recording else []

    def command(self, action: str, channels: Channels, labels: StreamLabels = ()) -> list[AnyEffect]:
        """`start`, `pause`, `resume` or `stop` on demand. Raises `RecordingRefused`."""
        if self.rule == NEVER:
            raise RecordingRefused(
                "this call may not be recorded: 'record' of its route, extensions and trunks is never"
            )
        if action == "start":
            if self.recording:
                raise RecordingRefused("this call is recorded already")
            # It takes the place of what the rule has begun and a failure has ended.
            self.by_rule = self.by_rule and self._broken
            return self._start(channels, labels)
        if not self.recording:
            # Should it go on at another media process, then as is wished now.
            self._broken = self._broken and action != "stop"
            self.paused = self._broken and action == "pause"
            raise RecordingRefused("this call is not recorded")
        if action == "stop":
            return self._stop()
        pause = action == "pause"
        if pause == self.paused:
            raise RecordingRefused(f"the recording is {'' if pause else 'not '}paused{' already' if pause else ''}")
        self.paused = pause
        return [Audio(PauseRecording(self.recording, pause))]

    def heard(self, event: RecordingEvent, now: float) -> None:
        """What the engine says of a recording of this call."""
        note = next((each for each in self._contact.recordings if each.recording == event.recording), None)
        if note is None:
            return
        note.path = event.path or note.path
        match event:
            case RecordingStarted():
                note.started = now
                return
            case RecordingEnded():
                note.over = True
            case RecordingFailed():
                note.over = True
                note.failed = event.why
            case _:
                assert_never(event)
        if event.recording == self.recording:
            self.recording = 0
            self._broken = isinstance(event, RecordingFailed)
            self.paused = self.paused and self._broken

    def _start(self, channels: Channels, labels: StreamLabels) -> list[AnyEffect]:
        self.recording = self._new_id()
        self._broken = self.paused = False
        self._channels = channels
        self._contact.recordings.append(RecordingNote(self.recording))
        return [Record(self.recording, channels, labels)]

    def _stop(self) -> list[AnyEffect]:
        stopped, self.recording = self.recording, 0
        self._broken = self.paused = False
        return [Audio(StopRecording(stopped))]
