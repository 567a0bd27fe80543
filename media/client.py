"""What the signalling says to the media engine, and the client that runs the engine in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from media.commands import (
    MediaAddress,
    MediaEvent,
    MediaSettings,
    NoMediaPorts,
    StreamSettings,
)

__all__ = ["InProcessMedia", "MediaAddress", "MediaClient", "MediaSettings", "NoMediaPorts"]


class MediaClient(Protocol):
    """Streams are named by the caller: any int that no open stream has. Commands on a stream that is not
    open are ignored (its close may have crossed them), `open` apart.

    Events pile up in `events`; whoever drains it empties the list (`events.clear()`). The client calls its
    `on_events` from the loop, never from inside a command, when there are some left.
    """

    events: list[MediaEvent]

    def open(
        self, stream: int, peer_host: str, remote: MediaAddress | None, nat: bool, local_host: str, now: float
    ) -> MediaAddress:
        """Take a row and a port; tells the address for our SDP (host is `local_host` as given).

        `peer_host` is where the peer's signalling comes from or goes to. `remote` is the address in its
        offer, None when we make the offer. Nothing is sent or passed on before `configure`.
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


class InProcessMedia:
    """A `MediaClient` whose engine runs in the caller's event loop.

    `start()` inside a running loop opens the sockets (OSError when none can be bound); `stop()` closes
    everything.
    """

    def __init__(self, settings: MediaSettings, on_events: Callable[[], None]) -> None:
        self.events: list[MediaEvent] = []
        self._settings = settings
        self._on_events = on_events
