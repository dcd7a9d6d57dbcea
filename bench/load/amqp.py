"""AMQP 0-9-1 by hand, as much as it takes: durable queues, persistent messages, publisher confirms, manual acknowledgements.

https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Callable
from typing import Any, cast

from bench.load import dialect
from bench.load.dialect import BODY_BYTES, Ids
from bench.load.websocket import Broken

METHOD, HEADER, BODY, END = 1, 2, 3, b"\xce"
PERSISTENT = struct.pack(">HB", 0x1000, 2)
IN_FLIGHT = 256
Method = tuple[int, int]


def short(text: str) -> bytes:
    raw = text.encode()
    return bytes((len(raw),)) + raw


def framed(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + END


def method(channel: int, which: Method, arguments: bytes) -> bytes:
    return framed(METHOD, channel, struct.pack(">HH", *which) + arguments)


class Connection(asyncio.Protocol):
    """`on_ack(tag, multiple)` for confirms, `on_deliver(tag, body)`, `on_pause` when all that came at once was handed over."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiting: dict[Method, asyncio.Future[bytes]] = {}
        self._tag = 0
        self._body = b""
        self._left = 0
        self.closing = False
        self.on_ack: Callable[[int, bool], None] = lambda _tag, _multiple: None
        self.on_deliver: Callable[[int, bytes], None] = lambda _tag, _body: None
        self.on_pause: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closing:
            asyncio.get_running_loop().call_exception_handler({"message": f"RabbitMQ hung up ({exc})"})

    def say(self, data: bytes) -> None:
        self._transport.write(data)

    async def answer(self, which: Method) -> bytes:
        """The arguments of the next such method."""
        self._waiting[which] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self._waiting[which], 30)

    async def call(self, channel: int, which: Method, arguments: bytes, answered_by: Method) -> bytes:
        waiting = asyncio.ensure_future(self.answer(answered_by))
        await asyncio.sleep(0)
        self.say(method(channel, which, arguments))
        return await waiting

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        buffer, start = self._buffer, 0
        while len(buffer) - start >= 8:
            kind, _, size = struct.unpack_from(">BHI", buffer, start)
            if len(buffer) - start < size + 8:
                break
            self._take(kind, bytes(buffer[start + 7 : start + 7 + size]))
            start += size + 8
        del buffer[:start]
        self.on_pause()

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == HEADER:
            self._left = int.from_bytes(payload[4:12], "big")
            self._body = b""
        elif kind == BODY:
            self._body += payload
            self._left -= len(payload)
            if self._left <= 0:
                self.on_deliver(self._tag, self._body)
        elif kind == METHOD:
            which: Method = struct.unpack_from(">HH", payload)
            if which == (60, 60):
                tag = 5 + payload[4]
                self._tag = int.from_bytes(payload[tag : tag + 8], "big")
            elif which == (60, 80):
                self.on_ack(int.from_bytes(payload[4:12], "big"), bool(payload[12] & 1))
            elif which in ((60, 120), (20, 40), (10, 50)):
                raise Broken(f"RabbitMQ refused: {payload[4:]!r}")
            elif (waiting := self._waiting.pop(which, None)) is not None:
                waiting.set_result(payload[4:])

    def close(self) -> None:
        self.closing = True
        self._transport.close()


async def connect(target: dict[str, Any]) -> Connection:
    """A connection with channel 1 open."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, target["host"], target["port"])
    started = asyncio.ensure_future(connection.answer((10, 10)))
    await asyncio.sleep(0)
    connection.say(b"AMQP\x00\x00\x09\x01")
    await started
    login = b"\0guest\0guest"
    ok = struct.pack(">I", 0) + short("PLAIN") + struct.pack(">I", len(login)) + login + short("en_US")
    tune = await connection.call(0, (10, 11), ok, (10, 30))
    channels, frame, _ = struct.unpack(">HIH", tune)
    connection.say(method(0, (10, 31), struct.pack(">HIH", channels, frame, 0)))
    await connection.call(0, (10, 40), short("/") + b"\0\0", (10, 41))
    await connection.call(1, (20, 10), b"\0", (20, 11))
    return connection


async def declare(connection: Connection, name: str, *, passive: bool = False) -> int:
    """Makes the durable queue, or looks at it. Answers how many messages are ready in it."""
    arguments = b"\0\0" + short(name) + bytes((2 | passive,)) + struct.pack(">I", 0)
    answer = await connection.call(1, (50, 10), arguments, (50, 11))
    return int(struct.unpack_from(">I", answer, 1 + answer[0])[0])


class Sender(dialect.Sender):
    async def open(self) -> None:
        self._under_way: dict[int, str] = {}
        self._last = self._confirmed = 0
        self._connection = await connect(self.target)
        name = self.person["name"]
        await declare(self._connection, name)
        await self._connection.call(1, (85, 10), b"\0", (85, 11))
        self._connection.on_ack = self._acked
        header = struct.pack(">HHQ", 60, 0, BODY_BYTES) + PERSISTENT
        self._before = method(1, (60, 40), b"\0\0" + short("") + short(name) + b"\0") + framed(HEADER, 1, header)
        self._before += struct.pack(">BHI", BODY, 1, BODY_BYTES)
        self._filler = os.urandom(BODY_BYTES - 36) + END

    def post(self, ids: Ids) -> None:
        parts = []
        for id_ in ids:
            self._last += 1
            self._under_way[self._last] = id_
            parts.append(self._before + id_.encode() + self._filler)
        self._connection.say(b"".join(parts))

    def _acked(self, tag: int, multiple: bool) -> None:
        tags = [one for one in self._under_way if one <= tag] if multiple else [tag]
        self.on_posted([self._under_way.pop(one) for one in tags])

    async def close(self) -> None:
        self._connection.close()


class Recipient(dialect.Recipient):
    async def open(self) -> None:
        self._taken = 0
        self._connection = await connect(self.target)
        name = self.person["name"]
        await declare(self._connection, name)
        await self._connection.call(1, (60, 10), struct.pack(">IHB", 0, IN_FLIGHT, 0), (60, 11))
        self._connection.on_deliver, self._connection.on_pause = self._delivered, self._acknowledge
        arguments = b"\0\0" + short(name) + short("") + b"\0" + struct.pack(">I", 0)
        await self._connection.call(1, (60, 20), arguments, (60, 21))

    def _delivered(self, tag: int, body: bytes) -> None:
        self._taken = tag
        self.on_delivered([body[:36].decode()])

    def _acknowledge(self) -> None:
        """All that came at once, together."""
        if self._taken:
            self._connection.say(method(1, (60, 80), struct.pack(">QB", self._taken, 1)))
            self._taken = 0

    async def close(self) -> None:
        self._connection.close()


async def prepare(target: dict[str, Any], people: list[dict[str, Any]]) -> None:
    connection = await connect(target)
    for person in people:
        await declare(connection, person["name"])
    connection.close()


async def count(target: dict[str, Any], people: list[dict[str, Any]]) -> int:
    """Messages that are ready. What is delivered and not acknowledged is ready again when its connection is closed."""
    connection = await connect(target)
    waiting = [await declare(connection, person["name"], passive=True) for person in people]
    connection.close()
    return sum(waiting)
