"""A WebSocket of the edge, and how handlers are run.

`FencedWebSocket` replaces Hypercorn 0.18's stream; relay/edge_protocol.py makes it, and relay/edge.py is the connection under it. It holds no
socket: bytes come and go by its `Wire`. Each class says which fault of Hypercorn it keeps out, and why that matters.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

import trio
from hypercorn.config import Config
from hypercorn.protocol.events import Data, StreamClosed
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.ws_stream import ASGIWebsocketState, FrameTooLargeError, WebsocketBuffer, WSStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, Scope
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Message, Ping
from wsproto.events import Event as FrameEvent
from wsproto.frame_protocol import CloseReason, FrameProtocol
from wsproto.utilities import LocalProtocolError

from relay.errors import BadFrame, PeerGone, SlowReader
from relay.log_lines import describe
from relay.plain_frames import PlainFrames, text_frame

log = logging.getLogger("relay.edge")

Session = Callable[["FencedWebSocket"], Awaitable[None]]
"""What a handler leaves behind to be run when it has returned: gets the socket as a `nursery_tasks.ports.Peer`."""

MESSAGES_A_TURN = 8
"""Of what came in one read. Then everybody else has a turn."""

# To look up a member of an Enum takes Python 3.11 as long as to call a function, and this is asked for every frame.
_CONNECTED, _CLOSED = ASGIWebsocketState.CONNECTED, ASGIWebsocketState.CLOSED

_LONG_AGO = trio.Event()
_LONG_AGO.set()


class Wire(Protocol):
    """The connection under a WebSocket: bytes in, bytes out."""

    def read(self) -> Awaitable[bytes]:
        """What has arrived; empty at the end. Raises PeerGone."""

    async def ended(self) -> None:
        """To be called when `read` has answered nothing; returns when it is this peer's turn to go."""

    async def write(self, data: bytes) -> None:
        """All of it. Raises PeerGone or SlowReader."""

    def write_at_once(self, data: bytes) -> int:
        """As many bytes as the kernel takes without waiting, 0 while somebody else writes. The rest goes before the next `write`."""


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

    - frames that come before the app has accepted are held back in the socket, not answered with a second response. Whoever wants
      the next message reads the socket: no task stands between, and what nobody asks for stays where it is;
    - `websocket.send` to a peer that is gone raises `PeerGone` after a checkpoint (Hypercorn's does nothing and never
      yields, so a loop of sends freezes the process);
    - an ending that the app did not choose is 1011, not 1000 (RFC 6455 section 7.4.1). The framework closes with 1000
      both when a handler raised and when it returned without closing; it gives no `reason` then, and it always does when
      the app called `close()`. So a handler that wants 1000 must say so;
    - a frame that breaks the protocol is answered with 1002 or 1007 before the connection closes (section 7.1.7), and one
      that is too large with 1009; in each case nothing that follows is parsed;
    - a peer that sends nothing but pongs or empty fragments gets one turn per frame, like everybody else; whole messages that came
      together get one for every MESSAGES_A_TURN of them.

    Whole text messages, which is nearly all there is, do not pass through wsproto (relay/plain_frames.py). Its connection is made
    when something else comes or goes: it takes 2 KiB.
    """

    def __init__(self, max_message_bytes: int, wire: Wire, *stream: Any) -> None:
        """Whole messages go to `wire`; what passes through HTTP's layers does so by `stream`."""
        super().__init__(*stream)
        self._library: Connection | None = None
        self._wire = wire
        self.buffer = BoundedBuffer(max_message_bytes)
        self._plain = PlainFrames(max_message_bytes)
        self._early = b""  # came in one read with the head; one read is the bound
        self._inbox: list[str | bytes] = []
        self._binary = b""  # the message of the last BadFrame
        self._together = 0  # messages that were taken in the turn of one before
        self._connected = False
        self._answered = trio.Event()  # the app has accepted, refused or ended
        self._session: Session | None = None
        self._left = trio.Event()

    async def handle(self, event: StreamEvent) -> None:
        if isinstance(event, Data):
            # RFC 6455 section 4.1 asks clients to wait for our answer. Those that do not get their frames handled in order.
            self._early += event.data
        else:
            await super().handle(event)
            if self.closed:
                self._answered.set()
                self._left.set()

    # -- between handler and session

    def go_on_with(self, session: Session) -> None:
        """Runs `session` when the handler has returned, without anything of the app beside it. The handler has accepted, and does not close."""
        self._session = session

    async def left(self) -> Session | None:
        """Waits until the handler has returned, or the socket is closed; answers what goes on, if anything does."""
        await self._left.wait()
        return self._take_session()

    async def go_on(self, session: Session) -> None:
        """Runs a session to its end, and ends the socket after it. What it raises ends nobody else."""
        self._leave_http()
        try:
            await session(self)
        except* Exception as failures:
            log.error("a session failed: %s", describe(failures))
        finally:
            await self.app_send(None)

    def _leave_http(self) -> None:
        """As FencedProtocol.leave_http."""
        self._left = self._answered = _LONG_AGO
        self.app_put = None
        del self.app, self.client, self.server, self.task_group, self.scope, self.handshake

    def _take_session(self) -> Session | None:
        session, self._session = self._session, None
        return session

    # -- in

    async def receive(self) -> str:
        """The next text message; a checkpoint at least once for every MESSAGES_A_TURN of them.

        Nobody else reads the connection: what is not asked for waits in the socket.

        Raises:
            PeerGone: the socket is closed or broken, or the peer broke the protocol.
            BadFrame: a binary message came.
        """
        if self._inbox:
            # What came together is handled together, so that its answers leave together; but whoever packs a thousand tiny frames
            # into one read has a turn for every few of them only.
            self._together += 1
            if self._together % MESSAGES_A_TURN == 0:
                await trio.lowlevel.checkpoint()
        while not self._inbox:
            if not self._hears():
                await trio.lowlevel.checkpoint()
                raise PeerGone
            data, self._early = self._early, b""
            if not data:
                data = await self._wire.read()
                if not data:
                    await self._wire.ended()
                    raise PeerGone
            if self._hears():  # else it was closed while it was waited for
                for part in self._plain.feed(data):
                    if isinstance(part, str):
                        self._inbox.append(part)
                    elif not await self._judge(part):
                        break
        message = self._inbox.pop(0)
        if isinstance(message, str):
            return message
        self._binary = message
        raise BadFrame

    async def asgi_receive(self) -> ASGIReceiveEvent:
        """The same as ASGI has it, for handlers that read."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        await self._answered.wait()  # some frameworks ask for messages before they accept
        text, data = None, None
        try:
            text = await self.receive()
        except BadFrame:
            data, self._binary = self._binary, b""
        except PeerGone:
            return {"type": "websocket.disconnect", "code": int(CloseReason.ABNORMAL_CLOSURE)}
        return {"type": "websocket.receive", "bytes": data, "text": text}

    async def _judge(self, part: bytes) -> bool:
        """Leaves it to the library. Whether what follows is heard."""
        self.connection.receive_data(part)
        await self._handle_events()
        return self._hears()

    # -- out

    async def say(self, text: str) -> None:
        """Sends one text message. Raises PeerGone or SlowReader."""
        if not self._is_open:
            await trio.lowlevel.checkpoint()
            raise PeerGone
        await self._wire.write(text_frame(text))

    def say_at_once(self, text: str) -> bool | None:
        """See nursery_tasks.ports.Peer.send_at_once."""
        if not self._is_open:
            return None
        frame = text_frame(text)
        sent = self._wire.write_at_once(frame)
        return sent == len(frame) if sent else None

    async def finish(self) -> None:
        """See nursery_tasks.ports.Peer.finish."""
        await self._wire.write(b"")

    async def app_send(self, message: ASGISendEvent | None) -> None:
        if message is None and self._session is not None:
            if self.closed and (session := self._take_session()) is not None:
                # The connection is over; the session has to learn that, and to leave what it has entered.
                await self.go_on(session)
            self._left.set()
            return
        is_data = message is not None and message["type"] == "websocket.send"
        try:
            if is_data and self._is_open and (text := cast(dict[str, Any], message).get("text")) is not None:
                await self._wire.write(text_frame(text))
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
            if message is None:
                self._left.set()
        await trio.lowlevel.checkpoint()
        if is_data:
            raise PeerGone

    @property
    def connection(self) -> Connection:
        """What the library knows of this socket, from the first thing on that is its to judge; without extensions, as none was offered."""
        if self._library is None:
            self._library = Connection(ConnectionType.SERVER)
        return self._library

    @connection.setter
    def connection(self, made_at_the_handshake: Connection) -> None:
        _take_apart(made_at_the_handshake)

    def fall_apart(self) -> None:
        """Called when all is over: what refers to each other is freed at once."""
        if self._library is not None:
            _take_apart(self._library)
        vars(self).clear()

    def _hears(self) -> bool:
        return not self.closed and (self.state is _CONNECTED or self.state is _CLOSED)

    @property
    def _is_open(self) -> bool:
        """Neither side has begun to close."""
        if self.state is not _CONNECTED or self.closed:
            return False
        return self._library is None or self._library.state is ConnectionState.OPEN

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
                    self._inbox.append(message["text"] if message["text"] is not None else message["bytes"] or b"")
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
        """Hypercorn's optional pings (off unless the operator asks): they end, quietly, with the handler. A session has its own."""
        with contextlib.suppress(PeerGone, SlowReader):
            while not self._left.is_set():
                await self._send_wsproto_event(Ping())
                with trio.move_on_after(self.config.websocket_ping_interval or 0):
                    await self._left.wait()


def _take_apart(connection: Connection) -> None:
    """Its parser is a generator, which refers to what refers to it."""
    for part in vars(connection).values():
        if isinstance(part, FrameProtocol):
            vars(part).clear()


class FencedTaskGroup(TaskGroup):
    """Runs the app for a connection, and never lets anybody wait for an app that has ended.

    In Hypercorn the queue to the app stays open when the app returns; once it is full the reader waits on it for ever,
    and so does the app's own task, which wants to put a last `disconnect` into it.
    """

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        async def run_app(
            receive: Callable[[], Awaitable[ASGIReceiveEvent]], until_it_returns: AbstractContextManager[object]
        ) -> None:
            try:
                with until_it_returns:
                    await app(scope, receive, send, trio.to_thread.run_sync, trio.from_thread.run)
            except* Exception as failures:
                log.error("a handler failed: %s", describe(failures))
            finally:
                await send(None)

        if isinstance(websocket := getattr(send, "__self__", None), FencedWebSocket):
            self.spawn(run_app, websocket.asgi_receive, contextlib.nullcontext())
            return _nothing  # it reads for itself
        to_app, inbox = trio.open_memory_channel[ASGIReceiveEvent](config.max_app_queue_size)

        async def put(event: ASGIReceiveEvent) -> None:
            with contextlib.suppress(trio.BrokenResourceError):
                try:
                    to_app.send_nowait(event)
                except trio.WouldBlock:
                    await to_app.send(event)

        self.spawn(run_app, inbox.receive, inbox)
        return put


async def _nothing(event: ASGIReceiveEvent) -> None:
    """Where events go that nobody waits for."""
