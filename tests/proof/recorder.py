"""A TCP proxy before the relay that keeps every byte of every connection, and gives each person an address of their own."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field

_CHUNK = 65536


@dataclass
class Connection:
    """One TCP connection of somebody to the relay, as the relay's network sees it."""

    who: str
    number: int
    up: bytearray = field(default_factory=bytearray)
    """What the client sent."""
    down: bytearray = field(default_factory=bytearray)
    """What the relay sent."""


class Recorder:
    """Listens for one person and connects to the relay from `address`, one of this machine's loopback addresses."""

    def __init__(self, who: str, address: str, relay: tuple[str, int]) -> None:
        self.who = who
        self.address = address
        self.connections: list[Connection] = []
        self._relay = relay
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True, name=f"recorder of {who}").start()

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    def close(self) -> None:
        """Ends the listener and every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            open_now = list(self._open)
        for one in open_now:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                relay = socket.create_connection(self._relay, timeout=10, source_address=(self.address, 0))
            except OSError:
                if self._listener.fileno() < 0:
                    return
                continue
            relay.settimeout(None)
            with self._lock:
                connection = Connection(self.who, len(self.connections))
                self.connections.append(connection)
                self._open |= {client, relay}
            for source, sink, kept in ((client, relay, connection.up), (relay, client, connection.down)):
                threading.Thread(target=self._pump, args=(source, sink, kept), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                kept += data
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._lock:
            self._open.discard(source)
