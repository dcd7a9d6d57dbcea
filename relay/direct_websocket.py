"""WebSockets past Quart: a handler gets the socket that asks to be let in, and names the session that runs when it has returned.

Of what Quart does for a WebSocket (routing, contexts, a queue of messages with a task, a request whose frames would stay in memory for as
long as the session), two paths and a look at two headers need nothing, and it takes longer than all the rest of a handshake. A session
also has to know whether its peer is gone: here `receive` says it, where Quart would cancel the handler.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, Scope
from quart import Response
from quart.wrappers import Request
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.datastructures import Headers

from relay.edge_websocket import FencedWebSocket


class DirectWebsocket:
    """A WebSocket whose peer waits for an answer. It is accepted once."""

    __slots__ = ("_edge", "_goes_on", "headers")

    def __init__(self, edge: FencedWebSocket, headers: Headers) -> None:
        self._edge = edge
        self._goes_on = False
        self.headers = headers

    async def accept(self) -> None:
        await self._edge.app_send({"type": "websocket.accept", "subprotocol": None, "headers": []})

    async def close(self, code: int, reason: str) -> None:
        """After it was accepted."""
        await self._edge.app_send({"type": "websocket.close", "code": code, "reason": reason})

    async def refuse(self, response: Response) -> None:
        """Answers by HTTP instead."""
        if self._goes_on:
            return
        headers = [(name.lower().encode(), value.encode()) for name, value in response.headers.items()]
        body = await response.get_data(as_text=False)
        await self._edge.app_send(
            {"type": "websocket.http.response.start", "status": response.status_code, "headers": headers}
        )
        await self._edge.app_send({"type": "websocket.http.response.body", "body": body, "more_body": False})

    def go_on_with(self, session: Session) -> None:
        """Runs `session` after the handler, which accepts, does not close, and keeps nothing of this object."""
        self._goes_on = True
        self._edge.go_on_with(lambda socket: session(_Peer(socket)))


Handler = Callable[[DirectWebsocket], Awaitable[None]]
"""Answers a WebSocket; raises nothing."""


class AddresslessHTTPConnection(TrioASGIHTTPConnection):
    """Goes into `Quart.asgi_http_class`: requests without the address that Quart makes a header of."""

    def _create_request_from_scope(self, send: ASGISendCallable) -> Request:
        request: Request = super()._create_request_from_scope(send)
        request.headers.pop("Remote-Addr", None)
        return request


class SocketsPastQuart(QuartTrio):
    """Quart-Trio for HTTP. A WebSocket goes to the handler of its path in `sockets`, or to `no_such_socket`."""

    asgi_http_class = AddresslessHTTPConnection
    sockets: Mapping[str, Handler] = MappingProxyType({})
    no_such_socket: Handler

    async def asgi_app(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "websocket":
            await super().asgi_app(scope, receive, send)
            return
        edge: FencedWebSocket = send.__self__  # type: ignore[attr-defined]  # ASGI has no word for it
        try:
            await receive()  # websocket.connect
            headers = Headers([(name.decode("latin1"), value.decode("latin1")) for name, value in scope["headers"]])
            handler = self.sockets.get(scope["path"], self.no_such_socket)
            await handler(DirectWebsocket(edge, headers))
        finally:
            scope.clear()  # type: ignore[attr-defined]  # what was asked for need not stay for as long as the session lives


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
