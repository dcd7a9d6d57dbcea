"""`relay restore`: what `relay backup` wrote, looked at or brought back."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from relay.backup import BackupError, Data, Keys, Opening, open_sealed, restore_data, restore_keys
from relay.commands.shared import json_option, print_json, read_passphrase, run, settings_or_stop, stop
from relay.config import Settings
from relay.secret_files import SecretFileError, load_keys
from relay.services import open_configured_database


@click.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(dir_okay=False, exists=True, path_type=Path), metavar="FILE..."
)
@click.option(
    "--identity",
    "identity_file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="A file with age identities (AGE-SECRET-KEY-1...).",
)
@click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="The first line of this file.  [default: asks]",
)
@click.option("--verify", is_flag=True, help="Open the files, say what is in them, and change nothing.")
@json_option
def restore(
    files: tuple[Path, ...], identity_file: Path | None, passphrase_file: Path | None, verify: bool, as_json: bool
) -> None:
    """Bring a backup back, or look whether it could be.

    Data goes into a database without accounts, keys go where there are none: nothing is overwritten. Apps that come back find their
    one-time keys gone and upload new ones; nobody registers again. Mail that waited is lost, and whoever joined since the backup was made.
    """
    if identity_file is not None:
        lines = identity_file.read_text().split("\n")
        opening = Opening([line.strip() for line in lines if line.startswith("AGE-SECRET-KEY-")])
    else:
        opening = Opening(passphrase=read_passphrase(passphrase_file))
    try:
        opened = [(path, open_sealed(path.read_bytes(), opening)) for path in files]
        if not verify:
            settings = settings_or_stop()
            # Keys first: a relay that starts in between makes none of its own then.
            for _, content in sorted(opened, key=lambda one: isinstance(one[1], Data)):
                _bring_back(settings, content)
    except BackupError as error:
        stop(os.EX_DATAERR, str(error))
    except SecretFileError as error:
        stop(os.EX_NOPERM, str(error))
    except OSError as error:
        stop(os.EX_NOINPUT, f"{error.filename}: {error.strerror}")
    told = [_told(path, content) for path, content in opened]
    if as_json:
        print_json({"restored": not verify, "files": told})
        return
    for one in told:
        what = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in one["rows"].items()) or ", ".join(
            one["keys"]
        )
        when = datetime.fromtimestamp(one["made_at"], UTC)
        click.echo(
            f"{'Good' if verify else 'Restored'}: {one['file']}, of {one['name']}, {when:%Y-%m-%d %H:%M} UTC: {what}"
        )


def _bring_back(settings: Settings, content: Data | Keys) -> None:
    if isinstance(content, Keys):
        restore_keys(settings.secrets_directory, content)
        load_keys(settings.secrets_directory)  # do they belong together?
        return

    async def put() -> None:
        async with open_configured_database(settings) as database:
            await restore_data(database, content)

    run(put)


def _told(path: Path, content: Data | Keys) -> dict[str, Any]:
    return {
        "file": str(path),
        "name": content.name,
        "made_at": content.made_at,
        "rows": content.counts if isinstance(content, Data) else {},
        "keys": sorted(content.files) if isinstance(content, Keys) else [],
    }
