"""`relay`: the operator's commands. They work beside a running relay, and without one.

Exit codes (those with a name are of sysexits.h, so `systemctl status` shows them in words):

    0   done
    2   the command line is wrong
    69  EX_UNAVAILABLE: the database does not answer, or the private PostgreSQL cannot be run
    77  EX_NOPERM: a secret file cannot be used
    78  EX_CONFIG: a setting is wrong, or the database belongs to something else

Heavy imports are inside the functions: `relay --help` should not wait for a database driver.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from relay.config import Settings
    from relay.invites import Invite

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_EXPIRY_S: Final = 366 * 86400
_Result = TypeVar("_Result")


class _Duration(click.ParamType[int]):
    """A time span as people write it, 7d or 12h, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,9})([smhd])", str(value).strip())
        seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
        if not 0 < seconds <= _MAX_EXPIRY_S:
            self.fail("write it like 7d, 12h or 30m, a year at most", param, ctx)
        return seconds


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sottovoce-relay", prog_name="relay")
def main() -> None:
    """Operate a relay.

    Settings come from SOTTOVOCE_* variables and sottovoce.toml, as for the relay itself: run this where the relay runs, as the same user.
    """


@main.command()
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 1000), help="How many invites.")
@click.option("--uses", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Registrations for each.")
@click.option("--expires", type=_Duration(), help="How long they are valid (7d, 12h).  [default: invite_ttl_s, 7d]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead.")
@click.option("--qr/--no-qr", default=None, help="Print QR codes too.  [default: on a terminal]")
def invite(count: int, uses: int, expires: int | None, as_json: bool, qr: bool | None) -> None:
    """Make invites: links by which people register.

    A link is shown once. The relay keeps only a hash of its code, so it can be given out, but not looked up again.
    """
    from relay.config import ConfigError, load_settings

    try:
        settings = load_settings()
    except ConfigError as error:
        _stop(os.EX_CONFIG, str(error))

    async def mint() -> tuple[list[Invite], bytes]:
        import time

        import trio

        from relay.invites import Invites
        from relay.secret_files import load_keys
        from relay.services import open_configured_database

        keys = await trio.to_thread.run_sync(load_keys, settings.secrets_directory)
        async with open_configured_database(settings) as database:
            invites = Invites(database, wall_clock=time.time)
            minted = await invites.mint(count=count, uses=uses, ttl_s=expires or settings.invite_ttl_s)
        return minted, keys.trust_root

    minted, trust_root = _run(mint)
    _warn_if_nobody_can_follow(settings)
    links = [one.link(settings.public_url, trust_root) for one in minted]
    if as_json:
        _print_json(minted, links)
    else:
        wants_qr = sys.stdout.isatty() if qr is None else qr
        _print_text(minted, links, wants_qr)


def _print_json(invites: list[Invite], links: list[str]) -> None:
    import json

    listed = [
        {"link": link, "uses": one.uses, "expires_at": one.expires_at} for one, link in zip(invites, links, strict=True)
    ]
    click.echo(json.dumps(listed, indent=2))


def _print_text(invites: list[Invite], links: list[str], wants_qr: bool) -> None:
    from datetime import UTC, datetime

    for one, link in zip(invites, links, strict=True):
        until = datetime.fromtimestamp(one.expires_at, UTC)
        people = "one person" if one.uses == 1 else f"{one.uses} people"
        click.echo(f"For {people}, until {until:%Y-%m-%d %H:%M} UTC. Whoever has the link can use it.")
        click.echo(link)
        if wants_qr:
            import segno

            segno.make(link, error="m", micro=False).terminal(out=sys.stdout, compact=True)
        click.echo()


def _warn_if_nobody_can_follow(settings: Settings) -> None:
    if settings.public_url.startswith("http:"):
        click.echo(
            f"Note: public_url is {settings.public_url}, so the link works only on this machine. Set SOTTOVOCE_PUBLIC_URL to the "
            "https address at which apps reach the relay, and make the invite again.",
            err=True,
        )


def _run(command: Callable[[], Awaitable[_Result]]) -> _Result:
    """Runs it, and turns what the operator can do something about into a sentence and an exit code."""
    import trio

    from relay.embedded_postgres import EmbeddedPostgresError
    from relay.errors import DatabaseUnavailable, SchemaMismatch
    from relay.secret_files import SecretFileError

    try:
        return trio.run(command)
    except Exception as error:
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
            cause = cause.exceptions[0]  # nurseries wrap what goes through them
        match cause:
            case SecretFileError():
                _stop(os.EX_NOPERM, str(cause))
            case SchemaMismatch():
                _stop(os.EX_CONFIG, str(cause))
            case EmbeddedPostgresError():
                _stop(os.EX_UNAVAILABLE, str(cause))
            case DatabaseUnavailable():
                _stop(
                    os.EX_UNAVAILABLE,
                    "the database does not answer; check database_url (SOTTOVOCE_DATABASE_URL) and that PostgreSQL runs, then try again",
                )
            case _:
                raise


def _stop(code: int, message: str) -> NoReturn:
    click.echo(f"relay: {message}", err=True)
    raise SystemExit(code)
