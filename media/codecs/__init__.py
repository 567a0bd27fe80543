"""Codecs: payloads to samples and back.

What there is, by the encoding name and clock of SDP. Names are compared without case.

    table    no memory: all rows of a codec at once                     codecs/table.py
    framed   an object for each row, at the rate of the row's bus       codecs/framed.py g722.py opus.py
    noise    what is played while nothing is sent                       codecs/comfort_noise.py
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from media.codecs import libopus
from media.codecs.framed import CodecError, FramedCodec
from media.codecs.g722 import G722Codec
from media.codecs.l16 import L16Codec
from media.codecs.opus import OpusCodec
from media.codecs.opus_parameters import options

__all__ = ["CodecError", "CodecTraits", "FramedCodec", "can_transcode", "framed", "traits"]


class CodecTraits(msgspec.Struct, frozen=True, gc=False):
    """One codec. `rate`: the highest bus rate in Hz at which it has anything to gain.

    `ie`, `bpl`: equipment impairment and packet-loss robustness of the E-model, on the scale of ITU-T G.107 (R of 93.2
    without an impairment): Ie,eff = Ie + (95 - Ie) * Ppl / (Ppl + Bpl), Ppl in percent *after* what FEC has recovered.
    """

    name: str
    clock: int
    kind: Literal["table", "framed", "noise"]
    rate: int
    ie: float = 0.0
    bpl: float = 25.1


# G.711: ITU-T G.113 Appendix I: Ie 0, Bpl 25.1 with concealment (4.3 without). L16 errs less, and is concealed by the
# same means.
#
# Wideband codecs have their figures on wider scales, R up to 129 (G.107.1) or 148 (G.107.2), of which R/1.29 and R/1.48
# give the opinion score. The figures here have the same score and, at little loss, the same slope on the scale of
# G.107: Ie = 93.2 - (R0 - Ie,w) / s and Bpl = Bpl,w * s * (95 - Ie) / (95 - Ie,w), where s is R0 / 100.
#   G.722 at 64 kbit/s: Ie,w 13 of 129 (planning values of G.113 for G.107.1). For Bpl,w, which depends on a concealment
#   that is ours, 4.9 is taken: that of G.722.2, a wideband codec with one, in the same place.
#   Opus at 25 kbit/s, variable rate, superwideband: Ie,w 20.2 and Bpl,w 11.28 for random loss, taken as of 148
#   (M. Alahmadi, P. Pocta, H. Melvin, "An Adaptive Bitrate Switching Algorithm for Speech Applications in Context of
#   WebRTC", ACM TOMM 17(4), 2021).
_CODECS: Final = (
    CodecTraits("PCMU", 8000, "table", 8000),
    CodecTraits("PCMA", 8000, "table", 8000),
    CodecTraits("L16", 8000, "table", 8000),
    CodecTraits("L16", 16000, "framed", 16000),
    CodecTraits("G722", 8000, "framed", 16000, 3.3, 7.1),
    CodecTraits("opus", 48000, "framed", 48000, 6.8, 19.7),
    CodecTraits("CN", 8000, "noise", 8000),
)
_BY_NAME: Final = {(codec.name.lower(), codec.clock): codec for codec in _CODECS}


def traits(name: str, clock: int) -> CodecTraits | None:
    """What we know of a codec, None if we have none of that name and clock."""
    return _BY_NAME.get((name.lower(), clock))


def can_transcode(name: str, clock: int) -> bool:
    """We can decode and encode the voice in it. False for comfort noise, which carries none, and for Opus where libopus
    is missing."""
    found = traits(name, clock)
    if found is None or found.kind == "noise":
        return False
    return found.name != "opus" or libopus.available()


def framed(name: str, rate: int, fmtp: str = "") -> FramedCodec:
    """A codec of one row on a bus of `rate`, encoding as the peer's `a=fmtp` asks. `CodecError` where libopus is
    missing, `ValueError` for a name that is no framed codec or a rate that it does not run at."""
    match name.lower():
        case "g722":
            return G722Codec(rate)
        case "l16":
            return L16Codec(rate)
        case "opus":
            if rate not in (8000, 16000, 48000):
                raise ValueError(f"Opus runs at 8000, 16000 or 48000 Hz here, not at {rate}")
            return OpusCodec(rate, options(fmtp, rate))
    raise ValueError(f"{name} is no codec with memory: those are G722, opus and L16 of 16000 Hz")
