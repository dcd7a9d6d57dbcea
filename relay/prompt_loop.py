"""The driver's event loop, made prompt.

trio-asyncio 0.16 runs one callback of its asyncio loop in a turn of Trio's, and one statement takes half a dozen of them: the driver starts
a task, sets a timer, hears of the answer, wakes the task, ends it. On a busy relay a turn takes long, since each session has its part
in it; so a commit waited for its turns as well as for the disk. Here what is ready runs in one turn, as in asyncio's own loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

CALLBACKS_A_TURN = 64
"""Then everybody else has a turn."""


def make_prompt(loop: Any) -> None:
    """Changes this loop (a trio_asyncio.TrioEventLoop), which runs already."""
    one: Callable[[bool], Awaitable[None]] = loop._main_loop_one

    async def some(no_wait: bool = False) -> None:
        await one(no_wait)
        if no_wait:
            return
        try:
            for _ in range(CALLBACKS_A_TURN - 1):
                await one(True)
        except trio.WouldBlock:  # nothing else is ready
            pass

    loop._main_loop_one = some
