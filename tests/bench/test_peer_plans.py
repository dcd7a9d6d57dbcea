"""The FastAPI peers look rows up by key too: a peer that falls into a trap of the planner is no measure."""

from __future__ import annotations

import json

from bench.peers import storage
from bench.systems.fastapi import lay_tables
from relay.database import Database, open_database
from tests.contract.test_plans import ID, STATES, fill, scans

STATEMENTS = {
    "JUDGE": (storage.JUDGE, f"{ID}, '', 1000"),
    "REMOVE": (storage.REMOVE, f"ARRAY[{ID}]::uuid[], ARRAY[{ID}]::uuid[], ARRAY[1]::bigint[]"),
    "PAGE": (storage.PAGE, f"{ID}, ARRAY[{ID}]::uuid[], 64"),
    "LOGIN": (storage.LOGIN, ID),
    "BEGIN_SESSION": (storage.BEGIN_SESSION, ID),
}


@STATES
async def test_peers_find_rows_by_account(database: Database, rows: int, emptied: bool) -> None:
    await fill(database, rows, emptied=emptied)
    async with database.hold([f"SET {name} = {value}" for name, value in storage.BY_KEY.items()]) as connection:
        for name, (statement, arguments) in STATEMENTS.items():
            await connection.execute(f"PREPARE hot AS {statement}")
            plan = await connection.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE hot({arguments})")
            await connection.execute("DEALLOCATE hot")
            read = list(scans(json.loads(plan[0][0])[0]["Plan"]))
            assert read, name
            for node in read:
                assert "account_id" in node.get("Index Cond", node.get("Recheck Cond", "")), (name, node)


async def test_an_emptied_table_of_the_peers_is_not_read_to_delete_by_key(database_url: str) -> None:
    """In the tables as the bench lays them: in a single partition this delete reads all of it."""
    settings = [f"SET {name} = {value}" for name, value in storage.BY_KEY.items()]
    async with open_database(database_url) as database, database.hold(settings) as connection:
        await lay_tables(database)
        await database.execute("VACUUM (ANALYZE) envelopes", timeout_s=30)
        statement, arguments = STATEMENTS["REMOVE"]
        await connection.execute(f"PREPARE hot AS {statement}")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE hot({arguments})"))
    assert "Seq Scan" not in plan, plan


async def test_a_page_of_the_peers_comes_in_order_of_arrival(database: Database) -> None:
    """Else it would sort the whole mailbox each time, which the relay does not."""
    await fill(database, 4000)
    settings = [f"SET {name} = {value}" for name, value in storage.BY_KEY.items()]
    account_id = await database.fetchval("SELECT account_id FROM accounts LIMIT 1")
    async with database.hold(settings) as connection:
        statement, arguments = STATEMENTS["PAGE"]
        await connection.execute(f"PREPARE hot AS {statement}")
        explained = await connection.fetch(f"EXPLAIN EXECUTE hot({arguments.replace(ID, repr(str(account_id)), 1)})")
    plan = "\n".join(row[0] for row in explained)
    assert "_account_id_seq_idx" in plan, plan
    assert "->  Sort" not in plan, plan
