"""The bench itself: that it counts what happened, and refuses a run in which something was lost. Never how fast anything is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.generator import LoadFailed
from bench.postgres import running_postgres
from bench.questions import Bench, RunFailed, require_empty
from bench.questions.online import exchange
from bench.results import medians, merge, ratios
from bench.systems import System
from bench.systems.ours import Ours

PAIRS, EACH = 2, 20
JOB = {"messages": EACH, "outstanding": 2, "posts": 4, "measure_s": 60, "core": None}


def bench_in(directory: Path, postgres: Any) -> Bench:
    return Bench(directory, postgres, (Ours,), 1, True, print, None, None)


@pytest.mark.timeout(240)
async def test_every_message_is_posted_delivered_and_gone(place: Path) -> None:
    async with (
        running_postgres(place, {"fsync": "off"}) as postgres,
        bench_in(place.parent, postgres).running(Ours) as ours,
    ):
        people = await ours.people(PAIRS)
        numbers = await exchange(ours, people, **JOB)
        assert (numbers["messages"], numbers["all_messages"], numbers["doubled"]) == (PAIRS * EACH, PAIRS * EACH, 0)
        assert await ours.mailbox_rows() == 0
        assert numbers["wal_bytes"] > 1024
        assert numbers["server_cpu"] > 0
        assert ours.pss_bytes() > 1_000_000
        assert {"rate", "p50_ms", "p99_ms", "postgres_cpu", "fsyncs", "generator_cpu"} <= numbers.keys()
        json.dumps(numbers)

        # A post that is refused is no message, however quickly it was refused.
        with pytest.raises(LoadFailed, match="no_access"):
            await exchange(ours, [{**people[0], "access": people[1]["access"]}], **JOB)
        # Nor does a run count that leaves something behind.
        with pytest.raises(RunFailed, match="3 messages were left"):
            await require_empty(Leftover(ours), within_s=0.2)


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


def test_results_of_several_runs_are_merged_by_question(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    merge(path, {"online": {"rows": [1]}, "offline": {"rows": [2]}})
    assert merge(path, {"online": {"rows": [3]}}) == {"online": {"rows": [3]}, "offline": {"rows": [2]}}
    assert json.loads(path.read_text()) == {"online": {"rows": [3]}, "offline": {"rows": [2]}}
