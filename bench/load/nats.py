"""NATS's text protocol with JetStream: a file stream of all mailboxes, a durable push consumer each, explicit acknowledgements.

https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from itertools import count as numbers
from typing import Any, cast

from bench.load import dialect
from bench.load.dialect import BODY_BYTES, Ids
from bench.load.websocket import Broken

STREAM = "mail"
IN_FLIGHT = 256
_inboxes = numbers(1)


class Connection(asyncio.Protocol):
    """`on_message(subject, reply, payload)` gets what is subscribed to."""

    def __init__(self, on_message: Callable[[str, str, bytes], None]) -> None:
        self._on_message = on_message
        self._buffer = bytearray()
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.say(b'CONNECT {"verbose":false,"pedantic":false,"headers":false}\r\n')

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closing:
            asyncio.get_running_loop().call_exception_handler({"message": f"NATS hung up ({exc})"})

    def say(self, data: bytes) -> None:
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        buffer, start = self._buffer, 0
        while (end := buffer.find(b"\r\n", start)) >= 0:
            line = bytes(buffer[start:end])
            if line.startswith(b"MSG "):
                fields = line.decode().split(" ")
                stop = end + 2 + int(fields[-1])
                if len(buffer) < stop + 2:
                    break
                self._on_message(fields[1], fields[3] if len(fields) == 5 else "", bytes(buffer[end + 2 : stop]))
                start = stop + 2
                continue
            start = end + 2
            if line == b"PING":
                self.say(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                raise Broken(line.decode())
        del buffer[:start]

    def close(self) -> None:
        self.closing = True
        self._transport.close()


async def connect(target: dict[str, Any], on_message: Callable[[str, str, bytes], None]) -> Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(on_message), target["host"], target["port"])
    return connection


class Sender(dialect.Sender):
    async def open(self) -> None:
        inbox = f"_INBOX.{next(_inboxes)}"
        self._before, self._between = f"PUB mail.{self.person['name']} {inbox}.".encode(), b" %d\r\n" % BODY_BYTES
        self._filler = os.urandom(BODY_BYTES - 36) + b"\r\n"
        self._connection = await connect(self.target, self._answered)
        self._connection.say(f"SUB {inbox}.* 1\r\n".encode())

    def post(self, ids: Ids) -> None:
        written = [id_.encode() for id_ in ids]
        parts = [self._before + id_ + self._between + id_ + self._filler for id_ in written]
        self._connection.say(b"".join(parts))

    def _answered(self, subject: str, _reply: str, payload: bytes) -> None:
        if b'"error"' in payload or b'"seq"' not in payload:
            raise Broken(payload.decode(errors="replace"))
        self.on_posted([subject.rpartition(".")[2]])

    async def close(self) -> None:
        self._connection.close()


class Recipient(dialect.Recipient):
    async def open(self) -> None:
        self._connection = await connect(self.target, self._delivered)
        self._connection.say(f"SUB in.{self.person['name']} 1\r\n".encode())

    def _delivered(self, _subject: str, reply: str, payload: bytes) -> None:
        self.on_delivered([payload[:36].decode()])
        self._connection.say(b"PUB " + reply.encode() + b" 4\r\n+ACK\r\n")

    async def close(self) -> None:
        self._connection.close()


async def ask(target: dict[str, Any], calls: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Calls of JetStream's API, one after the other."""
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    connection = await connect(target, lambda _s, _r, payload: answers.put_nowait(json.loads(payload)))
    connection.say(b"SUB _INBOX.api 1\r\n")
    got = []
    for subject, body in calls:
        payload = json.dumps(body).encode() if body else b""
        connection.say(f"PUB $JS.API.{subject} _INBOX.api {len(payload)}\r\n".encode() + payload + b"\r\n")
        answer = await asyncio.wait_for(answers.get(), 30)
        if "error" in answer:
            raise Broken(f"{subject}: {answer['error']}")
        got.append(answer)
    connection.close()
    return got


async def prepare(target: dict[str, Any], people: list[dict[str, Any]]) -> None:
    """The stream, which forgets what was acknowledged, and a consumer for each person."""
    stream = {
        "name": STREAM,
        "subjects": ["mail.*"],
        "retention": "workqueue",
        "storage": "file",
        "num_replicas": 1,
        "duplicate_window": 0,
    }
    calls: list[tuple[str, dict[str, Any]]] = [(f"STREAM.CREATE.{STREAM}", stream)]
    for person in people:
        name = person["name"]
        config = {
            "durable_name": name,
            "deliver_subject": f"in.{name}",
            "ack_policy": "explicit",
            "deliver_policy": "all",
            "filter_subject": f"mail.{name}",
            "max_ack_pending": IN_FLIGHT,
            "ack_wait": 60_000_000_000,
        }
        calls.append((f"CONSUMER.DURABLE.CREATE.{STREAM}.{name}", {"stream_name": STREAM, "config": config}))
    await ask(target, calls)


async def count(target: dict[str, Any], _people: list[dict[str, Any]]) -> int:
    (info,) = await ask(target, [(f"STREAM.INFO.{STREAM}", {})])
    return int(info["state"]["messages"])
