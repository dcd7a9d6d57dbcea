"""How much one recipient may get, by the generic cell rate algorithm (ITU-T I.371), in memory, per process.

Limits never need an address: they protect the recipient, whoever sends. GCRA keeps one time per key, the theoretical arrival
time: how far ahead of the clock the allowance has been used.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from math import ceil
from uuid import UUID

MOST_KEYS = 200_000
"""Recipients that are remembered at once (some 30 MB); past it, those whose allowance is full again are forgotten."""


class Gcra:
    """One limit for many keys: `burst` units at once, `per_s` units a second after that."""

    def __init__(self, burst: float, per_s: float, clock: Callable[[], float]) -> None:
        self._tolerance_s = burst / per_s
        self._per_s = per_s
        self._clock = clock
        self._arrivals: dict[Hashable, float] = {}

    def wait_s(self, key: Hashable, units: float) -> float:
        """Seconds until `units` fit; 0 if they do now. Takes nothing."""
        now = self._clock()
        ahead = max(self._arrivals.get(key, now), now) - now
        return max(0.0, ahead + units / self._per_s - self._tolerance_s)

    def take_if(self, key: Hashable, units: float) -> float:
        """Takes units if they fit, and answers 0; else what `wait_s` answers."""
        now = self._clock()
        arrivals = self._arrivals
        arrival = arrivals.get(key)
        if arrival is None:
            if len(arrivals) >= MOST_KEYS:
                self._forget(now)
            arrival = now
        elif arrival < now:
            arrival = now
        arrival += units / self._per_s
        over = arrival - now - self._tolerance_s
        if over > 0:
            return over
        self._arrivals[key] = arrival
        return 0.0

    def give_back(self, key: Hashable, units: float) -> None:
        """Undoes a `take_if` that took."""
        if (arrival := self._arrivals.get(key)) is None:
            return
        arrival -= units / self._per_s
        if arrival <= self._clock():
            del self._arrivals[key]
        else:
            self._arrivals[key] = arrival

    def _forget(self, now: float) -> None:
        self._arrivals = {key: arrival for key, arrival in self._arrivals.items() if arrival > now}
        while len(self._arrivals) >= MOST_KEYS:  # the oldest entry goes; its key has its burst again, no more
            del self._arrivals[next(iter(self._arrivals))]


class RecipientRates:
    """Posts and bytes a recipient may get. Satisfies nursery_tasks.ports.Rates."""

    def __init__(self, posts: Gcra, size: Gcra) -> None:
        self._posts = posts
        self._bytes = size

    def charge(self, account_id: UUID, size: int) -> int:
        """Takes one post of `size` bytes and answers 0, or takes nothing and answers the whole seconds to wait."""
        key = account_id.int  # its hash is cheaper than a UUID's
        wait_s = self._posts.take_if(key, 1)
        if wait_s > 0:
            return ceil(max(wait_s, self._bytes.wait_s(key, size)))
        wait_s = self._bytes.take_if(key, size)
        if wait_s > 0:
            self._posts.give_back(key, 1)
            return ceil(wait_s)
        return 0

    def give_back(self, account_id: UUID, size: int) -> None:
        """Undoes a charge."""
        self._posts.give_back(account_id.int, 1)
        self._bytes.give_back(account_id.int, size)
