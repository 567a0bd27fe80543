"""Bindings of an address of record: what the registrar keeps, and the plain records that are stored of them."""

from __future__ import annotations

import ipaddress

import msgspec

from sip.effects import TRANSPORTS, Destination, Flow, Target
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
    again: bool = False
    """It was reachable already, in the same place: nothing has changed that a request to it would notice."""


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
        "direct",
        "expires_at",
        "flow",
        "hop",
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

    def __init__(self, aor: str, contact: Uri, params: str, q: float, flow: Flow, path: tuple[str, ...] = ()) -> None:
        """SipError when a Path value can't be read."""
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
        self.path = path
        """Path values in order: the route set of requests to the contact (RFC 3327 5.3)."""
        self.hop = NameAddr.parse(path[0], "Path").uri if path else contact
        """Where a request to the contact goes first."""
        self.direct = self.hop.host == flow.remote[0]
        """The REGISTER came from that very host."""
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
        whatever the contact claims. Otherwise to the contact's own address. With a Path the first hop is the proxy
        that sent the REGISTER; the rule for its address is the same.
        """
        if self.flow.connection or not self.direct:
            return self.flow
        return self.own_destination

    @property
    def own_destination(self) -> Destination:
        """Where the contact itself (or its first proxy) says that it is; None where only the DNS can tell."""
        flow, hop = self.flow, self.hop
        known = TRANSPORTS.get(hop.transport or "udp")
        if known is None or not (self.direct or is_address(hop.host)):
            return None
        port = known.default_port if hop.port is None else hop.port
        if flow.remote == (hop.host, port) and flow.transport == known.name == "udp":
            return flow
        return Target(known.name, hop.host, port)

    @property
    def lost(self) -> bool:
        """Only a connection that is gone leads there."""
        flow = self.flow
        if flow.connection or self.direct:
            return False
        transport = TRANSPORTS.get(flow.transport)
        return transport is None or transport.reliable

    def __repr__(self) -> str:
        return f"<Binding {self.aor} {self.uri} until {self.expires_at:.1f}>"


def binding_of(record: BindingRecord, expires_at: float) -> Binding:
    """A stored binding, bound until `expires_at` (monotonic), without its connection. SipError when unreadable."""
    contact = Uri.parse(record.contact)
    params = NameAddr.parse(f"<{record.contact}>{record.params}", "Contact").params
    flow = Flow(record.transport, (record.local_host, record.local_port), (record.remote_host, record.remote_port), 0)
    binding = Binding(record.aor, contact, record.params, record.q, flow, tuple(record.path))
    binding.expires_at = expires_at
    binding.call_id = record.call_id
    binding.cseq = record.cseq
    binding.user_agent = record.user_agent
    binding.instance = params.get("+sip.instance") or ""
    binding.reg_id = params.get("reg-id") or ""
    binding.reachable = not binding.lost
    return binding


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


def is_address(host: str) -> bool:
    """Whether a host is an IP literal (without brackets)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
