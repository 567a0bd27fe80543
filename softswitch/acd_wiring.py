"""What operators wrote about agents and queues, as the ACD's engine wants it: settings in, `acd.config.Config` out; and
the journal as they want it kept.

To the engine a telephone is an address: `extension:201`, or `number:0170123456@internal` for a number outside and the
context in which it is dialled.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from acd import config as c
from acd.callbacks import LATEST
from softswitch.settings import acd_models, agent_models, queue_models
from softswitch.settings.acd_models import DEFAULT_TEAM
from softswitch.settings.models import Settings

if TYPE_CHECKING:
    from softswitch.store.acd_journal import AcdJournal

VERSION_DIGITS = 12


def acd_config(settings: Settings) -> c.Config:
    """The rules. Their `version` is a digest of all that is in them: the same rules have the same one."""
    teams = settings.teams or {DEFAULT_TEAM: acd_models.Team()}
    config = c.Config(
        teams={name: _team(name, each) for name, each in teams.items()},
        groups={
            name: c.Group(name=name, team=each.team, administrators=each.administrators)
            for name, each in settings.agent_groups.items()
        },
        agents={name: _agent(each) for name, each in settings.agents.items()},
        queues={name: _queue(each) for name, each in settings.queues.items()},
        skills=tuple(settings.skills),
        hours={name: _hours(each) for name, each in settings.hours.items()},
    )
    digest = hashlib.sha256(msgspec.json.encode(config)).hexdigest()[:VERSION_DIGITS]
    return msgspec.structs.replace(config, version=digest)


def acd_journal(settings: Settings) -> AcdJournal:
    """Its journal, not yet started, in the database that the settings name. Raises `StoreError`."""
    from softswitch.store.acd_journal import AcdJournal

    return AcdJournal(settings.server.database_url, settings.server.acd_journal_kept)


def address_of(telephone: agent_models.Telephone | None) -> str:
    """As the engine names it; "": it is chosen at sign-in."""
    if telephone is None:
        return ""
    if telephone.extension is not None:
        return f"extension:{telephone.extension}"
    return f"number:{telephone.number}@{telephone.context}"


def _team(name: str, written: acd_models.Team) -> c.Team:
    return c.Team(
        name=name,
        ageing=written.ageing,
        window=written.window,
        misses=written.misses,
        sign_in_as=written.sign_in_as,
        pause_reasons=written.pause_reasons,
    )


def _agent(written: agent_models.Agent) -> c.Agent:
    return c.Agent(
        id=written.id,
        team=written.team,
        name=written.name,
        groups=written.groups,
        skills=written.skills,
        weights=written.weights,
        mode=written.mode,
        wrap_up=None if written.wrap_up is None else _wrap_up(written.wrap_up),
        address=address_of(written.telephone),
        direct_calls=written.direct_calls,
    )


def _wrap_up(written: acd_models.WrapUp) -> c.WrapUp:
    return c.WrapUp(after=written.after, ends=written.ends, seconds=written.time, extension=written.extension)


def _hours(written: acd_models.OpeningHours) -> c.Hours:
    spans = [c.Span(days=days, start=start, end=end) for days, start, end in written.spans]
    return c.Hours(zone=written.zone, spans=tuple(spans), closed=written.closed)


def _queue(written: queue_models.Queue) -> c.Queue:
    return c.Queue(
        name=written.name,
        team=written.team,
        needs=written.needs,
        relax=tuple([c.Relax(after=step.after, needs=step.needs, own=step.own_needs) for step in written.relax]),
        groups=written.groups,
        widen=tuple([c.Widen(after=step.after, groups=step.groups) for step in written.widen]),
        strategy=written.strategy,
        ring_count=written.ring_count or 1,
        ring_seconds=written.ring_time,
        priority=written.priority,
        vip=written.vip,
        vip_priority=written.vip_priority,
        direction=written.direction,
        wrap_up=_wrap_up(written.wrap_up),
        affinity=written.affinity or 0.0,
        skip=written.skip,
        on_reject=written.on_reject,
        limits=tuple([_limit(each) for each in written.limits]),
        emptied_to=_way_out(written.emptied_to),
        exits={key: _way_out(way) for key, way in written.exits.items()},
        return_within=written.return_within or 0.0,
        announcements=tuple([_announcement(each) for each in written.announcements]),
        callback=None if written.callback is None else _callback(written.callback),
        hours=written.hours or "",
        target_seconds=written.service_level.within,
        target_share=written.service_level.share,
        short_abandon=written.short_abandon,
    )


def _limit(written: queue_models.Limit) -> c.Limit:
    return c.Limit(of=written.when, to=_way_out(written.to), value=written.reaches or 0.0, waiting=written.waiting)


def _way_out(written: queue_models.WayOut) -> c.WayOut:
    return c.WayOut(kind=written.kind, name=written.name, keep_wait=written.keep_wait)


def _announcement(written: queue_models.Announcement) -> c.Announcement:
    return c.Announcement(what=written.what, sound=written.sound or "", first=written.first, every=written.every or 0.0)


def _callback(written: queue_models.CallbackRules) -> c.CallbackRules:
    causes = ("busy", "no_answer", "failed", "machine")
    retry = {cause: getattr(written.retry, cause) for cause in causes}
    return c.CallbackRules(
        first=written.first,
        attempts=written.attempts,
        retry={cause: seconds for cause, seconds in retry.items() if seconds is not None},
        ring_seconds=written.ring_time,
        per_number=written.per_number,
        patience=LATEST if written.patience is None else written.patience,
        hours=written.hours or "",
    )
