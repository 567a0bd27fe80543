"""What the runtime and its parts need of the settings."""

from __future__ import annotations

import msgspec

from media.negotiate import AudioPolicy
from softswitch.audio_line import RecordingForm


class RuntimeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the runtime itself needs of the settings."""

    max_calls: int
    """Contacts at once; an INVITE beyond gets 503."""
    max_forwards: int
    silence_hangup: float | None
    """Seconds without RTP from an end that should send; None never hangs up."""
    hold_silence: float | None = None
    """The same for an end that is on hold, or holds."""
    pass_headers: tuple[str, ...] = ()
    """Header names (canonical) that go from the caller's INVITE to the called legs; all others stay where they are."""
    recordings: RecordingForm = RecordingForm()
    policy: AudioPolicy = AudioPolicy(codecs=("PCMA", "PCMU"))
    """What is offered to whom the switch itself calls."""
