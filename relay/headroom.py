"""Mailboxes that were counted and found at most half full: some posts more go into them without counting.

Counting descends the index of every partition, and is the part of a post that grows with the mail of others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from relay.records import Outcome, Posting, Stored

SHARE = 64
"""What one process may put in uncounted, as a share of a mailbox's limits. They are exceeded by no more than this for each process."""

MOST_UNITS = 16
"""At most so many envelopes, however large the limits are: past this, counting costs little and what is known is old."""

MOST_ACCOUNTS = 2**17
"""Remembered at a time, in some 11 MB. Then all are forgotten, and counted again with their next post."""


class Headroom:
    """Of one process. Room is told in units: an envelope takes one for each begun `unit_bytes` of its body (no body is empty), which are what
    each may have if a mailbox is to be full by number and by bytes at once.

    Only the statement that counts gives room, and only to somebody who had access; nobody learns of it.
    """

    def __init__(self, most_envelopes: int, most_bytes: int) -> None:
        self._units = min(MOST_UNITS, most_envelopes // SHARE)
        self._unit_bytes = max(1, most_bytes // most_envelopes)
        self._left: dict[int, int] = {}

    def take(self, batch: Sequence[Posting], numbers: Sequence[int], *, one_each: bool) -> list[bool]:
        """Which postings need no counting; what they need is taken whatever comes of them.

        `numbers` are their accounts' (a UUID's own hash is slow); `one_each`: none occurs twice.
        """
        left, unit = self._left, self._unit_bytes
        needed = [1 + (len(p.body) - 1) // unit for p in batch]
        if one_each:
            room: list[bool] = []
            for p, account, units in zip(batch, numbers, needed, strict=True):
                enough = left.get(account, 0) >= units and not p.wait_s
                room.append(enough)
                if enough:
                    self._use(account, units)
            return room
        # The statement counts a mailbox at its first posting, for all of them: there is room for all, with one and the same key, or for none.
        together: dict[int, int] = {}
        keys: dict[int, bytes] = {}
        for p, account, units in zip(batch, numbers, needed, strict=True):
            if not p.wait_s:
                together[account] = together.get(account, 0) + units
                if keys.setdefault(account, p.access_hash) != p.access_hash:
                    together[account] = MOST_UNITS + 1
        roomy = {account for account, units in together.items() if units <= left.get(account, 0)}
        for account in roomy:
            self._use(account, together[account])
        return [account in roomy and not p.wait_s for p, account in zip(batch, numbers, strict=True)]

    def _use(self, account: int, units: int) -> None:
        if self._left[account] > units:
            self._left[account] -= units
        else:
            del self._left[account]

    def give(
        self, numbers: Sequence[int], had: Sequence[bool], outcomes: Sequence[Outcome], crowded: Collection[int]
    ) -> None:
        """After the statement: to whom it counted. `crowded`: places in the batch (from 0) of postings whose mailboxes are more than half
        full."""
        if not self._units or False not in had:
            return
        without = {numbers[n] for n in crowded}
        for account, room, outcome in zip(numbers, had, outcomes, strict=True):
            if not room and outcome is Stored.NEW and account not in without:
                if len(self._left) >= MOST_ACCOUNTS and account not in self._left:
                    self._left.clear()
                self._left[account] = self._units
