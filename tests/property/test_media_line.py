"""The two ends of the line to a media worker, back to back over a link that breaks: every command is applied once and
in order, every event heard once and in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import media.line as line_module
from media.audio_commands import Digit
from media.commands import StreamSilent
from media.line import Outbox, Phase, SignallingEnd, WorkerEnd, WorkerLink
from media.wire import Close, Gap, Inventory, LineCommand, LineError, LineEvent, Welcome, read_event

SECRET = b"a secret of the test"


class Link:
    """A connection whose octets lie in two pipes, to be delivered in pieces, or lost with it."""

    def __init__(self, seed: int = 0, line: str = "one.1") -> None:
        self.nonces = iter(range(1, 1_000_000))
        self.signalling = self.new_line(line)
        self.worker = WorkerEnd("worker", SECRET, self.nonce, (4711, ("127.0.0.1",)), self.inventory)
        self.link: WorkerLink | None = None
        self.down = bytearray()  # to the worker
        self.up = bytearray()
        self.applied: list[LineCommand] = []
        self.heard: list[LineEvent] = []
        self.welcomes: list[Welcome] = []
        self.now = 0.0

    def new_line(self, name: str) -> SignallingEnd:
        return SignallingEnd(name, SECRET, self.nonce)

    def nonce(self, octets: int) -> bytes:
        return next(self.nonces).to_bytes(octets, "big")

    def inventory(self) -> list[Inventory]:
        return [Inventory(ports=(10_000,)), Inventory(last=True)]

    def connect(self) -> None:
        self.cut()
        self.signalling.connect(self.now)
        self.link = self.worker.accept(self.now)

    def cut(self) -> None:
        """Whatever is on the way is lost."""
        self.down.clear()
        self.up.clear()
        if self.signalling.phase is not Phase.APART:
            self.signalling.disconnect()
        if self.link is not None:
            self.worker.dropped(self.link)
            self.link = None

    def deliver(self, down: int, up: int) -> None:
        """So many octets in each direction."""
        if self.link is None:
            return
        self.down += self.signalling.take_output()
        data = bytes(self.down[:down])
        del self.down[:down]
        self.applied += self.link.receive(data, self.now)
        self.up += self.link.take_output()
        data = bytes(self.up[:up])
        del self.up[:up]
        for item in self.signalling.receive(data, self.now):
            if isinstance(item, Welcome):
                self.welcomes.append(item)
            elif not isinstance(item, Inventory):
                self.heard.append(item)

    def settle(self) -> None:
        for _ in range(1000):
            self.deliver(1 << 30, 1 << 30)
            left = len(self.signalling.outbox) + len(self.worker.outbox) + len(self.down) + len(self.up)
            if self.signalling.phase is Phase.LINKED and not left:
                return
        raise AssertionError("the line never settles")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("command"), st.integers(1, 30)),
        st.tuples(st.just("event"), st.integers(1, 30)),
        st.tuples(st.just("deliver"), st.integers(0, 2000)),
        st.tuples(st.just("cut"), st.just(0)),
    ),
    max_size=60,
)


@given(steps)
def test_every_command_is_applied_once_and_every_event_heard_once_in_order(script: list[tuple[str, int]]) -> None:
    link = Link()
    link.connect()
    link.settle()
    commands = events = 0
    for what, amount in script:
        if what == "command":
            for _ in range(amount):
                commands += 1
                link.signalling.send(Close(commands))
        elif what == "event":
            for _ in range(amount):
                events += 1
                link.worker.tell(StreamSilent(events, 1.0))
        elif what == "deliver":
            link.deliver(amount, amount * 7 % 1999)
        else:
            link.connect()
        assert [command.stream for command in link.applied] == list(range(1, len(link.applied) + 1))
        assert [event.stream for event in link.heard] == list(range(1, len(link.heard) + 1))
    link.connect()
    link.settle()
    assert len(link.applied) == commands
    assert len(link.heard) == events
    assert len(link.worker.outbox) == 0
    assert link.signalling.outbox.octets == link.worker.outbox.octets == 0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=120), st.integers(4, 12))
def test_events_that_are_not_taken_leave_the_essential_ones_and_a_count_of_the_others(
    script: list[tuple[bool, bool]], limit: int
) -> None:
    """Numbers go on without a hole, and nothing is both left out and heard."""
    box = Outbox(limit)
    told: list[tuple[int, bool]] = []
    inbox = line_module.Inbox()
    heard: list[LineEvent] = []

    def take() -> None:
        while (batch := box.take()) is not None:
            heard.extend(inbox.events(line_module.Events(*batch)))

    for essential, reads in script:
        number = len(told) + 1
        told.append((number, essential))
        box.push(line_module.write(Digit(number, "1", 100, "inband")), essential)
        assert sum(1 for _ in box._unsent) <= 2 * limit + 1
        if reads:
            take()
            box.acked(inbox.seen)
    take()
    assert inbox.seen == len(told)
    position = 0
    lost_essential = 0
    for event in heard:
        if isinstance(event, Gap):
            left_out = told[position : position + event.dropped]
            assert sum(essential for _, essential in left_out) == event.essential
            lost_essential += event.essential
            position += event.dropped
        else:
            assert isinstance(event, Digit)
            assert event.stream == told[position][0]
            position += 1
    assert position == len(told)
    if sum(essential for _, essential in told) <= limit * 3 // 4:
        assert lost_essential == 0


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 5000))
def test_a_new_signalling_process_starts_with_its_own_numbers(commands: int, more: int, cut_at: int) -> None:
    """What the one before it left unheard and is essential comes first; its commands are never taken for the new
    one's."""
    link = Link()
    link.connect()
    for number in range(commands):
        link.signalling.send(Close(1000 + number))
    link.worker.tell(StreamSilent(1, 1.0))
    link.deliver(cut_at, cut_at)
    link.worker.tell(Digit(7, "5", 100, "inband"))
    link.cut()
    heard_before = len(link.heard)
    applied = len(link.applied)
    link.signalling = link.new_line("two.1")
    for number in range(more):
        link.signalling.send(Close(2000 + number))
    link.connect()
    link.settle()
    assert link.welcomes[-1].applied == 0
    assert [each.stream for each in link.applied[applied:]] == list(range(2000, 2000 + more))
    assert [event for event in link.heard[heard_before:] if not isinstance(event, Digit)] == []
    assert Digit(7, "5", 100, "inband") in link.heard[heard_before:]


def test_an_acknowledgement_of_what_was_never_sent_ends_the_connection() -> None:
    box = Outbox()
    box.push(b"x")
    with pytest.raises(LineError, match="number 2 was acknowledged"):
        box.acked(2)


def test_raw_events_read_back() -> None:
    box = Outbox()
    box.push(line_module.write(Digit(1, "9", 80, "rfc4733")))
    batch = box.take()
    assert batch is not None
    assert read_event(batch[1][0]) == Digit(1, "9", 80, "rfc4733")
