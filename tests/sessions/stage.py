"""A relay without network and database: real sessions, batch writers and switchboard, on fakes and a clock that jumps."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from nursery_tasks.batch_writer import AckWriter, PostWriter
from nursery_tasks.page_reader import PageReader
from nursery_tasks.session import (
    MailboxServices,
    PostServices,
    Session,
    Timing,
    begin_mailbox_session,
    run_mailbox_session,
    run_post_session,
)  # fmt: skip
from relay.errors import DatabaseUnavailable, Ending
from relay.records import BeginAsk, Begun, Posting, Ringing, Stored, Waiting
from relay.switchboard import Switchboard
from tests.fakes import MemoryAccounts, MemoryMailbox, MemoryPeer, MemoryRates, MemorySignals, new_id

START = 1_789_000_000
"""What the relay's wall clock shows when a test begins; the mock clock begins at 0."""
KEY = b"a key of 16 byte"
TOKEN = bytes(32)
"""What the hash of every account's token is, as long as nothing changes it."""


def wall() -> float:
    return START + trio.current_time()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def body(fill: int | str = 0, size: int = 1024) -> bytes:
    """A body that differs from others by `fill`."""
    return f"{fill}".encode().ljust(size, b".")


def fill_of(frame: dict[str, Any]) -> str:
    """The `fill` of an envelope or a signal that an app got."""
    return base64.urlsafe_b64decode(frame["body"] + "==").rstrip(b".").decode()


def post(
    to: UUID, *, id_: UUID | None = None, fill: int | str = 0, size: int = 1024, key: bytes = KEY
) -> dict[str, Any]:
    """One envelope of a post frame."""
    return {"id": str(id_ or new_id(wall())), "to": str(to), "access": b64(key), "body": b64(body(fill, size))}


def post_frame(*posts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "post", "envelopes": list(posts)}


def signal_frame(to: UUID, ttl_s: int = 30, **more: Any) -> dict[str, Any]:
    return {"type": "signal", **post(to, **more), "ttl_s": ttl_s}


@contextmanager
def recorded_sessions() -> Iterator[list[Session]]:
    """Every session that is made meanwhile."""
    made: list[Session] = []
    begin = Session.__init__

    def recorded(self: Session, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        made.append(self)

    with patch.object(Session, "__init__", recorded):
        yield made


class Opener:
    """Begins each session by a call of its own (nursery_tasks.ports.Opener)."""

    def __init__(self, mailbox: MemoryMailbox) -> None:
        self._mailbox = mailbox

    async def begin(self, account_id: UUID, token_hash: bytes) -> Begun | None:
        return (await self._mailbox.begin_sessions([BeginAsk(account_id, token_hash)]))[0]


async def come_in(
    peer: MemoryPeer, account_id: UUID, services: MailboxServices, timing: Timing, token_hash: bytes = TOKEN
) -> Ending:
    """A mailbox session from the check of its token on, as the route does it. Who is refused is told by an ending here, and not by HTTP."""
    try:
        beginning = await begin_mailbox_session(account_id, token_hash, services)
        if beginning is not None:
            return await run_mailbox_session(peer, account_id, services, timing, beginning)
        refusal = Ending.REVOKED
    except DatabaseUnavailable:
        refusal = Ending.DATABASE_TROUBLE
    await peer.close(refusal.close_code or 0, refusal.reason)
    return refusal


class Running:
    """A session that was started, and the app's end of its socket."""

    def __init__(self, peer: MemoryPeer) -> None:
        self.peer = peer
        self.scope = trio.CancelScope()
        self.over = trio.Event()
        self.ending: Ending | None = None
        self.ended_at: float | None = None
        self.task: trio.lowlevel.Task | None = None

    async def wait(self) -> Ending | None:
        """How it ended; None if it was cancelled from outside."""
        with trio.fail_after(200):
            await self.over.wait()
        return self.ending

    def tasks(self) -> list[str]:
        """Names of the tasks in its nurseries."""
        assert self.task is not None
        return sorted(
            task.name.rpartition(".")[2] for nursery in self.task.child_nurseries for task in nursery.child_tasks
        )


class Stage:
    """Everything that sessions share, and a list of those that were opened."""

    def __init__(self, nursery: trio.Nursery, sessions: list[Session], timing: Timing | None = None) -> None:
        self.nursery = nursery
        self.timing = timing or Timing()
        self.sessions = sessions
        self.opened: list[Running] = []
        self._tasks = 0
        self.announced: list[UUID] = []
        self.left: list[UUID] = []
        self.looked: list[UUID] = []
        self.accounts = MemoryAccounts()
        self.mailbox = MemoryMailbox(self.accounts, wall)
        self.signals = MemorySignals(self.accounts, wall, mailbox=self.mailbox)
        self.rates = MemoryRates()
        self.switchboard = Switchboard(self.left.append)
        self.mail_writer = PostWriter(self.mailbox, self.rates, self._stored, self.looked.append, self._full)
        self.signal_writer = PostWriter(self.signals, self.rates, self._rang, self.looked.append, self._full)
        self.mail_acks = AckWriter(self.mailbox, pace_s=0)
        self.signal_acks = AckWriter(self.signals, pace_s=0)
        self.mail_pages = PageReader(self.mailbox)
        self.mailbox_services = MailboxServices(
            self.mailbox,
            Opener(self.mailbox),
            self.mail_pages,
            self.signals,
            self.mail_acks,
            self.signal_acks,
            self.switchboard,
            self.announced.append,
            wall,
        )
        self.post_services = PostServices(self.mail_writer, self.signal_writer, self.switchboard, wall)

    async def start(self) -> None:
        for writer in (self.mail_writer, self.signal_writer, self.mail_acks, self.signal_acks, self.mail_pages):
            await self.nursery.start(writer.run)

    def _stored(self, postings: Sequence[Posting]) -> None:
        for posting in postings:
            self.switchboard.hand_over_mail(posting.account_id, [Waiting(posting.id, posting.at, posting.body)])

    def _rang(self, postings: Sequence[Posting]) -> None:
        for posting in postings:
            self.switchboard.hand_over_signals(
                posting.account_id, [Ringing(posting.id, posting.expires_at, posting.body)]
            )

    def _full(self, account_id: UUID) -> None:
        self.switchboard.look_at_notices([account_id])

    # -- what happens on it --

    def account(self) -> UUID:
        return self.accounts.add(KEY)

    async def waiting(self, account_id: UUID, *fills: int | str, size: int = 1024) -> list[UUID]:
        """Envelopes that wait since before; nobody was handed anything."""
        postings = [
            Posting(account_id, new_id(wall()), sha256(KEY).digest(), body(fill, size), int(wall())) for fill in fills
        ]
        for n in range(0, len(postings), 500):
            assert set(await self.mailbox.put(postings[n : n + 500])) == {Stored.NEW}
        return [posting.id for posting in postings]

    async def ringing(self, account_id: UUID, *fills: int | str, ttl_s: int = 30) -> list[UUID]:
        """The same for signals."""
        postings = [
            Posting(account_id, new_id(wall()), sha256(KEY).digest(), body(fill), int(wall()), int(wall()) + ttl_s)
            for fill in fills
        ]
        assert set(await self.signals.put(postings)) == {Stored.NEW}
        return [posting.id for posting in postings]

    async def commit(self, account_id: UUID, *fills: int | str, size: int = 1024) -> list[UUID]:
        """Envelopes that are stored now and handed over, as the batch writer does it."""
        ids = await self.waiting(account_id, *fills, size=size)
        envelopes = [Waiting(id_, int(wall()), body(fill, size)) for id_, fill in zip(ids, fills, strict=True)]
        self.switchboard.hand_over_mail(account_id, envelopes)
        return ids

    async def ring(self, account_id: UUID, *fills: int | str, ttl_s: int = 30) -> list[UUID]:
        """The same for signals."""
        ids = await self.ringing(account_id, *fills, ttl_s=ttl_s)
        for id_, fill in zip(ids, fills, strict=True):
            self.switchboard.hand_over_signals(account_id, [Ringing(id_, int(wall()) + ttl_s, body(fill))])
        return ids

    def open_mailbox(self, account_id: UUID, peer: MemoryPeer | None = None, *, token_hash: bytes = TOKEN) -> Running:
        running = Running(peer or MemoryPeer())
        self._open(
            running,
            partial(come_in, token_hash=token_hash),
            running.peer,
            account_id,
            self.mailbox_services,
            self.timing,
        )
        return running

    def open_post(self, peer: MemoryPeer | None = None) -> Running:
        running = Running(peer or MemoryPeer())
        self._open(running, run_post_session, running.peer, self.post_services, self.timing)
        return running

    def _open(self, running: Running, run: Any, *args: Any) -> None:
        async def session() -> None:
            running.task = trio.lowlevel.current_task()
            try:
                with running.scope:
                    running.ending = await run(*args)
            finally:
                running.ended_at = trio.current_time()
                running.over.set()

        if not self.opened:
            self._tasks = trio.lowlevel.current_statistics().tasks_living
        self.opened.append(running)
        self.nursery.start_soon(session)

    async def settle(self) -> None:
        """Until every task waits for something, without time passing."""
        await wait_all_tasks_blocked()

    async def caught_up(self, account_id: UUID, peer: MemoryPeer | None = None) -> Running:
        """A mailbox session whose app has heard `hello` and `drained`, and nothing else."""
        running = self.open_mailbox(account_id, peer)
        await running.peer.expect("hello")
        await running.peer.expect("drained")
        await self.settle()
        return running

    async def nothing_is_left(self) -> None:
        """All sessions are over, and there is no trace of them."""
        for running in self.opened:
            await running.wait()
        await self.settle()
        assert self.switchboard.sessions == 0
        assert self.switchboard.expected == 0
        for session in self.sessions:
            assert not session.outbox.idle, "closed"
            assert not session.outbox.waited_for
        assert [task for task in self.nursery.child_tasks if task.child_nurseries] == []
        assert len(self.nursery.child_tasks) == 5, "the batch writers, the page reader, and nobody else"
        assert trio.lowlevel.current_statistics().tasks_living <= self._tasks


def envelopes(frames: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The fills of all envelopes in these frames, in order."""
    for frame in frames:
        if frame["type"] == "deliver":
            yield from map(fill_of, frame["envelopes"])


def delivered(frame: dict[str, Any]) -> list[str]:
    """The fills in a deliver frame."""
    assert frame["type"] == "deliver", json.dumps(frame)[:200]
    return list(map(fill_of, frame["envelopes"]))


def ids_of(frame: dict[str, Any]) -> list[str]:
    return [envelope["id"] for envelope in frame["envelopes"]]


def ack(running: Running, *ids: UUID | str) -> None:
    for n in range(0, len(ids), 256):
        running.peer.say({"type": "ack", "ids": [str(id_) for id_ in ids[n : n + 256]]})


async def hear_until(running: Running, type_: str) -> list[dict[str, Any]]:
    """All frames up to one of this type, which is the last."""
    frames = [await running.peer.hear()]
    while frames[-1]["type"] != type_:
        frames.append(await running.peer.hear())
    return frames


async def quiet(stage: Stage, running: Running) -> bool:
    """Nothing comes, although everything that could run has run."""
    await stage.settle()
    return running.peer.heard() == []


Open = Callable[[Stage], Running]


def open_mailbox(stage: Stage) -> Running:
    return stage.open_mailbox(stage.account())


def open_post(stage: Stage) -> Running:
    running = stage.open_post()
    running.peer.say({"type": "ping", "n": 0})  # or it would end for want of a first frame
    return running


both = pytest.mark.parametrize("open_session", [open_mailbox, open_post], ids=["mailbox", "post"])


async def ended(stage: Stage, running: Running, ending: Ending) -> None:
    """It ended so, with the right close frame, and nothing is left."""
    assert await running.wait() is ending
    assert running.peer.closed == (None if ending.close_code is None else (ending.close_code, ending.reason))
    await stage.nothing_is_left()
