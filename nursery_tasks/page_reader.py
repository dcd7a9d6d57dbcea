"""Page reader: the way of waiting envelopes out of the database, shared by all sessions of a process.

One wake-up names many accounts, and each of their sessions looks at once: so their pages are read together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import trio

from nursery_tasks.together import Together
from relay.records import PageAsk

Item = TypeVar("Item")
Page = tuple[list[Item], bool]

PAGES_IN_ONE = 32
"""Pages of one statement: 180 KB of bodies each at most, so 6 MB in memory."""


class PagesStore(Protocol[Item]):
    """Where many pages are read at once."""

    async def pages(self, asked: Sequence[PageAsk]) -> Sequence[Page[Item]]:
        """One page an ask, in order. No account may occur twice.

        Raises:
            DatabaseUnavailable
        """


class PageReader(Generic[Item]):
    """Satisfies nursery_tasks.ports.PageStore while `run` runs. At most one ask a session waits: its drainer's."""

    def __init__(self, store: PagesStore[Item]) -> None:
        # No account twice: a session and its successor may both ask.
        self._together: Together[PageAsk, Page[Item]] = Together(
            store.pages, key=lambda ask: ask.account_id, most=PAGES_IN_ONE, what="reading a mailbox"
        )

    async def page(self, account_id: UUID, *, limit: int, max_bytes: int, skip: Collection[UUID]) -> Page[Item]:
        """See nursery_tasks.ports.PageStore: what was committed before the call is in it, or was skipped.

        Raises:
            DatabaseUnavailable
            RuntimeError: a bug, its cause beside it.
        """
        return await self._together.ask(PageAsk(account_id, limit, max_bytes, skip))

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Reads until cancelled."""
        await self._together.run(task_status)
