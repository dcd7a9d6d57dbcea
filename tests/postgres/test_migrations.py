"""Numbered steps from every earlier schema to schema.sql: they lead there, keep what is there, and are taken once or not at all."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from relay.audit import audit
from relay.database import Database, DatabaseSettings, open_database
from relay.database_errors import QueryRejected
from relay.errors import RelayError, RelaysAreRunning, SchemaMismatch
from relay.migrations import read_migrations
from relay.postgres_binaries import find_binaries
from relay.schema import Migration, Schema, apply_schema, fingerprint, look_at_schema, migrate
from tests.postgres.frozen import FILES, NEWEST, PLACE, database_of, frozen, frozen_statements, statements_now
from tests.postgres.server import FreshDatabases

EARLIER = range(1, NEWEST.version)


def dump(dsn: str, place: Path) -> list[str]:
    """What pg_dump says of the schema, but for what is never the same."""
    pg_dump = find_binaries(place, None) / "pg_dump"
    command = [pg_dump, "--schema-only", "--no-owner", dsn]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line for line in said.splitlines() if line.strip() and not re.match(r"--|\\(un)?restrict", line)]


@asynccontextmanager
async def at(databases: FreshDatabases, schema: Schema) -> AsyncIterator[tuple[str, Database]]:
    async with databases.make(schema) as dsn, open_database(dsn) as database:
        yield dsn, database


# -- the steps that are there -----------------------------------------------------------------------------------------


def test_every_earlier_version_is_kept_and_every_step_knows_where_it_starts() -> None:
    assert {path.name for path in PLACE.iterdir()} == {f"{version:04}{what}" for version in EARLIER for what in FILES}
    assert [step.before for step in NEWEST.migrations] == [fingerprint(frozen(version).text) for version in EARLIER]


@pytest.mark.parametrize("version", EARLIER)
async def test_a_migrated_database_is_the_same_as_a_new_one(
    fresh_databases: FreshDatabases, tmp_path: Path, version: int
) -> None:
    async with (
        at(fresh_databases, NEWEST) as (new, _),
        database_of(version, fresh_databases) as old,
        open_database(old) as database,
    ):
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
    async with database_of(version, fresh_databases) as dsn, open_database(dsn) as database:
        await database.execute(
            "INSERT INTO accounts (account_id, token_hash, recovery_hash, identity_key, registration_id, contact_access_hash, registered_on) "
            "SELECT gen_random_uuid(), h, h, '\\x05' || h, 1, h, current_date FROM "
            "(SELECT sha256(n::text::bytea) AS h FROM generate_series(1, 50) n) s"
        )
        rows = await database.fetch("SELECT accounts::text FROM accounts ORDER BY 1")
        await apply_schema(database, NEWEST)
        assert len(rows) == 50
        assert await database.fetch("SELECT accounts::text FROM accounts ORDER BY 1") == rows


def can_go_on() -> list[int]:
    """The earlier versions whose relays are said to be able to work on the newest schema."""
    return [version for version in EARLIER if version >= NEWEST.compatible_from]


async def misfits(database: Database, statements: dict[str, str]) -> dict[str, str]:
    """Statements that this database does not understand, and why. Those that no PREPARE takes, or that have names to fill in, are left out."""
    found = {}
    for name, statement in statements.items():
        if re.match(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b", statement) and not re.search(r"\{\w+\}", statement):
            try:
                async with database.transaction() as tx:
                    await tx.execute(f"PREPARE tried AS {statement}")
                    await tx.execute("DEALLOCATE tried")
            except QueryRejected as error:
                found[name] = str(error)
    return found


@pytest.mark.parametrize("version", can_go_on())
async def test_relays_that_are_said_to_can_go_on_with_every_statement(database: Database, version: int) -> None:
    """As they send them, on the newest schema."""
    statements = frozen_statements(version)
    assert len(statements) > 50
    assert await misfits(database, statements) == {}


async def test_a_statement_that_does_not_fit_is_found(database: Database) -> None:
    assert await misfits(database, statements_now()) == {}
    await database.execute("ALTER TABLE accounts RENAME COLUMN session_epoch TO epoch")
    found = await misfits(database, statements_now())
    assert "session_epoch" in found["mailbox.EPOCHS"]
    assert "mailbox.NOTIFY" not in found


async def test_the_updates_of_sessions_touch_no_index(database: Database) -> None:
    """What the room in the pages of accounts is for: of 500 members 50 connect."""
    await database.execute(
        "INSERT INTO accounts (account_id, token_hash, recovery_hash, identity_key, registration_id, contact_access_hash, registered_on) "
        "SELECT gen_random_uuid(), h, h, '\\x05' || h, n, h, current_date FROM "
        "(SELECT n, sha256(n::text::bytea) AS h FROM generate_series(1, 500) n) s"
    )
    async with database.transaction() as tx:
        await tx.execute("UPDATE accounts SET session_epoch = session_epoch + 1 WHERE registration_id % 10 = 0")
        row = await tx.fetchrow(
            "SELECT pg_stat_get_xact_tuples_updated(c), pg_stat_get_xact_tuples_hot_updated(c) "
            "FROM (SELECT 'accounts'::regclass::oid AS c) s"
        )
    assert row is not None
    assert row[0] == 50
    assert row[1] > 40


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


async def test_a_step_that_is_interrupted_leaves_everything_as_it_was(fresh_databases: FreshDatabases) -> None:
    """The relay is gone before the commit."""
    long = ADDS._replace(sql=ADDS.sql + "SELECT pg_sleep(60);")
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    async with at(fresh_databases, ONE) as (dsn, database):

        async def relay() -> None:
            async with open_database(dsn) as its_own:
                await apply_schema(its_own, Schema(TWO.text, 2, (long,)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay)
            with trio.fail_after(60):
                while not await database.fetchval(asleep):  # noqa: ASYNC110 - PostgreSQL tells nobody
                    await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
        assert await columns(database) == ["thing_id", "note"]
        assert (await apply_schema(database, TWO)).pending == (ADDS,)  # the lock is free again


@pytest.mark.parametrize("changed", [{"sql": ADDS.sql + "SELECT 1;"}, {"compatible_from": 2}])
async def test_a_step_that_was_changed_after_it_was_taken_is_noticed(
    fresh_databases: FreshDatabases, changed: dict[str, Any]
) -> None:
    async with at(fresh_databases, ONE) as (_, database):
        await apply_schema(database, TWO)
        with pytest.raises(SchemaMismatch, match="came by another step to version 2"):
            await apply_schema(database, Schema(TWO.text, 2, (ADDS._replace(**changed),)))
        reworded = ADDS._replace(sql=f"-- in other words\n{ADDS.sql}", what="in other words")
        assert (await apply_schema(database, Schema(TWO.text, 2, (reworded,)))).version == 2


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
