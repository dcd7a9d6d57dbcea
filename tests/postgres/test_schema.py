"""apply_schema: once, by whoever comes first, and never over something else."""

from __future__ import annotations

import pytest
import trio

from relay.database import Database, open_database
from relay.database_errors import QueryRejected
from relay.errors import SchemaMismatch
from relay.migrations import read_schema
from relay.schema import Schema, apply_schema, fingerprint

SCHEMA = Schema("""
CREATE TABLE things (thing_id uuid PRIMARY KEY, note text DEFAULT '-- no comment');  -- a comment
COMMENT ON TABLE things IS 'things';
""")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a  b\n\tc", "a b c", True),
        ("a -- x\nb", "a b", True),
        ("a /* x\n y */ b", "a b", True),
        ("a /* x /* y */ z */ b", "a b", True),
        ("\n\na\n", "a", True),
        ("a 'x  y'", "a 'x y'", False),
        ("a '--x'", "a '--y'", False),
        ("a '''--x'", "a '''--y'", False),
        ('a "--x"', 'a "--y"', False),
        ("a $$ -- x $$", "a $$ -- y $$", False),
        ("a $t$ $$ -- x $t$", "a $t$ $$ -- y $t$", False),
        ("A", "a", False),
    ],
)
def test_the_fingerprint_sees_what_counts(one: str, other: str, same: bool) -> None:
    assert (fingerprint(one) == fingerprint(other)) is same


async def test_it_is_applied_once(database_url: str) -> None:
    async with open_database(database_url) as database:
        await apply_schema(database, SCHEMA)
        await database.execute("INSERT INTO things VALUES (gen_random_uuid())")
        await apply_schema(database, Schema(SCHEMA.text.replace("a comment", "another comment")))
        assert await database.fetchval("SELECT count(*) FROM things") == 1
        row = await database.fetchrow("SELECT * FROM relay_schema")
        assert row is not None
        assert dict(row.items()) == {"version": 1, "fingerprint": fingerprint(SCHEMA.text), "compatible_from": 1}


async def test_workers_that_start_together_agree(database_url: str) -> None:
    async def worker() -> None:
        async with open_database(database_url) as database:
            await apply_schema(database, SCHEMA)

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(worker)


async def test_another_schema_is_refused(database_url: str) -> None:
    async with open_database(database_url) as database:
        await apply_schema(database, SCHEMA)
        with pytest.raises(SchemaMismatch) as caught:
            await apply_schema(database, Schema(SCHEMA.text.replace("note", "remark")))
        assert fingerprint(SCHEMA.text)[:12] in caught.value.found


async def test_a_database_of_something_else_is_refused(database_url: str) -> None:
    async with open_database(database_url) as database:
        await database.execute("CREATE SCHEMA shop; CREATE TABLE shop.orders (a int)")
        with pytest.raises(SchemaMismatch, match=r"something else.*shop\.orders"):
            await apply_schema(database, SCHEMA)
        assert await database.fetchval("SELECT to_regclass('things') IS NULL")


async def test_a_schema_that_fails_leaves_nothing(database_url: str) -> None:
    async with open_database(database_url) as database:
        with pytest.raises(QueryRejected):
            await apply_schema(database, Schema(SCHEMA.text + "CREATE TABLE broken (a nonsense);"))
        assert await database.fetchval("SELECT to_regclass('things') IS NULL")
        await apply_schema(database, SCHEMA)


async def test_our_own_schema_applies_and_every_column_is_commented(database: Database) -> None:
    """`relay audit` prints the comments: a column without one would be a column without a reason."""
    await apply_schema(database, read_schema())  # again: recognised
    silent = await database.fetch(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "AND a.attnum > 0 AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL"
    )
    assert [tuple(row) for row in silent] == []
