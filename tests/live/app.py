"""An app as the relay sees it: registers, opens the two sockets, says documented frames. Bodies are random bytes, since the relay
cannot tell them from sealed ones."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, connect_websocket_url

from relay.frames import from_b64, to_b64
from relay.xeddsa_signatures import make_private_key, public_key_of, sign

PATIENCE_S = 20.0


def new_id(now: float | None = None) -> str:
    """An envelope id as an app makes it: UUIDv7, its time rounded down to the hour."""
    hour_ms = int((time.time() if now is None else now) // 3600 * 3600 * 1000)
    random = int.from_bytes(os.urandom(10))
    return str(UUID(int=hour_ms << 80 | 7 << 76 | (random >> 62 & 0xFFF) << 64 | 2 << 62 | random & (1 << 62) - 1))


def new_body(size: int = 1024) -> bytes:
    return os.urandom(size)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The `code` of a problem document."""
        return self.json().get("code") if self.body else None


async def call(
    url: str, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """One HTTP call on a connection of its own."""

    def run() -> Answer:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
        try:
            raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} if raw is not None else {}
            connection.request(method, path, raw, {**sent, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    return await trio.to_thread.run_sync(run)


def prekey(private: bytes, id_: int, kind: int, size: int, *, signed: bool = True) -> dict[str, object]:
    public = bytes([kind]) + os.urandom(size - 2) + b"\0"
    made: dict[str, object] = {"id": id_, "public_key": to_b64(public)}
    if signed:
        made["signature"] = to_b64(sign(private, public))
    return made


def registration(private: bytes, secret: bytes, contact_key: bytes, *, one_time: int = 3) -> dict[str, Any]:
    """The body of POST /v1/accounts."""
    return {
        "token_hash": to_b64(sha256(secret).digest()),
        "recovery_hash": to_b64(os.urandom(32)),
        "identity_key": to_b64(public_key_of(private)),
        "registration_id": 4711,
        "signed_prekey": prekey(private, 1, 5, 33),
        "last_resort_kyber_prekey": prekey(private, 1, 8, 1569),
        "prekeys": [prekey(private, n, 5, 33, signed=False) for n in range(1, one_time + 1)],
        "kyber_prekeys": [prekey(private, n, 8, 1569) for n in range(2, one_time + 2)],
        "access": {"contact": to_b64(sha256(contact_key).digest())},
    }


class Socket:
    """A WebSocket that speaks JSON frames and counts what it read past."""

    def __init__(self, websocket: WebSocketConnection) -> None:
        self.websocket = websocket

    async def say(self, frame: object) -> None:
        await self.websocket.send_message(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def next(self) -> dict[str, Any]:
        """The next frame; answers pings by itself."""
        with trio.fail_after(PATIENCE_S):
            while True:
                frame: dict[str, Any] = json.loads(await self.websocket.get_message())
                if frame["type"] != "ping":
                    return frame
                await self.say({"type": "pong", "n": frame["n"]})

    async def expect(self, type_: str) -> dict[str, Any]:
        frame = await self.next()
        assert frame["type"] == type_, frame
        return frame

    async def close_code(self) -> int:
        """Reads until the relay closes; its close code (1006 when it said none)."""
        with trio.fail_after(PATIENCE_S):
            try:
                while True:
                    await self.websocket.get_message()
            except ConnectionClosed as closed:
                return int(closed.reason.code) if closed.reason is not None else 1006


@asynccontextmanager
async def open_socket(url: str, path: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[Socket]:
    """A socket without the library's closing handshake at the end: a phone does not say goodbye either."""
    async with trio.open_nursery() as nursery:
        websocket = await connect_websocket_url(
            nursery,
            url.replace("http", "ws", 1) + path,
            extra_headers=[(name.encode(), value.encode()) for name, value in (headers or {}).items()],
            message_queue_size=64,
        )
        yield Socket(websocket)
        await websocket._close_stream()
        nursery.cancel_scope.cancel()


async def rejected(url: str, path: str, headers: Mapping[str, str]) -> int:
    """The HTTP status with which an upgrade is refused."""
    try:
        async with open_socket(url, path, headers):
            return 101
    except* HandshakeError as group:
        failures = group.exceptions
    return int(failures[0].status_code)  # type: ignore[union-attr]


@dataclass
class App:
    """One member."""

    url: str
    account_id: str
    secret: bytes
    contact_key: bytes = field(default_factory=lambda: os.urandom(16))

    @classmethod
    async def join(cls, url: str, link: str, **options: int) -> App:
        """Registers with an invite link."""
        code = parse_qs(urlsplit(link).fragment)["c"][0]
        private, secret, contact_key = make_private_key(), os.urandom(32), os.urandom(16)
        body = registration(private, secret, contact_key, **options)
        answer = await call(url, "POST", "/v1/accounts", body, {"Authorization": f"Invite {code}"})
        assert answer.status == 201, answer
        return cls(url, answer.json()["account_id"], secret, contact_key)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.account_id}.{to_b64(self.secret)}"}

    @asynccontextmanager
    async def mailbox(self) -> AsyncIterator[Socket]:
        async with open_socket(self.url, "/v1/mailbox", self.bearer) as socket:
            await socket.expect("hello")
            yield socket

    @asynccontextmanager
    async def posting(self) -> AsyncIterator[Socket]:
        async with open_socket(self.url, "/v1/post") as socket:
            await socket.expect("hello")
            yield socket

    async def drain(self, *, ack: bool = True) -> list[dict[str, Any]]:
        """Connects, reads everything that waits, acknowledges it; the envelopes in order."""
        async with self.mailbox() as mailbox:
            envelopes: list[dict[str, Any]] = []
            while (frame := await mailbox.next())["type"] != "drained":
                if frame["type"] == "deliver":
                    envelopes += frame["envelopes"]
                    if ack:
                        await mailbox.say({"type": "ack", "ids": [one["id"] for one in frame["envelopes"]]})
            if ack:
                await self._settled(mailbox)
        return envelopes

    async def _settled(self, mailbox: Socket) -> None:
        """Waits until the relay holds nothing of ours any more."""
        with trio.fail_after(PATIENCE_S):
            while True:
                held = (await call(self.url, "GET", "/v1/account", None, self.bearer)).json()
                if not held["waiting_envelopes"]:
                    return
                await trio.sleep(0.05)

    def envelope(self, body: bytes | None = None, **overrides: object) -> dict[str, Any]:
        """An envelope to this member."""
        made = {
            "id": new_id(),
            "to": self.account_id,
            "access": to_b64(self.contact_key),
            "body": to_b64(body or new_body()),
        }
        return {**made, **overrides}


async def post(socket: Socket, *envelopes: dict[str, Any]) -> dict[str, str]:
    """Posts in one frame and reads all answers: id -> "posted" or the refusal's code."""
    await socket.say({"type": "post", "envelopes": list(envelopes)})
    return await answers(socket, len(envelopes))


async def answers(socket: Socket, count: int) -> dict[str, str]:
    found: dict[str, str] = {}
    while len(found) < count:
        frame = await socket.next()
        if frame["type"] == "posted":
            found |= dict.fromkeys(frame["ids"], "posted")
        else:
            assert frame["type"] == "refused", frame
            found[frame["id"]] = frame["code"]
    return found


__all__ = [
    "App",
    "Socket",
    "answers",
    "call",
    "from_b64",
    "new_body",
    "new_id",
    "open_socket",
    "post",
    "rejected",
    "uuid4",
]
