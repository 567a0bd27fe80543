"""Recordings whose writer has died: found by their marks, and told as what they are. I/O, on the writer's thread.

Each is looked at once, at a writer's start. The audio is left as it is: all of it plays up to the last second that was
written (`media.record_formats`). What lies beside it says how long that is, and `interrupted`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from media.record_directory import MARK, MARKS, Day, lock, marked, opened, replace, unmark
from media.record_formats import seconds_of
from media.record_sidecar import SidecarError, interrupted, read

log = structlog.get_logger("recordings")

MAX_MARKS: Final = 10_000  # looked at in one start: a tenth of a millisecond each
MAX_SIDECAR: Final = 16 << 20  # octets; one of `MAX_ENTRIES` stretches has two million
UNTOUCHED_SECONDS: Final = 600.0  # where files can't be locked: a writer writes every second
ENDS_OCTETS: Final = 1 << 17  # of the file's head and of its tail: two pages of Ogg

_TO_LOCK: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC  # NFS locks only what may be written
_TO_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Orphan(NamedTuple):
    """One that was settled."""

    path: str
    seconds: float


def settle(root: Path) -> list[Orphan]:
    """Tell of every recording below the root whose writer is gone; those that are being written are left alone. What
    can't be read is logged, and left for the next start."""
    settled: list[Orphan] = []
    for name in _marks(root):
        found = marked(name)
        if found is None:
            continue
        day, stem, ending = found
        path = str(Path(root, *day, stem + ending))
        try:
            seconds = _settle(root, day, stem, ending)
        except (OSError, SidecarError) as error:
            log.warning("recording left unfinished", path=path, why=str(error))
            continue
        if seconds is not None:
            log.warning("recording was interrupted", path=path, seconds=seconds)
            settled.append(Orphan(path, seconds))
    return settled


def _marks(root: Path) -> list[str]:
    try:
        with opened(root, (MARKS,)) as marks, os.scandir(marks) as entries:
            return [entry.name for entry in islice(entries, MAX_MARKS) if entry.name.endswith(MARK)]
    except FileNotFoundError:
        return []  # nothing was recorded here yet
    except OSError as error:
        log.warning("unfinished recordings not looked for", directory=str(root), why=str(error))
        return []


def _settle(root: Path, day: Day, stem: str, ending: str) -> float | None:
    """How long the recording is; None where there is nothing to tell."""
    with contextlib.ExitStack() as open_files:
        try:
            directory = open_files.enter_context(opened(root, day))
            audio = open_files.enter_context(_file(directory, stem + ending, _TO_LOCK))
        except FileNotFoundError:
            unmark(root, stem + ending)  # somebody has moved it away
            return None
        if not _abandoned(audio):
            return None
        # Read under the lock: what was being ended a moment ago is ended.
        left = read(_sidecar(directory, f"{stem}.json"))
        seconds = None
        if left.state == "recording":
            seconds = round(_seconds(audio), 3)
            replace(directory, f"{stem}.json", interrupted(left, seconds))
        unmark(root, stem + ending)
        return seconds


def _abandoned(audio: int) -> bool:
    """Whether nobody writes it any more."""
    locked = lock(audio)
    if locked is None:
        return time.time() - os.fstat(audio).st_mtime > UNTOUCHED_SECONDS
    return locked


def _sidecar(directory: int, name: str) -> bytes:
    with _file(directory, name, _TO_READ) as descriptor:
        octets = os.pread(descriptor, MAX_SIDECAR, 0)
    return octets


def _seconds(audio: int) -> float:
    size = os.fstat(audio).st_size
    start = max(0, size - ENDS_OCTETS)
    return seconds_of(os.pread(audio, ENDS_OCTETS, 0), os.pread(audio, ENDS_OCTETS, start), size)


@contextlib.contextmanager
def _file(directory: int, name: str, how: int) -> Iterator[int]:
    descriptor = os.open(name, how, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
