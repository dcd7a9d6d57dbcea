"""What long runs have shown, as JSON: one record a round, kept in docs/reliability.json, and the tables that are made of it.

A round is added when it is over, so that a run may be done in parts; one that is there already, with the same seed and the same injuries, is
not done again. `python -m tests.faults.records` writes the tables into docs/reliability.md.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.run import Plan, Result

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- made of reliability.json -->", "<!-- end of what is made -->"

Record = dict[str, Any]


def record(result: Result) -> Record:
    """All numbers of a round that went to its end."""
    return {
        "seed": result.plan.seed,
        "injuries": dict(sorted(result.injured.items())),
        "kills": dict(sorted(result.kills.items())),
        "seconds": round(result.seconds, 1),
        "healed_s": round(result.healed_s, 1),
        "failovers_s": [round(took, 1) for took in result.failovers_s],
        "broken": result.verdict.charges,
        "counts": result.verdict.counts,
    }


def void(plan: Plan, error: BaseException) -> Record:
    """A round that came to no verdict: something under or around the relay did not do what the run needs. It is told, and proves nothing."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return {
        "seed": plan.seed,
        "injuries": dict(sorted(Counter(plan.injuries).items())),
        "void": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:200],
    }


def read(path: Path = RECORDS) -> dict[str, list[Record]]:
    """Rounds by the name of their run."""
    runs: dict[str, list[Record]] = json.loads(path.read_text()) if path.exists() else {}
    return runs


def add(path: Path, run: str, new: Record) -> None:
    """In place of one with the same seed, unless that one was convicted: a conviction stays."""
    runs = read(path)
    rounds = runs.setdefault(run, [])
    rounds[:] = [one for one in rounds if one["seed"] != new["seed"] or one.get("broken")]
    rounds.append(new)
    rounds.sort(key=lambda one: int(one["seed"]))
    half = path.with_suffix(".new")
    half.write_text(json.dumps(runs, indent=1) + "\n")
    half.replace(path)


def is_done(path: Path, run: str, plan: Plan) -> bool:
    wanted = dict(sorted(Counter(plan.injuries).items()))
    return any(
        one["seed"] == plan.seed and one["injuries"] == wanted and "void" not in one for one in read(path).get(run, ())
    )


def _summed(rounds: Sequence[Record], key: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in rounds:
        total.update(one[key])
    return total


def of_kills(kills: Counter[str]) -> tuple[int, int]:
    """SIGKILLs to the relay and to PostgreSQL."""
    return kills["relay"] + kills["worker"], kills["postmaster"] + kills["backend"] + kills["primary"]


def text_table(rounds: Sequence[Record]) -> str:
    """For a terminal."""
    voids = [one for one in rounds if "void" in one]
    rounds = [one for one in rounds if "void" not in one]
    lines = [f"seed {one['seed']} came to no verdict: {one['void']}" for one in voids]
    if not rounds:
        return "\n".join(lines)
    lines += ["injury                     | times", "---------------------------+------"]
    lines += [f"{name:26} | {count:5}" for name, count in sorted(_summed(rounds, "injuries").items())]
    counts, kills = _summed(rounds, "counts"), _summed(rounds, "kills")
    relay, postgres = of_kills(kills)
    broken = [charge for one in rounds for charge in one["broken"].items()]
    failovers = [took for one in rounds for took in one["failovers_s"]]
    lines += [
        "",
        f"kill -9: {relay} of the relay, {postgres} of PostgreSQL ({', '.join(f'{n} {what}' for what, n in kills.items())}).",
        f"{counts['ok']} of {counts['envelopes']} envelopes were acknowledged, {counts['unknown']} left unknown, "
        f"{counts['redelivered']} came again on the wire before they were settled.",
        f"Slowest healing: {max(one['healed_s'] for one in rounds):.1f} s. Seeds: {', '.join(str(one['seed']) for one in rounds)}.",
    ]
    if failovers:
        lines.append(f"From the death of the primary to the first acknowledged post: {_seconds(failovers)}.")
    return "\n".join(
        [
            *lines,
            f"BROKEN: {broken}"
            if broken
            else "Nothing acknowledged was lost, invented, altered, late or out of order.",
        ]
    )


def _seconds(values: Sequence[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.1f} s in the middle, {ordered[-1]:.1f} s at most, of {len(ordered)}"


ABOUT = {
    "kills": "`make kills`",
    "faults": "`make faults`",
    "failover": "`python -m tests.faults --pair`",
}


def page_tables(runs: dict[str, list[Record]]) -> str:
    """Markdown: one row a run, then what each injury was done how often, then failovers."""
    lines = [
        "| run | seeds | injuries | kill -9 of the relay | of PostgreSQL | acknowledged | left unknown | came again on the wire "
        "| slowest healing | broken |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    kinds: dict[str, Counter[str]] = {}
    remarks = []
    for run, about in ABOUT.items():
        rounds = [one for one in runs.get(run, ()) if "void" not in one]
        remarks += [
            f"`{run}`, seed {one['seed']}: no verdict ({one['void']})." for one in runs.get(run, ()) if "void" in one
        ]
        if not rounds:
            continue
        counts, kinds[run] = _summed(rounds, "counts"), _summed(rounds, "injuries")
        relay, postgres = of_kills(_summed(rounds, "kills"))
        broken = _summed(rounds, "broken")
        lines.append(
            f"| {about} | {_ranges([int(one['seed']) for one in rounds])} | {kinds[run].total():,} | {relay:,} | {postgres:,} "
            f"| {counts['ok']:,} | {counts['unknown']:,} | {counts['redelivered']:,} "
            f"| {max(one['healed_s'] for one in rounds):.1f} s | {_told(broken)} |"
        )
        failovers = [took for one in rounds for took in one["failovers_s"]]
        if failovers:
            remarks.append(
                f"Failover, from the death of the primary to the first post that was acknowledged afterwards: {_seconds(failovers)}."
            )
    names = sorted({name for counted in kinds.values() for name in counted})
    lines += [
        "",
        "| injury | " + " | ".join(ABOUT[run] for run in kinds) + " |",
        "|---" * (len(kinds) + 1) + "|",
        *(f"| `{name}` | " + " | ".join(str(kinds[run][name]) for run in kinds) + " |" for name in names),
        "",
        *remarks,
    ]
    return "\n".join(lines).rstrip()


def _told(broken: Counter[str]) -> str:
    return ", ".join(f"**{count} {name}**" for name, count in broken.items()) or "0"


def _ranges(seeds: list[int]) -> str:
    """1, 2, 3, 7 -> 1 to 3, 7."""
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]} to {part[-1]}" for part in parts)


def page_with(page: str, tables: str) -> str:
    """The page with other tables. Raises ValueError if it has no place for them."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def main() -> int:
    PAGE.write_text(page_with(PAGE.read_text(), page_tables(read())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
