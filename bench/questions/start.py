"""Question 7: how long until the relay is ready, with a PostgreSQL of its own, and what it holds while nobody is there."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import trio

from bench.processes import pss_bytes, tree
from bench.questions import Bench, Column, Question, Row
from bench.systems import process
from bench.systems.ours import environment, operators_python
from bench.systems.served import until_it_is_ready

MIB = 1024 * 1024


async def start(directory: Path) -> Row:
    """Seconds from `exec` to the first 200 of /readyz, and memory two seconds later."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, number = listener.getsockname()[1], listener.fileno()
        env = environment(var_directory=directory / "var", public_url=f"http://127.0.0.1:{port}")
        command = [operators_python(), "-m", "hypercorn", "-k", "trio", "-b", f"fd://{number}", "relay.app:app"]
        began = time.perf_counter()
        async with process(command, core=None, log=directory / "log", env=env, pass_fds=[number]) as relay:
            await until_it_is_ready("127.0.0.1", port, relay)
            seconds = time.perf_counter() - began
            await trio.sleep(2)
            postmaster = int((directory / "var" / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
            postgres = set(tree([postmaster]))
            ours = [pid for pid in tree([relay.pid]) if pid not in postgres]
            return {
                "seconds": seconds,
                "relay_mib": sum(pss_bytes([pid], below=False) for pid in ours) / MIB,
                "postgres_mib": pss_bytes([postmaster]) / MIB,
            }


class Start(Question):
    name = "start"
    title = "From start to the first /readyz"
    ratio = "seconds"
    better = "less"
    unit = "seconds until it is ready"
    columns = (
        Column("seconds", "seconds", 2),
        Column("relay_mib", "relay MiB", 1),
        Column("postgres_mib", "PostgreSQL MiB", 1),
    )

    async def run(self, bench: Bench) -> list[Row]:
        rows: list[Row] = []
        if "ours" not in {kind.name for kind in bench.systems}:
            return rows
        for round_ in range(bench.rounds):
            directory = bench.directory / f"start-{round_}"
            directory.mkdir(mode=0o755)
            for variant in ("first start, with initdb", "started again"):
                numbers = await start(directory)
                rows.append({"system": "ours", "variant": variant, "round": round_, **numbers})
                bench.tell(f"  {variant}: {numbers['seconds']:.2f} s, {numbers['relay_mib']:.0f} MiB")
        return rows
