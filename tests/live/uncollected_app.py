"""A relay without a garbage collector, which tells what only one could free: GET /uncollected, with a count of each type."""

from __future__ import annotations

import gc
from collections import Counter

from relay.app import app


@app.get("/uncollected")
async def uncollected() -> dict[str, int]:
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)  # what is found goes to gc.garbage
    gc.collect()
    found = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    gc.set_debug(0)
    gc.garbage.clear()
    gc.collect()
    return dict(found)


__all__ = ["app"]
