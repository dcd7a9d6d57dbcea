"""Push sender: knocks for accounts that something waits for and nobody fetches.

Nobody keeps a list of who is connected where. Instead, a moment after something was stored for an account that has no session here, the
table is asked whether it still waits: a session on another node has fetched and acknowledged it by then. So a push may be one too many
when a phone is slow, and that costs nothing but the push.
"""

from __future__ import annotations

import logging
from uuid import UUID

import trio

from nursery_tasks.ports import PushService
from relay.errors import DatabaseUnavailable
from relay.records import PushOutcome, PushTarget

log = logging.getLogger("relay.push")

SETTLE_S = 2.0
"""How long a session elsewhere has to fetch and acknowledge. A call rings for a minute, so it may wait that long."""
QUIET_S = 15.0
"""After a push: what comes until then shares the next one. A phone that was woken fetches everything there is."""
FIRST_RETRY_S = 30.0
MOST_TRIES = 6
"""30, 60, 120, 240, 480 s: a push service that is down for longer hears of the next message."""
ACCOUNTS_AT_ONCE = 200
KNOCKS_AT_ONCE = 16
MOST_PENDING = 50_000
"""Accounts that wait to be looked at; past it new ones are not taken, and are when their next message comes."""


class PushSender:
    """`tell` from anywhere, `run` as one task."""

    def __init__(self, service: PushService) -> None:
        self._service = service
        self._due: dict[UUID, float] = {}  # by trio's clock
        self._quiet_until: dict[UUID, float] = {}
        self._tries: dict[UUID, int] = {}
        self._knocking: set[UUID] = set()
        self._changed = trio.Event()

    def tell(self, account_id: UUID) -> None:
        """Synchronous. Something was stored for this account, and it has no session here. Level-triggered: twice is once."""
        if account_id not in self._due and len(self._due) < MOST_PENDING:
            now = trio.current_time()
            self._due[account_id] = max(now + SETTLE_S, self._quiet_until.get(account_id, 0.0))
            self._changed.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Knocks until cancelled."""
        limit = trio.CapacityLimiter(KNOCKS_AT_ONCE)
        async with trio.open_nursery() as nursery:
            task_status.started()
            while True:
                await self._wait_until_due()
                for target in await self._look(self._take_due()):
                    self._knocking.add(target.account_id)
                    nursery.start_soon(self._knock, target, limit)

    async def _wait_until_due(self) -> None:
        while True:
            self._changed = trio.Event()
            soonest = min(self._due.values(), default=float("inf"))
            with trio.move_on_at(soonest):
                await self._changed.wait()
                continue
            return

    def _take_due(self) -> list[UUID]:
        now = trio.current_time()
        self._quiet_until = {one: until for one, until in self._quiet_until.items() if until > now}
        due = [one for one, when in self._due.items() if when <= now][:ACCOUNTS_AT_ONCE]
        for one in due:
            del self._due[one]
        return due

    async def _look(self, account_ids: list[UUID]) -> list[PushTarget]:
        for account_id in [one for one in account_ids if one in self._knocking]:
            self._due[account_id] = trio.current_time() + QUIET_S  # one knock at a time
            account_ids.remove(account_id)
        try:
            targets = list(await self._service.waiting(account_ids))
        except DatabaseUnavailable:
            self._again(account_ids)
            return []
        except Exception as error:
            log.error("%d accounts could not be looked at: %s", len(account_ids), type(error).__name__)
            return []
        for fetched in set(account_ids) - {target.account_id for target in targets}:
            self._tries.pop(fetched, None)
        return targets

    def _again(self, account_ids: list[UUID]) -> None:
        when = trio.current_time() + FIRST_RETRY_S
        for account_id in account_ids:
            self._due.setdefault(account_id, when)

    async def _knock(self, target: PushTarget, limit: trio.CapacityLimiter) -> None:
        account_id = target.account_id
        try:
            async with limit:
                outcome = await self._service.knock(target)
            if outcome is PushOutcome.GONE:
                await self._service.forget(target)
        except DatabaseUnavailable:
            outcome = PushOutcome.SENT  # nothing to repeat: the dead endpoint is found again by the next push
        except Exception as error:
            log.error("a push failed: %s", type(error).__name__)
            outcome = PushOutcome.LATER
        finally:
            self._knocking.discard(account_id)
        now = trio.current_time()
        tries = self._tries.pop(account_id, 0) + 1
        if outcome is PushOutcome.SENT:
            self._quiet_until[account_id] = now + QUIET_S
            if account_id in self._due:
                self._due[account_id] = max(self._due[account_id], now + QUIET_S)
        elif outcome is PushOutcome.LATER and tries < MOST_TRIES:
            self._tries[account_id] = tries
            self._due[account_id] = now + FIRST_RETRY_S * 2 ** (tries - 1)
            self._changed.set()
