"""What an operator, fail2ban or an alarm system must hear of attacks: one warning line each, few whatever is sent.

    authentication failed   source, port, transport, method, reason, user
    backed off              a source or a user has failed so often that it is not tried for a while
    source throttled        a source sends more requests than it may
    wrong PIN               one was dialled at that extension; too many: `backed off`
    call barred             a call was refused, or ended, for what it would cost

Lines about one source (user, extension, trunk) are few a minute; what is left out is counted and told in one line when
the minute is over. All lines together are bounded too, since sources can be forged: a flood can't fill the disk.

Passwords, nonces and digest responses never come here. What comes from outside (user names, numbers) is made inert: no
white space, quotes, control characters or `=`, so that nothing in it can pass for another field or line.
"""

from __future__ import annotations

from typing import Literal

import structlog

from sip.effects import Flow
from sip.timers import Timer, TimerHeap
from softswitch.pace import Pace
from softswitch.sources import network_of

log = structlog.get_logger("security")

WINDOW = 60.0
"""Seconds for which lines about one thing are counted together."""

LINES_PER_WINDOW = 5
"""Lines about one thing in that time. fail2ban's usual `maxretry` is 5."""

MAX_WINDOWS = 4096
"""Things counted at one time; more than that, and the oldest count ends early."""

LINES_PER_SECOND = 5.0
"""All lines together, in the long run: less than 100 MB a day."""

LINES_AT_ONCE = 200
"""All lines together, in a burst."""

MAX_TEXT = 64
"""Characters of foreign text in a line."""

_INERT = frozenset("+*#_.@~-/:,!&()$")

Reason = Literal[
    "wrong-password",
    "unknown-user",
    "source-not-allowed",
    "backed-off",
    "unreadable",
    "other-extension",
]
"""Why credentials were refused. To the network all of them look the same."""


def inert(text: str) -> str:
    """`text` with `?` for what could pass for anything but a name or number, at most MAX_TEXT characters."""
    cut = text[:MAX_TEXT]
    if cut.isalnum():
        return cut
    return "".join([each if each.isalnum() or each in _INERT else "?" for each in cut])


class _Window:
    """The lines about one thing in the minute that began at `since`."""

    __slots__ = ("left_out", "lines", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.lines = 0
        self.left_out = 0


class SecurityLog:
    """Writes the lines. `timers` call it when it is time for the line that sums up."""

    __slots__ = ("_all", "_timer", "_timers", "_unsaid", "_windows")

    def __init__(self, timers: TimerHeap) -> None:
        self._timers = timers
        self._timer: Timer | None = None
        self._windows: dict[tuple[str, str], _Window] = {}  # in the order of `since`
        self._all = Pace(LINES_PER_SECOND, LINES_AT_ONCE)
        self._unsaid = 0  # lines that the bound on all of them kept back

    # ---- what is told ----------------------------------------------------------------------------------

    def authentication_failed(self, flow: Flow, method: str, user: str, reason: Reason, now: float) -> None:
        """Credentials were refused."""
        host, port = flow.remote
        if self._may_say("authentication failed", network_of(host), now):
            log.warning(
                "authentication failed",
                source=host,
                port=port,
                transport=flow.transport,
                method=inert(method),
                reason=reason,
                user=inert(user),
            )

    def backed_off(self, what: Literal["source", "user", "user at source"], flow: Flow, user: str, now: float) -> None:
        """Failures have reached their limit; `flow` and `user` are those of the last one."""
        source = network_of(flow.remote[0])
        about = {"source": source, "user": user}.get(what, f"{user} {source}")
        if self._may_say(f"backed off: {what}", about, now):
            log.warning("backed off", source=flow.remote[0], transport=flow.transport, user=inert(user), what=what)

    def throttled(self, flow: Flow, method: str, whose: str, now: float) -> None:
        """Requests of a source (`whose` "") or of a trunk are refused for their number."""
        host, port = flow.remote
        if self._may_say("source throttled", whose or network_of(host), now):
            log.warning(
                "source throttled",
                source=host,
                port=port,
                transport=flow.transport,
                method=inert(method),
                trunk=whose,
            )

    def barred(self, kind: str, name: str, why: str, number: str, trunk: str, contact: str, now: float) -> None:
        """A call on account of an extension or trunk was refused, or ended."""
        if self._may_say("call barred", f"{kind} {name}", now):
            log.warning("call barred", **{kind: name}, why=why, number=inert(number), through=trunk, contact=contact)

    def pin_refused(self, kind: str, name: str, conference: str, contact: str, now: float) -> None:
        """A caller of a conference entered a wrong PIN."""
        if self._may_say("conference PIN refused", f"{kind} {name}", now):
            log.warning("conference PIN refused", **{kind: name}, conference=conference, contact=contact)

    def pin_wrong(self, extension: str, contact: str, backed_off: bool, now: float) -> None:
        """A wrong PIN was dialled; `backed_off`: no other is looked at for a while. What was dialled is not told."""
        if self._may_say("wrong PIN", extension, now):
            log.warning("wrong PIN", extension=extension, contact=contact)
        if backed_off and self._may_say("backed off: PIN", extension, now):
            log.warning("backed off", extension=extension, contact=contact, what="PIN")

    # ---- how many --------------------------------------------------------------------------------------

    def _may_say(self, event: str, about: str, now: float) -> bool:
        key = (event, about)
        window = self._windows.get(key)
        if window is None or now - window.since >= WINDOW:
            self._close_windows(now)
            window = self._windows[key] = _Window(now)
        if window.lines >= LINES_PER_WINDOW:
            window.left_out += 1
            self._wake(window.since + WINDOW)
            return False
        if not self._all.take("", now):
            self._unsaid += 1
            self._wake(now + WINDOW)
            return False
        window.lines += 1
        return True

    def _wake(self, at: float) -> None:
        if self._timer is None:
            self._timer = self._timers.schedule(at, self._fired)

    def _fired(self, now: float) -> None:
        self._timer = None
        self._close_windows(now)
        if self._unsaid:
            log.warning("more security events than lines", left_out=self._unsaid)
            self._unsaid = 0
        pending = next((window for window in self._windows.values() if window.left_out), None)
        if pending is not None:
            self._wake(pending.since + WINDOW)

    def _close_windows(self, now: float) -> None:
        """End the windows that are over, and the oldest where there are too many; say what they left out."""
        windows = self._windows
        while windows:
            key, window = next(iter(windows.items()))
            if now - window.since < WINDOW and len(windows) < MAX_WINDOWS:
                return
            del windows[key]
            if not window.left_out:
                continue
            if self._all.take("", now):
                event, about = key
                log.warning("and more", of=event, about=inert(about), left_out=window.left_out)
            else:
                self._unsaid += window.left_out
                self._wake(now + WINDOW)
