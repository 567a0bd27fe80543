"""Looks numbers up: `Dialplan.route(context, number, caller) -> Decision`.

Routes are tried in the order they are written, those of included contexts after a context's own; the first
one whose conditions all hold decides. Nothing is ordered by how specific it is (Asterisk does that; here
what stands first comes first), and what matches nothing is refused.

So that hundreds of routes cost no more than a few, each context is indexed: plain numbers in a dict,
patterns in a trie over their character sets, and only regular expressions are tried one by one. The index
finds the routes that match; the lowest position among them is the answer, the same as trying them in turn
(`explain` does just that).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from random import random as draw
from typing import Literal

import msgspec

from media.audio_commands import File, Music, Say, Silence, Source, Speech, Tone
from softswitch.barring import ACCESS_CODES, ANYTHING
from softswitch.dialplan.announcement import SourceModel
from softswitch.dialplan.decision import (
    INVALID_NUMBER,
    NO_ROUTE,
    ROUTING_ERROR,
    UNALLOCATED,
    Announce,
    AnyTarget,
    Confer,
    Decision,
    Dial,
    Echo,
    ExtensionTarget,
    Page,
    Park,
    Reject,
    Retrieve,
    Ring,
    Target,
    TrunkTarget,
)
from softswitch.dialplan.group_models import NO_TONE, PagingGroup, RingGroup
from softswitch.dialplan.models import Action, Context, Route
from softswitch.dialplan.patterns import MAX_NUMBER, Pattern, Template, read_pattern
from softswitch.hunt_steps import Member, Strategy, scheduled, shuffled, steps_of
from softswitch.hunt_steps import Step as HuntStep

BEEP = "beep"
PAGE_TONE = 1.0
"""Seconds of the tone that begins a page, where it is none that ends by itself."""

MAX_GOTOS = 16  # and ring groups, in one decision, fallbacks included: more is a circle

Values = dict[str, str]


class Step(msgspec.Struct, frozen=True):
    """One line of an explanation: a route looked at, and why it was passed over or taken."""

    context: str
    route: str
    taken: bool
    why: str


class CompiledRoute:
    """A route with its patterns read. `conditional`: it has conditions besides the dialled number."""

    __slots__ = ("action", "conditional", "did", "from_", "name", "prepend", "replace", "strip", "to")

    def __init__(self, model: Route, name: str) -> None:
        self.name = model.name or name
        self.to = _read_patterns(model.to)
        self.from_ = _read_patterns(model.from_)
        self.did = _read_patterns(model.did)
        self.conditional = self.from_ is not None or self.did is not None
        self.replace = None
        if model.replace is not None:
            self.replace = (re.compile(model.replace.regex), model.replace.with_)
        self.strip = model.strip
        self.prepend = model.prepend
        self.action = _CompiledAction(model, self.name)

    def rewritten(self, number: str) -> str:
        """`replace`, then `strip`, then `prepend`."""
        if self.replace is not None:
            number = self.replace[0].sub(self.replace[1], number, count=1)
        if self.strip:
            number = number[self.strip :]
        return self.prepend + number

    def passes(self, caller: str, did: str) -> bool:
        """The conditions besides the dialled number."""
        return (self.from_ is None or any(pattern.matches(caller) for pattern in self.from_)) and (
            self.did is None or (bool(did) and any(pattern.matches(did) for pattern in self.did))
        )


def _read_patterns(texts: tuple[str, ...] | None) -> tuple[Pattern, ...] | None:
    return None if texts is None else tuple(read_pattern(text) for text in texts)


class _CompiledAction:
    """What to do: a decision that is always the same (`fixed`), or a goto, a ring group, a page, sources, a conference,
    a parking slot or targets to be filled in."""

    __slots__ = (
        "allow",
        "conference",
        "fallbacks",
        "fixed",
        "goto",
        "group",
        "mode",
        "page",
        "pin",
        "record",
        "retrieve",
        "ring_timeout",
        "route",
        "sources",
        "targets",
    )

    def __init__(
        self, model: Action, route: str, allow: tuple[str, ...] = (), record: str = "", pin: bool = False
    ) -> None:
        self.route = route
        # What a route says here, its fallbacks do too unless they say otherwise.
        self.allow = allow if model.allow is None else model.allow
        self.record = model.record or record
        self.pin = pin if model.pin is None else model.pin
        self.fixed: Decision | None = None
        self.goto: tuple[str, Template] | None = None
        self.group = model.ring_group or ""
        self.page = model.page or ""
        self.targets: tuple[tuple[str, Template], ...] = ()  # (trunk name or "", number)
        self.mode: Literal["parallel", "sequence"] = "parallel"
        self.ring_timeout = model.ring_timeout
        self.fallbacks = tuple(
            None if action is None else _CompiledAction(action, route, self.allow, self.record, self.pin)
            for action in model.fallbacks
        )
        self.sources = model.answer_and_play or ()
        self.conference: Template | None = None
        self.retrieve: Template | None = None
        if model.answer_and_echo:
            self.fixed = Echo(route)
        elif model.answer_and_music is not None:
            self.fixed = Announce((Music(model.answer_and_music),), route)
        elif model.answer_and_conference is not None:
            self.conference = Template(model.answer_and_conference)
        elif model.park is not None:
            self.fixed = Park(model.park, route)
        elif model.retrieve is not None:
            self.retrieve = Template(model.retrieve)
        elif model.reject is not None:
            self.fixed = Reject(model.reject.q850, model.reject.status, route)
        elif model.goto is not None:
            self.goto = (model.goto.context, Template(model.goto.number))
        elif not self.sources and not self.group and not self.page:
            assert model.dial is not None  # the model demands exactly one action
            self.targets = tuple(
                (target.trunk or "", Template(target.extension or target.number or "{number}")) for target in model.dial
            )
            trunks = any(trunk for trunk, _ in self.targets)
            self.mode = model.mode or ("sequence" if trunks else "parallel")

    @property
    def confers(self) -> bool:
        """Whether this, or what follows when nobody answers, leads into a conference."""
        return self.conference is not None or any(each is not None and each.confers for each in self.fallbacks)


class _CompiledGroup:
    """A ring group: a dial action, drawn by lot where there are `weights`; how its extensions ring; and, where `steps`,
    what of its `members` makes some."""

    __slots__ = ("action", "members", "ring", "ring_time", "steps", "weights")

    def __init__(self, name: str, model: RingGroup) -> None:
        dial = Action.model_construct(
            dial=model.members,
            mode="parallel" if model.strategy in ("simultaneous", "memory_hunt") else "sequence",
            ring_timeout=model.ring_time,
            record=model.record,
            on_busy=model.on_busy,
            on_no_answer=model.on_no_answer,
            on_unavailable=model.on_unavailable,
        )
        self.action = _CompiledAction(dial, f"ring group {name}")
        self.weights = [each.weight for each in model.members] if model.strategy == "weighted_random" else None
        ring = Ring(model.skip_busy, model.cid_prefix, model.alert_info)
        self.ring = None if ring == Ring() else ring
        delayed = any(each.delay for each in model.members)
        self.steps: Strategy | Literal["scheduled", ""] = "scheduled" if delayed else model.strategy
        if model.strategy != "memory_hunt" and not delayed and not any(each.confirm for each in model.members):
            self.steps = ""
        self.ring_time = model.ring_time
        self.members = [(each, model.confirm_within if each.confirm else 0.0) for each in model.members]

    def steps_of(
        self, targets: Sequence[Target | None], random: Callable[[], float]
    ) -> tuple[HuntStep[AnyTarget], ...]:
        """Who rings when, of the members that there are: `targets` has None for one that is gone."""
        if not self.steps:
            return ()
        end = self.ring_time or 0.0
        members: list[Member[AnyTarget]] = [
            Member(target, model.weight, model.delay or 0.0, end - (model.delay or 0.0), confirm)
            for target, (model, confirm) in zip(targets, self.members, strict=True)
            if target is not None
        ]
        if self.steps == "scheduled":
            return scheduled(members)
        return steps_of(self.steps, members, self.ring_time, random)


class _Node:
    """A state of the trie: where patterns with a common beginning stand."""

    __slots__ = ("children", "edges", "ends", "tails")

    def __init__(self) -> None:
        self.children: dict[frozenset[str], _Node] = {}
        self.edges: dict[str, list[_Node]] = {}
        self.ends: list[int] = []  # routes matched when the number ends here
        self.tails: list[int] = []  # routes matched when the number goes on from here, however

    def child(self, allowed: frozenset[str]) -> _Node:
        node = self.children.get(allowed)
        if node is None:
            node = self.children[allowed] = _Node()
            for character in allowed:
                self.edges.setdefault(character, []).append(node)
        return node


class CompiledContext:
    """The routes of one context, indexed by dialled number."""

    __slots__ = ("_always", "_literals", "_regexes", "_root", "name", "routes", "searched")

    def __init__(self, name: str, model: Context) -> None:
        self.name = name
        self.routes = [CompiledRoute(route, f"{name}/{n}") for n, route in enumerate(model.routes, 1)]
        self.searched: tuple[CompiledContext, ...] = (self,)  # itself, then what it includes, in order
        self._literals: dict[str, list[int]] = {}
        self._root = _Node()
        self._regexes: list[tuple[int, Pattern]] = []
        self._always: list[int] = []
        for index, route in enumerate(self.routes):
            if route.to is None:
                self._always.append(index)
            for pattern in route.to or ():
                self._add(index, pattern)

    def _add(self, index: int, pattern: Pattern) -> None:
        if pattern.literal is not None:
            self._literals.setdefault(pattern.literal, []).append(index)
        elif pattern.regex is not None:
            self._regexes.append((index, pattern))
        else:
            node = self._root
            for allowed in pattern.elements:
                node = node.child(allowed)
            if pattern.tail:
                node.tails.append(index)
            if pattern.tail != ".":
                node.ends.append(index)

    def match(self, number: str, caller: str, did: str) -> CompiledRoute | None:
        """The first route of this context alone that takes the call."""
        found = self._always + self._literals.get(number, [])
        states = [self._root]
        for character in number:
            following: list[_Node] = []
            for node in states:
                if node.tails:
                    found += node.tails
                after = node.edges.get(character)
                if after is not None:
                    following += after
            states = following
            if not states:
                break
        for node in states:
            found += node.ends
        for index, pattern in self._regexes:
            if pattern.matches(number):
                found.append(index)
        if not found:
            return None
        found.sort()
        for index in found:
            route = self.routes[index]
            if not route.conditional or route.passes(caller, did):
                return route
        return None


class Dialplan:
    """All contexts, and the extensions there are (a dialled extension that does not exist is never a target).

    Contexts must be valid: patterns read, includes free of circles, as `settings.loader` makes sure.
    """

    def __init__(
        self,
        contexts: Mapping[str, Context],
        extensions: Collection[str],
        ring_groups: Mapping[str, RingGroup] | None = None,
        random: Callable[[], float] = draw,
        paging: Mapping[str, PagingGroup] | None = None,
    ) -> None:
        """`random` gives numbers from 0 to below 1, for the order of ring groups."""
        self.contexts = {name: CompiledContext(name, model) for name, model in contexts.items()}
        self._extensions = frozenset(extensions)
        self._groups = {name: _CompiledGroup(name, model) for name, model in (ring_groups or {}).items()}
        self._paging = {name: _page(name, model, self._extensions) for name, model in (paging or {}).items()}
        self._random = random
        actions = [route.action for compiled in self.contexts.values() for route in compiled.routes]
        actions += [group.action for group in self._groups.values()]
        self.conferences = any(action.confers for action in actions)
        """Whether any route leads into a conference."""
        for name, compiled in self.contexts.items():
            compiled.searched = tuple(self.contexts[other] for other in search_order(contexts, name))

    def route(self, context: str, number: str, caller: str = "", did: str = "") -> Decision:
        """Decide on a call to `number` from `caller` ("" when anonymous) in `context`.

        `did` is the number a trunk sent, "" for calls of extensions. `number` and `caller` are the
        unescaped user parts of URIs, taken literally whatever they hold. Costs a few microseconds, never
        raises.
        """
        return self._route(context, number, _known_caller(caller), did, [MAX_GOTOS])

    def _route(self, context: str, number: str, caller: str, did: str, gotos: list[int]) -> Decision:
        if len(number) > MAX_NUMBER:
            return Reject(INVALID_NUMBER)
        compiled = self.contexts.get(context)
        if compiled is not None:
            for searched in compiled.searched:
                route = searched.match(number, caller, did)
                if route is not None:
                    if route.action.fixed is not None:
                        return route.action.fixed
                    values = {
                        "number": route.rewritten(number),
                        "dialled": number,
                        "caller": caller,
                        "did": did,
                    }
                    return self._decide(route.action, values, gotos)
        return Reject(NO_ROUTE)

    def _decide(self, action: _CompiledAction, values: Values, gotos: list[int]) -> Decision:
        if action.fixed is not None:
            return action.fixed
        if action.goto is not None:
            if not gotos[0]:
                return Reject(ROUTING_ERROR, route=action.route)
            gotos[0] -= 1
            context, number = action.goto
            return self._route(context, number.expand(values), values["caller"], values["did"], gotos)
        if action.group:
            if not gotos[0]:
                return Reject(ROUTING_ERROR, route=action.route)
            gotos[0] -= 1
            return self._ring(action, values, gotos)
        if action.page:
            page = self._paging.get(action.page)
            if page is None or not page.members:
                return Reject(UNALLOCATED, route=action.route)
            return msgspec.structs.replace(page, route=action.route)
        if action.sources:
            return Announce(tuple([_source(each, values) for each in action.sources]), action.route)
        if action.conference is not None:
            name = action.conference.expand(values)
            return Confer(name, action.route) if name else Reject(UNALLOCATED, route=action.route)
        if action.retrieve is not None:
            return Retrieve(action.retrieve.expand(values), action.route)
        return self._dial(action, action.targets, None, action.record, values, gotos)

    def _ring(self, asked: _CompiledAction, values: Values, gotos: list[int]) -> Decision:
        """What a ring group comes to, by the action that leads to it."""
        group = self._groups.get(asked.group)
        if group is None:
            return Reject(UNALLOCATED, route=asked.route)
        members = group.action.targets
        if group.weights is not None and not group.steps:
            members = tuple(shuffled(members, group.weights, self._random))
        decision = self._dial(group.action, members, group.ring, group.action.record, values, gotos)
        if not group.steps or not isinstance(decision, Dial) or decision.route != group.action.route:
            return decision
        targets = [self._target(group.action, each, group.ring, values) for each in members]
        return msgspec.structs.replace(decision, steps=group.steps_of(targets, self._random))

    def _dial(
        self,
        action: _CompiledAction,
        written: tuple[tuple[str, Template], ...],
        ring: Ring | None,
        record: str,
        values: Values,
        gotos: list[int],
    ) -> Decision:
        targets = self._targets(action, written, ring, values)
        busy, no_answer, unavailable = action.fallbacks
        if not targets:
            if unavailable is not None:
                return self._decide(unavailable, values, gotos)
            return Reject(UNALLOCATED, route=action.route)
        return Dial(
            targets,
            action.mode,
            action.ring_timeout,
            None if busy is None else self._decide(busy, values, gotos),
            None if no_answer is None else self._decide(no_answer, values, gotos),
            None if unavailable is None else self._decide(unavailable, values, gotos),
            action.route,
            record,
            action.pin,
        )

    def _targets(
        self, action: _CompiledAction, written: tuple[tuple[str, Template], ...], ring: Ring | None, values: Values
    ) -> tuple[Target, ...]:
        found = [self._target(action, each, ring, values) for each in written]
        return tuple([target for target in found if target is not None])

    def _target(
        self, action: _CompiledAction, written: tuple[str, Template], ring: Ring | None, values: Values
    ) -> Target | None:
        """None: there is no such extension, or no number is left."""
        trunk, template = written
        number = template.expand(values)
        if not trunk:
            return ExtensionTarget(number, ring) if number in self._extensions else None
        if template.constant is not None:
            # What the dialplan writes out in full, no caller has chosen.
            return TrunkTarget(trunk, number, allow=(ANYTHING,))
        return TrunkTarget(trunk, number, _hidden(values["dialled"], number), action.allow) if number else None

    def explain(self, context: str, number: str, caller: str = "", did: str = "") -> Iterator[Step]:
        """Try the routes one by one and say why each was passed over or taken; a goto is followed.

        The slow way on purpose: it uses no index, so that it also checks the index.
        """
        caller = _known_caller(caller)
        for _ in range(MAX_GOTOS + 1):
            if len(number) > MAX_NUMBER:
                yield Step(context, "", False, f"the number is longer than {MAX_NUMBER} characters")
                return
            taken: CompiledRoute | None = None
            compiled = self.contexts.get(context)
            for searched in compiled.searched if compiled is not None else ():
                for route in searched.routes:
                    why = _why_not(route, number, caller, did)
                    yield Step(searched.name, route.name, not why, why or _why(route, number))
                    if not why:
                        taken = route
                        break
                if taken is not None:
                    break
            if taken is None:
                yield Step(context, "", False, "no route matches")
                return
            if taken.action.goto is None:
                return
            context, template = taken.action.goto
            number = template.expand(
                {"number": taken.rewritten(number), "dialled": number, "caller": caller, "did": did}
            )
        yield Step(context, "", False, f"more than {MAX_GOTOS} gotos: the routes go round in circles")


def _page(name: str, model: PagingGroup, extensions: Collection[str]) -> Page:
    """A paging group, of those members that there are."""
    tone = None
    if model.tone != NO_TONE:
        tone = Tone(model.tone, seconds=None if model.tone == BEEP else PAGE_TONE)
    return Page(
        name,
        tuple([each for each in dict.fromkeys(model.members) if each in extensions]),
        model.mode == "two-way",
        tone,
        model.timeout,
        model.ring_time,
        model.skip_busy,
    )


def _source(model: SourceModel, values: Values) -> Source:
    """A source with its variables filled in."""
    if model.file is not None:
        return File(model.file)
    if model.tone is not None:
        return Tone(model.tone, model.country.lower(), model.seconds)
    if model.silence is not None:
        return Silence(model.silence)
    if model.say is not None:
        return Say(model.as_, Template(model.say).expand(values), model.language)
    assert model.speech is not None  # the model demands exactly one
    return Speech(Template(model.speech).expand(values), model.language, model.voice)


def _hidden(dialled: str, number: str) -> str:
    """`dialled` where `number` no longer shows what kind of number it is, else "".

    A number in E.164 form shows it, and so does one that has lost its outside line's prefix, but not one that has lost
    its `00`, nor one that was made into another.
    """
    if number == dialled or number.startswith("+"):
        return ""
    if dialled.endswith(number) and not dialled[: -len(number)].endswith(ACCESS_CODES):
        return ""
    return dialled


def _known_caller(caller: str) -> str:
    """A caller's number that is too long to be one counts as none."""
    return caller if len(caller) <= MAX_NUMBER else ""


def search_order(contexts: Mapping[str, Context], name: str) -> list[str]:
    """`name` and all it includes, depth first, each once: the order in which contexts are searched."""
    order: dict[str, None] = {}
    waiting = [name]
    while waiting:
        context = waiting.pop()
        if context not in order and context in contexts:
            order[context] = None
            waiting.extend(reversed(contexts[context].include))
    return list(order)


def _why_not(route: CompiledRoute, number: str, caller: str, did: str) -> str:
    """Why `route` does not take the call; "" where it does."""
    if route.to is not None and not any(pattern.matches(number) for pattern in route.to):
        return f"to {_list(route.to)} does not match {number!r}"
    if route.from_ is not None and not any(pattern.matches(caller) for pattern in route.from_):
        return f"from {_list(route.from_)} does not match {caller!r}"
    if route.did is not None and not did:
        return f"did {_list(route.did)} does not match a call that came from no trunk"
    if not route.passes(caller, did):
        return f"did {_list(route.did or ())} does not match {did!r}"
    return ""


def _why(route: CompiledRoute, number: str) -> str:
    matching = "matches every number"
    if route.to is not None:
        pattern = next(pattern for pattern in route.to if pattern.matches(number))
        matching = f"to {pattern.text!r} matches {number!r}"
    rewritten = route.rewritten(number)
    return matching if rewritten == number else f"{matching}, rewritten to {rewritten!r}"


def _list(patterns: tuple[Pattern, ...]) -> str:
    return " or ".join(repr(pattern.text) for pattern in patterns)


def shadowed(context: CompiledContext) -> Iterator[tuple[int, int]]:
    """(position, position of the earlier route) of each route that can never be reached within its own
    context.

    Finds what can be told from single patterns: a pattern that several earlier ones cover only together is
    missed.
    """
    earlier: list[tuple[int, Pattern]] = []
    literals: dict[str, int] = {}
    everything: int | None = None  # an earlier route without any condition
    for index, route in enumerate(context.routes):
        covers = [_covered_by(pattern, earlier, literals) for pattern in route.to or ()]
        if everything is not None:
            yield index, everything
        elif covers and all(by is not None for by in covers):
            yield index, next(by for by in covers if by is not None)
        elif not route.conditional:
            if route.to is None:
                everything = index
            for pattern in route.to or ():
                if pattern.literal is not None:
                    literals.setdefault(pattern.literal, index)
                else:
                    earlier.append((index, pattern))


def _covered_by(pattern: Pattern, earlier: list[tuple[int, Pattern]], literals: dict[str, int]) -> int | None:
    if pattern.literal is not None and pattern.literal in literals:
        return literals[pattern.literal]
    return next((index for index, other in earlier if other.covers(pattern)), None)
