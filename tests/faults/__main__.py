"""`make faults`, `make kills`: long runs of injuries on real processes, their progress, a table of what was done and what held.

With --into every round is written down when it is over; a run that was stopped goes on where it was when it is started again.

Exit codes: 0 nothing was broken, 1 the checker convicts (the history is written to a file), 2 wrong usage, 3 a round came to no verdict.
"""

# ruff: noqa: T201  # it talks to a terminal
from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import trio

from tests.faults.injuries import INJURIES, PAIR_INJURIES
from tests.faults.records import ABOUT, Record, add, is_done, read, record, text_table, void
from tests.faults.run import Plan, Result, run, schedule, shuffled

KILLS = {"kill_relay": 24, "kill_worker": 12, "kill_all_relays": 7, "kill_postgres": 7, "kill_backend": 3}
"""One round of `--kills`: on two nodes 50 SIGKILLs of the relay and 10 of PostgreSQL. Twenty rounds are 1,000 and 200."""

MOST_VOID = 3


def main() -> int:
    asked = _arguments()
    known = PAIR_INJURIES if asked.pair else INJURIES
    kinds = [name for name in asked.only.split(",") if name] or list(known)
    if unknown := set(kinds) - set(known):
        print(f"no such injury: {', '.join(sorted(unknown))}. There are: {', '.join(known)}", file=sys.stderr)
        return 2
    name = "kills" if asked.kills else "failover" if asked.pair else "faults"
    rounds: list[Record] = []
    plans = list(_plans(asked, kinds))
    for number, plan in enumerate(plans, 1):
        if asked.into is not None and is_done(asked.into, name, plan):
            say(f"round {number} of {len(plans)}, seed {plan.seed}: done before")
            rounds += [one for one in read(asked.into)[name] if one["seed"] == plan.seed]
            continue
        say(f"round {number} of {len(plans)}, seed {plan.seed}: {len(plan.injuries)} injuries")
        try:
            result = trio.run(run, plan, say)
        except Exception as error:
            rounds.append(void(plan, error))
            say(f"seed {plan.seed} came to no verdict: {rounds[-1]['void']}")
        else:
            rounds.append(record(result))
            if result.verdict.charges:
                convict(result, asked.history)
        if asked.into is not None:
            add(asked.into, name, rounds[-1])
        if any(one.get("broken") for one in rounds) or sum("void" in one for one in rounds) > MOST_VOID:
            break
    print(json.dumps(rounds, indent=2) if asked.json else text_table(rounds))
    if any(one.get("broken") for one in rounds):
        return 1
    return 3 if any("void" in one for one in rounds) else 0


def _plans(asked: argparse.Namespace, kinds: list[str]) -> Iterator[Plan]:
    """Rounds, so that each begins with an empty database and can be repeated by its own seed."""
    between = (asked.pause / 2, asked.pause * 1.5)
    if asked.kills:
        for seed in range(asked.seed, asked.seed + asked.rounds):
            injuries = shuffled(seed, KILLS)
            yield Plan(
                seed=seed, injuries=injuries, mailboxes=asked.mailboxes, between_s=(0.0, 0.3), acknowledged_between=8
            )
        return
    left, seed = asked.count, asked.seed
    while left > 0:
        count = min(left, asked.round)
        injuries = schedule(seed, kinds, count)
        yield Plan(
            seed=seed,
            injuries=injuries,
            nodes=asked.nodes,
            mailboxes=asked.mailboxes,
            pair=asked.pair,
            between_s=between,
        )
        left, seed = left - count, seed + 1


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
        "--kills",
        action="store_true",
        help="instead of --count and --only: kill -9 only, 50 of the relay and 10 of PostgreSQL a round",
    )
    parser.add_argument("--rounds", type=int, default=20, help="of --kills (default 20)")
    parser.add_argument(
        "--into",
        type=Path,
        metavar="FILE",
        help=f"add each round to this file, under {', '.join(ABOUT)}; what is in it is not done again",
    )
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


if __name__ == "__main__":
    sys.exit(main())
