"""REFERs of telephones: what a transfer or a call (`click_to_dial`) that one began tells it (RFC 3515 2.4). Pure.

REFER --begin--> 202, NOTIFY 100    `TransferTold` --told--> NOTIFY 180, then the final status
"""

from __future__ import annotations

from sip.notifier import ReceivedRefer
from sip.ua_events import ReferArrived, ReferReceived


def number_of(event: ReferReceived | ReferArrived) -> str:
    """The number that a telephone refers to; "" for what is no plain call to one (another method, a dialog that is to
    be replaced, an address without a user)."""
    target = event.refer_to
    if target.method != "INVITE" or target.replaces is not None:
        return ""
    # RFC 3261 19.1.1: a telephone-subscriber may bring parameters.
    return target.uri.username.partition(";")[0]


class Referrals:
    """Those that wait for how their transfer ends, by the leg that asked: one each."""

    __slots__ = ("_refers",)

    def __init__(self) -> None:
        self._refers: dict[int, ReceivedRefer] = {}

    def __len__(self) -> int:
        return len(self._refers)

    def waits(self, leg: int) -> bool:
        """Whether a transfer that this leg has asked for is under way."""
        return leg in self._refers

    def begin(self, leg: int, event: ReferReceived | ReferArrived, now: float) -> None:
        """Its transfer is under way. A telephone that wants no NOTIFY is told no more."""
        event.refer.accept(now)
        if event.wants_sub:
            self._refers[leg] = event.refer

    def told(self, leg: int, status: int, now: float) -> None:
        """The transfer that this leg asked for, by whatever way, stands so."""
        refer = self._refers.get(leg)
        if refer is None:
            return
        if status >= 200:
            del self._refers[leg]
        refer.notify(status, None, now)

    def ended(self, refer: ReceivedRefer) -> None:
        """The telephone does not listen any more."""
        for leg in [leg for leg, each in self._refers.items() if each is refer]:
            del self._refers[leg]
