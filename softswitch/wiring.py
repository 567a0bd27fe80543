"""What operators wrote, as each part of the switch wants it: settings in, the parts' own configuration values out.

Pure mapping, so that a reload can make all of it first and apply it whole or not at all.
"""

from __future__ import annotations

import os
import sys
from itertools import pairwise

from pydantic import SecretStr

from media.commands import MediaSettings as EngineSettings
from media.negotiate import AudioPolicy
from media.shell import StudioSettings
from media.worker_view import Adoption, WorkerTerms
from media.workers import LocalWorkers, RemoteWorker
from sip.aio.dns import DnsSettings
from sip.aio.driver import DriverSettings
from sip.parser import Limits
from sip.registrar import RegistrarSettings
from sip.stack import StackSettings
from sip.timers import TimerConfig
from sip.ua import UaSettings
from sip.uri import escape_user
from softswitch.admission import AdmissionSettings, ExtensionAccount
from softswitch.audio_line import RecordingForm
from softswitch.barring import Barring
from softswitch.call_codes import CallCodes
from softswitch.caller_identity import CallerRules, NumberRule
from softswitch.directory_entries import Entries, ExtensionEntry, TrunkEntry
from softswitch.feature_codes import FeatureCodes
from softswitch.find_me import FindMe, FindMeNumber
from softswitch.parking import Lot
from softswitch.presence import conference_resource
from softswitch.qualify import QualifySettings
from softswitch.runtime_settings import RuntimeSettings
from softswitch.settings.models import Extension, Settings
from softswitch.settings.trunk_models import NumberRule as WrittenRule
from softswitch.settings.trunk_models import TransferByRefer, Trunk
from softswitch.settings.watch_models import EVERYBODY
from softswitch.subscriptions import PACKAGES, WatchRule, WatchSettings
from softswitch.throttle import ThrottleSettings
from softswitch.toll import TollSettings, TollTerms
from softswitch.trunk_refer import ReferRule
from softswitch.trunk_registration import TrunkRegistrationConfig
from softswitch.trunks import GatewayConfig, TrunkConfig
from softswitch.vocabulary import Party

MOST_AUTO_WORKERS = 4  # each relays some thousand calls, and takes some 200 MB
_RELIABLE = {"no": False, "supported": None, "required": True}


def stack_settings(settings: Settings) -> StackSettings:
    """Transactions: timers and limits."""
    timers = settings.sip.timers
    return StackSettings(
        timers=TimerConfig(t1=timers.t1, t2=timers.t2, t4=timers.t4),
        limits=Limits(message=settings.sip.limits.message_bytes),
        max_server_transactions=settings.sip.limits.transactions,
        idle_time=settings.sip.limits.connection_idle,
    )


def driver_settings(settings: Settings) -> DriverSettings:
    """Connections: limits."""
    limits = settings.sip.limits
    return DriverSettings(
        max_connections=limits.connections,
        max_connections_per_source=limits.connections_per_source,
    )


def dns_settings(settings: Settings) -> DnsSettings:
    """Look-ups: how long they may take."""
    return DnsSettings(lifetime=settings.sip.dns_timeout)


def ua_settings(settings: Settings) -> UaSettings:
    """Dialogs: session timers, product name, subscriptions, limits."""
    timer = settings.sip.session_timer
    subscriptions = settings.sip.subscriptions
    return UaSettings(
        user_agent=settings.sip.server_name,
        session_expires=int(timer.expires) if timer.mode == "offer" else 0,
        min_se=int(timer.min_se),
        max_sessions=4 * settings.sip.limits.calls,
        refer=True,
        event_packages=PACKAGES,
        subscription_expires=int(subscriptions.max),
        min_subscription=int(subscriptions.min),
        max_subscriptions=subscriptions.total,
        replaces=True,
        join=True,
    )


def watch_settings(settings: Settings) -> WatchSettings:
    """Who may watch whom: extensions, and the slots of parking lots and conferences, which are everybody's who has no
    `watch`."""
    extensions = settings.extensions
    slots = {name: list(lot.slots) for name, lot in settings.parking.items()}
    members: dict[str, list[str]] = {name: list(numbers) for name, numbers in slots.items()}
    for name in settings.conferences:
        members.setdefault(name, []).append(conference_resource(name))
    for name, group in settings.ring_groups.items():
        members.setdefault(name, []).extend(member.extension for member in group.members if member.extension)
    contexts: dict[str, list[str]] = {}
    for each in extensions.values():
        contexts.setdefault(each.context, [slot for lot in slots.values() for slot in lot]).append(each.number)
        for name in each.groups:
            members.setdefault(name, []).append(each.number)
    colleagues = {context: frozenset(numbers) for context, numbers in contexts.items()}
    named = {
        wanted: frozenset(number for name in wanted for number in members.get(name, (name,)))
        for wanted in {each.watch for each in extensions.values() if each.watch is not None}
    }
    rules = {}
    for number, each in extensions.items():
        if each.watch is None:
            rules[number] = WatchRule(colleagues[each.context], each.watch_parties, conferences=True)
        else:
            numbers = named[each.watch]
            rules[number] = WatchRule(None if EVERYBODY in each.watch else numbers, each.watch_parties, numbers)
    return WatchSettings(per_extension=settings.sip.subscriptions.per_extension, rules=rules)


def throttle_settings(settings: Settings) -> ThrottleSettings:
    """How many requests a source may send."""
    limits = settings.sip.limits
    return ThrottleSettings(
        per_source=limits.requests_per_source,
        burst=limits.requests_at_once,
        trunks={name: trunk.calls_per_second for name, trunk in settings.trunks.items() if trunk.calls_per_second},
    )


def engine_settings(settings: Settings) -> EngineSettings:
    """RTP sockets."""
    media = settings.media
    if media.bind is not None:
        hosts = [media.bind]
    else:
        hosts = list(dict.fromkeys(listen.host for listen in settings.sip.listen))
    return EngineSettings(
        rtp_ports=(media.rtp_ports.low, media.rtp_ports.high),
        shared_ports=media.shared_ports,
        hosts=tuple(hosts),
        rtcp_xr=media.rtcp_xr,
    )


def studio(settings: Settings) -> StudioSettings:
    """What is played, and where recordings go."""
    return StudioSettings(sounds=settings.media.sounds, recordings=settings.media.recordings)


def _workers_by_cores(settings: Settings) -> int:
    """How many media processes `auto` is: other programs of a machine want a core, too, the signalling process first of
    all; each needs a pair of ports; and beyond some, memory is all that more of them would take."""
    ports = settings.media.rtp_ports
    return max(1, min(len(os.sched_getaffinity(0)) - 1, MOST_AUTO_WORKERS, (ports.high - ports.low + 1) // 2))


def media_workers(settings: Settings, log_json: bool = False) -> tuple[LocalWorkers, tuple[RemoteWorker, ...]]:
    """Processes of the media engine; both empty where it runs in this one."""
    media = settings.media
    count = _workers_by_cores(settings) if media.workers == "auto" else media.workers
    log_options = ("--log-level", settings.server.log_level, *(("--log-json",) if log_json else ()))
    engine_options = ("--studio", studio(settings).model_dump_json(), *(("--rtcp-xr",) if media.rtcp_xr else ()))
    local = LocalWorkers(
        terms=tuple(
            WorkerTerms(name=f"media-{index}", rtp_ports=ports, shared_ports=-(-media.shared_ports // count))
            for index, ports in enumerate(_slices(media.rtp_ports.low, media.rtp_ports.high, count))
        ),
        command=(sys.executable, "-P", "-m", "softswitch", "media-worker", *log_options, *engine_options),
        directory=settings.server.state_directory,
        hosts=engine_settings(settings).hosts,
        orphan_time=media.orphan_time,
    )
    remote = []
    for each in media.remote_workers:
        assert each.address.port is not None
        ports = each.rtp_ports or media.rtp_ports
        terms = WorkerTerms(
            name=f"{each.address.host}:{each.address.port}",
            rtp_ports=(ports.low, ports.high),
            shared_ports=media.shared_ports,
            announce=each.hosts,
            secret=each.secret.get_secret_value().encode(),
        )
        remote.append(RemoteWorker(terms=terms, address=(each.address.host, each.address.port)))
    return local, tuple(remote)


def adoption(settings: Settings) -> Adoption:
    """How long calls of before a restart may talk on."""
    silence = settings.media.silence_hangup
    return Adoption() if silence is None else Adoption(silence=silence)


def _slices(low: int, high: int, count: int) -> list[tuple[int, int]]:
    """A range of ports in as many parts of whole pairs."""
    first = low + low % 2
    pairs = (high - first + 1) // 2
    edges = [first + 2 * (pairs * index // count) for index in range(count + 1)] if count else []
    return [(start, end - 1) for start, end in pairwise(edges)]


def runtime_settings(settings: Settings) -> RuntimeSettings:
    """Calls: limits and the silence that ends them."""
    return RuntimeSettings(
        max_calls=settings.sip.limits.calls,
        max_forwards=settings.sip.max_forwards,
        silence_hangup=settings.media.silence_hangup,
        hold_silence=settings.media.hold_silence,
        pass_headers=settings.sip.pass_headers,
        recordings=RecordingForm(
            format=settings.media.recordings.format,
            rate=settings.media.recordings.rate,
            stereo=settings.media.recordings.stereo,
        ),
        policy=AudioPolicy(codecs=settings.media.codecs),
    )


def registrar_settings(settings: Settings) -> RegistrarSettings:
    """Bounds of bindings."""
    bounds = settings.sip.registration
    return RegistrarSettings(
        default_expires=int(bounds.default),
        min_expires=int(bounds.min),
        max_expires=int(bounds.max),
        max_bindings=settings.sip.limits.registrations,
    )


def admission_settings(settings: Settings) -> AdmissionSettings:
    """Digest realm and the limits of guessing."""
    limits = settings.sip.limits
    return AdmissionSettings(
        realm=settings.sip.realm,
        algorithms=settings.sip.algorithms,
        nonce_lifetime=settings.sip.nonce_lifetime,
        source_failures=limits.source_failures,
        user_failures=limits.user_failures,
        fade=limits.failures_forgotten,
    )


def qualify_settings(settings: Settings) -> QualifySettings:
    """Pace of OPTIONS."""
    pace = settings.sip.qualify
    return QualifySettings(
        interval=pace.interval or 0.0,
        retry=pace.retry,
        failures=pace.failures,
        in_flight=pace.in_flight,
    )


def accounts(settings: Settings) -> list[ExtensionAccount]:
    """Who may register and call with a password; an extension without one can do neither."""
    return [
        ExtensionAccount(
            extension=extension.number,
            password=_open(extension.password),
            sources=tuple(map(str, extension.sources)),
            transports=extension.transports,
            max_contacts=extension.max_contacts,
            nat=extension.nat,
            max_calls=extension.call_limit,
        )
        for extension in settings.extensions.values()
        if extension.password is not None
    ]


def entries(settings: Settings) -> Entries:
    """The phone book's part."""
    return Entries(
        extensions={number: _extension(settings, each) for number, each in settings.extensions.items()},
        trunks={
            name: TrunkEntry(
                name=name,
                context=trunk.context or "",
                policy=_policy(settings, trunk),
                record=trunk.record or "",
                diversion=trunk.diversion,
                referred_by=trunk.referred_by,
                refer=_refer_rule(trunk.transfer_by_refer),
                music=trunk.music_on_hold or "",
                ring_timeout=trunk.ring_timeout,
                nat=trunk.nat,
                reliable=_RELIABLE[trunk.reliable_provisional],
                channels=trunk.channels,
            )
            for name, trunk in settings.trunks.items()
        },
        groups=_groups(settings),
        codes=FeatureCodes(settings.feature_codes.codes),
        call_codes=call_codes(settings),
        lots=tuple(
            [
                Lot(name, lot.slots, lot.timeout, lot.fallback or "", lot.music or "", lot.announce)
                for name, lot in settings.parking.items()
            ]
        ),
        recall=settings.transfers.recall,
        fallback=settings.transfers.fallback or "",
        language=settings.media.sounds.language,
    )


def _groups(settings: Settings) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for number, extension in settings.extensions.items():
        for group in extension.groups:
            groups.setdefault(group, []).append(number)
    return {group: tuple(numbers) for group, numbers in groups.items()}


def _refer_rule(written: TransferByRefer | None) -> ReferRule | None:
    if written is None:
        return None
    return ReferRule(written.refer_to, written.referred_by or "", written.timeout)


def call_codes(settings: Settings) -> CallCodes:
    """Codes dialled in a call."""
    codes = settings.feature_codes.in_call
    return CallCodes(codes.codes, codes.digit_timeout, codes.number_timeout, codes.park_lot or "")


def pins(settings: Settings) -> dict[str, str]:
    """By extension."""
    return {each.number: _open(each.pin) for each in settings.extensions.values() if each.pin is not None}


def _extension(settings: Settings, extension: Extension) -> ExtensionEntry:
    caller_id = extension.caller_id
    forward = extension.forward
    forwards = {
        "always": forward.always,
        "busy": forward.busy,
        "no_answer": forward.no_answer,
        "unavailable": forward.unavailable,
    }
    return ExtensionEntry(
        number=extension.number,
        context=extension.context,
        caller=Party(
            caller_id.number or extension.number,
            extension.name if caller_id.name is None else caller_id.name,
        ),
        policy=_policy(settings, extension),
        record=extension.record or "",
        music=extension.music_on_hold or "",
        obey_redirects=extension.obey_redirects,
        find_me=_find_me(extension),
        diversion=extension.diversion,
        ring_timeout=extension.ring_timeout,
        nat=extension.nat,
        reliable=_RELIABLE[extension.reliable_provisional],
        call_limit=extension.call_limit,
        forwards={kind: number for kind, number in forwards.items() if number is not None},
        no_answer_after=forward.no_answer_after,
        do_not_disturb=extension.do_not_disturb,
        call_waiting=extension.call_waiting,
        codes=frozenset(extension.codes),
        groups=frozenset(extension.groups),
        pick_up=extension.pick_up,
        may_intercom=extension.may_intercom,
        auto_answer=extension.auto_answer,
        supervises=frozenset(extension.supervises),
        click_to_dial=extension.click_to_dial,
        beeps=extension.supervision == "beep",
    )


def _find_me(extension: Extension) -> FindMe | None:
    wanted = extension.find_me
    if not wanted.numbers:
        return None
    return FindMe(
        numbers=tuple(
            FindMeNumber(number=each.number, delay=each.delay or 0.0, ring_time=each.ring_time, confirm=each.confirm)
            for each in wanted.numbers
        ),
        enabled=wanted.enabled,
        sequential=wanted.strategy == "sequential",
        confirm_within=wanted.confirm_within,
    )


def _policy(settings: Settings, owner: Extension | Trunk) -> AudioPolicy:
    """Codecs, transcoding, digits, video, SRTP."""
    media = settings.media
    return AudioPolicy(
        codecs=owner.codecs or media.codecs,
        # Digits by INFO or as tones would come twice if telephone-events were agreed too.
        dtmf=owner.dtmf in ("auto", "rfc4733"),
        transcode=media.transcode if owner.transcode is None else owner.transcode,
        digits=owner.dtmf,
        video=owner.video,
        srtp=owner.srtp,
        sdes=owner.srtp_over_insecure_signalling,
    )


def toll_settings(settings: Settings) -> TollSettings:
    """What calls through trunks may cost."""
    barring = settings.barring
    holders: dict[str, TollTerms] = {
        f"extension:{number}": _terms(each, each.pin_for) for number, each in settings.extensions.items()
    }
    holders |= {f"trunk:{name}": _terms(each) for name, each in settings.trunks.items()}
    return TollSettings(
        barring=Barring(barring.classes, barring.home, barring.emergency),
        terms={holder: terms for holder, terms in holders.items() if terms != TollTerms()},
    )


def _terms(holder: Extension | Trunk, pin_for: tuple[str, ...] = ()) -> TollTerms:
    return TollTerms(
        may_call=frozenset(holder.may_call),
        pin_for=frozenset(pin_for),
        calls_per_minute=holder.calls_per_minute,
        minutes_per_day=holder.minutes_per_day,
    )


def trunk_configs(settings: Settings) -> list[TrunkConfig]:
    """Every trunk, for `softswitch.trunks` and for admission."""
    return [_trunk(trunk) for trunk in settings.trunks.values()]


def registrations(settings: Settings) -> list[TrunkRegistrationConfig]:
    """What this switch registers at trunks."""
    found = (_registration(trunk) for trunk in settings.trunks.values())
    return [each for each in found if each is not None]


def _trunk(trunk: Trunk) -> TrunkConfig:
    inbound, account, caller = trunk.inbound, trunk.account, trunk.caller_id
    if inbound is None:
        how = "none"
    else:
        how = "address" if inbound.username is None else "credentials"
    return TrunkConfig(
        name=trunk.name,
        inbound=how,  # type: ignore[arg-type]
        sources=tuple(map(str, inbound.addresses)) if inbound is not None else (),
        inbound_username=(inbound.username or "") if inbound is not None else "",
        inbound_password=_open(inbound.password) if inbound is not None else "",
        gateways=tuple(
            GatewayConfig(
                host=gateway.host,
                port=gateway.port,
                transport=gateway.transport or "",
                priority=gateway.priority,
                weight=gateway.weight,
            )
            for gateway in trunk.gateways
        ),
        username=account.username if account is not None else "",
        password=_open(account.password) if account is not None else "",
        realm=account.realm if account is not None else "",
        registration=_registration(trunk),
        max_calls=trunk.channels,
        rewrite_outbound=_rules(trunk.rewrite.dialled_out),
        rewrite_inbound=_rules(trunk.rewrite.dialled_in),
        caller=CallerRules(
            trusted=caller.trusted,
            send=caller.send,
            number=caller.number or "",
            name=caller.name,
            allowed=caller.allowed or "",
            default_number=caller.default_number or "",
            from_user=caller.from_user or "",
            from_domain=caller.from_domain or "",
            rewrite_outbound=_rules(trunk.rewrite.caller_out),
            rewrite_inbound=_rules(trunk.rewrite.caller_in),
        ),
        failover_statuses=frozenset(trunk.failover),
        cooling=trunk.rest,
        qualify=trunk.options_interval or 0.0,
        context=trunk.context or "",
    )


def _registration(trunk: Trunk) -> TrunkRegistrationConfig | None:
    wanted, account = trunk.register_, trunk.account
    if wanted is None or account is None:
        return None
    host = f"[{wanted.registrar.host}]" if ":" in wanted.registrar.host else wanted.registrar.host
    registrar = f"sip:{host}"
    if wanted.registrar.port is not None:
        registrar += f":{wanted.registrar.port}"
    if wanted.transport is not None and wanted.transport != "udp":
        registrar += f";transport={wanted.transport}"
    user = wanted.user or account.username
    return TrunkRegistrationConfig(
        trunk=trunk.name,
        registrar=registrar,
        aor=f"sip:{escape_user(user)}@{wanted.domain or host}",
        username=account.username,
        password=_open(account.password),
        realm=account.realm,
        contact_user=wanted.contact_user or user,
        expires=int(wanted.expires),
    )


def _rules(written: tuple[WrittenRule, ...]) -> tuple[NumberRule, ...]:
    return tuple(
        NumberRule(match=rule.match or "", replace=rule.replace, strip=rule.strip, prepend=rule.prepend)
        for rule in written
    )


def _open(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
