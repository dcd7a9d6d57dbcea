"""What a connection leaves behind when it ends: nothing that only the garbage collector could free (relay/collector.py says why)."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest
import trio

from relay import collector
from tests.live.app import App, call, post
from tests.live.relay_process import RelayProcess, running_relay
from tests.live.test_conversation import join
from tests.postgres.server import temporary_directory

TIMES = 10
SESSIONS = 60
HEAVIEST_KIB = 29.0
"""Of Python's objects; what the process takes for them is some 5 percent more."""


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    with (
        temporary_directory() as directory,
        running_relay(directory, application="tests.live.uncollected_app:app") as running,
    ):
        yield running


async def silent(app: App) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", int(app.url.rpartition(":")[2]))
    await trio.sleep(0.02)
    await stream.aclose()


async def half_a_head(app: App) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", int(app.url.rpartition(":")[2]))
    await stream.send_all(b"GET /v1/relay HTTP/1.1\r\nHost: relay\r\nX-Slow: ")
    await trio.sleep(0.02)
    await stream.aclose()


async def an_http_call(app: App) -> None:
    assert (await call(app.url, "GET", "/v1/account", None, app.bearer)).status == 200


async def a_refused_call(app: App) -> None:
    assert (await call(app.url, "POST", "/v1/accounts", b"{", app.bearer)).status in (400, 401)


async def a_post_session(app: App) -> None:
    async with app.posting() as posting:
        assert set((await post(posting, app.envelope(), app.envelope())).values()) == {"posted"}


async def a_mailbox_session(app: App) -> None:
    await app.drain()


async def a_session_that_is_refused_a_frame(app: App) -> None:
    async with app.posting() as posting:
        await posting.say("no frame")
        assert await posting.close_code() == 4400


@pytest.mark.parametrize(
    "lives",
    [
        silent,
        half_a_head,
        an_http_call,
        a_refused_call,
        a_post_session,
        a_mailbox_session,
        a_session_that_is_refused_a_frame,
    ],
)
async def test_what_ends_is_freed_at_once(relay: RelayProcess, lives: Callable[[App], Awaitable[None]]) -> None:
    (app,) = await join(relay)
    await lives(app)  # what is made once
    await call(relay.url, "GET", "/uncollected")
    for _ in range(TIMES):
        await lives(app)
    await trio.sleep(1.5)  # the last ones linger
    left = (await call(relay.url, "GET", "/uncollected")).json()
    ours = (
        "relay.",
        "nursery_tasks.",
        "hypercorn.",
        "trio.",
        "wsproto.",
        "h11.",
        "builtins.frame",
        "builtins.traceback",
    )
    assert {kind: count for kind, count in left.items() if kind.startswith(ours) and count >= TIMES} == {}


async def test_an_idle_session_weighs_little(relay: RelayProcess) -> None:
    """Before anything was done about it, it weighed 31 KiB."""
    members = await join(relay, SESSIONS)
    weights = []
    async with AsyncExitStack() as open_:
        for some in (members[: SESSIONS // 2], members[SESSIONS // 2 :]):
            for app in some:
                await (await open_.enter_async_context(app.mailbox())).expect("drained")
            await trio.sleep(0.5)  # the last ones have begun, too
            weights.append((await call(relay.url, "GET", "/alive")).json()["bytes"])
    assert (weights[1] - weights[0]) / (SESSIONS // 2) / 1024 < HEAVIEST_KIB


async def test_all_is_looked_at_once_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    times, looks = [0.0], []
    monkeypatch.setattr(gc, "collect", lambda: looks.append(times[-1]))
    chore = collector.Hourly(lambda: times[-1])
    for now in (60.0, 3599.0, 3600.0, 3660.0, 7199.0, 7260.0):
        times.append(now)
        await chore()
    assert looks == [3600.0, 7260.0]
