"""The two socket routes: authenticate (or refuse to), accept, run the session, which then runs without Quart. docs/protocol.md, Sockets."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from uuid import UUID

import trio

from nursery_tasks.ports import Peer
from nursery_tasks.session import (
    Beginning,
    MailboxServices,
    PostServices,
    Timing,
    begin_mailbox_session,
    run_mailbox_session,
    run_post_session,
)  # fmt: skip
from relay.direct_websocket import DirectWebsocket
from relay.errors import Ending, NotFound, Unauthorized, Unavailable
from relay.routes.http import problem, problem_of
from relay.routes.identification import Claim, check_origin, read_bearer, refuse_identified
from relay.services import Services
from relay.switchboard import Switchboard

log = logging.getLogger("relay.sessions")


BEGIN_AT_ONCE = 16
"""Mailbox sessions that are being begun at the same time; more only wait for the same few connections to the database."""
BEGIN_WITHIN_S = 5.0
"""How long one waits for its turn. After a restart everybody comes at once, and the last of ten thousand come again."""


class Door:
    """Lets members in a few at a time, in the order in which they came.

    Without it a crowd queues at the database's pool, whose patience is short, and whoever is in already waits behind those who come.
    """

    def __init__(self) -> None:
        self._places = trio.Semaphore(BEGIN_AT_ONCE)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """While the block runs, somebody is being let in.

        Raises:
            Unavailable: too many came before.
        """
        with trio.move_on_after(BEGIN_WITHIN_S) as waiting:
            await self._places.acquire()
        if waiting.cancelled_caught:
            raise Unavailable(retry_after_s=1)
        try:
            yield
        finally:
            self._places.release()


class SessionServices:
    """What the socket routes need besides the services of every route."""

    def __init__(
        self, mailbox: MailboxServices, post: PostServices, switchboard: Switchboard, timing: Timing, most_sessions: int
    ) -> None:
        self.mailbox = mailbox
        self.post = post
        self.switchboard = switchboard
        self.timing = timing
        self.most_sessions = most_sessions
        self.door = Door()

    @property
    def have_room(self) -> bool:
        """For one session more."""
        return self.switchboard.sessions < self.most_sessions


def socket_routes(
    services: Callable[[], Services],
    sessions: Callable[[], SessionServices],
    member_came: Callable[[], None] = lambda: None,
) -> dict[str, Callable[[DirectWebsocket], Awaitable[None]]]:
    """What answers a WebSocket, by path: `/v1/mailbox` and `/v1/post`. `member_came` is called for each mailbox session that begins."""

    async def mailbox(socket: DirectWebsocket) -> None:
        here = services()
        check_origin(socket.headers, here.settings)
        named = socket.headers.getlist("Authorization")
        # Of two, who knows which a proxy before us looked at.
        claim = read_bearer(named[0] if len(named) == 1 else None)
        beginning = None
        async with sessions().door.place():
            shared = sessions()
            if shared.have_room:
                beginning = await _begin(claim, shared)
            else:
                await here.accounts.authenticate(claim.account_id, claim.secret)
        if beginning is not None:
            member_came()
            # Before it is accepted: what has begun must enter, if only to leave again, so that other processes hear of its epoch.
            socket.go_on_with(partial(_mailbox, claim.account_id, shared, beginning))
        await socket.accept()
        if beginning is None:
            await _turn_away(socket)

    async def post(socket: DirectWebsocket) -> None:
        here = services()
        refuse_identified(socket.headers)
        check_origin(socket.headers, here.settings)
        shared = sessions()
        await socket.accept()
        if shared.have_room:
            socket.go_on_with(partial(_post, shared))
        else:
            await _turn_away(socket)

    return {path: partial(_answered, handler) for path, handler in (("/v1/mailbox", mailbox), ("/v1/post", post))}


async def no_such_socket(socket: DirectWebsocket) -> None:
    """What answers a WebSocket on any other path."""
    await socket.refuse(problem(NotFound()))


async def _answered(handler: Callable[[DirectWebsocket], Awaitable[None]], socket: DirectWebsocket) -> None:
    """Errors are answered as those of HTTP calls are."""
    try:
        await handler(socket)
    except Exception as error:
        await socket.refuse(problem_of(error))


async def _begin(claim: Claim, shared: SessionServices) -> Beginning:
    """Raises Unauthorized, with the same work for whoever does not exist, or DatabaseUnavailable."""
    beginning = await begin_mailbox_session(claim.account_id, sha256(claim.secret).digest(), shared.mailbox)
    if beginning is None:
        raise Unauthorized
    return beginning


async def _mailbox(account_id: UUID, shared: SessionServices, beginning: Beginning, peer: Peer) -> None:
    ending = await run_mailbox_session(peer, account_id, shared.mailbox, shared.timing, beginning)
    log.debug("a mailbox session ended: %s", ending.reason)


async def _post(shared: SessionServices, peer: Peer) -> None:
    ending = await run_post_session(peer, shared.post, shared.timing)
    log.debug("a post session ended: %s", ending.reason)


async def _turn_away(socket: DirectWebsocket) -> None:
    """There is no room."""
    await socket.close(Ending.TOO_MANY.close_code or 0, Ending.TOO_MANY.reason)
