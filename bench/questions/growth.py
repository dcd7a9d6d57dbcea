"""Question 4: what a message costs while much mail waits for others, and after a week in which much has come and gone."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import trio

from bench.mail import TTL_S, Sizes, churn, fill_mailboxes, sizes
from bench.pace import COSTS
from bench.questions import Bench, Column, Question, Row, turns
from bench.questions.online import MEASURE_S, PAIRS, WARM_S, exchange
from bench.systems import Person, System
from bench.systems.ours import Ours
from relay.partitions import WEEK_S, Week, keep_partitions

ACCOUNTS = 100_000
LEVELS = (100_000, 1_000_000)
CHURNED = 300_000
"""Messages of the week; half as many go through a week whose partition has expired."""
WAIT_AT_A_TIME = 20_000
BYTES_A_MESSAGE = 2_500
"""Of disk, with indexes and room to spare."""
MIB = 1 << 20
EMPTY = "nothing waits"
COUNTED = ", each post counted"
"""As the posts of those are whose mailboxes were not counted lately. It stands beside, and is no part of the target."""


class Among(Ours):
    """Our relay, with mail that waits for others: only that of those who are measured is to be gone after a run."""

    measured: tuple[str, ...] = ()

    async def people(self, count: int) -> list[Person]:
        made = await super().people(count)
        self.measured = tuple(person["account"] for person in made)
        return made

    async def mailbox_rows(self) -> int:
        query = "SELECT count(*) FROM envelopes WHERE account_id = ANY($1::uuid[])"
        return int(await self.database.fetchval(query, list(self.measured), timeout_s=60))


class Counting(Among):
    """The same, with limits of mailboxes too small for posts that go in uncounted (relay/headroom.py)."""

    settings: dict[str, object] = {"mailbox_envelopes": 63}  # noqa: RUF012


def on_disk(found: Sizes) -> Row:
    """Sizes as columns."""
    whole = found.table_bytes + found.index_bytes
    each = {"kib_each": whole / 1024 / found.waiting} if found.waiting else {}
    return {
        "waiting": found.waiting,
        "table_mib": found.table_bytes / MIB,
        "index_mib": found.index_bytes / MIB,
        **each,
        "dead": found.dead,
        "partitions": found.partitions,
    }


@asynccontextmanager
async def hasty_autovacuum(bench: Bench) -> AsyncIterator[None]:
    """It looks once a second instead of once a minute, since a week goes by in less than one. How fast it works stays as it is."""
    admin = bench.postgres.admin
    await admin.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    await admin.fetchval("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        await admin.execute("ALTER SYSTEM RESET autovacuum_naptime")
        await admin.fetchval("SELECT pg_reload_conf()")


def compare(rows: list[Row]) -> None:
    """Gives each row its ratio to that of the empty relay of the same round."""
    empty = {row["round"]: row for row in rows if row["variant"] == EMPTY}
    for row in rows:
        one = empty.get(row["round"])
        if one is None or "cpu" not in row:
            continue
        row["times_empty"] = row["cpu"] / one["cpu"]
        if all(loop in both for both in (row, one) for loop in COSTS.values()):
            here, there = (sum(both[cost] / both[loop] for cost, loop in COSTS.items()) for both in (row, one))
            row["times_empty_at_one_pace"] = here / there


class Growth(Question):
    name = "growth"
    title = f"Growth: 50 pairs, 1 outstanding, while mail waits for {ACCOUNTS:,} others"
    ratio = "cpu"
    better = "less"
    unit = "CPU s/1000, server and PostgreSQL"
    columns = (
        Column("rate", "msg/s"),
        Column("server_cpu", "server CPU s/1000", 3),
        Column("postgres_cpu", "PostgreSQL CPU s/1000", 3),
        Column("times_empty", "both, times that of an empty relay", 2),
        Column("times_empty_at_one_pace", "the same at one pace", 2),
        Column("waiting", "waiting"),
        Column("partitions", "partitions"),
        Column("table_mib", "table MiB"),
        Column("index_mib", "index MiB"),
        Column("kib_each", "KiB an envelope", 2),
        Column("dead", "dead rows"),
    )

    async def run(self, bench: Bench) -> list[Row]:
        rows: list[Row] = []
        if Ours not in bench.systems:
            return rows
        now, smaller = int(time.time()), 20 if bench.quick else 1
        levels = [level // smaller for level in (*LEVELS, *([bench.waiting] if bench.waiting else []))]
        counted = levels[len(LEVELS) - 1]
        need = BYTES_A_MESSAGE * (sum(levels) + counted + ACCOUNTS + 2 * CHURNED)
        if (free := shutil.disk_usage(bench.directory).free) < need:
            bench.left_out["ours"] = f"{need >> 30} GiB are needed, and {free >> 30} are free"
            return rows
        async with AsyncExitStack() as stack:
            systems: dict[str, Among] = {}
            filled = [(f"{level:,} wait", level) for level in levels]
            filled.append((f"{counted:,} wait{COUNTED}", counted))
            for variant, level in [(EMPTY, 0), *filled, ("after churn", 0)]:
                system = await stack.enter_async_context(
                    bench.running(Counting if variant.endswith(COUNTED) else Among)
                )
                assert isinstance(system, Among)
                systems[variant] = system
                began = time.monotonic()
                if variant != EMPTY:
                    await fill_mailboxes(system.database, ACCOUNTS // smaller, level or ACCOUNTS // smaller, now)
                bench.tell(f"  {variant}: filled in {time.monotonic() - began:.0f} s")
            people: dict[str, list[Person]] = {
                variant: await system.people(PAIRS) for variant, system in systems.items()
            }
            churned = systems["after churn"]
            await self._churn(bench, churned, now, smaller, rows)
            at_rest = {variant: on_disk(await sizes(system.database)) for variant, system in systems.items()}
            await bench.postgres.admin.execute("CHECKPOINT", timeout_s=120)
            names = {id(system): variant for variant, system in systems.items()}
            for round_ in range(bench.rounds):
                for system in turns(list(systems.values()), round_):
                    variant = names[id(system)]
                    run = partial(self._cost, bench, system, people[variant], at_rest[variant])
                    await bench.attempt(rows, system, variant, round_, run)
            began = time.monotonic()
            await keep_partitions(churned.database, now, TTL_S)
            bench.tell(f"  what had expired was dropped in {time.monotonic() - began:.2f} s")
            left = on_disk(await sizes(churned.database))
            rows.append({"system": "ours", "variant": "the expired week dropped", "round": 0, **left})
        compare(rows)
        order = [*systems, "before churn", "the expired week dropped"]
        return sorted(rows, key=lambda row: (row["round"], order.index(row["variant"])))

    async def _churn(self, bench: Bench, system: Among, now: int, smaller: int, rows: list[Row]) -> None:
        before = on_disk(await sizes(system.database))
        rows.append({"system": "ours", "variant": "before churn", "round": 0, **before})
        this_week = now // WEEK_S
        async with hasty_autovacuum(bench):
            for week, messages in ((Week(this_week - 8), CHURNED // 2), (Week(this_week), CHURNED)):
                rate = await churn(system.database, week, messages // smaller, WAIT_AT_A_TIME // smaller)
                bench.tell(f"  churn: {messages // smaller:,} messages came and went, {rate:.0f} a second")
            await trio.sleep(3)  # the last ones are looked after as well

    async def _cost(self, bench: Bench, system: System, people: list[Person], at_rest: Row) -> Row:
        shorter = 2 if bench.quick else 1
        told = {
            "outstanding": 1,
            "posts": 1,
            "warm_s": WARM_S / shorter,
            "measure_s": MEASURE_S / shorter,
            "core": bench.generator_core,
        }
        numbers = await exchange(system, people, **told)
        return {"cpu": numbers["server_cpu"] + numbers["postgres_cpu"], **numbers, **at_rest}
