"""The only door to PostgreSQL: a pool, transactions, dedicated connections, LISTEN. Nothing else imports the driver.

What comes out of this module are rows and the errors of relay.errors and relay.database_errors, never the driver's.
DatabaseUnavailable means: no host is reachable, no connection was free in time, the answer did not come in time, or the
connection broke. Of a write it says: the outcome is unknown.

Every call has a deadline. A call that misses it, or is cancelled, takes its connection along: nobody knows what such a
session is doing, so it is dropped, and the server notices within seconds that its client is gone.

The driver is triopg: asyncpg on an asyncio loop that runs on Trio (trio-asyncio). That loop belongs to `open_database`
and must be *current* in the task that calls the driver, which tasks of foreign nurseries (each request is one) do not
inherit. So every call that needs it sets it itself and resets it after. Statements do not (relay/driver_wire.py).

The pool is ours, not asyncpg's, which resets a connection with a query at each release (three times slower), waits
for that query without a deadline that Trio could set, and has no bound on waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import trio
import trio_asyncio
import triopg

from relay.database_errors import QueryRejected
from relay.database_hosts import Host, hosts_of
from relay.driver_connection import Connection, Driver, Session, current
from relay.errors import DatabaseUnavailable, RelayError
from relay.held_connection import HeldConnection
from relay.listener import listen
from relay.prompt_loop import make_prompt

log = logging.getLogger(__name__)

# The control file (pg_control_checkpoint) tells of a promotion only after the next checkpoint; the name of the log file tells at once.
TIMELINE = "SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint"


@dataclass(frozen=True)
class DatabaseSettings:
    """Bounds of everything that waits for PostgreSQL."""

    pool_size: int = 10
    """Connections of the pool at most; held connections and listeners come on top."""
    acquire_timeout_s: float = 2.0
    """How long a call waits for a free connection of the pool, or for its turn on a held one."""
    command_timeout_s: float = 5.0
    """How long one statement may take."""
    connect_timeout_s: float = 3.0
    """How long one host may take to accept a connection, TLS and authentication included."""
    close_deadline_s: float = 2.0
    """How long sessions get to end politely before they are dropped."""
    heartbeat_every_s: float = 15.0
    """How long a listener trusts a silent connection."""
    max_reconnect_pause_s: float = 2.0
    """The longest pause between two attempts of a held connection or a listener to connect."""
    application_name: str = "sottovoce"
    """What pg_stat_activity shows."""


class Row(Protocol):
    """A row: by column name, by position, or unpacked."""

    def __getitem__(self, key: str | int) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def keys(self) -> Iterator[str]: ...
    def values(self) -> Iterator[Any]: ...
    def items(self) -> Iterator[tuple[str, Any]]: ...
    def get(self, key: str, default: Any = None) -> Any: ...


class Queries(Protocol):
    """What runs statements: the database (each on any connection), a transaction, a held connection.

    Statements are plain SQL with $1, $2... for `args`. `timeout_s` replaces command_timeout_s for one call.
    All raise DatabaseUnavailable, ConstraintViolation (UniqueViolation...) and, for mistakes, QueryRejected.
    """

    async def fetch(self, query: str, *args: object, timeout_s: float | None = None) -> list[Row]:
        """All rows."""

    async def fetchrow(self, query: str, *args: object, timeout_s: float | None = None) -> Row | None:
        """The first row, None if there is none."""

    async def fetchval(self, query: str, *args: object, timeout_s: float | None = None) -> Any:
        """The first column of the first row, None if there is no row."""

    async def execute(self, query: str, *args: object, timeout_s: float | None = None) -> str:
        """The command tag ('DELETE 3'). Without `args` the text may hold several statements: one transaction."""


@asynccontextmanager
async def open_database(
    dsn_or_hosts: str | Sequence[str], *, settings: DatabaseSettings | None = None
) -> AsyncIterator[Database]:
    """Open the database, and close it within close_deadline_s.

    `dsn_or_hosts`: a postgresql:// URL, which may name several hosts, or several URLs of the same database. Each host
    gets connect_timeout_s; only a primary is taken, of several the one of the highest timeline.

    Enter and leave it in the same task, one of your own (`await app.nursery.start(...)` in before_serving): the loop in
    it is a nursery, and nurseries must nest. The Database may be used by any task of the same `trio.run` meanwhile.

    Raises DatabaseUnavailable when no host answers.
    """
    failure: Exception | None = None
    async with trio_asyncio.open_loop() as loop:
        # By default an exception in a callback or a forgotten future ends this loop, and so the relay.
        loop.set_exception_handler(_report)
        make_prompt(loop)
        database = Database(loop, hosts_of(dsn_or_hosts), settings or DatabaseSettings())
        try:
            await database.fetchval("SELECT 1")
            yield database
        except Exception as error:
            failure = error  # raised outside of the loop's nurseries, which would wrap it in groups
        finally:
            await database.close()
    if failure is not None:
        raise failure


def _report(_loop: object, context: dict[str, Any]) -> None:
    log.warning("in the driver: %s", type(context.get("exception")).__name__)


class Database:
    """A pool of sessions. Any task may use it while `open_database` is open; after that all is DatabaseUnavailable."""

    def __init__(self, loop: object, hosts: Sequence[Host], settings: DatabaseSettings) -> None:
        self.settings = settings
        self._loop, self._hosts = loop, hosts
        self._preferred = 0  # the host that was the primary last
        self._timeline = 0  # the highest that was seen; each promotion counts it up
        self._slots = trio.Semaphore(settings.pool_size, max_value=settings.pool_size)
        self._idle: list[Connection] = []  # the most recently used at the end: it is taken first
        self._open: set[Connection] = set()
        self._closed = False

    async def fetch(self, query: str, *args: object, timeout_s: float | None = None) -> list[Row]:
        async with self._pooled() as connection:
            return await connection.fetch(query, *args, timeout_s=timeout_s)

    async def fetchrow(self, query: str, *args: object, timeout_s: float | None = None) -> Row | None:
        async with self._pooled() as connection:
            return await connection.fetchrow(query, *args, timeout_s=timeout_s)

    async def fetchval(self, query: str, *args: object, timeout_s: float | None = None) -> Any:
        async with self._pooled() as connection:
            return await connection.fetchval(query, *args, timeout_s=timeout_s)

    async def execute(self, query: str, *args: object, timeout_s: float | None = None) -> str:
        async with self._pooled() as connection:
            return await connection.execute(query, *args, timeout_s=timeout_s)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Queries]:
        """A transaction (read committed) on one pooled connection: committed at the end, rolled back by an exception.

        Nothing but SQL belongs inside: the connection is taken from everybody else. DatabaseUnavailable from the end of
        the block means that it is unknown whether it was committed.
        """
        async with self._pooled() as connection:
            await connection.execute("BEGIN")
            try:
                yield connection
            except Exception:
                if connection.usable:
                    try:
                        await connection.execute("ROLLBACK")
                    except RelayError:
                        connection.terminate()  # which rolls back as well
                raise
            except BaseException:
                connection.terminate()  # cancelled: no time to be polite
                raise
            # COMMIT of a failed transaction answers ROLLBACK and no error; somebody swallowed one.
            if await connection.execute("COMMIT") != "COMMIT":
                raise QueryRejected("25P02", "a statement of this transaction had failed")

    @asynccontextmanager
    async def hold(self, setup_sql: Sequence[str] = ()) -> AsyncIterator[HeldConnection]:
        """A connection outside of the pool for a hot path; see HeldConnection. `setup_sql` runs after each connect."""
        held = HeldConnection(self._connect, setup_sql, self.settings)
        try:
            await held.try_to_connect()
            yield held
        finally:
            await held.close()

    async def listen(
        self,
        channels: Sequence[str],
        on_notification: Callable[[str, str], None],
        on_gap: Callable[[], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Run as a task: LISTEN on `channels` for ever; `await nursery.start(...)` returns when it listens.

        `on_notification(channel, payload)` is called for each. `on_gap()` is called when some may have been missed: wake
        everybody. Both are called in this task, so Trio's context; they are plain functions and must not raise.
        """
        await listen(self._connect, self.settings, channels, on_notification, on_gap, task_status=task_status)

    async def close(self) -> None:
        """End all sessions. `open_database` calls it."""
        self._closed = True
        busy = self._open.difference(self._idle)
        for connection in busy:
            connection.terminate()
        with trio.CancelScope(shield=True):  # bounded by close_deadline_s
            async with trio.open_nursery() as nursery:
                for connection in self._idle:
                    nursery.start_soon(connection.close)
        self._idle.clear()

    @asynccontextmanager
    async def _pooled(self) -> AsyncIterator[Connection]:
        with trio.move_on_after(self.settings.acquire_timeout_s) as waiting:
            await self._slots.acquire()
        if waiting.cancelled_caught:
            raise DatabaseUnavailable
        try:
            connection = self._take_idle() or await self._connect()
            try:
                yield connection
            finally:
                if connection.at_rest and not self._closed:
                    self._idle.append(connection)
                else:
                    connection.terminate()
        finally:
            self._slots.release()

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.terminate()
        return None

    async def _connect(self) -> Connection:
        """A new session with the primary. Of several hosts that say they are it, the one of the highest timeline, and never one of a
        lower timeline than was seen before: a primary that comes back after its standby was promoted knows nothing of that."""
        connection = None
        if not self._closed and (self._timeline or len(self._hosts) == 1):
            connection = await self._primary_at(self._preferred)
        if connection is None and len(self._hosts) > 1:
            connection = await self._newest_primary()
        if connection is None or self._closed:
            raise DatabaseUnavailable
        self._open = {one for one in self._open if one.usable} | {connection}
        return connection

    async def _newest_primary(self) -> Connection | None:
        """Asks all hosts at once."""
        found: dict[int, tuple[int, Connection]] = {}

        async def ask(number: int) -> None:
            connection = await self._primary_at(number)
            if connection is not None:
                found[number] = (connection.timeline, connection)

        try:
            async with trio.open_nursery() as nursery:
                for number in range(len(self._hosts)):
                    if not self._closed:
                        nursery.start_soon(ask, number)
        except BaseException:
            for _, connection in found.values():
                connection.terminate()
            raise
        best = max(found, key=lambda number: found[number][0], default=None)
        for number, (_, connection) in found.items():
            if number != best:
                log.warning("database host %d of %d is of an older timeline", number + 1, len(self._hosts))
                connection.terminate()
        if best is None:
            return None
        self._preferred = best
        return found[best][1]

    async def _primary_at(self, number: int) -> Connection | None:
        """A session with this host, unless it is away, a standby, or of a timeline that is over."""
        connection = await self._connect_to(self._hosts[number], number)
        if connection is None or len(self._hosts) == 1:
            return connection
        try:
            connection.timeline = await connection.fetchval(TIMELINE, timeout_s=self.settings.connect_timeout_s)
        except RelayError:
            connection.terminate()
            return None
        except BaseException:
            connection.terminate()
            raise
        if connection.timeline < self._timeline:
            log.warning("database host %d of %d is of an older timeline", number + 1, len(self._hosts))
            connection.terminate()
            return None
        self._timeline = connection.timeline
        return connection

    async def _connect_to(self, host: Host, number: int) -> Connection | None:
        reason = "it did not answer in time"
        driver: Driver = triopg.connect(
            host.dsn,
            host=host.name,
            port=host.port,
            timeout=self.settings.connect_timeout_s,
            connection_class=Session,
            # `_call` has a deadline for each. One of the driver's would stay in its loop until it is due, long after the answer, and keep
            # alive what the statement was asked for: a kilobyte each, when thousands connect.
            command_timeout=None,
            target_session_attrs="primary",
            # The statements are a fixed set of constants: prepare each once a session, for ever.
            statement_cache_size=500,
            max_cached_statement_lifetime=0,
            server_settings={
                "application_name": self.settings.application_name,
                # A statement whose client has dropped the session is stopped, not run to its end.
                "client_connection_check_interval": "2s",
                "idle_in_transaction_session_timeout": "30s",
            },
        )
        try:
            with trio.move_on_after(self.settings.connect_timeout_s), current(self._loop):
                await driver.__aenter__()
                return Connection(driver, self._loop, self.settings)
        except trio.Cancelled:
            raise
        except (Exception, asyncio.CancelledError) as error:
            reason = type(error).__name__  # the name only: messages quote addresses and users
        log.warning("database host %d of %d is of no use: %s", number + 1, len(self._hosts), reason)
        return None
