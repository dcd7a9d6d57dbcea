"""`python -m bench.duel`: two or more states of the relay at the same time on one core. Whoever costs less gets further.

Runs after each other differ by a tenth on a shared machine, whatever is compared: its caches and its disk are other people's too. Systems that
run side by side have the same neighbours at the same moment, and share their core fairly: what differs is what a message costs them. The
rounds of two states of the relay mostly agree to a few hundredths, those beside a peer to less; believe the median, and more rounds. It
tells which of two states is better. How fast either is, `python -m bench` tells.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import click
import trio

from bench.__main__ import chosen, tell, working_directory
from bench.postgres import running_postgres
from bench.questions import Bench, Row
from bench.questions.online import PAIRS, WARM_S, exchange
from bench.results import medians
from bench.systems import ROOT, Person, System
from bench.systems.catalogue import SYSTEMS
from bench.systems.ours import Ours

MEASURE_S = 4.0


def as_committed(revision: str, directory: Path) -> Path:
    """Lays this revision out in `directory`. Raises click.UsageError if there is no such revision."""
    directory.mkdir()
    packed = directory.with_suffix(".tar")
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", f"--output={packed}", revision]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise click.UsageError(f"git has no {revision!r}: {done.stderr.strip()}")
    subprocess.run(["tar", "-xf", str(packed), "-C", str(directory)], check=True)  # noqa: S603, S607
    packed.unlink()
    return directory


def state(revision: str, directory: Path) -> type[Ours]:
    """The relay of that revision, run with the packages of this checkout."""
    tree = as_committed(revision, directory / f"tree-{len(list(directory.iterdir()))}")
    return type("State", (Ours,), {"name": revision, "title": revision, "tree": tree})


async def side_by_side(
    bench: Bench, systems: Sequence[System], people: dict[str, list[Person]], modes: Sequence[tuple[int, int]]
) -> list[Row]:
    rows: list[Row] = []
    for round_ in range(bench.rounds):
        for outstanding, posts in modes:
            async with trio.open_nursery() as nursery:
                for system in systems:
                    run = partial(
                        exchange, system, people[system.name], outstanding=outstanding, posts=posts, warm_s=WARM_S,
                        measure_s=MEASURE_S, core=bench.generator_core,
                    )  # fmt: skip
                    nursery.start_soon(bench.attempt, rows, system, f"{outstanding}x{posts}", round_, run)
    return rows


@asynccontextmanager
async def started(
    kinds: Sequence[type[System]], directory: Path, rounds: int
) -> AsyncIterator[tuple[Bench, list[System]]]:
    cores = sorted(os.sched_getaffinity(0))
    server_core, generator_core = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    async with running_postgres(directory / "postgres") as postgres:
        bench = Bench(directory, postgres, kinds, rounds, False, tell, server_core, generator_core)
        async with bench.all_running(kinds) as systems:
            yield bench, systems


async def compare(
    kinds: Sequence[type[System]], modes: Sequence[tuple[int, int]], rounds: int, directory: Path
) -> list[Row]:
    """Rows of all systems, as question `online` has them. CPU of PostgreSQL is not told apart: it is that of all."""
    async with started(kinds, directory, rounds) as (bench, systems):
        people = {system.name: await system.people(PAIRS) for system in systems}
        return await side_by_side(bench, systems, people, modes)


def against_the_first(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Of each mode and system: how many times the rate of the first, and its server CPU a message, in the median of the rounds."""
    first = {(row["variant"], row["round"]): row for row in rows if row["system"] == names[0]}
    compared: list[Row] = [
        {
            "system": row["system"],
            "variant": row["variant"],
            "round": row["round"],
            "rate": row["rate"] / one["rate"],
            "server_cpu": row["server_cpu"] / one["server_cpu"],
        }
        for row in rows
        if row["system"] != names[0] and (one := first.get((row["variant"], row["round"]))) is not None
    ]
    return [
        {"variant": variant, "system": system, **numbers} for (variant, system), numbers in medians(compared).items()
    ]


def mode(text: str) -> tuple[int, int]:
    outstanding, _, posts = text.partition("x")
    try:
        return int(outstanding), int(posts)
    except ValueError:
        raise click.UsageError(f"{text!r} is no mode: 4x1 is 4 frames unanswered with 1 post in each") from None


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("revisions", nargs=-1)
@click.option("--systems", "system_names", help="Peers besides, names with commas between: fastapi-group, …")
@click.option("--modes", default="1x1,4x1", show_default=True, help="Frames unanswered x posts in each.")
@click.option("--rounds", default=4, show_default=True, type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="The ratios for machines.")
@click.option(
    "--directory", type=click.Path(path_type=Path, exists=True), help="Where to work: on the disk to measure."
)
def main(
    revisions: tuple[str, ...], system_names: str | None, modes: str, rounds: int, as_json: bool, directory: Path | None
) -> None:
    """Compares REVISIONS of git, and peers, with this checkout as it stands, uncommitted changes included; HEAD if none is named."""
    peers = chosen(system_names, SYSTEMS, "system") if system_names else []
    asked = [mode(text) for text in modes.split(",")]
    began = time.monotonic()
    with working_directory(directory) as place:
        states = [state(revision, place) for revision in revisions or (() if peers else ("HEAD",))]
        kinds: list[type[System]] = [Ours, *states, *peers]
        rows = trio.run(compare, kinds, asked, rounds, place)
    found = against_the_first(rows, [kind.name for kind in kinds])
    if as_json:
        click.echo(
            json.dumps(
                {
                    "against": "this checkout",
                    "rounds": rounds,
                    "seconds": round(time.monotonic() - began),
                    "rows": found,
                }
            )
        )
        return
    click.echo(f"side by side with this checkout, {rounds} rounds of {MEASURE_S:g} s:")
    for row in found:
        click.echo(
            f"  {row['variant']}  {row['system']}: {row['rate']:.3f} times its rate, {row['server_cpu']:.3f} times its server CPU a message"
        )
    if len(found) < len(modes.split(",")) * (len(kinds) - 1):
        raise click.ClickException("some runs did not count; what is above says why")


if __name__ == "__main__":
    sys.exit(main())
