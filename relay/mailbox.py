"""The mailbox: the durable queue of sealed envelopes, in PostgreSQL. Satisfies nursery_tasks.ports.Mailbox.

Envelopes wait in order of arrival until acknowledged. Draining keeps no cursor: order of commit is not order of id or seq, and a
cursor would skip rows that commit late. It reads what is not in flight.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

from relay.config import Settings
from relay.database import Database
from relay.errors import DatabaseUnavailable, Refusal
from relay.held_connection import HeldConnection
from relay.post_store import ACK_SETUP, PUT_SETUP, PostStore, Statements
from relay.queries import mailbox as queries
from relay.records import Notices, Outcome, Posting, Waiting


class PostgresMailbox(PostStore):
    """Two held connections: one that stores (durable commits), one that deletes. Pages come over the pool."""

    def __init__(self, settings: Settings, database: Database, puts: HeldConnection, removes: HeldConnection) -> None:
        statements = Statements(queries.COMPARE, queries.REMOVE, queries.PAGE)
        super().__init__(statements, database, puts, removes)
        self._quota = (settings.mailbox_envelopes, settings.mailbox_bytes, settings.mailbox_stranger_envelopes)

    @staticmethod
    @asynccontextmanager
    async def open(settings: Settings, database: Database) -> AsyncIterator[PostgresMailbox]:
        """The mailbox with its connections, for as long as the block runs."""
        async with database.hold(PUT_SETUP) as puts, database.hold(ACK_SETUP) as removes:
            yield PostgresMailbox(settings, database, puts, removes)

    async def put(self, batch: Sequence[Posting]) -> list[Outcome]:
        """Commits a batch; one outcome a posting, in order. No (account, id) may occur twice in it.

        Raises:
            DatabaseUnavailable: nothing is known about any of them; the same posts may be put again.
        """
        rows = await self._puts.fetch(
            queries.PUT,
            [p.account_id for p in batch],
            [p.id for p in batch],
            [p.access_hash for p in batch],
            [p.body for p in batch],
            [p.at for p in batch],
            [p.wait_s > 0 for p in batch],
            *self._quota,
        )
        outcomes = await self._outcomes(batch, rows)
        full = {p.account_id for p, outcome in zip(batch, outcomes, strict=True) if outcome is Refusal.MAILBOX_FULL}
        if full:
            # The batch is committed by now; a note that is lost is written with the next refusal.
            with suppress(DatabaseUnavailable):
                await self._removes.execute(queries.NOTE_FULL, list(full))
        return outcomes

    async def page(
        self, account_id: UUID, *, limit: int, max_bytes: int, skip: Collection[UUID]
    ) -> tuple[list[Waiting], bool]:
        """See nursery_tasks.ports.PageStore."""
        rows, exhausted = await self._page(account_id, limit, max_bytes, skip)
        return [Waiting(row["envelope_id"], row["arrived_at"], row["body"]) for row in rows], exhausted

    async def begin_session(self, account_id: UUID, recoveries: int = 0) -> int | None:
        """Counts the session epoch up and notes the day; None if there is no such account, or it was recovered another number of times."""
        today = datetime.now(UTC).date()
        epoch: int | None = await self._database.fetchval(queries.BEGIN_SESSION, account_id, today, recoveries)
        return epoch

    async def epochs(self, account_ids: Collection[UUID]) -> dict[UUID, int]:
        """The newest session epoch of each of these accounts that exists."""
        rows = await self._database.fetch(queries.EPOCHS, list(account_ids))
        return {row["account_id"]: row["session_epoch"] for row in rows}

    async def notices(self, account_id: UUID) -> Notices:
        """One-time keys that are left, and whether a post found the mailbox full since it was last asked."""
        row = await self._database.fetchrow(queries.NOTICES, account_id)
        if row is None:  # deleted just now: its session is about to end, and there is nothing to tell
            return Notices(prekeys=2**31, kyber_prekeys=2**31, mailbox_was_full=False)
        return Notices(row["prekeys"], row["kyber_prekeys"], row["mailbox_was_full"])
