"""Phones that watch others, for tests: SUBSCRIBE and the answers to NOTIFY by hand, since our user agent only notifies.

ann = Watcher(world, "101")
lamp = ann.watch("102")          # SUBSCRIBE, its challenge, 200, the first NOTIFY
lamp.phases                      # states of the dialogs in the NOTIFY that came last
"""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec

from sip.digest import Credentials
from sip.effects import RequestReceived
from sip.event_headers import SubscriptionState, subscription_state_of
from sip.message import Request, Response, response_to
from sip.server_transaction import ServerTransaction
from sip.ua import UaSettings
from sip.ua_events import RequestAnswered
from tests.virtual.network import PASSWORD, SWITCH, Phone, World

DIALOG_INFO = "{urn:ietf:params:xml:ns:dialog-info}"
PIDF = "{urn:ietf:params:xml:ns:pidf}"
RPID = "{urn:ietf:params:xml:ns:pidf:rpid}"


class Told(msgspec.Struct):
    """One NOTIFY as it arrived."""

    at: float
    state: SubscriptionState
    request: Request

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.request.body)

    @property
    def version(self) -> int:
        return int(self.xml.attrib["version"])

    @property
    def dialogs(self) -> list[ElementTree.Element]:
        return self.xml.findall(f"{DIALOG_INFO}dialog")

    @property
    def phases(self) -> list[str]:
        return [found.text or "" for found in self.xml.iter(f"{DIALOG_INFO}state")]

    @property
    def held(self) -> bool:
        return any(each.get("pname") == "+sip.rendering" for each in self.xml.iter(f"{DIALOG_INFO}param"))

    def remote(self) -> list[str]:
        """Who is at the other end of each dialog that tells."""
        return [each.text or "" for each in self.xml.findall(f".//{DIALOG_INFO}remote/{DIALOG_INFO}identity")]


class Lamp:
    """One subscription of a watcher."""

    def __init__(self, phone: Watcher, resource: str, package: str, more: tuple[tuple[str, str], ...]) -> None:
        self.phone = phone
        self.resource = resource
        self.package = package
        self.more = more
        self.call_id = f"lamp-{phone.host}-{len(phone.link.wire)}"
        self.status = 200  # how NOTIFYs are answered; 0: not at all
        self.told: list[Told] = []
        self.response: Response
        self._tag = ""
        self._cseq = 1

    def subscribe(self, expires: int | None, user: str | None = None) -> None:
        """Begin, refresh, or (0) end it. `user`: who signs; "": nobody."""
        phone = self.phone
        user = phone.number if user is None else user
        uri = f"sip:{self.resource}@{SWITCH}" if self.resource else f"sip:{SWITCH}"
        headers = [
            ("From", f"<sip:{phone.number}@{SWITCH}>;tag=watcher"),
            ("To", f"<{uri}>" + (f";tag={self._tag}" if self._tag else "")),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} SUBSCRIBE"),
            *self.more,
        ]
        headers += [("Event", self.package)] if self.package else []
        headers += [("Expires", str(expires))] if expires is not None else []
        credentials = Credentials(user, PASSWORD) if user else None
        phone.lamps[self.call_id] = self
        token = phone.ua.request(
            Request("SUBSCRIBE", uri, headers, b""), phone.link.now, phone.switch, phone.number, credentials
        )
        phone.world.run(0.1)
        [answer] = [each for each in phone.events if isinstance(each, RequestAnswered) and each.token == token]
        self.response = answer.response
        self._cseq = answer.response.cseq.number + 1
        if answer.response.status == 200:
            self._tag = answer.response.to_tag

    @property
    def last(self) -> Told:
        return self.told[-1]

    @property
    def phases(self) -> list[str]:
        return self.last.phases

    @property
    def states(self) -> list[str]:
        """Subscription-State of every NOTIFY."""
        return [each.state.state for each in self.told]


class Watcher(Phone):
    """A registered phone with lamps."""

    def __init__(self, world: World, number: str, transport: str = "udp") -> None:
        super().__init__(world, f"192.0.2.{int(number)}", number, UaSettings(session_expires=0), transport)
        self.lamps: dict[str, Lamp] = {}
        self.register()

    def watch(
        self,
        resource: str,
        package: str = "dialog",
        expires: int | None = 600,
        user: str | None = None,
        more: tuple[tuple[str, str], ...] = (),
    ) -> Lamp:
        lamp = Lamp(self, resource, package, more)
        lamp.subscribe(expires, user)
        return lamp

    def pump(self, now: float) -> bool:
        for event in list(self.stack.events):
            if isinstance(event, RequestReceived) and event.request.method == "NOTIFY":
                self.stack.events.remove(event)
                self._notified(event.transaction, event.request, now)
        return super().pump(now)

    def _notified(self, transaction: ServerTransaction, request: Request, now: float) -> None:
        lamp = self.lamps.get(request.call_id)
        status = 481 if lamp is None else lamp.status
        if lamp is not None and status in (0, 200):
            lamp.told.append(Told(now, subscription_state_of(request), request))
        if status:
            self.stack.respond(transaction, response_to(request, status), now)


def replaces(dialog: ElementTree.Element) -> str:
    """The Replaces (RFC 3891) by which a telephone picks up a dialog that its lamp shows: the tags are those of whom
    the INVITE goes to, us, and of the one who is watched."""
    return f"{dialog.get('call-id')};to-tag={dialog.get('remote-tag')};from-tag={dialog.get('local-tag')}"
