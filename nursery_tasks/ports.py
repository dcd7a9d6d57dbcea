"""What the tasks need from the world, as Protocols: a socket, the stores, the relay's clock.

The real ones live in relay/; the fakes in tests/fakes.py pass the same contract suite as the real stores.
Store calls raise relay.errors.DatabaseUnavailable and nothing else on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar
from uuid import UUID

from relay.errors import Ending
from relay.records import (
    AckBatch,
    BeginAsk,
    Begun,
    Notices,
    Outcome,
    PageAsk,
    Posting,
    PushOutcome,
    PushTarget,
    Ringing,
    Waiting,
)

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

        Cancelled, either nothing of it went out, or the connection is aborted: the same message may be sent again.

        Raises:
            PeerGone: the socket is closed or broken.
            SlowReader: the write deadline passed; the connection is aborted.
        """

    def send_at_once(self, text: str) -> bool | None:
        """Sends one text message without waiting: True if the socket has taken it whole, None if nothing of it.

        False if it has taken a part: then nothing else may be sent before `finish` has sent the rest.
        """

    async def finish(self) -> None:
        """Sends what `send_at_once` has begun. Cancelled, it may be called again. Raises as `send`."""

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


T = TypeVar("T")


class PageStore(Protocol[T]):
    """Where a lane reads what waits."""

    async def page(
        self, account_id: UUID, *, limit: int, max_bytes: int, skip: Collection[UUID]
    ) -> tuple[list[T], bool]:
        """What waits, in order of arrival, without the ids in `skip`, and whether that is all there is.

        At most `limit` items and `max_bytes` of bodies; a first item that is larger than `max_bytes` comes alone.
        """


class Mailbox(PostStore, AckStore, PageStore[Waiting], Protocol):
    """The durable queue of sealed envelopes."""

    async def pages(self, asked: Sequence[PageAsk]) -> Sequence[tuple[list[Waiting], bool]]:
        """Many pages at once, one an ask, in order (nursery_tasks/page_reader.py). No account may occur twice."""

    async def begin_sessions(self, asked: Sequence[BeginAsk]) -> Sequence[Begun | None]:
        """Counts the session epoch of each of these accounts up; one answer an ask, in order. No account may occur twice.

        None for who shows another token than the account's, and, with the same work, if there is no such account.

        Raises:
            DatabaseUnavailable: some may have begun.
        """

    async def epochs(self, account_ids: Collection[UUID]) -> dict[UUID, int]:
        """The newest session epoch of each of these accounts that exists. Its high 32 bits count the account's recoveries."""

    async def notices(self, account_id: UUID) -> Notices:
        """What to tell the member; asking clears `mailbox_was_full`."""


class Opener(Protocol):
    """Where one session begins (nursery_tasks/session_opener.py)."""

    async def begin(self, account_id: UUID, token_hash: bytes) -> Begun | None:
        """As Mailbox.begin_sessions, for one. What was committed before the call shows in the answer."""


class Signals(PostStore, AckStore, PageStore[Ringing], Protocol):
    """The short-lived lane of call signals and typing."""


class Live(Protocol):
    """A session as the switchboard sees it. Every method is synchronous and returns at once."""

    def end(self, ending: Ending) -> None:
        """Ends the session; the first ending counts."""


class LiveMailbox(Live, Protocol):
    """A mailbox session as the switchboard sees it."""

    @property
    def epoch(self) -> int:
        """The session epoch that the database gave this session."""

    def hand_over_mail(self, envelopes: Sequence[Waiting]) -> None:
        """Delivers what was committed just now, or leaves it to the drainer, or, without room, has it look at the table."""

    def hand_over_signals(self, signals: Sequence[Ringing]) -> None:
        """The same for signals."""

    def look_at_mail(self) -> None:
        """The table may hold envelopes that were not handed over."""

    def look_at_signals(self) -> None:
        """The same for signals."""

    def look_at_notices(self) -> None:
        """Keys may run low, or a post may have found the mailbox full."""


class Meanwhile(Protocol):
    """What of an account may have changed between the moment at which somebody began to look and its session."""

    mail: bool
    signals: bool
    notices: bool


class Switchboard(Protocol):
    """Which sessions are open in this process."""

    def expect(self, account_id: UUID) -> Meanwhile:
        """A session of this account is about to begin; from now on it is noted what it would be told. Until `forget`."""

    def forget(self, account_id: UUID, meanwhile: object) -> None:
        """The session is here, or does not come. May be called again."""

    def mailbox(self, account_id: UUID, live: LiveMailbox) -> AbstractContextManager[None]:
        """Registers a mailbox session for as long as the block runs; ends an older one of the same account as superseded."""

    def post(self, live: Live) -> AbstractContextManager[None]:
        """Registers a post session for as long as the block runs; nothing is known of it but that it is there."""


class Rates(Protocol):
    """How much one recipient may get; in memory, per process."""

    def charge(self, account_id: UUID, size: int) -> int:
        """Takes a post of `size` bytes from the recipient's allowance and answers 0, or takes nothing and answers the seconds to wait."""

    def give_back(self, account_id: UUID, size: int) -> None:
        """Undoes a charge of a post that had no access, since who cannot write must not be able to use the allowance up, or of
        one that failed."""


class Poster(Protocol):
    """Whoever handed in a post and waits for the answer."""

    def answered(self, answers: Sequence[tuple[Posting, Outcome]]) -> None:
        """Outcomes of one batch; synchronous, returns at once."""


class PostLine(Protocol):
    """The way into a store that all post sessions share: a batch writer."""

    def submit(self, posting: Posting, poster: Poster) -> None:
        """Queues a post; `poster.answered` is called for it exactly once, later."""

    @property
    def has_room(self) -> bool:
        """Whether `room` would return at once. Asked for every frame; `room` is for when it does not."""

    async def room(self) -> None:
        """Waits until the queue has room for another frame."""


class AckLine(Protocol):
    """The way out of a store that all mailbox sessions share."""

    def submit(self, acks: AckBatch, on_tried: Callable[[], None]) -> None:
        """Queues a delete; `on_tried` is called once it was tried, whatever came of it."""

    @property
    def has_room(self) -> bool:
        """Whether `room` would return at once. Asked for every frame; `room` is for when it does not."""

    async def room(self) -> None:
        """Waits until the queue has room for another frame."""

    def hurry(self) -> None:
        """A session has ended: what it acknowledged should be deleted before its member comes again."""


class Notifications(Protocol):
    """The way to the other processes on the same database."""

    async def notify(self, topic: str, account_ids: Sequence[UUID]) -> None:
        """Tells every process, this one too, that something changed for these accounts. Small: the caller bounds the list.

        Raises:
            DatabaseUnavailable: nobody was told.
        """


class PushService(Protocol):
    """Push subscriptions, and the way to the push services."""

    async def waiting(self, account_ids: Collection[UUID]) -> Sequence[PushTarget]:
        """Of these accounts, those that have a subscription and something that waits.

        Raises:
            DatabaseUnavailable: nobody knows.
        """

    async def knock(self, target: PushTarget) -> PushOutcome:
        """Sends one push; takes some seconds at most."""

    async def forget(self, target: PushTarget) -> None:
        """Its endpoint is gone. Raises DatabaseUnavailable."""
