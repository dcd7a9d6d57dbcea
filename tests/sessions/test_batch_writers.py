"""Batch writers: group commit, what an answer means, and who waits for room."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from nursery_tasks.batch_writer import FULLER, FULLER_WITHIN_S, PostWriter
from relay.errors import DatabaseUnavailable, Refusal
from relay.records import Outcome, Posting, Stored
from tests.fakes import Gate, MemoryAccounts, MemoryMailbox, MemoryPoster, MemoryRates, new_id
from tests.sessions.stage import KEY, body, wall


class Desk:
    """A post writer, and a list of what it did in which order."""

    more_comes = False
    """Whether frames are there that nobody has read yet."""

    def __init__(self, nursery: trio.Nursery, **options: int) -> None:
        self.done: list[tuple[str, Any]] = []
        self.committed: list[dict[UUID, list[UUID]]] = []
        self.away: set[UUID] = set()
        """Whom `on_committed` tells."""
        self.accounts = MemoryAccounts()
        self.store = MemoryMailbox(self.accounts, wall)
        self.rates = MemoryRates()
        self.poster = MemoryPoster()
        self.writer = PostWriter(
            self.store,
            self.rates,
            lambda postings: self.done.extend(("stored", posting.id) for posting in postings),
            lambda account_id: self.done.append(("again", account_id)),
            lambda account_id: self.done.append(("full", account_id)),
            on_committed=self._committed,
            more_comes=lambda: self.more_comes,
            **options,
        )
        self.scope = trio.CancelScope()
        self.account_id = self.accounts.add(KEY)
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        with self.scope:
            await self.writer.run()

    def _committed(self, batch: Sequence[tuple[UUID, Sequence[Posting]]]) -> Collection[UUID]:
        self.committed.append({account_id: [posting.id for posting in own] for account_id, own in batch})
        if away := {account_id for account_id, _ in batch if account_id in self.away}:
            self.done.append(("told together", away))
        return away

    def posting(self, fill: int | str = 0, to: UUID | None = None, size: int = 1024, key: bytes = KEY) -> Posting:
        return Posting(to or self.account_id, new_id(wall()), sha256(key).digest(), body(fill, size), int(wall()))

    def submit(self, *postings: Posting, poster: MemoryPoster | None = None) -> None:
        for posting in postings:
            self.writer.submit(posting, poster or self.poster)

    async def committing(self) -> Gate:
        """A batch of one post that is on its way, and stays there until the gate is opened."""
        gate = self.store.gates["put"] = Gate()
        self.submit(self.posting("first"))
        await gate.reached.wait()
        del self.store.gates["put"]
        return gate

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for _, outcome in self.poster.answers]

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.store.batches]


@pytest.fixture
async def desk(nursery: trio.Nursery) -> AsyncIterator[Desk]:
    made = Desk(nursery, batch_items=8, waiting_items=16)
    await wait_all_tasks_blocked()
    yield made
    made.scope.cancel()


# -- batches ---------------------------------------------------------------------------------------------------------


async def test_a_lone_post_goes_at_once(desk: Desk, autojump_clock: MockClock) -> None:
    desk.submit(desk.posting())
    await wait_all_tasks_blocked()
    assert desk.outcomes == [Stored.NEW]
    assert trio.current_time() == 0.0


async def test_what_comes_during_a_commit_shares_the_next(desk: Desk, autojump_clock: MockClock) -> None:
    gate = await desk.committing()
    desk.submit(*(desk.posting(n) for n in range(5)))
    await wait_all_tasks_blocked()
    assert (desk.outcomes, desk.done) == ([], [])
    gate.open()
    await wait_all_tasks_blocked()
    assert desk.sizes == [1, 5]
    assert desk.outcomes == [Stored.NEW] * 6
    assert trio.current_time() == 0.0


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("until", ["nothing more comes", "it is worth it", "it has waited"])
async def test_while_more_is_there_to_be_read_a_small_batch_waits(
    until: str, nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    desk = Desk(nursery)
    desk.more_comes = True
    desk.submit(*(desk.posting(n) for n in range(FULLER - 1)))
    await turns()
    mock_clock.jump(0.9 * FULLER_WITHIN_S)
    await turns()
    assert desk.outcomes == []
    match until:
        case "nothing more comes":
            desk.more_comes = False
        case "it is worth it":
            desk.submit(desk.posting("one more"))
        case "it has waited":
            mock_clock.jump(0.2 * FULLER_WITHIN_S)
    await turns()
    assert desk.sizes == [FULLER if until == "it is worth it" else FULLER - 1]
    desk.scope.cancel()


async def test_answers_do_not_wait_for_the_next_batch_to_fill(nursery: trio.Nursery, mock_clock: MockClock) -> None:
    desk = Desk(nursery)
    gate = await desk.committing()
    desk.more_comes = True
    desk.submit(desk.posting("second"))
    gate.open()
    await turns()
    assert (desk.sizes, desk.outcomes) == ([1], [Stored.NEW])
    desk.scope.cancel()


async def test_draining_refuses_what_waits_for_more(nursery: trio.Nursery, mock_clock: MockClock) -> None:
    desk = Desk(nursery)
    desk.more_comes = True
    desk.submit(desk.posting())
    await turns()
    with trio.fail_after(FULLER_WITHIN_S):
        nursery.start_soon(desk.writer.drain)
        await turns()
        assert desk.outcomes == [Refusal.UNAVAILABLE]
        desk.more_comes = False
        await turns()
    assert desk.sizes == []
    desk.scope.cancel()


@pytest.mark.parametrize("end", ["commits", "is cancelled"])
async def test_a_batch_is_told_while_the_next_one_is_committed(end: str, desk: Desk, autojump_clock: MockClock) -> None:
    first = await desk.committing()
    second = desk.store.gates["put"] = Gate()
    desk.submit(*(desk.posting(n) for n in range(5)))
    first.open()
    await second.reached.wait()
    if end == "is cancelled":
        desk.scope.cancel()  # in the very turn: what was committed before is told all the same
    await wait_all_tasks_blocked()
    assert (desk.outcomes, len(desk.done)) == ([Stored.NEW], 1)
    second.open()
    await wait_all_tasks_blocked()
    assert len(desk.outcomes) == len(desk.done) == (6 if end == "commits" else 1)


async def test_a_batch_has_a_bound(desk: Desk, autojump_clock: MockClock) -> None:
    gate = await desk.committing()
    batch = [desk.posting(n) for n in range(20)]
    desk.submit(*batch)
    gate.open()
    await wait_all_tasks_blocked()
    assert desk.sizes == [1, 8, 8, 4]
    assert [p.id for b in desk.store.batches for p in b][1:] == [p.id for p in batch]


async def test_the_recipient_is_told_before_the_poster(desk: Desk, autojump_clock: MockClock) -> None:
    posting = desk.posting()
    desk.poster.answered = lambda answers: desk.done.append(("answered", None))  # type: ignore[method-assign]
    desk.submit(posting)
    await wait_all_tasks_blocked()
    assert desk.done == [("stored", posting.id), ("answered", None)]


async def test_whom_the_first_call_tells_the_second_does_not(desk: Desk, autojump_clock: MockClock) -> None:
    """The first has all that is new of the batch, and nothing else; the second has who is left, one at a time."""
    gate = await desk.committing()
    carol, dave = desk.accounts.add(KEY), desk.accounts.add(KEY)
    desk.away = {carol, dave}
    here, again = [desk.posting("1"), desk.posting("2")], desk.posting("again")
    away = [desk.posting("3", carol), desk.posting("4", dave), desk.posting("5", carol)]
    desk.submit(here[0], away[0], again, away[1], here[1], away[2], desk.posting("no access", carol, key=bytes(16)))
    await desk.store.put([again])
    gate.open()
    await wait_all_tasks_blocked()
    assert desk.committed[1:] == [
        {desk.account_id: [p.id for p in here], carol: [away[0].id, away[2].id], dave: [away[1].id]}
    ]
    assert desk.done[1:] == [
        ("again", desk.account_id), ("told together", {carol, dave}), ("stored", here[0].id), ("stored", here[1].id),
    ]  # fmt: skip
    assert len(desk.outcomes) == 8, "everybody is answered, whoever told the recipient"


async def test_one_call_a_poster(desk: Desk, autojump_clock: MockClock) -> None:
    gate = await desk.committing()
    posters = [MemoryPoster() for _ in range(3)]
    sent: list[list[UUID]] = [[], [], []]
    for n in range(8):
        posting = desk.posting(n)
        desk.submit(posting, poster=posters[n % 3])
        sent[n % 3].append(posting.id)
    gate.open()
    await wait_all_tasks_blocked()
    assert [poster.calls for poster in posters] == [1, 1, 1]
    assert [[id_ for id_, _ in poster.answers] for poster in posters] == sent


async def test_the_same_id_twice_is_two_batches_and_holds_up_nobody(desk: Desk, autojump_clock: MockClock) -> None:
    gate = await desk.committing()
    one, other, more = desk.posting("one"), desk.posting("other"), desk.posting("more")
    conflict = one._replace(body=body("another"))
    desk.submit(one, one, conflict, other, one, more)
    gate.open()
    await wait_all_tasks_blocked()
    assert [[p.id for p in batch] for batch in desk.store.batches[1:]] == [
        [one.id, other.id, more.id], [one.id], [one.id], [one.id],
    ]  # fmt: skip
    assert [o for id_, o in desk.poster.answers if id_ == one.id] == [
        Stored.NEW, Stored.AGAIN, Refusal.CONFLICT, Stored.AGAIN,
    ]  # fmt: skip
    assert len(desk.poster.answers) == 7


async def test_the_same_id_to_two_accounts_is_one_batch(desk: Desk, autojump_clock: MockClock) -> None:
    gate = await desk.committing()
    one = desk.posting()
    desk.submit(one, one._replace(account_id=desk.accounts.add(KEY)))
    gate.open()
    await wait_all_tasks_blocked()
    assert desk.sizes == [1, 2]


# -- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [DatabaseUnavailable(), ValueError("somebody's secret")])
async def test_a_batch_that_fails_fails_alone(
    desk: Desk, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    desk.store.errors["put"] = error
    desk.submit(desk.posting(1), desk.posting(2))
    await wait_all_tasks_blocked()
    del desk.store.errors["put"]
    desk.submit(desk.posting(3))
    await wait_all_tasks_blocked()
    assert desk.outcomes == [Refusal.UNAVAILABLE, Refusal.UNAVAILABLE, Stored.NEW]
    assert [word for word, _ in desk.done] == ["stored"]
    assert "2 posts" in caplog.text
    assert "secret" not in caplog.text


async def test_draining_refuses_what_waits_and_lets_the_commit_finish(desk: Desk, autojump_clock: MockClock) -> None:
    gate = await desk.committing()
    desk.submit(desk.posting(1))
    drained: list[int] = []

    async def drain(number: int) -> None:
        await desk.writer.drain()
        drained.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain, 1)
        nursery.start_soon(drain, 2)
        await wait_all_tasks_blocked()
        assert (drained, desk.outcomes) == ([], [Refusal.UNAVAILABLE])
        desk.submit(desk.posting(2))
        assert desk.outcomes == [Refusal.UNAVAILABLE] * 2
        gate.open()
    assert desk.outcomes == [Refusal.UNAVAILABLE] * 2 + [Stored.NEW]
    await desk.writer.drain()
    with trio.fail_after(1):
        await desk.writer.room()


async def test_draining_is_done_when_nothing_is_committed(desk: Desk, autojump_clock: MockClock) -> None:
    with trio.fail_after(0.001):
        await desk.writer.drain()


async def test_draining_does_not_wait_for_a_writer_that_was_cancelled(desk: Desk, autojump_clock: MockClock) -> None:
    await desk.committing()
    desk.scope.cancel()
    with trio.fail_after(1):
        await desk.writer.drain()
    assert desk.outcomes == []


# -- room ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "fits"), [(1024, 16), (65536, 512)], ids=["by count", "by bytes"])
async def test_everybody_who_waits_for_room_gets_it(
    nursery: trio.Nursery, autojump_clock: MockClock, size: int, fits: int
) -> None:
    desk = Desk(nursery, batch_items=8, waiting_items=16 if size == 1024 else 10_000)
    gate = await desk.committing()
    desk.submit(*(desk.posting(n, size=size) for n in range(fits - 1)))
    with trio.fail_after(0.001):
        await desk.writer.room()
    desk.submit(desk.posting(size=size))
    got: list[int] = []

    async def wait_for_room(number: int) -> None:
        await desk.writer.room()
        got.append(number)

    async with trio.open_nursery() as waiters:
        for number in range(5):
            waiters.start_soon(wait_for_room, number)
        await wait_all_tasks_blocked()
        assert got == []
        waiters.cancel_scope.deadline = trio.current_time() + 5
        gate.open()
    assert sorted(got) == [0, 1, 2, 3, 4]
    desk.scope.cancel()


async def test_room_is_counted_back_to_nothing(desk: Desk, autojump_clock: MockClock) -> None:
    gate = await desk.committing()
    one = desk.posting()
    desk.submit(one, one, desk.posting(1, size=65536), one)
    gate.open()
    await wait_all_tasks_blocked()
    assert desk.writer._queue.size == 0
    gate = await desk.committing()
    desk.submit(desk.posting(), desk.posting(size=4096))
    gate.open()
    await desk.writer.drain()
    assert desk.writer._queue.size == 0


# -- rates -----------------------------------------------------------------------------------------------------------


async def test_what_reaches_the_store_is_charged(desk: Desk, autojump_clock: MockClock) -> None:
    desk.submit(desk.posting(size=1024), desk.posting(size=4096))
    await wait_all_tasks_blocked()
    assert desk.rates.charged == [(desk.account_id, 1024), (desk.account_id, 4096)]
    assert desk.rates.given_back == []


async def test_over_the_rate_the_store_judges_and_nothing_is_given_back(desk: Desk, autojump_clock: MockClock) -> None:
    desk.rates.wait_s[desk.account_id] = 9
    desk.submit(desk.posting(), desk.posting(key=bytes(16)))
    await wait_all_tasks_blocked()
    assert desk.outcomes == [Refusal.RATE_LIMITED, Refusal.NO_ACCESS]
    assert [p.wait_s for p in desk.store.batches[0]] == [9, 9]
    assert (desk.rates.charged, desk.rates.given_back) == ([], [])


async def test_who_has_no_access_uses_nothing_up(desk: Desk, autojump_clock: MockClock) -> None:
    nobody = uuid4()
    desk.submit(desk.posting(key=bytes(16)), desk.posting(to=nobody))
    await wait_all_tasks_blocked()
    assert desk.rates.given_back == desk.rates.charged == [(desk.account_id, 1024), (nobody, 1024)]


async def test_a_batch_that_failed_is_given_back(desk: Desk, autojump_clock: MockClock) -> None:
    """Else the retries of an outage would leave their recipients no allowance."""
    desk.store.errors["put"] = DatabaseUnavailable()
    desk.submit(desk.posting())
    await wait_all_tasks_blocked()
    assert desk.rates.given_back == desk.rates.charged == [(desk.account_id, 1024)]


async def test_who_must_be_told_what(desk: Desk, autojump_clock: MockClock) -> None:
    desk.store._quota = (1, 10**6, 1)
    first = desk.posting()
    desk.submit(first)
    await wait_all_tasks_blocked()
    desk.submit(first, desk.posting(), desk.posting(key=bytes(16)))
    await wait_all_tasks_blocked()
    assert desk.done == [("stored", first.id), ("again", desk.account_id), ("full", desk.account_id)]
