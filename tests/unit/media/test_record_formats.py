"""What is in a file: WAV and RF64 headers, Ogg pages, Opus that keeps channels apart and ends where it shall."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from media import record_formats
from media.record_formats import WAV_HEADER, AudioFormat, OggOpus, Wav, ogg_checksum

Samples = npt.NDArray[np.int16]


def tones(rate: int, seconds: float, *hertz: float) -> Samples:
    """(channels, frames)"""
    time = np.arange(int(rate * seconds)) / rate
    return np.array([np.sin(2 * np.pi * f * time) * 8000 for f in hertz]).astype(np.int16)


def file_of(audio: AudioFormat, samples: Samples, rate: int, block_seconds: float = 1.0, tail: bool = True) -> bytes:
    octets = audio.head()
    step = int(rate * block_seconds)
    for begin in range(0, samples.shape[1], step):
        octets += audio.encode(samples[:, begin : begin + step])
    if tail:
        octets += audio.tail()
    renewed = audio.renewed()
    return renewed + octets[len(renewed) :]


def strength(samples: npt.NDArray[np.float64], hertz: float, rate: int) -> float:
    """The amplitude of a tone in the middle second."""
    begin = (len(samples) - rate) // 2
    return float(np.abs(np.fft.rfft(samples[begin : begin + rate]))[round(hertz)] * 2 / rate)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_wav_is_what_went_in(rate: int, channels: int) -> None:
    samples = tones(rate, 1.5, *(400, 900)[:channels])
    octets = file_of(Wav(rate, channels), samples, rate)
    assert len(octets) == WAV_HEADER + samples.nbytes
    read, read_rate = soundfile.read(io.BytesIO(octets), dtype="int16", always_2d=True)
    assert read_rate == rate
    assert np.array_equal(read.T, samples)


def test_a_wav_without_samples() -> None:
    read, _ = soundfile.read(io.BytesIO(file_of(Wav(8000, 2), np.zeros((2, 0), np.int16), 8000)), always_2d=True)
    assert read.shape == (0, 2)


def test_beyond_4_gb_the_header_is_that_of_rf64(tmp_path: Path) -> None:
    """EBU Tech 3306: the JUNK chunk becomes ds64. The file is a sparse one."""
    wav = Wav(48000, 2)
    wav.octets = record_formats.RIFF_LIMIT - WAV_HEADER + 8 - 3  # the last whole frame that RIFF can tell
    assert wav.head()[:4] == b"RIFF"
    at = wav.octets
    tail = wav.encode(tones(48000, 1.0, 400, 900))
    head = wav.renewed()
    assert head[:4] == b"RF64"
    assert len(head) == WAV_HEADER
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(head)
        file.seek(WAV_HEADER + at)
        file.write(tail)
    info = soundfile.info(str(path))
    assert info.format == "RF64"
    assert info.frames == at // 4 + 48000
    with soundfile.SoundFile(str(path)) as sound:
        sound.seek(info.frames - 48000)
        assert np.array_equal(sound.read(dtype="int16").T, tones(48000, 1.0, 400, 900))


def test_opus_begins_as_rfc_7845_5_1_says() -> None:
    """ "The identification header packet ... MUST ... reside alone on the first page"; tags on the second."""
    octets = OggOpus(8000, 2, 20000, 0x01020304).head()
    pages = pages_of(octets)
    assert [flags for flags, _, _ in pages] == [2, 0]
    head, tags = (body for _, _, body in pages)
    assert head[:8] == b"OpusHead"
    version, channels, skip, rate, gain, family = struct.unpack("<BBHIhB", head[8:19])
    assert (version, channels, rate, gain, family) == (1, 2, 8000, 0, 1)
    assert skip > 0
    assert head[19:] == bytes((2, 0, 0, 1))
    assert tags[:8] == b"OpusTags"


def pages_of(octets: bytes) -> list[tuple[int, int, bytes]]:
    """(flags, granule position, content) of pages whose checksums are right and whose numbers follow each other."""
    pages = []
    while octets:
        assert octets[:4] == b"OggS"
        flags, granule, _, number, checksum, segments = struct.unpack("<BqIIIB", octets[5:27])
        size = 27 + segments + sum(octets[27 : 27 + segments])
        page, octets = octets[:size], octets[size:]
        assert number == len(pages)
        assert checksum == checksum_bit_by_bit(page[:22] + bytes(4) + page[26:])
        pages.append((flags, granule, page[27 + segments :]))
    return pages


def checksum_bit_by_bit(octets: bytes) -> int:
    """As RFC 3533 describes it."""
    register = 0
    for octet in octets:
        register ^= octet << 24
        for _ in range(8):
            register = register << 1 ^ (0x104C11DB7 if register & 0x80000000 else 0)
    return register


def test_the_checksum_of_pages() -> None:
    assert ogg_checksum(b"") == 0
    for text in (b"\x01", b"OggS", bytes(range(256))):
        assert ogg_checksum(text) == checksum_bit_by_bit(text)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_opus_is_exactly_as_long_as_what_went_in(rate: int, channels: int, tmp_path: Path) -> None:
    samples = tones(rate, 2.36, *(400, 900)[:channels])
    octets = file_of(OggOpus(rate, channels, 20000, 7), samples, rate)
    pages = pages_of(octets)
    assert pages[-1][0] == 4  # end of stream
    path = tmp_path / "a.opus"
    path.write_bytes(octets)
    read, read_rate = soundfile.read(str(path), always_2d=True)
    assert len(read) * rate == samples.shape[1] * read_rate
    assert read.shape[1] == channels


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
def test_opus_keeps_left_and_right_apart(rate: int, tmp_path: Path) -> None:
    """At the lowest rate, too, where a coupled pair would be nearly mono."""
    path = tmp_path / "a.opus"
    path.write_bytes(file_of(OggOpus(rate, 2, 12000, 7), tones(rate, 3.0, 400, 900), rate))
    read, read_rate = soundfile.read(str(path))
    left, right = read[:, 0] * 32768, read[:, 1] * 32768
    assert strength(left, 400, read_rate) == pytest.approx(8000, rel=0.15)
    assert strength(right, 900, read_rate) == pytest.approx(8000, rel=0.15)
    assert strength(left, 900, read_rate) < 80  # -40 dB
    assert strength(right, 400, read_rate) < 80


def test_opus_without_its_end_plays_to_the_last_page(tmp_path: Path) -> None:
    samples = tones(8000, 3.0, 400, 900)
    octets = file_of(OggOpus(8000, 2, 20000, 7), samples, 8000, tail=False)
    path = tmp_path / "a.opus"
    path.write_bytes(octets[:-10])  # killed while the third page was written
    read, rate = soundfile.read(str(path))
    assert 1.98 <= len(read) / rate <= 2.0


def test_opus_without_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    path.write_bytes(file_of(OggOpus(8000, 1, 20000, 7), np.zeros((1, 0), np.int16), 8000))
    assert soundfile.info(str(path)).frames == 0


def test_a_page_that_is_full_is_followed_by_another() -> None:
    """255 segments are the most: a hundred packets of 20 ms at 128 kbit/s a channel have more."""
    noise = np.random.default_rng(1).integers(-30000, 30000, (2, 96000)).astype(np.int16)
    audio = OggOpus(48000, 2, 128000, 7)
    pages = pages_of(audio.head() + audio.encode(noise) + audio.tail())
    assert len(pages) > 4
    granules = [granule for _, granule, _ in pages]
    assert granules == sorted(granules)
    assert granules[-2] == 96000
