"""Finding members by number: evaluating blinded elements for who says who they are, and looking phone tokens up for who does not.

The two are apart on purpose (docs/protocol.md, section Numbers): the first is counted and sees nothing, the second sees tokens and does not
know who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import trio

from relay.database import Database
from relay.invites import Invites
from relay.oprf import Blinded, Evaluation, NumberOprf, read_elements
from relay.queries import discovery as sql
from relay.scarce_limits import Allowance, ScarceLimits

ELEMENTS_MAX: Final = 100
"""Blinded elements in one call: 7 ms of work in which nothing else runs."""
LOOKUP_TOKENS: Final = 100
"""Phone tokens in one call, never more or fewer, so that the number says nothing."""


class Discovery:
    """`evaluations` is what one account may have evaluated."""

    def __init__(
        self, database: Database, oprf: NumberOprf, limits: ScarceLimits, invites: Invites, evaluations: Allowance
    ) -> None:
        self._database = database
        self._oprf = oprf
        self._limits = limits
        self._invites = invites
        self._evaluations = evaluations
        self._turn = trio.Lock()

    async def evaluate_for_account(self, account_id: UUID, elements: Sequence[bytes]) -> Evaluation:
        """Evaluates up to ELEMENTS_MAX blinded elements, and charges the account for each.

        Raises:
            BadElement: nothing was charged.
            RateLimited: nothing was evaluated.
            Unauthorized: the account is gone.
            DatabaseUnavailable
        """
        blinded = read_elements(elements)
        await self._limits.take(account_id, self._evaluations, len(elements))
        return await self._evaluate(blinded)

    async def evaluate_for_invite(self, code: str, elements: Sequence[bytes]) -> Evaluation:
        """The same for somebody who has an invite and no account yet: their own number, and a few tries.

        Raises:
            BadElement, RateLimited, DatabaseUnavailable: as above.
            BadInvite: there is no such invite any more.
        """
        blinded = read_elements(elements)
        await self._invites.spend_evaluations(code, len(elements))
        return await self._evaluate(blinded)

    async def look_up(self, phone_tokens: Sequence[bytes]) -> list[UUID | None]:
        """The account of each token, in order; None where there is none that strangers may write to. One statement, whatever is found.

        Raises:
            DatabaseUnavailable
        """
        return [row[0] for row in await self._database.fetch(sql.LOOK_UP, list(phone_tokens))]

    async def _evaluate(self, blinded: Blinded) -> Evaluation:
        # The library keeps Python's lock while it computes, so a thread would stop the sessions of this process just as well. One batch at a
        # time, and after it a rest as long as it took: sessions wait 7 ms at most and have half of the processor at least.
        async with self._turn:
            began = trio.current_time()
            evaluation = self._oprf.evaluate(blinded)
            await trio.sleep(trio.current_time() - began)
        return evaluation
