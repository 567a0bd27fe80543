"""What the phone book is told by the settings, as one value, and the addresses that it gives."""

from __future__ import annotations

from typing import Literal

import msgspec

from media.negotiate import AudioPolicy
from sip.digest import Credentials
from sip.effects import Destination, Flow
from sip.message import Request
from softswitch import auto_answer
from softswitch.call_codes import CallCodes
from softswitch.diverting import DiversionStyle
from softswitch.feature_codes import ALL, FeatureCodes
from softswitch.find_me import FindMe
from softswitch.parking import Lot
from softswitch.trunk_refer import ReferRule
from softswitch.vocabulary import Party

RedirectRule = Literal["always", "internal", "never"]


class ExtensionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What is set for one extension, as far as calls need it."""

    number: str
    context: str
    caller: Party
    policy: AudioPolicy
    ring_timeout: float
    nat: Literal["auto", "yes", "no"]
    reliable: bool | None
    """18x with PRACK: always, never, or (None) where the phone can."""
    call_limit: int
    forwards: dict[str, str]
    """By kind of ending: always, busy, no_answer, unavailable."""
    no_answer_after: float | None = None
    """Seconds it rings before `no_answer` is followed; None: `ring_timeout`."""
    do_not_disturb: bool = False
    call_waiting: bool = True
    obey_redirects: RedirectRule = "always"
    """Whether a 302 of its phone is followed: to any number that it may dial, only where no trunk is called, never."""
    record: str = ""
    """"never", "always", "on-demand", "": it does not say."""
    music: str = ""
    """The class that is heard on hold."""
    codes: frozenset[str] = frozenset({ALL})
    """Feature codes that it may use (`softswitch.feature_codes.may_use`)."""
    groups: frozenset[str] = frozenset()
    pick_up: str = "groups"
    """Whose calls it may pick up: "groups" (its own), "all", "none"."""
    may_intercom: str = "groups"
    """Whose telephones answer its intercom calls by themselves, as `pick_up`."""
    auto_answer: auto_answer.Style = "all"
    """How its own telephones are asked to."""
    supervises: frozenset[str] = frozenset()
    """Groups whose calls it may listen to."""
    beeps: bool = True
    """Whether it hears that somebody begins to listen to its call."""
    find_me: FindMe | None = None
    diversion: DiversionStyle = "none"
    """How its phones are told who has sent a call on."""
    click_to_dial: bool = False
    """Whether a REFER outside a call has its telephones called."""


class TrunkEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What is set for one trunk, as far as calls need it."""

    name: str
    context: str
    policy: AudioPolicy
    ring_timeout: float
    nat: Literal["auto", "yes", "no"]
    reliable: bool | None
    channels: int
    record: str = ""
    music: str = ""
    diversion: DiversionStyle = "none"
    referred_by: bool = False
    """Whether it is told which extension has sent a caller there."""
    refer: ReferRule | None = None
    """How it is asked to carry out a transfer itself; None: never."""


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of the phone book, as one value."""

    extensions: dict[str, ExtensionEntry]
    trunks: dict[str, TrunkEntry]
    groups: dict[str, tuple[str, ...]] = {}
    """Extensions by the groups that they are in."""
    lots: tuple[Lot, ...] = ()
    recall: bool = True
    """Whether extensions are rung for callers whom they have sent on in vain."""
    fallback: str = ""
    """The number that is called where they do not answer."""
    codes: FeatureCodes = FeatureCodes()
    call_codes: CallCodes = CallCodes()
    language: str = "en"
    """In which people are spoken to."""


class DialAddress(msgspec.Struct, gc=False):
    """Where one INVITE goes: `Endpoint.address` of SIP legs."""

    uri: str
    destination: Destination
    host: str
    """Address the signalling goes to, for the choice of our own; "" when only DNS knows."""
    nat: bool
    to: str
    """Number in To, for extensions; trunks bring their own headers."""
    headers: tuple[tuple[str, str], ...] = ()
    """Route of the contact's Path and how it is to ring, or all identity headers of a trunk."""
    credentials: Credentials | None = None
    cid_prefix: str = ""
    """Put before the caller's name."""


def behind_nat(terms: ExtensionEntry | TrunkEntry, request: Request, flow: Flow) -> bool:
    """Whether a caller is behind NAT: as its owner says, else by the addresses."""
    if terms.nat != "auto":
        return terms.nat == "yes"
    # The address it calls itself by is not the one it comes from: something on the way translates.
    contact = request.contact
    named = contact.uri.host if contact is not None else request.via.host
    return named.strip("[]") != flow.remote[0]
