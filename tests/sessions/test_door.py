"""The door of the mailbox: a few at a time, in order, and nobody waits for ever."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from relay.errors import Unavailable
from relay.routes.sockets import BEGIN_AT_ONCE, BEGIN_WITHIN_S, Door


async def test_a_crowd_comes_in_by_turns_and_in_order(autojump_clock: MockClock) -> None:
    door = Door()
    inside, most, order = 0, 0, []

    async def come(number: int) -> None:
        nonlocal inside, most
        async with door.place():
            inside += 1
            most = max(most, inside)
            order.append(number)
            await trio.sleep(0.01)
            inside -= 1

    async with trio.open_nursery() as nursery:
        for number in range(20 * BEGIN_AT_ONCE):
            nursery.start_soon(come, number)
            await trio.lowlevel.checkpoint()
    assert most == BEGIN_AT_ONCE
    assert sorted(order) == list(range(20 * BEGIN_AT_ONCE))
    # Those that get their places together may run in any order; nobody is overtaken by a later group.
    assert all(abs(place - number) < 2 * BEGIN_AT_ONCE for place, number in enumerate(order))


async def test_who_waits_too_long_is_told_to_come_again_and_takes_no_place(autojump_clock: MockClock) -> None:
    door = Door()
    async with trio.open_nursery() as nursery:

        async def stay() -> None:
            async with door.place():
                await trio.sleep(2 * BEGIN_WITHIN_S)

        for _ in range(BEGIN_AT_ONCE):
            nursery.start_soon(stay)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Unavailable):
            async with door.place():
                pytest.fail("there was a place")
        assert trio.current_time() >= BEGIN_WITHIN_S
    async with door.place():
        pass


async def test_who_fails_or_leaves_gives_the_place_back(autojump_clock: MockClock) -> None:
    door = Door()
    for _ in range(BEGIN_AT_ONCE + 1):
        with pytest.raises(KeyError):
            async with door.place():
                raise KeyError
        with trio.move_on_after(1):
            async with door.place():
                await trio.sleep_forever()
    assert trio.current_time() < BEGIN_WITHIN_S * BEGIN_AT_ONCE
