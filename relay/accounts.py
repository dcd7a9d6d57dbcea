"""Accounts: registering, proving that one is a member, and going away again."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from relay.database import Database, Queries
from relay.errors import BadInvite, NumberTaken, Unauthorized
from relay.invites import REPLAY_GRACE_S, RegistrationPace, hash_of, lock, spend
from relay.prekeys import PrekeyUpload, insert_one_time_keys, insert_standing_keys, require_signed
from relay.queries import identity as sql

_POSTS_SETTLE_S: Final = 30  # several times what a batch of posts may take, database trouble included
DEFAULT_PACE: Final = RegistrationPace(burst=100, one_s=18)
_NOBODYS_TOKEN_HASH: Final = bytes(32)  # nobody knows what hashes to this


class Registration(NamedTuple):
    """What an app brings to register. Hashes are SHA-256, keys serialized as libsignal does; `prekeys` has both standing keys."""

    token_hash: bytes
    recovery_hash: bytes
    phone_token: bytes | None
    identity_key: bytes
    registration_id: int
    prekeys: PrekeyUpload
    contact_access_hash: bytes
    number_access_hash: bytes | None


class AccountDescription(NamedTuple):
    """All that the relay holds on an account besides waiting bodies and the keys that the app uploaded."""

    account_id: UUID
    identity_key: bytes
    registration_id: int
    phone_token: bytes | None
    open_to_number: bool
    recoveries: int
    sessions: int
    """Since the last recovery."""
    mailbox_was_full: bool
    registration_kept_until: int | None
    """Seconds since 1970: until then the relay knows by which invite (its hash) the account was registered."""
    allowances: dict[str, int]
    """By name, when each is full again, in seconds since 1970."""
    push: bool
    registered_on: date
    last_session_on: date | None
    prekeys: int
    kyber_prekeys: int
    waiting_envelopes: int
    waiting_bytes: int
    waiting_signals: int


class AccessChange(NamedTuple):
    """New access hashes. `contact` None: as it is. `number` counts only if `changes_number`; None then closes the account to strangers."""

    contact: bytes | None = None
    changes_number: bool = False
    number: bytes | None = None


class Accounts:
    """Accounts in PostgreSQL. `wall_clock` gives seconds since 1970; `pace` is how fast one invite registers people."""

    def __init__(
        self, database: Database, *, wall_clock: Callable[[], float], pace: RegistrationPace = DEFAULT_PACE
    ) -> None:
        self._database = database
        self._wall_clock = wall_clock
        self._pace = pace
        self._ended: dict[UUID, float] = {}  # deleted by this process lately, and when

    async def register(self, invite_code: str, wanted: Registration) -> UUID:
        """Spends the invite and makes the account with its keys: all of it or nothing.

        The same code, identity key and token hash once more give the same account and change nothing, whatever else the request says, until a
        day after the invite expired: an answer can be lost.

        Raises:
            BadInvite: unknown, used up, expired, for another number, or used by this identity key with another token.
            BadSignature: a prekey is not signed by the identity key.
            NumberTaken: another account has this phone token; the invite is not spent.
            RateLimited: this invite was used too often of late; it is not spent.
            DatabaseUnavailable: the outcome is unknown; the same call again is safe.
        """
        code_hash = hash_of(invite_code)
        await require_signed(wanted.identity_key, wanted.prekeys.signed_keys())
        now = self._wall_clock()
        async with self._database.transaction() as tx:
            invite = await lock(tx, code_hash)
            earlier = await _find_registration(tx, code_hash, wanted, now)
            if earlier is not None:
                return earlier
            await spend(tx, code_hash, invite, now, wanted.phone_token, self._pace)
            assert invite is not None  # else it could not have been spent
            account_id = uuid4()
            inserted = await tx.fetchval(
                sql.INSERT_ACCOUNT,
                account_id,
                wanted.token_hash,
                wanted.recovery_hash,
                wanted.phone_token,
                wanted.identity_key,
                wanted.registration_id,
                wanted.contact_access_hash,
                wanted.number_access_hash,
                now,
            )
            if inserted is None:
                raise NumberTaken
            forget_at = invite.expires_at + REPLAY_GRACE_S
            await tx.execute(sql.INSERT_REGISTRATION, code_hash, wanted.identity_key, account_id, forget_at)
            await insert_standing_keys(tx, account_id, wanted.prekeys)
            await insert_one_time_keys(tx, account_id, wanted.prekeys)
        return account_id

    async def authenticate(self, account_id: UUID, secret: bytes) -> None:
        """Checks a bearer token's secret, with the same work and answer for an account that does not exist.

        Raises:
            Unauthorized: no such account, or another token.
            DatabaseUnavailable
        """
        row = await self._database.fetchrow(sql.BEARER, account_id)
        stored = _NOBODYS_TOKEN_HASH if row is None else row["token_hash"]
        matches = hmac.compare_digest(hashlib.sha256(secret).digest(), stored)
        if row is None or not matches:
            raise Unauthorized

    async def identity_key(self, account_id: UUID) -> bytes:
        """The account's serialized public identity key.

        Raises:
            Unauthorized: the account is gone.
            DatabaseUnavailable
        """
        key: bytes | None = await self._database.fetchval(sql.IDENTITY_KEY, account_id)
        if key is None:
            raise Unauthorized
        return key

    async def describe(self, account_id: UUID) -> AccountDescription:
        """What the relay holds on the account.

        Raises:
            Unauthorized: the account is gone.
            DatabaseUnavailable
        """
        row = await self._database.fetchrow(sql.DESCRIBE_ACCOUNT, account_id)
        if row is None:
            raise Unauthorized
        held = AccountDescription(account_id, *row)
        return held._replace(allowances=json.loads(row["allowances"]))

    async def change_access(self, account_id: UUID, change: AccessChange) -> None:
        """Replaces access hashes.

        Raises:
            Unauthorized: the account is gone.
            DatabaseUnavailable: the same call again is safe.
        """
        changed = await self._database.fetchval(
            sql.CHANGE_ACCESS, account_id, change.contact, change.changes_number, change.number
        )
        if changed is None:
            raise Unauthorized

    async def release_number(self, phone_token: bytes) -> bool:
        """Takes a number from the account that is registered under it, and what lets strangers in by it; whether there was one.

        Raises:
            DatabaseUnavailable: the same call again is safe.
        """
        return await self._database.fetchval(sql.RELEASE_NUMBER, phone_token) is not None

    async def delete(self, account_id: UUID) -> None:
        """Deletes the account, its keys and what waits for it. (PostgreSQL erases the rows' bytes at its next vacuum and log recycling.)

        Raises:
            Unauthorized: the account was gone already.
            DatabaseUnavailable: the outcome is unknown; the same call again is safe (Unauthorized then means that it is gone).
        """
        async with self._database.transaction() as tx:
            if await tx.fetchval(sql.DELETE_ACCOUNT, account_id) is None:
                raise Unauthorized
            await tx.execute(sql.DELETE_ENVELOPES, [account_id])
            await tx.execute(sql.DELETE_SIGNALS, [account_id])
        self._ended[account_id] = self._wall_clock()

    async def sweep_ended(self) -> None:
        """Deletes what was stored for accounts of late after they were deleted: a post that was under way did not see them go yet.

        Posting takes no lock on the account, so this is what closes that gap. A chore of the sweeper; repeated until it succeeds.

        Raises:
            DatabaseUnavailable
        """
        settled_at = self._wall_clock() - _POSTS_SETTLE_S
        settled = [account_id for account_id, ended_at in self._ended.items() if ended_at <= settled_at]
        if not settled:
            return
        await self._database.execute(sql.DELETE_ENVELOPES, settled)
        await self._database.execute(sql.DELETE_SIGNALS, settled)
        for account_id in settled:
            self._ended.pop(account_id, None)


async def _find_registration(tx: Queries, code_hash: bytes, wanted: Registration, now: float) -> UUID | None:
    """The account that the same request made before.

    Raises:
        BadInvite: this identity key came under this code with another token; whoever asks is not who registered it.
    """
    row = await tx.fetchrow(sql.FIND_REGISTRATION, code_hash, wanted.identity_key, now)
    if row is None:
        return None
    if not hmac.compare_digest(row["token_hash"], wanted.token_hash):
        raise BadInvite
    account_id: UUID = row["account_id"]
    return account_id
