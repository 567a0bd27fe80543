"""Video between two phones on the whole switch: who is offered what, whose streams are joined, and what is left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from media.commands import StreamSettings, StreamStats
from media.sdp import MediaDescription, parse
from sip.invite import InviteSession
from sip.ua import UaSettings
from sip.ua_events import AnswerReceived, Offered, SessionAnswered, SessionArrived, SessionFailed
from softswitch.call_commands import AnyCallCommand, Complete, Conference, Consult, Hold, Resume, Transfer
from tests.virtual.network import SWITCH, WORKERS, Phone, World, settings
from tests.virtual.test_media_workers import WorkersWorld

H264 = "profile-level-id=42e01f;packetization-mode=1"
SEEN = {number: {"video": True} for number in ("101", "102", "103")}


def with_video(phone: Phone, way: str = "sendrecv", number: int = 97, port: int = 2, **more: Any) -> bytes:
    """The phone's description with H.264, on the port after its audio's; port 0: refused."""
    lines = [
        f"m=video {phone.port + port if port else 0} RTP/AVP {number}",
        f"a=rtpmap:{number} H264/90000",
        f"a=fmtp:{number} {H264}",
        f"a=rtcp-fb:{number} nack pli",
        f"a={way}",
    ]
    return phone.sdp(**more) + "".join(f"{line}\r\n" for line in lines).encode()


def without(phone: Phone, **more: Any) -> bytes:
    return with_video(phone, port=0, **more)


def video(body: bytes) -> MediaDescription | None:
    """The video line of a description, which never changes its place."""
    lines = parse(body).media
    assert lines[0].kind == "audio"
    return lines[1] if len(lines) > 1 else None


def shown(body: bytes) -> str:
    """The direction of its video; "" where there is none."""
    line = video(body)
    return line.section.attributes[-1] if line is not None and line.port else ""


class Pair:
    """Ann calls Ben with video; each answers with video, or as told."""

    def __init__(self, ben_answers: Any = with_video, **configured: Any) -> None:
        configured.setdefault("extensions", SEEN)
        self.world = World(settings(**configured))
        agent = UaSettings(refer=True)
        self.ann, self.ben, self.cyd = (self.world.phone(n, agent=agent) for n in ("101", "102", "103"))
        self.session = self.ann.dial("102", with_video(self.ann))
        self.world.run(0.2)
        self.offer = self.ben.last(SessionArrived).session.remote_offer
        self.ben.answer(ben_answers(self.ben))
        self.world.run(0.5)

    @property
    def answer(self) -> bytes:
        found = self.ann.last(SessionAnswered).sdp
        assert isinstance(found, bytes)
        return found

    def streams(self) -> dict[str, tuple[int, StreamSettings]]:
        """Streams of video that are configured, by the host of their peer."""
        streams = self.world.media.streams
        return {s.remote.host: (stream, s) for stream, s in streams.items() if s is not None and s.as_is}

    def seen(self) -> list[tuple[str, str]]:
        """Whose video streams are joined."""
        streams = self.streams()
        hosts = {stream: host for host, (stream, _) in streams.items()}
        bridges = self.world.media.bridges
        pairs = {tuple(sorted((hosts[a], hosts[b]))) for a, b in bridges.items() if a in hosts}
        return sorted(pairs)  # type: ignore[arg-type]

    def over(self) -> None:
        phone = self.ann if self.ann.ua.sessions else self.ben
        phone.do(phone.called_session().hangup)
        self.world.assert_over()
        assert len(self.world.runtime.streams.video) == 0


REVERSE = {"sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
SERVICES: tuple[dict[str, Any], ...] = (
    {"answer_and_echo": True},
    {"answer_and_conference": "team"},
    {"answer_and_play": {"silence": 9}},
)
ANN, BEN, CYD = "192.0.2.101", "192.0.2.102", "192.0.2.103"


def answers(phone: Phone, how: Any) -> None:
    """The phone answers every re-offer by `how(offer)`, which gives a description or a status to refuse with."""

    def on_event(event: Any, now: float) -> None:
        if isinstance(event, Offered) and event.sdp is not None:
            said = how(event.sdp)
            if isinstance(said, int):
                event.session.reject_offer(said, now)
            else:
                event.session.answer(said, now)

    phone.on_event = on_event


def obliging(phone: Phone) -> None:
    """It answers with video where it is offered some."""
    answers(phone, lambda offer: with_video(phone) if shown(offer) else without(phone) if video(offer) else phone.sdp())


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    for phone in (pair.ann, pair.ben):
        phone.events.clear()
        obliging(phone)
    yield pair
    pair.over()


def test_both_have_video() -> None:
    pair = Pair(lambda phone: with_video(phone, number=120))
    line = video(pair.offer)
    assert line is not None
    assert line.section.attributes == ("rtpmap:97 H264/90000", f"fmtp:97 {H264}", "rtcp-fb:97 nack pli", "sendrecv")
    assert shown(pair.answer) == "sendrecv"
    for body in (pair.offer, pair.answer):
        assert len({media.port for media in parse(body).media}) == 2
    streams = pair.streams()
    assert {host: s.formats[0][0] for host, (_, s) in streams.items()} == {ANN: 97, BEN: 120}
    assert streams[BEN][1].receives[0][0] == 97
    assert all(s.silence_after is None and s.remote.port % 10 == 2 for _, s in streams.values())
    assert pair.seen() == [(ANN, BEN)]
    audio = [stream for stream, s in pair.world.media.streams.items() if s is not None and not s.as_is]
    assert pair.world.media.bridges[audio[0]] == audio[1]
    pair.over()


@pytest.mark.parametrize("refused", [without, Phone.sdp])
def test_ben_has_none(refused: Any) -> None:
    pair = Pair(refused)
    assert shown(pair.offer) == "sendrecv"
    assert shown(pair.answer) == ""
    assert len(parse(pair.answer).media) == 2
    assert pair.streams() == {}
    assert len(pair.world.media.streams) == 2
    pair.over()


@pytest.mark.parametrize("who", ["101", "102"])
def test_one_may_not(who: str) -> None:
    pair = Pair(Phone.sdp, extensions={**SEEN, who: {}})
    assert video(pair.offer) is None
    assert shown(pair.answer) == ""
    assert len(pair.world.media.streams) == 2
    pair.over()


def test_no_video_unless_it_is_said() -> None:
    pair = Pair(Phone.sdp, extensions={})
    assert video(pair.offer) is None
    pair.over()


@pytest.mark.parametrize("status", [415, 488, 606])
def test_a_phone_that_refuses_the_whole_offer_is_called_with_audio_alone(status: int) -> None:
    world = World(settings(extensions=SEEN))
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102", with_video(ann))
    world.run(0.2)
    ben.refuse(status)
    world.run(0.5)
    assert video(ben.called().remote_offer or b"") is None
    ben.answer()
    world.run(0.5)
    assert shown(ann.last(SessionAnswered).sdp) == ""
    assert not ann.of(SessionFailed)
    ann.do(ann.called_session().hangup)
    world.assert_over()


def test_where_no_port_is_left_for_video_there_is_audio() -> None:
    if WORKERS:
        pair = Pair()
        pair.over()
        return
    world = World(settings(extensions=SEEN), ports=2)
    ann, ben = world.phone("101"), world.phone("102")
    ann.dial("102", with_video(ann))
    world.run(0.2)
    assert video(ben.last(SessionArrived).session.remote_offer) is None
    ben.answer()
    world.run(0.5)
    assert shown(ann.last(SessionAnswered).sdp) == ""
    assert world.runtime.counters["video left out: no media ports"] == 1
    ann.do(ann.called_session().hangup)
    world.assert_over()


# --- changes --------------------------------------------------------------------------------------------------


def change(phone: Phone, body: bytes, world: World, status: int = 200) -> bytes:
    """The phone offers this; what it is answered."""
    session: InviteSession = phone.called_session()
    phone.do(session.offer, body)
    world.run(0.5)
    found = phone.last(AnswerReceived).sdp
    assert isinstance(found, bytes)
    return found


@pytest.mark.parametrize("by", ["ann", "ben"])
def test_video_is_dropped_and_comes_back_by_either(pair: Pair, by: str) -> None:
    phone = getattr(pair, by)
    other = pair.ben if by == "ann" else pair.ann
    assert shown(change(phone, without(phone), pair.world)) == ""
    assert shown(other.last(Offered).sdp) == ""
    assert len(parse(other.last(Offered).sdp).media) == 2
    assert pair.streams() == {}
    assert len(pair.world.media.streams) == 2
    assert shown(change(phone, with_video(phone), pair.world)) == "sendrecv"
    assert shown(other.last(Offered).sdp) == "sendrecv"
    assert pair.seen() == [(ANN, BEN)]


def test_video_is_added_to_a_call_that_began_without() -> None:
    pair = Pair(extensions={**SEEN})
    pair.over()
    world = World(settings(extensions=SEEN))
    ann, ben = world.phone("101"), world.phone("102")
    world.establish(ann, ben)
    obliging(ben)
    assert shown(change(ann, with_video(ann), world)) == "sendrecv"
    assert [media.kind for media in parse(ben.last(Offered).sdp).media] == ["audio", "video"]
    assert len(world.media.bridges) == 4
    ann.do(ann.called_session().hangup)
    world.assert_over()


@pytest.mark.parametrize("refusal", ["line", 488])
def test_whoever_refuses_video_in_a_call_goes_on_with_audio(refusal: str | int) -> None:
    world = World(settings(extensions=SEEN))
    ann, ben = world.phone("101"), world.phone("102")
    world.establish(ann, ben)
    answers(ben, lambda offer: refusal if isinstance(refusal, int) else without(ben))
    assert shown(change(ann, with_video(ann), world)) == ""
    assert ben.of(Offered)
    assert len(world.media.bridges) == 2
    assert len(world.media.streams) == 2
    ann.do(ann.called_session().hangup)
    world.assert_over()


def test_a_refresh_and_a_new_port_for_video_are_nothing_to_the_other(pair: Pair) -> None:
    assert shown(change(pair.ann, with_video(pair.ann, port=4), pair.world)) == "sendrecv"
    assert not pair.ben.of(Offered)
    assert pair.streams()[ANN][1].remote.port % 10 == 4
    assert pair.seen() == [(ANN, BEN)]


@pytest.mark.parametrize(
    ("way", "back"), [("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive")]
)
def test_the_direction_of_video_is_carried(pair: Pair, way: str, back: str) -> None:
    answers(pair.ben, lambda offer: with_video(pair.ben, REVERSE[way]))
    assert shown(change(pair.ann, with_video(pair.ann, way), pair.world)) == back
    assert shown(pair.ben.last(Offered).sdp) == way
    streams = pair.streams()
    assert (streams[ANN][1].send, streams[ANN][1].receive) == (way == "recvonly", way == "sendonly")


def test_hold_without_music_holds_both() -> None:
    pair = Pair()
    answers(pair.ben, lambda offer: with_video(pair.ben, "recvonly", direction="recvonly"))
    held = change(pair.ann, with_video(pair.ann, "sendonly", direction="sendonly"), pair.world)
    assert shown(held) == "recvonly"
    obliging(pair.ben)
    assert shown(change(pair.ann, with_video(pair.ann), pair.world)) == "sendrecv"
    assert shown(pair.ben.last(Offered).sdp) == "sendrecv"
    pair.over()


def test_hold_with_music_stops_the_video_and_lets_it_go_on() -> None:
    """The hold is the holder's alone: the one that is held is offered nothing, and sees nothing."""
    pair = Pair(extensions={number: {"video": True, "music_on_hold": "default"} for number in ("101", "102", "103")})
    pair.ben.events.clear()
    held = change(pair.ann, with_video(pair.ann, "sendonly", direction="sendonly"), pair.world)
    assert shown(held) == "inactive"
    [active] = pair.world.runtime.calls.values()
    assert active.call._music
    streams = pair.streams()
    assert (streams[ANN][1].send, streams[ANN][1].receive) == (False, False)
    assert not pair.ben.of(Offered)
    assert shown(change(pair.ann, with_video(pair.ann), pair.world)) == "sendrecv"
    streams = pair.streams()
    assert (streams[ANN][1].send, streams[ANN][1].receive) == (True, True)
    assert pair.seen() == [(ANN, BEN)]
    assert not pair.ben.of(Offered)
    pair.over()


def test_a_late_offer_brings_no_video_but_it_can_be_added() -> None:
    world = World(settings(extensions=SEEN))
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", None)
    world.run(0.2)
    ben.answer()
    world.run(0.2)
    assert video(ann.last(Offered).sdp) is None
    ann.do(session.answer, ann.sdp())
    world.run(0.5)
    obliging(ann)
    assert shown(change(ben, with_video(ben), world)) == "sendrecv"
    assert len(world.media.bridges) == 4
    ann.do(ann.called_session().hangup)
    world.assert_over()


# --- where there is none --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "service", [{"answer_and_echo": True}, {"answer_and_conference": "team"}, {"answer_and_play": {"silence": 9}}]
)
def test_services_of_the_switch_are_audio(service: dict[str, Any]) -> None:
    world = World(settings(extensions=SEEN, routes=[{"to": "800", **service}]))
    ann = world.phone("101")
    ann.dial("800", with_video(ann))
    world.run(0.5)
    answer = ann.last(SessionAnswered).sdp
    assert len(parse(answer).media) == 2
    assert shown(answer) == ""
    assert len(world.media.streams) == 1
    ann.do(ann.called_session().hangup)
    world.assert_over()


@pytest.mark.parametrize(("cyd_has", "refused"), [(True, False), (True, True), (False, True)])
def test_a_transfer_takes_video_along_where_the_new_one_has_some(pair: Pair, cyd_has: bool, refused: bool) -> None:
    [contact] = pair.world.runtime.calls
    pair.world.runtime.command(Transfer(contact, "102", "103"), pair.world.now)
    pair.world.link.settle()
    pair.world.run(0.3)
    assert pair.seen() == []
    assert shown(pair.cyd.last(SessionArrived).session.remote_offer) == "sendrecv"
    if refused:
        # Who waits asks again: there is nobody to see.
        assert shown(change(pair.ann, with_video(pair.ann), pair.world)) == ""
    obliging(pair.cyd)
    pair.cyd.answer(with_video(pair.cyd) if cyd_has else pair.cyd.sdp())
    pair.world.run(1.0)
    both = cyd_has and not refused
    assert pair.seen() == ([(ANN, CYD)] if both else [])
    assert len(pair.world.media.streams) == (4 if both else 2)
    if not both:
        # And it comes back when one of the two offers it.
        obliging(pair.ann)
        assert shown(change(pair.cyd, with_video(pair.cyd), pair.world)) == "sendrecv"
        assert pair.seen() == [(ANN, CYD)]


def do(pair: Pair, command: AnyCallCommand) -> None:
    pair.world.runtime.command(command, pair.world.now)
    pair.world.link.settle()
    pair.world.run(0.5)


def test_a_consultation_is_seen_and_completed(pair: Pair) -> None:
    """Ben sees Cyd while Ann waits; then Ann and Cyd see each other, and nobody had to be asked."""
    [contact] = pair.world.runtime.calls
    do(pair, Consult(contact, "102", "103"))
    pair.cyd.answer(with_video(pair.cyd))
    pair.world.run(0.5)
    assert pair.seen() == [(BEN, CYD)]
    do(pair, Complete(contact, "102"))
    assert pair.seen() == [(ANN, CYD)]
    assert not pair.ann.of(Offered)
    assert len(pair.world.media.streams) == 4


def test_three_talk_and_see_nobody_until_two_are_left(pair: Pair) -> None:
    [contact] = pair.world.runtime.calls
    do(pair, Consult(contact, "102", "103"))
    pair.cyd.answer(with_video(pair.cyd))
    pair.world.run(0.5)
    do(pair, Conference(contact, "102"))
    assert pair.seen() == []
    assert shown(change(pair.ann, with_video(pair.ann), pair.world)) == ""
    pair.cyd.do(pair.cyd.called_session().hangup)
    pair.world.run(1.0)
    # Ann's has been refused meanwhile, so Ben's is dropped, and either may bring it back.
    assert pair.seen() == []
    assert shown(pair.ben.last(Offered).sdp) == ""
    assert shown(change(pair.ann, with_video(pair.ann), pair.world)) == "sendrecv"
    assert pair.seen() == [(ANN, BEN)]


def test_a_hold_by_command_stops_the_video(pair: Pair) -> None:
    [contact] = pair.world.runtime.calls
    do(pair, Hold(contact, "101"))
    assert pair.seen() == []
    do(pair, Resume(contact, "101"))
    assert pair.seen() == [(ANN, BEN)]


@pytest.mark.parametrize("cyd_has", [True, False])
def test_a_leg_that_moves_to_another_call_takes_its_video_along(cyd_has: bool) -> None:
    """Ben talks to Ann in one call and to Cyd in another, and joins the two by REFER with Replaces."""
    pair = Pair()
    world, ann, ben, cyd = pair.world, pair.ann, pair.ben, pair.cyd
    first = ben.called_session()
    second = ben.dial("103", with_video(ben, port=4))
    world.run(0.2)
    cyd.answer(with_video(cyd) if cyd_has else cyd.sdp())
    world.run(0.5)
    for phone in (ann, cyd):
        phone.events.clear()
        obliging(phone)
    replaces = f"{second.call_id}%3Bto-tag%3D{second.remote_tag}%3Bfrom-tag%3D{second.local_tag}"
    ben.do(first.refer, f"<sip:103@{SWITCH}?Replaces={replaces}>", None, sub=True)
    world.run(1.0)
    assert len(world.runtime.calls) == 1
    if not cyd_has:
        assert shown(ann.last(Offered).sdp) == ""
        assert len(world.media.streams) == 2
        assert shown(change(cyd, with_video(cyd), world)) == "sendrecv"
    assert pair.seen() == [(ANN, CYD)]
    assert len(world.media.streams) == 4
    ann.do(ann.called_session().hangup)
    world.run(40.0)
    assert world.node.leftovers() == {}
    assert len(world.runtime.streams.video) == 0


def test_what_was_seen_is_in_the_leg_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all the streams that a leg's video has had, one after the other."""
    told = StreamStats(packets_received=7, packets_sent=5, lost=2)
    monkeypatch.setattr("tests.virtual.network.StreamStats", lambda: told)
    pair = Pair()
    obliging(pair.ben)
    change(pair.ann, without(pair.ann), pair.world)
    change(pair.ann, with_video(pair.ann), pair.world)
    [active] = pair.world.runtime.calls.values()
    pair.over()
    for leg in active.call.contact.legs:
        assert leg.stats is not None
        assert leg.video_packets_in == 2 * leg.stats.packets_received
        assert leg.video_lost == 2 * leg.stats.lost


def test_video_whose_media_worker_died_comes_back_with_the_audio() -> None:
    """All four streams are lost: each leg is offered both anew, and joined again."""
    world = WorkersWorld(2, extensions=SEEN)
    ann, ben = world.phone("101"), world.phone("102")
    session = ann.dial("102", with_video(ann))
    world.run(0.2)
    ben.answer(with_video(ben))
    world.run(0.5)
    for phone in (ann, ben):
        phone.events.clear()
        obliging(phone)
    assert len(world.media.bridges) == 4
    home = world.home()
    world.kill(home)
    world.run(1.0)
    assert [shown(phone.last(Offered).sdp) for phone in (ann, ben)] == ["sendrecv", "sendrecv"]
    assert world.home() == 1 - home
    assert len(world.media.bridges) == 4
    assert len(world.media.streams) == 4
    ann.do(session.hangup)
    world.assert_over()
    assert len(world.runtime.streams.video) == 0
