"""Siblings: what one process hands to another, and what is notified of instead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from nursery_tasks import siblings as module
from nursery_tasks import wakeup_listener as topics
from nursery_tasks.dispatch import Dispatch
from nursery_tasks.siblings import Siblings
from relay.errors import Ending
from relay.records import Posting, Ringing, Waiting
from relay.switchboard import Switchboard
from tests.fakes import new_id
from tests.lines import MemoryLine, memory_lines, serve
from tests.sessions.stage import START

MARK = b"of one database "


@dataclass
class Kept:
    """A mailbox session that keeps what it is told."""

    epoch: int = 1
    heard: list[str] = field(default_factory=list)
    ending: Ending | None = None

    def end(self, ending: Ending) -> None:
        self.ending = ending

    def hand_over_mail(self, envelopes: Sequence[Waiting]) -> None:
        self.heard += [envelope.body[:9].decode().strip() for envelope in envelopes]

    def hand_over_signals(self, signals: Sequence[Ringing]) -> None:
        self.heard += [f"rings {signal.body[:9].decode().strip()} until {signal.expires_at}" for signal in signals]

    def look_at_mail(self) -> None:
        self.heard.append("look at mail")

    def look_at_signals(self) -> None:
        self.heard.append("look at signals")

    def look_at_notices(self) -> None:
        self.heard.append("look at notices")


class Process:
    """A worker, as far as it concerns its siblings."""

    def __init__(self, mark: bytes = MARK) -> None:
        self.told: list[tuple[str, UUID]] = []
        self.knocked: list[UUID] = []
        self.numbers: list[int] = []
        tell, knock = lambda topic, id_: self.told.append((topic, id_)), self.knocked.append
        self.switchboard = Switchboard(
            lambda id_: self.dispatch.session_left(id_),  # noqa: PLW0108
            lambda id_, epoch: self.siblings.came(id_, epoch),  # noqa: PLW0108
        )
        self.siblings = Siblings(self.switchboard, tell, knock, mark, self.numbers.append)
        self.dispatch = Dispatch(self.switchboard, tell, knock, self.siblings)

    def post(self, account_id: UUID, *fills: str, size: int = 1024) -> None:
        self.dispatch.mail.stored([posting(account_id, fill, size) for fill in fills])

    def ring(self, account_id: UUID, fill: str) -> None:
        self.dispatch.signals.stored([posting(account_id, fill)])


def posting(account_id: UUID, fill: str, size: int = 1024) -> Posting:
    return Posting(account_id, new_id(START), b"", fill.encode().ljust(size), int(START), int(START) + 30)


class World:
    """Processes, and lines between them."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    def process(self, mark: bytes = MARK) -> Process:
        made = Process(mark)
        self._nursery.start_soon(made.siblings.run)
        return made

    async def connect(self, giver: Process, taker: Process) -> MemoryLine:
        one, other = memory_lines()
        self._nursery.start_soon(serve, one, giver.siblings.giver(one))
        self._nursery.start_soon(serve, other, taker.siblings.taker(other))
        await wait_all_tasks_blocked()
        return one


async def news() -> None:
    """Until everybody knows of every session."""
    await trio.sleep(2 * module.NEWS_EVERY_S)
    await wait_all_tasks_blocked()


@pytest.fixture
async def world(autojump_clock: MockClock) -> AsyncIterator[World]:
    async with trio.open_nursery() as nursery:
        yield World(nursery)
        nursery.cancel_scope.cancel()


async def test_who_has_a_session_at_a_sibling_looks_once_and_then_is_handed_everything(
    autojump_clock: MockClock, world: World
) -> None:
    here, there, bob, live = world.process(), world.process(), uuid4(), Kept()
    await world.connect(here, there)
    with there.switchboard.mailbox(bob, live):
        await news()
        here.post(bob, "first")
        here.post(bob, "second", "third")
        here.post(bob, "fourth")
        await wait_all_tasks_blocked()
        assert live.heard == ["look at mail", "second", "third", "fourth"]
        here.ring(bob, "one")
        here.ring(bob, "two")
        await wait_all_tasks_blocked()
        assert live.heard[4:] == ["look at signals", f"rings two until {int(START) + 30}"]
        assert (here.told, here.knocked, there.told, there.knocked) == ([], [], [], [])


async def test_sessions_that_were_open_before_the_line_are_told_of_however_many(
    autojump_clock: MockClock, world: World
) -> None:
    here, there = world.process(), world.process()
    lives = {uuid4(): Kept() for _ in range(2500)}
    with ExitStack() as stack:
        for account_id, live in lives.items():
            stack.enter_context(there.switchboard.mailbox(account_id, live))
        await world.connect(here, there)
        for account_id in lives:
            here.post(account_id, "now")
            await wait_all_tasks_blocked()
        assert all(live.heard == ["look at mail"] for live in lives.values())
        assert here.told == []


async def test_nobody_is_handed_anything_before_his_session_is_known_nor_after_it_has_left(
    autojump_clock: MockClock, world: World
) -> None:
    here, there, bob = world.process(), world.process(), uuid4()
    await world.connect(here, there)
    with there.switchboard.mailbox(bob, live := Kept()):
        here.post(bob, "early")
        assert here.told == [(topics.MAIL, bob)]
        assert here.knocked == [bob]
        await news()
    await news()
    here.told.clear()
    here.post(bob, "late")
    assert here.told == [(topics.MAIL, bob)]
    assert live.heard == []


async def test_the_sibling_notifies_when_the_session_has_left_meanwhile(
    autojump_clock: MockClock, world: World
) -> None:
    here, there, bob = world.process(), world.process(), uuid4()
    await world.connect(here, there)
    with there.switchboard.mailbox(bob, Kept()):
        await news()
        here.post(bob, "looks")
        here.ring(bob, "looks")
        await wait_all_tasks_blocked()
    there.told.clear()
    there.knocked.clear()
    here.post(bob, "crosses")
    here.ring(bob, "crosses")
    assert here.told == []
    await wait_all_tasks_blocked()
    assert there.told == [(topics.MAIL, bob), (topics.SIGNALS, bob)]
    assert there.knocked == [bob, bob]
    await news()
    here.dispatch.mail.again(bob)  # nothing is known of it any more
    assert here.told == [(topics.MAIL, bob)]


async def test_a_look_that_finds_nobody_is_notified_of_too(autojump_clock: MockClock, world: World) -> None:
    here, there, bob = world.process(), world.process(), uuid4()
    await world.connect(here, there)
    with there.switchboard.mailbox(bob, Kept()):
        await news()
    there.told.clear()
    here.post(bob, "looks")
    await wait_all_tasks_blocked()
    assert there.told == [(topics.MAIL, bob)]


async def test_what_a_line_does_not_take_is_notified_of_and_looked_for_before_the_next(
    autojump_clock: MockClock, world: World
) -> None:
    """Else the next one, which is handed over, would overtake it."""
    here, there, bob, live = world.process(), world.process(), uuid4(), Kept()
    line = await world.connect(here, there)
    with there.switchboard.mailbox(bob, live):
        await news()
        here.post(bob, "looks")
        await wait_all_tasks_blocked()
        line.room = 0
        here.post(bob, "first")
        assert here.told == [(topics.MAIL, bob)]
        assert here.knocked == [bob]
        line.room = 100
        here.post(bob, "second")
        here.post(bob, "third")
        await wait_all_tasks_blocked()
        assert live.heard == ["look at mail", "look at mail", "third"]


async def test_a_retry_of_what_was_committed_unheard_is_looked_for_before_the_next(
    autojump_clock: MockClock, world: World
) -> None:
    here, there, bob, live = world.process(), world.process(), uuid4(), Kept()
    await world.connect(here, there)
    with there.switchboard.mailbox(bob, live):
        await news()
        here.post(bob, "looks")
        here.dispatch.mail.again(bob)
        here.post(bob, "next")
        await wait_all_tasks_blocked()
        assert live.heard == ["look at mail", "look at mail"]
        assert here.told == [(topics.MAIL, bob)]


async def test_a_large_batch_goes_in_several_messages_and_in_order_or_is_notified_of(
    autojump_clock: MockClock, world: World
) -> None:
    here, there, bob, live = world.process(), world.process(), uuid4(), Kept()
    line = await world.connect(here, there)
    fills = [str(n) for n in range(32)]
    with there.switchboard.mailbox(bob, live):
        await news()
        here.post(bob, "looks")
        await wait_all_tasks_blocked()
        here.post(bob, *fills, size=65536)
        assert line.other is not None
        assert len(line.other.came) == 32
        assert max(map(len, line.other.came)) < module.messages.MOST_BYTES
        await wait_all_tasks_blocked()
        assert live.heard[1:] == fills
        here.post(bob, *[f"small {n}" for n in range(300)])
        assert len(line.other.came) == -(-300 // module.messages.BUNDLE_ITEMS)
        await wait_all_tasks_blocked()
        live.heard.clear()

        line.room = 2  # so that a part goes
        here.post(bob, *fills, size=65536)
        assert here.told == [(topics.MAIL, bob)]
        await wait_all_tasks_blocked()
        here.post(bob, "next")
        await wait_all_tasks_blocked()
        assert live.heard == ["0", "1", "look at mail"]


async def test_of_a_batch_all_that_is_elsewhere_goes_in_one_message_and_what_is_here_is_left(
    autojump_clock: MockClock, world: World
) -> None:
    here, there, live, erins = world.process(), world.process(), Kept(), Kept()
    bob, carol, dave, erin = (uuid4() for _ in range(4))
    line = await world.connect(here, there)

    def committed() -> set[UUID]:
        batch = [(id_, [posting(id_, "one"), posting(id_, "two")]) for id_ in (bob, erin, carol, dave)]
        return set(here.dispatch.mail.committed(batch))

    assert committed() == set(), "nobody is at a sibling: each is told in turn"
    with (
        there.switchboard.mailbox(bob, live),
        there.switchboard.mailbox(carol, live),
        here.switchboard.mailbox(erin, erins),
    ):
        await news()
        coming = here.switchboard.expect(dave)
        assert committed() == {bob, carol, dave}
        assert coming.mail, "whose session is on its way may have looked before the commit"
        await wait_all_tasks_blocked()
        assert line.other is not None
        before = len(line.other.came)
        assert committed() == {bob, carol, dave}
        assert len(line.other.came) == before + 1
        await wait_all_tasks_blocked()
        assert live.heard == ["look at mail"] * 2 + ["one", "two"] * 2
        assert erins.heard == []
        assert here.told == [(topics.MAIL, dave)] * 2
        assert here.knocked == [dave] * 2


async def test_a_line_that_ends_is_notified_of_for_the_sibling(autojump_clock: MockClock, world: World) -> None:
    here, there, bob, carol = world.process(), world.process(), uuid4(), uuid4()
    line = await world.connect(here, there)
    with there.switchboard.mailbox(bob, Kept()), there.switchboard.mailbox(carol, Kept()):
        await news()
        here.post(bob, "confirmed")
        await trio.sleep(2 * module.TICK_S)
        assert line.other is not None
        line.other.stuck = True
        here.post(bob, "in the air")
        here.ring(bob, "in the air")
        line.other.cut()
        await wait_all_tasks_blocked()
        # What may not have been read, then that its sessions may have left, which it can say no more.
        assert here.told[:2] == [(topics.MAIL, bob), (topics.SIGNALS, bob)]
        assert set(here.told[2:]) == {(topic, id_) for topic in (topics.MAIL, topics.SIGNALS) for id_ in (bob, carol)}
        assert here.knocked == [bob, bob]
        here.told.clear()
        here.post(bob, "later")
        assert here.told == [(topics.MAIL, bob)]
    assert here.numbers == [1, 0]


async def test_what_was_confirmed_is_not_knocked_for_again(autojump_clock: MockClock, world: World) -> None:
    here, there, bob = world.process(), world.process(), uuid4()
    line = await world.connect(here, there)
    with there.switchboard.mailbox(bob, Kept()):
        await news()
        here.post(bob, "one")
        here.post(bob, "two")
        await trio.sleep(2 * module.TICK_S)
    await news()
    line.cut()
    await wait_all_tasks_blocked()
    assert (here.told, here.knocked) == ([], [])


async def test_a_sibling_that_does_not_read_is_cut_and_holds_nobody_up(autojump_clock: MockClock, world: World) -> None:
    here, there, bob = world.process(), world.process(), uuid4()
    line = await world.connect(here, there)
    assert line.other is not None
    with there.switchboard.mailbox(bob, Kept()):
        await news()
        line.other.stuck = True
        began = trio.current_time()
        for n in range(150):  # more than the line takes
            here.post(bob, str(n))
        assert trio.current_time() == began
        assert here.told == [(topics.MAIL, bob)] * 50
        while not line.is_cut:  # noqa: ASYNC110
            await trio.sleep(0.1)
        assert module.STALL_S <= trio.current_time() - began <= module.STALL_S + 3 * module.TICK_S
        assert here.told.count((topics.MAIL, bob)) == 151
        here.told.clear()
        here.post(bob, "later")
        assert here.told == [(topics.MAIL, bob)]


async def test_a_sibling_that_is_slow_but_reads_is_not_cut(autojump_clock: MockClock, world: World) -> None:
    here, there, bob = world.process(), world.process(), uuid4()
    line = await world.connect(here, there)
    with there.switchboard.mailbox(bob, Kept()):
        await news()
        for n in range(40):
            here.post(bob, str(n))
            await trio.sleep(0.3)
    assert not line.is_cut


async def test_the_newest_session_wins_at_once(autojump_clock: MockClock, world: World) -> None:
    here, there, bob = world.process(), world.process(), uuid4()
    await world.connect(here, there)
    old, new = Kept(epoch=1), Kept(epoch=2)
    with here.switchboard.mailbox(bob, old), there.switchboard.mailbox(bob, new):
        await news()
        assert old.ending is Ending.SUPERSEDED
        assert new.ending is None
        assert (topics.MAIL, bob) in here.told, "what was handed to it is only in the table"
        here.post(bob, "one")
        here.post(bob, "two")
        await wait_all_tasks_blocked()
        assert (old.heard, new.heard) == ([], ["look at mail", "two"])


async def test_an_older_session_at_a_sibling_takes_nothing_from_a_newer_one(
    autojump_clock: MockClock, world: World
) -> None:
    here, first, second, bob = world.process(), world.process(), world.process(), uuid4()
    await world.connect(here, first)
    await world.connect(here, second)
    old, new, own = Kept(epoch=1), Kept(epoch=2), Kept(epoch=3)
    with second.switchboard.mailbox(bob, new):
        await news()
        with first.switchboard.mailbox(bob, old):
            await news()
            here.post(bob, "one")
            await wait_all_tasks_blocked()
            assert (old.heard, new.heard) == ([], ["look at mail"])
            with here.switchboard.mailbox(bob, own):
                await news()
                assert own.ending is None
        await news()
        here.told.clear()
        here.post(bob, "two")
        await wait_all_tasks_blocked()
        assert new.heard == ["look at mail", "look at mail"], "the older one has left, and is another's"


async def test_what_a_session_here_got_is_looked_for_at_the_sibling_when_it_has_left(
    autojump_clock: MockClock, world: World
) -> None:
    here, there, bob, live = world.process(), world.process(), uuid4(), Kept(epoch=1)
    await world.connect(here, there)
    with there.switchboard.mailbox(bob, live):
        await news()
        here.post(bob, "one")
        with here.switchboard.mailbox(bob, Kept(epoch=2)):
            here.post(bob, "two")
        here.post(bob, "three")
        here.post(bob, "four")
        await wait_all_tasks_blocked()
        assert live.heard == ["look at mail", "look at mail", "four"]


async def test_a_session_that_comes_again_looks_again(autojump_clock: MockClock, world: World) -> None:
    here, there, bob = world.process(), world.process(), uuid4()
    await world.connect(here, there)
    with there.switchboard.mailbox(bob, Kept(epoch=1)):
        await news()
        here.post(bob, "one")
        with there.switchboard.mailbox(bob, live := Kept(epoch=2)):
            await news()
            here.post(bob, "two")
            here.post(bob, "three")
            await wait_all_tasks_blocked()
            assert live.heard[-2:] == ["look at mail", "three"]


@pytest.mark.parametrize("mark", [b"another database", bytes(16)])
async def test_what_is_on_another_database_is_no_sibling(autojump_clock: MockClock, world: World, mark: bytes) -> None:
    here, there, bob = world.process(), world.process(mark), uuid4()
    line = await world.connect(here, there)
    assert line.is_cut
    with there.switchboard.mailbox(bob, Kept()):
        await news()
        here.post(bob, "one")
    assert here.told == [(topics.MAIL, bob)]
    assert 1 not in here.numbers


@pytest.mark.parametrize("kind", [*range(8), 255])
async def test_what_is_no_message_cuts_the_line(autojump_clock: MockClock, world: World, kind: int) -> None:
    here, there = world.process(), world.process()
    line = await world.connect(here, there)
    other = await world.connect(there, here)
    line.send([bytes([kind])])
    if kind != module.messages.NEWS:  # the empty news are none
        assert other.other is not None
        other.other.send([bytes([kind])])
    await wait_all_tasks_blocked()
    assert line.is_cut
    assert other.is_cut or kind == module.messages.NEWS


async def test_more_confirmed_than_was_given_cuts_the_line(autojump_clock: MockClock, world: World) -> None:
    here, there = world.process(), world.process()
    line = await world.connect(here, there)
    assert line.other is not None
    line.other.send([module.messages.seen(1)])
    await wait_all_tasks_blocked()
    assert line.is_cut
