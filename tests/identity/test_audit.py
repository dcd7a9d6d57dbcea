"""`relay audit`: the schema is explained to the last column, and whatever is added by hand is named."""

from __future__ import annotations

import json

import pytest

from relay.audit import HELD, audit
from relay.database import Database, open_database
from relay.partitions import keep_partitions
from relay.schema import apply_schema
from tests.conftest import SCHEMA
from tests.identity.test_cli import _relay
from tests.postgres.server import TestServer, temporary_directory


@pytest.fixture
async def live(database: Database) -> Database:
    """As a relay has it: with partitions, and the record of its schema."""
    await keep_partitions(database, 1_789_000_000, 86400)
    return database


async def test_our_own_schema_is_known_to_the_last_column(live: Database) -> None:
    report = await audit(live)
    assert report.findings == []
    assert {table.name for table in report.tables} == set(HELD)
    assert all(column.holds and column.why for table in report.tables for column in table.columns)
    (envelopes,) = (table for table in report.tables if table.name == "envelopes")
    assert len(envelopes.partitions) > 1


@pytest.mark.parametrize(
    ("by_hand", "named"),
    [
        ("ALTER TABLE envelopes ADD COLUMN sender uuid", "column envelopes.sender (uuid) is not known"),
        ("ALTER TABLE accounts ADD COLUMN last_address inet", "column accounts.last_address (inet) is not known"),
        ("ALTER TABLE accounts ALTER COLUMN last_session_on TYPE timestamptz", "not date"),
        ("ALTER TABLE accounts DROP COLUMN recovery_hash", "column accounts.recovery_hash is missing"),
        ("COMMENT ON COLUMN accounts.phone_token IS NULL", "column accounts.phone_token does not say what it holds"),
        ("CREATE TABLE who_wrote (sender uuid, recipient uuid)", "table public.who_wrote is not known"),
        ("CREATE UNLOGGED TABLE seen ()", "table public.seen is not known (columns: none)"),
        ("CREATE SCHEMA aside; CREATE TABLE aside.copy AS SELECT * FROM accounts", "table aside.copy is not known"),
        ("CREATE VIEW pairs AS SELECT account_id FROM envelopes", "view public.pairs is not known"),
        ("CREATE MATERIALIZED VIEW kept AS SELECT body FROM envelopes", "materialized view public.kept is not known"),
        ("CREATE TABLE more PARTITION OF envelopes DEFAULT", "table public.more is not known"),
        ("CREATE INDEX by_day ON accounts (last_session_on)", "index by_day is not known"),
        ("DROP INDEX envelopes_in_order", "index envelopes_in_order is missing"),
        ("CREATE SEQUENCE visits", "sequence visits is not known"),
        ("CREATE TYPE pair AS (a uuid, b uuid)", "type pair is not known"),
        ("CREATE TYPE mood AS ENUM ('calm')", "type mood is not known"),
        ("CREATE DOMAIN address AS text", "type address is not known"),
        (
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER noting AFTER INSERT ON signals FOR EACH ROW EXECUTE FUNCTION note()",
            "trigger signals.noting is not known",
        ),
        ("CREATE RULE copying AS ON INSERT TO signals DO ALSO NOTIFY signals", "rule signals.copying is not known"),
        ("CREATE STATISTICS pattern ON account_id, seq FROM envelopes", "statistics pattern is not known"),
        ("CREATE PUBLICATION everything FOR TABLE accounts", "publication everything is not known"),
        ("SELECT lo_create(4711)", "large object 4711 is not known"),
    ],
)
async def test_what_was_added_by_hand_is_named(live: Database, by_hand: str, named: str) -> None:
    await live.execute(by_hand)
    findings = (await audit(live)).findings
    assert any(named in finding for finding in findings), findings


async def test_an_extension_is_named(live: Database, postgres_server: TestServer) -> None:
    """It takes a superuser, and may store statements with their values."""
    name = await live.fetchval("SELECT current_database()")
    async with open_database(postgres_server.superuser_dsn(name)) as superuser:
        available = await superuser.fetchval("SELECT name FROM pg_available_extensions WHERE name <> 'plpgsql' LIMIT 1")
        assert available is not None
        await superuser.execute(f"CREATE EXTENSION {available}")
    assert f"extension {available} is not known" in (await audit(live)).findings


async def test_the_command_beside_a_live_database(database_url: str) -> None:
    with temporary_directory() as directory:
        var = directory / "var"
        async with open_database(database_url) as database:
            await apply_schema(database, SCHEMA)
            good = await _relay("audit", "--json", var=var, database_url=database_url)
            assert (good.returncode, json.loads(good.stdout)["ok"]) == (0, True), good.stderr
            text = (await _relay("audit", var=var, database_url=database_url)).stdout.decode()
            for name, table in HELD.items():
                assert name in text
                assert all(f" {column} " in text for column in table.columns)
            assert "There is nothing else in this database." in text
            await database.execute("ALTER TABLE envelopes ADD COLUMN sender uuid")
            bad = await _relay("audit", var=var, database_url=database_url)
            assert bad.returncode == 1
            assert "column envelopes.sender (uuid) is not known" in bad.stdout.decode()
            bad = await _relay("audit", "--json", var=var, database_url=database_url)
            assert bad.returncode == 1
            assert json.loads(bad.stdout)["findings"] == ["column envelopes.sender (uuid) is not known"]
