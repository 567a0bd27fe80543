"""Token buckets by key: how often something may happen, with room for a burst, in bounded memory.

A bucket is one number, the moment at which it would be full again (the "theoretical arrival time" of the generic cell
rate algorithm, ITU-T I.371): a bucket that has rested is not in the table at all.

    rate 2/s, burst 4     full_at = now          4 tokens
                          full_at = now + 1.5 s  1 token
                          full_at = now + 2.0 s  0 tokens: refused

Two generations of the table bound it: when the young one is full, it becomes the old one, and what the old one held is
forgotten. Whoever comes again meanwhile moves to the young one. A flood of forged sources can so make a bucket be
forgotten, which gives its owner one burst more; that costs as many packets as the table has room.
"""

from __future__ import annotations

MAX_KEYS = 20_000
"""Keys of both generations together: about 3 MB."""


class Pace:
    """Buckets that all have one rate and one size."""

    __slots__ = ("_depth", "_generation", "_interval", "_old", "_young")

    def __init__(self, per_second: float, burst: float, max_keys: int = MAX_KEYS) -> None:
        """Both above 0; a burst below 1 lets nothing pass."""
        self._generation = max(1, max_keys // 2)
        self._young: dict[str, float] = {}
        self._old: dict[str, float] = {}
        self.configure(per_second, burst)

    def configure(self, per_second: float, burst: float) -> None:
        """Another rate and size from now on; how long a bucket still takes to fill stays as it is."""
        self._interval = 1.0 / per_second
        # A hair more than a whole number of tokens, so that rounding never costs one.
        self._depth = burst / per_second + 1e-9

    def take(self, key: str, now: float) -> bool:
        """Take a token; False, and nothing taken, where there is none."""
        full_at = self._young.get(key)
        if full_at is None:
            full_at = self._move(key, now)
        if full_at < now:
            full_at = now
        full_at += self._interval
        if full_at - now > self._depth:
            return False
        self._young[key] = full_at
        return True

    def wait(self, key: str, now: float) -> float:
        """Seconds until take() would succeed."""
        full_at = self._young.get(key)
        if full_at is None:
            full_at = self._old.get(key, now)
        return max(0.0, full_at + self._interval - self._depth - now)

    def _move(self, key: str, now: float) -> float:
        """Put a bucket into the young generation: the one of the old, or a full one."""
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, {}
        full_at = self._young[key] = self._old.pop(key, now)
        return full_at

    def __len__(self) -> int:
        """Buckets remembered; at most `max_keys`."""
        return len(self._young) + len(self._old)
