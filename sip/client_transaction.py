"""Skeleton."""

from __future__ import annotations

from sip.effects import Flow
from sip.message import Request


class ClientTransaction:
    """One request of ours. id: unique in the stack. flow: where it went, None until known. request: as given to send()."""

    __slots__ = ("__weakref__", "flow", "id", "method", "request")

    id: int
    method: str
    flow: Flow | None
    request: Request | None
