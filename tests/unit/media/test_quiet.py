"""Streams that nothing comes from, or goes to: told while it lasts."""

from __future__ import annotations

import msgspec

from media.commands import Quiet
from media.quiet import MAX_TOLD, QUIET_SECONDS
from tests.unit.media.test_engine import PCMA, A, B, Rig


def quiet(rig: Rig) -> dict[int, tuple[float, float]]:
    """By stream: whole seconds unheard and unsent, looked at now."""
    rig.engine.quiet.look(rig.now)
    return {each.stream: (round(each.unheard), round(each.unsent)) for each in rig.engine.quiet.found}


def talk(rig: Rig, seconds: float, *hosts: str) -> None:
    """These send for so long; the engine ticks meanwhile."""
    end = rig.now + seconds
    while rig.now < end:
        for host in hosts:
            rig.talk(host, 4000 if host == A else 5000)
        if not hosts:
            rig.now += 0.02
        rig.engine.tick(rig.now)


def test_one_who_is_not_heard_has_nothing_sent_to_the_other() -> None:
    rig = Rig()
    rig.pair()
    talk(rig, 4.0, A)
    assert quiet(rig) == {}
    talk(rig, 4.0, A)
    assert quiet(rig) == {1: (0, 8), 2: (8, 0)}
    talk(rig, 2.0, A, B)
    assert quiet(rig) == {}, "both are heard now"
    talk(rig, 7.0, B)
    assert quiet(rig) == {1: (7, 0), 2: (0, 7)}


def test_what_can_not_be_passed_on_is_unsent_while_all_are_heard() -> None:
    rig = Rig()
    rig.pair()
    rig.engine.unbridge(1)
    talk(rig, 6.5, A, B)
    assert quiet(rig).keys() == {1, 2}
    assert all(unheard == 0 and unsent >= QUIET_SECONDS for unheard, unsent in quiet(rig).values())


def test_nothing_is_expected_of_who_holds_and_from_the_moment_it_is_it_counts() -> None:
    rig = Rig()
    settings = rig.stream(1, A, 4000, receive=False, send=False)
    rig.now += 60.0
    assert quiet(rig) == {}
    rig.engine.configure(1, msgspec.structs.replace(settings, receive=True), rig.now)
    rig.now += 4.0
    assert quiet(rig) == {}
    rig.now += 2.0
    assert quiet(rig) == {1: (6, 0)}
    rig.engine.configure(1, msgspec.structs.replace(settings, receive=True, formats=(PCMA,)), rig.now)
    rig.now += 2.0
    assert quiet(rig) == {1: (8, 0)}, "what else is changed begins nothing anew"


def test_video_may_pause() -> None:
    rig = Rig()
    rig.stream(1, A, 4000, as_is=True)
    rig.now += 60.0
    assert quiet(rig) == {}


def test_a_row_that_comes_back_is_new() -> None:
    rig = Rig()
    rig.pair()
    talk(rig, 6.0, A)
    rig.closed(1)
    rig.closed(2)
    assert quiet(rig) == {}
    rig.pair()
    rig.now += 3.0
    assert quiet(rig) == {}
    rig.now += 3.0
    assert quiet(rig) == {1: (6, 6), 2: (6, 6)}


def test_as_many_are_told_as_are_looked_through() -> None:
    rig = Rig()
    for stream in range(1, MAX_TOLD + 100):
        rig.stream(stream, f"10.1.{stream // 250}.{stream % 250 + 1}", 4000)
    rig.now += 6.0
    rig.engine.tick(rig.now)
    assert len(rig.engine.quiet.found) == MAX_TOLD
    assert rig.engine.quiet.found[0] == Quiet(1, 6.0, 6.0)
