"""When the relay knocks, on a clock that jumps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
import trio
from trio.testing import MockClock

from nursery_tasks.push_sender import FIRST_RETRY_S, MOST_TRIES, QUIET_S, SETTLE_S, PushSender
from relay.errors import DatabaseUnavailable
from relay.records import PushOutcome, PushTarget

ALICE, BOB = uuid4(), uuid4()


class Service:
    """Accounts in `mail` wait; knocks are noted with their time."""

    def __init__(self) -> None:
        self.mail: set[UUID] = set()
        self.outcomes: list[PushOutcome | Exception] = []
        self.knocks: list[tuple[float, UUID]] = []
        self.forgotten: list[PushTarget] = []
        self.looks = 0
        self.away = False
        self.took_s = 0.0

    async def waiting(self, account_ids: Collection[UUID]) -> Sequence[PushTarget]:
        self.looks += 1
        await trio.lowlevel.checkpoint()
        if self.away:
            raise DatabaseUnavailable
        return [PushTarget(one, b"sealed") for one in account_ids if one in self.mail]

    async def knock(self, target: PushTarget) -> PushOutcome:
        self.knocks.append((trio.current_time(), target.account_id))
        await trio.sleep(self.took_s)
        outcome = self.outcomes.pop(0) if self.outcomes else PushOutcome.SENT
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def forget(self, target: PushTarget) -> None:
        self.forgotten.append(target)


async def during(service: Service, story: Callable[[PushSender], Awaitable[None]], seconds: float = 600) -> list[float]:
    """The times of all knocks."""
    sender = PushSender(service)
    async with trio.open_nursery() as nursery:
        await nursery.start(sender.run)
        began = trio.current_time()
        await story(sender)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()
    return [round(when - began, 3) for when, _ in service.knocks]


async def test_a_moment_after_mail_came(autojump_clock: MockClock) -> None:
    service = Service()
    service.mail = {ALICE}

    async def story(sender: PushSender) -> None:
        for _ in range(5):
            sender.tell(ALICE)
            sender.tell(BOB)  # has fetched it elsewhere, or wants no pushes

    assert await during(service, story) == [SETTLE_S]
    assert service.looks == 1


async def test_what_comes_soon_after_a_push_shares_the_next(autojump_clock: MockClock) -> None:
    service = Service()
    service.mail = {ALICE}

    async def story(sender: PushSender) -> None:
        for _ in range(30):
            sender.tell(ALICE)
            await trio.sleep(1)

    assert await during(service, story) == [SETTLE_S, SETTLE_S + QUIET_S, SETTLE_S + 2 * QUIET_S]


async def test_it_tries_again_later_and_later_and_gives_up(autojump_clock: MockClock) -> None:
    service = Service()
    service.mail = {ALICE}
    service.outcomes = [PushOutcome.LATER, ValueError("x")] * 10

    async def story(sender: PushSender) -> None:
        sender.tell(ALICE)

    times = await during(service, story, 10_000)
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == [FIRST_RETRY_S * 2**n for n in range(MOST_TRIES - 1)]


async def test_who_fetched_meanwhile_is_not_knocked_for_again(autojump_clock: MockClock) -> None:
    service = Service()
    service.mail = {ALICE}
    service.outcomes = [PushOutcome.LATER]

    async def story(sender: PushSender) -> None:
        sender.tell(ALICE)
        await trio.sleep(SETTLE_S + 1)
        service.mail.clear()

    assert await during(service, story) == [SETTLE_S]


async def test_an_endpoint_that_is_gone_is_forgotten(autojump_clock: MockClock) -> None:
    service = Service()
    service.mail = {ALICE}
    service.outcomes = [PushOutcome.GONE]

    async def story(sender: PushSender) -> None:
        sender.tell(ALICE)

    assert await during(service, story) == [SETTLE_S]
    assert service.forgotten == [PushTarget(ALICE, b"sealed")]


async def test_a_database_that_is_away_is_waited_for(autojump_clock: MockClock) -> None:
    service = Service()
    service.mail = {ALICE}
    service.away = True

    async def story(sender: PushSender) -> None:
        sender.tell(ALICE)
        await trio.sleep(SETTLE_S + 1)
        service.away = False

    assert await during(service, story) == [SETTLE_S + FIRST_RETRY_S]


async def test_one_knock_at_a_time_and_a_slow_service_holds_up_nobody(autojump_clock: MockClock) -> None:
    service = Service()
    service.mail = {ALICE, BOB}
    service.took_s = 5.0

    async def story(sender: PushSender) -> None:
        sender.tell(ALICE)
        await trio.sleep(SETTLE_S + 1)
        sender.tell(ALICE)
        sender.tell(BOB)

    await during(service, story)
    by = {who: [when for when, one in service.knocks if one == who] for who in (ALICE, BOB)}
    assert len(by[BOB]) == 1
    assert by[ALICE][1] - by[ALICE][0] >= QUIET_S
    assert len(by[ALICE]) == 2


async def test_what_waits_to_be_looked_at_is_bounded(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nursery_tasks.push_sender.MOST_PENDING", 3)
    service = Service()
    accounts = [uuid4() for _ in range(5)]
    service.mail = set(accounts)

    async def story(sender: PushSender) -> None:
        for account in accounts:
            sender.tell(account)

    assert len(await during(service, story)) == 3
