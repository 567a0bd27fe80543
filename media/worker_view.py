"""A media worker as the signalling side sees it: its line, its ports, its streams, how it does. Pure."""

from __future__ import annotations

from collections import Counter

import msgspec

from media.commands import NoMediaPorts, StreamSettings
from media.line import Phase, SignallingEnd
from media.wire import Inventory, Welcome, WorkerLoad
from rtp.address import family_of
from rtp.ports import PortPool

LOAD_STEPS = 20  # loads closer than a twentieth of a core are the same: the number of streams decides
FRESH_LOAD = 0.001  # of a core, what a stream is thought to take until the worker's next report counts it


class WorkerTerms(msgspec.Struct, frozen=True, kw_only=True):
    """One worker as configured."""

    name: str
    rtp_ports: tuple[int, int]
    shared_ports: int
    announce: tuple[str, ...] = ()
    """Addresses for SDP, one of each family, where the worker is on another machine. Empty: on this one."""
    secret: bytes = b""


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """How long streams may go on whose signalling is lost."""

    silence: float = 60.0
    longest: float = 4 * 3600.0


class Placed:
    """A stream on a worker."""

    __slots__ = ("adopted", "closing", "group", "leased", "opened", "partner", "place", "settings", "worker")

    def __init__(self, worker: Worker, group: str) -> None:
        self.worker = worker
        self.group = group
        self.opened = 0  # number of the command that opened it
        self.closing = 0  # of the one that closes it
        self.settings: StreamSettings | None = None
        self.place: tuple[str, int, bool, str] | None = None
        self.adopted: float | None = None  # since when
        self.partner: int | None = None  # of an adopted one
        self.leased = True  # the pool knows it


class Worker:
    """One worker as the signalling side sees it."""

    __slots__ = ("abandoned", "adopted", "end", "fresh", "hosts", "index", "inventory", "leaving", "load", "local",
                 "met", "missing", "pool", "restarts", "streams", "terms", "welcome")  # fmt: skip

    def __init__(self, index: int, terms: WorkerTerms, end: SignallingEnd) -> None:
        self.index = index
        self.terms = terms
        self.local = not terms.announce
        self.restarts = 0
        """How often it had to be started anew, or was lost."""
        self.abandoned: set[int] = set()  # ours that it may still have, since it was given up without being dead
        self.begin(end)

    def begin(self, end: SignallingEnd) -> None:
        """Nothing is known of it any more."""
        self.end = end
        self.pool = PortPool(*self.terms.rtp_ports, self.terms.shared_ports)
        self.streams: dict[int, Placed] = {}
        self.leaving: Counter[int] = Counter()  # closed here since they go on elsewhere, and how often; not told yet
        self.hosts: list[str] = []
        self.load: WorkerLoad | None = None
        self.fresh = 0  # streams opened since that load
        self.met = False  # its inventory has been seen
        self.welcome: Welcome | None = None
        self.inventory: list[Inventory] = []
        self.missing: tuple[int, list[int]] | None = None  # after event number: streams that are not there
        # Rooms and recordings of adopted streams, by whether it is a recording, and who is left in them.
        self.adopted: dict[tuple[bool, int], set[int]] = {}

    @property
    def linked(self) -> bool:
        return self.end.phase is Phase.LINKED

    @property
    def settled(self) -> bool:
        """It has done all that was asked of it."""
        return self.linked and not len(self.end.outbox)

    @property
    def adopted_streams(self) -> int:
        return sum(placed.adopted is not None for placed in self.streams.values())


def burden(worker: Worker) -> tuple[int, int]:
    """What workers are compared by: the less, the sooner a new stream goes there."""
    cpu = worker.load.cpu if worker.load is not None else 0.0
    return int((cpu + worker.fresh * FRESH_LOAD) * LOAD_STEPS), len(worker.streams)


def announced_host(worker: Worker, host: int, local_host: str) -> str:
    """The address for SDP. Raises NoMediaPorts."""
    if worker.local:
        return local_host
    family = family_of(worker.hosts[host])
    for address in worker.terms.announce:
        if family_of(address) == family:
            return address
    raise NoMediaPorts(f"media.remote_workers: {worker.terms.name} names no host of the family of the peer")
