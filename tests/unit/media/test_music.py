"""Hold music: everybody hears the same moment, at every rate; files in a row; a class without any is a melody."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import numpy as np
import pytest

from media import melody
from media.audio_commands import File, Music, Play, Tone
from media.music import IDLE_FRAMES, MusicLibrary
from media.playable import I16, Playable, SourceError
from media.player import Player
from media.prompts import Sounds
from media.sound_settings import MusicClassSettings, SoundSettings, SpeechSettings
from tests.sounds import Steps, level, library, sine, write


def sounds_of(tmp_path: Path, steps: Steps | None = None) -> Sounds:
    directory = tmp_path / "prompts"
    return library(SoundSettings(prompt_directories=(directory,), speech=SpeechSettings(engine="none")), steps)


def classes(directory: Path, order: str = "name", name: str = "default") -> dict[str, MusicClassSettings]:
    return {name: MusicClassSettings.model_validate({"directory": directory, "order": order})}


def constant(directory: Path, *values: int, seconds: float = 0.1, rate: int = 8000) -> None:
    for value in values:
        write(directory / f"{value}.wav", np.full(round(seconds * rate), value, np.int16), rate)


def frames(music: MusicLibrary, first: int, count: int, rate: int = 8000, name: str = "default") -> I16:
    parts = []
    for index in range(first, first + count):
        music.tick(index)
        parts.append(music.frame(name, rate, index))
        assert parts[-1].shape == (rate // 50,)
    return np.concatenate(parts)


def order_of(heard: I16) -> list[int]:
    """Values in the order that they are heard in."""
    changes = np.flatnonzero(np.diff(heard.astype(np.int32))) + 1
    return [int(heard[place]) for place in (0, *changes)]


def test_files_by_name_without_a_gap_and_without_an_end(tmp_path: Path) -> None:
    constant(tmp_path / "moh", 100, 200, 300, seconds=0.11)
    music = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh"), Random(1))
    heard = frames(music, 0, 60)
    assert order_of(heard)[:7] == [100, 200, 300, 100, 200, 300, 100]
    assert np.all(heard[: 880 * 10] == np.repeat(np.resize([100, 200, 300], 10), 880))
    assert music.events == []


def test_random_order_plays_each_before_any_again(tmp_path: Path) -> None:
    values = list(range(100, 900, 100))
    constant(tmp_path / "moh", *values)
    music = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh", "random"), Random(3))
    order = order_of(frames(music, 0, 5 * 8 * 4))[:32]
    for place in range(0, 32, 8):
        assert sorted(order[place : place + 8]) == values
    assert order[:8] != values
    assert order[:8] != order[8:16]
    again = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh", "random"), Random(3))
    assert order_of(frames(again, 0, 5 * 8 * 4))[:32] == order


def test_every_listener_hears_the_same_frame(tmp_path: Path) -> None:
    write(tmp_path / "moh" / "a.wav", sine(100, 5.0, 8000), 8000)
    music = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh"), Random(1))
    for index in range(20):
        music.tick(index)
        first = music.frame("default", 8000, index)
        assert music.frame("default", 8000, index) is first
    kept = music.frame("default", 8000, 19)
    before = music.frame("default", 8000, 18)
    assert before is not kept
    assert np.array_equal(np.concatenate((before, kept)), sine(100, 5.0, 8000)[18 * 160 : 20 * 160])
    # What is not kept any more is silence, not another moment.
    assert not music.frame("default", 8000, 2).any()


def test_players_that_come_late_hear_the_moment_of_the_others(tmp_path: Path) -> None:
    write(tmp_path / "moh" / "a.wav", sine(100, 5.0, 8000), 8000)
    sounds = sounds_of(tmp_path)
    music = MusicLibrary(sounds, classes(tmp_path / "moh"), Random(1))
    sounds.music = music
    first, second = Player(sounds.open, 8000), Player(sounds.open, 8000)
    first.play(Play(1, (Music(),)))
    write(tmp_path / "prompts" / "short.wav", np.full(100, 7, np.int16), 8000)
    for index in range(50):
        music.tick(index)
        if index == 30:
            second.play(Play(2, (File("short"), Music())))
        frame = first.read(160)
        late = second.read(160)
        if index == 30:
            assert late is not None
            assert frame is not None
            # Behind another source it is the end of the common frame.
            assert set(late[:100]) == {7}
            assert np.array_equal(late[100:], frame[100:])
        elif index > 30:
            assert late is frame
        else:
            assert late is None
    second.stop(2)
    assert [event.how for event in second.events] == ["stopped"]


@pytest.mark.parametrize("held", [False, True])
def test_all_rates_are_at_the_same_moment(tmp_path: Path, held: bool) -> None:
    write(tmp_path / "moh" / "a.wav", sine(50, 0.93, 8000), 8000)
    write(tmp_path / "moh" / "b.wav", sine(80, 1.2, 8000), 8000)
    steps = Steps(held)
    music = MusicLibrary(sounds_of(tmp_path, steps), classes(tmp_path / "moh"), Random(1))
    steps.run()
    for index in range(200):
        music.tick(index)
        narrow = music.frame("default", 8000, index)
        if index % 5 == 0:
            steps.run()
        if index >= 33:
            wide = music.frame("default", 48000, index)
            if index > 40:
                assert np.abs(wide[::6].astype(np.int32) - narrow).max() < 700


def test_change_of_rate_of_a_listener(tmp_path: Path) -> None:
    write(tmp_path / "moh" / "a.wav", sine(50, 5.0, 8000), 8000)
    sounds = sounds_of(tmp_path)
    music = MusicLibrary(sounds, classes(tmp_path / "moh"), Random(1))
    sounds.music = music
    player = Player(sounds.open, 8000)
    player.play(Play(1, (Music(),)))
    heard = []
    for index in range(60):
        music.tick(index)
        if index == 30:
            player.rate_changed(16000)
        heard.append(player.read(160 if index < 30 else 320))
    after = np.concatenate(heard[31:])  # type: ignore[arg-type]
    wanted = sine(50, 5.0, 16000)[31 * 320 : 60 * 320]
    assert np.abs(after.astype(np.int32) - wanted).max() < 700


def test_programme_rests_and_goes_on(tmp_path: Path) -> None:
    samples = (np.arange(8000 * 50) // 160).astype(np.int16)  # the number of the frame
    write(tmp_path / "moh" / "a.wav", samples, 8000)
    music = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh"), Random(1))
    assert order_of(frames(music, 0, 100))[-1] == 99
    for index in range(100, 100 + IDLE_FRAMES + 100):
        music.tick(index)
    assert order_of(frames(music, 1000, 3)) == [100, 101, 102]
    # Some frames not asked for are left out; after a long pause it goes on where it was.
    assert order_of(frames(music, 1006, 2)) == [106, 107]
    assert order_of(frames(music, 1200, 2)) == [108, 109]


def test_file_that_is_streamed(tmp_path: Path) -> None:
    samples = (np.arange(8000 * 90) // 160).astype(np.int16)
    write(tmp_path / "moh" / "a.wav", samples, 8000)
    music = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh"), Random(1))
    assert order_of(frames(music, 0, 4600)) == [*range(4500), *range(100)]


# ---- what is wrong


def test_default_is_the_melody() -> None:
    sounds = sounds_of(Path("/nowhere"))
    music = MusicLibrary(sounds, {}, Random(1))
    heard = frames(music, 0, 200)
    assert np.array_equal(heard, melody.samples(8000)[: 200 * 160])
    assert music.events == []


@pytest.mark.parametrize("there", [True, False])
def test_empty_class_tells_once_and_plays_the_melody(tmp_path: Path, there: bool) -> None:
    if there:
        (tmp_path / "moh").mkdir()
        (tmp_path / "moh" / "readme.txt").write_text("no music")
    music = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh", name="sales"), Random(1))
    heard = frames(music, 0, 100, name="sales")
    assert np.array_equal(heard, melody.samples(8000)[:16000])
    assert [event.name for event in music.events] == ["sales"]
    assert str(tmp_path / "moh") in music.events[0].why
    assert "melody" in music.events[0].why


def test_unknown_class_tells_once_and_plays_the_default(tmp_path: Path) -> None:
    constant(tmp_path / "moh", 100)
    music = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh"), Random(1))
    assert set(frames(music, 0, 20, name="nobody")) == {100}
    assert [event.name for event in music.events] == ["nobody"]
    assert "default" in music.events[0].why
    for number in range(1000):
        music.frame(f"x{number}", 8000, 20)
    assert len(music.events) <= 256


@pytest.mark.parametrize("rates", [(8000,), (8000, 16000, 48000)])
def test_bad_file_is_told_once_and_left_out(tmp_path: Path, rates: tuple[int, ...]) -> None:
    constant(tmp_path / "moh", 100, 300)
    (tmp_path / "moh" / "200.wav").write_text("broken")
    music = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh"), Random(1))
    heard: dict[int, list[I16]] = {rate: [] for rate in rates}
    for index in range(100):
        music.tick(index)
        for rate in rates:
            heard[rate].append(music.frame("default", rate, index))
    assert order_of(np.concatenate(heard[8000]))[:4] == [100, 300, 100, 300]
    assert len(music.events) == 1
    assert "200.wav" in music.events[0].why


@pytest.mark.parametrize("rates", [(8000,), (8000, 16000, 48000)])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("held", [True, False])
def test_only_bad_files_are_the_melody(tmp_path: Path, rates: tuple[int, ...], count: int, held: bool) -> None:
    (tmp_path / "moh").mkdir()
    for number in range(count):
        (tmp_path / "moh" / f"{number}.wav").write_text("broken")
    steps = Steps(held)
    music = MusicLibrary(sounds_of(tmp_path, steps), classes(tmp_path / "moh"), Random(1))
    for index in range(100):
        music.tick(index)
        last = [music.frame("default", rate, index) for rate in rates]
        steps.run()
    assert all(frame.any() for frame in last)
    assert len(music.events) == count
    assert "melody" in music.events[-1].why


def test_directory_that_is_read_slowly_is_silence_first(tmp_path: Path) -> None:
    constant(tmp_path / "moh", 100, seconds=1.0)
    steps = Steps(held=True)
    music = MusicLibrary(sounds_of(tmp_path, steps), classes(tmp_path / "moh"), Random(1))
    assert not frames(music, 0, 10).any()
    steps.run()
    frames(music, 10, 1)
    steps.run()
    assert set(frames(music, 11, 10)) == {100}


# ---- reload


def test_reload_picks_up_new_files_and_forgets_old_ones(tmp_path: Path) -> None:
    constant(tmp_path / "moh", 100, 300)
    music = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh"), Random(1))
    frames(music, 0, 8)
    constant(tmp_path / "moh", 200)
    os.unlink(tmp_path / "moh" / "300.wav")
    music.reload(classes(tmp_path / "moh"))
    order = order_of(frames(music, 8, 100))
    assert order[-4:] in ([100, 200, 100, 200], [200, 100, 200, 100])


def test_reload_of_a_class_that_had_no_file_leaves_the_melody(tmp_path: Path) -> None:
    (tmp_path / "moh").mkdir()
    music = MusicLibrary(sounds_of(tmp_path), classes(tmp_path / "moh"), Random(1))
    frames(music, 0, 10)
    constant(tmp_path / "moh", 100)
    music.reload(classes(tmp_path / "moh"))
    assert set(frames(music, 10, 20)) == {100}
    # And back.
    music.reload({})
    assert len(set(frames(music, 30, 100))) > 100


def test_listener_of_a_class_that_a_reload_takes_away_hears_the_default(tmp_path: Path) -> None:
    constant(tmp_path / "sales", 100)
    constant(tmp_path / "moh", 200)
    both = classes(tmp_path / "moh") | classes(tmp_path / "sales", name="sales")
    music = MusicLibrary(sounds_of(tmp_path), both, Random(1))
    assert set(frames(music, 0, 10, name="sales")) == {100}
    music.reload(classes(tmp_path / "moh"))
    assert set(frames(music, 10, 10, name="sales")) == {200}


# ---- the melody


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_melody_is_quiet_joins_itself_and_fits_every_codec(rate: int) -> None:
    samples = melody.samples(rate)
    assert len(samples) == melody.SIZE * rate // 8000
    assert 30 < len(samples) / rate < 90
    assert -30 < level(samples) < -18
    assert np.abs(samples.astype(np.int32)).max() < 3500
    # The seam is no rougher than the roughest place elsewhere.
    steps = np.abs(np.diff(samples.astype(np.int32)))
    assert abs(int(samples[0]) - int(samples[-1])) <= steps.max()
    bends = np.abs(np.diff(np.concatenate((samples, samples[:2])).astype(np.int32), 2))
    assert bends[-2:].max() <= bends[:-2].max()
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64)))
    frequencies = np.arange(len(spectrum)) * rate / len(samples)
    assert spectrum[frequencies > 3450].max() < spectrum.max() / 1000
    # Nowhere silent for long: nobody thinks that the line is dead.
    half = samples[: len(samples) // (rate // 2) * (rate // 2)].reshape(-1, rate // 2)
    assert np.abs(half.astype(np.int32)).max(axis=1).min() > 150


def test_melody_is_a_tone(tmp_path: Path) -> None:
    results: list[Playable | SourceError] = []
    sounds_of(tmp_path).open(Tone("melody"), 8000, results.append)
    playable = results[0]
    assert not isinstance(playable, SourceError)
    whole = melody.samples(8000)
    heard = playable.read(len(whole) + 1000)
    assert np.array_equal(heard, np.concatenate((whole, whole[:1000])))
    assert not playable.ended
