"""Recovering an account: what it replaces, who may, and what a try tells whom."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
import trio

from relay.accounts import Registration
from relay.database import Database
from relay.errors import BadRecovery, BadSignature, NoAccess, RateLimited, Unauthorized
from relay.frames import to_b64
from relay.recovery import SLOTS, Recovery
from relay.services import Services
from tests.identity.conftest import Answer, Http, serve
from tests.identity.members import Clock, Member, sha256

CODE = b"recovery"  # whose hash tests/identity/members.py registers


@pytest.fixture
async def numbered(services: Services) -> Member:
    """A member with a number, open to strangers."""
    member = Member(phone_token=secrets.token_bytes(32), number_key=b"n" * 16)
    code = (await services.invites.mint(ttl_s=3600))[0].code
    member.account_id = await services.accounts.register(code, member.registration())
    return member


def new_phone(old: Member) -> Member:
    """Everything but the account is new."""
    return Member(account_id=old.account_id)


def wanted(phone: Member, one_time: int = 5) -> Registration:
    return phone.registration(one_time)._replace(recovery_hash=sha256(b"the next recovery code"))


def account_of(member: Member) -> UUID:
    assert member.account_id is not None
    return member.account_id


async def post_to(database: Database, account_id: UUID) -> None:
    await database.execute(
        "CREATE TABLE envelopes_test PARTITION OF envelopes FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"
    )
    await database.execute("INSERT INTO envelopes VALUES ($1, $2, 1, 1, false, $3)", account_id, uuid4(), bytes(1024))
    await database.execute("INSERT INTO signals VALUES ($1, $2, 1, now(), $3)", account_id, uuid4(), bytes(1024))


@pytest.mark.parametrize("by_number", [False, True], ids=["by account id", "by phone token"])
async def test_everything_of_the_old_phone_is_void(
    services: Services, database: Database, numbered: Member, by_number: bool
) -> None:
    account_id = account_of(numbered)
    await post_to(database, account_id)
    phone = new_phone(numbered)
    claim = numbered.phone_token if by_number else account_id
    assert claim is not None
    assert await services.recovery.recover(claim, CODE, wanted(phone)) == account_id

    await services.accounts.authenticate(account_id, phone.secret)
    with pytest.raises(Unauthorized):
        await services.accounts.authenticate(account_id, numbered.secret)
    for key in (numbered.contact_key, b"n" * 16):
        with pytest.raises(NoAccess):
            await services.prekeys.take(account_id, key)
    taken = await services.prekeys.take(account_id, phone.contact_key)
    assert taken.bundle.identity_key == phone.identity_key
    assert (taken.prekeys_left, taken.kyber_prekeys_left) == (4, 4)
    held = await services.accounts.describe(account_id)
    assert (held.phone_token, held.recoveries, held.open_to_number) == (numbered.phone_token, 1, False)
    assert held.waiting_envelopes == 0
    assert await database.fetchval("SELECT count(*) FROM signals") == 0
    # The code that was used is void too, for any other request.
    with pytest.raises(BadRecovery):
        await services.recovery.recover(claim, CODE, wanted(new_phone(numbered)))
    await services.recovery.recover(claim, b"the next recovery code", wanted(new_phone(numbered)))
    assert await database.fetchval("SELECT session_epoch FROM accounts") == 2 << 32


async def test_a_lost_answer_can_be_asked_for_again(services: Services, database: Database, member: Member) -> None:
    account_id, phone = account_of(member), new_phone(member)
    await services.recovery.recover(account_id, CODE, wanted(phone))
    before = await database.fetchrow("SELECT accounts::text FROM accounts")
    # One-time keys may be others by now; what counts is who asks.
    assert await services.recovery.recover(account_id, CODE, wanted(phone, 7)) == account_id
    assert await database.fetchrow("SELECT accounts::text FROM accounts") == before
    assert await database.fetchval("SELECT count(*) FROM prekeys") == 5
    for other in (replace(phone, secret=bytes(32)), replace(phone, identity_private=Member().identity_private)):
        with pytest.raises(BadRecovery):
            await services.recovery.recover(account_id, CODE, wanted(other))


async def test_of_many_at_once_one_recovers(services: Services, database: Database, member: Member) -> None:
    account_id = account_of(member)
    phones = [new_phone(member) for _ in range(5)]
    done: list[Member] = []

    async def recover(phone: Member) -> None:
        try:
            await services.recovery.recover(account_id, CODE, wanted(phone, 1))
        except BadRecovery:
            return
        done.append(phone)

    async with trio.open_nursery() as nursery:
        for phone in phones:
            nursery.start_soon(recover, phone)
            nursery.start_soon(recover, phone)  # its own retry, overtaking
    assert [one.identity_key for one in done] == [done[0].identity_key] * 2
    assert await database.fetchval("SELECT identity_key FROM accounts") == done[0].identity_key
    assert await database.fetchval("SELECT count(*) FROM prekeys") == 1


async def test_keys_that_the_new_identity_did_not_sign_change_nothing(
    services: Services, database: Database, member: Member
) -> None:
    before = await database.fetchrow("SELECT accounts::text FROM accounts")
    phone = new_phone(member)
    bad = wanted(phone)
    bad = bad._replace(prekeys=bad.prekeys._replace(signed_prekey=member.signed_prekey()))
    with pytest.raises(BadSignature):
        await services.recovery.recover(account_of(member), CODE, bad)
    with pytest.raises(BadRecovery):  # who does not know the code does not hear of signatures
        await services.recovery.recover(account_of(member), b"wrong", bad)
    assert await database.fetchrow("SELECT accounts::text FROM accounts") == before


async def test_prekeys_that_were_on_their_way_from_the_old_phone_are_refused(
    services: Services, database: Database, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their signatures were good when they were checked, and would be the old identity's under the new one."""
    account_id = account_of(member)

    async def recovered_meanwhile(*_: object) -> None:
        await services.recovery.recover(account_id, CODE, wanted(new_phone(member)))

    with monkeypatch.context() as patch:
        real = services.prekeys.put
        patch.setattr("relay.prekeys.require_signed", recovered_meanwhile)
        with pytest.raises(Unauthorized):
            await real(account_id, member.upload())
    assert await database.fetchval("SELECT count(*) FROM prekeys") == 5


# -- tries -------------------------------------------------------------------------------------------------------------


async def _tries(recovery: Recovery, claim: UUID | bytes, code: bytes) -> list[int | None]:
    """Seconds to wait of the tries 11 and 12, after ten that were judged."""
    phone = Member()
    for _ in range(10):
        with pytest.raises(BadRecovery):
            await recovery.recover(claim, code, wanted(phone, 0))
    waits = []
    for _ in range(2):
        with pytest.raises(RateLimited) as refused:
            await recovery.recover(claim, CODE, wanted(phone, 0))
        waits.append(refused.value.retry_after_s)
    return waits


async def test_tries_are_limited_alike_for_accounts_and_for_none(
    services: Services, clock: Clock, numbered: Member, member: Member
) -> None:
    assert numbered.phone_token is not None
    claims = [account_of(numbered), numbered.phone_token, account_of(member), uuid4(), secrets.token_bytes(32)]
    for claim in claims:
        assert await _tries(services.recovery, claim, b"wrong") == [360, 360], claim
    clock.now += 360
    assert await services.recovery.recover(claims[0], CODE, wanted(new_phone(numbered))) == claims[0]
    with pytest.raises(RateLimited):
        await services.recovery.recover(claims[0], CODE, wanted(new_phone(numbered)))


async def test_slots_are_few_and_empty_again(services: Services, database: Database, clock: Clock) -> None:
    for n in range(30):
        with pytest.raises(BadRecovery):
            await services.recovery.recover(UUID(int=n), b"wrong", wanted(Member(), 0))
    assert await database.fetchval("SELECT count(*) FROM recovery_tries WHERE slot BETWEEN 0 AND $1", SLOTS - 1) == 30
    clock.now += 360
    await services.recovery.forget_tries()
    assert await database.fetchval("SELECT count(*) FROM recovery_tries") == 0


# -- over HTTP ---------------------------------------------------------------------------------------------------------


def body_of(phone: Member, code: bytes, **named: Any) -> dict[str, Any]:
    return phone.registration_body() | {"recovery_code": to_b64(code)} | named


async def recover(http: Http, phone: Member, code: bytes, **named: Any) -> Answer:
    return await http("POST", "/v1/accounts/recover", json=body_of(phone, code, **named))


async def test_a_recovery_over_http(services: Services) -> None:
    heard: list[UUID] = []

    async def account_ended(account_id: UUID) -> None:
        heard.append(account_id)

    code = secrets.token_bytes(32)
    http = serve(replace(services, account_ended=account_ended))
    old = Member()
    invite = (await services.invites.mint(ttl_s=60))[0].code
    old.account_id = await services.accounts.register(invite, old.registration()._replace(recovery_hash=sha256(code)))
    phone = new_phone(old)
    assert (await recover(http, phone, bytes(32), account_id=str(old.account_id))).code == "bad_recovery"
    assert heard == []
    answer = await recover(http, phone, code, account_id=str(old.account_id))
    assert (answer.status, answer.json) == (200, {"account_id": str(old.account_id)})
    assert heard == [old.account_id]
    assert (await http("GET", "/v1/account", auth=old.bearer)).status == 401
    described = await http("GET", "/v1/account", auth=phone.bearer)
    assert (described.status, described.json["recoveries"]) == (200, 1)
    again = await recover(http, phone, code, account_id=str(old.account_id))
    assert (again.status, again.raw) == (answer.status, answer.raw)


async def test_no_account_and_a_wrong_code_are_one_answer(http: Http, numbered: Member) -> None:
    answers = set()
    claims: list[dict[str, Any]] = [
        {"account_id": str(numbered.account_id)},
        {"account_id": str(uuid4())},
        {"phone_token": to_b64(numbered.phone_token or b"")},
        {"phone_token": to_b64(secrets.token_bytes(32))},
    ]
    for claim in claims:
        answer = await recover(http, Member(), bytes(32), **claim)
        assert (answer.status, answer.code) == (401, "bad_recovery")
        answers.add((answer.raw, tuple(sorted(answer.headers.items()))))
    assert len(answers) == 1


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"account_id": None, "phone_token": None},
        {"account_id": str(uuid4()), "phone_token": to_b64(bytes(32))},
        {"account_id": "nobody"},
        {"phone_token": to_b64(bytes(31))},
    ],
)
async def test_an_account_is_named_once(http: Http, named: dict[str, Any]) -> None:
    answer = await recover(http, Member(), bytes(32), **named)
    assert (answer.status, answer.code) == (400, "bad_request")


async def test_a_login_is_no_part_of_it(http: Http, member: Member) -> None:
    body = body_of(member, bytes(32), account_id=str(member.account_id))
    answer = await http("POST", "/v1/accounts/recover", auth=member.bearer, json=body)
    assert (answer.status, answer.json["fields"]) == (400, ["Authorization"])


# -- how fast an invite registers --------------------------------------------------------------------------------------


async def test_an_invite_registers_so_many_at_once_and_so_many_an_hour(
    services: Services, database: Database, clock: Clock
) -> None:
    from relay.accounts import Accounts
    from relay.invites import RegistrationPace

    accounts = Accounts(database, wall_clock=clock, pace=RegistrationPace(burst=3, one_s=60))
    code = (await services.invites.mint(uses=10, ttl_s=3600))[0].code
    members = [Member() for _ in range(4)]
    for member in members[:3]:
        await accounts.register(code, member.registration(0))
    with pytest.raises(RateLimited) as refused:
        await accounts.register(code, members[3].registration(0))
    assert refused.value.retry_after_s == 60
    await accounts.register(code, members[0].registration(0))  # an answer that was lost is not limited
    assert await database.fetchval("SELECT uses_left FROM invites") == 7
    clock.now += 60
    await accounts.register(code, members[3].registration(0))
