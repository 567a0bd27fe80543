"""What every event usage of a dialog has: a place in it, and a way to send requests (`sip/outgoing.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sip.digest import DigestClient
from sip.uas import Refused

if TYPE_CHECKING:
    from sip.digest import Credentials
    from sip.effects import Destination
    from sip.message import Request, Response
    from sip.outgoing import InDialog
    from sip.ua import UserAgent
    from sip.usages import DialogUsages

Header = tuple[str, str]

REFER: Final = "refer"
"""The event package of RFC 3515: it has no SUBSCRIBE that begins it."""

RETRY_AFTER: Final[Header] = ("Retry-After", "5")


class Usage:
    """One usage, from the request that made it to its last NOTIFY."""

    __slots__ = ("_digest", "_here", "credentials", "ua", "user")

    def __init__(self, ua: UserAgent, here: DialogUsages) -> None:
        self.ua = ua
        self._here = here
        # The application's own mark; never read here.
        self.user: object = None
        # For challenges to our requests where the dialog has no session.
        self.credentials: Credentials | None = None
        self._digest: DigestClient | None = None

    @property
    def contact_user(self) -> str:
        return self._here.contact_user

    @property
    def destination(self) -> Destination:
        """Where NOTIFYs go; None: RFC 3263 from route set and remote target. The Flow for a peer behind a NAT."""
        return self._here.destination

    @destination.setter
    def destination(self, destination: Destination) -> None:
        self._here.destination = destination

    def _credentials_for(self, response: Response, request: Request) -> Header | None:
        session = self._here.session
        if session is not None:
            return session._credentials_for(response, request)
        if self.credentials is None:
            return None
        if self._digest is None:
            self._digest = DigestClient(self.ua.ids)
        return self._digest.answer(response.headers, request.method, request.uri, self.credentials, request.body)

    def _provisional_inside(self, inside: InDialog, response: Response, now: float) -> None:
        """RFC 4320 4.1: a 1xx to a request other than INVITE says nothing."""


def asked_expires(ua: UserAgent, request: Request) -> int:
    """Seconds that a SUBSCRIBE asks for. Refused(423) where they are too few (RFC 6665 4.2.1.1)."""
    settings = ua.settings
    expires = request.expires
    if expires is None:
        return settings.subscription_expires
    if 0 < expires < settings.min_subscription:
        raise Refused(423, "Interval Too Brief", ("Min-Expires", str(settings.min_subscription)))
    return min(expires, settings.subscription_expires)
