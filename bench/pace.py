"""How quick the cores are while something runs on them. `python -m bench.pace CORE` says it until it is stopped.

A core of a rented machine is half of a real one, and what the tenant of the other half does makes the same work take up to twice as
many CPU seconds, from one second to the next. So a small loop, always the same, runs on each core all the while, for a hundredth of its
time, and takes its own CPU time: what it needed by what it needs at best is the pace of the core. docs/decisions/0047 says how
well a cost follows it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, MutableSequence, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

EVERY_S = 0.05
STEPS = 6_000
"""Of the loop: a fifth of a millisecond."""


def loop() -> int:
    total = 0
    for step in range(STEPS):
        total += step
    return total


def watch(core: int) -> None:
    """Writes a line for each time that it has looked: the monotonic clock, and the nanoseconds of CPU that the loop took."""
    os.sched_setaffinity(0, {core})
    while True:
        time.sleep(EVERY_S)
        loop()  # what ran before has filled the caches with its own
        began = time.thread_time_ns()
        loop()
        sys.stdout.write(f"{time.monotonic():.3f} {time.thread_time_ns() - began}\n")
        sys.stdout.flush()


class Watched:
    """The cores that are watched, and what was seen of them."""

    def __init__(self, files: dict[int, Path]) -> None:
        self._files = files

    def loop_ns(self, core: int | None, since: float, until: float) -> float | None:
        """Harmonic mean of what the loop took between two readings of the monotonic clock; of all cores if none is meant. None if nobody looked
        then."""
        seen = [
            took
            for number, path in self._files.items()
            if core in (None, number)
            for at, took in _samples(path)
            if since <= at <= until
        ]
        return 1 / fmean(1 / took for took in seen) if seen else None


def _samples(path: Path) -> Iterator[tuple[float, int]]:
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):  # else it is being written
            at, took = line.split()
            yield float(at), int(took)


@contextmanager
def watching(directory: Path, cores: Sequence[int]) -> Iterator[Watched]:
    """Watches these cores meanwhile."""
    files = {core: directory / f"pace-{core}" for core in cores}
    with ExitStack() as stack:
        for core, path in files.items():
            said = stack.enter_context(path.open("w"))
            process = subprocess.Popen([sys.executable, "-m", "bench.pace", str(core)], stdout=said)  # noqa: S603
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield Watched(files)


COSTS = {"server_cpu": "server_loop_ns", "postgres_cpu": "postgres_loop_ns"}
"""Which loop ran on the core of which cost."""


def level(rows: MutableSequence[dict[str, Any]]) -> None:
    """Gives each row, of each cost, the pace of its core, and what the cost would have been at full pace: that of the quickest run of all."""
    best = min((row[loop] for row in rows for loop in COSTS.values() if row.get(loop)), default=None)
    for row in rows:
        for cost, loop in COSTS.items():
            if best and row.get(loop) and cost in row:
                row[cost.replace("_cpu", "_pace")] = best / row[loop]
                row[f"{cost}_at_full_pace"] = row[cost] * best / row[loop]


if __name__ == "__main__":
    watch(int(sys.argv[1]))
