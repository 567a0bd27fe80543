"""The line to a media worker: greeting, secrets, who may connect, bounds."""

from __future__ import annotations

import pytest

from media import line as line_module
from media.audio_commands import SetRoom
from media.commands import StreamSilent
from media.line import LINK_SILENCE, Phase, SignallingEnd, WorkerEnd, WorkerLink
from media.wire import (
    MAX_FRAME,
    MAX_GREETING,
    VERSION,
    Ack,
    Challenge,
    Close,
    Commands,
    Events,
    FrameReader,
    Hello,
    Inventory,
    LineError,
    LineEvent,
    OtherVersion,
    OtherWorker,
    Proof,
    Refused,
    Welcome,
    WorkerLoad,
    frame,
    proof,
)

SECRET = b"0123456789abcdef"


def nonces() -> object:
    count = iter(range(1, 10_000))
    return lambda octets: next(count).to_bytes(octets, "big")


def worker_end(secret: bytes = SECRET, name: str = "w1") -> WorkerEnd:
    return WorkerEnd(name, secret, nonces(), (42, ("127.0.0.1",)), lambda: [Inventory(last=True)])  # type: ignore[arg-type]


def signalling_end(secret: bytes = SECRET, line: str = "s1.1") -> SignallingEnd:
    return SignallingEnd(line, secret, nonces())  # type: ignore[arg-type]


def exchange(signalling: SignallingEnd, link: WorkerLink, now: float = 0.0) -> tuple[list[object], list[object]]:
    """Octets both ways until there are none: (commands applied, what the signalling heard)."""
    applied: list[object] = []
    heard: list[object] = []
    while True:
        down = signalling.take_output()
        applied += link.receive(down, now)
        up = link.take_output()
        if not down and not up:
            return applied, heard
        heard += signalling.receive(up, now)


def connect(signalling: SignallingEnd, worker: WorkerEnd, now: float = 0.0) -> tuple[WorkerLink, list[object]]:
    signalling.connect(now)
    link = worker.accept(now)
    _, heard = exchange(signalling, link, now)
    return link, heard


def refused(data: bytes) -> str:
    reader = FrameReader()
    reader.feed(data)
    found = None
    while (one := reader.next()) is not None:
        found = one
    assert isinstance(found, Refused)
    return found.why


def test_the_greeting_ends_with_the_inventory() -> None:
    signalling, worker = signalling_end(), worker_end()
    link, heard = connect(signalling, worker)
    assert [type(each) for each in heard] == [Welcome, Inventory]
    assert signalling.phase is Phase.LINKED
    assert link.ready
    assert worker.link is link
    assert (signalling.worker, worker.line) == ("w1", "s1.1")


def test_commands_and_events_go_both_ways_and_are_acknowledged() -> None:
    signalling, worker = signalling_end(), worker_end()
    link, _ = connect(signalling, worker)
    signalling.send(Close(1))
    signalling.send(Close(2))
    worker.tell(StreamSilent(3, 60.0))
    applied, heard = exchange(signalling, link)
    assert applied == [Close(1), Close(2)]
    assert heard == [StreamSilent(3, 60.0)]
    assert len(signalling.outbox) == len(worker.outbox) == 0


def test_a_wrong_secret_is_refused_by_the_worker() -> None:
    signalling, worker = signalling_end(b"another secret!!"), worker_end()
    signalling.connect(0.0)
    link = worker.accept(0.0)
    with pytest.raises(LineError, match="wrong secret"):
        exchange(signalling, link)
    assert not link.ready
    assert "wrong secret" in link.over
    assert worker.link is None


def test_a_worker_that_does_not_know_the_secret_is_not_believed() -> None:
    """Whoever answers there without the secret learns nothing that opens another worker, and is heard in nothing."""
    signalling = signalling_end()
    signalling.connect(0.0)
    signalling.take_output()
    assert list(signalling.receive(frame(Challenge(VERSION, "false", b"x" * 32)), 0.0)) == []
    with pytest.raises(LineError, match="does not know the secret"):
        list(signalling.receive(frame(Welcome(b"?" * 32, 0, 0, 1, ("127.0.0.1",))), 0.0))


def test_a_proof_can_not_be_given_back() -> None:
    """RFC-less, but old: a peer that mirrors our own proof must not pass (reflection)."""
    signalling = signalling_end()
    signalling.connect(0.0)
    signalling.take_output()
    list(signalling.receive(frame(Challenge(VERSION, "mirror", b"x" * 32)), 0.0))
    reader = FrameReader()
    reader.feed(signalling.take_output())
    shown = reader.next()
    assert isinstance(shown, Proof)
    with pytest.raises(LineError, match="does not know the secret"):
        list(signalling.receive(frame(Welcome(shown.mac, 0, 0, 1, ("127.0.0.1",))), 0.0))


def test_a_welcome_without_a_challenge_is_not_believed() -> None:
    signalling = signalling_end()
    signalling.connect(0.0)
    mac = proof(SECRET, "worker", "", "s1.1", b"", b"")
    with pytest.raises(LineError):
        list(signalling.receive(frame(Welcome(mac, 0, 0, 1, ())), 0.0))


def test_a_proof_of_another_connection_is_worth_nothing() -> None:
    worker = worker_end()
    old = worker.accept(0.0)
    list(old.receive(frame(Hello(VERSION, "s1.1", b"n" * 32)), 0.0))
    mac = proof(SECRET, "signalling", "w1", "s1.1", (1).to_bytes(32, "big"), b"n" * 32)
    fresh = worker.accept(0.0)
    list(fresh.receive(frame(Hello(VERSION, "s1.1", b"n" * 32)) + frame(Proof(mac)), 0.0))
    assert not fresh.ready
    list(old.receive(frame(Proof(mac)), 0.0))
    assert old.ready


def test_another_version_is_told_from_other_refusals() -> None:
    worker = worker_end()
    link = worker.accept(0.0)
    list(link.receive(frame(Hello(VERSION + 1, "s", b"n" * 32)), 0.0))
    assert "version" in refused(link.take_output())
    signalling = signalling_end()
    signalling.connect(0.0)
    with pytest.raises(OtherVersion):
        list(signalling.receive(frame(Challenge(VERSION + 1, "w", b"m" * 32)), 0.0))
    with pytest.raises(OtherVersion):
        list(signalling.receive(frame(Refused("no", VERSION + 1)), 0.0))


def test_a_second_signalling_process_is_refused_while_the_first_is_alive() -> None:
    worker = worker_end()
    first, second = signalling_end(line="a.1"), signalling_end(line="b.1")
    held, _ = connect(first, worker)
    second.connect(1.0)
    link = worker.accept(1.0)
    with pytest.raises(LineError, match="another signalling process"):
        exchange(second, link, 1.0)
    assert worker.link is held
    assert not held.over
    first.send(Close(1))
    assert exchange(first, held, 1.0)[0] == [Close(1)]


def test_a_second_signalling_process_takes_over_from_a_silent_one() -> None:
    worker = worker_end()
    first, second = signalling_end(line="a.1"), signalling_end(line="b.1")
    held, _ = connect(first, worker)
    first.send(Close(1))
    exchange(first, held)
    link, heard = connect(second, worker, LINK_SILENCE + 1)
    assert worker.link is link
    assert held.over
    welcome = heard[0]
    assert isinstance(welcome, Welcome)
    assert welcome.applied == 0
    assert list(held.receive(frame(Commands(2, [])), 7.0)) == []


def test_the_same_process_may_connect_anew_at_any_time() -> None:
    worker = worker_end()
    signalling = signalling_end()
    held, _ = connect(signalling, worker)
    signalling.send(Close(1))
    exchange(signalling, held)
    signalling.disconnect()
    link, heard = connect(signalling, worker, 0.1)
    assert worker.link is link
    assert isinstance(heard[0], Welcome)
    assert heard[0].applied == 1


def test_another_worker_process_is_not_taken_for_the_one_before() -> None:
    signalling = signalling_end()
    connect(signalling, worker_end(name="w1"))
    signalling.disconnect()
    with pytest.raises(OtherWorker):
        connect(signalling, worker_end(name="w2"))


def test_a_frame_beyond_the_limit_is_refused_before_it_is_read() -> None:
    link = worker_end().accept(0.0)
    assert list(link.receive((MAX_GREETING + 1).to_bytes(4, "big"), 0.0)) == []
    assert "at most 4096" in refused(link.take_output())
    signalling, worker = signalling_end(), worker_end()
    ready, _ = connect(signalling, worker)
    list(ready.receive((MAX_FRAME + 1).to_bytes(4, "big"), 0.0))
    assert ready.over


def test_a_command_too_long_for_a_frame_is_refused_where_it_is_made() -> None:
    with pytest.raises(LineError, match="too long"):
        signalling_end().send(SetRoom(1, tuple(range(2**40, 2**40 + MAX_FRAME // 8))))


@pytest.mark.parametrize(
    "data",
    [
        frame(Commands(1, [])),
        frame(Ack(1)),
        frame(Proof(b"")),
        frame(Welcome(b"", 0, 0, 0, ())),
        frame(Hello(VERSION, "x", b"")) * 2,
    ],
)
def test_what_comes_out_of_turn_ends_the_connection(data: bytes) -> None:
    link = worker_end().accept(0.0)
    assert list(link.receive(data, 0.0)) == []
    assert link.over


@pytest.mark.parametrize("first", [0, 3])
def test_a_hole_in_the_numbers_ends_the_connection(first: int) -> None:
    signalling, worker = signalling_end(), worker_end()
    link, _ = connect(signalling, worker)
    list(link.receive(frame(Commands(first, [])), 0.0))
    assert "would be next" in link.over
    with pytest.raises(LineError, match="would be next"):
        list(signalling.receive(frame(Events(first, [])), 0.0))


def test_unacknowledged_commands_make_the_line_busy_and_then_overrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_module, "BUSY_COMMANDS", 10)
    signalling = signalling_end()
    for number in range(10):
        assert not signalling.busy
        signalling.send(Close(number))
    assert signalling.busy
    assert not signalling.overrun
    for number in range(30):
        signalling.send(Close(number))
    assert signalling.overrun


def test_no_more_than_a_window_is_on_the_way() -> None:
    """Neither end's socket has to hold more, however slow the other one is."""
    signalling, worker = signalling_end(), worker_end()
    link, _ = connect(signalling, worker)
    load = WorkerLoad(0.5, 1, 1, 1, 1, 0.0, {"x" * 1000: 1})
    for _ in range(3000):
        worker.tell(load)
    first = link.take_output()
    assert line_module.WINDOW_OCTETS <= len(first) < line_module.WINDOW_OCTETS * 1.1
    assert link.take_output() == b""
    heard: list[LineEvent | Welcome | Inventory] = list(signalling.receive(first, 0.0))
    assert 900 < len(heard) < 1100
    list(link.receive(signalling.take_output(), 0.0))
    assert len(link.take_output()) >= line_module.WINDOW_OCTETS


def test_signs_of_life_are_acknowledgements() -> None:
    signalling, worker = signalling_end(), worker_end()
    link, _ = connect(signalling, worker)
    signalling.beat()
    list(link.receive(signalling.take_output(), 3.0))
    assert link.heard == 3.0
