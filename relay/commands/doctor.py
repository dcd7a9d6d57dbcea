"""`relay doctor`: whether all is well, and what to do where it is not."""

from __future__ import annotations

from typing import Final

import click
import trio
from rich.console import Console
from rich.text import Text

from relay.commands.shared import json_option, print_json
from relay.config import ConfigError, Settings, load_settings
from relay.diagnosis.calls import look_at_calls
from relay.diagnosis.database import look_at_database
from relay.diagnosis.finding import Finding, bad
from relay.diagnosis.machine import look_at_machine
from relay.diagnosis.way_in import look_at_way_in
from relay.secret_files import SecretFileError

_MARKS: Final = {"good": ("ok", "green"), "warning": ("!", "yellow"), "bad": ("BAD", "bold red")}


@click.command()
@click.option(
    "--free", default=5, show_default=True, type=click.IntRange(0, 2**20), help="GiB that should be free on the disk."
)
@json_option
def doctor(free: int, as_json: bool) -> None:
    """Look whether all is well with the relay, and say what to do where it is not.

    Looks at keys, disk and limits of this machine, at the database, and at the relay as apps reach it at public_url. Exit code 1 when
    something is bad; a warning alone is 0.
    """
    try:
        settings = load_settings()
        findings = trio.run(_all, settings, free * 2**30)
    except ConfigError as error:
        findings = [bad("settings", str(error), "docs/operations.md, Settings")]
    if as_json:
        print_json({"ok": not _any_bad(findings), "findings": [finding._asdict() for finding in findings]})
    else:
        _print(findings)
    if _any_bad(findings):
        raise SystemExit(1)


async def _all(settings: Settings, free_bytes: int) -> list[Finding]:
    # Asked one after the other: a finding is easier to believe when nothing else was going on.
    findings = await trio.to_thread.run_sync(lambda: list(look_at_machine(settings, free_bytes=free_bytes)))
    findings += [finding async for finding in look_at_database(settings)]
    findings += await trio.to_thread.run_sync(lambda: list(look_at_way_in(settings)))
    try:
        findings += [finding async for finding in look_at_calls(settings)]
    except SecretFileError as error:
        findings.append(bad("calls", str(error), "relay rotate turn-secret makes a new one"))
    return findings


def _any_bad(findings: list[Finding]) -> bool:
    return any(finding.level == "bad" for finding in findings)


def _print(findings: list[Finding]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        mark, style = _MARKS[finding.level]
        console.print(Text(f"{mark:>3}  ", style=style) + Text(finding.says))
        if finding.do:
            console.print(Text(f"     -> {finding.do}", style="dim"))
    wrong = sum(finding.level == "bad" for finding in findings)
    console.print(f"\n{wrong} of {len(findings)} are bad." if wrong else "\nAll is well.")
