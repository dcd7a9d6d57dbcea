"""`world`: each test of a contract runs on the fakes and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from relay.database import open_database
from relay.migrations import read_schema
from tests.contract.worlds import MOST_SIGNALS, World, memory_world, postgres_world
from tests.postgres.server import FreshDatabases

SCHEMA = read_schema()


@pytest.fixture(params=["memory", "postgres"])
def databases(request: pytest.FixtureRequest) -> FreshDatabases | None:
    if request.param == "memory":
        return None
    found: FreshDatabases = request.getfixturevalue("fresh_databases")
    return found


@pytest.fixture
async def world(databases: FreshDatabases | None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    if databases is None:
        yield memory_world()
        return
    monkeypatch.setattr("relay.signals.MOST_SIGNALS", MOST_SIGNALS)
    async with (
        databases.make(SCHEMA) as dsn,
        open_database(dsn) as database,
        postgres_world(database) as made,
    ):
        yield made


@pytest.fixture
async def real_world(fresh_databases: FreshDatabases, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """PostgreSQL only."""
    monkeypatch.setattr("relay.signals.MOST_SIGNALS", MOST_SIGNALS)
    async with (
        fresh_databases.make(SCHEMA) as dsn,
        open_database(dsn) as database,
        postgres_world(database) as made,
    ):
        yield made
