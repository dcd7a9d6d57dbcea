"""`relay migrate`: the database's schema, brought up to this version's by hand."""

from __future__ import annotations

import click

from relay.commands.shared import json_option, print_json, print_table, run, settings_or_stop
from relay.migrations import read_schema
from relay.schema import Standing, look_at_schema
from relay.schema import migrate as take_steps
from relay.services import open_configured_database


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@json_option
def migrate(dry_run: bool, as_json: bool) -> None:
    """Bring the database up to this version's schema, or show what that takes.

    A relay takes the steps that other relays can go on after by itself, when it starts. The others wait for this command: make a
    backup, stop every relay, migrate, start them again. It is all or nothing, and waits for nobody: while others have the database
    open, a step that would break them is refused (exit code 75).
    """
    settings, schema = settings_or_stop(), read_schema()

    async def look_or_step() -> Standing:
        async with open_configured_database(settings, as_it_is=True, name="sottovoce migrate") as database:
            return await (look_at_schema if dry_run else take_steps)(database, schema)

    found = run(look_or_step)
    steps = [
        {"version": step.version, "what": step.what, "compatible_from": step.compatible_from} for step in found.pending
    ]
    if as_json:
        print_json(
            {
                "found": found.version,
                "wanted": schema.version,
                "steps": steps,
                "needs_a_stop": found.needs_a_stop,
                "done": not dry_run,
            }
        )
        return
    print_table(
        [
            ("database", "empty" if found.version is None else f"version {found.version}"),
            ("this relay", f"version {schema.version}"),
            *((f"step {step['version']}", step["what"]) for step in steps),
        ]
    )
    click.echo(_in_words(found, schema.version, dry_run=dry_run))


def _in_words(found: Standing, wanted: int, *, dry_run: bool) -> str:
    if found.version is not None and found.version > wanted:
        return "The database is newer, and says that this relay can work with it. Nothing to do."
    if found.version is not None and not found.pending:
        return "Nothing to do."
    if not dry_run:
        return "Done."
    if found.needs_a_stop:
        return "Make a backup and stop every relay first; then: relay migrate"
    return "A relay does this by itself when it starts, beside others; relay migrate does it now."
