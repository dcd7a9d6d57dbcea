"""What a session still has to say to its app: bounded, in order, and said at once when nothing stands before it.

Whoever finds the socket idle may write in its own turn, which spares a round of the scheduler for nearly every delivery and every answer:
a task by `say`, synchronous code by `say_at_once`. All else waits for the session's writer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import trio

from nursery_tasks.bell import Bell
from nursery_tasks.ports import Peer
from relay.frames import Sayable


class Outbox:
    """At most `frames` wait. `on_written` is called after each frame that the socket took.

    No memory channel: an idle session has nothing to say, and should take no room for it.
    """

    __slots__ = (
        "_begun", "_closed", "_cut_short", "_more", "_most", "_peer", "_queue", "_room", "_unwritten", "on_written",
    )  # fmt: skip

    def __init__(self, peer: Peer, frames: int, on_written: Callable[[], None] = lambda: None) -> None:
        self.on_written = on_written
        self._peer = peer
        self._most = frames
        self._queue: list[Sayable] = []
        self._unwritten = 0  # frames that were taken from their tasks and are not on the socket yet
        self._begun: list[str] = []  # texts that are on their way to the socket
        self._cut_short = False  # the socket has the beginning of a frame; the writer sees to the rest
        self._closed = False
        self._more = Bell()  # the writer waits for something to say
        self._room: trio.Event | None = None

    @property
    def idle(self) -> bool:
        """Whether `say_at_once` may write now."""
        return not self._unwritten and not self._closed

    @property
    def waiting(self) -> int:
        """Frames that wait for the writer."""
        return len(self._queue)

    @property
    def waited_for(self) -> bool:
        """Whether a task waits for room, or the writer for something to say."""
        return self._more.waited_for or self._room is not None

    async def send(self, frame: Sayable) -> None:
        """Queues it; waits for room. For whoever must not stand at the socket of a slow app: the reader above all.

        Raises:
            trio.ClosedResourceError: the session is over.
        """
        self._unwritten += 1
        try:
            while len(self._queue) >= self._most:
                await self._wait_for_room()
            self._put(frame)
        except BaseException:
            self._unwritten -= 1
            raise

    async def say(self, frame: Sayable) -> None:
        """Writes it now if nothing stands before it, else queues it. Not always a checkpoint.

        Raises:
            PeerGone, SlowReader: as Peer.send.
        """
        if self._unwritten:
            await self.send(frame)
        else:
            self._unwritten += 1
            await self._write(frame)

    def say_at_once(self, frame: Sayable) -> None:
        """The same without waiting, for whoever is no task of this session: the socket takes it now, or the writer has it.

        Raises: as `send_nowait`; trio.WouldBlock only if the outbox was not idle.
        """
        if self.idle and (taken := self._peer.send_at_once(frame.encode())) is not None:
            if taken:
                self.on_written()
            else:
                self._unwritten += 1
                self._cut_short = True
                self._more.ring()
        else:
            self.send_nowait(frame)

    def send_nowait(self, frame: Sayable) -> None:
        """Queues it.

        Raises:
            trio.WouldBlock: the queue is full.
            trio.ClosedResourceError: the session is over.
        """
        if len(self._queue) >= self._most:
            raise trio.WouldBlock
        self._put(frame)
        self._unwritten += 1

    async def write(self) -> NoReturn:
        """The writer of the session: says what is queued until cancelled."""
        while True:
            while not self._queue and not self._cut_short:
                await self._more.wait()
            if self._cut_short:
                await self._finish()
            else:
                await self._write(self._take())

    async def flush(self) -> None:
        """Says what is left, beginning with what was on its way when its task was cancelled."""
        if self._cut_short:
            await self._finish()
        for text in self._begun:
            await self._peer.send(text)
        while self._queue:
            await self._peer.send(self._take().encode())

    def close(self) -> None:
        """Nothing is taken any more."""
        self._closed = True
        self._queue.clear()

    def forget(self) -> None:
        """Lets go of whoever heard of what was written, who refers to this in turn: so both are freed without the garbage collector."""
        del self.on_written

    def _put(self, frame: Sayable) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        self._queue.append(frame)
        self._more.ring()

    def _take(self) -> Sayable:
        if self._room is not None:
            self._room.set()
        return self._queue.pop(0)

    async def _wait_for_room(self) -> None:
        if self._room is None:
            self._room = trio.Event()
        mine = self._room
        try:
            await mine.wait()
        finally:
            if self._room is mine:
                self._room = None

    async def _finish(self) -> None:
        await self._peer.finish()
        self._cut_short = False
        self._written()

    async def _write(self, frame: Sayable) -> None:
        text = frame.encode()
        self._begun.append(text)
        await self._peer.send(text)
        self._begun.remove(text)
        self._written()

    def _written(self) -> None:
        self._unwritten -= 1
        self.on_written()
