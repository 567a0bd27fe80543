"""Who is calling: trunk, extension, or nobody known (structs first, for whoever maps settings onto them)."""

from __future__ import annotations

import msgspec


class ExtensionAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One extension that may register and call. Secrets are not printed."""

    extension: str
    """The number: user part of its address of record, and the key of its bindings."""
    password: str
    """Digest password."""
    username: str = ""
    """Digest user name; "" takes `extension`."""
    sources: tuple[str, ...] = ()
    """Addresses it may come from, written as in TrunkConfig.sources; empty: any."""
    max_calls: int = 0
    """Concurrent calls, both directions; 0: no limit of its own."""

    def __repr__(self) -> str:
        return f"ExtensionAccount(extension={self.extension!r})"


class AdmissionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of guessing. A failure adds one to the score of its source and of its user; scores fade with time."""

    realm: str = "softswitch"
    """Digest realm; HA1s are made with it."""
    algorithms: tuple[str, ...] = ("SHA-256", "MD5")
    """Digest algorithms offered, best first."""
    source_failures: float = 20.0
    """Failures after which a source is refused."""
    user_failures: float = 50.0
    """Failures after which a user is refused at sources it has never signed in from."""
    fade: float = 0.1
    """Failures forgotten per second."""
