"""The library of sounds with real files: what is found, refused, decoded, kept, streamed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from media.audio_commands import File, Music, Play, PlayEnded, Say, Silence, Source, Speech, Tone
from media.playable import I16, Playable, SourceError
from media.player import Player
from media.prompt_files import FileStream, SoundThreads, levelled
from media.prompts import ENTRY_OCTETS, SoundCache, Sounds, candidates, checked_name
from media.sound_settings import MusicClassSettings, SoundSettings, SpeechSettings
from tests.sounds import Steps, everything, level, library, played, power_at, sine, write

QUIET = SpeechSettings(engine="none")


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    return tmp_path / "prompts"


def settings(prompts: Path, **others: object) -> SoundSettings:
    return SoundSettings.model_validate({"prompt_directories": (prompts,), "speech": QUIET, **others})


def opened(
    sounds: Sounds, source: Source, rate: int = 8000, start: float = 0.0, language: str = ""
) -> Playable | SourceError:
    results: list[Playable | SourceError] = []
    sounds.open(source, rate, results.append, start, language)
    assert len(results) == 1
    return results[0]


def sound(sounds: Sounds, source: Source, rate: int = 8000, start: float = 0.0, language: str = "") -> Playable:
    result = opened(sounds, source, rate, start, language)
    assert not isinstance(result, SourceError), result
    return result


def refusal(sounds: Sounds, source: Source, language: str = "") -> str:
    result = opened(sounds, source, language=language)
    assert isinstance(result, SourceError)
    return str(result)


# ---- decoding


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize(
    ("name", "file_rate", "how"),
    [
        ("a.wav", 8000, {}),
        ("a.wav", 11025, {}),
        ("a.wav", 44100, {}),
        ("a.wav", 8000, {"subtype": "ULAW"}),
        ("a.wav", 16000, {"subtype": "FLOAT"}),
        ("a.flac", 16000, {}),
        ("a.flac", 48000, {"subtype": "PCM_24"}),
        ("a.ogg", 22050, {}),
        ("a.opus", 48000, {"format": "OGG", "subtype": "OPUS"}),
        ("a.mp3", 44100, {"format": "MP3"}),
    ],
)
def test_formats_and_rates(prompts: Path, name: str, file_rate: int, how: dict[str, str], rate: int) -> None:
    samples = sine(440, 1.0, file_rate)
    if how.get("subtype") == "FLOAT":
        soundfile.write(prompts / name, samples.astype(np.float32) / 32768, file_rate, **how)
    else:
        write(prompts / name, samples, file_rate, **how)
    heard = everything(sound(library(settings(prompts)), File("a"), rate))
    assert len(heard) == pytest.approx(rate, rel=0.06 if name.endswith("mp3") else 0.001)
    inner = heard[rate // 4 : rate * 3 // 4]
    # Half of full scale, at 440 Hz and nowhere else.
    off = 1.2 if name.endswith("mp3") else 0.3  # its encoder leaves some room
    assert power_at(inner, 440, rate) == pytest.approx(3.14 - 6.02, abs=off)
    assert level(inner) == pytest.approx(power_at(inner, 440, rate), abs=0.1)


def test_same_rate_is_bit_exact(prompts: Path) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, 5000).astype(np.int16)
    write(prompts / "a.wav", samples, 8000)
    assert np.array_equal(everything(sound(library(settings(prompts)), File("a.wav"))), samples)


def test_stereo_is_mixed(prompts: Path) -> None:
    left, right = sine(400, 1.0, 8000), sine(1000, 1.0, 8000)
    write(prompts / "a.wav", np.stack((left, right), axis=1), 8000)
    heard = everything(sound(library(settings(prompts)), File("a")))
    assert power_at(heard, 400, 8000) == pytest.approx(3.14 - 12.04, abs=0.2)
    assert power_at(heard, 1000, 8000) == pytest.approx(3.14 - 12.04, abs=0.2)


def test_what_only_ffmpeg_reads(prompts: Path) -> None:
    with av.open(str(prompts / "a.m4a"), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(sine(440, 1.0, 44100).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    heard = everything(sound(library(settings(prompts)), File("a"), 16000))
    assert len(heard) == pytest.approx(16000, rel=0.1)
    assert power_at(heard[4000:12000], 440, 16000) == pytest.approx(3.14 - 6.02, abs=0.5)


def test_playlist_is_not_followed(prompts: Path, tmp_path: Path) -> None:
    """FFmpeg alone would take it for one, and open what it names."""
    secret = write(tmp_path / "secret.wav", sine(440, 1.0, 8000), 8000)
    playlist = f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n"
    for name in ("a.m4a", "b.wav", "c.webm", "d.aac"):
        (prompts / name).write_text(playlist)
        assert "can't be decoded" in refusal(library(settings(prompts)), File(name))


def test_level_is_brought_to(prompts: Path) -> None:
    quiet = np.concatenate((sine(440, 1.0, 8000, 0.01), np.zeros(8000, np.int16)))
    write(prompts / "a.wav", quiet, 8000)
    write(prompts / "zero.wav", np.zeros(800, np.int16), 8000)
    sounds = library(settings(prompts, level_dbm0=-20.0))
    assert level(everything(sound(sounds, File("a")))[:8000]) == pytest.approx(-20, abs=0.3)
    assert not everything(sound(sounds, File("zero"))).any()
    # A peak stands in the way: it is not clipped.
    peaky = quiet.copy()
    peaky[100] = 30000
    assert np.abs(levelled(peaky, -3.0).astype(np.int32)).max() <= 32767
    assert len(levelled(np.zeros(0, np.int16), -20.0)) == 0


# ---- names


def test_extensions_directories_and_languages(tmp_path: Path) -> None:
    first, second = tmp_path / "own", tmp_path / "stock"
    sounds = library(SoundSettings(prompt_directories=(first, second), language="en", speech=QUIET))

    def heard(name: str, language: str = "") -> int:
        return int(everything(sound(sounds, File(name), language=language))[0])

    for value, path in enumerate(
        ["stock/welcome.wav", "stock/de/welcome.flac", "stock/en/bye.wav", "own/only.flac", "stock/only.wav",
         "stock/de-AT/servus.wav", "stock/menu/v1.2.wav"], 1
    ):  # fmt: skip
        write(tmp_path / path, np.full(100, value * 100, np.int16), 8000)
    assert heard("welcome") == 100
    assert heard("welcome.wav") == 100
    assert heard("welcome", "de") == 200
    assert heard("welcome", "de-AT") == 200
    assert heard("welcome", "fr") == 100
    assert heard("bye") == 300  # in the default language
    assert heard("bye", "de") == 300
    assert heard("en/bye") == 300
    assert heard("only") == 400  # the first directory counts
    assert heard("servus", "de-AT") == 600
    assert heard(str(second / "welcome.wav")) == 100
    assert heard(str(second / "welcome")) == 100
    assert heard("menu/v1.2") == 700


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../secret", "`..` is refused"),
        ("en/../../secret", "`..` is refused"),
        ("a\0.wav", "control characters"),
        ("a\n.wav", "control characters"),
        ("a\x85", "control characters"),
        ("", "without a name"),
        ("  ", "without a name"),
        ("x" * 1001, "longer than"),
        ("/etc/passwd", "outside of the prompt directories"),
        ("/dev/zero", "outside of the prompt directories"),
        ("/nowhere/at/all", "outside of the prompt directories"),
        ("x" * 400, "was not found"),
        ("nothing", "was not found"),
        ("sub", "was not found"),
        ("http://example.org/a.wav", "was not found"),
    ],
)
def test_bad_names_say_what_is_wrong(prompts: Path, name: str, why: str) -> None:
    write(prompts.parent / "secret.wav", sine(440, 0.1, 8000), 8000)
    (prompts / "sub").mkdir()
    assert why in refusal(library(settings(prompts)), File(name))


def test_links_that_lead_outside_are_refused(prompts: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "secret" / "a.wav", sine(440, 0.1, 8000), 8000)
    write(prompts / "real.wav", sine(440, 0.1, 8000), 8000)
    (prompts / "leak.wav").symlink_to(outside)
    (prompts / "leaks").symlink_to(outside.parent)
    (prompts / "inside.wav").symlink_to(prompts / "real.wav")
    (prompts / "round.wav").symlink_to(prompts / "round.wav")
    sounds = library(settings(prompts))
    for name in ("leak", "leak.wav", "leaks/a", str(prompts / "leaks" / "a.wav")):
        assert "outside of the prompt directories" in refusal(sounds, File(name))
    assert len(everything(sound(sounds, File("inside")))) == 800
    assert isinstance(opened(sounds, File("round")), SourceError)
    # A prompt directory may itself be a link.
    (tmp_path / "link").symlink_to(prompts)
    assert len(everything(sound(library(settings(tmp_path / "link")), File("real")))) == 800


def test_language_is_no_way_out(prompts: Path) -> None:
    for language in ("../x", "en/..", "EN\0", "/etc"):
        assert "expected one as en" in refusal(library(settings(prompts)), File("a"), language)


def test_what_is_no_sound_file(prompts: Path) -> None:
    (prompts / "text.wav").write_text("hello")
    (prompts / "none.flac").write_bytes(b"")
    os.mkfifo(prompts / "pipe.wav")
    (prompts / "dir.wav").mkdir()
    sounds = library(settings(prompts))
    for name in ("text", "none"):
        assert "can't be decoded" in refusal(sounds, File(name))
        assert name in refusal(sounds, File(name))
    for name in ("pipe.wav", "dir"):
        assert "was not found" in refusal(sounds, File(name))


def test_unreadable_file_says_so(prompts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(prompts / "a.wav", sine(440, 0.1, 8000), 8000)
    real = open

    def refuse(file: object, *arguments: object) -> object:
        if str(file) == str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(file, *arguments)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", refuse)  # the superuser may read everything
    assert "Permission denied" in refusal(library(settings(prompts)), File("a"))


def test_no_prompt_directories() -> None:
    sounds = library(SoundSettings(prompt_directories=(), speech=QUIET))
    assert "no prompt directory is set" in refusal(sounds, File("a"))


def test_candidates() -> None:
    found = candidates(checked_name("a.wav"), "pt-BR", "en")
    assert [str(path) for path in found] == ["pt-BR/a.wav", "pt/a.wav", "a.wav", "en/a.wav"]


# ---- the cache


def test_file_is_decoded_once_per_rate_and_again_when_replaced(prompts: Path) -> None:
    path = write(prompts / "a.wav", np.full(800, 100, np.int16), 8000)
    steps = Steps()
    sounds = library(settings(prompts), steps)
    everything(sound(sounds, File("a")))
    assert steps.jobs == 2
    assert everything(sound(sounds, File("a")))[0] == 100
    assert steps.jobs == 3  # only its date was looked at
    assert len(everything(sound(sounds, File("a"), 16000))) == 1600
    assert steps.jobs == 5
    write(prompts / "b.wav", np.full(800, 200, np.int16), 8000)
    os.replace(prompts / "b.wav", path)
    assert everything(sound(sounds, File("a")))[0] == 200
    assert len(sounds.cache) == 2
    path.unlink()
    assert "was not found" in refusal(sounds, File("a"))


def test_one_that_plays_is_not_changed_by_its_replacement(prompts: Path) -> None:
    path = write(prompts / "a.wav", np.full(800, 100, np.int16), 8000)
    sounds = library(settings(prompts))
    playing = sound(sounds, File("a"))
    playing.read(100)
    write(path, np.full(800, 200, np.int16), 8000)
    assert set(everything(playing)) == {100}


def test_decoded_sounds_are_not_written_to(prompts: Path) -> None:
    write(prompts / "a.wav", np.full(800, 100, np.int16), 8000)
    frame = sound(library(settings(prompts)), File("a")).read(160)
    with pytest.raises(ValueError, match="read-only"):
        frame[0] = 1


def test_those_who_wait_for_the_same_file_share_its_decoding(prompts: Path) -> None:
    write(prompts / "a.wav", np.full(800, 100, np.int16), 8000)
    steps = Steps(held=True)
    sounds = library(settings(prompts), steps)
    results: list[Playable | SourceError] = []
    for _ in range(5):
        sounds.open(File("a"), 8000, results.append)
    steps.run()
    assert steps.jobs == 6
    assert [len(everything(result)) for result in results if not isinstance(result, SourceError)] == [800] * 5
    assert sounds.loading == 0


def test_cache_is_bounded() -> None:
    cache = SoundCache(40_000)
    for number in range(20):
        cache.put(number, None, np.zeros(2000, np.int16))
        assert cache.octets <= 40_000
        assert cache.octets == len(cache) * (4000 + ENTRY_OCTETS)
        cache.get(0, None)
    assert cache.get(0, None) is not None  # used all the time
    assert cache.get(2, None) is None
    cache.put("big", None, np.zeros(6000, np.int16))
    assert cache.get("big", None) is None
    for number in range(500):
        cache.put(("empty", number), None, np.zeros(0, np.int16))
    assert len(cache) <= 80


def test_fault_of_ours_ends_the_play() -> None:
    class Faulty:
        def find(self, names: object, language: str) -> list[None]:
            raise KeyError("x")

    steps = Steps()
    sounds = Sounds(SoundSettings(), Faulty(), steps.submit, steps.post)  # type: ignore[arg-type]
    assert "internal error: KeyError" in refusal(sounds, File("a"))


# ---- streams


def ten_minutes(path: Path, rate: int = 8000) -> I16:
    """Samples that tell their place; written as FLAC they are quick to make."""
    place = np.arange(600 * rate) // 40
    return np.asarray(write_and_return(path, ((place * 37) % 20000).astype(np.int16), rate))


def write_and_return(path: Path, samples: I16, rate: int) -> I16:
    write(path, samples, rate)
    return samples


def test_long_file_is_streamed_in_bounded_memory(prompts: Path) -> None:
    samples = ten_minutes(prompts / "long.wav")
    steps = Steps(held=True)
    sounds = library(settings(prompts), steps)
    results: list[Playable | SourceError] = []
    sounds.open(File("long"), 8000, results.append)
    steps.run()
    stream = results[0]
    assert isinstance(stream, FileStream)
    heard = []
    most = 0
    while not stream.ended:
        heard.append(stream.read(160))
        steps.run()
        most = max(most, stream.ahead)
    assert np.array_equal(np.concatenate(heard), samples)
    assert most <= 3.6 * 8000
    assert len(sounds.cache) == 0
    assert stream.why == ""


def test_stream_starts_anywhere_and_is_resampled(prompts: Path) -> None:
    write(prompts / "long.wav", np.concatenate((sine(400, 70.0, 8000), sine(1000, 10.0, 8000))), 8000)
    stream = sound(library(settings(prompts)), File("long"), 16000, start=69.0)
    assert isinstance(stream, FileStream)
    assert stream.at_seconds == 69.0
    heard = everything(stream, 320)
    assert len(heard) == 11 * 16000
    assert power_at(heard[1000:15000], 400, 16000) == pytest.approx(3.14 - 6.02, abs=0.3)
    assert power_at(heard[17000:], 1000, 16000) == pytest.approx(3.14 - 6.02, abs=0.3)
    behind = sound(library(settings(prompts)), File("long"), 16000, start=90.0)
    assert (behind.ended, behind.at_seconds) == (True, 80.0)
    assert behind.read(10).size == 0


def test_slow_thread_starves_the_stream_and_nothing_is_lost(prompts: Path) -> None:
    samples = ten_minutes(prompts / "long.wav")[: 8000 * 70]
    write(prompts / "long.wav", samples, 8000)
    steps = Steps(held=True)
    sounds = library(settings(prompts), steps)
    player = Player(sounds.open, 8000)
    player.play(Play(1, (File("long"),)))
    steps.run()
    heard = [player.read(160) for _ in range(300)]
    assert player.starved > 0
    assert all(frame is not None for frame in heard)
    steps.run()
    while player.events == []:
        heard.append(player.read(160))
        steps.run()
    whole = np.concatenate([frame for frame in heard if frame is not None])
    assert len(whole) == len(samples) + player.starved * 160
    # Where it was starved there is silence; all else follows in order.
    silent = np.flatnonzero(np.all(whole.reshape(-1, 160) == 0, axis=1))
    kept = np.delete(whole.reshape(-1, 160), [index for index in silent if index > 100], axis=0).reshape(-1)
    assert np.array_equal(kept, samples)
    assert player.events == [PlayEnded(1, "done")]


def test_closed_stream_lets_its_file_go(prompts: Path) -> None:
    ten_minutes(prompts / "long.wav")
    steps = Steps(held=True)
    sounds = library(settings(prompts), steps)

    def descriptors() -> int:
        return sum(os.readlink(f"/proc/self/fd/{fd}").endswith("long.wav") for fd in _descriptors())

    player = Player(sounds.open, 8000)
    player.play(Play(1, (File("long"),)))
    player.play(Play(2, (File("long"),)))
    steps.run()
    assert descriptors() == 2
    player.read(160)
    player.stop_all()
    steps.run()
    assert descriptors() == 0
    player.play(Play(3, (File("long"),)))
    player.stop(3)  # before it was opened
    steps.run()
    assert descriptors() == 0


def _descriptors() -> list[str]:
    with os.scandir("/proc/self/fd") as entries:
        names = [entry.name for entry in entries]
    return [name for name in names if os.path.lexists(f"/proc/self/fd/{name}")]


def test_stream_of_a_file_that_is_cut_off_ends(prompts: Path) -> None:
    path = prompts / "long.flac"
    rng = np.random.default_rng(1)
    write(path, rng.integers(-3000, 3000, 8000 * 80).astype(np.int16), 8000)
    os.truncate(path, path.stat().st_size // 2)
    player = Player(library(settings(prompts)).open, 8000)
    player.play(Play(1, (File("long"),)))
    heard = played(player, 160)
    assert 8000 * 20 < len(heard) < 8000 * 79
    assert [event.play for event in player.events] == [1]


def test_rate_change_of_a_stream(prompts: Path) -> None:
    write(prompts / "long.wav", sine(200, 70.0, 16000), 16000)
    player = Player(library(settings(prompts)).open, 8000)
    player.play(Play(1, (File("long"),)))
    before = [player.read(160) for _ in range(100)]
    player.rate_changed(16000)
    after = [player.read(320) for _ in range(100)]
    assert len(before) == 100
    heard = np.concatenate([frame for frame in after if frame is not None])
    assert np.abs(heard.astype(np.int32) - sine(200, 4.0, 16000)[32000:]).max() < 2600  # a sample of 8 kHz, at most
    assert np.abs(heard[8000:].astype(np.int32) - sine(200, 4.0, 16000)[40000:]).max() < 20


def test_with_real_threads(prompts: Path) -> None:
    """The loop never waits: frames that are not there yet are silence, and all comes in the end."""
    samples = ten_minutes(prompts / "long.wav")[: 8000 * 61]
    write(prompts / "long.wav", samples, 8000)
    write(prompts / "short.wav", np.full(810, 7, np.int16), 8000)
    calls: list[Callable[[], None]] = []
    arrived = threading.Event()

    def post(call: Callable[[], None]) -> None:
        calls.append(call)
        arrived.set()

    threads = SoundThreads(post)
    try:
        sounds = library(settings(prompts))
        sounds = Sounds(sounds.settings, sounds._files, threads.submit, threads.post)
        player = Player(sounds.open, 8000)
        player.play(Play(1, (File("short"), File("long"), File("short"))))
        heard: list[I16] = []
        deadline = time.monotonic() + 60
        while not player.events and time.monotonic() < deadline:
            if not player.playing or player.at_seconds == 0.0:
                arrived.wait(0.01)
            while calls:
                calls.pop(0)()
            frame = player.read(160)
            if frame is not None:
                heard.append(frame)
        assert player.events == [PlayEnded(1, "done")]
        whole = np.concatenate(heard)
        wanted = np.concatenate((np.full(810, 7, np.int16), samples, np.full(810, 7, np.int16)))
        # Zeros may have been put in where a thread was behind.
        assert np.array_equal(whole[whole != 0], wanted[wanted != 0])
    finally:
        threads.close()


# ---- other sources


def test_silence_and_tones(prompts: Path) -> None:
    sounds = library(settings(prompts, tone_country="de"))
    silence = everything(sound(sounds, Silence(1.5), 16000))
    assert len(silence) == 24000
    assert not silence.any()
    assert len(everything(sound(sounds, Tone("beep")))) == 2000
    busy = everything(sound(sounds, Tone("busy", seconds=2.0)))
    assert np.count_nonzero(np.abs(busy).reshape(-1, 80).max(axis=1) > 3000) == pytest.approx(104, abs=3)
    assert len(everything(sound(sounds, Tone("busy", country="us", seconds=1.0)))) == 8000
    assert len(everything(sound(sounds, Tone("dtmf:5")))) == 800
    assert "is not known" in refusal(sounds, Tone("nonsense"))
    assert "are not known" in refusal(sounds, Tone("busy", country="xx"))
    for seconds in (-1.0, float("nan"), float("inf"), 1e9):
        assert "seconds; expected" in refusal(sounds, Silence(seconds))
        assert "seconds; expected" in refusal(sounds, Tone("busy", seconds=seconds))


def test_tone_is_synthesised_once(prompts: Path) -> None:
    steps = Steps()
    sounds = library(settings(prompts), steps)
    for _ in range(5):
        sound(sounds, Tone("ringback"))
    assert steps.jobs == 1


def test_phrase_of_recordings(prompts: Path) -> None:
    for name, value in (("20", 20), ("1", 1), ("7", 7)):
        write(prompts / "en" / "digits" / f"{name}.wav", np.full(330, value, np.int16), 8000)
    heard = everything(sound(library(settings(prompts)), Say("number", "21")))
    assert [int(value) for value in heard[::330]] == [20, 1]
    digits = everything(sound(library(settings(prompts)), Say("digits", "7177")))
    assert [int(value) for value in digits[::330]] == [7, 1, 7, 7]
    # Without a recording, and nobody to speak it.
    missing = refusal(library(settings(prompts)), Say("number", "30"))
    assert "en/digits/30" in missing
    assert "no text-to-speech" in missing
    assert "expected a whole number" in refusal(library(settings(prompts)), Say("number", "x"))
    assert "text-to-speech is off" in refusal(library(settings(prompts)), Speech("hello"))


def test_broken_recording_fails_the_phrase(prompts: Path) -> None:
    write(prompts / "en/digits/1.wav", np.full(330, 1, np.int16), 8000)
    (prompts / "en/digits/2.wav").write_text("broken")
    assert "can't be decoded" in refusal(library(settings(prompts)), Say("digits", "12"))


def test_no_music_here(prompts: Path) -> None:
    assert "no hold music" in refusal(library(settings(prompts)), Music())


# ---- settings


def test_settings_defaults() -> None:
    defaults = SoundSettings()
    assert (defaults.cache_mb, defaults.language, defaults.tone_country, defaults.level_dbm0) == (64, "en", "us", None)
    assert SoundSettings(tone_country="UK").tone_country == "uk"
    assert MusicClassSettings(directory=Path("x")).order == "name"
    for model in (SoundSettings, SpeechSettings, MusicClassSettings):
        assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tone_country", "atlantis"),
        ("language", "../x"),
        ("language", "ja"),
        ("cache_mb", 0),
        ("level_dbm0", 3),
        ("speech", {"engine": "loud"}),
        ("music", {"default": {"order": "name"}}),
        ("unknown", 1),
    ],
)
def test_settings_are_checked(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        SoundSettings.model_validate({field: value})
