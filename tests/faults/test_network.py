"""PostgreSQL, or the relay, on another machine as far as the network goes: in a namespace of its own whose cable is pulled under load."""

from __future__ import annotations

import os
from contextlib import ExitStack
from math import inf

import pytest
import trio

from relay.frames import from_b64
from relay.postgres_binaries import find_binaries, unprivileged_user
from tests.faults.checker import judge
from tests.faults.cluster import RAISED
from tests.faults.load import Load, Mailbox
from tests.faults.network import Namespace, namespace, permitted
from tests.faults.pair import Server
from tests.live.app import App
from tests.live.relay_process import RelayProcess, running_relay
from tests.postgres.server import temporary_directory

NEEDED = "needs root, and a machine that lets it make network namespaces"


@pytest.mark.timeout(300)
@pytest.mark.skipif(not permitted(), reason=NEEDED)
async def test_the_database_is_cut_off_for_shorter_and_longer_than_a_deadline() -> None:
    with temporary_directory() as directory, namespace() as away:
        place = directory / "far"
        (place / "socket").mkdir(parents=True)
        user = unprivileged_user(place)
        for path in (place, place / "socket") if user is not None else ():
            os.chown(path, user.pw_uid, user.pw_gid)
        server = Server(place, find_binaries(place, user), address=away.there)
        server.run("initdb", "-D", str(server.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
        with (server.data / "pg_hba.conf").open("a") as file:
            file.write(f"host relay relay {away.here}/32 trust\n")
        away.call(server.start)
        try:
            server.ask("CREATE ROLE relay LOGIN")
            server.ask("CREATE DATABASE relay OWNER relay")
            url = f"postgresql://relay@{away.there}:5432/relay"
            with running_relay(directory, database_url=url, **RAISED) as relay:
                load = await cut_under_load(relay, away, (0.3, RAISED["database_timeout_s"] + 3))
            assert any(attempt.code == "unavailable" for attempt in load.history.attempts), "the cut was felt"
        finally:
            server.kill()


@pytest.mark.timeout(300)
@pytest.mark.skipif(not permitted(), reason=NEEDED)
async def test_the_relay_is_cut_off_from_its_apps_for_shorter_and_longer_than_a_heartbeat() -> None:
    """Both ends believe in connections that are none: packets go nowhere, and nobody is told."""
    with temporary_directory() as directory, namespace() as away, ExitStack() as stack:
        starting = running_relay(directory, address=away.there, **RAISED)
        relay = away.call(lambda: stack.enter_context(starting))
        longer = RAISED["ping_every_s"] + RAISED["answer_within_s"] + 2
        load = await cut_under_load(relay, away, (0.5, longer))
        waits = [(attempt.ended or inf) - attempt.begun for attempt in load.history.attempts]
        assert max(waits) > longer / 2, "the cut was felt"


async def cut_under_load(relay: RelayProcess, away: Namespace, cuts: tuple[float, ...]) -> Load:
    """Pulls the cable for so many seconds each while mail goes through; fails if anything was broken."""
    links = await trio.to_thread.run_sync(relay.invite, 2)
    mailboxes = [Mailbox(await App.join(relay.url, link), f"m{n}") for n, link in enumerate(links)]
    load = Load([relay.url], 1)
    async with trio.open_nursery() as receiving:
        for mailbox in mailboxes:
            receiving.start_soon(load.receive, mailbox)
        async with trio.open_nursery() as sending:
            for mailbox in mailboxes:
                sending.start_soon(load.send, mailbox, 0)
            for seconds in cuts:
                await acknowledged(load, 50)
                away.cut()
                await trio.sleep(seconds)
                away.heal()
            await acknowledged(load, 50)
            load.calm.set()
            load.enough.set()
        with trio.move_on_after(60):
            while any(load.history.acknowledged(m.name) - load.history.stored(m.name) for m in mailboxes):  # noqa: ASYNC110
                await trio.sleep(0.1)
        receiving.cancel_scope.cancel()
    for mailbox in mailboxes:
        for one in await mailbox.app.drain():
            load.history.deliver(one["id"], mailbox.name, from_b64(one["body"]), 0, load.now()).stored = True
    verdict = judge(load.history)
    assert verdict.charges == {}, f"{verdict.counts}\n{relay.logged()[-4000:]}"
    assert verdict.counts["ok"] >= 50 * len(cuts)
    return load


async def acknowledged(load: Load, more: int) -> None:
    """Mail goes on."""
    enough = load.acknowledged + more
    with trio.fail_after(60):
        while load.acknowledged < enough:  # noqa: ASYNC110
            await trio.sleep(0.05)
