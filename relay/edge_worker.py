"""A worker of Hypercorn: how it learns that it must stop, and what it logs. relay/edge.py puts these in the place of Hypercorn's."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from contextlib import suppress
from multiprocessing.synchronize import Event as ProcessEvent
from types import FrameType
from typing import Any

import trio
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.worker_context import EventWrapper, WorkerContext

from relay.log_lines import write_alike

log = logging.getLogger("relay.edge")


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


async def wait_for_stop(shutdown_event: ProcessEvent, _sleep: object) -> None:
    """Returns when this worker must stop. Takes the place of Hypercorn's, which looks ten times a second; here nothing runs until then.

    Three reasons, of which Hypercorn knows the first:

    - the parent says so;
    - SIGTERM to the worker itself. By default it dies at once, and that happens often: service managers signal the whole
      group, and the parent terminates all workers as soon as the first one is done. The handler stays for good, so that a
      second SIGTERM does not cut a goodbye short either;
    - the parent was killed: nobody else would ever stop this worker, and it would keep the port.
    """
    stop = trio.Event()
    _on_sigterm(stop)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_until_set, shutdown_event, stop)
        nursery.start_soon(_until_orphaned, stop)
        await stop.wait()
        nursery.cancel_scope.cancel()


def _on_sigterm(stop: trio.Event) -> None:
    """From now on SIGTERM sets this event, and does nothing else: not even when Trio has ended."""
    token = trio.lowlevel.current_trio_token()

    def handler(_number: int, _frame: FrameType | None) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(stop.set, idempotent=True)

    signal.signal(signal.SIGTERM, handler)


async def _until_set(event: ProcessEvent, stop: trio.Event) -> None:
    # Not `event.wait`: `set` waits until each sleeper has woken, for ever if one was killed in its sleep.
    # Who posts the semaphore below it waits for nobody.
    flag: Any = event._flag  # type: ignore[attr-defined]

    def take_and_give() -> None:
        flag.acquire()
        flag.release()  # the next worker waits for it too

    await trio.to_thread.run_sync(take_and_give, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1))
    stop.set()


async def _until_orphaned(stop: trio.Event) -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        await trio.lowlevel.wait_readable(parent.sentinel)
        stop.set()


class QuietLogger(Logger):
    """Hypercorn's logger without its access log, whatever the configuration asks for: it writes addresses."""

    def __init__(self, config: Config) -> None:
        asked, config.accesslog = config.accesslog, None
        super().__init__(config)
        if self.error_logger is not None:
            write_alike(self.error_logger)
        if asked is not None:
            log.warning("the access log stays off: it would hold the addresses of members")
