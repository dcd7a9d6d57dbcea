"""The relay, altered for a test. Served like the real one: `hypercorn -k trio tests.faults.altered_app:app`.

PLANTED_BUG  names one of the bugs below, which the checker must convict. Each is one that somebody could write in good faith, for speed or
             to be helpful.
CLOCK_FILE   holds the seconds by which the wall clock of the process is off, read again every time. Its monotonic clock stays true, as in
             life. (libfaketime would do this from outside, but its clock_nanosleep fails under Python's time.sleep.)
DIE_FILE     names a file: when it is there, the process dies between a commit and the word of it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from uuid import UUID

import trio

from nursery_tasks import wakeup_listener as topics
from nursery_tasks.dispatch import LaneDispatch
from nursery_tasks.notifier import Notifier
from nursery_tasks.siblings import Siblings
from relay import mailbox
from relay.errors import DatabaseUnavailable, Refusal
from relay.mailbox import PostgresMailbox
from relay.queries import mailbox as queries
from relay.records import Outcome, PageAsk, Posting, Stored, Waiting

_put = PostgresMailbox.put
_pages = PostgresMailbox.pages


async def _in_the_background(self: PostgresMailbox, batches: list[tuple[float, Sequence[Posting]]]) -> None:
    while batches:
        came, batch = batches[0]
        await trio.sleep_until(came + 1)
        try:
            await _put(self, batch)
        except DatabaseUnavailable:
            await trio.sleep(0.25)
        else:
            batches.pop(0)


def ack_before_commit() -> None:
    """Answers `posted` at once and commits a second later. (Sooner, and what is killed on a busy machine has now and then nothing to lose.)"""
    waiting: list[tuple[float, Sequence[Posting]]] = []

    async def put(self: PostgresMailbox, batch: Sequence[Posting]) -> list[Outcome]:
        waiting.append((trio.current_time(), batch))
        if len(waiting) == 1:
            trio.lowlevel.spawn_system_task(_in_the_background, self, waiting)
        return [Stored.NEW] * len(batch)

    PostgresMailbox.put = put  # type: ignore[method-assign]


def delete_before_delivery() -> None:
    """Deletes what it read for a deliver frame, without waiting for the acknowledgement."""

    async def pages(self: PostgresMailbox, asked: Sequence[PageAsk]) -> list[tuple[list[Waiting], bool]]:
        found = await _pages(self, asked)
        for ask, (page, _) in zip(asked, found, strict=True):
            await self._removes.execute(
                "DELETE FROM envelopes WHERE account_id = $1 AND envelope_id = ANY($2::uuid[])",
                ask.account_id,
                [one.id for one in page],
            )
        return found

    PostgresMailbox.pages = pages  # type: ignore[method-assign]


def on_another_machine() -> None:
    """What the other node says of its sessions, as processes of one machine do, is not heard: it would make good what the bug spoils."""
    Siblings.is_there = lambda self, giver, account, epoch: None  # type: ignore[method-assign]


def lost_wake_up() -> None:
    """Tells other nodes of an account's mail once, and never again."""
    told: set[UUID] = set()
    tell = Notifier.tell

    def once(self: Notifier, topic: str, account_id: UUID) -> None:
        if topic == topics.MAIL:
            if account_id in told:
                return
            told.add(account_id)
        tell(self, topic, account_id)

    Notifier.tell = once  # type: ignore[method-assign]
    on_another_machine()


def superseded_acks_honoured() -> None:
    """Deletes by account and id, whichever session says so, and does not hear of newer sessions elsewhere."""
    mailbox.queries.REMOVE = queries.REMOVE.replace("a.session_epoch = k.epoch", "a.session_epoch >= k.epoch")

    async def epochs(self: PostgresMailbox, account_ids: Collection[UUID]) -> dict[UUID, int]:
        return dict.fromkeys(account_ids, 0)

    PostgresMailbox.epochs = epochs  # type: ignore[method-assign]
    on_another_machine()


def trim_when_full() -> None:
    """Makes room in a full mailbox by dropping the oldest envelopes."""

    async def put(self: PostgresMailbox, batch: Sequence[Posting]) -> list[Outcome]:
        outcomes = await _put(self, batch)
        full = [n for n, outcome in enumerate(outcomes) if outcome is Refusal.MAILBOX_FULL]
        for n in full:
            await self._removes.execute(
                "DELETE FROM envelopes WHERE account_id = $1 AND seq IN "
                "(SELECT seq FROM envelopes WHERE account_id = $1 ORDER BY seq LIMIT 8)",
                batch[n].account_id,
            )
            outcomes[n] = (await _put(self, [batch[n]]))[0]
        return outcomes

    PostgresMailbox.put = put  # type: ignore[method-assign]


def die_before_telling(file: Path) -> None:
    """Once `file` is there: kill -9 of this process between a commit and the word of it to anybody. The file goes along."""
    committed = LaneDispatch.committed

    def tell_or_die(self: LaneDispatch[Waiting], batch: Sequence[tuple[UUID, Sequence[Posting]]]) -> Collection[UUID]:
        if file.exists():
            file.unlink()
            os.killpg(0, signal.SIGKILL)
        return committed(self, batch)

    LaneDispatch.committed = tell_or_die  # type: ignore[method-assign]


def shift_clock(file: Path) -> None:
    true_time = time.time
    opened = os.open(file, os.O_RDONLY)  # once: the process may run out of files later

    def shifted() -> float:
        return true_time() + float(os.pread(opened, 32, 0) or 0)

    time.time = shifted


BUGS = {
    bug.__name__: bug
    for bug in (ack_before_commit, delete_before_delivery, lost_wake_up, superseded_acks_honoured, trim_when_full)
}

if "PLANTED_BUG" in os.environ:
    BUGS[os.environ["PLANTED_BUG"]]()
if "CLOCK_FILE" in os.environ:
    shift_clock(Path(os.environ["CLOCK_FILE"]))
if "DIE_FILE" in os.environ:
    die_before_telling(Path(os.environ["DIE_FILE"]))

from relay.app import app  # noqa: E402  # wired after it was altered

__all__ = ["BUGS", "app"]
