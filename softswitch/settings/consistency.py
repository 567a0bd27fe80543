"""What is allowed but hardly meant: told as warnings once everything is valid. And the few errors across
sections."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from softswitch.barring import Barring
from softswitch.dialplan.models import Action
from softswitch.dialplan.routing import Dialplan, shadowed
from softswitch.settings.acd_checks import acd_warnings
from softswitch.settings.barring_models import INTERNATIONAL
from softswitch.settings.code_checks import code_warnings
from softswitch.settings.models import Extension, Settings
from softswitch.settings.service_checks import service_warnings
from softswitch.settings.trunk_models import Trunk
from softswitch.settings.yaml_tree import Mapping, Mark, Problem, place
from softswitch.spelling import meant

MAX_ROUTES_COMPARED = 1000  # routes of one context looked at for unreachable ones: the work grows with the square
_FALLBACKS = ("on_busy", "on_no_answer", "on_unavailable")
_FORWARDS = ("always", "busy", "no_answer", "unavailable")


def check_ports(settings: Settings, root: Mapping) -> list[Problem]:
    """SIP sockets inside the RTP range would fail to open, now or in the middle of a call."""
    ports = settings.media.rtp_ports
    problems = []
    for index, listen in enumerate(settings.sip.listen):
        if listen.transport == "udp" and ports.low <= listen.port <= ports.high:
            mark, node = place(root, ("sip", "listen", index))
            message = f"UDP port {listen.port} is inside media.rtp_ports {ports.low}-{ports.high}"
            problems.append(Problem(mark, node.key, message))
    return problems


def warnings_of(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """Unreachable routes, contexts that nothing leads to, forwards that end nowhere, numbers made foreign."""
    dialplan = Dialplan(settings.dialplan, settings.extensions, settings.ring_groups, paging=settings.paging)
    yield from _unreachable_routes(settings, dialplan, root)
    yield from _unused_contexts(settings, root)
    yield from _dead_forwards(settings, dialplan, root)
    yield from _made_international(settings, root)
    yield from _misspelt_conferences(settings, root)
    yield from _keys_in_the_clear(settings, root)
    yield from code_warnings(settings, root)
    yield from service_warnings(settings, root)
    yield from acd_warnings(settings, root, dialplan)


def _unreachable_routes(settings: Settings, dialplan: Dialplan, root: Mapping) -> Iterator[Problem]:
    for name, context in dialplan.contexts.items():
        if len(context.routes) > MAX_ROUTES_COMPARED:
            continue
        for index, earlier in shadowed(context):
            first, _ = place(root, ("dialplan", name, "routes", earlier))
            mark, node = place(root, ("dialplan", name, "routes", index))
            message = (
                f"never reached: {context.routes[earlier].name!r} at {first.file}:{first.line} takes all its calls "
                "(the first match decides)"
            )
            yield Problem(mark, node.key, message)


def _unused_contexts(settings: Settings, root: Mapping) -> Iterator[Problem]:
    used = {extension.context for extension in settings.extensions.values()}
    used |= {trunk.context for trunk in settings.trunks.values() if trunk.context is not None}
    for context in settings.dialplan.values():
        used |= set(context.include) | set(_gotos(context.routes))
    for group in settings.ring_groups.values():
        used |= set(_gotos([action for action in group.fallbacks if action is not None]))
    for name in settings.dialplan:
        if name not in used:
            mark, node = place(root, ("dialplan", name))
            yield Problem(mark, node.key, "never used: no extension, trunk, include or goto leads here")


def _misspelt_conferences(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """A name without settings is a room that is open to all: hardly meant where another one is written almost so."""
    rooms = list(settings.conferences)
    waiting: list[tuple[tuple[str | int, ...], Action]] = [
        (("dialplan", name, "routes", index), route)
        for name, context in settings.dialplan.items()
        for index, route in enumerate(context.routes)
    ]
    waiting += [
        (("ring_groups", name, key), fallback)
        for name, group in settings.ring_groups.items()
        for key, fallback in zip(_FALLBACKS, group.fallbacks, strict=True)
        if fallback is not None
    ]
    for path, action in waiting:
        name = action.answer_and_conference
        near = meant(name, rooms) if name is not None and name not in settings.conferences and "{" not in name else []
        if near:
            mark, node = place(root, (*path, "answer_and_conference"))
            yield Problem(
                mark,
                node.key,
                f"no conference {name!r} in 'conferences', so all may enter it: did you mean {near[0]!r}?",
            )
        for key, fallback in zip(_FALLBACKS, action.fallbacks, strict=True):
            if fallback is not None:
                waiting.append(((*path, key), fallback))


def _gotos(actions: Iterable[Action]) -> Iterator[str]:
    waiting = list(actions)
    while waiting:
        action = waiting.pop()
        if action.goto is not None:
            yield action.goto.context
        waiting += [fallback for fallback in action.fallbacks if fallback is not None]


def _made_international(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """Rewriting to `+49...` where +49 is not known as home: all such calls would be barred."""
    if all(INTERNATIONAL in extension.may_call for extension in settings.extensions.values()):
        return
    barring = Barring(settings.barring.classes, settings.barring.home)
    for name, trunk in settings.trunks.items():
        for index, rule in enumerate(trunk.rewrite.dialled_out):
            made = rule.prepend or ("" if rule.strip else rule.replace or "")
            code = re.match(r"\+[1-9][0-9]*", made)
            if code is not None and INTERNATIONAL in barring.classes_of(f"{code[0]}00"):
                mark, node = place(root, ("trunks", name, "rewrite", "dialled_out", index))
                message = (
                    f"numbers rewritten to {code[0]!r} are international, and barred for all who have no 'may_call': "
                    f"expected 'barring: {{home: ...}}' with their country code if they are not"
                )
                yield Problem(mark, node.key, message)


def _keys_in_the_clear(settings: Settings, root: Mapping) -> Iterator[Problem]:
    """SRTP keys without TLS: readable, or never sent, so that `required` refuses every call."""
    endpoints: list[tuple[tuple[str, str], Extension | Trunk]]
    endpoints = [(("extensions", number), each) for number, each in settings.extensions.items()]
    endpoints += [(("trunks", name), each) for name, each in settings.trunks.items()]
    # The sockets and transports that there are have no TLS; one that has will be asked for here.
    told = set()
    for path, endpoint in endpoints:
        if endpoint.srtp == "never":
            continue
        field = "srtp_over_insecure_signalling" if endpoint.srtp_over_insecure_signalling else "srtp"
        mark, node = place(root, (*path, field))
        if mark in told:
            continue
        told.add(mark)
        if endpoint.srtp_over_insecure_signalling:
            why = "SRTP keys are sent over UDP or TCP: whoever sees the signalling can decrypt the audio"
        elif endpoint.srtp == "required":
            why = "every call is refused: SRTP keys need TLS signalling, or 'srtp_over_insecure_signalling: true'"
        else:
            why = "no call is encrypted: SRTP keys need TLS signalling, or 'srtp_over_insecure_signalling: true'"
        yield Problem(mark, node.key, why)


def _dead_forwards(settings: Settings, dialplan: Dialplan, root: Mapping) -> Iterator[Problem]:
    told: set[tuple[Mark, str]] = set()
    for extension in settings.extensions.values():
        for event in _FORWARDS:
            number = getattr(extension.forward, event)
            if number is None:
                continue
            *_, last = dialplan.explain(extension.context, number, extension.number)
            mark, node = place(root, ("extensions", extension.number, "forward", event))
            if not last.taken and (mark, number) not in told:
                told.add((mark, number))
                yield Problem(mark, node.key, f"{number!r} leads nowhere in context {extension.context!r}: {last.why}")
        for each in extension.find_me.numbers:
            *_, last = dialplan.explain(extension.context, each.number, extension.number)
            mark, node = place(root, ("extensions", extension.number, "find_me"))
            if not last.taken and (mark, each.number) not in told:
                told.add((mark, each.number))
                where = f"in context {extension.context!r}: {last.why}"
                yield Problem(mark, node.key, f"find-me number {each.number!r} leads nowhere {where}")
