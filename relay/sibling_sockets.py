"""Sockets between the worker processes of one machine: how they find each other in `var/siblings`, and what they read and write.

Each process listens on a Unix socket in that directory and connects to the sockets of the others, in order to give (nursery_tasks/siblings.py);
so each pair has two connections. They keep records apart (SOCK_SEQPACKET): a message is one system call to write and one to read, and is
taken whole or not at all. The directory is its owner's alone, and both ends ask the kernel whose process the other one is. Without all of
this the relay runs as well: then workers hear of each other through the database only.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import stat
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import trio

log = logging.getLogger("relay.siblings")

LOOK_EVERY_S: Final = 5.0
DEAD_AFTER_S: Final = 60.0
"""A socket on which nobody listens, and that nobody has touched for so long. Its process touches it at every look."""
BUFFER_BYTES: Final = 1024 * 1024
MOST_A_MESSAGE: Final = 256 * 1024
MESSAGES_A_TURN: Final = 2
"""Each is as much as is said in one turn. Then others have theirs."""
MOST_LINES: Final = 256


class _End(Protocol):
    def heard(self, message: memoryview) -> bool: ...
    def ended(self) -> None: ...


class _Siblings(Protocol):
    def giver(self, line: Line) -> _End: ...
    def taker(self, line: Line) -> _End: ...
    async def run(self) -> None: ...


class Line:
    """One connection (nursery_tasks.siblings.Line)."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._is_cut = False

    def send(self, parts: Sequence[bytes]) -> bool:
        if self._is_cut:
            return False
        try:
            self._peer.sendmsg(parts)
        except OSError:  # no room, or it has gone, which its reader will hear of
            return False
        return True

    def cut(self) -> None:
        if not self._is_cut:
            self._is_cut = True
            trio.lowlevel.notify_closing(self._peer)  # wakes the reader
            self._peer.close()

    async def read(self, buffer: memoryview, heard: Callable[[memoryview], bool]) -> None:
        """Hands on what comes until it ends, is cut, or `heard` has enough. `buffer` is used within a turn only."""
        while True:
            # Not by relay/readiness.py: there who says much waits for all who say little, and this is many members' mail.
            await trio.lowlevel.wait_readable(self._peer)
            for _ in range(MESSAGES_A_TURN):
                try:
                    size = self._peer.recv_into(buffer)
                except BlockingIOError:
                    break
                if not 0 < size < len(buffer) or not heard(buffer[:size]) or self._is_cut:
                    return


class SiblingSockets:
    """The sockets of this process."""

    def __init__(self, directory: Path, siblings: _Siblings) -> None:
        self._path = directory
        self._siblings = siblings
        self._own = secrets.token_hex(8)  # no process id: containers that share a directory may have the same ones
        self._buffer = memoryview(bytearray(MOST_A_MESSAGE))
        self._met: set[str] = set()
        self._lines = 0
        self._somebody_came = trio.Event()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Meets siblings until cancelled; returns at once, after a warning, if it cannot."""
        try:
            directory = _open_directory(self._path)
        except OSError as error:
            log.warning("workers of this machine tell each other by the database only: %s", error.strerror)
            task_status.started()
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK) as listener:
                try:
                    listener.bind(_in(directory, self._own))
                    listener.listen(MOST_LINES)
                except OSError as error:
                    log.warning("workers of this machine tell each other by the database only: %s", error.strerror)
                    task_status.started()
                    return
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._siblings.run)
                    nursery.start_soon(self._accept, listener, nursery)
                    self._meet(directory, nursery)
                    task_status.started()
                    await self._look_around(directory, nursery)
        finally:
            with suppress(OSError):
                os.unlink(self._own, dir_fd=directory)
            os.close(directory)

    async def _accept(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        while True:
            await trio.lowlevel.wait_readable(listener)
            try:
                peer, _ = listener.accept()
            except BlockingIOError:
                continue
            except OSError:
                await trio.sleep(1)
                continue
            if _is_ours(peer) and self._lines < MOST_LINES:
                peer.setblocking(False)
                nursery.start_soon(self._serve, peer, self._siblings.taker, "")
                self._somebody_came.set()
            else:
                peer.close()

    async def _look_around(self, directory: int, nursery: trio.Nursery) -> None:
        while True:
            with trio.move_on_after(LOOK_EVERY_S):
                await self._somebody_came.wait()
            self._somebody_came = trio.Event()
            self._meet(directory, nursery)

    def _meet(self, directory: int, nursery: trio.Nursery) -> None:
        names: list[str] = []
        with suppress(OSError):  # too many open files, most likely: the next look may do better
            os.utime(self._own, dir_fd=directory)
            names = os.listdir(directory)
        for name in names:
            if name == self._own or name in self._met or self._lines >= MOST_LINES:
                continue
            if (peer := _connected(directory, name)) is not None:
                self._met.add(name)
                nursery.start_soon(self._serve, peer, self._siblings.giver, name)

    async def _serve(self, peer: socket.socket, role: Callable[[Line], _End], name: str) -> None:
        self._lines += 1
        try:
            with peer:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
                line = Line(peer)
                end = role(line)
                try:
                    await line.read(self._buffer, end.heard)
                finally:
                    line.cut()
                    end.ended()
        except (OSError, trio.ClosedResourceError):
            pass
        except Exception as error:
            # A bug must not take the process down; its text could hold anything, so only its type is logged.
            log.error("a line between workers failed: %s", type(error).__name__)
        finally:
            self._met.discard(name)
            self._lines -= 1


def _open_directory(path: Path) -> int:
    """Raises OSError, also when others may look into it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(directory)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        os.close(directory)
        raise PermissionError(0, f"{path} must be its owner's alone (0700)")
    return directory


def _in(directory: int, name: str) -> str:
    """A path by way of the open directory: the whole one may be longer than the address of a socket may be."""
    return f"/proc/self/fd/{directory}/{name}"


def _connected(directory: int, name: str) -> socket.socket | None:
    """A connection to the sibling that listens there. Removes what was left behind."""
    try:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    except OSError:
        return None
    try:
        peer.connect(_in(directory, name))
        if _is_ours(peer):
            return peer
    except ConnectionRefusedError:
        with suppress(OSError):
            if time.time() - os.stat(name, dir_fd=directory).st_mtime > DEAD_AFTER_S:
                os.unlink(name, dir_fd=directory)
    except OSError:
        pass
    peer.close()
    return None


def _is_ours(peer: socket.socket) -> bool:
    """Whether the other end's process has our user."""
    size = struct.calcsize("3i")
    try:
        _pid, uid, _gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    except OSError:
        return False
    return bool(uid == os.geteuid())
