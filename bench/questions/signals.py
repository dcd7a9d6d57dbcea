"""Question 6: how long a ring takes when nothing else happens, and while the mailbox lane has all it can do."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.generator import measured
from bench.questions import Bench, Column, Question, Row, require_empty, turns
from bench.questions.online import Meter
from bench.systems import Person, System

PAIRS = 50
CALLERS = 10
EVERY_S = 0.01
LOADS = ((0, "idle"), (1, "50 pairs, 1 outstanding"), (4, "50 pairs, 4 outstanding"))
MEASURE_S = 8.0  # p99 of less than some hundred rings is one ring


async def ringing(system: System, people: list[Person], **job: Any) -> Row:
    meter = Meter(system)
    told = {"scenario": "signals", "dialect": system.dialect, "target": system.target, "people": people, **job}
    result = await measured(told, meter.read, meter.read)
    await require_empty(system)
    return result


class Signals(Question):
    name = "signals"
    title = "Signals: a ring every 10 ms to recipients who get mail as well"
    ratio = "ring_p99_ms"
    better = "less"
    unit = "ms until it rings, p99"
    columns = (
        Column("ring_p50_ms", "ring p50 ms", 1),
        Column("ring_p99_ms", "ring p99 ms", 1),
        Column("times_idle", "p99, times that of idle", 1),
        Column("rate", "mail msg/s"),
        Column("generator_cpu", "generator CPU", 2),
    )

    async def run(self, bench: Bench) -> list[Row]:
        rows: list[Row] = []
        async with bench.all_running([kind for kind in bench.systems if kind.rings]) as systems:
            people = {system.name: await system.people(PAIRS) for system in systems}
            for round_ in range(bench.rounds):
                for outstanding, variant in LOADS:
                    for system in turns(systems, round_):
                        told = {
                            "outstanding": outstanding,
                            "callers": CALLERS,
                            "every_s": EVERY_S,
                            "warm_s": 0.5,
                            "measure_s": MEASURE_S / 4 if bench.quick else MEASURE_S,
                            "core": bench.generator_core,
                        }
                        run = partial(ringing, system, people[system.name], **told)
                        await bench.attempt(rows, system, variant, round_, run)
        for row in rows:
            for other in rows:
                if (other["system"], other["round"], other["variant"]) == (row["system"], row["round"], LOADS[0][1]):
                    row["times_idle"] = row["ring_p99_ms"] / other["ring_p99_ms"]
        return rows
