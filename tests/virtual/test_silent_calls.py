"""What the status report says of calls that are not heard: the whole switch with the real engine. Packets are counted
in the engine's table, as if they had come and gone."""

from __future__ import annotations

import pytest

from media.commands import Quiet
from media.engine import MediaEngine
from sip.ua_events import Offered
from softswitch.call_commands import Hold, Resume
from softswitch.report import MISSING_SECONDS, call_row
from tests.virtual.network import EngineMedia, EngineWorkersMedia, EngineWorld, Phone, settings

ENDED_LATE = {"silence_hangup": "none"}


class Talk(EngineWorld):
    """101 has called 102, and both talk; `heard` and `sent` say from whom packets come, and to whom they go."""

    def __init__(self, music: bool = False) -> None:
        super().__init__(settings(media=ENDED_LATE, extensions={"101": {"music_on_hold": "default"}} if music else {}))
        self.ann, self.ben = self.phone("101"), self.phone("102")
        self.heard: set[str] = set()
        self.sent: set[str] = set()
        self.session = self.establish(self.ann, self.ben)
        [self.contact] = self.runtime.calls

    def engines(self) -> list[MediaEngine]:
        media = self.engine
        assert isinstance(media, EngineMedia | EngineWorkersMedia)
        return media._engines if isinstance(media, EngineWorkersMedia) else [media._engine]

    def talk(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.run(0.5)
            for engine in self.engines():
                for row, peer in engine.latch.peers.items():
                    name = self.runtime.legs[peer.stream].endpoint
                    if name in self.heard:
                        engine.table.heard[row] = self.now
                    engine.table.sent[row] += name in self.sent

    def told(self, found: list[Quiet]) -> dict[str, tuple[float | None, float | None]]:
        """Of each in the call, where the engines have found this."""
        row = call_row(self.runtime.calls[self.contact], self.now, {each.stream: each for each in found})
        return {each.end.split()[1]: (each.unheard, each.unsent) for each in row.parties}

    def silent(self) -> dict[str, tuple[bool, bool]]:
        """Of whom the report says that it is not heard, or that nothing is sent to it."""
        found: list[Quiet] = []
        for engine in self.engines():
            engine.quiet.look(self.now)
            found += engine.quiet.found
        told = self.told(found)
        assert all(seconds is None or seconds >= MISSING_SECONDS for each in told.values() for seconds in each)
        return {name: (each[0] is not None, each[1] is not None) for name, each in told.items() if each != (None, None)}

    def hold(self, phone: Phone, other: Phone, holds: bool, music: bool) -> None:
        """By re-INVITE."""
        session = phone.called_session()
        phone.do(session.offer, phone.sdp(direction="sendonly" if holds else "sendrecv"))
        self.run(0.5)
        if not music:
            direction = "recvonly" if holds else "sendrecv"
            other.do(other.last(Offered).session.answer, other.sdp(direction=direction))
            self.run(0.5)


def test_who_is_not_heard_is_named_after_a_few_seconds_and_no_longer_when_heard() -> None:
    world = Talk()
    world.heard, world.sent = {"101"}, {"102"}
    world.talk(3.0)
    assert world.silent() == {}
    world.talk(4.0)
    assert world.silent() == {"102": (True, False)}, "that 101 is sent nothing follows from it"
    world.heard, world.sent = {"101", "102"}, {"101", "102"}
    world.talk(1.0)
    assert world.silent() == {}
    world.heard, world.sent = set(), set()
    world.talk(7.0)
    assert world.silent() == {"101": (True, False), "102": (True, False)}


def test_who_is_sent_nothing_although_the_other_is_heard() -> None:
    world = Talk()
    world.heard, world.sent = {"101", "102"}, {"101"}
    world.talk(7.0)
    assert world.silent() == {"102": (False, True)}


@pytest.mark.parametrize("music", [True, False])
def test_who_holds_need_not_be_heard(music: bool) -> None:
    world = Talk(music)
    world.heard = world.sent = {"101", "102"}
    world.hold(world.ben, world.ann, True, music)
    world.heard, world.sent = ({"101"}, {"101"}) if music else (set(), set())
    world.talk(20.0)
    assert world.silent() == {}
    world.hold(world.ben, world.ann, False, music)
    world.heard, world.sent = {"101"}, {"102"}
    world.talk(3.0)
    assert world.silent() == {}, "counted from the moment it is to be heard again"
    world.talk(4.0)
    assert world.silent() == {"102": (True, False)}


def test_who_holds_by_command_need_not_be_heard_and_who_is_held_has_music() -> None:
    world = Talk()
    world.runtime.command(Hold(world.contact, "102"), world.now)
    world.heard, world.sent = {"101"}, {"101"}
    world.talk(20.0)
    assert world.silent() == {}
    world.sent = set()
    world.talk(7.0)
    assert world.silent() == {"101": (False, True)}


@pytest.mark.parametrize("by_command", [True, False])
def test_the_time_on_hold_is_not_counted_after_it(by_command: bool) -> None:
    """Also where the engines have not looked since: what is told is the state of a second ago."""
    world = Talk(music=True)
    world.heard = world.sent = {"101", "102"}
    world.talk(2.0)
    if by_command:
        world.runtime.command(Hold(world.contact, "102"), world.now)
    else:
        world.hold(world.ben, world.ann, True, music=True)
    world.heard = world.sent = {"101"}
    world.talk(10.0)
    found = [each for engine in world.engines() for each in engine.quiet.found]
    assert found, "as the engine sees it"
    if by_command:
        world.runtime.command(Resume(world.contact, "102"), world.now)
        world.run(0.5)
    else:
        world.hold(world.ben, world.ann, False, music=True)
    assert set(world.told(found).values()) == {(None, None)}
    assert world.silent() == {}
    world.talk(4.0)
    assert world.silent() == {}
    world.talk(3.0)
    assert world.silent() == {"102": (True, False)}


def test_a_telephone_that_rings_is_not_expected_to_be_heard() -> None:
    world = EngineWorld(settings(media=ENDED_LATE))
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102")
    world.run(0.3)
    ben.ring()
    world.run(20.0)
    [active] = world.runtime.calls.values()
    quiet = {leg: Quiet(leg, 20.0, 20.0) for leg in active.call.legs()}
    assert [(each.unheard, each.unsent) for each in call_row(active, world.now, quiet).parties] == [(None, None)] * 2
    ben.answer()
    world.run(1.0)
    assert [(each.unheard, each.unsent) for each in call_row(active, world.now, quiet).parties] == [(None, None)] * 2
    world.run(5.0)
    told = [(each.unheard, each.unsent) for each in call_row(active, world.now, quiet).parties]
    assert all(unheard is not None and 5.0 <= unheard <= 6.1 for unheard, _ in told), "since the answer"
