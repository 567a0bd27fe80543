"""Trunks as operators write them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from sip.errors import SipError
from sip.headers import NameAddr
from sip.uri import Uri
from softswitch.dialplan.models import RegexText
from softswitch.dialplan.patterns import REFER_TO_VARIABLES, REFERRED_BY_VARIABLES, Template, check_replacement
from softswitch.settings.barring_models import ClassNames
from softswitch.settings.fields import (
    NUMBER_PATTERN,
    AddressRules,
    CodecList,
    DisplayName,
    DtmfMode,
    Duration,
    ExtensionNumber,
    HostPort,
    HostPortText,
    HostText,
    Name,
    OptionalDuration,
    RecordRule,
    Section,
    Token,
    TransportName,
    one_or_many,
    read_host_port,
)


class Gateway(Section):
    """One place where a trunk's calls can go."""

    host: HostText
    """Name or address."""
    port: int | None = Field(None, ge=1, le=65535)
    """Absent: DNS decides for a name (RFC 3263), 5060 for an address."""
    transport: TransportName | None = None
    """Absent: DNS decides for a name, udp for an address."""
    priority: int = Field(0, ge=0, le=65535)
    """Lower is tried first."""
    weight: int = Field(1, ge=0, le=65535)
    """Share among gateways of one priority."""


def _read_gateway(value: object) -> object:
    """`HOST`, `HOST:PORT`, `udp:HOST:PORT` for the mapping with these keys."""
    if not isinstance(value, str):
        return value
    transport, colon, rest = value.partition(":")
    if colon and transport in ("udp", "tcp"):
        address: HostPort = read_host_port(rest)
        return {"host": address.host, "port": address.port, "transport": transport}
    address = read_host_port(value)
    return {"host": address.host, "port": address.port}


GatewayText = Annotated[Gateway, BeforeValidator(_read_gateway, json_schema_input_type=str | Gateway)]


class Account(Section):
    """What we answer a trunk's digest challenges with."""

    username: Token
    """Digest user name."""
    password: SecretStr | None = Field(None, min_length=1, max_length=128)
    """Digest password; absent, that of the trunk in secrets.yaml."""
    realm: str = Field("", pattern=r'^[^"\\\x00-\x1f\x7f]{0,128}$')
    """Realm the password is for; empty binds it to the first realm this trunk asks with."""


class TrunkRegistration(Section):
    """Registration of this switch at the trunk, with the trunk's `account`."""

    registrar: HostPortText
    """Where to register: name or address, with a port where DNS shall not decide."""
    transport: TransportName | None = None
    """Absent: DNS decides for a name, udp for an address."""
    domain: HostText | None = None
    """Domain of the registered address; absent, the registrar's."""
    user: Token | None = None
    """User part of the registered address; absent, the account's user name."""
    contact_user: ExtensionNumber | None = None
    """User part of our Contact; absent, `user`."""
    expires: Duration = Field(3600.0, ge=60, le=86400)
    """Time asked for."""


class Inbound(Section):
    """How calls from a trunk are recognised: by address or by credentials, never by either."""

    addresses: AddressRules = ()
    """Addresses and networks, also with a source port: 192.0.2.0/24, 192.0.2.1:5080, [2001:db8::1]:5060."""
    username: Token | None = None
    """Digest user name; with it every call must authenticate, and `addresses` only narrow where from."""
    password: SecretStr | None = Field(None, min_length=4, max_length=128)
    """Digest password; absent, the `inbound` one of the trunk in secrets.yaml."""


class NumberRule(Section):
    """A change to a number, made where the number matches."""

    match: RegexText | None = None
    """Regular expression the whole number must match; absent, every number."""
    replace: str | None = Field(None, max_length=64)
    r"""What the number becomes first; `\1` to `\9` are the groups of `match`."""
    strip: int = Field(0, ge=0, le=32)
    """Characters then taken off the front."""
    prepend: str = Field("", pattern=r"^[A-Za-z0-9*#+_.-]{0,32}$")
    """Put in front at last; always literal."""

    @model_validator(mode="after")
    def _groups_exist(self) -> NumberRule:
        if self.replace is not None:
            if self.match is None:
                raise ValueError("'replace' needs 'match'")
            check_replacement(self.match, self.replace)
        return self


class NumberRewriting(Section):
    """Rewriting at the trunk. In each list, only the first rule that matches is applied."""

    dialled_in: tuple[NumberRule, ...] = ()
    """Dialled number of calls from the trunk, before the dialplan."""
    dialled_out: tuple[NumberRule, ...] = ()
    """Dialled number of calls to the trunk."""
    caller_in: tuple[NumberRule, ...] = ()
    """Caller's number of calls from the trunk."""
    caller_out: tuple[NumberRule, ...] = ()
    """Caller's number of calls to the trunk, before the rules of `caller_id`."""


class TrunkCallerId(Section):
    """How callers are shown to a trunk, and what is believed of the callers it shows."""

    trusted: bool = False
    """Trust domain of RFC 3325: identity headers are believed from it and, of anonymous callers too, sent
    to it."""
    send: Literal["none", "p-asserted-identity", "remote-party-id", "p-preferred-identity"] = "none"
    """Identity header of calls to the trunk."""
    number: Annotated[str, Field(pattern=NUMBER_PATTERN)] | None = None
    """Fixed caller number of calls to the trunk; absent, the caller's own."""
    name: DisplayName | None = None
    """Fixed display name; absent, the caller's own; empty: none."""
    allowed: RegexText | None = None
    """Regular expression of the caller numbers that may be shown; others are shown as `default_number`."""
    default_number: Annotated[str, Field(pattern=NUMBER_PATTERN)] | None = None
    """Number shown for callers that `allowed` does not match."""
    from_user: Token | None = None
    """Fixed user part of From, where a provider wants its account there."""
    from_domain: HostText | None = None
    """Domain of From; absent, the gateway's host."""

    @model_validator(mode="after")
    def _sensible(self) -> TrunkCallerId:
        if self.allowed is not None and self.default_number is None:
            raise ValueError("'allowed' needs 'default_number', the number shown for all others")
        if self.send in ("p-asserted-identity", "remote-party-id") and not self.trusted:
            raise ValueError(f"'send: {self.send}' needs 'trusted: true' (RFC 3325: only inside a trust domain)")
        return self


TEMPLATE_PATTERN = "^[ -~]{1,256}$"


def _refer_to(text: str) -> str:
    expanded = Template(text, REFER_TO_VARIABLES).expand({"number": "1", "host": "example.com"})
    try:
        uri = Uri.parse(expanded)
    except SipError as error:
        raise ValueError(f"bad target {text!r}: expected a URI such as sip:{{number}}@{{host}}") from error
    if uri.scheme not in ("sip", "sips", "tel") or uri.headers or "{number}" not in text:
        raise ValueError(f"bad target {text!r}: expected a URI with {{number}} in it, such as sip:{{number}}@{{host}}")
    return text


def _referred_by(text: str) -> str:
    expanded = Template(text, REFERRED_BY_VARIABLES).expand({"extension": "1", "host": "example.com"})
    try:
        NameAddr.parse(expanded)
    except SipError as error:
        raise ValueError(f"bad address {text!r}: expected one such as <sip:{{extension}}@{{host}}>") from error
    return text


class TransferByRefer(Section):
    """How a trunk is asked to carry out a transfer itself (REFER, RFC 3515)."""

    refer_to: Annotated[str, Field(pattern=TEMPLATE_PATTERN), AfterValidator(_refer_to)] = "sip:{number}@{host}"
    """Whom to call: `{number}`, as dialled at the trunk, after `rewrite`; `{host}`, its gateway."""
    referred_by: Annotated[str, Field(pattern=TEMPLATE_PATTERN), AfterValidator(_referred_by)] | None = None
    """Who asks (Referred-By, RFC 3892): `{extension}`, `{host}`, our address; absent, that is not said."""
    timeout: Duration = Field(32.0, ge=1, le=600)
    """How long the trunk may take until it says that somebody has answered; then the switch does it itself."""


class Trunk(Section):
    """A line to elsewhere: a provider, a gateway, another switch."""

    name: Name
    """Not written: the key in `trunks`."""
    context: Name | None = None
    """Dialplan context of its calls to us; must be there when `inbound` is."""
    inbound: Inbound | None = None
    """How its calls to us are recognised; absent, it can't call."""
    gateways: Annotated[
        tuple[GatewayText, ...],
        BeforeValidator(one_or_many, json_schema_input_type=str | Gateway | list[str | Gateway]),
        Field(max_length=64),
    ] = ()
    """Where its calls go: `HOST`, `HOST:PORT`, `tcp:HOST:PORT`, or mappings with priority and weight."""
    account: Account | None = None
    """Digest account at the trunk."""
    register_: TrunkRegistration | None = Field(None, alias="register")
    """Registration at the trunk."""
    codecs: CodecList | None = None
    """Codecs in order of preference; absent, `media.codecs`."""
    transcode: bool | None = None
    """Whether its calls may be transcoded; absent, `media.transcode`."""
    video: bool = False
    """Whether its calls may have video, with another end that may: H.264, H.265, VP8, VP9 and AV1 are relayed between
    the two, and never decoded."""
    dtmf: DtmfMode = "auto"
    """How digits come and go: `auto`, telephone-events (RFC 4733) where agreed, else tones; `rfc4733`, never as tones;
    `info`, SIP INFO; `inband`, tones."""
    record: RecordRule | None = None
    """Whether its calls are recorded: `never`, `always`, `on-demand` (`softswitch record`); an extension's word comes
    first."""
    music_on_hold: Name | None = None
    """The class of hold music (`media.sounds.music`, or `default`) that is heard here while the other end holds;
    absent, what that end sends, which is as a rule nothing."""
    channels: int = Field(0, ge=0, le=100_000)
    """Calls at once, both directions; 0: no limit of its own."""
    calls_per_second: float = Field(0.0, ge=0, le=100_000)
    """Calls a second taken from it, where `addresses` alone recognise it; more get 503; 0: no limit."""
    may_call: ClassNames = ()
    """Classes of `barring` that its callers may call through trunks: `international`, `premium`..."""
    calls_per_minute: float = Field(0.0, ge=0, le=1_000_000)
    """Calls a minute that go out by it, or that its callers send out, on average and at once; more get 403; 0: no
    limit."""
    minutes_per_day: float = Field(0.0, ge=0, le=100_000_000)
    """Minutes in 24 hours of such calls; then new ones are refused 403 and running ones end; 0: no limit."""
    ring_timeout: Duration = Field(120.0, ge=1, le=600)
    """How long a call to the trunk may ring."""
    caller_id: TrunkCallerId = TrunkCallerId()
    diversion: Literal["none", "diversion", "history-info", "both"] = "diversion"
    """How the trunk is told which extension has sent a call on, and why: `diversion` (RFC 5806), `history-info` (RFC
    7044); the number is shown as `caller_id` and `rewrite: caller_out` have it. What the trunk itself says of calls is
    believed where `caller_id: trusted`."""
    referred_by: bool = False
    """Whether the trunk is told which extension has sent a caller there by a transfer (Referred-By, RFC 3892); the
    number is shown as for `diversion`. Telephones are always told."""
    transfer_by_refer: TransferByRefer | None = None
    """Transfers to a number that the dialplan leads to this same trunk, of who is in a call by it, are asked of the
    trunk; absent, the switch carries them out itself, as where the trunk will not or can't."""
    rewrite: NumberRewriting = NumberRewriting()
    options_interval: OptionalDuration = Field(60.0, ge=5, le=86400)
    """Between two OPTIONS to each gateway; `none` sends none and takes it for reachable."""
    failover: tuple[Annotated[int, Field(ge=400, le=699)], ...] = ()
    """Statuses that make a call try the next gateway, besides those that always do (timeout, 503...)."""
    rest: Duration = Field(30.0, ge=1, le=3600)
    """How long a gateway is left alone after a 503 without Retry-After."""
    nat: Literal["auto", "yes", "no"] = "no"
    """Whether the trunk stands behind NAT: audio may then come from another address than signalled."""
    reliable_provisional: Literal["no", "supported", "required"] = "supported"
    """Provisional answers with PRACK (RFC 3262): never, where the trunk can, or demanded of it."""
    srtp: Literal["never", "optional", "required"] = "never"
    """Encrypted audio (SRTP, keys by SDES): `never`; `optional`: as the trunk offers, and offered to it first;
    `required`: calls without it are refused with 488. Keys go in the signalling: over TLS only, see next."""
    srtp_over_insecure_signalling: bool = False
    """Let `srtp` keys go over UDP and TCP too, where whoever sees the signalling can decrypt the audio."""

    @model_validator(mode="after")
    def _whole(self) -> Trunk:
        if self.inbound is None and not self.gateways:
            raise ValueError("neither 'inbound' nor 'gateways': expected one at least")
        if self.inbound is not None and not self.inbound.addresses and self.inbound.username is None:
            raise ValueError("'inbound' names neither 'addresses' nor 'username': nobody could call")
        if self.inbound is not None and self.context is None:
            raise ValueError("'context' is missing: calls from the trunk need one")
        if self.register_ is not None and self.account is None:
            raise ValueError("'register' needs 'account'")
        if self.calls_per_second and (self.inbound is None or self.inbound.username is not None):
            raise ValueError("'calls_per_second' goes with 'inbound' by addresses: others have sip.limits")
        return self
