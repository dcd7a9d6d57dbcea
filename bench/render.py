"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.generator import BUSY
from bench.questions import Question
from bench.results import OURS, Results, medians, ratios
from bench.targets import section as targets


def number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def table(question: type[Question], result: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """One line a variant and system: medians, and how many times the system's number ours is."""
    rows = result["rows"]
    several = len({row["system"] for row in rows}) > 1
    by = [key for key in (question.ratio, *question.also) if several]
    compared = {key: ratios(rows, key) for key in by}
    names = {column.key: column.title for column in question.columns}
    heads = ["", "system", *names.values(), *(f"ours by {names[key]}" for key in by)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * 2 + "--:|" * (len(heads) - 2)]
    before = None
    for (variant, system), numbers in medians(rows).items():
        cells = [variant if variant != before else "", titles.get(system, system)]
        cells += [number(numbers.get(column.key), column.digits) for column in question.columns]
        for key in by:
            ratio = compared[key].get((variant, system))
            cells.append("" if ratio is None or system == OURS else f"{ratio:.2f}x")
        lines.append("| " + " | ".join(cells) + " |")
        before = variant
    return "\n".join(lines)


def section(question: type[Question], result: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """The table with what must be known to read it, and that of another machine."""
    parts = [f"### {question.title}", table(question, result, titles)]
    parts += [f"![{question.unit}](benchmarks/{question.name}.svg)", notes(question, result, titles)]
    if (other := result.get("elsewhere")) is not None:
        parts += ["On another machine:", table(question, other, titles), notes(question, other, titles)]
    return "\n\n".join(parts)


def spread(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Of the relay's CPU a message, the dearest round by the cheapest, of the variant in which they are furthest apart; None of one round."""
    costs: dict[str, list[float]] = {}
    for row in rows:
        if row["system"] == OURS and row.get("server_cpu"):
            costs.setdefault(row["variant"], []).append(row["server_cpu"])
    return max((max(own) / min(own) for own in costs.values() if len(own) > 1), default=None)


def notes(question: type[Question], result: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """Where and when, what was left out, and what does not count."""
    machine, rows = result["machine"], result["rows"]
    disk = f", an fsync takes {machine['fsync_ms']:.2f} ms" if "fsync_ms" in machine else ""
    said = [
        f"{result['rounds']} rounds{', shortened' if result['quick'] else ''}, {result['seconds']} s in all, on {result['on']}: "
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, Linux {machine['kernel']}, "
        f"Python {machine['python']}, PostgreSQL {machine['postgresql']}{disk}."
    ]
    if (busiest := max((row.get("generator_cpu", 0) for row in rows), default=0)) > BUSY:
        said.append(
            f"The load generator used {busiest:.0%} of its core in one run: the fastest systems may be faster than this."
        )
    if (wide := spread(rows)) is not None:
        said.append(
            f"How even the machine was: the round in which a message cost the relay most took {wide:.1f} times the server CPU of the one "
            "in which it cost least, of the same variant."
        )
    said += [f"{titles.get(name, name)} is left out: {why}." for name, why in result["left_out"].items()]
    said += [
        f"{titles.get(one['system'], one['system'])}, {one['variant'] or question.name}, round {one['round'] + 1} does not count: {one['why']}"
        for one in result["failures"]
    ]
    return "\n".join(f"- {' '.join(note.split())}" for note in said)


BEGIN, END = "<!-- rendered from results.json -->", "<!-- end of what is rendered -->"


def fill(page: str, questions: Sequence[type[Question]], results: Results, titles: Mapping[str, str]) -> str:
    """The page with its tables made anew from the results: between the two marks, nothing else is touched."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no marks")
    asked = [question for question in questions if question.name in results]
    body = "\n\n".join([targets(results), *(section(question, results[question.name], titles) for question in asked)])
    return f"{head}{BEGIN}\n\n{body if asked else 'Nothing has been published yet.'}\n\n{END}{tail}"
