"""The journal: records as bytes, folded from any snapshot on, replayed to the same bytes."""

import msgspec
import pytest
from acd_world import World, agent, queue

from acd import facts as f
from acd import inputs as i
from acd.config import Announcement, CallbackRules, Relax
from acd.engine import Engine
from acd.journal import decode, encode, fold, is_input, replay
from acd.state import State


def day() -> World:
    sales = queue(
        "sales",
        strategy="weighted_random",
        relax=(Relax(after=20.0, needs=""),),
        announcements=(Announcement(what="position", every=10.0),),
        callback=CallbackRules(),
        affinity=10.0,
    )
    world = World([sales], [agent(f"a{n}") for n in range(3)], seed=9)
    world.sign_in("a0", "a1", "a2")
    for number in range(30):
        world.call(f"c{number}", "sales", last_agent=f"a{number % 4}")
        world.wait(7.0)
        for name in list(world.ringing):
            if (number + len(name)) % 3:
                world.serve(name, 3.0)
        if number % 5 == 0 and f"c{number}" in world.state.contacts and world.contact(f"c{number}").queue:
            world.tell(i.AskCallback(f"b{number}", str(number), contact=f"c{number}"))
        for name in ("a0", "a1", "a2"):
            if world.at(name) == "not_responding":
                world.tell(i.Ready(name))
    return world


def test_a_record_is_what_it_was_after_being_bytes() -> None:
    world = day()
    assert {type(record.what) for record in world.journal} > {i.Enqueue, f.Offered, f.Announced, f.CallbackKept}
    for record in world.journal:
        assert decode(encode(record)) == record


def test_what_is_no_record_is_refused() -> None:
    for line in (b"", b"\xc0", encode(f.Record(1, 0.0, 0, f.Ended("c")))[:-1], msgspec.msgpack.encode([1, 2.0, 0, {}])):
        with pytest.raises(msgspec.DecodeError):
            decode(line)


def test_inputs_are_known_from_facts() -> None:
    assert is_input(i.Tick())
    assert not is_input(f.Ended("c"))


def test_folding_gives_the_state_from_the_beginning_and_from_any_snapshot() -> None:
    world = day()
    final = world.state.snapshot()
    assert fold(world.journal).snapshot() == final
    for cut in range(1, len(world.journal), 97):
        early = fold(world.journal[:cut])
        restored = State.restore(early.snapshot())
        assert fold(world.journal, restored).snapshot() == final, "what it knows already is passed over"


def test_a_restored_engine_goes_on_as_the_other_would_have() -> None:
    world = day()
    restored = Engine(State.restore(world.state.snapshot()))
    for number, what in enumerate((i.Enqueue("x1", "sales"), i.Ready("a0"), i.SignOut("a1"), i.Enqueue("x2", "sales"))):
        at = world.now + 15.0 * number
        assert restored.handle(what, at) == world.engine.handle(what, at)
    assert restored.state.snapshot() == world.state.snapshot()


def test_replaying_the_inputs_gives_the_same_bytes() -> None:
    world = day()
    assert [encode(record) for record in replay(world.journal)] == [encode(record) for record in world.journal]


def test_every_fact_follows_from_an_input_before_it() -> None:
    kinds: dict[int, object] = {}
    for record in day().journal:
        kinds[record.id] = record.what
        if is_input(record.what):
            assert record.cause == 0
        else:
            assert is_input(kinds[record.cause])  # type: ignore[arg-type]


def test_a_snapshot_of_another_version_is_refused_whatever_its_structs_would_make_of_it() -> None:
    """A field that is not there would be read as its default."""
    kept = day().state.snapshot()
    number, *rest = msgspec.msgpack.decode(kept)
    with pytest.raises(msgspec.ValidationError, match="another version"):
        State.restore(msgspec.msgpack.encode([number + 1, *rest]))
    assert State.restore(kept).snapshot() == kept
