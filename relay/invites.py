"""Invites: minted by the operator, spent by registering. The relay keeps SHA-256 of a code, so its database mints nobody an account."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from math import ceil
from typing import Final, NamedTuple

from relay.database import Database, Queries
from relay.errors import BadInvite, RateLimited
from relay.frames import to_b64
from relay.queries import identity as sql

CODE_LENGTH: Final = 24
# Crockford's base32 in lower case: nothing that a person takes for something else. 24 of them carry 120 bits, so guessing is hopeless and
# needs no counting of tries.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
EVALUATIONS_A_USE: Final = 3
"""A newcomer has one number to be evaluated, and may lose an answer."""
REPLAY_GRACE_S: Final = 86400
"""A registration can be asked for again until this long after its invite expired."""


class Invite(NamedTuple):
    """A code in the clear, as it is only ever held by whoever was given it; `expires_at` in seconds since 1970."""

    code: str
    expires_at: int
    uses: int

    def link(self, public_url: str, trust_root: bytes, voprf_public_key: bytes, app_salt: bytes) -> str:
        """What an operator hands out (docs/protocol.md). All of it that matters is in the fragment, which browsers send to nobody."""
        fragment = {"c": self.code, "t": to_b64(trust_root), "v": to_b64(voprf_public_key), "s": to_b64(app_salt)}
        return f"{public_url.rstrip('/')}/join#" + "&".join(f"{key}={value}" for key, value in fragment.items())


def hash_of(code: str) -> bytes:
    """What the relay stores of a code.

    Raises:
        BadInvite: it cannot be a code.
    """
    if len(code) != CODE_LENGTH or not code.isascii():
        raise BadInvite
    return hashlib.sha256(code.encode("ascii")).digest()


class LockedInvite(NamedTuple):
    """Times in seconds since 1970; `registrations_full_at`: when its allowance of registrations is full again, None if it always was."""

    expires_at: float
    registrations_full_at: float | None


class Invites:
    """Invites in PostgreSQL. `wall_clock` gives seconds since 1970."""

    def __init__(self, database: Database, *, wall_clock: Callable[[], float]) -> None:
        self._database = database
        self._wall_clock = wall_clock

    async def mint(
        self, *, count: int = 1, uses: int = 1, ttl_s: float, phone_token: bytes | None = None
    ) -> list[Invite]:
        """Makes `count` invites of `uses` registrations each, valid for `ttl_s` from now; with `phone_token`, for that number alone.

        Raises:
            DatabaseUnavailable: perhaps stored, perhaps not; nobody knows the codes, so nothing is lost by minting again.
        """
        expires_at = int(self._wall_clock() + ttl_s)
        invites = [
            Invite("".join(secrets.choice(_ALPHABET) for _ in range(CODE_LENGTH)), expires_at, uses)
            for _ in range(count)
        ]
        hashes = [hash_of(invite.code) for invite in invites]
        await self._database.execute(
            sql.MINT_INVITES, hashes, float(expires_at), uses, uses * EVALUATIONS_A_USE, phone_token
        )
        return invites

    async def check(self, code: str) -> None:
        """A cheap look before a large body is read and its signatures are checked; what counts is `spend`.

        Raises:
            BadInvite: unknown, used up (and by no registration that could be asked for again) or expired.
            DatabaseUnavailable
        """
        if not await self._database.fetchval(sql.INVITE_IS_KNOWN, hash_of(code), self._wall_clock()):
            raise BadInvite

    async def spend_evaluations(self, code: str, count: int) -> None:
        """Takes `count` evaluations of the oblivious function from those that come with the invite: all of them or none.

        Raises:
            BadInvite: there is no such invite.
            RateLimited: fewer are left. They do not come back; the wait is until the invite has expired.
            DatabaseUnavailable: perhaps taken, perhaps not.
        """
        row = await self._database.fetchrow(sql.SPEND_EVALUATIONS, hash_of(code), count)
        if row is None:
            raise BadInvite
        if not row["spent"]:
            raise RateLimited(retry_after_s=max(1, ceil(row["expires_at"] - self._wall_clock())))

    async def forget_expired(self) -> None:
        """Deletes invites a day after they expired, and what would let their registrations be asked for again."""
        now = self._wall_clock()
        await self._database.execute(sql.FORGET_INVITES, now, float(REPLAY_GRACE_S))
        await self._database.execute(sql.FORGET_REGISTRATIONS, now)


class RegistrationPace(NamedTuple):
    """How fast one invite registers people: `burst` at once, one more every `one_s` seconds. It gives the operator of an invite with many
    uses that went astray some time to notice."""

    burst: int
    one_s: float


async def lock(tx: Queries, code_hash: bytes) -> LockedInvite | None:
    """Has others who register under this code wait until the caller's transaction has ended; None if there is no such invite."""
    row = await tx.fetchrow(sql.LOCK_INVITE, code_hash)
    return None if row is None else LockedInvite(*row)


async def spend(
    tx: Queries,
    code_hash: bytes,
    locked: LockedInvite | None,
    now: float,
    phone_token: bytes | None,
    pace: RegistrationPace,
) -> None:
    """Takes one use of an invite that `lock` found, as part of the same transaction.

    Raises:
        BadInvite: unknown, used up, expired, or bound to another number than that of `phone_token`.
        RateLimited: it was used too often of late.
    """
    full_at = max(now, (locked and locked.registrations_full_at) or now) + pace.one_s
    if await tx.fetchval(sql.SPEND_INVITE, code_hash, now, phone_token, full_at) is None:
        raise BadInvite
    if full_at > now + pace.burst * pace.one_s:  # after the invite was found good, so that it says nothing about others
        raise RateLimited(retry_after_s=max(1, ceil(full_at - now - pace.burst * pace.one_s)))
