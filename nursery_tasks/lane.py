"""What one session still has to be told, without any I/O: hand-overs, what is in flight, and whether the table must be read.

A lane is in one of two states. *Behind*: something may wait in the table that this session has not read; hand-overs are
dropped, since the table has them. *Caught up*: everything committed before is in flight or acknowledged, and what commits
now is handed over in memory. It is behind at first, unless somebody has looked, and again whenever there is no room for a hand-over:
mail waits in PostgreSQL, never in unbounded memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import Generic, TypeVar
from uuid import UUID

import trio

from nursery_tasks.bell import Bell
from nursery_tasks.ports import PageStore, Wall
from relay.records import Ringing, Waiting

Item = TypeVar("Item", Waiting, Ringing)

PAGE_BYTES = 180_000
"""Bodies in one frame: 4/3 of it in base64, and 64 times the JSON around a body, stay under the 256 KiB of a message."""


class Lane(Generic[Item]):
    """The state of one lane of one session.

    `window_items` and `window_bytes` bound what is in flight unacknowledged (one item may overshoot the bytes); `page_items`
    is what one frame carries, and also how many hand-overs wait: one frame's worth, since when the writer is slower than
    that, reading the table later is cheaper.
    """

    __slots__ = (
        "_behind", "_bell", "_handed", "_handed_bytes", "_in_flight", "_in_flight_bytes", "_leaving", "_next_expiry",
        "_nudged", "_page_items", "_rests", "_window_bytes", "_window_items", "was_nudged",
    )  # fmt: skip

    def __init__(self, *, window_items: int, window_bytes: int, page_items: int, behind: bool = True) -> None:
        self._window_items = window_items
        self._window_bytes = window_bytes
        self._page_items = page_items
        self._in_flight: dict[UUID, tuple[int, float]] = {}  # id -> bytes, when it is worthless
        self._in_flight_bytes = 0
        self._next_expiry = inf  # of what is in flight; may be that of something that has left since
        self._leaving: dict[UUID, None] = {}  # as a set: an empty one takes 150 bytes more
        self._handed: list[Item] = []  # a deque takes 600 bytes when it is empty, and there are two lanes a session
        self._handed_bytes = 0
        self._behind = behind
        self._nudged = False
        self.was_nudged = False
        """Whether `next_items` returned for the sake of `nudge`."""
        self._bell = Bell()
        self._rests = False  # the lane's task waits for the bell

    # -- from outside: the batch writer, the listener, the reader; all synchronous --

    def offer(self, item: Item) -> None:
        """Hands over an item that was committed just now."""
        if self._behind:
            return  # the table has it, and the bell rang when the lane fell behind
        if item.id in self._in_flight or item.id in self._leaving:
            return  # a page was quicker. Noticed now: by the time it is taken it may be gone, and would look new
        if len(self._handed) >= self._page_items or self._handed_bytes + len(item.body) > PAGE_BYTES:
            self.fall_behind()
            return
        self._handed.append(item)
        self._handed_bytes += len(item.body)
        self._bell.ring()

    def hand_over(self, items: Sequence[Item], now: float, *, at_once: bool) -> list[Item]:
        """The same for many. Answers those that the caller sends now, already counted as in flight: with `at_once`, and while the
        lane's task has nothing to do, it need not be woken for them. At most one frame's worth.
        """
        taken: list[Item] = []
        left = iter(items)
        if at_once and self._rests and not self._behind and not self._handed and not self._nudged:
            self._expire(now)
            size = 0
            for item in left:
                size += len(item.body)
                if not self._can_send or len(taken) == self._page_items or (taken and size > PAGE_BYTES):
                    self.offer(item)
                    break
                if item.id not in self._in_flight and item.id not in self._leaving:
                    self._fly(item)
                    taken.append(item)
        for item in left:
            self.offer(item)
        return taken

    def fall_behind(self) -> None:
        """The table may hold what was not handed over. Level-triggered: it carries no data and may come any number of times."""
        self._behind = True
        self._handed.clear()
        self._handed_bytes = 0
        self._bell.ring()

    def nudge(self) -> None:
        """Makes `next_items` return, if only with nothing: the task has something besides items to look at."""
        self._nudged = True
        self._bell.ring()

    def acked(self, ids: Iterable[UUID]) -> list[UUID]:
        """The app has stored these: they leave the window at once, and are kept from being read again until `gone`.

        Answers those that were in flight here.
        """
        left: list[UUID] = []
        if not self._in_flight:  # nothing is, of the signals, when mail is acknowledged
            return left
        for id_ in ids:
            if (flying := self._in_flight.pop(id_, None)) is not None:
                self._in_flight_bytes -= flying[0]
                self._leaving[id_] = None
                left.append(id_)
        if left and (self._behind or self._handed):  # else there is nothing that waits for room
            self._bell.ring()
        return left

    def gone(self, ids: Iterable[UUID]) -> None:
        """The delete of these was tried. Whether or not it succeeded, a row that is still there may be read again."""
        for id_ in ids:
            self._leaving.pop(id_, None)

    # -- the lane's own task --

    @property
    def behind(self) -> bool:
        return self._behind

    async def next_items(self, store: PageStore[Item], account_id: UUID, wall: Wall) -> list[Item]:
        """What to send next, already counted as in flight. Empty when the table was read to its end, or after `nudge`.

        Raises:
            DatabaseUnavailable: the table could not be read.
        """
        while True:
            self._expire(wall())
            self.was_nudged, self._nudged = self._nudged, False
            if self.was_nudged:
                return []
            if self._can_send:
                if self._behind:
                    return await self._read(store, account_id)
                if self._handed:
                    return self._take_handed()
            self._rests = True
            try:
                if self._next_expiry == inf:
                    await self._bell.wait()
                else:
                    with trio.move_on_after(max(0.0, self._next_expiry - wall())):
                        await self._bell.wait()
            finally:
                self._rests = False

    @property
    def _can_send(self) -> bool:
        return len(self._in_flight) < self._window_items and self._in_flight_bytes < self._window_bytes

    async def _read(self, store: PageStore[Item], account_id: UUID) -> list[Item]:
        # Caught up from here on, so that what commits while the table is read is handed over.
        self._behind = False
        limit = min(self._page_items, self._window_items - len(self._in_flight))
        try:
            page, exhausted = await store.page(
                account_id,
                limit=limit,
                max_bytes=min(PAGE_BYTES, self._window_bytes - self._in_flight_bytes),
                skip=self._leaving.keys() | self._in_flight.keys(),
            )
        except BaseException:
            self._behind = True
            raise
        if not exhausted:
            self.fall_behind()
        fresh = [item for item in page if item.id not in self._in_flight and item.id not in self._leaving]
        for item in fresh:
            self._fly(item)
        # Before anything else can run: after it, an early ack could make the second copy look new.
        self._handed = [item for item in self._handed if item.id not in self._in_flight]
        self._handed_bytes = sum(len(item.body) for item in self._handed)
        return fresh

    def _take_handed(self) -> list[Item]:
        taken: list[Item] = []
        while self._handed and self._can_send and len(taken) < self._page_items:
            item = self._handed.pop(0)
            self._handed_bytes -= len(item.body)
            if item.id not in self._in_flight and item.id not in self._leaving:
                self._fly(item)
                taken.append(item)
        return taken

    def _fly(self, item: Item) -> None:
        until: float = getattr(item, "expires_at", inf)
        self._in_flight[item.id] = (len(item.body), until)
        self._in_flight_bytes += len(item.body)
        if until < self._next_expiry:
            self._next_expiry = until

    def _expire(self, now: float) -> None:
        if now < self._next_expiry:
            return
        for id_ in [id_ for id_, (_, until) in self._in_flight.items() if until <= now]:
            self._in_flight_bytes -= self._in_flight.pop(id_)[0]
        self._next_expiry = min((until for _, until in self._in_flight.values()), default=inf)
