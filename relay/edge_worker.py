"""A worker of Hypercorn: how it learns that it must stop, and what it logs. relay/edge.py puts these in the place of Hypercorn's."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections.abc import Awaitable, Callable
from itertools import count
from multiprocessing.synchronize import Event as ProcessEvent
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.worker_context import EventWrapper, WorkerContext

from relay.log_lines import write_alike

log = logging.getLogger("relay.edge")

STOP_POLL_S = 0.02  # a goodbye is due within 100 ms of SIGTERM, and this is the largest part of it
ORPHAN_CHECK_EVERY = 50  # polls, so once a second


class FencedWorkerContext(WorkerContext):
    """Makes Hypercorn's `terminated` and our `draining` one event.

    Hypercorn sets it when the worker begins to stop, but tells only idle connections; sessions hear nothing until the
    grace is over, and then they are cancelled in the middle of whatever they do.
    """

    def __init__(self, draining: trio.Event, max_requests: int | None) -> None:
        super().__init__(max_requests)
        self.terminated = _WorkerEvent(draining)


class _WorkerEvent(EventWrapper):
    def __init__(self, event: trio.Event) -> None:
        self._event = event


async def wait_for_stop(shutdown_event: ProcessEvent, sleep: Callable[[float], Awaitable[Any]]) -> None:
    """Return when this worker must stop. Takes the place of Hypercorn's, which looks ten times a second.

    It still polls: a worker that is killed while it waits on `shutdown_event` would block the parent, which counts its
    sleepers, for ever. Two more reasons to stop are added:

    - SIGTERM to the worker itself. By default it dies at once, and that happens often: service managers signal the whole
      group, and the parent terminates all workers as soon as the first one is done. The handler stays for good, so that a
      second SIGTERM does not cut a goodbye short either;
    - the parent was killed: nobody else would ever stop this worker, and it would keep the port.
    """
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: told.append(number))
    parent = multiprocessing.parent_process()
    for poll in count():
        if told or shutdown_event.is_set():
            return
        if poll % ORPHAN_CHECK_EVERY == 0 and parent is not None and not parent.is_alive():
            return
        await sleep(STOP_POLL_S)


class QuietLogger(Logger):
    """Hypercorn's logger without its access log, whatever the configuration asks for: it writes addresses."""

    def __init__(self, config: Config) -> None:
        asked, config.accesslog = config.accesslog, None
        super().__init__(config)
        if self.error_logger is not None:
            write_alike(self.error_logger)
        if asked is not None:
            log.warning("the access log stays off: it would hold the addresses of members")
