"""Talk-off: ten minutes of speech are no digit, no fax and no beep."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from harness.voices import RATE, ten_minutes

from media.detect.columns import FRAME
from media.detect.dtmf import DtmfDetector
from media.detect.fax import FaxDetector
from media.detect.machine import BEEP, WORD, MachineDetector

pytestmark = pytest.mark.interop

F32 = npt.NDArray[np.float32]
GAINS = (1.0, 0.3, 0.1)  # peaks of -3, -13 and -23 dBFS
SHIFTS = (0, 53, 107)  # samples: other places in the frame
PARTS = 16  # of the ten minutes, heard side by side


def lines() -> Iterator[tuple[int, F32]]:
    """(frame number, a frame of each line): the same speech at several levels and places in the frame."""
    speech = ten_minutes()
    assert len(speech) > 600 * RATE
    part = (len(speech) - max(SHIFTS)) // PARTS // FRAME * FRAME
    shifted = np.concatenate([speech[s : s + PARTS * part].reshape(PARTS, part) for s in SHIFTS])
    heard = np.concatenate([shifted * np.float32(g) for g in GAINS])
    for n in range(part // FRAME):
        yield n, heard[:, n * FRAME : (n + 1) * FRAME]


ROWS = np.arange(PARTS * len(SHIFTS) * len(GAINS), dtype=np.int64)


def test_speech_is_no_digit_and_no_fax() -> None:
    digits, fax = DtmfDetector(), FaxDetector()
    found: list[tuple[float, object]] = []
    for n, frames in lines():
        found += [(n * FRAME / RATE, told) for told in digits.process(ROWS, frames)]
        found += [(n * FRAME / RATE, told) for told in fax.process(ROWS, frames)]
    assert found == []


def test_speech_is_no_beep() -> None:
    machine = MachineDetector()
    active = np.ones(len(ROWS), np.bool_)
    words, beeps = 0, []
    for n, frames in lines():
        # A pause now and then, so that words end, and any tone would be one after speech.
        for cue in machine.process(ROWS, frames, active if n % 50 < 40 else ~active):
            words += cue[1] == WORD
            beeps += [cue] if cue[1] == BEEP else []
    assert words > 1000
    assert beeps == []
