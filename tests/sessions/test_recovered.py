"""A recovery makes the token of the old phone void, and with it the session that is open."""

from __future__ import annotations

from trio.testing import MockClock

from relay.errors import Ending
from tests.sessions.stage import Stage


async def test_a_session_after_a_recovery_ends_the_older_as_revoked(autojump_clock: MockClock, stage: Stage) -> None:
    """Also when it comes to this process before word of the recovery does."""
    account_id = stage.account()
    running = await stage.caught_up(account_id)
    stage.accounts[account_id].epoch = 1 << 32
    stage.accounts[account_id].token = b"another"
    late = stage.open_mailbox(account_id)
    assert await late.wait() is Ending.REVOKED
    assert not running.over.is_set()
    newer = stage.open_mailbox(account_id, token_hash=b"another")
    assert await running.wait() is Ending.REVOKED
    assert not newer.over.is_set()
