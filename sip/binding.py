"""Bindings of an address of record: what the registrar keeps, and the plain records that are stored of them."""

from __future__ import annotations

import msgspec

from sip.effects import TRANSPORTS, Destination, Flow, Target
from sip.errors import SipError
from sip.headers import NameAddr
from sip.uri import Uri


class BindingRecord(msgspec.Struct, frozen=True, gc=False):
    """A binding as it is stored: plain values, wall-clock expiry. Key: `aor` and `contact`."""

    aor: str
    contact: str
    """Contact URI as text."""
    params: str
    """Contact parameters other than expires and q: ";+sip.instance=..." or ""."""
    q: float
    expires_at: float
    """Unix seconds."""
    call_id: str
    cseq: int
    transport: str
    local_host: str
    local_port: int
    remote_host: str
    remote_port: int
    path: tuple[str, ...]
    user_agent: str


class BindingStored(msgspec.Struct, frozen=True, gc=False):
    """A binding was made or refreshed."""

    record: BindingRecord


class BindingRemoved(msgspec.Struct, frozen=True, gc=False):
    """A binding was removed or has expired."""

    aor: str
    contact: str


BindingChange = BindingStored | BindingRemoved


class Binding:
    """One contact of one address of record. Read it freely; only the registrar changes it."""

    __slots__ = (
        "aor",
        "call_id",
        "contact",
        "cseq",
        "expires_at",
        "flow",
        "instance",
        "lifetime",
        "nat",
        "params",
        "path",
        "q",
        "raw",
        "reachable",
        "reg_id",
        "scheduled",
        "text",
        "uri",
        "user_agent",
    )

    def __init__(self, aor: str, contact: Uri, params: str, q: float, flow: Flow) -> None:
        self.aor = aor
        self.contact = contact
        self.uri = str(contact)
        """Contact URI as text: with `aor` the key of the binding."""
        self.params = params
        """Contact parameters other than expires and q, as written."""
        self.q = q
        self.text = f"<{self.uri}>{params}{_write_q(q)}"
        """As enumerated in responses, without expires."""
        self.flow = flow
        """Where the last REGISTER came from."""
        self.nat = contact.host != flow.remote[0]
        """The contact's address is not the one its requests come from."""
        self.path: tuple[str, ...] = ()
        """Path values in order: the route set of requests to the contact (RFC 3327 5.3)."""
        self.expires_at = 0.0
        """Monotonic seconds."""
        self.call_id = ""
        self.cseq = 0
        self.user_agent = ""
        self.instance = ""
        """+sip.instance (RFC 5626 4.1), "" when absent."""
        self.reg_id = ""
        self.reachable = True
        """False: its connection is gone, or it does not answer OPTIONS; lookup() passes it over."""
        self.raw = ""
        """The Contact header that made it, when it stood alone: the same text again needs no reading."""
        self.lifetime: str | None = None
        """The expires parameter of that header, None when absent."""
        self.scheduled = 0.0
        """The moment for which it stands in the expiry heap; 0: it does not."""

    @property
    def destination(self) -> Destination:
        """Where requests to the contact go.

        Over a stream: back over that connection (RFC 5626 5.3). Behind NAT: to the address the REGISTER came from,
        whatever the contact claims. Otherwise to the contact's own port. With a Path the first hop is the proxy that
        sent the REGISTER; the rule for its address is the same.
        """
        flow = self.flow
        if flow.connection:
            return flow
        hop = self._first_hop()
        if hop is None or hop.host != flow.remote[0]:
            return flow
        transport = hop.transport or "udp"
        known = TRANSPORTS.get(transport)
        if known is None:
            return flow
        port = known.default_port if hop.port is None else hop.port
        if flow.transport == transport == "udp" and port == flow.remote[1]:
            return flow
        return Target(transport, hop.host, port)

    def _first_hop(self) -> Uri | None:
        if not self.path:
            return self.contact
        try:
            return NameAddr.parse(self.path[0], "Path").uri
        except SipError:
            return None

    def __repr__(self) -> str:
        return f"<Binding {self.aor} {self.uri} until {self.expires_at:.1f}>"


def record_of(binding: Binding, now: float, wall: float) -> BindingRecord:
    """`binding` as it is stored."""
    flow = binding.flow
    return BindingRecord(
        binding.aor,
        binding.uri,
        binding.params,
        binding.q,
        wall + binding.expires_at - now,
        binding.call_id,
        binding.cseq,
        flow.transport,
        flow.local[0],
        flow.local[1],
        flow.remote[0],
        flow.remote[1],
        binding.path,
        binding.user_agent,
    )


def _write_q(q: float) -> str:
    return "" if q == 1.0 else f";q={q:.3f}".rstrip("0").rstrip(".")
