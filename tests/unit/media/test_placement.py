"""Which worker carries which stream; what becomes of streams whose worker or whose signalling is gone."""

from __future__ import annotations

import pytest

from media.audio_commands import (
    CloseRoom,
    Play,
    PlayEnded,
    RecordingFailed,
    RecordingStarted,
    SetRecordingChannels,
    SetRoom,
    StartRecording,
    StopPlay,
    StopRecording,
    Tone,
    label,
)
from media.audio_commands import File as SoundFile
from media.commands import (
    MediaAddress,
    NoMediaPorts,
    Quiet,
    StreamClosed,
    StreamFailed,
    StreamLatched,
    StreamLost,
    StreamSettings,
    StreamSilent,
)
from media.line import SignallingEnd
from media.wire import WorkerLoad
from media.worker_view import Adoption, Worker, WorkerTerms, announced_host
from tests.virtual.line_media import AccountEngine, VirtualWorkers, account_worker

FORMATS = ((8, "PCMA", 8000),)


def settings_to(port: int, **more: object) -> StreamSettings:
    return StreamSettings(remote=MediaAddress("192.0.2.9", port, port + 1), formats=FORMATS, **more)  # type: ignore[arg-type]


def pair(media: VirtualWorkers, a: int, group: str, now: float = 0.0) -> tuple[MediaAddress, MediaAddress]:
    """Two streams, a and a + 1, that hear each other."""
    found = []
    for stream in (a, a + 1):
        found.append(media.open(stream, "192.0.2.9", MediaAddress("192.0.2.9", 2 * stream, 1), False, "h", now, group))
        media.configure(stream, settings_to(2 * stream), now)
    media.bridge(a, a + 1, now)
    return found[0], found[1]


def engine(media: VirtualWorkers, index: int) -> AccountEngine:
    virtual = media.virtual[index]
    assert virtual is not None
    assert isinstance(virtual.engine, AccountEngine)
    return virtual.engine


def load(media: VirtualWorkers, index: int, cpu: float) -> None:
    virtual = media.virtual[index]
    assert virtual is not None
    virtual.end.tell(WorkerLoad(cpu, 0, 4, 0, 0))
    media.carry()


def leftovers(media: VirtualWorkers) -> list[int]:
    pools = [sum(worker.pool.held()) for worker in media.workers]  # type: ignore[call-overload]
    return [*pools, len(media), len(media._groups), len(media._lost), len(media._plays), len(media._rooms)]


def test_a_stream_is_opened_on_a_worker_s_port_and_closed_with_its_statistics() -> None:
    media = VirtualWorkers(2, account_worker)
    address, _ = pair(media, 1, "call")
    index = 0 if address.port < 15_000 else 1
    assert engine(media, index).at[1][0] == address.port
    assert address.rtcp_port == address.port + 1
    assert engine(media, index).bridges == {1: 2, 2: 1}
    assert media.events == []
    media.close(1, 1.0)
    media.close(2, 1.0)
    [first, second] = media.events
    assert isinstance(first, StreamClosed)
    assert (first.stream, first.stats.packets_received) == (1, 1)
    assert isinstance(second, StreamClosed)
    assert not any(leftovers(media))


def test_streams_of_a_group_are_together_and_groups_are_spread() -> None:
    media = VirtualWorkers(3, account_worker)
    for call in range(12):
        pair(media, 10 * call, f"call {call}")
    for index in range(3):
        streams = engine(media, index).streams
        assert len(streams) == 8
        assert all(stream - stream % 10 + 1 in streams for stream in streams)


def test_new_calls_go_where_the_load_is_least() -> None:
    media = VirtualWorkers(2, account_worker)
    load(media, 0, 0.9)
    load(media, 1, 0.2)
    for call in range(5):
        pair(media, 10 * call, f"call {call}")
    assert len(engine(media, 0).streams) == 0
    load(media, 1, 0.95)
    pair(media, 100, "next")
    assert len(engine(media, 0).streams) == 2


def test_quiet_streams_are_those_that_workers_told_of_and_still_have() -> None:
    media = VirtualWorkers(2, account_worker)
    pair(media, 1, "call")
    pair(media, 3, "other")
    assert media.quiet == ()
    for virtual, told in zip(media.virtual, ((Quiet(1, 7.0), Quiet(99, 9.0)), (Quiet(4, 0.0, 6.0),)), strict=True):
        assert virtual is not None
        virtual.end.tell(WorkerLoad(0.1, 2, 4, 0, 0, quiet=told))
    media.carry()
    assert media.quiet == (Quiet(1, 7.0), Quiet(4, 0.0, 6.0))
    media.close(1, 1.0)
    media.carry()
    assert media.quiet == (Quiet(4, 0.0, 6.0),)
    load(media, 1, 0.1)
    assert media.quiet == ()


def test_streams_of_different_workers_are_not_bridged_and_whoever_tried_is_told() -> None:
    media = VirtualWorkers(2, account_worker)
    pair(media, 1, "one")
    pair(media, 11, "two")
    media.bridge(1, 11, 0.0)
    [event] = media.events
    assert isinstance(event, StreamFailed)
    assert "another media worker" in event.why
    media.events.clear()
    media.audio(SetRoom(5, (1, 11)), 0.0)
    [event] = media.events
    assert isinstance(event, StreamFailed)


def test_a_port_that_is_taken_fails_its_stream_and_is_not_chosen_again() -> None:
    media = VirtualWorkers(1, account_worker, ports=(10_000, 10_007), shared=1)
    engine(media, 0).taken.add(10_002)
    media.open(1, "192.0.2.9", MediaAddress("192.0.2.9", 4, 5), False, "h", 0.0)
    media.open(2, "192.0.2.9", MediaAddress("192.0.2.9", 4, 5), False, "h", 0.0)
    [event] = media.events
    assert isinstance(event, StreamFailed)
    assert event.stream == 2
    media.events.clear()
    media.close(2, 0.0)
    [closed] = media.events
    assert isinstance(closed, StreamClosed)
    assert media.open(3, "192.0.2.9", MediaAddress("192.0.2.9", 4, 5), False, "h", 0.0).port == 10_004


def test_a_shared_port_that_is_taken_is_replaced() -> None:
    def one_taken():  # type: ignore[no-untyped-def]
        worker = account_worker()
        worker.engine.taken.add(10_000)  # type: ignore[attr-defined]
        return worker

    media = VirtualWorkers(1, one_taken, ports=(10_000, 10_007), shared=2)
    assert engine(media, 0).bound == {10_002, 10_004}
    assert {media.open(n, "192.0.2.9", None, False, "h", 0.0).port for n in range(2)} == {10_002, 10_004}


def test_ports_of_nobody_are_closed_again() -> None:
    media = VirtualWorkers(1, account_worker, ports=(10_000, 10_007), shared=1)
    for stream in range(3):
        media.open(stream, "192.0.2.9", MediaAddress("192.0.2.9", 4, 5), False, "h", 0.0)
    assert len(engine(media, 0).bound) == 3
    for stream in range(3):
        media.close(stream, 0.0)
    media.mind(100.0)
    assert engine(media, 0).bound == {10_000}


def test_no_worker_no_port() -> None:
    media = VirtualWorkers(2, account_worker)
    media.kill(0)
    pair(media, 1, "left")
    assert len(engine(media, 1).streams) == 2
    media.kill(1)
    with pytest.raises(NoMediaPorts, match="no media worker"):
        media.open(5, "192.0.2.9", None, False, "h", 0.0)


def test_a_worker_that_does_not_keep_up_takes_no_new_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-pressure: `open` is refused, memory does not grow; what is open can still be closed."""
    monkeypatch.setattr("media.line.BUSY_COMMANDS", 20)
    media = VirtualWorkers(1, account_worker)
    pair(media, 1, "call")
    virtual = media.virtual[0]
    assert virtual is not None
    virtual.link, held = None, virtual.link  # commands are not taken
    while not media.workers[0].end.busy:
        media.open(100 + len(media), "192.0.2.9", None, False, "h", 0.0)
    with pytest.raises(NoMediaPorts, match="worker busy"):
        media.open(99, "192.0.2.9", None, False, "h", 0.0)
    media.close(1, 0.0)
    assert len(media.workers[0].end.outbox) == 21
    virtual.link = held
    media.carry()
    assert isinstance(media.events[0], StreamClosed)
    media.open(200, "192.0.2.9", None, False, "h", 0.0)


def test_streams_of_a_dead_worker_are_lost_and_may_be_opened_elsewhere() -> None:
    media = VirtualWorkers(2, account_worker)
    pair(media, 1, "call")
    dead = 0 if engine(media, 0).streams else 1
    media.kill(dead)
    assert [type(event) for event in media.events] == [StreamLost, StreamLost]
    media.events.clear()
    pair(media, 1, "call")
    assert engine(media, 1 - dead).bridges == {1: 2, 2: 1}
    media.close(1, 0.0)
    media.close(2, 0.0)
    assert [type(event) for event in media.events] == [StreamClosed, StreamClosed]
    assert not any(leftovers(media))


def test_a_lost_stream_is_closed_like_any_other() -> None:
    media = VirtualWorkers(1, account_worker)
    pair(media, 1, "call")
    media.kill(0)
    media.events.clear()
    media.close(1, 0.0)
    media.close(2, 0.0)
    media.close(2, 0.0)
    assert [type(event) for event in media.events] == [StreamClosed, StreamClosed]
    assert not any(leftovers(media))


def test_what_was_being_closed_when_the_worker_died_is_closed() -> None:
    media = VirtualWorkers(1, account_worker)
    pair(media, 1, "call")
    media.cut(0)
    media.close(1, 0.0)
    media.kill(0)
    assert {type(event): event.stream for event in media.events} == {StreamClosed: 1, StreamLost: 2}  # type: ignore[union-attr]


def test_a_connection_that_breaks_changes_nothing() -> None:
    media = VirtualWorkers(1, account_worker)
    pair(media, 1, "call")
    media.cut(0)
    media.close(1, 0.0)
    media.configure(2, settings_to(77), 0.0)
    assert media.events == []
    with pytest.raises(NoMediaPorts):
        media.open(9, "192.0.2.9", None, False, "h", 0.0)
    media.connect(0)
    [event] = media.events
    assert isinstance(event, StreamClosed)
    assert event.stream == 1
    settings = engine(media, 0).streams[2]
    assert settings is not None
    assert settings.remote.port == 77


def test_what_a_worker_closed_by_itself_while_alone_is_lost() -> None:
    media = VirtualWorkers(1, account_worker)
    pair(media, 1, "call")
    media.cut(0)
    virtual = media.virtual[0]
    assert virtual is not None
    virtual.sessions.close_all(0.0)
    virtual.tell()
    media.connect(0)
    assert {type(event) for event in media.events} == {StreamLost}
    assert len(media) == 0


def test_events_that_were_left_out_are_made_up_for_by_the_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even what is essential may be too much: the connection begins anew, and what is gone is found out."""
    media = VirtualWorkers(1, account_worker)
    pair(media, 1, "call")
    media.cut(0)
    virtual = media.virtual[0]
    assert virtual is not None
    virtual.end.outbox._limit = 4
    virtual.sessions.close_all(0.0)
    virtual.tell()
    for n in range(10):
        virtual.end.tell(StreamLatched(900 + n, "192.0.2.9", 5))
    with pytest.raises(Exception, match="left out"):
        media.connect(0)
    media.cut(0)
    media.connect(0)
    assert {event.stream for event in media.events if isinstance(event, StreamLost)} == {1, 2}
    assert len(media) == 0


def test_a_worker_given_up_without_being_dead_brings_back_nothing_twice() -> None:
    """A network that was cut for too long: its streams live elsewhere, and what it still has is closed there."""
    media = VirtualWorkers(2, account_worker)
    pair(media, 1, "call")
    index = 0 if engine(media, 0).streams else 1
    media.cut(index)
    media.lost(media.workers[index], "can't be reached", dead=False)
    pair(media, 1, "call")
    media.events.clear()
    media.connect(index)
    assert engine(media, index).streams == {}
    assert engine(media, 1 - index).bridges == {1: 2, 2: 1}
    assert media.events == []
    assert media.adopted == 0


# ---- streams that move to another call


def two_calls() -> tuple[VirtualWorkers, int, int]:
    """Streams 1 and 2 on one worker, 11 and 12 on the other: the workers' indexes."""
    media = VirtualWorkers(2, account_worker)
    pair(media, 1, "one")
    pair(media, 11, "two")
    one = 0 if 1 in engine(media, 0).streams else 1
    assert set(engine(media, 1 - one).streams) == {11, 12}
    return media, one, 1 - one


def test_a_stream_joins_a_group_of_its_own_worker_and_goes_on() -> None:
    media = VirtualWorkers(1, account_worker)
    pair(media, 1, "one")
    pair(media, 11, "two")
    assert media.regroup(1, "two", 0.0)
    assert media.regroup(1, "two", 0.0), "it is there already"
    media.bridge(1, 11, 0.0)
    assert engine(media, 0).bridges == {1: 11, 11: 1}
    assert media.events == []
    for stream in (1, 2, 11, 12):
        media.close(stream, 0.0)
    assert not any(leftovers(media))


@pytest.mark.parametrize("at_once", [True, False])
def test_a_stream_of_another_worker_is_closed_and_opened_again_beside_its_new_partner(at_once: bool) -> None:
    """Whether its end is told while the command is being given, as within one process, or later."""
    media, one, two = two_calls()
    virtual = media.virtual[one]
    assert virtual is not None
    held = virtual.link
    if not at_once:
        virtual.link = None
    assert not media.regroup(1, "two", 0.0)
    assert not media.regroup(1, "two", 0.0), "it is still to be opened"
    virtual.link = held
    media.carry()
    assert set(engine(media, one).streams) == {2}
    media.open(1, "192.0.2.9", MediaAddress("192.0.2.9", 2, 1), False, "h", 0.0, "two")
    media.bridge(1, 11, 0.0)
    assert engine(media, two).bridges == {1: 11, 11: 1}
    assert media.events == [], "nobody is told of an end that is none"
    for stream in (1, 2, 11, 12):
        media.close(stream, 0.0)
    assert [type(event) for event in media.events] == [StreamClosed] * 4
    assert not any(leftovers(media))


def test_a_stream_that_is_back_before_its_first_end_was_told() -> None:
    media, one, two = two_calls()
    virtual = media.virtual[one]
    assert virtual is not None
    virtual.link, held = None, virtual.link
    assert not media.regroup(1, "two", 0.0)
    media.open(1, "192.0.2.9", MediaAddress("192.0.2.9", 2, 1), False, "h", 0.0, "two")
    assert not media.regroup(1, "one", 0.0)
    media.open(1, "192.0.2.9", MediaAddress("192.0.2.9", 2, 1), False, "h", 0.0, "one")
    virtual.link = held
    media.carry()
    assert set(engine(media, one).streams) == {1, 2}
    assert set(engine(media, two).streams) == {11, 12}
    assert media.events == []
    media.close(1, 0.0)
    [closed] = media.events
    assert isinstance(closed, StreamClosed)
    assert closed.stream == 1


def test_a_stream_that_leaves_for_no_group_is_alone() -> None:
    """And those that come without a group still go where the load is least."""
    media, _, _ = two_calls()
    assert media.regroup(1, "", 0.0)
    for stream in range(100, 108):
        media.open(stream, "192.0.2.9", None, False, "h", 0.0)
    assert {len(engine(media, index).streams) for index in range(2)} == {6}
    assert media.regroup(1, "new", 0.0)
    for stream in (1, 2, 11, 12, *range(100, 108)):
        media.close(stream, 0.0)
    assert not any(leftovers(media))


def test_a_lost_stream_is_opened_in_its_new_group() -> None:
    media, one, two = two_calls()
    media.kill(one)
    media.events.clear()
    assert not media.regroup(1, "two", 0.0)
    media.open(1, "192.0.2.9", MediaAddress("192.0.2.9", 2, 1), False, "h", 0.0, "two")
    assert media.regroup(1, "two", 0.0)
    assert 1 in engine(media, two).streams
    for stream in (1, 2, 11, 12):
        media.close(stream, 0.0)
    assert [type(event) for event in media.events] == [StreamClosed] * 4
    assert sum(leftovers(media)) == 0


def test_a_stream_that_is_being_closed_or_was_never_open_is_left_alone() -> None:
    media, one, _ = two_calls()
    media.cut(one)
    media.close(1, 0.0)
    assert media.regroup(1, "two", 0.0)
    assert media.regroup(77, "two", 0.0)
    media.connect(one)
    assert [type(event) for event in media.events] == [StreamClosed]


def test_a_stream_has_left_a_worker_that_can_not_be_reached() -> None:
    """It is not taken for a stranger's when the worker is back."""
    media, one, two = two_calls()
    media.cut(one)
    assert not media.regroup(1, "two", 0.0)
    media.open(1, "192.0.2.9", MediaAddress("192.0.2.9", 2, 1), False, "h", 0.0, "two")
    media.close(1, 0.0)
    media.lost(media.workers[one], "can't be reached", dead=False)
    media.connect(one)
    assert engine(media, one).streams == {}
    assert media.adopted == 0
    assert set(engine(media, two).streams) == {11, 12}


# ---- adoption


def successor(media: VirtualWorkers, **more: object) -> VirtualWorkers:
    return VirtualWorkers(len(media.workers), account_worker, found=media.vanish(), **more)  # type: ignore[arg-type]


def test_another_signalling_process_adopts_what_it_finds() -> None:
    first = VirtualWorkers(2, account_worker)
    addresses = [pair(first, 10 * call + 1, f"call {call}") for call in range(4)]
    second = successor(first)
    assert second.adopted == len(second) == 8
    assert second.events == []
    assert sum(len(engine(second, index).bridges) for index in range(2)) == 8
    # Their places are taken: no other stream could be told from them.
    for n, (address, _) in enumerate(addresses):
        remote = MediaAddress("192.0.2.9", 20 * n + 2, 1)
        new = second.open(1000 + n, "192.0.2.9", remote, False, "h", 0.0)
        assert new.port != address.port


def test_an_adopted_stream_ends_with_its_partner_when_one_is_silent() -> None:
    first = VirtualWorkers(1, account_worker)
    pair(first, 1, "call")
    pair(first, 11, "another")
    second = successor(first, adoption=Adoption(silence=30.0))
    settings = engine(second, 0).streams[1]
    assert settings is not None
    assert settings.silence_after == 30.0
    engine(second, 0).events.append(StreamSilent(1, 30.0))
    virtual = second.virtual[0]
    assert virtual is not None
    virtual.tell()
    second.carry()
    assert set(engine(second, 0).streams) == {11, 12}
    assert second.adopted == 2
    assert second.events == []  # nobody knows their calls


def test_adopted_calls_on_hold_and_those_that_never_end() -> None:
    first = VirtualWorkers(1, account_worker)
    for stream in (1, 2):
        first.open(stream, "192.0.2.9", None, False, "h", 0.0, "held")
        first.configure(stream, settings_to(2 * stream, receive=False), 0.0)
    first.bridge(1, 2, 0.0)
    pair(first, 11, "talks for ever")
    first.open(21, "192.0.2.9", None, False, "h", 0.0, "was just being set up")
    second = successor(first, adoption=Adoption(silence=30.0, longest=1000.0))
    assert set(engine(second, 0).streams) == {1, 2, 11, 12}
    second.mind(29.0)
    assert second.adopted == 4
    second.mind(31.0)
    assert set(engine(second, 0).streams) == {11, 12}
    second.mind(1001.0)
    assert not any(leftovers(second))
    assert second.counters["streams adopted"] == 4


def test_latched_sources_are_adopted_too() -> None:
    first = VirtualWorkers(1, account_worker)
    first.open(1, "198.51.100.1", None, True, "h", 0.0)
    first.configure(1, settings_to(4000, nat=True, signalled_host="198.51.100.1"), 0.0)
    engine(first, 0).events.append(StreamLatched(1, "198.51.100.1", 6000))
    virtual = first.virtual[0]
    assert virtual is not None
    virtual.tell()
    first.carry()
    second = successor(first)
    port = second.workers[0].pool.port_of(1)
    new = second.open(2, "198.51.100.1", MediaAddress("198.51.100.1", 6000, 6001), False, "h", 0.0)
    assert new.port != port


def test_ports_of_adopted_streams_are_none_of_another_worker_s() -> None:
    """The configuration has changed meanwhile: the slices are others."""
    first = VirtualWorkers(1, account_worker, ports=(10_000, 10_015), shared=8)
    found = first.vanish()
    second = VirtualWorkers(2, account_worker, ports=(10_000, 10_015), shared=4, found=[found[0], account_worker()])
    assert all(port < 10_008 for port in second.workers[0].pool.opened)
    assert second.workers[1].pool.opened in ([], [*range(10_008, 10_016, 2)])
    engine(first, 0)


def test_rooms_and_recordings_of_adopted_streams_end_with_them() -> None:
    first = VirtualWorkers(1, account_worker)
    pair(first, 1, "call")
    first.audio(SetRoom(7, (1, 2)), 0.0)
    first.audio(StartRecording(8, "contact", ((1, 0), (2, 1))), 0.0)
    second = successor(first)
    said = len(engine(second, 0).audios)
    second.mind(100_000.0)
    assert len(second) == 0
    assert {type(command).__name__ for command in engine(second, 0).audios[said:]} == {"CloseRoom", "StopRecording"}


# ---- audio


def test_audio_commands_go_to_the_worker_of_what_they_name() -> None:
    media = VirtualWorkers(2, account_worker)
    pair(media, 1, "one")
    pair(media, 11, "two")
    here = 0 if 1 in engine(media, 0).streams else 1
    commands = [
        SetRoom(7, (1, 2)),
        Play(8, (Tone("dial"),), room=7),
        Play(9, (SoundFile("welcome"),), stream=2),
        StopPlay(8),
        CloseRoom(7),
        StartRecording(10, "c", ((1, 0),)),
    ]
    for command in commands:
        media.audio(command, 0.0)
    assert engine(media, here).audios == commands
    assert engine(media, 1 - here).audios == []
    media.audio(Play(20, (Tone("dial"),), room=99), 0.0)
    media.audio(StartRecording(21, "c", ((77, 0),)), 0.0)
    assert [type(event) for event in media.events] == [PlayEnded, RecordingFailed]
    assert media.events[0].how == "lost"  # type: ignore[union-attr]


def test_plays_and_recordings_of_a_dead_worker_end() -> None:
    media = VirtualWorkers(1, account_worker)
    pair(media, 1, "one")
    media.audio(Play(8, (Tone("dial"),), stream=1), 0.0)
    media.audio(StartRecording(9, "c", ((1, 0),)), 0.0)
    media.kill(0)
    assert [type(event) for event in media.events] == [StreamLost, StreamLost, PlayEnded, RecordingFailed]
    assert media.events[2].how == "lost"  # type: ignore[union-attr]


def test_a_room_is_told_of_those_who_are_open_again_alone() -> None:
    media = VirtualWorkers(2, account_worker)
    pair(media, 1, "room")
    here = 0 if engine(media, 0).streams else 1
    media.audio(SetRoom(7, (1, 2)), 0.0)
    media.kill(here)
    media.audio(SetRoom(7, (1, 2)), 0.0)
    there = engine(media, 1 - here)
    assert there.audios == []
    media.open(2, "192.0.2.9", None, False, "h", 0.0, "room")
    media.audio(SetRoom(7, (1, 2)), 0.0)
    media.open(1, "192.0.2.9", None, False, "h", 0.0, "room")
    media.audio(SetRoom(7, (1, 2)), 0.0)
    assert there.audios == [SetRoom(7, (2,)), SetRoom(7, (1, 2))]


def test_what_is_left_of_a_room_that_lives_on_does_not_close_it_later() -> None:
    """A worker that could not be reached is back, and so is the room, under its number."""
    media = VirtualWorkers(1, account_worker)
    pair(media, 1, "room")
    pair(media, 11, "call")
    media.audio(SetRoom(7, (1, 2)), 0.0)
    media.cut(0)
    media.lost(media.workers[0], "can't be reached", dead=False)
    media.connect(0)
    assert engine(media, 0).audios[1:] == [CloseRoom(7)]
    pair(media, 1, "room")
    pair(media, 11, "call")
    media.audio(SetRoom(7, (1, 2)), 0.0)
    media.close(11, 0.0)
    media.close(12, 0.0)
    assert engine(media, 0).audios[2:] == [SetRoom(7, (1, 2))]


def test_a_recording_that_is_lost_says_where_its_file_is() -> None:
    media = VirtualWorkers(1, account_worker)
    pair(media, 1, "one")
    for recording in (9, 10):
        media.audio(StartRecording(recording, "c", ((1, 0),)), 0.0)
    engine(media, 0).events.append(RecordingStarted(9, "/r/9.wav"))
    media.virtual[0].tell()  # type: ignore[union-attr]
    media.carry()
    media.audio(SetRecordingChannels(9, ((2, 1),)), 0.0)
    media.kill(0)
    failed = [event for event in media.events if isinstance(event, RecordingFailed)]
    assert [(event.recording, event.path) for event in failed] == [(9, "/r/9.wav"), (10, "")]


def test_rooms_and_recordings_without_an_adopted_stream_end_at_once() -> None:
    """Their streams were closed, or never set up: nothing would ever end them."""
    first = VirtualWorkers(1, account_worker)
    pair(first, 1, "call")
    first.open(21, "192.0.2.9", None, False, "h", 0.0, "was just being set up")
    first.audio(SetRoom(7, (21,)), 0.0)
    first.audio(StartRecording(8, "contact", ((21, 0),)), 0.0)
    first.audio(StartRecording(9, "contact", ((1, 0), (2, 1))), 0.0)
    second = successor(first)
    assert engine(second, 0).audios[-2:] == [CloseRoom(7), StopRecording(8)]
    second.mind(100_000.0)
    assert engine(second, 0).audios[-1] == StopRecording(9)


def test_labels_outlive_the_signalling_process() -> None:
    first = VirtualWorkers(1, account_worker)
    pair(first, 1, "call")
    ann, ben = label(number="101"), label(number="102")
    first.audio(StartRecording(8, "contact", ((1, 0),), label=ben, labels=((1, ann),)), 0.0)
    first.audio(SetRecordingChannels(8, ((1, 0), (2, 1)), ((2, ben),)), 0.0)
    [virtual] = first.vanish()
    assert virtual is not None
    [kept] = [recording for part in virtual.inventory() for recording in part.recordings]
    assert kept == StartRecording(8, "contact", ((1, 0), (2, 1)), label=ben, labels=((1, ann), (2, ben)))


def test_a_worker_of_another_machine_tells_its_own_addresses() -> None:
    """What stands in SDP is of the family of the peer; without an address of that family there is no audio."""
    terms = WorkerTerms(name="far", rtp_ports=(10_000, 10_015), shared_ports=1, announce=("192.0.2.7",))
    worker = Worker(0, terms, SignallingEnd("line", b"", bytes))
    worker.hosts = ["0.0.0.0", "::"]
    assert announced_host(worker, 0, "198.51.100.1") == "192.0.2.7"
    with pytest.raises(NoMediaPorts, match="names no host"):
        announced_host(worker, 1, "2001:db8::1")
