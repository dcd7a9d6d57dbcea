"""Relays that betray, each in one way: `hypercorn tests.proof.betrayals:app` with BETRAYAL set. The proof must convict each of them.

They are what a careless change could do, so they are planted where such a change would be made.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import relay.routes.http
import relay.routes.sockets
from relay import accounts, post_store
from relay import app as honest
from relay.records import Outcome, Posting


def stores_a_sender() -> None:
    """Keeps who showed a login last beside what was posted next, in a table of its own."""
    logins: list[UUID] = []
    authenticate = accounts.Accounts.authenticate
    outcomes_of = post_store.PostStore._outcomes

    async def remembering(self: accounts.Accounts, account_id: UUID, secret: bytes) -> None:
        await authenticate(self, account_id, secret)
        logins.append(account_id)

    async def noting(self: post_store.PostStore, batch: Sequence[Posting], *more: Any) -> list[Outcome]:
        await self._database.execute("CREATE TABLE IF NOT EXISTS gossip (recipient uuid, sender uuid)")
        for posting in batch:
            await self._database.execute("INSERT INTO gossip VALUES ($1, $2)", posting.account_id, logins[-1])
        return await outcomes_of(self, batch, *more)

    accounts.Accounts.authenticate = remembering  # type: ignore[method-assign]
    post_store.PostStore._outcomes = noting  # type: ignore[method-assign]


def accepts_a_token_on_the_anonymous_lane() -> None:
    def lax(_headers: object) -> None:
        return None

    relay.routes.http.refuse_identified = lax
    relay.routes.sockets.refuse_identified = lax


class LogsAddresses:
    """Around the app: a line for each request, as an access log has it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            logging.getLogger("relay").info("%s from %s", scope["path"], scope["client"])
        await self._inner(scope, receive, send)


BETRAYAL = os.environ.get("BETRAYAL", "")
match BETRAYAL:
    case "stores a sender":
        stores_a_sender()
    case "accepts a token on the anonymous lane":
        accepts_a_token_on_the_anonymous_lane()
app = LogsAddresses(honest.app) if BETRAYAL == "logs an address" else honest.app
