"""Rounds as JSON and the tables made of them; the page shows what the file holds."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import records
from tests.faults.__main__ import KILLS
from tests.faults.checker import judge
from tests.faults.run import Plan, Result, shuffled
from tests.faults.test_checker import Story


def result(seed: int, *, lost: bool = False) -> Result:
    story = Story()
    story.post("1")
    if not lost:
        story.come("1")
    plan = Plan(seed=seed, injuries=("kill_relay", "kill_postgres", "kill_relay"))
    injured = Counter(plan.injuries)
    kills = Counter({"relay": 2, "postmaster": 1})
    return Result(plan, judge(story.history), story.history, injured, 60.0, 1.25, "", kills, [3.0, 9.04])


def test_the_page_shows_what_the_file_holds() -> None:
    page = records.PAGE.read_text()
    assert page == records.page_with(page, records.page_tables(records.read()))


def test_rounds_are_kept_by_seed_and_not_done_again(tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    plan = result(7).plan
    assert not records.is_done(file, "kills", plan)
    records.add(file, "kills", records.void(plan, ExceptionGroup("", [AssertionError("it did not start\nsecrets")])))
    assert not records.is_done(file, "kills", plan), "a round without a verdict is done again"
    assert records.read(file)["kills"][0]["void"] == "AssertionError: it did not start"
    records.add(file, "kills", records.record(result(7)))
    records.add(file, "kills", records.record(result(6)))
    assert [one["seed"] for one in records.read(file)["kills"]] == [6, 7]
    assert records.is_done(file, "kills", plan)
    assert not records.is_done(file, "faults", plan)
    assert not records.is_done(file, "kills", Plan(seed=7, injuries=("kill_relay",)))


def test_a_conviction_stays_and_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "runs.json"
    records.add(file, "kills", records.record(result(7, lost=True)))
    records.add(file, "kills", records.record(result(7)))
    rounds = records.read(file)["kills"]
    assert [one["broken"] for one in rounds] == [{"lost": 1}, {}]
    assert "**1 lost**" in records.page_tables({"kills": rounds})
    assert "BROKEN: [('lost', 1)]" in records.text_table(rounds)


def test_numbers_are_sums_over_the_rounds() -> None:
    rounds = [records.record(result(seed)) for seed in (5, 6, 7, 9)]
    assert json.loads(json.dumps(rounds)) == rounds
    table = records.page_tables({"kills": rounds})
    assert "| `make kills` | 5 to 7, 9 | 12 | 8 | 4 | 4 | 0 | 0 | 1.2 s | 0 |" in table
    assert "| `kill_relay` | 8 |" in table
    assert "first post that was acknowledged afterwards: 9.0 s in the middle, 9.0 s at most, of 8." in table


def test_what_came_to_no_verdict_is_told() -> None:
    rounds = [records.void(Plan(seed=3), TimeoutError("late")), records.record(result(4))]
    assert "`kills`, seed 3: no verdict (TimeoutError: late)." in records.page_tables({"kills": rounds})
    assert records.text_table(rounds).startswith("seed 3 came to no verdict: TimeoutError: late")


def test_twenty_rounds_of_kills_are_a_thousand_and_two_hundred() -> None:
    injuries = shuffled(1, KILLS)
    assert Counter(injuries) == KILLS
    assert injuries != shuffled(2, KILLS)
    relay = KILLS["kill_relay"] + KILLS["kill_worker"] + 2 * KILLS["kill_all_relays"]  # on two nodes
    assert (20 * relay, 20 * (KILLS["kill_postgres"] + KILLS["kill_backend"])) == (1000, 200)


def test_a_page_without_a_place_for_them_is_refused() -> None:
    with pytest.raises(ValueError, match="made of"):
        records.page_with("# A page\n", "tables")
