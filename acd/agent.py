"""The machine of one agent's states, and what is known of an agent.

    signed_out --sign_in--> REST
    ready      --offer--> offered, --pause--> paused, --phone_gone--> offline, --direct_call, taken--> talking
    paused     --ready--> REST, --taken--> talking
    offered    --accepted--> talking, --rejected, missed, unreachable, withdrawn--> not_responding, wrap_up or REST
    talking    --hold--> hold, --consult--> consulting, --finished, customer_left--> wrap_up or REST
    hold       --resume--> talking, --consult--> consulting, else as talking
    consulting --consult_over--> talking, --hold--> hold, else as talking
    wrap_up    --ready, wrap_up_over--> REST, --pause--> paused, --taken--> talking
    not_responding --ready--> REST, --pause--> paused, --taken--> talking
    offline    --phone_back--> REST, --pause--> paused, --taken--> talking
    any that may be `taken` --picked_up--> offered
    any but signed_out --sign_out, configured--> signed_out, from work once that is over

REST is where an agent goes who has nothing to do: what it has asked for meanwhile (`paused`, `signed_out`); else
`talking`, where it is in a direct call that counts; else `offline`, where its telephone can't be called; else `ready`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from acd.facts import AgentStateName, Why
from acd.inputs import Direction

WORK: frozenset[AgentStateName] = frozenset(("talking", "hold", "consulting"))
"""In a call."""

HANDLING: frozenset[AgentStateName] = WORK | {"wrap_up"}

AT_WORK: frozenset[AgentStateName] = WORK | {"ready", "offered", "wrap_up"}
"""Whom contacts may wait for: who is free, or will be."""

REST: tuple[AgentStateName, ...] = ("ready", "offline", "talking", "paused", "signed_out")

_OUT: dict[Why, tuple[AgentStateName, ...]] = {"sign_out": ("signed_out",), "configured": ("signed_out",)}
_NOT_TAKEN: tuple[AgentStateName, ...] = ("not_responding", "wrap_up", *REST)
_WORKED: dict[Why, tuple[AgentStateName, ...]] = {"finished": ("wrap_up", *REST), "customer_left": ("wrap_up", *REST)}

BEGINS: frozenset[Why] = frozenset(("accepted", "taken"))
"""By what an agent comes to have a contact."""

TRANSITIONS: dict[AgentStateName, dict[Why, tuple[AgentStateName, ...]]] = {
    "signed_out": {"sign_in": ("ready", "offline", "paused")},
    "ready": {
        "offer": ("offered",),
        "pause": ("paused",),
        "phone_gone": ("offline",),
        "direct_call": ("talking",),
        "taken": ("talking",),
        "picked_up": ("offered",),
        **_OUT,
    },
    "paused": {"ready": REST, "pause": ("paused",), "taken": ("talking",), "picked_up": ("offered",), **_OUT},
    "offered": {
        "accepted": ("talking",),
        "rejected": _NOT_TAKEN,
        "missed": _NOT_TAKEN,
        "unreachable": _NOT_TAKEN,
        "withdrawn": _NOT_TAKEN,
        **_OUT,
    },
    "talking": {
        "hold": ("hold",),
        "consult": ("consulting",),
        "direct_call_over": REST,
        "taken": ("talking",),
        "picked_up": ("offered",),
        **_WORKED,
        **_OUT,
    },
    "hold": {"resume": ("talking",), "consult": ("consulting",), **_WORKED, **_OUT},
    "consulting": {"consult_over": ("talking",), "hold": ("hold",), **_WORKED, **_OUT},
    "wrap_up": {
        "ready": REST,
        "wrap_up_over": REST,
        "pause": ("paused",),
        "taken": ("talking",),
        "picked_up": ("offered",),
        **_OUT,
    },
    "not_responding": {"ready": REST, "pause": ("paused",), "taken": ("talking",), "picked_up": ("offered",), **_OUT},
    "offline": {"phone_back": REST, "pause": ("paused",), "taken": ("talking",), "picked_up": ("offered",), **_OUT},
}
"""Which states each cause may lead to from each state; what is not here does not happen."""


class AgentState(msgspec.Struct):
    """One agent as it is now. Times are Unix seconds."""

    id: str
    state: AgentStateName = "signed_out"
    since: float = 0.0
    ready_seq: int = 0
    """The record that made it ready: in this order agents are idle."""
    reason: str = ""
    until: float = 0.0
    contact: str = ""
    offer: int = 0
    queue: str = ""
    """By which its contact, or its latest one, came."""
    handling: float = 0.0
    """Since when it has its contact, wrap-up included; 0: it has none."""
    address: str = ""
    mode: Direction = "inbound"
    after: Literal["", "paused", "signed_out"] = ""
    after_reason: str = ""
    after_planned: float = 0.0
    misses: int = 0
    extended: float = 0.0
    """Seconds by which this wrap-up was made longer."""
    direct: bool = False
    """In a call that no queue has brought, whether that counts or not."""
    calls: float = 0.0
    talk: float = 0.0
    """Contacts, and seconds of talk, in the window as it was at `loaded`."""
    loaded: float = 0.0
    calls_share: float = 1.0
    talk_share: float = 1.0
    """Their relation to the team's mean when it left: what it comes back with."""

    @property
    def signed_in(self) -> bool:
        return self.state != "signed_out"

    def takes(self, direction: Literal["inbound", "outbound"]) -> bool:
        """Whether it works in this direction."""
        return self.mode in ("both", direction)


def allowed(before: AgentStateName, why: Why, after: AgentStateName) -> bool:
    """Whether the machine knows this change."""
    return after in TRANSITIONS[before].get(why, ())
