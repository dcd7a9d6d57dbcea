"""A WebSocket client (RFC 6455) that does as little as it may: text frames, random masks, no extension."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable, Mapping
from typing import Any, cast

from bench.load.stamped import connect_stamped

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class Broken(Exception):
    """The server refused, closed or spoke another protocol. The text says which."""


def frame(opcode: int, payload: bytes) -> bytes:
    """One masked frame."""
    size = len(payload)
    key = os.urandom(4)
    repeated = (key * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + key + masked


class WebSocket(asyncio.Protocol):
    """`on_text` gets each message, in the loop's own callback. `lost` is done when the connection is gone, with why."""

    def __init__(self, request: bytes, on_text: Callable[[bytes], None]) -> None:
        self._request = request
        self._on_text = on_text
        self._buffer = bytearray()
        self._parts: list[bytes] = []
        self._open = self._hears = False
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self._why = "the connection was lost"
        self.may_be_lost = False
        """True: somebody waits for `lost`, and the scenario goes on without it."""
        self.arrived_at = self.handed_over_at = 0.0
        """When what is being read came, and what was said last went; where `connect` was asked for it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(Broken(f"lost while it opened: {self._why}"))
        elif self._why != "we closed" and not self.may_be_lost:
            # Whoever runs the scenario waits for messages, not for this.
            asyncio.get_running_loop().call_exception_handler({"message": self._why})
        if not self.lost.done():
            self.lost.set_result(f"{self._why} ({exc})" if exc else self._why)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open and not self._upgraded():
            return
        self._cut()

    def hear(self) -> None:
        """Messages wait until this is called: the first ones come with the answer to the upgrade."""
        self._hears = True
        self._cut()

    def _cut(self) -> None:
        if not self._hears:
            return
        buffer, start, end = self._buffer, 0, len(self._buffer)
        while end - start >= 2:
            size, head = buffer[start + 1] & 0x7F, 2
            if size == 126:
                head = 4
                size = int.from_bytes(buffer[start + 2 : start + 4], "big")
            elif size == 127:
                head = 10
                size = int.from_bytes(buffer[start + 2 : start + 10], "big")
            if end - start < head + size:
                break
            first = buffer[start]
            payload = bytes(buffer[start + head : start + head + size])
            start += head + size
            self._take(first, payload)
        del buffer[:start]

    def say(self, text: bytes) -> None:
        assert self._transport is not None
        self._transport.write(frame(TEXT, text))

    async def close(self) -> None:
        """Says goodbye and does not wait long for the answer."""
        if self._transport is None or self.lost.done():
            return
        self._why = "we closed"
        self._transport.write(frame(CLOSE, (1000).to_bytes(2, "big")))
        try:
            await asyncio.wait_for(asyncio.shield(self.lost), 5)
        except TimeoutError:
            self._transport.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _upgraded(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        status = bytes(self._buffer[: self._buffer.find(b"\r\n")])
        del self._buffer[: end + 4]
        if b" 101" not in status:
            self._why = status.decode("latin-1")
            self.abort()
            return False
        self._open = True
        self.opened.set_result(None)
        return True

    def _take(self, first: int, payload: bytes) -> None:
        opcode = first & 0xF
        if opcode in (0, TEXT):
            if first & 0x80 and not self._parts:
                self._on_text(payload)
                return
            self._parts.append(payload)
            if first & 0x80:
                whole, self._parts = b"".join(self._parts), []
                self._on_text(whole)
        elif opcode == PING and self._transport is not None:
            self._transport.write(frame(PONG, payload))
        elif opcode == CLOSE:
            if self._why != "we closed":
                self._why = f"closed by the server with {int.from_bytes(payload[:2], 'big')} {payload[2:]!r}"
            if self._transport is not None:
                self._transport.write(frame(CLOSE, payload[:2]))
                self._transport.close()


async def connect(
    target: Mapping[str, Any],
    path: str,
    on_text: Callable[[bytes], None],
    *,
    token: str | None,
    source: str | None,
    stamped: bool = False,
) -> WebSocket:
    """An open WebSocket to `target` {host, port}. `source` is the address of ours to connect from. With `stamped` it keeps the times at
    which bytes came and went, which costs a little (bench/load/stamped.py).

    Raises:
        Broken: the upgrade was refused.
        OSError, TimeoutError
    """
    host, port = target["host"], target["port"]
    key = base64.b64encode(os.urandom(16)).decode()
    login = f"Authorization: Bearer {token}\r\n" if token else ""
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{login}"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    protocol = WebSocket(request.encode(), on_text)
    if stamped:
        await connect_stamped(protocol, host, port, source)
    else:
        await loop.create_connection(lambda: protocol, host, port, local_addr=(source, 0) if source else None)
    await asyncio.wait_for(protocol.opened, 60)
    loop.call_soon(protocol.hear)  # when whoever called has it, since an answer to a message goes by it
    return protocol
