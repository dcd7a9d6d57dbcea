"""Prekeys on a real PostgreSQL: nothing handed out twice, nothing beyond the limits, no word to strangers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
import trio

from relay.database import Database
from relay.errors import BadSignature, NoAccess, TooManyPrekeys, Unauthorized
from relay.prekeys import Bundle, Prekeys, PrekeyUpload, Taken
from relay.services import Services
from tests.identity.members import Clock, Member

NO_LIMIT = 1_000_000


def _without_limit(database: Database, clock: Clock) -> Prekeys:
    return Prekeys(database, wall_clock=clock, takes_burst=NO_LIMIT, takes_per_hour=NO_LIMIT)


async def _registered(services: Services, one_time: int) -> tuple[Member, UUID]:
    code = (await services.invites.mint(ttl_s=60))[0].code
    member = Member()
    account_id = await services.accounts.register(code, member.registration(one_time))
    return member, account_id


async def test_a_bundle_is_what_was_uploaded(services: Services, invite_code: str) -> None:
    member = Member()
    wanted = member.registration(one_time=2)
    account_id = await services.accounts.register(invite_code, wanted)
    taken = await services.prekeys.take(account_id, member.contact_key)
    assert taken == Taken(
        Bundle(
            identity_key=member.identity_key,
            registration_id=4711,
            signed_prekey=wanted.prekeys.signed_prekey,
            prekey=wanted.prekeys.prekeys[0],
            kyber_prekey=wanted.prekeys.kyber_prekeys[0],
        ),
        prekeys_left=1,
        kyber_prekeys_left=1,
    )  # fmt: skip


async def test_when_one_time_keys_are_used_up_the_last_resort_stands_in(services: Services, invite_code: str) -> None:
    member = Member()
    wanted = member.registration(one_time=1)
    account_id = await services.accounts.register(invite_code, wanted)
    await services.prekeys.take(account_id, member.contact_key)
    for _ in range(2):
        taken = await services.prekeys.take(account_id, member.contact_key)
        assert taken.bundle.prekey is None
        assert taken.bundle.kyber_prekey == wanted.prekeys.last_resort_kyber_prekey
        assert (taken.prekeys_left, taken.kyber_prekeys_left) == (0, 0)


async def test_no_key_is_handed_out_twice_to_100_takers_at_once(
    services: Services, database: Database, clock: Clock
) -> None:
    member, account_id = await _registered(services, one_time=80)
    prekeys = _without_limit(database, clock)
    bundles: list[Bundle] = []

    async def take() -> None:
        bundles.append((await prekeys.take(account_id, member.contact_key)).bundle)

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(take)
    handed_out = [bundle.prekey for bundle in bundles if bundle.prekey is not None]
    kyber = [bundle.kyber_prekey.id for bundle in bundles if bundle.kyber_prekey.id != 1]
    # All are handed out, each once, and 20 come away with none: nobody waits for another in vain, nothing is skipped.
    assert sorted(key.id for key in handed_out) == list(range(2, 82))
    assert sorted(kyber) == list(range(2, 82))
    assert [bundle.kyber_prekey.id for bundle in bundles].count(1) == 20
    held = await prekeys.held(account_id)
    assert (held.prekeys, held.kyber_prekeys) == (0, 0)


async def test_takes_and_replacements_at_once_never_hand_out_a_key_twice(
    services: Services, database: Database, clock: Clock
) -> None:
    member, account_id = await _registered(services, one_time=20)
    prekeys = _without_limit(database, clock)
    handed_out: list[int] = []

    async def take() -> None:
        bundle = (await prekeys.take(account_id, member.contact_key)).bundle
        if bundle.prekey is not None:
            handed_out.append(bundle.prekey.id)

    async def put(first: int) -> None:
        await prekeys.put(account_id, PrekeyUpload(prekeys=member.prekeys(*range(first, first + 20))), replace=True)

    async with trio.open_nursery() as nursery:
        for turn in range(8):
            nursery.start_soon(put, 1000 * (turn + 1))
            for _ in range(5):
                nursery.start_soon(take)
    assert len(handed_out) == len(set(handed_out))


@pytest.mark.parametrize("stranger", ["unknown account", "wrong key", "closed number key"])
async def test_without_access_there_is_no_bundle_and_nothing_is_charged(
    services: Services, database: Database, member: Member, stranger: str
) -> None:
    account_id = uuid4() if stranger == "unknown account" else member.account_id
    assert account_id is not None
    key = member.contact_key if stranger == "unknown account" else bytes(16)
    before = await database.fetch("SELECT * FROM accounts")
    with pytest.raises(NoAccess):
        await services.prekeys.take(account_id, key)
    assert await database.fetch("SELECT * FROM accounts") == before
    assert await database.fetchval("SELECT count(*) FROM prekeys") == 3


async def _with_one_time_keys(prekeys: Prekeys, account_id: UUID, key: bytes, tries: int) -> list[bool]:
    return [(await prekeys.take(account_id, key)).bundle.prekey is not None for _ in range(tries)]


async def test_past_the_allowance_bundles_come_without_one_time_keys(
    services: Services, database: Database, clock: Clock
) -> None:
    member, account_id = await _registered(services, one_time=40)
    prekeys = Prekeys(database, wall_clock=clock, takes_burst=5, takes_per_hour=60)
    assert await _with_one_time_keys(prekeys, account_id, member.contact_key, 7) == [True] * 5 + [False] * 2
    clock.now += 59
    assert await _with_one_time_keys(prekeys, account_id, member.contact_key, 1) == [False]
    clock.now += 1  # one a minute comes back; the refused ones cost nothing
    assert await _with_one_time_keys(prekeys, account_id, member.contact_key, 2) == [True, False]
    clock.now += 86400  # never more than the burst
    assert await _with_one_time_keys(prekeys, account_id, member.contact_key, 6) == [True] * 5 + [False]
    clock.now -= 40 * 86400  # a clock that was set back may not open the gate, nor break anything
    assert await _with_one_time_keys(prekeys, account_id, member.contact_key, 1) == [False]


async def test_the_allowance_holds_for_takers_at_once(services: Services, database: Database, clock: Clock) -> None:
    member, account_id = await _registered(services, one_time=40)
    prekeys = Prekeys(database, wall_clock=clock, takes_burst=5, takes_per_hour=60)
    got: list[bool] = []

    async def take() -> None:
        got.extend(await _with_one_time_keys(prekeys, account_id, member.contact_key, 1))

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            nursery.start_soon(take)
    assert got.count(True) == 5


async def test_lists_are_appended_and_ids_that_are_held_stay(services: Services, member: Member) -> None:
    account_id = member.account_id
    assert account_id is not None
    upload = PrekeyUpload(prekeys=member.prekeys(4, 5, 6), kyber_prekeys=member.kyber_prekeys(4, 5))
    first = (await services.prekeys.take(account_id, member.contact_key)).bundle.prekey
    held = await services.prekeys.put(account_id, upload)
    assert (held.prekeys, held.kyber_prekeys) == (4, 3)
    assert await services.prekeys.held(account_id) == held
    taken = [(await services.prekeys.take(account_id, member.contact_key)).bundle.prekey for _ in range(5)]
    assert first is not None
    assert [key.id for key in taken if key is not None] == [3, 4, 5, 6]
    assert taken[1] not in upload.prekeys  # 4 was held already
    assert list(upload.prekeys[1:]) == taken[2:4]


async def test_replacing_lets_no_old_one_time_key_stand(services: Services, member: Member) -> None:
    assert member.account_id is not None
    held = await services.prekeys.put(member.account_id, PrekeyUpload(prekeys=member.prekeys(2, 9)), replace=True)
    assert (held.prekeys, held.kyber_prekeys) == (2, 0)


async def test_standing_keys_are_replaced_each_by_itself(services: Services, member: Member) -> None:
    account_id = member.account_id
    assert account_id is not None
    signed, kyber = member.signed_prekey(7), member.kyber_prekeys(8)[0]
    before = (await services.prekeys.take(account_id, member.contact_key)).bundle
    await services.prekeys.put(account_id, PrekeyUpload(signed_prekey=signed))
    held = await services.prekeys.put(account_id, PrekeyUpload(last_resort_kyber_prekey=kyber), replace=True)
    bundle = (await services.prekeys.take(account_id, member.contact_key)).bundle
    assert (bundle.signed_prekey, bundle.kyber_prekey) == (signed, kyber)
    assert bundle.signed_prekey != before.signed_prekey
    written = (
        member.identity_key + (7).to_bytes(4, "big") + signed.public_key + (8).to_bytes(4, "big") + kyber.public_key
    )
    assert held.digest == hashlib.sha256(written).digest()


@pytest.mark.parametrize("kind", ["prekeys", "kyber_prekeys"])
async def test_at_most_200_of_a_kind_are_held(services: Services, kind: str) -> None:
    member, account_id = await _registered(services, one_time=3)

    def upload(ids: Sequence[int]) -> PrekeyUpload:
        return PrekeyUpload(**{kind: getattr(member, kind)(*ids)})

    await services.prekeys.put(account_id, upload(range(100, 200)))
    await services.prekeys.put(account_id, upload(range(200, 297)))
    with pytest.raises(TooManyPrekeys):
        await services.prekeys.put(account_id, upload(range(290, 298)))  # all but the last are held already
    held = await services.prekeys.put(account_id, upload(range(290, 297)))
    assert getattr(held, kind) == 200
    held = await services.prekeys.put(account_id, upload(range(300, 400)), replace=True)
    assert getattr(held, kind) == 100


async def test_uploads_at_once_do_not_slip_past_the_limit(services: Services) -> None:
    member, account_id = await _registered(services, one_time=0)
    outcomes: list[str] = []

    async def put(first: int) -> None:
        try:
            await services.prekeys.put(account_id, PrekeyUpload(prekeys=member.prekeys(*range(first, first + 100))))
            outcomes.append("stored")
        except TooManyPrekeys:
            outcomes.append("refused")

    async with trio.open_nursery() as nursery:
        for turn in range(8):
            nursery.start_soon(put, 1000 * turn + 1)
    assert outcomes.count("stored") == 2
    assert (await services.prekeys.held(account_id)).prekeys == 200


async def test_an_upload_that_somebody_else_signed_stores_nothing(services: Services, member: Member) -> None:
    assert member.account_id is not None
    before = await services.prekeys.held(member.account_id)
    other = Member()
    for upload in (
        PrekeyUpload(signed_prekey=other.signed_prekey(), prekeys=member.prekeys(50)),
        PrekeyUpload(last_resort_kyber_prekey=other.kyber_prekeys(9)[0]),
        PrekeyUpload(kyber_prekeys=[*member.kyber_prekeys(50), *other.kyber_prekeys(51)]),
    ):
        with pytest.raises(BadSignature):
            await services.prekeys.put(member.account_id, upload, replace=True)
    assert await services.prekeys.held(member.account_id) == before


async def test_uploading_while_the_account_goes_ends_in_one_of_two_ways(services: Services, database: Database) -> None:
    """Neither a deadlock nor keys without an account."""
    for _ in range(10):
        member, account_id = await _registered(services, one_time=2)

        async def put(member: Member, account_id: UUID) -> None:
            try:
                await services.prekeys.put(account_id, PrekeyUpload(prekeys=member.prekeys(*range(50, 80))))
            except Unauthorized:
                return

        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(put, member, account_id)
            nursery.start_soon(services.accounts.delete, account_id)
    assert await database.fetchval("SELECT count(*) FROM prekeys") == 0
