"""Versions of the schema as they were when the next one began. `python -m tests.postgres.frozen` freezes the present one.

Of version N, `schemas/NNNN.sql` is schema.sql, `NNNN-record.sql` what the relay kept about it in the database, and `NNNN-statements.json`
every statement that its relays sent. Nothing of it changes once it is there: databases and relays of that version are out in the world.
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import relay.queries
from relay.database import open_database
from relay.migrations import read_schema
from relay.schema import RECORD, Schema, fingerprint
from tests.postgres.server import FreshDatabases

PLACE = Path(__file__).parent / "schemas"
FILES = (".sql", "-record.sql", "-statements.json")
NEWEST = read_schema()


def frozen(version: int) -> Schema:
    """As a relay of that version had it."""
    return Schema((PLACE / f"{version:04}.sql").read_text(), version, NEWEST.migrations[: version - 1])


def frozen_statements(version: int) -> dict[str, str]:
    """What relays of that version sent, by module and name."""
    statements: dict[str, str] = json.loads((PLACE / f"{version:04}-statements.json").read_text())
    return statements


@asynccontextmanager
async def database_of(version: int, databases: FreshDatabases) -> AsyncIterator[str]:
    """The DSN of a database as a relay of that version left it, its record included."""
    schema = frozen(version)
    async with databases.make() as dsn:
        async with open_database(dsn) as database, database.transaction() as tx:
            await tx.execute(schema.text, timeout_s=60)
            await tx.execute((PLACE / f"{version:04}-record.sql").read_text())
            row = json.dumps(
                {
                    "version": version,
                    "fingerprint": fingerprint(schema.text),
                    "compatible_from": schema.compatible_from,
                }
            )
            await tx.execute(
                "INSERT INTO relay_schema SELECT r.* FROM json_populate_record(NULL::relay_schema, $1::json) r", row
            )
        yield dsn


def statements_now() -> dict[str, str]:
    """Every statement of relay/queries."""
    return {
        f"{module.name}.{name}": value
        for module in pkgutil.iter_modules(relay.queries.__path__)
        for name, value in vars(import_module(f"relay.queries.{module.name}")).items()
        if name.isupper() and isinstance(value, str)
    }


def freeze() -> None:
    texts = (NEWEST.text, RECORD.lstrip(), json.dumps(statements_now(), indent=1, sort_keys=True) + "\n")
    for what, text in zip(FILES, texts, strict=True):
        with (PLACE / f"{NEWEST.version:04}{what}").open("x") as file:
            file.write(text)


if __name__ == "__main__":
    freeze()
