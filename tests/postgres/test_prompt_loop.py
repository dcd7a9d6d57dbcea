"""The driver's callbacks run together, and still leave turns to others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import trio
import trio_asyncio

from relay.prompt_loop import CALLBACKS_A_TURN, make_prompt


async def turns_of_others(loop: Any, callbacks: int) -> int:
    """How often somebody else has a turn until a chain of callbacks has run, each of which asks for the next."""
    done = trio.Event()
    turns = 0

    def step(left: int) -> None:
        if left:
            loop.call_soon(step, left - 1)
        else:
            done.set()

    async def somebody_else() -> None:
        nonlocal turns
        while not done.is_set():
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(somebody_else)
        loop.call_soon(step, callbacks)
    return turns


@pytest.mark.parametrize(("callbacks", "least", "most"), [(10, 0, 5), (CALLBACKS_A_TURN * 10, 10, 30)])
async def test_what_is_ready_runs_in_one_turn_but_not_for_ever(callbacks: int, least: int, most: int) -> None:
    async with trio_asyncio.open_loop() as loop:
        make_prompt(loop)
        await turns_of_others(loop, 1)  # it takes effect with the callback after the next
        assert least <= await turns_of_others(loop, callbacks) <= most


async def test_without_it_each_callback_takes_a_turn() -> None:
    """What this is for: if it fails, trio-asyncio does so itself by now, and relay/prompt_loop.py can go."""
    async with trio_asyncio.open_loop() as loop:
        assert await turns_of_others(loop, 50) >= 50


async def test_timers_cancellation_and_errors_are_as_before() -> None:
    failures: list[str] = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    with trio.fail_after(10):
        async with trio_asyncio.open_loop() as loop:
            loop.set_exception_handler(lambda _loop, context: failures.append(type(context["exception"]).__name__))
            make_prompt(loop)
            began = trio.current_time()
            await trio_asyncio.aio_as_trio(asyncio.sleep)(0.05)
            assert trio.current_time() - began >= 0.049
            with trio.move_on_after(0.05) as scope:
                await trio_asyncio.aio_as_trio(asyncio.sleep)(60)
            assert scope.cancelled_caught
            loop.call_soon([].pop)
            with pytest.raises(KeyError):
                await trio_asyncio.aio_as_trio(fails)()
    assert failures == ["IndexError"]
