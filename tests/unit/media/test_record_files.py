"""Recordings on disk through the real thread: files, names, what lies beside them, and every way to fail."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from pydantic import ValidationError

from media import record_files
from media.audio_commands import AudioEvent, RecordingEnded, RecordingFailed, RecordingStarted, StartRecording, label
from media.record_directory import names
from media.record_files import MAX_FILES, RecordingFiles, RecordingSettings
from media.record_orphans import settle
from media.recorder import STALL_SECONDS, TICKS, Recordings

RATE = 8000
N = RATE // TICKS
WALL = 1_795_701_780.25  # 2026-11-26 14:03:00.25 UTC
CONTACT = "0192f3c4-5e6f-7a8b-9c0d-1e2f3a4b5c6d"
CALL = label(caller="101", dialled="102")
ANN, BEN = label(role="caller", number="101"), label(role="called", name="Ben")
DEADLINE = 20.0  # seconds that a test waits for the thread, at most
Samples = npt.NDArray[np.int16]


class Rig:
    """Recordings and their files; `post` is a queue that the test empties."""

    def __init__(self, directory: Path, **changes: object) -> None:
        self.settings = RecordingSettings.model_validate({"directory": directory, "minimum_free_mb": 0, **changes})
        self.posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.files = RecordingFiles(self.settings, self.posted.put)
        self.bank = Recordings(RATE, self.files)

    def start(self, recording: int = 1, contact: str = CONTACT, stereo: bool = True, format: str = "wav") -> None:
        channels = ((11, 0), (12, 1))
        command = StartRecording(
            recording,
            contact,
            channels,
            stereo,
            format,
            RATE,
            CALL,
            ((11, ANN), (12, BEN)),  # type: ignore[arg-type]
        )
        self.bank.start(recording, command, 0.0, WALL)

    def ticks(self, left: Samples, right: Samples | None = None, recording: int = 1) -> None:
        """(frames,) of whole ticks for both channels."""
        row = np.array([self.bank.row(recording)] * 2)
        pairs = zip(left.reshape(-1, N), (left if right is None else right).reshape(-1, N), strict=True)
        for frames in pairs:
            self.bank.add(row, np.array([0, 1]), np.array(frames))
            self.bank.advance(row[:1])

    def until(self, count: int) -> list[AudioEvent]:
        """The first `count` events; more is an error."""
        while len(self.bank.events) < count:
            try:
                self.posted.get(timeout=DEADLINE)()
            except Empty:
                pytest.fail(f"only {self.bank.events}")
        assert len(self.bank.events) == count
        return self.bank.events

    def finish(self) -> None:
        """Everything is written, and told."""
        self.bank.stop_all(0.0)
        assert self.files.close(DEADLINE)
        while not self.posted.empty():
            self.posted.get()()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path / "recordings")
    yield rig
    rig.finish()


def tone(hertz: float, seconds: float) -> Samples:
    return (np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE) * 8000).astype(np.int16)


def beside(path: str) -> dict[str, object]:
    content = json.loads(Path(path).with_suffix(".json").read_text())
    assert isinstance(content, dict)
    return content


def failure(events: list[AudioEvent]) -> RecordingFailed:
    (failed,) = [event for event in events if isinstance(event, RecordingFailed)]
    assert not any(isinstance(event, RecordingEnded) for event in events)
    return failed


# ---- whole files


def test_a_wav_from_start_to_stop(rig: Rig) -> None:
    rig.start()
    left, right = tone(400, 2.5), tone(1000, 2.5)
    rig.ticks(left, right)
    rig.bank.stop(1, 0.0)
    started, ended = rig.until(2)
    assert isinstance(started, RecordingStarted)
    assert isinstance(ended, RecordingEnded)
    assert started.path == ended.path
    assert ended.seconds == 2.5
    read, rate = soundfile.read(ended.path, dtype="int16")
    assert rate == RATE
    assert np.array_equal(read.T, [left, right])


@pytest.mark.parametrize("stereo", [True, False])
def test_an_opus_from_start_to_stop(rig: Rig, stereo: bool) -> None:
    rig.start(format="opus", stereo=stereo)
    rig.ticks(tone(400, 2.5), tone(1000, 2.5))
    rig.bank.stop(1, 0.0)
    _, ended = rig.until(2)
    assert isinstance(ended, RecordingEnded)
    assert ended.path.endswith(".opus")
    assert os.path.getsize(ended.path) < 25_000
    read, rate = soundfile.read(ended.path, always_2d=True)
    assert len(read) / rate == 2.5
    spectrum = np.abs(np.fft.rfft(read[rate : 2 * rate], axis=0)) * 2 / rate * 32768
    heard = [[8000, 0], [0, 8000]] if stereo else [[8000], [8000]]
    assert spectrum[[400, 1000]] == pytest.approx(np.array(heard), abs=800)


def test_a_pause_is_silent_in_the_file(rig: Rig) -> None:
    said, card = np.full(RATE, 111, np.int16), np.full(RATE // 2, 4929, np.int16)
    rig.start()
    rig.ticks(said)
    rig.bank.pause(1, True)
    rig.ticks(card)
    rig.bank.pause(1, False)
    rig.ticks(said)
    rig.bank.stop(1, 0.0)
    _, ended = rig.until(2)
    assert isinstance(ended, RecordingEnded)
    assert ended.pauses == ((1.0, 1.5),)
    octets = Path(ended.path).read_bytes()
    assert card[:2].tobytes() not in octets
    read, _ = soundfile.read(ended.path, dtype="int16")
    assert np.array_equal(read[:, 0], np.concatenate((said, 0 * card, said)))


@pytest.mark.parametrize("fsync", [True, False])
def test_the_file_is_synced_once_if_so_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    rig = Rig(tmp_path, fsync=fsync)
    rig.start()
    rig.ticks(tone(400, 2.0))
    rig.finish()
    assert len(synced) == fsync


def test_what_lies_beside_it(rig: Rig) -> None:
    rig.start()
    (started,) = rig.until(1)
    assert isinstance(started, RecordingStarted)
    assert beside(started.path) == {
        "file": Path(started.path).name,
        "state": "recording",
        "contact": CONTACT,
        "call": {"caller": "101", "dialled": "102"},
        "recording": 1,
        "started": "2026-11-26T14:03:00.250+00:00",
        "seconds": 0.0,
        "format": "wav",
        "rate": 8000,
        "channels": 2,
        "stretches": [
            {"channel": 0, "from": 0.0, "to": None, "stream": 11, "who": dict(ANN)},
            {"channel": 1, "from": 0.0, "to": None, "stream": 12, "who": dict(BEN)},
        ],
        "pauses": [],
    }
    rig.ticks(tone(400, 1.5))
    rig.bank.channels(1, ((11, 0), (13, 1)), ((13, label(number="103")),))
    rig.bank.pause(1, True)
    rig.ticks(tone(400, 0.5))
    rig.bank.stop(1, 0.0)
    rig.until(2)
    content = beside(started.path)
    assert content["state"] == "ended"
    assert content["seconds"] == 2.0
    assert content["stretches"] == [
        {"channel": 0, "from": 0.0, "to": 2.0, "stream": 11, "who": dict(ANN)},
        {"channel": 1, "from": 0.0, "to": 1.5, "stream": 12, "who": dict(BEN)},
        {"channel": 1, "from": 1.5, "to": 2.0, "stream": 13, "who": {"number": "103"}},
    ]
    assert content["pauses"] == [[1.5, 2.0]]
    assert sorted(p.suffix for p in Path(started.path).parent.iterdir()) == [".json", ".wav"]


def test_changes_are_beside_it_before_the_end(rig: Rig) -> None:
    """A crash leaves who was on which channel, too."""
    rig.start()
    rig.ticks(tone(400, 0.5))
    rig.bank.pause(1, True)
    rig.start(2)  # the thread does one thing after the other: this is begun when the other is described
    first, _ = rig.until(2)
    assert isinstance(first, RecordingStarted)
    assert beside(first.path)["pauses"] == [[0.5, None]]


def test_every_flush_leaves_a_true_header(rig: Rig) -> None:
    rig.start(1)
    rig.ticks(tone(400, 3.5))
    rig.start(2)
    first, _ = rig.until(2)
    assert isinstance(first, RecordingStarted)
    info = soundfile.info(first.path)
    assert 2.5 < info.frames / RATE <= 3.5
    assert os.path.getsize(first.path) == 80 + info.frames * 4


# ---- names


def test_names_are_generated(rig: Rig) -> None:
    rig.start()
    (started,) = rig.until(1)
    assert isinstance(started, RecordingStarted)
    path = Path(started.path)
    assert path.parent == rig.settings.directory / "2026" / "11" / "26"
    assert re.fullmatch(rf"20261126T140300Z-{CONTACT}-[0-9a-f]{{16}}\.wav", path.name)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for directory in (rig.settings.directory, *list(path.parents)[:3]):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "contact",
    [
        "../../../../etc/cron.d/x",
        "/etc/passwd",
        "..",
        "",
        "a\0b",
        "a/../../b",
        "\ufffd\u202e\n",
        "b" * 100_000,
        "%2e%2e/",
    ],
)
def test_a_contact_leads_nowhere_else(rig: Rig, contact: str) -> None:
    """THREATS 22: recording name traversal stays under its root."""
    rig.start(contact=contact)
    (started,) = rig.until(1)
    assert isinstance(started, RecordingStarted)
    path = Path(started.path)
    assert path.exists()
    assert path.parent == rig.settings.directory / "2026" / "11" / "26"
    assert re.fullmatch(r"20261126T140300Z-[0-9a-f-]{1,64}-[0-9a-f]{16}\.wav", path.name)
    assert beside(started.path)["contact"] == contact[:256]


def test_two_recordings_of_one_contact_and_second_have_two_names() -> None:
    assert names(WALL, CONTACT, "00")[1] != names(WALL, CONTACT, "01")[1]
    assert names(0.0, "xyz", "00") == (("1970", "01", "01"), "19700101T000000Z-0-00")


@pytest.mark.parametrize("level", ["2026", "2026/11", "2026/11/26"])
def test_a_link_below_the_root_is_not_followed(rig: Rig, tmp_path: Path, level: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = rig.settings.directory / level
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    rig.start()
    failed = failure(rig.until(1))
    assert os.strerror(errno.ENOTDIR) in failed.why or os.strerror(errno.ELOOP) in failed.why
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_name_that_is_taken_is_left_alone(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("media.record_files.secrets.token_hex", lambda octets: "00" * octets)
    target = tmp_path / "target"
    target.write_text("precious")
    parts, name = names(WALL, CONTACT, "00" * 8)
    day = rig.settings.directory.joinpath(*parts)
    day.mkdir(parents=True)
    if kind == "link":
        (day / f"{name}.wav").symlink_to(target)
    else:
        (day / f"{name}.wav").write_text("precious")
    rig.start()
    assert os.strerror(errno.EEXIST) in failure(rig.until(1)).why
    assert target.read_text() == "precious"
    assert (day / f"{name}.wav").read_text() == "precious"
    assert not (day / f"{name}.json").exists()


def test_links_in_the_place_of_what_lies_beside_are_replaced(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("media.record_files.secrets.token_hex", lambda octets: "00" * octets)
    target = tmp_path / "target"
    target.write_text("precious")
    parts, name = names(WALL, CONTACT, "00" * 8)
    day = rig.settings.directory.joinpath(*parts)
    day.mkdir(parents=True)
    (day / f"{name}.json.new").symlink_to(target)
    (day / f"{name}.json").symlink_to(target)
    rig.start()
    rig.until(1)
    assert target.read_text() == "precious"
    assert not (day / f"{name}.json").is_symlink()


# ---- failures


class Disk:
    """`os.pwrite` of a disk that is full after so many octets, or hangs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: float = float("inf"), why: int = errno.ENOSPC) -> None:
        self.room = room
        self.why = why
        self.awake = threading.Event()
        self.awake.set()
        self._pwrite = os.pwrite
        monkeypatch.setattr(record_files.os, "pwrite", self.pwrite)

    def pwrite(self, descriptor: int, octets: bytes, offset: int) -> int:
        assert self.awake.wait(DEADLINE)
        if offset == 0:
            return self._pwrite(descriptor, octets, offset)  # headers lie where there is room, sidecars are small
        if self.room <= 0:
            raise OSError(self.why, os.strerror(self.why))
        octets = octets[: int(min(len(octets), self.room))]
        self.room -= len(octets)
        return self._pwrite(descriptor, octets, offset)


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT])
@pytest.mark.parametrize("format", ["wav", "opus"])
def test_a_write_that_fails(rig: Rig, monkeypatch: pytest.MonkeyPatch, why: int, format: str) -> None:
    """THREATS 34: disk full while recording. What was written plays, and ends with what was whole."""
    Disk(monkeypatch, 32_000 * 2.5 if format == "wav" else 10_000, why)
    rig.start(format=format)
    rig.ticks(tone(400, 5.0))
    rig.until(2)
    rig.ticks(tone(400, 5.0))
    rig.finish()
    failed = failure(rig.until(2))
    assert failed.why == f"{os.strerror(why)}: {failed.path}"
    read, rate = soundfile.read(failed.path)
    assert 1.0 < len(read) / rate < 2.6
    assert np.max(np.abs(read)) * 32768 == pytest.approx(8000, rel=0.15)
    content = beside(failed.path)
    assert content["state"] == "failed"
    assert content["why"] == failed.why
    assert content["seconds"] == pytest.approx(len(read) / rate, abs=0.01)
    if format == "wav":
        assert os.path.getsize(failed.path) == 80 + len(read) * 4
    assert rig.files.backlog == 0


def test_a_disk_without_room_for_a_description(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename
    calls: list[str] = []

    def full(source: str, target: str, **directories: int) -> None:
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rename(source, target, **directories)

    monkeypatch.setattr(record_files.os, "rename", full)
    rig.start()
    rig.ticks(tone(400, 1.0))
    rig.bank.stop(1, 0.0)
    failed = failure(rig.until(2))
    assert failed.why.startswith(f"{os.strerror(errno.ENOSPC)} (writing {Path(failed.path).stem}.json beside it)")
    assert soundfile.info(failed.path).frames == RATE
    assert beside(failed.path)["state"] == "recording"
    monkeypatch.undo()
    assert settle(rig.settings.directory) == [(failed.path, 1.0)], "told at the next start"
    assert beside(failed.path)["state"] == "interrupted"


def test_nothing_is_left_of_a_file_that_could_not_be_begun(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, octets: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(record_files.os, "pwrite", full)
    rig.start()
    failed = failure(rig.until(1))
    assert os.strerror(errno.ENOSPC) in failed.why
    assert list(Path(failed.path).parent.iterdir()) == []


def test_the_root_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "recordings").write_text("")
    rig = Rig(tmp_path / "recordings")
    rig.start()
    rig.ticks(tone(400, 2.0))
    rig.finish()
    failed = failure(rig.bank.events)
    assert failed.why == f"{os.strerror(errno.EEXIST)}: {failed.path}"


def test_too_little_free_space(tmp_path: Path) -> None:
    rig = Rig(tmp_path, minimum_free_mb=10**12)
    rig.start()
    assert "less than the 1000000000000 of minimum_free_mb" in failure(rig.until(1)).why
    rig.finish()
    assert len(rig.bank.events) == 1


def test_a_fault_of_ours_ends_one_file(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: object, block: Samples) -> bytes:
        raise ZeroDivisionError("oops")

    rig.start(1, format="opus")
    rig.start(2)
    monkeypatch.setattr("media.record_formats.OggOpus.encode", broken)
    for recording in (1, 2):
        rig.ticks(tone(400, 2.0), recording=recording)
    rig.bank.stop(2, 0.0)
    events = rig.until(4)
    (failed,) = [event for event in events if isinstance(event, RecordingFailed)]
    assert failed.recording == 1
    assert failed.why == f"ZeroDivisionError: oops: {failed.path}"
    (ended,) = [event for event in events if isinstance(event, RecordingEnded)]
    assert soundfile.info(ended.path).frames == 2 * RATE


def test_a_disk_that_hangs_fails_each_recording_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffer is bounded; what is written before is playable when the disk comes back."""
    rig.start(1)
    rig.start(2)
    rig.until(2)
    disk = Disk(monkeypatch)
    disk.awake.clear()
    second = tone(400, 1.0)
    peak = 0
    for _ in range(30):
        rig.ticks(second, recording=1)
        peak = max(peak, rig.files.backlog)
    assert peak <= STALL_SECONDS * RATE * 4
    failed = failure(rig.bank.events)
    assert failed.why == "10 seconds wait to be written: a slow disk, or too many recordings in Opus"
    rig.bank.stop(2, 0.0)
    rig.bank.tend(STALL_SECONDS)
    assert rig.bank.events[3:] == [
        RecordingFailed(2, rig.bank.events[3].path, "the disk has not answered for 10 seconds")
    ]  # type: ignore[union-attr]
    disk.awake.set()
    rig.finish()
    assert len(rig.bank.events) == 4
    assert rig.files.backlog == 0
    for event in rig.bank.events[2:]:
        assert isinstance(event, RecordingFailed)
        assert soundfile.info(event.path).samplerate == RATE
        assert beside(event.path)["state"] == "failed"


def test_all_recordings_together_have_a_bounded_buffer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, buffer_mb=1)
    for recording in range(6):
        rig.start(recording)
    rig.until(6)
    disk = Disk(monkeypatch)
    disk.awake.clear()
    second = tone(400, 1.0)
    for _ in range(9):
        for recording in range(6):
            rig.ticks(second, recording=recording)
    assert rig.files.backlog <= 1_000_000
    reasons = {event.why for event in rig.bank.events if isinstance(event, RecordingFailed)}
    assert reasons == {"1 MB wait to be written: a slow disk, or too many recordings in Opus"}
    disk.awake.set()
    rig.finish()


def test_a_hanging_disk_and_ever_new_recordings(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.start(0)
    rig.until(1)
    disk = Disk(monkeypatch)
    disk.awake.clear()
    rig.ticks(tone(400, 1.0), recording=0)
    for recording in range(1, MAX_FILES + 10):
        rig.start(recording)
        rig.bank.stop(recording, 0.0)
    assert rig.files.refuses() != ""
    assert all(isinstance(event, RecordingFailed) for event in rig.bank.events[1:])
    assert len(rig.bank.events) == 1 + 10
    rig.bank.tend(STALL_SECONDS)
    assert len(rig.bank.events) == MAX_FILES + 10
    disk.awake.set()
    rig.finish()
    assert rig.files.refuses() != ""  # closed
    assert len(list((rig.settings.directory / "2026/11/26").iterdir())) == 2


# ---- the end


def test_close_waits_for_all_and_then_nothing_is_taken(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    for recording in range(20):
        rig.start(recording)
        rig.ticks(tone(400, 3.0), recording=recording)
    rig.finish()
    ended = [event for event in rig.bank.events if isinstance(event, RecordingEnded)]
    assert len(ended) == 20
    assert {soundfile.info(event.path).frames for event in ended} == {3 * RATE}
    rig.bank.events.clear()
    rig.start(99)
    assert failure(rig.bank.events).why == "recordings are no longer written: the writer was closed"


def test_close_does_not_wait_for_ever(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.start()
    rig.until(1)
    disk = Disk(monkeypatch)
    disk.awake.clear()
    rig.ticks(tone(400, 1.0))
    assert not rig.files.close(0.01)
    disk.awake.set()


async def test_events_come_back_on_the_loop(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    threads: list[int] = []
    told = asyncio.Event()

    def post(message: Callable[[], None]) -> None:
        def on_the_loop() -> None:
            threads.append(threading.get_ident())
            message()
            if len(threads) == 2:
                told.set()

        loop.call_soon_threadsafe(on_the_loop)

    files = RecordingFiles(RecordingSettings(directory=tmp_path, minimum_free_mb=0), post)
    bank = Recordings(RATE, files)
    bank.start(1, StartRecording(1, CONTACT, ()), 0.0, WALL)
    bank.stop(1, 0.0)
    async with asyncio.timeout(DEADLINE):
        await told.wait()
    assert [type(event) for event in bank.events] == [RecordingStarted, RecordingEnded]
    assert set(threads) == {threading.get_ident()}
    assert files.close(DEADLINE)


def test_a_loop_that_is_closed_loses_no_file(tmp_path: Path) -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    files = RecordingFiles(RecordingSettings(directory=tmp_path, minimum_free_mb=0), loop.call_soon_threadsafe)
    bank = Recordings(RATE, files)
    bank.start(1, StartRecording(1, CONTACT, ()), 0.0, WALL)
    bank.advance(np.array([bank.row(1)]))
    bank.stop(1, 0.0)
    assert files.close(DEADLINE)
    (path,) = tmp_path.rglob("*.wav")
    assert soundfile.info(str(path)).frames == N


def test_settings_are_frozen_and_checked() -> None:
    with pytest.raises(ValidationError):
        RecordingSettings.model_validate({"format": "mp3"})
    with pytest.raises(ValidationError):
        RecordingSettings().directory = Path("/")  # type: ignore[misc]
