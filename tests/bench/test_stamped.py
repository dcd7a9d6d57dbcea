"""Times of the bench that are the kernel's: what the load generator does meanwhile is not in them. On real sockets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from bench.load.stamped import SO_TIMESTAMPNS, connect_stamped

BUSY_S = 0.3


class Ear:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.arrived_at = self.handed_over_at = 0.0
        self.heard = bytearray()
        self.lost: list[Exception | None] = []
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@pytest.fixture(scope="module", autouse=True)
def stamps() -> Iterator[None]:
    """The kernel begins to stamp a moment after the first socket has asked for it, and goes on while one does."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as asking:
        asking.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        other, _ = listener.accept()
        with other:
            notes: list[object] = []
            while not notes:
                other.send(b"?")
                _, notes, _, _ = asking.recvmsg(1, 1024)
            yield


def with_an_ear(scene: Callable[[Ear, asyncio.Transport, socket.socket], Awaitable[None]]) -> None:
    """Both ends of one TCP connection: the ear's, and a plain socket that does not block."""

    async def play() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ear = Ear()
            await connect_stamped(ear, *listener.getsockname(), source="127.0.0.1")
            other, _ = listener.accept()
            with other:
                assert ear.transport is not None
                other.setblocking(False)
                await scene(ear, ear.transport, other)

    asyncio.run(play())


def test_what_came_while_the_generator_was_busy_came_when_it_came() -> None:
    async def scene(ear: Ear, _transport: asyncio.Transport, other: socket.socket) -> None:
        other.send(b"ring")
        came = time.time()
        time.sleep(BUSY_S)  # noqa: ASYNC251 (this is the generator that is busy)
        await until(lambda: ear.heard)
        assert ear.heard == b"ring"
        assert came - BUSY_S / 2 < ear.arrived_at < came + BUSY_S / 2

    with_an_ear(scene)


def test_of_what_is_read_together_the_latest_counts() -> None:
    async def scene(ear: Ear, _transport: asyncio.Transport, other: socket.socket) -> None:
        other.send(b"one ")
        time.sleep(BUSY_S)  # noqa: ASYNC251
        second = time.time()
        other.send(b"two")
        await until(lambda: len(ear.heard) == 7)
        assert ear.heard == b"one two"
        assert ear.arrived_at > second - BUSY_S / 2, "a ring may have taken longer than is said, never less"

    with_an_ear(scene)


def test_what_is_written_goes_at_once_and_whole() -> None:
    async def scene(ear: Ear, transport: asyncio.Transport, other: socket.socket) -> None:
        transport.write(b"ring")
        assert abs(ear.handed_over_at - time.time()) < BUSY_S
        assert other.recv(100) == b"ring", "a loop that writes later would give the ring a head start or a delay"

        much = bytes(range(256)) * 64 * 1024  # more than the kernel takes at once
        transport.write(much)
        transport.write(b" and then")
        transport.close()  # after what was written
        got = bytearray()
        loop = asyncio.get_running_loop()
        while part := await loop.sock_recv(other, 1 << 20):
            got += part
        assert got == much + b" and then"
        await until(lambda: ear.lost)
        assert ear.lost == [None]

    with_an_ear(scene)


def test_the_end_is_told_once() -> None:
    async def scene(ear: Ear, transport: asyncio.Transport, other: socket.socket) -> None:
        other.close()
        await until(lambda: ear.lost)
        transport.abort()
        transport.write(b"to nobody")
        await asyncio.sleep(0.01)
        assert ear.lost == [None]

    with_an_ear(scene)


def test_what_is_written_to_who_has_gone_is_no_error_of_the_writer() -> None:
    async def scene(ear: Ear, transport: asyncio.Transport, other: socket.socket) -> None:
        transport.write(b"never read")
        other.close()  # with something unread: a reset
        for _ in range(3):
            transport.write(b"to nobody")
        await until(lambda: ear.lost)
        (why,) = ear.lost
        assert isinstance(why, ConnectionError)

    with_an_ear(scene)
