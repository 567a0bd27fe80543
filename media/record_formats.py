"""Samples to the octets of a file that can be played whenever its writer dies: WAV, Ogg-Opus. Pure.

WAV: the header is renewed after every block, so that it never tells of more than is there; what stands behind it is
at most the block that was being written. Beyond 4 GB the same header becomes that of RF64 (EBU Tech 3306): the room for
its sizes is a JUNK chunk until then.

Ogg (RFC 3533) needs no such care, as every page stands for itself, but a writer that gives out no page before the
next one is full loses it with what it holds back. So pages are ours, one a block; the codec is libopus.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final, Protocol

import av
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

WAV_HEADER: Final = 80
SAMPLE_OCTETS: Final = 2
RIFF_LIMIT: Final = 0xFFFFFFFF  # the largest size that a RIFF header can tell
PCM: Final = 1

FRAMES_PER_SECOND: Final = 50  # Opus frames of 20 ms
OPUS_CLOCK: Final = 48000  # RFC 7845 section 4: granule positions count 48 kHz samples whatever the input was
PAGE_SEGMENTS: Final = 255  # RFC 3533 section 6: "The maximum"
FIRST_PAGE: Final = 2
LAST_PAGE: Final = 4
VENDOR: Final = b"softswitch"
COMPLEXITY: Final = 3  # of 10; speech is worth no more: 10 costs half as much again


class AudioFormat(Protocol):
    """A file's octets in order: `head`, `encode` of blocks (channels, frames) of whole 20 ms, `tail`. `renewed` is
    what `head` must be replaced by after that; b"": nothing."""

    ending: str

    def head(self) -> bytes: ...
    def encode(self, block: Samples) -> bytes: ...
    def tail(self) -> bytes: ...
    def renewed(self) -> bytes: ...


class Wav:
    """16-bit PCM."""

    __slots__ = ("channels", "ending", "octets", "rate")

    def __init__(self, rate: int, channels: int) -> None:
        self.ending = "wav"
        self.rate = rate
        self.channels = channels
        self.octets = 0

    def head(self) -> bytes:
        align = self.channels * SAMPLE_OCTETS
        size = self.octets + WAV_HEADER - 8
        kind = struct.pack("<4sIHHIIHH", b"fmt ", 16, PCM, self.channels, self.rate, self.rate * align, align, 16)
        if size <= RIFF_LIMIT:
            start = struct.pack("<4sI4s4sI28x", b"RIFF", size, b"WAVE", b"JUNK", 28)
            return start + kind + struct.pack("<4sI", b"data", self.octets)
        # EBU Tech 3306: the 32-bit sizes are -1, and ds64 has those of the file, the data and the samples a channel.
        sizes = struct.pack("<QQQI", size, self.octets, self.octets // align, 0)
        start = struct.pack("<4sI4s4sI", b"RF64", 0xFFFFFFFF, b"WAVE", b"ds64", 28)
        return start + sizes + kind + struct.pack("<4sI", b"data", 0xFFFFFFFF)

    def encode(self, block: Samples) -> bytes:
        octets = block.T.astype("<i2", order="C").tobytes()
        self.octets += len(octets)
        return octets

    def tail(self) -> bytes:
        return b""

    def renewed(self) -> bytes:
        return self.head()


class OggOpus:
    """Opus in Ogg (RFC 7845). Left and right are two streams of one channel: customer and agent have nothing in
    common that a stereo codec could save, and at low rates it would put each into the other's ear."""

    __slots__ = ("_codec", "_granule", "_layout", "_page", "_rate", "_serial", "_skip", "channels", "ending")

    def __init__(self, rate: int, channels: int, bit_rate: int, serial: int) -> None:
        """`bit_rate`: bits per second of one channel. `serial`: of the Ogg stream, any 32 bits."""
        self.ending = "opus"
        self.channels = channels
        self._rate = rate
        self._serial = serial
        self._page = 0
        self._granule = 0
        self._layout = "stereo" if channels == 2 else "mono"
        codec = av.AudioCodecContext.create("libopus", "w")
        codec.sample_rate = rate
        codec.layout = self._layout
        codec.format = "s16"
        codec.bit_rate = bit_rate * channels
        codec.options = {
            "application": "voip",
            "frame_duration": "20",
            "compression_level": str(COMPLEXITY),
            "mapping_family": "255",  # every channel a stream of its own
        }
        codec.open()
        self._codec = codec
        (self._skip,) = struct.unpack_from("<H", codec.extradata or bytes(12), 10)

    def head(self) -> bytes:
        # RFC 7845 5.1, 5.1.1.2: family 1 with two channels is left and right, here of two streams, none coupled.
        head = struct.pack("<8sBBHIh", b"OpusHead", 1, self.channels, self._skip, self._rate, 0)
        head += bytes((1, 2, 0, 0, 1)) if self.channels == 2 else bytes(1)
        tags = struct.pack(f"<8sI{len(VENDOR)}sI", b"OpusTags", len(VENDOR), VENDOR, 0)
        return self._written([head], 0, FIRST_PAGE) + self._written([tags], 0)

    def encode(self, block: Samples) -> bytes:
        return self._pages(self._packets(block.T.reshape(1, -1)))

    def tail(self) -> bytes:
        """What the codec holds back, and the page that ends the stream: exactly after the last sample that went in."""
        length = self._granule + self._skip
        silence: list[bytes] = []
        if not self._granule:
            # A stream without a packet is none: one that plays for no time.
            silence = self._packets(np.zeros((1, self._rate // FRAMES_PER_SECOND * self.channels), np.int16))
        # RFC 7845 section 4: "The page with the 'end of stream' flag set MAY have a granule position that indicates the
        # page contains less audio data than would normally be returned by decoding every packet".
        return self._written(silence + list(map(bytes, self._codec.encode(None))), length, LAST_PAGE)

    def renewed(self) -> bytes:
        return b""

    def _packets(self, samples: Samples) -> list[bytes]:
        """Packets of interleaved samples (1, frames * channels) of whole 20 ms."""
        step = self._rate // FRAMES_PER_SECOND * self.channels
        packets: list[bytes] = []
        for begin in range(0, samples.shape[1], step):
            frame = av.AudioFrame.from_ndarray(samples[:, begin : begin + step], format="s16", layout=self._layout)
            frame.sample_rate = self._rate
            packets += map(bytes, self._codec.encode(frame))
        return packets

    def _pages(self, packets: list[bytes]) -> bytes:
        pages, room = b"", PAGE_SEGMENTS
        page: list[bytes] = []
        for packet in packets:
            segments = len(packet) // 255 + 1
            if segments > room:
                pages += self._written(page, self._granule)
                page, room = [], PAGE_SEGMENTS
            page.append(packet)
            room -= segments
            self._granule += OPUS_CLOCK // FRAMES_PER_SECOND
        return pages + self._written(page, self._granule)

    def _written(self, packets: list[bytes], granule: int, flags: int = 0) -> bytes:
        """One page of whole packets (RFC 3533 section 6)."""
        lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,)) for packet in packets)
        head = struct.pack("<4sBBqII", b"OggS", 0, flags, granule, self._serial, self._page)
        rest = bytes((len(lacing),)) + lacing + b"".join(packets)
        self._page += 1
        return head + struct.pack("<I", ogg_checksum(head + bytes(4) + rest)) + rest


def seconds_of(head: bytes, tail: bytes, size: int) -> float:
    """How much of a file of ours can be played, whenever its writer died. `head` and `tail`: its first and last octets,
    `size` its length; 0.0 where neither format can be made out."""
    if head[8:12] == b"WAVE" and len(head) >= WAV_HEADER:
        a_second = _number(head, 64, 4)
        octets = _number(head, 28, 8) if head[:4] == b"RF64" else _number(head, 76, 4)
        return min(octets, size - WAV_HEADER) / a_second if a_second else 0.0
    if head[:4] == b"OggS" and head[28:36] == b"OpusHead":
        return max(0, _last_granule(tail) - _number(head, 38, 2)) / OPUS_CLOCK
    return 0.0


def _number(octets: bytes, at: int, length: int) -> int:
    return int.from_bytes(octets[at : at + length], "little")


def _last_granule(tail: bytes) -> int:
    """The position that the last whole page tells; 0: there is none. RFC 3533 section 6."""
    at = len(tail)
    while (at := tail.rfind(b"OggS", 0, at)) >= 0:
        lacing = tail[at + 27 : at + 27 + tail[at + 26]] if at + 26 < len(tail) else b""
        page = tail[at : at + 27 + len(lacing) + sum(lacing)]
        whole = bool(lacing) and len(page) == 27 + len(lacing) + sum(lacing)
        if whole and ogg_checksum(page[:22] + bytes(4) + page[26:]) == _number(page, 22, 4):
            return _number(page, 6, 8)
    return 0


_MIRRORED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def ogg_checksum(page: bytes) -> int:
    """RFC 3533 section 6, 8: polynomial 0x04c11db7, initial value and final XOR 0. zlib has that polynomial with its
    bits mirrored, and all ones for both, which an initial value of all ones undoes."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
