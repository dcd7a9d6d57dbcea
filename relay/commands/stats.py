"""`relay stats`: numbers of the whole relay, and none of anybody in it."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from typing import Any

import click

from relay.commands.shared import bytes_in_words, json_option, print_json, print_table, run, settings_or_stop
from relay.queries import operations as sql
from relay.services import open_configured_database


@click.command()
@json_option
def stats(as_json: bool) -> None:
    """Show accounts, waiting mail, invites and space, in numbers."""
    settings = settings_or_stop()

    async def collect() -> dict[str, Any]:
        async with open_configured_database(settings) as database:
            found: dict[str, Any] = {}
            for query, arguments in (
                (sql.COUNT_ACCOUNTS, (datetime.now(UTC).date(),)),
                (sql.COUNT_MAIL, ()),
                (sql.COUNT_INVITES, (time.time(),)),
            ):
                row = await database.fetchrow(query, *arguments, timeout_s=60)
                found |= dict(row.items()) if row is not None else {}
            found["database_bytes"] = await database.fetchval(sql.DATABASE_BYTES)
        var = settings.var_directory.absolute()
        there = next(
            place for place in (var, *var.parents) if place.exists()
        )  # nothing has made it yet beside a database elsewhere
        found["disk_free_bytes"] = shutil.disk_usage(there).free
        return found

    found = run(collect)
    if as_json:
        print_json(found)
        return
    oldest = found["oldest_at"]
    found["oldest_at"] = None if oldest is None else f"{datetime.fromtimestamp(oldest, UTC):%Y-%m-%d}"
    print_table(
        (name.removesuffix("_bytes").replace("_", " "), bytes_in_words(value) if name.endswith("bytes") else value)
        for name, value in found.items()
    )
