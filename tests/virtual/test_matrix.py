"""Every way of every feature, for callers by telephone and by trunk, towards telephones, trunks and rooms: who hears
whom in the end, and that nothing is left. docs/call-control.md shows the table."""

from __future__ import annotations

from typing import Any

import pytest

from media.audio_commands import Digit, Music, PauseRecording, RecordingEnded, StartRecording, StopRecording
from sip.invite import InviteSession
from sip.ua import UaSettings
from sip.ua_events import Offered, SessionArrived
from softswitch import call_commands as commands
from tests.virtual.network import Phone, World, settings

CODES = {
    "record": "*1",
    "attended_transfer": "*2",
    "three_way": "*3",
    "swap": "*4",
    "park": "*5",
    "return": "*0",
    "blind_transfer": "##",
}
DIALLED = {"pick_up_group": "*8", "pick_up": "**", "listen": "*31", "whisper": "*32", "barge": "*33"}
TARGETS = {"telephone": "103", "trunk": "0555", "room": "8001"}

CUSTOMERS = ["telephone", "trunk"]


class Matrix:
    """A customer (101, or a caller by trunk) talks to agent 102; 103 and 104 are there, too."""

    def __init__(self, customer: str = "telephone", rings: bool = False) -> None:
        team: dict[str, Any] = {"groups": ["team"], "record": "on-demand", "supervision": "silent"}
        self.world = World(
            settings(
                extensions={"102": team, "103": dict(team), "104": {"supervises": ["team"], "groups": ["team"]}},
                feature_codes={**DIALLED, "in_call": CODES},
                parking={"main": {"slots": "701", "announce": False}},
                routes=[
                    {"to": "700", "park": "main"},
                    {"to": "701", "retrieve": "{number}"},
                    {"to": "8001", "answer_and_conference": "sales"},
                ],
            )
        )
        agent = UaSettings(refer=True)
        self.agent, self.third, self.boss = (self.world.phone(f"10{n}", agent=agent) for n in (2, 3, 4))
        self.gateway = self.world.gateway("192.0.2.51")
        self.customer = self.world.phone("101") if customer == "telephone" else self.world.gateway("192.0.2.60")
        self.names = {id(self.agent): "agent", id(self.third): "third", id(self.boss): "boss"}
        self.names |= {id(self.gateway): "third", id(self.customer): "customer"}
        self.calls = 1
        self.begun = self.customer.dial("102")
        self.world.run(0.3)
        self.agent.ring()
        self.world.run(0.2)
        if not rings:
            self.agent.answer()
            self.world.run(0.5)
        [self.contact] = self.world.runtime.calls
        self.answered: Phone | None = None

    # ---- what is done -----------------------------------------------------------------------------------

    def rest(self, seconds: float = 0.5) -> None:
        """Time goes by; telephones say yes to what they are offered."""
        for _ in range(6):
            self.world.run(seconds)
            for phone in (self.customer, self.agent, self.third, self.boss, self.gateway):
                for event in [each for each in phone.events if isinstance(each, Offered)]:
                    phone.events.remove(event)
                    if event.session.offer_pending:
                        direction = "recvonly" if b"a=sendonly" in (event.sdp or b"") else "sendrecv"
                        phone.do(event.session.answer, phone.sdp(direction=direction))

    def do(self, command: commands.AnyCallCommand) -> None:
        command.call = self.contact
        self.world.runtime.command(command, self.world.now)
        self.rest()

    def keys(self, phone: Phone, digits: str) -> None:
        [session] = phone.ua.sessions.values()
        leg = next(leg for leg, each in self.world.runtime.legs.items() if self.phone_of(leg) is phone)
        assert session
        for digit in digits:
            self.world.media.events.append(Digit(leg, digit, 100, "rfc4733"))
            self.world.link.settle()
            self.world.run(0.1)
        self.rest()

    def send_on(self, way: str, number: str) -> None:
        """The agent does a blind transfer."""
        if way == "refer":
            self.agent.do(self.session(self.agent).refer, f"<sip:{number}@192.0.2.1>", None)
            self.rest()
        elif way == "code":
            self.keys(self.agent, f"##{number}#")
        else:
            self.do(commands.Transfer("", "102", number))

    def leave_to(self, first: InviteSession, second: InviteSession, number: str) -> None:
        """The agent's telephone leaves the one call to the other."""
        escaped = replaces(second).replace(";", "%3B").replace("=", "%3D").replace("@", "%40")
        self.agent.do(first.refer, f"<sip:{number}@192.0.2.1?Replaces={escaped}>", None)

    def session(self, phone: Phone) -> InviteSession:
        """Its oldest."""
        return next(iter(phone.ua.sessions.values()))

    def dial(self, phone: Phone, number: str, **more: Any) -> InviteSession:
        session = phone.dial(number, **more)
        self.world.run(0.5)
        return session

    def somebody_in_the_room(self) -> None:
        self.calls += 1
        self.dial(self.third, "8001")

    def answer(self, target: str) -> None:
        """Whoever is called does."""
        if target != "room":
            phone = self.third if target == "telephone" else self.gateway
            assert phone.of(SessionArrived), "not called"
            phone.answer()
        self.rest()

    # ---- what is so -------------------------------------------------------------------------------------

    def phone_of(self, leg: int) -> Phone:
        session = self.world.runtime.legs[leg].session
        assert session is not None
        phones = (self.customer, self.agent, self.third, self.boss, self.gateway)
        return next(p for p in phones if session.call_id in [each.call_id for each in p.ua.sessions.values()])

    def hearing(self) -> dict[str, set[str]]:
        heard = self.world.media.hearing()
        named = {leg: self.names[id(self.phone_of(leg))] for leg in heard}
        return {named[leg]: {named[each] for each in others} for leg, others in heard.items() if others}

    def music(self) -> set[str]:
        playing = self.world.media.playing()
        return {self.names[id(self.phone_of(leg))] for leg, sources in playing.items() if sources == [Music("default")]}

    def talk(self, *names: str) -> None:
        """They hear each other, and nobody else hears or is heard; nobody is left on a hold."""
        assert self.hearing() == {name: set(names) - {name} for name in names}
        for leg in self.world.runtime.legs.values():
            if self.names[id(self.phone_of(leg.id))] in names:
                assert leg.media.agreed is not None
                assert (leg.media.agreed.direction, leg.media.agreed.peer_direction) == ("sendrecv", "sendrecv")

    def over(self) -> None:
        """Everybody hangs up."""
        for phone in (self.customer, self.agent, self.third, self.boss, self.gateway):
            for session in list(phone.ua.sessions.values()):
                phone.do(session.hangup)
                self.world.run(0.5)
        self.world.assert_over(len(self.world.records))


def replaces(session: InviteSession) -> str:
    call_id, local_tag, remote_tag = session.dialog.id
    return f"{call_id};to-tag={remote_tag};from-tag={local_tag}"


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("way", ["refer", "code", "command"])
def test_blind_transfer(way: str, target: str, customer: str) -> None:
    matrix = Matrix(customer)
    if target == "room":
        matrix.somebody_in_the_room()
    number = TARGETS[target]
    matrix.send_on(way, number)
    matrix.answer(target)
    assert not matrix.agent.ua.sessions
    matrix.talk("customer", "third")
    matrix.over()


def in_a_conference(customer: str) -> Matrix:
    """The agent, the customer and the boss talk."""
    matrix = Matrix(customer)
    matrix.do(commands.Consult("", "102", "104"))
    matrix.boss.answer()
    matrix.rest()
    matrix.do(commands.Conference("", "102"))
    matrix.talk("agent", "customer", "boss")
    return matrix


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("target", ["telephone", "trunk"])
@pytest.mark.parametrize("way", ["refer", "code", "command"])
def test_blind_transfer_from_a_conference(way: str, target: str, customer: str) -> None:
    matrix = in_a_conference(customer)
    number = TARGETS[target]
    matrix.send_on(way, number)
    assert matrix.hearing() == {"customer": {"boss"}, "boss": {"customer"}}
    matrix.answer(target)
    assert not matrix.agent.ua.sessions
    matrix.talk("customer", "boss", "third")
    matrix.over()


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("target", ["telephone", "trunk"])
@pytest.mark.parametrize("way", ["refer", "code", "command"])
def test_attended_transfer_from_a_conference_while_it_rings(way: str, target: str, customer: str) -> None:
    matrix = in_a_conference(customer)
    number = TARGETS[target]
    if way == "refer":
        first = matrix.session(matrix.agent)
        second = matrix.dial(matrix.agent, number)
        (matrix.third if target == "telephone" else matrix.gateway).ring()
        matrix.rest()
        matrix.leave_to(first, second, number)
    elif way == "code":
        matrix.keys(matrix.agent, f"*2{number}#")
        matrix.agent.do(matrix.session(matrix.agent).hangup)
    else:
        matrix.do(commands.Consult("", "102", number))
        matrix.do(commands.Complete("", "102"))
    matrix.rest()
    assert matrix.hearing() == {"customer": {"boss"}, "boss": {"customer"}}
    matrix.answer(target)
    assert not matrix.agent.ua.sessions
    matrix.talk("customer", "boss", "third")
    matrix.over()


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize(
    ("way", "target"),
    [(way, target) for way in ("refer", "code", "command") for target in TARGETS if (way, target) != ("code", "room")],
)
def test_attended_transfer(way: str, target: str, customer: str) -> None:
    """Into a room only a telephone can go first, and send somebody after it: by code and command that is a transfer
    without a consultation."""
    if (way, target) == ("command", "room"):
        way = "refer"
    matrix = Matrix(customer)
    if target == "room":
        matrix.somebody_in_the_room()
    number = TARGETS[target]
    if way == "refer":
        first = matrix.session(matrix.agent)
        matrix.agent.do(first.offer, matrix.agent.sdp(direction="sendonly"))
        matrix.rest()
        second = matrix.dial(matrix.agent, number)
        matrix.answer(target)
        matrix.leave_to(first, second, number)
    elif way == "code":
        matrix.keys(matrix.agent, f"*2{number}#")
        matrix.answer(target)
        assert matrix.music() == {"customer"}
        matrix.agent.do(matrix.session(matrix.agent).hangup)
    else:
        matrix.do(commands.Consult("", "102", number))
        matrix.answer(target)
        assert matrix.music() == {"customer"}
        matrix.do(commands.Complete("", "102"))
    matrix.rest()
    assert not matrix.agent.ua.sessions
    matrix.talk("customer", "third")
    matrix.over()


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("target", ["telephone", "trunk"])
@pytest.mark.parametrize("way", ["code", "command"])
def test_consult_swap_and_return(way: str, target: str, customer: str) -> None:
    matrix = Matrix(customer)
    number = TARGETS[target]
    if way == "code":
        matrix.keys(matrix.agent, f"*2{number}#")
    else:
        matrix.do(commands.Consult("", "102", number))
    matrix.answer(target)
    matrix.talk("agent", "third")
    assert matrix.music() == {"customer"}
    if way == "code":
        matrix.keys(matrix.agent, "*4")
    else:
        matrix.do(commands.Swap("", "102"))
    matrix.talk("agent", "customer")
    assert matrix.music() == {"third"}
    if way == "code":
        matrix.keys(matrix.agent, "*0")
    else:
        matrix.do(commands.Return("", "102"))
    matrix.talk("agent", "customer")
    assert matrix.music() == set()
    matrix.over()


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("target", ["telephone", "trunk"])
@pytest.mark.parametrize("way", ["code", "command"])
def test_conference_of_a_call(way: str, target: str, customer: str) -> None:
    matrix = Matrix(customer)
    number = TARGETS[target]
    if way == "code":
        matrix.keys(matrix.agent, f"*2{number}#")
        matrix.answer(target)
        matrix.keys(matrix.agent, "*3")
    else:
        matrix.do(commands.Consult("", "102", number))
        matrix.answer(target)
        matrix.do(commands.Conference("", "102"))
    matrix.talk("agent", "customer", "third")
    if way == "command":
        matrix.do(commands.Drop("", "102", "103" if target == "telephone" else "north"))
    else:
        phone = matrix.third if target == "telephone" else matrix.gateway
        phone.do(matrix.session(phone).hangup)
        matrix.rest()
    matrix.talk("agent", "customer")
    matrix.over()


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("way", ["telephone", "command"])
def test_hold_and_resume(way: str, customer: str) -> None:
    matrix = Matrix(customer)
    session = matrix.session(matrix.agent)
    if way == "telephone":
        matrix.agent.do(session.offer, matrix.agent.sdp(direction="sendonly"))
        matrix.rest()
        matrix.agent.do(session.offer, matrix.agent.sdp())
        matrix.rest()
    else:
        matrix.do(commands.Hold("", "102"))
        assert matrix.hearing() == {}
        assert matrix.music() == {"customer"}
        matrix.do(commands.Resume("", "102"))
    matrix.talk("agent", "customer")
    matrix.over()


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("way", ["refer", "code", "command"])
def test_park_and_retrieve(way: str, customer: str) -> None:
    matrix = Matrix(customer)
    if way == "refer":
        matrix.agent.do(matrix.session(matrix.agent).refer, "<sip:700@192.0.2.1>", None)
        matrix.rest()
    elif way == "code":
        matrix.keys(matrix.agent, "*5")
    else:
        matrix.do(commands.Park("", "102"))
    assert not matrix.agent.ua.sessions
    assert matrix.music() == {"customer"}
    matrix.dial(matrix.third, "701")
    matrix.rest()
    matrix.talk("customer", "third")
    matrix.over()


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("way", ["replaces", "code", "code of the group", "command"])
def test_pick_up(way: str, customer: str) -> None:
    matrix = Matrix(customer, rings=True)
    if way == "replaces":
        value = replaces(matrix.agent.called())
        matrix.dial(matrix.third, "102", headers=(("Replaces", value),))
    elif way == "command":
        matrix.do(commands.PickUp("", "103"))
        matrix.third.answer()
    else:
        matrix.dial(matrix.third, "*8" if way == "code of the group" else "**102")
    matrix.rest()
    assert not matrix.agent.ua.sessions
    matrix.talk("customer", "third")
    matrix.over()


HEARD = {
    "listen": {"agent": {"customer"}, "customer": {"agent"}, "boss": {"agent", "customer"}},
    "whisper": {"agent": {"customer", "boss"}, "customer": {"agent"}, "boss": {"agent", "customer"}},
    "barge": {"agent": {"customer", "boss"}, "customer": {"agent", "boss"}, "boss": {"agent", "customer"}},
}


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("way", ["code", "command"])
@pytest.mark.parametrize("mode", list(HEARD))
def test_supervision(mode: str, way: str, customer: str) -> None:
    matrix = Matrix(customer)
    if way == "code":
        matrix.dial(matrix.boss, f"{DIALLED[mode]}102")
    else:
        matrix.do(commands.Supervise("", "104", mode, "102"))  # type: ignore[arg-type]
        matrix.boss.answer()
    matrix.rest()
    assert matrix.hearing() == HEARD[mode]
    others = [each for each in HEARD if each != mode]
    for other in others:
        if way == "code":
            matrix.keys(matrix.boss, {"listen": "4", "whisper": "5", "barge": "6"}[other])
        else:
            matrix.do(commands.Supervise("", "104", other))  # type: ignore[arg-type]
        assert matrix.hearing() == HEARD[other]
    matrix.over()


@pytest.mark.parametrize("customer", CUSTOMERS)
@pytest.mark.parametrize("way", ["code", "command"])
def test_recording(way: str, customer: str) -> None:
    matrix = Matrix(customer)
    runtime = matrix.world.runtime
    for action, kind in (("start", StartRecording), ("stop", StopRecording)):
        if way == "code":
            matrix.keys(matrix.agent, "*1")
        else:
            runtime.record(matrix.contact, action, matrix.world.now)
        [asked] = matrix.world.media.asked(kind)
        assert isinstance(asked, StartRecording | StopRecording)
        if action == "stop":
            matrix.world.media.events.append(RecordingEnded(asked.recording, "/r/1.wav", 1.0, ()))
            matrix.rest()
    assert not matrix.world.media.asked(PauseRecording)
    matrix.world.run(10.0)
    matrix.over()
