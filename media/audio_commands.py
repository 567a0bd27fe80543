"""Rooms, players, recordings and detectors: what crosses the line between signalling and media about audio itself.

Plain values like those of `media.commands`. Streams, rooms, plays and recordings are named by the signalling side with
ints that nothing else of that kind has while it lives; a command on what is gone (its end may have crossed it) is
ignored. Every command states how things shall be, so that the same one may come twice.
"""

from __future__ import annotations

from typing import Literal

import msgspec

# ---- labels

Label = tuple[tuple[str, str], ...]
"""What the record beside a recording says of somebody or something, as (name, text) pairs; nothing here reads it."""

StreamLabels = tuple[tuple[int, Label], ...]
"""(stream, who that is)."""

LABEL_PAIRS = 8
LABEL_TEXT = 128
"""Bounds of a label, in characters: display names come from anybody."""


def label(**texts: str) -> Label:
    """A label within the bounds, of what is not empty; what is no Unicode text becomes question marks."""
    pairs = [(name, text[:LABEL_TEXT].encode("utf-8", "replace").decode()) for name, text in texts.items() if text]
    return tuple(pairs[:LABEL_PAIRS])


# ---- what can be played


class File(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A sound file: a name below the prompt directories (`welcome`, `en/welcome.wav`), or an absolute path that lies
    below one of them. WAV, FLAC, Ogg, Opus, MP3, M4A."""

    name: str


class Tone(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A tone by name (dial, ringback, busy, congestion, call-waiting, special-information, beep...) as a country has
    it; "" is the configured one. `seconds` None: without an end, unless the tone itself has one."""

    name: str
    country: str = ""
    seconds: float | None = None


class Silence(msgspec.Struct, frozen=True, gc=False, tag=True):
    seconds: float


class Music(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A class of hold music, without an end; every listener hears the same moment of it."""

    name: str = "default"


class Say(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A value spoken from the prompt set of a language. `kind`: digits, number, ordinal, date (2026-11-26), time
    (14:03), datetime, money (12.50 EUR), letters (spelt)."""

    kind: Literal["digits", "number", "ordinal", "date", "time", "datetime", "money", "letters"]
    value: str
    language: str = ""


class Speech(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Text to be spoken by the text-to-speech engine."""

    text: str
    language: str = ""
    voice: str = ""


Source = File | Tone | Silence | Music | Say | Speech


# ---- commands


class SetRoom(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Who hears whom. Every member hears every other one at `gain` (linear; 1: as it is, 0: not), where `gains` does
    not name the pair (listener, talker, gain). Nobody hears itself unless `gains` says so. A stream is in one room at
    most: the latest that names it. Bridge and echo are rooms, too.

    conference: gain 1. Listen: (customer, supervisor, 0), (agent, supervisor, 0). Whisper: (customer, coach, 0).
    Barge: as a conference. One side on hold with music: gain 0, and `Play` to the held one.
    """

    room: int
    members: tuple[int, ...]
    gain: float = 1.0
    gains: tuple[tuple[int, int, float], ...] = ()
    talkers: bool = False
    """Tell who begins and ends to talk (`Talking`)."""


class CloseRoom(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Nobody of the room hears anybody any more; its players and streams stay as they are, streams without a room."""

    room: int


class SetVolume(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Of one stream, linear: `heard` what comes from it, `hears` what goes to it. `muted`: nobody hears it; `deaf`: it
    hears nobody (players to it alone are heard). `agc`: what comes from it is brought to a common level."""

    stream: int
    heard: float = 1.0
    hears: float = 1.0
    muted: bool = False
    deaf: bool = False
    agc: bool = False


class Play(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Put sources at the end of a player's queue. The player is that of a stream (only it hears) or of a room (all its
    members hear). `PlayEnded` follows once, whatever happens."""

    play: int
    sources: tuple[Source, ...]
    stream: int = 0
    room: int = 0
    loop: bool = False
    """Begin again at the end, until it is stopped."""
    interrupt: bool = False
    """Stop what is playing, and everything queued behind it, first."""
    over: bool = False
    """Mix it with what is heard anyway; else that is left out while it plays."""
    gain: float = 1.0
    start: float = 0.0
    """Seconds of it to leave out, whole sources among them; of a loop, of its first pass. What has no end of its own
    (music) is never over before it."""


class StopPlay(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Stop one play, wherever in the queue it is."""

    play: int


class SendDigits(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Send DTMF to a stream's peer: RFC 4733 events where agreed, else tones in the audio. `0-9*#A-D`, `,` pauses."""

    stream: int
    digits: str
    duration_ms: int = 100
    gap_ms: int = 60


class StartRecording(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Record streams into one file whose name is generated. `channels`: (stream, channel), 0 left and 1 right; several
    streams on one channel are mixed. The file is as long as the recording lasts, whatever streams come and go. `label`
    and `labels` say what is recorded and who the streams are, for the record beside the file."""

    recording: int
    contact: str
    channels: tuple[tuple[int, int], ...]
    stereo: bool = True
    format: Literal["wav", "opus"] = "wav"
    rate: int = 8000
    label: Label = ()
    labels: StreamLabels = ()


class SetRecordingChannels(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Who is on which channel from now on (a transfer, a conference); streams left out are no longer recorded. Streams
    without a label keep theirs."""

    recording: int
    channels: tuple[tuple[int, int], ...]
    labels: StreamLabels = ()


class PauseRecording(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Silence is written until it is resumed (card data)."""

    recording: int
    paused: bool


class StopRecording(msgspec.Struct, frozen=True, gc=False, tag=True):
    recording: int


class Detect(msgspec.Struct, frozen=True, gc=False, tag=True):
    """What to listen for on a stream; replaces what was listened for before. Digits of RFC 4733 are always told."""

    stream: int
    dtmf: bool = False
    """In-band digits (tones in the audio)."""
    fax: bool = False
    speech: bool = False
    machine: bool = False
    """Cues of an answering machine, from now on."""


AudioCommand = (
    SetRoom
    | CloseRoom
    | SetVolume
    | Play
    | StopPlay
    | SendDigits
    | StartRecording
    | SetRecordingChannels
    | PauseRecording
    | StopRecording
    | Detect
)


# ---- events


class PlayEnded(msgspec.Struct, frozen=True, gc=False, tag=True):
    """`done`: played to the end; `stopped`: by command, or its stream or room is gone; `failed`: `why` says what is
    wrong with which source, and nothing more of this play is heard; `lost`: the process that its stream or room was on
    is gone, and `StreamLost` was told before."""

    play: int
    how: Literal["done", "stopped", "failed", "lost"]
    why: str = ""


class Digit(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A DTMF digit has ended. `source`: rfc4733, inband (info comes with the signalling)."""

    stream: int
    digit: str
    duration_ms: int
    source: Literal["rfc4733", "inband"]


class Talking(msgspec.Struct, frozen=True, gc=False, tag=True):
    """A member of a room began or ceased to talk."""

    room: int
    stream: int
    talking: bool


class Heard(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Something listened for: fax-cng, fax-ced, speech-start, speech-end, or a machine cue: initial-silence, greeting,
    word, pause, beep, after-greeting-silence. `at`: seconds since `Detect`; `seconds`: how long it lasted."""

    stream: int
    what: str
    at: float
    seconds: float = 0.0


class TimelineEntry(msgspec.Struct, frozen=True, gc=False, tag=True):
    """From second `at` of the file on, stream `stream` is on `channel` (-1: off)."""

    at: float
    stream: int
    channel: int


class RecordingStarted(msgspec.Struct, frozen=True, gc=False, tag=True):
    recording: int
    path: str


class RecordingEnded(msgspec.Struct, frozen=True, gc=False, tag=True):
    """The file is whole. `pauses`: (begin, end) in seconds of the file."""

    recording: int
    path: str
    seconds: float
    timeline: tuple[TimelineEntry, ...] = ()
    pauses: tuple[tuple[float, float], ...] = ()


class RecordingFailed(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Nothing more is written; what was stays playable. The call goes on."""

    recording: int
    path: str
    why: str


class Quality(msgspec.Struct, frozen=True, gc=False, tag=True):
    """How a stream sounded in the last five seconds, estimated by the E-model (ITU-T G.107). Told where that is news:
    it fell below 3.6, or changed by more than 0.3 since the last one, at first from the best there is."""

    stream: int
    mos: float
    """Mean opinion score, 1 to 4.5."""
    mos_min: float
    """The worst so far."""
    loss: float
    """Fraction; what came too late for the jitter buffer included."""
    delay_ms: float
    jitter_ms: float


class MusicFailed(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Something is wrong with a class of hold music: whoever listens to it hears something else."""

    name: str
    why: str


AudioEvent = (
    PlayEnded | Digit | Talking | Heard | RecordingStarted | RecordingEnded | RecordingFailed | Quality | MusicFailed
)
