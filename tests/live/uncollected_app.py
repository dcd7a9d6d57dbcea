"""A relay without a garbage collector, which tells what only one could free, and how much is alive."""

from __future__ import annotations

import gc
import sys
from collections import Counter

from relay.app import app
from relay.collector import Youth


def _not_now(_: Youth) -> None:
    """In place of a look at the young, which would hide what it finds."""


Youth.one_more = _not_now  # type: ignore[method-assign]


def _tracked() -> Counter[str]:
    return Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())


@app.get("/uncollected")
async def uncollected() -> dict[str, int]:
    """A count of each type.

    Counted before and after, since what `DEBUG_SAVEALL` saves is not all: Python 3.11 closes a generator that it finds in a cycle, and
    what then falls apart by itself it does not save.
    """
    gc.disable()
    before = _tracked()
    gc.collect()
    return dict(before - _tracked())


@app.get("/alive")
async def alive() -> dict[str, int]:
    """The bytes of all objects that the collector knows, and of what they refer to."""
    gc.collect()
    seen: set[int] = set()
    total = 0
    for one in gc.get_objects():
        for found in (one, *gc.get_referents(one)):
            if id(found) not in seen:
                seen.add(id(found))
                total += sys.getsizeof(found, 0)
    return {"bytes": total}


__all__ = ["app"]
