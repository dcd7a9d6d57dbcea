"""The driver's socket, read by whoever waits for the answer.

The driver (asyncpg, by triopg) lives on an asyncio loop that runs on Trio. A statement takes half a dozen callbacks of that loop: a task is
started, the socket's reader hears of the answer, a future is done, the task is woken and ends; and each of them is a turn of Trio's
scheduler. But all that a statement waits for is one answer on one socket. So the caller's own task runs the driver's coroutine, waits for
the socket as any task of Trio does, and feeds the driver what came. Protocol, statements and codecs stay the driver's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Any, TypeVar

import trio

T = TypeVar("T")

READ_BYTES = 64 * 1024


class Wire:
    """One open connection of the driver whose socket is plain: over TLS, bytes are not the driver's alone to understand.

    While it is `ours`, nobody reads between statements. Whoever takes the connection up again asks `stands` first.
    """

    __slots__ = ("_asks", "_protocol", "_socket", "_transport", "ours")

    def __init__(self, connection: Any) -> None:
        """`connection` is an asyncpg.Connection."""
        self._protocol = connection._protocol
        self._transport: asyncio.Transport = connection._transport
        self._socket = self._transport.get_extra_info("socket")
        self._asks = False
        self.ours = self._transport.get_extra_info("sslcontext") is None
        if self.ours:
            self._transport.pause_reading()

    def lend(self) -> None:
        """To the loop, for good: for what comes without being asked for, and to see the end of the connection."""
        if self.ours:
            self.ours = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def stands(self) -> bool:
        """Whether the other side has not ended the connection. The driver hears of what came meanwhile: a notice, or why it ended."""
        if not self.ours or self._asks:
            return True
        while not self._transport.is_closing():
            try:
                data = os.read(self._socket.fileno(), READ_BYTES)
            except BlockingIOError:
                return True
            except OSError:
                break
            if not data:
                break
            self._protocol.data_received(data)
        return False

    def closes(self) -> None:
        """The socket is about to be closed: wakes who waits for it."""
        if self._asks and (number := self._socket.fileno()) >= 0:
            trio.lowlevel.notify_closing(number)

    async def run(self, statement: Coroutine[Any, None, T]) -> T:
        """Runs this coroutine of the driver's. For `ours` only, and for one task at a time.

        Raises: what it raises. After trio.Cancelled the connection is of no use, and must be dropped.
        """
        waiter: asyncio.Future[Any] | None = None
        self._asks = True
        try:
            while True:
                waiter = statement.send(None)
                await self._until_done(waiter)
        except StopIteration as end:
            answer: T = end.value
            return answer
        except trio.Cancelled:
            if waiter is not None:
                waiter.cancel()  # so nobody misses its answer
            raise
        finally:
            self._asks = False
            statement.close()

    async def _until_done(self, waiter: asyncio.Future[Any]) -> None:
        # The driver wants to hear of timeouts and of cancellation, by a callback on its loop. Here is neither: see `run`.
        waiter.remove_done_callback(self._protocol._on_waiter_completed)
        while not waiter.done():
            data = await self._read() if self.ours else b""
            if data:
                self._protocol.data_received(data)
            elif not waiter.done():
                self.lend()
                await _on_its_loop(waiter)

    async def _read(self) -> bytes:
        """What came; empty at the end."""
        while not self._transport.is_closing():
            try:
                await trio.lowlevel.wait_readable(self._socket.fileno())
                return os.read(self._socket.fileno(), READ_BYTES)
            except BlockingIOError:
                pass
            except trio.BusyResourceError:
                await trio.lowlevel.checkpoint()  # the loop's reader was told to stop, and has not had a turn yet
            except (OSError, trio.ClosedResourceError):
                break
        return b""


async def _on_its_loop(waiter: asyncio.Future[Any]) -> None:
    done = trio.Event()
    waiter.add_done_callback(lambda _: done.set())
    await done.wait()
