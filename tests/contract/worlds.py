"""The stores in memory and in PostgreSQL behind one face, so that one suite can hold them to one contract."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid4

from nursery_tasks.ports import Mailbox, Signals
from relay.config import Settings
from relay.database import Database
from relay.frames import uuid7_seconds
from relay.mailbox import PostgresMailbox
from relay.partitions import WEEK_S, expired, keep_partitions
from relay.queries import recovery
from relay.records import BeginAsk, Posting
from relay.signals import PostgresSignals
from tests.fakes import MemoryAccounts, MemoryMailbox, MemorySignals, new_id

CONTACT = b"contact's key 16"
NUMBER = b"number's key  16"
WRONG = b"nobody's key  16"

TOKEN = bytes(32)
"""The hash of every account's token, until a recovery changes it."""
SETTINGS = Settings(mailbox_envelopes=8, mailbox_bytes=40 * 1024, mailbox_stranger_envelopes=3)
"""Small quotas: eight envelopes, two and a half of the third size, three from strangers."""
MOST_SIGNALS = 8
LONG_AGO_S = SETTINGS.envelope_ttl_s + 21 * 86400
"""What came in so long ago has expired: it is two days, a week and a bit more than the time that envelopes wait."""


def body(fill: int | str = 0, size: int = 1024) -> bytes:
    """A body that differs from others by `fill`."""
    return f"{fill}".encode().ljust(size, b".")


def posting(
    to: UUID,
    fill: int | str = 0,
    *,
    id_: UUID | None = None,
    size: int = 1024,
    access: bytes = CONTACT,
    over_rate: bool = False,
    ttl_s: int = 60,
) -> Posting:
    """An envelope, or a signal that lives `ttl_s` more seconds."""
    now = int(time.time())
    hashed = sha256(access).digest()
    return Posting(to, id_ or new_id(now), hashed, body(fill, size), now, now + ttl_s, 7 if over_rate else 0)


@dataclass
class World:
    """Both stores, and what happens to accounts elsewhere in the relay."""

    mailbox: Mailbox
    signals: Signals
    accounts: MemoryAccounts
    database: Database | None = None

    async def add_account(self, contact: bytes = CONTACT, number: bytes | None = NUMBER, prekeys: int = 100) -> UUID:
        account_id = self.accounts.add(contact, number)
        await self.insert(account_id, prekeys)
        return account_id

    async def insert(self, account_id: UUID, prekeys: int) -> None:
        """Brings an account of the memory into the database."""
        account = self.accounts[account_id]
        account.prekeys = account.kyber_prekeys = prekeys
        if self.database is None:
            return
        await self.database.execute(
            """INSERT INTO accounts (account_id, token_hash, recovery_hash, identity_key, registration_id,
                                     contact_access_hash, number_access_hash, registered_on)
               VALUES ($1, $2, $2, $3, 1, $4, $5, '2026-11-22')""",
            account_id, bytes(32), bytes(33), account.contact, account.number,
        )  # fmt: skip
        for kind, columns in (("prekeys", ""), ("kyber_prekeys", ", signature")):
            key = "decode(repeat('00', 33), 'hex')" if kind == "prekeys" else "decode(repeat('00', 1569), 'hex')"
            more = ", decode(repeat('00', 64), 'hex')" if columns else ""
            await self.database.execute(
                f"INSERT INTO {kind} (account_id, prekey_id, public_key{columns}) "
                f"SELECT $1, n, {key}{more} FROM generate_series(1, $2) AS n",
                account_id, prekeys,
            )  # fmt: skip

    async def begin(self, account_id: UUID, token_hash: bytes = TOKEN) -> int | None:
        """The epoch of a new session."""
        (begun,) = await self.mailbox.begin_sessions([BeginAsk(account_id, token_hash)])
        return None if begun is None else begun.epoch

    async def recover_account(self, account_id: UUID, token_hash: bytes = TOKEN) -> None:
        """What a recovery does to token and session epoch."""
        self.accounts[account_id].token = token_hash
        self.accounts[account_id].epoch = ((self.accounts[account_id].epoch >> 32) + 1) << 32
        if self.database is not None:
            statement = recovery.RECOVER
            row = await self.database.fetchrow("SELECT * FROM accounts WHERE account_id = $1", account_id)
            assert row is not None
            names = ("recovery_hash", "token_hash", "recovery_hash", "identity_key", "registration_id")
            more = ("contact_access_hash", "number_access_hash")
            values = [row[name] for name in (*names, *more)]
            values[names.index("token_hash")] = token_hash
            await self.database.execute(statement, account_id, *values, bytes(32))

    async def expire(self, now: int) -> None:
        """What the sweeper does at this time; then there is room again for ids of `now` and of SETTINGS.envelope_ttl_s and more before."""
        if self.database is not None:
            await keep_partitions(self.database, now, SETTINGS.envelope_ttl_s)
            await keep_partitions(self.database, now - LONG_AGO_S, SETTINGS.envelope_ttl_s, drop=False)
            return
        assert isinstance(self.mailbox, MemoryMailbox)
        gone = {week.number for week in expired([f"_{n}" for n in range(now // WEEK_S)], now, SETTINGS.envelope_ttl_s)}
        rows = self.mailbox.rows
        self.mailbox.rows = {key: row for key, row in rows.items() if uuid7_seconds(key[1]) // WEEK_S not in gone}

    async def delete_account(self, account_id: UUID) -> None:
        del self.accounts[account_id]
        if self.database is not None:
            await self.database.execute("DELETE FROM accounts WHERE account_id = $1", account_id)


def memory_world() -> World:
    accounts = MemoryAccounts()
    mailbox = MemoryMailbox(
        accounts,
        envelopes=SETTINGS.mailbox_envelopes,
        size=SETTINGS.mailbox_bytes,
        strangers=SETTINGS.mailbox_stranger_envelopes,
    )
    return World(mailbox, MemorySignals(accounts, most=MOST_SIGNALS, mailbox=mailbox), accounts)


@asynccontextmanager
async def postgres_world(database: Database) -> AsyncIterator[World]:
    """`relay.signals.MOST_SIGNALS` must be patched to be the one here."""
    await keep_partitions(database, int(time.time()), SETTINGS.envelope_ttl_s)
    async with PostgresMailbox.open(SETTINGS, database) as mailbox, PostgresSignals.open(database) as signals:
        yield World(mailbox, signals, MemoryAccounts(), database)


def stranger_to_all() -> UUID:
    """The id of no account."""
    return uuid4()
