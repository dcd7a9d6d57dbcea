"""What relay.database does when PostgreSQL stalls, dies, fails over or loses its standby."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio

from relay.database import Database, DatabaseSettings, open_database
from relay.embedded_postgres import private_postgres
from relay.errors import DatabaseUnavailable
from tests.postgres.processes import PATIENCE_S, stalled, until_it_answers
from tests.postgres.server import TEST_SETTINGS, OwnServer

HASTY = DatabaseSettings(
    pool_size=2, acquire_timeout_s=0.3, command_timeout_s=0.3, connect_timeout_s=0.3, close_deadline_s=0.3
)
AT_ONCE_S = 1.5  # what "within about the deadline" may mean on a busy machine


@asynccontextmanager
async def superuser(server: OwnServer) -> AsyncIterator[Database]:
    async with open_database(server.superuser_dsn) as admin:
        yield admin


@asynccontextmanager
async def superuser_through(server: OwnServer, sockets: trio.Path) -> AsyncIterator[Database]:
    async with open_database(f"postgresql://postgres@/postgres?host={sockets}") as admin:
        yield admin


# -- stalled ---------------------------------------------------------------------------------------------------------


async def test_a_stalled_server_is_unavailable_within_the_deadline(own_server: OwnServer) -> None:
    async with open_database(own_server.dsn, settings=HASTY) as database, database.hold() as held:
        assert await held.fetchval("SELECT 1") == 1
        with stalled(own_server.processes):
            for ask in (database.fetchval, held.fetchval):
                with trio.fail_after(AT_ONCE_S), pytest.raises(DatabaseUnavailable):  # on a connection that was there
                    await ask("SELECT 'stale'")
                with trio.fail_after(AT_ONCE_S), pytest.raises(DatabaseUnavailable):  # and on a new one
                    await ask("SELECT 'stale'")
        with trio.fail_after(PATIENCE_S):
            assert await database.fetchval("SELECT 'fresh'") == "fresh"
            assert await held.fetchval("SELECT 'fresh'") == "fresh"


async def test_a_transaction_on_a_stalled_server_ends_within_the_deadline(own_server: OwnServer) -> None:
    async def ask_twice(database: Database) -> None:
        async with database.transaction() as tx:
            await tx.fetchval("SELECT 1")
            stall.enter_context(stalled(own_server.processes))
            await tx.fetchval("SELECT 1")

    with ExitStack() as stall, trio.fail_after(PATIENCE_S):
        async with open_database(own_server.dsn, settings=HASTY) as database:
            with trio.fail_after(2 * AT_ONCE_S), pytest.raises(DatabaseUnavailable):
                await ask_twice(database)


async def test_closing_does_not_wait_for_a_stalled_server(own_server: OwnServer) -> None:
    settings = DatabaseSettings(close_deadline_s=0.3, command_timeout_s=60)  # the driver would wait for the latter
    with ExitStack() as stall, trio.fail_after(PATIENCE_S):
        async with open_database(own_server.dsn, settings=settings) as database, database.hold() as held:
            await held.fetchval("SELECT 1")
            await database.fetchval("SELECT 1")
            stall.enter_context(stalled(own_server.processes))
            began = trio.current_time()
        assert trio.current_time() - began < 2 * AT_ONCE_S


# -- dead ------------------------------------------------------------------------------------------------------------


async def test_an_idle_connection_that_died_is_not_handed_out(own_server: OwnServer) -> None:
    async with open_database(own_server.dsn, settings=HASTY) as database, superuser(own_server) as admin:
        pid = await database.fetchval("SELECT pg_backend_pid()")
        await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
        await trio.sleep(0.05)  # the socket's end is read by then; before that, one call may still fail
        assert await database.fetchval("SELECT pg_backend_pid()") != pid


async def test_a_held_connection_that_died_says_so_once_and_comes_back_set_up(own_server: OwnServer) -> None:
    setup = ("SET synchronous_commit = off", "SET plan_cache_mode = force_generic_plan")
    async with (
        open_database(own_server.dsn) as database,
        database.hold(setup) as held,
        superuser(own_server) as admin,
    ):
        pid = await held.fetchval("SELECT pg_backend_pid()")
        async with trio.open_nursery() as nursery:

            async def kill() -> None:
                await trio.sleep(0.1)
                await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)

            nursery.start_soon(kill)
            with pytest.raises(DatabaseUnavailable):
                await held.fetchval("SELECT pg_sleep(4)")
        assert await held.fetchval("SELECT pg_backend_pid()") != pid
        assert await held.fetchval("SHOW synchronous_commit") == "off"
        assert await held.fetchval("SHOW plan_cache_mode") == "force_generic_plan"


async def test_a_held_connection_survives_a_time_without_a_server(own_server: OwnServer) -> None:
    sockets = trio.Path(own_server.directory / "socket")
    async with (
        open_database(own_server.dsn, settings=HASTY) as database,
        database.hold() as held,
        superuser(own_server) as admin,
    ):
        pid = await held.fetchval("SELECT pg_backend_pid()")
        away = await sockets.rename(sockets.with_name("away"))
        await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
        for _ in range(3):
            with trio.fail_after(AT_ONCE_S), pytest.raises(DatabaseUnavailable):
                await held.fetchval("SELECT 1")
        with pytest.raises(DatabaseUnavailable):  # and opening without a server says so
            async with open_database(own_server.dsn, settings=HASTY):
                pass
        await away.rename(sockets)
        with trio.fail_after(PATIENCE_S):
            assert await held.fetchval("SELECT 1") == 1


async def test_a_held_connection_does_not_hammer_a_server_that_is_away(own_server: OwnServer) -> None:
    async with open_database(own_server.dsn, settings=HASTY) as database, database.hold() as held:
        sockets = trio.Path(own_server.directory / "socket")
        away = await sockets.rename(sockets.with_name("away"))
        pid = await held.fetchval("SELECT pg_backend_pid()")
        async with superuser_through(own_server, away) as admin:
            await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", pid)
        attempts = 0
        with trio.move_on_after(0.5):
            while True:
                with suppress(DatabaseUnavailable):
                    await held.fetchval("SELECT 1")
                attempts += 1
        await away.rename(sockets)
        assert attempts <= 5  # 0, 0.05, 0.1, 0.2... seconds apart


# -- several hosts ---------------------------------------------------------------------------------------------------


@pytest.fixture
def mute_port() -> Iterator[int]:
    """Accepts TCP connections, in the kernel's backlog, and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield listening.getsockname()[1]


def with_hosts(dsn: str, hosts: str, ports: str) -> str:
    return f"{dsn.partition('?')[0]}?host={hosts}&port={ports}"


async def test_a_mute_host_costs_its_own_deadline_and_no_more(own_server: OwnServer, mute_port: int) -> None:
    path = own_server.dsn.partition("host=")[2]
    dsn = with_hosts(own_server.dsn, f"127.0.0.1,{path}", f"{mute_port},5432")
    with trio.fail_after(AT_ONCE_S + HASTY.connect_timeout_s):
        async with open_database(dsn, settings=HASTY) as database:
            assert await database.fetchval("SELECT 1") == 1
            began = trio.current_time()
            async with database.hold() as held:  # the host that answered is asked first from now on
                assert await held.fetchval("SELECT 1") == 1
            assert trio.current_time() - began < HASTY.connect_timeout_s


async def test_several_urls_do_as_well(own_server: OwnServer, mute_port: int) -> None:
    async with open_database(
        [f"postgresql://relay@127.0.0.1:{mute_port}/relay", own_server.dsn], settings=HASTY
    ) as database:
        assert await database.fetchval("SELECT 1") == 1


async def test_only_mute_hosts_is_unavailable(mute_port: int) -> None:
    with trio.fail_after(AT_ONCE_S), pytest.raises(DatabaseUnavailable):
        async with open_database(f"postgresql://relay@127.0.0.1:{mute_port}/relay", settings=HASTY):
            pass


async def test_a_standby_is_passed_over(place: Path) -> None:
    """Two servers that began as one; the second is a hot standby, which answers, but takes no writes."""
    primary_place, standby_place = place / "primary", place / "standby"
    async with private_postgres(primary_place, settings=TEST_SETTINGS):
        pass
    await trio.run_process(["cp", "-a", str(primary_place), str(standby_place)])
    await trio.Path(standby_place / "data" / "standby.signal").touch()
    async with (
        private_postgres(standby_place, settings=TEST_SETTINGS) as standby,
        private_postgres(primary_place, settings=TEST_SETTINGS) as primary,
    ):
        hosts = ",".join(dsn.partition("host=")[2] for dsn in (standby, primary))
        async with open_database(with_hosts(primary, hosts, "5432"), settings=HASTY) as database:
            assert await database.fetchval("SELECT pg_is_in_recovery()") is False
        with pytest.raises(DatabaseUnavailable):
            async with open_database(standby, settings=HASTY):
                pass


# -- synchronous replication -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["held", "pooled", "transaction"])
async def test_a_commit_that_no_standby_confirmed_is_not_acknowledged(place: Path, way: str) -> None:
    settings = {**TEST_SETTINGS, "synchronous_standby_names": "nobody"}
    async with (
        private_postgres(place, settings=settings) as dsn,
        open_database(dsn) as database,
        superuser(OwnServer(place, dsn)) as admin,
        database.hold() as held,
    ):
        async with database.transaction() as tx:
            await tx.execute("SET LOCAL synchronous_commit = local")
            await tx.execute("CREATE TABLE t (a int)")

        async def insert() -> None:
            if way == "transaction":
                async with database.transaction() as tx:
                    await tx.execute("INSERT INTO t VALUES (1)")
            else:
                await (held if way == "held" else database).execute("INSERT INTO t VALUES (1)")

        async with trio.open_nursery() as nursery:
            give_up = "SELECT bool_or(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            nursery.start_soon(until_it_answers, partial(admin.fetchval, give_up), True)
            with trio.fail_after(PATIENCE_S), pytest.raises(DatabaseUnavailable):
                await insert()
        # It is there on this host: that is why the caller must treat the outcome as unknown, and may repeat it.
        assert await database.fetchval("SELECT count(*) FROM t") == 1
