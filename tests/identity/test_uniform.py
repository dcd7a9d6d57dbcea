"""No such account and a wrong secret take equally long: for a stranger who takes a bundle, posts or recovers, and for who logs in.

That they get the same answer is tested in test_http.py and test_recovery.py. For each call there is a variant with a shortcut, as somebody
might build one in with the best intentions; the comparison must convict it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from uuid import UUID, uuid4

import pytest

from relay.config import Settings
from relay.database import Database
from relay.errors import BadRecovery, NoAccess, Refusal, Unauthorized
from relay.mailbox import PostgresMailbox
from relay.partitions import keep_partitions
from relay.records import Posting
from relay.recovery import Recovery
from relay.services import Services
from tests.fakes import new_id
from tests.identity.members import Clock, Member
from tests.identity.timing import Comparison, Trial, compare

PAIRS = 500
SEED = 20261124
_KNOWN, _UNKNOWN = 8, 8

Try = Callable[[UUID], Awaitable[object]]
"""One call about this account, with a secret that is nobody's."""


@pytest.fixture
async def known(services: Services) -> list[UUID]:
    code = (await services.invites.mint(ttl_s=3600, uses=_KNOWN))[0].code
    return [await services.accounts.register(code, Member().registration(3)) for _ in range(_KNOWN)]


@pytest.fixture
async def mailbox(database: Database) -> AsyncIterator[PostgresMailbox]:
    settings = Settings()
    await keep_partitions(database, int(time.time()), settings.envelope_ttl_s)
    async with PostgresMailbox.open(settings, database) as opened:
        yield opened


def trials(attempt: Try, known: list[UUID]) -> tuple[Trial, Trial]:
    """The same attempt at accounts that are none, and at some that are."""
    lots = {True: list(known), False: [uuid4() for _ in range(_UNKNOWN)]}

    def in_turn(exists: bool) -> Trial:
        async def one() -> None:
            lots[exists].append(account_id := lots[exists].pop(0))
            await attempt(account_id)

        return one

    return in_turn(False), in_turn(True)


async def convicts(attempt: Try, known: list[UUID], exists: Try) -> Comparison:
    """The comparison of a variant that looks first whether there is such an account."""

    async def shortcut(account_id: UUID) -> None:
        if await exists(account_id):
            await attempt(account_id)

    return await compare(*trials(shortcut, known), pairs=PAIRS // 4, seed=SEED)


def attempts(services: Services, database: Database, clock: Clock, mailbox: PostgresMailbox) -> dict[str, Try]:
    recovery = Recovery(database, wall_clock=clock, burst=10**6, per_hour=10**6)
    wanted = Member().registration(0)
    body = bytes(1024)

    async def log_in(account_id: UUID) -> None:
        with pytest.raises(Unauthorized):
            await services.accounts.authenticate(account_id, secrets.token_bytes(32))

    async def take(account_id: UUID) -> None:
        with pytest.raises(NoAccess):
            await services.prekeys.take(account_id, secrets.token_bytes(16))

    async def recover(account_id: UUID) -> None:
        with pytest.raises(BadRecovery):
            await recovery.recover(account_id, secrets.token_bytes(32), wanted)

    async def post(account_id: UUID) -> None:
        now = int(time.time())
        access = hashlib.sha256(secrets.token_bytes(16)).digest()
        posting = Posting(account_id, new_id(now), access, body, now, now + 60, 0)
        assert await mailbox.put([posting]) == [Refusal.NO_ACCESS]

    return {"log in": log_in, "take": take, "recover": recover, "post": post}


CALLS = pytest.mark.parametrize("call", ["log in", "take", "recover", "post"])


@CALLS
async def test_no_account_and_a_wrong_secret_take_equally_long(
    services: Services, database: Database, clock: Clock, mailbox: PostgresMailbox, known: list[UUID], call: str
) -> None:
    attempt = attempts(services, database, clock, mailbox)[call]
    compared = await compare(*trials(attempt, known), pairs=PAIRS, seed=SEED)
    assert compared.alike, compared


@CALLS
async def test_a_shortcut_is_convicted(
    services: Services, database: Database, clock: Clock, mailbox: PostgresMailbox, known: list[UUID], call: str
) -> None:
    attempt = attempts(services, database, clock, mailbox)[call]

    async def exists(account_id: UUID) -> bool:
        with suppress(Unauthorized):
            return bool(await services.accounts.identity_key(account_id))
        return False

    compared = await convicts(attempt, known, exists)
    assert not compared.alike, compared


# -- looking up --------------------------------------------------------------------------------------------------------


async def _findable(services: Services) -> list[bytes]:
    members = [Member(phone_token=secrets.token_bytes(32), number_key=secrets.token_bytes(16)) for _ in range(10)]
    code = (await services.invites.mint(ttl_s=3600, uses=len(members)))[0].code
    for member in members:
        await services.accounts.register(code, member.registration(0))
    return [member.phone_token for member in members if member.phone_token is not None]


def _filled_up(tokens: list[bytes]) -> list[bytes]:
    return [*tokens, *(secrets.token_bytes(32) for _ in range(100 - len(tokens)))]


async def test_a_look_up_takes_as_long_whatever_it_finds(services: Services) -> None:
    """Ten of a hundred are members, or none: one statement either way."""
    tokens = await _findable(services)

    async def none() -> None:
        assert (await services.discovery.look_up(_filled_up([]))).count(None) == 100

    async def ten() -> None:
        assert (await services.discovery.look_up(_filled_up(tokens))).count(None) == 90

    compared = await compare(none, ten, pairs=PAIRS, seed=SEED)
    assert compared.alike, compared


async def test_a_look_up_that_fetches_what_it_found_is_convicted(services: Services) -> None:
    tokens = await _findable(services)

    async def look_up(asked: list[bytes]) -> None:
        for account_id in await services.discovery.look_up(asked):
            if account_id is not None:
                await services.accounts.identity_key(account_id)
                return

    compared = await compare(
        lambda: look_up(_filled_up([])), lambda: look_up(_filled_up(tokens)), pairs=PAIRS // 4, seed=SEED
    )
    assert not compared.alike, compared
