"""Who may be heard: the source of each stream, as a security rule.

    not behind NAT    FIXED      only the signalled address and port, ever
    behind NAT        WAITING -- first packet from the signalled media address, or from any port of the
                                 host the signalling came from, which is not of a call there that has just
                                 ended --> LOCKED to its source
                      LOCKED --- the same SSRC from another port of that host, after RELATCH_SILENCE
                                 without a packet (the NAT gave it a new port) --> LOCKED to the new source
    either            a changed remote address in the signalling starts anew

A stream whose packets must authenticate (`secure_in`) is locked, and moved at once to any source, by an authentic
packet alone (`rtp.secure`); what a stranger's address says is nothing to it.

Everything else is dropped before anyone hears it. While the locked source talks, no other SSRC is taken from
it either (`relay.py`), so a forged source address alone injects nothing.
"""

from __future__ import annotations

from rtp.address import Keys
from rtp.ended import Ended
from rtp.table import KeyTable, StreamTable

RELATCH_SILENCE = 2.0  # seconds; long enough that two live sources can't alternate


class Peer:
    """What is known of a row beyond its columns: read once per event, never per packet."""

    __slots__ = (
        "address",
        "expected_before",
        "first_at",
        "frame",
        "host_key",
        "key",
        "latched",
        "leap",
        "nat",
        "row",
        "signalled",
        "socket",
        "ssrcs",
        "strayed",
        "stream",
        "waiting",
    )

    def __init__(self, stream: int, row: int, socket: int) -> None:
        self.stream = stream
        self.row = row
        self.socket = socket  # index of the RTP socket that its packets come by
        # Source (the rules above).
        self.nat = False
        self.address = b""  # sockaddr it is locked to, or waited for
        self.key = 0  # the key of `address` in the table, 0 when it has none there
        self.signalled = b""  # sockaddr (port 0) of the host its signalling came from
        self.host_key = 0
        self.waiting = False
        self.latched = False
        self.strayed = 0  # packets from its host, but not from its source
        # Reception.
        self.ssrcs: tuple[int, ...] = ()
        self.first_at: float | None = None
        self.expected_before = 0  # packets expected of earlier SSRCs
        self.leap = -1  # the sequence number that would confirm a leap
        self.frame = 160  # timestamp units of one packet


class Latch:
    """The sources of all rows. `moved` collects peers that were locked to a source learned from a packet; `ended` knows
    streams that have just been released."""

    __slots__ = ("_by_host", "_keys", "_table", "ended", "hosts", "moved", "peers")

    def __init__(self, table: StreamTable, keys: Keys) -> None:
        self._table = table
        self._keys = keys
        self.ended = Ended()
        self.hosts = KeyTable()
        self._by_host: dict[int, list[Peer]] = {}
        self.peers: dict[int, Peer] = {}
        self.moved: list[Peer] = []

    def fix(self, peer: Peer, address: bytes) -> bool:
        """Lock a stream that is not behind NAT to its signalled address. False when the address is
        another's."""
        self._forget(peer)
        peer.nat = False
        return self._take(peer, address)

    def wait(self, peer: Peer, address: bytes, signalled: bytes) -> bool:
        """Let a stream behind NAT be locked by its first packet. `signalled` is the sockaddr, port 0, of the host its
        signalling came from, or empty.

        When another waits for that host already, a stream that was locked before keeps its source (and may still move
        after a silence); one that was not is refused: False.
        """
        key = self._keys.host(signalled, peer.socket) if signalled else 0
        known = self._by_host.get(key, [])
        if any(other.waiting and other is not peer for other in known):
            if peer.latched and peer.host_key == key:
                return True
            self._forget(peer)
            return False
        self._forget(peer)
        peer.nat = peer.waiting = True
        # Behind many NATs is the same 192.168.1.2:4000. Who is second is known by its host alone.
        owned = self._take(peer, address)
        if not signalled:
            if not owned:
                self._forget(peer)
            return owned
        # `_forget` may have removed the list it was on.
        if key not in self._by_host:
            self._by_host[key] = []
            self.hosts.insert(key, 1)
        self._by_host[key].append(peer)
        peer.signalled = signalled
        peer.host_key = key
        return True

    def release(self, peer: Peer) -> None:
        """The stream is closed; its row is not free yet."""
        table, row = self._table, peer.row
        last = int(table.top[row]) & 0xFFFF, float(table.heard[row])
        self.ended.add(peer.key, peer.address, (int(table.ssrc[row]), int(table.own_ssrc[row])), last)
        self._forget(peer)
        self.peers.pop(peer.row, None)

    def first_packet(self, peer: Peer, source: bytes) -> None:
        """A waiting stream got a packet from its signalled media address."""
        self._lock(peer, source)

    def waiting(self, host_key: int, source: bytes) -> list[Peer]:
        """Streams that a first packet from this host may be of."""
        known = self._by_host.get(host_key, ())
        return [peer for peer in known if peer.waiting and _same_host(peer.signalled, source)]

    def move(self, peer: Peer, source: bytes) -> int:
        """An authentic packet came from `source`: its row from now on; 0 where that is another stream's source."""
        return self._lock(peer, source)

    def stranger(self, host_key: int, source: bytes, ssrc: int, seq: int, now: float) -> tuple[int, Peer | None]:
        """The row that a packet from an unknown source belongs to, by the host it comes from. 0: nobody's; then the
        stream that is told of it, if one can be named. `seq`: its number where the source has just ended a call, else
        -1.
        """
        candidates = self._by_host.get(host_key, ())
        table = self._table
        for peer in candidates:
            if peer.waiting and not table.secure_in[peer.row] and _same_host(peer.signalled, source):
                if seq >= 0 and self.ended.continues(ssrc, source, seq, now):
                    return 0, None
                return self._lock(peer, source), None
        for peer in candidates:
            if table.secure_in[peer.row]:
                continue
            if table.ssrc[peer.row] == ssrc and _same_host(peer.signalled, source):
                if now - table.heard[peer.row] >= RELATCH_SILENCE:
                    return self._lock(peer, source), None
                return 0, peer
        return 0, candidates[0] if len(candidates) == 1 else None

    def _lock(self, peer: Peer, source: bytes) -> int:
        if peer.address != source or not peer.key:
            self._untake(peer)
            if not self._take(peer, source):
                return 0
        peer.waiting = False
        peer.latched = True
        self.moved.append(peer)
        # The next packet is looked at, whatever its SSRC.
        self._table.expect[peer.row] = -1
        return peer.row

    def _take(self, peer: Peer, address: bytes) -> bool:
        peer.address = address
        row = peer.row
        self._table.put_address(row, address)
        key = self._keys.source(address, peer.socket)
        if self._table.keys.get(key):
            return False
        self._table.keys.insert(key, row)
        peer.key = key
        return True

    def _untake(self, peer: Peer) -> None:
        if peer.key:
            self._table.keys.delete(peer.key)
            peer.key = 0

    def _forget(self, peer: Peer) -> None:
        self._untake(peer)
        peer.waiting = peer.latched = False
        if peer.host_key:
            others = self._by_host[peer.host_key]
            others.remove(peer)
            if not others:
                del self._by_host[peer.host_key]
                self.hosts.delete(peer.host_key)
            peer.host_key = 0
            peer.signalled = b""


def _same_host(one: bytes, other: bytes) -> bool:
    """Both of one family and address; ports apart. Keys of IPv6 hosts are hashes, so this has the last
    word."""
    return one[:2] == other[:2] and one[4:24] == other[4:24]
