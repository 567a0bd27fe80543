"""Dialogs (RFC 3261 12): identity, route set, remote target, sequence numbers, and the requests made inside.

id            Call-ID, our tag, their tag                                    12
route set     Record-Route of the request in order (UAS), of the response reversed (UAC); fixed once confirmed   12.1
remote target Contact of the peer; replaced by every target refresh          12.2
CSeq          ours counts up; theirs must not go back                        12.2.1.1, 12.2.2
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache

from msgspec.structs import replace

from sip.errors import SipError
from sip.headers import NameAddr
from sip.message import Message, Request, Response
from sip.offer_answer import OfferAnswer

Header = tuple[str, str]
DialogId = tuple[str, str, str]  # Call-ID, local tag, remote tag

MAX_FORWARDS: Header = ("Max-Forwards", "70")

# A route set longer than this is refused: every request inside would carry it.
MAX_ROUTES = 32
# Contacts kept read, and their longest text: those of registered phones and trunks come again and again.
CACHED_TARGETS = 1024
CACHED_LENGTH = 160
# CSeq is below 2**31 (RFC 3261 8.1.1.5); ours starts small, so it can't run over in a dialog's life.
FIRST_CSEQ = 1


class Dialog:
    """One peer-to-peer relationship, early or confirmed. An UAC's dialog without remote tag is the template of its
    forks.
    """

    __slots__ = (
        "call_id",
        "confirmed",
        "exchange",
        "local",
        "local_cseq",
        "local_tag",
        "peer_refers",
        "peer_updates",
        "preview",
        "remote",
        "remote_cseq",
        "remote_tag",
        "remote_target",
        "routes",
        "rseq",
        "secure",
        "strict",
    )

    def __init__(self, call_id: str, local_tag: str, local: str, remote_tag: str, remote: str) -> None:
        self.call_id = call_id
        self.local_tag = local_tag
        self.remote_tag = remote_tag
        self.local = local  # what From says in our requests, tag included
        self.remote = remote  # what To says in our requests
        self.remote_target = ""
        self.routes: tuple[str, ...] = ()
        self.strict = False  # the first of `routes` is a strict router (no lr parameter)
        self.local_cseq = 0
        self.remote_cseq = -1  # -1: no request of theirs yet
        self.secure = False  # RFC 3261 12.1: set up over TLS to a SIPS URI
        self.confirmed = False
        self.peer_updates = False  # the peer's Allow listed UPDATE (RFC 3311 4)
        self.peer_refers = True  # the peer's Allow, where it has said one, listed REFER
        self.rseq = 0  # of the reliable provisional response PRACKed last (UAC), 0 for none (RFC 3262 4)
        self.exchange = OfferAnswer()
        self.preview: bytes | None = None  # SDP of an unreliable 18x to our offer (UAC, early)

    # --- making ---------------------------------------------------------------------------------------------

    @classmethod
    def of_uas(cls, request: Request, local_tag: str, secure: bool) -> Dialog:
        """RFC 3261 12.1.1. SipError(400) for a Contact or Record-Route that can't be read."""
        dialog = cls(
            request.call_id,
            local_tag,
            f"{request.get('To')};tag={local_tag}",
            request.from_tag,
            request.get("From") or "",
        )
        dialog.remote_cseq = request.cseq.number
        dialog.secure = secure
        raw = request.get("Contact")
        # RFC 3261 8.1.1.8 requires Contact in INVITE; peers of RFC 2543 left it out and meant their From.
        dialog.remote_target = _target_of(raw, request) if raw is not None else _target(request.from_)
        if request.has("Record-Route"):
            dialog._set_routes(request.values("Record-Route"))
        dialog.note_allow(request)
        return dialog

    @classmethod
    def of_2xx(cls, response: Response) -> Dialog:
        """The dialog of a 2xx to an INVITE of ours that no session owns any more, for its ACK and BYE. SipError
        without Contact.
        """
        if response.contact is None:
            raise SipError(400, "Missing Contact")
        dialog = cls(
            response.call_id,
            response.from_tag,
            response.get("From") or "",
            response.to_tag,
            response.get("To") or "",
        )
        dialog.local_cseq = response.cseq.number
        dialog.learn(response)
        return dialog

    def adopt(self, response: Response) -> None:
        """RFC 3261 12.1.2: the template becomes the dialog of the first response with a To tag."""
        self.learn(response)
        self.remote_tag = response.to_tag
        self.remote = response.get("To") or self.remote

    def fork(self, response: Response) -> Dialog:
        """RFC 3261 12.1.2: the dialog that a response with a further To tag makes; self is the template."""
        dialog = Dialog(self.call_id, self.local_tag, self.local, response.to_tag, response.get("To") or self.remote)
        dialog.remote_target = self.remote_target
        dialog.local_cseq = self.local_cseq
        dialog.secure = self.secure
        dialog.exchange = self.exchange.copy()
        dialog.learn(response)
        return dialog

    def learn(self, response: Response) -> None:
        """Take route set, remote target and Allow from a response that makes or confirms the dialog.

        RFC 3261 13.2.2.4: "the route set for the dialog MUST be recomputed based on the 2xx response using the
        procedures of Section 12.2.1.2", what a provisional response said notwithstanding.
        """
        if response.has("Record-Route"):
            # RFC 3261 12.1.2: "taken in reverse order"
            self._set_routes(response.values("Record-Route")[::-1])
        elif self.routes:
            self._set_routes([])
        self.refresh_target(response)
        self.note_allow(response)

    # --- state ----------------------------------------------------------------------------------------------

    @property
    def id(self) -> DialogId:
        return self.call_id, self.local_tag, self.remote_tag

    def refresh_target(self, message: Message) -> None:
        """RFC 3261 12.2.1.2, 12.2.2: a target refresh with a Contact replaces the remote target.

        A Contact that can't be read is an SipError of the peer's.
        """
        raw = message.get("Contact")
        if raw is not None:
            self.remote_target = _target_of(raw, message)

    def note_allow(self, message: Message) -> None:
        """Remember whether the peer takes UPDATE and REFER; a message without Allow says nothing about it."""
        allow = message.get("Allow")
        if allow is None:
            return
        self.peer_updates, self.peer_refers = "UPDATE" in allow, "REFER" in allow
        if not (self.peer_updates and self.peer_refers):
            # Perhaps in another header line; an Allow that can't be read allows nothing.
            with suppress(SipError):
                methods = message.allow
                self.peer_updates, self.peer_refers = "UPDATE" in methods, "REFER" in methods

    def in_order(self, number: int) -> bool:
        """RFC 3261 12.2.2: "If the remote sequence number was not empty, but the sequence number of the request is
        lower
        than the remote sequence number, the request is out of order and MUST be rejected with a 500"."""
        if number < self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    # --- requests inside ------------------------------------------------------------------------------------

    def request(
        self, method: str, headers: Iterable[Header] = (), body: bytes = b"", cseq: int | None = None
    ) -> Request:
        """RFC 3261 12.2.1.1. `cseq` only for ACK (the INVITE's); every other request counts up by one."""
        if cseq is None:
            cseq = self.local_cseq = self.local_cseq + 1
        lines = [
            MAX_FORWARDS,
            ("From", self.local),
            ("To", self.remote),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        uri = self.remote_target
        if self.routes:
            if self.strict:
                # "If the route set is not empty, and its first URI does not contain the lr parameter, the UAC MUST
                # place the first URI from the route set into the Request-URI ... add a Route header field
                # containing the remainder of the route set values in order ... then place the remote target URI
                # into the Route header field as the last value."
                lines += [("Route", route) for route in self.routes[1:]]
                lines.append(("Route", f"<{uri}>"))
                uri = _target(NameAddr.parse(self.routes[0]))
            else:
                lines += [("Route", route) for route in self.routes]
        lines += headers
        return Request(method, uri, lines, body)

    def _set_routes(self, routes: list[str]) -> None:
        if len(routes) > MAX_ROUTES:
            raise SipError(400, "Too many Record-Route values")
        self.routes = tuple(routes)
        self.strict = bool(routes) and "lr" not in NameAddr.parse(routes[0]).uri.params


def _target_of(raw: str, message: Message) -> str:
    """The remote target in a Contact, the first where there are several. SipError when it can't be read."""
    if len(raw) <= CACHED_LENGTH and "," not in raw:
        return _cached_target(raw)
    contact = message.contact
    if contact is None:
        raise SipError(400, "Bad Contact")
    return _target(contact)


@lru_cache(CACHED_TARGETS)
def _cached_target(raw: str) -> str:
    return _target(NameAddr.parse(raw, "Contact"))


def _target(contact: NameAddr) -> str:
    """The URI of a Contact as a Request-URI: RFC 3261 19.1.1 (table 1) allows no headers and no method there."""
    uri = contact.uri
    if uri.headers or "method" in uri.params:
        params = {name: value for name, value in uri.params.items() if name != "method"}
        uri = replace(uri, headers={}, params=params)
    return str(uri)
