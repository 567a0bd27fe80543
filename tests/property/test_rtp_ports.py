"""Invariants of the port allocator, whatever calls do (THREATS: none leaked after aborted calls)."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from rtp.ports import NoMediaPorts, PortPool

HOSTS = ["192.0.2.1", "192.0.2.2", "10.0.0.1"]
address = st.tuples(st.sampled_from(HOSTS), st.sampled_from([4000, 4002, 6000]))
action = st.one_of(
    st.tuples(st.just("open"), st.integers(0, 20), st.sampled_from(HOSTS), st.none() | address, st.booleans()),
    st.tuples(st.just("change"), st.integers(0, 20), st.sampled_from(HOSTS), address, st.booleans()),
    st.tuples(st.just("latch"), st.integers(0, 20), st.just(""), address, st.just(True)),
    st.tuples(st.just("close"), st.integers(0, 20), st.just(""), st.none(), st.just(False)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(action, max_size=80))
def test_no_address_has_two_owners_on_a_port(actions: list[tuple[str, int, str, tuple[str, int] | None, bool]]) -> None:
    pool = PortPool(10000, 10015, 2)
    owners: dict[int, tuple[int, tuple[str, int] | None, str]] = {}
    for now, (what, stream, host, remote, nat) in enumerate(actions):
        if what == "open" and stream not in owners:
            try:
                port = pool.open(stream, host, remote, nat)
            except NoMediaPorts:
                continue
            owners[stream] = (port, remote, host if nat else "")
        elif what == "change" and stream in owners:
            assert remote is not None
            port = owners[stream][0]
            waits = host if nat else ""
            if pool.remote_changed(stream, remote, nat, host):
                # It keeps the address it had.
                owners[stream] = (port, owners[stream][1], "")
            else:
                shared = any(o[0] == port and o[1] == remote for s, o in owners.items() if s != stream)
                # Only behind NAT may an address be another's: then the host tells them apart.
                assert nat or not shared
                owners[stream] = (port, None if shared else remote, waits)
        elif what == "latch" and stream in owners:
            assert remote is not None
            port = owners[stream][0]
            shared = any(o[0] == port and o[1] == remote for s, o in owners.items() if s != stream)
            pool.latched(stream, remote)
            owners[stream] = (port, None if shared else remote, "")
        elif what == "close":
            pool.close(stream, float(now))
            owners.pop(stream, None)
        for claims in (
            [(port, remote) for port, remote, _ in owners.values() if remote],
            [(port, waits) for port, _, waits in owners.values() if waits],
        ):
            assert len(claims) == len(set(claims))
        assert {port for port, _, _ in owners.values()} <= set(pool.opened)
    for stream in list(owners):
        pool.close(stream, 1000.0)
    assert pool.held() == (0, 0, 0, 0, 0, 0)
    pool.shrink(10000.0)
    assert pool.opened == [10000, 10002]


def test_ten_thousand_aborted_opens_leak_nothing() -> None:
    rng = random.Random(7)
    pool = PortPool(10000, 10999, 16)
    live: list[int] = []
    for stream in range(10_000):
        host = rng.choice(HOSTS)
        remote = (host, rng.randrange(4000, 4010)) if rng.random() < 0.7 else None
        try:
            pool.open(stream, host, remote, rng.random() < 0.3)
        except NoMediaPorts:
            continue
        live.append(stream)
        if rng.random() < 0.5:
            pool.remote_changed(stream, (host, rng.randrange(4000, 4010)), rng.random() < 0.3, host)
        if len(live) > 200 or rng.random() < 0.6:
            pool.close(live.pop(rng.randrange(len(live))), float(stream))
    for stream in live:
        pool.close(stream, 10_000.0)
    assert pool.held() == (0, 0, 0, 0, 0, 0)
    pool.shrink(1e6)
    assert len(pool.opened) == 16
