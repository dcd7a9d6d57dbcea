"""A session goes on when its handler has returned: without HTTP, its clocks and its tasks, and without the peer's address."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import FunctionType, ModuleType
from typing import Any

import pytest
import trio
import trio.testing
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext

from relay import edge
from relay.edge_websocket import FencedWebSocket
from tests.edge import wire
from tests.edge.wire import CLOSE, PING, PONG, TEXT, frame

Session = Callable[[FencedWebSocket], Awaitable[None]]
Handler = Callable[[FencedWebSocket], Awaitable[None]]


@asynccontextmanager
async def served(handler: Handler, **settings: Any) -> AsyncIterator[int]:
    """A port whose WebSockets `handler` gets when they are accepted; a FencedConnection for each, and no other process."""

    async def app(_scope: Any, receive: Any, send: Any, *_: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        await handler(send.__self__)

    config = Config()
    for name, value in settings.items():
        setattr(config, name, value)
    here = edge.Edge(edge.EdgeSettings(), trio.Event(), trio.Semaphore(8))

    async def serve(stream: trio.SocketStream) -> None:
        await edge.FencedConnection(here, app, config, WorkerContext(None), {}, stream).run()  # type: ignore[arg-type]

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def leaving(session: Session) -> Handler:
    async def handler(websocket: FencedWebSocket) -> None:
        websocket.go_on_with(session)

    return handler


async def echo(websocket: FencedWebSocket) -> None:
    while True:
        await websocket.say(await websocket.receive())


async def talk(port: int, say: Callable[[wire.Peer], None]) -> None:
    def run() -> None:
        with wire.websocket(port) as peer:
            say(peer)

    with trio.fail_after(wire.PATIENCE_S):
        await trio.to_thread.run_sync(run)


def ask_and_leave(peer: wire.Peer) -> None:
    for opcode, answer in ((TEXT, TEXT), (PING, PONG), (TEXT, TEXT)):
        peer.say(frame(opcode, b"?"))
        assert peer.hear_frame() == (answer, b"?", True)
    peer.say(frame(CLOSE, wire.close_payload(1000)))
    assert peer.hear_frame().close_code == 1000
    assert peer.hear_end()


async def test_a_session_speaks_and_its_close_is_answered() -> None:
    async with served(leaving(echo)) as port:
        await talk(port, ask_and_leave)
        await talk(port, ask_and_leave)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_session_that_returns_or_fails_ends_with_1011(fails: bool) -> None:
    async def session(websocket: FencedWebSocket) -> None:
        await websocket.receive()
        if fails:
            raise ValueError

    def hear_its_end(peer: wire.Peer) -> None:
        peer.say(frame(TEXT, b"end"))
        assert peer.hear_close() == 1011
        assert peer.hear_end()

    async with served(leaving(session)) as port:
        await talk(port, hear_its_end)


async def test_nothing_that_a_session_keeps_knows_the_address() -> None:
    """The kernel does; no object of ours."""
    ports: list[int] = []
    found: list[Any] = []

    async def session(websocket: FencedWebSocket) -> None:
        ports.append(int(await websocket.receive()))
        async with trio.open_nursery() as nursery:  # what a task refers to is seen while it sleeps
            nursery.start_soon(look, websocket, trio.lowlevel.current_task())
        await websocket.say("looked")

    async def look(websocket: FencedWebSocket, task: trio.lowlevel.Task) -> None:
        await trio.testing.wait_all_tasks_blocked()
        found.extend(one for one in reachable(websocket._wire, task.coro) if one == ("127.0.0.1", ports[0]))

    def tell(peer: wire.Peer) -> None:
        peer.say(frame(TEXT, str(peer.socket.getsockname()[1]).encode()))
        assert peer.hear_frame().payload == b"looked"

    async with served(leaving(session)) as port:
        await talk(port, tell)
    assert ports
    assert found == []


def reachable(*starts: object) -> list[object]:
    """What these objects refer to, and what that refers to, and so on, without code. Of coroutines, their variables."""
    seen: dict[int, object] = {}
    waiting = [*starts]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType | trio.lowlevel.Task):
            continue
        seen[id(one)] = one
        waiting += gc.get_referents(one)
    return list(seen.values())


async def test_no_task_stands_beside_a_session() -> None:
    seen: list[int] = []

    async def session(_: FencedWebSocket) -> None:
        seen.append(len(trio.lowlevel.current_task().child_nurseries))

    async with served(leaving(session)) as port:
        await talk(port, lambda peer: seen.append(peer.hear_close() or 0))
    assert seen == [0, 1011]


@pytest.mark.parametrize("goes_on", [False, True])
async def test_pings_that_the_operator_asked_for_end_with_the_handler(goes_on: bool) -> None:
    async def handler(websocket: FencedWebSocket) -> None:
        await websocket.receive()
        if goes_on:
            websocket.go_on_with(echo)

    def listen(peer: wire.Peer) -> None:
        assert [peer.hear_frame().opcode for _ in range(3)] == [PING] * 3
        peer.say(frame(TEXT, b"go on"))
        peer.say(frame(TEXT, b"last"))
        while (heard := peer.hear_frame()).opcode == PING:
            pass
        if goes_on:
            assert heard == (TEXT, b"last", True)
            peer.say(frame(TEXT, b"really"))
            assert peer.hear_frame() == (TEXT, b"really", True)
        else:
            assert heard.close_code == 1011

    async with served(handler, websocket_ping_interval=0.02) as port:
        await talk(port, listen)
