"""The bench itself: that it counts what happened, and refuses a run in which something was lost. Never how fast anything is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import trio

from bench.__main__ import rendered
from bench.generator import LoadFailed
from bench.pace import Watched, watching
from bench.plot import plot
from bench.postgres import database_of, running_postgres
from bench.questions import Bench, RunFailed, require_empty
from bench.questions.catalogue import QUESTIONS
from bench.questions.offline import burst
from bench.questions.online import Online, exchange
from bench.questions.signals import ringing
from bench.questions.workers import EACH as PAIRS_EACH
from bench.questions.workers import FREE
from bench.render import BEGIN, END, fill
from bench.results import medians, merge, ratios
from bench.systems import System
from bench.systems.catalogue import SYSTEMS
from bench.systems.ours import Ours
from bench.targets import TARGETS
from bench.targets import section as targets
from relay.database import open_database

PAIRS, EACH = 2, 200  # CPU is counted in hundredths of a second: fewer messages may have cost none
JOB = {"messages": EACH, "outstanding": 2, "posts": 4, "measure_s": 60, "core": None}


def bench_in(directory: Path, postgres: Any, watched: Watched | None = None) -> Bench:
    return Bench(directory, postgres, (Ours,), 1, True, print, None, None, watched=watched)


@pytest.mark.timeout(240)
async def test_every_message_is_posted_delivered_and_gone(place: Path) -> None:
    with watching(place.parent, sorted(os.sched_getaffinity(0))[:2]) as watched:
        await every_message_counts(place, watched)


async def every_message_counts(place: Path, watched: Watched) -> None:
    async with (
        running_postgres(place, {"fsync": "off"}) as postgres,
        bench_in(place.parent, postgres, watched).running(Ours) as ours,
    ):
        people = await ours.people(PAIRS)
        numbers = await exchange(ours, people, **JOB)
        assert (
            numbers["server_loop_ns"] == numbers["postgres_loop_ns"] > 1_000
        )  # nobody is tied, so both are of all cores
        assert (numbers["messages"], numbers["all_messages"], numbers["doubled"]) == (PAIRS * EACH, PAIRS * EACH, 0)
        assert await ours.mailbox_rows() == 0
        assert numbers["wal_bytes"] > 1024
        assert numbers["server_cpu"] > 0
        assert ours.pss_bytes() > 1_000_000
        assert {"rate", "p50_ms", "p99_ms", "postgres_cpu", "fsyncs", "generator_cpu"} <= numbers.keys()
        json.dumps(numbers)

        away = await burst(ours, people, outstanding=2, posts=4, messages=EACH, store_s=60, within_s=60, core=None)
        assert (away["messages"], away["doubled"]) == (PAIRS * EACH, 0)
        assert {"store_rate", "drain_rate", "server_cpu", "postgres_cpu"} <= away.keys()

        rung = await ringing(
            ours, people, outstanding=1, callers=PAIRS, every_s=0.01, warm_s=0.1, measure_s=0.5, core=None
        )
        assert rung["rings"] > 5
        assert rung["messages"] > 0
        assert 0 < rung["ring_p50_ms"] <= rung["ring_p99_ms"] < 60_000

        # A post that is refused is no message, however quickly it was refused.
        with pytest.raises(LoadFailed, match="no_access"):
            await exchange(ours, [{**people[0], "access": people[1]["access"]}], **JOB)
        # Nor does a run count that leaves something behind.
        with pytest.raises(RunFailed, match="3 messages were left"):
            await require_empty(Leftover(ours), within_s=0.2)


async def test_what_another_system_commits_is_not_counted(place: Path) -> None:
    async with (
        running_postgres(place, {"fsync": "off"}) as postgres,
        postgres.database() as ours,
        postgres.database() as theirs,
    ):
        one, other = database_of(ours), database_of(theirs)
        assert one != other
        before = await postgres.counters(one), await postgres.counters(other)
        async with open_database(ours) as database:
            for _ in range(40):
                await database.execute("SELECT 1")
        with trio.fail_after(30):  # a session that ends reports what it did
            while (await postgres.counters(one)).since(before[0]).commits < 40:  # noqa: ASYNC110
                await trio.sleep(0.05)
        assert (await postgres.counters(other)).since(before[1]).commits == 0
        assert (await postgres.counters(None)).commits == 0


class Leftover(System):
    """Says that three messages stay, whatever happens."""

    name = "leftover"
    title = "leftover"

    def __init__(self, inner: System) -> None:
        super().__init__(inner.place)

    running = pids = target = people = None  # type: ignore[assignment]

    async def mailbox_rows(self) -> int:
        return 3


def test_ratios_are_taken_within_a_round_and_then_their_median() -> None:
    rates = {"ours": (100, 10, 100), "peer": (50, 10, 25)}
    rows = [
        {"system": system, "variant": "1x1", "round": round_, "rate": rate}
        for system, values in rates.items()
        for round_, rate in enumerate(values)
    ]
    assert ratios(rows, "rate") == {("1x1", "ours"): 1, ("1x1", "peer"): 2}
    assert medians(rows) == {("1x1", "ours"): {"rate": 100}, ("1x1", "peer"): {"rate": 25}}


def asked(rows: list[int], processor: str = "one") -> dict[str, Any]:
    return {"rows": rows, "machine": {"processor": processor}}


def test_results_of_several_runs_are_merged_by_question(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    merge(path, {"online": asked([1]), "offline": asked([2])})
    assert merge(path, {"online": asked([3])}) == {"online": asked([3]), "offline": asked([2])}
    assert json.loads(path.read_text()) == {"online": asked([3]), "offline": asked([2])}


def test_what_another_processor_said_stays_beside_the_new_result(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    merge(path, {"online": asked([1], "one")})
    there = merge(path, {"online": asked([2], "two")})
    assert there["online"] == {**asked([2], "two"), "elsewhere": asked([1], "one")}
    again = merge(path, {"online": asked([3], "two")})
    assert again["online"] == {**asked([3], "two"), "elsewhere": asked([1], "one")}
    back = merge(path, {"online": asked([4], "one")})
    assert back["online"] == {**asked([4], "one"), "elsewhere": asked([3], "two")}


def result(**more: Any) -> dict[str, Any]:
    rows = [
        {"system": system, "variant": "1x1", "round": round_, "rate": rate + round_}
        for system, rate in (("ours", 2000), ("peer", 1000))
        for round_ in range(3)
    ]
    machine = {"cores": 2, "processor": "one", "memory_gib": 8, "kernel": "6", "python": "3", "postgresql": "18"}
    return {
        "rows": rows,
        "rounds": 3,
        "quick": False,
        "seconds": 9,
        "on": "2026-11-25",
        "machine": machine,
        "left_out": {},
        "failures": [],
    } | more


def test_a_table_has_medians_ratios_and_what_is_missing() -> None:
    failed = [{"system": "peer", "variant": "4x1", "round": 1, "why": "3 messages were left"}]
    online = result(left_out={"other": "it is not installed"}, failures=failed)
    page = fill(
        f"before\n{BEGIN}\nold\n{END}\nafter\n", [Online], {"online": online}, {"ours": "Ours", "peer": "A peer"}
    )
    assert (page.partition("<")[0], page.rpartition(">")[2]) == ("before\n", "\nafter\n")
    assert "old" not in page
    assert "|  | A peer | 1,001 |" in page
    assert page.count("2.00x") == 1
    assert "- other is left out: it is not installed." in page
    assert "- A peer, 4x1, round 2 does not count: 3 messages were left" in page


def test_how_even_the_machine_was_is_said_of_the_variant_that_was_least_even() -> None:
    def row(variant: str, round_: int, cost: float, system: str = "ours") -> dict[str, object]:
        return {"system": system, "variant": variant, "round": round_, "rate": 5, "server_cpu": cost}

    rows = [
        row("1x1", 0, 0.1),
        row("1x1", 1, 0.15),
        row("4x1", 0, 0.05),
        row("4x1", 1, 0.1),
        row("4x1", 2, 0.7, "peer"),
    ]
    page = fill(f"{BEGIN}\n{END}", [Online], {"online": result(rows=rows)}, {"ours": "Ours", "peer": "A peer"})
    assert "took 2.0 times the server CPU of the one" in page
    once = fill(f"{BEGIN}\n{END}", [Online], {"online": result(rows=rows[:1])}, {"ours": "Ours"})
    assert "How even" not in once


def test_another_machine_has_a_table_and_a_verdict_of_its_own() -> None:
    other = result(rows=[{"system": "ours", "variant": "1x1", "round": 0, "rate": 9, "server_cpu": 0.2}], rounds=1)
    other["machine"] = {**other["machine"], "processor": "another", "fsync_ms": 0.7}
    here = result(
        rows=[{"system": "ours", "variant": "1x1", "round": 0, "rate": 7, "server_cpu": 0.1}], elsewhere=other
    )
    page = fill(f"{BEGIN}\n{END}", [Online], {"online": here}, {"ours": "Ours"})
    assert page.index("2 cores (one)") < page.index("On another machine:") < page.index("2 cores (another)")
    assert "an fsync takes 0.70 ms." in page
    assert "| Server CPU for 1,000 messages, 1x1 | at most 0.15 s | 0.1 s | met | 0.2 s | **missed** |" in page
    assert "*Missed: Server CPU for 1,000 messages, 1x1.*" in page


def test_targets_are_judged_by_what_was_published() -> None:
    row = {"system": "ours", "variant": "1x1", "round": 0, "rate": 900, "server_cpu": 0.14, "postgres_cpu": 0.06}
    rows = [
        {**row, "p50_ms": 10, "p99_ms": 31},
        {**row, "system": "fastapi-group", "rate": 1000},
        {**row, "system": "nats", "rate": 100},
    ]
    page = targets({"online": result(rows=rows, rounds=1)})
    assert "| Rate by FastAPI with the same group commit, 1x1 | at least 1x | 0.9x | **missed** |" in page
    assert "| Rate by FastAPI with the same group commit, 4x1 | at least 1x |  | not measured yet |" in page
    assert "| Rate by NATS, sync always, 1x1 | at least 5x | 9x | met |" in page
    assert "| Server CPU for 1,000 messages, 1x1 | at most 0.15 s | 0.14 s | met |" in page
    assert "| PostgreSQL CPU for 1,000 messages, 1x1 | at most 0.05 s | 0.06 s | **missed** |" in page
    assert "| p99 by p50, 1x1 | at most 3x | 3.1x | **missed** |" in page
    assert "*Missed: Rate by FastAPI with the same group commit, 1x1.* The profile, with one frame" in page
    assert "All runs of the relay counted" in page
    left = [{"system": "ours", "variant": "4x1", "round": 1, "why": "3 messages were left"}]
    assert "do not count: online, 4x1, round 2" in targets({"online": result(rows=rows, failures=left)})


def test_what_counted_in_half_of_the_rounds_is_no_verdict() -> None:
    def page(rounds: int) -> str:
        ran = {"ours": (0, 1, 2, 3), "nats": range(rounds)}
        row = {"variant": "1x1", "rate": 900}
        rows = [{**row, "system": system, "round": round_} for system, those in ran.items() for round_ in those]
        return targets({"online": result(rows=rows, rounds=4)})

    assert "| Rate by NATS, sync always, 1x1 | at least 5x | 1x in 2 of 4 rounds | **too few rounds** |" in page(2)
    assert "| Rate by NATS, sync always, 1x1 | at least 5x | 1x in 3 of 4 rounds | **missed** |" in page(3)
    assert "| Rate by NATS, sync always, 1x1 | at least 5x | 1x | **missed** |" in page(4)
    assert "*Missed" not in page(2)


def test_every_target_asks_for_what_is_measured() -> None:
    """A name that no system or column has would be `not measured yet` for ever."""
    columns = {question.name: {column.key for column in question.columns} for question in QUESTIONS}
    systems = {system.name for system in SYSTEMS}
    for target in TARGETS:
        workers = tuple(f"1x1, two processes{pairs}{where}" for pairs in ("", PAIRS_EACH) for where in ("", FREE))
        named = {"idle": ("10,000",), "workers": workers}
        variants = named.get(target.question, ("1x1", "4x1", "1x16"))
        keys = columns[target.question]
        rows = [
            {"system": system, "variant": variant, "round": 0, **dict.fromkeys(keys, 1.0)}
            for system in systems
            for variant in variants
        ]
        assert target.measured({target.question: {"rows": rows}}) == 1.0, target.text


def test_a_plot_is_a_picture_of_the_medians() -> None:
    drawn = ElementTree.fromstring(plot(Online, result(), {"peer": "<peer> & co"}))
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"2,001", "1,001", "<peer> & co"} <= set(texts)


def test_the_page_is_what_the_published_results_say() -> None:
    """`make bench PUBLISH=1` or `python -m bench --render` writes it; nobody types a number."""
    assert [path.name for path, text in rendered().items() if not path.exists() or path.read_text() != text] == []
