"""Accounts on a real PostgreSQL: registering once, whatever happens; proving; leaving."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import pytest
import trio

from relay.accounts import AccessChange, AccountDescription, Registration
from relay.database import Database, Queries
from relay.errors import BadInvite, BadSignature, NoAccess, NumberTaken, Unauthorized
from relay.invites import REPLAY_GRACE_S
from relay.scarce_limits import Allowance
from relay.services import Services
from tests.identity.members import Clock, Member, sha256

TABLES = ("accounts", "registrations", "standing_prekeys", "prekeys", "kyber_prekeys")


async def _rows(database: Database) -> dict[str, int]:
    return {table: await database.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES}


async def test_registering_stores_the_account_with_its_keys(
    services: Services, database: Database, invite_code: str
) -> None:
    member = Member(phone_token=secrets.token_bytes(32))
    account_id = await services.accounts.register(invite_code, member.registration(one_time=5))
    assert account_id.version == 4
    assert await _rows(database) == {
        "accounts": 1, "registrations": 1, "standing_prekeys": 1, "prekeys": 5, "kyber_prekeys": 5,
    }  # fmt: skip


async def test_the_same_again_gives_the_same_answer_and_changes_nothing(
    services: Services, database: Database, invite_code: str
) -> None:
    member = Member()
    first = await services.accounts.register(invite_code, member.registration())
    before = await _rows(database)
    # An app that asks again may have made other one-time keys meanwhile; what counts is who asks.
    assert await services.accounts.register(invite_code, member.registration(one_time=7)) == first
    assert await _rows(database) == before


async def test_an_answer_can_be_asked_for_until_a_day_after_the_expiry(
    services: Services, clock: Clock, invite_code: str
) -> None:
    member = Member()
    first = await services.accounts.register(invite_code, member.registration())
    clock.now += 3600 + REPLAY_GRACE_S - 1
    await services.invites.forget_expired()
    await services.invites.check(invite_code)
    assert await services.accounts.register(invite_code, member.registration()) == first
    clock.now += 1
    with pytest.raises(BadInvite):
        await services.invites.check(invite_code)
    with pytest.raises(BadInvite):
        await services.accounts.register(invite_code, member.registration())


async def test_a_used_invite_is_no_use_to_anybody_else(services: Services, invite_code: str) -> None:
    member = Member()
    await services.accounts.register(invite_code, member.registration())
    with pytest.raises(BadInvite):
        await services.accounts.register(invite_code, Member().registration())
    # Whoever knows code and identity key (it is public) but not the token is somebody else too.
    stranger = Member(identity_private=member.identity_private)
    with pytest.raises(BadInvite):
        await services.accounts.register(invite_code, stranger.registration())


async def test_the_same_identity_with_another_token_is_refused_while_uses_are_left(services: Services) -> None:
    code = (await services.invites.mint(uses=5, ttl_s=60))[0].code
    member = Member()
    await services.accounts.register(code, member.registration())
    with pytest.raises(BadInvite):
        await services.accounts.register(code, Member(identity_private=member.identity_private).registration())
    await services.accounts.register(code, Member().registration())


async def _outcomes(services: Services, code: str, wanted: list[Registration]) -> list[UUID | type[Exception]]:
    outcomes: list[UUID | type[Exception]] = []

    async def register(one: Registration) -> None:
        try:
            outcomes.append(await services.accounts.register(code, one))
        except (BadInvite, NumberTaken) as error:
            outcomes.append(type(error))

    async with trio.open_nursery() as nursery:
        for one in wanted:
            nursery.start_soon(register, one)
    return outcomes


async def test_a_one_use_invite_makes_one_account_however_many_ask_at_once(
    services: Services, database: Database, invite_code: str
) -> None:
    outcomes = await _outcomes(services, invite_code, [Member().registration(1) for _ in range(20)])
    assert outcomes.count(BadInvite) == 19
    assert (await _rows(database))["accounts"] == 1


async def test_one_member_that_asks_many_times_at_once_gets_one_account(
    services: Services, database: Database, invite_code: str
) -> None:
    outcomes = await _outcomes(services, invite_code, [Member().registration(1)] * 20)
    assert len(outcomes) == 20
    assert len(set(outcomes)) == 1
    assert isinstance(outcomes[0], UUID)
    assert (await _rows(database))["accounts"] == 1


async def test_a_number_is_registered_once_and_the_invite_of_the_other_stays_good(services: Services) -> None:
    first, second = await services.invites.mint(count=2, ttl_s=60)
    phone_token = secrets.token_bytes(32)
    await services.accounts.register(first.code, Member(phone_token=phone_token).registration())
    late = Member(phone_token=phone_token)
    with pytest.raises(NumberTaken):
        await services.accounts.register(second.code, late.registration())
    late.phone_token = None
    await services.accounts.register(second.code, late.registration())


async def test_of_many_that_claim_one_number_at_once_one_gets_it(services: Services) -> None:
    code = (await services.invites.mint(uses=10, ttl_s=60))[0].code
    phone_token = secrets.token_bytes(32)
    outcomes = await _outcomes(services, code, [Member(phone_token=phone_token).registration(1) for _ in range(10)])
    assert outcomes.count(NumberTaken) == 9


@pytest.mark.parametrize("which", ["signed", "last_resort", "kyber"])
async def test_a_key_that_somebody_else_signed_is_refused(
    services: Services, database: Database, invite_code: str, which: str
) -> None:
    member, other = Member(), Member()
    wanted = member.registration()
    upload = {
        "signed": wanted.prekeys._replace(signed_prekey=other.signed_prekey()),
        "last_resort": wanted.prekeys._replace(last_resort_kyber_prekey=other.kyber_prekeys(1)[0]),
        "kyber": wanted.prekeys._replace(kyber_prekeys=[*member.kyber_prekeys(2), *other.kyber_prekeys(3)]),
    }[which]
    with pytest.raises(BadSignature):
        await services.accounts.register(invite_code, wanted._replace(prekeys=upload))
    assert (await _rows(database))["accounts"] == 0
    await services.accounts.register(invite_code, wanted)  # the invite was not spent


async def test_a_token_is_proved_by_its_secret(services: Services, member: Member) -> None:
    assert member.account_id is not None
    await services.accounts.authenticate(member.account_id, member.secret)
    for account_id, secret in [
        (member.account_id, bytes(32)),
        (member.account_id, sha256(member.secret)),
        (uuid4(), member.secret),
    ]:
        with pytest.raises(Unauthorized):
            await services.accounts.authenticate(account_id, secret)


async def test_the_description_has_everything(
    services: Services, database: Database, clock: Clock, member: Member
) -> None:
    assert member.account_id is not None
    await database.execute(
        "CREATE TABLE envelopes_test PARTITION OF envelopes FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"
    )
    for size in (1024, 4096):
        await database.execute(
            "INSERT INTO envelopes VALUES ($1, $2, 1, 1, false, $3)", member.account_id, uuid4(), bytes(size)
        )
    await database.execute("INSERT INTO signals VALUES ($1, $2, 1, now(), $3)", member.account_id, uuid4(), bytes(1024))
    await database.execute("UPDATE accounts SET session_epoch = 2")
    await services.limits.take(member.account_id, Allowance("test", 3, 10))
    await services.prekeys.take(member.account_id, member.contact_key)
    held = await services.accounts.describe(member.account_id)
    assert held._asdict() == {
        "account_id": member.account_id,
        "identity_key": member.identity_key,
        "registration_id": 4711,
        "phone_token": None,
        "open_to_number": False,
        "recoveries": 0,
        "sessions": 2,
        "mailbox_was_full": False,
        "registration_kept_until": int(clock()) + 3600 + REPLAY_GRACE_S,
        "allowances": {"test": int(clock()) + 10, "prekey bundles": int(clock()) + 60},
        "push": False,
        "registered_on": datetime.fromtimestamp(clock(), UTC).date(),
        "last_session_on": None,
        "prekeys": 2,
        "kyber_prekeys": 2,
        "waiting_envelopes": 2,
        "waiting_bytes": 5120,
        "waiting_signals": 1,
    }
    assert isinstance(held.registered_on, date)


# Of every column that belongs to an account: the field that tells it, or why none does.
TOLD = {
    "accounts.account_id": "account_id",
    "accounts.phone_token": "phone_token",
    "accounts.identity_key": "identity_key",
    "accounts.registration_id": "registration_id",
    "accounts.registered_on": "registered_on",
    "accounts.last_session_on": "last_session_on",
    "accounts.session_epoch": "sessions",
    "accounts.mailbox_was_full": "mailbox_was_full",
    "accounts.takes_full_at": "allowances",
    "accounts.number_access_hash": "open_to_number",
    "allowances": "allowances",
    "registrations": "registration_kept_until",
    "prekeys": "prekeys",
    "kyber_prekeys": "kyber_prekeys",
    "envelopes": "waiting_envelopes",
    "signals": "waiting_signals",
    "push_subscriptions": "push",
}
OF_THE_APPS_OWN_MAKING = {
    "accounts.token_hash",
    "accounts.recovery_hash",
    "accounts.contact_access_hash",
    "accounts.recovered_by",
    "standing_prekeys",
}


async def test_every_column_is_told_or_is_of_the_apps_own_making(database: Database) -> None:
    """Whoever adds a column comes here, and to GET /v1/account."""
    rows = await database.fetch(
        "SELECT table_name, column_name FROM information_schema.columns AS c WHERE table_schema = 'public' AND EXISTS "
        "(SELECT FROM information_schema.columns AS o WHERE o.table_name = c.table_name AND o.column_name = 'account_id')"
    )
    held = {
        f"{row['table_name']}.{row['column_name']}" if row["table_name"] == "accounts" else row["table_name"]
        for row in rows
    }
    assert held == TOLD.keys() | OF_THE_APPS_OWN_MAKING
    assert set(TOLD.values()) <= set(AccountDescription._fields)


async def test_nothing_of_a_deleted_account_is_left(
    services: Services, database: Database, invite_code: str, member: Member
) -> None:
    assert member.account_id is not None
    await database.execute(
        "CREATE TABLE envelopes_test PARTITION OF envelopes FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"
    )
    await database.execute(
        "INSERT INTO envelopes VALUES ($1, $2, 1, 1, false, $3)", member.account_id, uuid4(), bytes(1024)
    )
    await database.execute("INSERT INTO signals VALUES ($1, $2, 1, now(), $3)", member.account_id, uuid4(), bytes(1024))
    await services.accounts.delete(member.account_id)
    # Every table that has an account_id, whoever adds one later.
    tables = await database.fetch("SELECT table_name FROM information_schema.columns WHERE column_name = 'account_id'")
    assert len(tables) >= 7
    for table in tables:
        assert (
            await database.fetchval(
                f"SELECT count(*) FROM {table['table_name']} WHERE account_id = $1", member.account_id
            )
            == 0
        )
    for call in (
        services.accounts.delete,
        services.accounts.describe,
        services.accounts.identity_key,
        services.prekeys.held,
    ):
        with pytest.raises(Unauthorized):
            await call(member.account_id)
    with pytest.raises(BadInvite):
        await services.accounts.register(invite_code, member.registration())


async def test_what_a_post_under_way_stored_after_the_end_goes_too(
    services: Services, database: Database, clock: Clock, member: Member
) -> None:
    assert member.account_id is not None
    await database.execute(
        "CREATE TABLE envelopes_test PARTITION OF envelopes FOR VALUES FROM (MINVALUE) TO (MAXVALUE)"
    )
    somebody_else = uuid4()
    await services.accounts.delete(member.account_id)
    for account_id in (member.account_id, somebody_else):
        await database.execute(
            "INSERT INTO envelopes VALUES ($1, $2, 1, 1, false, $3)", account_id, uuid4(), bytes(1024)
        )
        await database.execute("INSERT INTO signals VALUES ($1, $2, 1, now(), $3)", account_id, uuid4(), bytes(1024))

    async def left() -> list[int]:
        return [await database.fetchval(f"SELECT count(*) FROM {table}") for table in ("envelopes", "signals")]

    clock.now += 29  # other posts may be under way still
    await services.accounts.sweep_ended()
    assert await left() == [2, 2]
    clock.now += 1
    await services.accounts.sweep_ended()
    assert await left() == [1, 1]


async def test_access_keys_change_one_by_one(services: Services, member: Member) -> None:
    account_id = member.account_id
    assert account_id is not None
    contact, number = b"c" * 16, b"n" * 16
    await services.accounts.change_access(account_id, AccessChange(changes_number=True, number=sha256(number)))
    for key in (number, member.contact_key):
        await services.prekeys.take(account_id, key)
    await services.accounts.change_access(account_id, AccessChange(contact=sha256(contact)))
    with pytest.raises(NoAccess):
        await services.prekeys.take(account_id, member.contact_key)
    for key in (number, contact):
        await services.prekeys.take(account_id, key)
    await services.accounts.change_access(account_id, AccessChange(changes_number=True))
    with pytest.raises(NoAccess):
        await services.prekeys.take(account_id, number)
    assert not (await services.accounts.describe(account_id)).open_to_number
    with pytest.raises(Unauthorized):
        await services.accounts.change_access(uuid4(), AccessChange(contact=sha256(contact)))


async def test_unknown_accounts_cost_the_same_statements(
    services: Services, database: Database, member: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stranger could time: the statements, and the comparison after them."""
    assert member.account_id is not None
    statements: list[str] = []
    compared: list[int] = []
    real_fetchval, real_fetchrow = database.fetchval, database.fetchrow

    async def fetchval(query: str, *args: object) -> object:
        statements.append(query)
        return await real_fetchval(query, *args)

    async def fetchrow(query: str, *args: object) -> object:
        statements.append(query)
        return await real_fetchrow(query, *args)

    def compare_digest(a: bytes, b: bytes) -> bool:
        compared.append(len(a) + len(b))
        return a == b

    monkeypatch.setattr(database, "fetchval", fetchval)
    monkeypatch.setattr(database, "fetchrow", fetchrow)
    monkeypatch.setattr("relay.accounts.hmac.compare_digest", compare_digest)
    seen = []
    for account_id in (member.account_id, uuid4()):
        statements.clear()
        compared.clear()
        with pytest.raises(Unauthorized):
            await services.accounts.authenticate(account_id, bytes(32))
        with pytest.raises(NoAccess):
            await services.prekeys.take(account_id, bytes(16))
        seen.append((tuple(statements), tuple(compared)))
    assert seen[0] == seen[1]
    assert len(seen[0][0]) == 2


async def test_a_transaction_that_breaks_in_the_middle_leaves_nothing(
    services: Services, database: Database, invite_code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_tx: Queries, *_args: object) -> None:
        raise RuntimeError

    member = Member()
    with monkeypatch.context() as patch:
        patch.setattr("relay.accounts.insert_one_time_keys", broken)
        with pytest.raises(RuntimeError):
            await services.accounts.register(invite_code, member.registration())
    assert set((await _rows(database)).values()) == {0}
    await services.accounts.register(invite_code, member.registration())
