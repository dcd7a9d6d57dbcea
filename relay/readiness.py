"""Which sockets can be read, and whose turn it is: one epoll for all connections of a process, behind Trio's own.

Trio tells epoll about a socket each time somebody waits for it (EPOLLONESHOT), which is a system call a frame. Here a socket is made known
once, edge-triggered (epoll(7)), and Trio waits for one file descriptor only: that of this epoll.

A few sockets are read in a turn, and of all that can be read those go first whose last turn is longest ago. So a turn stays short however many
write at once, and whoever says little is heard before those who say much: a ring among mail.
"""

from __future__ import annotations

import select
from heapq import heappop, heappush
from itertools import count

import trio

READ_A_TURN = 8
"""Sockets whose readers are woken in one turn. The others wait for the next ones."""

_EVENTS_A_TURN = 256


def readable(number: int) -> Readable:
    """Watches the socket with this file descriptor from now on."""
    watch = _watch.get(None)
    if watch is None:
        watch = _Watch()
        _watch.set(watch)
        trio.lowlevel.spawn_system_task(watch.run)
    return watch.add(number)


def more_comes() -> bool:
    """Whether there is something to read whose readers have not had their turn yet."""
    watch = _watch.get(None)
    return watch is not None and (watch.on_their_way > 0 or bool(watch.due))


class _Watch:
    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.sockets: dict[int, Readable] = {}
        self.due: list[tuple[int, int, Readable]] = []
        self.turns = 0  # that readers have had
        self.on_their_way = 0  # readers who were woken and have not run yet
        self._order = count()
        self.rests = False  # nothing is due, and it waits for the kernel

    def add(self, number: int) -> Readable:
        self.epoll.register(number, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        watched = self.sockets[number] = Readable(self, number)
        return watched

    def queue(self, watched: Readable) -> None:
        heappush(self.due, (watched.last_turn, next(self._order), watched))

    async def run(self) -> None:
        try:
            while True:
                await self._until_something_is_due()
                for number, events in self.epoll.poll(0, _EVENTS_A_TURN):
                    if (watched := self.sockets.get(number)) is not None:
                        watched.woken(events)
                for _ in range(min(READ_A_TURN, len(self.due))):
                    self.turns += 1
                    heappop(self.due)[-1].go(self.turns)
        finally:
            self.epoll.close()

    async def _until_something_is_due(self) -> None:
        if self.due:
            await trio.lowlevel.checkpoint()
            return
        self.rests = True
        try:
            await trio.lowlevel.wait_readable(self.epoll.fileno())
        finally:
            self.rests = False


_watch: trio.lowlevel.RunVar[_Watch | None] = trio.lowlevel.RunVar("readiness", None)


class Readable:
    """One socket, and the one task that reads it."""

    __slots__ = ("_closed", "_ended", "_number", "_queued", "_ready", "_task", "_watch", "last_turn")

    def __init__(self, watch: _Watch, number: int) -> None:
        self._watch = watch
        self._number = number
        self._ready = False
        self._ended = False  # no edge comes any more: it can be read, to its end, for ever
        self._closed = False
        self._queued = False
        self._task: trio.lowlevel.Task | None = None
        self.last_turn = watch.turns  # a newcomer goes behind those who are here

    async def wait(self) -> None:
        """Returns when a read may bring something, and it is this socket's turn; a checkpoint always.

        Raises:
            trio.ClosedResourceError: `close` was called.
        """
        if self._closed:
            raise trio.ClosedResourceError
        if self._task is not None:
            raise trio.BusyResourceError("another task reads this socket")
        if self._ready and self._watch.rests:  # nobody is before it
            await trio.lowlevel.checkpoint()
            self._watch.turns += 1
            self.last_turn = self._watch.turns
        else:
            self._task = trio.lowlevel.current_task()
            if self._ready:
                self._queue()
            await trio.lowlevel.wait_task_rescheduled(self._leave)
            self._watch.on_their_way -= 1  # who was woken gets here, cancelled or not
        if self._closed:
            raise trio.ClosedResourceError

    def drained(self) -> None:
        """A read brought less than was asked for: there is nothing more until the kernel says so."""
        self._ready = self._ended

    def close(self) -> None:
        """Wakes who waits. To be called before the socket is closed: its number may be another's at once."""
        if not self._closed:
            self._closed = True
            del self._watch.sockets[self._number]
            self._watch.epoll.unregister(self._number)
            self._wake()

    def woken(self, events: int) -> None:
        """The kernel said something of it."""
        self._ready = True
        if events & ~select.EPOLLIN:  # EPOLLRDHUP, EPOLLHUP, EPOLLERR
            self._ended = True
        if self._task is not None:
            self._queue()

    def go(self, turn: int) -> None:
        """It is this socket's turn."""
        self._queued = False
        self.last_turn = turn
        self._wake()

    def _queue(self) -> None:
        if not self._queued:
            self._queued = True
            self._watch.queue(self)

    def _wake(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            self._watch.on_their_way += 1
            trio.lowlevel.reschedule(task)

    def _leave(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
