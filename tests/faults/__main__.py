"""`make faults`: a long run of injuries on real processes, its progress, a table of what was done and what held.

Exit codes: 0 nothing was broken, 1 the checker convicts (the history is written to a file), 2 wrong usage.
"""

# ruff: noqa: T201  # it talks to a terminal
from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import trio

from tests.faults.injuries import INJURIES, PAIR_INJURIES
from tests.faults.run import Plan, Result, run, schedule


def main() -> int:
    asked = _arguments()
    known = PAIR_INJURIES if asked.pair else INJURIES
    kinds = [name for name in asked.only.split(",") if name] or list(known)
    if unknown := set(kinds) - set(known):
        print(f"no such injury: {', '.join(sorted(unknown))}. There are: {', '.join(known)}", file=sys.stderr)
        return 2
    results = []
    left, seed = asked.count, asked.seed
    while left > 0:
        # Rounds, so that each begins with an empty database and can be repeated by its own seed.
        count = min(left, asked.round)
        plan = Plan(
            seed=seed,
            injuries=schedule(seed, kinds, count),
            nodes=asked.nodes,
            mailboxes=asked.mailboxes,
            pair=asked.pair,
            between_s=(asked.pause / 2, asked.pause * 1.5),
        )
        say(f"seed {seed}: {count} injuries")
        result = trio.run(run, plan, say)
        results.append(result)
        if result.verdict.charges:
            convict(result, asked.history)
            break
        left, seed = left - count, seed + 1
    print(json.dumps([summary(one) for one in results], indent=2) if asked.json else table(results))
    return int(any(one.verdict.charges for one in results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="of the first round; printed, so that a run can be repeated"
    )
    parser.add_argument("--count", type=int, default=110, help="injuries in all (default 110)")
    parser.add_argument("--round", type=int, default=55, help="injuries on one database (default 55)")
    parser.add_argument("--only", default="", metavar="A,B", help=f"of {', '.join(INJURIES)} (default all)")
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--mailboxes", type=int, default=4)
    parser.add_argument("--pair", action="store_true", help="on a primary with a synchronous standby, with failovers")
    parser.add_argument("--pause", type=float, default=0.8, metavar="S", help="between injuries, about")
    parser.add_argument(
        "--history", type=Path, default=Path("faults-history.json"), help="where a convicted run is written"
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def convict(result: Result, path: Path) -> None:
    path.write_text(result.history.to_json())
    say(f"CONVICTED with seed {result.plan.seed}: {result.verdict.charges}; the history is in {path}")


def summary(result: Result) -> dict[str, object]:
    return {
        "seed": result.plan.seed,
        "injuries": dict(result.injured),
        "seconds": round(result.seconds, 1),
        "healed_s": round(result.healed_s, 1),
        **asdict(result.verdict),
    }


def table(results: list[Result]) -> str:
    lines = ["injury                     | times", "---------------------------+------"]
    names = sorted({name for one in results for name in one.injured})
    lines += [f"{name:26} | {sum(one.injured[name] for one in results):5}" for name in names]
    totals = {key: sum(one.verdict.counts.get(key, 0) for one in results) for key in results[0].verdict.counts}
    charges = [charge for one in results for charge in one.verdict.charges.items()]
    seeds = ", ".join(str(one.plan.seed) for one in results)
    return "\n".join(
        [
            *lines,
            "",
            f"{totals['ok']} of {totals['envelopes']} envelopes were acknowledged, {totals['unknown']} left unknown, "
            f"{totals['redelivered']} came again on the wire before they were settled.",
            f"Slowest healing: {max(one.healed_s for one in results):.1f} s. Seeds: {seeds}.",
            f"BROKEN: {charges}"
            if charges
            else "Nothing acknowledged was lost, invented, altered, late or out of order.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
