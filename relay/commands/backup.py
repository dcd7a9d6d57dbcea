"""`relay backup`: members and keys, in two encrypted files."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from relay import backup as backups
from relay.backup import BackupError, Data, Sealing, read_data, read_keys, seal
from relay.commands.shared import json_option, print_json, read_passphrase, run, settings_or_stop, stop
from relay.services import open_configured_database


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option(
    "--to", "recipients", multiple=True, metavar="age1...", help="Who can open it; may be given several times."
)
@click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="The first line of this file instead.  [default: asks]",
)
@click.option(
    "--make-identity",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Make a new age identity in this file, print whom to name by --to, and do nothing else.",
)
@json_option
def backup(
    directory: Path,
    recipients: tuple[str, ...],
    passphrase_file: Path | None,
    make_identity: Path | None,
    as_json: bool,
) -> None:
    """Write a backup of members and one of keys, both encrypted.

    Mail, one-time keys and invites are left out. Keep the two files in two places. The relay may run meanwhile. The trust root's
    private half is not in it: keep that one yourself.
    """
    if make_identity is not None:
        _new_identity(make_identity, as_json)
        return
    settings = settings_or_stop()
    sealing = Sealing(recipients) if recipients else Sealing(passphrase=read_passphrase(passphrase_file, confirm=True))
    now = int(time.time())

    async def read() -> Data:
        async with open_configured_database(settings) as database:
            return await read_data(database, name=settings.name, made_at=now)

    try:
        data = run(read)
        keys = read_keys(settings.secrets_directory, name=settings.name, made_at=now)
        stem = f"sottovoce-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}"
        written = [
            _write(directory / f"{stem}.{kind}.age", seal(one, sealing))
            for kind, one in (("data", data), ("keys", keys))
        ]
    except BackupError as error:
        stop(os.EX_DATAERR, str(error))
    if as_json:
        print_json({"data": str(written[0]), "keys": str(written[1]), "rows": data.counts, "files": sorted(keys.files)})
        return
    click.echo(f"{written[0]}  {data.counts['accounts']} accounts")
    click.echo(f"{written[1]}  {', '.join(sorted(keys.files))}")
    click.echo("Keep the two apart, and try one out now and then: relay restore --verify FILE")


def _new_identity(path: Path, as_json: bool) -> None:
    identity, recipient = backups.make_identity()
    _write(path, f"# public key: {recipient}\n{identity}\n".encode())
    if as_json:
        print_json({"identity": str(path), "recipient": recipient})
    else:
        click.echo(f"{path} opens what is encrypted to the following; keep it away from the relay.\n{recipient}")


def _write(path: Path, content: bytes) -> Path:
    """0600, whole or not at all, never over something."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise FileExistsError(17, "is there already", str(path))
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    except OSError as error:
        stop(os.EX_CANTCREAT, f"{path}: {error.strerror}")
    return path
