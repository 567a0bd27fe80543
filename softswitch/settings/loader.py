"""A configuration directory -> `Loaded`, or `ConfigError` with everything that is wrong with it.

    files -> read_yaml -> merge_files -> fill_in -> pydantic, references -> settings and warnings

Every stage goes on with what the one before could make sense of, so that all errors are told at once. What could not be
read is noted in `unread`, by section, and errors that may only stem from its absence are not told: one slip in
dialplan.yaml does not make all contexts unknown.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from media.sound_settings import SoundSettings
from softswitch.settings.acd_references import check_acd_references
from softswitch.settings.acd_teams import team_errors
from softswitch.settings.consistency import check_ports, warnings_of
from softswitch.settings.models import Settings
from softswitch.settings.references import check_references
from softswitch.settings.sections import SECTIONS, fill_in, merge_files
from softswitch.settings.sound_checks import sound_errors, sound_warnings
from softswitch.settings.validation import problems_of
from softswitch.settings.yaml_tree import MAX_FILE_BYTES, Mapping, Mark, Problem, plain, read_yaml

SECRETS_FILE = "secrets.yaml"
DATABASE_FILE = "softswitch.db"
MAX_FILES = 200  # of one configuration directory


class Loaded(NamedTuple):
    """A valid configuration. `warnings` are problems that do not keep it from working."""

    settings: Settings
    warnings: list[Problem]


class ConfigError(Exception):
    """The configuration can't be used; `problems` says why, in order of file and line."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: problem.mark)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load(directory: Path) -> Loaded:
    """Read and check all `*.yaml` files of `directory`. Blocks on files; about 0.1 ms for each line.

    Paths of the result are made absolute; an empty database URL becomes SQLite in the state directory.
    """
    problems: list[Problem] = []
    warnings: list[Problem] = []
    unread: set[str] = set()
    roots = _read_files(directory, problems, warnings, unread)
    if not roots:
        raise ConfigError(problems)
    tree = fill_in(merge_files(roots, problems, unread), problems, unread)
    settings = _validate(tree, problems, unread)
    # What is malformed is no name that could be known.
    malformed = {problem.mark for problem in problems}
    unknown = check_references(tree, unread) + check_acd_references(tree, unread)
    problems += [problem for problem in unknown if problem.mark not in malformed]
    if settings is not None and not problems:
        settings = _with_paths(settings, directory)
        problems += check_ports(settings, tree)
        problems += team_errors(settings, tree)
        problems += sound_errors(settings, tree)
    if settings is None or problems:
        # A file of the wrong name may be what is missing.
        raise ConfigError(problems + [each for each in warnings if each.mark.file.endswith(".yml")])
    warnings += warnings_of(settings, tree)
    warnings += sound_warnings(settings, tree)
    return Loaded(settings, warnings)


def _read_files(directory: Path, problems: list[Problem], warnings: list[Problem], unread: set[str]) -> list[Mapping]:
    try:
        paths = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError as problem:
        message = f"expected a configuration directory: {problem.strerror} (softswitch init makes one)"
        problems.append(Problem(Mark(str(directory), 1, 1), "", message))
        return []
    files = [path for path in paths if path.suffix == ".yaml"]
    for path in paths:
        if path.suffix == ".yml":
            message = f"not read: expected the name {path.stem}.yaml"
            warnings.append(Problem(Mark(str(path), 1, 1), "", message))
    if not files or len(files) > MAX_FILES:
        found = f"{len(files)} files" if files else "no file"
        message = f"{found} named *.yaml: expected 1 to {MAX_FILES} (softswitch init makes them)"
        problems.append(Problem(Mark(str(directory), 1, 1), "", message))
        return []
    roots = []
    for path in files:
        root = _read_file(path, problems, warnings)
        if root is not None:
            roots.append(root)
        else:
            unread.update(SECTIONS)  # any of them may have stood there
    return roots


def _read_file(path: Path, problems: list[Problem], warnings: list[Problem]) -> Mapping | None:
    mark = Mark(str(path), 1, 1)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
            mode = path.stat().st_mode
    except OSError as problem:
        problems.append(Problem(mark, "", f"can't be read: {problem.strerror}"))
        return None
    if path.name == SECRETS_FILE and mode & (stat.S_IRWXG | stat.S_IRWXO):
        message = f"others may read the passwords: expected mode 0600 instead of {stat.S_IMODE(mode):04o}"
        warnings.append(Problem(mark, "", message))
    return read_yaml(data, str(path), problems)


def _validate(tree: Mapping, problems: list[Problem], unread: set[str]) -> Settings | None:
    try:
        return Settings.model_validate(plain(tree, {}))
    except ValidationError as error:
        problems += problems_of(error, Settings, tree, unread)
        return None


def _with_paths(settings: Settings, directory: Path) -> Settings:
    state = (directory / settings.server.state_directory).absolute()
    url = settings.server.database_url or f"sqlite+aiosqlite:///{state / DATABASE_FILE}"
    server = settings.server.model_copy(update={"state_directory": state, "database_url": url})
    media = settings.media.model_copy(
        update={
            "sounds": _with_sound_paths(settings.media.sounds, directory, state),
            "recordings": settings.media.recordings.model_copy(
                update={"directory": state / settings.media.recordings.directory}
            ),
        }
    )
    return settings.model_copy(update={"server": server, "media": media})


def _with_sound_paths(sounds: SoundSettings, directory: Path, state: Path) -> SoundSettings:
    base = directory.absolute()
    music = {name: each.model_copy(update={"directory": base / each.directory}) for name, each in sounds.music.items()}
    return sounds.model_copy(
        update={
            "prompt_directories": tuple(base / each for each in sounds.prompt_directories),
            "music": music,
            "speech": sounds.speech.model_copy(update={"cache_directory": state / sounds.speech.cache_directory}),
        }
    )
