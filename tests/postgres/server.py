"""The PostgreSQL that a test run shares, and the databases that tests get from it."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import trio

from relay.database import Database, DatabaseSettings, open_database
from relay.embedded_postgres import private_postgres
from relay.schema import Schema, apply_schema, fingerprint
from tests.postgres.processes import family, postmaster_pid

# A test run loses nothing in a power cut; without fsync a database is made in a third of the time.
TEST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """A short path (Unix sockets), which an unprivileged server may enter when the tests run as root."""
    path = Path(tempfile.mkdtemp(prefix="sv-", dir="/tmp"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@dataclass(frozen=True)
class OwnServer:
    """A private PostgreSQL of one test."""

    directory: Path
    dsn: str

    @property
    def superuser_dsn(self) -> str:
        return self.dsn.replace("://relay@", "://postgres@")

    @property
    def processes(self) -> list[int]:
        return family(postmaster_pid(self.directory))


@dataclass(frozen=True)
class TestServer:
    """A running private PostgreSQL. It lives in a thread with a Trio of its own, since each test has its own too."""

    __test__ = False
    relay_dsn: str

    def dsn(self, database: str = "relay") -> str:
        return self.relay_dsn.replace("@/relay?", f"@/{database}?")

    def superuser_dsn(self, database: str = "postgres") -> str:
        return self.dsn(database).replace("://relay@", "://postgres@")

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[TestServer]:
        ready = threading.Event()
        failure: list[BaseException] = []
        found: list[tuple[str, trio.lowlevel.TrioToken, trio.Event]] = []

        async def serve(directory: Path) -> None:
            async with private_postgres(directory / "pg", settings=TEST_SETTINGS) as dsn:
                stop = trio.Event()
                found.append((dsn, trio.lowlevel.current_trio_token(), stop))
                ready.set()
                await stop.wait()

        def run(directory: Path) -> None:
            try:
                trio.run(serve, directory)
            except BaseException as error:
                failure.append(error)
            finally:
                ready.set()

        with temporary_directory() as directory:
            thread = threading.Thread(target=run, args=(directory,), name="test PostgreSQL")
            thread.start()
            ready.wait()
            if not found:
                thread.join()
                raise failure[0]
            dsn, token, stop = found[0]
            try:
                yield cls(dsn)
            finally:
                token.run_sync_soon(stop.set)
                thread.join()
                if failure:
                    raise failure[0]


class FreshDatabases:
    """Makes databases, from a template for each schema text: copying is faster than applying."""

    def __init__(self, server: TestServer) -> None:
        self._server = server
        self._numbers = count(1)
        self._templates: set[str] = set()

    @asynccontextmanager
    async def make(self, schema: Schema | None = None) -> AsyncIterator[str]:
        """The DSN of a new database; empty without a schema. It is applied as the relay's own role."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        async with self._administration() as admin:
            template = "template1"
            if schema is not None:
                template = f"schema_{schema.version}_{fingerprint(schema.text)[:16]}"
                if template not in self._templates:
                    await admin.execute(f"CREATE DATABASE {template} OWNER relay", timeout_s=60)
                    async with open_database(self._server.dsn(template)) as fresh:
                        await apply_schema(fresh, schema)
                    self._templates.add(template)
            await admin.execute(f"CREATE DATABASE {name} OWNER relay TEMPLATE {template}", timeout_s=60)
        try:
            yield self._server.dsn(name)
        finally:
            with trio.CancelScope(shield=True):
                async with self._administration() as admin:
                    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)", timeout_s=60)

    @asynccontextmanager
    async def _administration(self) -> AsyncIterator[Database]:
        async with open_database(self._server.superuser_dsn(), settings=DatabaseSettings(pool_size=1)) as admin:
            yield admin
