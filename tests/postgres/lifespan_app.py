"""A relay reduced to its database, wired the way relay/app.py does it, for `hypercorn -w 2`."""

from __future__ import annotations

import os
from pathlib import Path

import trio
from quart_trio import QuartTrio

from relay.database import Database, open_database
from relay.embedded_postgres import private_postgres
from tests.postgres.server import TEST_SETTINGS

app = QuartTrio(__name__)
PLACE = Path(os.environ["TEST_PLACE"])
stop, stopped = trio.Event(), trio.Event()
opened: list[Database] = []


async def hold_the_database(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    try:
        async with private_postgres(PLACE, settings=TEST_SETTINGS) as dsn, open_database(dsn) as database:
            opened.append(database)
            await trio.Path(PLACE.with_name(f"worker-{os.getpid()}")).touch()
            task_status.started()
            await stop.wait()
    finally:
        stopped.set()


@app.before_serving
async def start() -> None:
    await app.nursery.start(hold_the_database)


@app.after_serving
async def end() -> None:
    stop.set()
    await stopped.wait()


@app.get("/")
async def who() -> str:
    return str(await opened[0].fetchval("SELECT 42"))
