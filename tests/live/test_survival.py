"""What was posted survives: SIGKILL, SIGTERM, a second session, several workers, a database that goes away."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import trio
from trio_websocket import ConnectionClosed

from tests.live.app import PATIENCE_S, App, answers, call, post
from tests.live.relay_process import RelayProcess, running_relay
from tests.live.test_conversation import join
from tests.postgres.processes import postmaster_pid


async def on_thread(run: object, *args: object) -> object:
    return await trio.to_thread.run_sync(run, *args)  # type: ignore[arg-type]


async def write_until_it_breaks(app: App, posted: list[str]) -> None:
    """Posts one envelope after the other and notes each that was answered `posted`."""
    try:
        async with app.posting() as posting:
            while True:
                envelope = app.envelope()
                if (await post(posting, envelope))[envelope["id"]] == "posted":
                    posted.append(envelope["id"])
    except* (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError, OSError):
        pass


async def test_kill_9_and_restart_lose_nothing_that_was_posted(relay_directory: Path) -> None:
    """Three times, in the middle of posts from five senders; the embedded PostgreSQL is left behind and taken over."""
    with running_relay(relay_directory, posts_burst=100_000, session_posts_per_s=100_000) as relay:
        apps = await join(relay, 5)
        posted: dict[str, list[str]] = {app.account_id: [] for app in apps}
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for app in apps:
                    nursery.start_soon(write_until_it_breaks, app, posted[app.account_id])
                await trio.sleep(0.7)
                await on_thread(relay.kill)
            await on_thread(relay.start)
        assert all(len(ids) > 3 for ids in posted.values())
        for app in apps:
            waiting = [one["id"] for one in await app.drain()]
            assert len(waiting) == len(set(waiting))
            acked = posted[app.account_id]
            # Everything acknowledged is there, in order; besides, at most one a round that was committed and never answered.
            assert [id_ for id_ in waiting if id_ in set(acked)] == acked
            assert len(waiting) - len(acked) <= 3


async def test_kill_9_of_relay_and_postgresql_loses_nothing_that_was_posted(relay_directory: Path) -> None:
    with running_relay(relay_directory, posts_burst=100_000) as relay:
        (bob,) = await join(relay)
        posted: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write_until_it_breaks, bob, posted)
            await trio.sleep(0.7)
            os.kill(postmaster_pid(relay_directory / "var" / "postgres"), signal.SIGKILL)
            await on_thread(relay.kill)
        await on_thread(relay.start)
        assert [one["id"] for one in await bob.drain() if one["id"] in posted] == posted


async def test_sigterm_says_1012_within_100_ms_and_exits_within_the_grace(relay_directory: Path) -> None:
    """Both kinds of session, while posts are being committed; what was answered is there after the restart."""
    with running_relay(relay_directory, posts_burst=100_000) as relay:
        (bob,) = await join(relay)
        heard: dict[str, float] = {}
        posted: list[str] = []

        async def listen(name: str, socket: object) -> None:
            assert await socket.close_code() == 1012  # type: ignore[attr-defined]
            heard[name] = trio.current_time()

        async def write() -> None:
            async with bob.posting() as posting:
                code = 0
                try:
                    while True:
                        envelope = bob.envelope()
                        verdict = (await post(posting, envelope))[envelope["id"]]
                        assert verdict in ("posted", "unavailable")
                        if verdict == "posted":
                            posted.append(envelope["id"])
                except ConnectionClosed as closed:
                    code = closed.reason.code
                assert code == 1012

        async with bob.mailbox() as mailbox, bob.posting() as idle, trio.open_nursery() as nursery:
            await idle.say({"type": "ping", "n": 1})
            nursery.start_soon(listen, "mailbox", mailbox)
            nursery.start_soon(listen, "post", idle)
            nursery.start_soon(write)
            await trio.sleep(0.5)
            asked = trio.current_time()
            took = await on_thread(relay.stop)
        # A loaded machine can be late to run us; the measure proper is in tests/edge. Here: the same tenth, with room for it.
        assert max(heard.values()) - asked < 0.5
        assert isinstance(took, float)
        assert took < 4
        await on_thread(relay.start)
        waiting = [one["id"] for one in await bob.drain()]
        assert [id_ for id_ in waiting if id_ in set(posted)] == posted
        assert len(posted) > 3


async def test_the_newest_session_wins(relay: RelayProcess) -> None:
    (bob,) = await join(relay)
    envelope = bob.envelope()
    async with bob.posting() as posting:
        await post(posting, envelope)
    async with bob.mailbox() as old:
        await old.expect("deliver")
        async with bob.mailbox() as new:
            assert await old.close_code() == 4409
            assert (await new.expect("deliver"))["envelopes"][0]["id"] == envelope["id"]
            await new.say({"type": "ack", "ids": [envelope["id"]]})
            await bob._settled(new)


async def test_two_workers_are_one_relay(relay_directory: Path) -> None:
    """Cross-process delivery, signals, superseding: sessions land on whichever worker accepts, so it is done many times."""
    with running_relay(relay_directory, "-w", "2") as relay:
        apps = await join(relay, 8)
        async with trio.open_nursery() as nursery:
            for app in apps:
                nursery.start_soon(_exchange, app)
        for _ in range(8):
            async with apps[0].mailbox() as old, apps[0].mailbox():
                assert await old.close_code() == 4409
        assert await on_thread(relay.stop)


async def _exchange(app: App) -> None:
    async with app.mailbox() as mailbox:
        await mailbox.expect("drained")
        await mailbox.expect("prekeys_low")
        for n in range(6):
            async with app.posting() as posting:
                if n % 2:
                    envelope = app.envelope()
                    assert await post(posting, envelope) == {envelope["id"]: "posted"}
                    (came,) = (await mailbox.expect("deliver"))["envelopes"]
                else:
                    envelope = {**app.envelope(), "type": "signal", "ttl_s": 30}
                    await posting.say(envelope)
                    assert await answers(posting, 1) == {envelope["id"]: "posted"}
                    came = await mailbox.expect("signal")
                assert came["id"] == envelope["id"]
                await mailbox.say({"type": "ack", "ids": [came["id"]]})


async def test_a_database_that_goes_away_refuses_posts_and_comes_back(relay_directory: Path) -> None:
    """The embedded PostgreSQL is killed under a running relay: `unavailable`, then as before. Nothing answered is lost."""
    with running_relay(relay_directory, posts_burst=100_000, database_timeout_s=1) as relay:
        (bob,) = await join(relay)
        posted: list[str] = []
        async with bob.posting() as posting:
            with trio.fail_after(4 * PATIENCE_S):
                killed = refused = False
                after = 0
                while after < 3:
                    envelope = bob.envelope()
                    verdict = (await post(posting, envelope))[envelope["id"]]
                    refused |= verdict == "unavailable"
                    if verdict == "posted":
                        posted.append(envelope["id"])
                        after += refused
                    if len(posted) == 5 and not killed:
                        killed = True
                        os.kill(postmaster_pid(relay_directory / "var" / "postgres"), signal.SIGKILL)
        waiting = [one["id"] for one in await bob.drain()]
        assert [id_ for id_ in waiting if id_ in set(posted)] == posted
        assert (await call(relay.url, "GET", "/readyz")).status == 200
