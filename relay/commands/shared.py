"""What the commands share: settings, the database, running on Trio, sentences and exit codes for errors, JSON output."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import click
import trio

from relay.config import ConfigError, Settings, load_settings
from relay.embedded_postgres import EmbeddedPostgresError
from relay.errors import DatabaseUnavailable, RelaysAreRunning, SchemaMismatch
from relay.numbers import is_e164
from relay.secret_files import SecretFileError

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MAX_DURATION_S: Final = 366 * 86400
MIN_PASSPHRASE: Final = 12
_Result = TypeVar("_Result")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead.")
"""Every command has it; what it prints then is for programs, and its names do not change within a version of the protocol."""


class Duration(click.ParamType[int]):
    """A time span as people write it, 7d or 12h, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d{1,9})([smhd])", str(value).strip())
        seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
        if not 0 < seconds <= _MAX_DURATION_S:
            self.fail("write it like 7d, 12h or 30m, a year at most", param, ctx)
        return seconds


class PhoneNumber(click.ParamType[str]):
    """A phone number with its country code, as E.164 has it; blanks, hyphens and brackets are for people and go."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        number = re.sub(r"[\s().-]", "", str(value))
        if not is_e164(number):
            self.fail("write it with its country code, like +4915112345678", param, ctx)
        return number


def settings_or_stop() -> Settings:
    """The relay's settings; ends the command when they are wrong."""
    try:
        return load_settings()
    except ConfigError as error:
        stop(os.EX_CONFIG, str(error))


def run(command: Callable[[], Awaitable[_Result]]) -> _Result:
    """Runs it on Trio, and turns what the operator can do something about into a sentence and an exit code."""
    try:
        return trio.run(command)
    except Exception as error:
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
            cause = cause.exceptions[0]  # nurseries wrap what goes through them
        match cause:
            case SecretFileError():
                stop(os.EX_NOPERM, str(cause))
            case SchemaMismatch():
                stop(os.EX_CONFIG, str(cause))
            case RelaysAreRunning():
                stop(os.EX_TEMPFAIL, str(cause))
            case EmbeddedPostgresError():
                stop(os.EX_UNAVAILABLE, str(cause))
            case DatabaseUnavailable():
                stop(
                    os.EX_UNAVAILABLE,
                    "the database does not answer; check database_url (SOTTOVOCE_DATABASE_URL) and that PostgreSQL runs, then try again",
                )
            case _:
                raise cause from None


def read_passphrase(file: Path | None, *, confirm: bool = False) -> str:
    """The first line of the file; asks when there is none."""
    if file is not None:
        try:
            passphrase = file.read_text().partition("\n")[0]
        except OSError as error:
            stop(os.EX_NOINPUT, f"{file}: {error.strerror}")
    else:
        passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True)
    if len(passphrase) < MIN_PASSPHRASE:
        stop(2, f"a passphrase has at least {MIN_PASSPHRASE} characters; several words are best")
    return passphrase


def stop(code: int, message: str) -> NoReturn:
    """Ends the command with a sentence on stderr."""
    click.echo(f"relay: {message}", err=True)
    raise SystemExit(code)


def print_json(value: Any) -> None:
    """The whole output of a command under --json."""
    click.echo(json.dumps(value, indent=2))


def print_table(rows: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line, for people."""
    listed = [(name, "-" if value is None else str(value)) for name, value in rows]
    width = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        click.echo(f"{name.ljust(width)}  {value}")


def bytes_in_words(count: int) -> str:
    """1536 -> 1.5 KiB."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if size >= 100 or unit == "B" else f"{size:.1f} {unit}"
