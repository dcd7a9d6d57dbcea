"""`relay`: the operator's commands. They work beside a running relay, and without one.

Exit codes (those with a name are of sysexits.h, so `systemctl status` shows them in words):

    0   done
    1   done, and what was found is not well (`audit`, `doctor`, `check`)
    2   the command line is wrong
    65  EX_DATAERR: a backup cannot be opened, or does not fit
    66  EX_NOINPUT: what the command is about is not there
    69  EX_UNAVAILABLE: the database does not answer, or the private PostgreSQL cannot be run
    73  EX_CANTCREAT: what the command would write is there already, or cannot be written
    75  EX_TEMPFAIL: relays have the database open that could not go on (`migrate`); stop them, then try again
    77  EX_NOPERM: a secret file cannot be used
    78  EX_CONFIG: a setting is wrong, or the database belongs to something else

Each command is a module of relay/commands/ that defines a click command of its own name. It is imported when it is called: `relay --help`
waits for no database driver, and a command's module may import what it needs at its top.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

COMMANDS: Final = {
    "accounts": "Count accounts, delete one, or take a number from one.",
    "audit": "Print every table and column of the live database, what it holds, why, and for how long.",
    "backup": "Write a backup of members and one of keys, both encrypted.",
    "check": "Send a message through the relay and back, with two accounts that are thrown away.",
    "doctor": "Look whether all is well with the relay, and say what to do where it is not.",
    "init": "Make a relay's configuration and keys in a directory.",
    "invite": "Make invites: links by which people register.",
    "migrate": "Bring the database up to this version's schema, or show what that takes.",
    "panic": "Destroy the mail that waits and the relay's keys. Nothing brings them back.",
    "restore": "Bring a backup back, or look whether it could be.",
    "rotate": "Replace a secret, after saying what it costs.",
    "stats": "Show accounts, waiting mail, invites and space, in numbers.",
    "top": "Watch the relay at work: sessions, posts, commits, lag. Ctrl-C ends it.",
    "turn-check": "Try the TURN server as two phones would, and say what is wrong.",
    "turn-config": "Print a hardened coturn configuration with this relay's secret in it.",
}
"""Name of the command, and of its module with - as _, and what `relay --help` says: the first line of its docstring."""


class _OnDemand(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click passes it
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        word = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"relay.commands.{word}"), word)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])


@click.group(cls=_OnDemand, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sottovoce-relay", prog_name="relay")
def main() -> None:
    """Operate a relay.

    Settings come from SOTTOVOCE_* variables and sottovoce.toml, as for the relay itself: run this where the relay runs, as the same user.
    """
