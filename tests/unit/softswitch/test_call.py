"""The call model as a reducer: events in, effects out, no socket, no clock."""

from __future__ import annotations

import itertools

import pytest

from media.audio_commands import Music, Play, PlayEnded, Source, Speech, StopPlay
from media.codec import Codec, PayloadType
from media.commands import MediaAddress
from media.negotiate import AudioOffer, AudioPolicy, AudioSession
from softswitch.call import Call
from softswitch.call_floor import State
from softswitch.causes import Cause
from softswitch.contact import Contact
from softswitch.dialplan.decision import (
    AnyTarget,
    Decision,
    Dial,
    ExtensionTarget,
    NumberTarget,
    Reject,
    TrunkTarget,
)
from softswitch.dialplan.decision import Echo as EchoDecision
from softswitch.feature_speech import Spoken, asked, done, refused
from softswitch.hunt import UNAVAILABLE, Failure, Target
from softswitch.hunt_steps import Step
from softswitch.trunk_refer import ReferRequest
from softswitch.vocabulary import (
    Accept,
    Answer,
    Answered,
    AnyEffect,
    AnyLegEvent,
    Audio,
    Bridge,
    CancelTimer,
    Confirmed,
    Diverted,
    Echo,
    Endpoint,
    Finished,
    MediaLost,
    MediaSilent,
    Offer,
    OfferWithdrawn,
    Originate,
    Party,
    Payer,
    Progress,
    Progressed,
    Reanswered,
    Redirected,
    RefuseOffer,
    Release,
    Released,
    Reoffered,
    ReofferRefused,
    SetTimer,
    Setup,
)

PCMU = PayloadType(0, Codec("PCMU"))
PCMA = PayloadType(8, Codec("PCMA"))
EVENTS = PayloadType(101, Codec("telephone-event", 8000, 1, "0-16"))
POLICY = AudioPolicy(codecs=("PCMA", "PCMU"))
A_MEDIA = MediaAddress("192.0.2.1", 4000, 4001)
B_MEDIA = MediaAddress("192.0.2.2", 5000, 5001)


def offer(direction: str = "sendrecv", codecs: tuple[PayloadType, ...] = (PCMA, PCMU)) -> AudioOffer:
    return AudioOffer(A_MEDIA, codecs, (EVENTS,), direction)


def session(
    direction: str = "sendrecv", codecs: tuple[PayloadType, ...] = (PCMA,), peer: str = "sendrecv"
) -> AudioSession:
    named = tuple(p.codec for p in (*codecs, EVENTS))
    return AudioSession(B_MEDIA, codecs, (EVENTS,), direction, peer_direction=peer, named=named)


class Book:
    """A directory with two phones, a trunk of two gateways, and a list of routes."""

    def __init__(self) -> None:
        self.routes: dict[str, Decision] = {}
        self.phones = {"102": 1, "103": 2, "104": 0}
        self.forwards: dict[tuple[str, str], str] = {}
        self.found_at: dict[str, tuple[Step[AnyTarget], ...]] = {}
        self.policy = POLICY
        self.records: dict[str, str] = {}
        self.musics: dict[str, str] = {}
        self.codes: dict[str, Decision] = {}
        self.used: list[tuple[str, str, str]] = []
        self.pin_given = False
        self.wrong_pins = 0
        self.obeys = True
        self.lively: list[str] = []
        self.payers: list[Payer] = []
        self.paying: list[tuple[str, Payer]] = []
        self.costs_no_more: list[int] = []

    def route(self, context: str, number: str, caller: Party, did: str) -> Decision:
        return self.routes.get(number, Reject(1))

    def target(self, target: AnyTarget, caller: Party, payer: Payer, contact: str, now: float) -> Target:
        self.payers.append(payer)
        if isinstance(target, NumberTarget):
            payer = Payer("extension", target.extension, forwarded=True)
            mobile = Endpoint("trunk", "north", self.policy, None, target.number, "g1", payer)
            return Target(target.number, ((mobile,),), 60.0, UNAVAILABLE)
        if isinstance(target, TrunkTarget):
            groups = tuple(
                (Endpoint("trunk", target.trunk, self.policy, None, target.number, f"g{n}"),) for n in (1, 2)
            )
            return Target(target.trunk, groups, 60.0, UNAVAILABLE)
        ring = tuple(Endpoint("extension", target.number, self.policy, n) for n in range(self.phones[target.number]))
        return Target(target.number, (ring,) if ring else (), 30.0, UNAVAILABLE)

    def code(self, setup: Setup) -> Decision | None:
        return self.codes.get(setup.dialled)

    def use_feature(self, extension: str, action: str, number: str) -> Spoken:
        self.used.append((extension, action, number))
        return asked("ask_number", "en") if action == "forward_busy_on" and not number else done("dnd_on", "en")

    def spoken(self, name: str, before: str = "") -> Spoken:
        return asked(name, "en", before) if name.startswith("ask_") else refused(name, "en")

    def needs_pin(self, plan: Dial, caller: Party, payer: Payer, contact: str, now: float) -> bool:
        return plan.pin and not self.pin_given

    def may_try_pin(self, extension: str, now: float) -> bool:
        return self.wrong_pins < 4

    def check_pin(self, extension: str, pin: str, contact: str, now: float) -> bool:
        self.pin_given = pin == "2580"
        self.wrong_pins += not self.pin_given
        return self.pin_given

    def forward(self, extension: str, kind: str) -> str | None:
        return self.forwards.get((extension, kind))

    def find_me(self, extension: str, ring_time: float | None) -> tuple[Step[AnyTarget], ...]:
        return self.found_at.get(extension, ())

    def confirm_prompt(self) -> tuple[Source, ...]:
        return (Speech("press 1"),)

    def obeys_redirect(self, extension: str, number: str, caller: Party) -> bool:
        return self.obeys

    def record(self, kind: str, name: str) -> str:
        return self.records.get(name, "")

    def music(self, kind: str, name: str) -> str:
        return self.musics.get(name, "")

    def display_name(self, endpoint: Endpoint) -> str:
        return f"Phone {endpoint.name}" if endpoint.kind == "extension" else ""

    def context_of(self, extension: str) -> str:
        return "internal"

    def answered(self, endpoint: Endpoint, payer: Payer, contact: str, now: float, leg: int) -> None:
        self.paying.append((endpoint.name, payer))

    def left(self, contact: str, leg: int, now: float) -> None:
        self.costs_no_more.append(leg)

    def code_reader(self, extension: str) -> None:
        return None

    def recalls(self, extension: str) -> bool:
        return False

    def fallback(self, extension: str) -> str:
        return ""

    def refer(
        self, endpoint: Endpoint, plan: Dial, caller: Party, payer: Payer, contact: str, now: float
    ) -> ReferRequest | None:
        return None

    def reached(self, endpoint: Endpoint) -> None:
        self.lively.append(endpoint.gateway or endpoint.name)

    def may_fail_over(self, endpoint: Endpoint, failure: Failure, alerted: bool, now: float) -> bool:
        return endpoint.kind == "trunk" and failure.status >= 500


class Bench:
    """A call and what it has asked for."""

    def __init__(
        self,
        dialled: str = "102",
        sdp: AudioOffer | None = None,
        hops: int = 70,
        book: Book | None = None,
        diverted: tuple[Diverted, ...] = (),
        diversions: int = 0,
    ) -> None:
        self.book = book or Book()
        for number in self.book.phones:
            self.book.routes.setdefault(number, Dial((ExtensionTarget(number),)))
        contact = Contact("c1", 0.0, 1000.0, Party("101", "Ann"), dialled)
        setup = Setup(dialled, Party("101", "Ann"), "internal", "extension", "101", hops, "udp:192.0.2.1:5060")
        setup.diverted, setup.diversions = diverted, diversions
        ids = itertools.count(2)
        self.call = Call(contact, 1, setup, sdp, POLICY, self.book, lambda: next(ids))
        self.now = 0.0
        self.last: list[AnyEffect] = self.call.begin(0.0)

    def say(self, event: AnyLegEvent) -> list[AnyEffect]:
        self.now += 1.0
        self.last = self.call.handle(event, self.now)
        return self.last

    def agree(self, leg: int, agreed: AudioSession) -> None:
        self.call.session_agreed(leg, agreed)

    def of(self, kind: type) -> list[AnyEffect]:
        return [effect for effect in self.last if type(effect) is kind]

    def talking(self) -> Bench:
        self.say(Answered(2, session()))
        self.agree(1, session())
        self.say(Confirmed(1))
        assert self.call.state is State.TALKING
        return self


def test_a_call_rings_talks_and_ends() -> None:
    bench = Bench(sdp=offer())
    [originate] = bench.of(Originate)
    assert originate.leg == 2
    assert originate.codecs == (PCMA, PCMU, EVENTS)
    assert originate.hops == 69
    assert bench.of(SetTimer) == [SetTimer("ring", 30.0)]
    assert bench.say(Progressed(2, 180)) == [Progress(1, 180)]
    assert bench.say(Answered(2, session())) == [
        CancelTimer("ring"),
        Accept(1, (PCMA, EVENTS), "sendrecv"),
        Bridge(1, 2),
    ]
    assert bench.say(Confirmed(1)) == []
    assert bench.say(Released(2, Cause.NORMAL_CLEARING)) == [CancelTimer("ring"), Release(1, 16, 0, "")]
    assert bench.say(Released(1, Cause.NORMAL_CLEARING, by_peer=False)) == [Finished()]
    contact = bench.call.contact
    assert (contact.answered, contact.ended, contact.ended_by, contact.cause) == (2.0, 4.0, "callee", 16)
    assert [s.kind for s in contact.segments] == ["route", "ring", "talk"]
    assert contact.wall_of(contact.answered) == 1002.0


def test_rfc3261_16_3_no_hops_left_is_483() -> None:
    assert Bench(hops=0).last == [Release(1, Cause.EXCHANGE_ROUTING_ERROR, 483)]


def test_no_route_is_404() -> None:
    assert Bench("999").last == [Release(1, 1, 404)]


def test_no_common_codec_is_488() -> None:
    book = Book()
    book.policy = AudioPolicy(codecs=("G729",))
    bench = Bench(sdp=offer(), book=book)
    assert bench.of(Originate) == []
    assert bench.of(Release) == [Release(1, Cause.INCOMPATIBLE_DESTINATION, 488, "No common codec")]


def test_first_answer_wins_and_losers_are_told() -> None:
    bench = Bench("103", offer())
    assert [o.leg for o in bench.of(Originate)] == [2, 3]
    effects = bench.say(Answered(3, session()))
    assert Release(2, Cause.ANSWERED_ELSEWHERE, 0, "") in effects
    assert Bridge(1, 3) in effects
    # A late answer of the loser is refused too.
    assert bench.say(Answered(2, session())) == [Release(2, Cause.ANSWERED_ELSEWHERE, 0, "")]
    assert bench.say(Released(2, 16, 487, by_peer=False)) == []


def test_caller_gives_up_while_it_rings() -> None:
    bench = Bench("103", offer())
    effects = bench.say(Released(1, Cause.NORMAL_CLEARING, 487))
    assert [(e.leg, e.cause) for e in effects if isinstance(e, Release)] == [(2, 16), (3, 16)]
    assert bench.say(Released(2, 16, 487)) == []
    assert bench.say(Released(3, 16, 487)) == [Finished()]
    assert bench.call.contact.ended_by == "caller"


def test_nobody_answers_in_time() -> None:
    bench = Bench(sdp=offer())
    bench.last = bench.call.timer_fired("ring", 30.0)
    assert bench.of(Release) == [Release(2, Cause.NO_ANSWER, 0, ""), Release(1, Cause.NO_ANSWER, 480)]


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        ("busy", Released(2, Cause.USER_BUSY, 486)),
        ("no_answer", None),
        ("unavailable", Released(2, Cause.TEMPORARY_FAILURE, 503)),
    ],
)
def test_forwards(kind: str, event: Released | None) -> None:
    book = Book()
    book.forwards[("102", kind)] = "103"
    bench = Bench(sdp=offer(), book=book)
    bench.last = bench.say(event) if event is not None else bench.call.timer_fired("ring", 30.0)
    assert [o.endpoint.name for o in bench.of(Originate)] == ["103", "103"]
    assert Progress(1, 181) in bench.last


def test_who_forwards_pays() -> None:
    book = Book()
    book.forwards[("102", "busy")] = "103"
    book.forwards[("103", "always")] = "0123"
    book.routes["0123"] = Dial((TrunkTarget("north", "0123"),))
    bench = Bench(sdp=offer(), book=book)
    bench.say(Released(2, Cause.USER_BUSY, 486))
    [leg] = [originate.leg for originate in bench.of(Originate) if originate.endpoint.kind == "trunk"]
    bench.say(Answered(leg, session()))
    assert book.payers == [Payer("extension", "101"), Payer("extension", "103", True)]
    assert book.paying == [("north", Payer("extension", "103", True))]


def test_unregistered_extension_is_forwarded_without_ringing() -> None:
    book = Book()
    book.forwards[("104", "unavailable")] = "102"
    bench = Bench("104", offer(), book=book)
    assert [o.endpoint.name for o in bench.of(Originate)] == ["102"]


def test_forward_always_does_not_ring_and_circles_end() -> None:
    book = Book()
    book.forwards[("102", "always")] = "103"
    book.forwards[("103", "always")] = "102"
    bench = Bench(sdp=offer(), book=book)
    assert bench.of(Originate) == []
    assert bench.of(Release) == [Release(1, Cause.EXCHANGE_ROUTING_ERROR, 482)]


def test_fall_through_of_the_dialplan_beats_the_extensions_forward() -> None:
    book = Book()
    book.forwards[("102", "busy")] = "104"
    book.routes["102"] = Dial((ExtensionTarget("102"),), on_busy=Dial((ExtensionTarget("103"),)))
    bench = Bench(sdp=offer(), book=book)
    bench.say(Released(2, Cause.USER_BUSY, 486))
    assert [o.endpoint.name for o in bench.of(Originate)] == ["103", "103"]


def test_next_gateway_only_after_a_failure_it_may_cure() -> None:
    book = Book()
    book.routes["0123"] = Dial((TrunkTarget("north", "0123"),))
    bench = Bench("0123", offer(), book=book)
    assert [o.endpoint.gateway for o in bench.of(Originate)] == ["g1"]
    bench.say(Released(2, Cause.TEMPORARY_FAILURE, 503))
    assert [o.endpoint.gateway for o in bench.of(Originate)] == ["g2"]
    bench.say(Released(3, Cause.UNALLOCATED_NUMBER, 404))
    assert bench.of(Release) == [Release(1, 1, 404)]


def test_early_media_and_180_183_hop_to_hop() -> None:
    bench = Bench(sdp=offer())
    assert bench.say(Progressed(2, 183, session())) == [Progress(1, 183, (PCMA, EVENTS), "sendrecv"), Bridge(1, 2)]
    assert bench.say(Progressed(2, 180)) == [Progress(1, 180)]
    assert bench.say(Progressed(2, 180)) == []
    effects = bench.say(Answered(2, session()))
    assert Accept(1, None) in effects


def test_answer_with_another_codec_than_early_media_is_mended_by_a_new_offer() -> None:
    bench = Bench("103", offer())
    bench.say(Progressed(2, 183, session()))
    bench.agree(1, session())
    bench.say(Answered(3, session(codecs=(PCMU,))))
    assert bench.say(Confirmed(1)) == [Offer(1, (PCMU, EVENTS), "sendrecv")]


def test_caller_without_offer_gets_ours_with_what_the_callee_took() -> None:
    bench = Bench()
    [originate] = bench.of(Originate)
    assert [p.codec.name for p in originate.codecs] == ["PCMA", "PCMU", "telephone-event"]
    # What the callee took comes first, then what can be made of it: this caller's codecs are not known yet.
    assert Accept(1, (PCMA, PCMU, EVENTS), "sendrecv") in bench.say(Answered(2, session()))
    assert bench.call.state is State.OFFERING
    assert bench.say(Confirmed(1, session())) == [Bridge(1, 2)]
    assert bench.call.state is State.TALKING


def test_hold_is_carried_and_answered_as_the_other_side_answers() -> None:
    bench = Bench(sdp=offer()).talking()
    assert bench.say(Reoffered(1, offer("sendonly"))) == [Offer(2, (PCMA, PCMU, EVENTS), "sendonly")]
    effects = bench.say(Reanswered(2, session("sendonly", peer="recvonly")))
    assert effects == [Answer(1, (PCMA, EVENTS), "recvonly"), Bridge(1, 2)]
    assert bench.call.contact.segments[-1].kind == "hold"
    bench.agree(1, session("recvonly", peer="sendonly"))
    assert bench.say(Reoffered(1, offer())) == [Offer(2, (PCMA, PCMU, EVENTS), "sendrecv")]
    bench.say(Reanswered(2, session()))
    assert bench.call.contact.segments[-1].kind == "talk"


def musical() -> Bench:
    """A call whose ends both hear music on hold."""
    book = Book()
    book.musics = {"101": "jazz", "102": "default"}
    return Bench(sdp=offer(), book=book).talking()


def test_who_is_held_hears_music_and_is_asked_nothing() -> None:
    bench = musical()
    [answer, play] = bench.say(Reoffered(1, offer("sendonly")))
    assert answer == Answer(1, (PCMA, EVENTS), "recvonly")
    assert isinstance(play, Audio)
    assert isinstance(play.command, Play)
    assert (play.command.sources, play.command.stream) == ((Music("default"),), 2)
    assert bench.call.contact.segments[-1].kind == "hold"
    bench.agree(1, session("recvonly", peer="sendonly"))
    assert bench.say(Reoffered(1, offer())) == [
        Answer(1, (PCMA, EVENTS), "sendrecv"),
        Audio(StopPlay(play.command.play)),
    ]
    assert bench.call.contact.segments[-1].kind == "talk"


def test_both_hold_and_each_resumes_by_itself() -> None:
    bench = musical()
    bench.say(Reoffered(1, offer("sendonly")))
    bench.agree(1, session("recvonly", peer="sendonly"))
    [answer, stop] = bench.say(Reoffered(2, offer("inactive")))
    assert answer == Answer(2, (PCMA, EVENTS), "inactive")
    assert isinstance(stop, Audio)
    assert isinstance(stop.command, StopPlay), "who holds hears nothing"
    bench.agree(2, session("inactive", peer="inactive"))
    [answer, play] = bench.say(Reoffered(1, offer()))
    assert answer == Answer(1, (PCMA, EVENTS), "sendrecv")
    assert isinstance(play, Audio)
    assert isinstance(play.command, Play)
    assert (play.command.sources, play.command.stream) == ((Music("jazz"),), 1)
    bench.agree(1, session())
    assert bench.say(Reoffered(2, offer())) == [
        Answer(2, (PCMA, EVENTS), "sendrecv"),
        Audio(StopPlay(play.command.play)),
    ]
    assert bench.call.contact.segments[-1].kind == "talk"


def plays(bench: Bench) -> list[tuple[int, tuple[object, ...]]]:
    """What begins to be played to whom."""
    commands = [each.command for each in bench.of(Audio) if isinstance(each, Audio)]
    return [(command.stream, command.sources) for command in commands if isinstance(command, Play)]


def test_a_hold_with_codecs_that_the_other_side_sends_is_answered_at_once() -> None:
    bench = musical()
    bench.agree(2, session(codecs=(PCMU,)))
    bench.say(Reoffered(1, offer("sendonly", (PCMU, PCMA))))
    assert bench.of(Offer) == []
    [answer] = bench.of(Answer)
    assert isinstance(answer, Answer)
    assert (answer.codecs[0], answer.direction) == (PCMU, "recvonly")
    assert plays(bench) == [(2, (Music("default"),))]


def test_a_hold_with_codecs_that_the_other_side_has_to_take_asks_it_for_those_alone() -> None:
    bench = musical()
    bench.say(Reoffered(1, offer("sendonly", (PCMU,))))
    assert bench.last == [Offer(2, (PCMU, EVENTS), "sendrecv")]
    bench.say(Reanswered(2, session(codecs=(PCMU,))))
    assert bench.of(Answer) == [Answer(1, (PCMU, EVENTS), "sendrecv")]
    assert plays(bench) == [(2, (Music("default"),))]
    assert bench.call.contact.segments[-1].kind == "hold"


def test_an_offerless_reinvite_of_who_is_held_or_holds_is_offered_all() -> None:
    bench = musical()
    bench.say(Reoffered(1, offer("sendonly")))
    bench.agree(1, session("recvonly", peer="sendonly"))
    assert bench.say(Reoffered(1, None)) == [Answer(1, (PCMA, EVENTS), "sendrecv")]
    bench.say(Reanswered(1, session()))
    [stop] = [each.command for each in bench.of(Audio) if isinstance(each, Audio)]
    assert isinstance(stop, StopPlay)
    assert bench.call.contact.segments[-1].kind == "talk"


def test_music_ends_with_the_hold_though_the_class_is_gone_meanwhile() -> None:
    bench = musical()
    [_, play] = bench.say(Reoffered(1, offer("sendonly")))
    bench.agree(1, session("recvonly", peer="sendonly"))
    assert isinstance(play, Audio)
    assert isinstance(play.command, Play)
    bench.book.musics.clear()
    assert bench.say(Reoffered(1, offer())) == [Offer(2, (PCMA, PCMU, EVENTS), "sendrecv")]
    assert Audio(StopPlay(play.command.play)) in bench.say(Reanswered(2, session()))
    assert bench.call.contact.segments[-1].kind == "talk"


def test_music_begins_again_when_its_media_process_is_gone() -> None:
    bench = musical()
    [_, play] = bench.say(Reoffered(1, offer("sendonly")))
    bench.agree(1, session("recvonly", peer="sendonly"))
    assert isinstance(play, Audio)
    assert isinstance(play.command, Play)
    bench.say(MediaLost(2, "gone"))
    bench.call.audio_event(PlayEnded(play.command.play, "lost", "gone"), bench.now)
    effects = bench.say(Reanswered(2, session()))
    [again] = [each.command for each in effects if isinstance(each, Audio)]
    assert isinstance(again, Play)
    assert again.stream == 2


def test_without_music_for_the_one_a_hold_is_carried_to_it_alone() -> None:
    book = Book()
    book.musics = {"101": "jazz"}
    bench = Bench(sdp=offer(), book=book).talking()
    assert bench.say(Reoffered(1, offer("sendonly"))) == [Offer(2, (PCMA, PCMU, EVENTS), "sendonly")]
    bench.say(Reanswered(2, session("sendonly", peer="recvonly")))
    bench.agree(1, session("recvonly", peer="sendonly"))
    assert bench.say(Reoffered(1, offer())) == [Offer(2, (PCMA, PCMU, EVENTS), "sendrecv")]
    bench.say(Reanswered(2, session()))
    bench.agree(1, session())
    [answer, play] = bench.say(Reoffered(2, offer("sendonly")))
    assert answer == Answer(2, (PCMA, EVENTS), "recvonly")
    assert isinstance(play, Audio)


def test_only_a_new_address_does_not_bother_the_other_side() -> None:
    bench = Bench(sdp=offer()).talking()
    moved = offer(codecs=(PCMA,))
    moved.remote = MediaAddress("198.51.100.7", 9000, 9001)
    assert bench.say(Reoffered(1, moved)) == [Answer(1, (PCMA, EVENTS), "sendrecv")]


def test_rfc3311_early_update_is_carried_to_the_leg_of_the_early_media() -> None:
    bench = Bench(sdp=offer())
    bench.say(Progressed(2, 183, session()))
    bench.agree(1, session())
    assert bench.say(Reoffered(1, offer("sendonly"))) == [Offer(2, (PCMA, PCMU, EVENTS), "sendonly")]
    assert bench.say(Reanswered(2, session("sendonly", peer="recvonly"))) == [
        Answer(1, (PCMA, EVENTS), "recvonly"),
        Bridge(1, 2),
    ]
    assert bench.call.contact.segments[-1].kind == "ring"


def test_early_update_before_early_media_is_asked_again() -> None:
    bench = Bench(sdp=offer())
    assert bench.say(Reoffered(1, offer("sendonly"))) == [RefuseOffer(1, 491)]


def test_a_gateway_that_rings_is_told_to_be_alive() -> None:
    bench = Bench(sdp=offer())
    bench.say(Progressed(2, 180))
    bench.say(Progressed(2, 183))
    bench.say(Answered(2, session()))
    assert bench.book.lively == ["102"]


def test_an_offer_taken_back_is_undone_on_the_other_side() -> None:
    bench = Bench(sdp=offer()).talking()
    bench.say(Reoffered(1, offer("sendonly")))
    assert bench.say(OfferWithdrawn(1)) == []
    effects = bench.say(Reanswered(2, session("sendonly", peer="recvonly")))
    assert not any(isinstance(e, Answer) for e in effects)
    assert Offer(2, (PCMA, EVENTS), "sendrecv") in effects
    assert bench.say(Reanswered(2, session())) == [Bridge(1, 2)]


def test_refused_hold_leaves_things_as_they_were() -> None:
    bench = Bench(sdp=offer()).talking()
    bench.say(Reoffered(1, offer("sendonly")))
    assert bench.say(ReofferRefused(2, 488)) == [RefuseOffer(1, 488)]
    assert bench.call.state is State.TALKING


def test_rfc3261_14_2_second_offer_meets_491() -> None:
    bench = Bench(sdp=offer()).talking()
    bench.say(Reoffered(1, offer("sendonly")))
    assert bench.say(Reoffered(2, offer("sendonly"))) == [RefuseOffer(2, 491)]


def test_offerless_reinvite_gets_what_stands_and_the_change_is_carried() -> None:
    bench = Bench(sdp=offer()).talking()
    assert bench.say(Reoffered(1, None)) == [Answer(1, (PCMA, EVENTS), "sendrecv")]
    effects = bench.say(Reanswered(1, session("recvonly", peer="sendonly")))
    assert Offer(2, (PCMA, EVENTS), "sendonly") in effects


def test_re_offer_without_common_codec_is_488() -> None:
    bench = Bench(sdp=offer()).talking()
    g729 = PayloadType(18, Codec("G729"))
    assert bench.say(Reoffered(1, offer(codecs=(g729,)))) == [RefuseOffer(1, 488)]


def test_echo_answers_alone() -> None:
    book = Book()
    book.routes["*43"] = EchoDecision()
    bench = Bench("*43", offer(), book=book)
    assert bench.last == [Accept(1, (PCMA, EVENTS)), Echo(1)]
    assert bench.say(Reoffered(1, offer("sendonly")))[0] == Answer(1, (PCMA, EVENTS), "sendrecv")
    bench.say(Released(1, 16))
    assert bench.last[-1] == Finished()


def test_redirect_of_a_phone_is_dialled_with_its_rights() -> None:
    bench = Bench(sdp=offer())
    bench.say(Redirected(2, "103", Cause.NORMAL_UNSPECIFIED))
    assert [o.endpoint.name for o in bench.of(Originate)] == ["103", "103"]


def test_redirect_of_a_trunk_is_not_followed() -> None:
    book = Book()
    book.routes["0123"] = Dial((TrunkTarget("north", "0123"),))
    bench = Bench("0123", offer(), book=book)
    bench.say(Redirected(2, "00900123", Cause.NORMAL_UNSPECIFIED))
    assert bench.of(Originate) == []
    assert bench.of(Release) == [Release(1, Cause.CALL_REJECTED, 403)]


def test_silence_ends_the_call_on_both_sides() -> None:
    bench = Bench(sdp=offer()).talking()
    bench.say(MediaSilent(2, 60.0))
    assert bench.of(Release) == [
        Release(1, Cause.TIMER_EXPIRED, 0, "RTP timeout"),
        Release(2, Cause.TIMER_EXPIRED, 0, "RTP timeout"),
    ]
    bench.say(Released(1, 16, by_peer=False))
    assert bench.say(Released(2, 16, by_peer=False)) == [Finished()]


def test_events_of_legs_that_are_gone_are_nothing() -> None:
    bench = Bench(sdp=offer()).talking()
    bench.say(Released(2, 16))
    assert bench.say(Progressed(2, 180)) == []
    assert bench.say(Released(2, 16)) == []
    assert bench.say(ReofferRefused(2, 488)) == []
