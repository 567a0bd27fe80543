"""Whatever both sides do, in whatever order, on a network that loses, doubles and reorders: afterwards nothing is left,
each contact has one record, and its times are in order."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from media.audio_commands import Digit
from sip.invite import State
from sip.ua import UaSettings
from sip.ua_events import Offered, OfferWithdrawn
from softswitch.call_floor import State as CallState
from tests.virtual.network import EVENTS, PCMA, PCMU, Phone, World
from tests.virtual.network import settings as configured
from tests.virtual.test_changes import REVERSE, direction
from tests.virtual_link import Seen

SILENT = UaSettings(session_expires=0)
ROUTES = [
    {"to": "200", "dial": ["102", "103"]},
    {"to": "201", "dial": ["102", {"trunk": "north", "number": "5"}, "103"], "mode": "sequence", "ring_timeout": 3},
    {"to": "202", "dial": "102", "on_busy": {"answer_and_echo": True}, "on_no_answer": {"dial": "103"}},
]

ACTIONS = (
    "dial 102", "dial 200", "dial 201", "dial 202", "dial 05", "dial *43", "dial offerless", "dial nobody",
    "ring", "ring reliably", "early media", "reliable early media", "answer", "answer badly", "refuse busy",
    "refuse 503", "redirect", "decline", "hold", "resume", "update", "move", "offerless", "answer offer",
    "refuse offer", "hang up", "caller hangs up", "silence", "wait", "wait long", "reload", "vanish",
)  # fmt: skip

# Calls that are talked on are where most can go wrong.
LIKELY = (
    *ACTIONS, *("dial 102",) * 4, *("answer",) * 10, *("answer offer",) * 5, "dial offerless", "ring", "hold", "hold",
    "hold", "resume", "resume", "offerless", "offerless", "update", "update", "reliable early media", "early media",
)  # fmt: skip

FIND_ME: dict[str, Any] = {
    "routes": [
        *ROUTES,
        {"to": "203", "ring_group": "asked"},
    ],
    "ring_groups": {
        "asked": {
            "members": [{"extension": "102", "confirm": True}, {"extension": "103", "confirm": True}, "104"],
            "strategy": "memory_hunt",
            "ring_time": 5,
            "confirm_within": 3,
        }
    },
    "extensions": {
        "104": {
            "find_me": [
                {"number": "102", "confirm": True},
                {"number": "05", "delay": 2},
                {"number": "103", "delay": 4},
            ],
            "forward": {"no_answer": "*43", "busy": "203", "unavailable": "05"},
        }
    },
}
ASKED = (
    *LIKELY, *("dial 104",) * 12, *("dial 203",) * 12, *("press",) * 20, *("answer",) * 14,
)  # fmt: skip

PAGES: dict[str, Any] = {
    "routes": [*ROUTES, {"to": "500", "page": "office"}, {"to": "501", "page": "desks"}],
    "feature_codes": {"intercom": "*80"},
    "paging": {
        "office": {"members": ["101", "102", "103", "104"], "ring_time": 5, "timeout": 50, "skip_busy": False},
        "desks": {"members": ["101", "102", "103"], "mode": "two-way", "ring_time": 10, "timeout": 20},
    },
    "extensions": {number: {"may_intercom": "all", "record": "always"} for number in ("101", "102", "103")},
}
PAGED = (
    *LIKELY, *("dial 500",) * 12, *("dial 501",) * 12, *("dial *80102",) * 3, *("answer",) * 24, *("hang up",) * 3,
)  # fmt: skip

FORMATS = ((PCMA, PCMU, EVENTS), (PCMU,), (PCMA, EVENTS), ("18 G729/8000",))


class Players:
    """Three phones and two gateways that do as they are told, if they can."""

    def __init__(self, world: World, dice: random.Random, configuration: dict[str, Any]) -> None:
        self.world = world
        self.configuration = configuration
        self.dice = dice
        self.phones: list[Phone] = [world.phone(number, agent=SILENT) for number in ("101", "102", "103")]
        self.phones += [world.gateway(host, agent=SILENT) for host in ("192.0.2.51", "192.0.2.52", "192.0.2.60")]
        self.caller = self.phones[0]

    def sessions(self, role: str, *states: State) -> list[tuple[Phone, Any]]:
        return [
            (phone, session)
            for phone in self.phones
            for session in phone.ua.sessions.values()
            if session.role == role and session.state in states
        ]

    def body(self, phone: Phone, direction: str = "sendrecv") -> bytes:
        return phone.sdp(self.dice.choice(FORMATS[:3] * 3 + FORMATS[3:]), direction)

    def act(self, action: str) -> None:
        dice = self.dice
        match action.split():
            case ["wait"]:
                self.world.run(dice.choice((0.01, 0.3, 2.0)))
            case ["wait", "long"]:
                self.world.run(dice.choice((4.0, 31.0, 70.0)))
            case ["dial", number]:
                offer: bytes | None = b"?"
                if number == "offerless":
                    number, offer = "102", None
                if number == "nobody":
                    number = dice.choice(("104", "999"))
                caller = dice.choice((self.caller, self.phones[2], self.phones[5]))
                caller.dial(number, offer)
            case ["silence"]:
                if self.world.legs():
                    self.world.silence(dice.choice(self.world.legs()), 60.0)
            case ["reload"]:
                # Written anew: the settings take apart what they are given.
                self.world.switch.configure(configured(**deepcopy(self.configuration)), self.world.now)
            case ["press"]:
                asked = [leg for active in self.world.runtime.calls.values() for leg in active.call._confirming]
                if asked or self.world.legs():
                    leg = dice.choice(asked or self.world.legs())
                    self.world.media.events.append(Digit(leg, dice.choice("1125"), 100, "rfc4733"))
                    self.world.link.settle()
            case ["vanish"]:
                phone = dice.choice(self.phones)
                self.world.link.nodes.pop(phone.host, None)
            case _:
                self.on_session(action)

    def on_session(self, action: str) -> None:
        dice = self.dice
        if action in BEFORE_ANSWER:
            waiting = self.sessions("uas", State.CALLING, State.EARLY)
            if waiting:
                phone, session = dice.choice(waiting)
                BEFORE_ANSWER[action](self, phone, session)
            return
        if action in ("answer offer", "refuse offer"):
            offered = [each for each in self.everyone() if each[1].offer_pending]
            if offered:
                phone, session = dice.choice(offered)
                if action == "answer offer":
                    phone.do(session.answer, self.body(phone, dice.choice(("sendrecv", "recvonly", "inactive"))))
                else:
                    phone.do(session.reject_offer, dice.choice((488, 491, 500)))
            return
        if action in OFFERS:
            able = [each for each in self.everyone() if each[1].can_offer]
            if able:
                phone, session = dice.choice(able)
                OFFERS[action](self, phone, session)
            return
        live = self.everyone() if action == "hang up" else [each for each in self.everyone() if each[1].role == "uac"]
        if live:
            phone, session = dice.choice(live)
            phone.do(session.hangup)

    def oblige(self, phone: Phone, event: Any, now: float) -> None:
        if isinstance(event, Offered) and event.session.offer_pending:
            asked = direction(event.sdp) if event.sdp is not None else "sendrecv"
            event.session.answer(phone.sdp(direction=self.dice.choice((REVERSE[asked], "inactive"))), now)

    def everyone(self) -> list[tuple[Phone, Any]]:
        live = (State.CALLING, State.EARLY, State.ACCEPTED, State.CONFIRMED)
        return self.sessions("uac", *live) + self.sessions("uas", *live)


def _early(reliable: bool | None) -> Callable[[Players, Phone, Any], None]:
    def act(players: Players, phone: Phone, session: Any) -> None:
        phone.do(session.progress, 183, players.body(phone), reliable=reliable)

    return act


def _refuse(status: int, *headers: tuple[str, str]) -> Callable[[Players, Phone, Any], None]:
    return lambda players, phone, session: phone.do(session.reject, status, None, headers)


BEFORE_ANSWER: dict[str, Callable[[Players, Phone, Any], None]] = {
    "ring": lambda players, phone, session: phone.do(session.progress, 180, None),
    "ring reliably": lambda players, phone, session: phone.do(session.progress, 180, None, reliable=True),
    "early media": _early(False),
    "reliable early media": _early(True),
    "answer": lambda players, phone, session: phone.do(session.accept, players.body(phone)),
    "answer badly": lambda players, phone, session: phone.do(session.accept, b"v=0\r\nnonsense\r\n"),
    "refuse busy": _refuse(486),
    "refuse 503": _refuse(503, ("Retry-After", "5")),
    "redirect": _refuse(302, ("Contact", "<sip:103@192.0.2.1>")),
    "decline": _refuse(603),
}
OFFERS: dict[str, Callable[[Players, Phone, Any], None]] = {
    "hold": lambda players, phone, session: phone.do(session.offer, players.body(phone, "sendonly")),
    "resume": lambda players, phone, session: phone.do(session.offer, players.body(phone)),
    "update": lambda players, phone, session: phone.do(
        session.offer, players.body(phone), method="UPDATE" if session.dialog.peer_updates else None
    ),
    "move": lambda players, phone, session: phone.do(session.offer, phone.sdp(media_host="198.51.100.9")),
    "offerless": lambda players, phone, session: (
        phone.do(session.offer, None, method="INVITE") if session.state is State.CONFIRMED else None
    ),
}


def assert_at_rest(world: World) -> None:
    """No offer is open anywhere, and the two sides of a call agree on who sends and who receives."""
    for active in world.runtime.calls.values():
        call = active.call
        assert call._carried is None, "an offer is still being carried"
        for leg in call.legs():
            session = world.runtime.legs[leg].session
            assert session is not None
            assert not session.offer_pending
        if call.state is CallState.TALKING and call.b is not None and call._page is None:
            one, other = world.media.streams[call.a], world.media.streams[call.b]
            assert one is not None
            assert other is not None
            assert active.bridged == (call.a, call.b)
            assert (one.send, one.receive) == (other.receive, other.send), "one side waits for what nobody sends"


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(3, 40),
    loss=st.sampled_from((0.0, 0.0, 0.1, 0.3)),
    doubled=st.sampled_from((0.0, 0.2)),
    reordered=st.sampled_from((0.0, 0.3)),
    ports=st.sampled_from((1_000, 1_000, 3)),
)
def test_nothing_is_left_of_random_calls(
    seed: int, count: int, loss: float, doubled: float, reordered: float, ports: int
) -> None:
    play(random.Random(seed), LIKELY, count, {"routes": ROUTES}, Network(seed, loss, doubled, reordered, ports))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(3, 40),
    loss=st.sampled_from((0.0, 0.0, 0.3)),
    reordered=st.sampled_from((0.0, 0.3)),
    ports=st.sampled_from((1_000, 1_000, 4)),
)
def test_nothing_is_left_of_random_calls_that_a_key_confirms(
    seed: int, count: int, loss: float, reordered: float, ports: int
) -> None:
    play(random.Random(seed), ASKED, count, FIND_ME, Network(seed, loss, 0.0, reordered, ports))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(3, 40),
    loss=st.sampled_from((0.0, 0.0, 0.3)),
    reordered=st.sampled_from((0.0, 0.3)),
    ports=st.sampled_from((1_000, 1_000, 4)),
)
def test_nothing_is_left_of_random_pages(seed: int, count: int, loss: float, reordered: float, ports: int) -> None:
    play(random.Random(seed), PAGED, count, PAGES, Network(seed, loss, 0.0, reordered, ports))


class Network(NamedTuple):
    """What happens to packets, and how many streams there may be."""

    seed: int
    loss: float
    doubled: float
    reordered: float
    ports: int


def play(
    dice: random.Random, likely: tuple[str, ...], count: int, configuration: dict[str, Any], network: Network
) -> None:
    """Random actions, then rest, then the end of everything, and what must hold of them."""
    _, loss, doubled, reordered, ports = network
    actions = [dice.choice(likely) for _ in range(count)]
    note(str(actions))
    begun = configured(**deepcopy(configuration), trunks={"north": {"channels": 2}})
    world = World(begun, ports=ports, seed=network.seed)
    players = Players(world, dice, configuration)

    def fate(seen: Seen) -> list[float]:
        if dice.random() < loss:
            return []
        delays = [0.01 + (dice.random() if dice.random() < reordered else 0.0)]
        if dice.random() < doubled:
            delays.append(delays[0] + dice.random())
        return delays

    world.link.fate = fate
    for action in actions:
        players.act(action)
        world.run(dice.choice((0.0, 0.02, 0.1)))
    # On a network that loses nothing, phones answer the offers that wait: calls that go on come to rest.
    world.link.fate = lambda seen: [0.01]
    for phone in players.phones:
        phone.on_event = lambda event, now, phone=phone: players.oblige(phone, event, now)  # type: ignore[misc]
        for session in list(phone.ua.sessions.values()):
            if session.offer_pending:
                phone.do(session.answer, phone.sdp(direction="inactive"))
    world.run(100.0)
    # Who is gone answers nothing, and who refuses a change that nobody waits for, or lets it wait until it is taken
    # back, stays as he is.
    taken_back = any(phone.of(OfferWithdrawn) for phone in players.phones)
    if not taken_back and not {"vanish", "refuse offer"} & set(actions):
        assert_at_rest(world)
    # Then everybody goes, and the switch hangs up what they left open.
    for phone in players.phones:
        for session in list(phone.ua.sessions.values()):
            if not session.over:
                phone.do(session.hangup)
    world.run(600.0)
    began = world.runtime.counters["calls"]
    world.runtime.hang_up_all(38, world.now, "end")
    world.link.settle()
    records = world.assert_over(began, after=200.0)
    assert len({record.contact for record in records}) == began
