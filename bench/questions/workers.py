"""Question 5: two worker processes on one PostgreSQL. What does a message cost when half of them cross from one process to the other?

Workers share a listening socket, so whose mailbox is where is chance: with two, half of the messages cross. It is asked twice. With the
relay tied to one core, as in the other questions, it is the cost of crossing; with nobody tied to a core it is what an operator sees, whose
cores may share their parts: then work costs more while both are busy, whatever work it is.

Two processes of which each has half of the pairs also have smaller batches and shorter turns, and so dearer messages. That is asked apart
from crossing: one process with half of the pairs, and two with all of them each.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bench.questions import Bench, Column, Question, Row
from bench.questions.online import MEASURE_S, PAIRS, WARM_S, exchange
from bench.systems.ours import Ours

MODES = ((1, 1), (4, 1))
FREE = ", all cores"
"""Ends the name of a variant in which nobody is tied to a core."""
HALF = f", {PAIRS // 2} pairs"
EACH = f", {PAIRS} pairs each"


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
        Column("times_one_at_one_pace", "the same at one pace", 2),
        Column("generator_cpu", "generator CPU", 2),
    )

    async def run(self, bench: Bench) -> list[Row]:
        """Only ours is asked, whatever systems were chosen."""
        rows: list[Row] = []
        for pinned in (True, False):
            where = "" if pinned else FREE
            async with bench.running(Ours, pinned=pinned) as one, bench.running(TwoWorkers, pinned=pinned) as two:
                people = {system: await system.people(2 * PAIRS) for system in (one, two)}
                for round_ in range(bench.rounds):
                    for outstanding, posts in MODES:
                        mode = f"{outstanding}x{posts}"
                        told: dict[str, Any] = {
                            "outstanding": outstanding,
                            "posts": posts,
                            "warm_s": WARM_S,
                            "measure_s": MEASURE_S,
                        }
                        told["core"] = bench.generator_core if pinned else None
                        asked = [
                            (one, PAIRS, f"{mode}, one process{where}"),
                            (one, PAIRS // 2, f"{mode}, one process{HALF}{where}"),
                            (two, PAIRS, f"{mode}, two processes{where}"),
                            (two, 2 * PAIRS, f"{mode}, two processes{EACH}{where}"),
                        ]
                        first = round_ % len(asked)
                        for system, pairs, name in asked[first:] + asked[:first]:
                            run = partial(exchange, system, people[system][:pairs], **told)
                            await bench.attempt(rows, system, name, round_, run)
                        for _, _, name in asked[1:]:
                            compare(rows, round_, asked[0][2], name)
        return rows


def compare(rows: list[Row], round_: int, one: str, other: str) -> None:
    """Gives a row its ratio to that of one process, if both runs counted."""
    found = {row["variant"]: row for row in rows if row["round"] == round_}
    if one in found and other in found:
        a, b = found[other], found[one]
        a["times_one"] = a["server_cpu"] / b["server_cpu"]
        if "server_loop_ns" in a and "server_loop_ns" in b:
            a["times_one_at_one_pace"] = a["times_one"] * b["server_loop_ns"] / a["server_loop_ns"]
