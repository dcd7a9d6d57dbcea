"""The FastAPI peers look rows up by key too: a peer that falls into a trap of the planner is no measure."""

from __future__ import annotations

import json

from bench.peers import storage
from relay.database import Database
from tests.contract.test_plans import ID, STATES, fill, scans

STATEMENTS = {
    "JUDGE": (storage.JUDGE, f"{ID}, '', 1000"),
    "PUT_ONE": (storage.PUT_ONE, f"{ID}, {ID}, 1, ''"),
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
            for node in scans(json.loads(plan[0][0])[0]["Plan"]):
                assert "account_id" in node.get("Index Cond", node.get("Recheck Cond", "")), (name, node)
