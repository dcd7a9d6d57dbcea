"""One session of PostgreSQL: statements with deadlines, and errors of ours for those of the driver."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg
import trio
import trio_asyncio

from relay.database_errors import QueryRejected, from_sqlstate
from relay.driver_wire import Wire
from relay.errors import DatabaseUnavailable, RelayError

if TYPE_CHECKING:
    from relay.database import DatabaseSettings, Row

log = logging.getLogger("relay.database")


class Driver(Protocol):
    """What we use of triopg's connection, which is not typed: asyncpg's, with methods that any task of Trio may call."""

    _asyncpg_conn: Any
    fetch: Callable[..., Awaitable[Any]]
    fetchrow: Callable[..., Awaitable[Any]]
    fetchval: Callable[..., Awaitable[Any]]
    execute: Callable[..., Awaitable[Any]]

    async def __aenter__(self) -> Driver: ...
    async def close(self) -> None: ...
    async def add_listener(self, channel: str, callback: Callable[..., None]) -> None: ...
    def add_termination_listener(self, callback: Callable[..., None]) -> None: ...
    def is_closed(self) -> bool: ...
    def is_in_transaction(self) -> bool: ...
    def terminate(self) -> None: ...


class Session(asyncpg.Connection):  # type: ignore[misc]  # the driver is not typed
    """asyncpg's connection, which tells of notices when they are read. Its own listeners hear of them by a callback on the loop, and so,
    perhaps, when the statement that they are about has long been answered."""

    on_notice: Callable[[Any], None] | None = None

    def _process_log_message(self, fields: dict[str, str], last_query: str) -> None:
        if self.on_notice is not None:
            self.on_notice(asyncpg.PostgresLogMessage.new(fields, query=last_query))


class Connection:
    """One session of PostgreSQL, for one task at a time. Part of this module and its siblings, not of stores."""

    def __init__(self, driver: Driver, loop: object, settings: DatabaseSettings) -> None:
        self._driver, self._loop, self._settings = driver, loop, settings
        self._wire = Wire(driver._asyncpg_conn)
        self._failed = False
        self._commit_in_doubt = False
        self.timeline = 0
        """PostgreSQL's, where there are several hosts to choose from."""
        driver._asyncpg_conn.on_notice = self._on_notice

    async def fetch(self, query: str, *args: object, timeout_s: float | None = None) -> list[Row]:
        rows: list[Row] = await self._statement("fetch", query, args, timeout_s)
        return rows

    async def fetchrow(self, query: str, *args: object, timeout_s: float | None = None) -> Row | None:
        row: Row | None = await self._statement("fetchrow", query, args, timeout_s)
        return row

    async def fetchval(self, query: str, *args: object, timeout_s: float | None = None) -> Any:
        return await self._statement("fetchval", query, args, timeout_s)

    async def execute(self, query: str, *args: object, timeout_s: float | None = None) -> str:
        tag: str = await self._statement("execute", query, args, timeout_s)
        return tag

    async def subscribe(self, channel: str, callback: Callable[[object, int, str, str], None]) -> None:
        """LISTEN. The callback runs on the asyncio side: `send_nowait` is all it may do."""
        self._wire.lend()
        await self._call(
            self._on_its_loop(partial(self._driver.add_listener, channel, callback)), self._settings.command_timeout_s
        )

    def on_termination(self, callback: Callable[[object], None]) -> None:
        """The callback runs on the asyncio side, when the session ends for whatever reason."""
        self._driver.add_termination_listener(callback)

    @property
    def usable(self) -> bool:
        return not self._failed and not self._driver.is_closed() and self._wire.stands()

    @property
    def at_rest(self) -> bool:
        """Usable, and not in a transaction that somebody forgot."""
        return self.usable and not self._driver.is_in_transaction()

    def terminate(self) -> None:
        """Drop the session: no waiting, no harm if it is gone."""
        self._failed = True
        self._wire.closes()
        with current(self._loop):
            self._driver.terminate()

    async def close(self) -> None:
        """End the session politely; drop it after close_deadline_s. Not cancellable, but bounded."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._terminate_later)  # the driver's close() has no deadline and is shielded
                self._wire.lend()
                try:
                    with current(self._loop):
                        await self._driver.close()
                except (Exception, asyncio.CancelledError) as error:
                    log.debug("closing: %s", type(error).__name__)
                nursery.cancel_scope.cancel()
        self.terminate()

    async def _terminate_later(self) -> None:
        await trio.sleep(self._settings.close_deadline_s)
        self.terminate()

    async def _statement(self, method: str, query: str, args: tuple[object, ...], timeout_s: float | None) -> Any:
        deadline_s = self._settings.command_timeout_s if timeout_s is None else timeout_s
        if self._wire.ours:
            return await self._call(
                self._wire.run(getattr(self._driver._asyncpg_conn, method)(query, *args)), deadline_s
            )
        return await self._call(self._on_its_loop(partial(getattr(self._driver, method), query, *args)), deadline_s)

    async def _on_its_loop(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        with current(self._loop):
            return await operation()

    async def _call(self, operation: Awaitable[Any], deadline_s: float) -> Any:
        self._commit_in_doubt = False
        finished = False
        try:
            with trio.move_on_after(deadline_s):
                result = await operation
                finished = True
        except trio.Cancelled:
            self.terminate()
            raise
        # Its CancelledError comes here when the session was dropped by somebody else.
        except (Exception, asyncio.CancelledError) as error:
            ours, survives = _translate(error)
            if not survives:
                self.terminate()
            raise ours from None  # the driver's message quotes values
        if not finished:
            self.terminate()
            raise DatabaseUnavailable
        if self._commit_in_doubt:
            raise DatabaseUnavailable
        return result

    def _on_notice(self, message: Any) -> None:
        # "canceling wait for synchronous replication": the commit stands here, but no standby has it, and a failover
        # would forget it. It is a mere warning, sent before the answer to COMMIT; the driver calls us in that order.
        if message.severity_en == "WARNING" and message.sqlstate in ("01000", "57P01"):
            self._commit_in_doubt = True


@contextmanager
def current(loop: object) -> Iterator[None]:
    token = trio_asyncio.current_loop.set(loop)
    try:
        yield
    finally:
        trio_asyncio.current_loop.reset(token)


def _translate(error: BaseException) -> tuple[RelayError, bool]:
    """Ours for the driver's, and whether the session can be used further."""
    if isinstance(error, asyncpg.PostgresError):
        return from_sqlstate(
            error.sqlstate or "XX000",
            constraint_name=getattr(error, "constraint_name", None) or "",
            message=getattr(error, "message", None) or "",
        )
    if isinstance(error, asyncpg.DataError | TypeError | ValueError | OverflowError):
        return QueryRejected("22000", "an argument does not fit its parameter"), True  # never got to the server
    return DatabaseUnavailable(), False
