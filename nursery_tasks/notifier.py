"""Notifier: tells the other processes on the same database whom to wake.

Outside the message commit, since NOTIFY in a commit takes a lock that serialises all commits of the database; and coalesced:
an account that gets a hundred envelopes while one notification is under way is named once in the next.
"""

from __future__ import annotations

import logging
from itertools import islice
from uuid import UUID

import trio

from nursery_tasks.ports import Notifications
from relay.errors import DatabaseUnavailable

log = logging.getLogger("relay.notifier")

ACCOUNTS_IN_ONE = 200
"""36 characters and a comma each: under the 8000 bytes that a NOTIFY payload may have."""


class Notifier:
    """Collects (topic, account) pairs and sends them as one task."""

    def __init__(self, notifications: Notifications) -> None:
        self._notifications = notifications
        self._pending: dict[str, dict[UUID, None]] = {}
        self._more = trio.Event()

    def tell(self, topic: str, account_id: UUID) -> None:
        """Synchronous. A level-triggered wake-up: it carries no data, and naming an account twice is naming it once."""
        self._pending.setdefault(topic, {})[account_id] = None
        self._more.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sends until cancelled. What cannot be sent is dropped: once the database is back, every listener looks at everything."""
        task_status.started()
        while True:
            while not self._pending:
                self._more = trio.Event()
                await self._more.wait()
            topic, accounts = next(iter(self._pending.items()))
            some = list(islice(accounts, ACCOUNTS_IN_ONE))
            for account_id in some:
                del accounts[account_id]
            if not accounts:
                del self._pending[topic]
            try:
                await self._notifications.notify(topic, some)
            except DatabaseUnavailable:
                log.warning("could not tell other processes of %d accounts", len(some))
