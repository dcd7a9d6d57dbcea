"""Lag probe: how long a notification takes, measured by sending one to oneself. What other processes are told takes as long."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable

import trio

from relay.errors import DatabaseUnavailable

log = logging.getLogger("relay.lag")

LAG = "sottovoce_lag"
"""Topic. Its payload is a process and a number; it names no account."""
EVERY_S = 15.0


class LagProbe:
    """`say` sends a notification on LAG, `heard` is given what comes back; `observe` gets the seconds between."""

    def __init__(self, say: Callable[[str], Awaitable[None]], observe: Callable[[float], None]) -> None:
        self._say = say
        self._observe = observe
        self._token = ""
        self._said_at = 0.0
        self._count = 0

    def heard(self, payload: str) -> None:
        """Synchronous. What other processes said to themselves is not for us."""
        if payload == self._token:
            self._token = ""
            self._observe(trio.current_time() - self._said_at)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Measures until cancelled."""
        task_status.started()
        while True:
            self._count += 1
            self._token, self._said_at = f"{os.getpid()} {self._count}", trio.current_time()
            try:
                await self._say(self._token)
            except DatabaseUnavailable:
                log.debug("the lag was not measured: the database does not answer")
            await trio.sleep(EVERY_S)
