"""The fences around Hypercorn 0.18's trio worker: nothing that a peer does may harm anybody but that peer.

`install()` is called when `relay.app` is imported. Hypercorn starts each worker as a fresh process that loads the app
before it opens its listeners, and it looks these names up only then, so that is early enough under the `hypercorn` command
with any number of workers. What is replaced, all of it in `install`:

- `TCPServer`: a connection, with deadlines and a hard end (`FencedConnection`; its protocol is relay/edge_protocol.py);
- `WorkerContext`: the moment Hypercorn stops becomes `Edge.draining`;
- `check_multiprocess_shutdown_event`: how a worker learns that it must stop: at once, and without looking ten times a second;
- defaults of `Config` that the operator may still set: drain grace and protocols; and the logger, which loses its access log.

Hypercorn is pinned in pyproject.toml. Read the tests in tests/edge before you change that pin: each of them fails when its
fence is taken away.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket
import struct
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import hypercorn.trio.run
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from relay.edge_arrivals import Arrivals
from relay.edge_protocol import FencedProtocol
from relay.edge_websocket import FencedTaskGroup, FencedWebSocket, Session
from relay.edge_worker import FencedWorkerContext, QuietLogger, wait_for_stop
from relay.errors import PeerGone, SlowReader
from relay.log_lines import describe
from relay.readiness import Readable, readable

log = logging.getLogger("relay.edge")

RESERVED_FILES = 128  # of the open files that the process is allowed, those that connections may not take
WRITES_A_TURN = 16  # after so many, the next task has a turn even if the kernel takes everything at once
LINGER_S = 1.0  # how long a peer may take to read our last words
LINGER_BYTES = 1024 * 1024  # and how much it may say meanwhile, into the void


@dataclass(frozen=True)
class EdgeSettings:
    """Limits of every connection. They hold for one worker process."""

    write_deadline_s: float = 20.0
    """For one write. A peer that has not taken it by then is cut off."""
    head_deadline_s: float = 10.0
    """From the first byte of a request, or from the start of the connection, to the end of its head."""
    max_message_bytes: int = 98_304
    """Of one WebSocket message, all fragments together. The largest frame of docs/protocol.md fits with room to spare."""
    drain_grace_s: float = 2.0
    """From the stop signal until the connections that are left are cut. `--graceful-timeout` overrules it."""
    max_connections: int = 65_536
    """Open at the same time; one more is cut at once. Fewer where the process may open fewer files (ulimit -n)."""


@dataclass(frozen=True, eq=False)
class Edge:
    """What `install` hands to the app."""

    settings: EdgeSettings
    draining: trio.Event
    """Set for good when this worker learns that it must stop. Sessions then have `drain_grace_s` to say goodbye."""
    seats: trio.Semaphore
    """One for each open connection."""

    @cached_property
    def arrivals(self) -> Arrivals:
        """Those who have not asked for anything yet."""
        return Arrivals(self.settings.head_deadline_s, self.draining)


def install(settings: EdgeSettings | None = None) -> Edge:
    """Put the fences up in this process and return the `Edge`; call it while the app is imported.

    It can be called again: with the same settings, or with none, it returns the first `Edge`. Other settings are a
    RuntimeError, since connections may already live by the first.
    """
    server = vars(hypercorn.trio.run)["TCPServer"]
    if isinstance(server, partial):
        installed = cast(Edge, server.args[0])
        if settings not in (None, installed.settings):
            raise RuntimeError("the edge is already installed in this process, with other settings")
        return installed
    settings = settings or EdgeSettings()
    edge = Edge(settings, trio.Event(), trio.Semaphore(_seats(settings)))
    replacements: dict[str, object] = {
        "TCPServer": partial(FencedConnection, edge),
        "WorkerContext": partial(FencedWorkerContext, edge.draining),
        "check_multiprocess_shutdown_event": wait_for_stop,
    }
    for name, fenced in replacements.items():
        setattr(hypercorn.trio.run, name, fenced)
    # Class defaults: what the operator sets, on the command line or in a file, is set on the instance and wins.
    Config.graceful_timeout = settings.drain_grace_s
    Config.alpn_protocols = ["http/1.1"]  # HTTP/2 ends at the reverse proxy, if there is one
    Config.include_server_header = False
    Config.logger_class = QuietLogger
    return edge


def _seats(settings: EdgeSettings) -> int:
    """How many connections there is room for, with files left for the database and whatever else the app opens.

    A process out of files cannot reconnect to its database, so peers that merely connect could stop the relay.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return settings.max_connections
    return max(1, min(settings.max_connections, files - RESERVED_FILES))


# -- a connection ------------------------------------------------------------------------------------------------------


class FencedConnection(TCPServer):
    """One TCP connection: who reads, who writes, and how it ends.

    One task reads, from the first byte to the last, and it alone ends the connection; every other task that wants an end
    asks for it by `_hang_up` (politely) or `_abort` (with a reset). Any task may write, one at a time.
    """

    protocol: FencedProtocol  # type: ignore[assignment]  # Hypercorn's is a switch between HTTP/1 and HTTP/2
    stream: Any  # trio.SocketStream, or a trio.SSLStream around one; Hypercorn's annotation has the second only

    def __init__(
        self,
        edge: Edge,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        state: ConnectionState,
        stream: Any,
    ) -> None:
        super().__init__(app, config, context, state, stream)
        self._edge = edge
        self._transport: trio.SocketStream = getattr(stream, "transport_stream", stream)
        self._reading = trio.CancelScope()
        self._head_wait = trio.CancelScope()
        self._head_begun = True  # a new connection owes us a head, even before its first byte
        self._read_to_end = False
        self._hung_up = False
        self._writes = 0
        self._readable: Readable | None = None
        self._rest = b""  # of what was written at once and not taken whole; goes before all else
        self._lost: type[PeerGone] | type[SlowReader] | None = None  # why nothing more can be written

    async def run(self) -> None:
        """Live from accept to close, and never take the worker along.

        The connection's task is a child of the nursery that all connections share, so with Hypercorn's own `run` one
        request that raises anything ends the worker. Here it ends this connection. Cancellation goes through. The log
        gets types and places, no messages: those may quote what the peer sent.
        """
        try:
            self._edge.seats.acquire_nowait()
        except trio.WouldBlock:
            self._abort(PeerGone)
            return
        try:
            await self._serve()
        except* Exception as failures:
            log.warning("connection dropped: %s", describe(failures))
        finally:
            self._edge.seats.release()
            self._fall_apart()

    async def _serve(self) -> None:
        ssl = isinstance(self.stream, trio.SSLStream)
        try:
            if ssl:
                await self._edge.arrivals.go_in()
                with trio.fail_after(self.config.ssl_handshake_timeout):
                    await self.stream.do_handshake()
                if self.stream.selected_alpn_protocol() == "h2":
                    return
            else:
                self._readable = readable(self._transport.socket.fileno())
            head = await self._edge.arrivals.head(self.read, self.config.h11_max_incomplete_size)
            if not head:
                return
            async with FencedTaskGroup() as task_group:
                self._task_group = task_group
                self.protocol = FencedProtocol(
                    self._edge.settings.max_message_bytes, self, self.app, self.config, self.context, task_group,
                    ConnectionState(self.state), ssl, *self._addresses(), self.protocol_send,
                )  # fmt: skip
                self._head_wait.deadline = trio.current_time() + self._edge.settings.head_deadline_s
                await self.idle_task.restart(task_group, self._idle_timeout)
                going_on = await self._read_on(head)
                head = b""  # a session would keep it, and the token in it
                if going_on is None:
                    await self._end_reading()
            if going_on is not None:
                await self._go_on(*going_on)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError):
            pass  # gone before it said anything: getpeername or the TLS handshake failed
        finally:
            self._stop_reading()
            with trio.move_on_after(LINGER_S), contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self.stream.aclose()

    def _addresses(self) -> list[tuple[str, int] | None]:
        """Of the peer and of us. In `_serve` a variable would hold them for as long as the connection lives."""
        here = self._transport.socket
        return [parse_socket_addr(here.family, name) for name in (here.getpeername(), here.getsockname())]

    def _fall_apart(self) -> None:
        """Connection, protocol and stream refer to each other. Taken apart they are freed at once; else the collector would have to
        look for them among everything that is alive (relay/collector.py).
        """
        protocol = vars(self).get("protocol")
        if isinstance(protocol, FencedProtocol) and protocol.websocket is not None:
            protocol.websocket.fall_apart()
        for part in (vars(protocol or self).get("stream"), protocol, self):
            if isinstance(part, FencedConnection | FencedProtocol | HTTPStream):
                vars(part).clear()

    # reading

    async def _go_on(self, websocket: FencedWebSocket, session: Session) -> None:
        """Runs a session, now that HTTP and its tasks are over; what they needed does not stay in memory for as long as it."""
        del self.idle_task, self._head_wait, self._task_group
        self._reading = trio.CancelScope()  # of what comes after the session
        self.protocol.leave_http()
        await websocket.go_on(session)
        await self._read_on()
        await self.protocol.handle(Closed())

    async def _end_reading(self) -> None:
        self._read_to_end = True
        await self.idle_task.stop()  # Hypercorn's clock runs on, and holds the socket of a peer that has long left
        await self.protocol.handle(Closed())

    async def _read_on(self, data: bytes = b"") -> tuple[FencedWebSocket, Session] | None:
        """From `data` on, which has been read, to the end, or until a session goes on that reads for itself; answers that session and
        its socket.
        """
        with self._reading:
            return await self._read_parts(data)
        return None

    async def _read_parts(self, data: bytes) -> tuple[FencedWebSocket, Session] | None:
        discarded = 0
        while True:
            try:
                data = data or await self.read()
                if not data and not self._hung_up:
                    await self._edge.arrivals.go_out()
                if not self._hung_up:
                    self._expect_head()
                    await self.protocol.handle(RawData(data))
                    if isinstance(websocket := self.protocol.stream, FencedWebSocket):
                        session = await websocket.left()
                        if session is not None:
                            return websocket, session
            except (trio.ClosedResourceError, trio.BrokenResourceError, PeerGone, SlowReader):
                return None
            if self._hung_up:
                discarded += len(data)
            if not data or discarded > LINGER_BYTES:
                return None
            data = b""

    def read(self) -> Awaitable[bytes]:
        """See relay.edge_websocket.Wire."""
        seconds = self.config.read_timeout
        return self._read_some() if seconds is None else self._read_within(seconds)

    async def ended(self) -> None:
        """See relay.edge_websocket.Wire."""
        await self._edge.arrivals.go_out()

    async def _read_within(self, seconds: float) -> bytes:
        try:
            with trio.fail_after(seconds):
                return await self._read_some()
        except trio.TooSlowError:
            raise PeerGone from None

    async def _read_some(self) -> bytes:
        """What has arrived, empty at the end. Trio tries first and waits then; a peer has mostly said nothing yet, so here it is
        the other way round, which spares a failed call and a round of the scheduler."""
        try:
            if self._readable is None:  # TLS
                return bytes(await self.stream.receive_some(MAX_RECV))
            while True:
                await self._readable.wait()
                try:
                    data = os.read(self._transport.socket.fileno(), MAX_RECV)
                except BlockingIOError:
                    self._readable.drained()
                    continue
                if len(data) < MAX_RECV:
                    self._readable.drained()
                return data
        except (trio.ClosedResourceError, trio.BrokenResourceError, OSError):
            raise PeerGone from None

    def _stop_reading(self) -> None:
        if self._readable is not None:
            self._readable.close()

    def _expect_head(self) -> None:
        """Start the clock of the next head at its first byte. A head that trickles in is a slowloris."""
        if not self._head_begun:
            self._head_begun = True
            self._head_wait.deadline = trio.current_time() + self._edge.settings.head_deadline_s

    async def _idle_timeout(self) -> None:
        """Runs while no request is in progress: end the connection when the head is late, or when the worker stops.

        Hypercorn has one clock for both, `keep_alive_timeout`, which operators behind a reverse proxy rightly set to
        minutes. Here it only counts until the first byte.
        """
        with self._head_wait:
            await self.context.terminated.wait()
        self._reading.cancel()

    # writing

    async def protocol_send(self, event: Event) -> None:
        """What the protocol wants done. Raises `SlowReader` or `PeerGone` when bytes could not be written."""
        if isinstance(event, RawData):
            await self.write(event.data)
        elif isinstance(event, Closed):
            await self._hang_up()
            await self.protocol.handle(Closed())
        elif isinstance(event, Updated) and event.idle and not self._read_to_end:
            self._head_wait = trio.CancelScope(deadline=trio.current_time() + self.config.keep_alive_timeout)
            self._head_begun = False
            if self.protocol.connection.trailing_data[0]:  # of the next request, sent before this one was answered
                self._expect_head()
            with trio.CancelScope(shield=True):  # comes from the app's task, which its framework has cancelled by now
                await self.idle_task.restart(self._task_group, self._idle_timeout)
        elif isinstance(event, Updated):
            await self.idle_task.stop()

    async def write(self, data: bytes) -> None:
        """Write all of it before the deadline, or end the connection.

        Hypercorn shields its writes and gives them no deadline, so a peer that stops reading can neither be cancelled nor
        outlived: shutdown waits for it. Here a write can be cancelled. Once it has begun, nobody knows how much of a frame
        is out, so then the connection must go as well; before that, nothing is lost but the frame.
        """
        await self._take_turn()
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            if self._lost is not None:
                raise self._lost
            if self._rest:
                data, self._rest = self._rest + data, b""
            sent = self._write_now(data)
            if sent < len(data):
                await self._write_rest(data[sent:] if sent else data)
        finally:
            self.send_lock.release()
        self._writes += 1
        if self._writes % WRITES_A_TURN == 0:  # what has been sent counts as sent, so not cancelled here
            await trio.lowlevel.cancel_shielded_checkpoint()

    def write_at_once(self, data: bytes) -> int:
        """See relay.edge_protocol.Wire."""
        if self._rest or self._lost is not None or self.send_lock.locked():
            return 0
        sent = self._write_now(data)
        if 0 < sent < len(data):
            self._rest = data[sent:]
        return sent

    async def _take_turn(self) -> None:
        try:
            self.send_lock.acquire_nowait()
        except trio.WouldBlock:
            await self.send_lock.acquire()

    def _write_now(self, data: bytes) -> int:
        """How many bytes the kernel takes at once: nearly always all, which spares a deadline and two rounds of the scheduler."""
        if self.stream is not self._transport:  # TLS
            return 0
        try:
            return os.write(self._transport.socket.fileno(), data)
        except OSError:  # no room, or the connection is broken: Trio tells which
            return 0

    async def _write_rest(self, data: bytes) -> None:
        try:
            with trio.fail_after(self._edge.settings.write_deadline_s):
                await self.stream.send_all(data)
        except trio.TooSlowError:
            self._abort(SlowReader)
            raise SlowReader from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._abort(PeerGone)
            raise PeerGone from None
        except trio.Cancelled:
            self._abort(PeerGone)
            raise

    # ending

    async def _hang_up(self) -> None:
        """Say that nothing more comes, then let the reader throw away what still arrives, for a moment.

        Closing at once would reset the connection if anything was unread, and a reset can overtake our last words (a
        refusal, a 1009, a 1012) on their way (RFC 9112 section 9.6). The end is sent under the write lock: Hypercorn's
        races a write of another task and raises BusyResourceError on quite ordinary closes.
        """
        if self._hung_up:
            return
        self._hung_up = True
        self._reading.deadline = trio.current_time() + LINGER_S
        # The framework may have cancelled the task that says so; without the shield the peer would wait for nothing.
        with trio.CancelScope(shield=True, deadline=self._reading.deadline):
            await self._send_eof()

    async def _send_eof(self) -> None:
        async with self.send_lock:
            if self._lost is None:
                self._lost = PeerGone
                if isinstance(self.stream, trio.SSLStream):
                    self._reading.cancel()  # TLS cannot close one direction alone; `aclose` sends its close_notify
                else:
                    # Trio's send_eof does no more, but on a peer that has gone, which is most, its error and the frames below would
                    # from Python 3.12 on refer to each other.
                    with contextlib.suppress(OSError):
                        self._transport.socket.shutdown(socket.SHUT_WR)

    def _abort(self, why: type[PeerGone] | type[SlowReader]) -> None:
        """Reset the connection now, without a checkpoint: what the peer did not take is dropped by the kernel too.

        Every task that waits on this socket wakes up with ClosedResourceError.
        """
        self._lost = why
        with contextlib.suppress(OSError):
            self._transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._stop_reading()
        self._transport.socket.close()
