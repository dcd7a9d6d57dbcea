"""The duel: both states run, each in its own code, and the ratios are of the same moment."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bench import duel
from bench.systems import ROOT
from bench.systems.ours import Ours


@pytest.mark.timeout(240)
async def test_two_states_run_side_by_side(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duel, "MEASURE_S", 0.5)
    monkeypatch.setattr(duel, "WARM_S", 0.1)
    monkeypatch.setattr(duel, "PAIRS", 2)
    before = duel.state("HEAD", place.parent)
    assert (before.name, before.tree != ROOT) == ("HEAD", True)
    assert (before.tree / "relay" / "app.py").exists()
    rows = await duel.compare([Ours, before], [(1, 1)], 1, place.parent)
    assert [(row["variant"], row["round"]) for row in rows] == [("1x1", 0)] * 2
    [found] = duel.against_the_first(rows, ["ours", "HEAD"])
    assert found["system"] == "HEAD"
    assert 0.1 < found["rate"] < 10


def test_ratios_are_of_one_round() -> None:
    numbers = {"ours": [(100, 2.0), (10, 4.0)], "before": [(50, 4.0), (5, 6.0)]}
    rows = [
        {"system": system, "variant": "1x1", "round": round_, "rate": rate, "server_cpu": cpu}
        for system, runs in numbers.items()
        for round_, (rate, cpu) in enumerate(runs)
    ]
    rows.append(
        {"system": "before", "variant": "1x1", "round": 2, "rate": 1, "server_cpu": 1.0}
    )  # whose neighbour failed
    assert duel.against_the_first(rows, ["ours", "before"]) == [
        {"system": "before", "variant": "1x1", "rate": 0.5, "server_cpu": 1.75}
    ]


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="no-such-revision"):
        duel.state("no-such-revision", tmp_path)
    assert "is no mode" in CliRunner().invoke(duel.main, ["--modes", "4by1"]).output
    assert "fastapi-group" in CliRunner().invoke(duel.main, ["--systems", "none-such"]).output
