"""Guessers, floods and toll fraud against the whole switch."""

from __future__ import annotations

from structlog.testing import capture_logs

from sip.digest import Credentials
from sip.effects import Target
from sip.message import Request
from sip.ua_events import SessionEnded
from tests.virtual.network import SWITCH, Phone, World

# ---- guessing ------------------------------------------------------------------------------------------------


def guess(phone: Phone, password: str, user: str = "101") -> None:
    """One REGISTER with that password."""
    address = f"<sip:{user}@{SWITCH}>"
    request = Request("REGISTER", f"sip:{SWITCH}", [("From", address), ("To", address), ("Expires", "60")])
    phone.ua.request(request, phone.link.now, Target("udp", SWITCH, 5060), user, Credentials(user, password))
    phone.world.run(0.2)


def test_a_guesser_is_logged_within_bounds_and_the_phone_is_not_locked_out() -> None:
    """THREATS 5: back-off per source and per user; the real phone at its own address is not locked out."""
    world = World()
    ann, ben = world.phone("101"), world.phone("102")
    guesser = world.gateway("198.51.100.66")
    with capture_logs() as entries:
        for n in range(60):
            guess(guesser, f"guess {n}")
        world.run(60.0)
    lines = [entry for entry in entries if entry.get("log_level") == "warning"]
    events = [entry["event"] for entry in lines]
    assert events[:6] == ["authentication failed"] * 5 + ["backed off"]
    assert set(events[6:]) == {"backed off", "and more"}
    assert len(events) <= 9
    assert {entry["source"] for entry in lines if "source" in entry} == {guesser.host}
    assert lines[-1]["left_out"] >= 15  # twenty were looked at, the others not even that
    assert "guess 1" not in str(lines)
    session = world.establish(ann, ben)
    ann.register()
    ann.do(session.hangup)
    world.run(1.0)
    assert ben.of(SessionEnded)
    world.assert_over()
