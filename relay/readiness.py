"""Which sockets can be read: one epoll for all connections of a process, behind Trio's own.

Trio tells epoll about a socket each time somebody waits for it (EPOLLONESHOT), which is a system call a frame. Here a socket is made known
once, edge-triggered (epoll(7)), and Trio waits for one file descriptor only: that of this epoll.
"""

from __future__ import annotations

import select

import trio

MOST_A_TURN = 256
"""Sockets whose readers are woken in one turn. The others are readable in the next one still."""


def readable(number: int) -> Readable:
    """Watches the socket with this file descriptor from now on."""
    watch = _watch.get(None)
    if watch is None:
        watch = _Watch()
        _watch.set(watch)
        trio.lowlevel.spawn_system_task(watch.run)
    return watch.add(number)


class _Watch:
    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.sockets: dict[int, Readable] = {}

    def add(self, number: int) -> Readable:
        self.epoll.register(number, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
        watched = self.sockets[number] = Readable(self, number)
        return watched

    async def run(self) -> None:
        try:
            while True:
                await trio.lowlevel.wait_readable(self.epoll.fileno())
                for number, events in self.epoll.poll(0, MOST_A_TURN):
                    if (watched := self.sockets.get(number)) is not None:
                        watched.woken(events)
        finally:
            self.epoll.close()


_watch: trio.lowlevel.RunVar[_Watch | None] = trio.lowlevel.RunVar("readiness", None)


class Readable:
    """One socket, and the one task that reads it."""

    __slots__ = ("_closed", "_ended", "_number", "_ready", "_task", "_watch")

    def __init__(self, watch: _Watch, number: int) -> None:
        self._watch = watch
        self._number = number
        self._ready = False
        self._ended = False  # no edge comes any more: it can be read, to its end, for ever
        self._closed = False
        self._task: trio.lowlevel.Task | None = None

    async def wait(self) -> None:
        """Returns when a read may bring something; a checkpoint always.

        Raises:
            trio.ClosedResourceError: `close` was called.
        """
        if self._closed:
            raise trio.ClosedResourceError
        if self._ready:
            await trio.lowlevel.checkpoint()
        else:
            if self._task is not None:
                raise trio.BusyResourceError("another task reads this socket")
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._leave)
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
        self._wake()

    def _wake(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    def _leave(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
