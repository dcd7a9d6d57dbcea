"""Stores and a socket in memory, for tests on a deterministic clock. tests/contract holds the stores against the real ones.

What can go wrong is set by the name of the call: `errors["page"]` is raised by it, `gates["page"]` holds it in the middle.
"""

from __future__ import annotations

import json
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID, uuid4

import trio

from nursery_tasks.ports import Mailbox, Peer, Poster, Rates, Signals, Wall
from relay.errors import BadFrame, PeerGone, Refusal, SlowReader
from relay.records import AckBatch, BeginAsk, Begun, Notices, Outcome, PageAsk, Posting, Ringing, Stored, Waiting

T = TypeVar("T", Waiting, Ringing)


@dataclass
class MemoryAccount:
    contact: bytes
    number: bytes | None = None
    token: bytes = bytes(32)
    epoch: int = 0
    mailbox_was_full: bool = False
    prekeys: int = 100
    kyber_prekeys: int = 100


class MemoryAccounts(dict[UUID, MemoryAccount]):
    """What both stores know of accounts."""

    def add(self, contact: bytes, number: bytes | None = None) -> UUID:
        """A new account, opened by these access keys."""
        account_id = uuid4()
        self[account_id] = MemoryAccount(sha256(contact).digest(), sha256(number).digest() if number else None)
        return account_id


def new_id(seconds: float | None = None) -> UUID:
    """A UUIDv7 as an app makes it: the hour of `seconds` (now, if None), and random bits."""
    hour = int(time.time() if seconds is None else seconds) // 3600 * 3600
    return UUID(int=(hour * 1000 << 80) | (7 << 76) | (secrets.randbits(12) << 64) | (2 << 62) | secrets.randbits(62))


class _Row(NamedTuple):
    posting: Posting
    stranger: bool


class Gate:
    """Holds a call of a fake until it is opened; `reached` says that one is held."""

    def __init__(self) -> None:
        self.reached = trio.Event()
        self._opened = trio.Event()

    def open(self) -> None:
        self._opened.set()

    async def pass_through(self) -> None:
        self.reached.set()
        await self._opened.wait()


class _Store(ABC, Generic[T]):
    """The shared half, as relay.post_store: rows by (account, id), in order of arrival."""

    def __init__(self, accounts: MemoryAccounts, wall: Wall = time.time) -> None:
        self.accounts = accounts
        self.rows: dict[tuple[UUID, UUID], _Row] = {}
        self.errors: dict[str, Exception] = {}
        self.gates: dict[str, Gate] = {}
        self.batches: list[list[Posting]] = []
        self.page_calls = 0
        self._wall = wall

    def held(self, account_id: UUID) -> list[_Row]:
        """What counts against the quota."""
        return [row for (owner, _), row in self.rows.items() if owner == account_id]

    @abstractmethod
    def fits(self, held: Sequence[_Row], batch: Sequence[_Row]) -> bool:
        """Whether there is room for the batch beside what is held."""

    @abstractmethod
    def record(self, posting: Posting) -> T:
        """What a session gets of it."""

    async def put(self, batch: Sequence[Posting]) -> list[Outcome]:
        await self._call("put")
        self.batches.append(list(batch))
        assert len({(p.account_id, p.id) for p in batch}) == len(batch), "an (account, id) occurs twice in a batch"
        before = {account_id: self.held(account_id) for account_id in {p.account_id for p in batch}}
        counted: dict[UUID, list[_Row]] = {}
        outcomes: list[Outcome] = []
        for posting in batch:
            account = self.accounts.get(posting.account_id)
            by_contact = account is not None and account.contact == posting.access_hash
            by_number = account is not None and account.number == posting.access_hash
            if not (by_contact or by_number):
                outcomes.append(Refusal.NO_ACCESS)
                continue
            if posting.wait_s:
                outcomes.append(Refusal.RATE_LIMITED)
                continue
            # Counted before it is judged, stored or not: as the window of the SQL statement does.
            own = counted.setdefault(posting.account_id, [])
            own.append(_Row(posting, by_number and not by_contact))
            there = self.rows.get((posting.account_id, posting.id))
            if not self.fits(before[posting.account_id], own):
                outcomes.append(Refusal.MAILBOX_FULL if there is None else _again_or_conflict(there, posting))
            elif there is not None:
                outcomes.append(_again_or_conflict(there, posting))
            else:
                self.rows[posting.account_id, posting.id] = own[-1]
                outcomes.append(Stored.NEW)
        return outcomes

    async def remove(self, batch: Sequence[AckBatch]) -> None:
        await self._call("remove")
        for acks in batch:
            account = self.accounts.get(acks.account_id)
            if account is not None and account.epoch == acks.epoch:
                for id_ in acks.ids:
                    self.rows.pop((acks.account_id, id_), None)

    async def page(
        self, account_id: UUID, *, limit: int, max_bytes: int, skip: Collection[UUID]
    ) -> tuple[list[T], bool]:
        self.page_calls += 1
        page = self._snapshot(account_id, limit, max_bytes, skip)
        # A gate here is between the snapshot and its arrival, where a database spends its time too.
        await self._call("page")
        return page

    async def pages(self, asked: Sequence[PageAsk]) -> list[tuple[list[T], bool]]:
        self.page_calls += 1
        pages = [self._snapshot(*ask) for ask in asked]
        await self._call("page")
        return pages

    def _snapshot(self, account_id: UUID, limit: int, max_bytes: int, skip: Collection[UUID]) -> tuple[list[T], bool]:
        left = [row.posting for row in self.held(account_id) if row.posting.id not in skip]
        page: list[Posting] = []
        for posting in left[:limit]:
            if page and sum(len(p.body) for p in page) + len(posting.body) > max_bytes:
                break
            page.append(posting)
        return [self.record(posting) for posting in page], len(page) == len(left)

    async def _call(self, name: str) -> None:
        await trio.lowlevel.checkpoint()
        if (gate := self.gates.get(name)) is not None:
            await gate.pass_through()
        if (error := self.errors.get(name)) is not None:
            raise error


def _again_or_conflict(there: _Row, posting: Posting) -> Outcome:
    return Stored.AGAIN if there.posting.body == posting.body else Refusal.CONFLICT


class MemoryMailbox(_Store[Waiting]):
    """The mailbox without PostgreSQL (nursery_tasks.ports.Mailbox)."""

    def __init__(
        self,
        accounts: MemoryAccounts,
        wall: Wall = time.time,
        *,
        envelopes: int = 1000,
        size: int = 32 * 1024 * 1024,
        strangers: int = 100,
    ) -> None:
        super().__init__(accounts, wall)
        self._quota = (envelopes, size, strangers)
        self.signals: MemorySignals | None = None
        """Whose table is looked into when a session begins."""

    def fits(self, held: Sequence[_Row], batch: Sequence[_Row]) -> bool:
        rows = [*held, *batch]
        envelopes, size, strangers = self._quota
        return (
            len(rows) <= envelopes
            and sum(len(row.posting.body) for row in rows) <= size
            and (not batch[-1].stranger or sum(row.stranger for row in rows) <= strangers)
        )

    def record(self, posting: Posting) -> Waiting:
        return Waiting(posting.id, posting.at, posting.body)

    async def put(self, batch: Sequence[Posting]) -> list[Outcome]:
        outcomes = await super().put(batch)
        for posting, outcome in zip(batch, outcomes, strict=True):
            if outcome is Refusal.MAILBOX_FULL:
                self.accounts[posting.account_id].mailbox_was_full = True
        return outcomes

    async def begin_sessions(self, asked: Sequence[BeginAsk]) -> list[Begun | None]:
        assert len({ask.account_id for ask in asked}) == len(asked), "an account occurs twice"
        begun = [self._begin(ask) for ask in asked]
        # A gate here is between the commit and its arrival.
        await self._call("begin_sessions")
        return begun

    def _begin(self, ask: BeginAsk) -> Begun | None:
        if (account := self.accounts.get(ask.account_id)) is None or account.token != ask.token_hash:
            return None
        account.epoch += 1
        notices = Notices(account.prekeys, account.kyber_prekeys, account.mailbox_was_full)
        rings = self.signals is not None and bool(self.signals.held(ask.account_id))
        return Begun(account.epoch, bool(self.held(ask.account_id)), rings, notices)

    async def epochs(self, account_ids: Collection[UUID]) -> dict[UUID, int]:
        await self._call("epochs")
        return {id_: account.epoch for id_ in account_ids if (account := self.accounts.get(id_)) is not None}

    async def notices(self, account_id: UUID) -> Notices:
        await self._call("notices")
        if (account := self.accounts.get(account_id)) is None:
            return Notices(2**31, 2**31, mailbox_was_full=False)
        told, account.mailbox_was_full = account.mailbox_was_full, False
        return Notices(account.prekeys, account.kyber_prekeys, told)


class MemorySignals(_Store[Ringing]):
    """The signals without PostgreSQL (nursery_tasks.ports.Signals)."""

    def __init__(
        self,
        accounts: MemoryAccounts,
        wall: Wall = time.time,
        *,
        most: int = 256,
        mailbox: MemoryMailbox | None = None,
    ) -> None:
        super().__init__(accounts, wall)
        self._most = most
        if mailbox is not None:
            mailbox.signals = self

    def held(self, account_id: UUID) -> list[_Row]:
        return [row for row in super().held(account_id) if row.posting.expires_at > self._wall()]

    def fits(self, held: Sequence[_Row], batch: Sequence[_Row]) -> bool:
        return len(held) + len(batch) <= self._most

    def record(self, posting: Posting) -> Ringing:
        return Ringing(posting.id, posting.expires_at, posting.body)

    async def sweep(self) -> None:
        """Deletes what has expired."""
        await self._call("sweep")
        now = self._wall()
        self.rows = {key: row for key, row in self.rows.items() if row.posting.expires_at > now}


class MemoryPeer:
    """A WebSocket without a network (nursery_tasks.ports.Peer), and the app at its other end.

    The app hears through a bounded buffer: when it is full, `send` waits, as a socket does.
    """

    def __init__(self, *, buffered: int = 8, write_deadline_s: float = 20.0) -> None:
        self.sends = 0
        self.sends_at_once = 0
        self.cuts_short = False
        """Whether it takes a part only of what it is to send at once."""
        self.closed: tuple[int, str] | None = None
        self.gone = False
        self._write_deadline_s = write_deadline_s
        self._begun: str | None = None
        self._to_relay, self._from_app = trio.open_memory_channel[str | None](1024)
        self._to_app, self._from_relay = trio.open_memory_channel[str](buffered)

    # -- the relay's end --

    async def receive(self) -> str:
        try:
            text = await self._from_app.receive()
        except trio.EndOfChannel:
            raise PeerGone from None
        if text is None:
            raise BadFrame
        return text

    async def send(self, text: str) -> None:
        await trio.lowlevel.checkpoint()
        assert self._begun is None, "this goes into the middle of a frame"
        if self.gone:
            raise PeerGone
        try:
            self._to_app.send_nowait(text)
        except trio.WouldBlock:
            await self._send_slowly(text)
        self.sends += 1

    def send_at_once(self, text: str) -> bool | None:
        assert self._begun is None, "this goes into the middle of a frame"
        if self.gone or self.closed is not None:
            return None
        if self.cuts_short:
            self._begun = text
            return False
        try:
            self._to_app.send_nowait(text)
        except (trio.WouldBlock, trio.BrokenResourceError):
            return None
        self.sends += 1
        self.sends_at_once += 1
        return True

    async def finish(self) -> None:
        assert self._begun is not None, "nothing was begun"
        await trio.lowlevel.checkpoint()
        text, self._begun = self._begun, None
        await self.send(text)

    async def _send_slowly(self, text: str) -> None:
        try:
            with trio.fail_after(self._write_deadline_s):
                await self._to_app.send(text)
        except trio.BrokenResourceError:
            raise PeerGone from None
        except trio.TooSlowError:
            self.drop()
            raise SlowReader from None
        except trio.Cancelled:
            self.drop()  # half a frame may be out: the real edge aborts the connection too
            raise

    async def close(self, code: int, reason: str) -> None:
        await trio.lowlevel.checkpoint()
        if not self.gone and self.closed is None:
            self.closed = (code, reason)
            self._to_app.close()

    # -- the app's end --

    def say(self, frame: dict[str, Any] | str) -> None:
        """A text message to the relay."""
        self._to_relay.send_nowait(frame if isinstance(frame, str) else json.dumps(frame))

    def say_binary(self) -> None:
        self._to_relay.send_nowait(None)

    async def hear(self) -> dict[str, Any]:
        """The next frame of the relay. Raises trio.EndOfChannel after the relay has closed."""
        frame: dict[str, Any] = json.loads(await self._from_relay.receive())
        return frame

    async def expect(self, type_: str) -> dict[str, Any]:
        """The next frame, which must be of this type."""
        frame = await self.hear()
        assert frame["type"] == type_, frame
        return frame

    def heard(self) -> list[dict[str, Any]]:
        """All that has arrived, without waiting."""
        frames = []
        while True:
            try:
                frames.append(json.loads(self._from_relay.receive_nowait()))
            except (trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
                return frames

    def drop(self) -> None:
        """The connection breaks: the relay reads an end, and writes into nothing."""
        self.gone = True
        self._to_relay.close()
        self._from_relay.close()

    def release(self) -> None:
        """Closes the fake's own channels."""
        for end in (self._to_relay, self._from_app, self._to_app, self._from_relay):
            end.close()


@dataclass
class MemoryPoster:
    """Keeps its answers (nursery_tasks.ports.Poster)."""

    answers: list[tuple[UUID, Outcome]] = field(default_factory=list)
    calls: int = 0

    def answered(self, answers: Sequence[tuple[Posting, Outcome]]) -> None:
        self.calls += 1
        self.answers += [(posting.id, outcome) for posting, outcome in answers]


@dataclass
class MemoryRates:
    """Allows everything but what is in `wait_s`, and keeps what was charged and given back (nursery_tasks.ports.Rates)."""

    wait_s: dict[UUID, int] = field(default_factory=dict)
    charged: list[tuple[UUID, int]] = field(default_factory=list)
    given_back: list[tuple[UUID, int]] = field(default_factory=list)

    def charge(self, account_id: UUID, size: int) -> int:
        if wait_s := self.wait_s.get(account_id, 0):
            return wait_s
        self.charged.append((account_id, size))
        return 0

    def give_back(self, account_id: UUID, size: int) -> None:
        self.given_back.append((account_id, size))


def _they_fit(accounts: MemoryAccounts) -> tuple[Mailbox, Signals, Peer, Poster, Rates]:
    """Never called: it is here for mypy to hold the fakes against their ports."""
    return MemoryMailbox(accounts), MemorySignals(accounts), MemoryPeer(), MemoryPoster(), MemoryRates()
