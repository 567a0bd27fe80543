"""Text-to-speech with programs made for the test: what they are given, what happens when they fail, what is kept."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from media.audio_commands import Say, Speech
from media.playable import Playable, SourceError
from media.sound_settings import SoundSettings, SpeechSettings
from media.speech import EspeakNg, Flite, SpeechEngine, SpeechLibrary, engine, plain
from tests.sounds import everything, library, sine, write


class Speaker:
    """Writes a file as long as the text; counts."""

    name = "test"

    def __init__(self, fails: str = "") -> None:
        self.spoken: list[tuple[str, str, str]] = []
        self.fails = fails

    def speak(self, text: str, language: str, voice: str, path: str) -> None:
        self.spoken.append((text, language, voice))
        if self.fails:
            Path(path).write_bytes(b"half a fi")
            raise SourceError(self.fails)
        write(Path(path).with_suffix(".wav"), np.full(len(text) * 100, 5, np.int16), 8000)
        os.replace(Path(path).with_suffix(".wav"), path)


def texts(tmp_path: Path, speaker: SpeechEngine, **settings: object) -> SpeechLibrary:
    model = SpeechSettings.model_validate({"cache_directory": tmp_path / "speech", **settings})
    return SpeechLibrary(model, speaker)


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> None:
    """A program of this name, first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_each_text_is_spoken_once(tmp_path: Path) -> None:
    speaker = Speaker()
    kept = texts(tmp_path, speaker)
    path = kept.speak("hello", "en", "")
    assert kept.speak("hello", "en", "") == path
    assert kept.speak("  hello\n", "en", "") == path
    others = {kept.speak("hello", "en-GB", ""), kept.speak("hello", "en", "max"), kept.speak("hullo", "en", "")}
    assert len(others | {path}) == 4
    assert len(speaker.spoken) == 4
    assert texts(tmp_path, Speaker()).speak("hello", "en", "") == path  # after a restart, too
    assert Path(path).parent == tmp_path / "speech"


def test_control_characters_are_stripped(tmp_path: Path) -> None:
    speaker = Speaker()
    texts(tmp_path, speaker).speak("a\x00b\x1b[31m\tc\u202ed\r\n", "en", "")
    assert speaker.spoken[0][0] == "a b [31m c d"
    assert plain("größer 10 €") == "größer 10 €"


@pytest.mark.parametrize(
    ("text", "language", "voice", "why"),
    [
        ("", "en", "", "empty"),
        (" \n\x00", "en", "", "empty"),
        ("x" * 2001, "en", "", "2001 characters, more than 2000"),
        ("x", "../en", "", "language"),
        ("x", "en\0", "", "language"),
        ("x", "", "", "language"),
        ("x", "en", "../../etc/passwd", "voice"),
        ("x", "en", "http://example.org/x.flitevox", "voice"),
        ("x", "en", "-w", "voice"),
        ("x", "en", "a b", "voice"),
    ],
)
def test_what_is_not_spoken(tmp_path: Path, text: str, language: str, voice: str, why: str) -> None:
    speaker = Speaker()
    with pytest.raises(SourceError, match=why):
        texts(tmp_path, speaker).speak(text, language, voice)
    assert speaker.spoken == []


def test_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    kept = texts(tmp_path, Speaker("it is hoarse"))
    for _ in range(2):
        with pytest.raises(SourceError, match="hoarse"):
            kept.speak("hello", "en", "")
    assert list((tmp_path / "speech").iterdir()) == []


def test_directory_is_bounded(tmp_path: Path) -> None:
    kept = texts(tmp_path, Speaker(), cache_mb=1)
    first = kept.speak("first " + "x" * 900, "en", "")  # 180 kB each
    for number in range(12):
        path = kept.speak(f"{number:06}" + "x" * 900, "en", "")
        os.utime(path, (number, number))
        os.utime(first)
    sizes = [entry.stat().st_size for entry in (tmp_path / "speech").iterdir()]
    assert 500_000 < sum(sizes) <= 1_000_000
    assert Path(first).exists()  # it was used


def test_directory_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "speech").write_text("a file")
    with pytest.raises(SourceError, match=r"Not a directory|File exists"):
        texts(tmp_path, Speaker()).speak("hello", "en", "")


# ---- programs


def test_program_is_given_the_text_on_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "espeak-ng", f'echo "$@" > {tmp_path}/arguments; cat > {tmp_path}/text')
    EspeakNg(5.0).speak("$(rm -rf /) `x` 'größe", "de-AT", "", str(tmp_path / "o.wav"))
    assert (tmp_path / "text").read_text() == "$(rm -rf /) `x` 'größe"
    assert (tmp_path / "arguments").read_text().split() == [
        "--stdin",
        "-b",
        "1",
        "-v",
        "de-at",
        "-w",
        f"{tmp_path}/o.wav",
    ]
    program(tmp_path, monkeypatch, "flite", f'echo "$@" > {tmp_path}/arguments; cat > {tmp_path}/text')
    Flite(5.0).speak("hello; reboot", "en", "slt", str(tmp_path / "o.wav"))
    assert (tmp_path / "text").read_text() == "hello; reboot"
    assert "reboot" not in (tmp_path / "arguments").read_text()
    assert "-voice slt" in (tmp_path / "arguments").read_text()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("cat >/dev/null; kill -9 $$", "espeak-ng was killed by SIGKILL"),
        ("kill -SEGV $$", "espeak-ng was killed by SIGSEGV"),
        (
            "cat >/dev/null; echo no such voice >&2; exit 3",
            "espeak-ng, asked for language 'en', failed with status 3: no such voice",
        ),
        ("exit 1", "status 1: no reason given"),
        ("cat >/dev/null; exec sleep 60", "did not speak within 0.3 s"),
        ("cat >/dev/null", "gave no sound"),
    ],
)
def test_program_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str) -> None:
    program(tmp_path, monkeypatch, "espeak-ng", script)
    kept = texts(tmp_path, EspeakNg(0.3 if "sleep" in script else 10.0))
    began = time.monotonic()
    with pytest.raises(SourceError, match=why):
        kept.speak("hello", "en", "")
    assert time.monotonic() - began < 10
    assert list((tmp_path / "speech").iterdir()) == []


def test_program_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for speaker in (EspeakNg(1.0), Flite(1.0)):
        with pytest.raises(SourceError, match=f"{speaker.name} is not installed: apt-get install {speaker.name}, or"):
            speaker.speak("hello", "en", "", str(tmp_path / "o.wav"))


def test_flite_speaks_english_only(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="English only, not 'de'"):
        Flite(1.0).speak("hallo", "de", "", str(tmp_path / "o.wav"))


def test_engines_by_name() -> None:
    for name in ("espeak-ng", "flite"):
        found = engine(SpeechSettings.model_validate({"engine": name}))
        assert found is not None
        assert found.name == name
    assert engine(SpeechSettings(engine="none")) is None
    with pytest.raises(SourceError, match="text-to-speech is off"):
        SpeechLibrary(SpeechSettings(engine="none")).speak("hello", "en", "")


# ---- in the library


def spoken(tmp_path: Path, source: Say | Speech, language: str = "") -> Playable | SourceError:
    speech = SpeechSettings(cache_directory=tmp_path / "speech")
    sounds = library(SoundSettings(prompt_directories=(tmp_path / "prompts",), language="de", speech=speech))
    results: list[Playable | SourceError] = []
    sounds.open(source, 8000, results.append, language=language)
    assert len(results) == 1
    return results[0]


def test_phrase_without_all_its_recordings_is_spoken_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = write(tmp_path / "spoken.wav", sine(440, 0.5, 22050), 22050)
    script = f'cat > {tmp_path}/text; echo "$@" > {tmp_path}/arguments; for last; do :; done; cp {sound} "$last"'
    program(tmp_path, monkeypatch, "espeak-ng", script)
    write(tmp_path / "prompts" / "fr" / "hundred.wav", sine(440, 0.5, 8000), 8000)
    result = spoken(tmp_path, Say("number", "180", "fr"))
    assert not isinstance(result, SourceError)
    assert len(everything(result)) == 4000
    assert (tmp_path / "text").read_text() == "cent quatre-vingts"
    assert "-v fr " in (tmp_path / "arguments").read_text()
    # The language: its own, else that of the play, else the configured one.
    for source, language, voice in (
        (Speech("a", "it"), "es", "-v it "),
        (Speech("b"), "es", "-v es "),
        (Speech("c"), "", "-v de "),
        (Say("number", "4"), "en-GB", "-v en-gb "),
        (Say("number", "5"), "", "-v de "),
    ):
        assert not isinstance(spoken(tmp_path, source, language), SourceError)
        assert voice in (tmp_path / "arguments").read_text()


def test_failing_program_fails_the_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "espeak-ng", "kill -9 $$")
    for source in (Say("number", "1"), Speech("hello")):
        result = spoken(tmp_path, source)
        assert isinstance(result, SourceError)
        assert "SIGKILL" in str(result)
