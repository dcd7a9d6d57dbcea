"""`relay turn-check`: whether calls would work."""

from __future__ import annotations

import os
import time

import click
import trio

from relay.commands.shared import json_option, print_json, run, settings_or_stop, stop
from relay.secret_files import load_turn_secret
from relay.turn_check import Finding, check


@click.command()
@json_option
def turn_check(as_json: bool) -> None:
    """Try the TURN server as two phones would, and say what is wrong.

    It allocates, permits and relays through every address in turn_urls, and sees that the server refuses what it must refuse.
    """
    settings = settings_or_stop()
    if not settings.turn_servers:
        stop(
            os.EX_CONFIG,
            "turn_urls is not set, so this relay offers no calls; `relay turn-config` shows how to run coturn",
        )

    async def look() -> list[Finding]:
        secret = await trio.to_thread.run_sync(load_turn_secret, settings.secrets_directory)
        return await check(settings.turn_servers, secret, time.time)

    findings = run(look)
    well = all(finding.state == "ok" for finding in findings)
    if as_json:
        print_json({"ok": well, "findings": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.state:<4} {finding.url}  {finding.step}: {finding.words}")
        click.echo("Calls will work." if well else "Calls will not work as they should.")
    if not well:
        raise SystemExit(1)
