"""What passes between the stores and the tasks: plain immutable records, no behaviour, no I/O.

They are tuples rather than models because they are made once a message on the hot path, from values that were validated before.
This module imports relay.errors only.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from relay.errors import Refusal


class Waiting(NamedTuple):
    """An envelope as its recipient gets it: `at` is its arrival in whole seconds since 1970, `body` one of the four sizes."""

    id: UUID
    at: int
    body: bytes


class Ringing(NamedTuple):
    """A signal as its recipient gets it; `expires_at` in seconds since 1970."""

    id: UUID
    expires_at: int
    body: bytes


class Posting(NamedTuple):
    """An envelope or a signal on its way in.

    `access_hash` is SHA-256 of the access key that came with it; `expires_at` is 0 for envelopes; `wait_s` is not 0 when the
    recipient's allowance is used up, which the store may only say to somebody who has access.
    """

    account_id: UUID
    id: UUID
    access_hash: bytes
    body: bytes
    at: int
    expires_at: int = 0
    wait_s: int = 0


class Stored(Enum):
    """The good outcomes of a post."""

    NEW = "new"
    AGAIN = "again"
    """Same recipient, id and body were stored before: a retry, answered like the first time and not handed over again."""


Outcome = Stored | Refusal


class PushTarget(NamedTuple):
    """Whom to knock for, and where; `sealed` is the subscription as it is stored."""

    account_id: UUID
    sealed: bytes


class PushOutcome(Enum):
    """What came of a push."""

    SENT = "sent"
    LATER = "later"
    """The push service could not be reached, or asked to wait."""
    GONE = "gone"
    """There is no such endpoint any more, or it is not one that the relay asks."""


class PageAsk(NamedTuple):
    """What is read of one mailbox: at most so many items and bytes of bodies, without the ids in `skip`."""

    account_id: UUID
    limit: int
    max_bytes: int
    skip: Collection[UUID]


class Notices(NamedTuple):
    """What a member should be told besides mail: one-time keys that are left, and whether a post found the mailbox full."""

    prekeys: int
    kyber_prekeys: int
    mailbox_was_full: bool


class BeginAsk(NamedTuple):
    """Who wants a mailbox session, and SHA-256 of the secret that was shown."""

    account_id: UUID
    token_hash: bytes


class Begun(NamedTuple):
    """A session that has begun, and what its account looked like at that moment."""

    epoch: int
    mail: bool
    """Whether envelopes wait."""
    signals: bool
    """Whether signals wait."""
    notices: Notices
    """Not cleared: who tells that the mailbox was full asks again, and so clears it."""


class AckBatch(NamedTuple):
    """Ids that a session acknowledged; `epoch` tells the newest session of an account from older ones."""

    account_id: UUID
    epoch: int
    ids: tuple[UUID, ...]
