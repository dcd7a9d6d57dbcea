"""LISTEN that notices when it has gone deaf.

A session that LISTENs and whose backend dies says nothing: no error, no more notifications. So its end is watched for, and
a silent session is asked for a sign of life. After a reconnect it listens *first* and then reports the gap, so that
nothing can fall between.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import trio

from relay.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from relay.database import DatabaseSettings
    from relay.driver_connection import Connection

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.05
INBOX_SIZE = 1024  # notifications of a busy second; past that everybody is woken, which costs about as much


async def listen(
    connect: Callable[[], Awaitable[Connection]],
    settings: DatabaseSettings,
    channels: Sequence[str],
    on_notification: Callable[[str, str], None],
    on_gap: Callable[[], None],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """See Database.listen. Ends only by cancellation."""
    pause_s = 0.0
    started = False
    while True:
        try:
            await trio.sleep(pause_s)
            pause_s = min(max(2 * pause_s, FIRST_PAUSE_S), settings.max_reconnect_pause_s)
            connection = await connect()
        except DatabaseUnavailable:
            continue
        try:
            inbox = _Inbox(connection)
            for channel in channels:
                await connection.subscribe(channel, inbox.put)
            if started:
                log.warning("listening again after a gap")
                on_gap()
            else:
                started = True
                task_status.started()
            pause_s = 0.0
            await _hand_on(connection, inbox, settings.heartbeat_every_s, on_notification, on_gap)
        except DatabaseUnavailable:
            continue
        finally:
            connection.terminate()


async def _hand_on(
    connection: Connection,
    inbox: _Inbox,
    heartbeat_every_s: float,
    on_notification: Callable[[str, str], None],
    on_gap: Callable[[], None],
) -> None:
    """Until the session is lost."""
    while connection.usable:
        with trio.move_on_after(heartbeat_every_s) as silence:
            notification = await inbox.receive()
        if silence.cancelled_caught:
            await connection.fetchval("SELECT 1")
        elif inbox.overflowed():
            on_gap()
        elif notification is not None:
            on_notification(*notification)


class _Inbox:
    """From the driver's callbacks, which run on the asyncio side and may only send_nowait, to our task."""

    def __init__(self, connection: Connection) -> None:
        self._send, self._receive = trio.open_memory_channel[tuple[str, str] | None](INBOX_SIZE)
        self._overflowed = False
        connection.on_termination(self._end)

    def put(self, _connection: object, _pid: int, channel: str, payload: str) -> None:
        self._try((channel, payload))

    def _end(self, _connection: object) -> None:
        self._try(None)  # wakes the task, which sees that the session is gone

    def _try(self, item: tuple[str, str] | None) -> None:
        try:
            self._send.send_nowait(item)
        except trio.WouldBlock:
            self._overflowed = True

    async def receive(self) -> tuple[str, str] | None:
        return await self._receive.receive()

    def overflowed(self) -> bool:
        """Whether something was dropped since the last call; if so, the rest is dropped too, as the gap covers it."""
        if not self._overflowed:
            return False
        self._overflowed = False
        while True:
            try:
                self._receive.receive_nowait()
            except trio.WouldBlock:
                return True
