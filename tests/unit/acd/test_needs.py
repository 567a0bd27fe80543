"""What contacts need: joined with what their queue asks for."""

from acd_world import World, agent, queue

from acd import inputs as i


def test_needs_that_are_long_in_queue_and_contact_are_asked_for_together() -> None:
    long = " or ".join(f"es and skill_no_{n:02}" for n in range(22))
    deep = "es and (" * 16 + "a or b and es" + ")" * 16
    assert 450 < len(long) < 500
    world = World(
        [queue("long", needs=long), queue("deep", needs=deep)],
        [agent("ann", skills={"es": 9, "skill_no_07": 9, "b": 9}), agent("bob", skills={"es": 9, "skill_no_01": 1})],
    )
    world.sign_in("ann", "bob")
    world.call("c1", "long", needs=deep)
    assert world.rings() == {"ann": "c1"}
    world.call("c2", "deep", needs=long)
    assert world.rings() == {"ann": "c1"}
    world.check()


def test_what_nobody_needs_any_more_is_forgotten() -> None:
    world = World([queue("sales")], [agent("ann")])
    for number in range(5):
        world.call(f"c{number}", "sales", needs=f"es>={number}")
        world.tell(i.HangUp(f"c{number}"))
    assert not any(world.state.wanted.values())
    world.check()
