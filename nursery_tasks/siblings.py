"""Siblings: the worker processes of one machine hand each other what they have stored, without I/O of their own.

Each pair has two lines, one a direction. On a line one end gives, the other takes. The taker tells which accounts have a session at it, by
epoch, and how many messages it has dealt with; the giver hands over what it has stored for them, and then needs no notification.
What a taker gets it treats as if it had stored it itself, and if the session has left meanwhile, it is the taker that notifies.

All of it is a short cut, and the table is the truth. Whatever is in doubt is notified of as if there were no siblings: no such session, a line
that does not take a message, one that ends with messages unconfirmed. docs/decisions/0040 says why nothing is lost or overtaken.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

import trio

from nursery_tasks import sibling_messages as messages
from nursery_tasks import wakeup_listener as topics
from nursery_tasks.sibling_messages import MAIL, SIGNALS, BadMessage
from relay.records import Ringing, Waiting

log = logging.getLogger("relay.siblings")

TICK_S = 0.5
"""How often a taker says what it has dealt with."""
NEWS_EVERY_S = 0.02
"""News of sessions go together. Meanwhile they are notified of as before."""
STALL_S = 5.0
"""A line on which nothing is confirmed for so long is cut, and what was given on it is notified of."""
MOST_UNCONFIRMED = 10_000
"""Messages; past it the line takes no more."""

_TOPIC = {MAIL: topics.MAIL, SIGNALS: topics.SIGNALS}


class Line(Protocol):
    """A connection to one sibling. Both methods are synchronous and return at once."""

    def send(self, parts: Sequence[bytes]) -> bool:
        """Sends one message, whole or not at all: False if there is no room, or nobody."""

    def cut(self) -> None:
        """Ends it."""


class _Switchboard(Protocol):
    def hand_over_mail(self, account_id: UUID, envelopes: Sequence[Waiting]) -> bool: ...
    def hand_over_signals(self, account_id: UUID, signals: Sequence[Ringing]) -> bool: ...
    def look_at_mail(self, account_ids: Iterable[UUID]) -> None: ...
    def look_at_signals(self, account_ids: Iterable[UUID]) -> None: ...
    def accounts_here(self, account_ids: Iterable[UUID]) -> list[UUID]: ...
    def sessions_here(self) -> list[tuple[UUID, int]]: ...
    def check_epochs(self, asked: Iterable[UUID], epochs: dict[UUID, int]) -> None: ...


class _There:
    """A session at a sibling."""

    __slots__ = ("epoch", "giver", "in_step")

    def __init__(self, giver: Giver, epoch: int) -> None:
        self.giver = giver
        self.epoch = epoch
        self.in_step: tuple[int, ...] = ()
        """Lanes of which it has been told to look at the table, after which everything was handed over. Else something that it was only
        notified of might still be on its way, and would be overtaken."""


class _Given(NamedTuple):
    topic: str
    account_ids: Sequence[UUID]


class Siblings:
    """The siblings of this process. `tell` and `knock` are those of nursery_tasks.dispatch.Dispatch."""

    def __init__(
        self,
        switchboard: _Switchboard,
        tell: Callable[[str, UUID], None],
        knock: Callable[[UUID], None],
        mark: bytes,
        on_number: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`mark` stands for the database, and is compared: what is on another one is no sibling. `on_number` hears how many there are."""
        self.switchboard = switchboard
        self.tell = tell
        self.knock = knock
        self.mark = mark
        self._on_number = on_number
        self._there: dict[int, _There] = {}  # by account as a number: its hash is cheaper than a UUID's
        self._givers: dict[Giver, None] = {}
        self._takers: dict[Taker, None] = {}
        self._more = trio.Event()

    # -- from dispatch --

    def have_sessions(self) -> bool:
        """Whether a session of anybody is at a sibling."""
        return bool(self._there)

    def hand_over_mail(self, stored: Mapping[UUID, Sequence[Waiting]]) -> list[UUID]:
        """Envelopes that were committed just now for accounts without a session here. Answers those accounts that must be notified."""
        return self._hand_over(MAIL, stored)

    def hand_over_signals(self, stored: Mapping[UUID, Sequence[Ringing]]) -> list[UUID]:
        """The same for signals."""
        return self._hand_over(SIGNALS, stored)

    def fall_behind(self, account_id: UUID) -> None:
        """Something of this account may be in the table that nobody was handed: before the next hand-over it looks."""
        if (there := self._there.get(account_id.int)) is not None:
            there.in_step = ()

    def _hand_over(self, lane: int, stored: Mapping[UUID, Sequence[Waiting | Ringing]]) -> list[UUID]:
        elsewhere = []
        by_giver: dict[Giver, list[tuple[UUID, _There, Sequence[Waiting | Ringing]]]] = {}
        for account_id, items in stored.items():
            if (there := self._there.get(account_id.int)) is None:
                elsewhere.append(account_id)
            else:
                by_giver.setdefault(there.giver, []).append((account_id, there, items))
        for giver, those in by_giver.items():
            elsewhere += giver.give(lane, those)
        return elsewhere

    # -- from the switchboard --

    def came(self, account_id: UUID, epoch: int) -> None:
        """The account has a new session here, which gets what a session at a sibling then misses."""
        self.fall_behind(account_id)
        self._spread(account_id, epoch)

    def left(self, account_id: UUID) -> None:
        """It has none any more."""
        self._spread(account_id, 0)

    def _spread(self, account_id: UUID, epoch: int) -> None:
        for taker in self._takers:
            taker.news[account_id.int] = epoch
            self._more.set()

    # -- lines --

    def giver(self, line: Line) -> Giver:
        """Our end of a line on which we give. It is told what comes (`heard`), and that the line has ended (`ended`)."""
        giver = Giver(self, line)
        self._givers[giver] = None
        self._more.set()
        return giver

    def taker(self, line: Line) -> Taker:
        """Our end of a line on which we take."""
        taker = Taker(self, line)
        self._takers[taker] = None
        self._more.set()
        return taker

    def is_there(self, giver: Giver, account: int, epoch: int) -> None:
        """The sibling has a session of this account, of this epoch; 0: not any more."""
        there = self._there.get(account)
        if epoch == 0:
            if there is not None and there.giver is giver:
                del self._there[account]
        elif there is None or there.giver is giver or there.epoch <= epoch:
            self._there[account] = _There(giver, epoch)
            account_id = UUID(int=account)
            # The newest session wins. This one would end anyway when the notification has come and the database was asked.
            self.switchboard.check_epochs([account_id], {account_id: epoch})

    def count_givers(self) -> None:
        """One has come or gone."""
        self._on_number(sum(giver.greeted for giver in self._givers))

    def giver_ended(self, giver: Giver, unconfirmed: Iterable[_Given]) -> None:
        """Says what the sibling may not be able to say any more: that its sessions have left, and what was stored for them."""
        self._givers.pop(giver, None)
        self.count_givers()
        for given in unconfirmed:
            for account_id in given.account_ids:
                self.tell(given.topic, account_id)
                self.knock(account_id)
        for account in [account for account, there in self._there.items() if there.giver is giver]:
            del self._there[account]
            account_id = UUID(int=account)
            self.tell(topics.MAIL, account_id)
            self.tell(topics.SIGNALS, account_id)

    def taker_ended(self, taker: Taker) -> None:
        self._takers.pop(taker, None)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Spreads news, confirms, and cuts what has stalled; runs until cancelled."""
        task_status.started()
        while True:
            with trio.move_on_after(TICK_S if self._givers or self._takers else float("inf")):
                await self._more.wait()
            await trio.sleep(NEWS_EVERY_S)
            self._more = trio.Event()
            for end in [*self._givers, *self._takers]:
                end.tick(trio.current_time())


class _End(ABC):
    """One end of a line."""

    def __init__(self, siblings: Siblings, line: Line) -> None:
        self._siblings = siblings
        self._line = line
        self.greeted = False
        self._over = False
        line.send([messages.hello(siblings.mark)])

    def heard(self, message: memoryview) -> bool:
        """Synchronous; keeps nothing of `message`. False if it is not as agreed: then the line is to be cut."""
        try:
            if self.greeted:
                self._heard(message)
                return True
            self.greeted = messages.read_hello(message) == (messages.VERSION, self._siblings.mark)
        except BadMessage:
            log.warning("a worker process of this machine said what is no message")
            return False
        if self.greeted:
            self._met()
        return self.greeted

    def ended(self) -> None:
        """The line has ended. May be called again."""
        if not self._over:
            self._over = True
            self._end()

    @abstractmethod
    def tick(self, now: float) -> None:
        """Called now and then."""

    def _stalled(self) -> None:
        log.warning("a worker process of this machine does not answer; it is told by the database for now")
        self.ended()
        self._line.cut()

    @abstractmethod
    def _heard(self, message: memoryview) -> None:
        """Raises BadMessage."""

    @abstractmethod
    def _met(self) -> None:
        """The other end is one of us."""

    @abstractmethod
    def _end(self) -> None:
        """What follows from the end of the line."""


class Giver(_End):
    """The end that hands over."""

    def __init__(self, siblings: Siblings, line: Line) -> None:
        self._unconfirmed: deque[_Given] = deque()
        self._confirmed = 0
        self._waits: tuple[float, int] | None = None  # since when for the next of so many
        super().__init__(siblings, line)

    def give(self, lane: int, those: Sequence[tuple[UUID, _There, Sequence[Waiting | Ringing]]]) -> list[UUID]:
        """Hands over on one lane, in order. Answers the accounts of which not everything was taken."""
        looks = [account_id for account_id, there, _ in those if lane not in there.in_step]
        items: list[tuple[UUID, Waiting | Ringing]] = []
        size = 0
        taken = True
        for account_id, there, own in those:
            if lane not in there.in_step:
                continue  # it looks
            for item in own:
                if items and (size + len(item.body) > messages.BUNDLE_BYTES or len(items) == messages.BUNDLE_ITEMS):
                    taken = taken and self._send(lane, looks, items)
                    looks, items, size = [], [], 0
                items.append((account_id, item))
                size += len(item.body)
        taken = taken and self._send(lane, looks, items)
        if taken:
            for _, there, _ in those:
                if lane not in there.in_step:
                    there.in_step = (*there.in_step, lane)
            return []
        for _, there, _ in those:
            there.in_step = ()
        return [account_id for account_id, _, _ in those]

    def tick(self, now: float) -> None:
        """Cuts the line of a sibling that is stuck."""
        if not self._unconfirmed:
            self._waits = None
        elif self._waits is None or self._waits[1] != self._confirmed:
            self._waits = now, self._confirmed
        elif now - self._waits[0] > STALL_S:
            self._stalled()

    def _send(self, lane: int, looks: Sequence[UUID], items: Sequence[tuple[UUID, Waiting | Ringing]]) -> bool:
        if len(self._unconfirmed) >= MOST_UNCONFIRMED:
            return False
        if not self._line.send(messages.bundle(lane, looks, items)):
            return False
        account_ids = [*looks, *[account_id for account_id, _ in items]]
        self._unconfirmed.append(_Given(_TOPIC[lane], account_ids))
        return True

    def _heard(self, message: memoryview) -> None:
        match message[0]:
            case messages.NEWS:
                for account, epoch in messages.read_news(message):
                    self._siblings.is_there(self, account, epoch)
            case messages.SEEN:
                self._seen(messages.read_seen(message))
            case _:
                raise BadMessage

    def _seen(self, count: int) -> None:
        if not 0 <= count - self._confirmed <= len(self._unconfirmed):
            raise BadMessage
        while self._confirmed < count:
            self._unconfirmed.popleft()
            self._confirmed += 1

    def _met(self) -> None:
        self._siblings.count_givers()

    def _end(self) -> None:
        self._siblings.giver_ended(self, self._unconfirmed)
        self._unconfirmed.clear()


class Taker(_End):
    """The end that is given to."""

    def __init__(self, siblings: Siblings, line: Line) -> None:
        self.news: dict[int, int] = {}
        """Account to the epoch of its session, or to 0: what the giver has not been told. Of an account the newest alone."""
        self._untold_since: float | None = None
        self._dealt_with = 0
        self._confirmed = 0
        super().__init__(siblings, line)

    def tick(self, now: float) -> None:
        """Tells news, and what was dealt with."""
        if not self.greeted:
            return
        while self.news:
            some = list(self.news.items())[: messages.MOST_NEWS]
            if not self._line.send([messages.news(some)]):
                if self._untold_since is None:
                    self._untold_since = now
                elif now - self._untold_since > STALL_S:
                    self._stalled()
                return
            for account, _ in some:
                del self.news[account]
        self._untold_since = None
        if self._confirmed != self._dealt_with and self._line.send([messages.seen(self._dealt_with)]):
            self._confirmed = self._dealt_with

    def _met(self) -> None:
        for account_id, epoch in self._siblings.switchboard.sessions_here():
            self.news[account_id.int] = epoch
        self.tick(trio.current_time())

    def _heard(self, message: memoryview) -> None:
        siblings, switchboard = self._siblings, self._siblings.switchboard
        match message[0]:
            case messages.MAIL:
                looks, mail = messages.read_bundle(message, Waiting)
                switchboard.look_at_mail(looks)
                gone = [id_ for id_, envelopes in mail.items() if not switchboard.hand_over_mail(id_, envelopes)]
            case messages.SIGNALS:
                looks, signals = messages.read_bundle(message, Ringing)
                switchboard.look_at_signals(looks)
                gone = [id_ for id_, rung in signals.items() if not switchboard.hand_over_signals(id_, rung)]
            case _:
                raise BadMessage
        if looks:
            here = set(switchboard.accounts_here(looks))
            gone += [account_id for account_id in looks if account_id not in here]
        for account_id in gone:  # to a sibling or another machine, or for good
            siblings.tell(_TOPIC[message[0]], account_id)
            siblings.knock(account_id)
        self._dealt_with += 1

    def _end(self) -> None:
        self._siblings.taker_ended(self)
