"""Partitions of the envelopes: one a week of the time in the envelope id, made ahead, dropped when all in it has expired.

So expiry costs one DROP a week instead of a DELETE a row. An envelope id is a UUIDv7 whose first 48 bits are milliseconds, so
a week is a range of ids.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

from relay.database import Database
from relay.frames import ID_MAX_AGE_S, ID_MAX_AHEAD_S
from relay.queries import mailbox as queries

WEEK_S = 7 * 86400
WEEKS_AHEAD = 2
"""A relay that was stopped for less, or whose sweeper fails for less, still has a partition for what comes in."""

STEADY_FOR_S = 3600.0
STEP_S = 60.0
"""A difference between the two clocks that no slewing makes within an hour."""


class Week(NamedTuple):
    """A partition; `number` counts weeks since 1970."""

    number: int

    @property
    def name(self) -> str:
        return f"envelopes_week_{self.number}"

    @property
    def first(self) -> UUID:
        """The lowest id of the week."""
        return UUID(int=self.number * WEEK_S * 1000 << 80)


def wanted(now: int) -> list[Week]:
    """The weeks that ids may come from, and some ahead."""
    return [
        Week(number)
        for number in range((now - ID_MAX_AGE_S) // WEEK_S, (now + ID_MAX_AHEAD_S) // WEEK_S + WEEKS_AHEAD + 1)
    ]


def expired(names: list[str], now: int, ttl_s: int) -> list[Week]:
    """Of the partitions that are there, those in which everything arrived more than `ttl_s` ago.

    An id may lie ahead of its arrival by an hour and behind it by two days, hence the margin.
    """
    weeks = [Week(int(name.rpartition("_")[2])) for name in names]
    return [week for week in weeks if (week.number + 1) * WEEK_S + ID_MAX_AGE_S + ttl_s < now]


class SteadyClock:
    """Whether the wall clock may be believed when it says that mail is old.

    A machine that starts with a wrong clock, or one that jumps, would else drop everybody's mail within a minute. So nothing is
    dropped before the wall clock has kept step with the monotonic one for an hour; a jump begins the hour anew.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()
        self._since = monotonic()

    def is_steady(self) -> bool:
        now = self._monotonic()
        offset = self._wall() - now
        if abs(offset - self._offset) > STEP_S:
            self._offset, self._since = offset, now
        return now - self._since >= STEADY_FOR_S


async def keep_partitions(database: Database, now: int, ttl_s: int, *, drop: bool = True) -> None:
    """Makes what is wanted and, unless told not to, drops what has expired. Safe in several processes at once: an advisory lock orders them.

    Raises:
        DatabaseUnavailable: tried again at the next sweep; there is a margin of weeks.
    """
    async with database.transaction() as tx:
        await tx.execute(queries.PARTITION_LOCK)
        names = [row["name"] for row in await tx.fetch(queries.PARTITIONS)]
        for week in wanted(now):
            if week.name not in names:
                await tx.execute(queries.PARTITION_MAKE.format(name=week.name))
                end = Week(week.number + 1).first
                await tx.execute(queries.PARTITION_ATTACH.format(name=week.name, first=week.first, end=end))
        for week in expired(names, now, ttl_s) if drop else ():
            await tx.execute(queries.PARTITION_DROP.format(name=week.name))
