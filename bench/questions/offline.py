"""Question 2: a burst to recipients who are away, and then all of them come back."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from bench.generator import generating
from bench.questions import Bench, Column, Question, Row, require_empty, turns
from bench.systems import Person, System

MAILBOXES = 50
MESSAGES = 20_000
MODES = ((4, 1), (1, 16))
STORE_S = 6.0
"""Slow systems get fewer messages, so that a round does not last for minutes."""


async def burst(system: System, people: list[Person], **job: Any) -> Row:
    """Rates of storing, of delivering, and of draining: until the mailbox is empty.

    Raises:
        LoadFailed, RunFailed
    """
    postgres = system.place.postgres
    told = {"scenario": "offline", "dialect": system.dialect, "target": system.target, "people": people, **job}
    async with generating(told) as generator:
        await generator.expect("begin")
        cpu = [(system.cpu_seconds(), postgres.cpu_seconds())]
        await generator.expect("stored")
        cpu.append((system.cpu_seconds(), postgres.cpu_seconds()))
        began = time.perf_counter()
        await generator.say()
        await generator.expect("drained")
        await require_empty(system)
        emptied = time.perf_counter() - began
        cpu.append((system.cpu_seconds(), postgres.cpu_seconds()))
        await generator.say()
        result = await generator.expect("result")
    await require_empty(system)  # once more: now nothing can be on its way to anybody
    per = 1000 / result["messages"]
    return {
        "store_rate": result["store_rate"],
        "drain_rate": result["messages"] / emptied,
        **{key: value for key, value in result.items() if key != "event"},
        "server_cpu": per * (cpu[2][0] - cpu[0][0]),
        "store_cpu": per * (cpu[1][0] - cpu[0][0]),
        "postgres_cpu": per * (cpu[2][1] - cpu[0][1]),
    }


class Offline(Question):
    name = "offline"
    title = f"Offline: {MESSAGES:,} messages, or what is stored in {STORE_S:.0f} s, into {MAILBOXES} mailboxes; then all recipients come"
    ratio = "store_rate"
    also = ("drain_rate",)
    unit = "messages stored a second"
    columns = (
        Column("store_rate", "stored/s"),
        Column("drain_rate", "drained/s"),
        Column("messages", "messages"),
        Column("server_cpu", "server CPU s/1000", 3),
        Column("store_cpu", "of it storing", 3),
        Column("postgres_cpu", "PostgreSQL CPU s/1000", 3),
        Column("generator_cpu", "generator CPU", 2),
    )

    async def run(self, bench: Bench) -> list[Row]:
        rows: list[Row] = []
        each = MESSAGES // MAILBOXES // (10 if bench.quick else 1)
        async with bench.all_running(bench.systems) as systems:
            people = {system.name: await system.people(MAILBOXES) for system in systems}
            for round_ in range(bench.rounds):
                for outstanding, posts in MODES:
                    for system in turns(systems, round_):
                        if posts > 1 and system.dialect != "sottovoce":
                            continue  # it has no frames, and many posts in one write are in question 1
                        told = {
                            "outstanding": outstanding,
                            "posts": posts,
                            "messages": each,
                            "store_s": STORE_S / 4 if bench.quick else STORE_S,
                            "within_s": 60,
                            "core": bench.generator_core,
                        }
                        run = partial(burst, system, people[system.name], **told)
                        await bench.attempt(rows, system, f"{outstanding}x{posts}", round_, run)
        return rows
