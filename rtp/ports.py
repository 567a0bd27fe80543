"""Which of the few shared ports a stream gets: a pure allocator.

Streams share ports and are told apart by (local port, source address), so a port is right for a stream as
long as no packet that reaches it could have two owners. Ports are pairs, RTP on the even one and RTCP on the
odd one after it, numbered here by their index in the range.

- Remote address known: a port where no other stream has that address.
- Not yet latched behind NAT: any port of the peer's host may be the source, so one such stream per (port,
  host).
- Remote address unknown: a port without any stream of that host where there is one. Else any port, unless
  the host was seen to use one address for several calls at once (load testers, some gateways): then the pool
  grows.

Sets of ports are bits of an int: the free ports of a rule are `opened & ~used`, whatever their number.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

MAX_REUSING_HOSTS = 4096  # hosts remembered for using one address several times; the oldest is forgotten
FULL_PORT = 64  # streams on a shared port, 3,200 packets a second each way: beyond, others are taken first
IDLE_PORT_SECONDS = 60.0  # an extra port unused for so long is closed again

Address = tuple[str, int]
_Key = TypeVar("_Key", bound=Hashable)


class NoMediaPorts(Exception):
    """Every port of the range is taken for this peer's address: the call is refused before it is answered."""


class _Lease:
    """One stream's hold on a port: what it claims there."""

    __slots__ = ("host", "index", "remote", "waiting")

    def __init__(self, index: int, host: str, remote: Address | None, waiting: str) -> None:
        self.index = index
        self.host = host  # host counted in `_hosts`: the remote's, or the peer's while that is unknown
        self.remote = remote
        self.waiting = waiting  # host an unlatched NATed stream waits for, "" when it waits for none


class PortPool:
    """Ports `first`..`last`; `shared` pairs are always open, the others while somebody needs them."""

    def __init__(self, first: int, last: int, shared: int) -> None:
        self.first = first + first % 2
        self.pairs = (last - self.first + 1) // 2
        if self.pairs < 1:
            raise ValueError(f"no pair of ports in {first}-{last}")
        self.shared = min(shared, self.pairs)
        self._opened = (1 << self.shared) - 1
        self._always = self._opened
        self._broken = 0
        self._cursor = 0
        self._leases: dict[int, _Lease] = {}
        self._streams_on: dict[int, int] = {}
        self._addresses: dict[Address, int] = {}
        self._waiting: dict[str, int] = {}
        self._hosts: dict[str, int] = {}
        self._host_streams: dict[tuple[str, int], int] = {}
        self._reusing: dict[str, None] = {}
        self._idle_since: dict[int, float] = {}

    # -- what is there

    def __len__(self) -> int:
        return len(self._leases)

    @property
    def opened(self) -> list[int]:
        """RTP ports that are to be open now, lowest first."""
        return [self.port(index) for index in range(self._opened.bit_length()) if self._opened >> index & 1]

    def port(self, index: int) -> int:
        return self.first + 2 * index

    def port_of(self, stream: int) -> int:
        """The RTP port of a live stream; KeyError when it holds none."""
        return self.port(self._leases[stream].index)

    def reuses_addresses(self, host: str) -> bool:
        return host in self._reusing

    def held(self) -> Hashable:
        """Everything the pool remembers of live streams, for tests of leaks: falsy parts when it is idle."""
        return (
            len(self._leases),
            len(self._addresses),
            len(self._waiting),
            len(self._hosts),
            len(self._host_streams),
            sum(self._streams_on.values()),
        )

    # -- streams

    def open(self, stream: int, peer_host: str, remote: Address | None, nat: bool, beside: int | None = None) -> int:
        """The RTP port for a new stream: another one than that of stream `beside`, which is in the same description.
        Raises NoMediaPorts; ValueError when the stream is open already."""
        if stream in self._leases:
            raise ValueError(f"stream {stream} is open")
        waiting = peer_host if nat else ""
        barred = self._waiting.get(waiting, 0) if nat else 0
        if beside is not None and beside in self._leases:
            barred |= 1 << self._leases[beside].index
        if remote is not None:
            host = remote[0]
            free = self._opened & ~(barred | self._addresses.get(remote, 0))
            index = -1
            if nat:
                # Apart from its neighbours behind the same NAT while there is room: should one of them have to be
                # learned anew, nobody else waits for that host.
                index = self._choose(free & ~self._hosts.get(peer_host, 0))
            if index < 0:
                index = self._choose(free)
        else:
            host = peer_host
            index = self._choose(self._opened & ~(barred | self._hosts.get(host, 0)))
            if index < 0 and host not in self._reusing:
                index = self._choose(self._opened & ~barred)
        if index < 0:
            index = self._grow()
        lease = _Lease(index, host, None, "")
        self._leases[stream] = lease
        self._streams_on[index] = self._streams_on.get(index, 0) + 1
        self._idle_since.pop(index, None)
        self._claim(lease, host, remote, waiting)
        return self.port(index)

    def adopt(self, stream: int, port: int, host: str, remote: Address | None, waiting: str) -> bool:
        """A stream that lives on a port since before this pool was made. `remote` is the address it owns, `waiting` the
        host an unlatched one waits for. False when the port is none of this range."""
        index, odd = divmod(port - self.first, 2)
        if odd or not 0 <= index < self.pairs:
            return False
        if stream in self._leases:
            raise ValueError(f"stream {stream} is open")
        bit = 1 << index
        self._opened |= bit
        self._broken &= ~bit
        self._idle_since.pop(index, None)
        lease = self._leases[stream] = _Lease(index, host, None, "")
        self._streams_on[index] = self._streams_on.get(index, 0) + 1
        owned = remote is not None and self._addresses.get(remote, 0) & bit
        self._claim(lease, host, None if owned else remote, "" if self._waiting.get(waiting, 0) & bit else waiting)
        return True

    def remote_changed(self, stream: int, remote: Address, nat: bool, signalled_host: str) -> bool:
        """A stream's remote address became known, or another. True when another stream on its port owns that
        address and packets could not be told apart: the claim is not taken then, and the stream can't be
        carried.

        A NATed stream is told apart by the host of its signalling even when its SDP address (a private one,
        often the same behind many NATs) is another's.
        """
        lease = self._leases[stream]
        waiting = signalled_host if nat else ""
        if lease.remote == remote and lease.waiting == waiting:
            return False
        self._release(lease)
        bit = 1 << lease.index
        taken = self._addresses.get(remote, 0)
        if taken:
            self._remember_reusing(remote[0])
        if nat:
            if self._waiting.get(waiting, 0) & bit:
                self._claim(lease, lease.host, lease.remote, "")
                return True
            self._claim(lease, remote[0], None if taken & bit else remote, waiting)
            return False
        if taken & bit:
            self._claim(lease, lease.host, lease.remote, "")
            return True
        self._claim(lease, remote[0], remote, "")
        return False

    def latched(self, stream: int, source: Address) -> None:
        """A NATed stream is locked to its real source: it waits no longer, and owns that address."""
        lease = self._leases[stream]
        self._release(lease)
        taken = self._addresses.get(source, 0) >> lease.index & 1
        self._claim(lease, source[0], None if taken else source, "")

    def close(self, stream: int, now: float) -> None:
        """Give the port back; a stream without a port is ignored."""
        lease = self._leases.pop(stream, None)
        if lease is None:
            return
        self._release(lease)
        left = self._streams_on[lease.index] - 1
        if left:
            self._streams_on[lease.index] = left
        else:
            del self._streams_on[lease.index]
            if not self._always >> lease.index & 1:
                self._idle_since[lease.index] = now

    # -- ports

    def unusable(self, port: int) -> None:
        """The port can't be bound (another program has it): it is never chosen again."""
        bit = 1 << (port - self.first) // 2
        self._broken |= bit
        self._opened &= ~bit
        self._always &= ~bit
        self._idle_since.pop(bit.bit_length() - 1, None)

    def replace_broken(self) -> int:
        """One more port that is always open, for a shared one that could not be bound. Raises
        NoMediaPorts."""
        index = self._grow()
        self._always |= 1 << index
        self._idle_since.pop(index, None)
        return self.port(index)

    def shrink(self, now: float) -> list[int]:
        """RTP ports to close: the extra ones that nobody needed for a while."""
        if not self._idle_since:
            return []
        late = [index for index, since in self._idle_since.items() if now - since >= IDLE_PORT_SECONDS]
        for index in late:
            del self._idle_since[index]
            self._opened &= ~(1 << index)
        return [self.port(index) for index in late]

    # -- below

    def _choose(self, free: int) -> int:
        """One of the free ports: the first that is not full, so that few streams need few system calls; when all
        are, in turn, so that streams spread over them; extra ports last. -1 when none."""
        if not free:
            return -1
        shared = free & self._always
        if not shared:
            return (free & -free).bit_length() - 1
        left = shared
        while left:
            index = (left & -left).bit_length() - 1
            if self._streams_on.get(index, 0) < FULL_PORT:
                return index
            left &= left - 1
        ahead = shared >> self._cursor << self._cursor or shared
        index = (ahead & -ahead).bit_length() - 1
        self._cursor = index + 1
        return index

    def _grow(self) -> int:
        shut = ~(self._opened | self._broken)
        index = (shut & -shut).bit_length() - 1
        if index >= self.pairs:
            raise NoMediaPorts(f"all {self.pairs} pairs of RTP ports are in use")
        self._opened |= 1 << index
        return index

    def _claim(self, lease: _Lease, host: str, remote: Address | None, waiting: str) -> None:
        bit = 1 << lease.index
        lease.host, lease.remote, lease.waiting = host, remote, waiting
        key = (host, lease.index)
        count = self._host_streams.get(key, 0)
        self._host_streams[key] = count + 1
        if not count:
            self._hosts[host] = self._hosts.get(host, 0) | bit
        if remote is not None:
            owners = self._addresses.get(remote, 0)
            if owners:
                self._remember_reusing(remote[0])
            self._addresses[remote] = owners | bit
        if waiting:
            self._waiting[waiting] = self._waiting.get(waiting, 0) | bit

    def _release(self, lease: _Lease) -> None:
        key = (lease.host, lease.index)
        bit = 1 << lease.index
        count = self._host_streams[key] - 1
        if count:
            self._host_streams[key] = count
        else:
            del self._host_streams[key]
            _clear(self._hosts, lease.host, bit)
        if lease.remote is not None:
            _clear(self._addresses, lease.remote, bit)
        if lease.waiting:
            _clear(self._waiting, lease.waiting, bit)

    def _remember_reusing(self, host: str) -> None:
        self._reusing.pop(host, None)
        self._reusing[host] = None
        if len(self._reusing) > MAX_REUSING_HOSTS:
            del self._reusing[next(iter(self._reusing))]


def _clear(table: dict[_Key, int], key: _Key, bit: int) -> None:
    left = table[key] & ~bit
    if left:
        table[key] = left
    else:
        del table[key]
