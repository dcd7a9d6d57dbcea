"""How a relay starts, or says why it does not: the command lines that operators use, and the mistakes they make."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from relay.database import open_database
from tests.live.app import call
from tests.live.relay_process import ROOT, running_relay

HYPERCORN = [sys.executable, "-m", "hypercorn", "-k", "trio"]


def refused(directory: Path, **settings: str) -> str:
    """What the relay says when it does not start."""
    environ = {"PATH": os.environ["PATH"], "SOTTOVOCE_VAR_DIRECTORY": str(directory / "var")}
    environ |= {f"SOTTOVOCE_{name.upper()}": value for name, value in settings.items()}
    done = subprocess.run(
        [*HYPERCORN, "-b", "127.0.0.1:0", "relay.app:app"],
        cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stderr + done.stdout


@pytest.mark.parametrize("options", [(), ("-w", "2")])
async def test_it_starts_answers_and_stops_clean(relay_directory: Path, options: tuple[str, ...]) -> None:
    with running_relay(relay_directory, *options) as relay:
        for path, status in (("/healthz", "up"), ("/readyz", "ready")):
            answer = await call(relay.url, "GET", path)
            assert (answer.status, answer.json()) == (200, {"status": status})
        assert (await call(relay.url, "GET", "/v1/relay")).json()["protocol"] == 1
        relay.stop()
        assert "Traceback" not in relay.logged()
        running = relay_directory / "var/postgres/data/postmaster.pid"
        if options:  # a worker that is told to stop while it still starts dies at once, and the guard stops the server
            with trio.move_on_after(10):
                while running.exists():  # noqa: ASYNC110
                    await trio.sleep(0.02)
        assert not running.exists()


async def test_a_configuration_file_is_hypercorns_own(relay_directory: Path) -> None:
    file = relay_directory / "hypercorn.toml"
    file.write_text("workers = 2\ngraceful_timeout = 1\n")
    with running_relay(relay_directory, "-c", str(file)) as relay:
        assert (await call(relay.url, "GET", "/readyz")).status == 200


def test_settings_come_from_a_file_too(relay_directory: Path) -> None:
    file = relay_directory / "sottovoce.toml"
    file.write_text("ping_every_s = 0\nmailbox = 3\n")
    said = refused(relay_directory, config=str(file))
    assert "ping_every_s: Input should be greater than 0" in said
    assert "mailbox: Extra inputs are not permitted" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"answer_within_s": "soon"}, "answer_within_s: Input should be a valid number"),
        ({"config": "/nowhere/sottovoce.toml"}, "SOTTOVOCE_CONFIG names /nowhere/sottovoce.toml"),
        ({"database_url": "postgresql://nobody@127.0.0.1:1/none"}, "cannot start: the database does not answer"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    relay_directory: Path, settings: dict[str, str], wanted: str
) -> None:
    said = refused(relay_directory, **settings)
    assert wanted in said
    assert "Traceback" not in said


async def test_a_database_of_something_else_is_left_alone(relay_directory: Path, database_url: str) -> None:
    async with open_database(database_url) as database:
        await database.execute("CREATE TABLE shopping (item text)")
    said = refused(relay_directory, database_url=database_url)
    assert "cannot start: the database" in said
    assert "Traceback" not in said
    async with open_database(database_url) as database:
        assert await database.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 1


def test_a_secret_that_others_can_read_is_refused(relay_directory: Path) -> None:
    with running_relay(relay_directory) as relay:
        relay.stop()
    key = relay_directory / "var/secrets/server.key"
    key.chmod(0o644)
    assert "open to other users" in refused(relay_directory)
