"""What tests of sounds share: a loop and threads that run when they are told to, and playables and files made up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from media.playable import I16, MemorySound, Playable
from media.player import Player
from media.prompt_files import PromptFiles
from media.prompts import Sounds
from media.sound_settings import SoundSettings


class Steps:
    """`submit` and `post` at once, or, where `held`, when `run` is called; `jobs` counts them."""

    def __init__(self, held: bool = False) -> None:
        self.held = held
        self.jobs = 0
        self.waiting: deque[Callable[[], None]] = deque()

    def submit(self, job: Callable[[], None]) -> None:
        self.jobs += 1
        self.post(job)

    def post(self, call: Callable[[], None]) -> None:
        if self.held:
            self.waiting.append(call)
        else:
            call()

    def run(self, count: int = 1_000_000) -> None:
        while self.waiting and count:
            self.waiting.popleft()()
            count -= 1


def library(settings: SoundSettings, steps: Steps | None = None) -> Sounds:
    steps = steps or Steps()
    return Sounds(settings, PromptFiles(settings, steps.submit), steps.submit, steps.post)


def sine(frequency: float, seconds: float, rate: int, peak: float = 0.5) -> I16:
    turns = np.arange(round(seconds * rate)) * (2 * np.pi * frequency / rate)
    return np.rint(np.sin(turns) * peak * 32767).astype(np.int16)


def write(path: Path, samples: I16, rate: int, **how: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **how)
    return path


def everything(playable: Playable, count: int = 160, limit: int = 100_000_000) -> I16:
    """All that is left of it; fails when it never ends."""
    parts: list[I16] = []
    size = 0
    while not playable.ended:
        part = playable.read(count)
        parts.append(part)
        size += len(part)
        assert len(part) or playable.ended, "starved"
        assert size <= limit
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def played(player: Player, count: int, frames: int = 1_000_000) -> I16:
    """All frames until there is nothing to play."""
    parts: list[I16] = []
    for _ in range(frames):
        frame = player.read(count)
        if frame is None:
            break
        assert frame.shape == (count,)
        assert frame.dtype == np.int16
        parts.append(frame.copy())
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def power_at(samples: I16, frequency: float, rate: int) -> float:
    """dBm0 of one frequency (Goertzel, as a dot product), of a full-scale sine at +3.14."""
    turns = np.arange(len(samples)) * (2j * np.pi * frequency / rate)
    level = 2 * abs(np.dot(samples.astype(np.float64) / 32768, np.exp(-turns))) / len(samples)
    return float(20 * np.log10(max(level, 1e-9)) + 3.14)


def level(samples: I16) -> float:
    """dBm0 of all of it."""
    mean = float(np.mean((samples.astype(np.float64) / 32768) ** 2))
    return 10 * float(np.log10(max(mean * 2, 1e-12))) + 3.14


def ramp(size: int, first: int = 1) -> I16:
    """Samples that tell where they are."""
    return (np.arange(first, first + size) % 30000).astype(np.int16)


def memory(samples: I16, rate: int = 8000) -> MemorySound:
    return MemorySound(samples, rate)
