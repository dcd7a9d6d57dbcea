"""Page reader: the way of waiting envelopes out of the database, shared by all sessions of a process.

One wake-up names many accounts, and each of their sessions looks at once: what is asked for while one statement is under way is read by the
next one, together. Nobody waits for a timer.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import trio

from relay.errors import DatabaseUnavailable
from relay.records import PageAsk

log = logging.getLogger("relay.pages")

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


class _Asked(Generic[Item]):
    __slots__ = ("answered", "ask", "bug", "page")

    def __init__(self, ask: PageAsk) -> None:
        self.ask = ask
        self.answered = trio.Event()
        self.page: Page[Item] | None = None
        self.bug: Exception | None = None


class PageReader(Generic[Item]):
    """Satisfies nursery_tasks.ports.PageStore while `run` runs. At most one ask a session waits: its drainer's."""

    def __init__(self, store: PagesStore[Item]) -> None:
        self._store = store
        self._waiting: dict[_Asked[Item], None] = {}  # in order; what is given up leaves from the middle
        self._more = trio.Event()

    async def page(self, account_id: UUID, *, limit: int, max_bytes: int, skip: Collection[UUID]) -> Page[Item]:
        """See nursery_tasks.ports.PageStore: what was committed before the call is in it, or was skipped.

        Raises:
            DatabaseUnavailable
            RuntimeError: a bug, its cause beside it.
        """
        asked = _Asked[Item](PageAsk(account_id, limit, max_bytes, skip))
        self._waiting[asked] = None
        self._more.set()
        try:
            await asked.answered.wait()
        finally:
            self._waiting.pop(asked, None)
        if asked.page is not None:
            return asked.page
        if asked.bug is not None:
            raise RuntimeError("the page was not read") from asked.bug
        raise DatabaseUnavailable

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Reads until cancelled. A statement that fails fails everybody in it: sessions end, and apps come again."""
        task_status.started()
        while True:
            while not self._waiting:
                self._more = trio.Event()
                await self._more.wait()
            batch = self._take()
            try:
                pages = await self._store.pages([asked.ask for asked in batch])
                for asked, page in zip(batch, pages, strict=True):
                    asked.page = page
            except DatabaseUnavailable:
                log.warning("%d mailboxes could not be read: the database does not answer", len(batch))
            except Exception as error:
                log.error("%d mailboxes could not be read: %s", len(batch), type(error).__name__)
                for asked in batch:
                    asked.bug = error
            for asked in batch:
                asked.answered.set()

    def _take(self) -> list[_Asked[Item]]:
        """The next ones, no account twice: a session and its successor may both ask."""
        batch: dict[UUID, _Asked[Item]] = {}
        for asked in islice(self._waiting, PAGES_IN_ONE):
            batch.setdefault(asked.ask.account_id, asked)
        for asked in batch.values():
            del self._waiting[asked]
        return list(batch.values())
