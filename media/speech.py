"""Text-to-speech: programs that speak a text into a file, and the directory where what they spoke is kept.

I/O: runs on a thread, and starts processes. A text is never part of a command line, and no shell is involved.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Protocol

from media.playable import SourceError
from media.sound_settings import LANGUAGE, VOICE, SpeechSettings

MAX_ERROR = 200  # characters of a program's complaint that are told
MIN_OCTETS = 45  # of a WAV file with a sample in it


class SpeechEngine(Protocol):
    name: str

    def speak(self, text: str, language: str, voice: str, path: str) -> None:
        """Write the spoken text to `path`, a WAV file. SourceError."""
        ...

    def probe(self, language: str, voice: str) -> None:
        """SourceError where it does not speak that language, or has no such voice ("": its own)."""
        ...


def not_installed(engine: str) -> str:
    """What to do where there is no program of that name; "" where there is one, or none is wanted."""
    if engine == "none" or shutil.which(engine) is not None:
        return ""
    return (
        f"{engine} is not installed: apt-get install {engine}, or choose another under speech: engine, or record the "
        "prompts that are missing"
    )


def run(command: list[str], text: str, seconds: float, asked: str) -> None:
    """Run a program to its end, the text on its standard input. `asked`: the voice or language, for its failure.
    SourceError: not there, too slow, killed, failed."""
    program = shutil.which(command[0])
    if program is None:
        raise SourceError(not_installed(command[0]))
    try:
        done = subprocess.run(  # kills it when the time is over
            [program, *command[1:]],
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceError(
            f"{command[0]} did not speak within {seconds:g} s: shorten the text, or raise speech: timeout_seconds"
        ) from None
    except OSError as problem:
        raise SourceError(f"{command[0]} could not be started: {problem.strerror}") from None
    if done.returncode < 0:
        raise SourceError(f"{command[0]} was killed by {signal.Signals(-done.returncode).name}")
    if done.returncode:
        complaint = " ".join(done.stderr.decode(errors="replace").split())[:MAX_ERROR]
        raise SourceError(
            f"{command[0]}, asked for {asked}, failed with status {done.returncode}: {complaint or 'no reason given'}"
        )


def _asked(language: str, voice: str) -> str:
    return f"voice {voice!r}" if voice else f"language {language!r}"


class EspeakNg:
    """espeak-ng: small and quick, about a hundred languages."""

    name = "espeak-ng"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def speak(self, text: str, language: str, voice: str, path: str) -> None:
        command = [self.name, "--stdin", "-b", "1", "-v", self._voice(language, voice), "-w", path]
        run(command, text, self._seconds, _asked(language, voice))

    def probe(self, language: str, voice: str) -> None:
        """SourceError where it has no such voice or language, or does not run. Takes about 10 ms."""
        command = [self.name, "--stdin", "-q", "-v", self._voice(language, voice)]
        run(command, "", self._seconds, _asked(language, voice))

    def _voice(self, language: str, voice: str) -> str:
        return voice or language.replace("_", "-").lower()


class Flite:
    """flite: English only."""

    name = "flite"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def speak(self, text: str, language: str, voice: str, path: str) -> None:
        self.probe(language, voice)
        command = [self.name, "-f", "/dev/stdin", "-o", path]  # a file by name, as it knows no other input
        if voice:
            command += ["-voice", voice]
        run(command, text, self._seconds, _asked(language, voice))

    def probe(self, language: str, voice: str) -> None:
        """SourceError for a language that is not English."""
        if language.replace("_", "-").partition("-")[0].lower() != "en":
            raise SourceError(f"flite speaks English only, not {language!r}: set speech: engine: espeak-ng")


def engine(settings: SpeechSettings) -> SpeechEngine | None:
    if settings.engine == "espeak-ng":
        return EspeakNg(settings.timeout_seconds)
    if settings.engine == "flite":
        return Flite(settings.timeout_seconds)
    return None


def plain(text: str) -> str:
    """Without control characters; runs of space are one."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


class SpeechLibrary:
    """Spoken texts, each a file named by the hash of (engine, language, voice, text). The files longest unused are
    deleted when they are more than the settings allow."""

    def __init__(self, settings: SpeechSettings, speaker: SpeechEngine | None = None) -> None:
        self._settings = settings
        self._engine = speaker or engine(settings)
        self._lock = threading.Lock()
        self._octets: int | None = None  # in the directory; None: not looked at yet

    def speak(self, text: str, language: str, voice: str) -> str:
        """Path of the spoken text: kept, or spoken now. SourceError."""
        speaker = self._engine
        if speaker is None:
            raise SourceError("a text can't be spoken: text-to-speech is off, set speech: engine: espeak-ng")
        text = plain(text)
        if not text:
            raise SourceError("a text to be spoken is empty")
        limit = self._settings.max_characters
        if len(text) > limit:
            raise SourceError(f"a text to be spoken has {len(text)} characters, more than {limit}: split it")
        if not LANGUAGE.fullmatch(language):
            raise SourceError(f"language {language[:40]!r}: expected one as en, de or en-GB")
        if voice and not VOICE.fullmatch(voice):
            raise SourceError(f"voice {voice[:40]!r}: expected the name of a voice of {speaker.name}")
        key = "\0".join((speaker.name, language, voice, text))
        path = self._settings.cache_directory / (hashlib.sha256(key.encode()).hexdigest() + ".wav")
        try:
            os.utime(path)  # it is used
        except FileNotFoundError:
            self._speak(speaker, text, language, voice, path)
        except OSError as problem:
            raise SourceError(f"{path}: {problem.strerror}") from None
        return str(path)

    def _speak(self, speaker: SpeechEngine, text: str, language: str, voice: str, path: Path) -> None:
        """Into a file of its own first: what is in the directory is whole."""
        directory = self._settings.cache_directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            handle, unfinished = tempfile.mkstemp(".part", dir=directory)
            os.close(handle)
        except OSError as problem:
            raise SourceError(f"speech: cache_directory {directory}: {problem.strerror}") from None
        try:
            speaker.speak(text, language, voice, unfinished)
            size = os.stat(unfinished).st_size
            if size < MIN_OCTETS:
                raise SourceError(f"{speaker.name} gave no sound for {text[:40]!r} in {language}")
            os.replace(unfinished, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unfinished)
        self._kept(size)

    def _kept(self, size: int) -> None:
        with self._lock:
            if self._octets is not None:
                self._octets += size
            if self._octets is None or self._octets > self._settings.cache_mb * 1_000_000:
                self._octets = self._clear()

    def _clear(self) -> int:
        """Delete what is too much, down to nine tenths of the limit; the octets that are left."""
        limit = self._settings.cache_mb * 1_000_000
        files: list[tuple[float, int, str]] = []
        with os.scandir(self._settings.cache_directory) as entries:
            for entry in entries:
                if entry.name.endswith(".wav"):
                    with contextlib.suppress(FileNotFoundError):  # another process clears it, too
                        status = entry.stat()
                        files.append((status.st_mtime, status.st_size, entry.path))
        octets = sum(size for _, size, _ in files)
        if octets <= limit:
            return octets
        for _, size, path in sorted(files):
            if octets <= limit * 9 // 10:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            octets -= size
        return octets
