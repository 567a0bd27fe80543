"""Recordings on disk: one thread that encodes and writes for all of them. I/O.

    loop:    open, write, describe, close, abandon -> a queue, bounded by octets
    thread:  <root>/2026/11/26/20261126T140300Z-<contact>-<random>.wav, and .json beside it
    loop:    <- told: started, ended, failed, by way of `post`

Names are generated. Of what comes over the line only hexadecimal digits and hyphens of the contact's id get into one
(`media.record_directory`). Before anything else the thread tells of what a writer before it has left unfinished
(`media.record_orphans`).

Nothing is fsynced each second: what a `kill -9` leaves is safe in the kernel; a power cut loses what the kernel had not
written back yet, half a minute as a rule. `RecordingSettings.fsync` syncs a file at its end.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Final, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import structlog
from pydantic import BaseModel, ConfigDict, Field

from media.record_directory import NEW, lock, mark, names, opened, replace, unmark, write_at
from media.record_formats import AudioFormat, OggOpus, Wav
from media.record_orphans import settle
from media.record_sidecar import sidecar
from media.recorder import STALL_SECONDS, Description, News, Told

log = structlog.get_logger("recordings")

Samples = npt.NDArray[np.int16]

RANDOM_OCTETS: Final = 8
MAX_FILES: Final = 4096  # open ones and those a hanging disk keeps from ending
MEGABYTE: Final = 1_000_000
SAMPLE_OCTETS: Final = 2


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
        try:
            settle(self.settings.directory)
        except Exception:
            # A fault of ours in what is old must not cost what is new.
            log.error("unfinished recordings not looked for", exc_info=True)
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
        "_file",
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
        self._file = f"{self._name}.{description.format}"
        self.path = str(Path(files.settings.directory, *self._day, self._file))
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
        root = self._files.settings.directory
        with opened(root, self._day, create=True) as day:
            system = os.fstatvfs(day)
            free, least = system.f_bavail * system.f_frsize // MEGABYTE, self._files.settings.minimum_free_mb
            if free < least:
                raise OSError(errno.ENOSPC, f"only {free} MB are free, less than the {least} of minimum_free_mb")
            self._format = self._files.new_format(self.description)
            self._descriptor = os.open(self._file, NEW, 0o600, dir_fd=day)
            self._state = "open"
            lock(self._descriptor)
            mark(root, self._file)
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
        # The lock goes with the descriptor: whoever has it next must find what became of the file.
        self._describe(description)
        unmark(self._files.settings.directory, self._file)
        self._close()
        self._over("ended")

    def _fail(self, description: Description, why: str) -> None:
        """End with what is whole: what a failed write left behind it is cut off."""
        seconds = self._settled // (description.channels * SAMPLE_OCTETS) / description.rate
        description = msgspec.structs.replace(description, state="failed", why=why, seconds=seconds)
        try:
            try:
                self._keep_what_is_whole(description)
            finally:
                self._close()
        except OSError as error:
            # The disk is in trouble and that is being told; what it refuses besides belongs to the same news.
            why += f"; nor could it be ended properly: {error.strerror or error}"
        self._over("failed", why)

    def _keep_what_is_whole(self, description: Description) -> None:
        """What can't be described stays marked, and is settled at the next start."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, self._size)
        if self._state == "waiting":
            return
        root = self._files.settings.directory
        if self._size:
            self._describe(description)
        else:
            with opened(root, self._day) as day:
                os.unlink(self._file, dir_fd=day)
        unmark(root, self._file)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _over(self, what: News, why: str = "") -> None:
        self._state = "over"
        self._format = None
        self._files.file_ended()
        self._tell(what, why)

    def _tell(self, what: News, why: str = "") -> None:
        self._files.tell(partial(self._told, what, why))

    def _put(self, octets: bytes) -> None:
        """At the end of the file; `_size` moves when all of it is there."""
        write_at(self._descriptor, octets, self._size)
        self._size += len(octets)

    def _renew(self, format: AudioFormat) -> None:
        head = format.renewed()
        if head:
            write_at(self._descriptor, head, 0)

    def _describe(self, description: Description) -> None:
        started = datetime.fromtimestamp(description.wall, UTC).isoformat(timespec="milliseconds")
        octets = sidecar(description, self._file, started)
        name = f"{self._name}.json"
        try:
            with opened(self._files.settings.directory, self._day) as day:
                replace(day, name, octets)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror} (writing {name} beside it)") from error
