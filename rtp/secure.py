"""What of a batch is authentic: looked at before anything else is believed of a secure row's packets (rtp.srtp).

    from the source of a secure row    opened in place, or dead: counted, and not so much as heard
    from an unknown source             tried with the keys of the row it may belong to, by
                                         - the host of its signalling, while the row waits for its first packet
                                         - the SSRC of a row behind NAT: its address has changed under way
                                       authentic: the latch moves there at once; else it stays a stranger

A row behind NAT that is secure is latched by nothing but an authentic packet (`rtp.latch` leaves it alone), and moves
without any silence, to another port or host: what the keys prove outweighs an address. A row that is not behind NAT
is still heard from its signalled address alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtp.address import PORT_MASK, Keys
from rtp.columns import SLOT, Slots
from rtp.latch import Latch, Peer
from rtp.srtp import Srtp
from rtp.table import NOBODY, StreamTable

MAX_TRIALS = 128  # packets of unknown sources that are tried with a key in a batch: half a millisecond of work
MAX_REPORTERS = 8  # streams whose keys are tried on a report that no SSRC names

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]
Bool = npt.NDArray[np.bool_]

_HEAD_BITS = np.array(30)
_HOST_ONLY = np.uint64(0xFFFFFFFFFFFFFFFF ^ PORT_MASK)


class SecureRows:
    """Opens what comes for secure rows. Contexts are `srtp`'s, sources the latch's."""

    __slots__ = ("_keys", "_latch", "_table", "srtp")

    def __init__(self, table: StreamTable, latch: Latch, keys: Keys) -> None:
        self.srtp = Srtp(table)
        self._table = table
        self._latch = latch
        self._keys = keys

    def screen(self, slots: Slots, keys: U64, rows: I64, first: I64, ssrc: I64) -> Bool:
        """Open the RTP packets of secure rows; which slots are dead. `keys`, `rows`, first word and `ssrc` of each
        slot; `rows` and the lengths are brought up to date."""
        count = slots.count
        dead = np.zeros(count, np.bool_)
        # RTCP, which may share the port (RFC 5761 4), is not judged here.
        rtp = (first >> _HEAD_BITS == 2) & (first & 0xC0E00000 != 0x80C00000) & ~slots.control[:count]
        stray = np.flatnonzero(rtp & (rows == NOBODY))
        if stray.size:
            self._strays(slots, stray, keys, rows, ssrc)
            rtp[stray] = False  # those that found their row are open
        at = np.flatnonzero(rtp & (self._table.secure_in[rows] != 0))
        if at.size:
            lengths = self.srtp.unprotect(slots.data, at, slots.lengths[at], rows[at], ssrc[at])
            failed = lengths < 0
            dead[at[failed]] = True
            slots.lengths[at] = np.where(failed, 0, lengths)
        return dead

    def report(self, packet: bytes, source: bytes, socket: int) -> tuple[int, bytes]:
        """(row, report as plain RTCP) of what authenticates as a secure row's; (NOBODY, packet) of all else.

        RFC 3711 3.4: the SSRC of the sender stands in the clear. Who has not been heard yet is found by its host.
        """
        table = self._table
        if len(packet) < 8:
            return NOBODY, packet
        named = (table.ssrc == int.from_bytes(packet[4:8], "big")) & (table.secure_in != 0)
        rows = np.flatnonzero(named).tolist()
        if not rows:
            octets = np.frombuffer(source, np.uint8)
            same = (table.address[:, 4:24] == octets[4:24]).all(axis=1)
            rows = np.flatnonzero(same & (table.secure_in != 0)).tolist()
        tried = [row for row in rows if socket in (table.control_socket[row], table.socket[row])][:MAX_REPORTERS]
        for row in tried:
            opened = self.srtp.open_report(row, packet)
            if opened is not None:
                return row, opened
        if named.any() and tried:
            self.srtp.refused(tried[0])
        return NOBODY, packet

    # -- unknown sources

    def _strays(self, slots: Slots, at: I64, keys: U64, rows: I64, ssrc: I64) -> None:
        table = self._table
        hosts = hosts_of(self._keys, slots, at, keys)
        movable = table.ssrc[table.secure_in != 0]
        likely = (self._latch.hosts.lookup(hosts) != 0) | np.isin(ssrc[at], movable[movable >= 0])
        for index in np.flatnonzero(likely)[:MAX_TRIALS].tolist():
            slot = int(at[index])
            # An earlier packet of the batch may have moved a row to this source.
            row = table.keys.get(int(keys[slot]))
            source = slots.source(slot)
            if row and self._latch.peers[row].address == source:
                claimants = [self._latch.peers[row]] if table.secure_in[row] else []
            else:
                claimants = self._claimants(int(hosts[index]), source, int(ssrc[slot]), int(slots.sockets[slot]))
            # What fails goes on as a stranger, whom a plain stream behind the same NAT may expect.
            if claimants and not self._claim(slots, slot, claimants, source, rows):
                self.srtp.refused(claimants[0].row)

    def _claimants(self, host_key: int, source: bytes, ssrc: int, socket: int) -> list[Peer]:
        """Secure streams behind NAT that the packet may be of."""
        secure = self._table.secure_in
        found = [peer for peer in self._latch.waiting(host_key, source) if secure[peer.row]]
        for row in np.flatnonzero((self._table.ssrc == ssrc) & (secure != 0)).tolist():
            peer = self._latch.peers[row]
            if peer.nat and peer.socket == socket and peer not in found:
                found.append(peer)
        return found

    def _claim(self, slots: Slots, slot: int, claimants: list[Peer], source: bytes, rows: I64) -> bool:
        """Open the packet with the keys of the first claimant that they fit, and lock that one to its source."""
        packet = slots.packet(slot)
        for peer in claimants:
            opened = self.srtp.open_packet(peer.row, packet) if len(packet) < SLOT else None
            if opened is None:
                continue
            if peer.address != source or peer.waiting:
                rows[slot] = self._latch.move(peer, source)
            else:
                rows[slot] = peer.row
            slots.data[slot, : len(opened)] = np.frombuffer(opened, np.uint8)
            slots.lengths[slot] = len(opened)
            return True
        return False


def hosts_of(keys: Keys, slots: Slots, at: I64, sources: U64) -> U64:
    """Keys of the hosts that the packets at these slots come from; `sources` are the keys of all slots."""
    hosts: U64 = sources[at] & _HOST_ONLY
    late = at >= slots.count_v4
    if late.any():
        hosts[late] = keys.hosts_v6(slots.sources[at[late]], slots.sockets[at[late]])
    return hosts
