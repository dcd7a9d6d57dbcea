"""What only the mailbox has: quotas in bytes and for strangers, session epochs, notices."""

from __future__ import annotations

from contextlib import AsyncExitStack
from uuid import UUID

import pytest
import trio

from nursery_tasks.ports import Mailbox
from relay.errors import Refusal
from relay.mailbox import PostgresMailbox
from relay.records import AckBatch, BeginAsk, Begun, Notices, PageAsk, Stored
from tests.contract.worlds import CONTACT, NUMBER, SETTINGS, TOKEN, WRONG, World, posting, stranger_to_all

N, F = Stored.NEW, Refusal.MAILBOX_FULL
S, C = NUMBER, CONTACT
KIB = 1024


@pytest.mark.parametrize("in_one_batch", [True, False])
@pytest.mark.parametrize(
    ("posts", "outcomes"),
    [
        ([(C, 1)] * 9, [N] * 8 + [F]),
        ([(C, 16), (C, 16), (C, 4), (C, 4)], [N] * 4),
        ([(C, 16), (C, 16), (C, 4), (C, 4), (C, 1)], [N] * 4 + [F]),
        ([(S, 1)] * 4, [N] * 3 + [F]),
        ([(S, 1)] * 4 + [(C, 1)], [N] * 3 + [F, N]),
        ([(C, 1)] * 5 + [(S, 1)] * 4, [N] * 8 + [F]),
        ([(S, 1), (C, 1), (S, 1), (C, 1), (S, 1), (C, 1), (S, 1)], [N] * 6 + [F]),
        ([(C, 64)], [F]),
    ],
    ids=["count", "bytes fit", "bytes", "strangers", "contacts go on", "all together", "mixed", "larger than all"],
)
async def test_quotas(world: World, posts: list[tuple[bytes, int]], outcomes: list[object], in_one_batch: bool) -> None:
    account_id = await world.add_account()
    batch = [posting(account_id, n, access=access, size=k * KIB) for n, (access, k) in enumerate(posts)]
    if in_one_batch:
        assert await world.mailbox.put(batch) == outcomes
    else:
        assert [(await world.mailbox.put([one]))[0] for one in batch] == outcomes


async def test_a_mailbox_is_full_for_itself_only(world: World) -> None:
    full, other = await world.add_account(), await world.add_account()
    batch = [posting(full, n) for n in range(9)] + [posting(other)]
    assert await world.mailbox.put(batch) == [N] * 8 + [F, N]


async def test_who_has_no_access_takes_no_room(world: World) -> None:
    account_id = await world.add_account()
    batch = [posting(account_id, n, access=WRONG) for n in range(20)]
    batch += [posting(account_id, n, over_rate=True) for n in range(20)] + [posting(account_id, n) for n in range(8)]
    assert await world.mailbox.put(batch) == [Refusal.NO_ACCESS] * 20 + [Refusal.RATE_LIMITED] * 20 + [N] * 8


async def test_who_holds_both_keys_is_no_stranger(world: World) -> None:
    account_id = await world.add_account(contact=CONTACT, number=CONTACT)
    assert await world.mailbox.put([posting(account_id, n) for n in range(8)]) == [N] * 8


async def test_signals_do_not_count(world: World) -> None:
    account_id = await world.add_account()
    await world.signals.put([posting(account_id, n) for n in range(8)])
    assert await world.mailbox.put([posting(account_id, n) for n in range(9)]) == [N] * 8 + [F]


# -- epochs ----------------------------------------------------------------------------------------------------------


async def test_each_session_has_a_newer_epoch(world: World) -> None:
    one, two = await world.add_account(), await world.add_account()
    assert [await world.begin(id_) for id_ in (one, one, two, one)] == [1, 2, 1, 3]
    assert await world.mailbox.epochs([one, two, stranger_to_all()]) == {one: 3, two: 1}
    assert await world.mailbox.epochs([]) == {}


async def test_sessions_begin_together(world: World) -> None:
    one, two, three = [await world.add_account() for _ in range(3)]
    await world.mailbox.put([posting(two)])
    await world.signals.put([posting(three)])
    wrong = b"wrong".ljust(32)
    asked = [
        BeginAsk(three, TOKEN), BeginAsk(stranger_to_all(), TOKEN), BeginAsk(two, TOKEN), BeginAsk(one, wrong),
    ]  # fmt: skip
    nothing = Notices(100, 100, mailbox_was_full=False)
    assert await world.mailbox.begin_sessions(asked) == [
        Begun(1, False, True, nothing), None, Begun(1, True, False, nothing), None,
    ]  # fmt: skip
    assert await world.mailbox.begin_sessions([]) == []
    assert await world.mailbox.epochs([one, two, three]) == {one: 0, two: 1, three: 1}


async def test_who_begins_a_session_does_not_clear_what_is_to_be_told(world: World) -> None:
    account_id = await world.add_account(prekeys=7)
    for _ in range(2):
        await world.mailbox.put([posting(account_id, n) for n in range(9)])
    for _ in range(2):
        (begun,) = await world.mailbox.begin_sessions([BeginAsk(account_id, TOKEN)])
        assert begun is not None
        assert begun.notices == Notices(7, 7, mailbox_was_full=True)
    assert (await world.mailbox.notices(account_id)).mailbox_was_full


async def test_each_of_many_that_begin_at_once_has_an_epoch_of_its_own(world: World) -> None:
    """As in several processes: in whatever order they name the accounts, none waits for another that waits for it."""
    accounts = [await world.add_account() for _ in range(8)]
    epochs: dict[UUID, list[int]] = {account_id: [] for account_id in accounts}
    stores = [world.mailbox]
    async with AsyncExitStack() as stack:
        if world.database is not None:
            for _ in range(2):
                stores.append(await stack.enter_async_context(PostgresMailbox.open(SETTINGS, world.database)))

        async def begin(store: Mailbox, order: list[UUID]) -> None:
            for _ in range(20):
                begun = await store.begin_sessions([BeginAsk(account_id, TOKEN) for account_id in order])
                for account_id, one in zip(order, begun, strict=True):
                    assert one is not None
                    epochs[account_id].append(one.epoch)

        async with trio.open_nursery() as nursery:
            for n, store in enumerate(stores):
                nursery.start_soon(begin, store, accounts[::-1] if n % 2 else accounts)
    assert [sorted(each) for each in epochs.values()] == [list(range(1, 20 * len(stores) + 1))] * 8


async def test_no_session_begins_with_a_token_from_before_a_recovery(world: World) -> None:
    account_id = await world.add_account()
    await world.begin(account_id)
    await world.recover_account(account_id, b"another".ljust(32))
    assert await world.begin(account_id) is None
    assert await world.begin(account_id, b"another".ljust(32)) == (1 << 32) + 1
    assert await world.mailbox.epochs([account_id]) == {account_id: (1 << 32) + 1}


async def test_no_account_no_session(world: World) -> None:
    account_id = await world.add_account()
    await world.begin(account_id)
    await world.delete_account(account_id)
    assert await world.begin(account_id) is None
    assert await world.mailbox.epochs([account_id]) == {}
    assert await world.mailbox.put([posting(account_id)]) == [Refusal.NO_ACCESS]
    assert (await world.mailbox.notices(account_id)).mailbox_was_full is False
    assert (await world.mailbox.notices(account_id)).prekeys >= 20  # nothing is low that is not there
    await world.mailbox.remove([AckBatch(account_id, 1, (posting(account_id).id,))])


# -- notices ---------------------------------------------------------------------------------------------------------


async def fill(world: World, account_id: UUID) -> None:
    await world.mailbox.put([posting(account_id, n) for n in range(9)])


async def test_a_full_mailbox_is_told_once(world: World) -> None:
    account_id, other = await world.add_account(), await world.add_account()
    assert await world.mailbox.notices(account_id) == Notices(100, 100, mailbox_was_full=False)
    await fill(world, account_id)
    assert await world.mailbox.notices(account_id) == Notices(100, 100, mailbox_was_full=True)
    assert await world.mailbox.notices(account_id) == Notices(100, 100, mailbox_was_full=False)
    await fill(world, account_id)
    assert (await world.mailbox.notices(account_id)).mailbox_was_full is True
    assert (await world.mailbox.notices(other)).mailbox_was_full is False


async def test_a_retry_that_found_it_full_is_no_notice(world: World) -> None:
    account_id = await world.add_account()
    batch = [posting(account_id, n) for n in range(8)]
    await world.mailbox.put(batch)
    assert await world.mailbox.put(batch) == [Stored.AGAIN] * 8
    assert (await world.mailbox.notices(account_id)).mailbox_was_full is False


async def test_neither_is_somebody_without_access(world: World) -> None:
    account_id = await world.add_account()
    await world.mailbox.put([posting(account_id, n) for n in range(8)])
    await world.mailbox.put([posting(account_id, access=WRONG)])
    assert (await world.mailbox.notices(account_id)).mailbox_was_full is False


@pytest.mark.parametrize("left", [0, 19, 20])
async def test_keys_that_are_left_are_counted(world: World, left: int) -> None:
    account_id = await world.add_account(prekeys=left)
    assert await world.mailbox.notices(account_id) == Notices(left, left, mailbox_was_full=False)


async def test_pages_of_many_mailboxes_at_once_are_those_of_each(world: World) -> None:
    accounts = [await world.add_account() for _ in range(4)]
    batches = [[posting(account_id, f"{n} {item}") for item in range(6)] for n, account_id in enumerate(accounts)]
    await world.mailbox.put([one for items in zip(*batches, strict=True) for one in items])
    asked = [
        PageAsk(accounts[2], 10, 10**6, ()),
        PageAsk(accounts[0], 2, 10**6, {batches[0][0].id}),
        PageAsk(stranger_to_all(), 10, 10**6, {batches[2][0].id}),
        PageAsk(accounts[3], 10, 2 * 1024, {batches[3][0].id, batches[3][1].id}),
        PageAsk(accounts[1], 6, 10**6, ()),
    ]
    pages = await world.mailbox.pages(asked)
    assert list(pages) == [
        await world.mailbox.page(id_, limit=limit, max_bytes=size, skip=skip) for id_, limit, size, skip in asked
    ]
    read = [([item.body.rstrip(b".").decode() for item in page], exhausted) for page, exhausted in pages]
    assert read == [
        ([f"2 {item}" for item in range(6)], True),
        (["0 1", "0 2"], False),
        ([], True),
        (["3 2", "3 3"], False),
        ([f"1 {item}" for item in range(6)], True),
    ]


async def test_a_page_skips_only_its_own_ids(world: World) -> None:
    """Ids are the senders' choice: two mailboxes may hold the same one, and it may be in flight to one of them."""
    one, two = await world.add_account(), await world.add_account()
    envelope = posting(one, "same")
    await world.mailbox.put([envelope, posting(two, "same", id_=envelope.id)])
    pages = await world.mailbox.pages([PageAsk(one, 9, 10**6, {envelope.id}), PageAsk(two, 9, 10**6, ())])
    assert [len(page) for page, _ in pages] == [0, 1]
