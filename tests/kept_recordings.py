"""Files that keep in memory what a recorder writes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from media.recorder import Description, Told

Samples = npt.NDArray[np.int16]


class KeptFile:
    def __init__(self, description: Description, told: Told) -> None:
        self.path = f"/recordings/{description.recording}"
        self.descriptions = [description]
        self.told = told
        self.blocks: list[Samples] = []
        self.ended = ""
        self.refuses = ""

    def write(self, block: Samples) -> str:
        if not self.refuses:
            self.blocks.append(block)
        return self.refuses

    def describe(self, description: Description) -> None:
        self.descriptions.append(description)

    def close(self, description: Description) -> None:
        self.descriptions.append(description)
        self.ended += "close"

    def abandon(self, description: Description) -> None:
        self.descriptions.append(description)
        self.ended += "abandon"

    @property
    def samples(self) -> Samples:
        """(channels, frames)"""
        channels = self.descriptions[0].channels
        return np.concatenate([np.zeros((channels, 0), np.int16), *self.blocks], axis=1)


class KeptFiles:
    def __init__(self) -> None:
        self.files: list[KeptFile] = []
        self.full = ""

    def refuses(self) -> str:
        return self.full

    def open(self, description: Description, told: Told) -> KeptFile:
        self.files.append(KeptFile(description, told))
        return self.files[-1]
