"""The recorder against a plain one that sums samples of one recording after the other."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_recordings import KeptFiles

from media.audio_commands import RecordingEnded, StartRecording
from media.recorder import TICKS, Recordings

RATE = 8000
N = RATE // TICKS

recording = st.integers(0, 3)
level = st.sampled_from([1, -1, 300, 20000, -20000, 32767, -32768])
frames = st.lists(st.tuples(recording, st.integers(0, 1), level), max_size=8)
action = st.one_of(
    st.tuples(st.just("start"), recording, st.booleans()),
    st.tuples(st.just("stop"), recording, st.booleans()),
    st.tuples(st.just("pause"), recording, st.booleans()),
    st.tuples(st.just("tick"), frames, st.integers(1, 60)),
)


class Plain:
    def __init__(self, stereo: bool) -> None:
        self.stereo = stereo
        self.paused = False
        self.levels: list[tuple[int, int]] = []
        self.pauses: list[int] = []  # paused ticks

    def tick(self, frames: list[tuple[int, int]]) -> None:
        sums = [0, 0]
        for channel, level in frames if not self.paused else []:
            sums[channel if self.stereo else 0] += level
        if self.paused:
            self.pauses.append(len(self.levels))
        self.levels.append((max(-32768, min(32767, sums[0])), max(-32768, min(32767, sums[1]))))


@settings(max_examples=150, deadline=None)
@given(st.lists(action, max_size=40))
def test_files_hold_what_was_said(actions: list[tuple[str, object, object]]) -> None:
    files = KeptFiles()
    bank = Recordings(RATE, files)
    plain: dict[int, Plain] = {}
    ended: list[tuple[Plain, int]] = []
    numbers: dict[int, int] = {}
    for what, first, second in [*actions, *(("stop", number, False) for number in range(4))]:
        if what == "tick":
            assert isinstance(first, list)
            assert isinstance(second, int)
            live = [(number, channel, level) for number, channel, level in first if number in plain]
            for _ in range(second):
                if live:
                    rows = np.array([bank.row(number) for number, _, _ in live])
                    levels = np.array([level for _, _, level in live], np.int16)
                    columns = np.repeat(levels[:, None], N, axis=1)
                    bank.add(rows, np.array([channel for _, channel, _ in live]), columns)
                bank.advance(np.array([bank.row(number) for number in plain], np.int64))
                for number, one in plain.items():
                    one.tick([(channel, level) for other, channel, level in live if other == number])
        elif what == "start" and first not in plain:
            assert isinstance(first, int)
            plain[first], numbers[first] = Plain(bool(second)), len(files.files)
            bank.start(first, StartRecording(first, "c", (), stereo=bool(second)), 0.0, 0.0)
        elif what == "pause" and first in plain:
            assert isinstance(first, int)
            plain[first].paused = bool(second)
            bank.pause(first, bool(second))
        elif what == "stop" and first in plain:
            assert isinstance(first, int)
            bank.stop(first, 0.0)
            ended.append((plain.pop(first), numbers.pop(first)))
    assert not np.any(bank._blocks)
    for one, number in ended:
        file = files.files[number]
        expected = np.array(one.levels, np.int16).reshape(-1, 2).T[: 2 if one.stereo else 1]
        assert file.samples.shape[1] == len(one.levels) * N
        assert np.array_equal(file.samples.reshape(len(expected), -1, N), np.repeat(expected[:, :, None], N, axis=2))
        bank.events.clear()
        file.told("ended", "")
        (event,) = bank.events
        assert isinstance(event, RecordingEnded)
        assert event.seconds == len(one.levels) / TICKS
        silent = [tick for begin, end in event.pauses for tick in range(round(begin * TICKS), round(end * TICKS))]
        assert silent == one.pauses
