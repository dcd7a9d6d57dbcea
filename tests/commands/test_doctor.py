"""relay doctor and relay check: green on a healthy set-up, and each planted fault is named."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme

from relay.database import open_database
from relay.embedded_postgres import private_postgres
from relay.secret_files import load_turn_secret
from tests.calls.coturn import coturn
from tests.commands import way_in
from tests.commands.operator_shell import RELAY, Shell, run_relay
from tests.commands.way_in import Fault, Proxy
from tests.faults.network import namespace, permitted
from tests.live.relay_process import RelayProcess, running_relay
from tests.postgres.server import temporary_directory


@dataclass
class Setup:
    """A relay behind a proxy that ends TLS, as operators have it."""

    shell: Shell
    relay: RelayProcess
    proxy: Proxy
    authority: trustme.CA


@pytest.fixture(scope="module")
def setup() -> Iterator[Setup]:
    authority = trustme.CA()
    with temporary_directory() as directory, way_in.proxy(authority) as proxy:
        authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        (directory / "new").mkdir()
        shell = Shell(directory, environ={"SSL_CERT_FILE": str(directory / "ca.pem")})
        made = run_relay(shell, "init", ".", "--public-url", proxy.url, "--trust-root-to", str(directory / "stick"))
        assert made.returncode == 0, made.stderr
        # max_sessions, so that a shell's usual limit of open files is enough.
        with running_relay(directory, public_url=proxy.url, max_sessions=200) as relay:
            proxy.upstream = ("127.0.0.1", relay.port)
            shell.settings = {"max_sessions": "200"}
            yield Setup(shell, relay, proxy, authority)


def findings(shell: Shell, *options: str, **more: Any) -> dict[str, dict[str, str]]:
    """What the doctor finds, by code; the exit code and `ok` agree with it."""
    done = subprocess.run(
        [RELAY, "doctor", "--free", "0", *options, "--json"],
        env=shell.environment(), cwd=shell.directory, capture_output=True, text=True, timeout=120, check=False, **more,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] is (done.returncode == 0) is (not any(one["level"] == "bad" for one in found["findings"]))
    assert all(one["do"] for one in found["findings"] if one["level"] != "good")
    return {one["code"]: one for one in found["findings"]}


def wrong(shell: Shell, *options: str, **more: Any) -> set[str]:
    return {code for code, one in findings(shell, *options, **more).items() if one["level"] != "good"}


def copy_of(setup: Setup, directory: Path) -> Shell:
    """The same relay seen from a directory that can be spoilt; its database is not started a second time."""
    shutil.copytree(setup.shell.secrets, directory / "var/secrets")
    settings = {
        **setup.shell.settings,
        "var_directory": str(directory / "var"),
        "public_url": setup.proxy.url,
        "database_url": "postgresql://nobody@127.0.0.1:1/none",
    }
    return replace(setup.shell, directory=directory, settings=settings)


AWAY = {"database-answers"}
"""What the doctor says of such a copy besides."""


def test_a_healthy_relay_is_all_green(setup: Setup) -> None:
    assert wrong(setup.shell) == set()
    told = run_relay(setup.shell, "doctor", "--free", "0")
    assert told.returncode == 0
    assert told.stdout.rstrip().endswith("All is well.")
    assert "->" not in told.stdout


def test_a_message_goes_through_and_nothing_is_left(setup: Setup) -> None:
    done = run_relay(setup.shell, "check", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"], found["failure"]) == (0, True, "")
    assert [step["name"] for step in found["steps"]][-1] == "delete 2 of 2"
    assert json.loads(run_relay(setup.shell, "accounts", "--json").stdout)["accounts"] == 0
    assert json.loads(run_relay(setup.shell, "stats", "--json").stdout)["envelopes"] == 0


@contextmanager
def spoilt(proxy: Proxy, fault: Fault) -> Iterator[None]:
    proxy.fault = fault
    try:
        yield
    finally:
        proxy.fault = way_in.WELL


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (way_in.TAKES_LOGIN_OUT, "authorization-arrives"),
        (way_in.TAKES_ACCESS_KEY_OUT, "access-key-arrives"),
        (way_in.REFUSES_LARGE, "bodies-arrive"),
        (way_in.PASSES_NO_UPGRADE, "websockets-arrive"),
        (way_in.ADDS_LOGIN, "url-adds-login"),
        (way_in.REDIRECTS, "url-redirects"),
        (way_in.REACHES_NOBODY, "url-answers"),
        (way_in.HAS_ANOTHER_TIME, "clock-outside"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_faults_of_a_proxy(setup: Setup, fault: Fault, code: str) -> None:
    with spoilt(setup.proxy, fault):
        # Without the login nobody registers either.
        assert wrong(setup.shell) - ({"bodies-arrive"} if code == "authorization-arrives" else set()) == {code}


def test_the_check_says_where_it_failed_and_cleans_up(setup: Setup) -> None:
    with spoilt(setup.proxy, way_in.PASSES_NO_UPGRADE):
        done = run_relay(setup.shell, "check", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["ok"]) == (1, False)
    assert found["failure"].startswith("open a mailbox: the upgrade was answered with")
    assert json.loads(run_relay(setup.shell, "accounts", "--json").stdout)["accounts"] == 0


def test_faults_of_tls(setup: Setup, tmp_path: Path) -> None:
    with way_in.proxy(setup.authority, good_for=timedelta(days=3)) as ending:
        ending.upstream = setup.proxy.upstream
        shell = copy_of(setup, tmp_path)
        shell.settings["public_url"] = ending.url
        assert wrong(shell) == AWAY | {"url-certificate"}
    with way_in.proxy(trustme.CA()) as unknown:
        shell.settings["public_url"] = unknown.url
        found = findings(shell)["url-certificate"]
        assert (found["level"], "certificate is refused" in found["says"]) == ("bad", True)


def test_faults_of_addresses(setup: Setup, tmp_path: Path) -> None:
    shell = copy_of(setup, tmp_path)
    shell.settings["public_url"] = setup.relay.url
    assert wrong(shell) == AWAY | {"url-safe"}
    shell.settings["public_url"] = "https://localhost:1"
    assert wrong(shell) == AWAY | {"url-answers"}


def test_an_onion_service_is_not_asked_for_past_tor(setup: Setup, tmp_path: Path) -> None:
    shell = copy_of(setup, tmp_path)
    shell.settings |= {"public_url": f"http://{'a' * 55}d.onion", "push": "true"}
    found = findings(shell)
    assert [found[code]["level"] for code in ("url-safe", "url-answers", "onion-push")] == [
        "good",
        "warning",
        "warning",
    ]
    assert "torsocks" in found["url-answers"]["do"]
    shell.settings["push"] = "false"
    assert "onion-push" not in findings(shell)
    shell.settings["public_url"] = "http://facebookcorewwwi.onion"  # version 2, which Tor has given up
    assert findings(shell)["url-safe"]["level"] == "warning"


def test_faults_of_keys(setup: Setup, tmp_path: Path) -> None:
    shell = copy_of(setup, tmp_path)
    assert wrong(shell) == AWAY
    (shell.secrets / "server.key").chmod(0o640)
    assert wrong(shell) == AWAY | {"secrets-open"}
    (shell.secrets / "server.key").chmod(0o600)
    shell.secrets.chmod(0o711)
    assert wrong(shell) == AWAY | {"secrets-open"}
    shell.secrets.chmod(0o700)
    shutil.copy(setup.shell.directory / "stick", shell.secrets / "trust_root.key")
    assert wrong(shell) == AWAY | {"trust-root-here"}
    (shell.secrets / "trust_root.key").unlink()

    other = tmp_path / "other"
    assert run_relay(shell, "init", str(other), "--public-url", "https://b.example").returncode == 0
    shutil.copy(other / "var/secrets/server.key", shell.secrets / "server.key")
    assert wrong(shell) == AWAY | {"secrets-whole"}
    shutil.rmtree(shell.secrets)
    shutil.copytree(other / "var/secrets", shell.secrets)
    assert wrong(shell) == AWAY | {"url-same-relay"}
    shutil.rmtree(shell.secrets)
    assert wrong(shell) == AWAY | {"secrets-missing", "url-same-relay"}


def test_faults_of_the_machine(setup: Setup, tmp_path: Path) -> None:
    shell = copy_of(setup, tmp_path)
    assert wrong(shell, "--free", str(2**20)) == AWAY | {"disk-space"}
    assert "is not reachable" not in findings(shell)["disk-space"]["says"]
    shell.settings["max_sessions"] = str(2**30)
    assert wrong(shell) == AWAY | {"open-files"}
    shell.settings["max_sessions"] = "200"
    # The relay that runs counts, not the shell that the command is typed in.
    assert wrong(shell, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))) == AWAY
    file = tmp_path / "sottovoce.toml"
    file.write_text('database_url = "postgresql://nobody:secret@127.0.0.1:1/none"\n')
    file.chmod(0o644)
    assert wrong(shell) == AWAY | {"settings-open"}
    file.write_text("ping_every_s = 0\n")
    assert wrong(shell) == {"settings"}


# A clock of PostgreSQL's that is wrong, for the relay's role: its own function is found before the built-in one.
AN_HOUR_AHEAD = """
CREATE SCHEMA ahead;
CREATE FUNCTION ahead.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp() + interval '1 hour' $$;
ALTER ROLE CURRENT_USER SET search_path = ahead, pg_catalog, public;
"""


async def test_faults_of_a_database(setup: Setup, tmp_path: Path) -> None:
    shell = copy_of(setup, tmp_path)

    async def wrong_now() -> set[str]:
        return await trio.to_thread.run_sync(wrong, shell)

    with temporary_directory() as directory:
        async with private_postgres(directory / "postgres") as dsn:
            shell.settings["database_url"] = dsn
            assert await wrong_now() == set()
            async with open_database(dsn) as database:
                await database.execute("ALTER ROLE CURRENT_USER SET synchronous_commit = off")
            assert await wrong_now() == {"database-durable"}
            async with open_database(dsn) as database:
                await database.execute("ALTER ROLE CURRENT_USER RESET synchronous_commit")
                await database.execute(AN_HOUR_AHEAD)
            assert await wrong_now() == {"clock-database"}
            async with open_database(dsn) as database:
                await database.execute("ALTER ROLE CURRENT_USER RESET search_path; DROP SCHEMA ahead CASCADE")
                await database.execute("UPDATE relay_schema SET version = version + 1")
            assert await wrong_now() == {"database-schema"}
            async with open_database(dsn) as database:
                await database.execute("DROP TABLE relay_schema")
            assert await wrong_now() == {"database-schema"}


async def test_faults_of_a_database_server(setup: Setup, tmp_path: Path) -> None:
    shell = copy_of(setup, tmp_path)
    settings = {"max_connections": "20", "log_statement": "all", "superuser_reserved_connections": "1"}
    with temporary_directory() as directory:
        async with private_postgres(directory / "postgres", settings=settings) as dsn:
            shell.settings["database_url"] = dsn
            found = await trio.to_thread.run_sync(wrong, shell)
    assert found == {"database-connections", "database-silent"}


def test_calls_that_would_not_work_are_found(setup: Setup, tmp_path: Path) -> None:
    shell = copy_of(setup, tmp_path)
    shell.settings["turn_urls"] = "turn:127.0.0.1:1?transport=tcp"
    assert wrong(shell) == AWAY | {"calls"}


@pytest.mark.skipif(not permitted(), reason="needs root, and a machine that lets it make network namespaces")
async def test_calls_are_tried_from_another_network(setup: Setup, tmp_path: Path) -> None:
    """Two phones reach the TURN server over a network, not over loopback: the doctor stands at the far end of a cable."""
    shell = copy_of(setup, tmp_path)
    with namespace() as away:
        async with coturn(host=away.here, secret=load_turn_secret(shell.secrets)) as server:
            shell.settings["turn_urls"] = f"{server.url('udp')},{server.url('tcp')}"

            async def calls() -> dict[str, str]:
                found = await trio.to_thread.run_sync(away.call, lambda: findings(shell))
                assert (
                    found["url-answers"]["level"] == "bad"
                )  # it is another network: the relay's loopback is not there
                return found["calls"]

            well = await calls()
            assert well["level"] == "good", well
            away.cut()
            cut = await calls()
            assert (cut["level"], server.url() in cut["says"]) == ("bad", True)
            away.heal()
        gone = await calls()
        assert "does coturn run there" in gone["says"]
