"""The heartbeat: who is taken for gone, when, and who is not."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import trio
from trio.testing import MockClock

from relay.errors import Ending
from tests.fakes import MemoryPeer
from tests.sessions.stage import Open, Stage, both, ended, open_mailbox, signal_frame


@both
async def test_a_silent_app_is_gone_35_seconds_after_hello(
    autojump_clock: MockClock, stage: Stage, open_session: Open
) -> None:
    running = open_session(stage)
    await trio.sleep(34.999)
    assert [f for f in running.peer.heard() if f["type"] == "ping"] == [{"type": "ping", "n": 1}]
    assert not running.over.is_set()
    await ended(stage, running, Ending.HEARTBEAT_LOST)
    assert running.ended_at == 35.0


async def test_sessions_that_began_one_after_the_other_are_asked_together(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await trio.sleep(0.01)
    sessions = []
    for _ in range(4):
        sessions.append(await stage.caught_up(stage.account()))
        await trio.sleep(0.0125)
    asked = []
    for running in sessions:
        await running.peer.expect("ping")
        asked.append(trio.current_time())
    assert asked == [25.0625] * 4


@both
@pytest.mark.parametrize("answer", [{"type": "pong", "n": 1}, {"type": "ping", "n": 9}, "own"])
async def test_any_frame_is_a_sign_of_life(
    autojump_clock: MockClock, stage: Stage, open_session: Open, answer: Any
) -> None:
    running = open_session(stage)
    own = {"type": "ack", "ids": [str(uuid4())]} if open_session is open_mailbox else signal_frame(uuid4())
    for beat in range(1, 5):
        await trio.sleep_until(25 * beat + 9.9)  # at the last moment, each time
        running.peer.say(own if answer == "own" else answer)
        await stage.settle()
    pings = [frame for frame in running.peer.heard() if frame["type"] == "ping"]
    assert [ping["n"] for ping in pings] == [1, 2, 3, 4]
    await ended(stage, running, Ending.HEARTBEAT_LOST)
    assert running.ended_at == 5 * 25 + 10


@pytest.mark.parametrize(("asleep_at", "over_at"), [(10, 119.0), (30, 139.0)], ids=["the pause", "the silence"])
async def test_a_process_that_stood_still_does_not_blame_the_app(
    autojump_clock: MockClock, stage: Stage, asleep_at: float, over_at: float
) -> None:
    """It asks, and waits for the answer from then on."""
    running = stage.open_mailbox(stage.account())
    await trio.sleep(asleep_at)
    autojump_clock.jump(100)
    await stage.settle()
    assert not running.over.is_set()
    await ended(stage, running, Ending.HEARTBEAT_LOST)
    assert running.ended_at == over_at


async def test_a_ping_waits_for_room_and_its_answer_has_its_time_from_then_on(
    autojump_clock: MockClock, stage: Stage
) -> None:
    running = await stage.caught_up(stage.account(), MemoryPeer(buffered=1))
    await trio.sleep(24)
    outbox = stage.sessions[-1].outbox
    while outbox.waiting < outbox._most:
        running.peer.say({"type": "ping", "n": 0})
        await stage.settle()
    await trio.sleep(9)
    while (await running.peer.hear())["type"] != "ping":
        pass
    assert trio.current_time() == 33
    await trio.sleep(9)
    assert not running.over.is_set()
    await ended(stage, running, Ending.HEARTBEAT_LOST)
    assert running.ended_at == 43


@both
async def test_a_frame_before_the_ping_is_no_answer_to_it(
    autojump_clock: MockClock, stage: Stage, open_session: Open
) -> None:
    running = open_session(stage)
    await trio.sleep(24.9)
    running.peer.say({"type": "pong", "n": 1})
    await ended(stage, running, Ending.HEARTBEAT_LOST)
    assert running.ended_at == 35.0


@both
async def test_a_ping_is_answered_with_its_number(autojump_clock: MockClock, stage: Stage, open_session: Open) -> None:
    running = open_session(stage)
    running.peer.say({"type": "ping", "n": 2**53})
    await stage.settle()
    assert {"type": "pong", "n": 2**53} in running.peer.heard()
