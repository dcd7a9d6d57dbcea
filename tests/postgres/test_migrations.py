"""Numbered steps from every earlier schema to schema.sql: they lead there, keep what is there, and are taken once or not at all."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from relay.audit import audit
from relay.database import Database, DatabaseSettings, open_database
from relay.database_errors import QueryRejected
from relay.errors import RelayError, RelaysAreRunning, SchemaMismatch
from relay.migrations import read_migrations, read_schema
from relay.postgres_binaries import find_binaries
from relay.schema import Migration, Schema, apply_schema, fingerprint, look_at_schema, migrate
from tests.postgres.server import FreshDatabases

FROZEN = Path(__file__).parent / "schemas"
"""schema.sql as it was in each version before the newest."""
NEWEST = read_schema()
EARLIER = range(1, NEWEST.version)


def frozen(version: int) -> Schema:
    """As a relay of that version had it."""
    return Schema((FROZEN / f"{version:04}.sql").read_text(), version, NEWEST.migrations[: version - 1])


def dump(dsn: str, place: Path) -> list[str]:
    """What pg_dump says of the schema, but for the record of its version and what is never the same."""
    pg_dump = find_binaries(place, None) / "pg_dump"
    command = [pg_dump, "--schema-only", "--no-owner", "--exclude-table=relay_schema", dsn]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line for line in said.splitlines() if line.strip() and not re.match(r"--|\\(un)?restrict", line)]


@asynccontextmanager
async def at(databases: FreshDatabases, schema: Schema) -> AsyncIterator[tuple[str, Database]]:
    async with databases.make(schema) as dsn, open_database(dsn) as database:
        yield dsn, database


# -- the steps that are there -----------------------------------------------------------------------------------------


def test_every_earlier_version_is_kept_and_every_step_knows_where_it_starts() -> None:
    assert sorted(path.name for path in FROZEN.iterdir()) == [f"{version:04}.sql" for version in EARLIER]
    assert [step.before for step in NEWEST.migrations] == [fingerprint(frozen(version).text) for version in EARLIER]


@pytest.mark.parametrize("version", EARLIER)
async def test_a_migrated_database_is_the_same_as_a_new_one(
    fresh_databases: FreshDatabases, tmp_path: Path, version: int
) -> None:
    async with at(fresh_databases, NEWEST) as (new, _), at(fresh_databases, frozen(version)) as (old, database):
        before = dump(old, tmp_path)
        standing = await migrate(database, NEWEST)
        assert (standing.version, [step.version for step in standing.pending]) == (
            version,
            list(range(version + 1, NEWEST.version + 1)),
        )
        assert dump(old, tmp_path) == dump(new, tmp_path), (
            "schema.sql and relay/migrations/ lead to different schemas: a change needs a step"
        )
        assert dump(old, tmp_path) != before
        record = await database.fetchrow("SELECT * FROM relay_schema")
        assert record is not None
        assert tuple(record.values()) == (NEWEST.version, fingerprint(NEWEST.text), NEWEST.compatible_from)
        assert (await audit(database)).findings == []


@pytest.mark.parametrize("version", EARLIER)
async def test_who_is_a_member_stays_one(fresh_databases: FreshDatabases, version: int) -> None:
    async with at(fresh_databases, frozen(version)) as (_, database):
        await database.execute(
            "INSERT INTO accounts (account_id, token_hash, recovery_hash, identity_key, registration_id, contact_access_hash, registered_on) "
            "SELECT gen_random_uuid(), h, h, '\\x05' || h, 1, h, current_date FROM "
            "(SELECT sha256(n::text::bytea) AS h FROM generate_series(1, 50) n) s"
        )
        rows = await database.fetch("SELECT accounts::text FROM accounts ORDER BY 1")
        await apply_schema(database, NEWEST)
        assert len(rows) == 50
        assert await database.fetch("SELECT accounts::text FROM accounts ORDER BY 1") == rows


# -- how steps are taken ----------------------------------------------------------------------------------------------

ONE = Schema("CREATE TABLE things (thing_id int PRIMARY KEY, note text);")
ADDS = Migration(2, "adds", 1, fingerprint(ONE.text), "ALTER TABLE things ADD COLUMN size int;")
TWO = Schema("CREATE TABLE things (thing_id int PRIMARY KEY, note text, size int);", 2, (ADDS,))
TAKES = Migration(3, "takes away", 2, fingerprint(TWO.text), "ALTER TABLE things DROP COLUMN note;")
THREE = Schema("CREATE TABLE things (thing_id int PRIMARY KEY, size int);", 3, (ADDS, TAKES))


async def columns(database: Database) -> list[str]:
    found = await database.fetch(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'things'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    )
    return [row[0] for row in found]


async def test_what_only_adds_is_done_by_a_relay_that_starts(fresh_databases: FreshDatabases) -> None:
    async with at(fresh_databases, ONE) as (_, database):
        standing = await apply_schema(database, TWO)
        assert (standing.version, standing.pending) == (1, (ADDS,))
        assert await columns(database) == ["thing_id", "note", "size"]
        assert (await apply_schema(database, TWO)).pending == ()
        assert (await apply_schema(database, ONE)).version == 2  # the older relay starts again beside it


async def test_relays_that_start_together_take_the_step_once(fresh_databases: FreshDatabases) -> None:
    steps: list[Migration] = []
    async with fresh_databases.make(ONE) as dsn:

        async def relay() -> None:
            async with open_database(dsn) as database:
                steps.extend((await apply_schema(database, TWO)).pending)

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(relay)
    assert steps == [ADDS]


async def test_what_older_relays_cannot_go_on_after_waits_for_a_person(fresh_databases: FreshDatabases) -> None:
    async with at(fresh_databases, ONE) as (dsn, database):
        with pytest.raises(
            SchemaMismatch,
            match=r"has schema version 1, this relay needs version 3 .*; stop every relay .* relay migrate",
        ):
            await apply_schema(database, THREE)
        assert (await look_at_schema(database, THREE)).needs_a_stop
        by_hand = DatabaseSettings(application_name="sottovoce migrate")
        async with open_database(dsn, settings=by_hand) as operators:
            with pytest.raises(RelaysAreRunning):  # `database` is one
                await migrate(operators, THREE)
            assert await columns(database) == ["thing_id", "note"]
    async with fresh_databases.make(ONE) as dsn, open_database(dsn, settings=by_hand) as operators:
        await migrate(operators, THREE)
        assert await columns(operators) == ["thing_id", "size"]
        with pytest.raises(
            SchemaMismatch, match=r"has schema version 3 .*, this relay needs version 1 .* version 2 or later"
        ):
            await apply_schema(operators, ONE)
        assert (await apply_schema(operators, TWO)).version == 3


async def test_a_step_that_fails_leaves_everything_as_it_was(fresh_databases: FreshDatabases) -> None:
    broken = ADDS._replace(sql=ADDS.sql + "ALTER TABLE things ADD COLUMN size int;")
    async with at(fresh_databases, ONE) as (_, database):
        with pytest.raises(QueryRejected):
            await apply_schema(database, Schema(TWO.text, 2, (broken,)))
        assert await columns(database) == ["thing_id", "note"]
        assert (await apply_schema(database, ONE)).version == 1
        assert (await apply_schema(database, TWO)).pending == (ADDS,)


async def test_there_is_no_way_on_from_a_schema_that_was_changed_by_hand(fresh_databases: FreshDatabases) -> None:
    async with at(fresh_databases, Schema(ONE.text.replace("note", "remark"))) as (_, database):
        with pytest.raises(SchemaMismatch):
            await apply_schema(database, TWO)
        with pytest.raises(SchemaMismatch):
            await migrate(database, TWO)


async def test_a_lock_that_is_long_in_coming_is_not_waited_for(
    fresh_databases: FreshDatabases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a table holds up everybody behind: sessions would stand still until somebody ends a long transaction."""
    monkeypatch.setattr("relay.schema.LOCK_TIMEOUT", "100ms")
    async with at(fresh_databases, ONE) as (_, database), database.transaction() as busy:
        await busy.execute("SELECT FROM things")
        with pytest.raises(RelayError), trio.fail_after(20):
            await apply_schema(database, TWO)


# -- what a file must be ----------------------------------------------------------------------------------------------

HEAD = "-- what: x\n-- compatible-from: 1\n-- before: " + "0" * 64 + "\n"


@pytest.mark.parametrize(
    "files",
    [
        {"0003_x.sql": HEAD},
        {"0002_x.sql": HEAD, "0004_x.sql": HEAD},
        {"0002_x.sql": HEAD, "0002_y.sql": HEAD},
        {"two.sql": HEAD},
        {"0002_x.sql": HEAD.replace("what: x", "what: ")},
        {"0002_x.sql": HEAD.replace("from: 1", "from: 3")},
        {"0002_x.sql": HEAD.replace("from: 1", "from: 0")},
        {"0002_x.sql": HEAD.replace("from: 1", "from: 2"), "0003_x.sql": HEAD},
        {"0002_x.sql": HEAD.replace("0" * 64, "0" * 63)},
        {"0002_x.sql": "ALTER TABLE x;"},
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=str(tmp_path)):
        read_migrations(tmp_path)


def test_files_are_read_in_their_order(tmp_path: Path) -> None:
    for number, oldest in ((2, 1), (3, 1), (4, 3)):
        (tmp_path / f"{number:04}_x.sql").write_text(HEAD.replace("from: 1", f"from: {oldest}"))
    assert [(step.version, step.compatible_from) for step in read_migrations(tmp_path)] == [(2, 1), (3, 1), (4, 3)]
