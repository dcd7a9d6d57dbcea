"""What one connection may say: HTTP/1.1 heads and WebSocket frames, fenced.

These classes replace Hypercorn 0.18's h11 protocol and its two streams; relay/edge.py hangs them under each connection.
They hold no sockets: what they want to say goes to the connection's `send`, which raises `SlowReader` or `PeerGone` when
it could not be said. Each class says which fault of Hypercorn it keeps out, and why that matters.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any, cast

import h11
import trio
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.events import Data, Request, Response, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import ASGIWebsocketState, FrameTooLargeError, WebsocketBuffer, WSStream
from hypercorn.typing import ASGISendEvent
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.events import Event as FrameEvent
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from relay.errors import PeerGone, SlowReader
from relay.plain_frames import PlainFrames, text_frame

Write = Callable[[bytes], Awaitable[None]]

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

    def __init__(self, max_message_bytes: int, write: Write, *connection: Any) -> None:
        super().__init__(*connection)
        self._max_message_bytes = max_message_bytes
        self._write = write

    async def handle(self, event: Event) -> None:
        if isinstance(event, RawData) and isinstance(self.stream, FencedWebSocket):
            await self.stream.take(event.data)  # there is no HTTP left to read
            return
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
            self.stream = FencedWebSocket(self._max_message_bytes, self._write, *place, self.stream_send, STREAM_ID)
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


# -- WebSocket ---------------------------------------------------------------------------------------------------------


class BoundedBuffer(WebsocketBuffer):
    """Collects the fragments of one message, and checks the size before it stores a byte; Hypercorn does it after.

    The limit is in bytes, also for text. A fragment counts as one byte at least, so empty ones cannot go on for ever.
    """

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length)
        self._counted = 0

    def extend(self, event: Message[Any]) -> None:
        data = event.data
        size = len(data) if not isinstance(data, str) or data.isascii() else len(data.encode())
        self._counted += max(size, 1)
        if self._counted > self.max_length:
            raise FrameTooLargeError
        super().extend(event)

    def clear(self) -> None:
        super().clear()
        self._counted = 0


class FencedWebSocket(WSStream):
    """One WebSocket, from its handshake to its close frame.

    Kept out, one by one:

    - frames that come before the app has accepted are held back in the socket, not answered with a second response;
    - `websocket.send` to a peer that is gone raises `PeerGone` after a checkpoint (Hypercorn's does nothing and never
      yields, so a loop of sends freezes the process);
    - an ending that the app did not choose is 1011, not 1000 (RFC 6455 section 7.4.1). The framework closes with 1000
      both when a handler raised and when it returned without closing; it gives no `reason` then, and it always does when
      the app called `close()`. So a handler that wants 1000 must say so;
    - a frame that breaks the protocol is answered with 1002 or 1007 before the connection closes (section 7.1.7), and one
      that is too large with 1009; in each case nothing that follows is parsed;
    - a peer that sends nothing but pongs or empty fragments gets one turn per frame, like everybody else.

    Whole text messages, which is nearly all there is, do not pass through wsproto (relay/plain_frames.py).
    """

    def __init__(self, max_message_bytes: int, write: Write, *stream: Any) -> None:
        """`write` takes the bytes of whole messages; what passes through HTTP's layers does so by `stream`."""
        super().__init__(*stream)
        self._write = write
        self.buffer = BoundedBuffer(max_message_bytes)
        self._answered = trio.Event()  # the app has accepted, refused or ended
        self._plain = PlainFrames(max_message_bytes)

    async def handle(self, event: StreamEvent) -> None:
        if isinstance(event, Data):
            await self.take(event.data)
        else:
            await super().handle(event)

    async def take(self, data: bytes) -> None:
        """Bytes of the peer, from the first one after the handshake on."""
        if not self._answered.is_set() and not self.closed:
            # RFC 6455 section 4.1 asks clients to wait for our answer. Those that do not get their frames handled in
            # order; until then the reader stands here, and the socket's own buffer is the bound.
            await self._answered.wait()
        for part in self._plain.feed(data):
            if not self._is_heard:
                return
            if isinstance(part, str):
                await self._put({"type": "websocket.receive", "bytes": None, "text": part})
            else:
                self.connection.receive_data(part)
                await self._handle_events()

    async def app_send(self, message: ASGISendEvent | None) -> None:
        is_data = message is not None and message["type"] == "websocket.send"
        try:
            if is_data and self._is_open and (text := cast(dict[str, Any], message).get("text")) is not None:
                await self._write(text_frame(text))
                return
            if not self.closed:
                await super().app_send(self._with_close_code(message))
                return
        except (PeerGone, SlowReader):
            if is_data:
                raise
        finally:
            if not self._answered.is_set() and (message is None or self.state is not ASGIWebsocketState.HANDSHAKE):
                self._answered.set()
                self.scope["headers"] = []  # read by now; the app's framework has its own copy
        await trio.lowlevel.checkpoint()
        if is_data:
            raise PeerGone

    @property
    def _is_heard(self) -> bool:
        return not self.closed and self.handshake.accepted

    @property
    def _is_open(self) -> bool:
        """Neither side has begun to close."""
        accepted = self.state is ASGIWebsocketState.CONNECTED and not self.closed
        return accepted and self.connection.state is ConnectionState.OPEN

    def _with_close_code(self, message: ASGISendEvent | None) -> ASGISendEvent | None:
        if message is None or message["type"] != "websocket.close" or "reason" in cast(dict[str, Any], message):
            return message
        return {"type": "websocket.close", "code": CloseReason.INTERNAL_ERROR, "reason": None}

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                try:
                    self.buffer.extend(event)
                except FrameTooLargeError:
                    await self._end(CloseConnection(code=CloseReason.MESSAGE_TOO_BIG))
                    return
                if event.message_finished:
                    message = self.buffer.to_message()
                    self.buffer.clear()
                    await self._put(message)
                    continue
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
                continue
            elif isinstance(event, CloseConnection):
                if self.connection.state is ConnectionState.REMOTE_CLOSING:
                    await self._end(event.response())
                else:  # the peer broke the protocol (the reason would quote its bytes), or it answered our own close
                    await self._end(CloseConnection(code=event.code))
                return
            await trio.lowlevel.checkpoint()

    async def _put(self, message: dict[str, Any]) -> None:
        if self.app_put is not None:
            await self.app_put(message)

    async def _end(self, goodbye: CloseConnection) -> None:
        await self._send_wsproto_event(goodbye)
        await self.send(StreamClosed(stream_id=self.stream_id))

    async def _send_wsproto_event(self, event: FrameEvent) -> None:
        """Send one frame. After a close frame, ours or theirs, there is nothing more to say (RFC 6455 section 5.5.1)."""
        try:
            data = self.connection.send(event)
        except LocalProtocolError:
            await trio.lowlevel.checkpoint()
            if isinstance(event, Message):
                raise PeerGone from None
        else:
            await self.send(Data(stream_id=self.stream_id, data=data))

    async def _send_pings(self) -> None:
        """Hypercorn's optional pings (off unless the operator asks): they end with the connection, quietly."""
        try:
            await super()._send_pings()
        except (PeerGone, SlowReader):
            return
