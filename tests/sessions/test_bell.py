"""A bell wakes one sleeper, loses no ring, and survives a sleeper that is cancelled."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from nursery_tasks.bell import Bell


async def test_a_ring_wakes_the_sleeper_once() -> None:
    bell = Bell()
    woken: list[int] = []

    async def sleep_twice() -> None:
        for n in (1, 2):
            await bell.wait()
            woken.append(n)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleep_twice)
        for n in (1, 2):
            await trio.testing.wait_all_tasks_blocked()
            assert woken == [1, 2][: n - 1]
            assert bell.waited_for
            bell.ring()
            assert not bell.waited_for
    assert woken == [1, 2]


async def is_silent(bell: Bell) -> bool:
    with trio.move_on_after(0.01) as waiting:
        await bell.wait()
    return waiting.cancelled_caught


async def test_a_ring_that_nobody_waits_for_is_kept_once() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    with trio.testing.assert_checkpoints():
        await bell.wait()
    assert await is_silent(bell)


async def test_a_ring_between_waking_and_running_is_kept() -> None:
    bell = Bell()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bell.wait)
        await trio.testing.wait_all_tasks_blocked()
        bell.ring()
        bell.ring()  # the sleeper is awake, and has not looked yet
    with trio.fail_after(1):
        await bell.wait()


async def test_who_is_cancelled_sleeps_no_more_and_takes_no_ring_along() -> None:
    bell = Bell()
    with trio.move_on_after(0.01):
        await bell.wait()
    assert not bell.waited_for
    bell.ring()
    with trio.CancelScope() as scope:
        scope.cancel()
        await bell.wait()
    assert scope.cancelled_caught
    with trio.fail_after(1):
        await bell.wait()


async def test_who_rang_before_the_cancellation_is_heard() -> None:
    bell = Bell()
    heard = []

    async def sleeper() -> None:
        await bell.wait()
        heard.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sleeper)
        await trio.testing.wait_all_tasks_blocked()
        bell.ring()
        nursery.cancel_scope.cancel()
    assert heard == [True]


async def test_a_hushed_ring_is_forgotten() -> None:
    bell = Bell()
    bell.ring()
    bell.hush()
    assert await is_silent(bell)


async def test_a_second_sleeper_is_a_bug() -> None:
    bell = Bell()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bell.wait)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await bell.wait()
        bell.ring()
