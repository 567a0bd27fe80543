"""Outbound registration of trunks (see the machine below; structs first, for whoever maps settings onto them)."""

from __future__ import annotations

import msgspec


class TrunkRegistrationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What one trunk registers, where, and how often. Secrets are not printed."""

    trunk: str
    """Name of the trunk."""
    registrar: str
    """Request-URI of the REGISTER: "sip:provider.example" or "sip:192.0.2.9:5070;transport=tcp"."""
    aor: str
    """Address of record, without angle brackets: "sip:user@provider.example"."""
    username: str
    """Digest user name; also the user part of our Contact where `contact_user` is empty."""
    password: str
    """Digest password."""
    realm: str = ""
    """Realm the credentials are bound to; "" binds them to the first challenge (see sip.digest.Credentials)."""
    contact_user: str = ""
    """User part of the Contact; "" takes `username`."""
    expires: int = 3600
    """Seconds asked for."""
    outbound_proxy: str = ""
    """URI of a proxy through which the REGISTER goes (a Route header), "" for none."""
    retry_base: float = 30.0
    """Seconds: base of the back-off (RFC 5626 4.5 base-time when all flows failed)."""
    retry_max: float = 1800.0
    """Seconds: cap of the back-off (RFC 5626 4.5 max-time)."""
    rejected_retry: float = 3600.0
    """Seconds between attempts after the registrar refused the credentials or the account."""

    def __repr__(self) -> str:
        return (
            f"TrunkRegistrationConfig(trunk={self.trunk!r}, registrar={self.registrar!r}, aor={self.aor!r})"
        )
