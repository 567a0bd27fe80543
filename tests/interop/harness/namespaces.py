"""Namespaces: a phone behind a router that masquerades, and a switch beyond it; a resolv.conf of one's own."""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType

_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()

PHONE = "192.168.77.2"
ROUTER_INSIDE = "192.168.77.1"
ROUTER_OUTSIDE = "198.51.100.2"
SWITCH = "198.51.100.1"


def inside(namespace: str) -> list[str]:
    """What stands before a command that runs in a network namespace; nothing for the machine's own."""
    return ["ip", "netns", "exec", namespace] if namespace else []


def resolving_by(resolv_conf: Path | None) -> list[str]:
    """What stands before a command that finds this file where others find /etc/resolv.conf; nothing for None."""
    if resolv_conf is None:
        return []
    script = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(resolv_conf)]


def connect_inside(namespace: str, address: tuple[str, int], seconds: float = 2.0) -> socket.socket:
    """A TCP connection made in a namespace: a socket stays in the one it was made in, a thread can visit it."""
    if not namespace:
        return socket.create_connection(address, seconds)
    result: list[socket.socket | OSError] = []

    def visit() -> None:
        try:
            with open(f"/run/netns/{namespace}") as target:
                if ctypes.CDLL(None, use_errno=True).setns(target.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                result.append(socket.create_connection(address, seconds))
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]


class BehindNat:
    """phone (192.168.77.2) -- router, which masquerades -- switch (198.51.100.1).

    Each is a namespace of its own. The switch has no route to the phone's network: what is sent to the phone's own
    address is lost. A context manager that takes everything away again.
    """

    def __init__(self) -> None:
        stem = f"ss{os.getpid() % 1_000_000}n{next(_numbers)}"
        self.phone, self.router, self.switch = f"{stem}p", f"{stem}r", f"{stem}s"

    def __enter__(self) -> BehindNat:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove()

    def _make(self) -> None:
        for name in (self.phone, self.router, self.switch):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        self._cable(self.phone, PHONE, self.router, ROUTER_INSIDE)
        self._cable(self.switch, SWITCH, self.router, ROUTER_OUTSIDE)
        _run("ip", "-n", self.phone, "route", "add", "default", "via", ROUTER_INSIDE)
        _run(*inside(self.router), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        rules = (
            "table ip nat { chain out { type nat hook postrouting priority srcnat; "
            f'ip saddr 192.168.77.0/24 oifname "to-{self.switch}" masquerade fully-random; }}; }}'
        )
        _run(*inside(self.router), "nft", rules)

    @staticmethod
    def _cable(one: str, one_address: str, other: str, other_address: str) -> None:
        _run(
            *("ip", "link", "add", f"to-{other}"[:15], "netns", one, "type", "veth"),
            *("peer", "name", f"to-{one}"[:15], "netns", other),
        )
        for name, device, address in ((one, f"to-{other}", one_address), (other, f"to-{one}", other_address)):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", device[:15])
            _run("ip", "-n", name, "link", "set", device[:15], "up")

    def _remove(self) -> None:
        for name in (self.phone, self.router, self.switch):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
