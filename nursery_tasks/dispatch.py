"""Dispatch: who is told, and how, of what was stored here, of a session that left, of something to tell.

Whoever has a session in this process is told in memory; who has one at a sibling, through it (nursery_tasks/siblings.py); the others by a
wake-up to every process, and those without a session anywhere by a push. Every method is synchronous and returns at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from nursery_tasks import wakeup_listener as topics
from relay.records import Posting, Ringing, Waiting

Item = TypeVar("Item", bound=Waiting | Ringing)


class _Switchboard(Protocol):
    def is_here(self, account_id: UUID) -> bool: ...
    def hand_over_mail(self, account_id: UUID, envelopes: Sequence[Waiting]) -> bool: ...
    def hand_over_signals(self, account_id: UUID, signals: Sequence[Ringing]) -> bool: ...
    def look_at_mail(self, account_ids: Iterable[UUID]) -> None: ...
    def look_at_signals(self, account_ids: Iterable[UUID]) -> None: ...
    def look_at_notices(self, account_ids: Iterable[UUID]) -> None: ...


class _Siblings(Protocol):
    def have_sessions(self) -> bool: ...
    def hand_over_mail(self, stored: Mapping[UUID, Sequence[Waiting]]) -> Iterable[UUID]: ...
    def hand_over_signals(self, stored: Mapping[UUID, Sequence[Ringing]]) -> Iterable[UUID]: ...
    def fall_behind(self, account_id: UUID) -> None: ...
    def left(self, account_id: UUID) -> None: ...


class _NoSiblings:
    def have_sessions(self) -> bool:
        return False

    def hand_over_mail(self, stored: Mapping[UUID, Sequence[Waiting]]) -> Iterable[UUID]:
        return stored

    def hand_over_signals(self, stored: Mapping[UUID, Sequence[Ringing]]) -> Iterable[UUID]:
        return stored

    def fall_behind(self, account_id: UUID) -> None:
        pass

    def left(self, account_id: UUID) -> None:
        pass


class LaneDispatch(Generic[Item]):
    """Of one lane, mail or signals."""

    def __init__(
        self,
        make: Callable[[Posting], Item],
        hand_over: Callable[[UUID, Sequence[Item]], bool],
        give: Callable[[Mapping[UUID, Sequence[Item]]], Iterable[UUID]],
        elsewhere: Callable[[UUID], None],
        again: Callable[[UUID], None],
        is_here: Callable[[UUID], bool],
        is_anybody_elsewhere: Callable[[], bool],
    ) -> None:
        """`hand_over` to a session of this process, `give` to one at a sibling; what neither takes is for `elsewhere`."""
        self._make = make
        self._hand_over = hand_over
        self._give = give
        self._elsewhere = elsewhere
        self._again = again
        self._is_here = is_here
        self._is_anybody_elsewhere = is_anybody_elsewhere

    def committed(self, batch: Sequence[tuple[UUID, Sequence[Posting]]]) -> Collection[UUID]:
        """These were committed just now, for one account each, in order. If there are siblings, tells the accounts without a session here,
        all together, and answers which those are. The others are for `stored`, a few at a time: what their sessions say is written at once.
        """
        if not self._is_anybody_elsewhere():
            return ()
        away = {account_id: postings for account_id, postings in batch if not self._is_here(account_id)}
        if away:
            self._tell(away.items())
        return away.keys()

    def stored(self, postings: Sequence[Posting]) -> None:
        """These were committed just now, in this order, for one account."""
        self._tell([(postings[0].account_id, postings)])

    def again(self, account_id: UUID) -> None:
        """One was there already. If the answer to its commit was lost, nobody has been told of it; and what is stored from here on
        must not be handed over before it, so a session of this process looks now and not when the wake-up has come around."""
        self._again(account_id)

    def _tell(self, those: Iterable[tuple[UUID, Sequence[Posting]]]) -> None:
        left: dict[UUID, list[Item]] = {}
        for account_id, postings in those:
            items = [self._make(posting) for posting in postings]
            if not self._hand_over(account_id, items):
                left[account_id] = items
        if left:
            for account_id in self._give(left):
                self._elsewhere(account_id)


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
        self._siblings = siblings = siblings or _NoSiblings()
        self.mail = LaneDispatch(
            lambda p: Waiting(p.id, p.at, p.body), switchboard.hand_over_mail, siblings.hand_over_mail,
            partial(self._elsewhere, topics.MAIL), partial(self._look, topics.MAIL, switchboard.look_at_mail),
            switchboard.is_here, siblings.have_sessions,
        )  # fmt: skip
        self.signals = LaneDispatch(
            lambda p: Ringing(p.id, p.expires_at, p.body), switchboard.hand_over_signals, siblings.hand_over_signals,
            partial(self._elsewhere, topics.SIGNALS), partial(self._look, topics.SIGNALS, switchboard.look_at_signals),
            switchboard.is_here, siblings.have_sessions,
        )  # fmt: skip

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

    def _elsewhere(self, topic: str, account_id: UUID) -> None:
        self._tell(topic, account_id)
        self._knock(account_id)

    def _look(self, topic: str, look_at: Callable[[Iterable[UUID]], None], account_id: UUID) -> None:
        look_at([account_id])
        self._siblings.fall_behind(account_id)
        self._tell(topic, account_id)
