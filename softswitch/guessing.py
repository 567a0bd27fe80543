"""Back-off from password guessing: who has failed how often, and who may still try.

A failed login adds one to the score of its source address and to that of its user name (known or not: the same is
done for both). Scores fade with time. At its limit a source or user is not tried any more until it has faded.

Real phones must not be locked out by those who guess at their password, so a place from which a user has signed in
is judged apart:

    the very address and port of the last sign-in   always tried
    the same host, another port (TCP, a new NAT      tried until the score of this pair of host and user is full;
    binding, a second phone of the user)             failures count for the pair alone
    anywhere else                                    tried until the source's or the user's score is full

Tables are bounded. A flood of forged sources can push scores out of them, which gives a guesser a few more tries for
each ten thousand packets; that is dearer than guessing slowly.
"""

from __future__ import annotations

from typing import Literal

MAX_SCORES = 20_000
"""Sources, users and pairs with failures."""

MAX_PLACES = 50_000
"""Hosts from which users have signed in."""

Full = Literal["source", "user", "user at source"]
"""A score at its limit: of a source, of a user, of a user at a host where it has signed in before."""


class Scores:
    """Leaky buckets by key, at most MAX_SCORES."""

    __slots__ = ("_fade", "_scores")

    def __init__(self, fade: float) -> None:
        self._fade = fade
        self._scores: dict[str, tuple[float, float]] = {}

    def get(self, key: str, now: float) -> float:
        """Failures not yet forgotten."""
        found = self._scores.get(key)
        if found is None:
            return 0.0
        score, at = found
        return max(score - self._fade * (now - at), 0.0)

    def add(self, key: str, now: float) -> float:
        """One failure more; the score now."""
        score = self.get(key, now) + 1.0
        # Taken out first, so that the order of the table is that of the last failure.
        self._scores.pop(key, None)
        if len(self._scores) >= MAX_SCORES:
            self._drop(now)
        self._scores[key] = (score, now)
        return score

    def __len__(self) -> int:
        return len(self._scores)

    def _drop(self, now: float) -> None:
        """Forget the faded; failing that, the tenth that failed longest ago: once per 2,000 additions."""
        fade = self._fade
        faded = [key for key, (score, at) in self._scores.items() if score <= fade * (now - at)]
        for key in faded or list(self._scores)[: MAX_SCORES // 10]:
            del self._scores[key]


def _just_filled(score: float, limit: float) -> bool:
    """Whether the failure that made it `score` was the one that reached the limit."""
    return score >= limit > score - 1.0


class Guessing:
    """Who may try a password."""

    __slots__ = ("_hosts", "_pairs", "_places", "_source_limit", "_sources", "_user_limit", "_users")

    def __init__(self, source_failures: float, user_failures: float, fade: float) -> None:
        """Failures borne from a source and of a user, failures forgotten per second (see AdmissionSettings)."""
        self._source_limit = source_failures
        self._user_limit = user_failures
        self._sources = Scores(fade)
        self._users = Scores(fade)
        self._pairs = Scores(fade)
        self._places: dict[tuple[str, str], int] = {}
        self._hosts: dict[str, int] = {}

    def source_refused(self, host: str, now: float) -> bool:
        """Nobody at this host may try: its score is full, and nobody has signed in from there."""
        return self._sources.get(host, now) >= self._source_limit and host not in self._hosts

    def may_try(self, user: str, host: str, port: int, now: float) -> bool:
        """Whether a password of `user` from there is looked at."""
        place = self._places.get((host, user))
        if place is None:
            return self._sources.get(host, now) < self._source_limit and self._users.get(user, now) < self._user_limit
        return place == port or self._pairs.get(f"{host} {user}", now) < self._source_limit

    def failed(self, user: str, host: str, now: float) -> list[Full]:
        """A wrong password, or an unknown user. Returns the scores that this failure has filled."""
        if (host, user) in self._places:
            score = self._pairs.add(f"{host} {user}", now)
            return ["user at source"] if _just_filled(score, self._source_limit) else []
        full: list[Full] = []
        if _just_filled(self._sources.add(host, now), self._source_limit):
            full.append("source")
        if _just_filled(self._users.add(user, now), self._user_limit):
            full.append("user")
        return full

    def succeeded(self, user: str, host: str, port: int) -> None:
        """`user` has signed in from there, or had when this switch last ran."""
        place = (host, user)
        if self._places.get(place) == port:
            return
        if self._places.pop(place, None) is None:
            self._hosts[host] = self._hosts.get(host, 0) + 1
        self._places[place] = port
        if len(self._places) > MAX_PLACES:
            self._forget(next(iter(self._places)))

    def forget_user(self, user: str) -> None:
        """The user's password has changed, or the user is gone: its places prove nothing any more."""
        for place in [place for place in self._places if place[1] == user]:
            self._forget(place)

    def _forget(self, place: tuple[str, str]) -> None:
        del self._places[place]
        host = place[0]
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]
