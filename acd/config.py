"""Teams, agents, queues and skills, as the engine runs by them: one immutable value, swapped whole by a reload.

Times are seconds, priorities points, skill levels 0 to 100. Whoever makes a `Config` has checked that its names exist
(`Config.problems` says what does not hold); the engine relies on that.
"""

from __future__ import annotations

from typing import Literal

import msgspec

MAX_LEVEL = 100
STRICT = 1e7
"""Seconds of ageing that make a point of priority outweigh any wait: four months."""

RETRY = {"busy": 300.0, "no_answer": 1800.0, "failed": 900.0, "machine": 3600.0}

AgentId = str
QueueName = str
Skill = str

WorkMode = Literal["inbound", "outbound", "both", "self"]
"""`self`: the agent says which of the others it works in."""

StrategyName = Literal[
    "longest_idle",
    "round_robin",
    "least_calls",
    "least_talk_time",
    "most_skilled",
    "least_skilled",
    "fixed_order",
    "weighted_random",
    "ring_all",
    "ring_some",
]
WayOutKind = Literal["queue", "number", "voicemail", "ivr", "callback", "hangup"]
LimitName = Literal["closed", "no_agents", "none_ready", "length", "expected_wait", "waited"]
BY_AGENTS: frozenset[LimitName] = frozenset(("no_agents", "none_ready"))
"""Limits that are reached when agents leave."""


class Value(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """What never changes."""


class WrapUp(Value, frozen=True, kw_only=True, gc=False):
    """After-call work. KPI.md's modes: `after` which offers, and how it ends."""

    after: Literal["answered", "ring", "never"] = "answered"
    """`ring`: also after an offer that the agent did not take."""
    ends: Literal["manual", "timeboxed", "timeboxed_strict"] = "timeboxed"
    """By `Ready` alone, by time or `Ready`, by time alone."""
    seconds: float = 30.0
    extension: float = 300.0
    """How much longer an agent may make it, in all."""


class WayOut(Value, frozen=True, kw_only=True, gc=False):
    """Where a contact goes that does not, or does no longer, wait for an agent here."""

    kind: WayOutKind
    name: str = ""
    """The queue, number, mailbox or flow."""
    keep_wait: bool = True
    """Into another queue: with the place and the time waited so far; False: as if it had just come."""


class Limit(Value, frozen=True, kw_only=True, gc=False):
    """A bound of a queue. `value`: contacts for `length`, seconds for `expected_wait` and `waited`; else unused."""

    of: LimitName
    to: WayOut
    value: float = 0.0
    waiting: bool = False
    """Looked at again while contacts wait, not at entry alone. `waited` always is."""


class Relax(Value, frozen=True, kw_only=True, gc=False):
    """From `after` seconds of waiting on these needs are enough. `own`: those that a contact has of its own besides
    still count."""

    after: float
    needs: str
    own: bool = True


class Widen(Value, frozen=True, kw_only=True, gc=False):
    """From `after` seconds of waiting on agents of these groups may take the contact, too."""

    after: float
    groups: tuple[str, ...]


class Announcement(Value, frozen=True, kw_only=True, gc=False):
    """Something said to who waits: for the first time after `first` seconds, then every `every`; 0: once."""

    what: Literal["welcome", "position", "expected_wait", "message"]
    sound: str = ""
    first: float = 0.0
    every: float = 0.0


class CallbackRules(Value, frozen=True, kw_only=True, gc=False):
    """How customers who asked for it are called back."""

    first: Literal["agent", "customer"] = "agent"
    """Whose telephone rings first."""
    attempts: int = 3
    retry: dict[str, float] = msgspec.field(default_factory=lambda: dict(RETRY))
    """Seconds until the next attempt, by what became of the last one; a cause that is not here ends it."""
    ring_seconds: float = 30.0
    per_number: int = 1
    patience: float = 86_400.0
    """Seconds for which a callback waits for the agent that it is meant for, once its time has come; then anybody may
    have it."""
    hours: str = ""
    """Name of the hours in which customers are called; "": those of the queue."""


class Span(Value, frozen=True, kw_only=True, gc=False):
    """From `start` to `end`, seconds of the day, on these days of the week (0: Monday)."""

    days: tuple[int, ...]
    start: float
    end: float


class Hours(Value, frozen=True, kw_only=True, gc=False):
    """When a queue is open. `closed`: dates, YYYY-MM-DD."""

    zone: str = "UTC"
    spans: tuple[Span, ...] = ()
    closed: tuple[str, ...] = ()


class Queue(Value, frozen=True, kw_only=True, gc=False):
    """One queue. `groups`: who serves it at first; (): the whole team."""

    name: QueueName
    team: str
    needs: str = ""
    relax: tuple[Relax, ...] = ()
    groups: tuple[str, ...] = ()
    widen: tuple[Widen, ...] = ()
    strategy: StrategyName = "longest_idle"
    ring_count: int = 1
    """Agents at a time, of `ring_some`."""
    ring_seconds: float = 20.0
    priority: float = 0.0
    vip: tuple[str, ...] = ()
    """Numbers of callers that have `vip_priority` points more."""
    vip_priority: float = 10.0
    direction: Literal["inbound", "outbound"] = "inbound"
    wrap_up: WrapUp = WrapUp()
    affinity: float = 0.0
    """Seconds for which a contact waits for the agent that it talked to last; 0: it does not."""
    skip: float = 30.0
    """Seconds for which a contact is not offered again to an agent who did not take it."""
    on_reject: Literal["ready", "not_responding"] = "ready"
    limits: tuple[Limit, ...] = ()
    emptied_to: WayOut = WayOut(kind="hangup")
    """Where those go who wait when the queue is taken out of the configuration."""
    exits: dict[str, WayOut] = {}
    """By the key that the caller presses."""
    return_within: float = 0.0
    """Seconds after which a caller who hung up has lost its place."""
    announcements: tuple[Announcement, ...] = ()
    callback: CallbackRules | None = None
    """None: callbacks are not offered."""
    hours: str = ""
    """Name of the hours; "": always open."""
    target_seconds: float = 20.0
    target_share: float = 0.8
    short_abandon: float = 5.0


class Agent(Value, frozen=True, kw_only=True, gc=False):
    """One agent. `weights`: points of priority for contacts of some queues, and its weight in a `weighted_random`."""

    id: AgentId
    team: str
    name: str = ""
    groups: tuple[str, ...] = ()
    skills: dict[Skill, int] = {}
    weights: dict[QueueName, float] = {}
    mode: WorkMode = "inbound"
    wrap_up: WrapUp | None = None
    """None: as the queue says."""
    address: str = ""
    """Of its telephone, where that is fixed; "": chosen at sign-in."""
    direct_calls: Literal["busy", "free"] = "busy"
    """Whether it takes contacts of queues while it is in a call that no queue has brought."""


class Group(Value, frozen=True, kw_only=True, gc=False):
    """`administrators`: agents who may act for those of the group."""

    name: str
    team: str
    administrators: tuple[AgentId, ...] = ()


class Team(Value, frozen=True, kw_only=True, gc=False):
    """A tenant: teams never see each other."""

    name: str
    ageing: float = 60.0
    """Seconds of waiting that make up for one point of priority; `STRICT`: none do."""
    window: float = 3600.0
    """Of `least_calls` and `least_talk_time`: what lies this far back counts 1/e."""
    misses: int = 1
    """Offers missed in a row that make an agent `not_responding`; 0: never."""
    sign_in_as: Literal["ready", "paused"] = "ready"
    pause_reasons: tuple[str, ...] = ()
    """(): any."""


class Config(Value, frozen=True, kw_only=True, gc=False):
    """All of it, in the order of the configuration, which is that of `fixed_order`."""

    version: str = ""
    """Names the rules in every decision that was made by them."""
    seed: int = 0
    teams: dict[str, Team] = {}
    groups: dict[str, Group] = {}
    agents: dict[AgentId, Agent] = {}
    queues: dict[QueueName, Queue] = {}
    skills: tuple[Skill, ...] = ()
    hours: dict[str, Hours] = {}
