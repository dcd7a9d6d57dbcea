"""A socket that says when its bytes came, by the kernel's clock, and when it handed bytes over.

The load generator shares its core, and its loop, with all else that it does: a ring that has come waits until it has a turn. That wait is
not the server's. The kernel notes when a segment arrives (SO_TIMESTAMPNS, socket(7)); of what is read together it tells the latest.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from contextlib import suppress
from typing import Protocol

SO_TIMESTAMPNS = 35  # SCM_TIMESTAMPNS is the same number; the socket module has neither. Linux, asm-generic/socket.h
READ_BYTES = 256 * 1024
_TIMESPEC = struct.Struct("@ll")
_ROOM = socket.CMSG_SPACE(_TIMESPEC.size)


class Reader(Protocol):
    """Seconds since 1970."""

    arrived_at: float
    handed_over_at: float

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def data_received(self, data: bytes) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...


class StampedTransport(asyncio.Transport):
    """As much of a transport as bench/load/websocket.py asks for. Sets the times of its protocol before each call of it, and of each write."""

    def __init__(self, own: socket.socket, protocol: Reader) -> None:
        super().__init__()
        self._socket, self._protocol = own, protocol
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._closing = False
        self._loop.add_reader(own, self._read)
        protocol.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._protocol.handed_over_at = time.time()
        if self._closing:
            return
        if not self._unsent:
            try:
                data = memoryview(data)[self._send(data) :]
            except OSError as error:
                self._end(error)
                return
            if data:
                self._loop.add_writer(self._socket, self._write_on)
        self._unsent += data

    def close(self) -> None:
        """At once, unless something is unsent."""
        self._closing = True
        if not self._unsent:
            self.abort()

    def abort(self) -> None:
        self._end(None)

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        with suppress(BlockingIOError):
            return self._socket.send(data)
        return 0

    def _write_on(self) -> None:
        try:
            del self._unsent[: self._send(self._unsent)]
        except OSError as error:
            self._end(error)
            return
        if not self._unsent:
            self._loop.remove_writer(self._socket)
            if self._closing:
                self._end(None)

    def _read(self) -> None:
        try:
            data, notes, _, _ = self._socket.recvmsg(READ_BYTES, _ROOM)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if not data:
            self._end(None)
            return
        # The kernel begins to stamp a moment after the first socket has asked for it; what came before has no note.
        self._protocol.arrived_at = time.time()
        for level, kind, value in notes:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIMESPEC.unpack(value)
                self._protocol.arrived_at = seconds + nanoseconds / 1e9
        self._protocol.data_received(data)

    def _end(self, why: Exception | None) -> None:
        if self._socket.fileno() < 0:
            return
        self._closing = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._loop.call_soon(self._protocol.connection_lost, why)


async def connect_stamped(protocol: Reader, host: str, port: int, source: str | None) -> None:
    """A connection for this protocol. Raises OSError."""
    own = socket.socket()
    try:
        own.setblocking(False)
        own.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            own.bind((source, 0))
        await asyncio.get_running_loop().sock_connect(own, (host, port))
    except BaseException:
        own.close()
        raise
    StampedTransport(own, protocol)
