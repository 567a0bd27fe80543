r"""Digits between a call's legs: who has to pass them on.

Telephone-events (RFC 4733) pass in the media, and the engine makes tones of them for a leg that has none; tones pass in
the audio. What is left to the call:

    from \ to     | auto, rfc4733, inband                | info
    INFO          | the engine sends events, or tones    | INFO
    RFC 4733      | (media)                              | INFO
    tones heard   | (media)                              | INFO
"""

from __future__ import annotations

from media.choice import AudioPolicy
from softswitch.vocabulary import DigitDialled, SendDigit


class DigitPath:
    """Passes digits on so that none is heard twice."""

    __slots__ = ("_by_events",)

    def __init__(self) -> None:
        self._by_events: set[int] = set()  # legs whose digits come as telephone-events

    def twice(self, event: DigitDialled) -> bool:
        """Whether a digit is one that has come before, in another way."""
        return event.source == "info" and event.leg in self._by_events

    def pass_on(self, event: DigitDialled, to: int, policy: AudioPolicy) -> SendDigit | None:
        """How the digit of one leg gets to the leg `to`, which has this policy; None: it gets there by itself."""
        if event.source == "rfc4733":
            self._by_events.add(event.leg)
        elif self.twice(event):
            # A telephone that sends each digit both ways: its events have brought this one already.
            return None
        if policy.digits == "info":
            return SendDigit(to, event.digit, event.duration_ms, signalled=True)
        if event.source == "info":
            return SendDigit(to, event.digit, event.duration_ms, signalled=False)
        return None
