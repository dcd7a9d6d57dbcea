"""When Python looks for objects that only refer to each other: among the young often, among all hardly ever.

A look at all of them takes a second when ten thousand sessions are open, and everybody waits for it; left alone, Python looks again each
time there are a quarter more of them, so above all when thousands connect. Connections and sessions take themselves apart at their
end, so reference counts free them, and there is next to nothing for the collector to find (tests/live/test_memory.py).
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

YOUNG = 2_000
"""So many objects more, and the young ones are looked at: a millisecond."""
MIDDLE = 5
"""Each so many looks, those are looked at too that were young lately: a few milliseconds."""
CONNECTIONS_A_LOOK = 16
LOOKS_A_MIDDLE = 2
"""A connection is up to a thousand objects, so these looks are two milliseconds long, and four."""
NEVER = 1_000_000_000
LOOK_AT_ALL_EVERY_S = 3600.0


def settle() -> None:
    """Called once, when a worker has started: what is here stays, so it is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, NEVER)


class Youth:
    """Has the young looked at each so many connections. Python alone does not: it counts what is made less what is freed, whatever its
    age. Where as many connections end as begin, that count stays near nothing while whoever lives piles up among the young, and the look
    that comes in the end takes a tenth of a second.
    """

    def __init__(self) -> None:
        self._begun = 0

    def one_more(self) -> None:
        """Called for each connection that begins."""
        self._begun += 1
        if self._begun % CONNECTIONS_A_LOOK == 0:
            gc.collect(1 if self._begun % (LOOKS_A_MIDDLE * CONNECTIONS_A_LOOK) == 0 else 0)


class Hourly:
    """A chore: looks at all of them, for whatever was left by a bug of ours or of a library."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = clock() + LOOK_AT_ALL_EVERY_S

    async def __call__(self) -> None:
        if self._clock() >= self._next:
            gc.collect()
            self._next = self._clock() + LOOK_AT_ALL_EVERY_S
