"""Players: exactly one `PlayEnded` for each play, and the samples of its sources in order, whatever comes when."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from media.audio_commands import File, Play, PlayEnded, Source
from media.playable import I16, MemorySound, Playable, Ready, SourceError
from media.player import Player

# A source by name: "<samples>" in milliseconds of a constant that tells which it is, or "bad".
source = st.one_of(st.integers(0, 90).map(str), st.just("bad"))
command = st.one_of(
    st.tuples(
        st.just("play"), st.lists(source, max_size=4), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.01, 0.2])
    ),
    st.tuples(st.just("stop"), st.integers(0, 12)),
    st.tuples(st.just("stop_all")),
    st.tuples(st.just("read"), st.integers(1, 4)),
    st.tuples(st.just("ready"), st.integers(1, 3)),
    st.tuples(st.just("rate"), st.sampled_from([8000, 16000, 48000])),
)


class Openings:
    """Gives what is opened later, in any order."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.waiting: list[Callable[[], None]] = []
        self.given: list[Playable] = []

    def __call__(self, source: Source, rate: int, ready: Ready, start: float, language: str) -> None:
        assert isinstance(source, File)

        def give() -> None:
            if source.name == "bad":
                ready(SourceError("bad: not there"))
                return
            samples: I16 = np.full(int(source.name) * rate // 1000, 1 + int(source.name), np.int16)
            self.given.append(MemorySound(samples, rate, start))
            ready(self.given[-1])

        if self.rng.random() < 0.3:
            give()
        else:
            self.waiting.append(give)

    def release(self, count: int) -> None:
        for _ in range(min(count, len(self.waiting))):
            self.waiting.pop(self.rng.randrange(len(self.waiting)))()


@settings(max_examples=300, deadline=None)
@given(st.lists(command, max_size=40), st.integers(0, 1000))
def test_every_play_ends_once(commands: list[tuple], seed: int) -> None:  # type: ignore[type-arg]
    openings = Openings(seed)
    events: list[PlayEnded] = []
    player = Player(openings, 8000, events)
    given_plays = 0
    for what, *arguments in commands:
        if what == "play":
            names, loop, interrupt, start = arguments
            sources = tuple(File(name) for name in names)
            player.play(Play(given_plays, sources, loop=loop, interrupt=interrupt, start=start))
            given_plays += 1
        elif what == "stop":
            player.stop(arguments[0])
        elif what == "stop_all":
            player.stop_all("gone")
        elif what == "rate":
            player.rate_changed(arguments[0])
        elif what == "ready":
            openings.release(arguments[0])
        else:
            for _ in range(arguments[0]):
                frame = player.read(player.rate // 50)
                assert frame is None or frame.shape == (player.rate // 50,)
        ended = Counter(event.play for event in events)
        assert all(times == 1 for times in ended.values())
        # What has not ended is in the queue.
        assert len(player) + len(ended) == given_plays
    player.stop_all("the stream is closed")
    openings.release(len(openings.waiting))
    assert Counter(event.play for event in events) == Counter(range(given_plays))
    assert player.read(160) is None
    assert all(playable.ended for playable in openings.given)
    for event in events:
        assert event.how in ("done", "stopped", "failed")
        assert event.why or event.how != "failed"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.integers(0, 90), max_size=4), max_size=6), st.integers(1, 400))
def test_all_samples_in_order_and_no_gap(plays: list[list[int]], count: int) -> None:
    def opener(source: Source, rate: int, ready: Ready, start: float, language: str) -> None:
        assert isinstance(source, File)
        size = int(source.name)
        ready(MemorySound(np.arange(1, size + 1, dtype=np.int16), rate, start))

    player = Player(opener, 8000)
    for number, sizes in enumerate(plays):
        player.play(Play(number, tuple(File(str(size)) for size in sizes)))
    heard = []
    while (frame := player.read(count)) is not None:
        heard.append(frame)
    wanted = [np.arange(1, size + 1, dtype=np.int16) for sizes in plays for size in sizes]
    whole = np.concatenate([np.zeros(0, np.int16), *wanted])
    got = np.concatenate([np.zeros(0, np.int16), *heard])
    assert np.array_equal(got[: len(whole)], whole)
    assert len(got) - len(whole) < count
    assert not got[len(whole) :].any()
    assert player.events == [PlayEnded(number, "done") for number in range(len(plays))]
