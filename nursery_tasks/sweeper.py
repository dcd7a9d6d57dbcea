"""Sweeper: what expires goes, and what will be needed is made ahead. One pass a minute; a pass that fails is tried again."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

import trio

from relay.errors import DatabaseUnavailable

log = logging.getLogger("relay.sweeper")

SWEEP_EVERY_S = 60.0


async def sweep(chores: Sequence[Callable[[], Awaitable[None]]], every_s: float = SWEEP_EVERY_S) -> None:
    """Runs each chore every `every_s` seconds, until cancelled. Chores are idempotent, so several processes may sweep at once."""
    while True:
        await trio.sleep(every_s)
        for chore in chores:
            try:
                await chore()
            except DatabaseUnavailable:
                log.warning("a chore was put off: the database does not answer")
            except Exception as error:
                log.error("a chore failed: %s", type(error).__name__)
