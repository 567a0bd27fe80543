"""What is said to those who wait, when: each announcement of a queue for the first time, and again.

The expected wait that is told never grows for a caller who has lost no place: it is at most what was told before, less
the time that has passed.
"""

from __future__ import annotations

from acd import effects as e
from acd import facts as f
from acd.config import Announcement
from acd.contact import ContactState
from acd.turn import Turn
from acd.wait_estimate import Wait, estimate

UNKNOWN = Wait(-1.0, -1.0)


def due(turn: Turn, name: str, at: float) -> None:
    """What is due at `at` of a contact's announcements."""
    contact = turn.state.contacts[name]
    announcements = turn.state.queue(contact.queue).announcements
    for index, again in enumerate(contact.announced):
        if again == at:
            _announce(turn, contact, index, announcements[index])


def _announce(turn: Turn, contact: ContactState, index: int, what: Announcement) -> None:
    position = turn.state.position(contact) if what.what == "position" else 0
    wait = told(turn, contact) if what.what == "expected_wait" else UNKNOWN
    again = turn.now + what.every if what.every > 0.0 else 0.0
    turn.fact(f.Announced(contact.id, index, position, wait.low, wait.high, again))
    turn.do(e.Announce(contact.id, what.what, what.sound, position, wait.low, wait.high))


def told(turn: Turn, contact: ContactState) -> Wait:
    """The expected wait, as far as it may be told."""
    wait = estimate(turn.state, contact)
    if wait is None:
        return UNKNOWN
    if contact.told < 0.0:
        return wait
    left = max(contact.told - turn.now, 0.0)
    return Wait(min(wait.low, left), min(wait.high, left))
