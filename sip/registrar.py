"""Registrar (structs first, for whoever maps settings onto them)."""

from __future__ import annotations

import msgspec


class RegistrarSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of bindings."""

    default_expires: int = 3600
    """Seconds granted where the request names none."""
    min_expires: int = 60
    """Shorter than this is answered 423 (RFC 3261 10.3: only values below one hour may be)."""
    max_expires: int = 7200
    """Longer than this is shortened."""
    max_contacts: int = 10
    """Contacts of one address of record."""
