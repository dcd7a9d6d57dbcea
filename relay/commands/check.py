"""`relay check`: one message from end to end."""

from __future__ import annotations

import time

import click

from relay.commands.shared import json_option, print_json, run, settings_or_stop
from relay.end_to_end import Step, send_and_receive
from relay.invites import Invites
from relay.probe import ProbeError
from relay.services import open_configured_database

_INVITES_GOOD_FOR_S = 300


@click.command()
@click.option("--url", help="Another address of this relay.  [default: public_url]")
@json_option
def check(url: str | None, as_json: bool) -> None:
    """Send a message through the relay and back, with two accounts that are thrown away.

    The body is random bytes of a sealed message's size: there is no Signal engine here, and the relay cannot tell. Exit code 1 when
    something does not work.
    """
    settings = settings_or_stop()
    address = url or settings.public_url

    async def codes() -> tuple[str, str]:
        async with open_configured_database(settings) as database:
            one, other = await Invites(database, wall_clock=time.time).mint(count=2, ttl_s=_INVITES_GOOD_FOR_S)
        return one.code, other.code

    minted = run(codes)

    steps: list[Step] = []

    def tell(step: Step) -> None:
        steps.append(step)
        if not as_json:
            click.echo(f"ok   {step.name:<26} {step.seconds * 1000:7.0f} ms")

    failure = ""
    try:
        send_and_receive(address, minted, tell)
    except ProbeError as error:
        failure = str(error)
    if as_json:
        print_json(
            {"ok": not failure, "failure": failure, "body": "random", "steps": [step._asdict() for step in steps]}
        )
    else:
        click.echo(f"BAD  {failure}" if failure else "A message went through and came back.")
    if failure:
        raise SystemExit(1)
