"""The directory of recordings: generated names, what is opened below it, and the marks of what is being written. I/O.

    <root>/2026/11/26/20261126T140300Z-<contact>-<random>.wav, and .json beside it
    <root>/unfinished/20261126T140300Z-<contact>-<random>.wav.mark

Directories below the root are opened one by one, none through a symbolic link, and files only where none was.

A mark is made once the audio file is there and locked (flock), and removed when the JSON beside it says how it
ended. So a mark whose file can be locked is that of a writer that has died, whoever and wherever that was: the kernel
gives the lock back with the process, and nobody's process number has to be believed (`media.record_orphans`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

CONTACT_CHARACTERS: Final = frozenset("0123456789abcdef-")
CONTACT_IN_NAME: Final = 64
MARKS: Final = "unfinished"
MARK: Final = ".mark"

_MARKED = re.compile(r"(([0-9]{4})([0-9]{2})([0-9]{2})T[0-9]{6}Z-[0-9a-f-]{1,64}-[0-9a-f]{16})(\.(?:wav|opus))\.mark")
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Day = tuple[str, ...]


def names(wall: float, contact: str, token: str) -> tuple[Day, str]:
    """Directories below the root, and the file's name without its ending."""
    moment = datetime.fromtimestamp(wall, UTC)
    known = "".join(c for c in contact[:CONTACT_IN_NAME] if c in CONTACT_CHARACTERS)
    return (f"{moment:%Y}", f"{moment:%m}", f"{moment:%d}"), f"{moment:%Y%m%dT%H%M%SZ}-{known or '0'}-{token}"


def marked(mark: str) -> tuple[Day, str, str] | None:
    """Directories, name and ending of the file that a mark names; None for what is no mark."""
    found = _MARKED.fullmatch(mark)
    return None if found is None else ((found[2], found[3], found[4]), found[1], found[5])


@contextlib.contextmanager
def opened(root: Path, parts: Day, create: bool = False) -> Iterator[int]:
    """The descriptor of a directory below the root. The root may be a link, which is the operator's; nothing below."""
    if create:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(root, _DIRECTORY)
    try:
        for part in parts:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=descriptor)
            inner = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def write_at(descriptor: int, octets: bytes, offset: int) -> None:
    """All of it; OSError where that can't be."""
    view = memoryview(octets)
    while view:
        written = os.pwrite(descriptor, view, offset)
        if not written:
            raise OSError(errno.EIO, "nothing more is written")
        view, offset = view[written:], offset + written


def replace(directory: int, name: str, octets: bytes) -> None:
    """The new file takes its predecessor's place at once, so that there is a whole one at any time."""
    new = f"{name}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new, dir_fd=directory)  # what an earlier failure left
    descriptor = os.open(new, NEW, 0o600, dir_fd=directory)
    try:
        write_at(descriptor, octets, 0)
    finally:
        os.close(descriptor)
    os.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)


def lock(descriptor: int) -> bool | None:
    """Take the lock of an audio file until its descriptor is closed. False: another process has it; None: this file
    system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def mark(root: Path, file: str) -> None:
    """This file is being written."""
    with opened(root, (MARKS,), create=True) as marks:
        os.close(os.open(file + MARK, NEW, 0o600, dir_fd=marks))


def unmark(root: Path, file: str) -> None:
    """What became of it stands beside it."""
    with contextlib.suppress(FileNotFoundError), opened(root, (MARKS,)) as marks:
        os.unlink(file + MARK, dir_fd=marks)
