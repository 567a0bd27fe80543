"""`softswitch check`: is the configuration valid, and where would a number lead?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from softswitch.dialplan.decision import Decision
    from softswitch.settings.models import Settings


LONGEST = 1000
"""Characters of a line."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("check")(check)


def check(
    config: Annotated[Path, typer.Option("--config", "-c", help="Configuration directory.")] = Path("config"),
    route: Annotated[
        str, typer.Option("--route", metavar="CONTEXT:NUMBER", help="Show which route takes a call, and why.")
    ] = "",
    caller: Annotated[str, typer.Option("--from", help="With --route: the caller's number.")] = "",
    did: Annotated[str, typer.Option("--did", help="With --route: the number that a trunk sent.")] = "",
    journal: Annotated[
        Path | None,
        typer.Option("--journal", metavar="JOURNAL", help="Also say whom changed agents and queues would affect."),
    ] = None,
) -> None:
    """Check a configuration directory: all errors at once, each with file, line and column. Exit code 2 on
    errors."""
    from softswitch.settings.loader import ConfigError, load

    if (caller or did) and not route:
        raise typer.BadParameter("--from and --did say who calls, and by which number, where --route names a call")
    try:
        loaded = load(config)
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        count = len(error.problems)
        typer.echo(f"{config}: {count} error{'s' if count > 1 else ''}", err=True)
        raise typer.Exit(2) from None
    for warning in loaded.warnings:
        typer.echo(f"{warning} (warning)", err=True)
    if route:
        _show_route(loaded.settings, route, caller, did)
        return
    for line in summary(config, loaded.settings):
        typer.echo(line)
    if journal is not None:
        _show_changes(journal, loaded.settings)


def _show_changes(journal: Path, settings: Settings) -> None:
    """Exit code 1 where the journal can't be read."""
    from acd.journal import JournalError
    from softswitch.cli.check_changes import changes_since
    from softswitch.cli.printable import printable

    try:
        found = changes_since(journal, settings)
    except JournalError as error:
        typer.echo(f"journal {journal}: {error}", err=True)
        raise typer.Exit(1) from None
    for line in found:
        typer.echo(printable(line, LONGEST))


def summary(config: Path, settings: Settings) -> list[str]:
    """What a valid configuration holds, in a few lines."""
    routes = sum(len(context.routes) for context in settings.dialplan.values())
    listening = ", ".join(
        f"{listen.transport}:{f'[{listen.host}]' if ':' in listen.host else listen.host}:{listen.port}"
        for listen in settings.sip.listen
    )
    lines = [
        f"{config}: valid",
        f"  {_count(len(settings.extensions), 'extension')}, {_count(len(settings.trunks), 'trunk')}, "
        f"{_count(len(settings.dialplan), 'context')} with {_count(routes, 'route')}",
        f"  SIP on {listening}; RTP on UDP ports {settings.media.rtp_ports.low}-{settings.media.rtp_ports.high}",
    ]
    if settings.agents or settings.queues:
        lines.insert(2, f"  {_count(len(settings.agents), 'agent')}, {_count(len(settings.queues), 'queue')}")
    lacking = sum(extension.password is None for extension in settings.extensions.values())
    if lacking:
        lines.append(f"  {_count(lacking, 'extension')} without a password: the next start or reload makes them")
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _show_route(settings: Settings, route: str, caller: str, did: str) -> None:
    """Each route looked at, and the decision. Exit code 2 where the context does not exist."""
    from softswitch.dialplan.routing import Dialplan
    from softswitch.feature_codes import FeatureCodes
    from softswitch.settings.validation import unknown_name

    context, colon, number = route.partition(":")
    if not colon or not number:
        typer.echo(f"--route {route!r}: expected CONTEXT:NUMBER, such as internal:101", err=True)
        raise typer.Exit(2)
    if context not in settings.dialplan:
        typer.echo(f"--route {route!r}: {unknown_name('context', context, list(settings.dialplan))}", err=True)
        raise typer.Exit(2)
    code = FeatureCodes(settings.feature_codes.codes).find(number)
    if code is not None:
        behind = f" with {code.number!r}" if code.number else ""
        typer.echo(f"dialled by an extension, the feature code {code.action}{behind}; else:")
    dialplan = Dialplan(settings.dialplan, settings.extensions, settings.ring_groups, paging=settings.paging)
    for step in dialplan.explain(context, number, caller, did):
        mark = "->" if step.taken else "  "
        name = f"{step.context}: {step.route}: " if step.route else f"{step.context}: "
        typer.echo(f"{mark} {name}{step.why}")
    decision = dialplan.route(context, number, caller, did)
    for line in [*describe(decision), *barred(settings, decision, caller)]:
        typer.echo(line)


def barred(settings: Settings, decision: Decision, caller: str) -> list[str]:
    """A line for each trunk among the targets that would not be called on account of `caller`, an extension."""
    from softswitch import wiring
    from softswitch.caller_identity import Numbers
    from softswitch.dialplan.decision import Dial, TrunkTarget

    if not isinstance(decision, Dial):
        return []
    barring = wiring.toll_settings(settings).barring
    extension = settings.extensions.get(caller)
    may_call = set(extension.may_call) if extension is not None else set()
    pin_for = set(extension.pin_for) if extension is not None else set()
    rewriting = {trunk.name: Numbers(trunk.rewrite_outbound) for trunk in wiring.trunk_configs(settings)}
    lines = []
    for target in decision.targets:
        if not isinstance(target, TrunkTarget) or barring.is_emergency(target.number):
            continue
        forms = (target.number, rewriting[target.trunk].rewrite(target.number), target.dialled)
        allowed = {*target.allow, *may_call}
        found = barring.barred(forms, allowed - pin_for)
        if found and not barring.barred(forms, allowed | pin_for):
            lines.append(f"  through trunk {target.trunk!r} extension {caller} is asked for its PIN: class {found!r}")
        elif found:
            who = f"extension {caller}" if extension is not None else "whoever has no such 'may_call'"
            lines.append(f"  barred through trunk {target.trunk!r} for {who}: class {found!r}")
    return lines + [
        line
        for fallback in (decision.on_busy, decision.on_no_answer, decision.on_unavailable)
        if fallback is not None
        for line in barred(settings, fallback, caller)
    ]


def describe(decision: Decision) -> list[str]:
    """A decision in words, its fallbacks indented under it."""
    from softswitch.causes import name_of_cause, status_of_cause
    from softswitch.dialplan.decision import (
        Announce,
        Confer,
        Dial,
        Echo,
        Page,
        Park,
        PickUp,
        Reject,
        Retrieve,
        Supervise,
        TrunkTarget,
    )

    if isinstance(decision, Echo):
        return ["answer and echo"]
    if isinstance(decision, Confer):
        return [f"answer and join conference {decision.name!r}"]
    if isinstance(decision, Announce):
        return [f"answer and play {', '.join(type(each).__name__.lower() for each in decision.sources)}"]
    if isinstance(decision, Park):
        return [f"park in lot {decision.lot!r} who is transferred here"]
    if isinstance(decision, Page):
        way = "hear each other" if decision.two_way else "hear the caller"
        who = ", ".join(f"extension {each!r}" for each in decision.members)
        return [f"page {decision.name!r}, at most {decision.timeout:g} s: {who} {way}"]
    if isinstance(decision, Retrieve):
        return [f"take the call that is parked in slot {decision.slot!r}"]
    if isinstance(decision, PickUp):
        return [f"pick up a call of {'a group' if decision.group else f'extension {decision.extension!r}'}"]
    if isinstance(decision, Supervise):
        return [f"supervise extension {decision.extension!r}: {decision.mode}"]
    if isinstance(decision, Reject):
        status = decision.status or status_of_cause(decision.cause)
        return [f"reject: cause {decision.cause} ({name_of_cause(decision.cause)}), SIP status {status}"]
    if not isinstance(decision, Dial):
        raise TypeError(f"no route leads to {type(decision).__name__}: feature codes do")
    targets = [
        f"{target.number!r} through trunk {target.trunk!r}"
        if isinstance(target, TrunkTarget)
        else f"extension {target.number!r}"
        for target in decision.targets
    ]
    how = f" in {'steps' if decision.steps else decision.mode}" if len(targets) > 1 else ""
    timeout = f", ringing at most {decision.ring_timeout:g} s" if decision.ring_timeout is not None else ""
    recorded = f", recorded {decision.record.replace('-', ' ')}" if decision.record else ""
    pin = ", with a PIN" if decision.pin else ""
    lines = [f"dial {', '.join(targets)}{how}{timeout}{recorded}{pin}"]
    for name in ("busy", "no_answer", "unavailable"):
        fallback = getattr(decision, f"on_{name}")
        if fallback is not None:
            first, *rest = describe(fallback)
            lines += [f"  when {name.replace('_', ' ')}: {first}", *(f"  {line}" for line in rest)]
    return lines
