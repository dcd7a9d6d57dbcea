"""`relay accounts`: how many there are, deleting one, and taking a number from one."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import click
import trio

from nursery_tasks.wakeup_listener import SESSIONS
from relay.accounts import Accounts
from relay.app_salt import phone_token_of
from relay.commands.shared import PhoneNumber, json_option, print_json, print_table, run, settings_or_stop, stop
from relay.errors import Unauthorized
from relay.queries import mailbox as mailbox_sql
from relay.queries import operations as sql
from relay.secret_files import load_keys
from relay.services import open_configured_database


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def accounts(context: click.Context, as_json: bool) -> None:
    """Count accounts, delete one, or take a number from one.

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


@accounts.command()
@click.argument("number", type=PhoneNumber(), required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def release(number: str | None, yes: bool, as_json: bool) -> None:
    """Take a number from whoever registered it, so that somebody else can register it.

    For a number that somebody squats: nobody proves that a number is theirs. The account stays, without a number. Without NUMBER it is asked
    for, so that it does not stay in the shell's history. The relay does not know numbers; this computes what it is registered under.
    """
    settings = settings_or_stop()
    wanted: str = number or click.prompt("Number", type=PhoneNumber(), err=True)
    if not yes:
        click.confirm("Take this number from whoever has it here?", abort=True, err=True)

    async def take_it() -> bool:
        directory = settings.secrets_directory
        keys = await trio.to_thread.run_sync(load_keys, directory)
        phone_token = await trio.to_thread.run_sync(phone_token_of, wanted, keys, directory)
        async with open_configured_database(settings) as database:
            return await Accounts(database, wall_clock=time.time).release_number(phone_token)

    if not run(take_it):
        stop(os.EX_NOINPUT, "nobody has registered this number here")
    if as_json:
        print_json({"released": True})
    else:
        click.echo("Nobody has this number any more. Invite its owner: relay invite --number ...")
