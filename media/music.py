"""Hold music: classes of files, each one endless programme that all its listeners hear the same moment of. Pure.

A class is read once per rate, by a `Player` of its own whose queue is kept filled with the next files, and moved on by
the number of the engine's 20 ms frame. Where a class has no file that can be played it is the built-in melody.

The files of a class follow each other in one order for all rates: `chosen[k]` is the k-th. A reader of another rate
begins where the first one is. A class that nobody listens to rests, and goes on from there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol

import numpy as np

from media.audio_commands import File, MusicFailed, Play, PlayEnded, Source, Tone
from media.playable import I16, Playable, Ready, SourceError, frozen
from media.player import Player
from media.prompts import MELODY
from media.sound_settings import MusicClassSettings

DEFAULT = "default"
FRAMES_PER_SECOND = 50
KEPT = 8  # frames a reader can be asked for again
AHEAD = 2  # files queued
IDLE_FRAMES = 250  # a reader that was not asked for so long is closed
SWEEP_FRAMES = 50
MAX_SKIP = 50  # frames left out to catch up; after a longer pause the programme goes on where it was
MAX_UNKNOWN = 256  # names of classes that do not exist, each told of once


class MusicSounds(Protocol):
    """What music needs of `media.prompts.Sounds`."""

    def open(self, source: Source, rate: int, ready: Ready, start: float = 0.0, language: str = "") -> None: ...

    def open_path(self, path: str, rate: int, ready: Ready, start: float = 0.0) -> None: ...

    def list_music(self, directory: str, listed: Callable[[list[str] | SourceError], None]) -> None: ...


class _Programme:
    """The order of one class's files. files: None while the directory was not read yet. bad: those that could not be
    played when they were last to be; they are told of once, and tried again when their turn comes."""

    __slots__ = ("_bag", "bad", "chosen", "files", "name", "readers", "resume", "rng", "settings", "told")

    def __init__(self, name: str, settings: MusicClassSettings | None, rng: Random) -> None:
        self.name = name
        self.settings = settings
        self.rng = rng
        self.files: list[str] | None = None if settings is not None else []
        self.chosen: dict[int, str] = {}
        self.readers: dict[int, _Reader] = {}
        self.resume = (0, 0.0)  # place and seconds where the next reader begins
        self.bad: set[str] = set()
        self.told: set[str] = set()
        self._bag: list[str] = []

    @property
    def melodic(self) -> bool:
        """There is nothing but the melody."""
        return not self.files or len(self.bad) >= len(self.files)

    def source(self, place: int) -> Source:
        assert self.files is not None
        if self.melodic:
            return Tone(MELODY)
        if place not in self.chosen:
            self.chosen[place] = self._choose(self.chosen.get(place - 1, ""))
            self.chosen.pop(place - 64, None)
        return File(self.chosen[place])

    def _choose(self, last: str) -> str:
        assert self.files
        if self.settings is None or self.settings.order == "name":
            return self.files[bisect_right(self.files, last) % len(self.files)]
        # At random, and each once before any comes again.
        self._bag = [path for path in self._bag if path in self.files]
        if not self._bag:
            self._bag = list(self.files)
            self.rng.shuffle(self._bag)
            if self._bag[-1] == last:
                self._bag.insert(0, self._bag.pop())
        return self._bag.pop()


class _Reader:
    """One class at one rate. `index`: of the latest frame, which is the last of `kept`."""

    __slots__ = ("_library", "_programme", "_size", "index", "kept", "player", "silence", "since", "used")

    def __init__(self, library: MusicLibrary, programme: _Programme, rate: int, index: int) -> None:
        self._library = library
        self._programme = programme
        self._size = rate // FRAMES_PER_SECOND
        self.since: int | None = None  # frame that the opened place belongs to, until something was heard
        self.index = index - 1
        self.used = index
        self.kept: deque[I16] = deque(maxlen=KEPT)
        self.silence = frozen(np.zeros(self._size, np.int16))
        self.player = Player(library.open_source, rate)

    def begin(self, place: int, seconds: float) -> None:
        """Play from here on; what was queued is dropped."""
        self.player.stop_all()
        self.player.events.clear()
        for ahead in range(AHEAD):
            self._queue(place + ahead, seconds if ahead == 0 else 0.0)
        self._ended()

    def _queue(self, place: int, seconds: float = 0.0) -> None:
        self.player.play(Play(place, (self._programme.source(place),), start=seconds))

    def _ended(self) -> None:
        """Queue another file for each that ended, whatever way."""
        while self.player.events:
            self._replace(self.player.events.pop(0))

    def _replace(self, event: PlayEnded) -> None:
        programme = self._programme
        path = programme.chosen.get(event.play, "")
        if event.how == "failed":
            if not programme.melodic:
                self._library.failed(programme, path, event.why)
            if programme.melodic:
                return  # all readers have begun anew, with the melody
        else:
            programme.bad.discard(path)
        self._queue(event.play + AHEAD)

    def frame(self, index: int) -> I16:
        self.used = index
        if index <= self.index:
            back = self.index - index
            return self.kept[-1 - back] if back < len(self.kept) else self.silence
        steps = index - self.index
        for _ in range(steps if steps <= MAX_SKIP else 1):
            self.kept.append(self._next(index))
        self.index = index
        return self.kept[-1]

    def _next(self, index: int) -> I16:
        samples = self.player.read(self._size)
        if samples is not None and self.since is not None:
            # Opening took some frames: leave them out, so that all rates are at the same moment.
            for _ in range(min(index - self.since, MAX_SKIP)):
                samples = self.player.read(self._size)
            self.since = None
        if self.player.events:
            self._ended()
        return self.silence if samples is None else samples


class _Listening:
    """What a player reads of a class: always the frame of now, or, behind another source, the end of it."""

    __slots__ = ("_library", "_name", "_rate", "ended", "starved", "why")

    def __init__(self, library: MusicLibrary, name: str, rate: int) -> None:
        self._library = library
        self._name = name
        self._rate = rate
        self.ended = False
        self.starved = False
        self.why = ""

    @property
    def at_seconds(self) -> float:
        return 0.0  # it is where the programme is, at every rate

    def read(self, count: int) -> I16:
        frame = self._library.frame(self._name, self._rate, self._library.index)
        return frame if count == len(frame) else frame[max(0, len(frame) - count) :]

    def close(self) -> None:
        self.ended = True


class MusicLibrary:
    """All classes. The engine calls `tick` with the number of the frame before anything is read of it.

    events: what is wrong with classes, for whoever tells it, who empties the list.
    """

    def __init__(self, sounds: MusicSounds, classes: Mapping[str, MusicClassSettings], rng: Random) -> None:
        self.index = 0
        self.events: list[MusicFailed] = []
        self._sounds = sounds
        self._rng = rng
        self._unknown: set[str] = set()
        self._programmes: dict[str, _Programme] = {}
        self.reload(classes)

    # -- commands

    def reload(self, classes: Mapping[str, MusicClassSettings]) -> None:
        """These are the classes; their directories are read (again). What is playing is played to its end, where the
        class still has files."""
        wanted: dict[str, MusicClassSettings | None] = {DEFAULT: None, **classes}
        for name in [name for name in self._programmes if name not in wanted]:
            _close(self._programmes.pop(name))
        for name, settings in wanted.items():
            programme = self._programmes.get(name)
            if programme is None:
                self._programmes[name] = programme = _Programme(name, settings, self._rng)
            programme.settings = settings
            if settings is None:
                self._listed(programme, [])
            else:
                self._list(programme, str(settings.directory))
        self._unknown.clear()

    def _list(self, programme: _Programme, directory: str) -> None:
        def listed(result: list[str] | SourceError) -> None:
            if programme.settings is None or str(programme.settings.directory) != directory:
                return  # another reload came meanwhile
            if isinstance(result, SourceError):
                self.events.append(MusicFailed(programme.name, f"{result}; the built-in melody is played instead"))
                result = []
            self._listed(programme, result)

        self._sounds.list_music(directory, listed)

    def _listed(self, programme: _Programme, files: list[str]) -> None:
        waited = programme.files is None
        melodic = not waited and programme.melodic
        programme.files = sorted(files)
        programme.bad.clear()
        programme.told.clear()
        if waited:
            for reader in programme.readers.values():
                reader.begin(*programme.resume)
        elif melodic != programme.melodic:
            programme.chosen.clear()
            programme.resume = (0, 0.0)
            for reader in programme.readers.values():
                reader.begin(0, 0.0)

    def tick(self, index: int) -> None:
        """Frame `index` begins."""
        self.index = index
        if index % SWEEP_FRAMES == 0:
            self._sweep(index)

    def _sweep(self, index: int) -> None:
        for programme in self._programmes.values():
            for rate, reader in list(programme.readers.items()):
                if index - reader.used > IDLE_FRAMES:
                    programme.resume = _moment(reader, programme)
                    reader.player.stop_all()
                    del programme.readers[rate]

    # -- what is heard

    def frame(self, name: str, rate: int, index: int) -> I16:
        """Frame `index` of a class, (rate / 50,); the same one however often it is asked for. Not to be written to."""
        programme = self._programmes.get(name) or self._unknown_class(name)
        reader = programme.readers.get(rate)
        if reader is None:
            reader = self._begin(programme, rate, index)
        elif reader.index == index:
            return reader.kept[-1]
        return reader.frame(index)

    def listen(self, name: str, rate: int) -> Playable:
        return _Listening(self, name, rate)

    def _unknown_class(self, name: str) -> _Programme:
        if name not in self._unknown and len(self._unknown) < MAX_UNKNOWN:
            self._unknown.add(name)
            known = ", ".join(sorted(self._programmes))
            why = f"there is no such class of hold music, {DEFAULT!r} is played; classes: {known}"
            self.events.append(MusicFailed(name, why))
        return self._programmes[DEFAULT]

    def _begin(self, programme: _Programme, rate: int, index: int) -> _Reader:
        others = list(programme.readers.values())
        place, seconds = _moment(others[0], programme) if others else programme.resume
        reader = programme.readers[rate] = _Reader(self, programme, rate, index)
        reader.since = index if others else None
        if programme.files is not None:
            # The other one may have been read for this frame already.
            behind = max(0, others[0].index - index + 1) / FRAMES_PER_SECOND if others else 0.0
            reader.begin(place, max(0.0, seconds - behind))
        return reader

    # -- readers

    def open_source(self, source: Source, rate: int, ready: Ready, start: float, language: str) -> None:
        if isinstance(source, File):
            self._sounds.open_path(source.name, rate, ready, start)
        else:
            self._sounds.open(source, rate, ready, start, language)

    def failed(self, programme: _Programme, path: str, why: str) -> None:
        """A file can't be played; when it was the last that could, all readers turn to the melody."""
        programme.bad.add(path)
        if programme.melodic:
            why += "; no file of this class can be played, the built-in melody is played instead"
        if programme.melodic or path not in programme.told:
            self.events.append(MusicFailed(programme.name, why))
        programme.told.add(path)
        if programme.melodic:
            for reader in programme.readers.values():
                reader.begin(0, 0.0)


def _moment(reader: _Reader, programme: _Programme) -> tuple[int, float]:
    """Place and seconds of what it reads next."""
    place = reader.player.playing
    return programme.resume if place is None else (place, reader.player.at_seconds)


def _close(programme: _Programme) -> None:
    for reader in programme.readers.values():
        reader.player.stop_all()
    programme.readers.clear()
