"""What a call leaves behind, said in short: who heard whom, the segments and legs of its record, its recording.

Whoever is heard is told by a tone of its own, by the name that it has in `tones`: that of its extension, with a number
behind it where an extension has several telephones ("101/2"). What is heard one after the other is a line such as
"102 music 102+103 102 102": silence parts what is the same, and is not told else; what lasts less than 0.2 s isn't
either, since changes fall into the tenths of a second that are looked at. Music is whatever is nobody's tone: a voice,
too.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from harness.audio import FRAME, RATE, Tone, decode_alaw
from harness.capture import Capture
from harness.ears import MUSIC, told_apart_each
from harness.sipp import Sipp
from harness.switch import RTP_PORTS, Switch

F64 = npt.NDArray[np.float64]

PART = 800  # samples: 100 ms
EDGE = 0.2  # seconds beside a change of who is on a channel that are not looked at
PARTED = 0.15  # seconds without it that part what is heard before from what is heard after
BLURRED = 6.0  # dB by which a tone may be off its level where it was heard in parts
LATE = 0.06  # seconds by which a packet may come late before there is silence in its place


class Piece(NamedTuple):
    """From which second to which who was heard."""

    what: str
    begin: float
    end: float


def _parts(samples: F64, tones: Mapping[str, Tone]) -> list[str]:
    """What is heard in each tenth of a second; "" is silence.

    A tone that is not at its level, beside the same that is, is no music: where packets come late, on a busy machine,
    parts of it are made up or missing.
    """
    cut = samples[: len(samples) // PART * PART].reshape(-1, PART)
    parts = [_names(who) for who in told_apart_each(cut, tones)]
    blurred = {n: _names(who) for n, who in enumerate(told_apart_each(cut, tones, BLURRED)) if parts[n] == MUSIC}
    for numbers, before in ((sorted(blurred), -1), (sorted(blurred, reverse=True), 1)):
        for number in numbers:
            if 0 <= number + before < len(parts) and parts[number + before] == blurred[number]:
                parts[number] = blurred[number]
    return parts


def _names(found: set[str]) -> str:
    return "+".join(sorted(found))


def pieces(samples: F64, tones: Mapping[str, Tone]) -> list[Piece]:
    """What is heard, one after the other."""
    found: list[Piece] = []
    parts = _parts(samples, tones)
    for number, (before, what) in enumerate(pairwise(parts)):
        if not what or what != before:
            continue
        begin, end = number * PART / RATE, (number + 2) * PART / RATE
        if found and found[-1].what == what and begin - found[-1].end < PARTED:
            found[-1] = found[-1]._replace(end=end)
        else:
            found.append(Piece(what, begin, end))
    return found


def line_of(samples: F64, tones: Mapping[str, Tone]) -> str:
    return " ".join(piece.what for piece in pieces(samples, tones))


def sound_of(packets: Iterable[tuple[float, bytes]]) -> F64:
    """What a telephone plays of these packets of PCMA, each with its time; where none comes it plays silence."""
    frames: list[F64] = []
    begun = None
    for time, payload in packets:
        if len(payload) != FRAME:  # a telephone-event
            continue
        begun = time if begun is None else begun
        missing = time - begun - len(frames) * FRAME / RATE
        if missing > LATE:
            frames += [np.zeros(FRAME)] * round(missing * RATE / FRAME)
        frames.append(decode_alaw(payload))
    return np.concatenate(frames) if frames else np.zeros(0)


def kinds(record: Mapping[str, str]) -> list[str]:
    """Of its segments, in order, without the choice of a route."""
    names = [each.split(" ")[0] for each in record["segments"].split(", ")]
    return [name for name in names if name != "route"]


def legs(switch: Switch, record: Mapping[str, str]) -> list[str]:
    """Whose dialogs it had, in the order in which they began: extensions by their number, trunks by their name."""
    lines = switch.run_here("cdr", "--config", str(switch.config), "--csv", "--legs").splitlines()
    found = [line for line in csv.DictReader(lines) if line["contact"] == record["contact"]]
    return [line["endpoint"] for line in sorted(found, key=lambda line: int(line["seq"]))]


def _end(stretch: Mapping[str, Any]) -> str:
    """The extension or trunk of whoever is on the channel."""
    who = stretch["who"]
    return str(who["extension"] if "extension" in who else who["trunk"])


class Recorded:
    """A recording that is over: its channels say what its timeline says."""

    def __init__(self, path: Path, tones: Mapping[str, Tone], channels: int, quiet: Collection[str] = ()) -> None:
        """`quiet`: who may be on a channel and not be heard on it, as they were muted."""
        self.content: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
        assert self.content["state"] == "ended"
        samples, rate = soundfile.read(str(path), always_2d=True)
        assert (rate, samples.shape[1]) == (RATE, channels)
        assert len(samples) / RATE == pytest.approx(self.content["seconds"], abs=0.05)
        self.stretches: list[dict[str, Any]] = self.content["stretches"]
        self._tones = tones
        self._quiet = quiet
        self.parts = [_parts(channel, tones) for channel in samples.T]
        self.channels = [line_of(channel, tones) for channel in samples.T]
        self._check()

    def _check(self) -> None:
        """Nobody is heard on a channel but those who are said to be on it then, and who is on it for long is heard."""
        for channel, parts in enumerate(self.parts):
            mine = [stretch for stretch in self.stretches if stretch["channel"] == channel]
            for number, what in enumerate(parts):
                begin, end = number * PART / RATE, (number + 1) * PART / RATE
                if any(abs(begin - edge) < EDGE for each in mine for edge in (each["from"], each["to"])):
                    continue
                there = {_end(each) for each in mine if each["from"] < end and begin < each["to"]}
                heard = {name.partition("/")[0] for name in what.split("+") if name in self._tones}
                assert heard <= there, f"channel {channel}, {begin:.1f} s: heard {what}, said {there}: {parts}"
            for each in mine:
                who, span = _end(each), slice(round(each["from"] * 10), round(each["to"] * 10) + 1)
                if who in self._tones and who not in self._quiet and each["to"] - each["from"] > 0.5:
                    names = {name.partition("/")[0] for what in parts[span] for name in what.split("+")}
                    assert who in names, f"{who} is not heard in {each}: {parts}"


class Recording(Recorded):
    """The only file of a record, whole."""

    def __init__(self, record: Mapping[str, str], tones: Mapping[str, Tone]) -> None:
        assert record["recording"], "the call was not recorded"
        assert ", " not in record["recording"], "one file"
        assert record["recording_failed"] == ""
        super().__init__(Path(record["recording"]), tones, 2)
        assert self.content["contact"] == record["contact"]
        assert self.content["seconds"] == pytest.approx(float(record["billsec"]), abs=0.5)


class Traces(NamedTuple):
    """What a record tells, and its recording: words with spaces between them."""

    segments: str
    legs: str
    customer: str  # what is on the first channel
    others: str

    @classmethod
    def of(cls, switch: Switch, record: Mapping[str, str], tones: Mapping[str, Tone]) -> Traces:
        segments, dialogs = " ".join(kinds(record)), " ".join(legs(switch, record))
        return cls(segments, dialogs, *Recording(record, tones).channels)


class Ears:
    """A capture of what the switch sends; `heard()` is to be asked when the calls are over."""

    def __init__(self, directory: Path, switch: Switch, tones: Mapping[str, Tone]) -> None:
        self._ports = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)
        sent = f"udp src portrange {self._ports.start}-{self._ports.stop - 1}"
        self._capture = Capture(directory / "audio.pcapng", sent)
        self._tones = tones
        self._streams: dict[tuple[int, int], list[tuple[float, bytes]]] | None = None

    def __enter__(self) -> Ears:
        self._capture.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._capture.stop()

    def heard(self, sipp: Sipp) -> str:
        """All that was sent to it in PCMA, one after the other."""
        return " ".join(piece.what for piece in self.heard_at(range(sipp.media_port, sipp.media_port + 1)))

    def heard_at(self, ports: range) -> list[Piece]:
        """All that was sent to these ports in PCMA, in one call after the other."""
        if self._streams is None:
            self._capture.stop()
            self._streams = self._capture.audio_from(self._ports)
        found = [packet for (_, to), packets in self._streams.items() if to in ports for packet in packets]
        return pieces(sound_of(sorted(found)), self._tones)
