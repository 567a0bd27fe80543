"""What is to be played and recorded, held against other settings, files and the speech engine."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.prompt_files import FFMPEG_FORMATS
from media.sound_search import MUSIC_EXTENSIONS
from softswitch.settings.loader import ConfigError, load

HEAD = """extensions: {"101": {}}
dialplan:
  internal:
    routes:
"""
FIRST_ROUTE = HEAD.count("\n") + 1


def write_config(directory: Path, play: str, media: str = "") -> None:
    """`play` is line 5; `media`, if any, begins at line 6."""
    more = f"media: {media}\n" if media else ""
    (directory / "a.yaml").write_text(f"{HEAD}      - {{answer_and_play: {play}}}\n{more}")


def warnings(directory: Path, play: str, media: str = "") -> list[str]:
    """Without the name of the file."""
    write_config(directory, play, media)
    return [str(each).removeprefix(f"{directory}/a.yaml:") for each in load(directory).warnings]


def errors(directory: Path, play: str, media: str = "") -> list[str]:
    write_config(directory, play, media)
    with pytest.raises(ConfigError) as caught:
        load(directory)
    return [str(each).removeprefix(f"{directory}/a.yaml:") for each in caught.value.problems]


def sound(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(80, np.int16), 8000)


def engine(directory: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> None:
    """A speech engine of this name, the only program there is."""
    folder = directory / "bin"
    folder.mkdir()
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


# ---- files


def test_a_file_that_is_not_there_is_a_warning_that_says_where_it_was_looked_for(tmp_path: Path) -> None:
    [told] = warnings(tmp_path, "[{silence: 1s}, welcome]")
    assert told.startswith("5:43: dialplan.internal.routes[0].answer_and_play[1]: no sound file 'welcome'")
    assert f"({tmp_path}/prompts)" in told
    assert ".wav" in told
    sound(tmp_path / "prompts" / "welcome.wav")
    assert warnings(tmp_path, "[{silence: 1s}, welcome]") == []
    assert warnings(tmp_path, f"[{tmp_path}/prompts/welcome.wav]") == []
    [told] = warnings(tmp_path, f"[{tmp_path}/prompts/other.wav]")
    assert "no sound file" in told


def test_a_file_in_the_folder_of_the_language_is_found(tmp_path: Path) -> None:
    sound(tmp_path / "prompts" / "de" / "welcome.flac")
    assert warnings(tmp_path, "welcome", "{sounds: {language: de}}") == []
    assert len(warnings(tmp_path, "welcome", "{sounds: {language: fr}}")) == 1


def test_an_absolute_path_outside_of_the_prompt_directories_is_an_error(tmp_path: Path) -> None:
    [told] = errors(tmp_path, "/etc/passwd")
    assert told.startswith("5:27: dialplan.internal.routes[0].answer_and_play: sound file '/etc/passwd' lies outside")


def test_a_link_that_leads_outside_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "out.wav").symlink_to("/etc/passwd")
    [told] = warnings(tmp_path, "out")
    assert "lies outside" in told


def test_files_of_other_machines_are_not_looked_for(tmp_path: Path) -> None:
    remote = "{address: 192.0.2.7:5090, secret: sixteen-characters-long, hosts: [192.0.2.7]}"
    media = f"{{workers: 0, remote_workers: [{remote}], sounds: {{prompt_directories: [/nowhere]}}}}"
    assert warnings(tmp_path, "[welcome, {speech: hello, language: xx}]", media) == []
    assert len(warnings(tmp_path, "welcome", media.replace("workers: 0", "workers: 1"))) == 2


def test_what_an_anchor_repeats_is_told_once(tmp_path: Path) -> None:
    text = (
        'x-play: &play {answer_and_play: [welcome, "/etc/x"]}\n'
        + HEAD
        + '      - {to: "1", <<: *play}\n      - {to: "2", <<: *play}\n      - {to: "3", dial: "101", on_busy: *play}\n'
    )
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert len(caught.value.problems) == 1
    (tmp_path / "a.yaml").write_text(text.replace("/etc/x", "other"))
    assert len(load(tmp_path).warnings) == 2


# ---- directories


def test_prompt_directories_that_are_written_must_be_there(tmp_path: Path) -> None:
    [told] = warnings(tmp_path, "{tone: beep}", "{sounds: {prompt_directories: [., /nonexist]}}")
    assert told == "6:42: media.sounds.prompt_directories[1]: no such directory: /nonexist"


def test_a_music_directory_without_music_is_a_warning(tmp_path: Path) -> None:
    music = "{sounds: {music: {slow: {directory: slow}}}}"
    [told] = warnings(tmp_path, "{tone: beep}", music)
    assert told.startswith(f"6:44: media.sounds.music.slow.directory: music directory {tmp_path}/slow: No such file")
    assert "the built-in melody is played instead" in told
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "notes.txt").write_text("")
    [told] = warnings(tmp_path, "{tone: beep}", music)
    assert "no sound file in it" in told
    sound(tmp_path / "slow" / "one.wav")
    assert warnings(tmp_path, "{tone: beep}", music) == []


def test_every_format_that_can_be_played_is_music_too() -> None:
    assert set(FFMPEG_FORMATS) <= MUSIC_EXTENSIONS


def test_recordings_that_can_not_be_written_are_a_warning(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    [told] = warnings(tmp_path, "{tone: beep}", f"{{recordings: {{directory: {tmp_path}/taken/below}}}}")
    assert told == f"6:33: media.recordings.directory: nothing can be recorded: {tmp_path}/taken is no directory"
    assert warnings(tmp_path, "{tone: beep}", "{recordings: {directory: made/when/needed}}") == []
    assert not (tmp_path / "var").exists()


def test_a_directory_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda place, _mode: Path(place) != tmp_path)  # root may write everywhere
    [told] = warnings(tmp_path, "{tone: beep}", f"{{recordings: {{directory: {tmp_path}/below}}}}")
    assert told.endswith(f"nothing can be recorded: {tmp_path} may not be written to")


# ---- tones and values


@pytest.mark.parametrize(
    ("play", "never_heard"),
    [
        ("[{tone: busy}, welcome]", True),
        ("[{tone: melody}, {tone: beep}]", True),
        ("[{tone: busy, seconds: 5s}, {tone: beep}]", False),
        ("[{tone: beep}, {tone: busy}]", False),
        ("[{tone: special-information}, {tone: beep}]", False),  # the one of the United States ends
        ("[{tone: special-information, country: de}, {tone: beep}]", True),
    ],
)
def test_what_follows_a_tone_without_an_end_is_never_heard(tmp_path: Path, play: str, never_heard: bool) -> None:
    sound(tmp_path / "prompts" / "welcome.wav")
    told = warnings(tmp_path, play)
    assert bool(told) == never_heard
    assert all("answer_and_play[1]: never heard: tone " in each and "'seconds'" in each for each in told)


def test_aliases_of_tones_and_countries_in_capital_letters_are_valid(tmp_path: Path) -> None:
    assert warnings(tmp_path, "[{tone: engaged, country: DE, seconds: 3s}, {tone: SIT, country: uk}]") == []


def test_a_value_is_held_against_the_configured_language(tmp_path: Path) -> None:
    [told] = errors(tmp_path, "{say: 'ä', as: letters}")
    assert told.startswith("5:33: dialplan.internal.routes[0].answer_and_play.say: letters 'ä' can't be spoken")
    assert warnings(tmp_path, "{say: 'ä', as: letters}", "{sounds: {language: de}}") == []
    assert warnings(tmp_path, "{say: '{caller}', as: date}") == []


# ---- speech


def test_a_language_that_the_engine_does_not_speak_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, monkeypatch, "espeak-ng", 'case "$*" in *"-v xx"*) echo no such voice >&2; exit 1;; esac')
    [told] = errors(tmp_path, "{speech: hello, language: xx}")
    assert told.startswith("5:53: dialplan.internal.routes[0].answer_and_play.language: espeak-ng, asked for language")
    assert "'xx'" in told
    assert "no such voice" in told
    assert warnings(tmp_path, "[{speech: hello, language: sv}, {speech: '{number}'}]") == []
    [told] = errors(tmp_path, "{speech: hello, voice: xx}")
    assert "answer_and_play.voice: espeak-ng, asked for voice 'xx'" in told


def test_the_engine_that_is_there_speaks_the_languages_of_values(tmp_path: Path) -> None:
    play = ", ".join(f"{{speech: hello, language: {each}}}" for each in ("de", "en-GB", "fr"))
    assert warnings(tmp_path, f"[{play}]") == []


def test_flite_speaks_english_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, monkeypatch, "flite", "exit 1")
    media = "{sounds: {speech: {engine: flite}}}"
    assert warnings(tmp_path, "{speech: hello}", media) == []
    [told] = errors(tmp_path, "{speech: hallo, language: de}", media)
    assert "flite speaks English only, not 'de'" in told


def test_speech_without_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [told] = errors(tmp_path, "{speech: hello}", "{sounds: {speech: {engine: none}}}")
    assert told.startswith("5:36: dialplan.internal.routes[0].answer_and_play.speech: never spoken")
    monkeypatch.setenv("PATH", str(tmp_path))
    [told] = warnings(tmp_path, "{speech: hello}")
    assert "espeak-ng is not installed: apt-get install espeak-ng" in told
    assert warnings(tmp_path, "{say: '101'}") == []
