"""What callers hear whom the switch itself answers: tones, files, speech and music, measured in a real phone's ear."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from harness.audio import FRAME, RATE, Tone, level_at, read_wave, write_tone
from harness.baresip import Phone
from harness.switch import FOR_SIPP, Switch
from harness.waiting import wait_for

pytestmark = pytest.mark.interop

F64 = npt.NDArray[np.float64]

SILENT = Tone(500.0, -90.0)
CHIME = Tone(800.0, -15.0)
NOTHING = ("nothing played",)
ROUTES = (
    '{to: "*50", answer_and_play: [{tone: busy, country: de, seconds: 1.2}, {silence: 500ms}, {file: chime}]}',
    '{to: "*51", answer_and_play: [{say: "{caller}"}, {silence: 700ms}, {speech: "Good morning"}, {file: chime}]}',
    '{to: "*52", answer_and_music: default}',
    '{to: "*53", answer_and_play: [{file: chime}, {file: missing}, {file: chime}]}',
    '{to: "*54", answer_and_play: [{file: garbage}]}',
)


class Caller:
    """A phone that calls one number after the other and listens."""

    def __init__(self, switch: Switch, phone: Phone) -> None:
        self._switch = switch
        self._phone = phone

    def hear(self, number: str, hang_up_after: float = 0.0) -> F64:
        """All that is heard until the switch hangs up, or the phone after so many seconds."""
        since = len(self._phone.events())
        self._phone.call(number)
        self._phone.wait_event("CALL_ESTABLISHED", since=since)
        if hang_up_after:
            wait_for(lambda: (self._switch.status().calls[0].talking or 0) >= hang_up_after, "the time to hang up")
            self._phone.hang_up()
        self._phone.wait_event("CALL_CLOSED", 20, since=since)
        self._switch.wait_calls(0)
        return read_wave(self._phone.heard())


def loud(samples: F64, gap: float = 0.3) -> list[tuple[float, float]]:
    """Begin and length in seconds of what is no silence; shorter gaps are in it."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    there = np.flatnonzero(np.sqrt(np.mean(frames**2, axis=1)) > 10 ** (-50 / 20))
    parts = np.split(there, np.flatnonzero(np.diff(there) > gap * 50) + 1)
    return [(part[0] / 50, (part[-1] + 1 - part[0]) / 50) for part in parts if part.size]


def level(samples: F64, begin: float, seconds: float, tone: Tone) -> float:
    """dBFS of the tone within that part, its edges left out."""
    return level_at(samples[int((begin + 0.04) * RATE) : int((begin + seconds - 0.04) * RATE)], tone.frequency)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_callers_hear(tmp_path: Path, workers: int) -> None:
    extra = FOR_SIPP + f"media: {{workers: {workers}}}\n"
    switch = Switch(tmp_path, routes_of_own=ROUTES, extra=extra, expected_errors=NOTHING)
    prompts = switch.config / "prompts"
    prompts.mkdir(exist_ok=True)
    write_tone(prompts / "chime.wav", CHIME, 1.0, 16000)
    (prompts / "garbage.wav").write_bytes(b"RIFF but no sound" * 20)
    with switch, Phone(tmp_path, "101", switch.password("101"), switch.address, SILENT) as anna:
        caller = Caller(switch, anna)
        check_tone_and_file(caller.hear("*50"))
        check_speech(caller.hear("*51"))
        check_music(caller.hear("*52", hang_up_after=3.0))
        # What comes before the missing file is heard.
        [(begin, length)] = loud(samples := caller.hear("*53"))
        assert level(samples, begin, min(length, 1.0), CHIME) == pytest.approx(CHIME.level, abs=1.0)
        assert loud(caller.hear("*54")) == []
        records = wait_for(lambda: len(found := switch.cdrs()) == 5 and found[::-1], "five records")
    assert [(record["dialled"], record["cause"], record["ended_by"]) for record in records] == [
        ("*50", "16", "switch"),
        ("*51", "16", "switch"),
        ("*52", "16", "caller"),
        ("*53", "41", "media"),
        ("*54", "41", "media"),
    ]
    lines = [json.loads(line) for line in switch.log().splitlines() if "nothing played" in line]
    assert [line["contact"] for line in lines] == [record["contact"] for record in records[3:]]
    assert "sound file 'missing' was not found" in lines[0]["why"]
    assert "garbage.wav: can't be decoded" in lines[1]["why"]


def check_tone_and_file(samples: F64) -> None:
    """Two beats of the busy tone (480 ms each, as far apart), half a second of nothing, a second of the file."""
    (first, _), (second, _), (chime, length) = loud(samples)
    print(f"busy at {first} and {second} s, chime at {chime} s for {length} s")
    assert second - first == pytest.approx(0.96, abs=0.05)
    assert chime - first == pytest.approx(1.7, abs=0.05)
    assert length == pytest.approx(1.0, abs=0.05), "the end of a file is heard"
    for begin in (first, second):
        levels = {frequency: level(samples, begin, 0.24, Tone(frequency, 0.0)) for frequency in (350, 425, 500)}
        assert max(levels, key=levels.__getitem__) == 425, levels
        assert levels[425] > -20
    assert level(samples, chime, length, CHIME) == pytest.approx(CHIME.level, abs=1.0)


def check_speech(samples: F64) -> None:
    """Digits spoken, a pause, a greeting that ends in the file."""
    (digits, said), (then, greeting) = loud(samples, 0.6)
    print(f"digits for {said} s, speech and chime for {greeting} s")
    assert digits < 1.0
    assert 0.5 < said < 3.0
    assert 1.3 < greeting < 4.0
    end = then + greeting
    assert level(samples, end - 0.9, 0.9, CHIME) == pytest.approx(CHIME.level, abs=1.0)


def check_music(samples: F64) -> None:
    (begin, length), *more = loud(samples)
    rms = 20 * np.log10(np.sqrt(np.mean(samples[int(begin * RATE) :] ** 2)))
    print(f"music from {begin} s on, at {rms:.1f} dBFS")
    assert not more
    assert begin < 1.0
    assert length > 1.8
    assert -45 < rms < -15
