"""OPTIONS keep-alive of contacts and gateways (structs first, for whoever maps settings onto them)."""

from __future__ import annotations

import msgspec


class QualifySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Pace of the keep-alive."""

    interval: float = 60.0
    """Seconds between two OPTIONS to one place where `watch` names none."""
    retry: float = 10.0
    """Seconds to the next OPTIONS after a failure, until it counts as unreachable."""
    failures: int = 2
    """Failures in a row after which a place is unreachable."""
    in_flight: int = 100
    """OPTIONS awaiting an answer at one time."""
    timeout: float = 40.0
    """Seconds after which an OPTIONS nobody reported on counts as failed (longer than 64*T1)."""
