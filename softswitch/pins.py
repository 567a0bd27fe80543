"""PINs of extensions: compared in constant time, and with back-off against guessing.

Who is asked has signed in as that extension, so only its own wrong PINs keep it from trying: one that others guess at
from elsewhere can't be locked out by them. MAX_WRONG at once and then one in FADE seconds makes four digits a matter
of weeks, and each wrong one is a line in the security log. A right one does not take wrong ones back.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from softswitch.guessing import Scores
from softswitch.security_log import SecurityLog

MAX_WRONG = 6
"""Wrong PINs of an extension after which none is looked at for a while."""

FADE = 600.0
"""Seconds after which one of them is forgotten."""


class Pins:
    """The PINs of all extensions."""

    __slots__ = ("_pins", "_scores", "_security")

    def __init__(self, pins: Mapping[str, str], security: SecurityLog) -> None:
        self._pins = pins
        self._security = security
        self._scores = Scores(1.0 / FADE)

    def configure(self, pins: Mapping[str, str]) -> None:
        """Other PINs; what was guessed wrong stays known."""
        self._pins = pins

    def may_try(self, extension: str, now: float) -> bool:
        """Whether a PIN of this extension is looked at now: it has one, and there were not too many wrong ones."""
        return extension in self._pins and self._scores.get(extension, now) <= MAX_WRONG - 1

    def check(self, extension: str, pin: str, contact: str, now: float) -> bool:
        """Whether that is its PIN; a wrong one is counted and told."""
        if not self.may_try(extension, now):
            return False
        if hmac.compare_digest(pin.encode(), self._pins[extension].encode()):
            return True
        score = self._scores.add(extension, now)
        self._security.pin_wrong(extension, contact, score > MAX_WRONG - 1, now)
        return False
