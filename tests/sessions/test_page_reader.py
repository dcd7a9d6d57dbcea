"""The page reader: what waits is read together, and nobody's cancellation or trouble is another's for longer than one statement."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from nursery_tasks.page_reader import PAGES_IN_ONE, PageReader
from relay.errors import DatabaseUnavailable
from relay.records import PageAsk, Waiting
from tests.fakes import Gate

Page = tuple[list[Waiting], bool]


class Store:
    """Answers each ask with one envelope that tells whose it is; waits or fails when told to."""

    def __init__(self) -> None:
        self.asked: list[list[PageAsk]] = []
        self.gate: Gate | None = None
        self.errors: list[Exception] = []

    async def pages(self, asked: Sequence[PageAsk]) -> list[Page]:
        self.asked.append(list(asked))
        await trio.lowlevel.checkpoint()
        if self.gate is not None:
            await self.gate.pass_through()
        if self.errors:
            raise self.errors.pop(0)
        return [page_of(ask.account_id) for ask in asked]

    @property
    def sizes(self) -> list[int]:
        return [len(asked) for asked in self.asked]


def page_of(account_id: UUID) -> Page:
    return [Waiting(account_id, 0, b"")], True


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def reader(nursery: trio.Nursery, store: Store) -> PageReader[Waiting]:
    made = PageReader(store)
    await nursery.start(made.run)
    return made


class Asking:
    """One who asks, as a task of its own."""

    def __init__(self, reader: PageReader[Waiting], nursery: trio.Nursery, account_id: UUID | None = None) -> None:
        self.account_id = account_id or uuid4()
        self.scope = trio.CancelScope()
        self.came: Page | Exception | None = None
        nursery.start_soon(self._ask, reader)

    async def _ask(self, reader: PageReader[Waiting]) -> None:
        with self.scope:
            try:
                self.came = await reader.page(self.account_id, limit=64, max_bytes=1000, skip=())
            except Exception as error:  # what a session would end by
                self.came = error

    @property
    def got_its_own(self) -> bool:
        return self.came == page_of(self.account_id)


async def test_who_asks_at_once_is_read_at_once(
    autojump_clock: MockClock, reader: PageReader[Waiting], store: Store, nursery: trio.Nursery
) -> None:
    all_ = [Asking(reader, nursery) for _ in range(20)]
    await wait_all_tasks_blocked()
    assert all(one.got_its_own for one in all_)
    assert store.sizes == [20]
    assert trio.current_time() == 0.0, "without a timer"


async def test_a_statement_has_a_bound(
    autojump_clock: MockClock, reader: PageReader[Waiting], store: Store, nursery: trio.Nursery
) -> None:
    all_ = [Asking(reader, nursery) for _ in range(2 * PAGES_IN_ONE + 1)]
    await wait_all_tasks_blocked()
    assert all(one.got_its_own for one in all_)
    assert store.sizes == [PAGES_IN_ONE, PAGES_IN_ONE, 1]


async def test_an_ask_is_never_read_by_a_statement_that_is_older(
    autojump_clock: MockClock, reader: PageReader[Waiting], store: Store, nursery: trio.Nursery
) -> None:
    gate = store.gate = Gate()
    first = Asking(reader, nursery)
    await gate.reached.wait()
    store.gate = None
    second = Asking(reader, nursery, first.account_id)
    await wait_all_tasks_blocked()
    gate.open()
    await wait_all_tasks_blocked()
    assert first.got_its_own
    assert second.got_its_own
    assert store.sizes == [1, 1]


async def test_an_account_is_not_twice_in_a_statement(
    autojump_clock: MockClock, reader: PageReader[Waiting], store: Store, nursery: trio.Nursery
) -> None:
    account_id = uuid4()
    all_ = [Asking(reader, nursery, account_id), Asking(reader, nursery, account_id), Asking(reader, nursery)]
    await wait_all_tasks_blocked()
    assert all(one.got_its_own for one in all_)
    assert store.sizes == [2, 1]


async def test_whoever_goes_away_takes_nobody_along(
    autojump_clock: MockClock, reader: PageReader[Waiting], store: Store, nursery: trio.Nursery
) -> None:
    gate = store.gate = Gate()
    being_read = [Asking(reader, nursery) for _ in range(2)]
    await gate.reached.wait()
    store.gate = None
    waiting = [Asking(reader, nursery) for _ in range(2)]
    await wait_all_tasks_blocked()
    being_read[0].scope.cancel()
    waiting[0].scope.cancel()
    await wait_all_tasks_blocked()
    gate.open()
    await wait_all_tasks_blocked()
    assert [one.came is None for one in (*being_read, *waiting)] == [True, False, True, False]
    assert being_read[1].got_its_own
    assert waiting[1].got_its_own
    assert store.sizes == [2, 1], "what nobody waits for any more is not read"


async def test_trouble_ends_those_in_it_and_not_the_next(
    autojump_clock: MockClock,
    reader: PageReader[Waiting],
    store: Store,
    nursery: trio.Nursery,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.errors = [DatabaseUnavailable(), ValueError("somebody's secret")]
    kinds = []
    for _ in range(2):
        all_ = [Asking(reader, nursery) for _ in range(3)]
        await wait_all_tasks_blocked()
        kinds.append({type(one.came) for one in all_})
    assert kinds == [{DatabaseUnavailable}, {RuntimeError}]
    after = Asking(reader, nursery)
    await wait_all_tasks_blocked()
    assert after.got_its_own
    assert "secret" not in caplog.text
