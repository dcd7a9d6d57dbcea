"""`relay init`: a configuration, keys, and a trust root that can leave the machine."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import click

from relay.commands.shared import json_option, print_json, stop
from relay.config import ConfigError, load_settings
from relay.secret_files import SecretFileError, load_keys, make_keys

_FILE = """\
# A relay of Sottovoce. Every setting and its default: docs/operations.md, section Settings. After a change, restart the relay.

name = {name}
# Where apps reach this relay. It stands in every invite, so it cannot change later.
public_url = {public_url}
# Keys, and the private PostgreSQL if there is no database_url.
var_directory = {var_directory}
{database_url}
"""
_OWN_DATABASE = (
    '# database_url = "postgresql://sottovoce@db.example.org/sottovoce"    # else a private PostgreSQL in var_directory'
)


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--public-url", required=True, help="Where apps reach the relay, https://... It cannot change later.")
@click.option("--name", default="sottovoce", show_default=True, help="What the relay calls itself.")
@click.option("--database-url", help="A PostgreSQL of your own.  [default: a private one]")
@click.option(
    "--trust-root-to",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the trust root's private half goes, best on a stick.  [default: DIRECTORY/offline/trust_root.key]",
)
@json_option
def init(
    directory: Path, public_url: str, name: str, database_url: str | None, trust_root_to: Path | None, as_json: bool
) -> None:
    """Make a relay's configuration and keys in a directory.

    The trust root's private half is needed to replace the server's key, and for nothing else. It is written to a file of its own: move
    that file away from this machine, and keep it.
    """
    directory = directory.absolute()
    _check_address(public_url)
    settings_file = directory / "sottovoce.toml"
    var = directory / "var"
    trust_root_file = (trust_root_to or directory / "offline" / "trust_root.key").absolute()
    if settings_file.exists():
        stop(os.EX_CANTCREAT, f"{settings_file} is there already; a relay is made once")
    try:
        # Read first, so that nothing is made under settings that the relay would refuse.
        wanted = {"name": name, "public_url": public_url, "var_directory": str(var)}
        settings = load_settings({}, **wanted, **({"database_url": database_url} if database_url else {}))
        directory.mkdir(parents=True, exist_ok=True)
        if trust_root_to is None:
            trust_root_file.parent.mkdir(mode=0o700, exist_ok=True)
        make_keys(settings.secrets_directory, trust_root_file)
        load_keys(settings.secrets_directory)
        _write(settings_file, _text(name, public_url, var, database_url))
    except ConfigError as error:
        stop(os.EX_CONFIG, str(error))
    except (SecretFileError, FileExistsError) as error:
        stop(os.EX_CANTCREAT, str(error))
    except OSError as error:
        stop(os.EX_CANTCREAT, f"{error.filename or directory}: {error.strerror}")
    made = {
        "settings": str(settings_file),
        "secrets": str(settings.secrets_directory),
        "trust_root": str(trust_root_file),
    }
    if as_json:
        print_json(made)
        return
    click.echo(f"""\
Settings          {settings_file}
Keys              {settings.secrets_directory}
Trust root        {trust_root_file}
                  Move this file off the machine and keep it: without it the server's key cannot be replaced, and whoever has it can
                  pretend to be anybody to your members.

Next, in {directory}:
  hypercorn -k trio -b 127.0.0.1:8000 relay.app:app     start the relay
  relay invite                                          invite somebody
  relay doctor                                          look whether all is well""")


def _check_address(public_url: str) -> None:
    parts = urlsplit(public_url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise click.BadParameter("write it like https://relay.example.org", param_hint="--public-url")


def _text(name: str, public_url: str, var: Path, database_url: str | None) -> str:
    return _FILE.format(
        name=_quoted(name),
        public_url=_quoted(public_url),
        var_directory=_quoted(str(var)),
        database_url=f"database_url = {_quoted(database_url)}" if database_url else _OWN_DATABASE,
    )


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(one if one.isprintable() else f"\\U{ord(one):08x}" for one in escaped) + '"'


def _write(path: Path, text: str) -> None:
    """0600, since database_url may carry a password; never over something."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
