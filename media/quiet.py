"""Streams that nothing comes from, or nothing goes to, although it should: what makes a call silent. Pure.

    packets move --look, once a second--> nothing for QUIET_SECONDS --> found
                                     <--one packet, or another beginning--

What is expected begins with the settings that open a direction, and anew where a stream that was with nobody comes to
others: whoever was held, waited or was parked is not quiet for that time. Packets that are thrown away because their
payload type was not agreed are none: nobody hears them.

Nobody acts on it, unlike on `StreamSilent`: it is shown to whoever asks how a call does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from media.commands import Quiet, StreamSettings
from rtp.latch import Peer
from rtp.table import NEVER, StreamTable

QUIET_SECONDS = 5.0
"""Longer than packets stay away where a telephone rings up its audio, or changes it."""

MAX_TOLD = 1000
"""Streams told of at a time: as many calls as an operator is shown; where there are more, that is one trouble."""

_NEVER = np.inf  # the moment from which on packets are expected where none are


class QuietWatch:
    """Watches all rows of a table; `found` is what the latest look has found. `peers`: of its rows."""

    __slots__ = (
        "_came",
        "_dropped",
        "_expected",
        "_heard",
        "_looked",
        "_moved",
        "_peers",
        "_rows",
        "_sending",
        "_sent",
        "_table",
        "_taken",
        "found",
    )

    def __init__(self, table: StreamTable, peers: Mapping[int, Peer]) -> None:
        self.found: tuple[Quiet, ...] = ()
        self._table = table
        self._peers = peers
        self._came = np.zeros(0)  # when the latest packet had come
        self._heard = np.zeros(0)  # when the latest one had come that could be taken, as nearly as looks tell
        self._dropped = np.zeros(0, np.int64)  # packets of payload types that were not agreed, at the latest look
        self._taken = np.zeros(0, np.int64)  # all others
        self._expected = np.full(0, _NEVER)  # since when packets are to come
        self._sending = np.full(0, _NEVER)  # since when packets may go
        self._moved = np.zeros(0)  # when packets had last gone
        self._sent = np.zeros(0, np.int64)  # how many had, then
        self._looked = 0.0
        self._rows: set[int] = set()  # of those found

    def configure(self, row: int, settings: StreamSettings, before: StreamSettings | None, now: float) -> None:
        """A stream has new settings. What is passed on as it is (video) may pause."""
        self._grow()
        receive, send = (settings.receive, settings.send) if not settings.as_is else (False, False)
        # Who comes back from a hold may need a moment, whatever was open meanwhile.
        if before is None or (before.receive, before.send) != (settings.receive, settings.send):
            self._expected[row] = now if receive else _NEVER
            self._sending[row] = now if send else _NEVER
            self._forget(row)

    def begin(self, row: int) -> None:
        """A stream that was with nobody comes to others: what is expected begins, at the latest look."""
        self._grow()
        for since in (self._expected, self._sending):
            since[row] = max(since[row], self._looked)
        self._forget(row)

    def release(self, row: int) -> None:
        """A stream is closed: its row waits for another."""
        self._grow()
        self._expected[row] = self._sending[row] = _NEVER
        self._sent[row] = self._dropped[row] = self._taken[row] = 0
        self._came[row] = self._heard[row] = NEVER
        self._rows.discard(row)

    def look(self, now: float) -> None:
        """Find out which streams are quiet now."""
        self._grow()
        table = self._table
        self._looked = now
        moved = table.sent != self._sent
        self._moved[moved] = now
        np.copyto(self._sent, table.sent)
        self._look_at_received()
        unheard = self._quiet(now, np.maximum(self._heard, self._expected))
        unsent = self._quiet(now, np.maximum(self._moved, self._sending))
        rows = np.flatnonzero((unheard > 0) | (unsent > 0))[:MAX_TOLD].tolist()
        self._rows = set(rows)
        self.found = tuple([Quiet(self._peers[row].stream, float(unheard[row]), float(unsent[row])) for row in rows])

    # -- below

    def _look_at_received(self) -> None:
        """Of rows to which packets have come since the latest look: whether all were dropped."""
        table = self._table
        taken = table.received - table.unknown
        useless = (table.unknown != self._dropped) & (taken == self._taken)
        np.copyto(self._heard, table.heard, where=(table.heard != self._came) & ~useless)
        np.copyto(self._came, table.heard)
        np.copyto(self._dropped, table.unknown)
        np.copyto(self._taken, taken)

    def _forget(self, row: int) -> None:
        """What was found of a row is no news any more."""
        if row in self._rows:
            self._rows.discard(row)
            stream = self._peers[row].stream
            self.found = tuple([each for each in self.found if each.stream != stream])

    @staticmethod
    def _quiet(now: float, since: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        seconds = now - since
        return np.where(seconds >= QUIET_SECONDS, seconds, 0.0)

    def _grow(self) -> None:
        """As many rows as the table has."""
        more = self._table.capacity - len(self._sent)
        if more > 0:
            self._came, self._heard = (
                np.concatenate((each, np.full(more, NEVER))) for each in (self._came, self._heard)
            )
            self._dropped = np.concatenate((self._dropped, np.zeros(more, np.int64)))
            self._taken = np.concatenate((self._taken, np.zeros(more, np.int64)))
            self._expected = np.concatenate((self._expected, np.full(more, _NEVER)))
            self._sending = np.concatenate((self._sending, np.full(more, _NEVER)))
            self._moved = np.concatenate((self._moved, np.zeros(more)))
            self._sent = np.concatenate((self._sent, np.zeros(more, np.int64)))
