"""What the load generator can do. Each scenario gets its job and answers with plain numbers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from bench.load.dialect import Recipient, Sender, new_id
from bench.load.ledger import Ledger, percentile
from bench.load.websocket import Broken

Job = dict[str, Any]
Say = Callable[[dict[str, Any]], None]
Ask = Callable[[], Awaitable[str]]
"""Waits for the next line from whoever started us."""

SETTLE_S = 60.0
WAVES, LONGER = 5, 4
AT_ONCE, IDLE_AT_ONCE, TRIES = 64, 16, 10
"""Connections that are being opened at the same time."""


async def together(calls: Sequence[Callable[[], Awaitable[None]]], at_once: int = AT_ONCE) -> None:
    """All of them, so many at a time."""
    gate = asyncio.Semaphore(at_once)

    async def one(call: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await call()

    await asyncio.gather(*(one(call) for call in calls))


async def until(enough: Callable[[], bool], seconds: float) -> None:
    """For so long, and then until it is enough, but not longer than LONGER times that."""
    end = time.perf_counter() + LONGER * seconds
    await asyncio.sleep(seconds)
    while not enough() and time.perf_counter() < end:  # noqa: ASYNC110 (an Event would be looked at once a message)
        await asyncio.sleep(0.02)


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


async def online(job: Job, say: Say, ask: Ask) -> dict[str, Any]:
    """Pairs that are all connected. Warms up for `warm_s`, counts for `measure_s`, then waits until all is delivered.

    Both last longer, up to LONGER times, where messages come in waves so slow that a window would hold less than WAVES of them.

    With `messages` in the job each sender sends exactly so many instead, once it is told to go, and all of it counts.
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
        wave = len(pumps) * job["outstanding"] * job["posts"]
        await until(lambda: ledger.completed >= wave, job["warm_s"])
    ledger.latencies, ledger.answer_times = [], []
    say({"event": "begin"})
    if per_sender is not None:
        await ask()  # so few are through before anybody has read a counter
    began, before, cpu = time.perf_counter(), ledger.completed, time.process_time()
    if per_sender is None:
        await until(lambda: ledger.completed - before >= WAVES * wave, job["measure_s"])
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


async def offline(job: Job, say: Say, ask: Ask) -> dict[str, Any]:
    """`messages` from each sender, or as many as are taken in `store_s`, while no recipient is there; then all recipients come,
    and are served until nothing is under way."""
    ledger = Ledger()
    ends = Ends(job, ledger)
    wanted = job["messages"] * len(job["people"])
    await ends.open_senders()
    pumps = [
        Pump(sender, ledger, posts=job["posts"], outstanding=job["outstanding"], limit=job["messages"])
        for sender in ends.senders
    ]
    say({"event": "begin"})
    began, cpu = time.perf_counter(), time.process_time()
    for pump in pumps:
        pump.start()
    async with asyncio.timeout(job["within_s"]):
        while ledger.posted < wanted and time.perf_counter() - began < job["store_s"]:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        for pump in pumps:
            pump.stopped = True
        while ledger.posted < ledger.handed_in:  # noqa: ASYNC110 (an Event would be looked at once a message)
            await asyncio.sleep(0.002)
    stored, total = time.perf_counter() - began, ledger.posted
    await together([sender.close for sender in ends.senders])
    say({"event": "stored"})
    await ask()
    came = time.perf_counter()
    opening = asyncio.ensure_future(ends.open_recipients())
    await asyncio.wait_for(ledger.quiet(), job["within_s"])
    await opening
    drained, own = time.perf_counter() - came, time.process_time() - cpu
    say({"event": "drained"})
    await ask()  # until the mailbox is empty: what closes now could take acknowledgements along
    await together([recipient.close for recipient in ends.recipients])
    return {
        "messages": total,
        "store_rate": total / stored,
        "delivery_rate": total / drained,
        "generator_cpu": own / (stored + drained),
        "doubled": ledger.doubled,
    }


async def signals(job: Job, say: Say, _ask: Ask) -> dict[str, Any]:
    """Rings while mail goes to the same recipients: `outstanding` posts of each sender, none if it is 0. Times in milliseconds, from a
    ring's being handed to the kernel until the kernel has it for the other end: what the generator does besides is not in them."""
    sottovoce = import_module("bench.load.sottovoce")
    ledger = Ledger()
    ends = Ends(job, ledger)
    sent: dict[str, float] = {}
    taken: list[float] = []

    def rang(id_: str, arrived_at: float) -> None:
        taken.append(arrived_at - sent.pop(id_))

    for recipient in ends.recipients[: job["callers"]]:
        recipient.on_signal = rang  # type: ignore[attr-defined]
    callers = [sottovoce.Sender(job["target"], person, ledger.on_posted) for person in job["people"][: job["callers"]]]
    await ends.open_recipients()
    await ends.open_senders()
    for caller in callers:
        caller.signals_are_answered = False
        caller.stamped = True
        await caller.open()
    pumps = [Pump(sender, ledger, posts=1, outstanding=job["outstanding"]) for sender in ends.senders]
    for pump in pumps:
        pump.start()
    await asyncio.sleep(job["warm_s"])
    say({"event": "begin"})
    began, before, cpu = time.perf_counter(), ledger.completed, time.process_time()
    turn = 0
    while time.perf_counter() - began < job["measure_s"]:
        id_ = new_id()
        sent[id_] = callers[turn % len(callers)].ring(id_)
        turn += 1
        await asyncio.sleep(job["every_s"])
    seconds, own = time.perf_counter() - began, time.process_time() - cpu
    rate = (ledger.completed - before) / seconds
    say({"event": "end"})
    for pump in pumps:
        pump.stopped = True
    await asyncio.wait_for(ledger.quiet(), SETTLE_S)
    async with asyncio.timeout(SETTLE_S):
        while sent:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    for caller in callers:
        await caller.close()
    await ends.close()
    return {
        "ring_p50_ms": 1000 * percentile(taken, 0.50),
        "ring_p99_ms": 1000 * percentile(taken, 0.99),
        "rings": len(taken),
        "rate": rate,
        "messages": ledger.completed - before,
        "all_messages": ledger.completed,
        "generator_cpu": own / seconds,
    }


async def come_in(recipient: Any, refused: list[str]) -> None:
    """Opens it, until it is drained. A server that has too much to do may say so, and is asked again, as an app would."""
    for _ in range(TRIES):
        try:
            await recipient.open()
            socket = recipient.socket
            socket.may_be_lost = True
            await asyncio.wait((recipient.drained, socket.lost), timeout=SETTLE_S, return_when=asyncio.FIRST_COMPLETED)
            if not recipient.drained.done():
                raise Broken(socket.lost.result() if socket.lost.done() else "not drained")
            socket.may_be_lost = False
        except Broken as why:
            refused.append(str(why))
            await asyncio.sleep(1)
        else:
            return
    raise Broken(f"refused {TRIES} times: {refused[-1]}")


async def idle(job: Job, say: Say, ask: Ask) -> dict[str, Any]:
    """Recipients with nothing to receive: as many as `levels` says, one level after the other, each held until a line comes."""
    sottovoce = import_module("bench.load.sottovoce")
    ledger = Ledger()
    sessions: list[Any] = []
    refused: list[str] = []
    for level in job["levels"]:
        new = [
            sottovoce.Recipient(job["target"], person, ledger.on_delivered)
            for person in job["people"][len(sessions) : level]
        ]
        for number, one in enumerate(new, start=len(sessions)):
            one.source = f"127.0.0.{2 + number % 100}"  # one address has 28,000 ports, and closed ones rest
        began = time.perf_counter()
        await together([partial(come_in, one, refused) for one in new], IDLE_AT_ONCE)
        took = time.perf_counter() - began
        sessions += new
        say({"event": "open", "sessions": level, "connect_rate": len(new) / took, "refused": len(refused)})
        refused.clear()
        await ask()
    await together([one.close for one in sessions], 500)
    return {"sessions": len(sessions)}


async def prepare(job: Job, _say: Say, _ask: Ask) -> dict[str, Any]:
    """Makes what the people of the job need, for dialects that need something."""
    await import_module(f"bench.load.{job['dialect']}").prepare(job["target"], job["people"])
    return {}


async def count(job: Job, _say: Say, _ask: Ask) -> dict[str, Any]:
    """How many messages wait, for systems whose tables cannot be looked into."""
    return {"waiting": await import_module(f"bench.load.{job['dialect']}").count(job["target"], job["people"])}


SCENARIOS: dict[str, Callable[[Job, Say, Ask], Awaitable[dict[str, Any]]]] = {
    "online": online,
    "offline": offline,
    "signals": signals,
    "idle": idle,
    "prepare": prepare,
    "count": count,
}
