"""How property tests search: `make test` tries the same examples each time, `make search` others.

A test suite that draws anew each time finds more, at a time when whoever looks at it has changed something else. So
what is searched for is searched for on its own, for as long as one likes; what it finds becomes a test by itself.
"""

from __future__ import annotations

from hypothesis import seed, settings
from hypothesis.stateful import RuleBasedStateMachine

SAME = "same"
SEARCH = "search"


def register() -> None:
    """Property tests have no deadline: how long an example takes is the machine's business, and benchmarks measure
    that. Of the two profiles `--hypothesis-profile` takes the other one."""
    settings.register_profile(SAME, deadline=None, derandomize=True)
    settings.register_profile(SEARCH, deadline=None, print_blob=True)
    settings.load_profile(SAME)


def shard_of(machine: type[RuleBasedStateMachine], shard: int) -> type[RuleBasedStateMachine]:
    """The same machine, run from a beginning of its own in each shard."""
    copy = type(machine.__name__, (machine,), {})
    return seed(shard)(copy) if settings.default is not None and settings.default.derandomize else copy
