"""Unix sockets of media workers: files that only their owner may use, whose peers the kernel names (I/O)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

# sizeof(sockaddr_un.sun_path) on Linux, its closing NUL included.
SUN_PATH_OCTETS = 108


@contextlib.contextmanager
def bindable(path: Path) -> Iterator[str]:
    """The path as bind() and connect() take it: a long one goes through its directory's descriptor."""
    name = str(path)
    if len(os.fsencode(name)) < SUN_PATH_OCTETS:
        yield name
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def listener_at(path: Path) -> socket.socket:
    """A bound socket of mode 0600, in place of one whose process is gone. OSError: one is alive there, or the
    directory can't be written."""
    if path.is_socket():
        try:
            connection_to(path).close()
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise OSError(errno.EADDRINUSE, "another media worker listens there", str(path))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        # The file takes the mode of the socket's own inode: at no moment may others connect.
        os.fchmod(listener.fileno(), 0o600)
        with bindable(path) as name:
            listener.bind(name)
        listener.listen()
    except OSError as problem:
        listener.close()
        raise OSError(problem.errno, problem.strerror, str(path)) from problem
    return listener


def connection_to(path: Path) -> socket.socket:
    """A connection, made or refused at once: both ends are on this machine. FileNotFoundError, ConnectionRefusedError
    where nobody listens; BlockingIOError where the listener does not keep up."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        with bindable(path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        raise
    return connection


def process_of(connection: socket.socket) -> int:
    """The process that listens at the other end (SO_PEERCRED)."""
    size = struct.calcsize("3i")
    pid, _uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(pid)
