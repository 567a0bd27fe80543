"""Subscriptions of telephones to what they watch: busy lamps, presence, messages waiting (RFC 6665).

    SUBSCRIBE -> who is it (softswitch.admission)           401, 403
              -> does that resource exist, may it watch it   404, 403
              -> can it read what we write                   406
              -> has it subscriptions enough                 403
              -> 200, NOTIFY at once; then one for each change of the state, PACE seconds after the one before at least

489 and 423 are said by sip/usages.py, before anything here is asked. Who may watch whom is in `WatchRule`. A change
back within PACE is no change: NOTIFYs are written when they go, and go where the state is another than was told last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final

import msgspec
import structlog

from sip.effects import Flow
from sip.message import Request
from sip.notifier import Stage, Subscription
from sip.timers import Timer, TimerHeap
from sip.ua_events import SubscriptionArrived, SubscriptionEnded
from sip.uri import unescape
from softswitch import dialog_info, message_summary, presence_document
from softswitch.admission import Admission, Challenge, Known, Refuse
from softswitch.message_summary import Counts, Mailboxes
from softswitch.presence import Presence, ResourceState, conference_resource, is_conference

log = structlog.get_logger("subscriptions")

PACE: Final = 0.2
"""Seconds from one NOTIFY of a subscription to the next: what changes faster than an eye sees is told less often."""

CONTENT_TYPES: Final[Mapping[str, str]] = {
    dialog_info.PACKAGE: dialog_info.CONTENT_TYPE,
    presence_document.PACKAGE: presence_document.CONTENT_TYPE,
    message_summary.PACKAGE: message_summary.CONTENT_TYPE,
}
PACKAGES: Final = tuple(CONTENT_TYPES)
"""The event packages that there are, as in Allow-Events."""


class WatchRule(msgspec.Struct, frozen=True):
    """Whom an extension may watch."""

    extensions: frozenset[str] | None = None
    """Numbers; None: every one."""
    parties: bool = True
    """Whether it sees who is at the other end of their calls."""
    named: frozenset[str] = frozenset()
    """Those that are named one by one: their mailboxes may be looked at, too."""
    conferences: bool = False
    """Whether it may watch every conference that it can dial."""

    def allows(self, resource: str) -> bool:
        if self.extensions is None or resource in self.extensions:
            return True
        return self.conferences and is_conference(resource)


class WatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What operators set."""

    per_extension: int = 500
    """Subscriptions of one extension."""
    rules: Mapping[str, WatchRule] = {}
    """By extension; they are all that there are."""


class Watch:
    """One subscription, with what it was told last."""

    __slots__ = (
        "host",
        "number",
        "package",
        "resource",
        "source",
        "subscription",
        "timer",
        "told",
        "told_at",
        "version",
        "watcher",
        "words",
    )

    def __init__(self, watcher: str, number: str, resource: str, package: str, host: str, source: str) -> None:
        self.watcher = watcher
        self.number = number  # of the resource, as the watcher dials it
        self.resource = resource
        self.package = package
        self.host = host  # the resource's, as the watcher writes it
        self.source = source
        self.subscription: Subscription
        self.version = 0  # of the next document
        self.told = b""  # the last document, without its version
        self.words = ""  # and what that says, for people
        self.told_at = 0.0
        self.timer: Timer | None = None

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class WatchStatus(msgspec.Struct, frozen=True, gc=False):
    """One subscription in `status`."""

    watcher: str
    package: str
    resource: str
    state: str
    source: str
    expires_in: float


class Subscriptions:
    """All subscriptions of a switch."""

    __slots__ = (
        "_admission", "_behind_nat", "_conference_of", "_goodbyes", "_mailboxes", "_of", "_presence", "_settings",
        "_timers", "counters",
    )  # fmt: skip

    def __init__(
        self,
        settings: WatchSettings,
        admission: Admission,
        presence: Presence[Watch],
        mailboxes: Mailboxes,
        timers: TimerHeap,
        behind_nat: Callable[[Known, Request, Flow], bool],
        conference_of: Callable[[str, str], str],
    ) -> None:
        """`conference_of`: the conference that an extension reaches by a number, "" for none."""
        self.counters = dict.fromkeys(("subscriptions", "subscriptions refused", "notifications", "watchers lost"), 0)
        self._settings = settings
        self._admission = admission
        self._presence = presence
        self._mailboxes = mailboxes
        self._timers = timers
        self._behind_nat = behind_nat
        self._conference_of = conference_of
        self._of: dict[str, dict[Watch, None]] = {}  # by watching extension
        self._goodbyes: list[Subscription] = []

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    # ---- from watchers ---------------------------------------------------------------------------------------

    def arrived(self, event: SubscriptionArrived, now: float) -> None:
        """A new SUBSCRIBE for one of our packages."""
        subscription, request, flow = event.subscription, event.request, event.flow
        match self._admission.identify(request, flow, now):
            case Challenge(headers=headers, status=status):
                subscription.reject(status, now, headers)
            case Refuse(status=status):
                subscription.reject(status, now)
            case Known() as known if known.kind == "extension":
                self._admitted(event, known, now)
            case _:
                # A trunk calls; it has nobody to watch.
                self._refuse(event, 403, "a trunk", now)

    def ended(self, event: SubscriptionEnded) -> None:
        """One is over, whoever ended it."""
        watch = event.subscription.user
        if isinstance(watch, Watch):
            if event.cause in ("gone", "timeout", "transport"):
                self.counters["watchers lost"] += 1
                log.info("watcher lost", watcher=watch.watcher, resource=watch.resource, why=event.cause)
            self._drop(watch)

    # ---- from the switch -------------------------------------------------------------------------------------

    def tell(self, now: float) -> None:
        """Tell all watchers whose resource has changed."""
        for watch in self._presence.changed():
            self._tell(watch, now)

    def configure(self, settings: WatchSettings, changed: Collection[str], now: float) -> None:
        """Apply new settings. `changed`: extensions with another password, which have to prove anew who they are."""
        self._settings = settings
        for watch in [each for watches in self._of.values() for each in watches]:
            rule = settings.rules.get(watch.watcher)
            if rule is None:
                self._end(watch, "rejected", now)
            elif self._resource(watch.watcher, watch.number, watch.package) != watch.resource:
                # RFC 6665 4.1.3: the resource that was watched exists no longer
                self._end(watch, "noresource", now)
            elif watch.watcher in changed:
                self._end(watch, "deactivated", now)
            elif not _may(rule, watch.watcher, watch.resource, watch.package):
                self._end(watch, "rejected", now)
            else:
                self._presence.touch(watch.resource)  # it may read otherwise now

    def drain(self, now: float) -> None:
        """End all, so that the watchers ask whoever serves them next (RFC 6665 4.1.3: "deactivated")."""
        for watch in [each for watches in self._of.values() for each in watches]:
            self._goodbyes.append(watch.subscription)
            self._end(watch, "deactivated", now)

    def saying_goodbye(self) -> bool:
        """Whether a last NOTIFY of the drain waits for its answer."""
        self._goodbyes = [each for each in self._goodbyes if each.stage is not Stage.ENDED]
        return bool(self._goodbyes)

    def status(self, now: float) -> list[WatchStatus]:
        """Every subscription."""
        return [
            WatchStatus(
                watch.watcher,
                watch.package,
                watch.number,
                watch.words,
                watch.source,
                watch.subscription.expires_at - now,
            )
            for watches in self._of.values()
            for watch in watches
        ]

    # ---- private ---------------------------------------------------------------------------------------------

    def _admitted(self, event: SubscriptionArrived, known: Known, now: float) -> None:
        watcher, package, uri = known.name, event.package, event.request.request_uri
        number = unescape(uri.user or "") or (watcher if package == message_summary.PACKAGE else "")
        resource = self._resource(watcher, number, package)
        rule = self._settings.rules.get(watcher)
        if not resource:
            self._refuse(event, 404, "there is no such number", now, watcher, number)
        elif rule is None or not _may(rule, watcher, resource, package):
            self._refuse(event, 403, "it may not watch that", now, watcher, number)
        elif not _reads(event.accept, CONTENT_TYPES[package]):
            self._refuse(event, 406, "it takes no such document", now, watcher, number)
        elif len(self._of.get(watcher, ())) >= self._settings.per_extension:
            # Not 503: a telephone may take that for the whole switch, calls and all (RFC 3261 21.5.4).
            self._refuse(event, 403, "it has as many subscriptions as it may", now, watcher, number)
        else:
            host, port = event.flow.remote
            at = f"[{uri.host}]" if ":" in uri.host else uri.host
            source = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            watch = Watch(watcher, number, resource, package, at, source)
            self._begin(watch, event, known, now)

    def _refuse(
        self, event: SubscriptionArrived, status: int, why: str, now: float, watcher: str = "", number: str = ""
    ) -> None:
        self.counters["subscriptions refused"] += 1
        log.info("subscription refused", watcher=watcher, package=event.package, number=number[:64], why=why)
        headers = [("Accept", CONTENT_TYPES[event.package])] if status == 406 else []
        event.subscription.reject(status, now, headers)

    def _begin(self, watch: Watch, event: SubscriptionArrived, known: Known, now: float) -> None:
        subscription, flow = event.subscription, event.flow
        watch.subscription = subscription
        subscription.user = watch
        subscription.content = lambda at: self._content(watch, at)
        if flow.connection or self._behind_nat(known, event.request, flow):
            subscription.destination = flow
        self._of.setdefault(watch.watcher, {})[watch] = None
        self._presence.watch(watch.resource, watch)
        self.counters["subscriptions"] += 1
        subscription.accept(event.expires, now)
        subscription.tell(now)

    def _resource(self, watcher: str, number: str, package: str) -> str:
        """What a number stands for, "" where it stands for nothing that could be watched."""
        if number in self._settings.rules or (self._presence.is_set(number) and not is_conference(number)):
            return number
        name = self._conference_of(watcher, number) if package != message_summary.PACKAGE else ""
        return conference_resource(name) if name else ""

    def _state(self, watch: Watch, now: float) -> ResourceState | Counts:
        if watch.package == message_summary.PACKAGE:
            return self._mailboxes.counts(watch.resource)
        return self._presence.state(watch.resource, now)

    def _tell(self, watch: Watch, now: float) -> None:
        if watch.timer is not None or self._write(watch, self._state(watch, now), 0) == watch.told:
            return
        at = watch.told_at + PACE
        if at <= now:
            watch.subscription.tell(now)
        else:
            watch.timer = self._timers.schedule(at, lambda due: self._tell_late(watch, due))

    def _tell_late(self, watch: Watch, now: float) -> None:
        watch.timer = None
        self._tell(watch, now)

    def _content(self, watch: Watch, now: float) -> tuple[str, bytes]:
        """What a NOTIFY that goes now says."""
        state = self._state(watch, now)
        watch.told, watch.told_at, watch.words = self._write(watch, state, 0), now, _in_words(state)
        self.counters["notifications"] += 1
        # RFC 4235 4.1.1: the first version is 0, each later one greater by one
        body = self._write(watch, state, watch.version)
        watch.version += 1
        return CONTENT_TYPES[watch.package], body

    def _write(self, watch: Watch, state: ResourceState | Counts, version: int) -> bytes:
        """The document, as this watcher may see it."""
        if isinstance(state, Counts):
            return message_summary.write(watch.number, watch.host, state)
        if watch.package == presence_document.PACKAGE:
            return presence_document.write(watch.number, watch.host, state)
        rule = self._settings.rules.get(watch.watcher)
        return dialog_info.write(watch.number, watch.host, version, state, rule is not None and rule.parties)

    def _end(self, watch: Watch, reason: str, now: float) -> None:
        self._drop(watch)
        watch.subscription.terminate(reason, now)

    def _drop(self, watch: Watch) -> None:
        watch.stop()
        self._presence.leave(watch.resource, watch)
        watches = self._of.get(watch.watcher)
        if watches is not None:
            watches.pop(watch, None)
            if not watches:
                del self._of[watch.watcher]


def _may(rule: WatchRule, watcher: str, resource: str, package: str) -> bool:
    """Everybody may look at itself. A mailbox of others takes more than what is given to all."""
    if resource == watcher:
        return True
    return resource in rule.named if package == message_summary.PACKAGE else rule.allows(resource)


def _reads(accept: list[str], content_type: str) -> bool:
    """Whether an Accept takes documents of that type; one that is not there takes the package's own."""
    main = content_type.partition("/")[0]
    taken = {each.partition(";")[0].strip().lower() for each in accept}
    return not accept or not taken.isdisjoint((content_type, f"{main}/*", "*/*"))


def _in_words(state: ResourceState | Counts) -> str:
    return f"{state.new} new, {state.old} old" if isinstance(state, Counts) else state.summary
