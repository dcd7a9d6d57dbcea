"""What was tried and what came, written down while the load runs; the checker judges it afterwards.

Everything here is memory of one run: ids and digests of random bodies, never anything of a person.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Literal

Outcome = Literal["ok", "refused", "unknown"]
"""`ok`: answered `posted`. `refused`: the relay said that it did not store it. `unknown`: no answer, or `unavailable`."""


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()[:16]


@dataclass
class Attempt:
    """One post of one envelope. Times are seconds on the run's own clock."""

    id: str
    mailbox: str
    digest: str
    node: int
    begun: float
    ended: float | None = None
    outcome: Outcome = "unknown"
    code: str | None = None


@dataclass
class Delivery:
    """One envelope in one deliver frame. `stored` is what the app made of it: False if it was cut off before."""

    id: str
    mailbox: str
    digest: str
    at: float
    session: int
    stored: bool = False


@dataclass
class History:
    """In order of time, as this process saw it."""

    attempts: list[Attempt] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    settled: dict[str, float] = field(default_factory=dict)
    """Envelope id -> when the relay had said that nothing waits for its recipient any more, its ack included."""
    late: dict[str, float] = field(default_factory=dict)
    """Envelope id -> seconds that an open, healthy session waited for it in vain after the last injury had healed."""
    injuries: list[str] = field(default_factory=list)

    def begin(self, id_: str, mailbox: str, body: bytes, node: int, now: float) -> Attempt:
        attempt = Attempt(id_, mailbox, digest(body), node, now)
        self.attempts.append(attempt)
        return attempt

    def deliver(self, id_: str, mailbox: str, body: bytes, session: int, now: float) -> Delivery:
        delivery = Delivery(id_, mailbox, digest(body), now, session)
        self.deliveries.append(delivery)
        return delivery

    def acknowledged(self, mailbox: str | None = None) -> set[str]:
        """Ids that the relay promised to keep."""
        return {a.id for a in self.attempts if a.outcome == "ok" and mailbox in (None, a.mailbox)}

    def stored(self, mailbox: str) -> set[str]:
        """Ids that the app of this mailbox has on its disk."""
        return {d.id for d in self.deliveries if d.stored and d.mailbox == mailbox}

    def settle(self, ids: Iterable[str], now: float) -> None:
        for id_ in ids:
            self.settled.setdefault(id_, now)

    def to_json(self) -> str:
        """For a run that convicts: everything that is needed to judge again."""
        return json.dumps(asdict(self))
