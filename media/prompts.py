"""The library of sounds: opens whatever can be played, for every rate. Pure; files are another's work.

    open(source, rate, ready) --submit--> thread: find the files, look at their dates --post--> in the cache? -> ready
                                                                          else --submit--> decode --post--> keep, ready

`submit` runs a job on a thread and `post` brings its result back to the loop; everything here but those jobs runs on
the loop, so the cache needs no lock. A sound that is being decoded is not decoded twice: later ones wait for it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import PurePath
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from media import melody, say, tones
from media.audio_commands import File, Music, Say, Silence, Source, Speech, Tone
from media.playable import EMPTY, I16, LoopedSound, MemorySound, Playable, Ready, SourceError, frozen
from media.sound_settings import LANGUAGE, SoundSettings

EXTENSIONS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a")  # tried in this order where a name has none
MAX_NAME = 1000  # characters of a file name; operating systems take about 4096 octets of a path
MAX_SECONDS = 24 * 3600.0  # of silence or of a tone
ENTRY_OCTETS = 500  # what an entry of the cache takes besides its samples
MELODY = "melody"  # the `Tone` that is the built-in hold music

Submit = Callable[[Callable[[], None]], None]
Post = Callable[[Callable[[], None]], None]
T = TypeVar("T")
Decode = Callable[[], I16 | Playable]
Decoded = Callable[[I16 | Playable | SourceError], None]


class Found(NamedTuple):
    """A file as it is now: `stamp` changes when another takes its place."""

    path: str
    stamp: tuple[int, int, int]


class SoundFiles(Protocol):
    """What threads do. All may raise `SourceError`, and nothing else for a file that can't be played."""

    def find(self, names: Sequence[str], language: str) -> list[Found | None]:
        """The file of each name, None where there is none. SourceError for a name that is refused."""
        ...

    def decode(self, path: str, rate: int, start: float) -> I16 | Playable:
        """The whole file, mono at `rate`; a long one as a stream that begins at `start` seconds."""
        ...

    def speak(self, text: str, language: str, voice: str) -> Found:
        """A sound file of a spoken text."""
        ...

    def listing(self, directory: str) -> list[str]:
        """Paths of the sound files in a directory, by name."""
        ...


class MusicSource(Protocol):
    def listen(self, name: str, rate: int) -> Playable: ...


class SoundCache:
    """Decoded sounds by name, each with the stamp of the file it came from; the longest unused go when they are more
    than `limit` octets. Not more than a quarter of it is kept of one sound."""

    __slots__ = ("_entries", "limit", "octets")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.octets = 0
        self._entries: OrderedDict[Hashable, tuple[Hashable, I16]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, stamp: Hashable) -> I16 | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] != stamp:
            self.forget(key)
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: Hashable, stamp: Hashable, samples: I16) -> None:
        self.forget(key)
        if samples.nbytes * 4 > self.limit:
            return
        self._entries[key] = (stamp, samples)
        self.octets += samples.nbytes + ENTRY_OCTETS
        while self.octets > self.limit:
            self.forget(next(iter(self._entries)))

    def forget(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.octets -= entry[1].nbytes + ENTRY_OCTETS


def checked_name(name: str) -> PurePath:
    """A file name that may be looked for. SourceError says why not.

    Whether a link leads outside of the directories only the file system can tell: `media.prompt_files` looks.
    """
    shown = name if len(name) <= 80 else name[:77] + "..."
    if not name.strip():
        raise SourceError("a sound file without a name: give one below the prompt directories, as welcome or en/menu")
    if len(name) > MAX_NAME:
        raise SourceError(f"sound file {shown!r}: its name is longer than {MAX_NAME} characters")
    if not name.isprintable():
        raise SourceError(f"sound file {shown!r}: control characters in a name are refused")
    path = PurePath(name)
    if ".." in path.parts:
        raise SourceError(f"sound file {shown!r}: `..` is refused, name it from the prompt directory down")
    return path


def checked_language(language: str) -> str:
    if language and not LANGUAGE.fullmatch(language):
        raise SourceError(f"language {language[:40]!r}: expected one as en, de or en-GB")
    return language


def candidates(path: PurePath, language: str, fallback: str) -> list[PurePath]:
    """Where below a prompt directory a name may be, the best first: in the language of the play, as it stands, in the
    default language; each with the extensions where it has none."""
    below = [PurePath(folder) for folder in language_folders(language)] + [PurePath()]
    below += [folder for folder in map(PurePath, language_folders(fallback)) if folder not in below]
    suffixes = ("",) if path.suffix.lower() in EXTENSIONS else ("", *EXTENSIONS)
    return [folder / (str(path) + suffix) for folder in below for suffix in suffixes]


def language_folders(language: str) -> list[str]:
    """`en-GB`: en-GB, then en."""
    if not language:
        return []
    base = language.replace("_", "-").partition("-")[0]
    return [language] if base == language else [language, base]


class Sounds:
    """Everything that can be played. `music` is set by whoever makes both (music opens its files here).

    loading: sounds that are being decoded or spoken now.
    """

    __slots__ = ("_files", "_post", "_submit", "_submit_speech", "_waiting", "cache", "music", "settings")

    def __init__(
        self,
        settings: SoundSettings,
        files: SoundFiles,
        submit: Submit,
        post: Post,
        submit_speech: Submit | None = None,
    ) -> None:
        """`submit_speech`: threads of their own for text-to-speech, which takes long and must not keep files
        waiting."""
        self.settings = settings
        self.cache = SoundCache(settings.cache_mb * 1_000_000)
        self.music: MusicSource | None = None
        self._files = files
        self._submit = submit
        self._submit_speech = submit_speech or submit
        self._post = post
        self._waiting: dict[Hashable, list[tuple[Decode, Decoded]]] = {}

    @property
    def loading(self) -> int:
        return len(self._waiting)

    def open(self, source: Source, rate: int, ready: Ready, start: float = 0.0, language: str = "") -> None:
        """`ready` is called once, at once or later on the loop. `start`: seconds to leave out; `language`: of the play,
        for files and for phrases and texts that name none."""
        try:
            checked_language(language)
            match source:
                case File(name):
                    checked_name(name)
                    self._find([name], language, partial(self._one_file, source, rate, ready, start))
                case Tone():
                    self._tone(source, rate, ready, start)
                case Silence(seconds):
                    checked_seconds("silence", seconds)
                    ready(LoopedSound(EMPTY, SILENT_LOOP, rate, seconds, start))
                case Music(name):
                    if self.music is None:
                        raise SourceError(f"music {name!r}: no hold music here")
                    ready(self.music.listen(name, rate))
                case Say(kind, value, own):
                    self._say(say.phrase(kind, value, own or language or self.settings.language), rate, ready, start)
                case Speech(text, own, voice):
                    self._speech(text, own or language, voice, rate, ready, start)
        except SourceError as problem:
            ready(problem)

    def open_path(self, path: str, rate: int, ready: Ready, start: float = 0.0) -> None:
        """A file that settings name: a music file, which need not lie below the prompt directories. Not kept in the
        cache: music would drive the prompts out of it."""

        def opened(result: I16 | Playable | SourceError) -> None:
            ready(MemorySound(result, rate, start) if isinstance(result, np.ndarray) else result)

        self._work(self._submit, partial(self._files.decode, path, rate, start), opened)

    def list_music(self, directory: str, listed: Callable[[list[str] | SourceError], None]) -> None:
        self._work(self._submit, partial(self._files.listing, directory), listed)

    # -- jobs

    def _work(self, submit: Submit, job: Callable[[], T], done: Callable[[T | SourceError], None]) -> None:
        """Run a job on a thread, then `done` on the loop with what it gave or why it could not."""

        def run() -> None:
            result: T | SourceError
            try:
                result = job()
            except SourceError as problem:
                result = problem
            except OSError as problem:
                result = SourceError(f"{problem.filename or 'sound'}: {problem.strerror or problem}")
            except Exception as problem:  # noqa: BLE001
                # A fault of ours: the play must end all the same, and tells it.
                result = SourceError(f"internal error: {type(problem).__name__}: {problem}")
            self._post(partial(done, result))

        submit(run)

    def _find(self, names: list[str], language: str, found: Callable[[list[Found | None] | SourceError], None]) -> None:
        self._work(self._submit, partial(self._files.find, names, language), found)

    def _decode(self, path: str, stamp: Hashable, rate: int, start: float, ready: Decoded) -> None:
        """The samples, from the cache or decoded now; a stream for a long file."""
        self._kept((path, rate), stamp, partial(self._files.decode, path, rate, start), ready)

    def _kept(
        self,
        key: Hashable,
        stamp: Hashable,
        job: Decode,
        ready: Decoded,
    ) -> None:
        samples = self.cache.get(key, stamp)
        if samples is not None:
            ready(samples)
            return
        waiting = self._waiting.setdefault((key, stamp), [])
        waiting.append((job, ready))
        if len(waiting) > 1:
            return

        def done(result: I16 | Playable | SourceError) -> None:
            waiting = self._waiting.pop((key, stamp))
            if isinstance(result, np.ndarray):
                self.cache.put(key, stamp, frozen(result))
            for place, (job, ready) in enumerate(waiting):
                if place == 0 or isinstance(result, np.ndarray | SourceError):
                    ready(result)
                else:  # a stream is one reader's: each opens its own
                    self._work(self._submit, job, ready)

        self._work(self._submit, job, done)

    # -- files

    def _one_file(
        self, source: File, rate: int, ready: Ready, start: float, found: list[Found | None] | SourceError
    ) -> None:
        if isinstance(found, SourceError):
            ready(found)
        elif found[0] is None:
            ready(self._missing(source.name))
        else:
            self._play_file(found[0], rate, start, ready)

    def _play_file(self, found: Found, rate: int, start: float, ready: Ready) -> None:
        def opened(result: I16 | Playable | SourceError) -> None:
            ready(MemorySound(result, rate, start) if isinstance(result, np.ndarray) else result)

        self._decode(found.path, found.stamp, rate, start, opened)

    def _missing(self, name: str) -> SourceError:
        places = ", ".join(str(place) for place in self.settings.prompt_directories) or "no prompt directory is set"
        return SourceError(
            f"sound file {name!r} was not found in the prompt directories ({places}); looked for it as it stands, in "
            f"the folder of its language, and with {' '.join(EXTENSIONS)}"
        )

    # -- tones

    def _tone(self, source: Tone, rate: int, ready: Ready, start: float) -> None:
        if source.seconds is not None:
            checked_seconds(f"tone {source.name!r}", source.seconds)
        country = source.country or self.settings.tone_country
        if source.name == MELODY:
            self._kept(
                (MELODY, rate), None, partial(melody.samples, rate), partial(self._looped, source, rate, ready, start)
            )
            return
        # Intro and loop are kept apart, and both are needed.
        intro = self.cache.get(("tone", country, source.name, rate, "intro"), None)
        loop = self.cache.get(("tone", country, source.name, rate, "loop"), None)
        if intro is not None and loop is not None:
            ready(tones.tone(tones.ToneSamples(intro, loop), rate, source.seconds, start))
            return

        def done(result: tones.ToneSamples | SourceError) -> None:
            if isinstance(result, SourceError):
                ready(result)
                return
            self.cache.put(("tone", country, source.name, rate, "intro"), None, result.intro)
            self.cache.put(("tone", country, source.name, rate, "loop"), None, result.loop)
            ready(tones.tone(result, rate, source.seconds, start))

        self._work(self._submit, partial(tones.tone_samples, source.name, country, rate), done)

    def _looped(
        self, source: Tone, rate: int, ready: Ready, start: float, result: I16 | Playable | SourceError
    ) -> None:
        if isinstance(result, np.ndarray):
            ready(LoopedSound(EMPTY, result, rate, source.seconds, start))
        else:
            ready(result)

    # -- phrases and texts

    def _say(self, phrase: say.Phrase, rate: int, ready: Ready, start: float) -> None:
        def found(files: list[Found | None] | SourceError) -> None:
            if isinstance(files, SourceError):
                ready(files)
                return
            there = [file for file in files if file is not None]
            if len(there) == len(files):
                self._pieces(there, rate, ready, start)
            elif self.settings.speech.engine == "none":
                missing = phrase.pieces[files.index(None)].name
                ready(SourceError(f"{self._missing(missing)}, and there is no text-to-speech (speech: engine: none)"))
            else:
                self._speech(phrase.text, phrase.language, "", rate, ready, start)

        self._find([piece.name for piece in phrase.pieces], "", found)

    def _pieces(self, files: list[Found], rate: int, ready: Ready, start: float) -> None:
        """Decode each recording of a phrase that is not in the cache, then play them as one sound."""
        wanted = list(dict.fromkeys(files))
        got: dict[Found, I16] = {}
        failed: list[SourceError] = []

        def one(file: Found, result: I16 | Playable | SourceError) -> None:
            if isinstance(result, np.ndarray):
                got[file] = result
            elif isinstance(result, SourceError):
                failed.append(result)
            else:
                result.close()
                failed.append(SourceError(f"{file.path}: too long for a piece of a phrase"))
            if len(got) + len(failed) == len(wanted):
                if failed:
                    ready(failed[0])
                else:
                    self._work(self._submit, partial(np.concatenate, [got[file] for file in files]), joined)

        def joined(result: I16 | SourceError) -> None:
            ready(result if isinstance(result, SourceError) else MemorySound(frozen(result), rate, start))

        for file in wanted:
            self._decode(file.path, file.stamp, rate, 0.0, partial(one, file))

    def _speech(self, text: str, language: str, voice: str, rate: int, ready: Ready, start: float) -> None:
        checked_language(language)
        if self.settings.speech.engine == "none":
            raise SourceError("a text can't be spoken: text-to-speech is off, set speech: engine: espeak-ng")
        language = language or self.settings.language

        def spoken(found: Found | SourceError) -> None:
            if isinstance(found, SourceError):
                ready(found)
            else:
                self._play_file(found, rate, start, ready)

        job = partial(self._files.speak, text, language, voice or self.settings.speech.voice)
        self._work(self._submit_speech, job, spoken)


SILENT_LOOP: I16 = frozen(np.zeros(48000, np.int16))


def checked_seconds(what: str, seconds: float) -> None:
    if not (math.isfinite(seconds) and 0 <= seconds <= MAX_SECONDS):
        raise SourceError(f"{what}: {seconds} seconds; expected 0 to {MAX_SECONDS:.0f}")
