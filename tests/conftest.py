"""Fixtures for tests that need a real PostgreSQL: one private server a run, a fresh database a test.

Tests that ask for none of these start nothing. A test with real I/O must not use autojump_clock: the clock would jump
while PostgreSQL works.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from relay.database import Database, open_database
from relay.migrations import read_schema
from tests.postgres.server import FreshDatabases, TestServer

SCHEMA = read_schema()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[TestServer]:
    """The run's PostgreSQL: `.dsn(database)` and `.superuser_dsn(database)`. Do not stall or stop it: others use it."""
    with TestServer.running() as server:
        yield server


@pytest.fixture(scope="session")
def fresh_databases(postgres_server: TestServer) -> FreshDatabases:
    return FreshDatabases(postgres_server)


@pytest.fixture
async def database_url(fresh_databases: FreshDatabases) -> AsyncIterator[str]:
    """The DSN of an empty database, dropped afterwards."""
    async with fresh_databases.make() as dsn:
        yield dsn


@pytest.fixture
async def schema_database_url(fresh_databases: FreshDatabases) -> AsyncIterator[str]:
    """The DSN of a database with schema.sql in it, dropped afterwards."""
    async with fresh_databases.make(SCHEMA) as dsn:
        yield dsn


@pytest.fixture
async def database(schema_database_url: str) -> AsyncIterator[Database]:
    """An open Database with schema.sql in it."""
    async with open_database(schema_database_url) as opened:
        yield opened
