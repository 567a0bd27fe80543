"""Players: sources join without a gap, every play ends once, rates change without a break."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from media.audio_commands import File, Play, PlayEnded, Silence, Source
from media.playable import EMPTY, I16, LoopedSound, MemorySound, Playable, RateCrossing, Ready, SourceError
from media.player import MAX_QUEUED, Player
from tests.sounds import played, ramp, sine

N = 160


class Shelf:
    """Opens `File` by name from arrays at 8000 Hz (callables: by rate), at once or when told; `breaks`: name -> why."""

    def __init__(self, sounds: dict[str, I16 | Callable[[int], I16] | SourceError], held: bool = False) -> None:
        self.sounds = sounds
        self.held = held
        self.waiting: list[tuple[str, Callable[[], None]]] = []
        self.opened: list[str] = []
        self.open: list[Playable] = []

    def __call__(self, source: Source, rate: int, ready: Ready, start: float, language: str) -> None:
        if isinstance(source, Silence):
            ready(LoopedSound(EMPTY, np.zeros(rate, np.int16), rate, source.seconds, start))
            return
        assert isinstance(source, File)
        sound = self.sounds[source.name]
        self.opened.append(f"{language}/{source.name}" if language else source.name)

        def give() -> None:
            if isinstance(sound, SourceError):
                ready(sound)
                return
            playable = MemorySound(sound(rate) if callable(sound) else sound, rate, start)
            self.open.append(playable)
            ready(playable)

        if self.held:
            self.waiting.append((source.name, give))
        else:
            give()

    def release(self, count: int = 1000) -> None:
        while self.waiting and count:
            self.waiting.pop(0)[1]()
            count -= 1


def play(number: int, *names: str, loop: bool = False, interrupt: bool = False, over: bool = False) -> Play:
    return Play(number, tuple(File(name) for name in names), loop=loop, interrupt=interrupt, over=over)


def broken(why: str = "no such file") -> SourceError:
    return SourceError(why)


def test_idle_plays_nothing() -> None:
    player = Player(Shelf({}), 8000)
    assert player.read(N) is None
    assert (player.over, player.gain, player.playing, len(player)) == (False, 1.0, None, 0)


def test_sources_follow_each_other_within_a_frame() -> None:
    player = Player(Shelf({"a": ramp(250), "b": ramp(77, 1000), "c": ramp(500, 2000)}), 8000)
    player.play(play(1, "a", "b", "c"))
    heard = played(player, N)
    whole = np.concatenate((ramp(250), ramp(77, 1000), ramp(500, 2000)))
    assert np.array_equal(heard[: len(whole)], whole)
    assert not heard[len(whole) :].any()
    assert len(heard) == 960
    assert player.events == [PlayEnded(1, "done")]


def test_plays_follow_each_other_within_a_frame() -> None:
    player = Player(Shelf({"a": ramp(100), "b": ramp(100, 500)}), 8000)
    player.play(play(1, "a"))
    player.play(play(2, "b"))
    frame = player.read(N)
    assert frame is not None
    assert np.array_equal(frame, np.concatenate((ramp(100), ramp(60, 500))))
    assert player.events == [PlayEnded(1, "done")]
    assert player.playing == 2


def test_end_at_the_end_of_a_frame_is_told_with_that_frame() -> None:
    player = Player(Shelf({"a": ramp(320)}), 8000)
    player.play(play(1, "a"))
    player.read(N)
    assert player.events == []
    player.read(N)
    assert player.events == [PlayEnded(1, "done")]
    assert player.read(N) is None


def test_next_sources_are_opened_ahead_and_late_ones_leave_silence() -> None:
    shelf = Shelf({"a": ramp(400), "b": ramp(400, 1000), "c": ramp(10)}, held=True)
    player = Player(shelf, 8000)
    player.play(play(1, "a", "b"))
    player.play(play(2, "c"))
    assert shelf.opened == ["a", "b", "c"]
    assert player.read(N) is None
    shelf.release(1)
    assert np.array_equal(player.read(N), ramp(160))  # type: ignore[arg-type]
    player.read(N)
    frame = player.read(N)  # 80 of it are left, b is not there
    assert frame is not None
    assert np.array_equal(frame[:80], ramp(80, 321))
    assert not frame[80:].any()
    assert player.read(N) is None
    shelf.release()
    assert np.array_equal(player.read(N), ramp(160, 1000))  # type: ignore[arg-type]
    assert player.events == []


def test_sources_may_be_ready_in_any_order() -> None:
    shelf = Shelf({"a": ramp(100), "b": ramp(60, 1000)}, held=True)
    player = Player(shelf, 8000)
    player.play(play(1, "a", "b"))
    shelf.waiting.reverse()
    shelf.release(1)
    assert player.read(N) is None
    shelf.release()
    assert np.array_equal(player.read(N), np.concatenate((ramp(100), ramp(60, 1000))))  # type: ignore[arg-type]
    assert player.events == [PlayEnded(1, "done")]


@pytest.mark.parametrize("held", [False, True])
def test_failed_source_ends_its_play_and_the_next_goes_on(held: bool) -> None:
    shelf = Shelf({"a": ramp(100), "bad": broken("bad.wav: not there"), "b": ramp(100, 500)}, held)
    player = Player(shelf, 8000)
    player.play(play(1, "a", "bad", "a"))
    player.play(play(2, "b"))
    shelf.release()
    frame = player.read(N)
    shelf.release()
    assert player.events[0] == PlayEnded(1, "failed", "bad.wav: not there")
    assert frame is not None
    assert np.array_equal(frame[:100], ramp(100))
    if not held:
        assert np.array_equal(frame[100:], ramp(60, 500))
    played(player, N)
    assert player.events[1:] == [PlayEnded(2, "done")]


def test_what_breaks_off_fails() -> None:
    class Broken(MemorySound):
        def read(self, count: int) -> I16:
            samples = super().read(count)
            if self.ended:
                self.why = "broken at 0:01"
            return samples

    def opener(source: Source, rate: int, ready: Ready, start: float, language: str) -> None:
        ready(Broken(ramp(200), rate))

    player = Player(opener, 8000)
    player.play(play(1, "a", "b"))
    heard = played(player, N)
    assert np.array_equal(heard[:200], ramp(200))
    assert player.events == [PlayEnded(1, "failed", "broken at 0:01")]


def test_loop_begins_again_without_a_gap() -> None:
    player = Player(Shelf({"a": ramp(130), "b": ramp(50, 900)}), 8000)
    player.play(play(1, "a", "b", loop=True))
    player.play(play(2, "a"))
    heard = np.concatenate([player.read(N) for _ in range(100)])  # type: ignore[arg-type]
    assert np.array_equal(heard, np.resize(np.concatenate((ramp(130), ramp(50, 900))), 16000))
    assert player.events == []
    player.stop(1)
    assert player.events == [PlayEnded(1, "stopped")]
    assert np.array_equal(player.read(N)[:130], ramp(130))  # type: ignore[index]
    assert player.events == [PlayEnded(1, "stopped"), PlayEnded(2, "done")]


@pytest.mark.parametrize("names", [(), ("empty",), ("empty", "empty")])
def test_loop_of_nothing_ends(names: tuple[str, ...]) -> None:
    player = Player(Shelf({"empty": EMPTY}), 8000)
    player.play(play(1, *names, loop=True))
    assert player.read(N) is None
    assert [(event.play, event.how) for event in player.events] == [(1, "failed")]
    assert "nothing to repeat" in player.events[0].why


@pytest.mark.parametrize("names", [(), ("empty",), ("empty", "empty")])
def test_play_of_nothing_is_done_at_once(names: tuple[str, ...]) -> None:
    player = Player(Shelf({"empty": EMPTY}), 8000)
    player.play(play(1, *names))
    assert player.events == [PlayEnded(1, "done")]


def test_loop_whose_source_ends_with_a_frame_is_not_of_nothing() -> None:
    player = Player(Shelf({"a": ramp(320), "empty": EMPTY}), 8000)
    player.play(play(1, "a", "empty", loop=True))
    for _ in range(50):
        assert player.read(N) is not None
    assert player.events == []


def test_stop_of_a_queued_play() -> None:
    shelf = Shelf({"a": ramp(200), "b": ramp(100), "c": ramp(200, 700)})
    player = Player(shelf, 8000)
    for number, name in enumerate("abc", 1):
        player.play(play(number, name))
    player.stop(2)
    player.stop(2)
    player.stop(99)
    heard = played(player, N)
    assert np.array_equal(heard[:400], np.concatenate((ramp(200), ramp(200, 700))))
    assert player.events == [PlayEnded(2, "stopped"), PlayEnded(1, "done"), PlayEnded(3, "done")]


def test_interrupt_stops_all_and_plays() -> None:
    shelf = Shelf({"a": ramp(2000), "b": ramp(100, 500)})
    player = Player(shelf, 8000)
    player.play(play(1, "a"))
    player.play(play(2, "a"))
    player.read(N)
    player.play(play(3, "b", interrupt=True))
    assert [(event.play, event.how) for event in player.events] == [(1, "stopped"), (2, "stopped")]
    assert np.array_equal(player.read(N)[:100], ramp(100, 500))  # type: ignore[index]
    assert all(playable.ended for playable in shelf.open)


def test_stop_all_tells_why() -> None:
    player = Player(Shelf({"a": ramp(2000)}), 8000)
    player.play(play(1, "a"))
    player.play(play(2, "a", loop=True))
    player.stop_all("the stream is closed")
    assert player.events == [PlayEnded(number, "stopped", "the stream is closed") for number in (1, 2)]
    assert player.read(N) is None
    assert len(player) == 0


def test_what_is_ready_after_its_stop_is_closed() -> None:
    shelf = Shelf({"a": ramp(200)}, held=True)
    player = Player(shelf, 8000)
    player.play(play(1, "a"))
    player.stop(1)
    shelf.release()
    assert [playable.ended for playable in shelf.open] == [True]
    assert player.read(N) is None
    assert player.events == [PlayEnded(1, "stopped")]


def test_same_play_twice_is_one() -> None:
    player = Player(Shelf({"a": ramp(200)}), 8000)
    player.play(play(1, "a"))
    player.play(play(1, "a"))
    played(player, N)
    assert player.events == [PlayEnded(1, "done")]


def test_queue_is_bounded() -> None:
    player = Player(Shelf({"a": ramp(200)}), 8000)
    for number in range(MAX_QUEUED + 1):
        player.play(play(number, "a"))
    assert [event.how for event in player.events] == ["failed"]
    assert "interrupt" in player.events[0].why
    assert len(player) == MAX_QUEUED


def test_over_and_gain_are_those_of_the_current_play() -> None:
    player = Player(Shelf({"a": ramp(100), "b": ramp(1000)}), 8000)
    player.play(Play(1, (File("a"),), over=True, gain=0.5))
    player.play(Play(2, (File("b"),), gain=2.0))
    assert (player.over, player.gain, player.playing) == (True, 0.5, 1)
    player.read(N)
    assert (player.over, player.gain, player.playing) == (False, 2.0, 2)


def test_language_and_start_of_a_play() -> None:
    shelf = Shelf({"a": ramp(1000), "b": ramp(1000)})
    player = Player(shelf, 8000)
    player.play(Play(1, (File("a"), File("b")), start=0.1), language="de")
    assert shelf.opened == ["de/a", "de/b"]
    assert np.array_equal(player.read(N), ramp(160, 801))  # type: ignore[arg-type]
    assert player.at_seconds == pytest.approx(0.12)
    player.read(N)
    assert player.at_seconds == pytest.approx(0.015)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize(
    ("start", "first"),
    [(0, 1), (99, 100), (100, 1001), (150, 1051), (300, 5001), (449, 5150), (451, 9002), (550, 0)],
)
def test_a_start_leaves_whole_sources_out(held: bool, start: int, first: int) -> None:
    """In samples: sources of 100, 200, 0, 150 and 50."""
    shelf = Shelf(
        {"a": ramp(100), "b": ramp(200, 1001), "no": EMPTY, "c": ramp(150, 5001), "d": ramp(50, 9001)}, held=held
    )
    player = Player(shelf, 8000)
    player.play(Play(1, tuple(File(name) for name in ("a", "b", "no", "c", "d")), start=start / 8000))
    player.play(play(2, "a"))
    shelf.release()
    heard = []
    while (frame := player.read(25)) is not None:
        heard.append(frame)
        shelf.release()
    whole = np.concatenate([ramp(100), ramp(200, 1001), ramp(150, 5001), ramp(50, 9001), ramp(100)])
    got = np.concatenate(heard)
    wanted = whole[start if start < 500 else 500 :]
    assert np.array_equal(got[: len(wanted)], wanted)
    assert not got[len(wanted) :].any()
    assert got[0] == first or start >= 500
    assert player.events == [PlayEnded(1, "done"), PlayEnded(2, "done")]


def test_a_start_is_found_at_whatever_rate() -> None:
    """The bus changes while the sources before it are still being opened."""
    shelf = Shelf({"a": lambda rate: sine(400, 0.5, rate), "b": lambda rate: sine(1000, 1.0, rate)}, held=True)
    player = Player(shelf, 8000)
    player.play(Play(1, (File("a"), File("b")), start=0.75))
    assert shelf.opened == ["a"], "what comes next begins where this one's end says"
    player.rate_changed(16000)
    shelf.release(1)  # of the old rate: nobody wants it any more
    assert shelf.opened == ["a", "a"]
    shelf.release(1)
    assert shelf.opened == ["a", "a", "b"]
    shelf.release(1)
    assert player.at_seconds == 0.25


def test_a_start_is_of_the_first_pass_of_a_loop() -> None:
    player = Player(Shelf({"a": ramp(100)}), 8000)
    player.play(Play(1, (File("a"),), loop=True, start=1.0))
    assert np.array_equal(player.read(150), np.concatenate([ramp(100), ramp(50)]))  # type: ignore[arg-type]
    player = Player(Shelf({"a": ramp(100)}), 8000)
    player.play(Play(1, (File("a"),), loop=True, start=60 / 8000))
    assert np.array_equal(player.read(150), np.concatenate([ramp(40, 61), ramp(100), ramp(10)]))  # type: ignore[arg-type]


def test_starved_stream_is_filled_up_with_silence() -> None:
    class Slow(MemorySound):
        def read(self, count: int) -> I16:
            samples = super().read(min(count, 50))
            self.starved = len(samples) < count and not self.ended
            return samples

    def opener(source: Source, rate: int, ready: Ready, start: float, language: str) -> None:
        ready(Slow(ramp(100), rate))

    player = Player(opener, 8000)
    player.play(play(1, "a"))
    first, second = player.read(N), player.read(N)
    assert first is not None
    assert second is not None
    assert np.array_equal(first[:50], ramp(50))
    assert not first[50:].any()
    assert np.array_equal(second[:50], ramp(50, 51))
    assert player.starved == 1
    assert player.events == [PlayEnded(1, "done")]


def test_whole_frames_are_views() -> None:
    samples = ramp(1000)
    player = Player(Shelf({"a": samples}), 8000)
    player.play(play(1, "a"))
    assert np.shares_memory(player.read(N), samples)  # type: ignore[arg-type]


# ---- change of rate


def tone_at(rate: int) -> I16:
    """One second: a slow sine, which sounds alike at every rate."""
    return sine(50, 1.0, rate)


@pytest.mark.parametrize(("old", "new"), [(8000, 16000), (16000, 8000), (8000, 48000), (48000, 8000), (48000, 16000)])
@pytest.mark.parametrize("delay", [0, 1, 3, 20])
def test_rate_change_goes_on_from_the_same_moment(old: int, new: int, delay: int) -> None:
    shelf = Shelf({"a": tone_at})
    player = Player(shelf, old)
    player.play(play(1, "a"))
    before = [player.read(old // 50) for _ in range(10)]
    shelf.held = True
    player.rate_changed(new)
    after: list[I16 | None] = []
    for index in range(40):
        if index == delay:
            shelf.release()
        after.append(player.read(new // 50))
    assert all(frame is not None for frame in before + after)
    assert player.events == [PlayEnded(1, "done")]
    assert player.read(new // 50) is None
    heard = np.concatenate(after)  # type: ignore[arg-type]
    wanted = tone_at(new)[new // 5 :]
    # The conversion is off by half a sample of the slower rate at most: a 320th of the sine's cycle; so nothing clicks.
    assert np.abs(heard.astype(np.int32) - wanted).max() < 16384 * 2 * np.pi / 320
    assert np.abs(np.diff(heard.astype(np.int32))).max() < 16384 * 2 * np.pi * 50 / new + 16384 * 2 * np.pi / 320
    exact = np.count_nonzero(heard == wanted) / len(wanted)
    assert exact > (0.5 if delay < 10 else 0.3)


def test_rate_changes_in_a_row() -> None:
    shelf = Shelf({"a": tone_at, "b": tone_at}, held=True)
    player = Player(shelf, 8000)
    player.play(play(1, "a", "b"))
    shelf.release()
    player.read(160)
    player.rate_changed(48000)
    player.read(960)
    player.rate_changed(16000)
    player.rate_changed(16000)
    player.read(320)
    shelf.release()
    heard = played(player, 320)
    wanted = np.concatenate((tone_at(16000)[960:], tone_at(16000)))
    assert np.abs(heard[: len(wanted)].astype(np.int32) - wanted).max() < 1000
    assert player.events == [PlayEnded(1, "done")]
    assert all(playable.ended for playable in shelf.open)


def test_rate_change_while_opening() -> None:
    shelf = Shelf({"a": tone_at}, held=True)
    player = Player(shelf, 8000)
    player.play(play(1, "a"))
    player.rate_changed(16000)
    shelf.release()
    assert np.array_equal(played(player, 320), tone_at(16000))
    assert player.events == [PlayEnded(1, "done")]


def test_rate_change_to_a_source_that_is_gone_plays_the_open_one_to_its_end() -> None:
    shelf = Shelf({"a": tone_at})
    player = Player(shelf, 8000)
    player.play(play(1, "a"))
    player.read(160)
    shelf.sounds["a"] = broken()
    player.rate_changed(16000)
    heard = played(player, 320)
    assert len(heard) == 16000 - 320
    assert player.events == [PlayEnded(1, "done")]


def test_stop_while_the_rate_changes_closes_both() -> None:
    shelf = Shelf({"a": tone_at})
    player = Player(shelf, 8000)
    player.play(play(1, "a"))
    player.read(160)
    player.rate_changed(16000)
    player.read(320)
    player.stop_all()
    assert [playable.ended for playable in shelf.open] == [True, True]
    assert player.events == [PlayEnded(1, "stopped")]


@pytest.mark.parametrize(("old", "new"), [(8000, 16000), (8000, 48000), (48000, 8000), (16000, 16000)])
def test_crossing_gives_what_is_asked_for(old: int, new: int) -> None:
    crossing = RateCrossing(MemorySound(tone_at(old), old), old, new, lambda successor: None)
    parts = []
    for count in (1, 7, 160, 333, 5000, 100000):
        parts.append(crossing.read(count))
        assert len(parts[-1]) == count or crossing.ended
    heard = np.concatenate(parts)
    assert len(heard) == new
    inner = slice(0, -max(1, new // old))  # behind the last point there is none to draw a line to
    assert np.abs(heard.astype(np.int32) - tone_at(new))[inner].max() < 350
