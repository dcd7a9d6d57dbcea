"""A PostgreSQL of one's own, for tests that stall, kill or reconfigure it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from relay.embedded_postgres import private_postgres
from tests.postgres.server import TEST_SETTINGS, OwnServer, temporary_directory


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that does not exist yet, for a private PostgreSQL."""
    with temporary_directory() as directory:
        yield directory / "pg"


@pytest.fixture
async def own_server(place: Path) -> AsyncIterator[OwnServer]:
    async with private_postgres(place, settings=TEST_SETTINGS) as dsn:
        yield OwnServer(place, dsn)
