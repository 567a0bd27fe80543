"""What a change of a call leaves behind, or loses: supervisors, offers that wait, tones, recordings, accounts."""

from __future__ import annotations

import pytest

from media.audio_commands import Digit, StartRecording
from sip.ua_events import AnswerReceived, Offered
from softswitch.call_coded import NUMBER_WANTED
from softswitch.call_commands import Complete, Consult, Park, Return, Supervise, Transfer
from softswitch.call_media import Carried
from softswitch.call_transfer import TransferRefused
from softswitch.feature_speech import ERROR_TONE
from softswitch.vocabulary import Reanswered
from tests.virtual.joined_floor import LOT, Floor, supervised
from tests.virtual.network import PCMU
from tests.virtual.test_call_codes import Keys
from tests.virtual.test_changes import direction, obliging
from tests.virtual.test_consult import Desk, pair


@pytest.mark.parametrize("target", ["8001", "*43"])
def test_a_supervisor_goes_when_the_caller_is_sent_to_a_service(target: str) -> None:
    floor = supervised("barge", **LOT)
    [contact] = floor.world.runtime.calls
    floor.world.runtime.command(Transfer(contact, "102", target), floor.world.now)
    floor.world.run(0.5)
    assert not floor.sessions("102")
    assert not floor.sessions("104"), "nobody is left to be supervised"
    assert set(floor.hearing()) <= {"101"}, "an echo, if anything"
    floor.hang_up(floor.sessions("101")[0])
    floor.over("caller")


def test_an_offer_of_one_who_leaves_for_another_call_is_refused() -> None:
    """Ann's offer waits for Ben, who leaves her to Cyd before he has answered it: she may ask again."""
    floor = Floor()
    floor.call("102", "103")
    second = floor.sessions("102")[0]
    ann = floor.call("101", "102")
    [first] = [each for each in floor.sessions("102") if each is not second]
    floor["101"].do(ann.offer, floor["101"].sdp((PCMU,), direction="sendonly"))
    floor.world.run(0.2)
    assert floor["102"].of(Offered)
    assert floor.transfer("102", second, first)[-1] == 200
    assert floor["101"].got("491 INVITE") or floor["101"].got("488 INVITE")
    assert not ann.offer_pending
    assert floor.hearing() == pair("101", "103")
    floor.hang_up(ann)
    floor.over("callee", "transfer")


def test_the_tone_for_a_number_ends_with_the_move_to_another_call() -> None:
    """Ann dials a code; her partner leaves her to Cyd meanwhile."""
    floor = Floor(feature_codes={"in_call": {"blind_transfer": "##"}})
    floor.call("102", "103")
    [second] = floor.sessions("102")
    ann = floor.call("101", "102")
    [first] = [each for each in floor.sessions("102") if each is not second]
    [leg] = [leg for leg, number in floor.legs.items() if number == "101"]
    for _ in range(2):
        floor.world.media.events.append(Digit(leg, "#", 100, "rfc4733"))
        floor.world.link.settle()
        floor.world.run(0.2)
    assert floor.music()["101"] == NUMBER_WANTED
    # Cyd's is the older one, so that Ann's leg moves.
    assert floor.transfer("102", second, first)[-1] == 200
    assert (floor.hearing(), floor.music()) == (pair("101", "103"), {})
    floor.world.run(20.0)
    assert (floor.hearing(), floor.music()) == (pair("101", "103"), {})
    floor.hang_up(ann)
    floor.over("callee", "transfer")


# ---- early media ----------------------------------------------------------------------------------------


def test_an_offer_to_early_media_that_is_over_is_refused() -> None:
    """Ann holds while she hears Ben's early media; Cyd takes the call, and Ann's telephone holds that."""
    floor = Floor(
        ring_groups={"all": {"members": ["102", "103"]}},
        routes=[{"to": "600", "ring_group": "all"}],
    )
    ann = floor["101"].dial("600")
    floor.world.run(0.2)
    ben, cyd = floor["102"], floor["103"]
    ben.ring(183, ben.sdp(), reliable=True)
    floor.world.run(0.3)
    floor["101"].do(ann.offer, floor["101"].sdp((PCMU,), direction="sendonly"))
    floor.world.run(0.2)
    assert ben.of(Offered)
    obliging(floor["101"])
    obliging(cyd)
    cyd.answer()
    floor.world.run(0.5)
    floor.world.run(6.0)  # it asks once more
    assert not floor["101"].got("491 INVITE")
    assert not ann.offer_pending
    assert direction(floor["101"].last(AnswerReceived).sdp) == "recvonly"
    floor.world.runtime.command(Transfer("101", "103", "104"), floor.world.now)
    floor.world.run(0.2)
    floor["101"].do(ann.hangup)
    floor.over("caller")


# ---- transfers ------------------------------------------------------------------------------------------


def test_who_has_completed_is_gone_for_the_call_though_its_telephone_says_nothing() -> None:
    """Ben leaves Ann to Cyd, who rings, and is not heard of any more; Cyd refuses: Ben is rung again."""
    desk = Desk()
    desk.do(Consult(desk.contact, "102", "103"))
    desk.cyd.ring()
    desk.world.run(0.3)
    desk.world.link.nodes.pop(desk.ben.host)  # unplugged
    desk.do(Complete(desk.contact, "102"))
    desk.cyd.refuse(486)
    desk.world.link.nodes[desk.ben.host] = desk.ben
    desk.world.run(0.3)
    [active] = desk.world.runtime.calls.values()
    assert active.call.b is None
    assert active.call._hunt is not None, "its extension rings"
    desk.world.runtime.hang_up_all(16, desk.world.now, "")
    desk.world.run(40.0)


def test_the_fallback_of_a_parked_caller_is_on_the_account_of_who_has_parked_it() -> None:
    """Ann came by a trunk, which may call nothing; Ben may, and has parked her."""
    lot = {"main": {"slots": "701", "timeout": 60, "fallback": "104", "announce": False}}
    desk = Desk(parking=lot)
    desk.do(Park(desk.contact, "102"))
    desk.world.run(61.0)
    [active] = desk.world.runtime.calls.values()
    assert (active.call._payer.name, active.call._payer.forwarded) == ("102", True)
    desk.world.runtime.hang_up_all(16, desk.world.now, "")
    desk.world.run(40.0)


def test_who_is_consulted_is_not_where_the_call_went() -> None:
    desk = Desk()
    desk.consult()
    desk.do(Return(desk.contact, "102"))
    desk.hang_up(desk.ann)
    [record] = desk.world.assert_over()
    assert record.destination == "102"


@pytest.mark.parametrize("rings", [True, False])
def test_who_is_left_to_another_has_gone_there(rings: bool) -> None:
    desk = Desk()
    if rings:
        desk.do(Consult(desk.contact, "102", "103"))
        desk.do(Complete(desk.contact, "102"))
        desk.cyd.answer()
        desk.world.run(0.5)
    else:
        desk.consult()
        desk.do(Complete(desk.contact, "102"))
    desk.hang_up(desk.cyd)
    [record] = desk.world.assert_over()
    assert record.destination == "103"


def test_who_fetches_a_parked_caller_is_where_the_call_went() -> None:
    floor = Floor(parking={"main": {"slots": "701", "announce": False}}, routes=LOT["routes"])
    floor.call("101", "102")
    [contact] = floor.world.runtime.calls
    floor.world.runtime.command(Park(contact, "102"), floor.world.now)
    floor.world.run(0.3)
    floor.dial("103", "701")
    floor.hang_up(floor.sessions("103")[0])
    [record] = floor.world.assert_over(1)
    assert record.destination == "103"


# ---- recordings -----------------------------------------------------------------------------------------


def test_a_recording_is_not_begun_while_nobody_talks() -> None:
    """The code for it, dialled by one who waits for an answer."""
    desk = Keys(extensions={"102": {"record": "on-demand"}})
    desk.dial("*2103#")
    desk.dial("*1")
    assert not desk.world.media.asked(StartRecording)
    assert desk.beeps()[-1] == ("102", (ERROR_TONE,))
    desk.answers()
    desk.dial("*1")
    assert len(desk.world.media.asked(StartRecording)) == 1
    desk.world.runtime.hang_up_all(16, desk.world.now, "")
    desk.world.run(40.0)


@pytest.mark.parametrize("how", ["retrieve", "attended", "pick up"])
def test_who_is_always_recorded_is_so_however_it_comes(how: str) -> None:
    floor = Floor(
        parking={"main": {"slots": "701", "announce": False}},
        routes=LOT["routes"],
        extensions={"103": {"record": "always", "groups": ["all"]}, "102": {"groups": ["all"]}},
    )
    if how == "pick up":
        floor.dial("101", "102")
        floor["102"].ring()
        floor.world.run(0.2)
        floor.replace("103", "102", floor["102"].called())
    elif how == "attended":
        floor.call("101", "102")
        [first] = floor.sessions("102")
        floor.call("102", "103")
        [second] = [each for each in floor.sessions("102") if each is not first]
        floor.transfer("102", first, second)
    else:
        floor.call("101", "102")
        [contact] = floor.world.runtime.calls
        floor.world.runtime.command(Park(contact, "102"), floor.world.now)
        floor.world.run(0.3)
        floor.dial("103", "701")
    assert floor.hearing() == pair("101", "103")
    started = floor.world.media.asked(StartRecording)[-1]
    assert {floor.legs[stream] for stream, _ in started.channels} == {"101", "103"}
    assert "on" in [active.call.recording for active in floor.world.runtime.calls.values()]
    floor.world.runtime.hang_up_all(16, floor.world.now, "")
    floor.world.run(40.0)


# ---- bounds ---------------------------------------------------------------------------------------------


def test_no_more_are_called_in_to_supervise_than_may() -> None:
    team = {str(n): {"supervises": ["all"], "groups": ["all"]} for n in range(101, 108)}
    floor = Floor(extensions=team)
    floor.call("101", "102")
    for number in ("106", "107"):
        floor.phones[number] = floor.world.phone(number)
    for number in ("103", "104", "105", "106"):
        floor.world.runtime.command(Supervise("102", number), floor.world.now)
    floor.world.run(0.3)
    with pytest.raises(TransferRefused, match="4 supervise"):
        floor.world.runtime.command(Supervise("102", "107"), floor.world.now)
    for number in ("103", "104", "105", "106"):
        floor[number].answer()
    floor.world.run(0.5)
    assert floor.world.media.hearing()
    [active] = floor.world.runtime.calls.values()
    assert len(active.call._supervisors) == 4
    floor.hang_up(floor.sessions("101")[0])
    floor.over("caller")


def test_the_late_answer_of_one_aside_is_not_taken_for_that_of_who_talks() -> None:
    """Ann, who waits, answers an offer from before; what Cyd has asked of Ben stays under way."""
    desk = Desk()
    obliging(desk.ben)
    desk.consult()
    desk.cyd.do(desk.cyd.called_session().offer, desk.cyd.sdp(direction="sendonly"))
    desk.world.run(0.3)
    [active] = desk.world.runtime.calls.values()
    asker, aside = desk.legs["103"], desk.legs["101"]
    session = active.call._session_of(aside)
    assert session is not None
    active.call._carried = Carried(asker, None)
    active.call.handle(Reanswered(aside, session), desk.world.now)
    assert active.call._carried is not None
    active.call._carried = None
    desk.hang_up(desk.ann)
    desk.world.runtime.hang_up_all(16, desk.world.now, "")
    desk.world.assert_over()
