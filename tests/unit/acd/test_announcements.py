"""What is said to those who wait, and when; how long they are told that it will take."""

from itertools import pairwise

from acd_world import MONDAY, World, agent, queue

from acd import effects as e
from acd import facts as f
from acd import inputs as i
from acd.config import Announcement, CallbackRules

WELCOME = Announcement(what="welcome", sound="hello")
POSITION = Announcement(what="position", first=10.0, every=20.0)
WAIT = Announcement(what="expected_wait", first=15.0, every=15.0)


def said(world: World, seconds: float) -> list[tuple[float, str, str]]:
    """What is said in the next seconds, with the second at which it is."""
    found = []
    start = world.now
    while world.now < start + seconds:
        world.wait(0.0 if not found and world.now == start else min(1.0, start + seconds - world.now))
        found += [(world.now - MONDAY, each.contact, each.what) for each in world.of(e.Announce)]
        if world.now == start:
            world.now += 1e-9
    return [(round(at, 3), contact, what) for at, contact, what in found]


def test_announcements_come_at_their_times_and_again() -> None:
    world = World([queue("sales", announcements=(WELCOME, POSITION))], [agent("ann")])
    world.call("c1", "sales")
    heard = said(world, 55.0)
    assert heard == [
        (0.0, "c1", "welcome"),
        (10.0, "c1", "position"),
        (30.0, "c1", "position"),
        (50.0, "c1", "position"),
    ]
    world.check()


def test_the_first_one_is_due_at_once() -> None:
    world = World([queue("sales", announcements=(WELCOME,))], [agent("ann")])
    world.call("c1", "sales")
    assert world.engine.next_deadline == world.now
    (made,) = [each for each in world.wait(0.0) if isinstance(each, e.Announce)]
    assert (made.sound, made.position, made.low, made.high) == ("hello", 0, -1.0, -1.0)


def test_a_position_is_the_one_of_that_moment() -> None:
    world = World([queue("sales", announcements=(POSITION,))], [agent("ann")])
    world.call("c1", "sales")
    world.call("c2", "sales")
    world.wait(10.0)
    assert [(each.contact, each.position) for each in world.of(e.Announce)] == [("c1", 1), ("c2", 2)]
    world.tell(i.HangUp("c1"))
    world.wait(20.0)
    assert [(each.contact, each.position) for each in world.of(e.Announce)] == [("c2", 1)]


def test_announcements_stop_at_the_answer_and_not_before() -> None:
    world = World([queue("sales", announcements=(POSITION,))], [agent("ann")])
    world.sign_in("ann")
    world.call("c1", "sales")
    world.wait(10.0)
    assert len(world.of(e.Announce)) == 1, "it rings"
    world.answer("ann")
    assert world.of(e.StopAnnouncing) == [e.StopAnnouncing("c1")]
    world.wait(100.0)
    assert world.facts == []


def test_they_stop_when_the_caller_leaves_in_any_way() -> None:
    world = World([queue("sales", announcements=(POSITION,)), queue("help")], [agent("ann")])
    world.call("c1", "sales")
    world.tell(i.HangUp("c1"))
    assert world.of(e.StopAnnouncing) == [e.StopAnnouncing("c1")]
    world.wait(100.0)
    assert world.facts == []


def waiting(*announcements: Announcement) -> World:
    """Ten contacts of 100 seconds were served; three callers wait, and Ann is busy."""
    world = World([queue("sales", announcements=announcements)], [agent("ann"), agent("bob")])
    world.sign_in("ann")
    for number in range(10):
        world.call(f"s{number}", "sales")
        world.serve("ann", 100.0)
    world.busy("ann")
    for name in ("c1", "c2", "c3"):
        world.call(name, "sales")
    return world


def told(world: World, contact: str, seconds: float) -> list[tuple[float, float, float]]:
    """Second, low and high of each expected wait."""
    found, start = [], world.now
    for _ in range(int(seconds)):
        world.wait(1.0)
        found += [(world.now - start, each.low, each.high) for each in world.of(e.Announce) if each.contact == contact]
    return found


def test_the_expected_wait_is_a_range_about_the_contacts_before_it() -> None:
    world = waiting(WAIT)
    ((_, low, high),) = told(world, "c3", 15.0)
    assert 0.0 < low < 300.0 < high, "three turns of 100 s"
    assert (low + high) / 2 == 300.0


def test_an_expected_wait_that_nothing_is_known_of_is_told_as_unknown() -> None:
    world = World([queue("sales", announcements=(WAIT,))], [agent("ann")])
    world.sign_in("ann")
    world.busy("ann")
    world.call("c1", "sales")
    assert told(world, "c1", 15.0) == [(15.0, -1.0, -1.0)]


def test_the_expected_wait_never_grows_for_one_who_lost_no_place() -> None:
    world = waiting(WAIT)
    heard = told(world, "c3", 300.0)
    ends = [at + high for at, _, high in heard]
    assert len(ends) == 20
    assert all(after <= before + 1e-6 for before, after in pairwise(ends)), ends
    assert all(0.0 <= low <= high for _, low, high in heard)


def test_the_expected_wait_is_shorter_when_there_are_more_agents() -> None:
    world = waiting(WAIT)
    ((_, _, before),) = told(world, "c3", 15.0)
    world.sign_in("bob")
    assert world.rings() == {"bob": "c1"}
    ((_, _, after),) = told(world, "c3", 15.0)
    assert after < before - 50.0


def test_the_journal_has_what_was_told() -> None:
    world = waiting(POSITION)
    world.wait(10.0)
    assert [(each.contact, each.position, each.again) for each in world.of(f.Announced)] == [
        (f"c{n}", n, world.now + 20.0) for n in (1, 2, 3)
    ]


def test_nothing_is_announced_where_nobody_is_on_the_line() -> None:
    """Neither to a callback's contact nor to a reservation, until the customer has answered and waits."""
    rules = CallbackRules(first="customer", ring_seconds=60.0)
    sales = queue("sales", callback=rules, announcements=(WELCOME, POSITION))
    world = World([sales, queue("out", direction="outbound", announcements=(POSITION,))], [agent("ann")])
    world.call("o1", "out", kind="reservation")
    world.tell(i.AskCallback("b1", "+491", "sales"))
    world.wait(100.0)
    assert not world.of(e.Announce)
    world.sign_in("ann")
    world.wait(15.0)
    world.tell(i.SignOut("ann"))
    world.tell(i.CustomerCalled("b1", "answered"))
    assert world.contact("b1.1").queue == "sales"
    assert said(world, 31.0) == [
        (115.0, "b1.1", "welcome"),
        (125.0, "b1.1", "position"),
        (145.0, "b1.1", "position"),
    ]
    world.check()
