"""`python -m relay.try_out`, which is what `make run` does: a relay on this machine and an invite to it, from one command.

The invite is made before the relay is started. It needs the same database and the same keys, so what is wrong with them is found by
`relay invite`, which says so in a sentence and in its exit code; Hypercorn passes no exit code on.

Exit codes are those of `relay` (relay/cli.py), and 70 (EX_SOFTWARE) when the relay ended by itself.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

import click
import trio

from relay.config import PREFIX, ConfigError, Settings, load_settings
from relay.embedded_postgres import EmbeddedPostgresError
from relay.postgres_binaries import may_enter, unprivileged_user

READY_WITHIN_S: Final = 120.0  # the private PostgreSQL may have a log to replay
STOP_WITHIN_S: Final = 30.0  # sessions get their grace, then the private PostgreSQL is stopped
SHARED_DATA: Final = Path("/var/lib/sottovoce")
"""Where a relay's data goes when it is run by root from a place that PostgreSQL, which does not run as root, may not enter."""


class _Failed(Exception):
    """What to say, and the exit code. Without a message it has been said."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message)
        self.code = code


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--bind", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line instead, when the relay is ready.")
@click.option("--qr/--no-qr", default=None, help="Print a QR code of the invite.  [default: on a terminal]")
def main(bind: str, port: int, as_json: bool, qr: bool | None) -> None:
    """Start a relay here and show an invite to it. Ctrl-C stops it.

    Settings come from SOTTOVOCE_* variables and sottovoce.toml, as for the relay itself. Without a database_url a private
    PostgreSQL is run under ./var, where the relay's keys are too.
    """
    try:
        trio.run(_try_out, bind, port, as_json, sys.stdout.isatty() if qr is None else qr)
    except _Failed as failed:
        if failed.args[0]:
            click.echo(f"try_out: {failed.args[0]}", err=True)
        raise SystemExit(failed.code) from None


async def _try_out(bind: str, port: int, as_json: bool, qr: bool) -> None:
    """Returns after a signal that asks to stop.

    Raises:
        _Failed: in every other case.
    """
    failure: _Failed | None = None
    with (
        trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals,
        _listener(bind, port) as listener,
    ):
        async with trio.open_nursery() as nursery:

            async def until_told() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(until_told)
            try:
                await _invite_and_serve(listener, as_json, qr)
            except _Failed as failed:  # raised outside of the nursery, which would wrap it in a group
                failure = failed
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _invite_and_serve(listener: socket.socket, as_json: bool, qr: bool) -> None:
    url = _url_of(listener)
    settings = _settings()
    environ = _environment(settings, url)
    invite, note = await _invite(environ, as_json, qr)
    async with trio.open_nursery() as nursery:
        number = listener.fileno()
        relay: trio.Process = await nursery.start(
            partial(
                trio.run_process,
                [sys.executable, "-m", "hypercorn", "-k", "trio", "-b", f"fd://{number}", "relay.app:app"],
                env=environ,
                pass_fds=[number],
                stdout=sys.stderr.fileno(),
                check=False,
                start_new_session=True,  # a Ctrl-C in the terminal is for us, who pass it on once
                deliver_cancel=_stop,
            )
        )
        ready = await _until_ready(url, relay)
        if ready and as_json:
            click.echo(json.dumps({"url": url, "invite": json.loads(invite)[0]}))
        elif ready:
            click.echo(f"The relay listens on {url}. Ctrl-C stops it.\n\n{invite}{note}")
        await relay.wait()
    raise _Failed(os.EX_SOFTWARE, "the relay ended by itself; why is said above")


@contextlib.contextmanager
def _listener(bind: str, port: int) -> Iterator[socket.socket]:
    """The relay's socket. It is ours from here on, so nobody can take the port while the invite is made."""
    try:
        family, *_, address = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family)
    except OSError as error:  # gaierror too
        match error.errno:
            case errno.EADDRINUSE:
                message = f"port {port} is in use. Stop what listens there, or take another: make run PORT={port + 1}"
            case errno.EACCES:
                message = f"port {port} needs root. Take one above 1023: make run PORT=8000"
            case _:
                message = f"cannot listen on {bind}: {error.strerror}. Take an address of this machine: make run BIND=127.0.0.1"
        raise _Failed(os.EX_UNAVAILABLE, message) from None
    with listener:
        yield listener


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  # a listener on all addresses is reached by this one too
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _settings() -> Settings:
    try:
        return load_settings()
    except ConfigError as error:
        raise _Failed(os.EX_CONFIG, str(error)) from None


def _environment(settings: Settings, url: str) -> dict[str, str]:
    """Ours, with what follows from the command line unless it has been set."""
    environ = dict(os.environ)
    if "public_url" not in settings.model_fields_set:
        environ[PREFIX + "PUBLIC_URL"] = url
    if settings.database_url is None and "var_directory" not in settings.model_fields_set and not _may_use(Path()):
        environ[PREFIX + "VAR_DIRECTORY"] = str(SHARED_DATA)
        click.echo(
            f"PostgreSQL does not run as root and nobody else may enter {Path.cwd()}, so the data goes to {SHARED_DATA}. "
            f"Before other commands (relay invite): export {PREFIX}VAR_DIRECTORY={SHARED_DATA}",
            err=True,
        )
    return environ


def _may_use(directory: Path) -> bool:
    try:
        return may_enter(unprivileged_user(directory), directory.resolve())
    except EmbeddedPostgresError as error:
        raise _Failed(os.EX_UNAVAILABLE, str(error)) from None


async def _invite(environ: dict[str, str], as_json: bool, qr: bool) -> tuple[str, str]:
    """What `relay invite` prints, and what it remarks.

    Raises:
        _Failed: with its exit code; it has said why.
    """
    relay = Path(sys.executable).with_name("relay")
    form = "--json" if as_json else "--qr" if qr else "--no-qr"
    environ = {**environ, "PYTHONUTF8": "1"}  # QR codes are made of block characters, whatever the locale
    made = await trio.run_process(
        [relay, "invite", form], env=environ, capture_stdout=True, capture_stderr=True, check=False
    )
    said = made.stderr.decode(errors="replace")
    if made.returncode:
        click.echo(said, nl=False, err=True)
        raise _Failed(made.returncode)
    return made.stdout.decode(), said


async def _until_ready(url: str, relay: trio.Process) -> bool:
    """Waits until the database answers through the relay; False if the relay ended before.

    Raises:
        _Failed: it takes too long.
    """
    with trio.move_on_after(READY_WITHIN_S):
        while relay.poll() is None:
            if await trio.to_thread.run_sync(_is_ready, url, abandon_on_cancel=True):
                return True
            await trio.sleep(0.05)
        return False
    raise _Failed(os.EX_UNAVAILABLE, f"the relay was not ready within {READY_WITHIN_S:.0f} s; see what it says above")


def _is_ready(url: str) -> bool:
    try:
        with urlopen(url + "/readyz", timeout=5) as answer:  # noqa: S310  # http, and to ourselves
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


async def _stop(relay: trio.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        relay.terminate()
        await trio.sleep(STOP_WITHIN_S)
        relay.kill()


if __name__ == "__main__":
    main()
