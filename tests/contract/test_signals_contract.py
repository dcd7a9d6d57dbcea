"""What only the signals have: they expire, by themselves and at once."""

from __future__ import annotations

import pytest

from relay.errors import Refusal
from relay.records import Ringing, Stored
from relay.signals import PostgresSignals
from tests.contract.worlds import World, posting
from tests.fakes import MemorySignals


async def test_a_signal_comes_with_its_expiry(world: World) -> None:
    account_id = await world.add_account()
    sent = posting(account_id, ttl_s=30)
    await world.signals.put([sent])
    assert await world.signals.page(account_id, limit=1, max_bytes=1, skip=()) == (
        [Ringing(sent.id, sent.expires_at, sent.body)],
        True,
    )


@pytest.mark.parametrize("together", [True, False])
async def test_what_expired_is_in_no_page_and_takes_no_room(world: World, together: bool) -> None:
    account_id = await world.add_account()
    old = [posting(account_id, n, ttl_s=-1) for n in range(8)]
    assert await world.signals.put(old) == [Stored.NEW] * 8
    fresh = [posting(account_id, n) for n in range(9)]
    batches = [fresh] if together else [[one] for one in fresh]
    outcomes = [outcome for batch in batches for outcome in await world.signals.put(batch)]
    assert outcomes == [Stored.NEW] * 8 + [Refusal.MAILBOX_FULL]
    page, is_all = await world.signals.page(account_id, limit=8, max_bytes=10**9, skip=())
    assert [signal.id for signal in page] == [p.id for p in fresh[:8]]
    assert is_all


async def test_a_retry_of_an_expired_signal_is_the_same_again(world: World) -> None:
    account_id = await world.add_account()
    old = posting(account_id, ttl_s=-1)
    await world.signals.put([old])
    assert await world.signals.put([old]) == [Stored.AGAIN]


async def test_the_sweep_takes_what_expired_and_leaves_the_rest(world: World) -> None:
    account_id = await world.add_account()
    old, fresh = posting(account_id, "old", ttl_s=-1), posting(account_id, "fresh")
    await world.signals.put([old, fresh])
    assert isinstance(world.signals, MemorySignals | PostgresSignals)
    await world.signals.sweep()
    assert await world.signals.put([old, fresh]) == [Stored.NEW, Stored.AGAIN]


async def test_a_full_mailbox_does_not_delay_a_ring(world: World) -> None:
    account_id = await world.add_account()
    await world.mailbox.put([posting(account_id, n) for n in range(9)])
    assert await world.signals.put([posting(account_id)]) == [Stored.NEW]
    # ...and a full lane of signals is no notice: it is over in a minute.
    await world.mailbox.notices(account_id)
    await world.signals.put([posting(account_id, n) for n in range(9)])
    assert (await world.mailbox.notices(account_id)).mailbox_was_full is False
