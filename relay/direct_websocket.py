"""Quart's WebSocket connection without its message task: a session reads the socket itself.

Quart-Trio runs a task beside the handler that queues messages and, when the peer is gone, cancels the handler. A session has to
know which of the two it met, so here `receive` says it: `PeerGone`. It also spares a task, a channel and two signals a message.
"""

from __future__ import annotations

from typing import Any, cast

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart.asgi import ASGIWebsocketConnection
from quart.wrappers import Request, Websocket
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from quart_trio.wrappers.websocket import TrioWebsocket

from relay.errors import BadFrame, PeerGone


class DirectWebsocket(TrioWebsocket):
    """Goes into `Quart.websocket_class`. Accepted once and by name: Quart accepts again, with new headers, on every message."""

    async def receive(self) -> str | bytes:
        return cast(str, await self._receive())

    async def send(self, data: str | bytes) -> None:
        await self._send(data)


class DirectWebsocketConnection(TrioASGIWebsocketConnection):
    """Goes into `Quart.asgi_websocket_class`."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self.receive_channel = _Inbound(receive)  # type: ignore[assignment]  # of it, Quart calls receive() only
        del self.send_channel  # a queue that nobody would read
        await receive()  # websocket.connect
        websocket = self._create_websocket_from_scope(send)
        try:
            await ASGIWebsocketConnection.handle_websocket(self, websocket, send)
        finally:  # they refer to each other; see FencedConnection._fall_apart
            vars(websocket).clear()
            vars(self).clear()

    def _create_websocket_from_scope(self, send: ASGISendCallable) -> Websocket:
        websocket: Websocket = super()._create_websocket_from_scope(send)
        websocket.headers.pop("Remote-Addr", None)  # Quart makes it up from the socket; nothing here may know it
        return websocket

    async def send_data(self, send: ASGISendCallable, data: str | bytes) -> None:
        is_text = isinstance(data, str)
        await send({"type": "websocket.send", "bytes": None if is_text else data, "text": data if is_text else None})  # type: ignore[typeddict-item]


class AddresslessHTTPConnection(TrioASGIHTTPConnection):
    """Goes into `Quart.asgi_http_class`: requests without the address that Quart makes a header of."""

    def _create_request_from_scope(self, send: ASGISendCallable) -> Request:
        request: Request = super()._create_request_from_scope(send)
        request.headers.pop("Remote-Addr", None)
        return request


class _Inbound:
    """What Quart calls its receive channel."""

    def __init__(self, receive: ASGIReceiveCallable) -> None:
        self._receive = receive

    async def receive(self) -> str:
        event: Any = await self._receive()
        if event["type"] != "websocket.receive":
            raise PeerGone
        text: str | None = event.get("text")
        if text is None:
            raise BadFrame  # binary; an empty one arrives as None in both fields
        return text
