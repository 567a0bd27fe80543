"""Streams that have closed a moment ago: what still comes of them is the healthy end of a call, and no stranger's.

A telephone that hears of the end a moment after us sends on until then, and says goodbye with an RTCP BYE (RFC 3550
6.3.7) to where its call was. Such packets are dropped like any other that belong to no stream, but counted apart, so
that what is left under "no call" means something.

Nor is it the beginning of another call: behind one NAT a telephone may call on the port on which another one has just
hung up and still sends.

Two generations of sources are kept and the older one is dropped every `LINGER` seconds: a source is known for that long
at least, and twice that at most.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtp.address import host_octets
from rtp.table import U64, KeyTable

LINGER = 5.0  # seconds; long enough for a BYE that is lost three times (RFC 3261 17.1.2.2: 0.5, 1 and 2 s)
MOST = 4096  # streams of a generation; of more that close the rest is told as strangers are

MOST_PER_SECOND = 100  # packets, of 10 ms

_Last = tuple[int, float]  # sequence number, time
_Reporter = tuple[int, bytes]  # SSRC, the octets of a host


class Ended:
    """Closed streams by the key of their source (`rtp.address.Keys`), and by both SSRCs and the host for RTCP."""

    __slots__ = ("_keys", "_last", "_older_keys", "_older_last", "_older_reporters", "_reporters", "_turned")

    def __init__(self) -> None:
        self._turned = 0.0
        self._keys, self._older_keys = KeyTable(), KeyTable()
        self._reporters: set[_Reporter] = set()
        self._older_reporters: set[_Reporter] = set()
        self._last: dict[_Reporter, _Last] = {}
        self._older_last: dict[_Reporter, _Last] = {}

    def add(self, key: int, address: bytes, ssrcs: tuple[int, int], last: _Last = (0, -LINGER)) -> None:
        """A stream has closed. `key`: 0 where its source was not known; `address`: its sockaddr, or empty; `ssrcs`: the
        peer's (-1: nothing came) and ours; `last`: sequence number and time of the last packet."""
        if key and len(self._keys) < MOST and not self._keys.get(key):
            self._keys.insert(key, 1)
        if address and len(self._reporters) < 2 * MOST:
            host = host_octets(address)
            self._reporters.update((ssrc, host) for ssrc in ssrcs if ssrc >= 0)
            if ssrcs[0] >= 0:
                self._last[ssrcs[0], host] = last

    def sent(self, keys: U64) -> npt.NDArray[np.bool_]:
        """Whether each source is one of a stream that has closed."""
        known: npt.NDArray[np.bool_] = self._keys.lookup(keys) + self._older_keys.lookup(keys) > 0
        return known

    def reported(self, ssrcs: set[int], source: bytes) -> bool:
        """Whether RTCP about one of these SSRCs, from this sockaddr, is of such a stream."""
        host = host_octets(source)
        return any((each, host) in self._reporters or (each, host) in self._older_reporters for each in ssrcs)

    def continues(self, ssrc: int, source: bytes, seq: int, now: float) -> bool:
        """Whether a packet is the next one of a closed stream: of its host and SSRC, and numbered on. A telephone that
        calls anew begins with another number (RFC 3550 5.1), even if its SSRC is always the same."""
        reporter = ssrc, host_octets(source)
        last = self._last.get(reporter) or self._older_last.get(reporter)
        if last is None:
            return False
        return (seq - last[0]) & 0xFFFF <= MOST_PER_SECOND * (now - last[1] + 1.0)

    def tick(self, now: float) -> None:
        """Forget those that closed long ago. Once a second or so."""
        if now - self._turned >= LINGER:
            self._turned = now
            if len(self._keys) or len(self._older_keys):
                self._older_keys, self._keys = self._keys, KeyTable()
            if self._reporters or self._older_reporters:
                self._older_reporters, self._reporters = self._reporters, set()
                self._older_last, self._last = self._last, {}
