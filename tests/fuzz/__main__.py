"""`make fuzz`: each target for some seconds, or one of them (`python -m tests.fuzz frames`), with atheris.

A child process a target, since libFuzzer ends the process that it runs in. Exit code 1: a target failed; the input is in the directory.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n", 1)[0])
    parser.add_argument("target", nargs="?", help="one of tests/fuzz/targets.py (default: each in turn)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (default 60)")
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="where a failing input is written")
    asked = parser.parse_args()
    if asked.target:
        return fuzz(asked.target, asked.seconds, asked.found)
    from tests.fuzz.targets import TARGETS

    failed = []
    for name in TARGETS:
        print(f"fuzzing {name} for {asked.seconds} s ...", flush=True)
        command = [
            sys.executable,
            "-m",
            "tests.fuzz",
            name,
            "--seconds",
            str(asked.seconds),
            "--found",
            str(asked.found),
        ]
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(name)
    print(f"FAILED: {', '.join(failed)}; inputs are in {asked.found}/" if failed else "No target failed.")
    return int(bool(failed))


def fuzz(name: str, seconds: int, found: Path) -> int:
    with atheris.instrument_imports(include=["relay", "pydantic"]):
        from tests.fuzz.targets import TARGETS

    found.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds(name)):
            (Path(corpus) / f"seed{number}").write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            f"-artifact_prefix={found}/{name}-",
            "-max_len=4096",
            "-verbosity=0",
            "-print_final_stats=1",
        ]
        atheris.Setup(["fuzz", *options, corpus], TARGETS[name])
        atheris.Fuzz()
    return 0


def seeds(name: str) -> list[bytes]:
    """Good inputs to start from: the examples of the protocol page, which are JSON."""
    from tests.fuzz.seeds import SEEDS

    return SEEDS.get(name, [b""])


if __name__ == "__main__":
    sys.exit(main())
