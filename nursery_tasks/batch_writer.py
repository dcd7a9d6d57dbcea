"""Batch writers: the way of posts and acknowledgements into the database, shared by all sessions of a process.

Posts are committed in groups: while one batch is being committed the next one collects, and it goes on collecting, a few milliseconds at
most, while there are frames that nobody has read. So a lone post goes at once and a crowd shares a commit. Whoever waits for a post is
answered only after COMMIT; while answers and deliveries of one batch are written, the database has the next one.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

import trio

from nursery_tasks.ports import AckStore, Poster, PostStore, Rates
from relay.errors import DatabaseUnavailable, Refusal
from relay.records import AckBatch, Outcome, Posting, Stored

log = logging.getLogger("relay.batches")
Item = TypeVar("Item")

_NEW = Stored.NEW  # to look up a member of an Enum takes Python 3.11 as long as to call a function

TOLD_A_TURN = 4
"""Recipients of a batch who are told, and their posters, before anybody else has a turn."""

FULLER, FULLER_WITHIN_S = 16, 0.005
"""While more is being read, a batch of fewer posts waits for it, so long at most: a commit costs the same for one as for fifty."""

WAITING_BYTES = 32 * 1024 * 1024
"""Bodies that wait for the next batch, all sessions together: with 64 KiB a body, the number alone would not bound memory."""


class _Bell:
    """Something happened; any number of tasks may wait for it to happen again. Whoever wakes looks for itself."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        if self._event.is_set():
            self._event = trio.Event()
        await self._event.wait()


class _Queue(Generic[Item]):
    """What waits for the next batch. `room` holds back whoever submits while `items` or `size` of them wait."""

    def __init__(self, *, items: int, size: int) -> None:
        self.waiting: deque[Item] = deque()
        self._max_items = items
        self._max_size = size
        self.size = 0
        self._more = _Bell()
        self._less = _Bell()

    def put(self, item: Item, size: int) -> None:
        self.waiting.append(item)
        self.size += size
        self._more.ring()

    def taken(self, size: int) -> None:
        """Items of this size were taken off `waiting`."""
        self.size -= size
        self._less.ring()

    async def some(self) -> None:
        while not self.waiting:
            await self._more.wait()

    @property
    def has_room(self) -> bool:
        return len(self.waiting) < self._max_items and self.size < self._max_size

    async def room(self) -> None:
        while not self.has_room:
            await self._less.wait()


class _Submitted(NamedTuple):
    posting: Posting
    poster: Poster


class PostWriter:
    """Commits posts of all sessions to one store (nursery_tasks.ports.PostLine).

    `more_comes` says whether frames are there that nobody has read yet.

    `on_again` is called after a commit for each post that was there already: the first answer was lost, and if it was lost to a
    broken commit, nobody has told the recipient. Then `on_committed` once with all that are new, by recipient: it may tell recipients
    together, and answers whom. Then `on_stored` for each of the others, some a turn. A poster is answered when its recipients were told.
    """

    def __init__(
        self,
        store: PostStore,
        rates: Rates,
        on_stored: Callable[[Sequence[Posting]], None],
        on_again: Callable[[UUID], None],
        on_full: Callable[[UUID], None],
        *,
        batch_items: int = 512,
        waiting_items: int = 2048,
        on_committed: Callable[[Sequence[tuple[UUID, Sequence[Posting]]]], Collection[UUID]] = lambda _: (),
        more_comes: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._rates = rates
        self._on_stored = on_stored
        self._on_committed = on_committed
        self._on_again = on_again
        self._on_full = on_full
        self._more_comes = more_comes
        self._batch_items = batch_items
        self._queue: _Queue[_Submitted] = _Queue(items=waiting_items, size=WAITING_BYTES)
        self._draining = False
        self._committing = False
        self._idle = _Bell()

    @property
    def waiting(self) -> int:
        """Posts that wait for the next batch."""
        return len(self._queue.waiting)

    def submit(self, posting: Posting, poster: Poster) -> None:
        if self._draining:
            poster.answered([(posting, Refusal.UNAVAILABLE)])
        else:
            self._queue.put(_Submitted(posting, poster), len(posting.body))

    @property
    def has_room(self) -> bool:
        return self._queue.has_room

    async def room(self) -> None:
        await self._queue.room()

    async def drain(self) -> None:
        """Refuses what is not being committed yet, and all that comes from now on; returns when nothing is being committed."""
        self._draining = True
        refused = list(self._queue.waiting)
        self._queue.waiting.clear()
        self._queue.taken(sum(len(s.posting.body) for s in refused))
        for own in _by_poster([(s, Refusal.UNAVAILABLE) for s in refused]).values():
            own.poster.answered(own.answers)
        while self._committing:
            await self._idle.wait()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Commits batch after batch until cancelled. A batch that fails is answered `unavailable`: its outcome is unknown."""
        task_status.started()
        while True:
            await self._queue.some()
            self._committing = True
            try:
                await self._commit_what_waits()
            finally:
                self._committing = False
                self._idle.ring()

    async def _commit_what_waits(self) -> None:
        """Batch after batch until none waits. Whom a batch concerns is told while the database commits the next one."""
        committed: list[tuple[_Submitted, Outcome]] = []
        while self._queue.waiting:
            if committed:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._tell, committed)
                    committed = await self._commit_next()
            else:
                committed = await self._commit_next()
        await self._tell(committed)

    async def _commit_next(self) -> list[tuple[_Submitted, Outcome]]:
        await self._fuller()
        batch = self._take()
        return list(zip(batch, await self._commit(batch), strict=True)) if batch else []

    async def _tell(self, outcomes: list[tuple[_Submitted, Outcome]]) -> None:
        """Everybody whom a batch concerns: deliveries and answers are mostly written here, in the turn of this task."""
        for submitted, outcome in outcomes:
            if outcome is not _NEW:
                self._not_new(submitted.posting, outcome)
        told: dict[int, _Recipient] = {}
        for one in outcomes:
            account_id = one[0].posting.account_id
            if (recipient := told.get(account_id.int)) is None:
                recipient = told[account_id.int] = _Recipient(account_id)
            recipient.concerned.append(one)
            if one[1] is _NEW:
                recipient.stored.append(one[0].posting)
        answers = _by_poster(outcomes)
        told_together = self._on_committed([(r.account_id, r.stored) for r in told.values() if r.stored])
        for number, recipient in enumerate(told.values(), 1):
            if recipient.stored and (not told_together or recipient.account_id not in told_together):
                self._on_stored(recipient.stored)
            for (_, poster), _ in recipient.concerned:
                own = answers[id(poster)]
                own.told += 1
                if own.told == len(own.answers):
                    poster.answered(own.answers)
            if number % TOLD_A_TURN == 0:
                await trio.lowlevel.cancel_shielded_checkpoint()  # a large batch must not hold up a ring

    def _not_new(self, posting: Posting, outcome: Outcome) -> None:
        if outcome is Stored.AGAIN:
            self._on_again(posting.account_id)
        elif outcome in (Refusal.NO_ACCESS, Refusal.UNAVAILABLE) and not posting.wait_s:
            self._rates.give_back(posting.account_id, len(posting.body))
        elif outcome is Refusal.MAILBOX_FULL:
            self._on_full(posting.account_id)

    async def _fuller(self) -> None:
        """Returns when the next batch is worth a commit, or nothing more is to come."""
        deadline = trio.current_time() + FULLER_WITHIN_S
        while len(self._queue.waiting) < FULLER and self._more_comes() and trio.current_time() < deadline:
            await trio.lowlevel.checkpoint()

    def _take(self) -> list[_Submitted]:
        """The next batch, in order. No (recipient, id) twice: the store would have to tell the two apart within one statement.

        The second one waits for the next batch, and nobody behind it waits with it.
        """
        batch: list[_Submitted] = []
        twice: list[_Submitted] = []
        keys: set[tuple[int, int]] = set()  # numbers: a UUID's hash takes longer
        size = 0
        waiting = self._queue.waiting
        while waiting and len(batch) < self._batch_items:
            posting, poster = submitted = waiting.popleft()
            key = posting.account_id.int, posting.id.int
            if key in keys:
                twice.append(submitted)
                continue
            keys.add(key)
            size += len(posting.body)
            # Judged here rather than at submit, since only here it is sure that the post reaches the store.
            wait_s = self._rates.charge(posting.account_id, len(posting.body))
            batch.append(_Submitted(posting._replace(wait_s=wait_s), poster) if wait_s else submitted)
        waiting.extendleft(reversed(twice))
        self._queue.taken(size)
        return batch

    async def _commit(self, batch: list[_Submitted]) -> list[Outcome]:
        try:
            return await self._store.put([submitted.posting for submitted in batch])
        except DatabaseUnavailable:
            log.warning("a batch of %d posts was not committed: the database does not answer", len(batch))
        except Exception as error:
            # A bug must not take the lane down for everybody; its text could hold anything, so only its type is logged.
            log.error("a batch of %d posts failed: %s", len(batch), type(error).__name__)
        return [Refusal.UNAVAILABLE] * len(batch)


class _Recipient:
    """Whom a batch has something for."""

    __slots__ = ("account_id", "concerned", "stored")

    def __init__(self, account_id: UUID) -> None:
        self.account_id = account_id
        self.concerned: list[tuple[_Submitted, Outcome]] = []
        self.stored: list[Posting] = []


class _Answers:
    """What one poster is answered: one call for the whole batch, so that one frame can answer many posts."""

    __slots__ = ("answers", "poster", "told")

    def __init__(self, poster: Poster) -> None:
        self.poster = poster
        self.answers: list[tuple[Posting, Outcome]] = []
        self.told = 0  # recipients


def _by_poster(outcomes: Sequence[tuple[_Submitted, Outcome]]) -> dict[int, _Answers]:
    found: dict[int, _Answers] = {}
    for (posting, poster), outcome in outcomes:
        if (own := found.get(id(poster))) is None:
            own = found[id(poster)] = _Answers(poster)
        own.answers.append((posting, outcome))
    return found


class _Tried(NamedTuple):
    acks: AckBatch
    on_tried: Callable[[], None]


class AckWriter:
    """Deletes what was acknowledged (nursery_tasks.ports.AckLine). A lost delete is a redelivery, which the app drops by id.

    Nobody waits for a delete, so here there is a timer: batches that are not full begin `pace_s` seconds after each other, and
    the first after a pause at once. A statement costs the same for one id as for fifty. Where a session has ended, `hurry`: when its
    member comes again, what it acknowledged should be gone, and under the next epoch it could not be deleted.
    """

    def __init__(
        self, store: AckStore, *, batch_ids: int = 1024, waiting_ids: int = 8192, pace_s: float = 0.01
    ) -> None:
        self._store = store
        self._batch_ids = batch_ids
        self.pace_s = pace_s
        """May change while it runs: processes of one machine share the statements of a second (relay/runtime.py)."""
        self._queue: _Queue[_Tried] = _Queue(items=waiting_ids, size=waiting_ids)
        self._removing = False
        self._hurried = False
        self._haste = _Bell()
        self._idle = _Bell()

    def hurry(self) -> None:
        """What waits now need not wait for the next batch's time."""
        self._hurried = True
        self._haste.ring()

    def submit(self, acks: AckBatch, on_tried: Callable[[], None]) -> None:
        self._queue.put(_Tried(acks, on_tried), len(acks.ids))

    @property
    def has_room(self) -> bool:
        return self._queue.has_room

    async def room(self) -> None:
        await self._queue.room()

    async def idle(self) -> None:
        """Waits until everything that was submitted has been tried."""
        while self._queue.waiting or self._removing:
            await self._idle.wait()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deletes batch after batch until cancelled."""
        task_status.started()
        while True:
            await self._queue.some()
            began = trio.current_time()
            self._hurried = False
            batch = []
            ids = 0
            while self._queue.waiting and ids < self._batch_ids:
                batch.append(self._queue.waiting.popleft())
                ids += len(batch[-1].acks.ids)
            self._queue.taken(ids)
            self._removing = True
            try:
                await self._store.remove([tried.acks for tried in batch])
            except DatabaseUnavailable:
                log.warning("%d acknowledgements were lost, their envelopes will come again", ids)
            except Exception as error:
                log.error("%d acknowledgements failed: %s", ids, type(error).__name__)
            for tried in batch:
                tried.on_tried()
            self._removing = False
            self._idle.ring()
            if self._queue.size < self._batch_ids and not self._hurried:
                with trio.move_on_at(began + self.pace_s):
                    await self._haste.wait()
