"""PostgreSQL for state machines, whose steps are not async: a thread runs Trio and keeps a database open."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import trio

from relay.database import open_database
from tests.contract.conftest import SCHEMA
from tests.contract.worlds import World, postgres_world
from tests.postgres.server import FreshDatabases

R = TypeVar("R")


class Portal:
    """Calls async functions in that thread."""

    def __init__(self, token: trio.lowlevel.TrioToken, world: World) -> None:
        self._token = token
        self.world = world

    def call(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        return trio.from_thread.run(function, *args, trio_token=self._token)


@contextmanager
def portal(databases: FreshDatabases) -> Iterator[Portal]:
    ready = threading.Event()
    found: list[tuple[Portal, trio.Event]] = []

    async def serve() -> None:
        async with (
            databases.make(SCHEMA) as dsn,
            open_database(dsn) as database,
            postgres_world(database) as world,
        ):
            stop = trio.Event()
            found.append((Portal(trio.lowlevel.current_trio_token(), world), stop))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            trio.run(serve)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    ready.wait()
    try:
        yield found[0][0]
    finally:
        if found:
            found[0][0].call(_set, found[0][1])
        thread.join()


async def _set(event: trio.Event) -> None:
    event.set()
