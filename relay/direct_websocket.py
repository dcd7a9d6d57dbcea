"""Quart's WebSocket connection without its message task: a session reads the socket itself, and leaves Quart when it begins.

Quart-Trio runs a task beside the handler that queues messages and, when the peer is gone, cancels the handler. A session has to
know which of the two it met, so here `receive` says it: `PeerGone`. It also spares a task, a channel and two signals a message.

Quart's contexts, its request and eight of its frames would stay in memory for as long as a session lives (6 KiB). So a handler
only checks who asks and accepts; the session that it names by `go_on_with` runs when Quart has returned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, WebsocketScope
from quart.asgi import ASGIWebsocketConnection
from quart.wrappers import Request, Websocket
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from quart_trio.wrappers.websocket import TrioWebsocket

from relay.edge_websocket import FencedWebSocket


class DirectWebsocket(TrioWebsocket):
    """Goes into `Quart.websocket_class`. Accepted once and by name: Quart accepts again, with new headers, on every message."""

    connection: DirectWebsocketConnection

    async def receive(self) -> str | bytes:
        return cast(str, await self._receive())

    async def send(self, data: str | bytes) -> None:
        await self._send(data)

    def go_on_with(self, session: Session) -> None:
        """Runs `session` after the handler, without Quart. The handler has accepted, does not close, and keeps nothing of this object."""
        self.connection.session = session


class DirectWebsocketConnection(TrioASGIWebsocketConnection):
    """Goes into `Quart.asgi_websocket_class`."""

    def __init__(self, app: QuartTrio, scope: WebsocketScope) -> None:
        self.app, self.scope = app, scope  # and not the queue that Quart-Trio makes besides
        self._accepted = self._closed = False
        self.session: Session | None = None

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        edge: FencedWebSocket = send.__self__  # type: ignore[attr-defined]  # ASGI has no word for it
        self.receive_channel = _Inbound(edge)  # type: ignore[assignment]  # of it, Quart calls receive() only
        await receive()  # websocket.connect
        if (session := await self._ask_quart(send)) is not None:
            edge.go_on_with(lambda socket: session(_Peer(socket)))

    async def _ask_quart(self, send: ASGISendCallable) -> Session | None:
        async def send_unless_it_goes_on(event: ASGISendEvent) -> None:  # Quart closes what a handler left open
            if self.session is None:
                await send(event)

        websocket = self._create_websocket_from_scope(send)
        try:
            await ASGIWebsocketConnection.handle_websocket(self, websocket, send_unless_it_goes_on)
            return self.session
        finally:  # they refer to each other; see FencedConnection._fall_apart
            vars(websocket).clear()
            self.scope.clear()  # type: ignore[attr-defined]  # what was asked for need not stay for as long as the session lives
            vars(self).clear()

    def _create_websocket_from_scope(self, send: ASGISendCallable) -> Websocket:
        websocket = cast(DirectWebsocket, super()._create_websocket_from_scope(send))
        websocket.connection = self
        websocket.headers.pop("Remote-Addr", None)  # Quart makes it up from the socket; nothing here may know it
        return websocket

    async def send_data(self, send: ASGISendCallable, data: str | bytes) -> None:
        is_text = isinstance(data, str)
        await send({"type": "websocket.send", "bytes": None if is_text else data, "text": data if is_text else None})  # type: ignore[typeddict-item]


class _Peer:
    """The socket as a session wants it (nursery_tasks.ports.Peer)."""

    __slots__ = ("_socket", "finish", "receive", "send", "send_at_once")

    def __init__(self, socket: FencedWebSocket) -> None:
        self._socket = socket
        self.receive, self.send, self.send_at_once, self.finish = (
            socket.receive,
            socket.say,
            socket.say_at_once,
            socket.finish,
        )

    async def close(self, code: int, reason: str) -> None:
        await self._socket.app_send({"type": "websocket.close", "code": code, "reason": reason})


Session = Callable[[Any], Awaitable[None]]
"""Gets the socket as a `nursery_tasks.ports.Peer`."""


class AddresslessHTTPConnection(TrioASGIHTTPConnection):
    """Goes into `Quart.asgi_http_class`: requests without the address that Quart makes a header of."""

    def _create_request_from_scope(self, send: ASGISendCallable) -> Request:
        request: Request = super()._create_request_from_scope(send)
        request.headers.pop("Remote-Addr", None)
        return request


class _Inbound:
    """What Quart calls its receive channel."""

    __slots__ = ("receive",)

    def __init__(self, socket: FencedWebSocket) -> None:
        self.receive = socket.receive
