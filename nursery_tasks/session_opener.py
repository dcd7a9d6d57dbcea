"""Session opener: checks the tokens of those who come and begins their sessions, many in one statement and one commit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

import trio

from nursery_tasks.together import Together
from relay.records import BeginAsk, Begun

SESSIONS_IN_ONE = 32


class SessionStore(Protocol):
    """Where sessions begin."""

    async def begin_sessions(self, asked: Sequence[BeginAsk]) -> Sequence[Begun | None]:
        """See nursery_tasks.ports.Mailbox."""


class SessionOpener:
    """Satisfies nursery_tasks.ports.Opener while `run` runs."""

    def __init__(self, store: SessionStore) -> None:
        # Of two sessions of one account each gets an epoch of its own.
        self._together: Together[BeginAsk, Begun | None] = Together(
            store.begin_sessions, key=lambda ask: ask.account_id, most=SESSIONS_IN_ONE, what="beginning a session"
        )

    async def begin(self, account_id: UUID, token_hash: bytes) -> Begun | None:
        """See nursery_tasks.ports.Opener.

        Raises:
            DatabaseUnavailable: it may have begun.
            RuntimeError: a bug, its cause beside it.
        """
        return await self._together.ask(BeginAsk(account_id, token_hash))

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Begins sessions until cancelled."""
        await self._together.run(task_status)
