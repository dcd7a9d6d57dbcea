"""Notifier: tells the other processes on the same database whom to wake.

Outside the message commit, since NOTIFY in a commit takes a lock that serialises all commits of the database; and coalesced: an account that
gets a hundred envelopes while one notification is under way is named once in the next, and of mail there is one in 10 ms at most, of new
sessions one in 50. Each costs every process a wake-up, so what is told together is also read and written together there.
"""

from __future__ import annotations

import logging
from itertools import islice
from math import inf
from uuid import UUID

import trio

from nursery_tasks.ports import Notifications
from nursery_tasks.wakeup_listener import MAIL, SESSIONS
from relay.errors import DatabaseUnavailable

log = logging.getLogger("relay.notifier")

ACCOUNTS_IN_ONE = 200
"""36 characters and a comma each: under the 8000 bytes that a NOTIFY payload may have."""

RETRY_S = 0.5

EVERY_S = {MAIL: 0.01, SESSIONS: 0.05}
"""Between two notifications of mail, and of sessions: where thousands connect, each would be one. The first after a silence goes at once, and
a ring never waits."""


class Notifier:
    """Collects (topic, account) pairs and sends them as one task."""

    def __init__(self, notifications: Notifications) -> None:
        self._notifications = notifications
        self._pending: dict[str, dict[UUID, None]] = {}
        self._more = trio.Event()
        self._paced_until = dict.fromkeys(EVERY_S, -inf)

    def tell(self, topic: str, account_id: UUID) -> None:
        """Synchronous. A level-triggered wake-up: it carries no data, and naming an account twice is naming it once."""
        if (accounts := self._pending.get(topic)) is None:
            accounts = self._pending[topic] = {}
            self._more.set()
        accounts[account_id] = None

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sends until cancelled. What cannot be sent is kept: the listeners' connections may be fine where this one is not, so
        nobody would look by himself."""
        task_status.started()
        while True:
            topic = await self._next_topic()
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

    async def _next_topic(self) -> str:
        """One that has something to tell and may."""
        while True:
            now = trio.current_time()
            for topic, until in self._paced_until.items():  # first: a flood of rings must not hold up mail
                if topic in self._pending and now >= until:
                    self._paced_until[topic] = now + EVERY_S[topic]
                    return topic
            for topic in self._pending:
                if topic not in EVERY_S:
                    return topic
            self._more = trio.Event()
            with trio.move_on_at(min((self._paced_until[topic] for topic in self._pending), default=inf)):
                await self._more.wait()
