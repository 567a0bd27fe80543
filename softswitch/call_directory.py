"""Whom a call asks about numbers, extensions and trunks; `softswitch.directory.PhoneBook` answers."""

from __future__ import annotations

from typing import Protocol

from media.audio_commands import Source
from softswitch.call_codes import CodeReader
from softswitch.dialplan.decision import AnyTarget, Decision, Dial
from softswitch.feature_speech import Spoken
from softswitch.hunt import Failure, Target
from softswitch.hunt_steps import Step
from softswitch.parking import Lot
from softswitch.trunk_refer import ReferRequest
from softswitch.vocabulary import Endpoint, Party, Payer, Setup


class Directory(Protocol):
    """Whom the call asks: the dialplan, the registrations and the trunks, as they are now."""

    def route(self, context: str, number: str, caller: Party, did: str) -> Decision:
        """What the dialplan says to a number dialled in a context."""

    def code(self, setup: Setup) -> Decision | None:
        """What the feature code means that was dialled; None where it was none, or not dialled by an extension."""

    def use_feature(self, extension: str, action: str, number: str) -> Spoken:
        """Do for an extension what a code stands for, and say what is so then, or why nothing was done."""

    def spoken(self, name: str, before: str = "") -> Spoken:
        """A sentence by its name (`softswitch.feature_speech`): a question, or a refusal; after another one."""

    def needs_pin(self, plan: Dial, caller: Party, payer: Payer, contact: str, now: float) -> bool:
        """Whether a call must not be made before its payer has proved by PIN that it is himself."""

    def may_try_pin(self, extension: str, now: float) -> bool:
        """Whether a PIN of an extension is looked at: it has one, and not too many wrong ones were dialled there."""

    def check_pin(self, extension: str, pin: str, contact: str, now: float) -> bool:
        """Whether that is the PIN. From then on `needs_pin` lets this contact pass on that extension's account."""

    def target(self, target: AnyTarget, caller: Party, payer: Payer, contact: str, now: float) -> Target:
        """The endpoints of a dial target, in groups; none reachable, or none that the payer may call: no groups."""

    def forward(self, extension: str, kind: str) -> str | None:
        """Where an extension wants its calls that ended as `kind` (always, busy, no_answer, unavailable), or None."""

    def find_me(self, extension: str, ring_time: float | None) -> tuple[Step[AnyTarget], ...]:
        """Who else rings when an extension alone is called, and when; () where it is just the extension. `ring_time`:
        seconds that the route has its own telephones ring."""

    def confirm_prompt(self) -> tuple[Source, ...]:
        """What is said to whom answers and has to press a key."""

    def obeys_redirect(self, extension: str, number: str, caller: Party) -> bool:
        """Whether an extension's phone may send its callers on to that number (302)."""

    def context_of(self, extension: str) -> str:
        """The dialplan context that an extension dials in: its forwards are routed there, as its own calls."""

    def may_fail_over(self, endpoint: Endpoint, failure: Failure, alerted: bool, now: float) -> bool:
        """Whether the next gateway may be tried after this failure. `alerted`: it had told that it rings."""

    def record(self, kind: str, name: str) -> str:
        """Whether an endpoint wants its calls recorded: "never", "always", "on-demand", "" (it does not say)."""

    def music(self, kind: str, name: str) -> str:
        """The class of music that an endpoint hears while it is held, "": what whoever holds it sends."""

    def recalls(self, extension: str) -> bool:
        """Whether an extension is rung for a caller whom it has sent on or parked, and nobody has taken."""

    def fallback(self, extension: str) -> str:
        """The number that is called for a caller whom nobody takes whom the extension has sent on; "" for none."""

    def may_intercom(self, extension: str, other: str) -> bool:
        """Whether an extension may call another one so that its telephones answer by themselves."""

    def code_reader(self, extension: str) -> CodeReader | None:
        """What reads the codes that an extension dials in a call; None where it may use none."""

    def beeps(self, extension: str) -> bool:
        """Whether an extension hears that somebody begins to listen to its call."""

    def park(self, lot: str, slot: str, contact: str) -> tuple[Lot, str]:
        """Take a slot of a parking lot for a call. Raises `softswitch.parking.NoSlot`."""

    def unpark(self, contact: str) -> None:
        """The call is parked no more."""

    def slot(self, contact: str) -> str:
        """Where a call is parked, "" where it is not."""

    def display_name(self, endpoint: Endpoint) -> str:
        """What an extension is called where it calls others; "" for a trunk, and where none is set."""

    def answered(self, endpoint: Endpoint, payer: Payer, contact: str, now: float, leg: int) -> None:
        """An endpoint has taken the call by that leg, which costs the payer from now on."""

    def left(self, contact: str, leg: int, now: float) -> None:
        """A leg of the contact is gone, and costs no more."""

    def refer(
        self, endpoint: Endpoint, plan: Dial, caller: Party, payer: Payer, contact: str, now: float
    ) -> ReferRequest | None:
        """How to ask an endpoint to carry out a transfer that leads back to where it is itself; None: it is not to be
        asked, or the payer may not call there."""

    def reached(self, endpoint: Endpoint) -> None:
        """An endpoint has shown signs of life: progress, or an answer."""
