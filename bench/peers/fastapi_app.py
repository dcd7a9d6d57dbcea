"""The same relay on FastAPI, uvicorn and uvloop: `python -m bench.peers.fastapi_app naive|group FD DSN`.

Same protocol, same tables, same promises: `posted` after COMMIT, at least once, order of arrival, newest session wins, heartbeat, bounded
windows. What is queued for a socket is packed into one frame.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from uuid import UUID

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from bench.peers.frames import (
    ANSWER_WITHIN_S,
    HELLO,
    MAX_INBOUND_BYTES,
    MOST_DELIVERED,
    PING_EVERY_S,
    BadFrame,
    Envelope,
    Post,
    deliver,
    from_b64,
    posted,
    read_mailbox_frame,
    read_post_frame,
    refused,
)
from bench.peers.storage import Acks, GroupCommit, Storage

IN_FLIGHT = 256
UNANSWERED = 256

mailboxes: dict[UUID, Mailbox] = {}
storage: Storage


def on_stored(account: UUID, envelope: Envelope) -> None:
    if (mailbox := mailboxes.get(account)) is not None:
        mailbox.offer(envelope)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    global storage  # noqa: PLW0603 (made when the loop runs)
    kind = GroupCommit if sys.argv[1] == "group" else Storage
    storage = await kind.open(sys.argv[3], on_stored)
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    return {"status": "ready"}


class Session(ABC):
    """What both kinds of session have in common: one writer, and a heartbeat."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.bell = asyncio.Event()
        self.heard = time.monotonic()
        self.small: list[str] = []
        """Frames that wait to be written besides the packed ones."""
        self.ending: int | None = None

    def end(self, code: int) -> None:
        self.ending = code
        self.bell.set()

    def say(self, text: str) -> None:
        self.small.append(text)
        self.bell.set()

    @abstractmethod
    async def frames(self) -> Iterable[str]:
        """What is queued, packed."""

    async def write(self) -> None:
        await self.socket.send_json({**HELLO, "now": int(time.time())})
        while self.ending is None:
            self.bell.clear()
            for text in await self.frames():
                await self.socket.send_text(text)
            small, self.small = self.small, []
            for text in small:
                await self.socket.send_text(text)
            await self.bell.wait()
        await self.socket.close(self.ending)

    async def beat(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(PING_EVERY_S)
            asked, number = time.monotonic(), number + 1
            self.say(f'{{"type":"ping","n":{number}}}')
            await asyncio.sleep(ANSWER_WITHIN_S)
            if self.heard < asked:
                self.end(4408)
                return

    @abstractmethod
    async def read(self) -> None:
        """Takes frames until the other end or a frame ends the session."""

    async def run(self) -> None:
        """Whichever task ends first decides."""
        tasks = [asyncio.create_task(call()) for call in (self.read, self.write, self.beat)]
        try:
            await asyncio.wait(tasks[:2], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, BadFrame):
                    with suppress(RuntimeError):
                        await self.socket.close(4400)


class Mailbox(Session):
    def __init__(self, socket: WebSocket, account: UUID, epoch: int) -> None:
        super().__init__(socket)
        self.account, self.epoch = account, epoch
        self.handed: deque[Envelope] = deque()
        self.in_flight: set[UUID] = set()
        self.leaving: set[UUID] = set()
        self.behind, self.drained = True, False

    def offer(self, envelope: Envelope) -> None:
        if self.behind:
            return
        if len(self.handed) >= MOST_DELIVERED:
            self.behind = True
            self.handed.clear()
        else:
            self.handed.append(envelope)
        self.bell.set()

    async def frames(self) -> Iterable[str]:
        room = min(MOST_DELIVERED, IN_FLIGHT - len(self.in_flight))
        if room <= 0:
            return ()
        known = self.in_flight | self.leaving
        if self.behind:
            self.behind = False
            page = await storage.page(self.account, list(known), room)
            self.behind = self.behind or len(page) == room
            known = self.in_flight | self.leaving
            fresh = [envelope for envelope in page if envelope.id not in known]
            taken = {envelope.id for envelope in fresh}
            self.handed = deque(envelope for envelope in self.handed if envelope.id not in taken)
        else:
            fresh = [self.handed.popleft() for _ in range(min(room, len(self.handed)))]
            fresh = [envelope for envelope in fresh if envelope.id not in known]
        if self.behind or self.handed:
            self.bell.set()
        self.in_flight.update(envelope.id for envelope in fresh)
        if not self.behind and not self.drained:
            self.drained = True
            self.small.append('{"type":"drained"}')
        return (deliver(fresh),) if fresh else ()

    async def read(self) -> None:
        while True:
            got = read_mailbox_frame(await self.socket.receive_text())
            self.heard = time.monotonic()
            if isinstance(got, int):
                if got >= 0:
                    self.say(f'{{"type":"pong","n":{got}}}')
                continue
            self.in_flight.difference_update(got)
            self.leaving.update(got)
            self.bell.set()
            await storage.remove(Acks(self.account, self.epoch, got), partial(self.leaving.difference_update, got))


class Posting(Session):
    def __init__(self, socket: WebSocket) -> None:
        super().__init__(socket)
        self.stored: list[UUID] = []
        self.unanswered = 0
        self.room = asyncio.Event()
        self.room.set()

    async def frames(self) -> Iterable[str]:
        stored, self.stored = self.stored, []
        return (posted(stored),) if stored else ()

    def answer(self, post: Post, code: str | None) -> None:
        if code is None:
            self.stored.append(post.id)
        else:
            self.small.append(refused(post.id, code))
        self.unanswered -= 1
        self.room.set()
        self.bell.set()

    async def read(self) -> None:
        while True:
            got = read_post_frame(await self.socket.receive_text())
            self.heard = time.monotonic()
            if isinstance(got, int):
                if got >= 0:
                    self.say(f'{{"type":"pong","n":{got}}}')
                continue
            while self.unanswered >= UNANSWERED:
                self.room.clear()
                await self.room.wait()
            self.unanswered += len(got)
            await storage.put(got, self.answer)


@app.websocket("/v1/mailbox")
async def mailbox(socket: WebSocket) -> None:
    scheme, _, credentials = socket.headers.get("authorization", "").partition(" ")
    name, _, secret = credentials.partition(".")
    try:
        account, shown = UUID(name), hashlib.sha256(from_b64(secret)).digest()
    except (ValueError, BadFrame):
        await socket.close()
        return
    kept = await storage.login(account)
    if scheme != "Bearer" or kept is None or not hmac.compare_digest(kept, shown):
        await socket.close()  # before accept: 403
        return
    await socket.accept()
    session = Mailbox(socket, account, await storage.begin_session(account))
    if (older := mailboxes.get(account)) is not None:
        older.end(4409)
    mailboxes[account] = session
    try:
        with suppress(WebSocketDisconnect):
            await session.run()
    finally:
        if mailboxes.get(account) is session:
            del mailboxes[account]


@app.websocket("/v1/post")
async def post(socket: WebSocket) -> None:
    if "authorization" in socket.headers:
        await socket.close()
        return
    await socket.accept()
    with suppress(WebSocketDisconnect):
        await Posting(socket).run()


if __name__ == "__main__":
    uvicorn.run(
        app,
        fd=int(sys.argv[2]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=MAX_INBOUND_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        access_log=False,
        log_level="warning",
    )
