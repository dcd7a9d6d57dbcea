"""Statements whose answer is read by the task that waits for it, and what becomes of them when something comes between."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from relay.database import Database, open_database
from relay.driver_connection import Connection
from relay.errors import DatabaseUnavailable

PATIENCE_S = 10.0


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url) as opened:
        yield opened


async def connected(database: Database) -> Connection:
    connection = await database._connect()
    assert await connection.fetchval("SELECT 1") == 1
    return connection


async def test_a_statement_takes_no_callback_of_the_loop(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this is for. The loop of the same connection takes some, once it has the socket back."""
    connection = await connected(database)
    loop: Any = database._loop
    callbacks = 0
    call_soon = loop.call_soon

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal callbacks
        callbacks += 1
        return call_soon(*args, **kwargs)

    monkeypatch.setattr(loop, "call_soon", counted)
    assert await connection.fetchval("SELECT $1::int", 5) == 5
    assert await connection.execute("SELECT 1; SELECT 2") == "SELECT 1"
    assert callbacks == 0
    await connection.subscribe("anything", lambda *_: None)
    assert await connection.fetchval("SELECT $1::int", 5) == 5
    assert callbacks > 0
    connection.terminate()


async def test_what_does_not_fit_into_the_socket_goes_and_comes_in_parts(database: Database) -> None:
    connection = await connected(database)
    large = bytes(range(256)) * 40_000
    with trio.fail_after(PATIENCE_S):
        assert await connection.fetchval("SELECT $1::bytea", large) == large
    await connection.close()


async def test_a_connection_that_the_server_ended_meanwhile_is_not_usable(database: Database) -> None:
    connection = await connected(database)
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    assert connection.usable
    await database.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    assert not connection.usable
    connection.terminate()


async def test_a_connection_that_ends_while_it_is_asked_says_so(database: Database) -> None:
    connection = await connected(database)
    pid = await connection.fetchval("SELECT pg_backend_pid()")

    async def end_it() -> None:
        await trio.sleep(0.05)
        await database.execute("SELECT pg_terminate_backend($1)", pid)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_it)
        with trio.fail_after(PATIENCE_S / 4), pytest.raises(DatabaseUnavailable):
            await connection.fetchval("SELECT pg_sleep(60)")
    assert not connection.usable


async def test_somebody_else_may_drop_it_while_it_is_asked(database: Database) -> None:
    """A socket that is closed tells no epoll so: without a word to whoever waits for it, the statement would take its whole deadline."""
    connection = await connected(database)

    async def drop_it() -> None:
        await trio.sleep(0.05)
        connection.terminate()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drop_it)
        with trio.fail_after(PATIENCE_S / 4), pytest.raises(DatabaseUnavailable):
            await connection.fetchval("SELECT pg_sleep(60)")


async def test_one_that_is_asked_counts_as_usable_and_its_answer_is_left_to_whoever_asked(database: Database) -> None:
    connection = await connected(database)
    answers: list[int] = []

    async def ask() -> None:
        answers.append(await connection.fetchval("SELECT 7 FROM pg_sleep(0.2)"))

    with trio.fail_after(PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            while not answers:
                assert connection.usable
                await trio.sleep(0.001)
    assert answers == [7]
    await connection.close()


async def test_a_cancelled_statement_leaves_nothing_behind_to_complain_of(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for _ in range(5):
            connection = await connected(database)
            with trio.move_on_after(0.02):
                await connection.fetchval("SELECT pg_sleep(60)")
            assert not connection.usable
        await trio.sleep(0.1)
    assert [record.message for record in caplog.records if "driver" in record.message] == []


async def test_an_error_of_the_statement_leaves_the_connection_as_it_is(database: Database) -> None:
    connection = await connected(database)
    for _ in range(3):
        with pytest.raises(Exception, match="22012"):
            await connection.fetchval("SELECT 1 / $1::int", 0)
    assert await connection.fetchval("SELECT 2") == 2
    await connection.close()
