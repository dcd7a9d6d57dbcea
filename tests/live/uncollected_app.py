"""A relay without a garbage collector, which tells what only one could free, and how much is alive."""

from __future__ import annotations

import gc
import sys
from collections import Counter

from relay.app import app


@app.get("/uncollected")
async def uncollected() -> dict[str, int]:
    """A count of each type."""
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)  # what is found goes to gc.garbage
    gc.collect()
    found = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    gc.set_debug(0)
    gc.garbage.clear()
    gc.collect()
    return dict(found)


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
