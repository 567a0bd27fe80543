"""A recorded day under other rules: the journal read, what came of it as one plain value, and as tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from acd import inputs as i
from acd.config import Config
from acd.engine import Engine
from acd.facts import Record
from acd.journal import JournalError
from acd.simulate.course import Course, Part
from acd.simulate.whatif import Change, Totals, WhatIf, read, totals, what_if
from acd.simulate.why import Words
from softswitch.acd_journals import journal_at, state_at, uncollected
from softswitch.simulation.given import GivenError
from softswitch.store.acd_journal_reading import Beginning

Json = dict[str, Any]


def replay(
    journal: Path,
    config: Config | None,
    seed: int,
    patience: float | None,
    progress: Callable[[int], None] | None = None,
) -> WhatIf:
    """`config` None: that of the journal itself. Raises `GivenError`."""
    try:
        with uncollected():
            with journal_at(journal) as kept:
                was = read(chain(_there(kept.beginning), kept.records))
            return what_if(was, was.config if config is None else config, seed, progress, patience)
    except (JournalError, ValueError) as error:
        raise GivenError(f"journal {journal}: {error}") from None


def _there(beginning: Beginning | None) -> Iterator[Record]:
    """Rules and agents as a journal finds them that has lost its older part, as if the agents had just come. Who waited
    already is left out. Raises `JournalError`."""
    if beginning is None:
        return
    state, engine, now = state_at(beginning), Engine(), beginning.time
    yield from engine.handle(i.Configure(state.config), now).records
    for agent in state.agents.values():
        settings = state.config.agents.get(agent.id)
        if agent.signed_in and settings is not None:
            own = i.SignIn(agent.id, settings.address or agent.address, agent.mode if settings.mode == "self" else "")
            yield from engine.handle(own, now).records
            if agent.state == "paused":
                yield from engine.handle(i.Pause(agent.id, agent.reason), now).records
            elif engine.state.agents[agent.id].state == "paused":
                yield from engine.handle(i.Ready(agent.id), now).records
    for address in sorted(state.unreachable):
        yield from engine.handle(i.Reachable(address, False), now).records


def document(name: str, found: WhatIf, explained: int) -> Json:
    """Both courses in all, how many contacts fared otherwise, and the gravest changes with their reasons."""
    words = Words(found, clock)
    changes = found.changes
    answered = [each for each in changes if each.was.fate == each.now.fate == "answered"]
    return {
        "config": name,
        "from": moment(found.was.began),
        "until": moment(found.was.ended),
        "journal": _totals(totals(found.was, found.was.ended)),
        "under_these_rules": _totals(totals(found.now, found.was.ended)),
        "changed": len(changes),
        "answered_sooner": sum(each.seconds < 0.0 for each in answered),
        "answered_later": sum(each.seconds > 0.0 for each in answered),
        "answered_now": sum(each.now.fate == "answered" != each.was.fate for each in changes),
        "answered_no_more": sum(each.was.fate == "answered" != each.now.fate for each in changes),
        "notes": notes(found.was),
        "changes": [_change(each, words) for each in changes[:explained]],
    }


def notes(was: Course) -> list[str]:
    """What the replay leaves out of the journal."""
    said = []
    if was.configs > 1:
        said.append(f"the journal has {was.configs} configurations: its first is taken for what it was")
    if was.other:
        said.append(f"{was.other} reservations for calls of a dialler are left out")
    if was.taken:
        said.append(f"{was.taken} contacts that agents took by transfer or pick-up take none of their time")
    return said


def _totals(found: Totals) -> Json:
    return {name: None if math.isnan(value) else value for name, value in found._asdict().items()}


def _change(change: Change, words: Words) -> Json:
    return {
        "contact": change.was.id,
        "queue": change.was.entered.queue,
        "came": moment(change.was.came),
        "journal": _part(change.was),
        "under_these_rules": _part(change.now),
        "why": words.why(change),
    }


def _part(part: Part) -> Json:
    return {"fate": part.fate, "waited": None if math.isnan(part.waited) else part.waited, "agent": part.agent}


def clock(time: float) -> str:
    """HH:MM:SS here."""
    return datetime.fromtimestamp(time).strftime("%H:%M:%S")


def moment(time: float) -> str:
    return datetime.fromtimestamp(time).isoformat(" ", "seconds")
