"""`relay accounts`: how many there are, and deleting one."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click

from nursery_tasks.wakeup_listener import SESSIONS
from relay.accounts import Accounts
from relay.commands.shared import json_option, print_json, print_table, run, settings_or_stop, stop
from relay.errors import Unauthorized
from relay.queries import mailbox as mailbox_sql
from relay.queries import operations as sql
from relay.services import open_configured_database


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def accounts(context: click.Context, as_json: bool) -> None:
    """Count accounts, or delete one.

    There is no list: an account is a random id, and the relay does not know whose it is.
    """
    if context.invoked_subcommand is not None:
        return
    settings = settings_or_stop()

    async def count() -> dict[str, Any]:
        async with open_configured_database(settings) as database:
            row = await database.fetchrow(sql.COUNT_ACCOUNTS, datetime.now(UTC).date())
        return dict(row.items()) if row is not None else {}

    counts = run(count)
    if as_json:
        print_json(counts)
    else:
        print_table([(name.replace("_", " "), value) for name, value in counts.items()])


@accounts.command()
@click.argument("account_id", type=click.UUID)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def delete(account_id: UUID, yes: bool, as_json: bool) -> None:
    """Delete an account, its keys and what waits for it; its live session ends. Nothing brings it back."""
    settings = settings_or_stop()
    if not yes:
        click.confirm(f"Delete account {account_id}?", abort=True, err=True)

    async def remove() -> bool:
        async with open_configured_database(settings) as database:
            try:
                await Accounts(database, wall_clock=time.time).delete(account_id)
            except Unauthorized:
                return False
            await database.execute(mailbox_sql.NOTIFY, SESSIONS, str(account_id))  # its session, wherever it is
            return True

    if not run(remove):
        stop(os.EX_NOINPUT, "there is no such account")
    if as_json:
        print_json({"deleted": str(account_id)})
    else:
        click.echo(f"Deleted {account_id}.")
