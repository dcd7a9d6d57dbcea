"""Which of two servers is the primary, when both say so: the one that was promoted last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from relay.database import Database, DatabaseSettings, open_database
from relay.errors import DatabaseUnavailable
from tests.faults.pair import Pair, running_pair
from tests.postgres.server import temporary_directory

pytestmark = pytest.mark.timeout(300)
WHICH = "SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)"
OLD, NEW = "00000001", "00000002"


@pytest.fixture
def pair() -> Iterator[Pair]:
    with temporary_directory() as directory, running_pair(directory) as running:
        yield running


async def where(database: Database) -> str:
    timeline: str = await database.fetchval(WHICH)
    return timeline


async def test_a_relay_that_starts_while_the_dead_primary_is_back_takes_the_promoted_one(pair: Pair) -> None:
    """The old one stands first in the URL, answers, and takes writes."""
    await trio.to_thread.run_sync(pair.promote)
    old, new = pair.standby, pair.primary
    assert str(old.socket) < str(new.socket)
    await trio.to_thread.run_sync(old.start)
    assert old.ask(WHICH) == OLD
    async with open_database(pair.url) as database:
        assert await where(database) == NEW
        async with database.hold() as held:
            assert await held.fetchval(WHICH) == NEW


async def test_nothing_goes_back_to_a_timeline_that_is_over(pair: Pair) -> None:
    """The promoted one is away for a while: nobody is the primary then, although the old one says that it is."""
    settings = DatabaseSettings(connect_timeout_s=10, command_timeout_s=10)
    async with open_database(pair.url, settings=settings) as database:
        assert await where(database) == OLD
        await trio.to_thread.run_sync(pair.promote)
        old, new = pair.standby, pair.primary
        assert await until_it_answers(database) == NEW
        await trio.to_thread.run_sync(old.start)
        await trio.to_thread.run_sync(new.kill)
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable):
                await where(database)
        await trio.to_thread.run_sync(new.start)
        assert await until_it_answers(database) == NEW


async def until_it_answers(database: Database) -> str:
    with trio.fail_after(60):
        while True:
            try:
                return await where(database)
            except DatabaseUnavailable:
                await trio.sleep(0.1)
