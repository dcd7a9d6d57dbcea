"""A line between siblings: the one in memory and the socket promise the same."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio

from relay.sibling_sockets import MOST_A_MESSAGE, Line
from tests.lines import memory_lines

Read = Callable[[Callable[[memoryview], bool]], Awaitable[None]]
Ends = tuple[Any, Any, Read]
"""One end, the other one, and what reads at the other one."""


@pytest.fixture(params=["memory", "socket"])
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[Ends]:
    if request.param == "memory":
        ours, theirs = memory_lines(room=10)
        yield ours, theirs, theirs.read
        return
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    near, far = Line(one), Line(other)
    yield near, far, lambda heard: far.read(memoryview(bytearray(MOST_A_MESSAGE)), heard)
    near.cut()
    far.cut()


async def test_messages_come_whole_and_in_order_and_after_them_the_end(ends: Ends) -> None:
    ours, _, read = ends
    said = [bytes([n]) * (1 + 5000 * n) for n in range(8)]
    for message in said:
        assert ours.send([message[:1], message[1:]])
    ours.cut()
    heard: list[bytes] = []

    def hear(message: memoryview) -> bool:
        heard.append(bytes(message))
        return True

    with trio.fail_after(5):
        await read(hear)
    assert heard == said


async def test_without_room_nothing_of_a_message_is_taken_and_with_room_again_all(ends: Ends) -> None:
    ours, _, read = ends
    sent = 0
    while ours.send([b"%8d" % sent, b"x" * 60_000]):
        sent += 1
    assert 0 < sent < 1000
    heard: list[bytes] = []

    def hear(message: memoryview) -> bool:
        assert len(message) == 60_008
        heard.append(bytes(message[:8]))
        return len(heard) < sent

    with trio.fail_after(5):
        await read(hear)
    assert heard == [b"%8d" % n for n in range(sent)]
    assert ours.send([b"again"])


async def test_who_has_heard_enough_stops_reading(ends: Ends) -> None:
    ours, _, read = ends
    for n in range(3):
        ours.send([bytes([n])])
    heard: list[int] = []

    def hear(message: memoryview) -> bool:
        heard.append(message[0])
        return len(heard) < 2

    with trio.fail_after(5):
        await read(hear)
    assert heard == [0, 1]


async def test_a_line_that_is_cut_takes_nothing_from_either_end(ends: Ends) -> None:
    ours, theirs, _ = ends
    theirs.cut()
    theirs.cut()
    assert not theirs.send([b"one"])
    assert not ours.send([b"two"])


async def test_a_reader_hears_that_its_own_end_was_cut(ends: Ends) -> None:
    _, theirs, read = ends

    async def hear() -> None:
        with suppress(trio.ClosedResourceError):
            await read(lambda _: True)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear)
            await trio.testing.wait_all_tasks_blocked()
            theirs.cut()
