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
from relay.headroom import Headroom
from relay.held_connection import HeldConnection
from relay.post_store import ACK_SETUP, HOT_SETUP, PUT_SETUP, PostStore, Statements
from relay.queries import mailbox as queries
from relay.records import BeginAsk, Begun, Notices, Outcome, PageAsk, Posting, Waiting


class PostgresMailbox(PostStore):
    """Four held connections: two with durable commits, that store and that begin sessions, one that deletes, one that reads pages."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        puts: HeldConnection,
        removes: HeldConnection,
        reads: HeldConnection,
        begins: HeldConnection,
    ) -> None:
        super().__init__(
            Statements(queries.PUT, queries.PUT_ONE_EACH, queries.COMPARE, queries.REMOVE), database, puts, removes
        )
        self._reads = reads
        self._begins = begins
        self._quota = (settings.mailbox_envelopes, settings.mailbox_bytes, settings.mailbox_stranger_envelopes)
        self._headroom = Headroom(settings.mailbox_envelopes, settings.mailbox_bytes)

    @staticmethod
    @asynccontextmanager
    async def open(settings: Settings, database: Database) -> AsyncIterator[PostgresMailbox]:
        """The mailbox with its connections, for as long as the block runs."""
        async with (
            database.hold(PUT_SETUP) as puts,
            database.hold(ACK_SETUP) as removes,
            database.hold(HOT_SETUP) as reads,
            database.hold(PUT_SETUP) as begins,
        ):
            yield PostgresMailbox(settings, database, puts, removes, reads, begins)

    async def put(self, batch: Sequence[Posting]) -> list[Outcome]:
        """Commits a batch; one outcome a posting, in order. No (account, id) may occur twice in it.

        Raises:
            DatabaseUnavailable: nothing is known about any of them; the same posts may be put again.
        """
        outcomes = await self._put(batch, [p.at for p in batch], *self._quota, headroom=self._headroom)
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
        return (await self.pages([PageAsk(account_id, limit, max_bytes, skip)]))[0]

    async def pages(self, asked: Sequence[PageAsk]) -> list[tuple[list[Waiting], bool]]:
        """Many pages in one statement (nursery_tasks.page_reader.PagesStore)."""
        skipped: list[UUID] = []
        bounds: list[tuple[int, int]] = []  # a page skips its own ids only: two mailboxes may hold the same id
        for ask in asked:
            bounds.append((len(skipped) + 1, len(skipped) + len(ask.skip)))
            skipped += ask.skip
        rows = await self._reads.fetch(
            queries.PAGES,
            [ask.account_id for ask in asked],
            [ask.limit for ask in asked],
            [ask.max_bytes for ask in asked],
            [first for first, _ in bounds],
            [last for _, last in bounds],
            skipped,
        )
        found: list[list[Waiting]] = [[] for _ in asked]
        candidates = [0] * len(asked)
        for n, id_, at, body, many in rows:
            found[n - 1].append(Waiting(id_, at, body))
            candidates[n - 1] = many
        return [(page, many <= len(page)) for page, many in zip(found, candidates, strict=True)]

    async def begin_sessions(self, asked: Sequence[BeginAsk]) -> list[Begun | None]:
        """See nursery_tasks.ports.Mailbox; notes the day as well. An epoch is on disk before anybody has it: given twice, two sessions
        would both count as the newest."""
        today = datetime.now(UTC).date()
        rows = await self._begins.fetch(
            queries.BEGIN_SESSIONS, [ask.account_id for ask in asked], [ask.token_hash for ask in asked], today
        )
        begun: list[Begun | None] = [None] * len(asked)
        for n, epoch, was_full, mail, signals, prekeys, kyber_prekeys in rows:
            begun[n - 1] = Begun(epoch, mail > 0, signals > 0, Notices(prekeys, kyber_prekeys, was_full))
        return begun

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
