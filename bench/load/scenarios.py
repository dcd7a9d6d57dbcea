"""What the load generator can do. Each scenario gets its job and answers with plain numbers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import Any

from bench.load.dialect import Recipient, Sender, new_id
from bench.load.ledger import Ledger, percentile

Job = dict[str, Any]
Say = Callable[[dict[str, Any]], None]
Ask = Callable[[], Awaitable[str]]
"""Waits for the next line from whoever started us."""

SETTLE_S = 60.0
AT_ONCE = 64
"""Connections that are being opened at the same time."""


async def together(calls: Sequence[Callable[[], Awaitable[None]]], at_once: int = AT_ONCE) -> None:
    """All of them, so many at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(call: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await call()

    await asyncio.gather(*(one(call) for call in calls))


class Pump:
    """One sender that keeps `outstanding` groups of `posts` messages on their way until it is stopped or has sent `limit`."""

    def __init__(
        self, sender: Sender, ledger: Ledger, *, posts: int, outstanding: int, limit: int | None = None
    ) -> None:
        self._sender, self._ledger = sender, ledger
        self._posts, self._outstanding = posts, outstanding
        self._left = limit
        self.stopped = False

    def start(self) -> None:
        for _ in range(self._outstanding):
            self._next()

    def _next(self) -> None:
        if self.stopped:
            return
        count = self._posts if self._left is None else min(self._posts, self._left)
        if count == 0:
            return
        if self._left is not None:
            self._left -= count
        ids = [new_id() for _ in range(count)]
        self._ledger.sent(ids, self._next)
        self._sender.post(ids)


class Ends:
    """Senders and recipients of a job, one each for every person in it."""

    def __init__(self, job: Job, ledger: Ledger) -> None:
        module = import_module(f"bench.load.{job['dialect']}")
        target = job["target"]
        self.senders: list[Sender] = [module.Sender(target, person, ledger.on_posted) for person in job["people"]]
        self.recipients: list[Recipient] = [
            module.Recipient(target, person, ledger.on_delivered) for person in job["people"]
        ]

    async def open_senders(self) -> None:
        await together([sender.open for sender in self.senders])

    async def open_recipients(self) -> None:
        await together([recipient.open for recipient in self.recipients])

    async def close(self) -> None:
        await together([*(sender.close for sender in self.senders), *(one.close for one in self.recipients)])


async def online(job: Job, say: Say, _ask: Ask) -> dict[str, Any]:
    """Pairs that are all connected. Warms up for `warm_s`, counts for `measure_s`, then waits until all is delivered.

    With `messages` in the job each sender sends exactly so many instead, and all of it counts.
    """
    ledger = Ledger()
    ends = Ends(job, ledger)
    await ends.open_recipients()
    await ends.open_senders()
    per_sender = job.get("messages")
    pumps = [
        Pump(sender, ledger, posts=job["posts"], outstanding=job["outstanding"], limit=per_sender)
        for sender in ends.senders
    ]
    if per_sender is None:
        for pump in pumps:
            pump.start()
        await asyncio.sleep(job["warm_s"])
    ledger.latencies, ledger.answer_times = [], []
    say({"event": "begin"})
    began, before, cpu = time.perf_counter(), ledger.completed, time.process_time()
    if per_sender is None:
        await asyncio.sleep(job["measure_s"])
    else:
        for pump in pumps:
            pump.start()
        await asyncio.wait_for(ledger.quiet(), job["measure_s"])
    seconds, completed, own = time.perf_counter() - began, ledger.completed - before, time.process_time() - cpu
    latencies, answers, ledger.latencies, ledger.answer_times = ledger.latencies, ledger.answer_times, None, None
    say({"event": "end"})
    for pump in pumps:
        pump.stopped = True
    await asyncio.wait_for(ledger.quiet(), SETTLE_S)
    await ends.close()
    return {
        "rate": completed / seconds,
        "p50_ms": 1000 * percentile(latencies, 0.50),
        "p99_ms": 1000 * percentile(latencies, 0.99),
        "answer_p50_ms": 1000 * percentile(answers, 0.50),
        "answer_p99_ms": 1000 * percentile(answers, 0.99),
        "generator_cpu": own / seconds,
        "doubled": ledger.doubled,
        "messages": completed,
        "all_messages": ledger.completed,
        "seconds": seconds,
    }


SCENARIOS: dict[str, Callable[[Job, Say, Ask], Awaitable[dict[str, Any]]]] = {"online": online}
