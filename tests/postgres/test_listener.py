"""LISTEN: first in what order it does things, on a fake session; then what it notices, on a real one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
import trio

from relay import listener
from relay.database import Database, DatabaseSettings, open_database
from relay.driver_connection import Connection
from relay.errors import DatabaseUnavailable
from tests.postgres.processes import PATIENCE_S, stalled
from tests.postgres.server import OwnServer


class FakeSession:
    """Does what the driver does: callbacks are called from elsewhere, without awaiting."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.usable = True
        self.put: Callable[[object, int, str, str], None]
        self.ended: Callable[[object], None]

    async def subscribe(self, channel: str, put: Callable[[object, int, str, str], None]) -> None:
        await trio.lowlevel.checkpoint()
        self.events.append(f"LISTEN {channel}")
        self.put = put

    async def fetchval(self, query: str) -> int:
        await trio.lowlevel.checkpoint()
        if not self.usable:
            raise DatabaseUnavailable
        return 1

    def on_termination(self, callback: Callable[[object], None]) -> None:
        self.ended = callback

    def terminate(self) -> None:
        self.usable = False

    def die(self) -> None:
        self.usable = False
        self.ended(self)


class FakeServer:
    def __init__(self) -> None:
        self.events: list[str] = []
        self.sessions: list[FakeSession] = []
        self.refuse = 0

    async def connect(self) -> Connection:
        await trio.lowlevel.checkpoint()
        if self.refuse:
            self.refuse -= 1
            self.events.append("refused")
            raise DatabaseUnavailable
        self.events.append("connect")
        self.sessions.append(FakeSession(self.events))
        return cast(Connection, self.sessions[-1])

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(
                lambda task_status: listener.listen(
                    self.connect,
                    DatabaseSettings(),
                    ["wake", "stop"],
                    lambda channel, payload: self.events.append(f"{channel}:{payload}"),
                    lambda: self.events.append("gap"),
                    task_status=task_status,
                )
            )
            yield
            nursery.cancel_scope.cancel()


async def test_after_a_loss_it_listens_before_it_reports_the_gap(autojump_clock: trio.testing.MockClock) -> None:
    server = FakeServer()
    server.refuse = 1
    async with server.listening():
        server.sessions[0].put(None, 1, "wake", "a")
        await trio.sleep(0.01)
        server.refuse = 2
        server.sessions[0].die()
        await trio.sleep(1)
        server.sessions[1].put(None, 1, "stop", "b")
        await trio.sleep(0.01)
    first = ["refused", "connect", "LISTEN wake", "LISTEN stop", "wake:a"]
    assert server.events == [*first, "refused", "refused", "connect", "LISTEN wake", "LISTEN stop", "gap", "stop:b"]


async def test_an_overflow_is_a_gap_and_what_came_with_it_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    server = FakeServer()
    async with server.listening():
        for number in range(3 * listener.INBOX_SIZE):
            server.sessions[0].put(None, 1, "wake", str(number))
        await trio.sleep(0.01)
        server.sessions[0].put(None, 1, "wake", "after")
        await trio.sleep(0.01)
    assert server.events[3:] == ["gap", "wake:after"]


async def test_a_callback_after_the_end_does_no_harm(autojump_clock: trio.testing.MockClock) -> None:
    server = FakeServer()
    async with server.listening():
        pass
    server.sessions[0].put(None, 1, "wake", "late")
    server.sessions[0].ended(None)


# -- on PostgreSQL ---------------------------------------------------------------------------------------------------


class Heard:
    """What the callbacks were told, and a way to wait for more of it."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[str](100)

    def on_notification(self, channel: str, payload: str) -> None:
        self._send.send_nowait(f"{channel}:{payload}")

    def on_gap(self) -> None:
        self._send.send_nowait("gap")

    async def next(self, within_s: float = PATIENCE_S) -> str:
        with trio.fail_after(within_s):
            return await self._receive.receive()


@asynccontextmanager
async def listening(database: Database) -> AsyncIterator[Heard]:
    heard = Heard()
    async with trio.open_nursery() as nursery:
        await nursery.start(database.listen, ["wake"], heard.on_notification, heard.on_gap)
        yield heard
        nursery.cancel_scope.cancel()


async def listening_pid(database: Database) -> int:
    pid = await database.fetchval(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
    )
    assert isinstance(pid, int)
    return pid


async def test_notifications_arrive(database_url: str) -> None:
    async with open_database(database_url) as database, listening(database) as heard:
        await database.execute("SELECT pg_notify('wake', $1)", "a")
        assert await heard.next() == "wake:a"


async def test_a_killed_backend_is_noticed_at_once(database_url: str) -> None:
    # A heartbeat that never comes: the end of the session alone must do.
    settings = DatabaseSettings(heartbeat_every_s=1000)
    async with open_database(database_url, settings=settings) as database, listening(database) as heard:
        await database.fetchval("SELECT pg_terminate_backend($1)", await listening_pid(database))
        assert await heard.next(within_s=5) == "gap"
        await database.execute("SELECT pg_notify('wake', 'b')")
        assert await heard.next() == "wake:b"


@pytest.mark.parametrize("others_too", [False, True])
async def test_a_backend_that_went_silent_is_noticed_by_the_heartbeat(own_server: OwnServer, others_too: bool) -> None:
    settings = DatabaseSettings(heartbeat_every_s=0.2, command_timeout_s=0.2, connect_timeout_s=0.2)
    async with open_database(own_server.dsn, settings=settings) as database, listening(database) as heard:
        pid = await listening_pid(database)
        with stalled(own_server.processes if others_too else [pid]):
            if others_too:
                await trio.sleep(1)
            else:
                assert await heard.next(within_s=5) == "gap"
        if others_too:
            assert await heard.next() == "gap"
        with trio.fail_after(PATIENCE_S):
            await database.execute("SELECT pg_notify('wake', 'c')", timeout_s=5)
        assert await heard.next() == "wake:c"
