"""What the relay and the FastAPI peers have in common: one server process on a port, and the relay's tables in a database of its own."""

from __future__ import annotations

from typing import Any

import trio

from bench.systems import START_S, NotStarted, Person, Place, System
from bench.systems.members import make_members
from relay.database import Database


class Served(System):
    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._process: trio.Process | None = None
        self._database: Database | None = None
        self._port = 0

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
