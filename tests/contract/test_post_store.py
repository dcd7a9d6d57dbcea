"""What the mailbox and the signals have in common: access, retries, pages, acknowledgements."""

from __future__ import annotations

from uuid import UUID

import pytest

from nursery_tasks.ports import Mailbox, Signals
from relay.errors import Refusal
from relay.records import AckBatch, Posting, Stored
from tests.contract.worlds import CONTACT, NUMBER, WRONG, World, body, posting, stranger_to_all

ALL = {"limit": 100, "max_bytes": 10**9, "skip": ()}


@pytest.fixture(params=["mailbox", "signals"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(kind: str, world: World) -> Mailbox | Signals:
    found: Mailbox | Signals = getattr(world, kind)
    return found


async def fills(store: Mailbox | Signals, account_id: UUID, **asked: object) -> list[str]:
    page, _ = await store.page(account_id, **{**ALL, **asked})  # type: ignore[arg-type]
    return [item.body.rstrip(b".").decode() for item in page]


# -- who may write ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "outcome"), [(CONTACT, Stored.NEW), (NUMBER, Stored.NEW), (WRONG, Refusal.NO_ACCESS)]
)
async def test_access_is_by_either_key(
    store: Mailbox | Signals, world: World, access: bytes, outcome: Stored | Refusal
) -> None:
    account_id = await world.add_account()
    assert await store.put([posting(account_id, access=access)]) == [outcome]


async def test_an_account_without_a_number_is_closed_to_strangers(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account(number=None)
    assert await store.put([posting(account_id, access=NUMBER), posting(account_id)]) == [
        Refusal.NO_ACCESS,
        Stored.NEW,
    ]


async def test_no_such_account_and_a_wrong_key_are_the_same(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    outcomes = await store.put(
        [
            posting(account_id, access=WRONG),
            posting(stranger_to_all()),
            posting(stranger_to_all(), over_rate=True),
            posting(account_id, access=WRONG, over_rate=True),
        ]
    )
    assert outcomes == [Refusal.NO_ACCESS] * 4


async def test_only_who_has_access_hears_of_the_rate(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    outcomes = await store.put([posting(account_id, access=key, over_rate=True) for key in (CONTACT, NUMBER, WRONG)])
    assert outcomes == [Refusal.RATE_LIMITED, Refusal.RATE_LIMITED, Refusal.NO_ACCESS]
    assert await fills(store, account_id) == []


async def test_only_who_has_access_hears_that_it_is_full(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    assert await store.put([posting(account_id, n) for n in range(8)]) == [Stored.NEW] * 8
    assert await store.put([posting(account_id), posting(account_id, access=WRONG)]) == [
        Refusal.MAILBOX_FULL,
        Refusal.NO_ACCESS,
    ]


# -- retries ---------------------------------------------------------------------------------------------------------


async def test_a_retry_is_the_same_again(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    first = posting(account_id, "first")
    assert await store.put([first]) == [Stored.NEW]
    assert await store.put([first]) == [Stored.AGAIN]
    assert await store.put([first._replace(at=first.at + 5, expires_at=first.expires_at + 5)]) == [Stored.AGAIN]
    assert await fills(store, account_id) == ["first"]


async def test_another_body_under_the_same_id_is_a_conflict(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    first = posting(account_id, "first")
    await store.put([first])
    assert await store.put([first._replace(body=body("other"))]) == [Refusal.CONFLICT]
    assert await fills(store, account_id) == ["first"]


async def test_the_same_id_to_somebody_else_is_another_post(store: Mailbox | Signals, world: World) -> None:
    one, two = await world.add_account(), await world.add_account()
    first = posting(one)
    assert await store.put([first, posting(two, "for two", id_=first.id)]) == [Stored.NEW, Stored.NEW]
    assert await fills(store, two) == ["for two"]


async def test_a_retry_while_full_is_the_same_again(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    kept = [posting(account_id, n) for n in range(8)]
    await store.put(kept)
    other = kept[1]._replace(body=body("other"))
    assert await store.put([kept[0], other, posting(account_id)]) == [
        Stored.AGAIN,
        Refusal.CONFLICT,
        Refusal.MAILBOX_FULL,
    ]


async def test_a_retry_over_the_rate_is_told_to_wait(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    first = posting(account_id)
    await store.put([first])
    assert await store.put([first._replace(wait_s=3)]) == [Refusal.RATE_LIMITED]


async def test_a_retry_without_access_learns_nothing(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    first = posting(account_id)
    await store.put([first])
    stolen = posting(account_id, access=WRONG, id_=first.id)
    assert await store.put([stolen]) == [Refusal.NO_ACCESS]


async def test_outcomes_come_in_the_order_of_the_batch(store: Mailbox | Signals, world: World) -> None:
    one, two = await world.add_account(), await world.add_account()
    old = posting(one, "old")
    await store.put([old])
    batch: list[tuple[Posting, Stored | Refusal]] = [
        (posting(two, "a"), Stored.NEW),
        (old, Stored.AGAIN),
        (posting(stranger_to_all()), Refusal.NO_ACCESS),
        (posting(one, "b"), Stored.NEW),
        (posting(two, over_rate=True), Refusal.RATE_LIMITED),
        (posting(two, "c", id_=old.id), Stored.NEW),
        (posting(one, "d", access=WRONG), Refusal.NO_ACCESS),
    ]
    assert await store.put([p for p, _ in batch]) == [outcome for _, outcome in batch]
    assert await fills(store, one) == ["old", "b"]
    assert await fills(store, two) == ["a", "c"]


async def test_one_that_cannot_be_stored_takes_its_batch_along(real_world: World, kind: str) -> None:
    """One transaction: all or nothing. (Memory does not fail in the middle.)"""
    store = getattr(real_world, kind)
    account_id = await real_world.add_account()
    batch = [posting(account_id, "good"), posting(account_id, "bad", size=1000)]
    with pytest.raises(Exception, match="23514"):  # check_violation: 1000 is none of the four sizes
        await store.put(batch)
    assert await fills(store, account_id) == []


async def test_an_empty_batch_is_nothing(store: Mailbox | Signals, world: World) -> None:
    assert await store.put([]) == []
    await store.remove([])


# -- pages -----------------------------------------------------------------------------------------------------------


async def test_pages_keep_the_order_of_arrival(store: Mailbox | Signals, world: World) -> None:
    """Which is neither the order of ids nor of time: ids of one hour are random."""
    account_id = await world.add_account()
    batch = sorted((posting(account_id) for _ in range(5)), key=lambda p: p.id, reverse=True)
    batch = [p._replace(body=body(n)) for n, p in enumerate(batch)]
    await store.put(batch[:3])
    await store.put(batch[3:])
    assert await fills(store, account_id) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("limit", "max_bytes", "skipped", "expected", "exhausted"),
    [
        (4, 10**6, [], ["0", "1", "2", "3"], True),
        (5, 10**6, [], ["0", "1", "2", "3"], True),
        (3, 10**6, [], ["0", "1", "2"], False),
        (1, 10**6, [], ["0"], False),
        (4, 10**6, [0, 2], ["1", "3"], True),
        (1, 10**6, [0, 2], ["1"], False),
        (1, 10**6, [0, 1, 2], ["3"], True),
        (4, 10**6, [0, 1, 2, 3], [], True),
        (4, 1024 + 4096, [], ["0", "1"], False),
        (4, 1024 + 4096 - 1, [], ["0"], False),
        (4, 2 * 1024 + 4096, [], ["0", "1", "2"], False),
        (4, 2 * 1024 + 4096 + 16384, [], ["0", "1", "2", "3"], True),
        (4, 1, [], ["0"], False),  # a first item that is too large comes alone
        (4, 1, [0], ["1"], False),
        (4, 1, [0, 1, 2], ["3"], True),
        (4, 16384, [0, 1], ["2"], False),  # the next does not fit any more
    ],
)
async def test_a_page_ends_by_count_or_by_bytes(
    store: Mailbox | Signals, world: World, limit: int, max_bytes: int, skipped: list[int], expected: list[str],
    exhausted: bool,
) -> None:  # fmt: skip
    account_id = await world.add_account()
    sizes = (1024, 4096, 1024, 16384)
    batch = [posting(account_id, n, size=size) for n, size in enumerate(sizes)]
    await store.put([*batch, posting(await world.add_account(), "somebody else's")])
    page, is_all = await store.page(account_id, limit=limit, max_bytes=max_bytes, skip={batch[n].id for n in skipped})
    assert [item.body.rstrip(b".").decode() for item in page] == expected
    assert is_all is exhausted


async def test_ids_to_skip_that_are_not_there_do_not_matter(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    await store.put([posting(account_id, "a")])
    assert await fills(store, account_id, skip={posting(account_id).id}) == ["a"]
    assert await store.page(stranger_to_all(), limit=10, max_bytes=10**6, skip=()) == ([], True)


# -- acknowledgements ------------------------------------------------------------------------------------------------


async def test_an_ack_deletes_under_the_newest_epoch_only(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    batch = [posting(account_id, n) for n in range(3)]
    await store.put(batch)
    old, new = await world.begin(account_id), await world.begin(account_id)
    assert old is not None
    assert new is not None
    for wrong in (old, new + 1, 0):
        await store.remove([AckBatch(account_id, wrong, tuple(p.id for p in batch))])
    assert await fills(store, account_id) == ["0", "1", "2"]
    await store.remove([AckBatch(account_id, new, (batch[0].id, batch[2].id))])
    assert await fills(store, account_id) == ["1"]


async def test_an_ack_reaches_no_further_than_its_account(store: Mailbox | Signals, world: World) -> None:
    one, two = await world.add_account(), await world.add_account()
    first = posting(one, "one's")
    await store.put([first, posting(two, "two's", id_=first.id)])
    epoch_1, epoch_2 = await world.begin(one), await world.begin(two)
    assert epoch_1 == epoch_2 == 1
    await store.remove([AckBatch(stranger_to_all(), 1, (first.id,)), AckBatch(two, 1, (first.id, first.id))])
    assert await fills(store, one) == ["one's"]
    assert await fills(store, two) == []


async def test_acks_of_many_sessions_are_one_batch(store: Mailbox | Signals, world: World) -> None:
    accounts = [await world.add_account() for _ in range(3)]
    batch = [posting(account_id) for account_id in accounts for _ in range(2)]
    await store.put(batch)
    acks = []
    for account_id in accounts:
        epoch = await world.begin(account_id)
        assert epoch is not None
        acks.append(AckBatch(account_id, epoch, tuple(p.id for p in batch if p.account_id == account_id)))
    acks[1] = acks[1]._replace(epoch=0)
    await store.remove(acks)
    assert [len(await fills(store, account_id)) for account_id in accounts] == [0, 2, 0]


async def test_what_was_acknowledged_may_come_anew(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    first = posting(account_id, "a")
    await store.put([first])
    await store.remove([AckBatch(account_id, await world.begin(account_id) or 0, (first.id,))])
    assert await store.put([first]) == [Stored.NEW]


async def test_room_that_acks_made_is_room(store: Mailbox | Signals, world: World) -> None:
    account_id = await world.add_account()
    batch = [posting(account_id, n) for n in range(8)]
    await store.put(batch)
    await store.remove([AckBatch(account_id, await world.begin(account_id) or 0, (batch[3].id,))])
    assert await store.put([posting(account_id, 8), posting(account_id, 9)]) == [Stored.NEW, Refusal.MAILBOX_FULL]
