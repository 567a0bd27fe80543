"""Telephone events over any network, and out of any octets."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rtp.telephone_event import DIGITS, PAUSE, EventReceiver, EventSender

MESSAGE = st.text(alphabet=DIGITS + PAUSE, min_size=1, max_size=12)


def packets(message: str, clock: int, duration_ms: int, gap_ms: int) -> list[tuple[int, int, bool, bytes, float]]:
    """(sequence number, timestamp, marker, payload, time) of a message."""
    sender = EventSender()
    sender.queue(1, message, clock=clock, duration_ms=duration_ms, gap_ms=gap_ms)
    found, tick = [], 0
    while sender.rows:
        packet = sender.packet(1)
        if packet is not None:
            stamp = 0xFFFF0000 + tick * clock // 50 + packet[2]
            found.append((60_000 + tick & 0xFFFF, stamp & 0xFFFFFFFF, packet[1], packet[0], tick * 0.02))
        tick += 1
    return found


@settings(deadline=None)
@given(
    MESSAGE,
    st.sampled_from([8000, 48_000]),
    st.integers(40, 3000),
    st.integers(0, 300),
    st.lists(st.integers(0, 2), min_size=1, max_size=97),
    st.lists(st.integers(0, 3), min_size=1, max_size=89),
)
def test_each_event_of_which_a_packet_came_is_told_once(
    message: str, clock: int, duration_ms: int, gap_ms: int, copies: list[int], delays: list[int]
) -> None:
    """`copies`: 0 lost, 2 doubled; `delays`: in ticks, so that packets overtake each other."""
    arrivals, through, event = [], set(), -1
    sent = packets(message, clock, duration_ms, gap_ms)
    for n, (seq, stamp, marker, payload, at) in enumerate(sent):
        event += marker
        for copy in range(copies[n % len(copies)]):
            # No burst that is lost lasts longer than a time-out: keep every fifth packet.
            arrivals.append((at + 0.02 * delays[(n + copy) % len(delays)], n, seq, stamp, marker, payload))
            through.add(event)
        if not copies[n % len(copies)] and not n % 5:
            arrivals.append((at, n, seq, stamp, marker, payload))
            through.add(event)
    receiver = EventReceiver()
    told = []
    for at, _, seq, stamp, marker, payload in sorted(arrivals):
        told += receiver.receive(1, seq, stamp, marker, payload, at)
        told += [row[1:] for row in receiver.expire(at)]
    told += [row[1:] for row in receiver.expire(1e9)]
    digits = message.replace(PAUSE, "")
    assert sorted(t[0] for t in told if t[2]) == sorted(digits[n] for n in through)
    if duration_ms >= 60:
        assert [t[0] for t in told if t[2]] == [digits[n] for n in sorted(through)]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFFFFFF) | st.integers(0, 2000),
            st.booleans(),
            st.binary(max_size=80)
            | st.builds(lambda c, d: bytes([c, d, 1, d]), st.integers(0, 18), st.integers(0, 255)),
            st.floats(0, 0.5),
        ),
        max_size=60,
    )
)
def test_any_octets_are_survived(script: list[tuple[int, int, bool, bytes, float]]) -> None:
    receiver = EventReceiver()
    now, told, begun = 0.0, [], 0
    for seq, stamp, marker, payload, gone in script:
        now += gone
        told += receiver.receive(1, seq, stamp, marker, payload, now)
        told += [row[1:] for row in receiver.expire(now)]
    told += [row[1:] for row in receiver.expire(now + 1)]
    for digit, duration, ended in told:
        assert digit in DIGITS
        assert duration >= 0
        # One event is open at a time: after each begin comes an end before the next begin.
        begun += -1 if ended and begun else not ended
        assert begun in (0, 1)
    assert begun == 0
