"""Finding members by number, over HTTP and on a real PostgreSQL: what is evaluated, what is found, and what it costs."""

from __future__ import annotations

import json
import secrets
import time
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
import trio

from relay.database import Database
from relay.discovery import Discovery
from relay.errors import RateLimited, Unauthorized
from relay.frames import from_b64, to_b64
from relay.oprf import Blinded, Evaluation, NumberOprf
from relay.scarce_limits import Allowance, ScarceLimits
from relay.services import Services
from tests.identity import rfc9497
from tests.identity.conftest import Answer, Http
from tests.identity.members import Clock, Member

EVALUATE, LOOKUP = "/v1/discovery/evaluate", "/v1/discovery/lookup"


def blinded(count: int) -> list[bytes]:
    """Elements as blinding makes them; their messages are nobody's business here."""
    element = rfc9497.hash_to_group(secrets.token_bytes(32))
    elements = []
    for _ in range(count):
        elements.append(element.encode())
        element += rfc9497.BASE
    return elements


async def evaluate(http: Http, auth: str, elements: list[bytes]) -> Answer:
    return await http("POST", EVALUATE, auth=auth, json={"elements": [to_b64(one) for one in elements]})


async def look_up(http: Http, tokens: list[bytes]) -> Answer:
    return await http("POST", LOOKUP, json={"tokens": [to_b64(one) for one in tokens]})


def padded(*tokens: bytes) -> list[bytes]:
    return [*tokens, *(secrets.token_bytes(32) for _ in range(100 - len(tokens)))]


# -- evaluating --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_evaluations_are_proved(http: Http, services: Services, member: Member, count: int) -> None:
    elements = blinded(count)
    answer = await evaluate(http, member.bearer, elements)
    assert (answer.status, set(answer.json)) == (200, {"evaluated", "proof"})
    public_key = rfc9497.decode(services.voprf_public_key)
    read = [rfc9497.decode(from_b64(one)) for one in answer.json["evaluated"]]
    asked = [rfc9497.decode(one) for one in elements]
    proof = from_b64(answer.json["proof"])
    assert rfc9497.verify_proof(public_key, asked, read, proof)
    assert not rfc9497.verify_proof(public_key, asked, [*read[:-1], read[-1] + rfc9497.BASE], proof)


@pytest.mark.parametrize(
    ("elements", "field"),
    [
        ([], "elements"),
        (["A" * 43] * 101, "elements"),
        (["A" * 43], "elements.0"),  # the identity
        (["A" * 42], "elements.0"),
        ([to_b64(b"\xff" * 32)], "elements.0"),
        ([to_b64(rfc9497.BASE.encode()), to_b64(rfc9497.BASE.encode())], "elements.1"),
        ("x", "elements"),
        ([None], "elements.0"),
    ],
)
async def test_rubbish_is_refused_by_its_place_and_costs_nothing(
    http: Http, database: Database, member: Member, elements: Any, field: str
) -> None:
    answer = await http("POST", EVALUATE, auth=member.bearer, json={"elements": elements})
    assert (answer.status, answer.code, answer.json["fields"][:1]) == (400, "bad_request", [field])
    assert await database.fetchval("SELECT count(*) FROM allowances") == 0


async def test_an_account_has_a_budget(http: Http, clock: Clock, member: Member) -> None:
    """1000 at once, then 200 a day, charged by the element."""
    for _ in range(10):
        assert (await evaluate(http, member.bearer, blinded(100))).status == 200
    refused = await evaluate(http, member.bearer, blinded(1))
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (429, "rate_limited", "432")
    clock.now += 432
    assert (await evaluate(http, member.bearer, blinded(2))).headers["retry-after"] == "432"
    assert (await evaluate(http, member.bearer, blinded(1))).status == 200
    clock.now += 86400
    assert (await evaluate(http, member.bearer, blinded(100))).status == 200
    assert (await evaluate(http, member.bearer, blinded(100))).status == 200
    assert (await evaluate(http, member.bearer, blinded(1))).status == 429


async def test_an_invite_pays_for_the_newcomers_own_number(http: Http, services: Services, clock: Clock) -> None:
    one, many = (await services.invites.mint(ttl_s=3600))[0], (await services.invites.mint(ttl_s=3600, uses=5))[0]
    for _ in range(3):
        assert (await evaluate(http, f"Invite {one.code}", blinded(1))).status == 200
    refused = await evaluate(http, f"Invite {one.code}", blinded(1))
    assert (refused.status, refused.headers["retry-after"]) == (429, "3600")
    assert (await evaluate(http, f"Invite {many.code}", blinded(16))).status == 429
    assert (await evaluate(http, f"Invite {many.code}", blinded(15))).status == 200
    # Spent, but its registration can still be asked for again: so can an evaluation that is left.
    clock.now += 3600
    assert (await evaluate(http, f"Invite {many.code}", blinded(1))).code == "bad_invite"


async def test_who_may_have_numbers_evaluated(http: Http, member: Member) -> None:
    wrong = Member(account_id=member.account_id)
    for auth, code in [
        (None, "unauthorized"),
        ("", "unauthorized"),
        (wrong.bearer, "unauthorized"),
        ("Invite", "unauthorized"),
        ("Basic eA==", "unauthorized"),
        ("Invite " + "0" * 24, "bad_invite"),
        ("invite " + "0" * 24, "bad_invite"),
        (f"Invite {member.account_id}", "bad_invite"),
    ]:
        answer = await http("POST", EVALUATE, auth=auth, json={"elements": []})
        assert (answer.status, answer.code) == (401, code), auth


# -- allowances --------------------------------------------------------------------------------------------------------


async def test_of_many_at_once_no_more_are_covered_than_the_burst(
    services: Services, database: Database, member: Member, clock: Clock
) -> None:
    assert member.account_id is not None
    taken: list[int] = []
    waits: set[int | None] = set()

    async def take(account_id: UUID) -> None:
        try:
            await services.limits.take(account_id, Allowance("test", 7, 60))
        except RateLimited as refused:
            waits.add(refused.retry_after_s)
        else:
            taken.append(1)

    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(take, member.account_id)
    assert len(taken) == 7
    assert waits == {60}  # also who waited for others, and was judged by what they had left
    with pytest.raises(RateLimited) as refused:
        await services.limits.take(member.account_id, Allowance("test", 7, 60))
    assert refused.value.retry_after_s == 60
    # A second process counts on, with what the first one left.
    other = ScarceLimits(database, wall_clock=clock)
    with pytest.raises(RateLimited):
        await other.take(member.account_id, Allowance("test", 7, 60))
    await other.take(member.account_id, Allowance("another", 7, 60), units=7)


async def test_a_refusal_says_how_long_and_takes_nothing(services: Services, member: Member, clock: Clock) -> None:
    assert member.account_id is not None
    limit = Allowance("test", 10, 3)
    await services.limits.take(member.account_id, limit, units=8)
    for _ in range(3):
        with pytest.raises(RateLimited) as refused:
            await services.limits.take(member.account_id, limit, units=4)
        assert refused.value.retry_after_s == 6
    with pytest.raises(RateLimited) as refused:
        await services.limits.take(member.account_id, limit, units=11)  # never
    assert refused.value.retry_after_s == 24
    clock.now += 6
    await services.limits.take(member.account_id, limit, units=4)


async def test_allowances_that_are_full_leave_no_row(
    services: Services, database: Database, member: Member, clock: Clock
) -> None:
    assert member.account_id is not None
    await services.limits.take(member.account_id, Allowance("test", 10, 3), units=2)
    clock.now += 5
    await services.limits.forget_full()
    assert await database.fetchval("SELECT count(*) FROM allowances") == 1
    clock.now += 1
    await services.limits.forget_full()
    assert await database.fetchval("SELECT count(*) FROM allowances") == 0


async def test_an_account_that_is_gone_has_no_allowance(services: Services, member: Member) -> None:
    assert member.account_id is not None
    await services.accounts.delete(member.account_id)
    with pytest.raises(Unauthorized):
        await services.limits.take(member.account_id, Allowance("test", 10, 3))


# -- looking up --------------------------------------------------------------------------------------------------------


async def _member(services: Services, *, number_key: bytes | None) -> Member:
    member = Member(phone_token=secrets.token_bytes(32), number_key=number_key)
    code = (await services.invites.mint(ttl_s=3600))[0].code
    member.account_id = await services.accounts.register(code, member.registration(0))
    return member


async def test_members_are_found_in_order_and_nobody_else(http: Http, services: Services, member: Member) -> None:
    found, closed = [await _member(services, number_key=key) for key in (b"n" * 16, None)]
    assert found.phone_token is not None
    assert closed.phone_token is not None
    tokens = padded(found.phone_token, closed.phone_token, bytes(32))
    tokens.reverse()
    answer = await look_up(http, tokens)
    assert answer.status == 200
    expected: list[str | None] = [None] * 100
    expected[tokens.index(found.phone_token)] = str(found.account_id)
    assert answer.json["accounts"] == expected


async def test_every_answer_is_equally_long(http: Http, services: Services) -> None:
    members = [await _member(services, number_key=b"n" * 16) for _ in range(5)]
    tokens = [member.phone_token or b"" for member in members]
    answers = [await look_up(http, padded(*tokens[:count])) for count in range(6)]
    assert [100 - answer.json["accounts"].count(None) for answer in answers] == list(range(6))
    assert len({len(answer.raw) for answer in answers}) == 1
    assert len({json.dumps(answer.headers) for answer in answers}) == 1


@pytest.mark.parametrize("count", [0, 1, 99, 101])
async def test_a_look_up_has_100_tokens(http: Http, count: int) -> None:
    answer = await look_up(http, padded()[:count] if count < 100 else [*padded(), bytes(32)])
    assert (answer.status, answer.json["fields"]) == (400, ["tokens"])


async def test_a_token_that_comes_twice_is_refused(http: Http) -> None:
    tokens = padded()
    answer = await look_up(http, [*tokens[:99], tokens[0]])
    assert (answer.status, answer.json["fields"]) == (400, ["tokens"])


async def test_a_look_up_goes_by_key(database: Database) -> None:
    """One index look-up a token, whatever the number of accounts."""
    from relay.queries.discovery import LOOK_UP

    async with database.transaction() as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        rows = await tx.fetch(
            f"EXPLAIN {LOOK_UP.replace('$1', 'array_fill(decode(repeat(chr(48), 64), chr(104)||chr(101)||chr(120)), ARRAY[100])')}"
        )
    plan = "\n".join(row[0] for row in rows)
    assert "accounts_phone_token_key" in plan, plan


# -- and everybody else ------------------------------------------------------------------------------------------------


async def test_a_crowd_that_evaluates_leaves_half_of_the_time_to_others(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else runs during a batch, so between two of them others must get their turn, for as long as the batch took."""
    oprf = NumberOprf(bytes(32))
    batches: list[tuple[float, float]] = []
    turns: list[float] = []

    def evaluate_slowly(_: Blinded) -> Evaluation:
        began = time.perf_counter()
        while time.perf_counter() - began < 0.02:
            pass
        batches.append((began, time.perf_counter()))
        return Evaluation([], bytes(64))

    async def others() -> None:
        while True:
            await trio.sleep(0.002)
            turns.append(time.perf_counter())

    monkeypatch.setattr(oprf, "evaluate", evaluate_slowly)
    discovery = Discovery(
        services.database, oprf, services.limits, services.invites, Allowance("evaluations", 10**6, 1)
    )
    members = [await _member(services, number_key=None) for _ in range(3)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        async with trio.open_nursery() as crowd:
            for member in members * 4:
                assert member.account_id is not None
                crowd.start_soon(discovery.evaluate_for_account, member.account_id, blinded(1))
        nursery.cancel_scope.cancel()
    assert len(batches) == 12
    rests = [(ended, following) for (_, ended), (following, _) in pairwise(batches)]
    assert all(following - ended >= 0.018 for ended, following in rests)
    # A busy machine may hold the whole process up during a rest, but not during most of them.
    assert sum(any(ended < turn < following for turn in turns) for ended, following in rests) > len(rests) / 2
