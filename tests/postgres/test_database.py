"""The pool, transactions and errors of relay.database, against a PostgreSQL that behaves."""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress
from functools import partial
from uuid import UUID, uuid4

import pytest
import trio
import trio_asyncio

from relay.database import Database, DatabaseSettings, open_database
from relay.database_errors import ConstraintViolation, ForeignKeyViolation, QueryRejected, UniqueViolation
from relay.errors import DatabaseUnavailable
from tests.postgres.processes import until_it_answers

CANARY = "canary-4fe1"
SMALL = DatabaseSettings(pool_size=2, acquire_timeout_s=0.2, command_timeout_s=2)


async def test_rows_come_by_name_and_by_position(database_url: str) -> None:
    async with open_database(database_url) as database:
        row = await database.fetchrow("SELECT 1 AS one, $1::text AS two", "two")
        assert row is not None
        assert (row["one"], row[1], list(row), len(row)) == (1, "two", [1, "two"], 2)
        assert dict(row.items()) == {"one": 1, "two": "two"}
        assert await database.fetchrow("SELECT 1 WHERE false") is None
        assert [row[0] for row in await database.fetch("SELECT generate_series(1, 3)")] == [1, 2, 3]
        identifier = uuid4()
        assert await database.fetchval("SELECT $1::uuid", identifier) == identifier
        assert isinstance(await database.fetchval("SELECT $1::uuid", identifier), UUID)


async def test_execute_answers_the_command_tag(database_url: str) -> None:
    async with open_database(database_url) as database:
        await database.execute("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)")
        assert await database.execute("DELETE FROM t WHERE a > $1", 0) == "DELETE 2"


async def test_a_task_that_did_not_inherit_the_loop_may_call_it(database_url: str) -> None:
    """As Quart's request tasks do: their nursery is older than the loop."""
    answers: list[object] = []

    async def ask(database: Database, done: trio.Event) -> None:
        try:
            assert trio_asyncio.current_loop.get() is None
            answers.append(await database.fetchval("SELECT 1"))
            async with database.transaction() as tx:
                answers.append(await tx.fetchval("SELECT 2"))
            async with database.hold(("SET work_mem = '5MB'",)) as held:
                answers.append(await held.fetchval("SHOW work_mem"))
            # ...and what is current in the task is as it was: libraries ask for the loop to learn where they are.
            answers.append(trio_asyncio.current_loop.get())
        finally:
            done.set()

    async with open_database(database_url) as database:
        done = trio.Event()
        trio.lowlevel.spawn_system_task(ask, database, done)
        await done.wait()
        # A failed assertion in there would have ended the test with TrioInternalError.
        assert answers == [1, 2, "5MB", None]


async def test_it_may_be_opened_by_a_task_that_others_wait_for(database_url: str) -> None:
    """As before_serving does; the loop in it would misnest inside while_serving."""

    async def serve(task_status: trio.TaskStatus[Database], stop: trio.Event) -> None:
        async with open_database(database_url) as database:
            task_status.started(database)
            await stop.wait()

    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        database = await nursery.start(lambda task_status: serve(task_status, stop))
        assert await database.fetchval("SELECT 1") == 1
        stop.set()
    with pytest.raises(DatabaseUnavailable):
        await database.fetchval("SELECT 1")


async def test_many_tasks_share_few_connections(database_url: str) -> None:
    backends: set[int] = set()

    async def ask(database: Database) -> None:
        backends.add(await database.fetchval("SELECT pg_backend_pid() FROM pg_sleep(0.001)"))

    async with open_database(database_url, settings=DatabaseSettings(pool_size=3)) as database:
        async with trio.open_nursery() as nursery:
            for _ in range(60):
                nursery.start_soon(ask, database)
        assert len(backends) <= 3


async def test_waiting_for_a_connection_is_bounded(database_url: str) -> None:
    async with open_database(database_url, settings=SMALL) as database, database.transaction():
        async with database.transaction():
            with trio.fail_after(1.5), pytest.raises(DatabaseUnavailable):
                await database.fetchval("SELECT 1")
        assert await database.fetchval("SELECT 1") == 1


async def test_a_late_statement_is_given_up_and_its_connection_is_not_used_again(database_url: str) -> None:
    async with open_database(database_url, settings=DatabaseSettings(pool_size=1)) as database:
        before = await database.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(DatabaseUnavailable), trio.fail_after(2):
            await database.fetchval("SELECT 'late' FROM pg_sleep(5)", timeout_s=0.1)
        assert await database.fetchval("SELECT 'next'") == "next"
        assert await database.fetchval("SELECT pg_backend_pid()") != before


async def test_a_statement_may_be_allowed_more_time(database_url: str) -> None:
    async with open_database(database_url, settings=DatabaseSettings(command_timeout_s=0.1)) as database:
        assert await database.fetchval("SELECT 'done' FROM pg_sleep(0.3)", timeout_s=5) == "done"


async def test_the_server_stops_a_statement_whose_client_gave_up(database_url: str) -> None:
    running = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep(60)%'"
    )
    async with open_database(database_url) as database:
        with pytest.raises(DatabaseUnavailable):
            await database.fetchval("SELECT pg_sleep(60)", timeout_s=0.1)
        await until_it_answers(partial(database.fetchval, running), 0, within_s=10)


async def test_a_cancelled_statement_takes_its_connection_along(database_url: str) -> None:
    async with open_database(database_url, settings=DatabaseSettings(pool_size=1)) as database:
        before = await database.fetchval("SELECT pg_backend_pid()")
        with trio.fail_after(2), trio.move_on_after(0.1) as scope:
            await database.fetchval("SELECT pg_sleep(30)")
        assert scope.cancelled_caught
        assert await database.fetchval("SELECT pg_backend_pid()") != before


# -- transactions ----------------------------------------------------------------------------------------------------


async def test_a_transaction_commits_at_the_end_and_rolls_back_on_an_error(database_url: str) -> None:
    async def insert_and_fail(database: Database) -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (2)")
            raise LookupError

    async with open_database(database_url, settings=SMALL) as database:
        async with database.transaction() as tx:
            await tx.execute("CREATE TABLE t (a int)")
            await tx.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(LookupError):
            await insert_and_fail(database)
        assert await database.fetchval("SELECT array_agg(a) FROM t") == [1]


async def test_a_cancelled_transaction_is_rolled_back(database_url: str) -> None:
    async with open_database(database_url, settings=SMALL) as database:
        await database.execute("CREATE TABLE t (a int)")
        with trio.CancelScope() as scope:
            async with database.transaction() as tx:
                await tx.execute("INSERT INTO t VALUES (1)")
                scope.cancel()
                await trio.lowlevel.checkpoint()
        assert await database.fetchval("SELECT count(*) FROM t") == 0


async def test_a_swallowed_error_does_not_pass_for_a_commit(database_url: str) -> None:
    async def insert_twice(database: Database) -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            with suppress(UniqueViolation):
                await tx.execute("INSERT INTO t VALUES (1)")

    async with open_database(database_url, settings=SMALL) as database:
        await database.execute("CREATE TABLE t (a int PRIMARY KEY)")
        with pytest.raises(QueryRejected):
            await insert_twice(database)
        assert await database.fetchval("SELECT count(*) FROM t") == 0


async def test_a_forgotten_transaction_does_not_return_to_the_pool(database_url: str) -> None:
    async with open_database(database_url, settings=DatabaseSettings(pool_size=1)) as database:
        before = await database.fetchval("SELECT pg_backend_pid()")
        await database.execute("BEGIN")
        assert await database.fetchval("SELECT pg_backend_pid()") != before


# -- errors ----------------------------------------------------------------------------------------------------------


async def test_constraints_have_names_and_errors_quote_no_values(database_url: str) -> None:
    async with open_database(database_url) as database:
        await database.execute(
            "CREATE TABLE p (a text CONSTRAINT a_is_unique PRIMARY KEY, n int NOT NULL CONSTRAINT small CHECK (n < 9));"
            "CREATE TABLE c (a text CONSTRAINT of_parent REFERENCES p)"
        )
        insert = "INSERT INTO p VALUES ($1, $2)"
        await database.execute(insert, CANARY, 1)
        cases: list[tuple[type[ConstraintViolation], str, str, tuple[object, ...]]] = [
            (UniqueViolation, "a_is_unique", insert, (CANARY, 1)),
            (ConstraintViolation, "small", insert, ("other" + CANARY, 10)),
            (ConstraintViolation, "", insert, ("other" + CANARY, None)),
            (ForeignKeyViolation, "of_parent", "INSERT INTO c VALUES ($1)", ("no" + CANARY,)),
        ]
        for kind, name, query, args in cases:
            with pytest.raises(kind) as caught:
                await database.execute(query, *args)
            assert caught.value.constraint_name == name
            assert CANARY not in "".join(traceback.format_exception(caught.value))
        for query, args in [
            ("SELECT $1::int", (CANARY,)),  # refused by the driver
            ("SELECT $1::text::int", (CANARY,)),  # refused by the server
            ("SELEC $1", (CANARY,)),
        ]:
            with pytest.raises(QueryRejected) as rejected:
                await database.execute(query, *args)
            assert CANARY not in "".join(traceback.format_exception(rejected.value))
        assert await database.fetchval("SELECT count(*) FROM p") == 1


async def test_an_error_of_the_body_leaves_the_block_as_it_is(database_url: str) -> None:
    with pytest.raises(LookupError):  # and no ExceptionGroup
        async with open_database(database_url):
            raise LookupError


async def test_cancellation_leaves_the_block_as_it_is(database_url: str) -> None:
    with trio.fail_after(5), trio.move_on_after(0.1) as scope:
        async with open_database(database_url):
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_an_exception_on_the_asyncio_side_does_not_end_the_relay(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise LookupError(CANARY)

    async with open_database(database_url) as database:
        trio_asyncio.current_loop.get().call_soon(fail)
        with caplog.at_level(logging.WARNING):
            assert await database.fetchval("SELECT 1") == 1
    assert "LookupError" in caplog.text
    assert CANARY not in caplog.text
