"""Prekeys: what somebody needs to start an encrypted session with a member who is not there (PQXDH).

Public halves only. One-time keys are handed out once and deleted as they are; the signed prekey and the last-resort Kyber prekey stand until
they are replaced.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import trio

from relay.database import Database, Queries
from relay.errors import BadSignature, NoAccess, TooManyPrekeys, Unauthorized
from relay.frames import PREKEYS_MAX_EACH
from relay.queries import identity as sql
from relay.xeddsa_signatures import verifies


class Prekey(NamedTuple):
    """A one-time EC prekey: `public_key` has 33 bytes."""

    id: int
    public_key: bytes


class SignedPrekey(NamedTuple):
    """A prekey (33 bytes) or Kyber prekey (1569 bytes) with its XEdDSA signature (64 bytes) under the identity key."""

    id: int
    public_key: bytes
    signature: bytes


class PrekeyUpload(NamedTuple):
    """What an app puts; None leaves a standing key as it is."""

    signed_prekey: SignedPrekey | None = None
    last_resort_kyber_prekey: SignedPrekey | None = None
    prekeys: Sequence[Prekey] = ()
    kyber_prekeys: Sequence[SignedPrekey] = ()

    def signed_keys(self) -> list[SignedPrekey]:
        """All that carries a signature."""
        standing = [key for key in (self.signed_prekey, self.last_resort_kyber_prekey) if key is not None]
        return [*standing, *self.kyber_prekeys]


class HeldPrekeys(NamedTuple):
    """One-time keys that are left, and the digest by which an app knows that the relay gives out what it uploaded."""

    prekeys: int
    kyber_prekeys: int
    digest: bytes


class Bundle(NamedTuple):
    """What one take hands out. `kyber_prekey` is a one-time key or the last-resort one; nothing tells which."""

    identity_key: bytes
    registration_id: int
    signed_prekey: SignedPrekey
    prekey: Prekey | None
    kyber_prekey: SignedPrekey


class Taken(NamedTuple):
    """A bundle, and how many one-time keys are left after it (a few too many when others take at the same moment)."""

    bundle: Bundle
    prekeys_left: int
    kyber_prekeys_left: int


async def require_signed(identity_key: bytes, keys: Sequence[SignedPrekey]) -> None:
    """Checks every signature, in a worker thread: 100 of them are 6 ms in which the relay would serve nobody.

    Raises:
        BadSignature: one does not verify under the identity key.
    """

    def all_verify() -> bool:
        return all(verifies(identity_key, key.public_key, key.signature) for key in keys)

    if not await trio.to_thread.run_sync(all_verify):
        raise BadSignature


def digest_of(identity_key: bytes, signed_id: int, signed_key: bytes, kyber_id: int, kyber_key: bytes) -> bytes:
    """SHA-256 over the standing keys, as docs/protocol.md lays them out (section Keys)."""
    return hashlib.sha256(
        identity_key + struct.pack(">I", signed_id) + signed_key + struct.pack(">I", kyber_id) + kyber_key
    ).digest()


async def insert_standing_keys(tx: Queries, account_id: UUID, upload: PrekeyUpload) -> None:
    """The standing keys of a new account; `upload` has both."""
    await tx.execute(sql.INSERT_STANDING_PREKEYS, account_id, *_standing(upload))


async def replace_all_keys(tx: Queries, account_id: UUID, upload: PrekeyUpload) -> None:
    """Both standing keys are replaced, and all one-time keys that are left go. For an account whose identity key has changed."""
    await tx.execute(sql.REPLACE_STANDING_PREKEYS, account_id, *_standing(upload))
    await tx.execute(sql.DELETE_PREKEYS, account_id)
    await tx.execute(sql.DELETE_KYBER_PREKEYS, account_id)


async def insert_one_time_keys(tx: Queries, account_id: UUID, upload: PrekeyUpload) -> None:
    """Adds the one-time keys whose ids are not held yet."""
    if upload.prekeys:
        ids, keys = zip(*upload.prekeys, strict=True)
        await tx.execute(sql.INSERT_PREKEYS, account_id, ids, keys)
    if upload.kyber_prekeys:
        ids, keys, signatures = zip(*upload.kyber_prekeys, strict=True)
        await tx.execute(sql.INSERT_KYBER_PREKEYS, account_id, ids, keys, signatures)


class Prekeys:
    """Prekeys in PostgreSQL.

    `wall_clock` gives seconds since 1970. One account gives out `takes_burst` bundles with one-time keys at once, and
    `takes_per_hour` in the long run, so that nobody who has access can drain them.
    """

    def __init__(
        self, database: Database, *, wall_clock: Callable[[], float], takes_burst: int, takes_per_hour: int
    ) -> None:
        self._database = database
        self._wall_clock = wall_clock
        self._one_take_s = 3600 / takes_per_hour
        self._all_takes_s = self._one_take_s * takes_burst

    async def held(self, account_id: UUID) -> HeldPrekeys:
        """Counts and digest.

        Raises:
            Unauthorized: the account is gone.
            DatabaseUnavailable
        """
        return _held(await self._database.fetchrow(sql.HELD_PREKEYS, account_id))

    async def put(self, account_id: UUID, upload: PrekeyUpload, *, replace: bool = False) -> HeldPrekeys:
        """Stores what is uploaded; with `replace`, all one-time keys that are left go first. All of it or nothing.

        Raises:
            BadSignature: one does not verify under the account's identity key.
            TooManyPrekeys: more than PREKEYS_MAX_EACH of a kind would be held.
            Unauthorized: the account is gone.
            DatabaseUnavailable: the same call again is safe.
        """
        identity_key = await self._database.fetchval(sql.IDENTITY_KEY, account_id)
        if identity_key is None:
            raise Unauthorized
        # The curve operations stay out of the transaction.
        await require_signed(identity_key, upload.signed_keys())
        async with self._database.transaction() as tx:
            if await tx.fetchval(sql.LOCK_STANDING_PREKEYS, account_id) != identity_key:
                raise Unauthorized  # the account is gone, or was recovered meanwhile, and with it the token is void
            if upload.signed_prekey is not None or upload.last_resort_kyber_prekey is not None:
                await tx.execute(sql.REPLACE_STANDING_PREKEYS, account_id, *_standing(upload))
            if replace:
                await tx.execute(sql.DELETE_PREKEYS, account_id)
                await tx.execute(sql.DELETE_KYBER_PREKEYS, account_id)
            await insert_one_time_keys(tx, account_id, upload)
            held = _held(await tx.fetchrow(sql.HELD_PREKEYS, account_id))
            if max(held.prekeys, held.kyber_prekeys) > PREKEYS_MAX_EACH:
                raise TooManyPrekeys
        return held

    async def take(self, account_id: UUID, access_key: bytes) -> Taken:
        """Hands out one bundle. No one-time key is handed out twice; past the allowance the bundle has none.

        One statement, whose work is the same for an account that does not exist and a key that does not open it. (Comparing hashes in SQL is no
        constant-time comparison, and need not be: nobody can choose the hash of a key byte by byte without trying keys.)

        Raises:
            NoAccess: no such account, or the key does not open it.
            DatabaseUnavailable: a one-time key may be lost, which costs its owner one key.
        """
        access_hash = hashlib.sha256(access_key).digest()
        row = await self._database.fetchrow(
            sql.TAKE_BUNDLE, account_id, access_hash, self._wall_clock(), self._one_take_s, self._all_takes_s
        )
        if row is None:
            raise NoAccess
        bundle = Bundle(
            identity_key=row["identity_key"],
            registration_id=row["registration_id"],
            signed_prekey=SignedPrekey(row["signed_id"], row["signed_key"], row["signed_signature"]),
            prekey=None if row["prekey_id"] is None else Prekey(row["prekey_id"], row["prekey_key"]),
            kyber_prekey=SignedPrekey(row["kyber_id"], row["kyber_key"], row["kyber_signature"]),
        )
        return Taken(bundle, row["prekeys_left"], row["kyber_prekeys_left"])


def _standing(upload: PrekeyUpload) -> tuple[Any, ...]:
    nothing = (None, None, None)
    return (*(upload.signed_prekey or nothing), *(upload.last_resort_kyber_prekey or nothing))


def _held(row: Any) -> HeldPrekeys:
    if row is None:
        raise Unauthorized
    digest = digest_of(row["identity_key"], row["signed_id"], row["signed_key"], row["kyber_id"], row["kyber_key"])
    return HeldPrekeys(row["prekeys"], row["kyber_prekeys"], digest)
