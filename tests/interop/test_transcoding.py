"""Every pair of codecs between real phones: each phone has one codec alone, a tone and speech cross in both directions.

All calls are up at once, on one switch. What a phone sends is a file: a tone of 1 kHz, one of 5 kHz (only phones of the
wide band have it), and speech. What it hears is what baresip has decoded. Speech is judged by PESQ of the narrow band
(ITU-T P.862) at 8000 Hz, whatever the codec. A synthesiser's voice gets the noise of a room (-55 dBov): without it PESQ
compares its pauses with the steps of G.711.
"""

from __future__ import annotations

import os
import signal
import time
import wave
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from itertools import combinations_with_replacement
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from harness.audio import RATE, Tone, level_at
from harness.baresip import FORMAT_OF_CODEC, Phone
from harness.capture import Capture
from harness.switch import FOR_SIPP, RTP_PORTS, Switch
from harness.voices import spoken
from harness.waiting import wait_for
from pesq import pesq

from media.codecs import framed, table
from media.resample import convert
from softswitch.control import WorkerRow

pytestmark = pytest.mark.interop

F32 = npt.NDArray[np.float32]

CODECS = {codec: FORMAT_OF_CODEC[codec] for codec in ("PCMU", "PCMA", "G722", "opus")}
NARROW = ("PCMU", "PCMA")
PAIRS = tuple(combinations_with_replacement(CODECS, 2))
TEXT = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. These days are rare."
VOICES = ("flite:awb", "en+f3")
"""Of the caller and of the called one."""
ROOM = 60.0  # noise at -55 dBov: an office
TONE, WIDE = Tone(1000.0, -12.0), Tone(5000.0, -20.0)
# Seconds of what a phone sends: the tones and the speech begin there.
TONE_AT, WIDE_AT, SPEECH_AT = 1.0, 3.0, 4.5
TONE_SECONDS, WIDE_SECONDS = 1.5, 1.0
LEAST_OF_G711 = 4.0
WORSE = 0.3
"""So much less than the codec alone, in PESQ's points, may a call be."""


class Heard(NamedTuple):
    """What one phone of a call sent, and the other one heard."""

    sender: str  # codec
    receiver: str
    samples: F32  # at the receiver's rate, on the 16-bit scale
    rate: int


@cache
def speech_of(voice: str) -> F32:
    """At 8000 Hz, whole frames of 20 ms."""
    samples = spoken(TEXT, voice, 150)
    samples = samples[: len(samples) // 160 * 160]
    return samples + np.random.default_rng(1).normal(0, ROOM, len(samples)).astype(np.float32)


def write_microphone(path: Path, codec: str, speech: F32) -> float:
    """What a phone sends; its seconds, bar half a minute of silence for the rest of the call."""
    rate, channels = CODECS[codec]
    total = SPEECH_AT + len(speech) / RATE + 30.0
    samples = np.zeros(int(total * rate), np.float32)
    for tone, begin, seconds in ((TONE, TONE_AT, TONE_SECONDS), (WIDE, WIDE_AT, WIDE_SECONDS)):
        if tone.frequency < rate / 2:
            time = np.arange(int(seconds * rate)) / rate
            first = int(begin * rate)
            samples[first : first + len(time)] = (
                32767 * 10 ** (tone.level / 20) * np.sin(2 * np.pi * tone.frequency * time)
            )
    at_rate = convert(speech, RATE, rate)
    first = int(SPEECH_AT * rate)
    samples[first : first + len(at_rate)] = at_rate
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(np.rint(samples).astype("<i2").repeat(channels).tobytes())
    return SPEECH_AT + len(speech) / RATE


def extensions() -> dict[str, str]:
    """The codec of each extension: two for each pair."""
    codecs = [codec for pair in PAIRS for codec in pair]
    return {str(101 + index): codec for index, codec in enumerate(codecs)}


def listen(phone: Phone, sender: str, receiver: str) -> Heard:
    samples, rate = soundfile.read(str(phone.heard()), dtype="float32", always_2d=True)
    return Heard(sender, receiver, samples[:, 0] * np.float32(32768), rate)


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], list[Heard]]]:
    """All calls, at once: for each pair what crossed from caller to called, and the other way."""
    folder = tmp_path_factory.mktemp("transcoding")
    speeches = [speech_of(voice) for voice in VOICES]
    seconds = 0.0
    files = {}
    for codec in CODECS:
        for index, speech in enumerate(speeches):
            files[codec, index] = folder / f"{codec}-{index}.wav"
            seconds = max(seconds, write_microphone(files[codec, index], codec, speech))
    lines = [f'  "{number}": {{codecs: [{codec}]}}\n' for number, codec in extensions().items()]
    switch = Switch(folder, extensions=len(lines), extra=FOR_SIPP + "extensions:\n" + "".join(lines))
    with switch, ExitStack() as stack:
        phones = []
        for index, (number, codec) in enumerate(extensions().items()):
            microphone = files[codec, index % 2]
            phone = Phone(
                folder,
                number,
                switch.password(number),
                switch.address,
                TONE,
                codecs=(codec,),
                microphone=microphone,
            )
            phones.append(stack.enter_context(phone))
        pairs = [(phones[index], phones[index + 1]) for index in range(0, len(phones), 2)]
        for caller, called in pairs:
            caller.call(called.user)
        for call in pairs:
            for phone in call:
                phone.wait_event("CALL_ESTABLISHED", 20)
        switch.wait_calls(len(PAIRS))
        wait_for(
            lambda: min((call.talking or 0.0) for call in switch.status().calls) >= seconds + 1.0,
            f"{seconds:.1f} s of talk",
            seconds + 15,
        )
        for caller, called in pairs:
            caller.hang_up()
            called.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
        yield {
            pair: [
                listen(called, pair[0], pair[1]),
                listen(caller, pair[1], pair[0]),
            ]
            for pair, (caller, called) in zip(PAIRS, pairs, strict=True)
        }


def tones_of(call: Heard) -> tuple[float, float]:
    """dBFS of the two tones: in the middle of each, counted from where the first one is first heard."""
    frame = call.rate // 50
    begins = next(
        index for index in range(0, 3 * call.rate, frame) if level_of(call, index, index + frame, TONE) > TONE.level - 6
    )

    def middle(at: float, seconds: float, tone: Tone) -> float:
        first = begins + int((at - TONE_AT + 0.1) * call.rate)
        return level_of(call, first, first + int((seconds - 0.2) * call.rate), tone)

    return middle(TONE_AT, TONE_SECONDS, TONE), middle(WIDE_AT, WIDE_SECONDS, WIDE)


def level_of(call: Heard, first: int, last: int, tone: Tone) -> float:
    # What is measured in samples of another rate than 8000 Hz has its frequency in that measure too.
    return level_at(call.samples[first:last].astype(np.float64) / 32768, tone.frequency * RATE / call.rate)


def score(speech: F32, heard: F32) -> float:
    """PESQ of the narrow band, both at 8000 Hz, once what was heard is moved to where it fits best."""
    size = len(speech) + len(heard)
    fits = np.fft.irfft(np.conj(np.fft.rfft(speech, size)) * np.fft.rfft(heard, size), size)
    late = int(np.argmax(fits[: len(heard)]))
    part = heard[late : late + len(speech)]
    reference, degraded = (np.rint(np.clip(x, -32768, 32767)).astype(np.int16) for x in (speech[: len(part)], part))
    return float(pesq(RATE, reference, degraded, "nb"))


@cache
def alone(codec: str, voice: str, rate: int) -> float:
    """What the codec itself reaches, encoded and decoded on a bus of that rate."""
    speech = speech_of(voice)
    if codec in table.OCTETS:
        frames = np.rint(speech).astype(np.int16).reshape(-1, 160)
        return score(speech, table.decode(codec, table.encode(codec, frames)).reshape(-1).astype(np.float32))
    samples = np.rint(convert(speech, RATE, rate)).astype(np.int16)
    frames = samples[: len(samples) // (rate // 50) * (rate // 50)].reshape(-1, rate // 50)
    coder = framed(codec, rate)
    heard = np.concatenate([coder.decode(coder.encode(frame)).copy() for frame in frames])
    coder.close()
    return score(speech, convert(heard.astype(np.float32), rate, RATE))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_tone_and_speech_cross_both_ways(calls: dict[tuple[str, str], list[Heard]], pair: tuple[str, str]) -> None:
    for call, voice in zip(calls[pair], VOICES, strict=True):
        assert call.rate == CODECS[call.receiver][0]
        narrow = not {call.sender, call.receiver}.isdisjoint(NARROW)
        low, high = tones_of(call)
        reached = score(speech_of(voice), convert(call.samples, call.rate, RATE))
        best = min(alone(codec, voice, 8000 if narrow else 16000) for codec in pair)
        print(f"{call.sender} to {call.receiver}: {low:.2f} and {high:.2f} dBFS, PESQ {reached:.2f}, alone {best:.2f}")
        assert low == pytest.approx(TONE.level, abs=1.0)
        if not narrow:
            assert high == pytest.approx(WIDE.level, abs=1.0)
        if set(pair) <= set(NARROW):
            assert reached >= LEAST_OF_G711
        assert reached >= best - WORSE


def workers(switch: Switch) -> list[WorkerRow]:
    return switch.status().media.workers


def test_a_transcoded_call_outlives_hold_and_the_death_of_its_process(tmp_path: Path) -> None:
    """PCMU and PCMA, read off the wire: both are heard after each hold, and after the call has moved."""
    ends = {"101": ("PCMU", Tone(440.0, -12.0)), "102": ("PCMA", Tone(1000.0, -18.0))}
    lines = "".join(f'  "{number}": {{codecs: [{codec}]}}\n' for number, (codec, _) in ends.items())
    extra = f"{FOR_SIPP}media: {{workers: 1}}\nextensions:\n{lines}"
    switch = Switch(tmp_path, extra=extra, expected_errors=("media worker lost",))
    ports = range(switch.first_rtp_port, switch.first_rtp_port + RTP_PORTS)

    def talk_on(seconds: float) -> float:
        until = (switch.status().calls[0].talking or 0) + seconds
        wait_for(lambda: (switch.status().calls[0].talking or 0) >= until, f"{seconds:g} s more of talk")
        return time.time()

    with (
        Capture(tmp_path / "call.pcapng", f"udp portrange {ports.start}-{ports.stop - 1}") as capture,
        switch,
        ExitStack() as stack,
    ):
        anna, ben = (
            stack.enter_context(Phone(tmp_path, number, switch.password(number), switch.address, tone, codecs=(codec,)))
            for number, (codec, tone) in ends.items()
        )
        anna.call("102")
        for phone in (anna, ben):
            phone.wait_event("CALL_ESTABLISHED")
        switch.wait_calls(1)
        spoken_until = [talk_on(1.5)]
        for phone in (anna, ben):
            phone.press("hold")
            wait_for(lambda: switch.status().calls[0].state == "on hold", "on hold")
            talk_on(0.5)
            phone.press("resume")
            wait_for(lambda: switch.status().calls[0].state != "on hold", "no longer on hold")
            spoken_until.append(talk_on(1.5))
        [worker] = workers(switch)
        os.kill(worker.process, signal.SIGKILL)
        wait_for(lambda: [(w.restarts, w.linked, w.streams) for w in workers(switch)] == [(1, True, 2)], "moved")
        spoken_until.append(talk_on(2.0))
        anna.hang_up()
        ben.wait_event("CALL_CLOSED")
        switch.wait_calls(0)
    streams = capture.audio_from(ports)
    for receiver, sender in ((anna, ben), (ben, anna)):
        codec, tone = ends[receiver.user][0], sender.tone
        packets = sorted(p for (_, to), each in streams.items() if to in receiver.rtp_ports for p in each)
        assert packets
        last = packets[-1][0]
        for until in spoken_until:
            # The capture's clock begins with its first packet: counted from the end of the call.
            end = last - (spoken_until[-1] - until)
            part = b"".join(payload for time_, payload in packets if end - 1.0 <= time_ < end - 0.1)
            samples = table.decode(codec, np.frombuffer(part, np.uint8)).astype(np.float64) / 32768
            level = level_at(samples, tone.frequency)
            print(f"{receiver.user} hears {len(samples) / RATE:.2f} s of {level:.2f} dBFS")
            assert len(samples) > 0.8 * RATE
            assert level == pytest.approx(tone.level, abs=1.0)
