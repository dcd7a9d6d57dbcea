"""Our relay, as operators run it: `hypercorn -k trio relay.app:app` on a PostgreSQL of its own. Only the limits are raised."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.postgres import database_of
from bench.systems import ROOT, process
from bench.systems.served import Served, until_it_is_ready
from relay.database import open_database

RAISED = {
    # One mailbox gets in seconds what a person gets in years.
    "posts_burst": 10_000_000,
    "posts_per_s": 1_000_000,
    "post_bytes_burst": 1 << 40,
    "post_bytes_per_s": 1 << 30,
    "session_posts_per_s": 1_000_000,
    "mailbox_envelopes": 1_000_000,
    "mailbox_bytes": 1 << 40,
    "max_sessions": 50_000,
    "push": "false",
}


def environment(**settings: object) -> dict[str, str]:
    """Ours without the settings of whoever runs the bench."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SOTTOVOCE_")}
    return {**clean, **{f"SOTTOVOCE_{name.upper()}": str(value) for name, value in settings.items()}}


def operators_python() -> str:
    """The relay runs with the packages of requirements.lock, not with those of the bench."""
    own = ROOT / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


class Ours(Served):
    name = "ours"
    title = "Sottovoce relay"
    rings = True
    holds = True
    options: tuple[str, ...] = ()
    """Of hypercorn."""
    tree: Path = ROOT
    """Where its code is."""
    settings: dict[str, object] = {}  # noqa: RUF012
    """Of the relay, on top of RAISED."""

    @classmethod
    def version(cls) -> str:
        return "this checkout"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.place.postgres.database() as dsn, open_database(dsn) as self._database:
            self.database_name = database_of(dsn)
            with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
                self._port = listener.getsockname()[1]
                number = listener.fileno()
                env = environment(
                    var_directory=self.place.directory / "var",
                    public_url=f"http://127.0.0.1:{self._port}",
                    database_url=dsn,
                    **{**RAISED, **self.settings},
                )
                command = [operators_python(), "-m", "hypercorn", "-k", "trio", "-b", f"fd://{number}"]
                log = self.place.directory / "log"
                async with process(
                    [*command, *self.options, "relay.app:app"],
                    core=self.place.core,
                    log=log,
                    env=env,
                    cwd=self.tree,
                    pass_fds=[number],
                ) as self._process:
                    await until_it_is_ready("127.0.0.1", self._port, self._process)
                    yield
