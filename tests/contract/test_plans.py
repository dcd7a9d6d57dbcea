"""The hot statements look rows up by key, whatever the planner thinks of the tables today."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from relay.database import Database
from relay.held_connection import HeldConnection
from relay.partitions import keep_partitions
from relay.post_store import HOT_SETUP
from relay.queries import mailbox, signals
from tests.fakes import new_id

ID = f"'{uuid4()}'"
POST = f"ARRAY[{ID}]::uuid[], ARRAY[{ID}]::uuid[], ARRAY['']::bytea[], ARRAY['']::bytea[], ARRAY[1]::bigint[], ARRAY[false]"
ACK = f"ARRAY[{ID}]::uuid[], ARRAY[1]::bigint[], ARRAY[{ID}]::uuid[]"
COMPARE = f"ARRAY[{ID}]::uuid[], ARRAY[{ID}]::uuid[], ARRAY['']::bytea[]"
PAGE = f"{ID}, ARRAY[{ID}]::uuid[], 64, 180000"
PAGES = f"ARRAY[{ID}]::uuid[], ARRAY[64], ARRAY[180000], ARRAY[1], ARRAY[1], ARRAY[{ID}]::uuid[]"

HOT = {
    "mailbox PUT": (mailbox.PUT, f"{POST}, 1000, 33554432, 100, ARRAY[false]"),
    "mailbox PUT_ONE_EACH": (mailbox.PUT_ONE_EACH, f"{POST}, 1000, 33554432, 100, ARRAY[false]"),
    "mailbox COMPARE": (mailbox.COMPARE, COMPARE),
    "mailbox REMOVE": (mailbox.REMOVE, ACK),
    "mailbox PAGES": (mailbox.PAGES, PAGES),
    "mailbox BEGIN_SESSIONS": (mailbox.BEGIN_SESSIONS, f"ARRAY[{ID}]::uuid[], ARRAY['']::bytea[], CURRENT_DATE"),
    "mailbox NOTE_FULL": (mailbox.NOTE_FULL, f"ARRAY[{ID}]::uuid[]"),
    "signals PUT": (signals.PUT, f"{POST}, 256"),
    "signals PUT_ONE_EACH": (signals.PUT_ONE_EACH, f"{POST}, 256"),
    "signals COMPARE": (signals.COMPARE, COMPARE),
    "signals REMOVE": (signals.REMOVE, ACK),
    "signals PAGE": (signals.PAGE, PAGE),
}

ACCOUNTS = """
INSERT INTO accounts (account_id, token_hash, recovery_hash, identity_key, registration_id, contact_access_hash, registered_on)
SELECT gen_random_uuid(), $1, $1, $2, 1, $1, '2026-11-22' FROM generate_series(1, $3)
"""
# $1 an id of the current week: the ids are it, with other random bits
ENVELOPES = """
INSERT INTO envelopes (account_id, envelope_id, seq, arrived_at, by_number, body)
SELECT account_id, overlay($1::text placing right(gen_random_uuid()::text, 12) from 25)::uuid, nextval('envelope_seq'), 1, false, $2
FROM accounts
"""
SIGNALS = """
INSERT INTO signals (account_id, signal_id, seq, expires_at, body)
SELECT account_id, gen_random_uuid(), nextval('envelope_seq'), now() + interval '1 hour', $1 FROM accounts
"""


async def plan(connection: HeldConnection, statement: str, arguments: str) -> str:
    """The plan of a prepared statement, as the driver's are."""
    await connection.execute(f"PREPARE hot AS {statement}")
    try:
        return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE hot({arguments})"))
    finally:
        await connection.execute("DEALLOCATE hot")


async def fill(database: Database, rows: int, *, emptied: bool = False) -> None:
    """So many accounts with an envelope and a signal each; `emptied`: all of that has left again, and the planner knows."""
    await keep_partitions(database, int(time.time()), 86400)
    await database.execute(ACCOUNTS, bytes(32), bytes(33), rows)
    await database.execute(ENVELOPES, str(new_id()), bytes(1024))
    await database.execute(SIGNALS, bytes(1024))
    await _look(database)
    if emptied:
        await database.execute("DELETE FROM envelopes")
        await database.execute("DELETE FROM signals")
        await _look(database)  # and remembers what it saw before


async def _look(database: Database) -> None:
    for table in ("accounts", "envelopes", "signals"):
        await database.execute(f"VACUUM (ANALYZE) {table}", timeout_s=30)


STATES = pytest.mark.parametrize(
    ("rows", "emptied"), [(1, False), (4000, False), (4000, True)], ids=["nearly empty", "filled", "emptied"]
)


@STATES
async def test_no_hot_statement_scans_a_table(database: Database, rows: int, emptied: bool) -> None:
    await fill(database, rows, emptied=emptied)
    async with database.hold(HOT_SETUP) as connection:
        plans = {name: await plan(connection, *hot) for name, hot in HOT.items()}
    for name, text in plans.items():
        assert "Index" in text, (name, text)
        assert "Seq Scan" not in text, (name, text)
        assert "Bitmap" not in text, (name, "it would visit every dead row of an account, each time anew")
        assert ID not in text, (name, "the plan must not depend on values")


def scans(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan that read a table."""
    if "Relation Name" in node and node["Node Type"] != "ModifyTable":
        yield node
    for below in node.get("Plans", ()):
        yield from scans(below)


@STATES
async def test_hot_statements_find_rows_by_account_alone(database: Database, rows: int, emptied: bool) -> None:
    """Nothing walks a whole index. And every table could be distributed by account_id: no row is found, joined or filtered across accounts."""
    await fill(database, rows, emptied=emptied)
    async with database.hold(HOT_SETUP) as connection:
        for name, (statement, arguments) in HOT.items():
            await connection.execute(f"PREPARE hot AS {statement}")
            explained = await connection.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE hot({arguments})")
            await connection.execute("DEALLOCATE hot")
            read = list(scans(json.loads(explained[0][0])[0]["Plan"]))
            assert read, name
            for node in read:
                assert "account_id" in node.get("Index Cond", ""), (name, node)


async def test_without_its_settings_a_connection_would_scan(database: Database) -> None:
    """If this fails, PostgreSQL has learned something and HOT_SETUP may be shorter."""
    await fill(database, 1)
    async with database.hold() as connection:
        plans = {name: await plan(connection, *hot) for name, hot in HOT.items()}
    assert [name for name, text in plans.items() if "Seq Scan" not in text] == []


async def test_pages_come_from_the_index_in_order_of_arrival(database: Database) -> None:
    """So a page of a full mailbox reads a page's worth of rows, and sorts none."""
    await fill(database, 4000)
    account_id: UUID = await database.fetchval("SELECT account_id FROM accounts LIMIT 1")
    async with database.hold(HOT_SETUP) as connection:
        text = await plan(connection, mailbox.PAGES, PAGES.replace(ID, f"'{account_id}'", 1))
    assert "Merge Append" in text
    assert "_account_id_seq_idx" in text
    assert "->  Sort" not in text
