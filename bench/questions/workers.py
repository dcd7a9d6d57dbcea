"""Question 5: two worker processes on one PostgreSQL. What does a message cost when half of them cross from one process to the other?

Workers share a listening socket, so whose mailbox is where is chance: with two, half of the messages cross. It is asked twice. With the
relay tied to one core, as in the other questions, it is the cost of crossing; with nobody tied to a core it is what an operator sees, whose
cores may share their parts: then work costs more while both are busy, whatever work it is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.questions import Bench, Column, Question, Row, turns
from bench.questions.online import MEASURE_S, PAIRS, WARM_S, exchange
from bench.systems.ours import Ours

MODES = ((1, 1), (4, 1))
FREE = ", all cores"
"""Ends the name of a variant in which nobody is tied to a core."""


class TwoWorkers(Ours):
    options = ("-w", "2")


class Workers(Question):
    name = "workers"
    title = "Workers: one process and two, where half of the messages cross"
    ratio = "server_cpu"
    better = "less"
    unit = "CPU seconds per 1,000 messages"
    columns = (
        Column("rate", "msg/s"),
        Column("p50_ms", "p50 ms", 1),
        Column("p99_ms", "p99 ms", 1),
        Column("server_cpu", "server CPU s/1000", 3),
        Column("postgres_cpu", "PostgreSQL CPU s/1000", 3),
        Column("times_one", "server CPU by that of one", 2),
        Column("generator_cpu", "generator CPU", 2),
    )

    async def run(self, bench: Bench) -> list[Row]:
        """Only ours is asked, whatever systems were chosen."""
        rows: list[Row] = []
        for pinned in (True, False):
            where = "" if pinned else FREE
            async with bench.running(Ours, pinned=pinned) as one, bench.running(TwoWorkers, pinned=pinned) as two:
                people = {system: await system.people(PAIRS) for system in (one, two)}
                for round_ in range(bench.rounds):
                    for outstanding, posts in MODES:
                        mode = f"{outstanding}x{posts}"
                        names = {one: f"{mode}, one process{where}", two: f"{mode}, two processes{where}"}
                        told: dict[str, Any] = {
                            "outstanding": outstanding,
                            "posts": posts,
                            "warm_s": WARM_S,
                            "measure_s": MEASURE_S,
                        }
                        told["core"] = bench.generator_core if pinned else None
                        for system in turns([one, two], round_):
                            run = partial(exchange, system, people[system], **told)
                            await bench.attempt(rows, system, names[system], round_, run)
                        compare(rows, round_, names[one], names[two])
        return rows


def compare(rows: list[Row], round_: int, one: str, two: str) -> None:
    """Gives the row of two processes its ratio to its neighbour in time, if both runs counted."""
    found = {row["variant"]: row for row in rows if row["round"] == round_}
    if one in found and two in found:
        found[two]["times_one"] = found[two]["server_cpu"] / found[one]["server_cpu"]
