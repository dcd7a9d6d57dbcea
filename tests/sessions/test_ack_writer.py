"""The writer of acknowledgements: deletes by batches, at a pace, and with whom nobody waits."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from nursery_tasks.batch_writer import AckWriter
from relay.errors import DatabaseUnavailable
from relay.records import AckBatch
from tests.fakes import Gate


class Recorder:
    """A store that keeps what it was told to remove."""

    def __init__(self) -> None:
        self.batches: list[list[AckBatch]] = []
        self.gate: Gate | None = None
        self.error: Exception | None = None

    async def remove(self, batch: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.batches.append(list(batch))
        if self.gate is not None:
            await self.gate.pass_through()
        if self.error is not None:
            raise self.error


def acks(count: int) -> AckBatch:
    return AckBatch(uuid4(), 1, tuple(uuid4() for _ in range(count)))


@pytest.fixture
async def store(nursery: trio.Nursery) -> Recorder:
    return Recorder()


@pytest.fixture
async def writer(nursery: trio.Nursery, store: Recorder) -> AckWriter:
    made = AckWriter(store, batch_ids=10, waiting_ids=20)
    await nursery.start(made.run)
    return made


async def test_acks_are_tried_in_batches(store: Recorder, writer: AckWriter, autojump_clock: MockClock) -> None:
    tried: list[int] = []
    for n in range(6):
        writer.submit(acks(4), lambda n=n: tried.append(n))  # type: ignore[misc]
    assert tried == []
    await writer.idle()
    assert tried == list(range(6))
    assert [len(batch) for batch in store.batches] == [3, 3]
    assert trio.current_time() == 0.0


async def test_acks_are_paced_unless_a_batch_is_full(
    store: Recorder, writer: AckWriter, autojump_clock: MockClock
) -> None:
    begun: list[float] = []
    for pause_s in (0, 0.001, 0.002, 0.5):
        await trio.sleep(pause_s)
        writer.submit(acks(1), lambda: begun.append(trio.current_time()))
    await writer.idle()
    assert begun == pytest.approx([0, 0.01, 0.01, 0.503])
    writer.submit(acks(10), lambda: begun.append(trio.current_time()))
    writer.submit(acks(1), lambda: begun.append(trio.current_time()))
    await writer.idle()
    assert begun[4:] == pytest.approx([0.513, 0.523])
    assert [len(batch) for batch in store.batches] == [1, 2, 1, 1, 1]


async def test_another_pace_holds_from_the_next_batch_on(writer: AckWriter, autojump_clock: MockClock) -> None:
    begun: list[float] = []
    writer.pace_s = 0.02
    for _ in range(3):
        writer.submit(acks(1), lambda: begun.append(trio.current_time()))
        await trio.sleep(0.001)
    await writer.idle()
    assert begun == pytest.approx([0, 0.02, 0.02])


@pytest.mark.parametrize("when", ["it waits", "it deletes"])
async def test_a_hurry_takes_what_waits_at_once(
    when: str, store: Recorder, writer: AckWriter, autojump_clock: MockClock
) -> None:
    tried: list[float] = []
    if when == "it deletes":
        store.gate = Gate()
    writer.submit(acks(1), lambda: tried.append(trio.current_time()))
    await wait_all_tasks_blocked()
    writer.submit(acks(1), lambda: tried.append(trio.current_time()))
    writer.hurry()
    if store.gate is not None:
        store.gate.open()
    await writer.idle()
    assert tried == [0, 0]
    writer.submit(acks(1), lambda: tried.append(trio.current_time()))  # the next one has its time again
    await writer.idle()
    assert tried[2:] == pytest.approx([0.01])


@pytest.mark.parametrize("error", [DatabaseUnavailable(), ValueError("somebody's secret")])
async def test_acks_that_fail_were_tried_too(
    store: Recorder, writer: AckWriter, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    store.error = error
    tried: list[int] = []
    writer.submit(acks(1), lambda: tried.append(1))
    await writer.idle()
    store.error = None
    writer.submit(acks(1), lambda: tried.append(2))
    await writer.idle()
    assert tried == [1, 2]
    assert "secret" not in caplog.text


async def test_idle_is_when_everything_was_tried(store: Recorder, writer: AckWriter, autojump_clock: MockClock) -> None:
    store.gate = Gate()
    writer.submit(acks(1), lambda: None)
    idle: list[int] = []

    async def wait(number: int) -> None:
        await writer.idle()
        idle.append(number)

    async with trio.open_nursery() as waiters:
        waiters.start_soon(wait, 1)
        waiters.start_soon(wait, 2)
        await store.gate.reached.wait()
        await wait_all_tasks_blocked()
        assert idle == []
        waiters.cancel_scope.deadline = trio.current_time() + 1
        store.gate.open()
    assert sorted(idle) == [1, 2]


async def test_many_wait_for_room_for_acks(store: Recorder, writer: AckWriter, autojump_clock: MockClock) -> None:
    store.gate = Gate()
    writer.submit(acks(1), lambda: None)
    await store.gate.reached.wait()
    writer.submit(acks(20), lambda: None)
    got: list[int] = []

    async def wait(number: int) -> None:
        await writer.room()
        got.append(number)

    async with trio.open_nursery() as waiters:
        for number in range(4):
            waiters.start_soon(wait, number)
        await wait_all_tasks_blocked()
        assert got == []
        waiters.cancel_scope.deadline = trio.current_time() + 1
        store.gate.open()
    assert sorted(got) == [0, 1, 2, 3]
