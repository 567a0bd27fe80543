"""What calls may cost: attempts, minutes of a moving day, on whose account."""

from __future__ import annotations

from structlog.testing import capture_logs

from sip.timers import TimerHeap
from softswitch.barring import Barring
from softswitch.dialplan.decision import TrunkTarget
from softswitch.security_log import SecurityLog
from softswitch.settings.barring_models import DEFAULT_CLASSES
from softswitch.toll import BIN, DAY, TollGuard, TollSettings, TollTerms
from softswitch.vocabulary import Payer

ANN = Payer("extension", "101")
BEN = Payer("extension", "102")
NORTH = TrunkTarget("north", "030123")


def terms(**holders: dict[str, object]) -> TollSettings:
    """Terms by holder, written `extension_101`."""
    return TollSettings(
        barring=Barring(DEFAULT_CLASSES, (), ["112"]),
        terms={name.replace("_", ":"): TollTerms(**each) for name, each in holders.items()},  # type: ignore[arg-type]
    )


class Desk:
    """A guard, its clock, and the calls it had ended."""

    def __init__(self, **holders: dict[str, object]) -> None:
        self.timers = TimerHeap()
        self.guard = TollGuard(terms(**holders), self.timers, SecurityLog(TimerHeap()))
        self.ended: list[tuple[str, float]] = []
        self.guard.end_call = lambda contact, why, now: self.ended.append((contact, now))

    def refuses(self, contact: str, now: float, payer: Payer = ANN, target: TrunkTarget = NORTH) -> bool:
        with capture_logs():
            return self.guard.refuses(target, target.number, payer, contact, now)

    def talk(self, contact: str, start: float, end: float, payer: Payer = ANN) -> bool:
        """A call; whether it was let out. Time runs on."""
        if self.refuses(contact, start, payer):
            self.guard.over(contact, start, start)
            return False
        self.guard.answered("north", payer, contact, start)
        self.run(end)
        self.guard.over(contact, end, end)
        return True

    def run(self, until: float) -> None:
        with capture_logs():
            while (at := self.timers.next_deadline()) is not None and at <= until:
                self.timers.fire_due(at)


def test_without_terms_nothing_is_refused_and_nothing_kept() -> None:
    desk = Desk()
    assert all(desk.talk(f"c{n}", n, n + 1e5) for n in range(100))
    assert len(desk.guard) == len(desk.timers) == 0


def test_attempts_a_minute() -> None:
    desk = Desk(extension_101={"calls_per_minute": 3})
    assert [desk.refuses(f"c{n}", 0.0) for n in range(4)] == [False, False, False, True]
    assert not desk.refuses("d", 0.0, BEN)
    assert desk.refuses("e", 19.0)
    assert not desk.refuses("e", 20.1)
    assert not desk.refuses("e", 20.1), "a contact counts once, however many trunks it tries"
    assert desk.refuses("f", 20.2)
    assert desk.guard.counters == {"calls barred: calls per minute": 3}
    for contact in ("c0", "c1", "c2", "c3", "d", "e", "f"):
        desk.guard.over(contact, 21.0, 21.0)
    assert len(desk.guard) == 0


def test_attempts_of_the_trunk_count_whoever_calls() -> None:
    desk = Desk(trunk_north={"calls_per_minute": 2})
    assert [desk.refuses(f"c{n}", 0.0, payer) for n, payer in enumerate((ANN, BEN, ANN))] == [False, False, True]
    assert not desk.refuses("d", 0.0, ANN, TrunkTarget("south", "1"))


def test_minutes_of_a_day_then_refusal_and_the_end_of_what_runs() -> None:
    desk = Desk(extension_101={"minutes_per_day": 10})
    assert desk.talk("a", 0.0, 300.0)
    assert desk.guard.minutes_used("extension:101", 300.0) == 5.0
    desk.guard.answered("north", ANN, "b", 400.0)
    desk.guard.answered("north", ANN, "c", 400.0)
    desk.guard.answered("north", BEN, "other", 400.0)
    desk.run(2000.0)
    assert [contact for contact, _ in desk.ended] == ["b", "c"]
    assert {round(at) for _, at in desk.ended} == {550}  # two calls use up the minutes twice as fast
    assert desk.refuses("d", 551.0)
    assert not desk.refuses("e", 551.0, BEN)
    for contact in ("b", "c", "d", "e", "other"):
        desk.guard.over(contact, 552.0, 552.0)
    assert len(desk.guard) == len(desk.timers) == 0


def test_the_day_moves_with_time() -> None:
    desk = Desk(extension_101={"minutes_per_day": 60})
    assert desk.talk("a", 0.0, 1800.0)
    assert desk.talk("b", 40000.0, 41800.0)
    assert desk.refuses("c", 50000.0)
    assert not desk.refuses("d", DAY + BIN)  # the first half hour has come back
    assert desk.guard.minutes_used("extension:101", DAY + BIN) < 31
    assert desk.guard.minutes_used("extension:101", 3 * DAY) == 0


def test_minutes_that_come_back_meanwhile_let_a_call_go_on() -> None:
    desk = Desk(extension_101={"minutes_per_day": 60})
    desk.talk("a", 0.0, 3000.0)  # 50 minutes, in the first hour
    start = DAY + BIN - 300.0
    desk.guard.answered("north", ANN, "b", start)
    desk.run(start + 1000.0)
    assert desk.ended == []
    desk.run(start + 3605.0)
    assert [contact for contact, _ in desk.ended] == ["b"]


def test_emergency_calls_know_no_limit() -> None:
    desk = Desk(extension_101={"minutes_per_day": 1, "calls_per_minute": 1})
    assert desk.talk("a", 0.0, 60.0)
    assert desk.refuses("b", 61.0)
    emergency = TrunkTarget("north", "112")
    assert not desk.refuses("e", 61.0, ANN, emergency)
    desk.guard.answered("north", ANN, "e", 62.0)
    desk.run(10_000.0)
    assert "e" not in [contact for contact, _ in desk.ended]
    for contact in ("b", "e"):
        desk.guard.over(contact, 10_000.0, 10_000.0)
    assert len(desk.guard) == 0


def test_a_reload_holds_for_calls_in_progress() -> None:
    desk = Desk(extension_101={"minutes_per_day": 100})
    desk.guard.answered("north", ANN, "a", 0.0)
    desk.guard.configure(terms(extension_101={"minutes_per_day": 2}), 60.0)
    desk.run(119.0)
    assert desk.ended == []
    desk.run(121.0)
    assert [contact for contact, _ in desk.ended] == ["a"]
    desk.guard.answered("north", BEN, "b", 200.0)
    desk.guard.configure(terms(), 200.0)
    desk.guard.over("a", 300.0, 300.0)
    desk.guard.over("b", 300.0, 300.0)
    assert len(desk.guard) == len(desk.timers) == 0


def test_a_refusal_is_an_alarm() -> None:
    desk = Desk(extension_102={"may_call": frozenset({"international"})})
    abroad = TrunkTarget("north", "0044123")
    with capture_logs() as entries:
        assert desk.guard.refuses(abroad, "+44123\n", ANN, "c1", 0.0)
    assert entries == [
        {
            "event": "call barred",
            "log_level": "warning",
            "extension": "101",
            "why": "international",
            "number": "+44123?",
            "through": "north",
            "contact": "c1",
        }
    ]
    assert not desk.refuses("c2", 0.0, BEN, abroad)
    assert not desk.refuses("c3", 0.0, ANN, TrunkTarget("north", "0044123", "", ("international",)))
    assert desk.refuses("c4", 0.0, BEN, TrunkTarget("north", "+88212"))
    assert desk.refuses("c5", 0.0, ANN, TrunkTarget("north", "44123", "0044123"))
    assert desk.guard.counters == {"calls barred: international": 2, "calls barred: premium": 1}


def test_a_limit_set_by_a_reload_holds_for_calls_that_talk_already() -> None:
    desk = Desk()
    assert not desk.refuses("c1", 0.0)
    desk.guard.answered("north", ANN, "c1", 0.0)
    desk.guard.configure(terms(extension_101={"minutes_per_day": 1}), 10.0)
    desk.run(4000.0)
    assert [contact for contact, _ in desk.ended] == ["c1"]
    assert 59.0 <= desk.ended[0][1] <= 61.0


def test_a_limit_taken_away_and_put_back_forgets_nothing() -> None:
    limited = terms(extension_101={"minutes_per_day": 10, "calls_per_minute": 2})
    desk = Desk(extension_101={"minutes_per_day": 10, "calls_per_minute": 2})
    assert not desk.refuses("c1", 0.0)
    desk.guard.answered("north", ANN, "c1", 0.0)
    desk.guard.configure(terms(extension_101={"calls_per_minute": 2}), 300.0)
    desk.guard.configure(limited, 301.0)
    desk.run(4000.0)
    assert [contact for contact, _ in desk.ended] == ["c1"]
    assert 599.0 <= desk.ended[0][1] <= 601.0
    assert desk.refuses("c2", 700.0)


def test_a_changed_rate_of_attempts_gives_no_fresh_burst() -> None:
    desk = Desk(extension_101={"calls_per_minute": 2})
    assert [desk.refuses(f"a{n}", 0.0) for n in range(3)] == [False, False, True]
    desk.guard.configure(terms(extension_101={"calls_per_minute": 3}), 0.0)
    assert desk.refuses("b1", 0.0)
    assert not desk.refuses("b2", 31.0)


def test_a_class_for_which_a_pin_is_wanted_is_closed_without_it() -> None:
    desk = Desk(extension_101={"pin_for": frozenset({"international"}), "may_call": frozenset({"premium"})})
    abroad, premium = TrunkTarget("north", "0033140205050"), TrunkTarget("north", "0900123456")
    opened = TrunkTarget("north", "0033140205050", allow=("international",))
    both = TrunkTarget("north", "+97912345")
    guard = desk.guard
    assert guard.asks_pin(ANN)
    assert not guard.asks_pin(BEN)
    for target in (abroad, opened, both):
        assert guard.needs_pin(target, target.number, ANN, "c")
        assert desk.refuses("c", 0.0, ANN, target)
    for target in (NORTH, premium, TrunkTarget("north", "112")):
        assert not guard.needs_pin(target, target.number, ANN, "c")
        assert not desk.refuses("c", 0.0, ANN, target)
    guard.grant(ANN, "c")
    for target in (abroad, opened, both):
        assert not guard.needs_pin(target, target.number, ANN, "c")
        assert not desk.refuses("c", 0.0, ANN, target)
        assert desk.refuses("d", 0.0, ANN, target), "in that call alone"
    assert desk.refuses("c", 0.0, BEN, abroad), "and on that account alone"
    guard.over("c", 1.0, 1.0)
    guard.over("d", 1.0, 1.0)
    assert desk.refuses("c", 2.0, ANN, abroad)
    guard.over("c", 2.0, 2.0)
    assert len(guard) == 0


def test_a_pin_does_not_open_what_it_is_not_for() -> None:
    desk = Desk(extension_101={"pin_for": frozenset({"international"})})
    dear = TrunkTarget("north", "0900123456")
    assert not desk.guard.needs_pin(dear, dear.number, ANN, "c"), "nor is it asked for in vain"
    desk.guard.grant(ANN, "c")
    assert desk.refuses("c", 0.0, ANN, dear)
