"""relay migrate: what would be done, doing it, and not under relays that could not go on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from relay.database import Database, open_database
from tests.commands.operator_shell import Shell
from tests.postgres.frozen import NEWEST, database_of
from tests.postgres.server import FreshDatabases


@pytest.fixture
async def database(shell: Shell, fresh_databases: FreshDatabases) -> AsyncIterator[Database]:  # type: ignore[misc]
    """Of the version before the newest, and the shell's."""
    async with database_of(NEWEST.version - 1, fresh_databases) as dsn, open_database(dsn) as opened:
        shell.settings["database_url"] = dsn
        yield opened


async def test_it_shows_then_does_then_has_nothing_to_do(shell: Shell, database: Database) -> None:
    version = "SELECT version FROM relay_schema"
    shown = (await shell.relay("migrate", "--dry-run", "--json")).json()
    (step,) = NEWEST.migrations[-1:]
    assert shown == {
        "found": NEWEST.version - 1,
        "wanted": NEWEST.version,
        "steps": [{"version": step.version, "what": step.what, "compatible_from": step.compatible_from}],
        "needs_a_stop": step.compatible_from > NEWEST.version - 1,
        "done": False,
    }
    told = await shell.relay("migrate", "--dry-run")
    assert step.what in told.out
    assert await database.fetchval(version) == NEWEST.version - 1
    done = await shell.relay("migrate")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Done.")
    assert await database.fetchval(version) == NEWEST.version
    assert (await shell.relay("migrate")).out.splitlines()[-1] == "Nothing to do."
    assert (await shell.relay("migrate", "--json")).json()["steps"] == []


async def test_a_newer_database_says_whether_this_relay_can_go_on(shell: Shell, database: Database) -> None:
    newer = NEWEST.version + 1
    await shell.relay("migrate")
    await database.execute("UPDATE relay_schema SET version = $1, compatible_from = $2", newer, NEWEST.version)
    assert "can work with it" in (await shell.relay("migrate")).out
    assert (await shell.relay("stats")).code == 0
    await database.execute("UPDATE relay_schema SET compatible_from = $1", newer)
    for command in ("migrate", "stats"):
        refused = await shell.relay(command)
        assert refused.code == 78
        assert f"run a relay whose schema is version {newer} or later" in refused.err
