"""Runs schemathesis against a relay process of its own, and reads the relay's log afterwards.

`python -m tests.fuzz_http.run --examples 300` is `make fuzz-http`; the tests run a short, seeded part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import trio

from relay.frames import to_b64
from relay.xeddsa_signatures import make_private_key
from tests.identity import rfc9497
from tests.live.app import App, call, registration
from tests.live.relay_process import ROOT, RelayProcess, running_relay
from tests.postgres.server import temporary_directory

DOCUMENT = ROOT / "docs/openapi.json"
CONFIG = Path(__file__).with_name("schemathesis.toml")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)
"""Not among them: acceptance of whatever fits the schemas, since they cannot say that a signature must verify; and what the checks
about logins find, since tests/fuzz_http/hooks.py shows logins where schemathesis thinks there is none."""
_MEMBERS, _LEAVERS, _INVITES, _GOOD_BODIES = 4, 5, 40, 10


async def _logins(relay: RelayProcess, seed: int) -> dict[str, object]:
    links = relay.invite(_MEMBERS + _LEAVERS + _INVITES)
    registrations, recoveries = await _good_bodies(relay, [links.pop() for _ in range(2 * _GOOD_BODIES)])
    apps = [await App.join(relay.url, links.pop()) for _ in range(_MEMBERS + _LEAVERS)]
    taken, *members = [
        {"account_id": app.account_id, "access_key": to_b64(app.contact_key), "bearer": app.bearer["Authorization"]}
        for app in apps[:_MEMBERS]
    ]
    elements = [to_b64(rfc9497.hash_to_group(bytes([n])).encode()) for n in range(5)]
    return {
        "seed": seed,
        "taken": taken,
        "members": members,
        "elements": elements,
        "registrations": registrations,
        "recoveries": recoveries,
        "leavers": [app.bearer["Authorization"] for app in apps[_MEMBERS:]],
        "invites": [parse_qs(urlsplit(link).fragment)["c"][0] for link in links],
    }


async def _good_bodies(relay: RelayProcess, links: list[str]) -> tuple[list[object], list[object]]:
    """Registrations, with the header for each, and recoveries of members who are there for that alone."""
    codes = [parse_qs(urlsplit(link).fragment)["c"][0] for link in links]
    bodies = [registration(make_private_key(), os.urandom(32), os.urandom(16), one_time=1) for _ in range(len(codes))]
    registrations: list[object] = []
    recoveries: list[object] = []
    for n, (code, body) in enumerate(zip(codes, bodies, strict=True)):
        if n % 2:
            registrations.append((f"Invite {code}", body))
            continue
        recovery_code = os.urandom(32)
        body["recovery_hash"] = to_b64(sha256(recovery_code).digest())
        answer = await call(relay.url, "POST", "/v1/accounts", body, {"Authorization": f"Invite {code}"})
        named = {"account_id": answer.json()["account_id"], "recovery_code": to_b64(recovery_code)}
        recoveries.append(registration(make_private_key(), os.urandom(32), os.urandom(16), one_time=1) | named)
    return registrations, recoveries


class Found(NamedTuple):
    """`wrong`: in words of schemathesis and of the relay's log, empty if nothing was. `answers`: how often each call answered what."""

    wrong: str
    answers: Counter[tuple[str, int]]


def fuzz(
    directory: Path,
    *,
    examples: int,
    seed: int,
    phases: str,
    application: str = "relay.app:app",
    only: Sequence[str] = (),
) -> Found:
    """Runs it. `only`: paths, if not all of them.

    `directory`: where the relay and its PostgreSQL live meanwhile. `phases`: of schemathesis, comma-separated.
    """
    with running_relay(directory, application=application) as relay:
        known, answered = directory / "logins.json", directory / "answers"
        answered.touch()
        known.write_text(json.dumps(trio.run(_logins, relay, seed)))
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run", str(DOCUMENT), "--url", relay.url,
            "--checks", ",".join(CHECKS), "--phases", phases, "--max-examples", str(examples), "--seed", str(seed),
            "--suppress-health-check", "all", "--warnings", "off", "--continue-on-failure", "--no-shrink",
            *(word for path in only for word in ("--include-path", path)),
        ]  # fmt: skip
        environ = os.environ | {
            "SCHEMATHESIS_HOOKS": "tests.fuzz_http.hooks",
            "FUZZ_LOGINS": str(known),
            "FUZZ_ANSWERS": str(answered),
        }
        environ |= {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "120"}
        done = subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, check=False)
        troubles = [line for line in relay.logged().splitlines() if " ERROR " in line or "Traceback" in line]
    said = "\n".join(troubles)
    answers: Counter[tuple[str, int]] = Counter()
    for line in answered.read_text().splitlines():
        call, _, status = line.rpartition(" ")
        answers[call, int(status)] += 1
    return Found(said if done.returncode == 0 else f"{done.stdout}\n{done.stderr}\n{said}", answers)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz a relay's HTTP calls from docs/openapi.json.")
    parser.add_argument("--examples", type=int, default=300, help="requests made up for each call, in each phase")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    with temporary_directory() as directory:
        found = fuzz(
            directory, examples=options.examples, seed=options.seed, phases="examples,coverage,fuzzing,stateful"
        )
    for (asked, status), count in sorted(found.answers.items()):
        sys.stdout.write(f"{count:7} {status} {asked}\n")
    sys.stdout.write(found.wrong or "No 500, and no answer that is not documented.\n")
    raise SystemExit(bool(found.wrong))


if __name__ == "__main__":
    main()
