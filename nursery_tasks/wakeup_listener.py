"""Wake-up listener: what other processes say, brought to the sessions of this one.

Wake-ups are level-triggered and carry no data but the account: whoever is woken looks at the tables. One that is lost with its
connection is made good by `gap`: everybody looks at everything.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Protocol
from uuid import UUID

import trio

from relay.errors import DatabaseUnavailable

log = logging.getLogger("relay.wakeups")

MAIL = "sottovoce_mail"
SIGNALS = "sottovoce_signals"
NOTICES = "sottovoce_notices"
SESSIONS = "sottovoce_sessions"
STARTED = "sottovoce_started"
TOPICS = (MAIL, SIGNALS, NOTICES, SESSIONS, STARTED)
"""Topics: envelopes were stored, signals were stored, there is something to tell, an account has a new session or is gone, a process
has started: the one before it may have died between a commit and the word of it."""

NOBODY = UUID(int=0)
"""Stands for an account where there is none to name."""

RETRY_EPOCHS_S = 1.0

LOOK_EVERY_S = 300.0
"""Each session looks at its mail once in this time, whether or not it was told to."""
LOOK_IN_PARTS = 60
"""One part of the sessions after the other, by account id, so that they do not all look at once."""


class _Epochs(Protocol):
    async def epochs(self, account_ids: Collection[UUID]) -> dict[UUID, int]: ...


class _Switchboard(Protocol):
    def look_at_mail(self, account_ids: Iterable[UUID]) -> None: ...
    def look_at_signals(self, account_ids: Iterable[UUID]) -> None: ...
    def look_at_notices(self, account_ids: Iterable[UUID]) -> None: ...
    def look_at_everything(self) -> None: ...
    def accounts_here(self, account_ids: Iterable[UUID] | None = None) -> list[UUID]: ...
    def check_epochs(self, asked: Iterable[UUID], epochs: dict[UUID, int]) -> None: ...


class Wakeups:
    """Turns notifications into calls on the switchboard, and checks session epochs against the database when told to."""

    def __init__(self, switchboard: _Switchboard, mailbox: _Epochs) -> None:
        self._switchboard = switchboard
        self._mailbox = mailbox
        self._unchecked: set[UUID] = set()
        self._more = trio.Event()

    def notified(self, topic: str, payload: str) -> None:
        """Synchronous. `payload` is account ids with commas between; one that is not ours to read is dropped."""
        try:
            account_ids = [UUID(word) for word in payload.split(",")]
        except ValueError:
            log.warning("a notification on %s has another shape", topic)
            return
        if topic == MAIL:
            self._switchboard.look_at_mail(account_ids)
        elif topic == SIGNALS:
            self._switchboard.look_at_signals(account_ids)
        elif topic == NOTICES:
            self._switchboard.look_at_notices(account_ids)
        elif topic == SESSIONS:
            self.check(account_ids)
        elif topic == STARTED:
            self.gap()

    def gap(self) -> None:
        """Synchronous. Notifications may have been missed."""
        self._switchboard.look_at_everything()
        self.check(self._switchboard.accounts_here())

    def check(self, account_ids: Iterable[UUID]) -> None:
        """Synchronous. Have the sessions of these accounts, if any are here, checked against the database."""
        self._unchecked.update(self._switchboard.accounts_here(account_ids))
        if self._unchecked:
            self._more.set()

    async def look_around(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Has sessions look for mail that nobody told of: its process may have died between commit and word, and not come back.

        Runs until cancelled. Signals do not live long enough to be worth it.
        """
        task_status.started()
        part = 0
        while True:
            await trio.sleep(LOOK_EVERY_S / LOOK_IN_PARTS)
            here = self._switchboard.accounts_here()
            self._switchboard.look_at_mail([id_ for id_ in here if id_.int % LOOK_IN_PARTS == part])
            part = (part + 1) % LOOK_IN_PARTS

    async def check_epochs(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ends sessions that are not their account's newest any more; runs until cancelled."""
        task_status.started()
        while True:
            while not self._unchecked:
                self._more = trio.Event()
                await self._more.wait()
            asked, self._unchecked = self._unchecked, set()
            try:
                self._switchboard.check_epochs(asked, await self._mailbox.epochs(asked))
            except DatabaseUnavailable:
                self._unchecked |= asked
                await trio.sleep(RETRY_EPOCHS_S)
