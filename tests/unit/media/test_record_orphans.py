"""What a dead writer has left behind is told as what it is, and what is being written is left alone."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import structlog

from media import record_directory, record_orphans
from media.audio_commands import label
from media.record_directory import MARKS, marked, names
from media.record_files import RecordingFiles, RecordingSettings
from media.record_formats import OggOpus, Wav, seconds_of
from media.record_orphans import UNTOUCHED_SECONDS, settle
from media.record_sidecar import interrupted, read, sidecar
from media.recorder import Description
from media.recording_timeline import Stretch

ROOT = Path(__file__).resolve().parents[3]
DEADLINE = 20.0
# A process that records two calls, says where, and is killed while it does.
WRITER = """
import queue, sys, numpy as np
from media.audio_commands import RecordingStarted, StartRecording, label
from media.record_files import RecordingFiles, RecordingSettings
from media.recorder import Recordings
posted = queue.SimpleQueue()
files = RecordingFiles(RecordingSettings(directory=sys.argv[1], minimum_free_mb=0), posted.put)
bank = Recordings(8000, files)
for n, format in enumerate(("wav", "opus")):
    who = ((1, label(number="101")), (2, label(number="102")))
    bank.start(n, StartRecording(n, "c0ffee", ((1, 0), (2, 1)), True, format, 8000, label(dialled="102"), who), 0, 1e9)
rows = np.array([bank.row(0), bank.row(1)])
for _ in range(175):
    bank.advance(rows)
while files.backlog or len(bank.events) < 2:
    if not posted.empty():
        posted.get()()
for event in bank.events:
    print(event.path, flush=True)
sys.stdin.read()
"""


class Writer:
    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self.process.stdout is not None
        self.paths = [Path(self.process.stdout.readline().decode().strip()) for _ in range(2)]

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    made = Writer(tmp_path)
    yield made
    made.kill()


def beside(path: Path) -> dict[str, object]:
    content = json.loads(path.with_suffix(".json").read_text())
    assert isinstance(content, dict)
    return content


def marks(root: Path) -> list[str]:
    return os.listdir(root / MARKS)


def test_what_a_killed_writer_leaves_is_settled_and_what_lives_is_not(tmp_path: Path, writer: Writer) -> None:
    before = [beside(path) for path in writer.paths]
    assert [each["state"] for each in before] == ["recording", "recording"]
    assert settle(tmp_path) == []
    assert [beside(path) for path in writer.paths] == before
    assert len(marks(tmp_path)) == 2
    writer.kill()
    settled = dict(settle(tmp_path))
    assert set(settled) == {str(path) for path in writer.paths}
    for path in writer.paths:
        played = soundfile.info(str(path))
        content = beside(path)
        assert 2.0 < played.frames / played.samplerate <= 3.5
        assert settled[str(path)] == pytest.approx(played.frames / played.samplerate, abs=0.001)
        assert content["state"] == "interrupted"
        assert content["seconds"] == settled[str(path)]
        assert content["why"] == "its writer ended before it did"
        assert content["call"] == {"dialled": "102"}
        assert [(each["to"], each["who"]) for each in content["stretches"]] == [  # type: ignore[attr-defined]
            (content["seconds"], {"number": "101"}),
            (content["seconds"], {"number": "102"}),
        ]
    assert marks(tmp_path) == []
    assert settle(tmp_path) == []


def test_the_next_writer_settles_before_it_writes(tmp_path: Path, writer: Writer) -> None:
    writer.kill()
    files = RecordingFiles(RecordingSettings(directory=tmp_path, minimum_free_mb=0), lambda message: message())
    assert files.close(DEADLINE)
    assert {beside(path)["state"] for path in writer.paths} == {"interrupted"}


def test_a_fault_in_what_is_old_costs_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(root: Path) -> list[object]:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("media.record_files.settle", broken)
    files = RecordingFiles(RecordingSettings(directory=tmp_path), lambda message: message())
    assert files.refuses() == ""
    assert files.close(DEADLINE)


def test_where_files_cannot_be_locked_what_was_not_written_for_long_is_left_behind(
    tmp_path: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(descriptor: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    assert settle(tmp_path) == []
    old = writer.paths[0].stat().st_mtime - UNTOUCHED_SECONDS - 1
    os.utime(writer.paths[0], (old, old))
    assert [path for path, _ in settle(tmp_path)] == [str(writer.paths[0])]


def test_what_was_moved_away_is_forgotten_and_what_is_broken_is_told(tmp_path: Path, writer: Writer) -> None:
    writer.kill()
    wav, opus = writer.paths
    wav.unlink()
    opus.with_suffix(".json").write_text('{"state": "recording"}')
    with structlog.testing.capture_logs() as logs:
        assert settle(tmp_path) == []
    assert [(each["event"], each.get("path")) for each in logs] == [("recording left unfinished", str(opus))]
    assert marks(tmp_path) == [f"{opus.name}.mark"]


def test_an_end_that_was_described_stays_what_it_was(tmp_path: Path, writer: Writer) -> None:
    """The writer died between its last two steps."""
    writer.kill()
    for path in writer.paths:
        path.with_suffix(".json").write_text(json.dumps({**beside(path), "state": "ended", "seconds": 7.0}))
    assert settle(tmp_path) == []
    assert {beside(path)["seconds"] for path in writer.paths} == {7.0}
    assert marks(tmp_path) == []


def test_marks_lead_nowhere_else(tmp_path: Path) -> None:
    _, name = names(1e9, "c0ffee", "00" * 8)
    assert marked(f"{name}.wav.mark") == (("2001", "09", "09"), name, ".wav")
    day = tmp_path / MARKS
    day.mkdir()
    target = tmp_path / "precious.wav"
    target.write_bytes(Wav(8000, 2).head())
    there = tmp_path / "2001/09/09"
    there.mkdir(parents=True)
    (there / f"{name}.wav").symlink_to(target)
    for each in (
        f"{name}.wav.mark",
        "x.mark",
        ".mark",
        "20010909T014640Z-..-0000000000000000.wav.mark",
        f"{name}.sh.mark",
    ):
        (day / each).write_text("")
        assert each == f"{name}.wav.mark" or marked(each) is None
    with structlog.testing.capture_logs() as logs:
        assert settle(tmp_path) == []
    assert [each["event"] for each in logs] == ["recording left unfinished"]
    assert target.read_bytes() == Wav(8000, 2).head()


def test_not_more_than_so_many_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_orphans, "MAX_MARKS", 3)
    (tmp_path / MARKS).mkdir()
    for n in range(10):
        record_directory.mark(tmp_path, f"{names(1e9, 'c0', f'{n:016x}')[1]}.wav")
    for left in (7, 4, 1, 0, 0):
        assert settle(tmp_path) == []
        assert len(marks(tmp_path)) == left


def test_nothing_lasts_longer_than_the_file() -> None:
    """What was meant for the second that was lost is not in it."""
    who = label(number="101")
    stretches = (Stretch(0, 1, 0.0, None, who), Stretch(1, 2, 0.0, 2.5, who), Stretch(1, 3, 2.5, None, who))
    pauses = ((0.5, 1.0), (1.5, 2.25), (2.25, None))
    described = Description(
        contact="c0", recording=1, wall=0.0, rate=8000, channels=2, format="wav", stretches=stretches, pauses=pauses
    )
    left = read(sidecar(described, "x.wav", "2001-09-09T01:46:40.000+00:00"))
    assert [each.end for each in left.stretches] == [None, 2.5, None]
    told = read(interrupted(left, 2.0))
    assert (told.state, told.seconds) == ("interrupted", 2.0)
    assert [(each.stream, each.begin, each.end) for each in told.stretches] == [(1, 0.0, 2.0), (2, 0.0, 2.0)]
    assert told.pauses == [(0.5, 1.0), (1.5, 2.0)]


# ---- how long files are


def test_the_seconds_of_a_wav() -> None:
    wav = Wav(16000, 2)
    head = wav.head()
    assert seconds_of(head, head, len(head)) == 0.0
    octets = wav.encode(np.zeros((2, 40000), np.int16))
    assert seconds_of(wav.head(), b"", 80 + len(octets)) == 2.5
    assert seconds_of(wav.head(), b"", 80 + 64000) == 1.0, "no more than is there"
    wav.octets = 5 * 10**9
    assert seconds_of(wav.head(), b"", 10**10) == 5 * 10**9 / 64000, "RF64"


def test_the_seconds_of_an_opus() -> None:
    opus = OggOpus(8000, 2, 20000, 7)
    octets = opus.head()
    assert seconds_of(octets, octets, len(octets)) == 0.0
    block = np.zeros((2, 8000), np.int16)
    octets += opus.encode(block) + opus.encode(block)
    whole = seconds_of(octets, octets, len(octets))
    assert 1.9 < whole < 2.0
    torn = octets + opus.encode(block)[:-1]
    assert seconds_of(torn, torn, len(torn)) == whole
    damaged = torn[: len(octets)] + bytes(7) + torn[len(octets) :]
    assert seconds_of(damaged, damaged, len(damaged)) == whole


@pytest.mark.parametrize("octets", [b"", b"RIFF", bytes(200), b"RIFF\0\0\0\0WAVE" + bytes(100), b"OggS" * 50])
def test_what_is_neither_has_no_length(octets: bytes) -> None:
    assert seconds_of(octets, octets, len(octets)) == 0.0
