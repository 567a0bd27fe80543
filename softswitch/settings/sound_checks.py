"""What is to be played and recorded, held against other settings and against what is on this machine.

What the settings themselves rule out is an error. What may be put right without touching them, a file that is not there
yet, is a warning: it must not keep a switch from starting. Looks at files, and asks the speech engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from media.playable import SourceError
from media.prompts import EXTENSIONS
from media.record_files import unwritable
from media.sound_search import find_sound, music_files, prompt_roots
from media.sound_settings import SoundSettings, SpeechSettings
from media.speech import engine, not_installed
from softswitch.dialplan.announcement import SourceModel
from softswitch.dialplan.models import Action
from softswitch.settings.models import Settings
from softswitch.settings.yaml_tree import Mapping, Problem, Told

_FALLBACKS = ("on_busy", "on_no_answer", "on_unavailable")
_Path = tuple[str | int, ...]


class _Written(NamedTuple):
    """A source of an announcement: where it stands, and what stands before it."""

    path: _Path
    source: SourceModel
    before: tuple[SourceModel, ...]


def sound_errors(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """`settings` with absolute paths, as in the warnings below."""
    sounds = settings.media.sounds
    roots = prompt_roots(sounds)
    told = Told(root)
    here = settings.media.carried_here
    for path, source, _ in _sources(settings):
        if source.file is not None and Path(source.file).is_absolute():
            yield from told.once((*path, "file"), _refused_file(source.file, sounds, roots))
        if source.say is not None and not source.language and (why := source.unsayable(sounds.language)):
            yield from told.once((*path, "say"), why)
        if source.speech is not None and (here or sounds.speech.engine == "none"):
            yield from _spoken(sounds, path, source, told)
    for path, name in _in_queues(settings):
        if Path(name).is_absolute():
            yield from told.once(path, _refused_file(name, sounds, roots))


def _spoken(sounds: SoundSettings, path: _Path, source: SourceModel, told: Told) -> Iterator[Problem]:
    if sounds.speech.engine == "none":
        message = "never spoken: expected an engine at media.sounds.speech.engine, which is 'none'"
        yield from told.once((*path, "speech"), message)
    elif not not_installed(sounds.speech.engine):
        language = source.language or sounds.language
        why = _refused(sounds.speech, language, source.voice or sounds.speech.voice)
        written = "voice" if source.voice else "language" if source.language else "speech"
        yield from told.once((*path, written), why)


def _refused(speech: SpeechSettings, language: str, voice: str) -> str:
    """Why the engine of this machine does not speak so."""
    try:
        _probe(speech, language, voice)
    except SourceError as problem:
        return str(problem)
    return ""


@lru_cache(256)
def _probe(speech: SpeechSettings, language: str, voice: str) -> None:
    """Asked once, unless it fails: it takes 10 ms, and a reload happens amid calls."""
    speaker = engine(speech)
    assert speaker is not None
    speaker.probe(language, voice)


def sound_warnings(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """Sounds that are not there, or never heard; directories that are not there, or can't be written to."""
    told = Told(root)
    if settings.media.carried_here:
        yield from _directories(settings, root, told)
    yield from _unheard(settings, told)


def _directories(settings: Settings, root: Mapping, told: Told) -> Iterator[Problem]:
    sounds = settings.media.sounds
    for index, directory in enumerate(sounds.prompt_directories):
        path: _Path = ("media", "sounds", "prompt_directories", index)
        # The default one need not be there: who plays no file needs none.
        if _is_written(root, path[:-1]) and not directory.is_dir():
            yield from told.once(path, f"no such directory: {directory}")
    for name, music in sounds.music.items():
        try:
            music_files(str(music.directory))
        except SourceError as problem:
            path = ("media", "sounds", "music", name, "directory")
            yield from told.once(path, f"{problem}; the built-in melody is played instead")
    if why := unwritable(settings.media.recordings.directory):
        yield from told.once(("media", "recordings", "directory"), f"nothing can be recorded: {why}")


def _unheard(settings: Settings, told: Told) -> Iterator[Problem]:
    here = settings.media.carried_here
    sounds = settings.media.sounds
    roots = prompt_roots(sounds)
    for path, source, before in _sources(settings):
        endless = next((each for each in before if each.endless(sounds.tone_country)), None)
        if endless is not None:
            message = f"never heard: tone {endless.tone!r} before it has no end; expected 'seconds' there"
            yield from told.once(path, message)
        if source.file is not None and here:
            yield from told.once((*path, "file"), _missing(source.file, sounds, roots))
        if source.speech is not None and here and (why := not_installed(sounds.speech.engine)):
            yield from told.once((*path, "speech"), why)
    for path, name in _in_queues(settings) if here else ():
        yield from told.once(path, _missing(name, sounds, roots))


def _refused_file(name: str, sounds: SoundSettings, roots: list[Path]) -> str:
    try:
        find_sound(name, "", sounds, roots)
    except SourceError as problem:
        return str(problem)
    return ""


def _missing(name: str, sounds: SoundSettings, roots: list[Path]) -> str:
    try:
        if find_sound(name, "", sounds, roots) is not None:
            return ""
    except SourceError as problem:  # a link that leads out, no permission
        return str(problem)
    places = ", ".join(map(str, sounds.prompt_directories)) or "no prompt directory is set"
    return (
        f"no sound file {name!r} in the prompt directories ({places}) or in their folder {sounds.language!r}; looked "
        f"for as it stands and with {' '.join(EXTENSIONS)}"
    )


def _is_written(root: Mapping, path: _Path) -> bool:
    node: object = root
    for part in path:
        node = node.get(str(part)) if isinstance(node, Mapping) else None
    return node is not None


def _sources(settings: Settings) -> Iterator[_Written]:
    for name, context in settings.dialplan.items():
        for index, route in enumerate(context.routes):
            yield from _in_action(route, ("dialplan", name, "routes", index))
    for name, group in settings.ring_groups.items():
        yield from _in_fallbacks(group.fallbacks, ("ring_groups", name))


def _in_queues(settings: Settings) -> Iterator[tuple[_Path, str]]:
    """Sound files that are played to who waits, and where they are named."""
    for name, queue in settings.queues.items():
        for index, each in enumerate(queue.announcements):
            if each.sound is not None:
                yield ("queues", name, "announcements", index, "sound"), each.sound


def _in_action(action: Action, path: _Path) -> Iterator[_Written]:
    sources = action.answer_and_play or ()
    for index, source in enumerate(sources):
        yield _Written((*path, "answer_and_play", index), source, sources[:index])
    yield from _in_fallbacks(action.fallbacks, path)


def _in_fallbacks(fallbacks: tuple[Action | None, ...], path: _Path) -> Iterator[_Written]:
    for key, fallback in zip(_FALLBACKS, fallbacks, strict=True):
        if fallback is not None:
            yield from _in_action(fallback, (*path, key))
