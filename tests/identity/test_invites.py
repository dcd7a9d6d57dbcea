"""Invites: minted, looked at, spent, forgotten."""

from __future__ import annotations

import pytest

from relay.database import Database
from relay.errors import BadInvite
from relay.frames import from_b64
from relay.invites import CODE_LENGTH, REPLAY_GRACE_S, Invites
from relay.services import Services
from tests.identity.members import Clock, Member


async def test_a_code_has_24_characters_and_only_its_hash_is_stored(services: Services, database: Database) -> None:
    minted = await services.invites.mint(count=3, uses=2, ttl_s=60)
    assert len({one.code for one in minted}) == 3
    assert {len(one.code) for one in minted} == {CODE_LENGTH}
    row = await database.fetchrow(
        "SELECT count(*) AS rows, sum(uses_left) AS uses, string_agg(invites::text, ' ') AS all FROM invites"
    )
    assert row is not None
    assert (row["rows"], row["uses"]) == (3, 6)
    assert not any(one.code in row["all"] or one.code.encode().hex() in row["all"] for one in minted)


async def test_the_link_keeps_everything_in_the_fragment(services: Services) -> None:
    invite = (await services.invites.mint(ttl_s=60))[0]
    link = invite.link("https://relay.example/", services.trust_root, services.voprf_public_key, b"s" * 32)
    address, _, fragment = link.partition("#")
    assert address == "https://relay.example/join"
    parts = dict(part.split("=") for part in fragment.split("&"))
    assert parts.pop("c") == invite.code
    told = {"t": services.trust_root, "v": services.voprf_public_key, "s": b"s" * 32}
    assert {key: from_b64(value) for key, value in parts.items()} == told


async def test_a_code_is_good_until_it_expires(services: Services, clock: Clock) -> None:
    invite = (await services.invites.mint(ttl_s=60))[0]
    assert invite.expires_at == clock() + 60
    clock.now += 59
    await services.invites.check(invite.code)
    clock.now += 1
    with pytest.raises(BadInvite):
        await services.invites.check(invite.code)
    with pytest.raises(BadInvite):
        await services.accounts.register(invite.code, Member().registration())


async def test_what_was_never_minted_is_refused(services: Services) -> None:
    wanted = Member().registration()
    for code in ("", "0" * 23, "0" * 24, "0" * 25, "ä" * 24, "\0" * 24):
        with pytest.raises(BadInvite):
            await services.invites.check(code)
        with pytest.raises(BadInvite):
            await services.accounts.register(code, wanted)


async def test_the_sweep_forgets_a_day_after_the_expiry(database: Database, clock: Clock) -> None:
    invites = Invites(database, wall_clock=clock)
    await invites.mint(ttl_s=60)
    clock.now += 60 + REPLAY_GRACE_S - 1
    await invites.forget_expired()
    assert await database.fetchval("SELECT count(*) FROM invites") == 1
    clock.now += 1
    await invites.forget_expired()
    assert await database.fetchval("SELECT count(*) FROM invites") == 0
