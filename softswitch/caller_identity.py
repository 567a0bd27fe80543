"""Caller identity at the border to a trunk: what is told of a caller, what is believed (RFC 3323, 3325).

Outwards, the From of a caller who withholds his identity is "Anonymous" <sip:anonymous@anonymous.invalid>; who he
is goes, if at all, into an identity header, and only inside a trust domain. Inwards, identity headers count only
from a trusted trunk; from any other one they are as good as invented.

Nothing here can break out of its header: user parts are escaped, display names quoted, control characters dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec

from sip.errors import SipError
from sip.grammar import quote
from sip.headers import NameAddr
from sip.uri import Uri, escape_user
from softswitch.vocabulary import Party

if TYPE_CHECKING:
    from sip.message import Request

MAX_NUMBER = 128
"""Characters of a number; a longer one is not rewritten (and matches no route), so that no pattern works long."""

MAX_NAME = 80
"""Characters of a display name that are passed on."""

ANONYMOUS_FROM = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"""RFC 3323 4.1.1.3."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
# RFC 3966 3: visual-separator = "-" / "." / "(" / ")"
_VISUAL_SEPARATORS = re.compile(r"[-.()]")

_HEADERS = {
    "p-asserted-identity": "P-Asserted-Identity",
    "remote-party-id": "Remote-Party-ID",
    "p-preferred-identity": "P-Preferred-Identity",
    "from": "From",
}


class NumberRule(msgspec.Struct, frozen=True, kw_only=True):
    """One rewriting rule; the first rule whose `match` fits is applied, the others are not looked at."""

    match: str = ""
    """Regular expression that the whole number must match; "" matches every number."""
    replace: str | None = None
    """What the number becomes first (\\1, \\g<name> are groups of `match`); None leaves it."""
    strip: int = 0
    """Characters then taken off the front."""
    prepend: str = ""
    """Put in front at last; literal."""


class CallerRules(msgspec.Struct, frozen=True, kw_only=True):
    """How callers are shown to a trunk, and which of its words about callers are believed."""

    trusted: bool = False
    """RFC 3325 trust domain: identity headers are believed from it, and sent to it, of anonymous callers too."""
    send: Literal["none", "p-asserted-identity", "remote-party-id", "p-preferred-identity"] = "none"
    """Identity header of outgoing calls. To a trunk that is not `trusted` goes only p-preferred-identity, and
    that only of callers who show themselves."""
    believe: tuple[Literal["p-asserted-identity", "remote-party-id", "from"], ...] = (
        "p-asserted-identity",
        "remote-party-id",
        "from",
    )
    """Where an incoming call's identity is looked for, in order; only "from" counts when not `trusted`."""
    number: str = ""
    """Fixed caller number of outgoing calls; "" passes the caller's own."""
    name: str | None = None
    """Fixed display name of outgoing calls; None passes the caller's own, "" sends none."""
    allowed: str = ""
    """Regular expression of caller numbers that may be shown (whole match); "" allows every number."""
    default_number: str = ""
    """Number shown for callers that `allowed` does not match; the name is then not shown."""
    from_user: str = ""
    """Fixed user part of From (providers that want the account there)."""
    from_domain: str = ""
    """Host of From and of identity headers; "" takes the gateway's host."""
    rewrite_outbound: tuple[NumberRule, ...] = ()
    """Applied to the caller number of outgoing calls, before `allowed`."""
    rewrite_inbound: tuple[NumberRule, ...] = ()
    """Applied to the caller number of incoming calls."""


class Numbers:
    """Rewriting rules, compiled. re.error for a bad pattern or replacement."""

    __slots__ = ("_rules",)

    def __init__(self, rules: tuple[NumberRule, ...]) -> None:
        self._rules = [(re.compile(rule.match) if rule.match else None, rule) for rule in rules]

    def rewrite(self, number: str) -> str:
        """The number as the first matching rule changes it."""
        if len(number) > MAX_NUMBER:
            return number
        for pattern, rule in self._rules:
            if pattern is not None:
                found = pattern.fullmatch(number)
                if found is None:
                    continue
                if rule.replace is not None:
                    number = found.expand(rule.replace)
            return rule.prepend + number[rule.strip :]
        return number


class CallerIdentity:
    """The rules of one trunk, compiled."""

    __slots__ = ("_allowed", "_believe", "_inbound", "_outbound", "_rules")

    def __init__(self, rules: CallerRules) -> None:
        self._rules = rules
        self._outbound = Numbers(rules.rewrite_outbound)
        self._inbound = Numbers(rules.rewrite_inbound)
        self._allowed = re.compile(rules.allowed) if rules.allowed else None
        # RFC 3325 5: a proxy that gets a message from a node it does not trust and wants to add an identity
        # "MUST authenticate the originator", and must not use a P-Asserted-Identity that came with it.
        self._believe = rules.believe if rules.trusted else ("from",)

    def write(self, caller: Party, host: str) -> list[tuple[str, str]]:
        """From and, as the rules ask, an identity header and Privacy. `host` as it stands in a URI."""
        rules = self._rules
        number, name = self._shown(caller)
        domain = rules.from_domain or host
        display = f"{quote(name)} " if name else ""
        uri = f"sip:{escape_user(number)}@{domain}" if number else ""
        headers: list[tuple[str, str]] = []
        if caller.withheld:
            headers.append(("From", ANONYMOUS_FROM))
        elif rules.from_user:
            headers.append(("From", f"{display}<sip:{escape_user(rules.from_user)}@{domain}>"))
        else:
            headers.append(("From", f"{display}<{uri}>" if uri else ANONYMOUS_FROM))
        if uri and self._may_send(caller):
            value = f"{display}<{uri}>"
            if rules.send == "remote-party-id":
                value += f";party=calling;screen=yes;privacy={'full' if caller.withheld else 'off'}"
            headers.append((_HEADERS[rules.send], value))
        if caller.withheld:
            # RFC 3325 9.3: "id" asks that the asserted identity be "kept private with respect to SIP entities
            # outside the Trust Domain".
            headers.append(("Privacy", "id"))
        return headers

    def read(self, request: Request) -> Party:
        """Who calls. Headers that can't be read are passed over, a caller nobody names has the number ""."""
        withheld = privacy_asked(request)
        for source in self._believe:
            text = request.get(_HEADERS[source])
            if text is None:
                continue
            try:
                address = _first(request, _HEADERS[source], text)
            except SipError:
                # The call is not worth losing for a header that only describes the caller (lenient).
                continue
            if source == "remote-party-id" and address.params.get("privacy") in ("full", "uri"):
                withheld = True
            if is_anonymous(address.uri):
                withheld = True
                continue
            return Party(self.rewritten(number_of(address.uri)), shown_name(address.display), withheld)
        return Party("", "", withheld)

    def rewritten(self, number: str) -> str:
        """A number that the trunk shows us, as we have it."""
        return self._inbound.rewrite(number)

    def address(self, party: Party, host: str) -> NameAddr | None:
        """How somebody besides the caller is shown to the trunk, by the same rules; None: not at all. `host` as it
        stands in a URI."""
        number, name = self._shown(party)
        if party.withheld or not number:
            return None
        domain = self._rules.from_domain or host
        return NameAddr(name, Uri("sip", escape_user(number), host=domain.strip("[]")))

    def _shown(self, caller: Party) -> tuple[str, str]:
        """Number and display name of outgoing calls."""
        rules = self._rules
        number = rules.number or self._outbound.rewrite(caller.number)
        name = caller.name if rules.name is None else rules.name
        if self._allowed is not None and not (len(number) <= MAX_NUMBER and self._allowed.fullmatch(number)):
            # Not his number: then the name he gave himself does not go out with it either.
            return rules.default_number, rules.name or ""
        return number, shown_name(name)

    def _may_send(self, caller: Party) -> bool:
        """RFC 3325 7: to an entity that is not trusted, an identity the user wants private MUST NOT go."""
        rules = self._rules
        if rules.send == "none":
            return False
        return rules.trusted or (rules.send == "p-preferred-identity" and not caller.withheld)


def shown_name(name: str) -> str:
    """A display name without control characters and lone surrogates, bounded."""
    if not name:
        return ""
    return _CONTROL.sub(" ", name[:MAX_NAME]).strip()


def _first(request: Request, name: str, text: str) -> NameAddr:
    if name == "From":
        return request.from_
    # RFC 3325 9.1: one or two values, one of them a sip or sips URI, the other a tel URI. Remote-Party-ID is no
    # list by its grammar, but is sent as one.
    values = request.values(name)
    return NameAddr.parse(values[0] if values else text, name)


def privacy_asked(request: Request) -> bool:
    """Whether the caller wants its identity withheld from whoever is called (RFC 3323 4.2)."""
    text = request.get("Privacy")
    if text is None:
        return False
    # RFC 3323 4.2: Privacy-hdr = "Privacy" HCOLON priv-value *(";" priv-value)
    asked = {value.strip().lower() for value in text.replace(",", ";").split(";")}
    return not asked.isdisjoint(("id", "user"))


def is_anonymous(uri: Uri) -> bool:
    """Whether a URI is that of one who stays unnamed (RFC 3323 4.1.1.3)."""
    return uri.host.lower().endswith("anonymous.invalid") or uri.user.lower() == "anonymous"


def number_of(uri: Uri) -> str:
    """The number in a URI that anybody may have written: bounded, and without control characters."""
    return _CONTROL.sub("", _number(uri)[:MAX_NUMBER])


def _number(uri: Uri) -> str:
    if uri.scheme == "tel":
        return _VISUAL_SEPARATORS.sub("", uri.user)
    # RFC 3261 19.1.1: the user part may be a telephone-subscriber with parameters of its own.
    return uri.username.partition(";")[0]
