"""libopus through ctypes: where it is found, and the functions of its C interface that we call."""

from __future__ import annotations

import ctypes
from ctypes import c_char_p, c_int, c_int32, c_void_p
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from media.codecs.framed import CodecError

SYSTEM: Final = ("libopus.so.0", "libopus.0.dylib", "opus.dll", "libopus-0.dll")

# opus_defines.h
APPLICATION_VOIP: Final = 2048
SIGNAL_VOICE: Final = 3001
BANDWIDTHS: Final[dict[int, int]] = {8000: 1101, 12000: 1102, 16000: 1103, 24000: 1104, 48000: 1105}
"""OPUS_BANDWIDTH_* by the sampling rate that each needs (RFC 6716 table 1)."""
SET_BITRATE: Final = 4002
SET_MAX_BANDWIDTH: Final = 4004
SET_VBR: Final = 4006
SET_COMPLEXITY: Final = 4010
SET_INBAND_FEC: Final = 4012
SET_PACKET_LOSS_PERC: Final = 4014
SET_DTX: Final = 4016
SET_SIGNAL: Final = 4024

_SIGNATURES: Final = {
    "opus_get_version_string": (c_char_p, ()),
    "opus_strerror": (c_char_p, (c_int,)),
    "opus_encoder_create": (c_void_p, (c_int32, c_int, c_int, c_void_p)),
    "opus_encoder_destroy": (None, (c_void_p,)),
    "opus_encode": (c_int32, (c_void_p, c_void_p, c_int, c_void_p, c_int32)),
    "opus_decoder_create": (c_void_p, (c_int32, c_int, c_void_p)),
    "opus_decoder_destroy": (None, (c_void_p,)),
    "opus_decode": (c_int, (c_void_p, c_char_p, c_int32, c_void_p, c_int, c_int)),
    "opus_packet_get_nb_samples": (c_int, (c_char_p, c_int32, c_int32)),
}


@cache
def library() -> ctypes.PyDLL:
    """libopus: the one that the wheel of PyAV brings (its version is pinned with ours), else the system's.

    PyDLL keeps the interpreter's lock: a call takes less than giving the lock away and waiting to have it back may.
    Raises `CodecError` where there is none.
    """
    for name in (*_bundled(), *SYSTEM):
        try:
            found = ctypes.PyDLL(name)
            for function, (result, arguments) in _SIGNATURES.items():
                entry = getattr(found, function)
                entry.restype, entry.argtypes = result, arguments
        except (OSError, AttributeError):
            continue  # not there, or not the library it is named for: the next one
        # Variadic: no argument types. Whoever calls it passes ctypes values.
        found.opus_encoder_ctl.restype = c_int
        return found
    raise CodecError("libopus is not found: install the `av` wheel, or the system's package (Debian: libopus0)")


def _bundled() -> list[str]:
    """What auditwheel put beside the package `av`. The package is looked up, not imported: it is a large one."""
    spec = find_spec("av")
    places = [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []
    return [
        str(path)
        for place in places
        for folder, pattern in ((place.parent / "av.libs", "libopus-*.so*"), (place / ".dylibs", "libopus*.dylib"))
        for path in sorted(folder.glob(pattern))
    ]


def available() -> bool:
    try:
        library()
    except CodecError:
        return False
    return True


def version() -> str:
    text: bytes = library().opus_get_version_string()
    return text.decode("ascii", "replace")


def reason(code: int) -> str:
    """What a negative result means."""
    text: bytes = library().opus_strerror(code)
    return text.decode("ascii", "replace")
