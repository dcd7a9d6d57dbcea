"""The lane by itself: random interleavings of commits, pages, hand-overs, acks and deletes. Its rules are in nursery_tasks/lane.py."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from nursery_tasks.lane import PAGE_BYTES, Lane
from relay.errors import DatabaseUnavailable
from relay.records import Ringing, Waiting
from tests.fakes import Gate
from tests.sessions.stage import wall

ACCOUNT = UUID(int=1)
SIZES = (10, 30)
WINDOW, WINDOW_BYTES, PAGE = 5, 90, 3
FOREVER = 2**40


@dataclass
class Table:
    """Rows in order of arrival; a page takes its snapshot at once, and arrives when its gate opens."""

    rows: dict[UUID, Ringing] = field(default_factory=dict)
    gate: Gate | None = None
    fails: bool = False
    calls: int = 0

    async def page(
        self, account_id: UUID, *, limit: int, max_bytes: int, skip: Collection[UUID]
    ) -> tuple[list[Ringing], bool]:
        self.calls += 1
        assert limit >= 1
        assert max_bytes >= 1
        left = [row for row in self.rows.values() if row.id not in skip and row.expires_at > wall()]
        page: list[Ringing] = []
        while len(page) < min(limit, len(left)) and (
            not page or sum(len(p.body) for p in page) + len(left[len(page)].body) <= max_bytes
        ):
            page.append(left[len(page)])
        await trio.lowlevel.checkpoint()
        if self.gate is not None:
            await self.gate.pass_through()
        if self.fails:
            raise DatabaseUnavailable
        return page, len(page) == len(left)


class Model:
    """A lane, its table, and an app that checks what it gets."""

    def __init__(self) -> None:
        self.table = Table()
        self.lane: Lane[Ringing] = Lane(window_items=WINDOW, window_bytes=WINDOW_BYTES, page_items=PAGE)
        self.committed: list[UUID] = []
        self.delivered: list[UUID] = []
        self.in_flight: dict[UUID, Ringing] = {}
        self.deleting: deque[tuple[UUID, ...]] = deque()
        self.leaving: set[UUID] = set()  # until a delete of it was tried
        self.untold: deque[Ringing] = deque()
        self.free = trio.Event()
        self.free.set()

    async def consume(self) -> None:
        while True:
            items = await self.lane.next_items(self.table, ACCOUNT, wall)
            for item in items:
                assert self.gone(item.id), "delivered twice while in flight"
                assert item.id not in self.leaving, "delivered while it is being deleted"
                self.in_flight[item.id] = item
                self.delivered.append(item.id)
            alive = [item for item in self.in_flight.values() if item.expires_at > wall()]
            assert len(alive) <= WINDOW
            assert sum(len(item.body) for item in alive) < WINDOW_BYTES + max(SIZES)
            assert sum(len(item.body) for item in items) <= PAGE_BYTES
            assert len(items) <= PAGE
            await trio.lowlevel.checkpoint()
            await self.free.wait()

    def gone(self, id_: UUID) -> bool:
        return id_ not in self.in_flight or self.in_flight[id_].expires_at <= wall()

    def commit(self, size: int, ttl_s: int) -> Ringing:
        item = Ringing(UUID(int=100 + len(self.committed)), (ttl_s and int(wall()) + ttl_s) or FOREVER, bytes(size))
        self.committed.append(item.id)
        self.table.rows[item.id] = item
        return item

    async def step(self, op: str, number: int) -> None:
        if op == "commit":
            self.lane.offer(self.commit(SIZES[number % 2], 0))
        elif op == "commit, tell later":  # between a commit and its hand-over other tasks run
            self.untold.append(self.commit(SIZES[number % 2], 0))
        elif op == "tell" and self.untold:
            self.lane.offer(self.untold.popleft())
        elif op == "commit elsewhere":
            self.commit(SIZES[number % 2], 0)
            self.lane.fall_behind()
        elif op == "commit short":
            self.lane.offer(self.commit(SIZES[number % 2], 1 + number))
        elif op == "ack" and self.in_flight:
            ids = tuple(self.in_flight)[: 1 + number % 3]
            for id_ in ids:
                del self.in_flight[id_]
            self.leaving.update(self.lane.acked(ids))
            self.deleting.append(ids)
        elif op == "ack again" and self.delivered:
            ids = (self.delivered[number % len(self.delivered)],)
            self.in_flight.pop(ids[0], None)
            self.leaving.update(self.lane.acked(ids))
            self.deleting.append(ids)
        elif op in ("deleted", "not deleted") and self.deleting:
            ids = self.deleting.popleft()
            if op == "deleted":
                for id_ in ids:
                    self.table.rows.pop(id_, None)
            self.lane.gone(ids)
            self.leaving.difference_update(ids)
        elif op == "slow page" and self.table.gate is None:
            self.table.gate = Gate()
        elif op == "page arrives" and self.table.gate is not None:
            gate, self.table.gate = self.table.gate, None
            gate.open()
        elif op == "busy" and self.free.is_set():  # the task is at the outbox, or tells notices
            self.free = trio.Event()
        elif op == "free":
            self.free.set()
        elif op == "nudge":
            self.lane.nudge()
        elif op == "a second":
            await trio.sleep(1)
        elif op == "settle":
            await wait_all_tasks_blocked()

    async def finish(self) -> None:
        """Everybody is told, everything is acknowledged: then all must have come, and nothing may be left."""
        await self.step("page arrives", 0)
        await self.step("free", 0)
        while self.untold:
            await self.step("tell", 0)
        for _ in range(2):
            while True:
                await wait_all_tasks_blocked()
                if not self.in_flight and not self.deleting:
                    break
                await self.step("ack", 2)
                while self.deleting:
                    await self.step("deleted", 0)
            self.lane.fall_behind()  # what could not be deleted comes now
        await wait_all_tasks_blocked()
        mortal = {row.id for row in self.table.rows.values() if row.expires_at <= wall()}
        assert set(self.committed) - set(self.delivered) <= mortal
        assert set(self.table.rows) <= mortal
        lane = self.lane
        assert (lane._in_flight, lane._in_flight_bytes, lane._leaving) == ({}, 0, {})
        assert (len(lane._handed), lane._handed_bytes, lane.behind) == (0, 0, False)


OPS = (
    "commit", "commit", "commit", "commit, tell later", "tell", "commit elsewhere", "commit short", "ack", "ack",
    "ack again", "deleted", "deleted", "not deleted", "slow page", "page arrives", "busy", "free", "nudge", "a second", "settle", "settle",
)  # fmt: skip


@settings(max_examples=1000, derandomize=True, deadline=None, database=None)
@given(st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 5)), max_size=60))
@example([("slow page", 0), ("settle", 0), *[("commit", 0)] * 5, ("page arrives", 0)])
@example([("commit, tell later", 0), ("settle", 0), ("ack", 0), ("deleted", 0), ("tell", 0)])
def test_all_of_it_comes_and_nothing_twice(steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        model = Model()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(model.consume)
            for op, number in steps:
                await model.step(op, number)
            await model.finish()
            nursery.cancel_scope.cancel()

    trio.run(play, clock=MockClock(autojump_threshold=0))


# -- one by one --------------------------------------------------------------------------------------------------------


def item(number: int, size: int = 10, expires_at: int = FOREVER) -> Ringing:
    return Ringing(UUID(int=number), expires_at, bytes(size))


def lane(window_items: int = 4, window_bytes: int = 10**6, page_items: int = 3) -> Lane[Ringing]:
    return Lane(window_items=window_items, window_bytes=window_bytes, page_items=page_items)


async def caught_up(of: Lane[Ringing], table: Table) -> None:
    assert await of.next_items(table, ACCOUNT, wall) == []
    assert not of.behind


async def test_a_failed_page_leaves_it_behind(autojump_clock: MockClock) -> None:
    one, table = lane(), Table(fails=True)
    with pytest.raises(DatabaseUnavailable):
        await one.next_items(table, ACCOUNT, wall)
    assert one.behind
    table.fails = False
    await caught_up(one, table)


async def test_a_page_that_is_cancelled_leaves_it_behind(autojump_clock: MockClock) -> None:
    one, table = lane(), Table(gate=Gate())
    with trio.move_on_after(1):
        await one.next_items(table, ACCOUNT, wall)
    assert one.behind


async def test_what_a_page_brought_is_not_handed_over_after_it(autojump_clock: MockClock) -> None:
    """Its hand-over was late, the next page is being read, and meanwhile the app acknowledges it and it is deleted."""
    one, table = lane(), Table(rows={UUID(int=1): item(1)})
    assert await one.next_items(table, ACCOUNT, wall) == [item(1)]
    one.fall_behind()
    table.gate = Gate()
    got: list[Ringing] = []

    async def read() -> None:
        got.extend(await one.next_items(table, ACCOUNT, wall))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await table.gate.reached.wait()
        one.offer(item(1))
        one.acked([UUID(int=1)])
        table.rows.clear()
        one.gone([UUID(int=1)])
        table.gate.open()
    assert got == []
    with trio.move_on_after(10) as nothing_comes:
        await one.next_items(table, ACCOUNT, wall)
    assert nothing_comes.cancelled_caught


async def test_an_overflow_while_a_page_is_read_makes_it_read_again(autojump_clock: MockClock) -> None:
    one, table = lane(), Table(gate=Gate())
    got: list[Ringing] = []

    async def read() -> None:
        got.extend(await one.next_items(table, ACCOUNT, wall))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        assert table.gate is not None
        await table.gate.reached.wait()
        for number in range(4):
            table.rows[UUID(int=number)] = item(number)
            one.offer(item(number))
        table.gate.open()
    assert (got, one.behind) == ([], True)
    assert [i.id.int for i in await one.next_items(table, ACCOUNT, wall)] == [0, 1, 2]


@pytest.mark.parametrize(("sizes", "behind"), [([10] * 3, False), ([10] * 4, True), ([90_000] * 2, False),
                                               ([90_000, 90_001], True), ([PAGE_BYTES + 1], True)])  # fmt: skip
async def test_what_waits_in_memory_is_one_frame(autojump_clock: MockClock, sizes: list[int], behind: bool) -> None:
    one = lane()
    await caught_up(one, Table())
    for number, size in enumerate(sizes):
        one.offer(item(number, size))
    assert one.behind is behind
    assert len(one._handed) == (0 if behind else len(sizes))


async def test_the_bell_is_heard_while_nobody_waits(autojump_clock: MockClock) -> None:
    one, table = lane(), Table()
    await caught_up(one, table)
    one.offer(item(1))
    assert await one.next_items(table, ACCOUNT, wall) == [item(1)]
    one.nudge()
    assert await one.next_items(table, ACCOUNT, wall) == []
    one.fall_behind()
    assert await one.next_items(table, ACCOUNT, wall) == []
    with trio.move_on_after(1000) as forever:
        await one.next_items(table, ACCOUNT, wall)
    assert forever.cancelled_caught  # and nothing spins: the clock of this test could not jump


async def test_only_what_was_in_flight_is_answered_as_acked(autojump_clock: MockClock) -> None:
    one, table = lane(), Table()
    await caught_up(one, table)
    one.offer(item(1))
    await one.next_items(table, ACCOUNT, wall)
    one.offer(item(2))
    assert one.acked([UUID(int=1), UUID(int=1), UUID(int=2), UUID(int=3)]) == [UUID(int=1)]
    assert one._leaving == {UUID(int=1): None}
    assert await one.next_items(table, ACCOUNT, wall) == [item(2)]


async def test_a_wall_clock_that_stands_still_makes_nothing_spin(autojump_clock: MockClock) -> None:
    one, table = lane(window_items=1), Table()
    await caught_up(one, table)
    reads: list[float] = []

    def stuck() -> float:
        reads.append(trio.current_time())
        return 1000.0

    one.offer(item(1, expires_at=1005))
    assert await one.next_items(table, ACCOUNT, stuck) == [item(1, expires_at=1005)]
    with trio.move_on_after(100):
        await one.next_items(table, ACCOUNT, stuck)
    assert len(reads) < 100


def test_mail_never_expires() -> None:
    mail = Lane[Waiting](window_items=2, window_bytes=100, page_items=2)
    mail._fly(Waiting(UUID(int=1), 0, b""))
    mail._expire(1e18)
    assert list(mail._in_flight) == [UUID(int=1)]
