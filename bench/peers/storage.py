"""Where the FastAPI peers keep messages: the relay's own tables, by asyncpg. Two ways: a transaction a message, and group commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from bench.peers.frames import Envelope, Post

MAILBOX = 1_000_000
"""Messages a mailbox holds, as high as in the relay that it is measured against."""
MOST_A_BATCH = 512
HOT = {"enable_seqscan": "off", "enable_bitmapscan": "off", "plan_cache_mode": "force_generic_plan", "jit": "off"}
"""Else a plan that was made for an empty table stays, and reads the whole table."""
BY_KEY = {**HOT, "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""For statements that do nothing but look rows up by key. So they do, whatever the table held when they were planned."""

# $1 recipient, $2 access hash, $3 most -> whether it may, whether there is room
JUDGE = """
SELECT a.contact_access_hash = $2 OR coalesce(a.number_access_hash = $2, false) AS may,
       (SELECT count(*) FROM (SELECT FROM envelopes e WHERE e.account_id = $1 LIMIT $3) held) < $3 AS room
FROM accounts a WHERE a.account_id = $1
"""
PUT_ONE = """
INSERT INTO envelopes (account_id, envelope_id, seq, arrived_at, by_number, body)
VALUES ($1, $2, nextval('envelope_seq'), $3, false, $4) ON CONFLICT DO NOTHING
"""
# $1 recipients, $2 ids, $3 access hashes, $4 bodies, $5 arrival, $6 most -> in order: may, room, stored
PUT_MANY = """
WITH incoming AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::bytea[]) WITH ORDINALITY AS i (account_id, envelope_id, access_hash, body, n)
), held AS (
    SELECT r.account_id, (SELECT count(*) FROM (SELECT FROM envelopes e WHERE e.account_id = r.account_id LIMIT $6) h) AS items
    FROM (SELECT DISTINCT account_id FROM incoming) r
), judged AS (
    SELECT i.*, a.contact_access_hash = i.access_hash OR coalesce(a.number_access_hash = i.access_hash, false) AS may,
           h.items + count(*) OVER (PARTITION BY i.account_id ORDER BY i.n) <= $6 AS room
    FROM incoming i JOIN held h ON h.account_id = i.account_id LEFT JOIN accounts a ON a.account_id = i.account_id
), stored AS (
    INSERT INTO envelopes (account_id, envelope_id, seq, arrived_at, by_number, body)
    SELECT q.account_id, q.envelope_id, q.seq, $5, false, q.body
    FROM (SELECT j.*, nextval('envelope_seq') AS seq FROM (SELECT * FROM judged WHERE may AND room ORDER BY n) j OFFSET 0) q
    ON CONFLICT DO NOTHING
)
SELECT coalesce(may, false) AS may, room FROM judged ORDER BY n
"""
# $1 recipients, $2 ids, $3 epochs. Of the relay's shape: a plain join that was planned for a nearly empty table reads all of it for each id.
REMOVE = """
DELETE FROM envelopes e USING unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS k (account_id, envelope_id, epoch),
     LATERAL (SELECT session_epoch FROM accounts WHERE account_id = k.account_id OFFSET 0) a
WHERE a.session_epoch = k.epoch AND e.envelope_id = k.envelope_id
  AND (e.account_id, e.envelope_id) >= (k.account_id, k.envelope_id) AND (e.account_id, e.envelope_id) <= (k.account_id, k.envelope_id)
"""
# seq > 0 always holds, and lets it read the index in order of arrival, as the relay's does: else each page sorts the whole mailbox.
PAGE = """
SELECT envelope_id, arrived_at, body FROM envelopes
WHERE account_id = $1 AND seq > 0 AND envelope_id <> ALL($2::uuid[]) ORDER BY seq LIMIT $3
"""
LOGIN = "SELECT token_hash FROM accounts WHERE account_id = $1"
BEGIN_SESSION = """
UPDATE accounts SET session_epoch = session_epoch + 1, last_session_on = current_date WHERE account_id = $1 RETURNING session_epoch
"""

Answer = Callable[[Post, str | None], None]
"""Called with a post and None when it is committed, or the code of its refusal."""
Stored = Callable[[UUID, Envelope], None]


class Acks(NamedTuple):
    account: UUID
    epoch: int
    ids: list[UUID]


class Storage:
    """A transaction a message, on a pool: how one begins."""

    def __init__(self, pool: asyncpg.Pool, on_stored: Stored) -> None:
        self.pool = pool
        self.on_stored = on_stored

    @classmethod
    async def open(cls, dsn: str, on_stored: Stored) -> Storage:
        return cls(await asyncpg.create_pool(dsn, min_size=10, max_size=10, server_settings=BY_KEY), on_stored)

    async def login(self, account: UUID) -> bytes | None:
        """The hash of the account's token, None if there is no such account."""
        return await self.pool.fetchval(LOGIN, account)  # type: ignore[no-any-return]

    async def begin_session(self, account: UUID) -> int:
        return int(await self.pool.fetchval(BEGIN_SESSION, account))

    async def page(self, account: UUID, skip: list[UUID], limit: int) -> list[Envelope]:
        return [Envelope(*row) for row in await self.pool.fetch(PAGE, account, skip, limit)]

    async def put(self, posts: list[Post], answer: Answer) -> None:
        for post in posts:
            now = int(time.time())
            async with self.pool.acquire() as connection, connection.transaction():
                verdict = await connection.fetchrow(JUDGE, post.to, post.access_hash, MAILBOX)
                code = _code(verdict and verdict["may"], verdict and verdict["room"])
                if code is None:
                    await connection.execute(PUT_ONE, post.to, post.id, now, post.body)
            if code is None:
                self.on_stored(post.to, Envelope(post.id, now, post.body))
            answer(post, code)

    async def remove(self, acks: Acks, tried: Callable[[], None]) -> None:
        await self.pool.execute(REMOVE, [acks.account] * len(acks.ids), acks.ids, [acks.epoch] * len(acks.ids))
        tried()


class GroupCommit(Storage):
    """While one batch is being committed the next one collects. Deletes do not wait for the disk. Two connections, held."""

    def __init__(self, pool: asyncpg.Pool, on_stored: Stored) -> None:
        super().__init__(pool, on_stored)
        self._posts: list[tuple[Post, Answer]] = []
        self._acks: list[tuple[Acks, Callable[[], None]]] = []
        self._posts_wait, self._acks_wait = asyncio.Event(), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, dsn: str, on_stored: Stored) -> GroupCommit:
        self = cls(await asyncpg.create_pool(dsn, min_size=4, max_size=6, server_settings=BY_KEY), on_stored)
        puts = await asyncpg.connect(dsn, server_settings=HOT)
        removes = await asyncpg.connect(dsn, server_settings={**BY_KEY, "synchronous_commit": "off"})
        loops: tuple[Coroutine[Any, Any, None], ...] = (self._commit(puts), self._delete(removes))
        self._tasks = [asyncio.create_task(loop) for loop in loops]
        return self

    async def put(self, posts: list[Post], answer: Answer) -> None:
        self._posts += [(post, answer) for post in posts]
        self._posts_wait.set()

    async def remove(self, acks: Acks, tried: Callable[[], None]) -> None:
        self._acks.append((acks, tried))
        self._acks_wait.set()

    async def _commit(self, connection: asyncpg.Connection) -> None:
        statement = await connection.prepare(PUT_MANY)
        while True:
            await self._posts_wait.wait()
            batch, self._posts = self._posts[:MOST_A_BATCH], self._posts[MOST_A_BATCH:]
            if not self._posts:
                self._posts_wait.clear()
            now = int(time.time())
            rows = await statement.fetch(
                [post.to for post, _ in batch],
                [post.id for post, _ in batch],
                [post.access_hash for post, _ in batch],
                [post.body for post, _ in batch],
                now,
                MAILBOX,
            )
            for (post, answer), (may, room) in zip(batch, rows, strict=True):
                code = _code(may, room)
                if code is None:
                    self.on_stored(post.to, Envelope(post.id, now, post.body))
                answer(post, code)

    async def _delete(self, connection: asyncpg.Connection) -> None:
        statement = await connection.prepare(REMOVE)
        while True:
            await self._acks_wait.wait()
            batch, self._acks = self._acks, []
            self._acks_wait.clear()
            accounts = [acks.account for acks, _ in batch for _ in acks.ids]
            epochs = [acks.epoch for acks, _ in batch for _ in acks.ids]
            await statement.fetch(accounts, [id_ for acks, _ in batch for id_ in acks.ids], epochs)
            for _, tried in batch:
                tried()


def _code(may: bool | None, room: bool | None) -> str | None:
    if not may:
        return "no_access"
    return None if room else "mailbox_full"
