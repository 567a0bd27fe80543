"""Effects of a conference as commands of the media engine, for those that are about nothing else.

Not here, because they need more than the engine: names and recordings (whose files belong to somebody), calls.
"""

from __future__ import annotations

from media.audio_commands import AudioCommand, CloseRoom, Play, SetRoom, SetVolume
from media.audio_commands import PauseRecording as Pause
from media.audio_commands import StopPlay as Stop
from media.audio_commands import StopRecording as StopRecorder
from softswitch.conference.vocabulary import (
    AnyEffect,
    Closed,
    Level,
    Matrix,
    PauseRecording,
    PlayAll,
    PlayTo,
    StopName,
    StopPlay,
    StopRecording,
)


def command_of(effect: AnyEffect) -> AudioCommand | None:
    """The one command that carries an effect out; None where it takes something else."""
    match effect:
        case Matrix(room, members, talkers):
            return SetRoom(room, members, talkers=talkers) if members else CloseRoom(room)
        case Closed(room):
            return CloseRoom(room)
        case Level(_, member, heard, hears, muted, deaf):
            return SetVolume(member, heard, hears, muted, deaf)
        case PlayTo(_, play, member, sources):
            return Play(play, sources, stream=member)
        case PlayAll(room, play, sources):
            return Play(play, sources, room=room, over=True)
        case StopPlay(_, play):
            return Stop(play)
        case PauseRecording(_, recording, paused):
            return Pause(recording, paused)
        case StopRecording(_, recording) | StopName(_, recording):
            return StopRecorder(recording)
        case _:
            return None
