"""`python -m bench`: asks questions of systems and shows one table a question. docs/benchmarks.md says how to read them."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import click
import trio

from bench.generator import BUSY
from bench.pace import level, watching
from bench.plot import plot
from bench.postgres import running_postgres
from bench.questions import Bench, Question
from bench.questions.catalogue import QUESTIONS
from bench.render import fill, table
from bench.results import load, merge
from bench.systems import ROOT, System
from bench.systems.catalogue import SYSTEMS

TITLES = {"postgresql": "PostgreSQL", **{s.name: s.title if s.durable else f"{s.title} (not durable)" for s in SYSTEMS}}
PAGE = ROOT / "docs" / "benchmarks.md"
PUBLISHED = ROOT / "docs" / "benchmarks" / "results.json"


def tell(line: str) -> None:
    click.echo(line, err=True)


SYNCS, SYNCED = 200, bytes(8192)


def fsync_ms(directory: Path) -> float:
    """How long this disk takes to keep a page of a log: the median. Whoever commits each message by itself is measured by it."""
    taken = []
    with (directory / "synced").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(SYNCED)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(1000 * (time.perf_counter() - began))
    return round(median(taken), 3)


def machine(directory: Path) -> dict[str, Any]:
    """The machine, and the disk of `directory`, in general words: nothing that tells whose it is."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": models[0] if models else platform.machine(),
        "memory_gib": round(memory),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "fsync_ms": fsync_ms(directory),
    }


@contextmanager
def working_directory(parent: Path | None) -> Iterator[Path]:
    """A short path that an unprivileged PostgreSQL may enter, on a disk that keeps what is synced."""
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=parent or "/tmp"))  # noqa: S108
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


async def ask(
    questions: Sequence[type[Question]],
    systems: Sequence[type[System]],
    *,
    rounds: int,
    quick: bool,
    waiting: int = 0,
    parent: Path | None = None,
) -> dict[str, dict[str, Any]]:
    """Asks one question after the other, on one PostgreSQL. Answers what bench/results.py keeps."""
    cores = sorted(os.sched_getaffinity(0))
    server_core, generator_core = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    answers: dict[str, dict[str, Any]] = {}
    with working_directory(parent) as directory, watching(directory, cores[:2]) as watched:
        about = machine(directory)
        async with running_postgres(directory / "postgres") as postgres:
            for kind in questions:
                tell(f"{kind.name}: {kind.title}")
                bench = Bench(
                    directory,
                    postgres,
                    systems,
                    rounds,
                    quick,
                    tell,
                    server_core,
                    generator_core,
                    waiting,
                    watched=watched,
                )
                began = time.monotonic()
                rows = await kind().run(bench)
                level(rows)
                answers[kind.name] = {
                    "rows": rows,
                    "left_out": bench.left_out,
                    "failures": bench.failures,
                    "rounds": rounds,
                    "quick": quick,
                    "seconds": round(time.monotonic() - began),
                    "on": time.strftime("%Y-%m-%d", time.gmtime()),
                    "machine": {**about, "postgresql": postgres.version},
                    "versions": {system.name: system.version() for system in systems},
                }
                busy = max((row.get("generator_cpu", 0) for row in rows), default=0)
                if busy > BUSY:
                    tell(f"  the load generator used {busy:.0%} of its core: the fastest runs may measure it")
    return answers


def chosen(names: str | None, among: Sequence[Any], what: str) -> list[Any]:
    known = {one.name: one for one in among}
    if not names:
        return list(among)
    wanted = [name.strip() for name in names.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise click.UsageError(f"no {what} is called {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


def rendered() -> dict[Path, str]:
    """Every file that is made from the published results, and what it must hold."""
    results = load(PUBLISHED)
    files = {PAGE: fill(PAGE.read_text(), QUESTIONS, results, TITLES)}
    for question in QUESTIONS:
        if question.name in results:
            files[PUBLISHED.with_name(f"{question.name}.svg")] = plot(question, results[question.name], TITLES)
    return files


def write_page() -> None:
    for path, text in rendered().items():
        path.write_text(text)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--question", "question_names", help="Names with commas between; all by default.")
@click.option("--systems", "system_names", help="Names with commas between; all by default.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="Runs of each, interleaved.")
@click.option("--quick", is_flag=True, help="Shorter runs, for developers.")
@click.option("--waiting", default=0, type=click.IntRange(0), help="Envelopes for `growth`, besides 10^5 and 10^6.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Puts the results into this file.")
@click.option(
    "--publish", is_flag=True, help="Puts the results into docs/benchmarks/ and the tables into docs/benchmarks.md."
)
@click.option("--render", is_flag=True, help="Asks nothing: makes tables and plots of what is published anew.")
@click.option(
    "--directory", type=click.Path(path_type=Path, exists=True), help="Where to work: on the disk to measure."
)
def main(
    question_names: str | None,
    system_names: str | None,
    rounds: int,
    quick: bool,
    waiting: int,
    json_path: Path | None,
    publish: bool,
    render: bool,
    directory: Path | None,
) -> None:
    """Measures the relay against its peers, as ratios of interleaved runs."""
    if render:
        write_page()
        return
    questions = chosen(question_names, QUESTIONS, "question")
    systems = chosen(system_names, SYSTEMS, "system")
    answers = trio.run(lambda: ask(questions, systems, rounds=rounds, quick=quick, waiting=waiting, parent=directory))
    if json_path is not None:
        merge(json_path, answers)
    if publish:
        PUBLISHED.parent.mkdir(exist_ok=True)
        merge(PUBLISHED, answers)
        write_page()
    for question in questions:
        click.echo(f"\n{question.title}\n\n{table(question, answers[question.name], TITLES)}")
        for name, why in answers[question.name]["left_out"].items():
            click.echo(f"{name} is left out: {why}")
        for one in answers[question.name]["failures"]:
            click.echo(f"{one['system']}, {one['variant']}, round {one['round']} does not count: {one['why']}")


if __name__ == "__main__":
    sys.exit(main())
