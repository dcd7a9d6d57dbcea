"""Our relay, as operators run it: `hypercorn -k trio relay.app:app` on a PostgreSQL of its own. Only the limits are raised."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from bench.systems import ROOT, START_S, NotStarted, Person, Place, System, process
from bench.systems.members import make_members
from relay.database import Database, open_database

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


class Ours(System):
    name = "ours"
    title = "Sottovoce relay"
    rings = True
    holds = True
    options: tuple[str, ...] = ()
    """Of hypercorn."""
    settings: dict[str, object] = {}  # noqa: RUF012
    """Of the relay, on top of RAISED."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._process: trio.Process | None = None
        self._database: Database | None = None
        self._port = 0

    @classmethod
    def version(cls) -> str:
        return "this checkout"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.place.postgres.database() as dsn, open_database(dsn) as self._database:
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
                    pass_fds=[number],
                ) as self._process:
                    await until_it_is_ready("127.0.0.1", self._port, self._process)
                    yield

    def pids(self) -> list[int]:
        assert self._process is not None
        return [self._process.pid]

    @property
    def target(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self._port}

    @property
    def database(self) -> Database:
        assert self._database is not None
        return self._database

    async def people(self, count: int) -> list[Person]:
        return await make_members(self.database, count)

    async def mailbox_rows(self) -> int:
        return int(await self.database.fetchval("SELECT count(*) FROM envelopes", timeout_s=60))


async def until_it_is_ready(host: str, port: int, alive: trio.Process) -> None:
    """Until `GET /readyz` says 200. Raises NotStarted when the process ends, or after a minute."""
    request = f"GET /readyz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()
    with trio.move_on_after(START_S):
        while alive.poll() is None:
            try:
                async with await trio.open_tcp_stream(host, port) as stream:
                    await stream.send_all(request)
                    if (await stream.receive_some()).startswith(b"HTTP/1.1 200"):
                        return
            except OSError:
                pass
            await trio.sleep(0.01)
    raise NotStarted(f"exit status {alive.returncode}")
