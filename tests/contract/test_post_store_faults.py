"""What happens when PostgreSQL fails in the middle of a batch, after the commit that counts."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from nursery_tasks.ports import PostStore
from relay.database import Database
from relay.errors import DatabaseUnavailable, Refusal
from relay.mailbox import PostgresMailbox
from relay.queries import mailbox as queries
from relay.records import Outcome, Posting, Stored
from relay.signals import PostgresSignals
from tests.contract.worlds import SETTINGS, World, body, posting

TABLE = {"mailbox": "envelopes VALUES ($1, $2, 1, 1, false, $3)", "signals": "signals VALUES ($1, $2, 1, now(), $3)"}
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


class Breaking:
    """A held connection that fails one statement."""

    def __init__(self, held: object, statement: str) -> None:
        self._held = held
        self._statement = statement

    def __getattr__(self, name: str) -> object:
        async def call(query: str, *args: object) -> object:
            if query == self._statement:
                raise DatabaseUnavailable
            return await getattr(self._held, name)(query, *args)

        return call


async def test_a_lost_note_does_not_lose_the_batch(real_world: World) -> None:
    """It is committed, so its recipients must be told: as failed, its retries would all be AGAIN."""
    mailbox = real_world.mailbox
    assert isinstance(mailbox, PostgresMailbox)
    full, other = await real_world.add_account(), await real_world.add_account()
    await mailbox.put([posting(full, n) for n in range(8)])
    mailbox._removes = Breaking(mailbox._removes, queries.NOTE_FULL)  # type: ignore[assignment]
    assert await mailbox.put([posting(other), posting(full)]) == [Stored.NEW, Refusal.MAILBOX_FULL]


async def test_a_lost_comparison_leaves_only_the_doubtful_unanswered(real_world: World) -> None:
    mailbox = real_world.mailbox
    assert isinstance(mailbox, PostgresMailbox)
    account_id = await real_world.add_account()
    first = posting(account_id)
    await mailbox.put([first])
    mailbox._puts = Breaking(mailbox._puts, queries.COMPARE)  # type: ignore[assignment]
    assert await mailbox.put([first, posting(account_id)]) == [Refusal.UNAVAILABLE, Stored.NEW]


@pytest.mark.parametrize("kind", ["mailbox", "signals"])
async def test_the_same_retries_in_another_order_do_not_deadlock(real_world: World, kind: str) -> None:
    """Two processes, two batches: while a third transaction holds the middle key, each waits for it with its first key in hand."""
    database = real_world.database
    assert database is not None
    account_id = await real_world.add_account()
    low, middle, high = sorted((posting(account_id, n) for n in range(3)), key=lambda p: p.id)
    stores = getattr(real_world, kind)
    outcomes: list[list[Outcome]] = []

    async def put(store: PostStore, batch: list[Posting]) -> None:
        outcomes.append(await store.put(batch))

    # A second store on the same database stands for the second process.
    another = PostgresMailbox.open(SETTINGS, database) if kind == "mailbox" else PostgresSignals.open(database)
    async with another as other:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                with suppress(_RolledBackError):
                    async with database.transaction() as tx:
                        await tx.execute(f"INSERT INTO {TABLE[kind]}", account_id, middle.id, body("held"))
                        nursery.start_soon(put, stores, [low, middle, high])
                        nursery.start_soon(put, other, [high, middle, low])
                        await _until_waiting(database, 2)
                        raise _RolledBackError
    assert sorted(outcomes, key=str) == [[Stored.AGAIN] * 3, [Stored.NEW] * 3]


class _RolledBackError(Exception):
    pass


async def _until_waiting(database: Database, sessions: int) -> None:
    while await database.fetchval(WAITING) < sessions:  # noqa: ASYNC110  # there is no event for it
        await trio.sleep(0.01)
