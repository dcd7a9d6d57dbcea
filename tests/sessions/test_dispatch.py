"""Dispatch: who is told of what, and that an envelope whose commit lost its answer keeps its place."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID, uuid4

import pytest
from trio.testing import MockClock

from nursery_tasks import wakeup_listener as topics
from nursery_tasks.dispatch import Dispatch
from relay.records import Posting
from relay.switchboard import Switchboard
from tests.fakes import new_id
from tests.sessions.stage import KEY, START, Stage, body, delivered


@pytest.fixture
def told() -> list[tuple[str, UUID]]:
    return []


@pytest.fixture
def knocked() -> list[UUID]:
    return []


@pytest.fixture
def dispatch(stage: Stage, told: list[tuple[str, UUID]], knocked: list[UUID]) -> Dispatch:
    return Dispatch(stage.switchboard, lambda topic, id_: told.append((topic, id_)), knocked.append)


def mail(account_id: UUID, fill: str) -> Posting:
    return Posting(account_id, new_id(START), sha256(KEY).digest(), body(fill), START)


async def test_what_is_stored_for_somebody_who_is_here_goes_in_memory_and_nowhere_else(
    autojump_clock: MockClock, stage: Stage, dispatch: Dispatch, told: list[tuple[str, UUID]], knocked: list[UUID]
) -> None:
    bob = stage.account()
    session = await stage.caught_up(bob)
    dispatch.mail.stored([mail(bob, "live")])
    assert delivered(await session.peer.expect("deliver")) == ["live"]
    assert (told, knocked) == ([], [])


def test_others_are_named_to_the_other_processes_and_pushed(told: list[tuple[str, UUID]], knocked: list[UUID]) -> None:
    dispatch = Dispatch(Switchboard(), lambda topic, id_: told.append((topic, id_)), knocked.append)
    bob = uuid4()
    dispatch.mail.stored([mail(bob, "away")])
    dispatch.signals.stored([mail(bob, "ring")])
    dispatch.something_to_tell(bob)
    dispatch.session_left(bob)
    kinds = [topics.MAIL, topics.SIGNALS, topics.NOTICES, topics.MAIL, topics.SIGNALS]
    assert told == [(topic, bob) for topic in kinds]
    assert knocked == [bob, bob, bob]


async def test_what_was_committed_unheard_comes_before_what_is_stored_after_its_retry(
    autojump_clock: MockClock, stage: Stage, dispatch: Dispatch, told: list[tuple[str, UUID]]
) -> None:
    """A commit whose answer was lost, a retry that finds it, and at once another post: a mailbox keeps order of arrival."""
    bob = stage.account()
    session = await stage.caught_up(bob)
    await stage.waiting(bob, "first")  # committed, and its answer lost: nobody was told
    dispatch.mail.again(bob)
    second = mail(bob, "second")
    await stage.mailbox.put([second])
    dispatch.mail.stored([second])
    came: list[str] = []
    while len(came) < 2:
        came += delivered(await session.peer.expect("deliver"))
    assert came == ["first", "second"]
    assert told == [(topics.MAIL, bob)], "whoever is elsewhere is told as well"


async def test_the_same_for_signals(autojump_clock: MockClock, stage: Stage, dispatch: Dispatch) -> None:
    bob = stage.account()
    session = await stage.caught_up(bob)
    await stage.ringing(bob, "first")
    dispatch.signals.again(bob)
    frame = await session.peer.expect("signal")
    assert frame["type"] == "signal"
