"""What the mailbox and the signals have in common: posts go in by batches, acknowledgements go out by batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from relay.database import Database, Row
from relay.errors import DatabaseUnavailable, Refusal
from relay.headroom import Headroom
from relay.held_connection import HeldConnection
from relay.records import AckBatch, Outcome, Posting, Stored

HOT_SETUP = (
    # Hot statements look rows up by key, always. Left alone, the planner falls for a sequential scan after a VACUUM of a
    # nearly empty table, caches that plan, and keeps it when the table has grown.
    "SET enable_seqscan = off",
    "SET enable_hashjoin = off",
    "SET enable_mergejoin = off",
    # A bitmap visits, each time anew, every row that an account had since the last VACUUM; an index scan marks those that are dead.
    "SET enable_bitmapscan = off",
    "SET plan_cache_mode = force_generic_plan",
    "SET jit = off",
)
"""Settings of every held connection of the hot path."""

PUT_SETUP = (*HOT_SETUP, "SET synchronous_commit = on")
"""Of the connection that stores posts: an answer means that the commit is on disk."""

ACK_SETUP = (*HOT_SETUP, "SET synchronous_commit = off")
"""Of the connection that deletes: a lost delete is a redelivery, which the app drops by id."""

_VERDICTS: dict[str, Refusal] = {refusal.value: refusal for refusal in Refusal}


class Statements(NamedTuple):
    """The statements in which the two stores differ."""

    put: str
    put_one_each: str
    """As `put`, for batches in which no recipient occurs twice."""
    compare: str
    remove: str


class PostStore:
    """The shared half of relay.mailbox.PostgresMailbox and relay.signals.PostgresSignals."""

    def __init__(
        self, statements: Statements, database: Database, puts: HeldConnection, removes: HeldConnection
    ) -> None:
        self._statements = statements
        self._database = database
        self._puts = puts
        self._removes = removes

    async def _put(
        self, batch: Sequence[Posting], times: list[int], *limits: int, headroom: Headroom | None = None
    ) -> list[Outcome]:
        """`times` of arrival or of expiry, one a posting."""
        accounts = [p.account_id for p in batch]
        numbers = [account_id.int for account_id in accounts]  # whose hash is cheaper than a UUID's
        one_each = len(set(numbers)) == len(numbers)
        has_room = headroom.take(batch, numbers, one_each=one_each) if headroom else []
        rows = await self._puts.fetch(
            self._statements.put_one_each if one_each else self._statements.put,
            accounts,
            [p.id for p in batch],
            [p.access_hash for p in batch],
            [p.body for p in batch],
            times,
            [p.wait_s > 0 for p in batch],
            *limits,
            *([has_room] if headroom else []),
        )
        crowded: list[int] = []
        outcomes = await self._outcomes(batch, rows, crowded)
        if headroom:
            headroom.give(numbers, has_room, outcomes, crowded)
        return outcomes

    async def remove(self, batch: Sequence[AckBatch]) -> None:
        """Deletes what was acknowledged under the newest epoch of each account.

        Raises:
            DatabaseUnavailable: some may be left; they will be delivered again.
        """
        accounts: list[UUID] = []
        epochs: list[int] = []
        ids: list[UUID] = []
        for acks in batch:
            accounts += [acks.account_id] * len(acks.ids)
            epochs += [acks.epoch] * len(acks.ids)
            ids += acks.ids
        await self._removes.execute(self._statements.remove, accounts, epochs, ids)

    async def _outcomes(self, batch: Sequence[Posting], rows: Sequence[Row], crowded: list[int]) -> list[Outcome]:
        """Reads the rows of a PUT statement: all that it does not name is new. What was neither inserted nor refused is there already,
        and what a full mailbox refused may be: both are compared with what is stored, by a second statement that few batches need.
        Appends to `crowded` where a mailbox was found more than half full."""
        outcomes: list[Outcome] = [Stored.NEW] * len(batch)
        doubtful: list[int] = []
        for number, verdict in rows:
            n = number - 1
            if verdict == "crowded":  # stored or not
                crowded.append(n)
                continue
            # Stored.AGAIN unless the comparison says otherwise; gone already: it was acknowledged
            outcomes[n] = Stored.AGAIN if verdict == "store" else _VERDICTS[verdict]
            if outcomes[n] in (Stored.AGAIN, Refusal.MAILBOX_FULL):
                doubtful.append(n)
        if doubtful:
            asked = [batch[n] for n in doubtful]
            try:
                compared = await self._puts.fetch(
                    self._statements.compare,
                    [p.account_id for p in asked],
                    [p.id for p in asked],
                    [p.body for p in asked],
                )
            except DatabaseUnavailable:  # the rest of the batch is committed, and its recipients must hear of it
                for n in doubtful:
                    outcomes[n] = Refusal.UNAVAILABLE
                return outcomes
            for n, (same,) in zip(doubtful, compared, strict=True):
                if same is not None:
                    outcomes[n] = Stored.AGAIN if same else Refusal.CONFLICT
        return outcomes
