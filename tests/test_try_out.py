"""`make run`: a relay and an invite from one command, and a sentence when it cannot be."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.postgres.server import temporary_directory

TRY_OUT = [sys.executable, "-m", "relay.try_out"]


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    with temporary_directory() as directory:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SOTTOVOCE_")}
        yield {**clean, "SOTTOVOCE_VAR_DIRECTORY": str(directory / "var")}


def refused(environ: dict[str, str], *options: str) -> tuple[int, str]:
    done = subprocess.run([*TRY_OUT, *options], env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("wanted", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_shows_an_invite_and_stops_clean(environ: dict[str, str], wanted: signal.Signals) -> None:
    process = subprocess.Popen(
        [*TRY_OUT, "--port", "0", "--json"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    try:
        shown = json.loads(line)
        assert shown["invite"]["link"].startswith(shown["url"] + "/join#c=")
        with urlopen(shown["url"] + "/readyz", timeout=5) as answer:
            assert answer.status == 200
    finally:
        process.send_signal(wanted)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert not (Path(environ["SOTTOVOCE_VAR_DIRECTORY"]) / "postgres/data/postmaster.pid").exists()


def test_a_port_that_is_taken_is_a_sentence(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refused(environ, "--port", str(port))
    assert (code, said) == (
        os.EX_UNAVAILABLE,
        f"try_out: port {port} is in use. Stop what listens there, or take another: make run PORT={port + 1}\n",
    )


def test_a_database_that_does_not_answer_is_a_sentence(environ: dict[str, str]) -> None:
    code, said = refused(environ | {"SOTTOVOCE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "--port", "0")
    assert code == os.EX_UNAVAILABLE
    assert "the database does not answer; check database_url" in said
    assert "Traceback" not in said
