"""The outbox says things in the order in which they came, whoever writes them, and keeps what was not said."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from nursery_tasks.outbox import Outbox
from relay.frames import Ping, Pong
from tests.fakes import MemoryPeer


async def numbers(peer: MemoryPeer, count: int) -> list[int]:
    return [(await peer.hear())["n"] for _ in range(count)]


async def test_what_is_said_does_not_overtake_what_is_queued() -> None:
    peer = MemoryPeer(buffered=64)
    outbox = Outbox(peer, 8)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.write)
        await trio.testing.wait_all_tasks_blocked()
        outbox.send_nowait(Ping(n=1))  # handed to the writer, which has not had its turn yet
        await outbox.say(Ping(n=2))
        await outbox.send(Ping(n=3))
        await outbox.say(Ping(n=4))
        assert await numbers(peer, 4) == [1, 2, 3, 4]
        nursery.cancel_scope.cancel()


async def test_an_idle_socket_is_written_to_without_the_writer() -> None:
    peer = MemoryPeer()
    written: list[int] = []
    outbox = Outbox(peer, 1, lambda: written.append(1))
    await outbox.say(Pong(n=1))
    await outbox.say(Pong(n=2))
    assert await numbers(peer, 2) == [1, 2]
    assert len(written) == 2


async def test_who_waits_for_room_and_leaves_counts_no_more() -> None:
    peer = MemoryPeer()
    outbox = Outbox(peer, 1)
    await outbox.send(Ping(n=1))
    with trio.move_on_after(0.01):
        await outbox.send(Ping(n=2))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.write)
        assert await numbers(peer, 1) == [1]
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    await outbox.say(Ping(n=3))
    assert await numbers(peer, 1) == [3]


async def test_what_was_on_its_way_is_flushed_first() -> None:
    peer = MemoryPeer(buffered=8)
    outbox = Outbox(peer, 8)
    with trio.CancelScope() as scope:
        scope.cancel()
        await outbox.say(Ping(n=1))
    outbox.send_nowait(Ping(n=2))
    await outbox.flush()
    assert await numbers(peer, 2) == [1, 2]
    outbox.close()
    with pytest.raises(trio.ClosedResourceError):
        outbox.send_nowait(Ping(n=3))


@pytest.mark.parametrize("by", ["the writer", "flush"])
async def test_what_the_socket_took_in_part_is_finished_before_anything_else(by: str) -> None:
    peer = MemoryPeer(buffered=8)
    written: list[int] = []
    outbox = Outbox(peer, 8, lambda: written.append(1))
    peer.cuts_short = True
    outbox.say_at_once(Ping(n=1))
    assert not outbox.idle
    outbox.say_at_once(Ping(n=2))
    outbox.send_nowait(Ping(n=3))
    assert not written
    if by == "flush":
        await outbox.flush()
    else:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.write)
            await outbox.say(Ping(n=4))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert (outbox.idle, len(written)) == (True, 4)
    count = 3 if by == "flush" else 4
    assert await numbers(peer, count) == [1, 2, 3, 4][:count]


async def test_the_writer_hears_of_what_was_cut_short_while_it_slept() -> None:
    peer = MemoryPeer()
    peer.cuts_short = True
    outbox = Outbox(peer, 8)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.write)
        await trio.testing.wait_all_tasks_blocked()
        outbox.say_at_once(Ping(n=1))
        with trio.fail_after(5):
            assert await numbers(peer, 1) == [1]
        nursery.cancel_scope.cancel()


async def test_a_socket_that_takes_nothing_at_once_leaves_it_to_the_writer() -> None:
    peer = MemoryPeer(buffered=1)
    outbox = Outbox(peer, 8)
    outbox.say_at_once(Ping(n=1))
    outbox.say_at_once(Ping(n=2))
    outbox.say_at_once(Ping(n=3))
    assert (peer.sends_at_once, outbox.waiting) == (1, 2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.write)
        assert await numbers(peer, 3) == [1, 2, 3]
        nursery.cancel_scope.cancel()
