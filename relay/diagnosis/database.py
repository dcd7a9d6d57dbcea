"""The database: whether it answers, is ours, keeps what it promised, and tells nobody what it stores."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Final

from relay.config import Settings
from relay.database import Database
from relay.diagnosis.finding import Finding, bad, good, warning
from relay.embedded_postgres import EmbeddedPostgresError
from relay.errors import DatabaseUnavailable, SchemaMismatch
from relay.migrations import read_schema
from relay.queries import operations as sql
from relay.schema import look_at_schema
from relay.services import open_configured_database

OLDEST_VERSION: Final = 150000
CONNECTIONS_A_PROCESS: Final = 8
"""Held connections and the listener of a relay process, besides its pool."""
CLOCK_MAY_DIFFER_S: Final = 5.0

_DURABLE: Final[dict[str, str | tuple[str, ...]]] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": ("on", "remote_apply", "remote_write"),
}
# What makes PostgreSQL write statements, or values out of them, to its log.
_SILENT: Final[dict[str, str | tuple[str, ...]]] = {
    "log_statement": ("none", "ddl"),
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_min_error_statement": ("panic", "fatal"),
    "log_error_verbosity": "terse",
}
_NAMES: Final = (*_DURABLE, *_SILENT, "max_connections")


async def look_at_database(settings: Settings) -> AsyncIterator[Finding]:
    """Opens it as the relay does, and so makes the schema in an empty one, and takes the steps from an older one that relays survive."""
    try:
        async with open_configured_database(settings) as database:
            yield good("database-answers", "the database answers")
            yield await _schema(database)
            async for finding in _look_inside(database, settings):
                yield finding
    except EmbeddedPostgresError as error:
        yield bad("database-answers", str(error), "see the relay's log; docs/operations.md, PostgreSQL is down")
    except DatabaseUnavailable:
        yield bad(
            "database-answers",
            "the database does not answer",
            "does PostgreSQL run, and is database_url right? docs/operations.md, PostgreSQL is down",
        )
    except SchemaMismatch as error:
        yield bad("database-schema", str(error), f"{error.next_step}; docs/operations.md, Upgrades")


async def _schema(database: Database) -> Finding:
    mine = read_schema()
    found = (await look_at_schema(database, mine)).version
    if found is not None and found > mine.version:
        return warning(
            "database-schema",
            f"the schema has version {found}, this relay {mine.version}; it can go on for as long as an upgrade takes",
            "upgrade this relay too; docs/operations.md, Upgrades",
        )
    return good("database-schema", f"the schema is this relay's, version {mine.version}")


async def _look_inside(database: Database, settings: Settings) -> AsyncIterator[Finding]:
    version = await database.fetchval(sql.DATABASE_VERSION)
    if version < OLDEST_VERSION:
        yield bad("database-version", f"PostgreSQL {version // 10000} is too old", "15 or later is needed")
    else:
        yield good("database-version", f"PostgreSQL {version // 10000}")
    found = {row["name"]: row["setting"] for row in await database.fetch(sql.DATABASE_SETTINGS, list(_NAMES))}
    unsafe = _departures(found, _DURABLE)
    if unsafe:
        yield bad(
            "database-durable",
            f"a power cut may lose mail that was acknowledged: {', '.join(unsafe)}",
            "set them to on in postgresql.conf, or for this database and role with ALTER ... RESET",
        )
    else:
        yield good("database-durable", "what is acknowledged is on disk")
    talkative = _departures(found, _SILENT)
    own = settings.database_url is not None
    if talkative and own:
        yield warning(
            "database-silent",
            f"PostgreSQL's log may hold statements with values in them: {', '.join(talkative)}",
            "as a superuser: ALTER SYSTEM SET log_statement = 'none', log_min_duration_statement = -1, log_min_error_statement = 'panic', "
            "log_error_verbosity = 'terse'; then SELECT pg_reload_conf()",
        )
    else:
        yield good("database-silent", "PostgreSQL's log holds no statements")
    most, needed = int(found["max_connections"]), settings.pool_connections + CONNECTIONS_A_PROCESS
    if most < 2 * needed:
        yield bad(
            "database-connections",
            f"PostgreSQL takes {most} connections; a relay process uses up to {needed}, and commands need some too",
            "a larger max_connections in postgresql.conf, or a smaller pool_connections",
        )
    else:
        yield good("database-connections", f"{most // needed} relay processes have room in max_connections")
    before = time.time()
    theirs = await database.fetchval(sql.DATABASE_NOW)
    difference = max(before - theirs, theirs - time.time(), 0.0)
    if difference > CLOCK_MAY_DIFFER_S:
        yield bad(
            "clock-database",
            f"the clocks of this machine and of PostgreSQL differ by {difference:.0f} s",
            "synchronise both: timedatectl set-ntp true",
        )
    else:
        yield good("clock-database", "PostgreSQL's clock agrees")


def _departures(found: dict[str, str], wanted: dict[str, str | tuple[str, ...]]) -> list[str]:
    """Settings that are not as wanted, as name = value. One that this PostgreSQL does not have is fine."""
    return [
        f"{name} = {found[name]}"
        for name, values in wanted.items()
        if name in found and found[name] not in ((values,) if isinstance(values, str) else values)
    ]
