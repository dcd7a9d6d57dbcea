"""Question 5: two worker processes on one PostgreSQL. What does a message cost when half of them cross from one process to the other?

Workers share a listening socket, so whose mailbox is where is chance: with two, half of the messages cross. It is asked twice. With the
relay tied to one core, as in the other questions, it is the cost of crossing; with nobody tied to a core it is what an operator sees, whose
cores may share their parts: then work costs more while both are busy, whatever work it is.

Two processes of which each has half of the pairs also have smaller batches and shorter turns, displace each other's caches, and so have
dearer messages. That is asked apart from crossing: one process with half of the pairs; two relays that share nothing, each with half of the
pairs; and two processes with all of them each.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import trio

from bench.generator import LoadFailed
from bench.questions import Bench, Column, Question, Row, RunFailed
from bench.questions.online import MEASURE_S, PAIRS, WARM_S, exchange
from bench.systems import Person, System
from bench.systems.ours import Ours

MODES = ((1, 1), (4, 1))
FREE = ", all cores"
"""Ends the name of a variant in which nobody is tied to a core."""
HALF = f", {PAIRS // 2} pairs"
EACH = f", {PAIRS} pairs each"
ONE, TWO, APART = ", one process", ", two processes", ", two relays apart"


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
        Column("times_apart", "by that of two relays apart", 2),
        Column("times_apart_at_one_pace", "the same at one pace", 2),
        Column("generator_cpu", "generator CPU", 2),
    )

    async def run(self, bench: Bench) -> list[Row]:
        """Only ours is asked, whatever systems were chosen."""
        rows: list[Row] = []
        for pinned in (True, False):
            where = "" if pinned else FREE
            async with (
                bench.running(Ours, pinned=pinned) as one,
                bench.running(Ours, pinned=pinned) as other,
                bench.running(TwoWorkers, pinned=pinned) as two,
            ):
                people = {system: await system.people(2 * PAIRS) for system in (one, other, two)}
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
                        halves = {system: people[system][: PAIRS // 2] for system in (one, other)}
                        asked = [
                            (one, partial(exchange, one, people[one][:PAIRS]), f"{mode}{ONE}{where}"),
                            (one, partial(exchange, one, halves[one]), f"{mode}{ONE}{HALF}{where}"),
                            (one, partial(exchange_apart, halves), f"{mode}{APART}{HALF} each{where}"),
                            (two, partial(exchange, two, people[two][:PAIRS]), f"{mode}{TWO}{where}"),
                            (two, partial(exchange, two, people[two]), f"{mode}{TWO}{EACH}{where}"),
                        ]
                        first = round_ % len(asked)
                        for system, run, name in asked[first:] + asked[:first]:
                            await bench.attempt(rows, system, name, round_, partial(run, **told))
                        names = [name for _, _, name in asked]
                        for name in names[1:]:
                            compare(rows, round_, names[0], name, "times_one")
                        compare(rows, round_, names[2], names[3], "times_apart")
        return rows


async def exchange_apart(halves: dict[System, list[Person]], **job: Any) -> Row:
    """Runs all of these at once, and answers what a message cost them together. Waits of two are not those of one, and are left out.

    Raises:
        LoadFailed, RunFailed
    """
    found: list[Row] = []
    failed: list[Exception] = []

    async def run(system: System, people: list[Person]) -> None:
        try:
            found.append(await exchange(system, people, **job))
        except (LoadFailed, RunFailed) as error:
            failed.append(error)

    async with trio.open_nursery() as nursery:
        for system, people in halves.items():
            nursery.start_soon(run, system, people)
    if failed:
        raise failed[0]
    return together(found)


def together(found: list[Row]) -> Row:
    """What a message cost, of runs at the same time. Each has counted all that PostgreSQL did."""
    messages = sum(row["messages"] for row in found)
    merged = {
        "rate": sum(row["rate"] for row in found),
        "server_cpu": sum(row["server_cpu"] * row["messages"] for row in found) / messages,
        "postgres_cpu": sum(row["postgres_cpu"] * row["messages"] for row in found) / len(found) / messages,
        "generator_cpu": sum(row["generator_cpu"] for row in found),
        "messages": messages,
    }
    paces = [row["server_loop_ns"] for row in found if "server_loop_ns" in row]
    return merged | ({"server_loop_ns": sum(paces) / len(paces)} if len(paces) == len(found) else {})


def compare(rows: list[Row], round_: int, one: str, other: str, ratio: str) -> None:
    """Gives a row its `ratio` to the server CPU of that one, if both runs counted."""
    found = {row["variant"]: row for row in rows if row["round"] == round_}
    if one in found and other in found:
        a, b = found[other], found[one]
        a[ratio] = a["server_cpu"] / b["server_cpu"]
        if "server_loop_ns" in a and "server_loop_ns" in b:
            a[f"{ratio}_at_one_pace"] = a[ratio] * b["server_loop_ns"] / a["server_loop_ns"]
