"""Where sound files are: names looked for below the prompt directories, directories of hold music.

I/O on the file system: it is looked at, and no file is opened.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePath

from media.playable import SourceError
from media.prompts import EXTENSIONS, Found, candidates, checked_name
from media.sound_settings import SoundSettings

# What libsndfile can't read, or, MP3, not in blocks (soundfile seeks after each, which breaks its frames), is read by
# FFmpeg, as the one format that the extension says: its own guess could take a file for a playlist, which names other
# files and addresses.
FFMPEG_FORMATS = {
    ".mp3": "mp3",
    ".m4a": "mov",
    ".mp4": "mov",
    ".aac": "aac",
    ".webm": "matroska",
    ".mka": "matroska",
    ".amr": "amr",
}
MUSIC_EXTENSIONS = {*EXTENSIONS, *FFMPEG_FORMATS}
"""Files of a music directory that are played; others are passed over."""


def find_sound(name: str, language: str, settings: SoundSettings, roots: list[Path]) -> Found | None:
    """The first candidate there is. SourceError when it lies, by its name or through links, outside of `roots`, the
    prompt directories resolved (`prompt_roots`)."""
    path = checked_name(name)
    if path.is_absolute():
        if not _below(path, roots):  # whether there is such a file is told to nobody
            raise _outside(name, settings)
        places = [Path(str(path) + suffix) for suffix in ("", *EXTENSIONS)]
    else:
        below = candidates(path, language, settings.language)
        places = [root / candidate for root in roots for candidate in below]
    for place in places:
        if not os.path.lexists(place):
            continue
        if not _below(place, roots):
            raise _outside(name, settings)
        found = found_file(os.path.realpath(place))
        if found is not None:
            return found
    return None


def prompt_roots(settings: SoundSettings) -> list[Path]:
    """The prompt directories, links followed."""
    return [Path(os.path.realpath(place)) for place in settings.prompt_directories]


def found_file(path: str) -> Found | None:
    """None when there is none, or no regular file."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:  # a component too long, a loop of links, no permission
        raise SourceError(f"sound file {path}: {problem.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Found(path, (status.st_mtime_ns, status.st_size, status.st_ino))


def music_files(directory: str) -> list[str]:
    """Paths of the sound files in a directory, by name. SourceError where there are none."""
    try:
        with os.scandir(directory) as entries:
            paths = [
                entry.path
                for entry in entries
                if Path(entry.name).suffix.lower() in MUSIC_EXTENSIONS
                and not entry.name.startswith(".")
                and entry.is_file()
            ]
    except OSError as problem:
        raise SourceError(f"music directory {directory}: {problem.strerror}") from None
    if not paths:
        raise SourceError(f"music directory {directory}: no sound file in it ({' '.join(sorted(MUSIC_EXTENSIONS))})")
    return sorted(paths)


def _outside(name: str, settings: SoundSettings) -> SourceError:
    places = ", ".join(map(str, settings.prompt_directories)) or "(none is set)"
    return SourceError(
        f"sound file {name!r} lies outside of the prompt directories, as it stands or by a link: put it below "
        f"one of them: {places}"
    )


def _below(place: PurePath, roots: list[Path]) -> bool:
    real = Path(os.path.realpath(place))
    return any(real.is_relative_to(root) for root in roots)
