"""Everything an operator can write in the configuration directory, as frozen models.

`Settings` is the whole; `loader.load` makes it. The text under a field is its documentation, which the JSON
Schema shows in editors. Durations are seconds (float) once read. Secrets are `SecretStr`: never in a repr.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from softswitch.auto_answer import Style as AutoAnswerStyle
from softswitch.conference.settings import ConferenceRooms
from softswitch.dialplan.group_models import PagingGroup, RingGroup
from softswitch.dialplan.models import Context
from softswitch.feature_codes import ALL
from softswitch.settings.acd_models import AgentGroups, Hours, Skills, Teams
from softswitch.settings.agent_models import Agent
from softswitch.settings.barring_models import Barring, ClassNames
from softswitch.settings.call_models import ParkingLot, PickUpRule, Transfers
from softswitch.settings.code_models import AllowedCodes, FeatureCodes, Pin
from softswitch.settings.fields import (
    NUMBER_PATTERN,
    AddressRules,
    CodecList,
    DisplayName,
    DtmfMode,
    Duration,
    ExtensionNumber,
    HeaderName,
    HostText,
    Listen,
    ListenAddress,
    Name,
    NetworkText,
    OptionalDuration,
    OptionalRate,
    RecordRule,
    Section,
    Transports,
    one_or_many,
)
from softswitch.settings.find_me_models import FindMe, FindMeList
from softswitch.settings.media_models import MediaSettings
from softswitch.settings.queue_models import Queue
from softswitch.settings.ranges import MAX_EXPANDED
from softswitch.settings.trunk_models import Trunk
from softswitch.settings.watch_models import SubscriptionBounds, WatchList


class Timers(Section):
    """Base values of the SIP timers, RFC 3261 17.1.1.2."""

    t1: Duration = Field(0.5, ge=0.05, le=10)
    """Estimate of the round-trip time: first retransmission; 64 times this is the life of a transaction."""
    t2: Duration = Field(4.0, ge=0.5, le=60)
    """Longest interval between retransmissions of requests other than INVITE."""
    t4: Duration = Field(5.0, ge=0.5, le=60)
    """How long a message may stay in the network."""

    @model_validator(mode="after")
    def _rising(self) -> Timers:
        if self.t2 < self.t1:
            raise ValueError("expected t2 to be at least t1")
        return self


class SessionTimer(Section):
    """Session timers, RFC 4028: calls whose other end is gone are found and ended."""

    mode: Literal["offer", "accept"] = "offer"
    """`offer` asks for one in every call, `accept` only goes along with the peer's."""
    expires: Duration = Field(1800.0, ge=90, le=86400)
    """Session-Expires asked for."""
    min_se: Duration = Field(90.0, ge=90, le=86400)
    """Shortest Session-Expires accepted: less is answered 422 (RFC 4028: not below 90 seconds)."""

    @model_validator(mode="after")
    def _rising(self) -> SessionTimer:
        if self.expires < self.min_se:
            raise ValueError("expected 'expires' to be at least 'min_se'")
        return self


class RegistrationBounds(Section):
    """Bounds of registrations, RFC 3261 10.3."""

    default: Duration = Field(3600.0, ge=30, le=86400)
    """Granted where a phone names no time."""
    min: Duration = Field(60.0, ge=10, le=3600)
    """Less is answered 423 (RFC 3261 10.3: only below one hour)."""
    max: Duration = Field(7200.0, ge=60, le=7 * 86400)
    """More is shortened to this."""

    @model_validator(mode="after")
    def _rising(self) -> RegistrationBounds:
        if not self.min <= self.default <= self.max:
            raise ValueError("expected min <= default <= max")
        return self


class Qualify(Section):
    """OPTIONS sent to registered contacts and trunk gateways, to know that they are there and how far."""

    interval: OptionalDuration = Field(60.0, ge=5, le=86400)
    """Between two OPTIONS to one place; `none` sends none."""
    retry: Duration = Field(10.0, ge=1, le=3600)
    """To the next OPTIONS after a failure, until the place counts as unreachable."""
    failures: int = Field(2, ge=1, le=20)
    """Failures in a row after which a place is unreachable and skipped."""
    in_flight: int = Field(100, ge=1, le=10_000)
    """OPTIONS awaiting an answer at one time."""


class Limits(Section):
    """What one switch, and one source of traffic, may use."""

    transactions: int = Field(100_000, ge=100, le=1_000_000)
    """SIP transactions alive at once; a request beyond is answered 503 with Retry-After."""
    calls: int = Field(10_000, ge=1, le=100_000)
    """Calls at once; an INVITE beyond is answered 503 with Retry-After."""
    registrations: int = Field(50_000, ge=1, le=1_000_000)
    """Contacts registered at once."""
    message_bytes: int = Field(65_535, ge=4_096, le=65_535)
    """Longest SIP message; a longer one is answered 413 or dropped."""
    connections: int = Field(4_096, ge=1, le=65_536)
    """TCP connections open at once."""
    connections_per_source: int = Field(64, ge=1, le=65_536)
    """TCP connections open at once from one address."""
    connection_idle: Duration = Field(7500.0, ge=30, le=86400 * 8)
    """A TCP connection without a byte for this long is closed; more than `registration: max`, or phones are
    lost."""
    requests_per_source: OptionalRate = Field(100.0, ge=1, le=1_000_000)
    """Requests a second from one address (one IPv6 /64) outside dialogs; more are answered 503 with Retry-After, far
    more dropped. Trunks known by their address are exempt. `none`: no limit."""
    requests_at_once: float = Field(1000.0, ge=1, le=1_000_000)
    """Of these, how many may come at once: an office behind one NAT after a power cut."""
    source_failures: float = Field(20.0, ge=1, le=100_000)
    """Failed authentications after which a source address is refused for a while."""
    user_failures: float = Field(50.0, ge=1, le=100_000)
    """Failed authentications after which a user name is refused at sources it has never signed in from."""
    failures_forgotten: float = Field(0.1, gt=0, le=1000)
    """Failed authentications forgotten per second."""


def _default_listen() -> tuple[Listen, ...]:
    return Listen("udp", "0.0.0.0", 5060), Listen("tcp", "0.0.0.0", 5060)


class SipSettings(Section):
    """Signalling."""

    listen: Annotated[
        tuple[ListenAddress, ...],
        BeforeValidator(one_or_many, json_schema_input_type=str | list[str]),
        Field(min_length=1, max_length=32),
    ] = Field(default_factory=_default_listen)
    """Sockets: `udp:0.0.0.0:5060`, `tcp:192.0.2.1:5060`, `udp:[::]:5060`."""
    advertise: HostText | None = None
    """Address or name written into Via and Contact instead of our own, where the switch stands behind NAT."""
    local_networks: tuple[NetworkText, ...] = ()
    """Networks that see our own address although `advertise` is set."""
    realm: str = Field("softswitch", pattern=r'^[^"\\\x00-\x1f\x7f]{1,64}$')
    """Digest realm of the extensions."""
    server_name: str = Field("softswitch", pattern=r"^[\x20-\x7e]{0,64}$")
    """Written into User-Agent and Server; empty: neither is sent."""
    algorithms: Annotated[tuple[Literal["SHA-256", "MD5"], ...], Field(min_length=1, max_length=2)] = (
        "SHA-256",
        "MD5",
    )
    """Digest algorithms offered to phones, best first (RFC 8760). Many phones know MD5 only."""
    nonce_lifetime: Duration = Field(300.0, ge=10, le=86400)
    """A nonce older than this is refused with `stale=true`, and the phone tries again by itself."""
    timers: Timers = Timers()
    session_timer: SessionTimer = SessionTimer()
    registration: RegistrationBounds = RegistrationBounds()
    subscriptions: SubscriptionBounds = SubscriptionBounds()
    qualify: Qualify = Qualify()
    limits: Limits = Limits()
    max_forwards: int = Field(70, ge=1, le=255)
    """Max-Forwards of calls that begin here."""
    pass_headers: Annotated[tuple[HeaderName, ...], Field(max_length=32)] = ()
    """Headers of a caller's INVITE that the called are sent too; all others stay on their own leg."""
    dns_timeout: Duration = Field(5.0, ge=0.5, le=30)
    """Longest wait for the answers to one step of resolving a name: services (NAPTR), servers (SRV), addresses."""

    @model_validator(mode="after")
    def _once(self) -> SipSettings:
        repeated = [entry for entry in self.listen if self.listen.count(entry) > 1]
        if repeated:
            raise ValueError(
                f"{repeated[0].transport}:{repeated[0].host}:{repeated[0].port} is listed twice in 'listen'"
            )
        return self


class ServerSettings(Section):
    """The process."""

    drain: Duration = Field(30.0, ge=0, le=86400)
    """On Ctrl-C, SIGTERM: calls may go on for this long, new ones get 503; then they are hung up."""
    state_directory: Path = Path("var")
    """Database, bindings and control socket; relative to the configuration directory."""
    database_url: str = Field("", max_length=1024)
    """SQLAlchemy URL of the call records; empty: SQLite, `softswitch.db` in the state directory."""
    acd_journal_kept: Duration = Field(400 * 86400.0, ge=0, le=36500 * 86400)
    """How long the journal of agents and queues is kept: what is older is taken out of it; 0: for ever."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged."""


class CallerId(Section):
    """What others see of a caller."""

    name: DisplayName | None = None
    """Display name; absent, the extension's name."""
    number: Annotated[str, Field(pattern=NUMBER_PATTERN)] | None = None
    """Number; absent, the extension's number."""


class Forward(Section):
    """Numbers that calls go on to, dialled in the extension's own context."""

    always: ExtensionNumber | None = None
    """Without ringing here."""
    busy: ExtensionNumber | None = None
    """When all contacts are busy, `call_limit` is reached, or by `do_not_disturb` or `call_waiting`."""
    no_answer: ExtensionNumber | None = None
    """When nobody answered within `no_answer_after`, or `ring_timeout`."""
    no_answer_after: Duration | None = Field(None, ge=1, le=600)
    """How long calls to here alone ring while `no_answer` is set and the route has no `ring_timeout`; absent,
    `ring_timeout`."""
    unavailable: ExtensionNumber | None = None
    """When no contact is registered or reachable."""


Names = Annotated[
    tuple[Name, ...], BeforeValidator(one_or_many, json_schema_input_type=Name | list[Name]), Field(max_length=64)
]


class ClassOfService(Section):
    """What extensions of this class have where they do not say it themselves; the keys are theirs."""

    context: Name | None = None
    """Dialplan context of their calls: the routes they may take."""
    call_limit: int | None = Field(None, ge=0, le=10_000)
    """Calls at once, both directions, of each of them; 0: no limit."""
    call_waiting: bool | None = None
    """Whether a call rings during another."""
    record: RecordRule | None = None
    """Whether their calls are recorded: `never`, `always`, `on-demand`."""
    may_call: ClassNames | None = None
    """Classes of `barring` that they may call through trunks: `international`, `premium`..."""
    pin_for: ClassNames | None = None
    """Classes of `barring` that they may call after they have dialled their `pin`."""
    codes: AllowedCodes | None = None
    """Codes of `feature_codes` that they may use."""
    calls_per_minute: float | None = Field(None, ge=0, le=100_000)
    """Calls a minute through trunks, of each of them; 0: no limit."""
    minutes_per_day: float | None = Field(None, ge=0, le=1_000_000)
    """Minutes through trunks in 24 hours, of each of them; 0: no limit."""
    watch: WatchList | None = None
    """Whom their phones may watch: extensions, groups, parking lots, conferences, `all`."""
    watch_parties: bool | None = None
    """Whether their phones see whom those talk to that they watch."""
    pick_up: PickUpRule | None = None
    """Whose calls they may pick up that ring: `groups`, `all`, `none`."""
    may_intercom: PickUpRule | None = None
    """Whom they may call by intercom: `groups`, `all`, `none`."""
    supervises: Names | None = None
    """Groups whose calls they may listen to, whisper into and barge into."""
    click_to_dial: bool | None = None
    """Whether they may begin calls by a REFER outside a call."""


class Extension(Section):
    """One account: a phone, or several that ring together."""

    number: ExtensionNumber
    """The number; not written, it is the key in `extensions`. Also the digest user name."""
    name: DisplayName = ""
    """Display name."""
    password: SecretStr | None = Field(None, min_length=4, max_length=128)
    """Digest password. Better in secrets.yaml, where the first start puts one for each extension without."""
    class_: Name | None = Field(None, alias="class")
    """Class of service, of `classes`: what it says counts where the extension itself says nothing, and comes before
    `defaults`."""
    context: Name = "internal"
    """Dialplan context of calls from here: what this extension may dial."""
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
    """Whether its calls are recorded: `never`, `always`, `on-demand` (`softswitch record`); absent, the other end
    says."""
    obey_redirects: Literal["always", "internal", "never"] = "always"
    """Whether its phone may send callers on (302): to whatever it may dial, only where no trunk is called, or never;
    what is not followed counts as not reachable."""
    music_on_hold: Name | None = None
    """The class of hold music (`media.sounds.music`, or `default`) that is heard here while the other end holds;
    absent, what that end sends, which is as a rule nothing."""
    max_contacts: int = Field(5, ge=1, le=50)
    """Phones registered at once; one more replaces the oldest or is refused with 403."""
    ring_timeout: Duration = Field(30.0, ge=1, le=600)
    """How long calls to here ring."""
    forward: Forward = Forward()
    find_me: FindMeList = FindMe()
    """Other numbers that calls to here alone ring at, too: a number, a list of them, or a mapping."""
    diversion: Literal["none", "diversion", "history-info", "both"] = "none"
    """How its phones are told who has sent a call on, and why: `diversion` (RFC 5806), `history-info` (RFC 7044)."""
    do_not_disturb: bool = False
    """Calls to here find it busy, and do not ring."""
    call_waiting: bool = True
    """Whether a call rings here during another; `off`: it finds the extension busy."""
    caller_id: CallerId = CallerId()
    call_limit: int = Field(0, ge=0, le=10_000)
    """Calls at once, both directions; 0: no limit of its own."""
    may_call: ClassNames = ()
    """Classes of `barring` that it may call through trunks, itself or by its forwards: `international`, `premium`..."""
    pin: Pin | None = None
    """What is asked before calls that want a PIN, 4 to 16 digits. Better in secrets.yaml, under `pins`."""
    pin_for: ClassNames = ()
    """Classes of `barring` that it may call after the `pin` is dialled, whatever `may_call` says; not by forwards and
    transfers, of which nobody is there to be asked."""
    codes: AllowedCodes = (ALL,)
    """Codes of `feature_codes` that it may use: `all`, some by name, `none`. What `pick_up` and `supervises` say of the
    calls of others counts besides."""
    calls_per_minute: float = Field(0.0, ge=0, le=100_000)
    """Calls a minute through trunks, forwards too, on average and at once; more are refused 403; 0: no limit."""
    minutes_per_day: float = Field(0.0, ge=0, le=1_000_000)
    """Minutes through trunks in 24 hours, forwards too; then new calls get 403 and running ones end; 0: no limit."""
    watch: WatchList | None = None
    """Whom its phone may watch (busy lamps, presence): extensions, ring groups, `groups`, parking lots, conferences,
    `all`; absent, the extensions of its own `context`, all parking lots, and conferences that it can dial. Messages
    waiting for others only where named here."""
    watch_parties: bool = True
    """Whether its phone sees whom those talk to that it watches; who withholds the number is never shown."""
    groups: Names = ()
    """Groups that it belongs to, for pick-up and supervision: names of your own."""
    pick_up: PickUpRule = "groups"
    """Whose calls it may pick up that ring: those of its `groups`, of `all`, or `none`."""
    may_intercom: PickUpRule = "groups"
    """Whom it may call by intercom, so that the phone answers by itself: those of its `groups`, `all`, or `none`."""
    auto_answer: AutoAnswerStyle = "all"
    """How its phones are asked to answer by themselves, by intercom and paging: `call-info` (answer-after),
    `alert-info` (alert-autoanswer), `ring-answer` (words that Polycom phones look for), `answer-mode` (RFC 5373), or
    `all` but `ring-answer`. Whether they do is a setting of theirs."""
    supervises: Names = ()
    """Groups whose calls it may listen to, whisper into and barge into; empty: nobody's."""
    click_to_dial: bool = False
    """Whether it may begin calls by a REFER outside a call, as programs do that dial: its own phones ring, and who
    answers there is connected to the number."""
    supervision: Literal["beep", "silent"] = "beep"
    """Whether it hears that somebody begins to listen to its call."""
    reliable_provisional: Literal["no", "supported", "required"] = "supported"
    """Provisional answers with PRACK (RFC 3262): never, where the phone can, or demanded of it."""
    nat: Literal["auto", "yes", "no"] = "auto"
    """Behind NAT: told from the addresses, always, or never. Then audio may come from where signalling
    does."""
    srtp: Literal["never", "optional", "required"] = "never"
    """Encrypted audio (SRTP, keys by SDES): `never`; `optional`: as the phone offers, and offered to it first;
    `required`: calls without it are refused with 488. Keys go in the signalling: over TLS only, see next."""
    srtp_over_insecure_signalling: bool = False
    """Let `srtp` keys go over UDP and TCP too, where whoever sees the signalling can decrypt the audio."""
    transports: Transports = ("udp", "tcp")
    """Transports the phone may use."""
    sources: AddressRules = ()
    """Addresses and networks the phone may come from; empty: any."""


class Settings(Section):
    """The whole configuration, `defaults` and `secrets` already merged into what they apply to."""

    server: ServerSettings = ServerSettings()
    sip: SipSettings = SipSettings()
    media: MediaSettings = MediaSettings()
    barring: Barring = Barring()
    classes: dict[Name, ClassOfService] = {}
    """Classes of service by name; what they say is already in the extensions."""
    extensions: dict[str, Extension] = {}
    """By number."""
    trunks: dict[str, Trunk] = {}
    """By name."""
    ring_groups: dict[Name, RingGroup] = {}
    """By name."""
    conferences: ConferenceRooms = {}
    """By name."""
    feature_codes: FeatureCodes = FeatureCodes()
    paging: dict[Name, PagingGroup] = {}
    """Paging groups by name."""
    parking: dict[Name, ParkingLot] = {}
    """Parking lots by name."""
    transfers: Transfers = Transfers()
    dialplan: dict[str, Context] = {}
    """Contexts by name."""
    skills: Skills = {}
    """Skills of agents by name."""
    teams: Teams = {}
    """Teams by name; where none is written, there is `default`."""
    agent_groups: AgentGroups = {}
    """Groups of agents by name."""
    agents: Annotated[dict[str, Agent], Field(max_length=MAX_EXPANDED)] = {}
    """By id, in the order of the files, which is that of `fixed_order`."""
    queues: Annotated[dict[str, Queue], Field(max_length=5000)] = {}
    """By name."""
    hours: Hours = {}
    """Opening hours by name."""
