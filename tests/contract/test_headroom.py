"""What goes in uncounted: a mailbox's limits hold to within what each process may put in so, and the strangers' limit exactly."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID, uuid4

import pytest

from relay.config import Settings
from relay.errors import Refusal
from relay.headroom import MOST_UNITS, Headroom
from relay.mailbox import PostgresMailbox
from relay.records import Outcome, Posting, Stored
from tests.contract.worlds import CONTACT, NUMBER, WRONG, World, posting

N, F = Stored.NEW, Refusal.MAILBOX_FULL
UNITS = 2
LIMITED = Settings(mailbox_envelopes=64 * UNITS, mailbox_bytes=64 * UNITS * 2048, mailbox_stranger_envelopes=10)
"""Two units a process, of 2 KiB."""


@asynccontextmanager
async def processes(world: World, count: int = 1, settings: Settings = LIMITED) -> AsyncIterator[list[PostgresMailbox]]:
    """So many processes on one database."""
    assert world.database is not None
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(PostgresMailbox.open(settings, world.database)) for _ in range(count)]


def watch(mailbox: PostgresMailbox, monkeypatch: pytest.MonkeyPatch) -> list[list[bool]]:
    """Which postings of each batch are not counted, from now on."""
    seen: list[list[bool]] = []
    take = Headroom.take

    def taking(self: Headroom, batch: Sequence[Posting], numbers: Sequence[int], *, one_each: bool) -> list[bool]:
        room = take(self, batch, numbers, one_each=one_each)
        if self is mailbox._headroom:
            seen.append(room)
        return room

    monkeypatch.setattr(Headroom, "take", taking)
    return seen


async def put_each(mailbox: PostgresMailbox, posts: Sequence[Posting]) -> list[Outcome]:
    return [(await mailbox.put([post]))[0] for post in posts]


async def waiting(world: World, account_id: UUID) -> int:
    assert world.database is not None
    count: int = await world.database.fetchval("SELECT count(*) FROM envelopes WHERE account_id = $1", account_id)
    return count


async def test_a_mailbox_is_counted_now_and_then(real_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account_id, other = await real_world.add_account(), await real_world.add_account()
    async with processes(real_world) as (mailbox,):
        seen = watch(mailbox, monkeypatch)
        assert await put_each(mailbox, [posting(account_id, n) for n in range(7)]) == [N] * 7
        assert await put_each(mailbox, [posting(other)]) == [N]
    assert seen == [[False], [True], [True], [False], [True], [True], [False], [False]]


async def test_not_for_ever(real_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the limits are."""
    account_id = await real_world.add_account()
    large = Settings(mailbox_envelopes=10**6, mailbox_bytes=1 << 40, mailbox_stranger_envelopes=10**6)
    async with processes(real_world, settings=large) as (mailbox,):
        seen = watch(mailbox, monkeypatch)
        await put_each(mailbox, [posting(account_id, n) for n in range(MOST_UNITS + 2)])
    assert seen == [[False], *[[True]] * MOST_UNITS, [False]]


async def test_small_limits_hold_exactly(real_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account_id = await real_world.add_account()
    small = Settings(mailbox_envelopes=63, mailbox_bytes=1 << 30, mailbox_stranger_envelopes=10)
    async with processes(real_world, 2, small) as (one, two):
        seen = watch(one, monkeypatch)
        outcomes = [
            *await put_each(one, [posting(account_id, n) for n in range(32)]),
            *await put_each(two, [posting(account_id, n) for n in range(30)]),
            *await put_each(one, [posting(account_id, n) for n in range(2)]),
        ]
    assert outcomes == [N] * 63 + [F]
    assert {True} not in map(set, seen)


@pytest.mark.parametrize("sizes", [[1024] * 62, [4096] * 31 + [1024] * 2], ids=["by number", "by bytes"])
async def test_past_the_half_each_post_is_counted(
    real_world: World, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    account_id = await real_world.add_account()
    async with processes(real_world) as (mailbox,):
        await mailbox.put([posting(account_id, n, size=size) for n, size in enumerate(sizes)])
        seen = watch(mailbox, monkeypatch)
        await put_each(mailbox, [posting(account_id, n) for n in range(7)])
    # The batch was counted, and then what came when the mailbox was half full; what came later was counted and gave no room.
    assert seen == [[True], [True], [False], [True], [True], [False], [False]]


async def test_processes_together_exceed_the_limit_by_what_each_may(real_world: World) -> None:
    account_id = await real_world.add_account()
    async with processes(real_world, 3) as (one, two, three):
        for early in (one, two):
            assert await early.put([posting(account_id)]) == [N]  # and may put in two more, whatever comes
        assert await three.put([posting(account_id, n) for n in range(127)]) == [N] * 126 + [F]
        late = [posting(account_id, n) for n in range(4)]
        assert await put_each(one, late) == [N, N, F, F]
        assert await two.put(late[2:]) == [N, N]
        assert await put_each(two, late) == [Stored.AGAIN] * 4
        assert await put_each(two, [posting(account_id, 9)]) == [F]
    assert await waiting(real_world, account_id) == 128 + 2 * UNITS


async def test_strangers_are_always_counted(real_world: World) -> None:
    """Also when a friend of the recipient has just made room."""
    account_id = await real_world.add_account()
    stranger = [posting(account_id, n, access=NUMBER) for n in range(14)]
    async with processes(real_world, 2) as (one, two):
        assert await put_each(one, stranger[:8]) == [N] * 8
        for mailbox in (one, two):
            assert await mailbox.put([posting(account_id, "friend")]) == [N]
        assert await put_each(two, stranger[8:12]) == [N, N, F, F]
        assert await one.put([posting(account_id, "friend"), stranger[12]]) == [N, F]
        assert await one.put(stranger[12:]) == [F, F]


@pytest.mark.parametrize("gift", ["nothing", "no access", "over its rate"])
async def test_only_who_gets_in_makes_room(real_world: World, monkeypatch: pytest.MonkeyPatch, gift: str) -> None:
    account_id = await real_world.add_account()
    async with processes(real_world) as (mailbox,):
        if gift != "nothing":
            one = posting(account_id, access=WRONG if gift == "no access" else CONTACT, over_rate=gift != "no access")
            await put_each(mailbox, [one])
        seen = watch(mailbox, monkeypatch)
        assert await put_each(mailbox, [posting(account_id, n) for n in range(2)]) == [N, N]
    assert seen == [[False], [True]]


async def test_a_batch_is_counted_whole_or_not_at_all(real_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account_id, other = await real_world.add_account(), await real_world.add_account()

    def some(count: int, *more: Posting) -> list[Posting]:
        return [*(posting(account_id, n) for n in range(count)), *more]

    async with processes(real_world) as (mailbox,):
        seen = watch(mailbox, monkeypatch)
        for batch in (
            some(2),  # counted: gives room for two
            some(3),  # too many: counted
            some(2, posting(other)),
            some(1),
            some(1, posting(account_id, over_rate=True)),
            some(2),
            some(1, posting(account_id, access=WRONG)),  # two keys: counted
        ):
            await mailbox.put(batch)
    assert seen == [
        [False, False],
        [False, False, False],
        [True, True, False],
        [False],
        [True, False],
        [False, False],
        [False, False],
    ]


async def test_large_bodies_take_more(real_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    account_id = await real_world.add_account()
    async with processes(real_world) as (mailbox,):
        await mailbox.put([posting(account_id)])
        seen = watch(mailbox, monkeypatch)
        await put_each(mailbox, [posting(account_id, size=size) for size in (16384, 1024, 4096, 4096, 1024, 1024)])
    # Eight units are too many for a process that may have two. What is counted gives two, and takes none of them.
    assert seen == [[False], [True], [False], [True], [False], [True]]


async def test_any_mixture_stays_within_the_limits(real_world: World) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    account_id = await real_world.add_account()
    async with processes(real_world, 3) as several:
        for _ in range(120):
            batch = [
                posting(account_id, size=chance.choice((1024, 4096)), access=chance.choice((CONTACT, CONTACT, NUMBER)))
                for _ in range(chance.choice((1, 1, 1, 2, 5)))
            ]
            before = await waiting(real_world, account_id)
            outcomes = await chance.choice(several).put(batch)
            assert set(outcomes) <= {N, F}, seed
            assert await waiting(real_world, account_id) == before + outcomes.count(N), seed
    assert real_world.database is not None
    (row,) = await real_world.database.fetch(
        "SELECT count(*), sum(octet_length(body)), count(*) FILTER (WHERE by_number) FROM envelopes WHERE account_id = $1",
        account_id,
    )
    count, size, by_number = row
    assert 64 < count <= 128 + 3 * UNITS, seed
    assert 128 * 1024 < size <= (128 + 3 * UNITS) * 2048, seed
    assert by_number == 10, seed


def test_it_forgets_all_before_it_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.headroom.MOST_ACCOUNTS", 3)
    headroom = Headroom(1000, 1 << 20)
    posts = [posting(uuid4()) for _ in range(4)]

    def counted(post: Posting) -> bool:
        numbers = [post.account_id.int]
        had = headroom.take([post], numbers, one_each=True)
        headroom.give(numbers, had, [N], [])
        return had == [False]

    assert [counted(post) for post in (*posts[:3], *posts[:3], posts[3], *posts[:2], posts[3])] == [
        *[True] * 3,
        *[False] * 3,
        True,
        *[True] * 2,
        False,
    ]


def test_what_is_over_its_rate_takes_nothing() -> None:
    headroom = Headroom(64, 1 << 20)  # one unit
    account_id = uuid4()
    numbers = [account_id.int]
    headroom.give(numbers, [False], [N], [])
    assert headroom.take([posting(account_id, over_rate=True)], numbers, one_each=True) == [False]
    assert headroom.take([posting(account_id)], numbers, one_each=True) == [True]


def test_who_is_remembered_makes_nobody_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.headroom.MOST_ACCOUNTS", 2)
    headroom = Headroom(1000, 1 << 20)
    one, other = posting(uuid4()), posting(uuid4())
    numbers = [one.account_id.int, other.account_id.int]
    headroom.give(numbers, [False, False], [N, N], [])
    headroom.give(numbers[:1], [False], [N], [])  # its batch was too large for what was left
    assert headroom.take([one, other], numbers, one_each=True) == [True, True]
