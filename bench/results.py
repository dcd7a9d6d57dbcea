"""Rows of runs, their medians, their ratios, and the file that keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.questions import Row

OURS = "ours"

Results = dict[str, dict[str, Any]]
"""Question -> {rows, left_out, machine, on, seconds, rounds, quick}, and `elsewhere`: the same of a machine with another processor."""


def medians(rows: Iterable[Row]) -> dict[tuple[str, str], dict[str, float]]:
    """(variant, system) -> the median of each number over the rounds. Variants as they first appear, and in each systems as they do."""
    gathered: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        numbers = gathered.setdefault((row["variant"], row["system"]), {})
        for key, value in row.items():
            if key not in ("system", "variant", "round") and isinstance(value, int | float):
                numbers.setdefault(key, []).append(value)
    variants, systems = (list(dict.fromkeys(part)) for part in zip(*gathered, strict=True)) if gathered else ([], [])
    ordered = sorted(gathered, key=lambda key: (variants.index(key[0]), systems.index(key[1])))
    return {key: {name: median(values) for name, values in gathered[key].items()} for key in ordered}


def ratios(rows: Sequence[Row], key: str) -> dict[tuple[str, str], float]:
    """(variant, system) -> how many times the system's number ours is: the median of the ratios within each round.

    Runs of one round are neighbours in time, so what the machine does besides falls on both.
    """
    by_round: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        ours = [
            one
            for one in rows
            if one["system"] == OURS and one["round"] == row["round"] and one["variant"] == row["variant"]
        ]
        if ours and row.get(key) and key in ours[0]:
            by_round.setdefault((row["variant"], row["system"]), []).append(ours[0][key] / row[key])
    return {where: median(values) for where, values in by_round.items()}


def rounds_compared(rows: Sequence[Row], variant: str, system: str) -> int:
    """Rounds in which both this system's run and ours counted."""
    ran = [
        {row["round"] for row in rows if row["variant"] == variant and row["system"] == name} for name in (OURS, system)
    ]
    return len(ran[0] & ran[1])


def load(path: Path) -> Results:
    """The file's results, or none."""
    return json.loads(path.read_text()) if path.exists() else {}


def merge(path: Path, new: Mapping[str, dict[str, Any]]) -> Results:
    """Puts the questions that were asked now into the file; those that were not asked stay as they are.

    What a machine with another processor said stays beside it: how systems compare depends on the processor and on the disk.
    """
    old = load(path)
    merged = {**old, **{question: _beside(old.get(question), result) for question, result in new.items()}}
    path.write_text(json.dumps(merged, indent=1, sort_keys=True) + "\n")
    return merged


def _beside(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    if old is None:
        return new
    another = old if old["machine"]["processor"] != new["machine"]["processor"] else old.get("elsewhere")
    if another is None:
        return new
    return {**new, "elsewhere": {key: value for key, value in another.items() if key != "elsewhere"}}


def elsewhere(results: Results) -> Results:
    """What another machine said."""
    return {question: result["elsewhere"] for question, result in results.items() if "elsewhere" in result}
