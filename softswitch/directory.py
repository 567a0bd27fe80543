"""The phone book: what the call may ask about numbers, extensions and trunks, as they are at this moment.

It joins the dialplan, the registrations and the trunks into the `Directory` that the call model asks, and knows for
each endpoint what its owner set: codecs, ring time, forwards, NAT. Settings are swapped whole on a reload.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from media.audio_commands import Source, Speech
from sip.effects import Flow
from sip.headers import NameAddr
from sip.message import Request
from sip.uri import Uri, escape_user, unescape
from softswitch import diverting, find_me
from softswitch.admission import Known
from softswitch.call_codes import CodeReader
from softswitch.call_limits import CallLimits
from softswitch.caller_identity import CallerIdentity, CallerRules, is_anonymous, privacy_asked
from softswitch.dial_targets import DialTargets
from softswitch.dialplan.decision import (
    AnyTarget,
    Decision,
    Dial,
    Intercom,
    PickUp,
    Reject,
    Supervise,
    UseFeature,
    conference_in,
    uses_trunk,
)
from softswitch.directory_entries import DialAddress, Entries, ExtensionEntry, TrunkEntry
from softswitch.diverting import UNNAMED
from softswitch.extension_wishes import ExtensionWishes
from softswitch.feature_codes import may_use
from softswitch.feature_service import SetFeature, carry_out
from softswitch.feature_speech import Spoken, asked, refused
from softswitch.features import Features
from softswitch.hunt import Failure, Target
from softswitch.hunt_steps import Step
from softswitch.parking import Lot, ParkingLots
from softswitch.pins import Pins
from softswitch.registrations import Registrations
from softswitch.toll import TollGuard
from softswitch.trunk_refer import ReferRequest
from softswitch.trunks import Trunks
from softswitch.vocabulary import Diverted, Endpoint, Party, Payer, Setup


class Numbers(Protocol):
    """The dialplan, as it is looked up."""

    conferences: bool
    """Whether any route leads into a conference."""

    def route(self, context: str, number: str, caller: str = "", did: str = "") -> Decision: ...


class PhoneBook:
    """Answers what calls ask. See `softswitch.call.Directory`."""

    __slots__ = (
        "_entries",
        "_features",
        "_identity",
        "_max_forwards",
        "_numbers",
        "_pins",
        "_targets",
        "_toll",
        "_trunks",
        "_wishes",
        "parking",
        "set_feature",
    )

    def __init__(
        self,
        entries: Entries,
        numbers: Numbers,
        registrations: Registrations,
        trunks: Trunks,
        limits: CallLimits,
        toll: TollGuard,
        features: Features,
        pins: Pins,
        max_forwards: int = 70,
    ) -> None:
        self._entries = entries
        self._numbers = numbers
        self._trunks = trunks
        self._toll = toll
        self._features = features
        self._pins = pins
        self._wishes = ExtensionWishes(entries.extensions, features)
        self._targets = DialTargets(self._wishes, entries.trunks, self.route, registrations, trunks, limits, toll)
        self.set_feature: SetFeature = _set_nothing
        """Sets what an extension wants of its calls; whoever keeps that sets it."""
        self._max_forwards = max_forwards
        self._identity = CallerIdentity(CallerRules())
        self.parking = ParkingLots(entries.lots)

    def configure(self, entries: Entries, numbers: Numbers) -> None:
        """Swap the settings; calls in progress go on with what they were told."""
        self._entries = entries
        self._numbers = numbers
        self._wishes.entries = entries.extensions
        self._targets.configure(entries.trunks)
        self.parking.configure(entries.lots)

    # ---- what calls ask ------------------------------------------------------------------------------

    def route(self, context: str, number: str, caller: Party, did: str) -> Decision:
        """What the dialplan says to a number dialled in a context."""
        return self._numbers.route(context, number, "" if caller.withheld else caller.number, did)

    def target(self, target: AnyTarget, caller: Party, payer: Payer, contact: str, now: float) -> Target:
        """See `DialTargets.target`."""
        return self._targets.target(target, caller, payer, contact, now)

    def forward(self, extension: str, kind: str) -> str | None:
        """See `ExtensionWishes.forward`."""
        return self._wishes.forward(extension, kind)

    def do_not_disturb(self, extension: str) -> bool:
        """See `ExtensionWishes.do_not_disturb`."""
        return self._wishes.do_not_disturb(extension)

    def call_waiting(self, extension: str) -> bool:
        """See `ExtensionWishes.call_waiting`."""
        return self._wishes.call_waiting(extension)

    def context_of(self, extension: str) -> str:
        """See `ExtensionWishes.context_of`."""
        return self._wishes.context_of(extension)

    def reachable(self, extension: str, now: float) -> bool:
        """See `DialTargets.reachable`."""
        return self._targets.reachable(extension, now)

    def find_me(self, extension: str, ring_time: float | None) -> tuple[Step[AnyTarget], ...]:
        """Who else rings when an extension alone is called, and when; nobody while it is not to be disturbed."""
        entry = self._entries.extensions.get(extension)
        wanted = entry.find_me if entry is not None else None
        if entry is None or wanted is None or self.do_not_disturb(extension):
            return ()
        enabled = self._features.flag(extension, "find_me")
        if not (wanted.enabled if enabled is None else enabled):
            return ()
        context, dialling = entry.context, entry.caller
        return find_me.steps(
            extension,
            wanted,
            ring_time or entry.ring_timeout,
            lambda number: uses_trunk(self.route(context, number, dialling, "")),
        )

    def has_find_me(self, extension: str) -> bool:
        """Whether there is a list that find-me could use."""
        entry = self._entries.extensions.get(extension)
        return entry is not None and entry.find_me is not None

    def confirm_prompt(self) -> tuple[Source, ...]:
        """What is said to whom answers and has to press a key."""
        return (Speech(find_me.prompt(self._entries.language)),)

    def obeys_redirect(self, extension: str, number: str, caller: Party) -> bool:
        """Whether a 302 of an extension's phone to `number` is followed, by the rule of its owner."""
        entry = self._entries.extensions.get(extension)
        if entry is None or entry.obey_redirects == "never":
            return False
        return entry.obey_redirects == "always" or not uses_trunk(self.route(entry.context, number, caller, ""))

    def may_fail_over(self, endpoint: Endpoint, failure: Failure, alerted: bool, now: float) -> bool:
        """Whether the next gateway may be tried; the failed one is noted."""
        if endpoint.kind != "trunk":
            return False
        if not alerted:
            self._trunks.failed(endpoint.name, endpoint.gateway, failure.status, failure.retry_after, now)
        return self._trunks.fails_over(endpoint.name, failure.status, alerted)

    def answered(self, endpoint: Endpoint, payer: Payer, contact: str, now: float, leg: int) -> None:
        """A leg has answered and is talked on from now on."""
        if endpoint.kind == "trunk":
            self._toll.answered(endpoint.name, payer, contact, now, leg)

    def left(self, contact: str, leg: int, now: float) -> None:
        """A leg of a contact is gone."""
        self._toll.left(contact, leg, now, now)

    def refer(
        self, endpoint: Endpoint, plan: Dial, caller: Party, payer: Payer, contact: str, now: float
    ) -> ReferRequest | None:
        """See `DialTargets.refer`."""
        return self._targets.refer(endpoint, plan, caller, payer, contact, now)

    def reached(self, endpoint: Endpoint) -> None:
        """A gateway that answers is no longer left alone."""
        if endpoint.kind == "trunk":
            self._trunks.succeeded(endpoint.name, endpoint.gateway)

    def record(self, kind: str, name: str) -> str:
        """Whether an endpoint wants its calls recorded: "never", "always", "on-demand", "" where it does not say."""
        entries = self._entries
        entry = entries.trunks.get(name) if kind == "trunk" else entries.extensions.get(name)
        return entry.record if entry is not None else ""

    def music(self, kind: str, name: str) -> str:
        """The class of music that an endpoint hears while it is held, "": what whoever holds it sends."""
        entries = self._entries
        entry = entries.trunks.get(name) if kind == "trunk" else entries.extensions.get(name)
        return entry.music if entry is not None else ""

    def recalls(self, extension: str) -> bool:
        """Whether an extension is rung for a caller whom it has sent on or parked, and nobody has taken."""
        return self._entries.recall and extension in self._entries.extensions

    def fallback(self, extension: str) -> str:
        """The number that is called for a caller whom nobody takes whom the extension has sent on; "" for none."""
        return self._entries.fallback

    def park(self, lot: str, slot: str, contact: str) -> tuple[Lot, str]:
        """Take a slot of a parking lot for a call. Raises NoSlot."""
        return self.parking.take(lot, contact, slot)

    def unpark(self, contact: str) -> None:
        """The call is parked no more."""
        self.parking.free(contact)

    def slot(self, contact: str) -> str:
        """Where a call is parked, "" where it is not."""
        return self.parking.slot(contact)

    def may_pick_up(self, extension: str, other: str) -> bool:
        """Whether an extension may take calls that ring at another one."""
        entry, theirs = self._entries.extensions.get(extension), self._entries.extensions.get(other)
        if entry is None or theirs is None or entry.pick_up == "none":
            return False
        return entry.pick_up == "all" or bool(entry.groups & theirs.groups)

    def group_mates(self, extension: str) -> list[str]:
        """The extensions that are in a group of this one's, without itself."""
        entry = self._entries.extensions.get(extension)
        if entry is None:
            return []
        mates = {number for group in entry.groups for number in self._entries.groups.get(group, ())}
        return sorted(mates - {extension})

    def may_intercom(self, extension: str, other: str) -> bool:
        """Whether an extension may call another one so that its telephones answer by themselves."""
        entry, theirs = self._entries.extensions.get(extension), self._entries.extensions.get(other)
        if entry is None or theirs is None or entry.may_intercom == "none":
            return False
        return entry.may_intercom == "all" or bool(entry.groups & theirs.groups)

    def may_supervise(self, extension: str, other: str) -> bool:
        """Whether an extension may listen to the calls of another one."""
        entry, theirs = self._entries.extensions.get(extension), self._entries.extensions.get(other)
        return entry is not None and theirs is not None and bool(entry.supervises & theirs.groups)

    def code_reader(self, extension: str) -> CodeReader | None:
        """What reads the codes that an extension dials in a call; None where it may use none."""
        entry = self._entries.extensions.get(extension)
        return None if entry is None else self._entries.call_codes.reader("extension", entry.codes)

    def beeps(self, extension: str) -> bool:
        """Whether an extension hears that somebody begins to listen to its call."""
        entry = self._entries.extensions.get(extension)
        return entry is None or entry.beeps

    def display_name(self, endpoint: Endpoint) -> str:
        """What an extension is called where it calls others; "" for a trunk, and where none is set."""
        entry = self._entries.extensions.get(endpoint.name) if endpoint.kind == "extension" else None
        return entry.caller.name if entry is not None else ""

    # ---- feature codes and PINs ------------------------------------------------------------------------

    def code(self, setup: Setup) -> Decision | None:
        """What the feature code means that an extension has dialled; None where it was none."""
        entry = self._entries.extensions.get(setup.endpoint) if setup.kind == "extension" else None
        found = self._entries.codes.find(setup.dialled) if entry is not None else None
        if entry is None or found is None:
            return None
        action, number = found.action, found.number
        another = number in self._entries.extensions and number != entry.number
        last = self._targets.last_caller(entry.number)
        if not may_use(entry.codes, action):
            return UseFeature(action)  # which `use_feature` refuses, for the same reason
        match action:
            case "pick_up_group":
                return PickUp(group=True)
            case "pick_up" if another:
                return PickUp(number)
            case "intercom" if another:
                return Intercom(number)
            case "listen" | "whisper" | "barge" if another:
                return Supervise(number, action)
            case "last_caller" if (
                (last := self._targets.last_caller(entry.number)) and last.number and not last.withheld
            ):
                return self.route(entry.context, last.number, setup.caller, "")
            case "record_call" if number:
                called = self.route(entry.context, number, setup.caller, "")
                if not isinstance(called, Dial):
                    return called
                if entry.record not in ("on-demand", "always"):
                    return UseFeature(action, number)
                return msgspec.structs.replace(called, asks_recording=True)
            case _:
                return UseFeature(action, number)

    def use_feature(self, extension: str, action: str, number: str) -> Spoken:
        """Do for an extension what a code stands for, and say what is so then, or why nothing was done."""
        entry = self._entries.extensions.get(extension)
        if entry is None or not may_use(entry.codes, action) or (action == "record_call" and number):
            return refused("not_allowed", self._entries.language)
        return carry_out(self, self.set_feature, self._entries.language, extension, action, number)

    def dead_end(self, extension: str, number: str) -> str:
        """Why calls can't be forwarded from an extension to a number: it leads nowhere, whoever calls. "": they can."""
        context = self.context_of(extension)
        decisions = [self._numbers.route(context, number, caller, "") for caller in ("", extension)]
        rejected = [each for each in decisions if isinstance(each, Reject)]
        return rejected[0].why_in(context) if len(rejected) == len(decisions) else ""

    def spoken(self, name: str, before: str = "") -> Spoken:
        """A sentence by its name: a question, after another sentence perhaps, or a refusal."""
        language = self._entries.language
        return asked(name, language, before) if name.startswith("ask_") else refused(name, language)

    def needs_pin(self, plan: Dial, caller: Party, payer: Payer, contact: str, now: float) -> bool:
        """See `DialTargets.needs_pin`."""
        return self._targets.needs_pin(plan, caller, payer, contact, now)

    def may_try_pin(self, extension: str, now: float) -> bool:
        """Whether a PIN of an extension is looked at: it has one, and not too many wrong ones were dialled there."""
        return self._pins.may_try(extension, now)

    def check_pin(self, extension: str, pin: str, contact: str, now: float) -> bool:
        """Whether that is the PIN. From then on `needs_pin` lets this contact pass on that extension's account."""
        right = self._pins.check(extension, pin, contact, now)
        if right:
            self._toll.grant(Payer("extension", extension), contact)
        return right

    def kind_of(self, name: str) -> str:
        """ "extension", "trunk", or "" for what is neither."""
        if name in self._entries.extensions:
            return "extension"
        return "trunk" if name in self._entries.trunks else ""

    # ---- what the runtime asks -----------------------------------------------------------------------

    def conference(self, setup: Setup) -> str:
        """The conference that a call leads to, at once or where nobody takes it; "" for none."""
        if not self._numbers.conferences:
            return ""
        return conference_in(self.route(setup.context, setup.dialled, setup.caller, setup.did))

    def identity(self, address: DialAddress, caller: Party, local_host: str) -> list[tuple[str, str]]:
        """From, To, and what else says who calls: a trunk's own rules made them, phones get ours."""
        if not address.to:
            return list(address.headers)
        if address.cid_prefix and not caller.withheld:
            caller = Party(caller.number, f"{address.cid_prefix}{caller.name or caller.number}")
        host = f"[{local_host}]" if ":" in local_host else local_host
        return [*self._identity.write(caller, host), ("To", f"<sip:{address.to}@{host}>"), *address.headers]

    def diversions(self, endpoint: Endpoint, diverted: tuple[Diverted, ...], host: str) -> list[tuple[str, str]]:
        """The headers that tell an endpoint who has sent the call on, as its owner wants them. `host`: ours."""
        entries = self._entries
        entry = (entries.trunks if endpoint.kind == "trunk" else entries.extensions).get(endpoint.name)
        style = entry.diversion if entry is not None else "none"
        address = endpoint.address
        if style == "none" or not diverted or not isinstance(address, DialAddress):
            return []
        shown = [(each, self._shown(endpoint, each, host) or UNNAMED) for each in diverted]
        return diverting.write(style, shown, Uri.parse(address.uri))

    def referred_by(self, endpoint: Endpoint, extension: str, host: str) -> list[tuple[str, str]]:
        """RFC 3892: the header that tells an endpoint which extension has sent a caller there; telephones are always
        told, trunks as theirs has it. `host`: ours."""
        if not extension:
            return []
        if endpoint.kind == "trunk":
            entry = self._entries.trunks.get(endpoint.name)
            shown = self._shown(endpoint, Diverted(extension, "", own=True), host)
            if entry is None or not entry.referred_by or shown is None:
                return []
            return [("Referred-By", f"<{shown.uri}>")]
        host = f"[{host}]" if ":" in host else host
        return [("Referred-By", f"<sip:{escape_user(extension)}@{host}>")]

    def _shown(self, endpoint: Endpoint, who: Diverted, host: str) -> NameAddr | None:
        """The address by which an endpoint is told of somebody; None where it is told of nobody."""
        entry = self._entries.extensions.get(who.number) if who.own else None
        if endpoint.kind == "trunk":
            party = Party(who.number, who.name, who.withheld) if entry is None else entry.caller
            return self._trunks.address(endpoint.name, endpoint.gateway, party)
        name = who.name if entry is None else entry.caller.name
        if who.withheld or not who.number:
            return None
        return NameAddr(name, Uri("sip", escape_user(who.number), host=host))

    def setup(self, known: Known, request: Request, flow: Flow, headers: tuple[tuple[str, str], ...]) -> Setup:
        """What an admitted INVITE asks for. Raises SipError where its headers can't be read."""
        # RFC 3261 19.1.2: escapes in the user part stand for the characters; the dialplan matches those.
        dialled = unescape(request.request_uri.user or "")
        hops = request.max_forwards
        hops = self._max_forwards if hops is None else min(hops, self._max_forwards)
        address = f"{flow.transport}:{flow.remote[0]}:{flow.remote[1]}"
        name = known.name
        if known.kind == "trunk":
            context = self._entries.trunks[name].context
            caller = self._trunks.caller(name, request)
            rewritten = self._trunks.dialled(name, dialled)
            diverted, count = self._trunks.diverted(name, request)
            return Setup(rewritten, caller, context, "trunk", name, hops, address, headers, dialled, diverted, count)
        entry = self._entries.extensions[name]
        caller = entry.caller
        if privacy_asked(request) or is_anonymous(request.from_.uri):
            caller = Party(caller.number, caller.name, True)
        # Who a phone says has diverted is not believed; a call that goes round by way of it is one all the same.
        _, count = diverting.read(request, str)
        return Setup(
            dialled, caller, entry.context, "extension", entry.number, hops, address, headers, diversions=count
        )

    def may_click(self, extension: str) -> bool:
        """Whether an extension may have its own telephones called, to talk to a number."""
        entry = self._entries.extensions.get(extension)
        return entry is not None and entry.click_to_dial

    def setup_of(self, extension: str, number: str) -> Setup | None:
        """What a call asks for that the switch makes with an extension's rights; None where there is none."""
        entry = self._entries.extensions.get(extension)
        if entry is None:
            return None
        return Setup(number, entry.caller, entry.context, "extension", extension, self._max_forwards, "")

    def terms(self, known: Known) -> ExtensionEntry | TrunkEntry:
        """What is set for an admitted caller."""
        if known.kind == "trunk":
            return self._entries.trunks[known.name]
        return self._entries.extensions[known.name]


def _set_nothing(extension: str, feature: str, value: str | None) -> None:
    raise NotImplementedError("nobody keeps what extensions want of their calls")
