"""What the kernel takes in part: the rest of a frame goes before anything else, and nobody writes into its middle."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from hypercorn.config import Config

from relay.edge import EdgeSettings, FencedConnection
from relay.errors import PeerGone, SlowReader

BIG = 1 << 22


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


def connection(ours: socket.socket, **limits: float) -> FencedConnection:
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
    edge: Any = SimpleNamespace(settings=EdgeSettings(**limits))  # type: ignore[arg-type]
    nothing: Any = None
    return FencedConnection(edge, nothing, Config(), nothing, nothing, stream)


async def heard(theirs: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        await trio.lowlevel.wait_readable(theirs)
        data += theirs.recv(1 << 16)
    return bytes(data)


async def test_the_rest_of_what_was_taken_in_part_goes_first(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    wire = connection(ours)
    sent = wire.write_at_once(b"a" * BIG)
    assert 0 < sent < BIG
    taken = len(theirs.recv(1 << 16))  # there is room again, but not for anybody else
    assert wire.write_at_once(b"b") == 0
    came: list[bytes] = []
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                came.append(await heard(theirs, BIG - taken + 2))

            nursery.start_soon(read)
            await wire.write(b"")
            await trio.lowlevel.wait_writable(ours)
            assert wire.write_at_once(b"c") == 1
            await wire.write(b"d")
    assert came[0].lstrip(b"a") == b"cd"


async def test_nobody_writes_at_once_while_a_write_waits(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    wire = connection(ours)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wire.write, b"a" * BIG)
            await trio.testing.wait_all_tasks_blocked()
            taken = len(theirs.recv(1 << 16))
            assert wire.write_at_once(b"b") == 0
            assert (await heard(theirs, BIG - taken)).strip(b"a") == b""
        assert wire.write_at_once(b"b") == 1


async def test_a_rest_that_nobody_takes_ends_the_connection(ends: tuple[socket.socket, socket.socket]) -> None:
    wire = connection(ends[0], write_deadline_s=0.05)
    assert 0 < wire.write_at_once(b"a" * BIG) < BIG
    with pytest.raises(SlowReader):
        await wire.write(b"")
    assert wire.write_at_once(b"b") == 0
    with pytest.raises(SlowReader):
        await wire.write(b"b")


async def test_a_peer_that_has_left_is_told_by_the_next_write(ends: tuple[socket.socket, socket.socket]) -> None:
    wire = connection(ends[0])
    ends[1].close()
    assert wire.write_at_once(b"a") == 0
    with pytest.raises(PeerGone):
        await wire.write(b"a")
