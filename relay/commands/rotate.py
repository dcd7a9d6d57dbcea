"""`relay rotate`: replace a secret, and say what that costs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import click

from relay.commands.shared import json_option, print_json, settings_or_stop, stop
from relay.config import Settings
from relay.secret_files import (
    SecretFileError,
    read_secret,
    replace_metrics_token,
    replace_turn_secret,
    rotate_server_key,
)

_COSTS: Final = {
    "server-certificate": (
        "Nobody loses anything: apps trust what hangs from the trust root, and certificates that are out stay good until they expire (a "
        "day at most). Restart the relay, on every machine after copying server.key and server_certificate.bin there. If the old key "
        "was stolen, the thief can go on signing with it, since apps do not learn that a server key is withdrawn: only a new trust "
        "root, and so a new relay, ends that."
    ),
    "turn-secret": (
        "Calls that run go on, but cannot move to another network or renew their relay; credentials that apps hold, up to twelve hours, "
        "are void until they fetch new ones. Put the new secret into coturn's configuration (relay turn-config) and restart coturn and "
        "the relay together."
    ),
    "metrics-token": "Whatever scrapes /metrics gets 401 until it has the new token. Restart the relay.",
}


@click.command()
@click.argument("what", type=click.Choice(sorted(_COSTS)))
@click.option(
    "--trust-root",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="The file with the trust root's private half (server-certificate).",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def rotate(what: str, trust_root: Path | None, yes: bool, as_json: bool) -> None:
    """Replace a secret, after saying what it costs.

    server-certificate needs the trust root's private half; bring it for as long as the command runs.
    """
    settings = settings_or_stop()
    if not yes:
        click.echo(_COSTS[what], err=True)
        click.confirm("Go on?", abort=True, err=True)
    try:
        changed = _replace(what, settings, trust_root)
    except SecretFileError as error:
        stop(os.EX_NOPERM, str(error))
    if as_json:
        print_json({"rotated": what, "files": changed, "costs": _COSTS[what]})
    else:
        click.echo(f"Replaced {', '.join(changed)} in {settings.secrets_directory}. {_COSTS[what]}")


def _replace(what: str, settings: Settings, trust_root: Path | None) -> list[str]:
    directory = settings.secrets_directory
    if what == "metrics-token":
        return [replace_metrics_token(directory)]
    if what == "turn-secret":
        return [replace_turn_secret(directory)]
    file = trust_root or directory / "trust_root.key"
    key = read_secret(file, size=32)
    if key is None:
        raise SecretFileError(f"{file} is not there; name the file with the trust root's private half by --trust-root")
    return rotate_server_key(directory, key)
