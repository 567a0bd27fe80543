"""However calls end, or never do: an ACK that never comes, a CANCEL that crosses the 200, BYEs that cross, changes that
hang, phones and connections that are gone. Nobody tidies up afterwards; the switch has its own deadlines, and when they
have passed nothing is left of any call: no leg, session, transaction, timer, media row or port."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from sip.invite import State
from sip.ua_events import SessionArrived, SessionEnded, SessionFailed
from tests.virtual.network import EngineWorld, Phone, World, assert_in_order
from tests.virtual.network import settings as configured
from tests.virtual.test_changes import obliging
from tests.virtual.test_random_calls import ACTIONS as OTHERS
from tests.virtual.test_random_calls import LIKELY, ROUTES, SILENT, Players
from tests.virtual_link import Seen

ENDINGS = ("lose ACKs", "CANCEL crosses 200", "BYE crosses BYE", "glare", "cut", "deafen", "come back")
# The fake's silences are no action here: the engine is the real one.
STEPS = [each for each in (*OTHERS, *LIKELY, *ENDINGS * 4) if each != "silence"]

# The longest of the switch's deadlines here: a session of 90 s that nobody refreshes any more, then a re-INVITE that is
# answered 180 (a minute and 64*T1), its CANCEL and the BYE (64*T1 each); two minutes of silence on hold are less. Each
# may be the one after the other.
ALL_DEADLINES = 90.0 + 92.0 + 120.0 + 3 * 32.0

SETTINGS = {
    "routes": ROUTES,
    "trunks": {"north": {"channels": 2}},
    "sip": {"session_timer": {"mode": "offer", "expires": "90s"}},
    "media": {"silence_hangup": "60s", "hold_silence": "2m"},
}


class Endings(Players):
    """Players who also end calls in the worst moments. Two of the phones come over TCP."""

    def __init__(self, world: World, dice: random.Random) -> None:
        self.world = world
        self.dice = dice
        self.phones: list[Phone] = [
            world.phone(number, agent=SILENT, transport=transport)
            for number, transport in (("101", "udp"), ("102", "tcp"), ("103", "udp"), ("104", "tcp"))
        ]
        self.phones += [world.gateway(host, agent=SILENT) for host in ("192.0.2.51", "192.0.2.52", "192.0.2.60")]
        self.caller = self.phones[0]
        self.no_ack: set[str] = set()  # hosts whose ACKs are lost
        self.deaf: set[str] = set()  # hosts that hear nothing, and do not know it

    def fate(self, seen: Seen, loss: float) -> list[float]:
        lost = seen.receiver in self.deaf or (seen.what == "ACK" and seen.sender in self.no_ack)
        return [] if lost or self.dice.random() < loss else [0.01]

    def act(self, action: str) -> None:
        dice = self.dice
        match action:
            case "lose ACKs":
                self.no_ack ^= {dice.choice(self.phones).host}
            case "deafen":
                self.deaf.add(dice.choice(self.phones).host)
            case "come back":
                self.deaf.clear()
            case "reload":
                self.world.switch.configure(configured(**SETTINGS), self.world.now)
            case "cut":
                self.world.link.cut(dice.choice(self.phones).host)
            case "CANCEL crosses 200":
                self.cross_cancel()
            case "BYE crosses BYE":
                for phone, session in self.sessions("uac", State.CONFIRMED) + self.sessions("uas", State.CONFIRMED):
                    phone.do(session.hangup)
            case "glare":
                for phone, session in self.sessions("uac", State.CONFIRMED) + self.sessions("uas", State.CONFIRMED):
                    if session.can_offer:
                        phone.do(session.offer, self.body(phone, dice.choice(("sendonly", "sendrecv"))))
            case _:
                super().act(action)

    def cross_cancel(self) -> None:
        """The callee answers and the caller gives up before it can know."""
        for phone, session in self.sessions("uas", State.CALLING, State.EARLY):
            phone.do(session.accept, self.body(phone))
        self.world.run(self.dice.choice((0.0, 0.005, 0.015)))
        for phone, session in self.sessions("uac", State.CALLING, State.EARLY):
            phone.do(session.hangup)


def assert_nothing_left(world: EngineWorld, players: Endings, told: bool = True) -> None:
    """Nothing of any call, at the switch and, where nothing kept the news from them, at the phones; a record for each
    call."""
    for phone in players.phones:
        world.link.cut(phone.host)
    world.run(40.0)
    assert {what: count for what, count in world.node.leftovers().items() if count} == {}
    for phone in players.phones:
        if told and phone.host in world.link.nodes and phone.host not in players.deaf:
            phone.assert_idle()
    began = world.runtime.counters["calls"]
    assert len({record.contact for record in world.records}) == len(world.records) == began
    for record in world.records:
        assert_in_order(record)


WAITS = (0.0, 0.0, 0.005, 0.02, 0.1, 0.5, 3.0)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(STEPS), st.integers(0, 2**16), st.sampled_from(WAITS)), min_size=6, max_size=40
    ),
    talking=st.booleans(),
    loss=st.sampled_from((0.0, 0.0, 0.1, 0.3)),
    pairs=st.sampled_from((100, 3)),
    end=st.sampled_from(("all hang up", "all gone", "all deaf", "connections cut")),
)
def test_every_call_ends_by_itself(
    steps: list[tuple[str, int, float]], talking: bool, loss: float, pairs: int, end: str
) -> None:
    world = EngineWorld(configured(**SETTINGS), pairs)
    players = Endings(world, random.Random(1))
    if talking:
        world.establish(players.phones[0], players.phones[1])
        world.establish(players.phones[3], players.phones[2])
    world.link.fate = lambda seen: players.fate(seen, loss)
    for action, choice, wait in steps:
        players.dice = random.Random(choice)
        players.act(action)
        world.run(wait)
    event(f"{end}, {min(len(world.runtime.calls), 3)} calls on")
    match end:
        case "all gone":
            for phone in players.phones:
                world.link.nodes.pop(phone.host, None)
        case "all deaf":
            players.deaf = {phone.host for phone in players.phones}
        case _:
            if end == "connections cut":
                for phone in players.phones:
                    world.link.cut(phone.host)
            # Phones that are there would keep their calls on hold for ever.
            for phone, session in players.everyone():
                if phone.host in world.link.nodes:
                    phone.do(session.hangup)
    world.run(ALL_DEADLINES)
    isolated = {"vanish", "deafen", "cut"} & {action for action, _, _ in steps}
    assert_nothing_left(world, players, told=not loss and not isolated and end == "all hang up")


# --- the crossings, one by one --------------------------------------------------------------------------------


def engine_world() -> tuple[EngineWorld, Endings]:
    world = EngineWorld(configured(**SETTINGS))
    players = Endings(world, random.Random(1))
    world.link.fate = lambda seen: players.fate(seen, 0.0)
    return world, players


@pytest.mark.parametrize("phone", [0, 1])
def test_rfc3261_13_3_1_4_a_2xx_that_is_never_acked(phone: int) -> None:
    """Over UDP and TCP: 64*T1, then BYE to both."""
    world, players = engine_world()
    caller, called = players.phones[phone], players.phones[2]
    if phone:
        # Connections lose nothing: this phone does not send its ACKs.
        caller.stack.send_ack = lambda *args, **kwargs: None  # type: ignore[method-assign]
    players.no_ack = {caller.host}
    caller.dial("103")
    world.run(0.5)
    called.answer()
    world.run(31.0)
    assert len(world.runtime.calls) == 1
    world.run(3.0)
    assert called.last(SessionEnded).cause == "bye"
    assert world.runtime.calls == {}
    assert [record.cause for record in world.records] == [102]
    assert_nothing_left(world, players)


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_rfc3261_9_1_cancel_crosses_the_200(moment: float, transport: str) -> None:
    """Whichever comes first: one record, and both phones know that it is over."""
    world, players = engine_world()
    caller, called = (players.phones[n] for n in ((0, 2) if transport == "udp" else (1, 3)))
    session = caller.dial(called.number)
    world.run(0.5)
    called.answer()
    world.link.run(moment)
    caller.do(session.hangup)
    world.run(3.0)
    assert world.runtime.calls == {}
    assert len(caller.of(SessionEnded) + caller.of(SessionFailed)) == 1
    assert len(called.of(SessionEnded)) == 1
    assert_nothing_left(world, players)


@pytest.mark.parametrize("apart", [0.0, 0.005, 0.01, 0.015, 0.02, 0.025])
def test_rfc3261_15_1_2_bye_crosses_bye(apart: float) -> None:
    """Each BYE is answered 200, also the one that comes when all is over."""
    world, players = engine_world()
    caller, called = players.phones[0], players.phones[2]
    session = world.establish(caller, called)
    caller.do(session.hangup)
    world.link.run(apart)
    called.do(called.called().hangup)
    world.run(3.0)
    assert [bool(phone.got("200 BYE") or phone.got("BYE")) for phone in (caller, called)] == [True, True]
    assert not caller.got("481 BYE") + called.got("481 BYE")
    assert_nothing_left(world, players)


def test_rfc3261_14_1_glare_then_silence_on_both_sides() -> None:
    """Both sides offer at once and then neither hears any more: the session ends, and with it both offers."""
    world, players = engine_world()
    caller, called = players.phones[0], players.phones[2]
    session = world.establish(caller, called)
    for phone, each in ((caller, session), (called, called.called())):
        phone.do(each.offer, phone.sdp(direction="sendonly"), method="INVITE")
    players.deaf = {caller.host, called.host}  # they hear nothing more
    world.run(ALL_DEADLINES)
    assert_nothing_left(world, players)


@pytest.mark.parametrize("when", ["ringing", "talking", "hanging", "held"])
@pytest.mark.parametrize("by_caller", [True, False])
def test_a_connection_is_lost_and_its_phone_with_it(when: str, by_caller: bool) -> None:
    """Nothing comes of it at once (RFC 3261 18: a connection is no dialog); then the switch's own deadlines."""
    world, players = engine_world()
    caller, called = players.phones[1], players.phones[3]
    session = caller.dial(called.number)
    world.run(0.5)
    called.ring()
    world.run(0.5)
    if when != "ringing":
        called.answer()
        world.run(0.5)
    if when in ("hanging", "held"):
        if when == "held":
            obliging(called)
        caller.do(session.offer, caller.sdp(direction="inactive"), method="INVITE")
        world.run(0.5)
    gone = caller if by_caller else called
    del world.link.nodes[gone.host]
    world.link.cut(gone.host)
    assert len(world.runtime.calls) == 1
    world.run(ALL_DEADLINES)
    assert world.runtime.calls == {}
    assert_nothing_left(world, players)


def test_a_connection_that_comes_back_keeps_its_call() -> None:
    """RFC 3261 18.2.2, 12.2: requests inside the dialog go over a new connection to the peer's Contact."""
    world, players = engine_world()
    caller, called = players.phones[1], players.phones[3]
    session = world.establish(caller, called)
    assert called.of(SessionArrived)
    world.link.cut(caller.host)
    world.link.cut(called.host)
    world.run(1.0)
    caller.do(session.hangup)
    world.run(3.0)
    assert called.last(SessionEnded).cause == "bye"
    assert [(record.cause, record.ended_by) for record in world.records] == [(16, "caller")]
    assert_nothing_left(world, players)
