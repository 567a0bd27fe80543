"""A player: the queue of plays of one stream or room, read a frame at a time. Pure.

    Play ---> plays: first is heard ---> steps: what is heard, then what is prepared ahead ---> read(n)

A play is cut into *steps*: each of its sources, then its end (of a loop: `AGAIN`, and its sources once more). The steps
of all plays form one line. The first is what is heard; up to `AHEAD` more are being opened, also those of the next
play, so that one source joins the next within a frame. `_settle` alone moves the line on.

Every play that was taken is ended by exactly one `PlayEnded`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from media.audio_commands import Music, Play, PlayEnded
from media.playable import I16, Opener, Playable, RateCrossing, SourceError

if TYPE_CHECKING:
    from media.phase import Playing

AHEAD = 3  # steps opened beyond the one that is heard
MAX_QUEUED = 256  # plays of one player; more is a runaway flow
CATCH_UP_SECONDS = 0.1  # a source goes on at another rate so much later; it is opened meanwhile


class _Queued:
    """A play: `heard` tells whether its current pass gave any sample, or left some out; `start` how many seconds its
    next source is to leave out."""

    __slots__ = ("command", "heard", "language", "start")

    def __init__(self, command: Play, language: str) -> None:
        self.command = command
        self.language = language
        self.start = max(0.0, command.start)
        self.heard = False


class _Step:
    """One source of a play (`index` < number of sources), or, behind them, its end or next pass."""

    __slots__ = ("index", "play", "result", "start")

    def __init__(self, play: _Queued, index: int, start: float = 0.0) -> None:
        self.play = play
        self.index = index
        self.start = start
        self.result: Playable | SourceError | None = None

    @property
    def closes(self) -> bool:
        return self.index >= len(self.play.command.sources)

    @property
    def unmeasured(self) -> bool:
        """Whether the play's start lies in this source or behind it is not known yet."""
        return self.start > 0 and self.result is None and not self.closes


class Player:
    """`opener` opens sources; `events` gets a `PlayEnded` for each play, and may be shared by all players.

    starved: frames that had to be filled up with silence because a file's thread was behind.
    """

    __slots__ = (
        "_current",
        "_line",
        "_next",
        "_opener",
        "_plays",
        "_seen",
        "_settling",
        "events",
        "place",
        "rate",
        "starved",
    )

    def __init__(self, opener: Opener, rate: int, events: list[PlayEnded] | None = None) -> None:
        self.rate = rate
        self.events: list[PlayEnded] = [] if events is None else events
        self.starved = 0
        self._opener = opener
        self._plays: deque[_Queued] = deque()
        self._line: deque[_Step] = deque()
        self._next: tuple[_Queued, int] | None = None  # the step that enters the line next
        self._current: Playable | None = None
        self._settling = False
        self._seen: tuple[object, ...] = ()
        self.place: Playing | None = None
        """Where whoever mixes it keeps it."""

    # -- commands

    def play(self, command: Play, language: str = "") -> None:
        """Queue it; a play that is queued already is not taken twice. `language` of its files and phrases."""
        if command.interrupt:
            self.stop_all("interrupted by another play")
        if any(queued.command.play == command.play for queued in self._plays):
            return
        if len(self._plays) >= MAX_QUEUED:
            why = f"{MAX_QUEUED} plays are queued already: stop some, or play with interrupt"
            self.events.append(PlayEnded(command.play, "failed", why))
            return
        queued = _Queued(command, language)
        self._plays.append(queued)
        if self._next is None:
            self._next = (queued, 0)
        self._settle()

    def stop(self, play: int, why: str = "") -> None:
        for queued in self._plays:
            if queued.command.play == play:
                self._end(queued, "stopped", why)
                self._settle()
                return

    def stop_all(self, why: str = "") -> None:
        """Stop everything: an interruption, or the stream or room is gone."""
        while self._plays:
            self._end(self._plays[0], "stopped", why)

    def rate_changed(self, rate: int) -> None:
        """The bus has another rate: what is heard goes on from the same moment, the rest is opened anew."""
        if rate == self.rate:
            return
        old, self.rate = self.rate, rate
        line, self._line = self._line, deque()
        self._settling = True  # not before the line is whole again
        for place, step in enumerate(line):
            if place == 0 and self._current is not None:
                self._cross(step, old)
                continue
            fresh = _Step(step.play, step.index, step.start)
            _close(step)
            self._line.append(fresh)
            self._open(fresh)
        self._settling = False
        self._settle()

    # -- what is heard

    @property
    def over(self) -> bool:
        """What plays is mixed with what is heard anyway."""
        return bool(self._plays) and self._plays[0].command.over

    @property
    def gain(self) -> float:
        return self._plays[0].command.gain if self._plays else 1.0

    @property
    def playing(self) -> int | None:
        """The play that is heard or is being opened."""
        return self._plays[0].command.play if self._plays else None

    @property
    def music(self) -> str | None:
        """The class of hold music that is heard: whoever mixes many players reads it once for all of them."""
        if self._current is None:
            return None
        step = self._line[0]
        source = step.play.command.sources[step.index]
        return source.name if isinstance(source, Music) else None

    def changed(self) -> bool:
        """Whether something else is heard than when this was asked last: another play, class, gain, or nothing."""
        now = (self.playing, self.over, self.gain, self.music)
        changed, self._seen = now != self._seen, now
        return changed

    @property
    def at_seconds(self) -> float:
        return 0.0 if self._current is None else self._current.at_seconds

    def __len__(self) -> int:
        return len(self._plays)

    def read(self, count: int) -> I16 | None:
        """The next `count` samples, not to be written to. None: nothing to play now (idle, or still being opened)."""
        current = self._current
        if current is None:
            return None
        samples = current.read(count)
        if len(samples) == count and not current.ended:
            return samples
        return self._join(current, samples, count)

    def _join(self, current: Playable, samples: I16, count: int) -> I16 | None:
        """The frame where a source ends (the next ones fill it up), or that a stream could not fill."""
        parts = [samples]
        got = len(samples)
        while True:
            if current.ended:
                if len(samples) or current.at_seconds > 0:
                    self._line[0].play.heard = True
                self._over(current)
            elif got < count:
                self.starved += current.starved
                break
            if got == count or self._current is None:
                break
            current = self._current
            samples = current.read(count - got)
            parts.append(samples)
            got += len(samples)
        if got == count:
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        if got == 0 and self._current is None:
            return None
        parts.append(np.zeros(count - got, np.int16))
        return np.concatenate(parts)

    # -- the line

    def _over(self, current: Playable) -> None:
        """The first step was heard to its end."""
        step = self._line[0]
        self._current = None
        current.close()
        if current.why:
            self._end(step.play, "failed", current.why)
        else:
            self._line.popleft()
        self._settle()

    def _settle(self) -> None:
        """Bring the line forward to a source that can be heard, and fill it up behind. What is opened may be ready
        at once and call back into here."""
        if self._settling:
            return
        self._settling = True
        while True:
            self._fill()
            if self._current is not None or not self._line:
                break
            step = self._line[0]
            if step.closes:
                self._close_pass(step)
            elif isinstance(step.result, SourceError):
                self._end(step.play, "failed", str(step.result))
            elif step.result is None:
                break
            elif step.result.ended:
                why = step.result.why
                step.result.close()
                if why:
                    self._end(step.play, "failed", why)
                else:
                    self._line.popleft()
            else:
                self._current = step.result
        self._settling = False

    def _close_pass(self, step: _Step) -> None:
        queued = step.play
        if not queued.command.loop:
            self._end(queued, "done", "")
        elif not queued.heard:
            self._end(queued, "failed", "nothing to repeat: all sources of a play with loop are empty")
        else:
            queued.heard = False
            self._line.popleft()

    def _fill(self) -> None:
        while self._next is not None and len(self._line) <= AHEAD and not (self._line and self._line[-1].unmeasured):
            queued, index = self._next
            step = _Step(queued, index, queued.start)
            if step.closes:
                queued.start = 0.0
            self._line.append(step)
            if not step.closes:
                self._next = (queued, index + 1)
                self._open(step)
            elif queued.command.loop:
                self._next = (queued, 0)
            else:
                self._next = self._after(queued)

    def _after(self, queued: _Queued) -> tuple[_Queued, int] | None:
        place = self._plays.index(queued) + 1
        return (self._plays[place], 0) if place < len(self._plays) else None

    def _open(self, step: _Step) -> None:
        if not step.closes:
            source = step.play.command.sources[step.index]
            self._opener(source, self.rate, partial(self._opened, step), step.start, step.play.language)

    def _opened(self, step: _Step, result: Playable | SourceError) -> None:
        if step not in self._line:  # stopped, or opened anew at another rate
            if not isinstance(result, SourceError):
                result.close()
            return
        step.result = result
        if step.start > 0 and step is self._line[-1]:
            self._measured(step, result)
        self._settle()

    @staticmethod
    def _measured(step: _Step, result: Playable | SourceError) -> None:
        """A source was opened behind its first seconds: how much is left to be left out of the next one."""
        queued = step.play
        queued.start = 0.0
        if not isinstance(result, SourceError) and result.ended and not result.why:
            queued.start = max(0.0, step.start - result.at_seconds)
            queued.heard = queued.heard or result.at_seconds > 0

    def _end(self, queued: _Queued, how: str, why: str) -> None:
        """Take a play out, wherever it stands, and tell."""
        if self._next is not None and self._next[0] is queued:
            self._next = self._after(queued)
        self._plays.remove(queued)
        for step in [step for step in self._line if step.play is queued]:
            if self._line[0] is step and self._current is not None:
                self._current.close()
                self._current = None
            self._line.remove(step)
            _close(step)
        self.events.append(_ended(queued.command.play, how, why))

    def _cross(self, step: _Step, old_rate: int) -> None:
        """Let the current source go on at the new rate."""
        old = self._current
        assert old is not None
        if isinstance(old, RateCrossing):  # another change, before the last one was through
            old_rate = old.old_rate
            if old.successor is not None:
                old.successor.close()
            old = old.old
        fresh = _Step(step.play, step.index)
        self._line.append(fresh)

        def handed_over(successor: Playable) -> None:
            fresh.result = successor
            self._current = successor

        crossing = RateCrossing(old, old_rate, self.rate, handed_over)
        fresh.result = crossing
        self._current = crossing
        source = step.play.command.sources[step.index]
        start = old.at_seconds + CATCH_UP_SECONDS
        self._opener(source, self.rate, self._successor_of(crossing), start, step.play.language)

    def _successor_of(self, crossing: RateCrossing) -> Callable[[Playable | SourceError], None]:
        def ready(result: Playable | SourceError) -> None:
            if isinstance(result, SourceError):
                return  # it was replaced or removed meanwhile: what is open is played to its end
            if self._current is crossing:
                crossing.successor = result
            else:
                result.close()

        return ready


def _close(step: _Step) -> None:
    if step.result is not None and not isinstance(step.result, SourceError):
        step.result.close()
    step.result = None


def _ended(play: int, how: str, why: str) -> PlayEnded:
    if how == "done":
        return PlayEnded(play, "done")
    return PlayEnded(play, "failed" if how == "failed" else "stopped", why)
