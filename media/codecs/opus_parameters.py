"""Opus in SDP (RFC 7587): what the peer's `a=fmtp` asks of our encoder, and the one we write. Pure functions."""

from __future__ import annotations

from typing import Final

import msgspec

from media.codec import parameters

BITRATES: Final[dict[int, tuple[int, int]]] = {8000: (24000, 30000), 16000: (24000, 32000), 48000: (32000, 40000)}
"""Bits per second by bus rate: without FEC, and with it. RFC 7587 section 3.1.1 has 8 to 12 kbit/s for narrowband
speech, 16 to 20 for wideband, 28 to 40 for fullband. More here, as bits are cheaper than the time of a higher
complexity, and FEC has to have room: libopus leaves it out where the rate is too low (8000 Hz: below about 22000).
Speech of four voices at 8000 Hz comes to a PESQ of 4.45 to 4.49 at 24 kbit/s, 4.39 to 4.45 at 18; a steady tone, which
is no speech to it, has side tones of -37 dB at worst, -32 at 18."""
COMPLEXITY: Final = 1
"""0 to 10. Speech of four synthetic voices at 16000 Hz and 24 kbit/s with FEC: PESQ 3.2 at 1, 3.3 at 2 and 3.6 at 4,
where a frame takes 2.7 and 3.6 times as long; 32 kbit/s at 1 is 3.7."""
EXPECTED_LOSS: Final = 10
"""Percent of packets that may be lost, before reports say how many are: with less, libopus makes next to no FEC."""

_BITRATES: Final = range(6000, 510001)
_RATES: Final = range(8000, 48001)
_TIMES: Final = range(3, 121)


class OpusOptions(msgspec.Struct, frozen=True, gc=False):
    """How one row is encoded. Mono always: `stereo` says that the peer would like two channels (RFC 7587 section 6.1
    makes that a preference, not a need), and is not followed."""

    bitrate: int
    """Bits per second, on average."""
    complexity: int = COMPLEXITY
    bandwidth: int = 48000
    """The sampling rate in Hz beyond whose half nothing need be sent (`maxplaybackrate`)."""
    fec: bool = False
    """Put a coarse copy of each frame into the packet after it."""
    expected_loss: int = EXPECTED_LOSS
    """Percent; how much is spent on FEC."""
    dtx: bool = False
    """Send nothing while there is nothing to say."""
    cbr: bool = False
    stereo: bool = False
    ptime: int = 0
    """Milliseconds of a packet that the peer asks for; 0: it does not."""
    minptime: int = 0


def options(fmtp: str, rate: int, bitrate: int = 0, complexity: int = COMPLEXITY) -> OpusOptions:
    """What the peer's parameters ask of an encoder at bus rate `rate`, which has `bitrate` if that is given.

    A value that makes no sense counts as not written: "Any positive integer is allowed, but values outside the range
    6000 to 510000 SHOULD be ignored" (RFC 7587 section 6.1, maxaveragebitrate).
    """
    given = parameters(fmtp)
    fec = given.get("useinbandfec") == "1"
    top = _number(given, "maxaveragebitrate", _BITRATES)
    wanted = bitrate or BITRATES[rate][fec]
    return OpusOptions(
        bitrate=min(wanted, top) if top else wanted,
        complexity=complexity,
        bandwidth=min(_number(given, "maxplaybackrate", _RATES) or rate, rate),
        fec=fec,
        dtx=given.get("usedtx") == "1",
        cbr=given.get("cbr") == "1",
        stereo=given.get("stereo") == "1",
        ptime=_number(given, "ptime", _TIMES),
        minptime=_number(given, "minptime", _TIMES),
    )


def fmtp(rate: int, fec: bool = True, dtx: bool = False, bitrate: int = 0) -> str:
    """Our own parameters where the bus runs at `rate`: what we would like to receive. `bitrate` 0: no limit. The
    defaults of RFC 7587 are left out, 48000 Hz and mono among them."""
    parts = []
    if rate < 48000:
        # Bits for what lies above would be thrown away here.
        parts += [f"maxplaybackrate={rate}", f"sprop-maxcapturerate={rate}"]
    if bitrate:
        parts.append(f"maxaveragebitrate={bitrate}")
    if fec:
        parts.append("useinbandfec=1")
    if dtx:
        parts.append("usedtx=1")
    return ";".join(parts)


def _number(given: dict[str, str], name: str, allowed: range) -> int:
    """A parameter's value, 0 if there is none or none that is allowed."""
    text = given.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        return 0
    value = int(text)
    return value if value in allowed else 0
