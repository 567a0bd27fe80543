"""The table of states: what is touched, who is named for it, and that nothing is left of what is over."""

from __future__ import annotations

import msgspec
import pytest

from softswitch.presence import Line, Phase, Presence, ResourceState
from softswitch.vocabulary import Party

ANN = Party("101", "Ann")


class Somewhere:
    """Extensions that can be reached, and those not to be disturbed."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.quiet: set[str] = set()

    def reachable(self, extension: str, now: float) -> bool:
        return extension not in self.away

    def do_not_disturb(self, extension: str) -> bool:
        return extension in self.quiet


def line(line_id: str = "1", phase: Phase = "early", held: bool = False, out: bool = False) -> Line:
    return Line(line_id, phase, "initiator" if out else "recipient", ANN, held=held)


def table() -> Presence[str]:
    presence: Presence[str] = Presence(Somewhere())
    presence.watch("102", "lamp")
    return presence


def test_lines_come_change_and_go() -> None:
    presence = table()
    assert presence.changed() == []
    presence.follow("c1", [("102", line()), ("101", line("2"))])
    assert presence.changed() == ["lamp"]
    assert presence.state("102", 0.0).lines == (line(),)
    presence.follow("c1", [("102", line()), ("101", line("2", "confirmed"))])
    assert presence.changed() == []  # nobody watches 101
    presence.follow("c1", [("102", line("1", "confirmed"))])
    assert presence.changed() == ["lamp"]
    presence.follow("c1", ())
    assert presence.changed() == ["lamp"]
    assert presence.state("102", 0.0) == ResourceState()
    assert len(presence) == 0


def test_several_changes_are_one() -> None:
    presence = table()
    presence.follow("c1", [("102", line())])
    presence.follow("c2", [("102", line("2"))])
    presence.touch("102")
    assert presence.changed() == ["lamp"]
    assert presence.changed() == []


def test_a_line_that_has_moved_stays_with_its_new_contact() -> None:
    presence = table()
    presence.follow("c1", [("102", line())])
    presence.follow("c2", [("102", line())])
    presence.follow("c1", ())
    assert presence.state("102", 0.0).lines == (line(),)
    presence.follow("c2", ())
    assert len(presence) == 0
    assert not presence.state("102", 0.0).lines


def test_a_line_that_is_another_resource_now() -> None:
    presence = table()
    presence.watch("103", "other")
    presence.follow("c1", [("102", line())])
    presence.changed()
    presence.follow("c1", [("103", line())])
    assert presence.changed() == ["lamp", "other"]
    assert not presence.state("102", 0.0).lines
    assert presence.state("103", 0.0).lines == (line(),)
    presence.follow("c1", ())
    assert len(presence) == 0


def test_watchers_come_and_leave() -> None:
    presence = table()
    presence.watch("102", "second")
    presence.watch("102", "second")
    assert presence.watchers("102") == ["lamp", "second"]
    presence.leave("102", "lamp")
    presence.leave("102", "lamp")
    presence.leave("103", "lamp")
    presence.touch("102")
    assert presence.changed() == ["second"]


def test_what_is_set_from_outside() -> None:
    """A park slot, a room: known only while somebody tells of it."""
    presence = table()
    presence.watch("701", "lamp")
    taken = ResourceState((line("p1", "confirmed", held=True),))
    assert not presence.is_set("701")
    presence.set("701", None)
    assert presence.changed() == []
    presence.set("701", taken)
    assert (presence.changed(), presence.state("701", 0.0), presence.is_set("701")) == (["lamp"], taken, True)
    presence.set("701", taken)
    assert presence.changed() == []
    presence.set("701", None)
    assert (presence.changed(), presence.is_set("701")) == (["lamp"], False)


@pytest.mark.parametrize(
    ("state", "summary"),
    [
        (ResourceState(), "idle"),
        (ResourceState(reachable=False), "unreachable"),
        (ResourceState(do_not_disturb=True), "do not disturb"),
        (ResourceState((line(),)), "ringing"),
        (ResourceState((line(out=True),)), "calling"),
        (ResourceState((line(out=True), line("2"))), "ringing"),
        (ResourceState((line("1", "confirmed"), line("2"))), "talking"),
        (ResourceState((line("1", "confirmed", held=True),)), "held"),
        (ResourceState((line("1", "confirmed", held=True), line("2", "confirmed"))), "talking"),
    ],
)
def test_in_a_word(state: ResourceState, summary: str) -> None:
    assert state.summary == summary


def test_what_is_asked_for_elsewhere() -> None:
    somewhere = Somewhere()
    presence: Presence[str] = Presence(somewhere)
    somewhere.away.add("102")
    somewhere.quiet.add("102")
    assert presence.state("102", 0.0) == msgspec.structs.replace(ResourceState(), reachable=False, do_not_disturb=True)
