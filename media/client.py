"""What the signalling says to the media engine, wherever that runs: in this process (`media.in_process`) or in others
(`media.workers`)."""

from __future__ import annotations

from typing import Protocol

from media.audio_commands import AudioCommand
from media.commands import MediaAddress, MediaEvent, NoMediaPorts, StreamSettings

__all__ = ["MediaAddress", "MediaClient", "NoMediaPorts"]


class MediaClient(Protocol):
    """Streams are named by the caller: any int that no open stream has. Commands on a stream that is not
    open are ignored (its close may have crossed them), `open` apart.

    Events pile up in `events`; whoever drains it empties the list (`events.clear()`). The client calls its
    `on_events` from the loop, never from inside a command, when there are some left.
    """

    events: list[MediaEvent]

    def open(
        self,
        stream: int,
        peer_host: str,
        remote: MediaAddress | None,
        nat: bool,
        local_host: str,
        now: float,
        group: str = "",
        beside: int | None = None,
    ) -> MediaAddress:
        """Take a row and a port; tells the address for our SDP (host is `local_host` as given, or one of the machine
        that the stream is on).

        `peer_host` is where the peer's signalling comes from or goes to. `remote` is the address in its
        offer, None when we make the offer. Nothing is sent or passed on before `configure`. Streams that are ever to
        hear each other share a `group`. The port is another one than that of stream `beside`, which is in the same
        description. A stream of which `StreamLost` was told may be opened again.
        Raises NoMediaPorts.
        """

    def configure(self, stream: int, settings: StreamSettings, now: float) -> None:
        """Apply what was agreed; idempotent. A changed `remote` unlocks the source, the same one keeps it."""

    def bridge(self, a: int, b: int, now: float) -> None:
        """Pass packets between two streams; takes both out of any bridge or echo they were in. Payload types
        are translated by name and clock of `formats`, anew at each `configure`."""

    def unbridge(self, stream: int, now: float) -> None:
        """Stop passing packets from and to this stream (bridge or echo)."""

    def echo(self, stream: int, now: float) -> None:
        """Send what the peer sends back to it."""

    def close(self, stream: int, now: float) -> None:
        """Free the row and the port; `StreamClosed` with the statistics follows."""

    def regroup(self, stream: int, group: str, now: float) -> bool:
        """Count a stream to another group. False: that group is elsewhere; the stream is gone, as if `StreamLost` had
        been told, and may be opened again."""

    def audio(self, command: AudioCommand, now: float) -> None:
        """Rooms, players, recordings and detectors (`media.audio_commands`)."""
