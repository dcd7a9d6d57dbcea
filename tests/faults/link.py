"""The line between apps and one node: a TCP forwarder that can be cut, held without a word, or slowed to a drip."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import trio

CHUNK = 65536
DRIP_BYTES = 256
DRIP_EVERY_S = 0.05


@dataclass
class Link:
    """Forwards connections to `port` on loopback. Its own port is known once `run` has started."""

    target: int
    port: int = 0
    _open: trio.Event = field(default_factory=trio.Event)
    _slow: bool = False
    _streams: set[trio.SocketStream] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Every connection ends with a reset, as when a carrier drops its flows."""
        for stream in list(self._streams):
            with suppress(OSError):  # it closed by itself, just now
                stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                trio.lowlevel.notify_closing(stream.socket)
                stream.socket.close()

    def hold(self) -> None:
        """Nothing passes and nothing closes: both ends believe in a connection that is none."""
        self._open = trio.Event()

    def drip(self) -> None:
        self._slow = True

    def heal(self) -> None:
        self._slow = False
        self._open.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self._open.set()
        async with trio.open_nursery() as nursery:
            serve = partial(trio.serve_tcp, self._connected, 0, host="127.0.0.1")
            listeners: list[trio.SocketListener] = await nursery.start(serve)
            self.port = listeners[0].socket.getsockname()[1]
            task_status.started()

    async def _connected(self, app: trio.SocketStream) -> None:
        await self._open.wait()
        try:
            node = await trio.open_tcp_stream("127.0.0.1", self.target)
        except OSError:
            return
        self._streams |= {app, node}
        try:
            async with node, trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, app, node)
                nursery.start_soon(self._pump, node, app)
        finally:
            self._streams -= {app, node}

    async def _pump(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        try:
            while data := await source.receive_some(CHUNK):
                while data:
                    await self._open.wait()
                    size = DRIP_BYTES if self._slow else len(data)
                    await sink.send_all(data[:size])
                    data = data[size:]
                    if self._slow:
                        await trio.sleep(DRIP_EVERY_S)
            await sink.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            for stream in (source, sink):
                await trio.aclose_forcefully(stream)
