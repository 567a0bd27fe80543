"""Recordings of a real process: killed in the middle, or on a disk that fills up; read by what players are made of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from harness.recordings import LEFT, LEVEL, RIGHT

from media.record_orphans import settle

PROGRAM = Path(__file__).parent / "harness" / "recordings.py"
LOST = 1.1  # seconds that a kill may cost
KILLED_AT = 3.3


def command(directory: Path, format: str, recordings: int, seconds: float) -> list[str]:
    return [sys.executable, str(PROGRAM), str(directory), format, str(recordings), str(seconds)]


def read_by_libsndfile(path: Path) -> npt.NDArray[np.float64]:
    """(channels, frames) at 8000 Hz."""
    samples, rate = soundfile.read(str(path), always_2d=True)
    return np.asarray(samples.T) if rate == 8000 else np.asarray(samples.T[:, :: rate // 8000])


def seconds_by_ffmpeg(path: Path) -> float:
    """As FFmpeg's demuxer and decoder see it."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return sum(frame.samples for frame in frames) / frames[0].sample_rate


def seconds_by_sox(path: Path) -> float:
    told = subprocess.run(["sox", str(path), "-n", "stat"], capture_output=True, text=True, check=True).stderr
    assert "WARN" not in told
    (line,) = [line for line in told.splitlines() if line.startswith("Length (seconds)")]
    return float(line.split()[-1])


def assert_channels_apart(samples: npt.NDArray[np.float64]) -> None:
    spectrum = np.abs(np.fft.rfft(samples[:, 4000:12000])) * 2 / 8000 * 32768
    assert spectrum[:, [int(LEFT), int(RIGHT)]] == pytest.approx(np.array([[LEVEL, 0], [0, LEVEL]]), abs=LEVEL * 0.15)


@pytest.mark.parametrize("format", ["wav", "opus"])
def test_a_killed_process_leaves_files_that_play(tmp_path: Path, format: str) -> None:
    """Sixty recordings in all phases of their second: each lacks at most that."""
    recorded = 0.0
    with subprocess.Popen(command(tmp_path, format, 60, 60.0), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("{"):
                recorded = float(line)
            if recorded == KILLED_AT:
                process.send_signal(signal.SIGKILL)  # what it said until then is read to the end
    assert process.returncode == -signal.SIGKILL
    files = sorted(tmp_path.rglob(f"*.{format}"))
    assert len(files) == 60
    states = {json.loads(path.with_suffix(".json").read_text())["state"] for path in files}
    assert states == {"recording"}
    settled = {Path(path): seconds for path, seconds in settle(tmp_path)}
    for path in files:
        samples = read_by_libsndfile(path)
        assert recorded - LOST <= samples.shape[1] / 8000 <= recorded + 0.03
        assert_channels_apart(samples)
        content = json.loads(path.with_suffix(".json").read_text())
        assert content["state"] == "interrupted"
        assert content["seconds"] == settled[path] == pytest.approx(samples.shape[1] / 8000, abs=0.001)
        assert [stretch["channel"] for stretch in content["stretches"]] == [0, 1]
    for path in files[::10]:
        assert seconds_by_ffmpeg(path) == pytest.approx(read_by_libsndfile(path).shape[1] / 8000, abs=0.01)
        if format == "wav":
            assert seconds_by_sox(path) == pytest.approx(read_by_libsndfile(path).shape[1] / 8000, abs=0.001)


@pytest.mark.parametrize("format", ["wav", "opus"])
def test_whole_files_have_one_length_for_every_reader(tmp_path: Path, format: str) -> None:
    subprocess.run(command(tmp_path, format, 2, 2.14), stdout=subprocess.DEVNULL, check=True)
    for path in tmp_path.rglob(f"*.{format}"):
        samples = read_by_libsndfile(path)
        assert samples.shape == (2, 2.14 * 8000)
        assert_channels_apart(samples)
        assert seconds_by_ffmpeg(path) == pytest.approx(2.14, abs=0.0075)  # FFmpeg leaves the end of Opus untrimmed
        if format == "wav":
            assert seconds_by_sox(path) == 2.14


@pytest.mark.parametrize("format", ["wav", "opus"])
def test_a_disk_that_fills_up(tmp_path: Path, format: str) -> None:
    """A file system of 512 kB, in a mount namespace of its own; the process and all its ticks go on."""
    kept = tmp_path / "kept"
    kept.mkdir()
    full = tmp_path / "full"
    full.mkdir()
    recordings = 8 if format == "wav" else 60
    script = f'mount -t tmpfs -o size=512k none "{full}" && "$@" && cp -a "{full}/." "{kept}"'
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *command(full, format, recordings, 6.0)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    lines = run.stdout.splitlines()
    assert "6.0" in lines  # the ticks went on
    assert lines[-1] == "done"
    events = [json.loads(line) for line in lines if line.startswith("{")]
    outcomes: dict[int, list[str]] = {}
    for event in events:
        outcomes.setdefault(event["recording"], []).append(event["type"])
    assert sorted(outcomes) == list(range(recordings))
    for told in outcomes.values():
        assert told.count("RecordingFailed") + told.count("RecordingEnded") == 1
    failed = [event for event in events if event["type"] == "RecordingFailed"]
    assert len(failed) >= recordings // 2
    for event in failed:
        assert os.strerror(28) in event["why"]
        assert event["path"] in event["why"]
        path = kept / Path(event["path"]).relative_to(full)
        if path.exists():  # else there was not even room for its beginning
            assert soundfile.info(str(path)).channels == 2
    lengths = [soundfile.info(str(path)).duration for path in kept.rglob(f"*.{format}")]
    assert max(lengths) > 1.0
