"""Why this agent and not another, word for word."""

import pytest
from acd_world import World, agent, queue

from acd import inputs as i
from acd.config import Announcement, CallbackRules, Limit, Relax, Team, WayOut, Widen
from acd.explain import AHEAD_SHOWN, explain
from acd.explain_words import NAMES, names, plural, seconds
from acd.journal import JournalError


def clock(at: float) -> str:
    whole = round(at)
    return f"{whole // 3600 % 24:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def told(world: World, contact: str) -> str:
    lines = []
    for line in explain(world.journal, contact, clock):
        lines += [f"{clock(line.time)} {line.text}", *(f"    {each}" for each in line.more)]
    return "\n".join(lines)


def story(text: str) -> str:
    return text.strip("\n")


def centre() -> World:
    """Who may have what in queue sales: see the agents."""
    sales = queue(
        "sales",
        needs="es>=60",
        relax=(Relax(after=60.0, needs="es"),),
        groups=("own",),
        widen=(Widen(after=90.0, groups=("mixed",)),),
        announcements=(Announcement(what="position", first=20.0),),
    )
    agents = [
        agent("ann", skills={"es": 80}, groups=("own",)),
        agent("bob", skills={"es": 30}, groups=("own",)),
        agent("cid", skills={"es": 90}, groups=("own",)),
        agent("dan", groups=("own",)),
        agent("eve", skills={"es": 70}, groups=("mixed",)),
        agent("fay", skills={"es": 70}, groups=("own",)),
        agent("gus", skills={"es": 70}, groups=("own",), mode="outbound"),
        agent("foe", team="u", skills={"es": 99}),
    ]
    world = World([sales, queue("help")], agents, teams=[Team(name="u")], version="v3")
    world.sign_in("ann", "bob", "cid", "dan", "eve", "gus", "foe")
    world.tell(i.Pause("cid", "lunch"))
    return world


def test_a_contact_that_waits_is_relaxed_widened_missed_and_given_up() -> None:
    world = centre()
    world.busy("ann")
    world.call("c0", "sales")
    world.wait(10.0)
    world.call("c1", "sales", number="+491", priority=-1.0)
    world.wait(30.0)
    world.free("ann")
    world.serve("ann", 5.0)
    world.wait(85.0)
    world.tell(i.HangUp("c1"))
    assert told(world, "c1") == story(GOLDEN_WAIT)


GOLDEN_WAIT = """
10:00:10 comes into queue sales from +491
    1 contact of the queue is before it
    -1 points of priority, as if it had come 60 s later
10:00:10 it asks for es>=60
10:00:10 nobody who may have it is ready: it waits
    talking: ann (a direct call)
    not skilled for it: bob (es 30), dan (es 0)
    paused: cid (lunch)
    in none of its groups: eve
    not working inbound: gus
    signed out: 1
10:00:30 it is told: position 2
10:00:40 ann is ready, and gets c0, which counts as 40 s of waiting with it, this one as -30 s
10:00:45 ann is ready, and is offered it until 10:01:05 (rules v3)
    nothing else waits that ann may have before it
    not skilled for it: bob (es 30), dan (es 0)
    paused: cid (lunch)
    in none of its groups: eve
    not working inbound: gus
    signed out: 1
10:01:05 ann does not answer in time
10:01:05 ann is skipped until 10:01:35
10:01:05 nobody who may have it is ready: it waits
    skipped: ann (until 10:01:35)
    not skilled for it: bob (es 30), dan (es 0)
    paused: cid (lunch)
    in none of its groups: eve
    not working inbound: gus
    signed out: 1
10:01:10 relaxed, step 1 of 1: it asks for es now
10:01:10 bob is offered it until 10:01:30, by longest_idle (rules v3)
    of 3 agents signed in who may have it 1 is ready:
    1. bob: ready for 70 s
    skipped: ann (until 10:01:35)
    paused: cid (lunch)
    not skilled for it: dan (es 0)
    in none of its groups: eve
    not working inbound: gus
    signed out: 1
10:01:30 bob does not answer in time
10:01:30 bob is skipped until 10:02:00
10:01:30 nobody who may have it is ready: it waits
    skipped: ann (until 10:01:35), bob (until 10:02:00)
    paused: cid (lunch)
    not skilled for it: dan (es 0)
    in none of its groups: eve
    not working inbound: gus
    signed out: 1
10:01:35 ann is skipped no longer
10:01:35 nobody who may have it is ready: it waits
    not responding: ann
    skipped: bob (until 10:02:00)
    paused: cid (lunch)
    not skilled for it: dan (es 0)
    in none of its groups: eve
    not working inbound: gus
    signed out: 1
10:01:40 widened: groups mixed may have it, too
10:01:40 eve is offered it until 10:02:00, by longest_idle (rules v3)
    of 4 agents signed in who may have it 1 is ready:
    1. eve: ready for 100 s
    not responding: ann
    skipped: bob (until 10:02:00)
    paused: cid (lunch)
    not skilled for it: dan (es 0)
    not working inbound: gus
    signed out: 1
10:02:00 bob is skipped no longer
10:02:00 eve does not answer in time
10:02:00 eve is skipped until 10:02:30
10:02:00 nobody who may have it is ready: it waits
    not responding: ann, bob
    paused: cid (lunch)
    not skilled for it: dan (es 0)
    skipped: eve (until 10:02:30)
    not working inbound: gus
    signed out: 1
10:02:10 the caller hangs up after 120 s
10:02:10 it is over
"""


def test_a_choice_among_ready_agents_names_their_ranks() -> None:
    agents = [agent(name, skills={"es": level}) for name, level in (("ann", 5), ("bob", 9), ("cid", 9), ("dan", 0))]
    world = World([queue("sales", needs="es", strategy="most_skilled", skip=30.0)], agents)
    for name in ("bob", "ann", "cid", "dan"):
        world.sign_in(name)
        world.wait(1.0)
    world.call("c1", "sales")
    world.reject("bob")
    world.answer("cid")
    world.wait(30.0)
    world.finish("cid")
    assert told(world, "c1") == story(GOLDEN_CHOICE)


GOLDEN_CHOICE = """
10:00:04 comes into queue sales
    no contacts of the queue are before it
10:00:04 it asks for es
10:00:04 bob is offered it until 10:00:24, by most_skilled
    of 3 agents signed in who may have it 3 are ready:
    1. bob: 9 in the skills asked for
    2. cid: 9 in the skills asked for
    3. ann: 5 in the skills asked for
    not skilled for it: dan (es 0)
10:00:04 bob rejects it
10:00:04 bob is skipped until 10:00:34
10:00:04 cid is offered it until 10:00:24, by most_skilled
    of 2 agents signed in who may have it 2 are ready:
    1. cid: 9 in the skills asked for
    2. ann: 5 in the skills asked for
    skipped: bob (until 10:00:34)
    not skilled for it: dan (es 0)
10:00:04 cid takes the offer
10:00:04 cid answers: it has waited 0 s
10:00:34 cid is through with it: hangup
10:00:34 it is over
"""


def test_an_agent_who_is_ready_takes_what_counts_as_waiting_the_longest() -> None:
    agents = [agent("ann", weights={"help": 2.0}), agent("bob")]
    world = World([queue("sales", priority=1.0), queue("help")], agents)
    world.call("s1", "sales")
    world.wait(90.0)
    world.call("h1", "help")
    world.wait(10.0)
    world.sign_in("ann")
    world.answer("ann")
    world.wait(5.0)
    world.sign_in("bob")
    world.answer("bob")
    assert told(world, "s1") == story(GOLDEN_WEIGHTS)
    assert told(world, "h1") == story(GOLDEN_WEIGHTS_OTHER)


GOLDEN_WEIGHTS = """
10:00:00 comes into queue sales
    no contacts of the queue are before it
    1 point of priority, as if it had come 60 s earlier
10:00:00 nobody who may have it is ready: it waits
    signed out: 2
10:01:40 ann is ready, and is offered it until 10:02:00
    of 2 lines that ann serves, these have the first contacts:
    1. s1, this one, counts as 160 s of waiting
    2. h1 counts as 130 s of waiting
    signed out: 1
10:01:40 ann takes the offer
10:01:40 ann answers: it has waited 100 s
"""
GOLDEN_WEIGHTS_OTHER = """
10:01:30 comes into queue help
    no contacts of the queue are before it
10:01:30 nobody who may have it is ready: it waits
    signed out: 2
10:01:40 ann is ready, and gets s1, which counts as 160 s of waiting with it, this one as 130 s
10:01:45 bob is ready, and is offered it until 10:02:05
    nothing else waits that bob may have before it
    talking: ann (s1)
10:01:45 bob takes the offer
10:01:45 bob answers: it has waited 15 s
"""


def test_limits_overflow_keys_and_the_last_agent_are_told() -> None:
    night = WayOut(kind="queue", name="all", keep_wait=True)
    queues = [
        queue("sales", limits=(Limit(of="waited", value=40.0, to=night),), affinity=30.0),
        queue("all", exits={"1": WayOut(kind="voicemail", name="100")}),
    ]
    world = World(queues, [agent("ann"), agent("bob", mode="outbound")])
    world.sign_in("ann", "bob")
    world.busy("ann")
    world.call("c1", "sales", last_agent="ann", waited=5.0)
    world.wait(60.0)
    world.refused(i.PressKey("c1", "9"))
    world.tell(i.PressKey("c1", "1"))
    assert told(world, "c1") == story(GOLDEN_WAYS)


GOLDEN_WAYS = """
10:00:00 comes into queue sales
    no contacts of the queue are before it
    5 s that it has waited before count
10:00:00 it waits for ann alone until 10:00:30
10:00:00 nobody who may have it is ready: it waits
    talking: ann (a direct call)
    not ann: bob
10:00:30 it waits for ann alone no longer
10:00:30 nobody who may have it is ready: it waits
    talking: ann (a direct call)
    not working inbound: bob
10:00:35 it leaves queue sales after 40 s, as it has waited for too long: it goes to queue all
10:00:35 flows over into queue all, number 2 that it waits in
    no contacts of the queue are before it
    40 s that it has waited before count
10:00:35 nobody who may have it is ready: it waits
    talking: ann (a direct call)
    not working inbound: bob
10:01:00 PressKey is refused: queue all has no way out by key '9'
10:01:00 the caller presses 1 after 65 s: it goes to voicemail 100
10:01:00 it is over
"""


def test_a_callback_is_followed_from_the_call_to_its_end() -> None:
    world = World(
        [queue("sales", callback=CallbackRules(first="customer", retry={"busy": 300.0}, attempts=2))], [agent("ann")]
    )
    world.call("c1", "sales", number="+491")
    world.wait(10.0)
    world.tell(i.AskCallback("b1", "+491", contact="c1"))
    world.wait(10.0)
    world.sign_in("ann")
    world.tell(i.CustomerCalled("b1", "busy"))
    world.wait(300.0)
    world.tell(i.CustomerCalled("b1", "answered"))
    world.wait(4.0)
    world.answer("ann")
    world.finish("ann")
    assert told(world, "c1") == story(GOLDEN_CALLBACK)
    assert told(world, "b1").splitlines()[-1] == told(world, "c1").splitlines()[-1]


GOLDEN_CALLBACK = """
10:00:00 comes into queue sales from +491
    no contacts of the queue are before it
10:00:00 nobody who may have it is ready: it waits
    signed out: 1
10:00:10 a callback, b1, is asked for at +491 through queue sales
10:00:10 the caller wants to be called back after 10 s
10:00:10 it is over
10:00:10 comes into queue sales from +491
    no contacts of the queue are before it
    10 s that it has waited before count
10:00:10 its time has come: it waits as b1.1 in queue sales, as number 1
10:00:10 nobody who may have it is ready: it waits
    signed out: 1
10:00:20 ann is ready, and is kept for it until 10:01:20
    nothing else waits that ann may have before it
10:00:20 the customer is called until 10:00:50, attempt 1
10:00:20 the customer was not reached, busy: again at 10:05:20
10:00:20 it is taken out of queue sales after 20 s: busy
10:00:20 the offer to ann is taken back: caller left
10:00:20 it is over
10:05:20 comes into queue sales from +491
    no contacts of the queue are before it
    320 s that it has waited before count
10:05:20 its time has come: it waits as b1.2 in queue sales, as number 1
10:05:20 ann is kept for it until 10:06:20, by longest_idle
    of 1 agent signed in who may have it 1 is ready:
    1. ann: ready for 300 s
10:05:20 the customer is called until 10:05:50, attempt 2
10:05:20 callback b1 is over: answered
10:05:20 the customer is on the line: ann is rung until 10:05:40
10:05:24 ann takes the offer
10:05:24 ann answers: it has waited 324 s
10:05:24 ann is through with it: hangup
10:05:24 it is over
"""


def test_when_several_are_rung_who_the_others_are_is_told_once() -> None:
    world = World([queue("sales", strategy="ring_all")], [agent(name) for name in ("ann", "bob", "cid")])
    world.sign_in("ann", "bob", "cid")
    world.tell(i.Pause("cid", "lunch"))
    world.call("c1", "sales")
    world.answer("bob")
    assert told(world, "c1") == story("""
10:00:00 comes into queue sales
    no contacts of the queue are before it
10:00:00 ann is offered it until 10:00:20, by ring_all
    of 3 agents signed in who may have it 2 are ready:
    1. ann: ready for 0 s
    2. bob: ready for 0 s
    paused: cid (lunch)
10:00:00 bob is offered it until 10:00:20, by ring_all
10:00:00 bob takes the offer
10:00:00 bob answers: it has waited 0 s
10:00:00 the offer to ann is taken back: answered elsewhere
""")


def test_who_picks_it_up_out_of_the_queue_is_rung_beside_others() -> None:
    world = World([queue("sales")], [agent("ann"), agent("bob")])
    world.sign_in("ann", "bob")
    world.tell(i.Pause("bob", "lunch"))
    world.call("c1", "sales")
    world.wait(5.0)
    world.tell(i.PickUp("c1", "bob"))
    world.wait(3.0)
    world.answer("bob")
    assert told(world, "c1") == story(GOLDEN_PICK_UP)


GOLDEN_PICK_UP = """
10:00:00 comes into queue sales
    no contacts of the queue are before it
10:00:00 ann is offered it until 10:00:20, by longest_idle
    of 2 agents signed in who may have it 1 is ready:
    1. ann: ready for 0 s
    paused: bob (lunch)
10:00:05 bob picks it up out of the queue, and is rung until 10:00:25
10:00:08 bob takes the offer
10:00:08 bob answers: it has waited 8 s
10:00:08 the offer to ann is taken back: answered elsewhere
"""


def test_what_it_is_told_of_its_wait_is_told() -> None:
    said = Announcement(what="expected_wait", first=10.0, every=100.0)
    hello = Announcement(what="welcome", first=5.0)
    world = World([queue("sales", announcements=(hello, said))], [agent("ann")])
    world.sign_in("ann")
    world.busy("ann")
    world.call("c1", "sales")
    world.wait(10.0)
    assert told(world, "c1").splitlines()[-2:] == [
        "10:00:05 it is told: welcome",
        "10:00:10 it is told nothing of its wait: nothing is known",
    ]
    world.tell(i.HangUp("c1"))
    world.free("ann")
    for number in range(5):
        world.call(f"s{number}", "sales")
        world.serve("ann", 100.0)
    world.busy("ann")
    world.call("c2", "sales")
    world.wait(10.0)
    assert told(world, "c2").splitlines()[-1] == "10:08:40 it is told: 0 s to 228 s of waiting"


def test_agents_who_may_not_have_it_are_not_told_of_when_they_take_others() -> None:
    agents = [agent("ann", skills={"es": 1}), agent("bob"), agent("out", mode="outbound", skills={"es": 1})]
    world = World([queue("sales"), queue("campaign", direction="outbound")], agents)
    world.call("c1", "sales", needs="es", priority=-9.0)
    world.call("c2", "sales")
    world.call("o1", "campaign", kind="reservation")
    world.sign_in("bob", "out")
    assert world.rings() == {"bob": "c2", "out": "o1"}
    assert "gets" not in told(world, "c1")
    assert "offered" not in told(world, "c1")


def test_one_callback_is_not_another() -> None:
    world = World([queue("sales", callback=CallbackRules())], [agent("ann")])
    for number in (1, 2):
        world.tell(i.AskCallback(f"b{number}", f"+49{number}", "sales", agent="ann", at=world.now + 60.0 * number))
    world.wait(120.0)
    assert told(world, "b2") == story("""
10:00:00 a callback, b2, is asked for by ann at +492 through queue sales, not before 10:02:00
10:02:00 comes into queue sales from +492
    1 contact of the queue is before it
    120 s that it has waited before count
10:02:00 its time has come: it waits as b2.1 in queue sales, as number 2
10:02:00 it waits for ann alone until 10:02:00, 1 day later
10:02:00 nobody who may have it is ready: it waits
    signed out: 1
""")


def test_of_many_who_were_served_before_the_first_are_told_and_the_others_counted() -> None:
    world = World([queue("sales")], [agent("ann")])
    for number in range(AHEAD_SHOWN + 5):
        world.call(f"c{number}", "sales")
    world.call("late", "sales")
    world.sign_in("ann")
    for _ in range(AHEAD_SHOWN + 5):
        world.serve("ann", 1.0)
    world.tell(i.HangUp("late"))
    text = told(world, "late")
    assert text.count("is ready, and gets c") == AHEAD_SHOWN
    assert "5 more contacts went to agents before it" in text


def test_what_is_not_known_is_not_told_and_a_journal_without_its_beginning_is_refused() -> None:
    world = centre()
    assert told(world, "c9") == ""
    with pytest.raises(JournalError, match="record 3 where 1 was expected"):
        list(explain(world.journal[2:], "c1", clock))


def test_words() -> None:
    assert names("abcdefghij"[:NAMES]) == "a, b, c, d, e, f, g, h"
    assert names("abcdefghij").endswith("h and 2 more")
    assert [plural(count, "agent") for count in (0, 1, 2)] == ["no agents", "1 agent", "2 agents"]
    assert [seconds(value) for value in (5.0, 5.04, 5.25, 99_999.9)] == ["5 s", "5 s", "5.2 s", "100000 s"]
