"""Recordings on disk: one thread that encodes and writes for all of them. I/O.

    loop:    open, write, describe, close, abandon -> a queue, bounded by octets
    thread:  <root>/2026/11/26/20261126T140300Z-<contact>-<random>.wav, and .json beside it
    loop:    <- told: started, ended, failed, by way of `post`

Names are generated. Of what comes over the line only hexadecimal digits and hyphens of the contact's id get into one;
directories below the root are opened one by one, none through a symbolic link, and files only where none was.

Nothing is fsynced each second: what a `kill -9` leaves is safe in the kernel; a power cut loses what the kernel had not
written back yet, half a minute as a rule. `RecordingSettings.fsync` syncs a file at its end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from media.record_formats import AudioFormat, OggOpus, Wav
from media.recorder import STALL_SECONDS, Description, News, Told

Samples = npt.NDArray[np.int16]

CONTACT_CHARACTERS: Final = frozenset("0123456789abcdef-")
CONTACT_IN_NAME: Final = 64
CONTACT_IN_DESCRIPTION: Final = 256
RANDOM_OCTETS: Final = 8
MAX_FILES: Final = 4096  # open ones and those a hanging disk keeps from ending
MEGABYTE: Final = 1_000_000
SAMPLE_OCTETS: Final = 2

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class RecordingSettings(BaseModel):
    """Where recordings go, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    directory: Path = Field(
        Path("recordings"),
        description="The directory that recordings are written below; relative to the state directory.",
    )
    format: Literal["wav", "opus"] = Field(
        "wav",
        description="wav: 16 bit PCM, 115 MB an hour of stereo; opus: Ogg-Opus, a tenth of that, and 1 % of a core for "
        "each recording: one thread encodes them all.",
    )
    rate: Literal[8000, 16000] = Field(8000, description="Samples a second; 8000 is all that G.711 has.")
    stereo: bool = Field(True, description="Customer left and agents right; false: both mixed on one channel.")
    opus_bit_rate: int = Field(20000, ge=6000, le=128000, description="Bits per second of each channel of Opus.")
    minimum_free_mb: int = Field(
        500, ge=0, description="With less free space on the disk (MB) no new recording is begun."
    )
    buffer_mb: int = Field(
        128, ge=1, le=65536, description="Audio (MB) that may wait in memory for a slow disk; beyond, recordings fail."
    )
    fsync: bool = Field(False, description="Have each recording on the disk itself before it is told to be whole.")


def unwritable(directory: Path) -> str:
    """Why recordings could not be written below `directory`, "" where they can. Nothing is made."""
    there = directory
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not os.path.isdir(there):
        return f"{there} is no directory"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} may not be written to"
    return ""


def names(wall: float, contact: str, token: str) -> tuple[tuple[str, ...], str]:
    """Directories below the root, and the file's name without its ending."""
    moment = datetime.fromtimestamp(wall, UTC)
    known = "".join(c for c in contact[:CONTACT_IN_NAME] if c in CONTACT_CHARACTERS)
    return (f"{moment:%Y}", f"{moment:%m}", f"{moment:%d}"), f"{moment:%Y%m%dT%H%M%SZ}-{known or '0'}-{token}"


# A block to write; a last description: close; None: see what there is to do.
_Work = Samples | Description | None


class RecordingFiles:
    """The writer. `post` calls what it is given on the loop, soon (`loop.call_soon_threadsafe`)."""

    __slots__ = ("_begun", "_ended", "_post", "_queue", "_settled", "_taken", "_thread", "settings")

    def __init__(self, settings: RecordingSettings, post: Callable[[Callable[[], None]], object]) -> None:
        self.settings = settings
        self._post = post
        self._queue: SimpleQueue[tuple[_File, _Work] | None] = SimpleQueue()
        # Each counter is written by one side alone: the loop what was begun and taken, the thread the others.
        self._begun = self._taken = 0
        self._ended = self._settled = 0
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
        self._thread.start()

    # -- the loop's side

    @property
    def backlog(self) -> int:
        """Octets of audio that wait to be written."""
        return self._taken - self._settled

    def refuses(self) -> str:
        if not self._thread.is_alive():
            return "recordings are no longer written: the writer was closed"
        if self._begun - self._ended >= MAX_FILES:
            return f"{MAX_FILES} recordings are open: the disk hangs, or recordings are not stopped"
        return ""

    def open(self, description: Description, told: Told) -> _File:
        self._begun += 1
        file = _File(self, description, told)
        self._queue.put((file, None))
        return file

    def close(self, timeout: float) -> bool:
        """Wait until everything is written, so many seconds at most; whether it is. Files that were not closed are
        left as they are."""
        self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def take(self, file: _File, block: Samples) -> str:
        if self.backlog + block.nbytes > self.settings.buffer_mb * MEGABYTE:
            return f"{self.settings.buffer_mb} MB wait to be written: a slow disk, or too many recordings in Opus"
        self._taken += block.nbytes
        self._queue.put((file, block))
        return ""

    def put(self, file: _File, work: _Work) -> None:
        self._queue.put((file, work))

    # -- the thread's side

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            file, work = item
            file.work(work)
            if isinstance(work, np.ndarray):
                self._settled += work.nbytes
            del item, file, work  # no sample is kept while there is nothing to do

    def tell(self, message: Callable[[], None]) -> None:
        try:
            self._post(message)
        except RuntimeError:
            # The loop is closed: there is nobody left to tell. Files are ended all the same.
            return

    def file_ended(self) -> None:
        self._ended += 1

    def new_format(self, description: Description) -> AudioFormat:
        if description.format == "wav":
            return Wav(description.rate, description.channels)
        serial = secrets.randbits(32)
        return OggOpus(description.rate, description.channels, self.settings.opus_bit_rate, serial)


class _File:
    """One recording's file. `description`, `described` and `abandoned` go from the loop to the thread past the queue.

    waiting -> open -> over: ended as asked, or failed.
    """

    __slots__ = (
        "_day",
        "_descriptor",
        "_files",
        "_format",
        "_limit",
        "_name",
        "_settled",
        "_size",
        "_state",
        "_taken",
        "_told",
        "abandoned",
        "described",
        "description",
        "path",
    )

    def __init__(self, files: RecordingFiles, description: Description, told: Told) -> None:
        self._files = files
        self._told = told
        self.description = description
        self.described = False
        self.abandoned: Description | None = None
        self._day, self._name = names(description.wall, description.contact, secrets.token_hex(RANDOM_OCTETS))
        self.path = str(Path(files.settings.directory, *self._day, f"{self._name}.{description.format}"))
        self._limit = int(STALL_SECONDS * description.rate * description.channels * SAMPLE_OCTETS)
        self._taken = self._settled = 0
        self._state: Literal["waiting", "open", "over"] = "waiting"
        self._format: AudioFormat | None = None
        self._descriptor = -1
        self._size = 0  # octets that are whole: the file is cut to them when a write fails

    # -- the loop's side

    def write(self, block: Samples) -> str:
        if self._taken - self._settled + block.nbytes > self._limit:
            return f"{STALL_SECONDS:.0f} seconds wait to be written: a slow disk, or too many recordings in Opus"
        why = self._files.take(self, block)
        if not why:
            self._taken += block.nbytes
        return why

    def describe(self, description: Description) -> None:
        self.description = description
        if not self.described:
            self.described = True
            self._files.put(self, None)

    def close(self, description: Description) -> None:
        self._files.put(self, description)

    def abandon(self, description: Description) -> None:
        self.abandoned = description
        self._files.put(self, None)

    # -- the thread's side

    def work(self, work: _Work) -> None:
        """Do one piece of it. Whatever goes wrong ends this file, and no other."""
        try:
            if self._state == "over":
                return
            if self.abandoned is not None:
                self._fail(self.abandoned, self.abandoned.why)
            elif isinstance(work, np.ndarray):
                self._append(work)
            elif work is not None:
                self._end(work)
            elif self._state == "waiting":
                self._begin()
            elif self.described:
                self.described = False
                self._describe(self.description)
        except OSError as error:
            self._fail(self.description, f"{error.strerror or error}: {self.path}")
        except Exception as error:  # noqa: BLE001
            self._fail(self.description, f"{type(error).__name__}: {error}: {self.path}")
        finally:
            if isinstance(work, np.ndarray):
                self._settled += work.nbytes

    def _begin(self) -> None:
        with self._opened_day(create=True) as day:
            system = os.fstatvfs(day)
            free, least = system.f_bavail * system.f_frsize // MEGABYTE, self._files.settings.minimum_free_mb
            if free < least:
                raise OSError(errno.ENOSPC, f"only {free} MB are free, less than the {least} of minimum_free_mb")
            self._format = self._files.new_format(self.description)
            self._descriptor = os.open(f"{self._name}.{self._format.ending}", _NEW, 0o600, dir_fd=day)
            self._state = "open"
            self._put(self._format.head())
        self.described = False
        self._describe(self.description)
        self._tell("started")

    def _append(self, block: Samples) -> None:
        assert self._format is not None
        self._put(self._format.encode(block))
        self._renew(self._format)

    def _end(self, description: Description) -> None:
        assert self._format is not None
        self._put(self._format.tail())
        self._renew(self._format)
        if self._files.settings.fsync:
            os.fsync(self._descriptor)
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)
        self._describe(description)
        self._over("ended")

    def _fail(self, description: Description, why: str) -> None:
        """End with what is whole: what a failed write left behind it is cut off."""
        seconds = self._settled // (description.channels * SAMPLE_OCTETS) / description.rate
        description = msgspec.structs.replace(description, state="failed", why=why, seconds=seconds)
        try:
            if self._descriptor >= 0:
                descriptor, self._descriptor = self._descriptor, -1
                try:
                    os.ftruncate(descriptor, self._size)
                finally:
                    os.close(descriptor)
            if self._state == "open" and not self._size:
                with self._opened_day() as day:
                    os.unlink(Path(self.path).name, dir_fd=day)
            elif self._state == "open":
                self._describe(description)
        except OSError as error:
            # The disk is in trouble and that is being told; what it refuses besides belongs to the same news.
            why += f"; nor could it be ended properly: {error.strerror or error}"
        self._over("failed", why)

    def _over(self, what: News, why: str = "") -> None:
        self._state = "over"
        self._format = None
        self._files.file_ended()
        self._tell(what, why)

    def _tell(self, what: News, why: str = "") -> None:
        self._files.tell(partial(self._told, what, why))

    def _put(self, octets: bytes) -> None:
        """At the end of the file; `_size` moves when all of it is there."""
        _write_at(self._descriptor, octets, self._size)
        self._size += len(octets)

    def _renew(self, format: AudioFormat) -> None:
        head = format.renewed()
        if head:
            _write_at(self._descriptor, head, 0)

    def _describe(self, description: Description) -> None:
        """The sidecar takes its predecessor's place at once, so that there is a whole one at any time."""
        octets = _sidecar(description, Path(self.path).name)
        new, name = f"{self._name}.json.new", f"{self._name}.json"
        try:
            with self._opened_day() as day:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(new, dir_fd=day)  # what an earlier failure left
                descriptor = os.open(new, _NEW, 0o600, dir_fd=day)
                try:
                    _write_at(descriptor, octets, 0)
                finally:
                    os.close(descriptor)
                os.rename(new, name, src_dir_fd=day, dst_dir_fd=day)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (writing {name} beside it)") from error

    @contextlib.contextmanager
    def _opened_day(self, create: bool = False) -> Iterator[int]:
        """The descriptor of the file's directory. The root may be a link, which is the operator's; nothing below it."""
        root = self._files.settings.directory
        if create:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(root, _DIRECTORY)
        try:
            for part in self._day:
                if create:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=descriptor)
                inner = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _write_at(descriptor: int, octets: bytes, offset: int) -> None:
    view = memoryview(octets)
    while view:
        written = os.pwrite(descriptor, view, offset)
        if not written:
            raise OSError(errno.EIO, "nothing more is written")
        view, offset = view[written:], offset + written


def _sidecar(description: Description, name: str) -> bytes:
    d = description
    content = {
        "file": name,
        "state": d.state,
        "contact": d.contact[:CONTACT_IN_DESCRIPTION],
        "recording": d.recording,
        "started": datetime.fromtimestamp(d.wall, UTC).isoformat(timespec="milliseconds"),
        "seconds": d.seconds,
        "format": d.format,
        "rate": d.rate,
        "channels": d.channels,
        "streams": d.streams,
        "timeline": [{"at": entry.at, "stream": entry.stream, "channel": entry.channel} for entry in d.timeline],
        "pauses": d.pauses,
    }
    if d.why:
        content["why"] = d.why
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
