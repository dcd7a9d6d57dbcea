"""Whether two calls can be told apart by how long they take: a robust comparison of interleaved trials, stable on a busy machine.

Both calls of a pair run right after each other, in an order drawn by lot, so whatever else the machine does falls on both. What is bounded is
the size of the effect, not a probability: with enough trials every difference is significant, and a nanosecond is of no use to anybody.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

Trial = Callable[[], Awaitable[object]]


class Comparison(NamedTuple):
    """`first_slower`: the share of pairs in which the first call took longer (the common-language effect size; 0.5 is no effect).
    `shift`: the median of the differences within pairs, first minus second, in parts of the median time of the second."""

    first_slower: float
    shift: float

    @property
    def alike(self) -> bool:
        """No more than 60 of 100 guesses right for who sees one trial of each, or less than a twentieth of the time between them.

        The second is for a quiet machine, on which a few microseconds show; over a network they do not. A shortcut is worth half of the time.
        """
        return abs(self.first_slower - 0.5) <= 0.1 or abs(self.shift) <= 0.05


async def compare(first: Trial, second: Trial, *, pairs: int, seed: int) -> Comparison:
    """Runs `pairs` pairs of trials, after a few that are not counted."""
    lot = random.Random(seed)
    differences: list[float] = []
    seconds: list[float] = []
    gc.collect()
    gc.disable()
    try:
        for n in range(-20, pairs):
            taken = {}
            for call in lot.sample([first, second], 2):
                began = time.perf_counter_ns()
                await call()
                taken[call] = time.perf_counter_ns() - began
            if n >= 0:
                differences.append(taken[first] - taken[second])
                seconds.append(taken[second])
    finally:
        gc.enable()
    slower = sum(difference > 0 for difference in differences) / pairs
    return Comparison(slower, statistics.median(differences) / statistics.median(seconds))
