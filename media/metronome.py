"""A timer that is punctual to some microseconds: a timerfd of Linux, watched by the loop.

The timers of a loop count whole milliseconds, from a clock that is read once a round; a frame of audio that is to leave
within five of its moment can't spare one of them. I/O.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_TFD_NONBLOCK, _TFD_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC  # timerfd_create(2)
_NANOSECONDS = 1_000_000_000

# os.timerfd_create is there from Python 3.13 on.
_libc = ctypes.PyDLL(None, use_errno=True)


class _Itimerspec(ctypes.Structure):
    """struct itimerspec of 64-bit Linux: the interval, 0 for none, then the moment."""

    _fields_ = [(name, ctypes.c_long) for name in ("every_seconds", "every_nanoseconds", "seconds", "nanoseconds")]


class Metronome:
    """Calls `beat` once for each `arm`, at a moment of `time.monotonic()`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, beat: Callable[[], None]) -> None:
        self._loop = loop
        self._at = _Itimerspec()
        self._fd = _libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            problem = ctypes.get_errno()
            raise OSError(problem, os.strerror(problem))
        loop.add_reader(self._fd, beat)

    def arm(self, at: float) -> None:
        """The next beat; one that has not come yet, or is not to come again, is forgotten. A moment that is past is
        now."""
        # 0 would mean never.
        moment = max(1, int(at * _NANOSECONDS))
        self._at.seconds, self._at.nanoseconds = divmod(moment, _NANOSECONDS)
        _libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._at), None)

    def rest(self) -> None:
        """No beat until `arm`."""
        self._at.seconds = self._at.nanoseconds = 0
        _libc.timerfd_settime(self._fd, 0, ctypes.byref(self._at), None)

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
