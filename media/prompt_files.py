"""Sound files on disk: decoded and streamed; `sound_search` finds them.

I/O: everything here but `FileStream.read` runs on a thread.

`FileStream` is what a long file is played from: the loop reads decoded samples off a queue, and asks for a job to be
run whenever less than `LOW_SECONDS` are left in it. Between jobs it costs no thread.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import soundfile
import soxr
import structlog

from media.playable import EMPTY, F32, I16, SourceError, to_int16
from media.prompts import Found, Submit
from media.sound_search import FFMPEG_FORMATS, find_sound, found_file, music_files, prompt_roots
from media.sound_settings import SoundSettings
from media.speech import SpeechLibrary
from media.tones import FULL_SCALE_DBM0

log = structlog.get_logger("media")

BLOCK_SECONDS = 0.5  # decoded at a time
LOW_SECONDS = 1.5  # a stream with less ahead is filled up
HIGH_SECONDS = 3.0  # to this much
MAX_RATE = 768_000  # Hz; a header that claims more is no sound file


class Decoder(Protocol):
    """A file as mono float32 blocks at its own rate; seconds: None when the file does not tell."""

    rate: int
    seconds: float | None

    def blocks(self, start: float) -> Iterator[F32]: ...

    def close(self) -> None: ...


class SndfileDecoder:
    """WAV, FLAC, Ogg Vorbis and Opus, AIFF...: what libsndfile reads."""

    def __init__(self, path: str) -> None:
        self._file = soundfile.SoundFile(path)
        self.rate: int = self._file.samplerate
        frames = self._file.frames
        # Ogg without a proper end, and headers that a crash left, claim any length.
        self.seconds: float | None = frames / self.rate if 0 <= frames < 2**40 else None

    def blocks(self, start: float) -> Iterator[F32]:
        if start > 0:
            frame = round(start * self.rate)
            if self.seconds is not None and frame >= self._file.frames:
                return
            self._file.seek(frame)
        size = max(1, round(BLOCK_SECONDS * self.rate))
        while True:
            block = self._file.read(size, dtype="float32", always_2d=True)
            if not len(block):
                return
            yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)

    def close(self) -> None:
        self._file.close()


class FfmpegDecoder:
    """MP3, AAC in MP4, WebM...: one format, as told."""

    def __init__(self, path: str, format: str) -> None:
        self._container = av.open(path, format=format, options={"protocol_whitelist": "file"})
        if not self._container.streams.audio:
            self._container.close()
            raise SourceError(f"{path}: no audio in it")
        self._stream = self._container.streams.audio[0]
        self.rate: int = self._stream.rate or 48000
        duration = self._container.duration
        self.seconds: float | None = None if duration is None else duration / av.time_base
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=self.rate)

    def blocks(self, start: float) -> Iterator[F32]:
        left_out = round(start * self.rate)
        for frame in self._frames():
            block = frame[left_out:]
            left_out = max(0, left_out - len(frame))
            if len(block):
                yield block

    def _frames(self) -> Iterator[F32]:
        for decoded in self._container.decode(self._stream):
            for frame in self._resampler.resample(decoded):
                yield frame.to_ndarray()[0]
        for frame in self._resampler.resample(None):
            yield frame.to_ndarray()[0]

    def close(self) -> None:
        self._container.close()


def open_decoder(path: str) -> Decoder:
    """SourceError for what is no sound file, or no regular file (a pipe would never end)."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise SourceError(f"{path}: not a regular file")
        with open(path, "rb"):  # says why it may not be read, which libsndfile does not
            pass
        format = FFMPEG_FORMATS.get(Path(path).suffix.lower())
        decoder: Decoder = FfmpegDecoder(path, format) if format else SndfileDecoder(path)
    except soundfile.LibsndfileError as problem:
        raise _unreadable(path, problem.error_string) from None
    except av.FFmpegError as problem:
        raise _unreadable(path, problem.strerror) from None
    except OSError as problem:
        raise SourceError(f"{path}: can't be read: {problem.strerror}") from None
    if not 0 < decoder.rate <= MAX_RATE:
        decoder.close()
        raise _unreadable(path, f"a rate of {decoder.rate} Hz")
    return decoder


def _unreadable(path: str, why: object) -> SourceError:
    return SourceError(f"{path}: can't be decoded ({why}): expected WAV, FLAC, Ogg (Vorbis, Opus), MP3 or M4A")


def resampled(path: str, decoder: Decoder, rate: int, start: float) -> Generator[I16]:
    """Blocks at `rate`, int16. SourceError where the file turns out to be broken."""
    resampler = soxr.ResampleStream(decoder.rate, rate, 1, dtype="float32") if decoder.rate != rate else None
    try:
        for block in decoder.blocks(start):
            if resampler is not None:
                block = resampler.resample_chunk(np.ascontiguousarray(block))
            yield to_int16(np.array(block, np.float32))
    except soundfile.LibsndfileError as problem:
        raise _unreadable(path, problem.error_string) from None
    except av.FFmpegError as problem:
        raise _unreadable(path, problem.strerror) from None
    if resampler is not None:
        yield to_int16(np.array(resampler.resample_chunk(np.zeros(0, np.float32), last=True)))


class FileStream:
    """A long file, decoded ahead of the reader.

    Jobs append to `_blocks` and count `_produced`; the loop takes from its front and counts `_consumed`: each counter
    has one writer. The lock is held by jobs only, so that a file is not closed under another job.
    """

    __slots__ = (
        "_block", "_blocks", "_closed", "_consumed", "_decoder", "_filling", "_finished", "_iterator", "_lock",
        "_place", "_produced", "_rate", "_start", "_submit", "_why", "ended", "starved", "why",
    )  # fmt: skip

    def __init__(self, path: str, decoder: Decoder, rate: int, start: float, submit: Submit) -> None:
        self._decoder: Decoder | None = decoder
        self._iterator = resampled(path, decoder, rate, start)
        self._rate = rate
        self._start = start
        self._submit = submit
        self._lock = threading.Lock()
        self._blocks: deque[I16] = deque()
        self._block = EMPTY
        self._place = 0
        self._produced = 0
        self._consumed = 0
        self._filling = True
        self._finished = False
        self._closed = False
        self._why = ""
        self.ended = False
        self.starved = False
        self.why = ""
        if decoder.seconds is not None and start >= decoder.seconds:
            self._start = decoder.seconds
            self.ended = True
        self._fill()  # the thread that opened it

    @property
    def at_seconds(self) -> float:
        return self._start + self._consumed / self._rate

    @property
    def ahead(self) -> int:
        """Samples decoded and not read yet."""
        return self._produced - self._consumed

    def read(self, count: int) -> I16:
        samples = self._block[self._place : self._place + count]
        self._place += len(samples)
        if len(samples) < count:
            samples = self._more(samples, count)
        self._consumed += len(samples)
        # `_finished` is set after the last block was counted.
        finished = self._finished
        if finished and self._produced == self._consumed:
            self.ended = True
            self.why = self._why
        self.starved = len(samples) < count and not self.ended
        if not finished and not self._filling and self.ahead < LOW_SECONDS * self._rate:
            self._filling = True
            self._submit(self._fill)
        return samples

    def _more(self, samples: I16, count: int) -> I16:
        parts = [samples]
        missing = count - len(samples)
        while missing and self._blocks:
            self._block = self._blocks.popleft()
            part = self._block[:missing]
            self._place = len(part)
            missing -= len(part)
            parts.append(part)
        return np.concatenate(parts)

    def close(self) -> None:
        self.ended = True
        if not self._closed:
            self._closed = True
            self._submit(self._release)

    # -- jobs

    def _fill(self) -> None:
        with self._lock:
            try:
                while not self._closed and not self._finished and self.ahead < HIGH_SECONDS * self._rate:
                    block = next(self._iterator, None)
                    if block is None:
                        self._finished = True
                    elif len(block):
                        self._blocks.append(block)
                        self._produced += len(block)
            except SourceError as problem:
                self._why = str(problem)
                self._finished = True
            except Exception as problem:  # noqa: BLE001
                # A fault of ours must end the play, too, and be told.
                self._why = f"internal error: {type(problem).__name__}: {problem}"
                self._finished = True
            finally:
                self._filling = False
            if self._finished:
                self._let_go()

    def _release(self) -> None:
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._decoder is not None:
            self._iterator.close()
            self._decoder.close()
            self._decoder = None


class PromptFiles:
    """`media.prompts.SoundFiles` on the file system. Its methods may run on several threads at once.

    `recordings`: a directory whose files may be played, too, by absolute paths: what was recorded a moment ago (the
    name of who joins a conference).
    """

    def __init__(
        self,
        settings: SoundSettings,
        submit: Submit,
        speech: SpeechLibrary | None = None,
        recordings: Path | None = None,
    ) -> None:
        self._settings = settings
        self._recordings = recordings
        self._submit = submit
        self._speech = speech or SpeechLibrary(settings.speech)

    def find(self, names: Sequence[str], language: str) -> list[Found | None]:
        roots = prompt_roots(self._settings)
        absolute = roots if self._recordings is None else [*roots, Path(os.path.realpath(self._recordings))]
        return [
            find_sound(name, language, self._settings, absolute if name.startswith("/") else roots) for name in names
        ]

    def decode(self, path: str, rate: int, start: float) -> I16 | FileStream:
        decoder = open_decoder(path)
        limit = self._settings.stream_above_seconds
        if decoder.seconds is not None and decoder.seconds > limit:
            return FileStream(path, decoder, rate, start, self._submit)
        try:
            blocks: list[I16] = []
            size = 0
            for block in resampled(path, decoder, rate, 0.0):
                blocks.append(block)
                size += len(block)
                if size > limit * rate:  # longer than it said
                    break
            else:
                whole = np.concatenate([EMPTY, *blocks])
                return self._levelled(whole)
        finally:
            decoder.close()
        return FileStream(path, open_decoder(path), rate, start, self._submit)

    def _levelled(self, samples: I16) -> I16:
        level = self._settings.level_dbm0
        return samples if level is None else levelled(samples, level)

    def speak(self, text: str, language: str, voice: str) -> Found:
        path = self._speech.speak(text, language, voice)
        found = found_file(path)
        if found is None:
            raise SourceError(f"{path}: the spoken text is gone; is another program clearing that directory?")
        return found

    def listing(self, directory: str) -> list[str]:
        return music_files(directory)


def levelled(samples: I16, dbm0: float) -> I16:
    """The active parts (blocks of about 160 samples less than 30 dB below the loudest one) brought to a level, without
    clipping."""
    block = max(1, len(samples) // max(1, len(samples) // 160))
    whole = len(samples) // block
    if not whole:
        return samples
    power = np.mean(samples[: whole * block].reshape(whole, block).astype(np.float32) ** 2, axis=1)
    loudest = float(power.max())
    if loudest == 0.0:
        return samples
    active = float(power[power > loudest / 1000].mean())
    wanted = 32768.0**2 / 2 * 10.0 ** ((dbm0 - FULL_SCALE_DBM0) / 10.0)
    gain = min((wanted / active) ** 0.5, 32767.0 / float(np.abs(samples.astype(np.int32)).max()))
    changed: I16 = np.rint(samples * np.float32(gain)).astype(np.int16)
    return changed


class SoundThreads:
    """The threads of the library: `submit` for files, `submit_speech` for what takes seconds. `post` is the loop's
    call_soon_threadsafe."""

    def __init__(self, post: Callable[[Callable[[], None]], object]) -> None:
        self._files = ThreadPoolExecutor(2, "sounds")
        self._speech = ThreadPoolExecutor(2, "speech")
        self._post = post
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        if not self._closed:
            self._files.submit(job).add_done_callback(_told)

    def submit_speech(self, job: Callable[[], None]) -> None:
        if not self._closed:
            self._speech.submit(job).add_done_callback(_told)

    def post(self, call: Callable[[], None]) -> None:
        self._post(call)

    def close(self) -> None:
        """Jobs that have not begun are dropped, and all that come later: the engine is ending."""
        self._closed = True
        self._files.shutdown(wait=True, cancel_futures=True)
        self._speech.shutdown(wait=True, cancel_futures=True)


def _told(job: Future[None]) -> None:
    """A fault of ours on a thread, of which nobody else would hear."""
    problem = None if job.cancelled() else job.exception()
    if problem is not None:
        log.error("internal error", where="sounds", exc_info=problem)
