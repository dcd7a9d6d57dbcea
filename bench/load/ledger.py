"""Which messages are under way, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil
from time import perf_counter

from bench.load.dialect import Ids


class Message:
    """Times are of time.perf_counter; 0: not yet."""

    __slots__ = ("delivered", "group", "posted", "sent")

    def __init__(self, sent: float, group: Group) -> None:
        self.sent, self.group = sent, group
        self.posted = self.delivered = 0.0


class Group:
    """Messages that were posted together; `done` is called when the last of them is stored."""

    __slots__ = ("done", "left")

    def __init__(self, left: int, done: Callable[[], None]) -> None:
        self.left, self.done = left, done


class Ledger:
    """Every message is here from `sent` until it is both stored and delivered. The clock of both ends is one."""

    def __init__(self) -> None:
        self.under_way: dict[str, Message] = {}
        self.completed = 0
        self.handed_in = 0
        self.posted = 0
        self.delivered = 0
        self.doubled = 0
        """Deliveries of what had been delivered."""
        self.latencies: list[float] | None = None
        """Seconds from post to delivery, while it is a list."""
        self.answer_times: list[float] | None = None
        """Seconds from post to the answer that it is stored."""
        self._quiet: asyncio.Event = asyncio.Event()

    def sent(self, ids: Ids, done: Callable[[], None]) -> None:
        now, group = perf_counter(), Group(len(ids), done)
        self.handed_in += len(ids)
        for id_ in ids:
            self.under_way[id_] = Message(now, group)

    def on_posted(self, ids: Ids) -> None:
        now = perf_counter()
        for id_ in ids:
            message = self.under_way[id_]
            if message.posted:
                continue
            message.posted = now
            self.posted += 1
            if self.answer_times is not None:
                self.answer_times.append(now - message.sent)
            if message.delivered:
                self._complete(id_)
            message.group.left -= 1
            if not message.group.left:
                message.group.done()

    def on_delivered(self, ids: Ids) -> None:
        now = perf_counter()
        for id_ in ids:
            message = self.under_way.get(id_)
            if message is None or message.delivered:
                self.doubled += 1
                continue
            message.delivered = now
            self.delivered += 1
            if self.latencies is not None:
                self.latencies.append(now - message.sent)
            if message.posted:
                self._complete(id_)

    async def quiet(self) -> None:
        """Until nothing is under way."""
        while self.under_way:
            self._quiet.clear()
            await self._quiet.wait()

    def _complete(self, id_: str) -> None:
        del self.under_way[id_]
        self.completed += 1
        if not self.under_way:
            self._quiet.set()


def percentile(values: list[float], share: float) -> float:
    """By nearest rank; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
