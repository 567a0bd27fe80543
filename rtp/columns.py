"""A batch of received packets as columns: one slot per packet, filled by the sockets, read and rewritten in
place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtp.address import FAMILY_V4, SOCKADDR, family

# An Ethernet frame carries at most 1472 octets of UDP payload. 1600 is 25 cache lines: an odd number, so
# that the headers of neighbouring slots do not all fall into the same few sets of the cache.
SLOT = 1600
SLOTS = 1024  # packets handled per wake-up: about 5 ms of work, then everybody else in the loop has a turn

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]


class Slots:
    """`capacity` packets and where each came from.

    data     (capacity, SLOT) octets          words    the same as big-endian 32-bit words, native as this machine's
    names    (capacity, SOCKADDR) sockaddrs   sources  the same as little-endian 64-bit words
    lengths  octets received                  sockets  index of the socket it came by
    control  it came by an RTCP socket
    `count` slots are filled; the first `count_v4` of them came by IPv4.
    """

    __slots__ = (
        "capacity",
        "control",
        "count",
        "count_v4",
        "data",
        "lengths",
        "names",
        "native",
        "sockets",
        "sources",
        "words",
    )

    def __init__(self, capacity: int = SLOTS) -> None:
        self.capacity = capacity
        self.data = np.zeros((capacity, SLOT), np.uint8)
        self.words = self.data.view(">u4")
        self.native: npt.NDArray[np.uint32] = self.data.view(np.uint32)
        self.names = np.zeros((capacity, SOCKADDR), np.uint8)
        self.sources: U64 = self.names.view("<u8")
        self.lengths = np.zeros(capacity, np.int64)
        self.sockets = np.zeros(capacity, np.uint64)
        self.control = np.zeros(capacity, np.bool_)
        self.count = 0
        self.count_v4 = 0

    def put(self, packet: bytes, source: bytes, socket: int, control: bool = False) -> None:
        """Add one packet by hand; IPv4 sources before IPv6 ones, as the sockets do."""
        slot = self.count
        size = min(len(packet), SLOT)
        self.data[slot, :size] = np.frombuffer(packet[:size], np.uint8)
        self.names[slot] = np.frombuffer(source, np.uint8)
        self.lengths[slot] = size
        self.sockets[slot] = socket
        self.control[slot] = control
        self.count += 1
        if family(source) == FAMILY_V4:
            self.count_v4 = self.count

    def clear(self) -> None:
        self.count = self.count_v4 = 0

    def packet(self, slot: int) -> bytes:
        packet: bytes = self.data[slot, : int(self.lengths[slot])].tobytes()
        return packet

    def source(self, slot: int) -> bytes:
        """The sockaddr without what the kernel left alone or what differs by packet (flow label)."""
        name: bytes = self.names[slot].tobytes()
        if family(name) == FAMILY_V4:
            return name[:8] + bytes(SOCKADDR - 8)
        return name[:4] + bytes(4) + name[8:28] + bytes(SOCKADDR - 28)
