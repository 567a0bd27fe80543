"""What the mixer plays from and records to: sounds, hold music, files. Pure; `media.shell` makes the real ones."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from media.audio_commands import Source
from media.playable import Opener, Ready, SourceError
from media.recorder import AudioFile, AudioFiles, Description, Told

I16 = npt.NDArray[np.int16]


class Music(Protocol):
    """Hold music (`media.music.MusicLibrary`)."""

    def tick(self, index: int) -> None:
        """Frame `index` begins."""

    def frame(self, name: str, rate: int, index: int) -> I16:
        """That frame of a class; asked for twice it is the same."""


class Studio(NamedTuple):
    open: Opener
    music: Music
    files: AudioFiles


class _NoMusic:
    def tick(self, index: int) -> None:
        pass

    def frame(self, name: str, rate: int, index: int) -> I16:
        return np.zeros(rate // 50, np.int16)


class _NoFiles:
    def refuses(self) -> str:
        return "this engine has no directory for recordings"

    def open(self, description: Description, told: Told) -> AudioFile:
        raise RuntimeError(self.refuses())


def _open_nothing(source: Source, rate: int, ready: Ready, start: float = 0.0, language: str = "") -> None:
    ready(SourceError(f"{type(source).__name__}: this engine has no sounds"))


NO_STUDIO = Studio(_open_nothing, _NoMusic(), _NoFiles())
"""An engine that relays and mixes only."""
