"""`relay panic`: the queue and the keys go, now."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Final

import click

from nursery_tasks.wakeup_listener import SESSIONS
from relay.commands.shared import json_option, print_json, run, settings_or_stop, stop
from relay.errors import RelayError
from relay.queries import mailbox as mailbox_sql
from relay.queries import operations as sql
from relay.services import open_configured_database

_REMAINS: Final = (
    "pages of deleted rows in PostgreSQL's write-ahead log until it is recycled, and on the disk until they are overwritten",
    "copies that a solid-state disk, a journal, a snapshot or a swap file made, which no program can reach",
    "keys in the memory of a relay that is still running, until it is stopped",
    "backups, replicas and whatever members have on their phones",
)


@click.command()
@click.option("--accounts", "also_accounts", is_flag=True, help="Accounts go too: nobody is a member any more.")
@click.option("--confirm", "confirmed", metavar="NAME", help="The relay's name, instead of being asked for it.")
@json_option
def panic(also_accounts: bool, confirmed: str | None, as_json: bool) -> None:
    """Destroy the mail that waits and the relay's keys. Nothing brings them back.

    Stop the relay first, or right after. Members keep their conversations on their phones. Without its keys this relay cannot sign for
    them any more: they need a new invite from a new relay. The keys go first, and go also when the database does not answer. Exit
    code 0 only if everything went.
    """
    settings = settings_or_stop()
    if confirmed is None:
        click.echo("All mail that waits here and all keys of this relay will be destroyed.", err=True)
        confirmed = click.prompt(f"Type the relay's name ({settings.name}) to go on", err=True)
    if confirmed != settings.name:
        stop(2, "that is not the relay's name; nothing was done")
    keys, resisted = _destroy_files(settings.secrets_directory)

    async def empty() -> None:
        async with open_configured_database(settings) as database:
            await database.execute(sql.PANIC_QUEUE, timeout_s=60)
            if also_accounts:
                ids = [row[0] for row in await database.fetch(sql.ACCOUNT_IDS, timeout_s=60)]
                await database.execute(sql.PANIC_ACCOUNTS, timeout_s=60)
                for start in range(0, len(ids), 200):
                    some = ",".join(map(str, ids[start : start + 200]))
                    await database.execute(mailbox_sql.NOTIFY, SESSIONS, some)
            with contextlib.suppress(RelayError):
                await database.execute(sql.CHECKPOINT, timeout_s=60)

    click.echo(f"{len(keys)} key files are destroyed; now the database.", err=True)
    run(empty)
    gone: dict[str, Any] = {
        "files": keys,
        "tables": ["waiting mail", "signals", "one-time keys", "invites", "push subscriptions"]
        + (["accounts"] if also_accounts else []),
    }
    if as_json:
        print_json({"gone": gone, "resisted": resisted, "may_remain": _REMAINS})
        _complain_of(resisted)
        return
    click.echo(f"Gone: {', '.join(gone['files'])}; {', '.join(gone['tables'])}.\nWhat may remain:")
    for one in _REMAINS:
        click.echo(f"  - {one}")
    _complain_of(resisted)


def _destroy_files(directory: Path) -> tuple[list[str], list[str]]:
    """Overwrites and removes every file. The names of those that are gone, and why others are not."""
    gone: list[str] = []
    resisted: list[str] = []
    for path in sorted(directory.glob("*")) if directory.exists() else []:
        try:
            if path.is_file() and not path.is_symlink():
                with path.open("r+b") as file:
                    file.write(os.urandom(path.stat().st_size))
                    file.flush()
                    os.fsync(file.fileno())
            path.unlink()
            gone.append(path.name)
        except OSError as error:
            resisted.append(f"{path}: {error.strerror}")
    return gone, resisted


def _complain_of(resisted: list[str]) -> None:
    if resisted:
        stop(os.EX_NOPERM, "still there: " + "; ".join(resisted))
