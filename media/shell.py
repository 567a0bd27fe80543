"""The engine's studio with its threads: sound files, speech, hold music, recordings on disk. I/O."""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom

from pydantic import BaseModel, ConfigDict

from media.music import MusicLibrary
from media.prompt_files import PromptFiles, SoundThreads
from media.prompts import Sounds
from media.record_files import RecordingFiles, RecordingSettings
from media.sound_settings import SoundSettings
from media.speech import SpeechLibrary
from media.studio import Studio

CLOSE_SECONDS = 5.0  # for what was recorded to be written

Post = Callable[[Callable[[], None]], object]


class StudioSettings(BaseModel):
    """What an engine plays, and where it records to. Paths are absolute."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sounds: SoundSettings
    recordings: RecordingSettings


class OpenStudio:
    """Threads and files behind a `Studio`. `post` runs what it is given on the engine's loop, soon."""

    def __init__(self, settings: StudioSettings, post: Post) -> None:
        self._threads = SoundThreads(post)
        submit = self._threads.submit
        files = PromptFiles(
            settings.sounds, submit, SpeechLibrary(settings.sounds.speech), settings.recordings.directory
        )
        sounds = Sounds(settings.sounds, files, submit, self._threads.post, self._threads.submit_speech)
        self.music = MusicLibrary(sounds, settings.sounds.music, SystemRandom())
        sounds.music = self.music
        self.recordings = RecordingFiles(settings.recordings, post)
        self.studio = Studio(sounds.open, self.music, self.recordings)

    def close(self) -> bool:
        """End the threads; whether everything recorded is on disk."""
        self._threads.close()
        return self.recordings.close(CLOSE_SECONDS)
