"""Why a contact fared otherwise under other rules, in plain words: what the agent did, in the run in which it was
answered later, whom it was offered to in the run in which it was answered sooner."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import assert_never

from acd.expression import parse
from acd.roster import Roster
from acd.simulate.course import Course, Part
from acd.simulate.whatif import Change, WhatIf
from acd.state import asks

Clock = Callable[[float], str]
"""A time as people read it."""


class Words:
    """Explains the changes of a day."""

    def __init__(self, found: WhatIf, clock: Clock) -> None:
        self._found, self._clock = found, clock
        self._rosters = {id(course): Roster(course.config) for course in (found.was, found.now)}

    def why(self, change: Change) -> str:
        """contact c17 (sales, 10:03:00) waited 35 s instead of 12 s: agent anna, to whom it was offered at 10:03:10 in
        the journal, was talking to contact c12 (support) from 10:01:40 on under these rules."""
        was, now = change
        sooner_is_now = _answer(now) < _answer(was)
        sooner, slower = (now, was) if sooner_is_now else (was, now)
        course = self._found.was if sooner_is_now else self._found.now
        there, here = (
            ("under these rules", "in the journal") if sooner_is_now else ("in the journal", "under these rules")
        )
        text = f"contact {was.id} ({was.entered.queue}, {self._clock(was.came)}) "
        text += f"{_fares(now)} instead of {_instead(change)}"
        if not sooner.agent or slower.fate == "unknown":
            return f"{text}."
        offered = sooner.answered - sooner.ring
        doing = self._doing(course, sooner.agent, slower, offered)
        text += f": agent {sooner.agent}, to whom it was offered at {self._clock(offered)} {there}, {doing} {here}"
        if slower.agent and slower.agent != sooner.agent:
            text += f", where {slower.agent} answered at {self._clock(slower.answered)}"
        return f"{text}."

    def _doing(self, course: Course, agent: str, part: Part, time: float) -> str:
        """What an agent did at that time, and so did not have a contact."""
        found = course.at(agent, time)
        if found is None:
            return "was not signed in"
        contact, since = f"contact {found.contact}", f"from {self._clock(found.since)} on"
        if found.contact in course.parts:
            contact += f" ({course.parts[found.contact].queue})"
        match found.state:
            case "signed_out":
                return "was not signed in"
            case "talking":
                return f"was talking to {contact if found.contact else 'somebody whom no queue had brought'} {since}"
            case "hold":
                return f"had {contact} on hold {since}"
            case "consulting":
                return f"was consulting about {contact} {since}"
            case "wrap_up":
                return f"was wrapping up {contact} {since}"
            case "offered":
                return f"was being rung for {'it' if found.contact == part.id else contact} {since}"
            case "paused":
                return f"was paused{f' ({found.reason})' if found.reason else ''} {since}"
            case "not_responding":
                return f"had missed an offer and was not responding {since}"
            case "offline":
                return f"had no telephone {since}"
            case "ready":
                return self._not_offered(course, agent, part, time)
            case _:
                assert_never(found.state)

    def _not_offered(self, course: Course, agent: str, part: Part, time: float) -> str:
        """Of an agent who was ready, and yet was not offered it then."""
        roster, queue = self._rosters[id(course)], course.config.queues.get(part.queue)
        if queue is None or agent not in roster.row:
            return "was ready, but not by that name"
        waited = time - part.came
        widened = sum(step.after <= waited for step in queue.widen)
        relaxed = sum(step.after <= waited for step in queue.relax)
        needs = asks(queue, relaxed, part.entered.needs)
        if not roster.serving(queue, widened)[roster.row[agent]]:
            return f"was ready, but did not serve {part.queue}"
        if not roster.eligible(queue, parse(needs), widened)[roster.row[agent]]:
            return f"was ready, but lacked the skills: {needs}"
        return f"was ready, while {part.agent or 'another agent'} was rung for it"


def _answer(part: Part) -> float:
    return part.answered if part.agent else math.inf


def _fares(part: Part) -> str:
    match part.fate:
        case "answered":
            return f"waited {part.waited:.0f} s"
        case "abandoned":
            return f"gave up after {part.waited:.0f} s"
        case "waiting":
            return "had no agent"
        case "unknown":
            return "came into a queue that is not there"
        case _:
            return f"left ({part.fate}) after {part.waited:.0f} s"


def _instead(change: Change) -> str:
    was, now = change
    if was.fate == now.fate and was.fate in ("answered", "abandoned"):
        return f"{was.waited:.0f} s"
    match was.fate:
        case "answered":
            return f"an answer after {was.waited:.0f} s"
        case "abandoned":
            return f"giving up after {was.waited:.0f} s"
        case "waiting":
            return "having no agent"
        case _:
            return f"leaving ({was.fate}) after {was.waited:.0f} s"
