"""Signals: call signals and typing, which live a minute at most, in an UNLOGGED table. Satisfies nursery_tasks.ports.Signals.

They have connections of their own, so a ring never waits behind a batch of mail.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from relay.database import Database
from relay.held_connection import HeldConnection
from relay.post_store import ACK_SETUP, PostStore, Statements
from relay.queries import signals as queries
from relay.records import Outcome, Posting, Ringing

MOST_SIGNALS = 256
"""Unexpired signals an account may have: a minute of trickled candidates and typing, many times over."""


class PostgresSignals(PostStore):
    """Two held connections, both without durable commits: the table itself is not durable."""

    def __init__(self, database: Database, puts: HeldConnection, removes: HeldConnection) -> None:
        super().__init__(
            Statements(queries.PUT, queries.PUT_ONE_EACH, queries.COMPARE, queries.REMOVE), database, puts, removes
        )

    @staticmethod
    @asynccontextmanager
    async def open(database: Database) -> AsyncIterator[PostgresSignals]:
        """The signals with their connections, for as long as the block runs."""
        async with database.hold(ACK_SETUP) as puts, database.hold(ACK_SETUP) as removes:
            yield PostgresSignals(database, puts, removes)

    async def put(self, batch: Sequence[Posting]) -> list[Outcome]:
        """Stores a batch; one outcome a posting, in order. No (account, id) may occur twice in it.

        Raises:
            DatabaseUnavailable: nothing is known about any of them.
        """
        return await self._put(batch, [p.expires_at for p in batch], MOST_SIGNALS)

    async def page(
        self, account_id: UUID, *, limit: int, max_bytes: int, skip: Collection[UUID]
    ) -> tuple[list[Ringing], bool]:
        """See nursery_tasks.ports.PageStore. Expired signals are not in it."""
        rows = await self._database.fetch(queries.PAGE, account_id, list(skip), limit, max_bytes)
        exhausted = not rows or rows[0]["candidates"] <= len(rows)
        return [Ringing(row["signal_id"], row["expires_at"], row["body"]) for row in rows], exhausted

    async def sweep(self) -> None:
        """Deletes what has expired."""
        await self._database.execute(queries.SWEEP)
