"""Raw HTTP/1.1 and WebSocket bytes over blocking sockets: what a hostile or clumsy peer may send, and what it hears.

Nothing here validates what it sends. Every wait has a deadline.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

PATIENCE_S = 10.0
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # the key of RFC 6455 section 1.3 and the answer it must get
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class Frame(NamedTuple):
    """One frame as it came (RFC 6455 section 5.2)."""

    opcode: int
    payload: bytes
    fin: bool = True

    @property
    def close_code(self) -> int | None:
        """The code of a close frame; None when it carries none, or is another frame."""
        if self.opcode != CLOSE or len(self.payload) < 2:
            return None
        return int.from_bytes(self.payload[:2], "big")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """The bytes of one client frame. `rsv` is the three reserved bits as 0x40, 0x20, 0x10."""
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([mask_bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([mask_bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    stream = int.from_bytes((mask * (len(payload) // 4 + 1))[: len(payload)], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ stream).to_bytes(len(payload), "big")


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return struct.pack("!H", code) + reason


def request(target: bytes = b"/", *lines: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    """A request head with `Host` and the given header lines."""
    return b"\r\n".join([method + b" " + target + b" " + version, b"Host: relay.test", *lines, b"", b""])


def upgrade(target: bytes = b"/echo", *lines: bytes, key: bytes = KEY, version: bytes = b"HTTP/1.1") -> bytes:
    """A WebSocket handshake with extra header lines."""
    return request(
        target,
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + key,
        *lines,
        version=version,
    )


@dataclass
class Answer:
    """A response head and, for what is not an upgrade, its body of `Content-Length` bytes."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes = b""


class Peer:
    """One connection to the relay. `hear_*` wait at most `PATIENCE_S` and raise TimeoutError after that."""

    def __init__(self, port: int, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(("127.0.0.1", port))
        self.unread = b""

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def say_what_fits(self, data: bytes) -> None:
        """Like `say`, for data that the relay will not read to the end."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def hear(self, size: int) -> bytes:
        """Exactly `size` bytes; EOFError if the connection ends before."""
        while len(self.unread) < size:
            self._more()
        data, self.unread = self.unread[:size], self.unread[size:]
        return data

    def hear_until(self, mark: bytes) -> bytes:
        while mark not in self.unread:
            self._more()
        return self.hear(self.unread.index(mark) + len(mark))

    def hear_answer(self) -> Answer:
        status_line, *lines = self.hear_until(b"\r\n\r\n").split(b"\r\n")[:-2]
        pairs = (line.split(b":", 1) for line in lines)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        body = self.hear(int(headers.get(b"content-length", b"0")))
        return Answer(int(status_line.split()[1]), headers, body)

    def hear_frame(self) -> Frame:
        first, second = self.hear(2)
        length = second & 0x7F
        if length == 126:
            length = int.from_bytes(self.hear(2), "big")
        elif length == 127:
            length = int.from_bytes(self.hear(8), "big")
        return Frame(first & 0x0F, self.hear(length), bool(first & 0x80))

    def hear_close(self) -> int | None:
        """Skip frames up to the close frame and give its code; None if the connection just ends."""
        try:
            while (heard := self.hear_frame()).opcode != CLOSE:
                pass
        except (EOFError, ConnectionError):
            return None
        return heard.close_code

    def hear_end(self) -> bool:
        """Read to the end: True for an orderly end (FIN), False for a reset."""
        deadline = time.monotonic() + PATIENCE_S
        try:
            while time.monotonic() < deadline:
                self.unread = b""
                self._more()
            raise TimeoutError("it does not end")
        except EOFError:
            return True
        except ConnectionError:
            return False

    def close(self, *, reset: bool = False) -> None:
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self.unread += data


@contextlib.contextmanager
def connect(port: int, data: bytes = b"", *, receive_buffer: int | None = None) -> Iterator[Peer]:
    """A connection that has said `data`."""
    peer = Peer(port, receive_buffer=receive_buffer)
    try:
        peer.say(data)
        yield peer
    finally:
        peer.close()


@contextlib.contextmanager
def websocket(port: int, target: bytes = b"/echo", *lines: bytes, receive_buffer: int | None = None) -> Iterator[Peer]:
    """A connection whose handshake was accepted."""
    with connect(port, upgrade(target, *lines), receive_buffer=receive_buffer) as peer:
        answer = peer.hear_answer()
        assert answer.status == 101, answer
        assert answer.headers[b"sec-websocket-accept"] == ACCEPT
        yield peer


def get(port: int, target: bytes = b"/", *lines: bytes) -> Answer:
    """One plain request on a connection of its own."""
    with connect(port, request(target, *lines)) as peer:
        return peer.hear_answer()
