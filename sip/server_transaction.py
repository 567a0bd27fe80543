"""Skeleton."""

from __future__ import annotations

from sip.effects import Flow
from sip.message import Request


class ServerTransaction:
    """One request being answered.

    id: unique in the stack. request: None once a final response was given. flow: where the request came from.
    """

    __slots__ = ("__weakref__", "flow", "id", "method", "request")

    id: int
    method: str
    flow: Flow
    request: Request | None
