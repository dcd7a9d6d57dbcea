"""Sessions of one account across two nodes: random lives on a clock that jumps, judged by the checker of tests/faults.

The newest session wins; wake-ups come late, twice, or not at all; nodes are killed; commits lose their answers. Nothing that was
acknowledged is lost or overtaken, nothing waits while a session is open that has room, and a superseded session deletes nothing.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from hypothesis import given, seed
from hypothesis import strategies as st
from trio.testing import MockClock

from nursery_tasks.dispatch import Dispatch
from nursery_tasks.lane import Lane
from nursery_tasks.sibling_messages import MAIL as MAIL_LANE
from nursery_tasks.siblings import Giver, Siblings
from nursery_tasks.wakeup_listener import Wakeups
from relay.errors import DatabaseUnavailable
from relay.switchboard import Switchboard
from tests.fakes import MemoryMailbox
from tests.faults.checker import judge
from tests.models.nodes import TwoNodes, ack_batch_without_epochs
from tests.models.profile import SEED, profile, until_convicted

node = st.integers(0, 1)
account = st.sampled_from([0, 0, 0, 1])
pause = st.sampled_from([0.0, 0.0, 0.001, 0.2, 1.0, 12.0])

steps = st.one_of(
    st.tuples(st.just("post"), node, account, st.integers(1, 5)),
    st.tuples(st.just("post"), node, account, st.integers(1, 5)),
    st.tuples(st.just("open"), account, node),
    st.tuples(st.just("ack"), st.integers(0, 3), st.integers(1, 9)),
    st.tuples(st.just("ack"), st.just(0), st.integers(1, 9)),
    st.tuples(st.just("close"), st.integers(0, 3)),
    st.tuples(st.just("again"), st.none() | node),
    st.tuples(st.just("unheard"), st.integers(1, 2)),
    st.tuples(
        st.just("database"), st.sampled_from(["put", "page", "remove", "epochs", "begin_sessions"]), st.booleans()
    ),
    st.tuples(st.just("deaf"), node, st.booleans()),
    st.tuples(st.just("late"), node, st.sampled_from([0.0, 0.5, 5.0])),
    st.tuples(st.just("bus"), st.sampled_from(["stutters", "down"]), st.booleans()),
    st.tuples(st.just("lines"), st.sampled_from([0, 1, 100]), st.booleans()),
    st.tuples(st.just("cut"), node),
    st.tuples(st.just("kill"), node),
)
lives = st.lists(st.tuples(steps, pause), min_size=3, max_size=40)


async def step(world: TwoNodes, name: str, *args: Any) -> None:
    match name, args:
        case "post", (number, to, count):
            world.post(number, to, count)
        case "open", (to, number):
            world.open(to, number)
        case "ack", (back, count):  # of the sessions opened last, also of those that are superseded
            if back < len(world.phones):
                world.phones[-1 - back].acknowledge(count)
        case "close", (back,):
            if back < len(world.phones):
                world.phones[-1 - back].peer.drop()
        case "again", (number,):
            world.post_again(number)
        case "unheard", (count,):
            world.mailbox.unheard = count
        case "database", (call, fails):
            world.mailbox.errors.pop(call, None)
            if fails:
                world.mailbox.errors[call] = DatabaseUnavailable()
        case "deaf", (number, is_deaf):
            world.deafen(number) if is_deaf else world.hear_again(number)
        case "late", (number, seconds):
            world.bus.late_s[number] = seconds
        case "bus", (what, whether):
            setattr(world.bus, what, whether)
        case "lines", (room, stuck):
            world.lines(room, stuck)
        case "cut", (number,):
            world.connect(number)
        case "kill", (number,):
            await world.kill(number)
        case _:
            raise AssertionError(name)


async def carry_out(life: list[tuple[tuple[Any, ...], float]]) -> list[str]:
    """What was wrong in this life."""
    async with trio.open_nursery() as nursery:
        world = TwoNodes(nursery)
        await world.start()
        for (name, *args), seconds in life:
            await step(world, name, *args)
            await trio.sleep(seconds)
            world.check_deletes()
        await world.heal()
        world.check_open_sessions()
        await world.everything_arrives()
        nursery.cancel_scope.cancel()
    verdict = judge(world.history)
    return world.charges + [f"{charge}: {count}" for charge, count in verdict.charges.items()]


def charges_of(life: list[tuple[tuple[Any, ...], float]]) -> list[str]:
    return trio.run(carry_out, life, clock=MockClock(autojump_threshold=0))


@pytest.fixture(autouse=True)
def quiet() -> Any:
    logging.disable(logging.CRITICAL)  # thousands of warnings about a database that does not answer
    yield
    logging.disable(logging.NOTSET)


def test_two_nodes_lose_nothing_and_hold_nothing_back() -> None:
    @seed(SEED)
    @profile(300)
    @given(lives)
    def every_life(life: list[Any]) -> None:
        assert charges_of(life) == []

    every_life()


# -- each planted bug is convicted ---------------------------------------------------------------------------------------


def retries_wait_for_the_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was: a retry of what was committed unheard is overtaken."""
    monkeypatch.setattr(Dispatch, "_look", lambda self, topic, _look_at, account_id: self._tell(topic, account_id))


def a_gap_is_overlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wakeups, "gap", lambda self: None)


def superseded_sessions_delete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryMailbox, "remove", ack_batch_without_epochs())


def who_leaves_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was handed to a session that ends is known to no other node."""
    monkeypatch.setattr(Dispatch, "session_left", lambda self, account_id: None)


def older_sessions_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Switchboard, "check_epochs", lambda self, asked, epochs: None)


def a_full_lane_forgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hand-over that finds no room is dropped, and the table is not read."""

    def offer(self: Lane[Any], item: Any) -> None:
        if not self._behind and len(self._handed) < 2:
            self._handed.append(item)
            self._bell.ring()

    def hand_over(self: Lane[Any], items: Any, now: float, *, at_once: bool) -> list[Any]:
        for item in items:
            offer(self, item)
        return []

    monkeypatch.setattr(Lane, "hand_over", hand_over)


def what_crosses_may_overtake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a session at a sibling does not look before the first hand-over."""
    heard = Siblings.is_there

    def is_there(self: Siblings, giver: Giver, account: int, epoch: int) -> None:
        heard(self, giver, account, epoch)
        if account in self._there:
            self._there[account].in_step = (MAIL_LANE,)

    monkeypatch.setattr(Siblings, "is_there", is_there)


def a_full_line_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    give = Giver.give

    def silent(self: Giver, lane: int, those: Any) -> list[Any]:
        give(self, lane, those)
        return []

    monkeypatch.setattr(Giver, "give", silent)


@pytest.mark.timeout(600)  # a thousand lives and more
@pytest.mark.parametrize("plant", [older_sessions_stay, a_full_lane_forgets])
def test_a_planted_bug_is_convicted(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    @seed(SEED)
    @until_convicted(2000)
    @given(lives)
    def every_life(life: list[Any]) -> None:
        assert charges_of(life) == []

    with pytest.raises(AssertionError):
        every_life()


NO_SIBLINGS = (("lines", 0, False), 0.0)
"""By its news of sessions a sibling shortens the time in which such a bug shows."""

RARE = {
    a_gap_is_overlooked: [
        NO_SIBLINGS,
        (("open", 0, 1), 0.2),
        (("deaf", 1, True), 0.0),
        (("post", 0, 0, 1), 1.0),
        (("deaf", 1, False), 1.0),
    ],
    retries_wait_for_the_wake_up: [
        (("open", 0, 0), 0.2),
        (("unheard", 1), 0.0),
        (("post", 0, 0, 1), 0.2),
        (("late", 0, 5.0), 0.0),
        (("again", None), 0.2),
        (("post", 0, 0, 2), 1.0),
    ],
    superseded_sessions_delete: [
        NO_SIBLINGS,
        (("open", 0, 0), 0.2),
        (("post", 0, 0, 2), 0.2),
        (("late", 0, 5.0), 0.0),
        (("open", 0, 1), 0.2),
        (("ack", 1, 2), 1.0),
    ],
    what_crosses_may_overtake: [
        (("lines", 100, True), 0.0),
        (("open", 0, 1), 0.2),
        (("late", 1, 5.0), 0.0),
        (("post", 0, 0, 1), 0.2),
        (("lines", 100, False), 0.2),
        (("post", 0, 0, 1), 1.0),
    ],
    a_full_line_tells_nobody: [
        (("open", 0, 1), 0.2),
        (("lines", 0, False), 0.0),
        (("post", 0, 0, 1), 12.0),
    ],
    who_leaves_tells_nobody: [
        NO_SIBLINGS,
        (("open", 0, 0), 0.2),
        (("late", 0, 5.0), 0.0),
        (("open", 0, 1), 1.0),
        (("post", 0, 0, 1), 12.0),
    ],
}
"""Lives that Hypothesis comes upon in some thousands."""


@pytest.mark.parametrize("plant", RARE)
def test_a_rare_bug_is_convicted_by_its_life(plant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert charges_of(RARE[plant]) == []
    plant(monkeypatch)
    assert charges_of(RARE[plant]) != []
