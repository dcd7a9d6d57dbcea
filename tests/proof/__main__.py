"""Tells the week, says what was recorded, and what the relay must not know that it got to know. Exits 0 only if that is nothing."""

from __future__ import annotations

import sys

from tests.proof.judge import Evidence, judge
from tests.proof.story import tell, week
from tests.proof.wire import requests_of


def main() -> int:
    with week() as told:
        tell(told, say=lambda text: print(f"   {text}", flush=True))  # noqa: T201
        evidence = told.evidence()
    print(summary(evidence))  # noqa: T201
    findings = judge(evidence)
    for finding in findings:
        print(f"FOUND: {finding}")  # noqa: T201
    if not findings:
        print(  # noqa: T201
            "no number, no hash that the salt's holder could match, no word, no name, no address, no row that names two people,\n"
            "no body of another size, no connection with both lanes, no anonymous call that names its sender"
        )
    return 1 if findings else 0


def summary(evidence: Evidence) -> str:
    """How much there was to search."""
    requests = [request for connection in evidence.connections for request in requests_of(connection)]
    sent = sum(len(connection.up) for connection in evidence.connections)
    stored = sum(len(rows) for tables in evidence.dumps.values() for rows in tables.values())
    on_disk = sum(map(len, evidence.files.values()))
    anonymous = sum(request.on_anonymous_lane for request in requests)
    return (
        f"{len(evidence.connections)} connections carried {len(requests)} calls, {anonymous} of them anonymous, {sent} bytes;\n"
        f"{len(evidence.dumps)} dumps of all tables, {stored} characters; {len(evidence.files)} files, {on_disk >> 20} MiB, "
        f"{sum('pg_wal' in name for name in evidence.files)} of the write-ahead log; {len(evidence.log)} characters of log"
    )


if __name__ == "__main__":
    sys.exit(main())
