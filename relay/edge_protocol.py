"""What one connection may say: HTTP/1.1 heads and WebSocket frames, fenced.

These classes replace Hypercorn 0.18's h11 protocol and its two streams; relay/edge.py hangs them under each connection.
They hold no sockets: what they want to say goes to the connection's `send`, which raises `SlowReader` or `PeerGone` when
it could not be said. Each class says which fault of Hypercorn it keeps out, and why that matters.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, cast

import h11
import trio
from hypercorn.events import Closed, Event
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Request, Response
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.typing import ASGISendEvent

from relay.edge_websocket import FencedWebSocket, Wire
from relay.errors import PeerGone, SlowReader

HTTP_VERSIONS = (b"1.0", b"1.1")
HANDSHAKE_HEADERS = (b"connection", b"upgrade")
DEFLATE_OFFER = b"sec-websocket-extensions"


# -- heads: which requests are answered here and never reach the app --------------------------------------------------


class Refused(Exception):
    """A request head that gets `status` and then a closed connection."""

    def __init__(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


def check_head(request: h11.Request) -> None:
    """Raise `Refused` for a head that Hypercorn or the app would stumble over; h11 has checked its syntax already.

    505: any version but 1.0 and 1.1. `PRI * HTTP/2.0` is the first line of HTTP/2 with prior knowledge (RFC 9113 section
    3.4); in clear text Hypercorn would change to its HTTP/2 stack, which has none of these fences.

    400: a target that is not a path. The asterisk, authority and absolute forms (RFC 9112 section 3.2) are for servers
    that act as proxies; here they would only make room for a second opinion about the host, and an empty path is an
    IndexError in the framework.

    400: both framings at once, or a transfer coding in HTTP/1.0 (RFC 9112 section 6.1: an attempt at smuggling; h11 lets
    the transfer coding win, the proxy in front of us may not).
    """
    if request.http_version not in HTTP_VERSIONS:
        raise Refused(505)
    if not request.target.startswith(b"/"):
        raise Refused(400)
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version == b"1.0"):
        raise Refused(400)
    if is_websocket_upgrade(request):
        check_upgrade(request)


def is_websocket_upgrade(request: h11.Request) -> bool:
    """Whether the request asks for a WebSocket (RFC 6455 section 4.2.1). Anything else is plain HTTP.

    That includes `Upgrade: h2c`: a server may ignore an upgrade (RFC 9110 section 7.8), so it is answered over HTTP/1.1.
    Hypercorn would accept it whatever its ALPN setting says, and bad `HTTP2-Settings` end its worker.
    """
    upgrades = [token.lower() for token in _tokens(request, b"upgrade")]
    return (
        request.method == b"GET"
        and upgrades == [b"websocket"]
        and any(token.lower() == b"upgrade" for token in _tokens(request, b"connection"))
    )


def check_upgrade(request: h11.Request) -> None:
    """Raise `Refused` for a handshake that RFC 6455 section 4.2.1 does not allow.

    A body, a chunked one too, or `Expect` would be read as frames before the app accepted anything, and non-ASCII bytes
    in these headers are a UnicodeDecodeError: each of them ends Hypercorn's worker, and with it every other session.
    """
    names = [name for name, _ in request.headers]
    if request.http_version != b"1.1" or b"transfer-encoding" in names or b"expect" in names:
        raise Refused(400)
    for name, value in request.headers:
        if name == b"content-length" and value != b"0":
            raise Refused(400)
        if (name in HANDSHAKE_HEADERS or name.startswith(b"sec-websocket-")) and not value.isascii():
            raise Refused(400)
    if _values(request, b"sec-websocket-version") != [b"13"]:
        raise Refused(426, (b"sec-websocket-version", b"13"), (b"upgrade", b"websocket"))
    keys = _values(request, b"sec-websocket-key")
    if len(keys) != 1 or not _is_nonce(keys[0]):
        raise Refused(400)


def _values(request: h11.Request, wanted: bytes) -> list[bytes]:
    return [value for name, value in request.headers if name == wanted]


def _tokens(request: h11.Request, wanted: bytes) -> list[bytes]:
    return [token.strip() for value in _values(request, wanted) for token in value.split(b",")]


def _is_nonce(key: bytes) -> bool:
    """16 bytes in Base64, as RFC 6455 section 4.2.1 item 5 wants the key."""
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


class FencedProtocol(H11Protocol):
    """HTTP/1.1 and the way into WebSockets, and no way into HTTP/2."""

    def __init__(self, max_message_bytes: int, wire: Wire, *connection: Any) -> None:
        super().__init__(*connection)
        self.websocket: FencedWebSocket | None = None
        self._max_message_bytes = max_message_bytes
        self._wire = wire

    async def handle(self, event: Event) -> None:
        try:
            await super().handle(event)
        except Refused as refusal:
            headers = [(b"content-length", b"0"), (b"connection", b"close"), *refusal.headers]
            headers += self.config.response_headers("h11")
            await self._send_h11_event(h11.Response(status_code=refusal.status, headers=headers))
            await self._send_h11_event(h11.EndOfMessage())
            await self.send(Closed())

    async def stream_send(self, event: StreamEvent) -> None:
        await super().stream_send(event)
        if isinstance(event, Response) and event.status_code == 101:
            # There is no more HTTP on this connection, and what it was asked for need not stay in memory for as long as it lives.
            del cast(H11WSConnection, self.connection).h11_connection

    def leave_http(self) -> None:
        """A session goes on. What a request needed, the peer's address among it, need not stay in memory for as long as it lives."""
        del self.client, self.server, self.task_group, self.connection_state, self.can_read

    async def _maybe_recycle(self) -> None:
        if isinstance(self.connection, H11WSConnection):  # no other request comes
            await self._close_stream()
            await self.send(Closed())
        else:
            await super()._maybe_recycle()

    async def _check_protocol(self, event: h11.Request) -> None:
        """Called for each head, before its stream is made; Hypercorn's own changes to HTTP/2 here."""
        check_head(event)

    async def _create_stream(self, request: h11.Request) -> None:
        headers = list(request.headers)
        place = (self.app, self.config, self.context, self.task_group, self.ssl, self.client, self.server)
        if is_websocket_upgrade(request):
            # permessage-deflate is accepted by Hypercorn whenever it is offered, and inflated before any check of size:
            # 1 MB on the wire takes 900 MB of memory. What nobody above sees, nobody can negotiate.
            headers = [(name, value) for name, value in headers if name != DEFLATE_OFFER]
            self.websocket = FencedWebSocket(self._max_message_bytes, self._wire, *place, self.stream_send, STREAM_ID)
            self.stream = self.websocket
            self.connection = H11WSConnection(cast(h11.Connection, self.connection))
        else:
            self.stream = FencedHTTPStream(*place, self.stream_send, STREAM_ID)
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=headers,
                http_version=request.http_version.decode("ascii"),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1
        await self.context.mark_request()


class FencedHTTPStream(HTTPStream):
    """One HTTP exchange. A response that nobody reads any more is dropped in silence: that is the network, not an error.

    The app hears of it as `http.disconnect`. Every send reaches a checkpoint, so a response that is made in a loop cannot
    freeze the process before it is cancelled.
    """

    _unheard = False

    async def app_send(self, message: ASGISendEvent | None) -> None:
        if self.closed or self._unheard:
            await trio.lowlevel.checkpoint()
            return
        try:
            await super().app_send(message)
        except (PeerGone, SlowReader):
            self._unheard = True
