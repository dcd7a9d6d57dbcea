from relay.database import Database


async def test_it_runs(database: Database) -> None:
    assert await database.fetchval("SELECT count(*) FROM accounts") == 0
    async with database.transaction() as tx:
        assert (await tx.fetchrow("SELECT 1 AS a, 2 AS b"))["b"] == 2


async def test_it_runs2(database: Database) -> None:
    assert await database.fetchval("SELECT count(*) FROM accounts") == 0
