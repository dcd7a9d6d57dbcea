"""`relay turn-config`: coturn's configuration, ready to be installed."""

from __future__ import annotations

import sys
from ipaddress import IPv4Address
from typing import Any

import click

from relay.commands.shared import json_option, print_json, run, settings_or_stop
from relay.secret_files import load_turn_secret
from relay.turn_config import filled, template


class _IPv4(click.ParamType[IPv4Address]):
    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> IPv4Address:
        try:
            return IPv4Address(value)
        except ValueError:
            self.fail(
                "an IPv4 address like 203.0.113.7; calls are relayed over IPv4 only (coturn.conf says why)", param, ctx
            )


@click.command()
@click.option("--address", required=True, type=_IPv4(), help="The public IPv4 address at which phones reach coturn.")
@click.option(
    "--behind", type=_IPv4(), help="The machine's own address, when the public one is translated to it (NAT)."
)
@json_option
def turn_config(address: IPv4Address, behind: IPv4Address | None, as_json: bool) -> None:
    """Print a hardened coturn configuration with this relay's secret in it.

    It holds a secret: keep the file readable by root and coturn alone (coturn.conf shows the command).
    """
    settings = settings_or_stop()

    async def secret() -> str:
        return load_turn_secret(settings.secrets_directory)

    text = filled(template(), secret=run(secret), public=address, private=behind)
    urls = f"turn:{address}:3478?transport=udp,turn:{address}:3478?transport=tcp"
    if as_json:
        print_json({"configuration": text, "turn_urls": urls})
        return
    click.echo(text, nl=False)
    if not sys.stdout.isatty():
        click.echo(
            f"Then tell the relay: SOTTOVOCE_TURN_URLS='{urls}' (a name instead of the address is better), and restart it.",
            err=True,
        )
