"""A fault of our own in one event ends that call alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from softswitch.switch import Switch


class Broken:
    """A runtime and a user agent that fail at one event and take all others."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.events: list[Any] = []
        self.touched: set[str] = set()

    def handle(self, event: Any, now: float) -> None:
        self.session_event(event, now)

    def session_event(self, event: Any, now: float) -> None:
        if event.bad:
            raise KeyError("a bug")
        self.seen.append(event)


class Session:
    def __init__(self) -> None:
        self.hung_up = 0

    def hangup(self, now: float) -> None:
        self.hung_up += 1


def make() -> Switch:
    switch = object.__new__(Switch)
    broken = Broken()
    switch.stack = SimpleNamespace(events=[])  # type: ignore[assignment]
    switch.ua = broken  # type: ignore[assignment]
    switch.media = SimpleNamespace(events=[])  # type: ignore[assignment]
    switch.runtime = broken  # type: ignore[assignment]
    switch.registrations = SimpleNamespace(touched=set())  # type: ignore[assignment]
    switch.presence = SimpleNamespace()  # type: ignore[assignment]
    switch.subscriptions = SimpleNamespace(tell=lambda now: None)  # type: ignore[assignment]
    switch._changed_rooms = set()
    return switch


def test_the_other_events_of_the_batch_are_handled_and_the_session_ends() -> None:
    switch = make()
    told: list[Exception] = []
    switch.fault = lambda _event, error: told.append(error)
    bad, good = SimpleNamespace(bad=True, session=Session()), SimpleNamespace(bad=False, session=Session())
    switch.ua.events.extend([bad, good])
    switch.stack.events.extend([SimpleNamespace(bad=True)])
    switch.pump(1.0)
    assert [type(error) for error in told] == [KeyError, KeyError]
    assert switch.runtime.seen == [good]  # type: ignore[attr-defined]
    assert (bad.session.hung_up, good.session.hung_up) == (1, 0)


def test_a_fault_in_telling_watchers_is_told_and_no_more() -> None:
    switch = make()
    told: list[Exception] = []
    switch.fault = lambda _event, error: told.append(error)

    def tell(now: float) -> None:
        raise KeyError("a bug")

    switch.subscriptions = SimpleNamespace(tell=tell)  # type: ignore[assignment]
    good = SimpleNamespace(bad=False, session=Session())
    switch.ua.events.append(good)
    switch.pump(1.0)
    assert [type(error) for error in told] == [KeyError]
    assert switch.runtime.seen == [good]  # type: ignore[attr-defined]
    assert good.session.hung_up == 0


def test_without_anybody_told_it_is_raised() -> None:
    switch = make()

    def tell(_event: object, error: Exception) -> None:
        raise error

    switch.fault = tell
    switch.ua.events.append(SimpleNamespace(bad=True, session=Session()))
    with pytest.raises(KeyError):
        switch.pump(1.0)
