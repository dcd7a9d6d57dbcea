"""That the pace of a core is what its loop says, and that costs are put right by it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bench import pace
from bench.pace import Watched, level, watching
from bench.processes import tree


def test_a_core_is_watched_meanwhile_and_no_longer(tmp_path: Path) -> None:
    core = min(os.sched_getaffinity(0))
    children = set(tree([os.getpid()]))
    with watching(tmp_path, [core]) as watched:
        began = time.monotonic()
        while (took := watched.loop_ns(core, began, time.monotonic())) is None and time.monotonic() < began + 30:
            time.sleep(0.05)
        (watcher,) = set(tree([os.getpid()])) - children
        assert os.sched_getaffinity(watcher) == {core}
        assert took is not None
        assert 1_000 < took < 1_000_000_000
        assert watched.loop_ns(core, 0, began - 1) is None
    assert set(tree([os.getpid()])) <= children


def test_the_mean_is_that_of_the_time_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "0").write_text("1.000 100\n2.000 200\n3.000 50\n4.0")  # the last one is being written
    (tmp_path / "1").write_text("2.000 400\n")
    watched = Watched({0: tmp_path / "0", 1: tmp_path / "1"})
    assert watched.loop_ns(0, 1.5, 2.5) == 200
    assert watched.loop_ns(0, 1, 2) == pytest.approx(2 / (1 / 100 + 1 / 200))
    assert watched.loop_ns(None, 2, 2) == pytest.approx(2 / (1 / 200 + 1 / 400))
    assert watched.loop_ns(1, 3, 9) is None


def test_the_loop_is_timed_by_its_own_cpu_and_not_by_the_clock(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Enough(Exception):
        pass

    looks = iter([None, None])

    def sleep(_: float) -> None:
        if next(looks, Enough) is Enough:
            raise Enough

    ran = iter(range(100))
    monkeypatch.setattr(pace.time, "sleep", sleep)
    monkeypatch.setattr(pace, "loop", lambda: next(ran))
    cpu = iter([5_000, 5_700, 9_000, 9_900])
    monkeypatch.setattr(pace.time, "thread_time_ns", lambda: next(cpu))
    monkeypatch.setattr(pace.os, "sched_setaffinity", lambda *_: None)
    with pytest.raises(Enough):
        pace.watch(0)
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["700", "900"]
    assert next(ran) == 4  # once to warm the caches, once to be timed


def test_costs_are_put_at_the_pace_of_the_quickest_run_of_all() -> None:
    rows: list[dict[str, float]] = [
        {"server_cpu": 0.2, "server_loop_ns": 200, "postgres_cpu": 0.06, "postgres_loop_ns": 150},
        {"server_cpu": 0.1, "server_loop_ns": 125, "postgres_cpu": 0.04, "postgres_loop_ns": 100},
        {"server_cpu": 0.1},
        {"ring_p99_ms": 3},
    ]
    level(rows)
    assert [row.get("server_pace") for row in rows] == [0.5, 0.8, None, None]
    assert [row.get("postgres_pace") for row in rows] == [pytest.approx(2 / 3), 1.0, None, None]
    assert [row.get("server_cpu_at_full_pace") for row in rows] == [0.1, pytest.approx(0.08), None, None]
    assert [row.get("postgres_cpu_at_full_pace") for row in rows] == [pytest.approx(0.04), 0.04, None, None]
    assert rows[0]["server_cpu"] == 0.2
