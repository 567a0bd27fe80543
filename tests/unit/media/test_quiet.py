"""Streams that nothing comes from, or goes to: told while it lasts."""

from __future__ import annotations

import msgspec
import pytest

from media.audio_commands import SetRoom, SetVolume
from media.commands import Quiet
from media.quiet import MAX_TOLD, QUIET_SECONDS
from tests.unit.media.test_engine import PCMA, A, B, Rig


def quiet(rig: Rig) -> dict[int, tuple[float, float]]:
    """By stream: whole seconds unheard and unsent, looked at now."""
    rig.engine.quiet.look(rig.now)
    return {each.stream: (round(each.unheard), round(each.unsent)) for each in rig.engine.quiet.found}


def talk(rig: Rig, seconds: float, *hosts: str, foreign: str = "") -> None:
    """These send for so long, `foreign` what was not agreed; the engine ticks meanwhile."""
    end = rig.now + seconds
    while rig.now < end:
        for host in hosts:
            rig.talk(host, 4000 if host == A else 5000)
        if foreign:
            rig.talk(foreign, 4000, payload_type=8)
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


@pytest.mark.parametrize("mixed", [False, True])
def test_what_was_not_agreed_is_not_heard(mixed: bool) -> None:
    """PCMU is agreed on, and the telephone sends PCMA: its packets come, and are thrown away."""
    rig = Rig()
    rig.pair()
    if mixed:
        rig.engine.audio(SetVolume(2, hears=0.5), rig.now)
    talk(rig, 2.0, A, B)
    talk(rig, 7.0, B, foreign=A)
    assert quiet(rig)[1][0] in (6, 7)
    assert 2 not in quiet(rig) or not quiet(rig)[2][0]
    talk(rig, 2.0, B)
    assert quiet(rig)[1][0] in (8, 9), "that they come no more either changes nothing"
    talk(rig, 1.0, B, foreign=A)
    assert quiet(rig)[1][0] in (9, 10)
    talk(rig, 2.0, A, B, foreign=A)
    assert not any(unheard for unheard, _ in quiet(rig).values()), "some can be taken"


def test_whoever_sends_nothing_but_what_was_not_agreed_was_never_heard() -> None:
    rig = Rig()
    rig.pair()
    talk(rig, 8.0, B, foreign=A)
    assert quiet(rig) == {1: (8, 0), 2: (0, 8)}


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


def test_what_was_on_hold_is_not_told_of_when_it_is_over() -> None:
    """Nor before the engine has looked again."""
    rig = Rig()
    settings = rig.stream(1, A, 4000, send=False)
    rig.now += 10.0
    assert quiet(rig) == {1: (10, 0)}
    rig.engine.configure(1, msgspec.structs.replace(settings, send=True), rig.now)
    assert rig.engine.quiet.found == ()
    rig.now += 4.0
    assert quiet(rig) == {}
    rig.now += 2.0
    assert quiet(rig) == {1: (6, 6)}


def test_whoever_is_brought_together_again_is_expected_to_be_heard_from_then_on() -> None:
    """After a hold by command, a consultation or a parking slot."""
    rig = Rig()
    rig.pair()
    talk(rig, 2.0, A, B)
    rig.engine.unbridge(1)
    talk(rig, 10.0)
    assert quiet(rig).keys() == {1, 2}
    rig.engine.bridge(1, 2)
    assert rig.engine.quiet.found == ()
    talk(rig, 4.0, A)
    assert quiet(rig) == {}
    talk(rig, 3.0, A)
    assert quiet(rig) == {1: (0, 7), 2: (7, 0)}
    rig.engine.bridge(1, 2)
    assert quiet(rig) == {1: (0, 7), 2: (7, 0)}, "they are together already"


def test_whoever_comes_into_a_room_is_expected_to_be_heard_from_then_on() -> None:
    rig = Rig()
    for stream, host, port in ((1, A, 4000), (2, B, 5000), (3, "10.0.0.3", 6000)):
        rig.stream(stream, host, port)
    talk(rig, 10.0)
    assert quiet(rig).keys() == {1, 2, 3}
    rig.engine.audio(SetRoom(9, (1, 2), 1.0, ((1, 2, 0.5),)), rig.now)
    assert quiet(rig).keys() == {3}
    talk(rig, 4.0)
    rig.engine.audio(SetRoom(9, (1, 2, 3), 1.0, ((1, 2, 0.5),)), rig.now)
    talk(rig, 3.0)
    assert {stream: unheard for stream, (unheard, _) in quiet(rig).items()} == {1: 7, 2: 7}


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
