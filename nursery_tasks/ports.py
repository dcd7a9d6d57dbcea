"""What the tasks need from the world, as Protocols: a socket, the stores, the relay's clock.

The real ones live in relay/; the fakes in tests/fakes.py pass the same contract suite as the real stores.
Store calls raise relay.errors.DatabaseUnavailable and nothing else on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from relay.records import AckBatch, Notices, Outcome, Posting, Ringing, Waiting

Wall = Callable[[], float]
"""Seconds since 1970. Durations are measured on trio's clock, never on this one."""


class Peer(Protocol):
    """One WebSocket, as a session sees it."""

    async def receive(self) -> str:
        """The next text message.

        Raises:
            PeerGone: the socket is closed or broken.
            BadFrame: a binary message came.
        """

    async def send(self, text: str) -> None:
        """Sends one text message; a checkpoint always.

        Raises:
            PeerGone: the socket is closed or broken.
            SlowReader: the write deadline passed; the connection is aborted.
        """

    async def close(self, code: int, reason: str) -> None:
        """Starts the closing handshake (RFC 6455 section 7). Does nothing on a socket that is gone."""


class PostStore(Protocol):
    """Where posts go: the mailbox or the signals."""

    async def put(self, batch: Sequence[Posting]) -> list[Outcome]:
        """Stores a batch in one transaction and answers one outcome a posting, in order. No (account, id) twice in a batch.

        Raises:
            DatabaseUnavailable: nothing is known about any of them.
        """


class AckStore(Protocol):
    """Where acknowledgements go."""

    async def remove(self, batch: Sequence[AckBatch]) -> None:
        """Deletes what was acknowledged under the newest epoch of each account; the rest has no effect."""


T_co = TypeVar("T_co", covariant=True)


class PageStore(Protocol[T_co]):
    """Where a lane reads what waits."""

    async def page(self, account_id: UUID, *, limit: int, max_bytes: int, skip: Collection[UUID]) -> list[T_co]:
        """What waits, in order of arrival, without the ids in `skip`; fewer than `limit` and `max_bytes` only when that is all.

        A single item larger than `max_bytes` comes alone.
        """


class Mailbox(PostStore, AckStore, PageStore[Waiting], Protocol):
    """The durable queue of sealed envelopes."""

    async def begin_session(self, account_id: UUID) -> int | None:
        """Counts the account's session epoch up and answers it; None if there is no such account."""

    async def epochs(self, account_ids: Collection[UUID]) -> dict[UUID, int]:
        """The newest session epoch of each of these accounts that exists."""

    async def notices(self, account_id: UUID) -> Notices:
        """What to tell the member; asking clears `mailbox_was_full`."""


class Signals(PostStore, AckStore, PageStore[Ringing], Protocol):
    """The short-lived lane of call signals and typing."""
