"""Opus (RFC 6716, RFC 7587) by libopus: encoder and decoder of one row, in mono at the rate of its bus.

libopus converts between the rate of the bus and the bandwidth of the packets by itself: a fullband stereo packet comes
out as mono at 8000 Hz, and what is encoded at 8000 Hz is narrowband.
"""

from __future__ import annotations

import weakref
from ctypes import c_int, c_int32, c_void_p
from typing import Any, Final

import numpy as np

from media.codecs import libopus
from media.codecs.framed import I16, CodecError
from media.codecs.opus_parameters import OpusOptions

CLOCK: Final = 48000
"""RFC 7587 section 4.1: "The RTP timestamp is incremented with a 48000 Hz clock rate for all modes of Opus and all
sampling rates"."""
RATES: Final = (8000, 16000, 48000)
LONGEST: Final = 0.120
"""Seconds. RFC 6716 section 3.4: "no more than 120 ms of audio total"."""
MAX_PACKET: Final = 1275
"""Octets of one frame (RFC 6716 section 3.2.1); ours has one."""
UNSENT: Final = 2
"""Octets: opus_encode(3): "If the return value is 2 bytes or less, then the packet does not need to be transmitted"."""

# RFC 6716 section 3.1: configurations 16 to 31 are CELT, which has no redundancy. Those below have SILK frames of 10,
# 20, 40 and 60 ms (0-11), then hybrid ones of 10 and 20 ms (12-15); a SILK frame is 20 ms long at most.
_CELT: Final = 16
_SILK_FRAMES: Final = (1, 1, 2, 3) * 3 + (1, 1) * 2


class OpusCodec:
    """Codec of one row. `decode`, `conceal` and `recover` give a view of one buffer, good until the next of them.

    Native memory (50 kB) is freed by `close`, or with the object.
    """

    __slots__ = (
        "__weakref__",
        "_close",
        "_decode",
        "_decoder",
        "_encode",
        "_encoder",
        "_longest",
        "_packet",
        "_packet_at",
        "_pcm",
        "_pcm_at",
        "_step",
        "clock",
        "options",
        "rate",
    )

    def __init__(self, rate: int, options: OpusOptions) -> None:
        """Raises `CodecError` where libopus is missing or refuses."""
        if rate not in RATES:
            raise ValueError(f"Opus runs at 8000, 16000 or 48000 Hz here, not at {rate}")
        library = libopus.library()
        self.rate = rate
        self.clock = CLOCK
        self.options = options
        self._step = rate // 400  # libopus counts in 2.5 ms
        self._longest = int(rate * LONGEST)
        self._encode, self._decode = library.opus_encode, library.opus_decode
        failed = np.zeros(1, np.int32)
        at = failed.ctypes.data
        self._encoder: int | None = library.opus_encoder_create(rate, 1, libopus.APPLICATION_VOIP, at)
        self._decoder: int | None = library.opus_decoder_create(rate, 1, at)
        self._close = weakref.finalize(self, _free, library, self._encoder, self._decoder)
        if not self._encoder or not self._decoder:
            self.close()
            raise CodecError(f"libopus gives no codec: {libopus.reason(int(failed[0]))}")
        self._pcm: I16 = np.zeros(self._longest, np.int16)
        self._packet = np.zeros(MAX_PACKET, np.uint8)
        self._pcm_at, self._packet_at = self._pcm.ctypes.data, self._packet.ctypes.data
        self._configure(options)

    # -- received

    def decode(self, payload: bytes) -> I16:
        if not payload:
            # libopus takes it for a lost packet.
            raise CodecError("Opus payload without an octet")
        return self._decoded(payload, self._longest, 0)

    def conceal(self, samples: int) -> I16:
        """`samples`: a multiple of 2.5 ms, 120 ms at most."""
        return self._decoded(None, self._duration(samples), 0)

    def recover(self, following: bytes, samples: int) -> I16 | None:
        """As `FramedCodec`; `samples` a multiple of 2.5 ms, 120 ms at most. Where more was lost than the frame before
        `following`, what is older than that is concealed."""
        if not has_redundancy(following):
            return None
        return self._decoded(following, self._duration(samples), 1)

    def samples(self, payload: bytes) -> int:
        count: int = libopus.library().opus_packet_get_nb_samples(payload, len(payload), self.rate)
        return count if count > 0 else -1

    # -- sent

    def encode(self, frame: I16) -> bytes:
        """`frame`: 2.5, 5, 10, 20, 40 or 60 ms."""
        if self._encoder is None:
            raise CodecError("the Opus codec is closed")
        if frame.dtype != np.int16 or not frame.flags.c_contiguous:
            frame = np.ascontiguousarray(frame, np.int16)
        at = frame.__array_interface__["data"][0]
        length: int = self._encode(self._encoder, at, len(frame), self._packet_at, MAX_PACKET)
        if length < 0:
            raise ValueError(f"Opus takes no frame of {len(frame)} samples: {libopus.reason(length)}")
        if length <= UNSENT:
            return b""
        return self._packet[:length].tobytes()

    def expect_loss(self, percent: int) -> None:
        """Of the packets sent from now on: as the peer's reports say. Governs what is spent on FEC."""
        self._set(libopus.SET_PACKET_LOSS_PERC, min(max(percent, 0), 100))

    def close(self) -> None:
        self._encoder = self._decoder = None
        self._close()

    # -- private

    def _decoded(self, payload: bytes | None, room: int, redundancy: int) -> I16:
        if self._decoder is None:
            raise CodecError("the Opus codec is closed")
        length = len(payload) if payload else 0
        count: int = self._decode(self._decoder, payload, length, self._pcm_at, room, redundancy)
        if count < 0:
            raise CodecError(f"Opus payload of {length} octets: {libopus.reason(count)}")
        return self._pcm[:count]

    def _duration(self, samples: int) -> int:
        if not 0 < samples <= self._longest or samples % self._step:
            raise ValueError(f"Opus has no packet of {samples} samples at {self.rate} Hz")
        return samples

    def _configure(self, options: OpusOptions) -> None:
        bandwidth = max(rate for rate in libopus.BANDWIDTHS if rate <= max(options.bandwidth, 8000))
        for request, value in (
            (libopus.SET_BITRATE, options.bitrate),
            (libopus.SET_COMPLEXITY, options.complexity),
            (libopus.SET_MAX_BANDWIDTH, libopus.BANDWIDTHS[bandwidth]),
            (libopus.SET_VBR, not options.cbr),
            (libopus.SET_SIGNAL, libopus.SIGNAL_VOICE),
            (libopus.SET_INBAND_FEC, options.fec),
            (libopus.SET_PACKET_LOSS_PERC, options.expected_loss if options.fec else 0),
            (libopus.SET_DTX, options.dtx),
        ):
            self._set(request, int(value))

    def _set(self, request: int, value: int) -> None:
        if self._encoder is None:
            raise CodecError("the Opus codec is closed")
        library = libopus.library()
        code: int = library.opus_encoder_ctl(c_void_p(self._encoder), c_int(request), c_int32(value))
        if code < 0:
            raise ValueError(f"Opus encoder takes no {value} for {request}: {libopus.reason(code)}")


def _free(library: Any, encoder: int | None, decoder: int | None) -> None:
    if encoder:
        library.opus_encoder_destroy(encoder)
    if decoder:
        library.opus_decoder_destroy(decoder)


def has_redundancy(payload: bytes) -> bool:
    """The first frame of a packet holds a coarse copy of the audio before it (LBRR frames, RFC 6716 section 4.2.3).

    "The LP layer begins with two to eight header bits ... one VAD bit per frame (up to 3), followed by a single flag
    indicating the presence of LBRR frames. For a stereo packet, these first flags correspond to the mid channel, and a
    second set of flags is included for the side channel. ... they can be extracted directly from the most significant
    bits of the first byte of compressed data."
    """
    configuration = payload[0] >> 3 if payload else _CELT
    if configuration >= _CELT:
        return False
    at = _first_frame(payload)
    if not 0 < at < len(payload):
        return False
    flags = _SILK_FRAMES[configuration] + 1  # VAD bits, and the LBRR flag
    header = payload[at]
    mid = header >> (8 - flags) & 1
    side = header >> (8 - 2 * flags) & 1 if payload[0] & 4 else 0
    return bool(mid | side)


def _first_frame(payload: bytes) -> int:
    """Where the first frame begins (RFC 6716 section 3.2); 0 if the packet is too short to tell, or it has no octet."""
    code = payload[0] & 3
    at = 1
    frames = lengths = 0
    if code == 2:
        lengths = 1
    elif code == 3:
        # The second octet: variable sizes, padding, the number of frames (section 3.2.5).
        if len(payload) < 2:
            return 0
        head = payload[1]
        frames, at = head & 0x3F, 2
        if frames == 0:
            return 0
        if head & 0x40:
            # The padding itself is at the end; its length takes another octet after each 255.
            while at < len(payload) and payload[at] == 255:
                at += 1
            at += 1
        lengths = frames - 1 if head & 0x80 else 0
    for index in range(lengths):
        if at >= len(payload):
            return 0
        if index == 0 and payload[at] == 0:
            return 0  # "0: No frame (discontinuous transmission (DTX) or lost packet)"
        # Section 3.2.1: 252 to 255 mean that a second octet follows.
        at += 2 if payload[at] >= 252 else 1
    return at
