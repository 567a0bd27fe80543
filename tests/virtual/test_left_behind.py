"""What a change of a call leaves behind, or loses: supervisors, offers that wait, tones, recordings, accounts."""

from __future__ import annotations

import pytest

from media.audio_commands import Digit, Music, Play, StartRecording
from sip.ua_events import AnswerReceived, Offered
from softswitch.call_commands import Complete, Consult, Park, Return, Supervise, Transfer
from softswitch.call_coded import NUMBER_WANTED
from softswitch.feature_speech import ERROR_TONE
from tests.virtual.network import PCMU
from tests.virtual.test_call_codes import Keys
from tests.virtual.test_changes import direction, obliging
from tests.virtual.test_consult import Desk, pair
from tests.virtual.test_joined_calls import LOT, TEAM, Floor, supervised


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
