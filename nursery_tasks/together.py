"""Together: what is asked for while one statement is under way is asked by the next one, in one. Nobody waits for a timer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from itertools import islice
from typing import Generic, TypeVar

import trio

from relay.errors import DatabaseUnavailable

log = logging.getLogger("relay.together")

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


class _Asked(Generic[Ask, Answer]):
    __slots__ = ("answer", "answered", "ask", "bug")

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.answered = trio.Event()
        self.answer: tuple[Answer] | None = None
        self.bug: Exception | None = None


class Together(Generic[Ask, Answer]):
    """One task that asks for many: at most `most` in one statement, and of those that have the same key one. `what` is for the log."""

    def __init__(
        self,
        statement: Callable[[Sequence[Ask]], Awaitable[Sequence[Answer]]],
        *,
        key: Callable[[Ask], Hashable],
        most: int,
        what: str,
    ) -> None:
        self._statement, self._key, self._most, self._what = statement, key, most, what
        self._waiting: dict[_Asked[Ask, Answer], None] = {}  # in order; what is given up leaves from the middle
        self._more = trio.Event()

    async def ask(self, ask: Ask) -> Answer:
        """The answer to this one. The statement begins after the call. Cancelled, it may be under way.

        Raises:
            DatabaseUnavailable
            RuntimeError: a bug, its cause beside it.
        """
        asked = _Asked[Ask, Answer](ask)
        self._waiting[asked] = None
        self._more.set()
        try:
            await asked.answered.wait()
        finally:
            self._waiting.pop(asked, None)
        if asked.answer is not None:
            return asked.answer[0]
        if asked.bug is not None:
            raise RuntimeError(f"{self._what} failed") from asked.bug
        raise DatabaseUnavailable

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Asks until cancelled. A statement that fails fails everybody in it: sessions end, and apps come again."""
        task_status.started()
        while True:
            while not self._waiting:
                self._more = trio.Event()
                await self._more.wait()
            batch = self._take()
            try:
                answers = await self._statement([asked.ask for asked in batch])
                for asked, answer in zip(batch, answers, strict=True):
                    asked.answer = (answer,)
            except DatabaseUnavailable:
                log.warning("%s, %d times: the database does not answer", self._what, len(batch))
            except Exception as error:
                log.error("%s, %d times: %s", self._what, len(batch), type(error).__name__)
                for asked in batch:
                    asked.bug = error
            for asked in batch:
                asked.answered.set()

    def _take(self) -> list[_Asked[Ask, Answer]]:
        """The next ones."""
        batch: dict[Hashable, _Asked[Ask, Answer]] = {}
        for asked in islice(self._waiting, self._most):
            batch.setdefault(self._key(asked.ask), asked)
        for asked in batch.values():
            del self._waiting[asked]
        return list(batch.values())
