"""The rule of recording, and one call's recordings as legs come and go."""

from __future__ import annotations

import itertools

import pytest

from media.audio_commands import (
    PauseRecording,
    RecordingEnded,
    RecordingFailed,
    RecordingStarted,
    SetRecordingChannels,
    StopRecording,
)
from softswitch.call_floor import OutLeg
from softswitch.call_recording import ALWAYS, NEVER, ON_DEMAND, CallRecorder, RecordingRefused, rule_of
from softswitch.contact import Contact
from softswitch.vocabulary import Audio, Endpoint, Party, Record, Released
from tests.unit.softswitch.test_call import POLICY, Bench, Book, offer, session

AB = ((1, 0), (2, 1))
AC = ((1, 0), (3, 1))


def recorder() -> tuple[CallRecorder, Contact]:
    contact = Contact("c1", 0.0, 1000.0, Party("101"), "102")
    ids = itertools.count(10)
    return CallRecorder(contact, lambda: next(ids)), contact


@pytest.mark.parametrize(
    ("route", "ends", "rule"),
    [
        ("", [], NEVER),
        ("", [("extension", ""), ("trunk", "")], NEVER),
        ("never", [("extension", "always")], NEVER),
        ("", [("extension", "never"), ("trunk", "always")], NEVER),
        ("", [("trunk", "always"), ("extension", "")], ALWAYS),
        ("", [("extension", "never"), ("extension", "on-demand")], ON_DEMAND),
        ("", [("extension", "always"), ("extension", "on-demand")], ALWAYS),
        ("", [("trunk", "never"), ("trunk", "on-demand")], ON_DEMAND),
    ],
)
def test_the_most_specific_word_decides(route: str, ends: list[tuple[str, str]], rule: str) -> None:
    assert rule_of(route, ends) == rule


def test_channels_follow_the_legs() -> None:
    calls, _ = recorder()
    assert calls.follow(AB) == []
    assert calls.begin(ALWAYS, AB) == [Record(10, AB)]
    assert calls.follow(AB) == []
    assert calls.follow(AC) == [Audio(SetRecordingChannels(10, AC))]
    assert calls.end() == [Audio(StopRecording(10))]
    assert calls.end() == []
    assert calls.follow(AB) == []


def test_a_leg_that_takes_anothers_place_takes_its_channel() -> None:
    book = Book()
    book.records["101"] = ALWAYS
    bench = Bench(sdp=offer(), book=book).talking()
    # What a transfer will do: another leg talks with A in B's stead.
    call = bench.call
    replaced = call._out[3] = OutLeg(Endpoint("trunk", "north", POLICY, None))
    replaced.session = session()
    call.b = 3
    call._join(3)
    [command] = [effect.command for effect in call._take() if isinstance(effect, Audio)]
    assert isinstance(command, SetRecordingChannels)
    assert command.channels == ((1, 0), (3, 1)), "nobody changes channel"
    effects = bench.say(Released(3, 16))
    assert Audio(StopRecording(command.recording)) in effects


def test_a_recording_of_a_call_ends_before_its_legs_do() -> None:
    book = Book()
    book.records["102"] = ALWAYS
    bench = Bench(sdp=offer(), book=book).talking()
    effects = [type(effect).__name__ for effect in bench.say(Released(2, 16))]
    assert effects.index("Audio") < effects.index("Release")


def test_what_the_engine_says_is_written_down() -> None:
    calls, contact = recorder()
    calls.begin(ALWAYS, AB)
    calls.heard(RecordingStarted(10, "/r/1.wav"), 5.0)
    calls.heard(RecordingStarted(99, "/r/other.wav"), 5.0)
    [note] = contact.recordings
    assert (note.path, note.started, note.over, note.failed) == ("/r/1.wav", 5.0, False, "")
    calls.heard(RecordingFailed(10, "", "disk full"), 6.0)
    assert (note.path, note.over, note.failed) == ("/r/1.wav", True, "disk full")
    assert calls.recording == 0
    assert calls.command("start", AB) == [Record(11, AB)]
    calls.heard(RecordingEnded(10, "/r/1.wav", 3.0), 7.0)
    assert calls.recording == 11, "the end of another does not end this one"


def test_what_the_rule_has_begun_is_its_own_until_it_is_stopped() -> None:
    calls, _ = recorder()
    calls.begin(ALWAYS, AB)
    assert calls.by_rule
    calls.heard(RecordingFailed(10, "", "media worker media-0 lost"), 6.0)
    calls.command("start", AB)
    assert calls.by_rule, "it takes the place of what was lost"
    calls.command("stop", AB)
    calls.command("start", AB)
    assert not calls.by_rule


def test_what_was_asked_for_with_the_call_is_begun_once() -> None:
    calls, _ = recorder()
    assert calls.begin(NEVER, AB, asked=True) == [Record(10, AB)]
    assert (calls.rule, calls.by_rule) == (ON_DEMAND, False)
    calls.command("stop", AB)
    assert calls.begin(NEVER, AC, asked=True) == []
    assert calls.command("start", AC) == [Record(11, AC)]


def test_after_the_end_nothing_can_be_recorded() -> None:
    calls, _ = recorder()
    calls.begin(ON_DEMAND, AB)
    calls.end()
    with pytest.raises(RecordingRefused):
        calls.command("start", AB)


def test_a_recording_that_was_lost_with_its_process_goes_on_in_another_file() -> None:
    calls, contact = recorder()
    calls.begin(ON_DEMAND, AB)
    assert calls.again(AB) == [], "nobody has begun one"
    calls.command("start", AB)
    assert calls.again(AB) == [], "it runs"
    calls.heard(RecordingFailed(10, "", "media worker media-0 lost"), 6.0)
    assert calls.again(AC) == [Record(11, AC)]
    assert calls.again(AC) == []
    assert [note.recording for note in contact.recordings] == [10, 11]


def test_a_pause_outlives_the_process() -> None:
    calls, _ = recorder()
    calls.begin(ALWAYS, AB)
    calls.command("pause", AB)
    calls.heard(RecordingFailed(10, "", "media worker media-0 lost"), 6.0)
    assert calls.again(AB) == [Record(11, AB), Audio(PauseRecording(11, True))]
    assert calls.paused


def test_what_is_wished_while_there_is_no_process_holds_for_the_next() -> None:
    for actions, then in (
        (["pause"], [Record(11, AB), Audio(PauseRecording(11, True))]),
        (["pause", "resume"], [Record(11, AB)]),
        (["stop"], []),
    ):
        calls, _ = recorder()
        calls.begin(ALWAYS, AB)
        calls.heard(RecordingFailed(10, "", "media worker media-0 lost"), 6.0)
        for action in actions:
            with pytest.raises(RecordingRefused, match="not recorded"):
                calls.command(action, AB)
        assert calls.again(AB) == then


def test_what_has_ended_is_not_begun_again() -> None:
    calls, _ = recorder()
    calls.begin(ALWAYS, AB)
    calls.heard(RecordingEnded(10, "/r/1.wav", 3.0), 6.0)
    assert calls.again(AB) == []
    calls, _ = recorder()
    calls.begin(ALWAYS, AB)
    calls.heard(RecordingFailed(10, "", "disk full"), 6.0)
    calls.end()
    assert calls.again(AB) == []
