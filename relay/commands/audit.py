"""`relay audit`: what the database holds, why, and for how long; and whether there is anything else in it."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import click

from relay.audit import Report
from relay.audit import audit as read_audit
from relay.commands.shared import json_option, print_json, run, settings_or_stop
from relay.services import open_configured_database


@click.command()
@json_option
def audit(as_json: bool) -> None:
    """Print every table and column of the live database, what it holds, why, and for how long.

    Exits with 1 when there is a table, column, index or anything else that the relay does not know. No row of any table is read.
    """
    settings = settings_or_stop()

    async def look() -> Report:
        async with open_configured_database(settings) as database:
            return await read_audit(database)

    report = run(look)
    if as_json:
        print_json(_as_json(report))
    else:
        _print_text(report)
    if report.findings:
        raise SystemExit(1)


def _as_json(report: Report) -> dict[str, Any]:
    return {
        "ok": not report.findings,
        "findings": report.findings,
        "tables": [
            {
                "table": table.name,
                "holds": table.holds,
                "kept": table.kept,
                "partitions": table.partitions,
                "columns": [column._asdict() for column in table.columns],
            }
            for table in report.tables
        ],
        "others": [{"kind": kind, "name": name} for kind, name in report.others],
    }


def _print_text(report: Report) -> None:
    for table in report.tables:
        click.secho(table.name, bold=True, nl=False)
        click.echo(f"  (kept {table.kept})")
        click.echo(fill(table.holds, 118, initial_indent="  ", subsequent_indent="  "))
        if table.partitions:
            click.echo(f"  by week: {', '.join(table.partitions)}")
        width = max(len(column.name) for column in table.columns)
        for column in table.columns:
            indent = " " * (width + 6)
            text = f"{column.holds}. Why: {column.why}."
            click.echo(fill(text, 118, initial_indent=f"    {column.name:{width}}  ", subsequent_indent=indent))
        click.echo()
    if report.findings:
        click.secho(f"{len(report.findings)} things are not as they should be:", bold=True)
        for finding in report.findings:
            click.echo(f"  {finding}")
    else:
        columns = sum(len(table.columns) for table in report.tables)
        click.echo(f"{len(report.tables)} tables, {columns} columns. There is nothing else in this database.")
