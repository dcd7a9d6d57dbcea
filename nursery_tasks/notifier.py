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

RETRY_S = 0.5


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
        """Sends until cancelled. What cannot be sent is kept: the listeners' connections may be fine where this one is not, so
        nobody would look by himself."""
        task_status.started()
        while True:
            while not self._pending:
                self._more = trio.Event()
                await self._more.wait()
            topic = next(iter(self._pending))
            accounts = self._pending.pop(topic)
            some = list(islice(accounts, ACCOUNTS_IN_ONE))
            for account_id in some:
                del accounts[account_id]
            if accounts:
                self._pending[topic] = accounts  # behind the other topics: a flood of mail must not hold up a ring
            try:
                await self._notifications.notify(topic, some)
            except DatabaseUnavailable:
                log.warning("could not tell other processes of %d accounts yet", len(some))
                for account_id in some:
                    self.tell(topic, account_id)
                await trio.sleep(RETRY_S)
            except Exception as error:
                log.error("could not tell other processes of %d accounts: %s", len(some), type(error).__name__)
