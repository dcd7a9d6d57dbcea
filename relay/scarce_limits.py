"""Limits on what is scarce, kept in the database: they hold across processes and restarts, and one account has one allowance of a kind.

Messages are limited in memory instead (relay/limits.py), since there a statement more would cost more than the limit protects.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import NamedTuple
from uuid import UUID

from relay.database import Database
from relay.errors import RateLimited, Unauthorized
from relay.queries import limits as sql


class Allowance(NamedTuple):
    """`what` names it in the database; `burst` units at once, and one more every `one_s` seconds."""

    what: str
    burst: int
    one_s: float


class ScarceLimits:
    """Allowances in PostgreSQL. `wall_clock` gives seconds since 1970."""

    def __init__(self, database: Database, *, wall_clock: Callable[[], float]) -> None:
        self._database = database
        self._wall_clock = wall_clock

    async def take(self, account_id: UUID, allowance: Allowance, units: int = 1) -> None:
        """Takes `units` of the account's allowance: all of them or none. Of many at once, no more get some than the allowance covers.

        Call it after whoever asks has proved to be that account, so that a refusal tells nobody else anything.

        Raises:
            RateLimited: with the seconds until they are covered; for more than the burst, until the allowance is full.
            Unauthorized: the account is gone.
            DatabaseUnavailable: perhaps taken, perhaps not.
        """
        now = self._wall_clock()
        cost_s, all_s = units * allowance.one_s, allowance.burst * allowance.one_s
        taken = await self._database.fetchval(sql.TAKE, account_id, allowance.what, now, cost_s, all_s)
        if taken is None:
            raise Unauthorized
        if taken:
            return
        full_at = await self._database.fetchval(sql.FULL_AT, account_id, allowance.what)
        ahead_s = max(0.0, (full_at or now) - now)
        wait_s = ahead_s + cost_s - all_s if cost_s <= all_s else ahead_s
        raise RateLimited(retry_after_s=max(1, ceil(wait_s)))

    async def forget_full(self) -> None:
        """Deletes what says no more than that an allowance is full. A chore of the sweeper.

        Raises:
            DatabaseUnavailable
        """
        await self._database.execute(sql.FORGET_FULL, self._wall_clock())
