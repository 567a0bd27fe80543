"""The composition root: makes every part from the settings, joins them, starts and stops them in order.

    start    settings -> store (migrate, bindings) -> media -> SIP sockets -> keep-alive -> control socket
    reload   read and check everything; only then swap the settings of each part; calls in progress are not touched
    stop     drain: new calls get 503 with Retry-After; at the deadline the rest is hung up; then everything closes

Everything here runs on one event loop. Nothing else in `softswitch/` starts a task, reads a clock or opens a socket,
bar the store's writer and the control socket.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import ipaddress
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from media.audio_commands import RecordingFailed
from media.record_files import unwritable
from media.workers import MediaWorkers, end_workers
from sip.aio.addresses import LocalAddresses, SipListen
from sip.aio.dns import DnsClient
from sip.aio.driver import Driver, ListenError
from sip.binding import BindingRecord
from sip.ids import Ids
from softswitch import wiring
from softswitch.call_commands import CommandRefused, read_command
from softswitch.call_control import NoSuchCall
from softswitch.call_recording import ACTIONS, RecordingEvent, RecordingRefused
from softswitch.call_transfer import TransferRefused
from softswitch.causes import Cause
from softswitch.conference.commands import carry_out, list_all, read_request
from softswitch.contact import Contact
from softswitch.control import SOCKET_NAME, ControlError, ControlRefused, ControlServer
from softswitch.features import DEFAULT, FeatureChange, FeatureRefused
from softswitch.message_summary import MailboxRefused
from softswitch.report import cdr_of, media_report, status_report
from softswitch.rooms import ConferenceRefused
from softswitch.settings.loader import SECRETS_FILE, ConfigError, load
from softswitch.settings.models import Settings
from softswitch.settings.secrets import ensure_secrets
from softswitch.store import Store, StoreError
from softswitch.switch import Switch

if TYPE_CHECKING:
    from media.in_process import InProcessMedia

log = structlog.get_logger("softswitch")

BYE_GRACE = 2.0
"""Seconds for the BYEs of hung-up calls to be answered before the sockets close."""

MAX_NUMBER = 64
"""Characters of a number that is called by command."""

RECORDING_WORD = 5.0
"""Seconds that `softswitch record start` waits for the engine's word; its own patience ends later."""

POLL = 0.1
"""Seconds between two looks at whether the drain is over."""

MAX_ANNOUNCED = 4096
"""Peers whose view of us is remembered."""

BEYOND = "192.0.2.1"
"""Any address that is not on a network of ours (RFC 5737): stands for a host that only the DNS knows."""

# A call makes some hundreds of objects that live for minutes and hold no cycles: reference counts free them. Looking
# for cycles every 700 allocations (Python's default) would walk all of them again and again.
GC_THRESHOLDS = (100_000, 50, 100)


LARGE_BLOCK = 256 << 10
"""Bytes from which a block of memory is large."""

M_MMAP_THRESHOLD = -3  # malloc.h


class StartError(Exception):
    """The switch can't start: one line for the operator."""


class App:
    """One running switch."""

    def __init__(self, config: Path, log_json: bool = False) -> None:
        """`log_json`: how media workers are to log, as we do."""
        self._config = config
        self._log_json = log_json
        self._settings: Settings = load(config).settings
        self._stopping = asyncio.Event()
        self._started_at = 0.0
        self._opened = AsyncExitStack()  # what is closed at the end, the last opened first
        self._bindings: list[BindingRecord] = []
        self._features: list[FeatureChange] = []
        self._announced: dict[str, str] = {}
        self._loop = asyncio.get_running_loop()

    # ---- life ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open everything, or nothing. Raises StartError with one clear line."""
        try:
            await self._open()
        except (OSError, ControlError) as error:
            await self._opened.aclose()
            raise StartError(_one_line(error)) from error
        settings = self._settings
        now = self._loop.time()
        restored = self._switch.start(settings, self._bindings, now, self._features)
        self._bindings = []
        self._features = []
        self._driver.serve()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._loop.add_signal_handler(number, self._stopping.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload_signal)
        self._started_at = self._loop.time()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        _give_back_large_blocks()
        log.info("ready", listening=self.listening(), bindings=restored, calls_limit=settings.sip.limits.calls)

    async def _open(self) -> None:
        """Files, sockets and the database. OSError and ControlError say what is in the way."""
        settings = self._settings
        state = settings.server.state_directory
        # Call records and bindings are for the owner's eyes.
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if settings.media.carried_here and (why := unwritable(settings.media.recordings.directory)):
            raise StartError(f"media.recordings.directory: {why}")
        self._store = Store(settings.server.database_url)
        self._build(settings)
        opened = self._opened
        # First of all, since it tells when another switch runs here.
        handlers = {
            "status": self._status,
            "reload": self._reload_command,
            "record": self._record_command,
            "feature": self._feature_command,
            "mwi": self._mwi_command,
            "call": self._call_command,
            "conference": self._conference_command,
        }
        control = ControlServer(state / SOCKET_NAME, handlers)
        await control.start()
        opened.push_async_callback(control.stop)
        await self._store.start()
        opened.push_async_callback(self._store.close)
        self._bindings = await self._store.load_bindings()
        self._features = await self._store.load_features()
        await self._start_media(state)
        opened.push_async_callback(self._driver.close)
        # Who comes before the bindings and features are taken back is heard after it.
        await self._driver.open()

    async def _start_media(self, state: Path) -> None:
        media = self._media
        if isinstance(media, MediaWorkers):
            self._opened.push_async_callback(media.stop)
            await media.start()
        else:
            end_workers(state)
            self._opened.callback(media.stop)
            media.start()

    async def run(self) -> None:
        """Serve until told to stop, then drain and close."""
        await self._stopping.wait()
        await self._drain()
        await self._close()

    def stop(self) -> None:
        """Begin the drain."""
        self._stopping.set()

    def listening(self) -> list[str]:
        """What is listened on, as `udp 192.0.2.1:5060`."""
        return [str(each) for each in self._addresses.listen]

    def _build(self, settings: Settings) -> None:
        self._addresses = LocalAddresses(tuple(SipListen(*each) for each in settings.sip.listen))
        self._media = self._make_media(settings)
        self._switch = Switch(
            settings,
            Ids(),
            self._media,
            self._sent_by,
            self._media_address,
            time.time,
            self._record,
            self._store.write_binding_change,
        )
        self._switch.fault = self._fault
        self._switch.write_feature = self._store.write_feature
        self._switch.runtime.rooms.delete_file = self._delete_recording
        resolver = DnsClient(self._loop.time, wiring.dns_settings(settings))
        self._driver = Driver(
            self._switch.stack, self._addresses, self._switch.pump, wiring.driver_settings(settings), resolver
        )

    def _make_media(self, settings: Settings) -> InProcessMedia | MediaWorkers:
        local, remote = wiring.media_workers(settings, self._log_json)
        if not local.terms and not remote:
            # Where workers carry the audio, nothing of an engine is loaded here.
            from media.in_process import InProcessMedia

            return InProcessMedia(wiring.engine_settings(settings), self._media_has_events, wiring.studio(settings))
        return MediaWorkers(local, remote, wiring.adoption(settings), self._media_has_events)

    def _media_has_events(self) -> None:
        self._driver.drain()

    def _record(self, contact: Contact) -> None:
        self._store.write_cdr(cdr_of(contact))

    def _delete_recording(self, path: str) -> None:
        """Of a name that nobody needs any more; where a media worker of another machine wrote it, it stays there."""
        self._loop.run_in_executor(None, _delete, Path(path))

    def _fault(self, event: object, error: Exception) -> None:
        """An exception out of our own code: one call is lost, the switch goes on."""
        self._switch.runtime.counters["internal errors"] += 1
        log.error("internal error", event_kind=type(event).__name__, exc_info=error)

    # ---- our own addresses -----------------------------------------------------------------------------

    def _sent_by(self, transport: str, host: str) -> tuple[str, int]:
        """What Via and Contact say we are, on the way to `host`."""
        own, port = self._addresses.sent_by(transport, host)
        advertised = self._settings.sip.advertise
        return (own, port) if advertised is None or self._is_local(host) else (advertised, port)

    def _media_address(self, host: str) -> str:
        """What SDP says we are, to a peer whose signalling is at `host` ("": somewhere beyond the DNS)."""
        known = self._announced.get(host)
        if known is None:
            if len(self._announced) >= MAX_ANNOUNCED:
                self._announced.clear()
            known = self._announced[host] = self._choose_media_address(host)
        return known

    def _choose_media_address(self, host: str) -> str:
        advertised = self._settings.media.advertise or self._settings.sip.advertise
        if advertised is not None and not self._is_local(host):
            return advertised
        # RTP is bound to certain addresses, or to all: what we announce must be one of them.
        towards = self._addresses.address_towards(host or BEYOND)
        bound = [ipaddress.ip_address(each) for each in wiring.engine_settings(self._settings).hosts]
        wanted = ipaddress.ip_address(towards)
        if wanted in bound or any(each.is_unspecified for each in bound):
            return towards
        return next((str(each) for each in bound if each.version == wanted.version), towards)

    def _is_local(self, host: str) -> bool:
        networks = self._settings.sip.local_networks
        if not networks or not host:
            return False
        address = ipaddress.ip_address(host)
        return any(address in network for network in networks)

    # ---- control ---------------------------------------------------------------------------------------

    def _status(self, args: dict[str, Any]) -> Any:
        limit = args.get("limit")
        now = self._loop.time()
        switch = self._switch
        trunks = switch.trunks.status(now)
        return status_report(
            now=now,
            started=self._started_at,
            config=str(self._config),
            listening=self.listening(),
            draining=switch.runtime.draining,
            limit=limit if isinstance(limit, int) else None,
            bindings=switch.registrations.status(now, switch.contacts),
            trunks=trunks,
            trunk_registrations=switch.trunk_registrations.status(now),
            trunk_calls={each.name: switch.limits.held(f"trunk:{each.name}") for each in trunks},
            gateway_rtt={place: switch.gateways.rtt(place) for place in switch.gateways.places()},
            calls=switch.runtime.calls.values(),
            counters={
                **switch.stack.counters,
                **switch.admission.counters,
                **switch.throttle.counters,
                **switch.toll.counters,
                **switch.subscriptions.counters,
                **switch.runtime.counters,
                **switch.runtime.rooms.counters,
                **(self._media.counters if isinstance(self._media, MediaWorkers) else {}),
            },
            tables=switch.stack.sizes(),
            media=media_report(self._media),
            subscriptions=switch.subscriptions.status(now),
            quiet=self._media.quiet,
        )

    async def _record_command(self, args: dict[str, Any]) -> Any:
        action, call = args.get("action"), args.get("call")
        if action not in ACTIONS or not isinstance(call, str):
            raise ControlRefused(f"expected 'action' ({', '.join(ACTIONS)}) and 'call'")
        runtime = self._switch.runtime
        try:
            contact, begun = runtime.record(call, action, self._loop.time())
        except (RecordingRefused, NoSuchCall) as refused:
            raise ControlRefused(str(refused)) from refused
        if not begun:
            self._driver.drain()
            return {"contact": contact}
        return {"contact": contact, "path": await self._begun(begun, contact)}

    def _call_command(self, args: dict[str, Any]) -> Any:
        try:
            contact = self._switch.runtime.command(read_command(args), self._loop.time())
        except (TransferRefused, NoSuchCall, CommandRefused) as refused:
            raise ControlRefused(str(refused)) from refused
        self._driver.drain()
        active = self._switch.runtime.calls.get(contact)
        return {"contact": contact, "slot": active.call.parked_in if active is not None else ""}

    def _conference_command(self, args: dict[str, Any]) -> Any:
        rooms = self._switch.runtime.rooms
        try:
            answer = list_all(rooms) if not args else carry_out(rooms, read_request(args), self._loop.time())
        except ConferenceRefused as refused:
            raise ControlRefused(str(refused)) from refused
        self._driver.drain()
        return answer

    async def _begun(self, recording: int, contact: str) -> str:
        """The path of a recording once the engine has begun it. Raises ControlRefused."""
        word: asyncio.Future[RecordingEvent] = self._loop.create_future()
        audio = self._switch.runtime.audio
        audio.await_word(recording, lambda event: None if word.done() else word.set_result(event))
        self._driver.drain()
        try:
            async with asyncio.timeout(RECORDING_WORD):
                event = await word
        except TimeoutError:
            raise ControlRefused(
                f"call {contact}: the media engine has not said within {RECORDING_WORD:g} s that it records: "
                "the disk hangs, or the media worker does"
            ) from None
        finally:
            audio.await_no_more(recording)
        if isinstance(event, RecordingFailed):
            raise ControlRefused(f"call {contact} is not recorded: {event.why}")
        return event.path

    def _feature_command(self, args: dict[str, Any]) -> Any:
        extension, feature, value = args.get("extension"), args.get("feature"), args.get("value")
        switch = self._switch
        try:
            if not isinstance(extension, str):
                raise ControlRefused("expected 'extension'")
            if feature is not None or value is not None:
                if not isinstance(feature, str) or not isinstance(value, str):
                    raise ControlRefused("expected 'feature' and 'value'")
                switch.set_feature(extension, feature, None if value == DEFAULT else value)
                log.info("feature set", extension=extension, feature=feature, value=value)
                self._driver.drain()
            return switch.features.of(extension)
        except FeatureRefused as refused:
            raise ControlRefused(str(refused)) from refused

    def _mwi_command(self, args: dict[str, Any]) -> Any:
        extension, new, old = args.get("extension"), args.get("new"), args.get("old")
        if not isinstance(extension, str) or not isinstance(new, int) or not isinstance(old, int):
            raise ControlRefused("expected 'extension', 'new' and 'old'")
        try:
            self._switch.set_mailbox(extension, new, old)
        except MailboxRefused as refused:
            raise ControlRefused(str(refused)) from refused
        self._driver.drain()
        return {"new": new, "old": old}

    def _reload_command(self, _args: dict[str, Any]) -> Any:
        try:
            return {"notes": self.reload()}
        except ConfigError as error:
            raise ControlRefused("configuration not loaded", tuple(map(str, error.problems))) from error

    def _reload_signal(self) -> None:
        try:
            self.reload()
        except ConfigError as error:
            for problem in error.problems:
                log.error("reload refused", problem=str(problem))

    def reload(self) -> list[str]:
        """Read the configuration again and apply it whole, or raise ConfigError and change nothing.

        Extensions that have no password are given one, as at the start. Returns a line for each, without the password,
        one for each setting that only a restart applies, and the warnings.
        """
        notes = self._make_passwords()
        loaded = load(self._config)
        fresh = loaded.settings
        now = self._loop.time()
        notes += [f"{name} changed: takes effect at the next start" for name in _restart_only(self._settings, fresh)]
        notes += [f"{warning} (warning)" for warning in loaded.warnings]
        self._switch.configure(fresh, now)
        self._settings = fresh
        self._announced.clear()
        self._driver.drain()
        log.info("reloaded", extensions=len(fresh.extensions), trunks=len(fresh.trunks), notes=notes)
        return notes

    def _make_passwords(self) -> list[str]:
        try:
            made = ensure_secrets(self._config)
        except OSError as error:
            return [f"{SECRETS_FILE}: {error.strerror}: extensions without a password can't register"]
        return [f"extension {extension}: its new password stands in {SECRETS_FILE}" for extension, _ in made]

    # ---- end -----------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Let calls end by themselves until the deadline, then end them."""
        loop = self._loop
        runtime = self._switch.runtime
        deadline = loop.time() + self._settings.server.drain
        log.info(
            "draining; once more Ctrl-C ends calls now", calls=len(runtime.calls), seconds=self._settings.server.drain
        )
        # A second Ctrl-C ends the wait.
        hurry = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, hurry.set)
        self._switch.drain(loop.time())
        self._driver.drain()
        while runtime.calls and loop.time() < deadline and not hurry.is_set():  # noqa: ASYNC110
            await asyncio.sleep(POLL)
        now = loop.time()
        runtime.hang_up_all(Cause.TEMPORARY_FAILURE, now, "switch shutting down")
        self._driver.drain()
        end = now + BYE_GRACE
        while self._switch.saying_goodbye() and loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(POLL)

    async def _close(self) -> None:
        await self._opened.aclose()
        log.info("stopped")


def _give_back_large_blocks() -> None:
    """Have glibc map every large block by itself: tables that grow and shrink with the load are given back whole.

    Left alone it takes them from the heap once it has freed one, where small blocks that lie between keep their holes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)


def _delete(path: Path) -> None:
    """A recording and what stands beside it."""
    for each in (path, path.with_suffix(".json")):
        try:
            each.unlink(missing_ok=True)
        except OSError as error:
            log.error("recording of a name not deleted", path=str(each), why=error.strerror)


def _one_line(error: Exception) -> str:
    """What is in the way, without errno."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, StoreError | ListenError):
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    text = error.strerror if isinstance(error, StoreError | ListenError) else str(error)
    return str(text)


def _bounds(settings: Settings) -> tuple[float, ...]:
    bounds = settings.sip.subscriptions
    return bounds.min, bounds.max, bounds.total


def _restart_only(old: Settings, new: Settings) -> list[str]:
    """Settings that are read once, when sockets and tables are made."""
    pairs = {
        "sip.listen": (old.sip.listen, new.sip.listen),
        "sip.timers": (old.sip.timers, new.sip.timers),
        "sip.session_timer": (old.sip.session_timer, new.sip.session_timer),
        "sip.subscriptions (min, max, total)": (_bounds(old), _bounds(new)),
        "media.rtp_ports": (old.media.rtp_ports, new.media.rtp_ports),
        "media.bind": (old.media.bind, new.media.bind),
        "media.sounds": (old.media.sounds, new.media.sounds),
        "media.recordings": (old.media.recordings, new.media.recordings),
        "media.rtcp_xr": (old.media.rtcp_xr, new.media.rtcp_xr),
        "media.workers": (old.media.workers, new.media.workers),
        "media.remote_workers": (old.media.remote_workers, new.media.remote_workers),
        "media.orphan_time": (old.media.orphan_time, new.media.orphan_time),
        "server.state_directory": (old.server.state_directory, new.server.state_directory),
        "server.database_url": (old.server.database_url, new.server.database_url),
    }
    return [name for name, (before, after) in pairs.items() if before != after]
