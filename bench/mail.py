"""Mail that waits and mail that has come and gone, made at the speed of SQL: a relay's years in seconds."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID, uuid4

from relay.database import Database
from relay.partitions import WEEK_S, Week, keep_partitions
from relay.post_store import ACK_SETUP, PUT_SETUP
from relay.queries import mailbox as queries

TTL_S = 30 * 86400
LONG_S = 600.0
BODY = bytes(1024)
ACCESS = sha256(b"others").digest()
"""Hash of the access key of accounts that are made here: by it they are told from those who are measured."""
BATCH = 64
LEFT_ONE_IN = 50
"""Envelopes of the churn that nobody ever comes for."""
NO_QUOTA = (1_000_000, 1 << 40, 1_000_000)

# $1 access hash, $2 how many
_ACCOUNTS = """
INSERT INTO accounts (account_id, token_hash, recovery_hash, identity_key, registration_id, contact_access_hash, registered_on)
SELECT gen_random_uuid(), $1, $1, $1 || '\\x00'::bytea, 1, $1, current_date FROM generate_series(1, $2::int)
"""
# One envelope for each account. $1 access hash, $2 now (seconds since 1970), $3 most hours ago, $4 body.
# The id is a random one with a time put in.
_WAITING = """
INSERT INTO envelopes (account_id, envelope_id, seq, arrived_at, by_number, body)
SELECT account_id, overlay(noise::text placing left(ms, 8) || '-' || right(ms, 4) || '-7' from 1 for 15)::uuid,
       nextval('envelope_seq'), $2::bigint, false, $4
FROM (
    SELECT account_id, gen_random_uuid() AS noise,
           lpad(to_hex(($2::bigint / 3600 - floor(random() * $3::int)::bigint) * 3600000), 12, '0') AS ms
    FROM accounts WHERE contact_access_hash = $1
) made
"""
_SIZES = """
SELECT coalesce(sum(pg_table_size(s.relid)), 0)::bigint AS table_bytes,
       coalesce(sum(pg_indexes_size(s.relid)), 0)::bigint AS index_bytes,
       coalesce(sum(s.n_dead_tup), 0)::bigint AS dead,
       count(*) AS partitions
FROM pg_inherits i JOIN pg_stat_user_tables s ON s.relid = i.inhrelid WHERE i.inhparent = 'envelopes'::regclass
"""


class Sizes(NamedTuple):
    """Of all partitions together. `dead` rows are PostgreSQL's own running count; it lags by a second or so."""

    table_bytes: int
    index_bytes: int
    dead: int
    partitions: int
    waiting: int


async def sizes(database: Database) -> Sizes:
    """What the mailbox takes on disk now."""
    row = await database.fetchrow(_SIZES, timeout_s=LONG_S)
    assert row is not None
    waiting = await database.fetchval("SELECT count(*) FROM envelopes", timeout_s=LONG_S)
    return Sizes(row["table_bytes"], row["index_bytes"], row["dead"], row["partitions"], waiting)


async def make_partitions(database: Database, weeks: Sequence[Week]) -> None:
    """As the relay would have made them in those weeks."""
    for week in weeks:
        await keep_partitions(database, week.number * WEEK_S, TTL_S, drop=False)


async def fill_mailboxes(database: Database, accounts: int, envelopes: int, now: int) -> None:
    """Makes so many accounts, and at least so many envelopes spread evenly over them and over the last 30 days; then vacuums."""
    await make_partitions(database, [Week(now // WEEK_S - ago) for ago in range(6)])
    await database.execute(_ACCOUNTS, ACCESS, accounts, timeout_s=LONG_S)
    for _ in range(-(-envelopes // accounts)):
        await database.execute(_WAITING, ACCESS, now, TTL_S // 3600, BODY, timeout_s=LONG_S)
    for table in ("accounts", "envelopes"):
        await database.execute(f"VACUUM (ANALYZE) {table}", timeout_s=LONG_S)


async def churn(database: Database, week: Week, messages: int, waiting: int) -> float:
    """Stores and deletes `messages` with ids of this week through the relay's own statements, in batches; answers the rate a second.

    `waiting` of them wait at a time, and are fetched in the order in which they came; one in LEFT_ONE_IN stays.
    """
    rows = await database.fetch("SELECT account_id FROM accounts WHERE contact_access_hash = $1 LIMIT 20000", ACCESS)
    accounts: list[UUID] = [row["account_id"] for row in rows]
    await make_partitions(database, [week])
    queue: deque[tuple[UUID, UUID]] = deque()
    began = time.perf_counter()
    async with database.hold(PUT_SETUP) as puts, database.hold(ACK_SETUP) as removes:

        async def fetched(count: int) -> None:
            gone = [queue.popleft() for _ in range(count)]
            await removes.execute(queries.REMOVE, [one[0] for one in gone], [0] * count, [one[1] for one in gone])

        for first in range(0, messages, BATCH):
            # The id's hour moves through the week, as a week's would.
            hour_ms = (week.number * WEEK_S + first * (WEEK_S // 3600) // messages * 3600) * 1000
            ids = [UUID(int=hour_ms << 80 | 7 << 76 | uuid4().int & (1 << 76) - 1) for _ in range(BATCH)]
            to = [accounts[(first + n) * 7919 % len(accounts)] for n in range(BATCH)]
            same = [ACCESS] * BATCH, [os.urandom(32) * 32] * BATCH, [hour_ms // 1000] * BATCH, [False] * BATCH
            left_out = await puts.fetch(queries.PUT, to, ids, *same, *NO_QUOTA, [False] * BATCH)
            assert not left_out
            queue.extend(pair for n, pair in enumerate(zip(to, ids, strict=True), start=first) if n % LEFT_ONE_IN)
            while len(queue) > waiting + BATCH:
                await fetched(BATCH)
        while queue:
            await fetched(min(BATCH, len(queue)))
    return messages / (time.perf_counter() - began)
