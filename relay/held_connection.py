"""A dedicated connection for a hot path: no pool in the way, statements prepared once, and it comes back by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import trio

from relay.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from relay.database import DatabaseSettings, Row
    from relay.driver_connection import Connection

T = TypeVar("T")

FIRST_PAUSE_S = 0.05


class HeldConnection:
    """One session, its setup statements, and what to do when it is lost. Calls from several tasks take turns.

    A call that fails with DatabaseUnavailable has lost the session, if it was the session's fault; the *next* call
    connects again, after a pause that doubles up to max_reconnect_pause_s and is forgotten after the first success.
    The failed call is not repeated here: only the caller knows whether that is safe.

    A commit that PostgreSQL reports with "canceling wait for synchronous replication" counts as failed.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], setup_sql: Sequence[str], settings: DatabaseSettings
    ) -> None:
        self._connect, self._setup_sql, self._settings = connect, tuple(setup_sql), settings
        self._connection: Connection | None = None
        self._turn = trio.StrictFIFOLock()
        self._pause_s = 0.0

    async def fetch(self, query: str, *args: object, timeout_s: float | None = None) -> list[Row]:
        return await self._run(lambda c: c.fetch(query, *args, timeout_s=timeout_s))

    async def fetchrow(self, query: str, *args: object, timeout_s: float | None = None) -> Row | None:
        return await self._run(lambda c: c.fetchrow(query, *args, timeout_s=timeout_s))

    async def fetchval(self, query: str, *args: object, timeout_s: float | None = None) -> Any:
        return await self._run(lambda c: c.fetchval(query, *args, timeout_s=timeout_s))

    async def execute(self, query: str, *args: object, timeout_s: float | None = None) -> str:
        return await self._run(lambda c: c.execute(query, *args, timeout_s=timeout_s))

    async def try_to_connect(self) -> None:
        """Connect ahead of the first call. A database that is away is not an error yet: that call will say so."""
        with suppress(DatabaseUnavailable):
            await self._run(lambda c: c.fetchval("SELECT 1"))

    async def close(self) -> None:
        """End the session within close_deadline_s."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _run(self, call: Callable[[Connection], Awaitable[T]]) -> T:
        try:
            self._turn.acquire_nowait()
        except trio.WouldBlock:
            with trio.move_on_after(self._settings.acquire_timeout_s) as waiting:
                await self._turn.acquire()
            if waiting.cancelled_caught:
                raise DatabaseUnavailable from None
        try:
            result = await call(await self._connected())
        finally:
            self._turn.release()
        self._pause_s = 0.0
        return result

    async def _connected(self) -> Connection:
        if self._connection is not None and self._connection.usable:
            return self._connection
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        await trio.sleep(self._pause_s)
        self._pause_s = min(max(2 * self._pause_s, FIRST_PAUSE_S), self._settings.max_reconnect_pause_s)
        connection = await self._connect()
        try:
            for statement in self._setup_sql:
                await connection.execute(statement)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection
        return connection
