"""`stage`: sessions on a clock that jumps. There is no real I/O in this directory.

Each test must ask for `autojump_clock` itself: pytest-trio overlooks a clock that only a fixture asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import trio
from trio.testing import MockClock

from nursery_tasks.session import Session
from tests.sessions.stage import Stage, recorded_sessions


@pytest.fixture
def sessions() -> Iterator[list[Session]]:
    """Every session that is made."""
    with recorded_sessions() as made:
        yield made


@pytest.fixture
async def stage(autojump_clock: MockClock, sessions: list[Session]) -> AsyncIterator[Stage]:
    """At the end of each test, whatever is still open ends with its peer, and then nothing may be left of any session."""
    assert trio.lowlevel.current_clock() is autojump_clock, "the test must ask for autojump_clock"
    async with trio.open_nursery() as nursery:
        opened = Stage(nursery, sessions)
        await opened.start()
        yield opened
        for running in opened.opened:
            running.peer.drop()
        await opened.nothing_is_left()
        nursery.cancel_scope.cancel()
