"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.questions import Question
from bench.results import OURS, medians, ratios


def number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def table(question: type[Question], result: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """One line a variant and system: medians, and how many times the system's number ours is."""
    rows = result["rows"]
    compared = ratios(rows, question.ratio)
    several = len({row["system"] for row in rows}) > 1
    heads = ["", "system", *(column.title for column in question.columns), *(["ours is"] if several else [])]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * 2 + "--:|" * (len(heads) - 2)]
    before = None
    for (variant, system), numbers in medians(rows).items():
        cells = [variant if variant != before else "", titles.get(system, system)]
        cells += [number(numbers.get(column.key), column.digits) for column in question.columns]
        if several:
            ratio = compared.get((variant, system))
            cells.append("" if ratio is None or system == OURS else f"{ratio:.2f}x")
        lines.append("| " + " | ".join(cells) + " |")
        before = variant
    return "\n".join(lines)
