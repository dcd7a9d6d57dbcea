"""The same protocol on FastAPI, uvicorn, uvloop and asyncpg: bench/peers/fastapi_app.py."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

from bench.postgres import database_of
from bench.systems import ROOT, process
from bench.systems.served import Served, until_it_is_ready
from relay.database import Database, open_database
from relay.partitions import keep_partitions

NEEDED = ("fastapi", "uvicorn", "uvloop", "httptools", "websockets")
WEEK_S = 7 * 86400


async def lay_tables(database: Database) -> None:
    """The relay's, with its partitions: with one alone the planner of an emptied table reads all of it to delete by key."""
    await database.execute((ROOT / "schema.sql").read_text(), timeout_s=60)
    await keep_partitions(database, int(time.time()), WEEK_S)


class FastApi(Served):
    mode: ClassVar[str]

    @classmethod
    def version(cls) -> str:
        return ", ".join(f"{name} {version(name)}" for name in ("fastapi", "uvicorn", "uvloop", "asyncpg"))

    @classmethod
    def missing(cls) -> str | None:
        try:
            for name in NEEDED:
                version(name)
        except PackageNotFoundError as error:
            return f"{error.name} is not installed (make setup-bench)"
        return None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.place.postgres.database() as dsn, open_database(dsn) as self._database:
            self.database_name = database_of(dsn)
            await lay_tables(self._database)
            with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
                self._port, number = listener.getsockname()[1], listener.fileno()
                command = [sys.executable, "-m", "bench.peers.fastapi_app", self.mode, str(number), dsn]
                log = self.place.directory / "log"
                async with process(command, core=self.place.core, log=log, pass_fds=[number]) as self._process:
                    await until_it_is_ready("127.0.0.1", self._port, self._process)
                    yield


class FastApiNaive(FastApi):
    name = "fastapi-naive"
    title = "FastAPI, a transaction a message"
    mode = "naive"


class FastApiGroup(FastApi):
    name = "fastapi-group"
    title = "FastAPI, group commit"
    holds = True
    mode = "group"
