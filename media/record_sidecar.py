"""The JSON beside a recording: what it is of, and who is on which channel from when to when. Pure.

    {"file": "20261126T140300Z-...wav", "state": "ended", "contact": "...",
     "call": {"caller": "101", "dialled": "102", "started": "2026-11-26T14:02:51.000+00:00"},
     "recording": 7, "started": "2026-11-26T14:03:00.250+00:00", "seconds": 12.5, ...
     "stretches": [{"channel": 0, "from": 0.0, "to": 12.5, "stream": 5, "who": {"role": "caller", "number": "101"}}],
     "pauses": [[3.0, 4.5]]}

What `call` and `who` say came as labels with the commands. Times are seconds of the file; what lasts still, of a
recording that is being written, ends at null.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from media.audio_commands import LABEL_PAIRS, LABEL_TEXT, Label
from media.recorder import Description

CONTACT_IN_DESCRIPTION: Final = 256
WRITER_GONE: Final = "its writer ended before it did"


class SidecarError(ValueError):
    """Not the JSON of a recording: one line that says why."""


class SidecarStretch(msgspec.Struct):
    """One stream on one channel."""

    channel: int
    begin: float = msgspec.field(name="from")
    end: float | None = msgspec.field(name="to")
    stream: int
    who: dict[str, str]


class Sidecar(msgspec.Struct, omit_defaults=True):
    """The whole of it. `state` interrupted: the writer died, and whoever came next has found the file."""

    file: str
    state: Literal["recording", "ended", "failed", "interrupted"]
    contact: str
    call: dict[str, str]
    recording: int
    started: str
    seconds: float
    format: Literal["wav", "opus"]
    rate: int
    channels: int
    stretches: list[SidecarStretch]
    pauses: list[tuple[float, float | None]]
    why: str = ""


_decode = msgspec.json.Decoder(Sidecar).decode


def sidecar(description: Description, file: str, started: str) -> bytes:
    """The octets. `started`: the time of the first sample (ISO 8601)."""
    d = description
    made = Sidecar(
        file=file,
        state=d.state,
        contact=d.contact[:CONTACT_IN_DESCRIPTION],
        call=_texts(d.label),
        recording=d.recording,
        started=started,
        seconds=d.seconds,
        format=d.format,
        rate=d.rate,
        channels=d.channels,
        stretches=[SidecarStretch(s.channel, s.begin, s.end, s.stream, _texts(s.label)) for s in d.stretches],
        pauses=list(d.pauses),
        why=d.why,
    )
    if d.state == "failed":
        _cut(made)
    return _written(made)


def read(octets: bytes) -> Sidecar:
    """Raises SidecarError."""
    try:
        return _decode(octets)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise SidecarError(str(error)) from error


def interrupted(left: Sidecar, seconds: float) -> bytes:
    """The octets for what a dead writer has left behind, `seconds` of it in the file."""
    left.state, left.seconds, left.why = "interrupted", seconds, WRITER_GONE
    _cut(left)
    return _written(left)


def _cut(made: Sidecar) -> None:
    """Nothing lasts longer than the file, which holds less than was meant for it."""
    end = made.seconds
    made.stretches = [each for each in made.stretches if each.begin <= end]
    for stretch in made.stretches:
        stretch.end = end if stretch.end is None else min(stretch.end, end)
    made.pauses = [(begin, end if till is None else min(till, end)) for begin, till in made.pauses if begin <= end]


def _texts(label: Label) -> dict[str, str]:
    return {name[:LABEL_TEXT]: text[:LABEL_TEXT] for name, text in label[:LABEL_PAIRS]}


def _written(made: Sidecar) -> bytes:
    return msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"
