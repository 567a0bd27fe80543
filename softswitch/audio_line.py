"""What the media engine has been asked to play and to record, and for which contact.

The runtime carries the calls' wishes out by it, and finds by it whom the engine's answers are for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec
import structlog

from media.audio_commands import (
    AudioCommand,
    Label,
    Play,
    PlayEnded,
    RecordingFailed,
    RecordingStarted,
    StartRecording,
)
from media.client import MediaClient
from softswitch.call_recording import RecordingEvent
from softswitch.contact import Contact
from softswitch.vocabulary import Record

log = structlog.get_logger("calls")


class RecordingForm(msgspec.Struct, frozen=True, kw_only=True):
    """What recordings are like."""

    format: Literal["wav", "opus"] = "wav"
    rate: int = 8000
    stereo: bool = True


class AudioLine:
    """Plays and recordings of calls that are under way."""

    __slots__ = ("_awaited", "_media", "_plays", "_recordings")

    def __init__(self, media: MediaClient) -> None:
        self._media = media
        self._plays = _Owned()  # those whose end matters to their call
        self._recordings = _Owned()  # those of which the last word is still to come
        self._awaited: dict[int, Callable[[RecordingEvent], None]] = {}

    def __len__(self) -> int:
        """Everything that is under way."""
        return len(self._plays) + len(self._recordings)

    # ---- down -------------------------------------------------------------------------------------------

    def command(self, command: AudioCommand, contact: str, now: float) -> None:
        """Pass a command on; the end of a play is told to that contact."""
        if isinstance(command, Play):
            self._plays.add(command.play, contact)
        self._media.audio(command, now)

    def record(self, effect: Record, form: RecordingForm, contact: Contact, label: Label, now: float) -> None:
        """Begin a recording, whose end is told to that contact. `label`: what is written of the contact beside it."""
        self._recordings.add(effect.recording, contact.id)
        command = StartRecording(
            effect.recording,
            contact.id,
            effect.channels,
            stereo=form.stereo,
            format=form.format,
            rate=form.rate,
            label=label,
            labels=effect.labels,
        )
        self._media.audio(command, now)

    def await_word(self, recording: int, told: Callable[[RecordingEvent], None]) -> None:
        """Have the engine's first word about a recording told besides, once."""
        self._awaited[recording] = told

    def await_no_more(self, recording: int) -> None:
        """Nobody waits for it any more."""
        self._awaited.pop(recording, None)

    # ---- up ---------------------------------------------------------------------------------------------

    def owner(self, event: PlayEnded | RecordingEvent) -> str:
        """The contact that an event is for, "" for none; what has ended is forgotten. Failures are logged: the call
        that they happen in goes on."""
        if isinstance(event, PlayEnded):
            return self._play_ended(event)
        told = self._awaited.pop(event.recording, None)
        if told is not None:
            told(event)
        if isinstance(event, RecordingStarted):
            return self._recordings.owner(event.recording)
        contact = self._recordings.remove(event.recording)
        if isinstance(event, RecordingFailed):
            known = {"contact": contact, "path": event.path}
            log.error("recording failed", **{key: text for key, text in known.items() if text}, why=event.why)
        elif not contact:
            # Of a process before this one, or too late: no call record names the file.
            log.warning("recording of no call here ended", path=event.path, seconds=event.seconds)
        return contact

    def _play_ended(self, event: PlayEnded) -> str:
        contact = self._plays.remove(event.play)
        if event.how in ("failed", "lost") and not contact:
            # Of a call that is over: nobody waits for it.
            log.debug("nothing played", play=event.play, why=event.why)
        elif event.how == "failed":
            log.error("nothing played", contact=contact, why=event.why)
        elif event.how == "lost":
            log.info("play lost", contact=contact, why=event.why)
        return contact

    def recording(self, contact: str) -> bool:
        """Whether the last word about a recording of this contact is still to come."""
        return self._recordings.has(contact)

    def forget(self, contact: str) -> None:
        """The contact is over and written down: what the engine says of it now comes too late."""
        self._plays.forget(contact)
        for recording in self._recordings.forget(contact):
            log.error("recording never ended", contact=contact, recording=recording)


class _Owned:
    """Ids and the contact that each belongs to, found from either side."""

    __slots__ = ("_by_contact", "_owner")

    def __init__(self) -> None:
        self._owner: dict[int, str] = {}
        self._by_contact: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._owner)

    def add(self, thing: int, contact: str) -> None:
        self._owner[thing] = contact
        self._by_contact.setdefault(contact, set()).add(thing)

    def owner(self, thing: int) -> str:
        return self._owner.get(thing, "")

    def has(self, contact: str) -> bool:
        return contact in self._by_contact

    def remove(self, thing: int) -> str:
        contact = self._owner.pop(thing, "")
        things = self._by_contact.get(contact)
        if things is not None:
            things.discard(thing)
            if not things:
                del self._by_contact[contact]
        return contact

    def forget(self, contact: str) -> set[int]:
        things = self._by_contact.pop(contact, set())
        for thing in things:
            del self._owner[thing]
        return things
