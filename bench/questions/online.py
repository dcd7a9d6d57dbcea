"""Question 1: 50 pairs, all connected. How many messages a second, how late, and at what cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench.generator import measured
from bench.postgres import Counters
from bench.questions import Bench, Column, Question, Row, RunFailed, require_empty, turns
from bench.systems import Person, System

PAIRS = 50
MODES = ((1, 1), (4, 1), (1, 16))
"""Groups on their way a sender, and posts in each."""
WARM_S = 0.7
MEASURE_S = 2.0


@dataclass
class Meter:
    """Counters of a system and of PostgreSQL, read when measuring begins and ends."""

    system: System
    readings: list[tuple[float, float, Counters]] = field(default_factory=list)
    read_at: list[float] = field(default_factory=list)

    async def read(self) -> None:
        postgres = self.system.place.postgres
        cpu = self.system.cpu_seconds(), postgres.cpu_seconds()
        self.read_at.append(time.monotonic())
        self.readings.append((*cpu, await postgres.counters(self.system.database_name)))

    def per_message(self, messages: int) -> Row:
        """CPU seconds per 1,000 messages, and bytes of WAL a message."""
        (server, postgres, before), (server_end, postgres_end, after) = self.readings
        many = max(messages, 1)
        return {
            "server_cpu": 1000 * (server_end - server) / many,
            "postgres_cpu": 1000 * (postgres_end - postgres) / many,
            "wal_bytes": after.since(before).wal_bytes / many,
        }

    def paces(self, generator_core: int | None) -> Row:
        """What the watched loop took meanwhile on the server's core, and on the generator's, which PostgreSQL uses most of."""
        watched = self.system.place.watched
        if watched is None:
            return {}
        cores = {"server_loop_ns": self.system.place.core, "postgres_loop_ns": generator_core}
        seen = {name: watched.loop_ns(core, *self.read_at) for name, core in cores.items()}
        return {name: took for name, took in seen.items() if took is not None}


async def exchange(system: System, people: list[Person], **job: Any) -> Row:
    """Runs the scenario `online` on this system and answers its numbers.

    Raises:
        LoadFailed, RunFailed
    """
    meter = Meter(system)
    told = {"scenario": "online", "dialect": system.dialect, "target": system.target, "people": people, **job}
    before = await system.place.postgres.counters(system.database_name)
    result = await measured(told, meter.read, meter.read)
    if not result["messages"]:
        raise RunFailed("nothing was done while it was measured")
    await require_empty(system)
    # Over the whole run, warming up and emptying included, since backends report them late.
    counted, many = (
        (await system.place.postgres.counters(system.database_name)).since(before),
        max(result["all_messages"], 1),
    )
    whole = {"fsyncs": counted.fsyncs / many, "commits": counted.commits / many}
    return {**result, **whole, **meter.per_message(result["messages"]), **meter.paces(job.get("core"))}


class Online(Question):
    name = "online"
    title = "Online: 50 pairs, all connected"
    ratio = "rate"
    unit = "messages a second"
    columns = (
        Column("rate", "msg/s"),
        Column("p50_ms", "p50 ms", 1),
        Column("p99_ms", "p99 ms", 1),
        Column("server_cpu", "server CPU s/1000", 3),
        Column("server_cpu_at_full_pace", "at full pace", 3),
        Column("postgres_cpu", "PostgreSQL CPU s/1000", 3),
        Column("postgres_cpu_at_full_pace", "PostgreSQL at full pace", 3),
        Column("fsyncs", "fsyncs/msg", 3),
        Column("wal_bytes", "WAL B/msg"),
        Column("generator_cpu", "generator CPU", 2),
    )

    async def run(self, bench: Bench) -> list[Row]:
        rows: list[Row] = []
        async with bench.all_running(bench.systems) as systems:
            people = {system.name: await system.people(PAIRS) for system in systems}
            for round_ in range(bench.rounds):
                for outstanding, posts in MODES:
                    for system in turns(systems, round_):
                        told = {
                            "outstanding": outstanding,
                            "posts": posts,
                            "warm_s": WARM_S / 2 if bench.quick else WARM_S,
                            "measure_s": MEASURE_S / 2 if bench.quick else MEASURE_S,
                            "core": bench.generator_core,
                        }
                        run = partial(exchange, system, people[system.name], **told)
                        await bench.attempt(rows, system, f"{outstanding}x{posts}", round_, run)
        return rows
