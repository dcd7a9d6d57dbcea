"""Two relays on one machine, which are siblings: what one stores, the other delivers, and the database need not say so.

They are two processes on one database and one directory, as `hypercorn -w 2` has them, but with a socket each: so it is known who is where.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
import trio

from nursery_tasks import wakeup_listener as topics
from relay.database import open_database
from tests.live.app import PATIENCE_S, App, Socket, answers, post
from tests.live.relay_process import RelayProcess, running_relay
from tests.live.test_conversation import join
from tests.live.test_survival import on_thread

SETTINGS = {"posts_burst": 100_000, "session_posts_per_s": 100_000, "post_bytes_burst": 1 << 34}


@dataclass
class Pair:
    here: RelayProcess
    there: RelayProcess
    named: list[tuple[str, UUID]] = field(default_factory=list)
    """Whom notifications of mail and signals named."""

    def notified(self, topic: str, payload: str) -> None:
        self.named += [(topic, UUID(word)) for word in payload.split(",")]

    def at(self, relay: RelayProcess, app: App) -> App:
        return App(relay.url, app.account_id, app.secret, app.contact_key)


@pytest.fixture
async def pair(relay_directory: Path, database_url: str) -> AsyncIterator[Pair]:
    with (
        running_relay(relay_directory, database_url=database_url, **SETTINGS) as here,
        running_relay(relay_directory, database_url=database_url, **SETTINGS) as there,
    ):
        made = Pair(here, there)
        async with open_database(database_url) as database, trio.open_nursery() as nursery:
            await nursery.start(database.listen, (topics.MAIL, topics.SIGNALS), made.notified, lambda: None)
            yield made
            nursery.cancel_scope.cancel()


async def receive(mailbox: Socket, count: int, *, ack: bool = True) -> list[str]:
    """Ids of the next envelopes."""
    came: list[str] = []
    with trio.fail_after(2 * PATIENCE_S):
        while len(came) < count:
            frame = await mailbox.next()
            if frame["type"] == "deliver":
                ids = [one["id"] for one in frame["envelopes"]]
                came += ids
                if ack:
                    await mailbox.say({"type": "ack", "ids": ids})
    return came


@asynccontextmanager
async def met(pair: Pair, app: App, posting: Socket) -> AsyncIterator[Socket]:
    """A session at `there` that `here` knows of, and what `here` stores is handed to it."""
    async with pair.at(pair.there, app).mailbox() as mailbox:
        await mailbox.expect("drained")
        with trio.fail_after(PATIENCE_S):
            while True:
                await trio.sleep(0.1)
                pair.named.clear()
                envelope = app.envelope()
                await post(posting, envelope)
                await receive(mailbox, 1)
                await trio.sleep(0.1)  # a notification would have come
                if not pair.named:
                    break
        yield mailbox


async def test_mail_and_signals_cross_in_order_and_nobody_is_notified(pair: Pair) -> None:
    (bob,) = await join(pair.here)
    async with bob.posting() as posting, met(pair, bob, posting) as mailbox:
        posted = []
        for n in range(60):
            several = [bob.envelope() for _ in range(1 + n % 3)]
            await post(posting, *several)
            posted += [one["id"] for one in several]
        assert await receive(mailbox, len(posted)) == posted
        for _ in range(3):
            ring = {**bob.envelope(), "type": "signal", "ttl_s": 30}
            await posting.say(ring)
            assert await answers(posting, 1) == {ring["id"]: "posted"}
            came = await mailbox.next()
            while came["type"] == "prekeys_low":
                came = await mailbox.next()
            assert came["id"] == ring["id"]
        await trio.sleep(0.1)
        assert pair.named == []


async def test_who_left_is_notified_of_and_gets_all_at_the_other_one(pair: Pair) -> None:
    (bob,) = await join(pair.here)
    async with bob.posting() as posting:
        posted = []
        async with met(pair, bob, posting) as mailbox:
            await mailbox.websocket._close_stream()
            for _ in range(20):
                envelope = bob.envelope()
                await post(posting, envelope)
                posted.append(envelope["id"])
        with trio.fail_after(PATIENCE_S):
            while (topics.MAIL, UUID(bob.account_id)) not in pair.named:  # noqa: ASYNC110
                await trio.sleep(0.01)
        waiting = [one["id"] for one in await bob.drain()]
        assert [id_ for id_ in waiting if id_ in posted] == posted


async def test_a_sibling_that_is_killed_in_the_middle_loses_nothing(pair: Pair) -> None:
    """What crossed and was not acknowledged is in the table, whether or not the dead one had read it."""
    (bob,) = await join(pair.here)
    posted: list[str] = []
    async with bob.posting() as posting:
        async with met(pair, bob, posting) as mailbox, trio.open_nursery() as nursery:

            async def write() -> None:
                for _ in range(300):
                    envelope = bob.envelope()
                    assert await post(posting, envelope) == {envelope["id"]: "posted"}
                    posted.append(envelope["id"])

            nursery.start_soon(write)
            came = await receive(mailbox, 50, ack=False)
            await on_thread(pair.there.kill)
        assert came == posted[: len(came)]
        assert len(posted) == 300, "nobody was held up"
        assert [one["id"] for one in await bob.drain()] == posted
        pair.named.clear()
        await on_thread(pair.there.start)
        async with met(pair, bob, posting):
            pass  # its successor is a sibling again


async def test_a_sibling_that_stands_still_holds_nobody_up_and_loses_nothing(pair: Pair) -> None:
    """More than a line takes, before it is cut and after; then it goes on."""
    (bob,) = await join(pair.here)
    assert pair.there.process is not None
    group = pair.there.process.pid
    posted: list[str] = []
    async with bob.posting() as posting, met(pair, bob, posting) as mailbox:
        os.killpg(group, signal.SIGSTOP)
        try:
            until = trio.current_time() + 7
            while trio.current_time() < until or len(posted) < 300:
                several = [bob.envelope(os.urandom(16384)) for _ in range(4)]
                with trio.fail_after(3):
                    answered = await post(posting, *several)
                assert set(answered.values()) == {"posted"}
                posted += answered
                await trio.sleep(0.05)  # so that the mailbox does not get full
            assert (topics.MAIL, UUID(bob.account_id)) in pair.named
        finally:
            os.killpg(group, signal.SIGCONT)
        came: dict[str, None] = {}  # what was handed over late may come twice
        while len(came) < len(posted):
            came |= dict.fromkeys(await receive(mailbox, 1))
        assert list(came) == posted
        assert "does not answer" in pair.here.logged()
        assert bob.account_id not in pair.here.logged() + pair.there.logged()
