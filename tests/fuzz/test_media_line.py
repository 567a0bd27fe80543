"""Whatever comes by the line of a media worker: it is understood, or LineError and a closed connection."""

from __future__ import annotations

import contextlib

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from media.commands import MediaAddress, StreamSettings, StreamSilent
from media.line import SignallingEnd, WorkerEnd
from media.wire import (
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
    Open,
    Proof,
    Refused,
    Session,
    Welcome,
    frame,
    read_command,
    read_event,
    write,
)

SAMPLES = [
    frame(Hello(VERSION, "line", b"n" * 32, 7, "worker")),
    frame(Challenge(VERSION, "worker", b"m" * 32)),
    frame(Proof(b"p" * 32)),
    frame(Welcome(b"p" * 32, 3, 4, 99, ("127.0.0.1",))),
    frame(Refused("no")),
    frame(Inventory((Session(1, 10_000, 0, StreamSettings(remote=MediaAddress("192.0.2.1", 4, 5))),), (10_000,))),
    frame(Commands(1, [msgspec.Raw(write(Open(1, 10_000, 0))), msgspec.Raw(write(Close(1)))])),
    frame(Events(1, [msgspec.Raw(write(StreamSilent(1, 2.5)))])),
    frame(Ack(5)),
]


def mangled(data: bytes, at: int, what: bytes, cut: int) -> bytes:
    at %= len(data)
    return data[:at] + what + data[at + cut :]


garbage = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(SAMPLES), max_size=4).map(b"".join),
    st.builds(
        mangled, st.sampled_from(SAMPLES), st.integers(0, 500), st.binary(max_size=6), st.integers(0, 6)
    ),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(garbage, max_size=5))
def test_a_worker_understands_or_refuses(pieces: list[bytes]) -> None:
    end = WorkerEnd("worker", b"secret", bytes, (1, ("127.0.0.1",)), lambda: [Inventory(last=True)])
    link = end.accept(0.0)
    for piece in pieces:
        assert list(link.receive(piece, 0.0)) == []  # who has not proved anything commands nothing
        answer = link.take_output()
        assert len(answer) < MAX_GREETING
    assert not link.ready
    assert end.link is None


@settings(max_examples=400, deadline=None)
@given(st.lists(garbage, max_size=5))
def test_a_signalling_process_understands_or_hangs_up(pieces: list[bytes]) -> None:
    end = SignallingEnd("line", b"secret", bytes)
    end.connect(0.0)
    with contextlib.suppress(LineError):
        for piece in pieces:
            assert list(end.receive(piece, 0.0)) == []  # nothing of a worker that has not proved who it is
            end.take_output()
    end.disconnect()


@given(st.binary(max_size=100))
def test_batched_values_are_read_or_refused(raw: bytes) -> None:
    for read in (read_command, read_event):
        with contextlib.suppress(LineError):
            read(msgspec.Raw(raw))


@given(st.lists(st.sampled_from(SAMPLES), max_size=6), st.data())
def test_frames_are_the_same_however_they_are_cut(samples: list[bytes], data: st.DataObject) -> None:
    whole = FrameReader()
    whole.feed(b"".join(samples))
    wanted = []
    while (one := whole.next()) is not None:
        wanted.append(one)
    assert len(wanted) == len(samples)
    pieces, rest = FrameReader(), b"".join(samples)
    found = []
    while rest:
        size = data.draw(st.integers(1, 60))
        pieces.feed(rest[:size])
        rest = rest[size:]
        while (one := pieces.next()) is not None:
            found.append(one)
    assert [msgspec.msgpack.encode(each) for each in found] == [msgspec.msgpack.encode(each) for each in wanted]
