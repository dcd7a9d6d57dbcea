"""Recovering an account with its recovery code: the same account id, and nothing else of the old phone.

A code is 32 random bytes, so nobody guesses one; tries are limited for codes of which somebody has seen a part. What is counted is not the
account but the name that was claimed for it, hashed into one of 2^20 slots, so that accounts that exist and those that do not are
refused alike, and the table is bounded. The price: whoever knows an account's id can use up its tries and delay a recovery
(docs/decisions/0016-recovery-tries-are-counted-by-claim.md).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from math import ceil
from typing import Final
from uuid import UUID

from relay.accounts import Registration
from relay.database import Database
from relay.errors import BadRecovery, RateLimited
from relay.prekeys import insert_one_time_keys, replace_all_keys, require_signed
from relay.queries import identity as identity_sql
from relay.queries import push as push_sql
from relay.queries import recovery as sql

SLOTS: Final = 2**20
"""Some 60 MB of table if all of them are in use."""
_NOBODYS_HASH: Final = bytes(32)  # nobody knows what hashes to this


class Recovery:
    """Recoveries in PostgreSQL. `wall_clock` gives seconds since 1970; `burst` tries at once, then `per_hour`."""

    def __init__(self, database: Database, *, wall_clock: Callable[[], float], burst: int, per_hour: int) -> None:
        self._database = database
        self._wall_clock = wall_clock
        self._one_s = 3600 / per_hour
        self._all_s = self._one_s * burst

    async def recover(self, claim: UUID | bytes, code: bytes, wanted: Registration) -> UUID:
        """Gives the account that `claim` names (an account id, or a phone token of 32 bytes) to whoever knows its recovery code (32 bytes).

        `wanted` replaces token, recovery code, identity, prekeys and access; its phone token is not looked at. What waits in the
        mailbox is deleted, since it is sealed to the old identity. The same request once more gives the same answer and changes
        nothing, until the next recovery: an answer can be lost.

        Raises:
            RateLimited: too many tries under this claim. Nothing was judged.
            BadRecovery: no such account, or another code; with the same work and answer.
            BadSignature: the code is right, and a prekey is not signed by the new identity key. Nothing was changed.
            DatabaseUnavailable: the outcome is unknown; the same call again is safe.
        """
        code_hash = hashlib.sha256(code).digest()
        request = hashlib.sha256(code + wanted.token_hash + wanted.identity_key).digest()
        now = self._wall_clock()
        named = (claim, None) if isinstance(claim, UUID) else (None, claim)
        row = await self._database.fetchrow(sql.TRY, _slot(claim), now, self._one_s, self._all_s, *named)
        assert row is not None
        if not row["covered"]:
            raise RateLimited(retry_after_s=max(1, ceil((row["full_at"] or now) - now + self._one_s - self._all_s)))
        again = hmac.compare_digest(request, row["recovered_by"] or _NOBODYS_HASH)
        knows = hmac.compare_digest(code_hash, row["recovery_hash"] or _NOBODYS_HASH)
        account_id: UUID | None = row["account_id"]
        if account_id is None or not (again or knows):
            raise BadRecovery
        if not again:
            await require_signed(wanted.identity_key, wanted.prekeys.signed_keys())
            await self._replace(account_id, code_hash, request, wanted)
        return account_id

    async def _replace(self, account_id: UUID, code_hash: bytes, request: bytes, wanted: Registration) -> None:
        async with self._database.transaction() as tx:
            changed = await tx.fetchval(
                sql.RECOVER,
                account_id,
                code_hash,
                wanted.token_hash,
                wanted.recovery_hash,
                wanted.identity_key,
                wanted.registration_id,
                wanted.contact_access_hash,
                wanted.number_access_hash,
                request,
            )
            if changed is None:  # another request was first: perhaps the same one
                if await tx.fetchval(sql.RECOVERED_BY, account_id) == request:
                    return
                raise BadRecovery
            await replace_all_keys(tx, account_id, wanted.prekeys)
            await insert_one_time_keys(tx, account_id, wanted.prekeys)
            await tx.execute(identity_sql.DELETE_ENVELOPES, [account_id])
            await tx.execute(identity_sql.DELETE_SIGNALS, [account_id])
            await tx.execute(push_sql.UNSUBSCRIBE, account_id)  # the old phone's

    async def forget_tries(self) -> None:
        """Deletes what says no more than that an allowance is full. A chore of the sweeper.

        Raises:
            DatabaseUnavailable
        """
        await self._database.execute(sql.FORGET_TRIES, self._wall_clock())


def _slot(claim: UUID | bytes) -> int:
    named = b"account id" + claim.bytes if isinstance(claim, UUID) else b"phone token" + claim
    return int.from_bytes(hashlib.sha256(named).digest()[:4], "big") % SLOTS
