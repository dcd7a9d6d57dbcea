"""The question of workers: what a message of two relays at once cost, and by what two processes are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.postgres import running_postgres
from bench.questions import Bench, RunFailed, workers
from bench.questions.workers import compare, exchange_apart, together
from bench.systems.ours import Ours


def half(messages: int, cpu: float, postgres: float, loop: float | None = 100) -> dict[str, Any]:
    row = {
        "rate": messages / 2,
        "messages": messages,
        "server_cpu": cpu,
        "postgres_cpu": postgres,
        "generator_cpu": 0.2,
    }
    return row if loop is None else row | {"server_loop_ns": loop}


def test_costs_of_two_at_once_are_added_up_and_what_both_counted_is_not_counted_twice() -> None:
    # PostgreSQL took 40 s for 400 messages: each half sees all of it.
    merged = together([half(100, 0.1, 400), half(300, 0.2, 400 / 3, loop=200)])
    assert merged["server_cpu"] == pytest.approx((100 * 0.1 + 300 * 0.2) / 400)
    assert merged["postgres_cpu"] == pytest.approx(100)
    assert (merged["rate"], merged["messages"], merged["server_loop_ns"]) == (200, 400, 150)
    assert merged["generator_cpu"] == pytest.approx(0.4)
    assert "server_loop_ns" not in together([half(1, 1, 1), half(1, 1, 1, loop=None)])


def test_a_ratio_is_of_one_round() -> None:
    rows = [
        {"variant": "one", "round": 0, "server_cpu": 0.1, "server_loop_ns": 100},
        {"variant": "two", "round": 0, "server_cpu": 0.3, "server_loop_ns": 200},
        {"variant": "two", "round": 1, "server_cpu": 0.3, "server_loop_ns": 200},
    ]
    for round_ in range(2):
        compare(rows, round_, "one", "two", "times_one")
    assert rows[1]["times_one"] == pytest.approx(3)
    assert rows[1]["times_one_at_one_pace"] == pytest.approx(1.5)
    assert "times_one" not in rows[2]


async def test_one_that_fails_fails_both(monkeypatch: pytest.MonkeyPatch) -> None:
    async def exchange(system: str, _people: object, **_job: object) -> dict[str, Any]:
        if system == "two":
            raise RunFailed("too late")
        return half(1, 1, 1)

    monkeypatch.setattr(workers, "exchange", exchange)
    with pytest.raises(RunFailed, match="too late"):
        await exchange_apart({"one": [], "two": []})  # type: ignore[dict-item]


@pytest.mark.timeout(300)
async def test_all_variants_are_asked(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MODES": ((1, 1),), "PAIRS": 4, "WARM_S": 0.1, "MEASURE_S": 0.4}.items():
        monkeypatch.setattr(workers, name, value)
    async with running_postgres(place, {"fsync": "off"}) as postgres:
        bench = Bench(place.parent, postgres, (Ours,), 1, False, lambda _: None, None, None)
        rows = await workers.Workers().run(bench)
    assert bench.failures == []
    for where in ("", workers.FREE):
        found = [row for row in rows if row["variant"].endswith(workers.FREE) == bool(where)]
        assert [("times_one" in row, "times_apart" in row) for row in found] == [
            (False, False),
            (True, False),
            (True, False),
            (True, True),
            (True, False),
        ]
        assert all(row["messages"] > 0 for row in found)
        one, apart, two = found[0], found[2], found[3]
        assert two["times_apart"] == pytest.approx(two["server_cpu"] / apart["server_cpu"])
        assert two["times_one"] == pytest.approx(two["server_cpu"] / one["server_cpu"])
