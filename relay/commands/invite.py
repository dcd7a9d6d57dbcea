"""`relay invite`: links by which people register."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

import click
import segno
import trio

from relay.app_salt import load_app_salt, phone_token_of
from relay.commands.shared import Duration, PhoneNumber, json_option, print_json, run, settings_or_stop, stop
from relay.config import Settings, is_onion_service
from relay.invites import Invite, Invites
from relay.oprf import NumberOprf
from relay.secret_files import load_keys
from relay.services import open_configured_database


@click.command()
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 1000), help="How many invites.")
@click.option("--uses", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Registrations for each.")
@click.option("--expires", type=Duration(), help="How long they are valid (7d, 12h).  [default: invite_ttl_s, 7d]")
@click.option(
    "--png",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the QR code to this file too; several get -1, -2, ... before the suffix.",
)
@click.option("--number", type=PhoneNumber(), help="Only this number may register with it (+4915112345678).")
@json_option
@click.option("--qr/--no-qr", default=None, help="Print QR codes too.  [default: on a terminal]")
def invite(
    count: int,
    uses: int,
    expires: int | None,
    png: Path | None,
    number: str | None,
    as_json: bool,
    qr: bool | None,
) -> None:
    """Make invites: links by which people register.

    A link is shown once. The relay keeps only a hash of its code, so it can be given out, but not looked up again.
    """
    settings = settings_or_stop()

    async def mint() -> tuple[list[Invite], list[str]]:
        keys = await trio.to_thread.run_sync(load_keys, settings.secrets_directory)
        app_salt = await trio.to_thread.run_sync(load_app_salt, settings.secrets_directory)
        phone_token = None if number is None else phone_token_of(number, keys, settings.secrets_directory)
        voprf_public_key = NumberOprf(keys.oprf_seed).public_key
        async with open_configured_database(settings) as database:
            invites = Invites(database, wall_clock=time.time)
            minted = await invites.mint(
                count=count, uses=uses, ttl_s=expires or settings.invite_ttl_s, phone_token=phone_token
            )
        return minted, [one.link(settings.public_url, keys.trust_root, voprf_public_key, app_salt) for one in minted]

    if number is not None and (count, uses) != (1, 1):
        raise click.UsageError("an invite for one number has one use; leave --count and --uses out")
    minted, links = run(mint)
    _warn_if_nobody_can_follow(settings)
    pictures = [] if png is None else _write_pictures(png, links)
    if as_json:
        print_json(
            [
                {"link": link, "uses": one.uses, "expires_at": one.expires_at} | ({"png": str(png)} if png else {})
                for one, link, png in zip_longest(minted, links, pictures)
            ]
        )
    else:
        wants_qr = sys.stdout.isatty() if qr is None else qr
        _print_text(minted, links, wants_qr)


def _print_text(invites: list[Invite], links: list[str], wants_qr: bool) -> None:
    for one, link in zip(invites, links, strict=True):
        until = datetime.fromtimestamp(one.expires_at, UTC)
        people = "one person" if one.uses == 1 else f"{one.uses} people"
        click.echo(f"For {people}, until {until:%Y-%m-%d %H:%M} UTC. Whoever has the link can use it.")
        click.echo(link)
        if wants_qr:
            segno.make(link, error="m", micro=False).terminal(out=sys.stdout, compact=True)
        click.echo()


def _write_pictures(png: Path, links: list[str]) -> list[Path]:
    """One picture a link, 0600: whoever sees it can use it."""
    paths = [png] if len(links) == 1 else [png.with_stem(f"{png.stem}-{n}") for n in range(1, len(links) + 1)]
    for path, link in zip(paths, links, strict=True):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError as error:
            stop(os.EX_CANTCREAT, f"{path}: {error.strerror}")
        with os.fdopen(descriptor, "wb") as file:
            segno.make(link, error="m", micro=False).save(file, kind="png", scale=8)
    return paths


def _warn_if_nobody_can_follow(settings: Settings) -> None:
    if settings.public_url.startswith("http:") and not is_onion_service(settings.public_url):
        click.echo(
            f"Note: public_url is {settings.public_url}, so the link works only on this machine. Set SOTTOVOCE_PUBLIC_URL to the "
            "https address at which apps reach the relay, and make the invite again.",
            err=True,
        )
