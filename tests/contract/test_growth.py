"""What a message costs does not grow with the mail that waits: counted in blocks that a statement touches, never in time.
Nor does the disk fill with mail that has come and gone.

The connection and its prepared statements are older than the mail, and were planned while the tables were nearly empty and vacuumed, which is
when a planner falls for a sequential scan and may keep it.
"""

from __future__ import annotations

import json
import time
from hashlib import sha256
from statistics import median
from typing import Any
from uuid import UUID

import pytest
import trio

from bench.mail import TTL_S, churn, fill_mailboxes, make_partitions, sizes
from relay.database import Database, DatabaseSettings, open_database
from relay.held_connection import HeldConnection
from relay.partitions import WEEK_S, Week, keep_partitions
from relay.post_store import HOT_SETUP
from relay.queries import mailbox
from tests.contract.test_plans import ACCOUNTS, fill
from tests.fakes import new_id
from tests.postgres.server import TestServer

ENVELOPES = """
INSERT INTO envelopes (account_id, envelope_id, seq, arrived_at, by_number, body)
SELECT account_id, overlay($1::text placing right(gen_random_uuid()::text, 12) from 25)::uuid, nextval('envelope_seq'), 1, false, $2
FROM accounts, generate_series(1, $3)
"""
MORE_ACCOUNTS, MORE_EACH = 2000, 20
CAME_AND_WENT = 3000
DEEPER = 3
"""Levels that the indexes may have gained: the primary key of each partition is one tree."""


async def blocks(connection: HeldConnection, name: str, arguments: str) -> int:
    """Blocks that the prepared statement touched, wherever they were."""
    rows = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}({arguments})")
    plan: dict[str, Any] = json.loads(rows[0][0])[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def costs(connection: HeldConnection, account_id: UUID) -> dict[str, int]:
    """Of one message: stored, read, deleted. The store and the delete leave nothing behind."""
    envelope_id, access = new_id(), sha256(b"").hexdigest()
    post = (
        f"ARRAY['{account_id}']::uuid[], ARRAY['{envelope_id}']::uuid[], ARRAY['\\x{access}']::bytea[],"
        " ARRAY[convert_to(repeat('x', 1024), 'UTF8')], ARRAY[1]::bigint[], ARRAY[false], 1000, 33554432, 100, ARRAY[{}]"
    )
    ack = f"ARRAY['{account_id}']::uuid[], ARRAY[0]::bigint[], ARRAY['{envelope_id}']::uuid[]"
    page = f"ARRAY['{account_id}']::uuid[], ARRAY[64], ARRAY[180000], ARRAY[1], ARRAY[0], ARRAY[]::uuid[]"
    told = {}
    for name, has_room in (("put", "false"), ("put", "true"), ("put_one_each", "false"), ("put_one_each", "true")):
        told[name if has_room == "false" else f"{name} uncounted"] = await blocks(
            connection, name, post.format(has_room)
        )
        told["page"] = await blocks(connection, "page", page)
        told["remove"] = await blocks(connection, "remove", ack)
    return told


DELETE_BUT_ONE = """
WITH gone AS (DELETE FROM envelopes WHERE envelope_id <> (SELECT envelope_id FROM envelopes ORDER BY 1 LIMIT 1))
SELECT current_database()::text, pg_current_xact_id()::text
"""

DEAD_TO_ALL = """
SELECT $2::text::xid8 < pg_snapshot_xmin(pg_current_snapshot()) AND NOT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND (datname = $1 OR datname IS NULL)
)
"""
"""What transaction $2 deleted in database $1: no transaction of any database is older and still runs, and nobody in this one looks through
an older snapshot. Only a superuser sees the snapshots of others."""

STATEMENTS = {
    "put": mailbox.PUT,
    "put_one_each": mailbox.PUT_ONE_EACH,
    "page": mailbox.PAGES,
    "remove": mailbox.REMOVE,
}


@pytest.mark.parametrize("setup", [HOT_SETUP], ids=["as the relay connects"])
async def test_a_message_costs_the_same_among_many(database: Database, setup: tuple[str, ...]) -> None:
    await fill(database, 1)
    account_id: UUID = await database.fetchval("SELECT account_id FROM accounts")
    await database.execute("UPDATE accounts SET contact_access_hash = $1", sha256(b"").digest())
    await database.execute("VACUUM (ANALYZE) accounts, envelopes", timeout_s=30)
    async with database.hold(setup) as connection:
        for name, statement in STATEMENTS.items():
            await connection.execute(f"PREPARE {name} AS {statement}")
        for _ in range(8):  # past the fifth, PostgreSQL may keep a plan for good
            alone = await costs(connection, account_id)
        await keep_partitions(database, int(time.time()), 86400)
        await database.execute(ACCOUNTS, bytes(32), bytes(33), MORE_ACCOUNTS)
        await database.execute(ENVELOPES, str(new_id()), bytes(1024), MORE_EACH, timeout_s=60)
        among = await costs(connection, account_id)
        assert await database.fetchval("SELECT count(*) FROM envelopes") > MORE_ACCOUNTS * MORE_EACH
    # This account has twenty envelopes more to count and to read, a row and its way into the index each.
    for name in alone:
        own = 0 if name == "remove" or "uncounted" in name else MORE_EACH
        assert among[name] <= alone[name] * 1.5 + 2 * own + DEEPER * 4, (name, alone, among)


async def test_a_message_costs_the_same_after_many_that_came_and_went(
    database: Database, postgres_server: TestServer
) -> None:
    """Also before a VACUUM has cleared them away: who passes dead rows once marks them, and is not led to them again."""
    await fill(database, 1)
    account_id: UUID = await database.fetchval("SELECT account_id FROM accounts")
    await database.execute("UPDATE accounts SET contact_access_hash = $1", sha256(b"").digest())
    for (week,) in await database.fetch(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'envelopes'::regclass"
    ):
        await database.execute(f"ALTER TABLE {week} SET (autovacuum_enabled = off)")
    async with database.hold(HOT_SETUP) as connection:
        for name, statement in STATEMENTS.items():
            await connection.execute(f"PREPARE {name} AS {statement}")
        alone = await costs(connection, account_id)
        await database.execute(ENVELOPES, str(new_id()), bytes(1024), CAME_AND_WENT)
        own, deletion = await database.fetchrow(DELETE_BUT_ONE)
        # Until then none of them can be marked: PostgreSQL compares with the oldest transaction of all databases, and tests beside this
        # one hold some open for seconds.
        async with open_database(postgres_server.superuser_dsn(), settings=DatabaseSettings(pool_size=1)) as admin:
            with trio.fail_after(30):
                while not await admin.fetchval(DEAD_TO_ALL, own, deletion):  # noqa: ASYNC110
                    await trio.sleep(0.05)
        await costs(connection, account_id)
        several = [await costs(connection, account_id) for _ in range(5)]
    # Now and then a message finds an index page full, and clears it of what was marked: of some hundred messages one pays for that.
    after = {name: median(cost[name] for cost in several) for name in alone}
    for name, before in alone.items():
        assert after[name] <= before * 1.5 + CAME_AND_WENT / 50, (name, alone, after)  # index pages, not rows


async def test_space_is_used_again_and_comes_back_with_the_partition(database: Database) -> None:
    now = int(time.time())
    expired = Week(now // WEEK_S - 8)
    await fill_mailboxes(database, 200, 400, now)
    before = await sizes(database)
    assert before.waiting == 400
    await make_partitions(database, [expired])
    # Or one that comes along in the middle of the first turn would make it smaller than the others.
    await database.execute(f"ALTER TABLE {expired.name} SET (autovacuum_enabled = off)")
    taken = []
    for _ in range(3):
        await churn(database, expired, 2000, 300)
        await database.execute("VACUUM envelopes", timeout_s=60)
        taken.append(await sizes(database))
    # One in fifty stays; the room of all others is taken by those who come after them.
    assert taken[0].table_bytes > before.table_bytes + 1_000_000
    assert taken[2].waiting - before.waiting < 3 * 2100 / 50
    assert taken[2].table_bytes - before.table_bytes < 1.2 * (taken[0].table_bytes - before.table_bytes)
    assert taken[2].index_bytes < 2 * taken[0].index_bytes
    await keep_partitions(database, now, TTL_S)
    after = await sizes(database)
    assert after.waiting == before.waiting
    assert after.table_bytes <= before.table_bytes + 100_000  # empty partitions of the weeks around it
