"""Value types of the settings, read from the text that an operator writes.

Every YAML scalar arrives here as the text that stands in the file (see `yaml_tree`), so `101`, `"101"` and
`0101` mean what they look like where a string is wanted; numbers and booleans are read from the same text
by pydantic. Each reader raises `ValueError` with what was expected; the loader adds file, line, column and
key.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_SIP_PORT = 5060
MAX_DURATION = 10 * 365 * 86400.0  # ten years in seconds: more is a typing error

# RFC 1123 host names (underscore is seen in SRV-like names of private networks) of at most 253 characters.
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d)?")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}


class Section(BaseModel):
    """Base of every settings model: frozen, unknown keys refused, input never repeated in errors or reprs."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class Listen(NamedTuple):
    """A socket to listen on: transport "udp" | "tcp", an IP literal, a port."""

    transport: Literal["udp", "tcp"]
    host: str
    port: int


class HostPort(NamedTuple):
    """A host (name or IP literal, IPv6 without brackets) and a port; None: RFC 3263 finds it."""

    host: str
    port: int | None


class AddressRule(NamedTuple):
    """Where a peer sends from: a network (a single address is a /32 or /128) and a source port or any
    (None)."""

    network: IpNetwork
    port: int | None

    def __str__(self) -> str:
        host = str(self.network)
        single = self.network.prefixlen == self.network.max_prefixlen
        if single:
            host = str(self.network.network_address)
        if self.port is None:
            return host
        return f"[{host}]:{self.port}" if self.network.version == 6 else f"{host}:{self.port}"


class PortRange(NamedTuple):
    """Ports `low` to `high`, both included."""

    low: int
    high: int


def read_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError(f"bad port {text!r}: expected a number from 1 to 65535")
    return int(text)


def read_host(text: str) -> str:
    """An IP literal in its shortest form (no brackets) or a host name in lower case."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass  # not an IP literal: a host name, or nothing at all
    if bare != text or not _HOST.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
        raise ValueError(f"bad host {text!r}: expected an IPv4 or IPv6 address or a host name")
    return text.lower()


def split_host_port(text: str) -> tuple[str, str | None]:
    """`a`, `a:1`, `[::1]`, `[::1]:1`, and `::1` without a port."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"bad address {text!r}: expected '[IPv6]' or '[IPv6]:PORT'")
        return f"[{host}]", rest[1:] if rest else None
    if text.count(":") > 1:
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def read_host_port(value: Any) -> HostPort:
    if isinstance(value, HostPort):
        return value
    host, port = split_host_port(_text(value, "'HOST' or 'HOST:PORT'"))
    return HostPort(read_host(host), None if port is None else read_port(port))


def read_listen(value: Any) -> Listen:
    if isinstance(value, Listen):
        return value
    text = _text(value, "'udp:0.0.0.0:5060'")
    transport, colon, rest = text.partition(":")
    if not colon or transport not in ("udp", "tcp"):
        raise ValueError(f"bad listener {text!r}: expected 'udp:ADDRESS:PORT' or 'tcp:ADDRESS:PORT'")
    host, port = split_host_port(rest)
    try:
        address = str(ipaddress.ip_address(host[1:-1] if host.startswith("[") else host))
    except ValueError:
        raise ValueError(
            f"bad listener {text!r}: expected an IP address, such as udp:0.0.0.0:5060 or udp:[::]:5060"
        ) from None
    return Listen(
        "udp" if transport == "udp" else "tcp", address, DEFAULT_SIP_PORT if port is None else read_port(port)
    )


def read_network(value: Any) -> IpNetwork:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    text = _text(value, "a network such as 10.0.0.0/8")
    try:
        return ipaddress.ip_network(text)
    except ValueError as problem:
        raise ValueError(f"bad network {text!r}: {_network_problem(text, problem)}") from None


def read_address_rule(value: Any) -> AddressRule:
    """`192.0.2.1`, `192.0.2.0/24`, `192.0.2.1:5080`, `2001:db8::/32`, `[2001:db8::1]:5060`."""
    if isinstance(value, AddressRule):
        return value
    text = _text(value, "an address or network")
    host, port = split_host_port(text)
    bare = host[1:-1] if host.startswith("[") else host
    try:
        network = ipaddress.ip_network(bare)
    except ValueError as problem:
        raise ValueError(f"bad address {text!r}: {_network_problem(bare, problem)}") from None
    return AddressRule(network, None if port is None else read_port(port))


def _network_problem(text: str, problem: ValueError) -> str:
    if "host bits set" in str(problem):
        return f"host bits are set, expected {ipaddress.ip_network(text, strict=False)}"
    return "expected ADDRESS or ADDRESS/LENGTH with IP addresses, such as 192.0.2.0/24"


def read_port_range(value: Any) -> PortRange:
    if isinstance(value, PortRange):
        return value
    text = _text(value, "'LOW-HIGH'")
    low, dash, high = text.partition("-")
    if not dash:
        raise ValueError(f"bad port range {text!r}: expected 'LOW-HIGH', such as 10000-10127")
    ports = PortRange(read_port(low.strip()), read_port(high.strip()))
    if ports.low % 2:
        raise ValueError(f"bad port range {text!r}: expected an even first port, RTP uses even ports and RTCP odd ones")
    if ports.high <= ports.low:
        raise ValueError(f"bad port range {text!r}: expected the last port to be above the first")
    return ports


def read_duration(value: Any) -> Any:
    """Seconds from `500ms`, `30s`, `5m`, `1h`, `1d` or a bare number of seconds."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("expected a duration such as 500ms, 30s, 5m or 1h")
    if not isinstance(value, str):
        seconds = float(value)
    else:
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"bad duration {value!r}: expected a number with ms, s, m, h or d, such as 30s")
        seconds = float(match[1]) * _UNIT[match[2]]
    if seconds > MAX_DURATION:
        raise ValueError(f"bad duration {value!r}: expected less than ten years")
    return seconds


def read_optional_duration(value: Any) -> Any:
    return None if value is None or value in ("none", "off", "never") else read_duration(value)


def read_optional_number(value: Any) -> Any:
    return None if value is None or value in ("none", "off") else value


def one_or_many(value: Any) -> Any:
    """A single value stands for a list of one."""
    return (value,) if isinstance(value, str | dict) else value


def _text(value: Any, expected: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected {expected}")
    return value.strip()


def _written_as(read: Callable[[Any], Any], pattern: str, example: str) -> PlainValidator:
    """A validator whose JSON Schema is the text form."""
    written = Annotated[str, Field(pattern=pattern, examples=[example])]
    return PlainValidator(read, json_schema_input_type=written)


_DURATION_TEXT = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)?$", examples=["30s"])]
_OPTIONAL_DURATION_TEXT = Annotated[
    str, Field(pattern=r"^([0-9]+(\.[0-9]+)?\s*(ms|s|m|h|d)?|none|off|never)$", examples=["60s", "none"])
]

Duration = Annotated[float, BeforeValidator(read_duration, json_schema_input_type=_DURATION_TEXT | float)]
OptionalDuration = Annotated[
    float | None,
    BeforeValidator(read_optional_duration, json_schema_input_type=_OPTIONAL_DURATION_TEXT | float | None),
]
OptionalRate = Annotated[
    float | None, BeforeValidator(read_optional_number, json_schema_input_type=float | Literal["none", "off"] | None)
]
ListenAddress = Annotated[
    Listen,
    _written_as(read_listen, r"^(udp|tcp):(\[[0-9A-Fa-f:.]+\]|[0-9.]+|[0-9A-Fa-f:]+)(:[0-9]+)?$", "udp:0.0.0.0:5060"),
]
HostPortText = Annotated[HostPort, _written_as(read_host_port, r"^\S+$", "sip.example.com:5060")]
AddressRuleText = Annotated[AddressRule, _written_as(read_address_rule, r"^[0-9A-Fa-f:./\[\]]+$", "192.0.2.0/24")]
NetworkText = Annotated[IpNetwork, _written_as(read_network, r"^[0-9A-Fa-f:./]+$", "10.0.0.0/8")]
PortRangeText = Annotated[PortRange, _written_as(read_port_range, r"^[0-9]+\s*-\s*[0-9]+$", "10000-10127")]

# User part of a SIP URI without anything that needs escaping, quoting or care in a log.
NUMBER_PATTERN = r"^[A-Za-z0-9*#+_.-]{1,32}$"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
# Printable, no quotes and no backslash: goes into a quoted SIP display name as it is.
DISPLAY_PATTERN = r'^[^"\\\x00-\x1f\x7f-\x9f]{0,80}$'
# Printable ASCII without space, quote, colon and backslash, which digest and files would need to quote.
TOKEN_PATTERN = r"^[\x21\x23-\x39\x3b-\x5b\x5d-\x7e]{1,64}$"

ExtensionNumber = Annotated[str, Field(pattern=NUMBER_PATTERN)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
DisplayName = Annotated[str, Field(pattern=DISPLAY_PATTERN)]

# Audio codecs the switch can name in SDP; which of them can also be transcoded is the media engine's matter.
CODECS = ("PCMU", "PCMA", "G722", "opus", "G729", "G723", "GSM", "iLBC", "speex", "AMR", "AMR-WB", "L16")
Codec = Literal["PCMU", "PCMA", "G722", "opus", "G729", "G723", "GSM", "iLBC", "speex", "AMR", "AMR-WB", "L16"]
TransportName = Literal["udp", "tcp"]
DtmfMode = Literal["auto", "rfc4733", "info", "inband"]
RecordRule = Literal["never", "always", "on-demand"]

_CODEC_BY_NAME = {name.lower(): name for name in CODECS} | {
    "ulaw": "PCMU",
    "alaw": "PCMA",
    "g711u": "PCMU",
    "g711a": "PCMA",
}


# Headers that make up the signalling of a leg: copied to another leg they would break it or betray its
# other end.
_OWN_HEADERS = """
    via v from f to t call-id i cseq contact m max-forwards route record-route path
    authorization www-authenticate proxy-authorization proxy-authenticate authentication-info
    content-length l content-type c content-encoding e content-disposition content-language
    supported k require proxy-require unsupported allow allow-events u event o subscription-state
    expires min-expires session-expires x min-se rseq rack timestamp date retry-after server user-agent
    reason replaces refer-to r referred-by b identity privacy
    p-asserted-identity p-preferred-identity remote-party-id
    """
OWN_HEADERS = frozenset(_OWN_HEADERS.split())
_HEADER = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,64}")


def _read_header(value: object) -> object:
    if isinstance(value, str):
        if not _HEADER.fullmatch(value):
            raise ValueError(f"bad header name {value!r}: expected a name such as X-Account")
        if value.lower() in OWN_HEADERS:
            raise ValueError(f"header {value!r} belongs to its own leg: expected another, such as X-Account")
    return value


HeaderName = Annotated[str, BeforeValidator(_read_header, json_schema_input_type=str)]


def _read_codec(value: object) -> object:
    return _CODEC_BY_NAME.get(value.lower(), value) if isinstance(value, str) else value


def _each_once(codecs: tuple[str, ...]) -> tuple[str, ...]:
    repeated = [name for name in codecs if codecs.count(name) > 1]
    if repeated:
        raise ValueError(f"{repeated[0]} is listed twice: expected each codec once")
    return codecs


def _read_host(value: object) -> object:
    return read_host(value) if isinstance(value, str) else value


def _read_ip(value: object) -> object:
    if isinstance(value, str):
        try:
            return str(ipaddress.ip_address(value.strip("[]")))
        except ValueError:
            raise ValueError(f"bad address {value!r}: expected one such as 192.0.2.7 or 2001:db8::7") from None
    return value


CodecName = Annotated[Codec, BeforeValidator(_read_codec, json_schema_input_type=Codec)]
CodecList = Annotated[
    tuple[CodecName, ...],
    BeforeValidator(one_or_many, json_schema_input_type=Codec | list[Codec]),
    Field(min_length=1, max_length=16),
    AfterValidator(_each_once),
]
Transports = Annotated[
    tuple[TransportName, ...],
    BeforeValidator(one_or_many, json_schema_input_type=TransportName | list[TransportName]),
    Field(min_length=1),
]
HostText = Annotated[str, BeforeValidator(_read_host, json_schema_input_type=str)]
IpText = Annotated[str, BeforeValidator(_read_ip, json_schema_input_type=str)]
Token = Annotated[str, Field(pattern=TOKEN_PATTERN)]
AddressRules = Annotated[
    tuple[AddressRuleText, ...],
    BeforeValidator(one_or_many, json_schema_input_type=str | list[str]),
]
