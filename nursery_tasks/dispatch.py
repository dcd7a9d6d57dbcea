"""Dispatch: who is told, and how, of what was stored here, of a session that left, of something to tell.

Whoever has a session in this process is told in memory; who has one at a sibling, through it (nursery_tasks/siblings.py); the others by a
wake-up to every process, and those without a session anywhere by a push. Every method is synchronous and returns at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from nursery_tasks import wakeup_listener as topics
from relay.records import Posting, Ringing, Waiting


class _Switchboard(Protocol):
    def hand_over_mail(self, account_id: UUID, envelopes: Sequence[Waiting]) -> bool: ...
    def hand_over_signals(self, account_id: UUID, signals: Sequence[Ringing]) -> bool: ...
    def look_at_mail(self, account_ids: Iterable[UUID]) -> None: ...
    def look_at_signals(self, account_ids: Iterable[UUID]) -> None: ...
    def look_at_notices(self, account_ids: Iterable[UUID]) -> None: ...


class _Siblings(Protocol):
    def hand_over_mail(self, stored: Mapping[UUID, Sequence[Waiting]]) -> Iterable[UUID]: ...
    def hand_over_signals(self, stored: Mapping[UUID, Sequence[Ringing]]) -> Iterable[UUID]: ...
    def fall_behind(self, account_id: UUID) -> None: ...
    def left(self, account_id: UUID) -> None: ...


class _NoSiblings:
    def hand_over_mail(self, stored: Mapping[UUID, Sequence[Waiting]]) -> Iterable[UUID]:
        return stored

    def hand_over_signals(self, stored: Mapping[UUID, Sequence[Ringing]]) -> Iterable[UUID]:
        return stored

    def fall_behind(self, account_id: UUID) -> None:
        pass

    def left(self, account_id: UUID) -> None:
        pass


class Dispatch:
    """`tell(topic, account)` names an account to the other processes; `knock(account)` sends a push, if nobody reads."""

    def __init__(
        self,
        switchboard: _Switchboard,
        tell: Callable[[str, UUID], None],
        knock: Callable[[UUID], None],
        siblings: _Siblings | None = None,
    ) -> None:
        self._switchboard = switchboard
        self._tell = tell
        self._knock = knock
        self._siblings = siblings or _NoSiblings()

    def mail_stored(self, postings: Sequence[Posting]) -> None:
        """Envelopes were committed just now, in this order."""
        by_account: dict[UUID, list[Waiting]] = {}
        for posting in postings:
            by_account.setdefault(posting.account_id, []).append(Waiting(posting.id, posting.at, posting.body))
        hand_over = self._switchboard.hand_over_mail
        elsewhere = {id_: envelopes for id_, envelopes in by_account.items() if not hand_over(id_, envelopes)}
        for account_id in self._siblings.hand_over_mail(elsewhere) if elsewhere else ():
            self._tell(topics.MAIL, account_id)
            self._knock(account_id)

    def signals_stored(self, postings: Sequence[Posting]) -> None:
        """The same for signals."""
        by_account: dict[UUID, list[Ringing]] = {}
        for posting in postings:
            by_account.setdefault(posting.account_id, []).append(Ringing(posting.id, posting.expires_at, posting.body))
        hand_over = self._switchboard.hand_over_signals
        elsewhere = {id_: signals for id_, signals in by_account.items() if not hand_over(id_, signals)}
        for account_id in self._siblings.hand_over_signals(elsewhere) if elsewhere else ():
            self._tell(topics.SIGNALS, account_id)
            self._knock(account_id)

    def mail_again(self, account_id: UUID) -> None:
        """An envelope was there already. If the answer to its commit was lost, nobody has been told of it; and what is stored from here
        on must not be handed over before it, so a session of this process looks now and not when the wake-up has come around."""
        self._switchboard.look_at_mail([account_id])
        self._siblings.fall_behind(account_id)
        self._tell(topics.MAIL, account_id)

    def signal_again(self, account_id: UUID) -> None:
        """The same for a signal."""
        self._switchboard.look_at_signals([account_id])
        self._siblings.fall_behind(account_id)
        self._tell(topics.SIGNALS, account_id)

    def something_to_tell(self, account_id: UUID) -> None:
        """Keys run low, or a post found the mailbox full."""
        self._switchboard.look_at_notices([account_id])
        self._tell(topics.NOTICES, account_id)

    def session_left(self, account_id: UUID) -> None:
        """No session of this account is here any more. What was handed to it and not acknowledged is in the table only."""
        self._siblings.left(account_id)
        self._tell(topics.MAIL, account_id)
        self._tell(topics.SIGNALS, account_id)
        self._knock(account_id)
