"""What a session still has to say to its app: bounded, in order, and said at once when nothing stands before it.

A task that finds the socket idle may write in its own turn (`say`), which spares a queue and a round of the scheduler for nearly every
delivery. All else waits for the session's writer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import trio

from nursery_tasks.ports import Peer
from relay.frames import Frame


class Outbox:
    """At most `frames` wait. `on_written` is called after each frame that the socket took."""

    def __init__(self, peer: Peer, frames: int, on_written: Callable[[], None] = lambda: None) -> None:
        self.on_written = on_written
        self._peer = peer
        self._queue, self._queued = trio.open_memory_channel[Frame](frames)
        self._unwritten = 0  # frames that were taken from their tasks and are not on the socket yet
        self._begun: list[str] = []  # texts that are on their way to the socket

    def statistics(self) -> trio.MemoryChannelStatistics:
        """Of the queue."""
        return self._queue.statistics()

    async def send(self, frame: Frame) -> None:
        """Queues it; waits for room. For whoever must not stand at the socket of a slow app: the reader above all."""
        self._unwritten += 1
        try:
            await self._queue.send(frame)
        except BaseException:
            self._unwritten -= 1
            raise

    async def say(self, frame: Frame) -> None:
        """Writes it now if nothing stands before it, else queues it. Not always a checkpoint.

        Raises:
            PeerGone, SlowReader: as Peer.send.
        """
        if self._unwritten:
            await self.send(frame)
        else:
            self._unwritten += 1
            await self._write(frame)

    def send_nowait(self, frame: Frame) -> None:
        """Queues it.

        Raises:
            trio.WouldBlock: the queue is full.
            trio.BrokenResourceError, trio.ClosedResourceError: the session is over.
        """
        self._queue.send_nowait(frame)
        self._unwritten += 1

    async def write(self) -> NoReturn:
        """The writer of the session: says what is queued until cancelled."""
        while True:
            await self._write(await self._queued.receive())

    async def flush(self) -> None:
        """Says what is left, beginning with what was on its way when its task was cancelled."""
        for text in self._begun:
            await self._peer.send(text)
        while True:
            try:
                frame = self._queued.receive_nowait()
            except trio.WouldBlock:
                return
            await self._peer.send(frame.encode())

    def close(self) -> None:
        """Nothing is taken any more."""
        self._queue.close()
        self._queued.close()

    def forget(self) -> None:
        """Lets go of whoever heard of what was written, who refers to this in turn: so both are freed without the garbage collector."""
        del self.on_written

    async def _write(self, frame: Frame) -> None:
        text = frame.encode()
        self._begun.append(text)
        await self._peer.send(text)
        self._begun.remove(text)
        self._unwritten -= 1
        self.on_written()
